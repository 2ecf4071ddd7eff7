"""How trials are shared between references, script and sampler."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.search.samplers.shares import TrialShares

USUAL = TrialShares(trials=40, references=3, baselines=2, script=24, sampler="nsga2")


@given(
    st.integers(1, 300),
    st.integers(0, 6),
    st.integers(1, 6),
    st.integers(0, 40),
    st.none() | st.integers(4, 60),
)
def test_the_script_takes_a_third_and_all_trials_are_given_out(
    trials: int, references: int, baselines: int, more: int, population: int | None
) -> None:
    shares = TrialShares(trials, references, baselines, baselines + more, "nsga2", population)
    assert shares.sampled is not None
    assert baselines <= shares.scripted <= max(trials // 3, baselines)
    assert shares.scripted <= baselines + more
    if references + baselines <= trials:
        assert references + shares.scripted + shares.sampled == trials
    assert (shares.warning is not None) == (shares.sampled < shares.generation)
    if shares.warning is not None:
        words = shares.warning.replace(",", "").split()
        enough = int(words[words.index("to", words.index("raise")) + 1])
        assert enough > trials
        assert replace(shares, trials=enough).warning is None
        assert replace(shares, trials=enough - 1).warning is not None


@pytest.mark.parametrize(("trials", "begun"), [(None, 22), (40, 22), (9, 9), (6, 1), (2, 1)])
def test_a_race_begins_of_the_script_what_is_a_third_of_the_effort(
    trials: int | None, begun: int
) -> None:
    """Each at a ninth of its epochs, beside two whole baselines."""
    raced = replace(USUAL, trials=trials, sampler="green")
    assert (raced.scripted, raced.begun) == (2, begun)


def test_the_shares_are_told_in_words() -> None:
    assert USUAL.sentence == (
        "40 trials: 3 references, 13 set beforehand (2 untouched baselines, 11 techniques alone or "
        "together), 24 of the sampler nsga2"
    )
    assert USUAL.warning is None
    few = replace(USUAL, trials=9)
    assert few.sentence == (
        "9 trials: 3 references, 3 set beforehand (2 untouched baselines, 1 technique alone or "
        "together), 3 of the sampler nsga2"
    )
    assert few.warning == (
        "3 of 9 trials are left to the sampler, which is less than a generation of 8: raise "
        "[budget] trials to 16, or leave the references out with [space] references = false"
    )


@pytest.mark.parametrize(
    ("trials", "told"), [(6, "1 of 6 trials is left"), (2, "none of 2 trials are left")]
)
def test_a_sampler_that_has_next_to_nothing(trials: int, told: str) -> None:
    assert told in (replace(USUAL, trials=trials).warning or "")
    without = replace(USUAL, trials=trials, references=0)
    assert "references" not in (without.warning or "") + without.sentence


def test_without_a_number_of_trials_nothing_is_warned_of() -> None:
    open_end = replace(USUAL, trials=None)
    assert open_end.scripted == USUAL.scripted
    assert open_end.sampled is None
    assert open_end.warning is None
    assert open_end.sentence == (
        "first 3 references and 13 set beforehand (2 untouched baselines, 11 techniques alone or "
        "together), then the sampler nsga2"
    )


def test_a_race_counts_by_effort_and_needs_no_generation() -> None:
    raced = replace(USUAL, sampler="green", trials=10)
    assert replace(raced, sampler="nsga2").warning is not None
    assert raced.warning is None
    assert raced.sentence.endswith(
        "of the sampler green (what is given up at a rung of its training counts by its share)"
    )


def test_a_race_is_given_the_baselines_and_what_was_found_before() -> None:
    raced = replace(USUAL, sampler="green")
    assert raced.scripted == 2
    assert replace(raced, warm=4).scripted == 6
    assert replace(raced, warm=40).scripted == 13
    assert raced.sentence.startswith("40 trials: 3 references, 2 set beforehand (2 untouched ")
