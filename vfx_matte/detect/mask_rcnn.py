"""Finds instances by Mask R-CNN, trained on COCO, from torchvision's own file of weights.

He, Gkioxari, Dollár, Girshick: "Mask R-CNN" (ICCV 2017), with the heads and the training of Li,
Xie, Chen, Dollár, He, Girshick: "Benchmarking Detection Transfer Learning with Vision Transformers"
(2021), which torchvision calls `maskrcnn_resnet50_fpn_v2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vfx_matte.detect.base import Detection
from vfx_matte.detect.instances import class_names, detections, known_classes, surest
from vfx_matte.errors import WeightsError
from vfx_matte.masks import Image
from vfx_matte.pretrained import computing, torch_device
from vfx_matte.wording import command, option

if TYPE_CHECKING:
    import torch

TITLE = "Mask R-CNN"

BUILDER = "maskrcnn_resnet50_fpn_v2"
"""torchvision's function that makes the network."""

WEIGHTS_FILE = "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"
"""The file that torchvision publishes for it."""

MOST_LENGTHY = 32
"""Ratio of the sides from which on pictures are made wider at their end: the network scales the
long side to 1333 px, and the short one may not become nothing.
"""

_MASK_THRESHOLD = 0.5
_SAFETENSORS_SUFFIX = ".safetensors"
# tensors that tell what a file holds; 91 numbers are COCO's
_CLASS_SCORES = "roi_heads.box_predictor.cls_score.weight"
_MASK_HEAD = "roi_heads.mask_predictor.mask_fcn_logits.weight"
_OF_SECOND_RECIPE = "rpn.head.conv.1.0.weight"


