"""`vfx-matte batch`: masks beside clips and tables of shots become the files that single commands
make.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.clips import shows_the_same, write_clip
from support.command_line import CommandLine, paint, two_objects

from vfx_matte.workspace import load_mask

FAKE = '[defaults.segment]\npropagator = "fake"\n'


@pytest.fixture
def shots(cli: CommandLine, take: Callable[..., Path], clip: Path) -> CommandLine:
    """Two clips with a mask beside each, in a folder of their own."""
    take(clip)
    Path("day").mkdir()
    for name in ("one", "two"):
        Path(f"day/{name}.mp4").write_bytes(Path("clip.mp4").read_bytes())
        paint(Path(f"day/{name}.png"), two_objects())
    return cli


def table(text: str) -> Path:
    path = Path("day/shots.toml")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_table_makes_what_single_commands_make(shots: CommandLine) -> None:
    path = table(
        FAKE
        + '[defaults.greenback]\nkey = "blue"\n'
        + '[[shot]]\nclip = "one.mp4"\nsegment.first-mask = "one.png"\n'
        + '[[shot]]\nclip = "two.mp4"\n[shot.segment]\nmask = ["2=two.png"]\n[shot.overlay]\n'
    )
    found = json.loads(shots("batch", path, "--jobs", "2", "--json").stdout)
    assert {one["clip"]: [s["command"] for s in one["steps"]] for one in found["shots"]} == {
        "day/one.mp4": ["segment", "greenback"],
        "day/two.mp4": ["segment", "greenback", "overlay"],
    }
    shots("segment", "day/one.mp4", "--first-mask", "day/one.png", "--propagator", "fake",
          "--workspace", "alone")  # fmt: skip
    shots("greenback", "day/one.mp4", "--key", "blue", "--workspace", "alone")
    assert shows_the_same(Path("workspace/one/greenback.mp4"), Path("alone/one/greenback.mp4"))
    assert (load_mask(Path("workspace/two/masks/0000002.png")) == two_objects()).all()


@pytest.mark.slow
def test_masks_lie_beside_clips(shots: CommandLine) -> None:
    Path("day/two.png").rename("day/two.mask.png")
    clips = ("day/one.mp4", "day/two.mp4")
    Path("config.ini").write_text("[segment]\npropagator = fake\n")
    shots("batch", *clips, "--outputs", "maskvideo,greenback")
    for name in ("one", "two"):
        assert Path(f"workspace/{name}/greenback.mp4").is_file()
        assert Path(f"workspace/{name}/maskvideo.mkv").is_file()
    # a second run with another output makes that alone
    before = Path("workspace/one/greenback.mp4").stat().st_mtime_ns
    shots("batch", *clips, "--outputs", "greenback,overlay", "--resume")
    assert Path("workspace/one/overlay.mp4").exists() or list(Path("workspace/one").glob("out-*"))
    assert Path("workspace/one/greenback.mp4").stat().st_mtime_ns == before


@pytest.mark.slow
def test_one_that_fails_stops_no_other(shots: CommandLine) -> None:
    Path("config.ini").write_text("[segment]\npropagator = fake\n")
    Path("day/two.mp4").write_bytes(b"nothing that plays")
    ran = shots.run("batch", "day/one.mp4", "day/two.mp4")
    assert ran.code == 1
    assert "1 of 2 clips failed" in ran.error
    assert "--resume" in ran.hint
    assert Path("workspace/one/greenback.mp4").is_file()
    states = {one["clip"]: one["state"] for one in _report()["shots"]}
    assert states == {"day/one.mp4": "done", "day/two.mp4": "failed"}


def _report() -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(Path("workspace/batch.json").read_text())
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[shot]]\n", "names no clip"),
        ("shots = 3\n", "shots"),
        ('[[shot]]\nclip = "one.mp4"\n[shot.greenbck]\n', "greenbck"),
        ('[[shot]]\nclip = "one.mp4"\ngreenback = 3\n', "is 3"),
        ('[[shot]]\nclip = "one.mp4"\n[shot.greenback]\nkye = "blue"\n', "kye"),
        ('[[shot]]\nclip = "one.mp4"\n[shot.segment]\nstop = []\nsoft = "maybe"\n', "soft"),
        ('[[shot]]\nclip = "one.mp4"\ndetect = {}\nsegment.soft = true\n', "segment and detect"),
        ('[[shot]]\nclip = "one.mp4"\n[shot.segment]\npart = "0-5"\n', "not a shot's to set"),
        ('[[shot]]\nclip = "one.mp4"\n[shot.segment]\nfirst-mask = "no.png"\n', "no mask"),
        ('[[shot]]\nclip = "one.mp4"\n[shot.package]\n', "no program"),
        ('[defaults]\nsegment = 3\n[[shot]]\nclip = "one.mp4"\n', "is 3"),
        (
            '[defaults.overlay]\noutput = "x.mp4"\n[[shot]]\nclip = "one.mp4"\n'
            '[[shot]]\nclip = "two.mp4"\n',
            "both write",
        ),
        ("[[shot\n", "cannot be read"),
        *(
            (f'[[shot]]\nclip = "one.mp4"\n[shot.{name}]\n{line}\n', said)
            for name, line, said in (
                ("greenback", 'key = "purpel"', "purpel"),
                ("greenback", 'background = "no.png"', "no.png"),
                ("greenback", 'codec = "h264x"', "h264x"),
                ("greenback", "feather = 900", "900"),
                ("overlay", "alpha = 7", "7"),
                ("maskvideo", 'style = "pink"', "pink"),
                ("alpha", 'for = "nuke"', "nuke"),
                ("alpha", 'frames = "9-3"', "9-3"),
                ("alpha", 'start = "soon"', "soon"),
                ("conform", 'fps = "fast"', "fast"),
                ("conform", 'outputs = "source,gold"', "gold"),
                ("package", 'for = "nuke"', "nuke"),
                ("package", 'for = "premiere"\nfps = "0"', "'0'"),
                ("export", 'format = "xls"', "xls"),
                ("qc", 'fail-over = "many"', "many"),
                ("segment", 'cuts = "here"', "here"),
                ("segment", 'propagator = "magic"', "magic"),
                ("segment", "workers = 2\nfps = []\ngaps = 'fill'", "fill"),
                ("detect", 'same = "2"', "'2'"),
                ("detect", "threshold = 3", "3"),
            )
        ),
        ("", "no clip"),
    ],
)
def test_a_slip_in_a_table_is_found_before_anything_runs(
    text: str, said: str, shots: CommandLine
) -> None:
    path = table('[[shot]]\nclip = "two.mp4"\n[shot.segment]\nfirst-mask = "two.png"\n' + text
                 if text.startswith("[[shot]]") else text)  # fmt: skip
    ran = shots.fails("batch", path, code=2)
    assert said in ran.error
    assert not Path("workspace").exists()


@pytest.mark.slow
def test_names_that_begin_with_a_dash_and_tables_of_notepad(shots: CommandLine) -> None:
    Path("config.ini").write_text("[segment]\npropagator = fake\n")
    Path("-one.mp4").write_bytes(Path("day/one.mp4").read_bytes())
    Path("-one.png").write_bytes(Path("day/one.png").read_bytes())
    shots("batch", "--outputs", "maskvideo", "--", "-one.mp4")
    assert list(Path("workspace").glob("*one/maskvideo.mkv"))
    path = Path("day/shots.toml")
    path.write_text('[[shot]]\nclip = "two.mp4"\nsegment.first-mask = "two.png"\n', "utf-8-sig")
    shots("batch", path)
    assert Path("workspace/two/manifest.json").is_file()


@pytest.mark.slow
def test_a_package_for_the_program_of_config_ini(shots: CommandLine) -> None:
    Path("config.ini").write_text(
        "[segment]\npropagator = fake\n[render]\ntarget = capcut\n", encoding="utf-8"
    )
    shots("batch", "day/one.mp4", "--outputs", "package")
    (step,) = _report()["shots"][0]["steps"][1:]  # type: ignore[index]
    assert (step["command"], step["state"]) == ("package", "done")


def test_clips_without_masks_are_named(shots: CommandLine) -> None:
    Path("day/two.png").unlink()
    ran = shots.fails("batch", "day/one.mp4", "day/two.mp4", code=2)
    assert "two.mp4" in ran.error
    assert "--detect" in ran.hint
    ran = shots.fails("batch", "day/one.mp4", "--outputs", "greenbck", code=2)
    assert "greenback" in ran.hint


FRAMES = 24


def batch_of_two() -> tuple[str, ...]:
    """Two clips of the same pictures with masks beside them, and the command line that renders both
    at once.
    """
    for name in ("one", "two"):
        write_clip(Path(f"{name}.mp4"), pts=range(0, FRAMES * 1001, 1001))
        paint(Path(f"{name}.png"), two_objects())
    return "batch", "one.mp4", "two.mp4", "--jobs", "2", "--outputs", "maskvideo"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_batch_that_was_killed_ends_like_one_nobody_disturbed(cli: CommandLine) -> None:
    """Its commands may still be at work: they are waited for, or fail to begin twice."""
    arguments = batch_of_two()
    # what a batch makes is what its commands make, which the first test here holds
    cli("segment", "one.mp4", "--first-mask", "one.png", "--workspace", "undisturbed")
    cli("maskvideo", "one.mp4", "--workspace", "undisturbed")
    for least in (2, 20):
        with cli.start(*arguments, *(("--resume",) if least > 2 else ())) as child:
            cli.stop(
                child,
                signal.SIGKILL,
                when=lambda least=least: len(list(Path("workspace").glob("*/masks/*.png"))) > least,
            )
    for _ in range(5):
        if (ran := cli.run(*arguments, "--resume")).code == 0:
            break
        assert "Traceback" not in ran.stderr
        time.sleep(1)  # what the killed one has begun is still at work
    assert ran.code == 0
    expected = cli.files("undisturbed/one/masks")
    assert len(expected) == FRAMES
    for name in ("one", "two"):
        made = cli.files(f"workspace/{name}/masks")
        assert {Path(path).name: data for path, data in made.items()} == {
            Path(path).name: data for path, data in expected.items()
        }
        assert shows_the_same(
            *(Path(place, "maskvideo.mkv") for place in (f"workspace/{name}", "undisturbed/one"))
        )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_stops_the_commands_and_the_batch_goes_on(cli: CommandLine) -> None:
    arguments = batch_of_two()
    child = cli.start(*arguments)
    ran = cli.stop(
        child,
        signal.SIGINT,
        when=lambda: len(list(Path("workspace").glob("*/masks/*.png"))) > 3,
    )
    assert ran.code == 130
    assert "--resume" in ran.hint
    steps = [step for one in _report()["shots"] for step in one["steps"]]  # type: ignore[attr-defined]
    assert {step["state"] for step in steps} <= {"stopped", "waiting"}
    time.sleep(0.5)  # nothing goes on behind our back
    count = len(list(Path("workspace").glob("*/masks/*.png")))
    time.sleep(1)
    assert len(list(Path("workspace").glob("*/masks/*.png"))) == count
    cli(*arguments, "--resume")
    assert len(list(Path("workspace").glob("*/masks/*.png"))) == 2 * FRAMES
