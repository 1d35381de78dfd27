"""The propagator that needs no weights. Takes images and masks, gives probabilities on one CPU core; never imports torch.

A soft mask is carried by optical flow and corrected, frame by frame, by hand-made cues (`builtin_cues`) over words of
colour and texture (`builtin_words`). Everything happens at about 427×240 pixels, where DAVIS 2016 was measured; the result
is brought to the source's size at the end, so cost hardly depends on the source. Memory holds the previous frame and one
small picture per reference, and is the same after ten frames and ten thousand.

Objects share the flow, the words, the histograms and the background's plate, and compete after each frame. The soft mask is
fed back as it is: sharpening it, by a threshold or by odds, was measured to lose 1.4 points of J&F.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.masks import Image, Mask, Probabilities, object_ids
from vfx_matte.propagate import builtin_cues as cues
from vfx_matte.propagate.builtin_cues import WEIGHTS, GuidedFilter, Plate, Pose
from vfx_matte.propagate.builtin_words import Grid, Look, Vocabulary, learn_vocabulary

WORKING_AREA_PX = 427 * 240
_LOCAL_RATE, _RUNNING_RATE = 0.2, 0.05
_CLEAR_BACKGROUND, _CLEAR_OBJECT = 0.85, 0.7


def working_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """The (h, w) that a source of this (H, W) is segmented at: never larger, about `WORKING_AREA_PX` pixels."""
    scale = min(1.0, math.sqrt(WORKING_AREA_PX / (shape[0] * shape[1])))
    height, width = (max(min(side, cues.MIN_FLOW_PX), round(side * scale)) for side in shape)
    return height, width


@dataclass(frozen=True)
class Reference:
    """A frame with known objects. objects: float32 (K, h, w), soft masks at working size; ids: the ones that were given."""

    look: Look
    objects: Array
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Appearance:
    """What references teach: the words, and how often each object, and the rest of the same frames, have each of them.

    color, texture: float32 (2, K, N), soft pixel counts, inside first, outside second. ids: the objects that were shown.
    """

    vocabulary: Vocabulary
    color: Array
    texture: Array
    ids: frozenset[int]


@dataclass(frozen=True)
class Anchor:
    """Which colour is where on an object, as one given mask shows it. table: float32 (cells_y, cells_x, N), log ratios."""

    table: Array
    pose: Pose


@dataclass(frozen=True)
class Frame:
    """One frame in words. color: int32 (h·w,); texture: int32 (h/2 · w/2,)."""

    look: Look
    color: Array
    texture: Array


@dataclass(frozen=True)
class Walk:
    """What is known after a frame of a walk (and, once carried, before the next).

    gray: uint8 (h, w). objects: float32 (K, h, w), soft masks. color_local, texture_local: float32 (K+1, cells_y,
    cells_x, N), local histograms; color_running, texture_running: float32 (K+1, N), fading global ones.
    background: the clean plate behind the objects; plates, anchors: one for each object.
    """

    gray: Array
    objects: Array
    color_local: Array
    texture_local: Array
    color_running: Array
    texture_running: Array
    background: Plate
    plates: tuple[Plate, ...]
    anchors: tuple[Anchor | None, ...]


class BuiltinPropagator:
    """Follows K objects by flow, colour, texture and motion. See `Propagator` for the methods' contract.

    The same calls give the same result, to the rounding of float32. An object that vanishes stays lost until a mask shows
    it again.
    """

    def __init__(self, *, num_objects: int) -> None:
        if num_objects < 1:
            raise ValueError(f"num_objects is {num_objects}, expected at least 1")
        self._num_objects = num_objects
        self._references: list[Reference] = []
        self._adopted: list[Reference] = []  # masks that only `step` was given, each with an object not seen before
        self._appearance: Appearance | None = None
        self._walk: Walk | None = None
        self._shape: tuple[int, int] | None = None

    @property
    def num_objects(self) -> int:
        """K; ids are 1..K."""
        return self._num_objects

    def remember(self, image: Image, mask: Mask) -> None:
        """Learn from a reference for good; see `Propagator.remember`. An empty mask teaches nothing. Ends a walk."""
        self._check(image, mask)
        self.forget_temporary()
        if ids := object_ids(mask):
            look = _shrink_image(image)
            self._references.append(Reference(look, self._shrink_mask(mask, ids, look.shape), ids))
            self._appearance = None

    def forget_temporary(self) -> None:
        """Forget the walk, and what was learned from masks that only `step` was given."""
        self._walk = None
        if self._adopted:
            self._adopted.clear()
            self._appearance = None

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:
        """Segment the next frame; see `Propagator.step`. An empty mask is the same as none.

        A mask restarts the walk's histograms and plates from this frame; objects that it does not show keep their
        prediction where it is 0. A walk that has had no mask yet finds nothing.
        """
        self._check(image, mask)
        given = () if mask is None else object_ids(mask)
        if not given and not self._references and not self._adopted:
            raise ValueError("no object has been shown yet: give the first frame a mask, or remember one")
        look, walk = _shrink_image(image), self._walk
        objects: Array = np.zeros((self._num_objects, *look.shape), np.float32)
        anchors: tuple[Anchor | None, ...] = (None,) * self._num_objects
        if walk is not None and self._appearance is not None and len(given) < self._num_objects:
            frame = _in_words(look, self._appearance.vocabulary)
            flow = cues.optical_flow(look.gray, walk.gray)
            carried, smooth = _carry(walk, flow)
            objects, anchors = _segment(carried, frame, self._appearance, flow, smooth), walk.anchors
            if not given and not last:
                self._walk = _learn(carried, frame, objects)
        if mask is not None and given:
            objects = self._pinned(objects, mask, given)
            self._restart(look, objects, given, anchors)
        return _full_size(objects, image.shape[:2], mask, given)

    def _check(self, image: Image, mask: Mask | None) -> None:
        """Raise ValueError unless shapes, dtypes and ids are as promised."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        shape = image.shape[:2]
        if self._shape is None:
            self._shape = shape
        if shape != self._shape:
            raise ValueError(f"image is {shape}, but the clip is {self._shape}")
        if mask is not None and (mask.dtype != np.uint8 or mask.shape != shape):
            raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 {shape}")
        if mask is not None and mask.max() > self._num_objects:
            raise ValueError(f"mask holds id {mask.max()}, expected at most {self._num_objects}")

    def _shrink_mask(self, mask: Mask, ids: tuple[int, ...], shape: tuple[int, int]) -> Array:
        """Soft masks of `ids` at the working size: float32 (K, h, w), zero for the other objects."""
        objects = np.zeros((self._num_objects, *shape), np.float32)
        for object_id in ids:
            inside: Array = np.where(mask == object_id, np.uint8(255), np.uint8(0))
            if shape != mask.shape:
                inside = cv2.resize(inside, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
            objects[object_id - 1] = inside * np.float32(1 / 255)
        return objects

    def _pinned(self, predicted: Array, mask: Mask, given: tuple[int, ...]) -> Array:
        """Soft masks with the given objects in place and the predicted others around them: float32 (K, h, w)."""
        shown = self._shrink_mask(mask, given, (predicted.shape[1], predicted.shape[2]))
        objects: Array = predicted * (1 - shown.sum(axis=0))
        objects[[object_id - 1 for object_id in given]] = 0
        objects += shown
        return objects

    def _restart(self, look: Look, objects: Array, given: tuple[int, ...], anchors: Sequence[Anchor | None]) -> None:
        """Begin the walk anew on a frame whose objects are known; `anchors` are kept for objects that were not given."""
        appearance = self._appearance
        if appearance is None and self._references:
            appearance = _study(self._references)
        if appearance is None or not appearance.ids.issuperset(given):
            self._adopted.append(Reference(look, objects, given))
            appearance = _study([*self._references, *self._adopted])
        if appearance is not self._appearance:
            self._appearance, anchors = appearance, (None,) * self._num_objects  # the old ones are in other words
        self._walk = _start(_in_words(look, appearance.vocabulary), objects, given, anchors, appearance)


def _shrink_image(image: Image) -> Look:
    """Bring an image to the working size."""
    height, width = working_shape((image.shape[0], image.shape[1]))
    if (height, width) == image.shape[:2]:
        return Look(image.copy())
    return Look(np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8))


