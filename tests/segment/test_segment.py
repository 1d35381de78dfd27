"""`segment` through the command line: every way to give masks, ranges, and going on or starting
again.
"""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from support.breaking import Breaks
from support.clips import VFR_PTS
from support.command_line import SIZE, CommandLine, Gray, paint, pictures, segment, two_objects

from vfx_matte.masks import Palette, overlap
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.scene import Scene
from vfx_matte.workspace import load_mask, save_mask

FAKE = ("--propagator", "fake")
ONE, OTHER = np.zeros((64, 96), np.uint8), np.zeros((64, 96), np.uint8)
ONE[10:30, 10:30] = 1
OTHER[35:60, 40:70] = 1


def on_screen(seconds: str) -> int:
    """Which frame of the clip is shown at a time."""
    return sum(Fraction(ticks, 30000) <= Fraction(seconds) for ticks in VFR_PTS) - 1


# ---------------------------------------------------------------- masks in


def test_a_first_mask_gives_a_mask_for_every_frame(film: CommandLine) -> None:
    paint(Path("m.png"), two_objects())
    ran = film("segment", "clip.mp4", "--first-mask", "m.png", *FAKE)
    assert film.mask_numbers() == list(range(12))
    for index in range(12):
        np.testing.assert_array_equal(film.mask(index), two_objects())
    assert "12 computed now" in ran.stdout
    assert "1 (#ff0000), 2 (#00ff00)" in ran.stdout
    with Pillow.open("workspace/clip/masks/0000003.png") as picture:
        assert picture.mode == "P"
        palette = picture.getpalette("RGB")
    assert palette is not None
    assert palette[:9] == Palette.davis().colors[:3].ravel().tolist()
    facts = film.manifest()
    assert facts["propagator"] == "fake"
    assert facts["references"]["0"]["file"] == "m.png"
    assert facts["timeline"]["time_base"] == "1/30000"
    assert not list(film.folder.rglob("*.part"))


def test_masks_by_frame_number(film: CommandLine) -> None:
    """Two references: each frame belongs to the nearer one, and both come out exactly as they were
    painted.
    """
    paint(Path("a.png"), ONE)
    paint(Path("b.png"), OTHER)
    film("segment", "clip.mp4", "--mask", "2=a.png", "--mask", "9=b.png", *FAKE)
    for index in (0, 1, 2, 3):
        np.testing.assert_array_equal(film.mask(index), ONE)
    for index in (8, 9, 10, 11):
        np.testing.assert_array_equal(film.mask(index), OTHER)


def test_an_object_that_is_painted_away_is_not_missed(film: CommandLine) -> None:
    paint(Path("m.png"), two_objects())
    paint(Path("none.png"), np.zeros_like(two_objects()))
    ran = film("segment", "clip.mp4", "--mask", "0=m.png", "--mask", "6=none.png", *FAKE)
    assert any("it is empty: no object is on this frame" in line for line in ran.notes)
    assert not any("is not seen" in line for line in ran.notes)
    assert not film.mask(9).any()
    assert "gone for" not in film("qc").stdout
    # a frame of which nobody said so is
    save_mask(
        Path("workspace/clip/masks/0000003.png"), np.zeros_like(two_objects()), Palette.davis()
    )
    assert "gone for 1 frame, 3 to 3" in film("qc").stdout


def test_without_permanent_memory_a_mask_counts_from_its_frame_on(film: CommandLine) -> None:
    paint(Path("a.png"), ONE)
    paint(Path("b.png"), OTHER)
    both = ("segment", "clip.mp4", "--mask", "1=a.png", "--mask", "9=b.png", *FAKE)
    film(*both, "--memory", "xmem")
    for index in range(12):
        np.testing.assert_array_equal(film.mask(index), OTHER if index >= 9 else ONE)
    assert film.manifest()["settings"]["memory"] == "xmem"
    assert "setting memory" in film.fails(*both, "--resume", code=2).error
    Path("config.ini").write_text("[segment]\nmemory = xmem\n", encoding="utf-8")
    film(*both, "--resume")


@pytest.mark.parametrize(
    ("option", "value"), [("--memory", "long"), ("--mem-every", "0"), ("--mem-every", "-3")]
)
def test_wrong_memory_options_are_misuse(film: CommandLine, option: str, value: str) -> None:
    paint(Path("a.png"), ONE)
    ran = film.fails("segment", "clip.mp4", "--first-mask", "a.png", option, value, code=2)
    assert value in ran.stderr
    assert "hint:" in ran.stderr
    assert not Path("workspace").exists()


