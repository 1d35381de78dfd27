"""The table of weights, their files, and the download, against a server on this machine that
misbehaves as told.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import io
import os
import pickle
import re
import shutil
import threading
import tomllib
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.weights_server import MIB, Served, archive, serve, write_table
from support.wording import typed

from vfx_matte.errors import ConfigError, WeightsError
from vfx_matte.weights import (
    TABLE_NAME,
    Entry,
    check_container,
    download,
    fingerprint,
    full_name,
    kept_bytes,
    put_in_place,
    read_table,
    reject,
    with_checksum,
)

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "vfx_matte" / "weights" / TABLE_NAME
SHA = "ab" * 32


class Moved(list[tuple[int, int | None]]):
    """Progress that keeps what it is told."""

    def __call__(self, done: int, total: int | None) -> None:
        self.append((done, total))


def fetch(served: Served, part: Path, *, timeout_seconds: float = 30) -> Moved:
    moved = Moved()
    download(
        served.url,
        part,
        by_hand="put it there yourself",
        progress=moved,
        most_bytes=10**8,
        timeout_seconds=timeout_seconds,
    )
    return moved


# ---------------------------------------------------------------- the table


def test_the_table_names_the_official_files() -> None:
    table = read_table(Path("nowhere"))
    folders = [entry for entry in table.values() if entry.files]
    assert [entry.name for entry in folders[:5]] == [
        "sam2-tiny",
        "sam2-small",
        "sam2-base-plus",
        "sam2-large",
        "edgetam",
    ]
    for entry in folders:
        del table[entry.name]
        assert entry.url.startswith("https://huggingface.co/")
        assert entry.url.endswith("/resolve/main")
        assert entry.files[-1] == "model.safetensors", "no pickled weights"
    assert {entry.licence for entry in folders[:5]} == {"Apache-2.0"}
    assert list(table)[:3] == ["XMem.pth", "XMem-s012.pth", "u2netp.onnx"]
    network = table.pop("u2netp.onnx")
    assert (
        network.url == "https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx"
    )
    assert (network.size_bytes, network.sha256[:8], network.package[:5]) == (
        4_574_861,
        "309c8469",
        "rembg",
    )
    assert all(word in network.licence for word in ("Apache-2.0", "DUTS-TR"))
    for name in ("XMem.pth", "XMem-s012.pth"):
        entry = table[name]
        assert entry.url == f"https://github.com/hkchengrex/XMem/releases/download/v1.0/{name}"
        assert (entry.about_megabytes, entry.licence) == (249, "MIT")
    detector = table["maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"]
    assert detector.url == f"https://download.pytorch.org/models/{detector.name}"
    assert "BSD-3-Clause" in detector.licence
    for entry in table.values():
        assert bool(entry.sha256) == bool(entry.size_bytes), "both are known, or none"


def test_the_table_in_the_model_folder_is_that_of_the_program() -> None:
    """Line by line, but for what a fetch on this machine may have written there."""
    filled = re.compile(r'^(size_bytes = )\d+|^(sha256 = )"[0-9a-f]*"', re.MULTILINE)
    ours, shipped = (
        filled.sub(r"\1\2", path.read_text(encoding="utf-8"))
        for path in (ROOT / "model" / TABLE_NAME, SHIPPED)
    )
    assert ours == shipped, f"copy {SHIPPED} to model/"
    read_table(ROOT / "model")


def test_the_table_is_part_of_what_pip_installs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert TABLE_NAME in project["tool"]["setuptools"]["package-data"]["vfx_matte.weights"]


def test_a_table_of_the_folder_changes_and_adds(tmp_path: Path) -> None:
    before = read_table(tmp_path)
    table = write_table(tmp_path, "http://mirror.test/x")
    text = (
        table.read_text()
        + '[[weights]]\nname = "Ours v2.pth"\nurl = "https://a.test/o"\nabout_megabytes ='
        f' 1.5\nlicence = "ours"\npurpose = "p"\nsize_bytes = 7\nsha256 = "{SHA}"\n'
    )
    table.write_text(text, encoding="utf-8-sig")  # as Windows editors save it
    found = read_table(tmp_path)
    assert found["XMem.pth"] == replace(before["XMem.pth"], url="http://mirror.test/x")
    assert found["Ours v2.pth"] == Entry(
        "Ours v2.pth", "https://a.test/o", 1.5, "ours", "p", 7, SHA
    )
    assert set(found) == {*before, "Ours v2.pth"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weights = [", "is not TOML"),
        ("\xff", "is not UTF-8"),
        ("[other]\na = 1", "has 'other', expected"),
        ("weights = 3", "has 'weights', expected"),
        ("[[weights]]\nurl = 'https://a.test'", "an entry without a name"),
        ("weights = [3]", "an entry without a name"),
        ("[[weights]]\nname = 3", "the name 3 twice or not as a text"),
        ("[[weights]]\nname = 'a'\n[[weights]]\nname = 'a'", "the name 'a' twice"),
        ("[[weights]]\nname = 'XMem.pth'\nurI = 'https://a.test'", "unknown key 'urI'"),
        (
            "[[weights]]\nname = 'new.pth'\nurl = 'https://a.test'",
            "lacks the about_megabytes of new.pth",
        ),
        (
            "[[weights]]\nname = 'XMem.pth'\nurl = 'ftp://a.test'",
            "url is 'ftp://a.test', expected https",
        ),
        ("[[weights]]\nname = 'XMem.pth'\nsha256 = 'AB'", "sha256 is 'AB', expected 64"),
        ("[[weights]]\nname = 'XMem.pth'\nsha256 = 12", "sha256 is 12, expected a text"),
        (
            "[[weights]]\nname = 'XMem.pth'\nsize_bytes = true",
            "size_bytes is True, expected a number",
        ),
        ("[[weights]]\nname = 'XMem.pth'\nsize_bytes = -1", "size_bytes is -1, expected 0"),
        (
            "[[weights]]\nname = 'XMem.pth'\nabout_megabytes = 0",
            "about_megabytes is 0, expected more",
        ),
        (
            "[[weights]]\nname = 'XMem.pth'\npackage = 'a==1'",
            "package is 'a==1', expected NAME==VERSION, and a sha256",
        ),
        (
            f"[[weights]]\nname = 'XMem.pth'\nsha256 = '{SHA}'\npackage = '--pre'",
            "package is '--pre', expected NAME==VERSION",
        ),
        (
            f"[[weights]]\nname = 'XMem.pth'\nsha256 = '{SHA}'\npackage = 'a @ https://a.test'",
            "package is 'a @ https",
        ),
        (
            "[[weights]]\nname = 'XMem.pth'\nabout_megabytes = inf",
            "about_megabytes is inf, expected more",
        ),
    ],
)
def test_tables_that_say_something_impossible(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / TABLE_NAME).write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        read_table(tmp_path)
    assert TABLE_NAME in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["../evil.pth", "/etc/x", "..", ".hidden", "a/b.pth", "a\\b.pth", "", "C:x", "a\nb"]
)
def test_a_name_is_a_file_in_the_folder_and_nothing_else(name: str) -> None:
    with pytest.raises(ValueError, match="expected a file name"):
        Entry(name, "https://a.test", 1, "MIT", "p")


def test_a_name_may_leave_out_its_suffix() -> None:
    table = ["XMem.pth", "XMem-s012.pth", "two.pth", "two.onnx", "u2netp.onnx"]
    for name, meant in (
        ("XMem", "XMem.pth"),
        ("u2netp", "u2netp.onnx"),
        ("two.onnx", "two.onnx"),
        ("two", "two"),
        ("X", "X"),
    ):
        assert full_name(name, table) == meant


def test_a_checksum_cannot_contradict_the_programs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a maintainer verified wins: a table that knows another file under this name is an error,
    not a choice.
    """
    own = tmp_path / "own"
    own.mkdir()
    write_table(
        own,
        "https://a.test",
        sha256=SHA,
        size_bytes=3,
        about_megabytes=1,
        licence="MIT",
        purpose="p",
    )
    monkeypatch.setattr("vfx_matte.weights.table.resources.files", lambda _package: own)
    folder = tmp_path / "model"
    write_table(folder, "https://b.test", sha256="")
    assert read_table(folder)["XMem.pth"] == Entry(
        "XMem.pth", "https://b.test", 1, "MIT", "p", 3, SHA
    )
    write_table(folder, "https://b.test", sha256="cd" * 32)
    with pytest.raises(
        ConfigError,
        match=r"the sha256 'cdcd.*' but the program itself knows it as|the sha256 'cdcd",
    ):
        read_table(folder)


