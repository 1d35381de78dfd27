"""Weights that are folders of files: fetched together, verified, listed, and damaged ones named."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import struct
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_line import CommandLine

from vfx_matte.errors import ConfigError, WeightsError
from vfx_matte.pipeline.weights import require_known_checksum
from vfx_matte.weights import check_description, check_tensors, files_of, read_table

pytestmark = pytest.mark.usefixtures("direct")

FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
FOLDER = Path("model/tiny")


def tensors(values: bytes = b"12345678") -> bytes:
    """A file of safetensors with two tensors."""
    half = len(values) // 2
    shape = {"dtype": "U8", "shape": [half]}
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "b": {**shape, "data_offsets": [half, 2 * half]},
            "a": {**shape, "data_offsets": [0, half]},
        }
    ).encode()
    return struct.pack("<Q", len(header)) + header + values


@pytest.fixture
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    (folder / "config.json").write_text('{"model_type": "sam2_video"}')
    (folder / "preprocessor_config.json").write_text('{"size": 64}')
    (folder / "model.safetensors").write_bytes(tensors())
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(cli: CommandLine, published: Path) -> Iterator[Path]:
    """A server of the folder, which the table of the model folder names."""
    handler = functools.partial(Quiet, directory=str(published))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        Path("model").mkdir()
        Path("model/weights.toml").write_text(
            f"""[[weights]]
name = "tiny"
url = "http://127.0.0.1:{server.server_port}/"
files = {json.dumps(FILES)}
about_megabytes = 0.01
licence = "Apache-2.0"
purpose = "for tests"
"""
        )
        yield published
        server.shutdown()


def state(cli: CommandLine) -> str:
    listed = json.loads(cli("weights", "list", "--json").stdout)
    (one,) = [entry for entry in listed if entry["name"] == "tiny"]
    assert not [entry for entry in listed if "/" in entry["name"]]
    found: str = one["state"]
    return found


def recorded() -> dict[str, str]:
    entries = tomllib.loads(Path("model/weights.toml").read_text())["weights"]
    return {entry["name"]: entry["sha256"] for entry in entries if "sha256" in entry}


def test_a_folder_is_fetched_recorded_listed_and_verified(cli: CommandLine, mirror: Path) -> None:
    assert state(cli) == "missing"
    ran = cli("weights", "fetch", "tiny")
    assert "Apache-2.0" in ran.stdout
    assert "2 tensors, whole" in ran.stdout
    for name in FILES:
        content = (mirror / name).read_bytes()
        assert (FOLDER / name).read_bytes() == content
        assert recorded()[f"tiny/{name}"] == hashlib.sha256(content).hexdigest()
    assert state(cli) == "verified"
    again = cli("weights", "fetch", "tiny")
    assert "was there already, nothing downloaded" in again.stdout
    checked = cli("weights", "check", "tiny")
    assert checked.stdout.count("checksum") == 3
    require_known_checksum(FOLDER)


def test_what_is_missing_of_a_folder_is_fetched_and_the_rest_is_left(
    cli: CommandLine, mirror: Path
) -> None:
    cli("weights", "fetch", "tiny")
    (FOLDER / "model.safetensors").unlink()
    before = (FOLDER / "config.json").stat().st_mtime_ns
    assert state(cli) == "partial"
    cli("weights", "fetch", "tiny")
    assert (FOLDER / "config.json").stat().st_mtime_ns == before
    assert state(cli) == "verified"


def test_a_file_that_was_changed_is_named_everywhere(cli: CommandLine, mirror: Path) -> None:
    cli("weights", "fetch", "tiny")
    (FOLDER / "model.safetensors").write_bytes(tensors(b"87654321"))
    assert state(cli) == "differs"
    checked = cli.run("weights", "check")
    assert (checked.code, "model/tiny/model.safetensors differs" in checked.error) == (1, True)
    fetched = cli.fails("weights", "fetch", "tiny", code=1)
    assert "is there already, but its sha256 is" in fetched.error
    assert "empty sha256 of tiny/model.safetensors in model/weights.toml" in fetched.stderr
    with pytest.raises(WeightsError, match=r"model/tiny/model\.safetensors differs"):
        require_known_checksum(FOLDER)
    cli("weights", "fetch", "tiny", "--force")
    assert state(cli) == "verified"


def test_a_file_that_is_cut_off_or_a_web_page_is_kept_under_another_name(
    cli: CommandLine, mirror: Path
) -> None:
    for content in (tensors()[:-1], b"<html>sign in</html>", b""):
        (mirror / "model.safetensors").write_bytes(content)
        ran = cli.fails("weights", "fetch", "tiny", code=1)
        assert "is not a file of safetensors" in ran.error
        assert not (FOLDER / "model.safetensors").exists()
        assert (FOLDER / "model.safetensors.rejected").is_file()


def test_a_web_page_in_the_place_of_a_description_is_refused(
    cli: CommandLine, mirror: Path
) -> None:
    (mirror / "config.json").write_bytes(b"<html>sign in</html>")
    ran = cli.fails("weights", "fetch", "tiny", code=1)
    assert "is not a description of a network" in ran.error
    assert "model/tiny/config.json.rejected" in cli.files("model")


def test_how_pictures_are_prepared_need_not_be_published(cli: CommandLine, mirror: Path) -> None:
    (mirror / "preprocessor_config.json").unlink()
    ran = cli("weights", "fetch", "tiny")
    assert "tiny/preprocessor_config.json is not published there: what is usual" in ran.stderr
    assert state(cli) == "verified"
    (mirror / "model.safetensors").unlink()
    (FOLDER / "model.safetensors").unlink()
    assert "404" in cli.fails("weights", "fetch", "tiny", code=1).error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('files = ["../evil"]', r"files holds '\.\./evil', expected file names"),
        ("files = [3]", "files holds '3'"),
        ('files = "config.json"', "files is 'config.json', expected a list"),
        (f'files = ["a.json"]\nsha256 = "{"ab" * 32}"', "a folder has no sha256"),
        ('files = ["a.json"]\nname = "x/y"', "name is 'x/y'"),
    ],
)
def test_impossible_folders_are_named(tmp_path: Path, line: str, message: str) -> None:
    name = "" if "name =" in line else 'name = "x"\n'
    (tmp_path / "weights.toml").write_text(
        f'[[weights]]\n{name}url = "https://a"\nabout_megabytes = 1\nlicence = "l"\n'
        f'purpose = "p"\n{line}\n'
    )
    with pytest.raises(ConfigError, match=message):
        read_table(tmp_path)


def test_the_entries_of_a_folders_files() -> None:
    table = read_table(Path("nowhere"))
    first, *_, last = files_of(table["edgetam"], table)
    assert first.name == "edgetam/config.json"
    assert last.url.endswith("/EdgeTAM-hf/resolve/main/model.safetensors")
    assert last.licence == "Apache-2.0"


@pytest.mark.parametrize("content", [b"", b"1", b"\xff" * 9, struct.pack("<Q", 2) + b"{}"])
def test_what_is_no_file_of_tensors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not a file of safetensors"):
        check_tensors(path)
    with pytest.raises(WeightsError, match="is not a description"):
        check_description(path)
