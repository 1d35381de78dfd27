"""The start of the program."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from support.command_line import CommandLine

from vfx_matte.cli.loading import loading


def test_cycles_are_looked_for_rarely_while_modules_load_and_as_usual_afterwards() -> None:
    script = (
        "import gc, sys\n"
        "usual = gc.get_threshold()\n"
        "from vfx_matte import cli\n"
        "from vfx_matte.cli import app\n"
        "sys.argv = ['vfx-matte', 'formats']\n"
        "end, seen = app.end_loading, []\n"
        "def watched():\n"
        "    seen.append(gc.get_threshold())\n"
        "    end()\n"
        "    seen.append(gc.get_threshold())\n"
        "app.end_loading = watched\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "assert seen[0][0] > 10 * usual[0], seen\n"
        "assert seen[1:] == [usual], seen\n"
        "assert gc.get_freeze_count() > 1000\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_a_command_that_imports_its_modules_looks_for_cycles_as_usual_afterwards() -> None:
    usual, turn = gc.get_threshold(), sys.getswitchinterval()
    with contextlib.suppress(ModuleNotFoundError), loading():
        assert gc.get_threshold()[0] > 10 * usual[0]
        assert sys.getswitchinterval() < turn
        raise ModuleNotFoundError
    assert gc.get_threshold() == usual
    assert sys.getswitchinterval() == turn


NOT_FOR_RENDERS = (
    "pydantic",  # Typer reads options by it
    "rich",  # tables, which --quiet does not print
    "numpy.ma",
    "scipy",
    "numba",  # edges of the mask alone need no compiled loops
    "httpx",
    "OpenEXR",
    "torch",
    "vfx_matte.programs.registry",
    "vfx_matte.propagate.driver",
    "vfx_matte.web",
)


@pytest.mark.slow
def test_a_render_loads_only_what_it_needs(project: CommandLine) -> None:
    """Importing takes as long as rendering dozens of frames."""
    script = (
        "import sys\n"
        "from vfx_matte.cli import main\n"
        "words = ['greenback', 'clip.mp4', '--edges', 'median', '--quiet']\n"
        "sys.argv = ['vfx-matte', *words]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=project.folder, check=True, capture_output=True
    )
    loaded = ran.stderr.decode().split()
    assert "av" in loaded
    assert [name for name in NOT_FOR_RENDERS if name in loaded] == []


def test_options_are_read_without_typers_adapters(cli: CommandLine) -> None:
    script = (
        "import sys\n"
        "from vfx_matte.cli import main\n"
        "sys.argv = 'vfx-matte mask no.mp4 --fg 1,2 --fg 3,4 --object 2'.split()\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    assert 'pydantic' not in sys.modules\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=cli.folder, check=False, capture_output=True
    )
    assert ran.stderr.decode().startswith("error: there is no clip 'no.mp4'")
    assert ran.returncode == 2


def test_a_mask_of_the_first_frame_reads_what_the_probe_has_decoded(
    cli: CommandLine,
    take: Callable[..., Path],
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take(clip)
    opened, av_open = [], av.open

    def counted(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        opened.append(args)
        return av_open(*args, **options)

    monkeypatch.setattr(av, "open", counted)
    cli.run("mask", "clip.mp4", "--box", "8,8,40,40", "--method", "graph")
    # once to count its frames, once for its pictures
    assert len(opened) == 2


HEAPS = """
import ctypes, os, sys, tempfile, threading
from vfx_matte.cli import main
sys.argv = ["vfx-matte", "formats", "--json"]
try:
    main()
except SystemExit:
    pass
kept, barrier = [], threading.Barrier(4)
def work():
    barrier.wait()
    kept.append([bytearray(50_000) for _ in range(20)])
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fdopen(os.dup(file.fileno()), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    file.seek(0)
    print(file.read().count(b"<heap nr="), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other heaps")
@pytest.mark.parametrize(("asked", "is_one"), [({}, True), ({"MALLOC_ARENA_MAX": "3"}, False)])
def test_threads_share_one_heap_unless_somebody_asks_otherwise(
    asked: dict[str, str], is_one: bool
) -> None:
    own = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    ran = subprocess.run(
        [sys.executable, "-c", HEAPS], env=own | asked, capture_output=True, text=True, check=True
    )
    assert (int(ran.stderr.split()[-1]) == 1) == is_one
