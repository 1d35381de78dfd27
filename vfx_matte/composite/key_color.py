"""Chooses the colour of a green screen: by name, by hexadecimal text, or farthest from a subject.

Colours are compared by their chroma in OKLab, the plane (a, b) without lightness: keyers judge
chroma, and a green shirt in the shade is keyed away like one in the sun. Source: B. Ottosson, "A
perceptual color space for image processing" (2020), https://bottosson.github.io/posts/oklab/; also
CSS Color Module Level 4, where 0.02 is a just noticeable difference.

What is compared are 8-bit R'G'B' values read as sRGB, whatever the clip's primaries and transfer:
of an HDR clip (HLG, PQ) or a wide-gamut one these are not the colours that people see, but the key
is coded with the same tags and its keyer sees the same values, so that distances between them keep
their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import UsageError
from vfx_matte.masks import RGB, Image, Mask, hex_color, parse_hex_color
from vfx_matte.wording import option

KEY_COLORS: dict[str, RGB] = {
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "magenta": (255, 0, 255),
    "red": (255, 0, 0),
    "cyan": (0, 255, 255),
    "yellow": (255, 255, 0),
}
"""The screens that keyers know, those first that most keyers are tuned for; pure colours, because a
synthetic screen has no lighting to allow for.
"""

Chroma = npt.NDArray[np.float32]
"""float32 (N, 2): OKLab a and b of N pixels of a subject; neutral grey is (0, 0), pure green is
0.295 away from it.
"""

SAMPLED_PIXELS = 20_000
"""Of a larger subject so many pixels are looked at: the percentile hardly moves with more."""


STRAY_PERCENT = 1.0
"""Share of a subject's pixels, in percent, that may be of any colour: those nearest to a key are
passed over.
"""

NEAR = 0.15
"""Chroma distance from the key below which a colour counts as the key's: half the way from grey to
green, where simple keyers leave it half transparent.
"""

ABOUT_EQUAL = 0.8
"""A key counts as equal to the farthest one when its distance is at least this part of the farthest
one's.
"""

# Linear sRGB to the responses of the cones, and their cube roots to (a, b). Source: Ottosson 2020,
# matrices M1 and M2.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OPPONENTS = np.array(
    [[1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]]
)


def parse_color(text: str) -> RGB:
    """Read a name of KEY_COLORS or "#rrggbb", upper or lower case.

    Raises:
        UsageError: for anything else.
    """
    name = text.strip().lower()
    if name in KEY_COLORS:
        return KEY_COLORS[name]
    rgb = parse_hex_color(name)
    if rgb is None:
        raise unknown_choice(
            "colour", text, KEY_COLORS, hint=f"use {', '.join(KEY_COLORS)} or #rrggbb, e.g. #00ff00"
        )
    return rgb


def color_name(rgb: RGB) -> str:
    """The name of a key colour, or "#rrggbb"."""
    return next((name for name, color in KEY_COLORS.items() if color == rgb), hex_color(rgb))


def subject_chroma(image: Image, mask: Mask) -> Chroma:
    """The chroma of an even sample of a subject's pixels, its edge included.

    Args:
        image: uint8 (H, W, 3) R'G'B', NumPy, read as sRGB.
        mask: uint8 (H, W), NumPy, non-zero = subject.

    Returns:
        (N, 2), N at most SAMPLED_PIXELS, 0 for an empty mask.

    Raises:
        ValueError: when the shapes differ.
    """
    if image.shape != (*mask.shape, 3):
        raise ValueError(f"image is {image.shape}, expected {(*mask.shape, 3)} as the mask")
    subject = np.flatnonzero(mask)
    # every n-th pixel in reading order, so that the same mask always gives the same sample
    step = max(1, -(-subject.size // SAMPLED_PIXELS))
    return _chroma(image.reshape(-1, 3)[subject[::step]])


def key_distance(subject: Chroma, rgb: RGB) -> float:
    """How far a key is from a subject that is not empty: the chroma distance that all but its
    nearest 1 % of pixels keep.

    Formula: the 1st percentile of √((a₁ − a₂)² + (b₁ − b₂)²) in OKLab, so that stray pixels do not
    decide but a scarf does.
    """
    return float(np.percentile(_distances(subject, rgb), STRAY_PERCENT))


def near_share(subject: Chroma, rgb: RGB) -> float:
    """Which part (0 to 1) of a subject that is not empty is nearer to a key than NEAR."""
    return float(np.mean(_distances(subject, rgb) < NEAR))


def farthest_key(subjects: Sequence[Chroma]) -> str:
    """The name of the key colour that stays farthest from the subject in every sample (see
    `key_distance`).

    Each key counts by its worst sample. Among keys that are about equally far (ABOUT_EQUAL) the
    first of KEY_COLORS is taken: green before blue before magenta before the others. Empty samples
    are passed over.

    Raises:
        UsageError: when no sample shows a subject.
    """
    shown = [subject for subject in subjects if len(subject)]
    if not shown:
        raise UsageError(
            "no mask shows a subject, so no key colour can be chosen",
            hint=f"name a colour, e.g. {option('key', 'green')}",
        )
    # each key by its worst sample, since one key serves the whole clip
    far = {
        name: min(key_distance(subject, rgb) for subject in shown)
        for name, rgb in KEY_COLORS.items()
    }
    return next(name for name in KEY_COLORS if far[name] >= ABOUT_EQUAL * max(far.values()))


def _distances(subject: Chroma, rgb: RGB) -> npt.NDArray[np.float32]:
    # the same way for the key as for the pixels
    difference = subject - _chroma(np.array([rgb], np.uint8))
    distances: npt.NDArray[np.float32] = np.hypot(difference[:, 0], difference[:, 1])
    return distances


def _chroma(rgb: npt.NDArray[np.uint8]) -> Chroma:
    """uint8 (N, 3) sRGB → OKLab (a, b), float32 (N, 2).

    Sources: IEC 61966-2-1 (decoding), Ottosson 2020.
    """
    # sRGB to linear light, to the cones' responses, their cube roots to the opponent colours
    encoded = rgb / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    chroma: Chroma = (np.cbrt(linear @ _CONES.T) @ _OPPONENTS.T).astype(np.float32)
    return chroma
