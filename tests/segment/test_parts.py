"""A clip that is made in parts comes out as if it had never been divided: whatever the references,
cuts, parts, processes and kills.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_line import CommandLine
from support.whole_runs import manifest_without_time, mask_files

from vfx_matte.errors import BatchError, UsageError
from vfx_matte.files import atomic
from vfx_matte.masks import Palette
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.pipeline.batch.processes import ATTEMPTS, Child, Commands, Program, tell
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.segment import workers
from vfx_matte.pipeline.segment.parts import costliest_first, divided, parse_part, walls
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest
from vfx_matte.pipeline.segment.run import segment_clip
from vfx_matte.pipeline.segment.sharing import Sharing
from vfx_matte.scene import Scene
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import Manifest, ReferenceRecord, SourceStamp, save_mask
from vfx_matte.workspace.lock import WriterLock

FRAMES = 60
SCENE = Scene(width=80, height=64, frame_count=FRAMES)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def timeline(count: int, first: int = 0) -> Timeline:
    pts = tuple(range(0, 40 * count, 40))
    return Timeline(pts, (40,) * count, Fraction(1, 1000), first_number=first)


def manifest(
    references: Mapping[int, tuple[int, ...]],
    *,
    start: int = 0,
    stop: int = FRAMES,
    cuts: tuple[int, ...] | None = (),
    memory: str = "permanent",
) -> Manifest:
    colors = {1: RED, 2: BLUE}
    return Manifest(
        source=SourceStamp(Path("clip.mp4"), 1, 1, ""),
        timeline=timeline(FRAMES),
        references={
            at: ReferenceRecord(Path(f"{at}.png"), f"{at}", {k: colors[k] for k in shown})
            for at, shown in references.items()
        },
        propagator="builtin",
        settings={"memory": memory},
        start=start,
        stop=stop,
        objects=colors,
        cuts=cuts,
    )


def test_a_clip_is_divided_at_cuts_and_at_references_that_show_everything() -> None:
    both = (1, 2)
    assert walls(manifest({0: both, 20: both, 30: (1,), 40: both})) == [20, 40]
    assert walls(manifest({9: both}, cuts=(30,))) == [9, 30]
    assert walls(manifest({0: both, 25: ()})) == [25, 26]
    # one walk each way, from the first reference of a shot
    found = manifest({5: both, 20: both, 45: (1,), 50: both}, cuts=(40,), memory="xmem")
    assert walls(found) == [5, 40, 45]
    assert walls(manifest({0: both, 10: both, 50: both}, start=20, stop=40)) == []


@given(
    st.dictionaries(st.integers(0, FRAMES - 1), st.sampled_from([(1,), (2,), (1, 2), ()])),
    st.sets(st.integers(1, FRAMES - 1), max_size=5),
    st.integers(0, 30),
    st.integers(31, FRAMES),
    st.integers(2, 16),
)
def test_parts_are_the_whole(
    references: dict[int, tuple[int, ...]], cuts: set[int], start: int, stop: int, workers: int
) -> None:
    plan = manifest(references, start=start, stop=stop, cuts=tuple(sorted(cuts)))
    parts = divided(plan, workers=workers)
    assert [index for part in parts for index in part] == list(range(start, stop))
    assert {part.start for part in parts[1:]} <= set(walls(plan))


def test_parts_are_of_equal_work_and_the_most_work_begins_first() -> None:
    """A gap between two masks is made from both sides; a shot without a mask is only written."""
    both = (1, 2)
    plan = manifest({0: both, 20: both}, cuts=(40,), stop=FRAMES)
    parts = divided(plan, workers=2, each=6)
    # the shot without a mask is too little to be a part
    assert parts == [range(20), range(20, FRAMES)]
    # 20 frames that are made twice are more work than 20 frames and 20 empty ones
    assert costliest_first(plan, parts[::-1]) == parts
    plan = manifest({0: both, 30: both}, cuts=(15, 30))
    assert costliest_first(plan, [range(15), range(15, 30), range(30, 50)]) == [
        range(30, 50),
        range(15),
        range(15, 30),
    ]


def test_a_part_is_typed_with_the_clips_own_numbers() -> None:
    assert parse_part("1003-1010", timeline(20, first=1001)) == (2, 10)
    for text in ("5-4", "0-3", "1001", "1001-1021", "-1-3", "a-b", ""):
        with pytest.raises(UsageError, match="is not one of this clip"):
            parse_part(text, timeline(20, first=1001))


# ---- from here on with real clips


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "scene.mp4"
    make_film(
        path, (SCENE.frame(index)[0] for index in range(FRAMES)), SCENE.timeline, SCENE.sound()
    )
    return path


def painted(index: int, ids: tuple[int, ...]) -> np.ndarray:
    truth = SCENE.truth_mask(index) > 0
    mask = np.zeros(truth.shape, np.uint8)
    mask[truth] = 1
    mask[10 + index // 4 : 24 + index // 4, 56:70] = 2
    return np.where(np.isin(mask, ids), mask, np.uint8(0))


def words(film: Path, masks: Mapping[int, tuple[int, ...]]) -> tuple[str, ...]:
    """The command line; the masks are painted."""
    for index, ids in masks.items():
        save_mask(Path(f"m{index}.png"), painted(index, ids), Palette.davis())
    pairs = (word for index in masks for word in ("--mask", f"{index}=m{index}.png"))
    return ("segment", str(film), "--propagator", "builtin", "--no-network", *pairs)


def assert_like_whole(folder: Path) -> None:
    whole = Path("whole/scene")
    assert mask_files(folder) == mask_files(whole)
    assert manifest_without_time(folder) == manifest_without_time(whole)
    assert not (folder / "parts").exists()


def make_whole(cli: CommandLine, command: tuple[str, ...]) -> None:
    """What one process makes, which is made once for all that compare with it."""
    cli.once(("whole of", command), lambda: cli(*command, "--workspace", "whole"))


BOTH = (1, 2)
PLANS: dict[str, tuple[dict[int, tuple[int, ...]], tuple[str, ...]]] = {
    "three masks": ({0: BOTH, 21: BOTH, 40: BOTH}, ("--soft",)),
    "cuts": ({2: BOTH, 33: BOTH}, ("--cuts", "14,30,45")),
    "one in the middle": ({30: BOTH}, ()),
    "an object that comes later": ({0: (1,), 12: BOTH, 26: (2,), 40: BOTH}, ()),
    "a wall, a part of the clip": ({4: BOTH, 25: (), 40: BOTH}, ("--start", "3", "--stop", "57")),
    "one walk": ({15: BOTH, 30: (1,), 47: BOTH}, ("--memory", "xmem", "--cuts", "40")),
}


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_workers_make_what_one_process_makes(cli: CommandLine, film: Path, plan: str) -> None:
    masks, options = PLANS[plan]
    command = (*words(film, masks), *options)
    make_whole(cli, command)
    cli(*command, "--workspace", "two", "--workers", "2")
    assert_like_whole(Path("two/scene"))


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["three masks", "cuts"])
def test_parts_that_are_made_apart_are_taken_in(cli: CommandLine, film: Path, plan: str) -> None:
    masks, options = PLANS[plan]
    command = (*words(film, masks), *options)
    make_whole(cli, command)
    apart = (*command, "--workspace", "apart")
    for part in ("40-59", "0-20") if plan == "three masks" else ("30-44", "14-29", "45-59"):
        cli(*apart, "--part", part)
    assert not Path("apart/scene/masks").exists()
    # what no part made is made now
    cli(*apart, "--resume")
    assert_like_whole(Path("apart/scene"))


@pytest.mark.slow
def test_one_process_makes_parts_as_they_are_named(cli: CommandLine, film: Path) -> None:
    """In any order, with one propagator, to the bytes of one run."""
    command = words(film, PLANS["an object that comes later"][0])
    make_whole(cli, command)
    names, made = iter(["40-59", "0-11", "12-39"]), []
    commands = Commands(Program(event_words=("--progress", "json", "--quiet")), 1)
    child = commands.begin([*command, "--workspace", "two", "--part", "-"], is_asked=True)
    assert child is not None

    def hear(event: Mapping[str, object]) -> None:
        if event["event"] == "part":
            made.append(event["part"])
            tell(child, next(names, None))

    assert commands.follow(child, hear=hear).exit_code == 0
    assert made == [None, "40-59", "0-11", "12-39"]
    found = json.loads(cli(*command, "--workspace", "two", "--json").stdout)
    assert (found["computed"], found["taken_in"]) == (0, 60)
    assert_like_whole(Path("two/scene"))


@pytest.mark.slow
def test_workers_go_on_as_the_run_was_begun(cli: CommandLine, film: Path) -> None:
    """With its settings, where `--resume` is all that is said."""
    masks, options = PLANS["one walk"]
    command = (*words(film, masks), *options)
    make_whole(cli, command)
    shutil.copytree("whole", "two")
    for index in (3, 52):
        Path(f"two/scene/masks/{index:07d}.png").unlink()
    ran = cli("segment", str(film), "--resume", "--workers", "2", "--workspace", "two")
    assert "2 computed now" in ran.stdout
    assert_like_whole(Path("two/scene"))


@pytest.mark.slow
def test_workers_begin_once(cli: CommandLine, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start costs a second: not one per part."""
    begun = []
    begin = Commands.begin

    def counted(self: Commands, arguments: Sequence[str], **how: bool) -> Child | None:
        begun.append(arguments)
        return begin(self, arguments, **how)

    monkeypatch.setattr(Commands, "begin", counted)
    _request({0: BOTH, 15: BOTH, 30: BOTH, 45: BOTH})
    pairs = [word for at in (0, 15, 30, 45) for word in ("--mask", f"{at}=m{at}.png")]
    command = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore", *pairs)
    cli(*command, "--workers", "2")
    assert cli.mask_numbers(clip="scene") == list(range(60))
    assert len(begun) == 2


