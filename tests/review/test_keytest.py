"""The key colour and `keytest` through the command line, on clips of a subject whose colours are
known.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from support.clips import HLG, VFR_PTS
from support.command_line import CommandLine, pictures, segment

from vfx_matte.masks import Palette
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.pipeline.sampling import evenly, snapped
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import save_mask

pytestmark = pytest.mark.slow

FRAMES, SIZE = 30, (160, 96)
SHIRT, SKIN = (30, 160, 40), (220, 170, 140)


def disc(index: int) -> np.ndarray:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    return np.hypot(x - 60 - index, y - 48) < 30


def film(path: Path, *colors: tuple[int, int, int], green_from: int = FRAMES) -> None:
    """A disc that moves over grey: skin, but from frame `green_from` on with a green half."""
    shown = []
    for index in range(FRAMES):
        image = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
        image += (np.arange(SIZE[0]) % 16).astype(np.uint8)[None, :, None]
        mask = disc(index)
        image[mask] = colors[0] if colors else SKIN
        if index >= green_from:
            image[mask & (np.indices(mask.shape)[0] > 48)] = SHIRT
        shown.append(image)
    timeline = Timeline(tuple(range(FRAMES)), (1,) * FRAMES, Fraction(1, 25))
    make_film(path, shown, timeline, np.zeros((1, 48000 // 25 * FRAMES), np.float32))


def masked(cli: CommandLine, name: str = "clip.mp4") -> None:
    """Segment, with true masks in the workspace."""
    segment(cli, name, size=SIZE)
    for index in range(FRAMES):
        save_mask(
            Path(f"workspace/{Path(name).stem}/masks/{index:07d}.png"),
            disc(index).astype(np.uint8),
            Palette.davis(),
        )


@pytest.fixture(scope="module")
def skin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("skin") / "clip.mp4"
    film(path)
    return path


@pytest.fixture
def clear(cli: CommandLine, take: Callable[..., Path], skin: Path) -> CommandLine:
    def make() -> None:
        take(skin)
        masked(cli)

    cli.once("a subject without green", make)
    return cli


@pytest.fixture
def shirt(cli: CommandLine) -> CommandLine:
    def make() -> None:
        film(cli.folder / "clip.mp4", green_from=20)
        masked(cli)

    cli.once("a green shirt", make)
    return cli


FAST = ("--preset", "ultrafast", "--median", "0")


def warnings(ran: Any) -> list[str]:  # noqa: ANN401
    return [note for note in ran.notes if "close to the key" in note]


# ---------------------------------------------------------------- the key colour


def test_a_subject_in_green_is_warned_of_and_auto_goes_elsewhere(shirt: CommandLine) -> None:
    (warning,) = warnings(shirt("greenback", *FAST))
    part, frame = float(warning.split(" %")[0]), int(warning.split("frame ")[1].split(" ")[0])
    assert 40 <= part <= 60, "half of the disc"
    assert frame >= 20
    assert "try --key blue" in warning
    ran = shirt("greenback", "--key", "auto", *FAST)
    assert any(note.startswith("key colour: blue") for note in ran.notes)
    assert not warnings(ran)


def test_a_subject_that_is_clear_of_the_key_gives_no_warning(clear: CommandLine) -> None:
    assert not warnings(clear("greenback", *FAST))
    assert any(
        "key colour: green" in note for note in clear("greenback", "--key", "auto", *FAST).notes
    )
    assert not warnings(clear("greenback", "--background", "#dcaa8c", *FAST)), (
        "a background is no key"
    )


def test_behind_a_picture_no_key_is_checked(shirt: CommandLine) -> None:
    Pillow.new("RGB", SIZE, (90, 20, 20)).save("wall.png")
    assert not warnings(shirt("greenback", "--background", "wall.png", *FAST))


def test_a_given_colour_is_checked_too(clear: CommandLine) -> None:
    (warning,) = warnings(clear("greenback", "--key", "#e0b090", *FAST))
    assert "#e0b090" in warning
    assert "try --key green" in warning


def test_only_the_chosen_object_counts(shirt: CommandLine) -> None:
    both = disc(0).astype(np.uint8) + (disc(0) & (np.indices(disc(0).shape)[0] > 48))
    segment_two = Path("two.png")
    Pillow.fromarray(np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)[both]).save(
        segment_two
    )
    shirt("segment", "clip.mp4", "--first-mask", segment_two, "--propagator", "fake", "--fresh")
    for index in range(FRAMES):
        lower = disc(index) & (np.indices(both.shape)[0] > 48)
        save_mask(
            Path(f"workspace/clip/masks/{index:07d}.png"),
            (disc(index) + 0 + lower).astype(np.uint8),
            Palette.davis(),
        )
    assert warnings(shirt("greenback", "--object", "2", *FAST))
    assert not warnings(shirt("greenback", "--object", "1", *FAST))


def test_frames_are_spread_and_keyframes_are_preferred() -> None:
    assert evenly(range(100), 4) == [12, 37, 62, 87]
    assert evenly([3, 5], 4) == [3, 5]
    assert snapped([10, 20, 30], [0, 12, 21, 40]) == [12, 21, 30]
    assert snapped([10, 20, 30], [0, 100]) == [10, 20, 30]
    assert snapped([10, 20], []) == [10, 20]
    assert snapped([7], [5]) == [7]


# ---------------------------------------------------------------- keytest


def test_the_key_test_ranks_encodings_and_leaves_only_its_picture(
    clear: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    clear("greenback", *FAST)
    before = clear.files()
    found = json.loads(clear("keytest", "--json", "--frames", "12", "--median", "0").stdout)
    after = clear.files()
    assert set(after) - set(before) == {"workspace/clip/keytest.png"}
    assert all(after[name] == content for name, content in before.items())
    assert not list(temporary.iterdir())
    assert [row["sampling"] for row in found["rows"]] == [
        "4:2:0 8-bit", "4:2:2 10-bit", "4:4:4 10-bit", "4:4:4 10-bit", "4:4:4 16-bit",
    ]  # fmt: skip
    h264, prores422, prores4444, _, bare = found["rows"]
    assert h264["edge_mean"] > prores422["edge_mean"] > 3 * prores4444["edge_mean"]
    assert bare["edge_mean"] <= prores4444["edge_mean"]
    assert bare["keyed_out"] == bare["left_in"] == 0
    assert all(
        0 < row["mean"] < row["edge_mean"] <= row["edge_95"] <= 1 for row in (h264, prores422)
    )
    assert len(found["frames"]) == 12
    assert h264["worst_frame"] in found["frames"]
    assert 0 < h264["megabytes_per_minute"] < prores4444["megabytes_per_minute"]
    assert "vfx-matte alpha" in found["verdict"]
    with Pillow.open("workspace/clip/keytest.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 1000


def test_kept_mattes_are_read_without_pythons_parser(
    clear: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are made, read and keyed in several threads, and Python 3.11's parser, which NumPy asks
    for the headers of its files, can fail where two threads use it at once.
    """
    asked = []
    monkeypatch.setattr(ast, "literal_eval", asked.append)
    clear("keytest", "--frames", "4", "--median", "0")
    assert not asked


