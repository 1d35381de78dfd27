"""A small mask and the plan of a run, for tests that save masks without a propagator."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfx_matte.masks import Palette
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import Manifest, ReferenceRecord, SourceStamp

PALETTE = Palette.davis()
MASK = np.zeros((24, 32), np.uint8)
MASK[4:12, 4:20], MASK[14:20, 10:30] = 1, 2
SOFT = {1: np.where(MASK == 1, 200, 7).astype(np.uint8), 2: np.zeros_like(MASK)}
BOTH = {1: (255, 0, 0), 2: (0, 255, 0)}


def plan_for(source: Path, *, frames: int = 10, **changes: object) -> Manifest:
    fields: dict[str, Any] = {
        "source": SourceStamp.of(source),
        "timeline": Timeline(
            tuple(range(0, 512 * frames, 512)), (512,) * frames, Fraction(1, 12800)
        ),
        "references": {0: ReferenceRecord("m.png", "ab" * 32, {1: (255, 0, 0)})},
        "propagator": "builtin",
        "settings": {"window": 5, "wide": True, "sigma": 0.1, "mode": "fine"},
        "start": 0,
        "stop": frames,
        "objects": {1: (255, 0, 0)},
    }
    return Manifest(**{**fields, **changes})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source" / "my clip.mp4"
    path.parent.mkdir()
    path.write_bytes(b"frames")
    return path


def soft_plan(source: Path, **changes: object) -> Manifest:
    return plan_for(source, **{"settings": {"soft": True}, "objects": BOTH, **changes})
