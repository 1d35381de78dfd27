"""What is kept of a search: as it was, a look at a time."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np

from vfx_matte.detect.base import Detection, Region
from vfx_matte.pipeline.detect.looks import Look, LookLog

SHAPE = (37, 53)


def region(seed: int) -> Region:
    return np.random.default_rng(seed).random(SHAPE) < 0.3


def look(number: int) -> Look:
    found = [Detection("dog", 0.1 + 0.2, region(number)), Detection("猫", 0.5, region(number + 50))]
    carried = {7: region(number)[:9, :11], 3: np.zeros((9, 11), bool)}
    return Look(12 * number, found, number, carried, None if number == 0 else (4, 270))


def filled(folder: Path) -> LookLog:
    log = LookLog(folder, "work")
    assert list(log.earlier()) == []
    for number in range(3):
        log.add(look(number))
    return log


def test_looks_come_back_as_they_were(tmp_path: Path) -> None:
    filled(tmp_path).finish()
    log = LookLog(tmp_path, "work")
    for number, kept in enumerate(log.earlier()):
        made = look(number)
        assert (kept.frame, kept.passed_over, kept.opened) == (
            made.frame, made.passed_over, made.opened,
        )  # fmt: skip
        assert list(kept.carried) == list(made.carried)
        for name, part in made.carried.items():
            np.testing.assert_array_equal(kept.carried[name], part)
        for ours, theirs in zip(kept.found, made.found, strict=True):
            assert (ours.class_name, ours.score) == (theirs.class_name, theirs.score)
            np.testing.assert_array_equal(ours.mask, theirs.mask)
    assert log.is_finished


def test_a_search_that_was_stopped_is_not_finished(tmp_path: Path) -> None:
    filled(tmp_path)
    log = LookLog(tmp_path, "work")
    assert len(list(log.earlier())) == 3
    assert not log.is_finished


def test_looks_of_another_search_go(tmp_path: Path) -> None:
    filled(tmp_path).finish()
    log = LookLog(tmp_path, "other work")
    assert list(log.earlier()) == []
    assert not log.is_finished
    assert not list(tmp_path.glob("*.state"))


def test_only_one_look_is_in_memory(tmp_path: Path) -> None:
    log = LookLog(tmp_path, "work")
    list(log.earlier())
    made = look(0)
    held = weakref.ref(made.found[0].mask)
    log.add(made)
    del made
    assert held() is None
    log.add(look(1))
    again = LookLog(tmp_path, "work").earlier()
    first = next(again)
    held = weakref.ref(first.found[0].mask)
    del first
    next(again)
    assert held() is None
