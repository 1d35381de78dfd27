"""A batch runs every command once, keeps failures apart, and goes on after a stop; the commands
here are a small script that does as its arguments say.
"""

from __future__ import annotations

import _thread
import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from vfx_matte.errors import BatchError, StoppedError, UsageError, WorkspaceError
from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan, batch_plan
from vfx_matte.pipeline.batch.processes import Commands, Program, with_options
from vfx_matte.pipeline.batch.run import BatchOptions, require_done, run_batch
from vfx_matte.pipeline.progress import SilentReporter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

SCRIPT = """
import json, os, signal, sys, time
command, clip, *words = sys.argv[1:]
threads = os.environ.get("OMP_NUM_THREADS")
def tell(event, **facts):
    line = json.dumps({"event": event, "command": command, "clip": clip, **facts})
    print(line, file=sys.stderr, flush=True)
def log(what):
    with open("log", "a") as file:
        file.write(f"{what} {command} {clip} {threads}\\n")
log("begin")
tell("progress", frame=1, total=2)
if "slow" in words:
    try:
        time.sleep(30)
    except KeyboardInterrupt:
        tell("error", text="stopped", hint="", exit_code=130)
        sys.exit(130)
if "a while" in words:
    time.sleep(0.15)
log("end")
if "fail" in words:
    tell("error", text="no such thing", hint="try", exit_code=1)
    sys.exit(1)
if "crash" in words:
    print("a library complains", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if "mute" in words:
    os.kill(os.getpid(), signal.SIGKILL)
open(f"{command}-{clip}", "w").close()
tell("output", output=f"{command}-{clip}")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT)
    return tmp_path


def shot(clip: str, *words: str, inputs: tuple[Path, ...] = ()) -> ShotPlan:
    steps = (
        StepPlan("segment", ("segment", clip, *words), inputs),
        StepPlan("greenback", ("greenback", clip), inputs),
    )
    return ShotPlan(Path(clip), steps)


PROGRAM = Program(words=(sys.executable, "script.py"))
OPTIONS = BatchOptions(report=Path("out/batch.json"), jobs=2, program=PROGRAM)


def log() -> list[list[str]]:
    return [line.split() for line in Path("log").read_text().splitlines()]


def test_every_command_runs_once_and_in_order() -> None:
    relayed: list[Mapping[str, object]] = []
    options = replace(OPTIONS, program=replace(PROGRAM, relay=relayed.append))
    shots = [shot(clip, "a while") for clip in "abc"]
    result = run_batch(shots, options, reporter=SilentReporter())
    require_done(result)
    assert [one.state for one in result.shots] == ["done"] * 3
    assert result.shots[1].steps[1].outputs == ("greenback-b",)
    begun = [(command, clip) for what, command, clip, _ in log() if what == "begin"]
    assert sorted(begun) == sorted((c, s) for c in ("segment", "greenback") for s in "abc")
    for clip in "abc":
        assert begun.index(("segment", clip)) < begun.index(("greenback", clip))
    # two at once, never three
    running, most = 0, 0
    for what, *_ in log():
        running += 1 if what == "begin" else -1
        most = max(most, running)
    assert most == 2
    assert {event["event"] for event in relayed} == {"progress", "output"}
    saved = json.loads(OPTIONS.report.read_text())
    assert [one["state"] for one in saved["shots"]] == ["done"] * 3


def test_commands_at_once_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("vfx_matte.pipeline.batch.processes.usable_cores", lambda: 8)
    run_batch([shot("a"), shot("b")], OPTIONS, reporter=SilentReporter())
    assert {threads for *_, threads in log()} == {"4"}


@pytest.mark.parametrize(
    ("word", "error"),
    [("fail", "no such thing"), ("crash", "a library complains"), ("mute", "ended by signal 9")],
)
def test_a_failure_ends_its_own_shot(word: str, error: str) -> None:
    reporter = SilentReporter()
    result = run_batch([shot("a", word), shot("b")], OPTIONS, reporter=reporter)
    first, second = result.shots
    assert [step.state for step in first.steps] == ["failed", "left out"]
    assert error in first.steps[0].error
    assert second.state == "done"
    assert any(line.startswith("a: segment failed") for line in reporter.lines)
    with pytest.raises(BatchError, match="1 of 2 clips"):
        require_done(result)


def test_what_is_done_is_not_done_again() -> None:
    mask = Path("mask.png")
    mask.write_text("1")
    plan = [shot("a", inputs=(mask,)), shot("b", "fail")]
    run_batch(plan, OPTIONS, reporter=SilentReporter())
    Path("log").unlink()
    again = replace(OPTIONS, resume=True)
    result = run_batch(plan, again, reporter=SilentReporter())
    assert [(command, clip) for _, command, clip, _ in log()] == [("segment", "b")] * 2
    assert result.shots[0].state == "done"
    # without resume everything is
    Path("log").unlink()
    run_batch(plan, OPTIONS, reporter=SilentReporter())
    assert ["begin", "segment", "a"] in [line[:3] for line in log()]


@pytest.mark.parametrize("change", ["mask", "output"])
def test_what_changed_or_went_is_done_again(change: str) -> None:
    mask = Path("mask.png")
    mask.write_text("1")
    plan = [shot("a", inputs=(mask,))]
    run_batch(plan, OPTIONS, reporter=SilentReporter())
    Path("log").unlink()
    if change == "mask":
        mask.write_text("another")
    else:
        Path("segment-a").unlink()
    run_batch(plan, replace(OPTIONS, resume=True), reporter=SilentReporter())
    # a render of masks that are made again is made again
    assert [command for what, command, *_ in log() if what == "begin"] == ["segment", "greenback"]


class _Stopping(SilentReporter):
    def stops(self) -> bool:
        return Path("log").exists() and len(log()) == 2


def test_a_stop_reaches_the_commands() -> None:
    plan = [shot("a", "slow"), shot("b", "slow"), shot("c")]
    began = time.monotonic()
    with pytest.raises(StoppedError):
        run_batch(plan, OPTIONS, reporter=_Stopping())
    assert time.monotonic() - began < 25
    saved = json.loads(OPTIONS.report.read_text())
    states = [[step["state"] for step in one["steps"]] for one in saved["shots"]]
    assert states == [["stopped", "waiting"], ["stopped", "waiting"], ["waiting", "waiting"]]
    # and what was stopped is done by the next run
    plan = [shot("a"), shot("b"), shot("c")]
    result = run_batch(plan, replace(OPTIONS, resume=True), reporter=SilentReporter())
    assert not result.failed


def test_two_batches_do_not_share_a_report() -> None:
    first = threading.Thread(
        target=run_batch,
        args=([shot("a", "a while")], OPTIONS),
        kwargs={"reporter": SilentReporter()},
    )
    first.start()
    while not OPTIONS.report.exists():
        time.sleep(0.01)
    with pytest.raises(WorkspaceError, match="another batch"):
        run_batch([shot("b")], OPTIONS, reporter=SilentReporter())
    first.join()


@pytest.mark.parametrize("text", ["", "[]", '{"shots": [{}]}', '{"shots": 3}'])
def test_a_file_that_is_no_report_is_refused(text: str) -> None:
    OPTIONS.report.parent.mkdir()
    OPTIONS.report.write_text(text)
    with pytest.raises(UsageError, match="no report"):
        run_batch([shot("a")], replace(OPTIONS, resume=True), reporter=SilentReporter())
    assert OPTIONS.report.read_text() == text


def test_clips_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="share the folder"):
        batch_plan([shot("x/a.mp4"), shot("y/A.mov")])
    with pytest.raises(UsageError, match="no clip"):
        batch_plan([])


def test_the_report_says_what_runs() -> None:
    seen: list[list[str]] = []

    class Watching(SilentReporter):
        def stops(self) -> bool:
            shots = json.loads(OPTIONS.report.read_text())["shots"]
            seen.append([step["state"] for step in shots[0]["steps"]])
            # "slow" takes half a minute: nothing ends before it is stopped
            return ["running", "waiting"] in seen or len(seen) > 200

    with pytest.raises(StoppedError):
        run_batch([shot("a", "slow")], OPTIONS, reporter=Watching())
    assert seen[-1] == ["running", "waiting"]
    shots = json.loads(OPTIONS.report.read_text())["shots"]
    assert [step["state"] for step in shots[0]["steps"]] == ["stopped", "waiting"]


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
with open("pid", "w") as file:
    file.write(str(os.getpid()))
time.sleep(60)
"""


