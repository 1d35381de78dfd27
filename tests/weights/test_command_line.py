"""`weights` through the command line, without PyTorch; the network is a server on this machine."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest
from support.command_line import CommandLine, Ran
from support.weights_server import MIB, Served, archive, write_table

from vfx_matte.errors import OutputError
from vfx_matte.pipeline import weights as work
from vfx_matte.pipeline.progress import SilentReporter

pytestmark = pytest.mark.usefixtures("without_torch", "direct")

FINAL = Path("model/XMem.pth")
GOOD, OTHER = archive(), archive(seed=1)
MEGABYTES = len(GOOD) / 1e6


@pytest.fixture
def mirror(cli: CommandLine, server: Served) -> Served:
    """A server of a good file, which the table of the model folder names."""
    write_table(cli.folder / "model", server.url, about_megabytes=3)
    return server


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def known() -> tuple[int, str]:
    """Size and checksum that the model folder's table knows of XMem.pth."""
    entry = tomllib.loads(Path("model/weights.toml").read_text(encoding="utf-8"))["weights"][0]
    return entry.get("size_bytes", 0), entry.get("sha256", "")


def states(cli: CommandLine) -> list[str]:
    """Of single files; folders have tests of their own."""
    listed = json.loads(cli("weights", "list", "--json").stdout)
    return [entry["state"] for entry in listed if not entry["files"]]


def names(cli: CommandLine) -> set[str]:
    return set(cli.files("model")) - {"model/.weights.lock"}


def line(ran: Ran, start: str) -> str:
    (found,) = [
        one.split(maxsplit=1)[1].strip()
        for one in ran.stdout.splitlines()
        if one.strip().startswith(f"{start} ")
    ]
    return found


# ---------------------------------------------------------------- list


def test_the_list_without_a_model_folder(cli: CommandLine) -> None:
    """As a program that pip installed finds it: the table comes along."""
    ran = cli("weights", "list")
    for name in ("XMem.pth", "XMem-s012.pth"):
        assert all(
            word in line(ran, name) for word in ("about 249 MB", "MIT", "missing", f"model/{name}")
        )
    facts = json.loads(cli("weights", "list", "--json").stdout)
    assert [
        (one["name"], one["there"], one["licence"], one["bytes_there"]) for one in facts[:3]
    ] == [
        ("XMem.pth", False, "MIT", 0),
        ("XMem-s012.pth", False, "MIT", 0),
        ("u2netp.onnx", False, facts[2]["licence"], 0),
    ]
    assert "DUTS-TR" in ran.stdout
    assert not Path("model").exists()


def test_the_list_follows_a_file_through_its_life(cli: CommandLine, mirror: Served) -> None:
    assert states(cli)[:3] == ["missing", "missing", "missing"]
    mirror.drops = [1000]
    cli.fails("weights", "fetch", code=1)
    assert states(cli)[:3] == ["partial", "missing", "missing"]
    cli("weights", "fetch")
    assert states(cli)[:3] == ["verified", "missing", "missing"]
    assert f"{MEGABYTES:.1f} MB" in line(cli("weights", "list"), "XMem.pth")
    FINAL.write_bytes(OTHER)
    assert states(cli)[:3] == ["differs", "missing", "missing"]
    Path("model/XMem-s012.pth").write_bytes(GOOD)
    assert states(cli)[:3] == ["differs", "not verified", "missing"]


# ---------------------------------------------------------------- fetch


def test_a_first_fetch_records_what_it_verified(cli: CommandLine, mirror: Served) -> None:
    before = Path("model/weights.toml").read_text(encoding="utf-8")
    ran = cli("weights", "fetch")
    assert FINAL.read_bytes() == GOOD
    assert names(cli) == {"model/XMem.pth", "model/weights.toml"}
    assert known() == (len(GOOD), sha(GOOD))
    assert Path("model/weights.toml").read_text(encoding="utf-8").startswith(before.rstrip())
    assert "# our mirror" in before
    assert line(ran, "sha256") == sha(GOOD)
    assert "names and shapes are not checked" in line(ran, "verified")
    assert ran.notes == [
        f"XMem.pth: sha256 {sha(GOOD)} is now in model/weights.toml; the file is compared with it"
        " from now on"
    ]


