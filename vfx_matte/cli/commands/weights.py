"""The commands about network weights: `vfx-matte weights list`, `fetch` and `check`."""

from __future__ import annotations

from typing import Annotated

import typer

from vfx_matte.cli.app import Session, app, command

weights = typer.Typer(
    name="weights",
    help="List, fetch and check network weights.",
    no_args_is_help=True,
)
app.add_typer(weights)


@command(name="list", within=weights)
def list_(session: Session) -> None:
    """List the known weights: size, licence, whether they are there and verified, and where."""
    from vfx_matte.cli.show import show_to_scripts, table
    from vfx_matte.pipeline.weights import list_weights

    # files are read whole for their checksums: a state that is not compared would be a guess
    found = list_weights(session.settings.paths.model)
    if show_to_scripts(session, found):
        return
    rows = [
        (one.entry.name, one.size, one.entry.licence, one.state, one.path, one.entry.purpose)
        for one in found
    ]
    table("Weights", ("name", "size", "licence", "state", "where", "what for"), rows)


@command(within=weights)
def fetch(
    session: Session,
    *,
    name: Annotated[
        str, typer.Argument(help="A name that `weights list` shows; its suffix may be left out.")
    ] = "XMem.pth",
    force: Annotated[
        bool, typer.Option("--force", help="Download again and replace the file that is there.")
    ] = False,
) -> None:
    """Download weights into the model folder and verify them; resumes an earlier download."""
    from vfx_matte.cli.show import show_to_scripts, table
    from vfx_matte.pipeline.weights import fetch_weights, megabytes

    # weights may be hundreds of megabytes, so a download may well be stopped
    session.interrupt_hint = "the partial download is kept; run the command again to resume"
    # a file that is there is verified instead: asking twice is how scripts make sure
    done = fetch_weights(name, folder=session.settings.paths.model, force=force, reporter=session)
    if show_to_scripts(session, done, [done.path]):
        return
    rows = [
        ("where", done.path),
        (
            "",
            (
                f"downloaded from {done.source}"
                if done.downloaded
                else "was there already, nothing downloaded"
            ),
        ),
        ("size", f"{megabytes(done.size_bytes)} ({done.size_bytes} bytes)"),
        *(
            row
            for one in done.files or (done,)
            for row in (
                *([("file", one.path.name)] if done.files else []),
                ("sha256", one.sha256),
                ("verified", one.verified),
            )
        ),
        ("licence", done.entry.licence),
    ]
    table(done.path.name, ("", ""), rows)


@command(within=weights)
def check(
    session: Session,
    *,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|NAME]",
            help="A weights file or a known name; without it, all that are there.",
        ),
    ] = None,
) -> None:
    """Read weights again: checksum, names and shapes of the tensors, dimensions.

    Exit code 1 when something is wrong.
    """
    from vfx_matte.cli.show import show_to_scripts, table
    from vfx_matte.pipeline.weights import check_weights, megabytes, raise_on_problem

    # everything is shown, damaged files too, before the exit code says that one of them is
    found = check_weights(target, folder=session.settings.paths.model)
    for one in [] if show_to_scripts(session, {"files": found}) else found:
        facts = [
            ("size", megabytes(one.size_bytes)),
            ("sha256", one.sha256),
            ("checksum", one.checksum),
            ("contents", one.contents),
        ]
        table(str(one.path), ("", ""), facts)
    # last, so that the tables are there when the exit code is 1
    raise_on_problem(found)
