"""The scripts of a package, run: one in a JavaScript engine with a small After Effects, the other
with a Resolve of our own.
"""

from __future__ import annotations

import json
import re
import types
from fractions import Fraction
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from support.timeline_readers import DATA

from vfx_matte.programs.edit import Clip, Edit, Media, Sound, VideoRate
from vfx_matte.programs.timelines.scripts import (
    CutOut,
    _extendscript_path,
    after_effects_script,
    resolve_script,
)

ODD = "狗 & #1 100% 'x'\u2028"
FRAMES = 250


def edit(
    folder: Path,
    *,
    fps: Fraction = Fraction(30000, 1001),
    objects: int = 1,
    source: Path | None = None,
) -> Edit:
    rate = VideoRate.of(fps)
    facts: dict[str, Any] = {"width": 1280, "height": 720, "rate": rate, "frame_count": FRAMES}
    sounding = Media(
        name=ODD, path=source or folder / f"media/{ODD}.mov", sound=(Sound(2, 48000),), **facts
    )
    cut = Media(
        name=f"{ODD} cut-out", path=folder / f"media/{ODD}-alpha.mov", alpha="straight", **facts
    )
    mattes = [
        Media(name=f"{ODD} matte {n}", path=folder / f"media/{ODD}-{n}.mov", **facts)
        for n in range(objects)
    ]
    clips = (
        (Clip(media=sounding, start=0, duration=FRAMES, with_sound=True),),
        (Clip(media=cut, start=0, duration=FRAMES),),
    )
    return Edit(name=ODD, rate=rate, width=1280, height=720, tracks=clips, bin=tuple(mattes))


# ---------------------------------------------------------------- After Effects


def after_effects(
    made: Edit, folder: Path, *, version: int = 23, **facts: object
) -> dict[str, Any]:
    """Run the script as After Effects would; facts: overrides of the mock's. Gives what it made."""
    dukpy = pytest.importorskip("dukpy")
    layers = [
        CutOut(f"cut {number}", made.tracks[0][0].media, one) for number, one in enumerate(made.bin)
    ]
    script = after_effects_script(made, folder=folder, layers=layers).decode("ascii")
    given = {
        "files": {
            str(one.path): {
                "fps": float(made.rate.fps),
                "duration": float(made.rate.seconds(FRAMES)),
                "hasAlpha": one.alpha != "none",
                "hasAudio": bool(one.sound),
            }
            for one in made.media
        },
        "script": f"{folder}/{ODD}.jsx".replace("%", "%25"),
        "version": version,
        "dialog": None,
    } | facts
    mock = (DATA / "after_effects_mock.js").read_text(encoding="utf-8")
    found: dict[str, Any] = dukpy.evaljs(
        f"var FACTS = {json.dumps(given)};\n{mock}\n{script}\nreport();"
    )
    return found


@pytest.mark.parametrize("version", [22, 23])
@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize("fps", ["24000/1001", "25", "30000/1001", "60"])
def test_after_effects_gets_an_exact_composition_with_its_track_matte(
    version: int, objects: int, fps: str
) -> None:
    folder = Path("/work/包 #2")
    made = edit(folder, fps=Fraction(fps), objects=objects)
    found = after_effects(made, folder, version=version)
    assert found["log"]["alerts"] == []
    assert found["log"]["undo"] == [f"begin vfx-matte: {ODD}", "end"]
    assert found["footage"] == [
        [str(one.path), one.name, "straight" if one.alpha == "straight" else "guess"]
        for one in made.media
    ]
    (comp,) = found["comps"]
    assert (comp["name"], comp["width"], comp["height"], comp["pixelAspect"], comp["start"]) == (
        ODD,
        1280,
        720,
        1,
        0,
    )
    assert comp["frameDuration"] == float(1 / Fraction(fps))
    assert comp["duration"] / comp["frameDuration"] == pytest.approx(FRAMES, rel=1e-14)
    assert comp["frameRate"] == pytest.approx(float(Fraction(fps)), rel=1e-15)
    source = str(made.tracks[0][0].media.path)
    stack = [[source, True, True, None]]  # at the bottom, with the sound
    for matte in made.bin:
        stack = [
            [str(matte.path), False, False, None],
            [source, True, False, [str(matte.path), "luma"]],
            *stack,
        ]
    assert comp["layers"] == stack
    assert found["log"]["viewer"] == ODD


def test_after_effects_looks_beside_the_script_first_then_where_the_file_was() -> None:
    made = edit(Path("/old/package"), source=Path("/footage/a b.mp4"))
    moved = {
        str(one.path).replace("/old/", "/new place/"): {
            "fps": 29.97,
            "duration": FRAMES / 29.97,
            "hasAlpha": True,
            "hasAudio": False,
        }
        for one in made.media
    }
    found = after_effects(
        made, Path("/old/package"), files=moved, script="/new%20place/package/x.jsx"
    )
    assert found["log"]["alerts"] == []
    assert [file for file, *_ in found["footage"]] == list(moved)


