"""How fast and how big renders are, as ratios measured side by side in one run.

    # greenback against the ffmpeg program, 720p and 1080p; memory of every command
    python bench/render.py
    python bench/render.py --sizes 3840x2160 --frames 60 --skip-memory
    python bench/render.py --peaks 3840x2160
    python bench/render.py --clip a.mp4 --mask first.png   # the same on your own clip
    python bench/render.py --clip a.mp4 --masks workspace  # … with masks that are there

Time: `vfx-matte greenback` with each of `--edges` (the whole program, start-up included) against
the ffmpeg program doing the same job on the same files with the same encoder settings (alphamerge
of clip and mask video, overlay on a colour), and against a plain transcode of the finished green
video. Each is run in turn, `--rounds` times; the fastest of each counts. Beside it the processor
time of all threads, which other work on the machine changes less. `guided` is compiled once before
anything is measured, and Python's modules are, as in every installation (PYTHONDONTWRITEBYTECODE
would have them compiled in every run).
Memory: peak resident size of every command for 300 and 3,000 frames of the same picture; with
--peaks 3840x2160 instead that of clips of this size beside the ffmpeg program with the same
encoders, 48 frames, so that x264's lookahead is full.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from vfx_matte.masks import Palette
from vfx_matte.media.writers.synthetic import make_clip
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.scene import Scene
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import Manifest, SourceStamp, Workspace

X264 = ("libx264", "medium", 18)
LOOP_FRAMES = 30
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Run:
    """One finished command."""

    seconds: float
    processor_seconds: float
    """Of all its threads."""
    peak_mib: float


def run(command: list[str], cwd: Path) -> Run:
    """Run a command to its end; its wall time and peak resident size.

    Raises RuntimeError with its output when it fails.

    The peak is what Linux calls VmHWM, read while the command runs. (rusage would not do: a child
    starts with the resident size of the process that forked it.)
    """
    with tempfile.TemporaryFile() as log:
        began, used = time.perf_counter(), processor_seconds()
        process = subprocess.Popen(
            command, cwd=cwd, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_environment()
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, peak_kib(process.pid))
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - began
        if process.returncode:
            log.seek(0)
            raise RuntimeError(
                f"{' '.join(command)} failed:\n{log.read().decode(errors='replace')}"
            )
    return Run(seconds, processor_seconds() - used, peak / 1024)


def _environment() -> dict[str, str]:
    """This one's, but for what keeps Python from keeping compiled modules."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def processor_seconds() -> float:
    """Of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_kib(pid: int) -> int:
    """The highest resident size of a running process so far, KiB; 0 where the system does
    not tell.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0
    )


def vfx_matte(*arguments: str) -> list[str]:
    """The program of this checkout."""
    return [sys.executable, "-m", "vfx_matte", *arguments]


def make_project(folder: Path, *, width: int, height: int, frame_count: int) -> Path:
    """A clip with finished masks (the scene's truth), so that only the render is measured.

    Long clips repeat a short loop.
    """
    scene = Scene(width=width, height=height, frame_count=min(frame_count, LOOP_FRAMES))
    loop = [scene.frame(index)[0] for index in range(scene.frame_count)]
    times = Timeline(
        tuple(range(0, frame_count * 3000, 3000)), (3000,) * frame_count, Fraction(1, 90000)
    )
    order = [
        abs((index + LOOP_FRAMES) % (2 * LOOP_FRAMES) - LOOP_FRAMES) % scene.frame_count
        for index in range(frame_count)
    ]
    clip = folder / f"bench{height}x{frame_count}.mp4"
    sound = np.zeros((2, round(times.end * 48000)), np.float32)
    make_clip(clip, (loop[index] for index in order), times, sound)
    source = open_source(clip, reporter=SilentReporter())
    plan = Manifest(
        source=SourceStamp.of(clip), timeline=source.info.timeline, references={},
        propagator="truth", settings={},
        start=0, stop=frame_count, objects={1: (128, 0, 0)},
    )  # fmt: skip
    truth = [scene.truth_mask(index) for index in range(scene.frame_count)]
    with (
        Workspace(folder / "workspace")
        .clip(clip)
        .start_run(plan, palette=Palette.davis(), fresh=True) as saving
    ):
        for index, shown in enumerate(order):
            saving.save_mask(index, truth[shown])
    return clip


