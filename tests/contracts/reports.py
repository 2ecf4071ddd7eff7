"""Studies to be reported, and a page as a parser sees it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.readings import Reading, ReadingKind
from greenfront.objectives.scores import Scoring
from greenfront.objectives.tasks.tables.schema import ColumnReport, Schema
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.studies.analysis.history.progress import ProgressPoint
from greenfront.studies.analysis.ranking.front import ScoredTrial, rank, scored
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Spent
from greenfront.studies.store.trials import NetworkTrial, Trial

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NASTY = "<script>alert('x')</script> & \"naïve\" ＣＯ₂ </script> ${y}"
SOURCE = "CPU seconds × 3.1 W per busy thread"


def reading(joules: float, kind: ReadingKind = "modelled") -> Reading:
    return Reading(joules, 0.6 * joules, 1.7 * joules, kind, SOURCE, joules / 3.1, joules / 2.8)


def candidate(index: int, family: str) -> Candidate:
    width = [0.25, 0.5, 1.0][index % 3]
    return Candidate(
        ArchitectureChoice(family, (("depth", 1 + index % 4), ("width", width))),
        pruning=Pruning([0.0, 0.3, 0.55, 0.8][index % 4]),
        precision=Precision([32, 16, 8][index % 3]),
        distillation=Distillation(4.0, 0.7) if index % 5 == 4 else None,
    )


def study_file(embodied: float = 0.0, grams: float = 56.04) -> StudyFile:
    carbon = {"g_per_kwh": grams, "pue": 1.2, "embodied_kg_per_device_hour": embodied}
    return StudyFile.model_validate(
        {"study": {"name": "digits", "seed": 7}, "task": {"kind": "digits"}, "carbon": carbon}
    )


def complete(
    number: int, tried: Candidate, file: StudyFile, kind: ReadingKind = "modelled"
) -> NetworkTrial:
    rng = np.random.default_rng(number)
    share = (1 - tried.pruning.ratio) * tried.precision.bits / 32
    cost = 4e-5 * (0.03 + share) * float(rng.uniform(0.7, 1.5))
    accuracy = 0.985 - 0.02 / (0.05 + share) * float(rng.uniform(0.05, 0.6))
    outcome = Outcome(
        score=round(accuracy, 4),
        phases={"train": reading(60.0 + 3 * number, kind), "prune": reading(2.0, kind)},
        inference=reading(cost, kind),
        latency_seconds=cost / 2,
        parameters=int(120_000 * (1 - tried.pruning.ratio)) + number,
        flops=int(5e6 * share),
        artefact_bytes=int(480_000 * share) + 9_000,
        pruned_ratio=0.92 * tried.pruning.ratio,
        epochs=9,
        peak_memory_bytes=None,
        artefact=f"ab/{number}.onnx",
    )
    values = Scoring(file.objectives.predictions, file.carbon.model()).values(outcome)
    return Trial(
        *(number, number, tried.key, "complete"),
        *(tried, values, outcome, None, 100.0 * number, 100.0 * number + 61),
    )


def unfinished(number: int, state: Any, reason: str | None, family: str = "mlp") -> NetworkTrial:
    tried = candidate(number, family)
    return Trial(
        *(number, number, tried.key, state, tried, None, None),
        *(reason, 100.0 * number, None if state == "running" else 100.0 * number + 12.5),
    )


def spent(kwh: float, entries: int = 10, unmetered: int = 0) -> Spent:
    return Spent(
        *(kwh, 0.6 * kwh, 1.7 * kwh, kwh * 0.0672, kwh * 1.16e6, kwh * 1.3e6, entries, unmetered)
    )


def study(
    *,
    trials: int = 24,
    embodied: float = 0.0,
    grams: float = 56.04,
    nasty: bool = False,
    kind: ReadingKind = "modelled",
) -> StudyView:
    """A study with a baseline (trial 0), a hopeless model, and trials that failed or stopped."""
    file = study_file(embodied, grams)
    name = NASTY if nasty else "digits"
    untouched = Candidate(ArchitectureChoice(NASTY if nasty else "cnn", (("depth", 3),)))
    rows = [complete(n, candidate(n, "cnn"), file, kind) for n in range(1, trials)]
    if trials:
        rows.insert(0, complete(0, untouched, file, kind))
    if trials > 1:
        poor = rows[-1].outcome
        assert poor is not None
        cheap = {"phases": {"train": reading(1.5, kind)}, "inference": reading(4e-7, kind)}
        outcome = replace(poor, score=0.0899, **cheap)
        values = Scoring(file.objectives.predictions, file.carbon.model()).values(outcome)
        rows[-1] = replace(rows[-1], values=values, outcome=outcome)
    reason = NASTY if nasty else "out of memory: the evaluator was killed at 2.1 GB"
    rows += [
        unfinished(trials, "failed", reason, NASTY if nasty else "mlp"),
        unfinished(trials + 1, "stopped", "dominated already at the accuracy ceiling"),
        unfinished(trials + 2, "running", None),
    ]
    front = rank(name, rows, file.objectives.tolerance, Metric("accuracy", 0.1011))
    done = scored(rows, front.floor)
    parts = {"train": 0.0021, "fine-tune": 0.0007, "inference": 0.0003, "search": 0.00004}
    if nasty:
        parts[NASTY] = 0.00001
    growing = [ProgressPoint(n, n - 1, 0.00012 * n, 1 - 0.9 / n) for n in range(1, len(done) + 1)]
    task = TaskFacts(
        *(NASTY if nasty else "digits", (1, 8, 8), tuple("0123456789")),
        *({"train": 1078, "validation": 359, "test": 360}, 0.1011, "f00d"),
    )
    if nasty:
        column = ColumnReport(NASTY, "category", NASTY, 3, NASTY, gives_away=True)
        task = replace(task, notes=(NASTY,), schema=Schema(1797, (column, column)))
    facts = StudyFacts(task, "cpu", False)
    return StudyView(
        name=name,
        file=file,
        facts=facts,
        scoring=file.scoring(facts),
        meters=[{"component": "cpu", "kind": kind, "source": NASTY if nasty else SOURCE}],
        kind=kind,
        trials=tuple(rows),
        counts=Counter(row.state for row in rows),
        complete=done,
        front=front,
        baseline=done[0] if done else None,
        steps=tuple(growing),
        spent=spent(sum(parts.values())),
        spent_by_phase={phase: spent(kwh) for phase, kwh in parts.items()},
    )


class Page(HTMLParser):
    """What a parser sees: tags with attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self.texts.append(("", ""))

    def handle_data(self, data: str) -> None:
        if self.texts:
            tag, text = self.texts.pop()
            self.texts.append((tag, text + data))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def of_families(view: StudyView, *names: str) -> StudyView:
    """The same study with its models in families of these names, in turn by their trials."""

    def named(row: ScoredTrial) -> ScoredTrial:
        family = ArchitectureChoice(names[row.trial % len(names)], ())
        return replace(row, candidate=replace(row.candidate, architecture=family))

    front = replace(view.front, rows=tuple(map(named, view.front.rows)))
    return replace(view, complete=tuple(map(named, view.complete)), front=front)


VIEWS = {
    "usual": study(),
    "embodied": study(embodied=0.002),
    "measured": study(kind="measured"),
    "nasty": study(nasty=True),
    "no emissions": study(grams=0.0),
    "nothing finished": study(trials=0),
    "one trial": study(trials=1),
    "no baseline": replace(study(), baseline=None),
    "nothing at all": replace(
        *(study(trials=0),),
        trials=(),
        counts=Counter(),
        meters=[],
        kind="not metered",
        spent=Spent(0.0, 0.0, 0.0, None, 0.0, 0.0, 0, 0),
        spent_by_phase={},
    ),
}

every_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
