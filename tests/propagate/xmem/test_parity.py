"""XMem's numbers against those of the public implementation, where the golden files are there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support.xmem_memory import next_references  # noqa: E402

from vfx_matte.propagate import open_propagator  # noqa: E402
from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork  # noqa: E402
from vfx_matte.propagate.xmem.propagator import XMemMemory, XMemPropagator  # noqa: E402

GOLDEN = Path(__file__).parents[4] / "shared" / "xmem_golden"
pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden files at {GOLDEN}")


KNOWN_TIE = {"xmem_default_1obj": (11, 1e-2)}
"""A frame that float32 does not decide, and how far off it may then be.

There the 30th and 31st most similar elements differ by 2e-7, less than float32 errs by: the sums
behind each are about 6, with a last bit of 5e-7. The stored answer took the other one than float64
does; the public implementation itself, run on an x86 processor with 1 or 2 threads, takes float64's
and so is off by 7e-3. Ours takes the stored one there, by luck of rounding.
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, so that a machine rounds the same way every time; see KNOWN_TIE."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def weights() -> dict[str, object]:
    """The pseudo-random weights that the golden files were computed with."""
    sys.path.insert(0, str(GOLDEN))
    try:
        from weights import golden_tensor
    finally:
        sys.path.remove(str(GOLDEN))
    shapes = json.loads((GOLDEN / "xmem_state_dict.json").read_text(encoding="utf-8"))
    return {
        name: torch.from_numpy(np.asarray(golden_tensor(name, tuple(shape))))
        for name, shape in shapes.items()
    }


def test_names_and_shapes_are_the_published_ones() -> None:
    shapes = json.loads((GOLDEN / "xmem_state_dict.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        network = XMemNetwork(Dimensions())
    assert {name: list(tensor.shape) for name, tensor in network.state_dict().items()} == shapes


@pytest.mark.parametrize(
    "name", ["xmem_default_1obj", "xmem_longterm_2obj", "xmempp_permanent_2obj"]
)
def test_probabilities_are_those_of_the_reference(name: str, weights: dict[str, object]) -> None:
    golden = np.load(GOLDEN / f"{name}.npz")
    config = json.loads(str(golden["config"]))
    options = XMemMemory(
        long_term=config["enable_long_term"],
        count_usage=config["enable_long_term_count_usage"],
        **{
            key: value
            for key, value in config.items()
            if not key.startswith("enable") and not key.endswith("_dim")
        },
    )
    frames, expected = (
        golden["frames"],
        dict(zip(golden["kept"].tolist(), golden["probs"], strict=True)),
    )
    masks = dict(zip(golden["mask_frames"].tolist(), golden["masks"], strict=True))
    num_objects = int(golden["masks"].max())
    propagator = open_propagator(
        "xmem", weights=weights, device="cpu", size=-1, memory=options, num_objects=num_objects
    )
    if name.startswith("xmempp"):
        for index, mask in masks.items():
            propagator.remember(frames[index], mask)
    errors = {}
    for index, image in enumerate(frames):
        probabilities = propagator.step(image, masks.get(index), last=index == len(frames) - 1)
        if index in expected:
            errors[index] = float(np.abs(probabilities - expected.pop(index)).max())
    assert not expected
    tie, bound = KNOWN_TIE.get(name, (-1, 0.0))
    off = {index: error for index, error in errors.items() if error > 1e-3}
    if off.keys() == {tie} and off[tie] < bound:
        pytest.xfail(f"frame {tie} fell on the other side of a tie: off by {off[tie]:.1e}")
    assert not off


def test_next_references_are_those_of_the_reference(weights: dict[str, object]) -> None:
    golden = np.load(GOLDEN / "xmempp_candidates.npz")
    propagator = XMemPropagator(num_objects=int(golden["masks"].max()), weights=weights, size=-1)
    chosen = next_references(
        propagator,
        list(zip(golden["frames"], golden["masks"], strict=True)),
        previous=golden["previous"].tolist(),
        count=int(golden["k"]),
        alpha=float(golden["alpha"]),
        min_mask_percent=float(golden["min_mask_presence_percent"]),
    )
    assert chosen == golden["selected"].tolist()
