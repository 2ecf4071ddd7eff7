"""A new technique is one file in ``spaces/techniques`` and one stage: nothing else knows of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import greenfront
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.config.study_file import StudyFile

FILES = Path(__file__).with_name("toy_technique")
PACKAGES = ("spaces", "objectives", "studies", "search")

STUDY = """
[study]
name = "toy"
[task]
kind = "digits"
[space]
architectures = "mlp"
references = false
pruning = 0
bits = 32
toy = [0, 4]
[training]
epochs = 1
fine_tune_epochs = 1
[objectives]
repeats = 1
[metering]
block_seconds = 0.01
[budget]
trials = 3
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with two more files in it, and a study file that uses them."""
    root = tmp_path_factory.mktemp("house")
    package = root / "greenfront"
    shutil.copytree(Path(greenfront.__path__[0]), package)
    for name in PACKAGES:
        source = import_module(f"greenfront.{name}").__path__[0]
        shutil.copytree(source, package / name, dirs_exist_ok=True)
    shutil.copy(FILES / "technique.py", package / "spaces" / "techniques" / "toy.py")
    shutil.copy(FILES / "stage.py", package / "objectives" / "pipeline" / "stages" / "toy.py")
    (root / "study.toml").write_text(STUDY)
    return root


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_technique_is_one_file_and_one_stage(place: Path) -> None:
    searched = run(place, "-m", "greenfront", "run", "study.toml")
    assert searched.returncode == 0, searched.stderr
    told = run(place, "-m", "greenfront", "front", "toy", "--json")
    assert told.returncode == 0, told.stderr
    rows: list[dict[str, Any]] = json.loads(told.stdout)["rows"]
    for row in rows:  # which of the trials are on the front is a matter of microjoules
        assert ("toy" in row["candidate"]) == ("toy" in row["phases"]["making_kwh"])
    with closing(sqlite3.connect(place / "greenfront.db")) as database:
        query = "SELECT choice, detail FROM greenfront_trials WHERE state = 'complete'"
        tried = [tuple(map(json.loads, row)) for row in database.execute(query)]
    touched = [(choice, detail) for choice, detail in tried if "toy" in choice]
    assert 0 < len(touched) < len(tried)
    for choice, detail in touched:
        assert choice["toy"]["strength"] in (1, 2, 3, 4)
        assert detail["phases"]["toy"]["joules"] > 0
    assert all("toy" not in detail["phases"] for choice, detail in tried if "toy" not in choice)


def test_a_new_technique_changes_no_study_and_no_candidate_that_leaves_it_out(place: Path) -> None:
    plain = STUDY.replace("toy = [0, 4]\n", "")
    (place / "plain.toml").write_text(plain)
    code = (
        "from pathlib import Path\n"
        "from greenfront.spaces.candidate import ArchitectureChoice, Candidate\n"
        "from greenfront.spaces.techniques.toy import Toy\n"
        "from greenfront.studies.config.study_file import StudyFile\n"
        "print(StudyFile.read(Path('plain.toml')).identity('f00d'))\n"
        "print(StudyFile.read(Path('study.toml')).identity('f00d'))\n"
        "choice = ArchitectureChoice('mlp', ())\n"
        "for kept in (Candidate(choice), Candidate(choice, others=(Toy(2),))):\n"
        "    assert Candidate.from_json(kept.to_json()) == kept\n"
        "    print(kept.key, kept.untouched, kept.describe(), sep=',')\n"
    )
    done = run(place, "-c", code)
    assert done.returncode == 0, done.stderr
    study, other, candidate, touched = done.stdout.split("\n")[:4]
    key = Candidate(ArchitectureChoice("mlp", ())).key
    assert study == StudyFile.read(place / "plain.toml").identity("f00d") != other
    assert candidate == f"{key},True,mlp"
    assert touched.endswith(",False,mlp · toy 2")
    assert not touched.startswith(key)


def test_it_takes_part_in_what_follows_a_missed_target(place: Path) -> None:
    code = (
        "from greenfront.spaces.follow_up import moved\n"
        "from greenfront.spaces.network_space import network_space\n"
        "from greenfront.spaces.options import NetworkOptions, SpaceTable\n"
        "from greenfront.spaces.techniques.technique import Scope\n"
        "space = SpaceTable(pruning=(0, 0), bits=(32,), toy=(0, 2))\n"
        "options = NetworkOptions(Scope(('lenet',)), space)\n"
        "searched = network_space(options)\n"
        "import numpy as np\n"
        "point = searched.sample(np.random.default_rng(0)) | {'toy': 1}\n"
        "move = moved(options, searched, point, stricter=True, far=False)\n"
        "print(move.point['toy'], move.told)\n"
    )
    done = run(place, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 toy 1 → 2\n"


def test_its_key_is_checked_like_any_other(place: Path) -> None:
    (place / "bad.toml").write_text(STUDY.replace("[0, 4]", "[0, 10]"))
    (place / "near.toml").write_text(STUDY.replace("toy =", "tiy ="))
    bad, near = (run(place, "-m", "greenfront", "plan", f"{n}.toml") for n in ("bad", "near"))
    assert (bad.returncode, near.returncode) == (2, 2)
    assert "[space] toy: " in bad.stderr
    assert "did you mean 'toy'?" in near.stderr
