"""Writes corrections into a painted mask file.

Only the pixels that change are painted: the mode, the palette and the value of every other pixel
stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from vfx_matte.errors import MaskError
from vfx_matte.files.atomic import atomic_path
from vfx_matte.files.id_mark import id_mark
from vfx_matte.masks import RGB, Mask, Palette, object_ids
from vfx_matte.masks import Image as RGBImage
from vfx_matte.references.files import open_mask
from vfx_matte.references.picture_modes import as_mask_picture, is_id_picture
from vfx_matte.references.reading import MaskPicture, read_references

# the keyword of the text chunk
_NOTE_KEY = "vfx-matte"
# a folder's latest files that are asked for their notes, 0.1 ms each
_MOST_READ = 1000
_LONGEST_NOTE = 8192
# of a SHA-256, enough to tell the mask files of a clip apart
_ORIGIN_DIGITS = 16
# pixels; more do not change which value is the most frequent, and sorting them takes seconds
_MOST_COUNTED = 20_000
_ALPHA_MODES = ("LA", "RGBA")
_MODES = ("1", "L", "P", "RGB", "I;16", *_ALPHA_MODES)
# late in the order in which new colours get their ids (`KnownColors.identify`), where the colour of
# the palette is not: a new object is the last one
_LATE_COLORS: tuple[RGB, ...] = (
    (0, 0, 255),
    (0, 0, 128),
    (0, 128, 128),
    (0, 255, 0),
    (255, 0, 255),
    (255, 255, 0),
    (255, 0, 0),
)

Note = Mapping[str, object]
"""What a picture says about itself in a text chunk, as JSON has it: the clip and the frame a mask
belongs to, and what `NotedMask` reads.
"""

UNSURE, ORIGINS = "unsure", "from"
"""Keys of a note: object id → its confidence in per cent, of objects that are as good as not found;
and the digests of the mask files that a mask was corrected from, the earliest first.
"""


@dataclass(frozen=True, slots=True)
class PaintedMask:
    """A mask as it stands in its file."""

    picture: Image.Image
    """As Pillow has it, turned as displayed."""
    content: MaskPicture
    """The same pixels as arrays."""


def load_painted(path: Path, *, shape: tuple[int, int]) -> PaintedMask:
    """Read a mask file that is going to be corrected.

    Args:
        path: the file.
        shape: (H, W) of the clip.

    Raises:
        MaskError: as `load_mask_picture` does.
    """
    return PaintedMask(*open_mask(path, shape=shape))


def repainted(painted: PaintedMask, before: Mask, after: Mask) -> PaintedMask | None:
    """Repaint the pixels of a mask that now belong to another object.

    Args:
        painted: the mask's file.
        before: uint8 (H, W), the ids that it was read as.
        after: uint8 (H, W), the ids that it should be read as.

    Returns:
        The painted file, which is read as `after` when it is a clip's only mask; None where its
        mode cannot hold that.
    """
    new = set(object_ids(after)) - set(object_ids(before))
    if (
        painted.picture.size != before.shape[::-1]
        or painted.picture.mode not in _MODES
        or len(new) > 1
    ):
        return None
    for color in _colors_to_try(max(new)) if new else (None,):
        edited = _edited(painted.picture, before, after, color)
        result = None if edited is None else PaintedMask(edited, as_mask_picture(edited))
        # reading decides, as only it knows all rules
        if result is not None and _is_read_as(result.content, after):
            return result
    return None


def _colors_to_try(object_id: int) -> Iterator[RGB]:
    """Colours for a new object: reading numbers objects by their colours, so not every colour gives
    it the wanted id.
    """
    red, green, blue = (int(part) for part in Palette.davis().colors[object_id])
    yield red, green, blue
    yield from _LATE_COLORS


def _is_read_as(content: MaskPicture, mask: Mask) -> bool:
    try:
        ((_, reading),) = read_references([(0, content)], shape=(mask.shape[0], mask.shape[1]))
    except MaskError:
        return False
    return np.array_equal(reading.mask, mask)


def _edited(
    picture: Image.Image, before: Mask, after: Mask, color: RGB | None
) -> Image.Image | None:
    """The picture with its changed pixels, `color` being that of a new object; None where the
    picture's mode has no value for it.
    """
    pixels, changed = np.array(picture), before != after
    edited = picture.copy()
    hides = picture.mode in _ALPHA_MODES and bool((pixels[before == 0][:, -1] < 128).any())
    for object_id in (0, *object_ids(after)):
        where = changed & (after == object_id)
        if not where.any():
            continue
        if hides:
            # alpha is the mask, whatever colours lie under it
            alpha = np.where(
                where, 255 if object_id else 0, np.asarray(edited.getchannel("A"))
            ).astype(np.uint8)
            edited.putalpha(Image.fromarray(alpha))
            continue
        shown = before == object_id
        # in the value that the object already has; a soft edge makes several, of which one is paint
        value = (
            _most_frequent(pixels[shown])
            if shown.any()
            else _new_value(edited, pixels, object_id, color)
        )
        if value is None:
            return None
        edited.paste(value, (0, 0), Image.fromarray(where.astype(np.uint8) * np.uint8(255)))
    return edited


def _most_frequent(values: npt.NDArray[np.generic]) -> int | tuple[int, ...]:
    """The most frequent of some pixels' values, (N,) or (N, C); of very many pixels, of those at
    equal distances.
    """
    found, counts = np.unique(
        values[:: 1 + len(values) // _MOST_COUNTED], axis=0, return_counts=True
    )
    usual = found[int(counts.argmax())]
    return int(usual) if usual.ndim == 0 else tuple(int(part) for part in usual)


def _new_value(
    picture: Image.Image, pixels: npt.NDArray[Any], object_id: int, color: RGB | None
) -> int | tuple[int, ...] | None:
    """The value of an object that the picture does not show yet; its palette may gain a colour for
    it.
    """
    if object_id == 0 or color is None:
        return {"RGB": (0, 0, 0), "RGBA": (0, 0, 0, 255), "LA": (0, 255)}.get(picture.mode, 0)
    if picture.mode in ("RGB", "RGBA"):
        return (*color, 255)[: len(picture.mode)]
    if picture.mode == "I;16":
        # a number of its own, above all others, so that theirs stay the lowest
        return min(int(pixels.max()) + 1, 65535)
    if picture.mode != "P":
        return None  # levels of grey are amounts of one object
    # index = id; the palette gets a colour for it, unless it has one that no other index shows
    colors = picture.getpalette("RGB") or []
    colors += [0] * (3 * (object_id + 1) - len(colors))
    taken = {tuple(colors[3 * index : 3 * index + 3]) for index in np.unique(pixels).tolist()}
    if tuple(colors[3 * object_id : 3 * object_id + 3]) in taken | {(0, 0, 0)}:
        colors[3 * object_id : 3 * object_id + 3] = color
    picture.putpalette(colors)
    return object_id


def save_noted_mask(path: Path, mask: Mask | PaintedMask, note: Note) -> None:
    """Write a mask as PNG with a note, atomically.

    Args:
        path: the file.
        mask: object ids, uint8 (H, W), which get the palette of DAVIS; or a painted picture, which
            is written as it is.
        note: which clip and frame it belongs to.

    Raises:
        OutputError: the file cannot be written.
    """
    if isinstance(mask, PaintedMask):
        picture, are_ids = mask.picture, is_id_picture(mask.picture)
    else:
        picture, are_ids = Image.fromarray(mask), True
        picture.putpalette(Palette.davis().colors.tobytes())
    _save(path, picture, note, are_ids=are_ids, compress_level=1)


def save_noted_picture(path: Path, image: RGBImage, note: Note) -> None:
    """Write a picture, uint8 (H, W, 3), as PNG with a note, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    _save(path, Image.fromarray(image), note, are_ids=False, compress_level=3)


