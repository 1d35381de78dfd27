"""The commands that write masks for other programs, and read those of other programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import clip_path, opened_clip, segmented_clip
from vfx_matte.cli.commands.segment import PropagationChoice, asked, on_terminal, propagation

if TYPE_CHECKING:
    from vfx_matte.masks import ObjectLabel

FORMATS = "coco|youtube-vis|youtube-vos|davis|mots|cvat"


@command()
def export(
    session: Session,
    *,
    clip: Annotated[
        Path | None, typer.Argument(help="A segmented clip; without it, the one segmented last.")
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar=FORMATS,
            help="What it is written as; also youtube-vis-results; detected: as detect does.",
        ),
    ] = "coco",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="The file or folder (in the clip's folder)."
        ),
    ] = None,
) -> None:
    """Write the masks of a clip for labelling tools and data sets."""
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.exchange.exporting import check_written, export_masks

    check_written(form)
    opened = segmented_clip(session, clip)
    found = export_masks(opened, format_name=form, output=output, reporter=session)
    if show_to_scripts(session, found, [found.path]):
        return
    table(f"{opened.name}: {found.frames} frames as {found.format}", *_objects(found.objects))
    say(f"written: {found.path}")


@command(propagation, name="import")
def import_(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="The clip that the masks are of.")],
    masks: Annotated[
        Path,
        typer.Argument(
            metavar="FILE_OR_FOLDER",
            help="COCO, YouTube-VIS or Label Studio JSON, CVAT XML or ZIP, MOTS, DAVIS, PNG masks.",
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option("--format", metavar=f"{FORMATS}|…", help="Its format (found out)."),
    ] = None,
    first: Annotated[
        int | None,
        typer.Option(metavar="N", help="The file's number of the clip's first frame (found out)."),
    ] = None,
    frame: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Only this frame of the clip; repeat for more."),
    ] = None,
    empty: Annotated[
        bool,
        typer.Option(
            "--empty", help="Pictures without a shape are frames without objects (left out)."
        ),
    ] = False,
    segment: Annotated[
        bool,
        typer.Option(
            "--segment", help="Carry them through the clip at once, with references there are."
        ),
    ] = False,
    fps: Annotated[
        str | None, typer.Option(metavar="RATE", help="Frames per second of an image sequence.")
    ] = None,
    propagation: PropagationChoice,
) -> None:
    """Read masks of a labelling tool or data set, as reference masks of a clip."""
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.exchange.importing import import_masks
    from vfx_matte.pipeline.segment.cuts import CutOptions
    from vfx_matte.pipeline.segment.references import ReferenceFiles
    from vfx_matte.pipeline.segment.request import SegmentRequest

    settings = session.settings
    request = SegmentRequest(
        references=ReferenceFiles(),
        propagator=propagation.options,
        cuts=CutOptions.parse(settings.segment.cuts, confirm=asked if on_terminal() else None),
        soft=settings.segment.soft,
        expected_objects=settings.config.object_num,
    )
    if segment:
        session.interrupt_hint = "finished frames are kept; run the same command to go on"

    found = import_masks(
        opened_clip(session, clip_path(session, clip), fps=fps),
        masks,
        format_name=form,
        first=first,
        frames=frame or (),
        empty=empty,
        segment=request if segment else None,
        workspace=settings.paths.workspace,
        reporter=session,
    )
    done = found.segmented
    if show_to_scripts(session, found, [found.folder if done is None else done.masks]):
        return
    table(f"{len(found.frames)} masks, read as {found.format}", *_objects(found.objects))
    if done is not None:
        say(f"carried through frames {done.start} to {done.stop - 1}: {done.masks}")
        return
    say(f"masks: {found.folder}")
    say("to carry them through the clip, which --segment does at once:")
    say(f"  {found.segment_command}")


def _objects(
    labels: Mapping[int, ObjectLabel],
) -> tuple[tuple[str, ...], Iterable[tuple[object, ...]]]:
    return ("object", "name", "class", "score"), [
        (number, one.name, one.class_name, "" if one.score is None else f"{one.score:.3f}")
        for number, one in labels.items()
    ]