def test_a_late_reference_is_carried_backward(film: CommandLine) -> None:
    paint(Path("late.png"), ONE)
    film("segment", "clip.mp4", "--mask", "11=late.png", *FAKE)
    assert film.mask_numbers() == list(range(12))
    np.testing.assert_array_equal(film.mask(0), ONE)


def test_a_folder_of_masks_with_gaps(film: CommandLine) -> None:
    """The last number of a name says the frame; other files and hidden ones are passed over."""
    paint(Path("masks in/shot2_v0003.png"), ONE)
    paint(Path("masks in/10.png"), OTHER)
    paint(Path("masks in/.7.png"), OTHER)
    Path("masks in/notes.txt").write_text("5")
    film("segment", "clip.mp4", "--masks", "masks in", *FAKE)
    assert sorted(film.manifest()["references"]) == ["10", "3"]
    np.testing.assert_array_equal(film.mask(3), ONE)
    np.testing.assert_array_equal(film.mask(10), OTHER)


def test_the_folders_of_xmem(film: CommandLine) -> None:
    save_palette("dataset/Annotations/clip/00004.png", two_objects())
    paint(Path("dataset/JPEGImages/clip/00000.png"), OTHER)
    film("segment", "clip.mp4", "--masks", "dataset", *FAKE)
    assert list(film.manifest()["references"]) == ["4"]
    np.testing.assert_array_equal(film.mask(0), two_objects())


def save_palette(name: str, ids: Gray) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_mask(path, ids, Palette.davis())


def test_an_object_may_first_appear_on_a_later_mask(film: CommandLine) -> None:
    ids = two_objects()
    paint(Path("first.png"), np.where(ids == 1, 1, 0).astype(np.uint8))
    paint(Path("later.png"), ids)
    ran = film("segment", "clip.mp4", "--mask", "0=first.png", "--mask", "8=later.png", *FAKE)
    assert "1 (#ff0000), 2 (#00ff00)" in ran.stdout
    np.testing.assert_array_equal(film.mask(0), np.where(ids == 1, 1, 0))
    for index in range(8, 12):
        np.testing.assert_array_equal(film.mask(index), ids)


def test_palette_masks_keep_their_numbers(film: CommandLine) -> None:
    """Objects 3 and 7 stay 3 and 7, in the masks and for --object."""
    ids = np.array([0, 7, 3], np.uint8)[two_objects()]
    save_palette("m.png", ids)
    film("segment", "clip.mp4", "--first-mask", "m.png", *FAKE)
    np.testing.assert_array_equal(film.mask(11), ids)
    film("maskvideo", "--median", "0", "--object", "7")
    (frame, *_) = pictures(Path("workspace/clip/maskvideo.mkv"))
    np.testing.assert_array_equal(frame.to_ndarray() > 0, ids == 7)


def test_a_mask_of_half_the_size(film: CommandLine) -> None:
    paint(Path("small.png"), two_objects((48, 32)))
    film("segment", "clip.mp4", "--first-mask", "small.png", *FAKE)
    assert film.mask(5).shape == (64, 96)
    assert overlap(film.mask(5) == 1, two_objects() == 1) > 0.85


def test_soft_edges_make_no_objects(film: CommandLine) -> None:
    large = np.kron(two_objects() > 0, np.full((4, 4), 255, np.uint8))
    Pillow.fromarray(large).resize(SIZE, Pillow.Resampling.LANCZOS).save("soft.png")
    film("segment", "clip.mp4", "--first-mask", "soft.png", *FAKE)
    assert list(film.manifest()["objects"]) == ["1"]
    assert overlap(film.mask(5) > 0, two_objects() > 0) > 0.95


def test_colours_shows_and_makes_nothing(film: CommandLine) -> None:
    paint(Path("m.png"), two_objects())
    ran = film("segment", "clip.mp4", "--first-mask", "m.png", "--start", "4", "--colors")
    lines = [line.split() for line in ran.stdout.splitlines()]
    for object_id, color in ((1, "#ff0000"), (2, "#00ff00")):
        (line,) = (line for line in lines if color in line)
        assert line[:2] == ["4", "m.png"]
        assert line[-3:] == [str(object_id), color, str((two_objects() == object_id).sum())]
    assert not Path("workspace").exists()