def _save(
    path: Path, picture: Image.Image, note: Note, *, are_ids: bool, compress_level: int
) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text(_NOTE_KEY, json.dumps(dict(note)))
    if are_ids:
        texts.add_text(*id_mark(bytes(picture.getpalette("RGB") or [])))
    with atomic_path(path, clean_up=False) as part:
        picture.save(part, format="PNG", compress_level=compress_level, pnginfo=texts)


def read_note(path: Path) -> dict[str, object]:
    """The note of a PNG file; {} where it has none that can be read."""
    try:
        # Pillow would report a file of another kind as damaged, and warn about some
        with path.open("rb") as file:
            if file.read(8) != b"\x89PNG\r\n\x1a\n":
                return {}
        with Image.open(path, formats=["PNG"]) as picture:
            text = picture.info.get(_NOTE_KEY, "")
        note = json.loads(text) if isinstance(text, str) and len(text) <= _LONGEST_NOTE else {}
    except (OSError, SyntaxError, ValueError, RecursionError, Image.DecompressionBombError):
        return {}
    return note if isinstance(note, dict) else {}


@dataclass(frozen=True, slots=True)
class NotedMask:
    """A mask file that says which frame it belongs to."""

    path: Path
    """The file."""
    frame: int
    """The number of the frame."""
    changed_ns: int
    """When it last changed, `st_mtime_ns`."""
    unsure: Mapping[int, int]
    """Object id → its confidence in per cent, of objects that are as good as not found."""
    origins: tuple[str, ...]
    """Digests (`origin_digest`) of the mask files that it was corrected from."""


def unsure_objects(note: Note) -> dict[int, int]:
    """What a note says of objects that are as good as not found: id → confidence in per cent."""
    told = note.get(UNSURE)
    return (
        {
            int(object_id): percent
            for object_id, percent in told.items()
            if str(object_id).isdecimal() and isinstance(percent, int)
        }
        if isinstance(told, dict)
        else {}
    )


def noted_origins(note: Note) -> tuple[str, ...]:
    """The digests of the mask files that a mask was corrected from, by its note."""
    told = note.get(ORIGINS)
    return tuple(map(str, told)) if isinstance(told, list) else ()


def origin_digest(sha256: str) -> str:
    """What notes have of a mask file's SHA-256, in hexadecimal."""
    return sha256[:_ORIGIN_DIGITS]


def noted_masks(folder: Path, clip: str, *, after_ns: int = 0) -> list[NotedMask]:
    """The masks of a clip in a folder that say which frame they belong to, the latest last.

    Args:
        folder: where they are looked for; not in folders in it.
        clip: the clip's name, as in notes.
        after_ns: only those that changed later, `st_mtime_ns`.
    """
    dated: list[tuple[int, Path]] = []
    try:
        for path in folder.glob("*.[pP][nN][gG]"):
            changed_ns = path.stat().st_mtime_ns
            if changed_ns > after_ns:
                dated.append((changed_ns, path))
    except OSError:
        # a file that went away meanwhile, or a folder that cannot be read
        pass
    found = []
    # a folder of plates is not read as a whole
    for changed_ns, path in sorted(dated)[-_MOST_READ:]:
        note = read_note(path)
        number = note.get("frame")
        if note.get("clip") == clip and isinstance(number, int) and "preview" not in note:
            found.append(
                NotedMask(path, number, changed_ns, unsure_objects(note), noted_origins(note))
            )
    return found
