"""After a search: how a picked model is best run, and what can be made of it and its neighbours.

What is made becomes a trial of the study, outside of its space as references are: samplers never
learn of it. It is measured as every trial is, and beside the best model that there was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from greenfront.errors import MeterError, StudyError, TrialFailed, UsageError
from greenfront.objectives.codec import to_json
from greenfront.objectives.metering.nvml_cards import load_nvml, visible_cards
from greenfront.objectives.metering.power_limit import PowerGuard
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.runtime_options import RuntimeAdvice
from greenfront.objectives.tuning.plans import CascadePlan, LayerPlan, PowerAdvice
from greenfront.search.afterwards.tuning_run import (
    Part,
    Proposal,
    TunedModel,
    TuningRun,
    member_of,
    tuning_run,
)
from greenfront.spaces.architectures.registry import is_fitted
from greenfront.spaces.techniques.cascade import Cascade
from greenfront.spaces.techniques.layer_bits import LayerBits
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.scores.cross_validated import on_own_split
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.quantities import percent_range
from greenfront.studies.store.afterwards import replace_detail
from greenfront.studies.store.patience import PATIENCE_MINUTES
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

__all__ = ["PARTS", "Tuned", "tune"]

PARTS: tuple[Part, ...] = ("runtime", "bits", "cascade")

MOST_CASCADES = 3
"""Built of the plans, the cheapest first, until one takes less than the best model by itself."""

OF_THE_CPU: Mapping[Part, str] = {
    "bits": "no bits by layer: on a GPU ONNX Runtime has no int8 kernels for them",
    "cascade": "no cascade: models are compared on the CPU for one, this study's run on a GPU",
}
"""Why a model of a GPU is not taken further."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found.

    Attributes:
        study: Its name.
        row: The picked trial.
        runtime: How it is best run; ``None`` where that was not asked.
        made: Models that were made.
        remarks: Why others were not, in words.
        kwh: Energy of all of that.
        power: What power limits of the GPU bring; ``None`` where that was not asked.
    """

    study: str
    row: ScoredTrial
    runtime: RuntimeAdvice | None
    made: tuple[TunedModel, ...]
    remarks: tuple[str, ...]
    kwh: float
    power: PowerAdvice | None = None


def tune(
    storage: Storage,
    found: StudyView,
    row: ScoredTrial,
    parts: Sequence[Part] = PARTS,
    *,
    power_sweep: bool = False,
    say: Say = lambda _message: None,
) -> Tuned:
    """Tunes a picked model; what is found is stored in the study.

    Args:
        storage: Holds the study.
        found: The study.
        row: The picked trial.
        parts: What to look at.
        power_sweep: Also set power limits of the GPU, one after the other, and then the one as
            found again.
        say: Takes messages on what is being done.

    Raises:
        UsageError: Power limits of a study that measures predictions on the CPU.
        StudyError: The study is being searched now.
        MeterError: The study's instruments do not work here, or no power limit can be set.
        ExportError: The evaluator died.
    """
    on_card = found.file.objectives.device == "cuda"
    if power_sweep and not on_card:
        raise UsageError(
            "--power-sweep is of the GPU that predictions are measured on, but study "
            f'{found.name!r} measures them on the CPU ([objectives] device = "cpu"): leave it out'
        )
    study = Study.open(storage, found.name)
    if study.runs.living():
        raise StudyError(
            f"study {found.name!r} is being searched now: wait until that has ended, then tune it"
        )
    storage.patience.begin(PATIENCE_MINUTES, say)
    with tuning_run(study, found, row.trial, say) as run:
        advice, made, remarks = None, list[TunedModel](), list[str]()
        power = _limited(run, row) if power_sweep else None  # first: it may be refused
        if "runtime" in parts:
            advice = _swept(run, row, on_card=on_card)
        if on_card:
            remarks += [told for part, told in OF_THE_CPU.items() if part in parts]
            return Tuned(found.name, row, advice, (), tuple(remarks), run.kwh, power)
        if "bits" in parts:
            _layers(run, row, made, remarks)
        if "cascade" in parts:
            _cascades(run, row, made, remarks)
        return Tuned(found.name, row, advice, tuple(made), tuple(remarks), run.kwh)


def _swept(run: TuningRun, row: ScoredTrial, *, on_card: bool) -> RuntimeAdvice:
    """Measures how a trial's file is best run, and keeps that with the trial."""
    tried = "TensorRT" if on_card else "threads"
    run.say(f"trial {row.trial}: {tried}, graph optimization and batch")
    with run.charging(row.trial) as context:
        argument = to_json(member_of(row))
        advice = run.evaluator.call("sweep", argument, context, returns=RuntimeAdvice)
    stored: Outcome | None = run.study.trials.get(row.trial).outcome
    assert stored is not None
    replace_detail(run.study.trials, row.trial, to_json(replace(stored, runtime=advice)))
    return advice


