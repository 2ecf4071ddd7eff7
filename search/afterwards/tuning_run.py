"""Where models are made after a search: an evaluator of the study, and a run that is charged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import optuna
from optuna.trial import TrialState as OptunaState

from greenfront.errors import ExportError, TrialFailed, TrialStopped
from greenfront.objectives.codec import to_json
from greenfront.objectives.metering.instruments import open_instruments
from greenfront.objectives.metering.pinned import meters_gpu, require_pinned
from greenfront.objectives.metering.power_limit import PowerGuard
from greenfront.objectives.outcome import Derived, Outcome
from greenfront.objectives.tuning.plans import ENSEMBLE, TUNE, Beside, Member
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.networks.exploration import running_evaluator
from greenfront.search.networks.judge import Judge
from greenfront.search.runs.recovery import REFERENCE, tell
from greenfront.search.trials.running import ChargedTrial
from greenfront.spaces.candidate import Candidate
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.quantities import percent_range
from greenfront.studies.store.afterwards import Finished, add_finished
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study

__all__ = ["Part", "Proposal", "TunedModel", "TuningRun", "member_of", "tuning_run"]

Part = Literal["runtime", "bits", "cascade", "ensemble"]


@dataclass(frozen=True, slots=True)
class TunedModel:
    """A model that was made, and what came of it.

    Attributes:
        part: By which part of the tuning.
        trial: Its number.
        description: What it is.
        accepted: Whether it stands beside the others from now on.
        derived: What it was compared with; ``None`` where it came to nothing before.
        told: What came of it, in words.
    """

    part: Part
    trial: int
    description: str
    accepted: bool
    derived: Derived | None
    told: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A model to make.

    Attributes:
        part: For which part of the tuning.
        candidate: What it is.
        origins: Numbers of the trials that it is made of.
        beside: What it is compared with.
    """

    part: Part
    candidate: Candidate
    origins: tuple[int, ...]
    beside: ScoredTrial


@dataclass
class _Spoken(ChargedTrial):
    """Charges a trial, and says what is being done."""

    say: Callable[[str], None] = print
    guard: PowerGuard | None = None

    def progress(self, message: str) -> None:
        """See :class:`TrialContext`."""
        self.say(message)

    def limit_power(self, watts: float) -> None:
        """See :class:`TrialContext`."""
        if self.guard is not None:
            self.guard.set_watts(watts)


@dataclass
class TuningRun:
    """A run that works on a study after its search.

    Attributes:
        study: In an open storage.
        found: What is shown of it.
        run: Of this process.
        ledger: Charged with all energy.
        evaluator: Of the study.
        say: Takes messages on what is being done.
        kwh: Charged so far.
    """

    study: Study
    found: StudyView
    run: Run
    ledger: LedgerWriter
    evaluator: Evaluator
    say: Callable[[str], None]
    kwh: float = 0.0

    @contextmanager
    def charging(self, number: int, guard: PowerGuard | None = None) -> Iterator[ChargedTrial]:
        """A context that charges a trial; a guard sets the power limits that it is asked for."""
        self.run.beat()
        context = _Spoken(self.ledger, number, say=self.say, guard=guard)
        try:
            yield context
        finally:
            self.ledger.merge(number)
            self.kwh += context.charged_kwh

    def make(self, proposal: Proposal) -> TunedModel:
        """Makes a model, measures it beside another one, and adds it to the study.

        A study learns of it when all is known: a kill before leaves nothing but what the ledger
        holds. Where it takes no less than the other, or does worse, it is kept as stopped; an
        ensemble, which takes more, where it does no better.
        """
        candidate = proposal.candidate
        described = candidate.describe()
        known = next((each for each in self.found.trials if each.key == candidate.key), None)
        if known is not None:
            derived = None if known.outcome is None else known.outcome.derived
            why = f"it is trial {known.number} already" + (
                f" ({known.reason})" if known.reason else ""
            )
            is_there = known.state == "complete"
            return TunedModel(proposal.part, known.number, described, is_there, derived, why)
        judge = _judge_of(self.found)
        number, began = self._number(candidate.key), time.time()
        self.say(f"trial {number}: {described}")
        outcome, values, reason, failed = None, None, None, False
        with self.charging(number) as context:
            try:
                outcome = self._measured(proposal, number, context)
                outcome, values = judge.counted(outcome)
                over = judge.over_limit(outcome)
                better = bool(candidate.companions)
                reason = over or _objection(outcome, unmetered=values is None, better=better)
            except TrialStopped as stop:
                reason = stop.reason
            except TrialFailed as failure:
                reason, failed = str(failure), True
        accepted = reason is None
        add_finished(
            self.study.trials,
            self.run.run_id,
            Finished(
                number=number,
                key=candidate.key,
                choice=candidate.to_json(),
                state="complete" if accepted else "failed" if failed else "stopped",
                values=values if accepted else None,
                detail=None if outcome is None else to_json(outcome),
                reason=reason,
                started_at=began,
            ),
        )
        self._tell(number)
        derived = None if outcome is None else outcome.derived
        return TunedModel(proposal.part, number, described, accepted, derived, reason or "")

    def _measured(self, proposal: Proposal, number: int, context: ChargedTrial) -> Outcome:
        """What every trial is asked for, and then a comparison in turns."""
        candidate = proposal.candidate
        outcome = self.evaluator.call("trial", candidate.to_json(), context, returns=Outcome)
        if outcome.unreal or outcome.inference.joules is None:
            return outcome
        mine = Member(number, candidate.to_json(), outcome.artefact, outcome.inference.joules)
        self.say(f"trial {number} and trial {proposal.beside.trial} in turns")
        argument = {
            "one": to_json(mine),
            "other": to_json(member_of(proposal.beside)),
            "phase": ENSEMBLE if proposal.part == "ensemble" else TUNE,
        }
        found = self.evaluator.call("beside", argument, context, returns=Beside)
        if found.ratio is None:
            return outcome
        derived = Derived(
            origins=proposal.origins,
            beside=proposal.beside.trial,
            ratio=found.ratio.value,
            low=found.ratio.low,
            high=found.ratio.high,
            gain=found.gain.value,
            least_gain=found.gain.low,
            most_gain=found.gain.high,
        )
        return replace(outcome, derived=derived)

    def _number(self, key: str) -> int:
        """Optuna's number for a trial outside of the space, which is running until it is told.

        A run that begins after a kill ends it: nobody claims it.
        """
        optuna_storage = self.study.storage.optuna
        template = optuna.trial.create_trial(state=OptunaState.RUNNING, user_attrs={REFERENCE: key})
        made = optuna_storage.create_new_trial(self.study.study_id, template_trial=template)
        return int(optuna_storage.get_trial(made).number)

    def _tell(self, number: int) -> None:
        name, storage = self.study.name, self.study.storage.optuna
        tell(optuna.load_study(study_name=name, storage=storage), number, "failed")


