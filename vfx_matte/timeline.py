"""Exact time: integer timestamps in a rational time base, without floats.

`repair` is the one place where broken timestamps are mended, `conform` the one where a clip gets a
rate that it does not have.
"""

from __future__ import annotations

import bisect
import itertools
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import overload

from vfx_matte.errors import UsageError
from vfx_matte.printable import shortened

_FRAME = re.compile(r"-?[0-9]{1,18}")
_FRAMES = re.compile(r"(-?[0-9]{1,18})-(-?[0-9]{1,18})")
_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,12})?)s")
_CLOCK = re.compile(r"(?:([0-9]{1,5}):)?([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]{1,12})?)")


@dataclass(frozen=True, slots=True)
class FrameTime:
    """When one frame is shown."""

    pts: int
    """Start, in ticks of `time_base`."""

    duration: int
    """How long it is shown, in ticks of `time_base`; 0 where that is not known."""

    time_base: Fraction
    """Seconds per tick."""

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise ValueError(f"time_base {self.time_base} is not positive")
        if self.duration < 0:
            raise ValueError(f"duration {self.duration} is negative")

    @property
    def start(self) -> Fraction:
        """Exact start in seconds."""
        return self.pts * self.time_base

    @property
    def end(self) -> Fraction:
        """Exact end in seconds (exclusive)."""
        return (self.pts + self.duration) * self.time_base

    @property
    def seconds(self) -> float:
        """Start in seconds, for people to read; rounded, so nothing is computed with it."""
        return float(self.start)


