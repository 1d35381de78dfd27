"""Clips whose pictures change on the way: every frame comes in the first one's size, layout and
range, and it is said once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from support.command_line import CommandLine, paint, pictures
from support.notices import Notices

from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import frame_from, put_tags
from vfx_matte.media.readers.changes import suspected_changes
from vfx_matte.media.readers.uniform import fit_picture
from vfx_matte.picture import ColorTags, Picture, PixelLayout

WHITE, BLACK = 255, 0


def halves(size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """White on the left, black on the right: uint8 (H, W, 3)."""
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = WHITE
    return picture


def write(
    path: Path,
    images: Iterable[np.ndarray[Any, Any]],
    codec: str,
    pixel_format: str,
    **settings: str,
) -> Path:
    """A film of these pictures, 25 a second.

    settings: "aspect" is the pixel shape, others go to the encoder.
    """
    aspect = Fraction(settings.pop("aspect", "1"))
    with av.open(str(path), "w") as output:
        stream: Any = None
        for number, image in enumerate(images):
            if stream is None:
                stream = output.add_stream(codec, rate=25, options=settings)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = pixel_format
                stream.codec_context.sample_aspect_ratio = aspect
            frame = av.VideoFrame.from_ndarray(
                image, format="rgb24" if image.shape[2] == 3 else "rgba"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def joined(path: Path, parts: list[Path], *, frames: int) -> Path:
    """The packets of several films one after the other in one stream, as recorders and joining
    programs write them.
    """
    if path.suffix == ".ts":
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        return path
    with av.open(str(path), "w") as output:
        stream: Any = None
        for number, part in enumerate(parts):
            with av.open(str(part)) as container:
                source = container.streams.video[0]
                stream = stream or output.add_stream_from_template(source)
                step = round(Fraction(frames, 25) / source.time_base)
                for packet in container.demux(source):
                    if packet.size:
                        packet.pts, packet.dts = (
                            packet.pts + number * step,
                            packet.dts + number * step,
                        )
                        packet.stream = stream
                        output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("libvpx", "yuv420p", ".webm"),
        ("libvpx-vp9", "yuv420p", ".webm"),
        ("mjpeg", "yuvj420p", ".mkv"),
        ("libx264", "yuv420p", ".ts"),
    ],
)
def test_another_size_is_scaled_to_the_first_one(
    codec: str, pixel_format: str, suffix: str, tmp_path: Path, notices: Notices
) -> None:
    parts = [
        write(tmp_path / f"{number}{suffix}", [halves(size)] * 3, codec, pixel_format)
        for number, size in enumerate([(64, 48), (128, 96)])
    ]
    reader = open_clip(joined(tmp_path / f"all{suffix}", parts, frames=3), notify=notices)
    for frames in (
        list(reader.frames()),
        list(reader.frames_reversed())[::-1],
        [reader.frame(n) for n in range(6)],
    ):
        assert [frame.index for frame in frames] == list(range(6))
        for frame in frames:
            assert frame.picture.shape == (48, 64)
            assert frame.picture.layout == reader.info.layout
            assert frame.image[:, :26].min() > 225
            assert frame.image[:, 38:].max() < 30
    told = [line for line in notices if "change on the way" in line]
    assert told == [
        f"all{suffix}: pictures change on the way (frame 3 is 128×96 instead of 64×48); all are"
        " made like the first one"
    ]


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("libvpx", "yuv420p", ".webm"),
        ("libvpx-vp9", "yuv420p", ".webm"),
        ("mjpeg", "yuvj420p", ".mkv"),
        ("libx264", "yuv420p", ".ts"),
        ("libx265", "yuv420p", ".ts"),
        ("mpeg2video", "yuv420p", ".mkv"),
        ("prores_ks", "yuv422p10le", ".mov"),
    ],
)
def test_headers_say_where_pictures_change(
    codec: str, pixel_format: str, suffix: str, tmp_path: Path, notices: Notices
) -> None:
    """What does not change is not suspected, and the suspected frame is the first that is
    another.
    """
    settings = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    parts = [
        write(tmp_path / f"{number}{suffix}", [halves(size)] * 3, codec, pixel_format, **settings)
        for number, size in enumerate([(64, 48), (64, 48), (128, 96)])
    ]
    reader = open_clip(joined(tmp_path / f"all{suffix}", parts, frames=3), notify=notices)
    found = list(suspected_changes(reader.info))
    assert len(found) == 1
    list(reader.frames())
    assert any(f"(frame {found[0]} is 128×96 instead of 64×48)" in line for line in notices), (
        found,
        notices,
    )


def test_another_shape_is_fitted_in_with_black_bars(tmp_path: Path, notices: Notices) -> None:
    parts = [
        write(
            tmp_path / f"{number}.webm",
            [np.full((*size, 3), WHITE, np.uint8)] * 2,
            "libvpx",
            "yuv420p",
        )
        for number, size in enumerate([(48, 64), (64, 48)])
    ]
    first, last = (
        open_clip(joined(tmp_path / "c.webm", parts, frames=2), notify=notices).frame(n).image
        for n in (0, 3)
    )
    assert first.min() > 240
    assert last.shape == first.shape
    assert last[:, 16:48].min() > 225  # 48×64 in 64×48 is 36 wide
    assert max(last[:, :12].max(), last[:, 52:].max()) < 20


def test_nearly_the_same_shape_has_no_bars(tmp_path: Path, notices: Notices) -> None:
    save(tmp_path / "0.png", np.full((100, 100, 3), WHITE, np.uint8))
    save(tmp_path / "1.png", np.full((100, 102, 3), WHITE, np.uint8))
    assert open_clip(tmp_path, notify=notices).frame(1).image.min() == WHITE


def save(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    Image.fromarray(pixels).save(path)


def test_pictures_of_several_sizes_and_modes(tmp_path: Path, notices: Notices) -> None:
    red = np.zeros((24, 32, 3), np.uint8)
    red[..., 0] = 200
    save(tmp_path / "0.png", red)
    save(tmp_path / "1.png", np.full((24, 32), 90, np.uint8))
    save(tmp_path / "2.png", red.repeat(2, 0).repeat(2, 1))
    save(tmp_path / "3.png", np.full((24, 32), 90 * 257, np.uint16))
    Image.fromarray(red).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "4.png")
    save(tmp_path / "5.png", np.dstack([red, np.full((24, 32), 128, np.uint8)]))
    frames = list(open_clip(tmp_path, notify=notices).frames())
    assert {frame.picture.layout for frame in frames} == {PixelLayout("rgb", 8)}
    for frame, wanted in zip(
        frames,
        [(200, 0, 0), (90, 90, 90), (200, 0, 0), (90, 90, 90), (200, 0, 0), (200, 0, 0)],
        strict=True,
    ):
        assert frame.colors.shape == (24, 32, 3)
        assert np.abs(frame.colors.astype(int) - wanted).max() <= 1, frame.index
    assert [frame.alpha is None for frame in frames] == [True] * 5 + [False]
    assert sum("change on the way" in line for line in notices) == 1


def test_a_gray_leader_takes_no_colour_from_what_follows(tmp_path: Path, notices: Notices) -> None:
    save(tmp_path / "0.png", np.zeros((24, 32), np.uint8))
    save(tmp_path / "1.png", np.full((24, 32, 3), (10, 200, 30), np.uint8))
    reader = open_clip(tmp_path, notify=notices)
    assert reader.info.layout == PixelLayout("rgb", 8)
    assert reader.frame(1).image[0, 0].tolist() == [10, 200, 30]
    assert reader.frame(0).image.max() == 0


def test_range_and_subsampling_are_converted(tmp_path: Path, notices: Notices) -> None:
    info = open_clip(
        write(tmp_path / "c.mkv", [halves((32, 24))], "ffv1", "yuv420p"), notify=notices
    ).info
    tv = ColorTags("bt709", "tv", "bt709", "bt709")
    info = replace(info, color=tv, first_color=tv)
    full = Picture(
        (np.full((24, 32), 255, np.uint8), *(np.full((24, 32), 128, np.uint8) for _ in range(2))),
        PixelLayout("yuv", 8), replace(tv, range="pc"),
    )  # fmt: skip
    frame = frame_from(full)
    put_tags(frame, full.color)
    found = fit_picture(frame, info)
    assert found.difference == "yuv444p instead of yuv420p; range pc instead of range tv"
    assert found.native.format.name == "yuv420p"
    assert np.frombuffer(found.native.planes[0], np.uint8)[0] == 235
    same = frame_from(replace(full, layout=PixelLayout("yuv", 8)))
    put_tags(same, tv)
    assert fit_picture(same, replace(info, layout=PixelLayout("yuv", 8))).native is same


def test_wide_pixels_count_for_the_shape(tmp_path: Path, notices: Notices) -> None:
    white = np.full((48, 64, 3), WHITE, np.uint8)
    info = open_clip(write(tmp_path / "c.mkv", [white], "ffv1", "yuv420p"), notify=notices).info
    narrow = fit_picture(
        av.VideoFrame.from_ndarray(white[:, :32].copy(), format="rgb24"),
        info,
        sample_aspect=Fraction(2),
    )
    assert narrow.is_converted
    assert np.frombuffer(narrow.native.planes[0], np.uint8).min() >= 234


@pytest.mark.slow
def test_every_command_takes_a_clip_whose_size_changes(cli: CommandLine) -> None:
    parts = [
        write(cli.folder / f"{number}.webm", [halves(size)] * 2, "libvpx", "yuv420p")
        for number, size in enumerate([(64, 48), (96, 72)])
    ]
    joined(cli.folder / "c.webm", parts, frames=2)
    ids = np.zeros((48, 64), np.uint8)
    ids[8:40, 8:40] = 1
    paint(cli.folder / "m.png", ids)
    assert "(frame 2 is 96×72 instead of 64×48)" in cli("probe", "c.webm").stderr
    assert (
        "pictures change on the way"
        in cli("frame", "c.webm", "--at", "3", "-o", "still.png").stderr
    )
    with Image.open(cli.folder / "still.png") as still:
        assert still.size == (64, 48)
    assert (
        cli("segment", "c.webm", "--first-mask", "m.png", "--propagator", "builtin").stderr.count(
            "change on the way"
        )
        == 1
    )
    for command in ("greenback", "alpha", "overlay", "maskvideo"):
        ran = cli(command, "c.webm", "-o", f"{command}.mkv")
        assert ran.stderr.count("change on the way") == 1, command
        assert [
            (frame.width, frame.height) for frame in pictures(cli.folder / f"{command}.mkv")
        ] == [(64, 48)] * 4
    cli("conform", "c.webm", "--outputs", "source")
    cli("qc", "c.webm")
    cli("verify", "alpha.mkv", "--source", "c.webm")
