"""What stands out as a detector: the picture and its mirror image have the same say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.tiny_onnx import tiny_network

from vfx_matte.detect.base import Detector
from vfx_matte.detect.registry import SALIENT, open_detector
from vfx_matte.first_mask.subjects import _averaged
from vfx_matte.masks import Image, overlap


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    weights = tmp_path / "tiny.onnx"
    weights.write_bytes(tiny_network())
    return open_detector(SALIENT, weights=weights, device="cpu")


def picture() -> Image:
    image = np.full((90, 160, 3), 20, np.uint8)
    image[20:60, 10:50] = 235
    return image


def test_what_stands_out_is_found_where_it_is(detector: Detector) -> None:
    (found,) = detector.detect(picture())
    truth = np.zeros((90, 160), bool)
    truth[20:60, 10:50] = True
    assert overlap(found.mask, truth) > 0.8
    assert found.class_name == "subject"
    assert 0 < found.score <= 1


def test_a_mirrored_picture_gives_the_mirrored_subject(detector: Detector) -> None:
    (found,) = detector.detect(picture())
    (mirrored,) = detector.detect(np.ascontiguousarray(picture()[:, ::-1]))
    assert overlap(found.mask, mirrored.mask[:, ::-1]) > 0.99
    assert found.score == pytest.approx(mirrored.score, abs=1e-3)


def test_the_same_subject_is_averaged_and_another_one_is_kept() -> None:
    one, same, other = (np.zeros((10, 10), np.float32) for _ in range(3))
    one[:5, :5], same[:5, :4], other[6:, 6:] = 0.9, 0.7, 0.8
    (mean, score), (alone, _) = _averaged([(one, 0.6)], [(other, 0.9), (same, 0.8)])
    assert mean[0, 0] == pytest.approx(0.8)
    assert score == pytest.approx(0.7)
    np.testing.assert_array_equal(alone, other)
