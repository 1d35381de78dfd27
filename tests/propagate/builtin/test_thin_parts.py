"""Thin parts: which ones are found, that they follow their object at the source's size, and whose
way they stay out of.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.propagate import open_propagator
from vfx_matte.propagate.builtin.propagator import working_shape
from vfx_matte.propagate.builtin.thin_parts import ThinParts, add_thin, thin_parts

SHAPE, WORKING = (480, 854), (240, 427)


def disk_and_rope(
    x: int = 400, y: int = 240, *, size: float = 1.0, shape: tuple[int, int] = SHAPE
) -> np.ndarray:
    """A disk of radius 70 on a rope, 3 px wide (OpenCV's 2), that leads up and to the right: uint8
    (H, W) of 0 and 1.
    """
    mask = np.zeros(shape, np.uint8)
    cv2.circle(mask, (x, y), round(70 * size), 1, -1)
    cv2.line(mask, (x, y), (round(x + 90 * size), round(y - 200 * size)), 1, 2)
    return mask


def rope_of(mask: np.ndarray) -> np.ndarray:
    """What lies well outside of the disk: bool (H, W)."""
    return (mask > 0) & (np.mgrid[: mask.shape[0], : mask.shape[1]][0] < mask.shape[0] // 2 - 78)


def found(mask: np.ndarray, working: tuple[int, int] = WORKING) -> ThinParts:
    parts = thin_parts(mask > 0, working)
    assert parts is not None
    return parts


def pixels(parts: ThinParts | None) -> np.ndarray:
    """Bool (H, W) of what is drawn."""
    assert parts is not None
    shown = np.zeros(parts.shape, bool)
    if (drawn := parts.draw()) is not None:
        window, inside = drawn
        shown[window] = inside
    return shown


def flow_of(
    *, x: float = 0, y: float = 0, growth: float = 1.0, middle: tuple[float, float] = (213, 120)
) -> np.ndarray:
    """Where pixels were before all of them moved by (x, y) working pixels and grew around
    `middle`.
    """
    rows, columns = np.mgrid[: WORKING[0], : WORKING[1]].astype(np.float32)
    away = np.dstack([columns - x - middle[0], rows - y - middle[1]])
    return (away / growth + middle - np.dstack([columns, rows])).astype(np.float32)


def shrunk(mask: np.ndarray) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), WORKING[::-1], interpolation=cv2.INTER_AREA)


def test_the_rope_is_found_and_the_disk_is_not() -> None:
    mask = disk_and_rope()
    shown = pixels(found(mask))
    rope = rope_of(mask)
    assert shown[rope].all()
    assert not shown[mask == 0].any()
    assert np.count_nonzero(shown & ~rope) < 60


@pytest.mark.parametrize("scale", [1, 2, 4.5])
def test_what_is_thin_depends_on_the_working_size(scale: float) -> None:
    shape = (round(240 * scale), round(427 * scale))
    for width, thin in ((round(1.4 * scale), True), (round(4 * scale), False)):
        mask = np.zeros(shape, np.uint8)
        mask[shape[0] // 4 : -20, shape[1] // 3 : shape[1] // 3 + width] = 1
        assert (thin_parts(mask > 0, (240, 427)) is not None) == thin


@given(st.integers(5, 200), st.integers(5, 200), st.floats(0.3, 6))
def test_a_disk_has_no_thin_parts(width: int, height: int, power: float) -> None:
    """Nor has any superellipse, from a box down to a cushion; what is small has none at all."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = (abs(columns - 400) / (width + 20)) ** max(power, 1) + (
        abs(rows - 240) / (height + 20)
    ) ** max(power, 1) <= 1
    assert thin_parts(inside, WORKING) is None


def test_short_stubs_and_empty_masks_have_none() -> None:
    stub = np.zeros(SHAPE, np.uint8)
    cv2.circle(stub, (400, 240), 70, 1, -1)
    cv2.line(stub, (400, 240), (400, 150), 1, 2)
    assert thin_parts(stub > 0, WORKING) is None
    assert thin_parts(np.zeros(SHAPE, bool), WORKING) is None


