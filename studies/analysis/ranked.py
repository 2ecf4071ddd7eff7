"""A study with its trials scored and ranked, and what it has spent.

Every look at a study begins with it; :mod:`greenfront.studies.analysis.view` adds what only the
front and the report show, and what takes as long again to find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

from greenfront.objectives.codec import from_json
from greenfront.objectives.scores import Scoring, Tolerance
from greenfront.studies.analysis.history.timing import Timing, timing
from greenfront.studies.analysis.payback.break_even import BreakEven, break_even
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.ranking.ranked_trials import RankedTrials, ranked_trials
from greenfront.studies.analysis.scores.machines import Repeats
from greenfront.studies.analysis.words.wording import kind_of_readings
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import PACKAGE, Spent
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["RankedStudy", "ranked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedStudy(RankedTrials):
    """A study as it stands, ranked.

    Attributes:
        name: Of the study.
        kind: How its joules were come by, in a word.
        counts: Number of trials of the search by state.
        spent: To find its models; exports of them are not counted.
        spent_by_phase: The same in parts.
        times: When it ran and waited; ``None`` where that was not looked up.
    """

    name: str
    kind: str
    counts: Counter[str]
    spent: Spent
    spent_by_phase: dict[str, Spent]
    times: Timing | None = None

    @property
    def break_even(self) -> BreakEven:
        """After how many predictions of the greenest model the search is paid back, or why not."""
        return break_even(self.front.greenest, self.baseline, self.spent)


def ranked(
    study: Study,
    stored: Sequence[NetworkTrial],
    repeats: Repeats,
    scoring: Scoring | None = None,
    tolerance: Tolerance | None = None,
) -> RankedStudy:
    """Scores and ranks the trials of a study.

    Args:
        study: Of networks.
        stored: All of its trials, as one machine reads them.
        repeats: Further measurements of that machine, by candidate.
        scoring: Turns its readings into scores; by default the study's own.
        tolerance: Says which models are accurate enough; by default the study's own.

    Raises:
        ValueError: It is damaged.
    """
    file = StudyFile.from_stored(study.configuration)
    facts = from_json(StudyFacts, study.facts)
    found = ranked_trials(file, facts, stored, repeats, scoring, tolerance)
    phases = study.ledger.by("phase")
    phases.pop(PACKAGE, None)
    running = study.trials.all(states=("running",), runs=study.runs.living())
    return RankedStudy(
        **{each.name: getattr(found, each.name) for each in fields(RankedTrials)},
        name=study.name,
        kind=kind_of_readings(study.meters, _kinds(found.complete)),
        counts=_counts(found.trials, running),
        spent=study.ledger.of_search(),
        spent_by_phase=phases,
        times=timing(study),
    )


def _counts(trials: Sequence[NetworkTrial], of_the_living: Sequence[NetworkTrial]) -> Counter[str]:
    """Those of the search by state; those of a run that is gone wait for another."""
    living = {row.number for row in of_the_living}
    return Counter(
        "requeued" if row.state == "running" and row.number not in living else row.state
        for row in trials
        if not row.afterwards
    )


def _kinds(complete: Sequence[ScoredTrial]) -> set[str]:
    return {reading.kind for row in complete for reading in row.outcome.readings}
