"""Records of reviews: what is allowed, what is refused, and what a suggestion says, without the
command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfx_matte.errors import QualityError, UsageError
from vfx_matte.pipeline.review.evaluate import Comparison, protocol_of
from vfx_matte.pipeline.review.findings import Allowed, FrameMeasures, QcResult, require_allowed
from vfx_matte.pipeline.review.mask_pairs import first_of, spans
from vfx_matte.pipeline.review.worst_frame import worst_region


def found(flagged: int, *, frames: int = 50) -> QcResult:
    """A check in which so many frames stand out."""
    facts: dict[str, Any] = {"cuts": (), "shots_without_mask": (), "references": (0,)}
    return QcResult(
        clip=Path("clip.mp4"),
        frames=frames,
        flagged=tuple(range(flagged)),
        problems=(),
        fix_next=None,
        limits={},
        report=Path("qc.html"),
        sheet=None,
        measures=FrameMeasures({}, {}, {}),
        **facts,
    )


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("0", Allowed(0, percent=False)),
        (" 12 ", Allowed(12, percent=False)),
        ("2%", Allowed(2, percent=True)),
        ("2.5 %", Allowed(2.5, percent=True)),
    ],
)
def test_a_limit_is_a_count_or_a_share(text: str, allowed: Allowed) -> None:
    assert Allowed.parse(text) == allowed


@pytest.mark.parametrize("text", ["", "%", "many", "-1", "2.5", "nan", "inf%", "-3%"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number of frames"):
        Allowed.parse(text)


@pytest.mark.parametrize(
    ("text", "most"), [("0", 0), ("3", 3), ("0%", 0), ("10%", 5), ("9.9%", 4), ("100%", 50)]
)
def test_as_many_frames_as_allowed_pass_and_one_more_does_not(text: str, most: int) -> None:
    allowed = Allowed.parse(text)
    require_allowed(found(most), allowed)
    if most < 50:
        with pytest.raises(QualityError, match=f"{most + 1} of 50 frames stand out") as caught:
            require_allowed(found(most + 1), allowed)
        assert "qc.html" in caught.value.hint


def test_a_share_is_of_the_frames_that_have_a_mask() -> None:
    assert found(5, frames=50).allows(Allowed.parse("10%"))
    assert not found(5, frames=49).allows(Allowed.parse("10%"))


def test_void_is_a_value_of_a_picture_that_is_not_the_background() -> None:
    for value in (1, 255):
        assert Comparison(void=value).void == value
    for value in (0, 256, -1):
        with pytest.raises(UsageError, match=f"void value {value} is not in 1 to 255"):
            Comparison(void=value)


def test_a_protocol_that_is_none_is_refused() -> None:
    assert [protocol_of(name) for name in ("all", "davis")] == ["all", "davis"]
    with pytest.raises(UsageError, match="unknown protocol 'davs'"):
        protocol_of("davs")


def test_frames_are_listed_as_ranges_and_long_lists_are_cut() -> None:
    assert spans([0, 1, 2, 5, 7, 8]) == "0 to 2, 5, 7 to 8"
    assert first_of([1, 2, 3], most=3) == "1, 2, 3"
    assert first_of([1, 2, 3, 4], most=3) == "1, 2, 3 and 1 more"


@pytest.mark.parametrize(("row", "column"), [(0, 0), (500, 900), (1079, 1919), (3, 1900)])
def test_the_worst_region_holds_the_error_and_lies_in_the_picture(row: int, column: int) -> None:
    error = np.zeros((1080, 1920), np.float32)
    error[row, column] = 1
    rows, columns = worst_region(error)
    assert 0 <= rows.start <= row < rows.stop <= 1080
    assert 0 <= columns.start <= column < columns.stop <= 1920
    assert (columns.stop - columns.start, rows.stop - rows.start) == (160, 90)


def test_of_two_errors_the_larger_one_is_shown_and_a_small_picture_whole() -> None:
    error = np.zeros((540, 960), np.float32)
    error[100:110, 100:110], error[400:410, 800:810] = 0.4, 0.5
    rows, columns = worst_region(error)
    assert rows.start <= 400 < rows.stop
    assert columns.start <= 800 < columns.stop
    small = worst_region(np.ones((30, 40), np.float32))
    assert (small[1].start, small[1].stop) == (0, 40)
    assert 0 <= small[0].start < small[0].stop <= 30
