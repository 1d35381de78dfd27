r"""Compares how long two versions of vfx-matte take for the same commands, in one run.

    python bench/speed_side_by_side.py OLD/.venv/bin/vfx-matte NEW/.venv/bin/vfx-matte \
        --davis DAVIS_DIR --sequence dog --rounds 3

Every command is run by both versions in turn, each in folders of its own: the demo, and on the
demo's clip and one DAVIS sequence `segment` and the renders. Of each the least time of all rounds
counts: seconds from start to end, and seconds of processor time with all threads and processes,
which a busy machine changes less. Prints a table with the ratios new : old.

    python bench/speed_side_by_side.py OLD NEW --rates --clip CLIP MASK --davis DAVIS_DIR

With `--rates` only `segment` is run, and what one more frame costs is measured: the difference
between `--frames` frames and a fifth of them, so that start-up is left out. With one mask, and
with `--update` after a second mask, of the last frame, has been added, so that every frame between
them is made by two walks. `--clip` names clips with a mask of their first frame. The network helps
where `--model` holds it.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

COMMANDS = {
    "start-up": ("overlay", "--help"),
    "segment": ("segment", "{clip}", "--first-mask", "{mask}", "--fresh"),
    "greenback": ("greenback", "{clip}"),
    "greenback, median edges": ("greenback", "{clip}", "--edges", "median", "-o", "median.mp4"),
    "alpha": ("alpha", "{clip}"),
    "maskvideo": ("maskvideo", "{clip}"),
    "overlay": ("overlay", "{clip}"),
}
"""Name → arguments of vfx-matte, in the order in which they are run."""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    seconds: float
    """From start to end."""
    processor_seconds: float
    """Of all its threads and processes."""

    def least(self, other: Cost) -> Cost:
        """The lesser of each."""
        return Cost(
            min(self.seconds, other.seconds),
            min(self.processor_seconds, other.processor_seconds),
        )


def run(program: str, arguments: list[str], folder: Path) -> Cost:
    """Runs one command of a version in `folder`; stops the comparison when it fails."""
    used, began = _processor_seconds(), time.perf_counter()
    done = subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{program} {' '.join(arguments)}\n{done.stderr}")
    return Cost(seconds, _processor_seconds() - used)


def _processor_seconds() -> float:
    """Of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(
    programs: tuple[str, str],
    clips: dict[str, tuple[Path, Path]],
    commands: list[str],
    *,
    rounds: int,
    model: Path,
    root: Path,
) -> dict[tuple[str, str], list[Cost]]:
    """Runs every command `rounds` times with both programs in turn.

    Args:
        programs: the vfx-matte of the old and of the new version.
        clips: name → clip and mask of its first frame.
        commands: which of COMMANDS, in their order.
        rounds: how often, at least once.
        model: the folder of network weights.
        root: where results go; emptied between rounds.

    Returns:
        (clip, command) → what it took the old and the new version.
    """
    found: dict[tuple[str, str], list[Cost]] = {}
    for turn in range(rounds):
        folders = [root / "old", root / "new"]
        # who comes first meets another machine than who comes second
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        for name, (clip, mask) in clips.items():
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            for command in commands:
                arguments = [word.format(clip=clip, mask=mask) for word in COMMANDS[command]]
                if command == "segment":
                    arguments += ["--model", str(model)]
                costs = {index: run(programs[index], arguments, folders[index]) for index in order}
                best = found.setdefault((name, command), [costs[0], costs[1]])
                found[name, command] = [best[index].least(costs[index]) for index in (0, 1)]
    return found


