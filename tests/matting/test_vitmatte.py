"""refine.vitmatte with a tiny random network, saved and loaded as a user's would be; what the
network is given and gives.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.clips import VFR_PTS
from support.command_line import CommandLine, pictures, planes_of

from vfx_matte.errors import UsageError, WeightsError
from vfx_matte.matting import make_matte, open_estimator
from vfx_matte.settings.options import MatteSettings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

needs_network = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
    reason="transformers or torch is not installed",
)
quiet = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
pytestmark = quiet


@pytest.fixture(scope="module")
def network_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import VitDetConfig, VitMatteConfig, VitMatteForImageMatting

    torch.manual_seed(5)
    backbone = VitDetConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_channels=4, image_size=64,
        patch_size=16,
        out_features=["stage2"], window_size=0, residual_block_indices=[1], pretrain_image_size=64,
    )  # fmt: skip
    config = VitMatteConfig(
        backbone_config=backbone,
        hidden_size=16,
        convstream_hidden_sizes=[4, 6, 8],
        fusion_hidden_sizes=[16, 8, 8, 4],
    )
    folder = tmp_path_factory.mktemp("网络") / "vitmatte"
    network = VitMatteForImageMatting(config)
    for (
        module
    ) in network.modules():  # as it is made, these are near 0 and its answer is 0.5 everywhere
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.fill_(1)
        elif isinstance(module, torch.nn.Conv2d):
            module.weight.data.normal_(std=0.25)
    network.save_pretrained(folder)
    return folder


class Recorder:
    """Stands before the network: keeps what it is given."""

    def __init__(self, network: Callable[[Any], Any]) -> None:
        self.network, self.inputs = network, list[np.ndarray]()

    def __call__(self, pixels: Any) -> Any:  # noqa: ANN401  tensors of an optional package
        self.inputs.append(pixels.numpy().copy())
        return self.network(pixels)


def circle(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width]
    mask = ((x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(height, width) / 4) ** 2).astype(
        np.uint8
    )
    image = np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return image, mask


@needs_network
def test_alpha_is_the_networks_own_answer_in_the_band_and_known_elsewhere(
    network_folder: Path,
) -> None:
    """The same tensors, made here by hand as ViTMatte's paper states them, through the same network
    by transformers alone.
    """
    import torch
    from transformers import VitMatteForImageMatting

    image, mask = circle(150, 203)
    estimator = open_estimator("vitmatte", weights=network_folder)
    estimator._network = recorder = Recorder(estimator._network)  # type: ignore[attr-defined]
    # the answer before loose pieces and holes go: on noise the random network leaves many
    options = MatteSettings(edges="vitmatte", band=24, remove_specks=0, fill_holes=0)
    matte = make_matte(mask, image=image, settings=options, estimator=estimator)
    (given,) = recorder.inputs
    height, width = given.shape[2:]
    assert height % 32 == 0
    assert width % 32 == 0
    # where the region lies in the picture is found again by its colours
    first = np.rint((given[0, :3, 0, 0] * 0.5 + 0.5) * 255).astype(int)
    (top,), (left,) = np.nonzero((image == first).all(axis=2))
    part = image[top:, left:][:height, :width].astype(np.float32) / 255
    seen = given[0, :3, : part.shape[0], : part.shape[1]].transpose(1, 2, 0)
    filled = np.abs(given[0]).sum(axis=0) > 0
    rows, columns = filled.any(axis=1).sum(), filled.any(axis=0).sum()
    np.testing.assert_allclose(
        seen[:rows, :columns], (part[:rows, :columns] - 0.5) / 0.5, atol=1e-6
    )
    trimap = given[0, 3, :rows, :columns]
    assert set(np.unique(np.rint(trimap * 255))) == {0, 128, 255}
    network = VitMatteForImageMatting.from_pretrained(network_folder, local_files_only=True).eval()
    with torch.inference_mode():
        expected = network(torch.from_numpy(given)).alphas[0, 0].numpy()[:rows, :columns]
    alpha = matte.alpha[top : top + rows, left : left + columns] / 65535
    unknown = np.rint(trimap * 255) == 128
    assert expected[unknown].std() > 0.05
    np.testing.assert_allclose(alpha[unknown], expected[unknown].clip(0, 1), atol=2e-5)
    assert (matte.alpha[mask == 0].min(), matte.alpha[75, 101]) == (0, 65535)
    np.testing.assert_array_equal(alpha[~unknown], trimap[~unknown])


@needs_network
def test_a_part_too_large_for_the_network_is_made_smaller(
    network_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vfx_matte.matting.vitmatte.LARGEST_PX", 64 * 64)
    image, mask = circle(160, 160)
    estimator = open_estimator("vitmatte", weights=network_folder)
    estimator._network = recorder = Recorder(estimator._network)  # type: ignore[attr-defined]
    matte = make_matte(
        mask, image=image, settings=MatteSettings(edges="vitmatte"), estimator=estimator
    )
    assert {max(given.shape) for given in recorder.inputs} <= {32, 64}
    assert matte.alpha.shape == (160, 160)
    assert np.count_nonzero((matte.alpha > 0) & (matte.alpha < 65535)) > 0


@needs_network
def test_colours_are_scaled_as_the_folder_says(network_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    for path in network_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    told = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.25, 1.0]}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    image, mask = circle(96, 96)
    estimator = open_estimator("vitmatte", weights=tmp_path)  # the folder around it is enough
    estimator._network = recorder = Recorder(estimator._network)  # type: ignore[attr-defined]
    make_matte(
        mask,
        image=np.full_like(image, 255),
        settings=MatteSettings(edges="vitmatte"),
        estimator=estimator,
    )
    np.testing.assert_allclose(recorder.inputs[0][0, :3, 0, 0], [1.8, 3.2, 0.7], atol=1e-6)


@needs_network
def test_a_network_with_a_missing_tensor_is_refused(network_folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(network_folder / "model.safetensors")
    lost = sorted(tensors)[3]
    save_file(
        {name: value for name, value in tensors.items() if name != lost},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    (tmp_path / "config.json").write_bytes((network_folder / "config.json").read_bytes())
    with pytest.raises(WeightsError, match="1 tensors are missing") as caught:
        open_estimator("vitmatte", weights=tmp_path)
    assert lost in caught.value.message


@needs_network
def test_loading_prints_nothing(network_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_estimator("vitmatte", weights=network_folder)
    assert capfd.readouterr() == ("", "")


@needs_network
def test_a_damaged_file_is_refused(network_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((network_folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(WeightsError, match="is not a ViTMatte network"):
        open_estimator("vitmatte", weights=tmp_path)


@needs_network
def test_a_folder_that_is_not_there_is_named_and_nothing_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no config\.json") as caught:
        open_estimator("vitmatte", weights=tmp_path / "vitmatte")
    assert "hf download" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_without_the_packages_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vfx_matte.pretrained.importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="need torch and transformers") as caught:
        open_estimator("vitmatte")
    assert "'.[vitmatte]'" in caught.value.hint


@needs_network
def test_a_render_takes_its_edges_from_the_network_in_the_model_folder(
    project: CommandLine, network_folder: Path
) -> None:
    """End to end: the mask video holds what the network says of each frame, exact 0 and 1 away from
    the edges.
    """
    (project.folder / "model").mkdir()
    shutil.copytree(network_folder, project.folder / "model" / "vitmatte" / "小")
    project("maskvideo", "-o", "hard.mkv", "--edges", "hard")
    project("maskvideo", "-o", "soft.mkv", "--edges", "vitmatte", "--band", "8")
    hard, soft = (
        [
            planes_of(frame)[0].astype(float) / np.iinfo(planes_of(frame)[0].dtype).max
            for frame in pictures(project.folder / name)
        ]
        for name in ("hard.mkv", "soft.mkv")
    )
    assert len(hard) == len(soft) == len(VFR_PTS)
    for index, (one, other) in enumerate(zip(hard, soft, strict=True)):
        changed = one != other
        assert changed.any() == (2 <= index < 10)  # frames without a mask stay empty
        if changed.any():
            assert len(np.unique(other[changed])) > 20
            assert cv2.distanceTransform((1 - changed).astype(np.uint8), cv2.DIST_L2, 5).max() > 8


def test_without_a_network_the_render_says_what_to_do_and_leaves_nothing(
    project: CommandLine,
) -> None:
    before = project.files()
    ran = project.fails("greenback", "--edges", "vitmatte", code=2)
    assert "edges 'vitmatte' need" in ran.error
    assert project.files() == before
