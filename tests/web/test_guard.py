"""Who may come in, and how much they may bring: every rule broken once, and nothing done then."""

from __future__ import annotations

import gzip
import socket
import time

import pytest
from support.fake_studio import HEIGHT, WIDTH
from support.studio_server import Answer, Client

from vfx_matte.web import guard
from vfx_matte.web.guard import SECURITY_HEADERS, Authorities

PIXELS = WIDTH * HEIGHT
ROUTES = [
    ("GET", "/api/project"),
    ("GET", "/api/frames/1"),
    ("GET", "/api/frames/1/crop?x=0&y=0&w=8&h=8"),
    ("GET", "/api/frames/1/mask"),
    ("PUT", "/api/frames/1/mask"),
    ("POST", "/api/frames/1/marks"),
    ("POST", "/api/frames/1/prepare"),
    ("POST", "/api/frames/1/import"),
    ("POST", "/api/frames/1/preview"),
    ("GET", "/api/opening"),
    ("PATCH", "/api/references/1"),
    ("DELETE", "/api/references/1"),
    ("POST", "/api/objects"),
    ("PATCH", "/api/objects/1"),
    ("DELETE", "/api/objects/1"),
    ("PATCH", "/api/range"),
    ("POST", "/api/undo"),
    ("POST", "/api/redo"),
    ("POST", "/api/clear"),
    ("POST", "/api/jobs"),
    ("POST", "/api/check"),
    ("GET", "/api/ways"),
    ("PATCH", "/api/ways"),
    ("DELETE", "/api/jobs/1"),
    ("POST", "/api/outputs/1/show"),
    ("GET", "/api/suggested"),
    ("GET", "/api/problems"),
    ("GET", "/api/options"),
    ("POST", "/api/commands"),
    ("GET", "/api/events"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api"),
    ("GET", "/api/unknown"),
    ("OPTIONS", "/api/project"),
]


def refused(answer: Answer, status: int) -> None:
    """The answer is an error in the usual form, with the headers of every answer."""
    assert answer.status == status, answer.body
    assert answer.json.keys() >= {"message", "hint"}
    assert answer.json["message"]
    assert "Traceback" not in answer.body.decode()
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "server" not in answer.headers


def test_the_list_holds_every_route(page: Client) -> None:
    paths = page("GET", "/api/openapi.json").json["paths"]
    known = {(method, path.split("?")[0].replace("/1", "/{}")) for method, path in ROUTES}
    served = {
        (method.upper(), "/".join("{}" if part[:1] == "{" else part for part in path.split("/")))
        for path, methods in paths.items()
        for method in methods
    }
    assert served <= known


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic {}", "{}", "Bearer  {}", "Bearer {}x"],
)
def test_nothing_without_the_token(
    page: Client, method: str, path: str, authorization: str | None
) -> None:
    given = authorization and authorization.format(page.token)
    answer = page(method, path, headers={"Authorization": given})
    refused(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert page.studio.calls == []


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/"), ("GET", "/app.js")])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_no_other_page_on_any_route(
    page: Client, method: str, path: str, headers: dict[str, str | None], status: int
) -> None:
    refused(page(method, path, headers=headers), status)
    assert page.studio.calls == []


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{}",  # a name that a stranger's server makes lead here
        "localhost:{}",  # another origin than the printed one
        "127.0.0.1:1",
        "127.0.0.1:{}0",
        "127.0.0.1.nip.io:{}",
        "[::1]:{}",
        "0.0.0.0:{}",
        "127.1:{}",
        "127.0.0.1:{}@evil.example",
        "evil.example#127.0.0.1:{}",
        "127.0.0.1:{}, evil.example",
        "",
        ":{}",
    ],
)
def test_only_the_printed_host(page: Client, host: str) -> None:
    refused(page("GET", "/api/project", headers={"Host": host.format(page.port)}), 421)