@dataclass(frozen=True, slots=True)
class Timeline(Sequence[FrameTime]):
    """The FrameTimes of one video stream, in display order.

    Indices are 0-based, ranges half-open.

    Raises:
        ValueError: when pts do not increase, a duration is negative or lengths differ: call
            `repair` on raw timestamps first.
    """

    pts: tuple[int, ...]
    """Strictly increasing ticks."""

    durations: tuple[int, ...]
    """Ticks, one for each frame, ≥ 0."""

    time_base: Fraction
    """Seconds per tick."""

    first_number: int = 0
    """What people call the first frame: the number of the first picture of a sequence, 0 for every
    other clip.
    """

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise ValueError(f"time_base {self.time_base} is not positive")
        if len(self.pts) != len(self.durations):
            raise ValueError(f"{len(self.pts)} timestamps but {len(self.durations)} durations")
        if self.durations and min(self.durations) < 0:
            raise ValueError(f"duration {min(self.durations)} is negative")
        for index in range(1, len(self.pts)):
            if self.pts[index] <= self.pts[index - 1]:
                raise ValueError(
                    f"timestamp {self.pts[index]} of frame {index} does not follow"
                    f" {self.pts[index - 1]}"
                )

    def __len__(self) -> int:
        return len(self.pts)

    @overload
    def __getitem__(self, index: int) -> FrameTime: ...
    @overload
    def __getitem__(self, index: slice) -> Timeline: ...
    def __getitem__(self, index: int | slice) -> FrameTime | Timeline:
        if isinstance(index, slice):
            # range() resolves negative and missing ends of the slice
            number = self.number(range(len(self))[index].start) if self.first_number else 0
            return Timeline(self.pts[index], self.durations[index], self.time_base, number)
        return FrameTime(self.pts[index], self.durations[index], self.time_base)

    def __iter__(self) -> Iterator[FrameTime]:
        for pts, duration in zip(self.pts, self.durations, strict=True):
            yield FrameTime(pts, duration, self.time_base)

    @property
    def start(self) -> Fraction:
        """Exact time of the first frame in seconds (0 for an empty timeline)."""
        return self.pts[0] * self.time_base if self.pts else Fraction(0)

    @property
    def end(self) -> Fraction:
        """Exact end of the last frame in seconds."""
        return (self.pts[-1] + self.durations[-1]) * self.time_base if self.pts else Fraction(0)

    @property
    def intervals(self) -> tuple[int, ...]:
        """Ticks from each frame to the next; one fewer than frames."""
        return tuple(b - a for a, b in itertools.pairwise(self.pts))

    @property
    def is_constant_rate(self) -> bool:
        """True when frames follow at one rate, allowing only the rounding of the time base (at most
        one tick).

        A 29.97 clip in Matroska has intervals of 33 and 34 ms and is constant; every frame then
        lies within one tick of the straight line from the first to the last frame. In a coarse time
        base one tick may be a whole frame, so that a missing frame would pass for rounding:
        intervals therefore never differ by more than half their average.
        """
        count = len(self.pts) - 1
        if count < 2:
            return True
        # everything is multiplied by `count`, so that no division rounds
        span, first, intervals = self.pts[-1] - self.pts[0], self.pts[0], self.intervals
        if 2 * (max(intervals) - min(intervals)) * count > span:
            return False
        return all(
            abs((pts - first) * count - index * span) <= count for index, pts in enumerate(self.pts)
        )

    @property
    def average_fps(self) -> Fraction:
        """Frames per second from the first frame to the last; of one frame alone, by its duration,
        else 25.
        """
        if len(self.pts) > 1:
            return Fraction(len(self.pts) - 1) / ((self.pts[-1] - self.pts[0]) * self.time_base)
        if self.pts and self.durations[0]:
            return 1 / (self.durations[0] * self.time_base)
        return Fraction(25)

    @property
    def typical_fps(self) -> Fraction:
        """Frames per second where nothing is missing: 1 / mean of the intervals within ½ to 1½ of
        their median, or the average.

        A phone that drops a frame in the dark keeps its rate here, and the milliseconds of Matroska
        average out.
        """
        intervals = self.intervals
        if len(intervals) < 2:
            return self.average_fps
        # the median, as a few long gaps would move a mean
        middle = statistics.median(intervals)
        usual = [ticks for ticks in intervals if middle <= 2 * ticks <= 3 * middle]
        if not usual:  # two very unlike halves, with a median that is in neither
            return self.average_fps
        return Fraction(len(usual)) / (sum(usual) * self.time_base)

    def interval_histogram(self) -> Counter[int]:
        """How often each interval (in ticks) occurs."""
        return Counter(self.intervals)

    def index_at(self, seconds: Fraction) -> int:
        """Index of the frame on screen at `seconds`: the last one that starts at or before it,
        clamped to the clip.
        """
        # exact: a float could fall on the wrong side of a frame's first tick
        ticks = seconds / self.time_base
        return max(0, bisect.bisect_right(self.pts, ticks) - 1)

    def number(self, index: int) -> int:
        """What people call the frame `index`: see `first_number`."""
        return self.first_number + index

    @property
    def numbers_text(self) -> str:
        """The numbers of all frames for people: '0 to 23'."""
        return f"{self.first_number} to {self.number(len(self) - 1)}"

    def index_of(self, position: int | Fraction) -> int:
        """Frame index of a position in the clip.

        Args:
            position: an int is a frame's number, which is not clamped: the caller says which
                indices it can use; a Fraction is seconds from the first frame.
        """
        return (
            position - self.first_number
            if isinstance(position, int)
            else self.index_at(self.start + position)
        )

    def index_of_pts(self, pts: int) -> int | None:
        """Index of the frame with exactly this timestamp, or None."""
        index = bisect.bisect_left(self.pts, pts)
        return index if index < len(self.pts) and self.pts[index] == pts else None

    def shifted(self, ticks: int) -> Timeline:
        """The same frames, every timestamp later by `ticks`."""
        return Timeline(
            tuple(pts + ticks for pts in self.pts),
            self.durations,
            self.time_base,
            self.first_number,
        )

    def to_json(self) -> dict[str, object]:
        """A JSON object from which `from_json` makes an equal Timeline."""
        facts: dict[str, object] = {
            "time_base": str(self.time_base),
            "pts": list(self.pts),
            "durations": list(self.durations),
        }
        return facts | ({"first_number": self.first_number} if self.first_number else {})

    @classmethod
    def from_json(cls, data: dict[str, object]) -> Timeline:
        """Read what `to_json` wrote.

        Raises:
            ValueError: when times are impossible.
            KeyError: when something is missing.
            TypeError: when something is of another type.
        """
        pts, durations = data["pts"], data["durations"]
        if not isinstance(pts, list) or not isinstance(durations, list):
            raise TypeError("pts and durations are lists")
        number = data.get("first_number", 0)
        if type(number) is not int:
            raise TypeError(f"first_number {number!r} is not an integer")
        for value in (*pts, *durations):
            if type(value) is not int:  # a float would lose its fraction, and a bool is no time
                raise TypeError(f"timestamp or duration {value!r} is not an integer")
        try:
            time_base = Fraction(str(data["time_base"]))
        except ZeroDivisionError as error:
            raise ValueError(
                f"time_base {data['time_base']!r} has a denominator of zero"
            ) from error
        return cls(tuple(pts), tuple(durations), time_base, number)


