"""Shows results on stdout: tables and lines for people, JSON or paths for scripts.

Tables read well without colour, and are wide enough for paths in a pipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

from vfx_matte.cli.typed import as_typed
from vfx_matte.printable import json_text, printable
from vfx_matte.wording import spelled

if TYPE_CHECKING:
    from vfx_matte.cli.app import Session

PIPE_WIDTH = 200
"""Columns of a table that no terminal shows."""


def show_to_scripts(session: Session, result: object, files: Iterable[object] = ()) -> bool:
    """Show a result to whoever asked for it without tables: as JSON, or the paths of its files.

    Args:
        session: says which of the two was asked for, if any.
        result: a record, or what else `as_json` takes.
        files: what `--quiet` prints, one path per line.

    Returns:
        Whether it is shown; if not, it is for people, and the command shows it to them.
    """
    made = list(files)
    for path in made:
        session.display.output(path)
    # JSON wins over --quiet: who asks for both wants the result, and no notices.
    if session.json:
        from vfx_matte.pipeline.records import as_json

        typer.echo(json_text(as_json(result, session.spell)))
    elif session.quiet:
        paths(made)
    return session.json or session.quiet


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table with a title; cells are printed as they are, without markup, on one
    line each.
    """
    # imported only where a table is drawn: rich's modules take a tenth of a start
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # Names of files are no markup, no numbers to colour, and no emoji.
    console = Console(markup=False, highlight=False, emoji=False)
    # in a pipe rich would take 80 columns and break paths
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    grid = Table(
        title=_text(title), title_justify="left", box=box.SIMPLE_HEAD, show_header=any(columns)
    )
    # Long cells are folded and never cut off: a path has to be whole to be copied.
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(_text(cell) for cell in row))
    console.print(grid)


def paths(results: Iterable[object]) -> None:
    """Print where results are, one path on a line: all that --quiet says."""
    for path in results:
        say(path)


def say(line: object) -> None:
    """Print one line, such as where a file is."""
    typer.echo(_text(line))


def bars(counts: Sequence[tuple[str, int]], *, width: int = 30) -> list[tuple[str, str, int]]:
    """Rows of a small histogram: label, a bar of at most `width` characters, the count."""
    # never without a bar: a duration that occurs once among thousands is what people look for
    most = max((count for _, count in counts), default=1)
    return [(label, "█" * max(1, round(width * count / most)), count) for label, count in counts]


def _text(value: object) -> str:
    """A cell or line as it may be printed: commands spelled first, since a path in one may hold
    anything.
    """
    return printable(spelled(str(value), as_typed))
