"""What a study keeps of its file, and what of it may change while the study goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenfront.errors import StudyFileError
from greenfront.objectives.scores import Tolerance
from greenfront.studies.config.study_file import StudyFile


def study(**sections: dict[str, Any]) -> StudyFile:
    return StudyFile.from_stored({"task": {"kind": "digits"}, **sections})


RICH: dict[str, dict[str, Any]] = {
    "study": {"name": "wine", "seed": 7, "storage": "sqlite:///w.db", "threads": 2},
    "task": {"kind": "csv", "path": "/wine.csv", "target": "class", "drop_columns": ["id"]},
    "space": {"architectures": ["mlp"], "pruning": 0.5, "bits": 8, "temperature": [1, 8]},
    "training": {"patience": [0, 3], "mixed_precision": [False, True]},
    "carbon": {"region": "FRA", "pue": 1.2},
    "budget": {"trials": None, "kwh": 0.05},
    "limits": {"latency_seconds": 0.001},
}


@pytest.mark.parametrize("data", [{"task": {"kind": "digits"}}, RICH])
def test_what_is_stored_comes_back(data: dict[str, Any]) -> None:
    file = StudyFile.from_stored(data)
    again = StudyFile.from_stored(json.loads(json.dumps(file.to_json(), allow_nan=False)))
    assert again == file
    assert again.identity("f00d") == file.identity("f00d")


def test_a_configuration_of_another_version_is_refused() -> None:
    stored = study().to_json()
    stored["search"]["islands"] = 4
    with pytest.raises(StudyFileError, match=r"^the stored configuration: \[search\] islands: unk"):
        StudyFile.from_stored(stored)


def changed(section: str, key: str, value: Any) -> StudyFile:
    data = StudyFile.from_stored(RICH).to_json()
    assert data[section][key] != value
    data[section][key] = value
    return StudyFile.from_stored(data)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("study", "storage", "sqlite:///other.db"),
        ("study", "cache", "elsewhere"),
        ("task", "path", "/moved/wine.csv"),
        ("objectives", "max_drop", 0.02),
        ("metering", "block_seconds", 0.02),
        ("search", "workers", 4),
        ("budget", "trials", 99),
        ("budget", "kwh", 9.0),
        ("budget", "co2_kg", 9.0),
        ("budget", "minutes", 9.0),
        ("limits", "trial_minutes", 5.0),
        ("limits", "memory_gb", 4.0),
    ],
)
def test_identity_survives_what_may_change(section: str, key: str, value: Any) -> None:
    assert changed(section, key, value).identity("f00d") == StudyFile.from_stored(RICH).identity(
        "f00d"
    )


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("study", "name", "other"),
        ("study", "seed", 8),
        ("task", "target", "colour"),
        ("task", "drop_columns", []),
        ("task", "test_fraction", 0.3),
        ("space", "architectures", None),
        ("space", "pruning", [0.0, 0.5]),
        ("space", "bits", [8, 16]),
        ("space", "temperature", None),
        ("training", "epochs", 11),
        ("training", "device", "cpu"),
        ("objectives", "predictions", 5.0),
        ("objectives", "predictions", 6.0),
        ("carbon", "region", "DEU"),
        ("carbon", "pue", 1.3),
        ("metering", "watts_per_thread", 4.0),
        ("metering", "dram", "model"),
        ("search", "sampler", "random"),
        ("limits", "latency_seconds", 0.002),
        ("limits", "inference_joules", 1.0),
    ],
)
def test_identity_changes_with_what_decides_results(section: str, key: str, value: Any) -> None:
    assert changed(section, key, value).identity("f00d") != StudyFile.from_stored(RICH).identity(
        "f00d"
    )


def test_a_study_with_a_floor_is_what_it_was() -> None:
    """Before there was ``max_drop``, every study had a floor, by default .95."""
    usual = study().to_json()["objectives"]
    del usual["max_drop"]
    former = study(objectives={**usual, "floor": 0.95})
    assert former.objectives.tolerance == Tolerance(share=0.95)
    assert former.identity("f00d") == study().identity("f00d")
    stated = study(objectives={"floor": 0.9})
    assert stated.identity("f00d") != study().identity("f00d")
    assert StudyFile.from_stored(stated.to_json()) == stated


def test_one_rule_says_what_is_accurate_enough() -> None:
    assert study().objectives.tolerance == Tolerance(max_drop=0.01)
    assert study(objectives={"max_drop": 0.0}).objectives.tolerance == Tolerance(max_drop=0.0)
    with pytest.raises(StudyFileError, match=r"\[objectives\]: max_drop and floor say the same"):
        study(objectives={"max_drop": 0.01, "floor": 0.95})


def test_identity_changes_with_the_data() -> None:
    assert study().identity("f00d") != study().identity("beef")


def test_the_command_line_changes_what_it_names() -> None:
    file = StudyFile.from_stored(RICH)
    assert file.changed() == file
    other = file.changed(trials=5, kwh=0.5, minutes=2, workers=3, storage="sqlite:///x.db")
    expected = file.to_json()
    expected["budget"] |= {"trials": 5, "kwh": 0.5, "minutes": 2.0}
    expected["search"]["workers"] = 3
    expected["study"]["storage"] = "sqlite:///x.db"
    assert other.to_json() == expected
    assert file == StudyFile.from_stored(RICH)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, r"^the command line: \[budget\] trials: .* or equal to 1, not 0$"),
        ({"workers": 65}, r"^the command line: \[search\] workers: .* or equal to 64, not 65$"),
        ({"kwh": float("inf")}, r"^the command line: \[budget\] kwh: .* finite number, not inf$"),
    ],
)
def test_the_command_line_keeps_the_rules(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        study().changed(**change)
