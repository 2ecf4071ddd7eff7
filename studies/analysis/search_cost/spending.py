"""What a search itself has spent, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from greenfront.objectives.metering.pinned import reference_machine
from greenfront.studies.analysis.history.timing import Timing, timing
from greenfront.studies.analysis.ranked import RankedStudy, ranked
from greenfront.studies.analysis.scores.machines import as_read_on
from greenfront.studies.analysis.words.wording import kind_of_readings
from greenfront.studies.store.ledger import Spent
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, readable

__all__ = ["Spending", "spending"]


@dataclass(frozen=True, slots=True)
class Spending:
    """The ledger of one study.

    Attributes:
        study: Name.
        by: What it is divided by, see :func:`~greenfront.studies.store.ledger.Ledger.by`.
        total: Of the whole study, exports included.
        parts: They add up to the whole, the largest first.
        without_result_kwh: Spent on trials that have no result.
        kind: How the joules were come by, in a word.
        times: When it ran and waited.
        ranked: The study; ``None`` if it is not one of networks.
    """

    study: str
    by: str
    total: Spent
    parts: dict[str, Spent]
    without_result_kwh: float
    kind: str
    times: Timing
    ranked: RankedStudy | None

    def to_json(self) -> dict[str, Any]:
        """The object of ``greenfront ledger --json``."""
        found = self.ranked
        return {
            "study": self.study,
            "by": self.by,
            "total": {**self.total.to_json(), "kind": self.kind},
            "parts": {part: spent.to_json() for part, spent in self.parts.items()},
            "without_result_kwh": self.without_result_kwh,
            **(found.break_even.to_json(found.scoring.predictions) if found else {}),
            "timing": self.times.to_json(),
        }


def spending(storage: Storage, name: str, by: str = "phase") -> Spending:
    """Reads a study's ledger.

    Args:
        storage: The database.
        name: Of the study.
        by: What it is divided by, see :func:`~greenfront.studies.store.ledger.Ledger.by`.

    Raises:
        StudyError: There is no such study, or it is damaged.
    """
    study = Study.open(storage, name)
    ledger, shown = study.ledger, None
    if study.facts is not None:
        with readable(storage, name):
            meters = study.meters or []
            trials, repeats = as_read_on(
                reference_machine(meters), study.trials.all(), study.repeats.all(), meters
            )
            shown = ranked(study, trials, repeats)
    return Spending(
        study=name,
        by=by,
        total=ledger.total(),
        parts=ledger.by(by),
        without_result_kwh=ledger.wasted_kwh(),
        kind=kind_of_readings(study.meters, ledger.by("kind")),
        times=(shown and shown.times) or timing(study),
        ranked=shown,
    )
