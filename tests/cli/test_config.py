from __future__ import annotations

import configparser
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import ConfigError, UsageError
from vfx_matte.settings import ini
from vfx_matte.settings.options import MatteSettings

ROOT = Path(__file__).parents[2]


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "config.ini"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_config_that_comes_with_the_program_is_the_template_of_all_defaults() -> None:
    assert (ROOT / "config.ini").read_text(encoding="utf-8") == ini.template(as_typed)


def test_every_option_is_in_the_template_commented_out() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(ini.template(as_typed))
    assert all(not dict(parser[section]) for section in parser.sections())


def test_uncommenting_the_whole_template_changes_nothing(tmp_path: Path) -> None:
    text = "\n".join(
        line[1:] if line.startswith("#") and not line.startswith("# ") else line
        for line in ini.template(as_typed).splitlines()
    )
    loaded = ini.load(write(tmp_path, text))
    assert replace(loaded, file=None) == ini.Settings()


def test_without_a_file_everything_is_at_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ini.load() == ini.Settings()


def test_the_working_directory_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "[greenback]\nkey = blue\n")
    monkeypatch.chdir(tmp_path)
    assert ini.load().greenback.key == "blue"


def test_values_have_their_types(tmp_path: Path) -> None:
    text = (
        "[render]\nsound = no\n[overlay]\nquality = 12\ncodec = libx265\n[edges]\nfeather ="
        " 2.5\nmedian =\n[paths]\nworkspace = /a b/c\n"
    )
    loaded = ini.load(write(tmp_path, text))
    assert (loaded.render.sound, loaded.overlay.quality, loaded.overlay.codec) == (
        False,
        12,
        "libx265",
    )
    assert loaded.greenback.codec is None
    assert (loaded.edges.feather, loaded.edges.median, loaded.paths.workspace) == (
        2.5,
        None,
        Path("/a b/c"),
    )


def test_the_old_scripts_keys_name_the_clip_and_the_weights(tmp_path: Path) -> None:
    old = (
        "[config]\nsrc_file_name=跳舞\nsrc_file_ext=mov\nvideo_resize=480\n"
        "model_name=XMem-s012\nobject_num=2\nsome_old_key=1\n"
    )
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        loaded = ini.load(write(tmp_path, old.encode(encoding)))
        assert loaded.default_clip == Path("source/跳舞.mov")
        assert loaded.legacy == {"model_name": Path("model/XMem-s012.pth"), "video_resize": 480}
        assert loaded.config.object_num == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[nowhere]\nx = 1\n", "unknown section [nowhere]"),
        ("[edges]\nfeatherr = 1\n", "unknown key 'featherr'"),
        ("[edges]\nfeather = wide\n", "feather is 'wide', expected a number"),
        ("[render]\nsound = perhaps\n", "expected yes or no"),
        ("key = 1\n", "cannot be read"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ini.load(write(tmp_path, text))
    assert says in caught.value.message
    assert caught.value.exit_code == 2


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        ini.load(tmp_path / "none.ini")


def test_only_what_was_given_overrides() -> None:
    section = MatteSettings(feather=3.0).overridden(grow=2, feather=None)
    assert (section.feather, section.grow) == (3.0, 2)


@given(st.binary(max_size=200))
def test_any_bytes_are_settings_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.ini"
    path.write_bytes(content)
    with contextlib.suppress(ConfigError):
        ini.load(path)


def test_a_shrink_that_is_asked_for_beats_the_files_grow(tmp_path: Path) -> None:
    """As every option of the command line beats config.ini; only two that are asked for clash."""
    edges = ini.load(write(tmp_path, "[edges]\ngrow = 2\n")).edges
    assert edges.overridden(shrink=3) == MatteSettings(grow=-3) == MatteSettings(shrink=3)
    for both in ({"shrink": 3, "grow": 0}, {"shrink": 3, "grow": 1}):
        with pytest.raises(UsageError, match="grow and shrink exclude each other"):
            edges.overridden(**both)
