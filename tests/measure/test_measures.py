"""Measures of masks against masks built to have them, and what is judged to stand out."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wording import typed

from vfx_matte.masks import Image, Mask
from vfx_matte.measure.judge import (
    MOST_SEVERE,
    Finding,
    Kind,
    Spot,
    find_gone,
    findings,
    judge,
    judge_object,
    merged,
    spots,
)
from vfx_matte.measure.measures import (
    changed_sides,
    edge_agreement,
    edge_width,
    filling,
    find_flicker,
    in_specks_and_holes,
    motion,
    pieces,
    unchanged,
    warped,
)
from vfx_matte.measure.meter import Meter, ObjectMeasures
from vfx_matte.measure.registry import MEASURES, QcMeasure, Rule, advise, describe
from vfx_matte.measure.series import area_changes, hardly_there, passing_the_border

SHAPE = (90, 160)


def disc(x: float, y: float, radius: float, shape: tuple[int, int] = SHAPE) -> Mask:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return ((columns - x) ** 2 + (rows - y) ** 2 < radius**2).astype(np.uint8)


# ---------------------------------------------------------------- one mask


def test_holes_and_specks_are_counted_with_their_area() -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:70, 20:120] = 1
    mask[20:24, 30:35] = 0
    mask[40, 50] = 0
    mask[80:83, 140:144] = 1
    mask[85, 3] = 1
    assert pieces(mask, 1) == (2, 21, 2, 13, 12)
    assert pieces(mask, 2) == (0, 0, 0, 0, 0)


def test_holes_that_show_the_background_are_told_from_faults_of_the_mask() -> None:
    """An arm on a hip leaves a gap through which the wall is seen; a hole in the shirt shows the
    shirt. Where wall and shirt look alike nothing is said.
    """
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:80, 20:140] = 1
    mask[20:30, 30:50] = 0
    mask[20:24, 60:70] = 0
    noise = np.random.default_rng(3).normal(0, 5, (*SHAPE, 3))

    def shown(wall: int) -> Image:
        level = np.full((*SHAPE, 3), wall, np.float64)
        level[10:80, 20:140] = 60
        level[20:30, 30:50] = wall
        return np.clip(level + noise, 0, 255).astype(np.uint8)

    assert filling(mask, 1, shown(180)) == (1, 40, 40, 40, 200)
    assert filling(mask, 1, shown(62)) == (2, 240, 0, 0, 40)
    mask[20:30, 30:50] = 1
    assert filling(mask, 1, shown(180)) == (1, 40, 40, 40, 0)
    assert filling(mask, 2, shown(180)) == (0, 0, 0, 0, 0)
    # too small to tell, and so no reason to fill anything
    mask[50:52, 60:64] = 0
    assert filling(mask, 1, shown(180)) == (1, 40, 40, 40, 0)


def test_a_hole_is_no_fault_where_the_picture_has_an_edge_along_it() -> None:
    """What is seen through a gap may have one of the object's colours; in a large picture the same
    edge counts as in a small one.
    """
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:80, 20:140] = 1
    mask[30:50, 60:80] = 0
    level = np.full((*SHAPE, 3), 200, np.uint8)
    # stripes: the hole's colour is well within the object's own colours
    level[10:80, 20:140] = 40
    level[10:80, 20:140:4] = 110
    level[30:50, 60:80] = 75
    level[29:51, 59:81:] = np.where(mask[29:51, 59:81, None] == 1, 120, 75)
    assert filling(mask, 1, level) == (0, 0, 0, 0, 400)
    large = cv2.resize(level, None, fx=12, fy=12, interpolation=cv2.INTER_CUBIC)
    assert filling(np.kron(mask, np.ones((12, 12), np.uint8)), 1, large) == (0, 0, 0, 0, 400 * 144)


def test_a_hole_is_no_fault_where_its_colours_are_seen_beside_the_object() -> None:
    """A part of the background is as the object is: nobody can tell which of them a hole shows."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:80, 20:140] = 1
    mask[40:50, 60:70] = 0
    picture = np.full((*SHAPE, 3), 200, np.uint8)
    picture[10:80, 20:140] = 60
    assert filling(mask, 1, picture) == (1, 100, 100, 100, 0)
    # rows above it, half of which look like it
    mask[10:30] = 0
    picture[10:30, 70:] = 200
    assert filling(mask, 1, picture) == (1, 100, 0, 0, 100)


