"""Parts of a clip that know nothing of each other, so that each can be made by itself.

A part's masks lie in a workspace of their own below the clip's (`parts/0000100-0000199`), until a
run of the whole clip takes them in; the bytes are those of a run that was never divided.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vfx_matte.errors import MaskError, UsageError, WorkspaceError
from vfx_matte.files.atomic import remove_leftovers
from vfx_matte.masks import object_ids
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.segment.cuts import frames_left_empty
from vfx_matte.printable import shortened
from vfx_matte.settings.options import MEMORIES
from vfx_matte.timeline import Timeline
from vfx_matte.wording import option
from vfx_matte.workspace import ClipWorkspace, Manifest, SegmentRun, load_mask
from vfx_matte.workspace.lock import WriterLock
from vfx_matte.workspace.manifest import save_manifest

_PARTS = "parts"
# Python reads no whole number of more than 4,300 digits
_NAME = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")

# what a frame costs: a step of a walk, and one that no walk passes, whose mask is only written
_STEP, _WRITTEN = 20, 1
# of a part: shorter ones cost more to begin than they gain
_LEAST_COST = 12 * _STEP
# so many parts for each worker: a long one at the end is waited for by all
_PARTS_PER_WORKER = 3
PARTS_PER_PROCESS = 12
"""The same where one process makes many parts, and pays for its start once."""


@dataclass(frozen=True, slots=True)
class PartList:
    """How a clip is shared out."""

    parts: tuple[str, ...]
    """FIRST-LAST with the clip's frame numbers, both included."""

    propagator: str
    """The name of the one that makes them."""


def walls(manifest: Manifest) -> list[int]:
    """The frames at which a clip can be divided, ascending: no walk passes them, or every walk
    begins anew there.

    A gap between two references is blended from both sides and stays whole, as long as these show
    every object; a reference that lacks one is walked through.
    """
    everything = set(manifest.objects)
    remembers = manifest.settings.get("memory") == MEMORIES[0]
    found = set(manifest.cuts or ())
    shots = sorted({0, *found, manifest.stop})
    for at, record in manifest.references.items():
        shown = set(record.objects)
        if not shown:  # an empty one ends the walks on both sides
            found |= {at, at + 1}
        elif remembers and shown == everything:
            found.add(at)
        elif not remembers:
            # one walk each way from the first reference of a shot, through all others
            shot = max(cut for cut in shots if cut <= at)
            end = min((cut for cut in shots if cut > at), default=manifest.stop)
            if at == min(one for one in manifest.references if shot <= one < end):
                found.add(at)
    return sorted(at for at in found if manifest.start < at < manifest.stop)


def costliest_first(manifest: Manifest, parts: Sequence[range]) -> list[range]:
    """Parts in the order in which they should begin: none that takes long is left alone at the
    end.
    """
    costs = _costs(manifest)
    start = manifest.start
    return sorted(parts, key=lambda part: -sum(costs[part.start - start : part.stop - start]))


def _costs(manifest: Manifest) -> list[int]:
    """What each frame of a run costs.

    Frames between two references of a shot are made from both sides; those of shots without a
    reference are only written.
    """
    remembers = manifest.settings.get("memory") == MEMORIES[0]
    empty = frames_left_empty(manifest)
    shown = [at for at, record in manifest.references.items() if record.objects]
    edges = sorted({*(manifest.cuts or ()), *(manifest.references.keys() - set(shown))})
    meeting = [
        (earlier, later)
        for earlier, later in itertools.pairwise(sorted(shown))
        if remembers and not any(earlier < edge <= later for edge in edges)
    ]
    costs = [_WRITTEN if at in empty else _STEP for at in range(manifest.start, manifest.stop)]
    for earlier, later in meeting:
        for at in range(max(earlier + 1, manifest.start), min(later, manifest.stop)):
            costs[at - manifest.start] = 2 * _STEP
    return costs


