"""What `doctor` says of a machine: packages of its own metadata, encoders that were tried, advice
that fits.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.command_line import CommandLine

from vfx_matte.backend import driver_problem
from vfx_matte.matting.compiled.state import Compiler
from vfx_matte.media import formats
from vfx_matte.media.writers import trial
from vfx_matte.media.writers.trial import encoder_problem
from vfx_matte.pipeline import doctor
from vfx_matte.pipeline.doctor import diagnosis
from vfx_matte.pipeline.doctor.packages import named, used_packages
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions

BUILTIN = PropagatorOptions(name="builtin", values={"network": False})


def test_packages_are_those_of_the_metadata() -> None:
    lines = [
        'torch>=2.4; extra == "xmem"',
        "httpx[socks]>=0.28",
        'torch>=2.6; extra == "detect"',
        'pytest>=8; extra == "test"',
        'vfx-matte[exr]; extra == "test"',
        "av<19,>=18.1",
    ]
    found = named(lines)
    assert list(found) == ["httpx", "av", "torch"]  # those of everybody first
    assert found["torch"] == ("xmem", "detect")
    assert found["av"] == ()


def test_installed_packages_have_versions() -> None:
    found = {one.name: one for one in used_packages()}
    assert found["numpy"].version is not None
    assert found["numpy"].extras == ()
    assert "cuda12" in found["cupy-cuda12x"].extras


def test_encoders_are_tried() -> None:
    assert encoder_problem("libx264") is None
    assert encoder_problem("prores_ks") is None


def test_an_encoder_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = replace(formats.CODECS["libx264"], encoder="of_no_build")
    monkeypatch.setitem(trial.CODECS, "libx264", missing)
    assert encoder_problem("libx264") == "not in this build of FFmpeg"


@pytest.mark.skipif(driver_problem() is None, reason="there is a GPU")
def test_an_encoder_without_its_card_is_told() -> None:
    assert encoder_problem("h264_nvenc")


def examined(tmp_path: Path, **options: object) -> doctor.Diagnosis:
    arguments: dict[str, object] = {"propagator": BUILTIN, "workspace": tmp_path / "not" / "there"}
    return doctor.examine(
        speed=False,
        reporter=SilentReporter(),
        **(arguments | options),  # type: ignore[arg-type]
    )


def test_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    found = examined(tmp_path, propagator=replace(BUILTIN, model=tmp_path))
    assert found.propagator == "builtin"
    assert found.weights == ()
    assert any("weights fetch" in line or "u2netp" in line for line in found.advice)
    assert found.machine.workspace_free_bytes > 0
    states = {one.codec: one.problem for one in found.encoders}
    assert states.keys() == formats.CODECS.keys()
    assert states["libx264"] == ""


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "u2netp.onnx").write_bytes(b"not a network")
    found = examined(tmp_path, propagator=replace(BUILTIN, model=tmp_path))
    assert any("another checksum" in line and "u2netp.onnx" in line for line in found.advice)


def test_a_propagator_that_cannot_run_is_an_answer(tmp_path: Path) -> None:
    asked = PropagatorOptions(
        name="builtin", values={"network": str(tmp_path / "none.onnx")}, model=tmp_path
    )
    found = examined(tmp_path, propagator=asked)
    assert found.propagator == ""
    assert "none.onnx" in found.propagator_reason


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_LEAST_DISK_BYTES", 10**18)
    assert any("nearly full" in line for line in examined(tmp_path).advice)


def test_a_workspace_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    assert examined(tmp_path).machine.workspace_writable
    (tmp_path / "file").write_text("")
    found = examined(tmp_path, workspace=tmp_path / "file" / "workspace")
    assert not found.machine.workspace_writable
    assert "nothing can be written" in found.advice[0]


@pytest.mark.parametrize(
    ("compiler", "shown", "advised"),
    [
        (None, "Numba is not installed", "Numba compiles"),
        (Compiler("9.9", None, is_ready=False), "9.9, in every run", "NUMBA_CACHE_DIR"),
        (Compiler("9.9", Path("kept"), is_ready=False), "9.9, at the first render", ""),
        (Compiler("9.9", Path("kept"), is_ready=True), "9.9, ready", ""),
    ],
)
def test_what_compiles_edges_is_told(
    cli: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    compiler: Compiler | None,
    shown: str,
    advised: str,
) -> None:
    monkeypatch.setattr(diagnosis, "compiler", lambda: compiler)
    lines = cli("doctor", "--no-speed").stdout
    assert shown in lines
    assert advised in lines
    assert ("Numba compiles the usual" in lines) == (compiler is None)


def test_command(cli: CommandLine) -> None:
    found = json.loads(cli("doctor", "--no-speed", "--json").stdout)
    assert found["machine"]["compiler"] is None or found["machine"]["compiler"]["version"]
    assert found["propagator"] == "builtin"
    assert found["speeds"] == []
    shown = cli("doctor", "--no-speed").stdout
    assert "libx264" in shown
    assert "compositing on" in shown


@pytest.mark.slow
def test_speeds_are_measured(tmp_path: Path) -> None:
    found = doctor.examine(
        propagator=BUILTIN, workspace=tmp_path, speed=True, reporter=SilentReporter()
    )
    assert [one.what.partition(",")[0] for one in found.speeds] == [
        "decode",
        "segment",
        "greenback",
    ]
    assert all(one.frames_per_second > 0 for one in found.speeds)
    # nothing is left behind
    assert not list(tmp_path.iterdir())
