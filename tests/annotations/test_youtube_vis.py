from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from support.annotated import LABELS, assert_same, clip, masks_of_clips, write

from vfx_matte.annotations.youtube_vis import (
    read_dataset,
    read_results,
    write_dataset,
    write_results,
)
from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask, ObjectLabel, object_ids

# pycocotools of today says so about NumPy 2 when it decodes
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FORMS = {"results": (write_results, read_results), "data set": (write_dataset, read_dataset)}
PAIR = {1: ObjectLabel("Rex", "dog", 0.5), 2: ObjectLabel("Ada", "person", 0.9)}


def moving() -> list[Mask]:
    """Four frames: one object, both, none, the second alone."""
    masks = [np.zeros((6, 8), np.uint8) for _ in range(4)]
    masks[0][1:3, 1:4] = 1
    masks[1][1:3, 2:5], masks[1][3:6, 5:8] = 1, 2
    masks[3][0:2, 0:2] = 2
    return masks


def loaded(path: Path) -> Any:  # noqa: ANN401
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", FORMS)
@given(masks=masks_of_clips(), first=st.integers(-3, 2000))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_masks_come_back_with_names_scores_and_numbers(
    tmp_path: Path, form: str, masks: list[Mask], first: int
) -> None:
    writer, reader = FORMS[form]
    path = tmp_path / "result.json"
    write(writer, path, clip(masks[0].shape), masks, first)
    seen = {object_id for mask in masks for object_id in object_ids(mask)}
    if form == "results" and not seen:
        assert loaded(path) == []
        return
    found = reader(path)
    assert_same(found, masks, first)
    assert found.labels == {one: LABELS[one] for one in seen}
    assert (found.clip_name, found.numbers_from, found.notices) == ("Übung", "file", ())


def test_results_are_a_list_with_one_region_or_null_for_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write(write_results, path, clip((6, 8), PAIR), moving())
    entries = loaded(path)
    assert [
        (one["video_id"], one["score"], one["category_id"], len(one["segmentations"]))
        for one in entries
    ] == [(1, 0.5, 8, 4), (1, 0.9, 1, 4)]
    for object_id, entry in enumerate(entries, start=1):
        for region, mask in zip(entry["segmentations"], moving(), strict=True):
            assert (region is None) == (not (mask == object_id).any())
            if region is not None:
                assert isinstance(region["counts"], str)
                np.testing.assert_array_equal(coco.decode(region), mask == object_id)


def test_an_object_without_a_score_has_one_in_results_and_none_when_read(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write(write_results, path, clip((6, 8), {1: ObjectLabel("Rex", "dog")}), moving())
    assert [one["score"] for one in loaded(path)] == [1.0, 1.0]
    labels = read_results(path).labels
    assert labels == {1: ObjectLabel("Rex", "dog"), 2: ObjectLabel("object 2")}


def test_a_data_set_has_the_fields_of_youtube_vis(tmp_path: Path) -> None:
    path = tmp_path / "instances.json"
    write(write_dataset, path, clip((6, 8), PAIR), moving(), first_number=1)
    data = loaded(path)
    (video,) = data["videos"]
    assert video["length"] == len(video["file_names"]) == 4
    assert video["file_names"][0] == "Übung/plate.0001.png"
    assert [one["id"] for one in data["categories"]] == list(range(1, 41))
    assert data["info"]["category_ids"] == "YouTube-VIS 2019"
    for one in data["annotations"]:
        assert len(one["segmentations"]) == len(one["bboxes"]) == len(one["areas"]) == 4
        for region, box, area in zip(
            one["segmentations"], one["bboxes"], one["areas"], strict=True
        ):
            assert (region is None) == (box is None) == (area is None)
            if region is not None:
                assert area == coco.area(region)
                assert box == coco.toBbox(region).tolist()


def plain_results(path: Path) -> list[dict[str, Any]]:
    """What another program would have written."""
    return [
        {name: one[name] for name in ("video_id", "score", "category_id", "segmentations")}
        for one in loaded(path)
    ]


def test_results_of_other_programs_have_the_classes_of_2019_and_count_from_0(
    tmp_path: Path,
) -> None:
    path = tmp_path / "result.json"
    write(write_results, path, clip((6, 8), PAIR), moving(), first_number=7)
    path.write_text(json.dumps(plain_results(path)))
    found = read_results(path)
    assert found.numbers_from == "order"
    assert_same(found, moving(), 0)
    assert found.labels == {
        1: ObjectLabel("dog", "dog", 0.5),
        2: ObjectLabel("person", "person", 0.9),
    }


def test_of_overlapping_results_the_higher_score_is_on_top(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    full = {"size": [2, 2], "counts": [0, 4]}
    path.write_text(
        json.dumps(
            [
                {"video_id": 1, "score": score, "category_id": 1, "segmentations": [full]}
                for score in (0.2, 0.8, 0.5)
            ]
        )
    )
    found = read_results(path)
    assert found.frames[0].read().tolist() == [[2, 2], [2, 2]]
    assert [label.name for label in found.labels.values()] == ["person 1", "person 2", "person 3"]


def test_a_data_set_of_others_has_numbers_from_names_and_a_clip_by_its_folder(
    tmp_path: Path,
) -> None:
    path = tmp_path / "instances.json"
    write(write_dataset, path, clip((6, 8), PAIR), moving(), first_number=1)
    data = loaded(path)
    del data["objects"], data["videos"][0]["frame_numbers"], data["videos"][0]["name"]
    other = {**data["videos"][0], "id": 9, "file_names": ["other/0.jpg"], "length": 1}
    data["videos"].append(other)
    path.write_text(json.dumps(data))
    found = read_dataset(path, clip_name="Übung")
    assert found.numbers_from == "names"
    assert_same(found, moving(), 1)
    with pytest.raises(MaskError, match="2 clips, and none alone is 'x': Übung, other"):
        read_dataset(path, clip_name="x")


def test_results_of_several_clips_are_refused_unless_one_has_the_name(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write(write_results, path, clip((6, 8), PAIR), moving())
    entries = loaded(path)
    entries[1]["video_id"], entries[1]["video_name"] = 2, "other"
    path.write_text(json.dumps(entries))
    with pytest.raises(MaskError, match="of 2 clips"):
        read_results(path)
    assert list(read_results(path, clip_name="other").labels) == [2]


def test_as_many_regions_as_frames_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write(write_results, path, clip((6, 8), PAIR), moving())
    entries = loaded(path)
    entries[1]["segmentations"].pop()
    path.write_text(json.dumps(entries))
    with pytest.raises(MaskError, match=r"\[1\]\.segmentations has 3 entries, the clip has 4"):
        read_results(path)
    path.write_text("[]")
    with pytest.raises(MaskError, match="has no object"):
        read_results(path)
    path.write_text(json.dumps([{"video_id": 1, "category_id": 1, "score": 1}]))
    with pytest.raises(MaskError, match="segmentations is missing, expected a list"):
        read_results(path)


def test_more_than_255_results_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write(write_results, path, clip((6, 8), PAIR), moving())
    path.write_text(json.dumps(plain_results(path) * 128))
    with pytest.raises(MaskError, match="256 objects, a mask has at most 255"):
        read_results(path)
