"""Reads and writes the pictures and texts of a workspace.

Files are written atomically: under its name a file is whole or not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vfx_matte.errors import MaskError, UsageError, WorkspaceError
from vfx_matte.files.atomic import atomic_path
from vfx_matte.files.id_mark import id_mark
from vfx_matte.files.inputs import other_than_file
from vfx_matte.masks import Image as RGBImage
from vfx_matte.masks import Mask, Palette
from vfx_matte.wording import command, option

# of a mask that this program wrote: 16K; a damaged header would ask for the whole memory
_MOST_PIXELS = 16384 * 8192

# masks are flat, so higher levels save little and take several times as long
_COMPRESS_LEVEL = 1

# what a picture says of the program that wrote it, and the number of TIFF's tag for it
_PROGRAM = ("Software", "vfx-matte")
_TIFF_SOFTWARE = 305

Soft = npt.NDArray[np.uint8]
"""uint8 (H, W): the probability of one object, 255 = certain."""


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, on the disk before this returns.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path, durable=True) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def save_mask(path: Path, mask: Mask, palette: Palette) -> None:
    """Write a mask as 8-bit palette PNG (index = object id, which it says), atomically.

    Args:
        path: the file.
        mask: uint8 (H, W), object ids.
        palette: the colours that viewers show.

    Raises:
        ValueError: the mask is no such array.
        OutputError: the file cannot be written.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 (H, W)")
    picture = Image.fromarray(mask)
    # any viewer shows objects in colours, and any program reads the indices
    colors = palette.colors.tobytes()
    picture.putpalette(colors)
    texts = PngInfo()
    texts.add_text(*id_mark(colors))
    with atomic_path(path, clean_up=False) as part:
        picture.save(part, format="PNG", compress_level=_COMPRESS_LEVEL, pnginfo=texts)


def _open_png(path: Path) -> Image.Image:
    """Open a picture of the workspace; whatever is not a PNG is not handed to any other decoder.

    Raises ValueError for what is no file or too large, and as Image.open does.
    """
    if other := other_than_file(path):
        raise ValueError(f"it is {other}")
    # from the header alone, before Pillow reserves memory for what it promises
    if (size := _png_size(path)) is not None and size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"it is {size[0]}×{size[1]}, more than any clip")
    return Image.open(path, formats=["PNG"])


def _png_size(path: Path) -> tuple[int, int] | None:
    """(width, height) as the header says, None where the file does not begin as a PNG."""
    with path.open("rb") as file:
        head = file.read(24)
    return (
        (int.from_bytes(head[16:20]), int.from_bytes(head[20:24]))
        if head[12:16] == b"IHDR"
        else None
    )


def load_mask(path: Path) -> Mask:
    """Read a mask that `save_mask` wrote: uint8 (H, W), object ids.

    Raises:
        MaskError: the file is missing, damaged, or another picture.
    """
    try:
        with _open_png(path) as picture:
            # "L": the values of a grey picture are ids just as well
            if picture.mode not in ("P", "L"):
                raise MaskError(
                    f"{path} is {picture.format} {picture.mode}, expected an 8-bit palette PNG"
                )
            return np.array(picture)
    except FileNotFoundError as error:
        raise MaskError(
            f"mask {path} is missing",
            hint=(
                f"run {command('segment', resume=True)} to make it again, unless another run is"
                " just doing so"
            ),
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        hint = f"delete it and run {command('segment', resume=True)} to make it again"
        raise MaskError(f"cannot read mask {path}: {error}", hint=hint) from error


def save_soft(path: Path, soft: Soft) -> None:
    """Write one object's probabilities as PNG, atomically: 8-bit gray, or 1-bit black where they
    are 0 everywhere.

    The second says "not on this frame" in a file of a kilobyte, so that no file at all can only
    mean that it was lost.

    Args:
        path: the file.
        soft: uint8 (H, W), 255 = certain.

    Raises:
        ValueError: `soft` is no such array.
        OutputError: the file cannot be written.
    """
    if soft.dtype != np.uint8 or soft.ndim != 2:
        raise ValueError(f"soft result is {soft.dtype} {soft.shape}, expected uint8 (H, W)")
    picture = (
        Image.fromarray(soft) if soft.any() else Image.new("1", (soft.shape[1], soft.shape[0]))
    )
    with atomic_path(path, clean_up=False) as part:
        picture.save(part, format="PNG", compress_level=_COMPRESS_LEVEL)


def load_soft(path: Path) -> Soft:
    """Read probabilities that `save_soft` wrote: uint8 (H, W), 255 = certain.

    Raises:
        WorkspaceError: the file is missing, damaged, or another picture.
    """
    hint = (
        f"delete it and run {command('segment', soft=True, resume=True)} to make it again, or"
        f" render with {option('soft_edges', False)}"
    )
    try:
        with _open_png(path) as picture:
            # "1": the file of a frame without the object
            if picture.mode not in ("L", "1"):
                raise WorkspaceError(
                    f"{path} is {picture.format} {picture.mode}, expected an 8-bit gray PNG",
                    hint=hint,
                )
            return np.array(picture.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # a missing file too: a frame without the object has a file that says so
        raise WorkspaceError(f"cannot read soft result {path}: {error}", hint=hint) from error


def save_picture(path: Path, image: RGBImage) -> None:
    """Write a picture atomically; the suffix decides the format (PNG, JPEG, TIFF, …).

    Args:
        path: the file.
        image: uint8 (H, W, 3) R'G'B'.

    Raises:
        UsageError: no format has this suffix.
        OutputError: the file cannot be written.
    """
    # Pillow lists formats that it only reads, too
    formats = Image.registered_extensions()
    kind = formats.get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise UsageError(
            f"picture {str(path)!r} has an unknown suffix", hint="use .png, .jpg or .tif"
        )
    # tells a picture that may be made anew from somebody else's: `is_made_here`
    extra: dict[str, Any] = {}
    if kind == "PNG":
        texts = PngInfo()
        texts.add_text(*_PROGRAM)
        extra = {"pnginfo": texts}
    elif kind == "JPEG":
        extra = {"quality": 95, "comment": _PROGRAM[1].encode()}
    elif kind == "TIFF":
        extra = {"software": _PROGRAM[1]}
    with atomic_path(path) as part:
        Image.fromarray(image).save(part, format=kind, **extra)


def is_made_here(path: Path) -> bool:
    """Whether a picture says that this program made it, as PNG, JPEG and TIFF files can; False for
    whatever cannot be read.
    """
    name = _PROGRAM[1]
    try:
        with Image.open(path, formats=["PNG", "JPEG", "TIFF"]) as picture:
            said = (picture.info.get("Software"), picture.info.get("comment"))
            if picture.format == "TIFF":
                said = (picture.getexif().get(_TIFF_SOFTWARE), None)
            return any(text in (name, name.encode()) for text in said)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
