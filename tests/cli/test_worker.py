"""``greenfront worker``: joins a study, does its part, leaves in order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.command import FAST, Command
from contracts.waiting import PATIENCE_SECONDS
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import FINISHED

EXAMPLES = Path(__file__).parents[2] / "examples"
TRIALS = 9
ROWS = "size,weight,class\n" + "".join(
    f"{row % 7}.{row % 3},{row % 5},{'even' if row % 7 % 2 == 0 else 'odd'}\n" for row in range(120)
)


def write(folder: Path, name: str) -> Command:
    command = Command(folder)
    (folder / "rows.csv").write_text(ROWS)
    command.write_study(
        study=f'name = "{name}"',
        task='kind = "csv"\npath = "rows.csv"\ntarget = "class"',
        budget=f"trials = {TRIALS}",
        **FAST,
    )
    return command


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, evaluators: None) -> Path:
    """The folder of a study of which one trial is done, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    command = write(folder, "begun")
    command.read("run", "study.toml", "--trials", "1")
    with_budget(folder, TRIALS)
    return folder


def with_budget(folder: Path, trials: int) -> None:
    storage = Storage(f"sqlite:///{folder}/greenfront.db")
    study = Study.open(storage, "begun")
    study.store_configuration({**study.configuration, "budget": {"trials": trials}})
    storage.close()


@pytest.fixture
def command(begun: Path, tmp_path: Path) -> Command:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return Command(tmp_path)


def stored(command: Command) -> tuple[dict[str, Any], list[str]]:
    """The configuration of the study, and the states of its trials."""
    storage = Storage(f"sqlite:///{command.folder}/greenfront.db")
    study = Study.open(storage, "begun")
    states = [row.state for row in study.trials.all()]
    storage.close()
    return study.configuration, states


def test_it_does_as_many_trials_as_it_may_and_changes_no_setting(command: Command) -> None:
    before, _ = stored(command)
    told = command.read_json("worker", "begun", "--max-trials", "3", "--workers", "2")
    assert told == {
        "study": "begun",
        "reason": "this run has done its 3 trials",
        "trials": 3,
        "left": True,
    }
    after, states = stored(command)
    assert after == before
    assert len(states) == 4
    assert set(states) <= set(FINISHED)
    said = command.read("worker", "begun", "--max-minutes", "0")
    assert "0 trials" in said
    assert "greenfront worker begun" in said


def test_it_needs_the_data_or_a_study_file_that_knows_them(begun: Path, command: Command) -> None:
    elsewhere = command.folder / "elsewhere"
    elsewhere.mkdir()
    (begun / "rows.csv").rename(begun / "away.csv")  # the path with which the study was begun
    try:
        said = command.read("worker", "begun", code=2)
        assert "rows.csv" in said
        assert "--file study.toml" in said
        own = write(elsewhere, "begun")
        words = ("--storage", f"sqlite:///{command.folder}/greenfront.db")
        told = own.read_json("worker", "begun", "--max-trials", "1", "--file", "study.toml", *words)
        assert told["trials"] == 1
        (elsewhere / "rows.csv").write_text(ROWS.replace("1.1,1", "1.9,1"))
        said = own.read("worker", "begun", "--file", "study.toml", *words, code=2)
        assert "exists with other settings" in said
    finally:
        (begun / "away.csv").rename(begun / "rows.csv")


def test_an_unknown_study_is_one_message(command: Command) -> None:
    said = command.read("worker", "begum", code=2)
    assert "it holds begun" in said
    assert "does not exist" in command.read("worker", "x", "--storage", "sqlite:///no.db", code=2)


def test_the_job_script_runs_a_worker_that_slurm_can_end(command: Command) -> None:
    """Its body, with Slurm's variables set and its signal sent; ``sbatch`` was not run."""
    with_budget(command.folder, 1000)
    script = EXAMPLES / "slurm" / "workers.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    shim = command.folder / "bin" / "greenfront"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -W error -m greenfront "$@"\n')
    shim.chmod(0o755)
    variables = {
        "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": "41",
        "SLURM_ARRAY_TASK_ID": "7",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_SUBMIT_DIR": str(command.folder),
        "GREENFRONT_STUDY": "begun",
        "GREENFRONT_STORAGE": "sqlite:///greenfront.db",
    }
    job = subprocess.Popen(
        ["bash", script],
        cwd="/",
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert job.stdout is not None
        head = job.stdout.readline()
        for line in job.stdout:
            if line.startswith("trial "):  # one is done: it is at the next
                break
        job.send_signal(signal.SIGTERM)
        said, _ = job.communicate(timeout=PATIENCE_SECONDS)
    finally:
        job.kill()
    assert head.startswith("job 41, task 7, on ")
    assert job.returncode == 1
    assert "What this worker was at is queued again" in said
    _, states = stored(command)
    assert "running" not in states
    # Another worker takes it up: exactly as many as were asked for.
    asked = len(states) + 1
    with_budget(command.folder, asked)
    assert f"all {asked} trials are finished" in command.read("worker", "begun")
    _, states = stored(command)
    assert len(states) == asked
    assert set(states) <= set(FINISHED)


def test_the_job_script_says_what_it_needs() -> None:
    script = EXAMPLES / "slurm" / "workers.sbatch"
    done = subprocess.run(
        ["bash", script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "GREENFRONT_STUDY" in done.stderr


def test_the_manifest_is_a_job_whose_pods_are_workers() -> None:
    """Parsed, and held to what Kubernetes requires of a job; no cluster was at hand."""
    job = yaml.safe_load((EXAMPLES / "kubernetes" / "workers.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert job["metadata"]["name"]
    spec = job["spec"]
    assert spec["parallelism"] > 1
    assert "completions" not in spec  # a work queue: the first that ends well ends it
    pod = spec["template"]["spec"]
    # Kubernetes takes a policy on failures for pods that are never restarted in place only.
    assert pod["restartPolicy"] == "Never"
    [container] = pod["containers"]
    assert container["name"] == spec["podFailurePolicy"]["rules"][1]["onExitCodes"]["containerName"]
    assert container["command"][:2] == ["greenfront", "worker"]
    assert [entry["name"] for entry in container["env"]] == ["GREENFRONT_STORAGE"]
    assert all({"cpu", "memory"} <= part.keys() for part in container["resources"].values())
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
