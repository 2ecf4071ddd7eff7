from __future__ import annotations

import math
import shutil
from dataclasses import asdict
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from contracts.compilers import no_compiler
from greenfront.objectives.stages.compiling import (
    CompileChoice,
    Forward,
    measure_compiling,
    measure_step,
)
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.train import EpochReport, FitOptions, train
from greenfront.spaces.techniques.training import Training

__all__ = ["no_compiler"]

CLASSES = 3
BATCH = Training(batch_size=32, epochs=2, patience=0)


def network(most: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    # A bias before normalisation would move by rounding errors alone.
    inner = (nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU())
    layers = (*inner, nn.Linear(8, CLASSES))
    return nn.Sequential(*layers) if most is None else small()(nn.Sequential(*layers), most)


def compiled_graphs() -> int:
    """So far, of all networks."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


@cache
def small() -> type[nn.Module]:
    """Its class; to make that takes the compiler, which is seconds of imports."""

    class Small(nn.Module):
        """A network in a memory that holds so many examples in training."""

        def __init__(self, inner: nn.Module, most: int) -> None:
            super().__init__()
            self.inner, self.most = inner, most

        def forward(self, inputs: Tensor) -> Tensor:
            self.allocate(len(inputs))
            logits: Tensor = self.inner(inputs)
            return logits

        @torch.compiler.disable  # as an allocator is no part of what is compiled
        def allocate(self, count: int) -> None:
            if self.training and count > self.most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    return Small


@pytest.fixture(scope="module")
def data() -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    examples = Examples(torch.randn(100, 6, generator=generator), torch.arange(100) % CLASSES)
    return TrainingData(examples, examples)


# --- whether it pays -----------------------------------------------------------------------------


def test_it_pays_once_the_steps_have_saved_what_it_takes() -> None:
    choice = CompileChoice(eager_seconds=0.09, compiled_seconds=0.07, compile_seconds=80.0)
    assert choice.break_even_steps == pytest.approx(4000)
    assert not choice.pays(3999)
    assert choice.pays(4001)
    assert "takes 90 ms, compiled 70 ms, compiling 80 s: worth it from 4000 steps" in str(choice)
    assert CompileChoice(**asdict(choice)) == choice


@pytest.mark.parametrize(
    "choice",
    [
        CompileChoice(0.09, 0.09, 10.0),
        CompileChoice(0.09, 0.2, 10.0),
        CompileChoice(0.09, 0.01, 0.0, failure="no compiler"),
    ],
)
def test_what_is_no_faster_never_pays(choice: CompileChoice) -> None:
    assert math.isinf(choice.break_even_steps)
    assert not choice.pays(10**9)
    assert "never worth it" in str(choice) or "cannot be compiled (no compiler)" in str(choice)


# --- compiled and not ----------------------------------------------------------------------------


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++"))), reason="there is no compiler")
def test_a_compiled_training_is_the_same_training(data: TrainingData) -> None:
    # Also where the memory holds only a part of a batch, and the last batches are smaller.
    plain, compiled = network(20), network(20)
    reports: list[EpochReport] = []
    said: list[str] = []
    names, graphs = list(compiled.state_dict()), compiled_graphs()
    train(plain, data, BATCH, seed=3)
    assert compiled_graphs() == graphs
    train(
        compiled,
        data,
        BATCH,
        seed=3,
        options=FitOptions(compiled=True, on_epoch=reports.append, say=said.append),
    )
    assert compiled_graphs() > graphs
    assert said == []
    assert [report.at_once for report in reports] == [16, 16]
    assert list(compiled.state_dict()) == names
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_without_a_compiler_training_goes_on(no_compiler: None, data: TrainingData) -> None:
    plain, compiled = network(), network()
    said: list[str] = []
    train(plain, data, BATCH, seed=3)
    train(compiled, data, BATCH, seed=3, options=FitOptions(compiled=True, say=said.append))
    assert len(said) == 1
    assert said[0].startswith("compiling failed (InvalidCxxCompiler: No working C++ compiler found")
    assert said[0].endswith("): training goes on without it")
    for name, weight in plain.named_parameters():
        assert torch.equal(compiled.get_parameter(name), weight), name


def test_without_a_compiler_nothing_pays(no_compiler: None, data: TrainingData) -> None:
    model = network().train()
    choice = measure_compiling(model, data.train.inputs, data.train.labels)
    assert choice.failure.startswith("InvalidCxxCompiler")
    assert not choice.pays(10**9)
    assert choice.eager_seconds > 0
    assert all(weight.grad is None for weight in model.parameters())


def test_a_step_is_timed_forward_and_backward(data: TrainingData) -> None:
    calls: list[str] = []

    class Watched(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            calls.append("forward")
            logits = super().forward(inputs)
            logits.register_hook(lambda _: calls.append("backward"))
            return logits

    model = Watched(6, CLASSES)
    assert measure_step(model, data.train.inputs, data.train.labels) > 0
    assert set(zip(calls[::2], calls[1::2], strict=True)) == {("forward", "backward")}
    assert all(weight.grad is None for weight in model.parameters())


def test_only_compiling_is_blamed_for_errors() -> None:
    shortage = RuntimeError("DefaultCPUAllocator: can't allocate memory")
    with Forward(nn.Identity(), compiled=False) as forward:
        assert not forward.gives_up(RuntimeError("shapes do not match"))
    said: list[str] = []
    with Forward(nn.Identity(), compiled=True, say=said.append) as forward:
        assert not forward.gives_up(shortage)
        assert said == []
        assert forward.gives_up(RuntimeError("\n generated code\nfailed"))
        assert said == ["compiling failed (generated code): training goes on without it"]
        assert not forward.gives_up(RuntimeError("still wrong"))
        assert torch.equal(forward(torch.ones(2)), torch.ones(2))
