"""A film of a ball, with the true masks in its workspace: for commands that judge the masks of a
whole clip.

A test brings its own scene: a function from a frame's number to its image and mask.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from support.command_line import CommandLine, paint
from vfx_matte.masks import Image, Mask, Palette
from vfx_matte.media.writers.synthetic import make_clip
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import save_mask

TICKS = 1001
"""How long a frame is shown, in 1/30000 s."""

Scene = Callable[[int], tuple[Image, Mask]]


def film(path: Path, scene: Scene, frames: int) -> Path:
    """Write the clip, at 29.97 frames per second; its first frame is shown half a second after
    zero.
    """
    timeline = Timeline(
        tuple(15015 + index * TICKS for index in range(frames)),
        (TICKS,) * frames,
        Fraction(1, 30000),
    )
    make_clip(
        path,
        (scene(index)[0] for index in range(frames)),
        timeline,
        np.zeros((1, 1024), np.float32),
    )
    return path


def segment_truly(cli: CommandLine, scene: Scene, frames: int) -> None:
    """Segment ball.mp4 from m.png, the mask of frame 0, and put every frame's true mask into the
    workspace.
    """
    paint(Path("m.png"), scene(0)[1])
    cli("segment", "ball.mp4", "--first-mask", "m.png", "--propagator", "fake")
    for index in range(frames):
        put(index, scene(index)[1])


def put(index: int, mask: Mask) -> None:
    """Make this the workspace's mask of a frame."""
    save_mask(Path(f"workspace/ball/masks/{index:07d}.png"), mask, Palette.davis())
