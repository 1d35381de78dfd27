"""What the program says is so: help, hints, notes of packages, exit codes, and what is read back
hostile or damaged.
"""

from __future__ import annotations

import json
import shlex
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
import typer
from support.command_line import CommandLine, paint, two_objects
from typer.core import TyperOption

from vfx_matte.cli import program
from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import InputError, UsageError, WorkspaceError
from vfx_matte.media.probe import probe
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.pipeline.clip import require_table_place
from vfx_matte.pipeline.export.facts import foreign_file
from vfx_matte.pipeline.export.frame_map_check import load_map
from vfx_matte.pipeline.next_steps import frame_command
from vfx_matte.pipeline.render.encoding import EncodeOptions, encoding_for
from vfx_matte.pipeline.render.request import with_edges
from vfx_matte.programs.notes import ListedFile, import_note
from vfx_matte.programs.registry import program_named
from vfx_matte.settings.options import MatteSettings
from vfx_matte.wording import spelled
from vfx_matte.workspace import Workspace

COMMANDS = (
    "greenback",
    "alpha",
    "maskvideo",
    "overlay",
    "conform",
    "suggest",
    "qc",
    "keytest",
    "probe",
    "frame",
)


# ---------------------------------------------------------------- help


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("package", ("-o names a FOLDER", "workspace/CLIP/package-PROGRAM")),
        ("conform", ("-o names a FOLDER", "workspace/CLIP/conform")),
        ("verify", ("The clip it was rendered from",)),
    ],
)
def test_help_says_what_an_option_takes(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("TERMINAL_WIDTH", "250")
    said = " ".join(cli(name, "--help").stdout.split())
    assert all(word in said for word in words), said


# ---------------------------------------------------------------- the note of a package


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "program", ["premiere", "aftereffects", "resolve", "finalcut", "capcut", "web"]
)
def test_a_note_tells_of_what_is_there(program: str, count: int, sound: bool) -> None:
    files = [ListedFile("source", "/a.mp4", "the source: as it is")]
    files += [
        ListedFile(kind, f"media/{kind}{n}.mov", kind)
        for kind in ("alpha", "maskvideo")
        for n in range(count)
    ]
    timelines: Any = {
        "xmeml": "a.xml",
        "fcpxml": "a.fcpxml",
        "resolve": "a.py",
        "aftereffects": "a.jsx",
    }
    note = import_note(
        program_named(program),
        name="a",
        edit=None,
        files=files,
        timelines=timelines,
        alpha="straight",
        sound=sound,
        remarks=(),
        spell=str,
    )
    steps = " ".join(note.split("-" * 76)[1].split())
    assert ("for each object" in steps) == (count > 1)
    assert ("sound" in steps) == (sound and not (program == "web" and count > 1))
    if program in ("premiere", "resolve"):
        assert ("2 to V4" in steps or "2 to 4" in steps) == (count > 1)
    assert "cut-out" not in import_note(
        program_named(program),
        name="a",
        edit=None,
        files=files[:1],
        timelines=timelines,
        alpha="straight",
        sound=sound,
        remarks=(),
        spell=str,
    )


# ---------------------------------------------------------------- words that are nearly right


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("formats", "premier"), "premiere"),
        (("segmnt", "clip.mp4"), "segment"),
        (("weights", "fech"), "fetch"),
        (("weights", "fetch", "XMem.pht"), "XMem.pth"),
        (("segment", "clip.mp4", "--first-mask", "mask.png", "--propagator", "buildin"), "builtin"),
        (("segment", "clip.mp4", "--first-mask", "mask.png", "--gaps", "holdd"), "hold"),
        (("segment", "clip.mp4", "--first-msk", "mask.png"), "--first-mask"),
        (("greenback", "--for", "premier"), "premiere"),
        (("greenback", "--edges", "guidd"), "guided"),
        (("greenback", "--codec", "libx246"), "libx264"),
        (("greenback", "--pixel-format", "yuv420"), "yuv420p"),
        (("maskvideo", "--style", "lumma"), "luma"),
        (("suggest", "--propagator", "buildin"), "builtin"),
        (("package", "--for", "premiere", "--media", "refrence"), "reference"),
    ],
)
def test_the_word_that_was_meant_is_asked_about(
    project: CommandLine, arguments: tuple[str, ...], meant: str
) -> None:
    ran = project.fails(*arguments, code=2)
    assert f"did you mean {meant}?" in ran.hint.replace("'", "")
    assert not ran.notes


