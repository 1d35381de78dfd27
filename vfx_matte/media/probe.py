"""Reads the facts of a clip, and its exact timeline by counting frames.

A timeline is read from packets (fast). Only where packets have no trustworthy timestamps is the
whole clip decoded and its timestamps mended by `timeline.repair`, the one place where that happens.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
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
from vfx_matte.media.readers.fields import EXAMINED_FRAMES, needs_frames, resolve_field_order
from vfx_matte.media.readers.film import decoder_of, film_of
from vfx_matte.media.readers.side_data import side_data_of
from vfx_matte.media.sequence import SequenceFiles
from vfx_matte.media.sound.channels import layout_name
from vfx_matte.media.stated import (
    Chapter,
    chapters_of,
    other_streams,
    resolve_timecode,
    stated_timecode,
)
from vfx_matte.picture import UNSPECIFIED, ColorTags, PixelLayout
from vfx_matte.timeline import Repairs, Timeline, repair

Decoded = tuple[av.VideoFrame, Fraction | None]
"""A picture as it was decoded, and the shape of its pixels, None where it is not said."""

Decode = Callable[[int | None], Generator[Decoded, None, None]]
"""Decodes a stream from its beginning: that of a number, or None = the first real one."""

# FFmpeg's AVFieldOrder: which field is coded first, and which is shown first
FIELD_ORDERS = {0: "unknown", 1: "progressive", 2: "tt", 3: "bb", 4: "tb", 5: "bt"}

# These containers count time from an arbitrary clock (a broadcast's), not from the clip's start.
CLOCK_FORMATS = frozenset({"mpegts", "mpeg", "mpegvideo", "vob"})


_MILLISECOND = Fraction(1, 1000)

# so far may a picture's place in the file be from its place in time (H.264, HEVC)
_MOST_MOVED = 16
_BEGINNING_PACKETS = 64


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """One sound track."""

    index: int
    """The stream's number in the file."""

    codec: str
    """FFmpeg's name of the format."""

    sample_rate: int
    """Samples per second."""

    channels: int
    """How many there are."""

    layout: str
    """Their names, see `sound.channels.layout_name`."""

    language: str
    """Three letters (ISO 639-2); "und" where it is not said."""

    start: Fraction | None
    """Exact seconds of its first audible packet on the clip's clock; None when it is empty."""

    end: Fraction | None = None
    """Exact seconds of the end of its last audible packet."""


