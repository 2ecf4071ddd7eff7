"""Rows that would look alike are told apart by what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from greenfront.objectives.outcome import Outcome
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.training import Training
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.words.labels import labels

MLP = Candidate(ArchitectureChoice("mlp", (("depth", 1),)))


def test_only_what_looks_alike_gets_more_words(make_outcome: Callable[..., Outcome]) -> None:
    outcome = make_outcome(0.9, 1e-3, 1e-5)

    def row(trial: int, tried: Candidate) -> ScoredTrial:
        return ScoredTrial(1, trial, tried, outcome, 0.9, 1.0, 1.0, 90.0, None)

    slow = replace(MLP, training=Training(learning_rate=0.001, batch_size=32))
    fast = replace(MLP, training=Training(learning_rate=0.0031234, batch_size=64))
    other = replace(MLP, precision=Precision(8))
    alike = [row(3, slow), row(5, fast), row(7, other)]
    assert labels([*alike, row(3, slow)]) == {
        3: "mlp depth=1 · learning_rate=0.001 batch_size=32",
        5: "mlp depth=1 · learning_rate=0.00312 batch_size=64",
        7: other.describe(),
    }
    assert labels([row(3, slow)]) == {3: "mlp depth=1"}
    # Patience that follows from the epochs is no news; one that does not is.
    short, long = Training(epochs=10, patience=5), Training(epochs=30, patience=15)
    trained = [replace(MLP, training=each) for each in (short, long, replace(short, patience=4))]
    first, second, third = (row(number, each) for number, each in enumerate(trained))
    assert labels([first, second]) == {
        0: "mlp depth=1 · epochs=10",
        1: "mlp depth=1 · epochs=30",
    }
    assert labels([first, second, third])[2] == "mlp depth=1 · epochs=10 patience=4"
    assert labels([]) == {}


def test_numbers_have_as_many_digits_as_keep_them_apart(
    make_outcome: Callable[..., Outcome],
) -> None:
    outcome = make_outcome(0.9, 1e-3, 1e-5)
    pruned = [replace(MLP, pruning=Pruning(ratio)) for ratio in (0.50001, 0.50002)]
    rows = [
        ScoredTrial(1, trial, tried, outcome, 0.9, 1.0, 1.0, 90.0, None)
        for trial, tried in enumerate(pruned)
    ]
    line = pruned[0].describe()
    assert line == pruned[1].describe()
    assert labels(rows) == {
        0: f"{line} · pruning.ratio=0.50001",
        1: f"{line} · pruning.ratio=0.50002",
    }
