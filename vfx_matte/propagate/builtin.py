"""The propagator that needs no weights. Takes images and masks, gives probabilities on one CPU core; never imports torch.

A soft mask is carried by optical flow and corrected, frame by frame, by hand-made cues (`builtin_cues`) over words of
colour and texture (`builtin_words`), and by a classifier trained on the clip itself (`builtin_learner`). Everything happens
at about 427×240 pixels, where DAVIS 2016 was measured; the result is brought to the source's size at the end, so cost hardly
depends on the source. Memory holds the previous frame and one small picture per reference, and is the same after ten frames
and ten thousand.

Objects share the flow, the words, the histograms and the background's plate, and compete after each frame. The soft mask is
fed back as it is: sharpening it, by a threshold or by odds, was measured to lose 1.4 points of J&F.

A second thread takes what can wait: it learns from a frame while the caller has it and the next one's flow is found, looks up
words, and takes every other object. It changes no result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.masks import Image, Mask, Probabilities, object_ids
from vfx_matte.propagate import builtin_cues as cues
from vfx_matte.propagate.builtin_cues import WEIGHTS, GuidedFilter, Plate, Pose
from vfx_matte.propagate.builtin_edges import full_size, shrunk
from vfx_matte.propagate.builtin_learner import Lesson, learned_evidence, lesson
from vfx_matte.propagate.builtin_memory import Appearance, Reference, in_place, study, watch, with_background
from vfx_matte.propagate.builtin_nearest import recalled
from vfx_matte.propagate.builtin_return import Lookout, Sighting
from vfx_matte.propagate.builtin_words import Frame, Grid, Look, count_locally, grids, in_words

WORKING_AREA_PX = 427 * 240
_LOCAL_RATE, _RUNNING_RATE, _LESSON_RATE = 0.2, 0.05, 0.1
_DOUBTFUL = 0.3  # a class below this probability at a pixel is not counted there
_CLEAR_BACKGROUND, _CLEAR_OBJECT = 0.85, 0.7


def working_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """The (h, w) that a source of this (H, W) is segmented at: never larger, about `WORKING_AREA_PX` pixels."""
    scale = min(1.0, math.sqrt(WORKING_AREA_PX / (shape[0] * shape[1])))
    height, width = (max(min(side, cues.MIN_FLOW_PX), round(side * scale)) for side in shape)
    return height, width


@dataclass(frozen=True)
class Anchor:
    """Which colour is where on an object, as one given mask shows it. table: float32 (cells_y, cells_x, N), log ratios."""

    table: Array
    pose: Pose


@dataclass(frozen=True)
class Walk:
    """What is known after a frame of a walk (and, once carried, before the next).

    gray: uint8 (h, w). objects: float32 (K, h, w), soft masks. color_local, texture_local: float32 (K+1, cells_y,
    cells_x, N), local histograms; color_running, texture_running: float32 (K+1, N), fading global ones.
    background: the clean plate behind the objects; plates, anchors, lessons: one for each object.
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
    lessons: tuple[Lesson | None, ...]


class BuiltinPropagator:
    """Follows K objects by flow, colour, texture and motion. See `Propagator` for the methods' contract.

    The same calls give the same result, to the rounding of float32. An object that vanishes is looked for, and followed again
    when something much like it comes (`builtin_return`).
    """

    def __init__(self, *, num_objects: int) -> None:
        if num_objects < 1:
            raise ValueError(f"num_objects is {num_objects}, expected at least 1")
        self._num_objects = num_objects
        self._references: list[Reference] = []
        self._attended: dict[int, int] | None = None  # number of a reference → steps ahead; None: all of them, nowhere
        self._adopted: list[Reference] = []  # masks that only `step` was given, each with an object not seen before
        self._appearance: Appearance | None = None
        self._walk: tuple[Array, Future[Walk]] | None = None  # the last frame, gray, and what is being learned from it
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vfx-matte built-in")
        self._lookout: Lookout | None = None  # belongs to the appearance
        self._steps = self._masked = 0  # of the walk so far, and how many there were when a mask was given
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
            self._appearance, self._attended = None, None

    def attend(self, references: Mapping[int, int]) -> None:
        """Study only these references from now on; see `SelectiveMemory.attend`."""
        if self._attended is None or self._attended.keys() != references.keys():
            self._appearance = None
        self._attended = dict(references)
        self.forget_temporary()

    def _attending(self) -> list[Reference]:
        """The references that matter now."""
        return self._references if self._attended is None else [self._references[number] for number in sorted(self._attended)]

    def forget_temporary(self) -> None:
        """Forget the walk, and what was learned from masks that only `step` was given."""
        self._walk = None
        self._steps = self._masked = 0
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
        look, walking = _shrink_image(image), self._walk
        objects: Array = np.zeros((self._num_objects, *look.shape), np.float32)
        anchors: tuple[Anchor | None, ...] = (None,) * self._num_objects
        if walking is not None and self._appearance is not None and len(given) < self._num_objects:
            worded = self._beside.submit(in_words, look, self._appearance.vocabulary)  # when the walk has learned
            flow = cues.optical_flow(look.gray, walking[0])
            frame, walk = worded.result(), walking[1].result()
            carried, smooth = _carry(walk, flow)
            age = self._age()
            objects = _segment(carried, frame, self._appearance, flow, smooth, age=age, later=self._beside.submit)
            anchors = walk.anchors
            seen = Sighting() if self._lookout is None else self._lookout.look(*in_place(frame), objects)
            objects[list(seen.lost)] = 0
            if seen.back:
                carried = _returned(carried, frame, objects, seen.back, self._appearance)
                smooth = cues.smooth_flow(flow, with_background(carried.objects), smooth.shape[1:3])
                objects = _segment(carried, frame, self._appearance, flow, smooth, age=age, later=self._beside.submit)
            if not given and not last:
                doubtful = seen.doubtful - seen.back.keys()
                self._walk = look.gray, self._beside.submit(_learn, carried, frame, objects, doubtful)
        if mask is not None and (given or (walking is None and self._references)):
            objects = self._pinned(objects, mask, given)
            self._restart(look, objects, given, anchors)
            self._masked = self._steps
        self._steps += 1
        return full_size(objects, look.rgb, image, mask, given)

    def _age(self) -> int:
        """How many frames away the nearest mask is that this walk began with, came by or goes towards."""
        ahead = () if self._attended is None else self._attended.values()
        return min([self._steps - self._masked, *(abs(steps - self._steps) for steps in ahead)])

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
            appearance = study(self._attending())
        if appearance is None or not appearance.ids.issuperset(given):
            self._adopted.append(Reference(look, objects, given))
            appearance = study([*self._attending(), *self._adopted])
        if appearance is not self._appearance:
            self._appearance, anchors = appearance, (None,) * self._num_objects  # the old ones are in other words
            self._lookout = watch([*self._attending(), *self._adopted], appearance)
        if self._lookout is not None:
            self._lookout.begin()
        frame = in_words(look, appearance.vocabulary)
        self._walk = look.gray, self._beside.submit(_start, frame, objects, given, anchors, appearance)