def test_after_effects_asks_for_a_file_that_is_nowhere_and_says_when_it_gets_none() -> None:
    folder = Path("/p")
    made = edit(folder)
    found = after_effects(made, folder, files={})
    assert found["log"]["asked"] == [f"Where is {made.media[0].path.name}?"]
    assert found["log"]["alerts"] == [f"vfx-matte:\nThere is no file {made.media[0].path.name}."]
    assert found["log"]["undo"][-1] == "end"
    assert found["comps"] == []


def test_after_effects_stacks_a_cut_out_with_alpha_where_there_is_no_matte() -> None:
    dukpy = pytest.importorskip("dukpy")
    folder = Path("/p")
    made = edit(folder, objects=0)
    source, cut = made.media
    script = after_effects_script(made, folder=folder, layers=[CutOut("cut out", cut)]).decode()
    files = {
        str(one.path): {
            "fps": 29.97,
            "duration": FRAMES / 29.97,
            "hasAlpha": True,
            "hasAudio": True,
        }
        for one in made.media
    }
    given = {"files": files, "script": "/p/x.jsx", "version": 23, "dialog": None}
    mock = (DATA / "after_effects_mock.js").read_text(encoding="utf-8")
    found = dukpy.evaljs(f"var FACTS = {json.dumps(given)};\n{mock}\n{script}\nreport();")
    assert found["log"]["alerts"] == []
    assert found["comps"][0]["layers"] == [
        [str(cut.path), True, False, None],
        [str(source.path), True, True, None],
    ]


def test_sound_that_is_longer_than_the_picture_is_no_fault() -> None:
    folder = Path("/p")
    made = edit(folder)
    facts = {
        "fps": float(made.rate.fps),
        "duration": float(made.rate.seconds(FRAMES)) + 1,
        "hasAlpha": True,
        "hasAudio": True,
    }
    assert (
        after_effects(made, folder, files={str(one.path): facts for one in made.media})["log"][
            "alerts"
        ]
        == []
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"fps": 25.0}, "read at 25 frames"), ({"duration": 8.0}, "expected 250 frames")],
)
def test_after_effects_says_when_it_reads_a_file_otherwise(
    wrong: dict[str, float], said: str
) -> None:
    folder = Path("/p")
    made = edit(folder)
    right = {
        "fps": float(made.rate.fps),
        "duration": float(made.rate.seconds(FRAMES)),
        "hasAlpha": False,
        "hasAudio": False,
    }
    files = {str(one.path): right for one in made.media}
    files[str(made.bin[0].path)] = right | wrong
    (alert,) = after_effects(made, folder, files=files)["log"]["alerts"]
    assert said in alert


def test_the_jsx_is_ascii_and_of_the_old_javascript_that_after_effects_speaks() -> None:
    folder = Path("/work/包")
    script = after_effects_script(edit(folder), folder=folder, layers=[]).decode("ascii")
    code = re.sub(r'"(?:[^"\\]|\\.)*"|//[^\n]*', '""', script)
    names = "const|let|class|await|async|JSON|Object\\.keys|forEach|map|filter|indexOf|trim"
    newer = rf"\b({names})\b|=>|`|\.\.\.|,\s*[\]}})]"
    assert re.findall(newer, code) == []


def test_extendscript_paths_of_windows_begin_with_the_drive() -> None:
    assert (
        _extendscript_path(PureWindowsPath(r"C:\My Clips\狗.mov")) == "/c/My%20Clips/%E7%8B%97.mov"
    )


# ---------------------------------------------------------------- Resolve


class Recorder:
    """An object of Resolve's: every call is noted, answers come from a table of method names."""

    def __init__(self, kind: str, calls: list[tuple[Any, ...]], answers: dict[str, Any]) -> None:
        self._kind, self._calls, self._answers = kind, calls, answers

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401
        if method.startswith("__"):
            raise AttributeError(method)

        def call(*arguments: Any) -> Any:  # noqa: ANN401
            self._calls.append((f"{self._kind}.{method}", *arguments))
            answer = self._answers[method]
            return answer(*arguments) if callable(answer) else answer

        return call


