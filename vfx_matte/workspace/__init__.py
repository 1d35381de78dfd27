"""Masks, references and manifests on disk.

Takes paths and masks, gives whole files and typed records; never decodes video.
"""

from __future__ import annotations

from vfx_matte.workspace.clip import ClipWorkspace, MaskStore, Workspace, clip_name
from vfx_matte.workspace.files import (
    Soft,
    load_mask,
    load_soft,
    save_mask,
    save_picture,
    save_soft,
    write_text,
)
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

__all__ = [
    "Workspace",
    "ClipWorkspace",
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
    "save_picture",
    "write_text",
]
