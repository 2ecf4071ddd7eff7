"""What the predictions of exported files cost: measured once a graph, as a decision needs it."""

from __future__ import annotations

import functools
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onnxruntime import InferenceSession

from greenfront.errors import TrialStopped
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.outcome import Batched, GraphReading, Outcome
from greenfront.objectives.pipeline.graph_costs import GraphCosts
from greenfront.objectives.pipeline.model_factory import family_of
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pooling import PooledCost, Scatter, pooled
from greenfront.objectives.runtime_options import Device
from greenfront.objectives.stages.evaluate import inference_cost, open_artefact
from greenfront.objectives.stages.graph_key import graph_key
from greenfront.objectives.stages.metered import PRECISION, Enough, InferenceCost, Measuring
from greenfront.objectives.stages.reality import off_card
from greenfront.objectives.stages.session import left_on_cpu
from greenfront.spaces.candidate import Candidate

__all__ = ["MeteredFile", "PredictionCosts"]

MOST_READINGS = 3
"""Of a graph while a search goes on: what is on the front in the end is measured again."""

FEW_BLOCKS = 3

BATCH = 32
"""Of the second way in which the front is measured, where the study's is one by one."""


@dataclass(frozen=True)
class MeteredFile:
    """An exported file of a candidate.

    Attributes:
        path: Of the file.
        candidate: Whose inputs it takes.
        graph: Key of the graph that it executes.
        threads: Of its session.
        device: That its session runs on.
    """

    path: Path
    candidate: Candidate
    graph: str
    threads: int
    device: Device

    @functools.cached_property
    def session(self) -> InferenceSession:
        """The file, opened once."""
        return open_artefact(self.path, self.threads, self.device)

    @functools.cached_property
    def left_on_cpu(self) -> Counter[str]:
        """Operators that run on the CPU though the session is one on a GPU, by name."""
        return Counter() if self.device == "cpu" else left_on_cpu(self.session)


