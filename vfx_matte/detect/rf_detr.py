"""Finds instances by RF-DETR with its segmentation head, trained on COCO.

Robinson, Robicheaux, Popov, Ramanan, Peri: "RF-DETR: Neural Architecture Search for Real-Time
Detection Transformers" (2025), as `transformers` runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from vfx_matte.detect.base import Detection
from vfx_matte.detect.instances import detections, surest
from vfx_matte.detect.networks import Kind, NetworkDetector, resized
from vfx_matte.masks import Image

if TYPE_CHECKING:
    import torch

KIND = Kind(
    title="RF-DETR",
    class_name="RfDetrForInstanceSegmentation",
    model_type="rf_detr",
    weights="rf-detr-seg-medium",
)


class RfDetr(NetworkDetector):
    """The detector.

    It runs in float32 everywhere: where it looks in the picture is a number of 0 … 1, for which
    half precision is too coarse.
    """

    kind = KIND

    def detect(self, image: Image) -> list[Detection]:
        """Find instances, as `Detector.detect` says."""
        height, width = image.shape[:2]
        output = self._network(pixel_values=self._pixels(image))
        # each class has a probability of its own; a query is what is most probable
        best, labels = output.logits[0].float().sigmoid().max(dim=-1)
        scores = best.cpu().numpy()
        # the last numbers of COCO's may have no name
        names = [*self._network.names, *[""] * (output.logits.shape[-1] - len(self._network.names))]
        classes = [names[label] for label in labels.tolist()]
        masks = output.pred_masks[0].float()

        def judged(index: int) -> tuple[float, np.ndarray]:
            large = resized(masks[index][None, None], height, width)
            return float(scores[index]), (large[0, 0] > 0).cpu().numpy()

        return detections(surest(scores, classes), classes, judged)

    def _pixels(self, image: Image) -> torch.Tensor:
        """A picture as it was trained with: float32 (1, 3, h, w), scaled without a filter."""
        import torch

        wanted = self._network.preprocessing
        side = int(self._network.config.backbone_config.image_size)
        height, width = wanted.size or (side, side)
        # without a filter each pixel is read from four: beyond twice the size the others would be
        # passed over, so large pictures are averaged first
        shrinks = min(image.shape[0] // height, image.shape[1] // width)
        fitting = np.ascontiguousarray(image)
        if shrinks >= 2:
            smaller = (image.shape[1] // shrinks, image.shape[0] // shrinks)
            fitting = np.asarray(cv2.resize(fitting, smaller, interpolation=cv2.INTER_AREA))
        pixels = torch.from_numpy(fitting).permute(2, 0, 1)[None].float()
        pixels = torch.nn.functional.interpolate(
            pixels * wanted.rescale, (height, width), mode="bilinear", align_corners=False
        )
        mean, deviation = (
            torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1)
            for values in (wanted.mean, wanted.deviation)
        )
        return (pixels - mean) / deviation
