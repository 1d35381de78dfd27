"""XMem and XMem++ as a propagator.

Cheng and Schwing, "XMem: Long-Term Video Object Segmentation with an Atkinson-Shiffrin Memory
Model", ECCV 2022, and Bekuzarov et al., "XMem++: Production-level Video Segmentation From Few
Annotated Frames", ICCV 2023.

Without `remember` it is XMem: a mask given to `step` is a memory frame, and the first one stays.
With references it is XMem++: they are permanent, and any frame may be the first to be segmented.

When a device has no memory left, the frame is done again: first in smaller pieces, which changes no
number, then at three quarters of the size, and so on. What was remembered at one size is of no use
at another, so at the new size references are encoded again from the small copies that are kept of
them, and the walk begins anew from the masks that brought its objects in and from the last frame's
result; long-term memory starts empty. Every such change is told to `notify`, and no frame is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vfx_matte.errors import DeviceError
from vfx_matte.masks import Image, Mask, Probabilities, object_ids
from vfx_matte.propagate.walk_state import State
from vfx_matte.propagate.xmem.frame_keys import FrameKeys
from vfx_matte.propagate.xmem.network import Weights, XMemNetwork, load_network
from vfx_matte.propagate.xmem.options import XMemMemory
from vfx_matte.propagate.xmem.sizes import (
    STRIDE,
    USUAL_SIZE,
    Fit,
    choose_size,
    is_out_of_memory,
    smaller,
)
from vfx_matte.propagate.xmem.store import Rows
from vfx_matte.propagate.xmem.walk import Given, Walker
from vfx_matte.propagate.xmem.winograd import prepare
from vfx_matte.wording import option

__all__ = ["XMemPropagator", "XMemMemory", "FrameKeys"]

_T = TypeVar("_T")


class _KeptFrame(NamedTuple):
    """A frame with a mask from which memory can be made again, on the host at working size."""

    image: Tensor
    """uint8 (h, w, 3)."""

    mask: Tensor
    """uint8 (h, w)."""

    ids: tuple[int, ...]
    """What the mask shows."""


class XMemPropagator:
    """Propagates masks by XMem's network and memory; a `Propagator`.

    Objects exist from the first mask that shows them. `step` keeps O(1) state for a walk of any
    length when `memory.long_term` is on.
    """

    def __init__(
        self,
        *,
        num_objects: int,
        weights: Weights,
        device: str = "cpu",
        size: int | Literal["auto"] | None = USUAL_SIZE,
        memory: XMemMemory | None = None,
        autocast: bool = False,
        flip: bool = False,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        """Load the network.

        Args:
            num_objects: K, 1 to 255.
            weights: XMem.pth, XMem-s012.pth or a state dict like theirs.
            device: "cpu", "cuda", "cuda:1" or "auto" (CUDA where there is one).
            size: length in pixels that the short side is brought to for the network; -1 leaves it;
                "auto" or None takes 480, or the most that the free memory is enough for, see
                `sizes`.
            memory: None takes the defaults.
            autocast: whether the network computes in half precision (bfloat16 where the device has
                it); the memory is always read in float32.
            flip: whether a second walk sees everything mirrored, and the mean of both is the
                result: twice the time and memory.
            notify: is told, in one line each, what size "auto" chose and what was done for lack of
                memory.

        Raises:
            ValueError: num_objects or size is out of range.
            DeviceError: the device is not usable, or has no memory left for the network.
            PropagatorError: the weights do not fit.
        """
        if not 1 <= num_objects <= 255:
            raise ValueError(f"num_objects is {num_objects}, expected 1 to 255")
        if isinstance(size, int) and size != -1 and size < STRIDE:
            raise ValueError(f"size is {size}, expected -1 or at least {STRIDE}")
        self._num_objects, self._size, self._autocast = num_objects, size, autocast
        self._chosen: int | None = None
        self._options = XMemMemory() if memory is None else memory
        self._notify = notify or (lambda _line: None)
        self._device = _device(device)
        self._network = _open_network(
            weights, self._device, winograd=self._device.type == "cpu" and not autocast
        )
        self._references: dict[str, _KeptFrame] = {}
        # What lack of memory has led to, for the propagator's life: sizes from the ceiling on have
        # turned out too large, and frugal computes in smaller pieces.
        self._ceiling: int | None = None
        self._frugal = False
        self._fit: Fit | None = None
        # where memory has to be made again: the frames to walk through before going on
        self._to_replay: list[_KeptFrame] | None = None
        self._walkers = self._new_walkers(1 + flip)
        self.forget_temporary()

    @property
    def num_objects(self) -> int:
        """K, as opened."""
        return self._num_objects

    def remember(self, image: Image, mask: Mask) -> None:
        """Put a reference into permanent memory; see `Propagator.remember`.

        A mask teaches the objects that it shows, and says nothing about others; an all-empty one
        teaches "nothing here" for every object. The same image again replaces its mask. The order
        of calls makes no difference. Raises ValueError for other shapes or dtypes.
        """
        source, digest, shown = self._check(image, mask), _digest(image), object_ids(mask)

        def remember() -> _KeptFrame:
            fit, picture, painted = self._fitted(source), self._upload(image), self._upload(mask)
            for walker, mirror in self._mirrored_walkers():
                walker.remember(digest, fit, mirror(picture, 1), mirror(painted, 1), shown)
            return _keep(fit, picture, painted, shown)

        kept = self._retry_with_less(remember)
        # popped first: a replaced reference goes to the end of the order
        self._references.pop(digest, None)
        self._references[digest] = kept

    def forget_temporary(self) -> None:
        """Start another walk; see `Propagator.forget_temporary`."""
        # half-written walkers, or those of another size, are made anew with nothing to walk through
        if self._to_replay is not None or not all(walker.intact for walker in self._walkers):
            self._walkers, self._to_replay = self._new_walkers(len(self._walkers)), []
        for walker in self._walkers:
            walker.restart()
        self._time = 0
        self._beginnings: list[_KeptFrame] = []
        if not self._references:
            self._fit = None

    def frame_keys(self, image: Image, mask: Mask) -> FrameKeys:
        """Describe a frame, to compare it with others; neither memory nor walk change.

        Args:
            image: uint8 (H, W, 3).
            mask: uint8 (H, W), any object counts.

        Raises:
            ValueError: as `remember`.
            DeviceError: there is no memory for it: keys of another size would not compare.
        """
        source = self._check(image, mask)
        with (
            self._computing(),
            _device_error(
                f"no memory left on {self._device} to describe frames", "use a smaller size"
            ),
        ):
            fit = self._fitted(source)
            rows = Rows.of(self._walkers[0].encode(fit, self._upload(image)).keys)
            height, width = (side // STRIDE for side in fit.padded)
            some = (fit.shrink_mask(self._upload(mask)) > 0).float()[None, None]
            presence = functional.interpolate(some, (height, width), mode="nearest").reshape(-1, 1)
            return FrameKeys(rows, presence)

    def step(self, image: Image, mask: Mask | None = None, last: bool = False) -> Probabilities:
        """Segment the next frame of the walk; see `Propagator.step`.

        mask: objects that it shows take its shape at source resolution, the others are predicted;
        an empty one counts as none. On a remembered image a mask of objects that were remembered
        with it is not added to memory again. Returns float32 (K+1, H, W), background first; objects
        that were not shown yet are 0 everywhere.
        """
        # 1. is the mask a reference that permanent memory holds already?
        source = self._check(image, mask)
        ids = () if mask is None else object_ids(mask)
        known = self._references.get(_digest(image)) if ids and self._references else None
        is_new = known is None or not set(ids) <= set(known.ids)

        # 2. every walker steps, the second one in a mirror; the mean of both is the result
        def step() -> Probabilities:
            fit, picture = self._fitted(source), self._upload(image)
            painted = self._upload(mask) if mask is not None and ids else None
            before, total = set(self._walkers[0].state.objects), None
            for walker, mirror in self._mirrored_walkers():
                given = None if painted is None else Given(mirror(painted, 1), ids, is_new)
                found = mirror(walker.step(fit, mirror(picture, 1), given, last=last), 2)
                total = found if total is None else (total + found) / 2
            assert total is not None
            state = self._walkers[0].state
            result = self._download(total, state.objects)
            # masks that bring objects in are kept, to make the walk again at another size
            if painted is not None and not set(ids) <= before:
                self._beginnings.append(_keep(fit, picture, painted, ids))
            return result

        # 3. where memory is short, the same step again with less
        result = self._retry_with_less(step)
        self._time = self._walkers[0].time
        return result

    @property
    def working_size(self) -> int | None:
        """The short side in pixels that "auto" chose to work at, None before the first frame and
        where nothing was chosen.
        """
        return self._chosen

    def walk_state(self) -> State | None:
        """See `ResumableWalk.walk_state`; None after memory was short and could not be made again
        yet.
        """
        fit = self._fit
        if (
            fit is None
            or self._to_replay is not None
            or any(walker.time != self._time for walker in self._walkers)
        ):
            return None
        return {
            "size": fit.size,
            "working": list(fit.working),
            "frugal": self._frugal,
            "beginnings": [
                [kept.image.numpy(), kept.mask.numpy(), list(kept.ids)] for kept in self._beginnings
            ],
            "walkers": [walker.walk_state() for walker in self._walkers],
        }

    def restore_walk(self, state: State) -> None:
        """See `ResumableWalk.restore_walk`.

        A state of another working size, or of another way to compute, is refused.
        """
        size = int(state["size"])
        if self._fit is not None and (size, list(self._fit.working)) != (
            self._fit.size,
            state["working"],
        ):
            raise ValueError(f"state of size {size}, expected {self._fit.size}")
        if len(state["walkers"]) != len(self._walkers) or bool(state["frugal"]) != self._frugal:
            raise ValueError("state of another way to walk")
        with self._computing():
            for walker, one in zip(self._walkers, state["walkers"], strict=True):
                walker.restore_walk(one)
        self._time = self._walkers[0].time
        self._beginnings = [
            _KeptFrame(torch.from_numpy(image), torch.from_numpy(mask), tuple(ids))
            for image, mask, ids in state["beginnings"]
        ]

    def _check(self, image: Image, mask: Mask | None) -> tuple[int, int]:
        """Raise ValueError unless shapes, dtypes and ids are as promised.

        Returns the image's (H, W).
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        source = (image.shape[0], image.shape[1])
        if mask is not None and (mask.dtype != np.uint8 or mask.shape != source):
            raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 {source}")
        if mask is not None and mask.max() > self._num_objects:
            raise ValueError(f"mask holds id {mask.max()}, expected at most {self._num_objects}")
        if self._fit is not None and self._fit.source != source:
            raise ValueError(f"image is {source}, but the clip is {self._fit.source}")
        return source

    def _fitted(self, source: tuple[int, int]) -> Fit:
        """How frames fit the network, decided with the first one and whenever memory was short."""
        if self._fit is None:
            size = self._size
            if size is None or size == "auto":
                everything = self._num_objects * len(self._walkers)
                size, line = choose_size(
                    source, num_objects=everything, memory=self._options, device=self._device
                )
                self._size = self._chosen = size
                self._notify(line)
            fit = Fit.of(source, size)
            # where memory was short, a size that was asked for is no larger than what has worked
            if self._ceiling is not None and fit.size > self._ceiling:
                fit = Fit.of(source, self._ceiling)
            self._fit = fit
        return self._fit

    def _mirrored_walkers(self) -> Iterator[tuple[Walker, Callable[[Tensor, int], Tensor]]]:
        """Every walker with the function that mirrors a tensor along an axis for it, and back."""
        for index, walker in enumerate(self._walkers):
            yield (
                walker,
                (
                    # mirrored twice is as it was: one function for both ways
                    (lambda tensor, axis: tensor.flip(axis))
                    if index
                    else (lambda tensor, _axis: tensor)
                ),
            )

    def _retry_with_less(self, work: Callable[[], _T]) -> _T:
        """Do the work; where there is no memory for it, again with less.

        Args:
            work: must be done as a whole or be repeatable, as a step of `Walker` is.

        Raises:
            DeviceError: there is not enough even for the least.
        """
        while True:
            try:
                with self._computing():
                    self._rebuild_walkers()
                    return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # outside of the handler: the error keeps everything alive that was being computed
            self._reduce_memory()

    def _reduce_memory(self) -> None:
        """Take less memory from now on: smaller pieces, then smaller sizes.

        Raises DeviceError when nothing is left to try.
        """
        # 1. are the walkers as they were before the step that failed?
        fit, where = self._fit, f"no memory left on {self._device}"
        usable = self._to_replay is None and all(
            walker.intact and walker.time == self._time for walker in self._walkers
        )
        # 2. smaller pieces first, as they change no number; then smaller sizes
        if not self._frugal:
            self._frugal = True
            self._notify(f"{where}: going on in smaller pieces")
        else:
            size = None if fit is None else smaller(fit.size)
            if fit is None or size is None:
                raise DeviceError(
                    f"{where}, not even for the smallest size",
                    hint=f"close what else uses it, or use {option('device', 'cpu')}",
                )
            usable, self._ceiling, self._fit = False, size, Fit.of(fit.source, size)
            self._notify(
                f"{where} for a short side of {fit.size} pixels: going on with {size}, from the"
                " last masks"
            )
        # 3. walkers that are whole go on; others are made again from what is kept on the host
        if usable:
            for walker in self._walkers:
                walker.economize()
        else:
            if self._to_replay is None:
                self._to_replay = [*self._beginnings, *_last_frame(self._walkers[0], fit)]
            self._walkers = self._new_walkers(len(self._walkers))
        # PyTorch keeps freed blocks for itself, cut to the sizes that have just failed
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _new_walkers(self, count: int) -> list[Walker]:
        """Walkers that remember nothing yet."""
        walkers = [Walker(self._network, self._options, self._device) for _ in range(count)]
        for walker in walkers if self._frugal else ():
            walker.economize()
        return walkers

    def _rebuild_walkers(self) -> None:
        """Fill new walkers with the references, and walk through the frames that the lost ones came
        from.
        """
        if self._to_replay is None:
            return
        fit = self._fit
        assert fit is not None
        for walker, mirror in self._mirrored_walkers():
            for digest, kept in self._references.items():
                walker.remember(
                    digest,
                    fit,
                    mirror(self._send(kept.image), 1),
                    mirror(self._send(kept.mask), 1),
                    kept.ids,
                )
            for kept in self._to_replay:
                given = Given(mirror(self._send(kept.mask), 1), kept.ids)
                walker.step(fit, mirror(self._send(kept.image), 1), given, last=False)
        self._time, self._to_replay = self._walkers[0].time, None

    def _upload(self, array: Image | Mask) -> Tensor:
        """A copy on the device."""
        return self._send(torch.from_numpy(np.ascontiguousarray(array)))

    def _send(self, host: Tensor) -> Tensor:
        """A tensor of the host on the device."""
        if self._device.type == "cuda":
            return host.pin_memory().to(self._device, non_blocking=True)
        return host

    def _download(self, found: Tensor, objects: list[int]) -> Probabilities:
        """Known objects' (K'+1, H, W) as (K+1, H, W) by id on the host."""
        found = found.float()
        if self._device.type == "cuda":
            host = torch.empty(found.shape, pin_memory=True)
            host.copy_(found, non_blocking=True)
            torch.cuda.current_stream(self._device).synchronize()
        else:
            host = found.cpu()
        planes = host.numpy()
        # the walk knows its objects in the order in which they came, results have them by id
        result = np.zeros((self._num_objects + 1, *planes.shape[1:]), np.float32)
        for index, object_id in enumerate([0, *objects]):
            result[object_id] = planes[index]
        return result

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """No gradients; on CUDA either half precision or true float32 (no TF32)."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._device.type == "cuda":
                stack.enter_context(
                    torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)
                )
            if self._autocast:
                kind = self._device.type
                has_bfloat16 = kind != "cuda" or torch.cuda.is_bf16_supported()
                stack.enter_context(
                    torch.autocast(kind, torch.bfloat16 if has_bfloat16 else torch.float16)
                )
            yield


def _keep(fit: Fit, image: Tensor, mask: Tensor, ids: tuple[int, ...]) -> _KeptFrame:
    """What it takes to learn from a frame once more, at working size and on the host."""
    return _KeptFrame(
        fit.restore_image(fit.shrink_image(image)).cpu(),
        fit.unpad(fit.shrink_mask(mask)).cpu(),
        ids,
    )


def _last_frame(walker: Walker, fit: Fit | None) -> list[_KeptFrame]:
    """The last frame of a walk with its result; nothing when there is none or it shows no object.

    Needs no device memory.
    """
    state = walker.state
    if fit is None or state.image is None or state.probabilities is None:
        return []
    # on the host: the device has just run out of memory
    best = fit.unpad(state.probabilities.cpu()).argmax(0)
    mask = torch.tensor([0, *state.objects], dtype=torch.uint8)[best]
    ids = object_ids(mask.numpy())
    return [_KeptFrame(fit.restore_image(state.image.cpu()), mask, ids)] if ids else []


def _open_network(weights: Weights, device: torch.device, *, winograd: bool) -> XMemNetwork:
    """The network where it is to run. Raises DeviceError when it does not fit there."""
    network = load_network(weights)
    with _device_error(
        f"{device} has no memory left for the network",
        f"close what else uses it, or use {option('device', 'cpu')}",
    ):
        network.to(device)
    prepare(network, winograd=winograd)
    return network


@contextlib.contextmanager
def _device_error(message: str, hint: str) -> Iterator[None]:
    """Turn an error that says that memory is exhausted into a DeviceError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(message, hint=hint) from error


def _device(name: str) -> torch.device:
    """The device of that name."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r} is unknown", hint="use cpu, cuda or auto") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"device {name!r} is not usable: PyTorch finds no NVIDIA GPU",
            hint=f"use {option('device', 'cpu')}",
        )
    return device


def _digest(image: Image) -> str:
    """A name for an image by its content."""
    # 16 bytes, so that no two images of a clip share a name by chance
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest()
