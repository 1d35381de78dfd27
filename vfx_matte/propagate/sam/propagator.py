"""Propagates masks by SAM 2 or EdgeTAM, one frame at a time.

The library's session keeps what a walk knows, by frame number. Here the numbers are the walk's own
steps, whichever way it goes through the clip: the network only looks at how far frames are apart.
References are memorized once, and laid into each walk's session at their distance from it. After
every step the session is cleared of all that no later step looks at, so that it does not grow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from torch.nn import functional

from vfx_matte.masks import Image, Mask, Probabilities, object_ids
from vfx_matte.pretrained import computing
from vfx_matte.propagate.sam.saved import packed, unpacked
from vfx_matte.propagate.walk_state import State
from vfx_matte.segment_anything import Family, OpenNetwork, open_network
from vfx_matte.wording import option

Output = dict[str, Any]
"""What the session keeps about one object on one frame."""

# what a later step reads of it; the masks are most of its bytes
_MEMORY = ("maskmem_features", "maskmem_pos_enc")
_SCORE = "object_score_logits"
_KEPT = (*_MEMORY, "object_pointer", _SCORE)
# … and what the library itself returns where a frame is asked for again
_MASKS = "pred_masks"
_CODES = "maskmem_pos_enc"

_BEHIND = -1.0
"""Where references lie that nobody has said a distance of: one frame before the walk."""

_APART = 2.0**-16
"""Several of them lie so far apart, as a session has one frame per number: too little to matter."""


@dataclass(frozen=True, slots=True)
class _Reference:
    """A reference, memorized."""

    digest: str
    """Of its image."""

    mask_digest: str

    outputs: Mapping[int, Output]
    """Object id → what a session keeps about it."""


class SamPropagator:
    """Propagates masks by SAM 2 or EdgeTAM; a `Propagator`, `SelectiveMemory`, `ResumableWalk`.

    Each step encodes the picture once, whatever the number of objects, and then looks through each
    object's memory: its references and masks that were given on the walk, the last six frames and
    pointers of the last fifteen.
    """

    def __init__(
        self,
        *,
        num_objects: int,
        family: Family,
        weights: Path,
        device: str = "auto",
        size: int = 0,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        """Load the network.

        Args:
            num_objects: K, 1 to 255.
            family: SAM 2 or EdgeTAM.
            weights: the folder of the network.
            device: "auto" (CUDA where there is a GPU), "cpu", "cuda" or "cuda:1".
            size: side of the square that pictures are resized to; 0 or less is the one the network
                was trained at.
            notify: is told the size, where another one was asked for than the network can take.

        Raises:
            ValueError: num_objects is out of range.
            UsageError: a package or the folder is missing.
            WeightsError: the folder is not such a network.
            DeviceError: the device is not usable, or its memory too small.
        """
        if not 1 <= num_objects <= 255:
            raise ValueError(f"num_objects is {num_objects}, expected 1 to 255")
        self._num_objects = num_objects
        self._open: OpenNetwork = open_network(
            family, weights, for_clips=True, device=device, size=size
        )
        if notify is not None and size > 0 and self._open.size != size:
            notify(f"{family.title} works at {self._open.size} px, as {size} is no step of its")
        config = self._open.network.config
        # of a step, the frames whose features and whose pointers the next ones look at
        self._features_last = config.num_maskmem - 1
        self._pointers_last = max(config.max_object_pointers_in_encoder - 1, self._features_last)
        self._session_class = getattr(transformers, family.session_class)
        self._references: dict[str, _Reference] = {}
        self._order: list[str] = []
        self._ahead: Mapping[int, int] | None = None
        # the positions that belong to features are the same on every frame: one copy serves all
        self._codes: Tensor | None = None
        self._shape: tuple[int, int] | None = None
        self._session: Any = None
        self.forget_temporary()

    @property
    def num_objects(self) -> int:
        """K, as opened."""
        return self._num_objects

    def remember(self, image: Image, mask: Mask) -> None:
        """Memorize a reference; see `Propagator.remember`.

        A mask teaches the objects that it shows, and says nothing about others. The same image
        again replaces its mask.
        """
        self._check(image, mask)
        digest, ids = _digest(image), object_ids(mask)
        if not ids:
            return
        with self._computing():
            outputs, _ = self._memorized(image, mask, ids)
        for output in outputs.values():
            del output[_MASKS]
        # a reference that is replaced keeps its number
        if digest not in self._references:
            self._order.append(digest)
        self._references[digest] = _Reference(digest, _digest(mask), outputs)
        self._session = None

    def attend(self, references: Mapping[int, int]) -> None:
        """Use only some references in the walk that begins now; see `SelectiveMemory.attend`."""
        self._ahead = dict(references)
        self.forget_temporary()

    def forget_temporary(self) -> None:
        """Start another walk; see `Propagator.forget_temporary`."""
        self._session = None
        # (object, frame) of what references have laid into the session
        self._laid: set[tuple[int, float]] = set()
        self._time = 0
        if not self._references:
            self._shape = None

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:  # noqa: ARG002
        """Segment the next frame of the walk; see `Propagator.step`.

        Objects that the mask shows take its shape, at the picture's own size; the others are
        predicted, and are nowhere else than outside of them. Objects that were not shown yet are 0
        everywhere.
        """
        self._check(image, mask)
        ids = () if mask is None else object_ids(mask)
        if self._session is None:
            self._session = self._begun()
        session, time = self._session, self._time
        if not ids and not session.obj_ids:
            raise ValueError(
                "no object has been shown yet: give the first frame a mask, or remember one"
            )
        # what a failure leaves half done is no walk to go on with
        self._session = None
        with self._computing():
            if mask is not None and ids:
                self._give(session, time, image, mask, ids)
            shown = list(session.obj_ids)
            predicted = [object_id for object_id in shown if object_id not in ids]
            logits = None
            if predicted:
                hidden = self._hide(session, time, predicted)
                # a frame that is given is a stream's: without one the library looks at the clip's
                # length
                found = self._open.network(
                    inference_session=session, frame=self._open.pixels(image), frame_idx=time
                )
                logits = found.pred_masks.float().flatten(0, 1)
                for given, output in hidden:
                    given.pop(time + _APART, None)
                    given[time] = output
            self._tidy(session, time)
            probabilities = self._probabilities(logits, shown, image, mask, ids)
        self._session, self._time = session, time + 1
        return probabilities

    def walk_state(self) -> State | None:
        """The walk after its last step; see `ResumableWalk.walk_state`."""
        session = self._session
        if session is None or self._time == 0:
            return None
        objects = []
        for index, object_id in enumerate(session.obj_ids):
            kinds = session.output_dict_per_obj[index]
            own = {
                name: [
                    [frame, packed(output, shared=self._codes)]
                    for frame, output in kinds[name].items()
                    if (object_id, frame) not in self._laid
                ]
                for name in ("cond_frame_outputs", "non_cond_frame_outputs")
            }
            objects.append({"id": object_id, **own})
        return {
            "time": self._time,
            "shape": list(self._shape or ()),
            "codes": packed({_CODES: self._codes}),
            "laid": [[object_id, frame] for object_id, frame in sorted(self._laid)],
            "objects": objects,
        }

    def restore_walk(self, state: State) -> None:
        """Go on where a state was taken; see `ResumableWalk.restore_walk`."""
        place = self._open.device
        codes = unpacked(state["codes"], place)[_CODES]
        if self._codes is not None and self._codes.shape != codes.shape:
            raise ValueError("the state is of a network of another size")
        self._codes = codes if self._codes is None else self._codes
        time, (height, width) = int(state["time"]), state["shape"]
        laid = {(int(object_id), frame) for object_id, frame in state["laid"]}
        # 1. what references teach, where the walk has not been shown something newer
        ids = [int(entry["id"]) for entry in state["objects"]]
        if not ids or time < 1 or min(ids) < 1 or max(ids) > self._num_objects:
            raise ValueError(f"the state has objects {ids} after {time} steps")
        session = self._begun(order=ids)
        if not laid <= self._laid:
            raise ValueError("the state is of a walk with other references")
        for object_id, frame in self._laid - laid:
            index = session.obj_id_to_idx(object_id)
            del session.output_dict_per_obj[index]["cond_frame_outputs"][frame]
        self._laid = laid
        # 2. what it has learned on its way
        for entry in state["objects"]:
            kinds = session.output_dict_per_obj[session.obj_id_to_idx(int(entry["id"]))]
            for name in ("cond_frame_outputs", "non_cond_frame_outputs"):
                for frame, saved in entry[name]:
                    output = unpacked(saved, place)
                    if _MEMORY[0] in output:
                        output.setdefault(_CODES, self._codes)
                    kinds[name][frame] = output
            if not kinds["cond_frame_outputs"]:
                raise ValueError(f"the state has no mask of object {entry['id']}")
        self._session, self._time, self._shape = session, time, (int(height), int(width))

    def _new_session(self) -> Any:  # noqa: ANN401  a class of an optional package
        place = self._open.device
        return self._session_class(
            video=None,
            inference_device=place,
            inference_state_device=place,
            video_storage_device=place,
            dtype=torch.float32,
            max_vision_features_cache_size=1,
        )

    def _begun(self, order: list[int] | None = None) -> Any:  # noqa: ANN401
        """A session with the references of the walk that begins; `order`: of objects, as the walk
        that is gone on with has them.
        """
        session = self._new_session()
        for object_id in order or ():
            session.obj_id_to_idx(object_id)
        self._laid = set()
        for frame, reference in self._attended():
            for object_id, output in sorted(reference.outputs.items()):
                index = session.obj_id_to_idx(object_id)
                session.output_dict_per_obj[index]["cond_frame_outputs"][frame] = output
                self._laid.add((object_id, frame))
        return session

    def _attended(self) -> Iterator[tuple[float, _Reference]]:
        """(frame of the walk, reference) of those that matter for it."""
        if self._ahead is None:
            # by their digests, as the order in which they were remembered must not matter
            for place, digest in enumerate(sorted(self._order)):
                yield _BEHIND - place * _APART, self._references[digest]
            return
        for number, ahead in sorted(self._ahead.items(), key=lambda pair: pair[1]):
            if 0 <= number < len(self._order):
                yield ahead, self._references[self._order[number]]

    def _memorized(
        self, image: Image, mask: Mask, ids: tuple[int, ...]
    ) -> tuple[dict[int, Output], Mapping[str, Any]]:
        """What a session keeps of a frame with given objects, by object, and the frame's features.

        By a session of its own: EdgeTAM's refuses a frame on which some objects are given and
        others are predicted.
        """
        session, side = self._new_session(), self._open.size
        for index, object_id in enumerate(ids):
            session.obj_id_to_idx(object_id)
            region = torch.from_numpy(np.asarray(mask == object_id, np.float32))[None, None]
            if region.shape[2:] != (side, side):
                # as the library's own processor scales masks
                region = functional.interpolate(
                    region, (side, side), mode="bilinear", antialias=True, align_corners=False
                )
                region = (region >= 0.5).float()
            session.add_mask_inputs(index, 0, region)
        session.obj_with_new_inputs = list(ids)
        self._open.network(inference_session=session, frame=self._open.pixels(image), frame_idx=0)
        outputs = {}
        for index, object_id in enumerate(ids):
            whole = session.output_dict_per_obj[index]["cond_frame_outputs"][0]
            output = self._slim(whole) | {_MASKS: whole[_MASKS]}
            # of one rank in both networks and in all cases, so that the library can join them
            output[_SCORE] = output[_SCORE].reshape(1, 1, 1)
            outputs[object_id] = output
        return outputs, session.cache.get_vision_features(0)

    def _give(
        self,
        session: Any,  # noqa: ANN401
        time: int,
        image: Image,
        mask: Mask,
        ids: tuple[int, ...],
    ) -> None:
        """Tell a session the shapes of objects on the frame that is run next."""
        digest = _digest(image)
        known = self._references.get(digest)
        for object_id in ids:
            session.obj_id_to_idx(object_id)
        # 1. memorized already, where it is a reference as it was remembered and nothing else is to
        #    be predicted beside it, which needs more than is kept of references
        if (
            known is not None
            and known.mask_digest == _digest(mask)
            and set(session.obj_ids) <= set(ids)
        ):
            outputs = known.outputs
        else:
            outputs, features = self._memorized(image, mask, ids)
            session.cache.cache_vision_features(time, features)
        # 2. this picture may be in memory already: not twice, and with the newer mask
        same = {frame for frame, one in self._attended() if one.digest == digest}
        for object_id in ids:
            index = session.obj_id_to_idx(object_id)
            given = session.output_dict_per_obj[index]["cond_frame_outputs"]
            for frame in {*same, time} & set(given):
                del given[frame]
                self._laid.discard((object_id, frame))
            given[time] = outputs[object_id]

    def _hide(
        self,
        session: Any,  # noqa: ANN401
        time: int,
        predicted: list[int],
    ) -> list[tuple[dict[float, Output], Output]]:
        """Take a reference on the frame that is run next out of the memory of objects that are
        predicted there: a walk that arrives there without it shows how far it has drifted.

        Returns what was taken, and out of what.
        """
        taken = []
        for object_id in predicted:
            index = session.obj_id_to_idx(object_id)
            given = session.output_dict_per_obj[index]["cond_frame_outputs"]
            if time not in given:
                continue
            output = given.pop(time)
            taken.append((given, output))
            # the only one stays, just ahead: without any the network refuses
            if not given:
                given[time + _APART] = output
        return taken

    def _tidy(self, session: Any, time: int) -> None:  # noqa: ANN401
        """Drop from a session what no later step looks at."""
        session.processed_frames = None
        session.cache.clear_all()
        for index in range(session.get_obj_num()):
            session.frames_tracked_per_obj[index].clear()
            kinds = session.output_dict_per_obj[index]
            for outputs in kinds.values():
                if time in outputs:
                    outputs[time] = self._slim(outputs[time])
            walked = kinds["non_cond_frame_outputs"]
            for frame in list(walked):
                if frame <= time - self._pointers_last:
                    del walked[frame]
                elif frame <= time - self._features_last:
                    walked[frame] = {
                        name: value for name, value in walked[frame].items() if name not in _MEMORY
                    }

    def _slim(self, output: Output) -> Output:
        """What later steps read of an output, with one copy of what is the same in all."""
        kept = {name: output[name] for name in _KEPT}
        codes = kept[_CODES]
        if self._codes is None:
            self._codes = codes.clone()
        if codes.shape == self._codes.shape and torch.equal(codes, self._codes):
            kept[_CODES] = self._codes
        # a part of a batch would keep the whole batch
        kept[_MEMORY[0]] = kept[_MEMORY[0]].clone()
        return kept

    def _probabilities(
        self,
        logits: Tensor | None,
        shown: list[int],
        image: Image,
        mask: Mask | None,
        ids: tuple[int, ...],
    ) -> Probabilities:
        """Probabilities at the picture's size from the objects' logits.

        Of one object the network's own; of several, each pixel is given to one of them or to the
        background, whose logit is 0.
        """
        height, width = image.shape[:2]
        odds = torch.full(
            (self._num_objects + 1, height, width), -torch.inf, device=self._open.device
        )
        odds[0] = 0
        if logits is not None:
            for place, object_id in enumerate(shown):
                small = logits[None, place : place + 1]
                odds[object_id] = functional.interpolate(
                    small, (height, width), mode="bilinear", align_corners=False
                )[0, 0]
        if mask is not None and ids:
            painted = torch.from_numpy(np.ascontiguousarray(mask)).to(odds.device)
            given = torch.zeros(self._num_objects + 1, dtype=torch.bool, device=odds.device)
            given[list(ids)] = True
            # objects that are given are where the mask has them and nowhere else, and alone there
            odds[given] = -torch.inf
            odds.masked_fill_((painted > 0)[None], -torch.inf)
            for object_id in ids:
                odds[object_id].masked_fill_(painted == object_id, 0)
        found: Probabilities = torch.softmax(odds, dim=0).float().cpu().numpy()
        return found

    def _computing(self) -> Any:  # noqa: ANN401  a context
        return computing(
            self._open.device,
            title=self._open.family.title,
            hint=f"use a smaller {option('size')}, a smaller network, or {option('device', 'cpu')}",
        )

    def _check(self, image: Image, mask: Mask | None) -> None:
        """Raise ValueError unless shapes, dtypes and ids are as promised."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        source = (image.shape[0], image.shape[1])
        if mask is not None and (mask.dtype != np.uint8 or mask.shape != source):
            raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 {source}")
        if mask is not None and mask.max() > self._num_objects:
            raise ValueError(f"mask holds id {mask.max()}, expected at most {self._num_objects}")
        if self._shape is not None and self._shape != source:
            raise ValueError(f"image is {source}, but the clip is {self._shape}")
        self._shape = source


def _digest(image: Image) -> str:
    """A name for an image by its content."""
    # 16 bytes, so that no two images of a clip share a name by chance
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest()
