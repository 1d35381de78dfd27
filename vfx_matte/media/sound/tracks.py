"""Writes sound: copied packet by packet where the container allows, otherwise encoded.

It is never moved against the picture, and cut only where a part of a clip is rendered.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self, cast

import av

from vfx_matte.backend import Notify
from vfx_matte.media.formats import CONTAINERS, Container
from vfx_matte.media.probe import ClipInfo, length_of
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.media.sound.channels import (
    forget_own_order,
    layout_name,
    most_channels,
    plan_channels,
)
from vfx_matte.media.sound.cut import (
    FLICK,
    PCM_BITS,
    AudioPacket,
    SoundCut,
    pcm_sample,
    shift_earlier,
)
from vfx_matte.media.sound.encode import SoundEncoder

# a tenth of a second of stereo with 24 bits: a difference is named nearly where it is
_PCM_BLOCK_BYTES = 2**15
# Matroska rounds times to the millisecond, on both sides of a gap
_PCM_JITTER = Fraction(2, 1000)

_RUN_UP_PACKETS = {"mp3": 4, "opus": 5, "flac": 0, "alac": 0}
"""How many packets before one are needed to decode it: MP3 keeps up to 511 bytes of it there
(ISO/IEC 11172-3, 2.4.2.7), Opus needs 80 ms to find its pace (RFC 7845, 4.6).
"""

# a packet of AAC overlaps with the one before it, and with no other
_USUAL_RUN_UP = 1

_RUN_IN = Fraction(1, 2)
"""Seconds that are decoded before sound that is cut and encoded: decoders need them to find their
pace.
"""

_TRIAL_PACKETS = 500
"""How many packets of a track are looked at to find one that can be copied or decoded."""


@dataclass(slots=True)
class SoundTrack:
    """What was put into the output for one track, so that it can be checked afterwards.

    PCM is checked in blocks of its own, because every container cuts it into packets as it likes. A
    sample that a recording was cut off in does not count.
    """

    source_index: int
    """The stream's number in the source."""

    copied: bool
    """Whether packets are the source's own; there is one checksum and time for each audible packet
    then.
    """

    codec: str
    """The source's format."""

    start: Fraction | None = None
    """Exact time of the first audible packet, or encoded sample; None when the track is silent from
    end to end.
    """

    end: Fraction | None = None
    """Exact time of the end of the last one."""

    heard: tuple[Fraction, Fraction] | None = None
    """From when until when a player lets the track be heard, where it is known from a file: without
    the samples that a decoder throws away at both ends (the pre-skip of Opus, the priming of AAC).
    """

    checksums: list[int] = field(default_factory=list)
    """CRC-32 of each packet's payload, or of each block of PCM."""

    times: list[Fraction] = field(default_factory=list)
    """Exact seconds of the same."""

    _samples: bytearray = field(default_factory=bytearray)
    """PCM that does not fill a block yet."""

    _samples_time: Fraction = Fraction(0)
    """When `_samples` begins, in exact seconds."""

    _bytes_per_second: int = 0
    """Of PCM; 0 before the first packet."""

    _sample_bytes: int = 1
    """Bytes of a sample of all channels."""

    @property
    def span(self) -> tuple[Fraction, Fraction]:
        """From when until when there is sound; (0, 0) when there is none."""
        start = Fraction(0) if self.start is None else self.start
        return start, start if self.end is None else self.end

    def cover(self, start: Fraction, end: Fraction) -> None:
        """Record that sound was written from `start` to `end`."""
        self.start = start if self.start is None else self.start
        self.end = end

    def add(self, packet: AudioPacket, time: Fraction) -> None:
        """Record one audible packet at its exact time."""
        self.cover(time, time + length_of(packet))
        if not (pcm := PCM_BITS.fullmatch(self.codec)):
            self._note(payload_checksum(packet, self.codec), time)
            return
        if not self._bytes_per_second:
            self._sample_bytes, rate = pcm_sample(packet, pcm)
            self._bytes_per_second = self._sample_bytes * rate
        # a gap ends a block, as the next one begins at another time
        expected = self._samples_time + Fraction(len(self._samples), self._bytes_per_second)
        if self._samples and abs(time - expected) > _PCM_JITTER:
            self.finish()
        if not self._samples:
            self._samples_time = time
        self._samples += memoryview(packet)[: packet.size - packet.size % self._sample_bytes]
        while len(self._samples) >= _PCM_BLOCK_BYTES:
            self._note(zlib.crc32(memoryview(self._samples)[:_PCM_BLOCK_BYTES]), self._samples_time)
            del self._samples[:_PCM_BLOCK_BYTES]
            self._samples_time += Fraction(_PCM_BLOCK_BYTES, self._bytes_per_second)

    def finish(self) -> None:
        """Record the last, short block of PCM."""
        if self._samples:
            self._note(zlib.crc32(self._samples), self._samples_time)
            self._samples.clear()

    def _note(self, checksum: int, time: Fraction) -> None:
        self.checksums.append(checksum)
        self.times.append(time)