def test_an_option_of_another_command_is_not_taken_for_a_misspelling(project: CommandLine) -> None:
    ran = project.fails("probe", "clip.mp4", "--fps", "24", code=2)
    assert ran.error == "no such option: --fps"
    assert ran.hint.removeprefix("see ").endswith(" probe --help")


# ---------------------------------------------------------------- what is not there


def test_what_is_not_there_ends_with_two(project: CommandLine) -> None:
    for name in COMMANDS:
        assert "no.mp4" in project.fails(name, "no.mp4", code=2).error, name
    for arguments in (
        ("segment", "no.mp4", "--first-mask", "mask.png"),
        ("segment", "clip.mp4", "--first-mask", "no.png", "--fresh"),
        ("mask", "no.mp4", "--box", "1,2,3,4"),
        ("package", "no.mp4", "--for", "web"),
        ("verify", "no.mp4", "--source", "clip.mp4"),
        ("verify", "clip.mp4", "--source", "no.mp4"),
        ("evaluate", "no", "workspace/clip"),
        ("greenback", "--background", "no.png"),
        ("probe", "no.%04d.png"),
        ("weights", "check", "no.pth"),
    ):
        assert "no" in project.fails(*arguments, code=2).error, arguments


@pytest.mark.parametrize(
    "arguments",
    [("probe", ""), ("greenback", "-o", ""), ("formats", " "), ("segment", "a", "--start", "")],
)
def test_an_empty_value_is_refused(cli: CommandLine, arguments: tuple[str, ...]) -> None:
    assert "empty" in cli.fails(*arguments, code=2).error


# ---------------------------------------------------------------- --quiet


def test_quiet_says_errors_and_paths_only(project: CommandLine) -> None:
    for arguments in (
        ("probe", "clip.mp4"),
        ("formats",),
        ("weights", "list"),
        ("evaluate", "workspace/clip", "workspace/clip"),
        ("segment", "clip.mp4", "--first-mask", "mask.png", "--colors"),
        ("frame", "clip.mp4", "-o", "frame.png"),
        ("evaluate", "workspace/clip", "workspace/clip", "--csv", "scores.csv"),
        ("suggest",),
    ):
        ran = project(*arguments, "-q")
        assert ran.stderr == "", arguments
        assert all(Path(line).is_file() for line in ran.stdout.splitlines()), (
            arguments,
            ran.stdout,
        )
    assert json.loads(project("probe", "clip.mp4", "-q", "--json").stdout)
    assert project.fails("formats", "x", "-q", code=2).error


# ---------------------------------------------------------------- soft edges


@pytest.mark.parametrize(
    ("method", "source"),
    [
        ("guided", "the picture and vfx-matte segment --soft"),
        ("median", "vfx-matte segment --soft"),
    ],
)
def test_the_notice_about_soft_edges_is_that_of_the_docs(
    method: Literal["guided", "median"], source: str
) -> None:
    said: list[str] = []
    store = SimpleNamespace(is_soft=True, check_soft=lambda _: None)
    clip = cast("Any", SimpleNamespace(store=store, object_ids=(1,)))
    reporter = cast("Any", SimpleNamespace(notify=said.append))
    assert with_edges(clip, MatteSettings(edges=method), reporter).soft_edges
    assert [spelled(line, as_typed) for line in said] == [
        f"edges are soft, from {source}; --no-soft-edges leaves it out"
    ]
    docs = " ".join(
        (Path(__file__).parents[2] / "docs" / "matting.md").read_text(encoding="utf-8").split()
    )
    assert '"edges are soft, from the picture and vfx-matte segment --soft"' in docs
    assert not with_edges(clip, MatteSettings(edges=method, soft_edges=False), reporter).soft_edges


# ---------------------------------------------------------------- places of results


