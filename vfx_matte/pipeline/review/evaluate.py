"""Scores masks against the truth: J (IoU), boundary F and J&F.

Frames are matched by number and read one pair at a time, so memory holds two masks and the numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
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
from vfx_matte.pipeline.records import rounded
from vfx_matte.pipeline.review.mask_pairs import (
    MASKS_FOLDER,
    PREDICTED,
    TRUTH,
    PairReader,
    find_sequences,
    first_of,
    open_masks,
    spans,
)
from vfx_matte.printable import spreadsheet_cell
from vfx_matte.wording import option
from vfx_matte.workspace import ClipWorkspace, write_text

NOT_SCORED = -1
"""Stands in CSV and JSON where a frame does not count, as in the tables of XMem++."""

# Names of CSV columns are those of JSON.
FRAME_COLUMNS = ("sequence", "frame", "object", "j", "f", "jf")
_DIGITS = 6
"""Of a score in JSON and CSV: a millionth is less than one pixel of a mask."""


@dataclass(frozen=True, slots=True)
class Means:
    """Statistics of one measure over frames, in [0, 1]; see `measure.accuracy.Statistics`."""

    mean: float = field(metadata=rounded(_DIGITS))
    recall: float = field(metadata=rounded(_DIGITS))
    decay: float = field(metadata=rounded(_DIGITS))


@dataclass(frozen=True, slots=True)
class Scores:
    """What the frames of one object, or of several, come to."""

    j: Means
    """Region similarity: intersection over union."""

    f: Means
    """Accuracy of the boundary."""

    jf: float = field(metadata=rounded(_DIGITS))
    """The mean of both means."""


@dataclass(frozen=True, slots=True)
class ObjectScores(Scores):
    """One object of a sequence."""

    object: int


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """One object on one frame; scores are in [0, 1], or NOT_SCORED."""

    frame: int
    object: int
    j: float = field(metadata=rounded(_DIGITS))
    f: float = field(metadata=rounded(_DIGITS))
    jf: float = field(metadata=rounded(_DIGITS))

    @property
    def is_scored(self) -> bool:
        """Whether the frame counts."""
        return self.j != NOT_SCORED


@dataclass(frozen=True, slots=True)
class ScoredSequence:
    """One sequence."""

    name: str
    """"" when it is the only one."""

    references: tuple[int, ...]
    """Frames that do not count because their mask was given."""

    scored_frames: int
    mean: Scores
    objects: tuple[ObjectScores, ...]

    frames: tuple[ScoredFrame, ...]
    """Every object on every frame."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found."""

    protocol: ProtocolName

    mean: Scores
    """Over the objects of all sequences, as DAVIS counts: a sequence of two objects weighs
    twice.
    """

    sequences: tuple[ScoredSequence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How masks are compared.

    Raises:
        UsageError: for a void value out of range.
    """

    protocol: ProtocolName = "all"
    """"davis" leaves out the first and last frame too."""

    references: tuple[int, ...] | None = None
    """Frames that do not count because their mask was given; None asks the manifest beside the
    predicted masks, where there is one.
    """

    void: int | None = None
    """The value of the truth's pictures (1 to 255) that marks pixels to leave out."""

    allow_missing: bool = False
    """Whether frames and sequences that only the truth has count as empty, instead of being an
    error.
    """

    merge: bool = False
    """Whether all objects count as one."""

    resize: bool = False
    """Whether predicted masks are brought to the size of the truth."""

    def __post_init__(self) -> None:
        if self.void is not None and not 1 <= self.void <= 255:
            raise UsageError(
                f"void value {self.void} is not in 1 to 255",
                hint=f"DAVIS and YouTube-VOS use {option('void', 255)}",
            )


def protocol_of(text: str) -> ProtocolName:
    """A protocol as a user names it.

    Raises:
        UsageError: for an unknown one.
    """
    # the words of the type are the words that may be typed
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

    Args:
        predicted: a folder of mask pictures named by frame number (the last one in the name), a
            clip's folder of results, a video of masks, or a folder with one of these for each
            sequence.
        truth: the true masks, in any of these forms.
        comparison: how they are compared.
        sequences: only these, when not empty.
        reporter: receives notices and progress.

    Raises:
        MaskError, UsageError, WorkspaceError, MediaError: naming the side and the frame.
    """
    predictions, truths = find_sequences(predicted, PREDICTED), find_sequences(truth, TRUTH)
    # One sequence has no name to be found by among several.
    if ("" in predictions) != ("" in truths):
        many, single = (truths, PREDICTED) if "" in predictions else (predictions, TRUTH)
        hint = f"give the folder of one sequence on both sides, e.g. {next(iter(many.values()))}"
        raise UsageError(
            f"{single} is one sequence, the other side is a folder of {len(many)}", hint=hint
        )
    # The truth says which sequences there are.
    names = _chosen(list(truths), predictions, sequences, comparison, reporter)
    scored = [
        _score_sequence(name, predictions.get(name), truths[name], comparison, reporter)
        for name in names
    ]
    # As DAVIS 2017 counts: over all objects, whatever sequence they are in.
    summaries = [result.summary for sequence, _ in scored for result in sequence.objects]
    return Evaluation(
        protocol=comparison.protocol,
        mean=Scores(*_means(Summary.mean_of(summaries))),
        sequences=tuple(sequence_record(*result) for result in scored),
    )


def _means(summary: Summary) -> tuple[Means, Means, float]:
    """J, F and J&F."""

    # recall is the share above 0.5, decay what is lost from the first to the last quarter (Perazzi
    # et al., CVPR 2016)
    def means(statistics: Statistics) -> Means:
        return Means(statistics.mean, statistics.recall, statistics.decay)

    return means(summary.region), means(summary.boundary), summary.mean


def sequence_record(sequence: SequenceScore, references: tuple[int, ...] = ()) -> ScoredSequence:
    """What was measured on a sequence, as a record."""
    return ScoredSequence(
        name=sequence.name,
        references=references,
        scored_frames=sequence.scored_frames,
        mean=Scores(*_means(sequence.summary)),
        objects=tuple(
            ObjectScores(*_means(result.summary), object=result.object_id)
            for result in sequence.objects
        ),
        frames=tuple(
            ScoredFrame(frame.frame_index, frame.object_id, *_frame_scores(frame))
            for frame in sequence.frames
        ),
    )


def _frame_scores(frame: FrameScore) -> tuple[float, float, float]:
    """J, F and J&F of one object on one frame."""
    score = frame.score
    # a number outside of [0, 1] and no blank, so that columns of a table stay numbers
    if score is None:
        return NOT_SCORED, NOT_SCORED, NOT_SCORED
    return score.region, score.boundary, score.mean


def _chosen(
    names: list[str],
    predictions: Collection[str],
    wanted: Sequence[str],
    comparison: Comparison,
    reporter: Reporter,
) -> list[str]:
    """The sequences to score, ascending.

    Args:
        names: the sequences of the truth.
        predictions: the sequences of the other side.
        wanted: what the user named; () = all.
        comparison: says whether sequences may be missing.
        reporter: receives a notice of what is missing, or not scored.
    """
    # What was named has to be there.
    unknown = [name for name in wanted if name not in names]
    if unknown:
        hint = (
            f"it has {first_of(names)}"
            if names != [""]
            else f"it is one sequence; leave {option('sequence')} out"
        )
        raise UsageError(f"{TRUTH} has no sequence {unknown[0]!r}", hint=hint)
    # Each needs its other side, unless a missing one counts as empty.
    chosen = [name for name in names if not wanted or name in wanted]
    missing = [name for name in chosen if name not in predictions]
    if missing and not comparison.allow_missing:
        hint = (
            f"score some with {option('sequence')}, or count the missing ones as empty with"
            f" {option('allow_missing', True)}"
        )
        raise UsageError(
            f"{PREDICTED} lacks {len(missing)} of {len(chosen)} sequences: {first_of(missing)}",
            hint=hint,
        )
    if missing:
        reporter.notify(
            f"{PREDICTED} lacks {len(missing)} sequences, which count as empty: {first_of(missing)}"
        )
    # Whoever named sequences knows that the others are left out.
    extra = [] if wanted else sorted(set(predictions) - set(names))
    if extra:
        reporter.notify(
            f"{len(extra)} sequences are only in {PREDICTED} and are not scored: {first_of(extra)}"
        )
    return chosen


def _score_sequence(
    name: str, predicted: Path | None, truth: Path, comparison: Comparison, reporter: Reporter
) -> tuple[SequenceScore, tuple[int, ...]]:
    """Score one sequence; gives its references too."""
    # Of several sequences a notice says which one it is about.
    prefix = f"{name}: " if name else ""

    notices: set[str] = set()

    def notify(line: str) -> None:
        if line not in notices:  # what is true of one picture is true of most
            notices.add(line)
            reporter.notify(prefix + line)

    # Which frames the two sides have, and which of them count.
    predictions, truths = open_masks(predicted, reporter), open_masks(truth, reporter)
    references = _references(predicted, comparison, {*predictions.frames, *truths.frames})
    if comparison.references is None and references:
        notify(
            f"not scored are the references that the manifest of {PREDICTED} names:"
            f" {spans(references)}"
        )
    # A frame that does not count may be missing, as the first one often is.
    unscored = unscored_frames(truths.frames, references=references, protocol=comparison.protocol)
    missing = [
        index
        for index in truths.frames
        if index not in predictions.frames and index not in unscored
    ]
    if missing and not comparison.allow_missing:
        hint = (
            "frames are matched by the last number in a file's name;"
            f" {option('allow_missing', True)} counts missing ones as empty"
        )
        raise UsageError(
            f"{prefix}{PREDICTED} lacks {len(missing)} of {len(truths.frames)} frames:"
            f" {spans(missing)}",
            hint=hint,
        )
    if missing:
        notify(f"{PREDICTED} lacks {len(missing)} frames, which count as empty: {spans(missing)}")
    extra = set(predictions.frames) - set(truths.frames)
    if extra:
        notify(f"not scored are the frames of {PREDICTED} without truth: {spans(extra)}")
    # Both sides, one pair of masks at a time.
    reader = PairReader(
        void=comparison.void, merge=comparison.merge, resize=comparison.resize, notify=notify
    )
    with (
        reporter.progress(name or "evaluate", len(truths.frames)) as step,
        closing(reader.pairs(predictions, truths)) as pairs,
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
    """The frames whose mask was given: those that the user names, or else those of the manifest
    beside the masks.
    """
    if comparison.references is not None:
        # a typing mistake would let a mask that was given raise the score
        unknown = [index for index in comparison.references if index not in frames]
        if unknown:
            raise UsageError(
                f"reference {unknown[0]} is not a frame of these masks",
                hint=f"they have {spans(frames)}",
            )
        return frozenset(comparison.references)
    # Only masks of this program have a manifest beside their folder.
    if predicted is None or predicted.name != MASKS_FOLDER:
        return frozenset()
    try:
        manifest = ClipWorkspace(predicted.parent).manifest()
    except WorkspaceError as error:
        raise WorkspaceError(
            error.message,
            hint=f"name the frames that were given as references: {option('reference')}",
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
            f"only in {PREDICTED}, not scored: object"
            f" {first_of(result.only_predicted)}; {option('merge', True)} compares all objects as"
            " one"
        )
    if result.only_true:
        yield (
            f"only in {TRUTH}: object {first_of(result.only_true)}; J is 0 wherever it is to be"
            " seen"
        )
    # An object 255 among others is rarely meant as one: it lowers every mean.
    ids = [found.object_id for found in result.objects]
    if comparison.void is None and len(ids) > 1 and 255 in ids:
        yield (
            f"{TRUTH} shows 255, which in DAVIS 2017 and YouTube-VOS marks pixels to leave out:"
            f" {option('void', 255)}"
        )


def frame_csv(sequences: Iterable[ScoredSequence]) -> str:
    """Every object on every frame as CSV: sequence, frame, object, J, F and J&F in [0, 1], or
    NOT_SCORED.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FRAME_COLUMNS)
    # A cell with a name could be a formula to a spreadsheet; numbers cannot.
    for sequence in sequences:
        for row in sequence.frames:
            scores = (round(score, _DIGITS) for score in (row.j, row.f, row.jf))
            writer.writerow((spreadsheet_cell(sequence.name), row.frame, row.object, *scores))
    return text.getvalue()


def save_frame_csv(path: Path, sequences: Iterable[ScoredSequence]) -> None:
    """Write `frame_csv` atomically.

    Raises:
        OutputError: when it cannot be written.
        UsageError: for a path that holds something that is no table.
    """
    require_table_place(path)
    write_text(path, frame_csv(sequences))
