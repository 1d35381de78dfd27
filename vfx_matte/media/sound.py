"""Sound beside the picture. Takes a source file, gives its sound tracks to an output: copied packet by packet where the
container allows, otherwise encoded; never cut, never moved against the picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Any, Self, TypeAlias

import av

from vfx_matte.backend import Notify
from vfx_matte.media.formats import Container
from vfx_matte.media.probe import ClipInfo, open_input

AudioPacket: TypeAlias = "av.Packet[Any]"


@dataclass(slots=True)
class SoundTrack:
    """What was put into the output for one track, so that it can be checked afterwards.

    copied: packets are the source's own; checksums and times (exact seconds) are then one for each audible packet.
    start: exact time of the first audible packet (or encoded sample); None when the track is silent from end to end.
    """

    source_index: int
    copied: bool
    start: Fraction | None = None
    checksums: list[int] = field(default_factory=list)
    times: list[Fraction] = field(default_factory=list)


def payload_checksum(packet: AudioPacket, codec: str) -> int:
    """CRC-32 of a sound packet's payload; the ADTS header that MPEG-TS puts before AAC is not payload."""
    data = memoryview(packet)
    if codec == "aac" and len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        data = data[7 if data[1] & 1 else 9 :]
    return zlib.crc32(data)


class SoundCopier:
    """Feeds an output container with the sound of a source, in step with the picture, so that memory stays bounded."""

    def __init__(
        self, source: ClipInfo, output: av.container.OutputContainer, container: Container, *, name: str, notify: Notify
    ) -> None:
        """Add one output stream for each sound track of `source`; call before the output's first packet is muxed."""
        self._stack = ExitStack()
        self._input = self._stack.enter_context(open_input(source.path))
        self._output = output
        self._origin = source.origin
        self._keeps_negative = container.exact_time
        self.tracks: list[SoundTrack] = []
        self._streams: dict[int, tuple[SoundTrack, av.AudioStream, str]] = {}
        wanted = {track.index: track.codec for track in source.audio if track.start is not None}
        for stream in self._input.streams.audio:
            if stream.index not in wanted:
                continue
            codec = wanted[stream.index]
            track = SoundTrack(stream.index, codec in container.copies)
            if track.copied:
                target = output.add_stream_from_template(stream)
            else:
                notify(f"{name}: {codec} sound cannot be put in {container.muxer}; encoded as {container.encoder}")
                target = self._add_encoder(stream, container.encoder)
            target.metadata.update({key: value for key, value in stream.metadata.items() if key in ("language", "title")})
            self.tracks.append(track)
            self._streams[stream.index] = track, target, codec
        self._packets = self._interleaved()
        self._waiting: AudioPacket | None = None

    def _add_encoder(self, stream: av.AudioStream, encoder: str) -> av.AudioStream:
        context = stream.codec_context
        rate = 48000 if encoder == "libopus" else context.sample_rate
        target = self._output.add_stream(encoder, rate=rate, layout=context.layout.name)
        assert isinstance(target, av.AudioStream)
        if encoder != "flac":
            target.bit_rate = 96_000 * max(2, context.channels)
        return target

    def _interleaved(self) -> Iterator[AudioPacket]:
        streams = [self._input.streams[index] for index in self._streams]
        if streams:
            yield from self._input.demux(*streams)

    def pump(self, until: Fraction | None) -> None:
        """Mux sound up to a time on the source's clock (origin taken off); None muxes all that is left."""
        while (packet := self._waiting or next(self._packets, None)) is not None:
            self._waiting = None
            if packet.dts is not None and until is not None and packet.dts * packet.time_base - self._origin > until:
                self._waiting = packet
                return
            self._take(packet)
        if until is None:
            for track, target, _ in self._streams.values():
                if not track.copied:
                    self._output.mux(target.encode(None))

    def _take(self, packet: AudioPacket) -> None:
        track, target, codec = self._streams[packet.stream.index]
        if not track.copied:
            self._encode(packet, track, target)
            return
        if packet.pts is None or packet.dts is None:
            return
        if packet.is_discard and (track.checksums or not self._keeps_negative):
            # Priming before the first audible packet goes along where the container can hide it; what an edit list cut off
            # at the end stays off, and Matroska, which has no negative time, starts with the first audible packet.
            return
        shift = round(self._origin / packet.time_base)
        packet.pts -= shift
        packet.dts -= shift
        if not packet.is_discard:
            time = packet.pts * packet.time_base
            track.start = time if track.start is None else track.start
            track.checksums.append(payload_checksum(packet, codec))
            track.times.append(time)
        packet.stream = target
        self._output.mux(packet)

    def _encode(self, packet: AudioPacket, track: SoundTrack, target: av.AudioStream) -> None:
        frames: list[Any] = list(packet.decode())
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                time = frame.pts * frame.time_base - self._origin
                track.start = time if track.start is None else track.start
                frame.pts = round(time / frame.time_base)
            self._output.mux(target.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
