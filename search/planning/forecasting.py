"""Forecasts of what a search will cost, from a few epochs or from earlier studies.

An interval is made of what a search may do, not of a distribution: at its lower end trainings end
as early as their patience allows and what candidates can share is shared, at its upper end each is
trained whole and nothing is shared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from greenfront.errors import TrialFailed
from greenfront.objectives.context import TrialContext
from greenfront.objectives.learning_curve import FIRST_LOOK
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.objectives.stages.metered import Measuring
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.networks.problem import NetworkProblem
from greenfront.spaces.architectures.registry import architecture, is_fitted
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network_space import baseline_candidates
from greenfront.studies.analysis.words.quantities import counted
from greenfront.studies.config.forecast import Expected, Forecast
from greenfront.studies.store.ledger_writer import Charged
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, study_names

__all__ = [
    "Tried",
    "forecast_of",
    "forecast_of_history",
    "prepaid_kwh",
    "tried_epoch",
    "tried_first",
]

CHEAPER, DEARER = 0.5, 1.5
"""Ends of what candidates of a search cost, over those that are drawn: samplers go where it is
cheap; and what a short sample has not met."""

OVERHEAD_SECONDS = (0.05, 0.3, 1.5)
"""Of a trial, besides its epochs and measurements: loading, exporting, storing. Low, likely, high.
"""

ON_FRONT = 1 / 3
"""Share of the trials, at most, that are measured again in the end."""

CROSS_VALIDATED = 10
"""Models that are trained on further splits, where any are: the best ones, and those with names."""

CACHED = 0.2
"""Least share of what earlier studies have cost a trial: trainings that they left are shared."""

MOST_SHARE = 0.01
"""Of a search's epochs, at most, that are spent on its forecast."""

BLOCKS = 2 * Measuring().least_blocks
"""Of a file's measurement: so many when it is sized, as many in the end."""

FEWEST_TRIALS = 8
"""That an earlier study has to have finished to tell anything."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate of which an epoch was tried.

    Attributes:
        candidate: A fitted model's epoch is the whole fit.
        epoch_kwh: Energy of one epoch; ``None`` where it is unavailable.
        epoch_seconds: Of wall time.
        measuring_seconds: Of sizing it and of measuring its file, as it is once.
        watts: Of the busy machine.
    """

    candidate: Candidate
    epoch_kwh: float | None
    epoch_seconds: float
    measuring_seconds: float
    watts: float

    @property
    def measuring_kwh(self) -> float:
        """Energy of sizing and measuring."""
        return _kwh(self.watts, self.measuring_seconds)


def prepaid_kwh(charged: Sequence[Charged]) -> float:
    """Energy of what was metered before there was a study; the unavailable counts as nothing."""
    return sum(reading.kwh or 0.0 for cost in charged for reading in cost.readings.values())


def _kwh(watts: float, seconds: float) -> float:
    return watts * seconds / JOULES_PER_KWH


def forecast_of(problem: NetworkProblem, tried: Sequence[Tried], prepaid_kwh: float) -> Forecast:
    """A forecast from an epoch of some candidates.

    Args:
        problem: With a budget of trials.
        tried: References, each tried once in the search, and networks that stand for others.
        prepaid_kwh: Spent before the first trial.
    """
    trials, workers = problem.file.budget.trials or 0, problem.file.search.workers
    plan = _Plan.of(problem, tried, trials)
    seconds = plan.cost(
        {one.candidate.key: one.epoch_seconds for one in tried},
        {one.candidate.key: one.measuring_seconds for one in tried},
        1.0,
    )
    kwh: Expected | None = None
    known = {one.candidate.key: one.epoch_kwh for one in tried if one.epoch_kwh is not None}
    if len(known) == len(tried):
        watts = float(np.mean([one.watts for one in tried]))
        measuring = {one.candidate.key: one.measuring_kwh for one in tried}
        spent = plan.cost(known, measuring, _kwh(watts, 1.0))
        kwh = Expected(
            spent.likely + prepaid_kwh, spent.low + prepaid_kwh, spent.high + 2 * prepaid_kwh
        )
    references = len(plan.references)
    networks = len(tried) - references
    basis = f"from an epoch of {counted(networks, 'network')}"
    basis += f" and {references} fitted models" if references else ""
    return Forecast(trials, kwh, seconds.times(1 / 60).shared(workers), basis)


