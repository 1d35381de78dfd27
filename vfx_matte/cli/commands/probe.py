"""The commands that look at clips and outputs, and `config` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import At, Output, clip_path, opened_clip
from vfx_matte.cli.options import Only
from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import UsageError
from vfx_matte.numbering import ranges_text
from vfx_matte.settings import ini
from vfx_matte.settings.options import SegmentSettings

if TYPE_CHECKING:
    from vfx_matte.pipeline.probe import ClipFacts

MOST_INTERVALS = 8
"""Rows of the histogram of frame distances; rarer ones are summed up."""


@command()
def probe(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="Video, folder of pictures, or plate.####.png.")],
    settings: Annotated[SegmentSettings, Only("gaps")],
) -> None:
    """Show what a clip is: streams, size, colour, and its exact time by counting."""
    from vfx_matte.cli.show import bars, show_to_scripts, table
    from vfx_matte.pipeline.probe import ClipFacts, look_for_changes

    opened = opened_clip(session, clip_path(session, clip), gaps=settings.gaps)
    # the reader notices only what it decodes, and counting decodes nothing
    look_for_changes(opened)
    facts = ClipFacts(opened.info)
    if show_to_scripts(session, facts):
        return
    table(str(clip), ("", ""), _clip_rows(facts))
    table("Distance of frames", ("duration", "", "frames"), bars(_interval_rows(facts)))


def _clip_rows(facts: ClipFacts) -> list[tuple[str, str]]:
    """Facts about a clip as (name, value) rows."""
    # rows that every clip has
    info = facts.info
    color, timeline = info.color, info.timeline
    scan = "interlacing not stated" if info.field_order == "unknown" else info.field_order
    rows = [
        ("container", info.container),
        ("video", f"{info.codec}, {info.pixel_format}, {info.layout.bit_depth} bit, {scan}"),
        (
            "size as displayed",
            (
                f"{info.width}×{info.height}, pixel shape {info.sample_aspect}, rotated"
                f" {info.rotation_degrees}°"
            ),
        ),
        ("frames", f"{len(timeline)}, counted"),
        *_number_rows(facts),
        ("rate", f"{facts.rate}, time base {timeline.time_base}"),
        ("start", f"{float(timeline.start - info.origin):.6f} s"),
        ("duration", f"{float(timeline.end - timeline.start):.6f} s"),
        (
            "colour",
            (
                f"matrix {color.matrix}, range {color.range}, primaries {color.primaries}, transfer"
                f" {color.transfer}"
            ),
        ),
    ]
    # What most clips do not have is shown only where it is there.
    if info.timecode:
        rows.append(("timecode", info.timecode))
    for track in info.audio:
        offset = (
            "empty"
            if track.start is None
            else f"starts {float(track.start - timeline.start):+.6f} s from the picture"
        )
        # FFmpeg has no name for some layouts, and counts them in the plural
        layout = "1 channel" if track.layout == "1 channels" else track.layout
        language = [track.language] if track.language != "und" else []
        words = [track.codec, f"{track.sample_rate} Hz", layout, *language, offset]
        rows.append((f"sound {track.index}", ", ".join(words)))
    if info.other_streams:
        rows.append(("other streams", ", ".join(info.other_streams)))
    if info.repairs:
        rows.append(("mended timestamps", str(info.repairs)))
    return rows


def _number_rows(facts: ClipFacts) -> list[tuple[str, str]]:
    """How a sequence's pictures are numbered."""
    files = facts.info.files
    if files is None:
        return []
    missing = f", missing: {ranges_text(files.missing)} ({files.gaps})" if files.missing else ""
    numbers = facts.info.timeline.numbers_text
    return [("frame numbers", f"{numbers}, {files.paths[0].name} first{missing}")]


def _interval_rows(facts: ClipFacts) -> list[tuple[str, int]]:
    """How often frames follow each other at which distance, most frequent first."""
    timeline = facts.info.timeline
    # a variable-rate recording has hundreds of distances
    counted = timeline.interval_histogram().most_common()
    rows = [
        (f"{float(ticks * timeline.time_base * 1000):.3f} ms", count)
        for ticks, count in counted[:MOST_INTERVALS]
    ]
    rest = sum(count for _, count in counted[MOST_INTERVALS:])
    return [*rows, (f"{len(counted) - MOST_INTERVALS} others", rest)] if rest else rows


@command()
def verify(
    session: Session,
    *,
    output: Annotated[Path, typer.Argument(help="A rendered file.")],
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="CLIP", help="The clip it was rendered from."),
    ] = None,
    frame_map: Annotated[
        Path | None,
        typer.Option(
            "--map", metavar="JSON", help="Of a conformed file: its frame map (the one beside it)."
        ),
    ] = None,
) -> None:
    """Compare a rendered file with its source: every timestamp, the sound, the colour tags.

    Exit code 1 when they differ.
    """
    from vfx_matte.cli.show import show_to_scripts, table
    from vfx_matte.pipeline.verify import require_passed, verify_file

    if source is None:
        raise UsageError(
            "verify needs the source clip", hint="vfx-matte verify OUTPUT --source CLIP"
        )
    path = clip_path(session, source)
    report = verify_file(output, path, frame_map=frame_map, reporter=session)
    if not show_to_scripts(session, report):
        rows = [
            (check.name, "ok" if check.ok else "DIFFERS", check.detail) for check in report.checks
        ]
        table(f"{output} against {source}, read by {report.reader}", ("", "", ""), rows)
    # last, so that the table is there when the exit code is 1
    require_passed(report)


@command()
def frame(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="The clip.")],
    at: At = None,
    output: Output = None,
) -> None:
    """Save one frame as a picture, to paint a mask on."""
    from vfx_matte.cli.show import paths, show_to_scripts
    from vfx_matte.pipeline.frames import save_frame
    from vfx_matte.timeline import parse_position

    opened = opened_clip(session, clip_path(session, clip))
    # the clip is opened first: of a sequence the position is a picture's own number
    position = None if at is None else parse_position(at)
    workspace = session.settings.paths.workspace
    saved = save_frame(opened, at=position, output=output, workspace=workspace)
    if not show_to_scripts(session, saved, [saved.picture]):
        paths([saved.picture])


@command(name="config")
def config_command(session: Session) -> None:
    """Print a config.ini with every option at its default."""
    # Text for a file by itself, so that it can be sent into one; the same options for programs.
    if session.json:
        from vfx_matte.cli.show import show_to_scripts

        show_to_scripts(session, ini.Settings())
    else:
        typer.echo(ini.template(as_typed), nl=False)


@command()
def demo(
    session: Session,
    *,
    folder: Annotated[Path, typer.Argument(help="Where the demo's files go.")] = Path("workspace"),
    frames: Annotated[int, typer.Option(help="Length of the clip.", min=8, max=10_000)] = 72,
) -> None:
    """Make a clip with a known truth, run the whole program on it and check every output."""
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.demo import run_demo

    settings = session.settings
    # the demo begins with `mask --auto`, which wants the network, and paints the truth where it may
    # not be fetched
    fetch = settings.network.fetch == "auto"
    result = run_demo(
        folder, frame_count=frames, model=settings.paths.model, fetch=fetch, reporter=session
    )
    if show_to_scripts(session, result, [result.sheet]):
        return
    rows = [(row.output, row.what, row.timing, row.iou) for row in result.rows]
    table("Demo", ("output", "encoding", "time against the source", "mask against the truth"), rows)
    say(f"picture: {result.sheet}")