# ---------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("start", "stop", "frames"),
    [
        ("3", "7", range(3, 7)),
        ("0.1s", "0.3s", range(on_screen("0.1"), on_screen("0.3"))),
        ("0:00.25", None, range(on_screen("0.25"), 12)),
        ("0.4s", "99s", range(on_screen("0.4"), 12)),
    ],
)
def test_ranges_by_frame_and_by_time(
    film: CommandLine, start: str, stop: str | None, frames: range
) -> None:
    """A time means the frame that is on screen then; the clip's rate varies, so counting by rate
    would miss.
    """
    paint(Path("m.png"), ONE)
    last = [] if stop is None else ["--stop", stop]
    film("segment", "clip.mp4", "--first-mask", "m.png", "--start", start, *last, *FAKE)
    assert film.mask_numbers() == list(frames)
    assert film.manifest()["references"].keys() == {str(frames[0])}


# ---------------------------------------------------------------- going on, starting again, never
# mixing


def test_resume_goes_on_where_it_stopped(film: CommandLine, breaks: Breaks) -> None:
    paint(Path("m.png"), two_objects())
    command = ("segment", "clip.mp4", "--first-mask", "m.png", *FAKE)
    breaks.at = 6
    ran = film.run(*command)
    assert ran.code == 1
    assert "no memory left" in ran.error
    assert film.mask_numbers() == [0, 1, 2, 3, 4]
    again = film.fails(*command, code=2)
    assert "stopped after 5 of 12 frames" in again.error
    assert "--resume" in again.hint
    assert "--fresh" in again.hint
    rendered = film("maskvideo", "--median", "0")
    assert any("is not complete" in note and "--resume" in note for note in rendered.notes)
    assert any("7 of 12 frames have no mask" in note for note in rendered.notes)
    before = film.files("workspace/clip/masks")
    times = {path.name: path.stat().st_mtime_ns for path in Path("workspace/clip/masks").iterdir()}
    breaks.at, breaks.steps = None, 0
    resumed = film(*command, "--resume")
    assert "7 computed now" in resumed.stdout
    assert breaks.steps == 12, (
        "too short a run to have saved its state: the walk begins again at its reference"
    )
    assert film.mask_numbers() == list(range(12))
    after = film.files("workspace/clip/masks")
    assert {name: after[name] for name in before} == before
    assert {
        name: (Path("workspace/clip/masks") / name).stat().st_mtime_ns for name in times
    } == times
    nothing = film(*command, "--resume")
    assert "0 computed now" in nothing.stdout


@pytest.mark.parametrize(
    "options",
    [
        FAKE,
        (*FAKE, "--start", "1", "--stop", "11", "--cuts", "ignore", "--memory", "xmem", "--soft"),
        ("--propagator", "builtin", "--size", "80", "--cuts", "3,5", "--no-network"),
        ("--map-color", "ff0000=2", "--map-color", "00ff00=1", *FAKE),
    ],
    ids=["usual", "range, cuts, memory, soft", "builtin", "colours"],
)
def test_resume_alone_goes_on_with_what_the_run_was_given(
    film: CommandLine, options: tuple[str, ...]
) -> None:
    """What notices name is what works: masks, range and settings are those of the earlier run."""
    Path("painted").mkdir()
    paint(Path("m.png"), two_objects())
    paint(Path("n.png"), two_objects())
    film("segment", "clip.mp4", "--mask", "2=m.png", "--mask", "8=n.png", *options)
    whole, manifest = film.files("workspace/clip/masks"), film.manifest()
    for number in (4, 5, 9):
        Path(f"workspace/clip/masks/{number:07d}.png").unlink()
    ran = film("segment", "--resume")
    assert "3 computed now" in ran.stdout
    assert film.files("workspace/clip/masks") == whole
    assert film.manifest()["settings"] == manifest["settings"]
    # a mask that has changed, or is gone, is not guessed
    paint(Path("n.png"), np.roll(two_objects(), 3))
    Path("workspace/clip/masks/0000004.png").unlink()
    ran = film.fails("segment", "clip.mp4", "--resume", code=2)
    assert "the mask of frame 8 that the earlier run was given, 'n.png', is not found" in ran.error
    assert "--mask 8=mask.png" in ran.hint


def test_resume_alone_without_earlier_work_has_no_mask(film: CommandLine) -> None:
    ran = film.fails("segment", "clip.mp4", "--resume", code=2)
    assert ran.error == "no mask was given"


