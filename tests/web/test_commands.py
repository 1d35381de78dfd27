# ruff: noqa: ANN401
"""The commands that the page shows make the files that its queue made."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.clips import VFR_PTS
from support.command_line import CommandLine, two_objects
from support.served import StudioProcess, starting
from support.studio_page import FRAMES, Page
from support.studio_server import Client

pytestmark = pytest.mark.slow

NAME = """my "best" clip's #1, 100%s $HOME 片段.mp4"""
CONFIG = """\
[greenback]
key = blue
[edges]
method = median
[render]
sound = no
[segment]
cuts = ignore
soft = yes
"""

Start = Callable[..., StudioProcess]


@pytest.fixture
def start(
    cli: CommandLine, take: Callable[..., Path], make_clip: Callable[..., Path]
) -> Iterator[Start]:
    take(make_clip("clip.mp4", pts=VFR_PTS), NAME)

    def begin(*arguments: str) -> subprocess.Popen[str]:
        return cli.start("studio", NAME, "--no-browser", *arguments)

    with starting(begin, StudioProcess) as lent:
        yield lent


def made(page: Client, body: dict[str, Any]) -> dict[str, Any]:
    """A job once it is done."""
    answer = page("POST", "/api/jobs", body)
    assert answer.status == 200, answer.body
    job = answer.json
    for _ in range(1200):
        (now,) = [one for one in page("GET", "/api/project").json["jobs"] if one["id"] == job["id"]]
        if now["state"] not in ("waiting", "running"):
            assert now["state"] == "done", now
            found: dict[str, Any] = now
            return found
        time.sleep(0.05)
    raise AssertionError(now)


def run_in_shell(line: str, folder: Path) -> None:
    """A command as a person pastes it: the shell takes the line apart, and its words are run here,
    as a process of their own for each would take the most part of its time to begin.
    """
    (folder / "bin").mkdir(exist_ok=True)
    program, words = folder / "bin" / "vfx-matte", folder / "bin" / "words"
    program.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > {shlex.quote(str(words))}\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-c", line], env={**os.environ, "PATH": path}, check=True)
    CommandLine(folder)(*words.read_text(encoding="utf-8").removesuffix("\0").split("\0"))
    words.unlink()


def content(path: Path) -> bytes:
    """What a file holds; of Matroska, which has a random number in it, the packets with times."""
    if path.suffix != ".mkv":
        return path.read_bytes()
    with av.open(f"file:{path}") as container:
        packets = [
            (one.stream_index, one.pts, one.dts, one.time_base, bytes(one))
            for one in container.demux()
        ]
    return repr(packets).encode()


