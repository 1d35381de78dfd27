"""vfx-matte: cut anything out of a video, and stay in sync to the frame.

import vfx_matte

first = vfx_matte.mask("source/clip.mp4", box=(590, 35, 260, 650))
result = vfx_matte.segment("source/clip.mp4", references={0: first.mask, 33: "m33.png"})
green = vfx_matte.render_greenback("source/clip.mp4", key="blue")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfx_matte._version import __version__

if TYPE_CHECKING:
    from vfx_matte.api.masks import mask as mask
    from vfx_matte.api.masks import segment as segment
    from vfx_matte.api.renders import render_alpha as render_alpha
    from vfx_matte.api.renders import render_greenback as render_greenback
    from vfx_matte.api.renders import render_maskvideos as render_maskvideos
    from vfx_matte.api.renders import render_overlay as render_overlay
    from vfx_matte.errors import VfxMatteError as VfxMatteError
    from vfx_matte.pipeline.first_mask import FirstMaskResult as FirstMaskResult
    from vfx_matte.pipeline.first_mask import MaskedObject as MaskedObject
    from vfx_matte.pipeline.render.outputs import RenderResult as RenderResult
    from vfx_matte.pipeline.segment.run import SegmentResult as SegmentResult
    from vfx_matte.settings.options import AlphaSettings as AlphaSettings
    from vfx_matte.settings.options import GreenbackSettings as GreenbackSettings
    from vfx_matte.settings.options import MaskvideoSettings as MaskvideoSettings
    from vfx_matte.settings.options import MatteSettings as MatteSettings
    from vfx_matte.settings.options import OverlaySettings as OverlaySettings
    from vfx_matte.settings.options import RenderSettings as RenderSettings

_EXPORTS = {
    "mask": "vfx_matte.api.masks",
    "segment": "vfx_matte.api.masks",
    "render_greenback": "vfx_matte.api.renders",
    "render_alpha": "vfx_matte.api.renders",
    "render_maskvideos": "vfx_matte.api.renders",
    "render_overlay": "vfx_matte.api.renders",
    "FirstMaskResult": "vfx_matte.pipeline.first_mask",
    "MaskedObject": "vfx_matte.pipeline.first_mask",
    "SegmentResult": "vfx_matte.pipeline.segment.run",
    "RenderResult": "vfx_matte.pipeline.render.outputs",
    "MatteSettings": "vfx_matte.settings.options",
    "RenderSettings": "vfx_matte.settings.options",
    "GreenbackSettings": "vfx_matte.settings.options",
    "AlphaSettings": "vfx_matte.settings.options",
    "MaskvideoSettings": "vfx_matte.settings.options",
    "OverlaySettings": "vfx_matte.settings.options",
    "VfxMatteError": "vfx_matte.errors",
}
"""Public name → the module that defines it, which is imported when the name is first used."""

__all__ = [
    "__version__",
    "mask",
    "segment",
    "render_greenback",
    "render_alpha",
    "render_maskvideos",
    "render_overlay",
    "FirstMaskResult",
    "MaskedObject",
    "SegmentResult",
    "RenderResult",
    "MatteSettings",
    "RenderSettings",
    "GreenbackSettings",
    "AlphaSettings",
    "MaskvideoSettings",
    "OverlaySettings",
    "VfxMatteError",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: `import vfx_matte` stays instant."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'vfx_matte' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
