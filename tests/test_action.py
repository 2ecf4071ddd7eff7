"""``action.yml`` follows GitHub's schema, and is what the command is."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenfront.cli.check import CheckOptions

PATH = Path(__file__).parents[1] / "action.yml"
ACTION: Any = yaml.safe_load(PATH.read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCHEMA = files("check_jsonschema") / "builtin_schemas" / "vendor" / "github-actions.json"


def faults(action: Any) -> list[str]:
    from jsonschema import Draft7Validator  # here: it builds a grammar for seconds

    checker = Draft7Validator(json.loads(SCHEMA.read_text()))
    return [error.message for error in checker.iter_errors(action)]


def test_it_follows_the_published_schema() -> None:
    assert faults(ACTION) == []
    assert faults({**ACTION, "runs": {"using": "composite"}})
    assert faults({**ACTION, "inputs": {"directory": {"needed": True}}})


def test_every_value_that_is_asked_for_is_declared() -> None:
    text = PATH.read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    ids = {step["id"] for step in STEPS if "id" in step}
    assert set(re.findall(r"steps\.([\w-]+)\.", text)) <= ids


def test_no_value_can_become_a_command() -> None:
    """A script holds no expression: values reach it as variables of its environment."""
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert scripts
    assert not any("${{" in script for script in scripts)
    for step in STEPS:
        if "run" in step:
            used = set(re.findall(r"\$\{?([A-Z][A-Z_]*)", step["run"]))
            given = {"RUNNER_TEMP", "GITHUB_OUTPUT"} | step.get("env", {}).keys()
            assert used <= given


def test_its_options_are_those_of_the_command() -> None:
    script = next(step["run"] for step in STEPS if step.get("id") == "check")
    options = {f"--{name.replace('_', '-')}" for name in CheckOptions.__dataclass_fields__}
    options = (options - {"--inputs"}) | {"--input"}
    assert set(re.findall(r"--[a-z-]+", script)) == options


@pytest.mark.parametrize(("code", "arguments"), [(0, ["--max-joules", "2 mJ"]), (1, [])])
def test_the_step_hands_everything_over(code: int, arguments: list[str], tmp_path: Path) -> None:
    """The script itself, with a stand-in for the command that writes down what it was given."""
    command = tmp_path / "greenfront"
    command.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > "{tmp_path}/given"\nexit {code}\n')
    command.chmod(0o755)
    script = next(step["run"] for step in STEPS if step.get("id") == "check")
    limits = dict.fromkeys(("AGAINST", "MAX_JOULES", "MAX_DROP", "MAX_INCREASE", "EXAMPLES"), "")
    if arguments:
        limits["MAX_JOULES"] = arguments[1]
    environment = {
        **limits,
        "DIRECTORY": "a model; $(touch hacked)",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "PATH": f"{tmp_path}:/usr/bin:/bin",
    }
    subprocess.run(["bash", "-e", "-c", script], env=environment, cwd=tmp_path, check=True)
    summary = f"{tmp_path}/greenfront-check.md"
    given = (tmp_path / "given").read_text().splitlines()
    assert given == ["check", environment["DIRECTORY"], "--markdown", summary, *arguments]
    assert (tmp_path / "output").read_text() == f"exit-code={code}\nsummary={summary}\n"
    assert not (tmp_path / "hacked").exists()
