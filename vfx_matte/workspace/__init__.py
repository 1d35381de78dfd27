"""Masks, references and manifests on disk. Takes paths and masks, gives whole files and typed records; never decodes video."""

from __future__ import annotations

from vfx_matte.workspace.clip import ClipWorkspace, MaskStore, SegmentRun, Workspace, clip_name
from vfx_matte.workspace.files import atomic_path, load_mask, save_mask, save_picture, write_text
from vfx_matte.workspace.manifest import Manifest, OutputRecord, Ranges, ReferenceRecord, Scalar, SourceStamp, to_ranges
from vfx_matte.workspace.references import collect_references, load_mask_picture, parse_mask_argument

__all__ = [
    "Workspace",
    "ClipWorkspace",
    "clip_name",
    "SegmentRun",
    "MaskStore",
    "Manifest",
    "SourceStamp",
    "ReferenceRecord",
    "OutputRecord",
    "Scalar",
    "Ranges",
    "to_ranges",
    "load_mask_picture",
    "collect_references",
    "parse_mask_argument",
    "save_mask",
    "load_mask",
    "save_picture",
    "atomic_path",
    "write_text",
]
