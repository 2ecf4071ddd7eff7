from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from greenfront.errors import StudyError
from greenfront.studies.analysis.view import view
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, study_names


def begin(storage: Storage, name: str = "wine", **changes: Any) -> Study:
    settings: dict[str, Any] = {
        "directions": ["maximize", "minimize"],
        "identity": "one",
        "configuration": {"budget": {"trials": 4}},
        "meters": [{"component": "cpu", "kind": "modelled", "source": "watts"}],
        "facts": {"device": "cpu"},
    }
    return Study.create(storage, name, **{**settings, **changes})


def test_begin_creates_with_everything(storage: Storage) -> None:
    record = begin(storage)
    assert record == Study(
        storage,
        study_id=storage.optuna.get_study_id_from_name("wine"),
        name="wine",
        identity="one",
        configuration={"budget": {"trials": 4}},
        meters=[{"component": "cpu", "kind": "modelled", "source": "watts"}],
        facts={"device": "cpu"},
        queued=False,
        created_at=record.created_at,
    )
    assert time.time() - 60 < record.created_at <= time.time()
    assert Study.open(storage, "wine") == record
    study = optuna.load_study(study_name="wine", storage=storage.optuna)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_begin_joins_the_study_as_it_was_begun(storage: Storage) -> None:
    first = begin(storage)
    again = begin(storage, configuration={}, meters=None, facts=None)
    assert again == first
    assert study_names(storage) == ["wine"]
    assert optuna.get_all_study_names(storage.optuna) == ["wine"]


def test_another_identity_is_refused_with_both_ways_out(storage: Storage) -> None:
    first = begin(storage)
    ways_out = r"another name under \[study\] name, or .* by greenfront resume wine$"
    with pytest.raises(StudyError, match=rf"^study 'wine' exists with other .*: .*{ways_out}"):
        begin(storage, identity="two", configuration={"other": 1})
    assert Study.open(storage, "wine") == first
    first.require("one")
    with pytest.raises(StudyError, match="exists with other settings"):
        first.require("two")


def test_without_meters_and_facts_there_are_none(storage: Storage) -> None:
    record = begin(storage, meters=None, facts=None)
    assert (record.meters, record.facts) == (None, None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"study 'digit' does not exist in .*: it holds no study$"),
        (["wine", "digits", "digits2"], r"study 'digit' does not .* it holds digits, digits2$"),
        (["a", "b", "c", "d"], r"study 'digit' does not exist in .*: it holds a, b, c$"),
    ],
)
def test_an_unknown_name_lists_the_nearest(
    storage: Storage, names: list[str], message: str
) -> None:
    for name in names:
        begin(storage, name)
    with pytest.raises(StudyError, match=message):
        Study.open(storage, "digit")


def test_names_stand_in_the_order_of_their_beginning(storage: Storage) -> None:
    for name in ("b", "c", "a"):
        begin(storage, name)
    assert study_names(storage) == ["b", "c", "a"]


def test_storing_changes_what_is_named_of_this_study_alone(storage: Storage) -> None:
    wine, other = begin(storage), begin(storage, "other")
    wine.store_configuration({"budget": {"trials": 9}})
    wine.mark_queued()
    changed = replace(wine, configuration={"budget": {"trials": 9}}, queued=True)
    assert Study.open(storage, "wine") == changed
    assert Study.open(storage, "other") == other


def test_processes_that_begin_at_once_share_one_study(
    storage_url: str, in_processes: Callable[..., Any]
) -> None:
    # The database is empty, so they also race for making its tables.
    results = in_processes("begin", storage_url, 4)
    assert len(results) == 4
    assert len({result["study_id"] for result in results}) == 1
    winner = results[0]["configuration"]
    assert winner["by"] in range(4)
    assert all(result["configuration"] == winner for result in results)
    storage = Storage(storage_url, create=False)
    assert study_names(storage) == ["race"]
    assert optuna.get_all_study_names(storage.optuna) == ["race"]
    storage.close()


def test_damaged_rows_are_told_in_words(storage: Storage) -> None:
    begin(storage, configuration={"task": {"kind": "digits"}}, facts={})
    with pytest.raises(StudyError, match=r"study 'wine' in .* cannot be read: it was damaged"):
        view(storage, "wine")
    if storage.engine.dialect.name == "sqlite":  # PostgreSQL takes no broken JSON
        with storage.writing() as connection:
            connection.execute(sa.text("UPDATE greenfront_studies SET configuration = '{bad'"))
        with pytest.raises(StudyError, match="JSONDecodeError"):
            Study.open(storage, "wine")
