"""Models what subject and background look like around every point of an edge.

Near every pixel the colours of both sides are taken as two clouds with means F, B and covariances.
Alpha of a colour I is read along the direction that tells the clouds apart best, Fisher's linear
discriminant (Annals of Eugenics 7, 1936):

    alpha(I) = d·(I − B),  d = C⁻¹(F − B) / ((F − B)·C⁻¹(F − B)),  C = half of both covariances
    together

so alpha is locally linear in the colours, as in the guided filter (He, Sun and Tang, TPAMI 35,
2013, equation 19) and in closed-form matting, but its coefficients come from pixels whose side is
known. They vary slowly: blocks of pixels share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from vfx_matte.backend import Array, Region, box_mean, enlarged, shrunk, side_by_side, xp
from vfx_matte.matting import compiled

BLOCK_PX = 6
"""Side of the blocks at 1080 lines; scaled with the frame."""

WINDOWS = ((5, 1.0), (11, 0.1), (31, 0.005))
"""Windows in blocks (odd sides) and their weights: near pixels count most, far ones where there are
no others.
"""

# about 3 codes of 255: without it two flat colours would be told apart by nothing but grain
NOISE = 1.5e-4
"""Variance that every colour has at least, in units of full scale squared: noise and
compression.
"""

SAMPLES = 3
"""Pixels across a block, at least, of which the spread of colours in it is taken; fewer in smaller
blocks.
"""

PASSES = 3
"""How often the model is found; every pass takes more pixels for known that the one before is sure
of.
"""

SURE = 30.0
"""Squared distance of the means, in deviations, from which on the model may say which side a pixel
is on.
"""

AROUND, FAR = 7, 3.0
"""Side in blocks of the window in which the mean of alpha is taken, and the bands beyond which
pixels count as known there.
"""

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""The six different entries of a symmetric 3 × 3 matrix."""


