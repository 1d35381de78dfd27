"""Saves the masks, the progress and the walks' states of a run of `segment`.

Files and manifest agree at every moment: a frame is counted as done after its files are complete,
and a walk's state is saved after the frames that it has passed.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from vfx_matte.errors import OutputError, WorkspaceError
from vfx_matte.files.atomic import AtomicOutput, output_error, remove_leftovers
from vfx_matte.masks import Mask, Palette
from vfx_matte.workspace.files import Soft, save_mask, save_soft, write_text
from vfx_matte.workspace.latest import note_latest
from vfx_matte.workspace.layout import ClipLayout
from vfx_matte.workspace.manifest import (
    UNKNOWN,
    Manifest,
    Ranges,
    load_manifest,
    save_manifest,
    to_ranges,
)
from vfx_matte.workspace.walk_states import State, WalkStateFolder

SAVE_INTERVAL_SECONDS = 1.0
"""How often the manifest is written: what a kill may cost, against a write of a large file."""


class SegmentRun:
    """One run of segment; a context manager that saves its progress on every way out.

    The manifest is written with the first mask, about once a second, and at the end: after a kill
    at most about a second of work is repeated. Safe to use from several threads. Made by
    `ClipWorkspace.start_run`.

    Args:
        clip: where the files go.
        manifest: the plan, with the frames that are done.
        palette: of the masks' PNG files.
        replaces: whether all earlier work gives way.
        redo: single frames of earlier work that give way.
        clock: seconds.
        is_alone: whether other runs are kept out of the folder.
        resources: closed with the run, such as the lock of the folder.
    """

    def __init__(
        self,
        clip: ClipLayout,
        manifest: Manifest,
        *,
        palette: Palette,
        replaces: bool,
        redo: frozenset[int],
        clock: Callable[[], float],
        is_alone: bool,
        resources: contextlib.ExitStack,
    ) -> None:
        self.clip = clip
        self.is_alone = is_alone
        self._manifest = manifest
        self._palette = palette
        self._done = manifest.done_frames()
        unknown = (UNKNOWN,) * (manifest.stop - manifest.start)
        self._confidence = {
            object_id: list(manifest.confidence.get(object_id, unknown))
            for object_id in manifest.objects
        }
        self._replaces, self._redo = replaces, redo
        self._clock = clock
        self._resources = resources
        # nothing on disk is touched before the first mask or state is there to be saved
        self._has_begun = False
        self._replaced: _ReplacedWork | None = None
        self._is_dirty = False
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

    @property
    def is_soft(self) -> bool:
        """Whether `save_mask` needs every object's probability."""
        return self._manifest.is_soft

    def note_confidence(self, frame_index: int, confidence: Mapping[int, float]) -> None:
        """Keep the confidence of one frame's masks, to be saved with the manifest.

        Args:
            frame_index: the frame, within the run's range.
            confidence: object id → 0 … 1.
        """
        with self._lock:
            for object_id, value in confidence.items():
                # whole per cents: a manifest holds one per frame and object, and more digits would
                # say nothing
                self._confidence[object_id][frame_index - self._manifest.start] = round(100 * value)

    def note_working_size(self, size: int | None) -> None:
        """Keep the size that the propagator chose (short side, px), to be saved with the
        manifest.
        """
        with self._lock:
            self._manifest = replace(self._manifest, working_size=size)

    def save_mask(
        self, frame_index: int, mask: Mask, soft: Mapping[int, Soft] | None = None
    ) -> None:
        """Save what is known about one frame, the mask last, and count it as done.

        Args:
            frame_index: the frame.
            mask: uint8 (H, W), object ids.
            soft: object id → uint8 (H, W), 255 = certain; of every object of the run when it is a
                soft one, and None otherwise.

        Raises:
            OutputError: a file cannot be written.
            ValueError: the frame is outside the range, or the objects are others.
        """
        if not self._manifest.start <= frame_index < self._manifest.stop:
            raise ValueError(
                f"frame {frame_index} is outside [{self._manifest.start}, {self._manifest.stop})"
            )
        probabilities = soft or {}
        expected = self._manifest.objects if self.is_soft else {}
        if probabilities.keys() != expected.keys():
            raise ValueError(
                f"soft results of objects {sorted(probabilities)}, expected those of"
                f" {sorted(expected)}"
            )
        with self._lock:
            self._begin()
        # outside of the lock, so that several threads compress at a time
        number = self._manifest.timeline.number(frame_index)
        # the mask last: a frame that has one has all its files
        for object_id, probability in probabilities.items():
            save_soft(self.clip.soft_path(object_id, number), probability)
        save_mask(self.clip.mask_path(number), mask, self._palette)
        self.mark_done(frame_index)

    def mark_done(self, frame_index: int) -> None:
        """Count a frame, whose files are complete, as done."""
        with self._lock:
            self._done.add(frame_index)
            self._is_dirty = True
            # not with every mask: a manifest of a long clip takes longer to write than a mask
            if self._clock() - self._saved_at >= SAVE_INTERVAL_SECONDS:
                self._save()

    def take_in(self, part: ClipLayout, manifest: Manifest) -> list[int]:
        """Move the finished masks of a part of the same work here, and count them as done.

        Frames that are done already stay as they are, and so does a part whose propagator chose
        another working size: its masks would not match.

        Args:
            part: where its files are, on the same disk; nobody else writes them.
            manifest: of the part, of the same work (`Manifest.work_digest`).

        Returns:
            The frames that were taken in, ascending.

        Raises:
            OutputError: a file cannot be moved.
        """
        size = self._manifest.working_size
        if None not in (size, manifest.working_size) and size != manifest.working_size:
            return []
        taken = []
        objects = self._manifest.objects if self.is_soft else ()
        for index in sorted(manifest.done_frames()):
            number = self._manifest.timeline.number(index)
            softs = [part.soft_path(object_id, number) for object_id in objects]
            # the mask last: a frame that has one has all its files
            files = [*softs, part.mask_path(number)]
            if index in self._done or not all(path.is_file() for path in files):
                continue
            with self._lock:
                self._begin()
            try:
                for path in files:
                    target = self.clip.masks_folder / path.relative_to(part.masks_folder)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
            except OSError as error:
                raise output_error(self.clip.masks_folder, error) from error
            with self._lock:
                place = index - self._manifest.start
                for object_id, values in manifest.confidence.items():
                    self._confidence[object_id][place] = values[place]
            self.mark_done(index)
            taken.append(index)
        if taken and size is None:
            self.note_working_size(manifest.working_size)
        return taken

    def save_state(self, walk: str, frame_index: int, state: State | None) -> None:
        """Keep the state of a walk, to continue from after a stop.

        To be called when every frame that the walk gave so far is saved: they are counted as done
        first, so that a state never knows more than the manifest.

        Args:
            walk: its name, letters and digits.
            frame_index: the last frame that it has passed.
            state: what it knows; None: it is not needed any more.

        Raises:
            OutputError: the state cannot be written.
        """
        with self._lock:
            if state is None:
                self._states.drop(walk)
                return
            self._begin()
            if self._is_dirty:
                self._save()
            self._states.save(walk, frame_index, state)

    def load_state(self, walk: str) -> tuple[int, State] | None:
        """The latest state of a walk of the same work: (frame index, state); None where there is
        none of use.
        """
        # a fresh run clears them with its first mask, and may ask before that
        return None if self._replaces else self._states.load(walk)

    def close(self) -> None:
        """Save the progress and let other runs in."""
        with self._resources, self._lock:
            if self._is_dirty:
                self._save()
                note_latest(self.clip, self._manifest.source)
            # states of complete work are never read again, and can be gigabytes
            if len(self._done) == self._manifest.stop - self._manifest.start:
                self._states.clear()
            if self._replaced is not None:
                self._replaced.discard_older()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._replaced is not None and isinstance(error, OutputError):
            with self._lock:
                # the disk is full, say: the earlier work is worth more than a part of the new
                self._replaced.restore()
                self._is_dirty = False
        # the error that stopped the run is shown, not the one that its progress could not be saved
        # either
        with contextlib.suppress(*((OutputError,) if error is not None else ())):
            self.close()

    def _current(self) -> Manifest:
        confidence = {object_id: tuple(values) for object_id, values in self._confidence.items()}
        return replace(self._manifest, done=to_ranges(self._done), confidence=confidence)

    def _save(self) -> None:
        self._manifest = replace(self._current(), segmented_at=_now())
        save_manifest(self.clip.manifest_path, self._manifest)
        self._is_dirty = False
        self._saved_at = self._clock()

    def _begin(self) -> None:
        """Before the first mask or state: put earlier work aside if this run replaces it, and claim
        the folder; later calls do nothing.
        """
        if self._has_begun:
            return
        # what a killed run left half written
        for folder in (self.clip.masks_folder, *map(self.clip.soft_folder, self._manifest.objects)):
            remove_leftovers(folder)
        if self._replaces or self._redo:
            # the states know masks that give way
            self._states.clear()
            numbers = None if self._replaces else map(self._manifest.timeline.number, self._redo)
            self._replaced = _ReplacedWork(
                self.clip, numbers=numbers, object_ids=self._manifest.objects
            )
        self._save()
        note_latest(self.clip, self._manifest.source)
        self._has_begun = True