def test_what_is_open_to_the_border_or_filled_with_another_object_is_no_hole() -> None:
    mask = np.ones(SHAPE, np.uint8)
    mask[0:20, 40:60] = 0  # a bay at the picture's border
    mask[40:60, 40:60] = 2
    mask[45, 45] = 0  # in the other object
    assert pieces(mask, 1)[:2] == (0, 0)
    assert pieces(mask, 2) == (1, 1, 0, 0, 0)


def test_holes_touch_by_corners_no_more_but_pieces_do() -> None:
    mask = disc(60, 45, 30)
    mask[40, 60] = mask[41, 61] = 0
    assert pieces(mask, 1)[:2] == (2, 2)
    mask[4, 4] = mask[5, 5] = 1
    assert pieces(mask, 1)[2:4] == (1, 2)


def test_a_second_part_of_some_size_is_no_speck() -> None:
    mask = disc(40, 45, 30) | disc(120, 45, 12)
    assert pieces(mask, 1)[2:4] == (0, 0)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.9))
def test_pieces_never_count_more_than_there_is(seed: int, density: float) -> None:
    mask = (np.random.default_rng(seed).random((20, 30)) < density).astype(np.uint8)
    found = pieces(mask, 1)
    assert found.holes <= found.holes_px <= np.count_nonzero(mask == 0)
    assert found.specks <= found.specks_px < max(1, np.count_nonzero(mask))
    framed = np.pad(mask, 1)
    outside = framed == 0
    _, labels = cv2.connectedComponents(outside.astype(np.uint8), connectivity=4)
    assert found.holes_px == np.count_nonzero(outside & (labels != labels[0, 0]))


def test_flicker_counts_what_differs_from_both_sides_only() -> None:
    before = np.zeros((4, 4), bool)
    now, after = before.copy(), before.copy()
    now[0] = True  # there on this frame alone
    now[1] = after[1] = True  # came to stay
    before[2] = after[2] = True  # missing on this frame alone
    found = find_flicker(before, now, after)
    assert found[[0, 2]].all()
    assert not found[[1, 3]].any()
    assert not find_flicker(now, now, after).any()


def test_what_changes_is_told_to_be_loose_enclosed_or_joined_to_the_object() -> None:
    now, speck, hole, foot = (disc(60, 45, 30) > 0 for _ in range(4))
    speck[4:8, 130:134] = True
    hole[40:44, 50:54] = False
    foot[60:] = False
    for one, found in ((speck, (1, 0)), (hole, (0, 1)), (foot, (0, 0)), (now, (0, 0))):
        # whichever of both frames has it
        assert in_specks_and_holes(now != one, now, one) == found
        assert in_specks_and_holes(now != one, one, now) == found


def test_a_mask_is_carried_where_the_flow_says() -> None:
    mask = disc(50, 40, 15)
    flow = np.zeros((*SHAPE, 2), np.float32)
    # each pixel was 12 to the left of and 5 below where it is now
    flow[..., 0], flow[..., 1] = (
        -12,
        5,
    )
    assert np.array_equal(warped(mask, flow), np.roll(mask, (-5, 12), axis=(0, 1)))
    flow[..., 0] = -200
    assert not warped(mask, flow).any(), "what was outside of the picture is background"


