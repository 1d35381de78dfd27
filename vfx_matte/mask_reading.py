"""What a painted picture means. Takes the arrays of mask pictures, gives object ids at the clip's shape; knows no file.

Editors paint masks in any program: black and white, one colour an object, with anti-aliasing or JPEG noise, as a palette
picture, or as a cut-out with alpha. `read_mask_colors` understands one, `understand_references` those of one clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vfx_matte.errors import MaskError
from vfx_matte.flat_colors import SAME, FlatColors, Samples, assign_colors, find_flat_colors
from vfx_matte.masks import RGB, Mask, Palette, object_ids

BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)
_NEARLY_BLACK = 32  # the brightest channel that JPEG or a careless brush may leave in black


@dataclass(frozen=True, slots=True)
class MaskPicture:
    """A mask as it was painted, before anybody knows what its colours mean.

    pixels: bool, uint8, uint16 or uint32; (H, W) grey, (H, W, 3) R'G'B' or (H, W, 4) R'G'B' and straight alpha. uint32 is
    for (H, W) object ids only.
    palette: uint8 (N, 3) when pixels are uint8 (H, W) palette indices, else None.
    notices: lines for people about how the file was read.
    """

    pixels: npt.NDArray[Any]
    palette: npt.NDArray[np.uint8] | None = None
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pixels, kinds = self.pixels, (np.bool_, np.uint8, np.uint16, np.uint32)
        fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.dtype != np.uint32)
        if pixels.dtype not in kinds or not fits:
            raise ValueError(f"mask picture is {pixels.dtype} {pixels.shape}, expected bool, uint8 or uint16 (H, W[, 3 or 4])")
        if self.palette is not None and (pixels.ndim != 2 or pixels.dtype != np.uint8):
            raise ValueError(f"palette indices are {pixels.dtype} {pixels.shape}, expected uint8 (H, W)")


@dataclass(frozen=True, slots=True)
class MaskReading:
    """What a mask picture was understood to be.

    mask: uint8 (H, W) at the clip's shape. kind: what the picture was. colors: the painted colour of each object in it.
    coverage: pixels of each object in `mask`. notices: lines for people about what was assumed.
    """

    mask: Mask
    kind: Literal["palette", "binary", "gray", "rgb", "alpha"]
    colors: dict[int, RGB]
    coverage: dict[int, int]
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class KnownColors:
    """What colours have meant so far, so that several references of one clip agree: the same colour is the same object.

    ids: object id of each colour. background: the colour that was background, None before the first picture.
    """

    ids: dict[RGB, int] = field(default_factory=dict)
    background: RGB | None = None

    def identify(self, colors: list[RGB]) -> dict[RGB, int]:
        """Give each colour its object id, new ids for unknown ones, and remember them.

        A colour within JPEG noise of a known one is that one. When all the unknown ones are in the DAVIS palette and those
        ids are free, they get them; otherwise they get the lowest free ids in the order of their values (R, then G, then
        B, ascending for grey, descending otherwise: red before green before blue), which does not depend on their areas.
        """
        found = {color: self._known(color) for color in colors}
        new = sorted((color for color in colors if found[color] is None), key=_color_order)
        taken = set(self.ids.values())
        davis = [_davis_id(color) for color in new]
        # greys alone are levels, not DAVIS colours, although 64, 128 and 192 are in that palette too
        use_davis = all(value is not None and value not in taken for value in davis) and not all(map(_is_gray, new))
        for color, davis_id in zip(new, davis, strict=True):
            free = next((value for value in range(1, 256) if value not in taken), None)
            chosen = davis_id if use_davis else free
            if chosen is None:
                raise MaskError(f"masks hold more than 255 objects, the last one is {_hex(color)}")
            taken.add(chosen)
            found[color] = self.ids[color] = chosen
        return {color: object_id for color, object_id in found.items() if object_id is not None}

    def insist(self, colors: Mapping[int, RGB]) -> list[str]:
        """Remember colours whose ids are given (palette indices); return a notice for each that meant something else."""
        notices = []
        for object_id, color in colors.items():
            earlier = next((known for known, value in self.ids.items() if value == object_id), color)
            if earlier != color:
                notices.append(f"object {object_id} is {_hex(color)} here and was {_hex(earlier)} on an earlier mask")
            self.ids.setdefault(color, object_id)
        return notices

    def _known(self, color: RGB) -> int | None:
        if color in self.ids:
            return self.ids[color]
        distance, nearest = min(((_apart(color, known), known) for known in self.ids), default=(256, BLACK))
        return self.ids[nearest] if distance <= SAME // 2 else None


def understand_references(
    pictures: Iterable[tuple[int, MaskPicture]], *, shape: tuple[int, int]
) -> Iterator[tuple[int, MaskReading]]:
    """Read the references of one clip, in frame order, so that one colour is one object on all of them.

    pictures: (frame_index, picture) pairs, read one at a time. shape: (H, W) of the clip. A colour that an earlier frame
    does not have is a new object. The first picture must show something; later ones may be empty: "nothing here".
    Raises MaskError as `read_mask_colors` does, naming the frame.
    """
    known = KnownColors()
    for position, (frame_index, picture) in enumerate(pictures):
        try:
            yield frame_index, read_mask_colors(picture, shape=shape, known=known, allow_empty=position > 0)
        except MaskError as error:
            raise MaskError(f"mask of frame {frame_index}: {error.message}", hint=error.hint) from error


def read_mask_colors(
    picture: MaskPicture, *, shape: tuple[int, int], known: KnownColors | None = None, allow_empty: bool = False
) -> MaskReading:
    """Understand a mask picture: which pixels belong to which object, at the clip's shape.

    shape: (H, W) of the clip; a picture of another size and the same aspect is resized. known: meanings of earlier masks
    of this clip, extended in place. allow_empty: a picture without any object is "nothing here" instead of a MaskError.

    The rules, first fit:
    - palette indices: index = object id, whatever the palette. A palette picture with soft edges is read by its colours.
    - alpha that varies: alpha is the mask. It is one object, unless the visible pixels are several flat colours.
    - grey with no value above 31: values = object ids, as DAVIS tools write them.
    - grey: one object, cut at half of its level. Several objects only where each level fills a flat 9×9 spot, since
      anti-aliased edges are thinner than that.
    - colours: one object for each flat colour; blends at edges go to the nearest colour around them.
    Background is black; without black it is the colour that holds most of the picture's border (with a notice).
    Raises MaskError for another aspect, an empty mask, and pictures that are no flat colours (photographs).
    """
    known = KnownColors() if known is None else known
    check_aspect(picture.pixels.shape[:2], shape)
    samples = _to_8bit(picture.pixels)
    if picture.palette is not None:
        reading = _read_palette(samples[..., 0], picture.palette, shape, known)
    elif samples.shape[2] == 4 and (np.ptp(samples[..., 3]) > 0 or not samples[..., 3].any()):
        reading = _read_alpha(samples, shape, known)
    else:
        reading = _read_colors(_drop_equal_channels(samples[..., :3]), shape, known)
    if not reading.coverage and not allow_empty:
        raise MaskError("mask is empty: nothing in it is painted", hint="paint the object in white or in a colour on black")
    return replace(reading, notices=(*picture.notices, *reading.notices))


def _read_palette(indices: Mask, palette: npt.NDArray[np.uint8], shape: tuple[int, int], known: KnownColors) -> MaskReading:
    table = np.zeros((256, 3), np.uint8)
    table[: min(len(palette), 256)] = palette[:256]
    painted = table[indices]
    used = np.flatnonzero(np.bincount(indices.reshape(-1), minlength=256))
    if _is_soft_palette_picture(painted, used):
        reading = _read_colors(_drop_equal_channels(painted), shape, known)
        notice = f"palette picture with soft edges ({len(used)} indices): read by its colours, not by its indices"
        return MaskReading(reading.mask, "palette", reading.colors, reading.coverage, (notice, *reading.notices))
    colors = {int(index): _rgb(table[index]) for index in used if index}
    return _finish(_resize_nearest(indices, shape), "palette", colors, known.insist(colors))


def _is_soft_palette_picture(painted: npt.NDArray[np.uint8], used: npt.NDArray[np.intp]) -> bool:
    """True when most of the indices can only be anti-aliasing, as painting programs write when they save few colours."""
    if len(used) < 8:
        return False
    flat = find_flat_colors(_drop_equal_channels(painted))
    return not flat.hard and 2 <= len(flat.colors) <= len(used) // 2 and flat.explained >= 0.8


def _read_alpha(samples: Samples, shape: tuple[int, int], known: KnownColors) -> MaskReading:
    alpha = samples[..., 3]
    opaque = max(int(alpha.max()), 1)
    visible = alpha >= (opaque + 1) // 2
    painted = np.where(visible[..., None], samples[..., :3], 0).astype(np.uint8)
    flat = find_flat_colors(painted)
    hidden = 1 - float(visible.mean())
    is_flat = flat.explained - hidden >= 0.9 * (1 - hidden)
    if is_flat and len(flat.colors) > 2:
        reading = _read_labels(painted, flat, shape, known)
        return MaskReading(reading.mask, "alpha", reading.colors, reading.coverage, reading.notices)
    shown = [_rgb(color) for color in flat.colors if color.any()]
    color = shown[0] if is_flat and len(shown) == 1 else WHITE
    return _read_soft(alpha.astype(np.float32) / np.float32(opaque), "alpha", color, shape=shape, known=known)


def _read_colors(samples: Samples, shape: tuple[int, int], known: KnownColors) -> MaskReading:
    """Read grey (H, W, 1) or colours (H, W, 3) without alpha."""
    is_gray = samples.shape[2] == 1
    if is_gray and int(samples.max()) < 32:
        colors = {level: _rgb(Palette.davis().colors[level]) for level in object_ids(samples[..., 0])}
        kind: Literal["binary", "gray"] = "binary" if list(colors) == [1] else "gray"
        return _finish(_resize_nearest(samples[..., 0], shape), kind, colors, known.insist(colors))
    flat = find_flat_colors(samples)
    if is_gray:
        if len(flat.colors) <= 2:
            return _read_one_gray(samples, flat, shape, known)
    elif len(flat.colors) == 0 or flat.explained < 0.5:
        raise MaskError(
            f"mask holds no flat colours: only {flat.explained:.0%} of its pixels are, so it looks like a photograph",
            hint="paint each object in one colour on black, or give a picture whose alpha is the mask",
        )
    return _read_labels(samples, flat, shape, known)


def _read_one_gray(samples: Samples, flat: FlatColors, shape: tuple[int, int], known: KnownColors) -> MaskReading:
    """One object in grey, cut at half of its level."""
    notices: list[str] = []
    levels = sorted(int(level) for level in flat.colors[:, 0])
    brightest = int(samples.max())
    background = levels.pop(0) if levels and levels[0] <= _NEARLY_BLACK else 0
    if len(levels) == 2:
        index = _background_index(samples, flat, known, notices)
        background = int(flat.colors[index, 0])
        levels.remove(background)
    elif not levels and brightest - background > SAME:
        levels = [255 if brightest >= 128 else brightest]
    known.background = known.background or (background,) * 3
    level = levels[0] if levels else background + 255
    amount = (samples[..., 0].astype(np.float32) - background) / (level - background)
    kind: Literal["binary", "gray"] = "binary" if flat.hard else "gray"
    return _read_soft(np.clip(amount, 0, 1).astype(np.float32), kind, WHITE, shape=shape, known=known, notices=notices)


def _read_soft(
    amount: npt.NDArray[np.float32],
    kind: Literal["binary", "gray", "alpha"],
    color: RGB,
    *,
    shape: tuple[int, int],
    known: KnownColors,
    notices: Iterable[str] = (),
) -> MaskReading:
    """One object from how much of it each pixel holds: float32 (h, w) in [0, 1], cut at one half."""
    inside = _resize_area(amount, shape) >= 0.5
    if not inside.any():
        return _finish(inside.astype(np.uint8), kind, {}, list(notices))
    object_id = known.identify([color])[color]
    return _finish(np.where(inside, object_id, 0).astype(np.uint8), kind, {object_id: color}, list(notices))


def _read_labels(samples: Samples, flat: FlatColors, shape: tuple[int, int], known: KnownColors) -> MaskReading:
    """One object for each flat colour but the background."""
    notices: list[str] = []
    colors = [_rgb(np.broadcast_to(color, 3)) for color in flat.colors]
    background = _background_index(samples, flat, known, notices)
    ids = known.identify([color for index, color in enumerate(colors) if index != background])
    table = np.array([0 if index == background else ids[color] for index, color in enumerate(colors)], np.uint8)
    mask = _resize_nearest(table[assign_colors(samples, flat)], shape)
    kind: Literal["gray", "rgb"] = "gray" if samples.shape[2] == 1 else "rgb"
    return _finish(mask, kind, {object_id: color for color, object_id in ids.items()}, notices)


def _background_index(samples: Samples, flat: FlatColors, known: KnownColors, notices: list[str]) -> int | None:
    """Which flat colour is the background: black, else what it was before, else the one along the picture's border."""
    colors = [_rgb(np.broadcast_to(color, 3)) for color in flat.colors]
    for wanted, tolerance in ((BLACK, _NEARLY_BLACK), (known.background, SAME)):
        if wanted is not None:
            distance, index = min((_apart(color, wanted), index) for index, color in enumerate(colors))
            if distance <= tolerance:
                known.background = known.background or colors[index]
                return index
    if len(colors) == 1:
        notices.append(f"the whole picture is {_hex(colors[0])}: one object covers the whole frame")
        return None
    edges = (samples[0], samples[-1], samples[:, 0], samples[:, -1])
    border = assign_colors(np.concatenate(edges)[None], FlatColors(flat.colors, hard=True, explained=1.0))
    index = int(np.bincount(border.reshape(-1)).argmax())
    known.background = known.background or colors[index]
    notices.append(f"no black in the mask: {_hex(colors[index])}, which holds most of the border, is the background")
    return index


