"""Mixes pixels where they are: in a picture's own planes and bit depth.

Where alpha is full the samples are the source's, bit for bit; where it is zero they are the
background's. In between out = background + (source − background)·α, in integers, rounded half up. A
subsampled plane takes the mean of alpha over the luma samples that its sample covers (beyond an odd
edge the last one repeats). Picture, matte and mask live on the same device and have the same (H,
W); ValueError otherwise. Inputs stay as they are. Files, time and codecs are not known here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vfx_matte.backend import Array, bounding_box, look_up, xp
from vfx_matte.masks import RGB, Mask, Matte, Palette
from vfx_matte.picture import (
    ColorTags,
    Picture,
    PixelLayout,
    code_values,
    require_same_size,
    subsampled,
)

BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)

RGB8 = PixelLayout("rgb", 8)
FULL_RGB = ColorTags(matrix="gbr", range="pc")

OVERLAY_FULL = 256
"""Weights of the overlay's tint are multiples of 1/256."""


def over_color(picture: Picture, matte: Matte, rgb: RGB) -> Picture:
    """Lay the subject over one colour (green screen).

    The colour becomes code values by the picture's own tags (`picture.code_values`).

    Args:
        picture: the subject's source; its alpha plane is dropped.
        matte: what of it is kept.
        rgb: the colour, 0..255 each.

    Returns:
        The layout of `picture` without alpha; a gray picture under a coloured key becomes YUV 4:2:0
        of the same depth, which every editing program decodes, and stays gray under a neutral one.
    """
    require_same_size(picture, matte.alpha)
    return _laid_over(_for_color(picture, rgb), matte, empty_color(picture, rgb))


def over_picture(picture: Picture, matte: Matte, background: Picture) -> Picture:
    """Lay the subject over another picture.

    Args:
        picture: the subject's source; its alpha plane is dropped.
        matte: what of it is kept.
        background: of the same layout, size and colour tags, as the caller has converted it; its
            alpha plane is dropped.

    Raises:
        ValueError: when layout or size differ.
    """
    require_same_size(picture, matte.alpha)
    source, behind = picture.opaque(), background.opaque()
    if behind.layout != source.layout or behind.shape != source.shape:
        raise ValueError(
            f"background is {behind.layout} {behind.shape}, expected {source.layout} {source.shape}"
        )
    # `_laid_over` writes into them
    copies = tuple(plane.copy() for plane in behind.planes)
    return _laid_over(source, matte, source.with_planes(copies))


def empty_color(like: Picture, rgb: RGB) -> Picture:
    """A whole frame of one colour, with the layout that `over_color(like, …, rgb)` gives."""
    # a coloured key needs chroma planes, which gray has none of
    target = layout_for_color(like.layout, rgb)
    codes = code_values(rgb, target, like.color, height=like.shape[0])
    return _flat(like.planes[0], like.shape, codes, target, like.color)


def luma_matte(matte: Matte, layout: PixelLayout, color: ColorTags) -> Picture:
    """Show alpha as a gray picture: black 0, white 1, steps between them equal in code values and
    exactly rounded.

    Full-range gray of alpha's own depth is alpha itself, unchanged.

    Args:
        matte: the alpha.
        layout: as the file will have it, such as gray 16-bit; an alpha plane, if asked for, is
            opaque.
        color: its tags, such as full range, or limited 4:2:0 (white = 235, neutral chroma).
    """
    height = matte.alpha.shape[0]
    # black and white in every plane; where they are equal the plane is the same everywhere
    low = code_values(BLACK, layout, color, height=height)
    high = code_values(WHITE, layout, color, height=height)
    planes = []
    for index, (black, white) in enumerate(zip(low, high, strict=True)):
        if black == white:  # chroma, or an opaque alpha plane
            planes.append(
                _filled(matte.alpha, layout.plane_shape(index, *matte.alpha.shape), black, layout)
            )
        else:
            planes.append(
                planes[0]
                if layout.model == "rgb" and index
                else _scaled_alpha(matte, black, white, layout)
            )
    return Picture(tuple(planes), layout, color)


