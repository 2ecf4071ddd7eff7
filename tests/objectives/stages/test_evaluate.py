from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from scipy.stats import binom

from greenfront.errors import TrialFailed
from greenfront.objectives.context import StageContext, Window
from greenfront.objectives.metering.windows import HEAT
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.evaluate import answers_of, inference_cost, open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT
from greenfront.objectives.stages.metered import Measuring, median_spread
from greenfront.objectives.stages.session import open_plain, spins
from greenfront.objectives.tasks.task import Labelled

CLASSES = 3


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose logits are its inputs."""
    shape: list[str | int | None] = ["n", CLASSES]
    graph = helper.make_graph(
        [helper.make_node("Identity", [INPUT], [OUTPUT])],
        "identity",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path_factory.mktemp("artefact") / "identity.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def session(artefact: Path) -> onnxruntime.InferenceSession:
    return open_artefact(artefact, threads=1)


class Watched:
    """A session that remembers what it was asked."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.batches: list[np.ndarray] = []

    @property
    def predictions(self) -> int:
        return sum(map(len, self.batches))

    def run(self, outputs: Sequence[str], feed: dict[str, np.ndarray]) -> Any:
        self.batches.append(feed[INPUT])
        return self._session.run(outputs, feed)

    def get_providers(self) -> list[str]:
        return self._session.get_providers()

    def get_session_options(self) -> onnxruntime.SessionOptions:
        return self._session.get_session_options()


class Replay(StageContext):
    """A context that charges a given number of joules for each prediction of each block.

    Args:
        watched: Counts the predictions.
        joules: Of the CPU; ``None`` where it is unavailable.
        hot: So many blocks are slowed down by heat.
        memory: Of the memory, block by block; ``None`` where its counter could not tell.
    """

    def __init__(
        self,
        watched: Watched,
        joules: Iterable[float | None],
        hot: int = 0,
        memory: Sequence[float | None] = (),
    ) -> None:
        self.watched = watched
        self.hot = hot
        self.joules = iter(joules)
        self.memory = iter(memory)
        self.windows: list[Window] = []
        self.counts: list[int] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Window]:
        before, window = self.watched.predictions, Window(name)
        yield window
        count, each = self.watched.predictions - before, next(self.joules)
        self.windows.append(window)
        self.counts.append(count)
        flags = (HEAT,) if len(self.windows) <= self.hot else ()
        if each is None:
            cpu = Reading(None, None, None, "unavailable", "replay", count * 0.5, count * 0.25)
        else:
            spent = each * count
            cpu = Reading(
                spent,
                spent / 2,
                spent * 2,
                "measured",
                "replay",
                count * 0.5,
                count * 0.25,
                flags,
            )
        window.readings["cpu"] = cpu
        memory = next(self.memory, None)
        if memory is not None:
            spent = memory * count
            window.readings["dram"] = Reading(
                spent, 0.0, 3 * spent, "modelled", "memory", count * 9.0, count * 9.0, ("much",)
            )
        window.readings["gpu"] = Reading(1e9, 1e9, 1e9, "measured", "not asked", 0, 0)


def examples(count: int) -> Labelled:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((count, CLASSES)).astype(np.float32)
    return Labelled(inputs, rng.integers(0, CLASSES, count))


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_answers_are_those_of_the_file_in_order(
    session: onnxruntime.InferenceSession, count: int
) -> None:
    inputs = examples(count).inputs
    answers = answers_of(session, inputs)
    assert answers.dtype == np.float32
    np.testing.assert_array_equal(answers, inputs)


def test_answers_that_are_not_finite_fail_the_trial(
    session: onnxruntime.InferenceSession,
) -> None:
    inputs = examples(70).inputs
    inputs[[3, 69], 0] = np.nan, np.inf
    with pytest.raises(TrialFailed, match="2 of 70 examples got NaN or infinity") as failure:
        answers_of(session, inputs)
    assert failure.value.cause == "not finite"


def cost_of(
    watched: Watched, context: Replay, count: int, batch: int, blocks: int, most: int | None = None
) -> Any:
    return inference_cost(
        watched,
        examples(count).inputs,
        context,
        phase="inference",
        measuring=Measuring(batch, 1, 1e-3, blocks, most or blocks),
    )


@pytest.mark.parametrize(("count", "batch"), [(50, 1), (50, 8), (50, 50), (5, 8)])
def test_the_cost_is_that_of_one_prediction(
    session: onnxruntime.InferenceSession, count: int, batch: int
) -> None:
    watched = Watched(session)
    context = Replay(watched, [3.0, 3.0, 3.0])
    cost = cost_of(watched, context, count, batch, blocks=3)
    reading = cost.reading
    assert (reading.low_joules, reading.joules, reading.high_joules) == pytest.approx((1.5, 3, 6))
    assert (reading.cpu_seconds, reading.wall_seconds) == pytest.approx((0.5, 0.25))
    assert (reading.kind, reading.source) == ("measured", "replay")
    assert cost.latency_seconds > 0
    assert [window.phase for window in context.windows] == ["inference"] * 3
    assert len(set(context.counts)) == 1
    assert context.counts[0] > 0