def _with_background(objects: Array) -> Array:
    """Put the background before the objects: float32 (K, h, w) → (K+1, h, w), summing to 1 where objects sum to ≤ 1."""
    return np.concatenate([np.maximum(1 - objects.sum(axis=0, keepdims=True), 0), objects])


def _halved(layers: Array, look: Look) -> Array:
    """Bring soft masks to the size of the texture: float32 (C, h, w) → (C, h/2, w/2)."""
    height, width = look.texture_shape
    return np.stack([cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA) for layer in layers])


@functools.lru_cache(maxsize=4)
def _grids(look_shape: tuple[int, int], texture_shape: tuple[int, int]) -> tuple[Grid, Grid]:
    """The cells over a frame, and the same cells over its half-size texture."""
    color = Grid.over(look_shape)
    return color, Grid(texture_shape, color.cells)


def _in_words(look: Look, vocabulary: Vocabulary) -> Frame:
    """Look up the words of a frame."""
    return Frame(look, vocabulary.color_indices(look), vocabulary.texture_indices(look))


def _count_locally(frame: Frame, classes: Array, color_count: int, texture_count: int) -> tuple[Array, Array]:
    """Local histograms of one frame, of colours and of textures. classes: float32 (K+1, h, w)."""
    color_grid, texture_grid = _grids(frame.look.shape, frame.look.texture_shape)
    color = color_grid.count(frame.color, classes, color_count)
    return color, texture_grid.count(frame.texture, _halved(classes, frame.look), texture_count)


