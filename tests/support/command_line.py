"""The program as a user runs it: in this process for speed, or as a process of its own that can be
stopped and killed.

The fixtures are passed on by conftest.py.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from support.clips import VFR_PTS, sound
from support.templates import Templates
from vfx_matte.cli import program
from vfx_matte.workspace import load_mask

RED, LIME, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)
WIDTH, HEIGHT = SIZE = (96, 64)
LATE = Fraction(1, 8)
"""When the sound of `clip` begins."""

Gray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        return self._line("error: ")

    @property
    def hint(self) -> str:
        return self._line("hint: ")

    @property
    def notes(self) -> list[str]:
        return [
            line.removeprefix("note: ")
            for line in self.stderr.splitlines()
            if line.startswith("note: ")
        ]

    @property
    def record(self) -> Any:  # noqa: ANN401  whatever JSON holds
        """What `--json` printed: one line that programs can read, and nothing else."""
        line = self.stdout.removesuffix("\n")
        assert "\n" not in line
        assert "⟦" not in line
        assert "NaN" not in line
        return json.loads(line)

    def _line(self, start: str) -> str:
        found = [
            line.removeprefix(start) for line in self.stderr.splitlines() if line.startswith(start)
        ]
        assert len(found) <= 1, f"more than one {start!r} line:\n{self.stderr}"
        return found[0] if found else ""


@functools.cache
def program_of_click() -> Any:  # noqa: ANN401  click is Typer's own
    """The program as click has it. Typer builds it anew for every call, which takes longer than
    most commands here.
    """
    return get_command(program())


class CommandLine:
    """Runs commands in `folder`, the working directory.

    `templates` has what was made before in folders like it.
    """

    def __init__(self, folder: Path, templates: Templates | None = None) -> None:
        self.folder, self.templates = folder, templates

    def __call__(self, *arguments: str | Path) -> Ran:
        """Run a command that has to succeed."""
        ran = self.run(*arguments)
        assert ran.code == 0, f"{arguments} ended with {ran.code}\n{ran.stdout}\n{ran.stderr}"
        assert not ran.error, ran.stderr
        return ran

    def once(self, key: Hashable, make: Callable[[], object]) -> None:
        """Fill the folder with what `make` makes there: it runs for the first test that asks for
        this key, and the others get copies (`Templates.fill`).
        """
        if self.templates is None:
            make()
        else:
            self.templates.fill(self.folder, key, make)

    def run(self, *arguments: str | Path) -> Ran:
        """Run a command that may fail."""
        runner, command = CliRunner(), program_of_click()
        with runner.isolation() as (stdout, stderr, _):
            try:
                code = command.main(
                    [str(argument) for argument in arguments],
                    prog_name=runner.get_default_prog_name(command),
                )
            except SystemExit as ended:
                code = ended.code
            sys.stdout.flush()
            sys.stderr.flush()
            shown, told = (
                stream.getvalue().decode().replace("\r\n", "\n") for stream in (stdout, stderr)
            )
        return Ran(code, shown, told)

    def fails(self, *arguments: str | Path, code: int) -> Ran:
        """Run a command that has to fail: with this exit code, a line for what, one for what to do,
        and no result.
        """
        ran = self.run(*arguments)
        assert ran.code == code, (
            f"{arguments} ended with {ran.code}, expected {code}\n{ran.stdout}\n{ran.stderr}"
        )
        assert ran.error, f"no error line in:\n{ran.stderr}"
        assert ran.hint or "expected" in ran.error, f"no hint line in:\n{ran.stderr}"
        assert "Traceback" not in ran.stderr
        assert "unexpected" not in ran.error
        assert ran.stdout == ""
        return ran

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command as a process of its own."""
        command = [sys.executable, "-m", "vfx_matte", *map(str, arguments)]
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            # Ctrl-C between the system's opening of a file and Python's return of it leaves nobody
            # who could close it: Python does, and would warn
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",
        }
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(
        self, child: subprocess.Popen[str], how: signal.Signals, *, when: Callable[[], bool]
    ) -> Ran:
        """Send a signal to a process as soon as something is so, and wait for its end."""
        deadline = time.monotonic() + 60
        while not when():
            assert child.poll() is None, f"ended by itself: {child.communicate()}"
            assert time.monotonic() < deadline, "nothing happened"
            time.sleep(0.005)
        child.send_signal(how)
        stdout, stderr = child.communicate(timeout=60)
        return Ran(child.returncode, stdout, stderr)

    def files(self, under: str = ".") -> dict[str, bytes]:
        """Every file below a folder with its content, to see that nothing was lost or left; the
        lock file does not count.
        """
        paths = (
            path
            for path in (self.folder / under).rglob("*")
            if path.is_file() and path.name != ".segment.lock"
        )
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}

    def mask(self, frame_index: int, *, clip: str = "clip") -> Gray:
        """A finished mask, uint8 (H, W)."""
        return load_mask(self.folder / "workspace" / clip / "masks" / f"{frame_index:07d}.png")

    def masks(self, *, clip: str = "clip") -> dict[int, Gray]:
        """All finished masks, by frame."""
        return {index: self.mask(index, clip=clip) for index in self.mask_numbers(clip=clip)}

    def manifest(self, *, clip: str = "clip") -> dict[str, Any]:
        """The manifest of a clip."""
        path = self.folder / "workspace" / clip / "manifest.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def mask_numbers(self, *, clip: str = "clip", folder: str = "masks") -> list[int]:
        """Which frames have a mask."""
        return sorted(
            int(path.stem)
            for path in (self.folder / "workspace" / clip / folder).glob("[0-9]*.png")
        )


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Working directories that were filled before."""
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, templates: Templates) -> CommandLine:
    """The program in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, templates)