def texture(seed: int, shape: tuple[int, int] = (270, 480)) -> Image:
    coarse = (
        np.random.default_rng(seed)
        .integers(30, 220, (shape[0] // 6, shape[1] // 6, 3))
        .astype(np.uint8)
    )
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def test_motion_is_found_on_small_pictures_too() -> None:
    gray = texture(1)[..., 0]
    moved = np.roll(gray, (2, 4), axis=(0, 1))
    flow = motion(moved, gray)
    assert np.median(flow[..., 0]) == pytest.approx(-4, abs=0.3)
    assert np.median(flow[..., 1]) == pytest.approx(-2, abs=0.3)
    assert motion(gray[:9, :7], gray[:9, :7]).shape == (9, 7, 2)


def test_an_edge_on_the_pictures_edge_agrees_and_one_beside_it_does_not() -> None:
    mask = disc(80, 45, 25)
    gray = np.where(mask, 200, 60).astype(np.uint8)
    assert edge_agreement(mask > 0, gray) > 0.9
    assert edge_agreement(disc(80, 45, 18) > 0, gray) < 0.5
    noise = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    assert edge_agreement(mask > 0, noise) == pytest.approx(0.5, abs=0.05)
    assert math.isnan(edge_agreement(mask > 0, np.full(SHAPE, 9, np.uint8)))
    assert math.isnan(edge_agreement(np.zeros(SHAPE, bool), gray))
    assert math.isnan(edge_agreement(disc(80, 45, 2) > 0, gray))


@pytest.mark.parametrize("width", [3.0, 9.0, 18.0])
def test_the_width_of_a_soft_edge(width: float) -> None:
    """A disc whose edge falls evenly over `width` pixels: two thirds of it, as the
    docstring says.
    """
    rows, columns = np.mgrid[:200, :300]
    distance = np.hypot(columns - 150, rows - 100)
    soft = np.rint(np.clip(0.5 - (distance - 60) / width, 0, 1) * 255).astype(np.uint8)
    assert edge_width(soft) == pytest.approx(width * 2 / 3, rel=0.06)
    assert edge_width(np.where(distance < 60, 255, 0).astype(np.uint8)) == 0
    assert math.isnan(edge_width(np.zeros((9, 9), np.uint8)))


# ---------------------------------------------------------------- a clip


def measured(masks: list[Mask | None], *, moving: bool = False) -> ObjectMeasures:
    """A textured clip of masks of object 1; moving: the whole picture goes 4 pixels to the right
    each frame.
    """
    meter = Meter(object_ids=(1,), frame_count=len(masks))
    for index, mask in enumerate(masks):
        meter.add(index, np.roll(texture(3), 4 * index if moving else 0, axis=1), mask)
    return meter.objects[1]


def big(x: float, radius: float = 50) -> Mask:
    return disc(x, 130, radius, (270, 480))


def test_overlap_is_high_for_a_mask_that_moves_with_the_picture_and_low_for_one_that_does_not() -> (
    None
):
    moving = [big(100 + 4 * index) for index in range(8)]
    along = measured(list(moving), moving=True).overlap
    assert math.isnan(along[0])
    assert along[1:].min() > 0.93
    left = measured([*moving[:5], moving[4], *moving[6:]], moving=True).overlap
    assert left[5] < along[5] - 0.03
    jumped = measured([*moving[:5], big(300), *moving[6:]], moving=True).overlap
    assert jumped[5] < 0.05


def test_a_piece_changes_sides_where_the_mask_changes_and_the_picture_does_not() -> None:
    """A lost foot is lost once, on a frame that shows it as the one before does."""
    whole = [big(100 + 4 * index) for index in range(8)]
    along = measured(list(whole), moving=True)
    assert math.isnan(along.sides[0])
    assert along.sides[1:].tolist() == [0] * 7
    cut = [mask.copy() for mask in whole]
    for index in range(5, 8):
        cut[index][160:] = 0
    lost = measured(list(cut), moving=True).sides
    part = np.count_nonzero(whole[5][160:]) / np.count_nonzero(cut[5])
    assert lost[5] == pytest.approx(-part, rel=0.1)
    assert lost[[1, 2, 3, 4, 6, 7]].tolist() == [0] * 6
    found = measured(list(reversed(cut)))  # it stands still, and its mask moves
    assert found.sides[3] > 0.03
    judged = judge_object(measured(list(cut), moving=True), [range(8)])["sides"]
    assert np.flatnonzero(judged.severity > 1).tolist() == [5]
    found = measured(list(cut), moving=True)
    lines = describe(Spot(5, "sides", 2.0, 0.11, 0.0), found)
    assert lines == "loses a piece, 11 % of its area, though the picture there stays the same"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (1.0, "100 % of its area"),
        (1.004, "100 % of its area"),
        (1.01, "1.0 times the area that is left of it"),
        (3.95, "4.0 times the area that is left of it"),
    ],
)
def test_what_is_lost_of_an_object_that_is_all_but_gone_is_no_percentage(
    part: float, words: str
) -> None:
    found = ObjectMeasures.unknown(8)
    found.sides[5] = -part
    lost = describe(Spot(5, "sides", 2.0, part, 0.0), found)
    assert lost == f"loses a piece, {words}, though the picture there stays the same"
    flicker = describe(Spot(5, "flicker", 2.0, part, 0.004), found)
    assert flicker == f"flickers: {words} changes on this frame alone (usually 0.4 %)"


