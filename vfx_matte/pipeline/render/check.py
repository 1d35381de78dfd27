"""Finds out whether a render can be made as it is asked for; nothing is decoded or written."""

from __future__ import annotations

from dataclasses import replace

from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.encoding import EncodeOptions, mask_style
from vfx_matte.pipeline.render.key import is_auto
from vfx_matte.pipeline.render.planner import Planner, output_place
from vfx_matte.pipeline.render.renders import RenderRequest
from vfx_matte.pipeline.render.request import chosen_objects
from vfx_matte.settings.options import (
    AlphaSettings,
    GreenbackSettings,
    MaskvideoSettings,
    OverlaySettings,
)

AnySettings = GreenbackSettings | AlphaSettings | MaskvideoSettings | OverlaySettings


def check_render(
    clip: SegmentedClip, settings: AnySettings, request: RenderRequest, *, reporter: Reporter
) -> None:
    """Check a render into its usual file.

    Args:
        clip: a segmented clip.
        settings: what is rendered, and how it is encoded.
        request: what all renders are asked for; its selection has no say.
        reporter: receives the notices that the render would give before it begins.

    Raises:
        UsageError: a request that cannot be met.
        OutputError: this machine does not have the encoder.
    """
    planner = Planner(clip, request.tools, reporter)
    matte, encode = request.matte, EncodeOptions.of(settings, request.render)
    match settings:
        case GreenbackSettings():
            # which key is the best is found in frames
            key = "green" if is_auto(settings.key) else settings.key
            planner.greenback(
                None,
                key=key,
                background=settings.background,
                is_checked=False,
                settings=matte,
                encode=encode,
            )
        case AlphaSettings():
            planner.alpha(
                None,
                premultiplied=settings.premultiplied,
                keep_background=settings.keep_background,
                settings=matte,
                encode=encode,
            )
        case OverlaySettings():
            planner.overlay(
                None, alpha=settings.alpha, legend=settings.legend, settings=matte, encode=encode
            )
        case MaskvideoSettings():
            objects = chosen_objects(clip, matte)
            shown = objects[:1] if settings.each_object else objects
            style = mask_style(settings.style, encode=encode, objects=shown)
            path, encode = output_place(
                "maskvideo", clip, None, "maskvideo.mkv", encode, reporter=reporter
            )
            planner.maskvideo(
                path, style=style, settings=replace(matte, objects=shown), encode=encode
            )
