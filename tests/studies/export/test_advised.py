"""A script that is told to take the advice opens the file as a study would."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest

from greenfront.objectives.codec import to_json
from greenfront.objectives.runtime_options import RuntimeAdvice, RuntimeOptions, TriedRuntime
from greenfront.objectives.stages.session import session_options
from greenfront.studies.analysis.machine.runtimes import advice_lines
from greenfront.studies.export import predict

USUAL = TriedRuntime(RuntimeOptions(1), 1, 2e-5, 1e-5, 1.0, 1.0, 1.0)


def advice(options: RuntimeOptions | None) -> RuntimeAdvice:
    best = None if options is None else TriedRuntime(options, 1, 1e-5, 1e-5, 0.5, 0.4, 0.6)
    larger = TriedRuntime(options or RuntimeOptions(1), 32, 5e-6, 5e-6, 0.25, 0.2, 0.3)
    return RuntimeAdvice(USUAL, options or RuntimeOptions(1), best, larger, (USUAL,), "a processor")


@pytest.mark.parametrize(
    "wanted",
    [
        RuntimeOptions(2, "basic", parallel=True, prepacking=False),
        RuntimeOptions(1, "none"),
        RuntimeOptions(3, "extended"),
    ],
    ids=range(3),
)
def test_the_script_sets_what_is_advised(wanted: RuntimeOptions, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(json.dumps({"runtime": to_json(advice(wanted))}))
    found = onnxruntime.SessionOptions()
    predict._take_advice(found, tmp_path)
    for name in ("intra_op_num_threads", "graph_optimization_level", "execution_mode"):
        assert getattr(found, name) == getattr(session_options(wanted), name)
    if not wanted.prepacking:
        assert found.get_session_config_entry("session.disable_prepacking") == "1"


@pytest.mark.parametrize("told", [{}, {"runtime": None}, {"runtime": to_json(advice(None))}])
def test_without_advice_nothing_is_set(told: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(json.dumps(told))
    found, before = onnxruntime.SessionOptions(), onnxruntime.SessionOptions()
    predict._take_advice(found, tmp_path)
    assert found.intra_op_num_threads == before.intra_op_num_threads
    assert found.graph_optimization_level == before.graph_optimization_level


def test_people_read_what_is_advised() -> None:
    best, larger = advice_lines(advice(RuntimeOptions(2)))
    assert best == (
        "Run it with 2 threads: 50.0% (40.0% to 60.0%) of the joules of 1 thread, which stays "
        "what is credited."
    )
    assert "ask 32 at a time: 25.0% (20.0% to 30.0%)" in larger
    assert advice_lines(advice(None))[0].startswith("Run it as it is measured (1 thread)")