def test_pieces_that_change_sides_are_no_trembling_edges_nor_what_the_picture_changes() -> None:
    now, same = big(100) > 0, np.ones((270, 480), bool)
    expected = now.copy()
    expected[160:] = False
    missing = int(np.count_nonzero(now[160:]))
    assert changed_sides(now, expected, same).area_px == pytest.approx(missing, rel=0.05)
    assert changed_sides(expected, now, same).area_px == pytest.approx(-missing, rel=0.05)
    assert changed_sides(now, expected, ~same).area_px == 0
    assert changed_sides(now, big(102) > 0, same).area_px == 0
    # of a small object a few pixels are no piece
    small = disc(50, 50, 6, (90, 160)) > 0
    less = small.copy()
    less[46:49, 46:50] = False
    assert changed_sides(small, less, np.ones((90, 160), bool)).area_px == 0
    assert changed_sides(now, now, same) == (0, 0, 0)


def test_the_picture_stays_where_the_flow_brings_the_same() -> None:
    before = texture(3)
    now = np.roll(before, 4, axis=1)
    now[100:140, 200:260] = 255 - now[100:140, 200:260]
    flow = np.zeros((*now.shape[:2], 2), np.float32)
    flow[..., 0] = -4
    found = unchanged(now, before, flow)
    assert found[:90, 8:-8].all()
    assert not found[:, :4].any()
    assert found[110:130, 210:250].mean() < 0.3
    assert unchanged(now, before, 0 * flow).mean() < 0.9


def test_frames_without_a_mask_are_not_known_and_break_what_compares() -> None:
    found = measured([big(100), big(100), None, big(100), big(100), big(100), big(100)])
    assert math.isnan(found.area_px[2])
    assert np.isnan(found.overlap[[0, 2, 3]]).all()
    assert np.isnan(found.sides[[0, 2, 3]]).all()
    assert np.isnan(found.flicker_px[[0, 1, 2, 3, 6]]).all()
    assert found.flicker_px[[4, 5]].tolist() == [0, 0]
    found.separate([5])
    assert math.isnan(found.overlap[5])
    assert np.isnan(found.flicker_px[[4, 5]]).all()


# ---------------------------------------------------------------- judging


def test_the_limit_is_the_clips_own_habit() -> None:
    rule = Rule(1, 0.1)
    steady = np.full(50, 0.2, np.float32)
    steady[7] = 0.29
    steady[9] = 0.31
    calm = judge(steady, rule)
    assert (calm.usual, calm.high) == (pytest.approx(0.2), pytest.approx(0.3))
    assert np.flatnonzero(calm.severity > 1).tolist() == [9]
    assert calm.severity[9] == pytest.approx(1.1, abs=0.01)
    restless = np.tile(np.float32([0.1, 0.2, 0.3]), 20)
    wild = judge(restless, rule)
    assert wild.high == pytest.approx(0.2 + 6 * 1.4826 * 0.1, abs=1e-3)
    assert not (wild.severity > 1).any()


@given(
    st.lists(st.floats(-5, 5, width=32) | st.just(math.nan), min_size=1, max_size=60),
    st.sampled_from([one.rule for one in MEASURES.values() if one.rule is not None]),
)
def test_never_more_than_half_of_the_frames_stand_out(values: list[float], rule: Rule) -> None:
    """The median absolute deviation is what half of the values keep within, whatever they are."""
    judged = judge(np.array(values, np.float32), rule)
    known = np.isfinite(np.array(values))
    assert (np.isnan(judged.severity) == ~known).all()
    assert np.count_nonzero(judged.severity > 1) <= np.count_nonzero(known) / 2
    assert not (judged.severity > MOST_SEVERE).any()


def test_a_jump_of_area_is_measured_in_its_shot() -> None:
    area = np.array([100, 100, 100, 57, 100, 0, 300, 300, 300, 330], np.float32)
    changes = area_changes(area, [range(6), range(6, 10)])
    assert changes[3] == pytest.approx(math.log(0.57))
    assert changes[4] == 0
    assert np.isnan(changes[[0, 5, 6]]).all()
    assert changes[9] == pytest.approx(math.log(1.1))
    # nearly lost, and back again: only the loss is a jump
    lost = area_changes(np.array([100] * 9 + [2] * 6 + [100, 101], np.float32), [range(17)])
    assert lost[9] == pytest.approx(math.log(0.02))
    assert not (np.nan_to_num(lost[15:]) > 0.1).any()