class _ReplacedWork:
    """Earlier work that gives way: it is moved to `previous_masks_folder` and
    `previous_manifest_path` until the run that replaces it has succeeded.

    An older generation that lies there already is kept too until then, in a temporary folder. Where
    that one is whole and the work that gives way was stopped before it was, it stays where it is,
    and the stopped work lies in the temporary folder.
    """

    def __init__(
        self, clip: ClipLayout, *, numbers: Iterable[int] | None, object_ids: Iterable[int]
    ) -> None:
        """Put masks aside.

        Killed halfway, nothing is lost: the manifest still counts frames without a mask as done,
        and a run that resumes makes them again.

        Args:
            clip: where they are.
            numbers: of the frames that give way, whose masks are moved while the manifest is
                copied; None moves everything.
            object_ids: of the probabilities that go with these frames.

        Raises:
            OutputError: a file cannot be moved; everything is where it was then.
        """
        self._clip, self._is_whole = clip, numbers is None
        self._has_masks = self._has_manifest = False
        self._masks, self._manifest = clip.previous_masks_folder, clip.previous_manifest_path
        try:
            self._older = AtomicOutput(clip.folder / "previous")
        except OSError as error:
            raise output_error(clip.folder, error) from error
        try:
            self._older.part.mkdir()
            if numbers is None:
                self._move_all()
            else:
                self._move_frames(numbers, object_ids)
        except BaseException as error:
            self.restore()
            if isinstance(error, OSError):
                raise output_error(clip.folder, error) from error
            raise

    def _move_all(self) -> None:
        masks, manifest = self._clip.masks_folder, self._clip.manifest_path
        if self._is_worth_less():
            self._masks = self._older.part / masks.name
            self._manifest = self._older.part / manifest.name
        # an empty folder is not worth the generation that it would push out
        if masks.is_dir() and any(masks.iterdir()):
            self._move_older(self._masks)
            masks.replace(self._masks)
            self._has_masks = True
        if manifest.exists():
            self._move_older(self._manifest)
            manifest.replace(self._manifest)
            self._has_manifest = True

    def _is_worth_less(self) -> bool:
        """Whether the work that gives way was stopped, and what it replaced itself was whole."""
        try:
            present, older = map(load_manifest, (self._clip.manifest_path, self._manifest))
        except WorkspaceError:
            return False
        if present is None or present.is_complete or older is None:
            return False
        # beside an `--update` lie only the masks that it replaced
        return len(list(self._masks.glob("*.png"))) == older.stop - older.start

    def _move_frames(self, numbers: Iterable[int], object_ids: Iterable[int]) -> None:
        clip = self._clip
        paths = [clip.mask_path(number) for number in numbers]
        paths += [
            clip.soft_path(object_id, int(path.stem)) for object_id in object_ids for path in paths
        ]
        self._move_older(self._masks)
        self._move_older(self._manifest)
        # set before the first mask is moved, so that an error halfway moves all of them back
        self._has_masks = True
        # copied, not moved: the manifest goes on describing the frames that stay
        write_text(self._manifest, clip.manifest_path.read_text(encoding="utf-8"))
        self._has_manifest = True
        for path in paths:
            if path.exists():
                target = self._masks / path.relative_to(clip.masks_folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)

    def _move_older(self, path: Path) -> None:
        """Move what has the name that earlier work will get to the temporary folder."""
        if path.exists():
            path.replace(self._older.part / path.name)

    def restore(self) -> None:
        """Move everything back to where it was, as far as the system allows."""
        clip = self._clip
        with contextlib.suppress(OSError):
            if self._has_masks and self._is_whole:
                # the masks of the new run go: they are fewer
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
        self.discard_older()

    def discard_older(self) -> None:
        """Delete the generation before the earlier work: the run has succeeded or can be
        resumed.
        """
        self._older.discard()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
