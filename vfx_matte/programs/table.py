"""What a package for each editing program holds.

Takes a program's name, gives its record; encoders are media's table.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from vfx_matte.errors import UsageError

TimelineKind = Literal["xmeml", "fcpxml", "otio", "aftereffects", "resolve"]

TIMELINE_SUFFIXES: dict[TimelineKind, str] = {
    "xmeml": ".xml",
    "fcpxml": ".fcpxml",
    "otio": ".otio",
    "aftereffects": ".jsx",
    "resolve": ".py",
}


def _rates(text: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(rate) for rate in text.split())


_FILM = "24000/1001 24 25 30000/1001 30 50 60000/1001 60"
_ANY = f"10 12 15 {_FILM} 100 120000/1001 120 240000/1001 240"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program's package.

    timelines: files that open as a timeline. outputs: what is rendered, in the names of media's
    table; stacked: which of them lies over the source. rates: frames a second that its timelines
    have; suffixes: containers it imports; () = no matter.
    """

    timelines: tuple[TimelineKind, ...] = ()
    outputs: tuple[str, ...]
    stacked: str = "alpha"
    rates: tuple[Fraction, ...] = ()
    suffixes: tuple[str, ...] = ()

    def rate_for(self, fps: Fraction) -> Fraction:
        """The rate nearest to a clip's that a timeline here can have.

        The clip's own; else the least whole multiple of it, which shows every frame equally often;
        else the nearest in ratio.
        """
        if fps in self.rates or not self.rates:
            return fps
        multiples = [rate for rate in self.rates if rate > fps and (rate / fps).denominator == 1]
        return (
            min(multiples)
            if multiples
            else min(self.rates, key=lambda rate: max(rate / fps, fps / rate))
        )


# Sources: the makers' lists of formats and sequence settings. Premiere, Resolve and Final Cut do
# not read Matroska.
PROGRAMS: dict[str, Program] = {
    "premiere": Program(
        timelines=("xmeml", "otio"),
        outputs=("alpha", "maskvideo", "greenback"),
        rates=_rates(_ANY),
        suffixes=(".mp4", ".mov", ".m4v", ".mxf", ".avi", ".mts", ".m2ts"),
    ),
    "aftereffects": Program(
        timelines=("aftereffects",),
        outputs=("alpha", "maskvideo"),
        rates=_rates(_ANY),
        suffixes=(".mp4", ".mov", ".m4v", ".mxf", ".avi"),
    ),
    "resolve": Program(
        timelines=("fcpxml", "otio", "resolve"),
        outputs=("alpha", "maskvideo"),
        rates=_rates(f"{_FILM} 100 120000/1001 120"),
        suffixes=(".mp4", ".mov", ".m4v", ".mxf", ".avi", ".mts", ".m2ts"),
    ),
    "finalcut": Program(
        timelines=("fcpxml",),
        outputs=("alpha", "maskvideo", "greenback"),
        rates=_rates(_FILM),
        suffixes=(".mp4", ".mov", ".m4v", ".mxf"),
    ),
    "capcut": Program(
        outputs=("alpha", "greenback"), rates=_rates(_FILM), suffixes=(".mp4", ".mov", ".m4v")
    ),
    "web": Program(outputs=("alpha",), stacked=""),
}


def program_named(name: str) -> Program:
    """One program. Raises UsageError when there is no package for it."""
    found = PROGRAMS.get(name.strip().lower())
    if found is None:
        raise UsageError(
            f"there is no package for program {name!r}", hint=f"known: {', '.join(PROGRAMS)}"
        )
    return found
