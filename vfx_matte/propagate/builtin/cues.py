"""The cues of the built-in propagator.

Cues keep no state. Evidence is a log odds: above 0 speaks for the object, below 0 for the rest.
`WEIGHTS` says how much each cue counts. The ideas are older than this program, and each function
names its own. The weights were fitted in closed loop, forward, on ten DAVIS 2016 sequences, and
then shrunk by steps as runs from other first frames (backward, from the middle) asked for.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from vfx_matte.backend import Array, vector_length
from vfx_matte.propagate.builtin import compiled
from vfx_matte.propagate.builtin.window import NOWHERE, Box


@dataclass(frozen=True)
class FusionWeights:
    """Weight of each cue in the sum of log odds. *near* and *far* are the widths of the blur that a
    cue is read through.

    Negative weights belong to pairs: near minus far, and reference minus running, measure a
    difference.
    """

    bias: float = -0.076
    prior_near: float = 0.24  # the warped mask, σ 1.5 px
    prior_far: float = -0.51  # the same, σ 7 px
    distance: float = 0.46  # signed distance to the warped mask's edge
    color_near: float = 0.40  # colour codewords around here, σ 1.5 cells
    color_far: float = -0.25  # the same, σ 4 cells
    color_running: float = -0.15  # colour codewords of the last twenty or so frames
    color_reference: float = 0.17  # colour codewords of the references
    color_relative: float = (
        0.53  # colour codewords at the same place of the object in its reference
    )
    texture_near: float = 0.40  # texture codewords, likewise
    texture_far: float = 0.04
    texture_running: float = -0.15
    texture_reference: float = 0.13
    motion: float = 0.55  # moves like the object around here, or like the background
    motion_whole: float = (
        1.0  # moves like the background and unlike the object as a whole; speaks only against
    )
    # The next three were tried at other weights, too: docs/builtin.md, "What was tried".
    learned: float = 4.0  # the classifier trained on this clip (`classifier`)
    nearest: float = 3.0  # pixels of the references that look like it and lie there (`neighbours`)
    salient: float = 2.5  # what the network sees there (`network.saliency`)
    read: float = 8.0  # what its layers say of this object (`network.readout`)
    background_plate: float = 0.30  # unlike the clean background seen here before
    object_plate: float = 0.30  # like the object seen here before


WEIGHTS = FusionWeights()
PRIOR_NEAR_PX, PRIOR_FAR_PX = 1.5, 7.0
NEAR_CELLS, FAR_CELLS, RELATIVE_CELLS = 1.5, 4.0, 2.5
GATE_PX = 24
"""Nothing farther than this from the warped mask is object."""

# with 12 px instead of 36, libby, which goes behind poles, lost 0.4 of J&F
REACH_PX = GATE_PX + 36
"""How far around an object's box a frame is looked at: what strong evidence says beyond the gate
becomes a faint mask, which is how an object is followed that comes out behind a pole.
"""

SURELY_OBJECT, SURELY_BACKGROUND = 0.7, 0.9
"""Warped masks (and what they leave to the background) above these are taken to move as their class
does.
"""

# without fading one mask on the first frame gave 0.5 of J&F less
FORGOTTEN_FRAMES = 30.0
"""How far from a reference what it shows of a place counts 1/e."""

# the limits brought 0.3 of J&F over ten runs of five sequences
GROWTH, SHRINKAGE, MAX_SHIFT = 1.05, 0.5, 2.0
"""How much an object's area may change against its warped mask before evidence is shifted, and by
how much at most.
"""


_MATCHES, _STILL = 0.6, 0.7
"""A plate's difference where a picture is as the plate is; and how far above that nothing of the
match is left: where a pixel is two code values outside of what the plate shows around it.
"""


EVERY_PX = 4
"""Motions are fitted to every so many-th pixel in both directions."""

MIN_FLOW_PX = 16
"""OpenCV's DIS refuses smaller pictures."""


