"""The record of one editing program: all that the rest of vfx-matte knows about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from vfx_matte.media.formats import CODECS, CONTAINERS, PCM, SoundChoice
from vfx_matte.programs.edit import Edit, Media

KINDS = ("source", "greenback", "alpha", "maskvideo", "overlay")
"""The outputs that every program has an encoding for; "source" is the clip itself at a constant
rate.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEncoding:
    """How one output is encoded for one program.

    Raises:
        ValueError: for a container, encoder or alpha mode that vfx-matte does not have.
    """

    suffix: str
    """The file's ending, which names its container."""

    codec: str
    """FFmpeg's encoder."""

    pixel_format: str
    """What the encoder is fed."""

    deep_codec: str = ""
    """The encoder for clips above 8 bits, "" = the same."""

    deep_pixel_format: str = ""
    """What it is fed then, "" = the same."""

    alpha: str = ""
    """"straight" or "premultiplied"; "" for files without transparency."""

    style: str = ""
    """Of a mask video of several objects, when none was asked for; "" = luma."""

    quality: int | None = None
    """The encoder's constant-quality number, None = its usual one."""

    why: str

    def __post_init__(self) -> None:
        if self.suffix not in CONTAINERS:
            raise ValueError(f"suffix {self.suffix!r} is not one of {', '.join(CONTAINERS)}")
        # a mistake in a record is found when it is loaded, not when a user renders
        for depth in (8, 10):
            if self.codec_for(depth) not in CODECS:
                raise ValueError(f"unknown codec {self.codec_for(depth)!r}")
        if self.alpha not in ("", "straight", "premultiplied"):
            raise ValueError(f"alpha {self.alpha!r} is neither straight nor premultiplied")

    def codec_for(self, bit_depth: int) -> str:
        """The encoder for a clip of this depth."""
        return (bit_depth > 8 and self.deep_codec) or self.codec

    def pixel_format_for(self, bit_depth: int) -> str:
        """What the encoder is fed for a clip of this depth."""
        return (bit_depth > 8 and self.deep_pixel_format) or self.pixel_format


@dataclass(frozen=True, slots=True)
class CutOut:
    """A layer that shows `fill` where `matte` is white; None: by its own alpha."""

    name: str
    fill: Media
    matte: Media | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFacts:
    """What a timeline is written from."""

    edit: Edit

    folder: Path
    """Where the timeline will lie, absolute."""

    names: Mapping[str, str]
    """File name of every timeline of the package, by its key."""

    layers: Sequence[CutOut] = ()
    """The cut-outs over the source, the lowest first."""

    mattes: Sequence[Media] = ()
    """The mask videos."""


