"""EXR files with one layer per object, read back byte by byte: not through the library that wrote
them.
"""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.command_line import CommandLine, pictures, two_objects
from support.notices import Notices

from vfx_matte.errors import OutputError
from vfx_matte.media.writers.exr import LayersWriter, verify_layers
from vfx_matte.media.writers.numbered_files import NumberedFiles

Levels = npt.NDArray[np.float64]


def read_exr(path: Path) -> tuple[dict[str, bytes], dict[str, Levels]]:
    """Attributes and half-float channels of a scan-line EXR file with ZIP blocks (OpenEXR file
    layout, openexr.com).
    """
    data = path.read_bytes()
    assert data[:4] == b"\x76\x2f\x31\x01"
    at, attributes = 8, {}
    while data[at]:
        name, kind, _ = data[at:].split(b"\0", 2)
        at += len(name) + len(kind) + 2
        size = struct.unpack_from("<i", data, at)[0]
        attributes[name.decode()] = data[at + 4 : at + 4 + size]
        at += 4 + size
    names, listed = [], attributes["channels"]
    while listed[0]:
        name, listed = listed.split(b"\0", 1)
        assert struct.unpack_from("<i", listed)[0] == 1, "half float"
        names.append(name.decode())
        listed = listed[16:]
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    rows = np.zeros((height, len(names), width), np.float16)
    for offset in struct.unpack_from(f"<{-(-height // 16)}Q", data, at + 1):
        first, size = struct.unpack_from("<2i", data, offset)
        count = min(16, height - first)
        packed, plain = data[offset + 8 : offset + 8 + size], count * len(names) * width * 2
        if size < plain:  # undo ZIP: differences of bytes, then even and odd bytes apart
            deltas = np.frombuffer(zlib.decompress(packed), np.uint8).astype(np.int64)
            deltas[1:] -= 128
            halves = (np.cumsum(deltas) % 256).astype(np.uint8)
            whole = np.empty_like(halves)
            whole[0::2], whole[1::2] = halves[: (plain + 1) // 2], halves[(plain + 1) // 2 :]
            packed = whole.tobytes()
        rows[first : first + count] = np.frombuffer(packed, "<f2").reshape(count, len(names), width)
    return attributes, {name: rows[:, index].astype(float) for index, name in enumerate(names)}


def test_every_object_is_a_layer(project: CommandLine) -> None:
    ran = project("maskvideo", "--median", "0", "-o", "mattes/%07d.exr")
    assert "verified: every file is complete; object1, object2" in ran.stdout
    files = sorted(Path("mattes").iterdir())
    assert [path.name for path in files] == [f"{index:07d}.exr" for index in range(12)]
    attributes, channels = read_exr(files[5])
    assert set(channels) == {"A", "B", "G", "R", "object1.A", "object2.A"}
    objects = two_objects()
    for object_id in (1, 2):
        np.testing.assert_array_equal(channels[f"object{object_id}.A"], objects == object_id)
    for name in "RGBA":
        np.testing.assert_array_equal(channels[name], objects > 0)
    assert struct.unpack("<f", attributes["pixelAspectRatio"]) == (1.0,)
    assert not any(values.any() for values in read_exr(files[0])[1].values()), (
        "frames without a mask are empty"
    )


def test_soft_edges_are_soft(project: CommandLine) -> None:
    project("maskvideo", "--feather", "9", "--object", "1", "-o", "mattes/m.%04d.exr")
    _, channels = read_exr(Path("mattes/m.0005.exr"))
    assert set(channels) == {"A", "B", "G", "R", "object1.A"}
    matte = channels["object1.A"]
    assert matte.min() == 0
    assert matte.max() == 1
    assert len(np.unique(matte)) > 20
    np.testing.assert_array_equal(channels["R"], matte)


def test_a_program_without_layers_sees_white_on_black(project: CommandLine) -> None:
    project("maskvideo", "--median", "0", "-o", "mattes/%07d.exr")
    frame = next(pictures(Path("mattes/0000005.exr")))
    assert frame.format.name == "gbrapf16le"
    plane = np.frombuffer(frame.planes[0], np.float16).reshape(frame.height, -1)[:, : frame.width]
    np.testing.assert_array_equal(plane, two_objects() > 0)


def test_odd_sizes_and_wide_pixels(tmp_path: Path, notices: Notices) -> None:
    ramp = np.arange(17 * 33, dtype=np.uint16).reshape(17, 33) * 100
    with LayersWriter(
        tmp_path / "x", NumberedFiles("", 1, ".exr"), sample_aspect=Fraction(16, 15)
    ) as writer:
        writer.write(7, {"object3": ramp}, ramp, full=65535)
    attributes, channels = read_exr(tmp_path / "x" / "7.exr")
    np.testing.assert_allclose(channels["object3.A"], ramp / 65535, atol=2**-11)
    assert struct.unpack("<f", attributes["pixelAspectRatio"])[0] == pytest.approx(16 / 15)


def test_only_a_complete_folder_gets_its_name(tmp_path: Path, notices: Notices) -> None:
    place, names = tmp_path / "mattes", NumberedFiles(tail=".exr")
    white = np.full((4, 4), 255, np.uint8)

    def write(frames: int, *, fail: bool = False) -> None:
        with LayersWriter(place, names, sample_aspect=Fraction(1)) as writer:
            for index in range(frames):
                writer.write(index, {"object1": white}, white, full=255)
            if fail:
                raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write(2, fail=True)
    assert list(tmp_path.iterdir()) == []
    write(3)
    with pytest.raises(RuntimeError, match="stopped"):
        write(1, fail=True)
    assert len(list((tmp_path / "mattes").iterdir())) == 3, "the earlier result stays"
    write(2)
    assert [path.name for path in sorted((tmp_path / "mattes").iterdir())] == [
        "0000000.exr",
        "0000001.exr",
    ]
    assert verify_layers(place, names, 2, ("object1",)).ok
    assert (
        verify_layers(place, names, 3, ("object1",)).first_difference
        == "frame count: 2 files, the source has 3 frames; 0000002.exr is missing"
    )
    assert (
        verify_layers(place, names, 2, ("object1", "object2")).first_difference
        == "layers: layer object2 is missing"
    )
    (tmp_path / "mattes" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write(2)


@pytest.mark.parametrize("output", ["mattes.exr", "m/x.exr", "m/%d-%d.exr", "m/%s.exr", "%07d.exr"])
def test_a_name_without_a_place_for_the_number(project: CommandLine, output: str) -> None:
    ran = project.fails("maskvideo", "-o", output, code=2)
    assert "FOLDER/%07d.exr" in ran.hint
    assert not list(Path().glob("**/*.exr"))


def test_styles_are_not_for_layers(project: CommandLine) -> None:
    assert (
        "'rgb' is not for EXR"
        in project.fails("maskvideo", "--style", "rgb", "-o", "m/%07d.exr", code=2).error
    )


def test_without_the_package_it_says_what_to_install(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    ran = project.fails("maskvideo", "-o", "m/%07d.exr", code=1)
    assert ran.hint == "in the vfx-matte folder: pip install -e '.[exr]'"
