"""Sentences about findings: what is wrong with a mask, and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from vfx_matte.measure.judge import Finding, Kind, Spot
from vfx_matte.measure.meter import ObjectMeasures
from vfx_matte.wording import option

TITLES: Mapping[Kind, str] = {
    "area": "area jumps",
    "overlap": "does not go on",
    "holes": "holes",
    "specks": "specks",
    "flicker": "flicker",
    "edge_agreement": "edge off the picture",
    "edge_width": "wide edge",
    "gone": "gone",
    "confidence": "uncertain",
    "crossing": "runs over a cut",
}
"""Each kind of finding in a few words, for the contact sheet."""

_SENTENCES: Mapping[Kind, str] = {
    "overlap": "covers only {value} of where its motion should take it (usually {usual})",
    "holes": "has {holes}, {value} of its area (usually {usual})",
    "specks": "has {specks} beside it, {value} of its area (usually {usual})",
    "flicker": "flickers: {value} of its area changes on this frame alone (usually {usual})",
    "edge_agreement": (
        "its edge does not lie on an edge of the picture (agreement {value}, usually {usual})"
    ),
    "edge_width": "its soft edge is {number:.0f} pixels wide (usually {usual_number:.0f})",
    "gone": "is gone for {frames}, {number:.0f} to {last:.0f}, though it did not leave the picture",
    "confidence": "is uncertain: {number:.0f} % of its mask is expected to be right",
    "crossing": "runs over the shot cut at frame {number:.0f}",
}


def reason(spot: Spot, measures: ObjectMeasures, frame_number: Callable[[int], int] = int) -> str:
    """One spot, as the end of a sentence about its object.

    Args:
        spot: what stands out.
        measures: of the object.
        frame_number: what people call the frame with an index.
    """
    if spot.kind == "area":
        return _area_jump(spot.value)
    # values of these two are frames, of all others shares or pixels
    is_frame = spot.kind in ("gone", "crossing")
    return _SENTENCES[spot.kind].format(
        value=_percent(spot.value),
        usual=_percent(spot.usual),
        number=frame_number(int(spot.value)) if is_frame else spot.value,
        usual_number=spot.usual,
        holes=_count(measures.holes[spot.frame], "hole"),
        specks=_count(measures.specks[spot.frame], "speck"),
        frames=_count(spot.usual - spot.value, "frame"),
        last=frame_number(int(spot.usual) - 1) if spot.kind == "gone" else 0,
    )


def _area_jump(value: float) -> str:
    """A jump, as the natural logarithm of a ratio."""
    # Up to twice the area a percentage reads better, beyond that a factor.
    if value < 0:
        return f"lost {_percent(1 - math.exp(value))} of its area against the frames before"
    if value < math.log(2):
        return f"gained {_percent(math.exp(value) - 1)} of area against the frames before"
    return f"is {math.exp(value):.1f} times as large as on the frames before"


def advice(
    finding: Finding, measures: ObjectMeasures, frame_number: Callable[[int], int] = int
) -> str:
    """What to do about a finding, as a sentence; see `reason` for the arguments."""
    number = frame_number(finding.frame)
    kinds = {spot.kind for spot in finding.spots}
    frames = list(finding.frames)
    # Another run of segment is the only help for a whole shot; small holes, specks and nothing
    # else are mended when rendering; everything else wants a painted mask.
    if "crossing" in kinds:
        return (
            f"segment again with {option('cuts', 'stop')}, and where it is in sight paint a mask on"
            f" frame {number}"
        )
    if kinds <= {"holes", "specks", "flicker"} and kinds != {"flicker"}:
        repairs = [
            ("holes", "fill_holes", measures.holes_px),
            ("specks", "remove_specks", measures.specks_px),
        ]
        options = " ".join(
            option(name, _round_up(area_px[frames].max()))
            for kind, name, area_px in repairs
            if kind in kinds
        )
        return f"render with {options}, or paint a mask on frame {number}"
    if kinds == {"gone"}:
        return f"if it is there, paint a mask on frame {number}"
    if kinds == {"confidence"}:
        return f"look there, and if it is wrong paint a mask on frame {number}"
    return f"paint a mask on frame {number}"


def _round_up(pixels: float) -> int:
    """The next number of one significant digit, so that it is easy to type."""
    size = 10 ** max(0, len(str(int(pixels))) - 1)
    return int(-(-pixels // size) * size)


def _percent(part: float) -> str:
    shown = 100 * float(part)
    return f"{shown:.0f} %" if abs(shown) >= 10 else f"{shown:.1f} %"


def _count(number: float, word: str) -> str:
    return f"{number:.0f} {word}{'' if number == 1 else 's'}"
