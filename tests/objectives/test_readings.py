from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.readings import JOULES_PER_KWH, Reading, ReadingKind, total

amounts = st.floats(0, 1e9)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    kind: ReadingKind = draw(st.sampled_from(["measured", "modelled", "unavailable"]))
    low, best, high = sorted(draw(st.tuples(amounts, amounts, amounts)))
    known = kind != "unavailable"
    return Reading(
        joules=best if known else None,
        low_joules=low if known else None,
        high_joules=high if known else None,
        kind=kind,
        source=draw(st.sampled_from(["RAPL", "NVML", "model"])),
        cpu_seconds=draw(amounts),
        wall_seconds=draw(amounts),
        flags=tuple(sorted(draw(st.sets(st.sampled_from(["a", "b", "c"]))))),
        reserved_joules=draw(st.none() | amounts),
        throttled_seconds=draw(amounts),
    )


def reading(joules: float | None, kind: ReadingKind = "measured", source: str = "s") -> Reading:
    return Reading(joules, joules, joules, kind, source, 1.0, 2.0)


@given(readings())
def test_readings_survive_json(one: Reading) -> None:
    assert from_json(Reading, json.loads(json.dumps(to_json(one)))) == one
    # Older databases keep nothing of what stands beside the energy.
    older = {
        k: v for k, v in to_json(one).items() if k not in {"reserved_joules", "throttled_seconds"}
    }
    kept = replace(one, reserved_joules=None, throttled_seconds=0.0)
    assert from_json(Reading, {**older, "newer": 1}) == kept


@given(readings())
def test_a_total_of_one_is_that_one(one: Reading) -> None:
    assert total([one]) == one


@given(readings())
def test_twice_the_work_is_the_work_and_the_work_again(one: Reading) -> None:
    assert one.scaled(2) == total([one, one])


@given(st.lists(readings(), min_size=1), st.lists(readings(), min_size=1))
def test_totals_of_parts_add_up(some: list[Reading], more: list[Reading]) -> None:
    whole, parts = total([*some, *more]), total([total(some), total(more)])
    assert (whole.kind, whole.flags) == (parts.kind, parts.flags)
    for field in (
        *("joules", "low_joules", "high_joules", "reserved_joules"),
        *("cpu_seconds", "wall_seconds", "throttled_seconds"),
    ):
        value = getattr(whole, field)
        assert getattr(parts, field) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(("joules", "kwh"), [(3.6e6, 1), (9e5, 0.25), (7.2e9, 2000), (0, 0)])
def test_known_energies(joules: float, kwh: float) -> None:
    assert reading(joules).kwh == pytest.approx(kwh, rel=1e-12)


def test_sums() -> None:
    one = Reading(1.0, 0.5, 2.0, "modelled", "model", 0.25, 3.0, ("b",))
    two = Reading(10.0, 9.0, 11.0, "modelled", "model", 0.5, 4.0, ("a", "b"))
    assert total(iter([one, two])) == Reading(
        11.0, 9.5, 13.0, "modelled", "model", 0.75, 7.0, ("a", "b")
    )


@pytest.mark.parametrize(
    ("kinds", "worst"),
    [
        (["measured", "measured"], "measured"),
        (["measured", "modelled"], "modelled"),
        (["modelled", "measured"], "modelled"),
        (["modelled", "unavailable", "measured"], "unavailable"),
    ],
)
def test_a_sum_is_as_good_as_its_worst_part(kinds: list[ReadingKind], worst: ReadingKind) -> None:
    parts = [reading(None if kind == "unavailable" else 1.0, kind) for kind in kinds]
    assert total(parts).kind == worst


def test_one_unknown_part_makes_the_sum_unknown_and_never_zero() -> None:
    together = total([reading(5.0), reading(None, "unavailable"), reading(7.0)])
    assert (together.joules, together.low_joules, together.high_joules) == (None, None, None)
    assert together.kwh is None
    assert (together.cpu_seconds, together.wall_seconds) == (3.0, 6.0)


def test_sources_are_named_once_and_in_order() -> None:
    parts = [reading(1.0, source=source) for source in ("NVML", "RAPL", "NVML")]
    assert total(parts).source == "NVML + RAPL"


def test_no_readings_add_up_to_nothing() -> None:
    assert total([]) == Reading(0, 0, 0, "measured", "", 0, 0)


def test_kwh() -> None:
    assert JOULES_PER_KWH == 3_600_000
    assert reading(1.8e6).kwh == 0.5
    assert reading(0.0).kwh == 0
    assert reading(None, "unavailable").kwh is None
