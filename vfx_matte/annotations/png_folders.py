"""Folders of PNG pictures with one mask per frame, named by frame numbers (00012.png).

Of all objects together they are palette pictures: the index of a pixel is its object's id, and the
palette says how it looks, in a colour per object, a colour per class, or white. A folder per
instance holds white on black.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from vfx_matte.annotations.categories import MOST_PLACES, official_place
from vfx_matte.annotations.records import (
    MOST_OBJECTS,
    AddFrame,
    AnnotatedClip,
    Annotations,
    FrameAnnotation,
    FrameName,
    file_stem,
    frame_numbers,
)
from vfx_matte.errors import MaskError, MediaError, UsageError
from vfx_matte.files.atomic import atomic_folder
from vfx_matte.files.id_mark import id_mark
from vfx_matte.files.still_header import require_still
from vfx_matte.masks import Mask, ObjectLabel, Palette, object_ids
from vfx_matte.printable import without_unprintable
from vfx_matte.wording import command

Look = Literal["objects", "classes", "white"]
"""What has a colour of its own in a mask: each object, each class, or nothing."""

# masks are flat: higher levels save little and take several times as long
_LEVEL = 1
_NAME = re.compile(r"-?[0-9]{5,18}\.png")
_INSTANCE = re.compile(r"[0-9]{3}( .*)?", re.DOTALL)
# every picture says who wrote it: a folder of plates or of somebody's masks is never replaced
_PROGRAM, _HEAD_BYTES = ("Software", "vfx-matte"), 256
_MARK = "tEXt{}\0{}".format(*_PROGRAM).encode("ascii")
# void as annotators use it is cream in palettes; white is paint. In grey it stands beside ids that
# are small, as other levels are no ids
_VOID, _NEARLY_WHITE, _MOST_GRAY_ID = 255, 240, 31
# what file systems and shells take for something else
_UNSAFE = re.compile(r'[\\/:*?"<>|\x00]')
_LONGEST_NAME = 60


@contextmanager
def write_masks(folder: Path, clip: AnnotatedClip, *, look: Look = "objects") -> Iterator[AddFrame]:
    """Write one palette PNG per frame, index = object id; the folder is there once the block ends
    well.

    Args:
        folder: replaced when all it holds are such pictures.
        clip: whose masks they are; its labels must be complete for `look` "classes".
        look: what the palette shows.

    Raises:
        OutputError: it cannot be written, or holds something else.
    """
    palette = palette_for(clip, look)
    with atomic_folder(folder, foreign_file=other_than_masks) as part:

        def add(frame: FrameName, mask: Mask) -> None:
            clip.require_mask(mask)
            save_palette_png(part / f"{file_stem(frame.number)}.png", mask, palette)

        yield add


@contextmanager
def write_instances(folder: Path, clip: AnnotatedClip) -> Iterator[AddFrame]:
    """Write one folder per object, "002 dog", with one PNG per frame, white on black, black too
    where the object is not there.

    Args:
        folder: replaced when all it holds are such folders.
        clip: whose masks they are; the objects of its labels have a folder each, and so has every
            other object from the frame on where it appears, with black frames before it.

    Raises:
        OutputError: it cannot be written, or holds something else.
    """
    with atomic_folder(folder, foreign_file=other_than_instances) as part:
        frames: list[FrameName] = []
        folders: dict[int, Path] = {}
        empty: Mask = np.zeros(clip.shape, np.uint8)

        def open_folder(object_id: int) -> None:
            label = clip.label(object_id)
            folders[object_id] = part / f"{object_id:03} {safe_name(label.name)}".rstrip()
            folders[object_id].mkdir()
            for earlier in frames:
                save_gray_png(folders[object_id] / f"{file_stem(earlier.number)}.png", empty)

        def add(frame: FrameName, mask: Mask) -> None:
            clip.require_mask(mask)
            present = object_ids(mask)
            for object_id in sorted({*present, *clip.labels} - set(folders)):
                open_folder(object_id)
            for object_id, target in folders.items():
                shown = np.where(mask == object_id, np.uint8(255), np.uint8(0))
                save_gray_png(target / f"{file_stem(frame.number)}.png", shown)
            frames.append(frame)

        yield add


def palette_for(clip: AnnotatedClip, look: Look) -> Palette:
    """The palette of a clip's masks: the object's own colours, one per class, or white.

    The colour of a class depends on its name alone, so that it is the same in every clip.
    """
    if look == "objects":
        return clip.palette
    colors = np.full((256, 3), 255, np.uint8)
    colors[0] = 0
    if look == "classes":
        colors[1:] = clip.palette.colors[1:]
        for object_id, label in clip.labels.items():
            if label.class_name:
                colors[object_id] = class_color(label.class_name)
    return Palette(colors)


def class_color(class_name: str) -> tuple[int, int, int]:
    """The colour of a class, from its name: each class of COCO and YouTube-VIS has its own."""
    place = official_place(class_name)
    if place is None:
        # the colours that are left, by a hash that no version of Python changes
        key = class_name.casefold().replace("_", " ").encode("utf-8", "surrogatepass")
        place = MOST_PLACES + 1 + zlib.crc32(key) % (MOST_OBJECTS - MOST_PLACES)
    red, green, blue = Palette.davis().colors[place]
    return int(red), int(green), int(blue)


def save_palette_png(path: Path, mask: Mask, palette: Palette) -> None:
    """Write a mask, index = object id. Raises OSError; the file is not atomic by itself."""
    picture = Pillow.fromarray(mask)
    colors = palette.colors.tobytes()
    picture.putpalette(colors)
    _save(picture, path, id_mark(colors))


def save_gray_png(path: Path, picture: Mask) -> None:
    """Write a grey picture, uint8 (H, W). Raises OSError; the file is not atomic by itself."""
    _save(Pillow.fromarray(picture), path)


def _save(picture: Pillow.Image, path: Path, *texts: tuple[str, str]) -> None:
    info = PngInfo()
    for text in (_PROGRAM, *texts):
        info.add_text(*text)
    picture.save(path, format="PNG", compress_level=_LEVEL, pnginfo=info)


def is_own_png(path: Path) -> bool:
    """Whether a file is a picture that this module has written."""
    try:
        if path.suffix != ".png" or not path.is_file():
            return False
        with path.open("rb") as file:
            return _MARK in file.read(_HEAD_BYTES)
    except OSError:
        return False


def other_than_masks(folder: Path) -> str:
    """The name of something in a folder that `write_masks` has not written, "" = nothing."""
    return next(
        (
            path.name
            for path in folder.iterdir()
            if not (_NAME.fullmatch(path.name) and is_own_png(path))
        ),
        "",
    )


def other_than_instances(folder: Path) -> str:
    """The name of something in a folder that `write_instances` has not written, "" = nothing."""
    for below in folder.iterdir():
        if not (_INSTANCE.fullmatch(below.name) and below.is_dir()):
            return below.name
        if other := other_than_masks(below):
            return f"{below.name}/{other}"
    return ""


def safe_name(name: str) -> str:
    """A name as a part of a file's name on every system."""
    return _UNSAFE.sub("_", without_unprintable(name))[:_LONGEST_NAME].strip(" .")