def digests(path: Path) -> dict[str, str]:
    """What a file, or every file of a folder, holds; reports tell when they were written."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {
        one.relative_to(path.parent).as_posix(): hashlib.sha256(content(one)).hexdigest()
        for one in files
        if one.suffix != ".json"
    }


# not yuv444p: in 8 bits of it x264 reads memory that nobody wrote when the picture is so small
# (MALLOC_PERTURB_=85 ffmpeg … shows it without us), and its file then depends on the process
EXPORTS: list[tuple[str, dict[str, Any]]] = [
    ("greenback", {}),
    ("greenback", {
        "key": "#12ab56", "edges": "guided", "grow": -2, "stabilize": 0.25, "sound": True,
        "codec": "libx264", "preset": "veryfast", "quality": 30, "pixel_format": "yuv444p10le",
    }),
    ("greenback", {"background": "#203040", "edges": "feather", "feather": 3.5, "objects": [2]}),
    ("alpha", {"premultiplied": True, "despill": "green", "despill_strength": 0.5}),
    ("maskvideo", {"style": "palette", "each_object": True, "median": 5}),
    ("overlay", {"alpha": 0.25, "legend": True, "target": "premiere"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "exports"),
    [
        (("--config", "own config.ini", "--workspace", "my work"), EXPORTS[:3]),
        ((), EXPORTS[3:]),
    ],
)
def test_the_commands_make_what_the_queue_made(
    start: Start, typed: tuple[str, ...], exports: list[tuple[str, dict[str, Any]]]
) -> None:
    folder = Path.cwd()
    if typed:
        (folder / "own config.ini").write_text(CONFIG)
    studio = start(*typed)
    page = studio.page
    # what was clicked, and what was painted by hand beside it
    click = {"object": 1, "clicks": [{"x": 30, "y": 32, "object": True}]}
    assert page("POST", "/api/frames/0/marks", click).status == 200
    assert page.put_mask(6, two_objects().tobytes()).status == 200
    page("PATCH", "/api/range", {"first": 2, "last": 8})
    lines, results = [], {}
    for name, options in exports:
        body = {"name": name, "options": options}
        *masks, export = page("POST", "/api/commands", body).json
        outputs = made(page, {"kind": "render", **body})["outputs"]
        for output in outputs:
            path = Path(output["path"])
            assert ".0000002-0000008" in path.name
            results[path, len(lines)] = digests(path)
            shutil.move(path, folder / f"{len(lines)}-{path.name}")
        lines.append(export)
    studio.end(signal.SIGINT)
    # pasted in the same folder, in their order
    for line in masks:
        run_in_shell(line, folder)
    for place, line in enumerate(lines):
        run_in_shell(line, folder)
        for (path, at), before in results.items():
            if at == place:
                assert digests(path) == before, line
                path.unlink()
    assert len(results) == (len(exports) if typed else len(exports) + 1)  # a file per object


def test_the_command_makes_the_package_that_the_queue_made(start: Start) -> None:
    folder = Path.cwd()
    studio = start()
    page = studio.page
    assert page.put_mask(0, two_objects().tobytes()).status == 200
    options = {
        "key": "magenta", "edges": "median", "outputs": "alpha,greenback", "media": "copy",
        "premultiplied": True, "fps": "30",
    }  # fmt: skip
    body = {"name": "package:aftereffects", "options": options}
    masks, export = page("POST", "/api/commands", body).json
    (output,) = made(page, {"kind": "render", **body})["outputs"]
    path = Path(output["path"])
    before = digests(path)
    shutil.move(path, folder / "before")
    studio.end(signal.SIGINT)
    run_in_shell(masks, folder)
    run_in_shell(export, folder)
    assert digests(path) == before
    assert len(before) > 3


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="there is no ffprobe")
def test_a_clip_of_any_name_with_uneven_times_from_a_click_to_a_file(
    start: Start, browser: Any
) -> None:
    """By mouse and keyboard; the file has the source's times, as another program reads them."""
    studio = start()
    page = Page(browser, studio.page)
    assert page.tab.title().startswith(NAME)
    assert page.tab.locator("#clip-name").inner_text() == NAME
    page.button("Click").click()
    page.tab.mouse.click(*page.at(30, 32))
    page.saved()
    page.button("Forward").click()
    page.until("studio.store.state.project.jobs.at(-1)?.state === 'done'")
    page.button("Export").click()
    page.button("Add to the queue").click()
    page.tab.locator(".job .good").get_by_text("frames verified").wait_for(timeout=60_000)
    page.tab.get_by_text("Commands that do the same").click()
    commands = page.tab.locator("#commands")
    commands.get_by_text("vfx-matte greenback").wait_for()
    words = shlex.split(commands.inner_text().splitlines()[-1])
    page.context.close()
    assert page.faults == []
    assert words == ["vfx-matte", "greenback", NAME]
    (made,) = Path("workspace").rglob("greenback.mp4")
    assert times(made) == times(Path(NAME))
    assert len(times(made)) == FRAMES


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds, as ffprobe reads it."""
    asked = ("-select_streams", "v:0", "-show_entries", "frame=pts:stream=time_base", "-of", "json")
    told = subprocess.run(
        ["ffprobe", "-v", "error", *asked, f"file:{path}"], check=True, capture_output=True
    )
    read = json.loads(told.stdout)
    base = Fraction(read["streams"][0]["time_base"])
    return [int(frame["pts"]) * base for frame in read["frames"]]


def test_a_package_has_no_background(start: Start) -> None:
    page = start().page
    page.put_mask(0, two_objects().tobytes())
    body = {"name": "package:capcut", "options": {"background": "#101010"}}
    for path in ("/api/check", "/api/commands"):
        answer = page("POST", path, body)
        assert (answer.status, "no background" in answer.json["message"]) == (400, True)
        assert "“key”" in answer.json["hint"]


def test_a_preview_and_an_export_begin_with_what_config_ini_says(start: Start) -> None:
    Path("config.ini").write_text("[greenback]\nkey = #102030\n[edges]\nmethod = hard\n")
    page = start().page
    page.put_mask(0, two_objects().tobytes())
    asked = [
        page("POST", "/api/frames/0/preview", {"options": options}).body
        for options in ({}, {"key": "#102030", "edges": "hard"}, {"key": "green"})
    ]
    assert asked[0] == asked[1] != asked[2]
    (facts,) = [one for one in page("GET", "/api/options").json if one["name"] == "key"]
    assert facts["default"] == "#102030"


def test_the_commands_carry_what_the_studio_was_started_with(start: Start) -> None:
    Path("config.ini").write_text("[paths]\nmodel = nets\n[clip]\nignore_alpha = yes\n")
    typed = ("--model", "my nets", "--no-ignore-alpha", "--no-network", "--memory", "xmem")
    page = start(*typed, "--propagator", "builtin").page
    page.put_mask(0, two_objects().tobytes())
    segment, alpha = page("POST", "/api/commands", {"name": "alpha"}).json
    for line in (segment, alpha):
        words = shlex.split(line)
        assert words[words.index("--model") + 1] == "my nets"
        assert "--no-ignore-alpha" in words
        assert "--workspace" not in words
    words = shlex.split(segment)
    assert {"--no-network", "--propagator", "builtin", "--memory", "xmem"} <= set(words)
    # what config.ini says needs no words
    page = start("--workspace", "other").page
    page.put_mask(0, two_objects().tobytes())
    segment, _ = page("POST", "/api/commands", {"name": "alpha"}).json
    assert "nets" not in segment
    assert "ignore-alpha" not in segment
    assert "--workspace other" in segment


def test_the_commands_carry_the_rate_of_a_sequence(
    cli: CommandLine, make_clip: Callable[..., Path]
) -> None:
    cli.folder.joinpath("plates").mkdir()
    make_clip_frames(make_clip("clip.mp4"), cli.folder / "plates")
    arguments = ("studio", "plates", "--no-browser", "--fps", "24000/1001")
    with starting(lambda *_: cli.start(*arguments), StudioProcess) as lent:
        studio = lent()
        studio.page.put_mask(0, two_objects().tobytes())
        lines = studio.page("POST", "/api/commands", {"name": "alpha"}).json
        made(studio.page, {"kind": "propagate", "direction": "both", "index": 0})
        studio.end(signal.SIGINT)
    for line in lines:
        assert "vfx-matte" in line
    assert "--fps 24000/1001" in lines[0]
    before = cli.files("workspace/plates/masks")
    run_in_shell(lines[0], cli.folder)
    assert cli.files("workspace/plates/masks") == before
    manifest = json.loads(Path("workspace/plates/manifest.json").read_text())
    assert manifest["settings"].get("gaps", "hold") == "hold"


def make_clip_frames(clip: Path, folder: Path) -> None:
    """The first pictures of a clip as an image sequence."""
    from support.command_line import pictures

    for index, picture in zip(range(6), pictures(clip), strict=False):
        picture.to_image().save(folder / f"plate.{1001 + index}.png")
