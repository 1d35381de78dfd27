"""What a clip is.

Takes a path, gives `ClipInfo` with the exact timeline by counting; never decodes more than it must.

A timeline is read from packets (fast). Only where packets have no trustworthy timestamps is the
whole clip decoded and its timestamps mended by `timeline.repair`, the one place where that happens.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from vfx_matte.backend import Notify
from vfx_matte.errors import MediaError
from vfx_matte.media.hdr import HdrMetadata, hdr_of
from vfx_matte.media.pixels import (
    Orientation,
    carries_alpha,
    layout_of,
    picture_format,
    tags_of,
    turned,
)
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.media.readers.fields import LOOKED_AT, needs_a_look, settled_field_order
from vfx_matte.media.readers.film import decoder_of, film_of
from vfx_matte.media.readers.side_data import side_data_of
from vfx_matte.media.sequence import SequenceFiles
from vfx_matte.media.sound.channels import layout_name
from vfx_matte.media.stated import (
    Chapter,
    chapters_of,
    other_streams,
    settled_timecode,
    stated_timecode,
)
from vfx_matte.picture import UNSPECIFIED, ColorTags, PixelLayout
from vfx_matte.timeline import Repairs, Timeline, repair

FIELD_ORDERS = {0: "unknown", 1: "progressive", 2: "tt", 3: "bb", 4: "tb", 5: "bt"}

# These containers count time from an arbitrary clock (a broadcast's), not from the clip's start.
CLOCK_FORMATS = frozenset({"mpegts", "mpeg", "mpegvideo", "vob"})


_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """One sound track.

    start, end: exact seconds of its audible packets on the clip's clock; None when it is empty.
    """

    index: int
    codec: str
    sample_rate: int
    channels: int
    layout: str
    language: str
    start: Fraction | None
    end: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What of a clip is rendered, when that is not all of it.

    first, last: numbers of its first and last frame.

    begin, end: exact seconds on the clip's clock between which sound is heard; None = it is not cut
    there.
    """

    first: int
    last: int
    begin: Fraction | None
    end: Fraction | None

    @property
    def note(self) -> str:
        """What an output says of it."""
        return f"frames {self.first} to {self.last} of the source"


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """Everything about a clip that outputs must respect.

    width, height: pixels as displayed (rotation applied, pixel shape not). sample_aspect: width of
    a pixel ÷ its height as displayed, 1 for square pixels. origin: seconds to take off every
    timestamp (not zero only for broadcast clocks).
    keyframes: frame indices where decoding can start. files: of an image sequence.
    reliable: False when timestamps had to be mended by decoding.
    has_alpha: its first picture has an alpha channel, which takes part. first_color, first_aspect:
    tags and pixel shape of the first picture as decoded, whatever the container says; a picture
    that has others differs from it.
    part: None for a whole clip; otherwise see media.part.
    """

    path: Path
    container: str
    codec: str
    pixel_format: str
    layout: PixelLayout
    color: ColorTags
    width: int
    height: int
    sample_aspect: Fraction
    orientation: Orientation
    rotation_degrees: int
    field_order: str
    timecode: str | None
    origin: Fraction
    video_stream: int
    audio: tuple[AudioInfo, ...]
    other_streams: tuple[str, ...]
    timeline: Timeline
    keyframes: tuple[int, ...]
    repairs: Repairs
    reliable: bool
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    files: SequenceFiles | None = None
    chapters: tuple[Chapter, ...] = ()
    has_alpha: bool = False
    first_color: ColorTags = field(default_factory=ColorTags)
    first_aspect: Fraction | None = None
    part: Part | None = None

    @property
    def is_interlaced(self) -> bool:
        """Whether every frame holds two fields, taken one after the other."""
        return self.field_order in ("tt", "bb", "tb", "bt")

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a mask for this clip."""
        return self.height, self.width


def video_stream_of(
    container: av.container.InputContainer, path: Path, index: int | None = None
) -> av.VideoStream:
    """The video stream `index` of the file, None = the first real one (cover pictures do not
    count).

    Raises MediaError when nothing can decode it.
    """
    for stream in container.streams.video:
        if index == stream.index or (
            index is None and not stream.disposition & av.stream.Disposition.attached_pic
        ):
            if stream.codec_context is None:
                raise MediaError(
                    f"{str(path)!r} has pictures of a kind that FFmpeg cannot decode",
                    hint="convert it to ProRes or H.264 with the program that made it",
                )
            return stream
    raise MediaError(f"{str(path)!r} has no video", hint="give a file with a picture track")


def film_stream(path: Path, *, notify: Notify) -> int:
    """The number of the stream that is the film: the first real one, unless that is one picture
    only and another is not.
    """
    with open_input(path) as container:
        chosen = film_of(container, path, notify=notify)
        if chosen is not None:
            return chosen
        return video_stream_of(container, path).index


def probe(path: Path, *, notify: Notify) -> ClipInfo:
    """Read a clip's facts and count its frames.

    notify: receives one line for each thing that had to be mended or is left out.
    Raises MediaError when the file is missing, damaged or has no video frames.
    """
    film = film_stream(path, notify=notify)
    with open_input(path) as container:
        stream = video_stream_of(container, path, film)
        packets = _scan(container, stream)
        audio = tuple(
            _audio_info(
                track, packets.audio_starts.get(track.index), packets.audio_ends.get(track.index)
            )
            for track in container.streams.audio
        )
        left_out = other_streams(container, stream.index)
        chapters = chapters_of(container)
    with open_input(path) as container:
        stated = stated_timecode(container)
    first, first_aspect, decoded, field_order = _decode_facts(path, packets)
    timeline, repairs, keyframes = packets.timeline(), Repairs(), packets.keyframes
    if not packets.reliable:
        timeline, repairs = repair(
            decoded, time_base=packets.time_base, nominal_ticks=packets.nominal_ticks
        )
        keyframes = (0,)
        if packets.audio_starts and all(stamp is None for stamp in decoded):
            # Only the sound has times, on the file's own clock: the picture begins with it.
            timeline = timeline.shifted(
                round(min(packets.audio_starts.values()) / packets.time_base)
            )
        notify(
            f"{path.name}: timestamps are not reliable ({repairs or 'found by decoding'}); mended,"
            " every frame kept"
        )
    orientation = orientation_of(first)
    if orientation is None:
        notify(
            f"{path.name}: rotated by {first.rotation}°, which is no right angle; shown unrotated"
        )
        orientation = Orientation()
    layout = layout_of(picture_format(first.format.name, orientation))
    assert layout is not None
    timecode, said = settled_timecode(stated, timeline)
    if said:
        notify(f"{path.name}: {said}")
    return ClipInfo(
        path=path,
        container=packets.container,
        codec=packets.codec,
        pixel_format=first.format.name,
        layout=turned(layout, orientation),
        color=color_of(first),
        width=first.height if orientation.transpose else first.width,
        height=first.width if orientation.transpose else first.height,
        sample_aspect=1 / packets.sample_aspect if orientation.transpose else packets.sample_aspect,
        orientation=orientation,
        rotation_degrees=first.rotation,
        field_order=field_order,
        timecode=timecode,
        origin=packets.origin(timeline),
        video_stream=packets.stream_index,
        audio=audio,
        other_streams=left_out,
        timeline=timeline,
        keyframes=keyframes,
        repairs=repairs,
        reliable=packets.reliable,
        hdr=hdr_of(first),
        chapters=chapters,
        has_alpha=carries_alpha(first.format.name),
        first_color=color_of(first),
        first_aspect=first_aspect,
    )


def _audio_info(track: av.AudioStream, start: Fraction | None, end: Fraction | None) -> AudioInfo:
    context = track.codec_context
    layout = layout_name(context.layout) if context else ""
    return AudioInfo(
        index=track.index,
        codec=codec_name(track),
        sample_rate=context.sample_rate if context else 0,
        channels=av.AudioLayout(layout).nb_channels if layout else 0,
        layout=layout,
        language=track.metadata.get("language", "und"),
        start=start,
        end=end,
    )


def color_of(frame: av.VideoFrame) -> ColorTags:
    """Colour tags of a decoded frame, as far as its pixels can have them.

    The old full-range yuvj formats say their range by name; RGB is full range without a tag and has
    no other matrix than "gbr", which nothing else has (grey PNG files say so).
    """
    tags = tags_of(frame)
    if frame.format.is_rgb or frame.format.has_palette:
        return replace(tags, matrix="gbr", range="pc" if tags.range == UNSPECIFIED else tags.range)
    return replace(
        tags,
        matrix=UNSPECIFIED if tags.matrix == "gbr" else tags.matrix,
        range="pc" if frame.format.name.startswith("yuvj") else tags.range,
    )


def orientation_of(frame: av.VideoFrame) -> Orientation | None:
    """How a frame must be turned for display; None when its matrix is no right-angle turn."""
    matrix = side_data_of(frame).display_matrix
    return Orientation() if matrix is None else Orientation.from_display_matrix(matrix)


@dataclass(frozen=True, slots=True)
class _Packets:
    """What demuxing alone tells about the video stream. Times are raw ticks."""

    container: str
    codec: str
    stream_index: int
    time_base: Fraction
    field_order: str
    sample_aspect: Fraction
    pts: tuple[int, ...]
    last_duration: int
    keyframes: tuple[int, ...]
    reliable: bool
    nominal_ticks: int
    audio_starts: dict[int, Fraction]
    audio_ends: dict[int, Fraction]

    def timeline(self) -> Timeline:
        steps = tuple(b - a for a, b in itertools.pairwise(self.pts))
        return Timeline(self.pts, (*steps, self.last_duration) if self.pts else (), self.time_base)

    def origin(self, timeline: Timeline) -> Fraction:
        """Where a broadcast clock stood at the clip's start: the earliest picture (of the timeline,
        mended) or sound.
        """
        if self.container not in CLOCK_FORMATS:
            return Fraction(0)
        first_picture = [timeline.start] if timeline.pts else []
        return min([*first_picture, *self.audio_starts.values()], default=Fraction(0))


def _scan(container: av.container.InputContainer, stream: av.VideoStream) -> _Packets:
    """Demux the whole file once: timestamps of video packets, and when each sound track starts."""
    video: list[_VideoPacket] = []
    audio_starts: dict[int, Fraction] = {}
    audio_ends: dict[int, Fraction] = {}
    wanted = [stream, *container.streams.audio]
    for packet in container.demux(wanted):
        if packet.dts is None and packet.pts is None and packet.size == 0:
            continue
        if packet.stream_index == stream.index:
            video.append(
                _VideoPacket(
                    packet.pts, packet.is_keyframe, packet.duration or 0, not packet.is_discard
                )
            )
        elif packet.pts is not None and not packet.is_discard:
            audio_starts.setdefault(packet.stream_index, packet.pts * packet.time_base)
            audio_ends[packet.stream_index] = packet.pts * packet.time_base + length_of(packet)
    base = stream.time_base
    assert base is not None
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    nominal = max(1, round(1 / (rate * base)))
    pts, keys, last_duration, reliable = _order(video, nominal)
    if pts and (end := _stated_end(stream)) is not None and end > pts[-1]:
        # MP4 may state ends in milliseconds; a packet that says nearly the same in a finer unit is
        # believed.
        nearly = abs(end - pts[-1] - last_duration) * base <= _MILLISECOND
        last_duration = last_duration if nearly and base < _MILLISECOND else end - pts[-1]
    return _Packets(
        container=container.format.name,
        codec=codec_name(stream),
        stream_index=stream.index,
        time_base=base,
        field_order=FIELD_ORDERS.get(stream.codec_context.field_order, "unknown"),
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        pts=pts,
        last_duration=last_duration,
        keyframes=keys,
        reliable=reliable,
        nominal_ticks=nominal,
        audio_starts=audio_starts,
        audio_ends=audio_ends,
    )


def _stated_end(stream: av.VideoStream) -> int | None:
    """End of the last frame as the container states it, in ticks; None when it does not.

    With B-frames an MP4 packet's duration is the distance in decoding order, which says nothing
    about the last frame shown.
    """
    base = stream.time_base
    assert base is not None
    if stream.duration and stream.start_time is not None:
        return stream.start_time + stream.duration
    if match := re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", "")):
        seconds = int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
        return round(seconds / base)
    return None


def codec_name(stream: av.VideoStream | av.AudioStream) -> str:
    """The name of the format, not of the decoder: mp3 rather than mp3float, av1 rather than
    libdav1d.
    """
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def length_of(packet: av.Packet[Any]) -> Fraction:
    """How long a packet of sound lasts, in exact seconds; where its file does not say, its samples
    are decoded and counted.
    """
    if packet.duration or not packet.size or not packet.stream.codec_context:
        return (packet.duration or 0) * packet.time_base
    try:
        frames: list[Any] = list(packet.decode())
    except (av.FFmpegError, ValueError):  # damaged: silence, as in every player
        frames = []
    return sum((Fraction(frame.samples, frame.sample_rate) for frame in frames), Fraction(0))


class _VideoPacket(NamedTuple):
    """What `_order` needs of a packet. shown: not cut away by an edit list."""

    pts: int | None
    is_key: bool
    duration: int
    shown: bool


def _order(
    video: list[_VideoPacket], nominal: int
) -> tuple[tuple[int, ...], tuple[int, ...], int, bool]:
    """Display order, keyframe indices, last duration, and whether timestamps can be trusted.

    Packets that no decoder can show are left out: those before the first keyframe, and its leading
    pictures. A frame that is shown may depend on a keyframe that an edit list cut away.
    """
    start = next((place for place, packet in enumerate(video) if packet.is_key), 0)
    if any(packet.pts is None for packet in video):
        return (), (), nominal, False
    first_key_pts = (video[start].pts if video else None) or 0
    stamped = ((packet.pts or 0, packet) for packet in video[start:] if packet.shown)
    shown = sorted(
        ((pts, packet) for pts, packet in stamped if pts >= first_key_pts),
        key=lambda entry: entry[0],
    )
    pts = tuple(entry[0] for entry in shown)
    if len(set(pts)) != len(pts):
        return (), (), nominal, False
    keys = tuple(index for index, (_, packet) in enumerate(shown) if packet.is_key)
    last = shown[-1][1].duration if shown else 0
    return pts, keys or (0,), last or (pts[-1] - pts[-2] if len(pts) > 1 else nominal), True


def _decode_facts(
    path: Path, packets: _Packets
) -> tuple[av.VideoFrame, Fraction | None, list[int | None], str]:
    """The first decoded frame, its pixel shape, raw timestamps and the field order.

    Timestamps are those of every frame where packets have none to trust.
    """
    looked_at: list[av.VideoFrame] = []
    shape: Fraction | None = None
    stamps: list[int | None] = []
    wanted = LOOKED_AT if needs_a_look(packets.codec, packets.field_order) else 1
    for frame, aspect in decode(path, stream=packets.stream_index):
        shape = shape if looked_at else aspect
        stamps.append(frame.pts)
        if len(looked_at) < wanted:
            looked_at.append(frame)
        if packets.reliable and (len(looked_at) == wanted or frame.interlaced_frame):
            break
    if not looked_at:
        raise MediaError(
            f"{str(path)!r} has no picture that can be decoded",
            hint="the file is damaged or cut short",
        )
    return looked_at[0], shape, stamps, settled_field_order(packets.field_order, looked_at)


def decode(
    path: Path, *, stream: int | None = None, from_key: int | None = None, threads: int = 0
) -> Iterator[tuple[av.VideoFrame, Fraction | None]]:
    """Decode the video stream in display order: frames, and the shape of their pixels (None = it is
    not said).

    Damaged packets are passed over. stream: its number in the file, None = the first real one.
    from_key: timestamp of a keyframe to start from; None starts at the beginning. A container that
    seeks roughly may start at an earlier or later keyframe, never between two.
    """
    with open_input(path) as container:
        video = video_stream_of(container, path, stream)
        decoder = decoder_of(video, threads=threads)
        if from_key is not None:
            container.seek(from_key, stream=video)
        waiting = from_key is not None
        for packet in container.demux(video):
            waiting = waiting and not packet.is_keyframe
            if waiting or (packet.size == 0 and packet.pts is not None):
                # nothing is coded where a picture repeats (Theora)
                continue
            try:
                frames = decoder.decode(packet)
            except av.InvalidDataError:
                continue
            for frame in frames:
                yield frame, decoder.sample_aspect_ratio or None
