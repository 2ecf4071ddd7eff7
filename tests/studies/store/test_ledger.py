from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import asdict, replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.readings import JOULES_PER_KWH, Component, Reading, ReadingKind
from greenfront.studies.store.ledger import Ledger, Spent
from greenfront.studies.store.ledger_writer import Moment
from greenfront.studies.store.pauses import Pauses
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import ledger_table
from greenfront.studies.store.trials import Trials

STUDY = 1
CARBON = CarbonModel(Intensity(100.0, "here", "as told"), pue=1.5, embodied_kg_per_device_hour=0.02)
PARTS = ("phase", "component", "kind", "run", "trial", "state")


def kwh(amount: float, kind: ReadingKind = "measured", cpu_seconds: float = 0.0) -> Reading:
    joules = amount * JOULES_PER_KWH
    return Reading(
        joules, joules / 2, joules * 2, kind, f"{kind} source", cpu_seconds, 4.0, ("a", "b")
    )


def unmetered(cpu_seconds: float = 0.0) -> Reading:
    return Reading(None, None, None, "unavailable", "nothing", cpu_seconds, 1.0)


def charge(ledger: Ledger, phase: str = "train", number: int | None = 0, **readings: Any) -> None:
    ledger.charge(phase, readings, number=number, started_at=1.0, ended_at=5.0)


def test_a_window_is_written_component_by_component(storage: Storage) -> None:
    ledger = Ledger(storage, STUDY).writer("run", CARBON)
    charge(ledger, number=3, cpu=kwh(1.0, "modelled", 7200.0), dram=kwh(0.5), gpu=unmetered())
    query = sa.select(ledger_table).order_by(ledger_table.c.entry_id)
    with storage.reading() as connection:
        rows = [dict(row._mapping) for row in connection.execute(query)]
    same = {"study_id": STUDY, "run_id": "run", "worker": None, "number": 3, "phase": "train"}
    same |= {"started_at": 1.0, "ended_at": 5.0}
    for row in rows:
        del row["entry_id"]
    assert rows == [
        {
            **same,
            "component": "cpu",
            **{"kind": "modelled", "source": "modelled source", "flags": ["a", "b"]},
            **{"joules": 3.6e6, "low_joules": 1.8e6, "high_joules": 7.2e6},
            **{"cpu_seconds": 7200.0, "wall_seconds": 4.0},
            # 1 kWh × 1.5 × 100 g, and two busy hours of the machine.
            **{"co2_kg": pytest.approx(0.15 + 0.04), "g_per_kwh": 100.0},
        },
        {
            **same,
            "component": "dram",
            **{"kind": "measured", "source": "measured source", "flags": ["a", "b"]},
            **{"joules": 1.8e6, "low_joules": 0.9e6, "high_joules": 3.6e6},
            **{"cpu_seconds": 0.0, "wall_seconds": 4.0},
            **{"co2_kg": pytest.approx(0.075), "g_per_kwh": 100.0},
        },
        {
            **same,
            "component": "gpu",
            **{"kind": "unavailable", "source": "nothing", "flags": []},
            **{"joules": None, "low_joules": None, "high_joules": None},
            **{"cpu_seconds": 0.0, "wall_seconds": 1.0, "co2_kg": None, "g_per_kwh": None},
        },
    ]


def test_busy_hours_are_counted_once_for_all_components(storage: Storage) -> None:
    ledger = Ledger(storage, STUDY).writer("run", CARBON)
    charge(ledger, cpu=kwh(0.0, cpu_seconds=3600.0), gpu=kwh(0.0, cpu_seconds=3600.0))
    assert Ledger(storage, STUDY).total().co2_kg == pytest.approx(0.02)


def test_sums_over_trials_and_the_search_itself(storage: Storage) -> None:
    ledger = Ledger(storage, STUDY).writer("run", CARBON)
    charge(ledger, "train", cpu=kwh(1.0, cpu_seconds=3600.0), dram=kwh(0.25))
    charge(ledger, "search", None, cpu=kwh(0.75))
    spent = Ledger(storage, STUDY).total()
    assert asdict(spent) == pytest.approx(
        {
            "kwh": 2.0,
            "low_kwh": 1.0,
            "high_kwh": 4.0,
            "co2_kg": 0.3 + 0.02,
            "cpu_seconds": 3600.0,
            "wall_seconds": 8.0,  # two windows: the components of one ran side by side
            "entries": 3,
            "unmetered": 0,
        }
    )
    assert json.loads(json.dumps(spent.to_json(), allow_nan=False)) == asdict(spent)


