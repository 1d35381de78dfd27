"""First masks by a salient network: what boxes, clicks and strokes do.

The network here is one that finds what is bright.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfx_matte.detect.salient import NETWORK_FILE, SalientNetwork
from vfx_matte.errors import UsageError
from vfx_matte.first_mask import Click, Marks, Stroke, open_first_mask
from vfx_matte.first_mask.base import State
from vfx_matte.first_mask.corrections import MARGIN, FeatureMap, corrected
from vfx_matte.first_mask.crop_maps import Candidate, Crop, agreeing
from vfx_matte.first_mask.learned import LearnedFirstMask
from vfx_matte.first_mask.upscale import shrunk, upscaled
from vfx_matte.masks import overlap

Pixels = npt.NDArray[Any]
NETWORK = Path(__file__).parents[3] / "shared/weights" / NETWORK_FILE


class Bright:
    """A network that takes what is bright for salient, and sees brightness at every place."""

    def __init__(self) -> None:
        self.asked = 0
        self.roughly = 0

    def probability(self, image: Pixels, *, size: int = 320) -> Pixels:  # noqa: ARG002
        self.asked += 1
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255

    def rough(self, image: Pixels, *, size: int = 320) -> Pixels:
        self.roughly += 1
        return self.probability(image, size=size)

    def describe(self, image: Pixels, *, size: int = 320) -> tuple[Pixels, list[Pixels]]:
        found = self.rough(image)
        layers = [
            np.repeat(cv2.resize(found, (size >> at, size >> at))[None], 64, 0) for at in (1, 2, 3)
        ]
        return found, layers


def scene(
    *discs: tuple[int, int, int], height: int = 180, width: int = 240
) -> tuple[Pixels, list[Pixels]]:
    """A dark picture with bright discs (x, y, radius), and where each is."""
    image = np.full((height, width, 3), 30, np.uint8)
    regions = []
    for at, (x, y, radius) in enumerate(discs):
        region = np.zeros((height, width), np.uint8)
        cv2.circle(region, (x, y), radius, 1, cv2.FILLED)
        image[region > 0] = (230, 220 - 10 * at, 200)
        regions.append(region > 0)
    return image, regions


def maker(image: Pixels) -> LearnedFirstMask:
    return LearnedFirstMask(image, cast(SalientNetwork, Bright()))


def test_a_box_finds_what_it_holds_and_nothing_outside() -> None:
    image, (left, right) = scene((60, 90, 30), (180, 90, 30))
    answer = maker(image).answer(Marks(box=(25, 55, 70, 70)))
    assert overlap(answer.mask > 0, left) > 0.95
    assert not (answer.mask > 0)[right].any()
    assert answer.confidence > 0.5
    assert answer.advice == ""


def test_a_click_finds_the_one_thing_that_it_is_on() -> None:
    image, (left, right) = scene((60, 90, 30), (180, 90, 30))
    answer = maker(image).answer(Marks(clicks=(Click(185, 95),)))
    assert overlap(answer.mask > 0, right) > 0.95
    assert not (answer.mask > 0)[left].any()


def test_a_click_finds_what_stands_out_less_than_something_else() -> None:
    image, (bright, dim) = scene((60, 90, 30), (180, 90, 30))
    image[dim] = (90, 95, 92)
    answer = maker(image).answer(Marks(clicks=(Click(180, 90),)))
    assert overlap(answer.mask > 0, dim) > 0.9
    assert not (answer.mask > 0)[bright].any()


def test_what_one_crop_alone_sees_is_better_than_nothing() -> None:
    image, (disc,) = scene((120, 90, 85))
    answer = maker(image).answer(Marks(clicks=(Click(120, 90),)))
    assert overlap(answer.mask > 0, disc) > 0.9


def test_a_further_click_adds_the_other_thing_and_deletes_nothing() -> None:
    image, (left, right) = scene((60, 90, 30), (180, 90, 30))
    made = maker(image)
    before = made.answer(Marks(clicks=(Click(60, 90),))).mask
    after = made.answer(Marks(clicks=(Click(60, 90), Click(180, 90)))).mask
    assert (after >= before).all()
    assert overlap(after > 0, left | right) > 0.93


def test_a_background_click_takes_away_where_it_is_and_only_there() -> None:
    image, (left, _) = scene((60, 90, 30), (180, 90, 30))
    made = maker(image)
    both = Marks(clicks=(Click(60, 90), Click(180, 90)))
    before = made.answer(both).mask
    after = made.answer(Marks(clicks=(*both.clicks, Click(180, 80, is_object=False)))).mask
    assert (after <= before).all()
    assert after[80, 180] == 0
    assert overlap((after > 0) & left, left) > 0.93


def test_marks_are_exactly_what_they_say_whatever_the_network_sees() -> None:
    image, _ = scene((60, 90, 30))
    strokes = (Stroke(((150, 20), (220, 60))), Stroke(((40, 90), (80, 90)), is_object=False))
    mask = maker(image).answer(Marks(clicks=(Click(60, 70), Click(10, 10)), strokes=strokes)).mask
    assert mask[10, 10] == 1
    assert mask[20, 150] == mask[60, 220] == mask[40, 185] == 1
    assert not mask[90, 40:81].any()


def test_the_same_marks_give_the_same_mask_asked_at_once_or_one_by_one() -> None:
    image, _ = scene((60, 90, 30), (180, 90, 30))
    clicks = (Click(60, 90), Click(180, 100), Click(120, 90, is_object=False), Click(70, 100))
    step_by_step = maker(image)
    for count in range(1, len(clicks)):
        step_by_step.answer(Marks(clicks=clicks[:count]))
    one = step_by_step.answer(Marks(clicks=clicks)).probability
    np.testing.assert_array_equal(one, maker(image).answer(Marks(clicks=clicks)).probability)


def test_a_mask_that_was_there_changes_only_at_the_mark() -> None:
    image, (_, right) = scene((60, 90, 30), (180, 90, 30))
    previous = right.astype(np.float32)
    made = maker(image)
    kept = made.answer(Marks(), previous).mask
    np.testing.assert_array_equal(kept > 0, right)
    added = made.answer(Marks(clicks=(Click(60, 90),)), previous).mask
    assert (added[right] == 1).all()
    assert added[90, 60] == 1


def test_what_hangs_together_with_the_rest_of_a_given_mask_is_not_removed_as_a_whole() -> None:
    """The network sees a bright half of something, and the mark is meant for its corner."""
    image, (disc,) = scene((120, 90, 60))
    image[:, 120:][disc[:, 120:]] //= 2
    bright = disc.copy()
    bright[:, 120:] = False
    corner = Click(75, 60, is_object=False)
    mask = maker(image).answer(Marks(clicks=(corner,)), disc.astype(np.float32)).mask > 0
    assert not mask[60, 75]
    assert np.count_nonzero(mask & bright) > 0.5 * np.count_nonzero(bright)


def test_a_box_of_which_half_stays_empty_is_unsure() -> None:
    """The network is sure of the half that it sees, but a box is drawn around the whole object."""
    image, _ = scene((60, 90, 30))
    sure = maker(image).answer(Marks(box=(25, 55, 76, 76)))
    half = maker(image).answer(Marks(box=(25, 55, 130, 76)))
    assert sure.confidence > 0.8
    assert half.confidence < 0.5
    assert "leaves a part of the box empty" in half.advice


def test_away_from_the_mark_a_mask_that_was_there_stays_to_the_bit_small_pieces_too() -> None:
    image, (disc,) = scene((900, 500, 300), height=1080, width=1920)
    previous = disc.astype(np.float32)
    previous[100:106, 1700:1706] = 1
    previous[:, 850] = 0  # thinner than a pixel of the working size
    after = maker(image).answer(Marks(clicks=(Click(300, 900),)), previous).mask
    far = np.hypot(*np.meshgrid(np.arange(1920) - 300, np.arange(1080) - 900)) > 300
    np.testing.assert_array_equal(after[far] > 0, previous[far] > 0)
    assert after[900, 300] == 1


def test_subjects_come_largest_first_and_apart() -> None:
    image, (small, large) = scene((50, 90, 20), (170, 90, 45))
    subjects = maker(image).subjects()
    assert len(subjects) == 2
    assert overlap(subjects[0].mask > 0, large) > 0.9
    assert overlap(subjects[1].mask > 0, small) > 0.9


def test_nothing_stands_out_in_a_flat_picture() -> None:
    flat = np.zeros((90, 120, 3), np.uint8)
    assert maker(flat).subjects() == []
    answer = maker(flat).answer(Marks(box=(20, 20, 40, 40)))
    assert answer.confidence < 0.5
    assert answer.advice == "nothing stands out in the box: mark the object too"


def test_a_click_on_nothing_asks_for_a_box() -> None:
    """Its mask is hardly more than the click itself; what is missing is all of it."""
    image, _ = scene((60, 90, 30))
    answer = maker(image).answer(Marks(clicks=(Click(200, 30),)))
    assert answer.mask.any()
    assert answer.confidence < 0.02
    assert answer.advice == "nothing stands out there: draw a box around the whole object"


def test_a_picture_too_small_to_be_judged_is_not_left_without_advice() -> None:
    answer = maker(np.full((7, 7, 3), 90, np.uint8)).answer(Marks(clicks=(Click(3, 3),)))
    assert "nothing tells how good it is" in answer.advice


def test_a_first_click_needs_the_networks_finest_stage_nowhere() -> None:
    image, _ = scene((60, 90, 20), (180, 90, 30))
    network = Bright()
    LearnedFirstMask(image, cast(SalientNetwork, network)).answer(Marks(clicks=(Click(60, 90),)))
    assert (network.asked, network.roughly) == (4, 4)


def test_a_further_click_on_the_same_picture_asks_the_network_at_most_twice() -> None:
    image, _ = scene((60, 90, 30), (180, 90, 30))
    network = Bright()
    made = LearnedFirstMask(image, cast(SalientNetwork, network))
    made.answer(Marks(clicks=(Click(60, 90),)))
    before = network.asked
    made.answer(Marks(clicks=(Click(60, 90), Click(180, 90))))
    assert network.asked - before <= 2
    made.answer(Marks(clicks=(Click(60, 90), Click(180, 90))))
    assert network.asked - before <= 2


@pytest.mark.parametrize(
    "marks",
    [
        Marks(),
        Marks(clicks=(Click(5, 5, is_object=False),)),
        Marks(clicks=(Click(240, 5),)),
        Marks(clicks=(Click(0, -1),)),
        Marks(box=(0, 0, 241, 10)),
        Marks(box=(10, 10, 1, 5)),
        Marks(strokes=(Stroke(()),)),
        Marks(box=(10, 10, 20, 20), clicks=(Click(50, 50),)),
    ],
    ids=[
        "nothing",
        "background only",
        "right of it",
        "above it",
        "too wide",
        "too narrow",
        "no points",
        "outside the box",
    ],
)
def test_marks_that_say_nothing_or_lie_outside_are_refused(marks: Marks) -> None:
    image, _ = scene((60, 90, 30))
    with pytest.raises(UsageError):
        maker(image).answer(marks)


def test_a_large_picture_is_cut_along_its_own_edges() -> None:
    image, (disc,) = scene((900, 500, 300), height=1080, width=1920)
    answer = maker(image).answer(Marks(clicks=(Click(900, 500),)))
    assert answer.probability.shape == (1080, 1920)
    wrong = np.count_nonzero((answer.mask > 0) ^ disc)
    assert wrong < 0.02 * np.count_nonzero(disc)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    marks=st.lists(
        st.tuples(st.integers(0, 159), st.integers(0, 119), st.booleans()),
        min_size=1,
        max_size=12,
        unique_by=lambda one: one[:2],
    )
)
def test_every_mark_has_its_way_however_many_there_are(marks: list[tuple[int, int, bool]]) -> None:
    image, _ = scene((60, 60, 25), (120, 60, 20), height=120, width=160)
    clicks = tuple(Click(*one) for one in marks)
    if not any(click.is_object for click in clicks):
        clicks = (*clicks, Click(60, 60))
    apart = [
        one
        for one in clicks
        if all(max(abs(one.x - two.x), abs(one.y - two.y)) > 6 for two in clicks if two is not one)
    ]
    mask = maker(image).answer(Marks(clicks=clicks)).mask
    for click in apart:
        assert mask[click.y, click.x] == click.is_object


@given(
    fg=st.lists(
        st.tuples(st.integers(0, 239), st.integers(0, 179)), min_size=1, max_size=4, unique=True
    ),
    near=st.lists(
        st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=4, unique=True
    ),
    strokes=st.booleans(),
)
def test_marks_of_both_kinds_side_by_side_each_have_their_pixel(
    fg: list[tuple[int, int]], near: list[tuple[int, int]], *, strokes: bool
) -> None:
    bg = {(min(max(fg[0][0] + x, 0), 239), min(max(fg[0][1] + y, 0), 179)) for x, y in near} - set(
        fg
    )
    clicks = tuple(Click(*one) for one in fg) + tuple(Click(*one, is_object=False) for one in bg)
    lines = (Stroke((fg[0], (120, 90)), is_object=False),) if strokes else ()
    said = Marks(clicks=clicks, strokes=lines).labels((180, 240))
    assert all(said[y, x] == 1 for x, y in fg)
    assert all(said[y, x] == -1 for x, y in bg)


def test_an_object_mark_beside_a_background_mark_is_heard_at_every_size() -> None:
    image, _ = scene((700, 400, 200), height=900, width=1400)  # worked on at half the size
    for clicks in (
        (Click(700, 400), Click(704, 400, is_object=False)),
        (Click(704, 400, is_object=False), Click(700, 400)),
    ):
        mask = maker(image).answer(Marks(clicks=clicks)).mask
        assert (mask[400, 700], mask[400, 704]) == (1, 0)


def test_a_point_is_not_both() -> None:
    image, _ = scene((60, 60, 25))
    with pytest.raises(UsageError, match="both"):
        maker(image).answer(Marks(clicks=(Click(60, 60), Click(60, 60, is_object=False))))


@pytest.mark.parametrize(
    "background",
    [
        ((50, 60), (70, 60), (60, 70)),
        ((60, 70), (70, 60), (50, 60)),
        ((50, 60), (70, 60), (70, 60), (60, 70)),
    ],
    ids=["the same", "from its other end", "a point twice"],
)
def test_a_stroke_is_not_both(background: tuple[tuple[int, int], ...]) -> None:
    image, _ = scene((60, 60, 25))
    strokes = (Stroke(((50, 60), (70, 60), (60, 70))), Stroke(background, is_object=False))
    with pytest.raises(UsageError, match=r"the stroke from .* is marked both"):
        maker(image).answer(Marks(strokes=strokes))
    # strokes that cross, and a click on one, say something
    crossing = Stroke(((60, 55), (60, 65)), is_object=False)
    click = Click(70, 60, is_object=False)
    assert maker(image).answer(Marks(clicks=(click,), strokes=(strokes[0], crossing))).mask.any()


def test_a_correction_reaches_what_looks_alike_near_by_and_ends_at_an_edge() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, 50:] = 200
    odds = np.full((100, 100), -3, np.float32)
    features = FeatureMap(Crop(0, 0, 100, 100), [], image)
    found = corrected(odds, [Click(30, 50)], features, scale_px=60)
    assert found[50, 30] == pytest.approx(MARGIN, abs=0.5)
    assert found[50, 36] > 1.5
    assert found[50, 60] < 0
    assert found[5, 95] == pytest.approx(-3, abs=0.2)


def test_a_background_mark_on_a_second_thing_takes_all_of_it_away_and_nothing_of_the_first() -> (
    None
):
    image, (left, right) = scene((70, 90, 30), (160, 90, 34))
    both = (left | right).astype(np.float32)
    both[88:92, 115:128] = 1  # a scrap beside the second that nobody sees: it goes with it
    mask = maker(image).answer(Marks(clicks=(Click(172, 100, is_object=False),)), both).mask > 0
    assert not mask[:, 110:].any()
    assert overlap(mask[:, :105], left[:, :105]) > 0.9


def test_a_background_mark_takes_no_object_away_that_was_marked() -> None:
    image, (disc,) = scene((120, 90, 40))
    mask = (
        maker(image).answer(Marks(clicks=(Click(120, 90), Click(140, 100, is_object=False)))).mask
        > 0
    )
    assert mask[90, 120]
    assert not mask[100, 140]
    assert np.count_nonzero(mask & disc) > 0.3 * np.count_nonzero(disc)


def test_witnesses_that_mean_something_else_are_not_mixed_in() -> None:
    dog, both = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    dog[10:30, 30:50] = True
    both[10:30, 5:50] = True
    smaller = dog.copy()
    smaller[10:14] = False
    maps = [Candidate(both, 0.5), Candidate(dog, 0.4), None, Candidate(smaller, 0.35)]
    assert agreeing(maps) == [None, maps[1], None, maps[3]]
    assert agreeing([None, None]) == [None, None]


def test_what_is_just_at_one_half_far_from_the_mask_gives_no_flecks_at_full_size() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1000, 1400, 3), np.uint8)
    made = LearnedFirstMask(image, cast(SalientNetwork, Bright()))
    mask = np.zeros(made._image.shape[:2], bool)
    mask[100:200, 100:200] = True
    half = np.zeros(mask.shape, np.float32)
    state = State(half, half, mask, Crop(0, 0, 300, 300), 100.0)
    found = upscaled(made._probability_of(state), made._image, made._full) > 0.5
    scale = 1000 / mask.shape[0]
    outside, inside = np.ones(found.shape, bool), np.zeros(found.shape, bool)
    outside[int(90 * scale) : int(210 * scale), int(90 * scale) : int(210 * scale)] = False
    inside[int(110 * scale) : int(190 * scale), int(110 * scale) : int(190 * scale)] = True
    assert not (found & outside).any()
    assert found[inside].all()


def test_a_map_of_a_small_picture_takes_the_large_ones_edges() -> None:
    full = np.zeros((400, 400, 3), np.uint8)
    full[:, 203:] = 255
    small = shrunk(full, 10_000)
    assert small.shape == (100, 100, 3)
    rough = cv2.GaussianBlur((small[..., 0] > 127).astype(np.float32), (0, 0), 1)
    found = upscaled(rough, small, full)
    assert (found[:, 204:] > 0.5).all()
    assert (found[:, :202] < 0.5).all()


def test_without_a_network_a_box_and_clicks_still_give_a_mask() -> None:
    image, (left, right) = scene((60, 90, 30), (180, 90, 30))
    made = open_first_mask(image, network=None)
    assert overlap(made.answer(Marks(box=(25, 55, 70, 70))).mask > 0, left) > 0.9
    assert overlap(made.answer(Marks(clicks=(Click(180, 90),))).mask > 0, right) > 0.9
    assert made.subjects() == []


@pytest.mark.skipif(not NETWORK.is_file(), reason=f"no {NETWORK}")
def test_the_real_network_says_the_same_with_and_without_its_layers() -> None:
    image, _ = scene((120, 90, 40))
    network = SalientNetwork(NETWORK)
    found = network.rough(image, size=128)
    again, layers = network.describe(image, size=128)
    np.testing.assert_allclose(found, again, atol=1e-5)
    assert [layer.shape for layer in layers] == [(64, 64, 64), (64, 32, 32), (64, 16, 16)]
    third, more = network.describe(image, size=128, deeper=True)
    np.testing.assert_allclose(found, third, atol=1e-5)
    assert [layer.shape[1] for layer in more] == [64, 32, 16, 64, 32, 8]
    for one, same in zip(layers, more, strict=False):
        np.testing.assert_allclose(one, same, atol=1e-4)
    assert network.layered
    assert found.shape == (180, 240)
    assert found[90, 120] > 0.5 > found[5, 5]


@pytest.mark.skipif(not NETWORK.is_file(), reason=f"no {NETWORK}")
def test_the_rough_map_is_the_networks_own_output_of_that_stage() -> None:
    image, _ = scene((100, 80, 40))
    network = SalientNetwork(NETWORK)
    own = network._forward(image, 128, ["1961"])[0][0, 0]
    np.testing.assert_allclose(
        network.rough(image, size=128), cv2.resize(own, (240, 180)), atol=1e-4
    )
    assert (
        overlap(network.rough(image, size=128) > 0.5, network.probability(image, size=128) > 0.5)
        > 0.9
    )


@pytest.mark.skipif(not NETWORK.is_file(), reason=f"no {NETWORK}")
def test_the_real_network_is_read_from_a_folder_with_a_chinese_name(tmp_path: Path) -> None:
    place = tmp_path / "模型" / NETWORK_FILE
    place.parent.mkdir()
    place.write_bytes(NETWORK.read_bytes())
    assert SalientNetwork(place).probability(np.zeros((40, 50, 3), np.uint8), size=64).shape == (
        40,
        50,
    )