def test_the_median_block_counts(session: onnxruntime.InferenceSession) -> None:
    watched = Watched(session)
    cost = cost_of(watched, Replay(watched, [1.0, 900.0, 2.0, 3.0, 700.0]), 50, 1, blocks=5)
    assert cost.reading.joules == pytest.approx(3)


def test_it_measures_until_the_median_is_known(session: onnxruntime.InferenceSession) -> None:
    # The first ten blocks scatter by half, all later ones agree.
    watched = Watched(session)
    context = Replay(watched, [1.0, 2.0] * 5 + [1.5] * 90)
    cost = cost_of(watched, context, 50, 1, blocks=7, most=100)
    assert 10 < len(context.windows) < 100
    assert cost.spread is not None
    assert cost.spread <= 0.05
    assert cost.reading.joules == pytest.approx(1.5)


def test_it_gives_up_at_the_cap(session: onnxruntime.InferenceSession) -> None:
    watched = Watched(session)
    context = Replay(watched, [1.0, 2.0] * 50)
    cost = cost_of(watched, context, 50, 1, blocks=7, most=12)
    assert len(context.windows) == 12
    assert cost.spread == pytest.approx(1 / 3)


def test_equal_blocks_need_no_more(session: onnxruntime.InferenceSession) -> None:
    watched = Watched(session)
    context = Replay(watched, [2.0] * 50)
    assert cost_of(watched, context, 50, 1, blocks=7, most=25).spread == 0
    assert len(context.windows) == 7


def test_the_interval_of_a_median() -> None:
    # Of six values only the outermost enclose the median in more than 95 % of cases (1 − 2/64).
    assert median_spread([1.0, 2.0, 3.0, 5.0, 6.0, 7.0]) == pytest.approx(6 / 8)
    assert median_spread([1.0] * 5) is None
    assert median_spread([1.0] * 6 + [None]) is None
    # Of nine the second from either end (1 − 2·10/512).
    assert median_spread([9, 8, 7, 6, 5, 4, 3, 2, 1]) == pytest.approx((8 - 2) / 10)


@given(st.integers(6, 60), st.randoms(use_true_random=False), st.floats(0.1, 100))
def test_the_interval_of_many(count: int, chance: random.Random, scale: float) -> None:
    values = [scale * value for value in range(1, count + 1)]
    chance.shuffle(values)
    cut = int(binom.ppf(0.025, count, 0.5))
    median = (count + 1) / 2
    assert median_spread(values) == pytest.approx((count + 1 - 2 * cut) / (2 * median))


def test_unmetered_predictions_have_no_cost(session: onnxruntime.InferenceSession) -> None:
    watched = Watched(session)
    cost = cost_of(watched, Replay(watched, [None]), 50, 1, blocks=1)
    assert (cost.reading.joules, cost.reading.kind) == (None, "unavailable")


def test_without_memory_the_cost_is_the_cpus_to_the_last_bit(
    session: onnxruntime.InferenceSession,
) -> None:
    watched = Watched(session)
    context = Replay(watched, [0.1, 0.7, 0.3])
    reading, count = cost_of(watched, context, 50, 1, blocks=3).reading, context.counts[0]
    cpu = context.windows[2].readings["cpu"]
    assert cpu.joules is not None
    assert reading.joules == cpu.scaled(1 / count).joules
    assert (reading.cpu_seconds, reading.wall_seconds) == (0.5, 0.25)
    assert (reading.kind, reading.source, reading.flags) == (cpu.kind, cpu.source, cpu.flags)


def test_memory_is_part_of_a_prediction(session: onnxruntime.InferenceSession) -> None:
    watched = Watched(session)
    context = Replay(watched, [1.0, 2.0, 3.0], memory=[0.5, 0.25, 0.5])
    reading = cost_of(watched, context, 50, 1, blocks=3).reading
    assert (reading.low_joules, reading.joules, reading.high_joules) == pytest.approx(
        (1, 2.25, 4.75)
    )
    assert (reading.cpu_seconds, reading.wall_seconds) == (0.5, 0.25)
    assert (reading.kind, reading.source) == ("modelled", "replay + memory")
    assert reading.flags == ("much",)


