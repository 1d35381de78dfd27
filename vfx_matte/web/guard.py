"""Decides which requests reach a server, and how large they may be.

A page on localhost can be asked by every web page that is open in the same browser, and by every
user of the machine. So each request has to name this server (Host), come from its own page (Origin,
Sec-Fetch-Site) and, but for pages that hold nothing secret, carry the token of this start. Answers,
refusals too, get headers that keep other pages from framing or reading them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import os
import secrets
import sys
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vfx_matte.web.answers import bug, encoded, error_body

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    # scripts, styles and requests of our own alone, so that text which got into the page, such as a
    # clip's name, could run nothing and send nothing away; blob: is for pictures that came by a
    # request with the token
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    # a mask or an error is never taken for a script
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # another page gets no handle on ours when it opens it, and no picture of ours into its own
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer."""

BODY_SECONDS = 30.0
"""How long a body may take to arrive: a mask of 8K is 33 MB, and everything is on one machine."""

# a body up to this size waits for no turn
_SMALL_BODY = 1 << 20
# a client that still sends does not read an answer, so this much of a refused body is read first
_MOST_DISCARDED = 32 << 20


@dataclass(frozen=True, slots=True)
class Authorities:
    """Which values of the Host header mean this server."""

    port: int
    """Where it listens."""

    names: Collection[str]
    """Names and addresses that it is called by, IPv6 addresses in brackets."""

    any_address: bool = False
    """Whether every IP address is one of its own. A name could be made to lead here by anybody who
    has a domain (DNS rebinding); an address leads to one machine only.
    """

    def include(self, host: str) -> bool:
        """Whether a Host header means this server: a name with the port, which only 80 may omit."""
        name, colon, port = host.rpartition(":")
        if not colon or port.endswith("]"):
            name, port = host, "80"
        if port != str(self.port):
            return False
        return name.lower() in self.names or (self.any_address and _is_address(name))


def _is_address(name: str) -> bool:
    """Whether it is an IPv4 address, or an IPv6 address in brackets."""
    is_v6 = name.startswith("[") and name.endswith("]")
    try:
        address = ipaddress.ip_address(name[1:-1] if is_v6 else name)
    except ValueError:
        return False
    return (address.version == 6) == is_v6


@dataclass(frozen=True, slots=True)
class BodyRule:
    """Which bodies a request may have."""

    most_bytes: int
    """The largest."""

    types: tuple[str, ...]
    """Content types; "" = it may say none. Browsers let other pages send some types without asking
    first, JSON is not among them.
    """

    seconds: float | None = None
    """How long one may take to arrive; None is BODY_SECONDS, and it never pauses for longer."""

    most_values: int | None = None
    """How many values JSON may hold; None = any number. Three bytes of text may become a list of
    64, and each wrong value a message, while frames are few values, however large they are.
    """

    turns: asyncio.Semaphore | None = None
    """How many large bodies by this rule are in memory at a time: a request waits for its turn
    before its body is read, and keeps it until it is answered.
    """


@dataclass(frozen=True, slots=True)
class Access:
    """What needs the token of this start, and how it is given."""

    is_public: Callable[[str], bool]
    """Whether anybody may GET a path."""

    hint: str
    """What to do without the token."""

    header: str = ""
    """A header that may hold the token, beside Authorization; "" = none. No page of another origin
    can send one without asking first.
    """

    basic: bool = False
    """Whether the token may come as the password of HTTP Basic, with any user name: some programs
    can send nothing else. Browsers, which send one again unasked, are told of Bearer alone.
    """


def _is_page(path: str) -> bool:
    """Whether a path is none of the studio's interface: the page's files are the same for everybody
    who installs the program.
    """
    return not f"{path}/".startswith("/api/")


STUDIO = Access(_is_page, "open the address that was printed")
"""Everything below /api, also where there is no route, so that routes cannot be found by asking."""


class _RefusedError(Exception):
    """A request that the guard answers itself."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.hint = status, message, hint


@dataclass(frozen=True, slots=True)
class Guard:
    """Middleware around the whole application."""

    app: ASGIApp
    """What answers requests that may come in."""

    token: str = field(repr=False)
    """The secret of this start."""

    authorities: Authorities
    """Which Host headers mean this server."""

    body_rule: Callable[[str, str], BodyRule]
    """(method, path) → which bodies it may have."""

    access: Access = STUDIO
    """Who needs the token."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or begin or end with the server."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        # there are no web sockets here; browsers open them to any server without asking
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send)
        try:
            # the body is read only when its sender may come in, and whole before anything is done
            self._check(scope)
            rule = self.body_rule(scope["method"], scope["path"])
            is_large = rule.turns is not None and _announced(scope) > _SMALL_BODY
            async with rule.turns if rule.turns and is_large else contextlib.nullcontext():
                body = await _read_body(scope, receive, rule)
                if body:
                    _check_type(scope, rule)
                    _check_values(scope, body, rule)
                if body is not None:  # else nobody is there any more
                    await self.app(scope, _Replay(body, receive), answer)
        except _RefusedError as refused:
            await answer.error(refused.status, refused.message, refused.hint)
        # the last resort: a bug is one line in the page, and never shows how the program is made
        except Exception as error:  # noqa: BLE001
            if os.environ.get("VFX_MATTE_DEBUG"):
                traceback.print_exc(file=sys.stderr)
            await answer.error(500, *bug(error))

    def _check(self, scope: Scope) -> None:
        """Raise _RefusedError for a request that may not come in."""
        host, origin, site, authorization = (
            _header(scope, name) for name in ("host", "origin", "sec-fetch-site", "authorization")
        )
        # 1. a stranger's name that leads here (DNS rebinding) would make its page one of our origin
        if host is None or not self.authorities.include(host):
            raise _RefusedError(
                421, "the request is not for this server", "open the address that was printed"
            )
        # 2. a page of another origin; ours names us in the same way as its requests do
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            raise _RefusedError(
                403, "another page may not use this server", "open the address that was printed"
            )
        # 3. the same where a browser sends no Origin: pictures, scripts, frames, links
        if site not in (None, "same-origin", "none") and not _opens_page(scope):
            raise _RefusedError(
                403, "another page may not use this server", "open the address that was printed"
            )
        # 4. the token; what is not there is refused as what is, so that nothing is found by asking
        is_public = scope["method"] in ("GET", "HEAD") and self.access.is_public(scope["path"])
        if not is_public and not self._knows_token(scope, authorization):
            raise _RefusedError(401, "the token is missing or wrong", self.access.hint)

    def _knows_token(self, scope: Scope, authorization: str | None) -> bool:
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given):
            return True
        if scheme.lower() == "basic" and self.access.basic:
            return self._is_token(_password(given))
        other = _header(scope, self.access.header) if self.access.header else None
        return other is not None and self._is_token(other)

    def _is_token(self, given: str) -> bool:
        # as bytes, since text outside of ASCII is refused by the comparison
        return secrets.compare_digest(given.encode("latin-1"), self.token.encode("latin-1"))


