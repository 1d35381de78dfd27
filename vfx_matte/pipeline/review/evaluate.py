"""Masks against the truth.

Takes two places with masks, gives scores as records, table rows, CSV and JSON; prints nothing.

Frames are matched by number and read one pair at a time, so memory holds two masks and the numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast, get_args

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import UsageError, WorkspaceError
from vfx_matte.measure.accuracy import (
    FrameScore,
    MaskPair,
    ProtocolName,
    SequenceScore,
    Statistics,
    Summary,
    score_sequence,
    unscored_frames,
)
from vfx_matte.pipeline.clip import require_table_place
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.review.mask_pairs import (
    MASKS_FOLDER,
    PREDICTED,
    TRUTH,
    PairReader,
    few,
    find_sequences,
    open_masks,
    spans,
)
from vfx_matte.printable import json_text, spreadsheet_cell
from vfx_matte.workspace import ClipWorkspace, write_text

NOT_SCORED = -1
"""Stands in CSV and JSON where a frame does not count, as in the tables of XMem++."""

FRAME_COLUMNS = ("sequence", "frame", "object", "j", "f", "jf")
_DIGITS = 6

Row = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found. references: for each sequence, the frames whose mask was given."""

    sequences: tuple[SequenceScore, ...]
    references: tuple[tuple[int, ...], ...]
    protocol: ProtocolName

    @property
    def summary(self) -> Summary:
        """The mean over the objects of all sequences, as DAVIS counts: a sequence of two objects
        weighs twice.
        """
        return Summary.mean_of(
            [one.summary for sequence in self.sequences for one in sequence.objects]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How masks are compared.

    references: frames that do not count because their mask was given; None asks PREDICTED's
    manifest, where there is one.
    void: the value of the truth's pictures (1 to 255) that marks pixels to leave out.
    allow_missing: frames and sequences that only the truth has count as empty, instead of an error.
    merge: all objects are one. resize: PREDICTED is brought to the size of the truth. Raises
    UsageError for a void value out of range.
    """

    protocol: ProtocolName = "all"
    references: tuple[int, ...] | None = None
    void: int | None = None
    allow_missing: bool = False
    merge: bool = False
    resize: bool = False

    def __post_init__(self) -> None:
        if self.void is not None and not 1 <= self.void <= 255:
            raise UsageError(
                f"void value {self.void} is not in 1 to 255",
                hint="DAVIS and YouTube-VOS use --void 255",
            )


def protocol_of(text: str) -> ProtocolName:
    """A protocol as a user names it. Raises UsageError for an unknown one."""
    if text not in get_args(ProtocolName):
        raise unknown_choice("protocol", text, get_args(ProtocolName))
    return cast("ProtocolName", text)


def evaluate_masks(
    predicted: Path,
    truth: Path,
    comparison: Comparison,
    *,
    sequences: Sequence[str] = (),
    reporter: Reporter,
) -> Evaluation:
    """Score masks against the truth.

    predicted, truth: a folder of mask pictures named by frame number (the last one in the name), a
    clip's folder in the workspace, a film of masks, or a folder of such folders, one for each
    sequence. sequences: only these, when not empty. Raises MaskError, UsageError, WorkspaceError or
    MediaError, naming the side and the frame.
    """
    guessed, true = find_sequences(predicted, PREDICTED), find_sequences(truth, TRUTH)
    if ("" in guessed) != ("" in true):
        many, one = (true, PREDICTED) if "" in guessed else (guessed, TRUTH)
        hint = f"give the folder of one sequence on both sides, e.g. {next(iter(many.values()))}"
        raise UsageError(
            f"{one} is one sequence, the other side is a folder of {len(many)}", hint=hint
        )
    names = _chosen(list(true), guessed, sequences, comparison, reporter)
    scored = [
        _evaluate_one(name, guessed.get(name), true[name], comparison, reporter) for name in names
    ]
    return Evaluation(
        tuple(one for one, _ in scored), tuple(given for _, given in scored), comparison.protocol
    )


def _chosen(
    names: list[str],
    guessed: Collection[str],
    wanted: Sequence[str],
    comparison: Comparison,
    reporter: Reporter,
) -> list[str]:
    """The sequences to score, ascending."""
    unknown = [name for name in wanted if name not in names]
    if unknown:
        hint = (
            f"it has {few(names)}" if names != [""] else "it is one sequence; leave --sequence out"
        )
        raise UsageError(f"{TRUTH} has no sequence {unknown[0]!r}", hint=hint)
    chosen = [name for name in names if not wanted or name in wanted]
    missing = [name for name in chosen if name not in guessed]
    if missing and not comparison.allow_missing:
        hint = (
            "score some with --sequence NAME, or count the missing ones as empty with"
            " --allow-missing"
        )
        raise UsageError(
            f"{PREDICTED} lacks {len(missing)} of {len(chosen)} sequences: {few(missing)}",
            hint=hint,
        )
    if missing:
        reporter.notify(
            f"{PREDICTED} lacks {len(missing)} sequences, which count as empty: {few(missing)}"
        )
    extra = [] if wanted else sorted(set(guessed) - set(names))
    if extra:
        reporter.notify(
            f"{len(extra)} sequences are only in {PREDICTED} and are not scored: {few(extra)}"
        )
    return chosen


def _evaluate_one(
    name: str, predicted: Path | None, truth: Path, comparison: Comparison, reporter: Reporter
) -> tuple[SequenceScore, tuple[int, ...]]:
    """Score one sequence; gives its references too."""
    prefix = f"{name}: " if name else ""

    said: set[str] = set()

    def notify(line: str) -> None:
        if line not in said:  # what is true of one picture is true of most
            said.add(line)
            reporter.notify(prefix + line)

    guessed, true = open_masks(predicted, reporter), open_masks(truth, reporter)
    references = _references(predicted, comparison, {*guessed.frames, *true.frames})
    if comparison.references is None and references:
        notify(
            f"not scored are the references that the manifest of {PREDICTED} names:"
            f" {spans(references)}"
        )
    unscored = unscored_frames(true.frames, references=references, protocol=comparison.protocol)
    missing = [
        index for index in true.frames if index not in guessed.frames and index not in unscored
    ]
    if missing and not comparison.allow_missing:
        hint = (
            "frames are matched by the last number in a file's name; --allow-missing counts missing"
            " ones as empty"
        )
        raise UsageError(
            f"{prefix}{PREDICTED} lacks {len(missing)} of {len(true.frames)} frames:"
            f" {spans(missing)}",
            hint=hint,
        )
    if missing:
        notify(f"{PREDICTED} lacks {len(missing)} frames, which count as empty: {spans(missing)}")
    extra = set(guessed.frames) - set(true.frames)
    if extra:
        notify(f"not scored are the frames of {PREDICTED} without truth: {spans(extra)}")
    reader = PairReader(
        void=comparison.void, merge=comparison.merge, resize=comparison.resize, notify=notify
    )
    with (
        reporter.progress(name or "evaluate", len(true.frames)) as step,
        closing(reader.pairs(guessed, true)) as pairs,
    ):
        result = score_sequence(_counted(pairs, step), name=name, unscored=unscored)
    for line in _about_ids(result, comparison):
        notify(line)
    return result, tuple(sorted(references))


def _counted(pairs: Iterable[MaskPair], step: Callable[[], None]) -> Iterator[MaskPair]:
    for pair in pairs:
        yield pair
        step()


def _references(
    predicted: Path | None, comparison: Comparison, frames: Collection[int]
) -> frozenset[int]:
    """The frames whose mask was given: as the user says, or else as the manifest beside the masks
    does.
    """
    if comparison.references is not None:
        unknown = [index for index in comparison.references if index not in frames]
        if unknown:
            raise UsageError(
                f"reference {unknown[0]} is no frame of these masks",
                hint=f"they have {spans(frames)}",
            )
        return frozenset(comparison.references)
    if predicted is None or predicted.name != MASKS_FOLDER:
        return frozenset()
    try:
        manifest = ClipWorkspace(predicted.parent).manifest()
    except WorkspaceError as error:
        raise WorkspaceError(
            error.message, hint="say which frames were given as references: --reference N"
        ) from error
    return (
        frozenset(map(manifest.timeline.number, manifest.references))
        if manifest is not None
        else frozenset()
    )


def _about_ids(result: SequenceScore, comparison: Comparison) -> Iterator[str]:
    """Say which objects only one side has."""
    if result.only_predicted:
        yield (
            f"only in {PREDICTED}, not scored: object {few(result.only_predicted)}; --merge"
            " compares all objects as one"
        )
    if result.only_true:
        yield f"only in {TRUTH}: object {few(result.only_true)}; J is 0 wherever it is to be seen"
    ids = [one.object_id for one in result.objects]
    if comparison.void is None and len(ids) > 1 and 255 in ids:
        yield (
            f"{TRUTH} shows 255, which in DAVIS 2017 and YouTube-VOS marks pixels to leave out:"
            " --void 255"
        )


def summary_table(evaluation: Evaluation) -> tuple[tuple[str, ...], list[Row]]:
    """Columns and rows for people, in per cent: each object of one sequence, or each sequence, and
    the mean over objects.
    """
    numbers = ("J mean", "J recall", "J decay", "F mean", "F recall", "F decay", "J&F")
    total = _percent(evaluation.summary)
    if len(evaluation.sequences) == 1:
        (only,) = evaluation.sequences
        rows: list[Row] = [
            (one.object_id, only.scored_frames, *_percent(one.summary)) for one in only.objects
        ]
        return ("object", "frames", *numbers), [*rows, ("mean", only.scored_frames, *total)]
    rows = [
        (one.name, len(one.objects), one.scored_frames, *_percent(one.summary))
        for one in evaluation.sequences
    ]
    objects, frames = (sum(int(row[column]) for row in rows) for column in (1, 2))
    return ("sequence", "objects", "frames", *numbers), [
        *rows,
        ("mean over objects", objects, frames, *total),
    ]


def frame_table(evaluation: Evaluation) -> tuple[tuple[str, ...], list[Row]]:
    """Columns and rows for people, in per cent: every object on every frame; blank where it does
    not count.
    """
    several = len(evaluation.sequences) > 1
    rows: list[Row] = []
    for sequence in evaluation.sequences:
        for one in sequence.frames:
            found = one.score
            numbers = (
                ("", "", "") if found is None else _shown(found.region, found.boundary, found.mean)
            )
            rows.append(
                (*((sequence.name,) if several else ()), one.frame_index, one.object_id, *numbers)
            )
    return (*(("sequence",) if several else ()), "frame", "object", "J", "F", "J&F"), rows


def frame_csv(sequences: Iterable[SequenceScore]) -> str:
    """Every object on every frame as CSV: sequence, frame, object, J, F and J&F in [0, 1], or -1
    where it does not count.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FRAME_COLUMNS)
    for sequence in sequences:
        writer.writerows(
            (spreadsheet_cell(sequence.name), one.frame_index, one.object_id, *_numbers(one))
            for one in sequence.frames
        )
    return text.getvalue()


