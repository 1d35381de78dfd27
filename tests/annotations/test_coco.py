from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from support.annotated import LABELS, assert_same, clip, frame, masks_of_clips, write

from vfx_matte.annotations.categories import categories_of
from vfx_matte.annotations.coco import read_coco, write_coco
from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask, ObjectLabel, object_ids

# pycocotools of today says so about NumPy 2 when it decodes
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DOGS = {1: ObjectLabel("Rex", "dog", 0.5), 2: ObjectLabel("Bella", "dog")}


def blocks() -> list[Mask]:
    """Three frames: both objects, none, the second alone."""
    masks = [np.zeros((6, 8), np.uint8) for _ in range(3)]
    masks[0][1:3, 1:4], masks[0][3:6, 5:8], masks[2][0:2, 0:2] = 1, 2, 2
    return masks


def edited(path: Path, **changes: Any) -> Path:  # noqa: ANN401
    """A file with changes in it; a function changes what is there."""
    data = json.loads(path.read_text(encoding="utf-8"))
    for name, change in changes.items():
        data[name] = change(data[name]) if callable(change) else change
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def foreign(path: Path) -> Path:
    """A file of ours without anything that COCO does not know."""
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["objects"]
    for image in data["images"]:
        del image["frame_number"]
    for one in data["annotations"]:
        del one["object_id"], one["track_id"], one["attributes"]
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@given(masks=masks_of_clips(), first=st.integers(-3, 2000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_masks_come_back_with_names_scores_and_numbers(
    tmp_path: Path, masks: list[Mask], first: int
) -> None:
    path = tmp_path / "coco.json"
    write(write_coco, path, clip(masks[0].shape), masks, first)
    found = read_coco(path)
    assert_same(found, masks, first)
    seen = {object_id for mask in masks for object_id in object_ids(mask)}
    assert found.labels == {one: LABELS[one] for one in seen}
    assert found.clip_name == "Übung"
    assert (found.numbers_from, found.notices) == ("file", ())


def test_pycocotools_reads_regions_areas_and_boxes(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    write(write_coco, path, clip((6, 8), DOGS), blocks(), first_number=1001)
    theirs = COCO(str(path))
    assert [image["file_name"] for image in theirs.dataset["images"]] == [
        "plate.1001.png", "plate.1002.png", "plate.1003.png",
    ]  # fmt: skip
    for image_id, mask in zip(theirs.getImgIds(), blocks(), strict=True):
        annotations = theirs.loadAnns(theirs.getAnnIds(imgIds=image_id))
        assert [one["track_id"] for one in annotations] == list(object_ids(mask))
        for one in annotations:
            region = mask == one["object_id"]
            np.testing.assert_array_equal(theirs.annToMask(one), region)
            rows, columns = region.nonzero()
            assert one["area"] == region.sum()
            assert one["bbox"] == [
                columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1,
            ]  # fmt: skip
            assert one["category_id"] == 18  # dog, of the 91 ids
            assert one.get("score") == DOGS[one["object_id"]].score
    assert len(theirs.cats) == 80
    assert theirs.dataset["info"]["category_ids"] == "COCO"


@pytest.mark.filterwarnings("ignore")  # its own, about its other parts
def test_datumaro_reads_it(tmp_path: Path) -> None:
    datumaro = pytest.importorskip("datumaro")
    (tmp_path / "images" / "train").mkdir(parents=True)
    path = tmp_path / "annotations" / "instances_train.json"
    write(write_coco, path, clip((6, 8), DOGS), blocks())
    found = datumaro.Dataset.import_from(str(tmp_path), "coco_instances")
    masks = {
        item.id: {
            one.attributes["track_id"]: one.image
            for one in item.annotations
            if one.type == datumaro.AnnotationType.mask
        }
        for item in found
    }
    assert sorted(masks) == ["plate.0000", "plate.0001", "plate.0002"]
    for index, mask in enumerate(blocks()):
        theirs = masks[f"plate.{index:04d}"]
        assert sorted(theirs) == list(object_ids(mask))
        for object_id, region in theirs.items():
            np.testing.assert_array_equal(np.asarray(region, bool), mask == object_id)


def test_category_ids_are_official_where_all_classes_are() -> None:
    assert categories_of(["Tennis Racket", "person"]).id_of("tennis_racket") == 43
    assert categories_of(["toothbrush"]).id_of("toothbrush") == 90
    assert categories_of(["lizard", "person"]).source == "YouTube-VIS 2019"
    assert categories_of(["whale", "person"]).id_of("person") == 26
    numbered = categories_of(["person", "unicorn", ""])
    assert numbered.source == "numbered by name"
    assert dict(numbered.names) == {1: "object", 2: "person", 3: "unicorn"}
    assert numbered.id_of("") == 1
    assert dict(categories_of(["Elf", "elf"]).names) == {1: "Elf"}


def test_files_without_ids_are_understood_where_each_class_is_there_once(tmp_path: Path) -> None:
    labels = {1: ObjectLabel("a", "dog"), 2: ObjectLabel("b", "person")}
    path = tmp_path / "coco.json"
    write(write_coco, path, clip((6, 8), labels), blocks(), first_number=1)
    found = read_coco(foreign(path))
    assert found.numbers_from == "names"  # plate.0001.png is frame 1, not 0
    assert_same(found, blocks(), 1)
    assert found.labels == {1: ObjectLabel("dog", "dog"), 2: ObjectLabel("person", "person")}


def test_the_description_of_other_programs_is_no_clips_name(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    write(write_coco, path, clip((6, 8), DOGS), blocks())
    assert read_coco(path).clip_name == clip((6, 8), DOGS).name
    for info in ({"description": "COCO Label Conversion"}, {}, None, []):
        assert read_coco(edited(path, info=info)).clip_name == ""


def test_two_of_a_class_without_ids_are_refused_but_on_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    write(write_coco, path, clip((6, 8), DOGS), blocks())
    with pytest.raises(MaskError, match="picture 1 shows 2 of 'dog'") as refused:
        read_coco(foreign(path))
    assert "label" in refused.value.hint
    write(write_coco, path, clip((6, 8), DOGS), blocks()[:1])
    found = read_coco(foreign(path))
    assert_same(found, blocks()[:1])
    assert [label.name for label in found.labels.values()] == ["dog 1", "dog 2"]


def test_tracks_that_begin_with_0_are_no_background(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    write(write_coco, path, clip((6, 8), DOGS), blocks())
    foreign(path)

    def with_tracks(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # in `attributes`, as CVAT exports them
        return [
            {**one, "attributes": {"track_id": track}}
            for one, track in zip(annotations, (0, 1, 1), strict=True)
        ]

    found = read_coco(edited(path, annotations=with_tracks))
    assert_same(found, blocks())
    assert found.notices == ("objects are numbered anew from 1: the file's ids go from 0 to 1",)


def test_of_overlapping_regions_the_higher_score_is_on_top(tmp_path: Path) -> None:
    full, half = [0, 16], [8, 8]
    file = {
        "images": [{"id": 5, "width": 4, "height": 4, "file_name": "a.png"}],
        "categories": [{"id": 3, "name": "x"}],
        "annotations": [
            {"image_id": 5, "category_id": 3, "score": score, "track_id": track,
             "segmentation": {"size": [4, 4], "counts": counts}}
            for track, score, counts in ((1, 0.9, half), (2, 0.5, full))
        ],
    }  # fmt: skip
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(file))
    (only,) = read_coco(path).frames
    assert only.read().tolist() == [[2, 2, 1, 1]] * 4
    assert only.number == 0


def test_polygons_are_filled_and_boxes_left_out_with_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    write(write_coco, path, clip((6, 8), DOGS), blocks()[:1])

    def polygons(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        annotations[0]["segmentation"] = [[1, 1, 4, 1, 4, 3, 1, 3]]
        annotations[1]["segmentation"] = []
        return annotations

    found = read_coco(edited(path, annotations=polygons))
    np.testing.assert_array_equal(found.frames[0].read(), np.where(blocks()[0] == 1, 1, 0))
    assert found.notices == ("1 annotations have no region (boxes) and are left out",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "images is None, expected a list"),
        ({"images": [3]}, r"images\[0\] is 3, expected an object"),
        ({"images": lambda old: [*old, old[0]]}, "two images have the same id"),
        ({"images": lambda old: [{**one, "frame_number": 3} for one in old]}, "frame 3 is there"),
        ({"images": lambda old: old[1:]}, "image_id is 1, which no image has"),
        ({"images": lambda old: [{**one, "width": 7} for one in old]}, "its picture is 7×6"),
        ({"images": lambda old: [{**one, "width": "8"} for one in old]}, "expected a whole number"),
        ({"categories": []}, "category_id is 18, which no category has"),
        ({"annotations": {}}, "expected a list"),
        ({"annotations": lambda old: [{**old[0], "score": "high"}]}, "expected a number"),
        ({"annotations": lambda old: [{**old[0], "score": float("nan")}]}, "expected a number"),
        ({"annotations": lambda old: [{**old[0], "segmentation": 3}]}, "expected size and counts"),
        ({"objects": [{"id": 256, "name": "x"}]}, "id is 256, expected 1 to 255"),
    ],
)
def test_damaged_files_are_refused_by_the_path_of_the_damage(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "coco.json"
    write(write_coco, path, clip((6, 8), DOGS), blocks())
    with pytest.raises(MaskError, match=message):
        [one.read() for one in read_coco(edited(path, **changes)).frames]


@pytest.mark.parametrize(
    "size", [(-6, -8), (0, 0), (6 * 10**9, 8 * 10**9), (10**400, 10**400)], ids=repr
)
@pytest.mark.parametrize("region", [[[1, 1, 5, 1, 5, 5]], []])
def test_sizes_that_cannot_be_are_refused(
    tmp_path: Path, size: tuple[int, int], region: list[Any]
) -> None:
    path = tmp_path / "a.json"
    write(write_coco, path, clip((6, 8)), blocks())
    data = json.loads(path.read_text())
    data["images"][0] |= {"height": size[0], "width": size[1]}
    data["annotations"] = data["annotations"][:1]
    data["annotations"][0]["segmentation"] = region
    found = read_coco(path, data)
    with pytest.raises(MaskError, match="pixels cannot be") as caught:
        found.frames[0].read()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("field", ["score", "segmentation"])
def test_numbers_that_no_float_holds_are_refused(tmp_path: Path, field: str) -> None:
    path = tmp_path / "a.json"
    write(write_coco, path, clip((6, 8)), blocks())
    data = json.loads(path.read_text())
    data["annotations"][0][field] = 10**400 if field == "score" else [[10**400] * 6]
    with pytest.raises(MaskError):
        read_coco(path, data).frames[0].read()


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    for content in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b"3"):
        path.write_bytes(content)
        with pytest.raises(MaskError, match=r"coco\.json"):
            read_coco(path)
    with pytest.raises(MaskError, match="there is no file"):
        read_coco(tmp_path / "other.json")


def test_more_objects_than_a_mask_has_ids_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    write(write_coco, path, clip((6, 8), DOGS), blocks())

    def many(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**annotations[0], "object_id": object_id} for object_id in range(1, 257)]

    with pytest.raises(MaskError, match="256 objects, a mask has at most 255"):
        read_coco(edited(path, annotations=many))


def test_nothing_is_written_when_the_work_fails(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"

    def fail(shape: tuple[int, int]) -> None:
        with write_coco(path, clip(shape)) as add:
            add(frame(0), blocks()[0])
            raise LookupError

    with pytest.raises(LookupError):
        fail((6, 8))
    with pytest.raises(ValueError, match="expected uint8"):
        fail((6, 9))
    assert list(tmp_path.iterdir()) == []
