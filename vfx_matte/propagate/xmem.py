"""XMem and XMem++ as a propagator. Takes images and masks at source size, gives probabilities there; never writes a file.

Cheng and Schwing, "XMem: Long-Term Video Object Segmentation with an Atkinson-Shiffrin Memory Model", ECCV 2022, and
Bekuzarov et al., "XMem++: Production-level Video Segmentation From Few Annotated Frames", ICCV 2023.

Without `remember` it is XMem: a mask given to `step` is a memory frame, and the first one stays. With references it is
XMem++: they are permanent, and any frame may be the first to be segmented.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vfx_matte.errors import DeviceError
from vfx_matte.masks import Image, Mask, Probabilities, object_ids
from vfx_matte.propagate.xmem_candidates import FrameKeys, next_references
from vfx_matte.propagate.xmem_memory import Memory, Reference, XMemMemory
from vfx_matte.propagate.xmem_network import ImageFeatures, Keys, Weights, aggregate, load_network
from vfx_matte.propagate.xmem_store import Rows, StoreUsage, rows_of

__all__ = ["XMemPropagator", "XMemMemory", "MemoryUsage", "Reference", "FrameKeys", "next_references"]

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the encoders were trained with
_STRIDE = 16


class MemoryUsage(NamedTuple):
    """Elements and bytes of working, long-term and permanent memory and of the hidden state ("sensory memory")."""

    working: StoreUsage
    long_term: StoreUsage
    permanent: StoreUsage
    sensory: StoreUsage


class _Encoded(NamedTuple):
    """What the network sees in one image. image: (1, 3, h, w), normalised and padded."""

    image: Tensor
    keys: Keys
    features: ImageFeatures


@dataclass
class _Walk:
    """Where a walk is. time: steps made; objects: known ones, in the order of the hidden state's (K, CH, h, w)."""

    last_deep_update: int
    time: int = 0
    last_memory: int = 0
    objects: list[int] = field(default_factory=list)
    hidden: Tensor | None = None


