from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from greenfront.errors import DataError, StudyFileError, UsageError
from greenfront.objectives.carbon.embodied import embodied_default
from greenfront.objectives.codec import from_json, to_json
from greenfront.search.session import open_session
from greenfront.studies.config.carbon import embodied_objection
from greenfront.studies.config.facts import StudyFacts, TraceFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.presets.compose import compose
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

HOURS = 48
PLANNED = 'schedule = "greenest"\ndeadline_hours = 12\n'


def written(folder: Path, grams: list[float] | None = None) -> Path:
    grams = grams or [100.0 + 10 * (hour % 24) for hour in range(HOURS)]
    rows = [f"2026-03-{1 + h // 24:02}T{h % 24:02}:00:00Z,{g}" for h, g in enumerate(grams)]
    path = folder / "intensity.csv"
    path.write_text("\n".join(["timestamp_utc,g_per_kwh", *rows]) + "\n")
    return path


def read(folder: Path, carbon: str) -> StudyFile:
    path = folder / "study.toml"
    path.write_text(f'[task]\nkind = "digits"\n[carbon]\n{carbon}')
    return StudyFile.read(path)


@pytest.mark.parametrize(
    ("carbon", "message"),
    [
        ('region = "FRA"\ntrace = "t.csv"', "give either region or trace, not both"),
        ('g_per_kwh = 3.0\ntrace = "t.csv"', "give either g_per_kwh or trace, not both"),
        ('live = "uk"\ntrace = "t.csv"', "give either trace or live, not both"),
        ('live = "electricitymaps"', 'zone goes with live = "electricitymaps"'),
        ('live = "uk"\nzone = "GB"', 'zone goes with live = "electricitymaps"'),
        ('factors = "direct"', "factors chooses a column of the trace"),
        (
            'embodied = "laptop"\nembodied_kg_per_device_hour = 0.1',
            "give either embodied or embodied_kg_per_device_hour, not both",
        ),
        (PLANNED, 'schedule = "greenest" needs an intensity over time: give a trace, or live'),
        ("pause_above = 200.0\ndeadline_hours = 12", "pause_above needs an intensity over time"),
        ('schedule = "greenest"\nlive = "uk"', 'schedule = "greenest" needs deadline_hours'),
        ('pause_above = 200.0\nlive = "uk"', "pause_above needs deadline_hours"),
        (PLANNED + 'live = "uk"\npause_above = 9.0', 'schedule = "greenest" or pause_above: the'),
        ('deadline_hours = 12\nlive = "uk"', "deadline_hours says how long to wait"),
        ("throughput = [1.0, 1.9]", 'give schedule = "greenest"'),
        (
            PLANNED + 'live = "uk"\nthroughput = [1.0, 2.5]',
            "[carbon] throughput: must begin with 1 and rise from worker to worker",
        ),
        (
            PLANNED + 'live = "uk"\nthroughput = [1.0, 1.9]\n[search]\nworkers = 3',
            "[carbon] throughput: must say what 1 to 3 workers do together, got 2 numbers",
        ),
        ("replay_start = 2026-03-01T00:00:00Z", "replay_start plays a trace"),
        ('trace = "t.csv"\nreplay_speed = 9.0', "replay_speed needs replay_start"),
        ('trace = "t.csv"\nreplay_start = 2026-03-01T00:00:00', "an instant with its time zone"),
        ('trace = "t.csv"\nreplay_start = "yesterday"', "an instant with its time zone"),
        ('embodied = "toaster"', "'laptop', 'workstation', 'server' or 'gpu'"),
    ],
)
def test_rules(tmp_path: Path, carbon: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=re.escape(message)):
        read(tmp_path, carbon)


def test_what_is_allowed_together(tmp_path: Path) -> None:
    assert read(tmp_path, 'live = "uk"\nregion = "GBR"').carbon.live == "uk"
    assert not read(tmp_path, 'live = "uk"').carbon.waits
    assert read(tmp_path, 'live = "uk"\npause_above = 9.0\ndeadline_hours = 2').carbon.waits
    file = read(
        tmp_path, 'trace = "t.csv"\nreplay_start = 2026-03-01T00:00:00Z\nreplay_speed = 9.0'
    )
    assert file.carbon.trace == str(tmp_path.resolve() / "t.csv")
    assert StudyFile.from_stored(file.to_json()) == file