def channel_mattes(
    red: Matte | None,
    green: Matte | None,
    blue: Matte | None,
    *,
    shape: tuple[int, int],
    layout: PixelLayout = RGB8,
) -> Picture:
    """Carry up to three mattes in the channels of one full-range RGB picture, for programs that
    read mattes by channel.

    Alpha is scaled to the layout's depth as in `luma_matte`.

    Args:
        red: the matte of this channel; None leaves it at 0.
        green: the same of green.
        blue: the same of blue.
        shape: (H, W) of every matte.
        layout: plain RGB of any depth.

    Raises:
        ValueError: when a matte has another shape, or the layout is not plain RGB.
    """
    mattes = (red, green, blue)
    if layout.model != "rgb" or layout.has_alpha:
        raise ValueError(f"layout is {layout}, expected RGB without alpha")
    for matte in mattes:
        if matte is not None and matte.alpha.shape != shape:
            raise ValueError(f"matte is {matte.alpha.shape}, expected {shape}")
    # an empty channel lives on the device of the others
    like = next((matte.alpha for matte in mattes if matte is not None), np.zeros(shape, np.uint8))
    planes = (
        _filled(like, shape, 0, layout)
        if matte is None
        else _scaled_alpha(matte, 0, layout.full, layout)
        for matte in mattes
    )
    return Picture(tuple(planes), layout, FULL_RGB)


def with_alpha(picture: Picture, matte: Matte, *, premultiplied: bool = False) -> Picture:
    """Add alpha as a last plane, scaled to the picture's own bit depth, for formats with
    transparency.

    Args:
        picture: the colours; an alpha plane that it has is replaced.
        matte: the alpha.
        premultiplied: each sample becomes black + (sample − black)·α in code values; otherwise
            alpha is straight and the colour planes are the very same arrays.
    """
    require_same_size(picture, matte.alpha)
    # premultiplied colours are the subject over black, to the last bit
    colors = over_color(picture, matte, BLACK) if premultiplied else picture.opaque()
    plane = _scaled_alpha(matte, 0, colors.layout.full, colors.layout)
    return Picture((*colors.planes, plane), replace(colors.layout, has_alpha=True), picture.color)


