"""What is compiled is kept on disk, and a run does not depend on that."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

from vfx_matte.compiling import jit

SOURCE = """
def doubled(number):
    return 2 * number
"""


@pytest.fixture
def compile_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Callable[[int], int]]:
    """Makes a function that is to be compiled, each time as a new process would."""
    monkeypatch.setattr(jit.Kept, "everything", True)
    path = tmp_path / "double.py"
    path.write_text(SOURCE, encoding="utf-8")

    def make() -> Callable[[int], int]:
        spec = importlib.util.spec_from_file_location("double", path)
        assert spec is not None
        assert spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        compiled: Callable[[int], int] = jit.compiled(module.doubled)
        return compiled

    return make


def loads(function: Any) -> int:  # noqa: ANN401  Numba has no types
    """How often what was kept has been taken."""
    return sum(function.stats.cache_hits.values())


def files(tmp_path: Path, ending: str) -> list[Path]:
    found = list(tmp_path.rglob(f"*.{ending}"))
    assert found
    return found


def test_what_was_compiled_is_taken_the_next_time(
    compile_anew: Callable[[], Callable[[int], int]],
) -> None:
    assert compile_anew()(3) == 6
    again = compile_anew()
    assert again(3) == 6
    assert loads(again) == 1


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["empty", "short", "other", "folder"])
def test_damaged_files_are_compiled_anew_and_replaced(
    compile_anew: Callable[[], Callable[[int], int]], tmp_path: Path, ending: str, damage: str
) -> None:
    assert compile_anew()(3) == 6
    for path in files(tmp_path, ending):
        content = path.read_bytes()
        path.unlink()
        if damage == "folder":
            path.mkdir()
        else:
            path.write_bytes({"empty": b"", "short": content[:-9], "other": b"\xff" * 99}[damage])
    assert compile_anew()(3) == 6
    again = compile_anew()
    assert again(3) == 6
    # a folder is nobody's but its maker's
    assert loads(again) == (0 if damage == "folder" else 1)


def test_a_full_disk_costs_the_next_run_time_alone(
    compile_anew: Callable[[], Callable[[int], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", fail)
    function = compile_anew()
    assert function(3) == 6
    assert not jit.Kept.everything


def test_what_cannot_be_kept_is_compiled_all_the_same(
    compile_anew: Callable[[], Callable[[int], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation and a home that are both read-only have no place for a cache."""

    def refuse(_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.caching.FunctionCache", refuse)
    assert compile_anew()(3) == 6
    assert not jit.Kept.everything


@pytest.mark.parametrize("is_kept", [False, True])
def test_ctrl_c_waits_until_python_runs_again_and_is_not_lost(
    compile_anew: Callable[[], Callable[[int], int]], monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    """LLVM calls Python back while it compiles and loads; what is raised there is printed and
    lost.
    """
    if is_kept:
        assert compile_anew()(3) == 6
    codegen: Any = importlib.import_module("numba.core.codegen")
    usual, after = codegen.JITCodeLibrary._finalize_specific, []

    def interrupted(library: Any) -> None:  # noqa: ANN401  Numba has no types
        signal.raise_signal(signal.SIGINT)
        after.append(library)
        usual(library)

    monkeypatch.setattr(codegen.JITCodeLibrary, "_finalize_specific", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    function = compile_anew()
    with pytest.raises(KeyboardInterrupt):
        function(3)
    assert after
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.undo()
    assert compile_anew()(3) == 6


def test_settings_that_numba_does_not_take_are_named() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "import vfx_matte.compiling.jit"],
        env={"NUMBA_NUM_THREADS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "UsageError: Numba does not take its settings" in ran.stderr
