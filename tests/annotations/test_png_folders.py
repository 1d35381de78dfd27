from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.annotated import LABELS, Writer, assert_same, clip, masks_of_clips, write

from vfx_matte.annotations.categories import COCO, official_categories
from vfx_matte.annotations.png_folders import (
    class_color,
    read_masks,
    safe_name,
    write_instances,
    write_masks,
)
from vfx_matte.errors import MaskError, OutputError
from vfx_matte.masks import Mask, ObjectLabel, Palette, object_ids

TWO_DOGS = {
    1: ObjectLabel("Rex", "dog"),
    2: ObjectLabel("Bella", "Dog"),
    7: ObjectLabel("a cat", "cat"),
}


def three() -> list[Mask]:
    masks = [np.zeros((5, 9), np.uint8) for _ in range(3)]
    masks[0][:2, :2], masks[0][3:, 3:5], masks[2][2:4, 6:9] = 1, 2, 7
    return masks


@pytest.mark.parametrize("look", ["objects", "classes", "white"])
@given(masks=masks_of_clips(), first=st.integers(-3, 2000))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
def test_masks_come_back_whatever_they_look_like(
    tmp_path: Path, look: str, masks: list[Mask], first: int
) -> None:
    folder = tmp_path / "masks"
    write(partial(write_masks, look=look), folder, clip(masks[0].shape), masks, first)
    assert_same(read_masks(folder), masks, first)


def test_colours_are_of_objects_of_classes_or_white(tmp_path: Path) -> None:
    for look in ("objects", "classes", "white"):
        write(partial(write_masks, look=look), tmp_path / look, clip((5, 9), TWO_DOGS), three())
    shown = {
        look: np.array(Image.open(tmp_path / look / "00000.png").convert("RGB"))
        for look in ("objects", "classes", "white")
    }
    dogs = [(0, 0), (3, 3)]
    davis = Palette.davis().colors
    assert [shown["objects"][at].tolist() for at in dogs] == [davis[1].tolist(), davis[2].tolist()]
    assert [tuple(shown["classes"][at]) for at in dogs] == [class_color("dog")] * 2
    assert [shown["white"][at].tolist() for at in dogs] == [[255, 255, 255]] * 2
    assert all(picture[0, 5].tolist() == [0, 0, 0] for picture in shown.values())
    names = official_categories(COCO).names.values()
    assert len({class_color(name) for name in names}) == len(names)
    assert class_color("unicorn") not in {class_color(name) for name in names}


@given(masks=masks_of_clips())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
def test_every_instance_has_a_folder_with_all_frames(tmp_path: Path, masks: list[Mask]) -> None:
    folder = tmp_path / "instances"
    write(write_instances, folder, clip(masks[0].shape), masks, 12)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["001 Hündin", "002 人物 ② 🎬", "007 left_right_ chair_"]
    for name in names:
        pictures = sorted((folder / name).iterdir())
        assert [path.name for path in pictures] == [
            f"{12 + at:05d}.png" for at in range(len(masks))
        ]
        for path, mask in zip(pictures, masks, strict=True):
            with Image.open(path) as picture:
                np.testing.assert_array_equal(np.asarray(picture) > 0, mask == int(name[:3]))


def test_an_instance_is_white_on_black_on_every_frame(tmp_path: Path) -> None:
    # object 7 has no label and comes last: its folder is complete all the same
    write(write_instances, tmp_path / "i", clip((5, 9), {1: ObjectLabel("Rex")}), three())
    assert sorted(path.name for path in (tmp_path / "i").iterdir()) == [
        "001 Rex", "002 object 2", "007 object 7",
    ]  # fmt: skip
    for object_id, name in ((1, "001 Rex"), (2, "002 object 2"), (7, "007 object 7")):
        for index, mask in enumerate(three()):
            with Image.open(tmp_path / "i" / name / f"{index:05d}.png") as picture:
                assert picture.mode == "L"
                np.testing.assert_array_equal(picture, np.where(mask == object_id, 255, 0))


def test_names_are_safe_on_every_system() -> None:
    assert safe_name("../../x") == "_.._x"
    assert safe_name('a\\b:c*"<>|\n') == "a_b_c______"
    assert safe_name("con . ") == "con"
    assert len(safe_name("x" * 300)) == 60


@pytest.mark.parametrize("writer", [write_masks, write_instances])
def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path, writer: Writer) -> None:
    folder = tmp_path / "masks"
    write(writer, folder, clip((5, 9)), three())
    write(writer, folder, clip((5, 9)), three())
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write(writer, folder, clip((5, 9)), three())
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("folder", ["masks", "masks/001 Rex"])
def test_pictures_of_somebody_else_are_not_replaced(tmp_path: Path, folder: str) -> None:
    writer = write_masks if folder == "masks" else write_instances
    (tmp_path / folder).mkdir(parents=True)
    Image.fromarray(three()[0]).save(tmp_path / folder / "00001.png")
    with pytest.raises(OutputError, match=r"00001\.png"):
        write(writer, tmp_path / "masks", clip((5, 9)), three())
    assert len(list((tmp_path / folder).iterdir())) == 1


@pytest.mark.parametrize("writer", [write_masks, write_instances])
def test_nothing_is_left_when_the_work_fails(tmp_path: Path, writer: Writer) -> None:
    masks = [three()[0], np.zeros((4, 4), np.uint8)]
    with pytest.raises(ValueError, match="expected uint8"):
        write(writer, tmp_path / "masks", clip((5, 9)), masks)
    assert list(tmp_path.iterdir()) == []


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    with pytest.raises(MaskError, match="cannot be read"):
        read_masks(folder)
    folder.mkdir()
    with pytest.raises(MaskError, match="holds no PNG mask"):
        read_masks(folder)
    (folder / "00000.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    with pytest.raises(MaskError, match=r"00000\.png"):
        read_masks(folder)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "00000.png")
    with pytest.raises(MaskError, match=r"has colours \(RGB\)"):
        read_masks(folder).frames[0].read()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "0.png")
    with pytest.raises(MaskError, match="frame 0 is there twice"):
        read_masks(folder)


def test_ids_go_to_255(tmp_path: Path) -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write(write_masks, tmp_path / "m", clip((16, 16)), [mask])
    found = read_masks(tmp_path / "m", labels=LABELS)
    assert object_ids(found.frames[0].read()) == tuple(range(1, 256))
    assert found.labels == LABELS
