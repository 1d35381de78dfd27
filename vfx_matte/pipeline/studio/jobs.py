"""One queue of work that takes long: propagation, renders and packages, one at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from vfx_matte.errors import StoppedError, UsageError, VfxMatteError, beyond_control
from vfx_matte.printable import shortened

Listener = Callable[[Mapping[str, Any]], None]
"""Receives events: mappings with a `type`, as JSON can hold them."""

STOPPING = "stopping"
"""The stage of a job that was asked to end, and finishes what cannot be left halfway."""

_LOST = "the work ended without a result"
_PROGRESS_SECONDS = 0.1  # between two events: more is not seen
_PATIENCE_SECONDS = 1.0  # to end by itself; then the next step of progress ends it


@dataclass(frozen=True, slots=True)
class JobOutput:
    """A file that a job made."""

    id: int
    """Among the outputs of all jobs."""
    name: str
    path: str
    """Where it lies, for people."""
    verified: str
    """What was checked, in a sentence; "" where nothing was."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work, as it stands."""

    id: int
    kind: str
    """ "propagate" or "render"."""
    label: str
    """For people."""
    state: str = "waiting"
    """ "waiting", "running", "done", "stopped" or "failed"."""
    stage: str = ""
    """What it does just now."""
    done: int = 0
    """Steps of this stage."""
    total: int = 0
    fps: float = 0.0
    """Steps per second, on average."""
    message: str = ""
    """What went wrong."""
    hint: str = ""
    """What to do about it."""
    outputs: tuple[JobOutput, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("done", "stopped", "failed")


Work = Callable[["JobReporter"], tuple[JobOutput, ...]]
"""Does a job, and gives its outputs."""


class JobReporter:
    """The `Reporter` of one job."""

    def __init__(self, queue: JobQueue, job_id: int, spell: Callable[[str], str]) -> None:
        self._queue, self.job_id, self._spell = queue, job_id, spell
        self._stop_asked_at: float | None = None

    def stop(self) -> None:
        """Ask the work to end."""
        self._stop_asked_at = time.monotonic()

    def stops(self) -> bool:
        """Whether it was asked to."""
        return self._stop_asked_at is not None

    def notify(self, line: str) -> None:
        """Hand a line on, each only once."""
        self._queue.note(self.spell(line))

    def spell(self, text: str) -> str:
        """As the page writes options."""
        return self._spell(text)

    def saved(self, frame_index: int) -> None:
        """Hand it on."""
        self._queue.tell({"type": "saved", "index": frame_index})

    def progress(self, label: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Count steps; they end the work when it does not end by itself."""
        return self._progress(label, total)

    @contextmanager
    def _progress(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        began = told = time.monotonic()
        done = 0

        def step() -> None:
            nonlocal told, done
            done += 1
            # a render of a hundred frames per second would send more than a page can show
            now = time.monotonic()
            # work that keeps no state to go on from ends here
            if self._stop_asked_at is not None and now - self._stop_asked_at > _PATIENCE_SECONDS:
                raise StoppedError("stopped; finished frames are kept")
            if done in (1, total) or now - told >= _PROGRESS_SECONDS:
                told = now
                self._queue.note_progress(
                    self.job_id, label, done, total, done / (now - began or 1)
                )

        self._queue.note_progress(self.job_id, label, 0, total, 0.0)
        yield step

    def transfer(self, label: str) -> AbstractContextManager[Callable[[int, int | None], None]]:
        """Count nothing: only small files are fetched."""
        self._queue.note_progress(self.job_id, label, 0, 0, 0.0)
        return contextlib.nullcontext(lambda _done, _total: None)


class JobQueue:
    """Jobs in the order in which they were added; safe to call from any thread.

    Args:
        tell: receives events.
        spell: writes options as the door does.
        working: hears when a job begins, and when it is over.
    """

    def __init__(
        self, tell: Listener, spell: Callable[[str], str], *, working: Callable[[bool], None]
    ) -> None:
        self.tell, self._spell, self._working = tell, spell, working
        self._changed = threading.Condition()
        self._jobs: dict[int, Job] = {}
        self._work: dict[int, Work] = {}
        self._reporters: dict[int, JobReporter] = {}
        self._notices: set[str] = set()
        self._is_closed = False
        self._start()

    def add(self, kind: str, label: str, work: Work) -> Job:
        """Put a job at the end of the queue."""
        with self._changed:
            job = Job(len(self._jobs) + 1, kind, label)
            self._jobs[job.id], self._work[job.id] = job, work
            self._reporters[job.id] = JobReporter(self, job.id, self._spell)
            self._changed.notify_all()
        self._told(job)
        return job

    def jobs(self) -> list[Job]:
        """All jobs, in order."""
        with self._changed:
            return list(self._jobs.values())

    def is_busy(self) -> bool:
        """Whether a job runs or waits."""
        return any(not job.is_over for job in self.jobs())

    def stop(self, job_id: int) -> None:
        """End a job, or take it off the queue.

        Raises:
            UsageError: there is no such job.
        """
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None:
                raise UsageError(f"there is no job {job_id}", hint="load the page again")
            if job.is_over:
                return
            self._reporters[job_id].stop()
            # what runs ends by itself, what waits never begins
            if job.state == "waiting":
                del self._work[job_id]
                job = self._change(job_id, state="stopped")
            else:
                job = self._change(job_id, stage=STOPPING)
        self._told(job)

    def close(self) -> None:
        """End what runs, and the thread."""
        with self._changed:
            self._is_closed = True
            for reporter in self._reporters.values():
                reporter.stop()
            self._changed.notify_all()
        self._thread.join()

    def note(self, line: str) -> None:
        """Tell a line, unless an earlier job has told it: what was read once is in the way then."""
        with self._changed:
            is_new = line not in self._notices
            self._notices.add(line)
        if is_new:
            self.tell({"type": "notice", "text": line})

    def note_progress(self, job_id: int, stage: str, done: int, total: int, fps: float) -> None:
        """Keep how far a job is, and tell."""
        with self._changed:
            fps = round(fps, 2)
            stage = STOPPING if self._reporters[job_id].stops() else stage
            self._change(job_id, stage=stage, done=done, total=total, fps=fps)
        event = {"type": "progress", "job": job_id, "label": stage, "done": done, "total": total}
        self.tell({**event, "fps": fps})

    def _run(self) -> None:
        try:
            # a thread that did not come to the end of its job is no more
            for lost in self.jobs():
                if lost.state == "running":
                    self._set(lost.id, state="failed", message=_LOST, hint="start it again")
            while (job := self._begin_next()) is not None:
                self._told(job)
                self._set(job.id, **self._done(job.id))
        finally:
            # whatever ended this thread, the next job finds one
            if not self._is_closed:
                time.sleep(_PROGRESS_SECONDS)  # what is always so must not take the processor
                self._start()

    def _done(self, job_id: int) -> dict[str, Any]:
        """Do a job, and tell what became of it, whatever that is."""
        self._working(True)
        try:
            return {"state": "done", "outputs": self._work.pop(job_id)(self._reporters[job_id])}
        except StoppedError:
            return {"state": "stopped"}
        except VfxMatteError as error:
            message, hint = error.message, error.hint
        # a bug, no memory, a disk that is gone, a library that would end the program: the queue
        # goes on, and the page says it
        except BaseException as error:  # noqa: BLE001
            if os.environ.get("VFX_MATTE_DEBUG"):
                traceback.print_exception(error)
            message, hint = beyond_control(error) or (
                f"unexpected {type(error).__name__}: {shortened(' '.join(str(error).split()))}",
                "this is a bug; start again with VFX_MATTE_DEBUG=1 and report what it prints",
            )
        finally:
            self._working(False)
        return {"state": "failed", "message": self._spell(message), "hint": self._spell(hint)}

    def _start(self) -> None:
        """Start the thread that does the jobs."""
        self._thread = threading.Thread(target=self._run, name="vfx-matte jobs", daemon=True)
        self._thread.start()

    def _begin_next(self) -> Job | None:
        """The next job, which runs from now on; None at the end."""
        with self._changed:
            while not self._is_closed:
                # of what waits the first: jobs have their work until they begin
                if self._work:
                    return self._change(next(iter(self._work)), state="running")
                self._changed.wait()
            return None

    def _set(self, job_id: int, **changes: Any) -> None:  # noqa: ANN401  fields of Job
        with self._changed:
            job = self._change(job_id, **changes)
        self._told(job)

    def _change(self, job_id: int, **changes: Any) -> Job:  # noqa: ANN401  fields of Job
        """Change what is known of a job; the lock is held."""
        job = self._jobs[job_id] = replace(self._jobs[job_id], **changes)
        return job

    def _told(self, job: Job) -> None:
        self.tell({"type": "job", "job": job})
