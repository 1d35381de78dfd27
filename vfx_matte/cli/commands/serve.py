"""The command that serves tracking to labelling tools."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.commands.segment import PropagationChoice, propagation
from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import UsageError
from vfx_matte.settings.options import ServeSettings

if TYPE_CHECKING:
    from vfx_matte.web.listener import Address

# options that are fields of requests, too, and are written so in answers
_FIELDS = ("propagator",)


@command(propagation)
def serve(
    session: Session,
    *,
    clips: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A folder whose clips may be named by path; repeatable."),
    ] = None,
    settings: ServeSettings,
    propagation: PropagationChoice,
) -> None:
    """Serve tracking to labelling tools: a mask in, the masks of other frames out."""
    from vfx_matte.pipeline.tracking import chosen_model
    from vfx_matte.web.hosts import check_host
    from vfx_matte.web.serve.server import OTHERS_CAN, LabellingServer, kept_token

    check_host(settings, session, others_can=OTHERS_CAN)
    for folder in clips or ():
        if not folder.is_dir():
            raise UsageError(f"{str(folder)!r} is not a folder", hint="give a folder of clips")
    # now, and not when the first client comes: whether the propagator can run, and which it is
    chosen_model(propagation.options.name, propagation.options).decided(session.notify)
    token = "" if settings.token_file is None else kept_token(settings.token_file)

    from vfx_matte.web.listener import close_in_time
    from vfx_matte.web.serve.service import Serving
    from vfx_matte.web.spelling import FieldSpeller

    known = session.settings
    serving = Serving(
        settings,
        folders=clips or (),
        propagator=propagation.options,
        model=known.paths.model,
        fetch=known.network.fetch == "auto",
        speller=FieldSpeller(as_typed, _FIELDS),
    )
    stopped_by: int | None = None
    try:
        server = LabellingServer(
            serving, token=token, ready=lambda address: _print_address(session, address)
        )
        stopped_by = server.run()
    finally:
        is_closed = close_in_time(serving.close)
    if stopped_by is not None:
        if not session.quiet:
            typer.echo("note: the server is closed; its tracks and clips are gone", err=True)
        if not is_closed:
            # a thread is still computing what nobody will see
            sys.stdout.flush()
            os._exit(128 + stopped_by)
        raise typer.Exit(128 + stopped_by)


def _print_address(session: Session, address: Address) -> None:
    """Print where the server is, and its token: all that a tool needs."""
    from vfx_matte.cli.show import say, show_to_scripts

    url = f"http://{address.authority}"
    if not session.json:
        say(f"{url}  token: {address.token}")
    else:
        show_to_scripts(session, {"address": url, "token": address.token})
    # whoever reads a pipe waits for the line
    sys.stdout.flush()
