"""The search of networks: a problem whose evaluations are metered trials in their own process."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from greenfront.errors import SearchAborted, TrialFailed
from greenfront.objectives.metering.instruments import Instruments, require_device
from greenfront.objectives.outcome import Outcome, Repeat, Sizing
from greenfront.objectives.readings import Component, Reading
from greenfront.objectives.scores import OBJECTIVES, least_energy_kwh, values_of
from greenfront.search.evaluator.process import CallHooks, Evaluator, EvaluatorSettings
from greenfront.search.problem import Attempt, Evaluation, Objective, Problem
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.knobs import Point
from greenfront.spaces.network_space import first_generation, network_space
from greenfront.studies.analysis.front import MAXIMISE, corners
from greenfront.studies.analysis.volume import Corners
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Charged

__all__ = ["NetworkProblem", "explore", "start_evaluator"]

JOB = "greenfront.search.evaluator.trial_job:trial_job"
RESOLUTIONS_A_BLOCK = 20
"""A metered block spans so many steps of its counter at least: five percent of edge error."""

SIZING_MARGIN = 0.9
"""A sizing is a short measurement: only what is clearly beaten is stopped on its account."""


def start_evaluator(
    file: StudyFile, instruments: Instruments, hooks: CallHooks, cache: Path | None = None
) -> Evaluator:
    """Starts an evaluator of networks for a study.

    Args:
        file: The study.
        instruments: What to meter it with.
        hooks: For its start.
        cache: Where it keeps things; by default where the study file says.

    Raises:
        UsageError: The data cannot be used.
        TrialFailed: It died.
    """
    place = Path(file.study.cache) if cache is None else cache
    resolution = max(m.resolution_seconds for m in instruments.meters if m.component != "gpu")
    memory = file.limits.memory_gb
    return Evaluator(
        EvaluatorSettings(
            job=JOB,
            settings={
                "task": asdict(file.task.settings()),
                "cache": str(place),
                "seed": file.study.seed,
                "threads": file.study.threads,
                "device": file.training.device,
                "batch": file.objectives.batch,
                "torch_file": file.objectives.torch_file,
                "block_seconds": max(file.metering.block_seconds, RESOLUTIONS_A_BLOCK * resolution),
            },
            log=place / "logs" / f"{file.study.name}.log",
            threads=file.study.threads,
            memory_bytes=None if memory is None else memory * 2**30,
        ),
        instruments,
        hooks,
    )


def explore(
    file: StudyFile,
    instruments: Instruments,
    cache: Path | None = None,
    known: StudyFacts | None = None,
) -> tuple[Evaluator, StudyFacts, Instruments, list[Charged]]:
    """Loads the data in a first evaluator and finds out what the study needs to know.

    Args:
        file: The study.
        instruments: What this machine offers.
        cache: Where the evaluator keeps things; by default where the study file says.
        known: What the study found out when it began: its space stays as it was laid out, also
            on a machine with other kernels.

    Returns:
        The evaluator, still warm; the facts; the instruments that the study needs (a GPU's only
        where it is used); and what finding out has cost.

    Raises:
        UsageError: The data cannot be used.
        SearchAborted: The evaluator died over them.
    """
    charged: list[Charged] = []

    def charge(phase: str, readings: Mapping[Component, Reading], start: float, end: float) -> None:
        charged.append(Charged(phase, readings, start, end))

    hooks = CallHooks(charge=charge)
    try:
        evaluator = start_evaluator(file, instruments, hooks, cache)
        facts = _described(evaluator, hooks)
        if facts.device == "cpu" and any(m.component == "gpu" for m in instruments.meters):
            evaluator.close(charge)
            instruments = instruments.without("gpu")
            evaluator = start_evaluator(file, instruments, hooks, cache)
        try:
            require_device(instruments, facts.device)
            facts = _with_families(file, facts, evaluator, hooks, known)
        except BaseException:
            evaluator.close(charge)
            raise
    except TrialFailed as failure:
        raise SearchAborted(f"the study cannot begin: {failure}") from failure
    return evaluator, facts, instruments, charged


def _described(evaluator: Evaluator, hooks: CallHooks) -> StudyFacts:
    try:
        return StudyFacts.from_json(evaluator.call("describe", None, hooks))
    except BaseException:
        evaluator.close(hooks.charge)
        raise


def _with_families(
    file: StudyFile,
    facts: StudyFacts,
    evaluator: Evaluator,
    hooks: CallHooks,
    known: StudyFacts | None,
) -> StudyFacts:
    """Builds each family once, before anything is kept, and sees which gain by int8 kernels."""
    families = list(file.families(facts))
    evaluator.call("check", families, hooks)
    if known is not None:
        return replace(facts, int8=known.int8, threads=known.threads)
    if 8 in file.space.bits:
        return replace(facts, int8=evaluator.call("int8", families, hooks))
    return facts


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
            self._warm.pop().close(_nobody)

    def evaluate(
        self, candidate: Candidate, fidelity: int, checkpoint: object | None, attempt: Attempt
    ) -> Evaluation:
        """Runs one trial in this worker's evaluator, replaced by a fresh one where it has died.

        Trials run at the one fidelity there is, from the start: the lineage store gives them back
        whatever an earlier trial has computed.
        """
        del fidelity, checkpoint
        spent: list[float] = []

        def charge(
            phase: str, readings: Mapping[Component, Reading], start: float, end: float
        ) -> None:
            attempt.charge(phase, readings, start, end)
            spent.extend(r.kwh for r in readings.values() if r.kwh is not None)

        hooks = CallHooks(
            charge=charge,
            progress=attempt.progress,
            sized=lambda sizing: self._objection(sizing, attempt),
            stopping=lambda: attempt.stopping,
            hold=attempt.hold,
        )
        evaluator = self._ready(hooks)
        try:
            value = evaluator.call(
                "trial",
                candidate.to_json(),
                hooks,
                timeout_seconds=60 * self.file.limits.trial_minutes,
            )
        except TrialFailed as failure:
            if failure.cause == "out of memory" and evaluator.alive:
                # What it could not get it may have kept half of: begin anew.
                evaluator.close(charge)
            raise
        finally:
            self._peaks.append(evaluator.peak_memory_bytes)
        outcome = Outcome.from_json(value)
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
            sum(spent),
            detail=outcome.to_json(),
            infeasible=outcome.unreal if over is None else (*outcome.unreal, over),
        )

    def repeat(self, candidate: Candidate, outcome: Outcome, hooks: CallHooks) -> Repeat | None:
        """Measures a finished trial's file again, in this worker's evaluator.

        Args:
            candidate: Of the trial.
            outcome: Of the trial and its repeats so far.
            hooks: What happens meanwhile.

        Returns:
            ``None`` where the file is no longer there.

        Raises:
            TrialFailed: It cannot be run.
        """
        evaluator = self._ready(hooks)
        argument = {
            "candidate": candidate.to_json(),
            "artefact": outcome.artefact,
            "batched": outcome.batched is None,
        }
        value = evaluator.call(
            "repeat", argument, hooks, timeout_seconds=60 * self.file.limits.trial_minutes
        )
        return None if value is None else Repeat.from_json(value)

    @property
    def peak_memory_bytes(self) -> int:
        """Highest resident memory of any evaluator so far."""
        return max(self._peaks, default=0)

    def _ready(self, hooks: CallHooks) -> Evaluator:
        if self._evaluator is not None and not self._evaluator.alive:
            self._evaluator.close(hooks.charge)
            self._evaluator = None
        if self._evaluator is None:
            self._evaluator = start_evaluator(self.file, self._instruments, hooks)
            self._taught = False
        if not self._taught:
            teacher = None if self._teacher is None else self._teacher.to_json()
            self._evaluator.call("teacher", teacher, hooks)
            self._taught = True
        return self._evaluator

    def _objection(self, sizing: Sizing, attempt: Attempt) -> str | None:
        """Why no accuracy could make a candidate of this size worth its training."""
        over = self._over_limit(sizing)
        if over is not None:
            return over
        energy = least_energy_kwh(sizing, self.file.objectives.predictions)
        if energy is None:
            return None
        least = SIZING_MARGIN * energy
        return attempt.hopeless((1.0, least, self._carbon.co2_kg(least)))

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


def _nobody(
    phase: str, readings: Mapping[Component, Reading], started_at: float, ended_at: float
) -> None:
    """Takes what an evaluator spends on its way out, after the study's end: microjoules."""
