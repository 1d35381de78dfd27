"""XMem's numbers against those of the public implementation: a small golden file that is always
there.

`data/xmem_tiny.npz` was made by hkchengrex/XMem (MIT, commit of its main branch, float32 on a CPU),
stepped as its `eval.py` does it, with the weights and clips that are computed below from the raw
bits of PCG64, which NumPy keeps the same for ever. It holds probabilities times 65535 (uint16) on a
few frames of each walk. The clips were chosen so that nothing is nearly a tie: the top_k-th and
next most similar elements differ by 4e-3 or more, usages at the edge of being kept by 1 %. What
float32 rounds away on one machine or another therefore changes no choice; against float64 the file
is off by 1e-5 at most.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from vfx_matte.masks import Image, Mask  # noqa: E402
from vfx_matte.propagate import open_propagator  # noqa: E402
from vfx_matte.propagate.xmem import memory as xmem_memory  # noqa: E402
from vfx_matte.propagate.xmem import store as xmem_store  # noqa: E402
from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork  # noqa: E402
from vfx_matte.propagate.xmem.propagator import XMemMemory  # noqa: E402

GOLDEN = Path(__file__).parents[2] / "data" / "xmem_tiny.npz"
SHAPE = (45, 61)
GAIN = {
    "key_proj.key_proj.weight": 2.0,
    "key_proj.d_proj.weight": 4.0,
    "key_proj.e_proj.weight": 4.0,
    "decoder.pred.weight": 3.0,
}


@dataclass(frozen=True)
class Walk:
    """A walk of the golden file.

    shown: at which frames which objects have a mask; kept: frames that the file holds.
    """

    seed: int
    length: int
    shown: dict[int, tuple[int, ...]]
    kept: tuple[int, ...]
    options: dict[str, Any]
    hidden: int = 16
    objects: int = field(default=3)


WALKS = {
    # 24 frames, every other one remembered: five consolidations and three evictions, and a mask
    # that corrects one object.
    "long_term": Walk(
        seed=2,
        length=24,
        shown={0: (1, 2, 3), 9: (2,)},
        kept=(1, 7, 10, 16, 23),
        options={
            "mem_every": 2,
            "top_k": 6,
            "num_prototypes": 5,
            "min_mid_term_frames": 2,
            "max_mid_term_frames": 4,
            "max_long_term_elements": 14,
        },
    ),
    # No long-term memory, deep updates in a rhythm of their own, an object that comes later, and a
    # mask to correct all.
    "rhythm": Walk(
        seed=2,
        length=12,
        shown={0: (1, 2), 5: (3,), 8: (1, 2, 3)},
        kept=(3, 5, 7, 9, 11),
        options={"mem_every": 3, "top_k": 6, "deep_update_every": 2, "long_term": False},
    ),
    "stateless": Walk(
        seed=1,
        length=6,
        shown={0: (1, 2, 3)},
        kept=(2, 5),
        options={"mem_every": 2, "top_k": 6, "long_term": False},
        hidden=0,
    ),
}


def raw(name: str, count: int) -> npt.NDArray[np.uint64]:
    """Numbers of 64 bits that depend on the name only."""
    return np.random.PCG64(zlib.crc32(name.encode())).random_raw(count)


def uniform(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Numbers in [-1, 1), exact in float32."""
    steps = (raw(name, int(np.prod(shape))) >> np.uint64(40)).astype(np.int64) - 2**23
    return (steps / 2**23).astype(np.float32).reshape(shape)


