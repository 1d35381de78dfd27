"""Keeps what clients made, by an id, for as long as somebody uses it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from threading import RLock
from typing import Generic, TypeVar

from vfx_matte.errors import UsageError, VfxMatteError

T = TypeVar("T")


class MissingError(UsageError):
    """An id that was never given out."""


class GoneError(UsageError):
    """An id of something that is not kept any more."""


class BusyError(VfxMatteError):
    """There is no room for one more; later there may be."""


class Registry(Generic[T]):
    """Things by their ids. Safe to use from any thread.

    An id carries the tag of the program's start, so that what an earlier start knew is told from
    what there never was.

    Args:
        kind: what they are, in a word; an id begins with it.
        tag: of this start: letters and digits.
        most: how many are kept.
        seconds: how long one is kept that nobody uses; it may depend on the thing.
        forget: frees one that is taken out; called without a lock.
        is_used: whether somebody uses one just now, though nobody asks for it.
        is_over: whether one may go for a new one, where nobody uses it.
    """

    def __init__(
        self,
        kind: str,
        tag: str,
        *,
        most: int,
        seconds: float | Callable[[T], float],
        forget: Callable[[T], None],
        is_used: Callable[[T], bool] = lambda _: False,
        is_over: Callable[[T], bool] = lambda _: False,
    ) -> None:
        self._kind, self._tag, self._most = kind, tag, most
        self._seconds = seconds if callable(seconds) else lambda _: seconds
        self._forget, self._is_used, self._is_over = forget, is_used, is_over
        self._items: dict[int, T] = {}
        self._used_at: dict[int, float] = {}
        self._count = 0
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self._items)

    def kept(self) -> list[T]:
        """All of them, the oldest first."""
        with self._lock:
            return list(self._items.values())

    def add(self, make: Callable[[str], T]) -> T:
        """Keep one more. Where there are as many as there may be, one that is over goes: that which
        was not used for the longest time.

        Args:
            make: makes it of its id.

        Raises:
            BusyError: all of them are in use.
        """
        with self._lock:
            gone = None
            if len(self._items) >= self._most:
                free = [
                    number
                    for number, item in self._items.items()
                    if self._is_over(item) and not self._is_used(item)
                ]
                if not free:
                    raise BusyError(
                        f"this server keeps {self._most} {self._kind}s at most, and has as many",
                        hint="try again later, or end one of them",
                    )
                gone = self._take_out(min(free, key=self._used_at.__getitem__))
            self._count += 1
            number = self._count
            item = self._items[number] = make(self._id(number))
            self._used_at[number] = time.monotonic()
        if gone is not None:
            self._forget(gone)
        return item

    def get(self, item_id: str) -> T:
        """One of them; it counts as used now.

        Raises:
            MissingError: there never was one.
            GoneError: it is not kept any more.
        """
        with self._lock:
            number = self._number(item_id)
            self._used_at[number] = time.monotonic()
            return self._items[number]

    def remove(self, item_id: str) -> None:
        """Forget one.

        Raises:
            MissingError: there never was one.
            GoneError: it is not kept any more.
        """
        with self._lock:
            item = self._take_out(self._number(item_id))
        self._forget(item)

    def expire(self) -> None:
        """Forget those that nobody has used for long."""
        now = time.monotonic()
        with self._lock:
            gone = []
            for number, item in list(self._items.items()):
                if self._is_used(item):
                    self._used_at[number] = now
                elif now - self._used_at[number] > self._seconds(item):
                    gone.append(self._take_out(number))
        for item in gone:
            self._forget(item)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            gone = [self._take_out(number) for number in list(self._items)]
        for item in gone:
            self._forget(item)

    def _id(self, number: int) -> str:
        return f"{self._kind}-{self._tag}-{number}"

    def _take_out(self, number: int) -> T:
        del self._used_at[number]
        return self._items.pop(number)

    def _number(self, item_id: str) -> int:
        """The number of one that is there; raises as `get`."""
        found = re.fullmatch(rf"{self._kind}-([0-9a-z]{{1,32}})-([1-9][0-9]{{0,9}})", item_id)
        if found is None:
            raise MissingError(
                f"there is no {self._kind} of this id", hint="use the id that its answer gave"
            )
        number = int(found[2])
        if found[1] != self._tag:
            raise GoneError(
                f"the {self._kind} is gone: the server was started again", hint="begin a new one"
            )
        if number > self._count:
            raise MissingError(
                f"there is no {self._kind} of this id", hint="use the id that its answer gave"
            )
        if number not in self._items:
            raise GoneError(
                f"the {self._kind} is gone: it was ended, or nobody used it for too long",
                hint="begin a new one",
            )
        return number
