"""Downloads one file over HTTP, and resumes partial downloads.

Proxies (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) and certificates (SSL_CERT_FILE) come from
the environment.
"""

from __future__ import annotations

import errno
import functools
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
    import ssl

    import httpx

Progress = Callable[[int, int | None], None]
"""Receives how many bytes there are, and of how many; None while that is unknown."""

WORTHWHILE_BYTES = 2**20
"""A connection that was lost is made again at once as long as each brings so much."""

SLOW_SECONDS, SLOW_BYTES = 60, 10_000
"""A server that sends less than so many bytes in so many seconds is given up."""

PART_SUFFIX = ".part"
"""Of a partial download."""
REJECTED_SUFFIX = ".rejected"
"""Of a file that is not what it should be."""

_CHUNK_BYTES = 2**20
_MOST_RECORD_BYTES = 2**16
# of an OSError: the disk, or the user's share of it, is full
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a partial download is the start of; kept in a file beside it."""

    url: str
    """The address."""
    validator: str
    """What the server calls this version of the file, for If-Range; "" means that a download cannot
    be resumed.
    """
    total_bytes: int | None
    """The whole length, None when the server does not say."""

    @classmethod
    def of(cls, url: str, response: httpx.Response) -> _Origin:
        """From the headers of a response with the whole file."""
        # weak entity tags do not promise the same bytes (RFC 9110, 13.1.5)
        tag = response.headers.get("ETag", "")
        validator = (
            response.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
        )
        length = response.headers.get("Content-Length", "")
        return cls(url, validator, int(length) if length.isdecimal() else None)


class FetchError(WeightsError):
    """A source that does not give the file; another one may."""

    status: int = 0
    """What a server that was reached answered with; 0 where something else went wrong."""


class _Changed(Exception):  # noqa: N818
    """The file on the server is not the one that the partial download is the start of."""


class _TooLarge(Exception):  # noqa: N818
    """The server sends more bytes than the file can have."""


class _Lost(Exception):  # noqa: N818  a reason to resume, not an error yet
    """The connection broke; the bytes so far are on disk."""


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
    """Download the file at `url` to `part`, resuming an earlier download of the same version.

    A connection that breaks is made again as long as each brings WORTHWHILE_BYTES. A server that
    sends next to nothing for SLOW_SECONDS is given up.

    Args:
        url: the address.
        part: the file; a partial download stays there for the next call.
        by_hand: the hint of errors: what to do without this function.
        progress: is called with the bytes so far.
        most_bytes: what the file can have; the download stops at more, and nothing is kept.
        timeout_seconds: for each wait for more bytes.
        connect_seconds: for connecting; at most timeout_seconds.

    Raises:
        FetchError: the server does not give the file.
        WeightsError: the disk does not take it.
    """
    import httpx

    headers = {"Accept-Encoding": "identity", "User-Agent": f"vfx-matte/{__version__}"}
    trusted = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        timeout = httpx.Timeout(timeout_seconds, connect=min(connect_seconds, timeout_seconds))
        client = httpx.Client(
            timeout=timeout, follow_redirects=True, headers=headers, verify=_certificates(*trusted)
        )
    # certificates or a proxy that cannot be used
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise FetchError(f"cannot fetch {url}: {_reason(error)}", hint=by_hand) from error
    with client:
        try:
            _download_all(client, url, part, by_hand, progress, most_bytes=most_bytes)
        except _TooLarge as error:
            discard(part)
            raise FetchError(
                f"cannot fetch {url}: {error}; nothing of it is kept", hint=by_hand
            ) from error
        except OSError as error:
            # httpx has errors of its own, so this is the disk
            raise _disk_error(part, error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(f"cannot fetch {url}: {_reason(error)}", hint=by_hand) from error


def copy_stream(source: IO[bytes], part: Path, *, most_bytes: int) -> None:
    """Write all that can be read from `source` to `part`.

    Raises:
        FetchError: that is more than most_bytes.
        WeightsError: the disk does not take it.
    """
    try:
        discard(part)
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
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
    """The size of a partial download, 0 without one."""
    return part.stat().st_size if part.is_file() else 0


def put_in_place(part: Path, final: Path) -> None:
    """Give a complete download its name, replacing a file of that name.

    Raises:
        WeightsError: the disk does not allow it.
    """
    try:
        part.replace(final)
        discard(part)
    except OSError as error:
        raise _disk_error(final, error) from error


def reject(part: Path) -> Path:
    """Rename a file that is not what it should be, replacing an earlier such one.

    Returns:
        Its new path.

    Raises:
        WeightsError: the disk does not allow it.
    """
    rejected = part.with_name(part.name.removesuffix(PART_SUFFIX) + REJECTED_SUFFIX)
    put_in_place(part, rejected)
    return rejected


def discard(part: Path) -> None:
    """Delete a partial download."""
    # the record first: a download without it is never resumed
    _record_path(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


@functools.cache  # reading them takes longer than a small file
def _certificates(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Whom to trust, as SSL_CERT_FILE and SSL_CERT_DIR (the arguments) or httpx say."""
    import httpx

    return httpx.create_ssl_context()


