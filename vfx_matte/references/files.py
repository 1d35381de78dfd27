"""Finds and reads the mask files that a user gives, and the frame that each belongs to."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from vfx_matte.backend import Notify
from vfx_matte.errors import MaskError, MediaError, UsageError
from vfx_matte.files.still_header import StillHeader, StillKind, read_still_header, require_still
from vfx_matte.masks import RGB
from vfx_matte.numbering import split_name
from vfx_matte.references.picture_modes import as_mask_picture, has_min_white
from vfx_matte.references.reading import MaskPicture, check_aspect, has_aspect
from vfx_matte.wording import command, option

# no .psd: it is what a painting program works on, and lies beside the mask that was saved from it
PICTURE_SUFFIXES = frozenset(
    {
        ".png",
        ".jpg",
        ".jpeg",
        ".tif",
        ".tiff",
        ".bmp",
        ".webp",
        ".gif",
        ".tga",
        ".pbm",
        ".pgm",
        ".ppm",
        ".pnm",
    }
)

MOST_MASK_PIXELS = 8192 * 4320
"""Pixels of the largest mask that is decoded, where the clip itself is not larger: 8K."""

_PREVIEW = ".preview.png"

_PILLOW_NAMES: Mapping[StillKind, str] = {
    "png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "bmp": "BMP", "gif": "GIF", "webp": "WEBP",
    "pnm": "PPM", "tga": "TGA",
    "psd": "PSD",
}  # fmt: skip


def parse_mask_argument(text: str) -> tuple[int, Path]:
    """Split "12=path" into the frame's number and the path.

    Raises:
        MaskError: the text is something else.
    """
    number, equals, path = text.partition("=")
    if not equals or not path or not re.fullmatch(r"\s*-?[0-9]{1,18}\s*", number):
        raise MaskError(
            f"mask {text!r} is not FRAME=path",
            hint=(
                f"for example {option('mask', '12=masks/dog.png')} (frames count from 0; those"
                " of a sequence have their pictures' numbers)"
            ),
        )
    return int(number), Path(path)


def parse_color_argument(text: str) -> tuple[RGB, int]:
    """Split "#ff0000=2" or "ff0000=2" into the colour and the object id, 0 = background.

    Raises:
        MaskError: the text is something else.
    """
    found = re.fullmatch(r"\s*#?([0-9a-fA-F]{6})\s*=\s*([0-9]{1,3})\s*", text, re.ASCII)
    if found is None or int(found[2]) > 255:
        hint = (
            f"for example {option('map_color', 'ffffff=1')}; ids go to 255, 0 is the background;"
            f" {option('colors', True)} shows the colours"
        )
        raise MaskError(f"colour {text!r} is not COLOUR=ID", hint=hint)
    red, green, blue = bytes.fromhex(found[1])
    return (red, green, blue), int(found[2])


def load_mask_picture(path: Path, *, shape: tuple[int, int] | None = None) -> MaskPicture:
    """Read a painted mask: PNG, JPEG, TIFF, BMP, GIF, WebP, PNM, TGA or PSD of any depth, by its
    content and not its suffix.

    Args:
        path: the file.
        shape: (H, W) of the clip. A picture of another aspect, or far larger than the clip, is
            refused before it is decoded.

    Raises:
        MaskError: it cannot be read.
    """
    return open_mask(path, shape=shape)[1]


def open_mask(
    path: Path, *, shape: tuple[int, int] | None = None
) -> tuple[Image.Image, MaskPicture]:
    """A mask as Pillow has it, turned as displayed, and as `load_mask_picture` gives it.

    Raises:
        MaskError: as `load_mask_picture` does.
    """
    if not path.exists():
        raise MaskError(f"there is no mask {path}", hint="check the path")
    if path.is_dir():
        raise MaskError(
            f"mask {path} is a folder", hint=f"give a folder of masks with {option('masks')}"
        )
    try:
        header = _require_mask(path, shape)
        with warnings.catch_warnings():
            # Pillow's warnings are about metadata and would be printed between our notices
            warnings.simplefilter("ignore")
            return _decoded(path, header)
    except MaskError:
        raise
    # the header, read by our own rules, in terms of masks
    except (MediaError, UsageError) as error:
        raise MaskError(f"mask {error.message}", hint=error.hint) from error
    except UnidentifiedImageError as error:
        raise MaskError(
            f"mask {path} is damaged: its header cannot be read", hint="save it as PNG"
        ) from error
    # whatever Pillow's decoders make of damaged files
    except (
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
    ) as error:
        raise MaskError(
            f"cannot read mask {path}: {error}",
            hint="open it in a painting program and save it as PNG",
        ) from error


def _decoded(path: Path, header: StillHeader) -> tuple[Image.Image, MaskPicture]:
    # by the kind that the header says: no other decoder may try a file made to look like two kinds
    with Image.open(path, formats=[_PILLOW_NAMES[header.kind]]) as opened:
        if opened.width * opened.height > header.pixels:
            raise ValueError(
                f"it is {header.width}×{header.height} and says {opened.width}×{opened.height} too"
            )
        notices = (
            ("it has more than one picture; the first one is the mask",)
            if _has_more(opened)
            else ()
        )
        picture = ImageOps.exif_transpose(opened)
        return picture, replace(
            as_mask_picture(picture, is_min_white=has_min_white(opened)), notices=notices
        )


def _require_mask(path: Path, shape: tuple[int, int] | None) -> StillHeader:
    """The header of a mask that may be decoded. Raises MediaError, UsageError or MaskError."""
    if shape is None:
        header = require_still(path, most_pixels=MOST_MASK_PIXELS)
    else:
        header = read_still_header(path)
        height, width = shape
        # the second when it is turned by a tag
        sizes = (
            (header.height, header.width),
            (header.width, header.height),
        )
        if not any(has_aspect(size, shape) for size in sizes):
            check_aspect(sizes[0], shape, name=f"mask {path}")
        header = require_still(
            path,
            most_pixels=max(MOST_MASK_PIXELS, 4 * height * width),
            limit=f"the clip is {width}×{height}",
        )
    if header.kind not in _PILLOW_NAMES:
        raise UsageError(
            f"{str(path)!r} is {header.kind.upper()}, which is not read as a mask",
            hint="save it as PNG",
        )
    return header


def _has_more(opened: Image.Image) -> bool:
    """Whether a file holds more pictures; MPO holds the same one several times."""
    return bool(getattr(opened, "is_animated", False)) and opened.format != "MPO"


def _silent(_: str) -> None: ...


def collect_references(
    *,
    first_mask: Path | None = None,
    first_frame: int = 0,
    masks: Sequence[tuple[int, Path]] = (),
    folder: Path | None = None,
    clip_name: str = "",
    frame_count: int | None = None,
    first_number: int = 0,
    outside_hint: Callable[[int], str] = lambda _: "frames count from 0",
    notify: Notify = _silent,
) -> dict[int, Path]:
    """Find out which mask file belongs to which frame.

    A frame's number is that of its picture in a sequence, and counts from 0 in every other clip.

    Args:
        first_mask: the mask of `first_frame`.
        first_frame: a frame number.
        masks: (frame number, path) pairs.
        folder: pictures whose last number in the file name is the frame's, gaps allowed; when it
            holds `Annotations` (XMem++ layout), that folder or its subfolder `clip_name` is read.
        clip_name: the name of such a subfolder.
        frame_count: frames of the clip, None when not known yet.
        first_number: the number of the clip's first frame.
        outside_hint: the hint about a number that the clip does not have.
        notify: receives a notice when a name holds several numbers.

    Returns:
        Frame number → path, ascending.

    Raises:
        MaskError: two masks for one frame, a frame that the clip does not have, or no mask at all.
    """
    given = [(first_frame, first_mask)] if first_mask is not None else []
    given.extend(masks)
    if folder is not None:
        given.extend(_folder_masks(folder, clip_name, notify))
    if not given:
        raise MaskError(
            "no mask was given",
            hint=(
                f"make one: {command('mask', 'CLIP', fg='x,y', output='mask.png')} (or"
                f" {option('auto', True)}), then {option('first_mask', 'mask.png')}"
            ),
        )
    found: dict[int, Path] = {}
    for frame_index, path in given:
        if frame_index in found:
            raise MaskError(
                f"frame {frame_index} has two masks: {found[frame_index]} and {path}",
                hint="the last number in a file name is its frame; keep one mask for each frame",
            )
        if frame_count is not None and not 0 <= frame_index - first_number < frame_count:
            last = (
                f"the clip has {frame_count} frames, {first_number} to"
                f" {first_number + frame_count - 1}"
            )
            raise MaskError(
                f"mask {path} is for frame {frame_index}, which does not exist: {last}",
                hint=outside_hint(frame_index),
            )
        found[frame_index] = path
    return dict(sorted(found.items()))


def _folder_masks(folder: Path, clip_name: str, notify: Notify) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        raise MaskError(
            f"there is no folder of masks {folder}",
            hint=(
                f"{option('masks')} takes a folder; for one file use {option('mask', 'FRAME=path')}"
            ),
        )
    folder = _annotations(folder, clip_name)
    pairs = []
    is_noted = False
    for path in _pictures(folder):
        cut = split_name(path.name)
        if cut is None:
            raise MaskError(
                f"mask {path} has no frame number in its name",
                hint="name it after its frame, for example 00012.png",
            )
        # once: a folder has hundreds of them, all named in the same way
        if cut.is_ambiguous and not is_noted:
            is_noted = True
            notify(f"mask {path.name}: the last number in a name is the frame's, {cut.number}")
        pairs.append((cut.number, path))
    if not pairs:
        kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        raise MaskError(
            f"folder {folder} holds no mask",
            hint=f"masks are pictures ({kinds}) named after their frame",
        )
    return pairs


def _annotations(folder: Path, clip_name: str) -> Path:
    """The folder that holds the pictures: `folder`, its `Annotations`, or the clip's or the only
    folder in there.
    """
    annotations = folder / "Annotations"
    if not annotations.is_dir():
        return folder
    below = sorted(
        path for path in annotations.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if any(True for _ in _pictures(annotations)) or not below:
        return annotations
    named = [path for path in below if path.name == clip_name] or below
    if len(named) > 1:
        names = ", ".join(path.name for path in below[:6])
        raise MaskError(
            f"{annotations} holds masks of several clips: {names}",
            hint=f"give one of them: {option('masks', str(below[0]))}",
        )
    return named[0]


def _pictures(folder: Path) -> Iterable[Path]:
    """Picture files in a folder, sorted by name, without dotfiles and previews of masks."""
    return (
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
        and not is_preview(path)
    )


def preview_path(mask: Path) -> Path:
    """Where the preview of a mask is: m.preview.png beside m.png."""
    return mask.with_name(f"{mask.stem}{_PREVIEW}")


def is_preview(path: Path) -> bool:
    """Whether a picture is the preview of a mask that lies beside it."""
    return (
        path.name.endswith(_PREVIEW)
        and path.with_name(f"{path.name.removesuffix(_PREVIEW)}.png").is_file()
    )
