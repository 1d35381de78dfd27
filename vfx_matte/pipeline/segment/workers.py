"""Makes the parts of one clip in several processes at once."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from vfx_matte.errors import BatchError, StoppedError, UsageError, WorkspaceError
from vfx_matte.pipeline.batch.processes import Commands, Ended, Program
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.segment.parts import (
    divided,
    part_name,
    part_workspace,
    prepare,
    take_in,
)
from vfx_matte.wording import option
from vfx_matte.workspace import ClipWorkspace, Manifest, SegmentRun

_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a clip is shared out."""

    workers: int
    """Processes at once, at least 2."""

    command_line: Callable[[str, str], Sequence[str]]
    """The command line that makes one part, from its name ("100-199") and the propagator's."""

    program: Program = Program()  # noqa: RUF009  frozen
    """What runs it; its events have to say how far it is."""


def share_out(run: SegmentRun, sharing: Sharing, *, reporter: Reporter) -> dict[int, list[int]]:
    """Make the parts of a run that are missing; those that end are taken in at once.

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
    whole = divided(run.manifest, workers=sharing.workers)
    if len(whole) < 2:
        reporter.notify(
            "this clip is one part: there is no cut, and no reference that shows every object, to"
            " divide it at"
        )
        return {}
    parts = [
        part
        for part in whole
        if any(begin < part.stop and part.start < end for begin, end in run.missing)
    ]
    # the only one that is left is made without a process beside this one
    if len(parts) < 2:
        return {}
    missing = sum(end - begin for begin, end in run.missing)
    with reporter.progress("segment", missing) as step:
        commands = Commands(sharing.program, min(sharing.workers, len(parts)))
        return _Shares(run, parts, sharing, commands, step, reporter).make()


@dataclass(slots=True)
class _Shares:
    """The parts that are being made."""

    run: SegmentRun
    parts: Sequence[range]
    sharing: Sharing
    commands: Commands
    step: Callable[[], None]
    reporter: Reporter
    lock: threading.Lock = field(default_factory=threading.Lock)
    failed: dict[str, Ended] = field(default_factory=dict)
    unseen: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def make(self) -> dict[int, list[int]]:
        """Everything; see `share_out`."""
        # the longest first, so that none is left alone at the end
        order = sorted(self.parts, key=lambda part: -len(part))
        jobs = [partial(self._part, part) for part in order]
        self.commands.all(jobs, stops=self.reporter.stops)
        if self.commands.is_stopped:
            raise StoppedError("stopped; finished frames are kept")
        if self.failed:
            name, ended = next(iter(self.failed.items()))
            others = f" (and {len(self.failed) - 1} more)" if len(self.failed) > 1 else ""
            raise BatchError(
                f"part {name}{others} failed: {ended.error}",
                hint=ended.hint or f"the others are done; {option('resume', True)} tries again",
            )
        return self.unseen

    def _part(self, part: range) -> None:
        """Make one part, and take it in."""
        manifest = self.run.manifest
        clip = ClipWorkspace(self.run.clip.folder)
        place = part_workspace(clip, (part.start, part.stop), manifest.timeline)
        name = part_name(part, manifest.timeline)
        told = _Told(self.step, self.lock)

        def wants(ended: Ended) -> bool:
            # what is misused now is so again
            if ended.exit_code == UsageError.exit_code:
                return False
            self.reporter.notify(f"part {name} failed, it is tried again: {ended.error}")
            return self._is_ours(place, manifest, name)

        if not self._is_ours(place, manifest, name):
            return
        words = self.sharing.command_line(name, manifest.propagator)
        ended = self.commands.run_again(words, hear=told, wants=wants)
        with self.lock:
            if ended.exit_code != 0 and not self.commands.is_stopped:
                self.failed[name] = ended
            taken = take_in(self.run, reporter=self.reporter, awaited=place)
            for object_id, frames in taken.unseen.items():
                self.unseen[object_id] += frames

    def _is_ours(self, place: ClipWorkspace, manifest: Manifest, name: str) -> bool:
        """Prepare a part; where another run makes it, when that has ended. False: we were stopped
        meanwhile.
        """
        # of a coordinator that was killed, a worker ends when it has something to tell; one on
        # another machine ends with the part, which is then taken in
        is_said = False
        while not self.commands.is_stopped:
            try:
                # not while another part is taken in, which removes folders that are empty
                with self.lock:
                    prepare(place, manifest)
                return True
            except WorkspaceError:
                if not is_said:
                    self.reporter.notify(
                        f"part {name} is being made by another run; waiting for it"
                    )
                is_said = True
                time.sleep(_LOOK_AGAIN_SECONDS)
        return False


class _Told:
    """Counts what a part tells as steps of the whole."""

    def __init__(self, step: Callable[[], None], lock: threading.Lock) -> None:
        self._step, self._lock = step, lock
        self._done = 0

    def __call__(self, event: Mapping[str, object]) -> None:
        frame = event.get("frame")
        if event.get("step") != "segment" or not isinstance(frame, int):
            return
        with self._lock:
            # another attempt begins where the one before it was saved, and counts from there
            for _ in range(frame - self._done):
                self._step()
            self._done = max(self._done, frame)
