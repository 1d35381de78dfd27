"""The arguments that commands on a clip share, and opening it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import RehearsedError, Session
from vfx_matte.cli.loading import loading
from vfx_matte.errors import UsageError
from vfx_matte.timeline import parse_frames, parse_position, parse_rate
from vfx_matte.wording import option

if TYPE_CHECKING:
    from fractions import Fraction

    from vfx_matte.pipeline.clip import SegmentedClip, SourceClip

Clip = Annotated[
    Path | None,
    typer.Argument(
        help="Video, folder of pictures, or plate.####.png; without it, the clip segmented last."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="PATH", help="Where to write; the suffix decides the format."
    ),
]

Fps = Annotated[str | None, typer.Option(help="Rate of an image sequence, e.g. 25 or 30000/1001.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an earlier run stopped.")]

PART = "Part of the clip"

At = Annotated[
    str | None,
    typer.Option(
        metavar="FRAME|TIME",
        help="Which frame, e.g. 12 or 0.5s; of a sequence its picture's number (the first).",
    ),
]


@dataclass(frozen=True, slots=True)
class Span:
    """A range of frames as positions of `timeline.parse_position`; None is the clip's own end."""

    start: int | Fraction | None = None
    stop: int | Fraction | None = None


def span(
    session: Session,  # noqa: ARG001  as every group of options has it
    *,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="FRAME|TIME",
            help="First frame, e.g. 120, 4.5s or 1:02.5.",
            rich_help_panel=PART,
        ),
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option(metavar="FRAME|TIME", help="Frame after the last one.", rich_help_panel=PART),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="A-B",
            help="The same by numbers, both included, as farms write it: 1001-1024.",
            rich_help_panel=PART,
        ),
    ] = None,
) -> Span:
    """Options of every command that can be of a part of the clip.

    Raises:
        UsageError: a position that has no meaning, or a range that is given twice.
    """
    # read before the clip is opened, so that a slip in a position costs no time
    if frames is None:
        return Span(*(None if text is None else parse_position(text) for text in (start, stop)))
    if start is not None or stop is not None:
        raise UsageError(
            f"{option('frames')} and {option('start')} or {option('stop')} exclude each other",
            hint=f"{option('frames', '10-19')} is {option('start', '10')} {option('stop', '20')}",
        )
    return Span(*parse_frames(frames))


def clip_path(session: Session, clip: Path | None) -> Path:
    """The clip that is meant: as typed, in the source folder, config.ini's, or the one segmented
    last.

    Raises:
        VfxMatteError: there is none.
    """
    with loading():
        from vfx_matte.pipeline.clip import find_clip

    # all that can be told of a command line without its clip has been told by now
    if session.rehearses:
        raise RehearsedError

    # where to look is the pipeline's to know; here are only the folders of this run
    settings = session.settings
    found = find_clip(
        clip,
        source=settings.paths.source,
        workspace=settings.paths.workspace,
        default=settings.default_clip,
    )
    session.display.clip(found)
    return found


def opened_clip(
    session: Session,
    path: Path,
    *,
    fps: str | None = None,
    gaps: str | None = None,
    begins: bool = False,
) -> SourceClip:
    """Open a clip.

    Args:
        session: its settings.
        path: of the clip.
        fps: the rate of an image sequence, as typed; None is config.ini's.
        gaps: what stands for missing numbers of a sequence; None is config.ini's.
        begins: whether it is going to be read from its beginning at once.

    Raises:
        UsageError: a rate or a word that has no meaning.
        MediaError: the clip cannot be read.
    """
    from vfx_matte.pipeline.clip import open_source

    # a rate that was typed is meant for this clip, and must fit it; config.ini's is for sequences
    # that have none
    rate = None if fps is None else parse_rate(fps)
    settings = session.settings
    chosen = settings.segment.overridden(gaps=gaps)
    return open_source(
        path,
        fps=rate,
        usual_fps=parse_rate(settings.segment.fps),
        gaps=chosen.gaps,
        ignore_alpha=settings.clip.ignore_alpha,
        begins=begins,
        reporter=session,
    )


def segmented_clip(session: Session, clip: Path | None) -> SegmentedClip:
    """Open the clip that is meant together with its masks.

    Raises:
        WorkspaceError: it was not segmented, or not to the end.
    """
    return _opened(session, clip_path(session, clip))


def opening_source(session: Session, clip: Path | None) -> Callable[[], SourceClip]:
    """Begin to open the clip that is meant, see `opening_clip`."""
    path = clip_path(session, clip)
    from vfx_matte.backend import begun

    return begun(partial(opened_clip, session, path, begins=True))


def opening_clip(session: Session, clip: Path | None) -> Callable[[], SegmentedClip]:
    """Begin to open the clip that is meant together with its masks, to read it from its beginning.

    Returns:
        A function that waits until it is open, and raises as `segmented_clip` does. Until then a
        command imports what it works with: FFmpeg opens a file without Python.
    """
    path = clip_path(session, clip)
    from vfx_matte.backend import begun

    return begun(partial(_opened, session, path, begins=True))


def _opened(session: Session, path: Path, *, begins: bool = False) -> SegmentedClip:
    from vfx_matte.pipeline.clip import open_segmented

    settings = session.settings
    return open_segmented(
        path,
        workspace=settings.paths.workspace,
        ignore_alpha=settings.clip.ignore_alpha,
        begins=begins,
        reporter=session,
    )
