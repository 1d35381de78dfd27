"""Folders of networks as `save_pretrained` leaves them: found, read without a network connection,
and pictures prepared as the library's own processors do.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from vfx_matte.errors import DeviceError, UsageError, WeightsError
from vfx_matte.pretrained import (
    Preprocessing,
    computing,
    load_network,
    network_folder,
    read_preprocessing,
    require_packages,
    torch_device,
)

needs_network = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
    reason="transformers or torch is not installed",
)
needs_processors = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torchvision", "transformers")),
    reason="transformers or torchvision is not installed",
)
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
CLASS, TITLE = "ResNetForImageClassification", "a ResNet"


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("网络") / "resnet"
    config = ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], num_labels=2)
    ResNetForImageClassification(config).half().save_pretrained(folder)
    return folder


@needs_network
def test_a_network_is_read_in_float32_and_ready_to_be_asked(
    resnet: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    network = load_network(resnet, CLASS, title=TITLE, model_types=("resnet",))
    assert not network.training
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert not any(value.requires_grad for value in network.parameters())
    with computing(torch_device("cpu"), title="it", hint=""):
        scores = network(torch.zeros(1, 3, 32, 32)).logits
    assert scores.dtype == torch.float32
    assert not scores.requires_grad
    assert capfd.readouterr() == ("", "")


@needs_network
def test_another_network_is_named_with_what_was_expected(resnet: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"says model_type 'resnet', expected sam2 or sam2_video"
    ):
        load_network(resnet, "Sam2Model", title="SAM 2", model_types=("sam2", "sam2_video"))


@needs_network
def test_pickled_weights_are_never_read(resnet: Path, tmp_path: Path) -> None:
    import torch

    network = load_network(resnet, CLASS, title=TITLE)
    (tmp_path / "config.json").write_bytes((resnet / "config.json").read_bytes())
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"has no model\.safetensors") as caught:
        load_network(tmp_path, CLASS, title=TITLE)
    assert "can run code" in caught.value.hint


@needs_network
@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\xff" * 64])
def test_damaged_weights_are_refused(resnet: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes((resnet / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="is not a ResNet"):
        load_network(tmp_path, CLASS, title=TITLE)


@needs_network
@pytest.mark.parametrize("content", ["", "[1]", "{", "[" * 100_000, '{"model_type": "resnet"'])
def test_a_damaged_config_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=r"config\.json' cannot be read"):
        load_network(tmp_path, CLASS, title=TITLE)


def test_the_folder_or_the_only_one_inside_it(tmp_path: Path) -> None:
    for name in ("one", "other"):
        with pytest.raises(UsageError, match=r"they need a network, but .* has no config\.json"):
            network_folder(tmp_path / name, title="they need", hint="fetch it")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "config.json").touch()
    assert network_folder(tmp_path / "one", title="", hint="") == tmp_path / "one"
    assert network_folder(tmp_path, title="", hint="") == tmp_path / "one"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").touch()
    with pytest.raises(UsageError, match="holds several: one, other") as caught:
        network_folder(tmp_path, title="they need", hint="fetch it")
    assert caught.value.hint == "fetch it"


def test_missing_packages_are_all_named() -> None:
    require_packages("it needs", ("json",), extra="sam")
    with pytest.raises(UsageError, match="it needs no_such and nor_this, which") as caught:
        require_packages("it needs", ("no_such", "json", "nor_this"), extra="sam")
    assert "'.[sam]'" in caught.value.hint


@needs_network
@pytest.mark.parametrize("name", ["tpu9", "cuda:999", ""])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DeviceError):
        torch_device(name)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, Preprocessing()),
        ({}, Preprocessing()),
        ({"image_mean": [0.1, 0.2, 0.3]}, Preprocessing(mean=(0.1, 0.2, 0.3))),
        ({"size": {"height": 30, "width": 40}}, Preprocessing(size=(30, 40))),
        ({"size": 30}, Preprocessing(size=(30, 30))),
        (
            {"size": {"shortest_edge": 3, "longest_edge": 5}},
            Preprocessing(shortest_edge=3, longest_edge=5),
        ),
        (
            {"do_normalize": False, "do_rescale": False},
            Preprocessing((0, 0, 0), (1, 1, 1), rescale=1),
        ),
        ({"image_processor": {"rescale_factor": 0.5}, "size": 3}, Preprocessing(rescale=0.5)),
    ],
)
def test_what_a_folder_says_of_pictures(
    tmp_path: Path, facts: dict[str, object] | None, expected: Preprocessing
) -> None:
    if facts is not None:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(facts))
    assert read_preprocessing(tmp_path) == expected


@pytest.mark.parametrize(
    "facts",
    [
        {"image_mean": [1, 2]},
        {"image_std": [0, 1, 1]},
        {"image_std": "abc"},
        {"size": "large"},
        {"size": {"height": -1, "width": 3}},
        {"rescale_factor": -1},
        {"image_processor": [1]},
    ],
)
def test_what_no_picture_can_be_prepared_with_is_refused(
    tmp_path: Path, facts: dict[str, object]
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(facts))
    with pytest.raises(WeightsError, match=r"preprocessor_config\.json' (cannot be read|has)"):
        read_preprocessing(tmp_path)


@needs_processors
@pytest.mark.parametrize(("height", "width"), [(90, 160), (131, 77), (64, 64), (20, 30)])
def test_pictures_are_prepared_as_by_the_librarys_own_processor(
    tmp_path: Path, height: int, width: int
) -> None:
    """SAM 2's processor, saved and read back through the file that it leaves."""
    from transformers import Sam2ImageProcessor

    processor = Sam2ImageProcessor(size={"height": 64, "width": 64})
    processor.save_pretrained(tmp_path)
    image = np.random.default_rng(4).integers(0, 256, (height, width, 3)).astype(np.uint8)
    expected = processor(images=image, return_tensors="pt")["pixel_values"].numpy()
    facts = read_preprocessing(tmp_path)
    assert facts.size == (64, 64)
    given = facts.tensor(image, *facts.size).numpy()
    assert given.shape == expected.shape == (1, 3, 64, 64)
    np.testing.assert_allclose(given, expected, atol=1e-5)
