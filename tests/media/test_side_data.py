"""What decoders attach to a frame is read without a crash, whatever the file holds; turned and HDR
pictures keep theirs.

A crash of the library ends the whole process, so every kind of file is read in a process of its
own.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin
from support.clips import sound, write_clip
from support.command_line import CommandLine, paint, two_objects
from support.notices import Notices

from vfx_matte.errors import MediaError
from vfx_matte.media.open import open_clip
from vfx_matte.media.probe import probe
from vfx_matte.media.readers.side_data import side_data_of

pytestmark = pytest.mark.slow

Make = Callable[..., Path]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LARGE = PROFILE + os.urandom(300_000)
READS = """
import os, sys
from pathlib import Path
from vfx_matte.errors import VfxMatteError
from vfx_matte.media.background import open_background
from vfx_matte.media.probe import probe
from vfx_matte.media.open import open_clip
from vfx_matte.media.sequence import is_sequence
from vfx_matte.media.verify import verify_clip

def read(path):
    notify = lambda line: None
    reader = open_clip(path, notify=notify)
    info = reader.info
    for frame in [*reader.frames(), *reader.frames_reversed()]:
        frame.picture, frame.image, frame.alpha
    behind = open_background(
        path, size=(32, 24), layout=info.layout, color=info.color, notify=notify
    )
    behind.picture_at(info.timeline[0].time_base * 0)
    if not is_sequence(path):
        verify_clip(path, path, notify=notify)

for path in map(Path, sys.argv[1:]):
    child = os.fork()
    if not child:
        try:
            read(path)
        except VfxMatteError as error:
            print(f"{path.name} {error}", file=sys.stderr)
        except BaseException as error:
            print(f"{path.name} {error!r}", file=sys.stderr)
            os._exit(70)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), path.name, flush=True)
"""


def png(
    path: Path, profile: bytes, *, kind: int = 2, deflated: bool = True, name: bytes = b"profile"
) -> Path:
    """Write a PNG of 32×24 with an ICC profile.

    kind: its colour type, 0 grey, 2 RGB, 3 palette, 4 and 6 with alpha.
    """

    def chunk(tag: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    palette = chunk(b"PLTE", bytes(range(12))) if kind == 3 else b""
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 24, 8, kind, 0, 0, 0))
        + chunk(b"iCCP", name + b"\0\0" + (zlib.compress(profile) if deflated else profile))
        + palette
        + chunk(b"IDAT", zlib.compress((b"\0" + bytes(32 * samples)) * 24))
        + chunk(b"IEND", b"")
    )
    return path


def with_profile(clip: Path, output: Path, profile: bytes) -> Path:
    """A copy of an MP4 or MOV whose picture track has an ICC profile (colr of type prof) in place
    of its colour tags.
    """
    data = clip.read_bytes()
    place = data.rindex(b"colr") - 4
    assert data.rindex(b"moov") > data.rindex(b"mdat"), "offsets of samples would change"
    old = int.from_bytes(data[place : place + 4], "big")
    box = (12 + len(profile)).to_bytes(4, "big") + b"colrprof" + profile
    changed = bytearray(data[:place] + box + data[place + old :])
    for outer in (
        b"moov",
        b"trak",
        b"mdia",
        b"minf",
        b"stbl",
        b"stsd",
        data[data.rindex(b"stsd", 0, place) + 16 :][:4],
    ):
        at = data.rindex(outer, 0, place) - 4
        size = int.from_bytes(data[at : at + 4], "big") + len(box) - old
        changed[at : at + 4] = size.to_bytes(4, "big")
    output.write_bytes(changed)
    return output


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def make_pictures(folder: Path) -> None:
    """Pictures with profiles of all kinds and sizes, and with EXIF."""
    for name, kind in {"grey": 0, "rgb": 2, "palette": 3, "grey-alpha": 4, "rgba": 6}.items():
        png(folder / f"{name}.png", PROFILE, kind=kind)
    png(folder / "large.png", LARGE)
    png(folder / "tiny.png", b"\0")
    png(folder / "empty.png", b"")
    png(folder / "garbage.png", b"\xff\xfe\xfd" * 50)
    png(folder / "not-deflated.png", PROFILE, deflated=False)
    png(folder / "name-not-ascii.png", PROFILE, name="é".encode("latin-1"))
    picture = Image.fromarray(np.arange(32 * 24 * 3, dtype=np.uint8).reshape(24, 32, 3))
    for suffix in ("jpg", "tif", "webp", "png"):
        picture.save(folder / f"pillow-{suffix}.{suffix}", icc_profile=PROFILE, exif=exif(6))
        picture.convert("L").save(folder / f"pillow-l-{suffix}.{suffix}", icc_profile=PROFILE)
    picture.save(folder / "large.jpg", icc_profile=LARGE)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 1000, zip=True)
    picture.save(folder / "text.png", pnginfo=text, icc_profile=PROFILE, gamma=0.45)
    (folder / "sequence").mkdir()
    for number in range(3):
        png(folder / "sequence" / f"{number:03d}.png", PROFILE if number else LARGE)


def make_clips(folder: Path) -> None:
    """Clips whose frames have side data of many kinds, and streams that no decoder knows."""
    ticks = range(0, 6 * 1001, 1001)
    usual = {"pts": ticks, "size": (64, 48)}
    plain = write_clip(folder / "plain.mp4", **usual)
    quicktime = write_clip(folder / "plain.mov", **usual)
    for number, profile in enumerate((b"", b"\0", PROFILE, LARGE)):
        with_profile(plain, folder / f"profile-{number}.mp4", profile)
        with_profile(quicktime, folder / f"profile-{number}.mov", profile)
    display = (
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
        "L(10000000,50):max-cll=1000,400"
    )
    hevc = {"x265-params": f"log-level=none:hdr10=1:{display}"}
    write_clip(
        folder / "hdr.mp4", codec="libx265", pixel_format="yuv420p10le", options=hevc, **usual
    )
    write_clip(folder / "turned.mp4", rotation=90, mirrored=True, **usual)
    write_clip(
        folder / "gop-timecode.mpg",
        codec="mpeg2video",
        pts=range(6),
        time_base=Fraction(1, 25),
        size=(64, 48),
    )
    write_clip(
        folder / "bottom-up.avi",
        codec="rawvideo",
        pixel_format="bgr24",
        time_base=Fraction(1, 25),
        pts=range(6),
        size=(64, 48),
    )
    write_clip(folder / "tracks.mov", sounds=(sound("pcm_s16le"), sound("aac")), **usual)
    unknown = plain.read_bytes()
    (folder / "no-decoder.mp4").write_bytes(
        unknown.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC")
    )
    (folder / "no-sound-decoder.mov").write_bytes(
        (folder / "tracks.mov").read_bytes().replace(b"sowt", b"zzzz")
    )
    (folder / "cut.mp4").write_bytes(unknown[: len(unknown) // 2])
    picture = str(png(folder / "cover.png", PROFILE))
    with (
        av.open(str(folder / "cover.mp4"), "w") as output,
        av.open(str(plain)) as source,
        av.open(picture) as cover,
    ):
        streams = [
            (output.add_stream_from_template(one.streams.video[0]), one) for one in (source, cover)
        ]
        streams[1][0].disposition = av.stream.Disposition.attached_pic
        for stream, one in streams:
            for packet in one.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How the process of every fixture ended: its exit code, below 0 the signal that killed it."""
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    folder = tmp_path_factory.mktemp("side-data")
    make_pictures(folder)
    make_clips(folder)
    paths = sorted(folder.iterdir())
    command = [sys.executable, "-c", READS, *map(str, paths)]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=240,
    )
    found = {
        name: int(code) for code, name in re.findall(r"^(-?\d+) (.+)$", ran.stdout, re.MULTILINE)
    }
    assert sorted(found) == [path.name for path in paths], ran.stderr
    return found