def segment_once(
    program: str, clip: Path, mask: Path, stop: int, *, update: bool, model: Path, folder: Path
) -> Cost:
    """What `segment` takes for the first `stop` frames of a clip.

    Args:
        program: the vfx-matte of a version.
        clip: the clip.
        mask: of its first frame.
        stop: how many frames.
        update: what is timed is an update with the last one's own mask as a second one.
        model: the folder of network weights.
        folder: where results go; emptied before.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    usual = ["--stop", str(stop), "--model", str(model), "--propagator", "builtin", "--quiet"]
    first = ["segment", str(clip), "--first-mask", str(mask), *usual]
    cost = run(program, first, folder)
    if not update:
        return cost
    last = max(folder.glob("workspace/*/masks/*.png"))
    kept = shutil.copy(last, folder / "second.png")
    return run(program, [*first, "--mask", f"{int(last.stem)}={kept}", "--update"], folder)


def compare_rates(
    programs: tuple[str, str],
    clips: dict[str, tuple[Path, Path]],
    *,
    frames: int,
    rounds: int,
    model: Path,
    root: Path,
) -> dict[tuple[str, str], list[Cost]]:
    """What one more frame of `segment` costs both versions, in turn; the least of all rounds.

    Args:
        programs: the vfx-matte of the old and of the new version.
        clips: name → clip and mask of its first frame.
        frames: the length of the longer run; the other one is a fifth of it.
        rounds: how often, at least once.
        model: the folder of network weights.
        root: where results go.

    Returns:
        (clip, what was run) → what a frame took the old and the new version.
    """
    found: dict[tuple[str, str], list[Cost]] = {}
    few = frames // 5
    for name, (clip, mask) in clips.items():
        for title, update in (("one mask", False), ("--update, two masks", True)):
            least: dict[tuple[int, int], Cost] = {}
            for turn in range(rounds):
                for index in (0, 1) if turn % 2 == 0 else (1, 0):
                    for stop in (few, frames):
                        cost = segment_once(
                            programs[index], clip, mask, stop,
                            update=update, model=model, folder=root / "rates",
                        )  # fmt: skip
                        least[index, stop] = cost.least(least.get((index, stop), cost))
            found[name, title] = [
                Cost(
                    (least[index, frames].seconds - least[index, few].seconds) / (frames - few),
                    (least[index, frames].processor_seconds - least[index, few].processor_seconds)
                    / (frames - few),
                )
                for index in (0, 1)
            ]
    return found


def print_rates(found: dict[tuple[str, str], list[Cost]]) -> None:
    """Prints frames per second and processor time of a frame."""
    print("| clip | segment | old, frames/s | new | ratio | old, processor ms a frame | new |")
    print("|---|---|---|---|---|---|---|")
    for (clip, title), (old, new) in found.items():
        print(
            f"| {clip} | {title} | {1 / old.seconds:.1f} | {1 / new.seconds:.1f}"
            f" | {old.seconds / new.seconds:.2f} | {1000 * old.processor_seconds:.0f}"
            f" | {1000 * new.processor_seconds:.0f} |"
        )


def main() -> None:
    """Runs both versions and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", help="vfx-matte of the version before")
    parser.add_argument("new", help="vfx-matte of the version after")
    parser.add_argument("--davis", type=Path, help="a folder laid out like DAVIS 2016")
    parser.add_argument("--sequence", default="dog", help="which of its sequences")
    parser.add_argument(
        "--only", choices=COMMANDS, nargs="+", help="these commands; renders need segment"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each command is run")
    parser.add_argument(
        "--model", type=Path, default=Path("model"), help="a folder with network weights"
    )
    parser.add_argument("--rates", action="store_true", help="what a frame of segment costs")
    parser.add_argument("--frames", type=int, default=60, help="length of the longer run of those")
    parser.add_argument(
        "--clip",
        type=Path,
        nargs=2,
        action="append",
        default=[],
        metavar=("CLIP", "MASK"),
        help="a clip, and a mask of its first frame, beside the demo's; with --rates instead of it",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        clips = {clip.stem: (clip.resolve(), mask.resolve()) for clip, mask in options.clip}
        if not options.rates:
            # the clip is the old version's: both work on the same bytes
            run(options.old, ["demo", "demo"], root)
            clips["demo"] = root / "demo/demo/demo.mp4", root / "demo/demo/first-mask.png"
        if options.davis:
            pictures = options.davis / "JPEGImages/480p" / options.sequence
            truth = options.davis / "Annotations/480p" / options.sequence / "00000.png"
            clips[options.sequence] = (pictures.resolve(), truth.resolve())
        if options.rates:
            print_rates(
                compare_rates(
                    (options.old, options.new),
                    clips,
                    frames=options.frames,
                    rounds=options.rounds,
                    model=options.model.resolve(),
                    root=root,
                )
            )
            return
        found = compare(
            (options.old, options.new),
            clips,
            [name for name in COMMANDS if name in (options.only or COMMANDS)],
            rounds=options.rounds,
            model=options.model.resolve(),
            root=root,
        )
    print("| clip | command | old, s | new, s | ratio | old, processor s | new | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for (clip, command), (old, new) in found.items():
        print(
            f"| {clip} | {command} | {old.seconds:.2f} | {new.seconds:.2f}"
            f" | {new.seconds / old.seconds:.2f} | {old.processor_seconds:.2f}"
            f" | {new.processor_seconds:.2f}"
            f" | {new.processor_seconds / old.processor_seconds:.2f} |"
        )


if __name__ == "__main__":
    main()
