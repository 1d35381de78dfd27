"""Makes a clip from nothing, H.264 and AAC, for the demo and for tests."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from vfx_matte.files.atomic import atomic_path, output_error
from vfx_matte.masks import Image
from vfx_matte.media.pixels import convert, frame_from, put_tags
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.timeline import Timeline

BT709 = ColorTags("bt709", "tv", "bt709", "bt709")
SOUND_BLOCK = 1024


def make_clip(
    path: Path,
    images: Iterable[Image],
    timeline: Timeline,
    sound: npt.NDArray[np.float32],
    *,
    rate: int = 48000,
) -> None:
    """Write an MP4 file, BT.709 4:2:0, with exactly the timeline's timestamps.

    It is written under a temporary name and renamed when complete.

    Args:
        path: the file.
        images: uint8 (H, W, 3) R'G'B' of even size, one for each entry of `timeline`.
        timeline: when each is shown.
        sound: float32 (channels, samples) in [-1, 1] from time zero.
        rate: samples per second.

    Raises:
        OutputError: when writing fails.
    """
    with atomic_path(path, durable=True) as part:
        try:
            scale = str(timeline.time_base.denominator)
            with av.open(
                f"file:{part}", "w", format="mp4", options={"video_track_timescale": scale}
            ) as output:
                video: Any = output.add_stream(
                    "libx264",
                    rate=timeline.average_fps.limit_denominator(1001),
                    # a source for demos has to be better than what is rendered of it
                    options={"crf": "14", "preset": "fast"},
                )
                track: Any = output.add_stream(
                    "aac", rate=rate, layout="stereo" if len(sound) == 2 else "mono"
                )
                video.pix_fmt = "yuv420p"
                video.codec_context.time_base = video.time_base = timeline.time_base
                put_tags(video.codec_context, BT709)
                durations: dict[int, int] = {}
                done = 0
                for image, time in zip(images, timeline, strict=True):
                    # known with the first picture
                    if not durations:
                        video.height, video.width, _ = image.shape
                    planes = tuple(
                        np.ascontiguousarray(image[..., channel]) for channel in range(3)
                    )
                    picture = Picture(planes, PixelLayout("rgb", 8), ColorTags("gbr", "pc"))
                    frame = convert(frame_from(picture), "yuv420p", picture.color, to=BT709)
                    put_tags(frame, BT709)
                    frame.pts, frame.time_base = time.pts, timeline.time_base
                    durations[time.pts] = time.duration
                    _mux(output, video.encode(frame), durations)
                    # sound in step with the picture, so that neither waits in memory
                    until = min(sound.shape[1], round(time.end * rate))
                    while done < until:
                        output.mux(
                            track.encode(
                                _sound_frame(sound[:, done : done + SOUND_BLOCK], done, rate)
                            )
                        )
                        done += SOUND_BLOCK
                _mux(output, video.encode(None), durations)
                output.mux(track.encode(None))
        except av.FFmpegError as error:
            raise output_error(path, error) from error


def _mux(
    output: av.container.OutputContainer, packets: list[Any], durations: dict[int, int]
) -> None:
    for packet in packets:
        packet.duration = durations.get(packet.pts, packet.duration)
        output.mux(packet)


def _sound_frame(samples: npt.NDArray[np.float32], start: int, rate: int) -> av.AudioFrame:
    # AAC takes blocks of 1024 samples, planar floats
    layout = "stereo" if len(samples) == 2 else "mono"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
    frame.sample_rate = rate
    frame.pts, frame.time_base = start, Fraction(1, rate)
    return frame
