"""`segment --cuts` through the command line, on a film of three shots with a flash and a fast pan;
and its arithmetic.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_line import CommandLine, paint
from support.drifting_squares import Clip, block, masks_of

from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Mask
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.pipeline.segment.cuts import CutOptions, shots, shots_without_mask
from vfx_matte.propagate.driver import propagate
from vfx_matte.propagate.fake import FakePropagator
from vfx_matte.propagate.influence import influenced
from vfx_matte.timeline import Timeline

WIDTH, HEIGHT = 160, 96
FRAMES, FIRST_CUT, SECOND_CUT, FLASH = 48, 16, 34, 24
FAKE = ("--propagator", "fake")
UNEVEN = (1001, 1001, 2002, 501, 1502, 3003)


def scene(index: int) -> Image:
    """Frame `index`: a still shot, one that pans fast with a flash in it, and another still one."""
    number = (index >= FIRST_CUT) + (index >= SECOND_CUT)
    coarse = np.random.default_rng(number).integers(20, 236, (7, 40, 3)).astype(np.uint8)
    wide = cv2.resize(coarse, (WIDTH * 6, HEIGHT), interpolation=cv2.INTER_CUBIC)
    left = 8 * (index - FIRST_CUT) if number == 1 else 0
    image = np.ascontiguousarray(wide[:, left : left + WIDTH])
    return np.full_like(image, 245) if index == FLASH else image


ONE, OTHER = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
ONE[20:50, 30:70] = 1
OTHER[50:80, 90:130] = 1


@pytest.fixture(scope="module")
def film_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film at variable rate; its first frame is shown a second after zero."""
    ticks = list(itertools.islice(itertools.cycle(UNEVEN), FRAMES))
    pts = tuple(30000 + sum(ticks[:index]) for index in range(FRAMES))
    path = tmp_path_factory.mktemp("film") / "剪辑 film.mp4"
    timeline = Timeline(pts, tuple(ticks), Fraction(1, 30000))
    make_film(path, map(scene, range(FRAMES)), timeline, np.zeros((1, 1024), np.float32))
    return path


@pytest.fixture
def film(cli: CommandLine, take: Callable[..., Path], film_path: Path) -> CommandLine:
    take(film_path, "film.mp4")
    paint(Path("one.png"), ONE)
    paint(Path("other.png"), OTHER)
    return cli


def clock_of(index: int) -> str:
    """When a frame is shown, since the first one."""
    return f"0:{sum(itertools.islice(itertools.cycle(UNEVEN), index)) / 30000:06.3f}"


def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        Path("workspace/film/manifest.json").read_text(encoding="utf-8")
    )
    return found


def shown(cli: CommandLine) -> list[str]:
    """For each frame which mask it has: "one", "other", "none" or something else."""
    known = {ONE.tobytes(): "one", OTHER.tobytes(): "other", np.zeros_like(ONE).tobytes(): "none"}
    return [known.get(cli.mask(index, clip="film").tobytes(), "?") for index in range(FRAMES)]


def runs(names: list[str]) -> list[tuple[str, int]]:
    return [(name, len(list(group))) for name, group in itertools.groupby(names)]


# ---------------------------------------------------------------- segment


def test_masks_stop_at_a_cut_and_go_through_a_flash_and_a_pan(film: CommandLine) -> None:
    ran = film("segment", "film.mp4", "--mask", "20=one.png", *FAKE)
    assert runs(shown(film)) == [
        ("none", FIRST_CUT),
        ("one", SECOND_CUT - FIRST_CUT),
        ("none", FRAMES - SECOND_CUT),
    ]
    assert manifest()["cuts"] == [FIRST_CUT, SECOND_CUT]
    first, second = (line for line in ran.notes if "has no mask" in line)
    assert "frames 0 to 15, from 0:00.000" in first
    assert f"frames {SECOND_CUT} to {FRAMES - 1}, from {clock_of(SECOND_CUT)}" in second
    command = re.search(r"vfx-matte (frame .*) and add --mask (\d+)=", second)
    assert command is not None
    film(*shlex.split(command[1]))
    assert Path(f"film.{SECOND_CUT:07d}.png").exists()
    assert int(command[2]) == SECOND_CUT
    assert any("--cuts ignore" in line for line in ran.notes)
    assert not any("is not seen" in line for line in ran.notes), "an empty shot is said once"
    assert "48 computed now" in ran.stdout


