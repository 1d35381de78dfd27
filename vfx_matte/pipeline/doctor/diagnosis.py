"""Says what is installed here, what is used, and what would make it better or faster."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vfx_matte._version import __version__
from vfx_matte.backend import Device, driver_problem, opencv_threads
from vfx_matte.detect.names import NETWORK_FILE
from vfx_matte.errors import VfxMatteError, install_hint
from vfx_matte.matting.compiled.state import Compiler, compiler
from vfx_matte.media.formats import CODECS
from vfx_matte.media.writers.trial import encoder_problem
from vfx_matte.pipeline.batch.processes import usable_cores
from vfx_matte.pipeline.doctor.packages import Package, used_packages
from vfx_matte.pipeline.doctor.speed import Speed, measure
from vfx_matte.pipeline.first_mask.salient_network import FETCH_COMMAND, TITLE
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.render.request import Tools
from vfx_matte.pipeline.weights import KnownWeights, list_weights
from vfx_matte.propagate.registry import REGISTRY
from vfx_matte.wording import option

_LEAST_DISK_BYTES = 5_000_000_000
"""A minute of ProRes 4444 at 1080p takes about as much."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and its limits for this program."""

    system: str
    """Operating system and processor, for people."""

    python: str
    """Its version."""

    cores: int
    """Cores that this program may use."""

    opencv_threads: int
    """Threads that OpenCV shares a frame's work among."""

    compiler: Compiler | None
    """What compiles the loops of edges from the picture; None where it is not installed."""

    gpu: str
    """Why there is no NVIDIA GPU; "" where there is one."""

    workspace_free_bytes: int
    """Free on the disk of the workspace."""

    workspace_writable: bool
    """Whether files can be made in the workspace, or it can be made."""


@dataclass(frozen=True, slots=True)
class EncoderState:
    """A codec that can be asked for."""

    codec: str
    """Its name."""

    problem: str
    """Why it cannot be written here; "" where it can."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found."""

    version: str
    """Of this program."""

    machine: Machine

    device: str
    """Where compositing and edges are computed: "cpu" or "cuda"."""

    device_reason: str
    """Why not on a GPU; "" where it is, or where the CPU was asked for."""

    propagator: str
    """The name of the one that is used; "" where none can be."""

    propagator_reason: str
    """Which and why, for people; or what is wrong."""

    encoders: tuple[EncoderState, ...]
    """Every codec, the usual ones first."""

    packages: tuple[Package, ...]
    """What this program uses; empty where it is not installed but run from its folder."""

    weights: tuple[KnownWeights, ...]
    """Network weights that are in their folder."""

    speeds: tuple[Speed, ...]
    """Empty where they were not measured."""

    advice: tuple[str, ...]
    """What would make it better or faster, for people."""


def examine(
    *,
    propagator: PropagatorOptions,
    device: str = "auto",
    workspace: Path,
    speed: bool = True,
    reporter: Reporter,
) -> Diagnosis:
    """Look at this machine with the options that a run would have.

    Args:
        propagator: as chosen; it also says where weights are.
        device: as `backend.choose_device` takes it.
        workspace: whose disk is looked at; it need not exist.
        speed: whether speeds are measured, about ten seconds.
        reporter: receives progress.

    Raises:
        UsageError: there is no such device.
        DeviceError: "cuda" was asked for and is not usable.
        ConfigError: a table of weights cannot be read.
    """
    # 1. what would be used, each with the sentence that a run would print
    device_lines: list[str] = []
    tools = Tools.chosen(device, propagator.model, notify=device_lines.append)
    propagator_lines: list[str] = []
    try:
        decided = propagator.decided(propagator_lines.append)
    except VfxMatteError as error:
        # weights that are missing or damaged are what this command is asked about
        decided = None
        propagator_lines.append(error.message)
    machine = _machine(workspace)
    weights = tuple(
        one for one in list_weights(propagator.model) if one.state not in ("missing", "partial")
    )
    encoders = tuple(EncoderState(name, encoder_problem(name) or "") for name in CODECS)
    packages = tuple(used_packages())
    # 2. how fast that is
    speeds: Sequence[Speed] = ()
    advice = list(_advice(machine, tools, packages, weights))
    if speed and decided is not None:
        try:
            speeds = measure(decided, tools, reporter)
        except VfxMatteError as error:
            advice.append(f"the speed test failed: {error.message}")
    return Diagnosis(
        version=__version__,
        machine=machine,
        device=tools.device.value,
        device_reason=_device_reason(tools, device, device_lines, machine),
        propagator="" if decided is None else decided.name,
        propagator_reason="; ".join(propagator_lines),
        encoders=encoders,
        packages=packages,
        weights=weights,
        speeds=tuple(speeds),
        advice=tuple(advice),
    )


def _machine(workspace: Path) -> Machine:
    # the nearest folder that exists is on the disk where the workspace will be
    folder = workspace.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return Machine(
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        python=platform.python_version(),
        cores=usable_cores(),
        opencv_threads=opencv_threads(),
        compiler=compiler(),
        gpu=driver_problem() or "",
        workspace_free_bytes=shutil.disk_usage(folder).free,
        workspace_writable=folder.is_dir() and os.access(folder, os.W_OK | os.X_OK),
    )


def _device_reason(tools: Tools, asked: str, lines: Sequence[str], machine: Machine) -> str:
    """Why arrays are not on a GPU."""
    if tools.device is Device.CUDA or asked == "cpu":
        return ""
    return "; ".join(lines) or machine.gpu or "CuPy is not installed"


def _advice(
    machine: Machine,
    tools: Tools,
    packages: Sequence[Package],
    weights: Sequence[KnownWeights],
) -> list[str]:
    """What would make it better or faster here, the most useful first."""
    lines = []
    if not machine.workspace_writable:
        lines.append(
            f"nothing can be written to the workspace: {option('workspace')} names another"
        )
    there = {one.entry.name for one in weights}
    installed = {one.name for one in packages if one.version is not None}
    if not machine.gpu and tools.device is Device.CPU:
        lines.append(f"there is a GPU, and CuPy would use it: {install_hint('cuda12')}")
    if not machine.gpu and packages and "torch" not in installed:
        learned = next(entry for entry in REGISTRY if "torch" in entry.packages)
        hint = install_hint(learned.extra)
        lines.append(f"there is a GPU, and {learned.title} would use it: {hint}")
    if not machine.gpu:
        lines.append(f"{option('codec', 'h264_nvenc')} lets the GPU encode")
    if machine.compiler is None:
        lines.append("Numba compiles the usual edges, which take less than half the time then")
    elif machine.compiler.folder is None:
        lines.append("no place keeps what Numba compiles for edges: NUMBA_CACHE_DIR names one")
    if NETWORK_FILE not in there:
        lines.append(f"{FETCH_COMMAND} gets {TITLE}, which makes first masks and masks better")
    if damaged := [one.path.name for one in weights if one.state == "differs"]:
        lines.append(f"weights with another checksum than is known: {', '.join(damaged)}")
    if machine.workspace_free_bytes < _LEAST_DISK_BYTES:
        lines.append("the disk of the workspace is nearly full: a minute of alpha takes 5 GB")
    lines.append(f"{option('edges', 'median')} renders faster than the usual edges, and is coarser")
    return lines
