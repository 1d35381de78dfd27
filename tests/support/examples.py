"""How many examples a property is tried with."""

from __future__ import annotations

from hypothesis import settings


def examples(most: int) -> settings:
    """At most so many; in the fast lane no more than its profile says (`tests/conftest.py`)."""
    return settings(max_examples=min(most, settings().max_examples))
