"""A run of segment while it goes on.

Takes masks as they come, gives files and a manifest that agree at every moment.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vfx_matte.errors import OutputError
from vfx_matte.files.atomic import AtomicPlace, output_error, sweep
from vfx_matte.masks import Mask, Palette
from vfx_matte.workspace.files import Soft, save_mask, save_soft, write_text
from vfx_matte.workspace.manifest import UNKNOWN, Manifest, Ranges, save_manifest, to_ranges
from vfx_matte.workspace.walk_states import State, WalkStateFolder

if TYPE_CHECKING:
    from vfx_matte.workspace.clip import ClipWorkspace

SAVE_INTERVAL_SECONDS = 1.0


class SegmentRun:
    """One run of segment that saves masks as they come; a context manager that saves its progress
    on every way out.

    The manifest is written with the first mask, about once a second, and at the end: after a kill
    at most about a second of work is repeated. Safe to use from several threads. Made by
    `ClipWorkspace.start_run`.
    manifest: with the frames that are done. replaces: whether all earlier work gives way; again:
    single frames of it that do.
    held: what is let go when the run is closed.
    """

    def __init__(
        self,
        clip: ClipWorkspace,
        manifest: Manifest,
        *,
        palette: Palette,
        replaces: bool,
        again: frozenset[int],
        clock: Callable[[], float],
        held: contextlib.ExitStack,
    ) -> None:
        self.clip = clip
        self._manifest = manifest
        self._palette = palette
        self._done = manifest.done_frames()
        unknown = (UNKNOWN,) * (manifest.stop - manifest.start)
        self._confidence = {
            object_id: list(manifest.confidence.get(object_id, unknown))
            for object_id in manifest.objects
        }
        self._replaces, self._again = replaces, again
        self._clock = clock
        self._held = held
        self._begun = False
        self._aside: _Aside | None = None
        self._dirty = False
        self._saved_at = clock()
        self._lock = threading.Lock()
        self._states = WalkStateFolder(clip.states_folder, manifest.work_digest)

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
        """True when everything of this frame is on disk."""
        with self._lock:
            return frame_index in self._done

    @property
    def is_soft(self) -> bool:
        """True when `save_mask` needs every object's probability."""
        return self._manifest.is_soft

    def note_confidence(self, frame_index: int, confidence: Mapping[int, float]) -> None:
        """Keep how sure the masks of one frame are, by object id, in [0, 1]; it is saved with the
        manifest.
        """
        with self._lock:
            for object_id, value in confidence.items():
                self._confidence[object_id][frame_index - self._manifest.start] = round(100 * value)

    def note_working_size(self, size: int | None) -> None:
        """Keep the size that the propagator chose; it is saved with the manifest."""
        with self._lock:
            self._manifest = replace(self._manifest, working_size=size)

    def save_mask(
        self, frame_index: int, mask: Mask, soft: Mapping[int, Soft] | None = None
    ) -> None:
        """Save what is known about one frame, the mask last, and count it as done.

        mask: uint8 (H, W), object ids. soft: uint8 (H, W) by object id, 255 = certain; of every
        object of the run when it is a soft one, and None otherwise. Raises OutputError; ValueError
        for a frame outside the range and other objects.
        """
        if not self._manifest.start <= frame_index < self._manifest.stop:
            raise ValueError(
                f"frame {frame_index} is outside [{self._manifest.start}, {self._manifest.stop})"
            )
        kept = {} if soft is None else soft
        expected = self._manifest.objects if self.is_soft else {}
        if kept.keys() != expected.keys():
            raise ValueError(
                f"soft results of objects {sorted(kept)}, expected those of {sorted(expected)}"
            )
        with self._lock:
            if not self._begun:
                self._begin()
        number = self._manifest.timeline.number(frame_index)
        for object_id, probability in kept.items():
            save_soft(self.clip.soft_path(object_id, number), probability)
        save_mask(self.clip.mask_path(number), mask, self._palette)
        self.mark_done(frame_index)

    def mark_done(self, frame_index: int) -> None:
        """Count a frame as done whose files are complete."""
        with self._lock:
            self._done.add(frame_index)
            self._dirty = True
            if self._clock() - self._saved_at >= SAVE_INTERVAL_SECONDS:
                self._save()

    def save_state(self, walk: str, frame_index: int, state: State | None) -> None:
        """Keep what a walk has become after `frame_index`, to go on from after a stop; None: it is
        not needed any more.

        walk: its name, letters and digits. Call it when every frame that the walk gave so far is
        saved: they are counted as done first, so that a state never knows more than the manifest.
        Raises OutputError.
        """
        with self._lock:
            if state is None:
                self._states.drop(walk)
                return
            if not self._begun:
                self._begin()
            if self._dirty:
                self._save()
            self._states.save(walk, frame_index, state)

    def load_state(self, walk: str) -> tuple[int, State] | None:
        """What `save_state` kept last of a walk of the same work: (frame index, state); None when
        there is nothing of use.
        """
        return None if self._replaces else self._states.load(walk)

    def close(self) -> None:
        """Save the progress and let other runs in."""
        with self._held, self._lock:
            if self._dirty:
                self._save()
                self.clip.note_latest(self._manifest.source)
            if len(self._done) == self._manifest.stop - self._manifest.start:
                self._states.clear()
            if self._aside is not None:
                self._aside.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._aside is not None and isinstance(error, OutputError):
            with self._lock:
                # the disk is full, say: the earlier work is worth more than a part of the new
                self._aside.put_back()
                self._dirty = False
        # what stopped the run is the news; that its progress could not be saved as well (disk full)
        # is not
        with contextlib.suppress(*((OutputError,) if error is not None else ())):
            self.close()

    def _current(self) -> Manifest:
        confidence = {object_id: tuple(values) for object_id, values in self._confidence.items()}
        return replace(self._manifest, done=to_ranges(self._done), confidence=confidence)

    def _save(self) -> None:
        self._manifest = replace(self._current(), segmented_at=_now())
        save_manifest(self.clip.manifest_path, self._manifest)
        self._dirty = False
        self._saved_at = self._clock()

    def _begin(self) -> None:
        """Just before the first mask: put earlier work aside if this run replaces it, and claim the
        folder.
        """
        for place in (self.clip.masks_folder, *map(self.clip.soft_folder, self._manifest.objects)):
            sweep(place)
        if self._replaces or self._again:
            self._states.clear()
            numbers = None if self._replaces else map(self._manifest.timeline.number, self._again)
            self._aside = _Aside(self.clip, numbers=numbers, object_ids=self._manifest.objects)
        self._save()
        self.clip.note_latest(self._manifest.source)
        self._begun = True


