"""Stills by their first bytes: kind and size without decoding, and what is refused before any
decoder sees it.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from support.command_line import CommandLine, paint, two_objects

from vfx_matte.errors import MaskError, MediaError, UsageError
from vfx_matte.files.still_header import read_still_header, require_still
from vfx_matte.references.files import load_mask_picture

WIDTH, HEIGHT = 60, 44


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of black R'G'B'A with further chunks before its pixels; only the first rows are there
    when it is very large.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compress(bytes((width * 4 + 1) * min(height, 64)))
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    inside = b"".join(
        chunk(*one) for one in ((b"IHDR", header), *chunks, (b"IDAT", rows), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + inside


@pytest.mark.parametrize(
    ("name", "how", "kind"),
    [
        ("a.png", {}, "png"),
        ("a.jpg", {"progressive": True}, "jpeg"),
        ("a.tif", {"compression": "tiff_lzw"}, "tiff"),
        ("big.tif", {"big_tiff": True}, "tiff"),
        ("a.bmp", {}, "bmp"),
        ("a.gif", {}, "gif"),
        ("lossy.webp", {}, "webp"),
        ("lossless.webp", {"lossless": True}, "webp"),
        ("a.ppm", {}, "pnm"),
        ("a.tga", {}, "tga"),
    ],
)
def test_kind_and_size_are_those_of_the_picture(
    tmp_path: Path, name: str, how: dict[str, object], kind: str
) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), (200, 0, 0)).save(tmp_path / name, **how)
    header = read_still_header(tmp_path / name)
    assert (header.kind, header.width, header.height) == (kind, WIDTH, HEIGHT)
    if name != "a.tga":
        (tmp_path / name).rename(tmp_path / "other.png")
        assert read_still_header(tmp_path / "other.png") == header, "the name says nothing"
    assert load_mask_picture(tmp_path / (name if name == "a.tga" else "other.png")).pixels.shape[
        :2
    ] == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"), [("a.exr", "exr", "gbrpf32le"), ("a.dpx", "dpx", "rgb24")]
)
def test_stills_of_film(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, pixels, 1
    frame = av.VideoFrame.from_ndarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).reformat(
        format=pixels
    )
    data = b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
    (tmp_path / name).write_bytes(data)
    header = read_still_header(tmp_path / name)
    assert (header.kind, header.width, header.height) == (codec, WIDTH, HEIGHT)
    if codec == "exr":  # a data window that is larger than what is shown
        at = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
        (tmp_path / name).write_bytes(
            data[: at + 8] + struct.pack("<ii", 99999, 99999) + data[at + 16 :]
        )
        with pytest.raises(UsageError, match="100000×100000"):
            require_still(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\nshowpage\n", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "PostScript"),
        (b"%PDF-1.7\n", "PDF"),
        (b"  <svg xmlns='x'/>", "SVG"),
        (b"\xd7\xcd\xc6\x9a" + bytes(60), "metafile"),
        (b"SIMPLE  =                    T" + bytes(60), "FITS"),
        (b"\0\0\0\x18ftypisom" + bytes(60), "a video"),
        (b"no picture", "not a picture"),
        (bytes(100), "not a picture"),
    ],
)
def test_what_is_no_still_is_refused_by_name(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "m.png").write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        read_still_header(tmp_path / "m.png")
    assert caught.value.hint


def refusal(path: Path) -> tuple[str, str]:
    """How a mask is refused, ("", "") when it is read."""
    try:
        load_mask_picture(path, shape=(HEIGHT, WIDTH))
    except MaskError as error:
        return error.message, error.hint
    return "", ""


def test_damaged_headers_are_one_line(tmp_path: Path) -> None:
    """Every file cut anywhere in its first bytes, or with a byte changed there, is read or refused,
    never worse.
    """
    for suffix in ("png", "jpg", "tif", "bmp", "gif", "webp", "ppm"):
        path = tmp_path / f"whole.{suffix}"
        Image.new("RGB", (WIDTH, HEIGHT), (200, 0, 0)).save(path)
        whole, broken = path.read_bytes(), tmp_path / f"broken.{suffix}"
        random = np.random.default_rng(1)
        for size in range(0, min(len(whole), 60), 3):
            for data in (whole[:size], whole[:size] + random.bytes(4) + whole[size + 4 :]):
                broken.write_bytes(data)
                message, hint = refusal(broken)
                assert bool(message) == bool(hint)
                assert "\n" not in message


def test_a_profile_or_text_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    large = zlib.compress(bytes(20 << 20))
    bombs = [
        [(b"iCCP", b"icc\0\0" + large)],
        [(b"zTXt", b"Comment\0\0" + large)],
        [(b"iTXt", b"Comment\0\1\0\0\0" + large)],
        [(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20)))] * 8,
    ]
    for chunks in bombs:
        (tmp_path / "m.png").write_bytes(png(WIDTH, HEIGHT, *chunks))
        with pytest.raises(UsageError, match="more than 16 MB"):
            read_still_header(tmp_path / "m.png")
    (tmp_path / "m.png").write_bytes(
        png(WIDTH, HEIGHT, (b"iCCP", b"icc\0\0" + zlib.compress(bytes(100_000))))
    )
    assert read_still_header(tmp_path / "m.png").width == WIDTH


def test_an_empty_file_a_folder_and_none(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(MediaError, match="empty"):
        read_still_header(tmp_path / "empty.png")
    with pytest.raises(UsageError, match="not a file"):
        read_still_header(tmp_path)
    with pytest.raises(MediaError, match="there is no file"):
        read_still_header(tmp_path / "none.png")


# ---------------------------------------------------------------- as an editor meets them

BOMBS = {"aspect": (13000, 13000), "shape": (18000, 12000)}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("size", BOMBS.values(), ids=BOMBS)
def test_a_huge_mask_is_never_decoded(
    cli: CommandLine, take: Callable[..., Path], clip: Path, size: tuple[int, int]
) -> None:
    """The clip is 96×64, so the second has its aspect."""
    take(clip)
    Path("b.png").write_bytes(png(*size))
    script = (
        "import re, sys; from vfx_matte.__main__ import main; code = 0\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        # of this program alone: what getrusage says begins with the memory of the process that
        # started it
        "print('MB', int(re.search('VmHWM:\\s*([0-9]+)', open('/proc/self/status').read())[1]) //"
        " 1024); sys.exit(code)"
    )
    command = [
        sys.executable,
        "-c",
        script,
        "segment",
        "clip.mp4",
        "--first-mask",
        "b.png",
        "--colors",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=120
    )
    assert ran.returncode == 2, ran.stderr
    assert "Warning" not in ran.stderr
    lines = ran.stderr.splitlines()
    assert len(lines) == 2
    assert f"{size[0]}×{size[1]}" in lines[0]
    assert "96×64" in lines[0]
    assert lines[1].startswith("hint: ")
    assert int(ran.stdout.split("MB")[-1]) < 500


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for Ghostscript")
def test_no_other_program_is_started_for_any_still(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A PostScript file under a picture's name: as a mask, in a folder of masks, as a background, a
    clip and in one.
    """
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("gs", "gswin32c", "gswin64c"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {programs}/ran\nexit 1\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 64\nshowpage\n%%EOF\n"
    for folder in ("masks", "frames", "scored"):
        Path(folder).mkdir()
    for path in ("p.png", "masks/0003.png", "frames/0001.png", "scored/0003.png"):
        Path(path).write_bytes(script)
    paint(Path("frames/0000.png"), two_objects())
    commands = (
        ("segment", "clip.mp4", "--first-mask", "p.png", "--colors"),
        ("segment", "clip.mp4", "--masks", "masks", "--colors"),
        ("greenback", "--background", "p.png", "-o", "x.mkv"),
        ("probe", "p.png"),
        ("frame", "frames", "--at", "1", "-o", "still.png"),
        ("evaluate", "scored", "scored"),
    )
    for command in commands:
        ran = project.run(*command)
        assert ran.code == 2, command
        assert "PostScript" in ran.error, command
        assert ran.hint
    assert not (programs / "ran").exists()


def test_a_mask_with_more_pictures_says_so(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip)
    first = Image.fromarray((two_objects() > 0).astype(np.uint8) * 255)
    first.save(
        "m.tif",
        save_all=True,
        append_images=[Image.new("L", first.size), Image.new("L", first.size)],
    )
    ran = cli("segment", "clip.mp4", "--first-mask", "m.tif", "--colors")
    assert any("more than one picture" in note for note in ran.notes)


def test_headers_without_an_end_are_refused_at_once(tmp_path: Path) -> None:
    """Filling bytes, empty chunks and empty profiles cost nothing to write and much to read one by
    one.
    """
    (tmp_path / "filled.jpg").write_bytes(b"\xff\xd8" + b"\xff" * 1_000_000)
    with pytest.raises(MediaError, match="more than 65,536 markers"):
        read_still_header(tmp_path / "filled.jpg")
    empty = struct.pack(">I4sI", 0, b"teXt", zlib.crc32(b"teXt"))
    (tmp_path / "chunks.png").write_bytes(png(60, 44)[:33] + empty * 300_000)
    with pytest.raises(MediaError, match="more than 262,144 chunks"):
        read_still_header(tmp_path / "chunks.png")
    nothing = zlib.compress(b"", 0)
    (tmp_path / "profile.png").write_bytes(
        png(60, 44, *[(b"iCCP", b"p\0\0" + nothing + bytes(6_000_000))] * 3)
    )
    with pytest.raises(UsageError, match="ICC profile"):
        read_still_header(tmp_path / "profile.png")


def test_a_file_that_is_too_large_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "big.jpg").open("wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate((2 << 30) + 1)  # sparse
    monkeypatch.setattr("vfx_matte.files.still_header._parse_header", None)
    with pytest.raises(UsageError, match="2048 MB, more than a picture needs"):
        read_still_header(tmp_path / "big.jpg")
