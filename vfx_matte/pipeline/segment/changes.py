"""Finds where an update changed masks that its new reference masks do not explain."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask
from vfx_matte.measure.measures import EDGE_LINES, Bools, largest_piece
from vfx_matte.pipeline.confidence import bridged
from vfx_matte.pipeline.sampling import evenly
from vfx_matte.pipeline.segment.plan import affected_frames, changed_references
from vfx_matte.pipeline.segment.request import ChangedFrames
from vfx_matte.wording import option
from vfx_matte.workspace import ClipWorkspace, Manifest, load_mask

MOST_COMPARED = 120
"""So many frames are compared at most, evenly spaced: of a long clip in a second or two."""

OF_OBJECT, OF_PICTURE = 0.05, 0.004
"""How large a piece that changed is beyond what is expected, to be named: so much of the object,
or of the picture where that is less, as a corner of a large object is a small part of it; see
docs/qc.md.
"""

# a smaller part of the picture is nothing, whatever part of the object it is; and a mask that had
# less than such a part of the object before was not right
_LEAST_OF_PICTURE, _LEAST_BEFORE = 0.0003, 0.1
# so much more than expected is explained, too: near a new mask all of its correction may be there
_TOLERANCE = 1.15

# gaps that are bridged, in frames that were compared, and how many places are named
_BRIDGED, _NAMED = 2, 3


def unexplained_changes(
    earlier: Manifest, made: Manifest, workspace: ClipWorkspace
) -> tuple[ChangedFrames, ...]:
    """Compare the masks of an update with those that it replaced.

    A correction should change the frames around it. Between a reference that stays, at which
    nothing changes, and one that is new, at which as much changes as was corrected, the change is
    expected to grow evenly; beyond the last new one to stay. What exceeds that by more than
    OF_OBJECT of the object or OF_PICTURE of the picture was changed by the walk from the new mask,
    or by what was learned from it, and may have been right. A mask that shows other objects alone
    explains nothing of this one, but what those took from it or left to it.

    How much changed is the area of the largest connected piece that the object gained or lost.
    Frames on which one of both masks lacks the object are not named: of those that lost it the run
    itself speaks, and a mask that was empty before, or nearly so, is not what the user wants back.

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
    # of a mask that went away, what it showed
    explaining = {
        object_id: sorted(
            {*earlier.references_of(object_id), *made.references_of(object_id)} & set(changed)
        )
        for object_id in made.objects
    }
    changes = _changes(compared, made, workspace, [one for one, at in explaining.items() if at])
    found = []
    for object_id in made.objects:
        pieces = changes[object_id]
        sizes = {at: float(piece.area_px) for at, piece in pieces.items()}
        kept = set(made.references_of(object_id)) - set(changed)
        expected = _expected(sizes, kept, changed, explaining[object_id], made.cuts or ())
        # in limits: 1 is the largest change that is still taken as explained
        beyond = {
            at: (sizes[at] - _TOLERANCE * expected[at]) / piece.limit_px if piece.limit_px else 0.0
            for at, piece in pieces.items()
        }
        number = made.timeline.number
        frames = list(beyond)
        places = [place for place, at in enumerate(frames) if beyond[at] > 1]
        for first, stop in bridged(places, _BRIDGED):
            span = frames[first:stop]
            worst = max(span, key=lambda at: beyond[at])
            record = ChangedFrames(
                object_id,
                number(span[0]),
                number(span[-1]) + 1,
                number(worst),
                100 * pieces[worst].area_px / pieces[worst].object_px,
                pieces[worst].is_gain,
            )
            found.append((beyond[worst], record))
    found.sort(key=lambda pair: -pair[0])
    return tuple(
        sorted((one for _, one in found[:_NAMED]), key=lambda one: (one.start, one.object_id))
    )


