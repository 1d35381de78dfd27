"""Learned detectors with what is wrong: weights of others, damaged ones, too little memory, missing
packages.
"""

from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny_detectors
from support.tiny_detectors import NEEDS_PACKAGES, QUIET, picture

from vfx_matte.detect.registry import REGISTRY, open_detector, registered
from vfx_matte.errors import DeviceError, UsageError, WeightsError
from vfx_matte.wording import as_python, spelled

pytestmark = QUIET

FOLDERS = {"videomt": "VidEoMT", "rf-detr": "RF-DETR", "eomt": "EoMT", "mask2former": "Mask2Former"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives tiny weights by the detector's name; each is made once."""
    folder, paths = tmp_path_factory.mktemp("made"), dict[str, Path]()

    def of(name: str) -> Path:
        if name not in paths:
            with pytest.MonkeyPatch.context() as patch:
                if name == "mask-rcnn":
                    tiny_detectors.narrow_mask_rcnn(patch.setattr)
                paths[name] = tiny_detectors.make(name, folder / name)
        return paths[name]

    return of


def opened(name: str, weights: Path) -> Any:  # noqa: ANN401  the protocol hides what is looked at here
    return open_detector(registered(name), weights=weights, device="cpu")


@NEEDS_PACKAGES
@pytest.mark.parametrize("other", FOLDERS)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_another_network_is_named_with_what_was_expected(
    made: Callable[[str], Path], name: str, other: str
) -> None:
    if name == other:
        assert opened(name, made(name)).classes == tiny_detectors.CLASSES
        return
    with pytest.raises(WeightsError) as caught:
        opened(name, made(other))
    assert FOLDERS[name] in caught.value.message
    found = json.loads((made(other) / "config.json").read_text(encoding="utf-8"))
    assert found["architectures"][0] in caught.value.message
    assert "\n" not in caught.value.message


@NEEDS_PACKAGES
def test_rf_detr_without_masks_is_told(tmp_path: Path) -> None:
    """Boxes and masks have the same kind of configuration."""
    from transformers import RfDetrConfig, RfDetrDinov2Config, RfDetrForObjectDetection

    backbone = RfDetrDinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=48, patch_size=12,
        out_indices=[2],
    )  # fmt: skip
    RfDetrForObjectDetection(
        RfDetrConfig(backbone_config=backbone, d_model=32, decoder_layers=1, num_queries=4)
    ).save_pretrained(tmp_path / "boxes")
    with pytest.raises(WeightsError, match="it holds RfDetrForObjectDetection"):
        opened("rf-detr", tmp_path / "boxes")


@NEEDS_PACKAGES
@pytest.mark.parametrize("name", FOLDERS)
def test_a_tensor_that_is_missing_is_named(
    made: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "network"
    shutil.copytree(made(name), folder)
    tensors = load_file(folder / "model.safetensors")
    lost = sorted(tensors)[3]
    kept = {key: value for key, value in tensors.items() if key != lost}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match="1 tensors are missing") as caught:
        opened(name, folder)
    # files of RF-DETR have the names of its makers before the last parts
    assert ".".join(lost.split(".")[-3:]) in caught.value.message


@NEEDS_PACKAGES
@pytest.mark.parametrize("name", ["videomt", "rf-detr"])
def test_a_tensor_that_only_training_uses_may_be_missing(
    made: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "network"
    shutil.copytree(made(name), folder)
    tensors = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in tensors.items() if not key.endswith(".mask_token")}
    assert len(kept) == len(tensors) - 1
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    one, other = (opened(name, path).detect(picture(40, 50)) for path in (folder, made(name)))
    assert [found.score for found in one] == [found.score for found in other]


@NEEDS_PACKAGES
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_around_the_network_is_enough_and_an_empty_one_is_told(
    made: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    shutil.copytree(made(name), tmp_path / "around" / "网络")
    assert opened(name, tmp_path / "around").classes == tiny_detectors.CLASSES
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"has no config\.json") as caught:
        opened(name, tmp_path / "empty")
    assert registered(name).weights in spelled(caught.value.hint, as_python)


