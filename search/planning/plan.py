"""What a search will cost, extrapolated from one epoch of a few candidates."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from greenfront.objectives.context import TrialContext
from greenfront.objectives.drafts import drafted
from greenfront.objectives.metering.instruments import open_instruments
from greenfront.objectives.outcome import Sizing
from greenfront.objectives.readings import JOULES_PER_KWH, Reading, total
from greenfront.objectives.tasks.tables.schema import Schema
from greenfront.search.electricity.intensity import intensity_provider
from greenfront.search.electricity.schedule_forecast import ScheduleForecast, schedule_forecast
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.networks.exploration import explore, may_use_gpu
from greenfront.search.networks.judge import limited_costs
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.planning.forecasting import (
    forecast_of,
    forecast_of_history,
    prepaid_kwh,
    tried_epoch,
)
from greenfront.search.planning.warm_start import warm_start
from greenfront.spaces.architectures.registry import is_fitted
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network_space import baseline_candidates
from greenfront.studies.analysis.machine.remarks import (
    compression_remarks,
    metric_remarks,
    reference_remarks,
)
from greenfront.studies.config.forecast import Forecast
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage

__all__ = ["Sample", "StudyPlan", "plan_study"]

RANDOM_CANDIDATES = 4
"""Tried besides the baselines, so that the mean is not that of the baselines alone."""

MEASURING_SHARE = 1.5
"""Sizing and the final measurement, as a multiple of a sizing: seven long blocks to three short."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One candidate that was tried for a plan.

    Attributes:
        candidate: In words.
        baseline: Whether it is a family's untouched baseline.
        epoch: Energy of one epoch of training.
        epoch_seconds: Wall time of one epoch.
        sizing: Its untrained, compressed graph.
        trial_kwh: Upper estimate for a whole trial; ``None`` where ``epoch`` is unavailable.
        trial_seconds: Upper estimate of its duration.
        reference: Whether it is a fitted model that is tried once, before networks.
        measuring_seconds: Of sizing it and measuring its file.
    """

    candidate: str
    baseline: bool
    epoch: Reading
    epoch_seconds: float
    sizing: Sizing
    trial_kwh: float | None
    trial_seconds: float
    reference: bool = False
    measuring_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """The expected cost of a study, extrapolated from short measurements.

    Attributes:
        study: Name.
        task: Name of the task, its sizes and its inputs, in words.
        space_size: Number of distinct candidates; ``None`` where a knob is a continuum.
        knobs: Names of what is searched.
        trials: In all; ``None`` without such a budget.
        kwh: Upper estimate: no early stopping, nothing shared between trials. ``None`` without a
            number of trials, and where the energy of a sample is unavailable.
        low_kwh: Lower end of the same, by the readings' own range.
        high_kwh: Upper end of the same.
        co2_kg: Of ``kwh``, with the embodied share of the time that it takes.
        minutes: With the study's workers.
        kind: The worst kind of the epochs' readings.
        samples: The candidates that were tried.
        remarks: Whether budgets and limits can be met, and other notes.
        schedule: What waiting for clean hours saves; ``None`` if it does not wait, or if unknown.
        notes: What was done to the data, or is odd about them.
        schema: What the columns of a table were taken for; ``None`` for other data.
        forecast: What it will cost, as an interval; ``None`` without a number of trials.
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
    notes: tuple[str, ...] = ()
    schema: Schema | None = None
    forecast: Forecast | None = None


def plan_study(file: StudyFile, earlier: Storage | None = None) -> StudyPlan:
    """Tries one epoch of the baselines and a few random candidates; keeps nothing.

    Args:
        file: The study.
        earlier: Holds studies, of which those of the same data say what trials cost.

    Raises:
        UsageError: The data cannot be used.
        MeterError: An instrument that the study needs does not work here, or the machine is too
            busy to measure its idle power.
        TrialFailed: A candidate could not be tried.
    """
    trace, provider = intensity_provider(file.carbon)
    with drafted(Path(tempfile.gettempdir()) / "greenfront-plan", folder=True) as folder:
        instruments = open_instruments(file.metering, gpu=may_use_gpu(file))
        found = explore(file, instruments, folder)
        try:
            facts = replace(found.facts, trace=trace)
            file.carbon.require(facts)
            file.objectives.folds_of(facts.task)
            problem = NetworkProblem(file, facts, found.instruments)
            facts = replace(facts, warm=warm_start(problem, earlier))
            problem = NetworkProblem(file, facts, found.instruments)
            baselines = baseline_candidates(problem.options)
            rng = np.random.default_rng(file.study.seed)
            points = [problem.space.sample(rng) for _ in range(RANDOM_CANDIDATES)]
            references = problem.reference_candidates()
            candidates = [*references, *baselines, *map(problem.space.decode, points)]
            samples = [
                replace(
                    _sample(found.evaluator, candidate, candidate in baselines),
                    reference=candidate in references,
                )
                for candidate in candidates
            ]
        finally:
            found.evaluator.close(TrialContext())
    plan = _extrapolate(problem, samples)
    if plan.trials is not None:
        forecast = None if earlier is None else forecast_of_history(problem, earlier)
        if forecast is None:
            tried = [
                tried_epoch(candidate, sample.epoch, sample.measuring_seconds)
                for candidate, sample in zip(candidates, samples, strict=True)
            ]
            forecast = forecast_of(problem, tried, prepaid_kwh(found.charged))
        plan = replace(plan, forecast=forecast)
    schedule, remark = schedule_forecast(file, provider, plan.minutes)
    remarks = plan.remarks if remark is None else (*plan.remarks, remark)
    return replace(plan, schedule=schedule, remarks=remarks)


