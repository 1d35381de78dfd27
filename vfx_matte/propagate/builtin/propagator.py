"""The propagator that needs no weights.

A soft mask is warped by optical flow and corrected, frame by frame, by hand-made cues (`cues`) over
a codebook of colour and texture (`codebook`), and by a classifier trained on the clip itself
(`classifier`). Everything happens at about 427×240 pixels, where DAVIS 2016
was measured; the result is brought to the source's size at the end, so cost hardly depends on the
source. Memory holds the previous frame and one small picture per reference, and is the same after
ten frames and ten thousand.

Objects share the flow, the codebook, the histograms and the background's plate, and compete after
each frame. The soft mask is fed back as it is: sharpening it, by a threshold or by odds, was
measured to lose 1.4 points of J&F.

Where a network that finds salient things is there (`network`), it is one more witness: in
each frame it looks at one object, in a thread of its own. With one reference its map counts, with
several what its layers say of the object.

A second thread takes what can wait: it learns from a frame while the caller has it, quantizes,
and takes every other object. Where the next frame is known beforehand (`foresee`), it also finds
that one's flow, codewords and edges meanwhile, and the network begins to look at it as soon as this
frame's masks are there. It changes no result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.masks import Image, Mask, Probabilities, object_ids, overlap
from vfx_matte.propagate.builtin import cues
from vfx_matte.propagate.builtin.appearance import (
    Appearance,
    Reference,
    build_redetector,
    codeword_planes,
    learn_appearance,
)
from vfx_matte.propagate.builtin.classifier import learned_evidence, samples
from vfx_matte.propagate.builtin.codebook import (
    Codebook,
    QuantizedFrame,
    SmallFrame,
    grids,
    quantize,
)
from vfx_matte.propagate.builtin.cues import WEIGHTS, EdgeAware, Plate, Pose
from vfx_matte.propagate.builtin.neighbours import neighbour_evidence
from vfx_matte.propagate.builtin.network.calibration import network_share
from vfx_matte.propagate.builtin.network.readout import BEYOND, Readout, counts_near, learn
from vfx_matte.propagate.builtin.network.saliency import (
    CLOSE_PX,
    ERRORS_KEPT,
    FAR_LOOKS_EVERY,
    FREE,
    LOOKS_EVERY,
    SIZE_PX,
    WORTH_LOOKING,
    Crop,
    Network,
    NetworkViewer,
    View,
    network_trust,
    salient_evidence,
    view_overlap,
    warp_view,
)
from vfx_matte.propagate.builtin.pieces import without_strays
from vfx_matte.propagate.builtin.redetect import Match, Redetector
from vfx_matte.propagate.builtin.thin_parts import ThinParts, add_thin, thin_parts
from vfx_matte.propagate.builtin.upsample import full_size, shrunk
from vfx_matte.propagate.builtin.walk import (
    Anchor,
    Walk,
    learn_frame,
    restore_objects,
    smooth_flows,
    start_walk,
    summed,
    walk_from_state,
    walk_to_state,
    warp_masks,
    warp_walk,
)
from vfx_matte.propagate.builtin.window import NOWHERE, Box, HalfMask, enlarged
from vfx_matte.propagate.confidence import Agreement
from vfx_matte.propagate.walk_state import State

# Half of DAVIS's 854 × 480 in each direction. A finer scale for small objects took twice the time
# and brought nothing that stood out of the noise (docs/builtin.md).
WORKING_AREA_PX = 427 * 240
# With 6 px a shoe on pale ground was averaged away, though all evidence spoke for it: what has the
# colours of its surroundings is smoothed as if it had no edge (docs/builtin.md).
SMOOTH_PX = EdgeAware.RADIUS_PX
"""How far evidence is smoothed along the picture's edges, in working pixels."""

T = TypeVar("T")


def working_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """The (h, w) that a source of this (H, W) is segmented at: never larger, about
    `WORKING_AREA_PX` pixels.
    """
    scale = min(1.0, math.sqrt(WORKING_AREA_PX / (shape[0] * shape[1])))
    height, width = (max(min(side, cues.MIN_FLOW_PX), round(side * scale)) for side in shape)
    return height, width


