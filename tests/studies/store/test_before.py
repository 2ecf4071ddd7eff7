"""A database of the release before tables had versions: it opens, prints the same, and goes on."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts.command import HEAVY, Command
from greenfront.objectives.codec import from_json
from greenfront.objectives.scores import Tolerance
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

BEFORE = Path(__file__).parents[2] / "fixtures" / "before"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    packed = (BEFORE / "greenfront.db.gz").read_bytes()
    (tmp_path / "greenfront.db").write_bytes(gzip.decompress(packed))
    shutil.copy(BEFORE / "trace.csv", tmp_path)
    return Command(tmp_path)


def agrees(found: Any, before: Any, place: str = "") -> None:
    """What was printed before is printed now; newer keys may stand beside it."""
    if isinstance(before, dict):
        assert set(before) <= set(found), place
        for name, value in before.items():
            if name != "entries":  # how many rows the ledger takes is nobody's concern
                agrees(found[name], value, f"{place}.{name}")
    elif isinstance(before, list):
        assert len(found) == len(before), place
        for index, value in enumerate(before):
            agrees(found[index], value, f"{place}[{index}]")
    elif place.endswith("front_probability"):  # of 500 draws, which are others now
        assert found == pytest.approx(before, abs=0.03), place
    elif isinstance(before, float):
        assert found == pytest.approx(before, rel=1e-12), place
    else:
        assert found == before, place


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("front", ("front", "before")),
        ("ledger", ("ledger", "before")),
        ("ledger_by_state", ("ledger", "before", "--by", "state")),
        ("studies", ("studies",)),
        ("whatif_SE", ("whatif", "before", "--region", "SE")),
    ],
)
def test_what_is_printed_stays(command: Command, printed: str, words: tuple[str, ...]) -> None:
    before = json.loads((BEFORE / f"{printed}.json").read_text())
    agrees(command.read_json(*words), before)


@pytest.mark.parametrize(
    ("words", "heavy"),
    [(("studies",), {"sqlalchemy"}), (("front", "before"), {"sqlalchemy", "numpy"})],
)
def test_looking_imports_little(command: Command, words: tuple[str, ...], heavy: set[str]) -> None:
    command.read("studies")  # brings the tables to this version, which takes alembic
    assert command.loaded(*words) & HEAVY == heavy


def test_keys_are_those_of_the_parsed_candidates(command: Command) -> None:
    storage = Storage(f"sqlite:///{command.folder}/greenfront.db", create=False)
    trials = Study.open(storage, "before").trials.all()
    storage.close()
    assert len(trials) == 8
    for trial in trials:
        assert trial.candidate.key == trial.key
        assert trial.outcome is None or trial.outcome.inference.reserved_joules is None


def test_its_identity_is_that_of_before(command: Command) -> None:
    """Keys that came later do not make another study of it."""
    storage = Storage(f"sqlite:///{command.folder}/greenfront.db", create=False)
    study = Study.open(storage, "before")
    storage.close()
    facts = from_json(StudyFacts, study.facts)
    trace = facts.trace and facts.trace.sha256
    file = StudyFile.from_stored(study.configuration)
    assert file.identity(facts.task.fingerprint, trace) == study.identity
    assert file.objectives.tolerance == Tolerance(share=0.95)


def test_it_goes_on(command: Command) -> None:
    found = command.read_json("resume", "before", "--trials", "10")
    assert found["reason"] == "all 10 trials are finished"
    (study,) = command.read_json("studies")["studies"]
    assert study["finished"] == 10


def test_a_study_stays_what_it_was_though_keys_are_added(command: Command) -> None:
    storage = Storage(f"sqlite:///{command.folder}/greenfront.db", create=False)
    study = Study.open(storage, "before")
    keys = {trial.key for trial in study.trials.all()}
    storage.close()
    file = StudyFile.from_stored(study.configuration)
    assert study.facts is not None
    facts = from_json(StudyFacts, study.facts)
    trace = None if facts.trace is None else facts.trace.sha256
    assert file.identity(facts.task.fingerprint, trace) == study.identity
    assert set(file.baseline_keys(facts)) <= keys
