"""A new propagator is one file and one entry: everything else finds it in the registry."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.command_line import CommandLine, Ran, paint, two_objects
from support.source import modules, offences, strings_among

from vfx_matte.errors import UsageError
from vfx_matte.pipeline.propagator import PropagatorOptions, repeated_settings
from vfx_matte.propagate import registry
from vfx_matte.propagate.entry import PropagatorEntry
from vfx_matte.settings import ini
from vfx_matte.workspace import load_mask

PLUGIN = '''
"""A propagator that moves its masks to the right."""

from dataclasses import dataclass
from pathlib import Path

from vfx_matte.propagate.entry import PropagatorEntry, option
from vfx_matte.settings.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftOptions(Options):
    drift: int = option(1, "pixels per frame", metavar="PX", least=0, most=50)
    drift_weights: Path = option(Path("model/drift.bin"), "its weights", file="drift.bin")
    device: str = option("auto", "device to run on", recorded=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions(Options):
    cell: int = option(8, "side of a cell", least=1, most=64)
    device: str = option("auto", "device to run on", recorded=False)


ENTRY = PropagatorEntry(
    name="drifter",
    title="Drifter",
    implementation="drifter_walk:Drifter",
    options=DriftOptions,
    describer="drifter_walk:Describer",
    describer_options=CompareOptions,
    packages=("drifter_walk",),
    preference=5,
)
'''

WALK = """
import numpy as np

from vfx_matte.propagate.fake import FakePropagator


class Drifter(FakePropagator):
    def __init__(self, *, num_objects, drift, drift_weights, device):
        super().__init__(num_objects=num_objects)
        assert drift_weights.is_file()
        self.drift = drift

    def step(self, image, mask=None, *, last=False):
        if self._last is not None:
            self._last = np.roll(self._last, self.drift, axis=1)
        return super().step(image, mask, last=last)


class Describer:
    usual_candidates = 100

    def __init__(self, *, cell, device):
        self.cell = cell

    def describe(self, image, mask):
        return float(np.flatnonzero((mask == 1).any(axis=0)).mean())

    def distance(self, frame, known, *, alpha):
        return abs(frame - known) / self.cell
"""

PROGRAM = """
import sys

import vfx_matte.propagate.registry as registry
from drifter import ENTRY

registry.REGISTRY += (ENTRY,)

from vfx_matte.cli import main

