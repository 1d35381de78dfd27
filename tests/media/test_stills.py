"""Image sequences in and out, and backgrounds."""

from __future__ import annotations

import errno
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.clips import BT709, VFR_PTS, coded, coded_picture, number_of
from support.notices import Notices

from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import MediaError, OutputError, UsageError
from vfx_matte.media.background import open_background
from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import FULL_RGB, as_layout
from vfx_matte.media.readers import stills
from vfx_matte.media.writers.stills import StillsWriter, written_stills
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.timeline import FrameTime
from vfx_matte.wording import spelled

Make = Callable[..., Path]
NOW = FrameTime(0, 1, Fraction(1))
FORMATS = {
    ".png": ("png", "rgb24"),
    ".jpg": ("mjpeg", "yuvj420p"),
    ".tif": ("tiff", "rgb24"),
    ".bmp": ("bmp", "bgr24"),
}


def save(
    path: Path, array: np.ndarray[Any, Any], pixel_format: str, codec: str, to: str | None = None
) -> None:
    """Write one picture file. array: as av.VideoFrame.from_ndarray takes it."""
    frame = av.VideoFrame.from_ndarray(array, format=pixel_format)
    frame = frame.reformat(format=to) if to and to != pixel_format else frame
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    frame.pts = 0
    path.write_bytes(
        b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    )