def test_a_second_fetch_says_that_all_is_well(cli: CommandLine, mirror: Served) -> None:
    cli("weights", "fetch")
    mirror.requests.clear()
    ran = cli("weights", "fetch", "XMem.pth")
    assert "was there already, nothing downloaded" in ran.stdout
    assert "checksum is the known one" in line(ran, "verified")
    assert not mirror.requests
    assert not ran.notes


def test_the_model_folder_is_where_it_is_said_to_be(cli: CommandLine, server: Served) -> None:
    write_table(cli.folder / "else where", server.url, about_megabytes=3)
    cli("weights", "fetch", "--model", "else where")
    assert Path("else where/XMem.pth").read_bytes() == GOOD
    assert not Path("model").exists()
    assert "else where/XMem.pth" in cli("weights", "check", "--model", "else where").stdout


def test_another_file_that_is_there_is_not_replaced_unasked(
    cli: CommandLine, mirror: Served
) -> None:
    cli("weights", "fetch")
    FINAL.write_bytes(OTHER)
    before = cli.files("model")
    ran = cli.fails("weights", "fetch", code=1)
    assert sha(OTHER) in ran.error
    assert sha(GOOD) in ran.error
    assert "--force" in ran.hint
    assert cli.files("model") == before
    ran = cli("weights", "fetch", "--force")
    assert "downloaded" in ran.stdout
    assert FINAL.read_bytes() == GOOD
    assert not ran.notes, "nothing new to record"


@pytest.mark.parametrize(
    "content", [OTHER, b"<html>Please sign in</html>", GOOD[:-1]], ids=["another", "page", "short"]
)
def test_a_file_with_another_checksum_never_gets_the_name(
    cli: CommandLine, mirror: Served, content: bytes
) -> None:
    """Not even with --force, and then the file that was there stays."""
    cli("weights", "fetch")
    mirror.content, mirror.etag = content, '"2"'
    FINAL.write_bytes(b"mine")
    ran = cli.fails("weights", "fetch", "--force", code=1)
    assert sha(GOOD) in ran.error
    assert "model/XMem.pth.rejected" in ran.error
    # fetching again would bring the same
    assert "--force" not in ran.hint
    assert f"download {mirror.url}" in ran.hint
    assert "empty sha256 of XMem.pth in model/weights.toml" in ran.hint
    assert FINAL.read_bytes() == b"mine"
    FINAL.unlink()
    cli.fails("weights", "fetch", code=1)
    assert names(cli) == {"model/XMem.pth.rejected", "model/weights.toml"}
    assert Path("model/XMem.pth.rejected").read_bytes() == content
    assert known() == (len(GOOD), sha(GOOD))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "web page"),
        (GOOD[: len(GOOD) // 2], "not a zip file"),
        (archive(payload_bytes=MIB), "1.0 MB, expected about 3 MB"),
        (GOOD[:MIB] + bytes([GOOD[MIB] ^ 1]) + GOOD[MIB + 1 :], "archive/data/0 in it is damaged"),
    ],
    ids=["page", "half", "small", "damaged"],
)
def test_wrong_content_is_rejected_before_anything_is_known(
    cli: CommandLine, mirror: Served, content: bytes, says: str
) -> None:
    mirror.content = content
    ran = cli.fails("weights", "fetch", code=1)
    assert says in ran.error
    assert mirror.url in ran.error
    assert names(cli) == {"model/XMem.pth.rejected", "model/weights.toml"}
    assert known() == (0, "")
    mirror.content = GOOD
    cli("weights", "fetch")
    assert FINAL.read_bytes() == GOOD


def test_a_fetch_goes_on_where_the_last_one_stopped(cli: CommandLine, mirror: Served) -> None:
    mirror.drops = [MIB + 1, 7]
    ran = cli.fails("weights", "fetch", code=1)
    assert "1.0 MB are kept" in ran.error
    assert not FINAL.exists()
    cli("weights", "fetch")
    assert FINAL.read_bytes() == GOOD
    assert mirror.ranges_asked[1:] == [f"bytes={MIB + 1}-", f"bytes={MIB + 8}-"]


