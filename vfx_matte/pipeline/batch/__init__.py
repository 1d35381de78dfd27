"""Runs commands on many clips, several at once, each in a process of its own."""

from __future__ import annotations

from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan, batch_plan
from vfx_matte.pipeline.batch.run import (
    BatchOptions,
    BatchResult,
    ShotResult,
    StepResult,
    require_done,
    run_batch,
)

__all__ = [
    "BatchOptions",
    "BatchResult",
    "ShotPlan",
    "ShotResult",
    "StepPlan",
    "StepResult",
    "batch_plan",
    "require_done",
    "run_batch",
]
