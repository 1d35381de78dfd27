# ruff: noqa: ANN401
"""Fixtures that serve the studio and open its page in a browser.

The studio's engine is either a fake one, which computes nothing, or the real one on a small clip.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browsers import EXECUTABLE, launched
from support.fake_studio import FakeStudio
from support.studio_page import Page
from support.studio_server import Client, serving
from support.studios import served_studio

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
def propagator() -> str:
    """What the studio of `real` propagates masks with; a file of tests may have another one."""
    return "builtin"


@pytest.fixture
def real(tmp_path: Path, make_clip: Callable[..., Path], propagator: str) -> Iterator[Client]:
    """A page of the real engine, with a clip of 12 frames, 96×64."""
    clip = tmp_path / "clip.mp4"
    shutil.copy2(make_clip("studio.mp4"), clip)
    with served_studio(clip, tmp_path, propagator=propagator, reporter=PageReporter()) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for the tests of a file, and not for all: while it runs, nothing else in this thread may
    run an event loop.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    if EXECUTABLE is None:
        pytest.skip("there is no browser")
    with playwright.sync_playwright() as running:
        opened = launched(running)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Page]]:
    """Opens pages of served studios, each with storage of its own, as another person has. No script
    of theirs may have failed in the end.
    """
    pages: list[Page] = []

    def open_page(client: Client, **context: Any) -> Page:
        pages.append(Page(browser, client, **context))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()
    assert [fault for page in pages for fault in page.faults] == []
