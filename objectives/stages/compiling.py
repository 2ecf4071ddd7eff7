"""Compiled training steps: generating code takes long, so it has to be worth it."""

from __future__ import annotations

import contextlib
import math
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

import torch
from torch import Tensor, nn

from greenfront.errors import first_line
from greenfront.objectives.memory import is_out_of_memory
from greenfront.objectives.stages.loss import PLAIN

__all__ = ["CompileChoice", "Forward", "measure_compiling", "measure_step"]

WARM_STEPS = 2
TIMED_STEPS = 9


@dataclass(frozen=True, slots=True)
class CompileChoice:
    """What compiling is worth for a family on this machine.

    Seconds are those of the CPU where it trains: they hardly depend on what else the machine does,
    and it is they that cost energy. On a GPU they are those of the clock.

    Attributes:
        eager_seconds: A training step as it is.
        compiled_seconds: The same, compiled.
        compile_seconds: What the first compiled step takes longer.
        failure: Why it cannot be compiled; empty where it can.
    """

    eager_seconds: float
    compiled_seconds: float
    compile_seconds: float
    failure: str = ""

    @property
    def break_even_steps(self) -> float:
        """From how many steps on compiling saves time; infinite where it never does."""
        saved = self.eager_seconds - self.compiled_seconds
        return self.compile_seconds / saved if saved > 0 and not self.failure else math.inf

    def pays(self, steps: int) -> bool:
        """Whether a training of so many steps is faster with the compiling that it takes."""
        return steps > self.break_even_steps

    def __str__(self) -> str:
        """In words, for people."""
        if self.failure:
            return f"cannot be compiled ({self.failure})"
        eager, compiled = 1000 * self.eager_seconds, 1000 * self.compiled_seconds
        least = self.break_even_steps
        return (
            f"a step takes {eager:.3g} ms, compiled {compiled:.3g} ms, compiling "
            f"{self.compile_seconds:.3g} s: "
            + ("never worth it" if math.isinf(least) else f"worth it from {least:.0f} steps on")
        )


class Forward(AbstractContextManager["Forward"]):
    """A network's forward pass in training, compiled where that is wanted and possible.

    The network itself stays as it is: its state dictionary has the names it had. On leaving, what
    was compiled is forgotten; code and guards would pile up from network to network.
    """

    def __init__(
        self, model: nn.Module, *, compiled: bool, say: Callable[[str], None] | None = None
    ) -> None:
        self._model = model
        self._say = say
        self._compiles = compiled
        self._compiled: Any = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Compiles nothing yet."""
        if self._compiles:
            self._open.enter_context(_compiler_settings())
            self._open.callback(torch.compiler.reset)
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves torch as it was."""
        self._compiled = None
        self._open.close()

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits of a batch."""
        if not self._compiles:
            logits: Tensor = self._model(inputs)
            return logits
        if self._compiled is None:
            self._compiled = torch.compile(self._model)
        # The last batches have an example less, and texts have lengths: one code for all of them.
        for axis in range(1 if inputs.is_floating_point() else 2):
            torch._dynamo.maybe_mark_dynamic(inputs, axis)
        answers: Tensor = self._compiled(inputs)
        return answers

    def gives_up(self, error: BaseException) -> bool:
        """Gives up compiling if that may have failed a step; whether to try the step again."""
        if not self._compiles or not _is_of_compiling(error):
            return False
        self._compiles, self._compiled = False, None
        if self._say is not None:
            self._say(f"compiling failed ({first_line(error)}): training goes on without it")
        return True


def measure_step(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Seconds of a training step on one batch as it is; see :class:`CompileChoice`."""
    with Forward(model, compiled=False) as forward:
        seconds = _usual_seconds(forward, inputs, labels)
    model.zero_grad(set_to_none=True)
    return seconds


def measure_compiling(model: nn.Module, inputs: Tensor, labels: Tensor) -> CompileChoice:
    """Times training steps on one batch as it is and compiled, and the compiling.

    What an earlier study on this machine has compiled is not used: networks of other shapes, for
    which this one stands, would not find their code there either.
    """
    eager = measure_step(model, inputs, labels)
    with Forward(model, compiled=True) as forward, _nothing_cached():
        try:
            first = _seconds(forward, inputs, labels)
            compiled = _usual_seconds(forward, inputs, labels)
        except RuntimeError as error:
            if not forward.gives_up(error):
                raise
            return CompileChoice(eager, eager, 0.0, first_line(error))
        finally:
            model.zero_grad(set_to_none=True)
    return CompileChoice(eager, compiled, max(0.0, first - compiled))


def _is_of_compiling(error: BaseException) -> bool:
    """All that is raised while code is generated, and all that generated code raises but memory."""
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException) or (
        isinstance(error, RuntimeError) and not is_out_of_memory(error)
    )


@contextlib.contextmanager
def _compiler_settings() -> Iterator[None]:
    import torch._dynamo
    import torch._inductor.config as settings

    with (
        # By default a process a core is started, and stays.
        settings.patch(compile_threads=torch.get_num_threads()),
        warnings.catch_warnings(),
    ):
        # Hints to those who write networks are of no use to those who search for them.
        warnings.filterwarnings("ignore", module=r"torch\.")
        yield


def _usual_seconds(forward: Forward, inputs: Tensor, labels: Tensor) -> float:
    for _ in range(WARM_STEPS):
        _seconds(forward, inputs, labels)
    return median(_seconds(forward, inputs, labels) for _ in range(TIMED_STEPS))


def _seconds(forward: Forward, inputs: Tensor, labels: Tensor) -> float:
    now = _cpu_seconds if inputs.device.type == "cpu" else time.perf_counter
    start = now()
    loss = PLAIN(forward(inputs.clone()).float(), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    float(loss.detach())  # waits for a GPU
    return now() - start


def _cpu_seconds() -> float:
    """Of this process and of the compilers that it ran."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _nothing_cached() -> AbstractContextManager[None]:
    import torch.compiler.config as settings

    patch: Any = settings.patch  # type: ignore[attr-defined]
    given: AbstractContextManager[None] = patch(force_disable_caches=True)
    return given
