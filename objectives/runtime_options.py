"""How a file is opened in ONNX Runtime, and what another way of opening it was found to bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Device", "Optimization", "RuntimeAdvice", "RuntimeOptions", "TriedRuntime"]

Device = Literal["cpu", "cuda"]
"""What predictions run on: the CPU, or one GPU by the runtime's CUDA provider."""

Optimization = Literal["all", "extended", "basic", "none"]
"""How far the runtime rewrites a graph when it loads it; by default as far as it can."""


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Options of a session.

    Attributes:
        threads: That one operator may use.
        optimization: Of the graph.
        parallel: Whether operators that do not wait for each other may run side by side.
        prepacking: Whether weights are laid out anew for the kernels when the file is loaded.
        tensorrt: On a GPU: whether TensorRT compiles what it can of the graph.
    """

    threads: int = 1
    optimization: Optimization = "all"
    parallel: bool = False
    prepacking: bool = True
    tensorrt: bool = False

    def describe(self) -> str:
        """In a few words, such as ``2 threads, graph as it is``."""
        words = [f"{self.threads} thread{'s' if self.threads > 1 else ''}"]
        if self.optimization != "all":
            told = {"none": "graph not optimized"}
            words.append(told.get(self.optimization, f"{self.optimization} graph optimization"))
        if self.parallel:
            words.append("operators side by side")
        if not self.prepacking:
            words.append("weights not prepacked")
        if self.tensorrt:
            words.append("TensorRT")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class TriedRuntime:
    """A way of running a file, beside the usual one.

    Attributes:
        options: Of the session.
        batch: Examples a call.
        joules: Of one prediction: of the usual way as it was measured, of another one the usual
            way's times ``ratio``; ``None`` where it is unavailable.
        latency_seconds: Median wall time of a call, divided by its examples.
        ratio: Median of its joules over those of the usual way, measured in turns; ``None`` where
            one is unavailable.
        low: Lower end of the 95 % interval of ``ratio``; ``None`` with it.
        high: Upper end.
    """

    options: RuntimeOptions
    batch: int
    joules: float | None
    latency_seconds: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def saves(self) -> bool:
        """Whether it takes less, and the whole interval says so."""
        return self.high is not None and self.high < 1

    def describe(self) -> str:
        """In a few words, such as ``1 thread, batches of 32``."""
        batches = f", batches of {self.batch}" if self.batch > 1 else ""
        return f"{self.options.describe()}{batches}"


@dataclass(frozen=True, slots=True)
class RuntimeAdvice:
    """How to run a file for the least energy, as it was measured on one machine.

    What a study credits is the usual way; this is what users may do beside it.

    Attributes:
        usual: The way that the study measures.
        options: For calls of the usual size: the usual ones where nothing takes clearly less.
        best: What these took beside the usual ones, measured once more; ``None`` where they are.
        batched: The size of a call that takes least, with these options; ``None`` where larger
            calls take no less.
        tried: All that was measured, each way once, the usual one first.
        processor: On which.
    """

    usual: TriedRuntime
    options: RuntimeOptions
    best: TriedRuntime | None
    batched: TriedRuntime | None
    tried: tuple[TriedRuntime, ...]
    processor: str
