"""What each technique brings, alone and combined: the table of the field's papers.

Every row is held against the untouched network of the very same architecture in the same study, so
that a smaller shape is no technique's merit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from greenfront.objectives.metrics import Metric
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.ranking.front import ScoredTrial, most_accurate
from greenfront.studies.analysis.view import StudyView

__all__ = ["TechniqueRow", "technique_rows", "techniques_of"]

TITLES = {"precision": "quantization"}
"""Names of techniques where the field's is another than that of the settings."""


@dataclass(frozen=True, slots=True)
class TechniqueRow:
    """One combination of techniques on one family of networks.

    Attributes:
        family: Of the networks.
        techniques: Which are applied; none of the baseline's own row.
        model: The trial that stands for the combination, in a line; empty where none has finished.
        trial: Its number; ``None`` where none has finished.
        baseline: Number of the untouched trial of the same architecture.
        score: In the metric's unit.
        retained: What a Green Score counts of the metric, as a share of the baseline's; ``None`` if
            unknown, as all below.
        prediction_reduction: Energy of a prediction that is saved, as a share of the baseline's.
        energy_reduction: The same of making the model and of all its predictions.
        co2_reduction: The same of CO₂.
        size_reduction: The same of the file's bytes.
        objection: Why it is not accurate enough; ``None`` if it is, or unknown.
    """

    family: str
    techniques: tuple[str, ...]
    model: str = ""
    trial: int | None = None
    baseline: int | None = None
    score: float | None = None
    retained: float | None = None
    prediction_reduction: float | None = None
    energy_reduction: float | None = None
    co2_reduction: float | None = None
    size_reduction: float | None = None
    objection: str | None = None

    @property
    def title(self) -> str:
        """The techniques in words, such as ``"pruning + quantization"``."""
        return " + ".join(self.techniques) or "untouched"

    def to_json(self) -> dict[str, Any]:
        """A row of ``greenfront table --json``."""
        return {**asdict(self), "techniques": list(self.techniques), "title": self.title}


def techniques_of(candidate: Candidate) -> tuple[str, ...]:
    """Which techniques are applied to a candidate, by the field's names, in their order."""
    sections = (one.section for one in candidate.settings if not one.untouched)
    return tuple(TITLES.get(section, section) for section in sections)


def technique_rows(view: StudyView) -> list[TechniqueRow]:
    """The rows of a study, family by family: untouched, each technique alone, then combinations.

    Of each combination the trial with the best Green Score that is accurate enough, else the most
    accurate one; only trials whose own architecture was also finished untouched count. Each
    technique that the study has tried anywhere has a row alone, if only of unknowns.
    """
    rows = {row.trial: row for row in (*view.complete, *view.front.rows)}
    families: dict[str, list[ScoredTrial]] = defaultdict(list)
    for row in rows.values():
        if _is_network(row.candidate):
            families[row.candidate.architecture.family].append(row)
    tried = _tried(view)
    found: list[TechniqueRow] = []
    for family, members in families.items():
        found += _family_rows(view, family, members, tried)
    return found


def _tried(view: StudyView) -> list[tuple[str, ...]]:
    """Each technique alone and every combination that was tried, the simplest first."""
    networks = (trial.candidate for trial in view.trials if _is_network(trial.candidate))
    combined = {techniques_of(candidate) for candidate in networks} - {()}
    names = list(dict.fromkeys(name for combination in combined for name in combination))
    return sorted(combined | {(name,) for name in names}, key=lambda each: (len(each), each))


def _is_network(candidate: Candidate) -> bool:
    """Whether it is one network by itself: what is joined belongs to several families."""
    return candidate.stands_alone and candidate.needs_network


def _family_rows(
    view: StudyView, family: str, members: Sequence[ScoredTrial], tried: Sequence[tuple[str, ...]]
) -> Iterator[TechniqueRow]:
    metric, baselines = view.metric, _baselines(members, view)
    if not baselines:
        return
    usual = view.baseline
    own = [row for row in baselines.values() if usual is not None and row.trial == usual.trial]
    first = most_accurate(own or list(baselines.values()), metric)
    if first is not None:
        yield _row(view, family, (), first, first)
    for combination in tried:
        mine = [
            row
            for row in members
            if row.candidate.architecture in baselines
            and techniques_of(row.candidate) == combination
        ]
        best = _representative(mine, metric)
        if best is None:
            yield TechniqueRow(family, combination)
        else:
            baseline = baselines[best.candidate.architecture]
            yield _row(view, family, combination, best, baseline)


def _baselines(
    members: Sequence[ScoredTrial], view: StudyView
) -> dict[ArchitectureChoice, ScoredTrial]:
    """The untouched trial of each architecture: the study's baseline, or the most accurate one."""
    untouched: dict[ArchitectureChoice, list[ScoredTrial]] = defaultdict(list)
    for row in members:
        if row.candidate.untouched:
            untouched[row.candidate.architecture].append(row)
    found: dict[ArchitectureChoice, ScoredTrial] = {}
    for architecture, rows in untouched.items():
        usual = [row for row in rows if view.baseline and row.trial == view.baseline.trial]
        best = usual[0] if usual else most_accurate(rows, view.metric)
        if best is not None:
            found[architecture] = best
    return found


def _representative(rows: Sequence[ScoredTrial], metric: Metric) -> ScoredTrial | None:
    eligible = [row for row in rows if row.eligible]
    if not eligible:
        return most_accurate(rows, metric)
    return min(eligible, key=lambda row: (-row.green_score, row.energy_kwh, row.trial))


def _row(
    view: StudyView,
    family: str,
    techniques: tuple[str, ...],
    row: ScoredTrial,
    baseline: ScoredTrial,
) -> TechniqueRow:
    metric, mine, usual = view.metric, row.outcome, baseline.outcome
    whole = metric.percent(baseline.score)
    return TechniqueRow(
        family=family,
        techniques=techniques,
        model=view.label(row),
        trial=row.trial,
        baseline=baseline.trial,
        score=row.score,
        retained=metric.percent(row.score) / whole if whole > 0 else None,
        prediction_reduction=_reduction(mine.answer.joules, usual.answer.joules),
        energy_reduction=_reduction(row.energy_kwh, baseline.energy_kwh),
        co2_reduction=_reduction(row.co2_kg, baseline.co2_kg),
        size_reduction=_reduction(mine.artefact_bytes, usual.artefact_bytes),
        objection=row.objection,
    )


def _reduction(mine: float | None, usual: float | None) -> float | None:
    """Share that is saved, negative where more is used; ``None`` where one is unknown or 0."""
    return None if mine is None or not usual else 1 - mine / usual
