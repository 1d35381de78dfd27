"""Everything that a page can do with one clip."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from vfx_matte._version import __version__
from vfx_matte.detect.text import lack_of_text_detector
from vfx_matte.errors import UsageError
from vfx_matte.first_mask import Marks
from vfx_matte.first_mask.methods import AUTO
from vfx_matte.masks import Mask, object_ids
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.first_mask.making import masked_objects
from vfx_matte.pipeline.first_mask.records import MOST_OBJECTS, MaskedObject
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.segment.ahead import RunAhead
from vfx_matte.pipeline.segment.cuts import find_cuts
from vfx_matte.pipeline.segment.text import find_objects, text_prompt
from vfx_matte.pipeline.studio.ahead import PropagationAhead
from vfx_matte.pipeline.studio.commands import (
    StartOptions,
    export_command,
    mask_commands,
    segment_command,
)
from vfx_matte.pipeline.studio.exports import Exports
from vfx_matte.pipeline.studio.frame_server import FrameServer
from vfx_matte.pipeline.studio.jobs import Job, JobQueue, JobReporter, Listener
from vfx_matte.pipeline.studio.open_frames import OpenFrames
from vfx_matte.pipeline.studio.project import EditResult, Project, ShownMask
from vfx_matte.pipeline.studio.propagation import DIRECTIONS, begin_ahead, frames_of, propagate
from vfx_matte.pipeline.studio.state import OpenMarks, ProjectObject, marks_to_plain
from vfx_matte.pipeline.studio.ways import Chosen, Ways, changed, ways
from vfx_matte.references.files import load_mask_picture
from vfx_matte.references.reading import read_references
from vfx_matte.workspace import Workspace, write_text
from vfx_matte.workspace.manifest import SourceStamp

_CUTS_FILE = "cuts.json"
# the page is loaded meanwhile, which takes all of a small machine
_CUTS_AFTER_SECONDS = 3.0
# between two pictures of somebody who looks around; whoever plays asks all the time
_QUIET_SECONDS = 0.4
# for cuts, by what is begun ahead of a wish
_LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What a page must know of the clip."""

    id: str
    """Of its bytes."""
    name: str
    width: int
    height: int
    frames: int
    first_number: int
    """What people call the first frame."""
    time_base: tuple[int, int]
    """Numerator and denominator, seconds."""
    pts: tuple[int, ...]
    """When each frame is shown, in units of the time base."""
    duration: float
    """Seconds."""
    fps: float
    """On average."""


@dataclass(frozen=True, slots=True)
class ShownReference:
    """A reference in the view of a project."""

    index: int
    enabled: bool
    objects: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MasksView:
    """Which frames have a propagated mask, and how sure it is."""

    done: tuple[tuple[int, int], ...] = ()
    """Half-open ranges of frame indices."""
    start: int = 0
    """The frame that `confidence` begins with."""
    confidence: Mapping[int, tuple[int, ...]] | None = None
    """Object → per cent for every frame, -1 where nothing is known."""


@dataclass(frozen=True, slots=True)
class ProjectView:
    """The whole project, as a page shows it."""

    clip: ClipFacts
    revision: int
    masks_revision: int
    """The revision that changed a mask last."""
    objects: tuple[ProjectObject, ...]
    references: tuple[ShownReference, ...]
    first: int | None
    last: int | None
    marks: Mapping[str, Any] | None
    """index, object, and the marks as of `state.marks_to_plain`."""
    masks: MasksView
    cuts: tuple[int, ...] | None
    """Frames that begin a shot; None while they are looked for."""
    undo: str | None
    redo: str | None
    jobs: tuple[Job, ...]
    propagator: str
    program_version: str


@dataclass(frozen=True, slots=True)
class MarkResult:
    """What marks came to."""

    mask: Mask
    """uint8 (H, W), object ids."""
    objects: tuple[MaskedObject, ...]
    notices: tuple[str, ...]
    revision: int
    """Of the project now."""


