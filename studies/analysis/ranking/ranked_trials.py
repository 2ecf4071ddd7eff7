"""The trials of a study as they stand: scored by all their measurements, and ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenfront.objectives.metrics import Metric
from greenfront.objectives.scores import Scoring, Tolerance
from greenfront.studies.analysis.ranking.front import Front, ScoredTrial, baseline_of, rank, scored
from greenfront.studies.analysis.scores.machines import Repeats
from greenfront.studies.analysis.scores.rescore import rescored
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["RankedTrials", "ranked_trials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedTrials:
    """Trials that are scored and ranked.

    Attributes:
        file: Configuration of their study.
        facts: Of its data and machine.
        scoring: What their scores count.
        trials: All of them, by number.
        complete: Every complete trial with its scores, by number.
        front: The ranked front.
        baseline: The untouched baseline; ``None`` while none has finished.
    """

    file: StudyFile
    facts: StudyFacts
    scoring: Scoring
    trials: tuple[NetworkTrial, ...]
    complete: tuple[ScoredTrial, ...]
    front: Front
    baseline: ScoredTrial | None

    @property
    def metric(self) -> Metric:
        """What the models are judged by."""
        return self.front.metric


def ranked_trials(
    file: StudyFile,
    facts: StudyFacts,
    stored: Sequence[NetworkTrial],
    repeats: Repeats,
    scoring: Scoring | None = None,
    tolerance: Tolerance | None = None,
) -> RankedTrials:
    """Scores and ranks trials.

    Args:
        file: Configuration of their study.
        facts: Of its data and machine.
        stored: All of its trials, as one machine reads them.
        repeats: Further measurements of that machine, by candidate.
        scoring: Turns readings into scores; by default the study's own.
        tolerance: Says which models are accurate enough; by default the study's own.
    """
    scoring = scoring or file.scoring(facts)
    trials = tuple(rescored(stored, scoring, repeats))
    metric = file.metric(facts)
    front = rank(file.study.name, trials, tolerance or file.objectives.tolerance, metric)
    complete = scored(trials, front.floor)
    return RankedTrials(
        file=file,
        facts=facts,
        scoring=scoring,
        trials=trials,
        complete=complete,
        front=front,
        baseline=baseline_of(complete, file.baseline_keys(facts), metric),
    )
