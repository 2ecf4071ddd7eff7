"""Points decoded once each: a sampler looks at the same ones many times."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, TypeVar

from greenfront.search.problem import Problem
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import Choice, SearchSpace

__all__ = ["Decoded", "Decoder"]

C = TypeVar("C", bound=Choice)

MOST_KEPT = 5_000


class Decoded(Generic[C]):
    """A point and what follows from it, each computed when it is first asked for.

    Args:
        problem: The problem.
        point: Of its space.

    Attributes:
        choice: What it decodes to.
    """

    def __init__(self, problem: Problem[C], point: Point) -> None:
        self._problem = problem
        self.choice = problem.space.decode(point)

    @cached_property
    def key(self) -> str:
        """Identity of the choice."""
        return self.choice.key

    @cached_property
    def parent(self) -> str | None:
        """See :meth:`Problem.parent`."""
        return self._problem.parent(self.choice)

    def describe(self, settings: tuple[float, ...]) -> tuple[float, ...]:
        """See :meth:`Problem.describe`.

        Args:
            settings: Numbers of the point, as :func:`knob_vector` gives them.
        """
        return tuple(self._problem.describe(self.choice, settings))

    def known(self) -> tuple[float | None, ...]:
        """See :meth:`Problem.known`, minimised; asked anew each time, as it grows."""
        return tuple(
            None if value is None else -value if objective.maximise else value
            for value, objective in zip(
                self._problem.known(self.choice), self._problem.objectives, strict=False
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Of the choice."""
        return self.choice.to_json()


class Decoder(Generic[C]):
    """Remembers what points of one problem decode to.

    Args:
        problem: The problem.

    Attributes:
        space: The problem's, whose points decode to :class:`Decoded`.
    """

    def __init__(self, problem: Problem[C]) -> None:
        self._problem = problem
        self._kept: dict[tuple[tuple[str, object], ...], Decoded[C]] = {}
        self._latest: tuple[Point, Decoded[C]] | None = None
        self.space: SearchSpace[Decoded[C]] = SearchSpace(problem.space.knobs, self.of)

    def of(self, point: Point) -> Decoded[C]:
        """A point, decoded."""
        latest = self._latest
        if latest is not None and latest[0] is point:  # several questions about one are usual
            return latest[1]
        content = tuple(point.items())
        found = self._kept.get(content)
        if found is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = self._kept[content] = Decoded(self._problem, point)
        self._latest = (point, found)
        return found