def test_a_mask_that_was_deleted_is_made_again(film: CommandLine) -> None:
    segment(film, "clip.mp4")
    Path("workspace/clip/masks/0000007.png").unlink()
    ran = film("segment", "clip.mp4", "--first-mask", "mask.png", *FAKE, "--resume")
    assert "1 computed now" in ran.stdout
    np.testing.assert_array_equal(film.mask(7), two_objects())


def test_a_finished_run_is_not_done_again(film: CommandLine) -> None:
    segment(film, "clip.mp4")
    before = film.files()
    ran = film.fails("segment", "clip.mp4", "--first-mask", "mask.png", *FAKE, code=2)
    assert "is complete" in ran.error
    assert "greenback" in ran.hint
    assert film.files() == before


def test_resume_without_earlier_work_just_starts(film: CommandLine) -> None:
    paint(Path("m.png"), ONE)
    ran = film("segment", "clip.mp4", "--first-mask", "m.png", *FAKE, "--resume")
    assert "12 computed now" in ran.stdout


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("--first-mask", "other.png", *FAKE), "reference masks"),
        (("--first-mask", "mask.png", "--propagator", "builtin"), "propagator"),
        (("--first-mask", "mask.png", *FAKE, "--stop", "6"), "frame range"),
    ],
)
@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_a_second_run_never_mixes(
    film: CommandLine, change: tuple[str, ...], named: str, resume: tuple[str, ...]
) -> None:
    segment(film, "clip.mp4")
    paint(Path("other.png"), OTHER)
    before = film.files()
    ran = film.fails("segment", "clip.mp4", *change, *resume, code=2)
    assert named in ran.error
    assert "--fresh" in ran.hint
    assert film.files() == before


@pytest.mark.slow
def test_update_makes_only_the_frames_again_that_a_mask_changes(film: CommandLine) -> None:
    paint(Path("a.png"), ONE)
    paint(Path("b.png"), OTHER)
    paint(Path("c.png"), np.maximum(ONE, OTHER))
    first = ("segment", "clip.mp4", "--mask", "0=a.png", "--mask", "8=a.png", *FAKE)
    film(*first)
    film("maskvideo")
    before = film.files("workspace/clip/masks")
    assert "--update" in film.fails(*first, "--mask", "4=c.png", code=2).hint
    assert film.files("workspace/clip/masks") == before
    ran = film(*first, "--mask", "4=c.png", "--update")
    assert "frames made again: 1 to 7;" in ran.stderr
    assert "7 computed now" in ran.stdout
    np.testing.assert_array_equal(film.mask(4), np.maximum(ONE, OTHER))
    after = film.files("workspace/clip/masks")
    for index in (0, 8, 9, 10, 11):
        name = f"workspace/clip/masks/{index:07d}.png"
        assert after[name] == before[name]
    kept = film.files("workspace/clip/masks.previous")
    assert sorted(Path(name).name for name in kept) == [f"{index:07d}.png" for index in range(1, 8)]
    assert (
        kept["workspace/clip/masks.previous/0000004.png"]
        == before["workspace/clip/masks/0000004.png"]
    )
    assert list(film.manifest()["references"]) == ["0", "4", "8"]
    assert "maskvideo.mkv" in film.manifest()["outputs"]
    # the same as made in one go
    film(*first, "--mask", "4=c.png", "--fresh")
    assert film.files("workspace/clip/masks") == after
    # nothing to do, and a mask taken away again
    assert "0 computed now" in film(*first, "--mask", "4=c.png", "--update").stdout
    assert "frames made again: 1 to 7;" in film(*first, "--update").stderr
    assert film.files("workspace/clip/masks") == before


def test_update_that_is_killed_goes_on(film: CommandLine, breaks: Breaks) -> None:
    paint(Path("a.png"), ONE)
    paint(Path("b.png"), OTHER)
    work = ("segment", "clip.mp4", "--mask", "0=a.png", *FAKE)
    film(*work)
    breaks.at, breaks.steps = 11, 0  # on the backward walk from frame 6, after frames 5 and 4
    assert film.run(*work, "--mask", "6=b.png", "--update").code == 1
    assert film.mask_numbers() == [0, 4, 5]
    assert film.mask_numbers(folder="masks.previous") == list(range(1, 12))
    breaks.at = None
    assert "9 computed now" in film(*work, "--mask", "6=b.png", "--resume").stdout
    assert film.mask_numbers() == list(range(12))
    np.testing.assert_array_equal(film.mask(0), ONE)
    for index in (6, 7, 11):
        np.testing.assert_array_equal(film.mask(index), OTHER)


