"""vfx-matte: cut anything out of a video, and stay in sync to the frame.

import vfx_matte

first = vfx_matte.mask("source/clip.mp4", box=(590, 35, 260, 650))
result = vfx_matte.segment("source/clip.mp4", references={0: first.mask, 33: "m33.png"})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfx_matte._version import __version__

if TYPE_CHECKING:
    from vfx_matte.api import FirstMaskResult as FirstMaskResult
    from vfx_matte.api import MaskedObject as MaskedObject
    from vfx_matte.api import SegmentResult as SegmentResult
    from vfx_matte.api import VfxMatteError as VfxMatteError
    from vfx_matte.api import mask as mask
    from vfx_matte.api import segment as segment

__all__ = [
    "__version__",
    "FirstMaskResult",
    "MaskedObject",
    "SegmentResult",
    "VfxMatteError",
    "mask",
    "segment",
]


def __getattr__(name: str) -> object:
    """Load the interface when it is first used: `import vfx_matte` and `vfx-matte --help` stay
    instant.
    """
    if name not in __all__:
        raise AttributeError(f"module 'vfx_matte' has no attribute {name!r}")
    from vfx_matte import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
