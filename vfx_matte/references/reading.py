"""Reads painted pictures as masks: which object each pixel is, at the clip's shape.

Editors paint masks in any program: black and white, one colour per object, with anti-aliasing or
JPEG noise, as a palette picture, or as a cut-out with alpha. `read_mask_colors` reads one picture,
`read_references` those of one clip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vfx_matte.errors import MaskError
from vfx_matte.masks import RGB, Mask, Palette, hex_color, object_ids, resize_nearest
from vfx_matte.references.flat_colors import (
    SAME,
    FlatColors,
    Samples,
    assign_colors,
    erode,
    find_flat_colors,
    share_of_dots,
)
from vfx_matte.references.known_colors import KnownColors, color_distance
from vfx_matte.wording import command, option

BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)
VOID = 255
"""The label of pixels that annotators left undecided in PASCAL VOC, DAVIS 2017 and YouTube-VOS."""

Kind = Literal["palette", "binary", "gray", "rgb", "alpha"]
"""What a mask picture was read as."""

# objects that cover more than this may well be an inverted mask
_MOSTLY = 0.95
# pixels; larger pictures are thinned out where the clip is much smaller
_LARGE = 4096 * 2304
# of 8: inside an object all are equal, along a straight soft edge two are
_FEWEST_EQUAL_NEIGHBOURS = 3.5
# pixels of a colour that was painted on purpose
_FEWEST_VISIBLE = 9
# index 255 of a fixed colour cube is white paint, not the cream of void labels
_NEARLY_WHITE = 240
# dithered areas have 5 to 20 % in single dots, dithered edges alone up to 3 %
_MOST_DOTS = 0.04
# the brightest channel that JPEG or a careless brush may leave in black
_NEARLY_BLACK = 32
# DAVIS tools write ids as grey values, and nobody paints that dark on black
_MOST_GRAY_ID = 31
# share of pixels: below it a picture is not made of its flat colours, but a cut-out or a photograph
_MOSTLY_FLAT = 0.9


@dataclass(frozen=True, slots=True)
class MaskPicture:
    """A mask as it was painted, whatever its colours mean.

    Raises:
        ValueError: the arrays have other types or shapes.
    """

    pixels: npt.NDArray[Any]
    """bool, uint8, uint16 or uint32; (H, W) grey, (H, W, 3) R'G'B' or (H, W, 4) R'G'B' and straight
    alpha. uint32 is for (H, W) object ids only.
    """
    palette: npt.NDArray[np.uint8] | None = None
    """uint8 (N, 3) when pixels are uint8 (H, W) palette indices, else None."""
    are_ids: bool = False
    """Whether palette indices are object ids for certain, 1 to 255 and 0 for the background, so
    that nothing is guessed of them: no void, no soft edges, no other background.
    """
    notices: tuple[str, ...] = ()
    """Lines for people about how the file was read."""

    def __post_init__(self) -> None:
        pixels, kinds = self.pixels, (np.bool_, np.uint8, np.uint16, np.uint32)
        fits = pixels.ndim == 2 or (
            pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.dtype != np.uint32
        )
        if pixels.dtype not in kinds or not fits:
            raise ValueError(
                f"mask picture is {pixels.dtype} {pixels.shape}, expected bool, uint8 or uint16 (H,"
                " W[, 3 or 4])"
            )
        if self.palette is not None and (pixels.ndim != 2 or pixels.dtype != np.uint8):
            raise ValueError(
                f"palette indices are {pixels.dtype} {pixels.shape}, expected uint8 (H, W)"
            )
        if self.are_ids and self.palette is None:
            raise ValueError("a picture of object ids has no palette, expected one")


@dataclass(frozen=True, slots=True)
class MaskReading:
    """What a mask picture was read as."""

    mask: Mask
    """uint8 (H, W) at the clip's shape, object ids."""
    kind: Kind
    """What the picture was."""
    colors: dict[int, RGB]
    """Object id → the colour that it is painted in."""
    coverage: dict[int, int]
    """Object id → its pixels in `mask`."""
    notices: tuple[str, ...] = ()
    """Lines for people about what was assumed."""


