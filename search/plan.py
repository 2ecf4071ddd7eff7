"""What a search will cost, told from one epoch of a few candidates."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import open_instruments
from greenfront.objectives.outcome import Sizing
from greenfront.objectives.readings import JOULES_PER_KWH, Reading, total
from greenfront.search.electricity.intensity import IntensityProvider
from greenfront.search.electricity.schedule_forecast import ScheduleForecast, schedule_forecast
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.exploration import explore
from greenfront.search.network_problem import NetworkProblem
from greenfront.search.session import intensity_provider
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network_space import baseline_candidates
from greenfront.studies.analysis.remarks import compression_remarks
from greenfront.studies.config.study_file import StudyFile

__all__ = ["Forecast", "Sample", "forecast"]

RANDOM_CANDIDATES = 4
"""Tried besides the baselines, so that the mean is not that of the baselines alone."""

MEASURING_SHARE = 1.5
"""Sizing and the final measurement, as a multiple of a sizing: seven long blocks to three short."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One candidate that was tried for a forecast.

    Attributes:
        candidate: In words.
        baseline: Whether it is a family's untouched baseline.
        epoch: Energy of one epoch of training.
        epoch_seconds: Wall time of one epoch.
        sizing: Its untrained, compressed graph.
        trial_kwh: What a whole trial of it will cost at most; ``None`` where no instrument could
            tell what the epoch cost.
        trial_seconds: How long that will take at most.
    """

    candidate: str
    baseline: bool
    epoch: Reading
    epoch_seconds: float
    sizing: Sizing
    trial_kwh: float | None
    trial_seconds: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect of a study. All of it is extrapolated from short measurements.

    Attributes:
        study: Name.
        task: Name of the task, its sizes and its inputs, in words.
        space_size: Number of distinct candidates; ``None`` where a knob is a continuum.
        knobs: Names of what is searched.
        trials: In all; ``None`` without such a budget.
        kwh: Upper estimate: no early stopping, nothing shared between trials. ``None`` without a
            number of trials, and where the energy of one that was tried is unavailable.
        low_kwh: Lower end of the same, by the readings' own range.
        high_kwh: Upper end of the same.
        co2_kg: Of ``kwh``.
        minutes: With the study's workers.
        kind: Of the readings of the epochs, the worst one's.
        samples: What was tried.
        remarks: Whether budgets and limits can be met, and what else one should know.
        schedule: What waiting for clean hours saves; ``None`` where the study does not wait, or
            where that cannot be told.
    """

    study: str
    task: str
    space_size: int | None
    knobs: tuple[str, ...]
    trials: int | None
    kwh: float | None
    low_kwh: float | None
    high_kwh: float | None
    co2_kg: float | None
    minutes: float | None
    kind: str
    samples: tuple[Sample, ...]
    remarks: tuple[str, ...]
    schedule: ScheduleForecast | None = None


def forecast(file: StudyFile, say: Callable[[str], None] = lambda _message: None) -> Forecast:
    """Tries one epoch of the baselines and a few random candidates; keeps nothing.

    Args:
        file: The study.
        say: Hears what there is to wait for.

    Raises:
        UsageError: The data cannot be used.
        MeterError: A source of energy that the study needs does not work here, or the machine is
            too busy to tell what it draws while it idles.
        TrialFailed: A candidate could not be tried.
    """
    trace, provider = intensity_provider(file)
    with tempfile.TemporaryDirectory(prefix="greenfront-plan-") as folder:
        instruments = open_instruments(file.metering, say=say)
        found = explore(file, instruments, Path(folder))
        try:
            facts = replace(found.facts, trace=trace)
            problem = NetworkProblem(file, facts, found.instruments)
            baselines = baseline_candidates(problem.options)
            rng = np.random.default_rng(file.study.seed)
            drawn = [
                problem.space.decode(problem.space.sample(rng)) for _ in range(RANDOM_CANDIDATES)
            ]
            samples = [
                _sample(found.evaluator, candidate, candidate in baselines)
                for candidate in [*baselines, *drawn]
            ]
        finally:
            found.evaluator.close(TrialContext())
    return _with_schedule(file, _extrapolate(file, problem, samples), provider)


def _with_schedule(
    file: StudyFile, found: Forecast, provider: IntensityProvider | None
) -> Forecast:
    schedule, remark = schedule_forecast(file.carbon, provider, found.minutes)
    said = found.remarks if remark is None else (*found.remarks, remark)
    return replace(found, schedule=schedule, remarks=said)


