"""Finds instances by VidEoMT, trained on YouTube-VIS: the classes of the VisTR script.

Norouzi, Zulfikar, Cavagnero, Kerssies, Leibe, Dubbelman, de Geus: "Your ViT is Secretly Also a
Video Segmentation Model" (CVPR 2026), as `transformers` runs it.
"""

from __future__ import annotations

from pathlib import Path

from vfx_matte.detect.base import Detection
from vfx_matte.detect.networks import Kind, NetworkDetector, from_queries, resized
from vfx_matte.masks import Image

KIND = Kind(
    title="VidEoMT",
    class_name="VideomtForUniversalSegmentation",
    model_type="videomt",
    weights="videomt-dinov2-small-ytvis2019",
    preprocessing_file="video_preprocessor_config.json",
    has_half_precision=True,
)


class Videomt(NetworkDetector):
    """The detector.

    It reads clips, and hands the queries of a frame on to the next; the first frame of a clip has
    none before it. So a clip of one frame is what it computes for every first frame. Pictures that
    detectors are shown lie seconds apart, or on both sides of a cut, where handed-on queries say
    nothing; identities are carried on by propagators here.

    Args:
        weights: as for every detector of this sort.
        device: likewise.
        still_frames: how many frames long the picture is shown, as a still clip; the answer is that
            of the last. With 2 the queries have seen the picture once, at twice the cost.

    Raises:
        VfxMatteError: as `NetworkDetector`.
    """

    kind = KIND

    def __init__(self, *, weights: Path, device: str = "auto", still_frames: int = 1) -> None:
        super().__init__(weights=weights, device=device)
        self._still_frames = still_frames

    def detect(self, image: Image) -> list[Detection]:
        """Find instances, as `Detector.detect` says."""
        height, width = image.shape[:2]
        # a square whatever the picture's shape is, as in training
        side = self._network.side()
        pixels = self._network.preprocessing.tensor(image, side, side)
        output = self._network(
            pixel_values_videos=pixels[None].expand(1, self._still_frames, -1, -1, -1)
        )
        return from_queries(
            output.class_queries_logits[-1],
            output.masks_queries_logits[-1],
            self._network.names,
            lambda logits: resized(logits, height, width),
        )
