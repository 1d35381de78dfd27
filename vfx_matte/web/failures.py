"""Errors of requests: what is wrong with what the page sent."""

from __future__ import annotations


class RequestError(Exception):
    """A request that cannot be answered as it is.

    Args:
        status: its HTTP status.
        message: one line that says what is wrong with it.
        hint: one line that says what would be right; may be empty.
    """

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.hint = status, message, hint
