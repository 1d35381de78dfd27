"""Reads two sets of masks, predicted and true, frame by frame.

Pictures are read one pair at a time, so memory does not grow with the sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask
from vfx_matte.measure.accuracy import Bools, MaskPair
from vfx_matte.media.frames import ClipReader
from vfx_matte.media.open import open_clip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.references.files import PICTURE_SUFFIXES, collect_references, load_mask_picture
from vfx_matte.references.known_colors import KnownColors
from vfx_matte.references.reading import WHITE, MaskPicture, read_mask_colors
from vfx_matte.wording import option
from vfx_matte.workspace import to_ranges

PREDICTED, TRUTH = "PREDICTED", "GROUND_TRUTH"
"""What the two sides are called in messages, as on the command line."""

MASKS_FOLDER = "masks"

_LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")
_NOISE = 32
"""What lossy codecs may leave in black stays below; the darkest painted colour is not below."""


class Masks(Protocol):
    """The masks of one side."""

    @property
    def frames(self) -> Collection[int]:
        """Their frame indices, ascending."""

    def read(self, wanted: Sequence[int]) -> Iterator[MaskPicture]:
        """The pictures of these frames, ascending, one at a time."""


@dataclass(frozen=True, slots=True)
class MaskFolder:
    """Mask pictures by frame index, ascending."""

    files: dict[int, Path]

    @property
    def frames(self) -> Collection[int]:
        """The indices in the files' names."""
        return self.files.keys()

    def read(self, wanted: Sequence[int]) -> Iterator[MaskPicture]:
        """Read files when they are asked for."""
        for path in (self.files[index] for index in wanted):
            # lossy pictures ring around edges; others may hold ids as small as their noise
            picture = load_mask_picture(path)
            yield _without_noise(picture) if path.suffix.lower() in _LOSSY_SUFFIXES else picture


@dataclass(frozen=True, slots=True)
class MaskVideo:
    """A video whose pictures are masks."""

    reader: ClipReader

    @property
    def frames(self) -> Collection[int]:
        """Every frame of the video."""
        return range(len(self.reader.info.timeline))

    def read(self, wanted: Sequence[int]) -> Iterator[MaskPicture]:
        """Decode in order, from the first wanted frame to the last."""
        chosen = frozenset(wanted)
        frames = self.reader.frames(min(chosen), max(chosen) + 1) if chosen else iter(())
        return (
            _without_noise(MaskPicture(frame.colors)) for frame in frames if frame.index in chosen
        )


def _without_noise(picture: MaskPicture) -> MaskPicture:
    """The picture with true black where it is nearly black, so that an empty mask does not seem to
    show small object ids.
    """
    # of a colour picture a pixel is dark when all its channels are
    pixels = picture.pixels
    dark = (pixels if pixels.ndim == 2 else pixels.max(axis=2, keepdims=True)) < _NOISE
    return MaskPicture(np.where(dark, np.zeros_like(pixels), pixels), picture.palette)


def open_masks(path: Path | None, reporter: Reporter) -> Masks:
    """Open a folder or video that `find_sequences` found; None has no frame."""
    if path is None:
        return MaskFolder({})
    return (
        MaskVideo(open_clip(path, notify=reporter.notify))
        if path.is_file()
        else MaskFolder(collect_references(folder=path, notify=reporter.notify))
    )


def find_sequences(path: Path, side: str) -> dict[str, Path]:
    """Folders (or one video) of masks by the name of their sequence, ascending; the name is "" when
    there is only one.

    Args:
        path: a folder of mask pictures, a clip's folder of results, an XMem++ project, a video, or
            a folder of such folders.
        side: what messages call it.

    Raises:
        MaskError: when there is no mask.
    """
    if path.is_file() and path.suffix.lower() not in PICTURE_SUFFIXES:
        return {"": path}
    if not path.is_dir():
        what = "is one picture" if path.is_file() else "is not there"
        raise MaskError(
            f"{side} {str(path)!r} {what}",
            hint="give a folder of masks named by frame number, or a mask video",
        )
    # One sequence, or a folder with a folder for each; DAVIS keeps those in Annotations/480p.
    masks = _masks_in(path)
    if masks is not None:
        return {"": masks}
    for folder in (path / "Annotations", path):
        children = sorted(folder.iterdir()) if folder.is_dir() else []
        below = {
            child.name: _masks_in(child)
            for child in children
            if child.is_dir() and not child.name.startswith(".")
        }
        found = {name: masks for name, masks in below.items() if masks is not None}
        if found:
            return found
    hint = (
        "masks are pictures in it, or in one folder for each sequence; of DAVIS give"
        " Annotations/480p"
    )
    raise MaskError(f"{side} {str(path)!r} holds no mask", hint=hint)


def _masks_in(folder: Path) -> Path | None:
    """Where a folder keeps its mask pictures: a clip's folder of results in masks, an XMem++
    project in Annotations.
    """
    # Masks lie in a folder of their own in the first two; anything else is a plain folder of them.
    for inside in (folder / MASKS_FOLDER, folder / "Annotations", folder):
        names = inside.iterdir() if inside.is_dir() else ()
        if any(
            path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
            for path in names
        ):
            return inside
    return None


