"""All 255 ids of a mask are objects, from the detection to every file that is made of it."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from support.command_line import CommandLine
from support.drifting_squares import draw
from support.scripted_detector import Script, register

from vfx_matte.annotations.png_folders import read_png
from vfx_matte.files.id_mark import id_mark
from vfx_matte.masks import Palette, object_ids
from vfx_matte.pipeline.exchange.formats import WRITTEN
from vfx_matte.references.files import load_mask_picture
from vfx_matte.references.reading import read_references
from vfx_matte.workspace import load_mask, save_mask

ALL = tuple(range(1, 256))
SHAPE = (96, 128)


@pytest.fixture
def crowd(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A clip of five frames, and masks of the 255 objects that were found in it."""

    def make() -> None:
        folder = cli.folder / "clip"
        folder.mkdir()
        frames = [(cv2.resize(image, SHAPE[::-1]), mask) for image, mask in map(draw, range(5))]
        for index, (image, _) in enumerate(frames):
            cv2.imwrite(
                str(folder / f"clip.{index:04d}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            )
        script = Script.of_clip(frames, {}).nothing(frames=range(5)).crowd(255, frames=range(5))
        register(script, cli.folder, monkeypatch)
        # one that copies, as the time of the built-in one grows with the square of their number
        ran = cli(
            "detect", "clip", "--detector", "scripted", "--every", "4", "--max-objects", "0",
            "--propagator", "fake", "--json",
        )  # fmt: skip
        assert [one["id"] for one in json.loads(ran.stdout)["objects"]] == list(ALL)
        assert not any("void" in note or "new object" in note for note in ran.notes)

    cli.once("255 detected objects", make)
    return cli


@pytest.mark.slow
def test_the_last_object_comes_through_every_step(crowd: CommandLine) -> None:
    clip = crowd.folder / "workspace/clip"
    # 1. references, masks and what is written for others
    for folder in ("references", "masks"):
        for path in sorted((clip / folder).glob("*.png")):
            assert object_ids(load_mask(path)) == ALL, path
    assert len(json.loads((clip / "detected/result.json").read_text())) == 255
    assert object_ids(read_png(clip / "detected/masks/00002.png")) == ALL
    assert len(crowd.manifest()["labels"]) == 255
    # 2. a correction of one object among them
    first = clip / "references/0000000.png"
    mask = load_mask(first)
    mask[mask == 7] = 255
    save_mask(first, mask, Palette.davis())
    crowd(
        "segment", "clip", "--masks", "workspace/clip/references", "--update",
        "--propagator", "fake",
    )  # fmt: skip
    after = load_mask(clip / "masks/0000000.png")
    np.testing.assert_array_equal(after, mask)
    np.testing.assert_array_equal(load_mask(clip / "masks/0000004.png") == 255, mask_of_last(clip))
    # 3. measured like the others
    crowd("qc", "clip")


def mask_of_last(clip: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return load_mask(clip / "references/0000004.png") == 255


@pytest.mark.slow
@pytest.mark.parametrize("form", WRITTEN)
def test_every_format_gives_all_of_them_back(form: str, crowd: CommandLine) -> None:
    ran = crowd("export", "clip", "--format", form, "--json")
    # programs that read these folders take 255 for void
    warned = any("255" in note for note in ran.notes)
    assert warned == (form in ("davis", "youtube-vos"))
    found = json.loads(ran.stdout)
    back = json.loads(crowd("import", "clip", found["path"], "--json").stdout)
    assert list(map(int, back["objects"])) == list(ALL)
    folder = crowd.folder / "workspace/clip/imported"
    for path in folder.glob("*.png"):
        np.testing.assert_array_equal(read_png(path), crowd.mask(int(path.stem)))
    # and as references again
    (_, reading), *_ = read_references(
        [(0, load_mask_picture(folder / "0000000.png"))], shape=SHAPE
    )
    assert tuple(reading.coverage) == ALL


def test_marked_pictures_are_ids_whatever_they_look_like(tmp_path: Path) -> None:
    ids = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(np.uint8)
    save_mask(tmp_path / "mask.png", ids, Palette.davis())
    ((_, reading),) = read_references([(0, load_mask_picture(tmp_path / "mask.png"))], shape=SHAPE)
    np.testing.assert_array_equal(reading.mask, ids)
    assert reading.notices == ()


def test_a_mark_counts_for_the_palette_that_it_was_made_with(tmp_path: Path) -> None:
    ids = np.zeros(SHAPE, np.uint8)
    ids[10:30, 10:30], ids[30:32, 10:30] = 1, 255
    colors = Palette.davis().colors
    for name, shown in (("own", colors), ("sorted anew", np.roll(colors[1:], 1, axis=0))):
        palette = np.concatenate([colors[:1], shown[-255:]])
        texts = PngInfo()
        texts.add_text(*id_mark(colors.tobytes()))
        picture = Pillow.fromarray(ids)
        picture.putpalette(palette.tobytes())
        picture.save(tmp_path / f"{name}.png", pnginfo=texts)
    assert load_mask_picture(tmp_path / "own.png").are_ids
    assert not load_mask_picture(tmp_path / "sorted anew.png").are_ids
    assert id_mark(colors.tobytes())[1] == f"{zlib.crc32(colors.tobytes()):08x}"


def test_void_of_other_programs_is_no_object_of_an_import(
    cli: CommandLine, clip: Path, tmp_path: Path
) -> None:
    ids = np.zeros((64, 96), np.uint8)
    ids[10:30, 10:30], ids[30:32, 10:30] = 1, 255
    for name, palette in (("palette", Palette.davis().colors), ("grey", None)):
        folder = tmp_path / name
        folder.mkdir()
        picture = Pillow.fromarray(ids)
        if palette is not None:
            picture.putpalette(palette.tobytes())
        for index in range(2):
            picture.save(folder / f"{index:05d}.png")
        ran = cli("import", clip, folder, "--json")
        assert list(json.loads(ran.stdout)["objects"]) == ["1"]
        assert any("void" in note and "2 frames" in note for note in ran.notes)
        made = read_png(cli.folder / "workspace/clip/imported/0000001.png")
        np.testing.assert_array_equal(made, np.where(ids == 255, 0, ids))
    # alone it is what is painted
    folder = tmp_path / "white"
    folder.mkdir()
    Pillow.fromarray(np.where(ids == 1, 255, 0).astype(np.uint8)).save(folder / "00000.png")
    ran = cli("import", clip, folder, "--json")
    assert list(json.loads(ran.stdout)["objects"]) == ["255"]


def test_an_object_that_no_reference_shows_is_named(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cli.folder / "clip"
    folder.mkdir()
    frames = [draw(0)] * 5  # a still, so that copying masks follows them
    for index, (image, _) in enumerate(frames):
        cv2.imwrite(str(folder / f"clip.{index:04d}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    # a surer detection lies over the second object
    script = Script.of_clip(frames, {1: "dog", 2: "cat"})
    for index in range(5):
        shown = frames[index][1] == 2
        wide = cv2.dilate(shown.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        script.invent(frames=[index], class_name="cat", score=0.99, mask=wide)
    register(script, cli.folder, monkeypatch)
    ran = cli("detect", "clip", "--detector", "scripted", "--propagator", "fake", "--json")
    names = {one["id"]: one["name"] for one in json.loads(ran.stdout)["objects"]}
    shown_ids = set(object_ids(load_mask(cli.folder / "workspace/clip/masks/0000002.png")))
    (lost,) = set(names) - shown_ids
    assert any(f"{lost} ({names[lost]})" in note for note in ran.notes)
