"""Optuna's own tables decide whether a study exists, and whose it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa

from contracts.command import Command
from greenfront.errors import StudyError
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, forget_deleted, study_names
from greenfront.studies.store.tables import metadata


def begin(storage: Storage, name: str = "wine", trials: int = 0) -> Study:
    study = Study.create(
        storage,
        name,
        directions=["maximize", "minimize"],
        identity="one",
        configuration={},
        meters=None,
        facts=None,
    )
    held = optuna.load_study(study_name=name, storage=storage.optuna)
    for number in range(trials):
        assert held.ask().number == number
        assert study.trials.claim("run", number, f"key {number}", {}, None) == "granted"
    return study


def rows(storage: Storage) -> int:
    """All that we keep, whatever of."""
    with storage.reading() as connection:
        counts = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        ]
    return sum(counts)


def test_a_study_that_was_deleted_through_optuna_is_gone(storage: Storage) -> None:
    begin(storage, trials=2)
    kept = begin(storage, "other", trials=1)
    optuna.delete_study(study_name="wine", storage=storage.optuna)
    assert study_names(storage) == ["other"]
    with pytest.raises(StudyError, match=r"'wine' was deleted from .* through Optuna, .*begins it"):
        Study.open(storage, "wine")
    assert forget_deleted(storage) == ["wine"]
    assert forget_deleted(storage) == []
    assert len(Study.open(storage, "other").trials.all()) == 1
    assert rows(storage) == 2
    assert Study.open(storage, "other") == kept


@pytest.mark.parametrize("name", ["wine", "other"])
def test_a_new_study_takes_nothing_over_from_a_deleted_one(storage: Storage, name: str) -> None:
    """SQLite gives the number of the deleted study again."""
    begin(storage, trials=2)
    optuna.delete_study(study_name="wine", storage=storage.optuna)
    study = begin(storage, name, trials=1)
    assert study_names(storage) == [name]
    assert [trial.number for trial in study.trials.all()] == [0]
    assert rows(storage) == 2


def foreign(storage: Storage, name: str, trials: int, *directions: str) -> optuna.Study:
    made = optuna.create_study(
        study_name=name, storage=storage.optuna, directions=directions or ["minimize"]
    )
    for _ in range(trials):
        made.tell(made.ask({"x": optuna.distributions.FloatDistribution(-1, 1)}), 0.5)
    return made


def test_a_study_made_in_the_place_of_a_deleted_one_is_not_taken_for_it(storage: Storage) -> None:
    begin(storage, trials=3)
    optuna.delete_study(study_name="wine", storage=storage.optuna)
    made = foreign(storage, "wine", 2)
    with pytest.raises(
        StudyError, match=r"study 'wine' in .* was not made by greenfront and holds"
    ):
        begin(storage)
    assert len(made.get_trials()) == 2
    assert study_names(storage) == []
    assert rows(storage) == 0


@pytest.mark.parametrize("with_ours", [False, True])
def test_the_study_of_another_program_is_refused_and_left_alone(
    storage: Storage, with_ours: bool
) -> None:
    if with_ours:
        begin(storage, "other", trials=1)
    made = foreign(storage, "mine", 3)
    before = made.get_trials()
    with pytest.raises(StudyError, match=r"'mine' in .* holds 3 trials: they are left alone; give"):
        begin(storage, "mine")
    assert made.get_trials() == before
    empty = foreign(storage, "empty", 0)
    with pytest.raises(StudyError, match=r"'empty' in .* has other objectives \(minimize\): give"):
        begin(storage, "empty")
    assert empty.get_trials() == []
    assert study_names(storage) == ["other"] * with_ours


def test_the_command_refuses_it_before_it_looks_at_the_data(tmp_path: Path) -> None:
    """And makes no table beside the other program's."""
    url = f"sqlite:///{tmp_path}/o.db"
    made = optuna.create_study(study_name="mine", storage=url)
    made.tell(made.ask(), 1.0)
    study = f'[study]\nname = "mine"\nstorage = "{url}"\n[task]\nkind = "csv"\n'
    (tmp_path / "study.toml").write_text(study + 'path = "none.csv"\ntarget = "y"\n')
    with sqlite3.connect(tmp_path / "o.db") as database:
        before = list(database.iterdump())
        said = Command(tmp_path).read("run", "study.toml", code=2)
        assert "study 'mine' in" in said
        assert "was not made by greenfront and holds 1 trials" in said
        assert list(database.iterdump()) == before


def test_the_command_says_that_it_removes_what_is_left_of_a_deleted_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/o.db"
    storage = Storage(url)
    begin(storage, trials=2)
    optuna.delete_study(study_name="wine", storage=storage.optuna)
    command = Command(tmp_path)
    assert command.read_json("studies", "--storage", url)["studies"] == []
    said = command.read("resume", "wine", "--storage", url, code=2)
    assert "study 'wine' was deleted from" in said
    study = f'[study]\nname = "wine"\nstorage = "{url}"\n[task]\nkind = "csv"\n'
    (tmp_path / "study.toml").write_text(study + 'path = "none.csv"\ntarget = "y"\n')
    said = command.read("run", "study.toml", code=2)
    assert "Study wine was deleted through Optuna: what was kept of it" in said
    assert rows(storage) == 0
    storage.close()
