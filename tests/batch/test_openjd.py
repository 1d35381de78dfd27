"""`vfx-matte batch --openjd`: a template that the format's own tools accept and run, with the bytes
of a run without a farm.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.clips import shows_the_same
from support.command_line import CommandLine, paint, two_objects

from vfx_matte.errors import UsageError
from vfx_matte.pipeline.batch.openjd import write_job
from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan
from vfx_matte.pipeline.batch.processes import Program

OPENJD = Path(sys.executable).with_name("openjd")
with_openjd = pytest.mark.skipif(not OPENJD.exists(), reason="openjd-cli is not installed")


def checked(path: Path) -> dict[str, Any]:
    """The template, which the format's own checker accepts."""
    subprocess.run([str(OPENJD), "check", str(path)], check=True, capture_output=True)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def written(shots: list[ShotPlan], parts: list[str]) -> Path:
    """A template of shots whose `segment` lists these parts."""
    script = Path("list.py")
    script.write_text(f"import json; print(json.dumps({{'parts': {parts!r}}}))")
    path = Path("job.json")
    write_job(
        shots,
        path,
        workers=2,
        program=Program(words=(sys.executable, str(script))),
        farm_program="vfx-matte",
        list_words=("--list",),
        part_words=("--part",),
        farm_words=(),
    )
    return path


def shot(clip: str = "/clips/a.mp4") -> ShotPlan:
    steps = (StepPlan("segment", ("segment", clip)), StepPlan("greenback", ("greenback", clip)))
    return ShotPlan(Path(clip), steps)


@with_openjd
@pytest.mark.usefixtures("cli")
def test_parts_come_first_and_renders_last() -> None:
    job = checked(written([shot(), shot("/clips/片段 一.mp4")], ["0-9", "10-29"]))
    names = [step["name"] for step in job["steps"]]
    assert names[:3] == ["1 a parts", "1 a segment", "1 a greenback"]
    assert len(set(names)) == 6
    after = {step["name"]: step.get("dependencies") for step in job["steps"]}
    assert after["1 a parts"] is None
    assert after["1 a segment"] == [{"dependsOn": "1 a parts"}]
    assert after["1 a greenback"] == [{"dependsOn": "1 a segment"}]
    values = job["steps"][0]["parameterSpace"]["taskParameterDefinitions"]
    assert values == [{"name": "Part", "type": "STRING", "range": ["0-9", "10-29"]}]


@with_openjd
@pytest.mark.usefixtures("cli")
def test_a_clip_of_one_part_has_no_step_for_parts() -> None:
    job = checked(written([shot()], ["0-9"]))
    assert [step["name"] for step in job["steps"]] == ["1 a segment", "1 a greenback"]


@with_openjd
@pytest.mark.usefixtures("cli")
def test_long_names_and_many_parts_fit() -> None:
    parts = [f"{at}-{at}" for at in range(3000)]
    job = checked(written([shot("/clips/" + 120 * "x" + ".mp4")], parts))
    (values,) = job["steps"][0]["parameterSpace"]["taskParameterDefinitions"]
    spans = [tuple(map(int, one.split("-"))) for one in values["range"]]
    assert len(spans) <= 1024
    assert [at for first, last in spans for at in range(first, last + 1)] == list(range(3000))


@pytest.mark.usefixtures("cli")
def test_what_a_template_would_fill_in_is_refused() -> None:
    with pytest.raises(UsageError, match="two braces"):
        written([shot("/clips/{{Param.x}}.mp4")], ["0-1"])
    assert not Path("job.json").exists()


def test_a_clip_that_cannot_be_looked_at_is_named(cli: CommandLine) -> None:
    Path("a.mp4").write_bytes(b"nothing that plays")
    paint(Path("a.png"), two_objects())
    ran = cli.fails("batch", "a.mp4", "--openjd", "job.json", code=1)
    assert "a.mp4" in ran.error
    assert not Path("job.json").exists()


@with_openjd
@pytest.mark.slow
def test_a_farm_makes_what_one_machine_makes(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip)
    Path("clip.masks").mkdir()
    paint(Path("clip.masks/0000000.png"), two_objects())
    paint(Path("clip.masks/0000006.png"), two_objects())
    Path("config.ini").write_text("[segment]\npropagator = fake\n")
    config = Path("config.ini").absolute()
    for way in ("farm", "alone"):
        shutil.copytree("clip.masks", f"{way}.masks")
        shutil.copy("clip.mp4", f"{way}.mp4")
    cli("batch", "farm.mp4", "--outputs", "greenback", "--openjd", "job.json",
        "--config", config)  # fmt: skip
    ran = openjd_run(Path("job.json").absolute(), cli.folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "openjd_progress: 100.0" in ran.stdout
    cli("batch", "alone.mp4", "--outputs", "greenback")
    farm, alone = Path("workspace/farm"), Path("workspace/alone")
    mask = "masks/0000005.png"
    assert (farm / mask).read_bytes() == (alone / mask).read_bytes()
    assert shows_the_same(farm / "greenback.mp4", alone / "greenback.mp4")


@with_openjd
@pytest.mark.slow
def test_relative_paths_mean_on_a_farm_what_they_mean_here(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip)
    paint(Path("clip.png"), two_objects())
    paint(Path("behind.png"), two_objects())
    Path("config.ini").write_text("[segment]\npropagator = fake\n")
    Path("shots.toml").write_text(
        '[[shot]]\nclip = "clip.mp4"\nsegment.first-mask = "clip.png"\n'
        '[shot.greenback]\noutput = "./out/green.mp4"\nbackground = "behind.png"\n'
        '[shot.alpha]\noutput = "cut/%04d.png"\n'
    )
    cli("batch", "shots.toml", "--openjd", "job.json")
    for step in checked(Path("job.json"))["steps"]:
        for word in step["script"]["actions"]["onRun"]["args"]:
            if "/" in word or word.endswith((".png", ".mp4", ".ini")):
                assert Path(word.rpartition("=")[2]).is_absolute(), word
    # a session has a working directory of its own
    Path("elsewhere").mkdir()
    done = openjd_run(Path("job.json").absolute(), Path("elsewhere").absolute())
    assert done.returncode == 0, done.stdout + done.stderr
    assert Path("out/green.mp4").is_file()
    assert Path("cut/0000.png").is_file()
    assert not list(Path("elsewhere").iterdir())


@with_openjd
@pytest.mark.slow
def test_where_a_step_fails_those_that_need_it_do_not_run(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip)
    paint(Path("clip.png"), two_objects())
    Path("config.ini").write_text("[segment]\npropagator = fake\n")
    cli("batch", "clip.mp4", "--outputs", "greenback,alpha", "--openjd", "job.json")
    # what is found when the job runs: the clip has been replaced since
    Path("clip.mp4").write_bytes(b"nothing that plays")
    done = openjd_run(Path("job.json").absolute(), cli.folder)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "openjd_fail: " in said
    assert "1 clip segment" in said
    assert "1 clip greenback" not in said
    assert not list(Path("workspace").glob("clip/*.m*"))


def openjd_run(job: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a job with the format's own runner, in a folder, by this Python."""
    program = Path("program.sh").absolute()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vfx_matte "$@"\n')
    program.chmod(0o700)
    return subprocess.run(
        [str(OPENJD), "run", str(job), "-p", f"Program={program}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
