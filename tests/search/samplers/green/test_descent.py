"""Functions whose least value is known, free and at bounds."""

from __future__ import annotations

import numpy as np
import pytest

from greenfront.search.samplers.green.descent import descend

Array = np.ndarray


def valley(x: Array) -> tuple[float, Array]:
    """Rosenbrock's: least at (1, 1)."""
    a, b = 1 - x[0], x[1] - x[0] ** 2
    return float(a**2 + 100 * b**2), np.array([-2 * a - 400 * x[0] * b, 200 * b])


def test_a_bent_valley_is_followed_to_its_end() -> None:
    calls = []

    def counted(x: Array) -> tuple[float, Array]:
        calls.append(x)
        return valley(x)

    far = np.full(2, 10.0)
    assert descend(counted, np.array([-1.2, 1.0]), -far, far, 100) == pytest.approx(
        [1, 1], abs=1e-3
    )
    assert len(calls) < 100


def test_it_ends_at_a_bound_and_never_looks_beyond() -> None:
    low, high = np.array([-2.0, -2.0]), np.array([0.5, 2.0])

    def watched(x: Array) -> tuple[float, Array]:
        assert (low <= x).all() and (x <= high).all()  # noqa: PT018
        return valley(x)

    found = descend(watched, np.array([-1.2, 5.0]), low, high, 100)
    assert found == pytest.approx([0.5, 0.25], abs=1e-3)


def test_it_takes_as_many_steps_as_are_allowed_and_is_never_worse() -> None:
    start, far = np.array([-1.2, 1.0]), np.full(2, 10.0)
    values = [valley(descend(valley, start, -far, far, most))[0] for most in (0, 1, 5, 25)]
    assert values[0] == valley(start)[0]
    assert values == sorted(values, reverse=True)


def test_what_cannot_be_computed_is_no_way_to_go() -> None:
    def broken(x: Array) -> tuple[float, Array]:
        return (1e10, np.zeros(1)) if x[0] > 1 else (float((x[0] - 0.9) ** 2), 2 * (x - 0.9))

    far = np.full(1, 50.0)
    assert descend(broken, np.array([-30.0]), -far, far, 50) == pytest.approx([0.9], abs=1e-3)
