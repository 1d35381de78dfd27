"""Takes a salient network's view of each object as evidence, one among the cues.

The network (`vfx_matte.detect.salient`) finds what stands out in a picture, whatever that is. Shown
only the surroundings of an object it mostly means that object, limbs and new colours included,
which no cue of colour or motion knows beforehand; and where it means something else, a bystander or
a pole, what it says disagrees with the warped mask and does not count. It does not know one
object from another, so of pixels that another object holds it says nothing.

It sees a whole thing or none, and may think otherwise from one frame to the next: then a table
joins the man who stands behind it, against all cues. So its evidence does not count where it was
wrong on a given mask (`network_errors`), as that moves along with the walk, and what it takes for
the object counts little where the picture still shows the background that was seen there before.

With several masks its map is not asked: its layers are read instead (`readout`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol, runtime_checkable

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array
from vfx_matte.detect.salient import stretched
from vfx_matte.masks import Image, overlap
from vfx_matte.propagate.builtin.cues import flow_positions, logit
from vfx_matte.propagate.builtin.network.readout import Readout

SIZE_PX, CLOSE_PX = 192, 256
"""Side of the square that it is shown, whatever the object's size: as a rule, and where several
references say how much it counts. The larger one takes near twice the time and sees finer
things, but not better what is not the object.
"""

LOOKS_EVERY = 2
"""It looks at one object in every so many frames; what it saw moves with the flow between.

Looking in each of them brings 0.4 of J&F and takes a sixth more time.
"""

# with three masks DAVIS was as good as with looks in every frame, each eighth from 30 % of the way
# on lost 0.5 of J&F (docs/builtin.md)
FAR_LOOKS_EVERY = 4
"""The same of a walk that goes on to another reference, once it is nearer to that one."""

# in every frame drift-straight gained 2.8 of J&F with five masks, three others 0.1 to 0.5
WORTH_LOOKING = 0.5
"""Which share of its evidence must count, by several references (`calibration`), for it to look
in every frame.
"""

MARGIN = 0.25
"""How much of its surroundings an object is shown with on each side, as a part of its width and
height.
"""

FLOOR = 0.05  # its probabilities are taken to be within FLOOR and 1 - FLOOR
ERRORS_KEPT = math.exp(-1 / 60)
"""How much of what it said wrongly of a given mask counts in the next frame.

Of 1/30 and 1/60 the latter kept a woman's shoes longer, which it does not take for a part of her.
"""

KEPT = 0.9
"""How much of what was seen of an object counts in the next frame, where another one has
its turn.
"""

# By the overlap alone, from 0.3 to 0.6, four sequences gained 16.2 of J&F and libby lost 5.8; with
# how sure it is of itself libby lost 0.1 (docs/builtin.md).
LEAST_WORTH, FULL_WORTH = 0.3, 0.7
"""Overlap (IoU) of what it sees and the warped mask up to which it does not count, and from which
on it does in full, where it is as sure of itself as usual.
"""

_LEAST_MISTAKE_PX = 3
"""Mistakes thinner than this, in working pixels, are edges that it sees less finely, and are none.

Counting them cost drift-straight 0.6 of J&F with five masks.
"""

_MISTAKE_PX, _MISTAKE_BLUR_PX = 2, 1.5
"""How far beyond its mistakes its evidence does not count either, in working pixels, and how softly
that ends: its own edges are no finer.
"""

SHARPNESS, USUAL_SHARPNESS = 2.0, 0.75
"""How much it adds to the overlap to be surer of itself by 1, and how sure it usually is: the mean
|2p - 1| of all that it does not take for background, p > CLEARLY. It was measured to tell right
from wrong as well as the overlap does.
"""

CLEARLY = 0.1
FREE = 0.5
"""Pixels that other objects hold with less than this may be the object's."""


class Network(Protocol):
    """See `vfx_matte.detect.salient.SalientNetwork`."""

    def rough(self, image: Image, *, size: int) -> npt.NDArray[np.float32]:
        """How salient every pixel is: uint8 (H, W, 3) → float32 (H, W) in [0, 1]."""


@runtime_checkable
class LayeredNetwork(Network, Protocol):
    """A network that can also give its inner layers."""

    layered: bool
    """Whether it does."""

    def describe(
        self, image: Image, *, size: int, deeper: bool
    ) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.float32]]]:
        """The map that `rough` gives, and the layers: see `SalientNetwork.describe`."""


class View(NamedTuple):
    """What the network sees of an object."""

    seen: Array
    """float32 (h, w), see `view_object`."""

    read: Array | None = None
    """float32 (h, w), what its layers say of this object, see `readout`, and 0 where it did not
    look; None where nothing was learned of that.
    """

    def warped(self, flow: Array) -> View:
        """The same on the next frame; see `warp_view`."""
        return View(
            warp_view(self.seen, flow), None if self.read is None else warp_view(self.read, flow)
        )


