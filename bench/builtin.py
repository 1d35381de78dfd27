"""How fast `vfx-matte segment --propagator builtin` is, on clips made here, beside a plain decode
of the same clips.

    # speed by size and cores, objects, memory; some ten minutes
    python bench/builtin.py
    python bench/builtin.py --only speed --rounds 3
    python bench/builtin.py --network model/u2netp.onnx    # the same, helped by U²-Netp

Each clip shows copies of the demo's creature on its meadow, every one an object. Commands are whole
programs, decode and mask files included, kept to one core or two (Linux only); what a further frame
costs is the difference between runs over all and over a fifth of the frames, and start-up is left
out. Of `--rounds` runs the fastest counts. Wall time depends on what else the machine does; CPU
time hardly, so both are printed: on one free core the frames per second are 1000 / CPU ms.
Memory: peak resident size for 200 and 1,000 frames.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the program does, before NumPy is loaded

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.masks import Image, Mask, Palette
from vfx_matte.media.writers.synthetic import make_clip
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.propagate import open_propagator
from vfx_matte.propagate.driver import harden
from vfx_matte.scene import Alpha, Scene
from vfx_matte.timeline import Timeline
from vfx_matte.workspace.files import save_mask

SIZES = {"480p": (854, 480), "1080p": (1920, 1080), "4K": (3840, 2160)}
LOOP_FRAMES = 20
POLL_SECONDS = 0.02
DRAWN = (854, 480)
PLACES = (
    (0.5, 0.5),
    (0.2, 0.4),
    (0.8, 0.45),
    (0.35, 0.8),
    (0.65, 0.8),
    (0.06, 0.75),
    (0.93, 0.78),
    (0.5, 0.15),
)
"""Where the creatures' middles are, as parts of the width and the height."""


@dataclass(frozen=True)
class Run:
    """One finished command."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


def run(command: list[str], cwd: Path, *, cores: int) -> Run:
    """Run a command to its end on so many cores.

    Raises RuntimeError with its output when it fails.
    """
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    with tempfile.TemporaryFile() as log:
        began, peak, used = time.perf_counter(), 0, None
        pinned = ["taskset", "-c", ",".join(map(str, allowed)), *command]
        process = subprocess.Popen(
            pinned, cwd=cwd, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        while used is None:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode, used = (
                    os.waitstatus_to_exitcode(status),
                    usage.ru_utime + usage.ru_stime,
                )
                break
            peak = max(peak, peak_kib(process.pid))
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - began
        if process.returncode:
            log.seek(0)
            raise RuntimeError(
                f"{' '.join(command)} failed:\n{log.read().decode(errors='replace')}"
            )
    return Run(seconds, used, peak / 1024)


def peak_kib(pid: int) -> int:
    """The highest resident size of a running process so far, KiB (see bench/render.py)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0
    )


def fastest(command: list[str], cwd: Path, *, cores: int, rounds: int) -> Run:
    """The smallest of each number over several runs."""
    runs = [run(command, cwd, cores=cores) for _ in range(rounds)]
    return Run(
        *(
            min(getattr(one, name) for one in runs)
            for name in ("wall_seconds", "cpu_seconds", "peak_mib")
        )
    )


