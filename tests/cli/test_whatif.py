"""Scoring anew from what is stored: the same numbers with the same settings, others with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.command import Command


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Command:
    command = Command(tmp_path_factory.mktemp("whatif"))
    command.write_study(
        study='name = "small"',
        space='architectures = ["mlp"]',
        training="epochs = 3\nfine_tune_epochs = 1",
        carbon="g_per_kwh = 400\npue = 1.5",
        objectives="predictions = 1_000_000",
        budget="trials = 5",
    )
    command.read("run", "study.toml")
    return command


def test_the_own_settings_change_nothing(study: Command) -> None:
    found = study.json("whatif", "small")
    assert found["flips"] == []
    assert found["before"] == found["after"] == study.read_json("front", "small")
    again = study.read_json(
        "whatif", "small", "--g-per-kwh", "400", "--pue", "1.5", "--predictions", "1000000"
    )
    assert again["after"] == found["before"]


def test_nothing_emitted_is_told_in_words(study: Command) -> None:
    """And not by a warning about a division: warnings are errors in tests."""
    said = " ".join(study.read("whatif", "small", "--g-per-kwh", "0").split())
    assert "Nothing is emitted: every Green Score is infinite, and models stand" in said
    rows = study.read_json("whatif", "small", "--g-per-kwh", "0")["after"]["rows"]
    assert {row["co2_kg"] for row in rows} == {0}
    assert {row["green_score"] for row in rows} == {None}
    energies = [row["energy_kwh"] for row in rows if row["eligible"]]
    assert energies == sorted(energies)
    assert "Nothing is emitted" not in study.read("whatif", "small", "--g-per-kwh", "1")


def test_half_the_intensity_is_half_the_carbon(study: Command) -> None:
    found = study.read_json("whatif", "small", "--g-per-kwh", "200")
    for before, after in zip(found["before"]["rows"], found["after"]["rows"], strict=True):
        assert after["co2_kg"] == pytest.approx(before["co2_kg"] / 2)
        assert after["energy_kwh"] == before["energy_kwh"]


def test_renewables_are_a_scenario_and_called_so(study: Command) -> None:
    found = study.read_json("whatif", "small", "--renewable-share", "1")
    # The mean of CodeCarbon's life-cycle factors of wind (26) and sun (48).
    assert found["scenario"]["g_per_kwh"] == pytest.approx(37)
    assert found["scenario"]["source"].startswith("scenario: ")
    assert "scenario: 50%" in study.read("whatif", "small", "--renewable-share", "0.5")


def test_a_trace_counts_with_its_mean(study: Command) -> None:
    trace = study.folder / "trace.csv"
    rows = [f"2026-01-01T{hour:02}:00:00Z,{100 * hour}" for hour in range(5)]
    trace.write_text("\n".join(["timestamp_utc,g_per_kwh", *rows]) + "\n")
    found = study.read_json("whatif", "small", "--trace", "trace.csv")
    assert found["scenario"]["g_per_kwh"] == pytest.approx(200)


def test_a_trace_is_read_with_the_factors_of_the_study(
    study: Command, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = "Carbon intensity gCO2eq/kWh"
    rows = [f"2026-01-01 0{hour}:00:00,DE,{100 + hour},{300 + hour}" for hour in range(5)]
    heading = f"Datetime (UTC),Zone id,{name} (direct),{name} (Life cycle)"
    direct = Command(tmp_path_factory.mktemp("direct"))
    for command in (study, direct):
        (command.folder / "maps.csv").write_text("\n".join([heading, *rows]) + "\n")
    direct.write_study(
        study='name = "small"',
        space='architectures = ["mlp"]',
        training="epochs = 1\nfine_tune_epochs = 1",
        carbon='trace = "maps.csv"\nfactors = "direct"',
        objectives="repeats = 1",
        budget="trials = 1",
    )
    direct.read("run", "study.toml")
    for command, grams in ((study, 302), (direct, 102)):
        found = command.read_json("whatif", "small", "--trace", "maps.csv")
        assert found["scenario"]["g_per_kwh"] == pytest.approx(grams)


def test_choices_that_change_are_said(study: Command) -> None:
    # Never used: what was cheapest to make wins.
    found = study.read_json("whatif", "small", "--predictions", "0")
    rows = found["after"]["rows"]
    assert {row["energy_kwh"] for row in rows} == {row["phases"]["training_kwh"] for row in rows}
    said = study.read("whatif", "small", "--predictions", "0")
    for flip in found["flips"]:
        assert flip[0].upper() + flip[1:] in said
    assert found["flips"] or "No choice changes." in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--region", "Atlantis"], "Atlantis"),
        (["--region", "SE3", "--g-per-kwh", "3"], "region and g_per_kwh: give one of them"),
        (["--renewable-share", "1.5"], "renewable_share: must be from 0 to 1, got 1.5"),
        (["--pue", "0.5"], "pue: must be greater than or equal to 1, as in a study file, got 0.5"),
        (["--predictions", "-1"], "predictions: must be greater than or equal to 0, as in a study"),
        (["--embodied", "toaster"], "--embodied must be one of laptop, workstation, server, gpu,"),
        (
            ["--g-per-kwh", "-3"],
            "g_per_kwh: must be greater than or equal to 0, as in a study file",
        ),
        (["--g-per-kwh", "475000"], "g_per_kwh: must be less than or equal to 5000, as in a study"),
        (["--g-per-kwh", "nan"], "g_per_kwh: must be"),
        (["--predictions", "1e16"], "predictions: must be less than or equal to 1000000000000000"),
        (["--embodied-kg-per-device-hour", "11"], "embodied_kg_per_device_hour: must be less than"),
        (["--embodied", "gpu"], "this study trains on the CPU"),
        (["--trace", "missing.csv"], "missing.csv"),
    ],
)
def test_bad_settings_are_refused(study: Command, words: list[str], message: str) -> None:
    before = sorted(Path(study.folder).iterdir())
    assert message in study.read("whatif", "small", *words, code=2)
    assert sorted(Path(study.folder).iterdir()) == before