def test_update_with_a_new_object_makes_everything_again(film: CommandLine) -> None:
    paint(Path("a.png"), ONE)
    paint(Path("b.png"), 2 * OTHER)
    work = ("segment", "clip.mp4", "--mask", "0=a.png", *FAKE)
    film(*work)
    assert "12 computed now" in film(*work, "--mask", "6=b.png", "--update").stdout
    assert set(np.unique(film.mask(11))) == {0, 1, 2}


def test_update_does_not_take_other_settings(film: CommandLine) -> None:
    segment(film, "clip.mp4")
    before = film.files()
    ran = film.fails(
        "segment", "clip.mp4", "--first-mask", "mask.png", *FAKE, "--update", "--stop", "6", code=2
    )
    assert "frame range" in ran.error
    assert film.files() == before


def test_fresh_keeps_the_earlier_masks(film: CommandLine) -> None:
    segment(film, "clip.mp4")
    film("maskvideo")
    earlier = film.files("workspace/clip/masks")
    paint(Path("other.png"), OTHER)
    film("segment", "clip.mp4", "--first-mask", "other.png", *FAKE, "--fresh", "--stop", "6")
    assert film.mask_numbers() == list(range(6))
    np.testing.assert_array_equal(film.mask(3), OTHER)
    kept = film.files("workspace/clip/masks.previous")
    assert {Path(name).name: data for name, data in kept.items()} == {
        Path(name).name: data for name, data in earlier.items()
    }
    assert Path("workspace/clip/maskvideo.mkv").exists()


@pytest.mark.parametrize("more", [("--update",), ("--resume",), ("--resume", "--show-parts", "2")])
def test_either_start_again_or_go_on(film: CommandLine, more: tuple[str, ...]) -> None:
    segment(film, "clip.mp4")
    before = film.files()
    paint(Path("other.png"), OTHER)
    ran = film.fails(
        "segment", "clip.mp4", "--mask", "3=other.png", *FAKE, "--fresh", *more, code=2
    )
    assert f"--fresh and {more[0]} exclude each other" in ran.error
    assert "--fresh makes every mask again" in ran.hint
    (film.folder / "other.png").unlink()
    assert film.files() == before


def test_fresh_that_fails_before_its_first_mask_changes_nothing(
    film: CommandLine, breaks: Breaks
) -> None:
    segment(film, "clip.mp4")
    paint(Path("other.png"), OTHER)
    before = film.files()
    breaks.steps, breaks.at = 0, 1
    ran = film.run("segment", "clip.mp4", "--first-mask", "other.png", *FAKE, "--fresh")
    assert ran.code == 1
    assert film.files() == before


# ---------------------------------------------------------------- the built-in propagator, on a
# scene whose truth is known


@pytest.mark.slow
def test_the_builtin_propagator_follows_the_truth(cli: CommandLine) -> None:
    scene = Scene(width=160, height=90, frame_count=8)
    cli.folder.joinpath("source").mkdir()
    make_film(
        Path("source/scene.mp4"),
        (scene.frame(index)[0] for index in range(8)),
        scene.timeline,
        scene.sound(),
    )
    save_mask(Path("m.png"), scene.truth_mask(2), Palette.davis())
    ran = cli("segment", "scene.mp4", "--mask", "2=m.png")
    assert any("built-in propagator" in note and "XMem" in note for note in ran.notes), (
        "which one, and how to get the other"
    )
    for index in range(8):
        mask = load_mask(Path(f"workspace/scene/masks/{index:07d}.png"))
        assert overlap(mask > 0, scene.truth_mask(index) > 0) > 0.8, index


def test_quiet_says_nothing_and_data_goes_to_stdout(film: CommandLine) -> None:
    paint(Path("m.png"), ONE)
    ran = film("segment", "clip.mp4", "--first-mask", "m.png", *FAKE, "--quiet")
    assert ran.stderr == ""
    assert "workspace/clip/masks" in ran.stdout
    shutil.rmtree("workspace")
    ran = film("segment", "clip.mp4", "--first-mask", "m.png", *FAKE)
    assert [line for line in ran.stderr.splitlines() if not line.startswith("note: ")] == [], (
        "no progress bar in a pipe"
    )
    assert "note: " not in ran.stdout