@dataclass(frozen=True, slots=True)
class Part:
    """What of a clip is rendered, when that is not all of it."""

    first: int
    """The number of its first frame."""

    last: int
    """The number of its last frame."""

    begin: Fraction | None
    """Exact seconds on the clip's clock from which sound is heard; None = it is not cut there."""

    end: Fraction | None
    """Exact seconds on the clip's clock until which sound is heard; None = it is not cut there."""

    @property
    def note(self) -> str:
        """What an output says of it."""
        return f"frames {self.first} to {self.last} of the source"


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """Everything about a clip that outputs must respect."""

    path: Path
    """The file, folder or pattern."""

    container: str
    """FFmpeg's name of the file format, "image sequence" for pictures."""

    codec: str
    """FFmpeg's name of the picture's format."""

    pixel_format: str
    """Of the first picture as decoded."""

    layout: PixelLayout
    """The planes that all pictures are given in."""

    color: ColorTags
    """Tags of the first picture, which all are given with."""

    width: int
    """Pixels as displayed (rotation applied, pixel shape not)."""

    height: int
    """Pixels as displayed."""

    sample_aspect: Fraction
    """Width of a pixel ÷ its height as displayed, 1 for square pixels."""

    orientation: Orientation
    """How pictures are turned for display."""

    rotation_degrees: int
    """The same as FFmpeg tells it, for comparison with other frames."""

    field_order: str
    """One of FIELD_ORDERS."""

    timecode: str | None
    """Of the first frame, None where there is none."""

    origin: Fraction
    """Seconds to take off every timestamp (not zero only for broadcast clocks)."""

    video_stream: int
    """The stream's number in the file."""

    audio: tuple[AudioInfo, ...]
    """The sound tracks."""

    other_streams: tuple[str, ...]
    """Kinds of streams that nothing here carries on."""

    timeline: Timeline
    """When each frame is shown."""

    keyframes: tuple[int, ...]
    """Frame indices where decoding can start."""

    repairs: Repairs
    """What had to be mended in the timestamps."""

    reliable: bool
    """False when timestamps had to be mended by decoding."""

    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    """Mastering display and light level."""

    files: SequenceFiles | None = None
    """Of an image sequence."""

    chapters: tuple[Chapter, ...] = ()
    """Named ranges."""

    has_alpha: bool = False
    """Whether its first picture has an alpha channel, which takes part."""

    first_color: ColorTags = field(default_factory=ColorTags)
    """Tags of the first picture as decoded, whatever the container says."""

    first_aspect: Fraction | None = None
    """Pixel shape of the first picture as decoded; a picture that has another differs from it."""

    part: Part | None = None
    """None for a whole clip; otherwise see `readers.part`."""

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
    """The video stream of a file.

    Args:
        container: the file.
        path: its name, for messages.
        index: the stream's number; None = the first real one (cover pictures do not count).

    Raises:
        MediaError: when there is none, or nothing can decode it.
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


def probe(path: Path, *, notify: Notify, pictures_of: Decode | None = None) -> ClipInfo:
    """Read a clip's facts and count its frames.

    Args:
        path: a video file.
        notify: receives one line for each thing that had to be mended or is left out.
        pictures_of: decodes it in another way than `decode` does, such as one that keeps pictures.

    Raises:
        MediaError: when the file is missing, damaged or has no video frames.
    """
    decoder = pictures_of or partial(_decode_stream, path)
    info = _probe(path, decoder, notify=notify, most_packets=None)
    assert info is not None
    return info


def probe_beginning(path: Path) -> ClipInfo | None:
    """Read the facts of a clip without counting its frames, which takes long for a long one.

    Args:
        path: a video file.

    Returns:
        Facts of which those about the first frame are right; the timeline has some of the first
        frames, and sound tracks have no end. None where only the whole clip tells which frame is
        the first.

    Raises:
        MediaError: when the file is missing, damaged or has no video frames.
    """
    decoder = partial(_decode_stream, path)
    return _probe(path, decoder, notify=lambda _: None, most_packets=_BEGINNING_PACKETS)


def _decode_stream(path: Path, stream: int | None) -> Generator[Decoded, None, None]:
    return decode(path, stream=stream)


def _probe(
    path: Path, pictures_of: Decode, *, notify: Notify, most_packets: int | None
) -> ClipInfo | None:
    """Read a clip's facts, from all packets or from the first pictures' alone; None where these do
    not tell.
    """
    # what packets and headers say. Opening takes as long as reading a short clip, so it is done
    # once where nothing has to be read before the packets are counted: to choose among several
    # streams, or the timecode of a track, which has to be demuxed before anything else.
    with open_input(path) as container:
        chosen = film_of(container, path, notify=notify)
        film = video_stream_of(container, path).index if chosen is None else chosen
        is_at_start = chosen is None and all(each.type != "data" for each in container.streams)
        # while FFmpeg decodes other threads run; between packets that are read they are waited for
        pictures = pictures_of(chosen)
        beginning = list(itertools.islice(pictures, 1))
        if is_at_start:
            stated = stated_timecode(container)
            said = _Said.of(container, film, path, most_packets)
    if not is_at_start:
        with open_input(path) as container:
            said = _Said.of(container, film, path, most_packets)
        with open_input(path) as container:
            stated = stated_timecode(container)
    # times that have to be mended, or a beginning that an edit list cuts away: an earlier frame
    # may come later in the file
    packets = said.packets
    if most_packets is not None and not (packets.reliable and len(packets.pts) > _MOST_MOVED):
        return None
    # what the first picture says, and, where packets have no times to trust, all of them
    with closing(pictures):
        first, first_aspect, decoded, field_order = _decode_facts(
            path, itertools.chain(beginning, pictures), packets
        )
    timeline, repairs, keyframes = packets.timeline(), Repairs(), packets.keyframes
    if not packets.reliable:
        timeline, repairs = repair(
            decoded, time_base=packets.time_base, nominal_ticks=packets.nominal_ticks
        )
        # without the packets' times there is nothing to seek by
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
    # how it is shown
    orientation = orientation_of(first)
    if orientation is None:
        notify(
            f"{path.name}: rotated by {first.rotation}°, which is not a right angle; shown"
            " unrotated"
        )
        orientation = Orientation()
    layout = layout_of(picture_format(first.format.name, orientation))
    assert layout is not None
    timecode, note = resolve_timecode(stated, timeline)
    if note:
        notify(f"{path.name}: {note}")
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
        audio=said.audio,
        other_streams=said.other_streams,
        timeline=timeline,
        keyframes=keyframes,
        repairs=repairs,
        reliable=packets.reliable,
        hdr=hdr_of(first),
        chapters=said.chapters,
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
    """How a frame must be turned for display; None when its matrix is not a right-angle turn."""
    matrix = side_data_of(frame).display_matrix
    return Orientation() if matrix is None else Orientation.from_display_matrix(matrix)


@dataclass(frozen=True, slots=True)
class _Packets:
    """What demuxing alone tells about the video stream. Times are raw ticks."""

    container: str
    """FFmpeg's name of the file format."""

    codec: str
    """FFmpeg's name of the picture's format."""

    stream_index: int
    """The stream's number in the file."""

    time_base: Fraction
    """Seconds per tick."""

    field_order: str
    """One of FIELD_ORDERS, as the stream says it."""

    sample_aspect: Fraction
    """Width of a pixel ÷ its height, before turning."""

    pts: tuple[int, ...]
    """Of the frames that are shown, ascending; () where they cannot be trusted."""

    last_duration: int
    """How long the last frame is shown."""

    keyframes: tuple[int, ...]
    """Frame indices where decoding can start."""

    reliable: bool
    """Whether the timestamps can be trusted."""

    nominal_ticks: int
    """Expected distance of two frames."""

    audio_starts: dict[int, Fraction]
    """Stream → exact seconds of its first audible packet."""

    audio_ends: dict[int, Fraction]
    """Stream → exact seconds of the end of its last one."""

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


