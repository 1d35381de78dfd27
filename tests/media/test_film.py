"""Which stream of a file is the film, and pictures that move."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from support.command_line import CommandLine
from support.notices import Notices

from vfx_matte.errors import MediaError
from vfx_matte.media.open import open_clip
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.media.sequence import is_sequence


def write(path: Path, streams: list[tuple[int, int, int]], *, codec: str = "mpeg4") -> Path:
    """A file with video streams of (frames, width, height); pictures of stream n are of gray level
    60 + 60·n.
    """
    with av.open(str(path), "w") as output:
        made: list[Any] = []
        for _, width, height in streams:
            stream: Any = output.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            made.append(stream)
        for number in range(max(count for count, _, _ in streams)):
            for place, (stream, (count, width, height)) in enumerate(
                zip(made, streams, strict=True)
            ):
                if number < count:
                    image = np.full((height, width, 3), 60 + 60 * place, np.uint8)
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    frame.pts = number
                    output.mux(stream.encode(frame))
        for stream in made:
            output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts"])
def test_a_single_picture_before_the_film_is_passed_over(
    suffix: str, tmp_path: Path, notices: Notices
) -> None:
    reader = open_clip(write(tmp_path / f"c{suffix}", [(1, 32, 24), (5, 64, 48)]), notify=notices)
    assert (reader.info.shape, len(reader.info.timeline), reader.info.video_stream) == (
        (48, 64),
        5,
        1,
    )
    for frame in (*reader.frames(), reader.frame(3), *reader.frames_reversed()):
        assert frame.image.shape == (48, 64, 3)
        assert abs(int(frame.image.mean()) - 120) < 6
    told = [line for line in notices if "stream" in line]
    assert told == [
        f"c{suffix}: video stream 0 is a single picture (32×24); the film is stream 1 (64×48)"
    ]


def test_what_was_begun_of_another_stream_is_let_go(tmp_path: Path, notices: Notices) -> None:
    path = write(tmp_path / "c.mp4", [(1, 32, 24), (5, 64, 48)])
    reader = VideoReader(path, notify=notices, begins=True)
    assert [frame.picture.shape for frame in reader.frames()] == [(48, 64)] * 5
    assert reader._beginning is not None
    assert reader._beginning._coming.gi_frame is None


@pytest.mark.parametrize(
    "streams", [[(4, 64, 48), (1, 32, 24)], [(4, 64, 48), (6, 32, 24)], [(1, 64, 48), (1, 32, 24)]]
)
def test_otherwise_the_first_stream_is_the_film(
    streams: list[tuple[int, int, int]], tmp_path: Path, notices: Notices
) -> None:
    info = open_clip(write(tmp_path / "c.mkv", streams), notify=notices).info
    assert (info.shape, info.video_stream, len(info.timeline)) == ((48, 64), 0, streams[0][0])
    assert not [line for line in notices if "single picture" in line]


def animated(path: Path) -> Path:
    pictures = [Image.new("RGB", (32, 24), (80 * number, 0, 0)) for number in range(3)]
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=[100, 200, 300], loop=0
    )
    return path


@pytest.mark.parametrize("name", ["a.png", "a.apng", "a.gif"])
def test_a_picture_that_moves_is_a_clip_of_its_own_time(
    name: str, tmp_path: Path, notices: Notices
) -> None:
    path = tmp_path / name
    animated(path if name != "a.apng" else tmp_path / "a.png")
    if name == "a.apng":
        (tmp_path / "a.png").rename(path)
    assert not is_sequence(path)
    reader = open_clip(path, notify=notices)
    assert [float(time.start) for time in reader.info.timeline] == pytest.approx([0, 0.1, 0.3])
    assert [int(frame.image[0, 0, 0]) for frame in reader.frames()] == pytest.approx(
        [0, 80, 160], abs=2
    )


@pytest.mark.parametrize(("lossless", "mode"), [(True, "RGBA"), (False, "RGBA"), (False, "RGB")])
def test_an_animated_webp_of_one_picture_is_that_picture(
    lossless: bool, mode: str, tmp_path: Path, notices: Notices
) -> None:
    """As the pictures that ffmpeg writes to %03d.webp are."""
    y, x = np.mgrid[:48, :64]
    colors = np.dstack(
        [np.where(x < 32, 200, 40), 0 * x + 90, 0 * x + 30, np.where(y < 24, 255, 0)]
    ).astype(np.uint8)
    picture = Image.fromarray(colors[..., : len(mode)])
    picture.save(tmp_path / "plain.webp", lossless=lossless, exact=True)
    plain = (tmp_path / "plain.webp").read_bytes()
    inside = plain[12:] if plain[12:16] != b"VP8X" else plain[30:]
    size = (63).to_bytes(3, "little") + (47).to_bytes(3, "little")
    frame = bytes(6) + size + bytes(4) + inside
    flags = 2 | (0x10 if mode == "RGBA" else 0)
    body = b"VP8X" + struct.pack("<IB3x", 10, flags) + size + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    body += b"ANMF" + struct.pack("<I", len(frame)) + frame
    (tmp_path / "one.webp").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)
    one, other = (
        open_clip(tmp_path / name, notify=notices).frame(0) for name in ("one.webp", "plain.webp")
    )
    assert np.array_equal(one.colors, other.colors)
    assert (one.alpha is None) == (other.alpha is None) == (mode == "RGB")
    if one.alpha is not None:
        assert np.array_equal(one.alpha, other.alpha)


def test_an_animated_webp_is_refused_with_a_way_out(cli: CommandLine) -> None:
    animated(cli.folder / "a.webp")
    ran = cli.fails("probe", "a.webp", code=1)
    assert "animated WebP" in ran.error
    assert "PNG" in ran.hint


def test_a_still_png_is_a_sequence_of_one(tmp_path: Path, notices: Notices) -> None:
    Image.new("RGB", (32, 24)).save(tmp_path / "s.png")
    assert is_sequence(tmp_path / "s.png")
    assert len(open_clip(tmp_path / "s.png", notify=notices).info.timeline) == 1
    Image.new("RGB", (32, 24)).save(tmp_path / "s.webp")
    assert len(open_clip(tmp_path / "s.webp", notify=notices).info.timeline) == 1
    with pytest.raises(MediaError):
        open_clip(tmp_path / "none.png", notify=notices)
