"""XMem's network: names, loading, and the blocks against plain formulas.

No published weights are needed.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from vfx_matte.errors import PropagatorError  # noqa: E402
from vfx_matte.propagate.xmem import network as xmem_network  # noqa: E402
from vfx_matte.propagate.xmem.network import (  # noqa: E402
    Dimensions,
    XMemNetwork,
    aggregate,
    load_network,
    with_others,
)

Tensors = dict[str, Any]


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    """A state dict of small dimensions; what is in it does not matter here."""
    with torch.device("meta"):
        network = XMemNetwork(Dimensions(key=16, value=32, hidden=8))
    return {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype)
        for name, tensor in network.state_dict().items()
    }


def test_the_published_network_has_412_tensors_and_62_million_parameters() -> None:
    with torch.device("meta"):
        network = XMemNetwork(Dimensions())
    assert len(network.state_dict()) == 412
    assert sum(parameter.numel() for parameter in network.parameters()) == 62_185_224


def test_dimensions_are_read_from_the_weights(tensors: Tensors) -> None:
    assert load_network(tensors).dimensions == Dimensions(key=16, value=32, hidden=8)
    with torch.device("meta"):
        plain = XMemNetwork(Dimensions(key=8, value=16, hidden=0))
    stateless = {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype)
        for name, tensor in plain.state_dict().items()
    }
    assert not any("hidden" in name for name in stateless)
    assert load_network(stateless).dimensions == Dimensions(key=8, value=16, hidden=0)


def test_weights_of_single_object_training_are_extended_with_zeros(tensors: Tensors) -> None:
    four = torch.randn(64, 4, 7, 7)
    network = load_network({**tensors, "value_encoder.conv1.weight": four})
    assert torch.equal(
        network.value_encoder.conv1.weight, torch.cat([four, torch.zeros(64, 1, 7, 7)], 1)
    )


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


def replaced(name: str, *shape: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: torch.zeros(shape)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without("key_encoder.layer3.5.bn3.running_var"),
            r"'key_encoder.layer3.5.bn3.running_var' \(1024,\) is missing",
        ),
        (
            without("decoder.hidden_update.transform.weight"),
            r"'decoder.hidden_update.transform.weight' .* is missing",
        ),
        (without("key_proj.key_proj.weight"), r"'key_proj.key_proj.weight' .* is missing"),
        (
            replaced("key_encoder.conv1.weight", 64, 3, 3, 3),
            r"'key_encoder.conv1.weight' is \(64, 3, 3, 3\), expected",
        ),
        (
            replaced("value_encoder.conv1.weight", 64, 6, 7, 7),
            r"'value_encoder.conv1.weight' is \(64, 6, 7, 7\), expected",
        ),
        (replaced("fc.weight", 10), r"'fc.weight' is not part of XMem"),
        (lambda _: {"epoch": 3}, r"'key_encoder.conv1.weight' \(64, 3, 7, 7\) is missing"),
    ],
)
def test_the_first_tensor_that_differs_is_named(
    change: Callable[[Tensors], Tensors], message: str, tensors: Tensors
) -> None:
    with pytest.raises(PropagatorError, match=message):
        load_network(change(tensors))


class _Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_files_that_are_not_weights_are_refused(tmp_path: Path, tensors: Tensors) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(PropagatorError, match="there are no XMem weights"):
        load_network(path)
    for content in (b"", b"no weights", pickle.dumps({"a": 1}, protocol=2)):
        path.write_bytes(content)
        with pytest.raises(
            PropagatorError, match=r"weights\.pth is not a file of PyTorch weights|is missing"
        ):
            load_network(path)
    torch.save(tensors["key_proj.d_proj.weight"], path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(PropagatorError, match="is not a file of PyTorch weights"):
        load_network(path)
    torch.save(_Evil(tmp_path / "touched"), path)
    with pytest.raises(PropagatorError, match="is not a file of PyTorch weights"):
        load_network(path)
    assert not (tmp_path / "touched").exists()
    torch.save([1, 2], path)
    with pytest.raises(PropagatorError, match="holds a list"):
        load_network(str(path))
    torch.save({name: tensor.half() for name, tensor in tensors.items()}, path)
    assert load_network(path).decoder.pred.weight.dtype == torch.float32


def test_aggregation_is_the_softmax_of_the_logits() -> None:
    objects = torch.tensor([[0.0, 1.0, 0.3, 0.9], [0.0, 0.0, 0.3, 0.8]], dtype=torch.float64)[
        :, None
    ]
    everything = torch.cat([(1 - objects[0:1]) * (1 - objects[1:2]), objects]).clamp(1e-7, 1 - 1e-7)
    expected = torch.softmax(torch.logit(everything), 0)
    torch.testing.assert_close(aggregate(objects), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_object_is_seen_beside_the_sum_of_the_others(count: int) -> None:
    objects = torch.rand(count, 4, 6)
    pairs = with_others(objects)
    for index in range(count):
        assert torch.equal(pairs[index, 0], objects[index])
        others = sum(
            (objects[other] for other in range(count) if other != index), torch.zeros(4, 6)
        )
        torch.testing.assert_close(pairs[index, 1], others)


def test_a_residual_block_shares_the_frames_part_of_its_convolutions() -> None:
    block = xmem_network.GroupResBlock(5 + 3, 4)
    frame, g = torch.randn(1, 5, 6, 7), torch.randn(2, 3, 6, 7)
    together = torch.cat([frame.expand(2, -1, -1, -1), g], 1)
    with torch.no_grad():
        expected = block.downsample(together) + block.conv2(
            torch.relu(block.conv1(torch.relu(together)))
        )
        torch.testing.assert_close(block(g, frame), expected, rtol=1e-5, atol=1e-5)


def test_the_hidden_update_forgets_and_renews() -> None:
    update = xmem_network.HiddenUpdate(2, 3)
    g, hidden = torch.randn(2, 2, 4, 5), torch.randn(2, 3, 4, 5)
    with torch.no_grad():
        values = update.transform(torch.cat([g, hidden], 1))
        forget, gate, new = values[:, :3].sigmoid(), values[:, 3:6].sigmoid(), values[:, 6:].tanh()
        torch.testing.assert_close(update(g, hidden), forget * hidden * (1 - gate) + gate * new)


def test_objects_in_several_batches_are_the_same_objects() -> None:
    torch.manual_seed(0)
    network = XMemNetwork(Dimensions(key=4, value=16, hidden=4)).eval()
    image, objects = torch.randn(1, 3, 32, 48), torch.rand(3, 32, 48)
    results = []
    with torch.inference_mode():
        _, features = network.encode_image(image)
        for pixels in (2**23, 1, 32 * 48 * 2):
            network.pixels_at_once = pixels
            value = network.encode_value(image, features.f16, objects)
            hidden = network.reinforce(
                value, torch.randn(3, 4, 2, 3, generator=torch.Generator().manual_seed(1))
            )
            results.append((value, *network.decode(features, value, hidden, update=True)))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-4, atol=1e-5)
    assert results[0][1].shape == (4, 32, 48)
