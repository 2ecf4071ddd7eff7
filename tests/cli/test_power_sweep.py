"""Power limits of a GPU for a picked model; a file plays the card, the CPU does its work."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from contracts.card import measured_on, play_card
from contracts.command import FAST, Command
from contracts.power import FOUND_MW, CardInAFile
from contracts.shipped import table
from contracts.waiting import PATIENCE_SECONDS
from greenfront.objectives.metering import power_limit
from greenfront.search.evaluator import reaper
from greenfront.search.networks import exploration

CARD_MW = {FOUND_MW, 100_000, 200_000, 300_000, 500_000}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A study that was measured on such a card."""
    command = Command(tmp_path_factory.mktemp("power"))
    with pytest.MonkeyPatch.context() as patch:
        card = _plugged_in(command, patch)
        table(command.folder)
        command.write_study(
            study='name = "t"',
            task='kind = "csv"\npath = "table.csv"\ntarget = "goal"',
            space='references = true\narchitectures = ["mlp"]\nbits = [32]',
            training=f'device = "cpu"\n{FAST["training"]}',
            metering="block_seconds = 0.001\ngpu_idle_watts = 1",
            objectives='repeats = 1\ndevice = "cuda"',
            budget="trials = 1",
        )
        command.read("run", "study.toml")
        assert card.set_mw == [], "a search sets no limit"
    return command


@pytest.fixture
def study(played: Command, tmp_path: Path) -> Command:
    folder = tmp_path / "copy"
    shutil.copytree(played.folder, folder)
    shutil.rmtree(folder / "tmp")
    return Command(folder)


@pytest.fixture
def card(study: Command, monkeypatch: pytest.MonkeyPatch) -> CardInAFile:
    return _plugged_in(study, monkeypatch)


def _plugged_in(command: Command, patch: pytest.MonkeyPatch) -> CardInAFile:
    play_card(patch)
    patch.setattr(exploration, "CARD_BLOCK_SECONDS", 0.0)
    return CardInAFile.plugged_in(command.folder, patch)


def test_the_limit_of_least_energy_is_told_and_the_one_as_found_restored(
    study: Command, card: CardInAFile
) -> None:
    """The card draws what it may, and does the same at that: its lowest limit takes least."""
    told = study.read_json("tune", "t", "--greenest", "--only", "bits", "--power-sweep")
    power = told["power"]
    assert {1e3 * each["watts"] for each in power["tried"]} == CARD_MW
    assert power["tried"][0]["watts"] == power["card"]["found_watts"] == 400
    assert power["best"]["watts"] == 100
    assert power["best"]["ratio"]["high"] < 1
    assert power["best"]["slower"] > 0
    assert set(card.set_mw) == CARD_MW
    # In turns, never one limit after the other: each comes again after the others have been.
    assert card.set_mw.count(200_000) > 6
    assert 200_000 not in {a for a, b in zip(card.set_mw, card.set_mw[1:], strict=False) if a == b}
    assert card.limit_mw == FOUND_MW
    study.read("export", "t", "--greenest", "-o", "out")
    assert "power" not in json.loads((study.folder / "out" / "claims.json").read_text())


def test_people_read_it(study: Command, card: CardInAFile) -> None:
    told = " ".join(study.read("tune", "t", "--only", "bits", "--power-sweep").split())
    assert "Power limits of the GPU" in told
    assert "Least energy at 100 W" in told
    assert "The limit is 400 W again" in told
    assert "nvidia-smi -i GPU-a -pl 100" in told
    assert "no export carries it" in told


def test_without_the_flag_nothing_is_set(study: Command, card: CardInAFile) -> None:
    assert study.read_json("tune", "t", "--only", "bits")["power"] is None
    assert card.set_mw == []


def test_a_driver_that_lets_nobody_set_it(study: Command, card: CardInAFile) -> None:
    card.change(refuses=4)
    told = study.read("tune", "t", "--power-sweep", code=1)
    assert "Insufficient Permissions" in told
    assert "run the same command as root" in told
    assert card.set_mw == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_sweep_that_is_ended_leaves_the_limit_as_found(
    study: Command, card: CardInAFile, number: signal.Signals
) -> None:
    process = study.fork("tune", "t", "--only", "bits", "--power-sweep")
    card.becomes(100_000, "sweep", process)
    os.killpg(process.pid, number)
    process.communicate()
    card.becomes(FOUND_MW, "limit as found")


@pytest.mark.parametrize("which", ["guard", "evaluator"])
def test_a_sweep_whose_process_is_killed_ends_and_leaves_the_limit_as_found(
    study: Command, card: CardInAFile, which: str
) -> None:
    process = study.fork("tune", "t", "--only", "bits", "--power-sweep")
    card.becomes(100_000, "sweep", process)
    beside = {
        "guard" if power_limit.__name__ in each.cmdline() else "evaluator": each
        for each in psutil.Process(process.pid).children()
        if reaper.__name__ not in each.cmdline()
    }
    beside[which].kill()
    said, _ = process.communicate()
    assert process.returncode == 1
    assert {"guard": "was killed, so the sweep ends", "evaluator": "killed by SIGKILL"}[
        which
    ] in said
    assert "Traceback" not in said
    assert card.limit_mw == FOUND_MW


def test_when_all_are_killed_doctor_says_so(study: Command, card: CardInAFile) -> None:
    process = study.fork("tune", "t", "--only", "bits", "--power-sweep")
    card.becomes(100_000, "sweep", process)
    family = psutil.Process(process.pid).children()
    for each in family:
        each.suspend()  # or the guard would restore the limit before it is killed
    process.kill()
    for each in family:
        each.kill()
    process.communicate()
    psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
    left_mw = card.limit_mw
    assert left_mw != FOUND_MW
    (told,) = study.read_json("doctor")["left_power_limits"]
    assert told == {"uuid": "GPU-a", "watts": left_mw / 1e3, "found_watts": 400}
    assert "nvidia-smi -i GPU-a -pl 400" in " ".join(study.read("doctor").split())
    assert card.limit_mw == left_mw
    study.read("tune", "t", "--only", "bits", "--power-sweep")
    assert card.limit_mw == FOUND_MW
    assert study.read_json("doctor")["left_power_limits"] == []


def test_of_a_study_on_the_cpu_it_is_refused(study: Command, card: CardInAFile) -> None:
    measured_on(study.folder, "cpu")
    told = study.read("tune", "t", "--power-sweep", code=2)
    assert "measures them on the CPU" in told
    assert card.set_mw == []
