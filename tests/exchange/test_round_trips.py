"""Masks that go from format to format, through all of them, come back as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.annotations.records import AnnotatedClip, FrameName
from vfx_matte.masks import Mask, ObjectLabel, object_ids
from vfx_matte.pipeline.exchange.formats import FORMATS, WRITTEN, read_annotations

# spaces around a name are nobody's name
NAME = (
    st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12)
    .map(str.strip)
    .filter(bool)
)


@dataclass(frozen=True)
class Film:
    """A clip with masks on some of its frames."""

    name: str
    labels: Mapping[int, ObjectLabel]
    masks: Mapping[int, Mask]
    """By frame number."""
    first_number: int


@st.composite
def films(draw: st.DrawFn) -> Film:
    """Odd sizes, ids with gaps, frames with gaps and without objects, names of every script."""
    shape = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    ids = draw(st.lists(st.integers(1, 255), min_size=1, max_size=5, unique=True))
    first = draw(st.sampled_from([0, 1, 7, 1001, 86_400]))
    indices = sorted(draw(st.sets(st.integers(0, 12), min_size=1, max_size=4)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    masks = {}
    for index in indices:
        kind = draw(st.sampled_from(["noise", "empty", "one"]))
        mask = np.zeros(shape, np.uint8)
        if kind == "noise":
            mask = random.choice([0, *ids], shape).astype(np.uint8)
        elif kind == "one":
            mask[:] = ids[-1]
        masks[first + index] = mask
    # a file in which nothing is seen says nothing
    masks[first + indices[0]][0, 0] = ids[0]
    labels = {
        one: ObjectLabel(
            draw(NAME),
            draw(st.one_of(st.sampled_from(["dog", "person", ""]), NAME)),
            draw(st.one_of(st.none(), st.floats(0, 1, allow_subnormal=False))),
        )
        for one in ids
    }
    name = draw(st.sampled_from(["clip", "Übung 2", "a.b", "人"]))
    return Film(name, labels, masks, first)


def written(film: Film, form: str, folder: Path) -> Path:
    shape = next(iter(film.masks.values())).shape
    write, suffix = FORMATS[form].write, FORMATS[form].suffix
    assert write is not None
    path = folder / f"{form}{suffix}"
    with write(path, AnnotatedClip(film.name, shape, film.labels)) as add:
        for number, mask in film.masks.items():
            index = number - film.first_number
            add(FrameName(index, number, f"plate.{number:04d}.png"), mask)
    return path


def read(path: Path, film: Film, form: str | None) -> Film:
    found_form, found = read_annotations(path, name=form, clip_name=film.name)
    assert form in (None, found_form)
    assert found.notices == ()
    return Film(
        film.name,
        found.labels,
        {frame.number: frame.read() for frame in found.frames},
        film.first_number,
    )


def seen(film: Film) -> dict[int, ObjectLabel]:
    ids = {one for mask in film.masks.values() for one in object_ids(mask)}
    return {one: film.labels[one] for one in sorted(ids)}


def assert_equal(found: Film, film: Film, *, scores: bool) -> None:
    assert list(found.masks) == list(film.masks)
    for number, mask in film.masks.items():
        np.testing.assert_array_equal(found.masks[number], mask)
    for object_id, label in seen(film).items():
        other = found.labels[object_id]
        assert (other.name, other.class_name) == (label.name, label.class_name)
        if scores or label.score is not None:
            assert other.score == label.score
    assert set(found.labels) == set(seen(film))


@pytest.mark.slow
@examples(40)
@given(films(), st.permutations(WRITTEN))
def test_masks_go_through_every_format_and_come_back(film: Film, forms: Sequence[str]) -> None:
    with TemporaryDirectory() as name:
        now = film
        for form in forms:
            now = read(written(now, form, Path(name)), now, None)
        # results of YouTube-VIS must have a score
        assert_equal(now, film, scores=False)


@pytest.mark.parametrize("form", WRITTEN)
@settings(max_examples=20)
@given(films())
def test_masks_come_back_from_each_format(form: str, film: Film) -> None:
    with TemporaryDirectory() as name:
        found = read(written(film, form, Path(name)), film, None)
        assert_equal(found, film, scores=form != "youtube-vis-results")
