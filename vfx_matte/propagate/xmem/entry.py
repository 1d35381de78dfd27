"""XMem's entry in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.propagate.entry import Opening, PropagatorEntry, option
from vfx_matte.propagate.xmem.options import XMemMemory
from vfx_matte.settings.options import DEVICES, LARGEST_SIDE_PX, Options


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared(Options):
    """What segmenting and comparing frames have in common."""

    weights: Path = option(
        Path("model/XMem.pth"),
        "weights file; empty = XMem.pth in the model folder",
        metavar="PTH",
        file="XMem.pth",
        legacy="model_name",
    )
    """XMem.pth, XMem-s012.pth or weights like theirs."""

    device: str = option(
        "auto", "device to run on: auto, cpu or cuda", words=DEVICES, recorded=False
    )
    """"auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XMemOptions(_Shared):
    """What can be chosen about XMem."""

    # XMem was trained at 480 lines; larger pictures take memory by the square
    size: int = option(
        0,
        "short side that it works at; -1 = the clip's own; 0 = as memory allows, up to 480",
        unit="px",
        least=-1,
        most=LARGEST_SIDE_PX,
        legacy="video_resize",
    )
    """The short side that the network works at; -1 is the clip's own, 0 is 480, or as much as free
    memory is enough for.
    """

    # 5 is the XMem authors' own default
    mem_every: int = option(5, "memorize every N-th frame", metavar="N", least=1, most=100_000)
    """How many frames lie between two that are put into working memory."""

    long_term: bool = option(True, "condense old memory; without, memory grows with the clip")
    """Whether frames that leave the working memory are condensed into long-term memory."""

    flip: bool = option(
        False, "average with the mirrored clip; twice the time, slightly better masks"
    )
    """Whether a second walk sees everything mirrored, and the mean of both is the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XMemDescriberOptions(_Shared):
    """What can be chosen about XMem where it compares frames.

    Raises:
        UsageError: `size` is out of range.
    """

    # 200 frames of a 16:9 clip take 77 MB at 240 px and 203 MB at 480 (pipeline/review/suggest.py)
    size: int = option(
        240,
        "short side that frames are compared at; -1 = the clip's own",
        unit="px",
        least=-1,
        most=LARGEST_SIDE_PX,
    )
    """The short side that frames are compared at; cost grows with its fourth power."""

    def __post_init__(self) -> None:
        super(XMemDescriberOptions, self).__post_init__()
        if self.size != -1 and self.size < 16:
            raise UsageError(
                f"size is {self.size}, expected -1 or at least 16", hint="240 suits most clips"
            )


def _arguments(options: XMemOptions, opening: Opening) -> Mapping[str, object]:
    # a size that an earlier run chose by free memory is kept, so that its masks fit these
    return {
        "weights": options.weights,
        "size": options.size or opening.size or "auto",
        "device": options.device,
        "memory": XMemMemory(mem_every=options.mem_every, long_term=options.long_term),
        "flip": options.flip,
        "notify": opening.notify,
    }


XMEM = PropagatorEntry(
    name="xmem",
    title="XMem",
    implementation="vfx_matte.propagate.xmem.propagator:XMemPropagator",
    options=XMemOptions,
    arguments=_arguments,
    describer="vfx_matte.propagate.xmem.describer:XMemDescriber",
    describer_options=XMemDescriberOptions,
    packages=("torch",),
    packages_title="PyTorch",
    extra="xmem",
    weights_reader="vfx_matte.propagate.xmem.weights:describe_weights",
    preference=1,
)
