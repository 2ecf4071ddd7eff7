"""Whether an exported model keeps its limits, as a gate for what is merged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from greenfront.errors import UsageError
from greenfront.objectives.stages.metered import InferenceCost
from greenfront.studies.analysis.words.metric_words import change, score
from greenfront.studies.analysis.words.quantities import UNAVAILABLE, joules, percent, seconds, size
from greenfront.studies.export.card_text import table
from greenfront.studies.export.comparing import ModelComparison, compare
from greenfront.studies.export.record import Difference, ModelRecord

__all__ = ["CheckLimits", "Checked", "Finding", "check", "markdown"]


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """What is asked of a model; ``None`` is not asked.

    Attributes:
        joules: Of one prediction, measured here, at most.
        max_drop: By how much its score may be worse than the other's, or without one than that of
            its study's untouched baseline; of errors as a share of that of a model that has learnt
            nothing.
        max_increase: By which share a prediction may take more than the other's, both measured
            here.

    Raises:
        UsageError: Nothing is asked, or a number is out of its range.
    """

    joules: float | None = None
    max_drop: float | None = None
    max_increase: float | None = None

    def __post_init__(self) -> None:
        if (self.joules, self.max_drop, self.max_increase) == (None, None, None):
            raise UsageError(
                "nothing to check: give --max-joules, --max-drop or --max-increase, such as "
                "--max-joules 2mJ"
            )
        for name in ("joules", "max_drop", "max_increase"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name}: must be a finite number of 0 or more, got {value:g}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was asked.

    Attributes:
        asked: In words.
        limit: In words.
        found: In words.
        passed: Whether the limit is kept; what is unknown keeps none.
    """

    asked: str
    limit: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """A model that was held to its limits.

    Attributes:
        record: Of the model.
        cost: Of one prediction, measured here.
        made_up: Whether that was on made-up examples.
        findings: One for each limit.
        other: The comparison with the other model; ``None`` without one.
        other_cost: Of one prediction of the other, measured here; ``None`` without one.
        broken: What is wrong with the folder's files, in sentences.
    """

    record: ModelRecord
    cost: InferenceCost
    made_up: bool
    findings: tuple[Finding, ...]
    other: ModelComparison | None = None
    other_cost: InferenceCost | None = None
    broken: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every limit is kept and the folder is whole."""
        return not self.broken and all(finding.passed for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The object of ``greenfront check --json``."""
        reading = self.cost.reading
        return {
            "study": self.record.study,
            "trial": self.record.model.trial,
            "passed": self.passed,
            "findings": [asdict(finding) for finding in self.findings],
            "broken": list(self.broken),
            "made_up_inputs": self.made_up,
            "joules": reading.joules,
            "low_joules": reading.low_joules,
            "high_joules": reading.high_joules,
            "spread": self.cost.spread,
            "kind": reading.kind,
            "source": reading.source,
            "latency_seconds": self.cost.latency_seconds,
            "against": None if self.other is None else self.other.to_json(),
            "against_joules": None if self.other_cost is None else self.other_cost.reading.joules,
        }


def check(
    record: ModelRecord,
    cost: InferenceCost,
    limits: CheckLimits,
    *,
    other: tuple[ModelRecord, InferenceCost] | None = None,
    made_up: bool = False,
    broken: tuple[str, ...] = (),
) -> Checked:
    """Holds a model to its limits.

    Args:
        record: Of the model.
        cost: Of one prediction, measured here.
        limits: What is asked.
        other: What it is compared with: record, and cost measured here in the same way.
        made_up: Whether both were measured on made-up examples.
        broken: What is wrong with the folder's files.

    Raises:
        UsageError: A limit needs another model, and there is none; or the two are judged by
            different metrics.
    """
    compared = None if other is None else compare(other[0], record)
    other_cost = None if other is None else other[1]
    found = tuple(_findings(record, cost, limits, compared, other_cost))
    return Checked(record, cost, made_up, found, compared, other_cost, broken)


def _findings(
    record: ModelRecord,
    cost: InferenceCost,
    limits: CheckLimits,
    compared: ModelComparison | None,
    other_cost: InferenceCost | None,
) -> Iterator[Finding]:
    found = cost.reading.joules
    if limits.joules is not None:
        kept = found is not None and found <= limits.joules
        asked = f"energy of a prediction ({cost.reading.kind})"
        yield Finding(asked, f"≤ {joules(limits.joules)}", _spread(cost), kept)
    if limits.max_drop is not None:
        yield _drop(record, limits.max_drop, compared)
    if limits.max_increase is not None:
        if other_cost is None:
            raise UsageError(
                "--max-increase: is against another model: give --against OTHER_DIR, or leave it "
                "out"
            )
        usual = other_cost.reading.joules
        ratio = None if found is None or not usual else found / usual
        kept = ratio is not None and ratio <= 1 + limits.max_increase
        allowed = f"≤ {percent(1 + limits.max_increase)}"
        yield Finding("energy of a prediction, of the other's", allowed, percent(ratio), kept)


def _drop(record: ModelRecord, allowed: float, compared: ModelComparison | None) -> Finding:
    metric = record.metric
    than, found = _than(record, compared)
    limit = allowed * metric.unit_drop
    asked = f"{metric.title} against {than}"
    told = f"≤ {100 * limit:.3g} points worse" if metric.in_percent else f"≤ {limit:.3g} worse"
    if found is None:
        return Finding(asked, told, UNAVAILABLE, False)
    worse = metric.worse_by(found.value, 0.0)
    shown = change(metric, found.value, found.low, found.high)
    return Finding(asked, told, shown, worse <= limit + 1e-12)


def _than(record: ModelRecord, compared: ModelComparison | None) -> tuple[str, Difference | None]:
    """What the score is held against, and by how much it differs."""
    if compared is not None:
        named = f"{compared.first.study}, trial {compared.first.model.trial}"
        return f"{named}, on {compared.split or 'no common split'}", compared.difference
    if record.test_difference is not None:
        return "the untouched baseline, on test", record.test_difference
    return "the untouched baseline, on validation", record.validation_difference


def markdown(checked: Checked) -> str:
    """The summary for a pull request."""
    record, cost = checked.record, checked.cost
    verdict = "✅ keeps its limits" if checked.passed else "❌ breaks its limits"
    rows = [
        ("✅" if each.passed else "❌", each.asked, each.limit, each.found)
        for each in checked.findings
    ]
    model = record.model
    judged = model.test or model.validation
    split = "test" if model.test is not None else "validation"
    facts = [
        ("one prediction", f"{_spread(cost)} ({cost.reading.kind})"),
        ("latency", seconds(cost.latency_seconds)),
        ("file", size(model.file_bytes)),
    ]
    if judged is not None:
        facts.append((f"{record.metric.title} on {split}", score(record.metric, judged.value)))
    if checked.other_cost is not None:
        other = checked.other_cost.reading
        facts.append(("one prediction of the other", f"{joules(other.joules)} ({other.kind})"))
    parts = [
        f"### greenfront: {record.study}, trial {model.trial} {verdict}",
        table(("", "asked", "limit", "found"), rows),
        *(f"- ❌ {each}" for each in checked.broken),
        table(("measured here", ""), facts),
    ]
    if checked.made_up:
        parts.append("Measured on made-up inputs; `--input FILE` takes real ones.")
    return "\n\n".join(parts) + "\n"


def _spread(cost: InferenceCost) -> str:
    told = joules(cost.reading.joules)
    return told if cost.spread is None else f"{told} ±{percent(cost.spread)}"
