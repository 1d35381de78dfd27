"""Reads the finished masks of a clip.

No picture is kept: memory does not grow with the clip.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from vfx_matte.errors import WorkspaceError
from vfx_matte.masks import Mask
from vfx_matte.wording import command, option
from vfx_matte.workspace.files import Soft, load_mask, load_soft
from vfx_matte.workspace.layout import ClipLayout, frame_numbers
from vfx_matte.workspace.manifest import Manifest


class MaskStore:
    """The finished masks of one clip, as they were when the store was opened.

    Args:
        clip: where they are.
        manifest: what is known about them; frames that it counts as done have files.
    """

    def __init__(self, clip: ClipLayout, manifest: Manifest) -> None:
        self.clip = clip
        self.manifest = manifest
        # taken once: a run that goes on meanwhile must not change what a render shows
        self._done = frozenset(manifest.done_frames())
        self._opened = self._fingerprint()

    def get(self, frame_index: int) -> Mask | None:
        """The mask of one frame: uint8 (H, W), object ids; None outside the range and for frames
        that are not done, which renders show as background only.

        Raises:
            MaskError: the file is lost or damaged.
        """
        # asked of the manifest, not of the disk: a file that is lost is an error
        if frame_index not in self._done:
            return None
        return load_mask(self.clip.mask_path(self.manifest.timeline.number(frame_index)))

    def check_masks(self) -> None:
        """Check, without reading any, that every frame that is done has its file.

        Raises:
            WorkspaceError: a file is missing.
        """
        lost = sorted(self._done_numbers() - frame_numbers(self.clip.masks_folder))
        if lost:
            first = self.clip.mask_path(lost[0])
            raise WorkspaceError(
                f"{len(lost)} of {len(self._done)} masks are missing, the first is {first}",
                hint=(
                    f"run {command('segment', resume=True)} to make them again, unless another run"
                    " is just doing so"
                ),
            )

    def check_unchanged(self) -> None:
        """Check that no mask was replaced or removed since this store was opened.

        Raises:
            WorkspaceError: one was.
        """
        # asked after the last frame: half a render of old masks and half of new ones would look
        # whole
        if self._fingerprint() != self._opened:
            raise WorkspaceError(
                f"masks in {self.clip.masks_folder} have been changed by another run",
                hint="run it again once that is done",
            )

    def _fingerprint(self) -> int:
        """A number that changes with the files of the frames that are done.

        Files that another run adds do not count. The order in which a system lists files differs,
        so their hashes are combined by XOR.
        """
        combined, done = 0, self._done_numbers()
        softs = map(self.clip.soft_folder, self.manifest.objects) if self.is_soft else ()
        for folder in (self.clip.masks_folder, *softs):
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    stem = entry.name.removesuffix(".png")
                    if stem.isdecimal() and (number := int(stem)) in done:
                        stat = entry.stat()
                        # masks are replaced by renames, so another mask is another inode
                        file = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
                        combined ^= hash((str(folder), number, *file))
        return combined

    def _done_numbers(self) -> set[int]:
        """The numbers of the frames that are done, as their files are named."""
        return set(map(self.manifest.timeline.number, self._done))

    @property
    def is_soft(self) -> bool:
        """Whether these masks were made together with every object's probability."""
        return self.manifest.is_soft

    def soft(self, object_id: int, frame_index: int) -> Soft:
        """The probability of one object on a frame that has a mask: uint8 (H, W), 255 = certain.

        Raises:
            WorkspaceError: the file is lost or damaged.
        """
        return load_soft(self.clip.soft_path(object_id, self.manifest.timeline.number(frame_index)))

    def check_soft(self, object_ids: Iterable[int]) -> None:
        """Check, without reading any, that every frame with a mask has these objects' files.

        Raises:
            WorkspaceError: a file is missing, or the masks were made without probabilities.
        """
        if not self.is_soft:
            raise WorkspaceError(
                f"{self.clip.folder} holds no soft results",
                hint=f"make them: {command('segment', soft=True, fresh=True)}",
            )
        # of a frame whose mask is lost too, `check_masks` speaks
        wanted = self._done_numbers() & frame_numbers(self.clip.masks_folder)
        for object_id in object_ids:
            lost = sorted(wanted - frame_numbers(self.clip.soft_folder(object_id)))
            if lost:
                raise WorkspaceError(
                    f"{len(lost)} soft results are missing, the first is"
                    f" {self.clip.soft_path(object_id, lost[0])}",
                    hint=(
                        f"run {command('segment', soft=True, resume=True)} to make them again,"
                        f" or render with {option('soft_edges', False)}"
                    ),
                )
