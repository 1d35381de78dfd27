"""What every detector of the registry keeps to, whatever it is made of."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from support import tiny_detectors
from support.tiny_detectors import picture
from support.tiny_onnx import tiny_network

from vfx_matte.detect.base import Detection, Detector
from vfx_matte.detect.registry import REGISTRY, DetectorEntry, open_detector, registered

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)

SHAPES = {
    "landscape": (70, 101),
    "portrait": (131, 57),
    "odd": (33, 35),
    "square": (64, 64),
    "large": (300, 420),
    "one pixel": (1, 1),
    "row": (1, 120),
    "column": (120, 1),
}


class Opened(NamedTuple):
    entry: DetectorEntry
    detector: Detector


def tiny_weights(entry: DetectorEntry, folder: Path) -> Path:
    """Weights for an entry; a new entry without any fails here."""
    if entry.name == "salient":
        path = folder / entry.weights
        path.write_bytes(tiny_network())
        return path
    return tiny_detectors.make(entry.name, folder / entry.weights)


@pytest.fixture(scope="module", params=[entry.name for entry in REGISTRY])
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    entry = registered(request.param)
    needed = (*entry.packages, entry.implementation.partition(":")[0])
    if lacking := [name for name in needed if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{' and '.join(lacking)} is not installed")
    with pytest.MonkeyPatch.context() as patch:
        if entry.name == "mask-rcnn":
            tiny_detectors.narrow_mask_rcnn(patch.setattr)
        weights = tiny_weights(entry, tmp_path_factory.mktemp("模型"))
        yield Opened(entry, open_detector(entry, weights=weights, device="cpu"))


def check(found: list[Detection], shape: tuple[int, int], classes: tuple[str, ...]) -> None:
    for one in found:
        assert one.mask.dtype == np.bool_
        assert one.mask.shape == shape
        assert one.mask.any()
        assert type(one.score) is float
        assert 0 <= one.score <= 1
        assert one.class_name in (classes or ("subject",))
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_detections_are_whole_sorted_and_the_same_again(
    opened: Opened, shape: tuple[int, int]
) -> None:
    image = picture(*shape)
    before = image.copy()
    found = opened.detector.detect(image)
    check(found, shape, opened.detector.classes)
    np.testing.assert_array_equal(image, before)
    again = opened.detector.detect(image)
    assert [(one.class_name, one.score) for one in again] == [
        (one.class_name, one.score) for one in found
    ]
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_picture_is_a_picture(opened: Opened, value: int) -> None:
    image = np.full((48, 80, 3), value, np.uint8)
    check(opened.detector.detect(image), (48, 80), opened.detector.classes)


def test_pictures_with_strides_of_their_own(opened: Opened) -> None:
    large = picture(80, 120)
    view = large[10:70, ::-1][:, 4:100]
    found = opened.detector.detect(view)
    expected = opened.detector.detect(np.ascontiguousarray(view))
    assert [one.score for one in found] == [one.score for one in expected]


def test_it_looks_at_the_picture(opened: Opened) -> None:
    """Two pictures give two answers, so that the checks above are not those of a constant."""
    one, other = (
        [(found.score, int(found.mask.sum())) for found in opened.detector.detect(image)]
        for image in (picture(70, 101, seed=1), 255 - picture(70, 101, seed=8))
    )
    assert one != other
    assert one or other


def test_classes_are_names_each_once(opened: Opened) -> None:
    classes = opened.detector.classes
    assert len(set(classes)) == len(classes)
    assert all(name and name != "N/A" for name in classes)


def test_entries_differ_and_say_what_they_need() -> None:
    for key in ("name", "title", "weights", "implementation"):
        values = [getattr(entry, key) for entry in REGISTRY]
        assert len(set(values)) == len(values), key
    for entry in REGISTRY:
        sizes = list(entry.backbones.values())
        assert len(set(sizes)) == len(sizes)
        assert not sizes or entry.weights in sizes
    preferences = [entry.preference for entry in REGISTRY]
    assert len(set(preferences)) == len(preferences)
    assert all(bool(entry.extra) == bool(entry.packages) for entry in REGISTRY)