@dataclass(frozen=True, slots=True)
class Repairs:
    """How many timestamps `repair` had to change, by kind."""

    missing: int = 0
    """Frames that had none."""

    duplicate: int = 0
    """Frames with the same one as the frame before."""

    backwards: int = 0
    """Frames whose timestamp was not after an earlier one."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.duplicate or self.backwards)

    def __str__(self) -> str:
        kinds = (
            ("missing", self.missing),
            ("duplicate", self.duplicate),
            ("backwards", self.backwards),
        )
        return ", ".join(f"{count} {name}" for name, count in kinds if count)


def repair(
    pts: Sequence[int | None], *, time_base: Fraction, nominal_ticks: int
) -> tuple[Timeline, Repairs]:
    """Make strictly increasing timestamps out of what a decoder gave, in display order.

    The rule: the good timestamps are the longest strictly increasing subsequence, and they are kept
    as they are. Every other frame is placed evenly between its good neighbours (rounded down to a
    tick); before the first and after the last good one it lies at `nominal_ticks`. Where there is
    no room, frames follow at one tick and push later ones only as far as needed to keep the order;
    frames pushed so are not counted in Repairs. Durations are the distance to the next frame; the
    last frame's is the nominal one.

    Args:
        pts: raw timestamps, None where there is none.
        time_base: seconds per tick.
        nominal_ticks: expected distance of two frames, ≥ 1.
    """
    if nominal_ticks < 1:
        raise ValueError(f"nominal_ticks {nominal_ticks} is below 1")
    # a single wrong timestamp far in the future must not make all that follow it wrong: hence the
    # longest subsequence, not the first one
    kept = _longest_increasing(pts)
    missing = sum(value is None for value in pts)
    dropped = [index for index, value in enumerate(pts) if value is not None and index not in kept]
    duplicate = sum(index > 0 and pts[index] == pts[index - 1] for index in dropped)
    good = [value if index in kept else None for index, value in enumerate(pts)]
    filled = _fill_gaps(good, nominal_ticks)
    durations = [b - a for a, b in itertools.pairwise(filled)] + [nominal_ticks] * (
        1 if filled else 0
    )
    # duplicates are those that repeat the frame before; all others that were dropped went backwards
    timeline = Timeline(tuple(filled), tuple(durations), time_base)
    return timeline, Repairs(missing, duplicate, len(dropped) - duplicate)


def _longest_increasing(values: Sequence[int | None]) -> set[int]:
    """Indices of a longest strictly increasing subsequence, the earliest of equal values (patience
    sorting).
    """
    # tails[k] is the smallest end of an increasing subsequence of length k + 1; `before` leads back
    tails: list[int] = []
    tail_indices: list[int] = []
    before: dict[int, int | None] = {}
    for index, value in enumerate(values):
        if value is None:
            continue
        length = bisect.bisect_left(tails, value)
        if length < len(tails) and tails[length] == value:
            continue
        before[index] = tail_indices[length - 1] if length else None
        tails[length : length + 1] = [value]
        tail_indices[length : length + 1] = [index]
    # follow the longest one from its end
    kept: set[int] = set()
    cursor = tail_indices[-1] if tail_indices else None
    while cursor is not None:
        kept.add(cursor)
        cursor = before[cursor]
    return kept


def _fill_gaps(good: Sequence[int | None], nominal_ticks: int) -> list[int]:
    """Replace each None; see `repair` for the rule."""
    known = [index for index, value in enumerate(good) if value is not None]
    if not known:  # the clip runs at its nominal rate, from zero
        return [index * nominal_ticks for index in range(len(good))]
    first = good[known[0]]
    assert first is not None
    # before the first good timestamp: backwards at the nominal distance
    filled = [first - (known[0] - index) * nominal_ticks for index in range(known[0])]
    # each good one, pushed on where those before it took its place, then the frames up to the next
    for position, index in enumerate(known):
        value = good[index]
        assert value is not None
        if filled:
            value = max(value, filled[-1] + 1)
        filled.append(value)
        following = known[position + 1] if position + 1 < len(known) else len(good)
        gap = following - index
        later = good[following] if following < len(good) else None
        # after the last good one there is no neighbour to share the way with
        step = (
            Fraction(nominal_ticks)
            if later is None
            else max(Fraction(later - value, gap), Fraction(1))
        )
        filled.extend(value + int(step * offset) for offset in range(1, gap))
    return filled


def parse_position(text: str) -> int | Fraction:
    """Read where in a clip: a frame's number, or a time.

    Args:
        text: "120" is the frame of that number; "4.5s", "1:02.5" and "0:01:02.5" are seconds.

    Returns:
        An int for a number, a Fraction for seconds.

    Raises:
        UsageError: for anything else.
    """
    value = text.strip()
    if _FRAME.fullmatch(value):
        return int(value)
    if match := _SECONDS.fullmatch(value):
        return Fraction(match[1])
    if match := _CLOCK.fullmatch(value):
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + Fraction(match[3])
    raise UsageError(
        f"position {text!r} is not understood",
        hint="give a frame number (120) or a time (4.5s, 1:02.5, 0:01:02.5)",
    )


def parse_frames(text: str) -> tuple[int, int]:
    """Read a range of frames as render farms write it: "1001-1024", both included.

    Returns:
        The same as positions (`parse_position`): the first frame's number, and the one after the
        last frame's.

    Raises:
        UsageError: for anything else.
    """
    match = _FRAMES.fullmatch(text.strip())
    first, last = (int(match[1]), int(match[2])) if match else (1, 0)
    if first > last:
        raise UsageError(
            f"frames {shortened(text)!r} are not a range of numbers",
            hint="give the first and the last one: 1001-1024; one frame is 1001-1001",
        )
    return first, last + 1


LOWEST_RATE, HIGHEST_RATE = Fraction(1, 1000), Fraction(1000)
"""Frames per second; a slip beyond them would make millions of frames."""

_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9}|/[0-9]{1,9})?", re.ASCII)


def parse_rate(text: str) -> Fraction:
    """Read frames per second: "25", "29.97" or "30000/1001".

    Raises:
        UsageError: for anything else, and for what lies outside of LOWEST_RATE to HIGHEST_RATE.
    """
    # the pattern first: Fraction also takes "1e9", signs, and digits without end
    try:
        rate = Fraction(text) if _RATE.fullmatch(text.strip()) else Fraction(0)
    except ZeroDivisionError:
        rate = Fraction(0)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        hint = (
            f"give a number or a fraction from 1/{LOWEST_RATE.denominator} to {HIGHEST_RATE}, e.g."
            " 25 or 30000/1001"
        )
        raise UsageError(f"fps {shortened(text)!r} is not a rate", hint=hint)
    return rate


STANDARD_RATES = tuple(
    Fraction(rate)
    for rate in (
        "10", "12", "25/2", "15", "24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001",
        "60", "100",
        "120000/1001", "120", "240000/1001", "240",
    )
)  # fmt: skip
"""Frames per second that editing programs offer for a sequence."""

# what ffmpeg and the editing programs write for whole rates: 24 fps as 24000/1000
_LEAST_TIMESCALE = 1000
# sound that begins a tenth of a frame early moves the grid rather than add a whole frame of nothing
_NEGLIGIBLE_STEP = Fraction(1, 10)
_HALF = Fraction(1, 2)


def nearest_standard_rate(timeline: Timeline) -> Fraction:
    """The rate of STANDARD_RATES nearest, in ratio, to a clip's own: its average when constant,
    else its typical rate.
    """
    fps = timeline.average_fps if timeline.is_constant_rate else timeline.typical_fps
    return min(STANDARD_RATES, key=lambda rate: max(rate / fps, fps / rate))


def constant_ticks(rate: Fraction) -> tuple[int, int]:
    """(ticks per second, ticks per frame) in which every frame of a rate lasts a whole number:
    30000/1001 → (30000, 1001).

    A rate without a denominator of 1001 counts in thousands: 24 → (24000, 1000), 25/2 → (25000,
    2000).
    """
    scale = 1 if rate.numerator >= _LEAST_TIMESCALE else _LEAST_TIMESCALE
    return rate.numerator * scale, rate.denominator * scale


@dataclass(frozen=True, slots=True)
class ConformMap:
    """Which source frame a clip of constant rate shows on each of its frames."""

    rate: Fraction
    """Frames per second of the constant clip."""

    timeline: Timeline
    """The constant frames, on the source's clock (so that sound keeps its place)."""

    indices: tuple[int, ...]
    """The source's frame on each constant frame, 0-based, never falling."""

    errors: tuple[Fraction, ...]
    """Seconds by which a frame is shown before its time; 0 when it is on screen just then."""

    lead: int
    """How many frames stand before the source's first one and hold it, because the sound begins
    earlier.
    """

    source_count: int
    """How many frames the source has."""

    first_number: int = 0
    """What people call the source's first frame, see `Timeline.first_number`."""

    def source_number(self, index: int) -> int:
        """What people call the source's frame `index`."""
        return self.first_number + index

    @property
    def duplicated(self) -> int:
        """Frames that show the same source frame as the one before."""
        return len(self.indices) - len(set(self.indices))

    @property
    def dropped(self) -> int:
        """Source frames that are never shown."""
        return self.source_count - len(set(self.indices))

    @property
    def largest_error(self) -> Fraction:
        """Seconds; never more than half a frame of the constant rate."""
        return max(self.errors, default=Fraction(0))


