"""The registry of detectors: the only file that lists them.

A new one is a file with a class that is a `Detector`, and an entry here. Nothing is imported for it
until it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vfx_matte.choices import unknown_choice
from vfx_matte.detect.entry import NetworkEntry
from vfx_matte.detect.names import NETWORK_FILE, NETWORK_TITLE
from vfx_matte.errors import UsageError, WeightsError, install_hint
from vfx_matte.wording import command, option

if TYPE_CHECKING:  # read before anything that needs NumPy
    from vfx_matte.detect.base import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorEntry(NetworkEntry):
    """A detector: everything that the rest of the program has to know about it."""

    backbones: Mapping[str, str] = field(default_factory=dict)
    """Of one that comes in several sizes: what people call each → its weights' name."""

    usual_every: int = 24
    """How many frames lie between two pictures that it is shown, where nothing is chosen."""

    preference: int = 0
    """"auto" takes the one with the highest that can run."""

    is_offered: bool = True
    """Whether help texts and messages name it; those for tests are not."""


SALIENT = DetectorEntry(
    name="salient",
    title=NETWORK_TITLE,
    implementation="vfx_matte.first_mask.subjects:SalientSubjects",
    weights=NETWORK_FILE,
    usual_every=12,
)
"""The one that runs on a fresh machine."""

_EXTRA = "detect"

# "auto" prefers what is most accurate on COCO for its cost, then what knows fewer classes or needs
# more time (docs/detect.md); all weights are the user's to fetch, so what is there is meant
REGISTRY: tuple[DetectorEntry, ...] = (
    SALIENT,
    DetectorEntry(
        name="rf-detr",
        title="RF-DETR",
        implementation="vfx_matte.detect.rf_detr:RfDetr",
        weights="rf-detr-seg-medium",
        backbones={
            size: f"rf-detr-seg-{size}"
            for size in ("nano", "small", "medium", "large", "xlarge", "xxlarge")
        },
        packages=("torch", "transformers"),
        extra=_EXTRA,
        preference=50,
    ),
    DetectorEntry(
        name="videomt",
        title="VidEoMT",
        implementation="vfx_matte.detect.videomt:Videomt",
        weights="videomt-dinov2-small-ytvis2019",
        backbones={
            "small": "videomt-dinov2-small-ytvis2019",
            "base": "videomt-dinov2-base-ytvis2019",
            "large": "videomt-dinov2-large-ytvis2019",
            "large-2021": "videomt-dinov2-large-ytvis2021",
        },
        packages=("torch", "transformers"),
        extra=_EXTRA,
        preference=40,
    ),
    DetectorEntry(
        name="eomt",
        title="EoMT",
        implementation="vfx_matte.detect.mask_former:Eomt",
        weights="coco_instance_eomt_large_640",
        backbones={
            "large-640": "coco_instance_eomt_large_640",
            "large-1280": "coco_instance_eomt_large_1280",
        },
        packages=("torch", "transformers"),
        extra=_EXTRA,
        preference=30,
    ),
    DetectorEntry(
        name="mask2former",
        title="Mask2Former",
        implementation="vfx_matte.detect.mask_former:Mask2Former",
        weights="mask2former-swin-tiny-coco-instance",
        backbones={
            size: f"mask2former-swin-{size}-coco-instance"
            for size in ("tiny", "small", "base", "large")
        },
        packages=("torch", "transformers"),
        extra=_EXTRA,
        preference=20,
    ),
    DetectorEntry(
        name="mask-rcnn",
        title="Mask R-CNN",
        implementation="vfx_matte.detect.mask_rcnn:MaskRcnn",
        weights="maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        packages=("torch", "torchvision"),
        extra=_EXTRA,
        preference=10,
    ),
)


def registered(name: str) -> DetectorEntry:
    """The entry of that name. Raises UsageError for an unknown one."""
    for entry in REGISTRY:
        if entry.name == name:
            return entry
    raise unknown_choice("detector", name, ("auto", *offered_names()))


def offered_names() -> tuple[str, ...]:
    """The names that help texts and messages show."""
    return tuple(entry.name for entry in REGISTRY if entry.is_offered)


def names_text() -> str:
    """The same in a sentence: "auto, salient or videomt"."""
    *names, last = ("auto", *offered_names())
    return f"{', '.join(names)} or {last}"


def missing(entry: DetectorEntry, weights: Path) -> str:
    """What a detector lacks to run here, as a sentence; "" where it lacks nothing.

    Args:
        entry: the detector; its packages are looked for without importing them.
        weights: its file or folder of weights.
    """
    if lacking := entry.missing_packages:
        return f"{entry.title} needs {' and '.join(lacking)}; {install_hint(entry.extra)}"
    if not weights.exists():
        # what was asked for, where the makers call it so; else the usual one
        known = weights.name in entry.backbones.values()
        fetch = command("weights fetch", Path(weights.name if known else entry.weights).stem)
        return f"{entry.title} needs its weights at {weights}: {fetch}"
    return ""


def open_detector(entry: DetectorEntry, *, weights: Path, device: str) -> Detector:
    """Open a detector.

    Args:
        entry: which one.
        weights: its file or folder of weights.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        UsageError: a package is missing.
        WeightsError: the weights are missing, or are not a network of this kind.
        DeviceError: the device cannot be used.
    """
    if lack := missing(entry, weights):
        kind = WeightsError if not weights.exists() else UsageError
        raise kind(lack, hint=f"or use {option('detector', SALIENT.name)}")
    detector: Detector = entry.open(weights=weights, device=device)
    return detector