def _shrink_image(image: Image) -> Look:
    """Bring an image to the working size."""
    height, width = working_shape((image.shape[0], image.shape[1]))
    return Look(image.copy() if (height, width) == image.shape[:2] else shrunk(image, (height, width)))


def _start(
    frame: Frame, objects: Array, given: tuple[int, ...], anchors: Sequence[Anchor | None], appearance: Appearance
) -> Walk:
    """Begin a walk on a frame whose objects are known."""
    vocabulary, classes = appearance.vocabulary, with_background(objects)
    color, texture = count_locally(frame, classes, vocabulary.color_count, vocabulary.texture_count)
    grid, _ = grids(frame.look.shape, frame.look.texture_shape)
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
        lessons=appearance.lessons,
    )


def _returned(walk: Walk, frame: Frame, objects: Array, back: Mapping[int, Array], appearance: Appearance) -> Walk:
    """The walk with objects put where they were found again, and their histograms and plates begun anew."""
    seeded = objects.copy()
    for index, region in back.items():
        seeded[index] = region
    fresh = _start(frame, seeded, (), walk.anchors, appearance)
    plates = tuple((fresh if index in back else walk).plates[index] for index in range(len(walk.plates)))
    return replace(fresh, background=walk.background, plates=plates, lessons=walk.lessons)


def _undone(learned: Walk, before: Walk, indices: Collection[int]) -> Walk:
    """The walk without what it learned of some objects from its last frame: it may have been something else."""
    if not indices:
        return learned
    kept = {
        name: getattr(learned, name).copy() for name in ("color_local", "texture_local", "color_running", "texture_running")
    }
    for name, histograms in kept.items():
        for index in indices:
            histograms[index + 1] = getattr(before, name)[index + 1]
    plates = tuple((before if index in indices else learned).plates[index] for index in range(len(learned.plates)))
    lessons = tuple((before if index in indices else learned).lessons[index] for index in range(len(learned.lessons)))
    return replace(learned, **kept, plates=plates, lessons=lessons)


