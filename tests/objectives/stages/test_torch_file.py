from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from contracts.texts import CLASSES, sentences
from greenfront.objectives.stages.examples import Examples
from greenfront.objectives.stages.prune import prune
from greenfront.objectives.stages.torch_file import torch_error, write_torch_file
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.techniques.pruning import Pruning

ALONE = """
import sys, torch
inputs = torch.load(sys.argv[2], weights_only=True)
logits = torch.export.load(sys.argv[1]).module()(inputs)
torch.save(logits.detach(), sys.argv[3])
assert not [name for name in sys.modules if name.startswith("greenfront")]
"""


def images(count: int = 9) -> Examples:
    inputs = torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    return Examples(inputs, torch.arange(count) % 3)


def network(examples: Examples) -> nn.Module:
    family = architecture("cnn")
    torch.manual_seed(0)
    return family.build(family.baseline(), tuple(examples.inputs.shape[1:]), 3)


def test_a_pruned_network_is_loaded_without_our_code(tmp_path: Path) -> None:
    examples = images()
    model = network(examples)
    head = architecture("cnn").head(model)
    prune(model, examples.inputs[:2], Pruning(0.5), head)
    write_torch_file(model, examples, tmp_path / "model.pt2")
    assert torch_error(model, tmp_path / "model.pt2", examples) < 1e-5
    # Any batch, in a process that knows nothing of us.
    torch.save(examples.inputs[:5], tmp_path / "inputs")
    names = [str(tmp_path / name) for name in ("model.pt2", "inputs", "logits")]
    subprocess.run([sys.executable, "-c", ALONE, *names], check=True, capture_output=True)
    given = torch.load(tmp_path / "logits", weights_only=True)
    with torch.no_grad():
        wanted = model(examples.inputs[:5])
    np.testing.assert_allclose(given, wanted, atol=1e-5)


def test_texts_of_any_length(tmp_path: Path) -> None:
    family = architecture("bert")
    shape = {**family.baseline(), "layers": 1, "hidden": 64}
    texts, labels = sentences(12, seed=0)
    inputs = torch.from_numpy(family.encode(shape, texts, texts))
    examples = Examples(inputs, torch.from_numpy(labels), family.padding)
    torch.manual_seed(0)
    model = family.build(shape, (), CLASSES)
    write_torch_file(model, examples, tmp_path / "model.pt2")
    assert torch_error(model, tmp_path / "model.pt2", examples) < 1e-5
    short = Examples(inputs[:, :5], labels=examples.labels, padding=family.padding)
    assert torch_error(model, tmp_path / "model.pt2", short) < 1e-5


def test_what_torch_cannot_follow_is_said(tmp_path: Path) -> None:
    class Moody(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs if float(inputs.sum()) > 0 else -inputs

    with pytest.raises(RuntimeError):
        write_torch_file(Moody(), images(), tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()
