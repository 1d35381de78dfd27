"""What several workers gain, and what coordinating many commands costs.

    # a clip of eight shots, made by one and by two workers, in turns
    python bench/scale.py --only workers --rounds 2
    # 10,000 commands that do nothing: time and memory of the coordinator alone
    python bench/scale.py --only coordinator

workers: `vfx-matte segment` as a whole, start-up and taking in included, of the demo's creature at
480 lines, eight shots with a reference each; the fastest round of each counts. One process fills
more than one core by itself, so one worker is measured with one core, as each of two has, and with
all of them. Whether the masks are the same is compared, too. Linux only. coordinator: `run_batch`
with the program `true` as every command, so that what is measured is starting processes, hearing
them, and the report.
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
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from vfx_matte.masks import Image, Palette
from vfx_matte.media.writers.synthetic import make_clip
from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan
from vfx_matte.pipeline.batch.processes import Program
from vfx_matte.pipeline.batch.run import BatchOptions, run_batch
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.scene import Scene
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import save_mask

SHOTS = 8


def make_shots(folder: Path, *, frames: int) -> list[str]:
    """A clip of eight shots with a mask of each one's first frame; returns the command line."""
    scenes = [Scene(854, 480, frame_count=frames, seed=seed) for seed in range(SHOTS)]
    count = SHOTS * frames
    timeline = Timeline(tuple(range(0, 3600 * count, 3600)), (3600,) * count, Fraction(1, 90000))

    def images() -> Iterator[Image]:
        for scene in scenes:
            for index in range(frames):
                yield scene.frame(index)[0]

    make_clip(folder / "shots.mp4", images(), timeline, scenes[0].sound())
    words = ["segment", str(folder / "shots.mp4"), "--propagator", "builtin", "--no-network"]
    for number, scene in enumerate(scenes):
        path = folder / f"m{number}.png"
        save_mask(path, scene.truth_mask(0), Palette.davis())
        words += ["--mask", f"{number * frames}={path}"]
    return [*words, "--cuts", ",".join(str(at * frames) for at in range(1, SHOTS))]


def workers(*, rounds: int, frames: int) -> None:
    """One worker on one core, one with all of them, and two."""
    cores = sorted(os.sched_getaffinity(0))
    # name → the worker processes and the cores that they have
    kinds = {"one core": (1, cores[:1]), "all cores": (1, cores), "two": (2, cores)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = make_shots(folder, frames=frames)
        fastest: dict[str, float] = {}
        for _ in range(rounds):
            for kind, (count, allowed) in kinds.items():
                place = folder / kind
                shutil.rmtree(place, ignore_errors=True)
                command = [sys.executable, "-m", "vfx_matte", *words, "-q"]
                began = time.perf_counter()
                subprocess.run(
                    [*command, "--workspace", str(place), "--workers", str(count)],
                    check=True,
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
                    preexec_fn=partial(os.sched_setaffinity, 0, allowed),
                )
                seconds = time.perf_counter() - began
                fastest[kind] = min(seconds, fastest.get(kind, seconds))
        masks = [
            {path.name: path.read_bytes() for path in (folder / kind).glob("shots/masks/*.png")}
            for kind in kinds
        ]
        same = all(one == masks[0] for one in masks)
        alone, spread, two = fastest.values()
        print(
            f"| {SHOTS} shots of {frames} frames, 854×480 | {alone:.1f} s | {spread:.1f} s"
            f" | {two:.1f} s | {alone / two:.2f} | {spread / two:.2f} | {'yes' if same else 'NO'} |"
        )


def coordinator(*, commands: int, jobs: int) -> None:
    """Commands that do nothing."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as name:
        plan = [
            ShotPlan(Path(f"{number:05d}.mp4"), (StepPlan("segment", ("segment", str(number))),))
            for number in range(commands)
        ]
        report = Path(name) / "batch.json"
        began = time.perf_counter()
        run_batch(
            plan,
            BatchOptions(report=report, jobs=jobs, program=Program(words=("true",))),
            reporter=SilentReporter(),
        )
        seconds = time.perf_counter() - began
        size = report.stat().st_size
    after = resource.getrusage(resource.RUSAGE_SELF)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"| {commands} commands, {jobs} at once | {seconds:.0f} s | {1000 * seconds / commands:.1f}"
        f" ms | {1000 * processor / commands:.1f} ms | {after.ru_maxrss / 1024:.0f} MiB |"
        f" {size / 1e6:.1f} MB |"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="workers,coordinator")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--frames", type=int, default=40, help="of each shot")
    parser.add_argument("--commands", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=16)
    options = parser.parse_args()
    if "workers" in options.only:
        print("| clip | 1 worker, 1 core | 1 worker, all cores | 2 workers, all cores", end="")
        print(" | 2 to the first | 2 to the second | same masks |\n|---|---|---|---|---|---|---|")
        workers(rounds=options.rounds, frames=options.frames)
    if "coordinator" in options.only:
        print("| batch | time | each | processor time each | peak memory | report |")
        print("|---|---|---|---|---|---|")
        coordinator(commands=options.commands, jobs=options.jobs)


if __name__ == "__main__":
    main()