def test_no_file_crashes_the_process(ended: dict[str, int]) -> None:
    assert len(ended) > 40
    assert {name: code for name, code in ended.items() if code < 0} == {}


def test_no_file_ends_with_a_traceback(ended: dict[str, int]) -> None:
    assert {name: code for name, code in ended.items() if code > 0} == {}


def test_pictures_that_no_decoder_knows_are_an_error(tmp_path: Path, make_clip: Make) -> None:
    path = tmp_path / "unknown.mp4"
    path.write_bytes(
        make_clip("plain.mp4").read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC")
    )
    with pytest.raises(MediaError, match="of a kind that FFmpeg cannot decode"):
        probe(path, notify=Notices())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_turns_and_mirrors_pictures(orientation: int, suffix: str, tmp_path: Path) -> None:
    """Compared with Pillow; the file also holds a profile, and PyAV alone cannot list what such a
    frame holds.
    """
    path = tmp_path / f"picture.{suffix}"
    blocks = np.zeros((24, 32, 3), np.uint8)
    blocks[:12, :16], blocks[12:, :16] = 250, 120
    Image.fromarray(blocks).save(path, exif=exif(orientation), icc_profile=PROFILE)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    shown = open_clip(path, notify=Notices()).frame(0).image
    assert shown.shape == wanted.shape
    assert np.abs(shown.astype(int) - wanted).max() <= 8


def test_a_profile_takes_neither_rotation_nor_hdr_metadata(tmp_path: Path) -> None:
    """The profile is a clip's, the metadata in its HEVC stream."""
    display = (
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
        "L(10000000,50):max-cll=1000,400"
    )
    plain = write_clip(
        tmp_path / "hdr.mp4", codec="libx265", pixel_format="yuv420p10le", pts=range(0, 6 * 1001,
        1001), rotation=90,
        mirrored=True, options={"x265-params": f"log-level=none:hdr10=1:{display}"},
    )  # fmt: skip
    found = probe(with_profile(plain, tmp_path / "profile.mp4", PROFILE), notify=Notices())
    assert found.hdr.x265_params == display
    assert found.orientation == probe(plain, notify=Notices()).orientation
    assert found.orientation.transpose
    with av.open(str(tmp_path / "profile.mp4")) as container:
        frame = next(container.decode(video=0))
    assert side_data_of(frame).display_matrix is not None


def test_a_picture_with_a_profile_is_clip_sequence_and_background(cli: CommandLine) -> None:
    (cli.folder / "plates").mkdir()
    for number in range(3):
        png(cli.folder / "plates" / f"plate.{number:04d}.png", PROFILE)
    png(cli.folder / "behind.png", LARGE, kind=0)
    paint(cli.folder / "mask.png", two_objects((32, 24)))
    cli("probe", "behind.png")
    cli("segment", "plates", "--first-mask", "mask.png", "--propagator", "fake")
    cli("greenback", "plates", "--background", "behind.png", "-o", "out.mp4", "--edges", "hard")