class Herd:
    """Pictures of `num_objects` creatures, half as large as the demo's, and their masks; drawn once
    at 480p, then resized.
    """

    def __init__(self, num_objects: int, drawn: list[tuple[Image, Alpha]]) -> None:
        self.frames = [self._herded(index, num_objects, drawn) for index in range(len(drawn))]

    @staticmethod
    def _herded(
        index: int, num_objects: int, drawn: list[tuple[Image, Alpha]]
    ) -> tuple[Image, Mask]:
        height, width = drawn[0][1].shape
        picture, mask = drawn[index][0].astype(np.float32), np.zeros((height, width), np.uint8)
        left, top, wide, tall = cv2.boundingRect(
            (np.max([alpha for _, alpha in drawn], axis=0) > 0).astype(np.uint8)
        )
        for number, (x, y) in enumerate(PLACES[:num_objects]):
            image, alpha = drawn[(index + 5 * number) % len(drawn)]
            window = np.s_[top : top + tall, left : left + wide]
            sprite = cv2.resize(
                np.dstack([image[window].astype(np.float32), alpha[window]]), (wide // 2, tall // 2)
            )
            begin_y, begin_x = round(y * height) - tall // 4, round(x * width) - wide // 4
            rows = slice(max(begin_y, 0), min(begin_y + tall // 2, height))
            columns = slice(max(begin_x, 0), min(begin_x + wide // 2, width))
            sprite = sprite[
                rows.start - begin_y : rows.stop - begin_y,
                columns.start - begin_x : columns.stop - begin_x,
            ]
            cover = sprite[..., 3:]
            picture[rows, columns] = picture[rows, columns] * (1 - cover) + sprite[..., :3] * cover
            mask[rows, columns][cover[..., 0] >= 0.5] = number + 1
        return np.rint(picture).astype(np.uint8), mask

    def at(self, index: int, size: tuple[int, int]) -> tuple[Image, Mask]:
        """A frame at (width, height); the clip runs to and fro."""
        shown = abs((index + LOOP_FRAMES - 1) % (2 * LOOP_FRAMES - 2) - LOOP_FRAMES + 1)
        picture, mask = self.frames[shown]
        if size == DRAWN:
            return picture, mask
        large = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        return large, np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def made(folder: Path, herd: Herd, size: tuple[int, int], frame_count: int) -> Path:
    """A folder with clip.mp4 and its first mask, first.png."""
    folder.mkdir()
    times = Timeline(
        tuple(range(0, frame_count * 3000, 3000)), (3000,) * frame_count, Fraction(1, 90000)
    )
    make_clip(folder / "clip.mp4", (herd.at(index, size)[0] for index in range(frame_count)), times,
              np.zeros((2, round(times.end * 48000)), np.float32))  # fmt: skip
    save_mask(folder / "first.png", herd.at(0, size)[1], Palette.davis())
    return folder


def segment(stop: int, *, network: Path | None) -> list[str]:
    """The program of this checkout, on the clip of the current folder.

    network: U²-Netp, or None to work without.
    """
    options = [
        "--propagator",
        "builtin",
        "--fresh",
        "--quiet",
        "--first-mask",
        "first.png",
        "--stop",
        str(stop),
    ]
    options += ["--no-network"] if network is None else ["--model", str(network.resolve().parent)]
    return [sys.executable, "-m", "vfx_matte", "segment", "clip.mp4", *options]


def decode(stop: int) -> list[str]:
    """A plain decode of the same clip, by the same library."""
    return [
        sys.executable,
        str(Path(__file__).resolve()),
        "--decode",
        "clip.mp4",
        "--stop",
        str(stop),
    ]


def for_each_frame(
    command: Callable[[int], list[str]], cwd: Path, *, frames: int, cores: int, rounds: int = 1
) -> Run:
    """What one more frame costs."""
    few = frames // 5
    short, long = (
        fastest(command(count), cwd, cores=cores, rounds=rounds) for count in (few, frames)
    )
    wall, cpu = (
        (getattr(long, name) - getattr(short, name)) / (frames - few)
        for name in ("wall_seconds", "cpu_seconds")
    )
    return Run(wall, cpu, long.peak_mib)


def step_milliseconds(
    herd: Herd, size: tuple[int, int], num_objects: int, *, network: Path | None
) -> float:
    """CPU time of one step of the propagator and the hardening of its result, without files."""
    eyes = None if network is None else SalientNetwork(network)
    propagator = open_propagator("builtin", num_objects=num_objects, network=eyes)
    propagator.remember(*herd.at(0, size))
    harden(propagator.step(*herd.at(0, size)))
    spent = []
    for index in range(1, LOOP_FRAMES):
        image = herd.at(index, size)[0]
        began = time.process_time()
        harden(propagator.step(image))
        spent.append(time.process_time() - began)
    return 1000 * float(np.median(spent))


def bench_speed(
    folder: Path, herd: Herd, *, frames: int, rounds: int, network: Path | None
) -> Iterator[str]:
    """Rows: size and cores, against a decode."""
    yield (
        f"{'':<14}{'frames/s':>9}{'CPU ms':>8}{'step':>8}{'decode':>8}{'× decode':>10}   (CPU ms"
        " for each frame)"
    )
    for name, size in SIZES.items():
        place = made(folder / name, herd, size, frames)
        alone = step_milliseconds(herd, size, 1, network=network)
        for cores in (1, 2):
            ours, plain = (
                for_each_frame(command, place, frames=frames, cores=cores, rounds=rounds)
                for command in (partial(segment, network=network), decode)
            )
            yield (
                f"{f'{name}, {cores} core':<14}{1 / ours.wall_seconds:9.1f}"
                f"{1000 * ours.cpu_seconds:8.1f}{alone:8.1f}"
                f"{1000 * plain.cpu_seconds:8.1f}{ours.cpu_seconds / plain.cpu_seconds:10.1f}"
            )


def bench_objects(
    folder: Path, drawn: list[tuple[Image, Alpha]], *, frames: int, network: Path | None
) -> Iterator[str]:
    """Rows: how cost grows with objects, at 480p on one core."""
    yield f"{'objects':<14}{'CPU ms':>9}{'× one':>8}"
    first = 0.0
    for count in (1, 2, 4, 8):
        place = made(folder / f"objects{count}", Herd(count, drawn), SIZES["480p"], frames)
        cpu = (
            1000
            * for_each_frame(
                partial(segment, network=network), place, frames=frames, cores=1
            ).cpu_seconds
        )
        first = first or cpu
        yield f"{count:<14}{cpu:9.1f}{cpu / first:8.2f}"


def bench_memory(folder: Path, herd: Herd, *, network: Path | None) -> Iterator[str]:
    """Rows: peak memory against length, at 480p."""
    yield f"{'frames':<14}{'peak MiB':>9}"
    for count in (200, 1000):
        place = made(folder / f"frames{count}", herd, SIZES["480p"], count)
        yield f"{count:<14}{run(segment(count, network=network), place, cores=2).peak_mib:9.1f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("speed", "objects", "memory"))
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--network", type=Path, metavar="FILE", help="U²-Netp, as u2netp.onnx; without, none helps"
    )
    parser.add_argument(
        "--decode", type=Path, help="only decode this clip; what the tables are compared with"
    )
    parser.add_argument("--stop", type=int)
    options = parser.parse_args()
    if options.decode:
        for _ in open_source(options.decode, reporter=SilentReporter()).reader.frames(
            0, options.stop
        ):
            pass
        return
    scene = Scene(width=DRAWN[0], height=DRAWN[1], frame_count=LOOP_FRAMES)
    drawn = [scene.frame(index) for index in range(LOOP_FRAMES)]
    one = Herd(1, drawn)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = {  # each row is made when it is asked for
            "speed": bench_speed(
                folder, one, frames=options.frames, rounds=options.rounds, network=options.network
            ),
            "objects": bench_objects(folder, drawn, frames=options.frames, network=options.network),
            "memory": bench_memory(folder, one, network=options.network),
        }
        for title, rows in tables.items():
            if options.only in (None, title):
                for row in rows:
                    print(row, flush=True)
                print()


if __name__ == "__main__":
    main()
