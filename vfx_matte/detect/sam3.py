"""Finds what a text says by SAM 3.

Carion et al.: "SAM 3: Segment Anything with Concepts" (2025), as `transformers` runs it: a text and
a picture give queries, each with a score and a mask, and a score for whether the picture shows such
a thing at all. The weights are the user's own copy; their licence forbids to fetch them unasked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vfx_matte.detect.base import Detection, Region
from vfx_matte.detect.instances import detections, surest
from vfx_matte.detect.networks import resized
from vfx_matte.errors import DeviceError, UsageError, WeightsError
from vfx_matte.masks import Image
from vfx_matte.pretrained import (
    Preprocessing,
    computing,
    is_out_of_memory,
    load_network,
    load_tokenizer,
    network_folder,
    read_preprocessing,
    torch_device,
)
from vfx_matte.wording import option

TITLE = "SAM 3"
_CPU = f"use {option('device', 'cpu')}"

# the published folder is that of the network for clips, of which the one for pictures is a part
_MODEL_TYPES = ("sam3", "sam3_video")
_HALF = (0.5, 0.5, 0.5)
_TEXT_TOKENS = 32
"""Texts are filled up to it, as the network was trained."""


class Sam3:
    """The network of a folder.

    Args:
        weights: the folder.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        UsageError: there is no network at `weights`.
        WeightsError: it is not such a network.
        DeviceError: the device cannot be used, or its memory is too small.
    """

    def __init__(self, *, weights: Path, device: str = "auto") -> None:
        folder = network_folder(
            weights, title=f"{TITLE} needs", hint="name the folder of facebook/sam3"
        )
        self._device = torch_device(device)
        self._tokenizer = load_tokenizer(folder, "CLIPTokenizer", title=TITLE)
        self._preprocessing = read_preprocessing(folder, Preprocessing(_HALF, _HALF))
        network = load_network(
            folder, "Sam3Model", title=f"{TITLE} (Sam3Model)", model_types=_MODEL_TYPES
        )
        try:
            self._network = network.to(self._device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(f"{self._device} has no memory left for {TITLE}", hint=_CPU) from None

    def detect(self, image: Image, text: str) -> list[Detection]:
        """Find instances, as `TextDetector.detect` says."""
        height, width = image.shape[:2]
        # 1. the text as numbers, and the picture at the network's size
        words = self._tokenizer(
            text, padding="max_length", max_length=_TEXT_TOKENS, return_tensors="pt"
        )
        if words["input_ids"].shape[1] > _TEXT_TOKENS:
            raise UsageError(
                f"the text is longer than {TITLE} reads: {words['input_ids'].shape[1]} tokens,"
                f" expected {_TEXT_TOKENS} at most",
                hint="name the thing in a few words",
            )
        size = self._network.config.image_size
        rows, columns = (size, size) if isinstance(size, int) else size
        pixels = self._preprocessing.tensor(image, rows, columns)
        # 2. queries; the score of each counts as much as that there is such a thing
        try:
            with computing(self._device, title=TITLE, hint=_CPU):
                output = self._network(
                    pixel_values=pixels.to(self._device),
                    input_ids=words["input_ids"].to(self._device),
                    attention_mask=words["attention_mask"].to(self._device),
                )
        # what torch says where a configuration does not fit the tensors
        except (RuntimeError, ValueError, IndexError) as error:
            raise WeightsError(
                f"{TITLE} cannot be run: {' '.join(str(error).split())[:300]}",
                hint="get the folder again",
            ) from error
        presence = output.presence_logits.float().sigmoid()
        scores = (output.pred_logits.float().sigmoid() * presence)[0].cpu().numpy()
        # 3. masks, as the library's processor makes them: probabilities enlarged, then cut
        probabilities = output.pred_masks[0].float().sigmoid()

        def judged(index: int) -> tuple[float, Region]:
            mask = resized(probabilities[index][None, None], height, width) > 0.5
            return float(scores[index]), np.asarray(mask[0, 0].cpu().numpy())

        classes = [text] * len(scores)
        return detections(surest(scores, classes), classes, judged)
