"""SAM 3 as `detect.sam3` runs it, by tiny random weights, against the library's own processor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import tiny_sam3
from support.tiny_detectors import NEEDS_PACKAGES, QUIET, picture

from vfx_matte.detect.instances import LEAST_SCORE
from vfx_matte.detect.text import open_text_detector
from vfx_matte.errors import UsageError, WeightsError

pytestmark = [NEEDS_PACKAGES, QUIET]


@pytest.fixture(params=[False, True], ids=["pictures", "clips"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tiny_sam3.save_tiny(tmp_path / "model" / "sam3", for_clips=request.param)


def test_it_finds_what_the_library_finds(folder: Path) -> None:
    import torch
    from transformers import CLIPTokenizer, Sam3ImageProcessor, Sam3Model, Sam3Processor

    image = picture(48, 80)
    entry, detector = open_text_detector(weights=None, model=folder.parent, device="cpu")
    assert entry.name == "sam3"
    size = {"height": tiny_sam3.SIDE_PX, "width": tiny_sam3.SIDE_PX}
    processor = Sam3Processor(Sam3ImageProcessor(size=size), CLIPTokenizer.from_pretrained(folder))
    network = Sam3Model.from_pretrained(folder, dtype=torch.float32).eval()
    seen = set()
    for text in ("the dog", "a red hat"):
        inputs = processor(images=image, text=text, return_tensors="pt")
        with torch.inference_mode():
            output = network(**inputs)
        (expected,) = processor.post_process_instance_segmentation(
            output, threshold=LEAST_SCORE, target_sizes=[image.shape[:2]]
        )
        order = expected["scores"].argsort(descending=True, stable=True)
        wanted = [
            (float(expected["scores"][at]), expected["masks"][at].numpy() > 0)
            for at in order
            if expected["masks"][at].any()
        ]
        found = detector.detect(image, text)
        assert len(found) == len(wanted) > 0
        for one, (score, mask) in zip(found, wanted, strict=True):
            assert one.class_name == text
            assert one.score == pytest.approx(score, abs=1e-5)
            assert 0 < mask.mean() < 1
            assert np.mean(one.mask != mask) < 0.001
        seen.add(tuple(one.score for one in found))
    assert len(seen) == 2, "the text counts"


def test_a_long_text_is_refused(folder: Path) -> None:
    _, detector = open_text_detector(weights=folder, model=Path(), device="cpu")
    with pytest.raises(UsageError, match="expected 32 at most"):
        detector.detect(picture(20, 20), "a very long text about a dog and a red hat")


def test_a_folder_of_something_else_is_told(folder: Path) -> None:
    def refusal() -> str:
        with pytest.raises((UsageError, WeightsError)) as caught:
            open_text_detector(weights=folder, model=Path(), device="cpu")
        assert caught.value.hint
        return caught.value.message

    config = folder / "config.json"
    facts = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**facts, "model_type": "sam2"}), encoding="utf-8")
    assert "model_type 'sam2'" in refusal()
    config.write_text(json.dumps(facts), encoding="utf-8")
    (folder / "model.safetensors").rename(folder / "model.bin")
    assert "model.safetensors" in refusal()
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    assert "damaged" in refusal()
    (folder / "tokenizer.json").unlink()
    assert "lacks what reads texts" in refusal()
    config.unlink()
    assert "has no config.json" in refusal()
