"""`vfx-matte batch --scheduler`: a scheduler and two workers on this machine make what one process
makes; a worker that dies changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command_line import CommandLine, paint, two_objects

from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.scene import Scene

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX"),
]

FRAMES = 16
SCENE = Scene(width=96, height=64, frame_count=FRAMES)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with (
        contextlib.closing(
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            )
        ) as made,
    ):
        yield made


@pytest.fixture
def films(cli: CommandLine) -> CommandLine:
    make_film(
        Path("one.mp4"), (SCENE.frame(at)[0] for at in range(FRAMES)), SCENE.timeline, SCENE.sound()
    )
    for name in ("one", "two", "three"):
        if name != "one":
            Path(f"{name}.mp4").write_bytes(Path("one.mp4").read_bytes())
        paint(Path(f"{name}.png"), two_objects())
    # read by every worker, whose working directory is another one
    Path("config.ini").write_text("[segment]\npropagator = builtin\nnetwork = no\ncuts = ignore\n")

    def alone() -> None:
        cli("segment", "one.mp4", "--first-mask", "one.png", "--workspace", "alone")

    cli.once("one clip alone, and no cluster", alone)
    return cli


CLIPS = ("one.mp4", "two.mp4", "three.mp4")


def masks(workspace: str) -> dict[str, bytes]:
    return {
        path.relative_to(workspace).as_posix(): path.read_bytes()
        for path in Path(workspace).glob("*/masks/*.png")
    }


def test_workers_make_what_one_process_makes(films: CommandLine, cluster: Any) -> None:  # noqa: ANN401
    ran = films("batch", *CLIPS, "--scheduler", cluster.scheduler_address, "--outputs", "maskvideo",
                "--progress", "json", "--json")  # fmt: skip
    found = json.loads(ran.stdout)
    assert [one["steps"][0]["state"] for one in found["shots"]] == ["done"] * 3
    # what the workers' commands told came back
    told = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {one["command"] for one in told if one["event"] == "progress"} >= {"segment", "batch"}
    alone = {name.removeprefix("one/"): data for name, data in masks("alone").items()}
    assert len(alone) == FRAMES
    for clip in ("one", "two", "three"):
        mine = {n: d for n, d in masks("workspace").items() if n.startswith(f"{clip}/")}
        assert {name.removeprefix(f"{clip}/"): data for name, data in mine.items()} == alone


def test_a_worker_that_dies_changes_nothing(films: CommandLine, cluster: Any) -> None:  # noqa: ANN401
    child = films.start("batch", *CLIPS, "--scheduler", cluster.scheduler_address, "--outputs",
                        "maskvideo")  # fmt: skip
    deadline = time.monotonic() + 120
    while len(masks("workspace")) < 5:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    _, stderr = child.communicate(timeout=300)
    assert child.returncode == 0, stderr
    made, alone = masks("workspace"), masks("alone")
    assert len(made) == 3 * FRAMES
    for name, data in alone.items():
        for clip in ("one", "two", "three"):
            assert made[name.replace("one/", f"{clip}/")] == data


def test_no_scheduler_is_said(films: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vfx_matte.pipeline.batch.cluster._CONNECT_SECONDS", 0.5)
    ran = films.fails("batch", "one.mp4", "--scheduler", "tcp://127.0.0.1:1", code=1)
    assert "no scheduler answers" in ran.error
    assert "dask scheduler" in ran.hint
