"""Makes first masks, and masks for every frame, for Python programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vfx_matte.api.shared import position_of, reporter_of, spells_python
from vfx_matte.errors import MaskError, UsageError
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.first_mask import (
    Box,
    Click,
    FirstMaskResult,
    Marks,
    MaskRequest,
    Stroke,
    first_mask,
)
from vfx_matte.pipeline.first_mask.salient_network import named_network
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions, helping_weights
from vfx_matte.pipeline.segment.cuts import CutOptions
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest, SegmentResult
from vfx_matte.pipeline.segment.run import segment_clip
from vfx_matte.pipeline.segment.text import text_prompt
from vfx_matte.references.reading import MaskPicture
from vfx_matte.settings.options import PathsSettings

Painted = str | Path | npt.NDArray[Any]
"""A painted mask: a picture file, or an array (H, W[, 3 or 4]), bool, uint8 or uint16, with the
meaning of such a picture.
"""

Point = tuple[int, int]
"""(x, y) in whole pixels from the upper left corner of the picture as displayed."""


@spells_python
def mask(
    clip: str | Path,
    *,
    at: int | str | None = None,
    box: Box | None = None,
    fg: Sequence[Point] = (),
    bg: Sequence[Point] = (),
    fg_strokes: Sequence[Sequence[Point]] = (),
    bg_strokes: Sequence[Sequence[Point]] = (),
    auto: bool = False,
    object_id: int | None = None,
    start: Painted | None = None,
    fps: Fraction | None = None,
    gaps: str = "hold",
    ignore_alpha: bool = False,
    network: str | Path | bool | None = True,
    method: str = "auto",
    reporter: Reporter | None = None,
) -> FirstMaskResult:
    """Make the mask of one frame from what is marked in it, or correct one.

    It is what `segment` takes as a reference. The same marks give the same mask.

    Args:
        clip: a video, a folder of pictures or a numbered pattern.
        at: frame number or time; None is the first frame.
        box: (x, y, width, height) around the object; all outside is background.
        fg: clicks (x, y) on the object.
        bg: clicks (x, y) on background.
        fg_strokes: lines drawn over the object, each at least one point.
        bg_strokes: lines drawn over background.
        auto: begin with what stands out, as objects 1, 2 …, largest first.
        object_id: the object that is marked, 1 to 255; None is the only one there is, or 1.
        start: a mask to begin with, which marks correct where they are; other objects stay as they
            are.
        fps: frames per second of an image sequence.
        gaps: what stands for missing numbers of an image sequence: "hold", "black" or "error".
        ignore_alpha: read the clip as opaque.
        network: the file of U²-Netp, which makes masks much better; True is model/u2netp.onnx where
            that is there, False or None does without.
        method: what finds the mask: "auto", "salient" (U²-Netp), "graph" (colours, without
            weights), "sam2" or "edgetam" (folders in model/).
        reporter: receives notices; None keeps silent.

    Returns:
        The mask, uint8 (H, W) of object ids, with area and confidence of what was found.

    Raises:
        UsageError: marks outside the picture, or none at all; or no such network or method.
        NothingFoundError: nothing was found.

    >>> import vfx_matte
    >>> first = vfx_matte.mask("clip.mp4", start="mask.png", fg=[(70, 30)])
    >>> first.mask.shape
    (64, 96)
    """
    messages = reporter_of(reporter)
    # checked by name before the pipeline sees them: `fg=(70, 30)` instead of [(70, 30)] is a usual
    # slip, and deserves an error that shows it
    request = MaskRequest(
        at=None if at is None else position_of(at),
        marks=Marks(
            box=None
            if box is None
            else cast(Box, _whole_numbers("box", box, "(x, y, width, height)", 4)),
            clicks=(
                *(Click(x, y) for x, y in _points("fg", fg)),
                *(Click(x, y, is_object=False) for x, y in _points("bg", bg)),
            ),
            strokes=(
                *(
                    Stroke(_points("fg_strokes", points))
                    for points in _listed("fg_strokes", fg_strokes)
                ),
                *(
                    Stroke(_points("bg_strokes", points), is_object=False)
                    for points in _listed("bg_strokes", bg_strokes)
                ),
            ),
        ),
        auto=auto,
        object_id=None
        if object_id is None
        else _whole_numbers("object_id", [object_id], "a number from 1 to 255", 1)[0],
        start=Path(start) if isinstance(start, str | Path) else None,
    )
    weights = named_network(network, model=PathsSettings().model)
    # a mask to begin with is a file, named in the request, or an array
    start_picture = (
        None
        if start is None or isinstance(start, str | Path)
        else _picture(start, "the mask to start from")
    )
    # in memory: no file is written, so that a tool may ask with every click
    found = first_mask(
        open_source(Path(clip), fps=fps, gaps=gaps, ignore_alpha=ignore_alpha, reporter=messages),
        request,
        start=start_picture,
        network=weights,
        method=method,
        model=PathsSettings().model,
        reporter=messages,
    )
    # the result holds them for whoever shows it; a reporter gets them as it gets all notices
    for line in found.notices:
        messages.notify(line)
    return found


def _listed(name: str, given: object) -> Sequence[Any]:
    """A list, tuple or array, as it is.

    Raises:
        UsageError: it is none of these.
    """
    # text is a sequence, too
    if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str):
        raise UsageError(f"{name} is {given!r}", hint=f"give a list: {name}=[…]")
    return cast(Sequence[Any], given)


def _points(name: str, given: object) -> tuple[Point, ...]:
    """Points (x, y) of a list."""
    # whether they lie in the picture is checked where its size is known
    found = [_whole_numbers(name, point, "(x, y)", 2) for point in _listed(name, given)]
    return tuple((x, y) for x, y in found)


def _whole_numbers(name: str, given: object, meant: str, count: int) -> tuple[int, ...]:
    """A fixed number of whole numbers, NumPy's among them.

    Args:
        name: of the argument, for the message.
        given: what the program gave.
        meant: what was expected, for the message.
        count: how many numbers.

    Raises:
        UsageError: it is anything else.
    """
    # a float is refused even where it is whole: pixels that were computed want rounding by whoever
    # knows which way
    numbers = (
        given if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str) else ()
    )
    if len(numbers) != count or not all(
        isinstance(number, int | np.integer) and not isinstance(number, bool) for number in numbers
    ):
        raise UsageError(
            f"{name} holds {given!r}, expected {meant} in whole numbers",
            hint="pixels count from the upper left",
        )
    return tuple(int(number) for number in numbers)


# options that propagators have in common are named; those of one propagator come through **options
@spells_python
def segment(
    clip: str | Path,
    *,
    references: Mapping[int, Painted] | str | Path | None = None,
    text: str | None = None,
    text_model: str | Path | None = None,
    workspace: str | Path = "workspace",
    start: int | str | None = None,
    stop: int | str | None = None,
    fps: Fraction | None = None,
    gaps: str = "hold",
    resume: bool = False,
    fresh: bool = False,
    update: bool = False,
    soft: bool = False,
    cuts: str = "stop",
    map_color: Mapping[str, int] | None = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    propagator: str = "auto",
    memory: str = "permanent",
    **options: object,
) -> SegmentResult:
    """Propagate a few reference masks to every frame of a clip; masks are kept on disk.

    Args:
        clip: a video, a folder of pictures or a numbered pattern.
        references: painted masks by frame number (from 0; of a sequence the pictures' own), or a
            folder whose file names end in it. A label array of object ids, a black and white
            picture and a coloured one are all understood.
        text: what to find instead of references that are given, such as "the dog"; needs SAM 3.
        text_model: SAM 3's folder; None is `sam3` in the model folder.
        workspace: the folder of results.
        start: the first frame, as a number or a time ("4.5s", "1:02.5"); None is the clip's.
        stop: the frame after the last one; None is the clip's end.
        fps: frames per second of an image sequence.
        gaps: what stands for its missing numbers: "hold", "black" or "error".
        resume: go on with earlier work on this clip.
        fresh: replace earlier work on this clip, which is kept aside.
        update: masks have changed: redo only the frames they affect.
        soft: keep probabilities too, for soft edges.
        cuts: what to do at shot changes: "stop" or "ignore"; or the cuts themselves, as frames or
            times: "120,4.5s".
        map_color: which object a painted colour is, 0 = background: {"#ffffff": 1}.
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.
        propagator: the propagator's name, or "auto".
        memory: how references are remembered, see `vfx_matte.pipeline.propagator`.
        options: those of the propagators, as docs/options.md lists them; of weights their path, and
            None does without those that are not needed.

    Returns:
        Where the masks are, and figures of the run.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do; finished frames stay
            on disk.
        TypeError: an unknown option.

    >>> import vfx_matte
    >>> result = vfx_matte.segment("clip.mp4", references={0: "mask.png"})
    >>> (result.start, result.stop)
    (0, 12)
    """
    messages = reporter_of(reporter)
    opened = open_source(
        Path(clip), fps=fps, gaps=gaps, ignore_alpha=ignore_alpha, reporter=messages
    )
    # unknown options are refused by the record of the propagators' options
    request = SegmentRequest(
        references=replace(_reference_files(references), colors=_colors(map_color or {})),
        prompt=text_prompt(
            text,
            weights=None if text_model is None else Path(text_model),
            model=PathsSettings().model,
            device=str(options.get("device") or "auto"),
        ),
        start=None if start is None else position_of(start),
        stop=None if stop is None else position_of(stop),
        propagator=PropagatorOptions(
            name=propagator, memory=memory, values=helping_weights() | options
        ),
        cuts=CutOptions.parse(cuts),
        soft=soft,
        resume=resume,
        fresh=fresh,
        update=update,
    )
    # errors of single frames come late, after hours perhaps; what is finished by then stays on disk
    return segment_clip(opened, request, workspace=Path(workspace), reporter=messages)


def _reference_files(references: Mapping[int, Painted] | str | Path | None) -> ReferenceFiles:
    """Sort references into files and pictures in memory."""
    if references is None:
        return ReferenceFiles()
    # a folder: its files' names say the frames
    if isinstance(references, str | Path):
        return ReferenceFiles(folder=Path(references))
    # both kinds may be mixed; frames are checked where the clip's length is known
    files: dict[int, Path] = {}
    pictures: dict[int, MaskPicture] = {}
    for frame, painted in references.items():
        if isinstance(painted, str | Path):
            files[frame] = Path(painted)
        else:
            pictures[frame] = _picture(painted, f"reference of frame {frame}")
    return ReferenceFiles(files=files, pictures=pictures)


def _picture(painted: npt.NDArray[Any], what: str) -> MaskPicture:
    """An array as a painted picture; `what` names it in the message."""
    # AttributeError: anything at all may be given where an array is expected
    try:
        return MaskPicture(painted)
    except (ValueError, AttributeError) as error:
        raise MaskError(
            f"{what} is not a mask: {error}", hint="give a path, or an array (H, W) of object ids"
        ) from error


def _colors(map_color: Mapping[str, int]) -> tuple[str, ...]:
    """Which object a colour is, as texts "COLOUR=ID"."""
    # the pipeline reads texts, as they stand in commands that it suggests and in the manifest
    return tuple(f"{color}={object_id}" for color, object_id in map_color.items())
