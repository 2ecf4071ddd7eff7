"""Further measurements of finished trials' files and graphs, taken together with the first ones."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from greenfront.objectives.outcome import Batched, GraphReading, Outcome, Repeat
from greenfront.objectives.pooling import Scatter, median_reading, pooled
from greenfront.objectives.readings import Reading
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["Measurements", "graph_of", "inferences", "settled"]


def graph_of(outcome: Outcome, key: str) -> str:
    """Key of the graph that a trial's file executes, whose measurements it shares.

    Args:
        outcome: Of the trial.
        key: Of its candidate, which stands for a graph of its own in older studies.
    """
    return outcome.graph or key


@dataclass(frozen=True, slots=True)
class Measurements:
    """All measurements of a study's predictions, by the graph that was measured.

    Attributes:
        graphs: Candidate's key → key of the graph that its file executes. In older studies each
            file stands for a graph of its own.
        readings: Key of a graph → its measurements, each once, however many trials tell of it.
        batched: Key of a graph → its measurements in batches.
    """

    graphs: Mapping[str, str]
    readings: Mapping[str, Sequence[GraphReading]]
    batched: Mapping[str, Sequence[Batched]]

    @classmethod
    def of(
        cls, trials: Sequence[NetworkTrial], repeats: Mapping[str, Sequence[Repeat]]
    ) -> Measurements:
        """Those of the trials as they were stored, and their repeats by candidate."""
        graphs: dict[str, str] = {}
        readings: dict[str, dict[str, GraphReading]] = {}
        batched: dict[str, list[Batched]] = {}
        for trial in trials:
            if trial.values is None or trial.outcome is None:
                continue
            again = repeats.get(trial.key, ())
            graphs[trial.key] = graph = graph_of(trial.outcome, trial.key)
            for reading in _readings(trial.key, trial.outcome, again):
                readings.setdefault(graph, {}).setdefault(reading.id, reading)
            batched.setdefault(graph, []).extend(one.batched for one in again if one.batched)
        return cls(graphs, {key: list(each.values()) for key, each in readings.items()}, batched)

    def scatter(self) -> Scatter:
        """Between the measurements of one graph, over all of the study."""
        return Scatter.of(self.readings.values())

    def settled(self, trial: NetworkTrial, repeats: Sequence[Repeat], scatter: Scatter) -> Outcome:
        """The outcome of a trial that has values, see :func:`settled`."""
        if trial.outcome is None:
            raise ValueError(f"trial {trial.number} has no outcome")
        graph = self.graphs[trial.key]
        outcome = _judged(trial.outcome, repeats)
        batched = _batched(self.batched[graph]) or outcome.batched
        return _pooled(outcome, self.readings[graph], scatter, batched)


def inferences(
    trials: Sequence[NetworkTrial], repeats: Mapping[str, Sequence[Repeat]]
) -> dict[str, tuple[Reading, ...]]:
    """From a candidate's key to all measurements of a prediction of its graph.

    Args:
        trials: As they were stored.
        repeats: Further measurements, by candidate.
    """
    known = Measurements.of(trials, repeats)
    return {
        key: tuple(reading.inference for reading in known.readings[graph])
        for key, graph in known.graphs.items()
    }


def settled(outcome: Outcome, repeats: Sequence[Repeat]) -> Outcome:
    """A trial's outcome with the medians of all measurements of its file.

    The score is that of the repeats, which judge on the whole validation split. What making
    the model cost was measured once and stays.

    Args:
        outcome: Of the trial.
        repeats: Further measurements; none leave it as it is.
    """
    if not repeats:
        return outcome
    judged = _judged(outcome, repeats)
    batched = _batched([repeat.batched for repeat in repeats if repeat.batched is not None])
    return _pooled(judged, _readings("", outcome, repeats), None, batched)


def _judged(outcome: Outcome, repeats: Sequence[Repeat]) -> Outcome:
    if not repeats:
        return outcome
    return replace(
        outcome,
        score=statistics.median(repeat.score for repeat in repeats),
        resampled=repeats[0].resampled,
        decisions=repeats[0].decisions or outcome.decisions,
    )


def _pooled(
    outcome: Outcome,
    measured: Sequence[GraphReading],
    scatter: Scatter | None,
    batched: Batched | None,
) -> Outcome:
    cost = pooled(measured, scatter)
    # What older studies say of their blocks stays as it was printed.
    spread = outcome.inference_spread if outcome.graph is None else cost.spread
    return replace(
        outcome,
        inference=cost.inference,
        latency_seconds=cost.latency_seconds,
        inference_spread=spread,
        measurements=len(measured),
        batched=batched,
    )


def _readings(key: str, outcome: Outcome, repeats: Sequence[Repeat]) -> list[GraphReading]:
    """Those of a trial and of its repeats; older ones are named after the trial."""
    first = GraphReading(
        f"{key}/0", outcome.inference, outcome.latency_seconds, outcome.inference_spread
    )
    again = (
        GraphReading(
            repeat.id or f"{key}/{place}",
            repeat.inference,
            repeat.latency_seconds,
            repeat.spread,
            repeat.machine,
        )
        for place, repeat in enumerate(repeats, start=1)
    )
    return [*(outcome.measured or (first,)), *again]


def _batched(measured: Sequence[Batched]) -> Batched | None:
    if not measured:
        return None
    return Batched(
        measured[0].batch,
        median_reading([one.inference for one in measured]),
        statistics.median(one.latency_seconds for one in measured),
    )