def rgb(index: int, size: tuple[int, int] = (96, 64)) -> np.ndarray[Any, Any]:
    return np.repeat(coded(index, size)[..., None], 3, axis=2)


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """Pictures 1001, 1002, 1004, 1010: a gap in the numbers; the picture says its place in
    the row.
    """
    folder = tmp_path / "plates of day 1"
    folder.mkdir()
    for place, number in enumerate((1001, 1002, 1004, 1010)):
        save(folder / f"plate.{number}.png", rgb(place), "rgb24", "png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.mark.parametrize("name", ["", "plate.%04d.png"])
def test_sequences_are_read_in_order(name: str, plates: Path, notices: Notices) -> None:
    reader = open_clip(plates / name if name else plates, notify=notices)
    held = [0, 1, 1, 2, 2, 2, 2, 2, 2, 3]
    assert [number_of(frame.image) for frame in reader.frames()] == held
    assert [number_of(frame.image) for frame in reader.frames_reversed(1)] == held[:0:-1]
    assert number_of(reader.frame(3).picture.planes[0]) == 2
    assert reader.info.timeline.pts == tuple(range(10))
    assert [reader.info.timeline.number(index) for index in (0, 9)] == [1001, 1010]
    assert reader.info.timeline.average_fps == 25
    assert reader.info.color.range == "pc"
    assert len(notices) == 1
    assert "6 pictures are missing (1003, 1005 to 1009 of 1001 to 1010)" in notices[0]
    with pytest.raises(UsageError, match="frame 1011 is not in the clip") as caught:
        reader.frame(10)
    assert "1001 to 1010" in caught.value.hint


def test_what_stands_for_missing_pictures_can_be_chosen(plates: Path, notices: Notices) -> None:
    reader = open_clip(plates, notify=notices, gaps="black")
    black = [not frame.image.any() for frame in reader.frames()]
    assert black == [number in (1003, *range(1005, 1010)) for number in range(1001, 1011)]
    assert reader.frame(2).picture.layout == reader.info.layout
    with pytest.raises(MediaError, match=r"6 pictures are missing \(1003, 1005 to 1009 ") as caught:
        open_clip(plates, notify=notices, gaps="error")
    assert spelled(caught.value.hint, as_typed).endswith("or --gaps black")
    with pytest.raises(UsageError, match="unknown choice for gaps 'close'"):
        open_clip(plates, notify=notices, gaps="close")


@pytest.mark.parametrize("suffix", FORMATS)
def test_black_pictures_have_the_layout_of_the_others(
    suffix: str, tmp_path: Path, notices: Notices
) -> None:
    codec, pixel_format = FORMATS[suffix]
    for index in (5, 7):
        save(tmp_path / f"{index}{suffix}", rgb(index), "rgb24", codec, pixel_format)
    frame = open_clip(tmp_path, notify=notices, gaps="black").frame(1)
    assert frame.picture.layout == open_clip(tmp_path, notify=notices).info.layout
    assert not frame.image.any()


def test_numbers_count_not_letters(tmp_path: Path, notices: Notices) -> None:
    for place, name in enumerate(("shot2_9.png", "shot2_10.png", "shot2_11.png")):
        save(tmp_path / name, rgb(place), "rgb24", "png")
    assert [number_of(frame.image) for frame in open_clip(tmp_path, notify=notices).frames()] == [
        0,
        1,
        2,
    ]


def test_the_rate_of_a_sequence_is_exact(plates: Path, notices: Notices) -> None:
    timeline = open_clip(plates, notify=notices, fps=Fraction(30000, 1001)).info.timeline
    assert timeline.average_fps == Fraction(30000, 1001)
    assert timeline.end == 10 * Fraction(1001, 30000)
    with pytest.raises(UsageError, match="fps 0 is not positive"):
        open_clip(plates, notify=notices, fps=Fraction(0))


@pytest.mark.parametrize("suffix", FORMATS)
def test_kinds_of_pictures(suffix: str, tmp_path: Path, notices: Notices) -> None:
    codec, pixel_format = FORMATS[suffix]
    for index in range(2):
        save(tmp_path / f"{index}{suffix}", rgb(index, (101, 77)), "rgb24", codec, pixel_format)
    reader = open_clip(tmp_path, notify=notices)
    assert [number_of(frame.image) for frame in reader.frames()] == [0, 1]
    assert reader.info.shape == (77, 101)
    if suffix != ".jpg":
        assert np.array_equal(reader.frame(1).image, rgb(1, (101, 77)))


def test_sixteen_bits_are_kept(tmp_path: Path, notices: Notices) -> None:
    ramp = np.linspace(0, 65535, 96 * 64 * 3).reshape(64, 96, 3).astype(np.uint16)
    save(tmp_path / "0.png", ramp, "rgb48be", "png")
    picture = open_clip(tmp_path / "0.png", notify=notices).frame(0).picture
    assert picture.layout == PixelLayout("rgb", 16)
    assert np.array_equal(np.stack(picture.planes, axis=2), ramp)


def test_exr_is_shown_with_the_srgb_curve(tmp_path: Path, notices: Notices) -> None:
    linear = np.zeros((16, 32, 3), np.float32)
    linear[:, :8], linear[:, 8:16], linear[:, 16:24] = 0.2140, 1.0, 4.0
    save(tmp_path / "0.exr", linear, "gbrpf32le", "exr")
    frame = open_clip(tmp_path, notify=notices).frame(0)
    assert frame.picture.layout == PixelLayout("rgb", 16)
    middle, white, bright, black = (
        int(frame.picture.planes[1][8, column]) for column in (4, 12, 20, 28)
    )
    assert abs(middle - 65535 / 2) < 100  # 0.214 is half the way up the sRGB curve (IEC 61966-2-1)
    assert (white, bright, black) == (65535, 65535, 0)
    assert abs(int(frame.image[8, 4, 0]) - 128) <= 1


def test_bad_sequences(tmp_path: Path, notices: Notices) -> None:
    with pytest.raises(MediaError, match="holds no pictures"):
        open_clip(tmp_path / "none.%04d.png", notify=notices)
    with pytest.raises(MediaError, match="there is no file"):
        open_clip(tmp_path / "none.png", notify=notices)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(MediaError, match=r"broken\.png"):
        open_clip(tmp_path / "broken.png", notify=notices)


LAYOUTS = [
    (PixelLayout("rgb", 8), "rgb24"), (PixelLayout("rgb", 8, has_alpha=True), "rgba"),
    (PixelLayout("gray", 8), "gray"),
    (PixelLayout("rgb", 16), "rgb48be"), (PixelLayout("rgb", 16, has_alpha=True), "rgba64be"),
    (PixelLayout("gray", 16), "gray16be"), (PixelLayout("rgb", 10, has_alpha=True), "rgba64be"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "pixel_format"), LAYOUTS, ids=[name for _, name in LAYOUTS[:-1]] + ["10 bit"]
)
def test_written_stills_are_exact(
    layout: PixelLayout, pixel_format: str, tmp_path: Path, notices: Notices
) -> None:
    random = np.random.default_rng(3)
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    color = ColorTags("gbr" if layout.model == "rgb" else "bt709", "pc", "bt709", "bt709")
    pictures = [
        Picture(
            tuple(
                random.integers(0, layout.full + 1, (7, 11), dtype=dtype)
                for _ in range(layout.plane_count)
            ),
            layout,
            color,
        )
        for _ in range(5)
    ]
    folder = tmp_path / "片 stills"
    with StillsWriter(folder) as writer:
        for picture in pictures:
            writer.write(picture, NOW)
        assert not folder.exists()
    assert writer.path == folder
    assert writer.tracks == []
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{index:07d}.png" for index in range(5)
    ]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    for index, picture in enumerate(pictures):
        with av.open(str(folder / f"{index:07d}.png")) as container:
            frame = next(container.decode(video=0))
        assert frame.format.name == pixel_format
        samples = frame.to_ndarray().reshape(7, 11, -1)
        full = 255 if layout.bit_depth == 8 else 65535
        wanted = np.stack(
            [np.floor(plane.astype(float) * full / layout.full + 0.5) for plane in picture.planes],
            axis=2,
        )
        assert np.array_equal(samples, wanted)


