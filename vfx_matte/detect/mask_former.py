"""Finds instances by Mask2Former and by EoMT, both trained on COCO.

Cheng, Misra, Schwing, Kirillov, Girdhar: "Masked-attention Mask Transformer for Universal Image
Segmentation" (CVPR 2022); Kerssies, Cavagnero, Hermans, Norouzi, Averta, Leibe, Dubbelman, de Geus:
"Your ViT is Secretly an Image Segmentation Model" (CVPR 2025); as `transformers` runs them. Both
give queries, each with a class and a mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vfx_matte.detect.base import Detection
from vfx_matte.detect.networks import Kind, NetworkDetector, from_queries, resized
from vfx_matte.masks import Image
from vfx_matte.pretrained import Preprocessing, size_with_aspect

if TYPE_CHECKING:
    import torch

MASK2FORMER = Kind(
    title="Mask2Former",
    class_name="Mask2FormerForUniversalSegmentation",
    model_type="mask2former",
    weights="mask2former-swin-tiny-coco-instance",
    usual=Preprocessing(shortest_edge=800, longest_edge=1333),
)

EOMT = Kind(
    title="EoMT",
    class_name="EomtForUniversalSegmentation",
    model_type="eomt",
    weights="coco_instance_eomt_large_640",
    has_half_precision=True,
)

SIDE_MULTIPLE_PX = 32
"""Mask2Former's pictures are stretched to multiples of it: five halvings of a Swin backbone."""

JUDGED_PX = 384
"""Side of the square at which the library judges masks of Mask2Former, whatever the network saw."""


class Mask2Former(NetworkDetector):
    """A detector of the first kind."""

    kind = MASK2FORMER

    def detect(self, image: Image) -> list[Detection]:
        """Find instances, as `Detector.detect` says."""
        height, width = image.shape[:2]
        output = self._network(pixel_values=self._pixels(image))
        # judged where the library judges, but enlarged before they become masks and not after: its
        # own masks have steps of a 384th of the picture
        masks = output.masks_queries_logits.float()
        return from_queries(
            output.class_queries_logits[0],
            resized(masks, JUDGED_PX, JUDGED_PX)[0],
            self._network.names,
            lambda logits: resized(logits, height, width),
            is_judged_at_picture_size=False,
        )

    def _pixels(self, image: Image) -> torch.Tensor:
        """A picture as it was trained with: a size that the folder says, sides of a multiple."""
        wanted = self._network.preprocessing
        if wanted.size is not None:
            sides = wanted.size
        else:
            sides = size_with_aspect(
                image.shape[:2], wanted.shortest_edge or 800, wanted.longest_edge
            )
        height, width = (-(-side // SIDE_MULTIPLE_PX) * SIDE_MULTIPLE_PX for side in sides)
        return wanted.tensor(image, height, width)


class Eomt(NetworkDetector):
    """A detector of the second kind."""

    kind = EOMT

    def detect(self, image: Image) -> list[Detection]:
        """Find instances, as `Detector.detect` says."""
        height, width = image.shape[:2]
        # 1. the picture in the upper left of the network's square, black elsewhere
        side = self._network.side()
        # rounding can leave a strip longer than the square
        rows, columns = (min(one, side) for one in size_with_aspect((height, width), side, side))
        pixels = self._network.preprocessing.tensor(image, rows, columns)
        black = self._network.preprocessing.tensor(np.zeros((1, 1, 3), np.uint8), 1, 1)
        square = black.expand(1, 3, side, side).clone()
        square[:, :, :rows, :columns] = pixels
        # 2. masks of that square, of which the picture's part is enlarged
        output = self._network(pixel_values=square)
        return from_queries(
            output.class_queries_logits[0],
            output.masks_queries_logits[0],
            self._network.names,
            lambda logits: resized(
                resized(logits, side, side)[:, :, :rows, :columns], height, width
            ),
        )
