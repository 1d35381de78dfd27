"""Cuts sound where only a part of a clip is rendered.

Uncompressed sound is cut to the sample, everything else that is copied to the packet: none that is
heard there is left out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import av

from vfx_matte.media.probe import Part, length_of
from vfx_matte.media.sound.channels import layout_name

AudioPacket: TypeAlias = "av.Packet[Any]"

# bits per sample, byte order, and whether channels lie one after the other; the laws have 8 bits
PCM_BITS = re.compile(r"pcm_[a-z](8|16|24|32|64)(le|be)?(_planar)?|pcm_(?:mulaw|alaw|vidc)")
_LAW_BITS = 8
_LONGEST_PACKET = Fraction(2)
"""Seconds; what begins earlier than that before the cut is not measured any more."""


@dataclass(frozen=True, slots=True)
class SoundCut:
    """Sound between two times on the clock that an output counts."""

    begin: Fraction | None = None
    """Exact seconds; None does not cut there."""

    end: Fraction | None = None
    """Exact seconds; None does not cut there."""

    @classmethod
    def of(cls, part: Part | None, origin: Fraction) -> SoundCut:
        """The cut of a part, once `origin` has been subtracted from all times."""
        if part is None:
            return cls()
        # the part's times are the clip's, the cut's are the output's
        times = (None if time is None else time - origin for time in (part.begin, part.end))
        return cls(*times)

    def __bool__(self) -> bool:
        return self.begin is not None or self.end is not None

    def is_before(self, packet: AudioPacket, time: Fraction) -> bool:
        """Whether all of a packet is over when the sound begins."""
        if self.begin is None or time >= self.begin:
            return False
        # far before, nothing has to be measured, which may mean to decode
        return time < self.begin - _LONGEST_PACKET or time + length_of(packet) <= self.begin

    def is_long_before(self, packet: AudioPacket, time: Fraction) -> bool:
        """The same as `is_before`, without decoding a packet whose file does not say how long it
        is: it may be long.
        """
        return (
            self.begin is not None
            and time + ((packet.duration or 0) * packet.time_base or _LONGEST_PACKET) <= self.begin
        )

    def is_after(self, time: Fraction) -> bool:
        """Whether what begins at `time` comes too late."""
        return self.end is not None and time >= self.end

    def heard(self, packet: AudioPacket, time: Fraction, codec: str) -> AudioPacket | None:
        """What is heard of a packet.

        Args:
            packet: of the source.
            time: when it begins.
            codec: of the source.

        Returns:
            The packet itself, or a piece of it where sound is uncompressed; None = nothing.
        """
        if self.is_after(time) or self.is_before(packet, time):
            return None
        bits = PCM_BITS.fullmatch(codec)
        # planar samples cannot be cut out of one piece of memory
        if not self or bits is None or bits[3]:
            return packet
        size, rate = pcm_sample(packet, bits)
        count = packet.size // size
        # the first sample at or after the beginning; the last one before the end
        first = 0 if self.begin is None else max(0, math.ceil((self.begin - time) * rate))
        last = count if self.end is None else min(count, math.ceil((self.end - time) * rate))
        if (first, last) == (0, count):
            return packet
        if first >= last:
            return None
        return _piece(
            packet,
            first * size,
            last * size,
            later=Fraction(first, rate),
            length=Fraction(last - first, rate),
        )

    def clamped(self, start: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
        """The part of a span that is heard."""
        start = start if self.begin is None else max(start, self.begin)
        return start, end if self.end is None else max(start, min(end, self.end))


UNCUT = SoundCut()


FLICK = Fraction(1, 705_600_000)
"""Seconds; frames and samples of all usual rates last whole numbers of it, those with 1001 too
(Meta's "flick").
"""


def shift_earlier(packet: AudioPacket, shift: Fraction) -> Fraction:
    """Make a packet's times earlier; its unit becomes a finer one where it is too coarse for that,
    as the frames of MP3 in AVI are.

    Args:
        packet: changed.
        shift: exact seconds.

    Returns:
        When it begins then, in exact seconds.
    """
    pts, dts, base = packet.pts or 0, packet.dts or 0, packet.time_base
    # in its own unit where that is exact
    if (shift / base).denominator == 1:
        packet.pts, packet.dts = pts - int(shift / base), dts - int(shift / base)
    else:
        packet.time_base = FLICK
        packet.pts, packet.dts = (round((time * base - shift) / FLICK) for time in (pts, dts))
        packet.duration = round((packet.duration or 0) * base / FLICK)
    return (packet.pts or 0) * packet.time_base


def pcm_sample(packet: AudioPacket, bits: re.Match[str]) -> tuple[int, int]:
    """The size of a sample of all channels.

    Args:
        packet: of uncompressed sound.
        bits: of PCM_BITS.

    Returns:
        Its bytes, and how many there are per second.
    """
    context = packet.stream.codec_context
    layout = layout_name(context.layout)
    channels = av.AudioLayout(layout).nb_channels if layout else 1
    return max(1, channels * int(bits[1] or _LAW_BITS) // 8), max(1, context.sample_rate)


def _piece(
    packet: AudioPacket, start: int, stop: int, *, later: Fraction, length: Fraction
) -> AudioPacket:
    """Some bytes of a packet as a packet.

    Args:
        packet: whole.
        start: its first byte.
        stop: the byte behind its last one.
        later: seconds after the packet's own time.
        length: seconds that it lasts.
    """
    piece: AudioPacket = av.Packet(bytes(memoryview(packet)[start:stop]))
    base = packet.time_base
    piece.stream = packet.stream
    piece.time_base = base
    # a piece of one packet keeps the packet's clock
    piece.pts, piece.dts = ((time or 0) + round(later / base) for time in (packet.pts, packet.dts))
    piece.duration = round(length / base)
    return piece