def optical_flow(now: Array, before: Array) -> Array:
    """Where each pixel was in the frame before: float32 (h, w, 2), (x, y) in pixels.

    now, before: uint8 (h, w). Dense inverse search (Kroeger et al., ECCV 2016), medium preset.
    """
    height, width = now.shape
    missing = (0, max(0, MIN_FLOW_PX - height), 0, max(0, MIN_FLOW_PX - width))
    first, second = (
        cv2.copyMakeBorder(gray, *missing, cv2.BORDER_REPLICATE) for gray in (now, before)
    )
    # A new estimator each time: a used one keeps buffers, and the same frames then give slightly
    # different flow.
    # down to the finest scale was within noise, at three times the cost (docs/builtin.md)
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow: Array = estimator.calc(first, second, np.zeros((*first.shape, 2), np.float32))
    cropped: Array = flow[:height, :width]
    return cropped


def flow_positions(flow: Array, box: Box | None = None) -> tuple[Array, Array]:
    """Where each pixel was: columns and rows, float32 (h, w), or those of a window.

    flow: float32 (h, w, 2).
    """
    box = Box.whole(flow.shape) if box is None else box
    part = flow[box.window]
    return (
        np.arange(box.left, box.right, dtype=np.float32) + part[..., 0],
        np.arange(box.top, box.bottom, dtype=np.float32)[:, None] + part[..., 1],
    )


def source_and_target(place: Box, flow: Array) -> tuple[Box, Box]:
    """What has to be read to move a picture that is 0 outside of `place`, and where it may come to
    lie. flow: float32 (h, w, 2), where each pixel was.
    """
    reach = math.ceil(cv2.norm(flow, cv2.NORM_INF)) + 1
    # with a border where nothing is; from an even pixel on, so that halves are rounded as ever
    return place.grown(1, flow.shape).begun_at(2), place.grown(reach, flow.shape)


def logit(probability: Array, floor: float) -> Array:
    """Log odds of a probability clamped to [floor, 1 - floor]."""
    clamped = np.clip(probability, np.float32(floor), np.float32(1 - floor))
    odds: Array = np.log(clamped / (1 - clamped))
    return odds


def sigmoid(log_odds: Array) -> Array:
    """Probability of log odds."""
    probability: Array = 1 / (1 + np.exp(-log_odds))
    return probability


def prior_evidence(prior: Array, sigma_px: float) -> Array:
    """The warped mask seen through a Gaussian blur: float32 (h, w) in [0, 1] → log odds within
    ±3.9.
    """
    return logit(cv2.GaussianBlur(prior, (0, 0), sigma_px), 0.02)


def edge_distances(prior: Array) -> tuple[Array, Array]:
    """How deep each pixel lies inside prior ≥ 0.5, and how far outside, in pixels: two float32 (h,
    w).
    """
    inside = (prior >= 0.5).astype(np.uint8)
    return tuple(cv2.distanceTransform(region, cv2.DIST_L2, 5) for region in (inside, 1 - inside))  # type: ignore[return-value]


def distance_evidence(depth: Array, outside: Array) -> Array:
    """Signed distance to the warped mask's edge, 8 px for one unit, within ±3 (a level set: Osher &
    Sethian 1988).
    """
    return np.clip((depth - outside) / 8, -3, 3)


def _little(sigma_cells: float, cell_area_px: float) -> np.float32:
    """One fiftieth of a full cell under a blur's centre."""
    return np.float32(0.02 * cell_area_px / (2 * math.pi * sigma_cells**2))


def local_ratio(inside: Array, outside: Array, sigma_cells: float, cell_area_px: float) -> Array:
    """Log ratio of blurred local histograms (localised colour models: Bai et al., Video SnapCut,
    SIGGRAPH 2009).

    inside, outside: float32 (cells_y, cells_x, N), soft pixel counts after the blur; `_little`
    keeps the ratio near 0 where little was seen.
    """
    little = _little(sigma_cells, cell_area_px)
    ratio: Array = inside + little
    ratio /= outside + little
    return np.log(ratio, out=ratio)


