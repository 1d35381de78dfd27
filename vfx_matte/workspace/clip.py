"""One folder per clip: what is in it, and whether a run may start or continue there.

Work on two clips, or two different runs on one clip, is never mixed in one folder.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte._version import __version__
from vfx_matte.errors import WorkspaceError
from vfx_matte.masks import Palette
from vfx_matte.wording import command, option
from vfx_matte.workspace.latest import read_latest
from vfx_matte.workspace.layout import ClipLayout, clip_name
from vfx_matte.workspace.lock import WriterLock
from vfx_matte.workspace.manifest import (
    Manifest,
    OutputRecord,
    SourceStamp,
    load_manifest,
    save_manifest,
    to_ranges,
    with_output,
)
from vfx_matte.workspace.run import SegmentRun
from vfx_matte.workspace.store import MaskStore

Influence = Callable[[Manifest, Manifest], Collection[int]]
"""Given the earlier manifest and the plan: the indices of frames that have to be made again.
"""


class ClipWorkspace(ClipLayout):
    """The folder of one clip, and the work in it."""

    __slots__ = ()

    def manifest(self) -> Manifest | None:
        """What is known about the masks, or None where nothing is.

        Raises:
            WorkspaceError: the manifest is damaged.
        """
        return load_manifest(self.manifest_path)

    def mask_store(self) -> MaskStore:
        """The finished masks.

        Raises:
            WorkspaceError: there are none.
        """
        manifest = self.manifest()
        if manifest is None:
            raise WorkspaceError(
                f"{self.folder} holds no masks",
                hint=f"make them first: {command('segment', 'CLIP', first_mask='mask.png')}",
            )
        return MaskStore(self, manifest)

    def record_output(self, name: str, record: OutputRecord) -> None:
        """Note in the manifest that an output was written, when there is a manifest and no run is
        writing it just now.
        """
        # a run keeps the manifest in memory and would overwrite the note, so it is not waited for;
        # a damaged manifest is for the next run to speak of
        with contextlib.suppress(WorkspaceError), WriterLock(self.lock_path):
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
        influenced: Influence | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> SegmentRun:
        """Begin to segment, or continue.

        Where there is no earlier work, the run starts. Earlier work from the same clip, references,
        propagator, settings and range is continued with `resume`, and an error otherwise. Any other
        earlier work, damaged work, or masks without a manifest are an error.

        Args:
            plan: what is going to be done; `done` and `outputs` are empty.
            palette: of the masks' PNG files.
            resume: continue earlier work.
            fresh: start anyway. The earlier masks and manifest stay in place until the first new
                mask is about to be saved, and are then kept aside (`previous_masks_folder`).
            influenced: continue as with `resume`, also when the references are others; the frames
                that it names are made again, and their earlier masks kept in the same place.
            clock: seconds, for saving progress now and then.

        Returns:
            The run. Until it is closed, a second one on this folder, in whatever process, is an
            error too.

        Raises:
            WorkspaceError: by the rules above.
        """
        # the lock passes on to the run, and is let go here only where there will be none
        with contextlib.ExitStack() as resources:
            lock = resources.enter_context(WriterLock(self.lock_path))
            manifest, redo = plan, frozenset[int]()
            if not fresh:
                manifest, redo = self._continued(plan, resume=resume, influenced=influenced)
            return SegmentRun(
                self,
                manifest,
                palette=palette,
                replaces=fresh,
                redo=redo,
                clock=clock,
                is_alone=lock.excludes,
                resources=resources.pop_all(),
            )

    def _continued(
        self, plan: Manifest, *, resume: bool, influenced: Influence | None
    ) -> tuple[Manifest, frozenset[int]]:
        """The manifest to begin with, and the frames of it to make again, by the rules of
        `start_run`.
        """
        earlier = self.manifest()
        if earlier is None:
            self._refuse_foreign_masks()
            return plan, frozenset()
        # 1. is it the same work? an update may have other references, and nothing else
        differences = plan.differences(earlier)
        if influenced is None or differences not in ((), ("reference masks",)):
            self._check_same_work(plan, earlier, differences)
        # 2. what of it is done? a frame whose files are lost is not
        done = {index for index in earlier.done_frames() if self._has_files(earlier, index)}
        is_complete = len(done) == plan.stop - plan.start
        # 3. which frames does an update make again?
        redo = frozenset[int]()
        if influenced is not None and differences:
            # a frame that is not done is made anyway, and has no earlier mask to be kept
            redo = frozenset(done.intersection(influenced(earlier, plan)))
        if not resume and influenced is None:
            raise self._already_there(len(done), plan.stop - plan.start)
        # masks of two versions beside each other would show where one began; complete work stays
        if (redo or not is_complete) and earlier.program_version != __version__:
            raise WorkspaceError(
                f"{self.folder} was started by vfx-matte {earlier.program_version}, this is"
                f" {__version__}: masks may differ",
                hint=f"add {option('fresh', True)} to start again",
            )
        # 4. the plan, with what earlier runs found out
        continued = replace(
            plan,
            outputs=earlier.outputs,
            confidence=earlier.confidence,
            segmented_at=earlier.segmented_at,
            working_size=earlier.working_size,
        )
        return replace(continued, done=to_ranges(done - redo)), redo

    def _refuse_foreign_masks(self) -> None:
        """Raise WorkspaceError where masks lie that no manifest describes."""
        if self.masks_folder.is_dir() and any(self.masks_folder.glob("*.png")):
            raise WorkspaceError(
                f"{self.masks_folder} holds masks, but no manifest says what they belong to",
                hint=(
                    f"move them away, or add {option('fresh', True)} (it keeps them in"
                    f" {self.previous_masks_folder.name})"
                ),
            )

    def _already_there(self, done: int, wanted: int) -> WorkspaceError:
        """The error that says how far this work has come, and what can be done about it."""
        if done == wanted:
            state = "is complete"
            hint = (
                f"render it ({command('greenback')}), or add {option('fresh', True)} to segment"
                " again"
            )
        else:
            state = f"stopped after {done} of {wanted} frames"
            hint = (
                f"add {option('resume', True)} to continue where it stopped, or"
                f" {option('fresh', True)} to start again"
            )
        return WorkspaceError(f"{self.folder} already holds this work, which {state}", hint=hint)

    def _has_files(self, manifest: Manifest, frame_index: int) -> bool:
        """Whether the mask of a frame is on disk and, in a soft run, every object's probability."""
        number = manifest.timeline.number(frame_index)
        # without soft results a mask is all there is to a frame
        objects = manifest.objects if manifest.is_soft else ()
        softs = (self.soft_path(object_id, number) for object_id in objects)
        return all(map(_is_filled, (self.mask_path(number), *softs)))

    def _check_same_work(
        self, plan: Manifest, earlier: Manifest, differences: tuple[str, ...]
    ) -> None:
        """Raise WorkspaceError where earlier work differs from the plan, most telling reason
        first.
        """
        rate, earlier_rate = plan.timeline.average_fps, earlier.timeline.average_fps
        # a sequence has no rate of its own: the same pictures at another rate are an easy slip
        if (
            not plan.source.path.is_file()
            and plan.source.is_same_clip(earlier.source)
            and rate != earlier_rate
        ):
            raise WorkspaceError(
                f"{self.folder} holds the work on this clip at {earlier_rate} frames per second,"
                f" this is {rate}",
                hint=(
                    f"add {option('fps', str(earlier_rate))} to continue that work, or"
                    f" {option('fresh', True)} to replace it"
                ),
            )
        if "clip" in differences:
            raise WorkspaceError(
                f"{self.folder} holds the work on another clip, or another version of it:"
                f" {earlier.source.path}",
                hint=(
                    f"use another {option('workspace')} for this one, or add"
                    f" {option('fresh', True)} to replace that work"
                ),
            )
        if differences:
            update = (
                f"add {option('update', True)} to redo only the frames that the masks affect, "
                if differences == ("reference masks",)
                else ""
            )
            raise WorkspaceError(
                f"{self.folder} holds work with other settings; these differ:"
                f" {', '.join(differences)}",
                hint=(
                    f"{update}add {option('fresh', True)} to start again (the earlier masks are"
                    f" kept in {self.previous_masks_folder.name}), or use another"
                    f" {option('workspace')}"
                ),
            )


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that holds one ClipWorkspace per clip."""

    root: Path

    def clip(self, source: Path) -> ClipWorkspace:
        """The folder for a clip, whether there is something in it or not."""
        return ClipWorkspace(self.root / clip_name(source))

    def find(self, source: Path) -> ClipWorkspace | None:
        """The work on this clip, or None when there is none.

        A clip that was renamed, so that its old name is gone, is recognized by its bytes.

        Raises:
            WorkspaceError: its folder holds work on another clip of that name, or a damaged
                manifest.
        """
        # the folder of that name first: nearly always it is the one
        clip = self.clip(source)
        manifest = clip.manifest()
        stamp = SourceStamp.of(source)
        if manifest is None:
            # without bytes, as of a sequence that is gone, every such clip would be recognized
            return self._renamed(stamp) if stamp.fingerprint else None
        if not manifest.source.is_same_clip(stamp):
            raise WorkspaceError(
                f"{clip.folder} holds the work on another clip, or another version of it:"
                f" {manifest.source.path}",
                hint=(
                    f"segment this clip first, with another {option('workspace')} or with"
                    f" {option('fresh', True)}"
                ),
            )
        return clip

    def latest(self) -> ClipWorkspace | None:
        """The clip that was segmented last: by its record, or by the times in the manifests where
        the workspace has none.

        Raises:
            WorkspaceError: what is known of that clip is damaged or gone; another clip is not
                taken instead.
        """
        hint = f"name the clip: {command('COMMAND', 'CLIP')}"
        record = read_latest(self.root, hint=hint)
        if record is None:
            return self._latest_by_time(hint)
        clip = ClipWorkspace(self.root / record.folder)
        try:
            if clip.manifest() is not None:
                return clip
        except WorkspaceError as error:
            raise WorkspaceError(
                f"the clip segmented last is {record.folder!r}, but {error.message}", hint=hint
            ) from error
        # its folder was renamed, perhaps
        for other, manifest in self._manifests():
            source = manifest.source
            if (str(source.path), source.fingerprint) == (record.source, record.fingerprint):
                return other
        # everything was deleted on purpose: as if nothing had been segmented yet
        if next(self.root.glob("*/manifest.json"), None) is None:
            return None
        raise WorkspaceError(
            f"the clip segmented last, {record.folder!r}, is no longer in {self.root}", hint=hint
        )

    def _latest_by_time(self, hint: str) -> ClipWorkspace | None:
        """The clip whose manifest has the latest time, of equal ones that whose folder's name sorts
        last.

        Raises WorkspaceError when one manifest cannot be read, as it may be that one.
        """
        # ISO 8601 in UTC sorts as text
        found = [
            (manifest.segmented_at, str(clip.folder), clip) for clip, manifest in self._manifests()
        ]
        damaged = sorted(
            {path.parent for path in self.root.glob("*/manifest.json")}
            - {clip.folder for *_, clip in found}
        )
        if damaged:
            raise WorkspaceError(
                f"{damaged[0] / 'manifest.json'} is damaged or cannot be read, so the clip"
                " segmented last is not known",
                hint=hint,
            )
        return max(found)[2] if found else None

    def _renamed(self, stamp: SourceStamp) -> ClipWorkspace | None:
        """The work on a clip with these bytes whose own path is no longer there.

        A numbered pattern never is a path that is there, so work on one is not taken for renamed.
        """
        for clip, manifest in self._manifests():
            known = manifest.source
            if (
                known.fingerprint == stamp.fingerprint
                and known.is_same_clip(stamp)
                and not known.path.exists()
                and "%" not in known.path.name
            ):
                return clip
        return None

    def _manifests(self) -> Iterator[tuple[ClipWorkspace, Manifest]]:
        """Every manifest that can be read, with its clip."""
        for path in sorted(self.root.glob("*/manifest.json")):
            clip = ClipWorkspace(path.parent)
            with contextlib.suppress(WorkspaceError):
                manifest = clip.manifest()
                if manifest is not None:
                    yield clip, manifest


def _is_filled(path: Path) -> bool:
    """Whether a file is there and holds something; a full disk leaves empty ones."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
