"""A short campaign of requests that fit the server's description and such that do not; the longer
one is bench/fuzz_serve.py.
"""

from __future__ import annotations

import time

import pytest
from support.labelling_server import BUILTIN, serving

from bench.fuzz_serve import campaign

pytest.importorskip("schemathesis")
pytestmark = pytest.mark.slow


def test_no_request_does_harm() -> None:
    with serving(propagator=BUILTIN, sessions=1000, patience=2, idle=2) as client:
        report = campaign(f"http://{client.authority}", client.token, count=4)
        assert report.faults == []
        assert sum(map(len, report.statuses.values())) > 30
        # what nobody uses any more takes nothing
        deadline = time.monotonic() + 60
        while client.studio.space.used:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.studio.queue.running == 0


def test_faults_are_found() -> None:
    with serving(propagator=BUILTIN) as client:
        client.studio.sent_clip = {}.__getitem__
        faults = campaign(f"http://{client.authority}", client.token, count=1).faults
    assert any("server error: 500" in line for line in faults)
    assert all("/v1/" in line for line in faults)
