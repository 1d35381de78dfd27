# ruff: noqa: ANN401
"""The page in a real browser: what a person sees, clicks and paints, and what reaches the project.

Skipped where Playwright or the browser is missing.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.browsers import FIREFOX
from support.clips import VFR_PTS, number_of
from support.slow_opening import SlowOpening
from support.studio_page import FRAMES, HEIGHT, WIDTH, Page
from support.studio_server import Client, serving
from support.studios import served_studio

from vfx_matte.errors import WorkspaceError

pytestmark = pytest.mark.slow

# Firefox has no graphics card here that it would let pass for one
CHROMIUM_ALONE = pytest.mark.skipif(FIREFOX, reason="of Chromium's graphics")


@pytest.fixture(scope="module")
def variable(
    tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Path]
) -> Iterator[Client]:
    """A studio on a clip with uneven times, which the tests of it leave as it is."""
    folder = tmp_path_factory.mktemp("variable")
    clip = folder / "uneven.mp4"
    shutil.copy2(make_clip("uneven.mp4", pts=VFR_PTS, size=(192, 128)), clip)
    with served_studio(clip, folder, propagator="fake") as client:
        yield client


@pytest.fixture
def studio(opened: Callable[..., Page], real: Client) -> Page:
    return opened(real)


def add_object(studio: Page) -> None:
    before = studio.tab.get_by_role("list", name="Objects").get_by_role("listitem").count()
    studio.button("Add object").click()
    studio.tab.locator("#objects > li").nth(before).wait_for()
    studio.saved()


# coming in


def test_the_first_picture_is_there_while_the_frames_are_counted(
    browser: Any, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    clip = tmp_path / "clip.mp4"
    pts = tuple(range(0, 40 * 1001, 1001))
    shutil.copy2(make_clip("forty.mp4", pts=pts, options={"g": "20"}), clip)
    opening = SlowOpening(clip, tmp_path)
    try:
        with serving(opening) as client:
            page = Page(browser, client)
            early = page.tab.locator("#first-picture")
            early.wait_for()
            data = early.evaluate(
                """image => { const canvas = new OffscreenCanvas(96, 64);
                canvas.getContext("2d").drawImage(image, 0, 0, 96, 64);
                return [...canvas.getContext("2d").getImageData(0, 0, 96, 64).data]; }"""
            )
            assert number_of(np.array(data, np.uint8).reshape(64, 96, 4)[..., :3]) == 0
            place = page.frame.bounding_box()
            page.tab.get_by_text("The frames are being counted").wait_for()
            # nothing that works on frames can be reached, by mouse or keyboard
            assert page.tab.locator("#top, #tools, #side, #bottom").evaluate_all(
                "parts => parts.every((part) => part.inert)"
            )
            opening.finish()
            page.tab.wait_for_selector("#app[data-ready]")
            early.wait_for(state="hidden")
            assert number_of(page.picture()) == 0
            assert page.frame.bounding_box() == pytest.approx(place, abs=1)
            page.tab.keyboard.press("End")
            page.shows(39)
            assert page.tab.locator("#top").evaluate("part => part.inert") is False
            assert page.tab.locator("#advice").text_content() == ""
            page.context.close()
            assert page.faults == []
    finally:
        opening.finish()
        opening.close()


def test_the_page_says_why_a_clip_cannot_be_opened(
    browser: Any, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    clip = tmp_path / "clip.mp4"
    pts = tuple(range(0, 40 * 1001, 1001))
    shutil.copy2(make_clip("forty.mp4", pts=pts, options={"g": "20"}), clip)
    opening = SlowOpening(clip, tmp_path)
    with serving(opening) as client:
        page = Page(browser, client)
        opening.finish(WorkspaceError("this clip is open in another studio", hint="close that"))
        page.tab.get_by_role("heading", name="this clip is open in another studio").wait_for()
        page.tab.get_by_text("close that").wait_for()
        page.context.close()


def test_the_token_leaves_the_address(studio: Page) -> None:
    assert studio.client.token not in studio.tab.url
    assert "#" not in studio.tab.url
    studio.tab.reload()
    studio.shows(0)


@pytest.mark.parametrize(("fragment", "text"), [("", "needs the address"), ("#token=x", "earlier")])
def test_without_the_right_token_the_page_says_what_to_do(
    browser: Any, variable: Client, fragment: str, text: str
) -> None:
    tab = browser.new_page(locale="en-US")
    tab.goto(f"http://{variable.authority}/{fragment}")
    tab.get_by_role("heading", name=text).wait_for()
    assert not tab.locator("#app").is_visible()
    tab.close()


def test_everything_has_the_name_that_it_is_found_by(studio: Page) -> None:
    for name in (
        "Click", "Box", "Brush", "Eraser", "Stroke", "Undo", "Redo", "Forward", "Backward", "Both",
        "Stop", "Clear memory", "Export",
    ):  # fmt: skip
        assert studio.button(name).count() == 1, name
        # no other button can be taken for it
        assert studio.tab.get_by_role("button", name=name).count() == 1, name
    for name in ("References", "Suggested", "Problems"):
        assert studio.tab.get_by_role("tab", name=name, exact=True).count() == 1
    assert studio.frame.count() == studio.timeline.count() == 1
    assert studio.tab.get_by_role("list", name="Objects", exact=True).count() == 1
    assert studio.tab.get_by_role("status").count() == 1
    assert studio.timeline.get_attribute("aria-valuetext") == "frame 0, 0:00.000"


# seeing


def test_the_frame_shown_is_the_frame_that_was_asked_for(browser: Any, variable: Client) -> None:
    page = Page(browser, variable)
    times = variable("GET", "/api/project").json["clip"]["pts"]
    for index in (0, 3, 11, 4, 10, 1, 6):
        page.tab.evaluate(f"() => studio.player.goto({index})")
        page.shows(index)
        assert number_of(page.picture()) == index
        assert page.frame.get_attribute("data-pts") == str(times[index])
    seconds = (times[6] - times[0]) / 30000
    assert page.timeline.get_attribute("aria-valuetext") == f"frame 6, 0:0{seconds:.3f}"
    # at 1:1 and above the picture's own pixels come as PNG, to their places
    page.tab.locator("#full").click()
    page.until("studio.renderer.crop !== null")
    assert number_of(page.picture()) == 6
    assert page.faults == []
    page.context.close()


def test_keys_step_jump_and_play(studio: Page) -> None:
    keys = studio.tab.keyboard
    for key, index in (
        ("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("Home", 0), ("End", 11),
        ("Shift+ArrowLeft", 1),
    ):  # fmt: skip
        keys.press(key)
        studio.shows(index)
    box = studio.timeline.bounding_box()
    studio.tab.mouse.click(box["x"] + box["width"] * 7.5 / FRAMES, box["y"] + box["height"] / 2)
    studio.shows(7)
    keys.press("Home")
    studio.shows(0)
    keys.press("Space")
    studio.until("studio.store.state.shown > 4")
    keys.press("k")
    studio.until("studio.store.state.speed === 0")


def test_every_view_is_drawn_and_q_shows_the_source(studio: Page) -> None:
    studio.button("Brush").click()
    studio.drag((20, 40), (60, 44))
    studio.tab.mouse.move(2, 2)
    x, y = studio.tab.locator("#picture").evaluate("c => [c.width, c.height]")
    inside = round(y * 42 / HEIGHT), round(x * 40 / WIDTH)
    outside = round(y * 60 / HEIGHT), round(x * 80 / WIDTH)
    seen = {}
    for view in ("overlay", "outline", "alpha", "checker", "green", "color"):
        assert studio.tab.locator("#view").input_value() == view
        picture = studio.picture().astype(int)
        seen[view] = picture[inside], picture[outside]
        studio.tab.keyboard.press("v")
    assert abs(seen["alpha"][0] - 255).max() <= 64  # the grid of pixels may lie over it
    assert seen["alpha"][1].max() <= 64
    assert seen["green"][1][1] - seen["green"][1][0] > 100
    assert (seen["overlay"][0] != seen["outline"][0]).any()
    studio.tab.keyboard.down("q")
    source = studio.picture()
    studio.tab.keyboard.up("q")
    assert (source != studio.picture()).any()


# marking and painting


def test_a_click_makes_a_mask_and_undo_takes_it_back(studio: Page) -> None:
    studio.button("Click").click()
    studio.tab.mouse.click(*studio.at(40, 45))
    studio.saved()
    first = studio.mask()
    assert first[45, 40] == 1
    assert (studio.mask_here() == first).all()
    studio.tab.mouse.click(*studio.at(80, 60), button="right")
    studio.saved()
    marks = studio.client("GET", "/api/project").json["state"]["marks"]
    assert [(one["x"], one["y"], one["object"]) for one in marks["clicks"]] == [
        (40, 45, True),
        (80, 60, False),
    ]
    assert studio.mask()[60, 80] == 0
    studio.button("Undo").click()
    studio.saved()
    assert (studio.mask() == first).all()
    studio.tab.keyboard.press("Control+z")
    studio.saved()
    assert not studio.mask().any()
    studio.tab.keyboard.press("Control+Shift+z")
    studio.saved()
    assert (studio.mask() == first).all()
    studio.tab.reload()
    studio.shows(0)
    studio.until("studio.masks.get(0)?.mask.some(Boolean)")
    assert (studio.mask_here() == first).all()


def test_undo_and_redo_go_to_the_frame_that_they_change(studio: Page) -> None:
    add_object(studio)
    studio.button("Brush").click()
    studio.drag((20, 20), (30, 20))
    studio.tab.keyboard.press("End")
    studio.shows(11)
    studio.drag((20, 40), (30, 40))
    studio.tab.keyboard.press("Home")
    studio.shows(0)
    studio.button("Undo").click()
    studio.shows(11)
    assert studio.kind(11) == "none"
    studio.button("Undo").click()
    studio.shows(0)
    assert studio.kind(0) == "none"
    studio.tab.keyboard.press("ArrowRight")
    studio.shows(1)
    studio.button("Redo").click()
    studio.shows(0)
    # what changes no mask changes no frame
    studio.tab.keyboard.press("ArrowRight")
    studio.shows(1)
    studio.button("Set in").click()
    studio.saved()
    studio.tab.keyboard.press("ArrowRight")
    studio.shows(2)
    studio.button("Undo").click()
    studio.saved()
    studio.shows(2)


def ends(studio: Page) -> tuple[int | None, int | None]:
    state = studio.client("GET", "/api/project").json["state"]
    return state["first"], state["last"]


def test_in_and_out_are_dragged_on_the_timeline(studio: Page) -> None:
    one, other = (studio.tab.get_by_role("slider", name=name, exact=True) for name in ("In", "Out"))
    track = studio.timeline.bounding_box()

    def drag(handle: Any, index: float) -> None:
        box = handle.bounding_box()
        studio.tab.mouse.move(box["x"] + 4, box["y"] + 9)
        studio.tab.mouse.down()
        studio.tab.mouse.move(track["x"] + track["width"] * (index + 0.5) / FRAMES, 650, steps=5)
        studio.tab.mouse.up()
        studio.saved()

    drag(one, 3)
    drag(other, 8)
    assert ends(studio) == (3, 8)
    studio.shows(8)
    # each is one step of undo, they do not pass each other, and the clip's own ends are none
    drag(one, 11)
    assert ends(studio) == (8, 8)
    studio.button("Undo").click()
    studio.saved()
    assert ends(studio) == (3, 8)
    assert one.get_attribute("aria-valuetext").startswith("frame 3,")
    drag(one, 0)
    drag(other, 11)
    assert ends(studio) == (None, None)


def test_in_and_out_are_moved_by_keys(studio: Page) -> None:
    one, other = (studio.tab.get_by_role("slider", name=name, exact=True) for name in ("In", "Out"))
    undo = studio.client("GET", "/api/project").json["undo"]
    one.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        studio.tab.keyboard.press(key)
    # shown at once, saved once
    studio.shows(1)
    assert one.get_attribute("aria-valuenow") == "1"
    studio.until("studio.store.state.project.state.first === 1 && !studio.store.state.trim")
    studio.saved()
    other.focus()
    studio.tab.keyboard.press("Shift+ArrowLeft")
    studio.tab.keyboard.press("Tab")  # who leaves it means it
    studio.until("studio.store.state.project.state.last === 1 && !studio.store.state.trim")
    studio.saved()
    assert ends(studio) == (1, 1)
    other.focus()
    studio.tab.keyboard.press("Delete")
    studio.until("studio.store.state.project.state.last === null && !studio.store.state.trim")
    studio.button("Undo").click()
    studio.saved()
    studio.button("Undo").click()
    studio.saved()
    studio.button("Undo").click()
    studio.saved()
    assert ends(studio) == (None, None)
    assert studio.client("GET", "/api/project").json["undo"] == undo


def test_lists_that_were_found_in_older_masks_say_so(studio: Page) -> None:
    add_object(studio)
    studio.button("Brush").click()
    studio.drag((30, 30), (60, 30))
    studio.button("Forward").click()
    studio.until("studio.store.state.project.jobs.some((job) => job.state === 'done')")
    studio.saved()
    studio.tab.get_by_role("tab", name="Problems").click()
    old = studio.tab.locator("#problems-old")
    studio.until("studio.store.state.problems !== null")
    assert not old.is_visible()
    # a name is no mask
    studio.client("PATCH", "/api/objects/1", {"name": "Dog"})
    studio.saved()
    assert not old.is_visible()
    studio.drag((30, 40), (60, 40))
    old.wait_for()
    studio.tab.locator("#problems-again").click()
    old.wait_for(state="hidden")


def test_who_asks_for_the_worst_frame_hears_that_it_is_looked_for(
    studio: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    engine = studio.client.studio

    def problems() -> list[dict[str, Any]]:
        go_on.wait(20)
        return [{"index": 3, "rank": 1, "object": 1, "severity": 1.0, "reason": "flickers"}]

    monkeypatch.setattr(engine, "problems", problems)
    studio.tab.keyboard.press("w")
    studio.tab.get_by_role("status").get_by_text("Looking through the clip").wait_for()
    go_on.set()
    studio.shows(3)
    studio.tab.get_by_role("status").get_by_text("flickers").wait_for()


def test_box_and_stroke_are_marks(studio: Page) -> None:
    studio.button("Box").click()
    studio.drag((20, 34), (70, 60))
    marks = studio.client("GET", "/api/project").json["state"]["marks"]
    assert marks["box"] == [20, 34, 51, 27]
    studio.button("Stroke").click()
    studio.drag((30, 40), (50, 50), (60, 45))
    marks = studio.client("GET", "/api/project").json["state"]["marks"]
    assert marks["box"] == [20, 34, 51, 27]
    assert marks["strokes"][0]["points"][0] == [30, 40]
    assert marks["strokes"][0]["points"][-1] == [60, 45]
    mask = studio.mask()
    assert mask[40, 30] == 1
    assert set(np.unique(mask)) == {0, 1}


def test_paint_has_whole_ids_and_leaves_others_alone(studio: Page) -> None:
    studio.tab.evaluate("() => studio.store.set({size: 7})")
    studio.button("Brush").click()
    studio.drag((10, 20), (60, 40), (80, 10))
    first = studio.mask()
    assert set(np.unique(first)) == {0, 1}
    add_object(studio)
    studio.drag((5, 30), (90, 30))
    both = studio.mask()
    assert ((both == 1) == (first == 1)).all()
    assert (both == 2).any()
    assert (studio.mask_here() == both).all()
    # over others, but not over one that is locked
    studio.tab.get_by_role("button", name="Lock Object 1", exact=True).click()
    studio.saved()
    studio.tab.get_by_label("Over others").check()
    studio.drag((5, 20), (90, 20))
    assert ((studio.mask() == 1) == (first == 1)).all()
    studio.tab.get_by_role("button", name="Lock Object 1", exact=True).click()
    studio.saved()
    studio.drag((10, 25), (90, 25))
    assert (studio.mask() == 1).sum() < (first == 1).sum()


def test_shift_draws_a_straight_line_and_the_eraser_erases_its_object(studio: Page) -> None:
    studio.tab.evaluate("() => studio.store.set({size: 1})")
    studio.button("Brush").click()
    studio.tab.mouse.click(*studio.at(10, 10))
    studio.saved()
    studio.tab.keyboard.down("Shift")
    studio.tab.mouse.click(*studio.at(50, 30))
    studio.tab.keyboard.up("Shift")
    studio.saved()
    line = studio.mask()
    assert line.sum() == 41  # as many pixels as the longer side, and no two thick
    assert line[10, 10] == line[30, 50] == line[20, 30] == 1
    studio.button("Eraser").click()
    studio.tab.evaluate("() => studio.store.set({size: 9})")
    studio.drag((30, 20), (31, 20))
    erased = studio.mask()
    assert erased[20, 30] == 0
    assert erased[10, 10] == 1


def test_fill_closes_a_hole(studio: Page) -> None:
    studio.tab.evaluate("() => studio.store.set({size: 3})")
    studio.button("Brush").click()
    studio.drag((20, 20), (50, 20), (50, 50), (20, 50), (20, 20))
    assert studio.mask()[35, 35] == 0
    studio.button("Fill").click()
    studio.tab.mouse.click(*studio.at(35, 35))
    studio.saved()
    filled = studio.mask()
    assert filled[20:51, 20:51].all()
    assert filled[60, 90] == 0
    studio.tab.mouse.click(*studio.at(90, 60))
    studio.tab.get_by_text("whole background").wait_for()
    assert (studio.mask() == filled).all()


def test_what_is_painted_while_a_click_is_answered_stays(studio: Page) -> None:
    studio.button("Click").click()
    studio.tab.mouse.click(*studio.at(70, 45))
    studio.tab.keyboard.press("b")
    studio.drag((8, 8), (20, 12))
    mask = studio.mask()
    assert (mask[8, 8], mask[45, 70]) == (1, 1)
    assert (studio.mask_here() == mask).all()


def test_the_keyboard_alone_marks_and_paints(studio: Page) -> None:
    keys = studio.tab.keyboard
    studio.frame.focus()
    keys.press("b")
    keys.press("Enter")
    keys.press("Alt+ArrowRight")
    keys.press("Enter")
    studio.saved()
    assert studio.mask().any()
    keys.press("Control+z")
    studio.saved()
    assert not studio.mask().any()


def test_a_mask_is_imported(studio: Page, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 20:50] = 255
    file = tmp_path / "mask.png"
    Image.fromarray(mask).save(file)
    studio.tab.locator("#mask-file").set_input_files(file)
    studio.tab.get_by_text("mask.png is at this frame").wait_for()
    studio.saved()
    assert ((studio.mask() > 0) == (mask > 0)).all()


def test_another_tab_agrees_and_nothing_is_lost(studio: Page) -> None:
    other = studio.open()
    studio.button("Brush").click()
    studio.drag((20, 20), (40, 30))
    other.locator(".reference").wait_for()
    # a change that the first tab did not hear of
    studio.tab.evaluate("() => { studio.session.revision = 0; }")
    before = studio.mask()
    studio.drag((60, 50), (80, 60))
    studio.tab.get_by_text("changed elsewhere").wait_for()
    studio.saved()
    assert (studio.mask() == before).all()
    studio.until("studio.masks.get(0)?.unsaved === 0")
    assert (studio.mask_here() == before).all()
    studio.drag((60, 50), (80, 60))
    assert studio.mask()[50, 60] == 1
    other.close()


# work


def test_propagation_is_shown_as_it_comes_and_can_be_cleared(studio: Page) -> None:
    studio.button("Brush").click()
    studio.drag((30, 40), (60, 50))
    studio.button("Forward").click()
    studio.until("studio.store.state.project.jobs.at(-1)?.state === 'done'")
    studio.shows(FRAMES - 1)
    studio.until(f"studio.masks.get({FRAMES - 1})?.kind === 'propagated'")
    assert studio.button("Stop").is_disabled()
    assert "done" in studio.tab.get_by_role("status").inner_text()
    studio.button("Clear memory").click()
    studio.button("Propagated masks only").click()
    studio.saved()
    assert studio.kind(FRAMES - 1) == "none"
    assert studio.kind(0) == "reference"
    studio.button("Undo").click()
    studio.saved()
    assert studio.kind(FRAMES - 1) == "propagated"


def test_references_are_listed_jumped_to_switched_off_and_removed(studio: Page) -> None:
    studio.button("Brush").click()
    studio.drag((30, 40), (60, 50))
    studio.tab.keyboard.press("End")
    studio.shows(FRAMES - 1)
    studio.drag((30, 40), (60, 50))
    rows = studio.tab.locator(".reference")
    assert rows.count() == 2
    rows.first.locator(".jump").click()
    studio.shows(0)
    studio.tab.get_by_role("button", name="Use the reference at 0", exact=True).click()
    studio.saved()
    states = studio.client("GET", "/api/project").json["state"]["references"]
    assert [one["enabled"] for one in states] == [False, True]
    studio.tab.get_by_role("button", name="Remove the reference at 0", exact=True).click()
    studio.saved()
    assert rows.count() == 1


def test_an_export_is_previewed_made_and_verified(studio: Page) -> None:
    studio.button("Brush").click()
    studio.drag((30, 40), (60, 50))
    studio.tab.keyboard.press("Control+e")
    studio.tab.get_by_text("Green screen at frame 0").wait_for()
    studio.button("Add to the queue").click()
    studio.tab.locator(".job .result").first.wait_for(timeout=120_000)
    assert "frames verified" in studio.tab.locator(".job").first.inner_text()
    studio.tab.get_by_text("Commands that do the same").click()
    studio.tab.get_by_text("vfx-matte segment").wait_for()
    # as it is chosen now
    commands = studio.tab.locator("#commands")
    studio.tab.locator("#options label", has_text="edges").first.locator("select").select_option(
        "median"
    )
    commands.get_by_text("clip.mp4 --edges median").wait_for()
    studio.tab.get_by_label("Package for a program").check()
    commands.get_by_text("--edges median --for premiere").wait_for()
    if not FIREFOX:
        studio.context.grant_permissions(["clipboard-read", "clipboard-write"])
        studio.button("Copy").click()
        studio.button("Copied").wait_for()
        copied = studio.tab.evaluate("() => navigator.clipboard.readText()")
        assert copied == f"{commands.inner_text()}\n"
    assert studio.tab.get_by_label("background", exact=True).count() == 0


# words and keys


def test_what_cannot_be_exported_is_said_in_the_dialog_at_once(studio: Page) -> None:
    add_object(studio)
    studio.button("Brush").click()
    studio.drag((30, 30), (60, 30))
    studio.button("Export").click()
    studio.tab.locator("#options summary").click()
    codec = studio.tab.get_by_label("codec", exact=True)
    start, error = studio.button("Add to the queue"), studio.tab.locator("#export-error")
    codec.fill("prores_ks")
    error.get_by_text(".mp4 does not take codec 'prores_ks'").wait_for()
    assert start.is_disabled()
    # of another output it is the right one
    studio.tab.get_by_label("Cut-out with alpha").check()
    error.wait_for(state="hidden")
    assert start.is_enabled()
    studio.tab.get_by_label("Package for a program").check()
    studio.tab.get_by_label("fps", exact=True).fill("17")
    studio.tab.locator("#export-notes").get_by_text("no timeline of 17").wait_for()
    assert start.is_enabled()


def test_keys_are_given_to_other_actions_and_kept(studio: Page) -> None:
    keys = studio.tab.keyboard
    keys.press("?")
    studio.tab.locator('[data-action="brush"]').click()
    keys.press("m")
    keys.press("Escape")
    keys.press("m")
    assert studio.button("Brush").get_attribute("aria-pressed") == "true"
    studio.tab.reload()
    studio.shows(0)
    keys.press("m")
    assert studio.button("Brush").get_attribute("aria-pressed") == "true"
    keys.press("b")
    keys.press("c")
    keys.press("b")
    assert studio.button("Click").get_attribute("aria-pressed") == "true"


def test_chinese_by_the_browsers_language_and_by_choice(browser: Any, variable: Client) -> None:
    page = Page(browser, variable, locale="zh-CN")
    page.button("导出").wait_for()
    assert page.timeline.count() == 0
    page.tab.locator("#language").select_option("en")
    page.button("Export").wait_for()
    page.shows(0)
    assert page.faults == []
    page.context.close()


def test_what_the_engine_says_is_chinese_in_the_chinese_page(browser: Any, real: Client) -> None:
    page = Page(browser, real, locale="zh-CN")
    spoken = page.tab.evaluate(
        """async () => {
          const { t } = await import("/i18n.js");
          return ["object 2 lost 140 pixels to it", "undone: brush", "there is no object 7",
            "codec 'prores_ks' cannot hold yuva420p", "no such text 5", "my clip.mp4",
          ].map((one) => t(one));
        }"""
    )
    assert spoken == [
        "对象 2 被占去 140 个像素", "已撤销：画笔", "没有对象 7",
        "编码器 'prores_ks' 不支持 yuva420p", "no such text 5", "my clip.mp4",
    ]  # fmt: skip
    real.put_mask(0, bytes([1]) * (WIDTH * HEIGHT))
    page.saved()
    page.button("撤销").click()
    page.tab.locator("#status").get_by_text("已撤销：画笔").wait_for()
    # an error with its hint
    page.tab.evaluate(
        "() => studio.api.json('POST', 'undo').catch((e) => studio.notices.failed(e))"
    )
    page.tab.get_by_role("alert").get_by_text("没有可撤销的操作").wait_for()
    page.context.close()
    assert page.faults == []


@CHROMIUM_ALONE
def test_the_picture_comes_back_after_the_driver_took_it(browser: Any, real: Client) -> None:
    studio = Page(browser, real, graphics_card=True)
    studio.until("studio.renderer.crop !== null")
    before = studio.picture()
    studio.tab.evaluate(
        """() => {
          window.lose = studio.renderer.gl.getExtension("WEBGL_lose_context");
          window.lose.loseContext();
        }"""
    )
    studio.tab.get_by_text("took the picture away").wait_for()
    studio.tab.evaluate("() => window.lose.restoreContext()")
    studio.until("studio.renderer.gl !== null")
    studio.until("studio.renderer.crop !== null")
    studio.tab.evaluate("() => new Promise(requestAnimationFrame)")
    assert (studio.picture() == before).all()
    assert studio.faults == []
    studio.context.close()


@CHROMIUM_ALONE
def test_processor_and_graphics_card_draw_the_same(browser: Any, real: Client) -> None:
    software = Page(browser, real)
    software.button("Brush").click()
    software.drag((20, 40), (60, 44))
    add_object(software)
    software.drag((50, 20), (70, 50))
    card = Page(browser, real, graphics_card=True)
    names = [
        page.tab.evaluate("() => studio.renderer.constructor.name") for page in (software, card)
    ]
    assert names == ["SoftwareRenderer", "GpuRenderer"]
    looks = [
        *({"view": view} for view in ("overlay", "outline", "alpha", "checker", "green", "color")),
        {"view": "overlay", "source": True},
        {"view": "overlay", "wipe": 0.4},
        {"view": "alpha", "wipe": 0.6},
        {"view": "overlay", "opacity": 0.9, "solo": 2},
    ]
    seen = set()
    for zoom in (0, 1, 3):  # 0 = fitted
        for look in looks:
            drawn = []
            for page in (software, card):
                page.tab.mouse.move(2, 2)
                page.tab.evaluate(
                    """([zoom, look]) => {
                      if (zoom) studio.viewport.zoomTo(zoom);
                      const usual = { source: false, wipe: 0, solo: 0, opacity: 0.5 };
                      studio.store.set({ ...usual, ...look });
                    }""",
                    [zoom, look],
                )
                page.until("studio.renderer.crop !== null && studio.masks.get(0)")
                drawn.append(page.picture().astype(int))
            assert drawn[0].shape == drawn[1].shape
            apart = abs(drawn[0] - drawn[1]).max(axis=2)
            # columns that lie exactly between two pixels of the picture may show either
            assert (apart > 2).mean() < 0.01, (zoom, look, apart.max())
            seen.add(drawn[0].tobytes())
    assert len(seen) == 3 * len(looks)
    assert software.faults == card.faults == []
    software.context.close()
    card.context.close()


def test_masks_are_kept_and_compared_with_later_ones(studio: Page) -> None:
    studio.button("Brush").click()
    studio.drag((10, 40), (80, 44))
    studio.tab.locator("#view").select_option("alpha")
    both = studio.picture().astype(int)
    studio.button("Keep as A").click()
    studio.tab.keyboard.press("Control+z")
    studio.saved()
    studio.until("studio.masks.get(0)?.mask.every((id) => id === 0)")
    half = studio.picture().astype(int)
    middle = half.shape[1] // 2
    left, right = slice(0, middle - 9), slice(middle + 9, None)
    assert (half[:, left] == both[:, left]).all()
    assert half[:, right].max() <= 64 < both[:, right].max()


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("width", [800, 1024, 1280])
def test_nothing_lies_beyond_the_edge_of_a_narrow_window(
    browser: Any, variable: Client, locale: str, width: int
) -> None:
    page = Page(browser, variable, locale=locale)
    page.tab.set_viewport_size({"width": width, "height": 600})
    page.tab.evaluate("() => new Promise(requestAnimationFrame)")
    beyond = page.tab.evaluate(
        """() => [...document.querySelectorAll("#app :is(button, select, input)")]
          .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
          .filter(([, { width, right, left }]) => width && (right > innerWidth || left < 0))
          .map(([name]) => name)"""
    )
    assert beyond == []
    assert page.tab.locator("#frame").bounding_box()["height"] > 150
    # an object can be told by its name
    name = page.tab.locator("#objects .name").first
    assert name.evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")
    page.context.close()


def test_the_picture_can_be_clicked_on_at_twice_the_size_on_a_small_screen(
    browser: Any, variable: Client
) -> None:
    page = Page(browser, variable, viewport={"width": 640, "height": 360}, device_scale_factor=2)
    assert page.frame.bounding_box()["height"] > 150
    # what does not fit is reached by scrolling
    for part in (page.button("Export"), page.timeline, page.tab.locator("#wipe")):
        part.scroll_into_view_if_needed()
        box = part.bounding_box()
        assert 0 <= box["y"] < 360
    page.context.close()
