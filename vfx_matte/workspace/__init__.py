"""The user's work on disk: masks, probabilities and a manifest per clip.

Files are written whole or not at all. No video is decoded here.
"""

from __future__ import annotations

from vfx_matte.workspace.clip import ClipWorkspace, Workspace
from vfx_matte.workspace.files import (
    Soft,
    is_made_here,
    load_mask,
    load_soft,
    save_mask,
    save_picture,
    save_soft,
    write_text,
)
from vfx_matte.workspace.layout import ClipLayout, clip_name
from vfx_matte.workspace.manifest import (
    SOFT,
    UNKNOWN,
    Manifest,
    OutputRecord,
    Ranges,
    ReferenceRecord,
    Scalar,
    SourceStamp,
    to_ranges,
)
from vfx_matte.workspace.run import SegmentRun
from vfx_matte.workspace.store import MaskStore

__all__ = [
    "Workspace",
    "ClipWorkspace",
    "ClipLayout",
    "clip_name",
    "SegmentRun",
    "MaskStore",
    "Manifest",
    "SOFT",
    "UNKNOWN",
    "SourceStamp",
    "ReferenceRecord",
    "OutputRecord",
    "Scalar",
    "Ranges",
    "to_ranges",
    "save_mask",
    "load_mask",
    "Soft",
    "save_soft",
    "load_soft",
    "is_made_here",
    "save_picture",
    "write_text",
]
