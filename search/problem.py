"""The interface of problems: a space, objectives, and the evaluation of one candidate.

The engine knows nothing of neural networks: metered trials are one problem, a table of published
trainings or a formula another. It reads ``space``, ``objectives``, ``fidelities`` and
``reference`` once and queues the ``reference_candidates`` and the ``first_generation``. Each of its
workers enters ``worker()`` and calls ``evaluate`` on the result, one candidate after the other,
until the budget is spent.
"""

from __future__ import annotations

import abc
import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from greenfront.errors import UsageError
from greenfront.objectives.context import TrialContext
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import Choice, SearchSpace, stable_hash
from greenfront.studies.analysis.ranking.volume import Corners, seen_corners
from greenfront.studies.analysis.words.quantities import number
from greenfront.studies.store.study import Direction
from greenfront.studies.store.trials import Trial

__all__ = ["Evaluation", "Objective", "Problem", "Wanted"]

C = TypeVar("C", bound=Choice)


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective: its name, and whether more of it is better."""

    name: str
    maximise: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A point to try because of what another one has reached.

    Attributes:
        point: Whole, of the space.
        stricter: Whether it should be cheaper; else it should do better.
        reason: What the other one lacked and what was changed, in words.
    """

    point: Point
    stricter: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        values: In the order of the problem's objectives; finite. At a lower fidelity, as they stand
            there.
        spent_kwh: Energy of this evaluation in all, whether or not it was charged as it went.
        checkpoint: What a later evaluation of the same candidate at a higher fidelity may start
            from, in JSON values: it is kept with the study; ``None`` if it has to start anew, or
            finds what it needs by itself.
        detail: Further results, in JSON values.
        infeasible: Why the candidate's values do not count, in words. Samplers learn to avoid it,
            and no front holds it.
        known: At a lower fidelity, the values of the whole effort as far as they are known already;
            ``None`` for each that is not, empty if none is.
        fidelity: The one that was reached, where it is more than was asked for: a candidate for
            which there are no rungs is whole at once.

    Raises:
        UsageError: The values are no numbers, or the energy is none of 0 or more.
    """

    values: tuple[float, ...]
    spent_kwh: float
    checkpoint: object | None = None
    detail: dict[str, Any] | None = None
    infeasible: tuple[str, ...] = ()
    known: tuple[float | None, ...] = ()
    fidelity: int | None = None

    def __post_init__(self) -> None:
        try:  # NumPy's and torch's numbers are no JSON
            object.__setattr__(self, "values", tuple(map(float, self.values)))
            object.__setattr__(self, "spent_kwh", float(self.spent_kwh))
        except (TypeError, ValueError):
            raise UsageError(
                "Evaluation: values must be a tuple of numbers and spent_kwh a number of kWh, got "
                f"{self.values!r} and {self.spent_kwh!r}"
            ) from None
        if not 0 <= self.spent_kwh < math.inf:
            raise UsageError(
                "Evaluation: spent_kwh must be finite and 0 or more, what the evaluation took in "
                f"kWh, got {self.spent_kwh!r}"
            )


class Problem(abc.ABC, Generic[C]):
    """A space, its objectives, and how to evaluate one candidate; see :func:`optimize_problem`.

    Example:
        >>> from greenfront import Evaluation, Objective, PlainChoice, Problem, Real, SearchSpace
        >>> from greenfront import TrialContext
        >>> class Parabola(Problem[PlainChoice]):
        ...     space = SearchSpace((Real("x", -1, 1),), lambda point: PlainChoice(dict(point)))
        ...     objectives = (Objective("height"),)
        ...
        ...     def evaluate(self, candidate, context):
        ...         return Evaluation((candidate.values["x"] ** 2,), spent_kwh=0.0)
        >>> Parabola().evaluate(PlainChoice({"x": 0.5}), TrialContext()).values
        (0.25,)

    Attributes:
        space: The search space.
        objectives: Their order is that of an evaluation's values.
        fidelities: Rungs of effort, such as epochs, in ascending order; the last is the whole.
        reference: Customary reference point of the hypervolume, in the objectives' own units.
        ideal: The best value that the first objective can have; ``None`` if there is none.
        follow_up_share: Of all trials, at most, that may follow others up; 0: none.
        trials_before_stopping: From so many tried candidates on (paused ones of a race included),
            :meth:`too_dear` is asked; ``None``: never.
    """

    space: SearchSpace[C]
    objectives: tuple[Objective, ...]
    fidelities: tuple[int, ...] = (1,)
    reference: tuple[float, ...] | None = None
    ideal: float | None = None
    follow_up_share: float = 0.0
    trials_before_stopping: int | None = None

    @abc.abstractmethod
    def evaluate(self, candidate: C, context: TrialContext) -> Evaluation:
        """Evaluates one candidate.

        Args:
            candidate: From the space.
            context: Takes reports. Problems with several fidelities find the rung to evaluate at
                in its ``fidelity``, and the result of a lower rung in its ``checkpoint``.

        Raises:
            TrialFailed: There is no result; the search goes on.
            TrialStopped: It was ended early on purpose; the search goes on.
        """

    def first_generation(self) -> Sequence[Point]:
        """Points to try before the sampler is asked."""
        return ()

    def proposals(self) -> Sequence[Point]:
        """Points worth a look, the most telling first; a race begins each of them."""
        return ()

    def reference_candidates(self) -> Sequence[C]:
        """What to try before all else, outside of the space: samplers never learn of it."""
        return ()

    def describe(self, candidate: C, knobs: tuple[float, ...]) -> tuple[float, ...]:  # noqa: ARG002
        """Free numbers from which a model predicts how a candidate does.

        Best are numbers that mean the same in all candidates: the logarithm of its parameters,
        depth, compression. Similar candidates are close; a distance of 1 is far.

        Args:
            candidate: From the space.
            knobs: Its settings: numbers in unit range, categories one-hot, 0 where not asked.

        Returns:
            Equally many numbers for all candidates; by default ``knobs``. An override may add to
            them or replace them.
        """
        return knobs

    def known(self, candidate: C) -> tuple[float | None, ...]:  # noqa: ARG002
        """Values of the whole effort that can be told of a candidate for nothing; see `Evaluation`.

        By default none can.
        """
        return ()

    def parent(self, candidate: C) -> str | None:  # noqa: ARG002
        """Identity of the rungs that a candidate shares with others, such as a training.

        What one of those has finished costs the next one nearly nothing. ``None``, the default:
        it shares nothing.
        """
        return None

    def raced(self, candidate: C) -> bool:  # noqa: ARG002
        """Whether a candidate may be given up at a rung; others are measured by those that are not.

        By default each may.
        """
        return True

    def promising(self, candidate: C) -> bool:  # noqa: ARG002
        """Whether a candidate can be better than its like; a race tries no others by itself.

        Its like is what differs from it only in what no objective sees. By default each can.
        """
        return True

    def needed(self, candidate: C) -> bool:  # noqa: ARG002
        """Whether others are compared with a candidate: after an accident it is tried again.

        By default none is.
        """
        return False

    def follow_up(
        self,
        point: Point,  # noqa: ARG002
        trial: Trial[Any, Any],  # noqa: ARG002
        finished: Mapping[str, tuple[float, ...]],  # noqa: ARG002
    ) -> Wanted | None:
        """What to try next because of a trial on the front; asked if ``follow_up_share`` is set.

        Args:
            point: Of the trial.
            trial: As it is kept.
            finished: Values of the complete candidates, by key.
        """
        return None

    def told(
        self,
        values: tuple[float, ...],
        finished: Mapping[str, tuple[float, ...]],  # noqa: ARG002
    ) -> tuple[float, ...]:
        """What samplers learn of a trial's values, in :attr:`told_directions`; by default all.

        Args:
            values: Of a trial that has ended.
            finished: Values of the complete candidates, by key.
        """
        return values

    @property
    def told_directions(self) -> list[Direction]:
        """Directions of what samplers learn."""
        return self.directions

    def in_words(self, values: Sequence[float]) -> str:
        """Values of a candidate for people, such as ``"loss 0.25, cost 3.00"``."""
        named = zip(self.objectives, values, strict=True)
        return ", ".join(f"{objective.name} {number(value)}" for objective, value in named)

    def too_dear(self, price: float, corners: Corners) -> str | None:  # noqa: ARG002
        """Why a search that still gains so much should end, in words; ``None`` if it should not.

        Args:
            price: Expected hypervolume a kWh, as a share of the box.
            corners: The box.
        """
        return None

    @contextlib.contextmanager
    def worker(self) -> Iterator[Self]:
        """The problem of one worker, with a process or device of its own if it needs one."""
        yield self

    def corners(self, finished: Mapping[str, tuple[float, ...]]) -> Corners | None:
        """The box in which hypervolume is measured; ``None`` while it is unknown.

        By default it ends at ``reference``, or spans everything seen where there is none.

        Args:
            finished: Values of the finished candidates, by key.
        """
        if self.reference is not None:
            return Corners(self.reference)
        return seen_corners(list(finished.values()), [o.maximise for o in self.objectives])

    def identity(self) -> str:
        """Hash of what may not change while a study of this problem goes on."""
        space = {name: str(knob) for name, knob in self.space.distributions().items()}
        return stable_hash([space, [[o.name, o.maximise] for o in self.objectives]])

    @property
    def maximised(self) -> list[bool]:
        """Whether more is better, by objective."""
        return [objective.maximise for objective in self.objectives]

    @property
    def directions(self) -> list[Direction]:
        """The objectives' directions in Optuna's words."""
        return ["maximize" if more else "minimize" for more in self.maximised]