def tried_first(
    problem: NetworkProblem, evaluator: Evaluator, context: TrialContext
) -> list[Tried]:
    """An epoch of each family's baseline, where that is next to nothing of the whole search.

    Args:
        problem: Of the study.
        evaluator: Runs them.
        context: Charged with the energy.

    Returns:
        Empty where it would be more, there is no number of trials, or one cannot be tried.
    """
    networks = [
        candidate
        for candidate in baseline_candidates(problem.options)
        if not is_fitted(candidate.architecture.family)
    ]
    trials = problem.file.budget.trials or 0
    whole = sum(candidate.training.epochs for candidate in networks)
    if not networks or len(networks) ** 2 > MOST_SHARE * trials * whole:
        return []
    block = problem.file.metering.block_seconds
    found = []
    for candidate in networks:
        try:
            epoch = evaluator.call(
                "epoch",
                candidate.to_json(),
                context,
                returns=Reading,
                timeout_seconds=60 * problem.file.limits.trial_minutes,
            )
        except TrialFailed:
            return []
        found.append(tried_epoch(candidate, epoch, BLOCKS * block))
    return found


def tried_epoch(candidate: Candidate, epoch: Reading, measuring_seconds: float) -> Tried:
    """What an epoch's reading says; see :class:`Tried`."""
    # Measuring keeps one thread busy, as training does: the same joules a CPU second.
    watts = (epoch.joules or 0.0) / epoch.cpu_seconds if epoch.cpu_seconds else 0.0
    return Tried(candidate, epoch.kwh, epoch.wall_seconds, measuring_seconds, watts)


def forecast_of_history(problem: NetworkProblem, storage: Storage) -> Forecast | None:
    """A forecast from what trials of earlier studies of the same data have cost here.

    Args:
        problem: With a budget of trials.
        storage: Holds the studies; this one does not count.

    Returns:
        ``None`` where there are none.
    """
    trials, rates = problem.file.budget.trials, list[tuple[str, float, float]]()
    if trials is None:
        return None
    for name in study_names(storage):
        study = Study.open(storage, name)
        if name == problem.file.study.name or not _same_data(study, problem):
            continue
        finished = sum(study.trials.counts()[state] for state in ("complete", "stopped"))
        kwh, minutes = study.ledger.of_search().shown_kwh[0], study.runs.active_minutes()
        if finished >= FEWEST_TRIALS and kwh:
            workers = int(study.configuration.get("search", {}).get("workers", 1))
            rates.append((name, kwh / finished, minutes * workers / finished))
    if not rates:
        return None
    names = ", ".join(name for name, _, _ in rates)

    def of(costs: Sequence[float]) -> Expected:
        likely = float(np.median(costs))
        return Expected(
            trials * likely, CACHED * trials * min(costs), DEARER * 2 * trials * max(costs)
        )

    at_work = of([rate for _, _, rate in rates]).shared(problem.file.search.workers)
    basis = f"from the trials of {names} on the same data"
    return Forecast(trials, of([rate for _, rate, _ in rates]), at_work, basis)