class BuiltinPropagator:
    """Follows K objects by flow, colour, texture and motion.

    See `Propagator` for the methods' contract.

    The same calls give the same result, to the rounding of float32. An object that vanishes is
    looked for, and followed again when something much like it comes (`redetect`). network:
    helps where it is given.
    """

    def __init__(self, *, num_objects: int, network: Network | None = None) -> None:
        if num_objects < 1:
            raise ValueError(f"num_objects is {num_objects}, expected at least 1")
        self._num_objects = num_objects
        self._viewer = None if network is None else NetworkViewer(network)
        self._references: list[Reference] = []
        self._attended: dict[int, int] | None = (
            None  # number of a reference → steps ahead; None: all of them, nowhere
        )
        self._adopted: list[
            Reference
        ] = []  # masks that only `step` was given, each with an object not seen before
        self._appearance: Appearance | None = None
        self._walk: tuple[Array, Future[Walk]] | None = (
            None  # the last frame, gray, and what is being learned from it
        )
        self._foreseen: Image | None = None  # the frame after the next step's
        self._coming: _NextFrame | None = None  # what is being made of it
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vfx-matte built-in")
        self._ahead = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="vfx-matte built-in, next frame"
        )
        self._redetector: Redetector | None = None  # belongs to the appearance
        self._seen: dict[int, View] = {}  # index → what the network saw of it last, by now
        # index → what the network said wrongly of the last given mask, moved along to now
        self._wrong: dict[int, Future[Array]] = {}
        self._crops: list[dict[int, Crop]] = []  # of every reference, by index, for the network
        self._network_shares = (
            1.0,
        ) * num_objects  # which share of what it sees of each object counts
        self._readouts: tuple[Readout | None, ...] = (None,) * num_objects
        self._worth_looking, self._size_px = False, SIZE_PX  # in every frame, and how closely
        self._agreement: tuple[Agreement, ...] | None = None
        self._thin: dict[int, ThinParts] = {}  # id → what the walk carries beside its soft masks
        self._steps = self._masked = (
            0  # of the walk so far, and how many there were when a mask was given
        )
        self._shape: tuple[int, int] | None = None

    @property
    def num_objects(self) -> int:
        """K; ids are 1..K."""
        return self._num_objects

    @property
    def shares_cores(self) -> bool:
        """See `SharesCores`. The network is waited for, so it gets all threads that it can."""
        return self._viewer is None

    def remember(self, image: Image, mask: Mask) -> None:
        """Learn from a reference for good; see `Propagator.remember`.

        An empty mask teaches nothing. Ends a walk.
        """
        self._check(image, mask)
        self.forget_temporary()
        if ids := object_ids(mask):
            small = _shrink_image(image)
            objects = self._shrink_mask(mask, ids, small.shape)
            self._references.append(Reference(small, objects, ids))
            self._appearance, self._attended = None, None
            crops = (
                {}
                if self._viewer is None
                else {k - 1: Crop.around(image, objects[k - 1]) for k in ids}
            )
            self._crops.append(
                {index: crop.small() for index, crop in crops.items() if crop is not None}
            )

    def attend(self, references: Mapping[int, int]) -> None:
        """Study only these references from now on; see `SelectiveMemory.attend`."""
        # the network is read otherwise beyond all references (`_judge`), whatever walk came before
        if (
            self._attended is None
            or self._attended.keys() != references.keys()
            or _goes_on(self._attended) != _goes_on(references)
        ):
            self._appearance = None
        self._attended = dict(references)
        self.forget_temporary()

    def _attended_references(self) -> list[Reference]:
        """The references that matter now."""
        return (
            self._references
            if self._attended is None
            else [self._references[number] for number in sorted(self._attended)]
        )

    def forget_temporary(self) -> None:
        """Forget the walk, and what was learned from masks that only `step` was given."""
        self._walk = self._foreseen = self._coming = None
        self._seen, self._wrong, self._thin = {}, {}, {}
        self._steps = self._masked = 0
        if self._adopted:
            self._adopted.clear()
            self._appearance = None
        if self._redetector is not None:
            self._redetector.restart()

    def foresee(self, image: Image) -> None:
        """See `Foresighted.foresee`."""
        self._foreseen = image

    def walk_state(self) -> State | None:
        """See `ResumableWalk.walk_state`."""
        if self._walk is None:
            return None
        return {
            "walk": walk_to_state(self._walk[1].result()),
            "adopted": [[one.small.rgb, one.objects, list(one.ids)] for one in self._adopted],
            "lookout": None if self._redetector is None else self._redetector.walk_state(),
            "thin": {str(object_id): parts.state for object_id, parts in self._thin.items()},
            "seen": {str(index): view.seen for index, view in self._seen.items()},
            "read": {
                str(index): view.read for index, view in self._seen.items() if view.read is not None
            },
            "wrong": {str(index): errors.result() for index, errors in self._wrong.items()},
            "steps": self._steps,
            "masked": self._masked,
        }

    def restore_walk(self, state: State) -> None:
        """See `ResumableWalk.restore_walk`.

        What references teach is learned again from the references.
        """
        adopted = [
            Reference(SmallFrame(rgb), objects, tuple(ids))
            for rgb, objects, ids in state["adopted"]
        ]
        shape = state["walk"]["gray"].shape if self._shape is None else working_shape(self._shape)
        walk = walk_from_state(state["walk"], shape, self._num_objects)
        thin = {
            int(object_id): ThinParts.from_state(parts)
            for object_id, parts in state["thin"].items()
        }
        seen, read, wrong = (
            {int(index): np.asarray(view, np.float32) for index, view in state[name].items()}
            for name in ("seen", "read", "wrong")
        )
        if any(view.shape != shape for kind in (seen, read, wrong) for view in kind.values()):
            raise ValueError("views of another shape")
        self._adopted, self._coming = adopted, None
        self._seen = {index: View(view, read.get(index)) for index, view in seen.items()}
        self._wrong = {index: completed_future(errors) for index, errors in wrong.items()}
        if adopted or self._appearance is None:
            self._learn(learn_appearance([*self._attended_references(), *adopted]))
        if self._redetector is not None:
            self._redetector.restore_walk(state["lookout"])
        self._thin, self._steps, self._masked = thin, int(state["steps"]), int(state["masked"])
        self._walk = walk.gray, completed_future(walk)

    def _learn(self, appearance: Appearance) -> None:
        """Take what references teach, and look out for the objects as they are shown there."""
        self._appearance = appearance
        self._calibrate()
        self._redetector = build_redetector(
            [*self._attended_references(), *self._adopted], appearance
        )

    def _calibrate(self) -> None:
        """Find out how the network is read for each object, by the references that matter now."""
        numbers = range(len(self._references)) if self._attended is None else sorted(self._attended)
        self._network_shares = (1.0,) * self._num_objects
        self._readouts = (None,) * self._num_objects
        self._worth_looking = False
        if self._viewer is not None and len(numbers) > 1:
            # one object after the other: the layers of each reference are some megabytes
            judged = [
                self._judge(self._viewer, numbers, index) for index in range(self._num_objects)
            ]
            self._network_shares = tuple(share for share, _, _ in judged)
            self._readouts = tuple(readout for _, readout, _ in judged)
            self._worth_looking = any(worth for _, _, worth in judged)
        self._size_px = CLOSE_PX if len(numbers) > 1 else SIZE_PX

    def _judge(
        self, viewer: NetworkViewer, numbers: Collection[int], index: int
    ) -> tuple[float, Readout | None, bool]:
        """Which share of the network's map of an object counts, how its layers are read, and
        whether it is worth a look in every frame, by some references.
        """
        shown = [number for number in numbers if index in self._crops[number]]
        if len(shown) < 2:
            return 1.0, None, False
        masks = [self._references[number].objects[index] for number in shown]
        crops = [self._crops[number][index] for number in shown]
        looks = [look.result() for look in [viewer.see(crop, CLOSE_PX) for crop in crops]]
        seen = [
            (self._references[number], view) for number, (view, _) in zip(shown, looks, strict=True)
        ]
        if not all(layers for _, layers in looks):
            share = network_share(seen, index)
            return share, None, share >= WORTH_LOOKING
        lessons = [
            (layers, crop.of(mask, layers[0].shape[1]))
            for (_, layers), crop, mask in zip(looks, crops, masks, strict=True)
        ]
        boxes = [cv2.boundingRect((mask >= 0.5).astype(np.uint8)) for mask in masks]
        extent = min(box[3] for box in boxes), min(box[2] for box in boxes)
        # what the layers taught holds between references; beyond them all it is one word of two
        if self._attended is not None and _goes_on(self._attended):
            return 0.0, learn(lessons, extent), True
        return network_share(seen, index), learn(lessons, extent, weight=BEYOND), True

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:
        """Segment the next frame; see `Propagator.step`. An empty mask is the same as none.

        A mask restarts the walk's histograms and plates from this frame; objects that it does not
        show keep their prediction where it is 0. A walk that has had no mask yet finds nothing.
        """
        self._check(image, mask)
        given = () if mask is None else object_ids(mask)
        if not given and not self._references and not self._adopted:
            raise ValueError(
                "no object has been shown yet: give the first frame a mask, or remember one"
            )
        # 1. what is known of this frame, where it was foreseen
        coming, walking = self._coming, self._walk
        foreseen, self._coming, self._foreseen = None if last else self._foreseen, None, None
        if coming is not None and coming.image is not image:
            coming = None
        ready = None if coming is None else coming.ready.result()
        small = _shrink_image(image) if ready is None else ready.frame.small
        objects: Array = np.zeros((self._num_objects, *small.shape), np.float32)
        before: Array | None = None  # the masks that the flow brought
        unchanged: Array | None = None  # where the background that was seen before still is
        anchors: tuple[Anchor | None, ...] = (None,) * self._num_objects
        # 2. the walk goes on: warp, correct, learn in the background
        if walking is not None and self._appearance is not None and len(given) < self._num_objects:
            if ready is None:
                ready = _prepare(small, walking[0], self._appearance.codebook)
            known = walking[1].result()
            if foreseen is not None and not given:
                self._coming = self._expect(foreseen, small.gray, self._appearance)
            ahead, objects, unchanged, doubtful = self._advance(
                image, ready, known, None if coming is None else coming.view
            )
            before, anchors = ahead.objects, known.anchors
            following = {
                k: parts.follow(ready.flow, objects[k - 1]) for k, parts in self._thin.items()
            }
            self._thin = {
                k: parts.align(image) for k, parts in following.items() if parts is not None
            }
            if not given and not last:
                self._walk = (
                    small.gray,
                    self._beside.submit(
                        learn_frame,
                        ahead,
                        ready.frame,
                        objects,
                        doubtful,
                        samples(thorough=self._is_thorough),
                    ),
                )
        # 3. a mask beats what was predicted, and the walk begins anew from it
        if mask is not None and (given or (walking is None and self._references)):
            objects = self._impose_given(objects, mask, given)
            self._restart(small, objects, given, anchors)
            self._masked = self._steps
            self._seen = {
                index: view for index, view in self._seen.items() if index + 1 not in given
            }
            if self._viewer is not None and not last:
                for index in (k - 1 for k in given if self._network_shares[k - 1] > 0):
                    self._wrong[index] = self._viewer.check(image, objects, index, self._size_px)
            shown = {k: thin_parts(mask == k, small.shape) for k in given}
            self._thin = {
                k: parts for k, parts in (self._thin | shown).items() if parts is not None
            }
        # 4. the next frame is prepared while the caller has this one
        self._steps += 1
        if foreseen is not None and self._walk is not None and self._appearance is not None:
            if self._coming is None:
                self._coming = self._expect(foreseen, small.gray, self._appearance)
            turn = self._look_number()
            if self._viewer is not None and turn is not None:
                self._coming.view = self._viewer.view(
                    foreseen,
                    partial(_subject, objects, self._coming.ready, turn, self._readouts),
                    self._size_px,
                )
        # 5. the result at the source's size, with parts too thin for the working size
        self._agreement = self._measure_agreement(objects, before, unchanged, given)
        probabilities = full_size(objects, small.rgb, image, mask, given)
        followed = {k: parts for k, parts in self._thin.items() if k not in given}
        add_thin(probabilities, followed, None if mask is None else mask > 0)
        return probabilities

    def _expect(self, image: Image, before: Array, appearance: Appearance) -> _NextFrame:
        """Begin to prepare the next frame. before: uint8 (h, w), the one that is segmented now."""
        return _NextFrame(
            image,
            self._ahead.submit(_prepare_next, image, before, appearance.codebook),
        )

    def _advance(
        self, image: Image, ready: _PreparedFrame, walk: Walk, view: Future[View] | None
    ) -> tuple[Walk, Array, Array, frozenset[int]]:
        """The next frame of a walk: the walk moved there, its masks, float32 (K, h, w), how surely
        each pixel shows the background that was seen there before, float32 (h, w), and what nothing
        is to be learned of.

        view: see `_look`.
        """
        # 1. everything moves along the flow, and is corrected there
        appearance, flow, later = self._appearance, ready.flow, self._beside.submit
        assert appearance is not None
        ahead, smooth = warp_walk(walk, flow)
        age = self._age()
        looking = self._look(image, ahead.objects, flow, view)
        wrong = {
            index: warp_view(errors.result(), flow, ERRORS_KEPT)
            for index, errors in self._wrong.items()
        }
        segment = partial(
            _segment,
            ready=ready,
            appearance=appearance,
            age=age,
            later=later,
            shares=self._network_shares,
            read=counts_near(age, self._span()),
            thorough=self._is_thorough,
        )
        objects, unchanged = segment(ahead, smooth=smooth, looking=looking, wrong=wrong)
        # 2. which objects left, came back, or are something else by now?
        seen = (
            Match()
            if self._redetector is None
            else self._redetector.observe(*codeword_planes(ready.frame), objects)
        )
        objects[list(seen.lost)] = 0
        # 3. one that is back is put where it was found, and all are corrected once more
        if seen.back:
            ahead = restore_objects(ahead, ready.frame, objects, seen.back, appearance)
            smooth = smooth_flows(flow, ahead.objects)
            looking = self._look(image, ahead.objects, flow)
            wrong = {index: errors for index, errors in wrong.items() if index not in seen.back}
            objects, unchanged = segment(ahead, smooth=smooth, looking=looking, wrong=wrong)
        self._seen = {index: view.result() for index, view in looking.items()}
        self._wrong = {index: completed_future(errors) for index, errors in wrong.items()}
        return ahead, objects, unchanged, seen.doubtful - seen.back.keys()

    def _look_number(self) -> int | None:
        """How often the network has looked before the frame that comes; None when it does not look
        there.
        """
        every = LOOKS_EVERY
        if self._worth_looking:
            every = FAR_LOOKS_EVERY if self._is_far else 1
        return self._steps // every if self._steps % every == 1 % every else None

    @property
    def _is_thorough(self) -> bool:
        """Whether frames are looked at in whole and in every pixel, as parts appear that only
        another reference shows.
        """
        appearance = self._appearance
        return appearance is not None and appearance.several and not self._is_far

    @property
    def _is_far(self) -> bool:
        """Whether the walk is nearer to a reference ahead, of all objects, than to its own: there
        the walk that comes from that one counts more.
        """
        ahead = {} if self._attended is None else self._attended
        return any(
            0 < steps < 2 * self._steps and len(self._references[number].ids) == self._num_objects
            for number, steps in ahead.items()
        )

    def _look(
        self, image: Image, objects: Array, flow: Array, begun: Future[View] | None = None
    ) -> dict[int, Future[View]]:
        """What the network sees of objects, by index: now of the one whose turn it is; of others
        what it saw, as it moved.

        begun: what it has begun to look at, of the same image and objects.
        """
        if self._viewer is None:
            return {}
        seen = {index: completed_future(view.warped(flow)) for index, view in self._seen.items()}
        turn = self._look_number()
        index = None if turn is None else _object_in_turn(objects, turn)
        if index is not None:
            seen[index] = begun or self._viewer.view(
                image, lambda: (objects[index], self._readouts[index]), self._size_px
            )
        return seen

    @property
    def agreement(self) -> tuple[Agreement, ...] | None:
        """See `Witnessed`."""
        return self._agreement

    def _measure_agreement(
        self, objects: Array, before: Array | None, unchanged: Array | None, given: tuple[int, ...]
    ) -> tuple[Agreement, ...]:
        """How far the masks that the flow brought, the network, and the background as it was have
        each finished object.

        Objects with a given mask have no witnesses. Arguments as in `step`.
        """
        found = [Agreement()] * self._num_objects
        if before is None or unchanged is None:
            return tuple(found)
        every = objects.sum(axis=0)
        for index, own in enumerate(objects):
            if index + 1 not in given:
                view = self._seen.get(index)
                seen = 1.0 if view is None else view_overlap(view.seen, own, every - own)
                inside, brought = own >= 0.5, before[index] >= 0.5
                box = Box.around(inside)
                founded = 1.0
                if box is not None:
                    founded -= float(unchanged[box.window][inside[box.window]].mean())
                part = Box.hull([box or NOWHERE, Box.around(brought) or NOWHERE]).window
                found[index] = Agreement(overlap(brought[part], inside[part]), seen, founded)
        return tuple(found)

    def _age(self) -> int:
        """How many frames away the nearest mask is that this walk began with, came by or goes
        towards.
        """
        ahead = () if self._attended is None else self._attended.values()
        return min([self._steps - self._masked, *(abs(steps - self._steps) for steps in ahead)])

    def _span(self) -> int:
        """How many frames the references that the walk attends to are apart."""
        ahead = () if self._attended is None else self._attended.values()
        return max(ahead) - min(ahead) if ahead else 0

    def _check(self, image: Image, mask: Mask | None) -> None:
        """Raise ValueError unless shapes, dtypes and ids are as promised."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        shape = image.shape[:2]
        if self._shape is None:
            self._shape = shape
        if shape != self._shape:
            raise ValueError(f"image is {shape}, but the clip is {self._shape}")
        if mask is not None and (mask.dtype != np.uint8 or mask.shape != shape):
            raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 {shape}")
        if mask is not None and mask.max() > self._num_objects:
            raise ValueError(f"mask holds id {mask.max()}, expected at most {self._num_objects}")

    def _shrink_mask(self, mask: Mask, ids: tuple[int, ...], shape: tuple[int, int]) -> Array:
        """Soft masks of `ids` at the working size: float32 (K, h, w), zero for the other
        objects.
        """
        objects = np.zeros((self._num_objects, *shape), np.float32)
        for object_id in ids:
            inside: Array = np.where(mask == object_id, np.uint8(255), np.uint8(0))
            if shape != mask.shape:
                inside = cv2.resize(inside, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
            objects[object_id - 1] = inside * np.float32(1 / 255)
        return objects

    def _impose_given(self, predicted: Array, mask: Mask, given: tuple[int, ...]) -> Array:
        """Soft masks with the given objects in place and the predicted others around them: float32
        (K, h, w).
        """
        shown = self._shrink_mask(mask, given, (predicted.shape[1], predicted.shape[2]))
        objects: Array = predicted * (1 - shown.sum(axis=0))
        objects[[object_id - 1 for object_id in given]] = 0
        objects += shown
        return objects

    def _restart(
        self,
        small: SmallFrame,
        objects: Array,
        given: tuple[int, ...],
        anchors: Sequence[Anchor | None],
    ) -> None:
        """Begin the walk anew on a frame whose objects are known; `anchors` are kept for objects
        that were not given.
        """
        appearance = self._appearance
        if appearance is None and self._references:
            appearance = learn_appearance(self._attended_references())
        if appearance is None or not appearance.ids.issuperset(given):
            # an object that no reference shows: codewords are found anew, with this mask
            self._adopted.append(Reference(small, objects, given))
            appearance = learn_appearance([*self._attended_references(), *self._adopted])
        if appearance is not self._appearance:
            self._learn(appearance)
            anchors = (None,) * self._num_objects  # the old ones are of another codebook
        if self._redetector is not None:
            self._redetector.begin()
        frame = quantize(small, appearance.codebook)
        self._walk = (
            small.gray,
            self._beside.submit(start_walk, frame, objects, given, anchors, appearance),
        )


def _goes_on(references: Mapping[int, int]) -> bool:
    """Whether a walk goes on to another reference. references: see `SelectiveMemory.attend`."""
    return any(ahead > 0 for ahead in references.values())


def completed_future(value: T) -> Future[T]:
    """A result that need not be waited for."""
    known: Future[T] = Future()
    known.set_result(value)
    return known


@dataclass(frozen=True)
class _PreparedFrame:
    """All of a frame that does not depend on masks.

    flow: float32 (h, w, 2), where each pixel was in the frame before.
    """

    frame: QuantizedFrame
    flow: Array


@dataclass
class _NextFrame:
    """The next frame, known by its image, while it is being prepared.

    view: what the network sees there, once it looks.
    """

    image: Image
    ready: Future[_PreparedFrame]
    view: Future[View] | None = None


def _prepare_next(image: Image, before: Array, codebook: Codebook) -> _PreparedFrame:
    """Prepare a frame. before: uint8 (h, w), the one before it."""
    return _prepare(_shrink_image(image), before, codebook)


def _prepare(small: SmallFrame, before: Array, codebook: Codebook) -> _PreparedFrame:
    """The same for one that was brought to the working size."""
    flow = cues.optical_flow(small.gray, before)
    frame = quantize(small, codebook)
    _ = small.descriptor  # is kept there
    return _PreparedFrame(frame, flow)


def _object_in_turn(objects: Array, turn: int) -> int | None:
    """Which object the network looks at, of float32 (K, h, w), warped; None when none is there.

    turn: how often it looked.
    """
    alive = [index for index, prior in enumerate(objects) if (prior >= 0.5).any()]
    return alive[turn % len(alive)] if alive else None


def _subject(
    objects: Array,
    ready: Future[_PreparedFrame],
    turn: int,
    readouts: Sequence[Readout | None],
) -> tuple[Array, Readout | None]:
    """Where the object is whose turn it is in the next frame, float32 (h, w), and its readout.

    objects: float32 (K, h, w), as they are now.
    """
    expected = warp_masks(objects, ready.result().flow)
    index = _object_in_turn(expected, turn)
    return (
        (np.zeros_like(expected[0]), None) if index is None else (expected[index], readouts[index])
    )


def _shrink_image(image: Image) -> SmallFrame:
    """Bring an image to the working size."""
    height, width = working_shape((image.shape[0], image.shape[1]))
    return SmallFrame(
        image.copy() if (height, width) == image.shape[:2] else shrunk(image, (height, width))
    )


def _histogram_evidence(
    walk: Walk, frame: QuantizedFrame, appearance: Appearance, boxes: Mapping[int, Box]
) -> tuple[dict[int, Array], dict[int, Array]]:
    """What local and global histograms say of some objects, already weighted: those of colour each
    in its window, float32, and those of texture float32 (h/2, w/2), 0 where no window needs it.

    The four cues of a codebook are functions of position and codeword, so they are added as tables
    and read once.
    """
    w = WEIGHTS
    kinds = (
        (
            walk.color_local,
            walk.color_running,
            appearance.color,
            (w.color_near, w.color_far, w.color_running, w.color_reference),
        ),
        (
            walk.texture_local,
            walk.texture_running,
            appearance.texture,
            (w.texture_near, w.texture_far, w.texture_running, w.texture_reference),
        ),
    )
    shape = frame.small.shape
    every = Box.hull(boxes.values())
    found: list[dict[int, Array]] = []
    for grid, codewords, (local, running, reference, (near, far, now, then)) in zip(
        grids(frame.small.shape, frame.small.texture_shape),
        (frame.color, frame.texture),
        kinds,
        strict=True,
    ):
        said: dict[int, Array] = {}
        read = codewords.reshape(grid.shape)
        hull = every.scaled(shape, grid.cells)
        # all classes together everywhere, and of each one only its window
        all_classes, all_running = summed(local, walk.places)[None], running.sum(axis=0)
        blurs = [
            (weight, sigma, grid.blur(all_classes, sigma, hull)[0])
            for weight, sigma in ((near, cues.NEAR_CELLS), (far, cues.FAR_CELLS))
        ]
        for index, box in boxes.items():
            own, cells = index + 1, box.scaled(shape, grid.cells)
            everywhere = now * cues.global_ratio(running[own], all_running - running[own])
            everywhere += then * cues.global_ratio(reference[0, index], reference[1, index])
            table = np.zeros((*cells.shape, everywhere.size), np.float32)
            table += everywhere
            for weight, sigma, classes in blurs:
                inside = grid.blur(local[own, None], sigma, cells, walk.places[own])[0]
                cues.add_local_ratio(
                    table,
                    inside,
                    classes,
                    cells.within(hull),
                    sigma_cells=sigma,
                    cell_area_px=grid.cell_area_px,
                    weight=weight,
                )
            # the picture itself, or its half, of which a little more is read to enlarge it
            pixels = box if grid.shape == shape else box.scaled(shape, grid.shape)
            rows, columns = grid.centred
            evidence = grid.read(
                table,
                read[pixels.window],
                rows[pixels.window[0]] - np.float32(cells.top),
                columns[:, pixels.window[1]] - np.float32(cells.left),
            )
            if found:
                said[index] = np.zeros(grid.shape, np.float32)
                said[index][pixels.window] = evidence
            else:
                said[index] = evidence
        found.append(said)
    color, texture = found
    return color, texture


@dataclass(frozen=True)
class _Scene:
    """A frame before its objects are corrected one by one: the warped walk, and what they share.

    boxes: the window around each object that is somewhere, by index. hull: the one around all of
    them, of which are surprise, how badly the background's motion explains each pixel's, and
    uncovered, evidence that it is not the background. every: float32 (h, w), all objects together.
    unchanged: float32 (h, w), how surely a pixel shows the background that was seen there before,
    0 outside of the hull. smooth: the flow of every class, see `warp_walk`. edge_aware: a filter of
    the picture in the window `guide`, which is the hull and a border.
    """

    walk: Walk
    ready: _PreparedFrame
    appearance: Appearance
    smooth: Sequence[Array]
    boxes: Mapping[int, Box]
    hull: Box
    every: Array
    surprise: Array
    uncovered: Array
    unchanged: Array
    edge_aware: EdgeAware
    guide: Box

    @classmethod
    def of(
        cls,
        walk: Walk,
        ready: _PreparedFrame,
        appearance: Appearance,
        smooth: Sequence[Array],
        boxes: Mapping[int, Box],
    ) -> _Scene:
        """The scene of at least one object."""
        lab = ready.frame.small.lab
        every = walk.objects.sum(axis=0)
        hull = Box.hull(boxes.values())
        surprise = cues.background_surprise(ready.flow, 1 - every, hull)
        background = walk.background.within(hull)
        changed = background.difference(lab[hull.window])
        unchanged = np.zeros(lab.shape[:2], np.float32)
        unchanged[hull.window] = cues.still_background(background, changed, surprise)
        uncovered = WEIGHTS.background_plate * changed
        guide = hull.grown(SMOOTH_PX, lab.shape)
        return cls(
            walk,
            ready,
            appearance,
            smooth,
            boxes,
            hull,
            every,
            surprise,
            uncovered,
            unchanged,
            EdgeAware(ready.frame.small.rgb[guide.window]),
            guide,
        )

    def smoothed(self, picture: Array, box: Box) -> Array:
        """A picture of a window, float32, smoothed along the frame's edges."""
        return self.edge_aware.within(box.within(self.guide))(picture)

    def part(self, index: int) -> tuple[slice, slice]:
        """An object's window within the hull's."""
        return self.boxes[index].within(self.hull).window


