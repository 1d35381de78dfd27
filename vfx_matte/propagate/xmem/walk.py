"""One walk of XMem through frames, in tensors on the device.

A step either happens as a whole or leaves the walk as it was: when the device has no memory left in
the middle of one, the same step can be taken again with less at a time. Only while the memory is
being written that is not so; `intact` tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from vfx_matte.propagate.walk_state import State
from vfx_matte.propagate.xmem.memory import Memory
from vfx_matte.propagate.xmem.network import ImageFeatures, Keys, XMemNetwork, aggregate
from vfx_matte.propagate.xmem.options import XMemMemory
from vfx_matte.propagate.xmem.sizes import Fit
from vfx_matte.propagate.xmem.store import Rows, rows_of

FRUGAL_ELEMENTS = 2**20
"""Of an affinity matrix at a time, when memory is short: 4 MiB."""


class Encoded(NamedTuple):
    """What the network sees in one image."""

    image: Tensor
    """(1, 3, h, w), normalised and padded."""

    keys: Keys
    features: ImageFeatures


class Given(NamedTuple):
    """A mask for a step."""

    mask: Tensor
    """uint8 (H, W)."""

    ids: tuple[int, ...]
    """The objects that take its shape."""

    is_new: bool = True
    """Whether to learn from it: a remembered reference is in permanent memory already."""


@dataclass
class _State:
    """Where a walk is."""

    last_deep_update: int
    """The step of the last deep update of the hidden state."""

    time: int = 0
    """Steps made."""

    last_memory: int = 0
    """The step that last went into working memory."""

    objects: list[int] = field(default_factory=list)
    """Known ones, in the order of the hidden state's."""

    hidden: Tensor | None = None
    """(K, CH, h/16, w/16); None before the first step and for a network without."""

    image: Tensor | None = None
    """Of the last step, at working size: (1, 3, h, w), normalised."""

    probabilities: Tensor | None = None
    """Of the last step, at working size: (K+1, h, w)."""