def _carry(walk: Walk, flow: Array) -> tuple[Walk, Array]:
    """Move everything in place along the flow, before looking at the new frame.

    Returns the moved walk and each class's smooth flow, float32 (K+1, cells_y, cells_x, 2).
    """
    height, width = walk.gray.shape
    grid = Grid.over((height, width))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    places = columns + flow[..., 0], rows + flow[..., 1]
    objects = np.stack([cv2.remap(layer, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for layer in walk.objects])
    smooth = cues.smooth_flow(flow, with_background(objects), grid.cells)
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
        grids(frame.look.shape, frame.look.texture_shape), (frame.color, frame.texture), kinds, strict=True
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


def _segment(
    walk: Walk,
    frame: Frame,
    appearance: Appearance,
    flow: Array,
    smooth: Array,
    *,
    age: int,
    later: Callable[..., Future[Array]],
) -> Array:
    """Correct the carried masks by the new frame: float32 (K, h, w), competing but still soft.

    age: how many frames away the nearest reference is. later: begins a call in another thread.
    """
    grid, _ = grids(frame.look.shape, frame.look.texture_shape)
    alive = [index for index, prior in enumerate(walk.objects) if (prior >= 0.5).any()]
    objects = np.zeros_like(walk.objects)
    if not alive:
        return objects
    worded = later(_word_evidence, walk, frame, appearance)
    fresh = np.float32(math.exp(-age / cues.FORGOTTEN_FRAMES))
    scene = 1 - walk.objects.sum(axis=0)
    background_flow = cues.affine_flow(flow, np.maximum(scene, 0))
    background_surprise = cues.motion_surprise(flow, background_flow, scene > cues.SURELY_BACKGROUND)
    uncovered = WEIGHTS.background_plate * walk.background.difference(frame.look.lab)
    edge_aware = GuidedFilter(frame.look.rgb)
    words = worded.result()

    def corrected(index: int) -> Array:
        prior, anchor = walk.objects[index], walk.anchors[index]
        depth, outside = cues.edge_distances(prior)
        evidence = words[index] + uncovered + np.float32(WEIGHTS.bias)
        evidence += WEIGHTS.prior_near * cues.prior_evidence(prior, cues.PRIOR_NEAR_PX)
        evidence += WEIGHTS.prior_far * cues.prior_evidence(prior, cues.PRIOR_FAR_PX)
        evidence += WEIGHTS.distance * cues.distance_evidence(depth, outside)
        here, whole = cues.motion_evidence(flow, prior, smooth[index + 1], background_surprise)
        evidence += WEIGHTS.motion * here + WEIGHTS.motion_whole * whole
        evidence -= WEIGHTS.object_plate * walk.plates[index].difference(frame.look.lab)
        if anchor is not None:
            places = cues.relative_places(grid.centred, cues.pose_of(prior), anchor.pose, grid.cell_px)
            evidence += WEIGHTS.color_relative * grid.read(anchor.table, frame.color, *places)
        taught, learned = appearance.lessons[index], walk.lessons[index]
        if taught is not None and learned is not None:
            classifier = taught.mixed(learned, 0.5).solved()
            evidence += WEIGHTS.learned * learned_evidence(frame.look.descriptor, classifier, prior, cues.GATE_PX + 4)
        memory = appearance.memories[index]
        if memory is not None:
            evidence += WEIGHTS.nearest * fresh * recalled(frame.look.descriptor, memory, prior)
        near = outside <= cues.GATE_PX
        evidence = cues.size_kept(evidence, prior, near)
        first = np.where(near, cues.sigmoid(evidence), np.float32(0))
        again = cues.sigmoid(np.float32(0.5) * evidence + cues.logit(edge_aware(first), 0.01))
        return np.clip(edge_aware(again), 0, 1)

    waiting = {index: later(corrected, index) for index in alive[1::2]}
    for index in alive[::2]:
        objects[index] = corrected(index)
    for index, result in waiting.items():
        objects[index] = result.result()
    return _compete(objects)


def _compete(objects: Array) -> Array:
    """Let objects share each pixel: float32 (K, h, w) → the same, summing to ≤ 1.

    Soft aggregation as in STM (Oh et al., ICCV 2019, eq. 4) over [Π(1 - p), p_1 … p_K], but of the probabilities
    themselves: turning them into odds first would sharpen them. A single object keeps its probability.
    """
    background = np.prod(1 - objects, axis=0)
    shared: Array = objects / (background + objects.sum(axis=0))
    return shared


def _learn(walk: Walk, frame: Frame, objects: Array, doubtful: Collection[int]) -> Walk:
    """Bring histograms and plates up to date with a segmented frame, but for objects that may have been something else."""
    classes = with_background(objects)
    clear = np.maximum(classes - _DOUBTFUL, 0) / np.float32(1 - _DOUBTFUL)
    counts = count_locally(frame, clear, walk.color_local.shape[3], walk.texture_local.shape[3])
    local = [
        (1 - _LOCAL_RATE) * old + _LOCAL_RATE * new
        for old, new in zip((walk.color_local, walk.texture_local), counts, strict=True)
    ]
    running = [
        (1 - _RUNNING_RATE) * old + _RUNNING_RATE * new.sum(axis=(1, 2))
        for old, new in zip((walk.color_running, walk.texture_running), counts, strict=True)
    ]
    lessons = [
        old
        if old is None or not (layer > 0.5).any()
        else old.mixed(lesson(frame.look.descriptor, layer, certain=False), _LESSON_RATE)
        for old, layer in zip(walk.lessons, objects, strict=True)
    ]
    learned = replace(
        walk,
        gray=frame.look.gray,
        objects=objects,
        lessons=tuple(lessons),
        color_local=local[0],
        texture_local=local[1],
        color_running=running[0],
        texture_running=running[1],
        background=walk.background.updated(frame.look.lab, classes[0] > _CLEAR_BACKGROUND),
        plates=tuple(
            plate.updated(frame.look.lab, layer > _CLEAR_OBJECT) for plate, layer in zip(walk.plates, objects, strict=True)
        ),
    )
    return _undone(learned, walk, doubtful)
