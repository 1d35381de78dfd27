"""The scripted detector that other tests rely on does what its script says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.drifting_squares import draw
from support.scripted_detector import Script, register

from vfx_matte.detect.base import Detector
from vfx_matte.detect.registry import open_detector, registered


@pytest.fixture
def script() -> Script:
    return Script.of_clip([draw(index) for index in range(12)], {1: "dog", 2: "person"})


@pytest.fixture
def detector(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detector:
    entry = register(script, tmp_path, monkeypatch)
    assert registered("scripted") is entry
    return open_detector(entry, weights=tmp_path / "model" / entry.weights, device="cpu")


def seen(detector: Detector, index: int) -> list[tuple[str, int]]:
    return [(one.class_name, int(one.mask.sum())) for one in detector.detect(draw(index)[0])]


def test_it_finds_the_truth_of_the_frame_it_is_shown(detector: Detector, script: Script) -> None:
    for index in (7, 0, 3):
        image, mask = draw(index)
        found = detector.detect(image)
        assert [one.class_name for one in found] == ["dog", "person"]
        for number, one in enumerate(found, start=1):
            np.testing.assert_array_equal(one.mask, mask == number)
    assert script.asked == [7, 0, 3]
    assert detector.classes == ("dog", "person")


def test_a_compressed_and_scaled_picture_is_recognised(detector: Detector, script: Script) -> None:
    image, mask = draw(5)
    _, packed = cv2.imencode(".jpg", cv2.resize(image, (128, 96)), [cv2.IMWRITE_JPEG_QUALITY, 40])
    found = detector.detect(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    assert script.asked == [5]
    assert found[0].mask.shape == (96, 128)
    assert found[0].mask.sum() == 4 * (mask == 1).sum()


def test_a_picture_of_another_clip_is_a_mistake_of_the_test(detector: Detector) -> None:
    with pytest.raises(AssertionError, match="in no frame"):
        detector.detect(np.full((48, 64, 3), 250, np.uint8))


def test_it_errs_where_it_is_told_to(detector: Detector, script: Script) -> None:
    script.miss(2, frames=[0]).flip(1, frames=[1], class_name="cat").split(1, frames=[2])
    script.invent(frames=[3], class_name="dog", score=0.95).double(1, frames=[4]).nothing(
        frames=[6]
    )
    script.grow(1, frames=[7], margin_px=20).doubt(1, frames=[8], score=0.3)
    assert seen(detector, 0) == [("dog", 196)]
    assert seen(detector, 1) == [("cat", 196), ("person", 196)]
    assert seen(detector, 2) == [("dog", 98), ("dog", 98), ("person", 196)]
    assert seen(detector, 3) == [("dog", 12 * 16), ("dog", 196), ("person", 196)]
    assert seen(detector, 4) == [("dog", 196), ("person", 196), ("dog", 196)]
    assert seen(detector, 5) == [("dog", 196), ("person", 196)]
    assert seen(detector, 6) == []
    one, other = detector.detect(draw(7)[0])
    assert np.count_nonzero(one.mask & other.mask) > 50
    assert [name for name, _ in seen(detector, 8)] == ["person", "dog"]
    assert detector.classes == ("cat", "dog", "person")


def test_a_crowd_covers_the_picture_once(detector: Detector, script: Script) -> None:
    script.nothing(frames=[9]).crowd(300, frames=[9])
    found = detector.detect(draw(9)[0])
    assert len(found) == 300
    assert (np.sum([one.mask for one in found], axis=0) <= 1).all()
    assert all(one.mask.any() and 0.5 < one.score < 0.8 for one in found)
