"""A short campaign of requests that fit the server's description and such that do not; the longer
one is bench/fuzz_studio.py.
"""

from __future__ import annotations

import pytest
from support.studio_server import Client

from bench.fuzz_studio import campaign

pytest.importorskip("schemathesis")
pytestmark = pytest.mark.slow


def test_no_request_does_harm(real: Client) -> None:
    report = campaign(f"http://{real.authority}", real.token, count=4)
    assert report.faults == []
    assert sum(map(len, report.statuses.values())) > 30


def test_faults_are_found(page: Client) -> None:
    page.studio.prepare = {}.__getitem__
    try:
        faults = campaign(f"http://{page.authority}", page.token, count=1).faults
    finally:
        del page.studio.prepare
    assert any("server error: 500" in line for line in faults)
    assert all("/prepare" in line for line in faults)
