"""Runs the commands of a batch on the workers of a Dask cluster.

Every worker sees the same folders under the same names (a shared disk), and has this program
installed. A worker that dies takes its command along, which begins again on another one and goes on
where it was saved.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vfx_matte.errors import BatchError, UsageError, install_hint
from vfx_matte.pipeline.batch.processes import ATTEMPTS, Commands, Ended, Program, Relay, no_relay

_TOPIC = "vfx-matte"
_EXTRA = "farm"

_CONNECT_SECONDS = 10
_PAUSE_SECONDS = 3.0


@dataclass(slots=True)
class ClusterCommands(Commands):
    """Commands that run on a cluster; `run` returns when one has ended there."""

    client: Any = None
    """A `distributed.Client`."""

    _futures: set[Any] = field(default_factory=set)
    _heard: dict[str, Relay] = field(default_factory=dict)
    _count: int = 0

    def run(self, arguments: Sequence[str], *, hear: Relay = no_relay) -> Ended:
        """Run one command on some worker; see `Commands.run`."""
        with self._lock:
            if self.is_stopped:
                return Ended(exit_code=None)
            self._count += 1
            key = f"{arguments[0]}-{self._count}-{id(self):x}"
            self._heard[key] = hear
            future = self.client.submit(
                _on_worker,
                key,
                tuple(arguments),
                self.program.event_words,
                key=key,
                pure=False,
                retries=ATTEMPTS - 1,
            )
            self._futures.add(future)
        try:
            ended: Ended = future.result()
        except Exception as error:  # noqa: BLE001  whatever the cluster, or its worker, raised
            lost = type(error).__name__ in ("FutureCancelledError", "CancelledError")
            text = "the scheduler is gone, or its workers are; start them again"
            what = text if lost else f"{type(error).__name__}: {error}"
            return Ended(exit_code=1, error=what)
        finally:
            with self._lock:
                self._futures.discard(future)
                self._heard.pop(key, None)
        return ended

    def stop(self) -> None:
        """Let no other command begin; those that run are told to end."""
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
            futures = list(self._futures)
        with contextlib.suppress(Exception):
            self.client.run(_interrupt_commands)
            # those that have not begun
            self.client.cancel(futures)

    def tell(self, event: tuple[Any, Mapping[str, object]]) -> None:
        """Hear an event that a worker told; `distributed` calls this."""
        message = event[1]
        told = message.get("event")
        hear = self._heard.get(str(message.get("key")))
        if hear is not None and isinstance(told, Mapping):
            hear(told)
            self.program.relay(told)


@contextlib.contextmanager
def cluster_commands(address: str, program: Program) -> Iterator[ClusterCommands]:
    """Commands for the workers of a scheduler.

    Args:
        address: of the scheduler: "tcp://host:8786".
        program: its events and what makes a command tell them; each worker runs its own program.

    Raises:
        BatchError: no scheduler answers there, or it has no worker.
        UsageError: the package is not installed.
    """
    # its own lines about connections would stand among the events; errors come as exceptions
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise UsageError(
            "a scheduler needs the package distributed, which is not installed",
            hint=install_hint(_EXTRA),
        ) from error
    if not address.startswith(("tcp://", "tls://", "ws://", "wss://", "ucx://")):
        raise UsageError(
            f"{address!r} is no address of a scheduler", hint="it is like tcp://HOST:8786"
        )
    try:
        open_client: Any = Client
        client = open_client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise BatchError(
            f"no scheduler answers at {address!r}: {error}",
            hint="start one with: dask scheduler; and workers with: dask worker ADDRESS",
        ) from error
    try:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise BatchError(
                f"the scheduler at {address!r} has no workers", hint="dask worker ADDRESS"
            )
        slots = sum(int(worker["nthreads"]) for worker in workers.values())
        commands = ClusterCommands(program=program, at_once=slots, client=client)
        client.subscribe_topic(_TOPIC, commands.tell)
        yield commands
    finally:
        with contextlib.suppress(Exception):
            client.unsubscribe_topic(_TOPIC)
        client.close()


# ---- on a worker

_running: dict[str, Commands] = {}
_running_lock = threading.Lock()


def _on_worker(key: str, arguments: tuple[str, ...], event_words: tuple[str, ...]) -> Ended:
    """Run a command in a process beside the worker's."""
    from distributed import get_worker

    worker = get_worker()

    def relay(event: Mapping[str, object]) -> None:
        worker.log_event(_TOPIC, {"key": key, "event": dict(event)})

    slots = max(1, worker.state.nthreads)
    commands = Commands(Program(event_words=event_words, relay=relay), at_once=slots)
    with _running_lock:
        _running[key] = commands
    try:
        return commands.run_again(arguments, wants=_after_a_pause)
    finally:
        with _running_lock:
            _running.pop(key, None)


def _after_a_pause(_ended: Ended) -> bool:
    # of a worker that died its command ends a moment later, when nobody hears it any more, and
    # holds the clip until then
    time.sleep(_PAUSE_SECONDS)
    return True


def _interrupt_commands() -> None:
    """On a worker: what Ctrl-C is to all of its commands."""
    with _running_lock:
        commands = list(_running.values())
    for one in commands:
        # each is waited for, which would keep the worker from hearing the scheduler
        threading.Thread(target=one.stop, name="stop").start()
