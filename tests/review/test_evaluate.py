"""evaluate through the command line: every form that masks come in, and J told once more by plain
sets of pixels.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.command_line import BLACK, LIME, RED, CommandLine, paint, two_objects

from vfx_matte.masks import Palette
from vfx_matte.media.writers.synthetic import make_clip
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import load_mask, save_mask

Gray = npt.NDArray[np.uint8]


def drawn(first: int, second: int | None = None) -> Gray:
    """96×64 pixels with object 1 at a column and, on request, object 2 at another: boxes of
    20×20.
    """
    mask = np.zeros((64, 96), np.uint8)
    mask[10:30, first : first + 20] = 1
    if second is not None:
        mask[35:55, second : second + 20] = 2
    return mask


TRUTH = {index: drawn(10 + 2 * index, 60 - 2 * index) for index in range(8)}
GUESS = {index: drawn(10 + 2 * index + index // 2, 60 if index < 6 else None) for index in range(8)}


def write(folder: str, masks: Mapping[int, Gray], *, name: str = "{:05d}.png") -> Path:
    for index, mask in masks.items():
        save_mask(Path(folder) / name.format(index), mask, Palette.davis())
    return Path(folder)


def j_by_sets(guess: Gray, truth: Gray, object_id: int) -> float:
    mine, true = (
        {tuple(place) for place in np.argwhere(mask == object_id).tolist()}
        for mask in (guess, truth)
    )
    return len(mine & true) / len(mine | true) if mine | true else 1.0


def j_means(frames: list[int]) -> dict[int, float]:
    return {
        one: float(np.mean([j_by_sets(GUESS[at], TRUTH[at], one) for at in frames]))
        for one in (1, 2)
    }


def evaluated(cli: CommandLine, *arguments: str | Path) -> Any:  # noqa: ANN401  JSON
    return json.loads(cli("evaluate", *arguments, "--json").stdout)


def j_of(facts: Any) -> dict[int, float]:  # noqa: ANN401  JSON
    (only,) = facts["sequences"]
    return {one["object"]: one["j"]["mean"] for one in only["objects"]}


@pytest.fixture
def both(cli: CommandLine) -> CommandLine:
    """A working directory with the folders guess and truth."""
    write("guess", GUESS, name="mask_v2_{:03d}.png")
    write("truth", TRUTH)
    return cli


# ---------------------------------------------------------------- numbers


def test_json_and_csv_hold_every_frame(both: CommandLine) -> None:
    facts = evaluated(both, "guess", "truth", "--csv", "scores/frames.csv")
    assert j_of(facts) == pytest.approx(j_means(list(range(8))), abs=1e-6)
    (only,) = facts["sequences"]
    assert (only["references"], only["scored_frames"], facts["protocol"]) == ([], 8, "all")
    means = [only["mean"]["j"]["mean"], only["mean"]["f"]["mean"]]
    assert facts["mean"] == only["mean"]
    assert facts["mean"]["jf"] == pytest.approx(sum(means) / 2, abs=1e-6)
    with Path("scores/frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["frame"]), int(row["object"])) for row in rows] == [
        (at, one) for at in range(8) for one in (1, 2)
    ]
    for row, one in zip(rows, only["frames"], strict=True):
        at, object_id = int(row["frame"]), int(row["object"])
        assert float(row["j"]) == pytest.approx(
            j_by_sets(GUESS[at], TRUTH[at], object_id), abs=1e-6
        )
        assert float(row["jf"]) == pytest.approx((float(row["j"]) + float(row["f"])) / 2, abs=1e-6)
        assert one == {
            "frame": at,
            "object": object_id,
            **{key: float(row[key]) for key in ("j", "f", "jf")},
        }
    recall = np.mean([j_by_sets(GUESS[at], TRUTH[at], 2) > 0.5 for at in range(8)])
    assert 0 < recall < 1
    assert only["objects"][1]["j"]["recall"] == pytest.approx(recall, abs=1e-6)


def test_the_table_is_in_per_cent(both: CommandLine) -> None:
    ran = both(
        "evaluate",
        "guess",
        "truth",
        "--frames",
        "--reference",
        "0",
        "--reference",
        "4",
        "--csv",
        "f.csv",
    )
    assert "\x1b" not in ran.stdout
    assert "frames: f.csv" in ran.stdout
    frames, summary = (part.splitlines() for part in ran.stdout.split("Masks against the truth"))
    expected = j_means([1, 2, 3, 5, 6, 7])
    rows = {
        line.split()[0]: line.split()
        for line in summary
        if line.split() and line.split()[0] in ("1", "2", "mean")
    }
    assert {int(key): row[2] for key, row in rows.items() if key != "mean"} == {
        one: f"{100 * value:.1f}" for one, value in expected.items()
    }
    assert rows["mean"][1:3] == ["6", f"{100 * np.mean(list(expected.values())):.1f}"]
    shown = [line.split() for line in frames if line.split() and line.split()[0].isdigit()]
    assert [row[:2] for row in shown] == [[str(at), str(one)] for at in range(8) for one in (1, 2)]
    assert {row[0] for row in shown if len(row) == 2} == {
        "0",
        "4",
    }, "blank where a reference was given"
    assert shown[3][2] == f"{100 * j_by_sets(GUESS[1], TRUTH[1], 2):.1f}"


def test_the_davis_protocol_leaves_out_both_ends(both: CommandLine) -> None:
    facts = evaluated(both, "guess", "truth", "--protocol", "davis", "--reference", "3")
    assert j_of(facts) == pytest.approx(j_means([1, 2, 4, 5, 6]), abs=1e-6)
    unscored = {
        one["frame"]
        for one in facts["sequences"][0]["frames"]
        if one["j"] == one["f"] == one["jf"] == -1
    }
    assert unscored == {0, 3, 7}


# ---------------------------------------------------------------- the forms of masks


def black_and_white(mask: Gray) -> Image.Image:
    return Image.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8))


def colored(mask: Gray) -> Image.Image:
    return Image.fromarray(np.array([(0, 0, 0), (250, 200, 10), (20, 60, 220)], np.uint8)[mask])


@pytest.mark.parametrize(
    ("form", "suffix"),
    [
        (Image.fromarray, ".png"),
        (colored, ".png"),
        (colored, ".tif"),
        (lambda mask: Image.fromarray(mask.astype(np.uint16)), ".png"),
        (lambda mask: Image.fromarray(Palette.davis().colors[mask]), ".bmp"),
    ],
    ids=["grey ids", "colours", "tif", "16 bit", "DAVIS colours"],
)
def test_masks_of_every_form_mean_the_same(
    both: CommandLine, form: Callable[[Gray], Image.Image], suffix: str
) -> None:
    expected = evaluated(both, "guess", "truth")
    for folder, masks in (("guess-too", GUESS), ("truth-too", TRUTH)):
        Path(folder).mkdir()
        for index, mask in masks.items():
            form(mask).save(Path(folder) / f"{index}{suffix}")
    assert evaluated(both, "guess-too", "truth") == expected
    assert evaluated(both, "guess", "truth-too") == expected


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_black_and_white_truth(cli: CommandLine, suffix: str) -> None:
    """As DAVIS 2016 has it; an empty JPEG picture is empty although it is not quite black."""
    truth = {0: drawn(20), 1: drawn(30), 2: drawn(20) * np.uint8(0)}
    write("guess", {0: drawn(20), 1: drawn(25), 2: drawn(20) * np.uint8(0)})
    Path("truth").mkdir()
    for index, mask in truth.items():
        picture = (
            black_and_white(mask)
            if index < 2
            else Image.fromarray(np.full((64, 96), 3 * (suffix == ".jpg"), np.uint8))
        )
        picture.save(f"truth/{index}{suffix}", **({"quality": 100} if suffix == ".jpg" else {}))
    facts = evaluated(cli, "guess", "truth")
    assert [one["j"] for one in facts["sequences"][0]["frames"]] == pytest.approx(
        [1, 15 / 25, 1], abs=1e-6
    )


def test_the_workspace_says_which_frames_were_given(project: CommandLine) -> None:
    """`project` holds frames 2 to 9 with one reference, on frame 2, repeated by its propagator."""
    truth = {index: np.roll(two_objects(), index - 2, axis=1) for index in range(2, 10)}
    write("truth", truth)
    ran = project("evaluate", "workspace/clip", "truth", "--json")
    assert any("manifest" in note and note.endswith(": 2") for note in ran.notes)
    facts = json.loads(ran.stdout)
    (only,) = facts["sequences"]
    assert only["references"] == [2]
    assert {one["frame"] for one in only["frames"] if one["j"] == -1} == {2}
    expected = {
        one: np.mean([j_by_sets(two_objects(), truth[at], one) for at in range(3, 10)])
        for one in (1, 2)
    }
    assert j_of(facts) == pytest.approx(expected, abs=1e-6)
    assert evaluated(project, "workspace/clip/masks", "truth") == facts
    others = evaluated(project, "workspace/clip", "truth", "--reference", "9")["sequences"][0]
    assert {one["frame"] for one in others["frames"] if one["j"] == -1} == {9}
    assert project("evaluate", "workspace/clip", "workspace/clip", "--quiet").stderr == ""


def test_a_mask_video_is_masks_too(project: CommandLine) -> None:
    project("maskvideo", "--style", "palette", "--median", "0", "-o", "palette.mkv")
    truth = {
        index: two_objects() if 2 <= index < 10 else np.zeros((64, 96), np.uint8)
        for index in range(12)
    }
    write("truth", truth)
    facts = evaluated(project, "palette.mkv", "truth")
    assert j_of(facts) == {1: 1, 2: 1}
    assert facts["sequences"][0]["scored_frames"] == 12
    assert j_of(evaluated(project, "workspace/clip", "palette.mkv", "--allow-missing")) == {
        1: 1,
        2: 1,
    }
    project("maskvideo", "--median", "0", "-o", "luma.mp4")
    for index, mask in truth.items():
        black_and_white(mask).save(f"truth/{index:05d}.png")
    lossy = evaluated(project, "luma.mp4", "truth")
    assert j_of(lossy)[1] > 0.95
    assert [one["j"] for one in lossy["sequences"][0]["frames"] if one["frame"] in (0, 11)] == [
        1,
        1,
    ]


def test_what_a_codec_leaves_in_black_is_no_object(cli: CommandLine) -> None:
    truth = {index: drawn(20) * np.uint8(index != 2) for index in range(5)}
    write("truth", truth)
    images = [
        np.repeat(np.where(mask > 0, 240, 3).astype(np.uint8)[..., None], 3, axis=2)
        for mask in truth.values()
    ]
    timeline = Timeline(tuple(range(5)), (1,) * 5, Fraction(1, 25))
    make_clip(Path("masks.mp4"), images, timeline, np.zeros((1, 9600), np.float32))
    ran = cli("evaluate", "masks.mp4", "truth", "--json")
    found = {one["frame"]: one["j"] for one in json.loads(ran.stdout)["sequences"][0]["frames"]}
    assert found[2] == 1
    assert min(found.values()) > 0.9
    assert not any("only in" in note for note in ran.notes)


# ---------------------------------------------------------------- sequences


@pytest.fixture
def davis(cli: CommandLine) -> CommandLine:
    """Two sequences on both sides: bear of one object, cows of two."""
    for name, objects in (("bear", 1), ("cows", 2)):
        for side, masks in (("guess", GUESS), ("truth", TRUTH)):
            write(
                f"{side}/{name}",
                {at: np.where(mask <= objects, mask, np.uint8(0)) for at, mask in masks.items()},
            )
    return cli


def test_a_folder_of_sequences(davis: CommandLine) -> None:
    expected = j_means(list(range(8)))
    facts = evaluated(davis, "guess", "truth", "--csv", "frames.csv")
    found = {one["name"]: one for one in facts["sequences"]}
    assert {name: len(one["objects"]) for name, one in found.items()} == {"bear": 1, "cows": 2}
    assert found["bear"]["mean"]["j"]["mean"] == pytest.approx(expected[1], abs=1e-6)
    assert found["cows"]["mean"]["j"]["mean"] == pytest.approx(
        (expected[1] + expected[2]) / 2, abs=1e-6
    )
    assert facts["mean"]["j"]["mean"] == pytest.approx(
        (2 * expected[1] + expected[2]) / 3, abs=1e-6
    ), "over objects"
    lines = Path("frames.csv").read_text().splitlines()
    assert lines[0] == "sequence,frame,object,j,f,jf"
    assert [line.split(",")[0] for line in lines[1:]] == ["bear"] * 8 + ["cows"] * 16
    shown = davis("evaluate", "guess", "truth", "--frames").stdout
    assert f"mean over objects   3         16       {100 * facts['mean']['j']['mean']:.1f}" in shown
    assert shown.count("cows ") == 17


def test_some_sequences(davis: CommandLine) -> None:
    shutil.rmtree("guess/bear")
    ran = davis.fails("evaluate", "guess", "truth", code=2)
    assert "lacks 1 of 2 sequences: bear" in ran.error
    assert [
        one["name"] for one in evaluated(davis, "guess", "truth", "--sequence", "cows")["sequences"]
    ] == ["cows"]
    ran = davis("evaluate", "guess", "truth", "--allow-missing", "--json")
    assert any("bear" in note and "empty" in note for note in ran.notes)
    assert json.loads(ran.stdout)["sequences"][0]["mean"]["j"]["mean"] == 0
    shutil.rmtree("truth/bear")
    write("guess/wolf", GUESS)
    ran = davis("evaluate", "guess", "truth")
    assert any("only in PREDICTED" in note and "wolf" in note for note in ran.notes)
    assert (
        "has no sequence 'deer'"
        in davis.fails("evaluate", "guess", "truth", "--sequence", "deer", code=2).error
    )
    assert "folder of 1" in davis.fails("evaluate", "guess/cows", "truth", code=2).error
    assert "folder of 2" in davis.fails("evaluate", "guess", "truth/cows", code=2).error


# ---------------------------------------------------------------- what does not fit


def test_missing_frames_are_named(both: CommandLine) -> None:
    for index in (2, 5, 6):
        Path(f"guess/mask_v2_{index:03d}.png").unlink()
    ran = both.fails("evaluate", "guess", "truth", code=2)
    assert ran.error == "PREDICTED lacks 3 of 8 frames: 2, 5 to 6"
    facts = evaluated(both, "guess", "truth", "--allow-missing")
    assert [one["j"] for one in facts["sequences"][0]["frames"] if one["frame"] in (2, 5, 6)] == [
        0
    ] * 6
    references = [part for at in (2, 5, 6) for part in ("--reference", str(at))]
    assert j_of(evaluated(both, "guess", "truth", *references)) == pytest.approx(
        j_means([0, 1, 3, 4, 7]), abs=1e-6
    )


def test_truth_may_be_sparse(both: CommandLine) -> None:
    for index in (0, 1, 3, 4, 5, 6):
        Path(f"truth/{index:05d}.png").unlink()
    ran = both("evaluate", "guess", "truth", "--json")
    assert any("without truth: 0 to 1, 3 to 6" in note for note in ran.notes)
    assert j_of(json.loads(ran.stdout)) == pytest.approx(j_means([2, 7]), abs=1e-6)


def test_sizes_have_to_agree(both: CommandLine) -> None:
    for path in Path("guess").iterdir():
        mask = load_mask(path)
        save_mask(path, np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1), Palette.davis())
    ran = both.fails("evaluate", "guess", "truth", code=2)
    assert ran.error == "PREDICTED frame 0 is 192×128, the truth is 96×64"
    ran = both("evaluate", "guess", "truth", "--resize", "--json")
    assert "PREDICTED is brought from 192×128 to 96×64" in ran.notes
    assert j_of(json.loads(ran.stdout)) == pytest.approx(j_means(list(range(8))), abs=1e-6)
    save_mask(Path("guess/mask_v2_003.png"), np.ones((64, 64), np.uint8), Palette.davis())
    assert "PREDICTED frame 3" in both.fails("evaluate", "guess", "truth", "--resize", code=2).error


def test_objects_of_one_side_only(cli: CommandLine) -> None:
    write("guess", {at: np.where(mask == 2, np.uint8(5), mask) for at, mask in GUESS.items()})
    write("truth", TRUTH)
    ran = cli("evaluate", "guess", "truth", "--json")
    assert j_of(json.loads(ran.stdout)) == pytest.approx(
        {1: j_means(list(range(8)))[1], 2: 0}, abs=1e-6
    )
    assert any(note.startswith("only in PREDICTED, not scored: object 5") for note in ran.notes)
    assert any(note.startswith("only in GROUND_TRUTH: object 2") for note in ran.notes)
    merged = evaluated(cli, "guess", "truth", "--merge")
    union = [
        j_by_sets((GUESS[at] > 0).astype(np.uint8), (TRUTH[at] > 0).astype(np.uint8), 1)
        for at in range(8)
    ]
    assert j_of(merged) == pytest.approx({1: np.mean(union)}, abs=1e-6)


@pytest.mark.parametrize("mode", ["palette", "grey"])
def test_void_pixels_do_not_count(both: CommandLine, mode: str) -> None:
    """Void covers what the prediction has too much, so that object 1 is perfect but for what void
    takes from both.
    """
    for index, truth in TRUTH.items():
        marked = np.where((GUESS[index] != truth), np.uint8(255), truth)
        if mode == "palette":
            save_mask(Path(f"truth/{index:05d}.png"), marked, Palette.davis())
        else:
            Image.fromarray(marked).save(f"truth/{index:05d}.png")
    assert j_of(evaluated(both, "guess", "truth", "--void", "255")) == {1: 1, 2: 1}
    if mode == "palette":
        ran = both("evaluate", "guess", "truth")
        assert any("--void 255" in note for note in ran.notes)


def test_void_is_no_colour(both: CommandLine) -> None:
    paint(Path("truth/00000.png"), TRUTH[0], (BLACK, RED, LIME))
    assert "in colour" in both.fails("evaluate", "guess", "truth", "--void", "255", code=2).error


def broken_manifest() -> None:
    Path("guess").rename("masks")
    Path("guess").mkdir()
    Path("masks").rename("guess/masks")
    Path("guess/manifest.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "options", "code", "named"),
    [
        (lambda: None, ("--protocol", "2016"), 2, "'2016'"),
        (lambda: None, ("--void", "0"), 2, "void value 0"),
        (lambda: None, ("--reference", "8"), 2, "reference 8 is not a frame"),
        (
            lambda: None,
            tuple(part for at in range(8) for part in ("--reference", str(at))),
            2,
            "left to score",
        ),
        (lambda: None, ("--sequence", "bear"), 2, "'bear'"),
        (lambda: None, ("--csv", "truth/00000.png/frames.csv"), 1, "cannot be written"),
        (lambda: shutil.rmtree("guess"), (), 2, "PREDICTED 'guess' is not there"),
        (lambda: shutil.rmtree("truth"), (), 2, "GROUND_TRUTH 'truth' is not there"),
        (
            lambda: [shutil.rmtree("truth"), Path("truth").mkdir()],
            (),
            2,
            "GROUND_TRUTH 'truth' holds no mask",
        ),
        (lambda: [shutil.rmtree("guess"), Path("guess").write_text("no film")], (), 1, "guess"),
        (
            lambda: [shutil.rmtree("guess"), write("guess", {0: drawn(5)}, name="a.png")],
            (),
            2,
            "no frame number",
        ),
        (lambda: write("guess", {0: drawn(5)}, name="0_again.png"), (), 2, "frame 0 has two masks"),
        (
            lambda: Path("guess/mask_v2_004.png").write_bytes(b"\x89PNG broken"),
            (),
            2,
            "mask_v2_004.png",
        ),
        (broken_manifest, (), 2, "manifest.json is damaged"),
    ],
)
def test_what_cannot_be_compared(
    both: CommandLine, change: Callable[[], object], options: tuple[str, ...], code: int, named: str
) -> None:
    change()
    before = both.files()
    ran = both.fails("evaluate", "guess", "truth", *options, code=code)
    assert named in ran.error
    assert both.files() == before


def test_a_damaged_manifest_is_not_needed(both: CommandLine) -> None:
    broken_manifest()
    assert j_of(evaluated(both, "guess", "truth", "--reference", "0")) == pytest.approx(
        j_means(list(range(1, 8))), abs=1e-6
    )


def test_a_picture_is_no_folder_of_masks(both: CommandLine) -> None:
    assert (
        "is one picture" in both.fails("evaluate", "guess/mask_v2_000.png", "truth", code=2).error
    )


def test_a_truth_without_objects(both: CommandLine) -> None:
    write("truth", {at: mask * np.uint8(0) for at, mask in TRUTH.items()})
    assert "shows no object" in both.fails("evaluate", "guess", "truth", code=2).error


def test_a_photograph_is_no_mask(both: CommandLine) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save("truth/00003.png")
    assert "GROUND_TRUTH frame 3" in both.fails("evaluate", "guess", "truth", code=2).error
