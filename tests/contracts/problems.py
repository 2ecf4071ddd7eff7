"""Problems without networks, with known answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from greenfront import (
    Categorical,
    Evaluation,
    Integer,
    Objective,
    PlainChoice,
    Problem,
    Real,
    SearchSpace,
    When,
)
from greenfront.errors import TrialFailed, TrialStopped
from greenfront.objectives.context import TrialContext
from greenfront.spaces.knobs import Point
from greenfront.studies.analysis.ranking.volume import Corners
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

SPENT_KWH = 1e-6


def plain(point: Point) -> PlainChoice:
    return PlainChoice(dict(point))


class ZDT1(Problem[PlainChoice]):
    """Two objectives, convex front ``f2 = 1 − √f1`` at ``x2 = … = 0``.

    Zitzler, Deb and Thiele, "Comparison of multiobjective evolutionary algorithms", 2000.
    """

    objectives = (Objective("f1"), Objective("f2"))
    reference = (1.1, 1.1)
    best_hypervolume = 1.1 * 1.1 - 1 / 3

    def __init__(self, dimensions: int = 4) -> None:
        self.space = SearchSpace(
            tuple(Real(f"x{index}", 0, 1) for index in range(dimensions)), decode=plain
        )

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        x = [float(value) for value in candidate.values.values()]
        g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
        return Evaluation((x[0], g * (1 - math.sqrt(x[0] / g))), SPENT_KWH)


class Menu(Problem[PlainChoice]):
    """A conditional space of 27 points whose front is known.

    Dish ``"a"`` has 2 sizes × 3 spices, dish ``"b"`` has 7 temperatures × 3 spices. Taste is
    maximised, cost minimised.
    """

    objectives = (Objective("taste", maximise=True), Objective("cost"))

    def __init__(
        self,
        before: Callable[[PlainChoice], None] = lambda candidate: None,
        first: Sequence[Point] = (),
    ) -> None:
        self.space = SearchSpace(
            (
                Categorical("dish", ("a", "b")),
                Categorical("size", (1, 2), when=(When("dish", ("a",)),)),
                Integer("heat", 0, 6, when=(When("dish", ("b",)),)),
                Integer("spice", 0, 2),
            ),
            decode=plain,
        )
        self.before = before
        self.first = first
        self.tried: list[str] = []

    @staticmethod
    def values(point: Point) -> tuple[float, float]:
        if point["dish"] == "a":
            return 3.0 * int(point["size"]) + int(point["spice"]), 2.0 + int(point["size"])
        return 1.0 * int(point["heat"]) - int(point["spice"]), 0.5 * int(point["heat"])

    def first_generation(self) -> Sequence[Point]:
        return self.first

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        self.before(candidate)
        self.tried.append(candidate.key)
        return Evaluation(self.values(candidate.values), SPENT_KWH, detail={"key": candidate.key})

    def points(self) -> list[dict[str, str | int | float | bool]]:
        a = [{"dish": "a", "size": s, "spice": p} for s in (1, 2) for p in range(3)]
        b = [{"dish": "b", "heat": h, "spice": p} for h in range(7) for p in range(3)]
        return [*a, *b]


class Frugal(Problem[PlainChoice]):
    """Stands before a problem, which then pays so much for hypervolume and no more.

    Args:
        least: That a kWh has to bring.

    Attributes:
        asked: The prices that it was told.
    """

    def __init__(self, least: float) -> None:
        super().__init__()
        self.least = least
        self.asked: list[float] = []

    def too_dear(self, price: float, corners: Corners) -> str | None:
        self.asked.append(price)
        return None if price >= self.least else "not worth it"


class Curves(Problem[PlainChoice]):
    """Trainings in three rungs whose losses fall with effort: fast or slow, to a known floor.

    A candidate of size ``s`` costs ``s`` a unit of effort and ends at ``0.9 / (1 + s)`` or, where
    its rate is far from 0.5, higher. The front is every size at the best rate.
    """

    objectives = (Objective("loss"), Objective("cost_kwh"))
    fidelities = (1, 3, 9)
    reference = (1.0, 90 * SPENT_KWH)
    ideal = 0.0

    def __init__(
        self,
        before: Callable[[PlainChoice, int], None] = lambda candidate, fidelity: None,
        first: Sequence[Point] = (),
        whole: Sequence[Point] = (),
    ) -> None:
        self.space = SearchSpace(
            (Integer("size", 1, 10), Integer("rate", 0, 10), Categorical("bits", (32, 8))),
            decode=plain,
        )
        self.before = before
        self.first = [*whole, *first]
        self.whole = [plain(point).key for point in whole]
        self.trained: list[tuple[str, int, int]] = []
        """Key, and the effort from which and to which it was trained."""

    @staticmethod
    def values(point: Point, effort: int) -> tuple[float, float]:
        size, off = int(point["size"]), abs(int(point["rate"]) - 5) / 10
        floor = 0.9 / (1 + size) + off + 0.01 * (int(point["bits"]) == 8)
        loss = floor + (1 - floor) * math.exp(-0.6 * effort)
        return min(loss, 1.0), effort * size * (0.5 + int(point["bits"]) / 64) * SPENT_KWH

    def first_generation(self) -> Sequence[Point]:
        return self.first

    def raced(self, candidate: PlainChoice) -> bool:
        return candidate.key not in self.whole

    def parent(self, candidate: PlainChoice) -> str:
        return f"{candidate.values['size']} {candidate.values['rate']}"

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        effort, since = context.fidelity or self.fidelities[-1], 0
        if context.checkpoint is not None:
            since = int(dict(context.checkpoint)["effort"])  # type: ignore[call-overload]
        self.before(candidate, effort)
        self.trained.append((candidate.key, since, effort))
        values = self.values(candidate.values, effort)
        spent = values[1] - self.values(candidate.values, since)[1]
        known = (None, self.values(candidate.values, self.fidelities[-1])[1])
        return Evaluation(values, spent, checkpoint={"effort": effort}, known=known)


def fail(cause: str) -> Callable[[PlainChoice], None]:
    def raise_failure(candidate: PlainChoice) -> None:
        raise TrialFailed(cause, "as the test wants it")

    return raise_failure


def stop(candidate: PlainChoice) -> None:
    raise TrialStopped("as the test wants it")


def begun_study(storage: Storage, problem: Problem[Any]) -> Study:
    """A study of a problem, named ``study``, which nothing meters."""
    return Study.create(
        storage,
        "study",
        directions=problem.directions,
        identity=problem.identity(),
        configuration={},
        meters=None,
        facts=None,
    )