class Studio:
    """One clip that is open for work; safe to call from any thread.

    Made by `open`; `close` ends its threads.
    """

    def __init__(
        self,
        clip: SourceClip,
        project: Project,
        *,
        stamp: SourceStamp,
        workspace: Path,
        model: Path,
        propagator: PropagatorOptions,
        fetch: bool,
        started: StartOptions,
        reporter: Reporter,
    ) -> None:
        self._clip, self._project, self._reporter = clip, project, reporter
        self._started = started
        self._given, self._stamp = propagator, stamp
        self._model, self._fetch = model, fetch
        # what is named when the program is started counts
        self._chosen = Chosen.load(project.workspace.studio_folder)
        if propagator.name != AUTO:
            self._chosen = replace(self._chosen, propagator=propagator.name)
        self._listeners: list[Listener] = []
        self._listening = threading.Lock()
        self._frames = FrameServer(clip.reader)
        self._frames.expect(0)  # what a page shows first, decoded while it is loaded
        self._open = OpenFrames(
            clip, method=self._chosen.method, model=model, fetch=fetch, reporter=_Quiet(self)
        )
        self._jobs = JobQueue(self._tell, reporter.spell, working=self._frames.rest)
        self._ahead = PropagationAhead(self._begin_ahead)
        self._exports = Exports(
            clip, workspace=workspace, model=model, project=project, records=started.records,
            ignore_alpha=started.ignore_alpha,
        )  # fmt: skip
        self._facts = _facts(clip, stamp)
        self._cuts: tuple[int, ...] | None = None
        self._cuts_known = threading.Event()
        self._cuts_wanted = threading.Event()
        self._is_closing = False
        # cuts end masks, so they are looked for while the user still looks at the clip
        self._looking = threading.Thread(target=self._look_for_cuts, daemon=True)
        self._looking.start()

    @classmethod
    def open(
        cls,
        clip: SourceClip,
        *,
        workspace: Path,
        model: Path,
        propagator: PropagatorOptions,
        fetch: bool = True,
        started: StartOptions | None = None,
        reporter: Reporter,
    ) -> Self:
        """Open a clip, with the work that was done on it.

        Args:
            clip: the clip.
            workspace: folder for results, with one folder per clip.
            model: folder of network weights.
            propagator: how masks are propagated.
            fetch: whether small weights may be fetched.
            started: what else the program was started with; None is nothing.
            reporter: receives notices, and spells options.

        Raises:
            WorkspaceError: the folder holds work on another clip, or another studio has it open.
            OutputError: the workspace cannot be written.
        """
        stamp = SourceStamp.of(clip.path)
        # a clip that was renamed is known by its bytes
        own = Workspace(workspace).find(clip.path) or Workspace(workspace).clip(clip.path)
        project = Project(own, timeline=clip.info.timeline, shape=clip.info.shape, stamp=stamp)
        return cls(
            clip, project, stamp=stamp, workspace=workspace, model=model, propagator=propagator,
            fetch=fetch, started=started or StartOptions(), reporter=reporter,
        )  # fmt: skip

    def close(self) -> None:
        """End jobs and threads; what was done is on the disk."""
        # jobs first, as they use all of the others
        self._is_closing = True
        self._cuts_wanted.set()
        self._jobs.close()
        self._ahead.close()
        self._frames.close()
        self._looking.join()
        self._project.close()

    # what there is to see

    @property
    def info(self) -> ClipFacts:
        """Facts about the clip."""
        return self._facts

    @property
    def masks_revision(self) -> int:
        """The revision that changed a mask last."""
        return self._project.masks_revision

    def view(self) -> ProjectView:
        """The whole project.

        Raises:
            WorkspaceError: what is known of its masks is damaged.
        """
        state, manifest = self._project.state, self._project.manifest()
        masks = MasksView()
        if manifest is not None:
            masks = MasksView(manifest.done, manifest.start, dict(manifest.confidence))
        marks = state.marks
        return ProjectView(
            clip=self._facts,
            revision=self._project.revision,
            masks_revision=self._project.masks_revision,
            objects=state.objects,
            references=tuple(
                ShownReference(index, one.enabled, one.objects)
                for index, one in state.references.items()
            ),
            first=state.first,
            last=state.last,
            marks=None
            if marks is None
            else {
                "index": marks.index,
                "object": marks.object_id,
                **marks_to_plain(marks.marks),
            },
            masks=masks,
            cuts=self._cuts,
            undo=self._project.undo_label,
            redo=self._project.redo_label,
            jobs=tuple(self._jobs.jobs()),
            propagator=self._propagator.name,
            program_version=__version__,
        )

    @property
    def _propagator(self) -> PropagatorOptions:
        """How masks are propagated, as it is chosen now."""
        return replace(self._given, name=self._chosen.propagator)

    def ways(self) -> Ways:
        """How masks can be made here, and how they are."""
        return ways(self._chosen, self._given, model=self._model, fetch=self._fetch)

    def choose(self, *, method: str | None = None, propagator: str | None = None) -> Ways:
        """Make masks in another way from now on; None leaves one as it is.

        Args:
            method: of first masks, a name of `ways`.
            propagator: likewise; a job that waits takes it, one that runs does not.

        Raises:
            UsageError: there is no such way, or something that it needs is missing.
            OutputError: the choice cannot be kept.
        """
        chosen = changed(self._chosen, self.ways(), method=method, propagator=propagator)
        if chosen != self._chosen:
            chosen.save(self._project.workspace.studio_folder)
            self._ahead.drop()  # of another propagator
            is_other = chosen.method != self._chosen.method
            self._chosen = chosen
            if is_other:
                self._open.use(chosen.method)
        self._tell({"type": "ways"})
        return self.ways()

    def frame_jpeg(self, index: int, width: int | None = None) -> bytes:
        """One frame as JPEG; see `FrameServer.jpeg`."""
        return self._frames.jpeg(index, width)

    def frame_crop(self, index: int, x: int, y: int, width: int, height: int) -> bytes:
        """A part of a frame as PNG; see `FrameServer.crop`."""
        return self._frames.crop(index, x, y, width, height)

    def mask(self, index: int) -> ShownMask:
        """The mask of a frame; see `Project.mask`."""
        return self._project.mask(index)

    # what can be edited

    def save_mask(
        self, index: int, mask: Mask, *, label: str = "paint", revision: int | None = None
    ) -> EditResult:
        """Make a mask the reference of a frame; see `Project.save_mask`."""
        done = self._edited(
            self._project.save_mask(index, mask, label=label or "paint", revision=revision)
        )
        self._ahead.want(index)
        return done

    def mark(
        self,
        index: int,
        marks: Marks,
        *,
        object_id: int,
        auto: bool = False,
        preview: bool = False,
        revision: int | None = None,
    ) -> MarkResult:
        """Make or correct an object's mask on a frame by marks.

        Args:
            index: the frame.
            marks: all that were set so far, the new ones last: they go on from those of the call
                before when they begin with the same ones.
            object_id: what is marked.
            auto: take what stands out instead, as this object and new ones.
            preview: give the mask, and change nothing.
            revision: that the caller saw.

        Raises:
            UsageError: the marks do not fit (MaskError: nothing is found).
            ConflictError: the project was changed.
            MediaError: the frame cannot be read.
        """
        self._project.check_frame(index)
        if not 1 <= object_id <= MOST_OBJECTS:
            raise UsageError(
                f"object {object_id} is out of range", hint=f"objects are 1 to {MOST_OBJECTS}"
            )
        if marks.is_empty and not auto:
            raise UsageError("nothing is marked", hint="mark the object, or draw a box around it")
        self._ahead.drop()  # two cores are few
        # 1. the mask before the first of these marks
        earlier = self._project.state.marks
        shown = self._project.mask(index)
        base, before = shown.digest, shown.mask
        if (
            earlier is not None
            and (earlier.index, earlier.object_id) == (index, object_id)
            and _goes_on(earlier.marks, marks)
        ):
            base, before = earlier.base, self._project.kept_mask(earlier.base)
        # 2. what the marks make of it
        with self._open.lock:
            opened = self._open.frame(index)
            mask, answers, lines = opened.placed(
                before, marks, auto=auto, object_id=None if auto else object_id, name="the mask"
            )
        objects = masked_objects(mask, answers)
        notices = tuple(
            map(self._reporter.spell, (*lines, *_changes_beside(shown.mask, mask, answers)))
        )
        if preview:
            return MarkResult(mask, objects, notices, self._project.revision)
        # 3. kept as the frame's reference, with the marks for a further one
        self._project.keep(before)  # for further marks, which begin from it
        done = self._edited(
            self._project.save_mask(
                index,
                mask,
                label="mark",
                revision=revision,
                marks=None if auto else OpenMarks(index, object_id, marks, base),
            )
        )
        self._ahead.want(index)
        return MarkResult(mask, objects, notices, done.revision)

    def prepare(self, index: int) -> None:
        """Compute what marks on this frame need, in the background."""
        self._project.check_frame(index)
        self._open.prepare(index)

    def import_mask(self, index: int, file: Path, *, revision: int | None = None) -> EditResult:
        """Make a picture the reference of a frame; its colours are read as `segment` reads them.

        Raises:
            MaskError: it cannot be used.
        """
        self._project.check_frame(index)
        ((_, reading),) = read_references(
            [(index, load_mask_picture(file))], shape=self._clip.info.shape
        )
        done = self._project.save_mask(index, reading.mask, label="import", revision=revision)
        notices = tuple(map(self._reporter.spell, reading.notices))
        return self._edited(EditResult(done.revision, notices))

    def set_reference(
        self, index: int, *, enabled: bool | None, revision: int | None = None
    ) -> EditResult:
        """See `Project.set_reference`."""
        return self._edited(self._project.set_reference(index, enabled=enabled, revision=revision))

    def add_object(self, *, name: str | None = None, color: str | None = None) -> EditResult:
        """See `Project.add_object`."""
        return self._edited(self._project.add_object(name=name, color=color))

    def set_object(self, object_id: int, **changes: Any) -> EditResult:  # noqa: ANN401  as there
        """See `Project.set_object`."""
        return self._edited(self._project.set_object(object_id, **changes))

    def remove_object(self, object_id: int) -> EditResult:
        """See `Project.remove_object`."""
        return self._edited(self._project.remove_object(object_id))

    def set_range(
        self, first: int | None, last: int | None, *, revision: int | None = None
    ) -> EditResult:
        """See `Project.set_range`."""
        return self._edited(self._project.set_range(first, last, revision=revision))

    def undo(self) -> EditResult:
        """See `Project.undo`.

        Raises:
            UsageError: it would change masks that a job is making or reading.
        """
        if not self._project.keeps_masks(undo=True):
            self._refuse_while_busy()
        return self._edited(self._project.undo())

    def redo(self) -> EditResult:
        """See `Project.redo`; errors as of `undo`."""
        if not self._project.keeps_masks(undo=False):
            self._refuse_while_busy()
        return self._edited(self._project.redo())

    def clear(self, what: str) -> EditResult:
        """Forget masks.

        Args:
            what: "propagated", or "all" for the references too.

        Raises:
            UsageError: another word, or a job makes or reads masks.
        """
        if what not in ("propagated", "all"):
            raise UsageError(f"there is nothing called {what!r} to clear", hint="propagated or all")
        self._refuse_while_busy()
        return self._edited(self._project.clear(references=what == "all"))

    # what takes time

    def propagate(self, direction: str, index: int) -> Job:
        """Propagate the references, as a job.

        Args:
            direction: one of `propagation.DIRECTIONS`.
            index: the frame to begin at.

        Raises:
            UsageError: another word, no such frame, or there is no reference.
        """
        if direction not in DIRECTIONS:
            raise UsageError(
                f"{direction!r} is not a direction", hint=f"it is one of {', '.join(DIRECTIONS)}"
            )
        self._project.check_frame(index)
        self._require_reference()
        only = frames_of(direction, index, self._project.state, frames=self._facts.frames)
        number = self._facts.first_number
        label = f"frames {number + only[0]} to {number + only[1] - 1}"

        def work(reporter: JobReporter) -> tuple[()]:
            self._propagate(reporter, only)
            return ()

        return self._jobs.add("propagate", label, work)

    def _propagate(self, reporter: JobReporter, only: tuple[int, int]) -> None:
        # masks end at cuts, so these must be known; of a short clip they are by now
        self._wait_for_cuts(reporter)
        try:
            propagate(
                self._clip,
                self._propagator,
                only=only,
                cuts=self._cuts or (),
                project=self._project,
                reporter=reporter,
                ahead=self._ahead.take(),
            )
        finally:
            # of a run that was stopped, too: what is finished is kept, and can be undone
            self._project.note_propagated("propagate")
            self._changed()

    def _begin_ahead(self, index: int) -> RunAhead | None:
        # masks end at cuts, and a job has the machine for itself
        if not self._cuts_known.wait(_LONGEST_WAIT_SECONDS) or self._is_closing:
            return None
        if self._jobs.is_busy():
            return None
        return begin_ahead(
            self._clip, self._propagator, index, cuts=self._cuts or (), project=self._project
        )

    def find(self, text: str) -> Job:
        """Find what a text says on a frame that shows it, as a job: it becomes its reference.

        Args:
            text: in words, such as "the dog".

        Raises:
            UsageError: no such text can be looked for, or a package is missing.
            WeightsError: the weights of what finds texts are missing.
        """
        device = str(self._given.values.get("device") or "auto")
        prompt = text_prompt(text, weights=None, model=self._model, device=device)
        assert prompt is not None
        # refused now, not when the job's turn comes
        if lack := lack_of_text_detector(None, self._model):
            raise lack

        def work(reporter: JobReporter) -> tuple[()]:
            span = range(*self._project.state.span(self._facts.frames))
            found = find_objects(self._clip, prompt, span, reporter=reporter)
            is_first = not self._project.state.references
            names = {at: label.name for at, label in found.labels.items()}
            self._edited(self._project.save_found(found.index, found.mask, names))
            digest = self._project.state.references[found.index].digest
            chosen = replace(self._chosen, text=prompt.text)
            if is_first:
                chosen = replace(chosen, found=(prompt.text, found.index, digest))
            self._chosen = chosen
            self._chosen.save(self._project.workspace.studio_folder)
            self._tell({"type": "found", "job": reporter.job_id, "index": found.index})
            self._ahead.want(found.index)
            return ()

        return self._jobs.add("find", prompt.text, work)

    def render(self, name: str, options: Mapping[str, Any]) -> Job:
        """Render an output, as a job; see `Exports.work`."""
        self._require_reference()
        work = self._exports.work(name, options, finish_masks=self._propagate)
        return self._jobs.add("render", name, work)

    def check_render(self, name: str, options: Mapping[str, Any]) -> list[str]:
        """Find out whether an output can be made, and what it would remark; see `Exports.check`."""
        reporter = _Collecting(self._reporter.spell)
        self._exports.check(name, options, reporter)
        return reporter.lines

    def jobs(self) -> list[Job]:
        """All jobs, in order."""
        return self._jobs.jobs()

    def stop(self, job_id: int) -> None:
        """End a job, or take it off the queue; see `JobQueue.stop`."""
        self._jobs.stop(job_id)

    def output_path(self, output_id: int) -> Path:
        """The file of a job's output.

        Raises:
            UsageError: there is none with this id.
        """
        return self._exports.path(output_id)

    def preview(self, index: int, options: Mapping[str, Any], *, width: int | None = None) -> bytes:
        """What a green screen would show of a frame, as PNG; see `Exports.preview`."""
        self._project.check_frame(index)
        return self._exports.preview(index, options, width=width)

    def suggested(self) -> list[dict[str, Any]]:
        """Frames that are worth a reference; see `pipeline.review.suggest`."""
        return self._exports.suggested(self._propagator)

    def problems(self) -> list[dict[str, Any]]:
        """What stands out in the masks, the worst first; see `pipeline.review.qc`."""
        return self._exports.problems(self._propagator)

    def commands(
        self, name: str = "greenback", options: Mapping[str, Any] = MappingProxyType({})
    ) -> list[str]:
        """Commands that make the same masks, and the same export, as `wording.command` has them.

        Args:
            name: of an export, see `Exports.work`.
            options: likewise.

        Raises:
            UsageError: no such export, or an option that it does not have.
        """
        self._exports.require(name, options)
        clip, project, chosen, started = self._clip, self._project, self._chosen, self._started
        return [
            *mask_commands(clip, project, chosen, started),
            segment_command(clip, project, chosen, self._propagator, started),
            export_command(clip, project, name, options, started),
        ]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Receive events until the function that this gives is called; see `docs/studio.md`.

        Args:
            listener: is called from any thread, and must be quick.
        """
        with self._listening:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._listening, contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    # within

    def _tell(self, event: Mapping[str, Any]) -> None:
        # called without the lock, so that a listener may unsubscribe
        with self._listening:
            listeners = tuple(self._listeners)
        for listener in listeners:
            # work that is done is not undone by somebody who cannot hear of it
            with contextlib.suppress(Exception):
                listener(event)

    def _changed(self) -> None:
        self._tell({"type": "project", "revision": self._project.revision})

    def _edited(self, result: EditResult) -> EditResult:
        self._ahead.drop()
        self._changed()
        return result

    def _refuse_while_busy(self) -> None:
        # a render reads masks, and makes those that are missing first
        if self._jobs.is_busy():
            raise UsageError(
                "masks are being made or read just now", hint="wait for the job, or stop it"
            )

    def _require_reference(self) -> None:
        enabled = self._project.state.enabled_references()
        if not any(one.objects for one in enabled.values()):
            raise UsageError("no reference mask shows an object", hint="click on the subject first")

    def _look_for_cuts(self) -> None:
        """The thread that looks for cuts when the clip is opened, once for ever."""
        path = self._project.workspace.studio_folder / _CUTS_FILE
        stamp = self._stamp.fingerprint
        try:
            manifest = self._project.manifest()
            known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            # those that masks were made with count, whoever chose them
            if manifest is not None and manifest.cuts is not None:
                self._cuts = manifest.cuts
            elif known.get("clip") == stamp:
                self._cuts = tuple(map(int, known["cuts"]))
            else:
                self._leave_to_pictures(_CUTS_AFTER_SECONDS)
                if self._is_closing:
                    return
                self._cuts = tuple(find_cuts(self._clip, 0, self._facts.frames, _Closing(self)))
                write_text(path, json.dumps({"clip": stamp, "cuts": self._cuts}))
        except _ClosedError:
            return
        # without cuts masks go on across them, which is better than not at all
        except Exception:  # noqa: BLE001
            self._cuts = self._cuts or ()
        finally:
            self._cuts_known.set()
        self._changed()

    def _leave_to_pictures(self, least: float = 0.0) -> None:
        """Wait until nobody has asked for a picture for a while, or cuts are needed."""
        self._cuts_wanted.wait(least)
        while self._frames.seconds_since_asked < _QUIET_SECONDS:
            if self._cuts_wanted.wait(_QUIET_SECONDS / 2):
                return

    def _wait_for_cuts(self, reporter: JobReporter) -> None:
        if self._cuts_known.is_set():
            return
        self._cuts_wanted.set()
        with reporter.progress("look for cuts", 0) as step:
            while not self._cuts_known.wait(0.1):
                step()


class _ClosedError(Exception):
    """The studio is being closed."""


class _Closing(SilentReporter):
    """Ends work when its studio is closed."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self._studio = studio

    def progress(
        self,
        label: str,  # noqa: ARG002
        total: int,  # noqa: ARG002
    ) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """End where the studio is being closed."""

        def step() -> None:
            self._studio._leave_to_pictures()
            if self._studio._is_closing:
                raise _ClosedError

        return contextlib.nullcontext(step)