def _children(parent: int) -> list[int]:
    done = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("victim", ["a worker", "all, and the coordinator", "Ctrl-C"])
def test_a_kill_changes_nothing(cli: CommandLine, film: Path, victim: str) -> None:
    command = words(film, PLANS["three masks"][0])
    make_whole(cli, command)
    shared = (*command, "--workspace", "two", "--workers", "2")
    child = cli.start(*shared)
    deadline = time.monotonic() + 120
    while len(list(Path("two").glob("scene/parts/*/masks/*.png"))) < 4:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = _children(child.pid)
    assert workers
    if victim == "Ctrl-C":
        child.send_signal(signal.SIGINT)
    else:
        for pid in workers[:1] if victim == "a worker" else [child.pid, *workers]:
            os.kill(pid, signal.SIGKILL)
    _, stderr = child.communicate(timeout=300)
    if victim == "a worker":
        assert child.returncode == 0, stderr
        assert "it is tried again: it was ended by signal 9" in stderr
    else:
        assert child.returncode == (130 if victim == "Ctrl-C" else -signal.SIGKILL)
        done = [
            len(list(Path("two/scene").glob(f"{where}masks/*.png"))) for where in ("", "parts/*/")
        ]
        lines = cli(*shared, "--resume", "--progress", "json").stderr.splitlines()
        told = [one for line in lines if (one := json.loads(line)).get("step") == "segment"]
        assert told[-1]["frame"] == told[-1]["total"], "to the end, and not beyond"
        if victim == "Ctrl-C":
            # parts that were stopped go on where they were; a worker's last mask may have been
            # written and not noted yet, and is made again
            assert done[1] > 2
            lacked = len(list(Path("two/scene/masks").iterdir())) - sum(done)
            assert lacked <= told[0]["total"] <= lacked + 2
    assert_like_whole(Path("two/scene"))


