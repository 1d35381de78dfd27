"""The state of a walk of the built-in propagator, and its steps from frame to frame.

Nothing here decides what is object: `propagator` does, from what a walk has brought along.
Histograms, plates and masks move with the flow before a frame is looked at, and are brought up to
date by what was found there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin import cues
from vfx_matte.propagate.builtin.appearance import Appearance, with_background
from vfx_matte.propagate.builtin.classifier import TrainingBatch, training_batch
from vfx_matte.propagate.builtin.codebook import NOTHING, Grid, QuantizedFrame, count_locally, grids
from vfx_matte.propagate.builtin.cues import Plate, Pose
from vfx_matte.propagate.walk_state import State

# shares of the new frame: local histograms remember some five frames, global ones twenty, the
# classifier ten
_LOCAL_RATE, _RUNNING_RATE, _BATCH_RATE = 0.2, 0.05, 0.1
# histograms that skip doubtful pixels brought 0.8 of J&F (docs/builtin.md)
_DOUBTFUL = 0.3  # a class below this probability at a pixel is not counted there
_CLEAR_BACKGROUND, _CLEAR_OBJECT = 0.85, 0.7  # probabilities from which a plate is updated


@dataclass(frozen=True)
class Anchor:
    """Which colour is where on an object, as one given mask shows it."""

    table: Array
    """float32 (cells_y, cells_x, N), log ratios."""

    pose: Pose


@dataclass(frozen=True)
class Walk:
    """What is known after a frame of a walk (and, once warped, before the next).

    Plates, anchors and training batches: one per object.
    """

    gray: Array
    """uint8 (h, w)."""

    objects: Array
    """float32 (K, h, w), soft masks."""

    color_local: Array
    """float32 (K+1, cells_y, cells_x, N), local histograms."""

    texture_local: Array

    color_running: Array
    """float32 (K+1, N), global histograms that fade."""

    texture_running: Array

    background: Plate
    """The clean plate behind the objects."""

    plates: tuple[Plate, ...]
    anchors: tuple[Anchor | None, ...]
    batches: tuple[TrainingBatch | None, ...]


_ARRAYS = ("gray", "objects", "color_local", "texture_local", "color_running", "texture_running")


def walk_to_state(walk: Walk) -> State:
    """A walk as plain data."""
    return {
        **{name: getattr(walk, name) for name in _ARRAYS},
        "plates": [[plate.lab, plate.known] for plate in (walk.background, *walk.plates)],
        "anchors": [None if one is None else [one.table, *one.pose] for one in walk.anchors],
        "lessons": [None if one is None else [one.gram, one.answer] for one in walk.batches],
    }


def walk_from_state(state: State, shape: tuple[int, int], num_objects: int) -> Walk:
    """What `walk_to_state` made of a walk of frames (h, w).

    Raises ValueError, KeyError or TypeError for something else.
    """
    arrays = {name: np.asarray(state[name]) for name in _ARRAYS}
    plates = tuple(Plate(lab, known) for lab, known in state["plates"])
    if arrays["gray"].shape != shape or arrays["objects"].shape != (num_objects, *shape):
        raise ValueError(f"state of {arrays['objects'].shape}, expected {(num_objects, *shape)}")
    if any(plate.lab.shape != (*shape, 3) or plate.known.shape != shape for plate in plates):
        raise ValueError("plates of another shape")
    if not len(plates) - 1 == len(state["anchors"]) == len(state["lessons"]) == num_objects:
        raise ValueError(f"state of {len(plates) - 1} objects, expected {num_objects}")
    return Walk(
        **arrays,
        background=plates[0],
        plates=plates[1:],
        anchors=tuple(
            None if one is None else Anchor(one[0], Pose(*one[1:])) for one in state["anchors"]
        ),
        batches=tuple(None if one is None else TrainingBatch(*one) for one in state["lessons"]),
    )


def start_walk(
    frame: QuantizedFrame,
    objects: Array,
    given: tuple[int, ...],
    anchors: Sequence[Anchor | None],
    appearance: Appearance,
) -> Walk:
    """Begin a walk on a frame whose objects are known."""
    codebook, classes = appearance.codebook, with_background(objects)
    color, texture = count_locally(frame, classes, codebook.color_count, codebook.texture_count)
    grid, _ = grids(frame.small.shape, frame.small.texture_shape)
    blurred = grid.blur(color, cues.RELATIVE_CELLS)
    fresh: list[Anchor | None] = list(anchors)
    for index, anchor in enumerate(anchors):
        pose = cues.pose_of(objects[index])
        # what was not given keeps the anchor that a mask gave it
        if pose.area >= 1 and (anchor is None or index + 1 in given):
            others = blurred.sum(axis=0) - blurred[index + 1]
            table = cues.local_ratio(
                blurred[index + 1], others, cues.RELATIVE_CELLS, grid.cell_area_px
            )
            fresh[index] = Anchor(table, pose)
    # plates begin with what this frame clearly shows
    empty = Plate.empty(frame.small.shape)
    return Walk(
        gray=frame.small.gray,
        objects=objects,
        color_local=color,
        texture_local=texture,
        color_running=color.sum(axis=(1, 2)),
        texture_running=texture.sum(axis=(1, 2)),
        background=empty.updated(frame.small.lab, classes[0] > _CLEAR_BACKGROUND),
        plates=tuple(empty.updated(frame.small.lab, layer > _CLEAR_OBJECT) for layer in objects),
        anchors=tuple(fresh),
        batches=appearance.batches,
    )


def restore_objects(
    walk: Walk,
    frame: QuantizedFrame,
    objects: Array,
    back: Mapping[int, Array],
    appearance: Appearance,
) -> Walk:
    """The walk with objects put where they were found again, and their histograms and plates begun
    anew.
    """
    seeded = objects.copy()
    for index, region in back.items():
        seeded[index] = region
    fresh = start_walk(frame, seeded, (), walk.anchors, appearance)
    plates = tuple(
        (fresh if index in back else walk).plates[index] for index in range(len(walk.plates))
    )
    return replace(fresh, background=walk.background, plates=plates, batches=walk.batches)


def _forget_objects(learned: Walk, before: Walk, indices: Collection[int]) -> Walk:
    """The walk without what it learned of some objects from its last frame: it may have been
    something else.
    """
    if not indices:
        return learned
    # the classes of histograms begin with the background, hence the + 1 below
    kept = {
        name: getattr(learned, name).copy()
        for name in ("color_local", "texture_local", "color_running", "texture_running")
    }
    for name, histograms in kept.items():
        for index in indices:
            histograms[index + 1] = getattr(before, name)[index + 1]
    plates = tuple(
        (before if index in indices else learned).plates[index]
        for index in range(len(learned.plates))
    )
    batches = tuple(
        (before if index in indices else learned).batches[index]
        for index in range(len(learned.batches))
    )
    return replace(learned, **kept, plates=plates, batches=batches)


def warp_masks(objects: Array, flow: Array) -> Array:
    """Soft masks, float32 (K, h, w), as they lie on the next frame.

    flow: float32 (h, w, 2), where each pixel was.
    """
    positions = cues.flow_positions(flow)
    return np.stack(
        [
            cv2.remap(layer, *positions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for layer in objects
        ]
    )


def _advected(histograms: Array, smooth: Array, grid: Grid) -> Array:
    """Local histograms of all classes, each moved along its smooth flow; see `Grid.advect`."""
    moved = np.empty_like(histograms)
    for own, flow, out in zip(histograms, smooth, moved, strict=True):
        grid.advect(own, flow, out)
    return moved


def warp_walk(walk: Walk, flow: Array) -> tuple[Walk, Array]:
    """Move everything in place along the flow, before looking at the new frame.

    Returns the moved walk and each class's smooth flow, float32 (K+1, cells_y, cells_x, 2).
    """
    # histograms and plates move with the smooth flow of their class: a pixel's own flow is noisy
    height, width = walk.gray.shape
    grid = Grid.over((height, width))
    objects = warp_masks(walk.objects, flow)
    smooth = cues.smooth_flow(flow, with_background(objects), grid.cells)
    plates = []
    for plate, class_flow in zip((walk.background, *walk.plates), smooth, strict=True):
        dense = cv2.resize(class_flow, (width, height), interpolation=cv2.INTER_LINEAR)
        plates.append(plate.warped(*cues.flow_positions(dense)))
    moved = replace(
        walk,
        objects=objects,
        color_local=_advected(walk.color_local, smooth, grid),
        texture_local=_advected(walk.texture_local, smooth, grid),
        background=plates[0],
        plates=tuple(plates[1:]),
    )
    return moved, smooth


def learn_frame(
    walk: Walk,
    frame: QuantizedFrame,
    objects: Array,
    doubtful: Collection[int],
    most_samples: int,
) -> Walk:
    """Bring histograms and plates up to date with a segmented frame, but for objects that may have
    been something else. most_samples: see `training_batch`.
    """
    # 1. what is nearly sure counts, faded in
    classes = with_background(objects)
    clear = np.maximum(classes - _DOUBTFUL, 0) / np.float32(1 - _DOUBTFUL)
    counts = count_locally(frame, clear, walk.color_local.shape[3], walk.texture_local.shape[3])
    running = [
        (1 - _RUNNING_RATE) * old + _RUNNING_RATE * new.sum(axis=(1, 2))
        for old, new in zip((walk.color_running, walk.texture_running), counts, strict=True)
    ]
    # in place: these are the walk's largest arrays
    for histograms, old in zip(counts, (walk.color_local, walk.texture_local), strict=True):
        np.multiply(histograms, np.float32(_LOCAL_RATE), out=histograms)
        np.add(histograms, np.float32(1 - _LOCAL_RATE) * old, out=histograms)
        # what was seen once fades by a share in every frame, and never quite to 0 by itself
        flat = histograms.reshape(len(histograms), -1)
        cv2.threshold(flat, float(NOTHING), 0, cv2.THRESH_TOZERO, dst=flat)
    # 2. the classifier learns from objects that are there
    batches = [
        old
        if old is None or not (layer > 0.5).any()
        else old.mixed(
            training_batch(frame.small.descriptor, layer, certain=False, samples=most_samples),
            _BATCH_RATE,
        )
        for old, layer in zip(walk.batches, objects, strict=True)
    ]
    learned = replace(
        walk,
        gray=frame.small.gray,
        objects=objects,
        batches=tuple(batches),
        color_local=counts[0],
        texture_local=counts[1],
        color_running=running[0],
        texture_running=running[1],
        background=walk.background.updated(frame.small.lab, classes[0] > _CLEAR_BACKGROUND),
        plates=tuple(
            plate.updated(frame.small.lab, layer > _CLEAR_OBJECT)
            for plate, layer in zip(walk.plates, objects, strict=True)
        ),
    )
    return _forget_objects(learned, walk, doubtful)