def _segment(
    walk: Walk,
    *,
    ready: _PreparedFrame,
    appearance: Appearance,
    smooth: Sequence[Array],
    looking: Mapping[int, Future[View]],
    wrong: Mapping[int, Array],
    shares: Sequence[float],
    read: float,
    age: int,
    thorough: bool,
    later: Callable[..., Future[Array]],
) -> tuple[Array, Array]:
    """Correct the warped masks by the new frame: float32 (K, h, w), competing but still soft.

    Each object is looked at in a window around it, and is nowhere else; where that is `thorough`,
    in the whole frame.

    Returns also how surely each pixel shows the background that was seen there before: float32 (h,
    w), 0 outside of all windows.
    looking: what the network will say of some objects, by index; wrong: what of that is known to be
    wrong; shares: how far its map counts, read: its layers. age: how many frames away
    the nearest reference is.
    later: begins a call in another thread.
    """
    small = ready.frame.small
    shape = small.shape
    objects = np.zeros_like(walk.objects)
    boxes = {
        index: Box.whole(shape)
        if thorough
        else box.grown(cues.REACH_PX, shape).begun_at(cues.EVERY_PX)
        for index, prior in enumerate(walk.objects)
        if (box := Box.around(prior >= 0.5)) is not None
    }
    if not boxes:
        return objects, np.zeros(shape, np.float32)
    halves = {index: HalfMask.of(walk.objects[index], small.texture_shape) for index in boxes}
    poses = {index: cues.pose_of(walk.objects[index]) for index in boxes}
    # matching, half of the work, in the second thread; all else here
    matched = {
        index: later(
            neighbour_evidence,
            small,
            memory,
            halves[index],
            poses[index],
            every=1 if thorough else 2,
        )
        for index in boxes
        if (memory := appearance.memories[index]) is not None
    }
    scene = _Scene.of(walk, ready, appearance, smooth, boxes)
    counted, halved = _histogram_evidence(walk, ready.frame, appearance, boxes)
    fresh = np.float32(math.exp(-age / cues.FORGOTTEN_FRAMES))
    for index, box in boxes.items():
        distances = cues.edge_distances(walk.objects[index][box.window])
        evidence = _evidence(scene, index, counted[index], distances, poses[index])
        # what is known at half size is enlarged together
        half = halved[index]
        if (classifier := _classifier(scene, index)) is not None:
            half += WEIGHTS.learned * learned_evidence(
                small.descriptor, classifier, halves[index], cues.GATE_PX + 4
            )
        if index in matched:
            half += WEIGHTS.nearest * fresh * matched[index].result()
        evidence += enlarged(half, shape)[box.window]
        # the network, as far as it is to be trusted
        if index in looking:
            evidence += _network_evidence(
                scene,
                index,
                looking[index].result(),
                shares=(shares[index], read),
                wrong=wrong.get(index),
            )
        objects[index][box.window] = _decided(scene, index, evidence, distances[1])
    _compete(objects, boxes)
    return objects, scene.unchanged


