"""Writes videos: pictures with their source's exact times, and its sound.

Timestamps are the source's: exact in MP4 and MOV (same time base), rounded to the millisecond in
Matroska and WebM, which can hold nothing finer. A file gets its name when it is complete.
"""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.video.frame import PictureType

from vfx_matte.backend import Notify
from vfx_matte.errors import OutputError
from vfx_matte.files.atomic import AtomicFile, output_error
from vfx_matte.media.encode_plan import EncodePlan
from vfx_matte.media.formats import CODECS
from vfx_matte.media.pixels import as_layout, frame_from, packed, put_tags
from vfx_matte.media.probe import FIELD_ORDERS, ClipInfo
from vfx_matte.media.readers.filters import filter_chain
from vfx_matte.media.sound.tracks import SoundCopier, SoundTrack
from vfx_matte.media.stated import put_chapters, timebase_of
from vfx_matte.media.writers import matroska
from vfx_matte.media.writers.left_out import note_left_out
from vfx_matte.picture import Picture
from vfx_matte.timeline import FrameTime, Timeline
from vfx_matte.wording import either, option

_SOUND_HINT = (
    f"try {option('sound', False)}, in case the sound is the reason, another place with"
    f" {either('output', 'workspace')}, or another {option('codec')}"
)


def output_time_base(timeline: Timeline, plan: EncodePlan) -> Fraction:
    """The time base frames are encoded in: the source's own, written as 1/n because MP4 tracks
    count in whole n-ths.
    """
    base = timeline.time_base
    return Fraction(1, base.denominator) if plan.container.exact_time else base