def _request(masks: Mapping[int, tuple[int, ...]]) -> SegmentRequest:
    for index, ids in masks.items():
        save_mask(Path(f"m{index}.png"), painted(index, ids), Palette.davis())
    return SegmentRequest(
        references=ReferenceFiles(pairs=tuple(f"{index}=m{index}.png" for index in masks)),
        propagator=PropagatorOptions(name="fake"),
    )


SCRIPT = """
import json, sys
from pathlib import Path
from vfx_matte.cli import main

class Names:
    def __init__(self, names):
        self._names = names

    def isatty(self):
        return False

    def readline(self):
        line = self._names.readline()
        if line.strip() == "20-39":
            Path("log").open("a").write(line)
            error = {"event": "error", "text": "no memory", "hint": "", "exit_code": CODE}
            print(json.dumps(error), file=sys.stderr)
            sys.exit(CODE)
        return line

sys.stdin = Names(sys.stdin)
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("code", "attempts"), [(1, ATTEMPTS), (2, 1)])
def test_a_part_that_always_fails_is_named_and_the_others_are_made(
    cli: CommandLine, film: Path, code: int, attempts: int
) -> None:
    Path("script.py").write_text(SCRIPT.replace("CODE", str(code)))
    request = _request({0: BOTH, 20: BOTH, 40: BOTH})
    clip, reporter = open_source(film, reporter=SilentReporter()), SilentReporter()
    pairs = (word for pair in request.references.pairs for word in ("--mask", pair))
    words = ["segment", str(film), *pairs, "--propagator", "fake", "--part", "-"]
    program = Program(words=(sys.executable, "script.py"), event_words=("--progress", "json"))
    sharing = Sharing(workers=2, words=words, program=program)
    with pytest.raises(BatchError, match="part 20-39 failed: no memory"):
        segment_clip(clip, request, workspace=Path("workspace"), reporter=reporter, sharing=sharing)
    assert Path("log").read_text().split() == ["20-39"] * attempts
    assert cli.mask_numbers(clip="scene") == [*range(20), *range(40, 60)]
    # and a run without workers makes the rest
    again = replace(request, resume=True)
    segment_clip(clip, again, workspace=Path("workspace"), reporter=reporter)
    assert cli.mask_numbers(clip="scene") == list(range(60))


def test_what_cannot_be_divided_is_said(cli: CommandLine, film: Path) -> None:
    command = ("segment", str(film), "--mask", "0=m0.png", "--propagator", "fake")
    _request({0: BOTH})
    ran = cli(*command, "--cuts", "ignore", "--workers", "4")
    assert any("one part" in note for note in ran.notes)
    assert len(cli.mask_numbers(clip="scene")) == FRAMES


def test_parts_are_listed_and_nothing_is_made(cli: CommandLine, film: Path) -> None:
    _request({0: BOTH, 20: BOTH, 40: BOTH})
    pairs = (word for at in (0, 20, 40) for word in ("--mask", f"{at}=m{at}.png"))
    command = ("segment", str(film), *pairs, "--cuts", "30", "--propagator", "fake")
    found = json.loads(cli(*command, "--show-parts", "9", "--json").stdout)
    assert found["parts"] == ["0-19", "20-39", "40-59"]
    # frames between two references are made twice: the first 20 are as much work as all others
    assert cli(*command, "--show-parts", "1").stdout.split()[-2:] == ["0-19", "20-59"]
    assert not Path("workspace").exists()


def test_parts_of_other_work_are_left_alone(cli: CommandLine, film: Path) -> None:
    _request({0: BOTH, 30: BOTH})
    pairs = ("--mask", "0=m0.png", "--mask", "30=m30.png")
    base = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore")
    cli(*base, *pairs, "--part", "30-59")
    part = Path("workspace/scene/parts/0000030-0000059")
    assert len(list(part.glob("masks/*.png"))) == 30
    # other masks are other work
    cli(*base, *pairs[:2])
    assert len(list(part.glob("masks/*.png"))) == 30
    # and a fresh start needs none
    cli(*base, *pairs, "--fresh")
    assert not part.exists()


def test_a_part_that_is_not_taken_in_is_told_with_the_reason(cli: CommandLine, film: Path) -> None:
    _request({0: BOTH, 30: BOTH})
    pairs = ("--mask", "0=m0.png", "--mask", "30=m30.png")
    base = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore")
    cli(*base, *pairs, "--part", "30-59")
    # of other masks
    (note,) = (one for one in cli(*base, *pairs[:2]).notes if one.startswith("part "))
    assert note.startswith("part 30-59 is not taken in: it was made from other masks")
    assert "--fresh removes it" in note
    # that somebody works on
    lock = WriterLock(Path("workspace/scene/parts/0000030-0000059/.segment.lock"))
    ran = cli(*base, *pairs, "--update")
    lock.release()
    assert "part 30-59 is not taken in: it is being made by another run" in ran.notes
    # whose propagator chose another size
    path = Path("workspace/scene/parts/0000030-0000059/manifest.json")
    for folder, size in ((path, 480), (Path("workspace/scene/manifest.json"), 240)):
        found = json.loads(folder.read_text())
        folder.write_text(json.dumps({**found, "working_size": size}))
    ran = cli(*base, *pairs, "--resume")
    assert any("worked at 480 px, that of this run at 240" in note for note in ran.notes)
    # that cannot be read
    path.write_text("{")
    ran = cli(*base, *pairs, "--resume")
    assert any(note.startswith("part 30-59 is not taken in: ") for note in ran.notes)


def test_frames_of_parts_are_not_counted_as_computed(cli: CommandLine, film: Path) -> None:
    _request({0: BOTH, 30: BOTH})
    pairs = ("--mask", "0=m0.png", "--mask", "30=m30.png")
    command = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore", *pairs)
    cli(*command, "--part", "30-59")
    found = json.loads(cli(*command, "--json").stdout)
    assert (found["computed"], found["taken_in"]) == (30, 30)
    cli(*command, "--part", "0-29", "--workspace", "two")
    assert "30 computed now" in (text := cli(*command, "--workspace", "two").stdout)
    assert "30 taken in from parts" in " ".join(text.split())


def test_one_part_that_is_left_is_no_clip_of_one_part(cli: CommandLine, film: Path) -> None:
    _request({0: BOTH, 20: BOTH, 40: BOTH})
    pairs = [word for at in (0, 20, 40) for word in ("--mask", f"{at}=m{at}.png")]
    command = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore", *pairs)
    cli(*command)
    for more in ("--update", "--resume"):
        for index in range(40, 60):
            Path(f"workspace/scene/masks/{index:07d}.png").unlink()
        ran = cli(*command, "--workers", "2", more)
        assert "20 computed now" in ran.stdout
        assert not any("one part" in note for note in ran.notes)


@pytest.mark.parametrize(
    "words",
    [
        ("--part", "0-9", "--workers", "2"),
        ("--part", "0-9", "--show-parts", "2"),
        ("--workers", "2", "--show-parts", "2"),
    ],
)
def test_one_way_of_sharing_at_a_time(cli: CommandLine, film: Path, words: tuple[str, ...]) -> None:
    _request({0: BOTH})
    ran = cli.fails("segment", str(film), "--first-mask", "m0.png", *words, code=2)
    assert "exclude each other" in ran.error
    assert not Path("workspace").exists()


def test_a_shared_folder_without_locks(
    cli: CommandLine, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell who works on a part: what is complete is taken in, and all else is said."""

    def refuse(file: IO[bytes], how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", refuse)
    _request({0: BOTH, 20: BOTH, 40: BOTH})
    pairs = [word for at in (0, 20, 40) for word in ("--mask", f"{at}=m{at}.png")]
    command = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore", *pairs)
    for part in ("20-39", "40-59"):
        assert any("has no locks" in note for note in cli(*command, "--part", part).notes)
    # as if somebody were in the middle of it
    path = Path("workspace/scene/parts/0000040-0000059")
    found = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**found, "done": [[40, 50]]}))
    ran = cli(*command)
    assert any("has no locks" in note for note in ran.notes)
    assert any(note.startswith("part 40-59 is not taken in: it is not") for note in ran.notes)
    assert "40 computed now" in ran.stdout
    assert len(list(path.glob("masks/*.png"))) == 20
    assert cli.mask_numbers(clip="scene") == list(range(60))