def test_masks_bleed_over_cuts_that_are_ignored(film: CommandLine) -> None:
    ran = film("segment", "film.mp4", "--first-mask", "one.png", *FAKE, "--cuts", "ignore")
    assert runs(shown(film)) == [("one", FRAMES)]
    assert "cuts" not in manifest()
    assert not any("cut" in line for line in ran.notes)


@pytest.mark.parametrize("memory", ["permanent", "xmem"])
def test_a_mask_in_another_shot_is_carried_through_that_shot_alone(
    film: CommandLine, memory: str
) -> None:
    masks = ("--mask", "3=one.png", "--mask", f"{SECOND_CUT + 5}=other.png", "--memory", memory)
    film("segment", "film.mp4", *masks, *FAKE)
    kept = [("one", FIRST_CUT), ("none", SECOND_CUT - FIRST_CUT), ("other", FRAMES - SECOND_CUT)]
    assert runs(shown(film)) == kept


@pytest.mark.slow
def test_the_built_in_propagator_stops_too_and_starts_again(film: CommandLine) -> None:
    masks = ("--mask", "0=one.png", "--mask", f"{SECOND_CUT}=other.png")
    film("segment", "film.mp4", *masks, "--propagator", "builtin")
    areas = [np.count_nonzero(film.mask(index, clip="film")) for index in range(FRAMES)]
    assert min(areas[:FIRST_CUT]) > 0
    assert max(areas[FIRST_CUT:SECOND_CUT]) == 0
    assert min(areas[SECOND_CUT:]) > 0
    assert np.array_equal(film.mask(SECOND_CUT, clip="film"), OTHER)


def test_cuts_can_be_named_by_frame_and_by_time(film: CommandLine) -> None:
    film("segment", "film.mp4", "--first-mask", "one.png", *FAKE, "--cuts", "10,1.669s")
    assert manifest()["cuts"] == [10, SECOND_CUT]
    assert runs(shown(film)) == [("one", 10), ("none", FRAMES - 10)]
    beyond = film.fails(
        "segment", "film.mp4", "--first-mask", "one.png", *FAKE, "--cuts", "999", "--fresh", code=2
    )
    assert "999" in beyond.error


def test_the_config_file_says_what_cuts_do(film: CommandLine) -> None:
    Path("config.ini").write_text("[segment]\ncuts = ignore\n", encoding="utf-8")
    film("segment", "film.mp4", "--first-mask", "one.png", *FAKE)
    assert runs(shown(film)) == [("one", FRAMES)]
    film("segment", "film.mp4", "--first-mask", "one.png", *FAKE, "--cuts", "stop", "--fresh")
    assert shown(film)[FIRST_CUT] == "none"
    wrong = film.fails(
        "segment",
        "film.mp4",
        "--first-mask",
        "one.png",
        *FAKE,
        "--cuts",
        "perhaps",
        "--fresh",
        code=2,
    )
    assert "'perhaps'" in wrong.error


def test_ask_without_a_terminal_stops_and_says_so(film: CommandLine) -> None:
    ran = film("segment", "film.mp4", "--first-mask", "one.png", *FAKE, "--cuts", "ask")
    assert manifest()["cuts"] == [FIRST_CUT, SECOND_CUT]
    assert any("no terminal" in line for line in ran.notes)


def test_ask_on_a_terminal_asks_for_each_cut(
    film: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str, **options: object) -> bool:
        asked.append(question)
        return str(SECOND_CUT) in question

    monkeypatch.setattr("typer.confirm", answer)
    monkeypatch.setattr("vfx_matte.cli.commands.segment.on_terminal", lambda: True)
    film("segment", "film.mp4", "--first-mask", "one.png", *FAKE, "--cuts", "ask")
    assert len(asked) == 2
    assert f"frame 16 ({clock_of(16)})" in asked[0]
    assert manifest()["cuts"] == [SECOND_CUT]
    assert runs(shown(film)) == [("one", SECOND_CUT), ("none", FRAMES - SECOND_CUT)]
    film(
        "segment",
        "film.mp4",
        "--mask",
        "0=one.png",
        "--mask",
        "40=other.png",
        *FAKE,
        "--cuts",
        "ask",
        "--update",
    )
    assert len(asked) == 2, "what was answered is not asked again"
    assert runs(shown(film)) == [("one", SECOND_CUT), ("other", FRAMES - SECOND_CUT)]


