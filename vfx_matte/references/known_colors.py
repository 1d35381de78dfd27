"""Assigns objects to painted colours, over all references of one clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from vfx_matte.errors import MaskError
from vfx_matte.masks import RGB, Palette, hex_color
from vfx_matte.references.flat_colors import SAME

_SAME_PAINT = SAME // 2
"""Colours on two masks that differ by at most this in every channel are the same paint: half of
what JPEG may do to the pixels of one mask, as these are averages.
"""

_MOST_OBJECTS = 255


@dataclass(slots=True)
class KnownColors:
    """What colours have meant so far, so that several references of one clip agree: the same colour
    is the same object.
    """

    ids: dict[RGB, int] = field(default_factory=dict)
    """Painted colour → object id."""
    background: RGB | None = None
    """The colour that was background, None before the first picture."""
    values: dict[int, int] = field(default_factory=dict)
    """Number of a 16- or 32-bit mask → object id."""
    given: Mapping[RGB, int] = field(default_factory=dict)
    """What colours mean because the user says so: object id, 0 = background."""

    def identify(self, colors: list[RGB]) -> dict[RGB, int]:
        """Give each colour its object id, new ids for unknown ones, and remember them.

        A colour to which the user gave a meaning keeps it, 0 included. A colour within JPEG noise
        of a known one counts as that one; no two of `colors` count as the same one. When all the
        unknown ones are in the DAVIS palette and those ids are free, they get them; otherwise they
        get the lowest free ids in the order of their values (R, then G, then B, ascending for grey,
        descending otherwise: red before green before blue), which does not depend on their areas.

        Raises:
            MaskError: there are more than 255 objects.
        """
        # 1. what the user says, then what earlier masks said
        found = {
            color: object_id for color in colors if (object_id := self.given_id(color)) is not None
        }
        given = set(found.values())
        found.update(self._match_known([color for color in colors if color not in found]))
        # 2. new colours, in an order that JPEG noise does not change
        new = sorted((color for color in colors if color not in found), key=_color_order)
        taken = {*self.ids.values(), *self.values.values(), *given}
        davis = [_davis_id(color) for color in new]
        # greys alone are levels, not DAVIS colours, although 64, 128 and 192 are in that palette
        # too
        use_davis = all(value is not None and value not in taken for value in davis) and not all(
            map(_is_gray, new)
        )
        for color, davis_id in zip(new, davis, strict=True):
            chosen = davis_id if use_davis and davis_id else _free_id(taken, what=hex_color(color))
            taken.add(chosen)
            found[color] = self.ids[color] = chosen
        return {color: found[color] for color in colors}

    def identify_numbers(self, values: Iterable[int]) -> dict[int, int]:
        """Give each number of a deep mask its object id, the lowest free ones in ascending order,
        and remember them.

        Raises:
            MaskError: there are more than 255 objects.
        """
        taken = {*self.ids.values(), *self.values.values()}
        for value in sorted(set(values) - set(self.values)):
            self.values[value] = _free_id(taken, what=str(value))
            taken.add(self.values[value])
        return {value: self.values[value] for value in values}

    def remember(self, colors: Mapping[int, RGB]) -> list[str]:
        """Remember the colours of a mask whose ids are fixed (palette indices).

        Args:
            colors: object id → colour.

        Returns:
            A notice for each object that had another colour on an earlier mask.
        """
        notices = []
        for object_id, color in colors.items():
            earlier = next(
                (known for known, value in self.ids.items() if value == object_id), color
            )
            if earlier != color:
                notices.append(
                    f"object {object_id} is {hex_color(color)} here and was {hex_color(earlier)} on"
                    " an earlier mask"
                )
            self.ids.setdefault(color, object_id)
        return notices

    def given_id(self, color: RGB) -> int | None:
        """The object id that the user gave a colour, up to JPEG noise; None without one."""
        distance, nearest = min(
            ((color_distance(color, given), given) for given in self.given),
            default=(256, (0, 0, 0)),
        )
        return self.given[nearest] if distance <= _SAME_PAINT else None

    def _match_known(self, colors: list[RGB]) -> dict[RGB, int]:
        """The ids of the known ones among `colors`, matched nearest first, each known one once."""
        pairs = sorted(
            (color_distance(color, known), color, known) for color in colors for known in self.ids
        )
        found: dict[RGB, int] = {}
        used: set[RGB] = set()
        for distance, color, known in pairs:
            # two similar colours of one mask must stay two objects, so each takes one known colour
            if distance <= _SAME_PAINT and color not in found and known not in used:
                found[color] = self.ids[known]
                used.add(known)
        return found


def _free_id(taken: set[int], *, what: str) -> int:
    free = next((value for value in range(1, _MOST_OBJECTS + 1) if value not in taken), None)
    if free is None:
        raise MaskError(
            f"masks hold more than {_MOST_OBJECTS} objects, the last one is {what}",
            hint="paint only the objects to be kept",
        )
    return free


def color_distance(first: RGB, second: RGB) -> int:
    """The largest difference of any channel."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


def _is_gray(color: RGB) -> bool:
    return max(color) - min(color) <= 8


def _color_order(color: RGB) -> tuple[int, ...]:
    """A sort key that JPEG noise does not change: greys from dark to bright, then colours by
    descending R, G, B.
    """
    coarse = tuple((value + 16) // 32 for value in color)
    return (0, *coarse) if _is_gray(color) else (1, *(-value for value in coarse))


def _davis_id(color: RGB) -> int | None:
    """The id whose DAVIS colour this is (up to JPEG noise), or None."""
    offsets = np.abs(Palette.davis().colors.astype(int) - color).max(axis=1)
    object_id = int(offsets.argmin())
    # 6 values: DAVIS colours are 64 apart, and what a painting program mixes is not one by chance
    return object_id if object_id and offsets[object_id] <= 6 else None
