"""The renders. Each takes its options, calls one pipeline function and shows the files it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte import config
from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, Output, segmented_clip
from vfx_matte.errors import UsageError

if TYPE_CHECKING:
    from vfx_matte.pipeline.render import EncodeOptions, Look, RenderResult

EDGES = "Edges"
ENCODING = "Encoding"


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
    soft_edges: Annotated[
        bool | None,
        typer.Option("--soft-edges/--no-soft-edges", help="Edges from segment --soft, if made.", rich_help_panel=EDGES),
    ] = None,
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
        soft=soft_edges,
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
        soft=edges.soft,
        device=choose_device(render.device, notify=session.notify),
    )
    return RenderChoice(output, look, render.sound, codec, preset, quality)


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
        segmented_clip(session, clip), output=rendering.output, key=chosen.key, background=chosen.background,
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
        segmented_clip(session, clip), output=rendering.output, style=chosen.style, each_object=each_object,
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
        segmented_clip(session, clip), output=rendering.output, premultiplied=chosen.premultiplied,
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
        segmented_clip(session, clip), output=rendering.output, alpha=chosen.alpha,
        look=rendering.look, encode=rendering.encode(chosen), reporter=session,
    )  # fmt: skip
    _show([result])


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
