"""The kinds of timelines that records of programs name."""

from __future__ import annotations

from vfx_matte.errors import install_hint
from vfx_matte.programs.record import TimelineFacts, TimelineFile
from vfx_matte.programs.timelines import opentimeline
from vfx_matte.programs.timelines.fcpxml import fcpxml
from vfx_matte.programs.timelines.scripts import after_effects_script, resolve_script
from vfx_matte.programs.timelines.xmeml import xmeml


def _missing_library() -> str:
    """What a user should know where OpenTimelineIO is not installed."""
    if opentimeline.is_available():
        return ""
    return f"The OpenTimelineIO file is left out; to have it, {install_hint('timelines')}"


def _after_effects(facts: TimelineFacts) -> bytes:
    return after_effects_script(facts.edit, folder=facts.folder, layers=facts.layers)


def _resolve(facts: TimelineFacts) -> bytes:
    # Resolve imports the timeline from its file; the script adds what that cannot say.
    timeline = facts.folder / facts.names[FCPXML.key]
    return resolve_script(facts.edit, folder=facts.folder, timeline=timeline, mattes=facts.mattes)


# One record per kind; a program that needs another variant of one has a record of its own.
XMEML = TimelineFile(key="xmeml", suffix=".xml", write=lambda facts: xmeml(facts.edit))

FCPXML = TimelineFile(key="fcpxml", suffix=".fcpxml", write=lambda facts: fcpxml(facts.edit))

OTIO = TimelineFile(
    key="otio",
    suffix=".otio",
    write=lambda facts: opentimeline.opentimeline(facts.edit),
    missing=_missing_library,
)
"""Names files by URLs, as OpenTimelineIO asks for."""

OTIO_WITH_PATHS = TimelineFile(
    key="otio",
    suffix=".otio",
    write=lambda facts: opentimeline.opentimeline(facts.edit, address=str),
    missing=_missing_library,
)
"""Names files by plain paths, which is what Resolve itself writes."""

AFTER_EFFECTS_SCRIPT = TimelineFile(
    key="aftereffects", suffix=".jsx", write=_after_effects, finds_moved_files=True
)

RESOLVE_SCRIPT = TimelineFile(key="resolve", suffix=".py", write=_resolve, finds_moved_files=True)
"""Imports the FCPXML file of the same package."""
