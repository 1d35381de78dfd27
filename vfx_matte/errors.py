"""Every error a door has to handle, in one tree.

Each has a message and, where something helps, a hint.

VfxMatteError            exit 1: the work could not be done
├── UsageError           exit 2: the request itself is wrong (option, mask, frame number)
│   ├── MaskError        a mask picture that cannot be used on this clip
│   │   └── NothingFoundError  exit 1: the marks are right, and no subject is found by them
│   ├── ConfigError      config.ini says something this program cannot follow
│   └── WorkspaceError   a workspace that holds other work, or none
├── MediaError           a clip that cannot be read or written
│   ├── InputError       exit 2: no clip (not there, a folder, a pipe, a playlist)
│   └── OutputError      an output that cannot be written (folder, disk, encoder)
├── VerifyError          an output that differs from what its source demands
├── QualityError         masks of which more frames stand out than was allowed
├── BatchError           a batch of which some clips, or a clip of which some parts, failed
├── PropagatorError      a propagator that cannot run here (weights, packages)
├── WeightsError         a weights file that cannot be fetched or is not what it should be
├── DeviceError          a device that was asked for and is not usable
└── StoppedError         work that somebody ended
"""

from __future__ import annotations

from vfx_matte.wording import Spelling, as_python, spelled


def install_hint(extra: str) -> str:
    """The hint where a package is missing that an extra of pyproject.toml installs."""
    return f"in the vfx-matte folder: pip install -e '.[{extra}]'"


def beyond_control(error: BaseException) -> tuple[str, str] | None:
    """Message and hint for what a machine, and no request, has come to: a file, the disk, memory.

    Args:
        error: what Python or a library raised; None is given back for a bug.
    """
    if isinstance(error, MemoryError):
        return "this machine has no memory left for it", "close what else runs, and try again"
    if isinstance(error, OSError):
        name = f"{str(error.filename)!r}: " if error.filename is not None else ""
        return (
            f"{name}{error.strerror or type(error).__name__}",
            "check the file, its folders and the disk",
        )
    return None


class VfxMatteError(Exception):
    """Base of all errors that vfx-matte raises on purpose.

    Args:
        message: one line, showing the bad value and what was expected.
        hint: one line that says what to do next; empty when there is nothing useful to say.

    Both may name options and commands (`vfx_matte.wording`); doors spell them.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return spelled(self.message, as_python)

    def spell(self, spelling: Spelling) -> None:
        """Write what message and hint name as a door writes it."""
        # once, at the door: spelled text has no marks left, so doing it again changes nothing
        self.message, self.hint = spelled(self.message, spelling), spelled(self.hint, spelling)


class UsageError(VfxMatteError):
    """The request cannot be followed as given (exit code 2)."""

    exit_code = 2


class MaskError(UsageError):
    """A mask picture that cannot be used: unreadable, empty, of another shape, or for a frame that
    is not there.
    """


class NothingFoundError(MaskError):
    """No subject is found by marks that are right as such (exit code 1, as nothing was misused)."""

    exit_code = 1


class ConfigError(UsageError):
    """config.ini holds an unknown section, key or value."""


class WorkspaceError(UsageError):
    """A workspace whose contents do not fit the request."""


class MediaError(VfxMatteError):
    """A clip that cannot be read."""


class InputError(MediaError, UsageError):
    """What was given as a clip is none: not there, a folder, a pipe, a list of other files (exit
    code 2).
    """


class OutputError(MediaError):
    """An output that cannot be written."""


class VerifyError(VfxMatteError):
    """An output that differs from its source in time, sound or colour."""


class QualityError(VfxMatteError):
    """Masks of which more frames stand out than a script allows."""


class BatchError(VfxMatteError):
    """Some clips of a batch, or some parts of a clip, failed; the others are done."""


class PropagatorError(VfxMatteError):
    """A propagator that cannot run on this machine."""


class WeightsError(VfxMatteError):
    """A weights file that cannot be fetched, or is not what it should be."""


class DeviceError(VfxMatteError):
    """The device that was asked for is not usable."""


class StoppedError(VfxMatteError):
    """The work was ended by somebody who asked for it; what is finished is kept."""