def read_references(
    pictures: Iterable[tuple[int, MaskPicture]],
    *,
    shape: tuple[int, int],
    given: Mapping[RGB, int] | None = None,
    expected: Collection[int] = (),
    may_be_empty: bool = False,
) -> Iterator[tuple[int, MaskReading]]:
    """Read the references of one clip, in frame order, so that one colour is one object on all of
    them.

    A colour that an earlier frame does not have is a new object, with a notice. A single picture
    must show something; of several some may be empty: "nothing here", with a notice.

    Args:
        pictures: (frame_index, picture) pairs, read one at a time.
        shape: (H, W) of the clip.
        given: colour → the object id that it means, 0 = background.
        expected: objects that are known before, so that they are not told as new ones.
        may_be_empty: a single picture, too, may show nothing, as one that is going to be marked.

    Yields:
        (frame_index, what it was read as).

    Raises:
        MaskError: as `read_mask_colors` does, naming the frame.
    """
    known = KnownColors(given=given or {})
    earlier = set(expected)
    # one is read ahead, as a first picture without anything is a slip when it is the only one
    coming = iter(pictures)
    now, position = next(coming, None), 0
    while now is not None:
        (frame_index, picture), now = now, next(coming, None)
        is_single = position == 0 and now is None
        try:
            _require_undithered(picture)
            reading = read_mask_colors(
                picture, shape=shape, known=known, allow_empty=may_be_empty or not is_single
            )
        except MaskError as error:
            raise MaskError(
                f"mask of frame {frame_index}: {error.message}", hint=error.hint
            ) from error
        remarks = _remarks(picture, reading, earlier if position else None)
        yield frame_index, replace(reading, notices=(*reading.notices, *remarks))
        earlier |= set(reading.colors)
        position += 1


def _require_undithered(picture: MaskPicture) -> None:
    """Raise MaskError for a dithered picture: no rule can tell which of its dots are paint.

    Ids and numbers of 16 and 32 bits are not painted, and a picture of which only the edges are
    dithered can be read.
    """
    pixels = picture.pixels
    if picture.are_ids:
        return
    if picture.palette is not None:
        # indices beyond a short palette are black, as decoders show them
        pixels = np.concatenate([picture.palette, np.zeros((256, 3), np.uint8)])[pixels]
    elif pixels.dtype not in (np.bool_, np.uint8):
        return
    samples = _to_8bit(pixels)
    if samples.shape[2] == 4:
        # colours below transparency are not seen: painting programs leave anything there
        samples = np.where(samples[..., 3:] >= _half(samples[..., 3]), samples, 0).astype(np.uint8)
    share = share_of_dots(samples)
    if share > _MOST_DOTS:
        raise MaskError(
            f"mask is dithered: {share:.0%} of its pixels are single dots of another colour",
            hint="save it without dithering, best as RGB or grey instead of a few colours",
        )


def _remarks(picture: MaskPicture, reading: MaskReading, earlier: set[int] | None) -> Iterator[str]:
    """Notices about a reference that was read; `earlier`: objects on earlier ones, None for the
    first.
    """
    size, shape = picture.pixels.shape[:2], reading.mask.shape
    if size != shape:
        yield f"it is {size[1]}×{size[0]}, brought to the clip's {shape[1]}×{shape[0]}"
    share = sum(reading.coverage.values()) / (shape[0] * shape[1])
    is_painted = not picture.are_ids
    if is_painted and share > _MOSTLY and not any("whole" in line for line in reading.notices):
        yield (
            f"objects cover {share:.1%} of the picture: if it is inverted, swap black and white"
            " in it"
        )
    if earlier is None:
        return
    if not reading.coverage:
        yield "it is empty: no object is on this frame"
    for object_id, color in reading.colors.items():
        if object_id not in earlier:
            yield _new_object(object_id, color, earlier)


def _new_object(object_id: int, color: RGB, earlier: set[int]) -> str:
    other = min(earlier, default=1)
    same = option("map_color", f"{hex_color(color)[1:]}={other}")
    return (
        f"{hex_color(color)} is on no earlier mask, so it is a new object, {object_id}; if it is"
        f" object {other}: {same}"
    )


