"""XMem as a propagator, with a small random network: the walk, references, sizes; and a slow walk
to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support.xmem_memory import memory_usage, next_references  # noqa: E402

from vfx_matte.errors import DeviceError  # noqa: E402
from vfx_matte.masks import Image, Mask, object_ids  # noqa: E402
from vfx_matte.propagate import Propagator, open_propagator  # noqa: E402
from vfx_matte.propagate.driver import harden  # noqa: E402
from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork, aggregate, load_network  # noqa: E402
from vfx_matte.propagate.xmem.propagator import XMemMemory, XMemPropagator  # noqa: E402

Weights = dict[str, Any]
SHAPE = (48, 64)
NEXT = XMemMemory(mem_every=1)


def random_weights(hidden: int) -> Weights:
    """A network that answers to its input: random, with louder mask channels, values and logits
    than a fresh one has.
    """
    torch.manual_seed(1)
    weights: Weights = XMemNetwork(Dimensions(key=8, value=32, hidden=hidden)).state_dict()
    weights["value_encoder.conv1.weight"][:, 3:] *= 10
    weights["decoder.pred.weight"] *= 12
    weights["decoder.pred.bias"] -= 3  # near p = 1, float32 would make noise of rounding
    return weights


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_weights(hidden=8)


@pytest.fixture(scope="module")
def stateless_weights() -> Weights:
    return random_weights(hidden=0)


def picture(index: int, shape: tuple[int, int] = SHAPE) -> Image:
    coarse = np.random.default_rng(index).integers(
        0, 256, (shape[0] // 8 + 1, shape[1] // 8 + 1, 3), np.uint8
    )
    return np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[: shape[0], : shape[1]])


def painted(*ids: int, shape: tuple[int, int] = SHAPE, shift: int = 0) -> Mask:
    """One upright bar per object, side by side."""
    mask, width = np.zeros(shape, np.uint8), shape[1] // (max(ids, default=0) + 1)
    for object_id in ids:
        mask[
            shape[0] // 4 : -shape[0] // 4,
            (object_id - 1) * width + shift : object_id * width + shift,
        ] = object_id
    return mask


def opened(
    weights: Weights, num_objects: int = 2, *, size: int = -1, memory: XMemMemory = NEXT
) -> XMemPropagator:
    propagator = open_propagator(
        "xmem", num_objects=num_objects, weights=weights, size=size, memory=memory
    )
    assert isinstance(propagator, XMemPropagator)
    return propagator


def walk(
    propagator: XMemPropagator, count: int, masks: Mapping[int, Mask] | None = None
) -> np.ndarray:
    given = masks or {}
    return np.stack(
        [
            propagator.step(picture(index), given.get(index), index == count - 1)
            for index in range(count)
        ]
    )


def slow_walk(
    weights: Weights,
    count: int,
    masks: Mapping[int, Mask],
    options: XMemMemory,
    *,
    permanent: bool,
    num_objects: int,
) -> np.ndarray:
    """One step after the other as the papers have it, for objects known from the start; no
    long-term memory, no blocks.
    """
    network = load_network(weights)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    bank: list[tuple[Any, Any, Any]] = []
    hidden = torch.zeros(num_objects, network.dimensions.hidden, SHAPE[0] // 16, SHAPE[1] // 16)
    state = hidden if network.dimensions.hidden else None
    last_memory, last_deep, results = 0, -options.deep_update_every, []

    def seen(index: int) -> tuple[Any, ...]:
        image = ((torch.from_numpy(picture(index)) / 255 - mean) / deviation).permute(2, 0, 1)[None]
        return image, *network.encode_image(image)

    def onehot(mask: Mask) -> torch.Tensor:
        return torch.stack([torch.from_numpy(mask == k).float() for k in range(1, num_objects + 1)])

    with torch.inference_mode():
        for index in masks if permanent else ():
            image, keys, features = seen(index)
            bank.append(
                (
                    keys.key,
                    keys.shrinkage,
                    network.encode_value(image, features.f16, aggregate(onehot(masks[index]))[1:]),
                )
            )
        for index in range(count):
            last, mask = index == count - 1, masks.get(index)
            given = object_ids(mask) if mask is not None else ()
            image, keys, features = seen(index)
            remembers = not last and (bool(given) or index - last_memory >= options.mem_every)
            due = (
                index - last_deep >= options.deep_update_every
                if options.deep_update_every >= 0
                else remembers
            )
            objects = None
            if (index > 0 or permanent) and len(given) < num_objects:
                key, shrinkage, values = (
                    torch.cat([entry[part] for entry in bank], 3).flatten(2) for part in range(3)
                )
                distance = (
                    key[0, :, :, None] - keys.key.flatten(2)[0, :, None]
                ).square() * keys.selection.flatten(2)[0, :, None]
                similarity = -distance.sum(0) * shrinkage[0, 0, :, None] / np.sqrt(8)
                best = similarity.topk(min(options.top_k, len(similarity)), 0)
                affinity = torch.zeros_like(similarity).scatter(
                    0, best.indices, torch.softmax(best.values, 0)
                )
                readout = (values @ affinity).reshape(num_objects, -1, *keys.key.shape[2:])
                ordinary = not last and (options.deep_update_every >= 0 or not (due and remembers))
                probabilities, state = network.decode(features, readout, state, update=ordinary)
                objects = probabilities[1:]
            if mask is not None:
                layers = onehot(mask)
                for k in range(num_objects):
                    if k + 1 not in given:
                        layers[k] = objects[k] * torch.from_numpy(mask == 0)
                probabilities = aggregate(layers)
            if remembers:
                last_memory = index
                value = network.encode_value(image, features.f16, probabilities[1:])
                if not (permanent and mask is not None):
                    bank.append((keys.key, keys.shrinkage, value))
                if due:
                    state, last_deep = network.reinforce(value, state), index
            results.append(probabilities.numpy())
    return np.stack(results)


@pytest.mark.parametrize(
    ("memory", "masks", "num_objects", "permanent"),
    [
        ({"mem_every": 2}, {0: painted(1, 2)}, 2, False),
        (
            {"mem_every": 1, "deep_update_every": 2},
            {0: painted(1, 2, 3), 3: painted(1, 2, 3, shift=3)},
            3,
            False,
        ),
        (
            {"mem_every": 3, "deep_update_every": 1, "top_k": 5},
            {0: painted(1, 2, 3), 4: painted(2)},
            3,
            False,
        ),
        ({"mem_every": 2}, {0: painted(*range(1, 13)), 3: painted(2, 11)}, 12, False),
        ({"mem_every": 2}, {3: painted(1, 2), 5: painted(1, 2, shift=2)}, 2, True),
    ],
)
def test_a_walk_is_what_the_papers_say(
    memory: dict[str, int],
    masks: dict[int, Mask],
    num_objects: int,
    permanent: bool,
    weights: Weights,
) -> None:
    options = XMemMemory(**memory, long_term=False)
    propagator = opened(weights, num_objects, memory=options)
    for index, mask in masks.items() if permanent else ():
        propagator.remember(picture(index), mask)
    expected = slow_walk(weights, 8, masks, options, permanent=permanent, num_objects=num_objects)
    found = walk(propagator, 8, masks)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert found[-1].std() > 0.01  # something is there to be compared


def test_a_network_without_hidden_state_walks_too(stateless_weights: Weights) -> None:
    options = XMemMemory(mem_every=2, long_term=False)
    masks = {0: painted(1, 2)}
    propagator = opened(stateless_weights, memory=options)
    expected = slow_walk(stateless_weights, 6, masks, options, permanent=False, num_objects=2)
    np.testing.assert_allclose(walk(propagator, 6, masks), expected, atol=2e-4)
    assert memory_usage(propagator).sensory.bytes == 0


@pytest.mark.parametrize("size", [-1, 32])
@pytest.mark.parametrize("shape", [(17, 40), (50, 75), (96, 128)])
def test_given_masks_come_back_exactly_at_source_size(
    shape: tuple[int, int], size: int, weights: Weights
) -> None:
    propagator = opened(weights, size=size)
    assert isinstance(propagator, Propagator)
    mask = painted(1, 2, shape=shape)
    propagator.remember(picture(0, shape), mask)
    for index in range(3):
        given = mask if index != 1 else None
        probabilities = propagator.step(picture(index, shape), given)
        assert probabilities.shape == (3, *shape)
        assert probabilities.dtype == np.float32
        assert probabilities.min() >= 0
        np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
        if given is not None:
            assert np.array_equal(harden(probabilities), mask)
    only = np.where(mask == 1, mask, 0).astype(np.uint8)
    assert np.array_equal(harden(propagator.step(picture(3, shape), only)) == 1, mask == 1)


def test_a_given_shape_wins_over_a_certain_prediction(weights: Weights) -> None:
    certain = {**weights, "decoder.pred.bias": torch.full((1,), 50.0)}  # every object everywhere
    for size in (-1, 32):
        propagator = opened(certain, size=size)
        propagator.step(picture(0), painted(1, 2))
        mask = painted(2, shift=-20)
        probabilities = propagator.step(picture(1), mask)
        assert probabilities[2][mask == 2].min() > 0.99
        assert probabilities[2][mask == 0].max() < 0.01


def test_the_order_of_references_makes_no_difference(weights: Weights) -> None:
    references = {0: painted(1), 3: painted(2, 3), 5: painted(), 6: painted(1, 3)}
    results = []
    for order in ([0, 3, 5, 6], [5, 6, 3, 0]):
        propagator = opened(weights, 3)
        for index in order:
            propagator.remember(picture(index), references[index])
        results.append(walk(propagator, 4))
    assert np.array_equal(*results)


def test_a_reference_may_be_replaced(weights: Weights) -> None:
    clean, changed = opened(weights, 3), opened(weights, 3)
    clean.remember(picture(0), painted(1, 2))
    clean.remember(picture(9), painted(3))
    for index, mask in ((0, painted(2, 3)), (9, painted(1, 3)), (9, painted(3))):
        changed.remember(picture(index), mask)
    changed.remember(picture(0), painted(1, 2))
    remembered = changed._walkers[0].memory.references
    assert {reference.object_ids for reference in remembered} == {(1, 2), (3,)}
    assert np.array_equal(walk(changed, 3), walk(clean, 3))
    assert memory_usage(changed).permanent.elements == 2 * 12


def test_an_empty_reference_says_that_nothing_is_here(weights: Weights) -> None:
    results = []
    for empty in (False, True):
        propagator = opened(weights)
        if empty:
            propagator.remember(picture(1), painted())
            with pytest.raises(ValueError, match="no object has been shown"):
                propagator.step(picture(1))
        propagator.remember(picture(0), painted(1, 2))
        results.append(propagator.step(picture(1)))
    assert not np.allclose(*results, atol=1e-3)


def test_a_mask_on_a_remembered_frame_is_not_added_again(weights: Weights) -> None:
    propagator = opened(weights)
    propagator.remember(picture(0), painted(1))
    propagator.step(picture(0), painted(1))
    assert memory_usage(propagator).working.elements == 0
    propagator.step(picture(0), painted(1, 2))  # shows an object that the reference does not
    assert memory_usage(propagator).working.elements == 12
    propagator.step(picture(1), painted(1))
    assert memory_usage(propagator).working.elements == 24


def test_objects_may_come_late_and_be_many(weights: Weights) -> None:
    propagator = opened(weights, 12)
    assert object_ids(harden(propagator.step(picture(0), painted(3, 12)))) == (3, 12)
    probabilities = propagator.step(picture(1))
    assert set(np.flatnonzero(probabilities.max(axis=(1, 2)) > 0)) <= {0, 3, 12}
    propagator.step(picture(2), painted(*range(1, 12)))
    assert (propagator.step(picture(3)).max(axis=(1, 2)) > 0).all()
    assert memory_usage(propagator).sensory.elements == 12 * 12


def test_a_walk_can_be_started_again_and_memory_stays_bounded(weights: Weights) -> None:
    small = XMemMemory(
        1, num_prototypes=8, min_mid_term_frames=1, max_mid_term_frames=2, max_long_term_elements=20
    )
    propagator = opened(weights, memory=small)
    first = walk(propagator, 12, {0: painted(1, 2)})
    usage = memory_usage(propagator)
    assert usage.long_term.elements <= 20
    assert usage.working.elements < 2 * 12
    propagator.forget_temporary()
    assert memory_usage(propagator).working.elements == 0
    assert np.array_equal(walk(propagator, 12, {0: painted(1, 2)}), first)
    propagator.forget_temporary()
    # another clip
    assert propagator.step(picture(0, (32, 32)), painted(1, shape=(32, 32))).shape == (
        3,
        32,
        32,
    )


def test_half_precision_computes_nearly_the_same(weights: Weights) -> None:
    results = []
    for autocast in (False, True):
        propagator = XMemPropagator(num_objects=2, weights=weights, size=-1, autocast=autocast)
        propagator.remember(picture(0), painted(1, 2))
        results.append(propagator.step(picture(1)))
        assert results[-1].dtype == np.float32
    np.testing.assert_allclose(*results, atol=0.1)


def test_wrong_input_is_refused(weights: Weights) -> None:
    propagator = opened(weights, 1)
    with pytest.raises(ValueError, match="at most 1"):
        propagator.step(picture(0), painted(2))
    with pytest.raises(ValueError, match=r"expected uint8 \(48, 64\)"):
        propagator.remember(picture(0), painted(1)[:32])
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        propagator.step(picture(0)[..., 0])
    propagator.remember(picture(0), painted(1))
    with pytest.raises(ValueError, match=r"but the clip is \(48, 64\)"):
        propagator.step(picture(0, (32, 32)))
    for wrong in ({"num_objects": 0}, {"num_objects": 256}, {"num_objects": 1, "size": 0}):
        with pytest.raises(ValueError, match=r"is \d+, expected"):
            open_propagator("xmem", weights=weights, **wrong)
    with pytest.raises(DeviceError, match="'teapot' is unknown"):
        open_propagator("xmem", num_objects=1, weights=weights, device="teapot")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no NVIDIA GPU"):
            open_propagator("xmem", num_objects=1, weights=weights, device="cuda")


def test_the_next_reference_is_the_frame_that_is_least_like_the_others(weights: Weights) -> None:
    propagator = opened(weights)
    masks = [painted(1, 2), painted(1, 2), painted(1), painted(), painted(2)]
    # 0 and 1 are one image
    frames = [(picture(max(1, index)), mask) for index, mask in enumerate(masks)]
    keys = [propagator.frame_keys(image, mask) for image, mask in frames]

    def dissimilarity(index: int, other: int) -> float:
        (k1, s1, e1), (k2, s2, e2) = (
            (
                rows.key.double() * (0.5 + 0.5 * one.presence),
                rows.shrinkage.double(),
                rows.selection.double(),
            )
            for one in (keys[index], keys[other])
            for rows in (one.rows,)
        )
        gap = (k2[:, None] - k1[None]).square()  # (memory, query) = (other, index)
        there = -(gap * e1[None]).sum(2) * s2
        back = -((k1[:, None] - k2[None]).square() * e2[None]).sum(2) * s1
        return float(torch.relu(there - back).mean())

    distances = {index: dissimilarity(index, 0) for index in (1, 2, 4)}
    first = max(distances, key=lambda index: distances[index])
    rest = {
        index: min(distances[index], dissimilarity(index, first))
        for index in distances
        if index != first
    }
    second = max(rest, key=lambda index: rest[index])
    assert next_references(propagator, frames, previous=[0], count=2) == [first, second]
    chosen = next_references(propagator, frames, previous=[0], count=9)
    assert sorted(chosen) == [1, 2, 4]  # the empty frame is no candidate, the chosen one not again
    assert chosen[-1] == 1 or distances[1] > 0
    alike = [frames[0]] * 4
    assert next_references(propagator, alike, previous=[1], count=2) == [0, 2]
    for wrong in ({"previous": [], "count": 1}, {"previous": [0], "count": 0}):
        with pytest.raises(ValueError, match="expected at least"):
            next_references(propagator, frames, **wrong)
