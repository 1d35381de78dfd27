"""Foreign files and text at the door: nothing else is opened, nothing is obeyed, nothing waits or
grows without bound.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import (
    ConfigError,
    InputError,
    MaskError,
    MediaError,
    OutputError,
    UsageError,
    WeightsError,
    WorkspaceError,
)
from vfx_matte.files.inputs import require_file
from vfx_matte.media.readers.demuxers import DEMUXERS, open_input
from vfx_matte.printable import (
    json_text,
    printable,
    shell_command,
    spreadsheet_cell,
    without_folders,
)
from vfx_matte.settings import ini
from vfx_matte.settings.options import OverlaySettings
from vfx_matte.weights.files import check_container, fingerprint
from vfx_matte.weights.table import read_table
from vfx_matte.workspace import clip_name
from vfx_matte.workspace.files import load_mask, load_soft
from vfx_matte.workspace.lock import WriterLock
from vfx_matte.workspace.manifest import load_manifest

LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\n{secret}\n#EXT-X-ENDLIST\n",
    "live hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\n{secret}\n",
    "ffconcat": "ffconcat version 1.0\nfile {secret}\n",
    "dash": (
        '<?xml version="1.0"?>\n<MPD'
        ' xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{secret}</BaseURL></MPD>\n'
    ),
    "sdp": (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    ),
}


@pytest.mark.parametrize("ending", ["mp4", "mkv", "m3u8"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_other_files_opens_none_of_them(
    make_clip: Callable[..., Path], kind: str, ending: str
) -> None:
    secret = make_clip("secret.ts")
    path = secret.with_name(f"a.{ending}")
    # beside it: no reader thinks such a name unsafe
    path.write_text(LISTS[kind].format(secret=secret.name))
    with pytest.raises(InputError, match="never opened") as caught, open_input(path):
        pass
    assert caught.value.exit_code == 2


def test_formats_that_name_other_files_are_not_let_in() -> None:
    outside = "hls dash concat sdp rtsp rtp imf lavfi image2 mlv vobsub tty webm_dash_manifest"
    assert not DEMUXERS & set(outside.split())


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:9/a.mp4", "subfile,,start,0,end,9,,:a", "concat:a|b", "crypto:a"]
)
def test_an_address_is_only_a_name(name: str) -> None:
    with pytest.raises(InputError, match="there is no file"), open_input(Path(name)):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_what_is_no_file_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull), tmp_path):
        with pytest.raises(InputError), open_input(path):
            pass
        with pytest.raises(ConfigError):
            ini.load(path)
        with pytest.raises(UsageError):
            require_file(path, what="thing")
    with pytest.raises(UsageError):
        require_file(tmp_path / ("a" * 300), what="thing")
    with pytest.raises(MediaError), open_input(tmp_path / ("a" * 300)):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_among_our_own_files_are_told_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(MaskError, match="a named pipe"):
        load_mask(pipe)
    with pytest.raises(WorkspaceError, match="a named pipe"):
        load_soft(pipe)
    with pytest.raises(WeightsError, match="a named pipe"):
        fingerprint(pipe)
    with pytest.raises(WeightsError, match="a named pipe"):
        check_container(pipe)
    with pytest.raises(OutputError, match="not a file"):
        WriterLock(pipe)


def test_text_that_would_be_obeyed_is_shown() -> None:
    assert printable("a\x1b[31m\nb\x9b\u202ec\udce9") == "a\\x1b[31m\\nb\\u009b\\u202ec\\xe9"
    assert printable("跳舞 é 👩‍🚀 [red] <b>") == "跳舞 é 👩‍🚀 [red] <b>"
    facts = {"name": "é\x1b\x7f\u202e\udce9\n"}
    assert json.loads(json_text(facts)) == facts
    assert "\x7f" not in json_text(facts, indent=1)
    assert (spreadsheet_cell("=1+1"), spreadsheet_cell("clip")) == ("'=1+1", "clip")
    assert clip_name(Path("a\x1b\udce9b.mp4")) == "a__b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'/home/ann lee/it.mp4' is damaged", "'…/it.mp4' is damaged"),
        ("\"/home/o'neil/it's.png\" is gone", '"…/it\'s.png" is gone'),
        ("[Errno 2] No such file: '/srv/a/'", "[Errno 2] No such file: '…/a'"),
        ("in '/a' and '/b/c'", "in '…/a' and '…/c'"),
        (r"'C:\\Users\\ann\\a.mp4' and 'D:/x y/b'", "'…/a.mp4' and '…/b'"),
        (r"'\\\\host\\share\\a.mp4' is empty", "'…/a.mp4' is empty"),
        (
            "cannot open /srv/model/net.pth: denied (/etc/x.conf)",
            "cannot open …/net.pth: denied (…/x.conf)",
        ),
        ("--model=/srv/model", "--model=…/model"),
        ("give shots/a.mp4 at http://127.0.0.1:8000/v1/x, 3/4 or a/b", None),
        ("file:///etc/passwd is no file of this server", None),
        ("'…/a' and '../a' and POST /v1", None),
    ],
)
def test_a_message_for_others_has_no_folders(text: str, shown: str | None) -> None:
    assert without_folders(text) == (shown or text)


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    "name", ["$(touch x)", "it's", "a b", "-dash", "a\x1b[31m'\\b", "x\ny", "跳舞"]
)
def test_a_command_means_its_name(name: str) -> None:
    line = shell_command(["printf", "%s", Path(name)], windows=False)
    assert printable(line) == line
    shown = subprocess.run(["bash", "-c", line], capture_output=True, check=True, timeout=20).stdout
    assert os.fsdecode(shown) == (f"./{name}" if name.startswith("-") else name)


def test_powershell_gets_its_own_quoting() -> None:
    assert shell_command(["a", "it's $x"], windows=True) == "a 'it''s $x'"


@pytest.mark.parametrize("text", ["nan", "inf", "9" * 5000, "1e999999", "-1", "2"])
def test_numbers_of_options_and_ini_are_in_range(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.ini").write_text(f"[overlay]\nalpha = {text}\n")
    with pytest.raises(UsageError, match="expected"):
        ini.load(tmp_path / "c.ini")
    if len(text) < 4:
        with pytest.raises(UsageError, match="alpha is"):
            OverlaySettings().overridden(alpha=float(text))


def test_a_near_word_is_asked_about() -> None:
    assert (
        "did you mean premiere?" in unknown_choice("program", "premier", ("premiere", "web")).hint
    )


@pytest.mark.parametrize(
    "text", ["[" * 50_000, '{"schema_version":' + "9" * 6000 + "}", "[]", "{}"]
)
def test_a_hostile_manifest_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(WorkspaceError, match="damaged"):
        load_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    "text",
    [
        "weights=" + "[" * 50_000,
        '[[weights]]\nname="a"\nsize_bytes=' + "9" * 6000,
        f'[[weights]]\nname="{"x" * 300}"',
    ],
)
def test_a_hostile_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "weights.toml").write_text(text)
    with pytest.raises(ConfigError):
        read_table(tmp_path)
