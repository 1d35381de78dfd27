"""What the page writes where a message names an option or a command."""

from __future__ import annotations

from support.command_line import program_of_click

from vfx_matte.cli.typed import as_typed
from vfx_matte.web.spelling import Speller, at_start
from vfx_matte.wording import Named, as_python, command, either, option, spelled


def test_a_speller_leaves_other_text() -> None:
    assert Speller(lambda _: "typed")("plain ⟦not json⟧ text") == "plain ⟦not json⟧ text"


def test_commands_are_said_as_the_buttons_that_do_the_same() -> None:
    speller = Speller(lambda named: f"vfx-matte {named.command}")
    assert speller(f"run {command('segment', resume=True)} to finish it") == (
        "run “Both” to finish it"
    )
    assert speller(f"make them: {command('segment', soft=True, fresh=True)}") == (
        "make them: “Clear memory”, then “Both”"
    )
    assert speller(f"add {option('fresh', True)}") == "add “Clear memory”"
    assert speller(f"{command('qc')} lists them") == "“Problems” lists them"
    # what no button does is typed
    assert speller(command("weights fetch", "u2netp")) == "vfx-matte weights fetch"
    assert speller.typed(command("segment")) == "vfx-matte segment"


def test_options_are_said_as_what_the_page_has() -> None:
    speller = Speller(as_typed)
    said = {
        option("box", "x,y,w,h"): "“Box”",
        option("fg", "x,y"): "“Click”",
        option("mask", "7=mask.png"): "“Click” at frame 7",
        option("mask"): "“Click”",
        option("clear_memory"): "“Clear memory”",
        option("resume", True): "“Both”",
        option("method", "auto"): "“First mask” = auto",
        option("propagator", "builtin"): "“Propagator” = builtin",
        option("soft_edges", False): "“soft edges” off",
        # what the page has nothing for is typed, where it can be
        option("network", False): "--no-network at the studio's start",
        option("device", "cpu"): "--device cpu at the studio's start",
        option("workspace"): "--workspace at the studio's start",
        option("cuts", "ignore"): "--cuts ignore at the command line",
        option("start_number", 7): "--start-number 7 at the command line",
        # of several the nearest
        either("output", "workspace"): "--workspace at the studio's start",
        either("output", "key"): "“key”",
        either("output", "frame"): "-o or --frame at the command line",
    }
    assert {text: speller(text) for text in said} == said
    assert spelled(either("output", "workspace"), as_typed) == "-o or --workspace"
    assert spelled(either("output", "workspace"), as_python) == "output or workspace"


def test_options_of_the_start_are_those_of_the_command() -> None:
    known = {flag for one in program_of_click().commands["studio"].params for flag in one.opts}
    assert {as_typed(Named(None, (), {name: None})) for name in at_start()} <= known