def test_only_a_range_is_looked_at(film: CommandLine) -> None:
    ran = film(
        "segment", "film.mp4", "--first-mask", "one.png", "--start", "18", "--stop", "30", *FAKE
    )
    assert manifest()["cuts"] == []
    assert not any("cut" in line for line in ran.notes)
    film(
        "segment",
        "film.mp4",
        "--mask",
        "20=one.png",
        "--start",
        "30",
        "--stop",
        "40",
        *FAKE,
        "--fresh",
    )
    assert manifest()["cuts"] == [SECOND_CUT]
    assert [np.count_nonzero(film.mask(index, clip="film")) > 0 for index in range(30, 40)] == [
        True
    ] * 4 + [False] * 6


@pytest.mark.slow
def test_suggest_names_the_shots_without_a_mask_and_repeats_the_cuts(film: CommandLine) -> None:
    film("segment", "film.mp4", "--first-mask", "one.png", *FAKE)
    ran = film("suggest", "film.mp4", "-k", "2", "--json")
    assert any(
        f"frames {SECOND_CUT} to {FRAMES - 1}" in line and "has no mask" in line
        for line in ran.notes
    )
    found = json.loads(ran.stdout)
    assert {one["frame"] for one in found["suggestions"]} <= set(range(FIRST_CUT))
    words = shlex.split(found["segment_command"])
    assert words[words.index("--cuts") + 1] == f"{FIRST_CUT},{SECOND_CUT}"
    film("segment", "film.mp4", "--first-mask", "one.png", *FAKE, "--cuts", "ignore", "--fresh")
    words = shlex.split(
        json.loads(film("suggest", "film.mp4", "-k", "2", "--json").stdout)["segment_command"]
    )
    assert words[words.index("--cuts") + 1] == "ignore"


# ---------------------------------------------------------------- going on


def test_update_paints_one_more_shot_and_leaves_the_others(film: CommandLine) -> None:
    film("segment", "film.mp4", "--first-mask", "one.png", *FAKE)
    before = {
        index: Path(f"workspace/film/masks/{index:07d}.png").stat().st_mtime_ns
        for index in range(SECOND_CUT)
    }
    ran = film(
        "segment", "film.mp4", "--mask", "0=one.png", "--mask", "40=other.png", *FAKE, "--update"
    )
    assert f"{FRAMES - SECOND_CUT} computed now" in ran.stdout
    after = {
        index: Path(f"workspace/film/masks/{index:07d}.png").stat().st_mtime_ns
        for index in range(SECOND_CUT)
    }
    assert before == after
    assert runs(shown(film)) == [
        ("one", FIRST_CUT),
        ("none", SECOND_CUT - FIRST_CUT),
        ("other", FRAMES - SECOND_CUT),
    ]


