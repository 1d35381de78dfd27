"""Encodes one sound track: whole, in place, with its channels in order."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import av
import av.filter

from vfx_matte.media.sound.channels import layout_name, plan_channels
from vfx_matte.media.sound.cut import UNCUT, AudioPacket, SoundCut

# sources that may have more than 16 bits worth keeping; what lossy decoders give in 32 bits is
# noise
_LOSSLESS_WIDE = (
    "pcm_",
    "dsd_",
    "dst",
    "wavpack",
    "alac",
    "mlp",
    "truehd",
    "tak",
    "ape",
    "tta",
    "shorten",
    "wmalossless",
)
_DEEP_FORMATS = ("s32", "s32p", "s64", "s64p", "flt", "fltp", "dbl", "dblp")
# per channel: neither AAC nor Opus can be told from its source at this rate
_BITS_PER_SECOND = 96_000
_COARSE = Fraction(1, 1000)
"""The coarsest clock whose rounding is mended, in seconds: Matroska's and FLV's."""


class SoundEncoder:
    """One track of an output, fed with the frames that a source's decoder gives, whatever their
    format, rate and layout.

    A source may change these in mid-stream, as broadcasts do; what follows is converted to what the
    track began with.
    """

    def __init__(
        self,
        output: av.container.OutputContainer,
        first: av.AudioFrame,
        encoder: str,
        *,
        codec: str,
        layout: str,
        cut: SoundCut = UNCUT,
    ) -> None:
        """Add a stream to a file; `plan` (see `plan_channels`) says what becomes of the channels.

        Args:
            output: the file.
            first: a frame of the source as it was decoded.
            encoder: FFmpeg's name.
            codec: the source's.
            layout: the source's.
            cut: between which times of the output's clock frames are heard, to the sample.

        Raises:
            ValueError: when the encoder cannot hold the channels or does not start.
            av.FFmpegError: when it does not start.
        """
        plan = plan_channels(encoder, layout)
        if plan is None:
            raise ValueError(f"{encoder} cannot hold {layout}")
        # the stream: rate, layout, depth, bit rate
        rate = nearest_rate(encoder, first.sample_rate)
        stream = output.add_stream(
            encoder, rate=rate, layout=plan.layout, options=dict(plan.options)
        )
        assert isinstance(stream, av.AudioStream)
        context = stream.codec_context
        known = [each.name for each in av.Codec(encoder, "w").audio_formats or []]
        is_deep = codec.startswith(_LOSSLESS_WIDE) and first.format.name in _DEEP_FORMATS
        if encoder == "flac" and is_deep and "s32" in known:
            context.format = av.AudioFormat("s32")
        if encoder in ("aac", "libopus"):
            stream.bit_rate = _BITS_PER_SECOND * max(2, context.channels)
        self.stream = stream
        self.plan = plan
        self._encoder = encoder
        self._first_layout = layout_name(first.layout)
        self._rate = rate
        self._cut = cut
        # what converts frames of one shape; made anew where the shape changes
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[str, str, int] | None = None
        self._slack = 0
        self._last: int | None = None
        self._next: int | None = None

    def encode(
        self, frame: av.AudioFrame, *, unit: Fraction | None = None
    ) -> Iterator[AudioPacket]:
        """Packets of one more frame.

        Args:
            frame: its pts counts its own time_base on the output's clock.
            unit: what its source counts in, which times may be wrong by; None = its time_base.
        """
        shape = (frame.format.name, layout_name(frame.layout), frame.sample_rate)
        # what is still inside of the old converter comes first
        if shape != self._shape:
            yield from self._drain()
            self._graph, self._shape = self._converter(frame, shape, unit or frame.time_base), shape
        assert self._graph is not None
        self._graph.push(frame)
        yield from self._encode_converted()

    def finish(self) -> Iterator[AudioPacket]:
        """Packets of what the encoder still holds."""
        yield from self._drain()
        yield from self.stream.encode(None)

    def _drain(self) -> Iterator[AudioPacket]:
        if self._graph is not None:
            with contextlib.suppress(EOFError):  # everything to the cut is through
                self._graph.push(None)
            yield from self._encode_converted()
            self._graph = None

    def _encode_converted(self) -> Iterator[AudioPacket]:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (EOFError, BlockingIOError):
                return
            assert isinstance(frame, av.AudioFrame)
            self._align(frame)
            yield from self.stream.encode(frame)

    def _align(self, frame: av.AudioFrame) -> None:
        """Begin a frame where the one before ends, if its time says nearly the same or would go
        back.

        Milliseconds, as in Matroska, are too coarse for short packets (TrueHD has 1200 per second):
        some would share a time.
        """
        if frame.pts is None:
            return
        if self._next is not None and self._last is not None:
            # frames that nearly touch do touch; a real gap stays
            nearly = abs(frame.pts - self._next) <= self._slack
            frame.pts = self._next if nearly or frame.pts <= self._last else frame.pts
        self._last, self._next = frame.pts, frame.pts + frame.samples

    def _converter(
        self, frame: av.AudioFrame, shape: tuple[str, str, int], unit: Fraction | None
    ) -> av.filter.Graph:
        """A filter graph from frames like this one to what the encoder was opened with.

        A layout of another size, in mid-stream, is mixed: there is no order to keep between the
        two.
        """
        target = self.stream.codec_context
        wanted, (sample_format, layout, rate) = layout_name(target.layout), shape
        graph = av.filter.Graph()
        self._slack = math.ceil(min(unit or 0, _COARSE) * self._rate)
        # in: frames as they are
        base = {} if frame.time_base is None else {"time_base": str(frame.time_base)}
        steps = [
            graph.add(
                "abuffer",
                sample_rate=str(rate),
                sample_fmt=sample_format,
                channel_layout=layout,
                **base,
            )
        ]
        # channels into their places
        plan = self.plan if layout == self._first_layout else plan_channels(self._encoder, layout)
        if plan is not None and plan.layout == wanted:
            steps += [graph.add(name, arguments) for name, arguments in plan.filters]
        # out: as the encoder takes them, counted in samples, without what is not heard
        steps += [
            graph.add(
                "aformat",
                sample_fmts=target.format.name,
                sample_rates=str(self._rate),
                channel_layouts=wanted,
            ),
            graph.add("asettb", f"1/{self._rate}"),
            *([graph.add("atrim", self._trim())] if self._cut else []),
            graph.add("abuffersink"),
        ]
        for one, following in itertools.pairwise(steps):
            one.link_to(following)
        graph.configure()
        return graph

    def _trim(self) -> str:
        """The arguments of FFmpeg's atrim, in samples."""
        times = {"start_pts": self._cut.begin, "end_pts": self._cut.end}
        return ":".join(
            f"{name}={math.ceil(time * self._rate)}"
            for name, time in times.items()
            if time is not None
        )


def nearest_rate(encoder: str, rate: int) -> int:
    """The lowest sample rate of an encoder that loses nothing of sound at `rate` hertz, or else its
    highest.
    """
    known = av.Codec(encoder, "w").audio_rates or [rate]
    return min((each for each in known if each >= rate), default=max(known))
