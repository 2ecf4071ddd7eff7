from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.outcome import Outcome, Sizing
from greenfront.objectives.readings import Reading, total

amounts = st.floats(0, 1e9)
counts = st.integers(0, 10**12)
shares = st.floats(0, 1)


def readings() -> st.SearchStrategy[Reading]:
    flags = st.lists(st.text(max_size=4), max_size=2).map(tuple)
    known = st.builds(
        Reading, amounts, amounts, amounts, st.just("measured"), st.text(), amounts, amounts, flags
    )
    nothing = st.none()
    unknown = st.builds(
        Reading,
        nothing,
        nothing,
        nothing,
        st.just("unavailable"),
        st.text(),
        amounts,
        amounts,
        flags,
    )
    return known | unknown


def outcomes() -> st.SearchStrategy[Outcome]:
    return st.builds(
        Outcome,
        score=shares,
        phases=st.dictionaries(st.text(max_size=6), readings(), max_size=3),
        inference=readings(),
        latency_seconds=amounts,
        parameters=counts,
        flops=counts,
        artefact_bytes=counts,
        pruned_ratio=shares,
        epochs=counts,
        peak_memory_bytes=st.none() | counts,
        artefact=st.text(),
    )


@given(outcomes())
def test_outcomes_survive_json(outcome: Outcome) -> None:
    assert from_json(Outcome, json.loads(json.dumps(to_json(outcome)))) == outcome


@given(st.builds(Sizing, counts, counts, counts, readings(), amounts))
def test_sizings_survive_json(sizing: Sizing) -> None:
    assert from_json(Sizing, json.loads(json.dumps(to_json(sizing)))) == sizing


@given(outcomes())
def test_making_is_the_sum_of_the_phases(outcome: Outcome) -> None:
    assert outcome.training == total(outcome.phases.values())
