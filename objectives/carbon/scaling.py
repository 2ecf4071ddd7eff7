"""How many workers run in which hours: the k-th runs where it does the most work for its carbon.

Each worker draws the same, and the k-th adds ``gain[k]`` to the work that is done in a second,
never more than the one before it. A step of ``g`` g/kWh then costs ``g / gain[k]`` for a unit of
work by its k-th worker, and work is placed from the cheapest of these up. That is optimal, since
the costs of one step rise with k (marginal capacity allocation: Hanafy et al., *CarbonScaler*,
POMACS 7, 2023, arXiv 2302.08681, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import UsageError

__all__ = ["ONE_WORKER", "Floats", "allocation", "gains"]

Floats = NDArray[np.float64]

ONE_WORKER: tuple[float, ...] = (1.0,)
"""The throughput of work that one worker does."""


def gains(throughput: Sequence[float]) -> Floats:
    """What each further worker adds.

    Args:
        throughput: What 1, 2, … workers do together in a second, in units of one worker: begins
            with 1 and rises ever less.

    Returns:
        One positive number a worker, falling or equal.

    Raises:
        UsageError: It is something else.
    """
    found = np.diff(np.asarray(throughput, dtype=np.float64), prepend=0.0)
    rising = len(found) > 0 and found[0] == 1 and bool(np.all(found > 0))
    if not (rising and np.all(np.isfinite(found)) and np.all(np.diff(found) <= 1e-9)):
        raise UsageError(
            "throughput: must begin with 1 and rise from worker to worker, by no more than the "
            f"worker before it added, such as [1, 1.9, 2.7], got {list(throughput)}"
        )
    return found


def allocation(lengths: Floats, values: Floats, seconds: float, gained: Floats) -> Floats:
    """Places work into the steps of a trace.

    Args:
        lengths: Seconds of each step.
        values: Their g/kWh.
        seconds: The work, in seconds of one worker; at most what all workers do in all steps.
        gained: See :func:`gains`.

    Returns:
        Workers in each step, on average over it: where the number is not whole, one more runs for
        that share of the step.
    """
    costs = (values[:, None] / gained[None, :]).ravel()
    work = (lengths[:, None] * gained[None, :]).ravel()
    order = np.argsort(costs, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(work[order])[:-1]])
    taken = np.zeros(len(work))
    taken[order] = np.clip((seconds - before) / work[order], 0.0, 1.0)
    levels: Floats = taken.reshape(len(values), len(gained)).sum(axis=1)
    return levels