class _Collecting(SilentReporter):
    """Keeps notices, each once."""

    def __init__(self, spell: Callable[[str], str]) -> None:
        super().__init__()
        self._spell = spell
        self.lines: list[str] = []

    def notify(self, line: str) -> None:
        """Keep a line."""
        text = self._spell(line)
        if text not in self.lines:
            self.lines.append(text)


class _Quiet(SilentReporter):
    """Hands notices on as events."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self._studio = studio

    def notify(self, line: str) -> None:
        """Tell those who listen."""
        text = self._studio._reporter.spell(line)
        self._studio._tell({"type": "notice", "text": text})


def _facts(clip: SourceClip, stamp: SourceStamp) -> ClipFacts:
    info, timeline = clip.info, clip.info.timeline
    base: Fraction = timeline.time_base
    return ClipFacts(
        id=stamp.fingerprint[:16],
        name=clip.path.name,
        width=info.width,
        height=info.height,
        frames=len(timeline),
        first_number=timeline.number(0),
        time_base=(base.numerator, base.denominator),
        pts=tuple(timeline.pts),
        duration=float(timeline.end - timeline.start),
        fps=float(timeline.average_fps),
    )


def _goes_on(earlier: Marks, marks: Marks) -> bool:
    """Whether marks begin with earlier ones."""
    return (
        earlier.box == marks.box
        and earlier.clicks == marks.clicks[: len(earlier.clicks)]
        and earlier.strokes == marks.strokes[: len(earlier.strokes)]
    )


def _changes_beside(before: Mask, after: Mask, meant: Mapping[int, object]) -> list[str]:
    """Lines about other objects whose pixels were taken."""
    return [
        f"object {one} lost {lost} pixels to it"
        for one in object_ids(before)
        if one not in meant and (lost := int(((before == one) & (after != one)).sum()))
    ]
