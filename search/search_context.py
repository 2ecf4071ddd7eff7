"""What all parts of one run's search look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import optuna

from greenfront.search.archive import Archive
from greenfront.search.problem import Problem
from greenfront.search.runs.recovery import REFERENCE
from greenfront.search.settings import SearchSettings
from greenfront.spaces.space import Choice
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study

__all__ = ["SearchContext"]

C = TypeVar("C", bound=Choice)


@dataclass(frozen=True, slots=True)
class SearchContext(Generic[C]):
    """One run's part in the search of a study.

    Attributes:
        problem: The problem.
        study: The study, in an open storage.
        run: This run.
        ledger: Charged with the energy of this run.
        settings: Of the search.
        archive: The study's trials.
        optuna_study: Optuna's.
        references: Candidates outside of the space, by key: Optuna is told nothing of them, and the
            search does without them.
    """

    problem: Problem[C]
    study: Study
    run: Run
    ledger: LedgerWriter
    settings: SearchSettings
    archive: Archive
    optuna_study: optuna.Study
    references: Mapping[str, C]

    def candidate(self, trial: optuna.Trial) -> C:
        """What a trial is about: a reference, or what its sampler suggests."""
        reference = trial.user_attrs.get(REFERENCE) if self.references else None
        known = self.references.get(str(reference))
        return self.problem.space.suggest(trial) if known is None else known
