"""What the steps after a search work on: its study, within the run that has searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.stopping.budget_watch import BudgetWatch
from greenfront.studies.analysis.ranking.ranked_trials import RankedTrials, ranked_trials
from greenfront.studies.analysis.scores.machines import Repeats, as_read_on
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["Closing"]


@dataclass(frozen=True, slots=True)
class Closing:
    """A study whose trials are done, and what a step works with.

    Attributes:
        problem: Of the study.
        study: In an open storage.
        run: The run of this process.
        ledger: Charged with the energy.
        watch: A budget that is spent ends a step.
        note: Takes messages for the user.
    """

    problem: NetworkProblem
    study: Study
    run: Run
    ledger: LedgerWriter
    watch: BudgetWatch
    note: Callable[[str], None]

    def as_read(self, repeats: Repeats) -> tuple[Sequence[NetworkTrial], Repeats]:
        """All trials by now and some repeats, each with readings of the machine that ran it."""
        return as_read_on(None, self.study.trials.all(), repeats, self.study.meters or [])

    def ranked(self) -> RankedTrials:
        """All trials by now, scored and ranked."""
        read = self.as_read(self.study.repeats.all())
        return ranked_trials(self.problem.file, self.problem.facts, *read)