@dataclass(frozen=True, slots=True)
class LocalColors:
    """The linear model of a region, on blocks."""

    model: Array
    """Float32 (h, w, 10) of blocks: d (3), its constant −d·B, the variances of alpha(I) that the
    subject's and the background's own texture cause, the mean of alpha around, how sure all that
    is, 0..1, and the luma of F − B and of (F + B) / 2.
    """

    alpha: Array
    """What the model says of the blocks: float32 (h, w), 0..1."""

    sure: Array
    """How sure it is of that: float32 (h, w), 0..1."""

    block_px: int
    """Side of a block."""

    shape: tuple[int, int]
    """(H, W) of the region."""

    means: Array
    """The mean colour of every block, R'G'B', uint8 (h, w, 3)."""

    def sample(self, part: Region, *, numbers: int = 10) -> Array:
        """The first numbers of the model for every pixel of a part of the region: float32 (h, w,
        numbers), bilinear.
        """
        # only the blocks around the part, one more on each side for the interpolation
        blocks, inner = [], []
        for side, count in zip(part, self.model.shape[:2], strict=True):
            first = max(0, side.start // self.block_px - 1)
            last = min(count, (side.stop - 1) // self.block_px + 2)
            blocks.append(slice(first, last))
            inner.append(
                slice(side.start - first * self.block_px, side.stop - first * self.block_px)
            )
        rows, columns = inner
        large = enlarged(
            self.model[tuple(blocks)][..., :numbers], self.block_px, (rows.stop, columns.stop)
        )
        return large[rows.start :, columns.start :]


def block_size(scale: float) -> int:
    """Side of the blocks in px, for a frame of this size against 1080 lines."""
    return max(1, round(BLOCK_PX * scale))


def learn_colors(image: Array, distance: Array, *, band_px: float, scale: float) -> LocalColors:
    """Learn the model from the pixels outside the band, then from those inside that it is sure of.

    Args:
        image: R'G'B', uint8 (H, W, 3).
        distance: signed distance to the edge in px, positive inside the subject: float32 (H, W).
        band_px: width of the band.
        scale: of the frame against 1080 lines.
    """
    block_px = block_size(scale)
    if compiled.usable(image):
        return _compiled_colors(image, distance, band_px, block_px)
    return learn_by_arrays(image, distance, band_px=band_px, block_px=block_px)


def learn_by_arrays(image: Array, distance: Array, *, band_px: float, block_px: int) -> LocalColors:
    """What `learn_colors` says, on every device."""
    means = shrunk(image, block_px)
    colors, grain = means.astype(np.float32) * np.float32(1 / 255), _grain(image, block_px)
    side = shrunk(distance, block_px)
    half = band_px / 2
    # what is known counts fully; a trace of the rest keeps windows without anything known solvable
    inside, outside = (side > half).astype(np.float32), (side < -half).astype(np.float32)
    faint_inside, faint_outside = 1e-4 * (side > 0), 1e-4 * (side < 0)
    weights = inside + faint_inside, outside + faint_outside
    module = xp(colors)
    # the model, then what it is sure of becomes known, then the model again
    for number in range(PASSES):
        slope, constant, apart, spreads, lumas = _model(colors, grain, *weights)
        alpha = module.clip(dot(slope, colors) + constant, 0, 1)
        sure = module.minimum(apart / SURE, 1)
        if number < PASSES - 1:
            # certain pixels of the band count, by how certain they are; where the model is unsure
            # only what the mask knows does
            front, back = (
                module.clip(2 * alpha - 1, 0, 1) ** 2,
                module.clip(1 - 2 * alpha, 0, 1) ** 2,
            )
            weights = (
                (side > half / 2) * front * sure + inside * (1 - sure) + faint_inside,
                (side < -half / 2) * back * sure + outside * (1 - sure) + faint_outside,
            )
    # far from the edge the mask decides, whatever colours say
    likely = module.where(module.abs(side) < FAR * band_px, alpha, side > 0).astype(np.float32)
    others = [constant, *spreads, box_mean(likely, AROUND), sure, *lumas]
    model = module.concatenate([slope, module.stack(others, axis=-1)], axis=-1).astype(np.float32)
    shape = int(image.shape[0]), int(image.shape[1])
    return LocalColors(model, alpha, sure, block_px, shape, means)


def _compiled_colors(image: Array, distance: Array, band_px: float, block_px: int) -> LocalColors:
    """What `learn_by_arrays` finds, in fewer steps."""
    from vfx_matte.matting.compiled.clouds import learn

    step = _sample_step(block_px)
    # of four pixels OpenCV rounds the mean in another way than of more
    is_found = step == 1 and block_px > 2
    model, alpha, sure, means = learn(
        image,
        None if is_found else shrunk(image, block_px),
        shrunk(distance, block_px),
        block_px=block_px,
        step=step,
        band_px=band_px,
        windows=WINDOWS,
        noise=NOISE,
        sure_from=SURE,
        passes=PASSES,
        around=AROUND,
        far=FAR,
    )
    shape = int(image.shape[0]), int(image.shape[1])
    return LocalColors(model, alpha, sure, block_px, shape, means)


def _sample_step(block_px: int) -> int:
    """Every which pixel of a block is taken, so that every block has as many samples."""
    return max(
        (divisor for divisor in range(1, block_px // SAMPLES + 1) if block_px % divisor == 0),
        default=1,
    )


def _grain(image: Array, block_px: int) -> list[Array]:
    """The covariance of the pixels in every block (as PAIRS), float32 (h, w) each.

    A pixel is read by its own colour, so the clouds have to be as wide as those of pixels: grass
    has one colour on the whole. The covariance is that of an even sample, SAMPLES × SAMPLES pixels
    or more.
    """
    step = _sample_step(block_px)
    sample, factor = (
        image[::step, ::step].astype(np.float32) * np.float32(1 / 255),
        block_px // step,
    )
    channels = [sample[..., channel] for channel in range(3)]
    means = [shrunk(channel, factor) for channel in channels]
    return [shrunk(channels[i] * channels[j], factor) - means[i] * means[j] for i, j in PAIRS]


def _model(
    colors: Array, grain: list[Array], front: Array, back: Array
) -> tuple[Array, Array, Array, tuple[Array, Array], tuple[Array, Array]]:
    """d, −d·B, the squared distance of the means in deviations, both variances along d, and luma of
    F − B and (F + B) / 2.
    """
    (front_mean, front_cloud), (back_mean, back_cloud) = side_by_side(
        partial(_cloud, colors, grain), (front, back), on=colors
    )
    # Fisher's direction, then scaled so that alpha is 1 at F and 0 at B
    apart = front_mean - back_mean
    slope = solve_symmetric(
        [(front + back) * 0.5 for front, back in zip(front_cloud, back_cloud, strict=True)], apart
    )
    squared = dot(slope, apart) + np.float32(1e-6)
    slope = slope / squared[..., None]
    spreads = _along(slope, front_cloud), _along(slope, back_cloud)
    lumas = luma(apart), luma(front_mean + back_mean) * np.float32(0.5)
    return slope, -dot(slope, back_mean), squared, spreads, lumas


def _cloud(colors: Array, grain: list[Array], weight: Array) -> tuple[Array, list[Array]]:
    """Weighted mean (h, w, 3) and covariance (as PAIRS) of the pixels' colours around every
    block.
    """
    module = xp(colors)
    weighted = colors * weight[..., None]
    products = [
        weighted[..., i] * colors[..., j] + weight * own
        for (i, j), own in zip(PAIRS, grain, strict=True)
    ]
    # weighted sums of 1, the colours and their products, so that one filter serves mean and spread
    moments = module.stack(
        [weight, *(weighted[..., i] for i in range(3)), *products], axis=-1
    ).astype(np.float32)
    total: Array = module.zeros_like(moments)
    for size, share in WINDOWS:
        total += box_mean(moments, size) * np.float32(share)
    total /= total[..., :1] + np.float32(1e-9)
    mean = total[..., 1:4]
    cloud = [total[..., 4 + at] - mean[..., i] * mean[..., j] for at, (i, j) in enumerate(PAIRS)]
    # variances (the diagonal): float32 may leave them a little below 0
    for at in (0, 3, 5):
        cloud[at] = module.maximum(cloud[at], 0) + np.float32(NOISE)
    return mean, cloud


def _along(direction: Array, cloud: list[Array]) -> Array:
    """Variance of a cloud along a direction: d·C·d."""
    x, y, z = direction[..., 0], direction[..., 1], direction[..., 2]
    a, b, c, d, e, f = cloud
    variance: Array = a * x * x + d * y * y + f * z * z + 2 * (b * x * y + c * x * z + e * y * z)
    return variance


def luma(colors: Array) -> Array:
    """Weighted sums of (…, 3) R'G'B' as in BT.709: (…)."""
    red, green, blue = (np.float32(share) for share in (0.2126, 0.7152, 0.0722))
    weighted: Array = colors[..., 0] * red + colors[..., 1] * green + colors[..., 2] * blue
    return weighted


def dot(one: Array, other: Array) -> Array:
    """Scalar products of (…, 3) and (…, 3 or more): (…)."""
    product: Array = (
        one[..., 0] * other[..., 0] + one[..., 1] * other[..., 1] + one[..., 2] * other[..., 2]
    )
    return product


def solve_symmetric(matrix: list[Array], right: Array) -> Array:
    """Solve 3 × 3 symmetric systems by cofactors.

    Args:
        matrix: its entries as PAIRS, (h, w) each.
        right: the right sides, (h, w, 3).
    """
    # written out: a frame has tens of thousands of systems, and they stay on their device
    a, b, c, d, e, f = matrix
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
    factor = 1 / (a * aa + b * bb + c * cc)
    x, y, z = right[..., 0], right[..., 1], right[..., 2]
    solved: Array = xp(right).stack(
        [
            (aa * x + bb * y + cc * z) * factor,
            (bb * x + dd * y + ee * z) * factor,
            (cc * x + ee * y + ff * z) * factor,
        ],
        axis=-1,
    )
    return solved
