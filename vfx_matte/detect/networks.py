"""Networks of the `transformers` package as detectors use them: opened from a folder, run on one
picture, their queries turned into instances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vfx_matte.detect.base import Detection
from vfx_matte.detect.instances import class_names, detections, known_classes, surest
from vfx_matte.errors import WeightsError
from vfx_matte.pretrained import (
    CONFIG_FILE,
    Preprocessing,
    computing,
    load_network,
    network_folder,
    read_facts,
    read_preprocessing,
    torch_device,
)
from vfx_matte.wording import command, option

if TYPE_CHECKING:
    import torch


# stands for hidden patches while a backbone is pretrained; makers' own files lack it
_ONLY_IN_TRAINING = (".mask_token",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a folder has to hold."""

    title: str
    """What people call it: "RF-DETR"."""

    class_name: str
    """Its class in transformers."""

    model_type: str
    """What its config.json has as model_type."""

    weights: str
    """Its name in the table of weights, for hints."""

    usual: Preprocessing = field(default_factory=Preprocessing)
    """How pictures are prepared where the folder does not say."""

    preprocessing_file: str = "preprocessor_config.json"
    """Where the folder says it."""

    has_half_precision: bool = False
    """Whether it runs in bfloat16 on CUDA, as its makers do."""


class OpenNetwork:
    """A network that is ready to run.

    Args:
        kind: what it has to be.
        weights: its folder.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        UsageError: there is no network at `weights`.
        WeightsError: it is of another kind, or a part of it is missing.
        DeviceError: the device cannot be used.
    """

    def __init__(self, kind: Kind, weights: Path, device: str) -> None:
        fetch = f"fetch one: {command('weights fetch', kind.weights)}"
        folder = network_folder(weights, title=f"{kind.title} needs", hint=fetch)
        self.device = torch_device(device)
        _require_class(folder, kind)
        self.kind = kind
        network = load_network(
            folder,
            kind.class_name,
            title=f"{kind.title} ({kind.class_name})",
            model_types=(kind.model_type,),
            unneeded=_ONLY_IN_TRAINING,
        )
        self._network = network.to(self.device)
        self.config: Any = network.config
        self.preprocessing = read_preprocessing(folder, kind.usual, file=kind.preprocessing_file)
        self.names = class_names(self.config.id2label, self.config.num_labels)
        self.classes = known_classes(self.names)

    def __call__(self, **inputs: torch.Tensor) -> Any:  # noqa: ANN401  of an optional package
        """The network's output for tensors that it knows by these names.

        Raises:
            WeightsError: it cannot be run on them.
            DeviceError: memory does not suffice.
        """
        placed = {name: tensor.to(self.device) for name, tensor in inputs.items()}
        try:
            with computing(
                self.device,
                title=self.kind.title,
                hint=f"use {option('device', 'cpu')}, or a smaller network",
                has_half_precision=self.kind.has_half_precision,
            ):
                return self._network(**placed)
        # what torch says where a configuration does not fit the tensors
        except (RuntimeError, ValueError, IndexError) as error:
            raise WeightsError(
                f"{self.kind.title} cannot be run: {' '.join(str(error).split())[:300]}",
                hint="fetch the folder again",
            ) from error

    def side(self) -> int:
        """Side of the square that the network was made for, px, as config.json says."""
        size = self.config.image_size
        return int(size if isinstance(size, int) else size[0])


class NetworkDetector:
    """What the detectors of such networks have in common; a subclass says its kind and `detect`.

    Args:
        weights: the folder.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        UsageError: there is no network at `weights`.
        WeightsError: it is not such a network.
        DeviceError: the device cannot be used.
    """

    kind: ClassVar[Kind]
    """What its folder has to hold."""

    def __init__(self, *, weights: Path, device: str = "auto") -> None:
        self._network = OpenNetwork(self.kind, weights, device)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it was trained on."""
        return self._network.classes


def _require_class(folder: Path, kind: Kind) -> None:
    """Raise WeightsError where a folder holds the same network for another task: boxes instead of
    masks, say. It would be told by tensors that are missing, which says less.
    """
    named = read_facts(folder / CONFIG_FILE).get("architectures")
    if isinstance(named, list) and named and kind.class_name not in named:
        raise WeightsError(
            f"{str(folder)!r} is not {kind.title} ({kind.class_name}): it holds {named[0]}",
            hint="name the folder of such a network",
        )


def from_queries(
    class_logits: torch.Tensor,
    mask_logits: torch.Tensor,
    names: list[str],
    at_picture_size: Callable[[torch.Tensor], torch.Tensor],
    *,
    is_judged_at_picture_size: bool = True,
) -> list[Detection]:
    """Instances from the queries of a mask transformer (MaskFormer and what came of it).

    A query is what it most probably is, and as sure as that, times how sure its mask is inside
    itself.

    Args:
        class_logits: (Q, C + 1); the last class is "nothing".
        mask_logits: (Q, h, w).
        names: of the C classes.
        at_picture_size: enlarges one query's logits, (1, 1, h, w), to (1, 1, H, W).
        is_judged_at_picture_size: whether masks are judged after that, else before.

    Returns:
        The detections, the surest first.

    Raises:
        WeightsError: the network does not give numbers.
    """
    probabilities = class_logits.float().softmax(dim=-1)[:, :-1]
    best, labels = probabilities.max(dim=-1)
    classes = [names[label] for label in labels.tolist()]
    scores = best.cpu().numpy()

    def judged(index: int) -> tuple[float, np.ndarray]:
        small = mask_logits[index][None, None].float()
        large = at_picture_size(small)
        mask = large > 0
        quality = _quality(large if is_judged_at_picture_size else small)
        return float(scores[index]) * quality, mask[0, 0].cpu().numpy()

    # a mask's own sureness is at most 1, so none that is left out here would be sure enough
    return detections(surest(scores, classes), classes, judged)


def _quality(logits: torch.Tensor) -> float:
    """The mean probability of the pixels of a mask, 0.5 … 1; 0 for an empty one."""
    inside = logits > 0
    # as the libraries compute it, their guard against an empty mask included
    return float((logits.sigmoid() * inside).sum() / (inside.sum() + 1e-6))


def resized(logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Logits (1, 1, h, w) at another size, bilinear between the pixels' centres."""
    import torch

    return torch.nn.functional.interpolate(
        logits, (height, width), mode="bilinear", align_corners=False
    )
