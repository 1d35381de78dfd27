"""Which colour a green screen has. Takes names, hex strings or sample images, gives R'G'B'; never changes a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from vfx_matte.errors import UsageError
from vfx_matte.masks import RGB, Image, Mask

KEY_COLORS: dict[str, RGB] = {"green": (0, 255, 0), "blue": (0, 0, 255), "magenta": (255, 0, 255)}
"""The screens that keyers know; pure colours, because a synthetic screen has no lighting to allow for."""

SAMPLED_PIXELS = 20_000

# Linear sRGB to CIE XYZ (rows X, Y, Z), and the XYZ of its white, D65. Source: IEC 61966-2-1:1999.
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = _XYZ.sum(axis=1)


def parse_color(text: str) -> RGB:
    """Read "green", "blue", "magenta" or "#rrggbb" (any case). Raises UsageError for anything else."""
    name = text.strip().lower()
    if name in KEY_COLORS:
        return KEY_COLORS[name]
    if re.fullmatch("#[0-9a-f]{6}", name) is None:
        raise UsageError(f"colour {text!r} is unknown", hint=f"use {', '.join(KEY_COLORS)} or #rrggbb, e.g. #00ff00")
    return int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16)


def key_distance(image: Image, mask: Mask) -> dict[str, float]:
    """How far each key colour is from the subject, as ΔE*ab.

    image: uint8 (H, W, 3) sRGB; mask: uint8 (H, W), non-zero = subject, both NumPy. Measured on an even sample of at most
    20,000 subject pixels: the 5th percentile of their distances, so that a few stray pixels do not decide.
    Formula: ΔE*ab = ‖Lab₁ − Lab₂‖ (CIE 1976 colour difference, CIE 15).
    Raises UsageError when the mask is empty, ValueError when the shapes differ.
    """
    if image.shape != (*mask.shape, 3):
        raise ValueError(f"image is {image.shape}, expected {(*mask.shape, 3)} as the mask")
    subject = np.flatnonzero(mask)
    if not subject.size:
        raise UsageError("the mask is empty, so no key colour can be chosen by it", hint="name a colour, e.g. --key green")
    sampled = subject[:: -(-subject.size // SAMPLED_PIXELS)]
    colors = _lab(image.reshape(-1, 3)[sampled])
    return {
        name: float(np.percentile(np.linalg.norm(colors - _lab(np.array([key], np.uint8)), axis=1), 5))
        for name, key in KEY_COLORS.items()
    }


def farthest_key(samples: Iterable[tuple[Image, Mask]]) -> str:
    """The name of the key colour that stays farthest from the subject in every sample (see key_distance).

    Each key counts by its worst sample; among equals green wins over blue over magenta. Empty masks are passed over.
    Raises UsageError when no sample shows a subject.
    """
    distances = [key_distance(image, mask) for image, mask in samples if mask.any()]
    if not distances:
        raise UsageError("no mask shows a subject, so no key colour can be chosen", hint="name a colour, e.g. --key green")
    return max(KEY_COLORS, key=lambda name: min(distance[name] for distance in distances))


def _lab(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """uint8 (N, 3) sRGB → CIE L*a*b* (N, 3) under D65. Sources: IEC 61966-2-1 (decoding), CIE 15 (L*a*b*)."""
    encoded = rgb / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _XYZ.T / _WHITE
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