def trimmed(packet: AudioPacket) -> tuple[Fraction, Fraction]:
    """What a decoder throws away of a packet; (0, 0) for nearly all.

    Returns:
        Seconds from its beginning on, and at its end.
    """
    if not packet.has_sidedata("skip_samples") or not packet.stream.codec_context:
        return Fraction(0), Fraction(0)
    first, last = struct.unpack_from("<II", bytes(packet.get_sidedata("skip_samples")))
    rate = packet.stream.codec_context.sample_rate
    return Fraction(first, rate), Fraction(last, rate)


def payload_checksum(packet: AudioPacket, codec: str) -> int:
    """CRC-32 of a sound packet's payload; the ADTS header that MPEG-TS puts before AAC is not
    payload.
    """
    data = memoryview(packet)
    # the header has two bytes more where it holds a checksum of its own
    if codec == "aac" and len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        data = data[7 if data[1] & 1 else 9 :]
    return zlib.crc32(data)


class SoundCopier:
    """Feeds the sound of a source into an output container in step with the picture, so that memory
    stays bounded.
    """

    def __init__(
        self,
        source: ClipInfo,
        output: av.container.OutputContainer,
        container: Container,
        *,
        name: str,
        notify: Notify,
    ) -> None:
        """Add one output stream for each sound track; call before the output's first packet is
        muxed.

        Args:
            source: the clip, or a part of one.
            output: the file.
            container: what it can hold.
            name: the file's, for messages.
            notify: is told what is encoded anew or left out.
        """
        self._stack = ExitStack()
        self._input = self._stack.enter_context(open_input(source.path))
        self._output = output
        self._origin = source.origin
        self._cut = SoundCut.of(source.part, source.origin)
        self._keeps_negative = container.exact_time
        self.tracks: list[SoundTrack] = []
        self._streams: dict[int, tuple[SoundTrack, av.AudioStream | SoundEncoder]] = {}
        # empty tracks are left out, as a muxer would wait for their first packet
        wanted = {track.index: track.codec for track in source.audio if track.start is not None}
        for stream in self._input.streams.audio:
            if stream.index in wanted:
                self._add(source, stream, wanted[stream.index], container, name=name, notify=notify)
        self._packets = self._demux()
        self._waiting: AudioPacket | None = None
        self._before: dict[int, deque[AudioPacket]] = {}
        self._ended: set[int] = set()

    def _add(
        self,
        source: ClipInfo,
        stream: av.AudioStream,
        codec: str,
        container: Container,
        *,
        name: str,
        notify: Notify,
    ) -> None:
        """Add the output stream of one track, or say why there is none."""
        target: av.AudioStream | SoundEncoder | None = None
        # as it is where the container takes it; encoded else
        if codec in container.copies and _is_taken(source, stream.index, container.muxer):
            target = self._output.add_stream_from_template(stream)
        else:
            forget_own_order(stream.codec_context)
            target = self._encoder(source, stream.index, codec, container, name=name, notify=notify)
        if target is None:
            return
        metadata = {
            key: value for key, value in stream.metadata.items() if key in ("language", "title")
        }
        (target.stream if isinstance(target, SoundEncoder) else target).metadata.update(metadata)
        track = SoundTrack(stream.index, not isinstance(target, SoundEncoder), codec)
        self.tracks.append(track)
        self._streams[stream.index] = track, target

    def _encoder(
        self,
        source: ClipInfo,
        index: int,
        codec: str,
        container: Container,
        *,
        name: str,
        notify: Notify,
    ) -> SoundEncoder | None:
        # only what can be decoded can be encoded
        first = None if codec == "unknown" else _first_frame(source, index)
        if first is None:
            why = "is of an unknown kind" if codec == "unknown" else f"({codec}) cannot be decoded"
            notify(f"{name}: sound stream {index} {why} and is left out")
            return None
        encoder, layout = container.encoder, layout_name(first.layout)
        # frames do not name an order of their own, see `forget_own_order`
        own_order = next(track.layout for track in source.audio if track.index == index)
        layout = own_order if "+" in own_order else layout
        # Matroska takes uncompressed sound, which holds any number of channels
        if plan_channels(encoder, layout) is None and container.muxer == "matroska":
            encoder = "pcm_s24le"
        if plan_channels(encoder, layout) is None:
            count = first.layout.nb_channels
            most = f"{encoder} holds {most_channels(encoder)} at most"
            notify(f"{name}: sound stream {index} has {count} channels, {most}; it is left out")
            return None
        # say what becomes of it, and why
        usual = next(
            known.copies for known in CONTAINERS.values() if known.muxer == container.muxer
        )
        reason = (
            "is not for this program" if codec in usual else f"cannot be put in {container.muxer}"
        )
        encoded = SoundEncoder(
            self._output, first, encoder, codec=codec, layout=layout, cut=self._cut
        )
        rate = encoded.stream.codec_context.sample_rate
        changed = [encoded.plan.note] if encoded.plan.note else []
        changed += [f"{first.sample_rate} Hz become {rate} Hz"] if rate != first.sample_rate else []
        notify("; ".join([f"{name}: {codec} sound {reason}", f"encoded as {encoder}", *changed]))
        return encoded

    def _demux(self) -> Iterator[AudioPacket]:
        streams = [self._input.streams[index] for index in self._streams]
        if streams:
            yield from self._input.demux(*streams)

    def pump(self, until: Fraction | None) -> None:
        """Mux sound up to a time.

        Args:
            until: on the source's clock (origin taken off); None muxes all that is left.
        """
        while (packet := self._waiting or next(self._packets, None)) is not None:
            self._waiting = None
            if self._ended.issuperset(self._streams):
                # the rest comes after the part that is rendered
                break
            # what is decoded later than the picture waits for it
            if (
                packet.dts is not None
                and until is not None
                and packet.dts * packet.time_base - self._origin > until
            ):
                self._waiting = packet
                return
            self._take(packet)
        if until is None:
            for track, target in self._streams.values():
                track.finish()
                if isinstance(target, SoundEncoder):
                    for encoded in target.finish():
                        self._output.mux(encoded)

    def _take(self, packet: AudioPacket) -> None:
        track, target = self._streams[packet.stream.index]
        if isinstance(target, SoundEncoder):
            self._encode(packet, track, target)
            return
        if packet.pts is None or packet.dts is None:
            return
        # too late, too early, or to be heard
        time = packet.pts * packet.time_base - self._origin
        if self._cut.is_after(time):
            self._ended.add(packet.stream.index)
        # the few packets before the cut are kept, as decoding the first one that is heard needs
        # them
        if self._cut.is_before(packet, time):
            run_up = _RUN_UP_PACKETS.get(track.codec, _USUAL_RUN_UP)
            self._before.setdefault(packet.stream.index, deque(maxlen=run_up)).append(packet)
            return
        if packet.is_discard and (track.checksums or not self._keeps_negative):
            # Priming before the first audible packet goes along where the container can hide it;
            # what an edit list cut off at the end stays off, and Matroska, which has no negative
            # time, starts with the first audible packet.
            return
        heard = self._cut.heard(packet, time, track.codec)
        if heard is None:
            return
        if heard is packet and self._cut.begin is not None and time < self._cut.begin:
            if not self._keeps_negative:
                return
            for before in self._before.pop(packet.stream.index, ()):
                # what is heard first is decoded with its help; an edit list hides both
                self._mux(before, None, target)
        self._mux(heard, None if packet.is_discard else track, target)

    def _mux(self, packet: AudioPacket, track: SoundTrack | None, target: av.AudioStream) -> None:
        """Put a packet of the source into the output, earlier by the origin.

        Args:
            packet: changed.
            track: records the packet; None = it is not heard.
            target: the output's stream.
        """
        time = shift_earlier(packet, self._origin)
        if track is not None:
            track.add(packet, time)
        packet.stream = target
        self._output.mux(packet)

    def _encode(self, packet: AudioPacket, track: SoundTrack, target: SoundEncoder) -> None:
        """Decode a packet and encode what is heard of it."""
        # outside of the part nothing is decoded, but for what decoders need to find their pace
        if packet.pts is not None and self._cut:
            time = packet.pts * packet.time_base - self._origin
            if self._cut.is_after(time):
                self._ended.add(packet.stream.index)
                return
            if self._cut.is_long_before(packet, time + _RUN_IN):
                return
        try:
            frames: list[Any] = list(packet.decode())
        except (av.FFmpegError, ValueError):  # a damaged packet is silence, as in every player
            frames = []
        # each frame at its own time; what is cut off of it is the encoder's part
        for frame in frames:
            unit = frame.time_base
            if frame.pts is not None and unit is not None:
                time = frame.pts * frame.time_base - self._origin
                length = Fraction(frame.samples, frame.sample_rate)
                if self._cut.is_after(time):
                    continue
                if self._cut.begin is None or time + length > self._cut.begin:
                    track.cover(*self._cut.clamped(time, time + length))
                # a unit that is too coarse for the shifted time would move the frame
                if (time / unit).denominator != 1:
                    frame.time_base = FLICK
                frame.pts = round(time / frame.time_base)
            for encoded in target.encode(frame, unit=unit):
                self._output.mux(encoded)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._stack.close()