@pytest.mark.parametrize("years", [-3, 3])
def test_clocks_of_machines_may_be_apart(
    cli: CommandLine, film: Path, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    _request({0: BOTH, 30: BOTH})
    pairs = ("--mask", "0=m0.png", "--mask", "30=m30.png")
    command = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore", *pairs)
    cli(*command, "--workspace", "whole")
    with monkeypatch.context() as other_machine:
        stamp = f"{datetime.now(UTC).year + years}-01-01T00:00:00+00:00"
        other_machine.setattr("vfx_matte.workspace.run._now", lambda: stamp)
        cli(*command, "--part", "30-59", "--workspace", "two")
    then = time.time() + years * 365 * 86400
    for path in Path("two").rglob("*"):
        os.utime(path, (then, then))
    # this machine resumes the part, and takes it in
    cli(*command, "--part", "30-59", "--workspace", "two")
    found = json.loads(cli(*command, "--workspace", "two", "--json").stdout)
    assert found["taken_in"] == 30
    assert_like_whole(Path("two/scene"))
    cli("greenback", "--workspace", "two", str(film), "--preset", "ultrafast")


def test_what_killed_workers_have_left_goes(cli: CommandLine, film: Path) -> None:
    _request({0: BOTH, 30: BOTH})
    pairs = ("--mask", "0=m0.png", "--mask", "30=m30.png")
    command = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore", *pairs)
    cli(*command, "--part", "30-59")
    parts = Path("workspace/scene/parts")
    # one that was killed before it knew anything, and one while it wrote a file
    (parts / "0000000-0000029").mkdir()
    (parts / "0000000-0000029/.segment.lock").touch()
    leftover = parts / ".vfx-matte-0123abcd.part"
    (leftover / "new").mkdir(parents=True)
    (leftover / "new/.latest.json").write_text("{")
    (leftover / atomic._lock_name()).touch()
    cli(*command)
    assert not parts.exists()


def test_a_part_that_another_run_makes_is_waited_for(
    cli: CommandLine, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by workers that outlive their coordinator for a moment."""
    _request({0: BOTH, 30: BOTH})
    pairs = [word for at in (0, 30) for word in ("--mask", f"{at}=m{at}.png")]
    command = ("segment", str(film), "--propagator", "fake", "--cuts", "ignore", *pairs)
    lock = WriterLock(Path("workspace/scene/parts/0000030-0000059/.segment.lock"))
    # it ends while this one is about to look again
    monkeypatch.setattr(workers, "time", SimpleNamespace(sleep=lambda _: lock.release()))
    ran = cli(*command, "--workers", "2")
    assert "part 30-59 is being made by another run; waiting for it" in ran.notes
    assert cli.mask_numbers(clip="scene") == list(range(60))
    assert not Path("workspace/scene/parts").exists()
