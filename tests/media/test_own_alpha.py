"""A clip that is transparent itself: no output shows what its own alpha hides, in any file that can
hold alpha.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from support.command_line import CommandLine, paint, pictures
from support.notices import Notices

from vfx_matte.cli.typed import as_typed
from vfx_matte.composite.mix import seen_ids, seen_through
from vfx_matte.masks import Matte
from vfx_matte.media.background import open_background
from vfx_matte.media.frames import over_black
from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import frame_from, packed
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.wording import spelled

SIZE = (64, 48)
LEFT, RIGHT = slice(0, 28), slice(36, 64)


def planes(depth: int) -> Picture:
    """Green of one half level; alpha is a ramp from top to bottom on the left and 0 on the
    right.
    """
    width, height = SIZE
    full = (1 << depth) - 1
    dtype = np.uint8 if depth == 8 else np.uint16
    green, other = (
        np.full((height, width), full // 2, dtype),
        np.full((height, width), full // 4, dtype),
    )
    alpha = np.zeros((height, width), dtype)
    alpha[:, : width // 2] = np.linspace(full // 8, full, height).astype(dtype)[:, None]
    return Picture(
        (other, green, other, alpha),
        PixelLayout("rgb", depth, has_alpha=True),
        ColorTags("gbr", "pc"),
    )


def write(
    path: Path,
    codec: str,
    pixel_format: str,
    *,
    count: int = 3,
    options: dict[str, str] | None = None,
) -> Path:
    """A film with alpha."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixel_format
        if path.suffix == ".webm":
            stream.metadata["alpha_mode"] = "1"
        for number in range(count):
            frame = packed(frame_from(planes(16)), "rgba64le").reformat(format=pixel_format)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def ramp() -> np.ndarray[Any, Any]:
    """The left half's alpha, 0..1, (H,)."""
    return planes(16).planes[3][:, 0] / 65535


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "levels"),
    [
        ("p.mov", "prores_ks", "yuva444p10le", 1023), ("f.mkv", "ffv1", "yuva420p", 255),
        ("t.mkv", "ffv1", "yuva422p10le", 1023),
        ("s.mkv", "ffv1", "gbrap16le", 65535), ("q.mov", "qtrle", "argb", 255), ("g.mov", "png",
        "rgba", 255),
        ("h.mov", "png", "rgba64be", 65535), ("y.mov", "png", "ya8", 255), ("8.webm", "libvpx",
        "yuva420p", 40),
        ("9.webm", "libvpx-vp9", "yuva420p", 40), ("a.apng", "apng", "rgba", 255),
    ],
)  # fmt: skip
def test_alpha_of_films(  # noqa: PLR0917
    name: str, codec: str, pixel_format: str, levels: int, tmp_path: Path, notices: Notices
) -> None:
    options = (
        {"auto-alt-ref": "0"}
        if "vpx" in codec
        else {"bits_per_mb": "8000"}
        if codec == "prores_ks"
        else {}
    )
    path = write(tmp_path / name, codec, pixel_format, options=options)
    reader = open_clip(path, notify=notices)
    assert reader.info.has_alpha
    assert len(reader.info.timeline) == 3
    for frame in (*reader.frames(), reader.frame(1)):
        assert frame.alpha is not None
        shown = frame.alpha / np.iinfo(frame.alpha.dtype).max
        assert np.abs(shown[:, LEFT] - ramp()[:, None]).max() <= 1.5 / levels
        assert shown[:, RIGHT].max() <= 1 / 60
        assert frame.image[:, RIGHT].max() <= 4  # as a player shows it: black
        assert frame.colors[:, RIGHT, 1].min() > 60  # what lies under it
    assert [spelled(line, as_typed) for line in notices if "alpha" in line] == [
        f"{name} has an alpha channel of its own, and what that hides stays hidden; --ignore-alpha"
        " shows it"
    ]
    ignored = open_clip(path, notify=notices, ignore_alpha=True)
    assert (ignored.info.has_alpha, ignored.frame(0).alpha) == (False, None)
    assert (ignored.frame(0).image == frame.colors).all()


def test_an_opaque_alpha_channel_is_no_matter(tmp_path: Path, notices: Notices) -> None:
    Image.fromarray(np.full((8, 8, 4), 255, np.uint8)).save(tmp_path / "0.png")
    assert open_clip(tmp_path, notify=notices).frame(0).alpha is None
    assert notices == []


