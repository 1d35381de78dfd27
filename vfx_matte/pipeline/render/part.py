"""One frame, or a range of frames, of a render: edges are tried out in a second, and a shot of a
long clip is made alone.

What is made is what the whole render would show there, to the bit: keys are chosen, and edges
steadied, as for the whole clip.
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
from vfx_matte.media.formats import CONTAINERS
from vfx_matte.media.pixels import as_layout
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.verify import Check, VerifyReport
from vfx_matte.media.writers.numbered_files import PNG, USUAL_DIGITS, is_numbered
from vfx_matte.media.writers.stills import is_same_still, save_still
from vfx_matte.numbering import padded
from vfx_matte.picture import Picture
from vfx_matte.pipeline.clip import SegmentedClip, SourceClip, refuse_reference
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.outputs import (
    PlannedOutput,
    RenderResult,
    composed,
    keep_verified,
    write_outputs,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a clip is rendered: positions as of `timeline.parse_position`.

    frame: that one alone, as a PNG file.

    start, stop: a half-open range; None is the clip's own begin or end. Raises UsageError for a
    frame and a range.
    """

    frame: int | Fraction | None = None
    start: int | Fraction | None = None
    stop: int | Fraction | None = None

    def __post_init__(self) -> None:
        if self.frame is not None and (self.start, self.stop) != (None, None):
            raise UsageError(
                "--frame and a range exclude each other", hint="give --frame, or --start and --stop"
            )

    def span(self, clip: SegmentedClip, reporter: Reporter) -> tuple[int, int] | None:
        """The half-open range of frames; None is all of the clip.

        Raises UsageError for positions that are not in it.
        """
        source = SourceClip(clip.info.path, clip.reader, reporter.notify)
        if self.frame is not None:
            index = source.frame_index(self.frame)
            return index, index + 1
        span = source.frame_range(self.start, self.stop)
        return None if span == (0, len(clip.info.timeline)) else span


WHOLE = Selection()


def split_place(output: Path | None, selection: Selection) -> tuple[Path | None, Path | None]:
    """(where the picture of a single frame goes, where the whole render would go), None for the
    usual places.

    output: as it was given: the name of the picture when it ends in .png, or that of the whole
    render.
    """
    if selection.frame is None or output is None or is_numbered(output) or output.is_dir():
        return None, output
    suffix = output.suffix.lower()
    if suffix == PNG:
        return output, None
    if suffix and suffix not in CONTAINERS:
        raise UsageError(
            f"--frame writes a PNG file, {output.name!r} is none",
            hint="give a name that ends in .png with -o",
        )
    return None, output


def place_of_range(path: Path, info: ClipInfo, span: tuple[int, int]) -> Path:
    """The usual place of a range: greenback.0000120-0000239.mp4, by first and last frame; no whole
    render is replaced.
    """
    numbers = "-".join(_number(info, index) for index in (span[0], span[1] - 1))
    return path.with_name(f"{path.stem}.{numbers}{path.suffix}")


def place_of_frame(planned: Path, info: ClipInfo, index: int) -> Path:
    """The usual place of a frame's picture: greenback.0000120.png, beside what the whole render
    would write.
    """
    stem = planned.stem if planned.suffix.lower() in CONTAINERS else planned.name
    return planned.with_name(f"{stem}.{_number(info, index)}{PNG}")


def _number(info: ClipInfo, index: int) -> str:
    return padded(
        info.timeline.number(index), USUAL_DIGITS if info.files is None else info.files.digits
    )


def write_frame(
    clip: SegmentedClip,
    outputs: Sequence[PlannedOutput],
    index: int,
    places: Sequence[Path],
    reporter: Reporter,
) -> list[RenderResult]:
    """Save what outputs show of one frame as PNG files, and read them back.

    Raises UsageError, OutputError or VerifyError.

    A picture is that which a video's encoder would be given, as R'G'B' or gray, in 8 or 16 bits; of
    numbered pictures, theirs.
    """
    started, number = clock.monotonic(), clip.info.timeline.number(index)
    for one, place in zip(outputs, places, strict=True):
        one.check(place)
        refuse_reference(clip, place)
    clip.store.check_masks()
    with closing(composed(clip, outputs, index, index + 1)) as made:
        pictures, time, has_mask = next(made)
    clip.check_unchanged()
    results = []
    for one, place, composed_picture in zip(outputs, places, pictures, strict=True):
        picture = _encoded(composed_picture, one)
        with AtomicFile(place) as file, file.naming_final():
            save_still(file.part, picture)

            def read_back(part: Path = file.part, picture: Picture = picture) -> VerifyReport:
                same = is_same_still(part, picture)
                return VerifyReport(
                    part,
                    "PyAV",
                    (Check("pixels", same, "read back" if same else "are others in the file"),),
                )

            report = keep_verified(file, read_back)
        depth = 8 if picture.layout.bit_depth == 8 else 16
        seconds = float(time.start - clip.info.timeline.start)
        encoding = f"PNG, {depth} bit: frame {number}, at {seconds:.3f} s"
        results.append(
            RenderResult(place, encoding, 1, int(not has_mask), report, clock.monotonic() - started)
        )
    if not has_mask:
        reporter.notify(f"frame {number} has no mask and shows nothing of the subject")
    return results


def _encoded(picture: Picture, output: PlannedOutput) -> Picture:
    """The picture as the output's encoder is given it."""
    return (
        picture
        if output.plan is None
        else as_layout(picture, output.plan.layout, color=output.plan.color)
    )


def say_range(
    clip: SegmentedClip,
    span: tuple[int, int],
    reporter: Reporter,
    *,
    is_file: bool,
    has_sound: bool,
) -> None:
    """Tell which frames are rendered; of a file, where it belongs on a timeline and how its sound
    is cut.
    """
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


def with_places(
    clip: SegmentedClip, outputs: Sequence[PlannedOutput], span: tuple[int, int], *, is_usual: bool
) -> list[PlannedOutput]:
    """The outputs of a range, at places of their own where none were named.

    Raises UsageError as their `check` does.
    """
    if not is_usual:
        return list(outputs)
    moved = [replace(one, path=place_of_range(one.path, clip.info, span)) for one in outputs]
    for one in moved:
        one.check(one.path)
    return moved


Make = Callable[[int, Path | None], Sequence[PlannedOutput]]
"""Plans outputs: from the index of the first frame, and a place, None = the usual one."""


def rendered(
    clip: SegmentedClip,
    make: Make,
    output: Path | None,
    selection: Selection,
    reporter: Reporter,
    *,
    named: Callable[[Path], Sequence[Path]] = lambda path: [path],
) -> list[RenderResult]:
    """Render all of a clip, a range or one frame of it.

    named: the pictures of a frame for a given name.
    """
    span = selection.span(clip, reporter)
    picture, place = split_place(output, selection)
    outputs = make(span[0] if span else 0, place)
    if span is None:
        return write_outputs(clip, outputs, reporter)
    if selection.frame is not None:
        places = (
            [place_of_frame(one.path, clip.info, span[0]) for one in outputs]
            if picture is None
            else named(picture)
        )
        return write_frame(clip, outputs, span[0], places, reporter)
    outputs = with_places(clip, outputs, span, is_usual=place is None)
    files = [one for one in outputs if one.plan is not None]
    say_range(clip, span, reporter, is_file=bool(files), has_sound=any(one.sound for one in files))
    return write_outputs(clip, outputs, reporter, span=span)
