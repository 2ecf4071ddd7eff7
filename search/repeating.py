"""After a search: the front's members and the baseline are measured again.

One measurement that was lucky would stay on the front for ever, and the search picks the lucky
ones. Rounds go over all members in turn, so that a machine that gets warmer hits them alike.
"""

from __future__ import annotations

from collections.abc import Callable

from greenfront.errors import TrialFailed
from greenfront.search.network_problem import NetworkProblem
from greenfront.search.running_trial import ChargedTrial
from greenfront.studies.analysis.front import ScoredTrial
from greenfront.studies.analysis.view import view
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study

__all__ = ["repeat_front"]


def repeat_front(
    problem: NetworkProblem,
    study: Study,
    run: Run,
    ledger: LedgerWriter,
    note: Callable[[str], None],
) -> None:
    """Measures until each member of the front has been measured as often as the study file says.

    Medians can bring other trials onto the front: these are then measured, too. A member whose
    file is gone, or which cannot be measured, keeps its one measurement.

    Args:
        problem: Of the study.
        study: Open.
        run: This process, signed in.
        ledger: Where the energy is charged, as phase ``repeat`` of the trial.
        note: Takes what people should know.
    """
    rounds = problem.file.objectives.repeats
    lost: set[str] = set()
    with problem.worker() as worker:
        for position in range(1, rounds):
            while lacking := _lacking(study, position, lost):
                note(
                    f"measuring the front again, round {position + 1} of {rounds}: "
                    f"{_models(len(lacking))}"
                )
                for scored, taken in lacking:
                    run.beat()
                    key = scored.candidate.key
                    context = ChargedTrial(ledger, scored.trial)
                    try:
                        repeat = worker.repeat(scored.candidate, scored.outcome, context)
                    except TrialFailed:
                        repeat = None
                    ledger.merge(scored.trial)
                    if repeat is None or repeat.inference.joules is None:
                        lost.add(key)
                    else:
                        # One that has joined the front late has rounds to make up for.
                        study.repeats.add(run.run_id, key, taken + 1, repeat)


def _lacking(study: Study, position: int, lost: set[str]) -> list[tuple[ScoredTrial, int]]:
    """Trials with fewer than ``position`` repeats, and how many each has."""
    found = view(study.storage, study.name)
    wanted = {scored.trial: scored for scored in found.front.rows}
    if found.baseline is not None:
        wanted.setdefault(found.baseline.trial, found.baseline)
    taken = {key: len(repeats) for key, repeats in study.repeats.all().items()}
    return [
        (scored, taken.get(scored.candidate.key, 0))
        for _, scored in sorted(wanted.items())
        if scored.candidate.key not in lost and taken.get(scored.candidate.key, 0) < position
    ]


def _models(count: int) -> str:
    return f"{count} model" + ("s" if count > 1 else "")