def test_a_second_ctrl_c_waits_for_nobody() -> None:
    Path("stubborn.py").write_text(STUBBORN)
    commands = Commands(Program(words=(sys.executable,)), at_once=1)
    ended: list[int | None] = []

    def twice() -> None:
        while not Path("pid").exists() or not Path("pid").read_text():
            time.sleep(0.05)
        _thread.interrupt_main()
        while not commands.is_stopped:
            time.sleep(0.01)
        time.sleep(0.2)  # it has begun to wait for the end
        _thread.interrupt_main()

    threading.Thread(target=twice).start()
    with pytest.raises(KeyboardInterrupt):
        commands.all(
            [lambda: ended.append(commands.run(["stubborn.py"]).exit_code)], stops=lambda: False
        )
    deadline = time.monotonic() + 20
    while not ended:
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)
    assert ended == [-signal.SIGKILL]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a.mp4"], ["a.mp4"]),
        (["a.mp4", "--workers", "4", "--soft"], ["a.mp4", "--soft"]),
        (["--workers=4", "a.mp4", "--progress=none"], ["a.mp4"]),
        (["--part-of", "x", "a.mp4", "--json"], ["--part-of", "x", "a.mp4", "--json"]),
        (["a.mp4", "--workers"], ["a.mp4"]),
    ],
    ids=" ".join,
)
def test_a_further_option_takes_the_place_of_the_earlier_one(
    words: list[str], expected: list[str]
) -> None:
    """As a command takes no option twice."""
    more = ("--json", "--workers", "1", "--part", "0-9", "--progress", "json", "--quiet")
    assert with_options(words, more) == [*expected, *more]
