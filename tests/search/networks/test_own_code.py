"""Code of the user's that crashes, hangs or ends its process: one message that names it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from contracts.command import FAST, Command
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import studies_table, trials_table

SOURCES = {
    "greenfront_segfaults": "import ctypes\nctypes.string_at(0)",
    "greenfront_hangs": "import time\ntime.sleep(3600)",
    "greenfront_keeps_busy": "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
    "greenfront_leaves": "import os\nos._exit(0)",
    "greenfront_exits": "import sys\nsys.exit(3)",
    "greenfront_interrupts": "raise KeyboardInterrupt",
    "greenfront_raises": "raise ValueError('not today')",
    "greenfront_calls": (
        "import ctypes, os, sys, time\n"
        "segfaults = lambda *_: ctypes.string_at(0)\n"
        "hangs = lambda *_: time.sleep(3600)\n"
        "leaves = lambda *_: os._exit(7)\n"
        "exits = lambda *_: sys.exit('enough')\n"
        "def interrupts(*_): raise KeyboardInterrupt\n"
    ),
    "greenfront_sound": (
        "import numpy as np\n"
        "from torch import nn\n"
        "def load():\n"
        "    rng = np.random.default_rng(0)\n"
        "    labels = np.arange(90) % 2\n"
        "    return rng.normal(labels[:, None], 0.3, (90, 4)).astype('float32'), labels\n"
        "def net(shape, classes):\n"
        "    layers = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, classes)\n"
        "    return nn.Sequential(nn.Flatten(), *layers)\n"
    ),
}

IMPORTING = {
    "greenfront_segfaults": r"crashed: ended by SIGSEGV in .*, line .* while importing module",
    "greenfront_hangs": r"timed out: importing .* took more than 0.5 s; raise [limits] import_",
    "greenfront_keeps_busy": r"timed out: importing .* took more than 0.5 s; raise [limits] imp",
    "greenfront_leaves": r"crashed: ended with code 0 while importing module",
    "greenfront_exits": r"failed (SystemExit: 3)",
    "greenfront_interrupts": r"failed (KeyboardInterrupt: )",
    "greenfront_raises": r"failed (ValueError: not today)",
}

CALLING = {
    "segfaults": r"crashed: ended by SIGSEGV in .*, line .* while calling",
    "hangs": r"timed out: calling .* took more than 0.6 s; raise [limits] trial_minutes",
    "leaves": r"crashed: ended with code 7 while calling",
    "exits": r"raised SystemExit: enough",
    "interrupts": r"raised KeyboardInterrupt:",
}


@pytest.fixture(autouse=True)
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    for name, source in SOURCES.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    yield Command(tmp_path)
    assert [name for name in sys.modules if name.startswith("greenfront_")] == []


def told(command: Command, name: str, limits: str) -> str:
    """What ``plan`` says of data from a function; one message, in one line."""
    command.write_study(task=f'kind = "{name}"', limits=limits, budget="trials = 1")
    done, out, err = command._inside(("plan", "study.toml"))
    assert done in (1, 2)
    assert out == ""
    assert err.startswith("greenfront: ")
    assert err.count("\n") == 1
    return err


def words(pattern: str) -> re.Pattern[str]:
    """Words in which ``.*`` alone means any."""
    return re.compile(".*".join(map(re.escape, pattern.split(".*"))))


@pytest.mark.parametrize("module", IMPORTING)
def test_an_import_that_goes_wrong_is_one_message(command: Command, module: str) -> None:
    expected = IMPORTING[module]
    seconds = 0.5 if "timed out" in expected else 240
    said = told(command, f"{module}:load", f"import_seconds = {seconds}")
    assert words(expected).search(said), said
    assert f"task function '{module}:load'" in said
    assert f"module '{module}'" in said


@pytest.mark.parametrize("function", CALLING)
def test_a_call_that_goes_wrong_is_one_message(command: Command, function: str) -> None:
    expected = CALLING[function]
    minutes = 0.01 if "timed out" in expected else 4
    said = told(command, f"greenfront_calls:{function}", f"trial_minutes = {minutes}")
    assert words(expected).search(said), said
    assert f"task function 'greenfront_calls:{function}'" in said


@pytest.mark.parametrize("function", ["segfaults", "exits", "interrupts"])
def test_a_network_that_goes_wrong_is_one_message(command: Command, function: str) -> None:
    name = f"greenfront_calls:{function}"
    command.write_study(space=f'architectures = ["{name}"]', budget="trials = 1")
    done, _, said = command._inside(("plan", "study.toml"))
    assert done in (1, 2)
    assert "Traceback" not in said
    assert f"architecture '{name}'" in said


def test_code_is_run_where_a_study_file_names_it_and_nowhere_else(
    command: Command, tmp_path: Path
) -> None:
    """A database, or an exported folder, may come from anybody: it alone starts no code."""
    module = "greenfront_sound"
    file = command.write_study(
        study='name = "own"',
        task=f'kind = "{module}:load"',
        space=f'architectures = ["{module}:net"]\nbits = [32]',
        training=FAST["training"],
        budget="trials = 1",
    )
    command.read("run", "study.toml")
    command.read("export", "own", "--trial", "0", "-o", "model")
    away = file.rename(tmp_path / "study.txt")
    for words in (
        ("resume", "own", "--trials", "2"),
        ("export", "own", "--trial", "0", "-o", "another"),
        ("verify", "model"),
    ):
        said = command.read(*words, code=2)
        assert f"names code to run, '{module}:load', '{module}:net', which no study file" in said
    assert not (tmp_path / "another").exists()
    command.read("front", "own")
    command.read("report", "own")
    away.rename(file)
    command.read("resume", "own", "--trials", "2")
    assert command._inside(("verify", "model"))[0] in (0, 1)
    # A row of a trial is no more to be believed.
    storage = Storage(f"sqlite:///{tmp_path}/greenfront.db")
    with storage.writing() as connection:
        query = sa.select(trials_table.c.slot, trials_table.c.choice, trials_table.c.detail)
        for slot, choice, detail in connection.execute(query).all():
            forged = (
                None if part is None else json.loads(json.dumps(part).replace(":net", ":evil"))
                for part in (choice, detail)
            )
            connection.execute(
                sa.update(trials_table)
                .where(trials_table.c.slot == slot)
                .values(**dict(zip(("choice", "detail"), forged, strict=True)))
            )
        # Nor are facts that lack what was found out of a family: it is not looked up here.
        facts = connection.scalar(sa.select(studies_table.c.facts))
        connection.execute(sa.update(studies_table).values(facts=facts | {"families": {}}))
    storage.close()
    told = command.read("front", "own", code=2)
    assert f"'{module}:net': no study file of yours names it" in told
    with storage.writing() as connection:
        connection.execute(sa.update(studies_table).values(facts=facts))
    storage.close()
    done, _, said = command._inside(("export", "own", "--trial", "0", "-o", "another"))
    assert done in (1, 2)
    assert "Traceback" not in said
    assert f"'{module}:evil'" in said
    assert not (tmp_path / "another").exists()
