"""Reads backgrounds: a picture or a video, fitted to the clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vfx_matte.backend import Notify
from vfx_matte.media.frames import ClipReader, Frame
from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import as_layout, carries_alpha, scaled
from vfx_matte.picture import ColorTags, Picture, PixelLayout

_HDR = ("smpte2084", "arib-std-b67")


class Background:
    """Pictures of one size, layout and colour, by time.

    Made for times that rise; going back opens the file again.
    """

    def __init__(
        self,
        reader: ClipReader,
        *,
        size: tuple[int, int],
        sample_aspect: Fraction,
        layout: PixelLayout,
        color: ColorTags,
    ) -> None:
        """See `open_background`."""
        self._reader = reader
        self._size, self._sample_aspect, self._layout, self._color = (
            size,
            sample_aspect,
            layout,
            color,
        )
        self._frames: Iterator[Frame] = iter(())
        # the frame that `_picture` was made of
        self._index = -1
        self._picture: Picture | None = None

    @property
    def moves(self) -> bool:
        """Whether it has more than one picture."""
        return len(self._reader.info.timeline) > 1

    def picture_at(self, seconds: Fraction) -> Picture:
        """The picture on screen so many seconds after the background's first frame; after its end
        the last one stays.
        """
        timeline = self._reader.info.timeline
        index = timeline.index_at(timeline.start + seconds)
        if self._picture is None or index != self._index:
            self._picture = self._fitted(self._decoded(index).picture)
        return self._picture

    def _decoded(self, index: int) -> Frame:
        # backwards, or for the first time: from the nearest keyframe on
        if index <= self._index or self._picture is None:
            self._frames = self._reader.frames(index)
            self._index = index - 1
        frame = next(self._frames)
        while frame.index < index:
            frame = next(self._frames)
        self._index = index
        return frame

    def _fitted(self, picture: Picture) -> Picture:
        """Crop to the clip's shape, centred, scale, and convert layout, matrix and range."""
        width, height = self._size
        # pixels of the two may have different shapes
        shape = Fraction(width, height) * self._sample_aspect / self._reader.info.sample_aspect
        return as_layout(
            scaled(_cropped(picture.opaque(), shape), self._size), self._layout, color=self._color
        )


def open_background(
    path: Path,
    *,
    size: tuple[int, int],
    layout: PixelLayout,
    color: ColorTags,
    sample_aspect: Fraction = Fraction(1),
    notify: Notify,
) -> Background:
    """Open a picture, a video or an image sequence as a background.

    The background covers the pictures wanted: its aspect is kept and it is cropped in the middle.
    Matrix and range are converted, brightness (HDR against SDR) is not.

    Args:
        path: the file or sequence.
        size: (width, height) of the pictures wanted.
        layout: what they are converted to, without alpha.
        color: the tags that they are converted to.
        sample_aspect: pixel shape of the pictures wanted.
        notify: is told of alpha that takes no part and of brightness that does not fit.

    Raises:
        MediaError: when the file cannot be read.
    """
    # a cut-out as a background shows its colours, as there is nothing behind it
    reader = open_clip(path, notify=notify, ignore_alpha=True)
    info = reader.info
    if (
        carries_alpha(info.pixel_format)
        and open_clip(path, notify=lambda _: None).frame(0).alpha is not None
    ):
        notify(
            f"{path.name}: the background's own alpha takes no part, its colours are seen"
            " everywhere"
        )
    if (info.color.transfer in _HDR) != (color.transfer in _HDR):
        notify(
            f"{path.name}: one of background and clip is HDR, the other is not; brightness is left"
            " as it is"
        )
    opaque = replace(layout, has_alpha=False)
    return Background(reader, size=size, sample_aspect=sample_aspect, layout=opaque, color=color)


def _cropped(picture: Picture, shape: Fraction) -> Picture:
    """The middle of a picture with width ÷ height as near to `shape` as its chroma grid allows."""
    height, width = picture.shape
    x_step, y_step = (1 << shift for shift in picture.layout.chroma_shift)
    # the largest part of that shape: of full width or of full height
    wide = min(width, max(1, round(height * shape)))
    high = min(height, max(1, round(width / shape)))
    # whole chroma samples are cut off, so that none has to be made anew
    left, top = (width - wide) // 2 // x_step * x_step, (height - high) // 2 // y_step * y_step
    planes = []
    for number, plane in enumerate(picture.planes):
        x, y = picture.layout.plane_shift(number)
        rows, columns = picture.layout.plane_shape(number, high, wide)
        planes.append(plane[top >> y : (top >> y) + rows, left >> x : (left >> x) + columns])
    return picture.with_planes(tuple(planes))