def _study(references: Sequence[Reference]) -> Appearance:
    """Learn words and histograms from frames with known objects.

    An object's outside is counted only on the references that show it: on others it may hide in what their masks leave out.
    """
    vocabulary = learn_vocabulary([(reference.look, reference.objects) for reference in references])
    num_objects = references[0].objects.shape[0]
    totals = [np.zeros((2, num_objects, count), np.float32) for count in (vocabulary.color_count, vocabulary.texture_count)]
    for reference in references:
        frame = _in_words(reference.look, vocabulary)
        counts = _count_locally(frame, _with_background(reference.objects), vocabulary.color_count, vocabulary.texture_count)
        rows = [object_id - 1 for object_id in reference.ids]
        for total, local in zip(totals, counts, strict=True):
            classes = local.sum(axis=(1, 2))
            inside = classes[1:][rows]
            total[0, rows] += inside
            total[1, rows] += classes.sum(axis=0) - inside
    color, texture = totals
    return Appearance(vocabulary, color, texture, frozenset().union(*(reference.ids for reference in references)))


def _start(
    frame: Frame, objects: Array, given: tuple[int, ...], anchors: Sequence[Anchor | None], appearance: Appearance
) -> Walk:
    """Begin a walk on a frame whose objects are known."""
    vocabulary, classes = appearance.vocabulary, _with_background(objects)
    color, texture = _count_locally(frame, classes, vocabulary.color_count, vocabulary.texture_count)
    grid, _ = _grids(frame.look.shape, frame.look.texture_shape)
    blurred = grid.blur(color, cues.RELATIVE_CELLS)
    fresh: list[Anchor | None] = list(anchors)
    for index, anchor in enumerate(anchors):
        pose = cues.pose_of(objects[index])
        if pose.area >= 1 and (anchor is None or index + 1 in given):
            others = blurred.sum(axis=0) - blurred[index + 1]
            table = cues.local_ratio(blurred[index + 1], others, cues.RELATIVE_CELLS, grid.cell_area_px)
            fresh[index] = Anchor(table, pose)
    empty = Plate.empty(frame.look.shape)
    return Walk(
        gray=frame.look.gray,
        objects=objects,
        color_local=color,
        texture_local=texture,
        color_running=color.sum(axis=(1, 2)),
        texture_running=texture.sum(axis=(1, 2)),
        background=empty.updated(frame.look.lab, classes[0] > _CLEAR_BACKGROUND),
        plates=tuple(empty.updated(frame.look.lab, layer > _CLEAR_OBJECT) for layer in objects),
        anchors=tuple(fresh),
    )


