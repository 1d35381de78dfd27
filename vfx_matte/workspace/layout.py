"""Where each file of a clip lies.

One folder holds all results for one clip: masks, probabilities, the manifest and rendered outputs.
A name in the `layout` is only a path; nothing is created before it is needed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.numbering import parse_pattern
from vfx_matte.printable import without_unprintable

_RESERVED = frozenset(
    {
        "CON",
        "PRN",
        "AUX",
        "NUL",
        *(f"{name}{digit}" for name in ("COM", "LPT") for digit in range(1, 10)),
    }
)
"""Names of devices, which Windows opens instead of a file of that name."""

_SEPARATORS = "._- "
"""Characters between the name of a sequence and the numbers of its pictures."""

# leaves room for file names below Windows' 260 characters and Linux's 255 bytes
_LONGEST_NAME_BYTES = 120


def clip_name(source: Path) -> str:
    """The folder name of a clip: its stem, safe on every system.

    Unicode is kept (NFC). Characters that Windows forbids or a terminal obeys, bytes that are not
    UTF-8, leading dots and dashes and trailing dots and spaces become "_" or go; reserved device
    names get a "_" in front.

    Args:
        source: a file, a folder of pictures (its name counts), or a numbered pattern:
            plate.%04d.png and plate.####.png → "plate".
    """
    stem = source.resolve().name if source.is_dir() else source.stem
    try:
        pattern = None if source.exists() else parse_pattern(source.name)
    except UsageError:
        # "@0@.mp4" has two places for a number: an error for whoever opens it, not for its name
        pattern = None
    if pattern is not None:
        parts = (
            pattern.head.strip(_SEPARATORS),
            Path(f"x{pattern.tail}").stem[1:].strip(_SEPARATORS),
        )
        # "%04d.png" has no name of its own: its folder has one
        stem = "_".join(filter(None, parts)) or source.absolute().parent.name
    # NFC first: macOS hands out names in parts (NFD), and one clip must not have two folders
    name = re.sub(
        r'[<>:"/\\|?*]', "_", without_unprintable(unicodedata.normalize("NFC", stem))
    ).lstrip(". ")
    # cut between characters, not in the middle of one
    name = name.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore").rstrip(". ")
    if name.startswith("-") or name.partition(".")[0].upper() in _RESERVED:
        name = f"_{name}"
    return name or "clip"


@dataclass(frozen=True, slots=True)
class ClipLayout:
    """The paths of one clip's files.

    Files are named after a frame's number (`Timeline.number`): of a sequence the picture's own, of
    another clip the frame index.
    """

    folder: Path
    """The clip's folder in the workspace."""

    @property
    def manifest_path(self) -> Path:
        """The manifest."""
        return self.folder / "manifest.json"

    @property
    def masks_folder(self) -> Path:
        """The folder of masks."""
        return self.folder / "masks"

    def mask_path(self, number: int) -> Path:
        """The mask of one frame: a palette PNG, index = object id."""
        return self.masks_folder / f"{number:07d}.png"

    def soft_folder(self, object_id: int) -> Path:
        """The folder of one object's probabilities.

        It lies inside of the masks' folder, so that one rename replaces both.
        """
        return self.masks_folder / "soft" / str(object_id)

    def soft_path(self, object_id: int, number: int) -> Path:
        """The probability of one object on one frame: an 8-bit gray PNG, 255 = certain; a 1-bit
        black one says "nowhere on this frame".
        """
        return self.soft_folder(object_id) / f"{number:07d}.png"

    @property
    def previous_masks_folder(self) -> Path:
        """The masks that the latest fresh or updating run replaced: one generation is kept."""
        # one generation: masks of a long clip are gigabytes, and what is two runs old is rarely
        # missed
        return self.folder / "masks.previous"

    @property
    def previous_manifest_path(self) -> Path:
        """The manifest of the masks in `previous_masks_folder`."""
        return self.folder / "manifest.previous.json"

    @property
    def states_folder(self) -> Path:
        """What the walks of a run knew that is going on or was stopped (`walk_states`)."""
        return self.folder / ".walks"

    @property
    def looks_folder(self) -> Path:
        """What a detector saw in the frames that it was shown, for a search that was stopped."""
        return self.folder / ".looks"

    @property
    def references_folder(self) -> Path:
        """The reference masks of the studio and of `detect`, named after their frames as masks are:
        what `segment` takes as its folder of masks.
        """
        return self.folder / "references"

    @property
    def previous_references_folder(self) -> Path:
        """The reference masks that the latest fresh detection replaced; older ones are beside it
        with a number, references.previous-2.
        """
        return self.folder / "references.previous"

    def holds_masks(self, path: Path) -> bool:
        """Whether a path is, or lies in, one of the folders of masks and references, which need not
        be there: other results do not go there.
        """
        place, folder = path.resolve(), self.folder.resolve()
        if folder not in place.parents:
            return False
        top = place.relative_to(folder).parts[0]
        kept = (
            self.masks_folder,
            self.previous_masks_folder,
            self.references_folder,
            self.imported_folder,
        )
        # older references have a number behind the name
        return top in {one.name for one in kept} or top.startswith(
            self.previous_references_folder.name
        )

    @property
    def detected_folder(self) -> Path:
        """What `detect` says about the objects that it found."""
        return self.folder / "detected"

    @property
    def imported_folder(self) -> Path:
        """The masks of another program's file, named after their frames: what `segment` takes as
        its folder of masks.
        """
        return self.folder / "imported"

    @property
    def studio_folder(self) -> Path:
        """What the studio needs for undo, and its cuts."""
        return self.folder / "studio"

    @property
    def lock_path(self) -> Path:
        """The lock that a run holds."""
        return self.folder / ".segment.lock"


def frame_numbers(folder: Path) -> set[int]:
    """The numbers of the frames that a folder of masks or probabilities has files for."""
    try:
        return {
            int(path.stem)
            for path in folder.glob("*.png")
            if path.stem.removeprefix("-").isdecimal()
        }
    except OSError:  # no folder, or one that cannot be read: no file can be had from it
        return set()
