"""Clips as cameras make them, each through segment and every render, verified, and their frames
recognised one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.clips import HLG, VFR_PTS, number_of, sound
from support.command_line import LATE, CommandLine, paint, pictures, segment

pytestmark = pytest.mark.slow

X264 = {"preset": "ultrafast", "bf": "0"}
STEADY = tuple(range(0, 10 * 1001, 1001))

CLIPS: dict[str, dict[str, Any]] = {
    "variable rate, late sound": {"pts": VFR_PTS, "sounds": [sound(start=LATE)]},
    "early sound": {"pts": tuple(1001 * 6 + ticks for ticks in STEADY), "sounds": [sound()]},
    "upright phone": {"name": "phone.mov", "pts": VFR_PTS, "size": (64, 96), "rotation": 90,
    "sounds": [sound()]},
    "10-bit HLG HEVC": {
        "codec": "libx265", "pixel_format": "yuv420p10le", "color": HLG, "pts": STEADY,
        "options": {"preset": "ultrafast", "x265-params": "log-level=none"}, "sounds": [sound()],
    },
    "odd size": {"size": (97, 65), "pixel_format": "yuv444p", "pts": STEADY},
    "odd size, subsampled": {"name": "odd.mkv", "codec": "ffv1", "size": (97, 65), "pts": STEADY,
    "options": {}},
    "anamorphic": {"sample_aspect": Fraction(16, 15), "pts": STEADY},
    "B-frames, late start": {"pts": tuple(ticks + 9009 for ticks in STEADY), "options": {"bf": "3",
    "preset": "veryfast"}},
    "broadcast": {
        "name": "air.ts", "pts": tuple(90000 * 100 + 3003 * i for i in range(10)),
        "time_base": Fraction(1, 90000),
        "last_duration": 3003, "sounds": [sound(start=Fraction(100))],
    },
    "matroska, two languages": {"name": "two.mkv", "pts": STEADY, "sounds": [sound(), sound("flac",
    channels=1)]},
}  # fmt: skip

RENDERS = {
    "green": ("greenback",),
    "matte": ("maskvideo",),
    "cut": ("alpha",),
    "look": ("overlay",),
    "web": ("alpha", "-o", "web.webm"),
    "green.mkv": ("greenback", "-o", "green.mkv", "--codec", "ffv1"),
}


@pytest.mark.parametrize("kind", CLIPS)
def test_every_output_is_true_to_its_clip(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    take: Callable[..., Path],
    ffprobe: Callable[..., Any],
    kind: str,
) -> None:
    facts = {"name": "clip.mp4", "options": X264} | CLIPS[kind]
    name = take(make_clip(**facts))
    width, height = size = facts.get("size", (96, 64))
    count = len(facts["pts"])
    segment(cli, name, size=size)
    place = cli.folder / "workspace" / name.stem
    paint(Path("all.png"), np.ones((height, width), np.uint8))
    for arguments in RENDERS.values():
        cli(arguments[0], name, *arguments[1:])
    outputs = [
        place / "greenback.mp4",
        place / "maskvideo.mkv",
        place / "alpha.mov",
        place / f"out-{name.stem}.mp4",
    ]
    for output in (*outputs, Path("web.webm"), Path("green.mkv")):
        shown = cli("verify", output, "--source", name).stdout
        assert "DIFFERS" not in shown
        stream = ffprobe(
            output, "stream=width,height,nb_read_packets", "-count_packets", "-select_streams", "v"
        )["streams"][0]
        assert (stream["width"] - width, stream["height"] - height) in (
            (0, 0),
            (width % 2, height % 2),
        ), output
        assert int(stream["nb_read_packets"]) == count
    with av.open(str(place / "greenback.mp4")) as green, av.open(str(name)) as source:
        assert len(green.streams.audio) == len(source.streams.audio) == len(facts.get("sounds", ()))
        native = next(green.decode(video=0))
        assert native.format.name == facts.get("pixel_format", "yuv420p")
    # the whole picture chosen: every frame of the output says which frame of the source it is
    cli("segment", name, "--first-mask", "all.png", "--propagator", "fake", "--fresh")
    cli("greenback", name, "-o", "numbers.mkv", "--codec", "ffv1")
    numbers = [
        number_of(frame.to_ndarray(format="gray16le" if kind.startswith("10") else "gray"))
        for frame in pictures(Path("numbers.mkv"))
    ]
    assert numbers == list(range(count))


def test_sound_that_is_encoded_anew_is_not_cut(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]
) -> None:
    """Sound longer than the picture, into WebM, which cannot take AAC: it ends where it ended."""
    name = take(
        make_clip(pts=STEADY, options=X264, sounds=[sound(start=LATE, seconds=Fraction(3, 2))])
    )
    segment(cli, name)
    cli("alpha", name, "-o", "a.webm")
    cli("greenback", name, "-o", "a.mp4")
    ends = [sound_end(path) for path in (name, Path("a.webm"), Path("a.mp4"))]
    assert ends[0] > 1.5
    assert ends[1] == pytest.approx(ends[0], abs=0.03)
    assert ends[2] == pytest.approx(ends[0], abs=0.001)


def sound_end(path: Path) -> float:
    """When the last decoded sample ends, in seconds."""
    with av.open(str(path)) as container:
        frames = [frame for frame in container.decode(audio=0) if frame.pts is not None]
    return float(
        max(
            frame.pts * frame.time_base + Fraction(frame.samples, frame.sample_rate)
            for frame in frames
        )
    )