def ffmpeg_green(clip: Path, mask: Path, output: Path, *, size: str, rate: Fraction) -> list[str]:
    """The ffmpeg program's way to the same picture."""
    graph = (
        f"color=0x00ff00:s={size}:r={rate}[key];[0:v][1:v]alphamerge[cut];"
        "[key][cut]overlay=shortest=1:format=yuv420[out]"
    )
    codec, preset, quality = X264
    return [
        "ffmpeg", "-v", "error", "-y", "-i", str(clip), "-i", str(mask), "-filter_complex", graph,
        "-map", "[out]",
        "-map", "0:a?", "-c:a", "copy", "-c:v", codec, "-preset", preset, "-crf", str(quality),
        str(output),
    ]  # fmt: skip


def bench_time(folder: Path, clip: Path, *, rounds: int, methods: Sequence[str]) -> Iterator[str]:
    """The rows of a clip in the table of times, one for each method of edges."""
    name, info = clip.stem, open_source(clip, reporter=SilentReporter()).info
    # the graph makes as many frames as the clip has only at its own rate
    size, rate = f"{info.width}x{info.height}", info.timeline.average_fps
    codec, preset, quality = X264
    settings = ["--codec", codec, "--preset", preset, "--quality", str(quality), "--quiet"]
    mask = folder / f"{name}.mask.mkv"
    run(vfx_matte("maskvideo", str(clip), "-o", str(mask), "--edges", "median", "--quiet"), folder)
    green = folder / f"{name}.green.mp4"
    commands = {
        method: vfx_matte(
            "greenback", str(clip), "-o", str(green), "--edges", method, *settings
        )
        for method in methods
    } | {
        "ffmpeg": ffmpeg_green(clip, mask, folder / f"{name}.ffmpeg.mp4", size=size, rate=rate),
        "transcode": [
            "ffmpeg", "-v", "error", "-y", "-i", str(green), "-c:a", "copy", "-c:v", codec,
            "-preset", preset,
            "-crf", str(quality), str(folder / f"{name}.again.mp4"),
        ],
    }  # fmt: skip
    if "guided" in methods:
        run([*commands["guided"], "--stop", "1"], folder)
    taken: dict[str, list[Run]] = {key: [] for key in commands}
    for _ in range(rounds):
        for key, command in commands.items():
            taken[key].append(run(command, folder))
    wall = {key: min(each.seconds for each in runs) for key, runs in taken.items()}
    work = {key: min(each.processor_seconds for each in runs) for key, runs in taken.items()}
    for method in methods:
        yield (
            f"{name:<18} {method:<7} {wall[method]:8.2f} s {wall['ffmpeg']:8.2f} s"
            f" {wall['transcode']:8.2f} s  {wall[method] / wall['ffmpeg']:5.2f} × ffmpeg"
            f"  {wall[method] / wall['transcode']:5.2f} × transcode"
            f"   processor {work[method]:7.2f} s {work['ffmpeg']:7.2f} s"
            f"  {work[method] / work['ffmpeg']:5.2f} ×"
        )


def bench_memory(folder: Path, short: Path, long: Path) -> list[str]:
    """Rows of the table of memory."""
    mask = short.parent / "workspace" / short.stem / "masks" / "0000000.png"
    commands = {
        "segment": ["segment", "--fresh", "--first-mask", str(mask.rename(folder / "first.png"))],
        "greenback": ["greenback"],
        "maskvideo": ["maskvideo"],
        "alpha": ["alpha"],
        "overlay": ["overlay"],
        "probe": ["probe"],
    }
    rows = []
    for name, (verb, *options) in commands.items():
        peaks = [
            run(vfx_matte(verb, str(clip), *options, "--quiet"), folder).peak_mib
            for clip in (short, long)
        ]
        rows.append(
            f"{name:<16} {peaks[0]:8.1f} MiB  {peaks[1]:8.1f} MiB  {peaks[1] / peaks[0]:6.3f} ×"
        )
    return rows


