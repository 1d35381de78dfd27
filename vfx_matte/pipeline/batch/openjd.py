"""A batch as a job of Open Job Description, which render farms take (Deadline Cloud and others).

Template version "jobtemplate-2023-09". Every clip has steps: its parts, one task each; then a run
that takes them in; then its renders, each when the one before it is done.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vfx_matte.errors import BatchError, UsageError
from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan
from vfx_matte.pipeline.batch.processes import Program, with_options
from vfx_matte.printable import json_text
from vfx_matte.workspace import write_text

VERSION = "jobtemplate-2023-09"

# of a step's name, by the specification
_LONGEST_NAME = 64
# of a task's values, by the specification
_MOST_VALUES = 1024


def write_job(
    shots: Sequence[ShotPlan],
    path: Path,
    *,
    workers: int,
    program: Program,
    farm_program: str,
    list_words: Sequence[str],
    part_words: Sequence[str],
    farm_words: Sequence[str],
) -> None:
    """Write a job template. It is JSON, which is YAML too.

    Clips are looked at for where they can be divided.

    Args:
        shots: with absolute paths, as the farm's machines see them.
        path: of the template.
        workers: how many machines share a clip.
        program: runs `segment` here, to list parts.
        farm_program: what runs a command on the farm's machines.
        list_words: what makes `segment` list parts as JSON; the number of workers follows.
        part_words: what makes it make one; the part follows.
        farm_words: what makes a command tell a farm how far it is.

    Raises:
        BatchError: a clip cannot be looked at.
        UsageError: a path that a template cannot hold.
        OutputError: the template cannot be written.
    """
    steps: list[Mapping[str, Any]] = []
    for number, shot in enumerate(shots, start=1):
        before: str | None = None
        for planned in shot.steps:
            name = _step_name(number, shot.name, planned.command)
            if planned.command == "segment":
                parts = _parts(planned, program, [*list_words, str(workers)])
                if len(parts) > 1:
                    apart = _step_name(number, shot.name, "parts")
                    more = [*part_words, "{{Task.Param.Part}}", *farm_words]
                    words = with_options(planned.arguments, more)
                    steps.append(_step(apart, words, after=before, parts=parts))
                    before = apart
            words = with_options(planned.arguments, farm_words)
            steps.append(_step(name, words, after=before))
            before = name
    template = {
        "specificationVersion": VERSION,
        "name": f"vfx-matte, {len(shots)} clip{'s' if len(shots) > 1 else ''}",
        "parameterDefinitions": [
            {
                "name": "Program",
                "type": "STRING",
                "default": farm_program,
                "description": "What runs vfx-matte on the farm's machines.",
            }
        ],
        "steps": steps,
    }
    write_text(path, json_text(template, indent=2) + "\n")


def _step_name(number: int, clip: str, command: str) -> str:
    """A name of its own, however long the clip's is."""
    head, tail = f"{number} ", f" {command}"
    return f"{head}{clip[: _LONGEST_NAME - len(head) - len(tail)]}{tail}"


def _step(
    name: str, words: Sequence[str], *, after: str | None, parts: Sequence[str] = ()
) -> Mapping[str, Any]:
    """One step of the template.

    Args:
        name: its own.
        words: the command line; {{…}} in it is what the template fills in.
        after: the step that has to be done before.
        parts: one task for each; none: one task.
    """
    step: dict[str, Any] = {"name": name}
    if after is not None:
        step["dependencies"] = [{"dependsOn": after}]
    if parts:
        values = {"name": "Part", "type": "STRING", "range": list(parts)}
        step["parameterSpace"] = {"taskParameterDefinitions": [values]}
    step["script"] = {"actions": {"onRun": {"command": "{{Param.Program}}", "args": list(words)}}}
    return step


def _parts(planned: StepPlan, program: Program, words: Sequence[str]) -> list[str]:
    """The parts of a clip, by the program itself."""
    for word in planned.arguments:
        if "{{" in word:
            raise UsageError(
                f"a job template cannot hold {word!r}: it has two braces in a row",
                hint="rename the file or its folder",
            )
    done = subprocess.run(
        [*program.words, *with_options(planned.arguments, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = dict(line.partition(": ")[::2] for line in done.stderr.splitlines())
        text = said.get("error") or f"it ended with {done.returncode}"
        raise BatchError(f"{planned.arguments[1]}: {text}", hint=said.get("hint", ""))
    parts: list[str] = json.loads(done.stdout)["parts"]
    # a task's values are limited; neighbours are made together
    while len(parts) > _MOST_VALUES:
        pairs = [parts[at : at + 2] for at in range(0, len(parts), 2)]
        parts = [f"{pair[0].partition('-')[0]}-{pair[-1].partition('-')[2]}" for pair in pairs]
    return parts
