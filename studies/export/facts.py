"""Makes the record of a trial from what a study has stored."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import psutil

from greenfront.errors import StudyError
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.metering.pinned import metered_card, metered_machines
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.packaging.claims import Judged
from greenfront.objectives.readings import Reading
from greenfront.objectives.resampling import unpacked
from greenfront.objectives.scores import predictions_co2_kg, training_co2_kg
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.studies.analysis.payback.break_even import break_even
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.scores.cross_validated import (
    is_cross_validated,
    judged_folds,
    on_own_split,
)
from greenfront.studies.analysis.scores.interval import (
    examples_of,
    percentile_interval,
    score_interval,
)
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.export.record import (
    Difference,
    Emission,
    Hardware,
    MeasuredModel,
    ModelRecord,
    Score,
    SearchCost,
)

__all__ = ["paired_difference", "record_of", "score_of"]

PACKAGES = ("greenfront", "onnxruntime", "onnx", "torch", "scikit-learn", "optuna", "codecarbon")


def record_of(view: StudyView, trial: int) -> ModelRecord:
    """All that is stored of a trial and its study; what only the exported file can tell is unknown.

    Args:
        view: The study.
        trial: Optuna's number of a complete trial.

    Raises:
        StudyError: There is no such trial, or it has no result.
    """
    row, baseline = row_of(view, trial), view.baseline
    found = break_even(row, baseline, view.spent)
    own = next(each for each in view.trials if each.number == trial)
    needless = view.no_network
    return ModelRecord(
        study=view.name,
        names=tuple(view.front.names(row)) if row.rank else (),
        model=measured_model(view, row),
        baseline=None if baseline is None else measured_model(view, baseline),
        task=view.facts.task,
        metric=view.metric,
        scoring=view.scoring,
        search=_search(view),
        hardware=_hardware(view),
        versions=_versions(),
        created_at=time.time(),
        trained_at=own.finished_at,
        break_even=found.verdict,
        break_even_predictions=found.predictions,
        validation_difference=None if baseline is None else _difference(row, baseline),
        max_drop=view.front.tolerance.max_drop,
        needs_no_network=needless is not None and needless.model.trial == trial,
        pretrained=_pretrained(row.candidate.architecture.family),
    )


def row_of(view: StudyView, trial: int) -> ScoredTrial:
    """A complete trial with its scores, as the front knows it where it is a member.

    Raises:
        StudyError: There is no such trial, or it has no result.
    """
    for row in (*view.front.rows, *view.complete):
        if row.trial == trial:
            return row
    there = next((each for each in view.trials if each.number == trial), None)
    if there is None:
        known = f"0 to {len(view.trials) - 1}" if view.trials else "none yet"
        raise StudyError(
            f"study {view.name!r} has no trial {trial}; its trials are {known}: greenfront front "
            "shows those worth a look"
        )
    raise StudyError(
        f"trial {trial} of study {view.name!r} has no result to export: it is {there.state}"
        + (f" ({there.reason})" if there.reason else "")
        + "; take a complete one, greenfront front shows them"
    )


def measured_model(view: StudyView, row: ScoredTrial) -> MeasuredModel:
    """One trial's file, as the search measured it."""
    outcome, carbon = row.outcome, view.scoring.carbon
    training = outcome.training
    return MeasuredModel(
        trial=row.trial,
        candidate=row.candidate.to_json(),
        description=view.label(row),
        validation=_validation(on_own_split(outcome), view.facts.task, view.metric),
        cross_validated=score_of(outcome, outcome.examples, (), view.metric)
        if is_cross_validated(outcome)
        else None,
        folds=judged_folds(outcome),
        training=Emission(training, training_co2_kg(training, carbon)),
        phases=outcome.phases,
        inference=_answer(outcome.inference, carbon),
        answer=_answer(outcome.answer, carbon),
        latency_seconds=outcome.latency_seconds,
        parameters=outcome.parameters,
        flops=outcome.flops,
        file_bytes=outcome.artefact_bytes,
        inference_spread=outcome.inference_spread,
        preprocessing=outcome.preprocessing,
        measurements=outcome.measurements,
        batched=outcome.batched,
        epochs=outcome.epochs,
        max_error=outcome.max_error,
        agreement=outcome.agreement,
        energy_kwh=row.energy_kwh,
        co2_kg=row.co2_kg,
    )


def score_of(
    judged: Outcome | Judged, examples: int | None, class_counts: Sequence[int], metric: Metric
) -> Score:
    """A score with its interval."""
    found = score_interval(judged, metric)
    return Score(
        value=judged.score,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        examples=examples,
        decisions=judged.decisions,
        class_counts=tuple(class_counts),
        resampled=judged.resampled,
    )


def paired_difference(
    value: float, resampled: str | None, baseline: float, of_baseline: str | None
) -> Difference:
    """A score less the baseline's, with the interval over the same resamples of the examples.

    Args:
        value: Of the model.
        resampled: Its scores on resamples, packed; ``None`` if unknown.
        baseline: Score of the baseline on the same examples.
        of_baseline: The baseline's scores on the same resamples.
    """
    if resampled is None or of_baseline is None:
        return Difference(value - baseline)
    found = percentile_interval(unpacked(resampled) - unpacked(of_baseline))
    return Difference(value - baseline, found.low, found.high)


def _difference(row: ScoredTrial, baseline: ScoredTrial) -> Difference:
    mine, usual = on_own_split(row.outcome), on_own_split(baseline.outcome)
    return paired_difference(mine.score, mine.resampled, usual.score, usual.resampled)


def _validation(outcome: Outcome, task: TaskFacts, metric: Metric) -> Score:
    part = examples_of(outcome, task)
    counts = task.class_counts.get(part, ())
    return score_of(outcome, task.sizes.get(part), counts, metric)


def _answer(reading: Reading, carbon: CarbonModel) -> Emission:
    return Emission(reading, predictions_co2_kg(reading, 1.0, carbon))


def _search(view: StudyView) -> SearchCost:
    kwh, low, high = view.spent.shown_kwh
    ends = [trial.finished_at for trial in view.trials if trial.finished_at is not None]
    return SearchCost(
        kwh=kwh,
        low_kwh=low,
        high_kwh=high,
        co2_kg=view.spent.co2_kg,
        kind=view.kind,
        trials=len(view.trials),
        finished=sum(trial.state == "complete" for trial in view.trials),
        unmetered=view.spent.unmetered,
        cpu_seconds=view.spent.cpu_seconds,
        phases_kwh={phase: spent.kwh for phase, spent in view.spent_by_phase.items()},
        sampler=view.file.search.sampler,
        seed=view.file.study.seed,
        started_at=min((trial.started_at for trial in view.trials), default=None),
        ended_at=max(ends, default=None),
    )


def _hardware(view: StudyView) -> Hardware:
    """The study's machine; its processor is named only where this may be the same one."""
    here = view.facts.threads == os.cpu_count()
    return Hardware(
        device=view.facts.device,
        threads=view.facts.threads,
        processor=view.machine
        or ", ".join(metered_machines(view.meters))
        or (describe_cpu().name if here else ""),
        gpu=metered_card(view.meters),
        memory_bytes=psutil.virtual_memory().total if here else None,
        system=platform.system().lower() if here else "",
        meters=tuple(view.meters),
    )


def _pretrained(family: str) -> str:
    """A family whose weights come from a checkpoint; empty for others."""
    return family if family.startswith(("hf:", "frozen:")) or "@" in family else ""


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