def add_local_ratio(
    table: Array,
    inside: Array,
    every: Array,
    part: Box,
    *,
    sigma_cells: float,
    cell_area_px: float,
    weight: float,
) -> None:
    """Add the local ratio of a class and all others, weighted, to float32 (cells_y, cells_x, N).

    inside: of the class, as for `local_ratio`. every: of all classes, of whose cells the table's
    are the window `part`.
    """
    if compiled.usable(table):
        from vfx_matte.propagate.builtin.compiled.histograms import add_ratios

        little = _little(sigma_cells, cell_area_px)
        add_ratios(table, inside, every, part.top, part.left, little, np.float32(weight))
        return
    # blurred apart, a class may seem more than all by a rounding error
    outside = every[part.window] - inside
    np.maximum(outside, 0, out=outside)
    ratio = local_ratio(inside, outside, sigma_cells, cell_area_px)
    ratio *= np.float32(weight)
    table += ratio


def global_ratio(inside: Array, outside: Array) -> Array:
    """Log likelihood ratio of codewords between two classes, each normalised to one: float32 (N,)
    twice → (N,).
    """
    smoothing = 0.02 / inside.shape[0]
    ratio: Array = np.log(
        (inside / max(float(inside.sum()), 1e-6) + smoothing)
        / (outside / max(float(outside.sum()), 1e-6) + smoothing)
    )
    return ratio.astype(np.float32)


class Pose(NamedTuple):
    """Where an object is: centroid in pixels (x, y) and area in pixels."""

    x: float
    y: float
    area: float


def pose_of(mask: Array) -> Pose:
    """Measure a soft mask, float32 (h, w), by its zeroth and first moments; area 0 when it is
    empty.
    """
    area = float(mask.sum())
    if area <= 0:
        return Pose(0.0, 0.0, 0.0)
    columns, rows = mask.sum(axis=0), mask.sum(axis=1)
    x = float(columns @ np.arange(columns.size, dtype=np.float32)) / area
    return Pose(x, float(rows @ np.arange(rows.size, dtype=np.float32)) / area, area)


def relative_positions(
    own: tuple[Array, Array], now: Pose, then: Pose, cell_px: tuple[float, float]
) -> tuple[Array, Array]:
    """Map this frame's cell coordinates to an object's reference frame by centroid and √area scale
    (0.5 to 2).

    own: rows (h, 1) and columns (1, w) in cell coordinates; cell_px: (height, width) of a cell in
    pixels.
    """
    scale = min(2.0, max(0.5, math.sqrt(now.area / max(then.area, 1.0))))
    rows, columns = own
    row_now, row_then = ((pose.y + 0.5) / cell_px[0] - 0.5 for pose in (now, then))
    column_now, column_then = ((pose.x + 0.5) / cell_px[1] - 0.5 for pose in (now, then))
    moved_rows = (rows - np.float32(row_now)) / np.float32(scale) + np.float32(row_then)
    moved_columns = (columns - np.float32(column_now)) / np.float32(scale) + np.float32(column_then)
    return moved_rows, moved_columns


@functools.lru_cache(maxsize=8)
def _shares_of_cells(size: int, cells: int) -> Array:
    """How much of each cell every pixel of a side covers: float32 (cells, size)."""
    side = size / cells
    begin, end = (side * (np.arange(cells)[:, None] + edge) for edge in (0, 1))
    pixel = np.arange(size)
    covered = np.minimum(pixel + 1, end) - np.maximum(pixel, begin)
    shares: Array = (np.maximum(covered, 0) / side).astype(np.float32)
    return shares


def smooth_flow(flow: Array, weights: Sequence[Array], cells: tuple[int, int]) -> Array:
    """Flow of each class, smoothed over σ = 2 cells by normalised convolution (Knutsson & Westin,
    CVPR 1993).

    flow: float32 (h, w, 2); weights: C times float32 (h, w). Returns float32 (C, cells_y, cells_x,
    2); where a class is far away it takes its mean flow.
    """
    down, right = (_shares_of_cells(*sides) for sides in zip(flow.shape[:2], cells, strict=True))
    smoothed = []
    for weight in weights:
        box = Box.around(weight > 0) or NOWHERE
        sums = _mean_flow(flow, weight, (down, right), box)
        total = sums.reshape(-1, 3).sum(axis=0)
        mean = total[:2] / max(float(total[2]), 1e-6)
        sums = cv2.GaussianBlur(sums, (0, 0), 2, borderType=cv2.BORDER_REPLICATE)
        # a trace of the mean, so that cells without the class have a flow as well
        smoothed.append((sums[..., :2] + 1e-3 * mean) / (sums[..., 2:] + 1e-3))
    return np.stack(smoothed).astype(np.float32)


