from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import sqlalchemy as sa

from greenfront.objectives.readings import JOULES_PER_KWH
from greenfront.studies.analysis.history.progress import ProgressPoint, progress
from greenfront.studies.analysis.ranking.volume import Corners
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import ledger_table, trials_table

STUDY = 1


def study(storage: Storage, study_id: int = STUDY) -> Study:
    return Study(storage, study_id, "study", "identity", {}, None, None, False, 0.0)


def trial(
    storage: Storage,
    number: int,
    finished_at: float | None,
    values: Sequence[float] | None = None,
    state: str = "complete",
    study: int = STUDY,
) -> None:
    with storage.writing() as connection:
        connection.execute(
            sa.insert(trials_table).values(
                study_id=study,
                slot=number,
                key=f"key-{number}",
                number=number,
                run_id="run",
                state=state,
                choice={},
                values=None if values is None else list(values),
                started_at=0.0,
                finished_at=finished_at,
            )
        )


def spend(storage: Storage, ended_at: float, kwh: float | None, study: int = STUDY) -> None:
    with storage.writing() as connection:
        connection.execute(
            sa.insert(ledger_table).values(
                **{"study_id": study, "run_id": "run", "phase": "train", "component": "cpu"},
                **{"kind": "modelled", "source": "watts", "cpu_seconds": 1.0, "wall_seconds": 1.0},
                **{"flags": [], "started_at": ended_at - 1, "ended_at": ended_at},
                joules=None if kwh is None else kwh * JOULES_PER_KWH,
            )
        )


def test_staircase_in_the_objectives_own_units(storage: Storage) -> None:
    # Taste up, cost down, reference (0, 10): each step adds a rectangle that can be drawn.
    trial(storage, 0, 10.0, (2, 8))  # 2 × 2
    trial(storage, 1, 20.0, (1, 9))  # dominated
    trial(storage, 2, 30.0, (1, 5))  # + 1 × 3
    trial(storage, 3, 40.0, (5, 20))  # beyond the reference
    trial(storage, 4, 50.0, (4, 4))  # dominates all: 4 × 6
    steps = progress(study(storage), (True, False), Corners((0, 10)))
    assert [step.hypervolume for step in steps] == pytest.approx([4, 4, 7, 7, 24])
    assert [(step.finished, step.number) for step in steps] == [(n + 1, n) for n in range(5)]


def test_staircase_as_a_share_of_the_box(storage: Storage) -> None:
    # The box reaches from accuracy 0.5 to 0.9 and from 10 to 50 kWh.
    trial(storage, 0, 1.0, (0.5, 10))  # the corner of cheap: no height
    trial(storage, 1, 2.0, (0.7, 30))  # half × half
    trial(storage, 2, 3.0, (0.9, 50))  # no width
    trial(storage, 3, 4.0, (0.8, 20))  # three quarters × three quarters, over the other
    steps = progress(study(storage), (True, False))
    assert [step.hypervolume for step in steps] == pytest.approx([0, 1 / 4, 1 / 4, 9 / 16])


def test_staircase_in_a_box_that_is_given(storage: Storage) -> None:
    trial(storage, 0, 1.0, (0.5, 50))  # half × half
    trial(storage, 1, 2.0, (0.75, 25))  # three quarters × three quarters, over the other
    trial(storage, 2, 3.0, (0.5, -10))  # half × all, better than the best corner
    box = Corners(worst=(0, 100), best=(1, 0))
    steps = progress(study(storage), (True, False), box)
    assert [step.hypervolume for step in steps] == pytest.approx([1 / 4, 9 / 16, 9 / 16 + 1 / 8])


def test_other_values_may_stand_for_the_stored_ones(storage: Storage) -> None:
    trial(storage, 0, 1.0, (0.5, 50))
    trial(storage, 1, 2.0, (0.75, 25))
    trial(storage, 2, 3.0, state="failed")
    box = Corners(worst=(0, 100), best=(1, 0))
    medians = {0: (0.25, 50.0), 1: (0.5, 25.0)}
    steps = progress(study(storage), (True, False), box, medians)
    assert [s.hypervolume for s in steps] == pytest.approx([1 / 8, 3 / 8, 3 / 8])
    once = progress(study(storage), (True, False), box, {1: (0.5, 25.0)})
    assert [s.hypervolume for s in once] == pytest.approx([1 / 4, 3 / 8, 3 / 8])


def test_steps_come_in_the_order_of_finishing(storage: Storage) -> None:
    trial(storage, 0, 30.0, (3.0,))
    trial(storage, 1, 10.0, (5.0,))
    trial(storage, 2, 20.0, (4.0,))
    steps = progress(study(storage), (False,), Corners((6,)))
    assert steps == [
        ProgressPoint(1, 1, 0.0, 1.0),
        ProgressPoint(2, 2, 0.0, 2.0),
        ProgressPoint(3, 0, 0.0, 3.0),
    ]


def test_energy_is_what_the_search_had_spent_until_then(storage: Storage) -> None:
    for moment, kwh in [(25.0, 4.0), (5.0, 1.0), (10.0, 2.0), (12.0, None), (99.0, 8.0)]:
        spend(storage, moment, kwh)
    spend(storage, 1.0, 100.0, study=STUDY + 1)
    for number, moment in enumerate([1.0, 10.0, 24.9, 25.0]):
        trial(storage, number, moment, (1.0,))
    steps = progress(study(storage), (False,), Corners((2,)))
    assert [step.kwh_spent for step in steps] == pytest.approx([0, 3, 3, 7])


def test_trials_without_values_are_steps_that_gain_nothing(storage: Storage) -> None:
    spend(storage, 1.0, 1.0)
    trial(storage, 0, 1.0, state="failed")
    trial(storage, 1, 2.0, (1.0,))
    trial(storage, 2, 3.0, state="stopped")
    trial(storage, 3, None, state="running")
    trial(storage, 4, None, state="requeued")
    steps = progress(study(storage), (False,), Corners((3,)))
    assert steps == [
        ProgressPoint(1, 0, 1.0, 0.0),
        ProgressPoint(2, 1, 1.0, 2.0),
        ProgressPoint(3, 2, 1.0, 2.0),
    ]


def test_without_complete_trials_there_is_no_volume(storage: Storage) -> None:
    assert progress(study(storage), (True, False)) == []
    spend(storage, 1.0, 1.0)
    trial(storage, 1, None, state="running")
    trial(storage, 2, 1.0, (1.0, 1.0), study=STUDY + 1)
    assert progress(study(storage), (True, False)) == []
    trial(storage, 0, 1.0, state="failed")
    assert progress(study(storage), (True, False)) == [ProgressPoint(1, 0, 1.0, 0.0)]


def test_one_trial_has_no_box(storage: Storage) -> None:
    trial(storage, 0, 1.0, (0.9, 5.0))
    assert [step.hypervolume for step in progress(study(storage), (True, False))] == [0.0]


def test_co2_in_proportion_to_energy_changes_no_volume(storage: Storage) -> None:
    rng = np.random.default_rng(0)
    points = rng.random((12, 2))
    for number, (accuracy, energy) in enumerate(points):
        trial(storage, number, float(number), (accuracy, energy, 0.056 * energy))
        trial(storage, number, float(number), (accuracy, energy), study=STUDY + 1)
    three = progress(study(storage), (True, False, False))
    two = progress(study(storage, STUDY + 1), (True, False))
    assert [s.hypervolume for s in three] == pytest.approx([s.hypervolume for s in two])
    assert three[-1].hypervolume > 0
