"""The size that XMem works at: how frames fit it, what it needs, what is free.

What is needed, in bytes, to walk through frames of h × w pixels (padded) with K objects, P = h·w /
256 positions at stride 16:

    network        NETWORK_BYTES, on the CPU more: convolutions are kept transformed there
    activations    ACTIVATION_BYTES · h·w · K, of as many objects as one batch holds
    memory         2 · 4 · (max_mid_term_frames · P + max_long_term_elements) · (2·CK + CV·K);
                   the 2 because buffers grow by doubling
    affinity       4 blocks of the search, see `store`

References of XMem++ come on top, 4 · P · (CK + CV·K) each: their number is not known when the size
is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from vfx_matte.propagate.xmem.network import PIXELS_AT_ONCE, Dimensions
from vfx_matte.propagate.xmem.options import XMemMemory
from vfx_matte.propagate.xmem.store import BLOCK_ELEMENTS

STRIDE = 16
USUAL_SIZE = 480
"""The short side in pixels that XMem was trained and evaluated with."""

NETWORK_BYTES = {"cpu": 900 * 2**20}
"""On the CPU, where filters are kept transformed (`winograd`)."""

_OTHER_NETWORK_BYTES = 600 * 2**20
ACTIVATION_BYTES = 3000
"""Per pixel and object of a batch."""

_USABLE = 0.8  # of what is free: other programs need some, and allocators leave gaps

# of ImageNet, which the encoders were trained with
_MEAN, _DEVIATION = (
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)


@dataclass(frozen=True)
class Fit:
    """How a clip's frames fit the network."""

    source: tuple[int, int]
    """(H, W) of the clip."""

    working: tuple[int, int]
    """(h, w) after resizing, without padding."""

    padding: tuple[int, int, int, int]
    """Pixels on the left, right, top and bottom."""

    @classmethod
    def of(cls, source: tuple[int, int], size: int) -> Fit:
        """Bring the short side to `size` (-1: leave it), then pad to multiples of 16, the smaller
        half first.
        """
        height, width = source
        short = min(source)
        working = source if size < 0 else (height * size // short, width * size // short)
        top, left = (-side % STRIDE // 2 for side in working)
        bottom, right = (
            -side % STRIDE - before for side, before in zip(working, (top, left), strict=True)
        )
        return cls(source, working, (left, right, top, bottom))

    @property
    def size(self) -> int:
        """The short side that the network works at, in pixels."""
        return min(self.working)

    @property
    def padded(self) -> tuple[int, int]:
        """(h, w) that the network sees."""
        left, right, top, bottom = self.padding
        return self.working[0] + top + bottom, self.working[1] + left + right

    def shrink_image(self, image: Tensor) -> Tensor:
        """uint8 (H, W, 3) of any size → float32 (1, 3, h, w), normalised, at working size,
        zero-padded.
        """
        mean, deviation = (
            image.new_tensor(values, dtype=torch.float32) for values in (_MEAN, _DEVIATION)
        )
        planes = ((image.float() / 255 - mean) / deviation).permute(2, 0, 1)[None]
        if planes.shape[2:] != self.working:
            planes = functional.interpolate(
                planes, self.working, mode="bilinear", align_corners=False, antialias=True
            )
        padded: Tensor = functional.pad(planes, self.padding).contiguous(
            memory_format=torch.channels_last
        )
        return padded

    def restore_image(self, planes: Tensor) -> Tensor:
        """The way back as far as it goes: float32 (1, 3, h, w) → uint8 at working size,
        unpadded.
        """
        mean, deviation = (planes.new_tensor(values) for values in (_MEAN, _DEVIATION))
        pixels = (self.unpad(planes[0]).permute(1, 2, 0) * deviation + mean) * 255
        restored: Tensor = pixels.round().clamp(0, 255).to(torch.uint8)
        return restored

    def shrink_mask(self, mask: Tensor) -> Tensor:
        """uint8 (H, W) of any size → uint8 (h, w), by nearest pixel, zero-padded."""
        planes = mask[None, None]
        if mask.shape != self.working:
            planes = functional.interpolate(planes, self.working, mode="nearest")
        padded: Tensor = functional.pad(planes, self.padding)[0, 0]
        return padded

    def unpad(self, planes: Tensor) -> Tensor:
        """(…, h, w) → the part that is the frame, a view."""
        left, _, top, _ = self.padding
        return planes[..., top : top + self.working[0], left : left + self.working[1]]

    def enlarge(self, probabilities: Tensor) -> Tensor:
        """(K, h, w) → (K, H, W), bilinear."""
        inner = self.unpad(probabilities)
        if self.working == self.source:
            return inner
        enlarged: Tensor = functional.interpolate(
            inner[None], self.source, mode="bilinear", align_corners=False
        )[0]
        return enlarged


def needed_bytes(fit: Fit, *, num_objects: int, memory: XMemMemory, device: torch.device) -> int:
    """What a walk needs on the device; see the module."""
    height, width = fit.padded
    pixels, dimensions = height * width, Dimensions()
    # activations of one batch, memory of all objects
    together = max(1, min(num_objects, PIXELS_AT_ONCE // pixels))
    elements = (
        memory.max_mid_term_frames * pixels // STRIDE**2
        + memory.max_long_term_elements * memory.long_term
    )
    rows = 8 * elements * (2 * dimensions.key + dimensions.value * num_objects)
    network = NETWORK_BYTES.get(device.type, _OTHER_NETWORK_BYTES)
    return network + ACTIVATION_BYTES * pixels * together + rows + 16 * BLOCK_ELEMENTS


def free_bytes(device: torch.device) -> int | None:
    """What is free on the device, or for the CPU in the machine or the container; None where the
    system does not tell.
    """
    if device.type == "cuda":
        # what PyTorch holds and does not use is free for it, too
        free, _ = torch.cuda.mem_get_info(device)
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + spare)
    # a container may have less than the machine
    limits = [_available(Path("/proc/meminfo")), _left_in_group(Path("/sys/fs/cgroup"))]
    return min((limit for limit in limits if limit is not None), default=None)


def _available(meminfo: Path) -> int | None:
    """What Linux says that programs can still have, bytes."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(
        (1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None
    )


def _left_in_group(group: Path) -> int | None:
    """What a container's limit leaves, bytes."""
    try:
        limit, used = (
            (group / name).read_text(encoding="ascii").strip()
            for name in ("memory.max", "memory.current")
        )
    except OSError:
        return None
    # "max" is written where there is no limit
    return max(0, int(limit) - int(used)) if limit.isdecimal() else None


def choose_size(
    source: tuple[int, int], *, num_objects: int, memory: XMemMemory, device: torch.device
) -> tuple[int, str]:
    """The largest short side, at most USUAL_SIZE and a multiple of 16, whose needs are met; and one
    line that says so.

    At most four fifths of what is free are taken for usable. Where nothing is known of that, it is
    USUAL_SIZE.
    """
    # from large to small: the first size that fits, or else the smallest there is
    free = free_bytes(device)
    for size in range(USUAL_SIZE, 0, -STRIDE):
        need = needed_bytes(
            Fit.of(source, size), num_objects=num_objects, memory=memory, device=device
        )
        if free is None or need <= _USABLE * free:
            break
    amount = "an unknown amount" if free is None else f"{free / 2**30:.1f} GiB"
    return (
        size,
        (
            f"XMem works at a short side of {size} pixels: needs about {need / 2**30:.1f} GiB,"
            f" {amount} free on {device}"
        ),
    )


def smaller(size: int) -> int | None:
    """The short side to try when there is no memory for this one: three quarters, a multiple of 16;
    None below 16.
    """
    # three quarters of a side are about half of the pixels
    return (size * 3 // 4) // STRIDE * STRIDE or None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of PyTorch, its libraries or Python says that memory is exhausted, on a
    device or the host.
    """
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and any(sign in said for sign in _SIGNS)


# of CUDA, the CPU's allocators and cuDNN or cuBLAS, which raise a bare RuntimeError
_SIGNS = ("out of memory", "can't allocate memory", "DefaultCPUAllocator", "STATUS_ALLOC_FAILED")
