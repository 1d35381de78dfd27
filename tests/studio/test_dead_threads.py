"""A thread that dies at work: it is said in a line, the next job runs, and the project is whole."""

from __future__ import annotations

import errno
import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.clips import number_of
from support.command_line import two_objects
from support.studios import open_studio

from vfx_matte.pipeline.studio import Job, Studio
from vfx_matte.pipeline.studio.frame_server import FrameServer
from vfx_matte.pipeline.studio.jobs import JobQueue
from vfx_matte.propagate.fake import FakePropagator
from vfx_matte.workspace import load_mask

pytestmark = pytest.mark.slow

FRAMES = 12


@pytest.fixture
def studio(tmp_path: Path, make_clip: Callable[..., Path]) -> Iterator[Studio]:
    clip = tmp_path / "clip.mp4"
    shutil.copy2(make_clip("studio.mp4"), clip)
    made = open_studio(clip, tmp_path, propagator="fake")
    yield made
    made.close()


@pytest.fixture
def events(studio: Studio) -> list[Any]:
    heard: list[Any] = []
    studio.subscribe(heard.append)
    return heard


def finished(studio: Studio, job: Job) -> Job:
    for _ in range(1500):
        now = next(one for one in studio.jobs() if one.id == job.id)
        if now.is_over:
            return now
        time.sleep(0.02)
    raise AssertionError(f"{now} does not end")


def masks(folder: Path) -> dict[int, Any]:
    paths = (folder / "workspace" / "clip" / "masks").glob("*.png")
    return {int(path.stem): load_mask(path) for path in paths}


def breaking(monkeypatch: pytest.MonkeyPatch, error: BaseException, *, after: int) -> None:
    """Have the propagator fail at a frame."""
    usual, steps = FakePropagator.step, 0

    def step(*given: Any, **named: Any) -> Any:  # noqa: ANN401
        nonlocal steps
        steps += 1
        if steps > after:
            raise error
        return usual(*given, **named)

    monkeypatch.setattr(FakePropagator, "step", step)


ERRORS: list[tuple[BaseException, str, str]] = [
    (MemoryError("Unable to allocate 9 GiB"), "this machine has no memory left for it", "close"),
    (ZeroDivisionError("one\nand two"), "unexpected ZeroDivisionError: one and two", "a bug"),
    (SystemExit(3), "unexpected SystemExit: 3", "a bug"),
    (KeyboardInterrupt(), "unexpected KeyboardInterrupt: ", "a bug"),
    (OSError(errno.EIO, "Input/output error", "x"), "'x': Input/output error", "check the file"),
]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: type(case[0]).__name__)
def test_a_propagation_that_dies_is_told_and_the_next_one_runs(
    studio: Studio,
    events: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[BaseException, str, str],
) -> None:
    error, message, hint = case
    studio.save_mask(0, two_objects())
    with monkeypatch.context() as broken:
        breaking(broken, error, after=5)
        died = finished(studio, studio.propagate("forward", 0))
    assert (died.state, died.message) == ("failed", message)
    assert hint in died.hint
    told = [one["job"] for one in events if one["type"] == "job" and one["job"].id == died.id]
    assert [job.state for job in told[-2:]] == ["running", "failed"]
    # what was finished is there, and counts
    kept = masks(tmp_path)
    assert 0 < len(kept) < FRAMES
    assert studio.view().masks.done == ((0, len(kept)),)
    # the next one goes on, and nothing is lost
    assert finished(studio, studio.propagate("forward", 0)).state == "done"
    made = masks(tmp_path)
    assert len(made) == FRAMES
    assert all((mask == two_objects()).all() for mask in made.values())
    for _ in range(3):
        studio.undo()
    assert (studio.view().undo, masks(tmp_path)) == (None, {})


def test_a_render_that_dies_leaves_no_file_and_the_next_one_runs(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.save_mask(0, two_objects())
    finished(studio, studio.propagate("both", 0))
    folder = tmp_path / "workspace" / "clip"
    before = sorted(path.name for path in folder.iterdir())
    with monkeypatch.context() as broken:

        def fails(*_: Any, **__: Any) -> Any:  # noqa: ANN401
            raise MemoryError

        broken.setattr("vfx_matte.pipeline.render.mattes.Mattes.matte", fails)
        died = finished(studio, studio.render("greenback", {}))
    assert (died.state, died.message) == ("failed", "this machine has no memory left for it")
    assert sorted(path.name for path in folder.iterdir()) == before
    assert finished(studio, studio.render("greenback", {})).state == "done"


def test_a_job_whose_thread_is_gone_is_given_up(
    studio: Studio, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not even its end can be told."""
    studio.save_mask(0, two_objects())
    usual, killed = JobQueue._set, []
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def dies(queue: JobQueue, job_id: int, **changes: Any) -> None:  # noqa: ANN401
        if not killed:
            killed.append(job_id)
            raise MemoryError
        usual(queue, job_id, **changes)

    monkeypatch.setattr(JobQueue, "_set", dies)
    first = studio.propagate("forward", 0)
    second = studio.render("overlay", {})
    died = finished(studio, first)
    assert (died.state, died.message) == ("failed", "the work ended without a result")
    assert finished(studio, second).state == "done"
    states = [one["job"].state for one in events if one["type"] == "job"]
    assert states[-3:] == ["failed", "running", "done"]
    studio.clear("propagated")


def test_whoever_cannot_hear_ends_no_work(studio: Studio) -> None:
    def deaf(_: Any) -> None:  # noqa: ANN401
        raise ZeroDivisionError

    studio.subscribe(deaf)
    studio.save_mask(0, two_objects())
    assert finished(studio, studio.propagate("both", 0)).state == "done"


def test_pictures_come_after_one_that_could_not_be_made_ahead(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()
    usual = FrameServer._picture

    def fails(server: FrameServer, frame: Any, width: int) -> bytes:  # noqa: ANN401
        # asked for is frame 2, made ahead are those beside it
        if frame.index != 2:
            failed.set()
            raise MemoryError
        return usual(server, frame, width)

    with monkeypatch.context() as broken:
        broken.setattr(FrameServer, "_picture", fails)
        studio.frame_jpeg(2)
        assert failed.wait(10)
        with pytest.raises(MemoryError):
            studio.frame_jpeg(9)
    answered: list[bytes] = []
    asking = threading.Thread(target=lambda: answered.append(studio.frame_jpeg(7)), daemon=True)
    asking.start()
    asking.join(20)
    (picture,) = answered
    assert number_of(np.array(Image.open(io.BytesIO(picture)))) == 7


def test_cuts_that_cannot_be_looked_for_are_none(
    tmp_path: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy2(make_clip("studio.mp4"), clip)

    def fails(*_: Any, **__: Any) -> Any:  # noqa: ANN401
        raise MemoryError

    monkeypatch.setattr("vfx_matte.pipeline.studio.studio.find_cuts", fails)
    monkeypatch.setattr("vfx_matte.pipeline.studio.studio._CUTS_AFTER_SECONDS", 0.0)
    studio = open_studio(clip, tmp_path, propagator="fake")
    try:
        studio.save_mask(0, two_objects())
        assert finished(studio, studio.propagate("both", 0)).state == "done"
        assert studio.view().cuts == ()
    finally:
        studio.close()
