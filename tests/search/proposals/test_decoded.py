"""Points that are decoded once."""

from __future__ import annotations

import pytest

from greenfront import Evaluation, Objective, PlainChoice, Problem, Real, SearchSpace
from greenfront.objectives.context import TrialContext
from greenfront.search.proposals import decoded
from greenfront.search.proposals.decoded import Decoder
from greenfront.spaces.knobs import Point


class Counting(Problem[PlainChoice]):
    """Counts what is decoded; the gain of a point is known for nothing once it is allowed."""

    objectives = (Objective("gain", maximise=True), Objective("cost"))

    def __init__(self) -> None:
        self.decoded = 0
        self.is_known = False
        self.space = SearchSpace((Real("x", 0, 1),), decode=self._decode)

    def _decode(self, point: Point) -> PlainChoice:
        self.decoded += 1
        return PlainChoice(dict(point))

    def known(self, candidate: PlainChoice) -> tuple[float | None, ...]:
        return (float(candidate.values["x"]), None) if self.is_known else ()

    def parent(self, candidate: PlainChoice) -> str | None:
        return f"parent of {candidate.key}"

    def describe(self, candidate: PlainChoice, knobs: tuple[float, ...]) -> tuple[float, ...]:
        return (*knobs, 10 * float(candidate.values["x"]))

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        raise AssertionError("nothing is evaluated")


def test_equal_points_are_decoded_once_and_are_what_the_problem_says() -> None:
    problem = Counting()
    space = Decoder(problem).space
    first, again = space.decode({"x": 0.5}), space.decode({"x": 0.5})
    assert problem.decoded == 1
    assert first.key == again.key == PlainChoice({"x": 0.5}).key
    assert first.to_json() == {"x": 0.5}
    assert first.parent == f"parent of {first.key}"
    assert first.describe((0.5,)) == (0.5, 5.0)
    assert space.decode({"x": 0.25}).key != first.key


def test_what_is_known_is_asked_anew_and_minimised() -> None:
    problem = Counting()
    found = Decoder(problem).of({"x": 0.5})
    assert found.known() == ()
    problem.is_known = True
    assert found.known() == (-0.5, None)


def test_it_forgets_and_decodes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "MOST_KEPT", 3)
    problem = Counting()
    decoder = Decoder(problem)
    points = [{"x": number / 10} for number in range(10)]
    keys = [decoder.of(point).key for point in points]
    assert [decoder.of(point).key for point in points] == keys
    assert problem.decoded > 10
    assert len(decoder._kept) <= 3