class NetworkViewer:
    """Looks at objects in a thread of its own, in the order in which it is asked to."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vfx-matte network")

    def view(
        self, image: Image, find: Callable[[], tuple[Array, Readout | None]], size_px: int
    ) -> Future[View]:
        """Begin to look at an object; see `view_object`.

        find: gives where it is expected, and how the layers are read for it; it may wait for
        others first.
        """

        def look() -> View:
            prior, readout = find()
            crop = Crop.around(image, prior, (0, 0) if readout is None else readout.extent)
            if crop is None:
                return View(np.zeros(prior.shape, np.float32))
            if readout is None:
                return View(view_crop(self._network, crop, size_px))
            seen, layers = self._inspect(crop, size_px)
            return View(seen, crop.placed(readout(layers)))

        return self._thread.submit(look)

    def check(self, image: Image, objects: Array, index: int, size_px: int) -> Future[Array]:
        """Begin to find out what it says wrongly of a given mask; see `network_errors`.

        objects: float32 (K, h, w).
        """
        own = objects[index]
        others = objects.sum(axis=0) - own
        return self._thread.submit(
            lambda: network_errors(view_object(self._network, image, own, size_px), own, others)
        )

    def see(self, crop: Crop, size_px: int) -> Future[tuple[Array, list[Array]]]:
        """Begin to look at a crop: what `view_crop` gives, and the layers, none where the network
        gives none.
        """
        return self._thread.submit(self._inspect, crop, size_px)

    def _inspect(self, crop: Crop, size_px: int) -> tuple[Array, list[Array]]:
        """See `see`."""
        network = self._network
        if not isinstance(network, LayeredNetwork) or not network.layered:
            return view_crop(network, crop, size_px), []
        found, layers = network.describe(crop.picture, size=size_px, deeper=True)
        return crop.odds(found), layers


class Crop(NamedTuple):
    """An object's surroundings."""

    picture: Image
    """uint8 (H, W, 3), at the source's size."""

    rows: slice
    """Where that is in the working frame."""

    columns: slice

    shape: tuple[int, int]
    """(h, w) of the working frame."""

    @classmethod
    def around(cls, image: Image, prior: Array, least: tuple[int, int] = (0, 0)) -> Crop | None:
        """The part of uint8 (H, W, 3) around an object that is expected at float32 (h, w); None
        when it is nowhere.

        least: (height, width) of it in working pixels, wherever it lies in that: of an object that
        is less there is more to come.
        """
        # at the source's size: what the network is shown should be no blurrier than need be
        left, top, width, height = cv2.boundingRect((prior >= 0.5).astype(np.uint8))
        if not width:
            return None
        rows = _range(top, height, prior.shape[0], least[0])
        columns = _range(left, width, prior.shape[1], least[1])
        window = tuple(
            slice(part.start * large // small, -(-part.stop * large // small))
            for part, large, small in zip((rows, columns), image.shape, prior.shape, strict=False)
        )
        return cls(image[window], rows, columns, (prior.shape[0], prior.shape[1]))

    def small(self) -> Crop:
        """The same with a picture of its own, no larger than what the network is shown at most."""
        # kept for every reference, so that memory does not grow with the source's size
        size = CLOSE_PX, CLOSE_PX
        if self.picture.shape[0] * self.picture.shape[1] <= CLOSE_PX * CLOSE_PX:
            return self._replace(picture=self.picture.copy())
        return self._replace(
            picture=np.asarray(
                cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA), np.uint8
            )
        )

    def odds(self, found: Array) -> Array:
        """The network's map of it, float32 (H, W), as log odds: see `view_object`."""
        seen = np.zeros(self.shape, np.float32)
        seen[self.rows, self.columns] = logit(_at(self._size, stretched(found)), FLOOR)
        return seen

    def placed(self, found: Array) -> Array:
        """A map of it, float32 of any size, where it is in the working frame: (h, w), 0
        elsewhere.
        """
        every = np.zeros(self.shape, np.float32)
        every[self.rows, self.columns] = _at(self._size, found)
        return every

    def of(self, layer: Array, side: int) -> Array:
        """Its part of float32 (h, w), at side × side."""
        return _at((side, side), np.ascontiguousarray(layer[self.rows, self.columns]))

    @property
    def _size(self) -> tuple[int, int]:
        """Its width and height in the working frame."""
        return self.columns.stop - self.columns.start, self.rows.stop - self.rows.start


