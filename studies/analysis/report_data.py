"""All that a report tells of a study: its view, and what only a report looks up."""

from __future__ import annotations

from dataclasses import dataclass

from greenfront.objectives.readings import Reading
from greenfront.studies.analysis.findings.classes import Confusion, confusion_of
from greenfront.studies.analysis.findings.importance import Importance, knob_importance
from greenfront.studies.analysis.history.electricity import TrialElectricity, electricity
from greenfront.studies.analysis.search_cost.random_search import (
    RandomSearch,
    comparable_random_search,
)
from greenfront.studies.analysis.view import StoredStudy, StudyView
from greenfront.studies.store.storage import Storage

__all__ = ["ReportData", "Tested", "report_data"]


@dataclass(frozen=True, slots=True)
class Tested:
    """A model on examples that no search has seen.

    Attributes:
        score: In the unit of the study's metric.
        low: Lower end of its 95 % interval; ``None`` if unknown.
        high: Upper end; ``None`` with ``low``.
        examples: How many there are; ``None`` if unknown.
        source: Where that was found.
        prediction: What the exported file takes from raw input to answer, in a session without
            options; ``None`` if unknown.
    """

    score: float
    low: float | None
    high: float | None
    examples: int | None
    source: str
    prediction: Reading | None = None


@dataclass(frozen=True, slots=True)
class ReportData:
    """A study as a report shows it.

    Attributes:
        view: The study.
        confusion: Of the greenest model; ``None`` where it was not kept, or of numbers.
        random_search: A random search of the same data; ``None`` where the storage holds none.
        importance: Of the knobs; ``None`` where too little was tried.
        electricity: That each trial ran on.
        tested: The greenest model on the test split; ``None`` while it was not judged on it.
    """

    view: StudyView
    confusion: Confusion | None = None
    random_search: RandomSearch | None = None
    importance: Importance | None = None
    electricity: tuple[TrialElectricity, ...] = ()
    tested: Tested | None = None


def report_data(storage: Storage, name: str) -> ReportData:
    """Reads a study for its report.

    Args:
        storage: The database.
        name: Of the study.

    Raises:
        StudyError: There is no such study, it is not a study of networks, or it is damaged.
    """
    stored = StoredStudy.read(storage, name)
    seen, study = stored.view(), stored.study
    pick = seen.front.greenest
    return ReportData(
        view=seen,
        confusion=None if pick is None else confusion_of(seen, pick),
        random_search=comparable_random_search(storage, seen),
        importance=knob_importance(seen),
        electricity=tuple(electricity(study, seen.file.carbon.clock(study.created_at))),
    )
