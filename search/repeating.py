"""After a search: the members of the front and the baseline are measured again.

A search selects lucky measurements, and a single one would stay on the front. Rounds go over all
members in turn, so that a machine that gets warmer affects them alike.
"""

from __future__ import annotations

from collections.abc import Callable

from greenfront.errors import TrialFailed
from greenfront.search.budget_watch import BudgetWatch
from greenfront.search.network_problem import NetworkProblem
from greenfront.search.running_trial import ChargedTrial
from greenfront.studies.analysis.front import ScoredTrial, baseline_of, rank, scored
from greenfront.studies.analysis.rescore import rescored
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study

__all__ = ["repeat_front"]


def repeat_front(
    problem: NetworkProblem,
    study: Study,
    run: Run,
    ledger: LedgerWriter,
    watch: BudgetWatch,
    note: Callable[[str], None],
) -> None:
    """Measures each member of the front as often as the study file says.

    Medians can bring other trials onto the front: these are then measured, too. A member that
    cannot be measured again, such as one whose file is gone, keeps the measurements it has.

    Args:
        problem: Of the study.
        study: In an open storage.
        run: The run of this process.
        ledger: Charged with the energy, as phase ``repeat`` of the trial.
        watch: A budget that is spent ends it.
        note: Takes messages for the user.
    """
    rounds = problem.file.objectives.repeats
    lost: set[str] = set()
    with problem.worker() as worker:
        for position in range(1, rounds):
            while lacking := _lacking(problem, study, position, lost):
                models = f"{len(lacking)} model" + ("s" if len(lacking) > 1 else "")
                note(f"measuring the front again, round {position + 1} of {rounds}: {models}")
                for row, taken in lacking:
                    run.beat()
                    spent = watch.reached()
                    if spent is not None:
                        note(f"the front is not measured again: {spent}")
                        return
                    key = row.candidate.key
                    context = ChargedTrial(ledger, row.trial)
                    try:
                        repeat = worker.repeat(row.candidate, row.outcome, context)
                    except TrialFailed:
                        repeat = None
                    ledger.merge(row.trial)
                    if repeat is None or repeat.inference.joules is None:
                        lost.add(key)
                    else:
                        # A late member of the front makes up for earlier rounds.
                        study.repeats.add(run.run_id, key, taken + 1, repeat)


def _lacking(
    problem: NetworkProblem, study: Study, position: int, lost: set[str]
) -> list[tuple[ScoredTrial, int]]:
    """Trials with fewer than ``position`` repeats, and how many each has."""
    file, facts = problem.file, problem.facts
    repeats = study.repeats.all()
    trials = rescored(study.trials.all(), file.scoring(facts), repeats)
    front = rank(study.name, trials, file.objectives.tolerance, problem.metric)
    wanted = {row.trial: row for row in front.rows}
    baseline = baseline_of(scored(trials, front.floor), file.baseline_keys(facts), problem.metric)
    if baseline is not None:
        wanted.setdefault(baseline.trial, baseline)
    taken = {row.trial: len(repeats.get(row.candidate.key, ())) for row in wanted.values()}
    return [
        (row, taken[number])
        for number, row in sorted(wanted.items())
        if row.candidate.key not in lost and taken[number] < position
    ]
