"""The command that shows what each editing program is given.

Takes a program's name, prints the table or JSON.
"""

from __future__ import annotations

from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.printable import json_text


@command()
def formats(
    session: Session,
    *,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[PROGRAM]", help="One program; without it, all of them."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what --for PROGRAM gives each editing program: container, codec, pixels, alpha, sound,
    and why.
    """
    from vfx_matte.cli.show import table
    from vfx_matte.pipeline.render import encoding

    if json:
        typer.echo(json_text(encoding.delivery_json(target), indent=2))
        return
    rows = encoding.delivery_rows(target)
    if session.quiet:
        return
    columns = (
        "program",
        "output",
        "encoding",
        "above 8 bits",
        "alpha or style",
        "sound",
        "rate",
        "why",
    )
    table("What --for gives each program", columns, rows)
    table("For all of them", ("", ""), encoding.common_rows())
