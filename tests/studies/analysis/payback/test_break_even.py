"""When a search has paid for itself, and what is said where there is no such number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from greenfront.objectives.outcome import Outcome
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.payback.break_even import BreakEven, break_even
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.words.wording import break_even_sentence, kind_of_readings
from greenfront.studies.store.ledger import Spent

SPENT = Spent(1.0, 0.5, 2.0, 0.1, 10.0, 10.0, 4, 0)


@pytest.fixture
def model(make_outcome: Callable[..., Outcome]) -> Callable[..., ScoredTrial]:
    """A trial by its number and joules a prediction."""

    def make(trial: int, joules: float | None) -> ScoredTrial:
        candidate = Candidate(ArchitectureChoice("mlp", ()))
        outcome = make_outcome(0.9, 1e-3, joules)
        return ScoredTrial(1, trial, candidate, outcome, 0.9, 1.0, 1.0, 90.0, None)

    return make


def test_each_verdict(model: Callable[..., ScoredTrial]) -> None:
    best, baseline = model(1, 1.0), model(0, 4.6)
    unknown = replace(SPENT, unmetered=4)
    assert break_even(best, baseline, SPENT) == BreakEven("paid back", pytest.approx(1e6))
    assert break_even(model(1, 4.6), baseline, SPENT) == BreakEven("never")
    assert break_even(model(1, 9.0), baseline, SPENT) == BreakEven("never")
    assert break_even(None, baseline, SPENT) == BreakEven("no eligible model")
    assert break_even(best, None, SPENT) == BreakEven("no baseline")
    assert break_even(baseline, baseline, SPENT) == BreakEven("best is baseline")
    assert break_even(model(1, None), baseline, SPENT) == BreakEven("inference unknown")
    assert break_even(best, model(0, None), SPENT) == BreakEven("inference unknown")
    # A tenth of the baseline's energy a prediction: "never" would be false.
    assert break_even(model(1, 0.46), baseline, unknown) == BreakEven("spending unknown")


def test_json_says_whether_the_predictions_that_it_is_made_for_are_enough() -> None:
    found = BreakEven("paid back", 2e6)
    assert found.to_json(2e6) == {
        "break_even_predictions": 2e6,
        "break_even_verdict": "paid back",
        "pays_for_itself": True,
    }
    assert found.to_json(1e6)["pays_for_itself"] is False
    assert BreakEven("never").to_json(1e6)["pays_for_itself"] is False
    for verdict in ("no baseline", "no eligible model", "best is baseline", "spending unknown"):
        assert BreakEven(verdict).to_json(1e6)["pays_for_itself"] is None


def test_a_number_is_judged_by_what_the_model_is_made_for() -> None:
    found = BreakEven("paid back", 2e6)
    assert break_even_sentence(found, 3e6, "measured") == (
        "Pays for itself after 2.00 M of the 3,000,000 predictions (measured)."
    )
    assert break_even_sentence(found, 1e6, "modelled") == (
        "Does not pay for itself: 2.00 M predictions would be needed, it is made for 1,000,000 "
        "(modelled)."
    )


@pytest.mark.parametrize(
    ("meters", "kinds", "word"),
    [
        (None, [], "not metered"),
        ([], ["unavailable"], "not metered"),
        (["modelled"], ["unavailable"], "modelled"),
        (["measured"], [], "measured"),
        (["measured"], ["modelled"], "partly modelled"),
        (["measured", "modelled"], [], "partly modelled"),
    ],
)
def test_one_word_for_how_joules_were_come_by(
    meters: list[str] | None, kinds: list[str], word: str
) -> None:
    pinned = None if meters is None else [{"component": "cpu", "kind": kind} for kind in meters]
    assert kind_of_readings(pinned, kinds) == word
