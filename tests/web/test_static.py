"""The page's files: right types, nothing else of the disk."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.studio_server import Client

from vfx_matte.web.routes import page as routes


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "static"
    (folder / "vendor").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>start")
    (folder / "app.js").write_text("export {}")
    (folder / "app.css").write_text("a{}")
    (folder / "vendor" / "lit-3.2.1.js").write_text("lit")
    (folder / "readme.md").write_text("not for browsers")
    (folder / ".hidden.js").write_text("hidden")
    (tmp_path / "secret.js").write_text("secret")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")
    (folder / "out").symlink_to(tmp_path)
    monkeypatch.setattr(routes, "STATIC", folder)
    return folder


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", b"<!doctype html>start"),
        ("/index.html", "text/html; charset=utf-8", b"<!doctype html>start"),
        ("/app.js", "text/javascript; charset=utf-8", b"export {}"),
        ("/app.js?v=1", "text/javascript; charset=utf-8", b"export {}"),
        ("/app.css", "text/css; charset=utf-8", b"a{}"),
        ("/vendor/lit-3.2.1.js", "text/javascript; charset=utf-8", b"lit"),
    ],
)
def test_files_need_no_token(files: Path, page: Client, path: str, kind: str, body: bytes) -> None:
    answer = page("GET", path, headers={"Authorization": None})
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, kind, body)
    assert answer.headers["cache-control"] == "no-cache"
    head = page("HEAD", path, headers={"Authorization": None})
    assert (head.status, head.body) == (200, b"")
    again = page("GET", path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.js",
        "/%2e%2e/secret.js",
        "/..%2fsecret.js",
        "/%2e%2e%2fsecret.js",
        "/vendor/../../secret.js",
        "/vendor/..%5c..%5csecret.js",
        "/..\\secret.js",
        "//secret.js",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/etc/passwd",
        "/link.js",
        "/out/secret.js",
        "/.hidden.js",
        "/readme.md",
        "/vendor",
        "/vendor/",
        "/app.js/",
        "/app.js%00",
        "/app.js%00.css",
        "/app.js%0a",
        "/APP.JS",
        "/index.html/..",
        "/%ff%fe.js",
        "/" + "a" * 5000 + ".js",
        "/" + "a/" * 2000 + "b.js",
        "/C:/x.js",
        "/app.js::$DATA",
    ],
)
def test_nothing_else_is_served(files: Path, page: Client, path: str) -> None:
    answer = page("GET", path)
    assert answer.status == 404, answer.body
    assert answer.json["message"]
    assert b"secret" not in answer.body.replace(b"secret.js", b"")


def test_a_whole_address_instead_of_a_path(files: Path, page: Client) -> None:
    for target in ("http://evil.example/app.js", "file:///etc/passwd", "*"):
        with socket.create_connection(("127.0.0.1", page.port), timeout=10) as connection:
            head = f"GET {target} HTTP/1.1\r\nHost: {page.authority}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(1000).split()[1] in (b"404", b"400")


def test_every_type_of_the_pages_own_files_is_known() -> None:
    for file in routes.STATIC.rglob("*"):
        if file.is_file() and file.suffix != ".md":
            assert routes.static_file(file.relative_to(routes.STATIC).as_posix()) == file
