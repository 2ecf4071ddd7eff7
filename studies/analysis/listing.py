"""The studies of a storage, a line each."""

from __future__ import annotations

from dataclasses import dataclass

from greenfront.studies.analysis.words.wording import kind_of_readings
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, study_names
from greenfront.studies.store.trials import FINISHED

__all__ = ["StudyEntry", "list_studies"]


@dataclass(frozen=True, slots=True)
class StudyEntry:
    """One study at a glance.

    Attributes:
        name: Of the study.
        task: Kind of its task; ``None`` for one that was begun from Python.
        finished: Trials that are over.
        trials: Trials in all; ``None`` without such a budget.
        running_processes: Processes at work on it now.
        kwh: Spent to find its models so far; ``None`` where no instrument could tell.
        co2_kg: Of the same; ``None`` without a carbon model.
        kind: How the joules were come by, in a word.
    """

    name: str
    task: str | None
    finished: int
    trials: int | None
    running_processes: int
    kwh: float | None
    co2_kg: float | None
    kind: str


def list_studies(storage: Storage) -> list[StudyEntry]:
    """Every study, the oldest first."""
    entries = []
    for name in study_names(storage):
        study = Study.open(storage, name)
        counts = study.trials.counts()
        spent = study.ledger.of_search()
        charged = study.ledger.by("kind")
        entries.append(
            StudyEntry(
                name=name,
                task=study.configuration.get("task", {}).get("kind"),
                finished=sum(counts[state] for state in FINISHED),
                trials=study.configuration.get("budget", {}).get("trials"),
                running_processes=len(study.runs.living()),
                kwh=spent.shown_kwh[0],
                co2_kg=spent.co2_kg,
                kind=kind_of_readings(study.meters, charged),
            )
        )
    return entries
