"""Verifies outputs: compares each with its source and names the differences.

The output is read by ffprobe, an independent program, where it is on PATH, and by PyAV otherwise.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vfx_matte.backend import Notify
from vfx_matte.errors import MediaError
from vfx_matte.media.color_tags import tag_differs, writable_tags
from vfx_matte.media.formats import CONTAINERS
from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import layout_of, planar_format
from vfx_matte.media.probe import ClipInfo, codec_name, probe
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.media.readers.part import part_in_metadata, part_of
from vfx_matte.media.sequence import is_sequence
from vfx_matte.media.sound.cut import UNCUT, SoundCut
from vfx_matte.media.sound.tracks import SoundTrack, trimmed
from vfx_matte.media.writers.left_out import left_out_of
from vfx_matte.media.writers.numbered_files import NumberedFiles, names_in
from vfx_matte.media.writers.stills import written_stills
from vfx_matte.picture import UNSPECIFIED, ColorTags, PixelLayout

MILLISECOND = Fraction(1, 1000)

# An encoder's priming may lie before the first sound, and its padding after the last, by a packet:
# 1024 samples at 8 kHz.
_ENCODED_SLACK = Fraction(1024, 8000)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an output must show."""

    times: tuple[Fraction, ...]
    """Exact seconds of every frame."""

    tracks: tuple[SoundTrack, ...]
    """Its sound."""

    color: ColorTags
    """Its tags."""

    sample_aspect: Fraction
    """Width of a pixel ÷ its height."""

    size: tuple[int, int]
    """(width, height), before padding to even."""

    keeps_range: bool = False
    """Full range must be full range; otherwise it may have become limited, as some formats ask for
    it.
    """


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was compared."""

    name: str
    """What was compared."""

    ok: bool
    """Whether it is as it should be."""

    detail: str
    """What was found; the first difference when it is not ok."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The outcome of verifying one output."""

    output: Path
    """The file or folder."""

    reader: str
    """The program that read it."""

    checks: tuple[Check, ...]
    """All that was compared."""

    @property
    def ok(self) -> bool:
        """True when nothing differs."""
        return all(check.ok for check in self.checks)

    @property
    def first_difference(self) -> str:
        """The first difference in one line; empty when there is none."""
        return next((f"{check.name}: {check.detail}" for check in self.checks if not check.ok), "")

    def to_json(self) -> dict[str, object]:
        """The report for `pipeline.records.as_json`."""
        facts = {"output": self.output, "reader": self.reader, "checks": self.checks}
        return facts | {"ok": self.ok}


@dataclass(slots=True)
class _Found:
    """What a reader saw in the output."""

    times: list[Fraction]
    """Exact seconds of every frame."""

    tracks: list[SoundTrack]
    """Its sound."""

    color: ColorTags
    """Its tags."""

    sample_aspect: Fraction
    """Width of a pixel ÷ its height."""

    size: tuple[int, int]
    """(width, height)."""

    layout: PixelLayout | None
    """Of its pixels."""

    codec: str
    """FFmpeg's name of the picture's format."""

    left_out: frozenset[int]
    """Sound streams of the source that the file says it was made without."""

    reader: str = "PyAV"
    """The program that read the picture."""


def expectation_of(source: ClipInfo, *, tracks: Sequence[SoundTrack] | None = None) -> Expectation:
    """What an output of a clip must show.

    Args:
        source: the clip, or a part of one where only that was rendered.
        tracks: the sound that was written; None reads the source's sound packets from its file.
    """
    times = tuple(time.start - source.origin for time in source.timeline)
    if tracks is None:
        part = SoundCut.of(source.part, source.origin)
        tracks = _sound_of(source.path, origin=source.origin, part=part) if source.audio else ()
    return Expectation(
        times, tuple(tracks), source.color, source.sample_aspect, (source.width, source.height)
    )


def verify_output(
    output: Path, expected: Expectation, *, thorough: bool = True, notify: Notify
) -> VerifyReport:
    """Compare an output with what its source demands.

    Args:
        output: the file.
        expected: what it must show.
        thorough: False is the fast form that every render ends with: it reads packets with PyAV
            only. True uses ffprobe through ffmpeg-python where the program is on PATH, an
            independent second reader.
        notify: is told what reading the file tells.

    Raises:
        MediaError: when the output cannot be read at all.
    """
    found = _read_with_pyav(output, notify=notify)
    if thorough and shutil.which("ffprobe"):
        _reread_with_ffprobe(output, found)
    container = CONTAINERS.get(output.suffix.lower())
    exact = container is not None and container.exact_time
    # Matroska rounds to the millisecond: by half of one at most
    tolerance = Fraction(0) if exact else MILLISECOND / 2
    checks = [
        _check_count(found, expected),
        _check_times(found, expected, tolerance),
        _check_size(found, expected),
        _check_color(found, expected, output.suffix.lower()),
    ]
    # both the packet's time and the source's may have been rounded
    checks += _check_sound(found, expected, MILLISECOND if exact else 2 * MILLISECOND)
    return VerifyReport(output, found.reader, tuple(checks))


