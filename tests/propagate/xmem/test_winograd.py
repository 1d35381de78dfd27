"""XMem's convolutions made quick: folded batch normalisation and Winograd's filtering, against
plain ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from vfx_matte.propagate.xmem import winograd as xmem_convolution  # noqa: E402
from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork, load_network  # noqa: E402
from vfx_matte.propagate.xmem.winograd import WinogradConvolution, prepare, transforms  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def even_one_tile() -> Iterator[None]:
    """No image is too small here."""
    least, xmem_convolution._LEAST_TILES = xmem_convolution._LEAST_TILES, 1
    yield
    xmem_convolution._LEAST_TILES = least


@settings(max_examples=25)
@given(st.integers(1, 2), st.integers(1, 19), st.integers(1, 23), st.integers(0, 2**31))
def test_winograds_convolution_is_a_convolution(
    count: int, height: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    plain = torch.nn.Conv2d(8, 6, 3, padding=1)
    quick = WinogradConvolution(plain)
    x = torch.randn(count, 8, height, width)
    with torch.inference_mode():
        split = quick(x[:, 3:], x[:1, :3])
        shared = torch.cat([x[:1, :3].expand(count, -1, -1, -1), x[:, 3:]], 1)
        found = quick(x)
        assert (quick.filters is not None) == (count * height * width >= 16)
        exact = plain.double()
        np.testing.assert_allclose(found, exact(x.double()), atol=2e-5)
        np.testing.assert_allclose(split, exact(shared.double()), atol=2e-5)


def test_winograds_convolution_errs_by_last_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(256, 128, 3, padding=1)
    x = torch.randn(1, 256, 30, 42).relu()
    with torch.inference_mode():
        found = WinogradConvolution(plain)(x)
        monkeypatch.setattr(xmem_convolution, "_BLOCK_ELEMENTS", 1)
        in_rows = WinogradConvolution(plain)(x)
        exact = plain.double()(x.double())
    error = (found - exact).square().mean().sqrt() / exact.std()
    assert error < 2e-6
    torch.testing.assert_close(in_rows, found, rtol=1e-4, atol=1e-5)


def test_winograds_matrices_are_exact() -> None:
    output, filters, inputs = transforms()
    d, g = torch.randn(6, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    expected = torch.stack([d[i : i + 3] @ g for i in range(4)])
    torch.testing.assert_close(
        output @ ((filters @ g) * (inputs @ d)), expected, rtol=1e-12, atol=1e-12
    )


def test_a_prepared_network_computes_the_same() -> None:
    torch.manual_seed(1)
    weights = XMemNetwork(Dimensions(key=8, value=16, hidden=8)).state_dict()
    varied = {
        name: torch.rand_like(tensor) + 0.5
        if name.endswith(("running_var", "bn1.weight"))
        else tensor
        for name, tensor in weights.items()
    }
    varied |= {
        name: torch.randn_like(varied[name]) / 9 for name in varied if name.endswith("running_mean")
    }
    plain, quick = load_network(varied), load_network(varied)
    prepare(quick, winograd=True)
    kinds = [
        type(module) for part in (quick.value_encoder, quick.decoder) for module in part.modules()
    ]
    assert torch.nn.BatchNorm2d not in kinds
    assert kinds.count(WinogradConvolution) == 12  # all of the decoder's
    assert all(
        type(one) is type(other)
        for one, other in zip(plain.key_encoder.modules(), quick.key_encoder.modules(), strict=True)
    )
    image, objects = torch.randn(1, 3, 48, 64), torch.rand(2, 48, 64)
    results = []
    for network in (plain, quick):
        with torch.inference_mode():
            keys, features = network.encode_image(image)
            value = network.encode_value(image, features.f16, objects)
            hidden = network.reinforce(value, torch.ones(2, 8, 3, 4))
            results.append(
                (*keys, *features, value, *network.decode(features, value, hidden, update=True))
            )
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    assert set(load_network(varied).state_dict()) == set(weights)
