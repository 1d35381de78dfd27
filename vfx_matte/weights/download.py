"""One file over HTTP.

Takes an address and a path, gives the whole file there, or what came of it so that a next call goes
on.

Proxies (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) and certificates (SSL_CERT_FILE) come from
the environment.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vfx_matte._version import __version__
from vfx_matte.errors import UsageError, WeightsError
from vfx_matte.files.inputs import read_small_file
from vfx_matte.wording import option

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are there, and of how many, None while that is unknown."""

WORTHWHILE_BYTES = 2**20
"""A connection that was lost is made again at once as long as each brings so much."""

SLOW_SECONDS, SLOW_BYTES = 60, 10_000
"""A server that sends less in such a time is as good as gone."""

PART_SUFFIX = ".part"
REJECTED_SUFFIX = ".rejected"

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the bytes of a part file are the start of; kept beside it.

    validator: what the server calls this version of the file, for If-Range; "" means that a part
    cannot be gone on with.
    total_bytes: its whole length, None when the server does not say.
    """

    url: str
    validator: str
    total_bytes: int | None

    @classmethod
    def of(cls, url: str, response: httpx.Response) -> _Origin:
        """What a response with the whole file says.

        Weak entity tags do not promise the same bytes (RFC 9110, 13.1.5).
        """
        tag = response.headers.get("ETag", "")
        validator = (
            response.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
        )
        length = response.headers.get("Content-Length", "")
        return cls(url, validator, int(length) if length.isdecimal() else None)


class FetchError(WeightsError):
    """A source that does not give the file; another one may."""


class _Changed(Exception):  # noqa: N818
    """What the server has now is not what the part file is the start of."""


class _TooLarge(Exception):  # noqa: N818
    """The server sends more than the file can have."""


class _Lost(Exception):  # noqa: N818  a reason to go on, not an error yet
    """The connection broke; what came is on disk."""


def download(
    url: str,
    part: Path,
    *,
    by_hand: str,
    progress: Progress,
    most_bytes: int,
    timeout_seconds: float = 30.0,
    connect_seconds: float = 30.0,
) -> None:
    """Make `part` the whole file at `url`, going on from what an earlier call left there of the
    same version of it.

    A connection that breaks is made again while that gets on. by_hand: the hint of errors, what to
    do without this function.
    most_bytes: what the file can have; a server that sends more is left at once, and nothing of it
    is kept. timeout_seconds: for each wait for more bytes, connect_seconds for connecting (at most
    timeout_seconds); a server that sends next to nothing for SLOW_SECONDS is left too.
    Raises FetchError when the server does not give the file, WeightsError for a disk that does not
    take it; what came stays in `part` then.
    """
    import httpx

    headers = {"Accept-Encoding": "identity", "User-Agent": f"vfx-matte/{__version__}"}
    try:
        timeout = httpx.Timeout(timeout_seconds, connect=min(connect_seconds, timeout_seconds))
        client = httpx.Client(timeout=timeout, follow_redirects=True, headers=headers)
    except (
        OSError,
        ValueError,
        ImportError,
        httpx.InvalidURL,
    ) as error:  # certificates or a proxy that cannot be used
        raise FetchError(f"cannot fetch {url}: {_reason(error)}", hint=by_hand) from error
    with client:
        try:
            _go_on(client, url, part, by_hand, progress, most_bytes=most_bytes)
        except _TooLarge as error:
            discard(part)
            raise FetchError(
                f"cannot fetch {url}: {error}; nothing of it is kept", hint=by_hand
            ) from error
        except OSError as error:  # httpx has errors of its own, so this is the disk
            raise _disk_error(part, error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(f"cannot fetch {url}: {_reason(error)}", hint=by_hand) from error


def copy_stream(source: IO[bytes], part: Path, *, most_bytes: int) -> None:
    """Make `part` what can be read from `source`.

    Raises FetchError when that is more than most_bytes, WeightsError.
    """
    try:
        discard(part)
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            while chunk := source.read(2**20):
                if file.tell() + len(chunk) > most_bytes:
                    raise FetchError(
                        f"{part.name} would have more than the {most_bytes} bytes expected"
                    )
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _disk_error(part, error) from error


def kept_bytes(part: Path) -> int:
    """How much of a file an earlier call left."""
    return part.stat().st_size if part.is_file() else 0


def put_in_place(part: Path, final: Path) -> None:
    """Give a whole file its name, replacing what has it. Raises WeightsError."""
    try:
        part.replace(final)
        discard(part)
    except OSError as error:
        raise _disk_error(final, error) from error


def reject(part: Path) -> Path:
    """Rename a file that is not what it should be, replacing an earlier such one; its path now.

    Raises WeightsError.
    """
    rejected = part.with_name(part.name.removesuffix(PART_SUFFIX) + REJECTED_SUFFIX)
    put_in_place(part, rejected)
    return rejected


def discard(part: Path) -> None:
    """Forget what is there."""
    _sidecar(part).unlink(missing_ok=True)  # first: a part without it is never gone on with
    part.unlink(missing_ok=True)


def _go_on(
    client: httpx.Client, url: str, part: Path, by_hand: str, progress: Progress, *, most_bytes: int
) -> None:
    """Attempts, as long as they get on."""
    import httpx

    began_again = False
    while True:
        before = kept_bytes(part)
        try:
            _attempt(client, url, part, by_hand, progress, most_bytes=most_bytes)
            return
        except _Changed as error:
            discard(part)
            if began_again:
                raise FetchError(f"cannot fetch {url}: {error}", hint=by_hand) from error
            began_again = True
        except (_Lost, httpx.TransportError) as error:
            now = kept_bytes(part)
            can_go_on = bool(_origin(part, url).validator)
            if now - before < WORTHWHILE_BYTES or not can_go_on:
                kept = (
                    f"; {now / 1e6:.1f} MB are kept, the same command goes on from there"
                    if now and can_go_on
                    else ""
                )
                raise FetchError(
                    f"cannot fetch {url}: {_reason(error)}{kept}", hint=by_hand
                ) from error


def _attempt(
    client: httpx.Client, url: str, part: Path, by_hand: str, progress: Progress, *, most_bytes: int
) -> None:
    """One request, answered to its end.

    Raises _Lost, WeightsError, OSError, or what httpx raises.
    """
    origin, start = _origin(part, url), kept_bytes(part)
    if not origin.validator:
        discard(part)
        start = 0
    if start and start == origin.total_bytes:
        return
    wanted = {"Range": f"bytes={start}-", "If-Range": origin.validator} if start else {}
    with client.stream("GET", url, headers=wanted) as response:
        if url.startswith("https:") and response.url.scheme != "https":
            raise FetchError(f"{url} leads to {response.url}, which is not encrypted", hint=by_hand)
        if start and response.status_code == HTTPStatus.OK:
            start = 0  # the server knows no ranges, or has another file by now
        if start and not _continues(response, origin, start):
            raise _Changed("the server does not go on with the file that it began")
        if response.status_code != (HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK):
            reason = f"the server says {response.status_code} {response.reason_phrase}".rstrip()
            raise FetchError(f"cannot fetch {url}: {reason}", hint=by_hand)
        if not start:
            discard(part)
            origin = _Origin.of(url, response)
        _receive(response, part, origin, start, progress, most_bytes=most_bytes)


def _continues(response: httpx.Response, origin: _Origin, start: int) -> bool:
    """Whether a response to a request for the rest fits.

    A server that heeds no If-Range is caught by its own words.
    """
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return response.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if told is None or int(told[1]) != start:
        return False
    if origin.total_bytes is not None and told[2] not in ("*", str(origin.total_bytes)):
        return False
    return (
        not origin.validator.startswith('"')
        or response.headers.get("ETag", origin.validator) == origin.validator
    )


def _receive(
    response: httpx.Response,
    part: Path,
    origin: _Origin,
    start: int,
    progress: Progress,
    *,
    most_bytes: int,
) -> None:
    """Append the body to what is there."""
    total = origin.total_bytes
    if total is not None and total > most_bytes:
        raise _TooLarge(f"the server announces {total} bytes, more than the {most_bytes} expected")
    part.parent.mkdir(parents=True, exist_ok=True)
    if total is not None and shutil.disk_usage(part.parent).free < total - start:
        raise OSError(errno.ENOSPC, f"{(total - start) / 1e6:.1f} MB are needed")
    with part.open("ab" if start else "wb") as file:
        if not start:
            _sidecar(part).write_text(json.dumps(asdict(origin)), encoding="utf-8")
        done = start
        progress(done, total)
        since, then = time.monotonic(), done
        for chunk in response.iter_raw():
            if done + len(chunk) > most_bytes:
                raise _TooLarge(f"the server sends more than the {most_bytes} bytes expected")
            file.write(chunk)
            done += len(chunk)
            if time.monotonic() - since > SLOW_SECONDS:
                if done - then < SLOW_BYTES:
                    raise _Lost(f"the server sent {done - then} bytes in {SLOW_SECONDS} seconds")
                since, then = time.monotonic(), done
            progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise _Lost(f"{done} bytes came, expected {total}")


def _sidecar(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _origin(part: Path, url: str) -> _Origin:
    """What the part file is the start of, with no validator when that is not known or something
    else.
    """
    try:
        origin = _Origin(
            **json.loads(read_small_file(_sidecar(part), what="record", most_bytes=2**16))
        )
    except (UsageError, OSError, RecursionError, ValueError, TypeError):
        return _Origin(url, "", None)
    fits = isinstance(origin.validator, str) and isinstance(origin.total_bytes, int | None)
    return origin if fits and origin.url == url and part.is_file() else _Origin(url, "", None)


def _reason(error: Exception) -> str:
    """A foreign error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _disk_error(part: Path, error: OSError) -> WeightsError:
    if error.errno in _FULL:
        return WeightsError(
            f"the disk is full: cannot write {part}: {error.strerror}",
            hint=(
                "free some space and run it again, it continues the download; or use"
                f" {option('model')} on another disk"
            ),
        )
    return WeightsError(
        f"cannot write {part}: {error.strerror or error}",
        hint=f"choose a folder you may write to with {option('model')}",
    )
