"""Label Studio's JSON: brushes and polygons of pictures, packed and read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.annotations.label_studio import pack, read_label_studio, unpack
from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask


def blocks() -> list[Mask]:
    """Three frames: both objects, none, the second alone."""
    masks = [np.zeros((6, 8), np.uint8) for _ in range(3)]
    masks[0][1:3, 1:4], masks[0][3:6, 5:8], masks[2][0:2, 0:2] = 1, 2, 2
    return masks


def packed(values: list[int], *, sizes: tuple[int, ...] = (3, 4, 8, 16)) -> list[int]:
    """Bytes as Label Studio packs a brush: runs where a value repeats, else single values."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    place = 0
    while place < len(values):
        length = 1
        while (
            place + length < len(values)
            and values[place + length] == values[place]
            and length < 2 ** sizes[3]
        ):
            length += 1
        size = next(index for index, bit in enumerate(sizes) if length <= 2**bit)
        is_run = int(length > 1)
        bits += f"{is_run}{size:02b}{length - 1:0{sizes[size]}b}{values[place]:08b}"
        place += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def brush(mask: np.ndarray[Any, Any], label: str) -> dict[str, Any]:
    rgba = np.repeat(np.where(mask, 255, 0).reshape(-1), 4).tolist()
    return {
        "type": "brushlabels",
        "original_width": mask.shape[1],
        "original_height": mask.shape[0],
        "value": {"format": "rle", "rle": packed(rgba), "brushlabels": [label]},
    }


def task(name: str, *results: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"image": f"/data/upload/1/{name}?x=1"}, "annotations": [{"result": results}]}


def test_brushes_of_label_studio_come_in_as_objects(tmp_path: Path) -> None:
    masks = blocks()
    tasks = [
        # two strokes of one label are one object's
        task(
            "1f2e-frame_0007.png",
            brush(masks[0] == 1, "dog"), brush(masks[0] == 2, "cat"), brush(masks[2] == 2, "dog"),
            {"type": "choices", "value": {}},
        ),
        task("9a-frame_0009.png", brush(masks[2] == 2, "cat")),
        task("9b-frame_0011.png"),
    ]  # fmt: skip
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    found = read_label_studio(path)
    assert [frame.number for frame in found.frames] == [7, 9]
    assert {number: label.name for number, label in found.labels.items()} == {1: "cat", 2: "dog"}
    expected = np.where(masks[0] == 2, 1, np.where((masks[0] == 1) | (masks[2] == 2), 2, 0))
    np.testing.assert_array_equal(found.frames[0].read(), expected)
    np.testing.assert_array_equal(found.frames[1].read(), masks[2] == 2)
    assert found.notices == ("1 regions are no brushes or polygons and are left out",)


@given(st.lists(st.integers(0, 255), min_size=4, max_size=400))
def test_packed_brushes_of_any_bytes_are_unpacked(values: list[int]) -> None:
    assert unpack(packed(values), len(values), "x").tolist() == values


def test_a_polygon_of_label_studio_is_in_per_cent(tmp_path: Path) -> None:
    polygon = {
        "type": "polygonlabels", "original_width": 10, "original_height": 8,
        "value": {"points": [[0, 0], [50, 0], [50, 50], [0, 50]], "polygonlabels": ["dog"]},
    }  # fmt: skip
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task("a.png", polygon)]))
    mask = read_label_studio(path).frames[0].read()
    assert mask[:4, :5].all()
    assert mask.sum() == 20


@pytest.mark.parametrize("rle", [[], [1, 2, 3], ["x"], [256], packed([0] * 8), [0] * 40])
def test_damaged_brushes_are_refused(tmp_path: Path, rle: list[Any]) -> None:
    one = brush(np.ones((2, 2), bool), "dog")
    one["value"]["rle"] = rle
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task("a.png", one)]))
    with pytest.raises(MaskError, match="rle"):
        read_label_studio(path)
    path.write_text(json.dumps([task("a.png")]))
    with pytest.raises(MaskError, match="no brush and no polygon"):
        read_label_studio(path)


@pytest.mark.parametrize("points", [[["a", "b"]] * 3, [[1], [1, 2]], [[10**400, 1]] * 3, [{}]])
def test_damaged_corners_are_refused(tmp_path: Path, points: list[Any]) -> None:
    one = brush(np.ones((2, 2), bool), "dog")
    one |= {"type": "polygonlabels", "value": {"points": points, "polygonlabels": ["dog"]}}
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task("a.png", one)]))
    with pytest.raises(MaskError, match="corners"):
        read_label_studio(path)


# ---------------------------------------------------------------- written


def rgba(region: np.ndarray[Any, Any]) -> list[int]:
    return [int(value) for value in np.repeat(np.where(region, 255, 0).reshape(-1), 4)]


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)  # fmt: skip
def test_regions_are_packed_as_label_studio_packs_them(
    height: int, width: int, seed: int, share: float
) -> None:
    region = np.random.default_rng(seed).random((height, width)) < share
    values = rgba(region)
    assert pack(region) == packed(values)
    assert unpack(pack(region), len(values), "x").tolist() == values


@pytest.mark.parametrize("shape", [(1, 16384), (1, 16385), (128, 128), (300, 301)])
def test_runs_that_no_length_can_say_are_several(shape: tuple[int, int]) -> None:
    region = np.ones(shape, bool)
    values = rgba(region)
    assert pack(region) == packed(values)
    region[0, -1] = False
    assert unpack(pack(region), len(values), "x").tolist() == rgba(region)


@pytest.mark.parametrize(
    "region", [np.zeros((2, 2), np.uint8), np.zeros(4, bool), np.zeros((0, 3), bool)]
)
def test_only_regions_are_packed(region: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ValueError, match="expected bool"):
        pack(region)
