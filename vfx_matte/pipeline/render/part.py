"""Renders one frame or a range of frames of a clip.

Edges are tried out in a second, and a shot of a long clip is made by itself. What is made is what
the whole render would show there, to the bit: keys are chosen, and edges stabilized, as for the
whole clip.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.files.atomic import AtomicFile
from vfx_matte.masks import object_ids
from vfx_matte.media.formats import CONTAINERS
from vfx_matte.media.pixels import as_layout
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.verify import Check, VerifyReport
from vfx_matte.media.writers.numbered_files import EXR, PNG, USUAL_DIGITS, is_numbered
from vfx_matte.media.writers.stills import is_same_still, save_still
from vfx_matte.numbering import padded
from vfx_matte.picture import Picture
from vfx_matte.pipeline.clip import SegmentedClip, SourceClip, refuse_reference
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.outputs import (
    PlannedOutput,
    RenderResult,
    compose_frames,
    keep_verified,
    write_outputs,
)
from vfx_matte.pipeline.render.request import refuse_other_file
from vfx_matte.wording import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which part of a clip is rendered: positions as `timeline.parse_position` reads them.

    Raises:
        UsageError: a frame and a range are both given.
    """

    frame: int | Fraction | None = None
    """One frame, as a PNG file."""

    start: int | Fraction | None = None
    """The first frame of a range; None is the clip's."""

    stop: int | Fraction | None = None
    """The frame after the range; None is the clip's end."""

    def __post_init__(self) -> None:
        if self.frame is not None and (self.start, self.stop) != (None, None):
            raise UsageError(
                f"{option('frame')} and a range exclude each other",
                hint=f"give {option('frame')}, or {option('start')} and {option('stop')}",
            )

    def span(self, clip: SegmentedClip, reporter: Reporter) -> tuple[int, int] | None:
        """The half-open range of frames; None is all of the clip.

        Raises:
            UsageError: a position that is not in the clip.
        """
        source = SourceClip(clip.info.path, clip.reader, reporter.notify)
        if self.frame is not None:
            index = source.frame_index(self.frame)
            return index, index + 1
        span = source.frame_range(self.start, self.stop)
        # a range that is the whole clip is no part: it gets the whole render's name and timecode
        return None if span == (0, len(clip.info.timeline)) else span


WHOLE = Selection()


def split_output(output: Path | None, selection: Selection) -> tuple[Path | None, Path | None]:
    """Tell whether an output names the picture of a single frame, or the whole render.

    Args:
        output: as it was given; it may end in .png for the picture.
        selection: what is rendered.

    Returns:
        The path of the picture and that of the whole render; None is the usual one.

    Raises:
        UsageError: a single frame cannot be written as such a file.
    """
    if selection.frame is None or output is None or is_numbered(output) or output.is_dir():
        return None, output
    # .png is the picture; other suffixes of videos say what is shown, and a picture lies beside
    suffix = output.suffix.lower()
    if suffix == PNG:
        return output, None
    if suffix and suffix not in CONTAINERS:
        raise UsageError(
            f"{option('frame')} writes a PNG file, {output.name!r} is none",
            hint=f"give a name that ends in .png with {option('output')}",
        )

    return None, output


def range_path(path: Path, info: ClipInfo, span: tuple[int, int]) -> Path:
    """The usual path of a range: greenback.0000120-0000239.mp4, by first and last frame; no whole
    render is replaced.
    """
    # by the first and the last frame, both rendered: people count them in their player
    numbers = "-".join(_number(info, index) for index in (span[0], span[1] - 1))
    return path.with_name(f"{path.stem}.{numbers}{path.suffix}")


def frame_path(planned: PlannedOutput, info: ClipInfo, index: int, *, within: bool) -> Path:
    """The usual path of a frame's picture: FOLDER/0000120.png of numbered files, otherwise
    greenback.0000120.png, beside what the whole render would write.

    Args:
        planned: the output, planned from this frame on.
        info: of the clip.
        index: of the frame.
        within: whether a folder may get the picture.
    """
    path = planned.path
    if planned.plan is None and within:
        return path / planned.names.name(0)
    stem = path.stem if path.suffix.lower() in CONTAINERS else path.name
    return path.with_name(f"{stem}.{_number(info, index)}{PNG}")


def _number(info: ClipInfo, index: int) -> str:
    return padded(
        info.timeline.number(index), USUAL_DIGITS if info.files is None else info.files.digits
    )


def write_frame(
    clip: SegmentedClip,
    outputs: Sequence[PlannedOutput],
    index: int,
    paths: Sequence[Path],
    reporter: Reporter,
) -> list[RenderResult]:
    """Save what outputs show of one frame as PNG files, and read them back.

    A picture is that which a video's encoder would be given, as R'G'B' or gray, in 8 or 16 bits; of
    numbered pictures, theirs.

    Args:
        clip: a segmented clip.
        outputs: what is shown.
        index: of the frame.
        paths: of the pictures, one per output.
        reporter: receives notices.

    Returns:
        One result per output, in their order.

    Raises:
        UsageError: a picture would replace what it is made of, or a file that was not made here.
        OutputError: a picture cannot be written.
        VerifyError: a picture differs in the file.
    """
    started, number = clock.monotonic(), clip.info.timeline.number(index)
    for output, path in zip(outputs, paths, strict=True):
        output.check(path)
        # a picture beside the clip may be the mask that somebody painted
        refuse_reference(clip, path)
        refuse_other_file(clip, path)
    # one pass for all outputs, which also makes the frames that stabilizing needs before this one
    clip.store.check_masks()
    with closing(compose_frames(clip, outputs, index, index + 1)) as frames:
        pictures, time, has_mask = next(frames)
    clip.check_unchanged()
    results = []
    for output, path, composed in zip(outputs, paths, pictures, strict=True):
        picture = _encoder_input(composed, output)
        with AtomicFile(path) as file, file.naming_final():
            save_still(file.part, picture)

            def read_back(part: Path = file.part, picture: Picture = picture) -> VerifyReport:
                same = is_same_still(part, picture)
                return VerifyReport(
                    part,
                    "PyAV",
                    (Check("pixels", same, "read back" if same else "are others in the file"),),
                )

            report = keep_verified(file, read_back)
        # the time is told as well, for those who look the frame up in a player
        depth = 8 if picture.layout.bit_depth == 8 else 16
        seconds = float(time.start - clip.info.timeline.start)
        encoding = f"PNG, {depth} bit: frame {number}, at {seconds:.3f} s"
        results.append(
            RenderResult(path, encoding, 1, int(not has_mask), report, clock.monotonic() - started)
        )
    if not has_mask:
        reporter.notify(f"frame {number} has no mask and shows nothing of the subject")
    return results


