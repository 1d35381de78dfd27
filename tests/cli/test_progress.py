"""`--progress json`: every line of stderr is an event, the first one says what begins and the last
one how it ended.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command_line import CommandLine, Ran, paint, two_objects

from vfx_matte.cli.display import ForPrograms, ForRenderFarm

JSON = ("--progress", "json")
SEGMENT = ("segment", "clip.mp4", "--first-mask", "m.png", "--propagator", "fake")


def events(ran: Ran) -> list[dict[str, Any]]:
    """All of stderr, every line of which has to be an object with the keys that all events have."""
    found = [json.loads(line) for line in ran.stderr.splitlines()]
    for event in found:
        assert isinstance(event, dict)
        assert {"event", "command", "clip"} <= event.keys()
    return found


def of_kind(kind: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in found if event["event"] == kind]


@pytest.fixture
def masked(cli: CommandLine, take: Callable[..., Path], clip: Path) -> CommandLine:
    take(clip)
    paint(Path("m.png"), two_objects())
    return cli


def test_a_run_is_told_from_start_to_end(masked: CommandLine) -> None:
    found = events(masked(*SEGMENT, *JSON))
    assert found[0]["event"] == "start"
    assert found[-1]["event"] == "end"
    assert found[-1]["exit_code"] == 0
    assert {event["command"] for event in found} == {"segment"}
    assert all(event["clip"] == "clip.mp4" for event in found[1:])
    frames = [event for event in of_kind("progress", found) if event["step"] == "segment"]
    assert [frames[0]["frame"], frames[0]["fps"], frames[0]["eta"]] == [0, None, None]
    assert frames[-1]["frame"] == frames[-1]["total"] > 0
    assert frames[-1]["eta"] == 0
    assert of_kind("notice", found)
    (output,) = of_kind("output", found)
    assert Path(output["output"]).is_dir()


def test_results_stay_on_stdout(masked: CommandLine) -> None:
    masked(*SEGMENT)
    ran = masked("greenback", "clip.mp4", "--json", *JSON)
    assert json.loads(ran.stdout)["outputs"]
    assert [Path(one["output"]).name for one in of_kind("output", events(ran))] == ["greenback.mp4"]
    # quiet keeps notices away, and neither progress nor the end
    kinds = {one["event"] for one in events(masked("greenback", "clip.mp4", "-q", *JSON))}
    assert {"start", "progress", "output", "end"} <= kinds
    assert "notice" not in kinds


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("segment", "none.mp4", "--first-mask", "m.png"), 2),
        (("greenback", "clip.mp4"), 2),
        (("segment", "broken.mp4", "--first-mask", "m.png"), 1),
        (("segment", "clip.mp4", "--config", "none.ini"), 2),
    ],
)
def test_an_error_is_the_last_event(
    masked: CommandLine, arguments: tuple[str, ...], code: int
) -> None:
    Path("broken.mp4").write_bytes(b"nothing that plays")
    ran = masked.run(*arguments, *JSON)
    last = events(ran)[-1]
    assert (ran.code, last["event"], last["exit_code"]) == (code, "error", code)
    assert last["text"]
    assert ran.stdout == ""


def test_weights_are_named_in_full(cli: CommandLine) -> None:
    assert events(cli("weights", "list", "-q", *JSON))[0]["command"] == "weights list"


def test_another_form_is_refused(cli: CommandLine) -> None:
    ran = cli.fails("formats", "--progress", "jsno", code=2)
    assert "json" in ran.hint


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_is_told(masked: CommandLine) -> None:
    child = masked.start("demo", "--frames", "2000", *JSON)
    assert child.stderr is not None
    first = [json.loads(child.stderr.readline()) for _ in range(3)]
    assert first[1]["event"] == "progress"
    child.send_signal(signal.SIGINT)
    _, rest = child.communicate(timeout=60)
    last = json.loads(rest.splitlines()[-1])
    assert (child.returncode, last["event"], last["exit_code"]) == (130, "error", 130)


def test_events_come_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, *(0.1 * n for n in range(1000))])
    display = ForPrograms(now=lambda: next(times))
    display.begin("segment")
    with display.steps("segment", 100) as step:
        for _ in range(100):
            step()
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    frames = [event["frame"] for event in found if event["event"] == "progress"]
    assert frames == [0, *range(5, 100, 5), 100]
    middle = next(event for event in found if event.get("frame") == 50)
    assert middle["fps"] == pytest.approx(10, rel=0.05)
    assert middle["eta"] == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize("form", [ForPrograms, ForRenderFarm])
def test_the_last_line_is_the_last_one(
    form: type[ForPrograms | ForRenderFarm], capsys: pytest.CaptureFixture[str]
) -> None:
    """Threads of a command that was stopped twice may still tell something."""
    display = form()
    display.begin("segment")
    with display.steps("segment", 1) as step:
        display.error("stopped", "", 130)
        step()
        display.notice("too late")
        display.relay({"event": "progress"})
    said = "".join(capsys.readouterr()).splitlines()
    assert "stopped" in said[-1]
