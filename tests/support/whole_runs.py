"""What a run of `segment` left, to compare it with another one byte by byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def manifest_without_time(folder: Path) -> Mapping[str, Any]:
    """The manifest of a clip's folder, but for when it was written."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return {key: value for key, value in manifest.items() if key != "segmented_at"}


def mask_files(folder: Path) -> dict[str, bytes]:
    """Every file of masks and of soft results, by its name below the masks' folder."""
    masks = folder / "masks"
    return {
        path.relative_to(masks).as_posix(): path.read_bytes()
        for path in sorted(masks.rglob("*"))
        if path.is_file()
    }
