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
    from vfx_matte.labelling.label_studio import LabelStudioBackend
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

    from vfx_matte.labelling.label_studio.routes import label_studio_routes
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
    label_studio: LabelStudioBackend | None = None

    def close() -> None:
        if label_studio is not None:
            label_studio.close()
        serving.close()

    try:
        if settings.label_studio:
            label_studio = _label_studio(session, settings.label_studio, propagation)

        server = LabellingServer(
            serving,
            token=token,
            tools=() if label_studio is None else (label_studio_routes(label_studio),),
            ready=lambda address: _print_address(
                session, address, label_studio=label_studio is not None
            ),
        )
        stopped_by = server.run()
    finally:
        is_closed = close_in_time(close)
    if stopped_by is not None:
        if not session.quiet:
            typer.echo("note: the server is closed; its tracks and clips are gone", err=True)
        if not is_closed:
            # a thread is still computing what nobody will see
            sys.stdout.flush()
            os._exit(128 + stopped_by)
        raise typer.Exit(128 + stopped_by)


def _label_studio(
    session: Session, address: str, propagation: PropagationChoice
) -> LabelStudioBackend:
    """What helps a Label Studio. Raises UsageError without its key."""
    from vfx_matte.labelling.label_studio import (
        KEY_VARIABLE,
        LabelStudioBackend,
        LabelStudioClient,
        LabelStudioOptions,
    )

    options = LabelStudioOptions(
        propagator=propagation.options,
        model=session.settings.paths.model,
        fetch=session.settings.network.fetch == "auto",
    )
    client = LabelStudioClient(address, os.environ.get(KEY_VARIABLE, ""))
    return LabelStudioBackend(client, options, reporter=session)


def _print_address(session: Session, address: Address, *, label_studio: bool) -> None:
    """Print where the server is, and its token: all that a tool needs."""
    from vfx_matte.cli.show import say, show_to_scripts
    from vfx_matte.labelling.label_studio.routes import PREFIX

    url = f"http://{address.authority}"
    model = {"label_studio": f"{url}{PREFIX}"} if label_studio else {}
    if not session.json:
        say(f"{url}  token: {address.token}")
        if model:
            say(f"Label Studio: {model['label_studio']}  Basic, any user, the token as password")
    else:
        show_to_scripts(session, {"address": url, "token": address.token, **model})
    # whoever reads a pipe waits for the line
    sys.stdout.flush()
