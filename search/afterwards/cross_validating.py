"""After a search on few examples: the best models are made and judged on other splits, too.

The model that scores best of many on one small validation split owes that to luck. So what cannot
be told from it is trained anew on other parts of the examples and judged on the rest, each time
with another validation split; the test split is never touched. What counts is the mean.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from greenfront.errors import Interrupted, TrialFailed
from greenfront.objectives.codec import to_json
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import FoldScore, Outcome
from greenfront.objectives.readings import Component, Reading
from greenfront.objectives.resampling import unpacked
from greenfront.search.afterwards.closing import Closing
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.trials.running import WatchedTrial
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.ranking.ranked_trials import RankedTrials
from greenfront.studies.analysis.scores.cross_validated import judged_folds, on_own_split
from greenfront.studies.analysis.scores.interval import score_interval
from greenfront.studies.analysis.words.quantities import counted, energy
from greenfront.studies.store.afterwards import replace_detail
from greenfront.studies.store.ledger_writer import CROSS_VALIDATION
from greenfront.studies.store.runs import HEARTBEAT_SECONDS, Run
from greenfront.studies.store.study import Study

__all__ = ["cross_validate"]

MOST_EQUAL = 8
"""Models that cannot be told from the most accurate one, at most, beside those with names."""

AS_GOOD = 0.1
"""Share of resamples in which one is at least as good that cannot be told from it."""


def cross_validate(closing: Closing, passed_over: frozenset[int] = frozenset()) -> frozenset[int]:
    """Judges the best models on further folds, as far as the study file and its data ask for it.

    These are the most accurate one, the greenest, the untouched baseline, ensembles, and those that
    cannot be told from the most accurate. Means can bring others to these names, which are then
    judged so, too. One that cannot be made again keeps the score that it has.

    Args:
        closing: The study; its ledger is charged with phase ``cross-validate`` of the trials.
        passed_over: Numbers of models that it does not judge, and says nothing of.

    Returns:
        The same with those that it has passed over: too dear, or not made again.
    """
    problem, study, note = closing.problem, closing.study, closing.note
    objectives = problem.file.objectives
    folds = objectives.folds_of(problem.facts.task)
    if folds < 2:
        return passed_over
    now = closing.ranked()
    if objectives.folds == "auto" and not _is_luck(now):
        return passed_over
    before_kwh = study.ledger.of_search().kwh - study.ledger.of_phase(CROSS_VALIDATION).kwh
    most_kwh = objectives.folds_share * before_kwh if before_kwh else math.inf
    done, dear, lost = 0, 0, set(passed_over)
    with problem.worker() as worker:
        while lacking := _lacking(now, folds, lost):
            row = lacking[0]
            closing.run.beat()
            spent = closing.watch.reached()
            if spent is not None:
                note(f"no more models are cross-validated: {spent}")
                break
            in_all_kwh = study.ledger.of_phase(CROSS_VALIDATION).kwh + _further_kwh(now, row, folds)
            if in_all_kwh > most_kwh:
                dear += 1
                lost.add(row.trial)
                continue
            if not done:
                note(f"cross-validating the best models on {folds} folds of the examples")
            context = _Validating(closing.ledger, row.trial, run=closing.run, watch=closing.watch)
            try:
                _judge(worker, study, row, folds, context)
                done += 1
            except TrialFailed as failure:
                lost.add(row.trial)
                note(f"trial {row.trial} is not cross-validated: {failure.reason}")
            except Interrupted as reached:
                note(f"no more models are cross-validated: {reached}")
                break
            finally:
                closing.ledger.merge(row.trial)
            now = closing.ranked()
    if dear:
        note(
            f"{counted(dear, 'model')} not cross-validated: more than {energy(most_kwh)}, "
            f"{objectives.folds_share:.0%} of the search, would have been spent on it; "
            f"[objectives] folds = {folds} sets no bound"
        )
    if done:
        spent_kwh = study.ledger.of_phase(CROSS_VALIDATION).kwh
        share = f", {spent_kwh / before_kwh:.0%} of what the search had cost" if before_kwh else ""
        note(f"cross-validated {counted(done, 'model')} for {energy(spent_kwh)} in all{share}")
    return frozenset(lost)


def _is_luck(now: RankedTrials) -> bool:
    """Whether the best score may as well have fallen short of itself by more than is allowed."""
    best, metric = now.front.most_accurate, now.metric
    if best is None:
        return False
    own = on_own_split(best.outcome)
    interval = score_interval(own, metric)
    if interval is None:
        return False
    limit = now.file.objectives.tolerance.limit(own.score, metric)
    return metric.worse_by(interval.low if metric.maximise else interval.high, limit) > 0


def _judge(
    worker: NetworkProblem, study: Study, row: ScoredTrial, folds: int, context: _Validating
) -> None:
    """Judges a model on the folds that it lacks; each score is kept at once."""
    stored: Outcome | None = study.trials.get(row.trial).outcome
    assert stored is not None
    examples = worker.facts.task.sizes["validation"]
    known = stored.folds or (FoldScore(stored.score, examples, stored.resampled),)
    for fold in range(len(known), folds):
        score = worker.evaluator(context).call(
            "fold",
            {"candidate": row.candidate.to_json(), "fold": fold},
            context,
            returns=FoldScore,
            timeout_seconds=60 * worker.file.limits.trial_minutes,
        )
        known = (*known, score)
        replace_detail(study.trials, row.trial, to_json(replace(stored, folds=known)))


def _further_kwh(now: RankedTrials, row: ScoredTrial, folds: int) -> float:
    """What it is expected to take to train a model again on the folds that it lacks.

    What an ensemble is made of was mostly trained there already, and is found.
    """
    known = {trial.key: trial.outcome for trial in now.trials if trial.state == "complete"}
    kwh = 0.0
    for part in row.candidate.parts:
        outcome = known.get(part.key) or row.outcome
        again = folds - judged_folds(outcome)
        kwh += again * (outcome.training.kwh or 0.0)
    return kwh


def _lacking(now: RankedTrials, folds: int, lost: set[int]) -> list[ScoredTrial]:
    """The models to judge on further folds, the most accurate first."""
    best, metric = now.front.most_accurate, now.metric
    if best is None:
        return []
    judged = [row for row in now.complete if judged_folds(row.outcome) == folds]
    others = [row for row in now.complete if row not in judged]
    equal = [row for row in others if _is_as_good(row.outcome, best.outcome, metric)]
    equal.sort(key=lambda row: -metric.gain(row.score))
    together = [row for row in others if row.candidate.companions]
    named = [row for row in (best, now.baseline, now.front.greenest, *together) if row is not None]
    wanted = {row.trial: row for row in (*named, *equal[: max(0, MOST_EQUAL - len(judged))])}
    return [row for n, row in wanted.items() if judged_folds(row.outcome) < folds and n not in lost]


def _is_as_good(outcome: Outcome, best: Outcome, metric: Metric) -> bool:
    """Whether it cannot be told from the most accurate one by resamples of the examples."""
    if outcome.resampled is None or best.resampled is None:
        return True
    behind = unpacked(best.resampled) - unpacked(outcome.resampled)
    return float(((behind if metric.maximise else -behind) <= 0).mean()) >= AS_GOOD


@dataclass(kw_only=True)
class _Validating(WatchedTrial):
    """Charges all of it to one phase, and keeps the run alive."""

    run: Run
    beaten_at: float = -math.inf

    def charge(
        self, phase: str, readings: Mapping[Component, Reading], started_at: float, ended_at: float
    ) -> None:
        """See :class:`TrialContext`."""
        del phase
        super().charge(CROSS_VALIDATION, readings, started_at, ended_at)

    def progress(self, message: str) -> None:
        """See :class:`TrialContext`."""
        if time.monotonic() - self.beaten_at > HEARTBEAT_SECONDS:
            self.run.beat()
            self.beaten_at = time.monotonic()
        super().progress(message)
