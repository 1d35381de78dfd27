"""Removes spill: the light of a green or blue screen on the subject.

Spill is what the key's channel has more than the other two would let it (Vlahos, US patent 3 595
987, 1971; Smith and Blinn, "Blue Screen Matting", SIGGRAPH 1996, section 3): for green s = max(0, G
− (R + B)/2), for blue s = max(0, B − (R + G)/2). The channel loses strength·s. In Y'CbCr that is a
step along one fixed direction, so planes keep their size and depth and samples without spill stay
as they are, bit for bit.
"""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array, bounding_box, xp
from vfx_matte.masks import Matte
from vfx_matte.matting.planes import footprint_means
from vfx_matte.picture import LUMA_WEIGHTS, Picture, require_same_size, subsampled


def despill(picture: Picture, matte: Matte, *, key: str, strength: float = 1.0) -> Picture:
    """Remove spill wherever alpha is not zero.

    Args:
        picture: any layout; gray ones are given back as they are.
        matte: of the picture's (H, W), on its device.
        key: "green" or "blue", the colour of the screen.
        strength: 0 removes nothing, 1 all that counts as spill.

    Returns:
        A picture of the same layout; the arrays given are not changed.

    Raises:
        ValueError: sizes differ, or the key is another one.
    """
    require_same_size(picture, matte.alpha)
    if key not in ("green", "blue"):
        raise ValueError(f"spill of {key!r} is unknown, expected green or blue")
    x, y = picture.layout.chroma_shift
    region = bounding_box(matte.alpha, step=(1 << y, 1 << x))
    if region is None or picture.layout.model == "gray" or not strength:
        return picture
    planes = list(picture.planes)
    parts = [subsampled(region, picture.layout.plane_shift(index)) for index in range(3)]
    samples = [
        plane[part].astype(np.float32) for plane, part in zip(planes[:3], parts, strict=True)
    ]
    subject = matte.alpha[region] != 0
    steps = (
        _rgb_steps(samples, key, strength)
        if picture.layout.model == "rgb"
        else _yuv_steps(samples, picture, key, strength)
    )
    for index, (step, part) in enumerate(zip(steps, parts, strict=True)):
        # red, and the other of green and blue, do not change in R'G'B'
        if step is None:
            continue
        # a chroma sample is changed where any pixel that it covers is shown
        visible = (
            subject
            if step.shape == subject.shape
            else footprint_means(subject.astype(np.float32), (x, y)) > 0
        )
        plane = planes[index].copy()
        module = xp(plane)
        codes = module.clip(
            module.rint(samples[index] + step * visible), 0, picture.layout.full
        ).astype(plane.dtype)
        plane[part] = codes
        planes[index] = plane
    return picture.with_planes(tuple(planes))


def _rgb_steps(samples: list[Array], key: str, strength: float) -> list[Array | None]:
    """What R, G and B change by, in code values; None for planes that stay."""
    at = 1 if key == "green" else 2
    others = [samples[index] for index in range(3) if index != at]
    spill = xp(samples[0]).maximum(samples[at] - (others[0] + others[1]) * 0.5, 0)
    return [-strength * spill if index == at else None for index in range(3)]


def _yuv_steps(
    samples: list[Array], picture: Picture, key: str, strength: float
) -> list[Array | None]:
    """What Y, U and V change by, in code values: the RGB step through the matrix of H.273, each
    plane at its own size.
    """
    height, full_range = picture.shape[0], picture.color.range == "pc"
    kr, kb = LUMA_WEIGHTS[picture.color.luma_matrix(height)]
    kg = 1 - kr - kb
    unit = float(1 << (picture.layout.bit_depth - 8))
    chroma_scale = picture.layout.full if full_range else 224 * unit
    middle = float(1 << (picture.layout.bit_depth - 1))
    cb, cr = (samples[1] - middle) / chroma_scale, (samples[2] - middle) / chroma_scale
    # Spill needs only the differences of the channels, which are chroma alone: R − Y, B − Y and G −
    # Y.
    red, blue = 2 * (1 - kr) * cr, 2 * (1 - kb) * cb
    green = -(kr * red + kb * blue) / kg
    weight, excess = (
        (kg, green - (red + blue) / 2) if key == "green" else (kb, blue - (red + green) / 2)
    )
    spill = strength * xp(cb).maximum(excess, 0)
    luma_scale = picture.layout.full if full_range else 219 * unit
    # The key's channel loses `spill`: Y' loses its weight of it, Cb and Cr follow from their
    # definitions.
    of_blue = (1 if key == "blue" else 0) - weight
    of_red = -weight
    wide = _like_luma(spill, samples[0].shape, picture.layout.chroma_shift)
    return [
        -weight * luma_scale * wide,
        -of_blue / (2 * (1 - kb)) * chroma_scale * spill,
        -of_red / (2 * (1 - kr)) * chroma_scale * spill,
    ]


def _like_luma(values: Array, shape: tuple[int, ...], shift: tuple[int, int]) -> Array:
    """A chroma-sized array repeated for every luma sample it covers."""
    x, y = shift
    large: Array = values.repeat(1 << y, axis=0).repeat(1 << x, axis=1)[: shape[0], : shape[1]]
    return large