def _evidence(
    scene: _Scene, index: int, counted: Array, distances: tuple[Array, Array], pose: Pose
) -> Array:
    """What is known at full size says of an object in its window, but for the network: float32, log
    odds.

    counted: the same of its histograms. distances: see `cues.edge_distances`; pose: of the warped
    mask.
    """
    frame, flow, walk = scene.ready.frame, scene.ready.flow, scene.walk
    grid, _ = grids(frame.small.shape, frame.small.texture_shape)
    box, part = scene.boxes[index], scene.part(index)
    window, whole, anchor = box.window, walk.objects[index], walk.anchors[index]
    prior = whole[window]
    # 1. cues that every object has: histograms, the mask before, distance, motion, plates
    evidence: Array = counted + scene.uncovered[part] + np.float32(WEIGHTS.bias)
    evidence += WEIGHTS.prior_near * cues.prior_evidence(prior, cues.PRIOR_NEAR_PX)
    evidence += WEIGHTS.prior_far * cues.prior_evidence(prior, cues.PRIOR_FAR_PX)
    evidence += WEIGHTS.distance * cues.distance_evidence(*distances)
    here, as_whole = cues.motion_evidence(
        flow, whole, scene.smooth[index + 1], scene.surprise[part], box
    )
    evidence += WEIGHTS.motion * here + WEIGHTS.motion_whole * as_whole
    _take_plate(evidence, walk.plates[index], frame.small.lab, box)
    # 2. cues of what references showed, where they showed this object
    if anchor is not None:
        rows, columns = grid.centred
        positions = cues.relative_positions(
            (rows[window[0]], columns[:, window[1]]),
            pose,
            anchor.pose,
            grid.cell_px,
        )
        codewords = frame.color.reshape(whole.shape)[window]
        evidence += WEIGHTS.color_relative * grid.read(anchor.table, codewords, *positions)
    return evidence


