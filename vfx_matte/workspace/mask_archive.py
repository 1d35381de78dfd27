"""Keeps the masks of earlier states of an edited project, for undo.

Single masks lie in files that are named after their pixels. Whole sets of propagated masks are
folders of hard links to the mask files: masks are replaced by renames and never written into, so a
link keeps the earlier one, and costs no space while both are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vfx_matte.errors import MaskError, WorkspaceError
from vfx_matte.files.atomic import PREFIX, output_error
from vfx_matte.masks import Mask, Palette
from vfx_matte.workspace.files import load_mask, save_mask, write_text
from vfx_matte.workspace.layout import ClipLayout
from vfx_matte.workspace.lock import WriterLock

_MANIFEST = "manifest.json"


def mask_digest(mask: Mask) -> str:
    """A name for the pixels of a mask, uint8 (H, W): SHA-256, hexadecimal."""
    header = f"{mask.shape} ".encode()
    return hashlib.sha256(header + np.ascontiguousarray(mask).tobytes()).hexdigest()


class MaskArchive:
    """Single masks and sets of masks of one clip.

    Args:
        clip: whose they are.
        palette: of the single masks' files.
    """

    def __init__(self, clip: ClipLayout, palette: Palette) -> None:
        self._clip, self._palette = clip, palette
        self._single = clip.studio_folder / "masks"
        self._sets = clip.studio_folder / "propagated"
        # says which set is being put back, for whoever opens the project after a kill
        self._unfinished = clip.studio_folder / "putting-back.json"

    def keep(self, mask: Mask) -> str:
        """Keep a mask, uint8 (H, W); gives its digest.

        Raises:
            OutputError: it cannot be written.
        """
        digest = mask_digest(mask)
        path = self.path(digest)
        if not path.exists():
            save_mask(path, mask, self._palette)
        return digest

    def path(self, digest: str) -> Path:
        """The file of a mask: palette PNG, index = object id."""
        return self._single / f"{digest}.png"

    def mask(self, digest: str) -> Mask:
        """A mask that was kept: uint8 (H, W).

        Raises:
            MaskError: it is lost, damaged or another one.
        """
        mask = load_mask(self.path(digest))
        if mask_digest(mask) != digest:
            raise MaskError(f"{self.path(digest)} was changed", hint="undo, or paint it again")
        return mask

    def drop(self, digest: str) -> None:
        """Forget a mask, whose file may be damaged."""
        self.path(digest).unlink(missing_ok=True)

    def has(self, digest: str) -> bool:
        """Whether a mask was kept, and is whole."""
        try:
            self.mask(digest)
        except MaskError:
            return False
        return True

    def keep_set(self) -> str | None:
        """Keep the propagated masks as they are now, with their manifest.

        Returns:
            A name of the set; None where there are no masks.

        Raises:
            WorkspaceError: the manifest is damaged.
            OutputError: a file cannot be linked or copied.
        """
        manifest = self._clip.manifest_path
        try:
            if not manifest.is_file():
                return None
            text = manifest.read_text(encoding="utf-8")
            name = _set_name(text)
            target = self._sets / name
            # the manifest is written last: a set that has one is whole
            if (target / _MANIFEST).exists():
                return name
            _link_tree(self._clip.masks_folder, target / "masks")
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, OSError):
                raise output_error(self._sets, error) from error
            raise WorkspaceError(
                f"{manifest} is damaged",
                hint="move it away and open the clip again: undo has its masks",
            ) from error
        write_text(target / _MANIFEST, text)
        return name

    def put_back(self, name: str | None) -> None:
        """Make a set of masks the propagated ones again; None leaves the clip without any.

        All of it or nothing: the set is made beside the masks, and then takes their place by
        renames. A kill between these is mended by `finish`.

        Raises:
            WorkspaceError: another run is writing masks, or the set is lost.
            OutputError: a file cannot be written; nothing has changed then.
        """
        with WriterLock(self._clip.lock_path):
            self._require_whole(name)
            write_text(self._unfinished, json.dumps({"set": name}))
            self._put_back(name)

    def finish(self) -> None:
        """Go on with a `put_back` that was killed, where there was one."""
        try:
            name = json.loads(self._unfinished.read_text(encoding="utf-8"))["set"]
            self._require_whole(name)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, RecursionError, WorkspaceError):
            # it says nothing that could be done: the masks stay as they are
            self._unfinished.unlink(missing_ok=True)
            return
        with WriterLock(self._clip.lock_path):
            self._put_back(name)

    def _require_whole(self, name: str | None) -> None:
        if name is not None and not (self._sets / str(name) / _MANIFEST).is_file():
            raise WorkspaceError(
                f"the earlier masks in {self._sets / str(name)} are gone",
                hint="they cannot come back; propagate again",
            )

    def _put_back(self, name: str | None) -> None:
        folder, manifest = self._clip.masks_folder, self._clip.manifest_path
        coming, going = (self._clip.studio_folder / one for one in ("coming", "going"))
        try:
            # 1. all of it beside the present masks; links need hardly any space
            shutil.rmtree(coming, ignore_errors=True)
            shutil.rmtree(going, ignore_errors=True)
            coming.mkdir()
            if name is not None:
                _link_tree(self._sets / name / "masks", coming / "masks")
                _link(self._sets / name / _MANIFEST, coming / _MANIFEST)
            # 2. renames, which need none
            if folder.exists():
                folder.rename(going)
            if (coming / "masks").exists():
                (coming / "masks").rename(folder)
            if name is None:
                manifest.unlink(missing_ok=True)
            else:
                (coming / _MANIFEST).replace(manifest)
        except OSError as error:
            with contextlib.suppress(OSError):
                if going.exists():
                    shutil.rmtree(folder, ignore_errors=True)
                    going.rename(folder)
                self._unfinished.unlink(missing_ok=True)
            raise output_error(folder, error) from error
        # 3. the states of walks are of the masks that went
        with contextlib.suppress(OSError):
            self._unfinished.unlink(missing_ok=True)
        for rest in (self._clip.states_folder, coming, going):
            shutil.rmtree(rest, ignore_errors=True)


def _set_name(manifest: str) -> str:
    """A name for the masks that a manifest describes: what was rendered of them does not count.

    Raises ValueError or TypeError for a text that is no manifest.
    """
    facts = json.loads(manifest)
    if not isinstance(facts, dict):
        raise TypeError("no manifest")
    facts.pop("outputs", None)
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _link_tree(source: Path, target: Path) -> None:
    """Link every mask of a folder, and the probabilities below it, into another one."""
    for path in _mask_files(source):
        link = target / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        _link(path, link)


def _mask_files(folder: Path) -> Iterator[Path]:
    """The mask files of a folder, and the probabilities below it."""
    # not what is being written just now, or was by a run that was killed
    return (
        path
        for path in folder.rglob("*.png")
        if not any(part.startswith(PREFIX) for part in path.relative_to(folder).parts)
    )


def _link(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the file system has no links. One that is there
    already is the same: names are digests, and masks of one set do not change.
    """
    with contextlib.suppress(FileExistsError):
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:
            shutil.copy2(source, target)
