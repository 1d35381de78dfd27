"""How large files with straight alpha are with the old background under alpha 0, and without it: a
markdown table.

    python bench/alpha_size.py clip.mp4 first-mask.png

The clip is segmented with the built-in propagator and cut out in every way twice, in a temporary
folder. Codecs at their usual settings; sizes in millions of bytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

OUTPUTS = ("alpha.mov", "alpha.mkv", "alpha.webm", "frames/")


def size_of(path: Path) -> float:
    """Millions of bytes of a file, or of all files in a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / 1e6


def main(clip: str, mask: str) -> None:
    """Segment, render, print."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "vfx_matte"]
        shared = ["--quiet", "--workspace", folder]
        subprocess.run(
            [*program, "segment", clip, "--first-mask", mask, "--propagator", "builtin", *shared],
            check=True,
        )
        print("| file | with the old background, MB | without, MB | share |\n|---|---:|---:|---:|")
        for name in OUTPUTS:
            place = Path(folder) / name
            sizes = []
            for option in ("--keep-background", "--no-keep-background"):
                subprocess.run(
                    [*program, "alpha", clip, "-o", str(place), option, *shared],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                sizes.append(size_of(place))
            print(
                f"| `{name}` | {sizes[0]:.1f} | {sizes[1]:.1f} | {sizes[1] / sizes[0]:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
