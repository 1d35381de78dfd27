"""Which clip, and what is known about it. Takes what a user typed, gives an opened clip and its finished masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vfx_matte.errors import MediaError, UsageError, WorkspaceError
from vfx_matte.masks import Mask, Palette
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.read import ClipReader, open_clip
from vfx_matte.media.stills import is_sequence
from vfx_matte.pipeline.report import Reporter
from vfx_matte.workspace import ClipWorkspace, MaskStore, OutputRecord, Scalar, Workspace, clip_name


@dataclass(frozen=True, slots=True)
class SourceClip:
    """An opened clip."""

    path: Path
    reader: ClipReader

    @property
    def info(self) -> ClipInfo:
        """Facts about the clip, with its timeline."""
        return self.reader.info


@dataclass(frozen=True, slots=True)
class SegmentedClip:
    """An opened clip with its finished masks."""

    reader: ClipReader
    workspace: ClipWorkspace
    store: MaskStore
    palette: Palette = field(default_factory=Palette.davis)

    @property
    def info(self) -> ClipInfo:
        """Facts about the clip, with its timeline."""
        return self.reader.info

    @property
    def name(self) -> str:
        """The clip's name in file names."""
        return clip_name(self.info.path)

    @property
    def folder(self) -> Path:
        """Where outputs go."""
        return self.workspace.folder

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that the masks show."""
        return tuple(sorted(self.store.manifest.objects))

    def mask(self, frame_index: int) -> Mask | None:
        """The mask of one frame, uint8 (H, W), or None when it has none."""
        mask = self.store.get(frame_index)
        if mask is not None and mask.shape != self.info.shape:
            size = f"{mask.shape[1]}×{mask.shape[0]}"
            raise WorkspaceError(
                f"mask of frame {frame_index} is {size}, the clip is {self.info.width}×{self.info.height}",
                hint="segment the clip again with --fresh",
            )
        return mask

    def record(self, output: Path, kind: str, settings: Mapping[str, Scalar]) -> None:
        """Note in the manifest that an output was written."""
        self.workspace.record_output(output.name, OutputRecord(kind, dict(settings)))


def find_clip(clip: Path | None, *, source: Path, workspace: Path, default: Path | None) -> Path:
    """Find the clip that a user means.

    clip: as typed: a path, or a name inside the `source` folder. None takes `default` (config.ini's clip), or else the clip
    segmented last. Raises MediaError when it is not there, UsageError when there is none to take.
    """
    if clip is None:
        if default is not None:
            return _existing(default, source)
        latest = Workspace(workspace).latest()
        manifest = latest.manifest() if latest is not None else None
        if manifest is None:
            raise UsageError("no clip is given and none has been segmented yet", hint="name a clip: vfx-matte COMMAND CLIP")
        return _existing(manifest.source.path, source)
    return _existing(clip, source)


def _existing(clip: Path, source: Path) -> Path:
    for candidate in (clip, source / clip):
        if candidate.exists() or is_sequence(candidate):
            return candidate
    raise MediaError(f"there is no clip {str(clip)!r}", hint=f"check the path (also looked for in {str(source)!r})")


def open_source(
    path: Path, *, fps: Fraction | None = None, usual_fps: Fraction | None = None, reporter: Reporter
) -> SourceClip:
    """Open a clip.

    fps: rate of an image sequence; UsageError when it is given for a video, which has its own time. usual_fps: the rate of
    sequences when `fps` is None, without meaning for videos.
    """
    rate = fps or (usual_fps if is_sequence(path) else None)
    return SourceClip(path, open_clip(path, fps=rate, notify=reporter.notify))


def open_segmented(path: Path, *, workspace: Path, reporter: Reporter) -> SegmentedClip:
    """Open a clip together with its masks. Raises WorkspaceError when it has not been segmented, or has changed since."""
    place = Workspace(workspace).find(path)
    if place is None:
        raise WorkspaceError(
            f"{str(path)!r} has no masks yet", hint=f'first run: vfx-matte segment "{path}" --first-mask mask.png'
        )
    store = place.mask_store()
    fps = store.manifest.timeline.average_fps if is_sequence(path) else None
    clip = open_source(path, fps=fps, reporter=reporter)
    if clip.info.timeline != store.manifest.timeline:
        raise WorkspaceError(f"{str(path)!r} is not the clip its masks were made for", hint="segment it again with --fresh")
    if not store.manifest.is_complete:
        reporter.notify(f"{place.folder} is not complete; run segment with --resume to finish it")
    return SegmentedClip(clip.reader, place, store)
