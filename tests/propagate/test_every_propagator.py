"""One conformance suite over every propagator, and how propagators are chosen."""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_sam import NO_EDGETAM, NO_SAM2, save_tiny
from support.wording import typed

from vfx_matte.errors import PropagatorError, UsageError
from vfx_matte.masks import Image, Mask, object_ids
from vfx_matte.propagate import Propagator, choose_propagator, open_propagator
from vfx_matte.propagate.builtin.propagator import working_shape
from vfx_matte.propagate.driver import harden
from vfx_matte.propagate.entry import PropagatorEntry
from vfx_matte.segment_anything import EDGETAM, SAM2

SIZES = [(9, 12), (16, 16), (17, 40), (96, 128), (480, 640)]


def textured(shape: tuple[int, int], seed: int, base: tuple[int, int, int]) -> Image:
    noise = np.random.default_rng(seed).integers(-25, 25, (shape[0] // 4 + 1, shape[1] // 4 + 1, 3))
    noise = noise.repeat(4, axis=0).repeat(4, axis=1)[: shape[0], : shape[1]]
    return np.clip(noise + np.array(base), 0, 255).astype(np.uint8)


def scene(shape: tuple[int, int], shift: int = 0) -> tuple[Image, Mask]:
    """Two textured blocks, ids 1 and 2, on a textured ground; the first one moves right by `shift`
    pixels.
    """
    height, width = shape
    image, mask = textured(shape, 0, (60, 90, 60)), np.zeros(shape, np.uint8)
    blocks = [
        (1, height // 8, width // 8 + shift, (190, 60, 50)),
        (2, height // 2, width // 2, (60, 80, 200)),
    ]
    for object_id, top, left, color in blocks:
        side_y, side_x = int(height * 0.35), int(width * 0.3)
        image[top : top + side_y, left : left + side_x] = textured(
            (side_y, side_x), object_id, color
        )
        mask[top : top + side_y, left : left + side_x] = object_id
    return image, mask


FAMILIES = {"sam2": SAM2, "edgetam": EDGETAM}
HAS_TORCH = importlib.util.find_spec("torch") is not None
# with random weights they keep every promise, but recognise nothing
UNTRAINED = ("xmem", "sam2", "edgetam")


@pytest.fixture(
    params=[
        "builtin",
        "fake",
        pytest.param("xmem", marks=pytest.mark.skipif(not HAS_TORCH, reason="no PyTorch")),
        pytest.param("sam2", marks=pytest.mark.skipif(NO_SAM2, reason="no transformers")),
        pytest.param("edgetam", marks=pytest.mark.skipif(NO_EDGETAM, reason="no timm")),
    ]
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@functools.cache
def random_weights() -> dict[str, Any]:
    """XMem weights of few key and value channels; the logits are loud enough to decide
    something.
    """
    import torch

    from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork

    torch.manual_seed(1)
    weights: dict[str, Any] = XMemNetwork(Dimensions(key=8, value=16, hidden=8)).state_dict()
    weights["decoder.pred.weight"] *= 12
    return weights


@functools.cache
def tiny_folder(name: str) -> Path:
    return save_tiny(name, Path(tempfile.mkdtemp()) / name)


def opened_empty(name: str, num_objects: int = 2) -> Propagator:
    options: dict[str, Any] = {}
    if name == "xmem":
        options = {"weights": random_weights(), "size": 96}
    elif name in UNTRAINED:
        options = {"weights": tiny_folder(name), "device": "cpu", "family": FAMILIES[name]}
    return open_propagator(name, num_objects=num_objects, **options)


def opened(name: str, image: Image, mask: Mask, num_objects: int = 2) -> Propagator:
    propagator = opened_empty(name, num_objects)
    propagator.remember(image, mask)
    return propagator


@pytest.mark.parametrize("shape", [*SIZES[:-1], pytest.param(SIZES[-1], marks=pytest.mark.slow)])
def test_given_mask_comes_back_and_a_still_clip_keeps_it(name: str, shape: tuple[int, int]) -> None:
    image, mask = scene(shape)
    propagator = opened(name, image, mask)
    assert isinstance(propagator, Propagator)
    assert propagator.num_objects == 2
    for index in range(6):
        probabilities = propagator.step(image, mask if index == 0 else None, last=index == 5)
        assert probabilities.shape == (3, *shape)
        assert probabilities.dtype == np.float32
        assert probabilities.min() >= 0
        np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
        if index == 0:
            assert np.array_equal(harden(probabilities), mask)
    found = harden(probabilities)
    for object_id in () if name in UNTRAINED else (1, 2):
        both = np.count_nonzero((found == object_id) & (mask == object_id))
        assert both / np.count_nonzero((found == object_id) | (mask == object_id)) > 0.9


def test_the_same_calls_give_the_same_result(name: str) -> None:
    runs = []
    for _ in range(2):
        image, mask = scene((64, 80))
        propagator = opened(name, image, mask)
        propagator.step(image, mask)
        runs.append(propagator.step(scene((64, 80), shift=2)[0]))
    np.testing.assert_allclose(*runs, atol=1e-5)


def test_permuted_ids_permute_the_result(name: str) -> None:
    swap = np.array([0, 2, 1], np.uint8)
    results = []
    for order in (np.arange(3, dtype=np.uint8), swap):
        image, mask = scene((96, 128))
        propagator = opened(name, image, order[mask])
        propagator.step(image, order[mask])
        for shift in (2, 4):
            probabilities = propagator.step(scene((96, 128), shift=shift)[0])
        results.append(probabilities)
    np.testing.assert_allclose(results[0], results[1][[0, 2, 1]], atol=1e-3)


def test_an_empty_mask_is_no_mask(name: str) -> None:
    image, mask = scene((64, 80))
    empty = np.zeros_like(mask)
    propagator = opened_empty(name)
    propagator.remember(image, empty)
    for given in (None, empty):
        with pytest.raises(ValueError, match="no object has been shown"):
            propagator.step(image, given)
    propagator.remember(image, mask)
    propagator.step(image, mask)
    found = object_ids(harden(propagator.step(image, empty)))
    assert found == (1, 2) or name in UNTRAINED


def test_objects_that_a_mask_lacks_are_predicted(name: str) -> None:
    image, mask = scene((96, 128))
    propagator = opened(name, image, mask)
    propagator.step(image, mask)
    only_first = np.where(mask == 1, mask, 0).astype(np.uint8)
    found = harden(propagator.step(image, only_first))
    assert np.array_equal(found == 1, mask == 1)
    assert (
        np.count_nonzero((found == 2) & (mask == 2)) > 0.9 * np.count_nonzero(mask == 2)
        or name in UNTRAINED
    )


def test_a_new_object_may_come_with_a_later_mask(name: str) -> None:
    image, mask = scene((96, 128))
    only_first = np.where(mask == 1, mask, 0).astype(np.uint8)
    propagator = opened_empty(name)
    assert object_ids(harden(propagator.step(image, only_first))) == (1,)
    second = propagator.step(image)
    assert second[2].max() == 0
    assert object_ids(harden(second)) == (1,) or name in UNTRAINED
    propagator.step(image, mask)
    third = propagator.step(image)
    assert third[2].max() > 0
    assert object_ids(harden(third)) == (1, 2) or name in UNTRAINED


def test_forget_temporary_ends_the_walk_but_keeps_references(name: str) -> None:
    image, mask = scene((64, 80))
    propagator = opened(name, image, mask)
    first = [propagator.step(image, mask), propagator.step(scene((64, 80), shift=3)[0])]
    propagator.forget_temporary()
    # a propagator may find objects by its references
    found = object_ids(harden(propagator.step(image)))
    assert found in ((), (1, 2)) or name in UNTRAINED
    propagator.forget_temporary()
    again = [propagator.step(image, mask), propagator.step(scene((64, 80), shift=3)[0])]
    for before, after in zip(first, again, strict=True):
        np.testing.assert_allclose(before, after, atol=1e-5)


def test_wrong_input_is_refused(name: str) -> None:
    image, mask = scene((64, 80))
    propagator = opened_empty(name, 1)
    with pytest.raises(ValueError, match=r"up to 1|at most 1"):
        propagator.step(image, mask)
    with pytest.raises(ValueError, match=r"expected uint8 \(64, 80\)"):
        propagator.remember(image, mask[:32])
    with pytest.raises(ValueError, match="num_objects is 0"):
        opened_empty(name, 0)


def test_builtin_follows_a_moving_object_and_lets_go_of_one_that_is_covered() -> None:
    image, mask = scene((96, 128))
    propagator = opened("builtin", image, mask)
    propagator.step(image, mask)
    for shift in range(2, 22, 2):
        image, truth = scene((96, 128), shift=shift)
        found = harden(propagator.step(image))
    assert np.count_nonzero((found == 1) & (truth == 1)) > 0.85 * np.count_nonzero(
        (found == 1) | (truth == 1)
    )
    ground = textured((96, 128), 0, (60, 90, 60))
    for _ in range(12):
        found = harden(propagator.step(ground))
    assert np.count_nonzero(found) < 0.2 * np.count_nonzero(truth)


def test_builtin_refuses_a_change_of_size_and_other_dtypes() -> None:
    image, mask = scene((64, 80))
    propagator = opened("builtin", image, mask)
    with pytest.raises(ValueError, match=r"image is \(32, 80\), but the clip is \(64, 80\)"):
        propagator.step(image[:32])
    with pytest.raises(ValueError, match="image is float64"):
        propagator.step(image / 255)  # type: ignore[arg-type]


def test_builtin_follows_an_object_that_fills_the_frame_and_one_of_a_single_pixel() -> None:
    image, _ = scene((32, 32))
    for mask in (np.ones((32, 32), np.uint8), np.pad(np.ones((1, 1), np.uint8), (15, 16))):
        propagator = opened("builtin", image, mask, num_objects=1)
        assert np.array_equal(harden(propagator.step(image, mask)), mask)
        assert np.isfinite(propagator.step(image)).all()


def test_working_shape_is_bounded_and_never_larger() -> None:
    assert working_shape((480, 854)) == (240, 427)
    assert working_shape((16, 20)) == (16, 20)
    assert working_shape((2160, 4096)) == (232, 441)
    assert working_shape((20, 100_000))[0] == 16


def test_open_propagator_names_what_there_is() -> None:
    with pytest.raises(UsageError, match="unknown propagator 'magic'") as caught:
        open_propagator("magic", num_objects=1)
    assert caught.value.hint == "choose one of builtin, xmem, sam2, edgetam"


def test_a_propagator_whose_packages_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_torch(_name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("importlib.import_module", no_torch)
    with pytest.raises(PropagatorError, match="XMem propagator needs torch") as caught:
        open_propagator("xmem", num_objects=1)
    assert "pip install -e '.[xmem]'" in caught.value.hint
    assert "--propagator builtin" in typed(caught.value.hint)
    assert choose_propagator(None, weights_at(tmp_path)).entry.name == "builtin"


def weights_at(path: Path) -> Callable[[PropagatorEntry], Any]:
    return lambda entry: entry.chosen({"weights": path})


@pytest.mark.parametrize(
    ("lacking", "chosen", "says"),
    [
        ("torch", "builtin", "needs PyTorch"),
        ("weights", "builtin", "XMem.pth: vfx-matte weights fetch"),
        ("nothing", "xmem", "--propagator builtin"),
    ],
)
def test_choose_propagator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lacking: str, chosen: str, says: str
) -> None:
    path = tmp_path / "XMem.pth"
    if lacking != "weights":
        path.touch()
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == lacking else object()
    )
    decision = choose_propagator(None, weights_at(path))
    assert decision.entry.name == chosen
    assert says in typed(str(decision))
    assert choose_propagator("xmem", weights_at(path)).entry.name == "xmem"


def test_the_room_opens_without_heavy_imports() -> None:
    code = (
        "import sys, vfx_matte.propagate; print([m for m in sys.modules if m.split('.')[0] in"
        " ('torch', 'numpy', 'cv2') or m.endswith(('driver', 'walk', '.propagator'))])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert answer.strip() == "[]"
