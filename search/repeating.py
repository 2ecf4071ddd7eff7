"""After a search: the front's members and the baseline are measured again.

One measurement that was lucky would stay on the front for ever, and the search picks the lucky
ones. Rounds go over all members in turn, so that a machine that gets warmer hits them alike.
"""

from __future__ import annotations

from collections.abc import Mapping

from greenfront.errors import TrialFailed
from greenfront.objectives.readings import Component, Reading
from greenfront.search.evaluator.process import CallHooks
from greenfront.search.network_problem import NetworkProblem
from greenfront.search.status import Observer
from greenfront.studies.analysis.front import ScoredTrial
from greenfront.studies.analysis.view import view
from greenfront.studies.store.ledger import LedgerWriter
from greenfront.studies.store.repeats import Repeats
from greenfront.studies.store.runs import Run
from greenfront.studies.store.storage import Storage

__all__ = ["repeat_front"]


def repeat_front(
    problem: NetworkProblem,
    storage: Storage,
    run: Run,
    ledger: LedgerWriter,
    observer: Observer | None = None,
) -> None:
    """Measures until each member of the front has been measured as often as the study file says.

    Medians can bring other trials onto the front: these are then measured, too. A member whose
    file is gone, or which cannot be measured, keeps its one measurement.

    Args:
        problem: Of the study.
        storage: Open.
        run: This process, signed in.
        ledger: Where the energy is charged, as phase ``repeat`` of the trial.
        observer: Hears of it.
    """
    file = problem.file
    book = Repeats(storage, run.study_id)
    lost: set[str] = set()
    with problem.worker() as worker:
        for position in range(1, file.objectives.repeats):
            while lacking := _lacking(storage, file.study.name, book, position, lost):
                if observer is not None:
                    observer.note(
                        f"measuring the front again, round {position + 1} of "
                        f"{file.objectives.repeats}: {_models(len(lacking))}"
                    )
                for row, taken in lacking:
                    run.beat()
                    try:
                        repeat = worker.repeat(row.candidate, row.outcome, _hooks(ledger, row))
                    except TrialFailed:
                        repeat = None
                    if repeat is None or repeat.inference.joules is None:
                        lost.add(row.candidate.key)
                    else:
                        # One that has joined the front late has rounds to make up for.
                        book.add(run.run_id, row.candidate.key, taken + 1, repeat)


def _lacking(
    storage: Storage, name: str, book: Repeats, position: int, lost: set[str]
) -> list[tuple[ScoredTrial, int]]:
    """Rows with fewer than ``position`` repeats, and how many each has."""
    found = view(storage, name)
    wanted = [*found.front.rows]
    if found.baseline is not None and found.baseline.trial not in {row.trial for row in wanted}:
        wanted.append(found.baseline)
    counts = {key: len(taken) for key, taken in book.all().items()}
    return [
        (row, counts.get(row.candidate.key, 0))
        for row in sorted(wanted, key=lambda row: row.trial)
        if row.candidate.key not in lost and counts.get(row.candidate.key, 0) < position
    ]


def _hooks(ledger: LedgerWriter, row: ScoredTrial) -> CallHooks:
    def charge(
        phase: str, readings: Mapping[Component, Reading], started_at: float, ended_at: float
    ) -> None:
        ledger.charge(phase, readings, number=row.trial, started_at=started_at, ended_at=ended_at)

    return CallHooks(charge=charge)


def _models(count: int) -> str:
    return f"{count} model" + ("s" if count > 1 else "")
