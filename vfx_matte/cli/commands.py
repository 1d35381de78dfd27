"""The commands. Each takes its options, calls one pipeline function and prints what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte import config
from vfx_matte.cli.app import Session, command
from vfx_matte.errors import UsageError

if TYPE_CHECKING:
    from vfx_matte.pipeline.project import SegmentedClip, SourceClip
    from vfx_matte.pipeline.render import EncodeOptions, Look, RenderResult

EDGES = "Edges"
ENCODING = "Encoding"

Clip = Annotated[
    Path | None, typer.Argument(help="Video, folder of pictures, or plate.%04d.png; without it, the clip segmented last.")
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="PATH", help="Where to write; its ending decides the kind.")
]


@dataclass(frozen=True, slots=True)
class RenderChoice:
    """What the options of a render add up to. codec, preset, quality: as typed; None leaves them to the command's section."""

    output: Path | None
    look: Look
    sound: bool
    codec: str | None
    preset: str | None
    quality: int | None

    def encode(self, section: config.Encoding) -> EncodeOptions:
        """The encoding, command line before config.ini."""
        from vfx_matte.pipeline.render import EncodeOptions

        chosen = config.with_overrides(section, codec=self.codec, preset=self.preset, quality=self.quality)
        return EncodeOptions(codec=chosen.codec, preset=chosen.preset, quality=chosen.quality, sound=self.sound)


def rendering(
    session: Session,
    *,
    output: Output = None,
    objects: Annotated[
        list[int] | None, typer.Option("--object", metavar="N", help="Only this object; repeat for more.")
    ] = None,
    median: Annotated[
        int | None, typer.Option(metavar="PX", help="Median window, odd; 0 = off (21 at 1080 lines).", rich_help_panel=EDGES)
    ] = None,
    feather: Annotated[float | None, typer.Option(metavar="PX", help="Width of the soft edge.", rich_help_panel=EDGES)] = None,
    grow: Annotated[int | None, typer.Option(metavar="PX", help="Move the edge outwards.", rich_help_panel=EDGES)] = None,
    shrink: Annotated[int | None, typer.Option(metavar="PX", help="Move the edge inwards.", rich_help_panel=EDGES)] = None,
    fill_holes: Annotated[
        int | None, typer.Option(metavar="AREA", help="Fill holes up to this many pixels.", rich_help_panel=EDGES)
    ] = None,
    remove_specks: Annotated[
        int | None, typer.Option(metavar="AREA", help="Drop pieces up to this many pixels.", rich_help_panel=EDGES)
    ] = None,
    codec: Annotated[str | None, typer.Option(help="Video encoder, e.g. libx264.", rich_help_panel=ENCODING)] = None,
    preset: Annotated[str | None, typer.Option(help="Encoder preset, e.g. medium.", rich_help_panel=ENCODING)] = None,
    quality: Annotated[
        int | None, typer.Option(help="Constant-quality number (crf, cq, qscale); smaller is better.", rich_help_panel=ENCODING)
    ] = None,
    sound: Annotated[bool | None, typer.Option("--sound/--no-sound", help="Carry the sound.", rich_help_panel=ENCODING)] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.", rich_help_panel=ENCODING)] = None,
) -> RenderChoice:
    """Options of every render."""
    from vfx_matte.backend import choose_device
    from vfx_matte.pipeline.render import EdgeOptions, Look

    if grow is not None and shrink is not None:
        raise UsageError("--grow and --shrink exclude each other", hint="give one of them")
    moved = -shrink if shrink is not None else grow
    edges = config.with_overrides(
        session.settings.edges,
        median=median, feather=feather, grow=moved, fill_holes=fill_holes, remove_specks=remove_specks,
    )  # fmt: skip
    render = config.with_overrides(session.settings.render, sound=sound, device=device)
    look = Look(
        objects=tuple(objects) if objects else None,
        edges=EdgeOptions(
            median_px=edges.median,
            feather_px=edges.feather,
            grow_px=edges.grow,
            fill_holes_area_px=edges.fill_holes,
            remove_specks_area_px=edges.remove_specks,
        ),
        device=choose_device(render.device, notify=session.notify),
    )
    return RenderChoice(output, look, render.sound, codec, preset, quality)


