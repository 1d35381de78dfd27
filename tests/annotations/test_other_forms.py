"""MOTS, CVAT, the folders of DAVIS and YouTube-VOS, and Label Studio's export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco
from support.annotated import LABELS, assert_same, clip, masks_of_clips, write

from vfx_matte.annotations.cvat import read_cvat, write_cvat
from vfx_matte.annotations.layouts import read_layout, write_davis, write_youtube_vos
from vfx_matte.annotations.mots import read_mots, write_mots
from vfx_matte.errors import MaskError, OutputError
from vfx_matte.masks import Mask, ObjectLabel, object_ids

# pycocotools of today says so about NumPy 2 when it decodes
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FORMS = {
    "mots": (write_mots, read_mots),
    "davis": (write_davis, read_layout),
    "youtube-vos": (write_youtube_vos, read_layout),
    "cvat": (write_cvat, read_cvat),
}
TWO = {1: ObjectLabel("Ada", "person", 0.5), 2: ObjectLabel("Rex", "dog")}


def blocks() -> list[Mask]:
    """Three frames: both objects, none, the second alone."""
    masks = [np.zeros((6, 8), np.uint8) for _ in range(3)]
    masks[0][1:3, 1:4], masks[0][3:6, 5:8], masks[2][0:2, 0:2] = 1, 2, 2
    return masks


@pytest.mark.parametrize("form", FORMS)
@given(masks=masks_of_clips(), first=st.integers(0, 2000))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
def test_masks_come_back_with_names_scores_and_numbers(
    tmp_path: Path, form: str, masks: list[Mask], first: int
) -> None:
    writer, reader = FORMS[form]
    path = tmp_path / form
    write(writer, path, clip(masks[0].shape), masks, first)
    found = reader(path)
    assert_same(found, masks, first)
    seen = {object_id for mask in masks for object_id in object_ids(mask)}
    assert found.labels == {one: LABELS[one] for one in seen}
    assert (found.clip_name, found.notices) == ("Übung", ())


# ---------------------------------------------------------------- MOTS


def test_lines_of_mots_are_those_of_kitti(tmp_path: Path) -> None:
    write(write_mots, tmp_path / "m", clip((6, 8), TWO), blocks(), first_number=1001)
    text = (tmp_path / "m" / "instances_txt" / "Übung.txt").read_text()
    rows = [line.split() for line in text.splitlines()]
    # frames count from 0; 2 is a pedestrian, 3 the first class that KITTI does not have
    assert [row[:5] for row in rows] == [
        ["0", "2001", "2", "6", "8"], ["0", "3002", "3", "6", "8"], ["2", "3002", "3", "6", "8"],
    ]  # fmt: skip
    for place, track, *_, counts in rows:
        region = coco.decode({"size": [6, 8], "counts": counts})
        np.testing.assert_array_equal(region, blocks()[int(place)] == int(track) % 1000)


def test_a_text_of_mots_alone_counts_from_0_and_leaves_out_ignored_regions(tmp_path: Path) -> None:
    write(write_mots, tmp_path / "m", clip((6, 8), TWO), blocks(), first_number=7)
    text = (tmp_path / "m" / "instances_txt" / "Übung.txt").read_text()
    alone = tmp_path / "0002.txt"
    alone.write_text(text.replace("0 3002 3", "0 10000 10"))
    found = read_mots(alone)
    assert [frame.number for frame in found.frames] == [0, 2]
    assert [frame.object_ids for frame in found.frames] == [(1,), (2,)]
    assert found.labels[1] == ObjectLabel("pedestrian", "pedestrian")
    for line in ("0 1 2", "0 2001 2 6 8 !!", "x 2001 2 6 8 0", "0 2001 2 6 9 f1", "-1 1 1 6 8 `1"):
        alone.write_text(f"{text}{line}\n")
        with pytest.raises(MaskError, match=r"0002\.txt, line 4"):
            read_mots(alone)
    (tmp_path / "m" / "instances_txt" / "b.txt").write_text(text)
    with pytest.raises(MaskError, match="holds 2 text files"):
        read_mots(tmp_path / "m")


# ---------------------------------------------------------------- DAVIS and YouTube-VOS


def test_davis_has_palette_pictures_lists_and_a_size(tmp_path: Path) -> None:
    for height, size in ((480, "480p"), (481, "Full-Resolution")):
        mask = np.zeros((height, 4), np.uint8)
        mask[3:9] = 7
        write(write_davis, tmp_path / size, clip((height, 4)), [mask])
        path = tmp_path / size / "Annotations" / size / "Übung" / "00000.png"
        with Image.open(path) as picture:
            assert picture.mode == "P"
            np.testing.assert_array_equal(picture, mask)
            assert picture.getpalette()[:6] == [0, 0, 0, 128, 0, 0]  # type: ignore[index]
        sets = tmp_path / size / "ImageSets" / "2017" / "val.txt"
        assert sets.read_text(encoding="utf-8") == "Übung\n"


def test_meta_of_youtube_vos_names_the_frames_of_each_object(tmp_path: Path) -> None:
    write(write_youtube_vos, tmp_path / "y", clip((6, 8), TWO), blocks(), first_number=5)
    meta = json.loads((tmp_path / "y" / "meta.json").read_text(encoding="utf-8"))
    objects = meta["videos"]["Übung"]["objects"]
    assert {number: (one["category"], one["frames"]) for number, one in objects.items()} == {
        "1": ("person", ["00005"]),
        "2": ("dog", ["00005", "00007"]),
    }
    # as the data set itself has it
    for one in objects.values():
        one.pop("name"), one.pop("score", None)
    (tmp_path / "y" / "meta.json").write_text(json.dumps(meta))
    assert read_layout(tmp_path / "y").labels == {
        1: ObjectLabel("person", "person"),
        2: ObjectLabel("dog", "dog"),
    }


def test_folders_of_several_clips_are_not_replaced_and_one_is_chosen_by_name(
    tmp_path: Path,
) -> None:
    for writer in (write_davis, write_youtube_vos):
        folder = tmp_path / writer.__name__
        write(writer, folder, clip((6, 8), TWO), blocks())
        write(writer, folder, clip((6, 8), TWO), blocks()[:2])
        assert len(read_layout(folder).frames) == 2
        masks = next(path for path in folder.rglob("Übung") if path.is_dir())
        other = masks.with_name("other")
        other.mkdir()
        (other / "00000.png").write_bytes((masks / "00000.png").read_bytes())
        with pytest.raises(OutputError, match="other"):
            write(writer, folder, clip((6, 8), TWO), blocks())
        assert len(read_layout(folder, clip_name="other").frames) == 1
        with pytest.raises(MaskError, match="masks of 2 clips, and none alone is 'x'"):
            read_layout(folder, clip_name="x")
    with pytest.raises(MaskError, match="cannot be read"):
        read_layout(tmp_path / "nothing")


# ---------------------------------------------------------------- CVAT


@pytest.mark.filterwarnings("ignore")  # its own, about its other parts
def test_datumaro_reads_the_xml_of_cvat(tmp_path: Path) -> None:
    datumaro = pytest.importorskip("datumaro")
    path = tmp_path / "annotations.xml"
    write(write_cvat, path, clip((6, 8), TWO), blocks())
    (tmp_path / "images").mkdir()
    for index in range(3):
        Image.new("RGB", (8, 6)).save(tmp_path / "images" / f"plate.{index:04d}.png")
    found = datumaro.Dataset.import_from(str(path), "cvat")
    assert len(found) == 3
    for item in found:
        index = int(item.id.rpartition(".")[2])
        theirs = {int(one.attributes["object_id"]): one.image for one in item.annotations}
        assert sorted(theirs) == list(object_ids(blocks()[index]))
        for object_id, region in theirs.items():
            np.testing.assert_array_equal(np.asarray(region, bool), blocks()[index] == object_id)


def test_a_score_that_all_regions_have_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    score = 0.7755970666614613  # whose mean of three is another number
    labels = {1: ObjectLabel("Ada", "person", score)}
    write(write_cvat, tmp_path / "a.xml", clip((2, 2), labels), [np.ones((2, 2), np.uint8)] * 3)
    assert read_cvat(tmp_path / "a.xml").labels == labels


def xml(body: str, meta: str = "") -> str:
    return f"<annotations><version>1.1</version><meta>{meta}</meta>{body}</annotations>"


def test_tracks_of_cvat_for_video_begin_with_0_and_end_outside(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    size = "<task><original_size><width>4</width><height>3</height></original_size></task>"
    mask = '<mask frame="{}" outside="{}" rle="0, 2" left="1" top="1" width="2" height="1"/>'
    tracks = "".join(
        f'<track id="{track}" label="dog">{"".join(mask.format(*one) for one in shown)}</track>'
        for track, shown in ((0, [(0, 0), (1, 0), (2, 1)]), (1, [(12, 0)]))
    )
    path.write_text(xml(tracks, size))
    found = read_cvat(path)
    assert [(frame.number, frame.object_ids) for frame in found.frames] == [
        (0, (1,)), (1, (1,)), (12, (2,)),
    ]  # fmt: skip
    assert found.frames[0].read().tolist() == [[0] * 4, [0, 1, 1, 0], [0] * 4]
    assert [label.name for label in found.labels.values()] == ["dog 1", "dog 2"]
    assert found.notices == ("objects are numbered anew from 1: the file's ids go from 0 to 1",)


def test_masks_that_somebody_painted_in_between_belong_to_the_object_of_their_label(
    tmp_path: Path,
) -> None:
    path = tmp_path / "annotations.xml"
    write(write_cvat, path, clip((6, 8), TWO), blocks())
    text = path.read_text(encoding="utf-8")
    new = (
        '<mask label="{}" rle="0,1" left="7" top="0" width="1" height="1" z_order="0">'
        '<attribute name="object_id">0</attribute></mask></image>'
    )
    for label, object_id in (("dog", 2), ("cat", 3)):
        first, image, rest = text.partition("</image>")
        path.write_text(f"{first}{new.format(label)}{rest}", encoding="utf-8")
        assert image
        assert read_cvat(path).frames[0].read()[0, 7] == object_id


def test_layers_polygons_and_shapes_without_a_region(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(
        xml(
            '<image id="0" name="frame_000003" width="4" height="4">'
            '<polygon label="a" points="0,0;4,0;4,4;0,4" z_order="1"/>'
            '<mask label="b" rle="0, 4" left="0" top="0" width="2" height="2" z_order="2"/>'
            '<mask label="c" rle="0, 8" left="0" top="0" width="4" height="2" z_order="0"/>'
            '<box label="d" xtl="0" ytl="0" xbr="1" ybr="1"/></image>'
        )
    )
    found = read_cvat(path)
    assert found.frames[0].number == 3
    assert found.frames[0].read().tolist() == [[2, 2, 1, 1]] * 2 + [[1] * 4] * 2
    assert found.notices == ("1 shapes are no masks or polygons and are left out",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no XML"),
        ("<annotations>", "is no XML"),
        ("<other/>", "begins with <other>"),
        (xml(""), "has no image and no track"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotations/>', "has a document type"),
        (xml('<image id="0" name="a" width="x" height="4"/>'), "width of <image> is 'x'"),
        (xml('<image name="a" width="4" height="4"/>'), "<image> has no id"),
        (xml('<image id="0" name="a" width="4" height="4"/>' * 2), "two images have the id '0'"),
        (xml('<image id="0" name="1" width="0" height="4"/>'), "how large"),
        (
            xml('<track id="0" label="a"><mask frame="0" rle="1" left="0" top="0"/></track>'),
            "does not say how large 'frame_000000' is",
        ),
        (
            xml(
                '<image id="0" name="1" width="4" height="4">'
                '<mask label="a" rle="9" left="3" top="0" width="3" height="3"/></image>'
            ),
            "does not lie inside of 4×4",
        ),
        (
            xml('<image id="0" name="1" width="4" height="4"><mask label="a" rle="x"/></image>'),
            "is damaged",
        ),
    ],
)
def test_damaged_xml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(text)
    with pytest.raises(MaskError, match=message):
        read_cvat(path)


@pytest.mark.parametrize(
    "damage",
    [{"classes": {"x": "dog"}}, {"size": [1, 2, 3]}, {"size": []}, {"frame_numbers": [4, 4, 4]}],
)
def test_damaged_facts_of_mots_are_refused(tmp_path: Path, damage: dict[str, Any]) -> None:
    masks = [np.ones((4, 6), np.uint8)] * 3
    write(write_mots, tmp_path / "m", clip((4, 6), LABELS), masks)
    facts = tmp_path / "m/objects.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | damage))
    with pytest.raises(MaskError):
        read_mots(tmp_path / "m")


def test_masks_of_somebody_else_are_not_replaced(tmp_path: Path) -> None:
    masks = [np.ones((4, 6), np.uint8)]
    for number, writer in enumerate((write_davis, write_youtube_vos)):
        folder = tmp_path / f"{number}"
        for _ in range(2):
            write(writer, folder, clip((4, 6), LABELS), masks)
        (path,) = folder.rglob("*.png")
        Image.fromarray(masks[0]).save(path)
        before = path.read_bytes()
        with pytest.raises(OutputError, match=path.name):
            write(writer, folder, clip((4, 6), LABELS), masks)
        assert path.read_bytes() == before
