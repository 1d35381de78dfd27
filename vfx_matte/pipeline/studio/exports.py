"""What a studio project is made into: renders, packages, previews and checks.

What makes them is imported when it is first asked for, so that the studio opens at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vfx_matte.choices import unknown_choice
from vfx_matte.drawing.encoded import smaller_png
from vfx_matte.errors import UsageError, WorkspaceError
from vfx_matte.pipeline.clip import SegmentedClip, SourceClip, open_segmented
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.studio.jobs import JobOutput, JobReporter, Work
from vfx_matte.pipeline.studio.project import Project
from vfx_matte.programs.registry import PROGRAMS
from vfx_matte.settings.by_name import records_of_json
from vfx_matte.settings.options import (
    AlphaSettings,
    EncodeSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    Options,
    OverlaySettings,
    PackageSettings,
    RenderSettings,
    SuggestSettings,
)
from vfx_matte.wording import option

if TYPE_CHECKING:
    from vfx_matte.media.verify import Check
    from vfx_matte.pipeline.export.package import PackageRequest
    from vfx_matte.pipeline.render.outputs import RenderResult

RENDERS: dict[str, type[Any]] = {
    "greenback": GreenbackSettings,
    "alpha": AlphaSettings,
    "maskvideo": MaskvideoSettings,
    "overlay": OverlaySettings,
}
"""Name → the record of its own options."""

PACKAGE = "package:"
"""Stands before the name of an editing program."""


def option_records(name: str) -> tuple[type[Any], ...]:
    """The records of the options that an export has.

    Raises:
        UsageError: there is no such export.
    """
    if name.startswith(PACKAGE):
        return (
            PackageSettings,
            MatteSettings,
            RenderSettings,
            EncodeSettings,
            GreenbackSettings,
            AlphaSettings,
        )
    if name not in RENDERS:
        raise unknown_choice("output", name, (*RENDERS, *(PACKAGE + one for one in PROGRAMS)))
    return RENDERS[name], MatteSettings, RenderSettings


@dataclass
class Exports:
    """Makes outputs of one project.

    Args:
        clip: the clip.
        workspace: folder for results.
        model: folder of network weights.
        project: whose references and masks count.
        records: kind → the options of edges and renders where a request says nothing; those that
            are missing have the table's defaults.
        ignore_alpha: whether the clip is read as opaque.
    """

    clip: SourceClip
    workspace: Path
    model: Path
    project: Project
    records: Mapping[type[Options], Options]
    ignore_alpha: bool

    def __post_init__(self) -> None:
        self._paths: list[Path] = []
        self._previewing = threading.Lock()

    def work(
        self,
        name: str,
        options: Mapping[str, Any],
        *,
        finish_masks: Callable[[JobReporter, tuple[int, int]], None],
    ) -> Work:
        """What a job has to do for an output.

        Args:
            name: of RENDERS, or PACKAGE and a program.
            options: of the option table, by name, as JSON has them; none may name a file.
            finish_masks: makes the masks that are missing or no longer of the references, in a
                half-open range of frames.

        Raises:
            UsageError: no such output, or an option that it does not have.
        """
        from vfx_matte.matting import Stabilizer

        # 1. everything that can be refused is refused now, not when the job's turn comes
        records = self._records(name, options)
        frames = len(self.clip.info.timeline)
        span = self.project.state.span(frames)
        self._check(name, records, SilentReporter())
        matte = next(one for one in records if isinstance(one, MatteSettings))
        # what stabilizing remembers is of masks, too
        wanted = max(0, span[0] - Stabilizer(matte.stabilize).memory), span[1]

        def work(reporter: JobReporter) -> tuple[JobOutput, ...]:
            # 2. masks that are missing, or of references that were changed since, are made first:
            #    what is exported is what the references say
            finish_masks(reporter, wanted)
            # opened only now, as masks have changed
            clip = self._opened(reporter)
            if name.startswith(PACKAGE):
                return self._package(clip, name.removeprefix(PACKAGE), records, reporter)
            # 3. a part has the range in its name; the whole clip is no part
            number = self.clip.info.timeline.number
            part = () if span == (0, frames) else (number(span[0]), number(span[1]))
            done = self._render(name, clip, records, part, reporter)
            return tuple(
                self._output(
                    result.output,
                    _verified(result.frame_count, result.verified.checks),
                )
                for result in done
            )

        return work

    def check(self, name: str, options: Mapping[str, Any], reporter: Reporter) -> None:
        """Find out whether an output can be made; arguments and errors as of `work`.

        Args:
            name: as of `work`.
            options: as of `work`.
            reporter: receives the notices that it would give before it begins.
        """
        self._check(name, self._records(name, options), reporter)

    def require(self, name: str, options: Mapping[str, Any]) -> None:
        """Raise UsageError where there is no such output, or it has no such option."""
        self._records(name, options)

    def _check(self, name: str, records: Sequence[Any], reporter: Reporter) -> None:
        from vfx_matte.pipeline.export.package import check_package
        from vfx_matte.pipeline.render.check import check_render
        from vfx_matte.pipeline.render.renders import RenderRequest
        from vfx_matte.pipeline.render.request import Tools

        # a clip that is gone, or another one now, is said as such, and before a job begins
        self.clip.reader.check_unchanged()
        # masks as they are shown now: those that are missing are made before an output is
        clip = SegmentedClip(self.clip.reader, self.project.workspace, self.project.store())
        if name.startswith(PACKAGE):
            program = name.removeprefix(PACKAGE)
            if program not in PROGRAMS:
                raise unknown_choice("program", program, PROGRAMS)
            # its timeline holds the whole clip, and masks of frames that nobody wanted take time
            frames = len(self.clip.info.timeline)
            if self.project.state.span(frames) != (0, frames):
                raise UsageError(
                    "a package holds the whole clip, and in and out are set",
                    hint="clear in and out, or export the range as a cut-out with alpha",
                )
            request = self._package_request(records, reporter)
            check_package(clip, request, program=program, reporter=reporter)
            return
        settings, matte, shared = records
        tools = Tools.chosen(shared.device, self.model, notify=reporter.notify)
        wanted = RenderRequest(matte=matte, render=shared, tools=tools)
        check_render(clip, settings, wanted, reporter=reporter)

    def _render(
        self,
        name: str,
        clip: SegmentedClip,
        records: Sequence[Any],
        part: tuple[int, ...],
        reporter: Reporter,
        *,
        frame: int | None = None,
        output: Path | None = None,
    ) -> Sequence[RenderResult]:
        """Render: all of the clip, the `part` between two frame numbers, or one frame."""
        from vfx_matte.pipeline.render import renders
        from vfx_matte.pipeline.render.part import Selection
        from vfx_matte.pipeline.render.request import Tools

        functions: dict[str, Callable[..., Any]] = {
            "greenback": renders.render_greenback,
            "alpha": renders.render_alpha,
            "maskvideo": renders.render_maskvideos,
            "overlay": renders.render_overlay,
        }
        settings, matte, shared = records
        start, stop = part or (None, None)
        request = renders.RenderRequest(
            matte=matte,
            render=shared,
            tools=Tools.chosen(shared.device, self.model, notify=reporter.notify),
            output=output,
            selection=Selection(frame=frame, start=start, stop=stop),
        )
        done = functions[name](clip, settings, request, reporter=reporter)
        return done if isinstance(done, list) else [done]

    def path(self, output_id: int) -> Path:
        """The file or folder of an output.

        Raises:
            UsageError: there is none with this id.
        """
        if not 1 <= output_id <= len(self._paths):
            raise UsageError(f"there is no output {output_id}", hint="load the page again")
        return self._paths[output_id - 1]

    def preview(self, index: int, options: Mapping[str, Any], *, width: int | None = None) -> bytes:
        """What a green screen would show of a frame, to the bit, as PNG.

        Args:
            index: of the frame.
            options: as of `work`.
            width: shrink it to this, in pixels; None is the clip's.

        Raises:
            UsageError: an option that a green screen does not have.
            MediaError: the frame cannot be read.
        """
        records = self._records("greenback", options)
        self.clip.reader.check_unchanged()
        path = self.project.workspace.studio_folder / "preview.png"
        number = self.clip.info.timeline.number(index)
        # one at a time: all have the same file
        with self._previewing:
            # masks as they are shown now: the frame's reference, which may not be propagated yet
            clip = SegmentedClip(self.clip.reader, self.project.workspace, self.project.store())
            self._render(
                "greenback", clip, records, (), SilentReporter(), frame=number, output=path
            )
            data = path.read_bytes()
            path.unlink(missing_ok=True)
        return data if width is None else smaller_png(data, width)

    def suggested(self, propagator: PropagatorOptions) -> list[dict[str, Any]]:
        """Frames that are worth a reference: index, and the reason for people.

        Raises:
            WorkspaceError: there are no masks yet.
        """
        from vfx_matte.pipeline.review.suggest import suggest_frames

        clip = self._with_masks()
        found = suggest_frames(
            clip,
            SuggestSettings(),
            propagator=propagator,
            output=self.project.workspace.studio_folder / "suggest.png",
            reporter=SilentReporter(),
        )
        return [
            {
                "index": clip.info.timeline.index_of(one.frame),
                "rank": one.rank,
                "reason": "looks least like the references so far"
                if one.rank == 1
                else f"looks little like them, number {one.rank}",
            }
            for one in found.suggestions
        ]

    def problems(self, propagator: PropagatorOptions) -> list[dict[str, Any]]:
        """What stands out in the masks, the worst first: index, object, severity, what, do.

        Raises:
            WorkspaceError: there are no masks yet.
        """
        from vfx_matte.pipeline.review.qc import check_masks

        clip = self._with_masks()
        reporter = SilentReporter()
        found = check_masks(clip, propagator=propagator, reporter=reporter)
        return [
            {
                "index": clip.info.timeline.index_of(one.frame),
                "rank": one.rank,
                "object": one.object_id,
                "severity": round(one.severity, 3),
                "reason": reporter.spell(one.what),
                "do": reporter.spell(one.do),
            }
            for one in found.problems
        ]

    def _with_masks(self) -> SegmentedClip:
        if self.project.manifest() is None:
            raise WorkspaceError("there are no masks yet", hint="propagate first")
        return self._opened(SilentReporter())

    def _opened(self, reporter: Reporter) -> SegmentedClip:
        return open_segmented(
            self.clip.path,
            workspace=self.workspace,
            ignore_alpha=self.ignore_alpha,
            reporter=reporter,
        )

    def _package(
        self, clip: SegmentedClip, program: str, records: Sequence[Any], reporter: Reporter
    ) -> tuple[JobOutput, ...]:
        from vfx_matte.pipeline.export.package import package

        request = self._package_request(records, reporter)
        made = package(clip, request, program=program, reporter=reporter)
        return (self._output(made.folder, f"{made.frame_count} frames verified in every file"),)

    def _package_request(self, records: Sequence[Any], reporter: Reporter) -> PackageRequest:
        from vfx_matte.pipeline.export.package import PackageRequest
        from vfx_matte.pipeline.render.encoding import EncodeOptions
        from vfx_matte.pipeline.render.request import Tools

        settings, matte, shared, encode, green, cut_out = records
        return PackageRequest(
            settings=settings,
            green=green,
            cut_out=cut_out,
            matte=matte,
            tools=Tools.chosen(shared.device, self.model, notify=reporter.notify),
            encode=EncodeOptions.of(encode, shared),
        )

    def _records(self, name: str, options: Mapping[str, Any]) -> list[Any]:
        """The records of an export's options, of which none may name a file."""
        # of a file the page could show what its user may not see
        background = options.get("background")
        if background not in (None, "") and not str(background).startswith("#"):
            raise UsageError("the background is a colour here", hint='write it as "#rrggbb"')
        if background and name.startswith(PACKAGE):
            raise UsageError(
                "the green screen of a package has a key behind the subject, and no background",
                hint=f"choose a {option('key')}, or export a green screen",
            )
        return records_of_json(options, *option_records(name), bases=self.records)

    def _output(self, path: Path, verified: str) -> JobOutput:
        self._paths.append(path.resolve())
        return JobOutput(len(self._paths), path.name, str(path.resolve()), verified)


def _verified(count: int, checks: Sequence[Check]) -> str:
    """What was checked of an output, in a sentence."""
    names = ", ".join(check.name for check in checks)
    return f"1 frame verified: {names}" if count == 1 else f"{count} frames verified: {names}"