@dataclass(frozen=True, slots=True)
class PairReader:
    """Reads both sides; `void`, `merge` and `resize` are as in `evaluate.Comparison`."""

    void: int | None
    merge: bool
    resize: bool

    notify: Callable[[str], None]
    """Receives lines for people."""

    def pairs(self, predictions: Masks, truths: Masks) -> Generator[MaskPair, None, None]:
        """Both masks of every frame that the truth has, ascending; a frame that `predictions`
        lacks is empty there.

        Raises:
            MaskError: naming the side and the frame, for pictures that cannot be read or do not fit
                each other.
        """
        # What a colour means on one frame it means on the next; each side has its own colours.
        true_colors, colors = KnownColors(), KnownColors()
        there = frozenset(predictions.frames)
        pictures = predictions.read([index for index in truths.frames if index in there])
        for index, picture in zip(truths.frames, truths.read(list(truths.frames)), strict=True):
            rest, void = self._without_void(picture)
            truth = self._ids(TRUTH, index, rest, true_colors)
            predicted = np.zeros_like(truth)  # a frame that is missing counts as empty
            if index in there:
                predicted = self._ids(
                    PREDICTED,
                    index,
                    self._fitting(index, next(pictures), truth),
                    colors,
                    like=truth,
                )
            # whoever asks for one object does not care what ids it has on either side
            if self.merge:
                truth, predicted = ((mask > 0).astype(np.uint8) for mask in (truth, predicted))
            yield MaskPair(index, predicted, truth, void)

    def _without_void(self, picture: MaskPicture) -> tuple[MaskPicture, Bools | None]:
        """The picture with background where it has the value `void`, and where that is: bool (H,
        W).
        """
        if self.void is None:
            return picture, None
        if picture.pixels.ndim != 2:
            void = option("void", self.void)
            raise MaskError(
                f"{void} is a value of palette and grey pictures, {TRUTH} is in colour",
                hint=f"leave {option('void')} out, or save the truth as palette or grey PNG",
            )
        # left out before ids are read: it is no object, whatever its value
        where: Bools = picture.pixels == self.void
        return (
            MaskPicture(
                np.where(where, np.zeros_like(picture.pixels), picture.pixels), picture.palette
            ),
            where,
        )

    def _fitting(self, index: int, picture: MaskPicture, truth: Mask) -> MaskPicture:
        """The picture, when it may be compared with a truth of this size."""
        sizes = [f"{width}×{height}" for height, width in (picture.pixels.shape[:2], truth.shape)]
        if sizes[0] != sizes[1] and not self.resize:
            hint = (
                f"compare masks of one size, or let {option('resize', True)} bring {PREDICTED} to"
                " the size of the truth"
            )
            raise MaskError(
                f"{PREDICTED} frame {index} is {sizes[0]}, the truth is {sizes[1]}", hint=hint
            )
        if sizes[0] != sizes[1]:  # the reading below brings it to the truth's size
            self.notify(f"{PREDICTED} is brought from {sizes[0]} to {sizes[1]}")
        return picture

    def _ids(
        self,
        side: str,
        index: int,
        picture: MaskPicture,
        known: KnownColors,
        *,
        like: Mask | None = None,
    ) -> Mask:
        """The object ids of one frame, uint8 (H, W).

        known: what colours meant on earlier frames. like: one of the shape.
        """
        # The truth has the size that counts; the other side is read at that size.
        height, width = picture.pixels.shape[:2] if like is None else like.shape
        # the usual case, which needs no search for colours
        if (
            picture.palette is None
            and picture.pixels.shape == (height, width)
            and _is_black_and_white(picture.pixels)
        ):
            white = np.uint8(known.identify([WHITE])[WHITE])
            return np.where(picture.pixels, white, np.uint8(0))
        try:
            reading = read_mask_colors(
                picture, shape=(height, width), known=known, allow_empty=True, void=None
            )
        except MaskError as error:
            raise MaskError(f"{side} frame {index}: {error.message}", hint=error.hint) from error
        # what a picture was taken for, said once for each side by whoever receives it
        for notice in reading.notices:
            self.notify(f"{side}: {notice}")
        return reading.mask


def _is_black_and_white(pixels: npt.NDArray[Any]) -> bool:
    """True for 0 and 255 and nothing else, which read_mask_colors would understand the same way in
    ten times as long.
    """
    return (
        pixels.dtype == np.uint8
        and bool(pixels.any())
        and bool(((pixels == 0) | (pixels == 255)).all())
    )


def spans(frames: Iterable[int]) -> str:
    """Frame indices for people: 0, 3 to 9."""
    return first_of(
        [
            str(start) if stop == start + 1 else f"{start} to {stop - 1}"
            for start, stop in to_ranges(frames)
        ]
    )


def first_of(items: Sequence[object], most: int = 6) -> str:
    """The first items in a sentence, and how many more there are."""
    rest = len(items) - most
    return ", ".join(map(str, items[:most])) + (f" and {rest} more" if rest > 0 else "")