def _same_data(study: Study, problem: NetworkProblem) -> bool:
    """Whether an earlier study was of the same data, and not of another kind of device."""
    facts = study.facts
    return (
        facts is not None
        and facts["task"].get("fingerprint") == problem.facts.task.fingerprint
        and facts.get("device") == problem.facts.device
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One candidate that a search may try.

    Attributes:
        candidate: It.
        epochs: Of its whole training.
        least_epochs: After which patience, or what others have found, may end it.
        trains: Whether no earlier one shares its training.
        measures: Whether no earlier one shares its graph.
    """

    candidate: Candidate
    epochs: float
    least_epochs: float
    trains: bool
    measures: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """The trials of a search, and what stands for each of them.

    Attributes:
        references: Fitted models that were tried; each is one trial.
        untried: Number of references that were not.
        parts: The other candidates, each with what was tried that is nearest to it, and how many
            times as many products a training step of it takes.
        trials: In all.
        repeats: Further measurements of the front's members.
        folds: Further trainings of the best models, in a cross-validation.
        folds_share: Of what all else takes, which these may take at most.
    """

    references: tuple[Tried, ...]
    untried: int
    parts: tuple[tuple[_Part, Tried, float], ...]
    trials: int
    repeats: int
    folds: int
    folds_share: float

    @classmethod
    def of(cls, problem: NetworkProblem, tried: Sequence[Tried], trials: int) -> _Plan:
        references = tuple(one for one in tried if is_fitted(one.candidate.architecture.family))
        in_all = len(problem.reference_candidates())
        parts = []
        for part in _drawn(problem, max(trials - in_all, 0)):
            nearest = _nearest(problem, part.candidate, tried)
            parts.append((part, nearest, _size_ratio(problem, part.candidate, nearest)))
        objectives = problem.file.objectives
        return cls(
            references,
            in_all - len(references),
            tuple(parts),
            trials,
            objectives.repeats - 1,
            objectives.folds_of(problem.facts.task) - 1,
            objectives.folds_share,
        )

    def cost(self, costs: dict[str, float], measuring: dict[str, float], second: float) -> Expected:
        """What all trials take, in the unit of the arguments.

        Args:
            costs: Of an epoch, by the key of what was tried.
            measuring: Of sizing and measuring, likewise.
            second: Of a second of work.
        """
        low = likely = high = dearest = trained = 0.0
        for one in self.references:
            key = one.candidate.key
            low += CHEAPER * costs[key]
            likely += costs[key] + measuring[key]
            trained += costs[key]
            high += DEARER * (costs[key] + 2 * measuring[key])
        for part, nearest, size in self.parts:
            epoch, measured = costs[nearest.candidate.key], measuring[nearest.candidate.key]
            if part.trains:
                low += CHEAPER * part.least_epochs * epoch * min(1.0, size)
                training = (part.least_epochs + part.epochs) / 2 * epoch * math.sqrt(size)
                likely, trained = likely + training, trained + training
            likely += measured if part.measures else 0.0
            low += CHEAPER * measured / 2 if part.measures else 0.0
            whole = DEARER * (part.epochs * epoch * max(1.0, size) + 2 * measured)
            high, dearest = high + whole, max(dearest, whole)
        if self.untried and self.parts:  # each as a network, or as the dearest one
            likely += self.untried * likely / len(self.parts)
            high += self.untried * dearest
        again = self.repeats * max(measuring.values(), default=0.0) * ON_FRONT * self.trials
        overhead = [self.trials * seconds * second for seconds in OVERHEAD_SECONDS]
        likely += again / 2 + overhead[1]
        high += DEARER * again + overhead[2]
        crossed = self.folds * trained * min(1.0, CROSS_VALIDATED / max(self.trials, 1))
        return Expected(
            likely + min(crossed, self.folds_share * likely),
            low + overhead[0],
            high + min(DEARER**2 * crossed, self.folds_share * high),
        )


def _drawn(problem: NetworkProblem, count: int) -> list[_Part]:
    """So many candidates: those of the script, then as a random search would draw them."""
    random = np.random.default_rng(problem.file.study.seed)
    points = list(problem.first_generation())[:count]
    points += [problem.space.sample(random) for _ in range(count - len(points))]
    trainings, graphs, parts = set[str](), set[str](), list[_Part]()
    for candidate in map(problem.space.decode, points):
        training = candidate.training_key or candidate.key
        told = candidate.to_json()
        graph = repr([told["architecture"], told["pruning"], told["precision"]])
        most, least = candidate.most_epochs, _least_epochs(candidate)
        parts.append(_Part(candidate, most, least, training not in trainings, graph not in graphs))
        trainings.add(training)
        graphs.add(graph)
    return parts


def _least_epochs(candidate: Candidate) -> float:
    """Of a training that ends as early as it may; a fit is one epoch."""
    if is_fitted(candidate.architecture.family):
        return 1.0
    training = candidate.training
    return min(training.last_epoch(1), math.ceil(FIRST_LOOK * training.epochs))


def _nearest(problem: NetworkProblem, candidate: Candidate, tried: Sequence[Tried]) -> Tried:
    """What was tried of the same family and nearest size; of any where the family was not."""
    family = candidate.architecture.family
    mine = [one for one in tried if one.candidate.architecture.family == family] or list(tried)
    return min(mine, key=lambda one: abs(math.log(_size_ratio(problem, candidate, one))))


def _size_ratio(problem: NetworkProblem, candidate: Candidate, tried: Tried) -> float:
    """Products of a training step over those of what was tried; 1 where they are not known."""
    mine, theirs = _products(problem, candidate), _products(problem, tried.candidate)
    return 1.0 if mine is None or theirs is None else mine / theirs


def _products(problem: NetworkProblem, candidate: Candidate) -> float | None:
    """Of one example; pruning comes after the training."""
    task, choice = problem.facts.task, candidate.architecture
    if is_fitted(choice.family):
        return None
    extent = architecture(choice.family).extent(dict(choice.shape), task.input_shape, task.outputs)
    return None if extent is None else max(float(extent.products), 1.0)
