"""What came out of one trial: facts that were measured, from which every score is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from greenfront.objectives.readings import Reading, total
from greenfront.objectives.runtime_options import RuntimeAdvice

__all__ = [
    "Batched",
    "Decisions",
    "Derived",
    "FoldScore",
    "GraphReading",
    "Outcome",
    "Repeat",
    "Sizing",
    "Standing",
    "Weighed",
]


Score = Annotated[float, Field(validation_alias=AliasChoices("score", "accuracy"))]
"""Studies of before kept it as ``accuracy``, their only metric."""

Standing = Literal["in", "out", "open"]
"""Of a measured model: not dominated even where it is as dear as it may be; dominated, or over a
limit, even where it is as cheap; or neither is sure."""


@dataclass(frozen=True, slots=True)
class GraphReading:
    """One measurement of what a graph's predictions cost.

    It belongs to all files that execute it, see :mod:`greenfront.objectives.stages.graph_key`.

    Attributes:
        id: Of this measurement, wherever it is told of.
        inference: Energy of one prediction, the median of its blocks.
        latency_seconds: Median wall time of one prediction.
        spread: Half of the 95 % confidence interval of the median, as a share of it, over the
            blocks; ``None`` if unknown.
        machine: Model of the processor on which it was taken; empty where unknown, as in older
            studies.
    """

    id: str
    inference: Reading
    latency_seconds: float
    spread: float | None = None
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Sizing:
    """What is known of a candidate before any training, from its exported random graph.

    Attributes:
        parameters: Numbers in the exported graph's weights, after pruning.
        flops: Floating-point operations of one prediction (two a multiply-add), after pruning.
        artefact_bytes: Size of the exported file.
        inference: Energy of one prediction.
        latency_seconds: Median wall time of one prediction.
    """

    parameters: int
    flops: int
    artefact_bytes: int
    inference: Reading
    latency_seconds: float


@dataclass(frozen=True, slots=True)
class Batched:
    """One prediction in batches of another size than the study's.

    Attributes:
        batch: Examples a call.
        inference: Energy of one prediction.
        latency_seconds: Median wall time of a call, divided by its examples.
    """

    batch: int
    inference: Reading
    latency_seconds: float


@dataclass(frozen=True, slots=True)
class Decisions:
    """Which classes a file decides for on the examples that it is judged on.

    Attributes:
        predicted: How often for each class, in index order.
        threshold: Of two classes: the probability from which on it is the positive one; ``None``
            where it is the class of the highest logit.
        confusion: Examples by true class (rows) and by the one decided for (columns); ``None``
            where there are many classes.
    """

    predicted: tuple[int, ...]
    threshold: float | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None

    @property
    def never(self) -> tuple[int, ...]:
        """Indices of the classes that it never decides for."""
        return tuple(index for index, count in enumerate(self.predicted) if not count)


@dataclass(frozen=True, slots=True)
class Repeat:
    """One more measurement of a finished trial's exported file.

    Attributes:
        score: On the whole validation split, in the unit of the study's metric.
        inference: Energy of one prediction.
        latency_seconds: Median wall time of one prediction.
        batched: The same in batches, or of single examples where the study's are batches; ``None``
            where it was not measured.
        resampled: See :class:`Outcome`; of the whole validation split.
        decisions: See :class:`Outcome`.
        id: Of the measurement, see :class:`GraphReading`; ``None`` in older studies.
        spread: See :class:`GraphReading`.
        machine: See :class:`GraphReading`.
        preprocessing: See :class:`Outcome`; as the same machine read it.
    """

    score: Score
    inference: Reading
    latency_seconds: float
    batched: Batched | None = None
    resampled: str | None = None
    decisions: Decisions | None = None
    id: str | None = None
    spread: float | None = None
    machine: str = ""
    preprocessing: Reading | None = None


@dataclass(frozen=True, slots=True)
class FoldScore:
    """What a candidate scores on one fold, made anew of that fold's training split.

    Attributes:
        score: Of the exported file on the fold's validation split, in the metric's unit.
        examples: How many there are.
        resampled: See :class:`Outcome`.
    """

    score: float
    examples: int
    resampled: str | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """Where a model comes from that was made after the search, and what that brought.

    Attributes:
        origins: Numbers of the trials that it was made of.
        beside: Number of the trial that it was compared with: the one of least energy among those
            that are at least as accurate; of an ensemble the most accurate that answers alone.
        ratio: Its joules over that one's, the median of measurements in turns, of single
            predictions in sessions without options.
        low: Lower end of the 95 % interval of ``ratio``.
        high: Upper end.
        gain: Its score less that one's on the validation split; positive is better.
        least_gain: Lower end of the paired 95 % interval of ``gain``; ``None`` if unknown.
        most_gain: Upper end.
    """

    origins: tuple[int, ...]
    beside: int
    ratio: float
    low: float
    high: float
    gain: float
    least_gain: float | None = None
    most_gain: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished trial, measured on the exported artefact as it was reloaded.

    Attributes:
        score: Of the artefact on the validation split, in the unit of the study's metric, such as
            the share that it classifies rightly, 0 to 1.
        phases: Energy of training this model alone, by phase: the stored readings of its whole
            chain, also of the parts that another trial had paid for already.
        inference: Energy of one prediction.
        latency_seconds: Median wall time of one prediction.
        parameters: Numbers in the exported graph's weights.
        flops: Floating-point operations of one prediction (two a multiply-add).
        artefact_bytes: Size of the exported file.
        pruned_ratio: Share of the parameters that pruning removed: achieved, not asked for.
        epochs: Passes over the training split until the best weights.
        peak_memory_bytes: Highest resident memory of the evaluator; ``None`` if unknown.
        artefact: The exported file, relative to the lineage store.
        max_error: Largest difference between the file's logits and those of the network it was
            exported from.
        agreement: Share of examples that both classify alike; ``None`` for numbers.
        floating_layers: Layers of a network in int8 kernels that stay at 32 bits, because rounding
            them would change its answers.
        unreal: Why what is claimed for the file is not there, in words; empty where it is.
        torch_file_error: Largest difference between the logits of the file for torch and those of
            the network; ``None`` where there is no such file.
        inference_spread: Half of the 95 % confidence interval of ``inference``, as a share of it;
            ``None`` if unknown.
        batched: See :class:`Repeat`; the median of the repeats.
        measurements: How often the graph of the exported file was measured; above 1 inference and
            latency are medians.
        zeros: Share of zeros among the exported file's weights: achieved, not asked for.
        compressed_bytes: Size of the file when it is sent compressed; only where weights were set
            to zero, which saves nothing else.
        resampled: Scores on resamples of the examples that it was judged on, packed by
            :mod:`greenfront.objectives.resampling`; ``None`` in older studies.
        preprocessing: Energy of making one raw example into the inputs of the file; ``None`` where
            it was not metered, as in older studies, or where there is none.
        relative_error: Of numbers: root mean square of the same differences, over the standard
            deviation of the network's answers; ``None`` for classes.
        decisions: Which classes it decides for; ``None`` for numbers, and in older studies.
        graph: Key of the graph that the exported file executes; ``None`` in older studies.
        measured: The measurements behind ``inference``; none in older studies.
        curve: Of its training, see :class:`LearningCurve`; empty in older studies and where nothing
            was trained.
        passed_on: Of a cascade: share of the validation examples that its second model computes;
            ``None`` of one that stands alone.
        derived: What it was made of after the search, and what that brought; ``None`` of a trial
            of the search.
        runtime: How its file is best run here; ``None`` where that was not measured.
        left_on_cpu: Of predictions on a GPU: operators that run on the CPU all the same, by name.
        folds: Scores of a cross-validation, that on the study's own validation split first. Once
            trials are compared, ``score`` and ``resampled`` follow from them, see
            :mod:`greenfront.studies.analysis.scores.cross_validated`.
    """

    score: Score
    phases: Mapping[str, Reading]
    inference: Reading
    latency_seconds: float
    parameters: int
    flops: int
    artefact_bytes: int
    pruned_ratio: float
    epochs: int
    peak_memory_bytes: int | None
    artefact: str
    max_error: float | None = None
    agreement: float | None = None
    unreal: tuple[str, ...] = ()
    torch_file_error: float | None = None
    inference_spread: float | None = None
    batched: Batched | None = None
    measurements: int = 1
    zeros: float = 0.0
    compressed_bytes: int | None = None
    floating_layers: int = 0
    resampled: str | None = None
    preprocessing: Reading | None = None
    relative_error: float | None = None
    decisions: Decisions | None = None
    graph: str | None = None
    measured: tuple[GraphReading, ...] = ()
    curve: tuple[float, ...] = ()
    passed_on: float | None = None
    derived: Derived | None = None
    runtime: RuntimeAdvice | None = None
    left_on_cpu: Mapping[str, int] = field(default_factory=dict)
    folds: tuple[FoldScore, ...] = ()

    @property
    def examples(self) -> int | None:
        """On how many examples it was judged; ``None`` where it does not tell."""
        if self.folds:
            return sum(fold.examples for fold in self.folds)
        return None if self.decisions is None else sum(self.decisions.predicted)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Of the phases and of one prediction."""
        return (*self.phases.values(), self.inference, *self._preprocessed)

    @property
    def machine(self) -> str:
        """Model of the processor on which predictions were read; empty where unknown."""
        return self.measured[0].machine if self.measured else ""

    @property
    def answer(self) -> Reading:
        """Energy of one prediction with its preprocessing, as far as that was metered."""
        return total([self.inference, *self._preprocessed])

    @property
    def _preprocessed(self) -> tuple[Reading, ...]:
        return () if self.preprocessing is None else (self.preprocessing,)

    @property
    def training(self) -> Reading:
        """Sum of :attr:`phases`."""
        return total(self.phases.values())


@dataclass(frozen=True, slots=True)
class Weighed:
    """A measured model at both ends of the interval in which a prediction's energy lies."""

    cheap: Outcome
    dear: Outcome