def test_a_request_without_a_host(page: Client) -> None:
    """HTTP/1.0 allows it."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(100).split()[1] == b"421"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "https://127.0.0.1:{}",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{}",
        "http://127.0.0.1:{}.evil.example",
        "http://127.0.0.1:{}/",
        "file://",
        "",
    ],
)
def test_only_the_pages_own_origin(page: Client, origin: str) -> None:
    refused(page("GET", "/api/project", headers={"Origin": origin.format(page.port)}), 403)


def test_the_page_itself_comes_in(page: Client) -> None:
    own = {"Origin": f"http://{page.authority}", "Sec-Fetch-Site": "same-origin"}
    assert page("GET", "/api/project", headers=dict(own)).status == 200
    assert page("GET", "/api/project", headers={"Sec-Fetch-Site": "none"}).status == 200
    assert (
        page("GET", "/api/project", headers={"Authorization": f"bearer {page.token}"}).status == 200
    )


def test_headers_that_stand_twice(page: Client) -> None:
    """Nobody can know which of them counts."""
    for name, values in {
        "Origin": [f"http://{page.authority}", "http://evil.example"],
        "Authorization": [f"Bearer {page.token}", "Bearer x"],
    }.items():
        connection = page.connect()
        connection.putrequest("GET", "/api/project", skip_host=True)
        connection.putheader("Host", page.authority)
        for value in values:
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == 400
        connection.close()


def test_a_link_may_open_the_page_and_nothing_else(page: Client) -> None:
    """As the file does that a browser is opened with."""
    link: dict[str, str | None] = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Authorization": None,
    }
    assert page("GET", "/", headers=link).status in (200, 404)
    assert (
        "frame-ancestors 'none'"
        in page("GET", "/", headers=link).headers["content-security-policy"]
    )
    refused(page("GET", "/app.js", headers=link), 403)
    refused(page("GET", "/api/project", headers=link), 403)
    refused(page("POST", "/", headers=link), 403)
    refused(page("GET", "/", headers=link | {"Sec-Fetch-Dest": "iframe"}), 403)
    refused(page("GET", "/", headers=link | {"Sec-Fetch-Mode": "no-cors"}), 403)


@pytest.mark.parametrize(
    "path",
    [
        "//api/project",
        "/./api/project",
        "/x/../api/project",
        "/API/project",
        "/api%2fproject",
        "/%61pi/project",
    ],
)
def test_other_spellings_are_no_way_around_the_token(page: Client, path: str) -> None:
    assert page("GET", path, headers={"Authorization": None}).status in (401, 404)
    assert page.studio.calls == []


def test_every_answer_has_the_headers(page: Client) -> None:
    for method, path in [
        ("GET", "/api/project"),
        ("GET", "/api/frames/1"),
        ("GET", "/none"),
        ("PUT", "/"),
    ]:
        answer = page(method, path)
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value, path
        assert "cache-control" in answer.headers


def test_what_the_csp_says() -> None:
    assert SECURITY_HEADERS["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


# what is brought


def mask(page: Client, body: bytes, **headers: str | None) -> Answer:
    sent = {"Content-Encoding": "gzip"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return page("PUT", "/api/frames/1/mask", body, headers=sent)


def test_a_mask_of_the_right_size(page: Client) -> None:
    assert mask(page, gzip.compress(bytes(PIXELS))).status == 200
    assert mask(page, bytes(PIXELS), Content_Encoding=None).status == 200
    assert page("GET", "/api/frames/1/mask").ids == bytes(PIXELS)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(bytes(PIXELS - 1)), 400),
        (gzip.compress(bytes(PIXELS + 1)), 413),
        (gzip.compress(bytes(50_000_000)), 413),  # a bomb: 50 kB that become 50 MB
        (gzip.compress(bytes(PIXELS))[:-1], 400),
        (gzip.compress(bytes(PIXELS))[:-9], 400),
        (gzip.compress(bytes(PIXELS))[:20], 400),
        (gzip.compress(bytes(PIXELS)) + b"x", 400),
        (gzip.compress(bytes(PIXELS)) + gzip.compress(b"x"), 400),
        (gzip.compress(bytes(PIXELS))[:-8] + bytes(8), 400),  # another checksum
        (b"", 400),
        (b"no gzip", 400),
        (bytes(PIXELS), 400),
        (b"\x1f\x8b\x08\x08" + b"n" * 5000, 400),  # a name without an end
    ],
    # bytes of gzip have the time in them, and workers have to agree on the names of tests
    ids=[
        "a pixel less", "a pixel more", "a bomb", "a byte less", "no end", "the beginning",
        "a byte behind", "another gzip behind", "another checksum", "nothing", "text", "plain",
        "an endless name",
    ],
)  # fmt: skip
def test_masks_that_are_none(page: Client, body: bytes, status: int) -> None:
    refused(mask(page, body), status)
    assert page.studio.calls == []


def test_a_bomb_is_not_unpacked(page: Client) -> None:
    bomb = gzip.compress(bytes(6_000_000), 9)
    assert len(bomb) < 7000, "it has to pass as a small body"
    refused(mask(page, bomb), 413)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x" * 300])
def test_other_encodings(page: Client, encoding: str) -> None:
    refused(mask(page, gzip.compress(bytes(PIXELS)), Content_Encoding=encoding), 415)


def test_a_body_that_is_too_large(page: Client) -> None:
    refused(page("POST", "/api/objects", b'{"name": "' + b"x" * 70_000 + b'"}'), 413)
    refused(page("POST", "/api/undo", b"x" * 70_000), 413)
    refused(mask(page, b"x" * (PIXELS + 5000)), 413)
    refused(page("POST", "/api/frames/1/import", b"\x89PNG\r\n\x1a\n" + bytes(2_000_000)), 413)
    assert page.studio.calls == []


def test_a_large_body_that_does_not_say_so(page: Client) -> None:
    part = b"x" * 50_000
    chunk = f"{len(part):x}\r\n".encode() + part + b"\r\n"
    body = chunk * 3 + b"0\r\n\r\n"
    refused(page("POST", "/api/undo", body, headers={"Transfer-Encoding": "chunked"}), 413)


def test_an_announcement_alone_is_refused_at_once(page: Client) -> None:
    connection = page.connect()
    connection.putrequest("POST", "/api/undo", skip_host=True)
    for name, value in {
        "Host": page.authority,
        "Authorization": f"Bearer {page.token}",
        "Content-Length": str(10**12),
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    began = time.monotonic()
    assert connection.getresponse().status == 413
    assert time.monotonic() - began < 5
    connection.close()


def test_a_body_that_does_not_come(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.2)
    answer = page("POST", "/api/undo", b"{", headers={"Content-Length": "10"})
    refused(answer, 408)


def test_a_client_that_leaves_early(page: Client) -> None:
    connection = page.connect()
    connection.putrequest("POST", "/api/undo", skip_host=True)
    for name, value in {
        "Host": page.authority,
        "Authorization": f"Bearer {page.token}",
        "Content-Length": "10",
    }.items():
        connection.putheader(name, value)
    connection.endheaders(b"{")
    connection.close()
    assert page("GET", "/api/project").status == 200
    assert "undo" not in page.studio.calls


def test_strangers_bring_nothing(page: Client) -> None:
    """Without the token a body is not even read."""
    began = time.monotonic()
    answer = page(
        "POST", "/api/undo", b"", headers={"Authorization": None, "Content-Length": "60000"}
    )
    refused(answer, 401)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("header", "size"),
    [(b"\x89PNG\r\n\x1a\n", (20000, 20000)), (b"\x89PNG\r\n\x1a\n", (WIDTH + 1, HEIGHT))],
)
def test_a_picture_that_is_too_large_is_not_decoded(
    page: Client, header: bytes, size: tuple[int, int]
) -> None:
    sides = b"".join(side.to_bytes(4, "big") for side in size)
    body = header + b"\0\0\0\rIHDR" + sides + bytes(9)
    refused(page("POST", "/api/frames/1/import", body), 413)
    assert page.studio.calls == []


@pytest.mark.parametrize("body", [b"", b"GIF89a" + bytes(40), b"\x89PNG\r\n\x1a\n", bytes(100)])
def test_other_pictures(page: Client, body: bytes) -> None:
    refused(page("POST", "/api/frames/1/import", body), 415)


# which hosts mean the server


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:80", True),
        ("127.0.0.1", True),
        ("box:80", True),
        ("BOX:80", True),
        ("10.0.0.7:80", True),
        ("[fe80::1]:80", True),
        ("[fe80::1]", True),
        ("evil.example:80", False),
        ("10.0.0.7:81", False),
        ("fe80::1:80", False),
        ("10.0.0.7.evil.example:80", False),
    ],
)
def test_all_addresses_of_the_machine(host: str, is_ours: bool) -> None:
    assert Authorities(80, {"127.0.0.1", "box"}, any_address=True).include(host) is is_ours
