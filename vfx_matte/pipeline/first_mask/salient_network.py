"""Opens the network that finds what stands out, and fetches it when it is first needed.

Fetching can be switched off (config.ini: [network] fetch = never; environment:
VFX_MATTE_FETCH=never). Where the network cannot be had, one notice says so, and fetching is not
tried again for a day, so that commands do not wait for a server that cannot be reached.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from vfx_matte.choices import unknown_choice
from vfx_matte.detect.names import NETWORK_FILE, NETWORK_TITLE
from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.errors import ConfigError, VfxMatteError, WeightsError
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.weights import (
    Patience,
    fetch_weights,
    megabytes,
    opened_weights,
    require_named_file,
)
from vfx_matte.wording import command

FETCH_VARIABLE = "VFX_MATTE_FETCH"
"""The environment variable that switches fetching off: auto or never."""

FETCH_CHOICES = ("auto", "never")
"""The values of FETCH_VARIABLE."""

TRY_AGAIN_SECONDS = 24 * 3600
"""After a fetch that failed."""

# nobody asked for this fetch, so it must not make a command wait
_IMPATIENT = Patience(connect_seconds=4, wait_seconds=10, package_seconds=60)
TITLE = NETWORK_TITLE
FETCH_COMMAND = command("weights fetch", Path(NETWORK_FILE).stem)


def salient_network(
    folder: Path, *, reporter: Reporter, fetch: bool = True
) -> SalientNetwork | None:
    """The network in the model folder, fetched there first where it is missing; None where it
    cannot be had.

    Args:
        folder: of weights.
        reporter: receives one notice when the network is fetched, or when it cannot be used and
            why.
        fetch: whether it may be fetched; VFX_MATTE_FETCH=never forbids it whatever this says.

    Raises:
        UsageError: the variable has another value.
        ConfigError: weights.toml of the folder cannot be read.
    """
    path = folder / NETWORK_FILE
    allowed = fetch_allowed() and fetch
    if not path.is_file():
        if not allowed:
            reporter.notify(
                f"without {TITLE}, which is not in {folder}, and fetching is off; {FETCH_COMMAND}"
                " gets it, for better masks"
            )
            return None
        if not _is_fetched(folder, reporter):
            reporter.notify(
                f"without {TITLE}, which could not be fetched; {FETCH_COMMAND} tries again and says"
                " why, for better masks"
            )
            return None
    return opened_network(path, reporter.notify)


def named_network(given: str | Path | bool | None, *, model: Path) -> Path | None:
    """The file that a Python program means; None where it does without.

    Args:
        given: the file's path; True is the one in the model folder, where it is there.
        model: the folder of network weights.

    Raises:
        UsageError: there is no file of that path.
    """
    require_named_file(given, title=TITLE, option_name="network")
    path = model / NETWORK_FILE if isinstance(given, bool) or given is None else Path(given)
    return path if given and path.is_file() else None


def opened_network(path: Path, notify: Callable[[str], None]) -> SalientNetwork | None:
    """The network of a file; None, and a notice that says why, where it cannot be used."""
    return opened_weights(path, SalientNetwork, title=TITLE, notify=notify)


def fetch_allowed() -> bool:
    """Whether the environment allows weights to be fetched on first use.

    Raises:
        UsageError: FETCH_VARIABLE has another value than FETCH_CHOICES.
    """
    value = os.environ.get(FETCH_VARIABLE, "").strip().lower() or "auto"
    if value not in FETCH_CHOICES:
        raise unknown_choice(FETCH_VARIABLE, value, FETCH_CHOICES)
    return value == "auto"


def _is_fetched(folder: Path, reporter: Reporter) -> bool:
    """Fetch the network, unless that failed within the last day."""
    # an empty file whose date is that of the failure
    failed = folder / f".{NETWORK_FILE}.unreachable"
    if _is_recent(failed):
        return False
    try:
        done = fetch_weights(
            NETWORK_FILE, folder=folder, reporter=_TransferOnly(reporter), patience=_IMPATIENT
        )
    except ConfigError:
        raise
    except VfxMatteError as error:
        # not for a lock that another run holds: that one fetches it just now
        if isinstance(error, WeightsError):
            with contextlib.suppress(OSError):
                failed.parent.mkdir(parents=True, exist_ok=True)
                failed.touch()
        return False
    with contextlib.suppress(OSError):
        failed.unlink(missing_ok=True)
    reporter.notify(
        f"fetched {TITLE}, {megabytes(done.size_bytes)}, from {done.source} into {folder}, once"
        f" ({done.entry.licence})"
    )
    return True


def _is_recent(failed: Path) -> bool:
    try:
        # a date in the future, of a clock that was wrong, does not count
        return 0 <= time.time() - failed.stat().st_mtime < TRY_AGAIN_SECONDS
    except OSError:
        return False


class _TransferOnly(SilentReporter):
    """Shows the progress of a transfer, and drops the fetch's notices: one notice is enough for
    a fetch that nobody asked for.
    """

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self.transfer = reporter.transfer  # type: ignore[method-assign]