def save_frame_csv(path: Path, sequences: Iterable[SequenceScore]) -> None:
    """Write `frame_csv` atomically.

    Raises OutputError; UsageError for a place that holds something else.
    """
    require_table_place(path)
    write_text(path, frame_csv(sequences))


def evaluation_json(evaluation: Evaluation) -> str:
    """Everything as JSON; J, F and J&F in [0, 1], or -1 on frames that do not count."""
    facts = {
        "protocol": evaluation.protocol,
        "mean": _summary_json(evaluation.summary),
        "sequences": [
            {
                "name": sequence.name,
                "references": references,
                "scored_frames": sequence.scored_frames,
                "mean": _summary_json(sequence.summary),
                "objects": [
                    {"object": one.object_id, **_summary_json(one.summary)}
                    for one in sequence.objects
                ],
                "frames": [
                    dict(zip(FRAME_COLUMNS[1:], _frame_row(one), strict=True))
                    for one in sequence.frames
                ],
            }
            for sequence, references in zip(
                evaluation.sequences, evaluation.references, strict=True
            )
        ],
    }
    return json_text(facts, indent=2)


def _frame_row(one: FrameScore) -> tuple[float, ...]:
    return one.frame_index, one.object_id, *_numbers(one)


def _numbers(one: FrameScore) -> tuple[float, float, float]:
    found = one.score
    if found is None:
        return NOT_SCORED, NOT_SCORED, NOT_SCORED
    return round(found.region, _DIGITS), round(found.boundary, _DIGITS), round(found.mean, _DIGITS)


def _summary_json(summary: Summary) -> dict[str, object]:
    def rounded(statistics: Statistics) -> dict[str, float]:
        return {name: round(value, _DIGITS) for name, value in asdict(statistics).items()}

    return {
        "j": rounded(summary.region),
        "f": rounded(summary.boundary),
        "jf": round(summary.mean, _DIGITS),
    }


def _percent(summary: Summary) -> tuple[str, ...]:
    region, boundary = summary.region, summary.boundary
    return _shown(
        region.mean, region.recall, region.decay, boundary.mean, boundary.recall, boundary.decay,
        summary.mean
    )  # fmt: skip


def _shown(*values: float) -> tuple[str, ...]:
    return tuple(f"{round(100 * value, 1) + 0.0:.1f}" for value in values)  # + 0.0: no "-0.0"