@dataclass(frozen=True, slots=True)
class _Said:
    """What headers and packets of a file say."""

    packets: _Packets
    audio: tuple[AudioInfo, ...]
    other_streams: tuple[str, ...]
    chapters: tuple[Chapter, ...]

    @classmethod
    def of(
        cls,
        container: av.container.InputContainer,
        film: int,
        path: Path,
        most_packets: int | None,
    ) -> _Said:
        """Read a container from its beginning; `most_packets` as for `_scan`."""
        stream = video_stream_of(container, path, film)
        packets = _scan(container, stream, most_packets)
        audio = tuple(
            _audio_info(
                track, packets.audio_starts.get(track.index), packets.audio_ends.get(track.index)
            )
            for track in container.streams.audio
        )
        return cls(packets, audio, other_streams(container, stream.index), chapters_of(container))


def _scan(
    container: av.container.InputContainer, stream: av.VideoStream, most_packets: int | None
) -> _Packets:
    """Demux the whole file once: timestamps of video packets, and when each sound track starts.

    Up to `most_packets` pictures; None is all.
    """
    video: list[_VideoPacket] = []
    audio_starts: dict[int, Fraction] = {}
    audio_ends: dict[int, Fraction] = {}
    wanted = [stream, *container.streams.audio]
    # one pass over the file: of pictures what their order needs, of sound when it begins and ends
    for packet in container.demux(wanted):
        if packet.dts is None and packet.pts is None and packet.size == 0:
            continue
        if packet.stream_index == stream.index:
            if len(video) == most_packets:
                break
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
    # 25 only spaces frames that have no times, where nothing else is said
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    nominal = max(1, round(1 / (rate * base)))
    # when frames are shown; the last one's end is best known to the container
    pts, keys, last_duration, reliable = _order(video, nominal)
    if pts and (end := _stated_end(stream)) is not None and end > pts[-1]:
        # MP4 may state ends in milliseconds; a packet that says nearly the same in a finer unit is
        # taken.
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
    # MP4 and its like know the stream's length, Matroska writes it as a tag
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
    """What `_order` needs of a packet."""

    pts: int | None
    """Its timestamp, None where it has none."""

    is_key: bool
    """Whether decoding can start with it."""

    duration: int
    """In ticks; 0 where it is not said."""

    shown: bool
    """Whether it is not cut away by an edit list."""