def bench_peaks(folder: Path, *, size: str, frame_count: int = 48) -> Iterator[str]:
    """Rows of the table of peak memory beside the ffmpeg program."""
    width, height = (int(side) for side in size.split("x"))
    clip = make_project(folder, width=width, height=height, frame_count=frame_count)
    first = folder / "first.png"
    shutil.copy(clip.parent / "workspace" / clip.stem / "masks" / "0000000.png", first)
    mask = folder / "mask.mkv"
    run(vfx_matte("maskvideo", str(clip), "-o", str(mask), "--edges", "median", "--quiet"), folder)
    codec, preset, quality = X264
    x264 = ["--codec", codec, "--preset", preset, "--quality", str(quality)]
    rate = open_source(clip, reporter=SilentReporter()).info.timeline.average_fps
    inputs = ["ffmpeg", "-v", "error", "-y", "-i", str(clip), "-i", str(mask)]
    theirs = {
        "alphamerge, overlay, libx264": ffmpeg_green(
            clip, mask, folder / "f.mp4", size=size, rate=rate
        ),
        "alphamerge, prores_ks": [
            *inputs, "-filter_complex", "alphamerge", "-c:v", "prores_ks", "-profile:v", "4444",
            "-pix_fmt", "yuva444p10le", str(folder / "f.mov"),
        ],
        "mask video, ffv1": [*inputs, "-map", "1:v", "-c:v", "ffv1", str(folder / "f.mkv")],
        "clip, decoded": [*inputs, "-map", "0:v", "-f", "null", "-"],
    }  # fmt: skip
    pairs = (
        (["greenback", "-o", "o.mp4", *x264], "alphamerge, overlay, libx264"),
        (["greenback", "--edges", "median", "-o", "o.mp4", *x264], "alphamerge, overlay, libx264"),
        (["overlay", "-o", "o.mp4", *x264], "alphamerge, overlay, libx264"),
        (["alpha", "-o", "o.mov"], "alphamerge, prores_ks"),
        (["maskvideo", "-o", "o.mkv"], "mask video, ffv1"),
        (
            ["segment", "--fresh", "--workspace", "new", "--first-mask", str(first)],
            "clip, decoded",
        ),
    )
    run([*vfx_matte("greenback", str(clip), "-o", "o.mp4", "--quiet"), "--stop", "1"], folder)
    peaks = {name: run(command, folder).peak_mib for name, command in theirs.items()}
    for (verb, *options), other in pairs:
        peak = run(vfx_matte(verb, str(clip), *options, "--quiet"), folder).peak_mib
        shown = f"{verb} {'median' if 'median' in options else ''}"
        yield (
            f"{shown:<18} {peak:8.1f} MiB  {other:<30} {peaks[other]:8.1f} MiB"
            f"  {peak / peaks[other]:5.2f} ×"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clip", type=Path, help="a clip of your own; its masks come from segment --first-mask"
    )
    parser.add_argument("--mask", type=Path, help="first mask of --clip")
    parser.add_argument(
        "--masks", type=Path, help="the workspace that has masks of --clip, instead of --mask"
    )
    parser.add_argument("--edges", default="median,guided", help="methods, with commas between")
    parser.add_argument("--sizes", default="1280x720,1920x1080", help="of clips that are made")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--skip-memory", action="store_true")
    parser.add_argument("--peaks", metavar="SIZE", help="only peak memory beside ffmpeg, of a size")
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("the ffmpeg program is not on PATH; it is the other side of the comparison")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.peaks:
            for row in bench_peaks(folder, size=options.peaks):
                print(row, flush=True)
            return
        methods = options.edges.split(",")
        print(f"{'clip':<18} {'edges':<7} {'vfx-matte':>10} {'ffmpeg':>10} {'transcode':>10}")
        sizes = [] if options.clip else options.sizes.split(",")
        if options.clip:
            clip = options.clip.resolve()
            if options.masks:
                shutil.copytree(options.masks, folder / "workspace")
            else:
                first = str(options.mask.resolve())
                run(vfx_matte("segment", str(clip), "--first-mask", first, "--quiet"), folder)
            for row in bench_time(folder, clip, rounds=options.rounds, methods=methods):
                print(row, flush=True)
        for size in sizes:
            width, height = (int(side) for side in size.split("x"))
            clip = make_project(folder, width=width, height=height, frame_count=options.frames)
            for row in bench_time(folder, clip, rounds=options.rounds, methods=methods):
                print(row, flush=True)
        if not options.skip_memory:
            print(f"\n{'peak memory':<16} {'300 frames':>12}  {'3000 frames':>12}  ratio")
            clips = [
                make_project(folder, width=320, height=180, frame_count=count)
                for count in (300, 3000)
            ]
            print("\n".join(bench_memory(folder, *clips)))


if __name__ == "__main__":
    main()