@given(st.lists(st.tuples(st.integers(30, 820), st.integers(30, 450)), min_size=2, max_size=6))
def test_outlines_draw_exactly_what_they_were_found_on(points: list[tuple[int, int]]) -> None:
    """Tangles of rope and the holes between, too."""
    mask = np.zeros(SHAPE, np.uint8)
    cv2.polylines(mask, [np.array(points, np.int32)], True, 1, 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    thick = cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc), np.ones((3, 3), np.uint8))
    pieces, labels, boxes, _ = cv2.connectedComponentsWithStats(mask * (1 - thick))
    long = [piece for piece in range(1, pieces) if max(boxes[piece, 2:4]) >= 40]
    parts = thin_parts(mask > 0, WORKING)
    assert (parts is None) == (not long)
    if parts is not None:
        assert (pixels(parts) == np.isin(labels, long)).all()


@pytest.mark.slow
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.95, 1.05))
def test_it_follows_the_object(x: float, y: float, growth: float) -> None:
    mask = disk_and_rope()
    grown = disk_and_rope(400 + round(2 * x), 240 + round(2 * y), size=growth)
    middle = ((400 + 0.5) / 2 - 0.5, (240 + 0.5) / 2 - 0.5)
    moved = found(mask).follow(flow_of(x=x, y=y, growth=growth, middle=middle), shrunk(grown))
    near = cv2.distanceTransform(1 - grown, cv2.DIST_L2, 5)
    shown = pixels(moved)
    assert near[shown].max() < 3
    assert shown.sum() > 0.5 * rope_of(mask).sum() * min(1, growth) - 200


def test_moves_add_up() -> None:
    mask, parts = disk_and_rope(), None
    for step in range(1, 9):
        layer = shrunk(disk_and_rope(400 + 6 * step))
        parts = (parts or found(mask)).follow(flow_of(x=3), layer)
    assert (pixels(parts) == np.roll(pixels(found(mask)), 48, axis=1)).all()


def test_turning_and_limbs_do_not_turn_it() -> None:
    rows, columns = np.mgrid[: WORKING[0], : WORKING[1]].astype(np.float32)
    turning = np.dstack([0.2 * (rows - 120), -0.2 * (columns - 200)])
    moved = found(disk_and_rope()).follow(turning, shrunk(disk_and_rope()))
    assert moved is not None
    assert moved.growth == pytest.approx(1 / (1.04**0.5), abs=0.01)


def test_nothing_is_left_to_follow() -> None:
    parts = found(disk_and_rope())
    assert parts.follow(flow_of(), np.full(WORKING, 0.5, np.float32)) is None
    for growth in (0.05, 20):
        assert parts.follow(flow_of(growth=growth), np.ones(WORKING, np.float32)) is None
    gone = parts.follow(flow_of(x=2000), np.ones(WORKING, np.float32))
    assert gone is not None
    assert gone.draw() is None


def test_it_stays_behind_others_and_off_what_is_taken() -> None:
    parts = found(disk_and_rope())
    rope = pixels(parts)
    layers = np.zeros((3, *SHAPE), np.float32)
    layers[0], layers[2, :100] = 1, 0.75
    layers[0, :100] = 0.25
    taken = np.zeros(SHAPE, bool)
    taken[100:120] = True
    before = layers.copy()
    add_thin(layers, {1: parts}, taken)
    assert layers.sum(axis=0) == pytest.approx(1)
    assert (layers[:, :120] == before[:, :120]).all()
    assert (layers[1, 120:] == rope[120:]).all()
    assert rope[:100].any()
    assert rope[120:].any()


