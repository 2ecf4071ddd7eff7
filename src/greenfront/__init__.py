"""greenfront: multi-objective AutoML that meters every joule.

The names below are the public interface for Python; they are imported when they are first used,
so that ``import greenfront`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenfront.errors import GreenfrontError as GreenfrontError
    from greenfront.errors import TrialFailed as TrialFailed
    from greenfront.errors import TrialStopped as TrialStopped
    from greenfront.objectives.context import TrialContext as TrialContext
    from greenfront.objectives.readings import Reading as Reading
    from greenfront.search.optimize import SearchOptions as SearchOptions
    from greenfront.search.optimize import SearchResult as SearchResult
    from greenfront.search.optimize import optimize_problem as optimize_problem
    from greenfront.search.problem import Evaluation as Evaluation
    from greenfront.search.problem import Objective as Objective
    from greenfront.search.problem import Problem as Problem
    from greenfront.spaces.candidate import Candidate as Candidate
    from greenfront.spaces.knobs import Categorical as Categorical
    from greenfront.spaces.knobs import Integer as Integer
    from greenfront.spaces.knobs import Real as Real
    from greenfront.spaces.knobs import When as When
    from greenfront.spaces.space import PlainChoice as PlainChoice
    from greenfront.spaces.space import SearchSpace as SearchSpace

_HOMES = {
    "Candidate": "greenfront.spaces.candidate",
    "Categorical": "greenfront.spaces.knobs",
    "Evaluation": "greenfront.search.problem",
    "GreenfrontError": "greenfront.errors",
    "Integer": "greenfront.spaces.knobs",
    "Objective": "greenfront.search.problem",
    "PlainChoice": "greenfront.spaces.space",
    "Problem": "greenfront.search.problem",
    "Reading": "greenfront.objectives.readings",
    "Real": "greenfront.spaces.knobs",
    "SearchOptions": "greenfront.search.optimize",
    "SearchResult": "greenfront.search.optimize",
    "SearchSpace": "greenfront.spaces.space",
    "TrialContext": "greenfront.objectives.context",
    "TrialFailed": "greenfront.errors",
    "TrialStopped": "greenfront.errors",
    "When": "greenfront.spaces.knobs",
    "optimize_problem": "greenfront.search.optimize",
}

__all__ = [
    "Candidate",
    "Categorical",
    "Evaluation",
    "GreenfrontError",
    "Integer",
    "Objective",
    "PlainChoice",
    "Problem",
    "Reading",
    "Real",
    "SearchOptions",
    "SearchResult",
    "SearchSpace",
    "TrialContext",
    "TrialFailed",
    "TrialStopped",
    "When",
    "__version__",
    "optimize_problem",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'greenfront' has no attribute {name!r}")
