"""One folder for each clip: masks, manifest, outputs. Takes a source, gives paths and runs; never mixes two works."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from vfx_matte import __version__
from vfx_matte.errors import OutputError, WorkspaceError
from vfx_matte.masks import Mask, Palette
from vfx_matte.workspace.files import PART_SUFFIX, load_mask, output_error, save_mask
from vfx_matte.workspace.lock import WriterLock
from vfx_matte.workspace.manifest import (
    Manifest,
    OutputRecord,
    Ranges,
    SourceStamp,
    load_manifest,
    save_manifest,
    to_ranges,
    with_output,
)

SAVE_INTERVAL_SECONDS = 1.0
LOCK_NAME = ".segment.lock"

_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{name}{digit}" for name in ("COM", "LPT") for digit in range(1, 10))})
_NUMBER_PATTERN = r"[._\- ]*%0?[0-9]*d[._\- ]*"
_LONGEST_NAME_BYTES = 120  # leaves room for file names below Windows' 260 characters and Linux's 255 bytes


def clip_name(source: Path) -> str:
    """The folder name of a clip: its stem, safe on every system. plate.%04d.png → "plate"; a folder → its name.

    Unicode is kept (NFC). Characters that Windows forbids, leading dots and dashes and trailing dots and spaces become "_"
    or go; reserved device names get a "_" in front.
    """
    stem = source.resolve().name if source.is_dir() else source.stem
    if re.search(_NUMBER_PATTERN, stem):
        stem = re.sub(_NUMBER_PATTERN, "_", stem).strip("_") or source.absolute().parent.name
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", unicodedata.normalize("NFC", stem)).lstrip(". ")
    name = name.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore").rstrip(". ")
    if name.startswith("-") or name.partition(".")[0].upper() in _RESERVED:
        name = f"_{name}"
    return name or "clip"


@dataclass(frozen=True, slots=True)
class ClipWorkspace:
    """The folder of one clip; nothing in it is made before it is needed.

    masks/%07d.png: palette PNG, index = object id, the number is the frame index. masks.previous/ and
    manifest.previous.json: the one earlier generation that --fresh keeps. .segment.lock: held while a run is going on.
    """

    folder: Path

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is."""
        return self.folder / "manifest.json"

    @property
    def masks_folder(self) -> Path:
        """Where the masks are."""
        return self.folder / "masks"

    def mask_path(self, frame_index: int) -> Path:
        """Where the mask of one frame is."""
        return self.masks_folder / f"{frame_index:07d}.png"

    def output_path(self, name: str) -> Path:
        """Where an output of this name belongs, e.g. "greenback.mp4"."""
        return self.folder / name

    def manifest(self) -> Manifest | None:
        """What is known about the masks, or None. Raises WorkspaceError when it is damaged."""
        return load_manifest(self.manifest_path)

    def mask_store(self) -> MaskStore:
        """The finished masks. Raises WorkspaceError when there are none."""
        manifest = self.manifest()
        if manifest is None:
            raise WorkspaceError(
                f"{self.folder} holds no masks", hint="make them first: vfx-matte segment CLIP --first-mask mask.png"
            )
        return MaskStore(self, manifest)

    def record_output(self, name: str, record: OutputRecord) -> None:
        """Note in the manifest that an output was written, when there is a manifest and no run is writing it just now."""
        with contextlib.suppress(WorkspaceError), WriterLock(self.folder / LOCK_NAME):
            manifest = self.manifest()
            if manifest is not None:
                save_manifest(self.manifest_path, with_output(manifest, name, record))

    def start_run(
        self,
        plan: Manifest,
        *,
        palette: Palette,
        resume: bool = False,
        fresh: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> SegmentRun:
        """Begin to segment, or go on.

        plan: what is going to be done (`done` and `outputs` empty). The rules:
        no earlier work: start. Earlier work from the same clip, references, propagator, settings and range: go on with
        `resume`, otherwise WorkspaceError. Any other earlier work, damaged work, or masks without a manifest:
        WorkspaceError. With `fresh`, start anyway; the earlier masks and manifest stay in place until the first new mask
        is about to be saved and become masks.previous and manifest.previous.json (one generation is kept).
        Until the run is closed, a second one on this folder, in whatever process, is a WorkspaceError too.
        """
        with contextlib.ExitStack() as held:
            held.enter_context(WriterLock(self.folder / LOCK_NAME))
            manifest, done = (plan, set[int]()) if fresh else self._begin_with(plan, resume=resume)
            return SegmentRun(self, manifest, palette=palette, done=done, replaces=fresh, clock=clock, held=held.pop_all())

    def _begin_with(self, plan: Manifest, *, resume: bool) -> tuple[Manifest, set[int]]:
        """The manifest to go on with and the frames that are done, by the rules of `start_run`."""
        earlier = self.manifest()
        if earlier is None:
            if self.masks_folder.is_dir() and any(self.masks_folder.glob("*.png")):
                raise WorkspaceError(
                    f"{self.masks_folder} holds masks, but no manifest says what they belong to",
                    hint="move them away, or add --fresh (it keeps them in masks.previous)",
                )
            return plan, set()
        self._check_same_work(earlier, plan)
        done = {frame_index for frame_index in earlier.done_frames() if _is_there(self.mask_path(frame_index))}
        complete = len(done) == plan.stop - plan.start
        if not resume:
            state = "is complete" if complete else f"stopped after {len(done)} of {plan.stop - plan.start} frames"
            hint = "add --resume to go on where it stopped, or --fresh to start again"
            if complete:
                hint = "render it (vfx-matte greenback), or add --fresh to segment again"
            raise WorkspaceError(f"{self.folder} already holds this work, which {state}", hint=hint)
        if not complete and earlier.program_version != __version__:
            raise WorkspaceError(
                f"{self.folder} was begun by vfx-matte {earlier.program_version}, this is {__version__}: masks may differ",
                hint="add --fresh to start again",
            )
        return replace(earlier, source=plan.source, done=to_ranges(done)), done

    def _check_same_work(self, earlier: Manifest, plan: Manifest) -> None:
        differences = plan.differences(earlier)
        if "clip" in differences:
            raise WorkspaceError(
                f"{self.folder} holds the work on another clip, or another version of it: {earlier.source.path}",
                hint="use another --workspace for this one, or add --fresh to replace that work",
            )
        if differences:
            raise WorkspaceError(
                f"{self.folder} holds work with other settings; different are: {', '.join(differences)}",
                hint="add --fresh to start again (the earlier masks are kept in masks.previous), or use another --workspace",
            )


class SegmentRun:
    """One run of segment that saves masks as they come; a context manager that saves its progress on every way out.

    The manifest is written with the first mask, about once a second, and at the end: after a kill at most about a second
    of work is repeated. Safe to use from several threads. Made by `ClipWorkspace.start_run`.
    held: what is let go when the run is closed.
    """

    def __init__(
        self,
        clip: ClipWorkspace,
        manifest: Manifest,
        *,
        palette: Palette,
        done: set[int],
        replaces: bool,
        clock: Callable[[], float],
        held: contextlib.ExitStack,
    ) -> None:
        self.clip = clip
        self._manifest = manifest
        self._palette = palette
        self._done = done
        self._replaces = replaces
        self._clock = clock
        self._held = held
        self._begun = False
        self._dirty = False
        self._saved_at = clock()
        self._lock = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """The manifest with the progress so far."""
        with self._lock:
            return self._current()

    @property
    def missing(self) -> Ranges:
        """Half-open ranges of frames that still need a mask."""
        with self._lock:
            wanted = range(self._manifest.start, self._manifest.stop)
            return to_ranges(frame_index for frame_index in wanted if frame_index not in self._done)

    def is_done(self, frame_index: int) -> bool:
        """True when the mask of this frame is on disk."""
        with self._lock:
            return frame_index in self._done

    def save_mask(self, frame_index: int, mask: Mask) -> None:
        """Save the mask of one frame and count it as done. Raises OutputError; ValueError for a frame outside the range."""
        if not self._manifest.start <= frame_index < self._manifest.stop:
            raise ValueError(f"frame {frame_index} is outside [{self._manifest.start}, {self._manifest.stop})")
        with self._lock:
            if not self._begun:
                self._begin()
        save_mask(self.clip.mask_path(frame_index), mask, self._palette)
        self.mark_done(frame_index)

    def mark_done(self, frame_index: int) -> None:
        """Count a frame as done whose mask file is complete."""
        with self._lock:
            self._done.add(frame_index)
            self._dirty = True
            if self._clock() - self._saved_at >= SAVE_INTERVAL_SECONDS:
                self._save()

    def close(self) -> None:
        """Save the progress and let other runs in."""
        with self._held, self._lock:
            if self._dirty:
                self._save()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # what stopped the run is the news; that its progress could not be saved as well (disk full) is not
        with contextlib.suppress(*((OutputError,) if error is not None else ())):
            self.close()

    def _current(self) -> Manifest:
        return replace(self._manifest, done=to_ranges(self._done))

    def _save(self) -> None:
        self._manifest = replace(self._current(), segmented_at=_now())
        save_manifest(self.clip.manifest_path, self._manifest)
        self._dirty = False
        self._saved_at = self._clock()

    def _begin(self) -> None:
        """Just before the first mask: put earlier work aside if this run replaces it, and claim the folder."""
        for left_over in self.clip.masks_folder.glob(f".*{PART_SUFFIX}"):
            left_over.unlink(missing_ok=True)
        if self._replaces:
            _keep_as_previous(self.clip)
        self._save()
        self._begun = True


class MaskStore:
    """The finished masks of one clip, for renders. Holds no picture: memory does not grow with the clip."""

    def __init__(self, clip: ClipWorkspace, manifest: Manifest) -> None:
        self.clip = clip
        self.manifest = manifest
        self._done = frozenset(manifest.done_frames())

    def get(self, frame_index: int) -> Mask | None:
        """The mask of one frame, uint8 (H, W), or None when it has none: outside the range, not done, or deleted.

        Renders show such a frame as background only. Raises MaskError when the file is damaged.
        """
        path = self.clip.mask_path(frame_index)
        return load_mask(path) if frame_index in self._done and path.exists() else None


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that holds one ClipWorkspace for each clip."""

    root: Path

    def clip(self, source: Path) -> ClipWorkspace:
        """The place for a clip, whether there is something in it or not."""
        return ClipWorkspace(self.root / clip_name(source))

    def find(self, source: Path) -> ClipWorkspace | None:
        """The work on this clip, or None when there is none.

        Raises WorkspaceError when its folder holds work on another clip of that name, or a damaged manifest.
        """
        clip = self.clip(source)
        manifest = clip.manifest()
        if manifest is None:
            return None
        if not manifest.source.is_same_clip(SourceStamp.of(source)):
            raise WorkspaceError(
                f"{clip.folder} holds the work on another clip, or another version of it: {manifest.source.path}",
                hint="segment this clip first, with another --workspace or with --fresh",
            )
        return clip

    def latest(self) -> ClipWorkspace | None:
        """The clip segmented last, by the time in its manifest; folders whose manifest cannot be read are passed over."""
        found: list[tuple[str, ClipWorkspace]] = []
        for path in self.root.glob("*/manifest.json"):
            clip = ClipWorkspace(path.parent)
            with contextlib.suppress(WorkspaceError):
                manifest = clip.manifest()
                if manifest is not None:
                    found.append((manifest.segmented_at, clip))
        return max(found, key=lambda pair: pair[0])[1] if found else None


def _keep_as_previous(clip: ClipWorkspace) -> None:
    """Rename the masks and the manifest to *.previous*; what was there before goes. Killed halfway, nothing is lost."""
    masks, manifest = clip.masks_folder, clip.manifest_path
    previous_masks, previous_manifest = clip.folder / "masks.previous", clip.folder / "manifest.previous.json"
    try:
        if masks.is_dir() and any(masks.iterdir()):
            shutil.rmtree(previous_masks, ignore_errors=True)
            masks.replace(previous_masks)
        if manifest.exists():
            manifest.replace(previous_manifest)
    except OSError as error:
        raise output_error(clip.folder, error) from error


def _is_there(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