def test_unavailable_is_counted_and_never_a_reading_of_zero(storage: Storage) -> None:
    ledger = Ledger(storage, STUDY).writer("run", CARBON)
    charge(ledger, cpu=unmetered(9.0))
    spent = Ledger(storage, STUDY).total()
    assert spent == Spent(0.0, 0.0, 0.0, None, 9.0, 1.0, entries=1, unmetered=1)
    charge(ledger, cpu=kwh(1.0))
    both = Ledger(storage, STUDY).total()
    assert (both.kwh, both.entries, both.unmetered) == (pytest.approx(1.0), 2, 1)
    assert both.co2_kg == pytest.approx(0.15)
    parts = Ledger(storage, STUDY).by("kind")
    assert (parts["unavailable"].unmetered, parts["measured"].unmetered) == (1, 0)


def test_without_a_carbon_model_co2_is_unknown(storage: Storage) -> None:
    charge(Ledger(storage, STUDY).writer("run", None), cpu=kwh(1.0))
    spent = Ledger(storage, STUDY).total()
    assert (spent.kwh, spent.co2_kg) == (pytest.approx(1.0), None)
    assert Ledger(storage, STUDY).by("phase")["train"].co2_kg is None


def test_nothing_was_spent_on_a_study_without_entries(storage: Storage) -> None:
    charge(Ledger(storage, STUDY + 1).writer("run", CARBON), cpu=kwh(1.0))
    charge(Ledger(storage, STUDY).writer("run", CARBON))  # a window in which nothing is metered
    assert Ledger(storage, STUDY).total() == Spent(0.0, 0.0, 0.0, None, 0.0, 0.0, 0, 0)
    for what in PARTS:
        assert Ledger(storage, STUDY).by(what) == {}


def test_parts_are_named_and_the_largest_comes_first(storage: Storage) -> None:
    one, two = (
        Ledger(storage, STUDY).writer("one", None),
        Ledger(storage, STUDY).writer("two", None),
    )
    charge(one, "train", 0, cpu=kwh(1.0, "modelled"))
    charge(two, "prune", 12, cpu=kwh(2.0), dram=kwh(4.0))
    charge(two, "search", None, cpu=kwh(0.5))

    def parts(what: str) -> list[tuple[str, float]]:
        return [(name, spent.kwh) for name, spent in Ledger(storage, STUDY).by(what).items()]

    assert parts("phase") == [("prune", 6.0), ("train", 1.0), ("search", 0.5)]
    assert parts("component") == [("dram", 4.0), ("cpu", 3.5)]
    assert parts("kind") == [("measured", 6.5), ("modelled", 1.0)]
    assert parts("run") == [("two", 6.5), ("one", 1.0)]
    assert parts("trial") == [("12", 6.0), ("0", 1.0), ("search", 0.5)]


def test_a_gpu_pays_for_its_making_by_the_hours_in_which_it_is_held(storage: Storage) -> None:
    carbon = CarbonModel(
        Intensity(0.0, "here", "as told"),
        embodied_kg_per_device_hour=0.005,
        device_threads=16,
        embodied_component="gpu",
    )
    hour = Reading(0.0, 0.0, 0.0, "modelled", "test", cpu_seconds=3600.0, wall_seconds=3600.0)
    ledger = Ledger(storage, STUDY).writer("run", carbon)
    ledger.charge("train", {"cpu": hour, "gpu": hour}, number=0, started_at=0.0, ended_at=3600.0)
    parts = Ledger(storage, STUDY).by("component")
    assert (parts["cpu"].co2_kg, parts["gpu"].co2_kg) == (0.0, pytest.approx(0.005))