def test_offline_the_file_can_be_put_there_by_hand(cli: CommandLine) -> None:
    url = "http://127.0.0.1:1/XMem.pth"
    write_table(cli.folder / "model", url, about_megabytes=3)
    ran = cli.fails("weights", "fetch", code=1)
    assert ran.hint == f"download {url} in a browser and put the file here: {FINAL.absolute()}"
    FINAL.write_bytes(GOOD[:1000])
    ran = cli.fails("weights", "fetch", code=1)
    assert "is there already, but" in ran.error
    assert FINAL.read_bytes() == GOOD[:1000], "what the user put there stays"
    assert known() == (0, "")
    FINAL.write_bytes(GOOD)
    assert states(cli)[0] == "not verified"
    ran = cli("weights", "fetch")
    assert "nothing downloaded" in ran.stdout
    assert known() == (len(GOOD), sha(GOOD))
    assert states(cli)[0] == "verified"


def test_a_server_without_the_file(cli: CommandLine, mirror: Served) -> None:
    mirror.status = 404
    ran = cli.fails("weights", "fetch", code=1)
    assert "404 Not Found" in ran.error
    assert str(FINAL.absolute()) in ran.hint
    assert names(cli) == {"model/weights.toml"}


def test_a_proxy_of_the_environment_is_used(
    cli: CommandLine, mirror: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain addresses in full, encrypted ones by CONNECT: the official address never leaves this
    machine here.
    """
    proxy = mirror.url.removesuffix("/XMem.pth")
    write_table(cli.folder / "model", "http://weights.invalid/XMem.pth", about_megabytes=3)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    cli("weights", "fetch")
    assert FINAL.read_bytes() == GOOD
    assert [request[:2] for request in mirror.requests] == [
        ("GET", "http://weights.invalid/XMem.pth")
    ]
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    ran = cli.fails("weights", "fetch", "XMem-s012.pth", code=1)
    assert mirror.requests[-1][:2] == ("CONNECT", "github.com:443")
    assert "https://github.com/hkchengrex/XMem/releases/download/v1.0/XMem-s012.pth" in ran.hint


def test_two_at_once(cli: CommandLine, mirror: Served) -> None:
    """The second is refused while the first waits for a slow server, which then answers."""
    mirror.held = threading.Event()
    done: list[work.FetchedFile] = []
    first = threading.Thread(
        target=lambda: done.append(
            work.fetch_weights("XMem.pth", folder=Path("model"), reporter=SilentReporter())
        )
    )
    first.start()
    try:
        assert mirror.asked.wait(60)
        ran = cli.fails("weights", "fetch", code=2)
        assert "another run of vfx-matte is fetching weights into model" in ran.error
        assert not FINAL.exists()
    finally:
        mirror.held.set()
        first.join()
    assert done[0].downloaded
    assert FINAL.read_bytes() == GOOD
    assert len(mirror.requests) == 1


def test_a_full_disk(cli: CommandLine, mirror: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(1000))
    ran = cli.fails("weights", "fetch", code=1)
    assert "the disk is full" in ran.error
    assert "--model" in ran.hint
    assert names(cli) == {"model/weights.toml"}


def test_a_table_that_cannot_be_written(
    cli: CommandLine, mirror: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, text: str) -> None:
        raise OutputError(f"cannot write {path}: {os.strerror(errno.EROFS)}")

    with monkeypatch.context() as patch:
        patch.setattr(work, "write_text", refuse)
        ran = cli.fails("weights", "fetch", code=1)
    assert "the checksum cannot be kept" in ran.error
    assert FINAL.read_bytes() == GOOD
    cli("weights", "fetch")
    assert known() == (len(GOOD), sha(GOOD))


def test_a_folder_that_cannot_be_written(cli: CommandLine, mirror: Served) -> None:
    Path("model/.weights.lock").mkdir()
    ran = cli.fails("weights", "fetch", code=1)
    assert "cannot be written" in ran.error
    assert "--model" in ran.hint
    assert not mirror.requests


def test_requests_that_make_no_sense(cli: CommandLine) -> None:
    ran = cli.fails("weights", "fetch", "Xmem.pth", code=2)
    assert "XMem.pth, XMem-s012.pth" in ran.hint
    assert not Path("model").exists()
    cli.fails("weights", "check", code=2)
    assert "fetch XMem-s012.pth" in cli.fails("weights", "check", "XMem-s012.pth", code=2).hint
    cli.fails("weights", "check", "no/such.pth", code=2)
    write_table(cli.folder / "model", "ftp://a.test")
    for command in ("list", "fetch", "check"):
        assert "model/weights.toml" in cli.fails("weights", command, code=2).error


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(
    "how",
    [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)],
    ids=["Ctrl-C", "kill"],
)
def test_a_fetch_that_was_stopped_goes_on(
    cli: CommandLine, mirror: Served, how: signal.Signals
) -> None:
    mirror.held, mirror.held_at = threading.Event(), 2 * MIB
    part = Path("model/XMem.pth.part")
    child = cli.start("weights", "fetch")
    try:
        ran = cli.stop(child, how, when=lambda: part.exists() and part.stat().st_size > MIB)
    finally:
        child.kill()
        child.communicate()
    if how is signal.SIGINT:
        assert (ran.code, ran.error) == (130, "stopped")
        assert "run the command again" in ran.hint
    assert not FINAL.exists()
    came = part.stat().st_size
    mirror.held = None
    cli("weights", "fetch")
    assert FINAL.read_bytes() == GOOD
    assert mirror.ranges_asked == ["", f"bytes={came}-"]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_a_terminal_sees_the_progress(cli: CommandLine, mirror: Served) -> None:
    """Bytes of how many, on stderr; nothing of it on stdout."""
    import pty

    mirror.held, mirror.held_at = threading.Event(), 2 * MIB
    terminal, end = pty.openpty()
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TERM": "xterm",
        "COLUMNS": "120",
    }
    command = [sys.executable, "-m", "vfx_matte", "weights", "fetch"]
    child = subprocess.Popen(
        command, cwd=cli.folder, env=environment, stdout=subprocess.PIPE, stderr=end
    )
    os.close(end)
    seen = b""
    try:
        while b"2.1/3.1 MB" not in seen:
            seen += os.read(terminal, 4096)
        child.send_signal(signal.SIGINT)
        stdout, _ = child.communicate(timeout=60)
    finally:
        child.kill()
        os.close(terminal)
    assert stdout == b""
    assert b"fetch XMem.pth" in seen


# ---------------------------------------------------------------- check


def test_check_compares_again(cli: CommandLine, mirror: Served) -> None:
    cli("weights", "fetch")
    ran = cli("weights", "check")
    assert line(ran, "checksum") == "ok"
    assert line(ran, "sha256") == sha(GOOD)
    assert "names and shapes are not checked" in line(ran, "contents")
    FINAL.write_bytes(OTHER)
    for target in ((), ("XMem.pth",), ("model/XMem.pth",)):
        ran = cli.run("weights", "check", *target)
        assert ran.code == 1
        assert line(ran, "checksum") == "DIFFERS"
        assert sha(GOOD) in ran.error
        assert "--force" in ran.hint


def test_check_writes_nothing(cli: CommandLine, mirror: Served) -> None:
    FINAL.write_bytes(GOOD)
    before = cli.files()
    ran = cli("weights", "check", "XMem.pth")
    assert "none known yet" in line(ran, "checksum")
    assert cli.files() == before


def test_check_looks_at_any_file(cli: CommandLine, mirror: Served) -> None:
    cli("weights", "fetch")
    for name, content, says in (
        ("copy.pth", GOOD, "the same as XMem.pth"),
        ("own.pth", OTHER, "none known for this file"),
    ):
        Path(name).write_bytes(content)
        assert line(cli("weights", "check", name), "checksum") == says
    Path("XMem.pth").write_bytes(OTHER)  # a known name, in another folder
    ran = cli.run("weights", "check", "./XMem.pth")
    assert ran.code == 1
    assert line(ran, "checksum") == "DIFFERS"
    assert sha(GOOD) in ran.error
    assert "another name" in ran.hint
    Path("own.pth").write_bytes(b"no weights")
    ran = cli.run("weights", "check", "own.pth")
    assert ran.code == 1
    assert line(ran, "contents") == "NOT USABLE"
    assert "own.pth" in ran.error


def test_the_hint_of_segment_leads_here() -> None:
    """It names a command that exists."""
    from vfx_matte.cli import program

    inner = [one.typer_instance for one in program().registered_groups if one.typer_instance]
    (group,) = [one for one in inner if one.info.name == "weights"]
    assert [one.name for one in group.registered_commands] == ["list", "fetch", "check"]