def _mean_flow(flow: Array, weight: Array, shares: tuple[Array, Array], box: Box) -> Array:
    """The weighted flow of a class and its weight, averaged over cells: float32 (cells_y, cells_x,
    3). shares: see `_shares_of_cells`, of rows and columns. box: where the class is.
    """
    down, right = shares
    if compiled.usable(flow):
        from vfx_matte.propagate.builtin.compiled.cells import mean_flow

        return mean_flow(flow, weight, down, right, np.array(box))
    part, own = flow[box.window], weight[box.window]
    # as two small products, of the pixels where the class is
    layers = np.empty((3, *box.shape), np.float32)
    for axis in (0, 1):
        np.multiply(part[..., axis], own, out=layers[axis])
    layers[2] = own
    rows, columns = box.window
    means = down[:, rows] @ layers @ right[:, columns].T
    return np.ascontiguousarray(means.transpose(1, 2, 0))


class AffineFit(NamedTuple):
    """A motion that is affine: at (x, y) it is shift + gradient · ((x, y) - middle).

    x, y: the middle, in hundreds of pixels, which keeps the fit well conditioned. solution: float64
    (3, 2), the shift, and what it changes by in a hundred pixels to the right and down.
    """

    x: float
    y: float
    solution: Array

    @property
    def numbers(self) -> Array:
        """Middle, shift and gradient as compiled loops take them: float32 (4, 2)."""
        return np.concatenate([[[self.x, self.y]], self.solution]).astype(np.float32)

    @property
    def middle(self) -> Array:
        """(x, y) in pixels."""
        return np.array([100 * self.x, 100 * self.y])

    @property
    def shift(self) -> Array:
        """(x, y) in pixels, at the middle."""
        shift: Array = self.solution[0]
        return shift

    @property
    def gradient(self) -> Array:
        """(2, 2), its rows x and y of the motion."""
        change: Array = self.solution[1:].T / 100
        return change

    def everywhere(self, box: Box, step: int = 1) -> Array:
        """The motion of every pixel of a window, or every `step`-th: float32 (h, w, 2)."""
        rows, columns = (
            np.arange(*side, step, dtype=np.float32) / 100 for side in (box[:2], box[2:])
        )
        fit = self.solution.astype(np.float32)
        motion: Array = np.empty((rows.size, columns.size, 2), np.float32)
        # direction by direction: NumPy is slow where the last axis has two elements
        for axis in (0, 1):
            across = fit[0, axis] + (columns - np.float32(self.x)) * fit[1, axis]
            down = (rows - np.float32(self.y)) * fit[2, axis]
            np.add(across, down[:, None], out=motion[..., axis])
        return motion


def _step(shape: tuple[int, ...]) -> int:
    """Every how many-th pixel of (h, w) a motion is fitted to."""
    return EVERY_PX if min(shape[:2]) >= 16 * EVERY_PX else 1


