"""What a card says of what a study counts, beside what whole predictions take."""

from __future__ import annotations

from dataclasses import replace

from greenfront.objectives.packaging.claims import PredictionParts
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.turns import Ratio
from greenfront.studies.analysis.machine.runtimes import counted_beside


def reading(joules: float | None) -> Reading:
    kind = "unavailable" if joules is None else "modelled"
    return Reading(joules, joules, joules, kind, "cpu", 0.0, 0.0)


QUIET = PredictionParts(
    whole=reading(11e-6),
    model=reading(6e-6),
    preprocessing=reading(4e-6),
    own=reading(10.5e-6),
    plain_over_own=Ratio(1.05, 1.01, 1.1),
    over_counted=Ratio(1.1, 1.0, 1.2),
    own_over_counted=Ratio(1.05, 1.0, 1.1),
)


def test_threads_are_blamed_only_where_they_spin() -> None:
    told = counted_beside(QUIET, 1)
    assert "6.00 µJ for the model and 4.00 µJ for preprocessing" in told
    assert "predict.py takes 10.5 µJ, 1.05 times both together." in told
    assert "A session without options takes 11.0 µJ, 1.10 times both together." in told
    assert "the median of pairs, each measured in one turn" in told
    assert "wait actively" not in told
    unclear = replace(QUIET, plain_over_own=Ratio(2.5, 0.9, 3))
    assert "wait actively" not in counted_beside(unclear, 1)
    spinning = replace(QUIET, plain_over_own=Ratio(2.5, 2.4, 2.6))
    told = counted_beside(spinning, 1)
    assert "That is its threads, one a core, which wait actively" in told
    assert "with intra_op_num_threads = 1 it takes what predict.py does" in told
    assert "ORT_LOAD_CONFIG_FROM_MODEL=1" in told
    told = counted_beside(spinning, 2)
    assert "intra_op_num_threads = 2 and session.intra_op.allow_spinning = 0 it takes" in told


def test_what_is_unavailable_is_no_multiple() -> None:
    told = counted_beside(PredictionParts(reading(None), reading(6e-6), reading(4e-6)), 1)
    assert "predict.py" not in told
    assert "times" not in told
    assert "multiple" not in told