class _Aside:
    """Earlier work that gives way: masks.previous and manifest.previous.json, until the run that
    replaces it has succeeded.

    What had these names is kept too until then, in a temporary folder.
    """

    def __init__(
        self, clip: ClipWorkspace, *, numbers: Iterable[int] | None, object_ids: Iterable[int]
    ) -> None:
        """Put aside all masks, or with `numbers` of frames only theirs and a copy of the manifest.

        Raises OutputError.

        Killed halfway, nothing is lost: the manifest still counts frames without a mask as done,
        and --resume makes them again.
        """
        self._clip, self._whole = clip, numbers is None
        self._has_masks = self._has_manifest = False
        self._masks, self._manifest = (
            clip.folder / "masks.previous",
            clip.folder / "manifest.previous.json",
        )
        try:
            self._older = AtomicPlace(clip.folder / "previous")
        except OSError as error:
            raise output_error(clip.folder, error) from error
        try:
            self._older.part.mkdir()
            if numbers is None:
                self._put_all()
            else:
                self._put_some(numbers, object_ids)
        except BaseException as error:
            self.put_back()
            if isinstance(error, OSError):
                raise output_error(clip.folder, error) from error
            raise

    def _put_all(self) -> None:
        masks, manifest = self._clip.masks_folder, self._clip.manifest_path
        if masks.is_dir() and any(masks.iterdir()):
            self._make_room(self._masks)
            masks.replace(self._masks)
            self._has_masks = True
        if manifest.exists():
            self._make_room(self._manifest)
            manifest.replace(self._manifest)
            self._has_manifest = True

    def _put_some(self, numbers: Iterable[int], object_ids: Iterable[int]) -> None:
        clip = self._clip
        paths = [clip.mask_path(number) for number in numbers]
        paths += [
            clip.soft_path(object_id, int(path.stem)) for object_id in object_ids for path in paths
        ]
        self._make_room(self._masks)
        self._make_room(self._manifest)
        self._has_masks = True
        write_text(self._manifest, clip.manifest_path.read_text(encoding="utf-8"))
        self._has_manifest = True
        for path in paths:
            if path.exists():
                target = self._masks / path.relative_to(clip.masks_folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)

    def _make_room(self, place: Path) -> None:
        if place.exists():
            place.replace(self._older.part / place.name)

    def put_back(self) -> None:
        """Have everything as it was before, as far as the system allows."""
        clip = self._clip
        with contextlib.suppress(OSError):
            if self._has_masks and self._whole:
                shutil.rmtree(clip.masks_folder, ignore_errors=True)
                self._masks.rename(clip.masks_folder)
            elif self._has_masks:
                for path in self._masks.rglob("*.png"):
                    path.replace(clip.masks_folder / path.relative_to(self._masks))
                shutil.rmtree(self._masks, ignore_errors=True)
            if self._has_manifest:
                self._manifest.replace(clip.manifest_path)
            for older in self._older.part.iterdir():
                older.rename(clip.folder / older.name)
        self.forget()

    def forget(self) -> None:
        """The run has succeeded, or can be resumed: what was older than the earlier work goes."""
        self._older.discard()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
