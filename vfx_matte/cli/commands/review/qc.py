"""The command that checks masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, segmented_clip
from vfx_matte.cli.propagators import propagator_options
from vfx_matte.settings.options import QcSettings

if TYPE_CHECKING:
    from vfx_matte.pipeline.review.findings import QcResult


@command()
def qc(
    session: Session,
    *,
    clip: Clip = None,
    settings: QcSettings,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Where report.html and worst.png go (qc)."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every frame's numbers as CSV.")
    ] = None,
) -> None:
    """Check the masks of a clip: jumps, holes, specks, flicker, edges, uncertainty.

    Names the frames and writes a report.
    """
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.review.findings import Allowed, require_allowed
    from vfx_matte.pipeline.review.qc import check_masks
    from vfx_matte.pipeline.review.report import frames_text

    # The limit is read first: a slip in it should not cost minutes of measuring.
    allowed = Allowed.parse(settings.fail_over) if settings.fail_over else None
    opened = segmented_clip(session, clip)
    found = check_masks(
        opened,
        count=settings.count,
        output=output,
        csv=csv,
        propagator=propagator_options(session.settings),
        reporter=session,
    )
    files = [path for path in (csv, found.sheet, found.report) if path is not None]
    if not show_to_scripts(session, found, files):
        table(
            f"{opened.name}: {len(found.flagged)} of {found.frames} frames stand out",
            ("frame", "time", "frames", "what is wrong", "what to do"),
            [
                (one.frame, one.time, frames_text(one), one.what, one.do)
                for one in found.problems[: settings.count]
            ],
        )
        for line in _closing_lines(found, settings.count):
            say(line)
    # Everything is shown before the exit code says that it is too much.
    if allowed is not None:
        require_allowed(found, allowed)


def _closing_lines(found: QcResult, shown: int) -> Iterator[str]:
    """What stands below the table."""
    # What the table does not show, then what to do, then where to look.
    if len(found.problems) > shown:
        yield f"and {len(found.problems) - shown} more places; -k {len(found.problems)} shows all"
    for start, stop in found.shots_without_mask:
        yield (
            f"frames {start} to {stop - 1} are a shot without a painted mask: nothing of the"
            " subject is shown there"
        )
    # commands to copy: paint the frame anew, or correct it, then propagate again
    if found.fix_next is not None:
        yield f"fix next: {found.fix_next.why}"
        yield f"  {found.fix_next.frame_command}"
        yield (
            "or correct its mask with a click; for X,Y type the pixel, such as 640,360 (--fg on the"
            f" subject, --bg beside it): {found.fix_next.correct_command}"
        )
        yield "then, with the mask that you made:"
        yield f"  {found.fix_next.segment_command}"
    # without problems there is no sheet, and the report says that nothing stands out
    if found.sheet is not None:
        yield f"picture: {found.sheet}"
    yield f"report: {found.report}"