def _encoder_input(picture: Picture, output: PlannedOutput) -> Picture:
    """The picture as the output's encoder is given it."""
    return (
        picture
        if output.plan is None
        else as_layout(picture, output.plan.layout, color=output.plan.color)
    )


def notify_range(
    clip: SegmentedClip,
    span: tuple[int, int],
    reporter: Reporter,
    *,
    is_file: bool,
    has_sound: bool,
) -> None:
    """Tell which frames are rendered; of a file, where it belongs on a timeline and how its sound
    is cut.

    Args:
        clip: a segmented clip.
        span: the half-open range of frames.
        reporter: receives the notice.
        is_file: whether one file is made, rather than numbered ones.
        has_sound: whether it gets the clip's sound.
    """
    # numbers as people know them: those of the pictures where the clip is a sequence
    timeline = clip.info.timeline
    first, last = (timeline.number(index) for index in (span[0], span[1] - 1))
    line = f"frames {first} to {last} of the clip"
    if is_file:
        seconds = timeline[span[0]].start - timeline.start
        where = (
            "the clip's beginning" if span[0] == 0 else f"frame {first} ({float(seconds):.3f} s)"
        )
        line += f": lay the file at {where}, which is its time 0"
    if has_sound and clip.info.audio:
        line += (
            "; sound is cut to them, to the sample where it is PCM or encoded anew, to the packet"
            " where it is copied"
        )
    reporter.notify(line)


def with_range_paths(
    clip: SegmentedClip, outputs: Sequence[PlannedOutput], span: tuple[int, int]
) -> list[PlannedOutput]:
    """The outputs of a range at the usual paths of ranges.

    Raises:
        UsageError: such a path would replace what the output is made of.
    """
    # checked once more, because planning has checked the whole render's path only
    moved = [replace(output, path=range_path(output.path, clip.info, span)) for output in outputs]
    for output in moved:
        output.check(output.path)
    return moved


def _notify_absence(
    clip: SegmentedClip, index: int, objects: tuple[int, ...] | None, reporter: Reporter
) -> None:
    """Say in a line which objects a single frame does not show: its picture would look like a
    failure, a key colour and nothing else.
    """
    mask = clip.mask(index)
    if mask is None:  # `write_frame` says so
        return
    shown = object_ids(mask)
    # asked for by id, each absent one is named; otherwise only a frame without any is worth a line
    absent = [object_id for object_id in objects or () if object_id not in shown]
    if not absent and shown:
        return
    number = clip.info.timeline.number(index)
    who = " or ".join(f"object {object_id}" for object_id in absent) or "object"
    reporter.notify(f"the mask of frame {number} has no {who}, so its picture shows nothing of it")


Plan = Callable[[int, Path | None], Sequence[PlannedOutput]]
"""Plans outputs: from the index of the first frame, and a path, None = the usual one."""


def render_selection(
    clip: SegmentedClip,
    plan: Plan,
    output: Path | None,
    selection: Selection,
    reporter: Reporter,
    *,
    objects: tuple[int, ...] | None,
    picture_paths: Callable[[Path], Sequence[Path]] = lambda path: [path],
) -> list[RenderResult]:
    """Render all of a clip, a range or one frame of it.

    Args:
        clip: a segmented clip.
        plan: plans the outputs.
        output: where they go, as it was given; None is the usual path.
        selection: what is rendered.
        reporter: receives notices and progress.
        objects: ids of the objects that were asked for; None is all.
        picture_paths: the pictures of a single frame for a name that was given, one per output.

    Returns:
        One result per output, in their order.

    Raises:
        UsageError: a request that cannot be met.
        OutputError: an output cannot be written.
        VerifyError: an output differs from what it should be.
    """
    span = selection.span(clip, reporter)
    picture, path = split_output(output, selection)
    outputs = plan(span[0] if span else 0, path)
    # the whole clip
    if span is None:
        return write_outputs(clip, outputs, reporter)
    # one frame, as pictures
    if selection.frame is not None:
        _notify_absence(clip, span[0], objects, reporter)
        # a folder of EXR files, whose frame is shown as PNG, is left alone
        within = path is None or path.suffix.lower() != EXR
        paths = (
            [frame_path(planned, clip.info, span[0], within=within) for planned in outputs]
            if picture is None
            else picture_paths(picture)
        )
        return write_frame(clip, outputs, span[0], paths, reporter)
    # a range; a path that was named is taken as it is
    if path is None:
        outputs = with_range_paths(clip, outputs, span)
    files = [planned for planned in outputs if planned.plan is not None]
    notify_range(
        clip, span, reporter, is_file=bool(files), has_sound=any(file.sound for file in files)
    )
    return write_outputs(clip, outputs, reporter, span=span)
