"""A served service, with a propagator that repeats the mask, or with the built-in one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.labelling_server import serving
from support.studio_server import Client


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """A server that tests share; a track of one is no matter to another."""
    with serving(sessions=1000) as one:
        yield one