def test_what_vanishes_inside_is_gone_and_what_leaves_the_picture_is_not() -> None:
    inside = measured([*[big(200)] * 6, *[big(0, 0)] * 3, *[big(200)] * 6])
    vanished = list(find_gone(inside, [range(15)]))
    assert [one.frame for one in vanished] == [6, 7, 8]
    assert {(one.value, one.usual) for one in vanished} == {(6, 9)}
    # where the user painted it away it is not missed; before that it is
    assert not list(find_gone(inside, [range(15)], absent=range(6, 9)))
    lost = list(find_gone(inside, [range(15)], absent=range(7, 9)))
    assert [(one.frame, one.value, one.usual) for one in lost] == [(6, 6, 7)]
    leaving = measured(
        [big(520 - 15 * abs(index - 7)) if index != 7 else big(0, 0) for index in range(15)]
    )
    assert not list(find_gone(leaving, [range(15)]))
    never = measured([big(0, 0)] * 5)
    assert not list(find_gone(never, [range(5)]))


def test_coming_into_the_picture_is_no_jump() -> None:
    masks = [big(-45 + 8 * index) for index in range(20)] + [big(115)] * 20
    found = measured(list(masks))
    assert passing_the_border(found)[:5].any()
    assert not [one for one in spots(judge_object(found, [range(40)])) if one.kind == "area"]


def test_a_cropped_object_that_shrinks_or_vanishes_for_a_moment_does_not_pass() -> None:
    masks = [big(20)] * 30
    masks[12] = big(0, 12)
    found = measured(list(masks))
    assert not passing_the_border(found).any()
    assert 12 in [
        one.frame for one in spots(judge_object(found, [range(30)])) if one.kind == "area"
    ]
    masks[12] = big(0, 0)
    assert [one.frame for one in find_gone(measured(list(masks)), [range(30)])] == [12]


def test_spots_near_each_other_are_one_finding_and_a_painted_frame_is_not_named() -> None:
    found = [
        Spot(at, "holes", severity, 0.1, 0.0)
        for at, severity in ((4, 2.0), (6, 5.0), (8, 3.0), (30, 2.0))
    ]
    one, other = findings(1, found, shots=[range(40)], painted={6})
    assert (one.start, one.stop, one.frame, one.severity) == (4, 9, 8, 5.0)
    assert one.weight == pytest.approx(5 * math.sqrt(3))
    assert other.frames == (30,)
    cut = findings(1, found, shots=[range(7), range(7, 40)], painted=())
    assert sorted(each.frames for each in cut) == [(4, 6), (8,), (30,)]
    jump = Spot(30, "area", 2.0, 0.5, 0.0)
    (alone,) = findings(1, [jump], shots=[range(40)], painted={30})
    assert alone.frame == 29, "the painted mask is right: what does not fit to it is beside it"
    (own,) = findings(1, [found[3]], shots=[range(40)], painted={30})
    assert own.frame == 30, "a hole in it is its own, and none of its neighbours'"


def test_a_frame_that_shows_the_object_leaving_is_named_where_there_is_no_other() -> None:
    found = [Spot(at, "holes", severity, 0.1, 0.0) for at, severity in ((4, 2.0), (6, 9.0))]
    (one,) = findings(1, found, shots=[range(9)], painted=(), leaving={6})
    assert (one.frame, one.severity) == (4, 9.0)
    (one,) = findings(1, found, shots=[range(9)], painted={4}, leaving={6})
    assert one.frame == 6, "a mask that is given cannot be painted, what leaves can"
    (one,) = findings(1, found, shots=[range(9)], painted=(), leaving={4, 6})
    assert one.frame == 6


def test_what_is_hardly_there() -> None:
    found = ObjectMeasures.unknown(9)
    found.area_px[:] = (1000, 1000, 240, 260, 1000, 0, np.nan, 30, 1000)
    assert hardly_there(found, (90, 160)).nonzero()[0].tolist() == [2, 7]
    # of an object that is always small some pixels are nothing to see
    few = ObjectMeasures.unknown(4)
    few.area_px[:] = (40, 40, 40, 60)
    assert hardly_there(few, (90, 160)).tolist() == [True, True, True, False]
    assert hardly_there(few, (1080, 1920)).all()
    few.area_px[:] = 0
    assert not hardly_there(few, (90, 160)).any()


