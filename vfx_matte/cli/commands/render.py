"""The renders. Each takes its options, calls one pipeline function and shows the files it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, Output, segmented_clip
from vfx_matte.cli.part import PartChoice, part
from vfx_matte.errors import UsageError
from vfx_matte.settings import ini

if TYPE_CHECKING:
    from vfx_matte.pipeline.render.renders import EncodeOptions, Look, RenderResult

EDGES = "Edges"
ENCODING = "Encoding"


@dataclass(frozen=True, slots=True)
class RenderChoice:
    """What the options of a render add up to.

    codec, preset, quality, pixel_format: as typed; None leaves them to the command's section.
    target: the program it is for.
    """

    output: Path | None
    look: Look
    sound: bool
    codec: str | None
    preset: str | None
    quality: int | None
    pixel_format: str | None = None
    target: str | None = None
    start_number: int | None = None

    def encode(self, section: ini.Encoding) -> EncodeOptions:
        """The encoding, command line before config.ini."""
        from vfx_matte.pipeline.render.renders import EncodeOptions

        chosen = ini.with_overrides(
            section,
            codec=self.codec,
            preset=self.preset,
            quality=self.quality,
            pixel_format=self.pixel_format,
        )
        return EncodeOptions(
            codec=chosen.codec, preset=chosen.preset, quality=chosen.quality,
            pixel_format=chosen.pixel_format,
            sound=self.sound, target=self.target, start_number=self.start_number,
        )  # fmt: skip

    def plain_encode(self) -> EncodeOptions:
        """The encoding of the command line alone, for commands that write several kinds of
        output.
        """
        return self.encode(ini.Encoding())


def rendering(
    session: Session,
    *,
    output: Output = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="PROGRAM", help="As this program takes it; see vfx-matte formats."
        ),
    ] = None,
    objects: Annotated[
        list[int] | None,
        typer.Option("--object", metavar="N", help="Only this object; repeat for more."),
    ] = None,
    edges: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="auto, hard, median, feather, guided, closed-form or vitmatte.",
            rich_help_panel=EDGES,
        ),
    ] = None,
    band: Annotated[
        float | None,
        typer.Option(
            metavar="PX", help="Width of the edge band, in pixels.", rich_help_panel=EDGES
        ),
    ] = None,
    median: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Median window, odd; 0 = off (21 at 1080 lines).",
            rich_help_panel=EDGES,
        ),
    ] = None,
    feather: Annotated[
        float | None,
        typer.Option(metavar="PX", help="Width of the soft edge.", rich_help_panel=EDGES),
    ] = None,
    grow: Annotated[
        int | None,
        typer.Option(metavar="PX", help="Move the edge outwards.", rich_help_panel=EDGES),
    ] = None,
    shrink: Annotated[
        int | None, typer.Option(metavar="PX", help="Move the edge inwards.", rich_help_panel=EDGES)
    ] = None,
    soft_edges: Annotated[
        bool | None,
        typer.Option(
            "--soft-edges/--no-soft-edges",
            help="Edges from segment --soft, if made.",
            rich_help_panel=EDGES,
        ),
    ] = None,
    fill_holes: Annotated[
        int | None,
        typer.Option(
            metavar="AREA", help="Fill holes up to this many pixels.", rich_help_panel=EDGES
        ),
    ] = None,
    remove_specks: Annotated[
        int | None,
        typer.Option(
            metavar="AREA", help="Drop pieces up to this many pixels.", rich_help_panel=EDGES
        ),
    ] = None,
    foreground: Annotated[
        bool | None,
        typer.Option(
            "--foreground/--no-foreground",
            help="Remove background colour from soft edges.",
            rich_help_panel=EDGES,
        ),
    ] = None,
    despill: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Remove spill: green, blue or off.", rich_help_panel=EDGES
        ),
    ] = None,
    despill_strength: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="How much of that light.", rich_help_panel=EDGES),
    ] = None,
    stabilize: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="Keep edges from flickering.", rich_help_panel=EDGES),
    ] = None,
    codec: Annotated[
        str | None, typer.Option(help="Video encoder, e.g. libx264.", rich_help_panel=ENCODING)
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Encoder preset, e.g. medium.", rich_help_panel=ENCODING)
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            help="Constant-quality number (crf, cq, qscale); smaller is better.",
            rich_help_panel=ENCODING,
        ),
    ] = None,
    pixel_format: Annotated[
        str | None,
        typer.Option(help="What the encoder is fed, e.g. yuv422p10le.", rich_help_panel=ENCODING),
    ] = None,
    sound: Annotated[
        bool | None,
        typer.Option("--sound/--no-sound", help="Carry the sound.", rich_help_panel=ENCODING),
    ] = None,
    start_number: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="First number of numbered files (the source's).",
            rich_help_panel=ENCODING,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda.", rich_help_panel=ENCODING)
    ] = None,
) -> RenderChoice:
    """Options of every render."""
    from vfx_matte.backend import choose_device
    from vfx_matte.pipeline.render.renders import Despill, EdgeOptions, Look

    if grow is not None and shrink is not None:
        raise UsageError("--grow and --shrink exclude each other", hint="give one of them")
    if edges == "hard" and soft_edges:
        raise UsageError(
            "--edges hard and --soft-edges exclude each other", hint="give one of them"
        )
    moved = -shrink if shrink is not None else grow
    chosen = ini.with_overrides(
        session.settings.edges,
        method=edges, band=band, median=median, feather=feather, grow=moved, fill_holes=fill_holes,
        remove_specks=remove_specks, soft=soft_edges, foreground=foreground, despill=despill,
        despill_strength=despill_strength, stabilize=stabilize,
    )  # fmt: skip
    method = _edge_method(chosen)
    if band is not None and method in ("hard", "median", "feather"):
        raise UsageError(
            f"--band has no meaning with edges {method!r}", hint="use --edges guided or closed-form"
        )
    render = ini.with_overrides(session.settings.render, sound=sound, device=device, target=target)
    look = Look(
        objects=tuple(objects) if objects else None,
        edges=EdgeOptions(
            method=method,
            band_px=chosen.band,
            median_px=chosen.median,
            feather_px=chosen.feather,
            grow_px=chosen.grow,
            fill_holes_area_px=chosen.fill_holes,
            remove_specks_area_px=chosen.remove_specks,
        ),
        soft=chosen.soft,
        foreground=chosen.foreground,
        despill=(
            None
            if chosen.despill == "off"
            else Despill(key=chosen.despill, strength=chosen.despill_strength)
        ),
        stabilize=chosen.stabilize,
        weights=session.settings.paths.model / "vitmatte",
        device=choose_device(render.device, notify=session.notify),
    )
    return RenderChoice(
        output,
        look,
        render.sound,
        codec,
        preset,
        quality,
        pixel_format,
        render.target or None,
        start_number,
    )


def _edge_method(chosen: ini.Edges) -> str:
    """What "auto" stands for: whoever shapes the mask's own edge wants that one, everybody else the
    picture's.
    """
    if chosen.method != "auto":
        return chosen.method
    shaped = chosen.median is not None or chosen.feather > 0 or chosen.soft is not None
    return "median" if shaped else "guided"


@command(part, rendering)
def greenback(
    session: Session,
    *,
    clip: Clip = None,
    key: Annotated[str | None, typer.Option(help="green, blue, magenta, #rrggbb or auto.")] = None,
    background: Annotated[
        str | None, typer.Option(metavar="FILE|#rrggbb", help="Put this behind instead of the key.")
    ] = None,
    part: PartChoice,
    rendering: RenderChoice,
) -> None:
    """Render the subject over a key colour: greenback.mp4."""
    from vfx_matte.pipeline.render.renders import render_greenback

    if key is not None:
        if background is not None:
            raise UsageError("--key and --background exclude each other", hint="give one of them")
        background = ""  # a key that was asked for beats the background of config.ini
    chosen = ini.with_overrides(session.settings.greenback, key=key, background=background)
    result = render_greenback(
        segmented_clip(session, clip), output=rendering.output, key=chosen.key,
        background=chosen.background,
        look=rendering.look, encode=rendering.encode(chosen), selection=part.selection,
        reporter=session,
    )  # fmt: skip
    show_results(session, [result])


@command(part, rendering)
def maskvideo(
    session: Session,
    *,
    clip: Clip = None,
    style: Annotated[str | None, typer.Option(help="auto, luma, palette or rgb.")] = None,
    each_object: Annotated[bool, typer.Option("--each-object", help="One file an object.")] = False,
    part: PartChoice,
    rendering: RenderChoice,
) -> None:
    """Render the masks as a video: maskvideo.mkv, lossless; -o x.mov, -o FOLDER/%07d.png, or
    %07d.exr for layers.
    """
    from vfx_matte.pipeline.render.renders import render_maskvideos

    chosen = ini.with_overrides(session.settings.maskvideo, style=style)
    results = render_maskvideos(
        segmented_clip(session, clip), output=rendering.output, style=chosen.style,
        each_object=each_object,
        look=rendering.look, encode=rendering.encode(chosen), selection=part.selection,
        reporter=session,
    )  # fmt: skip
    show_results(session, results)


@command(part, rendering)
def alpha(
    session: Session,
    *,
    clip: Clip = None,
    premultiplied: Annotated[
        bool | None, typer.Option("--premultiplied/--straight", help="Colours times alpha.")
    ] = None,
    keep_background: Annotated[
        bool | None,
        typer.Option(
            "--keep-background/--no-keep-background", help="Leave the old background under alpha 0."
        ),
    ] = None,
    part: PartChoice,
    rendering: RenderChoice,
) -> None:
    """Cut the subject out with alpha: alpha.mov (ProRes 4444); -o x.webm, or -o FOLDER for PNG
    files.
    """
    from vfx_matte.pipeline.render.renders import render_alpha

    chosen = ini.with_overrides(
        session.settings.alpha, premultiplied=premultiplied, keep_background=keep_background
    )
    if keep_background and chosen.premultiplied:
        raise UsageError(
            "--keep-background has no meaning with --premultiplied, which makes black of what alpha"
            " 0 hides",
            hint="leave one of them out",
        )
    result = render_alpha(
        segmented_clip(session, clip), output=rendering.output, premultiplied=chosen.premultiplied,
        keep_background=chosen.keep_background, look=rendering.look,
        encode=rendering.encode(chosen),
        selection=part.selection, reporter=session,
    )  # fmt: skip
    show_results(session, [result])


@command(part, rendering)
def overlay(
    session: Session,
    *,
    clip: Clip = None,
    tint: Annotated[
        float | None, typer.Option("--alpha", help="Weight of the tint, 0 to 1.")
    ] = None,
    part: PartChoice,
    rendering: RenderChoice,
) -> None:
    """Tint every object with its colour, to look at: out-NAME.mp4."""
    from vfx_matte.pipeline.render.renders import render_overlay

    chosen = ini.with_overrides(session.settings.overlay, alpha=tint)
    result = render_overlay(
        segmented_clip(session, clip), output=rendering.output, alpha=chosen.alpha,
        look=rendering.look, encode=rendering.encode(chosen), selection=part.selection,
        reporter=session,
    )  # fmt: skip
    show_results(session, [result])


def show_results(session: Session, results: list[RenderResult]) -> None:
    """Print one row for each finished output; with --quiet its path."""
    from vfx_matte.cli.show import paths, table

    if session.quiet:
        paths(result.output for result in results)
        return
    plain = ("frame count", "picture size", "colour tags")
    rows = [
        (
            result.output,
            result.encoding,
            (
                f"{result.frame_count} frame{'s' if result.frame_count != 1 else ''} in"
                f" {result.seconds:.1f} s"
            ),
            "verified: "
            + "; ".join(
                check.detail for check in result.verified.checks if check.name not in plain
            ),
        )
        for result in results
    ]
    table("Rendered", ("output", "encoding", "", ""), rows)