def _finish(
    mask: Mask, kind: Literal["palette", "binary", "gray", "rgb", "alpha"], colors: dict[int, RGB], notices: list[str]
) -> MaskReading:
    counts = np.bincount(mask.reshape(-1), minlength=256)
    coverage = {int(object_id): int(counts[object_id]) for object_id in np.flatnonzero(counts) if object_id}
    lost = sorted(set(colors) - set(coverage))
    notices.extend(f"object {object_id} ({_hex(colors[object_id])}) is too small at the clip's size" for object_id in lost)
    return MaskReading(mask, kind, dict(sorted(colors.items())), coverage, tuple(notices))


def has_aspect(size: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Whether a picture (H, W) has the aspect of a clip (H, W): within 1 %, or 1.5 px at the smaller of both sizes."""
    (height, width), (clip_height, clip_width) = size, shape
    across = width * clip_height - height * clip_width
    off_px = abs(across) / max(height, width, clip_height, clip_width)
    return off_px <= 1.5 or abs(across) <= 0.01 * height * clip_width


def check_aspect(size: tuple[int, ...], shape: tuple[int, int]) -> None:
    """Raise MaskError unless a picture (H, W) has the aspect of a clip (H, W), see `has_aspect`."""
    if has_aspect(size, shape):
        return
    turned = has_aspect(size[::-1], shape)
    raise MaskError(
        f"mask is {size[1]}×{size[0]}, which is not the aspect of the clip, {shape[1]}×{shape[0]}",
        hint="turn the mask: the clip is taken as it is displayed"
        if turned
        else "paint on a still of this clip: vfx-matte frame CLIP --at 0 -o still.png",
    )


def _to_8bit(pixels: npt.NDArray[Any]) -> Samples:
    """bool, uint8 or uint16 (H, W[, C]) → uint8 (H, W, C). 16-bit values up to 255 are kept: they are object ids."""
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif pixels.dtype == np.uint16:
        small = int(pixels.max(initial=0)) <= 255
        pixels = (pixels if small else (pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _drop_equal_channels(samples: Samples) -> Samples:
    """Grey that is stored as R'G'B' becomes (H, W, 1); lossy codecs may leave a trace of colour in it."""
    is_gray = int((samples.max(axis=2) - samples.min(axis=2)).max(initial=0)) <= 8
    return samples[..., :1] if is_gray else samples


def _resize_nearest(mask: Mask, shape: tuple[int, int]) -> Mask:
    if mask.shape == shape:
        return mask
    rows, columns = ((np.arange(new) * 2 + 1) * old // (2 * new) for new, old in zip(shape, mask.shape, strict=True))
    resized: Mask = np.ascontiguousarray(mask[rows[:, None], columns[None]])
    return resized


def _resize_area(amount: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Average over the area of each new pixel, at least one old pixel wide: area when smaller, linear when larger."""
    for axis in (0, 1):
        old, new = amount.shape[axis], shape[axis]
        if old == new:
            continue
        centers = (np.arange(new) + 0.5) * old / new
        half = max(old / new, 1.0) / 2
        low, high = np.clip(centers - half, 0, old), np.clip(centers + half, 0, old)
        sums = np.insert(np.cumsum(amount, axis=axis, dtype=np.float64), 0, 0, axis=axis)
        total = _sums_at(sums, high, axis) - _sums_at(sums, low, axis)
        amount = (total / np.expand_dims(high - low, 1 - axis)).astype(np.float32)
    return amount


def _sums_at(sums: npt.NDArray[np.float64], places: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Cumulative sums between the samples, linearly."""
    whole = np.minimum(places.astype(int), sums.shape[axis] - 2)
    part = np.expand_dims(places - whole, 1 - axis)
    between: npt.NDArray[np.float64] = np.take(sums, whole, axis) * (1 - part) + np.take(sums, whole + 1, axis) * part
    return between


def _rgb(color: npt.NDArray[np.uint8]) -> RGB:
    return int(color[0]), int(color[1]), int(color[2])


def _hex(color: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _apart(first: RGB, second: RGB) -> int:
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


def _is_gray(color: RGB) -> bool:
    return max(color) - min(color) <= 8


def _color_order(color: RGB) -> tuple[int, ...]:
    """A sort key that JPEG noise does not change: greys from dark to bright, then colours by descending R, G, B."""
    coarse = tuple((value + 16) // 32 for value in color)
    return (0, *coarse) if _is_gray(color) else (1, *(-value for value in coarse))


def _davis_id(color: RGB) -> int | None:
    """The id whose DAVIS colour this is (up to JPEG noise), or None."""
    offsets = np.abs(Palette.davis().colors.astype(int) - color).max(axis=1)
    object_id = int(offsets.argmin())
    return object_id if object_id and offsets[object_id] <= 6 else None