@NEEDS_PACKAGES
@pytest.mark.parametrize("name", FOLDERS)
def test_opening_and_running_print_nothing(
    made: Callable[[str], Path], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    opened(name, made(name)).detect(picture(40, 50))
    assert capfd.readouterr() == ("", "")


@NEEDS_PACKAGES
@pytest.mark.parametrize("name", tiny_detectors.MAKERS)
def test_memory_that_does_not_suffice_is_a_device_error(
    made: Callable[[str], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    detector = detector_with(name, made, monkeypatch, torch.cuda.OutOfMemoryError("out"))
    with pytest.raises(DeviceError, match=r"memory of cpu is too small for") as caught:
        detector.detect(picture(40, 50))
    assert registered(name).title in caught.value.message


@NEEDS_PACKAGES
@pytest.mark.parametrize("name", FOLDERS)
def test_a_network_that_cannot_be_run_is_a_weights_error(
    made: Callable[[str], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = detector_with(name, made, monkeypatch, RuntimeError("shapes\ndo not fit"))
    with pytest.raises(WeightsError, match="cannot be run: shapes do not fit"):
        detector.detect(picture(40, 50))


def detector_with(
    name: str,
    made: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> Any:  # noqa: ANN401
    """A detector whose network raises."""

    def fail(*_values: object, **_named: object) -> None:
        raise error

    if name == "mask-rcnn":
        tiny_detectors.narrow_mask_rcnn(monkeypatch.setattr)
    detector = opened(name, made(name))
    holder, attribute = (
        (detector._network, "transform") if name == "mask-rcnn" else (detector._network, "_network")
    )
    # a module of torch takes no function in the place of a module
    monkeypatch.setitem(holder.__dict__, attribute, fail)
    if name == "mask-rcnn":
        monkeypatch.delitem(holder._modules, attribute)
    return detector


@NEEDS_PACKAGES
@pytest.mark.parametrize("name", FOLDERS)
def test_scores_that_are_no_numbers_are_a_weights_error(
    made: Callable[[str], Path], name: str
) -> None:
    detector = opened(name, made(name))
    for parameter in detector._network._network.parameters():
        parameter.fill_(float("nan"))
    with pytest.raises(WeightsError, match="no numbers"):
        detector.detect(picture(40, 50))


@NEEDS_PACKAGES
def test_colours_are_scaled_as_a_videos_own_file_says(
    made: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "network"
    shutil.copytree(made("videomt"), folder)
    told = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.25, 1.0]}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    network = opened("videomt", folder)._network
    given = network.preprocessing.tensor(np.full((3, 3, 3), 255, np.uint8), 8, 8)
    np.testing.assert_allclose(given[0, :, 0, 0], [1.8, 3.2, 0.7], atol=1e-6)
    (folder / "video_preprocessor_config.json").unlink()
    usual = opened("videomt", folder)._network.preprocessing
    assert usual.mean == pytest.approx((0.485, 0.456, 0.406))


@NEEDS_PACKAGES
def test_classes_come_from_the_folder_and_numbers_without_a_name_are_none(
    made: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "network"
    shutil.copytree(made("eomt"), folder)
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    facts["id2label"] = {"0": "wolf", "1": "N/A", "2": "N/A", "3": "sheep"}
    facts["label2id"] = {name: int(number) for number, name in facts["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(facts), encoding="utf-8")
    detector = opened("eomt", folder)
    assert detector.classes == ("wolf", "sheep")
    for seed in range(4):
        found = detector.detect(picture(70, 90, seed=seed))
        assert {one.class_name for one in found} <= {"wolf", "sheep"}


class Code:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code of a weights file was run",))


@NEEDS_PACKAGES
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("xmem", r"it holds tensors such as 'key_encoder\.conv1\.weight'"),
        ("boxes", "it holds Faster R-CNN, which finds boxes"),
        ("first recipe", "it holds maskrcnn_resnet50_fpn, the first recipe"),
        ("empty", "it holds no tensors"),
        ("list", "holds a list, expected named tensors"),
        ("code", "is not a file of PyTorch weights"),
        ("text", "is not a file of PyTorch weights"),
        ("folder", "cannot be read: Is a directory"),
        ("other shape", r"size mismatch for roi_heads\.box_head"),
        ("missing", r"Missing key\(s\) in state_dict: \"backbone\.body"),
    ],
)
def test_a_file_that_is_not_mask_rcnn_is_told(
    made: Callable[[str], Path],
    content: str,
    told: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import torch

    path = tmp_path / "weights.pth"
    tensors = torch.load(made("mask-rcnn"), weights_only=True)
    match content:
        case "xmem":
            torch.save({"key_encoder.conv1.weight": torch.zeros(2)}, path)
        case "boxes":
            torch.save({key: one for key, one in tensors.items() if "mask" not in key}, path)
        case "first recipe":
            without = {key: one for key, one in tensors.items() if "rpn.head.conv" not in key}
            torch.save(without, path)
        case "empty":
            torch.save({}, path)
        case "list":
            torch.save([1, 2], path)
        case "code":
            path.write_bytes(pickle.dumps({"a": Code()}))
        case "text":
            path.write_text("<!doctype html>", encoding="utf-8")
        case "folder":
            path.mkdir()
        case "other shape":
            name = next(key for key in tensors if key.startswith("roi_heads.box_head"))
            torch.save({**tensors, name: torch.zeros(3)}, path)
        case "missing":
            tensors.pop(next(key for key in tensors if key.startswith("backbone.body")))
            torch.save(tensors, path)
    with pytest.MonkeyPatch.context() as patch:
        tiny_detectors.narrow_mask_rcnn(patch.setattr)
        with pytest.raises(WeightsError, match=told) as caught:
            opened("mask-rcnn", path)
    assert str(path) in caught.value.message
    assert "weights_fetch" in spelled(caught.value.hint, as_python)
    assert capfd.readouterr() == ("", "")


@NEEDS_PACKAGES
def test_mask_rcnn_reads_safetensors_too(
    made: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import save_file

    tiny_detectors.narrow_mask_rcnn(monkeypatch.setattr)
    path = tmp_path / "mask-rcnn.safetensors"
    save_file(torch.load(made("mask-rcnn"), weights_only=True), path)
    one, other = (
        [found.score for found in opened("mask-rcnn", weights).detect(picture(70, 101))]
        for weights in (path, made("mask-rcnn"))
    )
    assert one == other
    assert one


@NEEDS_PACKAGES
def test_mask_rcnn_of_other_classes_has_numbers_for_names(
    made: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    tiny_detectors.narrow_mask_rcnn(monkeypatch.setattr)
    tensors = torch.load(made("mask-rcnn"), weights_only=True)
    for name in list(tensors):
        if "box_predictor.cls_score" in name or "mask_fcn_logits" in name:
            tensors[name] = tensors[name][:3]
        elif "box_predictor.bbox_pred" in name:
            tensors[name] = tensors[name][:12]
    torch.save(tensors, tmp_path / "own.pth")
    assert opened("mask-rcnn", tmp_path / "own.pth").classes == ("class 1", "class 2")


@pytest.mark.parametrize(
    ("wanted", "fetched"),
    [("rf-detr-seg-nano", "rf-detr-seg-nano"), ("mine", "rf-detr-seg-medium")],
)
def test_weights_that_are_not_there_are_named_with_how_to_get_them(
    wanted: str, fetched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: "there")
    with pytest.raises(WeightsError, match="RF-DETR needs its weights at") as caught:
        open_detector(registered("rf-detr"), weights=tmp_path / wanted, device="cpu")
    assert f'weights_fetch("{fetched}")' in spelled(caught.value.message, as_python)


@pytest.mark.parametrize("name", tiny_detectors.MAKERS)
def test_without_the_packages_it_says_how_to_get_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    entry = registered(name)
    (tmp_path / entry.weights).mkdir()
    with pytest.raises(UsageError, match=rf"{entry.title} needs torch") as caught:
        open_detector(entry, weights=tmp_path / entry.weights, device="cpu")
    assert all(package in caught.value.message for package in entry.packages)
    assert "'.[detect]'" in caught.value.message


@NEEDS_PACKAGES
@pytest.mark.parametrize("name", [entry.name for entry in REGISTRY if entry.packages])
def test_a_device_that_is_not_there_is_told(made: Callable[[str], Path], name: str) -> None:
    with pytest.raises(DeviceError, match="'cuda:77' is not usable"):
        open_detector(registered(name), weights=made(name), device="cuda:77")