def _at(size: tuple[int, int], found: Array) -> Array:
    """A map at another size (width, height): an area mean where it is shrunk, which bilinear
    reading would alias.
    """
    smaller = found.shape[0] * found.shape[1] > size[0] * size[1]
    return cv2.resize(found, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def view_object(network: Network, image: Image, prior: Array, size_px: int = SIZE_PX) -> Array:
    """How the network sees an object's surroundings: float32 (h, w), log odds within ±2.9, and 0
    where it did not look.

    image: uint8 (H, W, 3), the frame; prior: float32 (h, w), where the object is expected. size_px:
    side of the square that the network is shown. Its map is that of the last stage but one, nearly
    the same in two fifths of the time, and is stretched to its own darkest and brightest, as its
    makers do.
    """
    crop = Crop.around(image, prior)
    return np.zeros(prior.shape, np.float32) if crop is None else view_crop(network, crop, size_px)


def view_crop(network: Network, crop: Crop, size_px: int) -> Array:
    """How the network sees a crop: float32 (h, w) of the frame, see `view_object`."""
    return crop.odds(network.rough(crop.picture, size=size_px))


def _range(start: int, length: int, end: int, least: int) -> slice:
    """A side of the object with its margin, cut off at the picture's edge."""
    margin = round(MARGIN * length) + max(0, least - length)
    return slice(max(0, start - margin), min(end, start + length + margin))


def warp_view(seen: Array, flow: Array, kept: float = KEPT) -> Array:
    """What was seen of the frame before, faded, where it is by now.

    flow: float32 (h, w, 2), where each pixel was.
    """
    now = cv2.remap(
        seen,
        *flow_positions(flow),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return now * np.float32(kept)


def salient_evidence(
    seen: Array,
    prior: Array,
    others: Array,
    *,
    wrong: Array | None = None,
    unchanged: Array | None = None,
    trust: float | None = None,
) -> Array:
    """What it means for an object: float32 (h, w), log odds, 0 where nothing is known.

    seen: see `view_object`. prior, others: float32 (h, w), the warped masks of this object, and of
    all others together.
    wrong: what it says wrongly of this object, see `network_errors`, as far as is known. unchanged:
    float32 (h, w), how surely a pixel is background that it shows still, see
    `cues.still_background`. trust: `network_trust`, where these are windows of what it is found by.
    """
    # 1. it does not tell objects apart: nothing is said of pixels that another one holds
    free = others < FREE
    trust = network_trust(seen, prior, free) if trust is None else trust
    evidence: Array = np.where(free, np.float32(trust) * seen, np.float32(0))
    # 2. what it said wrongly of a given mask is taken off, down to nothing and not beyond
    if wrong is not None:
        corrected = evidence - wrong
        evidence = np.where(
            evidence * wrong > 0,
            np.where(corrected * wrong > 0, corrected, np.float32(0)),
            evidence,
        )
    # 3. for the object it counts only where something has changed
    if unchanged is not None:
        evidence = np.where(evidence > 0, evidence * (1 - unchanged), evidence)
    return evidence


def network_errors(seen: Array, own: Array, others: Array) -> Array:
    """What it says wrongly of a mask that was given: float32 (h, w), log odds, 0 where it is right
    or did not look.

    seen: see `view_object`. own, others: float32 (h, w), the given masks of this object, and of all
    others together.
    """
    inside, free = own >= 0.5, others < FREE
    alarms, misses = (
        _without_thin(part & free) for part in ((seen > 0) & ~inside, (seen < 0) & inside)
    )
    # alarms are positive and misses negative, so one grows by dilation, the other by erosion
    square = np.ones((2 * _MISTAKE_PX + 1, 2 * _MISTAKE_PX + 1), np.uint8)
    grown = cv2.dilate(np.where(alarms, seen, np.float32(0)), square) + cv2.erode(
        np.where(misses, seen, np.float32(0)), square
    )
    return cv2.GaussianBlur(grown, (0, 0), _MISTAKE_BLUR_PX)


def view_overlap(seen: Array, own: Array, others: Array) -> float:
    """How far a finished mask is what the network saw of the object: overlap (IoU), 0 … 1; 1 where
    it did not look.

    seen: see `view_object`. own, others: float32 (h, w), the finished masks of this object, and of
    all others together.
    """
    if not seen.any():
        return 1.0
    free = others < FREE
    return _overlap(seen, own, free)


def _without_thin(region: Array) -> Array:
    """What of a region, bool (h, w), is at least `_LEAST_MISTAKE_PX` wide."""
    square = np.ones((_LEAST_MISTAKE_PX, _LEAST_MISTAKE_PX), np.uint8)
    return cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_OPEN, square) > 0


def network_trust(seen: Array, prior: Array, free: Array) -> float:
    """How much it counts, 0 … 1: by how well it agrees with the warped mask where `free`, and by
    how sure it is of itself.
    """
    # grey is all that it does not clearly take for background
    agreement = _overlap(seen, prior, free)
    grey = seen[(seen > math.log(CLEARLY / (1 - CLEARLY))) & (seen != 0)]
    sharpness = float(np.abs(np.tanh(grey / 2)).mean()) if grey.size else 0.0
    worth = agreement + SHARPNESS * (sharpness - USUAL_SHARPNESS)
    share: float = (worth - LEAST_WORTH) / (FULL_WORTH - LEAST_WORTH)
    return min(max(share, 0.0), 1.0)


def _overlap(seen: Array, mask: Array, free: Array) -> float:
    """IoU of what was seen with a soft mask where `free`; 0 where both are empty."""
    own, salient = (mask >= 0.5) & free, (seen > 0) & free
    return overlap(own, salient) if own.any() or salient.any() else 0.0