def test_findings_that_name_one_frame_are_merged() -> None:
    uncertain = findings(
        1,
        [Spot(at, "confidence", 1.5, 60, 75) for at in range(3, 9)],
        shots=[range(20)],
        painted=(),
    )
    holes = findings(1, [Spot(3, "holes", 4.0, 0.1, 0.0)], shots=[range(20)], painted=())
    far = findings(1, [Spot(15, "holes", 4.0, 0.1, 0.0)], shots=[range(20)], painted=())
    both, other = merged([*uncertain, *holes, *far])
    assert [one.kind for one in both.spots] == ["holes", "confidence"]
    assert (both.start, both.stop, both.weight) == (3, 9, pytest.approx(4 * math.sqrt(6)))
    assert other.frames == (15,)


# ---------------------------------------------------------------- the registry


def finding(*kinds: Kind, frame: int = 3) -> Finding:
    found = tuple(Spot(frame, kind, 2.0, 0.25, 0.1) for kind in kinds)
    return Finding(1, frame, frame + 1, frame, 2.0, found, (frame,))


def test_every_kind_of_finding_has_an_entry_with_its_words() -> None:
    measures = measured([big(20)] * 6)
    for kind, entry in MEASURES.items():
        assert entry.title
        assert (entry.rule is None) == (entry.series is None), "what is judged has a series"
        said = describe(Spot(3, kind, 2.0, 3.0, 5.0), measures, lambda index: index + 100)
        assert said
        assert "103" in said or kind not in ("gone", "crossing"), "frames have their numbers"
        assert "103" in advise(finding(kind), measures, lambda index: index + 100)


def test_every_measure_that_is_judged_is_drawn_and_says_how() -> None:
    measures = measured([big(20)] * 6)
    for kind, entry in MEASURES.items():
        if entry.rule is None:
            continue
        assert entry.curve is not None, kind
        assert entry.curve.values is not None
        assert entry.curve.values(measures, 100).shape == (6,)
        assert entry.curve.shown.format(12.34) in ("12.3 %", "12 %", "12 px")
    covered = MEASURES["area"].curve
    assert covered is not None
    assert covered.values is not None
    assert covered.values(measures, 1000)[2] == pytest.approx(measures.area_px[2] / 10)


def test_advice_is_to_repair_what_renders_can_and_to_paint_what_they_cannot() -> None:
    measures = measured([big(20)] * 6)
    measures.fault_px[3], measures.speck_px[3] = 132, 7
    assert typed(advise(finding("holes"), measures)).startswith("render with --fill-holes 200, or")
    measures.flicker_specks[3] = measures.flicker_holes[3] = 0.4
    both = typed(advise(finding("flicker", "specks", "holes"), measures))
    assert both.startswith("render with --fill-holes 200 --remove-specks 7 if the loose pieces are")
    # a hole that may be background is not filled along unnoticed
    measures.open_px[3] = 500
    assert typed(advise(finding("holes"), measures)).startswith("render with --fill-holes 200, or")
    measures.open_px[3] = 150
    careful = typed(advise(finding("holes"), measures))
    assert careful.startswith("paint a mask on frame 3: of its holes some may be background")
    assert "--fill-holes 200 would" in careful
    # filling would mend a small part of what stands out
    measures.faults_px[3], measures.edgeless_px[3] = 132, 900
    measures.open_px[3] = 768
    assert advise(finding("holes"), measures).startswith("look there: the holes may be background")
    measures.sides_holes[3] = 1.0
    assert advise(finding("holes", "sides"), measures).startswith("look there: the holes may be")
    # what removes the specks leaves such holes
    also = typed(advise(finding("holes", "specks"), measures))
    assert also.startswith("render with --remove-specks 7 if the loose pieces are none of it; the")
    assert also.endswith("seen through the object; if not, paint a mask on frame 3")
    measures.fault_px[3] = 0
    assert "fill-holes" not in typed(advise(finding("holes"), measures))
    assert advise(finding("holes"), measures).startswith("look there: the holes may be background")
    assert advise(finding("flicker"), measures) == "paint a mask on frame 3"
    assert advise(finding("holes", "overlap"), measures) == "paint a mask on frame 3"
    assert "if it is there" in advise(finding("gone"), measures)
    assert "if it is wrong" in advise(finding("confidence"), measures)
    assert "--cuts stop" in typed(advise(finding("crossing", "gone"), measures))


