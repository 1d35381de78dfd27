"""Talks to a Label Studio: fetches the files of tasks, and sends predictions."""

from __future__ import annotations

import ipaddress
import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from vfx_matte.errors import InputError, MaskError, UsageError
from vfx_matte.printable import printable, shortened

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "LABEL_STUDIO_API_KEY"
"""The environment variable with the key: an argument could be seen by every user of the machine."""

MOST_FILE_BYTES = 8 << 30
"""Of one picture or video."""

_KEPT_FILES = 8
_FILES = "files that were uploaded to Label Studio, or that it serves from a folder, are read"
_TIMEOUT_SECONDS = 60.0
_CONNECT_SECONDS = 5.0


class LabelStudioClient:
    """One Label Studio. Safe to use from several threads.

    Args:
        address: such as "http://localhost:8080"; no other server is ever asked.
        key: a personal access token, or a legacy one.
        transport: for tests.

    Raises:
        UsageError: it is no address, or there is no key.
    """

    def __init__(
        self, address: str, key: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        import httpx

        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise UsageError(
                f"{shortened(repr(address))} is no address of Label Studio",
                hint="expected one such as http://localhost:8080",
            )
        if not key:
            raise UsageError(
                "there is no key to Label Studio",
                hint=f"put the token of your account page into the environment: {KEY_VARIABLE}",
            )
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise UsageError(f"{KEY_VARIABLE} is no token", hint="copy it from your account page")
        self.address = address.rstrip("/") + "/"
        self._unreachable_hint = f"check that Label Studio runs at {self.address}, then try again"
        self._origin = (parts.scheme, parts.hostname, parts.port)
        # a personal access token is a JWT that is exchanged for one that lasts five minutes
        self._refresh, self._access = (key, "") if key.count(".") == 2 else ("", "")
        self._legacy = "" if self._refresh else key
        self._lock = threading.Lock()
        self._http = httpx.Client(
            timeout=httpx.Timeout(_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS),
            # the key must not follow to another server, nor our own machine be asked by a proxy
            follow_redirects=False,
            trust_env=not _is_here(parts.hostname),
            transport=transport,
        )

    def close(self) -> None:
        """Let connections go."""
        self._http.close()

    def resolved(self, link: str) -> str:
        """The address of a task's file.

        Args:
            link: as it stands in the task: "/data/upload/1/a.mp4".

        Raises:
            InputError: it is on another server, or no file.
        """
        prefix = urlsplit(self.address).path
        inside = link.startswith("/") and not link.startswith(("//", prefix))
        address = urljoin(self.address, link.lstrip("/") if inside else link)
        parts = urlsplit(address)
        # what tasks say is written by many people: with our key they get files, and nothing else
        if (parts.scheme, parts.hostname, parts.port) != self._origin or not parts.path.startswith(
            f"{prefix}data/"
        ):
            raise InputError(
                f"{shortened(repr(printable(link)))} is no file of {self.address}", hint=_FILES
            )
        return address

    def fetch(self, link: str, target: Path, *, most_bytes: int = MOST_FILE_BYTES) -> None:
        """Fetch a task's file.

        Args:
            link: as for `resolved`.
            target: where it goes.
            most_bytes: of it.

        Raises:
            InputError: it is on another server, is not there, or is larger.
        """
        import httpx

        address = self.resolved(link)
        shown = shortened(printable(link))
        try:
            for is_last in (False, True):
                with self._http.stream("GET", address, headers=self._headers()) as answer:
                    if answer.status_code == 401 and not is_last and self._expired():
                        continue
                    self._require_file(answer, shown)
                    size = 0
                    with target.open("wb") as file:
                        for piece in answer.iter_bytes():
                            size += len(piece)
                            if size > most_bytes:
                                raise InputError(
                                    f"{shown} has more than {most_bytes:,} bytes",
                                    hint="give the task a smaller file",
                                )
                            file.write(piece)
                    return
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise InputError(
                f"{shown} cannot be fetched: {printable(error)}", hint=self._unreachable_hint
            ) from error

    def add_prediction(
        self, task: int, *, result: list[dict[str, object]], score: float, version: str
    ) -> int:
        """Add a prediction to a task.

        Returns:
            Its id.

        Raises:
            InputError: Label Studio does not take it.
        """
        body = {"task": task, "result": result, "score": score, "model_version": version}
        answer = self._posted("api/predictions/", body)
        return int(answer.get("id", 0))

    def _posted(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        import httpx

        address = urljoin(self.address, path)
        try:
            answer = self._http.post(address, json=body, headers=self._headers())
            if answer.status_code == 401 and self._expired():
                answer = self._http.post(address, json=body, headers=self._headers())
            found = answer.json() if answer.content else {}
        except (httpx.HTTPError, ValueError) as error:
            raise InputError(
                f"{address} cannot be reached: {printable(error)}", hint=self._unreachable_hint
            ) from error
        if not answer.is_success or not isinstance(found, dict):
            raise InputError(
                f"{address} answers {answer.status_code}: {shortened(printable(found), 200)}",
                hint=self._what_to_do(answer),
            )
        return found

    def _headers(self) -> dict[str, str]:
        if self._legacy:
            return {"Authorization": f"Token {self._legacy}"}
        with self._lock:
            if not self._access:
                self._access = self._exchanged()
            return {"Authorization": f"Bearer {self._access}"}

    def _exchanged(self) -> str:
        """A token for the next minutes. Raises InputError."""
        import httpx

        address = urljoin(self.address, "api/token/refresh")
        try:
            answer = self._http.post(address, json={"refresh": self._refresh})
            access = answer.json().get("access") if answer.is_success else None
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise InputError(
                f"{address} cannot be reached: {printable(error)}", hint=self._unreachable_hint
            ) from error
        if not isinstance(access, str) or not access:
            raise InputError(
                f"{address} answers {answer.status_code} and gives no token",
                hint=f"check {KEY_VARIABLE}",
            )
        return access

    def _expired(self) -> bool:
        """Forget the token of the moment; whether another one can be had."""
        with self._lock:
            self._access = ""
        return bool(self._refresh)

    def _require_file(self, answer: httpx.Response, shown: str) -> None:
        if answer.is_redirect:
            raise InputError(f"{shown} is kept on another server", hint=_FILES)
        if answer.status_code != 200:
            raise InputError(
                f"{shown} cannot be fetched: {self.address} answers {answer.status_code}",
                hint=self._what_to_do(answer),
            )

    def _what_to_do(self, answer: httpx.Response) -> str:
        """About an answer that is an error."""
        if answer.status_code in (401, 403):
            return f"check {KEY_VARIABLE}"
        if answer.status_code == 404:
            return f"the task or its file may be deleted; is it one of {self.address}?"
        return self._unreachable_hint


@dataclass(slots=True)
class _Kept:
    """A file that was fetched."""

    path: Path
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_there: bool = False


class TaskFiles:
    """The files of tasks, of which the last few are kept on disk; from any thread.

    Args:
        client: what fetches them.
    """

    def __init__(self, client: LabelStudioClient) -> None:
        self._client = client
        self._folder = tempfile.TemporaryDirectory(
            prefix="vfx-matte-label-studio-", ignore_cleanup_errors=True
        )
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0

    @contextmanager
    def lent(self, link: str) -> Iterator[Path]:
        """A task's file, which stays while it is used.

        Raises:
            InputError: it cannot be had.
        """
        if not isinstance(link, str) or not link:
            raise MaskError(
                "the task has no picture and no video where the configuration says",
                hint='value="$name" of the Image or Video tag names a field of the task\'s data',
            )
        self._client.resolved(link)
        with self._lock:
            kept = self._kept.get(link)
            if kept is None:
                # named by us, whatever the link says; the suffix says what it is
                suffix = Path(urlsplit(link).path).suffix.lower()
                suffix = suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
                self._count += 1
                folder = Path(self._folder.name) / f"{self._count:06d}"
                folder.mkdir()
                kept = self._kept[link] = _Kept(folder / f"file{suffix}")
            kept.users += 1
            self._kept.move_to_end(link)
        try:
            # two who want one file fetch it once
            with kept.lock:
                if not kept.is_there:
                    self._client.fetch(link, kept.path)
                    kept.is_there = True
            yield kept.path
        finally:
            with self._lock:
                kept.users -= 1
                self._drop()

    def close(self) -> None:
        """Delete all files."""
        self._folder.cleanup()

    def _drop(self) -> None:
        """Delete files that nobody uses: those that never came, and the oldest of too many."""
        for link, kept in list(self._kept.items()):
            if not kept.users and (len(self._kept) > _KEPT_FILES or not kept.is_there):
                del self._kept[link]
                kept.path.unlink(missing_ok=True)


def _is_here(host: str) -> bool:
    """Whether it is this machine, as far as a name says."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
