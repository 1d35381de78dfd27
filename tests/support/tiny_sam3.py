"""SAM 3 with tiny random weights and a tokenizer that knows letters, saved as users' are."""

from __future__ import annotations

import json
from pathlib import Path

SIDE_PX = 56


def save_tiny(folder: Path, *, for_clips: bool = False) -> Path:
    """A network that sees squares of 56 px.

    Args:
        folder: is made.
        for_clips: as it is published: a part of the network for clips, beside parts not used here.
    """
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import Sam3Config, Sam3Model

    torch.manual_seed(5)
    common = {"hidden_size": 32, "num_attention_heads": 2}
    layers = {"num_layers": 1, "intermediate_size": 32}
    backbone = {
        "model_type": "sam3_vit_model", **common, "intermediate_size": 32, "num_hidden_layers": 2,
        "image_size": SIDE_PX, "pretrain_image_size": 28, "window_size": 2,
        "global_attn_indexes": [1],
    }  # fmt: skip
    config = Sam3Config(
        vision_config={
            "backbone_config": backbone, "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={
            "model_type": "clip_text_model", **common, "intermediate_size": 32,
            "num_hidden_layers": 1, "vocab_size": 600, "max_position_embeddings": 32,
            "projection_dim": 16,
        },
        geometry_encoder_config={**common, **layers},
        detr_encoder_config={**common, **layers},
        detr_decoder_config={**common, **layers, "num_queries": 6},
        mask_decoder_config=common,
    )  # fmt: skip
    network = Sam3Model(config)
    # louder, so that queries, and the same query for two texts, differ
    for name, value in network.named_parameters():
        if value.ndim > 1:
            value.data.mul_(4 if "embed" in name or "mask" in name else 2)
    network.save_pretrained(folder)
    if for_clips:
        _put_into_one_for_clips(folder, load_file, save_file, torch.zeros(3))
    _save_tokenizer(folder)
    half = [0.5, 0.5, 0.5]
    facts = {"image_mean": half, "image_std": half, "size": {"height": SIDE_PX, "width": SIDE_PX}}
    (folder / "preprocessor_config.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def _put_into_one_for_clips(folder, load_file, save_file, other) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    path, config = folder / "model.safetensors", folder / "config.json"
    tensors = {f"detector_model.{name}": value for name, value in load_file(path).items()}
    save_file({**tensors, "tracker_neck.weight": other}, path, metadata={"format": "pt"})
    facts = {
        "architectures": ["Sam3VideoModel"],
        "model_type": "sam3_video",
        "detector_config": json.loads(config.read_text(encoding="utf-8")),
    }
    config.write_text(json.dumps(facts), encoding="utf-8")


def _save_tokenizer(folder: Path) -> None:
    """CLIP's, of letters alone."""
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{one}</w>" for one in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