def fake_resolve(
    *, empty: bool = True, names: tuple[str, ...] = (), imported: bool = True, online: bool = True
) -> tuple[Recorder, list[tuple[Any, ...]]]:
    """A running Resolve with a project open; names: its timelines."""
    calls: list[tuple[Any, ...]] = []
    source = Recorder("item", calls, {})
    on_track = Recorder(
        "clip", calls, {"GetMediaPoolItem": source if online else None, "GetName": "clip"}
    )
    timeline = Recorder(
        "timeline", calls,
        {"GetItemListInTrack": [on_track], "GetEndFrame": 86400 + FRAMES, "GetStartFrame": 86400,
        "GetTrackCount": 2,
         "GetName": "made"},
    )  # fmt: skip
    root = Recorder("root", calls, {"GetClipList": [] if empty else ["clip"]})
    pool = Recorder(
        "pool", calls,
        {"GetRootFolder": root, "AddSubFolder": "folder", "SetCurrentFolder": True,
        "ImportMedia": ["item"],
         "ImportTimelineFromFile": timeline if imported else None},
    )  # fmt: skip
    others = [Recorder("other", calls, {"GetName": name}) for name in names]
    project = Recorder(
        "project", calls,
        {"GetMediaPool": pool, "GetTimelineCount": len(names), "SetSetting": True,
         "GetTimelineByIndex": lambda number: others[number - 1]},
    )  # fmt: skip
    manager = Recorder("manager", calls, {"GetCurrentProject": project})
    storage = Recorder("storage", calls, {"AddClipMattesToMediaPool": True})
    return (
        Recorder("resolve", calls, {"GetProjectManager": manager, "GetMediaStorage": storage}),
        calls,
    )


def run(made: Edit, folder: Path, resolve: object, *, at: Path | None = None) -> None:
    """Run the script as Resolve's menu does: with `resolve` there, in a file of the package."""
    script = resolve_script(
        made, folder=folder, timeline=folder / f"{ODD}.fcpxml", mattes=made.bin[:1]
    )
    space = {"resolve": resolve, "__file__": str((at or folder) / "x.py"), "__name__": "__main__"}
    exec(compile(script, "x.py", "exec"), space)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A package folder with empty files of an edit."""
    folder = tmp_path / "包 #2"
    (folder / "media").mkdir(parents=True)
    for one in edit(folder, objects=2).media:
        one.path.touch()
    (folder / f"{ODD}.fcpxml").touch()
    return folder


def test_resolve_imports_the_timeline_and_attaches_the_matte(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = edit(place, objects=2)
    resolve, calls = fake_resolve()
    run(made, place, resolve)
    named = [
        call
        for call in calls
        if call[0].split(".")[1] in ("SetSetting", "ImportTimelineFromFile", "ImportMedia")
    ]
    options = {"timelineName": ODD, "importSourceClips": False, "sourceClipsFolders": ["folder"]}
    assert named == [
        ("project.SetSetting", "timelineFrameRate", "29.97"),
        ("pool.ImportMedia", [str(one.path) for one in made.media if one is not made.bin[0]]),
        ("pool.ImportTimelineFromFile", str(place / f"{ODD}.fcpxml"), options),
    ]
    ((_, item, mattes),) = [call for call in calls if call[0] == "storage.AddClipMattesToMediaPool"]
    assert isinstance(item, Recorder)
    assert mattes == [str(made.bin[0].path)]
    assert capsys.readouterr().out == f"made: {FRAMES} frames, 2 video tracks\n"


def test_resolve_says_when_a_clip_is_offline(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resolve, calls = fake_resolve(online=False)
    run(edit(place, objects=2), place, resolve)
    said = capsys.readouterr().out
    assert "clip is offline" in said
    assert "the matte was not attached" in said
    assert not [call for call in calls if call[0] == "storage.AddClipMattesToMediaPool"]


def test_resolve_leaves_a_project_with_work_in_it_as_it_is(place: Path) -> None:
    resolve, calls = fake_resolve(empty=False, names=(ODD, f"{ODD} 2"))
    run(edit(place, objects=2), place, resolve)
    assert not [call for call in calls if call[0] == "project.SetSetting"]
    (options,) = [call[2] for call in calls if call[0] == "pool.ImportTimelineFromFile"]
    assert options["timelineName"] == f"{ODD} 3"


def test_resolve_finds_a_moved_package(place: Path, tmp_path: Path) -> None:
    made = edit(tmp_path / "gone", objects=2)
    resolve, calls = fake_resolve()
    run(made, tmp_path / "gone", resolve, at=place)
    (path,) = [call[1] for call in calls if call[0] == "pool.ImportTimelineFromFile"]
    assert path == str(place / f"{ODD}.fcpxml")


def test_resolve_says_what_is_missing(tmp_path: Path, place: Path) -> None:
    resolve, calls = fake_resolve()
    with pytest.raises(SystemExit, match="not found"):
        run(edit(tmp_path / "gone"), tmp_path / "gone", resolve)
    assert not [call for call in calls if call[0] == "pool.ImportTimelineFromFile"]
    resolve, _ = fake_resolve(imported=False)
    with pytest.raises(SystemExit, match="could not be imported"):
        run(edit(place, objects=2), place, resolve)


def test_a_shell_asks_resolve_for_itself(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, calls = fake_resolve()
    module = types.ModuleType("DaVinciResolveScript")
    module.scriptapp = lambda name: resolve if name == "Resolve" else None  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "DaVinciResolveScript", module)
    run(edit(place, objects=2), place, None)
    assert [call for call in calls if call[0] == "pool.ImportTimelineFromFile"]
