"""Searches that begin with what earlier ones have found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from greenfront.errors import StudyError, UsageError
from greenfront.objectives.codec import from_json
from greenfront.objectives.metering.instruments import Instruments
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.planning.warm_start import warm_start
from greenfront.search.samplers.shares import TrialShares
from greenfront.search.session import open_session
from greenfront.spaces.network_space import first_generation
from greenfront.studies.analysis.ranking.volume import Frontier, seen_corners
from greenfront.studies.analysis.search_cost.warm_start import warm_lines
from greenfront.studies.analysis.view import view
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study


def file(name: str = "warm", **sections: dict[str, Any]) -> StudyFile:
    usual: dict[str, dict[str, Any]] = {
        "study": {"name": name},
        "task": {"kind": "digits"},
        "space": {"architectures": ["mlp"], "references": False, "bits": [32, 16]},
        "training": {"epochs": 2, "fine_tune_epochs": 1},
        "objectives": {"repeats": 1, "folds": 1},
        "metering": {"block_seconds": 0.01},
        "search": {"sampler": "random", "stop_below": 0.0},
        "budget": {"trials": 9},
    }
    for section, keys in sections.items():
        usual[section] = usual.get(section, {}) | keys
    return StudyFile.from_stored(usual)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """With a finished study ``cold``, and in its folder."""
    folder = tmp_path_factory.mktemp("earlier")
    with contextlib.chdir(folder):
        storage = Storage("sqlite:///greenfront.db")
        with open_session(file("cold"), new_in=storage) as session:
            session.search(storage)
        yield storage
        storage.close()


def problem(storage: Storage, **sections: dict[str, Any]) -> NetworkProblem:
    facts = from_json(StudyFacts, Study.open(storage, "cold").facts)
    return NetworkProblem(file(**sections), facts, Instruments(()))


def test_a_study_begins_with_the_front_of_an_earlier_one(storage: Storage) -> None:
    front = {row.candidate.key: row for row in view(storage, "cold").front.rows}
    warm = file(search={"warm_start": "cold"})
    with open_session(warm, new_in=storage) as session:
        begun = session.problem
        assert begun.facts.warm is not None
        assert begun.facts.warm.studies == ("cold",)
        keys = [begun.space.decode(point).key for point in begun.first_generation()]
        assert keys[0] == file().baseline_keys(begun.facts)[0]
        told = set(keys[1:])
        assert told
        assert told <= front.keys()
        # What the script would have tried anyway is not counted as theirs.
        decoded, script = begun.space.decode, first_generation(begun.options, begun.space, 0)
        scripted = {decoded(point).key for point in script}
        new = {decoded(point).key for point in begun.facts.warm.points} - scripted
        theirs = min(len(told), len(new))
        assert (f", {theirs} that earlier studies found" in begun.shares.sentence) is (theirs > 0)
        result = session.search(storage)
    assert [row.key for row in result.trials][: len(keys)] == keys
    found = view(storage, "warm")
    (line,) = warm_lines(found)
    assert "cold had found on the same data" in line
    assert warm_lines(view(storage, "cold")) == []
    # It goes on as it began, whatever has become of the other one.
    with open_session(warm.changed(trials=12), new_in=storage) as session:
        again = [session.problem.space.decode(p).key for p in session.problem.first_generation()]
        assert again[: len(keys)] == keys


def test_the_first_adds_most_to_the_front(storage: Storage) -> None:
    searched = problem(storage, search={"warm_start": "auto"})
    found = warm_start(searched, storage)
    assert found is not None
    front = view(storage, "cold").front.rows
    assert len(found.points) == len(front)
    volumes, more = {}, [True, False, False]
    for row in front:
        frontier = Frontier(more)
        frontier.add(row.values)
        corners = searched.corners({each.candidate.key: each.values for each in front})
        box = corners or seen_corners([each.values for each in front], more)
        assert box is not None
        volumes[row.candidate.key] = frontier.volume(box)
    best = searched.space.decode(found.points[0]).key
    assert volumes[best] == max(volumes.values())


def test_what_the_new_space_does_not_hold_is_left_out(storage: Storage) -> None:
    narrow = problem(storage, search={"warm_start": "cold"}, space={"bits": [32], "pruning": 0.0})
    found = warm_start(narrow, storage)
    assert found is None or all(
        narrow.space.decode(point).precision.bits == 32 for point in found.points
    )


def test_none_is_asked_for(storage: Storage) -> None:
    assert warm_start(problem(storage), storage) is None
    assert warm_start(problem(storage, search={"warm_start": "auto"}), None) is None
    other = problem(storage, search={"warm_start": "auto"})
    other.facts = replace(other.facts, task=replace(other.facts.task, fingerprint="other"))
    assert warm_start(other, storage) is None


@pytest.mark.parametrize(
    ("name", "metric", "words"),
    [
        ("warm", "accuracy", "is this study"),
        ("cold", "f1_macro", "judged by another metric"),
    ],
)
def test_a_study_that_tells_nothing_is_refused(
    storage: Storage, name: str, metric: str, words: str
) -> None:
    asked = problem(storage, search={"warm_start": name}, objectives={"metric": metric})
    with pytest.raises(UsageError, match=words):
        warm_start(asked, storage)


def test_a_study_of_other_data_or_of_no_name_here_is_refused(storage: Storage) -> None:
    other = problem(storage, search={"warm_start": "cold"})
    other.facts = replace(other.facts, task=replace(other.facts.task, fingerprint="other"))
    with pytest.raises(UsageError, match="other data"):
        warm_start(other, storage)
    missing = problem(storage, search={"warm_start": "nothing"})
    with pytest.raises(StudyError, match="does not exist"):
        warm_start(missing, storage)
    with pytest.raises(StudyError, match="the storage is new"):
        warm_start(missing, None)


def test_it_changes_no_identity() -> None:
    warm = file(search={"warm_start": "cold"})
    assert warm.identity("data") == file().identity("data")


def test_shares_tell_what_is_warm() -> None:
    shares = TrialShares(trials=30, references=0, baselines=1, script=20, sampler="nsga2", warm=4)
    assert "1 untouched baseline, 4 that earlier studies found, 5 techniques" in shares.sentence
    few = replace(shares, trials=9)
    assert "1 untouched baseline, 2 that earlier studies found)" in few.sentence


def test_the_command_line_names_one() -> None:
    assert file().changed(warm_start="cold").search.warm_start == "cold"
