"""What is done before the studio's server is there: who could reach it, what it is made with."""

from __future__ import annotations

import contextlib
import importlib
import ipaddress
import threading
from typing import TYPE_CHECKING

from vfx_matte.errors import UsageError
from vfx_matte.wording import option

if TYPE_CHECKING:
    from vfx_matte.pipeline.progress import Reporter
    from vfx_matte.settings.options import StudioSettings

# those of other people alone: two threads that load modules of one program may meet halfway
_LIBRARIES = ("fastapi", "uvicorn")


def load_libraries() -> None:
    """Load what the server is made with, in a thread.

    That takes half a second, which a long clip needs for its packets to be counted.
    """

    def load() -> None:
        # what is missing, the one says who needs it
        with contextlib.suppress(ImportError):
            for name in _LIBRARIES:
                importlib.import_module(name)

    threading.Thread(target=load, name="vfx-matte libraries", daemon=True).start()


def check_host(settings: StudioSettings, reporter: Reporter) -> None:
    """Check that other machines can reach the studio only where that was asked for.

    Raises:
        UsageError: they could, and it was not.
    """
    if is_loopback(settings.host):
        return
    meaning = (
        "everybody in the network who has the address can then see the clip and change the"
        " project, and nothing on the way is encrypted"
    )
    if not settings.allow_remote:
        raise UsageError(
            f"{option('host', settings.host)} lets other machines in",
            hint=f"{meaning}; if you want that, add {option('allow_remote', True)}",
        )
    reporter.notify(f"other machines are let in: {meaning}")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
