from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.outcome import Batched, Outcome, Repeat
from greenfront.objectives.readings import Reading
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.scores.medians import inferences, settled
from greenfront.studies.store.repeats import Repeats
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.trials import Trial

TRIED = Candidate(ArchitectureChoice("mlp", ()))


def reading(joules: float | None, flags: tuple[str, ...] = ()) -> Reading:
    told = joules is not None
    return Reading(
        joules,
        joules / 2 if told else None,
        joules * 2 if told else None,
        "modelled" if told else "unavailable",
        "model",
        0.001,
        0.002,
        flags,
    )


def repeat(joules: float | None, accuracy: float = 0.9, latency: float = 0.002) -> Repeat:
    return Repeat(accuracy, reading(joules), latency)


def test_repeats_are_kept_in_their_order_and_once(storage: Storage) -> None:
    book, other = Repeats(storage, 1), Repeats(storage, 2)
    assert book.all() == {}
    assert book.add("run", "b", 2, repeat(3.0))
    assert book.add("run", "b", 1, repeat(2.0))
    assert book.add("run", "a", 1, repeat(1.0))
    assert other.add("run", "a", 1, repeat(9.0))
    # Another run was quicker.
    assert not book.add("late", "a", 1, repeat(5.0))
    assert book.all() == {"a": (repeat(1.0),), "b": (repeat(2.0), repeat(3.0))}
    assert other.all() == {"a": (repeat(9.0),)}


def test_a_repeat_goes_through_json() -> None:
    for one in (repeat(1.5), repeat(None)):
        assert from_json(Repeat, to_json(one)) == one


def test_medians_of_all_measurements(make_outcome: Callable[..., Outcome]) -> None:
    outcome = replace(make_outcome(0.5, 1e-3, 4.0), latency_seconds=0.004)
    merged = settled(outcome, [repeat(1.0, 0.8, 0.001), repeat(2.0, 0.8, 0.002)])
    # The accuracy is that of the whole validation split, which only repeats see.
    assert (merged.score, merged.latency_seconds, merged.measurements) == (0.8, 0.002, 3)
    inference = merged.inference
    assert (inference.joules, inference.low_joules, inference.high_joules) == (2.0, 1.0, 4.0)
    assert merged.phases == outcome.phases
    assert from_json(Outcome, to_json(merged)) == merged


def test_batches_are_medians_of_the_repeats_that_measured_them(
    make_outcome: Callable[..., Outcome],
) -> None:
    def batched(joules: float) -> Repeat:
        return replace(repeat(1.0), batched=Batched(32, reading(joules), joules / 10))

    assert from_json(Repeat, to_json(batched(0.5))) == batched(0.5)
    outcome = make_outcome(0.5, 1e-3, 4.0)
    assert settled(outcome, [repeat(1.0)]).batched is None
    merged = settled(outcome, [batched(0.5), repeat(1.0), batched(0.3), batched(0.4)])
    assert merged.batched == Batched(32, reading(0.4), 0.04)
    assert from_json(Outcome, to_json(merged)) == merged


def test_without_repeats_nothing_changes(make_outcome: Callable[..., Outcome]) -> None:
    outcome = make_outcome(0.5, 1e-3, 4.0)
    assert settled(outcome, []) is outcome


def test_an_unavailable_measurement_makes_the_median_unavailable(
    make_outcome: Callable[..., Outcome],
) -> None:
    merged = settled(make_outcome(0.5, 1e-3, 4.0), [repeat(None), repeat(2.0)])
    assert (merged.inference.joules, merged.inference.kind) == (None, "unavailable")


def test_flags_of_any_measurement_stay(make_outcome: Callable[..., Outcome]) -> None:
    flagged = Repeat(0.9, reading(2.0, ("throttled",)), 0.001)
    assert settled(make_outcome(0.5, 1e-3, 4.0), [flagged]).inference.flags == ("throttled",)


@pytest.mark.parametrize("state", ["complete", "failed"])
def test_all_measurements_of_a_file(make_outcome: Callable[..., Outcome], state: str) -> None:
    outcome = make_outcome(0.5, 1e-3, 4.0)
    values = (0.5, 1.0, 1.0) if state == "complete" else None
    row = Trial(0, 0, "k", state, TRIED, values, outcome, None, 0.0, 1.0)  # type: ignore[arg-type]
    found = inferences([row], {"k": (repeat(1.0), repeat(2.0))})
    if values is None:
        assert found == {}
    else:
        assert [r.joules for r in found["k"]] == [4.0, 1.0, 2.0]