def verify_clip(output: Path, source: Path, *, notify: Notify) -> VerifyReport:
    """Compare an output with its source, or with the part of it that it says it holds, thoroughly.

    An image sequence has no rate of its own and is taken at the output's, so that only its frame
    count is compared.

    Args:
        output: the file.
        source: the clip that it was made of.
        notify: is told what reading the two tells.

    Raises:
        MediaError: when either cannot be read.
    """
    # the output itself says which part of the source it shows
    info, checks = open_clip(source, notify=notify).info, list[Check]()
    with open_input(output) as container:
        noted = part_in_metadata(container)
    if noted is not None:
        info, check = noted_part(info, noted)
        checks.append(check)
    expected = expectation_of(info)
    if is_sequence(source):
        shown = probe(output, notify=notify)
        times = tuple(time.start - shown.origin for time in shown.timeline)
        expected = replace(
            expected, times=(*times, *expected.times[len(times) :])[: len(expected.times)]
        )
    report = verify_output(output, expected, notify=notify)
    return replace(report, checks=(*checks, *report.checks))


def noted_part(info: ClipInfo, noted: tuple[int, int]) -> tuple[ClipInfo, Check]:
    """The part of a clip that an output says it holds, and whether the clip has it; the whole clip
    when it has not.

    Args:
        info: the clip.
        noted: numbers of the first and the last frame.
    """
    # the file may be of another clip, or the clip may have become shorter
    first, last = (info.timeline.index_of(number) for number in noted)
    text = f"frames {noted[0]} to {noted[1]} of the source"
    if not 0 <= first <= last < len(info.timeline):
        return info, Check("part", False, f"{text}, which has {info.timeline.numbers_text}")
    return part_of(info, first, last + 1, notify=lambda _: None), Check("part", True, text)


def verify_stills(folder: Path, count: int, names: NumberedFiles | None = None) -> VerifyReport:
    """Whether a folder holds one complete PNG file for each frame.

    Args:
        folder: of the files.
        count: how many frames there are.
        names: how the files are called and numbered; None: as the first of them is.

    Raises:
        MediaError: when the folder is not there.
    """
    if not folder.is_dir():
        raise MediaError(f"there is no folder {str(folder)!r}")
    names = names or names_in(folder) or NumberedFiles()
    checks = check_numbered_files(folder, names, count, is_complete=_is_complete_png)
    return VerifyReport(folder, "file names", checks)


def check_numbered_files(
    folder: Path, names: NumberedFiles, count: int, *, is_complete: Callable[[Path], bool]
) -> tuple[Check, Check]:
    """Whether a folder holds one file for each frame, and no other, and whether each is complete.

    Args:
        folder: of the files.
        names: how they are called and numbered.
        count: how many frames there are.
        is_complete: whether a file was not cut short.
    """
    found = written_stills(folder, names)
    missing = min(set(range(count)) - set(found), default=None)
    detail = f"{len(found)} files"
    if missing is not None or len(found) != count:
        detail += f", the source has {count} frames" + (
            "" if missing is None else f"; {names.name(missing)} is missing"
        )
    written = (names.name(index) for index in found)
    cut = next((name for name in written if not is_complete(folder / name)), "")
    return (
        Check("frame count", missing is None and len(found) == count, detail),
        Check("files", not cut, f"{cut} is cut short" if cut else "every file is complete"),
    )


def _is_complete_png(path: Path) -> bool:
    # a file that was cut off has no end chunk
    data = path.read_bytes()
    return data.startswith(b"\x89PNG\r\n\x1a\n") and data[-8:-4] == b"IEND"


def _read_with_pyav(path: Path, *, notify: Notify) -> _Found:
    info = probe(path, notify=notify)
    times = [time.start - info.origin for time in info.timeline]
    layout = layout_of(planar_format(info.pixel_format))
    tracks = _sound_of(path, origin=info.origin) if info.audio else []
    with open_input(path) as container:
        left_out = left_out_of(container)
    return _Found(
        times,
        tracks,
        info.color,
        info.sample_aspect,
        (info.width, info.height),
        layout,
        info.codec,
        left_out,
    )