def test_what_it_says_of_h264_is_what_another_keyer_finds_in_the_file(clear: CommandLine) -> None:
    """Rendered by greenback, decoded to RGB by FFmpeg alone, keyed by G − max(R, B)."""
    row = json.loads(clear("keytest", "--json", "--frames", "30", "--median", "0").stdout)["rows"][
        0
    ]
    clear("greenback", "--median", "0", "-o", "x.mp4")
    off = []
    for index, frame in enumerate(pictures(Path("x.mp4"))):
        red, green, blue = np.moveaxis(frame.to_ndarray(format="rgb24").astype(float) / 255, -1, 0)
        keyed = 1 - np.clip(green - np.maximum(red, blue), 0, 1)
        off.append(np.abs(keyed - disc(index)).mean())
    assert np.mean(off) == pytest.approx(row["mean"], rel=0.4)


def test_people_get_a_table_and_a_sentence(clear: CommandLine) -> None:
    shown = clear("keytest", "--frames", "6", "--median", "0", "--sheet", "k.png").stdout
    for word in (
        "H.264",
        "ProRes 422 HQ",
        "ProRes 4444",
        "H.265 4:4:4",
        "edge off by",
        "the keyed edge is off by",
        "k.png",
    ):
        assert word in shown
    assert Path("k.png").is_file()


