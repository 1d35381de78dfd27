from __future__ import annotations

import cv2
import numpy as np
import pytest

from vfx_matte.scene import Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(width=256, height=144, frame_count=60, seed=7)


def test_shapes_types_and_ranges(scene: Scene) -> None:
    for index in (0, 20, 59):
        image, alpha = scene.frame(index)
        assert (image.shape, image.dtype) == ((144, 256, 3), np.uint8)
        assert (alpha.shape, alpha.dtype) == ((144, 256), np.float32)
        assert 0 == alpha.min() < alpha.max() <= 1
        assert np.array_equal(scene.truth_mask(index), (alpha >= 0.5).astype(np.uint8))
    for index in (-1, 60):
        with pytest.raises(IndexError, match=str(index)):
            scene.frame(index)


@pytest.mark.slow
def test_equal_arguments_give_equal_clips_in_any_order_and_other_seeds_others(scene: Scene) -> None:
    again = Scene(width=256, height=144, frame_count=60, seed=7)
    for index in (33, 2):
        assert np.array_equal(again.frame(index)[0], scene.frame(index)[0])
    assert again.timeline == scene.timeline
    assert np.array_equal(again.sound(), scene.sound())
    other = Scene(width=256, height=144, frame_count=60, seed=8)
    assert other.timeline != scene.timeline
    assert not np.array_equal(other.frame(2)[0], scene.frame(2)[0])


def test_the_rate_is_variable_as_a_phone_makes_it(scene: Scene) -> None:
    timeline = scene.timeline
    assert len(timeline) == 60
    assert timeline.start == 0
    assert not timeline.is_constant_rate
    kinds = {round(float(1 / (ticks * timeline.time_base))) for ticks in timeline.intervals}
    assert {30, 24, 15} <= kinds
    assert len(timeline.interval_histogram()) > 20, "no jitter"
    assert timeline.intervals == timeline.durations[:-1]


def test_the_creature_has_a_soft_edge_and_stays_in_the_picture(scene: Scene) -> None:
    for index in range(60):
        _, alpha = scene.frame(index)
        soft, solid = ((alpha > 0.05) & (alpha < 0.95)).sum(), (alpha >= 0.95).sum()
        assert solid > 0.03 * alpha.size
        assert soft > 0.15 * solid
        edge = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert edge.max() == 0


def test_picture_is_the_creature_over_the_landscape_by_its_true_alpha() -> None:
    """Where alpha is 0, the picture is the landscape; the landscape moves with the camera, the
    creature does not.
    """
    scene = Scene(width=256, height=144, frame_count=8)
    first, later = scene.frame(0), scene.frame(5)
    rows = slice(125, 144)  # the near meadow, below the creature
    pan = cv2.phaseCorrelate(
        *(
            cv2.cvtColor(image[rows], cv2.COLOR_RGB2GRAY).astype(np.float32)
            for image, _ in (first, later)
        )
    )
    assert pan[0][0] < -2, "the camera does not pan"
    inside = cv2.erode(later[1], np.ones((5, 5))) == 1
    red, green, blue = (float(later[0][..., channel][inside].mean()) for channel in range(3))
    assert red > 1.3 * green > 1.3 * blue, "what alpha marks as opaque is not the orange creature"
    outside = later[1] == 0
    meadow = outside & (np.arange(144)[:, None] > 100)
    assert later[0][meadow][:, 1].mean() > later[0][meadow][:, 0].mean() * 0.95, (
        "what alpha leaves out is not the meadow"
    )


def test_fast_flight_is_blurred_and_a_crouch_is_sharp(scene: Scene) -> None:
    def softness(index: int) -> float:
        _, alpha = scene.frame(index)
        return float(((alpha > 0.05) & (alpha < 0.95)).sum() / (alpha >= 0.95).sum())

    landing = scene.landings[0]
    assert softness(landing - 1) > 1.3 * softness(landing + 3)


def test_sensor_noise_is_there_is_small_and_differs_from_frame_to_frame() -> None:
    scene = Scene(width=256, height=144, frame_count=2)
    noise = []
    for index in (0, 1):
        image, alpha = scene.frame(index)
        noise.append(
            (image - scene._landscape_at(scene._exposures(index)))[alpha.max(axis=1) == 0][:20]
        )
        assert 0.8 < noise[-1].std() < 4
        assert abs(noise[-1].mean()) < 0.3
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] < 0.3


def lowest_row(scene: Scene, index: int) -> int:
    return int(np.nonzero(scene.truth_mask(index).any(axis=1))[0][-1])


def test_the_creature_touches_the_ground_exactly_at_its_landings(scene: Scene) -> None:
    assert len(scene.landings) >= 2
    ground = lowest_row(scene, 0)
    for landing in scene.landings:
        assert lowest_row(scene, landing - 1) < ground - 1, "on the ground too early"
        assert abs(lowest_row(scene, landing) - ground) <= 2, (
            "not on the ground when the note sounds"
        )


@pytest.mark.parametrize("rate", [48000, 44100])
def test_sound_lasts_as_long_as_the_clip_and_a_note_begins_at_each_landing(
    scene: Scene, rate: int
) -> None:
    sound = scene.sound(rate)
    assert sound.dtype == np.float32
    assert sound.shape == (2, round(scene.timeline.end * rate))
    assert np.abs(sound).max() <= 1
    jumps = np.abs(np.diff(sound.sum(axis=0)))
    onsets = [
        int(np.argmax(jumps * (np.abs(np.arange(len(jumps)) - at) < rate // 10))) + 1
        for at in landing_samples(scene, rate)
    ]
    assert onsets == landing_samples(scene, rate)
    assert jumps[: onsets[0] - 1].max() < 0.2 * jumps[onsets[0] - 1], (
        "something else sounds before the first landing"
    )


def landing_samples(scene: Scene, rate: int) -> list[int]:
    return [round(scene.timeline[index].start * rate) for index in scene.landings]


@pytest.mark.parametrize(("width", "height"), [(64, 64), (90, 160), (127, 71)])
def test_any_size_and_a_long_clip(width: int, height: int) -> None:
    scene = Scene(width=width, height=height, frame_count=2000)
    for index in (0, 777, 1999):
        image, alpha = scene.frame(index)
        assert image.shape == (height, width, 3)
        assert alpha.max() > 0.99
    assert scene.sound(8000).shape[1] == round(scene.timeline.end * 8000)


def test_bad_arguments_are_named() -> None:
    for arguments, message in (
        ({"width": 10}, "10 × 360"),
        ({"frame_count": 0}, "frame_count 0"),
        ({"seed": -1}, "seed -1"),
    ):
        with pytest.raises(ValueError, match=message):
            Scene(**arguments)
