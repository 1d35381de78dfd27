"""Nothing lost, nothing half: through the command line, as it happens at a desk."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import write_clip
from support.command_line import CommandLine, paint, segment, two_objects

from vfx_matte.files.atomic import PREFIX, output_error
from vfx_matte.media import verify
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.media.writers.video import VideoWriter
from vfx_matte.pipeline.render import outputs

FAST = ("--preset", "ultrafast")
FAKE = ("--propagator", "fake")
GREEN = Path("workspace/clip/greenback.mp4")


def frame_count(path: Path) -> int:
    with av.open(str(path)) as opened:
        return sum(1 for _ in opened.decode(video=0))


def nothing_temporary(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.name.startswith(PREFIX)]


# two at once


@pytest.mark.slow
def test_two_renders_of_one_output_at_once(project: CommandLine) -> None:
    commands = (
        ("greenback", *FAST),
        ("alpha", "-o", "frames"),
        ("conform", "-o", "c", "--outputs", "source,greenback"),
    )
    for command in commands:
        children = [project.start(*command) for _ in range(2)]
        for child in children:
            _, errors = child.communicate(timeout=100)
            assert child.returncode == 0, errors
    assert frame_count(GREEN) == 12
    assert len(list(Path("frames").iterdir())) == 12
    facts = json.loads(Path("c/frame_map.json").read_text())
    assert {frame_count(Path("c") / name) for name in facts["files"].values()} == {
        len(facts["map"])
    }
    assert nothing_temporary(project.folder)


# the user's own names


@pytest.mark.slow
def test_names_of_the_user_are_no_temporary_names(project: CommandLine) -> None:
    for name in ("frames.part", "frames.earlier", ".frames.part", ".frames.earlier"):
        paint(Path(name) / "precious.png", two_objects())
    victim = Path("victim")
    victim.mkdir()
    (victim / "precious.txt").touch()
    for name in (".package-web.part", ".package-web.earlier", "greenback.mp4.part"):
        (Path("workspace/clip") / name).symlink_to(victim.absolute())
    shutil.copy2("clip.mp4", "take.mp4.part")
    before = project.files()
    project("segment", "take.mp4.part", "--first-mask", "mask.png", *FAKE, "--workspace", "w")
    for _ in range(2):
        project("alpha", "-o", "frames")
        project("greenback", *FAST)
        project("package", "--for", "web")
    project("greenback", "take.mp4.part", "--workspace", "w", *FAST, "-o", "take.mp4")
    after = project.files()
    assert {name: after.get(name) for name in before if "manifest" not in name} == {
        name: data for name, data in before.items() if "manifest" not in name
    }


# verification


@pytest.mark.slow
def test_what_differs_from_its_source_replaces_nothing(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project("greenback", *FAST)
    project("alpha", "-o", "frames")
    project("conform", "--outputs", "greenback", "-o", "c")
    before = project.files()
    honest = VideoWriter.write
    monkeypatch.setattr(
        VideoWriter, "write", lambda self, picture, time: time.pts and honest(self, picture, time)
    )
    monkeypatch.setattr(
        outputs, "verify_stills", lambda folder, _, names: verify.verify_stills(folder, 13, names)
    )
    for command, kept in {
        ("greenback", *FAST): "workspace/clip/greenback.failed-verification.mp4",
        ("alpha", "-o", "frames"): "frames.failed-verification/0000000.png",
        ("conform", "--outputs", "greenback", "-o", "c"): "c/greenback.failed-verification.mp4",
    }.items():
        ran = project.fails(*command, code=1)
        assert "differs from its source" in ran.error
        assert Path(kept).exists()
        assert kept.partition("/0")[0] in ran.hint
        assert PREFIX not in ran.stderr
    after = project.files()
    assert {name: after[name] for name in before} == before
    assert nothing_temporary(project.folder)


# what is read changes


@pytest.mark.parametrize(
    "command", [("greenback", *FAST), ("maskvideo",), ("conform",), ("alpha", "-o", "frames")]
)
def test_a_source_that_is_replaced_meanwhile_is_an_error(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    write_clip(Path("other.mp4"), pts=range(0, 4 * 1001, 1001), options={"preset": "ultrafast"})
    opened = VideoWriter.__init__ if command[0] != "alpha" else None

    def replacing(*arguments: object, **named: object) -> None:
        assert opened is not None
        if Path("other.mp4").exists():
            Path("other.mp4").replace("clip.mp4")
        opened(*arguments, **named)  # type: ignore[arg-type]

    frames = VideoReader.frames

    def replaced(reader: VideoReader, start: int = 0, stop: int | None = None) -> Iterator[object]:
        for frame in frames(reader, start, stop):
            if frame.index == 3 and Path("other.mp4").exists():
                Path("other.mp4").replace("clip.mp4")
            yield frame

    if opened is None:
        monkeypatch.setattr(VideoReader, "frames", replaced)
    else:
        monkeypatch.setattr(VideoWriter, "__init__", replacing)
    ran = project.fails(*command, code=1)
    assert "clip.mp4" in ran.error
    assert "while it was read" in ran.error
    assert not [
        path
        for path in project.folder.rglob("*")
        if path.name in ("greenback.mp4", "maskvideo.mkv", "frames")
    ]


def test_a_date_that_changes_meanwhile_is_none(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = VideoWriter.__init__

    def touching(*arguments: object, **named: object) -> None:
        os.utime("clip.mp4", (1, 1))
        opened(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoWriter, "__init__", touching)
    project("greenback", *FAST)


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_masks_that_change_meanwhile_are_an_error(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    opened = VideoWriter.__init__
    mask = Path("workspace/clip/masks/0000004.png")

    def changing(*arguments: object, **named: object) -> None:
        if how == "deleted":
            mask.unlink(missing_ok=True)
        else:
            paint(mask, np.zeros_like(two_objects()))
        opened(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoWriter, "__init__", changing)
    ran = project.fails("maskvideo", code=2)
    assert "masks" in ran.error
    assert not Path("workspace/clip/maskvideo.mkv").exists()


def test_masks_that_count_as_done_but_are_gone(project: CommandLine) -> None:
    Path("workspace/clip/masks/0000007.png").unlink()
    for command in (
        ("greenback", *FAST),
        ("maskvideo",),
        ("alpha", "-o", "frames"),
        ("package", "--for", "web"),
        ("qc",),
    ):
        ran = project.fails(*command, code=2)
        assert "0000007.png" in ran.error
        assert "--resume" in ran.hint
    project(
        "segment",
        "clip.mp4",
        "--first-mask",
        "mask.png",
        *FAKE,
        "--start",
        "2",
        "--stop",
        "10",
        "--resume",
    )
    project("greenback", *FAST)


# the same clip


@pytest.mark.slow
def test_the_same_bytes_are_the_same_clip(project: CommandLine) -> None:
    os.utime("clip.mp4", (1, 1))
    project("greenback", *FAST)
    Path("clip.mp4").rename("renamed.mp4")
    project("greenback", "renamed.mp4", *FAST)
    project("greenback", *FAST)  # without a clip: found by its bytes
    Path("workspace/clip").rename("workspace/renamed")
    project("greenback", "renamed.mp4", *FAST)
    project("greenback", *FAST)
    assert Path("workspace/renamed/greenback.mp4").exists()


def test_other_bytes_are_another_clip_whatever_their_date(project: CommandLine) -> None:
    stat, data = Path("clip.mp4").stat(), bytearray(Path("clip.mp4").read_bytes())
    data[len(data) // 2] ^= 1
    Path("clip.mp4").write_bytes(data)
    os.utime("clip.mp4", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ran = project.fails("greenback", *FAST, "clip.mp4", code=2)
    assert "another clip" in ran.error
    assert "--workspace" in ran.hint


def test_a_manifest_of_an_older_program_still_works(project: CommandLine) -> None:
    path = Path("workspace/clip/manifest.json")
    facts = json.loads(path.read_text())
    del facts["source"]["fingerprint"]
    path.write_text(json.dumps(facts))
    project("greenback", *FAST)
    stat = Path("clip.mp4").stat()
    os.utime("clip.mp4", ns=(0, stat.st_mtime_ns // 2_000_000_000 * 2_000_000_000))  # FAT
    project("greenback", *FAST)


# the clip segmented last


@pytest.mark.slow
def test_the_clip_segmented_last_is_never_guessed(project: CommandLine, clip: Path) -> None:
    shutil.copy2(clip, "two.mp4")
    segment(project, "two.mp4")
    manifest = Path("workspace/two/manifest.json")
    facts = json.loads(manifest.read_text())
    facts["segmented_at"] = "1999-01-01T00:00:00.000000+00:00"  # the clock went backwards
    manifest.write_text(json.dumps(facts))
    project("greenback", *FAST)
    assert Path("workspace/two/greenback.mp4").exists()
    good = manifest.read_text()
    manifest.write_text("{")
    ran = project.fails("maskvideo", code=2)
    assert "two" in ran.error
    assert "name the clip" in ran.hint
    Path("workspace/.latest.json").unlink()  # a workspace of an older program
    ran = project.fails("maskvideo", code=2)
    assert "two" in ran.error
    manifest.write_text(good)
    project("maskvideo", "clip.mp4")
    project("segment", "two.mp4", "--first-mask", "mask.png", *FAKE, "--fresh")
    shutil.rmtree("workspace/two")
    ran = project.fails("greenback", code=2)
    assert "'two', is no longer in" in ran.error


# places that cannot be written


def test_a_workspace_that_cannot_be_noted_in(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _: object) -> None:
        raise output_error(path, OSError(errno.EROFS, "Read-only file system"))

    monkeypatch.setattr("vfx_matte.workspace.clip.save_manifest", refuse)
    ran = project("maskvideo", "-o", "out.mkv")
    assert len([note for note in ran.notes if "not noted in the workspace" in note]) == 1
    assert frame_count(Path("out.mkv")) == 12


@pytest.mark.parametrize("again", ["--fresh", "--update"])
@pytest.mark.parametrize("room", [0, 1, 2, 3, 6])
def test_a_full_disk_leaves_the_earlier_masks(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch, room: int, again: str
) -> None:
    # so that there is a generation before
    project("segment", "clip.mp4", "--first-mask", "mask.png", *FAKE, "--fresh")
    before = project.files("workspace")
    paint(Path("new.png"), two_objects()[:, ::-1].copy())
    replace, left = Path.replace, [room]

    def limited(path: Path, target: Path) -> Path:
        if PREFIX in str(path) and "previous" not in str(path) and "previous" not in str(target):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", limited)
    ran = project.fails("segment", "clip.mp4", "--first-mask", "new.png", *FAKE, again, code=1)
    assert "disk is full" in ran.error
    after = project.files("workspace")
    assert {name: after.get(name) for name in before if ".latest" not in name} == {
        name: data for name, data in before.items() if ".latest" not in name
    }
    assert set(after) == set(before)
