"""Tracks regions that are given one by one, for callers that keep a state for each of them.

CVAT asks so: for each shape it keeps what `begin` gave, and then shows one frame after another,
once for every shape. Regions of one picture share a propagator, which sees every frame once.
"""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vfx_matte.annotations.rle import RLE, Region, encode_objects, encode_region
from vfx_matte.backend import Notify
from vfx_matte.errors import MaskError, UsageError
from vfx_matte.masks import Image, Mask
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking.session import check_size
from vfx_matte.pipeline.tracking.stepping import SteppedTrack
from vfx_matte.wording import option

MOST_TRACKS = 16
"""Propagators that are open at a time. The built-in one takes 30 MB for 1080p, and 115 MB with
U²-Netp.
"""

# frames of a group whose regions are kept, a few KB each: callers ask for one again when they try
# again, and shapes of a group need not be asked for together
_KEPT_FRAMES = 256
# of a region's area: neighbours that were drawn by hand overlap by their borders, and one of both
# can do without
_SHARED_BORDER = 0.05
_MOST_IDS = 255


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame that regions are tracked on."""

    image: Image
    """uint8 (H, W, 3) R'G'B'."""

    @cached_property
    def key(self) -> bytes:
        """Equal for equal pictures."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.image).data, digest_size=16)
        digest.update(repr(self.image.shape).encode())
        return digest.digest()


@dataclass(frozen=True, slots=True, eq=False)
class TrackedRegion:
    """What a caller keeps for a region; it is forgotten with it."""

    group: _Group
    number: int
    """Of the group's regions."""


class RegionTracker:
    """Tracks regions, many at a time, in bounded memory. One thread at a time.

    Args:
        propagator: which one, and how; "auto" is decided now.
        most_tracks: propagators that are open at a time. What was longest not asked for is
            forgotten when there are more.
        notify: is told which propagator it is, and what people should know.

    Raises:
        UsageError: as `PropagatorOptions.decided`; it cannot run here, or fewer than one track.
    """

    def __init__(
        self,
        *,
        propagator: PropagatorOptions | None = None,
        most_tracks: int = MOST_TRACKS,
        notify: Notify = lambda _line: None,
    ) -> None:
        if most_tracks < 1:
            raise UsageError(
                f"{option('max_tracks')} is {most_tracks}, expected 1 or more",
                hint=f"leave it out; it is {option('max_tracks', MOST_TRACKS)} then",
            )
        self._options = (propagator or PropagatorOptions()).decided(notify)
        # now, and not when somebody waits for the first mask
        self._options.require_runnable()
        self._most = most_tracks
        # the longest not asked for first; weak, so that what its caller has dropped is free at once
        self._groups: OrderedDict[int, weakref.ref[_Group]] = OrderedDict()

    def begin(self, picture: Picture, region: Region) -> TrackedRegion:
        """Begin to track a region.

        Regions that are begun on one `Picture` object before it is followed are tracked together;
        they may overlap.

        Args:
            picture: the frame that it is on.
            region: bool (H, W).

        Raises:
            MaskError: it is empty, or of another size.
        """
        check_size(picture.image.shape[:2], region.view(np.uint8))
        if not region.any():
            raise MaskError("the mask shows nothing to track", hint="paint or draw the object")
        waiting = (group for group in self._alive() if group.takes(picture))
        group = next(waiting, None) or _Group(picture)
        self._touch(group)
        self._make_room(keep=group)
        return TrackedRegion(group, group.add(region))

    def follow(self, picture: Picture, tracked: TrackedRegion) -> Region:
        """Where a region is on the next frame.

        Args:
            picture: the frame. One that its group has seen before is answered as it was.
            tracked: as `begin` gave it.

        Returns:
            bool (H, W), empty where it is not seen.

        Raises:
            UsageError: it has been forgotten, or too many regions lie over each other.
            MaskError: the frame has another size than the first one.
            VfxMatteError: the propagator cannot run here.
        """
        group = tracked.group
        if group.is_forgotten:
            raise UsageError(
                f"this track has been forgotten, as more than {self._most} were going on",
                hint=f"start it again from a mask; {option('max_tracks', 2 * self._most)} keeps"
                " more, in more memory",
            )
        group.check_size(picture)
        self._touch(group)
        if not group.is_open:
            group.open(self._options, most=self._most)
            self._make_room(keep=group)
        return group.regions(picture)[tracked.number].region()

    def _alive(self) -> list[_Group]:
        """The groups that are not forgotten, the longest not asked for first."""
        groups = {key: reference() for key, reference in self._groups.items()}
        for key, group in groups.items():
            if group is None:
                del self._groups[key]
        return [group for group in groups.values() if group is not None]

    def _touch(self, group: _Group) -> None:
        self._groups[id(group)] = weakref.ref(group)
        self._groups.move_to_end(id(group))

    def _make_room(self, *, keep: _Group) -> None:
        groups = self._alive()
        total = sum(group.weight for group in groups)
        for group in groups:
            if total <= self._most:
                break
            if group is not keep:
                total -= group.weight
                group.forget()
                del self._groups[id(group)]