def _take_plate(evidence: Array, plate: Plate, lab: Array, box: Box) -> None:
    """Take off what an object's plate says in a window, in place; beyond the plate it says nothing.

    lab: uint8 (h, w, 3), the frame.
    """
    part = plate.place.grown(Plate.REACH_PX, lab.shape).cut(box)
    if part != NOWHERE:
        said = plate.within(part).difference(lab[part.window])
        evidence[part.within(box).window] -= WEIGHTS.object_plate * said


def _classifier(scene: _Scene, index: int) -> Array | None:
    """What tells an object by now: float32 (N,), or None where no reference showed it."""
    taught, learned = scene.appearance.batches[index], scene.walk.batches[index]
    if taught is None or learned is None:
        return None
    # half from the references, so that a drift is never learned in full
    return taught.mixed(learned, 0.5).solve()


def _decided(scene: _Scene, index: int, evidence: Array, outside: Array) -> Array:
    """The soft mask of an object in its window, by all evidence: float32, 0 … 1.

    outside: how far each pixel is from the warped mask, see `cues.edge_distances`.
    """
    box = scene.boxes[index]
    prior = scene.walk.objects[index][box.window]
    # 1. only pixels near the warped mask may change, and no bias of all cues its size
    near = outside <= cues.GATE_PX
    evidence = cues.limit_growth(evidence, prior, near)
    if scene.appearance.single[index]:
        evidence = without_strays(evidence, near, scene.surprise[scene.part(index)])
    # 2. smoothed along the picture's edges, twice, at first where the object may be
    part = Box.around(near)
    assert part is not None
    part = part.grown(2 * SMOOTH_PX, near.shape)
    first = np.where(near[part.window], cues.sigmoid(evidence[part.window]), np.float32(0))
    seen = np.zeros_like(evidence)
    seen[part.window] = scene.smoothed(first, part.moved(box.top, box.left))
    again = cues.sigmoid(np.float32(0.5) * evidence + cues.logit(seen, 0.01))
    return np.clip(scene.smoothed(again, box), 0, 1)