def test_a_result_replaces_nothing_that_was_given(project: CommandLine) -> None:
    before = project.files()
    project.fails("frame", "clip.mp4", "-o", "mask.png", code=2)
    project.fails("frame", "clip.mp4", "-o", "workspace/clip/masks/new.png", code=2)
    project.fails("qc", "--csv", "clip.mp4", "-q", code=2)
    for place in (".", "..", "/", "sub/..", "clip.mp4", "mask.png"):
        ran = project.run("alpha", "-o", place)
        assert ran.code in (1, 2), place
        assert ran.error
    after = project.files()
    assert {name: after.get(name) for name in before if "manifest" not in name} == {
        name: content for name, content in before.items() if "manifest" not in name
    }
    assert not list(project.folder.rglob(".vfx-matte-*"))


def test_conform_goes_where_it_is_told_also_by_a_way_round(project: CommandLine) -> None:
    project("conform", "clip.mp4", "--outputs", "source", "-o", "sub/..", "--preset", "ultrafast")
    assert (project.folder / "frame_map.json").is_file()
    assert not list(project.folder.rglob(".vfx-matte-*"))


def test_a_table_replaces_tables_only(tmp_path: Path) -> None:
    for name in ("mask.png", "clip.mp4", "a.csv"):
        (tmp_path / name).write_text("")
    require_table_place(tmp_path / "a.csv")
    require_table_place(tmp_path / "new.png")
    for name in ("mask.png", "clip.mp4"):
        with pytest.raises(UsageError, match="another kind"):
            require_table_place(tmp_path / name)


# ---------------------------------------------------------------- commands in hints


def test_a_hint_quotes_names(cli: CommandLine, take: Callable[..., Path], clip: Path) -> None:
    name = "it's $(x).mp4"
    take(clip, name)
    ran = cli.fails("overlay", name, code=2)
    command = ran.hint.removeprefix("first run: ")
    assert shlex.split(command)[:3] == ["vfx-matte", "segment", name]
    assert shlex.split(spelled(frame_command(Path(name), 3), as_typed))[2] == name
    said: list[str] = []
    reporter = cast("Any", SimpleNamespace(notify=said.append))
    info = probe(Path(name), notify=said.append)
    encoding_for(
        "alpha",
        info=info,
        output=None,
        folder=Path(),
        usual="a",
        encode=EncodeOptions(target="premiere"),
        reporter=reporter,
    )
    (command,) = (line.split("better: ")[1] for line in said if "better: " in line)
    assert shlex.split(spelled(command, as_typed)) == [
        "vfx-matte",
        "conform",
        name,
        "--for",
        "premiere",
    ]


# ---------------------------------------------------------------- foreign files


def _with_reference(data: bytes, path: bytes) -> bytes:
    """A QuickTime file whose pictures lie, as it says, in another file: an alias in its
    "dref" box.
    """
    alias = b"\0\0\0\0" + struct.pack(">HHH", 0, 2, 0) + b"\x03vol".ljust(28, b"\0") + b"\0" * 12
    alias += (
        bytes([len(path)])
        + path.ljust(63, b"\0")
        + b"\0" * 16
        + struct.pack(">hh", 1, 1)
        + b"\0" * 16
    )
    alias += (
        struct.pack(">HH", 2, len(path))
        + path
        + b"\0" * (len(path) % 2)
        + struct.pack(">HH", 0xFFFF, 0)
    )
    entry = struct.pack(">I", len(alias) + 12) + b"alis" + b"\0\0\0\0" + alias
    start = data.index(b"dref") + 12
    (size,) = struct.unpack_from(">I", data, start)
    out = bytearray(data[:start] + entry + data[start + size :])
    at, end = 0, len(out)
    for wanted in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        while out[at + 4 : at + 8] != wanted:
            at += struct.unpack_from(">I", out, at)[0]
            assert at < end, wanted
        struct.pack_into(">I", out, at, struct.unpack_from(">I", out, at)[0] + len(entry) - size)
        at += 8
    return bytes(out)


def test_a_quicktime_reference_to_another_file_is_not_followed(
    cli: CommandLine, make_clip: Callable[..., Path]
) -> None:
    secret = make_clip("secret.mov")
    shutil.copy(secret, "secret.mov")
    Path("ref.mov").write_bytes(_with_reference(secret.read_bytes(), b"secret.mov"))
    assert "ref.mov" in cli.fails("probe", "ref.mov", code=1).error


