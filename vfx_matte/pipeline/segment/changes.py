"""Finds where an update changed masks that its new reference masks do not explain."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from vfx_matte.errors import MaskError
from vfx_matte.masks import overlap
from vfx_matte.pipeline.confidence import bridged
from vfx_matte.pipeline.sampling import evenly
from vfx_matte.pipeline.segment.plan import affected_frames, changed_references
from vfx_matte.pipeline.segment.request import ChangedFrames
from vfx_matte.wording import option
from vfx_matte.workspace import ClipWorkspace, Manifest, load_mask

MOST_COMPARED = 120
"""So many frames are compared at most, evenly spaced: of a long clip in a second or two."""

UNEXPLAINED = 0.05
"""How much of an object changed beyond what is expected, 1 - IoU, to be named; see docs/qc.md."""

# gaps that are bridged, in frames that were compared, and how many places are named
_BRIDGED, _NAMED = 2, 3


def unexplained_changes(
    earlier: Manifest, made: Manifest, workspace: ClipWorkspace
) -> tuple[ChangedFrames, ...]:
    """Compare the masks of an update with those that it replaced.

    A correction should change the frames around it. Between a reference that stays, at which
    nothing changes, and one that is new, at which as much changes as was corrected, the change is
    expected to grow evenly; beyond the last new one to stay. What exceeds that by UNEXPLAINED was
    changed by the walk from the new mask, or by what was learned from it, and may have been right.

    Args:
        earlier: of the work that was updated.
        made: of the finished update.
        workspace: where both generations of masks are.

    Returns:
        The largest changes, in the order of the clip; none where the objects are others.

    Raises:
        MaskError: a mask of the update cannot be read.
    """
    changed = changed_references(earlier, made)
    # an id may be another subject now
    if not changed or earlier.objects != made.objects:
        return ()
    redone = sorted(affected_frames(earlier, made) & earlier.done_frames() & made.done_frames())
    compared = sorted({*evenly(redone, MOST_COMPARED), *(set(redone) & set(changed))})
    changes = _changes(compared, made, workspace)
    found = []
    for object_id in made.objects:
        parts = changes[object_id]
        expected = _expected(parts, set(made.references) - set(changed), changed, made.cuts or ())
        beyond = {at: parts[at] - expected[at] for at in parts}
        number = made.timeline.number
        frames = list(beyond)
        places = [place for place, at in enumerate(frames) if beyond[at] > UNEXPLAINED]
        for first, stop in bridged(places, _BRIDGED):
            span = frames[first:stop]
            worst = max(span, key=lambda at: beyond[at])
            record = ChangedFrames(
                object_id, number(span[0]), number(span[-1]) + 1, number(worst), 100 * parts[worst]
            )
            found.append((beyond[worst], record))
    found.sort(key=lambda pair: -pair[0])
    return tuple(
        sorted((one for _, one in found[:_NAMED]), key=lambda one: (one.start, one.object_id))
    )


def describe_change(one: ChangedFrames) -> str:
    """What to say about frames that changed, and what to do."""
    return (
        f"object {one.object_id} changed by up to {one.percent:.0f} % on frames {one.start} to"
        f" {one.stop - 1}, more than the new masks explain: look at frame {one.worst}, and if it"
        f" was right before, give a mask of it: {option('mask', f'{one.worst}=mask.png')}; earlier"
        " masks are in masks.previous"
    )


def _changes(
    compared: Sequence[int], made: Manifest, workspace: ClipWorkspace
) -> dict[int, dict[int, float]]:
    """How much of each object changed, by frame: 1 - IoU; 0 where it is on neither mask."""
    changes: dict[int, dict[int, float]] = {object_id: {} for object_id in made.objects}
    for at in compared:
        name = workspace.mask_path(made.timeline.number(at)).name
        before = workspace.previous_masks_folder / name
        # lost or damaged before: it is made again, and there is nothing to compare it with
        try:
            old = load_mask(before)
        except MaskError:
            continue
        new = load_mask(workspace.masks_folder / name)
        for object_id, parts in changes.items():
            parts[at] = 1 - overlap(old == object_id, new == object_id)
    return changes


def _expected(
    changes: Mapping[int, float],
    kept: Collection[int],
    changed: Collection[int],
    cuts: Collection[int],
) -> dict[int, float]:
    """How much is expected to change on each frame, see `unexplained_changes`.

    Args:
        changes: how much did, by frame.
        kept: frames of references that stay.
        changed: frames of those that came, went or are others.
        cuts: frames that begin a shot.
    """
    # what is not expected to be anything is taken as it is
    expected = dict(changes)
    edges = [0, *sorted(cuts), max(changes, default=0) + 1]
    for low, high in itertools.pairwise(edges):
        # within the shot: nothing is carried over a cut
        frames = [at for at in changes if low <= at < high]
        given = [at for at in changed if low <= at < high]
        # of a new mask that lies beyond the range nobody knows what it corrected
        if not frames or not given or not set(given).issubset(changes):
            continue
        known = {at: 0.0 for at in kept if low <= at < high} | {at: changes[at] for at in given}
        places = sorted(known)
        values = np.interp(frames, places, [known[at] for at in places])
        expected.update(zip(frames, map(float, values), strict=True))
    return expected