def _download_all(
    client: httpx.Client, url: str, part: Path, by_hand: str, progress: Progress, *, most_bytes: int
) -> None:
    """Attempt the download as often as each attempt brings enough."""
    import httpx

    has_restarted = False
    while True:
        before = kept_bytes(part)
        try:
            _attempt(client, url, part, by_hand, progress, most_bytes=most_bytes)
            return
        except _Changed as error:
            # from the start, once: a server that changes all the time would keep this going
            discard(part)
            if has_restarted:
                raise FetchError(f"cannot fetch {url}: {error}", hint=by_hand) from error
            has_restarted = True
        except (_Lost, httpx.TransportError) as error:
            now = kept_bytes(part)
            can_resume = bool(_origin(part, url).validator)
            if now - before < WORTHWHILE_BYTES or not can_resume:
                kept = (
                    f"; {now / 1e6:.1f} MB are kept, run the command again to resume"
                    if now and can_resume
                    else ""
                )
                raise FetchError(
                    f"cannot fetch {url}: {_reason(error)}{kept}", hint=by_hand
                ) from error


def _attempt(
    client: httpx.Client, url: str, part: Path, by_hand: str, progress: Progress, *, most_bytes: int
) -> None:
    """One request, read to its end.

    Raises _Changed, _TooLarge, _Lost, WeightsError, OSError, or what httpx raises.
    """
    # 1. what there is already
    origin, start = _origin(part, url), kept_bytes(part)
    if not origin.validator:
        discard(part)
        start = 0
    # complete, but not yet verified when the last call ended
    if start and start == origin.total_bytes:
        return
    # 2. the rest of it, or all where the server has another version
    wanted = {"Range": f"bytes={start}-", "If-Range": origin.validator} if start else {}
    with client.stream("GET", url, headers=wanted) as response:
        # weights without a known checksum are trusted by their address
        if url.startswith("https:") and response.url.scheme != "https":
            raise FetchError(f"{url} leads to {response.url}, which is not encrypted", hint=by_hand)
        if start and response.status_code == HTTPStatus.OK:
            # the server does not support ranges, or has another file by now
            start = 0
        if start and not _continues(response, origin, start):
            raise _Changed("the server does not continue the file that it began")
        if response.status_code != (HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK):
            reason = f"the server says {response.status_code} {response.reason_phrase}".rstrip()
            error = FetchError(f"cannot fetch {url}: {reason}", hint=by_hand)
            error.status = response.status_code
            raise error
        if not start:
            discard(part)
            origin = _Origin.of(url, response)
        _receive(response, part, origin, start, progress, most_bytes=most_bytes)


def _continues(response: httpx.Response, origin: _Origin, start: int) -> bool:
    """Whether a response to a request for the rest fits.

    A server that ignores If-Range is recognized by the range, length and tag that it sends.
    """
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return response.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if sent is None or int(sent[1]) != start:
        return False
    if origin.total_bytes is not None and sent[2] not in ("*", str(origin.total_bytes)):
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
    """Append the body of a response to the partial download."""
    # 1. does it fit? Better refused than a full disk after an hour
    total = origin.total_bytes
    if total is not None and total > most_bytes:
        raise _TooLarge(f"the server announces {total} bytes, more than the {most_bytes} expected")
    part.parent.mkdir(parents=True, exist_ok=True)
    if total is not None and shutil.disk_usage(part.parent).free < total - start:
        raise OSError(errno.ENOSPC, f"{(total - start) / 1e6:.1f} MB are needed")
    # 2. the bytes as they are sent
    with part.open("ab" if start else "wb") as file:
        if not start:
            _record_path(part).write_text(json.dumps(asdict(origin)), encoding="utf-8")
        done = start
        progress(done, total)
        measured_at, measured = time.monotonic(), done
        for chunk in response.iter_raw():
            if done + len(chunk) > most_bytes:
                raise _TooLarge(f"the server sends more than the {most_bytes} bytes expected")
            file.write(chunk)
            done += len(chunk)
            # a server that drips would never run into a timeout, which counts each wait alone
            if time.monotonic() - measured_at > SLOW_SECONDS:
                if done - measured < SLOW_BYTES:
                    raise _Lost(
                        f"the server sent {done - measured} bytes in {SLOW_SECONDS} seconds"
                    )
                measured_at, measured = time.monotonic(), done
            progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    # 3. a connection that ends early looks like an end
    if total is not None and done != total:
        raise _Lost(f"the server sent {done} bytes, expected {total}")


def _record_path(part: Path) -> Path:
    """Where the `_Origin` of a partial download is kept."""
    return part.with_name(f"{part.name}.json")


def _origin(part: Path, url: str) -> _Origin:
    """What a partial download is the start of; without a validator when that is not known or is
    another address.
    """
    try:
        origin = _Origin(
            **json.loads(
                read_small_file(_record_path(part), what="record", most_bytes=_MOST_RECORD_BYTES)
            )
        )
    except (UsageError, OSError, RecursionError, ValueError, TypeError):
        return _Origin(url, "", None)
    # another program's file of that name, or of another address, is no start
    fits = isinstance(origin.validator, str) and isinstance(origin.total_bytes, int | None)
    return origin if fits and origin.url == url and part.is_file() else _Origin(url, "", None)


def _reason(error: Exception) -> str:
    """An error of a library in one line."""
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