def test_a_checksum_is_written_where_it_belongs(tmp_path: Path) -> None:
    """Into the full table: two lines change, everything else stays as it is.

    Without one: a short one is made.
    """
    shutil.copy(SHIPPED, tmp_path)
    before = SHIPPED.read_text(encoding="utf-8")
    after = with_checksum(tmp_path, "XMem-s012.pth", size_bytes=249_000_000, sha256=SHA)
    changed = [
        (old, new)
        for old, new in zip(before.splitlines(), after.splitlines(), strict=True)
        if old != new
    ]
    assert changed == [
        ("size_bytes = 0 # 0 = not known yet", "size_bytes = 249000000 # 0 = not known yet"),
        ('sha256 = "" # empty = not known yet', f'sha256 = "{SHA}" # empty = not known yet'),
    ]
    assert before.index("XMem-s012") < before.rindex(changed[0][0])
    usual = read_table(tmp_path)
    (tmp_path / TABLE_NAME).unlink()
    (tmp_path / TABLE_NAME).write_text(
        with_checksum(tmp_path, "XMem.pth", size_bytes=5, sha256=SHA), encoding="utf-8"
    )
    assert read_table(tmp_path) == usual | {
        "XMem.pth": replace(usual["XMem.pth"], size_bytes=5, sha256=SHA)
    }


