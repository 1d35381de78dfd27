"""The command that looks at this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.propagators import propagator_options

if TYPE_CHECKING:
    from vfx_matte.pipeline.doctor import Diagnosis


@command()
def doctor(
    session: Session,
    *,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Measure speeds, about ten seconds.")
    ] = True,
) -> None:
    """Say what is installed and used here, how fast it is, and what would help."""
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.doctor import examine

    settings = session.settings
    found = examine(
        propagator=propagator_options(settings),
        device=settings.render.device,
        workspace=settings.paths.workspace,
        speed=speed,
        reporter=session,
    )
    if show_to_scripts(session, found):
        return
    table(f"vfx-matte {found.version}", ("", ""), _rows(found))
    table("Packages", ("package", "of the extras", "version"), _package_rows(found))
    if found.speeds:
        rows = [(one.what, f"{one.frames_per_second:.1f}") for one in found.speeds]
        table("Speed, 1280×720", ("", "frames/s"), rows)
    for line in found.advice:
        say(f"advice: {line}")


def _rows(found: Diagnosis) -> Iterable[tuple[str, object]]:
    machine = found.machine
    reason = f": {found.device_reason}" if found.device_reason else ""
    missing = [f"{one.codec} ({one.problem})" for one in found.encoders if one.problem]
    yield "machine", f"{machine.system}, Python {machine.python}"
    yield "cores", f"{machine.cores}; OpenCV uses {machine.opencv_threads} threads"
    yield "edges compiled by", _compiler(found)
    yield "NVIDIA GPU", machine.gpu or "there"
    yield "compositing on", f"{found.device}{reason}"
    yield "masks by", found.propagator_reason
    yield "encoders", ", ".join(one.codec for one in found.encoders if not one.problem)
    if missing:
        yield "not here", ", ".join(missing)
    yield (
        "weights",
        ", ".join(f"{one.entry.name} ({one.state})" for one in found.weights) or "none",
    )
    yield "free for the workspace", f"{machine.workspace_free_bytes / 1e9:.1f} GB"


def _compiler(found: Diagnosis) -> str:
    compiler = found.machine.compiler
    if compiler is None:
        return "nothing: Numba is not installed"
    if compiler.is_ready:
        state = "ready"
    elif compiler.folder is None:
        state = "in every run, for up to a minute"
    else:
        state = "at the first render, for up to a minute"
    return f"Numba {compiler.version}, {state}"


def _package_rows(found: Diagnosis) -> list[tuple[str, str, str]]:
    return [
        (one.name, ", ".join(one.extras) or "–", one.version or "not installed")
        for one in found.packages
    ]
