from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from support.wording import typed

from vfx_matte.errors import OutputError, WorkspaceError
from vfx_matte.files import atomic
from vfx_matte.masks import Palette
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import Manifest, SourceStamp, Workspace
from vfx_matte.workspace.lock import WriterLock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "lock"
    with WriterLock(path) as held:
        with pytest.raises(WorkspaceError, match="another run") as refused:
            WriterLock(path)
        assert "--workspace" in typed(refused.value.hint)
        held.release()
        held.release()
        with WriterLock(path):
            pass
    with WriterLock(path):
        pass


def test_another_folder_is_another_lock(tmp_path: Path) -> None:
    with WriterLock(tmp_path / "a" / "lock"), WriterLock(tmp_path / "b" / "lock"):
        pass


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        WriterLock(tmp_path / "file" / "lock")


def test_a_file_system_without_locks_is_worked_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: IO[bytes]) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(atomic, "_lock", refuse)
    with WriterLock(tmp_path / "lock"), WriterLock(tmp_path / "lock"):
        pass
    with atomic.atomic_path(tmp_path / "x") as part:
        part.touch()
    assert (tmp_path / "x").exists()


def test_a_run_holds_the_lock_until_it_is_closed(tmp_path: Path) -> None:
    """Also one that ends with an error, and one that was refused for what its folder holds."""
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"film")
    timeline = Timeline((0, 1), (1, 1), Fraction(1, 25))
    facts = {
        "references": {},
        "propagator": "fake",
        "settings": {},
        "start": 0,
        "stop": 2,
        "objects": {},
    }
    plan = Manifest(source=SourceStamp.of(source), timeline=timeline, **facts)
    clip, palette = Workspace(tmp_path / "w").clip(source), Palette.davis()
    with clip.start_run(plan, palette=palette) as run:
        run.save_mask(0, np.zeros((2, 2), np.uint8))
        for fresh, resume in ((True, False), (False, True), (False, False)):
            with pytest.raises(WorkspaceError, match="another run"):
                clip.start_run(plan, palette=palette, fresh=fresh, resume=resume)
    with pytest.raises(WorkspaceError, match="already holds this work"):
        clip.start_run(plan, palette=palette)
    with pytest.raises(RuntimeError), clip.start_run(plan, palette=palette, resume=True):
        raise RuntimeError
    with clip.start_run(plan, palette=palette, resume=True) as run:
        assert run.missing == ((1, 2),)