def scene(x: int) -> tuple[np.ndarray, np.ndarray]:
    """The disk and its rope, of one colour each, before leaves that stay: image and mask."""
    noise = np.random.default_rng(0).integers(60, 120, (60, 107, 3)).astype(np.uint8)
    image = noise.repeat(8, axis=0).repeat(8, axis=1)[: SHAPE[0], : SHAPE[1]].copy()
    mask = disk_and_rope(x)
    image[mask > 0] = (210, 70, 60)
    spots = np.random.default_rng(1).integers(-30, 31, (40, 40)).repeat(4, axis=0).repeat(4, axis=1)
    disk = np.zeros(SHAPE, np.uint8)
    cv2.circle(disk, (x, 240), 70, 1, -1)
    patch = (
        image[160:320, x - 80 : x + 80].astype(int)
        + spots[..., None] * disk[160:320, x - 80 : x + 80, None]
    )
    image[160:320, x - 80 : x + 80] = np.clip(patch, 0, 255)
    return image, mask


@pytest.mark.slow
@examples(30)
@given(st.integers(-9, 9), st.integers(-9, 9), st.sampled_from([1, 2]))
def test_the_picture_puts_it_right(x: int, y: int, scale: int) -> None:
    """Two ropes that cross say where both are, at the source's size too; without a line to be seen
    nothing happens.
    """
    shape = (SHAPE[0] * scale, SHAPE[1] * scale)
    mask = np.zeros(shape, np.uint8)
    for end in (250, 550):
        cv2.line(mask, (400 * scale, 430 * scale), (end * scale, 20 * scale), 1, 2 * scale)
    parts = found(mask)
    noise = np.random.default_rng(0).normal(120, 3, (*shape, 3))
    there = np.roll(mask, (y * scale, x * scale), axis=(0, 1)) > 0
    seen = np.clip(np.where(there[..., None], noise - 40, noise), 0, 255).astype(np.uint8)
    moved = parts.align(seen)
    if max(abs(x), abs(y)) <= 5:
        # across each rope: along it a rope looks the same
        right, down = moved.x - x * scale, moved.y - y * scale
        for along in ((-150, -410), (150, -410)):
            assert abs(right * along[1] - down * along[0]) <= scale * math.hypot(*along)
    else:
        assert max(abs(moved.x), abs(moved.y)) <= 6 * scale
    assert parts.align(np.full((*shape, 3), 90, np.uint8)) is parts


def test_what_has_left_the_picture_is_not_looked_for() -> None:
    parts = found(disk_and_rope()).follow(flow_of(x=2000), np.ones(WORKING, np.float32))
    assert parts is not None
    assert parts.align(np.zeros((*SHAPE, 3), np.uint8)) is parts


@pytest.mark.slow
def test_the_propagator_keeps_a_rope() -> None:
    propagator = open_propagator("builtin", num_objects=1)
    image, mask = scene(380)
    propagator.remember(image, mask)
    first = propagator.step(image, mask)
    assert (first[1] == mask).all()
    for step in range(1, 7):
        image, truth = scene(380 + 4 * step)
        probabilities = propagator.step(image)
        assert probabilities.sum(axis=0) == pytest.approx(1, abs=1e-5)
        near = cv2.dilate(truth, np.ones((5, 5), np.uint8)) > 0
        rope = rope_of(truth)
        assert np.mean(probabilities[1][rope] > 0.5) > 0.6
        assert not (probabilities[1] > 0.5)[~near & rope_of(np.ones_like(truth))].any()
    assert working_shape(SHAPE) == WORKING


def test_a_lost_object_takes_its_rope_along() -> None:
    propagator = open_propagator("builtin", num_objects=1)
    image, mask = scene(380)
    propagator.remember(image, mask)
    propagator.step(image, mask)
    propagator.step(scene(384)[0])
    empty = scene(380)[0]
    noise = np.random.default_rng(0).integers(60, 120, (60, 107, 3)).astype(np.uint8)
    empty[:] = noise.repeat(8, axis=0).repeat(8, axis=1)[: SHAPE[0], : SHAPE[1]]
    for _ in range(4):
        probabilities = propagator.step(empty)
    assert not (probabilities[1] > 0.5).any()