class VideoWriter:
    """Writes one video file with the sound of its source.

    Use as a context manager; leaving it without an error finishes the file, leaving it with one
    removes what was written and keeps an earlier file of that name.
    """

    def __init__(
        self,
        path: Path,
        plan: EncodePlan,
        *,
        source: ClipInfo,
        sound: bool = True,
        notify: Notify,
    ) -> None:
        """Open a file for writing.

        Args:
            path: the file.
            plan: how pictures are encoded.
            source: the clip whose times, pixel shape and sound the output carries.
            sound: False leaves the sound out.
            notify: is told what cannot be carried over.

        Raises:
            OutputError: when the file cannot be written or the encoder does not start.
        """
        self.path = path
        self.plan = plan
        self._tags = plan.tags
        self._source = source
        self._base = output_time_base(source.timeline, plan)
        self._shift = source.origin
        # the last two frames, see `write`
        self._tail = source.timeline.pts[1:][-2:]
        self._durations: dict[int, int] = {}
        self._count = 0
        self._sound: SoundCopier | None = None
        self._output: av.container.OutputContainer | None = None
        self._fields: _FieldMarker | None = None
        self._atomic = AtomicFile(path)
        self._part = self._atomic.part
        try:
            self._part.touch()  # FFmpeg opens it only with the first packet
            self._output = av.open(
                f"file:{self._part}",
                "w",
                format=plan.container.muxer,
                options=self._muxer_options(),
                metadata_errors="surrogateescape",
            )
            if source.is_interlaced and not self._keeps_fields:
                notify(
                    f"{path.name}: {plan.codec} codes whole frames; fields are kept line for line,"
                    " marked progressive"
                )
            if source.hdr and not plan.facts.hdr_option:
                able = ", ".join(codec.name for codec in CODECS.values() if codec.hdr_option)
                notify(
                    f"{path.name}: the mastering display's HDR metadata is kept by {able} only,"
                    f" not by {plan.codec}"
                )
            # streams first, then what the header says: chapters, and what is left out
            self._stream = self._open_encoder(self._output)
            if sound and source.audio:
                self._sound = SoundCopier(
                    source, self._output, plan.container, name=path.name, notify=notify
                )
            audible = {track.index for track in source.audio if track.start is not None}
            note_left_out(
                self._output,
                audible - {track.source_index for track in self.tracks},
                part=source.part,
            )
            if source.chapters:
                put_chapters(self._output, source.chapters, shift=source.origin)
            if source.other_streams:
                notify(
                    f"{path.name}: {', '.join(sorted(set(source.other_streams)))} streams are not"
                    " carried over"
                )
        except (av.FFmpegError, OSError, ValueError) as error:
            self._discard()
            raise output_error(path, error) from error
        except BaseException:
            self._discard()
            raise

    @property
    def tracks(self) -> list[SoundTrack]:
        """The sound tracks written so far."""
        return self._sound.tracks if self._sound else []

    @property
    def _keeps_fields(self) -> bool:
        """Whether the output is marked interlaced: lines are fields only while the picture stands
        as it was taken.
        """
        source = self._source
        return (
            source.is_interlaced
            and bool(self.plan.facts.interlaced)
            and not source.orientation.transpose
        )

    def _muxer_options(self) -> dict[str, str]:
        if not self.plan.container.exact_time:
            # a muxer that moves everything so that nothing is negative would move the picture
            return {"avoid_negative_ts": "disabled", **matroska.MUXER_OPTIONS}
        return {
            "video_track_timescale": str(self._base.denominator),
            "movie_timescale": str(_movie_timescale(self._base, self._source)),
            "movflags": "+faststart",
        }

    def _open_encoder(self, output: av.container.OutputContainer) -> av.VideoStream:
        plan, source, facts = self.plan, self._source, self.plan.facts
        options = plan.options | (facts.interlaced if self._keeps_fields else {})
        if facts.hdr_option and source.hdr:
            options[facts.hdr_option] += f":hdr10=1:{source.hdr.x265_params}"
        extra = (source.width % 2, source.height % 2) if plan.pad_to_even else (0, 0)
        size = source.width + extra[0], source.height + extra[1]
        options = _accepted(plan, options, size)
        stream = output.add_stream(facts.encoder, rate=_encoder_rate(source), options=options)
        assert isinstance(stream, av.VideoStream)
        # size, format, times and tags
        stream.width, stream.height = size
        stream.pix_fmt = plan.pixel_format
        context = stream.codec_context
        context.time_base = self._base
        stream.time_base = self._base
        context.sample_aspect_ratio = source.sample_aspect
        stream.sample_aspect_ratio = source.sample_aspect
        # As many threads as there are cores, for several pictures at once: PyAV asks for threads
        # within a picture alone, with which x264 leaves cores idle and codes slices.
        context.thread_count, context.thread_type = 0, "AUTO"
        put_tags(context, self._tags)
        if self._keeps_fields:
            context.field_order = next(
                code for code, name in FIELD_ORDERS.items() if name == source.field_order
            )
            self._fields = _FieldMarker(stream, top_first=source.field_order in ("tt", "bt"))
        if plan.codec_tag:
            context.codec_tag = plan.codec_tag
        if source.timecode:
            stream.metadata["timecode"] = source.timecode
        return stream

    def write(self, picture: Picture, time: FrameTime) -> None:
        """Encode one picture.

        Args:
            picture: any layout.
            time: of its source frame.

        Raises:
            OutputError: when writing fails.
        """
        try:
            planar = as_layout(picture, self.plan.layout, color=self.plan.color)
            frame = packed(
                frame_from(planar, pad_to_even=self.plan.pad_to_even), self.plan.pixel_format
            )
            put_tags(frame, self._tags)
            # its exact time, rounded only where the container cannot hold it
            exact = time.start - self._shift
            frame.pts = round(exact / self._base)
            frame.time_base = self._base
            self._count += 1
            self._durations[frame.pts] = round(time.duration * time.time_base / self._base)
            if self._fields:
                frame = self._fields.mark(frame)
            # MP4 takes its end from the packet that is coded last: without B-frames there, that is
            # the last one shown. The first frame has nothing to be predicted from.
            if time.pts in self._tail and self._count > 1:
                frame.pict_type = PictureType.P
            if self._sound:
                self._sound.pump(exact)
            self._mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._error(error) from error

    def _mux(self, packets: list[av.Packet[av.VideoStream]]) -> None:
        assert self._output is not None
        for packet in packets:
            # encoders do not know how long the last frame lasts
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._output.mux(packet)

    def _finish(self) -> None:
        assert self._output is not None
        try:
            last = self._stream.encode(None)
            if self._count <= self.plan.facts.unordered_frames:
                _order(last)
            self._mux(last)
            if self._sound:
                self._sound.pump(None)
            self._output.close()
            if not self.plan.container.exact_time and self._source.sample_aspect != 1:
                matroska.set_pixel_shape(
                    self._part,
                    self._source.sample_aspect,
                    size=(self._stream.width, self._stream.height),
                )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._error(error) from error
        self._atomic.keep()

    def _error(self, error: Exception) -> OutputError:
        """Why the file cannot be written; muxers do not tell whether a picture or the sound beside
        it was the reason.
        """
        return output_error(self.path, error, other=_SOUND_HINT if self.tracks else "")

    def _discard(self) -> None:
        if self._output is not None:
            # The file is thrown away; the first error is the one to report.
            with contextlib.suppress(av.FFmpegError, OSError):
                self._output.close()
        self._atomic.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            if self._sound:
                self._sound.__exit__(None, None, None)
            self._discard()