def divided(manifest: Manifest, *, workers: int, each: int = _PARTS_PER_WORKER) -> list[range]:
    """The frames of a run as parts for so many workers, in order; one part where there is nothing
    to divide at.

    Args:
        manifest: of the run.
        workers: how many processes or machines.
        each: about so many parts are wanted for each of them, where there are so many to be had.
    """
    edges = [manifest.start, *walls(manifest), manifest.stop]
    until = [0, *itertools.accumulate(_costs(manifest))]

    def work(begin: int, end: int) -> int:
        return until[end - manifest.start] - until[begin - manifest.start]

    least = max(_LEAST_COST, work(manifest.start, manifest.stop) // (workers * each))
    parts: list[range] = []
    begin = edges[0]
    for edge in edges[1:]:
        # what is left over at the end goes with the part before it
        if work(begin, edge) >= least or edge == manifest.stop:
            parts.append(range(begin, edge))
            begin = edge
    if len(parts) > 1 and work(parts[-1].start, parts[-1].stop) < _LEAST_COST:
        last = parts.pop()
        parts[-1] = range(parts[-1].start, last.stop)
    return parts


def parse_part(text: str, timeline: Timeline) -> tuple[int, int]:
    """A part as it is typed, FIRST-LAST with the clip's frame numbers, both included.

    Returns:
        Frame indices, half-open.

    Raises:
        UsageError: it is something else, or not in the clip.
    """
    match = _NAME.fullmatch(text.strip())
    first, last = (int(one) - timeline.first_number for one in match.groups()) if match else (1, 0)
    if not 0 <= first <= last < len(timeline):
        raise UsageError(
            f"part {shortened(repr(text))} is not one of this clip",
            hint=f"give {option('part', 'FIRST-LAST')}; it has frames {timeline.numbers_text}",
        )
    return first, last + 1


def part_name(part: range, timeline: Timeline) -> str:
    """The same from frame indices: "100-199"."""
    return f"{timeline.number(part.start)}-{timeline.number(part.stop - 1)}"


def part_workspace(clip: ClipWorkspace, part: tuple[int, int], timeline: Timeline) -> ClipWorkspace:
    """Where the masks of a part lie until they are taken in.

    Args:
        clip: the clip's own folder.
        part: frame indices, half-open.
        timeline: of the clip.
    """
    first, last = timeline.number(part[0]), timeline.number(part[1] - 1)
    return ClipWorkspace(clip.folder / _PARTS / f"{first:07d}-{last:07d}")


def prepare(part: ClipWorkspace, plan: Manifest) -> None:
    """Tell a part what the whole run has decided: propagator, settings, cuts.

    What an earlier run of the same work has made of it stays.

    Raises:
        WorkspaceError: somebody works on it.
        OutputError: it cannot be written.
    """
    with WriterLock(part.lock_path, busy=f"{part.folder} is being made by another run"):
        if (earlier := _readable(part)) is not None and _is_same_work(earlier, plan):
            return
        for path in (part.masks_folder, part.states_folder):
            shutil.rmtree(path, ignore_errors=True)
        save_manifest(part.manifest_path, plan)


@dataclass(slots=True)
class TakenIn:
    """What a run took over from parts."""

    frames: list[int] = field(default_factory=list)
    """Frame indices."""

    unseen: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Object id → those of these frames that do not show it."""


def done_of(part: ClipWorkspace, plan: Manifest) -> set[int]:
    """The frame indices that an earlier run of the same work has made of a part."""
    earlier = _readable(part)
    return earlier.done_frames() if earlier is not None and _is_same_work(earlier, plan) else set()


def take_in(
    run: SegmentRun,
    *,
    reporter: Reporter,
    awaited: ClipWorkspace | None = None,
    going_on: Collection[Path] = (),
) -> TakenIn:
    """Take the finished frames of the parts of this work into the run, and remove these parts.

    Parts that somebody works on, and those of other work, are left alone, which is said.

    Args:
        run: of the whole clip.
        reporter: hears of each mask, and why a part is not taken in.
        awaited: the part that has just been made; the others are left alone, as what is to be made
            of them may not have begun. None: all are expected to be there.
        going_on: folders of parts that are going to be made to their end, which begin where they
            were stopped: those are left as they are until they are complete.

    Raises:
        OutputError: a file cannot be moved.
    """
    taken = TakenIn()
    for part in _parts(ClipWorkspace(run.clip.folder)):
        if awaited is not None and part.folder != awaited.folder:
            continue
        problem = _take_in_one(
            run,
            part,
            taken,
            reporter,
            has_ended=awaited is not None,
            goes_on=part.folder in going_on,
        )
        if problem:
            reporter.notify(f"part {_plain_name(part)} is not taken in: {problem}")
    # only what is empty goes, but for what killed runs were about to write
    with contextlib.suppress(OSError):
        remove_leftovers(run.clip.folder / _PARTS)
        (run.clip.folder / _PARTS / ".latest.json").unlink(missing_ok=True)
        (run.clip.folder / _PARTS).rmdir()
    return taken


def _take_in_one(
    run: SegmentRun,
    part: ClipWorkspace,
    taken: TakenIn,
    reporter: Reporter,
    *,
    has_ended: bool,
    goes_on: bool,
) -> str:
    """Take one part in and remove it; returns why not, or "".

    Args:
        run: as of `take_in`.
        part: one of its parts.
        taken: is added to.
        reporter: as there.
        has_ended: whether it is known that nobody works on the part.
        goes_on: whether it is going to be made to its end.
    """
    try:
        lock = WriterLock(part.lock_path)
    except WorkspaceError:
        return "it is being made by another run"
    with lock:
        remove = f"{option('fresh', True)} removes it"
        try:
            manifest = part.manifest()
        except WorkspaceError as error:
            return f"{error.message}; {remove}"
        if manifest is None:
            # somebody was killed before the first frame; without locks, may be about to begin
            if lock.excludes and not part.masks_folder.exists():
                shutil.rmtree(part.folder, ignore_errors=True)
            return ""
        if problem := _difference(run, manifest):
            return f"{problem}; {remove}"
        # without locks nobody can tell whether somebody is at work there, unless all is done
        is_known = lock.excludes or has_ended
        if (goes_on or not is_known) and not _is_complete(part, manifest):
            return "" if goes_on else _not_complete(remove)
        for index in run.take_in(part, manifest):
            taken.frames.append(index)
            _note_unseen(taken.unseen, run, index)
            reporter.saved(index)
        shutil.rmtree(part.folder, ignore_errors=True)
    return ""


def _not_complete(remove: str) -> str:
    """Why a part is left alone where nobody can tell whether it is being made."""
    return (
        "it is not complete, and its disk has no locks that would tell whether somebody is making"
        f" it; if nobody is, {remove}"
    )


def _difference(run: SegmentRun, part: Manifest) -> str:
    """Why the masks of a part do not belong beside those of a run; "" where they do."""
    if not _is_same_work(part, run.manifest):
        return "it was made from other masks, settings or another clip"
    sizes = run.manifest.working_size, part.working_size
    if None not in sizes and sizes[0] != sizes[1]:
        return f"its propagator worked at {sizes[1]} px, that of this run at {sizes[0]}"
    return ""


def _is_complete(part: ClipWorkspace, manifest: Manifest) -> bool:
    """Whether all frames that a part is named after are done."""
    first, last = (int(one) for one in part.folder.name.split("-"))
    wanted = range(manifest.timeline.index_of(first), manifest.timeline.index_of(last) + 1)
    return set(wanted) & set(range(manifest.start, manifest.stop)) <= manifest.done_frames()


def _plain_name(part: ClipWorkspace) -> str:
    """Of its folder, as it is typed."""
    match = _NAME.fullmatch(part.folder.name)
    return "-".join(str(int(one)) for one in match.groups()) if match else part.folder.name


def discard(clip: ClipWorkspace) -> None:
    """Remove what was made of parts and not taken in; what somebody works on stays."""
    for part in _parts(clip):
        with contextlib.suppress(WorkspaceError), WriterLock(part.lock_path):
            shutil.rmtree(part.folder, ignore_errors=True)


def _is_same_work(one: Manifest, other: Manifest) -> bool:
    """Whether masks of one belong beside those of the other."""
    return one.work_digest == other.work_digest and one.source.is_same_clip(other.source)


def _note_unseen(unseen: Mapping[int, list[int]], run: SegmentRun, index: int) -> None:
    """Note which objects a mask that was taken in does not show."""
    number = run.manifest.timeline.number(index)
    try:
        shown: Collection[int] = object_ids(load_mask(run.clip.mask_path(number)))
    except MaskError:
        return  # whoever reads it next says so
    for object_id in unseen.keys() - set(shown):
        unseen[object_id].append(index)


def _parts(clip: ClipWorkspace) -> Iterator[ClipWorkspace]:
    """The parts that there are, in order."""
    folder = clip.folder / _PARTS
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in paths:
        if path.is_dir() and _NAME.fullmatch(path.name):
            yield ClipWorkspace(path)


def _readable(part: ClipWorkspace) -> Manifest | None:
    try:
        return part.manifest()
    except WorkspaceError:
        return None
