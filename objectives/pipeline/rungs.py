"""A candidate at a rung below the whole effort: sized, trained so far, judged as a network."""

from __future__ import annotations

from greenfront.errors import TrialStopped
from greenfront.objectives.memory import release_memory
from greenfront.objectives.pipeline.lineage import StageOutput
from greenfront.objectives.pipeline.preprocessing import preprocessing_cost
from greenfront.objectives.pipeline.stages.export import Export
from greenfront.objectives.pipeline.stages.train import Train
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.rungs import RungOutcome
from greenfront.spaces.candidate import Candidate

__all__ = ["run_rung"]


def run_rung(runner: TrialRunner, candidate: Candidate, rung: int) -> RungOutcome:
    """Trains a network to a rung; what it shares with earlier ones is found in the store.

    Args:
        runner: Of the study.
        candidate: A network.
        rung: Index into :data:`~greenfront.objectives.rungs.RUNGS`, below the last.

    Raises:
        TrialFailed: The training diverged.
        TrialStopped: The search found that it cannot be worth its training.
    """
    release_memory()
    sizing = runner.size(candidate)
    # A global cut depends on trained weights: its size says little before.
    if candidate.pruning.scope == "uniform":
        objection = runner.runtime.context.size_verdict(sizing)
        if objection is not None:
            raise TrialStopped(objection)
    outputs: dict[str, StageOutput] = {}
    for stage in runner.stages:
        if isinstance(stage, Train):
            outputs[stage.name] = stage.rung(candidate, outputs, rung)
            break
        if stage.applies(candidate):
            outputs[stage.name] = stage.output(candidate, outputs)
    between = [each for each in runner.stages if Train.order < each.order < Export.order]
    tuned = sum(stage.applies(candidate) for stage in between)
    facts = outputs[Train.name].facts
    return RungOutcome(
        score=facts["score"],
        phases={name: r for each in outputs.values() for name, r in each.readings.items()},
        remaining=facts["left"] / facts["over"],
        tuning=tuned * candidate.training.fine_tune_epochs / candidate.training.epochs,
        sizing=sizing,
        preprocessing=preprocessing_cost(runner.runtime, candidate),
    )
