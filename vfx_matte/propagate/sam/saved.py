"""Tensors of a walk as plain data, bit for bit, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

# NumPy has no bfloat16: its bits are kept as integers
_HALF = "bfloat16"
_TYPES = {_HALF: torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def packed(
    output: Mapping[str, torch.Tensor | None], *, shared: torch.Tensor | None = None
) -> dict[str, Any]:
    """Tensors by name as plain data.

    Args:
        output: the tensors.
        shared: one that is kept elsewhere, and left out.
    """
    found = {}
    for name, tensor in output.items():
        if tensor is None or tensor is shared:
            continue
        # an output of inference mode cannot be viewed as another type; its copy can
        plain = tensor.detach().cpu().contiguous()
        kind = str(plain.dtype).removeprefix("torch.")
        if kind not in _TYPES:
            raise ValueError(f"a walk has a tensor of {kind}")
        values = plain.view(torch.int16) if kind == _HALF else plain
        found[name] = {"type": kind, "values": np.array(values.numpy())}
    return found


def unpacked(saved: Mapping[str, Any], device: torch.device) -> dict[str, torch.Tensor]:
    """The tensors that `packed` made plain data of, on a device.

    Raises:
        KeyError: it is something else.
        TypeError: as well.
    """
    found = {}
    for name, entry in saved.items():
        kind = _TYPES[str(entry["type"])]
        values = torch.from_numpy(np.array(entry["values"]))
        tensor = values.view(torch.bfloat16) if kind is torch.bfloat16 else values
        if tensor.dtype != kind:
            raise TypeError(f"{name} is {tensor.dtype}, expected {kind}")
        found[name] = tensor.to(device)
    return found
