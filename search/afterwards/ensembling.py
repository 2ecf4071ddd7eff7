"""After a search: some of the best models of several families answer together.

Models of different families err on different examples, so that the mean of their answers is often
better than each of them. It costs no training and as much a prediction as all of them: how much
more there is to be had, and for how much, is for the front to show.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from greenfront.errors import TrialFailed
from greenfront.objectives.codec import to_json
from greenfront.search.afterwards.closing import Closing
from greenfront.search.afterwards.tuning_run import Proposal, TuningRun, member_of
from greenfront.search.trials.running import ChargedTrial
from greenfront.spaces.techniques.ensemble import Ensemble
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView, view

__all__ = ["add_ensemble", "best_of_families"]

MOST_COMPARED = 12
"""Models among which those of an ensemble are looked for: 781 sets of two to four."""


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
    if not best:
        return False
    with closing.problem.worker() as worker:
        evaluator = worker.evaluator(ChargedTrial(closing.ledger, best[0].trial))
        making = TuningRun(study, found, closing.run, closing.ledger, evaluator, note)
        try:
            with making.charging(best[0].trial) as context:
                told = [to_json(member_of(row)) for row in best]
                together = evaluator.call("ensemble", told, context, returns=list[int])
        except TrialFailed as failure:
            note(f"no ensemble: {failure}")
            return False
        if not together:
            return False
        made = making.make(_proposal(together, best))
        if not made.accepted:
            note(f"no ensemble: {made.told}")
        return made.accepted


def best_of_families(found: StudyView) -> list[ScoredTrial]:
    """Models that have learnt something, the best first: of each family its best in turns.

    At most as many as are compared, and none where all are of one family. Where the best models
    were cross-validated, no others stand beside the best of a family: each would have to be trained
    on every fold.
    """
    metric = found.metric

    def order(row: ScoredTrial) -> tuple[float, float]:
        return -metric.gain(row.score), row.energy_kwh

    families = dict[str, list[ScoredTrial]]()
    folds = max((len(row.outcome.folds) for row in found.complete), default=0)
    for row in sorted(found.complete, key=order):
        learnt = metric.has_learnt(row.score) and row.outcome.inference.joules is not None
        if learnt and row.candidate.stands_alone:
            family = families.setdefault(row.candidate.architecture.family, [])
            if not family or len(row.outcome.folds) == folds:
                family.append(row)
    if len(families) < 2:
        return []
    turns = itertools.chain(*itertools.zip_longest(*families.values()))
    return sorted(itertools.islice(filter(None, turns), MOST_COMPARED), key=order)


def _proposal(together: Sequence[int], best: Sequence[ScoredTrial]) -> Proposal:
    first, *others = (row for row in best if row.trial in together)
    ensemble = Ensemble.of([row.candidate.to_json() for row in others])
    candidate = replace(first.candidate, others=(*first.candidate.others, ensemble))
    return Proposal("ensemble", candidate, tuple(together), best[0])