def tiny_tensor(name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The weights of one tensor by its published name."""
    leaf = name.rsplit(".", 1)[1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if name == "decoder.pred.bias":
        return np.full(shape, -2.0, np.float32)
    if leaf == "running_var" or (leaf == "weight" and len(shape) == 1):
        return np.float32(0.8) + np.float32(0.2) * uniform(name, shape)
    if len(shape) == 1:
        return np.float32(0.05) * uniform(name, shape)
    weight = uniform(name, shape) * np.float32(
        GAIN.get(name, 1.0) * (3 / np.prod(shape[1:])) ** 0.5
    )
    if name == "value_encoder.conv1.weight":
        weight[:, 3:] *= 20  # the mask channels
    return weight


def tiny_weights(hidden: int) -> dict[str, Any]:
    """A state dict of the published names, with few channels of keys, values and hidden state."""
    with torch.device("meta"):
        shapes = XMemNetwork(Dimensions(key=16, value=32, hidden=hidden)).state_dict()
    return {
        name: torch.from_numpy(tiny_tensor(name, tuple(tensor.shape)))
        for name, tensor in shapes.items()
    }


def clip(walk: Walk) -> tuple[list[Image], dict[int, Mask]]:
    """Frames and masks: patterned discs that move over a pattern, one per object."""
    height, width = SHAPE
    row, column = np.mgrid[:height, :width]
    behind, *patterns = (
        (raw(f"clip {walk.seed} {k}", 12 * 12 * 3) & np.uint64(255))
        .astype(np.uint8)
        .reshape(12, 12, 3)
        for k in range(walk.objects + 1)
    )
    starts = (
        (raw(f"places {walk.seed}", 4 * walk.objects) % np.uint64(1000))
        .astype(np.int64)
        .reshape(-1, 4)
    )
    frames, masks = [], {}
    for time in range(walk.length):
        frame = behind[(row // 6) % 12, ((column + time) // 6) % 12]
        mask = np.zeros(SHAPE, np.uint8)
        for k, (y, x, down, across) in enumerate(starts):
            top, left = (y + down % 5 * time) % height, (x + across % 5 * time) % width
            inside = (row - top) ** 2 + (column - left) ** 2 < 150
            frame[inside] = patterns[k][((row - top) // 4) % 12, ((column - left) // 4) % 12][
                inside
            ]
            mask[inside] = k + 1
        frames.append(frame)
        if time in walk.shown:
            masks[time] = np.where(np.isin(mask, walk.shown[time]), mask, 0).astype(np.uint8)
    return frames, masks


@pytest.fixture(scope="module")
def weights() -> Callable[[int], dict[str, Any]]:
    """Weights by the number of hidden channels, made once."""
    made: dict[int, dict[str, Any]] = {}
    return lambda hidden: made.get(hidden) or made.setdefault(hidden, tiny_weights(hidden))


def worst(name: str, weights: Callable[[int], dict[str, Any]]) -> float:
    """The largest difference from the golden file, over the kept frames of a walk."""
    walk = WALKS[name]
    frames, masks = clip(walk)
    propagator = open_propagator(
        "xmem",
        num_objects=walk.objects,
        weights=weights(walk.hidden),
        device="cpu",
        size=-1,
        memory=XMemMemory(**walk.options),
    )
    found = [
        propagator.step(image, masks.get(time), last=time == walk.length - 1)
        for time, image in enumerate(frames)
    ]
    with np.load(GOLDEN) as golden:
        expected = golden[name] / 65535
    return float(np.abs(np.stack([found[time] for time in walk.kept]) - expected).max())


@pytest.mark.parametrize("name", list(WALKS))
def test_probabilities_are_those_of_the_public_implementation(
    name: str, weights: Callable[[int], dict[str, Any]]
) -> None:
    assert worst(name, weights) < 1e-4


@pytest.mark.parametrize("dropped", ["selection", "shrinkage", "usage", "eviction"])
def test_the_golden_file_notices_what_is_missing(
    dropped: str, weights: Callable[[int], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = xmem_store.similarity

    def similarity(memory: xmem_store.Rows, query: xmem_store.Rows) -> object:
        if dropped == "selection":
            return whole(memory, query._replace(selection=None))
        return whole(memory._replace(shrinkage=torch.ones_like(memory.shrinkage)), query)

    if dropped == "usage":
        monkeypatch.setattr(xmem_memory, "count_reads", lambda *_: None)
    elif dropped == "eviction":
        monkeypatch.setattr(xmem_memory.Memory, "_make_room", lambda *_: None)
    else:
        monkeypatch.setattr(xmem_store, "similarity", similarity)
    assert worst("long_term", weights) > 1e-3