def test_blocks_with_and_without_memory_are_not_mixed(
    session: onnxruntime.InferenceSession,
) -> None:
    watched = Watched(session)
    context = Replay(watched, [1.0] * 3, memory=[0.5, None, 1.0])
    reading = cost_of(watched, context, 50, 1, blocks=3).reading
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert reading.flags == ("block too short for the counter of dram",)


def test_one_unavailable_block_is_not_the_cheapest(session: onnxruntime.InferenceSession) -> None:
    watched = Watched(session)
    cost = cost_of(watched, Replay(watched, [1.0, None, 2.0]), 50, 1, blocks=3)
    reading = cost.reading
    assert (reading.low_joules, reading.joules, reading.high_joules) == (None, None, None)
    assert (reading.kind, reading.source) == ("unavailable", "replay")
    assert cost.spread is None
    assert cost.latency_seconds > 0


def test_what_is_lost_in_idle_energy_is_measured_longer(
    session: onnxruntime.InferenceSession,
) -> None:
    watched = Watched(session)
    context = Replay(watched, [0.0, 0.0, 1.0, 2.0, 3.0, 4.0])
    cost = cost_of(watched, context, 50, 1, blocks=3)
    first = context.counts[0]
    assert context.counts == [first] * 3 + [2 * first] * 3
    assert cost.reading.joules == pytest.approx(3)
    assert cost.reading.kind == "measured"


@pytest.mark.parametrize("memory", [[], [0.5] * 9])
def test_what_stays_lost_in_idle_energy_is_unavailable_and_never_0(
    session: onnxruntime.InferenceSession, memory: list[float]
) -> None:
    watched = Watched(session)
    context = Replay(watched, itertools.repeat(0.0), memory=memory)
    cost = cost_of(watched, context, 50, 1, blocks=3)
    reading = cost.reading
    assert [count // context.counts[0] for count in context.counts] == [1] * 3 + [2] * 3 + [4] * 3
    assert (reading.low_joules, reading.joules, reading.high_joules) == (None, None, None)
    assert reading.kind == "unavailable"
    assert "not above idle energy" in reading.flags
    assert cost.spread is None
    assert cost.latency_seconds > 0


def test_all_examples_take_their_turn(session: onnxruntime.InferenceSession) -> None:
    watched = Watched(session)
    cost_of(watched, Replay(watched, [1.0]), 10, 3, blocks=1)
    assert {len(batch) for batch in watched.batches} == {3}
    seen = {tuple(row) for batch in watched.batches for row in batch.tolist()}
    assert seen == {tuple(row) for row in examples(10).inputs[:9].tolist()}


def test_the_session_is_warm_before_it_is_metered(session: onnxruntime.InferenceSession) -> None:
    watched = Watched(session)
    context = Replay(watched, [1.0])
    cost_of(watched, context, 10, 1, blocks=1)
    assert watched.predictions - sum(context.counts) >= 20


def test_sessions_run_on_the_cpu_with_the_threads_asked_for(artefact: Path) -> None:
    opened = open_artefact(artefact, threads=2)
    options = opened.get_session_options()
    assert opened.get_providers() == ["CPUExecutionProvider"]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_sessions_without_options_are_those_that_spin(artefact: Path) -> None:
    assert spins(open_plain(artefact))
    assert not spins(open_artefact(artefact, threads=1))
    assert not spins(open_artefact(artefact, threads=2))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were taken, none of which lasts."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def test_a_block_that_heat_slowed_down_is_taken_again(
    session: onnxruntime.InferenceSession, slept: list[float]
) -> None:
    watched = Watched(session)
    context = Replay(watched, [9.0, 9.0, 1.0, 1.0], hot=2)
    cost = cost_of(watched, context, 50, 1, blocks=2)
    assert cost.reading.joules == pytest.approx(1.0)
    assert cost.reading.flags == ()
    assert slept == [10.0, 20.0]
    assert len(context.windows) == 4


def test_heat_that_does_not_go_is_a_flag(
    session: onnxruntime.InferenceSession, slept: list[float]
) -> None:
    watched = Watched(session)
    cost = cost_of(watched, Replay(watched, [9.0] * 4, hot=4), 50, 1, blocks=1)
    assert (len(slept), cost.reading.flags) == (3, (HEAT,))


def test_heat_that_no_pause_has_cooled_is_waited_for_once(
    session: onnxruntime.InferenceSession, slept: list[float]
) -> None:
    watched = Watched(session)
    context = Replay(watched, [9.0] * 8, hot=6)
    cost = cost_of(watched, context, 50, 1, blocks=5)
    assert slept == [10.0, 20.0, 40.0]
    assert len(context.windows) == 4 + 2 + 2  # three repeats, two hot blocks, two cool ones
    assert cost.reading.joules == pytest.approx(9.0)
