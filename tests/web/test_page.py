"""The page's files by themselves: nothing inline, every word in Chinese, types that hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from vfx_matte.web.routes.page import STATIC

SCRIPTS = {path.name: path.read_text("utf-8") for path in sorted(STATIC.glob("*.js"))}
PAGE = (STATIC / "index.html").read_text("utf-8")
CALLED = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')
ENTRY = re.compile(r'^  (?:"((?:[^"\\]|\\.)*)"|(\w+)):', re.MULTILINE)


class _Reader(HTMLParser):
    """Collects the texts of a page, and what a strict policy would refuse."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self.ids: list[str] = []
        self.refused: list[str] = []
        self._takes_text = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._takes_text = "data-t" in given
        self.texts |= {given[name] or "" for name in ("aria-label", "title") if name in given}
        if "id" in given:
            self.ids.append(given["id"] or "")
        self.refused += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.refused.append(tag)

    def handle_data(self, data: str) -> None:
        if self._takes_text and data.strip():
            self.texts.add(data.strip())
        self._takes_text = False


READ = _Reader(PAGE)


def test_nothing_is_inline_that_the_policy_refuses() -> None:
    assert READ.refused == []
    for name, text in SCRIPTS.items():
        assert not re.search(r"\beval\(|new Function|innerHTML|setAttribute\(.style", text), name


def test_no_id_is_given_twice() -> None:
    assert len(READ.ids) == len(set(READ.ids))


def test_every_id_that_a_script_asks_for_is_there() -> None:
    asked = {name for text in SCRIPTS.values() for name in re.findall(r'byId\("([\w-]+)"\)', text)}
    assert asked <= set(READ.ids)


def test_every_text_has_a_chinese_one() -> None:
    known = {quoted or bare for quoted, bare in ENTRY.findall(SCRIPTS["chinese.js"])}
    said = {text for script in SCRIPTS.values() for text in CALLED.findall(script)}
    said |= set(re.findall(r'(?:label|group): "([^"]+)"', SCRIPTS["keys.js"]))
    assert (said | READ.texts) - known == set()


def test_the_scripts_types_hold() -> None:
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("there is no TypeScript compiler")
    done = subprocess.run(
        [compiler, "-p", str(STATIC / "jsconfig.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""


def test_every_module_that_the_first_picture_needs_is_preloaded() -> None:
    needed, found = ["early.js", "app.js"], set()
    while needed:
        name = needed.pop()
        found.add(name)
        imported = re.findall(r'^import (?:.* from )?"\./([\w.]+)";', SCRIPTS[name], re.MULTILINE)
        needed += [other for other in imported if other not in found]
    preloaded = re.findall(r'<link rel="modulepreload" href="([\w.]+)">', PAGE)
    assert sorted(preloaded) == sorted(found)
