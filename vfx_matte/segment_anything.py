"""The networks SAM 2 and EdgeTAM: which classes and folders they are, and opening one.

Ravi et al., "SAM 2: Segment anything in images and videos", 2024; Zhou et al., "EdgeTAM: On-device
track anything model", CVPR 2025. Both find an object in a picture by clicks, boxes and masks, and
carry masks through a clip; `transformers` has a class for either task, which reads the same folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vfx_matte.errors import DeviceError, UsageError
from vfx_matte.wording import command, option

if TYPE_CHECKING:  # the registries of propagators and of first masks read this before NumPy
    import numpy as np
    import numpy.typing as npt
    import torch

    from vfx_matte.pretrained import Preprocessing

STRIDE = 16
"""Pixels of the network's picture beside one of its coarsest features."""

# the image encoder halves that once more on the way
_SIZE_STEP = 2 * STRIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A kind of network: everything that the rest of the program has to know about it."""

    name: str
    """What users choose it by."""

    title: str
    """What people call it."""

    folders: tuple[str, ...]
    """Its names in the model folder, the one that is preferred first."""

    picture_class: str
    """Of transformers, for single pictures."""

    clip_class: str
    """Of transformers, for clips."""

    session_class: str
    """Of transformers, what a walk through a clip knows."""

    model_types: tuple[str, ...]
    """What config.json may say."""

    packages: tuple[str, ...] = ("torch", "transformers")
    """As they are imported."""

    packages_title: str = "PyTorch and transformers"
    """What people call them."""


SAM2 = Family(
    name="sam2",
    title="SAM 2",
    folders=("sam2-base-plus", "sam2-small", "sam2-tiny", "sam2-large"),
    picture_class="Sam2Model",
    clip_class="Sam2VideoModel",
    session_class="Sam2VideoInferenceSession",
    model_types=("sam2_video", "sam2"),
)

# its image encoder, RepViT, is in timm
EDGETAM = Family(
    name="edgetam",
    title="EdgeTAM",
    folders=("edgetam",),
    picture_class="EdgeTamModel",
    clip_class="EdgeTamVideoModel",
    session_class="EdgeTamVideoInferenceSession",
    model_types=("edgetam_video", "edgetam"),
    packages=("torch", "transformers", "timm"),
    packages_title="PyTorch, transformers and timm",
)

EXTRA = "sam"
"""The extra of this program that installs what these networks need."""


@dataclass(frozen=True, slots=True)
class OpenNetwork:
    """A network on its device."""

    family: Family
    """Which one."""

    network: Any
    """The class of transformers."""

    device: torch.device
    """Where it runs."""

    size: int
    """Side of the square that it sees, px."""

    preprocessing: Preprocessing
    """How it wants its colours."""

    def pixels(self, image: npt.NDArray[np.uint8]) -> torch.Tensor:
        """A picture, uint8 (H, W, 3), as the network wants it: float32 (1, 3, size, size), on its
        device.
        """
        return self.preprocessing.tensor(image, self.size, self.size).to(self.device)


def open_network(
    family: Family, weights: Path, *, for_clips: bool, device: str = "auto", size: int = 0
) -> OpenNetwork:
    """Open a network.

    Args:
        family: which one.
        weights: its folder.
        for_clips: the class for clips, not the one for single pictures.
        device: "auto", "cpu", "cuda" or "cuda:1".
        size: side of the square that pictures are resized to, px, rounded up to what the network
            can take; 0 is the one that it was trained at, which others do not reach.

    Raises:
        UsageError: a package or the folder is missing.
        WeightsError: the folder is not such a network.
        DeviceError: the device is not usable, or its memory too small.
    """
    from vfx_matte.pretrained import (
        load_network,
        network_folder,
        read_preprocessing,
        require_packages,
        torch_device,
    )

    require_packages(f"{family.title} needs", family.packages, extra=EXTRA)
    folder = network_folder(
        weights,
        title=f"{family.title} needs",
        hint=f"{command('weights fetch', family.folders[0])} gets one",
    )
    place = torch_device(device)
    network = load_network(
        folder,
        family.clip_class if for_clips else family.picture_class,
        title=f"a network of {family.title}",
        model_types=family.model_types,
        adapt=_resizing(size) if size > 0 else None,
    )
    try:
        network.to(place)
    except RuntimeError as error:
        raise DeviceError(
            f"{place} has no memory left for {family.title}",
            hint=f"close what else uses it, or use {option('device', 'cpu')}",
        ) from error
    side = network.config.prompt_encoder_config.image_size
    if not isinstance(side, int):
        # some configurations have height and width
        sides = {int(value) for value in side}
        if len(sides) != 1:
            raise UsageError(f"{str(folder)!r} sees pictures of {side} px, expected a square")
        side = sides.pop()
    return OpenNetwork(family, network, place, side, read_preprocessing(folder))


def _resizing(size: int) -> Callable[[Any], None]:
    """What makes a network see pictures of another size."""

    def adapt(config: Any) -> None:  # noqa: ANN401  of an optional package
        # EdgeTAM divides its features among so many summaries a side
        latents = getattr(config, "perceiver_resampler_num_latents_2d", 0)
        step = max(_SIZE_STEP, STRIDE * round(latents**0.5))
        side = step * max(1, -(-size // step))
        config.prompt_encoder_config.image_size = side
        config.vision_config.backbone_feature_sizes = [
            [side // stride] * 2 for stride in (STRIDE // 4, STRIDE // 2, STRIDE)
        ]
        # those for clips have two more numbers that follow from it
        if hasattr(config, "memory_attention_rope_feat_sizes"):
            config.image_size = side
            config.memory_attention_rope_feat_sizes = [side // STRIDE] * 2

    return adapt