def test_options_of_greenback_are_followed(clear: CommandLine) -> None:
    def first(*options: str) -> dict[str, Any]:
        rows: list[dict[str, Any]] = json.loads(
            clear("keytest", "--json", "--frames", "4", *options).stdout
        )["rows"]
        assert len(rows) == (5 if rows[0]["name"] != "as asked for" else 6)
        return rows[0]

    assert first("--quality", "40")["encoding"].startswith("libx264 yuv420p crf 40")
    assert first("-o", "green.mov")["name"] == "ProRes 422 HQ"
    assert not Path("green.mov").exists()
    assert first("--for", "premiere")["encoding"].startswith("prores_ks yuv422p10le")
    assert (
        first("--key", "blue", "--feather", "6")["edge_mean"]
        < first("--key", "blue", "--median", "0")["edge_mean"]
    )


def test_a_subject_with_the_key_in_it_is_told(shirt: CommandLine) -> None:
    found = json.loads(shirt("keytest", "--json", "--frames", "30", "--median", "0").stdout)
    assert found["rows"][-1]["keyed_out"] > 0.05
    assert "--key auto" in found["verdict"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--frames", "0"), "0, expected 1 to 10000"),
        (("--sheet", "k.jpg"), "not a PNG"),
        (("--sheet", "workspace/clip/masks/x.png"), "would replace the masks"),
        (("--key", "#808080"), "has no colour"),
        (("--key", "grün"), "unknown"),
        (("--object", "7"), "no object 7"),
        (("--codec", "vhs"), "does not take codec"),
    ],
)
def test_misuse_is_told_before_work_begins(
    clear: CommandLine, arguments: tuple[str, str], said: str
) -> None:
    before = clear.files()
    assert said in clear.fails("keytest", *arguments, code=2).error
    assert clear.files() == before


def test_a_subject_that_is_seen_on_one_frame_alone_is_found(clear: CommandLine) -> None:
    """Sixteen masks are looked at of thirty, at even distances."""
    for index in range(FRAMES):
        mask = disc(index) if index == 17 else np.zeros(SIZE[::-1])
        save_mask(
            Path(f"workspace/clip/masks/{index:07d}.png"), mask.astype(np.uint8), Palette.davis()
        )
    ran = clear("keytest", "--json", "--frames", "12", "--median", "0")
    assert 17 in ran.record["frames"]


def test_without_a_subject_there_is_nothing_to_key(clear: CommandLine) -> None:
    for index in range(FRAMES):
        save_mask(
            Path(f"workspace/clip/masks/{index:07d}.png"),
            np.zeros(SIZE[::-1], np.uint8),
            Palette.davis(),
        )
    assert "no mask shows a subject" in clear.fails("keytest", code=2).error


@pytest.mark.parametrize(
    "facts",
    [
        {
            "pixel_format": "yuv420p10le",
            "codec": "libx265",
            "options": {"preset": "ultrafast"},
            "color": HLG,
        },
        {"pixel_format": "bgr0", "codec": "ffv1", "name": "clip.mkv"},
        {"pixel_format": "gray", "codec": "ffv1", "name": "clip.mkv"},
        {"pixel_format": "yuv444p", "size": (97, 65), "options": {"preset": "ultrafast"}},
        {
            "pts": VFR_PTS,
            "name": "夏天.mov",
            "size": (64, 96),
            "rotation": 90,
            "options": {"preset": "ultrafast", "bf": "0"},
        },
    ],
    ids=lambda facts: f"{facts.get('pixel_format', 'phone')}",
)
def test_clips_of_all_kinds(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    take: Callable[..., Path],
    facts: Any,  # noqa: ANN401
) -> None:
    """Their colours are slightly warm greys, which the keyer separates exactly: what is off is the
    encoding's.
    """
    name = take(make_clip(**({"name": "clip.mp4"} | facts)))
    segment(cli, name, size=facts.get("size", (96, 64)))
    *coded, bare = json.loads(
        cli("keytest", name, "--json", "--frames", "12", "--median", "0").stdout
    )["rows"]
    assert bare["edge_mean"] < 0.01
    assert all(row["keyed_out"] < 0.2 for row in coded)
    assert (
        min(coded, key=lambda row: row["edge_mean"])["name"] == "ProRes 4444"
        or coded[0]["name"] == "as asked for"
    )