class Walker:
    """Walks, and remembers by `memory`. The network may be shared with others."""

    def __init__(self, network: XMemNetwork, options: XMemMemory, device: torch.device) -> None:
        self.network, self._options, self._device = network, options, device
        self.memory = Memory(options, network.dimensions, torch.zeros((), device=device))
        self.intact = True
        self.restart()

    @property
    def time(self) -> int:
        """Steps made."""
        return self.state.time

    def restart(self) -> None:
        """Begin another walk; references stay."""
        self.memory.forget_temporary()
        # so that the first step's turn for a deep update has come
        self.state = _State(last_deep_update=-self._options.deep_update_every)

    def walk_state(self) -> State:
        """A copy of the walk and of what it remembers, on the host."""
        state = self.state
        tensors = {name: getattr(state, name) for name in ("hidden", "image", "probabilities")}
        return {
            "memory": self.memory.walk_state(),
            "numbers": [state.last_deep_update, state.time, state.last_memory],
            "objects": list(state.objects),
            "channels_last": state.hidden is not None
            and state.hidden.is_contiguous(memory_format=torch.channels_last),
            **{
                name: None if one is None else one.detach().float().cpu().clone().numpy()
                for name, one in tensors.items()
            },
        }

    def restore_walk(self, state: State) -> None:
        """Go on where `walk_state` was taken.

        Raises ValueError, KeyError or TypeError for something else.
        """
        last_deep_update, time, last_memory = (int(number) for number in state["numbers"])
        with self._writing():
            self.memory.restore_walk(state["memory"])
        hidden, image, probabilities = (
            None if state[name] is None else torch.from_numpy(state[name]).to(self._device)
            for name in ("hidden", "image", "probabilities")
        )
        if hidden is not None and state["channels_last"]:  # convolutions round by it
            hidden = hidden.contiguous(memory_format=torch.channels_last)
        objects = [int(object_id) for object_id in state["objects"]]
        self.state = _State(
            last_deep_update, time, last_memory, objects, hidden, image, probabilities
        )

    def economize(self) -> None:
        """Compute in smaller pieces: one object at a time, and a small part of the affinity matrix.

        Only rounding changes.
        """
        self.network.pixels_at_once = 1
        self.memory.block_elements = FRUGAL_ELEMENTS

    def encode(self, fit: Fit, image: Tensor) -> Encoded:
        """Keys and features of uint8 (H, W, 3)."""
        planes = fit.shrink_image(image)
        keys, features = self.network.encode_image(planes)
        # float32 for the search also under autocast, see `_predict`
        return Encoded(planes, Keys(*(one.float() for one in keys)), features)

    def remember(
        self, digest: str, fit: Fit, image: Tensor, mask: Tensor, shown: Sequence[int]
    ) -> None:
        """Put a reference into permanent memory.

        Args:
            digest: names the reference.
            fit: how frames fit the network.
            image: uint8 (H, W, 3).
            mask: uint8 (H, W).
            shown: the ids that the mask shows.
        """
        seen = self.encode(fit, image)
        small = fit.shrink_mask(mask)
        # an empty mask is encoded as one object without a pixel: the value of "nothing here"
        layers = torch.stack([small == object_id for object_id in shown or (0,)]).float() * (
            small > 0
        )
        value = self.network.encode_value(
            seen.image, seen.features.f16, aggregate(layers)[1:]
        ).float()
        values = {object_id: rows_of(one) for object_id, one in zip(shown, value, strict=False)}
        with self._writing():
            self.memory.remember(
                digest, Rows.of(seen.keys), values, None if shown else rows_of(value[0])
            )

    def step(self, fit: Fit, image: Tensor, given: Given | None, *, last: bool) -> Tensor:
        """Segment the next frame.

        Image and mask may be smaller than the clip's frames; what is returned is of the frames'
        size in any case, and shapes that are given are exact in it when the mask is, too.

        Args:
            fit: how frames fit the network.
            image: uint8 (H, W, 3).
            given: the mask of this frame, where there is one.
            last: whether the walk ends here, so that nothing needs to be remembered.

        Returns:
            Probabilities (K'+1, H, W) of the background and of `state.objects` as they are
            afterwards.

        Raises:
            ValueError: there is no object to segment.
        """
        # 1. the objects of this frame: those of the walk, of the references, and of the mask
        state = self.state
        known = [
            *state.objects,
            *(one for one in self.memory.permanent_objects if one not in state.objects),
        ]
        ids = () if given is None else given.ids
        if not known and not ids:
            raise ValueError(
                "no object has been shown yet: give the first frame a mask, or remember one"
            )
        self.memory.introduce(known, state.time)
        # 2. what the frame is for: memory frames are added, deep updates follow from their values
        seen = self.encode(fit, image)
        hidden = self._hidden(state.hidden, len(known), seen)
        is_memory = not last and (
            bool(ids) or state.time - state.last_memory >= self._options.mem_every
        )
        deep = not last and self._updates_deeply(is_memory=is_memory)
        # 3. predict what the mask does not give; a walk's first frame has nothing to be read yet
        #    where no reference was remembered
        predicted = None
        if not set(known) <= set(ids) and (state.time > 0 or self.memory.references):
            # with a rhythm of their own (≥ 0), deep updates come on top of the decoder's instead of
            # in its place
            ordinary = not last and (self._options.deep_update_every >= 0 or not deep)
            predicted, hidden = self._predict(seen, known, hidden, update=ordinary)
        # 4. put given shapes over predicted ones, at working size for memory and once more at the
        #    clip's size for the result, where they have to be exact
        objects = [*known, *(one for one in ids if one not in known)]
        probabilities = predicted
        if given is not None:
            self.memory.introduce(objects, state.time)
            probabilities = _impose(fit.shrink_mask(given.mask), objects, given.ids, predicted)
        assert probabilities is not None
        if given is not None and given.mask.shape == fit.source != fit.working:
            result = _impose(
                given.mask,
                objects,
                given.ids,
                None if predicted is None else fit.enlarge(predicted),
            )
        else:
            result = fit.enlarge(probabilities)
        # 5. learn from the frame: the only part that cannot be done again when it fails half-way
        if is_memory:
            is_new = given is None or given.is_new
            hidden = self._hidden(hidden, len(objects), seen)
            hidden = self._learn(seen, objects, probabilities[1:], hidden, is_new=is_new, deep=deep)
            state.last_memory = state.time
            state.last_deep_update = state.time if deep else state.last_deep_update
        # 6. the walk goes on from here
        state.objects, state.hidden = objects, hidden
        state.image, state.probabilities = seen.image, probabilities
        state.time += 1
        return result

    def _updates_deeply(self, *, is_memory: bool) -> bool:
        """Whether this frame's turn has come for a deep update, which only memory frames
        can make.
        """
        every = self._options.deep_update_every
        return is_memory if every < 0 else self.state.time - self.state.last_deep_update >= every

    def _hidden(self, hidden: Tensor | None, count: int, seen: Encoded) -> Tensor | None:
        """The hidden state of `count` objects, of zeros where there is none yet; None for a network
        without.
        """
        channels, (height, width) = self.network.dimensions.hidden, seen.keys.key.shape[2:]
        if not channels:
            return None
        if hidden is None:
            return torch.zeros((count, channels, height, width), device=self._device)
        # as published an object begins with zeros, whenever it comes
        return (
            hidden
            if len(hidden) == count
            else torch.cat([hidden, hidden.new_zeros((count - len(hidden), *hidden.shape[1:]))])
        )

    def _predict(
        self, seen: Encoded, ids: Sequence[int], hidden: Tensor | None, *, update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Probabilities (K+1, h, w) of the objects by memory, and the hidden state, advanced with
        `update`.
        """
        height, width = seen.keys.key.shape[2:]
        # similarities near the top_k-th one are told apart by bits that half precision lacks
        with torch.autocast(self._device.type, enabled=False):
            answer = self.memory.read(Rows.of(seen.keys), ids)
        # which is channels-last
        readout = answer.reshape(len(ids), height, width, -1).permute(0, 3, 1, 2)
        return self.network.decode(seen.features, readout, hidden, update=update)

    def _learn(
        self,
        seen: Encoded,
        ids: Sequence[int],
        objects: Tensor,
        hidden: Tensor | None,
        *,
        is_new: bool,
        deep: bool,
    ) -> Tensor | None:
        """Make this a memory frame: add it when it is new.

        Returns the hidden state, updated from it when `deep`.
        """
        # of a reference that permanent memory holds the value is only needed for a deep update
        if not is_new and (not deep or hidden is None):
            return hidden
        value = self.network.encode_value(seen.image, seen.features.f16, objects).float()
        if deep:
            hidden = self.network.reinforce(value, hidden)
        if is_new:
            values = {object_id: rows_of(one) for object_id, one in zip(ids, value, strict=True)}
            with torch.autocast(self._device.type, enabled=False), self._writing():
                self.memory.add(Rows.of(seen.keys), values, self.state.time)
        return hidden

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """An error in here leaves the memory half-written."""
        self.intact = False
        yield
        self.intact = True


def _impose(
    mask: Tensor, objects: Sequence[int], given: Sequence[int], predicted: Tensor | None
) -> Tensor:
    """Put given shapes over predicted ones.

    Args:
        mask: uint8 (H, W).
        objects: ids of all K objects.
        given: those that take the mask's shape.
        predicted: (K'+1, H, W) of the first K' objects; None where all are given.

    Returns:
        (K+1, H, W), aggregated.
    """
    layers = []
    for index, object_id in enumerate(objects):
        if object_id in given:
            layers.append((mask == object_id).float())
        else:
            assert predicted is not None
            # what is painted belongs to the painted objects alone
            layers.append(predicted[index + 1].masked_fill(mask > 0, 0.0))
    return aggregate(torch.stack(layers))
