"""The registry's entries of SAM 2 and EdgeTAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.propagate.entry import Opening, PropagatorEntry, option
from vfx_matte.segment_anything import EDGETAM, EXTRA, SAM2, Family
from vfx_matte.settings.options import DEVICES, LARGEST_SIDE_PX, Options

_SIZE = "side of the square that it works at; 0 = as it was trained, 1024; smaller is faster"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SamOptions(Options):
    """What can be chosen about both."""

    device: str = option(
        "auto", "device to run on: auto, cpu or cuda", words=DEVICES, recorded=False
    )
    """"auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1"."""

    # -1 is another propagator's word for the clip's own size; here it is as 0
    size: int = option(0, _SIZE, unit="px", least=-1, most=LARGEST_SIDE_PX)
    """Side of the square that pictures are resized to; 0 is what the network was trained at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sam2Options(_SamOptions):
    """What can be chosen about SAM 2."""

    weights: Path = option(
        Path("model") / SAM2.folders[0],
        f"folder of its weights; empty = {SAM2.folders[0]} in the model folder, or another size"
        " that is there",
        metavar="PATH",
        file=SAM2.folders[0],
        others=SAM2.folders[1:],
    )
    """The folder of a network, as `save_pretrained` leaves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeTamOptions(_SamOptions):
    """What can be chosen about EdgeTAM."""

    weights: Path = option(
        Path("model") / EDGETAM.folders[0],
        f"folder of its weights; empty = {EDGETAM.folders[0]} in the model folder",
        metavar="PATH",
        file=EDGETAM.folders[0],
    )
    """The folder of a network, as `save_pretrained` leaves it."""


def _arguments(family: Family, options: Sam2Options | EdgeTamOptions) -> Mapping[str, object]:
    return {
        "family": family,
        "weights": options.weights,
        "device": options.device,
        "size": options.size,
    }


def _sam2_arguments(options: Sam2Options, opening: Opening) -> Mapping[str, object]:
    return {**_arguments(SAM2, options), "notify": opening.notify}


def _edgetam_arguments(options: EdgeTamOptions, opening: Opening) -> Mapping[str, object]:
    return {**_arguments(EDGETAM, options), "notify": opening.notify}


_IMPLEMENTATION = "vfx_matte.propagate.sam.propagator:SamPropagator"

SAM2_ENTRY = PropagatorEntry(
    name=SAM2.name,
    title=SAM2.title,
    implementation=_IMPLEMENTATION,
    options=Sam2Options,
    arguments=_sam2_arguments,
    packages=SAM2.packages,
    packages_title=SAM2.packages_title,
    extra=EXTRA,
    preference=3,
    needs_gpu=True,
)

EDGETAM_ENTRY = PropagatorEntry(
    name=EDGETAM.name,
    title=EDGETAM.title,
    implementation=_IMPLEMENTATION,
    options=EdgeTamOptions,
    arguments=_edgetam_arguments,
    packages=EDGETAM.packages,
    packages_title=EDGETAM.packages_title,
    extra=EXTRA,
    preference=2,
    needs_gpu=True,
)
