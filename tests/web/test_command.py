"""`vfx-matte studio` as people start and end it: one line, no secret where others can read."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.command_line import CommandLine
from support.served import StudioProcess, starting
from support.studio_server import Client

pytestmark = pytest.mark.slow

LONGEST_SECONDS = 4.0
"""Until it has ended: 2 s on a machine that does nothing else, and tests run beside others."""

Start = Callable[..., StudioProcess]

# a browser that writes down what it is given, and what the file says
BROWSER = """\
import pathlib, sys, urllib.parse, urllib.request
path = urllib.request.url2pathname(urllib.parse.urlparse(sys.argv[1]).path)
pathlib.Path("browser.txt").write_text(sys.argv[1] + "\\n" + oct(pathlib.Path(path).stat().st_mode))
pathlib.Path("opened.html").write_text(pathlib.Path(path).read_text())
"""


@pytest.fixture
def start(cli: CommandLine, take: Callable[..., Path], clip: Path) -> Iterator[Start]:
    take(clip)

    def begin(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        old = dict(os.environ)
        os.environ.update(environment)
        try:
            return cli.start("studio", "clip.mp4", *arguments)
        finally:
            os.environ.clear()
            os.environ.update(old)

    with starting(begin, StudioProcess) as lent:
        yield lent


def test_one_line_and_ctrl_c(start: Start) -> None:
    studio = start("--port", "0", "--no-browser")
    assert studio.line.startswith("http://127.0.0.1:")
    assert len(studio.page.token) >= 43  # 256 bits
    assert studio.page("GET", "/api/project").json["clip"]["name"] == "clip.mp4"
    code, stdout, stderr, seconds = studio.end(signal.SIGINT)
    assert code == 130
    assert stdout == ""
    assert stderr == "note: the studio is closed, and everything is saved\n"
    assert seconds < LONGEST_SECONDS


def test_it_ends_in_time_while_pages_listen_and_the_engine_works(start: Start) -> None:
    studio = start("--no-browser")
    page = studio.page
    page.put_mask(0, bytes([1]) * (96 * 64))
    connection = page.connect()
    connection.putrequest("GET", "/api/events", skip_host=True)
    connection.putheader("Host", page.authority)
    connection.putheader("Authorization", f"Bearer {page.token}")
    connection.endheaders()
    assert connection.getresponse().readline() == b": connected\n"
    assert (
        page("POST", "/api/jobs", {"kind": "propagate", "direction": "both", "index": 0}).status
        == 200
    )
    code, _, stderr, seconds = studio.end(signal.SIGINT)
    assert (code, stderr.count("\n")) == (130, 1)
    assert seconds < LONGEST_SECONDS
    connection.close()


def test_it_ends_when_it_is_told_to(start: Start) -> None:
    code, _, stderr, seconds = start("--no-browser").end(signal.SIGTERM)
    assert (code, stderr.count("\n")) == (143, 1)
    assert seconds < LONGEST_SECONDS


def test_what_was_saved_survives_a_kill(start: Start) -> None:
    first = start("--no-browser")
    ids = bytes([0, 1]) * (96 * 32)
    assert first.page.put_mask(3, ids).status == 200
    first.end(signal.SIGKILL)
    second = start("--no-browser")
    assert second.page("GET", "/api/frames/3/mask").ids == ids
    project = second.page("GET", "/api/project").json
    assert [one["index"] for one in project["state"]["references"]] == [3]
    assert project["undo"]
    second.end(signal.SIGINT)


def test_json(start: Start) -> None:
    studio = start("--no-browser", "--json")
    assert list(json.loads(studio.line)) == ["address"]
    assert json.loads(studio.line)["address"].startswith("http://127.0.0.1:")


def test_a_token_per_start_and_a_port_of_ones_own(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    first = start("--no-browser", "--port", str(port))
    assert first.page.port == port
    second = start("--no-browser", "--workspace", "other")
    assert second.page.token != first.page.token
    wrong = Client(second.page.authority, first.page.token)
    assert wrong("GET", "/api/project").status == 401


def test_a_port_that_is_taken(cli: CommandLine, take: Callable[..., Path], clip: Path) -> None:
    take(clip)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = cli.fails("studio", "clip.mp4", "--no-browser", "--port", str(port), code=2)
    assert str(port) in ran.error
    assert "--port 0" in ran.hint


def test_the_token_is_where_nobody_else_can_read_it(start: Start, cli: CommandLine) -> None:
    """Neither in the arguments of a process nor in what the browser is started with."""
    (cli.folder / "browser.py").write_text(BROWSER)
    command = f"{sys.executable} {cli.folder / 'browser.py'} %s"
    studio = start(BROWSER=command)
    token = studio.page.token
    deadline = time.monotonic() + 15
    while not (cli.folder / "opened.html").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.1)
    given, mode = (cli.folder / "browser.txt").read_text().splitlines()
    assert given.startswith("file://")
    assert token not in given
    assert stat.S_IMODE(int(mode, 8)) == 0o600
    assert studio.line.strip() in (cli.folder / "opened.html").read_text()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert token.encode() not in process.read_bytes()
        except OSError:
            continue
    _, stdout, stderr, _ = studio.end(signal.SIGINT)
    assert token not in stdout + stderr
    # nothing of it stays
    redirect = Path(given.removeprefix("file://"))
    assert not redirect.parent.exists()


def test_nothing_of_a_request_is_printed(start: Start) -> None:
    studio = start("--no-browser")
    page = studio.page
    page("GET", "/api/nothing")
    page("GET", "/api/project", headers={"Host": "evil.example"})
    with socket.create_connection(("127.0.0.1", page.port)) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        connection.recv(100)
    _, stdout, stderr, _ = studio.end(signal.SIGINT)
    assert (stdout, stderr.count("\n")) == ("", 1)


def test_no_clip(cli: CommandLine) -> None:
    cli.fails("studio", "none.mp4", "--no-browser", code=2)
    cli.fails("studio", "--no-browser", code=2)


def test_a_studio_that_is_open_already(start: Start, cli: CommandLine) -> None:
    start("--no-browser")
    ran = cli.run("studio", "clip.mp4", "--no-browser")
    assert ran.code in (1, 2)
    assert "open in another studio" in ran.error
    assert ran.hint


def test_config_ini_lets_nobody_in(cli: CommandLine, take: Callable[..., Path], clip: Path) -> None:
    """The file may come with somebody else's project."""
    take(clip)
    Path("config.ini").write_text("[studio]\nhost = 0.0.0.0\n")
    ran = cli.fails("studio", "clip.mp4", "--no-browser", code=2)
    assert "--allow-remote" in ran.hint
    Path("config.ini").write_text("[studio]\nallow_remote = yes\n")
    assert "unknown key" in cli.fails("studio", "clip.mp4", "--no-browser", code=2).error