def read_masks(folder: Path, *, labels: Mapping[int, ObjectLabel] | None = None) -> Annotations:
    """Read a folder of palette or 8-bit grey PNG masks, whose values are object ids.

    Args:
        folder: pictures named by frame numbers.
        labels: what the objects are, where it is known; without an object 255 among them, 255 may
            be void in pictures of other programs.

    Raises:
        MaskError: a file is none, or two are of one frame.
    """
    paths = pictures_in(folder)
    if not paths:
        raise MaskError(f"{str(folder)!r} holds no PNG mask", hint="check the folder")
    numbers, numbers_from = frame_numbers([path.name for path in paths])
    frames = sorted(
        (
            FrameAnnotation(
                number,
                path.name,
                png_shape(path),
                partial(read_png, path),
                shows_void=None if _VOID in (labels or {}) else partial(_shows_void, path),
            )
            for number, path in zip(numbers, paths, strict=True)
        ),
        key=lambda frame: frame.number,
    )
    return Annotations(folder.name, dict(labels or {}), tuple(frames), numbers_from)


def pictures_in(folder: Path) -> list[Path]:
    """The PNG files of a folder, by name. Raises MaskError."""
    return sorted(
        path
        for path in _listed(folder)
        if path.suffix.lower() == ".png" and not path.name.startswith(".") and path.is_file()
    )


def png_shape(path: Path) -> tuple[int, int]:
    """(H, W) as the header says. Raises MaskError."""
    try:
        header = require_still(path)
    except (MediaError, UsageError) as error:
        raise MaskError(f"mask {error.message}", hint=error.hint) from error
    return header.height, header.width


def read_png(path: Path) -> Mask:
    """The indices of a palette PNG, or the values of an 8-bit grey one: uint8 (H, W).

    Raises:
        MaskError: it is something else, or damaged.
    """
    png_shape(path)
    try:
        with Pillow.open(path, formats=["PNG"]) as picture:
            if picture.mode not in ("P", "L", "1"):
                raise MaskError(
                    f"mask {str(path)!r} has colours ({picture.mode}) instead of object ids",
                    hint="expected a palette or an 8-bit grey PNG; painted colours are read by"
                    f" {command('segment', 'CLIP', masks='FOLDER')}",
                )
            # of 1-bit pictures white is object 1
            return np.array(picture, np.uint8)
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise MaskError(
            f"mask {str(path)!r} cannot be read: {error}", hint="it is damaged, or no PNG"
        ) from error


def _shows_void(path: Path, mask: Mask) -> bool:
    """Whether 255 means "undecided" in a picture, as in DAVIS and YouTube-VOS: beside other ids,
    and not in a picture that this program wrote.
    """
    *others, last = object_ids(mask) or (0,)
    if last != _VOID or not others or is_own_png(path):
        return False
    try:
        with Pillow.open(path, formats=["PNG"]) as picture:
            palette = picture.getpalette("RGB")
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError):
        return False  # which the mask itself was not read from
    if palette is None:
        return others[-1] <= _MOST_GRAY_ID
    color = palette[3 * _VOID : 3 * _VOID + 3]
    return bool(color) and min(color) < _NEARLY_WHITE


def described(annotations: Annotations, labels: Mapping[int, ObjectLabel]) -> Annotations:
    """The same masks with what the objects are."""
    return replace(annotations, labels=dict(labels))


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise MaskError(
            f"folder {str(folder)!r} cannot be read: {error.strerror}", hint="check the path"
        ) from error