def test_a_trace_counts_with_its_mean_and_a_schedule_with_its_usual_best(tmp_path: Path) -> None:
    written(tmp_path)
    found = read(tmp_path, 'trace = "intensity.csv"').carbon.read()
    assert found is not None
    _, facts = found
    assert facts.mean == pytest.approx(215)
    assert facts.usual_best is None
    section = read(tmp_path, 'trace = "intensity.csv"\n' + PLANNED).carbon
    found = section.read()
    assert found is not None
    _, facts = found
    # Handed in at each hour for which 12 hours are known: the least of hours h to h + 11.
    hours = [100.0 + 10 * (hour % 24) for hour in range(HOURS)]
    best = [min(hours[start : start + 12]) for start in range(HOURS - 11)]
    assert facts.usual_best == pytest.approx(sum(best) / len(best))
    model = section.model(facts)
    assert model.intensity.g_per_kwh == pytest.approx(215)
    assert model.training is not None
    assert model.training.g_per_kwh == facts.usual_best
    assert not model.proportional_to_energy
    assert model.training_co2_kg(2.0) == pytest.approx(2.0 * facts.usual_best / 1000)
    assert model.co2_kg(2.0) == pytest.approx(0.43)


def test_a_trace_that_cannot_serve_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"intensity\.csv"):
        read(tmp_path, 'trace = "intensity.csv"').carbon.read()
    written(tmp_path)
    with pytest.raises(DataError, match="at least as long as the deadline of 72 h"):
        read(
            tmp_path, 'trace = "intensity.csv"\nschedule = "greenest"\ndeadline_hours = 72'
        ).carbon.read()
    with pytest.raises(DataError, match="replay_start: must lie within the trace"):
        read(tmp_path, 'trace = "intensity.csv"\nreplay_start = 2027-01-01T00:00:00Z').carbon.read()


def test_the_clock_begins_with_the_study(tmp_path: Path) -> None:
    carbon = 'trace = "t.csv"\nreplay_start = 2026-03-01T00:00:00+01:00\nreplay_speed = 60.0'
    clock = read(tmp_path, carbon).carbon.clock(1000.0)
    start = datetime(2026, 2, 28, 23, tzinfo=UTC).timestamp()
    assert clock.at(1000.0) == start
    assert clock.at(1060.0) == start + 3600
    assert clock.wall(clock.at(1234.5)) == pytest.approx(1234.5)
    assert clock.label == " (replayed clock)"
    real = read(tmp_path, 'trace = "t.csv"').carbon.clock(1000.0)
    assert (real.at(77.0), real.wall(77.0), real.label) == (77.0, 77.0, "")


def test_the_identity_holds_the_traces_content_and_not_its_place(tmp_path: Path) -> None:
    first = read(tmp_path, 'trace = "a.csv"\n' + PLANNED)
    same = read(tmp_path, 'trace = "elsewhere/b.csv"\n' + PLANNED)
    assert first.identity("data", "one") == same.identity("data", "one")
    assert first.identity("data", "one") != first.identity("data", "two")
    later = read(tmp_path, 'trace = "a.csv"\nschedule = "greenest"\ndeadline_hours = 13')
    assert later.identity("data", "one") != first.identity("data", "one")
    paused = [
        read(tmp_path, f'live = "uk"\ndeadline_hours = 9\npause_above = {grams}').identity("data")
        for grams in (100.0, 200.0)
    ]
    assert paused[0] == paused[1]
    elastic = read(tmp_path, 'trace = "a.csv"\nthroughput = [1, 1.5]\n' + PLANNED)
    assert elastic.identity("data", "one") == first.identity("data", "one")
    assert elastic.throughput is None  # of one worker
    assert elastic.changed(workers=2).throughput == (1.0, 1.5)


def test_facts_keep_what_scores_need(image_facts: StudyFacts) -> None:
    trace = TraceFacts(215.0, 120.0, "here", "file (average)", "f00d")
    assert from_json(StudyFacts, to_json(image_facts)) == image_facts
    kept = StudyFacts(image_facts.task, "cpu", mixed_precision=False, trace=trace)
    assert from_json(StudyFacts, to_json(kept)) == kept


