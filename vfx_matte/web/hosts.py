"""What is done before a server is there: who could reach it, what it is made with."""

from __future__ import annotations

import contextlib
import importlib
import ipaddress
import threading
from typing import TYPE_CHECKING, Protocol

from vfx_matte.errors import UsageError
from vfx_matte.wording import option

if TYPE_CHECKING:
    from vfx_matte.pipeline.progress import Reporter

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


class Place(Protocol):
    """Where a server is to listen."""

    @property
    def host(self) -> str:
        """A name or an address of this machine."""

    @property
    def allow_remote(self) -> bool:
        """Whether other machines may reach it."""


STUDIO_MEANING = "see the clip and change the project"
"""What whoever reaches the studio can do."""


def check_host(settings: Place, reporter: Reporter, *, others_can: str = STUDIO_MEANING) -> None:
    """Check that other machines can reach a server only where that was asked for.

    Args:
        settings: where it is to listen.
        reporter: is told where other machines can.
        others_can: what they can do then.

    Raises:
        UsageError: they could, and it was not.
    """
    if is_loopback(settings.host):
        return
    meaning = (
        f"everybody in the network who has the address can then {others_can}, and nothing on the"
        " way is encrypted"
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
