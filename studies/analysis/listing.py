"""The studies of a storage, a line each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from greenfront.studies.analysis.wording import kind_of_readings
from greenfront.studies.store.ledger import spent_by, spent_in_all
from greenfront.studies.store.runs import living_runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import StudyRecord, study_names
from greenfront.studies.store.trials import FINISHED, TrialBook

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
        kwh: Spent so far; ``None`` where no instrument could tell.
        co2_kg: Spent so far; ``None`` without a carbon model.
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

    def to_json(self) -> dict[str, Any]:
        """Returns plain values that ``json.dumps`` takes."""
        return asdict(self)


def list_studies(storage: Storage) -> list[StudyEntry]:
    """Every study, the oldest first."""
    entries = []
    for name in study_names(storage):
        record = StudyRecord.load(storage, name)
        counts = TrialBook(storage, record.study_id).counts()
        spent = spent_in_all(storage, record.study_id)
        charged = spent_by(storage, record.study_id, "kind")
        entries.append(
            StudyEntry(
                name=name,
                task=record.configuration.get("task", {}).get("kind"),
                finished=sum(counts[state] for state in FINISHED),
                trials=record.configuration.get("budget", {}).get("trials"),
                running_processes=len(living_runs(storage, record.study_id)),
                kwh=spent.shown_kwh[0],
                co2_kg=spent.co2_kg,
                kind=kind_of_readings(record.meters, charged),
            )
        )
    return entries
