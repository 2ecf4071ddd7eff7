"""After a search: the members of the front and the baseline are measured again.

A search selects lucky measurements, and a single one would stay on the front. So each graph on the
front is measured once more, and again only as long as measurements leave it open whether its trials
belong there. Rounds go over all of them in turn, so that a machine that gets warmer affects them
alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from greenfront.errors import TrialFailed
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.outcome import Repeat
from greenfront.objectives.readings import Reading
from greenfront.search.afterwards.closing import Closing
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.trials.running import ChargedTrial
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.ranking.membership import with_membership
from greenfront.studies.analysis.ranking.ranked_trials import RankedTrials, ranked_trials
from greenfront.studies.analysis.scores.medians import Measurements, inferences
from greenfront.studies.analysis.words.quantities import counted
from greenfront.studies.store.study import Study

__all__ = ["measured_again", "repeat_front"]

SURE = 0.95
"""A probability above it, or below its complement, is taken for certain."""


def repeat_front(closing: Closing) -> None:
    """Measures the front again, at most as often as the study file says.

    Medians can bring other trials onto the front: these are then measured, too. A member that
    cannot be measured again, such as one whose file is gone, keeps the measurements it has. What is
    measured of a graph counts for all trials whose files execute it.

    Args:
        closing: The study; its ledger is charged with phase ``repeat`` of the trials.
    """
    problem, study, note = closing.problem, closing.study, closing.note
    rounds = problem.file.objectives.repeats
    lost = _read_elsewhere(study, note)
    with problem.worker() as worker:
        for position in range(2, rounds + 1):
            while lacking := list(_lacking(closing, position, lost)):
                models = counted(len(lacking), "model")
                note(f"measuring the front again, round {position} of at most {rounds}: {models}")
                for row, taken in lacking:
                    closing.run.beat()
                    spent = closing.watch.reached()
                    if spent is not None:
                        note(f"the front is not measured again: {spent}")
                        return
                    key = row.candidate.key
                    context = ChargedTrial(closing.ledger, row.trial)
                    try:
                        repeat = measured_again(
                            worker.evaluator(context),
                            row,
                            context,
                            batched=row.outcome.batched is None,
                            minutes=problem.file.limits.trial_minutes,
                        )
                    except TrialFailed:
                        repeat = None
                    closing.ledger.merge(row.trial)
                    if repeat is None or repeat.inference.joules is None:
                        lost.add(key)
                    else:
                        study.repeats.add(closing.run.run_id, key, taken + 1, repeat)


def measured_again(
    evaluator: Evaluator,
    row: ScoredTrial,
    context: TrialContext,
    *,
    batched: bool,
    minutes: float,
) -> Repeat | None:
    """Measures a finished trial's file once more; ``None`` where it is no longer there.

    Args:
        evaluator: Which measures it.
        row: The trial.
        context: Charged with the energy.
        batched: Whether batches are measured, too.
        minutes: What it may take at most.

    Raises:
        TrialFailed: It cannot be run.
    """
    argument = {
        "candidate": row.candidate.to_json(),
        "artefact": row.outcome.artefact,
        "batched": batched,
    }
    measured = evaluator.call(
        "repeat", argument, context, returns=list[Repeat], timeout_seconds=60 * minutes
    )
    return measured[0] if measured else None


def _read_elsewhere(study: Study, note: Callable[[str], None]) -> set[str]:
    """Keys of the trials that another machine read: this one's readings are no repeats of those."""
    here = describe_cpu().name
    stored = [trial for trial in study.trials.all() if trial.outcome is not None]
    others = {t.key for t in stored if t.outcome and t.outcome.machine not in ("", here)}
    if others:
        note(
            f"{counted(len(others), 'trial')} of other processors cannot be "
            "measured again here: 'greenfront remeasure' measures the whole front on one of them"
        )
    return others


def _lacking(closing: Closing, position: int, lost: set[str]) -> Iterator[tuple[ScoredTrial, int]]:
    """One trial of each graph to measure in a round, and how many repeats the trial has.

    Every trial where one is judged on a part of the validation split: repeats take all of it.
    """
    problem, repeats = closing.problem, closing.study.repeats.all()
    sizes = problem.facts.task.sizes
    partly = sizes.get("evaluation", sizes["validation"]) < sizes["validation"]
    stored, readings = closing.as_read(repeats)
    graphs = Measurements.of(stored, readings).graphs
    again = Counter(graph for key, graph in graphs.items() for _ in readings.get(key, ()))
    now = ranked_trials(problem.file, problem.facts, stored, readings)
    members, sure = _members(now, inferences(stored, readings))
    for row in members:
        key = row.candidate.key
        graph, taken = graphs[key], len(repeats.get(key, ()))
        open_yet = again[graph] == 0 or row.trial not in sure
        unjudged = partly and not taken
        if key not in lost and (unjudged or (open_yet and again[graph] < position - 1)):
            again[graph] += 1
            yield row, taken


def _members(
    now: RankedTrials, read: Mapping[str, Sequence[Reading]]
) -> tuple[list[ScoredTrial], set[int]]:
    """The front and the baseline, and which of the front belong there for certain, or do not."""
    # Which examples happened to judge is left aside: no measurement tells more of that.
    told = with_membership(now.front, now.trials, now.scoring, read, examples=False)
    members = {row.trial: row for row in told.rows}
    sure = {
        row.trial
        for row in told.rows
        if row.probability is not None and not 1 - SURE < row.probability < SURE
    }
    if now.baseline is not None:  # what all savings are told against
        members.setdefault(now.baseline.trial, now.baseline)
        sure.discard(now.baseline.trial)
    return [members[number] for number in sorted(members)], sure