@pytest.fixture(scope="session")
def clip(make_clip: Callable[..., Path]) -> Path:
    """12 frames of variable rate in H.264, with AAC sound that starts late."""
    tracks = [sound(start=LATE, seconds=Fraction(1, 2))]
    return make_clip(
        "clip.mp4", pts=VFR_PTS, options={"preset": "ultrafast", "bf": "0"}, sounds=tracks
    )


@pytest.fixture
def take(cli: CommandLine) -> Callable[..., Path]:
    """Copy a clip into the working directory, under its own or another name."""

    def copy(path: Path, name: str = "") -> Path:
        target = cli.folder / (name or path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        return target.relative_to(cli.folder)

    return copy


@pytest.fixture
def film(cli: CommandLine, take: Callable[..., Path], clip: Path) -> CommandLine:
    """A working directory with clip.mp4 and nothing else."""
    take(clip)
    return cli


@pytest.fixture
def two_references(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]
) -> tuple[CommandLine, Path]:
    """A working directory with a clip of 12 frames, and one.png and two.png of an object each."""
    clip = take(
        make_clip("clip.mp4", pts=tuple(range(0, 12 * 512, 512)), time_base=Fraction(1, 15360))
    )
    for object_id, (name, column) in enumerate((("one.png", 8), ("two.png", 40)), start=1):
        mask = np.zeros((64, 96), np.uint8)
        mask[16:48, column : column + 24] = object_id
        paint(Path(name), mask)
    return cli, clip


@pytest.fixture
def project(cli: CommandLine, take: Callable[..., Path], clip: Path) -> CommandLine:
    """A working directory with clip.mp4, mask.png of two objects and finished masks for frames 2 to
    9.
    """
    take(clip)
    segment(cli, "clip.mp4", start=2, stop=10)
    return cli


def segment(
    cli: CommandLine,
    clip: str | Path,
    *,
    start: int = 0,
    stop: int | None = None,
    size: tuple[int, int] = SIZE,
) -> None:
    """Paint mask.png with two objects and carry it on with the propagator that repeats it.

    In a folder with nothing but the clip this is done once for each clip and range.
    """
    last = () if stop is None else ("--stop", str(stop))

    def run() -> None:
        paint(cli.folder / "mask.png", two_objects(size))
        first = ("--first-mask", "mask.png", "--propagator", "fake", "--start", str(start))
        cli("segment", clip, *first, *last)

    path = cli.folder / clip
    if list(cli.folder.iterdir()) != [path] or not path.is_file():
        run()
        return
    # the time of its last change is in the stamp by which a clip is known again
    stamp = path.name, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest()
    cli.once(("segment", stamp, start, stop, size), run)


def two_objects(size: tuple[int, int] = SIZE) -> Gray:
    """A disc of object 1 and a box of object 2, uint8 (H, W) of ids; neither lies on the chroma
    grid.
    """
    width, height = size
    y, x = np.mgrid[:height, :width]
    ids = np.zeros((height, width), np.uint8)
    ids[(x - width * 0.3) ** 2 + (y - height * 0.5) ** 2 < (height * 0.33) ** 2] = 1
    ids[height // 4 + 1 : height // 2, width * 2 // 3 - 1 : width - 6] = 2
    return ids


def paint(
    path: Path, ids: Gray, colors: tuple[tuple[int, int, int], ...] = (BLACK, RED, LIME)
) -> Path:
    """Save ids as a picture of one colour per object, as painting programs do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(colors, np.uint8)[ids]).save(path)
    return path


def pictures(path: Path, *, decoder: str = "") -> Iterator[av.VideoFrame]:
    """Decode every frame with PyAV alone, past everything the program does."""
    with av.open(f"file:{path}") as container:
        stream = container.streams.video[0]
        if not decoder:
            yield from container.decode(stream)
            return
        context: Any = av.CodecContext.create(decoder, "r")
        for packet in container.demux(stream):
            yield from context.decode(packet if packet.size else None)


def planes_of(frame: av.VideoFrame) -> list[npt.NDArray[Any]]:
    """The planes of a planar frame as they are, alpha last: uint8 or uint16 arrays."""
    depth = max(component.bits for component in frame.format.components)
    kind = np.dtype("u1" if depth == 8 else "<u2")
    return [
        np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)[
            :, : plane.width
        ]
        for plane in frame.planes
    ]


def times_of(path: Path) -> list[Fraction]:
    """The exact time of every frame in seconds, in display order."""
    return [frame.pts * frame.time_base for frame in pictures(path)]


def footprint(
    chosen: npt.NDArray[np.bool_], plane: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which samples of a plane lie wholly inside, and which wholly outside, of the chosen pixels of
    the whole picture.
    """
    height, width = plane.shape
    rows, columns = -(-chosen.shape[0] // height), -(-chosen.shape[1] // width)
    padded = np.pad(
        chosen,
        ((0, height * rows - chosen.shape[0]), (0, width * columns - chosen.shape[1])),
        mode="edge",
    )
    blocks = padded.reshape(height, rows, width, columns)
    return blocks.all(axis=(1, 3)), ~blocks.any(axis=(1, 3))