def test_a_composition_playlist_is_refused(cli: CommandLine) -> None:
    text = '<?xml version="1.0"?>\n<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"/>'
    for name in ("CPL.xml", "a.mxf"):
        Path(name).write_text(text)
        assert "IMF" in cli.fails("probe", name, code=2).error


def test_a_name_that_is_a_pattern_is_only_a_name(tmp_path: Path) -> None:
    for name in ("a%03d.png", "a*.png", "a[1].png", "%s.png"):
        paint(tmp_path / name, two_objects())
        with open_input(tmp_path / name) as container:
            assert container.streams.video[0].frames in (0, 1)
    (tmp_path / "%0999999999d.png").write_bytes(b"x")
    with (
        pytest.raises(InputError, match="too many digits"),
        open_input(tmp_path / "%0999999999d.png"),
    ):
        pass


@pytest.mark.parametrize("fourcc", [b"zzzz", b"\0\0\0\0", b"\x1b[31"])
def test_an_unknown_codec_is_told_in_a_line(
    cli: CommandLine, make_clip: Callable[..., Path], fourcc: bytes
) -> None:
    Path("odd.mp4").write_bytes(
        make_clip("clip.mp4").read_bytes().replace(b"avc1", fourcc).replace(b"avcC", b"free")
    )
    for arguments in (
        ("probe", "odd.mp4"),
        ("segment", "odd.mp4", "--first-mask", "m.png"),
        ("conform", "odd.mp4"),
    ):
        assert "odd.mp4" in cli.fails(*arguments, code=1).error


# ---------------------------------------------------------------- what was written here and is read
# back

HOSTILE = ["[" * 50_000, "[]", "{}", "9" * 6000, "null", '"x"', "\0"]


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        json.dumps(
            {
                "rate": "1e999999999",
                "source_start_seconds": "0",
                "map": [0],
                "error_ms": [0],
                "lead": 0,
            }
        ),
        json.dumps(
            {"rate": "25", "source_start_seconds": "0", "map": [0], "error_ms": [1e300], "lead": 0}
        ),
        json.dumps(
            {
                "rate": "25",
                "source_start_seconds": "0",
                "map": [0, 1],
                "error_ms": [0],
                "lead": 0,
                "source_frames": 9,
                "files": {},
            }
        ),
        json.dumps(
            {
                "rate": "25",
                "source_start_seconds": "0",
                "map": [-1],
                "error_ms": [0],
                "lead": 0,
                "source_frames": 9,
                "files": {},
            }
        ),
    ],
)
def test_a_frame_map_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "frame_map.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"is not a (valid )?frame map") as caught:
        load_map(path)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("text", [*HOSTILE, '{"kind": "vfx-matte package", "files": 3}'])
def test_a_folder_with_a_damaged_manifest_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert foreign_file(tmp_path) == "manifest.json"


@pytest.mark.parametrize(
    "text", [*HOSTILE, '{"folder": "../..", "source": "a", "fingerprint": "b"}']
)
def test_a_damaged_record_of_the_last_clip_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / ".latest.json").write_text(text)
    with pytest.raises(WorkspaceError, match="cannot be read"):
        Workspace(tmp_path).latest()


# ---------------------------------------------------------------- an option given twice


def every_command(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401  click is Typer's own
    """(its words, the command) of the program as click has it."""
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from every_command(one, (*path, name))
        else:
            yield (*path, name), one


@pytest.mark.parametrize(
    ("words", "one"),
    list(every_command(typer.main.get_command(program()))),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_an_option_that_takes_one_value_is_not_given_two(
    cli: CommandLine,
    words: tuple[str, ...],
    one: Any,  # noqa: ANN401  see above
) -> None:
    """The last one would win silently; those that are repeated, and switches, are not meant."""
    options = [param for param in one.params if isinstance(param, TyperOption)]
    single = [param for param in options if not param.multiple and not param.is_flag]
    assert single, "all commands have --config at least"
    for param in single:
        name = max(param.opts, key=len)
        ran = cli.fails(*words, param.opts[0], "1", name, "2", code=2)
        assert ran.error == f"{name} is given 2 times, and takes one value"
    for param in options:
        if param not in single and param.name not in ("help", "version"):
            value = [] if param.is_flag else ["1"]
            ran = cli.run(*words, *[param.opts[0], *value] * 2, "--config", "none.ini")
            assert "times, and takes one value" not in ran.stderr
