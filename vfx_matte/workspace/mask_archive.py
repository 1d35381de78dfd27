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

from vfx_matte.errors import MaskError
from vfx_matte.files.atomic import PREFIX, atomic_path, output_error
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

    def keep_set(self) -> str | None:
        """Keep the propagated masks as they are now, with their manifest.

        Returns:
            A name of the set; None where there are no masks.

        Raises:
            OutputError: a file cannot be linked or copied.
        """
        manifest = self._clip.manifest_path
        try:
            if not manifest.is_file():
                return None
            text = manifest.read_text(encoding="utf-8")
            name = hashlib.sha256(text.encode()).hexdigest()[:16]
            target = self._sets / name
            # the manifest is linked last: a set that has one is whole
            if (target / _MANIFEST).exists():
                return name
            for path in self._mask_files(self._clip.masks_folder):
                link = target / "masks" / path.relative_to(self._clip.masks_folder)
                link.parent.mkdir(parents=True, exist_ok=True)
                _link(path, link)
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(self._sets, error) from error
        write_text(target / _MANIFEST, text)
        return name

    def put_back(self, name: str | None) -> None:
        """Make a set of masks the propagated ones again; None leaves the clip without any.

        A kill on the way is mended by `finish`.

        Raises:
            WorkspaceError: another run is writing masks.
            OutputError: a file cannot be written.
        """
        with WriterLock(self._clip.lock_path):
            write_text(self._unfinished, json.dumps({"set": name}))
            self._put_back(name)

    def finish(self) -> None:
        """Go on with a `put_back` that was killed, where there was one."""
        try:
            name = json.loads(self._unfinished.read_text(encoding="utf-8"))["set"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        with WriterLock(self._clip.lock_path):
            self._put_back(name)

    def _put_back(self, name: str | None) -> None:
        folder, manifest = self._clip.masks_folder, self._clip.manifest_path
        kept = self._sets / (name or "none")
        wanted = (
            set()
            if name is None
            else {path.relative_to(kept / "masks") for path in self._mask_files(kept / "masks")}
        )
        try:
            # the states of walks are of the masks that go
            shutil.rmtree(self._clip.states_folder, ignore_errors=True)
            if name is None:
                manifest.unlink(missing_ok=True)
            for path in list(self._mask_files(folder)):
                if path.relative_to(folder) not in wanted:
                    path.unlink()
            for relative in wanted:
                source, target = kept / "masks" / relative, folder / relative
                if target.exists() and target.samefile(source):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(target, clean_up=False) as part:
                    _link(source, part)
            if name is not None:
                write_text(manifest, (kept / _MANIFEST).read_text(encoding="utf-8"))
            self._unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(folder, error) from error

    @staticmethod
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