def read_mask_colors(
    picture: MaskPicture,
    *,
    shape: tuple[int, int],
    known: KnownColors | None = None,
    allow_empty: bool = False,
    void: int | None = VOID,
) -> MaskReading:
    """Read a mask picture: which pixels belong to which object, at the clip's shape.

    The rules, first fit:
    - a picture of ids is what it says (`MaskPicture.are_ids`).
    - palette indices: index = object id, whatever the palette, when index 0 is black, transparent,
      or along the border; else by colours. A palette picture with soft edges is read by its
      colours.
    - alpha that hides something is the mask. It is one object, unless the visible pixels are
      several flat colours. Where these are a painted mask in themselves (black or another colour
      along the border), the colours are read.
    - 16- and 32-bit numbers that fill flat areas are object ids: each number is one object.
    - grey with no value above 31: values = object ids, as DAVIS tools write them; 255 beside them
      is void.
    - grey: one object, cut at half of its level. Several objects only where each level fills a flat
      9×9 spot, since anti-aliased edges are thinner than that.
    - colours: one object for each flat colour; blends at edges go to the nearest colour around
      them. Background is black; without black it is the colour that holds most of the picture's
      border (with a notice).

    Args:
        picture: the mask.
        shape: (H, W) of the clip; a picture of another size and the same aspect is resized.
        known: meanings of earlier masks of this clip, extended in place.
        allow_empty: a picture without any object is "nothing here" instead of an error.
        void: the index or label that means "unknown" beside other ones, None = there is none.

    Raises:
        MaskError: another aspect, an empty mask, or a picture that is not made of flat colours (a
            photograph).
    """
    known = KnownColors() if known is None else known
    check_aspect(picture.pixels.shape[:2], shape)
    reading = _read(_thinned_out(picture, shape), shape, known, void)
    if not reading.coverage and not allow_empty:
        raise MaskError(
            "mask is empty: nothing in it is painted",
            hint="paint the object in white or in a colour on black",
        )
    return replace(reading, notices=(*picture.notices, *reading.notices))


def _read(
    picture: MaskPicture, shape: tuple[int, int], known: KnownColors, void: int | None
) -> MaskReading:
    """The mask, by the rule of `read_mask_colors` that fits first."""
    pixels = picture.pixels
    if pixels.ndim == 2 and pixels.dtype in (np.uint16, np.uint32) and _are_numbers(pixels):
        return _read_numbers(pixels, shape, known, void)
    if picture.palette is not None:
        if picture.are_ids:
            return _read_ids(pixels, picture.palette, shape, known)
        return _read_palette(pixels, picture.palette, shape, known, void)
    samples = _to_8bit(pixels)
    if samples.shape[2] == 4 and not samples[..., 3].any():
        return _finish(np.zeros(shape, np.uint8), "alpha", {}, ["every pixel of it is transparent"])
    # alpha that hides nothing is a leftover of the painting program
    if samples.shape[2] == 4 and int(samples[..., 3].min()) < _half(samples[..., 3]):
        return _read_alpha(samples, shape, known, void)
    return _read_colors(_drop_equal_channels(samples[..., :3]), shape, known, void)


