"""Frames with exact time, and what every reader of a clip offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import av
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.errors import UsageError
from vfx_matte.masks import Image
from vfx_matte.media.pixels import Orientation, alpha_of, image_of, picture_of, small_image_of
from vfx_matte.media.probe import ClipInfo
from vfx_matte.picture import ColorTags, Picture
from vfx_matte.timeline import FrameTime, Timeline


@dataclass(frozen=True)
class Frame:
    """A decoded picture with its exact time; rotation applied, so (H, W) is as displayed."""

    index: int
    """0-based, in the clip's timeline."""

    time: FrameTime
    """When it is shown."""

    native: av.VideoFrame
    """The picture as it was decoded, before it is turned."""

    orientation: Orientation
    """How `native` is turned for display."""

    color: ColorTags
    """How its code values are to be understood."""

    given_alpha: Array | None = None
    """Alpha that is not in `native`: (H, W), uint8 or uint16 at full scale."""

    uses_alpha: bool = True
    """False when the clip's own alpha takes no part."""

    @cached_property
    def image(self) -> Image:
        """R'G'B' as a player shows it, uint8 (H, W, 3): what alpha hides is black, whatever its
        pixels hold.
        """
        # a player without alpha shows black there
        return self.colors if self.alpha is None else over_black(self.colors, self.alpha)

    def small_image(self, width: int, height: int) -> Image:
        """`image`, scaled down where that is quick; each pixel is the mean of those that it stands
        for.

        Args:
            width: of the result, as displayed.
            height: of the result.

        Returns:
            uint8 (height, width, 3); of a clip that has alpha, or is in no planar format, all of
            the image.
        """
        # colours that alpha hides would shine through at its borders
        if self.alpha is not None:
            return self.image
        small = small_image_of(
            self.native, self.orientation, self.color, width=width, height=height
        )
        return self.image if small is None else small

    @cached_property
    def colors(self) -> Image:
        """R'G'B' without regard to alpha, uint8 (H, W, 3), made with the clip's matrix and
        range.
        """
        return image_of(self.native, self.orientation, self.color)

    @cached_property
    def picture(self) -> Picture:
        """The planes as decoded, in the clip's own layout and bit depth."""
        return picture_of(self.native, self.orientation, self.color)

    @cached_property
    def alpha(self) -> Array | None:
        """The clip's own alpha, (H, W) uint8 or uint16 at full scale; None when it has none or all
        of it is opaque.
        """
        if not self.uses_alpha:
            return None
        alpha = (
            alpha_of(self.native, self.orientation)
            if self.given_alpha is None
            else self.given_alpha
        )
        # what is opaque everywhere has no alpha: all that follows is faster then
        return None if alpha is None or alpha.min() == np.iinfo(alpha.dtype).max else alpha


def over_black(colors: Image, alpha: Array) -> Image:
    """R'G'B' times alpha, rounded.

    Args:
        colors: uint8 (H, W, 3).
        alpha: (H, W), uint8 or uint16 at full scale.

    Returns:
        uint8 (H, W, 3).
    """
    full = np.uint32(np.iinfo(alpha.dtype).max)
    # 32 bits hold 255 · 65535
    products = colors.astype(np.uint32) * alpha[..., None]
    # rounded half up, as compositing rounds
    shown: Image = ((products + full // 2) // full).astype(np.uint8)
    return shown


class ClipReader(Protocol):
    """Frames of a clip, a video file or an image sequence, in any order."""

    @property
    def info(self) -> ClipInfo:
        """Facts about the clip, with its timeline."""

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames [start, stop) in display order; stop None is the end."""

    def frames_reversed(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames stop − 1 down to start, in bounded memory."""

    def frame(self, index: int) -> Frame:
        """One frame.

        Raises:
            UsageError: when the clip does not have it.
        """

    def check_unchanged(self) -> None:
        """Find out whether the clip's files are still what they were; `frames` does at its end.

        Raises:
            MediaError: when they hold other bytes than when the clip was opened.
        """


def check_range(start: int, stop: int | None, timeline: Timeline) -> tuple[int, int]:
    """Resolve a half-open range of frame indices.

    Raises:
        UsageError: when it is not inside the clip.
    """
    # people know frames by their numbers, which begin with a sequence's own
    end = len(timeline) if stop is None else stop
    if not 0 <= start <= end <= len(timeline):
        raise UsageError(
            f"frames {timeline.number(start)} to {timeline.number(end)} are not inside the clip",
            hint=f"the clip has frames {timeline.numbers_text}",
        )
    return start, end


def check_frame(index: int, timeline: Timeline, *, hint: str = "") -> None:
    """Make sure that the clip has the frame `index`.

    Args:
        index: the frame.
        timeline: the clip's.
        hint: which frames there are; "" names their numbers.

    Raises:
        UsageError: when it has not.
    """
    if not 0 <= index < len(timeline):
        raise UsageError(
            f"frame {timeline.number(index)} is not in the clip",
            hint=hint or f"the clip has frames {timeline.numbers_text}",
        )
