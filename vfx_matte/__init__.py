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
    from vfx_matte.api.checks import evaluate as evaluate
    from vfx_matte.api.checks import probe as probe
    from vfx_matte.api.checks import qc as qc
    from vfx_matte.api.checks import suggest as suggest
    from vfx_matte.api.checks import verify as verify
    from vfx_matte.api.detect import detect_objects as detect_objects
    from vfx_matte.api.exchange import export_masks as export_masks
    from vfx_matte.api.exchange import import_masks as import_masks
    from vfx_matte.api.exports import conform as conform
    from vfx_matte.api.exports import package as package
    from vfx_matte.api.masks import mask as mask
    from vfx_matte.api.masks import segment as segment
    from vfx_matte.api.renders import render_alpha as render_alpha
    from vfx_matte.api.renders import render_greenback as render_greenback
    from vfx_matte.api.renders import render_maskvideos as render_maskvideos
    from vfx_matte.api.renders import render_overlay as render_overlay
    from vfx_matte.errors import VfxMatteError as VfxMatteError
    from vfx_matte.media.probe import ClipInfo as ClipInfo
    from vfx_matte.media.verify import VerifyReport as VerifyReport
    from vfx_matte.pipeline.detect.request import DetectResult as DetectResult
    from vfx_matte.pipeline.detect.request import FoundObject as FoundObject
    from vfx_matte.pipeline.exchange.exporting import ExportResult as ExportResult
    from vfx_matte.pipeline.exchange.importing import ImportResult as ImportResult
    from vfx_matte.pipeline.export.conform import ConformResult as ConformResult
    from vfx_matte.pipeline.export.package import PackageResult as PackageResult
    from vfx_matte.pipeline.first_mask import FirstMaskResult as FirstMaskResult
    from vfx_matte.pipeline.first_mask import MaskedObject as MaskedObject
    from vfx_matte.pipeline.render.outputs import RenderResult as RenderResult
    from vfx_matte.pipeline.review.evaluate import Evaluation as Evaluation
    from vfx_matte.pipeline.review.findings import QcResult as QcResult
    from vfx_matte.pipeline.review.suggest import SuggestResult as SuggestResult
    from vfx_matte.pipeline.segment.request import SegmentResult as SegmentResult
    from vfx_matte.settings.options import AlphaSettings as AlphaSettings
    from vfx_matte.settings.options import DetectSettings as DetectSettings
    from vfx_matte.settings.options import EncodeSettings as EncodeSettings
    from vfx_matte.settings.options import GreenbackSettings as GreenbackSettings
    from vfx_matte.settings.options import MaskvideoSettings as MaskvideoSettings
    from vfx_matte.settings.options import MatteSettings as MatteSettings
    from vfx_matte.settings.options import OverlaySettings as OverlaySettings
    from vfx_matte.settings.options import PackageSettings as PackageSettings
    from vfx_matte.settings.options import QcSettings as QcSettings
    from vfx_matte.settings.options import RenderSettings as RenderSettings
    from vfx_matte.settings.options import SegmentSettings as SegmentSettings
    from vfx_matte.settings.options import SuggestSettings as SuggestSettings

_EXPORTS = {
    "mask": "vfx_matte.api.masks",
    "segment": "vfx_matte.api.masks",
    "detect_objects": "vfx_matte.api.detect",
    "render_greenback": "vfx_matte.api.renders",
    "render_alpha": "vfx_matte.api.renders",
    "render_maskvideos": "vfx_matte.api.renders",
    "render_overlay": "vfx_matte.api.renders",
    "probe": "vfx_matte.api.checks",
    "verify": "vfx_matte.api.checks",
    "qc": "vfx_matte.api.checks",
    "suggest": "vfx_matte.api.checks",
    "evaluate": "vfx_matte.api.checks",
    "export_masks": "vfx_matte.api.exchange",
    "import_masks": "vfx_matte.api.exchange",
    "package": "vfx_matte.api.exports",
    "conform": "vfx_matte.api.exports",
    "FirstMaskResult": "vfx_matte.pipeline.first_mask",
    "MaskedObject": "vfx_matte.pipeline.first_mask",
    "SegmentResult": "vfx_matte.pipeline.segment.request",
    "DetectResult": "vfx_matte.pipeline.detect.request",
    "FoundObject": "vfx_matte.pipeline.detect.request",
    "RenderResult": "vfx_matte.pipeline.render.outputs",
    "MatteSettings": "vfx_matte.settings.options",
    "RenderSettings": "vfx_matte.settings.options",
    "GreenbackSettings": "vfx_matte.settings.options",
    "AlphaSettings": "vfx_matte.settings.options",
    "MaskvideoSettings": "vfx_matte.settings.options",
    "OverlaySettings": "vfx_matte.settings.options",
    "ClipInfo": "vfx_matte.media.probe",
    "VerifyReport": "vfx_matte.media.verify",
    "QcResult": "vfx_matte.pipeline.review.findings",
    "SuggestResult": "vfx_matte.pipeline.review.suggest",
    "Evaluation": "vfx_matte.pipeline.review.evaluate",
    "ExportResult": "vfx_matte.pipeline.exchange.exporting",
    "ImportResult": "vfx_matte.pipeline.exchange.importing",
    "PackageResult": "vfx_matte.pipeline.export.package",
    "ConformResult": "vfx_matte.pipeline.export.conform",
    "SuggestSettings": "vfx_matte.settings.options",
    "DetectSettings": "vfx_matte.settings.options",
    "QcSettings": "vfx_matte.settings.options",
    "PackageSettings": "vfx_matte.settings.options",
    "EncodeSettings": "vfx_matte.settings.options",
    "SegmentSettings": "vfx_matte.settings.options",
    "VfxMatteError": "vfx_matte.errors",
}
"""Public name → the module that defines it, which is imported when the name is first used."""

__all__ = [
    "__version__",
    "mask",
    "segment",
    "detect_objects",
    "render_greenback",
    "render_alpha",
    "render_maskvideos",
    "render_overlay",
    "probe",
    "verify",
    "qc",
    "suggest",
    "evaluate",
    "export_masks",
    "import_masks",
    "package",
    "conform",
    "FirstMaskResult",
    "MaskedObject",
    "SegmentResult",
    "DetectResult",
    "FoundObject",
    "RenderResult",
    "MatteSettings",
    "RenderSettings",
    "GreenbackSettings",
    "AlphaSettings",
    "MaskvideoSettings",
    "OverlaySettings",
    "ClipInfo",
    "VerifyReport",
    "QcResult",
    "SuggestResult",
    "Evaluation",
    "ExportResult",
    "ImportResult",
    "PackageResult",
    "ConformResult",
    "SuggestSettings",
    "DetectSettings",
    "QcSettings",
    "PackageSettings",
    "EncodeSettings",
    "SegmentSettings",
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