def _limited(run: TuningRun, row: ScoredTrial) -> PowerAdvice:
    """Measures a trial's file under power limits of its card; these are no part of the trial."""
    run.say(f"trial {row.trial}: power limits of the GPU")
    uuid = run.evaluator.card
    if uuid is None:
        visible_cards(load_nvml())  # says why there is none
        raise MeterError("--power-sweep needs a GPU that is metered: 'greenfront doctor' says how")
    with PowerGuard(uuid) as guard, run.charging(row.trial, guard) as context:
        argument = {"member": to_json(member_of(row)), "range": to_json(guard.range)}
        return run.evaluator.call("power", argument, context, returns=PowerAdvice)


def _layers(run: TuningRun, row: ScoredTrial, made: list[TunedModel], remarks: list[str]) -> None:
    """Makes a network with 8 bits in the layers that gain by them, where there is such a one."""
    if not row.candidate.stands_alone or is_fitted(row.candidate.architecture.family):
        remarks.append(f"no bits by layer: trial {row.trial} is no network by itself")
        return
    run.say(f"trial {row.trial}: what 8 bits bring in each layer")
    try:
        with run.charging(row.trial) as context:
            argument = to_json(member_of(row))
            plan = run.evaluator.call("layers", argument, context, returns=LayerPlan)
    except TrialFailed as failure:
        remarks.append(f"no bits by layer: {failure.reason}")
        return
    if plan.reason:
        remarks.append(f"no bits by layer: {plan.reason}")
        return
    candidate = replace(
        row.candidate,
        precision=row.candidate.precision.in_int8 or row.candidate.precision,
        others=(*row.candidate.others, LayerBits(plan.floating)),
    )
    other = _best(run.found, on_own_split(row.outcome).score) or row
    made.append(run.make(Proposal("bits", candidate, (row.trial,), other)))
    beside = [("8", plan.over_int8), ("32", plan.over_float)]
    told = " and ".join(
        f"{percent_range(r.value, r.low, r.high)} of those of {bits} bits in all"
        for bits, r in beside
        if r is not None
    )
    remarks.append(
        f"with {len(plan.floating)} of {plan.layers} layers at 32 bits and the others in 8, trial "
        f"{row.trial} takes {told}, as the study measures"
    )


def _cascades(run: TuningRun, row: ScoredTrial, made: list[TunedModel], remarks: list[str]) -> None:
    """Builds the most promising cascades that are as accurate as a trial, until one pays."""
    if run.found.metric.of_numbers:
        remarks.append("no cascade: of numbers nothing says how sure a model is")
        return
    members = {each.trial: each for each in (*run.found.front.rows, row) if _stands_alone(each)}
    run.say(f"pairs of {len(members)} models that are as accurate as trial {row.trial}")
    told = {
        "members": [to_json(member_of(each)) for each in members.values()],
        "target": row.trial,
    }
    with run.charging(row.trial) as context:
        plans = run.evaluator.call("cascades", told, context, returns=list[CascadePlan])
    if not plans:
        remarks.append(
            f"no cascade: no pair of the {len(members)} models of the front is expected to be as "
            f"accurate as trial {row.trial} for clearly less energy"
        )
    for plan in plans[:MOST_CASCADES]:
        first, second = members[plan.first].candidate, members[plan.second].candidate
        cascade = Cascade.to(second.to_json(), plan.threshold)
        candidate = replace(first, others=(*first.others, cascade))
        beside = _best(run.found, plan.score) or row
        made.append(run.make(Proposal("cascade", candidate, (plan.first, plan.second), beside)))
        if made[-1].accepted:
            return


def _stands_alone(row: ScoredTrial) -> bool:
    return row.candidate.stands_alone


def _best(found: StudyView, score: float) -> ScoredTrial | None:
    """The model of least energy that stands alone and is at least so accurate."""
    gain = found.metric.gain
    able = [
        each
        for each in found.complete
        if _stands_alone(each)
        and gain(on_own_split(each.outcome).score) >= gain(score)
        and each.outcome.inference.joules
    ]
    return min(able, key=lambda each: each.outcome.inference.joules or 0.0, default=None)
