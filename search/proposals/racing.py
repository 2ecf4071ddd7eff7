"""The race of candidates: each is trained rung by rung, as far as it is worth it.

Between rungs a candidate is paused: its trial keeps its slot and its number in Optuna, nobody holds
it, and any worker of any run may promote it. What to train next follows from what is stored and the
seed alone: a worker that is killed has its rung done again, from the checkpoint below.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from greenfront.search.archive import DUPLICATES_BEFORE_RANDOM
from greenfront.search.problem import Problem
from greenfront.search.proposals.decoded import Decoder
from greenfront.search.proposals.proposer import ContextAt
from greenfront.search.proposals.rung_states import (
    RungBook,
    SharedRungs,
    decisions_made,
    rung_states,
)
from greenfront.search.runs.heartbeat import OWN_PHASE
from greenfront.search.runs.recovery import tell, too_late
from greenfront.search.samplers.green.encode import knob_vector
from greenfront.search.samplers.green.policy import GreenPolicy
from greenfront.search.samplers.green.state import Decision, RungState, Terrain
from greenfront.search.search_context import SearchContext
from greenfront.search.trials.attempt import Attempt, Step, attempt
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import Choice
from greenfront.studies.analysis.ranking.volume import minimised
from greenfront.studies.store.rungs import Rung
from greenfront.studies.store.trials import Slot, Start

__all__ = ["Policy", "Race"]

C = TypeVar("C", bound=Choice)

MOST_ATTEMPTS = 30

LOOK_SECONDS = 10.0
"""So often it is looked whether another run has died in the middle of a rung."""

Refusal = Literal["duplicate", "full"]
"""Why there is no step: another run was quicker, or all slots are given out."""


class Policy(Protocol):
    """What decides; see :mod:`greenfront.search.samplers.green.state`."""

    def decide(self, states: Sequence[RungState], decisions_made: int) -> Decision | None:
        """What to train next; ``None`` while there is nothing."""
        ...


class Race(Generic[C]):
    """The race of one study, as one run takes part in it; a ``Proposer``.

    Args:
        context: The search.
        refuses: Says of a price (expected gain of hypervolume a kWh) whether the search should end
            rather than pay it.

    Attributes:
        policy: Decides.
    """

    raced = True
    busy = False
    finished = "no candidate is worth another step"

    def __init__(self, context: SearchContext[C], refuses: Callable[[float], bool]) -> None:
        problem = context.problem
        self._context = context
        self._refuses = refuses
        self._problem = problem
        self._study = context.study
        self._run = context.run
        self._archive = context.archive
        self._optuna_study = context.optuna_study
        self._limit = context.settings.budget.trials
        self._note = context.settings.note
        self._last = len(problem.fidelities) - 1
        self._lock = threading.Lock()
        self._book = RungBook()
        self._parents: dict[str, str | None] = {}
        self._shared = SharedRungs(self._parents)
        self._entry = 0
        self._ahead: list[Rung] = []
        self._decoder = Decoder(problem)
        self._queue_is_empty = False
        self._looked_at = 0.0
        self._deciding = (-1, 0.0)
        self.policy: Policy = GreenPolicy(self._terrain(), context.settings.seed)

    def _terrain(self) -> Terrain:
        problem, whole = self._problem, self._problem.fidelities[-1]
        sign = -1.0 if problem.objectives[0].maximise else 1.0
        return Terrain(
            space=self._decoder.space,
            rungs=self._last + 1,
            effort=tuple(fidelity / whole for fidelity in problem.fidelities),
            describe=lambda point, settings: self._decoder.of(point).describe(settings),
            box=self._box,
            ideal=None if problem.ideal is None else sign * problem.ideal,
            step_kwh=self._step_kwh,
            reached=lambda point: self._shared.reached(self._decoder.of(point).parent, self._last),
            known=lambda point: self._decoder.of(point).known(),
            deciding_kwh=self._deciding_kwh,
            proposed=problem.proposals(),
            promising=lambda point: problem.promising(self._decoder.of(point).choice),
            beside=self._beside,
        )

    # --- what to do next ---------------------------------------------------------------------

    @property
    def full(self) -> str:
        """See :class:`Proposer`."""
        return f"the effort of {self._limit} whole trials is spent"

    def has_room(self) -> bool:
        """Whether effort is left, or something that was interrupted."""
        left = self._limit is None or self.effort() < self._limit
        return left or bool(self._archive.counts()["requeued"])

    def exhausted(self, worker: int) -> bool:
        """Never: what has been begun can be trained further."""
        del worker
        return False

    def next(self, worker: int) -> Step[C] | Literal["wait"]:
        """Claims the next step; ``"wait"`` while none is worth doing, or no slot is left for it.

        What was interrupted comes first, then what is queued, then what the policy decides on.
        """
        del worker
        with self._lock:
            for attempts in range(MOST_ATTEMPTS):
                step = self._claimed(attempts)
                if isinstance(step, Step):
                    return step
                if step != "duplicate":
                    break
        return "wait"

    def _claimed(self, attempts: int) -> Step[C] | Refusal | None:
        slots = self._read()
        waiting = next((slot for slot in slots if slot.state == "requeued"), None)
        if waiting is not None:
            return self._promoted(waiting, waiting.rung)
        if self._has_queued():
            trial = self._optuna_study.ask()
            with contextlib.suppress(UpdateFinishedTrialError):  # see Asking.next
                return self._begun(trial, self._context.candidate(trial))
            return "duplicate"
        decision = self._decision(slots, attempts)
        if decision is None or (decision.price is not None and self._refuses(decision.price)):
            return None
        known = next((slot for slot in slots if slot.key == decision.key), None)
        if known is not None:
            return self._promoted(known, None if decision.rung >= self._last else decision.rung)
        candidate = self._problem.space.decode(decision.point)
        return self._begun(self._opened(decision.point), candidate)

    def _decision(self, slots: Sequence[Slot], attempts: int) -> Decision | None:
        if attempts < DUPLICATES_BEFORE_RANDOM:
            states = rung_states(
                slots,
                self._book,
                self._shared,
                maximise=self._problem.maximised,
                last=self._last,
                numbers=self._numbers,
            )
            return self.policy.decide(states, decisions_made(states))
        # Another sampler has tried what this policy knows nothing of.
        point = self._archive.untried(np.random.default_rng([len(slots), attempts]))
        if point is None:
            return None
        return Decision(self._problem.space.decode(point).key, point, 0, None)

    def expect_queued(self) -> None:
        """Looks for queued trials again."""
        self._queue_is_empty = False

    def _has_queued(self) -> bool:
        # Later on only follow-ups are queued.
        if not self._queue_is_empty or self._problem.follow_up_share:
            left = self._optuna_study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            self._queue_is_empty = not left
        return not self._queue_is_empty

    def _begun(self, trial: optuna.Trial, candidate: C) -> Step[C] | Refusal:
        first = min(
            self._shared.reached(self._problem.parent(candidate), self._last) + 1, self._last
        )
        target = first if self._problem.raced(candidate) else self._last
        answer = self._study.trials.claim(
            self._run.run_id,
            trial.number,
            candidate.key,
            candidate.to_json(),
            self._limit,
            Start(target if target < self._last else None, dict(trial.params) or None),
        )
        if answer != "granted":
            tell(self._optuna_study, trial.number, "failed")
            return answer
        return Step(trial, candidate, first, target, None)

    def _promoted(self, slot: Slot, rung: int | None) -> Step[C] | Refusal:
        trial = self._reopened(slot)
        answer = self._study.rungs.promote(self._run.run_id, slot, trial.number, rung, self._limit)
        if answer != "granted":
            if trial.number != slot.number:
                tell(self._optuna_study, trial.number, "failed")
            return answer
        finished = self._book.of(slot.key)
        target = self._last if rung is None else rung
        # Where the last rung was kept and its trial not finished, it is done again.
        reached = self._shared.reached(self._parents.get(slot.key), self._last)
        first = min(max(max(finished, default=-1), reached) + 1, target)
        below = finished.get(first - 1)
        checkpoint = None if below is None else below.checkpoint
        return Step(trial, self._context.candidate(trial), first, target, checkpoint)

    def _reopened(self, slot: Slot) -> optuna.Trial:
        """Optuna's trial of a slot: the same one again, or a new one where it is over there."""
        storage = self._study.storage.optuna
        trial = storage.get_trial_id_from_study_id_trial_number(self._study.study_id, slot.number)
        held = storage.get_trial(trial)
        if held.state == TrialState.RUNNING:
            return optuna.trial.Trial(self._optuna_study, trial)
        return self._opened(held.params, held.user_attrs)

    def _opened(self, point: Point, attributes: dict[str, Any] | None = None) -> optuna.Trial:
        """A trial of Optuna's with a point that needs no asking: written at once, not by knobs."""
        space = self._problem.space
        trial = self._study.storage.optuna.create_new_trial(
            self._study.study_id,
            template_trial=optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=dict(point),
                distributions={name: space.knob(name).distribution() for name in point},
                user_attrs=attributes,
            ),
        )
        return optuna.trial.Trial(self._optuna_study, trial)

    def effort(self) -> float:
        """See :meth:`Archive.effort`."""
        return self._archive.effort()

    # --- what a step does --------------------------------------------------------------------

    def carry_out(
        self, step: Step[C], problem: Problem[C], context_at: ContextAt
    ) -> Attempt | None:
        """Trains a candidate from rung to rung; ``None`` where it is paused at its target."""
        rung, checkpoint = step.rung, step.checkpoint
        while True:
            fidelity = problem.fidelities[rung]
            context = context_at(fidelity, checkpoint)
            done = attempt(problem, step.candidate, context)
            if done.evaluation is None or done.values is None:
                return done
            reached = problem.fidelities.index(done.evaluation.fidelity or fidelity)
            pause = step.target <= reached < self._last
            kept = self._study.rungs.finish(
                self._run.run_id,
                step.trial.number,
                Rung(
                    step.candidate.key,
                    reached,
                    done.values,
                    done.evaluation.known,
                    context.charged_kwh,
                    done.evaluation.checkpoint,
                ),
                pause=pause,
            )
            if reached == self._last:
                return done
            if not kept:
                self._note(too_late(step.trial.number))
            if pause or not kept:
                return None
            rung, checkpoint = reached + 1, done.evaluation.checkpoint

    def end(self, reason: str) -> None:
        """Ends what nobody has promoted."""
        # With what a budget has ended in the middle.
        self._study.trials.requeue([*self._study.runs.dead(), self._run.run_id])
        dropped = self._study.rungs.drop(f"not promoted: {reason}")
        for slot in dropped:
            tell(self._optuna_study, slot.number, "stopped")

    # --- what is known -----------------------------------------------------------------------

    def _read(self) -> list[Slot]:
        """All that was begun, as it stands now."""
        now = time.monotonic()
        if now > self._looked_at + LOOK_SECONDS:
            self._looked_at = now
            self._study.trials.requeue(self._study.runs.dead())
        # In this order: nothing is then taken to wait at a rung that is not known yet.
        self._archive.refresh()
        slots = self._archive.slots()
        for slot in slots:
            if slot.key not in self._parents:
                point = slot.point
                self._parents[slot.key] = None if point is None else self._decoder.of(point).parent
        self._entry, rungs = self._study.rungs.since(self._entry)
        rungs = [*self._ahead, *rungs]
        # What was begun since the archive was read is taken in the next time, in the same order.
        known = takewhile(lambda rung: rung.key in self._parents, rungs)
        taken = list(known)
        self._ahead = rungs[len(taken) :]
        self._book.add(taken)
        self._shared.add(taken)
        return slots

    def _step_kwh(self, point: Point, rung: int) -> float | None:
        return self._shared.of(self._decoder.of(point).parent, rung, self._last)

    def _numbers(self, point: Point) -> tuple[tuple[float, ...], tuple[float, ...]]:
        settings = knob_vector(self._problem.space, point)
        return self._decoder.of(point).describe(settings), settings

    def _deciding_kwh(self) -> float:
        """What the supervisors have taken so far, a step."""
        steps = len(self._book.orders)
        if self._deciding[0] != steps:
            self._deciding = (steps, self._study.ledger.of_phase(OWN_PHASE).kwh / max(steps, 1))
        return self._deciding[1]

    def _beside(self) -> list[tuple[float, ...]]:
        outside = (slot for slot in self._archive.slots() if slot.point is None)
        values = [slot.values for slot in outside if slot.values is not None]
        turned = minimised(values, self._problem.maximised).tolist() if values else []
        return list(map(tuple, turned))

    def _box(
        self, _values: Sequence[tuple[float, ...]]
    ) -> tuple[tuple[float, ...], tuple[float, ...] | None] | None:
        finished = {s.key: s.values for s in self._archive.slots() if s.values is not None}
        corners = self._problem.corners(finished)
        if corners is None:
            return None

        def turned(corner: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(minimised([corner], self._problem.maximised)[0].tolist())

        return turned(corners.worst), None if corners.best is None else turned(corners.best)