def seen_through(matte: Matte, alpha: Array | None) -> Matte:
    """What a matte shows of a picture that is itself transparent: matte · alpha, rounded half up.

    Args:
        matte: of the subject.
        alpha: (H, W) uint8 or uint16 at full scale; None = opaque, which gives the matte itself.

    Returns:
        The deeper of the two types; where one of them is full it is the other, bit for bit.

    Raises:
        ValueError: when (H, W) differ.
    """
    if alpha is None:
        return matte
    if alpha.shape != matte.alpha.shape:
        raise ValueError(f"alpha is {alpha.shape}, expected {matte.alpha.shape} as the matte")
    deep = max(matte.alpha.dtype, alpha.dtype)
    full = int(np.iinfo(deep).max)
    # 255 goes into 65535 a whole number of times (257), so that the wider type loses nothing
    wide = [
        plane.astype(np.uint32) * (full // int(np.iinfo(plane.dtype).max))
        for plane in (matte.alpha, alpha)
    ]
    return Matte(((wide[0] * wide[1] + full // 2) // full).astype(deep))


def seen_ids(mask: Mask, alpha: Array | None) -> Mask:
    """A mask without what its picture hides: ids stay where alpha is at least a half.

    Args:
        mask: uint8 (H, W).
        alpha: as for `seen_through`.
    """
    if alpha is None:
        return mask
    # half and more counts as seen, as in every mask made of alpha
    kept: Mask = xp(mask).where(alpha > np.iinfo(alpha.dtype).max // 2, mask, 0).astype(np.uint8)
    return kept


def over_black(picture: Picture, alpha: Array | None) -> Picture:
    """The picture as a player without alpha shows it: what alpha hides is black."""
    return picture if alpha is None else over_color(picture, Matte(alpha), BLACK)


def paint_mask(
    mask: Mask,
    palette: Palette,
    *,
    layout: PixelLayout = RGB8,
    color: ColorTags = FULL_RGB,
    background: RGB | None = None,
) -> Picture:
    """Show ids as flat colours: every sample is exactly one colour of the palette, none is between
    two.

    Args:
        mask: uint8 (H, W).
        palette: the colour of each id.
        layout: RGB or YUV 4:4:4, without alpha.
        color: the tags of the result.
        background: the colour of id 0, None = the palette's own.

    Raises:
        ValueError: for a layout that could not keep colours apart (subsampled chroma, gray, alpha).
    """
    if layout.model == "gray" or layout.chroma_shift != (0, 0) or layout.has_alpha:
        raise ValueError(f"layout is {layout}, expected RGB or YUV 4:4:4 without alpha")
    # each id's colour once, as code values; then only look-ups
    table = _palette_codes(mask, palette, layout, color, background)
    flat = _flat(mask, mask.shape, tuple(int(code) for code in table[0]), layout, color)
    # most of a mask is background: only the box around the objects is looked up
    region = bounding_box(mask)
    if region is not None:
        ids, module = mask[region], xp(mask)
        for index, plane in enumerate(flat.planes):
            plane[region] = module.asarray(table[:, index].astype(plane.dtype))[ids]
    return flat


def overlay(
    picture: Picture, mask: Mask, palette: Palette, *, alpha: float = 0.5, contour_px: int = 0
) -> Picture:
    """Tint every object with its colour, for looking at; outside objects nothing changes.

    Args:
        picture: gray becomes YUV 4:2:0; an alpha plane is dropped.
        mask: uint8 (H, W), ids.
        palette: the colour of each id.
        alpha: weight of the tint, 0 to 1, rounded to 1/256.
        contour_px: width of a line in the object's full colour along the inside of its edge, 0 =
            none.

    Raises:
        ValueError: for values outside these ranges.
    """
    if not 0 <= alpha <= 1 or contour_px < 0:
        raise ValueError(
            f"alpha is {alpha}, contour {contour_px} px, expected 0 to 1 and 0 or more"
        )
    require_same_size(picture, mask)
    # gray cannot show a tint
    source = _as_yuv(picture.opaque())
    x, y = source.layout.chroma_shift
    region = bounding_box(mask, margin_px=contour_px, step=(1 << y, 1 << x))
    if region is None:
        return source
    module, ids = xp(mask), mask[region]
    # how much of its colour each pixel gets, in 1/256; contours get all of it
    weight = (ids != 0).astype(np.uint32) * int(alpha * OVERLAY_FULL + 0.5)
    if contour_px:
        weight[_contour(ids, contour_px) & (ids != 0)] = OVERLAY_FULL
    table = _palette_codes(mask, palette, source.layout, source.color, None)
    planes = []
    for index, plane in enumerate(source.planes):
        shift = source.layout.plane_shift(index)
        tint = _footprint_sums(
            weight * module.asarray(table[:, index].astype(np.uint32))[ids], shift
        )
        tinted, part = plane.copy(), subsampled(region, shift)
        full = OVERLAY_FULL << sum(shift)
        # a subsampled sample mixes the tints of all the pixels that it covers
        mixed = plane[part] * (full - _footprint_sums(weight, shift)) + tint
        tinted[part] = ((mixed + full // 2) // full).astype(plane.dtype)
        planes.append(tinted)
    return source.with_planes(tuple(planes))


def layout_for_color(layout: PixelLayout, rgb: RGB) -> PixelLayout:
    """The layout that `over_color` and `overlay` give: gray holds neutral colours only.

    Args:
        layout: of the picture; alpha is dropped.
        rgb: the colour that is laid in; gray under one that is not neutral becomes YUV 4:2:0 of the
            same depth.
    """
    if layout.model == "gray" and len(set(rgb)) > 1:
        return PixelLayout("yuv", layout.bit_depth, (1, 1))
    return replace(layout, has_alpha=False)


def _for_color(picture: Picture, rgb: RGB) -> Picture:
    opaque = picture.opaque()
    return opaque if layout_for_color(opaque.layout, rgb) == opaque.layout else _as_yuv(opaque)


def _as_yuv(picture: Picture) -> Picture:
    """A gray picture as YUV 4:2:0 with neutral chroma, its luma unchanged; others as they are."""
    if picture.layout.model != "gray":
        return picture
    layout = PixelLayout("yuv", picture.layout.bit_depth, (1, 1))
    neutral = 1 << (layout.bit_depth - 1)
    luma = picture.planes[0]
    chroma = tuple(
        _filled(luma, layout.plane_shape(index, *picture.shape), neutral, layout)
        for index in (1, 2)
    )
    return Picture((luma, *chroma), layout, picture.color)


def _filled(like: Array, shape: tuple[int, int], code: int, layout: PixelLayout) -> Array:
    # on the device of `like`
    plane: Array = xp(like).full(shape, code, np.uint8 if layout.bit_depth == 8 else np.uint16)
    return plane


def _flat(
    like: Array,
    shape: tuple[int, ...],
    codes: tuple[int, ...],
    layout: PixelLayout,
    color: ColorTags,
) -> Picture:
    height, width = shape
    planes = (
        _filled(like, layout.plane_shape(i, height, width), code, layout)
        for i, code in enumerate(codes)
    )
    return Picture(tuple(planes), layout, color)


def _laid_over(source: Picture, matte: Matte, below: Picture) -> Picture:
    """Lay `source` over `below`, writing into the planes of `below`, which nobody else holds."""
    x, y = source.layout.chroma_shift
    # grown to whole chroma samples, so that each one's alpha is summed over all of its pixels
    region = bounding_box(matte.alpha, step=(1 << y, 1 << x))
    if region is None:
        return below
    alpha = matte.alpha[region]
    # planes of one size share the sums of alpha
    weights = {(0, 0): alpha}
    for index, (over, under) in enumerate(zip(source.planes, below.planes, strict=True)):
        shift = source.layout.plane_shift(index)
        if shift not in weights:
            weights[shift] = _footprint_sums(alpha, shift)
        part = subsampled(region, shift)
        _blend_into(
            under[part], over[part], weights[shift], matte.full << sum(shift), source.layout.full
        )
    return below


def _blend_into(under: Array, over: Array, weight: Array, full: int, peak: int) -> None:
    """Blend in place: under += (over − under)·weight / full, rounded half up; only soft pixels are
    computed.

    Args:
        under: (h, w), changed.
        over: (h, w) of the same type.
        weight: unsigned (h, w), 0 to `full`.
        full: the weight of 1.
        peak: the largest code value, which decides how wide the products are.
    """
    module = xp(under)
    # copied, not computed: the subject's own samples stay as they are
    inside = weight == full
    module.copyto(under, over, where=inside)
    soft = (weight != 0) ^ inside
    if not bool(soft.any()):
        return
    # soft edges are a few percent of a frame, so gathering them pays; by one index each, in arrays
    # without gaps, as two take several times as long
    band = module.flatnonzero(soft)
    wide = np.uint32 if (peak + 1) * full < 2**32 else np.uint64
    part = weight.reshape(-1)[band].astype(wide)
    blended = under.copy()
    flat = blended.reshape(-1)
    mixed = over.reshape(-1)[band].astype(wide) * part + flat[band].astype(wide) * (full - part)
    flat[band] = ((mixed + full // 2) // full).astype(under.dtype)
    under[...] = blended


def _footprint_sums(values: Array, shift: tuple[int, int]) -> Array:
    """Sum the full-plane samples that each subsampled sample covers: (h, w) → uint32 (⌈h / 2^y⌉, ⌈w
    / 2^x⌉).

    (0, 0) gives `values` itself. Beyond an odd edge the last row or column repeats, so every
    footprint counts 2^(x+y).
    """
    if shift == (0, 0):
        return values
    columns, rows = 1 << shift[0], 1 << shift[1]
    missing = (-values.shape[0] % rows, -values.shape[1] % columns)
    if any(missing):
        values = xp(values).pad(values, ((0, missing[0]), (0, missing[1])), mode="edge")
    # row by row and column by column: no temporary array larger than the plane
    sums = values[0::rows].astype(np.uint32)
    for row in range(1, rows):
        sums += values[row::rows]
    total: Array = sums[:, 0::columns].copy()
    for column in range(1, columns):
        total += sums[:, column::columns]
    return total


def _scaled_alpha(matte: Matte, black: int, white: int, layout: PixelLayout) -> Array:
    """Alpha as code values from `black` to `white`, rounded half up: (H, W) of the layout's
    dtype.
    """
    if (black, white) == (0, matte.full):
        return matte.alpha
    # a table of all values of alpha: at most 65536 divisions instead of one for each pixel
    steps = np.arange(matte.full + 1, dtype=np.int64) * (white - black)
    plane = _filled(matte.alpha, matte.alpha.shape, black, layout)
    table = xp(plane).asarray((black + (steps + matte.full // 2) // matte.full).astype(plane.dtype))
    region = bounding_box(matte.alpha)
    if region is not None:
        plane[region] = look_up(table, matte.alpha[region])
    return plane


def _palette_codes(
    mask: Mask, palette: Palette, layout: PixelLayout, color: ColorTags, background: RGB | None
) -> Array:
    """Code values of the ids up to the largest in `mask`: int64 (ids, planes) in host memory."""
    colors = [tuple(int(value) for value in row) for row in palette.colors[: int(mask.max()) + 1]]
    if background is not None:
        colors[0] = background
    return np.array(
        [
            code_values((red, green, blue), layout, color, height=mask.shape[0])
            for red, green, blue in colors
        ]
    )


def _contour(ids: Array, width_px: int) -> Array:
    """Where another id lies within `width_px` rows and columns: bool (h, w).

    The array's border is no contour.
    """
    module = xp(ids)
    padded = module.pad(ids, width_px, mode="edge")
    height, width = ids.shape
    differs: Array = module.zeros(ids.shape, bool)
    # shift by shift, as widths are a few pixels and a filter for "differs" does not exist
    for row in range(2 * width_px + 1):
        for column in range(2 * width_px + 1):
            differs |= padded[row : row + height, column : column + width] != ids
    return differs
