"""Everything that is shown of a study of networks, read from the storage once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

from greenfront.errors import StudyError
from greenfront.objectives.metering.pinned import reference_machine
from greenfront.objectives.scores import Scoring, Tolerance, maximised
from greenfront.studies.analysis.history.chains import Link, chains
from greenfront.studies.analysis.history.progress import ProgressPoint, progress
from greenfront.studies.analysis.history.targets import Goal, goal_of
from greenfront.studies.analysis.payback.no_network import NoNetwork, no_network_needed
from greenfront.studies.analysis.ranked import RankedStudy, ranked
from greenfront.studies.analysis.ranking.front import ScoredTrial, baselines_of, corners
from greenfront.studies.analysis.ranking.membership import with_membership
from greenfront.studies.analysis.scores.machines import (
    EACH,
    Repeats,
    as_read_on,
    chosen_machine,
    machines_of,
)
from greenfront.studies.analysis.scores.medians import inferences
from greenfront.studies.analysis.words.choice import beats
from greenfront.studies.analysis.words.labels import labels
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, readable
from greenfront.studies.store.trials import WITHOUT_RESULT, NetworkTrial

__all__ = ["StoredStudy", "StudyView", "view"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView(RankedStudy):
    """A study as it stands, with all that a front shows of it.

    Attributes:
        meters: Its pinned instruments: component, kind and source of each.
        steps: Hypervolume over trials and energy.
        labels: Of trials by number, see :meth:`label`.
        goal: Its targets in absolute numbers; ``None`` without any.
        links: Which trials follow which, and why.
        machines: Processors on which predictions were read, those of its trials first.
        machine: By whose readings models are ranked; ``None``: each has that of its own trial.
    """

    meters: list[dict[str, str]]
    steps: tuple[ProgressPoint, ...]
    labels: Mapping[int, str] = field(default_factory=dict)
    goal: Goal | None = None
    links: tuple[Link, ...] = ()
    machines: tuple[str, ...] = ()
    machine: str | None = None

    @property
    def unread(self) -> int:
        """Finished models that are not ranked, since the machine in question read none of them."""
        return sum(row.state == "complete" and row.values is None for row in self.trials)

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


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """What is stored of a study of networks, read once, so that all views of it tell of one moment.

    Attributes:
        study: In an open storage.
        trials: All of them.
        repeats: Further measurements, by candidate.
    """

    study: Study
    trials: Sequence[NetworkTrial]
    repeats: Repeats

    @classmethod
    def read(cls, storage: Storage, name: str) -> Self:
        """Reads one.

        Raises:
            StudyError: There is no such study, it is not one of networks, or it is damaged.
        """
        with readable(storage, name):
            study = Study.open(storage, name)
            if study.facts is None:
                raise StudyError(
                    f"study {name!r} was begun from Python and is not a study of networks: its "
                    "front is best_trials of the study that optimize_problem returns, what it has "
                    f"spent is told by greenfront ledger {name}"
                )
            return cls(study, study.trials.all(), study.repeats.all())

    def view(
        self,
        scoring: Scoring | None = None,
        tolerance: Tolerance | None = None,
        machine: str | None = None,
    ) -> StudyView:
        """The study as it is shown.

        Args:
            scoring: Turns its readings into scores; by default the study's own.
            tolerance: Says which models are accurate enough; by default the study's own.
            machine: The processor by whose readings models are ranked, or
                :data:`~greenfront.studies.analysis.scores.machines.EACH`; by default the one on
                which the front was measured again, if it was.

        Raises:
            UsageError: There are no readings of such a machine.
            StudyError: It is damaged.
        """
        with readable(self.study.storage, self.study.name):
            return _view(self, scoring, tolerance, machine)


def view(storage: Storage, name: str, machine: str | None = None) -> StudyView:
    """Reads a study; see :meth:`StoredStudy.view`."""
    return StoredStudy.read(storage, name).view(machine=machine)


def _view(
    stored: StoredStudy, scoring: Scoring | None, tolerance: Tolerance | None, asked: str | None
) -> StudyView:
    study, meters = stored.study, stored.study.meters or []
    machines = machines_of(stored.trials, stored.repeats, meters)
    asked = None if asked is None else chosen_machine(asked, machines)
    machine = None if asked == EACH else asked or reference_machine(meters)
    trials, repeats = as_read_on(machine, stored.trials, stored.repeats, meters)
    found = ranked(study, trials, repeats, scoring, tolerance)
    metric, complete, baseline = found.metric, found.complete, found.baseline
    front = with_membership(
        found.front,
        found.trials,
        found.scoring,
        inferences(trials, repeats),
        None if baseline is None else baseline.trial,
    )
    baselines = baselines_of(complete, found.file.baseline_keys(found.facts))
    box = corners([row.values for row in baselines], metric)
    goal = None
    if complete:
        alone = [row.score for row in complete if not row.candidate.companions]
        best = (max if metric.maximise else min)(alone or [row.score for row in complete])
        against = None if baseline is None else baseline.energy_kwh
        goal = goal_of(found.file.targets, found.file.objectives.tolerance, metric, best, against)
    shown = [*front.rows, *([baseline] if baseline else [])]
    values = {row.trial: row.values for row in complete}
    parts = {each.name: getattr(found, each.name) for each in fields(RankedStudy)}
    return StudyView(
        **{**parts, "front": front},
        meters=meters,
        steps=tuple(progress(study, maximised(metric), box, values)),
        labels=labels(shown),
        goal=goal,
        links=chains(found.trials, study.follow_ups.all()),
        machines=machines,
        machine=machine,
    )