def _accepted(plan: EncodePlan, options: dict[str, str], size: tuple[int, int]) -> dict[str, str]:
    """The options of an encoder, with those of its fallbacks that it takes for this (width, height)
    where it does not take the usual ones.
    """
    for instead in ({}, *plan.facts.fallbacks) if plan.facts.fallbacks else ():
        trial = av.CodecContext.create(plan.facts.encoder, "w")
        assert isinstance(trial, av.VideoCodecContext)
        trial.width, trial.height = size
        trial.pix_fmt, trial.time_base = plan.pixel_format, Fraction(1, 25)
        trial.options = options | instead
        with contextlib.suppress(av.FFmpegError):
            trial.open()
            return options | instead
    # what is wrong is said when it is opened in earnest
    return options


def _order(packets: list[av.Packet[av.VideoStream]]) -> None:
    """Give packets decoding times that rise and are not after their pictures' times."""
    coded = [packet for packet in packets if packet.pts is not None]
    shown = sorted(packet.pts for packet in packets if packet.pts is not None)
    # the first decoding time lies as far before zero as the order of frames asks for
    early = max(
        (time - (packet.pts or 0) for time, packet in zip(shown, coded, strict=True)), default=0
    )
    for time, packet in zip(shown, coded, strict=True):
        packet.dts = time - early


class _FieldMarker:
    """Marks frames as interlaced, which PyAV can do only through FFmpeg's setfield filter."""

    def __init__(self, stream: av.VideoStream, *, top_first: bool) -> None:
        self._graph = filter_chain(
            width=stream.width,
            height=stream.height,
            pixel_format=av.VideoFormat(stream.pix_fmt or ""),
            time_base=stream.codec_context.time_base,
            filters=[("setfield", "tff" if top_first else "bff")],
        )

    def mark(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same samples, marked."""
        self._graph.push(frame)
        marked = self._graph.pull()
        assert isinstance(marked, av.VideoFrame)
        return marked


def _encoder_rate(source: ClipInfo) -> Fraction:
    """A frame rate for the encoder's rate control, small enough for every encoder; timestamps do
    not depend on it.

    MP4 counts a timecode at this rate, so that it has to be the one that the timecode was made for.
    """
    # MPEG-4 encoders refuse larger denominators
    rate = source.timeline.average_fps.limit_denominator(1001)
    counted = timebase_of(source.timeline)
    return Fraction(counted) if source.timecode and round(rate) != counted else rate


def _movie_timescale(base: Fraction, source: ClipInfo) -> int:
    """Ticks per second of the movie's own clock, in which MP4 edit lists say how late a track
    starts.

    The default of milliseconds would round a late start; the least common multiple of all tracks'
    clocks rounds nothing.
    """
    starts = [track.start - source.origin for track in source.audio if track.start is not None]
    # the field has 31 bits
    exact = math.lcm(base.denominator, *(start.denominator for start in starts))
    return exact if exact < 2**31 else base.denominator
