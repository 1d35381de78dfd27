"""Finds objects without any mask, for Python programs.

The function is not called `detect`, as a package of this name is beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from vfx_matte.api.shared import position_of, reporter_of, spells_python
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.detect.request import DetectRequest, DetectResult
from vfx_matte.pipeline.detect.run import detect_clip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions, helping_weights
from vfx_matte.pipeline.segment.cuts import CutOptions
from vfx_matte.settings.by_name import records_of
from vfx_matte.settings.options import DetectSettings


@spells_python
def detect_objects(
    clip: str | Path,
    *,
    workspace: str | Path = "workspace",
    start: int | str | None = None,
    stop: int | str | None = None,
    fps: Fraction | None = None,
    gaps: str = "hold",
    resume: bool = False,
    fresh: bool = False,
    soft: bool = False,
    cuts: str = "stop",
    same: Sequence[str] = (),
    output: str | Path | None = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    propagator: str = "auto",
    memory: str = "permanent",
    **options: object,
) -> DetectResult:
    """Find the objects of a clip without any mask, and make their masks on every frame.

    The masks are as `segment` leaves them, so all other functions work on them.

    Args:
        clip: a video, a folder of pictures or a numbered pattern.
        workspace: the folder of results.
        start: the first frame, as a number or a time ("4.5s", "1:02.5"); None is the clip's.
        stop: the frame after the last one; None is the clip's end.
        fps: frames per second of an image sequence.
        gaps: what stands for its missing numbers: "hold", "black" or "error".
        resume: go on with a detection that was stopped.
        fresh: replace earlier work on this clip, which is kept aside.
        soft: keep probabilities too, for soft edges.
        cuts: as for `segment`.
        same: "3=1": object 3, of a later shot, is object 1 again.
        output: the folder of result.json and of pictures; None is in the workspace.
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.
        propagator: the propagator's name, or "auto".
        memory: how references are remembered.
        options: those of [detect] in docs/options.md, and of the propagators.

    Returns:
        What was found, which may be nothing.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.
        TypeError: an unknown option.

    >>> import vfx_matte
    >>> found = vfx_matte.detect_objects(
    ...     "clip.mp4", detector="salient", detector_weights="salient.onnx"
    ... )
    >>> [(one.id, one.name) for one in found.objects]
    [(1, 'subject')]
    """
    messages = reporter_of(reporter)
    known = {item.name for item in dataclasses.fields(cast("Any", DetectSettings))}
    own = {name: value for name, value in options.items() if name in known}
    if isinstance(own.get("detector_weights"), str):
        own["detector_weights"] = Path(str(own["detector_weights"]))
    (settings,) = records_of(own, DetectSettings)
    # the rest belongs to propagators, whose record refuses what none of them has
    others = {name: value for name, value in options.items() if name not in known}
    request = DetectRequest(
        settings=settings,
        device=str(options.get("device") or DetectRequest().device),
        start=None if start is None else position_of(start),
        stop=None if stop is None else position_of(stop),
        propagator=PropagatorOptions(
            name=propagator, memory=memory, values=helping_weights() | others
        ),
        cuts=CutOptions.parse(cuts),
        soft=soft,
        same=tuple(same),
        resume=resume,
        fresh=fresh,
        output=None if output is None else Path(output),
        # a program says what it wants; nothing is fetched behind its back
        fetch=False,
    )
    opened = open_source(
        Path(clip), fps=fps, gaps=gaps, ignore_alpha=ignore_alpha, reporter=messages
    )
    return detect_clip(opened, request, workspace=Path(workspace), reporter=messages)