def _password(given: str) -> str:
    """The password of HTTP Basic; "" where there is none."""
    try:
        text = base64.b64decode(given.encode("latin-1"), validate=True).decode("latin-1")
    except ValueError:
        return ""
    return text.partition(":")[2]


def _opens_page(scope: Scope) -> bool:
    """Whether a request is the browser's own, to show the page in a tab. It comes from another site
    where a link or the file that `server` opens the browser with leads here. The page itself holds
    no secret, and its headers keep it out of frames.
    """
    return (
        scope["method"] == "GET"
        and scope["path"] == "/"
        and _header(scope, "sec-fetch-mode") == "navigate"
        and _header(scope, "sec-fetch-dest") == "document"
    )


def _header(scope: Scope, name: str) -> str | None:
    """A header's value; None where there is none.

    Raises:
        _RefusedError: it is there twice, and others could read the other one.
    """
    wanted = name.encode("latin-1")
    values = [value for key, value in scope["headers"] if key == wanted]
    if len(values) > 1:
        raise _RefusedError(400, f"the request has more than one {name} header", "send one")
    return values[0].decode("latin-1").strip() if values else None


def _announced(scope: Scope) -> int:
    """How many bytes a request says that its body has, at most; one in chunks does not say it."""
    length = _header(scope, "content-length")
    if length is None:
        return 0 if _header(scope, "transfer-encoding") is None else sys.maxsize
    return int(length) if length.isdecimal() and len(length) < 20 else sys.maxsize


async def _read_body(scope: Scope, receive: Receive, rule: BodyRule) -> bytes | None:
    """The whole body; None when the client went away.

    Raises:
        _RefusedError: it is larger than the rule lets in, or does not arrive in time.
    """
    most = rule.most_bytes
    # what is announced counts as well as what comes: a body in chunks announces nothing
    announced = 0 if _header(scope, "content-length") is None else _announced(scope)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(rule.seconds or BODY_SECONDS):
            is_more = True
            # of a body that is too large nothing is kept, and not all is waited for
            while is_more and max(size, announced) <= max(most, _MOST_DISCARDED):
                message = await asyncio.wait_for(receive(), BODY_SECONDS)
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                is_more = message.get("more_body", False)
                size += len(part)
                if max(size, announced) <= most:
                    parts.append(part)
                else:
                    parts.clear()
    except TimeoutError:
        raise _RefusedError(408, "the request did not arrive in time", "send it again") from None
    if max(size, announced) > most:
        raise _RefusedError(413, "the request is too large", f"at most {most:,} bytes are taken")
    return b"".join(parts)


def _check_type(scope: Scope, rule: BodyRule) -> None:
    """Raise _RefusedError when a body has another type than the request may have."""
    if _kind(scope) not in rule.types:
        expected = " or ".join(one for one in rule.types if one)
        raise _RefusedError(415, "the request has a body of another type", f"expected {expected}")


def _check_values(scope: Scope, body: bytes, rule: BodyRule) -> None:
    """Raise _RefusedError when JSON has more values than the request may have."""
    if rule.most_values is None or not _kind(scope).endswith("json"):
        return
    # as many values at most; inside of texts these are rare
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > rule.most_values:
        raise _RefusedError(
            413, "the request has too many values", f"at most {rule.most_values:,} are taken"
        )


def _kind(scope: Scope) -> str:
    """The content type, without parameters."""
    return (_header(scope, "content-type") or "").partition(";")[0].strip().lower()


class _Replay:
    """Gives an application the body that was read, and afterwards what really arrives."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()  # that the client went away
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Answer:
    """Sends an answer with the headers of this server."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is_started = True
            headers = list(message.get("headers", ()))
            names = {name.lower() for name, _ in headers}
            # what says nothing of being kept is an answer of the moment, and may be the project's
            added = SECURITY_HEADERS | {"cache-control": "no-store"}
            headers += [
                (name.encode(), value.encode())
                for name, value in added.items()
                if name.encode() not in names
            ]
            message = {**message, "headers": headers}
        await self._send(message)

    async def error(self, status: int, message: str, hint: str) -> None:
        """Answer with an error, unless an answer has begun."""
        # half an answer is in the browser by then; uvicorn closes the connection
        if self._is_started:
            return
        body = encoded(error_body(message, hint))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})
