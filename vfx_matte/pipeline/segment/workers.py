"""Makes the parts of one clip in several processes at once."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.errors import BatchError, StoppedError, UsageError, WorkspaceError
from vfx_matte.pipeline.batch.processes import ATTEMPTS, Child, Commands, Ended, tell
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.segment.parts import (
    PARTS_PER_PROCESS,
    costliest_first,
    divided,
    done_of,
    part_name,
    part_workspace,
    prepare,
    take_in,
)
from vfx_matte.pipeline.segment.sharing import Sharing
from vfx_matte.wording import option
from vfx_matte.workspace import ClipWorkspace, SegmentRun

_LOOK_AGAIN_SECONDS = 1.0


def folders_of_parts(run: SegmentRun, sharing: Sharing) -> frozenset[Path]:
    """Folders of the parts that `share_out` is going to make to their end, those that an earlier
    run has begun from where it was stopped.
    """
    parts = _unfinished(run, _divided(run, sharing))
    return frozenset(_place(run, part).folder for part in parts)


def _place(run: SegmentRun, part: range) -> ClipWorkspace:
    """Where a part is made."""
    clip = ClipWorkspace(run.clip.folder)
    return part_workspace(clip, (part.start, part.stop), run.manifest.timeline)


def _divided(run: SegmentRun, sharing: Sharing) -> list[range]:
    """All parts of a run; none where it is one."""
    whole = divided(run.manifest, workers=sharing.workers, each=PARTS_PER_PROCESS)
    return whole if len(whole) > 1 else []


def _unfinished(run: SegmentRun, parts: Sequence[range]) -> list[range]:
    """Those of which frames are missing."""
    return [
        part
        for part in parts
        if any(begin < part.stop and part.start < end for begin, end in run.missing)
    ]


def share_out(run: SegmentRun, sharing: Sharing, *, reporter: Reporter) -> dict[int, list[int]]:
    """Make the parts of a run that are missing; those that end are taken in at once. One that is
    stopped stays where it is, and goes on there when the run is resumed.

    Where there is nothing to divide at, one line says so and nothing is made; nor is anything where
    one part alone is missing.

    Args:
        run: of the whole clip; it holds the clip's lock.
        sharing: how.
        reporter: receives progress, and a line for each attempt that fails.

    Returns:
        Object id → the frames that do not show it.

    Raises:
        BatchError: some part failed every attempt; the others are done.
        StoppedError: `reporter.stops`.
        KeyboardInterrupt: Ctrl-C; finished frames are kept.
    """
    whole = _divided(run, sharing)
    if not whole:
        reporter.notify(
            "this clip is one part: there is no cut, and no reference that shows every object, to"
            " divide it at"
        )
        return {}
    parts = costliest_first(run.manifest, _unfinished(run, whole))
    done = {part: done_of(_place(run, part), run.manifest) for part in parts}
    # the only one that is left is made without a process beside this one, unless it was begun
    if len(parts) < 2 and not any(done.values()):
        return {}
    # what was made of a part before a run was stopped is not made again
    absent = {at for begin, end in run.missing for at in range(begin, end)}
    left = {part: len(absent.intersection(part) - done[part]) for part in parts}
    with reporter.progress("segment", sum(left.values())) as step:
        return _Shares(run, left, sharing, step, reporter).make()


class _Shares:
    """The parts that are being made.

    Args:
        run: as of `share_out`.
        left: the parts, in the order in which they begin, and how many frames of each are to be
            made.
        sharing: as there.
        step: counts a frame.
        reporter: as there.
    """

    def __init__(
        self,
        run: SegmentRun,
        left: Mapping[range, int],
        sharing: Sharing,
        step: Callable[[], None],
        reporter: Reporter,
    ) -> None:
        self._run, self._left, self._sharing = run, left, sharing
        self._step, self._reporter = step, reporter
        self._commands: Commands = sharing.commands(len(left))
        # of what is below; and nobody prepares a part while another is taken in, which removes
        # folders that are empty
        self._lock = threading.Lock()
        self._waiting = deque(left)
        self._attempts: Counter[range] = Counter()
        self._told: Counter[range] = Counter()
        self._failed: dict[str, Ended] = {}
        self._unseen: dict[int, list[int]] = defaultdict(list)

    def make(self) -> dict[int, list[int]]:
        """Everything; see `share_out`."""
        workers = min(self._commands.at_once, len(self._waiting))
        self._commands.all([self._work] * workers, stops=self._reporter.stops)
        if self._commands.is_stopped:
            raise StoppedError("stopped; finished frames are kept")
        if self._failed:
            name, ended = next(iter(self._failed.items()))
            others = f" (and {len(self._failed) - 1} more)" if len(self._failed) > 1 else ""
            raise BatchError(
                f"part {name}{others} failed: {ended.error}",
                hint=ended.hint or f"the others are done; {option('resume', True)} tries again",
            )
        return self._unseen

    def _work(self) -> None:
        """One process after another, until no part waits: the next one where one has failed."""
        while (part := self.next()) is not None:
            child = self._sharing.begin()
            # all were stopped meanwhile
            if child is None:
                return
            worker = _Worker(self, child, part)
            ended = self._commands.follow(child, hear=worker.hear)
            if worker.part is not None:
                self._has_ended(worker.part, ended)

    def _has_ended(self, part: range, ended: Ended) -> None:
        """A process has ended while it made a part."""
        name = self.name(part)
        # it stays where it is, with what its walks need to go on
        if self._commands.is_stopped:
            return
        if ended.exit_code == 0:
            ended = Ended(exit_code=1, error="its process ended before it was made")
        self._attempts[part] += 1
        # what is misused now is so again
        if ended.exit_code != UsageError.exit_code and self._attempts[part] < ATTEMPTS:
            self._reporter.notify(f"part {name} failed, it is tried again: {ended.error}")
            with self._lock:
                self._waiting.appendleft(part)
            return
        self._failed[name] = ended
        self.take_in(part)

    def name(self, part: range) -> str:
        """Of a part, as it is typed."""
        return part_name(part, self._run.manifest.timeline)

    def next(self) -> range | None:
        """The part to be made next, prepared; where another run makes it, when that has ended.
        None: there is none, or all were stopped.
        """
        with self._lock:
            if not self._waiting:
                return None
            part = self._waiting.popleft()
        # of a coordinator that was killed, a worker ends when it has something to tell; one on
        # another machine ends with the part, which is then taken in
        is_said = False
        while not self._commands.is_stopped:
            try:
                with self._lock:
                    prepare(_place(self._run, part), self._run.manifest)
                return part
            except WorkspaceError:
                if not is_said:
                    self._reporter.notify(
                        f"part {self.name(part)} is being made by another run; waiting for it"
                    )
                is_said = True
                time.sleep(_LOOK_AGAIN_SECONDS)
        return None

    def take_in(self, part: range) -> None:
        """Take in what there is of a part that nobody makes any more."""
        with self._lock:
            taken = take_in(self._run, reporter=self._reporter, awaited=_place(self._run, part))
            for object_id, frames in taken.unseen.items():
                self._unseen[object_id] += frames

    def count(self, part: range, frames: int) -> None:
        """So many frames of a part are made."""
        with self._lock:
            # another attempt begins where the one before it was saved, and counts from there; what
            # the run has of the part already may be made once more
            frames = min(frames, self._left[part])
            for _ in range(frames - self._told[part]):
                self._step()
            self._told[part] = max(self._told[part], frames)


@dataclass(slots=True)
class _Worker:
    """A process, and what it makes."""

    shares: _Shares
    child: Child
    part: range | None
    """What it makes, or is going to make first; None: it has made all that it was told."""

    def hear(self, event: Mapping[str, object]) -> None:
        """Hear an event; one that has made its part is told the next one."""
        frame = event.get("frame")
        if event.get("step") == "segment" and isinstance(frame, int) and self.part is not None:
            self.shares.count(self.part, frame)
        if event["event"] != "part":
            return
        done = None
        # its first event of this kind says that it is ready for one
        if event.get("part") is not None:
            done, self.part = self.part, None
            self.part = self.shares.next()
        tell(self.child, None if self.part is None else self.shares.name(self.part))
        # while the process is at work again
        if done is not None:
            self.shares.take_in(done)
