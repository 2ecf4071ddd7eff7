"""Choosing between models of a finished study of before, in this process."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest

from contracts.command import Command
from greenfront.cli.amounts import BYTES, JOULES, SECONDS, SHARES, amount
from greenfront.errors import UsageError

STORED = Path(__file__).parents[1] / "fixtures" / "before" / "greenfront.db.gz"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The study ``before``: eight trials of digits."""
    folder = tmp_path_factory.mktemp("choose")
    (folder / "greenfront.db").write_bytes(gzip.decompress(STORED.read_bytes()))
    return Command(folder)


def test_pick_takes_the_greenest_and_says_why_not_the_others(study: Command) -> None:
    told, front = study.read_json("pick", "before"), study.read_json("front", "before")
    assert told["trial"] == front["greenest"]
    assert told["score"] == front["rows"][0]["green_score"]
    others = {row["trial"] for row in front["rows"]} | {front["baseline"]["trial"]}
    assert {other["trial"] for other in told["others"]} == others - {told["trial"]}
    said = study.read("pick", "before")
    assert f"Trial {told['trial']}: {told['reason']}." in " ".join(said.split())
    assert "outranked: Green Score" in said
    assert f"greenfront export before --trial {told['trial']} -o DIR" in said


@pytest.mark.parametrize("rule", ["lifetime", "ratio", "weighted"])
def test_pick_by_another_rule(study: Command, rule: str) -> None:
    told = study.read_json("pick", "before", "--by", rule, "--max-drop", "20%")
    assert told["by"] == rule
    assert told["limits"]["max_drop"] == pytest.approx(0.2)
    assert told["row"]["trial"] == told["trial"]


def test_pick_keeps_limits_with_units(study: Command) -> None:
    told = study.read_json("pick", "before", "--max-size", "5kB", "--max-latency", "1s")
    assert told["row"]["phases"]["artefact_bytes"] <= 5000
    assert any(other["reason"].startswith("size: ") for other in told["others"])


def test_pick_fails_where_nothing_keeps_the_limits(study: Command) -> None:
    said = study.read("pick", "before", "--max-joules", "1nJ", code=1)
    assert "No model picked: no model keeps every limit" in said
    assert "excluded: a prediction: " in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by", "magic"], "--by must be one of green"),
        (["--max-size", "huge"], "--max-size: must be a number of 0 or more with a unit"),
        (["--max-drop", "150%"], "max_drop: must be a difference"),
        (["--max-latency", "0ms"], "latency_seconds: must be a finite number above 0"),
        (["--by", "weighted", "--weights", "1,2"], "--weights: must be three numbers"),
    ],
)
def test_pick_refuses_what_means_nothing(study: Command, words: list[str], message: str) -> None:
    assert message in study.read("pick", "before", *words, code=2)


def test_the_table_has_each_technique_alone_and_combined(study: Command) -> None:
    told = study.read_json("table", "before")
    titles = [row["title"] for row in told["rows"]]
    assert titles[0] == "untouched"
    assert {"pruning", "quantization", "distillation"} <= set(titles)
    assert any(len(row["techniques"]) > 1 for row in told["rows"])
    assert titles == sorted(titles, key=lambda title: 0 if title == "untouched" else 1)
    said = study.read("table", "before")
    assert "Each against the untouched network of the same architecture" in said


def test_the_table_as_papers_and_programs_want_it(study: Command) -> None:
    told = study.read_json("table", "before")["rows"]
    rows = list(csv.DictReader(io.StringIO(study.read("table", "before", "--csv"))))
    assert [float(row["energy_reduction"]) for row in rows] == [
        row["energy_reduction"] for row in told
    ]
    latex = study.read("table", "before", "--latex")
    assert latex.startswith("\\begin{tabular}{llrrrrrr}\n\\toprule\n")
    assert latex.count(" \\\\\n") == 1 + len(told)
    assert "100\\%" in latex
    markdown = study.read("table", "before", "--markdown").splitlines()
    assert len(markdown) == 2 + len(told)
    assert {line.count("|") for line in markdown} == {9}
    assert "give one of" in study.read("table", "before", "--csv", "--latex", code=2)


@pytest.mark.parametrize(
    ("text", "units", "value"),
    [
        ("1%", SHARES, 0.01),
        ("0.01", SHARES, 0.01),
        ("2ms", SECONDS, 0.002),
        ("2 ms", SECONDS, 0.002),
        ("1.5 µs", SECONDS, 1.5e-6),
        ("1MB", BYTES, 1e6),
        ("1MiB", BYTES, 1048576),
        ("4_096", BYTES, 4096),
        ("2mJ", JOULES, 0.002),
        ("1e-3", JOULES, 0.001),
        ("1Wh", JOULES, 3600),
    ],
)
def test_amounts_have_units(text: str, units: dict[str, float], value: float) -> None:
    assert amount(text, units, "--limit", "1") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["", "ms", "-1", "1 parsec", "nan", "inf", "1,5", "1..2", "1 %s"])
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--limit: must be a number of 0 or more"):
        amount(text, SECONDS, "--limit", "2ms")


def test_compare_two_trials(study: Command) -> None:
    told = study.read_json("compare", "before:0", "before:6")
    assert (told["first"]["trial"], told["second"]["trial"]) == (0, 6)
    rows = {row["trial"]: row for row in study.read_json("front", "before")["rows"]}
    energy = next(each for each in told["ratios"] if each["name"] == "energy of both")
    assert energy["second"] == pytest.approx(rows[6]["energy_kwh"], rel=1e-12)
    said = study.read("compare", "before:0", "before:6")
    assert "First: before, trial 0. Second: before, trial 6." in said


def test_compare_takes_the_greenest_of_a_study_and_folders(study: Command) -> None:
    from contracts.records import exported
    from greenfront.studies.export.documents import write_documents

    folder = study.folder / "exported"
    folder.mkdir()
    write_documents(exported(), folder)
    told = study.read_json("compare", "before", "exported")
    assert told["first"]["trial"] == study.read_json("front", "before")["greenest"]
    assert told["second"]["study"] == "digits"
    assert any("different examples" in remark for remark in told["remarks"])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nowhere", "does not exist"),
        ("before:77", "has no trial 77; its trials are 0 to 7"),
        ("before:best", "a model is a study, STUDY:TRIAL or an exported folder"),
        (".", "is no exported model: it has no record.json"),
    ],
)
def test_compare_refuses_what_is_no_model(study: Command, named: str, message: str) -> None:
    assert message in study.read("compare", "before", named, code=2)


def test_a_repository_is_looked_at_before_anything_is_made(
    study: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("export", "before", "-o", "shipped", "--push-to-hub")
    assert "must be OWNER/NAME" in study.read(*words, "wine", code=2)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert "needs a token that may write" in study.read(*words, "me/wine", code=2)
    assert not (study.folder / "shipped").exists()
