"""What earlier studies of the same data have found, as the beginning of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from greenfront.errors import StudyError, UsageError
from greenfront.objectives.scores import maximised
from greenfront.search.networks.problem import NetworkProblem
from greenfront.spaces.knobs import Point, Value
from greenfront.studies.analysis.ranking.volume import Frontier, seen_corners
from greenfront.studies.analysis.scores.machines import as_read_on
from greenfront.studies.analysis.scores.rescore import rescored
from greenfront.studies.config.facts import WarmStart
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, study_names

__all__ = ["warm_start"]

Found = tuple[Point, tuple[float, ...]]
"""A point of the new space, and what it came to, in the new study's objectives."""


def warm_start(problem: NetworkProblem, storage: Storage | None) -> WarmStart | None:
    """The candidates of earlier fronts, the one first that adds most to the hypervolume.

    What they came to counts as the new study counts it. A candidate that the new space does not
    contain is left out, and so is one that stands in the script as a baseline.

    Args:
        problem: Of the new study.
        storage: Holds the earlier ones; ``None``: there is none yet.

    Returns:
        ``None`` without ``[search] warm_start``, and where ``"auto"`` finds nothing.

    Raises:
        StudyError: There is no study of the name that is given.
        UsageError: It is of other data, or judged by another metric.
    """
    wanted, own = problem.file.search.warm_start, problem.file.study.name
    if wanted is None:
        return None
    if wanted == "auto":
        names = [] if storage is None else [n for n in study_names(storage) if n != own]
        studies = [] if storage is None else [Study.open(storage, name) for name in names]
        studies = [study for study in studies if _objection(study, problem) is None]
    else:
        studies = [_named(wanted, problem, storage)]
    found: dict[str, Found] = {}
    for study in studies:
        found |= _front(study, problem)
    if not found:
        return None
    return WarmStart(
        tuple(study.name for study in studies),
        tuple(dict(found[key][0]) for key in _ranked(found, problem)),
    )


def _named(name: str, problem: NetworkProblem, storage: Storage | None) -> Study:
    if name == problem.file.study.name:
        raise UsageError(
            f"[search] warm_start: {name!r} is this study: name an earlier one, or take 'auto'"
        )
    if storage is None:
        raise StudyError(f"[search] warm_start: study {name!r} does not exist: the storage is new")
    study = Study.open(storage, name)
    objection = _objection(study, problem)
    if objection is not None:
        raise UsageError(
            f"[search] warm_start: study {name!r} {objection}: name another one, or take 'auto' "
            "for all that fit"
        )
    return study


def _objection(study: Study, problem: NetworkProblem) -> str | None:
    """Why a study tells nothing of this one, in words."""
    if study.facts is None:
        return "was begun from Python"
    if study.facts["task"].get("fingerprint") != problem.facts.task.fingerprint:
        return "is of other data, or of another split of them ([study] seed)"
    objectives = StudyFile.from_stored(study.configuration).objectives
    mine = problem.file.objectives
    if (objectives.metric, objectives.positive) != (mine.metric, mine.positive):
        return "is judged by another metric"
    return None


def _front(study: Study, problem: NetworkProblem) -> dict[str, Found]:
    """The front of a study, by the keys that its candidates have in the new space."""
    trials, repeats = as_read_on(
        None, study.trials.all(states=("complete",)), study.repeats.all(), study.meters or []
    )
    trials = rescored(trials, problem.file.scoring(problem.facts), repeats)
    frontier = Frontier(maximised(problem.metric))
    for trial in trials:
        if trial.values is not None:
            frontier.add(trial.values)
    asked = _points(study)
    found: dict[str, Found] = {}
    for trial in trials:
        if trial.values is None or frontier.dominates(trial.values):
            continue
        point = _in_space(asked.get(trial.number, {}), problem)
        if point is not None:
            found[problem.space.decode(point).key] = (point, trial.values)
    return found


def _points(study: Study) -> dict[int, dict[str, Value]]:
    """What Optuna was told of each trial, by number."""
    storage = study.storage.optuna
    study_id = storage.get_study_id_from_name(study.name)
    return {each.number: each.params for each in storage.get_all_trials(study_id, deepcopy=False)}


def _in_space(point: Point, problem: NetworkProblem) -> dict[str, Value] | None:
    """The same settings in the new space; ``None`` where it asks for more, or other values."""
    space, missing = problem.space, False

    def given(knob: object) -> Value:
        nonlocal missing
        name = str(getattr(knob, "name", ""))
        value = point.get(name)
        if value is None or not space.knob(name).contains(value):
            missing = True
            return space.knob(name).values()[0]
        return value

    whole = space.ask(given)
    return None if missing else whole


def _ranked(found: Mapping[str, Found], problem: NetworkProblem) -> Sequence[str]:
    """Keys, each adding most of what is left to the hypervolume of those before it."""
    values = {key: value for key, (_, value) in found.items()}
    corners = problem.corners(values)
    more = maximised(problem.metric)
    if corners is None:  # no baseline is on the front
        corners = seen_corners(list(values.values()), more)
    ranked: list[str] = []
    while len(ranked) < len(values):

        def with_one_more(key: str) -> float:
            frontier = Frontier(more)
            for each in (*ranked, key):
                frontier.add(values[each])
            return 0.0 if corners is None else frontier.volume(corners)

        left = [key for key in values if key not in ranked]
        ranked.append(max(left, key=with_one_more))
    return ranked