def _network_evidence(
    scene: _Scene, index: int, view: View, *, shares: tuple[float, float], wrong: Array | None
) -> Array:
    """What the network says of an object in its window: float32, already weighted.

    shares: how much of its map and of its layers counts; wrong: what of the map is known to be
    wrong, float32 (h, w).
    """
    share, read = shares
    window, prior = scene.boxes[index].window, scene.walk.objects[index]
    evidence: Array = np.zeros_like(prior[window])
    if share > 0:
        others = scene.every - prior
        evidence += np.float32(WEIGHTS.salient * share) * salient_evidence(
            view.seen[window],
            prior[window],
            others[window],
            wrong=None if wrong is None else wrong[window],
            unchanged=scene.unchanged[window],
            # also by what it sees farther away
            trust=network_trust(view.seen, prior, others < FREE),
        )
    if view.read is not None:
        evidence += np.float32(WEIGHTS.read * read) * view.read[window]
    return evidence


def _compete(objects: Array, boxes: Mapping[int, Box]) -> None:
    """Let objects share each pixel, in place: float32 (K, h, w), then summing to ≤ 1. boxes: where
    each one is that is somewhere.

    Soft aggregation as in STM (Oh et al., ICCV 2019, eq. 4) over [Π(1 - p), p_1 … p_K], but of the
    probabilities
    themselves: turning them into odds first would sharpen them. A single object keeps its
    probability.
    """
    background, total = (np.full(objects.shape[1:], value, np.float32) for value in (1, 0))
    for index, box in boxes.items():
        background[box.window] *= 1 - objects[(index, *box.window)]
        total[box.window] += objects[(index, *box.window)]
    total += background
    for index, box in boxes.items():
        objects[(index, *box.window)] /= total[box.window]
