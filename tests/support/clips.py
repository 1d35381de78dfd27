"""Clips made by PyAV whose every frame says its own number, so that a test can prove that frame i
is frame i.

The number is a bar code in the top half of the displayed picture: ten blocks, bright for a one, the
lowest bit first, and their complements below. The bottom half is a slope that moves, so that
encoders have something to predict.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import (
    FULL_RGB,
    as_layout,
    frame_from,
    layout_of,
    packed,
    planar_format,
    put_tags,
)
from vfx_matte.picture import ColorTags, Picture, PixelLayout

BITS = 10
BT709 = ColorTags("bt709", "tv", "bt709", "bt709")
HLG = ColorTags("bt2020nc", "tv", "bt2020", "arib-std-b67")
VFR_PTS = (0, 1001, 2002, 2503, 5005, 6006, 9009, 9510, 10010, 13013, 14014, 15015)
"""Uneven times in a time base of 1/30000 second."""

Gray = npt.NDArray[np.uint8]


def coded(index: int, size: tuple[int, int] = (96, 64)) -> Gray:
    """The picture of frame `index` as displayed: uint8 (H, W), 0..255. size: (width, height)."""
    width, height = size
    slope = (np.add.outer(np.arange(height), np.arange(width)) * 2 + index * 3) % 200 + 20
    picture = slope.astype(np.uint8)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    quarter = height // 4
    for bit in range(BITS):
        level = 230 if index >> bit & 1 else 25
        picture[:quarter, edges[bit] : edges[bit + 1]] = level
        picture[quarter : 2 * quarter, edges[bit] : edges[bit + 1]] = 255 - level
    return picture


def number_of(image: npt.NDArray[Any]) -> int:
    """Read the frame number from a displayed picture: (H, W) or (H, W, 3), any depth.

    Raises when it is not readable.
    """
    plane = image.astype(np.float64) if image.ndim == 2 else image.astype(np.float64).mean(axis=2)
    height, width = plane.shape
    quarter, edges = height // 4, np.linspace(0, width, BITS + 1).astype(int)
    number = 0
    for bit in range(BITS):
        columns = slice(edges[bit] + 1, max(edges[bit] + 2, edges[bit + 1] - 1))
        upper, lower = (
            plane[1 : quarter - 1, columns].mean(),
            plane[quarter + 1 : 2 * quarter - 1, columns].mean(),
        )
        assert abs(upper - lower) > 0.1 * plane.max(), (
            f"bit {bit} cannot be read: {upper} against {lower}"
        )
        number |= int(upper > lower) << bit
    return number


def coded_picture(
    index: int, size: tuple[int, int], pixel_format: str, color: ColorTags
) -> Picture:
    """Frame `index` in the planar layout that holds `pixel_format`, slightly coloured."""
    gray = coded(index, size)
    rgb = Picture((gray, gray, (gray // 8 * 7).astype(np.uint8)), PixelLayout("rgb", 8), FULL_RGB)
    layout = layout_of(planar_format(pixel_format))
    assert layout is not None
    return as_layout(rgb, layout, color=FULL_RGB if layout.model == "rgb" else color)


def tone(start: int, samples: int, *, rate: int, channels: int) -> npt.NDArray[np.float32]:
    """float32 (channels, samples) of a sweep that is nowhere the same, from sample `start`."""
    time = np.arange(start, start + samples) / rate
    return np.stack(
        [0.4 * np.sin(2 * np.pi * (300 + 80 * time + 50 * c) * time) for c in range(channels)]
    ).astype(np.float32)


def sound(
    codec: str = "aac",
    *,
    start: Fraction = Fraction(0),
    seconds: Fraction = Fraction(1, 2),
    rate: int = 48000,
    channels: int = 2,
) -> dict[str, Any]:
    """One sound track for `write_clip`; `start` is when it begins."""
    return {"codec": codec, "start": start, "seconds": seconds, "rate": rate, "channels": channels}


def write_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (96, 64),
    pts: Sequence[int | None] = tuple(range(0, 12 * 1001, 1001)),
    last_duration: int = 1001,
    time_base: Fraction = Fraction(1, 30000),
    color: ColorTags = BT709,
    sample_aspect: Fraction = Fraction(1),
    rotation: int = 0,
    mirrored: bool = False,
    options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
    sounds: Sequence[dict[str, Any]] = (),
    metadata: dict[str, str] | None = None,
    spoil: Callable[[int, Any], Any] | None = None,
    muxer: str | None = None,
    field_order: int = 0,
) -> Path:
    """Write a clip. pts: one for each frame, in ticks of `time_base`.

    size: as displayed; the pictures are stored turned back by `rotation` (degrees
    counter-clockwise, as PyAV counts) and `mirrored`. spoil: gets (number, packet) of every picture
    packet and returns what is muxed, or None to drop it.
    """
    scale = (
        {"video_track_timescale": str(time_base.denominator)}
        if path.suffix in (".mp4", ".mov")
        else {}
    )
    with av.open(
        f"file:{path}", "w", format=muxer, options=scale | (muxer_options or {})
    ) as output:
        rate = Fraction(max(1, len(pts) - 1)) / ((max(p or 0 for p in pts) or 1) * time_base)
        video: Any = output.add_stream(
            codec, rate=rate.limit_denominator(1001), options=options or {}
        )
        stored = size if rotation % 180 == 0 else size[::-1]
        video.width, video.height, video.pix_fmt = *stored, pixel_format
        video.codec_context.time_base = video.time_base = time_base
        video.codec_context.thread_count = 1
        video.sample_aspect_ratio = video.codec_context.sample_aspect_ratio = sample_aspect
        if field_order:
            video.codec_context.field_order = field_order
        layout = layout_of(planar_format(pixel_format))
        assert layout is not None
        written = (
            color
            if layout.model != "rgb"
            else ColorTags("gbr", "pc", color.primaries, color.transfer)
        )
        put_tags(video.codec_context, written)
        video.metadata.update(metadata or {})
        if rotation or mirrored:
            video.set_display_rotation(rotation, hflip=mirrored)
        tracks = [_Track(output, facts) for facts in sounds]
        durations: dict[int, int] = {}
        count = 0

        def mux(packets: list[Any]) -> None:
            nonlocal count
            for packet in packets:
                packet.duration = durations.get(packet.pts, last_duration)
                kept = spoil(count, packet) if spoil else packet
                count += 1
                if kept is not None:
                    output.mux(kept)

        fed = [index * 1001 if p is None else p for index, p in enumerate(pts)]
        durations = {a: b - a for a, b in itertools.pairwise(fed) if b > a}
        for index, ticks in enumerate(fed):
            picture = coded_picture(index, size, pixel_format, color)
            planes = tuple(_stored(plane, rotation, mirrored) for plane in picture.planes)
            shift = picture.layout.chroma_shift
            layout = PixelLayout(
                picture.layout.model,
                picture.layout.bit_depth,
                shift if rotation % 180 == 0 else shift[::-1],
            )
            frame = packed(frame_from(Picture(planes, layout, picture.color)), pixel_format)
            put_tags(frame, written)
            frame.pts, frame.time_base = ticks, time_base
            for track in tracks:
                track.until(ticks * time_base)
            mux(video.encode(frame))
        mux(video.encode(None))
        for track in tracks:
            track.until(None)
    return path


def _stored(plane: npt.NDArray[Any], rotation: int, mirrored: bool) -> npt.NDArray[Any]:
    """What is stored so that turning it counter-clockwise by `rotation`, then mirroring, shows
    `plane`.
    """
    return np.ascontiguousarray(np.rot90(plane[:, ::-1] if mirrored else plane, -rotation // 90))


class _Track:
    def __init__(self, output: av.container.OutputContainer, facts: dict[str, Any]) -> None:
        self.output, self.facts = output, facts
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[facts["channels"]]
        self.stream: Any = output.add_stream(facts["codec"], rate=facts["rate"], layout=layout)
        self.done, self.total = 0, round(facts["seconds"] * facts["rate"])

    def until(self, time: Fraction | None) -> None:
        """Write sound up to a time, or to its end and flush."""
        facts, rate = self.facts, self.facts["rate"]
        while self.done < self.total and (
            time is None or facts["start"] + Fraction(self.done, rate) <= time
        ):
            samples = min(960, self.total - self.done)
            values = tone(self.done, samples, rate=rate, channels=facts["channels"])
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[facts["channels"]]
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(values), format="fltp", layout=layout
            )
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(facts["start"] * rate) + self.done
            self.output.mux(self.stream.encode(frame))
            self.done += samples
        if time is None:
            self.output.mux(self.stream.encode(None))


def sound_packets(path: Path) -> dict[int, list[tuple[Fraction, int]]]:
    """(exact time, checksum) of every sound packet, by stream: an independent reading of a file's
    sound.
    """
    found: dict[int, list[tuple[Fraction, int]]] = {}
    with av.open(f"file:{path}") as container:
        for stream in container.streams.audio:
            found[stream.index] = []
        for packet in container.demux(*container.streams.audio):
            if packet.pts is not None and packet.size and not packet.is_discard:
                found[packet.stream.index].append(
                    (packet.pts * packet.time_base, zlib.crc32(bytes(packet)))
                )
    return found


def planes_equal(one: Picture, other: Picture) -> bool:
    """Whether two pictures are bit-identical, layout included."""
    return one.layout == other.layout and all(
        np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True)
    )


def shows_the_same(one: Path, other: Path) -> bool:
    """Whether two videos have the same frames at the same times.

    Not their bytes: x264 may write a picture in two ways that decode alike, as what memory held
    before has a say in what it tries.
    """
    frames = [
        [
            (frame.time, frame.picture)
            for frame in open_clip(path, notify=lambda _line: None).frames()
        ]
        for path in (one, other)
    ]
    return len(frames[0]) == len(frames[1]) > 0 and all(
        first[0] == second[0] and planes_equal(first[1], second[1])
        for first, second in zip(*frames, strict=True)
    )