def affine_fit(flow: Array, weight: Array, box: Box | None = None) -> AffineFit:
    """Fit one affine motion to a class's flow.

    Iteratively reweighted least squares with Cauchy weights 1/(1 + r²), four rounds, on every
    fourth pixel (robust parametric motion: Odobez & Bouthemy, JVCIR 1995). A ridge of one pixel's
    weight keeps tiny objects translating.
    flow: float32 (h, w, 2) in pixels; weight: float32 (h, w). box: where the class is; it begins at
    multiples of `EVERY_PX`.
    """
    step = _step(weight.shape)
    box = Box.whole(weight.shape) if box is None else box
    if compiled.usable(flow):
        from vfx_matte.propagate.builtin.compiled import motion

        return AffineFit(*motion.fit(flow, weight, *box, step))
    base = weight[box.window][::step, ::step].reshape(-1).astype(np.float64)
    # an object is a small part of its window, and what is not in it counts nothing
    members = np.flatnonzero(base)
    base = base[members]
    sparse = flow[box.window][::step, ::step].reshape(-1, 2)[members].astype(np.float64)
    y, x = np.divmod(members, len(range(box.left, box.right, step)))
    y, x = (
        (first + step * steps).astype(np.float32) / 100
        for first, steps in ((box.top, y), (box.left, x))
    )
    total = max(float(base.sum()), 1e-6)
    mid_x, mid_y = float(base @ x) / total, float(base @ y) / total
    # a homography instead, by RANSAC, brought 0.1 of J&F and was not kept
    design = np.stack([np.ones_like(x), x - mid_x, y - mid_y], axis=1).astype(np.float64)
    robust: Array = base
    solution: Array = np.zeros((3, 2))
    # four rounds of reweighting: outliers, such as limbs, lose their weight
    for _ in range(4):
        weighted = design * robust[:, None]
        solution = np.linalg.solve(
            weighted.T @ design + np.diag([1e-6, 1.0, 1.0]), weighted.T @ sparse
        )
        apart = sparse - design @ solution
        robust = base / (1 + (apart[:, 0] ** 2 + apart[:, 1] ** 2))
    return AffineFit(mid_x, mid_y, solution)


def _residual(flow: Array, model: Array) -> Array:
    """By how many pixels a model misses a flow, float32 (h, w, 2) both: float32 (h, w)."""
    return vector_length(flow[..., 0] - model[..., 0], flow[..., 1] - model[..., 1])


def _usual(sample: Array) -> float:
    """The median residual of pixels that surely move so, at least half a pixel; 1 where there are
    hardly any.
    """
    # in units of what the class itself misses by: 2.0 of J&F (docs/builtin.md)
    return max(float(np.median(sample)), 0.5) if sample.size > 5 else 1.0


def motion_surprise(flow: Array, model: Array, members: Array) -> Array:
    """How badly a motion model explains the flow: log(1 + (r/2σ)²), the Cauchy log likelihood:
    float32 (h, w).

    flow, model: float32 (h, w, 2). members: bool (h, w), the pixels that surely move so; σ is their
    median residual r, at least half a pixel. So a motion that is known only roughly (parallax,
    blur, water) gives little evidence.
    """
    residual = _residual(flow, model)
    every = slice(None, None, EVERY_PX)
    usual = _usual(residual[every, every][members[every, every]])
    return np.log1p((residual / np.float32(2 * usual)) ** 2)


def background_surprise(flow: Array, scene: Array, box: Box | None = None) -> Array:
    """How badly the background's motion, one affine motion of the whole picture, explains the flow
    in a window: float32, as `motion_surprise`.

    flow: float32 (h, w, 2); scene: float32 (h, w), what objects leave to the background.
    """
    fit = affine_fit(flow, np.maximum(scene, 0))
    every = slice(None, None, EVERY_PX)
    whole = Box.whole(scene.shape)
    box = whole if box is None else box
    if compiled.usable(flow):
        from vfx_matte.propagate.builtin.compiled import motion

        least, found = np.float32(SURELY_BACKGROUND), np.empty(box.shape, np.float32)
        usual = _usual(motion.sample_misses(flow, fit.numbers, scene, least, EVERY_PX))
        unit = np.float32(2 * usual)
        motion.surprise(flow, fit.numbers, unit, box.top, box.left, found)
        return found
    missed = _residual(flow[every, every], fit.everywhere(whole, EVERY_PX))
    usual = _usual(missed[scene[every, every] > SURELY_BACKGROUND])
    residual = _residual(flow[box.window], fit.everywhere(box))
    return np.log1p((residual / np.float32(2 * usual)) ** 2)


