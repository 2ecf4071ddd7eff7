"""A search beside a blind one of the same data, where the storage holds one."""

from __future__ import annotations

from dataclasses import dataclass

from greenfront.objectives.codec import from_json
from greenfront.objectives.scores import maximised
from greenfront.studies.analysis.history.progress import ProgressPoint, progress
from greenfront.studies.analysis.ranking.front import corners
from greenfront.studies.analysis.scores.machines import as_read_on
from greenfront.studies.analysis.scores.rescore import rescored
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, study_names

__all__ = ["RandomSearch", "comparable_random_search"]

RANDOM = "random"


@dataclass(frozen=True, slots=True)
class RandomSearch:
    """A random search of the same data.

    Attributes:
        study: Its name.
        steps: Its hypervolume, in the box of the study that it is compared with.
    """

    study: str
    steps: tuple[ProgressPoint, ...]


def comparable_random_search(storage: Storage, view: StudyView) -> RandomSearch | None:
    """The random search with the most trials among those that can be compared with a study.

    Comparable are the same examples, split alike, judged by the same metric. Both are measured by
    this study's scoring, in this study's box.

    Args:
        storage: Where the study is kept.
        view: The study.

    Returns:
        ``None`` where there is none, where the study is one itself, and before it has a baseline.
    """
    keys = view.file.baseline_keys(view.facts)
    box = corners([row.values for row in view.complete if row.candidate.key in keys], view.metric)
    if view.file.search.sampler == RANDOM or box is None:
        return None
    found = [
        study
        for name in study_names(storage)
        if _comparable(study := Study.open(storage, name), view)
    ]
    if not found:
        return None
    study = max(found, key=lambda each: sum(each.trials.counts().values()))
    trials, repeats = as_read_on(
        view.machine, study.trials.all(), study.repeats.all(), study.meters or []
    )
    trials = rescored(trials, view.scoring, repeats)
    values = {trial.number: trial.values for trial in trials if trial.values is not None}
    return RandomSearch(study.name, tuple(progress(study, maximised(view.metric), box, values)))


def _comparable(study: Study, view: StudyView) -> bool:
    sampler = study.configuration.get("search", {}).get("sampler")
    if study.facts is None or sampler != RANDOM:
        return False
    facts = from_json(StudyFacts, study.facts)
    if facts.task.fingerprint != view.facts.task.fingerprint:
        return False
    return StudyFile.from_stored(study.configuration).metric(facts) == view.metric
