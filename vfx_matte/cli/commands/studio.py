"""The command that serves the studio, a page to cut things out in."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, Fps, clip_path, opened_clip
from vfx_matte.cli.commands.segment import PropagationChoice, propagation
from vfx_matte.cli.options import Only
from vfx_matte.cli.typed import as_typed
from vfx_matte.settings import ini
from vfx_matte.settings.options import SegmentSettings, StudioSettings
from vfx_matte.web.spelling import Speller
from vfx_matte.wording import Value

if TYPE_CHECKING:
    from vfx_matte.pipeline.studio import StartOptions
    from vfx_matte.web.listener import Address
    from vfx_matte.web.server import StudioServer


_SPELLER = Speller(as_typed)
_GROUPS = ("edges", "render", "greenback", "maskvideo", "alpha", "overlay", "package")
"""What the page may change, with what config.ini says as its beginning."""


@dataclass(slots=True)
class PageSession(Session):
    """Reports what is shown in the page, where options have labels instead of flags."""

    def spell(self, text: str) -> str:
        """Spell options as the page does."""
        return _SPELLER(text)


@command(propagation)
def studio(
    session: Session,
    *,
    clip: Clip = None,
    fps: Fps = None,
    sequence: Annotated[SegmentSettings, Only("gaps")],
    settings: StudioSettings,
    propagation: PropagationChoice,
) -> None:
    """Open a page in the browser to see, click, paint, propagate, check and export."""
    from vfx_matte.web.hosts import check_host, load_libraries

    check_host(settings, session)
    known = session.settings
    path = clip_path(session, clip)
    load_libraries()

    from vfx_matte.pipeline.studio import Opening, Studio

    def open_studio() -> Studio:
        return Studio.open(
            opened_clip(session, path, fps=fps, gaps=sequence.gaps),
            workspace=known.paths.workspace,
            model=known.paths.model,
            propagator=propagation.options,
            fetch=known.network.fetch == "auto",
            started=_started(session),
            reporter=PageSession(session.settings, session.quiet),
        )

    # the server is loaded, and may answer, while the frames of a long clip are counted
    opening = Opening(path, open_studio, ignore_alpha=known.clip.ignore_alpha)

    from vfx_matte.web.listener import close_in_time
    from vfx_matte.web.server import StudioServer, browser

    server: StudioServer | None = None
    stopped_by: int | None = None
    try:
        opening.wait_a_moment()
        with browser() as open_page:

            def ready(address: Address) -> None:
                _print_address(session, address)
                if settings.browser:
                    open_page(address.url)

            server = StudioServer(
                opening,
                settings,
                speller=_SPELLER,
                records={name: getattr(known, name) for name in _GROUPS},
                ready=ready,
            )
            stopped_by = server.run()
    finally:
        is_closed = close_in_time(opening.close)
        if not is_closed:
            opening.abandon()
    if stopped_by is None:
        opening.wait()  # says why it could not be opened
    else:
        _end(128 + stopped_by, session, is_closed=is_closed)


def _started(session: Session) -> StartOptions:
    """What renders go by, and the commands that the page shows."""
    from vfx_matte.pipeline.studio import StartOptions

    known, file = session.settings, ini.load(session.config_file)
    # a command that is pasted reads the same config.ini, and none of what was typed for this one
    everywhere: dict[str, Value | list[str]] = {}
    if session.config_file is not None:
        everywhere["config"] = str(session.config_file)
    for name in ("workspace", "model"):
        if getattr(known.paths, name) != getattr(file.paths, name):
            everywhere[name] = str(getattr(known.paths, name))
    if known.clip.ignore_alpha != file.clip.ignore_alpha:
        everywhere["ignore_alpha"] = known.clip.ignore_alpha
    # what the page leaves as the table has it, whatever config.ini says
    segment: dict[str, Value | list[str]] = {}
    usual = SegmentSettings()
    for name in ("propagator", "cuts", "soft"):
        if getattr(known.segment, name) != getattr(usual, name):
            segment[name] = getattr(usual, name)
    return StartOptions(
        records={type(record): record for record in (getattr(known, name) for name in _GROUPS)},
        ignore_alpha=known.clip.ignore_alpha,
        everywhere=everywhere,
        segment=segment,
    )


def _print_address(session: Session, address: Address) -> None:
    """Print where the page is: all that a script or a person needs."""
    from vfx_matte.cli.show import say, show_to_scripts

    if not session.json:
        say(address.url)
    else:
        show_to_scripts(session, {"address": address.url})
    # whoever reads a pipe waits for the line
    sys.stdout.flush()


def _end(code: int, session: Session, *, is_closed: bool) -> None:
    """End after Ctrl-C, which is how the studio is left."""
    rest = "everything is saved" if is_closed else "what was finished is saved"
    if not session.quiet:
        typer.echo(f"note: the studio is closed, and {rest}", err=True)
    # a thread is still computing what nobody will see: waiting for it may take minutes, and the end
    # of Python would stop it within C++ code, which aborts
    if not is_closed or threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
