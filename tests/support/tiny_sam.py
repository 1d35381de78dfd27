"""Networks of SAM 2's and EdgeTAM's form with tiny random weights, saved as users' are."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from vfx_matte.segment_anything import EDGETAM, SAM2

SIDE_PX = 128


def lacks(*packages: str) -> bool:
    """Whether a package is not installed."""
    return any(importlib.util.find_spec(name) is None for name in packages)


NO_SAM2 = lacks("torch", "transformers")
NO_EDGETAM = lacks("torch", "transformers", "timm")
NEEDS_SAM = [
    pytest.mark.skipif(NO_SAM2, reason="transformers or torch is not installed"),
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
    ),
]
"""Marks of a file whose tests run these networks."""
FAMILIES = [
    pytest.param(SAM2, id="sam2"),
    pytest.param(EDGETAM, id="edgetam", marks=pytest.mark.skipif(NO_EDGETAM, reason="no timm")),
]
"""Parameters of a fixture."""


def save_tiny(family: str, folder: Path, *, seed: int = 3) -> Path:
    """A network that sees squares of 128 px, as its processor's file says too."""
    import torch

    torch.manual_seed(seed)
    network = _sam2() if family == "sam2" else _edgetam()
    # as they are made, biases are 0 and memories weigh little: answers would hardly differ
    for name, value in network.named_parameters():
        if value.ndim == 1 and name.endswith("bias"):
            value.data.normal_(std=0.1)
        elif value.ndim > 1:
            is_loud = "mask_decoder" in name or "memory" in name
            value.data.mul_(4 if is_loud else 2)
    for name, value in network.named_parameters():
        # whether something is there at all: always, so that masks are seen
        if "pred_obj_score_head" in name and name.endswith("proj_out.bias"):
            value.data.fill_(20)
        if "embedding" in name and value.ndim > 1:
            value.data.normal_(std=0.5)
    network.save_pretrained(folder)
    colors = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    facts = {**colors, "rescale_factor": 1 / 255, "size": {"height": SIDE_PX, "width": SIDE_PX}}
    (folder / "preprocessor_config.json").write_text(json.dumps(facts))
    return folder


def _prompts(size: int) -> dict[str, int]:
    return {"hidden_size": 128, "image_size": size, "patch_size": 16, "mask_input_channels": 4}


_DECODER = {
    "hidden_size": 128,
    "mlp_dim": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "iou_head_depth": 1,
    "iou_head_hidden_dim": 16,
}
_MEMORY = {
    "image_size": SIDE_PX,
    "memory_attention_hidden_size": 128,
    "memory_attention_num_layers": 1,
    "memory_attention_rope_feat_sizes": [SIDE_PX // 16] * 2,
    "memory_encoder_hidden_size": 128,
    "memory_encoder_output_channels": 64,
    "mask_downsampler_embed_dim": 128,
    "memory_fuser_embed_dim": 128,
    "memory_fuser_intermediate_dim": 16,
    "memory_fuser_num_layers": 1,
}
_FEATURES = [[SIDE_PX // stride] * 2 for stride in (4, 8, 16)]


def _sam2():  # noqa: ANN202
    from transformers import Sam2VideoConfig, Sam2VideoModel, Sam2VisionConfig
    from transformers.models.sam2.configuration_sam2 import Sam2HieraDetConfig

    widths = [8, 16, 32, 64]
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE_PX, SIDE_PX],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[8, 4, 4, 4],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=widths[::-1],
        backbone_feature_sizes=_FEATURES,
        fpn_hidden_size=128,
    )
    return Sam2VideoModel(
        Sam2VideoConfig(
            vision_config=vision.to_dict(),
            prompt_encoder_config=_prompts(SIDE_PX),
            mask_decoder_config=_DECODER,
            memory_attention_feed_forward_hidden_size=16,
            **_MEMORY,
        )
    )


def _edgetam():  # noqa: ANN202
    from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, EdgeTamVisionConfig
    from transformers.models.timm_wrapper import TimmWrapperConfig

    backbone = TimmWrapperConfig(
        architecture="test_efficientnet",
        do_pooling=False,
        model_args={"in_chans": 3, "features_only": True, "out_indices": [1, 2, 3, 4]},
    )
    vision = EdgeTamVisionConfig(
        backbone_config=backbone.to_dict(),
        backbone_channel_list=[64, 48, 32, 24],
        backbone_feature_sizes=_FEATURES,
        fpn_hidden_size=128,
    )
    return EdgeTamVideoModel(
        EdgeTamVideoConfig(
            vision_config=vision.to_dict(),
            prompt_encoder_config=_prompts(SIDE_PX),
            mask_decoder_config=_DECODER,
            memory_attention_mlp_hidden_size=16,
            memory_attention_rope_k_sizes=[4, 4],
            perceiver_resampler_num_latents=8,
            perceiver_resampler_num_latents_2d=16,
            perceiver_resampler_hidden_size=64,
            perceiver_resampler_mlp_intermediate_size=16,
            perceiver_resampler_attention_head_dim=64,
            perceiver_resampler_num_layers=1,
            **_MEMORY,
        )
    )
