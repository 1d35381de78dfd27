"""Masks of earlier states: single ones by their pixels, sets of propagated ones as links."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from vfx_matte.errors import MaskError, OutputError, WorkspaceError
from vfx_matte.masks import Palette
from vfx_matte.workspace import ClipLayout, load_mask, save_mask
from vfx_matte.workspace.mask_archive import MaskArchive, mask_digest

DAVIS = Palette.davis()


def filled(value: int) -> np.ndarray:
    return np.full((4, 6), value, np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> ClipLayout:
    return ClipLayout(tmp_path / "clip")


def propagate(clip: ClipLayout, values: dict[int, int]) -> None:
    """Write masks and a manifest as a run does: files are replaced, never written into."""
    for number, value in values.items():
        save_mask(clip.mask_path(number), filled(value), DAVIS)
    clip.manifest_path.write_text(json.dumps(values))


def masks(clip: ClipLayout) -> dict[int, int]:
    return {int(p.stem): int(load_mask(p)[0, 0]) for p in sorted(clip.masks_folder.glob("*.png"))}


def test_a_mask_is_found_by_its_pixels_and_its_shape(clip: ClipLayout) -> None:
    archive = MaskArchive(clip, DAVIS)
    digest = archive.keep(filled(3))
    assert archive.keep(filled(3)) == digest
    assert np.array_equal(archive.mask(digest), filled(3))
    assert digest != mask_digest(filled(4))
    assert digest != mask_digest(filled(3).reshape(6, 4))


def test_a_mask_that_was_changed_on_disk_is_refused(clip: ClipLayout) -> None:
    archive = MaskArchive(clip, DAVIS)
    digest = archive.keep(filled(3))
    save_mask(archive.path(digest), filled(4), DAVIS)
    with pytest.raises(MaskError, match="was changed"):
        archive.mask(digest)


def test_a_set_comes_back_whatever_a_later_run_has_made(clip: ClipLayout) -> None:
    archive = MaskArchive(clip, DAVIS)
    assert archive.keep_set() is None
    propagate(clip, {0: 1, 1: 1})
    first = archive.keep_set()
    propagate(clip, {1: 2, 2: 2})
    second = archive.keep_set()
    assert first is not None
    assert second not in (None, first)
    archive.put_back(first)
    assert masks(clip) == {0: 1, 1: 1}
    assert json.loads(clip.manifest_path.read_text()) == {"0": 1, "1": 1}
    archive.put_back(second)
    assert masks(clip) == {0: 1, 1: 2, 2: 2}
    archive.put_back(None)
    assert masks(clip) == {}
    assert not clip.manifest_path.exists()
    archive.put_back(first)
    assert masks(clip) == {0: 1, 1: 1}


def test_probabilities_belong_to_the_set_and_half_written_files_do_not(clip: ClipLayout) -> None:
    archive = MaskArchive(clip, DAVIS)
    propagate(clip, {0: 1})
    soft = clip.soft_path(1, 0)
    save_mask(soft, filled(9), DAVIS)
    leftover = clip.masks_folder / ".vfx-matte-abcdefgh.part" / "new" / "0000001.png"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    kept = archive.keep_set()
    archive.put_back(None)
    assert not soft.exists()
    archive.put_back(kept)
    assert load_mask(soft)[0, 0] == 9
    assert masks(clip) == {0: 1}


def test_putting_back_goes_on_after_a_kill(
    clip: ClipLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MaskArchive(clip, DAVIS)
    propagate(clip, dict.fromkeys(range(5), 1))
    first = archive.keep_set()
    propagate(clip, dict.fromkeys(range(5), 2))

    class Killed(BaseException):
        pass

    from vfx_matte.workspace import mask_archive

    real, done = mask_archive._link, []

    def dies(source: Path, target: Path) -> None:
        if len(done) == 3:
            raise Killed
        done.append(target)
        real(source, target)

    monkeypatch.setattr(mask_archive, "_link", dies)
    with pytest.raises(Killed):
        archive.put_back(first)
    monkeypatch.setattr(mask_archive, "_link", real)
    # nothing has changed yet: the set is made beside the masks
    assert set(masks(clip).values()) == {2}
    MaskArchive(clip, DAVIS).finish()
    assert set(masks(clip).values()) == {1}
    MaskArchive(clip, DAVIS).finish()


def test_a_set_that_is_gone_takes_no_masks_away(clip: ClipLayout) -> None:
    archive = MaskArchive(clip, DAVIS)
    propagate(clip, {0: 1})
    kept = archive.keep_set()
    assert kept is not None
    propagate(clip, {0: 2})
    shutil.rmtree(clip.studio_folder / "propagated" / kept)
    with pytest.raises(WorkspaceError, match="gone"):
        archive.put_back(kept)
    assert masks(clip) == {0: 2}


@pytest.mark.parametrize("text", ['{"set": 5}', '{"set": "gone"}', "[]", "\xff"])
def test_a_note_of_a_kill_that_says_nothing_is_passed_over(clip: ClipLayout, text: str) -> None:
    archive = MaskArchive(clip, DAVIS)
    propagate(clip, {0: 1})
    note = clip.studio_folder / "putting-back.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(text)
    archive.finish()
    assert masks(clip) == {0: 1}
    assert not note.exists()


def test_a_render_that_is_recorded_makes_no_other_set(clip: ClipLayout) -> None:
    archive = MaskArchive(clip, DAVIS)
    propagate(clip, {0: 1})
    kept = archive.keep_set()
    facts = json.loads(clip.manifest_path.read_text()) | {"outputs": {"greenback.mp4": {}}}
    clip.manifest_path.write_text(json.dumps(facts))
    assert archive.keep_set() == kept


def test_a_full_disk_in_the_middle_of_putting_back_changes_nothing(
    clip: ClipLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MaskArchive(clip, DAVIS)
    propagate(clip, {0: 1, 1: 1})
    kept = archive.keep_set()
    propagate(clip, {0: 2, 1: 2})
    before = clip.manifest_path.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.link", full)
    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(OutputError, match="full"):
        archive.put_back(kept)
    assert masks(clip) == {0: 2, 1: 2}
    assert clip.manifest_path.read_text() == before
    monkeypatch.undo()
    archive.finish()
    assert masks(clip) == {0: 2, 1: 2}


def test_masks_are_copied_where_there_are_no_links(
    clip: ClipLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(1, "no links here")

    monkeypatch.setattr("os.link", refuses)
    archive = MaskArchive(clip, DAVIS)
    propagate(clip, {0: 1, 1: 1})
    kept = archive.keep_set()
    propagate(clip, {0: 2, 1: 2})
    archive.put_back(kept)
    assert masks(clip) == {0: 1, 1: 1}


def test_a_full_disk_is_said_and_the_masks_stay(
    clip: ClipLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MaskArchive(clip, DAVIS)
    propagate(clip, {0: 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.link", full)
    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(OutputError, match="full"):
        archive.keep_set()
    assert masks(clip) == {0: 1}
