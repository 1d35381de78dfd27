"""Opens a clip: a video file or an image sequence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vfx_matte.backend import Notify
from vfx_matte.errors import UsageError
from vfx_matte.media.frames import ClipReader
from vfx_matte.media.readers.stills import StillsReader
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.media.sequence import is_sequence
from vfx_matte.timeline import Timeline
from vfx_matte.wording import option


def open_clip(
    path: Path,
    *,
    notify: Notify,
    fps: Fraction | None = None,
    gaps: str = "hold",
    ignore_alpha: bool = False,
    begins: bool = False,
) -> ClipReader:
    """Open a video file, a folder of pictures or a numbered pattern such as plate.%04d.png.

    Args:
        path: what to open.
        notify: is told what a user may not expect.
        fps: frames per second of an image sequence (25 when None); for a video file it must be
            None, as its own time is kept.
        gaps: what stands for missing numbers of an image sequence, see `find_sequence`; without
            meaning for a video.
        ignore_alpha: the clip's own alpha takes no part; frames are opaque.
        begins: whether a video is going to be read from its beginning at once, see `VideoReader`.

    Raises:
        UsageError: for `fps` of a video, and as `find_sequence` does.
        MediaError: when it cannot be read.
    """
    # a sequence has no time of its own: 25 frames per second where nothing is said
    if is_sequence(path):
        rate = Fraction(25) if fps is None else fps
        return StillsReader(path, notify=notify, fps=rate, gaps=gaps, ignore_alpha=ignore_alpha)
    # to give a video another rate would move its frames against its sound
    if fps is not None:
        raise UsageError(
            f"{option('fps', str(fps))} is for image sequences only",
            hint="a video keeps its own time",
        )
    return VideoReader(path, notify=notify, ignore_alpha=ignore_alpha, begins=begins)


def describe_rate(timeline: Timeline) -> str:
    """'constant 29.97 fps' or 'variable, 24.31 fps on average', for people."""
    # rounded for people; exact rates stand in the timeline
    fps = float(timeline.average_fps)
    return (
        f"constant {fps:.5g} fps"
        if timeline.is_constant_rate
        else f"variable, {fps:.4g} fps on average"
    )