def test_embodied_by_kind_of_device(tmp_path: Path) -> None:
    model = read(tmp_path, 'embodied = "server"').carbon.model()
    assert model.embodied_kg_per_device_hour == embodied_default("server").kg_per_device_hour


def test_a_study_is_scored_by_the_threads_it_began_on(
    tmp_path: Path, image_facts: StudyFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = read(tmp_path, 'embodied = "server"').carbon
    kept = to_json(replace(image_facts, threads=16))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    elsewhere = from_json(StudyFacts, kept)
    assert section.study_model(elsewhere).device_threads == 16
    stated = read(tmp_path, 'embodied = "server"\ndevice_threads = 96').carbon
    assert stated.study_model(elsewhere).device_threads == 96
    # An older study kept none; a new one keeps those of its machine.
    del kept["threads"]
    assert section.study_model(from_json(StudyFacts, kept)).device_threads == 4
    assert StudyFacts(image_facts.task, "cpu", mixed_precision=False).threads == 4


def test_a_study_that_goes_on_elsewhere_keeps_its_threads(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        f"[study]\nname = 'moved'\ncache = '{tmp_path / 'cache'}'\n[task]\nkind = 'digits'\n"
        "[space]\narchitectures = ['mlp']\n[carbon]\nembodied = 'server'\n"
    )
    file, storage = StudyFile.read(path), Storage(f"sqlite:///{tmp_path}/study.db")
    try:
        with open_session(file) as session:
            Study.create(
                storage,
                "moved",
                directions=["maximize", "minimize", "minimize"],
                identity=session.problem.identity(),
                configuration=file.to_json(),
                meters=session.instruments.pin(),
                facts=to_json(replace(session.problem.facts, threads=999)),
            )
        with open_session(file, new_in=storage) as session:
            assert session.problem.facts.threads == 999
    finally:
        storage.close()


def test_a_gpu_that_is_not_used_has_no_share(tmp_path: Path, image_facts: StudyFacts) -> None:
    section = read(tmp_path, 'embodied = "gpu"').carbon
    assert section.study_model(image_facts).embodied_kg_per_device_hour == 0
    assert "this study trains on the CPU" in (embodied_objection("gpu", image_facts) or "")
    # As a plan says as well as a run.
    with pytest.raises(UsageError, match=r"\[carbon\] embodied: .* trains on the CPU; take"):
        section.require(image_facts)
    section.require(replace(image_facts, device="cuda"))
    assert embodied_objection("server", image_facts) is None
    on_gpu = replace(image_facts, device="cuda")
    assert embodied_objection("gpu", on_gpu) is None
    model = section.study_model(on_gpu)
    assert model.embodied_component == "gpu"
    assert model.embodied_kg_per_device_hour == embodied_default("gpu").kg_per_device_hour


def test_a_new_study_on_the_cpu_cannot_count_the_making_of_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        f"[study]\ncache = '{tmp_path / 'cache'}'\n[task]\nkind = \"digits\"\n"
        '[training]\ndevice = "cpu"\n[carbon]\nembodied = "gpu"\n'
    )
    refused = pytest.raises(UsageError, match=r"^\[carbon\] embodied: 'gpu' counts the hours")
    with refused, open_session(StudyFile.read(path)):
        pass
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("without", ["live", "pause_above"])
def test_the_waiting_part_of_a_preset_works(tmp_path: Path, without: str) -> None:
    text = re.sub(r"^#   (?=\w+ = )", "", compose("digits"), flags=re.MULTILINE)
    text = re.sub(r'^schedule = "now"', 'schedule = "greenest"', text, flags=re.MULTILINE)
    absent = {"live", "pause_above"} if without == "live" else {"trace", "schedule", "throughput"}
    if without != "live":
        absent |= {"factors", "replay_start", "replay_speed"}  # of a trace
    text = re.sub("^workers = 1 ", "workers = 2 ", text, flags=re.MULTILINE)
    for key in {*absent, "zone", "floor"}:  # a floor stands for max_drop
        text = re.sub(rf"^{key} = .*$", "", text, flags=re.MULTILINE)
    path = tmp_path / "study.toml"
    path.write_text(text)
    carbon: Any = StudyFile.read(path).carbon
    assert carbon.waits
    assert carbon.embodied == "laptop"
    assert carbon.deadline_hours == 24
    assert StudyFile.read(path).throughput == ((1.0, 1.9) if without == "live" else None)