def motion_evidence(
    flow: Array, prior: Array, smooth: Array, surprise: Array, box: Box | None = None
) -> tuple[Array, Array]:
    """Whose motion explains the flow better (motion competition: Cremers & Soatto, IJCV 2005): two
    float32 (h, w), of a window around the object.

    The first, within ±4, asks the object's motion around here, the mean of one affine motion and of
    `smooth`, its smoothed flow (h, w, 2). That follows limbs, but also a leak into the background.
    The second asks the affine motion alone, which does neither, and so only speaks against the
    object: it is within -4 and 0.
    surprise: float32, `background_surprise` of the window.
    """
    box = Box.whole(prior.shape) if box is None else box
    fit = affine_fit(flow, prior, box)
    if compiled.usable(flow):
        from vfx_matte.propagate.builtin.compiled import motion

        place, found = np.array(box), np.empty((2, *box.shape), np.float32)
        least = np.float32(SURELY_OBJECT)
        missed = motion.sample_both(flow, fit.numbers, smooth, prior, least, EVERY_PX, place)
        units = np.array([2 * _usual(sample) for sample in missed], np.float32)
        motion.compare(flow, fit.numbers, smooth, units, surprise, place, found)
        return found[0], found[1]
    members = prior[box.window] > SURELY_OBJECT
    own = flow[box.window]
    whole = fit.everywhere(box)
    here = (whole + smooth[box.window]) / 2
    return (
        np.clip(surprise - motion_surprise(own, here, members), -4, 4),
        np.clip(surprise - motion_surprise(own, whole, members), -4, 0),
    )


def limit_growth(evidence: Array, prior: Array, near: Array) -> Array:
    """Shift evidence so that an object's area stays within `SHRINKAGE` … `GROWTH` of its warped
    mask's: float32 (h, w).

    A leak into the background grows faster than anything that turns up from behind an edge; what
    the flow says of scale is in the warped mask already. near: bool (h, w), where the object may
    be. The shift, at most `MAX_SHIFT`, is found by bisection; areas are measured after the
    smoothing's second look, which multiplies evidence by about 1.5.
    """
    # every third pixel is enough to measure an area by
    every = 3
    sample = np.float32(1.5) * evidence[near][::every]

    def area(shift: float) -> float:
        return every * float(sigmoid(sample + np.float32(1.5 * shift)).sum())

    size, now = float(prior.sum()), area(0)
    wanted = min(max(now, SHRINKAGE * size), GROWTH * size)
    if wanted == now:
        return evidence
    low, high = -MAX_SHIFT, MAX_SHIFT
    # six halvings of 4 leave 0.06 of log odds
    for _ in range(6):
        middle = (low + high) / 2
        low, high = (low, middle) if area(middle) > wanted else (middle, high)
    return evidence + np.float32((low + high) / 2)


