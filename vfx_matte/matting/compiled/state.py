"""Says what compiles here, and whether it has."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from vfx_matte.matting import compiled

CALLED = {
    "band": ("_part_sides", "_exceed", "_read_deep", "_trust_read", "fill_band"),
    "clouds": ("_learn",),
    "codes": ("fill_codes",),
    "distance": ("_signed_distance",),
    "loose": ("_see", "_keep_large"),
    "own_edge": ("_smoothed",),
    "pixels": ("_alpha_of",),
    "subject": ("_soft_box", "_find_levels", "_clean"),
}
"""Module → the functions that every frame calls from Python; each holds those that it calls."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """What compiles, and what it has compiled."""

    version: str
    """Numba's."""

    folder: Path | None
    """Where compiled functions are kept; None where no place can be written."""

    is_ready: bool
    """Whether all of them are there, so that no render waits for them."""


def compiler() -> Compiler | None:
    """What compiles here; None where Numba is not installed. Nothing is compiled for it."""
    if not compiled.usable(np.zeros(1)):
        return None
    folders, found = set[str](), []
    for name, functions in CALLED.items():
        module = importlib.import_module(f"{compiled.__name__}.{name}")
        for function in (getattr(module, each) for each in functions):
            folder = function.stats.cache_path
            folders.update({folder} if folder else ())
            found.append(bool(folder) and _is_listed(function))
    return Compiler(metadata.version("numba"), Path(min(folders)) if folders else None, all(found))


def _is_listed(function: Any) -> bool:  # noqa: ANN401  Numba has no types
    """Whether something is kept of a function."""
    try:
        # Numba reads its own index so: empty where the source has changed since
        return bool(function._cache._cache_file._load_index())
    except Exception:  # noqa: BLE001  a damaged pickle may raise anything
        return False
