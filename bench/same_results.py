r"""Compares what two versions of vfx-matte make of the same clips, byte by byte.

A tool for developers who rearrange code.

    python bench/same_results.py OLD/.venv/bin/vfx-matte NEW/.venv/bin/vfx-matte \
        --davis DAVIS_DIR --clip CLIP --mask MASK

Both programs run the demo, segment the DAVIS sequences and the clip from one mask, and render them
in every way. All masks and renders must be the same bytes. Prints a line for each folder; exits
with 1 when a file differs or only one version wrote it. Results of a version are kept in the folder
of --keep and not made again, so the old version has to run only once.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import av

SEQUENCES = ("dog", "scooter-black", "breakdance")
RENDERS = {
    "greenback": ["greenback"],
    "alpha": ["alpha"],
    "maskvideo": ["maskvideo"],
    "overlay": ["overlay"],
    "edges-median": ["greenback", "--edges", "median", "-o", "median.mp4"],
    "still": ["greenback", "--frame", "3", "-o", "still.png"],
}
"""Name → arguments of vfx-matte before the clip."""

COMPARED = {".png", ".mp4", ".mkv", ".mov", ".npz", ".exr"}
"""Suffixes of files that are compared. Manifests and pages hold dates."""


VIDEO = {".mp4", ".mkv", ".mov"}
"""Suffixes of files whose packets are compared: Matroska files hold a random number."""


def digests(folder: Path) -> dict[str, str]:
    """Path below `folder` → SHA-256 of the file, for every mask and render there."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in COMPARED and path.is_file())
    return {str(path.relative_to(folder)): digest(path) for path in files}


def digest(path: Path) -> str:
    """SHA-256 of a file; of a video, of its packets with their times."""
    if path.suffix not in VIDEO:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    found = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux():
            found.update(f"{packet.stream.index} {packet.pts} {packet.dts} ".encode())
            found.update(bytes(packet))
    return found.hexdigest()


def run(program: str, arguments: list[str], folder: Path) -> None:
    """Runs one command of a version in `folder`; stops the comparison when it fails."""
    done = subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{program} {' '.join(arguments)}\n{done.stderr}")


def make_results(
    program: str, folder: Path, clips: dict[str, tuple[Path, Path]], model: Path
) -> None:
    """Runs the demo, then segments and renders every clip.

    Args:
        program: the vfx-matte of one version.
        folder: where its results go; one folder each for the demo and for every clip.
        clips: name → clip and mask of its first frame.
        model: the folder of network weights.
    """
    (folder / "demo").mkdir(parents=True)
    run(program, ["demo", "demo-results"], folder / "demo")
    for name, (clip, mask) in clips.items():
        place = folder / name
        place.mkdir()
        run(
            program, ["segment", str(clip), "--first-mask", str(mask), "--model", str(model)], place
        )
        for arguments in RENDERS.values():
            run(program, [arguments[0], str(clip), *arguments[1:]], place)


def main() -> None:
    """Makes the results of both versions and compares them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", help="vfx-matte of the version before")
    parser.add_argument("new", help="vfx-matte of the version after")
    parser.add_argument(
        "--davis", type=Path, required=True, help="a folder laid out like DAVIS 2016"
    )
    parser.add_argument("--clip", type=Path, required=True, help="a video file")
    parser.add_argument("--mask", type=Path, required=True, help="the mask of its first frame")
    parser.add_argument(
        "--model", type=Path, default=Path("model"), help="a folder with network weights"
    )
    parser.add_argument("--keep", type=Path, help="where results are kept for the next comparison")
    options = parser.parse_args()
    pictures, truth = options.davis / "JPEGImages/480p", options.davis / "Annotations/480p"
    clips = {name: (pictures / name, truth / name / "00000.png") for name in SEQUENCES}
    clips["clip"] = (options.clip, options.mask)
    clips = {name: (clip.resolve(), mask.resolve()) for name, (clip, mask) in clips.items()}
    root = options.keep or Path(tempfile.mkdtemp())
    versions = {"old": options.old, "new": options.new}
    for version, program in versions.items():
        if not (root / version).exists():
            make_results(program, root / version, clips, options.model.resolve())
    different = 0
    for name in ("demo", *clips):
        old, new = (digests(root / version / name) for version in versions)
        wrong = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
        different += len(wrong)
        print(f"{name}: {len(old)} files, {len(wrong)} differ", *wrong[:10], sep="\n  ")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
