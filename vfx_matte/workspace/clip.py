"""One folder for each clip: masks, manifest, outputs.

Takes a source, gives paths and runs; never mixes two works.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte._version import __version__
from vfx_matte.errors import WorkspaceError
from vfx_matte.files.inputs import read_small_file
from vfx_matte.masks import Mask, Palette
from vfx_matte.numbering import parse_pattern
from vfx_matte.printable import shortened, without_unprintable
from vfx_matte.wording import command, option
from vfx_matte.workspace.files import Soft, load_mask, load_soft, write_text
from vfx_matte.workspace.lock import WriterLock
from vfx_matte.workspace.manifest import (
    Manifest,
    OutputRecord,
    SourceStamp,
    file_name,
    load_manifest,
    save_manifest,
    to_ranges,
    with_output,
)
from vfx_matte.workspace.run import SegmentRun

LOCK_NAME = ".segment.lock"

LATEST_NAME = ".latest.json"
LATEST_BYTES = 2**16
"""In a workspace: which clip was segmented last.

Clocks go backwards, so times alone do not tell.
"""

_RESERVED = frozenset(
    {
        "CON",
        "PRN",
        "AUX",
        "NUL",
        *(f"{name}{digit}" for name in ("COM", "LPT") for digit in range(1, 10)),
    }
)
_BESIDE_NUMBERS = "._- "
_LONGEST_NAME_BYTES = (
    120  # leaves room for file names below Windows' 260 characters and Linux's 255 bytes
)


def clip_name(source: Path) -> str:
    """The folder name of a clip: its stem, safe on every system. plate.%04d.png, plate.####.png →
    "plate"; a folder → its name.

    Unicode is kept (NFC). Characters that Windows forbids or a terminal obeys, bytes that are not
    UTF-8, leading dots and dashes and trailing dots and spaces become "_" or go; reserved device
    names get a "_" in front.
    """
    stem = source.resolve().name if source.is_dir() else source.stem
    pattern = None if source.exists() else parse_pattern(source.name)
    if pattern is not None:
        parts = (
            pattern.head.strip(_BESIDE_NUMBERS),
            Path(f"x{pattern.tail}").stem[1:].strip(_BESIDE_NUMBERS),
        )
        stem = "_".join(filter(None, parts)) or source.absolute().parent.name
    name = re.sub(
        r'[<>:"/\\|?*]', "_", without_unprintable(unicodedata.normalize("NFC", stem))
    ).lstrip(". ")
    name = name.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore").rstrip(". ")
    if name.startswith("-") or name.partition(".")[0].upper() in _RESERVED:
        name = f"_{name}"
    return name or "clip"


@dataclass(frozen=True, slots=True)
class ClipWorkspace:
    """The folder of one clip; nothing in it is made before it is needed.

    masks/%07d.png: palette PNG, index = object id, the number is the frame's (`Timeline.number`: of
    a sequence the picture's own, of another clip the frame index). masks/soft/ID/%07d.png: with
    --soft, the
    probability of one object as 8-bit gray PNG, 255 = certain (1-bit black: nowhere on this frame);
    inside of masks, so that both are replaced by one rename. masks.previous/ and
    manifest.previous.json: the one earlier generation that --fresh keeps. .segment.lock: held while
    a run is going on. .walks/: what the walks of a run that was stopped knew (`walk_states`).
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

    def mask_path(self, number: int) -> Path:
        """Where the mask of the frame with this number is."""
        return self.masks_folder / f"{number:07d}.png"

    def soft_folder(self, object_id: int) -> Path:
        """Where the probabilities of one object are."""
        return self.masks_folder / "soft" / str(object_id)

    def soft_path(self, object_id: int, number: int) -> Path:
        """Where the probability of one object on the frame with this number is."""
        return self.soft_folder(object_id) / f"{number:07d}.png"

    def note_latest(self, source: SourceStamp) -> None:
        """Note that this clip is the one segmented last. Raises OutputError."""
        facts = {
            "folder": self.folder.name,
            "source": str(source.path),
            "fingerprint": source.fingerprint,
        }
        write_text(self.folder.parent / LATEST_NAME, json.dumps(facts, ensure_ascii=False) + "\n")

    @property
    def states_folder(self) -> Path:
        """Where a run that is going on, or was stopped, keeps what its walks know."""
        return self.folder / ".walks"

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
                f"{self.folder} holds no masks",
                hint=f"make them first: {command('segment', 'CLIP', first_mask='mask.png')}",
            )
        return MaskStore(self, manifest)

    def record_output(self, name: str, record: OutputRecord) -> None:
        """Note in the manifest that an output was written, when there is a manifest and no run is
        writing it just now.
        """
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
        influenced: Callable[[Manifest, Manifest], Collection[int]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> SegmentRun:
        """Begin to segment, or go on.

        plan: what is going to be done (`done` and `outputs` empty). The rules:
        no earlier work: start. Earlier work from the same clip, references, propagator, settings
        and range: go on with `resume`, otherwise WorkspaceError. Any other earlier work, damaged
        work, or masks without a manifest: WorkspaceError. With `fresh`, start anyway; the earlier
        masks and manifest stay in place until the first new mask is about to be saved and become
        masks.previous and manifest.previous.json (one generation is kept). With `influenced`, go on
        as with `resume`, also when the references are others: of (earlier, plan) it says which
        frames have to be made again. Their masks, and the earlier manifest, are kept in the same
        places. Until the run is closed, a second one on this folder, in whatever process, is a
        WorkspaceError too.
        """
        with contextlib.ExitStack() as held:
            held.enter_context(WriterLock(self.folder / LOCK_NAME))
            manifest, again = plan, frozenset[int]()
            if not fresh:
                manifest, again = self._begin_with(plan, resume=resume, influenced=influenced)
            return SegmentRun(
                self,
                manifest,
                palette=palette,
                replaces=fresh,
                again=again,
                clock=clock,
                held=held.pop_all(),
            )

    def _begin_with(
        self,
        plan: Manifest,
        *,
        resume: bool,
        influenced: Callable[[Manifest, Manifest], Collection[int]] | None,
    ) -> tuple[Manifest, frozenset[int]]:
        """The manifest to go on with, and the frames of it to make again, by the rules of
        `start_run`.
        """
        earlier = self.manifest()
        if earlier is None:
            if self.masks_folder.is_dir() and any(self.masks_folder.glob("*.png")):
                raise WorkspaceError(
                    f"{self.masks_folder} holds masks, but no manifest says what they belong to",
                    hint=(
                        f"move them away, or add {option('fresh', True)} (it keeps them in"
                        " masks.previous)"
                    ),
                )
            return plan, frozenset()
        differences = plan.differences(earlier)
        if influenced is None or differences not in ((), ("reference masks",)):
            self._check_same_work(plan, earlier, differences)
        done = {
            frame_index
            for frame_index in earlier.done_frames()
            if self._is_whole(earlier, frame_index)
        }
        complete = len(done) == plan.stop - plan.start
        again = (
            frozenset[int]()
            if influenced is None or not differences
            else frozenset(done.intersection(influenced(earlier, plan)))
        )
        if not resume and influenced is None:
            state = (
                "is complete"
                if complete
                else f"stopped after {len(done)} of {plan.stop - plan.start} frames"
            )
            hint = (
                f"add {option('resume', True)} to go on where it stopped, or"
                f" {option('fresh', True)} to start again"
            )
            if complete:
                hint = (
                    f"render it ({command('greenback')}), or add {option('fresh', True)} to"
                    " segment again"
                )
            raise WorkspaceError(f"{self.folder} already holds this work, which {state}", hint=hint)
        if (again or not complete) and earlier.program_version != __version__:
            raise WorkspaceError(
                f"{self.folder} was begun by vfx-matte {earlier.program_version}, this is"
                f" {__version__}: masks may differ",
                hint=f"add {option('fresh', True)} to start again",
            )
        going_on = replace(
            plan,
            outputs=earlier.outputs,
            confidence=earlier.confidence,
            segmented_at=earlier.segmented_at,
            working_size=earlier.working_size,
        )
        return replace(going_on, done=to_ranges(done - again)), again

    def _is_whole(self, manifest: Manifest, frame_index: int) -> bool:
        """Whether the mask of a frame is on disk and, in a soft run, every object's probability."""
        number = manifest.timeline.number(frame_index)
        softs = (
            self.soft_path(object_id, number)
            for object_id in (manifest.objects if manifest.is_soft else ())
        )
        return all(map(_is_there, (self.mask_path(number), *softs)))

    def _check_same_work(
        self, plan: Manifest, earlier: Manifest, differences: tuple[str, ...]
    ) -> None:
        rate, earlier_rate = plan.timeline.average_fps, earlier.timeline.average_fps
        if (
            not plan.source.path.is_file()
            and plan.source.is_same_clip(earlier.source)
            and rate != earlier_rate
        ):
            raise WorkspaceError(
                f"{self.folder} holds the work on this clip at {earlier_rate} frames per second,"
                f" this is {rate}",
                hint=(
                    f"add {option('fps', str(earlier_rate))} to go on with that work, or"
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
                f"add {option('update', True)} to redo only what the masks change, "
                if differences == ("reference masks",)
                else ""
            )
            raise WorkspaceError(
                f"{self.folder} holds work with other settings; different are:"
                f" {', '.join(differences)}",
                hint=(
                    f"{update}add {option('fresh', True)} to start again (the earlier masks are"
                    f" kept in masks.previous), or use another {option('workspace')}"
                ),
            )


class MaskStore:
    """The finished masks of one clip, for renders.

    Holds no picture: memory does not grow with the clip.
    """

    def __init__(self, clip: ClipWorkspace, manifest: Manifest) -> None:
        self.clip = clip
        self.manifest = manifest
        self._done = frozenset(manifest.done_frames())
        self._opened = self._state()

    def get(self, frame_index: int) -> Mask | None:
        """The mask of one frame, uint8 (H, W), or None when it has none: outside the range, or not
        done.

        Renders show such a frame as background only. Raises MaskError when the file is lost or
        damaged.
        """
        return (
            load_mask(self.clip.mask_path(self.manifest.timeline.number(frame_index)))
            if frame_index in self._done
            else None
        )

    def check_masks(self) -> None:
        """See, without reading any, that every frame that is done has its file.

        Raises WorkspaceError when one has not.
        """
        lost = sorted(self._done_numbers() - _numbers(self.clip.masks_folder))
        if lost:
            first = self.clip.mask_path(lost[0])
            raise WorkspaceError(
                f"masks that were made are missing, {len(lost)} of {len(self._done)}: the first is"
                f" {first}",
                hint=f"run {command('segment', resume=True)} to make them again",
            )

    def check_unchanged(self) -> None:
        """Raise WorkspaceError when masks were replaced or removed since this store was opened."""
        if self._state() != self._opened:
            raise WorkspaceError(
                f"masks in {self.clip.masks_folder} were changed by another run meanwhile",
                hint="run it again once that is done",
            )

    def _state(self) -> int:
        """A number that is another one when the file of a frame that is done is another."""
        state, done = 0, self._done_numbers()
        for folder in (
            self.clip.masks_folder,
            *(map(self.clip.soft_folder, self.manifest.objects) if self.is_soft else ()),
        ):
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    number = entry.name.removesuffix(".png")
                    if number.isdecimal() and int(number) in done:
                        found = entry.stat()
                        state ^= hash(
                            (
                                str(folder),
                                int(number),
                                found.st_ino,
                                found.st_size,
                                found.st_mtime_ns,
                            )
                        )
        return state

    def _done_numbers(self) -> set[int]:
        """The numbers of the frames that are done, as their files are named."""
        return set(map(self.manifest.timeline.number, self._done))

    @property
    def is_soft(self) -> bool:
        """True when these masks were made together with every object's probability."""
        return self.manifest.is_soft

    def soft(self, object_id: int, frame_index: int) -> Soft:
        """The probability of one object on a frame that has a mask: uint8 (H, W), 255 = certain.

        Raises WorkspaceError when the file is lost or damaged.
        """
        return load_soft(self.clip.soft_path(object_id, self.manifest.timeline.number(frame_index)))

    def check_soft(self, object_ids: Iterable[int]) -> None:
        """See, without reading any, that these objects' files are there for every frame that has a
        mask.

        Raises WorkspaceError when one is not, or when the masks were made without probabilities.
        """
        if not self.is_soft:
            raise WorkspaceError(
                f"{self.clip.folder} holds no soft results",
                hint=f"make them: {command('segment', soft=True, fresh=True)}",
            )
        wanted = set(map(self.manifest.timeline.number, self._done)) & _numbers(
            self.clip.masks_folder
        )
        for object_id in object_ids:
            lost = sorted(wanted - _numbers(self.clip.soft_folder(object_id)))
            if lost:
                raise WorkspaceError(
                    f"{len(lost)} soft results are missing, the first is"
                    f" {self.clip.soft_path(object_id, lost[0])}",
                    hint=(
                        f"run {command('segment', soft=True, resume=True)} to make them again,"
                        f" or render with {option('soft_edges', False)}"
                    ),
                )


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that holds one ClipWorkspace for each clip."""

    root: Path

    def clip(self, source: Path) -> ClipWorkspace:
        """The place for a clip, whether there is something in it or not."""
        return ClipWorkspace(self.root / clip_name(source))

    def find(self, source: Path) -> ClipWorkspace | None:
        """The work on this clip, or None when there is none.

        A clip that was renamed, so that its old name is gone, is known by its bytes.
        Raises WorkspaceError when its folder holds work on another clip of that name, or a damaged
        manifest.
        """
        clip = self.clip(source)
        manifest = clip.manifest()
        stamp = SourceStamp.of(source)
        if manifest is None:
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
        """The clip segmented last, by the record of that; in workspaces that have none, by the
        times in the manifests.

        Raises WorkspaceError when what is known of that clip is damaged or gone, rather than to
        take another one.
        """
        hint = f"name the clip: {command('COMMAND', 'CLIP')}"
        try:
            record = json.loads(
                read_small_file(
                    self.root / LATEST_NAME,
                    what="record",
                    most_bytes=LATEST_BYTES,
                    error=WorkspaceError,
                )
            )
            name, known = (
                file_name(record["folder"]),
                (str(record["source"]), str(record["fingerprint"])),
            )
        except FileNotFoundError:
            return self._latest_by_time(hint)
        except (OSError, RecursionError, ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(
                f"{self.root / LATEST_NAME} cannot be read: {shortened(error, 120)}", hint=hint
            ) from error
        clip = ClipWorkspace(self.root / name)
        try:
            if clip.manifest() is not None:
                return clip
        except WorkspaceError as error:
            raise WorkspaceError(
                f"the clip segmented last is {name!r}, but {error.message}", hint=hint
            ) from error
        for other, manifest in self._manifests():
            if (
                str(manifest.source.path),
                manifest.source.fingerprint,
            ) == known:  # its folder was renamed
                return other
        if next(self.root.glob("*/manifest.json"), None) is None:
            return None
        raise WorkspaceError(
            f"the clip segmented last, {name!r}, is no longer in {self.root}", hint=hint
        )

    def _latest_by_time(self, hint: str) -> ClipWorkspace | None:
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
        """The work on a clip with these bytes whose own path is no longer there."""
        fitting = (
            (clip, manifest.source)
            for clip, manifest in self._manifests()
            if manifest.source.fingerprint == stamp.fingerprint
            and manifest.source.is_same_clip(stamp)
        )
        return next(
            (
                clip
                for clip, known in fitting
                if not known.path.exists() and "%" not in known.path.name
            ),
            None,
        )

    def _manifests(self) -> Iterator[tuple[ClipWorkspace, Manifest]]:
        """Every manifest that can be read, with its clip."""
        for path in sorted(self.root.glob("*/manifest.json")):
            clip = ClipWorkspace(path.parent)
            with contextlib.suppress(WorkspaceError):
                manifest = clip.manifest()
                if manifest is not None:
                    yield clip, manifest


def _numbers(folder: Path) -> set[int]:
    """The numbers of the frames that a folder has files for."""
    try:
        return {
            int(path.stem)
            for path in folder.glob("*.png")
            if path.stem.removeprefix("-").isdecimal()
        }
    except OSError:
        return set()


def _is_there(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