def test_interrupted_attempts_are_told_from_what_came_of_the_trial(storage: Storage) -> None:
    run = Runs(storage, STUDY).begin()
    book, ledger = Trials(storage, STUDY), Ledger(storage, STUDY).writer(run.run_id, None)
    # Another study's trials have the same numbers.
    Trials(storage, STUDY + 1).claim("run", 0, "z", {}, None)
    for number, key in enumerate("xyzuv"):
        assert book.claim("dead" if key == "x" else run.run_id, number, key, {}, None) == "granted"
        charge(ledger, number=number, cpu=kwh(2.0**number))
    charge(ledger, "search", None, cpu=kwh(32.0))
    book.finish(run.run_id, 1, "complete", values=[1.0])
    book.finish(run.run_id, 2, "failed")
    book.finish(run.run_id, 3, "stopped")
    book.requeue(["dead"])

    def states() -> dict[str, float]:
        return {name: spent.kwh for name, spent in Ledger(storage, STUDY).by("state").items()}

    expected = {"complete": 2.0, "failed": 4.0, "stopped": 8.0, "running": 16.0, "search": 32.0}
    assert states() == {**expected, "interrupted": 1.0}
    # Taken up again under another number, its first attempt remains what it was.
    assert book.claim(run.run_id, 9, "x", {}, None) == "granted"
    charge(ledger, number=9, cpu=kwh(64.0))
    assert states() == {**expected, "interrupted": 1.0, "running": 16.0 + 64.0}
    # What a run has left without a word is no running trial any more.
    run.end()
    assert states() == {
        **{name: kwh for name, kwh in expected.items() if name != "running"},
        "interrupted": 1.0 + 16.0 + 64.0,
    }
    assert Ledger(storage, STUDY).wasted_kwh() == pytest.approx(4.0 + 8.0 + 81.0)


def readings() -> st.SearchStrategy[Reading]:
    joules = st.none() | st.floats(0, 1e9)
    seconds = st.floats(0, 1e6)

    def make(value: float | None, kind: ReadingKind, cpu: float, wall: float) -> Reading:
        if value is None:
            return Reading(None, None, None, "unavailable", "nothing", cpu, wall)
        return Reading(value, 0.5 * value, 2 * value, kind, "source", cpu, wall)

    return st.builds(make, joules, st.sampled_from(["measured", "modelled"]), seconds, seconds)


components: st.SearchStrategy[Component] = st.sampled_from(["cpu", "gpu", "dram"])
windows = st.tuples(
    st.sampled_from(["train", "prune", "search"]),
    st.none() | st.integers(0, 7),
    st.sampled_from(["one", "two"]),
    st.dictionaries(components, readings(), min_size=1),
    st.booleans(),
)
studies = itertools.count(1)
STATES = ("running", "requeued", "complete", "stopped", "failed")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(entries=st.lists(windows, max_size=8))
def test_every_division_adds_up_to_the_whole(storage: Storage, entries: list[Any]) -> None:
    study = next(studies)  # a fresh one for each example, beside those of all the others
    book = Trials(storage, study)
    for number, state in enumerate(STATES):
        book.claim("dead" if state == "requeued" else "run", number, state, {}, None)
        if state in ("complete", "stopped", "failed"):
            book.finish("run", number, state)  # type: ignore[arg-type]
    book.requeue(["dead"])
    expected: dict[str, dict[str, list[tuple[Reading, bool]]]] = {
        what: defaultdict(list) for what in PARTS
    }
    for phase, number, run, told, carbon in entries:
        ledger = Ledger(storage, study).writer(run, CARBON if carbon else None)
        ledger.charge(phase, told, number=number, started_at=0.0, ended_at=1.0)
        for component, reading in told.items():
            state = "search" if number is None else dict(enumerate(STATES)).get(number, "gone")
            state = "interrupted" if state in ("running", "requeued", "gone") else state
            names = (
                *(phase, component, reading.kind, run),
                *("search" if number is None else str(number), state),
            )
            for what, name in zip(PARTS, names, strict=True):
                expected[what][name].append((reading, carbon))
    whole = Ledger(storage, study).total()
    for what in PARTS:
        parts = Ledger(storage, study).by(what)
        assert {name: spent.entries for name, spent in parts.items()} == {
            name: len(told) for name, told in expected[what].items()
        }
        for name, told in expected[what].items():
            known = [reading for reading, _ in told if reading.joules is not None]
            assert parts[name].unmetered == len(told) - len(known)
            assert parts[name].kwh == pytest.approx(sum(reading.kwh or 0.0 for reading in known))
            priced = any(carbon and reading.kwh is not None for reading, carbon in told)
            assert (parts[name].co2_kg is not None) == priced
        for field in asdict(whole):
            total = sum(getattr(part, field) or 0.0 for part in parts.values())
            assert total == pytest.approx(getattr(whole, field) or 0.0, rel=1e-9)