def conform(
    timeline: Timeline, rate: Fraction, *, sound_start: Fraction | None = None
) -> ConformMap:
    """Lay a clip on a grid of constant rate.

    The grid begins with the first frame (rounded down to a tick of `constant_ticks`). The rule: a
    grid time shows the frame whose timestamp is nearest to it, if one lies within half a grid step,
    [−½, +½); of two equally near ones the earlier. Otherwise it shows the frame that is on screen
    then. So where frames are at least a step apart none is lost, none is ever shown more than half
    a step before its time, and a clip of that very rate comes out as it is. The grid ends with the
    clip, rounded to a step.

    Args:
        timeline: of the clip, not empty.
        rate: frames per second, > 0.
        sound_start: exact seconds; where sound begins before the picture, whole steps are put in
            front, which hold the first frame, or the grid moves forward when it is by less than a
            tenth of a step.

    Raises:
        ValueError: for an empty timeline or a rate that is not positive.
    """
    if not timeline.pts or rate <= 0:
        # the arguments come from callers that have checked them, so this is no message for people
        raise ValueError(f"cannot lay {len(timeline)} frames on a rate of {rate}")
    scale, step = constant_ticks(rate)
    # how many steps the sound needs in front of the picture
    early = (
        max(Fraction(0), timeline.start - sound_start) if sound_start is not None else Fraction(0)
    )
    # and where the first step lies, on the source's clock
    lead = math.ceil(early * rate) if early * rate > _NEGLIGIBLE_STEP else 0
    first = math.floor((timeline.start if lead else timeline.start - early) * scale)
    common = math.lcm(scale, timeline.time_base.denominator)
    # as many steps as the clip is long, rounded; at least one
    length = timeline.end - Fraction(first, scale)
    count = max(1, math.floor(length * rate + _HALF))
    if not timeline.durations[-1]:  # its length is not known, so it gets a step
        count = max(count, math.floor(length * rate + _HALF) + 1)
    count += lead
    grid = Timeline(
        tuple(first + (number - lead) * step for number in range(count)),
        (step,) * count,
        Fraction(1, scale),
    )
    # which frame each step shows, and by how much too early, in a clock that holds both exactly
    indices = frames_on(timeline, grid)
    unit, source_unit = _units(timeline, grid)
    ahead = (
        timeline.pts[index] * source_unit - pts * unit
        for index, pts in zip(indices, grid.pts, strict=True)
    )
    errors = tuple(
        Fraction(max(0, ticks) if number >= lead else 0, common)
        for number, ticks in enumerate(ahead)
    )
    return ConformMap(rate, grid, indices, errors, lead, len(timeline), timeline.first_number)


def frames_on(timeline: Timeline, grid: Timeline) -> tuple[int, ...]:
    """The frame of a clip that each time of a grid of constant rate shows, by the rule of
    `conform`.
    """
    unit, source_unit = _units(timeline, grid)
    times, pace = [pts * source_unit for pts in timeline.pts], grid.durations[0] * unit
    # one walk along both, as neither goes back
    indices, shown = [], 0
    for pts in grid.pts:
        now = pts * unit
        while shown + 1 < len(times) and times[shown + 1] <= now:
            shown += 1
        following = shown + 1
        close = following < len(times) and 2 * (times[following] - now) < pace
        indices.append(
            following if close and now - times[shown] > times[following] - now else shown
        )
    return tuple(indices)


def _units(timeline: Timeline, grid: Timeline) -> tuple[int, int]:
    """What a tick of the grid, and one of the timeline, is in the coarsest clock that holds both as
    whole numbers.
    """
    common = math.lcm(grid.time_base.denominator, timeline.time_base.denominator)
    unit, source_unit = (
        base.numerator * (common // base.denominator)
        for base in (grid.time_base, timeline.time_base)
    )
    return unit, source_unit
