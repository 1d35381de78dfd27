"""One clip's project on disk: objects, reference masks, undo, and the propagated masks.

Every action is a new state in the history (`workspace.history`), and is on the disk when the call
returns. The references that count lie as files in a folder that `segment` reads, so the command
line makes the same masks of them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vfx_matte.errors import MaskError, NothingFoundError, UsageError, VfxMatteError, WorkspaceError
from vfx_matte.files.atomic import AtomicFile
from vfx_matte.masks import Mask, Palette, object_ids
from vfx_matte.pipeline.studio.state import OpenMarks, ProjectObject, ProjectState, Reference
from vfx_matte.printable import shortened
from vfx_matte.timeline import Timeline
from vfx_matte.wording import option
from vfx_matte.workspace import (
    ClipWorkspace,
    Manifest,
    MaskStore,
    SourceStamp,
    load_mask,
    write_text,
)
from vfx_matte.workspace.history import History
from vfx_matte.workspace.lock import WriterLock
from vfx_matte.workspace.mask_archive import MaskArchive, mask_digest

_LONGEST_NAME = 80
_CLIP_FILE = "clip.json"


class ConflictError(UsageError):
    """The project was changed by somebody else since the caller looked at it."""


@dataclass(frozen=True, slots=True)
class ShownMask:
    """The mask of one frame, as it counts."""

    mask: Mask
    """uint8 (H, W), object ids."""
    kind: str
    """ "reference", "propagated" or "none"."""
    digest: str
    """Of the pixels."""


@dataclass(frozen=True, slots=True)
class EditResult:
    """What an action came to."""

    revision: int
    """Of the project now."""
    notices: tuple[str, ...] = ()
    """What else it did, for people."""
    frames: tuple[int, ...] = ()
    """Indices whose reference `undo` or `redo` changed, ascending."""


class Project:
    """The project of one clip; safe to call from any thread.

    Args:
        workspace: the clip's folder.
        timeline: of the clip.
        shape: (H, W) of its frames.
        stamp: of the clip, by which the project knows it; None does not ask.

    Raises:
        WorkspaceError: another studio has this project open, or it is another clip's.
        OutputError: its files cannot be read or written.
    """

    def __init__(
        self,
        workspace: ClipWorkspace,
        *,
        timeline: Timeline,
        shape: tuple[int, int],
        stamp: SourceStamp | None = None,
    ) -> None:
        self.workspace, self._timeline, self._shape = workspace, timeline, shape
        # 1. one studio at a time: two histories of one project would be lost in each other
        workspace.studio_folder.mkdir(parents=True, exist_ok=True)
        self._in_use = WriterLock(
            workspace.studio_folder / ".lock",
            busy="this clip is open in another studio",
            hint="use that one, or close it first",
        )
        self._lock = threading.RLock()
        self._palette = Palette.davis()
        self._digests: dict[tuple[Path, int, int], str] = {}  # of files, by their date
        self._archive = MaskArchive(workspace, self._palette)
        try:
            # 2. what a kill has left halfway is finished, then what was made elsewhere is taken in
            if stamp is not None:
                self._require_clip(stamp)
            self._archive.finish()
            self._history = History(workspace.studio_folder, ProjectState().to_plain())
            self._state = self._readable_state()
            self._revision = self._masks_revision = 1
            self._take_in()
            self._write_references(self._state)
        except BaseException:
            self._in_use.release()
            raise

    def close(self) -> None:
        """Let others open it."""
        self._in_use.release()

    # what is there

    @property
    def state(self) -> ProjectState:
        """The present state."""
        return self._state

    @property
    def revision(self) -> int:
        """Changes with every action of this program; begins at 1."""
        return self._revision

    @property
    def masks_revision(self) -> int:
        """The revision that changed a mask last."""
        return self._masks_revision

    @property
    def undo_label(self) -> str | None:
        """What `undo` takes back."""
        return self._history.undo_label

    @property
    def redo_label(self) -> str | None:
        """What `redo` does again."""
        return self._history.redo_label

    def manifest(self) -> Manifest | None:
        """What is known about the propagated masks.

        Raises:
            WorkspaceError: it is damaged.
        """
        return self.workspace.manifest()

    def mask(self, index: int) -> ShownMask:
        """The mask of a frame: its reference where that counts, or else the propagated one.

        Raises:
            UsageError: there is no such frame (MaskError: a mask's file is damaged).
        """
        self.check_frame(index)
        reference = self._state.references.get(index)
        if reference is not None and reference.enabled:
            return ShownMask(self._archive.mask(reference.digest), "reference", reference.digest)
        path = self.workspace.mask_path(self._timeline.number(index))
        if path.is_file():
            mask = load_mask(path)
            if mask.shape == self._shape:
                return ShownMask(mask, "propagated", mask_digest(mask))
        empty = np.zeros(self._shape, np.uint8)
        return ShownMask(empty, "none", mask_digest(empty))

    def kept_mask(self, digest: str) -> Mask:
        """A mask of an earlier state."""
        return self._archive.mask(digest)

    def keep(self, mask: Mask) -> str:
        """Keep a mask, uint8 (H, W), for `kept_mask`; gives its digest."""
        return self._archive.keep(mask)

    def store(self) -> MaskStore:
        """The masks as they are shown now, references included, as renders read masks."""
        manifest = self.manifest()
        # an object that was added and is on no mask is none to a render, as it has none to show
        drawn = {one for at in self._state.enabled_references().values() for one in at.objects}
        drawn |= set() if manifest is None else set(manifest.objects)
        colors = {
            one.id: (int(r), int(g), int(b))
            for one in self._state.objects
            if one.id in drawn or not drawn
            for r, g, b in [self._palette.colors[one.id]]
        }
        frames = len(self._timeline)
        if manifest is None:
            stamp = SourceStamp(Path(), 0, 0)
            manifest = Manifest(stamp, self._timeline, {}, "", {}, 0, frames, colors)
        else:
            manifest = replace(manifest, objects=colors, settings={})
        return _ShownMasks(self, manifest)

    def check_frame(self, index: int) -> None:
        """Raise UsageError when the clip does not have a frame."""
        if not 0 <= index < len(self._timeline):
            raise UsageError(
                f"there is no frame {index}",
                hint=f"the clip has 0 to {len(self._timeline) - 1}",
            )

    # what can be done; every action takes the revision that its caller saw, None = whatever it is

    def save_mask(
        self,
        index: int,
        mask: Mask,
        *,
        label: str,
        revision: int | None = None,
        marks: OpenMarks | None = None,
    ) -> EditResult:
        """Make a mask the reference of a frame.

        Args:
            index: of the frame.
            mask: uint8 (H, W), object ids.
            label: the action, for people.
            revision: that the caller saw.
            marks: that it was made of, for further ones.

        Raises:
            UsageError: the mask does not fit, or changes a locked object.
            ConflictError: the project was changed.
            OutputError: it cannot be written.
        """
        with self._lock:
            # 1. does it fit, and does it leave locked objects alone?
            before = self.mask(index).mask
            if mask.dtype != np.uint8 or mask.shape != self._shape:
                raise UsageError(
                    f"the mask is {mask.dtype} {mask.shape}, the clip's frames {self._shape}",
                    hint="give uint8 of the clip's size",
                )
            changed = [
                object_id
                for object_id in {*object_ids(before), *object_ids(mask)}
                if not np.array_equal(before == object_id, mask == object_id)
            ]
            locked = [one for one in self._state.objects if one.locked and one.id in changed]
            if locked:
                raise UsageError(f"{locked[0].name} is locked", hint="unlock it first")
            self._check(revision)
            # 2. the pixels first, then the state that names them: a kill between leaves a file too
            #    many, and never one too few
            reference = Reference(self._archive.keep(mask), object_ids(mask))
            changed_state = replace(self._state.with_reference(index, reference), marks=marks)
            return self._do(label, changed_state)

    def save_found(self, index: int, found: Mask, names: Mapping[int, str]) -> EditResult:
        """Add what was found on a frame to its mask: as objects that nobody has named or shown
        yet, and as new ones. Pixels of other objects stay theirs.

        Args:
            index: of the frame.
            found: uint8 (H, W), 1 to the number of what was found.
            names: what each is called.

        Raises:
            NothingFoundError: all of it belongs to other objects already.
            UsageError: there are too many objects.
            OutputError: it cannot be written.
        """
        with self._lock:
            # 1. who it becomes
            before = self.mask(index).mask
            shown = set(object_ids(before))
            shown.update(*(one.objects for one in self._state.references.values()))
            taken = {
                one.id
                for one in self._state.objects
                if one.id in shown or one.locked or one.name != ProjectObject.usual(one.id).name
            }
            free = iter([number for number in range(1, 256) if number not in taken | shown])
            # 2. where it is
            mask, named = before.copy(), {}
            for at, name in sorted(names.items()):
                pixels = (found == at) & (before == 0)
                if pixels.any():
                    number = next(free, None)
                    if number is None:
                        raise UsageError("there are 255 objects already", hint="remove one first")
                    mask[pixels], named[number] = number, name
            if not named:
                raise NothingFoundError(
                    "what was found belongs to other objects already", hint="look at another frame"
                )
            # 3. one action, names included
            reference = Reference(self._archive.keep(mask), object_ids(mask))
            state = self._state.with_reference(index, reference)
            objects = tuple(
                replace(one, name=_named(named[one.id][:_LONGEST_NAME], one.name))
                if one.id in named
                else one
                for one in state.objects
            )
            return self._do("find", replace(state, objects=objects, marks=None))

    def set_reference(
        self, index: int, *, enabled: bool | None, revision: int | None = None
    ) -> EditResult:
        """Let a reference count or not; with None it is dropped.

        Raises:
            UsageError: the frame has none.
        """
        with self._lock:
            self._check(revision)
            reference = self._state.references.get(index)
            if reference is None:
                raise UsageError(
                    f"frame {self._number(index)} has no reference mask",
                    hint="choose a frame that is one",
                )
            label = {None: "remove reference", True: "use reference", False: "disable reference"}
            new = None if enabled is None else replace(reference, enabled=enabled)
            return self._do(label[enabled], self._state.with_reference(index, new))

    def add_object(self, *, name: str | None = None, color: str | None = None) -> EditResult:
        """Add an object, with the lowest free id."""
        with self._lock:
            used = {one.id for one in self._state.objects}
            free = next((number for number in range(1, 256) if number not in used), None)
            if free is None:
                raise UsageError("there are 255 objects already", hint="remove one first")
            new = ProjectObject.usual(free)
            new = replace(new, name=_named(name, new.name), color=_color(color, new.color))
            objects = tuple(sorted((*self._state.objects, new), key=lambda one: one.id))
            return self._do("add object", replace(self._state, objects=objects))

    def set_object(
        self,
        object_id: int,
        *,
        name: str | None = None,
        color: str | None = None,
        hidden: bool | None = None,
        locked: bool | None = None,
    ) -> EditResult:
        """Change what an object is called, looks like, and whether it is shown and can be changed.

        Raises:
            UsageError: there is no such object, or a colour that is none.
        """
        with self._lock:
            old = self._object(object_id)
            new = replace(
                old,
                name=_named(name, old.name),
                color=_color(color, old.color),
                hidden=old.hidden if hidden is None else hidden,
                locked=old.locked if locked is None else locked,
            )
            objects = tuple(new if one.id == object_id else one for one in self._state.objects)
            return self._do("change object", replace(self._state, objects=objects))

    def remove_object(self, object_id: int) -> EditResult:
        """Remove an object from the list and from every reference.

        Raises:
            UsageError: there is no such object, it is locked, or it is the last one.
        """
        with self._lock:
            if self._object(object_id).locked:
                raise UsageError("the object is locked", hint="unlock it first")
            if len(self._state.objects) == 1:
                raise UsageError("the last object stays", hint="erase its masks instead")
            state = replace(
                self._state,
                objects=tuple(one for one in self._state.objects if one.id != object_id),
                marks=None,
            )
            for index, reference in self._state.references.items():
                if object_id in reference.objects:
                    mask = self._archive.mask(reference.digest).copy()
                    mask[mask == object_id] = 0
                    ids = object_ids(mask)
                    new = replace(reference, digest=self._archive.keep(mask), objects=ids)
                    # a reference that shows nothing more would say that nothing is there
                    state = state.with_reference(index, new if ids else None)
            return self._do("remove object", state)

    def set_range(
        self, first: int | None, last: int | None, *, revision: int | None = None
    ) -> EditResult:
        """Choose the frames that are worked on, both ends included; None is the clip's end.

        Raises:
            UsageError: they are no range of the clip.
        """
        with self._lock:
            self._check(revision)
            for index in (first, last):
                if index is not None:
                    self.check_frame(index)
            if first is not None and last is not None and first > last:
                raise UsageError(
                    f"frames {first} to {last} are not a range", hint="the first one comes first"
                )
            return self._do("set range", replace(self._state, first=first, last=last))

    def clear(self, *, references: bool) -> EditResult:
        """Forget the propagated masks, and with `references` the references too.

        Raises:
            WorkspaceError: masks are being written.
        """
        with self._lock:
            self._archive_masks()
            # the masks go first; a kill before the state is written is taken in when it is opened
            self._archive.put_back(None)
            state = replace(self._state, propagated=None, marks=None)
            if references:
                state = replace(state, references={})
            return self._do("clear all" if references else "clear propagated masks", state)

    def undo(self) -> EditResult:
        """Take the last action back.

        Raises:
            UsageError: there is none.
            WorkspaceError: masks are being written.
        """
        return self._travel(
            self._history.undo, "undone", ("there is nothing to undo", "change something first")
        )

    def redo(self) -> EditResult:
        """Do again what was taken back; errors as of `undo`."""
        return self._travel(
            self._history.redo, "done again", ("there is nothing to redo", "undo something first")
        )

    def unchanged(self) -> AbstractContextManager[bool]:
        """A block in which nobody else changes the project."""
        return self._lock

    def keeps_masks(self, *, undo: bool) -> bool:
        """Whether undo, or redo, would leave the propagated masks alone."""
        with self._lock:
            goal = self._history.before if undo else self._history.after
            return goal is None or goal["propagated"] == self._state.propagated

    def _archive_masks(self) -> None:
        """Keep masks that the command line has made meanwhile, before they give way."""
        try:
            lock = WriterLock(self.workspace.lock_path)
        except WorkspaceError:
            return  # a run writes them just now, and what it makes is kept when it is over
        with lock:
            self.note_propagated("masks of segment")

    def refresh(self) -> None:
        """Bring the files in line with the project, and keep masks made elsewhere: before a run.

        Raises:
            OutputError: they cannot be written.
        """
        with self._lock:
            self._archive_masks()
            self._write_references(self._state)

    def note_propagated(self, label: str) -> None:
        """Take the masks that a run has made into the history.

        Raises:
            OutputError: they cannot be kept.
        """
        with self._lock:
            kept = self._archive.keep_set()
            if kept != self._state.propagated:
                self._do(label, replace(self._state, propagated=kept))

    # how it is kept

    def _travel(
        self, go: Callable[[], str | None], done: str, nothing: tuple[str, str]
    ) -> EditResult:
        with self._lock:
            self._archive_masks()
            label = go()
            if label is None:
                message, hint = nothing
                raise UsageError(message, hint=hint)
            before, self._state = self._state, self._readable_state()
            try:
                self._write_references(self._state)
                if self._state.propagated != before.propagated:
                    self._archive.put_back(self._state.propagated)
            except VfxMatteError:
                # as it was before, in both places
                (self._history.redo if go == self._history.undo else self._history.undo)()
                self._state = before
                with suppress(VfxMatteError):
                    self._write_references(before)
                raise
            self._note_change(before)
            one, two = before.references, self._state.references
            changed = sorted(at for at in {*one, *two} if one.get(at) != two.get(at))
            return EditResult(self._revision, (f"{done}: {label}",), tuple(changed))

    def _do(self, label: str, state: ProjectState) -> EditResult:
        # the files first: an action that is in the history has happened
        try:
            self._write_references(state)
            self._history.add(label, state.to_plain())
        except VfxMatteError:
            with suppress(VfxMatteError):
                self._write_references(self._state)
            raise
        before, self._state = self._state, state
        self._note_change(before)
        return EditResult(self._revision)

    def _note_change(self, before: ProjectState) -> None:
        """Count the present state as a new revision."""
        self._revision += 1
        now = self._state
        if (before.references, before.propagated) != (now.references, now.propagated):
            self._masks_revision = self._revision

    def _check(self, revision: int | None) -> None:
        if revision is not None and revision != self._revision:
            raise ConflictError(
                "the project was changed in another window", hint="look at it, and do it again"
            )

    def _readable_state(self) -> ProjectState:
        try:
            return ProjectState.from_plain(self._history.present)
        except (ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(
                f"{self.workspace.studio_folder} is damaged", hint="move it away to begin anew"
            ) from error

    def _take_in(self) -> None:
        """Take masks into the history that a killed run, or the command line, has made; and
        reference files of a project that the studio has not seen yet.
        """
        # 1. references of a run of segment: the masks of these frames are as they were given
        manifest = self.manifest()
        if not self._state.references and manifest is not None:
            state = self._state
            for index in manifest.references:
                path = self.workspace.mask_path(self._timeline.number(index))
                if index < len(self._timeline) and path.is_file():
                    mask = load_mask(path)
                    if mask.shape == self._shape:
                        reference = Reference(self._archive.keep(mask), object_ids(mask))
                        state = state.with_reference(index, reference)
            if state.references and self._history.undo_label is None:
                self._do("masks of segment", state)
        # 2. masks that somebody has painted into the folder, by hand or by another program
        state = self._state
        for index, mask in self._foreign_references():
            state = state.with_reference(
                index, Reference(self._archive.keep(mask), object_ids(mask))
            )
        # 3. references whose masks are lost cannot count
        for index, reference in state.references.items():
            if index >= len(self._timeline) or not self._is_there(index, reference):
                state = state.with_reference(index, None)
        if state != self._state:
            self._do("masks of the folder", state)
        # 4. the propagated masks as they are now; those of another state, when a kill came between
        #    the two steps of an undo
        kept = self._archive.keep_set()
        if kept != self._state.propagated and kept in {
            plain["propagated"] for plain in self._history.states()
        }:
            with suppress(WorkspaceError):
                self._archive.put_back(self._state.propagated)
                return
        if kept != self._state.propagated:
            self._do("propagated masks", replace(self._state, propagated=kept))

    def _require_clip(self, stamp: SourceStamp) -> None:
        """Raise WorkspaceError when the project is of another clip of that name."""
        path = self.workspace.studio_folder / _CLIP_FILE
        facts = {"path": str(stamp.path), "size": stamp.size_bytes, "bytes": stamp.fingerprint}
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            is_known = (known["size"], known["bytes"]) == (facts["size"], facts["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            is_known, known = False, None
        if known is not None and not is_known:
            raise WorkspaceError(
                f"{self.workspace.folder} is the project of another clip, or of another version of"
                f" it: {known.get('path')}",
                hint=f"use another {option('workspace')} for this one",
            )
        if not is_known:
            write_text(path, json.dumps(facts, ensure_ascii=False))

    def _foreign_references(self) -> Iterator[tuple[int, Mask]]:
        """Masks in the folder of references that this project has never had: (frame, mask)."""
        folder = self.workspace.references_folder
        for path in sorted(folder.glob("*.png")) if folder.is_dir() else ():
            index = self._frame_of(path)
            digest = self._digest_of(path)
            if index is not None and digest is not None and not self._archive.has(digest):
                mask = load_mask(path)
                if mask.shape == self._shape:
                    yield index, mask

    def _frame_of(self, path: Path) -> int | None:
        """The frame that a file of the folder of references is named after."""
        if not path.stem.isdecimal() or len(path.stem) > 12:
            return None
        index = int(path.stem) - self._timeline.first_number
        return index if 0 <= index < len(self._timeline) else None

    def _digest_of(self, path: Path) -> str | None:
        """The digest of a mask's file; None where there is none that can be read."""
        try:
            stat = path.stat()
            key = path, stat.st_mtime_ns, stat.st_size
            if key not in self._digests:
                self._digests[key] = mask_digest(load_mask(path))
            return self._digests[key]
        except (OSError, MaskError):
            return None

    def _is_there(self, index: int, reference: Reference) -> bool:
        """Whether a reference's mask can be had: from the archive, or else from its own file, which
        mends the archive.
        """
        if self._archive.has(reference.digest):
            return True
        path = self.workspace.references_folder / f"{self._number(index):07d}.png"
        if self._digest_of(path) != reference.digest:
            return False
        self._archive.drop(reference.digest)
        return self._archive.keep(load_mask(path)) == reference.digest

    def _write_references(self, state: ProjectState) -> None:
        """Let the folder of references hold those that count. Files that are not ours stay."""
        folder = self.workspace.references_folder
        wanted = {
            folder / f"{self._number(index):07d}.png": reference
            for index, reference in state.enabled_references().items()
        }
        # 1. those of disabled and removed references would count for segment
        for path in folder.glob("*.png") if folder.is_dir() else ():
            if path not in wanted and self._frame_of(path) is not None:
                digest = self._digest_of(path)
                if digest is not None and self._archive.has(digest):
                    path.unlink(missing_ok=True)
        # 2. the same bytes as in the archive, so that segment sees no other reference where nothing
        #    has changed
        for path, reference in wanted.items():
            if self._digest_of(path) != reference.digest:
                if not self._archive.has(reference.digest):
                    raise MaskError(
                        f"the mask of {path.name} is lost or damaged",
                        hint="undo, or remove this reference and paint it again",
                    )
                data = self._archive.path(reference.digest).read_bytes()
                with AtomicFile(path, clean_up=False) as file, file.naming_final():
                    file.part.write_bytes(data)
                    file.keep(durable=False)

    def _object(self, object_id: int) -> ProjectObject:
        found = self._state.object(object_id)
        if found is None:
            raise UsageError(f"there is no object {object_id}", hint="choose one of the list")
        return found

    def _number(self, index: int) -> int:
        return self._timeline.number(index)


def _named(name: str | None, usual: str) -> str:
    text = " ".join((name or "").split())
    if len(text) > _LONGEST_NAME:
        raise UsageError(f"the name {shortened(text)!r} is too long", hint=f"{_LONGEST_NAME} signs")
    return text or usual


def _color(color: str | None, usual: str) -> str:
    if color is None:
        return usual
    digits = color.removeprefix("#").lower()
    if len(digits) != 6 or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(f"{shortened(color)!r} is not a colour", hint='write it as "#rrggbb"')
    return f"#{digits}"


class _ShownMasks(MaskStore):
    """The masks of a project as they are shown, which may change at any time."""

    def __init__(self, project: Project, manifest: Manifest) -> None:
        super().__init__(project.workspace, manifest)
        self._project = project

    def get(self, frame_index: int) -> Mask | None:
        """The mask of one frame: uint8 (H, W), object ids; None where there is none."""
        shown = self._project.mask(frame_index)
        return None if shown.kind == "none" else shown.mask

    def check_masks(self) -> None:
        """What is missing is shown without a subject."""

    def check_unchanged(self) -> None:
        """What is shown may change."""
