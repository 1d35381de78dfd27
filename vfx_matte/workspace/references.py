"""The masks a user gives. Takes paths, gives mask pictures and the frame each belongs to; never decides what colours mean."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vfx_matte.errors import MaskError
from vfx_matte.mask_reading import MaskPicture

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})


def parse_mask_argument(text: str) -> tuple[int, Path]:
    """Split "12=path" into the frame index and the path. Raises MaskError for anything else."""
    number, equals, path = text.partition("=")
    if not equals or not path or not re.fullmatch(r"\s*[0-9]+\s*", number):
        raise MaskError(f"mask {text!r} is not FRAME=path", hint="for example --mask 12=masks/dog.png (frames count from 0)")
    return int(number), Path(path)


def load_mask_picture(path: Path) -> MaskPicture:
    """Read a painted mask: PNG, JPEG, TIFF, BMP or WebP of any depth. Raises MaskError when it cannot be read."""
    try:
        with Image.open(path) as opened:
            return _as_arrays(ImageOps.exif_transpose(opened))
    except FileNotFoundError as error:
        raise MaskError(f"there is no mask {path}", hint="check the path; --mask takes FRAME=path") from error
    except IsADirectoryError as error:
        raise MaskError(f"mask {path} is a folder", hint="give a folder of masks with --masks") from error
    except UnidentifiedImageError as error:
        raise MaskError(f"mask {path} is not a picture", hint="save it as PNG") from error
    except Image.DecompressionBombError as error:
        raise MaskError(f"mask {path} is too large: {error}", hint="save it at the clip's size") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise MaskError(f"cannot read mask {path}: {error}", hint="open it in a painting program and save it as PNG") from error


def _as_arrays(picture: Image.Image) -> MaskPicture:
    if picture.mode == "P":
        palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return MaskPicture(np.array(picture), palette)
    if picture.mode in ("1", "L", "RGB", "RGBA"):
        return MaskPicture(np.array(picture))
    if picture.mode == "F":
        values = np.nan_to_num(np.array(picture, np.float32))
        scale = 65535.0 if values.max(initial=0) <= 1 else 1.0
        return MaskPicture(np.clip(np.rint(values * scale), 0, 65535).astype(np.uint16))
    if picture.mode.startswith("I"):
        return MaskPicture(np.clip(np.array(picture), 0, 65535).astype(np.uint16))
    return MaskPicture(np.array(picture.convert("RGBA" if "A" in picture.getbands() else "RGB")))


def collect_references(
    *,
    first_mask: Path | None = None,
    first_frame: int = 0,
    masks: Sequence[tuple[int, Path]] = (),
    folder: Path | None = None,
    clip_name: str = "",
    frame_count: int | None = None,
) -> dict[int, Path]:
    """Say which mask file belongs to which frame: {frame_index: path}, ascending.

    first_mask: the mask of `first_frame`. masks: (frame_index, path) pairs. folder: pictures whose first integer in the
    file name is the frame index, gaps allowed; when it holds `Annotations` (XMem++ layout), that folder or its subfolder
    `clip_name` is read. frame_count: frames of the clip, None when not known yet.
    Raises MaskError for two masks of one frame, a frame the clip does not have, and when there is no mask at all.
    """
    given = [(first_frame, first_mask)] if first_mask is not None else []
    given.extend(masks)
    if folder is not None:
        given.extend(_folder_masks(folder, clip_name))
    if not given:
        raise MaskError(
            "no mask was given", hint="make one: vfx-matte mask CLIP --box x,y,w,h -o mask.png, then --first-mask mask.png"
        )
    found: dict[int, Path] = {}
    for frame_index, path in given:
        if frame_index in found:
            raise MaskError(
                f"frame {frame_index} has two masks: {found[frame_index]} and {path}",
                hint="the first number in a file name is its frame index; keep one mask for each frame",
            )
        if frame_index < 0 or (frame_count is not None and frame_index >= frame_count):
            last = "" if frame_count is None else f": the clip has {frame_count} frames, 0 to {frame_count - 1}"
            raise MaskError(f"mask {path} is for frame {frame_index}, which does not exist{last}", hint="frames count from 0")
        found[frame_index] = path
    return dict(sorted(found.items()))


def _folder_masks(folder: Path, clip_name: str) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        raise MaskError(
            f"there is no folder of masks {folder}", hint="--masks takes a folder; for one file use --mask FRAME=path"
        )
    folder = _annotations(folder, clip_name)
    pairs = []
    for path in _pictures(folder):
        number = re.search(r"[0-9]+", path.stem)
        if number is None:
            raise MaskError(
                f"mask {path} has no frame number in its name", hint="name it after its frame, for example 00012.png"
            )
        pairs.append((int(number[0]), path))
    if not pairs:
        kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        raise MaskError(f"folder {folder} holds no mask", hint=f"masks are pictures ({kinds}) named after their frame")
    return pairs


def _annotations(folder: Path, clip_name: str) -> Path:
    """The folder that holds the pictures: `folder`, its `Annotations`, or the clip's or only folder in there."""
    annotations = folder / "Annotations"
    if not annotations.is_dir():
        return folder
    below = sorted(path for path in annotations.iterdir() if path.is_dir() and not path.name.startswith("."))
    if any(True for _ in _pictures(annotations)) or not below:
        return annotations
    named = [path for path in below if path.name == clip_name] or below
    if len(named) > 1:
        names = ", ".join(path.name for path in below[:6])
        raise MaskError(f"{annotations} holds masks of several clips: {names}", hint=f"give one of them: --masks {below[0]}")
    return named[0]


def _pictures(folder: Path) -> Iterable[Path]:
    """Picture files in a folder by name, without dotfiles."""
    return (
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
