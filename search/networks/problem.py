"""The search of networks: a problem whose evaluations are metered trials in their own process."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

from greenfront.errors import TrialFailed
from greenfront.objectives.codec import to_json
from greenfront.objectives.context import TrialContext
from greenfront.objectives.learning_curve import LearningCurve
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.outcome import Outcome, Sizing
from greenfront.objectives.readings import Reading
from greenfront.objectives.rungs import RUNGS, RungOutcome
from greenfront.objectives.scores import maximised, objective_names, weighted_loss
from greenfront.search.evaluator.early_stopping import EarlyStopping
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.networks.description import network_description
from greenfront.search.networks.evaluator_pool import EvaluatorPool, LentEvaluator
from greenfront.search.networks.judge import Judge
from greenfront.search.problem import Evaluation, Objective, Problem, Wanted
from greenfront.search.samplers.shares import TrialShares
from greenfront.search.stopping.hopeless import Hopeless
from greenfront.spaces.architectures.registry import is_fitted
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.follow_up import moved
from greenfront.spaces.knobs import Point
from greenfront.spaces.network_space import baseline_candidates, first_generation, network_space
from greenfront.spaces.techniques.training import epoch_range
from greenfront.studies.analysis.history.targets import excess_words, goal_of
from greenfront.studies.analysis.ranking.front import corners
from greenfront.studies.analysis.ranking.volume import Corners
from greenfront.studies.analysis.words.quantities import energy, mass, number
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.study import Direction
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["NetworkProblem"]

T = TypeVar("T")

FAR = 1.5
"""From so many times a target on, a follow-up changes everything at once."""


class NetworkProblem(Problem[Candidate]):
    """Metered trials of one study.

    Args:
        file: The study.
        facts: Of its data and machine.
        instruments: Meter the evaluators.
        warm: A running evaluator for the first worker; :meth:`close` closes it.
    """

    def __init__(
        self,
        file: StudyFile,
        facts: StudyFacts,
        instruments: Instruments,
        warm: Evaluator | None = None,
    ) -> None:
        self.file = file
        self.facts = facts
        self.metric = file.metric(facts)
        self.objectives = tuple(
            Objective(name, more)
            for name, more in zip(objective_names(self.metric), maximised(self.metric), strict=True)
        )
        self.options = file.options(facts)
        self.space = network_space(self.options)
        whole = (epoch_range(file.training, self.options.scope)[1],)
        self.fidelities = RUNGS if file.search.sampler == "green" else whole
        self.ideal = self.metric.perfect
        self._description = network_description(self.space, facts.task)
        script = first_generation(self.options, self.space, file.study.seed)
        self._script = self._warmed(script)
        self._warm = len(self._script) - len(script)
        self._scoring = file.scoring(facts)
        self._baseline_keys = file.baseline_keys(facts)
        self._hopeless: Hopeless | None = None
        if file.search.stop_hopeless and file.search.sampler != "green":
            baselines = baseline_candidates(self.options)
            protected = frozenset(baseline.training_key for baseline in baselines)
            self._hopeless = Hopeless(self.metric, self._scoring.carbon, protected)
        self._pool = EvaluatorPool(file, instruments, file.teacher(facts), warm)
        self._evaluator = LentEvaluator(self._pool)
        self._judge = Judge(
            self.metric, file.limits, self._scoring, preprocessing=facts.preprocessing
        )
        self.follow_up_share = file.targets.share if file.targets.are_set else 0.0

    def identity(self) -> str:
        """Hash of the study's settings and data."""
        trace = None if self.facts.trace is None else self.facts.trace.sha256
        return self.file.identity(self.facts.task.fingerprint, trace)

    def _warmed(self, script: Sequence[Point]) -> list[Point]:
        """The script with what earlier studies have found behind its baselines."""
        if self.facts.warm is None:
            return list(script)
        baselines = len(self.options.scope.families)
        first = dict[str, Point]()
        for point in (*script[:baselines], *self.facts.warm.points, *script[baselines:]):
            first.setdefault(self.space.decode(point).key, point)
        return list(first.values())

    def first_generation(self) -> Sequence[Point]:
        """Baselines, what earlier studies found, techniques: what is due of the script."""
        return self._script[: self.shares.scripted]

    def proposals(self) -> Sequence[Point]:
        """What of the script is not due, as far as a race begins it."""
        shares = self.shares
        return self._script[shares.scripted : shares.scripted + shares.begun]

    @property
    def shares(self) -> TrialShares:
        """Whose idea the trials of this study are."""
        search = self.file.search
        return TrialShares(
            trials=self.file.budget.trials,
            references=len(self.reference_candidates()),
            baselines=len(self.options.scope.families),
            script=len(self._script),
            warm=self._warm,
            sampler=search.sampler,
            population=search.population,
        )

    def follow_up(
        self, point: Point, trial: NetworkTrial, finished: Mapping[str, tuple[float, ...]]
    ) -> Wanted | None:
        """One step stricter or looser, where ``[targets]`` are missed on one side alone."""
        if trial.values is None or trial.outcome is None:
            return None
        score, kwh, *_ = trial.values
        best = (max if self.metric.maximise else min)(values[0] for values in finished.values())
        baselines = [finished[key] for key in self._baseline_keys if key in finished]
        baseline = max(baselines, key=lambda v: self.metric.gain(v[0]), default=None)
        goal = goal_of(
            self.file.targets,
            self.file.objectives.tolerance,
            self.metric,
            best,
            None if baseline is None else baseline[1],
        )
        if goal is None:
            return None
        excesses = goal.excesses(kwh, trial.outcome)
        accurate = goal.is_accurate(score)
        if accurate != bool(excesses):
            return None  # both are reached, or neither
        far = max(excesses.values(), default=1.0) > FAR
        move = moved(
            *(self.options, self.space, point),
            stricter=accurate,
            far=far,
            bytes_count="size" in excesses,
        )
        if move is None:
            return None
        if accurate:
            lacked = f"accurate enough, but {excess_words(excesses)}"
        else:
            reached, least = self.metric.text(score), self.metric.text(goal.least)
            lacked = f"frugal enough, but {reached} is short of {least}"
        return Wanted(move.point, accurate, f"{lacked}: {move.told}")

    def in_words(self, values: Sequence[float]) -> str:
        """Each with its unit, such as ``"accuracy 97.1%, 12.3 mWh, 5.84 mg CO₂"``."""
        score, kwh, co2_kg = values
        return f"{self.metric.word} {self.metric.text(score)}, {energy(kwh)}, {mass(co2_kg)} CO₂"

    @property
    def trials_before_stopping(self) -> int | None:  # type: ignore[override]
        """Those of references and script, and a generation of the sampler's."""
        if self.file.search.stop_below == 0:
            return None
        shares = self.shares
        return shares.references + shares.scripted + shares.generation

    def too_dear(self, price: float, corners: Corners) -> str | None:
        """See :attr:`SearchSection.stop_below`; a share of the box saves that share of its CO₂.

        The box ends at the dearest baseline, used for the stated predictions: a gain of hypervolume
        saves at most this share of what the baseline emits where it counts for all accuracies.
        """
        told, predictions = self.file.search.stop_below, self.file.objectives.predictions
        way_out = "; [search] stop_below = 0 goes on"
        if told != "worth":
            if price >= told:
                return None
            gain = f"the next kWh is expected to add {number(price)} of hypervolume"
            return f"{gain}, less than {told:g}{way_out}"
        cost_kg, worth_kg = self._scoring.carbon.training_co2_kg(1.0), price * corners.worst[2]
        if worth_kg >= cost_kg:
            return None
        return (
            f"a further kWh would emit {mass(cost_kg)} CO₂ and what it is expected to gain saves "
            f"{mass(worth_kg)} over {predictions:,.0f} predictions{way_out}"
        )

    def reference_candidates(self) -> Sequence[Candidate]:
        """Fitted models that networks are compared with."""
        return self.file.references(self.facts)

    def told(
        self, values: tuple[float, ...], finished: Mapping[str, tuple[float, ...]]
    ) -> tuple[float, ...]:
        """All, or the weighted loss against the most accurate baseline so far."""
        weights = self.file.objectives.weights_of_search
        if weights is None:
            return values
        baselines = [finished[key] for key in self._baseline_keys if key in finished]
        usual = max(baselines, key=lambda v: (self.metric.gain(v[0]), -v[1]), default=values)
        return (weighted_loss(_three(values), _three(usual), weights, self.metric),)

    @property
    def told_directions(self) -> list[Direction]:
        """Of a weighted loss, less is better."""
        weighted = self.file.objectives.weights_of_search is not None
        return ["minimize"] if weighted else self.directions

    def describe(self, candidate: Candidate, knobs: tuple[float, ...]) -> tuple[float, ...]:
        """See :func:`network_description`."""
        return self._description(candidate, knobs)

    def raced(self, candidate: Candidate) -> bool:
        """Baselines are not: others are measured by them."""
        return candidate.key not in self._baseline_keys

    def promising(self, candidate: Candidate) -> bool:
        """Weights that are only packed save bytes and no energy: for studies with a size to reach.

        They answer as those that are not packed do, at best.
        """
        if self.file.targets.size_bytes is not None:
            return True
        return candidate.precision.computed_on(self.file.objectives.device)

    def needed(self, candidate: Candidate) -> bool:
        """Baselines and references are."""
        references = (reference.key for reference in self.reference_candidates())
        return candidate.key in (*self._baseline_keys, *references)

    def parent(self, candidate: Candidate) -> str | None:
        """Its training: what prunes or rounds the same network shares it."""
        return candidate.training_key

    def corners(self, finished: Mapping[str, tuple[float, ...]]) -> Corners | None:
        """See :func:`greenfront.studies.analysis.ranking.front.corners`."""
        baselines = [finished[key] for key in self._baseline_keys if key in finished]
        return corners(baselines, self.metric)

    @contextlib.contextmanager
    def worker(self) -> Iterator[Self]:
        """The same problem with its own evaluator, which the next worker reuses."""
        with self._pool.lend() as lent:
            mine = copy.copy(self)
            mine._evaluator = lent
            yield mine

    def close(self) -> None:
        """Closes the evaluators of all workers."""
        self._pool.close()

    def evaluate(self, candidate: Candidate, context: TrialContext) -> Evaluation:
        """Runs one trial in this worker's evaluator, or one rung of it; a dead one is replaced.

        The lineage store keeps what earlier trials and lower rungs have computed. Fitted models
        have one rung.
        """
        whole = self.fidelities[-1]
        if (context.fidelity or whole) < whole and not is_fitted(candidate.architecture.family):
            return self._at_rung(
                candidate, self.fidelities.index(context.fidelity or whole), context
            )
        judges = self._judges(context, candidate.training_key)
        outcome = self._called("trial", candidate.to_json(), context, Outcome, judges)
        outcome, values = self._judge.counted(outcome)
        if values is None:
            raise _unmetered(outcome.readings)
        self._judge.keep(outcome)
        over = self._judge.over_limit(outcome)
        return Evaluation(
            values,
            context.charged_kwh,
            detail=to_json(outcome),
            infeasible=outcome.unreal if over is None else (*outcome.unreal, over),
            fidelity=whole,
        )

    def _at_rung(self, candidate: Candidate, rung: int, context: TrialContext) -> Evaluation:
        """Trains to a rung; what predictions cost is known by then, and training by its rate."""
        argument = {"candidate": candidate.to_json(), "rung": rung}
        judges = self._judges(context, None)
        outcome = self._called("rung", argument, context, RungOutcome, judges)
        if not self.facts.preprocessing:
            outcome = replace(outcome, preprocessing=None)
        answer = outcome.answer
        costs = self._scoring.costs(outcome.training, answer)
        whole = self._scoring.costs(outcome.whole_training, answer)
        if costs is None or whole is None:
            raise _unmetered([*outcome.phases.values(), answer])
        # A global cut depends on trained weights: its size says little before.
        known = candidate.pruning.scope == "uniform"
        return Evaluation(
            (outcome.score, *costs),
            context.charged_kwh,
            known=(None, *whole) if known else (None, None, None),
        )

    def _judges(self, context: TrialContext, training: str | None) -> EarlyStopping:
        """What may stop a candidate, whose training is judged if it is given."""
        judge, hopeless, least_kwh = self._judge, self._hopeless, 0.0

        def size(sizing: Sizing) -> str | None:
            nonlocal least_kwh
            least_kwh = judge.least_kwh(sizing) or 0.0
            return judge.objection(sizing, context.dominated)

        def rest(curve: LearningCurve, spent: Callable[[], Reading | None]) -> str | None:
            if hopeless is None or training is None:
                return None
            return hopeless.verdict(training, curve, least_kwh, spent, context)

        return EarlyStopping(
            size, lambda cheap, dear: judge.standing(cheap, dear, context.dominated), rest
        )

    def _called(
        self,
        name: str,
        argument: Any,
        context: TrialContext,
        returns: type[T],
        judges: EarlyStopping,
    ) -> T:
        return self._evaluator.call(
            name,
            argument,
            context,
            returns=returns,
            timeout_seconds=60 * self.file.limits.trial_minutes,
            early_stopping=judges,
        )

    def evaluator(self, context: TrialContext) -> Evaluator:
        """This worker's evaluator; a dead one is replaced, at the charge of a trial."""
        return self._evaluator.ready(context)

    @property
    def peak_memory_bytes(self) -> int:
        """Highest resident memory of any evaluator so far."""
        return self._pool.peak_memory_bytes


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    score, energy_kwh, co2_kg = values
    return score, energy_kwh, co2_kg


def _unmetered(readings: Iterable[Reading]) -> TrialFailed:
    flags = ", ".join(sorted({flag for reading in readings for flag in reading.flags}))
    why = f" ({flags})" if flags else ""
    return TrialFailed("no reading", "no instrument could tell what a part of it cost" + why)