class PredictionCosts:
    """Measures the predictions of one task's files.

    Args:
        runtime: Of the study.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._kept = GraphCosts(runtime.store.root, runtime.store.study)
        self._seen: dict[str, Sequence[GraphReading]] = {}

    def file(self, path: Path, candidate: Candidate) -> MeteredFile:
        """A file, and which graph it executes.

        Raises:
            TrialStopped: It is to run on a GPU, but what it consists of has no kernels there.
        """
        models, measuring = self._runtime.models, self._runtime.measuring
        family, inputs = family_of(candidate), None
        if models.data(candidate).validation.padding is not None:  # sequences differ in length
            shape = dict(candidate.architecture.shape)
            knobs = {name: shape[name] for name in family.encoding_knobs}
            inputs = [family.name, family.fingerprint(), knobs]
        circumstances = {
            "task": models.task.facts.fingerprint,
            "inputs": inputs,
            "batch": measuring.batch,
            "processor": describe_cpu().name,
            "instruments": self._runtime.instruments,
        }
        graph = graph_key(path, measuring.threads, circumstances, measuring.device)
        file = MeteredFile(path, candidate, graph, measuring.threads, measuring.device)
        objection = off_card(file.left_on_cpu)
        if objection is not None:
            raise TrialStopped(objection)
        return file

    def sizing(self, file: MeteredFile) -> PooledCost:
        """Of an untrained file: as its graph was measured, or briefly measured now."""
        readings = self._readings(file, "size", lambda _readings: True)
        return pooled(readings, self._scatter())

    def measured(self, file: MeteredFile, outcome: Outcome) -> Outcome:
        """An outcome with the cost of a prediction, measured as far as its standing needs it.

        Args:
            file: Of the trial.
            outcome: What is known of the trial but for that.
        """

        def clear(readings: Sequence[GraphReading]) -> bool:
            return self._is_clear(outcome, readings)

        return self._with_cost(outcome, self._readings(file, "inference", clear))

    def again(self, file: MeteredFile) -> GraphReading:
        """One more measurement of a file's graph, kept unless it is unavailable.

        It is one of several: its own interval need not be narrow.
        """
        return self._reading(file, "repeat", lambda _cost: True)

    def otherwise_batched(self, file: MeteredFile) -> Batched:
        """One prediction in a batch where the study's are single ones, and the other way round."""
        measuring = self._runtime.measuring
        examples = len(self._runtime.models.data(file.candidate).validation)
        few = replace(
            measuring,
            batch=min(BATCH if measuring.batch == 1 else 1, examples),
            least_blocks=FEW_BLOCKS,
            most_blocks=FEW_BLOCKS,
        )
        cost = self._cost(file, "repeat", few)
        return Batched(few.batch, cost.reading, cost.latency_seconds)

    def _is_clear(self, outcome: Outcome, readings: Sequence[GraphReading]) -> bool:
        """Whether so many measurements decide what a model is worth.

        What is dominated, or over a limit, even at its cheapest needs no more. What is not even
        at its dearest will be looked at: one measurement is to be precise. Else one is to be twice
        as precise, which is as far as one can lead: others, at other moments, differ more.
        """
        spreads = [reading.spread for reading in readings if reading.spread is not None]
        cost = self._with_cost(outcome, readings)
        width = cost.inference_spread
        if width is None or not spreads or len(readings) >= MOST_READINGS:
            return True
        if min(spreads) <= PRECISION / 2:
            return True
        cheap, dear = (
            replace(cost, inference=cost.inference.scaled(max(0.0, factor)), measured=())
            for factor in (1 - width, 1 + width)
        )
        standing = self._runtime.context.standing(cheap, dear)
        return standing == "out" or (standing != "open" and min(spreads) <= PRECISION)

    def _with_cost(self, outcome: Outcome, readings: Sequence[GraphReading]) -> Outcome:
        cost = pooled(readings, self._scatter())
        return replace(
            outcome,
            inference=cost.inference,
            latency_seconds=cost.latency_seconds,
            inference_spread=cost.spread,
            measurements=len(readings),
            measured=tuple(readings),
        )

    def _scatter(self) -> Scatter:
        """Between the measurements of one graph, as far as this process has seen them."""
        return Scatter.of(self._seen.values())

    def _readings(
        self, file: MeteredFile, phase: str, enough: Callable[[Sequence[GraphReading]], bool]
    ) -> Sequence[GraphReading]:
        """All measurements of a file's graph, with one more where these are not enough."""
        known: Sequence[GraphReading] = self._kept.readings(file.graph)
        if not known or not enough(known):
            one = self._reading(file, phase, lambda cost: enough([*known, _as_reading(cost)]))
            known = self._kept.readings(file.graph) or (one,)
        self._seen[file.graph] = known
        return known

    def _reading(self, file: MeteredFile, phase: str, enough: Enough) -> GraphReading:
        reading = _as_reading(self._cost(file, phase, self._runtime.measuring, enough))
        if reading.inference.joules is not None:  # kept, it would be so for every later file
            self._kept.add(file.graph, reading)
        return reading

    def _cost(
        self, file: MeteredFile, phase: str, measuring: Measuring, enough: Enough | None = None
    ) -> InferenceCost:
        """Of a prediction on the examples that trials are judged by."""
        validation = self._runtime.models.data(file.candidate).validation
        if file.candidate.second is not None:  # what it costs depends on how many are passed on
            measuring = replace(measuring, entire=True)
        return inference_cost(
            file.session,
            validation.inputs.cpu().numpy(),
            self._runtime.context,
            phase=phase,
            measuring=measuring,
            padding=validation.padding,
            enough=enough,
        )


def _as_reading(cost: InferenceCost) -> GraphReading:
    return GraphReading(
        uuid.uuid4().hex,
        cost.reading,
        cost.latency_seconds,
        cost.spread,
        machine=describe_cpu().name,
    )