def test_transparent_colours_of_a_table(tmp_path: Path, notices: Notices) -> None:
    table = Image.new("P", (8, 8), 0)
    table.putpalette([255, 0, 0, 0, 0, 255])
    table.paste(1, (4, 0, 8, 8))
    table.save(tmp_path / "0.png", transparency=bytes([255, 64]))
    frame = open_clip(tmp_path, notify=notices).frame(0)
    assert frame.alpha is not None
    assert (frame.alpha[:, :4] == 255).all()
    assert (frame.alpha[:, 4:] == 64).all()


def test_exr_holds_colours_times_alpha(tmp_path: Path, notices: Notices) -> None:
    width, height = SIZE
    alpha = np.full((height, width), 0.5, np.float32)
    alpha[:, :8] = 0
    light = np.full((height, width), 0.214, np.float32)  # half the way up the sRGB curve
    frame = av.VideoFrame(width, height, "gbrapf32le")
    for plane, values in zip(
        frame.planes, (light * 0.5, light * 0.5, light * 0.5, alpha), strict=True
    ):
        rows = np.frombuffer(plane, np.float32).reshape(height, -1)
        rows[:, :width] = values
    encoder: Any = av.CodecContext.create("exr", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = (
        width,
        height,
        "gbrapf32le",
        Fraction(1, 25),
    )
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    (tmp_path / "0.exr").write_bytes(b"".join(map(bytes, packets)))
    read = open_clip(tmp_path, notify=notices).frame(0)
    assert read.picture.layout == PixelLayout("rgb", 16)
    # the subject's own colour, not darkened by alpha
    assert np.abs(read.colors[:, 8:].astype(int) - 128).max() <= 1
    assert read.alpha is not None
    assert read.alpha.dtype == np.uint16
    assert np.abs(read.alpha[:, 8:].astype(int) - 32768).max() <= 1
    assert read.alpha[:, :8].max() == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("other", [np.uint8, np.uint16])
def test_a_matte_shows_no_more_than_alpha(dtype: type, other: type) -> None:
    full, top = np.iinfo(dtype).max, np.iinfo(other).max
    rng = np.random.default_rng(1)
    matte = rng.integers(0, full, (9, 7), dtype, endpoint=True)
    matte[0], matte[1] = 0, full
    alpha = rng.integers(0, top, (9, 7), other, endpoint=True)
    shown = seen_through(Matte(matte), alpha)
    deep = max(full, top)
    assert shown.full == deep
    assert (shown.alpha == np.floor(matte / full * (alpha / top) * deep + 0.5 + 1e-9)).all()
    assert (shown.alpha[1] == alpha[1].astype(np.int64) * (deep // top)).all()
    assert seen_through(Matte(matte), None).alpha is matte
    assert seen_ids(np.full((1, 3), 5, np.uint8), np.array([[0, 127, 128]], np.uint8)).tolist() == [
        [0, 0, 5]
    ]
    with pytest.raises(ValueError, match="expected"):
        seen_through(Matte(matte), alpha[:2])


@pytest.fixture
def cut(cli: CommandLine) -> CommandLine:
    """A film with 10-bit alpha, and a mask that covers its middle, all edges hard."""
    write(cli.folder / "c.mkv", "ffv1", "yuva444p10le", count=8)
    ids = np.zeros(SIZE[::-1], np.uint8)
    ids[:, 8:56] = 1
    paint(cli.folder / "m.png", ids)
    cli("segment", "c.mkv", "--first-mask", "m.png", "--propagator", "fake")
    return cli


HARD = ("--edges", "hard", "--no-foreground")


def first(path: Path) -> list[np.ndarray[Any, Any]]:
    """Planes of the first picture, uint16 or uint8, without padding."""
    frame = next(iter(pictures(path)))
    kind = np.uint8 if max(part.bits for part in frame.format.components) == 8 else np.uint16
    return [
        np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width].copy()
        for plane in frame.planes
    ]


def test_outputs_show_no_more_than_the_clip(cut: CommandLine) -> None:
    folder, source = cut.folder, first(cut.folder / "c.mkv")
    ran = cut("alpha", "c.mkv", "-o", "a.mkv", *HARD)
    assert ran.stderr.count("alpha channel of its own") == 1
    shown = first(folder / "a.mkv")
    assert (shown[3][:, 8:56] == source[3][:, 8:56]).all()  # all ten bits of it
    assert not shown[3][:, :8].any()
    assert all((one == other).all() for one, other in zip(shown[:3], source[:3], strict=True))

    cut("maskvideo", "c.mkv", "-o", "m.mkv", "--edges", "median", "--median", "0")
    matte = first(folder / "m.mkv")[0]
    assert (matte[:, 8:56].astype(int) * 1023 // 65535 - source[3][:, 8:56]).max() <= 0
    assert np.abs(matte[:, 8:56] / 65535 - source[3][:, 8:56] / 1023).max() < 1e-4

    cut(
        "maskvideo",
        "c.mkv",
        "-o",
        "p.mkv",
        "--style",
        "palette",
        "--edges",
        "hard",
        "--median",
        "0",
    )
    ids = next(iter(pictures(folder / "p.mkv"))).to_ndarray(format="rgb24").any(axis=2)
    assert (ids[:, 10:54] == (source[3] > 511)[:, 10:54]).all()

    cut("greenback", "c.mkv", "-o", "g.mkv", "--key", "magenta", *HARD)
    green = next(iter(pictures(folder / "g.mkv"))).to_ndarray(format="rgb24")
    assert green[:, RIGHT, 0].min() > 240
    assert green[-1, 12, 1] > 60

    cut("overlay", "c.mkv", "-o", "o.mkv")
    seen = next(iter(pictures(folder / "o.mkv"))).to_ndarray(format="rgb24")
    assert seen[:, RIGHT].max() < 8


def test_ignoring_alpha_is_an_option_and_a_setting(cut: CommandLine) -> None:
    ran = cut("alpha", "c.mkv", "-o", "a.mkv", "--ignore-alpha", *HARD)
    assert "alpha channel" not in ran.stderr
    assert (first(cut.folder / "a.mkv")[3][:, 8:56] == 1023).all()
    (cut.folder / "config.ini").write_text("[clip]\nignore_alpha = yes\n", encoding="utf-8")
    cut("alpha", "c.mkv", "-o", "b.mkv", *HARD)
    assert (first(cut.folder / "b.mkv")[3][:, 8:56] == 1023).all()
    cut("alpha", "c.mkv", "-o", "d.mkv", "--no-ignore-alpha", *HARD)
    assert (first(cut.folder / "d.mkv")[3][:, RIGHT] == 0).all()


@pytest.mark.slow
def test_conform_package_and_keytest_show_no_more_than_the_clip(cut: CommandLine) -> None:
    cut("conform", "c.mkv", "--fps", "50", "--outputs", "source,alpha,greenback,maskvideo", *HARD)
    folder = cut.folder / "workspace" / "c" / "conform"
    assert first(folder / "alpha.mov")[3][:, RIGHT].max() == 0
    assert (
        next(iter(pictures(folder / "c-conformed.mp4"))).to_ndarray(format="rgb24")[:, 40:].max()
        < 8
    )
    cut("package", "c.mkv", "--for", "resolve", *HARD)
    media = cut.folder / "workspace" / "c" / "package-resolve" / "media"
    assert first(media / "c-alpha.mov")[3][:, RIGHT].max() == 0
    assert "alpha channel of its own" in cut("keytest", "c.mkv", "--frames", "8", *HARD).stderr


def test_what_hides_is_seen_in_stills(cut: CommandLine, take: Callable[..., Path]) -> None:
    cut("frame", "c.mkv", "-o", "s.png")
    still = np.asarray(Image.open(cut.folder / "s.png"))
    assert still[:, RIGHT].max() == 0
    assert (over_black(np.full((1, 1, 3), 200, np.uint8), np.array([[128]], np.uint8)) == 100).all()


@pytest.mark.parametrize(("level", "told"), [(0, 1), (255, 0)])
def test_alpha_of_a_background_is_said_to_take_no_part(
    level: int, told: int, tmp_path: Path, notices: Notices
) -> None:
    """Its colours are seen, and nothing claims that they are hidden; opaque alpha is not
    mentioned.
    """
    pixels = np.full((48, 64, 4), (200, 60, 20, 255), np.uint8)
    pixels[:, :20, 3] = level
    Image.fromarray(pixels).save(tmp_path / "wall.png")
    layout, color = PixelLayout("rgb", 8), ColorTags("gbr", "pc")
    behind = open_background(
        tmp_path / "wall.png", size=(64, 48), layout=layout, color=color, notify=notices
    )
    assert all(np.unique(plane).size == 1 for plane in behind.picture_at(Fraction(0)).planes)
    assert (
        len([line for line in notices if "own alpha takes no part" in line]) == len(notices) == told
    )