def _packets_of(source: ClipInfo, index: int, *, forget: bool = False) -> Iterator[AudioPacket]:
    """The first packets of one sound track, from an opening of its own.

    Args:
        source: the clip.
        index: the stream's number.
        forget: see `forget_own_order`.
    """
    with open_input(source.path) as container:
        stream = next(each for each in container.streams.audio if each.index == index)
        if forget:
            forget_own_order(stream.codec_context)
        stamped = (packet for packet in container.demux(stream) if packet.size)
        for _, packet in zip(range(_TRIAL_PACKETS), stamped, strict=False):
            yield packet


def _is_taken(source: ClipInfo, index: int, muxer: str) -> bool:
    """Whether a muxer takes a track's packets as they are: a broken header shows only when one is
    written.
    """
    for packet in _packets_of(source, index):
        if packet.pts is None or packet.dts is None:
            continue
        try:
            # one packet into memory is enough
            with av.open(io.BytesIO(), "w", format=muxer) as trial:
                target = trial.add_stream_from_template(packet.stream)
                packet.pts, packet.dts = packet.pts - packet.dts, 0
                packet.stream = target
                trial.mux(packet)
        except (av.FFmpegError, ValueError):
            return False
        return True
    return False


def _first_frame(source: ClipInfo, index: int) -> av.AudioFrame | None:
    """The first frame of a track that can be decoded; None when there is none."""
    for packet in _packets_of(source, index, forget=True):
        try:
            frames = cast("list[av.AudioFrame]", packet.decode())
        except (av.FFmpegError, ValueError):
            continue
        if frames and frames[0].layout.nb_channels and frames[0].sample_rate:
            return frames[0]
    return None