class MaskRcnn:
    """The network of a file.

    It runs in float32 everywhere, as torchvision does; pictures are scaled inside it, so that the
    short side is 800 px and the long one at most 1333 px.

    Args:
        weights: a state dict, as `torch.save` writes it (read with weights_only=True, so it cannot
            run code) or as safetensors.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        WeightsError: the file is missing, or is not such a network.
        DeviceError: the device cannot be used.
    """

    def __init__(self, *, weights: Path, device: str = "auto") -> None:
        self._device = torch_device(device)
        network = _load_network(weights)
        self._network: Any = network.to(self._device)
        self._names = _names(network)
        self._classes = known_classes(self._names)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it was trained on."""
        return self._classes

    def detect(self, image: Image) -> list[Detection]:
        """Find instances, as `Detector.detect` says."""
        import torch

        height, width = image.shape[:2]
        padded = _not_too_lengthy(image)
        pixels = torch.from_numpy(np.ascontiguousarray(padded)).permute(2, 0, 1)
        with computing(
            self._device,
            title=TITLE,
            hint=f"use {option('device', 'cpu')}",
            has_half_precision=False,
        ):
            boxes, labels, scores, small = self._run(pixels.to(self._device).float() / 255)
            classes = [self._names[label] for label in labels.tolist()]

            def judged(index: int) -> tuple[float, np.ndarray]:
                mask = self._pasted(small[index], boxes[index], padded.shape[:2])
                return float(scores[index]), mask[:height, :width]

            return detections(surest(scores.cpu().numpy(), classes), classes, judged)

    def _run(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Boxes (N, 4) in the picture, px, labels (N,), scores (N,), masks (N, 1, 28, 28) in boxes.

        The stages one by one: the network as a whole would enlarge a hundred masks to the picture's
        size at once, in float32, 3 GB for 4K.
        """
        from torchvision.models.detection.transform import resize_boxes

        network = self._network
        pictures, _ = network.transform([pixels])
        features = network.backbone(pictures.tensors)
        proposals, _ = network.rpn(pictures, features)
        (found,), _ = network.roi_heads(features, proposals, pictures.image_sizes)
        boxes = resize_boxes(found["boxes"], pictures.image_sizes[0], list(pixels.shape[-2:]))
        return boxes, found["labels"], found["scores"], found["masks"]

    def _pasted(self, small: torch.Tensor, box: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
        """One mask at the picture's size, bool (H, W)."""
        from torchvision.models.detection.roi_heads import paste_masks_in_image

        pasted = paste_masks_in_image(small[None], box[None], (shape[0], shape[1]))
        mask: np.ndarray = (pasted[0, 0] > _MASK_THRESHOLD).cpu().numpy()
        return mask


def _not_too_lengthy(image: Image) -> Image:
    """The picture, with its edge repeated below or at the right where it is a mere strip."""
    least = -(-max(image.shape[:2]) // MOST_LENGTHY)
    missing = [(0, max(least - side, 0)) for side in image.shape[:2]]
    if not any(after for _, after in missing):
        return image
    return np.pad(image, [*missing, (0, 0)], mode="edge")


def _load_network(weights: Path) -> Any:  # noqa: ANN401  a class of an optional package
    """The network with the tensors of a file, in evaluation mode."""
    from torchvision.models import detection

    tensors = _read(weights)
    _require_kind(weights, tensors)
    network = getattr(detection, BUILDER)(
        weights=None, weights_backbone=None, num_classes=int(tensors[_CLASS_SCORES].shape[0])
    )
    try:
        network.load_state_dict(tensors)
    # it names every tensor that is missing, too many, or of another shape
    except RuntimeError as error:
        problems = str(error).split("\n")[1:] or [str(error)]
        raise WeightsError(
            f"{_told(weights)}: {' '.join(problems[0].split())[:200]}", hint=_fetch()
        ) from error
    return network.eval().requires_grad_(requires_grad=False)


def _read(weights: Path) -> dict[str, Any]:
    """The named tensors of a file."""
    import torch

    try:
        if weights.suffix == _SAFETENSORS_SUFFIX:
            from safetensors.torch import load_file

            return dict(load_file(weights, device="cpu"))
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(
            f"{weights} cannot be read: {error.strerror or error}", hint=_fetch()
        ) from error
    # a damaged file makes both raise almost anything; a pickle that is more than tensors is refused
    except Exception as error:
        raise WeightsError(
            f"{weights} is not a file of PyTorch weights: {type(error).__name__}", hint=_fetch()
        ) from error
    if not isinstance(tensors, Mapping):
        raise WeightsError(
            f"{weights} holds a {type(tensors).__name__}, expected named tensors", hint=_fetch()
        )
    return dict(tensors)


def _require_kind(weights: Path, tensors: dict[str, Any]) -> None:
    """Raise WeightsError where the tensors are those of another network, named as far as known."""
    import torch

    scores = tensors.get(_CLASS_SCORES)
    if not isinstance(scores, torch.Tensor) or scores.ndim != 2:
        first = next(iter(tensors), "")
        what = f"tensors such as {str(first)[:80]!r}" if tensors else "no tensors"
        raise WeightsError(f"{_told(weights)}: it holds {what}", hint=_fetch())
    if _MASK_HEAD not in tensors:
        raise WeightsError(
            f"{_told(weights)}: it holds Faster R-CNN, which finds boxes", hint=_fetch()
        )
    if _OF_SECOND_RECIPE not in tensors:
        raise WeightsError(
            f"{_told(weights)}: it holds maskrcnn_resnet50_fpn, the first recipe", hint=_fetch()
        )


def _names(network: Any) -> list[str]:  # noqa: ANN401
    """The name of each of its numbers: COCO's where it has as many; 0 is the background."""
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights

    count = int(network.roi_heads.box_predictor.cls_score.out_features)
    coco = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.meta["categories"]
    if count == len(coco):
        return list(coco)
    return class_names({0: ""}, count)


def _told(weights: Path) -> str:
    return f"{weights} is not {TITLE} ({BUILDER})"


def _fetch() -> str:
    return f"fetch it: {command('weights fetch', Path(WEIGHTS_FILE).stem)}"
