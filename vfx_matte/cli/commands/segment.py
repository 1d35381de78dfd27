"""The command that propagates masks through a clip."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, Fps, Resume, Span, clip_path, opened_clip, span
from vfx_matte.cli.display import EVENT_WORDS
from vfx_matte.cli.options import Only
from vfx_matte.cli.propagators import propagator_options
from vfx_matte.errors import UsageError
from vfx_matte.settings import ini
from vfx_matte.settings.options import SegmentSettings
from vfx_matte.wording import option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfx_matte.pipeline.propagator import PropagatorOptions
    from vfx_matte.pipeline.segment.sharing import Sharing


ONE_PROCESS = ("--workers", "1")
"""What makes a command line that may ask for workers make a part, or list parts."""

NAMED_ON_STDIN = "-"
"""In place of a part: their names come on standard input, while the command runs."""


@dataclass(frozen=True, slots=True)
class PropagationChoice:
    """What the options of propagation add up to, command line before config.ini."""

    settings: ini.Settings
    """All settings, with these options in their section `segment`."""

    @property
    def options(self) -> PropagatorOptions:
        """The same for the pipeline."""
        return propagator_options(self.settings)


def propagation(
    session: Session, *, settings: Annotated[SegmentSettings, Only(*ini.PROPAGATION)]
) -> PropagationChoice:
    """Options of every command that opens a propagator."""
    choice = PropagationChoice(replace(session.settings, segment=settings))
    choice.options.check_name()
    return choice


def on_terminal() -> bool:
    """Whether somebody is there to answer."""
    # whoever starts a daemon may have closed it
    return sys.stdin is not None and sys.stdin.isatty()


def asked(question: str) -> bool:
    """Ask on the terminal; yes when only Enter is pressed."""
    return typer.confirm(question, default=True, err=True)


def shared_out(session: Session, workers: int) -> Sharing:
    """How a clip is made by several processes: each runs this command line for parts that it is
    told.
    """
    from vfx_matte.pipeline.batch.processes import Program, with_options
    from vfx_matte.pipeline.segment.sharing import Sharing

    words = with_options(session.typed, [*ONE_PROCESS, "--part", NAMED_ON_STDIN])
    program = Program(event_words=(*EVENT_WORDS, "--quiet"))
    return Sharing(workers=workers, words=words, program=program)


def named_parts(session: Session) -> Iterator[str]:
    """The parts that standard input names, one per line; whoever writes them hears of each that is
    made.
    """
    session.display.part(None)
    while sys.stdin is not None and (line := sys.stdin.readline()):
        name = line.strip()
        yield name
        session.display.part(name)


@command(propagation, span)
def segment(
    session: Session,
    *,
    clip: Clip = None,
    first_mask: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Mask of the first frame (or of --start).")
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME=PNG", help="Mask of a frame; repeat for more."),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Masks whose names end in their frame number."),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help='Instead of masks: what to find, e.g. "the dog"; needs SAM 3, which you bring.',
        ),
    ] = None,
    text_model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="SAM 3's folder (sam3, in the model folder)."),
    ] = None,
    fps: Fps = None,
    resume: Resume = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start again; the earlier masks are kept as masks.previous."),
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Masks have changed: redo only the frames they affect.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Make the clip in parts, N at once, each in a process of its own.",
            min=1,
            max=256,
        ),
    ] = 1,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST-LAST",
            help="Make these frames apart, for a later run to take in (docs/scale.md).",
        ),
    ] = None,
    show_parts: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Only list parts for N processes or machines.", min=1, max=10_000
        ),
    ] = None,
    settings: Annotated[SegmentSettings, Only("gaps", "soft", "cuts")],
    map_color: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLOUR=ID",
            help="Which object a painted colour is, e.g. ffffff=1; 0 = background.",
        ),
    ] = None,
    colors: Annotated[
        bool, typer.Option("--colors", help="Only show how the masks are understood.")
    ] = False,
    propagation: PropagationChoice,
    span: Span,
) -> None:
    """Carry masks through a clip: one painted mask (or a few) in, a mask for every frame out."""
    sharings = {"workers": workers > 1, "part": part, "show_parts": show_parts}
    given = [option(name) for name, value in sharings.items() if value]
    if len(given) > 1:
        raise UsageError(
            f"{given[0]} and {given[1]} exclude each other",
            hint=f"{option('workers')} shares a clip out here, {option('part')} makes one part,"
            f" {option('show_parts')} makes none",
        )
    # other processes load while this one does, and finds out what there is to share out
    is_shared = workers > 1 and not colors and not session.rehearses
    with shared_out(session, workers) if is_shared else contextlib.nullcontext() as sharing:
        from vfx_matte.cli.show import show_to_scripts, table
        from vfx_matte.pipeline.segment.cuts import CutOptions
        from vfx_matte.pipeline.segment.in_turn import make_parts
        from vfx_matte.pipeline.segment.parts import parse_part
        from vfx_matte.pipeline.segment.references import ReferenceFiles, reference_objects
        from vfx_matte.pipeline.segment.request import SegmentRequest
        from vfx_matte.pipeline.segment.run import list_parts as parts_of
        from vfx_matte.pipeline.segment.run import segment_clip
        from vfx_matte.pipeline.segment.text import text_prompt

        # without a terminal nobody can answer, and "ask" does as "stop"
        at_cuts = CutOptions.parse(settings.cuts, confirm=asked if on_terminal() else None)
        path = clip_path(session, clip)
        # references are collected as text and paths; they are read once the clip's size is known
        files = ReferenceFiles(
            first_mask=first_mask,
            pairs=tuple(mask or ()),
            folder=masks,
            colors=tuple(map_color or ()),
        )
        prompt = text_prompt(
            text,
            weights=text_model,
            model=session.settings.paths.model,
            device=str(propagation.options.values.get("device", "auto")),
        )
        if prompt is not None and colors:
            raise UsageError(
                f"{option('colors')} shows how masks are understood, and {option('text')} needs"
                " none",
                hint="give one of them",
            )
        opened = opened_clip(session, path, fps=fps, gaps=settings.gaps)
        # --colors shows how the masks are read, and makes none
        if colors:
            columns = ("frame", "file", "kind", "object", "colour", "pixels")
            rows = [
                (one.frame, one.file, one.kind, one.object_id, one.color, one.pixels)
                for one in reference_objects(opened, files, start=span.start, reporter=session)
            ]
            found = [dict(zip(columns, row, strict=True)) for row in rows]
            if not show_to_scripts(session, {"masks": found}):
                table("Masks as understood", columns, rows)
            return
        # from here on there are frames to go on from
        session.interrupt_hint = (
            "finished frames are kept; run the same command with --resume to go on"
        )
        request = SegmentRequest(
            references=files,
            prompt=prompt,
            start=span.start,
            stop=span.stop,
            propagator=propagation.options,
            cuts=at_cuts,
            soft=settings.soft,
            # a part goes on with what there is of it, whatever the whole run was told
            resume=resume or part is not None,
            fresh=fresh and part is None,
            update=update and part is None,
            only=None if part in (None, NAMED_ON_STDIN) else parse_part(part, opened.info.timeline),
            is_part=part is not None,
            expected_objects=session.settings.config.object_num,
        )
        workspace = session.settings.paths.workspace
        if part == NAMED_ON_STDIN:
            names = named_parts(session)
            make_parts(opened, request, names, workspace=workspace, reporter=session)
            return
        if show_parts is not None:
            shares = parts_of(
                opened, request, workspace=workspace, workers=show_parts, reporter=session
            )
            if not show_to_scripts(session, shares):
                table("Parts", ("frames",), [(part,) for part in shares.parts])
            return
        done = segment_clip(opened, request, workspace=workspace, reporter=session, sharing=sharing)
    if show_to_scripts(session, done, [done.masks]):
        return
    # what was made, and the commands that use it: the end of one step is the start of the next
    summary = [
        ("masks", str(done.masks)),
        (
            "frames",
            (
                f"{done.start} to {done.stop - 1}, {done.computed} computed now in"
                f" {done.seconds:.1f} s"
                + (f", {done.taken_in} taken in from parts" if done.taken_in else "")
            ),
        ),
        ("objects", ", ".join(f"{number} ({color})" for number, color in done.objects.items())),
        ("propagator", done.propagator),
        ("next", "vfx-matte greenback | maskvideo | alpha | overlay"),
    ]
    if done.changed:
        # notices say more of each
        looks = " | ".join(f"vfx-matte overlay --frame {one.worst}" for one in done.changed)
        summary.insert(2, ("look at", looks))
    table(f"Segmented {path.name}", ("", ""), summary)
