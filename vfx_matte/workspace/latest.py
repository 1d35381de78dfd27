"""The record of the clip that was segmented last.

Clocks go backwards, so the times in manifests alone do not tell which clip that is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.errors import WorkspaceError
from vfx_matte.files.inputs import read_small_file
from vfx_matte.printable import shortened
from vfx_matte.workspace.files import write_text
from vfx_matte.workspace.layout import ClipLayout
from vfx_matte.workspace.manifest import SourceStamp, file_name

LATEST_NAME = ".latest.json"
_MOST_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class LatestClip:
    """The clip that was segmented last, as its record has it."""

    folder: str
    """The name of its folder in the workspace."""
    source: str
    """The path of the clip."""
    fingerprint: str
    """The fingerprint of the clip's files (`SourceStamp`)."""


def note_latest(layout: ClipLayout, source: SourceStamp) -> None:
    """Note in the workspace that this clip is the one segmented last. Raises OutputError."""
    facts = {
        "folder": layout.folder.name,
        "source": str(source.path),
        "fingerprint": source.fingerprint,
    }
    # beside the clips' folders, and hidden, as users look at these
    write_text(layout.folder.parent / LATEST_NAME, json.dumps(facts, ensure_ascii=False) + "\n")


def read_latest(root: Path, *, hint: str) -> LatestClip | None:
    """The record in a workspace; None where there is none, as in workspaces of older programs.

    Raises:
        WorkspaceError: the record cannot be read, with this hint.
    """
    path = root / LATEST_NAME
    try:
        record = json.loads(
            read_small_file(path, what="record", most_bytes=_MOST_BYTES, error=WorkspaceError)
        )
        # a name with a folder in it could lead out of the workspace
        folder = file_name(record["folder"])
        return LatestClip(folder, str(record["source"]), str(record["fingerprint"]))
    except FileNotFoundError:
        return None
    # whatever is in a file of that name
    except (OSError, RecursionError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"{path} cannot be read: {shortened(error, 120)}", hint=hint
        ) from error
