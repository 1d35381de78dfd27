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
from vfx_matte.propagate.builtin import compiled, cues
from vfx_matte.propagate.builtin.appearance import Appearance, with_background
from vfx_matte.propagate.builtin.classifier import TrainingBatch, training_batch
from vfx_matte.propagate.builtin.codebook import NOTHING, Grid, QuantizedFrame, count_locally, grids
from vfx_matte.propagate.builtin.cues import Plate, Pose
from vfx_matte.propagate.builtin.window import Box
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

    places: tuple[Box, ...]
    """Cells beyond which a class's local histograms are 0: small objects cost little."""

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
    pictures = [(np.asarray(lab), np.asarray(known)) for lab, known in state["plates"]]
    if arrays["gray"].shape != shape or arrays["objects"].shape != (num_objects, *shape):
        raise ValueError(f"state of {arrays['objects'].shape}, expected {(num_objects, *shape)}")
    if any(lab.shape != (*shape, 3) or known.shape != shape for lab, known in pictures):
        raise ValueError("plates of another shape")
    plates = tuple(Plate.of(lab, known) for lab, known in pictures)
    if not len(plates) - 1 == len(state["anchors"]) == len(state["lessons"]) == num_objects:
        raise ValueError(f"state of {len(plates) - 1} objects, expected {num_objects}")
    return Walk(
        **arrays,
        places=tuple(
            _place([arrays[name][index] for name in ("color_local", "texture_local")])
            for index in range(num_objects + 1)
        ),
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
    color, texture, places = count_locally(
        frame, classes, codebook.color_count, codebook.texture_count
    )
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
        places=places,
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
    """The walk without what it learned of some objects from its last frame, in whose own arrays
    that is: it may have been something else.
    """
    if not indices:
        return learned
    # the classes of histograms begin with the background, hence the + 1 below
    for name in ("color_local", "texture_local", "color_running", "texture_running"):
        for index in indices:
            getattr(learned, name)[index + 1] = getattr(before, name)[index + 1]
    places = tuple(
        (before if number - 1 in indices else learned).places[number]
        for number in range(len(learned.places))
    )
    plates = tuple(
        (before if index in indices else learned).plates[index]
        for index in range(len(learned.plates))
    )
    batches = tuple(
        (before if index in indices else learned).batches[index]
        for index in range(len(learned.batches))
    )
    return replace(learned, places=places, plates=plates, batches=batches)


def _place(histograms: Sequence[Array], within: Box | None = None) -> Box:
    """The cells beyond which local histograms of one class, float32 (cells_y, cells_x, N) each, are
    0. within: cells beyond which they are known to be.
    """
    found = []
    for own in histograms:
        window = Box.whole(own.shape) if within is None else within
        some: Array = np.any(own[window.window], axis=2)
        box = Box.around(some)
        if box is not None:
            found.append(box.moved(window.top, window.left))
    return Box.hull(found)


def warp_masks(objects: Array, flow: Array) -> Array:
    """Soft masks, float32 (K, h, w), as they lie on the next frame.

    flow: float32 (h, w, 2), where each pixel was.
    """
    moved = np.zeros_like(objects)
    for layer, out in zip(objects, moved, strict=True):
        if (place := Box.around(layer > 0)) is not None:
            source, target = cues.source_and_target(place, flow)
            columns, rows = cues.flow_positions(flow, target)
            out[target.window] = cv2.remap(
                layer[source.window],
                columns - source.left,
                rows - source.top,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
    return moved


def summed(histograms: Array, places: Sequence[Box]) -> Array:
    """Local histograms of all classes together: float32 (cells_y, cells_x, N)."""
    total: Array = histograms[0].copy()
    for own, place in zip(histograms[1:], places[1:], strict=True):
        total[place.window] += own[place.window]
    return total


def _advected(
    histograms: Array, smooth: Array, grid: Grid, places: Sequence[Box]
) -> tuple[Array, tuple[Box, ...]]:
    """Local histograms of all classes, each moved along its smooth flow, and their places; see
    `Grid.advect`.
    """
    moved = np.zeros_like(histograms)
    each = zip(histograms, smooth, places, moved, strict=True)
    return moved, tuple(grid.advect(own, flow, place, out) for own, flow, place, out in each)


def _background(objects: Array) -> Array:
    """What objects, float32 (K, h, w), leave to the background: float32 (h, w)."""
    rest: Array = 1 - objects.sum(axis=0)
    np.maximum(rest, 0, out=rest)
    return rest


def _enlarged(smooth: Array, shape: tuple[int, ...]) -> Array:
    """Smooth flow of one class at every pixel: float32 (cells_y, cells_x, 2) → (h, w, 2)."""
    return cv2.resize(smooth, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def smooth_flows(flow: Array, objects: Array) -> list[Array]:
    """The smooth flow of the background and every object: K+1 float32 (h, w, 2).

    flow: float32 (h, w, 2); objects: float32 (K, h, w).
    """
    shape = objects.shape[1:]
    smooth = cues.smooth_flow(flow, [_background(objects), *objects], Grid.over(shape).cells)
    return [_enlarged(own, shape) for own in smooth]


def warp_walk(walk: Walk, flow: Array) -> tuple[Walk, list[Array]]:
    """Move everything in place along the flow, before looking at the new frame.

    Returns the moved walk and each class's smooth flow, as `smooth_flows`.
    """
    # histograms and plates move with the smooth flow of their class: a pixel's own flow is noisy
    grid = Grid.over((walk.gray.shape[0], walk.gray.shape[1]))
    objects = warp_masks(walk.objects, flow)
    smooth = cues.smooth_flow(flow, [_background(objects), *objects], grid.cells)
    dense = [_enlarged(own, grid.shape) for own in smooth]
    plates = [
        plate.warped(own) for plate, own in zip((walk.background, *walk.plates), dense, strict=True)
    ]
    color, places = _advected(walk.color_local, smooth, grid, walk.places)
    texture, _ = _advected(walk.texture_local, smooth, grid, walk.places)
    moved = replace(
        walk,
        objects=objects,
        color_local=color,
        texture_local=texture,
        places=places,
        background=plates[0],
        plates=tuple(plates[1:]),
    )
    return moved, dense


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
    scene = _background(objects)
    clear = np.zeros((len(objects) + 1, *scene.shape), np.float32)
    for layer, out in zip([scene, *objects], clear, strict=True):
        if (box := Box.around(layer > np.float32(_DOUBTFUL))) is not None:
            part = np.subtract(layer[box.window], np.float32(_DOUBTFUL), out=out[box.window])
            np.maximum(part, 0, out=part)
            part /= np.float32(1 - _DOUBTFUL)
    *counts, seen = count_locally(
        frame, clear, walk.color_local.shape[3], walk.texture_local.shape[3]
    )
    running = [
        (1 - _RUNNING_RATE) * old + _RUNNING_RATE * new.sum(axis=(1, 2))
        for old, new in zip((walk.color_running, walk.texture_running), counts, strict=True)
    ]
    places = [Box.hull(pair) for pair in zip(seen, walk.places, strict=True)]
    # in place, and only where something is: these are the walk's largest arrays
    for histograms, old in zip(counts, (walk.color_local, walk.texture_local), strict=True):
        for own, before, place in zip(histograms, old, places, strict=True):
            _fade_in(own, before, place)
    # the background is everywhere
    for number in range(1, len(places)):
        places[number] = _place([histograms[number] for histograms in counts], places[number])
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
        places=tuple(places),
        color_running=running[0],
        texture_running=running[1],
        background=walk.background.updated(frame.small.lab, scene > _CLEAR_BACKGROUND),
        plates=tuple(
            plate.updated(frame.small.lab, layer > _CLEAR_OBJECT)
            for plate, layer in zip(walk.plates, objects, strict=True)
        ),
    )
    return _forget_objects(learned, walk, doubtful)


def _fade_in(new: Array, old: Array, place: Box) -> None:
    """Bring local histograms up to date with what a frame shows, in place: float32 (cells_y,
    cells_x, N) both, contiguous. place: the cells in which something is.
    """
    if compiled.usable(new):
        from vfx_matte.propagate.builtin.compiled.histograms import fade_in

        rate, rest = np.float32(_LOCAL_RATE), np.float32(1 - _LOCAL_RATE)
        fade_in(new, old, np.array(place), rate, rest, NOTHING)
        return
    new, old = new[place.window], old[place.window]
    if not new.size:
        return
    rows = new.reshape(len(new), -1)
    rows *= np.float32(_LOCAL_RATE)
    rows += np.float32(1 - _LOCAL_RATE) * old.reshape(rows.shape)
    # what was seen once fades by a share in every frame, and never quite to 0 by itself
    cv2.threshold(rows, float(NOTHING), 0, cv2.THRESH_TOZERO, dst=rows)
