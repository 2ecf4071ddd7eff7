from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.readings import Reading
from greenfront.objectives.scores import Scoring
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.scores.rescore import rescored
from greenfront.studies.store.trials import Trial

TRIED = Candidate(ArchitectureChoice("mlp", ()))


NUMBERS = st.floats(1e-9, 1e9)


def reading(joules: float, cpu_seconds: float) -> Reading:
    return Reading(joules, joules / 2, joules * 2, "modelled", "model", cpu_seconds, cpu_seconds)


@given(
    st.floats(0, 1),
    st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5),
    st.tuples(NUMBERS, NUMBERS),
    st.floats(0, 1e12),
    st.floats(0, 2000),
    st.floats(1, 3),
    st.floats(0, 0.1),
)
def test_the_studys_own_settings_give_its_own_numbers_exactly(
    accuracy: float,
    phases: list[tuple[float, float]],
    inference: tuple[float, float],
    predictions: float,
    g_per_kwh: float,
    pue: float,
    embodied: float,
) -> None:
    outcome = Outcome(
        score=accuracy,
        phases={f"phase {index}": reading(*phase) for index, phase in enumerate(phases)},
        inference=reading(*inference),
        latency_seconds=0.1,
        parameters=1,
        flops=1,
        artefact_bytes=1,
        pruned_ratio=0.0,
        epochs=1,
        peak_memory_bytes=None,
        artefact="a/model.onnx",
    )
    carbon = CarbonModel(Intensity(g_per_kwh, "here", "stated"), pue, embodied, 8)
    scoring = Scoring(predictions, carbon)
    values = scoring.values(outcome)
    stored = json.loads(json.dumps([values, to_json(outcome)]))
    kept = from_json(Outcome, stored[1])
    row = Trial(
        0, 0, "k", "complete", TRIED, tuple(stored[0]), kept, None, started_at=0, finished_at=1
    )
    assert rescored([row], scoring, {}) == [row]


def test_what_has_no_values_passes(make_outcome: Callable[..., Outcome]) -> None:
    failed = Trial(0, 0, "k", "failed", TRIED, None, None, "it did", 0.0, 1.0)
    scoring = Scoring(1.0, CarbonModel(Intensity(1.0, "here", "stated")))
    assert rescored([failed], scoring, {}) == [failed]
