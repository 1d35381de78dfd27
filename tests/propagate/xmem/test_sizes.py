"""XMem where memory is short, and mirrored: sizes, what is done when memory runs out in the middle
of a walk, flips.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

torch = pytest.importorskip("torch")

from support.xmem_memory import memory_usage  # noqa: E402

from vfx_matte.errors import DeviceError  # noqa: E402
from vfx_matte.masks import Image, Mask, object_ids  # noqa: E402
from vfx_matte.propagate.driver import harden  # noqa: E402
from vfx_matte.propagate.xmem import propagator as xmem  # noqa: E402
from vfx_matte.propagate.xmem import sizes as xmem_sizes  # noqa: E402
from vfx_matte.propagate.xmem.memory import Memory  # noqa: E402
from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork, load_network  # noqa: E402
from vfx_matte.propagate.xmem.propagator import XMemMemory, XMemPropagator  # noqa: E402
from vfx_matte.propagate.xmem.sizes import (  # noqa: E402
    Fit,
    choose_size,
    free_bytes,
    is_out_of_memory,
    needed_bytes,
    smaller,
)
from vfx_matte.propagate.xmem.walk import FRUGAL_ELEMENTS, Walker  # noqa: E402

Weights = dict[str, Any]
SHAPE = (80, 112)
CPU = torch.device("cpu")
GPU_ERROR = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
CPU_ERROR = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you"
    " tried"
)


@pytest.fixture(scope="module")
def weights() -> Weights:
    torch.manual_seed(1)
    weights: Weights = XMemNetwork(Dimensions(key=8, value=16, hidden=8)).state_dict()
    weights["value_encoder.conv1.weight"][:, 3:] *= 10
    weights["decoder.pred.weight"] *= 12
    weights["decoder.pred.bias"] -= 1
    return weights


@pytest.fixture(scope="module")
def network(weights: Weights) -> XMemNetwork:
    return load_network(weights)


@pytest.fixture(autouse=True)
def opens_at_once(network: XMemNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """All propagators share one network, which is neither read nor prepared again."""

    def share(*_: object, **__: object) -> XMemNetwork:
        monkeypatch.setattr(network, "pixels_at_once", xmem_sizes.PIXELS_AT_ONCE)
        return network

    monkeypatch.setattr(xmem, "_open_network", share)


def picture(index: int, shape: tuple[int, int] = SHAPE) -> Image:
    coarse = np.random.default_rng(index).integers(
        0, 256, (shape[0] // 8, shape[1] // 8, 3), np.uint8
    )
    return np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1))


def painted(*ids: int, shape: tuple[int, int] = SHAPE) -> Mask:
    mask, width = np.zeros(shape, np.uint8), shape[1] // (max(ids) + 1)
    for object_id in ids:
        mask[shape[0] // 4 : -shape[0] // 4, (object_id - 1) * width : object_id * width] = (
            object_id
        )
    return mask


def opened(weights: Weights, **options: object) -> tuple[XMemPropagator, list[str]]:
    lines: list[str] = []
    options = {"num_objects": 2, "size": -1, "memory": XMemMemory(mem_every=2), **options}
    return XMemPropagator(weights=weights, notify=lines.append, **options), lines


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make a method raise an out-of-memory error: for `times` calls after the first `after`, or
    whenever `too_much` says so.
    """

    def install(
        owner: type,
        name: str,
        error: Exception,
        *,
        after: int = 0,
        times: int = 10**6,
        too_much: Callable[..., bool] | None = None,
        late: bool = False,
    ) -> None:
        method, calls = getattr(owner, name), itertools.count()

        def limited(*arguments: object, **named: object) -> object:
            strikes = (
                after <= next(calls) < after + times if too_much is None else too_much(*arguments)
            )
            if strikes and not late:
                raise type(error)(*error.args)
            result = method(*arguments, **named)
            if strikes:
                raise type(error)(*error.args)
            return result

        monkeypatch.setattr(owner, name, limited)

    return install


def taller_than(height: int) -> Callable[..., bool]:
    """Whether the network would see an image of more rows."""
    return lambda _network, image: image.shape[2] > height


def checked(
    probabilities: np.ndarray, shape: tuple[int, int] = SHAPE, num_objects: int = 2
) -> np.ndarray:
    assert probabilities.shape == (num_objects + 1, *shape)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    return probabilities


