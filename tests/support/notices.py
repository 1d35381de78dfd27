"""What a function tells its user, kept for a test."""

from __future__ import annotations


class Notices(list[str]):
    """A notify callable that keeps what it is told."""

    def __call__(self, text: str) -> None:
        self.append(text)
