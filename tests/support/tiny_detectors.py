"""Networks of every learned detector, as small as can be, with random weights that were made to say
something: saved in the form that the real ones have.

Random networks find nothing sure and nothing in one place. Here the heads that give classes and
masks are made louder, so that they find several things, of several classes, each somewhere.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfx_matte.masks import Image

# read by huggingface_hub when it is imported; a test that reaches for the network fails at once
os.environ.setdefault("HF_HUB_OFFLINE", "1")

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CLASSES = ("person", "giant_panda", "tennis_racket", "dog")
SIDE = 64

NEEDS_PACKAGES = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None for name in ("torch", "torchvision", "transformers")
    ),
    reason="torch, torchvision or transformers is not installed",
)
QUIET = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
"""Of the packages' own warnings, which are errors elsewhere."""


def picture(height: int, width: int, seed: int = 3) -> Image:
    """Colourful noise in patches, so that networks see something at every scale."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 9 + 1, width // 9 + 1, 3))
    fine = random.integers(-40, 41, (height, width, 3))
    blocks = coarse.repeat(9, axis=0).repeat(9, axis=1)[:height, :width]
    return np.clip(blocks + fine, 0, 255).astype(np.uint8)


def videomt(folder: Path) -> Path:
    """Hidden 32, 4 layers, 5 queries: 90 000 parameters."""
    from transformers import VideomtConfig, VideomtForUniversalSegmentation

    network = VideomtForUniversalSegmentation(VideomtConfig(**_eomt()))
    _louder(network, classes="class_predictor", masks="mask_head")
    return _saved(network, folder, "video_preprocessor_config.json", size=_square(SIDE))


def eomt(folder: Path) -> Path:
    from transformers import EomtConfig, EomtForUniversalSegmentation

    network = EomtForUniversalSegmentation(EomtConfig(**_eomt()))
    _louder(network, classes="class_predictor", masks="mask_head")
    edges = {"shortest_edge": SIDE, "longest_edge": SIDE}
    return _saved(network, folder, size=edges, do_pad=True)


def mask2former(folder: Path) -> Path:
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    backbone = SwinConfig(
        image_size=SIDE, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=32, dim_feedforward=32, encoder_layers=1, decoder_layers=2,
        num_attention_heads=2, num_queries=6, **_names(),
    )  # fmt: skip
    network = Mask2FormerForUniversalSegmentation(config)
    _louder(network, classes="class_predictor", masks="mask_embedder")
    # its queries agree; they would agree on "nothing"
    network.class_predictor.bias.data[-1] -= 9
    return _saved(network, folder, size=_square(96), size_divisor=32)


def rf_detr(folder: Path) -> Path:
    from transformers import RfDetrConfig, RfDetrDinov2Config, RfDetrForInstanceSegmentation

    backbone = RfDetrDinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=48, patch_size=12,
        num_windows=2, out_indices=[2, 4],
    )  # fmt: skip
    # as COCO's 91 numbers, of which some have no class
    labels = {0: "N/A", **dict(enumerate(CLASSES, start=1))}
    config = RfDetrConfig(
        backbone_config=backbone, d_model=32, decoder_layers=2, decoder_ffn_dim=32, num_queries=8,
        decoder_self_attention_heads=2, decoder_cross_attention_heads=2, decoder_n_points=2,
        id2label=labels, label2id={name: number for number, name in labels.items()},
    )  # fmt: skip
    network = RfDetrForInstanceSegmentation(config)
    _louder(network, classes="class_embed", masks="query_features_proj")
    return _saved(network, folder, size=_square(48), image_processor_type="RfDetrImageProcessor")


def mask_rcnn(folder: Path) -> Path:
    """torchvision's, with a backbone of one block per stage; see `narrow_mask_rcnn`."""
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

    network = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=91)
    # sure of some of COCO's numbers, and of masks in patches
    with torch.no_grad():
        predictor = network.roi_heads.box_predictor
        predictor.cls_score.weight.mul_(40)
        predictor.cls_score.bias[[1, 18, 43]] += 4.0
        network.roi_heads.mask_predictor.mask_fcn_logits.weight.mul_(30)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"
    torch.save(network.state_dict(), path)
    return path


def narrow_mask_rcnn(patch: Callable[[str, Any], None]) -> None:
    """Make torchvision build Mask R-CNN small, and show it small pictures.

    Args:
        patch: `monkeypatch.setattr` for a dotted name.
    """
    from torch import nn
    from torchvision.models import resnet
    from torchvision.models.detection import mask_rcnn as original

    def backbone(*, weights: None, progress: bool, norm_layer: Any = nn.BatchNorm2d) -> Any:  # noqa: ANN401
        return resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], norm_layer=norm_layer)

    def small(**options: Any) -> Any:  # noqa: ANN401
        return original.maskrcnn_resnet50_fpn_v2(
            **options, min_size=64, max_size=96, rpn_post_nms_top_n_test=12,
            rpn_pre_nms_top_n_test=24,
        )  # fmt: skip

    patch("torchvision.models.detection.mask_rcnn.resnet50", backbone)
    patch("torchvision.models.detection.maskrcnn_resnet50_fpn_v2", small)


MAKERS: dict[str, Callable[[Path], Path]] = {
    "videomt": videomt,
    "rf-detr": rf_detr,
    "mask2former": mask2former,
    "eomt": eomt,
    "mask-rcnn": mask_rcnn,
}
"""Name of the detector → what writes its weights into a folder, and returns their path."""


def make(name: str, folder: Path) -> Path:
    """Write the tiny weights of a learned detector, the same every time."""
    import torch

    torch.manual_seed(11)
    return MAKERS[name](folder)


def _eomt() -> dict[str, Any]:
    return {
        "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": SIDE,
        "patch_size": 16, "num_blocks": 2, "num_queries": 5, **_names(),
    }  # fmt: skip


def _names() -> dict[str, Any]:
    return {
        "id2label": dict(enumerate(CLASSES)),
        "label2id": {name: number for number, name in enumerate(CLASSES)},
    }


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def _louder(network: Any, *, classes: str, masks: str, gain: float = 3) -> None:  # noqa: ANN401
    """Make everything in a random network large enough to say something.

    Args:
        network: of transformers.
        classes: what the tensors that give classes have in their names.
        masks: the same of masks.
        gain: of the classes; too much makes scores of 1 that cannot be told apart.
    """
    import torch

    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                # as networks usually begin: outputs as large as inputs
                parameter.normal_(std=1.5 / parameter[0].numel() ** 0.5)
            if classes in name and parameter.ndim == 2:
                parameter.mul_(gain)
            elif masks in name and parameter.ndim == 2:
                parameter.mul_(2)


def _saved(network: Any, folder: Path, file: str = "", **facts: Any) -> Path:  # noqa: ANN401
    from transformers.utils import logging

    logging.disable_progress_bar()
    network.save_pretrained(folder)
    told = {**IMAGENET, "rescale_factor": 1 / 255, "resample": 2, **facts}
    (folder / (file or "preprocessor_config.json")).write_text(json.dumps(told), encoding="utf-8")
    return folder
