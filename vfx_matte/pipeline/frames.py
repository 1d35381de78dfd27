"""Saves single frames of a clip as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vfx_matte.errors import UsageError, WorkspaceError
from vfx_matte.pipeline.clip import SourceClip, refuse_foreign, refuse_numbered, refuse_to_replace
from vfx_matte.wording import command, option
from vfx_matte.workspace import (
    ReferenceRecord,
    Workspace,
    clip_name,
    is_made_here,
    save_picture,
)


@dataclass(frozen=True, slots=True)
class SavedFrame:
    """One frame that was saved as a picture."""

    clip: Path
    """The clip."""
    frame: int
    """Its number, see `Timeline.number`."""
    picture: Path
    """The picture's file."""


def save_frame(
    clip: SourceClip, *, at: int | Fraction | None, output: Path | None, workspace: Path
) -> SavedFrame:
    """Save one frame as displayed, at the clip's own size.

    Args:
        clip: the clip.
        at: frame number, or seconds; None is the first frame.
        output: the picture, whose suffix decides the format; None is CLIP.NUMBER.png in the
            working directory.
        workspace: where the clip's masks are.

    Raises:
        UsageError: the clip does not have the frame, the picture's name has a place for a number,
            or it would replace the clip, a mask, a reference mask or a picture that was not made
            here.
        MediaError: the frame cannot be read.
        OutputError: the picture cannot be written.
    """
    frame = clip.reader.frame(0 if at is None else clip.frame_index(at))
    number = clip.info.timeline.number(frame.index)
    path = output or Path(f"{clip_name(clip.path)}.{number:07d}.png")
    refuse_numbered(path, clip.path)
    refuse_to_replace(clip.path, path, "the clip")
    if replaced := _replaced_mask(path, clip.path, workspace):
        raise UsageError(
            f"output {str(path)!r} would replace {replaced}",
            hint=f"choose another place with {option('output')}",
        )
    refuse_foreign(path, is_ours=is_made_here, maker=command("frame"))
    save_picture(path, frame.image)
    return SavedFrame(clip.path, number, path)


def _replaced_mask(path: Path, clip: Path, workspace: Path) -> str:
    """Which masks a picture at `path` would replace or join, in words; "" = none."""
    try:
        work = Workspace(workspace).find(clip)
        manifest = work.manifest() if work is not None else None
    except WorkspaceError:
        # a damaged workspace is no reason to refuse a still
        return ""
    if work is None:
        return ""
    if work.masks_folder.resolve() in path.resolve().parents:
        return "the masks"
    if manifest is None or not path.is_file():
        return ""
    # wherever it lies: a picture with the bytes of a reference is one
    known = {record.sha256 for record in manifest.references.values()}
    return "a reference mask" if known and ReferenceRecord.of(path, {}).sha256 in known else ""
