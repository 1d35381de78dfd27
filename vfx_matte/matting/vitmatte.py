"""Finds alpha by ViTMatte, a trained network whose weights the user brings.

Yao, Wang, Yang and Wang, "ViTMatte: Boosting image matting with pretrained plain vision
transformers", Information Fusion 2024, as the `transformers` package runs it. The network is read
from a folder in the form that `save_pretrained` leaves (config.json, model.safetensors, and
preprocessor_config.json when colours are not scaled to -1..1); nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vfx_matte.backend import Array, enlarged, shrunk, to_numpy, xp
from vfx_matte.errors import DeviceError
from vfx_matte.matting.problem import UNKNOWN, AlphaProblem
from vfx_matte.pretrained import (
    Preprocessing,
    load_network,
    network_folder,
    read_preprocessing,
    require_packages,
    torch_device,
)
from vfx_matte.printable import shell_command
from vfx_matte.settings.edge_methods import usual
from vfx_matte.settings.options import RenderSettings
from vfx_matte.wording import option

if TYPE_CHECKING:
    import torch

DEFAULT_FOLDER = Path("model/vitmatte")

_NEEDED_BY = "edges 'vitmatte' need"

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
    _colors: Preprocessing = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require_packages(_NEEDED_BY, ("torch", "transformers"), extra="vitmatte")
        fetch = shell_command(
            ["hf", "download", "hustvl/vitmatte-small-composition-1k", "--local-dir", self.weights]
        )
        folder = network_folder(self.weights, title=_NEEDED_BY, hint=f"fetch one, e.g. {fetch}")
        self._device = torch_device(self.device)
        self._network = load_network(
            folder, "VitMatteForImageMatting", title="a ViTMatte network"
        ).to(self._device)
        self._colors = read_preprocessing(folder, Preprocessing((0.5,) * 3, (0.5,) * 3))

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

        colors = (image - np.asarray(self._colors.mean, np.float32)) / np.asarray(
            self._colors.deviation, np.float32
        )
        stacked = torch.from_numpy(
            np.ascontiguousarray(np.dstack([colors, trimap]).transpose(2, 0, 1), np.float32)
        )
        below, right = (-side % SIDE_MULTIPLE_PX for side in trimap.shape)
        return torch.nn.functional.pad(stacked, (0, right, 0, below))[None].to(self._device)