@command()
def segment(
    session: Session,
    *,
    clip: Clip = None,
    first_mask: Annotated[Path | None, typer.Option(metavar="PNG", help="Mask of frame 0 (or of --start).")] = None,
    mask: Annotated[list[str] | None, typer.Option(metavar="FRAME=PNG", help="Mask of a frame; repeat for more.")] = None,
    masks: Annotated[Path | None, typer.Option(metavar="DIR", help="Masks whose names hold their frame number.")] = None,
    propagator: Annotated[str | None, typer.Option(help="auto, builtin or xmem.")] = None,
    weights: Annotated[Path | None, typer.Option(metavar="PTH", help="Weights of xmem.")] = None,
    size: Annotated[int | None, typer.Option(metavar="PX", help="Short side that xmem works at; -1 = the clip's own.")] = None,
    device: Annotated[str | None, typer.Option(help="Where xmem runs: auto, cpu or cuda.")] = None,
    start: Annotated[str, typer.Option(metavar="FRAME|TIME", help="First frame, e.g. 120, 4.5s or 1:02.5.")] = "0",
    stop: Annotated[str | None, typer.Option(metavar="FRAME|TIME", help="Frame after the last one.")] = None,
    fps: Annotated[str | None, typer.Option(help="Rate of an image sequence, e.g. 25 or 30000/1001.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run stopped.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again; the earlier masks are kept as masks.previous.")] = False,
    colors: Annotated[bool, typer.Option("--colors", help="Only show how the masks are understood.")] = False,
) -> None:
    """Carry masks through a clip: one painted mask (or a few) in, a mask for every frame out."""
    from vfx_matte.cli.show import table
    from vfx_matte.pipeline.segment import ReferenceFiles, segment_clip, understand
    from vfx_matte.timeline import parse_position

    chosen = config.with_overrides(session.settings.segment, propagator=propagator, weights=weights, size=size, device=device)
    settings = config.with_overrides(session.settings, segment=chosen)
    path = _clip_path(session, clip)
    files = ReferenceFiles(first_mask=first_mask, pairs=tuple(mask or ()), folder=masks)
    opened = _opened(session, path, fps=fps)
    span = parse_position(start), parse_position(stop) if stop is not None else None
    if colors:
        rows = understand(opened, files, start=span[0], reporter=session)
        table("Masks as understood", ("frame", "file", "kind", "object", "colour", "pixels"), rows)
        return
    session.interrupt_hint = "finished frames are kept; run the same command with --resume to go on"
    done = segment_clip(
        opened,
        files,
        workspace=session.settings.paths.workspace,
        propagator=chosen.propagator,
        weights=settings.weights,
        size=settings.size,
        device=chosen.device,
        start=span[0],
        stop=span[1],
        resume=resume,
        fresh=fresh,
        expected_objects=session.settings.config.object_num,
        reporter=session,
    )
    summary = [
        ("masks", str(done.masks)),
        ("frames", f"{done.start} to {done.stop - 1}, {done.computed} computed now in {done.seconds:.1f} s"),
        ("objects", ", ".join(f"{number} ({color})" for number, color in done.objects.items())),
        ("propagator", done.propagator),
        ("next", "vfx-matte greenback | maskvideo | alpha | overlay"),
    ]
    table(f"Segmented {path.name}", ("", ""), summary)


@command(rendering)
def greenback(
    session: Session,
    *,
    clip: Clip = None,
    key: Annotated[str | None, typer.Option(help="green, blue, magenta, #rrggbb or auto.")] = None,
    background: Annotated[str | None, typer.Option(metavar="FILE|#rrggbb", help="Put this behind instead of the key.")] = None,
    rendering: RenderChoice,
) -> None:
    """Render the subject over a key colour: greenback.mp4."""
    from vfx_matte.pipeline.render import render_greenback

    if key is not None:
        if background is not None:
            raise UsageError("--key and --background exclude each other", hint="give one of them")
        background = ""  # a key that was asked for beats the background of config.ini
    chosen = config.with_overrides(session.settings.greenback, key=key, background=background)
    result = render_greenback(
        _segmented(session, clip), output=rendering.output, key=chosen.key, background=chosen.background,
        look=rendering.look, encode=rendering.encode(chosen), reporter=session,
    )  # fmt: skip
    _show([result])


