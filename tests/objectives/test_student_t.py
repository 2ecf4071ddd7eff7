"""Student's quantiles are those of SciPy."""

from __future__ import annotations

import pytest
from scipy import stats

from greenfront.objectives.student_t import central_quantile


@pytest.mark.parametrize("freedom", [*range(1, 31), 99, 100, 1001, 20_000])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.95, 0.999])
def test_quantiles_are_scipys(probability: float, freedom: int) -> None:
    expected = stats.t.ppf((1 + probability) / 2, freedom)
    assert central_quantile(probability, freedom) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("probability", "freedom"), [(0.0, 3), (1.0, 3), (0.95, 0)])
def test_what_has_no_quantile_is_refused(probability: float, freedom: int) -> None:
    with pytest.raises(ValueError, match="no Student quantile"):
        central_quantile(probability, freedom)
