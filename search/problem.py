"""What a search searches: anything that can be chosen, tried and weighed.

The engine knows nothing of neural networks. A metered trial is one problem, a table of published
trainings or a formula another.

Life of a problem: the engine reads ``space``, ``objectives``, ``fidelities`` and ``reference``
once. It queues what ``first_generation`` returns. Each of its workers enters ``worker()`` and
calls ``evaluate`` on what that gives, one candidate after the other, until the budget is spent.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from greenfront.objectives.context import TrialContext
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import Choice, SearchSpace, stable_hash
from greenfront.studies.analysis.volume import Corners, seen_corners

__all__ = ["Evaluation", "Objective", "Problem"]

C = TypeVar("C", bound=Choice)


@dataclass(frozen=True, slots=True)
class Objective:
    """One thing to weigh: its name, and whether more of it is better."""

    name: str
    maximise: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of trying a candidate.

    Attributes:
        values: In the order of the problem's objectives; finite.
        spent_kwh: Energy of this evaluation in all, whether or not it was charged as it went.
        checkpoint: What a later evaluation of the same candidate at a higher fidelity may start
            from; ``None`` if it has to start anew.
        detail: What else was found, in JSON values.
        infeasible: Why the candidate does not count, in words: its values are not what they
            seem. Samplers learn to avoid it, and no front holds it.
    """

    values: tuple[float, ...]
    spent_kwh: float
    checkpoint: object | None = None
    detail: dict[str, Any] | None = None
    infeasible: tuple[str, ...] = ()


class Problem(abc.ABC, Generic[C]):
    """A space, what to weigh, and how to try one candidate; see :func:`optimize_problem`.

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
        space: What may be chosen.
        objectives: What is weighed.
        fidelities: Rungs of effort, such as epochs, in ascending order; the last is the whole.
        reference: Reference point of the hypervolume in the objectives' own units, if the problem
            has a customary one.
    """

    space: SearchSpace[C]
    objectives: tuple[Objective, ...]
    fidelities: tuple[int, ...] = (1,)
    reference: tuple[float, ...] | None = None

    @abc.abstractmethod
    def evaluate(self, candidate: C, context: TrialContext) -> Evaluation:
        """Tries one candidate.

        Args:
            candidate: From the space.
            context: Takes what the evaluation has to report. Problems with several fidelities
                find the rung to evaluate at in its ``fidelity``, and what an evaluation of the
                same candidate at a lower rung has left in its ``checkpoint``.

        Raises:
            TrialFailed: It came to nothing; the search goes on.
            TrialStopped: It was ended early on purpose; the search goes on.
        """

    def first_generation(self) -> Sequence[Point]:
        """Points to try before the sampler is asked."""
        return ()

    @contextlib.contextmanager
    def worker(self) -> Iterator[Self]:
        """A problem for one worker alone, with whatever process or device it needs."""
        yield self

    def corners(self, finished: Mapping[str, tuple[float, ...]]) -> Corners | None:
        """What hypervolume is measured against.

        Args:
            finished: Values of the finished candidates, by key.

        Returns:
            By default ``reference`` if there is one, else the box of everything seen; ``None``
            while there is nothing to measure against.
        """
        if self.reference is not None:
            return Corners(self.reference)
        return seen_corners(list(finished.values()), [o.maximise for o in self.objectives])

    def identity(self) -> str:
        """Hash of what may not change while a study of this problem goes on."""
        return stable_hash(
            [
                {name: str(d) for name, d in self.space.distributions().items()},
                [[objective.name, objective.maximise] for objective in self.objectives],
            ]
        )
