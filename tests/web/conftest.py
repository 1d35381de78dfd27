"""A served studio: with an engine that computes nothing, or with the real one on a small clip."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fake_studio import FakeStudio
from support.studio_server import Client, serving
from support.studios import open_studio

from vfx_matte.cli.typed import as_typed
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.web.spelling import Speller


@pytest.fixture(scope="session")
def _shared() -> Iterator[Client]:
    with serving(FakeStudio()) as client:
        yield client


@pytest.fixture
def page(_shared: Client) -> Iterator[Client]:
    """A page of a fake engine that earlier tests may have changed."""
    fake = _shared.studio
    fake.failure, fake.delay_seconds = None, 0.0
    fake.calls.clear()
    yield _shared
    fake.failure, fake.delay_seconds = None, 0.0


class PageReporter(SilentReporter):
    """Spells options as the page does."""

    def spell(self, text: str) -> str:
        return Speller(as_typed)(text)


@pytest.fixture
def real(tmp_path: Path, make_clip: Callable[..., Path]) -> Iterator[Client]:
    """A page of the real engine, with a clip of 12 frames, 96×64."""
    clip = tmp_path / "clip.mp4"
    shutil.copy2(make_clip("studio.mp4"), clip)
    studio = open_studio(clip, tmp_path, reporter=PageReporter())
    try:
        with serving(studio) as client:
            yield client
    finally:
        studio.close()
