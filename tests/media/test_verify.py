"""verify finds what is wrong and names the first difference; test_write shows that it accepts
what is right.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.clips import VFR_PTS, sound
from support.notices import Notices

from vfx_matte.errors import MediaError
from vfx_matte.media import verify
from vfx_matte.media.open import open_clip
from vfx_matte.media.verify import (
    VerifyReport,
    expectation_of,
    verify_clip,
    verify_output,
    verify_stills,
)
from vfx_matte.media.writers.stills import StillsWriter
from vfx_matte.picture import ColorTags

Make = Callable[..., Path]
SOUNDS = (sound(start=Fraction(1, 10)),)
CLIP: dict[str, Any] = {"pts": VFR_PTS, "sounds": SOUNDS}


@pytest.fixture(params=["ffprobe", "PyAV"])
def check(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path, Path], VerifyReport]:
    """verify_clip with either reader, which must agree."""
    if request.param == "PyAV":
        monkeypatch.setattr(verify.shutil, "which", lambda _: None)
    elif shutil.which("ffprobe") is None:
        pytest.skip("the ffprobe program is not on PATH")

    def run(output: Path, source: Path) -> VerifyReport:
        report = verify_clip(output, source, notify=Notices())
        assert report.reader == request.param
        return report

    return run


def remuxed(
    source: Path, output: Path, change: Callable[[Any], Any], *, keep_sound: bool = True
) -> Path:
    """Copy all packets, each as `change` returns it."""
    with av.open(str(source)) as reading, av.open(str(output), "w") as writing:
        wanted = [s for s in reading.streams if keep_sound or s.type == "video"]
        streams = {stream.index: writing.add_stream_from_template(stream) for stream in wanted}
        for packet in reading.demux(wanted):
            if packet.dts is not None and (changed := change(packet)) is not None:
                changed.stream = streams[changed.stream.index]
                writing.mux(changed)
    return output


def test_a_faithful_copy_passes(
    make_clip: Make, tmp_path: Path, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("source.mp4", **CLIP)
    report = check(remuxed(source, tmp_path / "copy.mp4", lambda packet: packet), source)
    assert report.ok
    assert report.first_difference == ""
    assert {one.name for one in report.checks} == {
        "frame count",
        "timestamps",
        "picture size",
        "colour tags",
        "sound",
    }


def test_a_dropped_frame_is_found(
    make_clip: Make, tmp_path: Path, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("source.mp4", **CLIP)
    output = make_clip("dropped.mp4", pts=VFR_PTS[:5] + VFR_PTS[6:], sounds=SOUNDS)
    report = check(output, source)
    assert not report.ok
    assert report.first_difference == "frame count: 11 frames, the source has 12"


def test_a_moved_timestamp_is_found(
    make_clip: Make, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("source.mp4", **CLIP)
    moved = (*VFR_PTS[:5], VFR_PTS[5] + 1, *VFR_PTS[6:])
    report = check(make_clip("moved.mp4", pts=moved, sounds=SOUNDS), source)
    assert (
        report.first_difference
        == "timestamps: frame 5 is at 0.200233 s, the source has it at 0.200200 s"
    )


def test_matroska_is_given_half_a_millisecond(
    make_clip: Make, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("source.mp4", **CLIP)
    assert check(make_clip("rounded.mkv", pts=VFR_PTS), source).checks[1].ok
    moved = (*VFR_PTS[:5], VFR_PTS[5] + 30, *VFR_PTS[6:])
    assert "frame 5" in check(make_clip("moved.mkv", pts=moved), source).checks[1].detail


def test_lost_sound_is_found(
    make_clip: Make, tmp_path: Path, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("source.mp4", **CLIP)
    output = remuxed(source, tmp_path / "silent.mp4", lambda packet: packet, keep_sound=False)
    assert check(output, source).first_difference == "sound: 0 tracks, the source has 1"


def test_late_sound_is_found(
    make_clip: Make, tmp_path: Path, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("source.mp4", **CLIP)

    def later(packet: Any) -> Any:  # noqa: ANN401
        if packet.stream.type == "audio":
            packet.pts += 480
            packet.dts += 480
        return packet

    report = check(remuxed(source, tmp_path / "late.mp4", later), source)
    assert report.first_difference.startswith("sound: packet 0 is +")
    assert report.first_difference.endswith("ms from where the source has it")


def test_cut_and_changed_sound_are_found(
    make_clip: Make, tmp_path: Path, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("source.mp4", **CLIP)

    def cut(packet: Any) -> Any:  # noqa: ANN401
        return (
            None
            if packet.stream.type == "audio" and packet.pts * packet.time_base > Fraction(1, 2)
            else packet
        )

    assert (
        "packets, the source has"
        in check(remuxed(source, tmp_path / "cut.mp4", cut), source).first_difference
    )
    other = make_clip("other.mp4", pts=VFR_PTS, sounds=(sound(start=Fraction(1, 10), channels=1),))
    assert "sound: " in check(other, source).first_difference


def test_sound_encoded_anew_may_not_be_cut(
    make_clip: Make, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("pcm.mov", pts=VFR_PTS, sounds=(sound("pcm_s16le", seconds=Fraction(2)),))
    assert check(
        make_clip("aac.mp4", pts=VFR_PTS, sounds=(sound("aac", seconds=Fraction(2)),)), source
    ).ok
    cut = make_clip("shorter.mp4", pts=VFR_PTS, sounds=(sound("aac", seconds=Fraction(1)),))
    assert "ends -10" in check(cut, source).first_difference


def test_what_a_decoder_throws_away_is_no_difference(
    make_clip: Make, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip(
        "opus.mkv", pts=VFR_PTS, sounds=(sound("libopus", seconds=Fraction(9, 10), channels=1),)
    )
    output = make_clip(
        "pcm.mov", pts=VFR_PTS, sounds=(sound("pcm_s16le", seconds=Fraction(9, 10), channels=1),)
    )
    detail = next(found.detail for found in check(output, source).checks if found.name == "sound")
    late, longer = (float(word) for word in detail.split() if word[0] in "+-")
    # the pre-skip of Opus is 6.5 ms, its last packet is 20 ms long
    assert max(abs(late), abs(longer)) < 1.5, detail


@pytest.mark.parametrize(("changed", "message"), [
    (ColorTags("smpte170m", "tv", "bt709", "bt709"), "matrix is smpte170m, the source has bt709"),
    (ColorTags("bt709", "pc", "bt709", "bt709"), "range is pc, the source has tv"),
    (ColorTags("bt709", "tv", "bt2020", "bt709"), "primaries is bt2020, the source has bt709"),
    (ColorTags("bt709", "tv", "bt709", "smpte2084"), "transfer is smpte2084, the source has bt709"),
    (ColorTags(), "primaries is unspecified, the source has bt709"),
])  # fmt: skip
def test_a_changed_tag_is_found(
    changed: ColorTags, message: str, make_clip: Make, check: Callable[[Path, Path], VerifyReport]
) -> None:
    report = check(make_clip("tagged.mp4", color=changed), make_clip("plain.mp4"))
    assert report.first_difference == f"colour tags: {message}"


def test_another_size_or_pixel_shape_is_found(
    make_clip: Make, check: Callable[[Path, Path], VerifyReport]
) -> None:
    source = make_clip("plain.mp4")
    assert (
        "98×64, the source shows 96×64"
        in check(make_clip("wider.mp4", size=(98, 64)), source).first_difference
    )
    shape = check(make_clip("shape.mp4", sample_aspect=Fraction(4, 3)), source).first_difference
    assert shape == "picture size: pixel shape 4/3, the source has 1"
    odd = make_clip("odd.mkv", codec="ffv1", size=(101, 77))
    assert check(make_clip("padded.mkv", size=(102, 78)), odd).ok
    assert not check(make_clip("too-wide.mkv", size=(104, 78)), odd).ok


def test_an_image_sequence_has_no_rate_of_its_own(
    make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    clip = make_clip("plain.mp4")
    reader = open_clip(clip, notify=notices)
    with StillsWriter(tmp_path / "stills") as writer:
        for frame in reader.frames():
            writer.write(frame.picture, frame.time)
    assert verify_clip(clip, tmp_path / "stills", notify=notices).checks[1].ok
    (tmp_path / "stills" / "0000011.png").unlink()
    assert (
        "12 frames, the source has 11"
        in verify_clip(clip, tmp_path / "stills", notify=notices).first_difference
    )


def test_stills_are_counted_and_looked_into(
    make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    reader, folder = open_clip(make_clip("plain.mp4"), notify=notices), tmp_path / "stills"
    with StillsWriter(folder) as writer:
        for frame in reader.frames():
            writer.write(frame.picture, frame.time)
    assert verify_stills(folder, 12).ok
    data = (folder / "0000004.png").read_bytes()
    (folder / "0000004.png").write_bytes(data[:-9])
    assert verify_stills(folder, 12).first_difference == "files: 0000004.png is cut short"
    (folder / "0000004.png").unlink()
    assert "0000004.png is missing" in verify_stills(folder, 12).first_difference
    with pytest.raises(MediaError, match="there is no folder"):
        verify_stills(tmp_path / "nowhere", 12)


def test_an_unreadable_output_is_an_error(
    make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    expected = expectation_of(open_clip(make_clip("plain.mp4"), notify=notices).info)
    (tmp_path / "o.mp4").write_bytes(b"nonsense")
    with pytest.raises(MediaError, match="cannot be read"):
        verify_output(tmp_path / "o.mp4", expected, notify=notices)
    assert not verify_output(
        make_clip("plain.mp4"), replace(expected, times=expected.times[:-1]), notify=notices
    ).ok
