"""What people call frames: a video's count from 0, those of a sequence have the numbers of its
pictures.

Everything that is typed and printed is such a number (`Timeline.number`); the pipeline computes
with indices from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from vfx_matte.media.probe import ClipInfo
from vfx_matte.numbering import split_name

_NAMED = 3


def picture_name(info: ClipInfo, index: int) -> str:
    """The picture of a frame of a sequence; of a missing number the one that it has instead; empty
    for a video.
    """
    return "" if info.files is None else info.files.path_or_earlier(index).name


def is_ambiguous(info: ClipInfo, number: int) -> bool:
    """Whether a number is that of one picture, and another one's when pictures are counted
    from 0.
    """
    timeline = info.timeline
    here, counted = timeline.index_of(number), number
    return (
        info.files is not None
        and here != counted
        and all(0 <= at < len(timeline) for at in (here, counted))
    )


def laid_on(info: ClipInfo, numbers: Iterable[int], what: str) -> str:
    """Which pictures ambiguous numbers are: a notice, empty when there is nothing to say.

    what: "frame", "mask" …
    """
    doubtful = sorted(number for number in numbers if is_ambiguous(info, number))
    if not doubtful:
        return ""
    named = ", ".join(
        f"{what} {at} is {picture_name(info, info.timeline.index_of(at))}"
        for at in doubtful[:_NAMED]
    )
    more = f" and {len(doubtful) - _NAMED} more likewise" if len(doubtful) > _NAMED else ""
    return f"frames of a sequence have the numbers of its pictures: {named}{more}"


def named_after(info: ClipInfo, mask: str) -> int | None:
    """The number of the picture of a sequence whose name, without suffix, a mask file has; None
    when it has none's.
    """
    name = split_name(mask)
    if info.files is None or name is None:
        return None
    index = info.timeline.index_of(name.number)
    is_frame = 0 <= index < len(info.timeline)
    is_named = is_frame and PurePath(picture_name(info, index)).stem == PurePath(mask).stem
    return info.timeline.number(index) if is_named else None


def outside_hint(info: ClipInfo, number: int) -> str:
    """What to say to a number that no frame has."""
    timeline = info.timeline
    if info.files is None:
        return f"the clip has frames {timeline.numbers_text}, counted from 0"
    hint = f"frames have the numbers of their pictures, {timeline.numbers_text}"
    counted = 0 <= number < len(timeline)
    return f"{hint}; counted from 0, {number} is {timeline.number(number)}" if counted else hint