def _sample(evaluator: Evaluator, candidate: Candidate, baseline: bool) -> Sample:
    unbooked = TrialContext()  # a plan belongs to no study
    began = time.monotonic()
    sizing = evaluator.call("size", candidate.to_json(), unbooked, returns=Sizing)
    sizing_seconds = time.monotonic() - began
    epoch = evaluator.call("epoch", candidate.to_json(), unbooked, returns=Reading)
    training = candidate.training
    epochs = training.epochs + (training.fine_tune_epochs if candidate.pruning.ratio else 0)
    measuring = (1 + MEASURING_SHARE) * sizing_seconds
    trial_kwh = None
    if epoch.joules is not None:
        # Sizing and measuring keep one thread busy, as training does: the same joules a CPU second.
        per_second = epoch.joules / epoch.cpu_seconds if epoch.cpu_seconds else 0.0
        trial_kwh = (epochs * epoch.joules + per_second * measuring) / JOULES_PER_KWH
    return Sample(
        candidate=candidate.describe(),
        baseline=baseline,
        epoch=epoch,
        epoch_seconds=epoch.wall_seconds,
        sizing=sizing,
        trial_kwh=trial_kwh,
        trial_seconds=epochs * epoch.wall_seconds + measuring,
    )


def _extrapolate(file: StudyFile, problem: NetworkProblem, samples: list[Sample]) -> Forecast:
    trials = file.budget.trials
    mean_kwh = _mean_kwh(samples)
    mean_seconds = float(np.mean([sample.trial_seconds for sample in samples]))
    epoch = samples[0].epoch
    kwh = None if trials is None or mean_kwh is None else trials * mean_kwh
    relative = [
        None if end is None or not epoch.joules or kwh is None else kwh * end / epoch.joules
        for end in (epoch.low_joules, epoch.high_joules)
    ]
    task = problem.facts.task
    shape = "×".join(str(edge) for edge in task.input_shape) or "of text"
    return Forecast(
        study=file.study.name,
        task=f"{task.name}: {task.classes} classes, inputs {shape}, "
        + ", ".join(f"{count} {split}" for split, count in task.sizes.items()),
        space_size=problem.space.size(),
        knobs=tuple(knob.name for knob in problem.space.knobs),
        trials=trials,
        kwh=kwh,
        low_kwh=relative[0],
        high_kwh=relative[1],
        co2_kg=None if kwh is None else _carbon(file, problem).training_co2_kg(kwh),
        minutes=None if trials is None else trials * mean_seconds / 60 / file.search.workers,
        kind=total(sample.epoch for sample in samples).kind,
        samples=tuple(samples),
        remarks=tuple(_remarks(file, problem, samples, kwh, mean_kwh)),
    )


def _mean_kwh(samples: list[Sample]) -> float | None:
    """Of a trial; ``None`` if that of any sample is unknown: the rest is not like it."""
    known = [sample.trial_kwh for sample in samples if sample.trial_kwh is not None]
    return float(np.mean(known)) if len(known) == len(samples) else None


def _carbon(file: StudyFile, problem: NetworkProblem) -> CarbonModel:
    return file.carbon.study_model(problem.facts)


def _remarks(
    file: StudyFile,
    problem: NetworkProblem,
    samples: list[Sample],
    kwh: float | None,
    mean_kwh: float | None,
) -> list[str]:
    remarks: list[str] = []
    budget = file.budget.kwh
    if mean_kwh is None:
        why = {flag for s in samples if s.epoch.joules is None for flag in s.epoch.flags}
        remarks.append(
            "what trials cost cannot be told: the energy of an epoch is unavailable "
            f"({'; '.join(sorted(why)) or 'no reason given'})"
        )
    elif budget is not None and mean_kwh > 0:
        remarks.append(
            f"the energy budget of {budget:g} kWh is enough for some {budget / mean_kwh:.0f} trials"
            if kwh is None or kwh > budget
            else f"the energy budget of {budget:g} kWh is enough"
        )
    limits = file.limits
    for name, limit, values in (
        (
            "inference_joules",
            limits.inference_joules,
            [s.sizing.inference.joules for s in samples if s.sizing.inference.joules is not None],
        ),
        ("latency_seconds", limits.latency_seconds, [s.sizing.latency_seconds for s in samples]),
        ("artefact_bytes", limits.artefact_bytes, [s.sizing.artefact_bytes for s in samples]),
    ):
        if limit is not None and values:
            within = sum(value <= limit for value in values)
            remarks.append(
                f"limit {name} {limit:g}: met by {within} of the {len(values)} candidates tried, "
                f"the best has {min(values):.3g}"
            )
    remarks += compression_remarks(file, problem.facts)
    if not problem.facts.mixed_precision and file.training.mixed_precision == "auto":
        remarks.append("mixed precision is not searched: this device gains nothing by it")
    if _carbon(file, problem).proportional_to_energy:
        remarks.append(
            "CO₂ is a constant multiple of energy here (one intensity, no embodied share): the "
            "front has two dimensions, though three are reported"
        )
    carbon = file.carbon
    if carbon.region is None and carbon.g_per_kwh is None and carbon.trace is None:
        remarks.append("no [carbon] region is given: the world's average intensity is used")
    return remarks
