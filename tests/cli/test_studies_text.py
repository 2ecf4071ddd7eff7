"""What people read: complete on a narrow terminal, and the same facts as the JSON."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import termios
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from contracts.command import Command
from greenfront.cli.json_output import front_json, whatif_json
from greenfront.cli.options import StorageOptions
from greenfront.cli.sheet import Sheet
from greenfront.cli.studies_text import front_table, run_summary, whatif_table
from greenfront.search.session import PeakMemory
from greenfront.studies.analysis.choosing.whatif import Comparison, Scenario
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.view import StudyView, view
from greenfront.studies.analysis.words.quantities import (
    count,
    energy,
    joules,
    mass,
    percent,
    seconds,
    size,
)
from greenfront.studies.report.page import render
from greenfront.studies.store.storage import Storage

URL = "sqlite:///another place.db"
WHERE = ("--storage", URL)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A study of 4 trials in a storage of another name."""
    command = Command(tmp_path_factory.mktemp("tables"))
    command.write_study(
        study=f'name = "small"\nstorage = "{URL}"',
        space='architectures = ["mlp"]\ntemperature = 3.0',
        training="epochs = 1\nfine_tune_epochs = 1",
        budget="trials = 4",
    )
    (command.folder / "said").write_text(command.read("run", "study.toml"))
    return command


@pytest.fixture(scope="module")
def seen(study: Command) -> StudyView:
    """The study with a member that is not eligible and one that is tied."""
    storage = Storage(f"sqlite:///{study.folder}/another place.db", create=False)
    found = view(storage, "small")
    storage.close()
    first, *others = found.front.rows
    last = replace(
        others[-1] if others else first, rank=2, tied=True, objection="below the floor of 95.0%"
    )
    return replace(found, front=replace(found.front, rows=(first, last)))


def under(seen: StudyView, scenario: Scenario) -> Comparison:
    return Comparison(seen, replace(seen, scoring=scenario.applied(seen)))


