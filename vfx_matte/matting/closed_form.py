"""Closed-form matting through PyMatting, on the CPU wherever the arrays are."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Array, to_numpy, xp
from vfx_matte.errors import UsageError, install_hint
from vfx_matte.matting.problem import SUBJECT, UNKNOWN, AlphaProblem


@dataclass(frozen=True, slots=True)
class ClosedFormAlpha:
    """Alpha by Levin, Lischinski and Weiss, "A closed-form solution to natural image matting",
    TPAMI 2008.

    Raises:
        UsageError: PyMatting is not installed.
    """

    # tiles bound the solver's memory and time, which grow with the unknown pixels; the margin gives
    # each some known ones
    margin_px: int = 24
    tile_px: int = 256
    # warnings are switched off for the whole process while it runs
    in_threads: bool = False

    def __post_init__(self) -> None:
        if importlib.util.find_spec("pymatting") is None:
            raise UsageError(
                "edges 'closed-form' need PyMatting, which is not installed",
                hint=install_hint("matting"),
            )

    def __call__(self, problem: AlphaProblem) -> Array:
        """Alpha as float32 (h, w).

        Without known subject or known background the prior is all there is, and is given back.
        """
        # the equations need both sides: without one any alpha solves them
        trimap = to_numpy(problem.trimap)
        if (
            not (trimap == SUBJECT).any()
            or not (trimap == 0).any()
            or not (trimap == UNKNOWN).any()
        ):
            return problem.prior
        with warnings.catch_warnings():
            # Numba and PyMatting warn of what concerns their developers
            warnings.simplefilter("ignore")
            from pymatting import estimate_alpha_cf

            alpha = estimate_alpha_cf(to_numpy(problem.image).astype(np.float64), trimap / 255.0)
        found: Array = xp(problem.image).asarray(np.clip(alpha, 0, 1).astype(np.float32))
        return found
