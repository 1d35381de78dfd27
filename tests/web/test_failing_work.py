# ruff: noqa: ANN401
"""Work that dies while somebody looks at the page: one line, and everything can be used again.

Skipped where Playwright or the browser is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from support.studio_page import FRAMES, Page
from support.studio_server import Client

from vfx_matte.propagate.fake import FakePropagator

pytestmark = pytest.mark.slow

NO_MEMORY = "this machine has no memory left for it"


@pytest.fixture
def propagator() -> str:
    return "fake"


@pytest.fixture
def studio(opened: Callable[..., Page], real: Client) -> Page:
    page = opened(real)
    page.button("Brush").click()
    page.drag((30, 40), (60, 50))
    return page


def breaking(monkeypatch: pytest.MonkeyPatch, error: BaseException, *, after: int) -> None:
    """Have the propagator fail after some frames, each of which takes a moment."""
    usual, steps = FakePropagator.step, 0

    def step(*given: Any, **named: Any) -> Any:
        nonlocal steps
        steps += 1
        time.sleep(0.05)
        if steps > after:
            raise error
        return usual(*given, **named)

    monkeypatch.setattr(FakePropagator, "step", step)


def can_be_used_again(studio: Page, before: Any) -> None:
    """Forward, Stop and Undo do what they do, and what was painted is there."""
    assert studio.button("Stop").is_disabled()
    assert (studio.mask() == before).all()
    studio.tab.get_by_role("alert").get_by_role("button", name="Dismiss").click()
    studio.button("Forward").click()
    studio.until("studio.store.state.project.jobs.at(-1)?.state === 'done'")
    assert studio.kind(FRAMES - 1) == "propagated"
    assert studio.tab.get_by_role("alert").count() == 0
    studio.button("Undo").click()
    studio.saved()
    assert (studio.mask() == before).all()


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(1), ValueError("no\nsuch thing")])
def test_a_propagator_that_dies(
    studio: Page, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = studio.mask()
    with monkeypatch.context() as broken:
        breaking(broken, error, after=4)
        studio.button("Forward").click()
        alert = studio.tab.get_by_role("alert")
        alert.wait_for()
        studio.until("studio.store.state.project.jobs.at(-1)?.state === 'failed'")
    said = NO_MEMORY if isinstance(error, MemoryError) else f"unexpected {type(error).__name__}"
    assert said in alert.inner_text()
    assert alert.count() == 1
    assert "failed" in studio.tab.get_by_role("status").inner_text()
    can_be_used_again(studio, before)


def test_a_failure_that_is_heard_before_the_answer(
    studio: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event of a job that fails at once may overtake the answer that it was begun."""
    before = studio.mask()

    def late(route: Any) -> None:
        answer = route.fetch()
        time.sleep(1.0)
        route.fulfill(response=answer)

    with monkeypatch.context() as broken:
        breaking(broken, MemoryError(), after=0)
        studio.tab.route("**/api/jobs", late)
        with studio.tab.expect_response("**/api/jobs"):
            studio.button("Forward").click()
        studio.tab.unroute("**/api/jobs")
        studio.tab.get_by_role("alert").get_by_text(NO_MEMORY).wait_for()
        studio.tab.evaluate("() => new Promise((next) => setTimeout(next, 300))")
    assert studio.tab.evaluate("() => studio.store.state.following") is False
    can_be_used_again(studio, before)


def test_a_failure_that_was_missed_is_said_when_the_page_hears_again(
    studio: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = studio.mask()
    with monkeypatch.context() as broken:
        breaking(broken, MemoryError(), after=3)
        studio.tab.evaluate("() => { studio.heard = () => {}; }")
        studio.button("Forward").click()
        studio.tab.wait_for_timeout(1500)
        assert studio.tab.get_by_role("alert").count() == 0
    studio.tab.evaluate("() => { delete studio.heard; return studio.session.reload(); }")
    studio.tab.get_by_role("alert").get_by_text(NO_MEMORY).wait_for()
    can_be_used_again(studio, before)
    # who opens the page later is not told of it any more
    studio.tab.reload()
    studio.shows(0)
    assert studio.tab.get_by_role("alert").count() == 0


def test_a_render_that_dies(studio: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise MemoryError

    studio.button("Forward").click()
    studio.until("studio.store.state.project.jobs.at(-1)?.state === 'done'")
    studio.tab.keyboard.press("Control+e")
    with monkeypatch.context() as broken:
        broken.setattr("vfx_matte.pipeline.render.mattes.Mattes.matte", fails)
        studio.button("Add to the queue").click()
        studio.tab.locator(".job .bad").get_by_text(NO_MEMORY).wait_for()
    studio.button("Add to the queue").click()
    studio.tab.locator(".job .result").get_by_text("greenback.mp4").wait_for(timeout=60_000)