def drawn(what: RenderableType, width: int) -> str:
    screen = Console(width=width, file=io.StringIO(), highlight=False)
    screen.print(what, crop=False)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def on_a_terminal(command: Command, columns: int, *words: str) -> str:
    """What a person sees on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    process = subprocess.Popen(
        command.arguments(*words),
        cwd=command.folder,
        env=environment | {"TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # so ends a terminal on Linux
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait() == 0, said
    return said.decode().replace("\r\n", "\n")


def numbers(row: dict[str, Any]) -> list[str]:
    phases = row["phases"]
    return [
        percent(row["accuracy"]),
        energy(row["energy_kwh"]),
        mass(row["co2_kg"]),
        count(row["green_score"]),
        joules(phases["inference_joules"] + (phases["preprocessing_joules"] or 0.0)),
    ]


@pytest.mark.parametrize("columns", [80, 100])
def test_a_narrow_terminal_shows_each_model_and_each_unit(study: Command, columns: int) -> None:
    said = on_a_terminal(study, columns, "front", "small", *WHERE)
    assert all(len(line.rstrip()) <= columns for line in said.splitlines())
    lines = [line.split() for line in said.splitlines()]
    storage = Storage(f"sqlite:///{study.folder}/another place.db", create=False)
    found = view(storage, "small")
    storage.close()
    models = {row.trial: row.candidate.describe() for row in found.complete}
    told = study.read_json("front", "small", *WHERE)
    for row in [*told["rows"], told["baseline"]]:
        wanted = " ".join([str(row["trial"]), *numbers(row)]).split()
        at = next(index for index, line in enumerate(lines) if line[1:] == wanted)
        below = " ".join(word for line in lines[at + 1 :] for word in line)
        assert below.startswith(models[row["trial"]])
        # What has no column here stands below, by its name.
        phases = row["phases"]
        assert f"Latency {seconds(phases['latency_seconds'])}" in below
        assert f"Size {size(phases['artefact_bytes'])}" in below


def test_the_objection_stands_below_its_model(seen: StudyView) -> None:
    # On a narrow terminal the folded numbers carry their names, row by row.
    for width, spare in ((80, len(seen.front.rows) + 1), (200, 1)):
        said = drawn(front_table(seen), width)
        assert said.count("not eligible: below the floor of 95.0%") == 1
        assert "≈2" in said
        assert "≈: its Green Score cannot be told from that of the row above." in said
        assert said.count("Latency") == spare
        words = " ".join(said.split())
        for row in seen.front.rows:
            assert row.candidate.describe() in words
    wide = drawn(front_table(seen), 200)
    row = seen.front.rows[0]
    model = next(line for line in wide.splitlines() if row.candidate.describe() in line)
    for cell in (
        energy(row.energy_kwh),
        seconds(row.outcome.latency_seconds),
        size(row.outcome.artefact_bytes),
    ):
        assert cell in model


def test_no_width_cuts_a_number() -> None:
    sheet = Sheet("Titled", ("#", "what", "Energy", "Rest"), spare=("Rest",))
    sheet.add("1", "some words " * 20, "123.456 mWh", "7.5 µs", remark="but")
    for width in (20, 40, 80, 119, 120, 200):
        said = drawn(sheet, width)
        assert "123.456 mWh" in said
        assert "but" in said
        assert said.count("some") == 20
        assert "7.5 µs" in said
        assert ("Rest 7.5 µs" in said) == (width < 80)  # where words have no room beside it


def test_what_fits_stands_in_one_line_at_any_width() -> None:
    sheet = Sheet("Of something", ("part", "Energy"), spare=("Energy",))
    sheet.add("train", "1.00 mWh")
    assert drawn(sheet, 60).splitlines()[-1].split() == ["train", "1.00", "mWh"]


def test_a_scenario_keeps_the_warnings_of_the_front(seen: StudyView) -> None:
    found = under(seen, Scenario(predictions=10))
    for width in (80, 200):
        said = drawn(whatif_table(found), width)
        assert "not eligible: below the floor of 95.0%" in said
        assert "≈2" in said
        assert "≈: its Green Score" in said
    nothing = replace(seen, front=replace(seen.front, rows=()))
    said = drawn(whatif_table(Comparison(nothing, nothing)), 80)
    assert said == "Study small has no complete trial yet.\n"


def test_whether_it_pays_is_told_by_what_it_is_made_for(seen: StudyView) -> None:
    baseline = seen.baseline
    assert baseline is not None
    best = next(row for row in seen.complete if row.trial != baseline.trial)
    usual = replace(baseline.outcome.inference, joules=3.6)
    chosen = replace(best.outcome.inference, joules=1.8)
    seen = replace(
        seen,
        spent=replace(seen.spent, kwh=1.0),
        baseline=replace(baseline, outcome=replace(baseline.outcome, inference=usual)),
        front=replace(
            seen.front,
            rows=(replace(best, objection=None, outcome=replace(best.outcome, inference=chosen)),),
        ),
    )
    # A prediction saves half a mWh, and 1 kWh was spent.
    peak = PeakMemory(10**8, 2 * 10**8)
    never = "Does not pay for itself: 2.00 M predictions would be needed, it is made for 1,000,000"
    assert f"<dd class='note'>{never} (modelled).</dd>" in render(ReportData(seen))
    assert f"{never} (modelled)." in drawn(run_summary(seen, "it did", peak), 200)
    said = drawn(whatif_table(under(seen, Scenario(predictions=3_000_000))), 200)
    assert "Pays for itself after 2.00 M of the 3,000,000 predictions (modelled)." in said
    said = drawn(whatif_table(under(seen, Scenario(predictions=5))), 200)
    assert "it is made for 5 (modelled)." in said


EVERY_VERDICT = [
    ("never", "Never pays for itself: the greenest model needs no less energy than the baseline."),
    ("best is baseline", "Does not pay for itself: the greenest model is the baseline itself."),
    (
        "spending unknown",
        "Whether it pays for itself cannot be told: what the search has spent is unknown.",
    ),
    (
        "inference unknown",
        "Whether it pays for itself cannot be told: the energy of a prediction is not known for",
    ),
    ("no eligible model", "Whether it pays for itself cannot be told: no eligible model yet."),
    (
        "no baseline",
        "Whether it pays for itself cannot be told: the untouched baseline has not finished.",
    ),
]


def with_verdict(seen: StudyView, verdict: str) -> StudyView:
    """The study as it would be for a verdict on when it pays for itself."""
    best, baseline = seen.front.rows[0], seen.baseline
    assert baseline is not None
    best = replace(best, trial=1 + baseline.trial)

    def taking(row: ScoredTrial, joules: float | None) -> ScoredTrial:
        inference = replace(row.outcome.inference, joules=joules)
        return replace(row, outcome=replace(row.outcome, inference=inference))

    joules = {"never": 5.0, "inference unknown": None}.get(verdict, 1.0)
    member = baseline if verdict == "best is baseline" else taking(best, joules)
    objection = "below the floor" if verdict == "no eligible model" else None
    unmetered = seen.spent.entries if verdict == "spending unknown" else 0
    return replace(
        seen,
        front=replace(seen.front, rows=(replace(member, rank=1, objection=objection),)),
        baseline=None if verdict == "no baseline" else taking(baseline, 5.0),
        spent=replace(seen.spent, unmetered=unmetered),
    )


@pytest.mark.parametrize(("verdict", "said"), EVERY_VERDICT)
def test_terminal_report_and_json_say_why_it_does_not_pay(
    seen: StudyView, verdict: str, said: str
) -> None:
    found = with_verdict(seen, verdict)
    assert said in drawn(run_summary(found, "it did", PeakMemory(10**8, 0)), 200)
    assert said in drawn(whatif_table(Comparison(found, found)), 200)
    assert f"<dd class='value'>–</dd><dd class='note'>{said}" in render(ReportData(found))
    for told in (front_json(found), whatif_json(Comparison(found, found))):
        assert told["break_even_predictions"] is None
        assert told["break_even_verdict"] == verdict


def test_an_evaluator_that_was_not_started_is_not_spoken_of(seen: StudyView) -> None:
    assert "200 MB in an evaluator" in drawn(run_summary(seen, "x", PeakMemory(1, 2 * 10**8)), 200)
    assert "evaluator" not in drawn(run_summary(seen, "x", PeakMemory(1, 0)), 200)


def test_a_front_says_what_is_not_over_yet(seen: StudyView) -> None:
    assert "running" not in drawn(front_table(seen), 200)
    half = replace(seen, counts=Counter(complete=2, running=1, requeued=3))
    said = drawn(front_table(half), 200)
    assert "Trials that are running: 1." in said
    assert "interrupted and wait: 3; greenfront resume small takes them up." in said
    assert front_json(half)["trials"] == {"complete": 2, "running": 1, "requeued": 3}
    assert front_json(half)["spent_kwh"] == seen.spent.kwh


def test_a_search_without_a_model_ends_with_its_summary(seen: StudyView) -> None:
    """Such as one whose trials have all failed."""
    empty = replace(seen, front=replace(seen.front, rows=()), complete=())
    said = drawn(run_summary(empty, "it did", PeakMemory(10**8, 0)), 200)
    assert said.startswith("Ended: it did.")
    assert "Hypervolume" not in said


def test_no_hypervolume_is_explained(seen: StudyView) -> None:
    why = "cheaper than the dearest baseline and have learnt something: none is."
    empty, peak = replace(seen, steps=[replace(seen.steps[-1], hypervolume=0.0)]), PeakMemory(1, 0)
    assert why in drawn(run_summary(empty, "it did", peak), 200)
    some = replace(seen, steps=[replace(seen.steps[-1], hypervolume=0.5)])
    assert why not in drawn(run_summary(some, "it did", peak), 200)


def test_modelled_energy_is_called_so(study: Command) -> None:
    said = (study.folder / "said").read_text()
    kind = study.read_json("front", "small", *WHERE)["kind"]
    assert kind in {"modelled", "measured", "partly modelled"}
    assert f"({kind}, between " in said
    lines = [line for line in said.splitlines() if "/prediction  " in line]
    assert len(lines) == 4
    assert all(line.count(kind) == 1 and f"spent ({kind})" in line for line in lines)
    for part in ("phase", "kind", "component", "trial"):
        said = study.read("ledger", "small", "--by", part, *WHERE)
        title = said.splitlines()[0].rstrip()
        assert title == f"What the search small has spent, by {part}; energy {kind}"
    assert study.read_json("ledger", "small", *WHERE)["total"]["kind"] == kind
    assert study.read_json("studies", *WHERE)["studies"][0]["kind"] == kind
    assert kind in study.read("studies", *WHERE)


def test_json_holds_what_the_text_shows(study: Command) -> None:
    # Resuming spends a little, even where all trials are finished: so it goes first.
    again = study.read_json("resume", "small", *WHERE)
    front = study.read_json("front", "small", *WHERE)
    assert front["predictions"] == 1_000_000
    assert front["baseline"].keys() == front["rows"][0].keys()
    assert front["baseline"]["trial"] == 0
    ledger = study.read_json("ledger", "small", *WHERE)
    for key in ("break_even_predictions", "break_even_verdict", "pays_for_itself"):
        assert front[key] == ledger[key] == again[key]
    assert again["front"] == front
    for key in ("predictions", "kind", "baseline", "break_even_predictions"):
        assert again[key] == front[key]
    # The greenest is the best only where it is surely better than the baseline somewhere.
    assert again["best"] in (None, front["greenest"])
    assert front["greenest"] == front["rows"][0]["trial"]
    assert again["spent_low_kwh"] < again["spent_kwh"] < again["spent_high_kwh"]


def test_commands_to_copy_name_the_storage(study: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    wanted = "See it: greenfront report small --storage 'sqlite:///another place.db' -o report.html"
    assert wanted in (study.folder / "said").read_text()
    assert wanted in study.read("resume", "small", *WHERE)


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("sqlite:///greenfront.db", "greenfront resume wine"),
        (
            "postgresql://u@h/x?a=1&b=2",
            "greenfront resume wine --storage 'postgresql://u@h/x?a=1&b=2'",
        ),
        ("sqlite:///other.db", "greenfront resume wine --storage sqlite:///other.db"),
    ],
)
def test_a_command_to_copy_is_quoted_for_the_shell(storage: str, said: str) -> None:
    assert StorageOptions(storage).follow_up("resume", "wine") == said


def test_fewer_trials_than_there_are_is_refused(study: Command) -> None:
    for words in (["resume", "small", *WHERE], ["run", "study.toml"]):
        said = study.read(*words, "--trials", "2", code=2)
        assert "4 trials are finished already, --trials 2 asks for fewer: " in said
    assert study.read_json("studies", *WHERE)["studies"][0]["trials"] == 4