def test_a_measure_is_added_by_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = QcMeasure(
        title="crowded",
        reason=lambda spot, _m, _n: f"has {spot.value:.0f} pieces",
        rule=Rule(1, 5.0),
        series=lambda measures, _s, _p: measures.specks,
        advice=lambda number: f"count the pieces on frame {number}",
    )
    monkeypatch.setitem(MEASURES, "crowd", entry)
    measures = measured([big(20)] * 20)
    measures.specks[7] = 9
    judged = judge_object(measures, [range(20)])
    (one,) = [spot for spot in spots(judged) if spot.kind == "crowd"]
    assert (one.frame, one.value) == (7, 9)
    assert describe(one, measures) == "has 9 pieces"
    (found,) = findings(1, [one], shots=[range(20)], painted=())
    assert advise(found, measures) == "count the pieces on frame 7"


def test_what_is_lost_or_flickers_is_not_advised_to_be_removed_as_specks() -> None:
    """A foot that is lost, beside a speck: without the speck it is lost as well."""
    measures = measured([big(20)] * 6)
    measures.speck_px[3], measures.fault_px[3] = 7, 90
    for kind, specks, holes in (
        ("sides", measures.sides_specks, measures.sides_holes),
        ("flicker", measures.flicker_specks, measures.flicker_holes),
    ):
        specks[3], holes[3] = 0.9, 0.0
        assert "--remove-specks 7" in typed(advise(finding("specks", kind), measures))
        assert advise(finding("holes", kind), measures) == "paint a mask on frame 3"
        specks[3], holes[3] = 0.1, 0.8
        assert advise(finding("specks", kind), measures) == "paint a mask on frame 3"
        assert "--fill-holes 90" in typed(advise(finding("holes", kind), measures))


def test_nobody_is_sent_to_paint_what_is_painted_or_hardly_in_sight() -> None:
    measures = measured([big(20)] * 3 + [big(-45)] + [big(240, 3)] * 2)
    for kind in ("holes", "specks", "sides", "confidence", "edge_agreement"):
        own = advise(finding(kind), measures, painted={3})
        assert own == "the mask of frame 3 is your own: give another one only if it is wrong there"
        left = advise(finding(kind), measures, small={3})
        assert left.startswith("the object is entering or leaving the picture on frame 3, with ")
        tiny = advise(finding(kind, frame=4), measures, small={4})
        assert tiny == "if more of it is in sight than these 25 px, paint a mask on frame 4"
    # beside a mask of one's own it is known which of both frames is wrong
    assert advise(finding("sides"), measures, painted={2}) == "paint a mask on frame 3"


def test_the_flicker_of_a_few_pixels_is_not_known() -> None:
    tiny = [big(200, 8 if index % 2 else 5) for index in range(6)]
    assert np.isnan(measured(list(tiny)).flicker_px).all()
    large = [big(200, 18 if index % 2 else 13) for index in range(6)]
    assert (measured(list(large)).flicker_px[1:5] > 0).any()


def test_a_meter_tells_what_changes_sides_and_flickers() -> None:
    """A foot is lost for good; a speck comes and goes."""
    whole = big(200)
    cut = whole.copy()
    cut[160:] = 0
    lost = measured([whole, whole, cut, cut, cut])
    assert lost.sides[2] < -0.05
    assert (lost.sides_specks[2], lost.sides_holes[2]) == (0, 0)
    ring = whole.copy()
    ring[110:150, 190:210] = 0
    open_ = measured([whole, whole, ring, whole, whole])
    assert open_.sides[2] < -0.05
    assert (open_.sides_specks[2], open_.sides_holes[2]) == (0, 1)
    assert open_.flicker_holes[2] > 0.9
    loose = whole.copy()
    loose[30:40, 400:412] = 1
    come = measured([whole, whole, loose, whole, whole])
    assert (come.sides[2] > 0, come.sides_specks[2]) == (True, 1)
    assert come.flicker_specks[2] > 0.9