@command(rendering)
def maskvideo(
    session: Session,
    *,
    clip: Clip = None,
    style: Annotated[str | None, typer.Option(help="luma, palette or rgb.")] = None,
    each_object: Annotated[bool, typer.Option("--each-object", help="One file an object.")] = False,
    rendering: RenderChoice,
) -> None:
    """Render the masks as a video: maskvideo.mkv, lossless; -o x.mov or x.mp4 for editing programs."""
    from vfx_matte.pipeline.render import render_maskvideos

    chosen = config.with_overrides(session.settings.maskvideo, style=style)
    results = render_maskvideos(
        _segmented(session, clip), output=rendering.output, style=chosen.style, each_object=each_object,
        look=rendering.look, encode=rendering.encode(chosen), reporter=session,
    )  # fmt: skip
    _show(results)


@command(rendering)
def alpha(
    session: Session,
    *,
    clip: Clip = None,
    premultiplied: Annotated[bool | None, typer.Option("--premultiplied/--straight", help="Colours times alpha.")] = None,
    rendering: RenderChoice,
) -> None:
    """Cut the subject out with alpha: alpha.mov (ProRes 4444); -o x.webm, or -o FOLDER for PNG files."""
    from vfx_matte.pipeline.render import render_alpha

    chosen = config.with_overrides(session.settings.alpha, premultiplied=premultiplied)
    result = render_alpha(
        _segmented(session, clip), output=rendering.output, premultiplied=chosen.premultiplied,
        look=rendering.look, encode=rendering.encode(chosen), reporter=session,
    )  # fmt: skip
    _show([result])


@command(rendering)
def overlay(
    session: Session,
    *,
    clip: Clip = None,
    tint: Annotated[float | None, typer.Option("--alpha", help="Weight of the tint, 0 to 1.")] = None,
    rendering: RenderChoice,
) -> None:
    """Tint every object with its colour, to look at: out-NAME.mp4."""
    from vfx_matte.pipeline.render import render_overlay

    chosen = config.with_overrides(session.settings.overlay, alpha=tint)
    result = render_overlay(
        _segmented(session, clip), output=rendering.output, alpha=chosen.alpha,
        look=rendering.look, encode=rendering.encode(chosen), reporter=session,
    )  # fmt: skip
    _show([result])


@command()
def probe(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="Video, folder of pictures, or plate.%04d.png.")],
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what a clip is: streams, size, colour, and its exact time by counting."""
    from vfx_matte.cli.show import bars, table
    from vfx_matte.pipeline import inspect

    opened = _opened(session, _clip_path(session, clip))
    if json:
        typer.echo(inspect.clip_json(opened.info))
        return
    table(str(clip), ("", ""), inspect.clip_rows(opened.info))
    table("Distance of frames", ("duration", "", "frames"), bars(inspect.interval_rows(opened.info)))


@command()
def verify(
    session: Session,
    *,
    output: Annotated[Path, typer.Argument(help="A rendered file.")],
    source: Annotated[Path | None, typer.Option("--source", metavar="CLIP", help="The clip it was rendered from.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Compare a rendered file with its source: every timestamp, the sound, the colour tags. Exit code 1 when they differ."""
    from vfx_matte.cli.show import table
    from vfx_matte.pipeline import inspect

    if source is None:
        raise UsageError("verify needs the source clip", hint="vfx-matte verify OUTPUT --source CLIP")
    report = inspect.verify_file(output, _clip_path(session, source), reporter=session)
    if json:
        typer.echo(inspect.report_json(report))
    else:
        rows = [(check.name, "ok" if check.ok else "DIFFERS", check.detail) for check in report.checks]
        table(f"{output} against {source}, read by {report.reader}", ("", "", ""), rows)
    inspect.require_same(report)


