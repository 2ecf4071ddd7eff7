"""Whether a network was needed: the proof, and the sentence that gives it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.payback.no_network import no_network_needed
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.words.wording import no_network_sentence

ACCURACY = Metric("accuracy", nothing=0.1)

Scored = Callable[..., list[ScoredTrial]]


@pytest.fixture
def scored(make_outcome: Callable[..., Outcome]) -> Scored:
    """Trials from family, accuracy and energy; within a point of the best they are eligible."""

    def make(*rows: tuple[str, float, float]) -> list[ScoredTrial]:
        best = max(accuracy for _, accuracy, _ in rows)
        return [
            ScoredTrial(
                rank=0,
                trial=number,
                candidate=Candidate(ArchitectureChoice(family, ())),
                outcome=make_outcome(accuracy, energy, 1e-6),
                score=accuracy,
                energy_kwh=energy,
                co2_kg=energy,
                green_score=100 * accuracy / energy,
                objection=None if accuracy >= best - 0.01 else "too far below the best",
            )
            for number, (family, accuracy, energy) in enumerate(rows)
        ]

    return make


def test_a_leaner_model_that_is_accurate_enough_makes_networks_needless(scored: Scored) -> None:
    rows = scored(
        ("sklearn:logistic", 0.900, 1.0),  # leaner still, but not accurate enough
        ("sklearn:extra_trees", 0.955, 2.0),
        ("sklearn:hist_gradient_boosting", 0.960, 3.0),
        ("mlp", 0.962, 9.0),
        ("cnn", 0.953, 4.0),
        ("mlp", 0.700, 0.1),
    )
    found = no_network_needed(rows, ACCURACY)
    assert found is not None
    assert found.leanest is not None
    numbers = found.model.trial, found.most_accurate.trial, found.leanest.trial
    assert numbers == (1, 3, 4)
    assert no_network_sentence(found, 1e6, "modelled", ACCURACY) == (
        "You do not need a network here: sklearn:extra_trees (trial 1) reaches accuracy 95.5%, "
        "the most accurate network (trial 3) 96.2%; making it and 1,000,000 predictions take "
        "2.00 kWh (modelled), with the leanest network that is accurate enough (trial 4) 4.00 kWh."
    )


def test_a_network_that_is_leaner_or_more_accurate_is_needed(scored: Scored) -> None:
    leaner = scored(("sklearn:extra_trees", 0.960, 2.0), ("mlp", 0.955, 1.5))
    more_accurate = scored(("sklearn:extra_trees", 0.940, 2.0), ("mlp", 0.960, 9.0))
    equal = scored(("sklearn:extra_trees", 0.960, 2.0), ("mlp", 0.960, 2.0))
    for rows in (leaner, more_accurate, equal):
        assert no_network_needed(rows, ACCURACY) is None


def test_where_no_network_is_accurate_enough_that_is_said(scored: Scored) -> None:
    found = no_network_needed(
        scored(("sklearn:extra_trees", 0.960, 2.0), ("mlp", 0.900, 1.0)), ACCURACY
    )
    assert found is not None
    assert found.leanest is None
    assert no_network_sentence(found, 10, "measured", ACCURACY).endswith(
        "take 2.00 kWh (measured), and no network that was tried is accurate enough."
    )


def test_of_errors_less_is_better(scored: Scored) -> None:
    rows = scored(("sklearn:ridge", 3.0, 1.0), ("mlp", 3.0, 2.0), ("mlp", 2.995, 3.0))
    rmse = Metric("rmse", nothing=9.0, unit="in units of 'dose'")
    found = no_network_needed(rows, rmse)
    assert found is not None
    assert found.most_accurate.trial == 2
    assert "reaches RMSE 3 in units of 'dose', " in no_network_sentence(found, 1, "measured", rmse)


def test_nothing_is_proved_without_both(scored: Scored) -> None:
    assert no_network_needed([], ACCURACY) is None
    assert no_network_needed(scored(("sklearn:ridge", 0.9, 1.0)), ACCURACY) is None
    assert no_network_needed(scored(("mlp", 0.9, 1.0)), ACCURACY) is None