def written(storage: Storage) -> list[sa.Row[Any]]:
    with storage.reading() as connection:
        query = sa.select(ledger_table).order_by(ledger_table.c.entry_id)
        return list(connection.execute(query))


def test_pieces_of_a_trial_that_is_over_become_one_entry_each(storage: Storage) -> None:
    ledger = Ledger(storage, 1).writer("run", CARBON)
    other = Ledger(storage, 1).writer("other", CARBON)
    for piece in range(5):
        for phase in ("train", "evaluate"):
            readings = {"cpu": replace(kwh(0.1, cpu_seconds=1.0), flags=(f"piece {piece % 2}",))}
            ledger.charge(phase, readings, number=0, started_at=piece, ended_at=piece + 1)
    ledger.charge("train", {"cpu": unmetered()}, number=0, started_at=9, ended_at=10)
    other.charge("train", {"cpu": kwh(0.1)}, number=0, started_at=0, ended_at=1)
    ledger.charge("train", {"cpu": kwh(0.1)}, number=1, started_at=0, ended_at=1)
    before, trials = Ledger(storage, 1).total(), Ledger(storage, 1).by("trial")
    ledger.merge(0)
    after = Ledger(storage, 1).total()
    assert (before.entries, after.entries) == (13, 5)
    assert after.kwh == pytest.approx(before.kwh, rel=1e-12)
    assert after.co2_kg == pytest.approx(before.co2_kg, rel=1e-12)
    assert (after.cpu_seconds, after.unmetered) == (before.cpu_seconds, 1)
    assert Ledger(storage, 1).by("trial")["0"].kwh == pytest.approx(trials["0"].kwh, rel=1e-12)
    first = written(storage)[0]
    assert (first.phase, first.started_at, first.ended_at) == ("train", 0, 5)
    assert first.flags == ["piece 0", "piece 1"]
    ledger.merge(0)
    assert Ledger(storage, 1).total() == after


class Steady:
    """The same electricity at every moment."""

    def at(self, started_at: float, ended_at: float, worker: int | None) -> Moment:
        return Moment(100.0, "trace", 100.0, 1.0)


def test_pieces_before_and_after_a_pause_stay_apart_whatever_the_clock_was_set_to(
    storage: Storage,
) -> None:
    clock = Clock()
    ledger = Ledger(storage, 1).writer("run", CARBON, Steady())
    pauses = Pauses(storage, 1).writer("run", clock)
    for began in (1.0, 2.0, 10.0, 11.0):
        ledger.charge("train", {"cpu": kwh(0.1)}, number=0, started_at=began, ended_at=began + 1)
    # By the clock that cannot be set it ended a second after the wall's clock says that.
    pauses.end(pauses.begin(0, 3.0, "dirty"), 11.0)
    ledger.merge(0)
    assert [(row.started_at, row.ended_at) for row in written(storage)] == [(1, 3), (10, 12)]


def test_pieces_of_the_search_itself_are_merged_by_the_minute(storage: Storage) -> None:
    ledger = Ledger(storage, 1).writer("run", None)
    for start in range(0, 180, 5):
        ledger.charge("search", {"cpu": kwh(1)}, number=None, started_at=start, ended_at=start + 5)
    ledger.merge(None)
    assert [(r.started_at, r.ended_at) for r in written(storage)] == [
        (0, 60),
        (60, 120),
        (120, 180),
    ]
    assert Ledger(storage, 1).total().kwh == pytest.approx(36)