def test_yuv_stills_use_the_clips_matrix(tmp_path: Path, notices: Notices) -> None:
    picture = coded_picture(3, (96, 64), "yuv420p", BT709)
    with StillsWriter(tmp_path / "stills") as writer:
        writer.write(picture, NOW, index=41)
        writer.write(picture, NOW)
    assert written_stills(tmp_path / "stills") == [41, 42]
    assert number_of(open_clip(tmp_path / "stills", notify=notices).frame(0).image) == 3


def stills_of(
    folder: Path, count: int, notices: Notices, error: BaseException | None = None
) -> None:
    with StillsWriter(folder) as writer:
        for _ in range(count):
            writer.write(coded_picture(1, (32, 16), "gbrp", FULL_RGB), NOW)
        if error:
            raise error


def test_an_earlier_folder_is_replaced_only_on_success(tmp_path: Path, notices: Notices) -> None:
    folder = tmp_path / "stills"
    stills_of(folder, 3, notices)
    with pytest.raises(KeyboardInterrupt):
        stills_of(folder, 2, notices, KeyboardInterrupt())
    assert written_stills(folder) == [0, 1, 2]
    stills_of(folder, 2, notices)
    assert written_stills(folder) == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["stills"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, notices: Notices) -> None:
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "thesis.txt").write_text("do not lose me")
    with pytest.raises(OutputError, match="holds other files") as caught:
        StillsWriter(tmp_path / "desk")  # before any work is done
    assert "new folder" in caught.value.hint
    assert (tmp_path / "desk" / "thesis.txt").read_text() == "do not lose me"
    with pytest.raises(OutputError, match="is a file, expected a folder"):
        stills_of(tmp_path / "desk" / "thesis.txt", 1, notices)
    with pytest.raises(OutputError, match="cannot be written"):
        stills_of(tmp_path / "desk" / "thesis.txt" / "below", 1, notices)


def test_a_full_disk_leaves_no_folder(
    tmp_path: Path, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stills.Path, "write_bytes", full)
    with pytest.raises(OutputError, match="disk is full") as caught:
        stills_of(tmp_path / "stills", 40, notices)
    assert "free some space" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def background(path: Path, notices: Notices, **more: Any) -> Any:  # noqa: ANN401
    wanted: dict[str, Any] = {
        "size": (96, 64),
        "layout": PixelLayout("yuv", 8, (1, 1)),
        "color": BT709,
    } | more
    return open_background(path, notify=notices, **wanted)


def test_a_video_background_follows_the_time(make_clip: Make, notices: Notices) -> None:
    behind = background(
        make_clip("behind.mp4", pts=tuple(9000 + ticks for ticks in VFR_PTS)), notices
    )
    times = [
        Fraction(0),
        Fraction(1, 1000),
        Fraction(1001, 30000),
        Fraction(2504, 30000),
        Fraction(1, 5),
        Fraction(9),
        Fraction(0),
    ]
    seen = [number_of(behind.picture_at(time).planes[0]) for time in times]
    assert seen == [0, 0, 1, 3, 4, 11, 0]
    assert behind.picture_at(Fraction(1, 2)) is behind.picture_at(
        Fraction(1, 2) + Fraction(1, 10**6)
    )


def test_a_picture_is_cropped_in_the_middle_and_converted(tmp_path: Path, notices: Notices) -> None:
    wide = np.zeros((50, 300, 3), np.uint8)
    wide[:, :100], wide[:, 100:200], wide[:, 200:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    save(tmp_path / "wide.png", wide, "rgb24", "png")
    for layout, color in (
        (PixelLayout("yuv", 10, (1, 1)), BT709),
        (PixelLayout("rgb", 8), FULL_RGB),
        (PixelLayout("gray", 8), BT709),
    ):
        picture = background(
            tmp_path / "wide.png", notices, size=(101, 77), layout=layout, color=color
        ).picture_at(Fraction(5))
        assert (picture.shape, picture.layout, picture.color) == ((77, 101), layout, color)
        if layout.model != "gray":
            image = np.stack(as_layout(picture, PixelLayout("rgb", 8)).planes, axis=2)
            assert np.abs(image[:, 10:-10].astype(int) - (0, 255, 0)).max() <= 4
    tall = background(
        tmp_path / "wide.png",
        notices,
        size=(10, 10),
        layout=PixelLayout("rgb", 8),
        color=FULL_RGB,
        sample_aspect=Fraction(6),
    )
    # six times as wide: the whole picture is seen
    assert tall.picture_at(Fraction(0)).planes[0][5, 0] > 200


def test_hdr_against_sdr_is_said(make_clip: Make, notices: Notices) -> None:
    background(
        make_clip("behind.mp4"), notices, color=ColorTags("bt2020nc", "tv", "bt2020", "smpte2084")
    )
    assert any("HDR" in line for line in notices)
    with pytest.raises(MediaError, match="there is no file"):
        background(Path("nowhere.mp4"), notices)
