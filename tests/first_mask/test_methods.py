"""The registry of methods for first masks: what is in it, and that nothing else knows a method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vfx_matte.first_mask import METHODS, Answer, FirstMask, FirstMaskMethod, Marks, choose_method
from vfx_matte.first_mask.methods import Conditions
from vfx_matte.masks import Image
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.first_mask import Click, MaskRequest, first_mask
from vfx_matte.pipeline.progress import SilentReporter


class Quarter:
    """Takes the upper left quarter of every picture for the object."""

    def __init__(self, image: Image) -> None:
        self.height, self.width = image.shape[:2]

    def answer(self, marks: Marks, previous: object = None) -> Answer:  # noqa: ARG002
        probability = np.zeros((self.height, self.width), np.float32)
        probability[: self.height // 2, : self.width // 2] = 1
        return Answer(probability, 0.75)

    def subjects(self) -> list[Answer]:
        return [self.answer(Marks())]


QUARTER = FirstMaskMethod(
    title="the upper left quarter",
    needs="",
    finds_subjects=True,
    fits=lambda conditions: not conditions.is_part,
    open=lambda image, _: Quarter(image),
)


@pytest.fixture
def with_quarter() -> Iterator[None]:
    METHODS.insert(0, QUARTER)
    yield
    METHODS.remove(QUARTER)


@pytest.mark.usefixtures("with_quarter")
@pytest.mark.parametrize(
    "request_", [MaskRequest(marks=Marks(clicks=(Click(5, 5),))), MaskRequest(auto=True)]
)
def test_a_method_is_added_by_one_file_and_one_entry(
    make_clip: Callable[..., Path], request_: MaskRequest
) -> None:
    clip = make_clip("clip.mp4", pts=tuple(range(0, 3 * 512, 512)), time_base=Fraction(1, 15360))
    reporter = SilentReporter()
    found = first_mask(
        open_source(clip, reporter=reporter), request_, network=None, reporter=reporter
    )
    height, width = found.mask.shape
    expected = np.zeros((height, width), np.uint8)
    expected[: height // 2, : width // 2] = 1
    np.testing.assert_array_equal(found.mask, expected)
    assert [(one.object_id, one.confidence) for one in found.objects] == [(1, 0.75)]


def test_the_first_entry_that_fits_is_used() -> None:
    assert choose_method(network=None) is METHODS[-1]
    assert choose_method(network=None, is_part=True) is METHODS[-1]


def test_every_entry_says_what_it_is() -> None:
    titles = [method.title for method in METHODS]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    assert not METHODS[-1].needs, "the last one can always be used"
    docs = (Path(__file__).parents[2] / "docs" / "first_mask.md").read_text(encoding="utf-8")
    assert f"Methods, best first: {'; '.join(titles)}." in docs


def test_every_method_that_needs_nothing_opens() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:30, 20:40] = 200
    method: FirstMask = choose_method(network=None).open(image, Conditions(network=None))
    assert method.answer(Marks(box=(15, 5, 30, 30))).mask.any()
    assert bool(method.subjects()) == METHODS[-1].finds_subjects