def _sound_of(path: Path, *, origin: Fraction, part: SoundCut = UNCUT) -> list[SoundTrack]:
    """Times and checksums of the audible packets of every sound track of a file.

    Args:
        path: the file.
        origin: seconds to take off every timestamp.
        part: what of it counts.
    """
    with open_input(path) as container:
        streams = list(container.streams.audio)
        tracks = {
            stream.index: SoundTrack(stream.index, copied=True, codec=codec_name(stream))
            for stream in streams
        }
        # when each track begins once what its decoder throws away is gone, and its longest packet
        begins: dict[int, Fraction] = {}
        longest: dict[int, Fraction] = {}
        for packet in container.demux(streams):
            if packet.pts is None or packet.dts is None:
                continue
            index, time = packet.stream.index, packet.pts * packet.time_base - origin
            hidden, cut = trimmed(packet)
            begin = begins.setdefault(index, time + hidden)
            track = tracks[index]
            # only what is heard counts: neither what an edit list hides nor what lies outside of
            # the part
            heard = None if packet.is_discard else part.heard(packet, time, track.codec)
            if heard is None:
                continue
            time = (heard.pts or 0) * packet.time_base - origin
            track.add(heard, time)
            start, end = track.span
            length = end - time
            longest[index] = max(longest.get(index, length), length)
            # Ogg takes what is cut off the last packet from its length as well, Matroska does not.
            track.heard = (max(begin, start), time + min(length, longest[index] - cut))
    # the rest of uncompressed sound; and what is heard of a part begins and ends with it
    for track in tracks.values():
        track.finish()
        if part and track.start is not None:
            track.start, track.end = part.clamped(*track.span)
            track.heard = track.heard and part.clamped(*track.heard)
    return [track for track in tracks.values() if track.start is not None]


def _reread_with_ffprobe(path: Path, found: _Found) -> None:
    """Replace what PyAV saw of the picture with what the ffprobe program sees."""
    import ffmpeg

    try:
        seen: dict[str, Any] = ffmpeg.probe(
            f"file:{path}",
            select_streams="v:0",
            show_entries=(
                "stream=time_base,width,height,sample_aspect_ratio,color_space,color_range,color_primaries,"
                "color_transfer:stream_side_data=rotation:packet=pts,flags"
            ),
        )
    except ffmpeg.Error as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or [
            "no reason given"
        ]
        raise MediaError(f"ffprobe cannot read {str(path)!r}: {reason[0]}") from error
    # its picture stream replaces PyAV's answers; frames that an edit list hides are flagged "D"
    stream = seen["streams"][0]
    base = Fraction(stream["time_base"])
    shown = [
        packet
        for packet in seen["packets"]
        if "D" not in packet.get("flags", "") and "pts" in packet
    ]
    found.times = sorted(int(packet["pts"]) * base for packet in shown)
    found.size = int(stream["width"]), int(stream["height"])
    found.color = _tags_seen(stream, found.color)
    aspect = stream.get("sample_aspect_ratio", "1:1").replace(":", "/")
    found.sample_aspect = (
        Fraction(aspect) if not aspect.startswith("0/") and aspect != "N/A" else Fraction(1)
    )
    found.reader = "ffprobe"


def _tags_seen(stream: Mapping[str, str], color: ColorTags) -> ColorTags:
    """The tags that ffprobe tells; where it tells none, as older ones do of PNG and RGB, those that
    PyAV saw.
    """
    names = {
        "matrix": "color_space",
        "range": "color_range",
        "primaries": "color_primaries",
        "transfer": "color_transfer",
    }
    # ffprobe says "unknown", "reserved" or nothing where there is no tag
    seen = {name: stream.get(key, "unknown") for name, key in names.items()}
    return replace(
        color,
        **{name: tag for name, tag in seen.items() if tag not in ("unknown", "reserved", "N/A")},
    )


def _check_count(found: _Found, expected: Expectation) -> Check:
    # a frame too few or too many makes all later ones slip
    have, want = len(found.times), len(expected.times)
    return Check(
        "frame count",
        have == want,
        f"{have} frames" if have == want else f"{have} frames, the source has {want}",
    )


def _check_times(found: _Found, expected: Expectation, tolerance: Fraction) -> Check:
    # the first frame that is off; a wrong count is told apart from it
    for index, (have, want) in enumerate(zip(found.times, expected.times, strict=False)):
        if abs(have - want) > tolerance:
            return Check(
                "timestamps",
                False,
                f"frame {index} is at {float(have):.6f} s, the source has it at"
                f" {float(want):.6f} s",
            )
    manner = "exact" if tolerance == 0 else "within 0.5 ms, Matroska's resolution"
    return Check("timestamps", True, f"every frame {manner}")