def _nothing_is_missing() -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFile:
    """A kind of file that opens as a timeline, or a script that builds one."""

    key: str
    """What the steps of a note call it."""

    suffix: str

    write: Callable[[TimelineFacts], bytes]

    finds_moved_files: bool = False
    """Whether it finds its files again when the package's folder is moved."""

    missing: Callable[[], str] = _nothing_is_missing
    """Says what is missing here to write it, as a remark for the user; "" = nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a package's note: a sentence or two of advice.

    The text may name `{name}` (the clip's), `{first}` (the first cut-out's file), `{alpha}`,
    `{rate}`, `{top}` (the highest track), `{with_sound}`, `{and_sound}`, `{convert}` (the option
    that converts the source), and the package's timelines by their keys.
    """

    text: str

    needs: tuple[str, ...] = ()
    """Kinds of files or timelines, or "sound", without which it is left out."""

    several: str = ""
    """The text where there is more than one file of the first kind that it needs, such as a cut-out
    for each object.
    """

    without: tuple[str, ...] = ()
    """Kinds with which it is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One editing program, or what takes an editing program's place.

    Raises:
        ValueError: when an output has no encoding, or a container no encoder for sound.
    """

    name: str
    title: str
    """Its name for people."""

    sources: tuple[str, ...]
    """Where these facts are from."""

    # ------------------------------------------------------------ files
    # what a single output for this program is like

    encodings: Mapping[str, ProgramEncoding]
    """By kind of output."""

    constant_rate: bool
    """Whether a variable frame rate causes trouble there."""

    sound_copies: frozenset[str]
    """Sound codecs that stay as they are."""

    sound_encoders: Mapping[str, str]
    """What other sound becomes, by the file's suffix."""

    # ------------------------------------------------------------ package
    # what a folder for this program holds

    outputs: tuple[str, ...]
    """What a package has when nothing else is asked for."""

    stacked: str = "alpha"
    """The output that lies over the source; "" = none, and sound goes with the outputs."""

    rates: tuple[Fraction, ...] = ()
    """Frames per second that its timelines can have; () = any."""

    suffixes: tuple[str, ...] = ()
    """Suffixes of the files that it imports; () = any."""

    timelines: tuple[TimelineFile, ...] = ()
    """The first one is the file to open."""

    steps: tuple[Step, ...]
    """What the note advises."""

    def __post_init__(self) -> None:
        # Any output can be asked for, also one that the program's package does not have.
        missing = [kind for kind in KINDS if kind not in self.encodings]
        if missing:
            raise ValueError(f"{self.name} has no encoding for {missing[0]}")
        for encoding in self.encodings.values():
            if encoding.suffix not in self.sound_encoders:
                raise ValueError(f"{self.name} has no sound encoder for {encoding.suffix}")

    def sound_for(self, suffix: str) -> SoundChoice | None:
        """What becomes of sound in a file with this suffix; None where the program has no wish."""
        encoder = self.sound_encoders.get(suffix)
        return SoundChoice(self.sound_copies, encoder) if encoder else None

    def rate_for(self, fps: Fraction) -> Fraction:
        """The rate nearest to a clip's that a timeline here can have.

        The clip's own; otherwise its least whole multiple, which shows every frame equally often;
        otherwise the nearest in ratio.
        """
        # Its own rate needs no frame to be repeated or left out.
        if fps in self.rates or not self.rates:
            return fps
        # A multiple repeats every frame equally often: 12 fps on a timeline of 24 looks as it was.
        multiples = [rate for rate in self.rates if rate > fps and (rate / fps).denominator == 1]
        return (
            min(multiples)
            if multiples
            else min(self.rates, key=lambda rate: max(rate / fps, fps / rate))
        )


# ---------------------------------------------------------------- what several records share
# A record may use these or say the same in full; nothing else looks at them.


def sound_codecs(*names: str) -> frozenset[str]:
    """Names of sound codecs; "pcm" stands for every PCM that a container takes."""
    return frozenset(name for name in names if name != "pcm") | (
        PCM if "pcm" in names else frozenset()
    )


def rates(text: str) -> tuple[Fraction, ...]:
    """Frames per second as text, separated by spaces."""
    return tuple(Fraction(rate) for rate in text.split())


# Rates that every one of these programs has; Adobe's have slower and faster ones too.
FILM_RATES = "24000/1001 24 25 30000/1001 30 50 60000/1001 60"
ALL_RATES = f"10 12 15 {FILM_RATES} 100 120000/1001 120 240000/1001 240"

h264 = partial(ProgramEncoding, suffix=".mp4", codec="libx264", pixel_format="yuv420p")
"""8-bit video that everything plays."""

h264_or_h265 = partial(h264, deep_codec="libx265", deep_pixel_format="yuv420p10le")
"""The same, and 10 bits where the clip has more than 8."""

TO_LOOK_AT = h264_or_h265(why="only to look at")

prores_422 = partial(ProgramEncoding, suffix=".mov", codec="prores_ks", pixel_format="yuv422p10le")

prores_444 = partial(ProgramEncoding, suffix=".mov", codec="prores_ks", pixel_format="yuv444p10le")
"""ProRes 4444 without alpha."""

prores_4444 = partial(
    ProgramEncoding,
    suffix=".mov",
    codec="prores_ks",
    pixel_format="yuva444p10le",
    alpha="straight",
)

BETWEEN = "Put titles or a new background between the two."
BETWEEN_ALL = "Put titles or a new background between the source and these."
