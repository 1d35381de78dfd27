"""Finds alpha by ViTMatte, a trained network whose weights the user brings.

Yao, Wang, Yang and Wang, "ViTMatte: Boosting image matting with pretrained plain vision
transformers", Information Fusion 2024, as the `transformers` package runs it. The network is read
from a folder in the form that `save_pretrained` leaves (config.json, model.safetensors, and
preprocessor_config.json when colours are not scaled to -1..1); nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vfx_matte.backend import Array, enlarged, shrunk, to_numpy, xp
from vfx_matte.errors import DeviceError, UsageError, WeightsError, install_hint
from vfx_matte.matting.problem import UNKNOWN, AlphaProblem
from vfx_matte.printable import shell_command
from vfx_matte.settings.edge_methods import usual
from vfx_matte.settings.options import RenderSettings
from vfx_matte.wording import option

if TYPE_CHECKING:
    import torch

DEFAULT_FOLDER = Path("model/vitmatte")

SIDE_MULTIPLE_PX = 32
"""Sides are padded to multiples of this: patches of 16 px, and two halvings of the detail branch
less.
"""

LARGEST_PX = 1280 * 1280
"""Pixels that the network sees at once; attention grows with their square.

A larger part is halved until it fits.
"""

SMALLEST_SIDE_PX = 128
"""Where memory does not suffice for a part of this side, the device is given up."""


@dataclass(slots=True)
class VitMatteAlpha:
    """The network of a folder, or of its only subfolder that holds a config.json.

    Raises:
        UsageError: transformers, PyTorch or the folder is not there.
        WeightsError: the folder is not a ViTMatte network, or lacks a part of one.
        DeviceError: "cuda" was asked for and is not usable, or memory is too small.
    """

    weights: Path = DEFAULT_FOLDER
    """That folder."""

    device: str = RenderSettings().device
    """"auto" (a GPU where PyTorch finds one), "cpu" or "cuda"."""

    # with its margins a tile is 1024 px wide, which the network sees in one piece (18 s and 2.3 GB
    # on two busy cores, docs/matting.md)
    margin_px: int = 128
    tile_px: int = 768
    # PyTorch has threads of its own
    in_threads: bool = False
    _network: Any = field(init=False, repr=False)
    _device: torch.device = field(init=False, repr=False)
    _mean: list[float] = field(init=False, repr=False)
    _deviation: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        missing = [
            name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None
        ]
        if missing:
            raise UsageError(
                f"edges 'vitmatte' need {' and '.join(missing)}, which is not installed",
                hint=install_hint("vitmatte"),
            )
        folder = _network_folder(self.weights)
        self._device = _torch_device(self.device)
        self._network = _load_network(folder).to(self._device)
        self._mean, self._deviation = _normalisation(folder)

    def __call__(self, problem: AlphaProblem) -> Array:
        """Alpha as float32 (h, w) in 0..1; the prior where nothing is unknown."""
        if not bool((problem.trimap == UNKNOWN).any()):
            return problem.prior
        image, trimap = (
            to_numpy(problem.image),
            to_numpy(problem.trimap).astype(np.float32) * np.float32(1 / 255),
        )
        # smaller until it is what the network may see at once, then until memory suffices
        factor, alpha = 1, None
        while image.shape[0] * image.shape[1] > LARGEST_PX * factor * factor:
            factor *= 2
        while alpha is None:
            alpha = self._run(shrunk(image, factor), shrunk(trimap, factor))
            if alpha is None and min(image.shape[:2]) // (2 * factor) < SMALLEST_SIDE_PX:
                raise DeviceError(
                    f"memory of {self._device} is too small for ViTMatte",
                    hint=f"use {option('edges', usual(from_picture=True))}",
                )
            factor = factor if alpha is not None else 2 * factor
        whole = (
            enlarged(alpha, factor, (int(image.shape[0]), int(image.shape[1])))
            if factor > 1
            else alpha
        )
        found: Array = xp(problem.image).asarray(np.clip(whole, 0, 1).astype(np.float32))
        return found

    def _run(self, image: Array, trimap: Array) -> Array | None:
        """Alpha of a picture that fits, float32 (h, w); None when memory did not suffice."""
        import torch

        height, width = trimap.shape
        try:
            with torch.inference_mode():
                alphas: Array = (
                    self._network(self._input(image, trimap))
                    .alphas[0, 0, :height, :width]
                    .float()
                    .cpu()
                    .numpy()
                )
        # what did not fit is given back, or the smaller try would not fit either
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            return None
        return alphas

    def _input(self, image: Array, trimap: Array) -> torch.Tensor:
        """Normalised colours and the trimap as a tensor (1, 4, H, W), zeros below and to the right
        up to the multiple.
        """
        import torch

        colors = (image - np.asarray(self._mean, np.float32)) / np.asarray(
            self._deviation, np.float32
        )
        stacked = torch.from_numpy(
            np.ascontiguousarray(np.dstack([colors, trimap]).transpose(2, 0, 1), np.float32)
        )
        below, right = (-side % SIDE_MULTIPLE_PX for side in trimap.shape)
        return torch.nn.functional.pad(stacked, (0, right, 0, below))[None].to(self._device)


def _network_folder(weights: Path) -> Path:
    """The folder that holds config.json.

    Raises:
        UsageError: it is nowhere, or in several folders.
    """
    # `hf download` of several networks into one folder leaves a folder for each
    if (weights / "config.json").is_file():
        return weights
    inside = sorted(path.parent for path in weights.glob("*/config.json"))
    if len(inside) == 1:
        return inside[0]
    found = (
        f"holds several: {', '.join(path.name for path in inside)}"
        if inside
        else "has no config.json"
    )
    fetch = shell_command(
        ["hf", "download", "hustvl/vitmatte-small-composition-1k", "--local-dir", weights]
    )
    raise UsageError(
        f"edges 'vitmatte' need a network, but {str(weights)!r} {found}",
        hint=f"fetch one, e.g. {fetch}",
    )


def _torch_device(name: str) -> torch.device:
    """The device of "auto", "cpu" or "cuda".

    Raises:
        DeviceError: "cuda" is not usable.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device 'cuda' is not usable: PyTorch finds no GPU", hint="use the CPU")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _load_network(folder: Path) -> Any:  # noqa: ANN401  a class of an optional package
    """The network, whole and in evaluation mode; pickled weights are read as data only."""
    from transformers import VitMatteForImageMatting
    from transformers.utils import logging

    problem = f"{str(folder)!r} is not a ViTMatte network"
    # transformers talks to stderr while it loads; what it finds is in its report
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        network, report = VitMatteForImageMatting.from_pretrained(
            folder,
            local_files_only=True,
            output_loading_info=True,
            weights_only=True,
            ignore_mismatched_sizes=False,
        )
    # transformers, safetensors and torch raise many unrelated types for a bad file
    except Exception as error:
        raise WeightsError(
            f"{problem}: {' '.join(str(error).split())[:300]}", hint="fetch the folder again"
        ) from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
    # a missing tensor would be filled with random numbers, and the network run
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise WeightsError(
            f"{problem}: {len(lacking)} tensors are missing, the first is {lacking[0]}",
            hint="fetch it again",
        )
    return network.eval()


def _normalisation(folder: Path) -> tuple[list[float], list[float]]:
    """Mean and deviation of the colours the network was trained with; 0.5 each unless
    preprocessor_config.json differs.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return [0.5] * 3, [0.5] * 3
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        mean, deviation = (
            [float(value) for value in facts.get(key, [0.5] * 3)]
            for key in ("image_mean", "image_std")
        )
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{str(path)!r} cannot be read: {error}", hint="fetch the folder again"
        ) from error
    if len(mean) != 3 or len(deviation) != 3 or min(deviation) <= 0:
        raise WeightsError(
            f"{str(path)!r} has mean {mean} and deviation {deviation}, expected three colours each"
        )
    return mean, deviation