@command()
def frame(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="The clip.")],
    at: Annotated[str, typer.Option(metavar="FRAME|TIME", help="Which frame, e.g. 12 or 0.5s.")] = "0",
    output: Output = None,
) -> None:
    """Save one frame as a picture, to paint a mask on."""
    from vfx_matte.pipeline import inspect
    from vfx_matte.timeline import parse_position

    opened = _opened(session, _clip_path(session, clip))
    typer.echo(inspect.save_frame(opened, at=parse_position(at), output=output))


@command()
def mask(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="The clip.")],
    box: Annotated[str, typer.Option(metavar="X,Y,W,H", help="A box around the subject, in pixels.")],
    at: Annotated[str, typer.Option(metavar="FRAME|TIME", help="Which frame, e.g. 12 or 0.5s.")] = "0",
    fg: Annotated[list[str] | None, typer.Option(metavar="X,Y", help="A point on the subject; repeat for more.")] = None,
    bg: Annotated[list[str] | None, typer.Option(metavar="X,Y", help="A point beside the subject; repeat for more.")] = None,
    output: Output = None,
) -> None:
    """Make a first mask from a box around the subject (GrabCut)."""
    from vfx_matte.pipeline import inspect
    from vfx_matte.timeline import parse_position

    opened = _opened(session, _clip_path(session, clip))
    x, y, width, height = _integers(box, 4, "--box x,y,width,height")
    saved = inspect.save_mask_from_box(
        opened,
        at=parse_position(at),
        box=(x, y, width, height),
        foreground=[(p[0], p[1]) for p in (_integers(text, 2, "--fg x,y") for text in fg or ())],
        background=[(p[0], p[1]) for p in (_integers(text, 2, "--bg x,y") for text in bg or ())],
        output=output,
    )
    typer.echo(saved)


@command(name="config")
def config_command(session: Session) -> None:  # noqa: ARG001
    """Print a config.ini with every option at its default."""
    typer.echo(config.template(), nl=False)


@command()
def demo(
    session: Session,
    *,
    folder: Annotated[Path, typer.Argument(help="Where the demo's files go.")] = Path("workspace"),
    frames: Annotated[int, typer.Option(help="Length of the clip.", min=8)] = 72,
) -> None:
    """Make a clip with a known truth, run the whole program on it and check every output."""
    from vfx_matte.cli.show import table
    from vfx_matte.pipeline.demo import run_demo

    result = run_demo(folder, frame_count=frames, reporter=session)
    rows = [(row.output, row.what, row.timing, row.iou) for row in result.rows]
    table("Demo", ("output", "encoding", "time against the source", "mask against the truth"), rows)
    typer.echo(f"picture: {result.sheet}")


def _clip_path(session: Session, clip: Path | None) -> Path:
    from vfx_matte.pipeline import project

    settings = session.settings
    return project.find_clip(
        clip, source=settings.paths.source, workspace=settings.paths.workspace, default=settings.default_clip
    )


def _opened(session: Session, path: Path, *, fps: str | None = None) -> SourceClip:
    from vfx_matte.pipeline import project

    rate = None if fps is None else _rate(fps)
    return project.open_source(path, fps=rate, usual_fps=_rate(session.settings.segment.fps), reporter=session)


def _segmented(session: Session, clip: Path | None) -> SegmentedClip:
    from vfx_matte.pipeline import project

    path = _clip_path(session, clip)
    return project.open_segmented(path, workspace=session.settings.paths.workspace, reporter=session)


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise UsageError(f"fps {text!r} is not a rate", hint="give a number or a fraction, e.g. 25 or 30000/1001")
    return rate


def _integers(text: str, count: int, form: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise UsageError(f"{text!r} is not of the form {form}", hint="whole pixels, separated by commas")
    return numbers


def _show(results: list[RenderResult]) -> None:
    from vfx_matte.cli.show import table

    plain = ("frame count", "picture size", "colour tags")
    rows = [
        (
            result.output,
            result.encoding,
            f"{result.frame_count} frames in {result.seconds:.1f} s",
            "verified: " + "; ".join(check.detail for check in result.verified.checks if check.name not in plain),
        )
        for result in results
    ]
    table("Rendered", ("output", "encoding", "", ""), rows)
