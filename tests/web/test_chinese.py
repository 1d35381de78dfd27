# ruff: noqa: ANN401
"""The page in Chinese: its own words, and whatever the engine can say to somebody at the page.

The engine's texts are read from the source of every module that the studio can reach, so a new text
without a translation is noticed here. What is left out stands in a list, with the reason.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from support.messages import said_by, sentences_of
from support.reachable import modules, reachable
from support.studio_page import Page
from support.studio_server import GROUPS, Client

from vfx_matte.cli.typed import as_typed
from vfx_matte.settings import ini
from vfx_matte.web.routes.page import STATIC
from vfx_matte.web.spelling import NOT_ASKED, Speller
from vfx_matte.wording import command, either, option

ENTRY = re.compile(r'^  (?:"((?:[^"\\]|\\.)*)"|(\w+)):', re.MULTILINE)
PAIR = re.compile(r'^  "([^"]+)":\s+"([^"]+)",$', re.MULTILINE)
FILES = {name: (STATIC / name).read_text("utf-8") for name in ("chinese.js", "engine_chinese.js")}
KNOWN = {
    re.sub(r"\{\w+\}", "{}", re.sub(r"\\(.)", r"\1", quoted or bare))
    for name, text in FILES.items()
    for quoted, bare in ENTRY.findall(text)
    # the page fills its own blanks; what comes filled is looked for among the engine's texts
    if name == "engine_chinese.js" or "{" not in quoted
}

LEFT_OUT = {
    "vfx_matte": "for programmers",
    "vfx_matte.web.guard": "for programs: a page that is let in never hears it, and one that is not"
    " has words of its own",
    "vfx_matte.web.routes.page": "for programs: the page asks for no file that is not there",
    "vfx_matte.weights.table": "for whoever writes weights.toml",
    "vfx_matte.weights.download": "the page is told in one line that a fetch failed, not why",
    "vfx_matte.weights.package_file": "the page is told in one line that a fetch failed, not why",
    "vfx_matte.pipeline.batch.processes": "the studio starts no other processes",
    "vfx_matte.pipeline.segment.workers": "the studio starts no other processes",
    "vfx_matte.pipeline.segment.begun": "of a command that names no masks; the page has its own",
    "vfx_matte.pipeline.segment.parts": "the studio names no parts",
    "vfx_matte.pipeline.first_mask.making": "of the mask files of a command; the page has no files",
    "vfx_matte.pipeline.first_mask.changes": "of one call of a command; the page shows it, and"
    " knows all marks",
    "vfx_matte.pipeline.first_mask.records": "of the options of a command",
    "vfx_matte.pipeline.export.conform": "of a command; a package uses none of what is refused",
    "vfx_matte.pipeline.export.frame_map_check": "of a command",
    "vfx_matte.pipeline.review.findings": "of a command's limit",
    "vfx_matte.pipeline.render.exr": "the page names no output file, and the usual ones are no EXR",
    "vfx_matte.media.writers.exr": "the page names no output file, and the usual ones are no EXR",
    "vfx_matte.media.writers.numbered_files": "the page names no output file",
    "vfx_matte.media.open": "of the command line's options for opening the clip",
    "vfx_matte.media.sequence": "told at the terminal while the clip is opened",
    "vfx_matte.media.writers.left_out": "a comment within a file, which the program reads again",
    "vfx_matte.numbering": "told at the terminal while the clip is opened",
    "vfx_matte.media.readers.conformed": "told of clips that a command conformed",
    "vfx_matte.media.readers.part": "told of parts of clips, which only commands read",
    "vfx_matte.timecode": "a timecode that cannot be read is left out, and nothing is said",
    "vfx_matte.programs.record": "for programmers: the records of editing programs are fixed",
    "vfx_matte.propagate.fake": "for tests",
    "vfx_matte.programs.notes": "the notes in a package are files in English",
    "vfx_matte.programs.premiere": "the notes in a package are files in English",
    "vfx_matte.programs.aftereffects": "the notes in a package are files in English",
    "vfx_matte.programs.resolve": "the notes in a package are files in English",
    "vfx_matte.programs.finalcut": "the notes in a package are files in English",
    "vfx_matte.programs.capcut": "the notes in a package are files in English",
    "vfx_matte.programs.web": "the notes in a package are files in English",
}
"""Module → why nobody at the page is told what it says."""

FINDINGS = (
    "MEASURES", "advise", "_advise_to_repair", "_advise_on_small", "_area_jump", "_of_area",
    "_usually",
)  # fmt: skip
"""What in measure/registry.py words a finding."""

# of the curves in a report
DRAWN = (
    "Pieces that change sides",
    "the largest one that joins or leaves the object though the picture there stays the same, as a"
    " part of its area",
    "Edge on the picture", "Width of the soft edge", "in pixels",
    "area of holes along which the picture has no edge, as a part of the object's",
    "area of small loose pieces, as a part of the object's",
    "how much of the mask is expected to be right; what went wrong on the way counts too",
    "part of the picture that the mask covers; dots where it jumps",
    "what changes on one frame alone, as a part of the object's area",
    "whether the mask's edge lies where the picture has one; 50 % = no more than beside it",
    "with the mask of the frame before, warped by optical flow",
)  # fmt: skip
"""Words of the report that `qc` writes, which the page does not show."""


@cache
def reached() -> set[str]:
    """Every module that the studio can reach."""
    return reachable("vfx_matte.pipeline.studio", "vfx_matte.web.routes", "vfx_matte.web.app")


@cache
def said() -> dict[str, set[str]]:
    """What each of them says to people at the page."""
    texts = {name: said_by(modules()[name]) for name in sorted(reached() - LEFT_OUT.keys())}
    return {name: those for name, those in texts.items() if those}


def test_what_the_engine_says_has_a_chinese_text() -> None:
    missing = {name: texts - KNOWN for name, texts in said().items() if texts - KNOWN}
    assert not missing, "give these a line in engine_chinese.js, or the module one in LEFT_OUT"


def test_a_message_names_no_option_as_it_is_typed() -> None:
    """It would stand in the page like that; `option` names it for every door."""
    typed = re.compile(r"(^|[\s(])--?[a-z]")
    assert not [
        (name, text)
        for name, texts in said().items()
        for text in texts
        if typed.search(text.partition("pip install")[0])
    ]


def test_the_reasons_of_problems_have_a_chinese_text() -> None:
    found = sentences_of(modules()["vfx_matte.measure.registry"], FINDINGS)
    assert len(found) > 25
    assert found - KNOWN == set(DRAWN)


def test_the_remarks_on_a_package_have_a_chinese_text() -> None:
    functions = ("_plan", "_remarks_on_time", "_reason_to_convert")
    found = sentences_of(modules()["vfx_matte.pipeline.export.package"], functions)
    assert len(found) > 12
    assert found - KNOWN == set()


def test_what_is_left_out_is_there_and_reached() -> None:
    assert LEFT_OUT.keys() - reached() == set()


def test_the_engines_texts_are_read() -> None:
    found = set().union(*said().values())
    assert len(said()) > 90
    assert {
        "the object is locked",  # an error
        "there is no object {}",  # with a blank
        "look for cuts",  # a stage
        "masks stop at the shot cuts, frame {}{}; {} carries them across",  # given back, said later
        "{} is being segmented by another run of vfx-matte",  # one of two
        "in the vfx-matte folder: pip install -e '.[{}]'",  # a hint that others use
        "{} propagator (as asked)",  # a decision
    } <= found
    assert len(found) > 500


def test_pythons_own_exceptions_are_not_for_people() -> None:
    source = (
        'def f():\n    raise ValueError("the array is flat")\n'
        '    raise MaskError("the mask is flat", hint="paint it")\n'
    )
    assert said_by(source) == {"the mask is flat", "paint it"}


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_is_explained_in_chinese(group: str) -> None:
    texts = {
        re.sub("⟦.*?⟧", "{}", item.metadata["short"] or item.metadata["explanation"])
        for item in dataclasses.fields(getattr(ini.Settings(), group))
        if item.name not in NOT_ASKED
    }
    assert texts - KNOWN == set()


@pytest.mark.parametrize("name", FILES)
def test_a_text_keeps_its_blanks(name: str) -> None:
    pairs = PAIR.findall(FILES[name])
    assert len(pairs) > 100
    blanks = re.compile(r"\{\w+\}")
    for english, chinese in pairs:
        assert set(blanks.findall(english)) == set(blanks.findall(chinese)), english


def test_no_text_is_translated_twice() -> None:
    keys = [quoted or bare for text in FILES.values() for quoted, bare in ENTRY.findall(text)]
    assert sorted({key for key in keys if keys.count(key) > 1}) == []


SPELL = Speller(as_typed)
SAID = {
    "lost 21 % of its area against the frames before; flickers: 6.0 % of its area changes on this"
    " frame alone (usually 0.5 %)": "面积比之前的帧减少了 21 %；闪烁：仅此一帧就有其面积的 6.0 % "
    "发生变化 （通常 0.5 %）",
    "loses a piece, 4.0 times the area that is left of it, though the picture there stays the"
    " same": "缺少一块，为其剩余面积的 4.0 倍，而那里的画面没有变化",
    "has 2 holes without an edge in the picture, 3.0 % of its area (usually 0.0 %)": "有 2 个空洞，"
    "画面在其边缘处没有轮廓，占其面积的 3.0 % （通常 0.0 %）",
    SPELL(f"render with {option('fill_holes', 200)}, or paint a mask on frame 7"): "请用"
    " “填补空洞” = 200 渲染，或在第 7 帧绘制遮罩",
    "built-in propagator (no weights needed)": "内置 传播器（不需要权重）",
    SPELL(
        f"built-in propagator, with U²-Netp ({option('network', False)} does without)"
    ): "内置 传播器，配合 U²-Netp（启动时的 --no-network 则不用）",
    "12 frames verified: frame count, timestamps, sound": "已验证 12 帧：帧数、时间戳、声音",
    SPELL(
        f"masks stop at the shot cuts, frame 9 (0:00.360); {option('cuts', 'ignore')} carries them"
        " across"
    ): "遮罩在切点处停止，第 9 (0:00.360) 帧；命令行的 --cuts ignore 可让遮罩跨过切点",
    "frames made again: 4 to 9; the others stay as they are": "重新生成的帧：4 至 9；其余保持不变",
    SPELL(
        "object 1 lost a piece of up to 40 % of it on frames 3 to 6, more than the new masks"
        " explain: look at frame 3, and if it was right before, give it the mask that it had,"
        f" from masks.previous: {option('mask', '3=masks.previous/0000003.png')}"
    ): (
        "对象 1 在第 3 至 6 帧失去了一块，最多占其 40 %，超出新遮罩能解释的范围：请查看第 3 帧，"
        "如果之前是对的，请把 masks.previous 中原来的遮罩给这一帧：在第 3 帧“点选”"
    ),
    SPELL(
        f"these are what the run itself doubts, the most first; {command('qc')} measures the"
        " masks, too, and ranks both together"
    ): "以上是运行本身存疑之处，最可疑的在前；“问题”还会测量遮罩，并把两者一起排序",
    SPELL(f"make them: {command('segment', 'a.mp4')}"): "请生成：“双向传播”",
    SPELL(
        "object 1 is uncertain on frames 1 to 11: look there, and if it is wrong add a mask near"
        f" frame 4: {option('mask', '4=mask.png')}"
    ): "对象 1 在第 1 至 11 帧不确定：请查看那里，如有错误请在第 4 帧附近加遮罩：在第 4 帧“点选”",
    SPELL(f"choose a folder you may write to with {either('output', 'workspace')}"): (
        "请用 启动时的 --workspace 选择可写入的文件夹"
    ),
    "ask you to check": "ask you to check",
    "this machine has no memory left for it": "本机内存不足",
    "For 25 frames per second the source's 90 frames became 76: 1 repeats a picture, none are left"
    " out.": "按每秒 25 帧，原片的 90 帧变为 76 帧：1 帧重复画面，无 帧被略去。",
    "The source is encoded anew, because its frame rate varies, and editing programs count frames"
    " at one rate.": "源文件重新编码，因为帧率可变，而剪辑软件以恒定帧率计数。",
    "the work ended without a result": "任务意外结束，没有结果",
    "unexpected ZeroDivisionError: division by zero": "意外的 ZeroDivisionError：division by zero",
    "unknown edges 'x, y'": "未知的 边缘方式 'x, y'",
}
"""What the engine says, as it comes to the page, and what the page shows."""


@pytest.fixture
def tab(opened: Callable[..., Page], page: Client) -> Any:
    """The page in a Chinese browser."""
    return opened(page, locale="zh-CN").tab


@pytest.mark.slow
def test_filled_texts_are_recognized(tab: Any) -> None:
    """Each by its own entry, whatever fills it: none stands in the way of another."""
    told: dict[str, Any] = tab.evaluate(
        """async (said) => {
          const { t } = await import("./i18n.js");
          const { ENGINE_CHINESE } = await import("./engine_chinese.js");
          const wrong = {};
          for (const [key, chinese] of Object.entries(ENGINE_CHINESE)) {
            const names = [...key.matchAll(/\\{(\\w+)\\}/g)].map(([, name]) => name);
            const own = key.replace(/\\{\\w+\\}/g, "");
            if (names.length === 0 || !/[a-z]{3}/i.test(own)) continue;
            const fill = (text) => names.reduce((made, name, at) => made.replaceAll(
              `{${name}}`, /^(n|first|last|number)$/.test(name) ? `${10 + at}` : `'Ä${at}'`), text);
            const shown = t(fill(key));
            if (shown !== fill(chinese)) wrong[key] = shown;
          }
          return { wrong, said: said.map((text) => t(text)) };
        }""",
        list(SAID),
    )
    assert told["wrong"] == {}
    assert dict(zip(SAID, told["said"], strict=True)) == SAID


@pytest.mark.slow
def test_problems_are_read_out_in_chinese(
    page: Client, tab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = {
        "index": 9,
        "object": 1,
        "reason": "object 1 lost 50 % of its area against the frames before",
        "do": "paint a mask on frame 9",
    }
    monkeypatch.setattr(page.studio, "problems", lambda: [problem])
    tab.keyboard.press("w")
    status = tab.get_by_role("status")
    status.get_by_text("Object 1 面积比之前的帧减少了 50 %").wait_for()
    tab.get_by_role("tab", name="问题", exact=True).click()
    found = tab.locator("#problems-list button")
    assert found.get_attribute("title") == "请在第 9 帧绘制遮罩"
    assert "面积比之前的帧减少了 50 %" in found.inner_text()
