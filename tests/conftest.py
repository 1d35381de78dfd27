"""Fixtures that several test files use: clips made once a session, notices, and the GPU where there
is one.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from support.breaking import breaks  # noqa: F401  fixture
from support.clips import write_clip
from support.command_line import (  # noqa: F401  fixtures
    cli,
    clip,
    film,
    project,
    take,
    templates,
    two_references,
)
from support.notices import Notices
from support.runs import source  # noqa: F401  fixture
from support.weights_server import direct, server, without_torch  # noqa: F401  fixtures

from vfx_matte.backend import Device, choose_device
from vfx_matte.errors import DeviceError

# A busy machine is no failure: property tests have no time limit, wherever they stand.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# The fast lane tries fewer examples of each property; the whole suite, as CI runs it, a hundred.
hypothesis.settings.register_profile(
    "fast lane", parent=hypothesis.settings.get_profile("untimed"), max_examples=25
)
hypothesis.settings.load_profile("untimed")

os.environ["VFX_MATTE_FETCH"] = (
    "never"  # no test reaches the network, in this process or in one that it starts
)


def pytest_configure(config: pytest.Config) -> None:
    """With several workers (`-n`) each, and what it starts, computes in one thread: the cores are
    busy as it is, and threads for pictures as small as these cost more than the work. What threads
    change is tested where they are asked for by number.

    The fast lane tries fewer examples.

    Where no compiled files may lie beside the sources, they are kept in pytest's own cache: without
    any, each worker compiles every test for some ten seconds, and each process that a test starts
    compiles the program.

    What a shell runs in the background is deaf to Ctrl-C, and so would be what tests start and
    stop.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.markexpr == "not slow":
        hypothesis.settings.load_profile("fast lane")
    cache = getattr(config, "cache", None)
    if sys.dont_write_bytecode and cache is not None:
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(cache.mkdir("compiled"))
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if getattr(config.option, "numprocesses", None):
        for name in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
            os.environ.setdefault(name, "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked gpu skip where CuPy finds no GPU, unless FAIL_WITHOUT_CUDA=1 says that there has
    to be one.
    """
    if os.environ.get("FAIL_WITHOUT_CUDA") == "1" or not any(
        item.get_closest_marker("gpu") for item in items
    ):
        return
    problem = _gpu_problem()
    if problem:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason=problem))


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it again and
    again.
    """
    gc.collect()
    gc.freeze()


@functools.cache
def _gpu_problem() -> str:
    """Why there is no usable GPU; empty when there is one."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    try:
        choose_device("cuda", notify=print)
    except DeviceError as error:
        return error.message
    return ""


@pytest.fixture(scope="session", autouse=True)
def disk_is_not_waited_for() -> Iterator[None]:
    """What tests write need not outlive a power cut, and some thousand times a busy disk is what a
    fast lane would wait for most. `tests/workspace/test_atomic.py` holds what is put on the disk.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which refuses closed files as well
        yield


@pytest.fixture(scope="session")
def gpu_device() -> Device:
    """The CUDA device; fails where there is none (tests marked gpu are skipped before, see
    above).
    """
    return choose_device("cuda", notify=print)


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`write_clip` with a file name instead of a path; equal requests share one file, so never
    change it.
    """
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, Path] = {}

    def make(name: str = "clip.mp4", **options: Any) -> Path:  # noqa: ANN401
        key = f"{name} {sorted(options.items())!r}"
        if key not in made:
            place = folder / str(len(made))
            place.mkdir()
            made[key] = write_clip(place / name, **options)
        return made[key]

    return make


@pytest.fixture(scope="session")
def ffprobe() -> Callable[..., dict[str, Any]]:
    """Run the ffprobe program, an independent reader: ffprobe(path, "stream=…:packet=…") → its
    JSON.
    """
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("the ffprobe program is not on PATH")

    def ask(path: Path, entries: str, *more: str) -> dict[str, Any]:
        command = [
            program,
            "-v",
            "error",
            "-of",
            "json",
            "-show_entries",
            entries,
            *more,
            f"file:{path}",
        ]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    return ask


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., None]:
    """Run the ffmpeg program with these arguments, for files that PyAV cannot make."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("the ffmpeg program is not on PATH")

    def run(*arguments: str | Path) -> None:
        subprocess.run(
            [program, "-v", "error", "-y", *map(str, arguments)], check=True, capture_output=True
        )

    return run
