from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.reports import study
from greenfront.objectives.readings import Reading
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.sparsity import Sparsity
from greenfront.studies.analysis.findings.technique_table import technique_rows, techniques_of
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView

SHAPE = ArchitectureChoice("cnn", (("depth", 3),))
OTHER = ArchitectureChoice("cnn", (("depth", 1),))
BASE = study(trials=3)


def scored(number: int, candidate: Candidate, score: float, cost: float) -> ScoredTrial:
    """A trial that takes ``cost`` times what the first takes, in each thing that is counted."""
    row = BASE.complete[0]
    outcome = replace(
        row.outcome,
        score=score,
        inference=Reading(cost, cost, cost, "measured", "meter", cost, cost),
        artefact_bytes=round(1000 * cost),
    )
    return replace(
        row,
        trial=number,
        candidate=candidate,
        outcome=outcome,
        score=score,
        energy_kwh=cost,
        co2_kg=2 * cost,
        green_score=100 * score / (2 * cost),
        objection=None if score >= 0.8 else "too inaccurate",
    )


def viewed(*rows: ScoredTrial) -> StudyView:
    model = next(trial for trial in BASE.trials if trial.outcome is not None)
    trials = tuple(replace(model, number=row.trial, candidate=row.candidate) for row in rows)
    front = replace(BASE.front, rows=())
    return replace(BASE, complete=rows, trials=trials, front=front, baseline=rows[0], labels={})


UNTOUCHED = Candidate(SHAPE)
PRUNED = replace(UNTOUCHED, pruning=Pruning(0.5))
BOTH = replace(PRUNED, precision=Precision(8))


@pytest.mark.parametrize(
    ("candidate", "names"),
    [
        (UNTOUCHED, ()),
        (PRUNED, ("pruning",)),
        (BOTH, ("pruning", "quantization")),
        (replace(UNTOUCHED, distillation=Distillation(4.0, 0.5)), ("distillation",)),
        (replace(UNTOUCHED, sparsity=Sparsity(0.5)), ("sparsity",)),
    ],
)
def test_techniques_have_the_fields_names(candidate: Candidate, names: tuple[str, ...]) -> None:
    assert techniques_of(candidate) == names


def test_shares_are_those_of_the_same_architectures_baseline() -> None:
    rows = technique_rows(
        viewed(
            scored(0, UNTOUCHED, 0.90, 4.0),
            scored(1, PRUNED, 0.81, 1.0),
            scored(2, BOTH, 0.99, 5.0),
        )
    )
    untouched, pruned, quantized, both = rows
    assert untouched.title == "untouched"
    assert (untouched.retained, untouched.energy_reduction) == (1.0, 0.0)
    assert pruned.title == "pruning"
    assert pruned.retained == pytest.approx(0.9)
    for name in ("prediction_reduction", "energy_reduction", "co2_reduction", "size_reduction"):
        assert getattr(pruned, name) == pytest.approx(0.75)
        assert getattr(both, name) == pytest.approx(-0.25)  # what costs more is told
    assert both.retained == pytest.approx(1.1)
    # Quantization was never tried alone: unknown, and not nothing.
    assert quantized.title == "quantization"
    assert quantized.trial is None
    assert quantized.retained is None
    assert quantized.energy_reduction is None


def test_a_smaller_shape_is_no_techniques_merit() -> None:
    small = replace(PRUNED, architecture=OTHER)
    rows = technique_rows(viewed(scored(0, UNTOUCHED, 0.9, 4.0), scored(1, small, 0.9, 0.1)))
    assert rows[1].title == "pruning"
    assert rows[1].trial is None  # its own architecture was not finished untouched
    own = scored(2, Candidate(OTHER), 0.88, 0.2)
    rows = technique_rows(viewed(scored(0, UNTOUCHED, 0.9, 4.0), scored(1, small, 0.9, 0.1), own))
    assert (rows[1].trial, rows[1].baseline) == (1, 2)
    assert rows[1].energy_reduction == pytest.approx(0.5)


def test_the_best_that_is_accurate_enough_stands_for_a_combination() -> None:
    poor = scored(2, replace(PRUNED, pruning=Pruning(0.9)), 0.5, 0.01)
    good = scored(1, PRUNED, 0.85, 1.0)
    dear = scored(3, replace(PRUNED, pruning=Pruning(0.1)), 0.9, 3.0)
    rows = technique_rows(viewed(scored(0, UNTOUCHED, 0.9, 4.0), poor, good, dear))
    assert rows[1].trial == 1
    rows = technique_rows(viewed(scored(0, UNTOUCHED, 0.9, 4.0), poor))
    assert rows[1].trial == 2
    assert rows[1].objection == "too inaccurate"


def test_unmetered_predictions_are_unknown() -> None:
    row = scored(1, PRUNED, 0.9, 1.0)
    nothing = Reading(None, None, None, "unavailable", "none", 1.0, 1.0)
    row = replace(row, outcome=replace(row.outcome, inference=nothing))
    found = technique_rows(viewed(scored(0, UNTOUCHED, 0.9, 4.0), row))
    assert found[1].prediction_reduction is None
    assert found[1].size_reduction == pytest.approx(0.75)


def test_without_an_untouched_network_there_is_no_table() -> None:
    assert technique_rows(viewed(scored(1, PRUNED, 0.9, 1.0))) == []
    assert technique_rows(study(trials=0)) == []
