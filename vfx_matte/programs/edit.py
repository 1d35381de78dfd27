"""A simple edit: tracks of clips of media files, checked and counted in whole frames.

Every time is a whole number of frames at the edit's rate, and so exact; `VideoRate.seconds` gives
it as a fraction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vfx_matte.errors import UsageError
from vfx_matte.picture import ColorTags
from vfx_matte.timecode import read_timecode, timecode_text
from vfx_matte.wording import option

AlphaMode = Literal["none", "straight", "premultiplied"]
FieldOrder = Literal["none", "upper", "lower"]

_NTSC = Fraction(1000, 1001)


@dataclass(frozen=True, slots=True)
class VideoRate:
    """A constant rate as editing programs write it."""

    timebase: int
    """Frames per second, nominally."""

    ntsc: bool = False
    """Whether they are slowed by 1000/1001."""

    def __post_init__(self) -> None:
        if self.timebase < 1:
            raise ValueError(f"timebase {self.timebase} is below 1")

    @classmethod
    def of(cls, fps: Fraction) -> VideoRate:
        """The rate of exactly so many frames per second.

        Raises:
            UsageError: when it is neither whole nor an NTSC rate.
        """
        # 30000/1001 is 30 slowed; 25 is 25. No rate is both.
        for ntsc, nominal in ((False, fps), (True, fps / _NTSC)):
            if nominal.denominator == 1 and nominal > 0:
                return cls(int(nominal), ntsc)
        raise UsageError(
            f"editing programs have no rate of {fps} frames per second",
            hint=f"give one they have, e.g. {option('fps', 25)} or 30000/1001",
        )

    @property
    def fps(self) -> Fraction:
        """Frames per second, exact."""
        return self.timebase * (_NTSC if self.ntsc else Fraction(1))

    @property
    def frame_duration(self) -> Fraction:
        """Seconds of one frame, exact."""
        return 1 / self.fps

    def seconds(self, frames: int) -> Fraction:
        """Exact time of so many frames."""
        return frames * self.frame_duration

    def __str__(self) -> str:
        """29.97 or 25: the name people know it by."""
        # 23.976, 29.97 and 59.94, as menus of programs have them
        return f"{float(self.fps):.3f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Timecode:
    """The SMPTE timecode of a file's first frame."""

    frame: int = 0
    """As a count of frames from 00:00:00:00."""

    drop_frame: bool = False
    """Whether numbers are left out to follow the clock."""

    @classmethod
    def parse(cls, text: str, rate: VideoRate) -> Timecode:
        """Read "01:00:00:00" or "01:00:00;02" (drop frame) at `rate`; see `read_timecode`.

        Raises:
            ValueError: for anything else.
        """
        found = read_timecode(text, rate.timebase)
        return cls(found.frame, found.drop_frame)

    def text(self, rate: VideoRate) -> str:
        """hh:mm:ss:ff, with ";" before the frames for drop frame."""
        return timecode_text(self.frame, rate.timebase, drop_frame=self.drop_frame)


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound track of a file."""

    channels: int

    sample_rate: int
    """In hertz."""

    def __post_init__(self) -> None:
        if self.channels < 1 or self.sample_rate < 1:
            raise ValueError(f"sound of {self.channels} channels at {self.sample_rate} Hz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file with pictures at a constant rate, and perhaps sound."""

    name: str
    """For people."""

    path: Path
    """Absolute."""

    width: int
    height: int
    rate: VideoRate
    frame_count: int

    sample_aspect: Fraction = Fraction(1)
    """Width of a pixel ÷ its height."""

    timecode: Timecode = field(default_factory=Timecode)
    """Of the first frame."""

    color: ColorTags = field(default_factory=ColorTags)

    alpha: AlphaMode = "none"
    """How colours go with its alpha channel, "none" when it has none."""

    fields: FieldOrder = "none"
    sound: tuple[Sound, ...] = ()

    def __post_init__(self) -> None:
        # a timeline may be opened from anywhere, so a path is full, or relative to the package's
        # folder, which only a full one can be turned into
        if not self.path.is_absolute():
            raise ValueError(f"path {str(self.path)!r} of {self.name!r} is not absolute")
        if self.frame_count < 1 or self.width < 1 or self.height < 1:
            raise ValueError(
                f"{self.name!r} is {self.frame_count} frames of {self.width}×{self.height}"
            )

    @property
    def channels(self) -> int:
        """Sound channels of all tracks together."""
        return sum(track.channels for track in self.sound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A piece of a file on a track."""

    media: Media

    start: int
    """Frame of the edit where it begins."""

    duration: int
    """In frames."""

    source_in: int = 0
    """Frame of the file that is shown first."""

    enabled: bool = True
    """Whether it is shown."""

    with_sound: bool = False
    """Whether the file's sound lies on the sound tracks too, linked to the picture."""

    def __post_init__(self) -> None:
        if (
            self.start < 0
            or self.duration < 1
            or not 0 <= self.source_in <= self.media.frame_count - self.duration
        ):
            length = f"{self.duration} frames from {self.source_in}"
            raise ValueError(
                f"clip at {self.start} takes {length} of {self.media.name!r}, which has"
                f" {self.media.frame_count}"
            )
        # programs refuse a whole timeline for one link that leads nowhere
        if self.with_sound and not self.media.sound:
            raise ValueError(f"{self.media.name!r} has no sound")

    @property
    def end(self) -> int:
        """The first frame of the edit after the clip."""
        return self.start + self.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Tracks of clips, the lowest first, and files that lie ready in the bin without being on a
    track.

    All files have the edit's rate. The lowest track is filled from frame 0 without a gap; the
    others begin and end within it.

    Raises:
        ValueError: otherwise.
    """

    name: str
    rate: VideoRate
    width: int
    height: int
    tracks: tuple[tuple[Clip, ...], ...]
    bin: tuple[Media, ...] = ()
    sample_aspect: Fraction = Fraction(1)
    color: ColorTags = field(default_factory=ColorTags)
    fields: FieldOrder = "none"

    def __post_init__(self) -> None:
        if not self.tracks or not self.tracks[0]:
            raise ValueError(f"edit {self.name!r} has no clip")
        # Times are frames of one rate; a file of another one would have none that fit.
        for media in self.media:
            if media.rate != self.rate:
                raise ValueError(
                    f"{media.name!r} has {media.rate} frames per second, the edit {self.rate}"
                )
        # Clips follow each other in time; on the lowest track without a gap, since nothing lies
        # under it.
        for number, track in enumerate(self.tracks):
            filled = 0
            for clip in track:
                if clip.start < filled or (number == 0 and clip.start != filled):
                    raise ValueError(
                        f"clip at frame {clip.start} of track {number + 1} does not follow frame"
                        f" {filled}"
                    )
                filled = clip.end
            # The lowest track says how long the edit is: nothing may be shown over the void.
            if filled > self.duration:
                raise ValueError(
                    f"track {number + 1} ends at frame {filled}, the lowest at {self.duration}"
                )

    @property
    def duration(self) -> int:
        """Frames of the whole edit."""
        return self.tracks[0][-1].end

    @property
    def media(self) -> tuple[Media, ...]:
        """Every file once: those on the tracks from the lowest up, then those of the bin."""
        # a dict keeps the order and each file once
        placed = [clip.media for track in self.tracks for clip in track]
        return tuple(dict.fromkeys((*placed, *self.bin)))

    @property
    def sample_rate(self) -> int:
        """Of the sound on the tracks, in hertz; 48000 when there is none."""
        # programs mix at one rate, and that of the first sound needs no resampling
        heard = (
            clip.media.sound[0].sample_rate
            for track in self.tracks
            for clip in track
            if clip.with_sound
        )
        return next(heard, 48000)
