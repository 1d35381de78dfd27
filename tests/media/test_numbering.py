"""Numbers in file names, patterns, and the files of a sequence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from support.notices import Notices

from vfx_matte.errors import MediaError, UsageError
from vfx_matte.media.sequence import SequenceFiles, find_sequence, is_sequence
from vfx_matte.media.writers.numbered_files import NumberedFiles, names_in
from vfx_matte.numbering import parse_pattern, split_name
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import clip_name


@pytest.mark.parametrize(
    ("name", "number", "several"),
    [
        ("plate.1001.png", 1001, False), ("shot010_v02.1001.png", 1001, True),
        ("A001C003_201112.0001.exr", 1, True),
        ("7.jpg", 7, False), ("plate.-0005.png", -5, False), ("-3.png", -3, False), ("a_-7.png", -7,
        False),
        ("take-0005.png", 5, False), ("2024-01-05.png", 5, True), ("0042_beauty.TIF", 42, False),
        ("clip.mp4", None, False),
        (f"{'9' * 40}.png", None, False),
    ],
)  # fmt: skip
def test_the_last_number_before_the_suffix_counts(
    name: str, number: int | None, several: bool
) -> None:
    cut = split_name(name)
    assert (None if cut is None else cut.number) == number
    if cut is not None:
        assert (cut.is_ambiguous, f"{cut.head}{cut.digits}{cut.tail}") == (several, name)


@pytest.mark.parametrize(
    ("text", "fitting", "other"),
    [
        ("plate.%04d.png", "plate.1001.png plate.0001.png plate.12345.png plate.-001.png",
        "plate.1.png plate.00001.png"),
        ("plate.%d.png", "plate.1.png plate.0010.png", "plate.png plates.1.png"),
        ("plate.####.png", "plate.1001.png plate.-0005.png", "plate.01001.png"),
        ("plate.@@@.png", "plate.001.png plate.1001.png", "plate.01.png"),
        ("plate.#.png", "plate.1.png plate.0001.png", "plate.a.png"),
        ("plate.[1001-1024].png", "plate.1001.png plate.1024.png", "plate.1025.png plate.1000.png"),
        ("plate.[0009-0011].png", "plate.0009.png plate.0011.png", "plate.9.png"),
        ("plate.1001-1024#.png", "plate.1010.png", "plate.1025.png"),
        ("plate.1001-1024@@@@.png", "plate.1010.png", "plate.01010.png"),
        ("plate.1-24%04d.png", "plate.0010.png", "plate.10.png"),
        ("plate.####.exr 1001-1024", "plate.1010.exr", "plate.2000.exr"),
        ("plate.[####].png", "plate.1010.png", "plate.010.png"),
        ("plate.$F4.png", "plate.1010.png", "plate.010.png"),
        ("plate.-5-5#.png", "plate.-0005.png plate.3.png", "plate.6.png"),
        ("100%%_%04d.png", "100%_0001.png", "100%%_0001.png"),
    ],
)  # fmt: skip
def test_patterns(text: str, fitting: str, other: str) -> None:
    pattern = parse_pattern(text)
    assert pattern is not None
    assert all(pattern.number_of(name) is not None for name in fitting.split())
    assert [pattern.number_of(name) for name in other.split()] == [None] * len(other.split())
    assert is_sequence(Path("nowhere") / text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("p.%09999999999d.png", "more than 18 digits"), ("p.%0" + "9" * 5000 + "d.png",
        "more than 18 digits"),
        ("p." + "#" * 19 + ".png", "more than 18 digits"), ("%04d_%04d.png", "two places"),
        ("p.[9-3].png", "not a range"),
        ("p.[1-9999999999].png", "names 9999999999 pictures"),
    ],
)  # fmt: skip
def test_patterns_that_are_none(text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        parse_pattern(text)
    assert len(caught.value.message) < 200


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def found(path: Path, notices: Notices) -> tuple[SequenceFiles, list[str]]:
    files = find_sequence(path, notify=notices)
    return files, [one.name for one in files.paths]


def test_numbers_without_padding_and_other_files(tmp_path: Path, notices: Notices) -> None:
    names = [f"{number}.png" for number in (1, 2, 3, 9, 10, 11)]
    folder = fill(
        tmp_path / "50% 片",
        *names,
        "._1.png",
        ".DS_Store",
        "Thumbs.db",
        "notes 4.txt",
        "poster.png",
    )
    (folder / "5.png").mkdir()
    files, shown = found(folder, notices)
    assert shown == names
    assert (files.first, len(files), files.digits, files.missing) == (1, 11, 1, ((4, 9),))
    assert [one is not None for one in map(files.path, range(11))] == [True] * 3 + [False] * 5 + [
        True
    ] * 3
    assert files.path_or_earlier(5).name == "3.png"
    assert notices[0].endswith("left out, as the name has no number: poster.png")
    assert "5 pictures are missing (4 to 8 of 1 to 11)" in notices[1]
    assert len(notices) == 2


def test_mixed_padding_negative_numbers_and_upper_case(tmp_path: Path, notices: Notices) -> None:
    folder = fill(tmp_path, "p.-002.PNG", "p.-001.png", "p.0.png", "p.0001.png")
    files, shown = found(folder, notices)
    assert shown == ["p.-002.PNG", "p.-001.png", "p.0.png", "p.0001.png"]
    assert (files.first, len(files), notices) == (-2, 4, [])
    fill(tmp_path, "p.1.png")
    with pytest.raises(UsageError, match=r"number 1 has two pictures .*p\.0001\.png and p\.1\.png"):
        find_sequence(folder, notify=notices)


def test_two_sequences_in_a_folder_are_named(tmp_path: Path, notices: Notices) -> None:
    folder = fill(
        tmp_path, *(f"{name}.{number:04d}.png" for name in "ab" for number in (1, 2)), "b.0003.png"
    )
    with pytest.raises(
        UsageError, match=r"holds 2 sequences: b\.####\.png \(3\), a\.####\.png \(2\)"
    ) as caught:
        find_sequence(folder, notify=notices)
    assert "b.####.png" in caught.value.hint
    assert found(folder / "a.####.png", notices)[1] == ["a.0001.png", "a.0002.png"]
    assert notices == []


def test_one_picture_of_a_sequence_and_several_numbers_are_said(
    tmp_path: Path, notices: Notices
) -> None:
    folder = fill(tmp_path, *(f"shot010_v02.{number}.png" for number in (1001, 1002)))
    files, shown = found(folder / "shot010_v02.1002.png", notices)
    assert (files.first, shown) == (1002, ["shot010_v02.1002.png"])
    assert "one picture of a sequence of 2" in notices[0]
    assert "shot010_v02.####.png" in notices[0]
    assert notices[1] == "shot010_v02.1002.png: the last number in a name is the frame's, 1002"


def test_a_range_names_what_is_missing_at_its_ends(tmp_path: Path, notices: Notices) -> None:
    folder = fill(tmp_path, "p.0003.png", "p.0004.png", "p.0009.png")
    files, shown = found(folder / "p.[1-5].png", notices)
    assert shown == ["p.0003.png", "p.0004.png"]
    assert files.missing == ((1, 3), (5, 6))
    assert [files.path_or_earlier(index).name for index in (0, 4)] == ["p.0003.png", "p.0004.png"]
    assert "3 pictures are missing (1 to 2, 5 of 1 to 5)" in notices[0]
    with pytest.raises(MediaError, match="holds no pictures") as caught:
        find_sequence(folder / "q.####.png", notify=notices)
    assert "p.0003.png" in caught.value.hint
    with pytest.raises(MediaError, match="holds no pictures"):
        find_sequence(fill(tmp_path / "empty"), notify=notices)
    fill(tmp_path / "far", "1.png", "20240101120000.png")
    with pytest.raises(UsageError, match="are not a sequence"):
        find_sequence(tmp_path / "far", notify=notices)


def test_names_with_a_pattern_that_are_files(tmp_path: Path, notices: Notices) -> None:
    fill(tmp_path, "a#1_#2.png", "x####.png")
    assert found(tmp_path / "a#1_#2.png", notices)[1] == ["a#1_#2.png"]
    assert found(tmp_path / "x####.png", notices)[1] == ["x####.png"]
    assert not is_sequence(tmp_path / "take#1_#2.mp4")


def test_output_names(tmp_path: Path) -> None:
    names = NumberedFiles("m.", 4, ".png", 1001)
    assert names.name(5) == "m.1006.png"
    assert [
        names.index_of(name) for name in ("m.1006.png", "m.01006.png", "m.0999.png", "x.1006.png")
    ] == [5, None, -2, None]
    assert NumberedFiles("", 4, ".png", -2).name(0) == "-0002.png"
    assert names_in(fill(tmp_path, "m.0007.png", "m.0008.png", "readme.txt")) == NumberedFiles(
        "m.", 4, ".png", 7
    )
    assert names_in(fill(tmp_path / "none", "readme.txt")) is None


def test_timelines_know_their_numbers() -> None:
    timeline = Timeline((0, 1, 2, 3), (1,) * 4, Fraction(1, 25), 1001)
    assert (timeline.number(2), timeline.index_of(1003), timeline.numbers_text) == (
        1003,
        2,
        "1001 to 1004",
    )
    assert timeline[1:3].first_number == 1002
    assert Timeline.from_json(timeline.to_json()) == timeline
    assert timeline != Timeline(timeline.pts, timeline.durations, timeline.time_base)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("x/plate.%04d.png", "plate"),
        ("x/plate.####.png", "plate"),
        ("x/a_[1-3]_b.png", "a_b"),
        ("day/####.png", "day"),
    ],
)
def test_the_folder_of_a_pattern(path: str, name: str) -> None:
    assert clip_name(Path(path)) == name