def test_resume_takes_the_cuts_over_without_reading_the_clip_for_them(
    film: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    film("segment", "film.mp4", "--first-mask", "one.png", *FAKE)
    for index in (5, 20, 47):
        Path(f"workspace/film/masks/{index:07d}.png").unlink()
    looked: list[int] = []
    plain = VideoReader.frames

    def noting(self: VideoReader, start: int = 0, stop: int | None = None) -> Any:  # noqa: ANN401
        for frame in plain(self, start, stop):
            looked.append(frame.index)
            yield frame

    monkeypatch.setattr(VideoReader, "frames", noting)
    ran = film("segment", "film.mp4", "--first-mask", "one.png", *FAKE, "--resume")
    assert "3 computed now" in ran.stdout
    assert runs(shown(film)) == [("one", FIRST_CUT), ("none", FRAMES - FIRST_CUT)]
    assert max(looked) < FIRST_CUT


def test_work_with_other_cuts_is_not_gone_on_with(film: CommandLine) -> None:
    masks = ("segment", "film.mp4", "--first-mask", "one.png", *FAKE)
    film(*masks)
    assert "shot cuts" in film.fails(*masks, "--cuts", "ignore", "--resume", code=2).error
    film(*masks, "--cuts", "ignore", "--fresh")
    assert "shot cuts" in film.fails(*masks, "--resume", code=2).error
    film(*masks, "--cuts", "ignore", "--resume")


def test_work_from_before_there_were_cuts_goes_on_where_there_is_none(
    project: CommandLine,
) -> None:
    path = Path("workspace/clip/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert facts.pop("cuts") == []
    path.write_text(json.dumps(facts), encoding="utf-8")
    Path("workspace/clip/masks/0000005.png").unlink()
    again = (
        "segment",
        "clip.mp4",
        "--first-mask",
        "mask.png",
        *FAKE,
        "--start",
        "2",
        "--stop",
        "10",
        "--resume",
    )
    assert "1 computed now" in project(*again).stdout


# ---------------------------------------------------------------- arithmetic


@given(
    st.sets(st.integers(1, 60), max_size=6),
    st.integers(0, 40),
    st.integers(1, 30),
    st.sets(st.integers(0, 70), max_size=4),
)
def test_shots_cover_the_range_once_and_empty_ones_have_no_reference(
    cuts: set[int], start: int, count: int, references: set[int]
) -> None:
    span, ordered = range(start, start + count), sorted(cuts)
    parts = list(shots(ordered, span))
    assert [index for part in parts for index in part] == list(span)
    assert {part.start for part in parts} == {start} | {
        cut for cut in cuts if start < cut < span.stop
    }
    whole = [range(low, high) for low, high in itertools.pairwise([0, *ordered, 100])]
    for part in parts:
        shot = next(one for one in whole if part.start in one)
        assert (part in shots_without_mask(ordered, span, references)) == (
            not any(at in shot for at in references)
        )


@pytest.mark.parametrize("text", ["perhaps", "", "12,", "12;13", "-x"])
def test_cuts_that_are_not_understood(text: str) -> None:
    with pytest.raises(UsageError):
        CutOptions.parse(text)


def test_cuts_as_typed() -> None:
    assert CutOptions.parse(" Stop ").mode == "stop"
    assert CutOptions.parse("120, 4.5s,1:02.5").at == (120, Fraction(9, 2), Fraction(125, 2))


def carried(
    references: dict[int, Mask], cuts: list[int], start: int, stop: int, *, remember: bool
) -> dict[int, Mask]:
    carrier = FakePropagator(num_objects=3)
    frames = propagate(
        carrier, Clip(60), references, start=start, stop=stop, cuts=cuts, remember=remember
    )
    return masks_of(list(frames))


@pytest.mark.slow
@given(st.data())
def test_nothing_crosses_a_cut(data: st.DataObject) -> None:
    """Each shot comes out as if there were no other, and without a reference as nothing; every
    frame comes once.
    """
    start = data.draw(st.integers(0, 10))
    stop = data.draw(st.integers(start + 1, 40))
    cuts = sorted(data.draw(st.sets(st.integers(1, 44), max_size=3)))
    indices = data.draw(st.lists(st.integers(0, 45), min_size=1, max_size=4, unique=True))
    references = {
        index: np.maximum.reduce(
            [block(i, 4 * i + n) for i in data.draw(st.sets(st.integers(1, 3), min_size=1))]
        )
        for n, index in enumerate(indices)
    }
    remember = data.draw(st.booleans())
    found = carried(references, cuts, start, stop, remember=remember)
    assert sorted(found) == list(range(start, stop))
    for low, high in itertools.pairwise([0, *cuts, 60]):
        inside = {index: mask for index, mask in references.items() if low <= index < high}
        first, last = max(start, low), min(stop, high)
        if first >= last:
            continue
        alone = carried(inside, [], first, last, remember=remember) if inside else {}
        for index in range(first, last):
            assert np.array_equal(found[index], alone.get(index, np.zeros_like(found[index])))


@given(st.data())
def test_a_reference_influences_its_own_shot_at_most(data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, 39), max_size=4)))
    changed = data.draw(st.integers(0, 39))
    boundaries = data.draw(st.sets(st.integers(0, 39), max_size=3)) - {changed}
    shot = next(
        range(low, high)
        for low, high in itertools.pairwise([0, *cuts, 40])
        if low <= changed < high
    )
    without = influenced([changed], boundaries, start=0, stop=40)
    assert influenced([changed], boundaries, start=0, stop=40, cuts=cuts) == without & set(shot)