comments = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20
)
entries = st.lists(
    st.tuples(st.sampled_from(["XMem.pth", "XMem-s012.pth"]), comments),
    unique_by=lambda one: one[0],
)


@given(
    given_entries=entries,
    end=comments,
    inline=st.booleans(),
    name=st.sampled_from(["XMem.pth", "XMem-s012.pth"]),
    size=st.integers(1, 2**40),
    content=st.binary(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_whatever_a_user_wrote_survives_a_checksum(
    tmp_path: Path,
    given_entries: list[tuple[str, str]],
    end: str,
    *,
    inline: bool,
    name: str,
    size: int,
    content: bytes,
) -> None:
    urls = {one: f"https://mirror.test/{index}" for index, (one, _) in enumerate(given_entries)}
    if inline:
        items = ",\n".join(
            f'  {{ name = "{one}", url = "{urls[one]}" }}' for one, _ in given_entries
        )
        text = f"weights = [\n{items}\n] # {end}\n"
    else:
        text = "".join(
            f'[[weights]] # {note}\nname = "{one}"\nurl = "{urls[one]}"\n\n'
            for one, note in given_entries
        )
        text += f"# {end}\n"
    (tmp_path / TABLE_NAME).write_text(text, encoding="utf-8", newline="")
    before, sha = read_table(tmp_path), hashlib.sha256(content).hexdigest()
    written = with_checksum(tmp_path, name, size_bytes=size, sha256=sha)
    (tmp_path / TABLE_NAME).write_text(written, encoding="utf-8", newline="")
    assert read_table(tmp_path) == before | {
        name: replace(before[name], size_bytes=size, sha256=sha)
    }
    kept = iter(written.splitlines())
    assert all(
        any(line.rstrip(" ,}") in other for other in kept)
        for line in text.splitlines()
        if line.strip()
    )


# ---------------------------------------------------------------- files


def test_a_fingerprint_is_what_sha256sum_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert fingerprint(path) == (
        3,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )
    for bad in (tmp_path, tmp_path / "none"):
        with pytest.raises(WeightsError, match="cannot read"):
            fingerprint(bad)


def old_file(*, pickles: int = 5) -> bytes:
    """As PyTorch before 1.6 wrote it: pickles one after the other, then bare numbers."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {"weight": (4,)}, ["0"]]
    return b"".join(pickle.dumps(part, protocol=2) for part in parts[:pickles]) + bytes(
        range(128, 256)
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [(archive(payload_bytes=1000), "intact PyTorch archive"), (old_file(), "before 1.6")],
)
def test_files_of_either_form_pass_without_pytorch(
    content: bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "XMem.pth"
    path.write_bytes(content)
    told = check_container(path, about_megabytes=len(content) / 1.05e6)
    assert says in told
    assert "names and shapes are not checked" in told
    with pytest.raises(WeightsError, match="expected about 249 MB"):
        check_container(path, about_megabytes=249)


ARCHIVE = archive(payload_bytes=1000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file is not a zip file"),
        (b"no weights", "file is not a zip file"),
        (ARCHIVE[:-30], "file is not a zip file"),
        (ARCHIVE.replace(b"data.pkl", b"data.txt"), "holds no tensors"),
        (ARCHIVE.replace(b"archive/data/0", b"archive/dat_/0"), "holds no tensors"),
        (
            ARCHIVE[:500] + bytes([ARCHIVE[500] ^ 1]) + ARCHIVE[501:],
            "archive/data/0 in it is damaged",
        ),
        (b"  \n<!DOCTYPE html><p>Please sign in", "web page"),
        (old_file(pickles=3), "its list of tensors is damaged"),
    ],
)
def test_files_that_are_not_weights(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "XMem.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        check_container(path)
    assert str(path) in caught.value.message
    with pytest.raises(WeightsError, match="cannot read"):
        check_container(tmp_path)


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_looking_at_a_file_runs_nothing_in_it(tmp_path: Path) -> None:
    evil, touched = pickle.dumps(_Evil(tmp_path / "touched"), protocol=2), tmp_path / "touched"
    old = tmp_path / "old.pth"
    old.write_bytes(old_file(pickles=4) + evil)
    assert "before 1.6" in check_container(old)
    assert not touched.exists()
    pickle.loads(evil)
    assert touched.exists(), "the pickle would have done it"


# ---------------------------------------------------------------- the download


def test_a_file_comes_whole(server: Served, tmp_path: Path) -> None:
    part = tmp_path / "new folder" / "XMem.pth.part"
    moved = fetch(server, part)
    assert part.read_bytes() == server.content
    total = len(server.content)
    assert moved[0] == (0, total)
    assert moved[-1] == (total, total)
    assert moved == sorted(moved)
    method, path, headers = server.requests[0]
    assert (method, path, headers["accept-encoding"]) == ("GET", "/XMem.pth", "identity")
    assert headers["user-agent"].startswith("vfx-matte/")
    put_in_place(part, tmp_path / "XMem.pth")
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == ["XMem.pth"]


def test_a_part_is_gone_on_with(server: Served, tmp_path: Path) -> None:
    part = tmp_path / "x.part"
    server.drops = [1000]
    with pytest.raises(
        WeightsError, match=r"cannot fetch http.*; 0\.0 MB are kept, run the command again"
    ) as caught:
        fetch(server, part)
    assert caught.value.hint == "put it there yourself"
    assert part.read_bytes() == server.content[:1000]
    moved = fetch(server, part)
    assert part.read_bytes() == server.content
    assert moved[0] == (1000, len(server.content))
    assert server.ranges_asked == ["", "bytes=1000-"]
    assert server.requests[1][2]["if-range"] == '"1"'
    fetch(server, part)
    assert len(server.requests) == 2, "a part that is whole is not asked for again"


def test_a_connection_that_breaks_is_made_again(server: Served, tmp_path: Path) -> None:
    server.drops = [MIB + 5, MIB + 6]
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == server.content
    assert server.ranges_asked == ["", f"bytes={MIB + 5}-", f"bytes={2 * MIB + 11}-"]


def test_a_connection_that_brings_nothing_is_given_up(server: Served, tmp_path: Path) -> None:
    server.drops = [MIB + 5, 0, 0, 0]
    with pytest.raises(WeightsError, match=r"1\.0 MB are kept"):
        fetch(server, tmp_path / "x.part")
    assert len(server.requests) == 2


def test_a_changed_file_is_not_glued_together(server: Served, tmp_path: Path) -> None:
    part, other = tmp_path / "x.part", archive(seed=7)
    for heeds, asked in ((True, ["", "bytes=1000-"]), (False, ["", "bytes=1000-", ""])):
        server.content, server.etag, server.drops, server.heeds_if_range = (
            archive(),
            '"1"',
            [1000],
            heeds,
        )
        server.requests.clear()
        part.unlink(missing_ok=True)
        with pytest.raises(WeightsError):
            fetch(server, part)
        server.content, server.etag = other, '"2"'
        fetch(server, part)
        assert part.read_bytes() == other
        assert server.ranges_asked == asked


@pytest.mark.parametrize("size", [500, 1000])
def test_a_file_that_became_shorter(server: Served, tmp_path: Path, size: int) -> None:
    """The rest that is asked for is not there: 416."""
    server.drops, server.heeds_if_range = [1000], False
    with pytest.raises(WeightsError):
        fetch(server, tmp_path / "x.part")
    server.content = server.content[:size]
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == server.content
    assert server.ranges_asked == ["", "bytes=1000-", ""]


def test_a_file_whose_length_changed_under_the_same_tag(server: Served, tmp_path: Path) -> None:
    server.drops = [1000]
    with pytest.raises(WeightsError):
        fetch(server, tmp_path / "x.part")
    server.content = archive(seed=7, payload_bytes=4000)
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == server.content


def test_a_server_without_ranges_starts_again(server: Served, tmp_path: Path) -> None:
    server.ranges, server.drops = False, [MIB + 5, MIB + 5]
    with pytest.raises(WeightsError):
        fetch(server, tmp_path / "x.part")
    assert len(server.requests) == 2, "once more, and not for ever"
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == server.content


@pytest.mark.parametrize(
    ("etag", "modified", "validator"),
    [
        ("", "Sat, 01 Jan 2022 00:00:00 GMT", "Sat, 01 Jan 2022 00:00:00 GMT"),
        ('W/"1"', "", None),
        ("", "", None),
    ],
)
def test_a_part_of_an_unnamed_version_is_not_gone_on_with(
    server: Served, tmp_path: Path, etag: str, modified: str, validator: str | None
) -> None:
    server.etag, server.modified, server.drops = etag, modified, [2 * MIB]
    if validator is None:
        with pytest.raises(WeightsError) as caught:
            fetch(server, tmp_path / "x.part")
        assert "kept" not in caught.value.message
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == server.content
    assert [headers.get("if-range") for _, _, headers in server.requests] == [None, validator]


def test_a_part_of_another_address_or_without_a_name_is_not_gone_on_with(
    server: Served, tmp_path: Path
) -> None:
    part = tmp_path / "x.part"
    part.write_bytes(b"0" * 500)
    fetch(server, part)
    assert part.read_bytes() == server.content
    server.drops = [1000]
    part.unlink()
    with pytest.raises(WeightsError):
        fetch(server, part)
    download(
        server.url.replace("XMem", "Other"), part, by_hand="", progress=Moved(), most_bytes=10**8
    )
    assert part.read_bytes() == server.content
    assert server.ranges_asked == ["", "", ""]


def test_a_file_of_untold_length(server: Served, tmp_path: Path) -> None:
    server.length = False
    moved = fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == server.content
    assert moved[-1] == (len(server.content), None)


def test_redirects_are_followed_with_the_range(server: Served, tmp_path: Path) -> None:
    server.moved_to, server.drops = "/moved", [1000]
    with pytest.raises(WeightsError):
        fetch(server, tmp_path / "x.part")
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == server.content
    assert [path for _, path, _ in server.requests] == ["/XMem.pth", "/moved"] * 2
    assert server.ranges_asked[-1] == "bytes=1000-"


def test_redirects_in_a_circle(server: Served, tmp_path: Path) -> None:
    server.moved_to = "/XMem.pth"
    with pytest.raises(WeightsError, match="redirects"):
        fetch(server, tmp_path / "x.part")


@pytest.mark.parametrize(
    ("status", "says"),
    [(404, "404 Not Found"), (403, "403 Forbidden"), (503, "503 Service Unavailable")],
)
def test_a_server_that_refuses(server: Served, tmp_path: Path, status: int, says: str) -> None:
    """What came before stays."""
    part = tmp_path / "x.part"
    server.drops = [1000]
    with pytest.raises(WeightsError):
        fetch(server, part)
    server.status = status
    with pytest.raises(WeightsError, match=f"the server says {says}") as caught:
        fetch(server, part)
    assert caught.value.hint == "put it there yourself"
    assert kept_bytes(part) == 1000
    server.status = 200
    fetch(server, part)
    assert server.ranges_asked[-1] == "bytes=1000-"


def test_nobody_answers(server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and then says nothing, a port that nobody listens at, and addresses
    that are none.
    """
    server.held = threading.Event()
    with pytest.raises(WeightsError, match="timed out"):
        fetch(server, tmp_path / "x.part", timeout_seconds=0.05)
    server.url = "http://127.0.0.1:1/XMem.pth"
    with pytest.raises(WeightsError, match="cannot fetch http://127"):
        fetch(server, tmp_path / "x.part")
    server.url = "http://[::1/XMem.pth"
    with pytest.raises(WeightsError, match="cannot fetch"):
        fetch(server, tmp_path / "x.part")
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
    with pytest.raises(WeightsError, match=r"cannot fetch.*[Pp]roxy"):
        fetch(server, tmp_path / "x.part")
    assert not list(tmp_path.iterdir())


def test_an_encrypted_address_does_not_lead_to_one_that_is_not(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    class Transport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.scheme == "https":
                return httpx.Response(302, headers={"Location": "http://plain.test/XMem.pth"})
            return httpx.Response(200, content=server.content)

    real = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **options: real(**options, transport=Transport()))
    server.url = "https://github.test/XMem.pth"
    with pytest.raises(
        WeightsError, match=r"leads to http://plain\.test/XMem\.pth, which is not encrypted"
    ):
        fetch(server, tmp_path / "x.part")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- the disk


def test_too_small_a_disk_is_told_before_anything_comes(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(len(server.content) - 1))
    with pytest.raises(WeightsError, match=r"the disk is full: .* 3\.1 MB are needed") as caught:
        fetch(server, tmp_path / "x.part")
    assert "--model" in typed(caught.value.hint)
    assert kept_bytes(tmp_path / "x.part") == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(len(server.content)))
    fetch(server, tmp_path / "x.part")


class _Full(io.FileIO):
    """A file on a disk that fills up."""

    room = 2 * MIB + 123

    def write(self, data: Any) -> int:  # noqa: ANN401
        written = super().write(bytes(data)[: self.room])
        self.room -= written
        if written < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written


def test_a_disk_that_fills_up(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fitted stays, and is gone on with."""
    part, real = tmp_path / "x.part", Path.open

    def opened(path: Path, mode: str = "r", **options: Any) -> IO[Any]:  # noqa: ANN401
        return _Full(path, mode) if path == part else real(path, mode, **options)  # type: ignore[return-value]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with pytest.raises(WeightsError, match="the disk is full: cannot write") as caught:
            fetch(server, part)
    assert "continues the download" in caught.value.hint
    assert part.read_bytes() == server.content[: _Full.room]
    fetch(server, part)
    assert part.read_bytes() == server.content
    assert server.ranges_asked == ["", f"bytes={_Full.room}-"]


def test_a_folder_that_cannot_be_written(server: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsError, match="cannot write") as caught:
        fetch(server, tmp_path / "file" / "x.part")
    assert "--model" in typed(caught.value.hint)
    (tmp_path / "XMem.pth" / "full").mkdir(parents=True)
    fetch(server, tmp_path / "XMem.pth.part")
    with pytest.raises(WeightsError, match="cannot write"):
        put_in_place(tmp_path / "XMem.pth.part", tmp_path / "XMem.pth")


def test_what_is_rejected_loses_its_name(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        part = tmp_path / "XMem.pth.part"
        part.write_bytes(content)
        (tmp_path / "XMem.pth.part.json").write_text("{}")
        assert reject(part) == tmp_path / "XMem.pth.rejected"
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
            "XMem.pth.rejected": content
        }


# ---------------------------------------------------------------- whatever happens, the file is
# right


@pytest.fixture(scope="module")
def unlucky() -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        yield from serve(b"")


@given(st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_end_is_always_the_whole_file_of_one_version(
    tmp_path: Path, unlucky: Served, data: st.DataObject
) -> None:
    """Drops anywhere, versions that change in between, and servers that know ranges or not."""
    part = tmp_path / f"{os.urandom(4).hex()}.part"
    versions = data.draw(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=3))
    for number, content in enumerate(versions):
        unlucky.content, unlucky.etag = content, f'"{number}"'
        unlucky.ranges, unlucky.heeds_if_range, unlucky.length = (
            data.draw(st.booleans()) for _ in range(3)
        )
        unlucky.drops = (
            data.draw(st.lists(st.integers(0, 100), max_size=3)) if unlucky.length else []
        )
        for _ in range(data.draw(st.integers(1, 3))):
            with contextlib.suppress(WeightsError):
                fetch(unlucky, part)
    unlucky.drops = []
    fetch(unlucky, part)
    assert part.read_bytes() in versions


# ---------------------------------------------------------------- bounds, and where a server may
# lead


@pytest.mark.parametrize("length", [True, False])
def test_a_file_that_is_larger_than_it_can_be_is_left_at_once(
    server: Served, tmp_path: Path, length: bool
) -> None:
    server.length = length
    part = tmp_path / "XMem.pth.part"
    with pytest.raises(WeightsError, match="more than the 1000"):
        download(server.url, part, by_hand="", progress=Moved(), most_bytes=1000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "place", ["file:///etc/hostname", "ftp://127.0.0.1:9/XMem.pth", "data:,x", "//", "http://[x"]
)
def test_a_server_leads_to_no_file_and_no_other_protocol(
    server: Served, tmp_path: Path, place: str
) -> None:
    server.moved_to = place
    with pytest.raises(WeightsError, match="cannot fetch"):
        fetch(server, tmp_path / "a.part")
    assert not (tmp_path / "a.part").exists()


def test_a_server_may_lead_to_another_host(server: Served, tmp_path: Path) -> None:
    with contextlib.contextmanager(serve)(archive(1)) as other:
        server.moved_to = other.url
        fetch(server, tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == archive(1)


def test_a_server_that_sends_next_to_nothing_is_left(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("vfx_matte.weights.download")
    monkeypatch.setattr(module, "SLOW_SECONDS", 0)
    monkeypatch.setattr(module, "SLOW_BYTES", 10**9)
    with pytest.raises(WeightsError, match="bytes in 0 seconds"):
        fetch(server, tmp_path / "a.part")


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "[]", '{"url": 1, "validator": [], "total_bytes": "x"}', "9" * 6000]
)
def test_a_damaged_note_of_an_earlier_download_is_left_aside(
    server: Served, tmp_path: Path, text: str
) -> None:
    part = tmp_path / "a.part"
    part.write_bytes(b"old")
    part.with_name("a.part.json").write_text(
        text.replace('"url": 1', f'"url": "{server.url}"'), encoding="utf-8"
    )
    fetch(server, part)
    assert part.read_bytes() == server.content