@dataclass(frozen=True)
class Plate:
    """A running picture of one class, with the hidden part missing (a clean plate: Wang & Adelson,
    TIP 1994).

    lab: uint8 (h, w, 3), 0 where unknown; known: uint8 (h, w), 255 where the class was seen. place:
    a window outside of which both are 0.
    """

    REACH_PX = 4
    """From how far away a pixel's difference is found."""

    lab: Array
    known: Array
    place: Box

    @classmethod
    def of(cls, lab: Array, known: Array) -> Plate:
        """A plate of which only the pictures are known."""
        return cls(lab, known, _painted(lab, known, Box.whole(known.shape)))

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Plate:
        """A plate on which nothing was seen yet."""
        return cls(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), NOWHERE)

    def within(self, box: Box) -> Plate:
        """A window of it."""
        return Plate(self.lab[box.window], self.known[box.window], Box.whole(box.shape))

    def warped(self, flow: Array) -> Plate:
        """The plate as it lies on the next frame. flow: float32 (h, w, 2), where each pixel was."""
        warped = Plate.empty((flow.shape[0], flow.shape[1]))
        if self.place == NOWHERE:
            return warped
        source, target = source_and_target(self.place, flow)
        columns, rows = flow_positions(flow, target)
        positions = columns - source.left, rows - source.top
        warped.known[target.window] = cv2.remap(
            self.known[source.window],
            *positions,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        warped.lab[target.window] = cv2.remap(
            self.lab[source.window],
            *positions,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return replace(warped, place=_painted(warped.lab, warped.known, target))

    def updated(self, lab: Array, clear: Array) -> Plate:
        """The plate after seeing `lab` where `clear` (bool (h, w)): copied where new, else half old
        and half new.
        """
        seen = clear.view(np.uint8) * np.uint8(255)
        box = Box.around(clear)
        if box is None:
            return self
        part = box.window
        # half old, half new: noise averages out, and a plate still follows the light
        lab_now, known_now = self.lab.copy(), self.known.copy()
        new, now, merged = lab[part], seen[part], lab_now[part]
        cv2.copyTo(new, now, merged)
        cv2.copyTo(
            cv2.addWeighted(self.lab[part], 0.5, new, 0.5, 0),
            cv2.bitwise_and(self.known[part], now),
            merged,
        )
        known_now[part] |= now
        return Plate(lab_now, known_now, Box.hull((self.place, box)))

    def difference(self, lab: Array) -> Array:
        """How unlike the plate a picture is: min(log(1 + d/2), 3) - `_MATCHES`, and 0 where the
        plate is unknown.

        d is the excess outside the plate's 5×5 envelope (so that a small misalignment costs
        nothing), 0.5·L + a + b, averaged over 5×5.
        """
        # unknown pixels must not widen the envelope: 0 for the maximum, 255 for the minimum
        square = np.ones((5, 5), np.uint8)
        hidden = cv2.cvtColor(cv2.bitwise_not(self.known), cv2.COLOR_GRAY2RGB)
        upper = cv2.dilate(cv2.subtract(self.lab, hidden), square)
        lower = cv2.erode(cv2.add(self.lab, hidden), square)
        excess = cv2.add(cv2.subtract(lab, upper), cv2.subtract(lower, lab))
        apart = cv2.transform(excess, np.array([[0.5, 1, 1]], np.float32))
        apart = cv2.blur(apart.astype(np.float32), (5, 5))
        evidence = np.minimum(np.log1p(apart / 2), 3) - np.float32(_MATCHES)
        return np.where(self.known > 0, evidence, np.float32(0))


def _painted(lab: Array, known: Array, within: Box) -> Box:
    """The window outside of which a plate's pictures are 0. within: one outside of which they are
    known to be.
    """
    some = np.ascontiguousarray(lab[within.window]).reshape(within.shape[0], -1)
    thirds, seen = Box.around(some), Box.around(known[within.window])
    found = [] if seen is None else [seen]
    if thirds is not None:
        found.append(thirds._replace(left=thirds.left // 3, right=-(-thirds.right // 3)))
    painted = Box.hull(found)
    return painted.moved(within.top, within.left) if found else painted


def still_background(plate: Plate, difference: Array, surprise: Array) -> Array:
    """How surely a pixel shows the background that was seen there before: float32 (h, w) in [0, 1].

    plate: the background's; difference: float32 (h, w), of the picture to it; surprise: float32 (h,
    w), how badly the background's motion explains the pixel's, see `motion_surprise`. Where nothing
    changed, nothing came to be object.
    """
    alike = np.clip(2 - (difference + np.float32(_MATCHES)) / np.float32(_STILL), 0, 1)
    return np.where(plate.known > 0, alike * np.exp(-surprise), np.float32(0))


class EdgeAware:
    """A guided filter within a pixel, which is compiled where it can be.

    rgb: uint8 (h, w, 3), the guide; epsilon in squared code values.
    """

    RADIUS_PX = 1

    def __init__(self, rgb: Array, *, epsilon: float = 40.0) -> None:
        self._place = Box.whole(rgb.shape)
        self._arrays: GuidedFilter | None = None
        self._planes: Array | None = None
        if compiled.usable(rgb):
            from vfx_matte.propagate.builtin.compiled.guided import look_at

            self._planes = look_at(np.ascontiguousarray(rgb), np.float32(epsilon))
        else:
            self._arrays = GuidedFilter(rgb, radius_px=self.RADIUS_PX, epsilon=epsilon)

    def within(self, box: Box) -> EdgeAware:
        """The filter for a window of the guide, as good as the same up to its border."""
        part = copy.copy(self)
        part._place = box.moved(self._place.top, self._place.left)
        part._arrays = None if self._arrays is None else self._arrays.within(box)
        return part

    def __call__(self, picture: Array) -> Array:
        """Filter float32 (h, w)."""
        if self._planes is None:
            assert self._arrays is not None
            return self._arrays(picture)
        from vfx_matte.propagate.builtin.compiled.guided import smooth

        picture = np.ascontiguousarray(picture, np.float32)
        return smooth(self._planes, picture, self._place.top, self._place.left)


class GuidedFilter:
    """Edge-aware smoothing that follows a colour guide (He, Sun & Tang, TPAMI 2013, eq. 19 to 21).

    rgb: uint8 (h, w, 3), the guide; radius_px and epsilon (in squared code values) as in the paper.
    """

    def __init__(self, rgb: Array, *, radius_px: int, epsilon: float = 40.0) -> None:
        self._window = (2 * radius_px + 1, 2 * radius_px + 1)
        # Centred code values: the variances below are differences of squares, and float32 must hold
        # them.
        self._guide = [np.asarray(plane, np.float32) - 128 for plane in cv2.split(rgb)]
        self._mean = [self._box(plane) for plane in self._guide]
        red, green, blue = self._guide
        mean_r, mean_g, mean_b = self._mean
        # the 3 × 3 covariance of each window, regularised, and its inverse by cofactors
        rr, gg, bb = (
            self._box(plane * plane) - mean * mean + epsilon
            for plane, mean in zip(self._guide, self._mean, strict=True)
        )
        rg = self._box(red * green) - mean_r * mean_g
        rb = self._box(red * blue) - mean_r * mean_b
        gb = self._box(green * blue) - mean_g * mean_b
        cofactors = (gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg)
        mixed = rg * rb - rr * gb
        determinant = rr * cofactors[0] + rg * cofactors[1] + rb * cofactors[2]
        first, second, third = (cofactor / determinant for cofactor in cofactors)
        across = mixed / determinant
        self._inverse = [
            [first, second, third],
            [second, (rr * bb - rb * rb) / determinant, across],
            [third, across, (rr * gg - rg * rg) / determinant],
        ]

    def within(self, box: Box) -> GuidedFilter:
        """The filter for a window of the guide, as good as the same up to its border."""
        part = copy.copy(self)
        part._guide, part._mean = (
            [plane[box.window] for plane in planes] for planes in (self._guide, self._mean)
        )
        part._inverse = [[plane[box.window] for plane in row] for row in self._inverse]
        return part

    def __call__(self, picture: Array) -> Array:
        """Filter float32 (h, w)."""
        slope, offset = self.lines(picture)
        filtered = _scalar_product(slope, self._guide)
        filtered += offset
        return filtered

    def lines(self, picture: Array) -> tuple[Sequence[Array], Array]:
        """The linear functions of (R, G, B) - 128 that fit float32 (h, w): three slopes and an
        offset, float32 (h, w) each.
        """
        mean = self._box(picture)
        covariance = [
            self._box(plane * picture) - own * mean
            for plane, own in zip(self._guide, self._mean, strict=True)
        ]
        slope = [_scalar_product(row, covariance) for row in self._inverse]
        offset = mean - _scalar_product(slope, self._mean)
        return [self._box(plane) for plane in slope], self._box(offset)

    def _box(self, plane: Array) -> Array:
        """Mean over the window: float32 (h, w)."""
        return cv2.blur(plane, self._window)


def _scalar_product(one: Sequence[Array], other: Sequence[Array]) -> Array:
    """Σ of the products of three planes each, float32 (h, w)."""
    total: Array = one[0] * other[0]
    for a, b in zip(one[1:], other[1:], strict=True):
        total += a * b
    return total
