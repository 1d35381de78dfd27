"""Reads the mastering display and light level of HDR clips, and writes them for x265."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from vfx_matte.media.readers.side_data import side_data_of

# the units of ST 2086, in which x265 takes the numbers, too
_CHROMATICITY = 50000
_LUMINANCE = 10000


@dataclass(frozen=True, slots=True)
class HdrMetadata:
    """Static HDR metadata (SMPTE ST 2086, CTA-861.3); empty tuples where a clip has none."""

    chromaticities: tuple[int, ...] = ()
    """(x, y) of red, green, blue and white, in 1/50000."""

    luminance: tuple[int, ...] = ()
    """(least, greatest) of the mastering display, in 1/10000 cd/m²."""

    light_level: tuple[int, ...] = ()
    """(MaxCLL, MaxFALL) in cd/m²."""

    def __bool__(self) -> bool:
        return bool(self.chromaticities or self.luminance or self.light_level)

    @property
    def x265_params(self) -> str:
        """The same as x265 parameters, in the order green, blue, red, white (x265 documentation,
        --master-display).
        """
        parts = []
        # x265 takes both of the display or none
        if self.chromaticities and self.luminance:
            red, green, blue, white = zip(
                self.chromaticities[::2], self.chromaticities[1::2], strict=True
            )
            points = zip("GBR", (green, blue, red), strict=True)
            display = (
                "".join(f"{name}({x},{y})" for name, (x, y) in points)
                + f"WP({white[0]},{white[1]})"
            )
            parts.append(f"master-display={display}L({self.luminance[1]},{self.luminance[0]})")
        if self.light_level:
            parts.append(f"max-cll={self.light_level[0]},{self.light_level[1]}")
        return ":".join(parts)


def hdr_of(frame: av.VideoFrame) -> HdrMetadata:
    """Read a frame's side data.

    Source: libavutil/mastering_display_metadata.h: rationals, then two flags; two unsigned ints.
    """
    attached = side_data_of(frame)
    display, light = attached.mastering_display, attached.light_level
    chromaticities: tuple[int, ...] = ()
    luminance: tuple[int, ...] = ()
    if display is not None:
        # eight coordinates and two luminances as numerators and denominators, then what of it
        # counts
        *numbers, has_chromaticities, has_luminance = np.frombuffer(display, np.int32, 22).tolist()
        ratios = [
            Fraction(*pair) if pair[1] else Fraction(0)
            for pair in zip(numbers[::2], numbers[1::2], strict=True)
        ]
        chromaticities = (
            tuple(round(ratio * _CHROMATICITY) for ratio in ratios[:8])
            if has_chromaticities
            else ()
        )
        luminance = (
            tuple(round(ratio * _LUMINANCE) for ratio in ratios[8:]) if has_luminance else ()
        )
    levels = tuple(np.frombuffer(light, np.uint32, 2).tolist()) if light is not None else ()
    return HdrMetadata(chromaticities, luminance, levels)