STUCK = """\
import sys, time
from vfx_matte.pipeline.studio import Studio
Studio.close = lambda self: time.sleep(60)
Studio.frame_jpeg = lambda self, index, width: time.sleep(60)
from vfx_matte.cli import main
main()
"""


def test_it_ends_in_time_though_the_engine_does_not(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip)
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, "studio", "clip.mp4", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    studio = StudioProcess(process)
    waiting = threading.Thread(target=_ask_in_vain, args=(studio.page,))
    waiting.start()
    time.sleep(0.3)
    code, _, stderr, seconds = studio.end(signal.SIGINT)
    waiting.join()
    assert code == 130
    assert stderr == "note: the studio is closed, and what was finished is saved\n"
    assert seconds < LONGEST_SECONDS


def _ask_in_vain(page: Client) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        page("GET", "/api/frames/1")


COUNTING = """\
import pathlib, sys, time
from vfx_matte.errors import MediaError
from vfx_matte.pipeline.studio import Studio
opened = Studio.open
def slow(*arguments, **named):
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    if pathlib.Path("go").read_text():
        raise MediaError(pathlib.Path("go").read_text(), hint="copy it again")
    return opened(*arguments, **named)
Studio.open = slow
from vfx_matte.cli import main
main()
"""


@pytest.fixture
def counting(cli: CommandLine, take: Callable[..., Path], clip: Path) -> Iterator[StudioProcess]:
    """A studio that serves its page while the frames are counted, until there is a file `go`."""
    take(clip)
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING, "studio", "clip.mp4", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield StudioProcess(process)
    process.kill()
    process.communicate()


def test_the_page_is_served_while_frames_are_counted(counting: StudioProcess) -> None:
    assert counting.page("GET", "/").status == 200
    assert counting.page("GET", "/api/frames/1").status == 503
    Path("go").touch()
    assert counting.page("GET", "/api/project").json["clip"]["frames"] == 12
    code, _, stderr, _ = counting.end(signal.SIGINT)
    assert (code, stderr) == (130, "note: the studio is closed, and everything is saved\n")


def test_ctrl_c_while_frames_are_counted(counting: StudioProcess) -> None:
    code, _, stderr, seconds = counting.end(signal.SIGINT)
    assert (code, stderr.count("\n")) == (130, 1)
    assert seconds < LONGEST_SECONDS


def test_a_clip_that_turns_out_to_be_damaged(counting: StudioProcess) -> None:
    Path("go").write_text("the file is cut short")
    stdout, stderr = counting.process.communicate(timeout=20)
    assert counting.process.returncode == 1
    assert (stdout, stderr) == ("", "error: the file is cut short\nhint: copy it again\n")


EXPORTING = """\
import pathlib, time
from vfx_matte.files.atomic import AtomicFile
from vfx_matte.pipeline.studio.exports import Exports
def work(self, name, options, *, finish_masks):
    def work(reporter):
        with AtomicFile(pathlib.Path("workspace/clip/greenback.mp4")) as output:
            output.part.write_text("half a film")
            pathlib.Path("begun").touch()
            time.sleep(60)
    return work
Exports.work = work
from vfx_matte.cli import main
main()
"""


def test_nothing_stays_of_an_export_that_was_not_finished(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip)
    process = subprocess.Popen(
        [sys.executable, "-c", EXPORTING, "studio", "clip.mp4", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    studio = StudioProcess(process)
    studio.page.put_mask(0, bytes([1]) * (96 * 64))
    assert studio.page("POST", "/api/jobs", {"kind": "render", "name": "greenback"}).status == 200
    deadline = time.monotonic() + 15
    while not Path("begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (folder,) = Path("workspace").glob("*/")
    assert list(folder.glob(".*.part"))
    code, _, _, seconds = studio.end(signal.SIGINT)
    assert code == 130
    assert seconds < LONGEST_SECONDS
    assert list(folder.glob(".*.part")) == []
    assert list(folder.glob("greenback*")) == []


COMPUTING = """\
import threading
import cv2, numpy as np
def work():
    image = np.zeros((400, 400, 3), np.uint8)
    while True:
        cv2.GaussianBlur(image, (31, 31), 5)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
from vfx_matte.cli import main
main()
"""


def test_a_thread_that_still_computes_does_not_end_it_with_a_fault(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    """As when a frame is prepared for clicks: Python ends such threads within C++, which aborts."""
    take(clip)
    process = subprocess.Popen(
        [sys.executable, "-c", COMPUTING, "studio", "clip.mp4", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    code, _, stderr, _ = StudioProcess(process).end(signal.SIGINT)
    assert (code, stderr.count("\n")) == (130, 1), stderr
