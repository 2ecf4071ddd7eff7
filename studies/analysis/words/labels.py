"""A short line for each model; where two would look alike, what tells them apart stands in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from greenfront.spaces.candidate import Candidate
from greenfront.studies.analysis.ranking.front import ScoredTrial

__all__ = ["flat_settings", "labels"]

JOINED = ("ensemble",)
"""Whole candidates, which no line holds: which trials a model was made of is told beside it."""

FOLLOWING = {"training.patience": "training.epochs", "training.first_patience": "training.epochs"}
"""What follows from another setting by default, which then is enough to tell."""


def labels(rows: Iterable[ScoredTrial]) -> dict[int, str]:
    """Labels of models that are shown together, by trial.

    Args:
        rows: The models; one that stands among them twice counts once.

    Returns:
        ``Candidate.describe`` of each, and behind it the settings in which those of one
        description differ, such as ``learning_rate=0.003 batch_size=64``.
    """
    alike: dict[str, dict[int, Candidate]] = defaultdict(dict)
    for row in rows:
        alike[row.candidate.describe()][row.trial] = row.candidate
    found: dict[int, str] = {}
    for line, group in alike.items():
        apart = _apart(list(group.values())) if len(group) > 1 else [""] * len(group)
        for trial, settings in zip(group, apart, strict=True):
            found[trial] = f"{line} · {settings}" if settings else line
    return found


def _apart(candidates: Sequence[Candidate]) -> list[str]:
    """For each of several candidates, the settings in which they are not all the same."""
    flat = [flat_settings(candidate.to_json()) for candidate in candidates]
    names = dict.fromkeys(name for settings in flat for name in settings)
    told = {name: [settings.get(name) for settings in flat] for name in names}
    told = {name: values for name, values in told.items() if len(set(map(repr, values))) > 1}
    words: list[list[str]] = [[] for _ in candidates]
    for name, values in told.items():
        leading = told.get(FOLLOWING.get(name, ""), ())
        if leading and len(set(zip(leading, values, strict=True))) == len(set(leading)):
            continue
        for said, text in zip(words, _texts(values), strict=True):
            said.append(f"{name.removeprefix('training.')}={text}")
    return [" ".join(said) for said in words]


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings of a candidate's JSON form in one level, such as ``"training.batch_size"``."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat_settings(value, f"{prefix}{name}.")
        elif name not in JOINED:
            found[prefix + name] = value
    return found


def _texts(values: Sequence[Any]) -> list[str]:
    """Values in words, numbers in as many digits as keep them apart."""
    short = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values]
    return short if len(set(short)) == len(set(map(repr, values))) else list(map(str, values))