def _carry(walk: Walk, flow: Array) -> tuple[Walk, Array]:
    """Move everything in place along the flow, before looking at the new frame.

    Returns the moved walk and each class's smooth flow, float32 (K+1, cells_y, cells_x, 2).
    """
    height, width = walk.gray.shape
    grid = Grid.over((height, width))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    places = columns + flow[..., 0], rows + flow[..., 1]
    objects = np.stack([cv2.remap(layer, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for layer in walk.objects])
    smooth = cues.smooth_flow(flow, _with_background(objects), grid.cells)
    plates = []
    for plate, class_flow in zip((walk.background, *walk.plates), smooth, strict=True):
        dense = cv2.resize(class_flow, (width, height), interpolation=cv2.INTER_LINEAR)
        plates.append(plate.carried(columns + dense[..., 0], rows + dense[..., 1]))
    moved = replace(
        walk,
        objects=objects,
        color_local=np.stack([grid.advect(*pair) for pair in zip(walk.color_local, smooth, strict=True)]),
        texture_local=np.stack([grid.advect(*pair) for pair in zip(walk.texture_local, smooth, strict=True)]),
        background=plates[0],
        plates=tuple(plates[1:]),
    )
    return moved, smooth


def _word_evidence(walk: Walk, frame: Frame, appearance: Appearance) -> Array:
    """What local and global histograms of colour and texture say: float32 (K, h, w), already weighted.

    The four cues of a vocabulary are functions of place and word, so they are added as tables and read once.
    """
    w = WEIGHTS
    kinds = (
        (
            walk.color_local,
            walk.color_running,
            appearance.color,
            (w.color_near, w.color_far, w.color_running, w.color_reference),
        ),
        (
            walk.texture_local,
            walk.texture_running,
            appearance.texture,
            (w.texture_near, w.texture_far, w.texture_running, w.texture_reference),
        ),
    )
    height, width = frame.look.shape
    total = np.zeros_like(walk.objects)
    for grid, words, (local, running, reference, (near, far, now, then)) in zip(
        _grids(frame.look.shape, frame.look.texture_shape), (frame.color, frame.texture), kinds, strict=True
    ):
        blurred = [
            (weight, sigma, grid.blur(local, sigma)) for weight, sigma in ((near, cues.NEAR_CELLS), (far, cues.FAR_CELLS))
        ]
        sums = [classes.sum(axis=0) for _, _, classes in blurred]
        for index in range(total.shape[0]):
            own = index + 1
            table = now * cues.global_ratio(running[own], running.sum(axis=0) - running[own])
            table = table + then * cues.global_ratio(reference[0, index], reference[1, index])
            for (weight, sigma, classes), every in zip(blurred, sums, strict=True):
                table = table + weight * cues.local_ratio(classes[own], every - classes[own], sigma, grid.cell_area_px)
            evidence = grid.read(table.astype(np.float32), words)
            total[index] += evidence if grid.shape == (height, width) else cv2.resize(evidence, (width, height))
    return total


def _segment(walk: Walk, frame: Frame, appearance: Appearance, flow: Array, smooth: Array) -> Array:
    """Correct the carried masks by the new frame: float32 (K, h, w), competing but still soft."""
    height, width = frame.look.shape
    grid, _ = _grids(frame.look.shape, frame.look.texture_shape)
    alive = [index for index, prior in enumerate(walk.objects) if (prior >= 0.5).any()]
    objects = np.zeros_like(walk.objects)
    if not alive:
        return objects
    words = _word_evidence(walk, frame, appearance)
    scene = 1 - walk.objects.sum(axis=0)
    background_flow = cues.affine_flow(flow, np.maximum(scene, 0))
    uncovered = WEIGHTS.background_plate * walk.background.difference(frame.look.lab)
    edge_aware = GuidedFilter(frame.look.rgb)
    for index in alive:
        prior, anchor = walk.objects[index], walk.anchors[index]
        depth, outside = cues.edge_distances(prior)
        dense = cv2.resize(smooth[index + 1], (width, height), interpolation=cv2.INTER_LINEAR)
        own_flow = (cues.affine_flow(flow, prior) + dense) / 2
        evidence = words[index] + uncovered + np.float32(WEIGHTS.bias)
        evidence += WEIGHTS.prior_near * cues.prior_evidence(prior, cues.PRIOR_NEAR_PX)
        evidence += WEIGHTS.prior_far * cues.prior_evidence(prior, cues.PRIOR_FAR_PX)
        evidence += WEIGHTS.distance * cues.distance_evidence(depth, outside)
        evidence += WEIGHTS.motion * cues.motion_evidence(flow, own_flow, background_flow)
        evidence -= WEIGHTS.object_plate * walk.plates[index].difference(frame.look.lab)
        if anchor is not None:
            places = cues.relative_places(grid.centred, cues.pose_of(prior), anchor.pose, grid.cell_px)
            evidence += WEIGHTS.color_relative * grid.read(anchor.table, frame.color, *places)
        first = cues.sigmoid(evidence)
        first[outside > cues.GATE_PX] = 0
        again = cues.sigmoid(np.float32(0.5) * evidence + cues.logit(edge_aware(first), 0.01))
        objects[index] = np.clip(edge_aware(again), 0, 1)
    return _compete(objects)


def _compete(objects: Array) -> Array:
    """Let objects share each pixel: float32 (K, h, w) → the same, summing to ≤ 1.

    Soft aggregation as in STM (Oh et al., ICCV 2019, eq. 4) over [Π(1 - p), p_1 … p_K], but of the probabilities
    themselves: turning them into odds first would sharpen them. A single object keeps its probability.
    """
    background = np.prod(1 - objects, axis=0)
    shared: Array = objects / (background + objects.sum(axis=0))
    return shared


def _learn(walk: Walk, frame: Frame, objects: Array) -> Walk:
    """Bring histograms and plates up to date with a segmented frame."""
    classes = _with_background(objects)
    counts = _count_locally(frame, classes, walk.color_local.shape[3], walk.texture_local.shape[3])
    local = [
        (1 - _LOCAL_RATE) * old + _LOCAL_RATE * new
        for old, new in zip((walk.color_local, walk.texture_local), counts, strict=True)
    ]
    running = [
        (1 - _RUNNING_RATE) * old + _RUNNING_RATE * new.sum(axis=(1, 2))
        for old, new in zip((walk.color_running, walk.texture_running), counts, strict=True)
    ]
    return replace(
        walk,
        gray=frame.look.gray,
        objects=objects,
        color_local=local[0],
        texture_local=local[1],
        color_running=running[0],
        texture_running=running[1],
        background=walk.background.updated(frame.look.lab, classes[0] > _CLEAR_BACKGROUND),
        plates=tuple(
            plate.updated(frame.look.lab, layer > _CLEAR_OBJECT) for plate, layer in zip(walk.plates, objects, strict=True)
        ),
    )


def _full_size(objects: Array, shape: tuple[int, ...], mask: Mask | None, given: tuple[int, ...]) -> Probabilities:
    """Probabilities at the source's size: bilinear, with given objects exactly as given: float32 (K+1, H, W)."""
    probabilities = np.empty((objects.shape[0] + 1, *shape), np.float32)
    for index, layer in enumerate(objects):
        target = probabilities[index + 1]
        if mask is not None and index + 1 in given:
            target[:] = mask == index + 1
        elif layer.shape == shape:
            target[:] = layer
        else:
            cv2.resize(layer, (shape[1], shape[0]), dst=target, interpolation=cv2.INTER_LINEAR)
        if mask is not None and given and index + 1 not in given:
            target[mask > 0] = 0
    np.sum(probabilities[1:], axis=0, out=probabilities[0])
    np.subtract(1, probabilities[0], out=probabilities[0])
    np.maximum(probabilities[0], 0, out=probabilities[0])
    return probabilities
