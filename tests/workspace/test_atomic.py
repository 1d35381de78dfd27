"""Files and folders that are whole or not there: what killed runs leave, what is not ours, two runs
at once, a full disk.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest

from vfx_matte.errors import OutputError, VerifyError
from vfx_matte.files import atomic
from vfx_matte.files.atomic import (
    AtomicFile,
    AtomicFolder,
    atomic_files,
    atomic_folder,
    atomic_path,
    discard_unfinished,
    output_error,
    remove_leftovers,
    try_lock,
)

FULL_DISK = OSError(errno.ENOSPC, "No space left on device")


def nothing(_: Path) -> str:
    return ""


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def killed(folder: Path, body: str) -> Path:
    """Begin something in another process and kill it there; the folder it leaves."""
    imports = "from pathlib import Path\nimport os, signal\nfrom vfx_matte.files.atomic import *\n"
    code = f"{imports}here = Path({str(folder)!r})\n{body}"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nos.kill(os.getpid(), signal.SIGKILL)"], check=False
    )
    assert ran.returncode == -signal.SIGKILL
    (left,) = (path for path in folder.iterdir() if path.name.startswith(atomic.PREFIX))
    return left


def test_what_is_being_made_is_removed_before_the_process_ends(tmp_path: Path) -> None:
    """From another thread than its own; what was kept, and a result that steps aside, stay."""
    with AtomicFile(tmp_path / "kept.mov") as kept:
        kept.part.write_text("whole")
        kept.keep()
    unfinished = AtomicFile(tmp_path / "new" / "half.mov")
    unfinished.part.write_text("half")
    exchanging = AtomicFile(tmp_path / "other.mov")
    earlier = exchanging.part.parents[1] / "earlier" / "other.mov"
    earlier.parent.mkdir()
    earlier.write_text("earlier result")
    remover = threading.Thread(target=discard_unfinished)
    remover.start()
    remover.join()
    left = names(tmp_path)
    assert "kept.mov" in left
    assert "new" not in left
    assert earlier.read_text() == "earlier result"
    unfinished.discard()
    exchanging.discard()


# what is made


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "a b" / "out.mov"
    with pytest.raises(KeyboardInterrupt), atomic_path(final) as part:  # noqa: PT012
        assert part.name == final.name
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == [], "nor does the folder stay that was made for it"
    with atomic_path(final, durable=True) as part:
        part.write_bytes(b"whole")
        assert not final.exists()
    assert final.read_bytes() == b"whole"
    assert names(tmp_path) == ["a b", "a b/out.mov"]
    assert final.stat().st_mode & 0o777 == 0o666 & ~_umask()


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_file_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    final = tmp_path / "out.mov"
    flushed: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda file: flushed.append((os.fstat(file).st_size, final.exists()))
    )
    with atomic_path(final, durable=durable) as part:
        part.write_bytes(b"whole")
    assert flushed == ([(5, False)] if durable else [])
    assert final.exists()


def test_a_folder_that_another_run_takes_away_meanwhile_is_no_file(tmp_path: Path) -> None:
    final = tmp_path / "p"
    final.mkdir()

    def gone(_: Path) -> str:
        raise FileNotFoundError

    with atomic_folder(final, foreign_file=gone) as part:
        (part / "a").write_text("a")
    assert names(final) == ["a"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_file_takes_no_place_of_a_pipe_or_device(tmp_path: Path) -> None:
    pipe = tmp_path / "out.mov"
    os.mkfifo(pipe)
    (tmp_path / "null.csv").symlink_to(os.devnull)
    for place in (pipe, tmp_path / "null.csv", Path(os.devnull)):
        with pytest.raises(OutputError, match="expected a file"), atomic_path(place) as part:
            part.write_bytes(b"")
    assert pipe.is_fifo()
    assert names(tmp_path) == ["null.csv", "out.mov"]


def test_an_earlier_file_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    final = tmp_path / "out.json"
    final.write_text("earlier")
    for error in (FULL_DISK, OSError(errno.EIO, "Input/output error")):
        with pytest.raises(OutputError, match=re.escape(str(final))), atomic_path(final) as part:  # noqa: PT012
            part.write_text("half")
            raise error
        assert (final.read_text(), names(tmp_path)) == ("earlier", ["out.json"])


def test_a_folder_in_the_way_and_a_file_in_the_path_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder"), atomic_path(tmp_path / "x.mp4"):
        pass
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        atomic_path(tmp_path / "file" / "x.png"),
    ):
        pass


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("error", [FULL_DISK, KeyboardInterrupt()])
def test_an_earlier_folder_gives_way_to_a_whole_one_only(
    tmp_path: Path, error: BaseException, swaps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not swaps:
        monkeypatch.setattr(atomic, "_swap", lambda _one, _two: False)
    final = tmp_path / "p"
    final.mkdir()
    (final / "old").touch()

    def make(name: str, error: BaseException | None = None) -> None:
        with atomic_folder(final, foreign_file=nothing) as part:
            (part / name).touch()
            if error is not None:
                raise error

    with pytest.raises((OutputError, KeyboardInterrupt)):
        make("half", error)
    assert names(tmp_path) == ["p", "p/old"]
    make("new")
    assert names(tmp_path) == ["p", "p/new"]


def test_a_folder_with_other_files_and_a_file_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(OutputError, match="is a file"),
        atomic_folder(tmp_path / "file", foreign_file=nothing),
    ):
        pass
    (tmp_path / "p").mkdir()

    def late(folder: Path) -> str:
        return next((path.name for path in folder.iterdir()), "")

    with (
        pytest.raises(OutputError, match=r"holds other files \(thesis\)"),
        atomic_folder(tmp_path / "p", foreign_file=late),
    ):
        (tmp_path / "p" / "thesis").touch()
    assert names(tmp_path) == ["file", "p", "p/thesis"]


def test_a_link_to_a_folder_stands_for_it(tmp_path: Path) -> None:
    (tmp_path / "big disk").mkdir()
    (tmp_path / "p").symlink_to("big disk")
    with atomic_folder(tmp_path / "p", foreign_file=nothing) as part:
        (part / "new").touch()
    assert (tmp_path / "p").is_symlink()
    assert names(tmp_path / "big disk") == ["new"]


def test_errors_name_the_place_and_not_where_it_is_made(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError) as caught,
        atomic_folder(tmp_path / "p", foreign_file=nothing) as part,
    ):
        raise output_error(part / "a.png", FULL_DISK)
    assert (
        caught.value.message == f"the disk is full: cannot write {str(tmp_path / 'p' / 'a.png')!r}"
    )
    assert "free some space" in caught.value.hint


# files that belong together


def test_files_that_belong_together(tmp_path: Path) -> None:
    folder = tmp_path / "conform"

    def make(*names: str, error: BaseException | None = None) -> None:
        with atomic_files(folder, stale=("map",)) as part:
            for name in names:
                (part / name).write_text("new")
            if error is not None:
                raise error

    with pytest.raises(OutputError):
        make("a", error=FULL_DISK)
    assert names(tmp_path) == []
    make("a", "map")
    assert names(folder) == ["a", "map"]
    (folder / "mine.txt").write_text("mine")
    (folder / "a").write_text("earlier")
    with pytest.raises(OutputError):
        make("a", "b", "map", error=FULL_DISK)
    assert (names(folder), (folder / "a").read_text()) == (["a", "map", "mine.txt"], "earlier")
    make("a", "b", "map")
    assert (names(folder), (folder / "a").read_text()) == (["a", "b", "map", "mine.txt"], "new")
    assert names(tmp_path) == ["conform", *(f"conform/{name}" for name in names(folder))]


def test_the_file_that_says_that_all_are_there_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "conform"
    folder.mkdir()
    for name in ("a", "b", "map"):
        (folder / name).write_text("old")
    seen = []
    replace = Path.replace

    def watched(path: Path, target: Path) -> Path:
        seen.append((target.name, (folder / "map").exists()))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    with atomic_files(folder, stale=("map",)) as part:
        for name in ("map", "b", "a"):
            (part / name).write_text("new")
    assert seen == [("a", False), ("b", False), ("map", False)]


# what failed its verification


def test_what_fails_is_kept_beside_the_earlier_result(tmp_path: Path) -> None:
    final = tmp_path / "green back.mp4"
    final.write_text("good")
    for number in ("", "-2"):
        with AtomicFile(final) as place:
            place.part.write_text("bad")
            kept = place.keep_failed()
        assert kept.name == f"green back.failed-verification{number}.mp4"
        assert kept.read_text() == "bad"
    assert final.read_text() == "good"
    assert len(names(tmp_path)) == 3

    with (  # noqa: PT012
        pytest.raises(VerifyError) as caught,
        atomic_folder(tmp_path / "p.q", foreign_file=nothing) as part,
    ):
        (part / "x").touch()
        raise VerifyError("x differs")
    assert (tmp_path / "p.q.failed-verification" / "x").exists()
    assert "p.q.failed-verification" in caught.value.hint

    with pytest.raises(VerifyError) as caught, atomic_files(tmp_path / "c", stale=()) as part:  # noqa: PT012
        (part / "good.mp4").touch()
        with AtomicFile(part / "x.mp4") as place:
            place.part.touch()
            kept = place.keep_failed()
        raise VerifyError("x differs", hint=f"kept as {kept}")
    assert names(tmp_path / "c") == ["x.failed-verification.mp4"]
    assert caught.value.hint == f"kept as {tmp_path / 'c' / 'x.failed-verification.mp4'}"


# what is not ours


@pytest.mark.parametrize(
    "left", [(), ("lock.new",)], ids=["nothing in it", "a lock without its name"]
)
def test_what_a_run_left_that_was_killed_before_it_had_a_lock_is_swept(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    dead = tmp_path / ".vfx-matte-0a1b2c3d.part"
    dead.mkdir()
    for name in left:
        (dead / name).touch()
    remove_leftovers(tmp_path)
    assert not dead.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
def test_what_is_just_being_made_is_not_swept(tmp_path: Path) -> None:
    alive = tmp_path / ".vfx-matte-0a1b2c3d.part"
    alive.mkdir()
    with (alive / "lock.new").open("xb") as file:
        assert try_lock(file)
        remove_leftovers(tmp_path)
        assert (alive / "lock.new").exists()


def test_a_place_whose_folder_was_swept_too_early_makes_itself_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, swept = atomic._lock_folder, []

    def too_late(folder: Path) -> IO[bytes]:
        if not swept:
            swept.append(folder)
            remove_leftovers(tmp_path)
        return locked(folder)

    monkeypatch.setattr(atomic, "_lock_folder", too_late)
    with AtomicFile(tmp_path / "a.txt") as place:
        place.part.write_text("whole")
        place.keep()
    assert swept
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_a_place_that_is_never_entered_goes_with_its_last_reference(tmp_path: Path) -> None:
    place = AtomicFile(tmp_path / "a.txt")  # as when Ctrl-C comes between this and `with`
    assert list(tmp_path.iterdir())
    del place
    assert not list(tmp_path.iterdir())


def test_files_that_belong_in_what_is_a_file_are_refused_before_they_are_made(
    tmp_path: Path,
) -> None:
    place = tmp_path / "m.png"
    place.write_bytes(b"mask")
    with pytest.raises(OutputError, match="Not a directory"), atomic_files(place, stale=()):
        pytest.fail("the work was begun")
    assert place.read_bytes() == b"mask"
    assert [one.name for one in tmp_path.iterdir()] == ["m.png"]


def test_names_that_look_like_temporary_ones_are_left_alone(tmp_path: Path) -> None:
    """Also with what our own folders hold, made by hand: nobody holds a lock there, but nobody of
    ours has let one go.
    """
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    own = killed(tmp_path, "x = AtomicFile(here / 'x'); x.part.touch()")
    lock = next(own.glob("*.lock")).name
    (tmp_path / ".vfx-matte-aaaaaaaa.part").symlink_to("victim")
    (tmp_path / ".vfx-matte-bbbbbbbb.part").write_text("a file")
    for name, inside in {
        "cccccccc": ["thesis.txt", lock],
        "dddddddd": ["new/half"],
        "eeeeeeee": ["0123456789ab.lock", "new/of another machine"],
        "ffffffff": ["lock.new", "new/just begun"],
    }.items():
        for one in inside:
            place = tmp_path / f".vfx-matte-{name}.part" / one
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    (tmp_path / ".vfx-matte-gggggggg.part").mkdir()
    (tmp_path / ".vfx-matte-gggggggg.part" / lock).symlink_to(victim / "precious")
    for name in ("x.part", ".x.part", "x.earlier"):
        (tmp_path / name).mkdir()
    before = [name for name in names(tmp_path) if not name.startswith(own.name)]
    with atomic_path(tmp_path / "x") as part:
        part.touch()
    assert names(tmp_path) == sorted([*before, "x"])


def test_a_living_run_is_left_alone(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "x") as one, AtomicFile(tmp_path / "x") as two:
        assert one.part != two.part
        remove_leftovers(tmp_path)
        one.part.write_text("one")
        two.part.write_text("two")
        two.keep()
        one.keep()
    assert (tmp_path / "x").read_text() == "one", "the last one wins, whole"
    assert names(tmp_path) == ["x"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    killed(tmp_path, "x = AtomicFile(here / 'x'); x.part.write_text('half')")
    with atomic_path(tmp_path / "other") as part:
        part.touch()
    assert names(tmp_path) == ["other"]


@pytest.mark.skipif(
    sys.platform == "win32" or os.getuid() != 0, reason="only root gives files to others"
)
def test_what_somebody_else_left_stays(tmp_path: Path) -> None:
    left = killed(tmp_path, "x = AtomicFile(here / 'x'); x.part.write_text('half')")
    os.chown(left, 12345, 12345)
    remove_leftovers(tmp_path)
    assert left.exists()


def test_a_folder_that_was_killed_between_its_two_renames_is_put_back(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "old").touch()
    killed(
        tmp_path,
        "import vfx_matte.files.atomic as atomic\n"
        "atomic._swap = lambda one, two: False\n"
        "place = AtomicFolder(here / 'p', foreign_file=lambda _: '')\n"
        "rename, calls = Path.rename, []\n"
        "def once(path, target):\n"
        "    if calls: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    calls.append(1)\n"
        "    return rename(path, target)\n"
        "Path.rename = once\n"
        "place.keep()",
    )
    assert not (tmp_path / "p").exists()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["p", "p/old"]


@pytest.mark.parametrize("call", [1, 2])
def test_a_run_that_was_killed_while_it_removed_its_folder_leaves_nothing(
    tmp_path: Path, call: int
) -> None:
    """Also where what went first was not its lock, as when a tree is removed in any order."""
    killed(
        tmp_path,
        "place = AtomicFile(here / 'x'); place.part.write_text('whole')\n"
        "def after(function):\n"
        "    def called(path, *rest, **more):\n"
        "        function(path, *rest, **more)\n"
        "        if '.vfx-matte' in str(path): calls.append(1)\n"
        f"        if len(calls) == {call}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return called\n"
        "calls = []\n"
        "Path.unlink, Path.rmdir = after(Path.unlink), after(Path.rmdir)\n"
        "place.keep()",
    )
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["x"]


def test_an_empty_folder_that_is_left_without_its_lock_is_removed(tmp_path: Path) -> None:
    left = killed(tmp_path, "x = AtomicFile(here / 'x')")
    (lock,) = left.glob("*.lock")
    lock.unlink()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == []


# two at once


@pytest.mark.parametrize("swaps", [True, False])
def test_folders_that_end_at_once(
    tmp_path: Path, swaps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not swaps:
        monkeypatch.setattr(atomic, "_swap", lambda _one, _two: False)
    final, problems = tmp_path / "p", list[Exception]()
    barrier = threading.Barrier(4)

    def make(number: int) -> None:
        try:
            for _ in range(10):
                with AtomicFolder(final, foreign_file=nothing) as place:
                    for name in ("a", "b"):
                        (place.part / name).write_text(str(number))
                    barrier.wait(10)
                    place.keep()
        except Exception as error:  # noqa: BLE001  told by the main thread
            barrier.abort()
            problems.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert names(tmp_path) == ["p", "p/a", "p/b"]
    assert (final / "a").read_text() == (final / "b").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file")
def test_a_folder_is_removed_while_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run may have made it and be about to lock it: what it then works in would go."""
    folder = tmp_path / f"{atomic.PREFIX}01234567{atomic.SUFFIX}"
    folder.mkdir()
    lock = folder / atomic._UNLOCKED
    lock.touch()
    removed = []

    def rmtree(path: Path, **_: bool) -> None:
        with lock.open("rb+") as file, pytest.raises(BlockingIOError):
            atomic.try_lock(file)
        removed.append(path)

    monkeypatch.setattr(atomic.shutil, "rmtree", rmtree)
    remove_leftovers(tmp_path)
    assert removed == [folder]


def test_sets_of_files_that_end_at_once_do_not_mix(tmp_path: Path) -> None:
    folder, barrier = tmp_path / "c", threading.Barrier(3)
    folder.mkdir()

    def make(number: int) -> None:
        for _ in range(10):
            with atomic_files(folder, stale=("map",)) as part:
                for name in ("a", "b", "c", "map"):
                    (part / name).write_text(str(number))
                barrier.wait(10)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({(folder / name).read_text() for name in ("a", "b", "c", "map")}) == 1


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