class _Group:
    """The regions that were begun on one picture.

    Args:
        picture: where they are.
    """

    def __init__(self, picture: Picture) -> None:
        self._first: Picture | None = picture
        self._shape = picture.image.shape
        self._begun: list[RLE] = []
        self._tracks: list[SteppedTrack] = []
        # region → its layer and its id there
        self._places: list[tuple[int, int]] = []
        self._seen: OrderedDict[bytes, Sequence[RLE]] = OrderedDict()
        self.is_forgotten = False

    @property
    def is_open(self) -> bool:
        """Whether it has been followed, so that no region can be added."""
        return bool(self._tracks)

    @property
    def weight(self) -> int:
        """How many propagators are open; a picture that waits counts as one."""
        return max(1, len(self._tracks))

    def takes(self, picture: Picture) -> bool:
        """Whether a region of this picture can be added."""
        return self._first is picture and not self.is_open

    def add(self, region: Region) -> int:
        """Add a region, bool (H, W); its number."""
        self._begun.append(encode_region(region))
        return len(self._begun) - 1

    def check_size(self, picture: Picture) -> None:
        """Raise MaskError when a frame has another size than the first."""
        if picture.image.shape != self._shape:
            height, width = picture.image.shape[:2]
            raise MaskError(
                f"the frame is {width}x{height}, the one that tracking began on"
                f" {self._shape[1]}x{self._shape[0]}",
                hint="track on frames of one size",
            )

    def open(self, options: PropagatorOptions, *, most: int) -> None:
        """Begin to track all regions.

        Args:
            options: decided.
            most: propagators that may be open.

        Raises:
            UsageError: regions lie over each other, so that more would be.
        """
        assert self._first is not None
        layers, self._places = _layers([region.region() for region in self._begun])
        if len(layers) > most:
            raise UsageError(
                f"{len(self._begun)} masks of one frame lie over each other in {len(layers)} layers"
                f", and {most} tracks may go on at a time",
                hint=f"track fewer of them, or allow {option('max_tracks', len(layers))}",
            )
        self._tracks = [
            SteppedTrack(self._first.image, layer, propagator=options) for layer in layers
        ]
        self._seen[self._first.key] = self._begun
        # only its key is needed from now on
        self._first = None

    def regions(self, picture: Picture) -> Sequence[RLE]:
        """All regions on a frame, by number."""
        if picture.key not in self._seen:
            steps = [encode_objects(track.step(picture.image).mask) for track in self._tracks]
            self._seen[picture.key] = self._sorted(steps)
            while len(self._seen) > _KEPT_FRAMES:
                self._seen.popitem(last=False)
        return self._seen[picture.key]

    def forget(self) -> None:
        """Free everything but what says that it was forgotten."""
        self.is_forgotten = True
        self._first, self._begun, self._tracks = None, [], []
        self._seen.clear()

    def _sorted(self, layers: Sequence[Mapping[int, RLE]]) -> Sequence[RLE]:
        """What was found in every layer, id → region, by number of the region."""
        height, width = self._shape[:2]
        nothing = encode_region(np.zeros((height, width), bool))
        return [layers[layer].get(object_id, nothing) for layer, object_id in self._places]


def _layers(regions: Sequence[Region]) -> tuple[list[Mask], list[tuple[int, int]]]:
    """Masks in which regions lie side by side; those that lie over each other are in several.

    Args:
        regions: bool (H, W) each, none empty.

    Returns:
        The masks, uint8 (H, W), and for every region its layer and its id there, 1 … 255.
    """
    areas = [int(np.count_nonzero(region)) for region in regions]
    layers: list[Mask] = []
    # of each layer, by id: the pixels that its regions may still lose
    spare: list[list[float]] = []
    places = {}
    # the smaller one keeps a border that both have, as it can spare less
    for number in sorted(range(len(regions)), key=lambda number: -areas[number]):
        region = regions[number]
        for at, layer in enumerate(layers):
            taken = np.bincount(layer[region], minlength=len(spare[at]) + 1)[1:]
            allowed = np.minimum(spare[at], _SHARED_BORDER * areas[number])
            if len(spare[at]) < _MOST_IDS and (taken <= allowed).all():
                spare[at] = [*(np.array(spare[at]) - taken), _SHARED_BORDER * areas[number]]
                break
        else:
            at = len(layers)
            layers.append(np.zeros(region.shape, np.uint8))
            spare.append([_SHARED_BORDER * areas[number]])
        layers[at][region] = len(spare[at])
        places[number] = (at, len(spare[at]))
    return layers, [places[number] for number in range(len(regions))]