def _thinned_out(picture: MaskPicture, shape: tuple[int, int]) -> MaskPicture:
    """Keep every n-th pixel of a picture far larger than the clip and than 4K, so that reading it
    takes little memory.
    """
    height, width = picture.pixels.shape[:2]
    step = min(height // shape[0], width // shape[1])
    if height * width <= _LARGE or step < 2:
        return picture
    return replace(
        picture, pixels=np.ascontiguousarray(picture.pixels[step // 2 :: step, step // 2 :: step])
    )


# ---------------------------------------------------------------- palettes


def _read_ids(
    indices: Mask,
    palette: npt.NDArray[np.uint8],
    shape: tuple[int, int],
    known: KnownColors,
) -> MaskReading:
    """Read a picture of object ids that has a palette."""
    colors = {object_id: _rgb(palette[object_id]) for object_id in object_ids(indices)}
    return _reading_of_ids(indices, "palette", colors, shape=shape, known=known, notices=[])


def _read_palette(
    indices: Mask,
    palette: npt.NDArray[np.uint8],
    shape: tuple[int, int],
    known: KnownColors,
    void: int | None,
) -> MaskReading:
    """Read a palette picture by its indices where these can be ids, else by its colours."""
    table = np.zeros((256, 3), np.uint8)
    table[: min(len(palette), 256)] = palette[:256]
    used = [int(index) for index in np.flatnonzero(np.bincount(indices.reshape(-1), minlength=256))]
    # 1. pictures that were only saved with a palette: grey levels, or colours with soft edges
    if _is_gray_ramp(table, used):
        return replace(_read_colors(indices[..., None], shape, known, void), kind="palette")
    painted = table[indices]
    if _is_soft_palette_picture(painted, used):
        reading = _read_colors(_drop_equal_channels(painted), shape, known, void)
        notice = (
            f"palette picture with soft edges ({len(used)} indices): read by its colours, not by"
            " its indices"
        )
        return MaskReading(
            reading.mask, "palette", reading.colors, reading.coverage, (notice, *reading.notices)
        )
    del painted  # three bytes per pixel, and the picture may be of 8K
    # 2. void beside objects is background, whatever its index
    notices: list[str] = []
    if void in used and set(used) - {0, void} and int(table[void].min()) < _NEARLY_WHITE:
        notices.append(f"index {void} is the void label and taken as background")
        indices = np.where(indices == void, 0, indices).astype(np.uint8)
        used = sorted({0, *used} - {void})
    # 3. index = id, unless the background is another index than 0, or the colours were other
    # indices on an earlier mask: painting programs sort palettes anew when they save
    background = _palette_background(indices, table, used)
    colors = {index: _rgb(table[index]) for index in used if index != background}
    meant = [known.ids.get(color) for color in colors.values()]
    is_reordered = (
        None not in meant
        and len(set(meant)) == len(meant)
        and meant != list(colors)
        and len(set(known.ids)) > 1
    )
    if not background and not is_reordered:
        return _reading_of_ids(
            indices, "palette", colors, shape=shape, known=known, notices=notices
        )
    if background:
        notices.append(
            f"index {background} ({hex_color(_rgb(table[background]))}) is the background, not"
            " index 0:"
            " read by colours"
        )
    else:
        notices.append("the palette is in another order than on an earlier mask: read by colours")
    return _by_color(indices, "palette", colors, shape=shape, known=known, notices=notices)


def _palette_background(indices: Mask, table: npt.NDArray[np.uint8], used: list[int]) -> int:
    """Which index is the background: 0 when it is black; else a black one; else 0, unless another
    index alone is along the border.
    """
    black = [index for index in used if int(table[index].max()) < _NEARLY_BLACK // 2]
    if 0 not in used or 0 in black:
        return 0
    if black:
        return min(black, key=lambda index: int(table[index].max()))
    border = np.bincount(np.concatenate(_border(indices)), minlength=256)
    most = int(border.argmax())
    return most if not border[0] and border[most] >= 0.75 * border.sum() else 0


def _is_gray_ramp(table: npt.NDArray[np.uint8], used: list[int]) -> bool:
    """Whether a palette picture is a grey one: index = level, and levels beyond those of ids."""
    return max(used, default=0) > _MOST_GRAY_ID and all(
        _rgb(table[index]) == (index,) * 3 for index in used
    )


def _is_soft_palette_picture(painted: npt.NDArray[np.uint8], used: list[int]) -> bool:
    """Whether most of the indices are anti-aliasing, as painting programs write them when they save
    few colours.
    """
    # few colours are paint: every blend would be an index of its own
    if len(used) < 8:
        return False
    flat = find_flat_colors(_drop_equal_channels(painted))
    return not flat.hard and 2 <= len(flat.colors) <= len(used) // 2 and flat.explained >= 0.8


# ---------------------------------------------------------------- object ids as numbers


def _are_numbers(pixels: npt.NDArray[Any]) -> bool:
    """Whether the values of deep grey are object ids and not levels: black and white alone, or soft
    edges between them.

    Ids fill areas, so most neighbours of a pixel are equal to it; along a soft edge few are.
    """
    top = int(pixels.max(initial=0))
    between = (pixels != 0) & (pixels != top)
    if top > 65535 or not between.any():
        return top not in (0, 1, 255, 65535)
    # the equal neighbours of each pixel, 0 to 8: each pair of neighbours counts for both
    same = np.zeros(pixels.shape, np.uint8)
    for rows, columns in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _neighbour_slices(pixels.shape, rows, columns)
        equal = pixels[here] == pixels[there]
        same[here] += equal
        same[there] += equal
    return float(same[between].mean()) >= _FEWEST_EQUAL_NEIGHBOURS


def _neighbour_slices(
    shape: tuple[int, ...], rows: int, columns: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that have a neighbour `rows` below and `columns` to the right, and these
    neighbours.
    """
    height, width = shape
    here = slice(0, height - rows), slice(max(0, -columns), width - max(0, columns))
    there = slice(rows, height), slice(max(0, columns), width - max(0, -columns))
    return here, there


def _read_numbers(
    pixels: npt.NDArray[Any], shape: tuple[int, int], known: KnownColors, void: int | None
) -> MaskReading:
    """Read each number as one object: below 256 the number is the id, else the ids are counted from
    1, as on earlier masks.
    """
    values, indices = np.unique(pixels, return_inverse=True)
    notices: list[str] = []
    # 1. the background: 0, or what holds most of the border
    border = np.bincount(
        np.concatenate(_border(indices.reshape(pixels.shape))), minlength=len(values)
    )
    background = 0 if int(values[0]) == 0 else int(values[int(border.argmax())])
    if background:
        notices.append(
            f"no 0 in the mask: {background}, which holds most of the border, is the background"
        )
    found = [int(value) for value in values if int(value) != background]
    deepest = max(found, default=0)
    # 2. void, unless ids go on beyond it
    if void in found and len(found) > 1 and deepest == void:
        notices.append(f"{void} is the void label and taken as background")
        found.remove(void)
    if len(found) > 255:
        raise MaskError(
            f"mask holds {len(found)} different numbers, more than 255 objects",
            hint="keep the objects to be cut out",
        )
    # 3. ids: the numbers themselves, unless one of them, here or on an earlier mask, is too large
    is_direct = deepest <= 255 and not known.values
    ids = {value: value for value in found} if is_direct else known.identify_numbers(found)
    if not is_direct:
        shown = ", ".join(
            f"{value} is object {object_id}" for value, object_id in list(ids.items())[:6]
        )
        notices.append(f"its numbers are object ids: {shown}{', …' if len(ids) > 6 else ''}")
    table = np.array([ids.get(int(value), 0) for value in values], np.uint8)
    colors = {object_id: _rgb(Palette.davis().colors[object_id]) for object_id in ids.values()}
    return _reading_of_ids(
        table[indices].reshape(pixels.shape),
        "gray",
        colors,
        shape=shape,
        known=known,
        notices=notices,
    )


def _reading_of_ids(
    ids: Mask,
    kind: Kind,
    colors: dict[int, RGB],
    *,
    shape: tuple[int, int],
    known: KnownColors,
    notices: list[str],
) -> MaskReading:
    """Take object ids as they are, except for colours to which the user gave a meaning."""
    given = {
        object_id: other
        for object_id, color in colors.items()
        if (other := known.given_id(color)) is not None
    }
    if given:
        table = np.arange(256, dtype=np.uint8)
        table[list(given)] = list(given.values())
        ids = table[ids]
        # those that were given 0 are background
        colors = {
            target: color
            for object_id, color in colors.items()
            if (target := given.get(object_id, object_id))
        }
    return _finish(resize_nearest(ids, shape), kind, colors, [*notices, *known.remember(colors)])


def _by_color(
    indices: Mask,
    kind: Kind,
    colors: dict[int, RGB],
    *,
    shape: tuple[int, int],
    known: KnownColors,
    notices: list[str],
) -> MaskReading:
    """Read a picture of indices by their colours; those that `colors` lacks are background."""
    ids = known.identify(list(dict.fromkeys(colors.values())))
    table = np.zeros(256, np.uint8)
    for index, color in colors.items():
        table[index] = ids[color]
    shown = {object_id: color for color, object_id in ids.items() if object_id}
    return _finish(resize_nearest(table[indices], shape), kind, shown, notices)


# ---------------------------------------------------------------- alpha, grey and colours


def _read_alpha(
    samples: Samples, shape: tuple[int, int], known: KnownColors, void: int | None
) -> MaskReading:
    """Read a picture with alpha, (H, W, 4), that hides something."""
    alpha = samples[..., 3]
    opaque = max(int(alpha.max()), 1)
    visible = alpha >= _half(alpha)
    painted = np.where(visible[..., None], samples[..., :3], 0).astype(np.uint8)
    # 1. the visible pixels are a painted mask, of which transparency is the background
    if (border := _border_color(samples[..., :3], visible)) is not None:
        colors = np.where(visible[..., None], samples[..., :3], np.array(border, np.uint8)).astype(
            np.uint8
        )
        if _is_painted(colors, visible):
            reading = _read_colors(_drop_equal_channels(colors), shape, known, void)
            notice = (
                f"{1 - float(visible.mean()):.1%} of it is transparent, which counts as background;"
                " the rest is read by colours"
            )
            return replace(reading, notices=(notice, *reading.notices))
    # 2. several flat colours are several objects
    flat = find_flat_colors(painted)
    hidden = 1 - float(visible.mean())
    is_flat = flat.explained - hidden >= _MOSTLY_FLAT * (1 - hidden)
    if is_flat and len(flat.colors) > 2:
        reading = _read_labels(painted, flat, shape, known)
        return MaskReading(reading.mask, "alpha", reading.colors, reading.coverage, reading.notices)
    # 3. anything else, such as a cut-out of the clip itself, is one object
    shown = [_rgb(color) for color in flat.colors if color.any()]
    color = shown[0] if is_flat and len(shown) == 1 else WHITE
    return _read_soft(
        alpha.astype(np.float32) / np.float32(opaque), "alpha", color, shape=shape, known=known
    )


def _half(alpha: npt.NDArray[np.uint8]) -> int:
    """Half of the largest alpha: a picture may be transparent as a whole."""
    return (max(int(alpha.max()), 1) + 1) // 2


def _border_color(colors: npt.NDArray[np.uint8], visible: npt.NDArray[np.bool_]) -> RGB | None:
    """The colour that holds the border of what is visible, None where transparency is the
    background.

    Transparency is the background when it holds a quarter of the picture and half of its border.
    """
    is_seen = np.concatenate(_border(visible))
    if is_seen.mean() <= 0.5 and visible.mean() <= 0.75:
        return None
    if is_seen.any():
        ring = np.concatenate(
            [edge[seen] for edge, seen in zip(_border(colors), _border(visible), strict=True)]
        )
    else:  # a transparent margin all around
        ring = colors[visible & ~erode(visible, 1)]
    if not len(ring):
        return None
    found, counts = np.unique(ring, axis=0, return_counts=True)
    return _rgb(found[int(counts.argmax())]) if counts.max() >= 0.5 * len(ring) else None


def _is_painted(colors: npt.NDArray[np.uint8], visible: npt.NDArray[np.bool_]) -> bool:
    """Whether the visible pixels are a painted mask in themselves: two or more flat colours, of
    which two are more than stray pixels.
    """
    flat = find_flat_colors(colors)
    if len(flat.colors) < 2 or flat.explained < _MOSTLY_FLAT:
        return False
    labels = assign_colors(colors, flat)
    counts = np.bincount(labels[visible], minlength=len(flat.colors))
    return int((counts >= _FEWEST_VISIBLE).sum()) >= 2


def _read_colors(
    samples: Samples, shape: tuple[int, int], known: KnownColors, void: int | None = None
) -> MaskReading:
    """Read grey (H, W, 1) or colours (H, W, 3) without alpha."""
    is_gray = samples.shape[2] == 1
    # 1. grey values that are ids
    if is_gray and (labels := _labels_of(samples[..., 0], void)) is not None:
        has_void = labels is not samples[..., 0] and bool((samples[..., 0] == void).any())
        colors = {
            level: _rgb(Palette.davis().colors[level])
            for level in object_ids(np.ascontiguousarray(labels))
        }
        kind: Kind = "binary" if list(colors) == [1] else "gray"
        notices = [f"{void} is the void label and taken as background"] if has_void else []
        return _reading_of_ids(labels, kind, colors, shape=shape, known=known, notices=notices)
    # 2. flat colours; grey of any kind is a mask, colours that are not flat are none
    flat = find_flat_colors(samples)
    if is_gray:
        if len(flat.colors) <= 2:
            return _read_one_gray(samples, flat, shape, known)
    elif len(flat.colors) == 0 or flat.explained < 0.5:
        raise MaskError(
            f"mask holds no flat colours: only {flat.explained:.0%} of its pixels are, so it looks"
            " like a photograph",
            hint=(
                "paint each object in one colour on black, or give a picture whose alpha is the"
                " mask"
            ),
        )
    return _read_labels(samples, flat, shape, known)


def _labels_of(values: Mask, void: int | None) -> Mask | None:
    """Grey values that are object ids: none is above 31, or only void (taken out) beside flat areas
    of ids and 0; else None.
    """
    counts = np.bincount(values.reshape(-1), minlength=256)
    if not counts[_MOST_GRAY_ID + 1 :].any():
        return values
    if (
        void is None
        or void <= _MOST_GRAY_ID
        or not counts[0]
        or not counts[1 : _MOST_GRAY_ID + 1].any()
        or counts[_MOST_GRAY_ID + 1 :].sum() != counts[void]
    ):
        return None
    # a soft edge of a white mask may have dark greys alone; those hardly have equal neighbours
    small = (values > 0) & (values <= _MOST_GRAY_ID)
    same = (values[:, 1:] == values[:, :-1]) & small[:, 1:]
    return (
        np.where(values == void, 0, values).astype(np.uint8)
        if same.sum() >= 0.75 * small.sum()
        else None
    )


def _read_one_gray(
    samples: Samples, flat: FlatColors, shape: tuple[int, int], known: KnownColors
) -> MaskReading:
    """Read grey as one object, cut at half of its level."""
    notices: list[str] = []
    # which level is the background, and which one the object
    levels = sorted(int(level) for level in flat.colors[:, 0])
    brightest = int(samples.max())
    background = levels.pop(0) if levels and levels[0] <= _NEARLY_BLACK else 0
    if len(levels) == 2:
        index = _background_index(samples, flat, known, notices)
        background = int(flat.colors[index, 0])
        levels.remove(background)
    elif not levels and brightest - background > SAME:
        # nothing but a soft ramp: a bright one is meant to end in white
        levels = [255 if brightest >= 128 else brightest]
    known.background = known.background or (background,) * 3
    level = levels[0] if levels else background + 255
    amount = (samples[..., 0].astype(np.float32) - background) / (level - background)
    kind: Kind = "binary" if flat.hard else "gray"
    return _read_soft(
        np.clip(amount, 0, 1).astype(np.float32),
        kind,
        WHITE,
        shape=shape,
        known=known,
        notices=notices,
    )


def _read_soft(
    amount: npt.NDArray[np.float32],
    kind: Kind,
    color: RGB,
    *,
    shape: tuple[int, int],
    known: KnownColors,
    notices: Iterable[str] = (),
) -> MaskReading:
    """Read one object from how much of it each pixel holds: float32 (h, w) in [0, 1], cut at one
    half.
    """
    # resized before the cut, so that an anti-aliased edge is still where it was painted
    inside = _resize_area(amount, shape) >= 0.5
    if not inside.any():
        return _finish(inside.astype(np.uint8), kind, {}, list(notices))
    object_id = known.identify([color])[color]
    if not object_id:
        return _finish(np.zeros(inside.shape, np.uint8), kind, {}, list(notices))
    return _finish(
        np.where(inside, object_id, 0).astype(np.uint8), kind, {object_id: color}, list(notices)
    )


def _read_labels(
    samples: Samples, flat: FlatColors, shape: tuple[int, int], known: KnownColors
) -> MaskReading:
    """Read flat colours (H, W, C): one object for each but the background."""
    notices: list[str] = []
    colors = [_rgb(np.broadcast_to(color, 3)) for color in flat.colors]
    background = _background_index(samples, flat, known, notices)
    ids = known.identify([color for index, color in enumerate(colors) if index != background])
    table = np.array(
        [0 if index == background else ids[color] for index, color in enumerate(colors)], np.uint8
    )
    mask = resize_nearest(table[assign_colors(samples, flat)], shape)
    kind: Kind = "gray" if samples.shape[2] == 1 else "rgb"
    return _finish(
        mask, kind, {object_id: color for color, object_id in ids.items() if object_id}, notices
    )


def _background_index(
    samples: Samples, flat: FlatColors, known: KnownColors, notices: list[str]
) -> int | None:
    """Which flat colour is the background: black, else what it was before, else the one along the
    picture's border.
    """
    colors = [_rgb(np.broadcast_to(color, 3)) for color in flat.colors]
    for wanted, tolerance in ((BLACK, _NEARLY_BLACK), (known.background, SAME)):
        if wanted is not None:
            distance, index = min(
                (color_distance(color, wanted), index) for index, color in enumerate(colors)
            )
            if distance <= tolerance:
                known.background = known.background or colors[index]
                return index
    if len(colors) == 1:
        notices.append(
            f"the whole picture is {hex_color(colors[0])}: one object covers the whole frame"
        )
        return None
    border = assign_colors(
        np.concatenate(_border(samples))[None], FlatColors(flat.colors, hard=True, explained=1.0)
    )
    index = int(np.bincount(border.reshape(-1)).argmax())
    known.background = known.background or colors[index]
    notices.append(
        f"no black in the mask: {hex_color(colors[index])}, which holds most of the border, is the"
        " background"
    )
    return index


def _border(pixels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """The pixels along the border of a picture (H, W[, C])."""
    return pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]


def _finish(mask: Mask, kind: Kind, colors: dict[int, RGB], notices: list[str]) -> MaskReading:
    """The reading, with each object's area and notices about objects that became too small."""
    counts = np.bincount(mask.reshape(-1), minlength=256)
    coverage = {
        int(object_id): int(counts[object_id]) for object_id in np.flatnonzero(counts) if object_id
    }
    lost = sorted(set(colors) - set(coverage))
    notices.extend(
        f"object {object_id} ({hex_color(colors[object_id])}) is too small at the clip's size"
        for object_id in lost
    )
    return MaskReading(mask, kind, dict(sorted(colors.items())), coverage, tuple(notices))


def has_aspect(size: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Whether a picture (H, W) has the aspect of a clip (H, W): within 1 %, or 1.5 px at the
    smaller of both sizes.
    """
    (height, width), (clip_height, clip_width) = size, shape
    # cross products instead of quotients: 0 for the same aspect, and exact
    across = width * clip_height - height * clip_width
    off_px = abs(across) / max(height, width, clip_height, clip_width)
    return off_px <= 1.5 or abs(across) <= 0.01 * height * clip_width


def check_aspect(size: tuple[int, ...], shape: tuple[int, int], *, name: str = "mask") -> None:
    """Check that a picture (H, W) has the aspect of a clip (H, W), see `has_aspect`; `name` is what
    the message calls it.

    Raises:
        MaskError: it has another one.
    """
    if has_aspect(size, shape):
        return
    is_turned = has_aspect(size[::-1], shape)
    raise MaskError(
        f"{name} is {size[1]}×{size[0]}, which is not the aspect of the clip,"
        f" {shape[1]}×{shape[0]}",
        hint=(
            "turn the mask: the clip is taken as it is displayed"
            if is_turned
            else (
                "paint on a still of this clip:"
                f" {command('frame', 'CLIP', at=0, output='still.png')}"
            )
        ),
    )


def _to_8bit(pixels: npt.NDArray[Any]) -> Samples:
    """bool, uint8 or uint16 (H, W[, C]) → uint8 (H, W, C).

    16-bit values up to 255 are kept: they are object ids.
    """
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif pixels.dtype == np.uint16:
        small = int(pixels.max(initial=0)) <= 255
        pixels = (pixels if small else (pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _drop_equal_channels(samples: Samples) -> Samples:
    """Grey that is stored as R'G'B' becomes (H, W, 1); lossy codecs may leave a trace of colour in
    it.
    """
    is_gray = int((samples.max(axis=2) - samples.min(axis=2)).max(initial=0)) <= 8
    return samples[..., :1] if is_gray else samples


def _resize_area(
    amount: npt.NDArray[np.float32], shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Amounts at another size: the average over the area of each new pixel, at least one old pixel
    wide, which is area averaging when smaller and linear when larger.
    """
    for axis in (0, 1):
        old, new = amount.shape[axis], shape[axis]
        if old == new:
            continue
        centers = (np.arange(new) + 0.5) * old / new
        half = max(old / new, 1.0) / 2
        low, high = np.clip(centers - half, 0, old), np.clip(centers + half, 0, old)
        # the sum over an interval is a difference of two cumulative sums
        sums = np.insert(np.cumsum(amount, axis=axis, dtype=np.float64), 0, 0, axis=axis)
        total = _sums_at(sums, high, axis) - _sums_at(sums, low, axis)
        amount = (total / np.expand_dims(high - low, 1 - axis)).astype(np.float32)
    return amount


def _sums_at(
    sums: npt.NDArray[np.float64], positions: npt.NDArray[np.float64], axis: int
) -> npt.NDArray[np.float64]:
    """Cumulative sums at positions between the samples, interpolated linearly."""
    whole = np.minimum(positions.astype(int), sums.shape[axis] - 2)
    part = np.expand_dims(positions - whole, 1 - axis)
    between: npt.NDArray[np.float64] = (
        np.take(sums, whole, axis) * (1 - part) + np.take(sums, whole + 1, axis) * part
    )
    return between


def _rgb(color: npt.NDArray[np.uint8]) -> RGB:
    return int(color[0]), int(color[1]), int(color[2])