sys.argv[0] = "vfx-matte"
main()
"""


@pytest.fixture
def drifting(
    cli: CommandLine,
    take: Callable[..., Path],
    clip: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Ran]:
    """The program with the propagator, in a working directory with clip.mp4 and m.png."""
    plugins = tmp_path_factory.mktemp("plugins")
    for name, text in (("drifter", PLUGIN), ("drifter_walk", WALK), ("program", PROGRAM)):
        (plugins / f"{name}.py").write_text(text, encoding="utf-8")
    take(clip)
    paint(cli.folder / "m.png", two_objects())
    (cli.folder / "model").mkdir()
    (cli.folder / "model/drift.bin").touch()
    path = f"{plugins}:{Path(__file__).parents[2]}"

    def run(*arguments: str | Path) -> Ran:
        command = [sys.executable, plugins / "program.py", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={"PYTHONPATH": path}
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def left_edges() -> list[int]:
    """The first column of object 1 in every mask."""
    files = sorted(Path("workspace/clip/masks").glob("*.png"))
    return [int(np.flatnonzero((load_mask(file) == 1).any(axis=0))[0]) for file in files]


@pytest.mark.slow
def test_one_file_and_one_entry_make_a_propagator(drifting: Callable[..., Ran]) -> None:
    """Chosen by name and by "auto", with options of its own, resumed, compared, repeated."""
    segment = ("segment", "clip.mp4", "--first-mask", "m.png")
    ran = drifting(*segment, "--propagator", "drifter", "--drift", "2")
    assert ran.code == 0, ran.stderr
    assert "Drifter propagator (as asked)" in ran.stderr
    moved = left_edges()
    assert moved == [moved[0] + 2 * index for index in range(len(moved))]
    settings = json.loads(Path("workspace/clip/manifest.json").read_text())["settings"]
    assert settings == {"memory": "permanent", "drift": 2, "drift_weights": "drift.bin"}
    # what was stopped goes on with the same settings, and with no others
    for number in range(len(moved) // 2, len(moved)):
        Path(f"workspace/clip/masks/{number:07d}.png").unlink()
    ran = drifting(*segment, "--resume")
    assert ran.code == 2, "drift is 1 by default"
    assert "setting drift" in ran.error
    ran = drifting(*segment, "--drift", "2", "--resume")
    assert ran.code == 0, ran.stderr
    assert "Drifter propagator, weights model/drift.bin; --propagator builtin" in ran.stderr
    assert left_edges() == moved
    # frames are compared as it compares them, and the ready command repeats its options
    ran = drifting("suggest", "clip.mp4", "--json", "-k", "1")
    assert ran.code == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["propagator"] == "drifter"
    last = len(moved) - 1
    assert found["suggestions"][0]["frame"] == last
    assert found["suggestions"][0]["distance"] == pytest.approx(2 * last / 8)
    again = json.loads(drifting("suggest", "clip.mp4", "--json", "--cell", "4", "-k", "1").stdout)
    assert again["suggestions"][0]["distance"] == pytest.approx(2 * last / 4)
    words = shlex.split(found["segment_command"])
    assert words[words.index("--propagator") + 1] == "drifter"
    assert words[words.index("--drift") + 1] == "2"


@pytest.mark.slow
def test_doors_offer_what_the_registry_holds(drifting: Callable[..., Ran]) -> None:
    for command, option in (("segment", "--drift"), ("suggest", "--cell")):
        told = " ".join(drifting(command, "--help").stdout.split())
        assert option in told
        assert "drifter" in told
    assert "#drift = 1" in drifting("config").stdout
    ran = drifting("segment", "clip.mp4", "--first-mask", "m.png", "--drift", "99")
    assert ran.code == 2
    assert "expected 0 to 50" in ran.stderr
    Path("model/drift.bin").unlink()
    ran = drifting("segment", "clip.mp4", "--first-mask", "m.png")
    assert ran.code == 0, ran.stderr
    assert "Drifter needs its weights at model/drift.bin" in ran.stderr
    ran = drifting("qc", "clip.mp4", "-q")
    assert ran.code == 0, ran.stderr
    report = Path(ran.stdout.split()[-1]).read_text(encoding="utf-8")
    assert "masks by the built-in propagator" in report


def test_names_of_propagators_stand_in_their_folders_alone() -> None:
    # the original XMem's way to remember references is an option of every propagator
    modes = "settings/options.py"
    # networks that also answer clicks are described once for both
    families = "segment_anything.py"
    names = {entry.name for entry in registry.REGISTRY}
    others = [
        module
        for module in modules()
        if not module.startswith("propagate/") and module not in (modes, families)
    ]
    assert offences(others, lambda source: strings_among(names, source)) == {}


def test_every_entry_is_whole() -> None:
    for entry in registry.REGISTRY:
        assert registry.registered(entry.name) is entry
        options = entry.chosen({})
        assert all(path.parent == Path("model") for path in entry.weights(options).values())
        assert entry.chosen({"weights": "elsewhere/x.pth", "nobody_has_this": 3}) is not None
    assert registry.FALLBACK in registry.REGISTRY
    assert not registry.missing(registry.FALLBACK, registry.FALLBACK.chosen({}))
    assert registry.names_text() == "auto, builtin, xmem, sam2 or edgetam"
    assert "fake" not in registry.offered_names()


def test_values_come_from_what_is_given_from_old_keys_and_from_the_model_folder() -> None:
    xmem = registry.registered("xmem")
    model = Path("nets")
    assert xmem.chosen({}, model=model).weights == Path("nets/XMem.pth")
    old = {"model_name": Path("nets/XMem-s012.pth"), "video_resize": 360}
    chosen = xmem.chosen({}, model=model, legacy=old)
    assert (chosen.weights, chosen.size) == (Path("nets/XMem-s012.pth"), 360)
    chosen = xmem.chosen({"weights": "mine.pth", "size": 0}, model=model, legacy=old)
    assert (chosen.weights, chosen.size) == (Path("mine.pth"), 0)
    builtin = registry.registered("builtin")
    networks = {True: Path("nets/u2netp.onnx"), False: None, None: None, "n.onnx": Path("n.onnx")}
    for given, expected in networks.items():
        assert builtin.chosen({"network": given}, model=model).network == expected
    assert builtin.chosen({}, model=model).network is None


def test_unknown_options_and_values_out_of_range_are_named() -> None:
    with pytest.raises(TypeError, match="'siz' is not an option of a propagator: device, flip"):
        PropagatorOptions(values={"siz": 3})
    with pytest.raises(UsageError, match="unknown memory 'short'") as caught:
        PropagatorOptions(memory="short")
    assert caught.value.hint == "it is one of permanent, xmem"
    with pytest.raises(UsageError, match="mem_every is 0, expected 1 to 100000"):
        PropagatorOptions(values={"mem_every": 0}).of(registry.registered("xmem"))
    with pytest.raises(UsageError, match=r"there is no file of U²-Netp at 'none\.onnx'"):
        PropagatorOptions(name="builtin", values={"network": "none.onnx"}).decided(lambda _: None)


def test_config_ini_holds_each_option_once() -> None:
    settings = ini.Settings()
    assert settings.propagation == {"network": True, "long_term": True, "flip": False}
    assert "size" not in settings.comparison


def test_an_option_of_two_propagators_is_offered_once() -> None:
    xmem = registry.registered("xmem")
    twin = PropagatorEntry(name="t", title="Twin", implementation="m:C", options=xmem.options)
    options = registry.offered_options([xmem, twin])
    assert (
        options["device"].metadata["explanation"]
        == "XMem, Twin: device to run on: auto, cpu or cuda"
    )
    assert list(options) == list(registry.offered_options([xmem]))


def test_a_propagator_for_tests_has_nothing_to_repeat(project: CommandLine) -> None:
    from vfx_matte.workspace import Workspace

    manifest = Workspace(Path("workspace")).clip(Path("clip.mp4")).manifest()
    assert manifest is not None
    assert repeated_settings(manifest, PropagatorOptions()) == {}
