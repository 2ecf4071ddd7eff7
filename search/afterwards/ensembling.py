"""After a search: the best model of each family answers together with those of others.

Models of different families err on different examples, so that the mean of their answers is often
better than each of them. It costs no training and as much a prediction as all of them: how much
more there is to be had, and for how much, is for the front to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from greenfront.errors import TrialFailed
from greenfront.objectives.codec import to_json
from greenfront.objectives.tuning.plans import EnsemblePlan
from greenfront.search.afterwards.closing import Closing
from greenfront.search.afterwards.tuning_run import Proposal, TuningRun, member_of
from greenfront.search.trials.running import ChargedTrial
from greenfront.spaces.techniques.ensemble import Ensemble
from greenfront.studies.analysis.ranking.front import ScoredTrial, most_accurate
from greenfront.studies.analysis.view import StudyView, view

__all__ = ["add_ensemble", "best_of_families"]


def add_ensemble(closing: Closing) -> bool:
    """Makes an ensemble of a study's models, where one is better than each of them.

    It becomes a trial of the study, outside of its space as references are. Where the study says
    ``ensemble = false``, a budget is spent, predictions are measured on a GPU, or fewer than two
    families have a model that has learnt something, none is looked for.

    Args:
        closing: The study; its ledger is charged with phase ``ensemble`` of the best model, and
            with the new trial.

    Returns:
        Whether there is a new one.
    """
    study, note, file = closing.study, closing.note, closing.problem.file
    if not file.space.ensemble or file.objectives.device != "cpu":
        return False
    if closing.watch.reached() is not None:
        return False
    found = view(study.storage, study.name)
    best = best_of_families(found)
    if len(best) < 2:
        return False
    with closing.problem.worker() as worker:
        evaluator = worker.evaluator(ChargedTrial(closing.ledger, best[0].trial))
        making = TuningRun(study, found, closing.run, closing.ledger, evaluator, note)
        try:
            with making.charging(best[0].trial) as context:
                told = [to_json(member_of(row)) for row in best]
                plans = evaluator.call("ensemble", told, context, returns=list[EnsemblePlan])
        except TrialFailed as failure:
            note(f"no ensemble: {failure}")
            return False
        for plan in plans:
            if found.metric.gain(plan.score) > found.metric.gain(plan.alone):
                made = making.make(_proposal(plan, best))
                if made.accepted:
                    return True
                note(f"no ensemble: {made.told}")
    return False


def best_of_families(found: StudyView) -> list[ScoredTrial]:
    """Of each family the most accurate model that has learnt something, the best first."""
    metric = found.metric
    families = dict[str, list[ScoredTrial]]()
    for row in found.complete:
        if row.candidate.stands_alone and metric.has_learnt(row.score):
            families.setdefault(row.candidate.architecture.family, []).append(row)
    best = [most_accurate(rows, metric) for rows in families.values()]
    return sorted(
        (row for row in best if row is not None and row.outcome.inference.joules is not None),
        key=lambda row: (-metric.gain(row.score), row.energy_kwh),
    )


def _proposal(plan: EnsemblePlan, best: Sequence[ScoredTrial]) -> Proposal:
    rows = {row.trial: row for row in best}
    first, *others = (rows[number] for number in plan.trials)
    ensemble = Ensemble.of([row.candidate.to_json() for row in others])
    candidate = replace(first.candidate, others=(*first.candidate.others, ensemble))
    return Proposal("ensemble", candidate, plan.trials, first)
