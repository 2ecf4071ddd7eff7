"""Everything that is shown of a study of networks, read from the storage once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from greenfront.errors import StudyError
from greenfront.objectives.codec import from_json
from greenfront.objectives.metrics import Metric
from greenfront.objectives.scores import Scoring, Tolerance, maximised
from greenfront.studies.analysis.break_even import BreakEven, break_even
from greenfront.studies.analysis.chains import Link, chains
from greenfront.studies.analysis.choice import beats
from greenfront.studies.analysis.front import (
    Front,
    ScoredTrial,
    baselines_of,
    corners,
    most_accurate,
    rank,
    scored,
)
from greenfront.studies.analysis.labels import labels
from greenfront.studies.analysis.medians import inferences
from greenfront.studies.analysis.membership import with_membership
from greenfront.studies.analysis.no_network import NoNetwork, no_network_needed
from greenfront.studies.analysis.progress import ProgressPoint, progress
from greenfront.studies.analysis.rescore import rescored
from greenfront.studies.analysis.targets import Goal, goal_of
from greenfront.studies.analysis.timing import Timing, timing
from greenfront.studies.analysis.wording import kind_of_readings
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Spent
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, readable
from greenfront.studies.store.trials import WITHOUT_RESULT, NetworkTrial

__all__ = ["StudyView", "view"]


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study as it stands.

    Attributes:
        name: Of the study.
        file: Its configuration.
        facts: Of its data and machine.
        scoring: What its scores count.
        meters: Its pinned instruments: component, kind and source of each.
        kind: How its joules were come by, in a word.
        trials: All of them, by number.
        counts: Number of trials of the search by state.
        complete: Every complete trial with its scores, by number.
        front: The ranked front.
        baseline: The untouched baseline; ``None`` while none has finished.
        steps: Hypervolume over trials and energy.
        spent: In all.
        spent_by_phase: The same in parts.
        times: When it ran and waited; ``None`` where that was not looked up.
        labels: Of trials by number, see :meth:`label`.
        goal: Its targets in absolute numbers; ``None`` without any.
        links: Which trials follow which, and why.
    """

    name: str
    file: StudyFile
    facts: StudyFacts
    scoring: Scoring
    meters: list[dict[str, str]]
    kind: str
    trials: tuple[NetworkTrial, ...]
    counts: Counter[str]
    complete: tuple[ScoredTrial, ...]
    front: Front
    baseline: ScoredTrial | None
    steps: tuple[ProgressPoint, ...]
    spent: Spent
    spent_by_phase: dict[str, Spent]
    times: Timing | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    goal: Goal | None = None
    links: tuple[Link, ...] = ()

    @property
    def metric(self) -> Metric:
        """What its models are judged by."""
        return self.front.metric

    def label(self, row: ScoredTrial) -> str:
        """What was tried, in a line that no other model of the front has."""
        return self.labels.get(row.trial, row.candidate.describe())

    @property
    def on_target(self) -> list[ScoredTrial]:
        """Models that reach all targets, by their number; empty without targets."""
        goal = self.goal
        if goal is None:
            return []
        return [r for r in self.complete if goal.met_by(r.score, r.energy_kwh, r.outcome)]

    @property
    def hypervolume(self) -> float | None:
        """Of the front as it is shown; ``None`` before any trial has finished."""
        return self.steps[-1].hypervolume if self.steps else None

    @property
    def no_network(self) -> NoNetwork | None:
        """A fitted model that makes networks needless here, as far as was tried."""
        # What the front says of a member counts: there it is asked how sure it is within the drop.
        rows = {row.trial: row for row in (*self.complete, *self.front.rows)}
        return no_network_needed(tuple(rows.values()), self.metric)

    @property
    def lost_baseline(self) -> str | None:
        """That no baseline is there, and none is to come; ``None`` where one is or may be."""
        keys = self.file.baseline_keys(self.facts)
        tried = [row for row in self.trials if row.candidate.key in keys]
        if self.baseline is not None or len(tried) < len(keys):
            return None
        if any(row.state not in WITHOUT_RESULT for row in tried):
            return None
        ended = ", ".join(f"trial {row.number} {row.state}: {row.reason or '–'}" for row in tried)
        return (
            f"No untouched baseline has come to a result ({ended}): what is saved against one is "
            "not known, and the hypervolume has no fixed box. A study of another name tries again."
        )

    @property
    def best(self) -> ScoredTrial | None:
        """The greenest model, unless a baseline is there that it does not beat anywhere."""
        greenest = self.front.greenest
        if greenest is None or self.baseline is None or beats(greenest, self.baseline, self.metric):
            return greenest
        return None

    @property
    def break_even(self) -> BreakEven:
        """After how many predictions of the greenest model the search is paid back, or why not."""
        return break_even(self.front.greenest, self.baseline, self.spent)


