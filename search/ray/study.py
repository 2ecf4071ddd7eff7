"""A study of networks on a cluster, from its file to its end."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import optuna

from greenfront.errors import UsageError
from greenfront.objectives.codec import from_json
from greenfront.objectives.metering.instruments import Instruments
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.optimize import SearchResult, result_of
from greenfront.search.ray.driver import Cluster, Demand, Workforce, connected
from greenfront.search.ray.worker import Errand
from greenfront.search.runs.spectator import Spectator
from greenfront.search.session import PeakMemory
from greenfront.search.status import Observer
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, study_names
from greenfront.studies.store.urls import shown_url

__all__ = ["Searched", "search_on_cluster"]


@dataclass(frozen=True, slots=True)
class Searched:
    """What a cluster has done of a study.

    Attributes:
        result: Of the search.
        peak: Highest resident memory of its workers.
    """

    result: SearchResult
    peak: PeakMemory


def search_on_cluster(
    file: StudyFile, url: str, storage: Storage, address: str | None, observer: Observer
) -> Searched:
    """Searches until a budget is reached, with the workers that the file asks for.

    Args:
        file: The study.
        url: Of the storage, with its password.
        storage: The same, open.
        address: See :func:`~greenfront.search.ray.driver.connected`.
        observer: Is told of all progress.

    Raises:
        UsageError: There is no such cluster, or its nodes cannot share this storage.
        GreenfrontError: No worker could begin, or go on.
    """
    name = file.study.name
    storage.patience.begin(file.study.patience_minutes, observer.note)
    with connected(address) as cluster, contextlib.ExitStack() as stack:
        _require_shared(cluster, storage)
        observer.note(cluster.sentence())
        shown = file.changed(storage=shown_url(url))  # one secret is enough
        errand = Errand(str(Path.cwd()), url, shown.to_json())
        on_card = "cuda" in (file.training.device, file.objectives.device)
        demand = Demand(file.study.threads, 1 if on_card else 0)
        workforce = Workforce(cluster, errand, demand, observer.note)
        stack.callback(workforce.close)
        workforce.begin(lambda: name in study_names(storage))
        study = Study.open(storage, name)
        problem = NetworkProblem(file, from_json(StudyFacts, study.facts), Instruments(()))
        raced = file.search.sampler == "green"
        spectator = Spectator(problem, study, file.budget, raced, observer)

        def look(doing: dict[int, str]) -> int:
            spectator.look(doing)
            return spectator.finished

        reason = workforce.work(file.search.workers, look)
        found = optuna.load_study(study_name=name, storage=storage.optuna)
        return Searched(result_of(problem, study, found, reason), workforce.peak)


def _require_shared(cluster: Cluster, storage: Storage) -> None:
    hosts = {node["NodeManagerAddress"] for node in cluster.ray.nodes() if node["Alive"]}
    if storage.engine.dialect.name == "sqlite" and len(hosts) > 1:
        raise UsageError(
            f"storage {storage.url!r} is a file of this machine, and the cluster has "
            f"{len(hosts)} of them: give a database that all reach, with --storage "
            "postgresql+psycopg://USER@HOST/DATABASE"
        )
