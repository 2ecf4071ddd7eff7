"""The search of networks: a problem whose evaluations are metered trials in their own process."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Self

from greenfront.errors import TrialFailed
from greenfront.objectives.codec import to_json
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.outcome import Outcome, Repeat, Sizing
from greenfront.objectives.scores import OBJECTIVES, least_energy_kwh, values_of
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.exploration import start_evaluator
from greenfront.search.problem import Evaluation, Objective, Problem
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.knobs import Point
from greenfront.spaces.network_space import first_generation, network_space
from greenfront.studies.analysis.front import MAXIMISE, corners
from greenfront.studies.analysis.volume import Corners
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile

__all__ = ["NetworkProblem"]

SIZING_MARGIN = 0.9
"""A sizing is a short measurement: only what is clearly beaten is stopped on its account."""


class NetworkProblem(Problem[Candidate]):
    """Metered trials of one study.

    Args:
        file: The study.
        facts: Of its data and machine.
        instruments: What to meter with.
        warm: An evaluator that is running already; the first worker takes it, and :meth:`close`
            closes it.
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
        self.objectives = tuple(
            Objective(name, more) for name, more in zip(OBJECTIVES, MAXIMISE, strict=True)
        )
        self.options = file.options(facts)
        self.space = network_space(self.options)
        self.fidelities = (file.training.epochs,)
        self._instruments = instruments
        self._carbon = file.carbon.study_model(facts)
        self._baseline_keys = file.baseline_keys(facts)
        self._warm = [warm] if warm else []
        self._evaluator: Evaluator | None = None
        self._taught = False
        self._peaks: list[int] = []
        self._teacher = file.teacher(facts)

    def identity(self) -> str:
        """Hash of the study's settings and data."""
        trace = self.facts.trace
        return self.file.identity(
            self.facts.task.fingerprint, None if trace is None else trace.sha256
        )

    def first_generation(self) -> Sequence[Point]:
        """Baselines, each technique alone, then together."""
        return first_generation(self.options, self.space, self.file.study.seed)

    def corners(self, finished: Mapping[str, tuple[float, ...]]) -> Corners | None:
        """The box from chance level at the dearest baseline's price to a faultless free model."""
        baselines = [finished[key] for key in self._baseline_keys if key in finished]
        return corners(baselines, self.facts.task.majority_fraction)

    @contextlib.contextmanager
    def worker(self) -> Iterator[Self]:
        """The same problem with an evaluator of its own; the next worker takes that over."""
        mine = copy.copy(self)
        mine._evaluator = self._warm.pop() if self._warm else None
        try:
            yield mine
        finally:
            if mine._evaluator is not None:
                self._warm.append(mine._evaluator)

    def close(self) -> None:
        """Closes the evaluators of all workers."""
        while self._warm:
            self._warm.pop().close(TrialContext())

    def evaluate(self, candidate: Candidate, context: TrialContext) -> Evaluation:
        """Runs one trial in this worker's evaluator, replaced by a fresh one where it has died.

        Trials run at the one fidelity there is, from the start: the lineage store gives them back
        whatever an earlier trial has computed.
        """
        evaluator = self._ready(context)
        try:
            outcome = evaluator.call(
                "trial",
                candidate.to_json(),
                context,
                returns=Outcome,
                timeout_seconds=60 * self.file.limits.trial_minutes,
                size_verdict=lambda sizing: self._objection(sizing, context),
            )
        except TrialFailed as failure:
            if failure.cause == "out of memory" and evaluator.alive:
                # What it could not get it may have kept half of: begin anew.
                evaluator.close(context)
            raise
        finally:
            self._peaks.append(evaluator.peak_memory_bytes)
        values = values_of(outcome, self.file.objectives.predictions, self._carbon)
        if values is None:
            flags = ", ".join(sorted({f for r in outcome.readings for f in r.flags}))
            raise TrialFailed(
                "no reading",
                "no instrument could tell what a part of it cost"
                + (f" ({flags})" if flags else ""),
            )
        over = self._over_limit(outcome)
        return Evaluation(
            values,
            context.charged_kwh,
            detail=to_json(outcome),
            infeasible=outcome.unreal if over is None else (*outcome.unreal, over),
        )

    def repeat(
        self, candidate: Candidate, outcome: Outcome, context: TrialContext
    ) -> Repeat | None:
        """Measures a finished trial's file again, in this worker's evaluator.

        Args:
            candidate: Of the trial.
            outcome: Of the trial and its repeats so far.
            context: Charged with it.

        Returns:
            ``None`` where the file is no longer there.

        Raises:
            TrialFailed: It cannot be run.
        """
        evaluator = self._ready(context)
        argument = {
            "candidate": candidate.to_json(),
            "artefact": outcome.artefact,
            "batched": outcome.batched is None,
        }
        measured = evaluator.call(
            "repeat",
            argument,
            context,
            returns=list[Repeat],
            timeout_seconds=60 * self.file.limits.trial_minutes,
        )
        return measured[0] if measured else None

    @property
    def peak_memory_bytes(self) -> int:
        """Highest resident memory of any evaluator so far."""
        return max(self._peaks, default=0)

    def _ready(self, context: TrialContext) -> Evaluator:
        if self._evaluator is not None and not self._evaluator.alive:
            self._evaluator.close(context)
            self._evaluator = None
        if self._evaluator is None:
            self._evaluator = start_evaluator(self.file, self._instruments, context)
            self._taught = False
        if not self._taught:
            teacher = None if self._teacher is None else self._teacher.to_json()
            self._evaluator.call("teacher", teacher, context, returns=NoneType)
            self._taught = True
        return self._evaluator

    def _objection(self, sizing: Sizing, context: TrialContext) -> str | None:
        """Why no accuracy could make a candidate of this size worth its training."""
        over = self._over_limit(sizing)
        if over is not None:
            return over
        energy = least_energy_kwh(sizing, self.file.objectives.predictions)
        if energy is None:
            return None
        least = SIZING_MARGIN * energy
        return context.dominated((1.0, least, self._carbon.co2_kg(least)))

    def _over_limit(self, measured: Sizing | Outcome) -> str | None:
        """What a model costs more than ``[limits]`` allow, as sized or as delivered."""
        limits = self.file.limits
        for name, value, limit in (
            ("inference_joules", measured.inference.joules, limits.inference_joules),
            ("latency_seconds", measured.latency_seconds, limits.latency_seconds),
            ("artefact_bytes", measured.artefact_bytes, limits.artefact_bytes),
        ):
            if value is not None and limit is not None and value > limit:
                return f"{name} {value:.4g} is over the limit of {limit:.4g}"
        return None
