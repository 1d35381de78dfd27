"""Replaces colours under alpha 0 in files with straight alpha: the subject's own a few pixels
outwards, one flat colour beyond.

A program that scales, blurs or moves such a file by parts of a pixel mixes these colours into the
subject's edge. The old background would show there, and costs most of the file. Samples that show
anything of the subject stay as they are.
"""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array, bounding_box, box_mean, xp
from vfx_matte.masks import RGB, Matte
from vfx_matte.matting.planes import alpha_in, block_scale, footprint_means, with_color_planes
from vfx_matte.picture import Picture, code_values, require_same_size, subsampled

WINDOWS_PX = (4, 1)
"""Half the reach of each window, at 1080 lines, scaled with the frame: first far, then near, where
it has something to say.
"""

LEANING = 1e-2
"""How strongly a window leans on the coarser colour before it, against a window that is all
subject.
"""

_BLACK: RGB = (0, 0, 0)


def fill_hidden(picture: Picture, matte: Matte) -> Picture:
    """Replace what alpha 0 hides by a smooth continuation of the subject's colours, flat from 8 px
    on (at 1080 lines).

    A sample is replaced when alpha is 0 on every pixel that it covers. With w
    = α⁴, α the mean over these pixels, its colour is Σ w·c / Σ w over a triangular window (a box
    twice), which leans by LEANING on that of the wider window, and that one on the mean of the
    whole subject, so that it runs out into it without a step (normalized convolution: Knutsson and
    Westin, CVPR 1993). A picture without any subject becomes black.

    Args:
        picture: any layout; an alpha plane stays.
        matte: of the picture's (H, W), on its device.

    Returns:
        A picture of the same layout; the arrays given are not changed.

    Raises:
        ValueError: sizes differ.
    """
    require_same_size(picture, matte.alpha)
    # a frame that is all shown hides nothing
    if bool(matte.alpha.all()):
        return picture
    # beyond the region all is flat: most of a frame costs nothing, here and in the file
    scale = block_scale(picture)
    region = bounding_box(matte.alpha, margin_px=2 * WINDOWS_PX[0] * scale, step=(8, 8))
    if region is None:
        codes = code_values(_BLACK, picture.layout, picture.color, height=picture.shape[0])

        def blank(index: int) -> Array:
            plane = picture.planes[index]
            black: Array = xp(plane).full_like(plane, codes[index])
            return black

        return with_color_planes(picture, blank, on=matte.alpha)
    alpha = alpha_in(matte, region)

    def fill_plane(index: int) -> Array:
        plane, shift = picture.planes[index], picture.layout.plane_shift(index)
        part, visible = subsampled(region, shift), footprint_means(alpha, shift)
        weight = visible * visible
        # samples across a hard edge hold background too, by the share that they do not show
        weight *= weight
        weighted = plane[part].astype(np.float32) * weight
        flat = np.rint(float(weighted.sum(dtype=np.float64)) / float(weight.sum(dtype=np.float64)))
        # from the whole subject's mean to a wide window to a narrow one: each keeps the coarser
        # colour where it has no subject
        color: Array | np.float32 = np.float32(flat)
        for half_px in WINDOWS_PX:
            size = 2 * max(1, half_px * scale >> max(shift)) + 1
            color = (_triangular_mean(weighted, size) + np.float32(LEANING) * color) / (
                _triangular_mean(weight, size) + np.float32(LEANING)
            )
        result: Array = xp(plane).full_like(plane, int(flat))
        result[part] = xp(plane).where(
            visible > 0, plane[part], xp(plane).rint(color).astype(plane.dtype)
        )
        return result

    return with_color_planes(picture, fill_plane, on=matte.alpha)


def _triangular_mean(values: Array, size_px: int) -> Array:
    """The mean around every sample, with weights that fall to 0 at `size_px`."""
    return box_mean(box_mean(values, size_px), size_px)