def view(
    storage: Storage,
    name: str,
    scoring: Scoring | None = None,
    tolerance: Tolerance | None = None,
) -> StudyView:
    """Reads a study.

    Args:
        storage: The database.
        name: Of the study.
        scoring: Turns its readings into scores; by default the study's own.
        tolerance: Says which models are accurate enough; by default the study's own.

    Raises:
        StudyError: There is no such study, it is not a study of networks, or it is damaged.
    """
    with readable(storage, name):
        return _view(Study.open(storage, name), scoring, tolerance)


def _view(study: Study, scoring: Scoring | None, tolerance: Tolerance | None) -> StudyView:
    name = study.name
    if study.facts is None:
        raise StudyError(
            f"study {name!r} was begun from Python and is not a study of networks: look at it there"
        )
    file = StudyFile.from_stored(study.configuration)
    facts = from_json(StudyFacts, study.facts)
    trials = study.trials.all()
    repeats = study.repeats.all()
    scoring = scoring or file.scoring(facts)
    readings = inferences(trials, repeats)
    trials = rescored(trials, scoring, repeats)
    metric = file.metric(facts)
    front = rank(name, trials, tolerance or file.objectives.tolerance, metric)
    complete = scored(trials, front.floor)
    baselines = baselines_of(complete, file.baseline_keys(facts))
    baseline = most_accurate(baselines, metric)
    untouched = None if baseline is None else baseline.trial
    front = with_membership(front, trials, scoring, readings, untouched)
    box = corners([row.values for row in baselines], metric)
    goal = None
    if complete:
        best = (max if metric.maximise else min)(row.score for row in complete)
        against = None if baseline is None else baseline.energy_kwh
        goal = goal_of(file.targets, file.objectives.tolerance, metric, best, against)
    shown = [*front.rows, *([baseline] if baseline else [])]
    return StudyView(
        name=name,
        file=file,
        facts=facts,
        scoring=scoring,
        meters=study.meters or [],
        kind=kind_of_readings(study.meters, _kinds(complete)),
        trials=tuple(trials),
        counts=_counts(trials, study.trials.all(states=("running",), runs=study.runs.living())),
        complete=complete,
        front=front,
        baseline=baseline,
        steps=tuple(
            progress(study, maximised(metric), box, {row.trial: row.values for row in complete})
        ),
        spent=study.ledger.total(),
        spent_by_phase=study.ledger.by("phase"),
        times=timing(study),
        labels=labels(shown),
        goal=goal,
        links=chains(trials, study.follow_ups.all()),
    )


def _kinds(complete: Sequence[ScoredTrial]) -> set[str]:
    return {reading.kind for row in complete for reading in row.outcome.readings}


def _counts(trials: Sequence[NetworkTrial], of_the_living: Sequence[NetworkTrial]) -> Counter[str]:
    """Those of the search by state; those of a run that is gone wait for another."""
    living = {row.number for row in of_the_living}
    return Counter(
        "requeued" if row.state == "running" and row.number not in living else row.state
        for row in trials
        if not row.afterwards
    )
