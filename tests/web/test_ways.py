# ruff: noqa: ANN401
"""How masks are made, in a real browser: choices, what others lack, and finding by text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.drifting_squares import draw
from support.scripted_detector import Script, register_text
from support.studio_page import Page
from support.studio_server import Client
from support.studios import served_studio

pytestmark = pytest.mark.slow
FRAMES = [draw(index) for index in range(30)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Client]:
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, (image, _) in enumerate(FRAMES):
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"clip.{index:04d}.png"), picture)
    with served_studio(folder, tmp_path, propagator="auto") as client:
        yield client


@pytest.fixture
def opened(opened: Callable[..., Page], served: Client) -> Callable[..., Any]:
    """Opens the page in a further tab, once it offers ways."""

    def open_tab(*, locale: str = "en-US") -> Any:
        tab = opened(served, locale=locale).tab
        tab.locator("#propagator option").nth(1).wait_for(state="attached")
        return tab

    return open_tab


def combobox(tab: Any, name: str) -> Any:
    return tab.get_by_role("combobox", name=name, exact=True)


def test_a_method_and_a_propagator_are_chosen_by_keyboard_and_kept(
    opened: Callable[..., Any], served: Client
) -> None:
    tab = opened()
    assert not combobox(tab, "First mask").is_visible()
    tab.locator("#ways summary").focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "method"
    with tab.expect_response("**/api/ways"):
        combobox(tab, "First mask").select_option("graph")
    with tab.expect_response("**/api/ways"):
        combobox(tab, "Propagator").select_option("builtin")
    assert served("GET", "/api/ways").json["method"] == "graph"
    # a second tab and a reload have the same
    for other in (opened(), tab):
        other.reload()
        other.locator("#propagator option").nth(1).wait_for(state="attached")
        assert other.locator("#propagator").input_value() == "builtin"
        assert other.locator("#ways-chosen").inner_text() == "colours and a graph cut · built-in"
    assert combobox(tab, "First mask").is_visible(), "it stays open"
    # the click is answered by it, and the shown commands name both
    tab.get_by_role("button", name="Click", exact=True).click()
    box = tab.locator("#frame").bounding_box()
    tab.mouse.click(box["x"] + box["width"] * 14 / 64, box["y"] + box["height"] * 12 / 48)
    tab.wait_for_selector("#references li")
    tab.get_by_role("button", name="Export", exact=True).click()
    tab.get_by_text("Commands that do the same").click()
    tab.locator("#commands").get_by_text("--method graph").wait_for()
    assert "--propagator builtin" in tab.locator("#commands").inner_text()


def test_what_is_missing_is_said_and_cannot_be_chosen(
    opened: Callable[..., Any], served: Client
) -> None:
    tab = opened()
    tab.locator("#ways summary").click()
    xmem = tab.locator("#propagator option[value=xmem]")
    assert xmem.evaluate("one => one.disabled")
    assert xmem.inner_text() == "XMem: not here"
    lacks = tab.locator("#ways-lacks").inner_text()
    for words in ("XMem needs", "SAM 2 needs", "EdgeTAM needs", "pip install"):
        assert words in lacks
    field = tab.get_by_label("Find by text", exact=True)
    assert field.is_disabled()
    assert tab.get_by_role("button", name="Find", exact=True).is_disabled()
    note = tab.locator("#find-note").inner_text()
    assert "SAM 3, whose weights are not at" in note
    assert "facebook/sam3" in note


def test_it_is_said_in_chinese(opened: Callable[..., Any], served: Client) -> None:
    tab = opened(locale="zh-CN")
    tab.locator("#ways summary").click()
    assert "按文字查找需要 SAM 3" in tab.locator("#find-note").inner_text()
    assert "XMem 需要" in tab.locator("#ways-lacks").inner_text()
    assert tab.locator("#propagator option[value=xmem]").inner_text() == "XMem：此处不可用"
    assert combobox(tab, "首个遮罩").input_value() == "auto"


def test_what_a_text_says_is_found_and_shown(
    opened: Callable[..., Any], served: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script.of_clip(FRAMES, {1: "dog", 2: "person"})
    register_text(script, tmp_path, monkeypatch)
    script.doubt(1, frames=[0], score=0.4)
    tab = opened()
    tab.locator("#ways summary").click()
    # an f in the field is a letter, and propagates nothing
    tab.get_by_label("Find by text", exact=True).fill("")
    tab.get_by_label("Find by text", exact=True).press_sequentially("fluffy dog")
    tab.keyboard.press("Enter")
    tab.wait_for_selector('#frame[data-index="24"]')
    tab.get_by_role("button", name="fluffy dog", exact=True).wait_for()
    assert served("GET", "/api/frames/24/mask").headers["x-mask-kind"] == "reference"
    assert [one["kind"] for one in served("GET", "/api/project").json["jobs"]] == ["find"]
    tab.reload()
    tab.wait_for_selector("#frame[data-index]")
    tab.locator("#find-text:not([disabled])").wait_for()
    assert tab.get_by_label("Find by text", exact=True).input_value() == "fluffy dog"
    # what is not there is said, too
    tab.get_by_label("Find by text", exact=True).fill("cat")
    tab.get_by_role("button", name="Find", exact=True).click()
    tab.get_by_role("alert").get_by_text("'cat' was not found").wait_for()