def _sample(evaluator: Evaluator, candidate: Candidate, baseline: bool) -> Sample:
    context = TrialContext()  # charges nobody: a plan belongs to no study
    if is_fitted(candidate.architecture.family):  # which has no size before: it is kept
        evaluator.call("epoch", candidate.to_json(), context, returns=Reading)
    began = time.monotonic()
    sizing = evaluator.call("size", candidate.to_json(), context, returns=Sizing)
    sizing_seconds = time.monotonic() - began
    epoch = evaluator.call("epoch", candidate.to_json(), context, returns=Reading)
    epochs = candidate.most_epochs
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
        measuring_seconds=measuring,
    )


def _extrapolate(problem: NetworkProblem, samples: list[Sample]) -> StudyPlan:
    file = problem.file
    trials = file.budget.trials
    searched = [sample for sample in samples if not sample.reference]
    known = [sample.trial_kwh for sample in searched if sample.trial_kwh is not None]
    # Those with a reading do not stand for those without one.
    mean_kwh = float(np.mean(known)) if len(known) == len(searched) else None
    kwh = None if trials is None else _in_all([s.trial_kwh for s in samples], samples, trials)
    epoch = searched[0].epoch
    low_kwh, high_kwh = (
        None if end is None or not epoch.joules or kwh is None else kwh * end / epoch.joules
        for end in (epoch.low_joules, epoch.high_joules)
    )
    remarks = _budget_remarks(file.budget.kwh, samples, kwh, mean_kwh)
    remarks += _limit_remarks(file, samples) + _space_remarks(problem)
    whole_seconds = (
        None if trials is None else _in_all([s.trial_seconds for s in samples], samples, trials)
    )
    together = file.search.workers if file.throughput is None else file.throughput[-1]
    task = problem.facts.task
    shape = "×".join(str(edge) for edge in task.input_shape) or "of text"
    return StudyPlan(
        study=file.study.name,
        task=f"{task.name}: {task.predicted}, inputs {shape}, "
        + ", ".join(f"{count} {split}" for split, count in task.sizes.items()),
        space_size=problem.space.size(),
        knobs=tuple(knob.name for knob in problem.space.knobs),
        trials=trials,
        kwh=kwh,
        low_kwh=low_kwh,
        high_kwh=high_kwh,
        co2_kg=None if kwh is None else _co2_kg(problem, kwh, total(s.epoch for s in samples)),
        minutes=None if whole_seconds is None else whole_seconds / 60 / together,
        kind=total(sample.epoch for sample in samples).kind,
        samples=tuple(samples),
        remarks=tuple(remarks),
        notes=task.notes,
        schema=task.schema,
    )


def _co2_kg(problem: NetworkProblem, kwh: float, epochs: Reading) -> float:
    """Of energy whose share of the machine is that of epochs, to each kWh."""
    model = problem.file.carbon.study_model(problem.facts)
    hours = model.busy_hours(model.embodied_component, epochs)
    return model.training_co2_kg(kwh, hours * kwh / epochs.kwh if epochs.kwh else 0.0)


def _in_all(costs: list[float | None], samples: list[Sample], trials: int) -> float | None:
    """Of all trials: a reference is tried once and first, the others cost as much as they do.

    Returns:
        ``None`` where a cost is unknown.
    """
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(samples):
        return None
    pairs = list(zip(known, samples, strict=True))
    once = [cost for cost, sample in pairs if sample.reference][:trials]
    others = [cost for cost, sample in pairs if not sample.reference]
    return sum(once) + (trials - len(once)) * float(np.mean(others))


def _budget_remarks(
    budget_kwh: float | None, samples: list[Sample], kwh: float | None, mean_kwh: float | None
) -> list[str]:
    if mean_kwh is None:
        why = {flag for s in samples if s.epoch.joules is None for flag in s.epoch.flags}
        return [
            "what trials cost cannot be told: the energy of an epoch is unavailable "
            f"({'; '.join(sorted(why)) or 'no reason given'})"
        ]
    if budget_kwh is None or mean_kwh <= 0:
        return []
    enough = f"the energy budget of {budget_kwh:g} kWh is enough"
    short = kwh is None or kwh > budget_kwh
    return [enough + f" for some {budget_kwh / mean_kwh:.0f} trials" if short else enough]


def _limit_remarks(file: StudyFile, samples: list[Sample]) -> list[str]:
    remarks = []
    for costs in zip(*(limited_costs(file.limits, s.sizing) for s in samples), strict=True):
        name, limit, text = costs[0].name, costs[0].limit, costs[0].text
        values = [cost.value for cost in costs if cost.value is not None]
        if limit is not None and values:
            within = sum(value <= limit for value in values)
            remarks.append(
                f"limit {name} {text(limit)}: met by {within} of the {len(values)} candidates "
                f"tried, the best has {text(min(values))}"
            )
    return remarks


def _space_remarks(problem: NetworkProblem) -> list[str]:
    file, facts = problem.file, problem.facts
    shares = problem.shares
    remarks = [*metric_remarks(file, facts), *reference_remarks(file, facts), shares.sentence]
    remarks += [] if shares.warning is None else [shares.warning]
    remarks += compression_remarks(file, facts)
    if not facts.mixed_precision and file.training.mixed_precision == "auto":
        remarks.append("mixed precision is not searched: this device gains nothing by it")
    carbon = file.carbon
    if carbon.study_model(facts).proportional_to_energy:
        remarks.append(
            "CO₂ is a constant multiple of energy here (one intensity, no embodied share): the "
            "front has two dimensions, though three are reported"
        )
    if carbon.region is None and carbon.g_per_kwh is None and carbon.trace is None:
        remarks.append("no [carbon] region is given: the world's average intensity is used")
    return remarks