@dataclass(frozen=True)
class _Frame:
    """How a clip's frames fit the network. source: (H, W); working: resized; padding: left, right, top, bottom."""

    source: tuple[int, int]
    working: tuple[int, int]
    padding: tuple[int, int, int, int]

    @classmethod
    def of(cls, source: tuple[int, int], size: int) -> _Frame:
        """Bring the short side to `size` (-1: leave it), then pad to multiples of 16, the smaller half first."""
        height, width = source
        short = min(source)
        working = source if size < 0 else (height * size // short, width * size // short)
        top, left = (-side % _STRIDE // 2 for side in working)
        bottom, right = (-side % _STRIDE - before for side, before in zip(working, (top, left), strict=True))
        return cls(source, working, (left, right, top, bottom))

    @property
    def padded(self) -> tuple[int, int]:
        """(h, w) that the network sees."""
        left, right, top, bottom = self.padding
        return self.working[0] + top + bottom, self.working[1] + left + right

    def shrink_image(self, image: Tensor) -> Tensor:
        """uint8 (H, W, 3) → float32 (1, 3, h, w), normalised and zero-padded."""
        mean, deviation = (image.new_tensor(values, dtype=torch.float32) for values in (_MEAN, _DEVIATION))
        planes = ((image.float() / 255 - mean) / deviation).permute(2, 0, 1)[None]
        if self.working != self.source:
            planes = functional.interpolate(planes, self.working, mode="bilinear", align_corners=False, antialias=True)
        padded: Tensor = functional.pad(planes, self.padding).contiguous(memory_format=torch.channels_last)
        return padded

    def shrink_mask(self, mask: Tensor) -> Tensor:
        """uint8 (H, W) → uint8 (h, w), by nearest pixel, zero-padded."""
        planes = mask[None, None]
        if self.working != self.source:
            planes = functional.interpolate(planes, self.working, mode="nearest")
        padded: Tensor = functional.pad(planes, self.padding)[0, 0]
        return padded

    def enlarge(self, probabilities: Tensor) -> Tensor:
        """(K, h, w) → (K, H, W), bilinear."""
        left, _, top, _ = self.padding
        inner = probabilities[:, top : top + self.working[0], left : left + self.working[1]]
        if self.working == self.source:
            return inner
        enlarged: Tensor = functional.interpolate(inner[None], self.source, mode="bilinear", align_corners=False)[0]
        return enlarged


class XMemPropagator:
    """Carries masks by XMem's network and memory; a `Propagator`.

    Objects exist from the first mask that shows them. `step` keeps O(1) state for a walk of any length when
    `memory.long_term` is on.
    """

    def __init__(
        self,
        *,
        num_objects: int,
        weights: Weights,
        device: str = "cpu",
        size: int = 480,
        memory: XMemMemory | None = None,
        autocast: bool = False,
    ) -> None:
        """Load the network.

        weights: XMem.pth, XMem-s012.pth or a state dict like theirs. device: "cpu", "cuda", "cuda:1" or "auto" (CUDA where
        there is one). size: length in pixels that the short side is brought to for the network; -1 leaves it. memory: None
        takes the defaults. autocast: whether the network computes in half precision (bfloat16 where the device has it);
        the memory is always read in float32.
        Raises ValueError for num_objects or size out of range, DeviceError, and PropagatorError for weights that do not fit.
        """
        if not 1 <= num_objects <= 255:
            raise ValueError(f"num_objects is {num_objects}, expected 1 to 255")
        if size != -1 and size < _STRIDE:
            raise ValueError(f"size is {size}, expected -1 or at least {_STRIDE}")
        self._num_objects, self._size, self._autocast = num_objects, size, autocast
        self._options = XMemMemory() if memory is None else memory
        self._device = _device(device)
        self._network = load_network(weights).to(self._device, memory_format=torch.channels_last)
        self._memory = Memory(self._options, self._network.dimensions, torch.zeros((), device=self._device))
        self._frame: _Frame | None = None
        self.forget_temporary()

    @property
    def num_objects(self) -> int:
        """K, as opened."""
        return self._num_objects

    @property
    def references(self) -> tuple[Reference, ...]:
        """What permanent memory holds, in the order of `remember`."""
        return self._memory.references

    def remember(self, image: Image, mask: Mask) -> None:
        """Put a reference into permanent memory; see `Propagator.remember`.

        A mask teaches the objects that it shows, and says nothing about others; an all-empty one teaches "nothing here" for
        every object. The same image again replaces its mask. The order of calls makes no difference.
        Raises ValueError for other shapes or dtypes.
        """
        frame = self._check(image, mask)
        with self._computing():
            seen = self._encode(frame, image)
            small = frame.shrink_mask(self._upload(mask))
            shown = object_ids(mask)
            layers = torch.stack([small == object_id for object_id in shown or (0,)]).float() * (small > 0)
            value = self._network.encode_value(seen.image, seen.features.f16, aggregate(layers)[1:]).float()
            values = {object_id: rows_of(one) for object_id, one in zip(shown, value, strict=False)}
            empty = None if shown else rows_of(value[0])
            self._memory.remember(_digest(image), Rows.of(seen.keys), values, empty)

    def forget(self, image: Image) -> None:
        """Take the reference with this image out of permanent memory. Raises ValueError when there is none."""
        digest = _digest(image)
        if all(reference.digest != digest for reference in self.references):
            raise ValueError(f"this image is none of the {len(self.references)} references")
        with self._computing():
            self._memory.forget(digest)

    def forget_temporary(self) -> None:
        """Start another walk; see `Propagator.forget_temporary`."""
        self._memory.forget_temporary()
        self._walk = _Walk(last_deep_update=-self._options.deep_update_every)
        if not self.references:
            self._frame = None

    def frame_keys(self, image: Image, mask: Mask) -> FrameKeys:
        """Describe a frame for `next_references`. mask: uint8 (H, W), any object counts. Neither memory nor walk change."""
        frame = self._check(image, mask)
        with self._computing():
            rows = Rows.of(self._encode(frame, image).keys)
            height, width = (side // _STRIDE for side in frame.padded)
            some = (frame.shrink_mask(self._upload(mask)) > 0).float()[None, None]
            presence = functional.interpolate(some, (height, width), mode="nearest").reshape(-1, 1)
            return FrameKeys(rows, presence, 100.0 * np.count_nonzero(mask) / mask.size)

    def memory_usage(self) -> MemoryUsage:
        """What the memories hold now."""
        hidden = self._walk.hidden
        positions = 0 if hidden is None else hidden.shape[0] * hidden.shape[2] * hidden.shape[3]
        return MemoryUsage(*self._memory.usage(), StoreUsage(positions, 0 if hidden is None else int(hidden.nbytes)))

    def step(self, image: Image, mask: Mask | None = None, last: bool = False) -> Probabilities:
        """Segment the next frame of the walk; see `Propagator.step`.

        mask: objects that it shows take its shape at source resolution, the others are predicted; an empty one counts as
        none. On a remembered image a mask of objects that were remembered with it is not added to memory again.
        Returns float32 (K+1, H, W), background first; objects that were not shown yet are 0 everywhere.
        """
        frame = self._check(image, mask)
        given = () if mask is None else object_ids(mask)
        walk = self._walk
        known = [*walk.objects, *(one for one in self._memory.permanent_objects if one not in walk.objects)]
        if not known and not given:
            raise ValueError("no object has been shown yet: give the first frame a mask, or remember one")
        with self._computing():
            self._introduce(known)
            seen = self._encode(frame, image)
            is_memory = not last and (bool(given) or walk.time - walk.last_memory >= self._options.mem_every)
            deep = not last and self._updates_deeply(is_memory=is_memory)
            predicted = None
            if not set(known) <= set(given) and (walk.time > 0 or self.references):
                # With a rhythm of their own (≥ 0), deep updates come on top of the decoder's instead of in its place.
                ordinary = not last and (self._options.deep_update_every >= 0 or not deep)
                predicted = self._predict(seen, update=ordinary)
            probabilities, imposed = predicted, None if mask is None or not given else self._upload(mask)
            if imposed is not None:
                self._introduce(given)
                probabilities = self._impose(frame.shrink_mask(imposed), given, predicted)
            assert probabilities is not None
            if is_memory:
                self._learn(seen, probabilities[1:], is_new=not self._is_remembered(image, given), deep=deep)
            if imposed is not None and frame.working != frame.source:
                result = self._impose(imposed, given, None if predicted is None else frame.enlarge(predicted))
            else:
                result = frame.enlarge(probabilities)
            walk.time += 1
            return self._download(result)

    def _check(self, image: Image, mask: Mask | None) -> _Frame:
        """Raise ValueError unless shapes, dtypes and ids are as promised."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        source = (image.shape[0], image.shape[1])
        if mask is not None and (mask.dtype != np.uint8 or mask.shape != source):
            raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 {source}")
        if mask is not None and mask.max() > self._num_objects:
            raise ValueError(f"mask holds id {mask.max()}, expected at most {self._num_objects}")
        if self._frame is None:
            self._frame = _Frame.of(source, self._size)
        if self._frame.source != source:
            raise ValueError(f"image is {source}, but the clip is {self._frame.source}")
        return self._frame

    def _updates_deeply(self, *, is_memory: bool) -> bool:
        """Whether this frame's turn has come for a deep update, which only memory frames can make."""
        every = self._options.deep_update_every
        return is_memory if every < 0 else self._walk.time - self._walk.last_deep_update >= every

    def _is_remembered(self, image: Image, given: Sequence[int]) -> bool:
        """Whether permanent memory has this image with all of the given objects."""
        if not given or not self.references:
            return False
        digest = _digest(image)
        return any(one.digest == digest and set(given) <= set(one.object_ids) for one in self.references)

    def _introduce(self, ids: Sequence[int]) -> None:
        """Let objects exist from this frame on, with a hidden state of zeros."""
        walk = self._walk
        new = [object_id for object_id in ids if object_id not in walk.objects]
        walk.objects += new
        self._memory.introduce(new, walk.time)
        if walk.hidden is not None and new:
            walk.hidden = torch.cat([walk.hidden, walk.hidden.new_zeros((len(new), *walk.hidden.shape[1:]))])

    def _encode(self, frame: _Frame, image: Image) -> _Encoded:
        """Keys and features of an image."""
        planes = frame.shrink_image(self._upload(image))
        keys, features = self._network.encode_image(planes)
        return _Encoded(planes, Keys(*(one.float() for one in keys)), features)

    def _predict(self, seen: _Encoded, *, update: bool) -> Tensor:
        """Probabilities (K+1, h, w) of the known objects by memory; `update` advances the hidden state."""
        walk, (height, width) = self._walk, seen.keys.key.shape[2:]
        with torch.autocast(self._device.type, enabled=False):
            answer = self._memory.read(Rows.of(seen.keys), walk.objects)
        readout = answer.reshape(len(walk.objects), height, width, -1).permute(0, 3, 1, 2)  # which is channels-last
        probabilities, walk.hidden = self._network.decode(seen.features, readout, self._hidden(height, width), update=update)
        return probabilities

    def _hidden(self, height: int, width: int) -> Tensor | None:
        """The hidden state, made of zeros when there is none yet; None for a network without."""
        walk, channels = self._walk, self._network.dimensions.hidden
        if walk.hidden is None and channels:
            walk.hidden = torch.zeros((len(walk.objects), channels, height, width), device=self._device)
        return walk.hidden

    def _impose(self, mask: Tensor, given: Sequence[int], predicted: Tensor | None) -> Tensor:
        """Put given shapes over predicted ones: (K+1, H, W), aggregated.

        mask: uint8 (H, W). predicted: (K'+1, H, W) of the first K' known objects; None when all are given.
        """
        layers = []
        for index, object_id in enumerate(self._walk.objects):
            if object_id in given:
                layers.append((mask == object_id).float())
            else:
                assert predicted is not None
                layers.append(predicted[index + 1].masked_fill(mask > 0, 0.0))
        return aggregate(torch.stack(layers))

    def _learn(self, seen: _Encoded, objects: Tensor, *, is_new: bool, deep: bool) -> None:
        """Make this a memory frame: add it when it is new, and update the hidden state from it when `deep`."""
        walk = self._walk
        walk.last_memory = walk.time
        hidden = self._hidden(*seen.keys.key.shape[2:])
        if is_new or (deep and hidden is not None):
            value = self._network.encode_value(seen.image, seen.features.f16, objects).float()
            if is_new:
                values = {object_id: rows_of(one) for object_id, one in zip(walk.objects, value, strict=True)}
                with torch.autocast(self._device.type, enabled=False):
                    self._memory.add(Rows.of(seen.keys), values, walk.time)
            if deep:
                walk.hidden = self._network.reinforce(value, hidden)
        if deep:
            walk.last_deep_update = walk.time

    def _upload(self, array: Image | Mask) -> Tensor:
        """A copy on the device."""
        host = torch.from_numpy(np.ascontiguousarray(array))
        if self._device.type == "cuda":
            return host.pin_memory().to(self._device, non_blocking=True)
        return host

    def _download(self, objects: Tensor) -> Probabilities:
        """Known objects' (K'+1, H, W) as (K+1, H, W) by id on the host."""
        host: Probabilities = objects.float().cpu().numpy()
        result = np.zeros((self._num_objects + 1, *host.shape[1:]), np.float32)
        result[0] = host[0]
        for index, object_id in enumerate(self._walk.objects, start=1):
            result[object_id] = host[index]
        return result

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """No gradients; on CUDA either half precision or true float32 (no TF32)."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._autocast:
                kind = self._device.type
                has_bfloat16 = kind != "cuda" or torch.cuda.is_bf16_supported()
                stack.enter_context(torch.autocast(kind, torch.bfloat16 if has_bfloat16 else torch.float16))
            elif self._device.type == "cuda":
                stack.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False))
            yield


def _device(name: str) -> torch.device:
    """The device of that name."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r} is unknown", hint="use cpu, cuda or auto") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"device {name!r} is not usable: PyTorch finds no NVIDIA GPU", hint="use --device cpu")
    return device


def _digest(image: Image) -> str:
    """A name for an image by its content."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest()