def member_of(row: ScoredTrial) -> Member:
    """A finished trial as evaluators are told of it."""
    outcome = row.outcome
    return Member(
        row.trial, row.candidate.to_json(), outcome.artefact, outcome.inference.joules or 0.0
    )


def _judge_of(found: StudyView) -> Judge:
    """Counts models as a study does."""
    return Judge(
        found.metric,
        found.file.limits,
        found.scoring,
        preprocessing=found.facts.preprocessing,
    )


@contextmanager
def tuning_run(
    study: Study, found: StudyView, number: int, say: Callable[[str], None]
) -> Iterator[TuningRun]:
    """Begins a run with an evaluator, and ends both.

    Args:
        study: In an open storage.
        found: What is shown of it.
        number: Of the trial that is charged for the evaluator's start and end.
        say: Takes messages on what is being done.

    Raises:
        MeterError: The study's instruments do not work here, or the machine is another.
        ExportError: The evaluator died.
    """
    file = found.file
    pinned = study.meters or []
    instruments = open_instruments(file.metering, pinned, say, gpu=meters_gpu(pinned))
    require_pinned(pinned, instruments.pin(), file.metering.machines)
    run = study.runs.begin()
    try:
        ledger = study.ledger.writer(run.run_id, file.carbon.study_model(found.facts))
        say("starting an evaluator and loading the data")
        context = ChargedTrial(ledger, number)
        with running_evaluator(file, found.facts, instruments, context) as evaluator:
            yield TuningRun(study, found, run, ledger, evaluator, say, context.charged_kwh)
    except TrialFailed as failure:
        raise ExportError(f"study {found.name!r} cannot be tuned: {failure}") from failure
    finally:
        run.end()


def _objection(outcome: Outcome, *, unmetered: bool, better: bool) -> str | None:
    """Why a model that was made does not stand beside the others; ``None`` if it does.

    Args:
        outcome: Of the model.
        unmetered: Whether a part of it has no reading.
        better: Whether it has to do better than the other, and not to take less.
    """
    derived = outcome.derived
    if outcome.unreal:
        return "; ".join(outcome.unreal)
    if derived is None or unmetered:
        return "no instrument could tell what a prediction of it costs"
    if better:
        return None if derived.gain > 0 else f"it does no better than trial {derived.beside}"
    told = percent_range(derived.ratio, derived.low, derived.high)
    beside = f"trial {derived.beside}, measured in turns"
    if derived.high >= 1:
        return f"it takes {told} of the joules of {beside}: not clearly less"
    if derived.most_gain is not None and derived.most_gain < 0:
        return f"it takes {told} of the joules of {beside}, but does worse"
    return None
