"""A propagator that fails on the way, as a power cut or a bug would make it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vfx_matte.masks import Image, Mask, Probabilities
from vfx_matte.propagate.fake import FakePropagator


class Breaks:
    """Makes the propagator fail at its n-th step, as a power cut or a bug would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self.at: int | None = None
        step = FakePropagator.step

        def counted(
            fake: FakePropagator, image: Image, mask: Mask | None = None, *, last: bool = False
        ) -> Probabilities:
            self.steps += 1
            if self.steps == self.at:
                raise MemoryError("the machine gave up")
            return step(fake, image, mask, last=last)

        monkeypatch.setattr(FakePropagator, "step", counted)


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaks]:
    return Breaks(monkeypatch)