@pytest.mark.parametrize("error", [GPU_ERROR, CPU_ERROR, MemoryError()])
@pytest.mark.parametrize("method", ["encode_image", "encode_value", "decode", "reinforce"])
def test_smaller_pieces_come_first_and_change_nothing(
    method: str, error: Exception, weights: Weights, limit: Callable[..., None]
) -> None:
    masks = {0: painted(1), 3: painted(2)}
    # the hidden state is updated before and after the error
    memory = XMemMemory(mem_every=2, deep_update_every=1)
    plenty, _ = opened(weights, memory=memory)
    expected = [plenty.step(picture(index), masks.get(index)) for index in range(7)]
    propagator, lines = opened(weights, memory=memory)
    limit(XMemNetwork, method, error, after=2, times=1)
    found = [checked(propagator.step(picture(index), masks.get(index))) for index in range(7)]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert lines == ["no memory left on cpu: going on in smaller pieces"]
    assert memory_usage(propagator).working == memory_usage(plenty).working
    walker = propagator._walkers[0]
    assert walker.memory.block_elements == FRUGAL_ELEMENTS
    assert walker.network._objects_at_once(torch.zeros(2, *SHAPE)) == 1


@pytest.mark.parametrize("size", [-1, 64, "auto"])
@pytest.mark.parametrize("with_references", [False, True])
def test_a_walk_goes_on_at_a_smaller_size(
    with_references: bool,
    size: int | str,
    weights: Weights,
    limit: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(xmem_sizes, "free_bytes", lambda _device: None)
    monkeypatch.setattr(xmem_sizes, "USUAL_SIZE", 80)
    propagator, lines = opened(weights, size=size)
    masks = {0: painted(1), 4: painted(1, 2)}
    if with_references:
        propagator.remember(picture(9), painted(1))
        propagator.remember(picture(8), painted(1, 2))
    results = [checked(propagator.step(picture(index), masks.get(index))) for index in range(6)]
    before = memory_usage(propagator)
    limit(XMemNetwork, "encode_image", GPU_ERROR, too_much=taller_than(48))
    results += [checked(propagator.step(picture(index), last=index == 9)) for index in range(6, 10)]
    assert len(results) == 10
    first = 64 if size == 64 else 80
    if size == "auto":
        assert re.fullmatch(
            "XMem works at a short side of 80 pixels: needs about .* GiB, .* free on cpu",
            lines.pop(0),
        )
    assert lines == [
        "no memory left on cpu: going on in smaller pieces",
        (
            f"no memory left on cpu for a short side of {first} pixels: going on with 48, from the"
            " last masks"
        ),
    ]
    after = memory_usage(propagator)
    assert after.working.elements > 0
    assert after.sensory.elements < before.sensory.elements
    assert len(propagator._references) == 2 * with_references
    if with_references:
        assert 0 < after.permanent.elements < before.permanent.elements
    mask = painted(2)
    # exact at the source's size
    assert np.array_equal(harden(checked(propagator.step(picture(1), mask))) == 2, mask == 2)


def test_what_is_made_again_is_what_a_new_walk_would_make(
    weights: Weights, limit: Callable[..., None]
) -> None:
    """At the smaller size: references, the masks that brought objects in, the last result; then the
    frame itself.
    """
    propagator, lines = opened(weights, memory=XMemMemory(mem_every=1))
    reference, beginning = (picture(9), painted(1)), (picture(0), painted(2))
    propagator.remember(*reference)
    propagator.step(*beginning)
    last = harden(propagator.step(picture(1)))
    limit(XMemNetwork, "encode_image", GPU_ERROR, too_much=taller_than(64))
    found = propagator.step(picture(2))
    assert len(lines) == 2
    again, _ = opened(weights, memory=XMemMemory(mem_every=1), size=48)
    again.remember(*reference)
    again.step(*beginning)
    assert object_ids(last)
    again.step(picture(1), last)
    # without any of the three it is off by 1e-3
    np.testing.assert_allclose(found, again.step(picture(2)), atol=1e-4)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", ["add", "remember"])
def test_a_memory_that_was_half_written_is_made_again(
    name: str, late: bool, weights: Weights, limit: Callable[..., None]
) -> None:
    expected, propagator, lines = opened(weights)[0], *opened(weights)
    for one in (expected, propagator):
        if one is propagator:
            limit(Memory, name, CPU_ERROR, after=1, times=1, late=late)
            broken = one._walkers[0]
        one.remember(picture(9), painted(1))
        one.remember(picture(8), painted(2))
        for index in range(5):
            checked(one.step(picture(index)))
    assert lines == ["no memory left on cpu: going on in smaller pieces"]
    assert memory_usage(propagator).permanent == memory_usage(expected).permanent
    assert propagator._walkers[0] is not broken
    assert propagator._walkers[0].intact


def test_an_error_after_the_step_does_not_step_twice(
    weights: Weights, limit: Callable[..., None]
) -> None:
    propagator, lines = opened(weights, flip=True)
    propagator.step(picture(0), painted(1, 2))
    ahead = list(propagator._walkers)
    limit(XMemPropagator, "_download", GPU_ERROR, times=1)
    checked(propagator.step(picture(1)))
    assert len(lines) == 1
    assert not set(ahead) & set(propagator._walkers)
    # the first frame, the last one made again, and this one
    assert {walker.time for walker in propagator._walkers} == {3}
    assert propagator._time == 3


def test_when_nothing_is_left_to_try_it_says_so(
    weights: Weights, limit: Callable[..., None]
) -> None:
    propagator, lines = opened(weights)
    limit(XMemNetwork, "encode_image", GPU_ERROR)
    with pytest.raises(DeviceError, match="not even for the smallest size") as caught:
        propagator.step(picture(0), painted(1))
    assert "cpu" in caught.value.hint
    with pytest.raises(DeviceError, match="to describe frames"):
        propagator.frame_keys(picture(0), painted(1))
    assert [re.findall(r"with (\d+),", line) for line in lines[1:]] == [["48"], ["32"], ["16"]]


def test_a_walk_that_failed_can_be_started_again(
    weights: Weights, limit: Callable[..., None]
) -> None:
    propagator, _ = opened(weights)
    propagator.remember(picture(9), painted(1))
    full = [True]
    limit(XMemNetwork, "encode_image", GPU_ERROR, too_much=lambda *_: full[0])
    with pytest.raises(DeviceError):
        propagator.step(picture(0))
    propagator.forget_temporary()
    full[0] = False
    checked(propagator.step(picture(0)))
    assert memory_usage(propagator).permanent.elements == 2  # 16 × 22 pixels, padded
    assert len(propagator._references) == 1
    assert propagator._fit == Fit.of(SHAPE, 16)


@pytest.mark.parametrize("late", [False, True])
def test_replacing_survives_too(late: bool, weights: Weights, limit: Callable[..., None]) -> None:
    propagator, lines = opened(weights)
    for index, mask in ((9, painted(1)), (8, painted(2)), (7, painted(1, 2))):
        propagator.remember(picture(index), mask)
    limit(Memory, "forget", CPU_ERROR, times=1, late=late)
    propagator.remember(picture(8), painted(1, 2))
    assert len(lines) == 1
    remembered = propagator._walkers[0].memory.references
    assert sorted(reference.object_ids for reference in remembered) == [(1,), (1, 2), (1, 2)]
    checked(propagator.step(picture(0)))


def test_other_errors_are_not_mistaken(weights: Weights, limit: Callable[..., None]) -> None:
    propagator, lines = opened(weights)
    limit(XMemNetwork, "encode_image", RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        propagator.step(picture(0), painted(1))
    assert not lines
    assert not is_out_of_memory(ValueError("out of memory"))
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))


