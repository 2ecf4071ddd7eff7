"""Two models side by side: which is better, by how much, and whether that is more than luck."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from greenfront.errors import UsageError
from greenfront.objectives.scores import predictions_co2_kg, training_co2_kg
from greenfront.studies.export.facts import paired_difference
from greenfront.studies.export.record import Difference, MeasuredModel, ModelRecord, Score

__all__ = ["ModelComparison", "Ratio", "compare"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One quantity of both models; lower is better.

    Attributes:
        name: Such as ``"energy of a prediction"``.
        unit: ``"J"``, ``"kWh"``, ``"kg"``, ``"s"`` or ``"B"``.
        first: Of the first model; ``None`` if unknown.
        second: Of the second.
        ratio: The second's over the first's; ``None`` if one is unknown, or the first is 0.
        low: Lower end of the ratio's 95 % interval by the scatter of its measurements; ``None`` if
            unknown.
        high: Upper end; ``None`` with ``low``.
    """

    name: str
    unit: str
    first: float | None
    second: float | None
    ratio: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """The second model against the first.

    Attributes:
        first: The first model.
        second: The second.
        split: On which both were judged, ``"test"`` or ``"validation"``; ``None`` where on none.
        scores: Of both there.
        difference: The second's score less the first's, paired where both were judged on the same
            examples; ``None`` where one is unknown.
        ratios: Energy, carbon, latency, size and others.
        remarks: What a reader must know of it, in sentences.
    """

    first: ModelRecord
    second: ModelRecord
    split: str | None
    scores: tuple[Score, Score] | None
    difference: Difference | None
    ratios: tuple[Ratio, ...]
    remarks: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Which scores better, in words, and whether that is more than luck."""
        found = self.difference
        if found is None:
            return "cannot be told: one of them has no score on the same split"
        metric = self.first.metric
        gain = -metric.worse_by(found.value, 0.0)
        better = "the second" if gain > 0 else "the first"
        if found.low is None or found.high is None:
            return "equal" if gain == 0 else f"{better} scores better, by luck or not is unknown"
        if found.low <= 0 <= found.high:
            return "cannot be told apart: the difference may be luck"
        return f"{better} scores better, by more than luck"

    def to_json(self) -> dict[str, Any]:
        """The object of ``greenfront compare --json``."""
        return {
            "first": _named(self.first),
            "second": _named(self.second),
            "metric": self.first.metric.name,
            "split": self.split,
            "scores": None if self.scores is None else [_told(score) for score in self.scores],
            "difference": None if self.difference is None else asdict(self.difference),
            "verdict": self.verdict,
            "ratios": [asdict(ratio) for ratio in self.ratios],
            "remarks": list(self.remarks),
        }


def compare(first: ModelRecord, second: ModelRecord) -> ModelComparison:
    """Compares two models; carbon and lifetimes of both are scored as those of the first.

    Raises:
        UsageError: They are judged by different metrics, so that no difference of scores means
            anything.
    """
    if first.metric.name != second.metric.name:
        raise UsageError(
            f"the models are judged by {first.metric.title} and {second.metric.title}: compare "
            "two that are judged by the same metric"
        )
    same = first.task.fingerprint == second.task.fingerprint
    split, scores = _judged(first.model, second.model)
    return ModelComparison(
        first,
        second,
        split,
        scores,
        None if scores is None else _difference(*scores, same),
        tuple(_ratios(first, second)),
        tuple(_remarks(first, second, same)),
    )


def _judged(
    first: MeasuredModel, second: MeasuredModel
) -> tuple[str | None, tuple[Score, Score] | None]:
    """The most telling split on which both were judged."""
    if first.test is not None and second.test is not None:
        return "test", (first.test, second.test)
    if first.validation is not None and second.validation is not None:
        return "validation", (first.validation, second.validation)
    return None, None


def _difference(first: Score, second: Score, same: bool) -> Difference:
    paired = same and first.examples == second.examples
    mine = second.resampled if paired else None
    return paired_difference(second.value, mine, first.value, first.resampled)


def _ratios(first: ModelRecord, second: ModelRecord) -> Iterator[Ratio]:
    one, two = first.model, second.model
    spread = _spread(one, two)
    for name, unit, mine, other, scatter in (
        (
            *("energy of a prediction", "J"),
            *(one.answer.reading.joules, two.answer.reading.joules, spread),
        ),
        ("energy of making it", "kWh", one.training.reading.kwh, two.training.reading.kwh, None),
        ("energy of both", "kWh", _lifetime_kwh(first, one), _lifetime_kwh(first, two), None),
        ("CO₂ of both", "kg", _lifetime_kg(first, one), _lifetime_kg(first, two), None),
        ("latency", "s", one.latency_seconds, two.latency_seconds, None),
        ("file", "B", float(one.file_bytes), float(two.file_bytes), None),
        ("energy of its search", "kWh", first.search.kwh, second.search.kwh, None),
    ):
        yield _ratio(name, unit, mine, other, scatter)


def _ratio(
    name: str, unit: str, mine: float | None, other: float | None, spread: float | None
) -> Ratio:
    if mine is None or other is None or mine <= 0:
        return Ratio(name, unit, mine, other, None)
    ratio = other / mine
    if spread is None:
        return Ratio(name, unit, mine, other, ratio)
    return Ratio(name, unit, mine, other, ratio, ratio / (1 + spread), ratio * (1 + spread))


def _spread(one: MeasuredModel, two: MeasuredModel) -> float | None:
    """Relative half width of the interval of a ratio of two independent measurements.

    To first order the squares of both add up. Of preprocessing no scatter is known.
    """
    if one.preprocessing is not None or two.preprocessing is not None:
        return None
    if one.inference_spread is None or two.inference_spread is None:
        return None
    return math.hypot(one.inference_spread, two.inference_spread)


def _lifetime_kwh(scored_by: ModelRecord, model: MeasuredModel) -> float | None:
    made, answered = model.training.reading.kwh, model.answer.reading.kwh
    if made is None or answered is None:
        return None
    return made + scored_by.scoring.predictions * answered


def _lifetime_kg(scored_by: ModelRecord, model: MeasuredModel) -> float | None:
    scoring = scored_by.scoring
    made = training_co2_kg(model.training.reading, scoring.carbon)
    answered = predictions_co2_kg(model.answer.reading, scoring.predictions, scoring.carbon)
    return None if made is None or answered is None else made + answered


def _remarks(first: ModelRecord, second: ModelRecord, same: bool) -> Iterator[str]:
    if not same:
        yield (
            f"They were judged on different examples ({first.task.name} and {second.task.name}): "
            "the difference of scores is not paired"
        )
    mine, other = first.model.answer.reading, second.model.answer.reading
    if mine.source != other.source or mine.kind != other.kind:
        yield (
            f"Their energies were come by differently ({mine.kind}: {mine.source}; {other.kind}: "
            f"{other.source}): the ratio is one of both"
        )
    if first.hardware.processor != second.hardware.processor:
        yield (
            f"They were measured on different machines ({first.hardware.processor or 'unknown'}, "
            f"{second.hardware.processor or 'unknown'})"
        )
    if first.scoring != second.scoring:
        yield "Carbon and lifetimes are scored as the first's study scores them"
    if first.study == second.study and first.search == second.search:
        yield "Both were found by the same search"


def _named(record: ModelRecord) -> dict[str, Any]:
    return {
        "study": record.study,
        "trial": record.model.trial,
        "model": record.model.description,
        "kind": record.model.answer.reading.kind,
    }


def _told(score: Score) -> dict[str, Any]:
    return {
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "examples": score.examples,
    }