def describe_change(one: ChangedFrames, earlier: Path) -> str:
    """What to say about frames that changed, and what to do.

    Args:
        one: what changed.
        earlier: the mask that the worst of these frames had.
    """
    digits = 0 if one.percent >= 10 else 1
    last = one.stop - 1
    frames = f"frame {last}" if one.start == last else f"frames {one.start} to {last}"
    return (
        f"object {one.object_id} {'gained' if one.gained else 'lost'} a piece of up to"
        f" {one.percent:.{digits}f} % of it on {frames}, more than the new masks explain: look at"
        f" frame {one.worst}, and if it was right before, give it the mask that it had, from"
        f" masks.previous: {option('mask', f'{one.worst}={earlier}')}"
    )


class _Piece(NamedTuple):
    """The largest piece of an object that changed on a frame."""

    area_px: int
    is_gain: bool
    object_px: int
    """Of the larger one of both masks."""
    limit_px: float
    """How large a piece is to be named; 0 where none is."""


def _changes(
    compared: Sequence[int], made: Manifest, workspace: ClipWorkspace, shown: Collection[int]
) -> dict[int, dict[int, _Piece]]:
    """How much of each object changed, by frame.

    Args:
        compared: frame indices.
        made: of the update.
        workspace: where both generations of masks are.
        shown: the objects of the new masks; what another one exchanges with them is theirs.
    """
    changes: dict[int, dict[int, _Piece]] = {object_id: {} for object_id in made.objects}
    for at in compared:
        name = workspace.mask_path(made.timeline.number(at)).name
        before = workspace.previous_masks_folder / name
        # lost or damaged before: it is made again, and there is nothing to compare it with
        try:
            old = load_mask(before)
        except MaskError:
            continue
        old, new = _sampled(old), _sampled(load_mask(workspace.masks_folder / name))
        theirs = np.isin(old, list(shown)) | np.isin(new, list(shown))
        for object_id, pieces in changes.items():
            counts = np.ones_like(theirs) if object_id in shown else ~theirs
            pieces[at] = _changed_piece(old == object_id, new == object_id, counts)
    return changes


def _sampled(mask: Mask) -> Mask:
    """Every n-th pixel of a mask that has more lines than are needed."""
    step = max(1, len(mask) // EDGE_LINES)
    return np.ascontiguousarray(mask[::step, ::step])


def _changed_piece(old: Bools, new: Bools, counts: Bools) -> _Piece:
    """The largest piece by which two masks of an object differ where it counts, without what is
    thin.
    """
    areas = int(np.count_nonzero(old)), int(np.count_nonzero(new))
    gained, lost = (
        int(np.count_nonzero(largest_piece(one & ~other & counts, max(areas))))
        for one, other in ((new, old), (old, new))
    )
    limit = max(min(OF_OBJECT * max(areas), OF_PICTURE * old.size), _LEAST_OF_PICTURE * old.size)
    is_named = areas[1] > 0 and areas[0] >= _LEAST_BEFORE * areas[1]
    return _Piece(max(gained, lost), gained > lost, max(areas), limit if is_named else 0.0)


def _expected(
    changes: Mapping[int, float],
    kept: Collection[int],
    changed: Collection[int],
    explaining: Collection[int],
    cuts: Collection[int],
) -> dict[int, float]:
    """How much is expected to change on each frame, see `unexplained_changes`.

    Args:
        changes: how much did, by frame.
        kept: frames of references of the object that stay.
        changed: frames of all references that came, went or are others.
        explaining: those of them that show or showed the object, or are empty.
        cuts: frames that begin a shot.
    """
    # what is not expected to be anything is taken as it is
    expected = dict(changes)
    edges = [0, *sorted(cuts), max(changes, default=0) + 1]
    for low, high in itertools.pairwise(edges):
        # within the shot: nothing is carried over a cut
        frames = [at for at in changes if low <= at < high]
        given = [at for at in explaining if low <= at < high]
        # of a new mask that lies beyond the range nobody knows what it corrected
        if not frames or not set(given).issubset(changes):
            continue
        if not given:
            # masks of others alone are no reason
            if any(low <= at < high for at in changed):
                expected.update(dict.fromkeys(frames, 0.0))
            continue
        known = {at: 0.0 for at in kept if low <= at < high} | {at: changes[at] for at in given}
        places = sorted(known)
        values = np.interp(frames, places, [known[at] for at in places])
        expected.update(zip(frames, map(float, values), strict=True))
    return expected
