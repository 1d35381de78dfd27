"""Frame numbers of sequences and videos, and notices and hints about them.

The frames of a video count from 0, those of a sequence have the numbers of its pictures. Everything
that is typed and printed is such a number (`Timeline.number`); the pipeline computes with indices
from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from vfx_matte.media.probe import ClipInfo
from vfx_matte.numbering import split_name

# pictures in a notice
_NAMED = 3


def picture_name(info: ClipInfo, index: int) -> str:
    """The file name of a frame's picture; of a missing number, of the picture that is held; "" for
    a video.
    """
    return "" if info.files is None else info.files.path_or_earlier(index).name


def is_ambiguous(info: ClipInfo, number: int) -> bool:
    """Whether a number is one picture's by its name, and another one's when counted from 0."""
    timeline = info.timeline
    by_name, counted = timeline.index_of(number), number
    return (
        info.files is not None
        and by_name != counted
        and all(0 <= index < len(timeline) for index in (by_name, counted))
    )


def ambiguity_notice(info: ClipInfo, numbers: Iterable[int], what: str) -> str:
    """A notice that says which pictures ambiguous numbers are; "" without any.

    Args:
        info: of the clip.
        numbers: that were typed.
        what: what they are the numbers of: "frame", "mask" …
    """
    ambiguous = sorted(number for number in numbers if is_ambiguous(info, number))
    if not ambiguous:
        return ""
    named = ", ".join(
        f"{what} {number} is {picture_name(info, info.timeline.index_of(number))}"
        for number in ambiguous[:_NAMED]
    )
    more = f" and {len(ambiguous) - _NAMED} more likewise" if len(ambiguous) > _NAMED else ""
    return f"frames of a sequence have the numbers of its pictures: {named}{more}"


def named_after(info: ClipInfo, mask: str) -> int | None:
    """The number of the picture that a mask file is named after: same name but for the suffix.

    None for a video, and where there is no such picture.
    """
    # the number finds the picture, its whole name decides: "b.0007.png" is not "a.0007.png"
    name = split_name(mask)
    if info.files is None or name is None:
        return None
    index = info.timeline.index_of(name.number)
    is_frame = 0 <= index < len(info.timeline)
    is_named = is_frame and PurePath(picture_name(info, index)).stem == PurePath(mask).stem
    return info.timeline.number(index) if is_named else None


def outside_hint(info: ClipInfo, number: int) -> str:
    """The hint for a number that no frame has."""
    timeline = info.timeline
    if info.files is None:
        return f"the clip has frames {timeline.numbers_text}, counted from 0"
    hint = f"frames have the numbers of their pictures, {timeline.numbers_text}"
    # somebody counted from 0: name the number of the picture that was meant
    counted = 0 <= number < len(timeline)
    return f"{hint}; counted from 0, {number} is {timeline.number(number)}" if counted else hint