def _order(
    video: list[_VideoPacket], nominal: int
) -> tuple[tuple[int, ...], tuple[int, ...], int, bool]:
    """Display order, keyframe indices, last duration, and whether timestamps can be trusted.

    Packets that no decoder can show are left out: those before the first keyframe, and its leading
    pictures. A frame that is shown may depend on a keyframe that an edit list cut away.
    """
    # where a packet has no timestamp, or two have the same, only decoding tells the order
    start = next((number for number, packet in enumerate(video) if packet.is_key), 0)
    if any(packet.pts is None for packet in video):
        return (), (), nominal, False
    # nothing shows what comes before the first keyframe, in the file or in time
    first_key_pts = (video[start].pts if video else None) or 0
    stamped = ((packet.pts or 0, packet) for packet in video[start:] if packet.shown)
    shown = sorted(
        ((pts, packet) for pts, packet in stamped if pts >= first_key_pts),
        key=lambda entry: entry[0],
    )
    pts = tuple(entry[0] for entry in shown)
    if len(set(pts)) != len(pts):
        return (), (), nominal, False
    # the last frame's length as its packet says it, or like the one before
    keys = tuple(index for index, (_, packet) in enumerate(shown) if packet.is_key)
    last = shown[-1][1].duration if shown else 0
    return pts, keys or (0,), last or (pts[-1] - pts[-2] if len(pts) > 1 else nominal), True


def _decode_facts(
    path: Path, pictures: Iterable[Decoded], packets: _Packets
) -> tuple[av.VideoFrame, Fraction | None, list[int | None], str]:
    """The first decoded frame, its pixel shape, raw timestamps and the field order.

    Timestamps are those of every frame where packets have none to trust.
    """
    # the first frame; a few more where fields are to be found out; all where packets have no times
    examined: list[av.VideoFrame] = []
    shape: Fraction | None = None
    stamps: list[int | None] = []
    wanted = EXAMINED_FRAMES if needs_frames(packets.codec, packets.field_order) else 1
    for frame, aspect in pictures:
        shape = shape if examined else aspect
        stamps.append(frame.pts)
        if len(examined) < wanted:
            examined.append(frame)
        if packets.reliable and (len(examined) == wanted or frame.interlaced_frame):
            break
    if not examined:
        raise MediaError(
            f"{str(path)!r} has no picture that can be decoded",
            hint="the file is damaged or cut short",
        )
    return examined[0], shape, stamps, resolve_field_order(packets.field_order, examined)


def decode(
    path: Path, *, stream: int | None = None, from_key: int | None = None, threads: int = 0
) -> Generator[Decoded, None, None]:
    """Decode the video stream in display order; damaged packets are passed over.

    Args:
        path: the file.
        stream: the stream's number; None = the first real one.
        from_key: timestamp of a keyframe to start from; None starts at the beginning. A container
            that seeks roughly may start at an earlier or later keyframe, not between two.
        threads: of the decoder, 0 = by cores.

    Returns:
        Frames, and the shape of their pixels (None = it is not said).
    """
    with open_input(path) as container:
        video = video_stream_of(container, path, stream)
        decoder = decoder_of(video, threads=threads)
        if from_key is not None:
            container.seek(from_key, stream=video)
        # a seek may land between keyframes: nothing is decoded before the next one
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