def test_a_real_allocation_that_fails_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_a_network_that_does_not_fit_is_a_device_error(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = XMemNetwork.to

    def full(network: XMemNetwork, *arguments: object, **named: object) -> XMemNetwork:
        if CPU in arguments:
            raise GPU_ERROR
        return to(network, *arguments, **named)

    monkeypatch.undo()
    monkeypatch.setattr(XMemNetwork, "to", full)
    with pytest.raises(DeviceError, match="no memory left for the network"):
        opened(weights)


@pytest.mark.parametrize(
    ("free_gib", "size"), [(100.0, 480), (None, 480), (3.0, None), (0.001, 16)]
)
def test_auto_takes_what_fits(
    free_gib: float | None, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = None if free_gib is None else int(free_gib * 2**30)
    monkeypatch.setattr(xmem_sizes, "free_bytes", lambda _device: free)
    memory = XMemMemory()

    def need(side: int) -> int:
        return needed_bytes(Fit.of((1080, 1920), side), num_objects=4, memory=memory, device=CPU)

    chosen, line = choose_size((1080, 1920), num_objects=4, memory=memory, device=CPU)
    assert f"{chosen} pixels" in line
    if size is None:
        assert free is not None
        assert need(chosen) <= 0.8 * free < need(chosen + 16)
    else:
        assert chosen == size


def test_the_need_is_at_least_what_memory_takes(weights: Weights) -> None:
    small = XMemMemory(
        mem_every=1,
        max_mid_term_frames=4,
        min_mid_term_frames=2,
        num_prototypes=16,
        max_long_term_elements=64,
    )
    propagator, _ = opened(weights, memory=small)
    for index in range(12):
        propagator.step(picture(index), painted(1, 2) if index == 0 else None)
    held = sum(usage.bytes for usage in memory_usage(propagator))
    more, less = (needed_bytes(Fit.of(SHAPE, -1), num_objects=2, memory=each,
    device=CPU) for each in (small, XMemMemory(
        mem_every=1, max_mid_term_frames=2, min_mid_term_frames=1, num_prototypes=1,
        max_long_term_elements=1)))  # fmt: skip
    assert held < more
    assert less < more


def test_free_memory_is_known_on_linux(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   1234 kB\n")
    assert xmem_sizes._available(tmp_path / "meminfo") == 1234 * 1024
    assert xmem_sizes._available(tmp_path / "none") is None
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert xmem_sizes._left_in_group(tmp_path) == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert xmem_sizes._left_in_group(tmp_path) is None
    if Path("/proc/meminfo").exists():
        assert 2**20 < (free_bytes(CPU) or 0) < 2**50


def test_sizes_shrink_to_the_end() -> None:
    sizes = [1080]
    while (size := smaller(sizes[-1])) is not None:
        sizes.append(size)
    assert sizes[-1] == 16
    assert all(a > b and b % 16 == 0 for a, b in itertools.pairwise(sizes))


@examples(60)
@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from([-1, 16, 64, 97]))
def test_a_fit_pads_evenly_and_finds_its_way_back(height: int, width: int, size: int) -> None:
    fit = Fit.of((height, width), size)
    left, right, top, bottom = fit.padding
    assert all(side % 16 == 0 for side in fit.padded)
    assert 0 <= right - left <= 1
    assert 0 <= bottom - top <= 1
    assert fit.size == (min(height, width) if size < 0 else size)
    flat = torch.full((height, width, 3), 77, dtype=torch.uint8)
    planes = fit.shrink_image(flat)
    assert tuple(planes.shape[2:]) == fit.padded
    assert (fit.restore_image(planes) == 77).all()
    layers = torch.zeros(1, *fit.padded)
    fit.unpad(layers)[:] = 1
    torch.testing.assert_close(fit.enlarge(layers), torch.ones(1, height, width))
    mask = torch.ones(height, width, dtype=torch.uint8)
    assert fit.shrink_mask(mask).sum() == fit.working[0] * fit.working[1]


@pytest.mark.parametrize("size", [-1, 48])
def test_flipping_makes_the_answer_symmetric(size: int, weights: Weights) -> None:
    def symmetric(index: int) -> Image:
        # an odd width in 16ths: padding is not symmetric
        half = picture(index)[:, : SHAPE[1] // 2 - 3]
        return np.concatenate([half, half[:, ::-1]], 1)

    def band(object_id: int) -> Mask:
        mask = np.zeros(symmetric(0).shape[:2], np.uint8)
        mask[20 * object_id : 20 * object_id + 12, 10:-10] = object_id
        return mask

    plain, _ = opened(weights, size=size)
    flipped, _ = opened(weights, size=size, flip=True)
    uneven = 0.0
    for propagator in (plain, flipped):
        propagator.remember(symmetric(7), band(2))
        for index in range(5):
            result = checked(
                propagator.step(symmetric(index), band(1) if index == 0 else None),
                symmetric(0).shape[:2],
            )
            if propagator is flipped:
                assert np.array_equal(result, result[:, :, ::-1])
            else:
                uneven = max(uneven, float(np.abs(result - result[:, :, ::-1]).max()))
    assert uneven > 1e-3


def test_flipping_is_the_mean_of_two_walks(weights: Weights) -> None:
    both, one, other = (opened(weights, flip=flip)[0] for flip in (True, False, False))
    both.remember(picture(9), painted(2))
    one.remember(picture(9), painted(2))
    other.remember(picture(9)[:, ::-1], painted(2)[:, ::-1])
    for index in range(4):
        mask = painted(1) if index == 2 else None
        mirrored = None if mask is None else mask[:, ::-1]
        results = (
            one.step(picture(index), mask),
            other.step(picture(index)[:, ::-1], mirrored)[:, :, ::-1],
        )
        np.testing.assert_allclose(
            both.step(picture(index), mask), (results[0] + results[1]) / 2, atol=1e-6
        )
    usage, single = memory_usage(both), memory_usage(one)
    assert usage.working.elements == 2 * single.working.elements
    assert usage.permanent.bytes == 2 * single.permanent.bytes
    both.forget_temporary()
    assert memory_usage(both).working.elements == 0


def test_index_masks_are_never_resized_up(weights: Weights) -> None:
    """A result at four times the working size has soft edges, which index masks would not give."""
    shape = (192, 256)
    propagator, _ = opened(weights, size=48)
    propagator.step(picture(0, shape), painted(1, 2, shape=shape))
    probabilities = checked(propagator.step(picture(1, shape)), shape)
    assert len(np.unique(probabilities[1])) > 1000
    blocks = probabilities[1].reshape(48, 4, 64, 4)
    assert (blocks.max(axis=(1, 3)) > blocks.min(axis=(1, 3))).mean() > 0.9


def test_a_walk_needs_an_object(network: XMemNetwork) -> None:
    walker = Walker(network, XMemMemory(), CPU)
    with pytest.raises(ValueError, match="no object has been shown yet"):
        walker.step(Fit.of(SHAPE, -1), torch.from_numpy(picture(0)), None, last=False)
    assert walker.time == 0
    assert walker.intact