def _check_size(found: _Found, expected: Expectation) -> Check:
    (width, height), (want_width, want_height) = found.size, expected.size
    # one more column or row where the codec needs even sizes
    padded = width - want_width in (0, want_width % 2) and height - want_height in (
        0,
        want_height % 2,
    )
    if not padded:
        return Check(
            "picture size", False, f"{width}×{height}, the source shows {want_width}×{want_height}"
        )
    if found.sample_aspect != expected.sample_aspect:
        detail = f"pixel shape {found.sample_aspect}, the source has {expected.sample_aspect}"
        return Check("picture size", False, detail)
    return Check("picture size", True, f"{width}×{height}, pixel shape {found.sample_aspect}")


def _check_color(found: _Found, expected: Expectation, suffix: str) -> Check:
    """Compare the tags that the output's pixels and its kind of file can have: only Y'CbCr has a
    matrix and a range to tell.
    """
    # only Y'CbCr has a matrix and a range
    names = ["primaries", "transfer"]
    if found.layout is not None and found.layout.model == "yuv":
        names += ["matrix", "range"]
    # what the codec cannot say is not asked for, nor a range that the format was allowed to change
    wanted = writable_tags(expected.color, codec=found.codec)
    if wanted.matrix == "gbr" or (
        wanted.range == "pc" and found.color.range != "pc" and not expected.keeps_range
    ):
        wanted = replace(wanted, range=UNSPECIFIED)
    for name in names:
        have, want = getattr(found.color, name), getattr(wanted, name)
        if want != "gbr" and tag_differs(name, have, want, codec=found.codec, suffix=suffix):
            return Check("colour tags", False, f"{name} is {have}, the source has {want}")
    return Check(
        "colour tags", True, ", ".join(f"{name} {getattr(found.color, name)}" for name in names)
    )


def _check_sound(found: _Found, expected: Expectation, tolerance: Fraction) -> list[Check]:
    wanted = [track for track in expected.tracks if track.source_index not in found.left_out]
    # tracks in their order, without those that the render left out on purpose
    if len(found.tracks) != len(wanted):
        meant = (
            f", of which {len(wanted)} should be here"
            if len(wanted) != len(expected.tracks)
            else ""
        )
        return [
            Check(
                "sound",
                False,
                f"{len(found.tracks)} tracks, the source has {len(expected.tracks)}{meant}",
            )
        ]
    checks = []
    for number, (have, want) in enumerate(zip(found.tracks, wanted, strict=True)):
        name = "sound" if len(wanted) == 1 else f"sound {number}"
        checks.append(Check(name, *_compare_track(have, want, tolerance)))
    if missing := [track for track in expected.tracks if track.source_index in found.left_out]:
        named = ", ".join(f"stream {track.source_index} ({track.codec})" for track in missing)
        checks.append(
            Check("sound left out", True, f"{named} of the source: the render was made without")
        )
    return checks


def _compare_track(have: SoundTrack, want: SoundTrack, tolerance: Fraction) -> tuple[bool, str]:
    """Packets and their times for copied sound; only start and end for encoded sound, whose packets
    are others.
    """
    # a silent track has no time to compare
    if have.start is None or want.start is None:
        return have.start == want.start, "without any time of its own"
    # encoded anew: only when it begins and ends, within a packet
    if have.codec != want.codec or not want.copied:
        (begun, ended), (wanted_begin, wanted_end) = (
            have.heard or have.span,
            want.heard or want.span,
        )
        late, longer = begun - wanted_begin, ended - wanted_end
        ok = abs(late) <= _ENCODED_SLACK and -_ENCODED_SLACK <= longer <= 2 * _ENCODED_SLACK
        return (
            ok,
            (
                f"encoded anew, starts {float(late) * 1000:+.1f} ms and ends"
                f" {float(longer) * 1000:+.1f} ms from the source's"
            ),
        )
    # copied: the same packets at the same times
    found, expected = _packets(have), _packets(want)
    if len(found) != len(expected):
        # Priming: Matroska shows the packets before time zero, MP4 hides them behind an edit list.
        found, expected = (
            [packet for packet in packets if packet[0] >= 0] for packets in (found, expected)
        )
    if len(found) != len(expected):
        return False, f"{len(found)} packets, the source has {len(expected)}"
    for index, (seen, source) in enumerate(zip(found, expected, strict=True)):
        if seen[1] != source[1]:
            return False, f"packet {index} differs from the source's"
        if abs(seen[0] - source[0]) > tolerance:
            return (
                False,
                (
                    f"packet {index} is {float(seen[0] - source[0]) * 1000:+.3f} ms from where the"
                    " source has it"
                ),
            )
    return True, f"as in the source, at its times ({len(found)} packets)"


def _packets(track: SoundTrack) -> list[tuple[Fraction, int]]:
    return list(zip(track.times, track.checksums, strict=True))
