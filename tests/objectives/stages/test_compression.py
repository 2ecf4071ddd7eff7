"""Networks of timm and transformers through all stages of compression, to files that run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from contracts.few_bits import quantize
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.examples import Examples
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.fake_quant import fake_quantized
from greenfront.objectives.stages.parity import parity
from greenfront.objectives.stages.prune import (
    cumulative_ratio,
    parameter_count,
    prune,
    widths,
)
from greenfront.objectives.stages.quantize import quantize_weights
from greenfront.objectives.stages.reality import Claim, unreal
from greenfront.objectives.stages.structure import load_network, save_network
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning

CLASSES = 4


class Text(nn.Module):
    """Mean of the states of what is no padding, and a layer on top."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        mask = ids != 0
        states = self.body(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        mask = mask.unsqueeze(-1)
        return self.head((states * mask).sum(1) / mask.sum(1).clamp_min(1))


def bert() -> Text:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=200,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=32,
    )
    return Text(transformers.BertModel(config, add_pooling_layer=False), 64)


def distilbert() -> Text:
    transformers = pytest.importorskip("transformers")
    config = transformers.DistilBertConfig(
        vocab_size=200, dim=64, n_layers=2, n_heads=4, hidden_dim=128, max_position_embeddings=32
    )
    return Text(transformers.DistilBertModel(config), 64)


def timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        library = pytest.importorskip("timm")
        model: nn.Module = library.create_model(name, num_classes=CLASSES, **options)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.0)  # some start at 0, which hides their layer
        return model

    return build


@dataclass(frozen=True)
class Case:
    """A network to compress.

    Attributes:
        make: A fresh one, with random weights.
        inputs: Of the network.
        recipe: For int8 kernels.
        heads: Where an attention layer keeps its number of heads, before and after halving.
    """

    make: Callable[[], nn.Module]
    inputs: Tensor
    recipe: str
    heads: tuple[str, int, int] | None = None

    def build(self, seed: int = 0) -> nn.Module:
        allow_torchvision()
        torch.manual_seed(seed)
        model = self.make()
        if self.inputs.is_floating_point():
            model.train()
            with torch.no_grad():
                for _ in range(3):
                    model(self.inputs)  # moves the statistics
        return model.eval()

    def head(self, model: nn.Module) -> nn.Module:
        return model.head if isinstance(model, Text) else model.get_classifier()

    @property
    def examples(self) -> Examples:
        padding = None if self.inputs.is_floating_point() else 0
        labels = torch.zeros(len(self.inputs), dtype=torch.int64)
        return Examples(self.inputs, labels, padding)


def images(edge: int) -> Tensor:
    return torch.randn(8, 3, edge, edge, generator=torch.Generator().manual_seed(0))


def texts() -> Tensor:
    ids = torch.randint(1, 200, (8, 20), generator=torch.Generator().manual_seed(0))
    for row, length in enumerate((20, 19, 12, 12, 7, 5, 2, 1)):
        ids[row, length:] = 0
    return ids


SMALL: dict[str, Any] = {"layers": (1, 2, 1, 1), "channels": (16, 32, 48, 64)}
CASES = {
    "residual": Case(timm("resnet50", **SMALL), images(32), "static"),
    "inverted": Case(timm("mobilenetv2_035"), images(32), "static"),
    "grouped": Case(timm("resnext50_32x4d", **SMALL, cardinality=4), images(32), "static"),
    "vision transformer": Case(
        timm("test_vit"), images(160), "dynamic", ("blocks.0.attn.num_heads", 2, 1)
    ),
    "bert": Case(
        bert, texts(), "dynamic", ("body.encoder.layer.1.attention.self.num_attention_heads", 4, 2)
    ),
    "distilbert": Case(
        distilbert, texts(), "dynamic", ("body.transformer.layer.1.attention.n_heads", 4, 2)
    ),
}


every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
attending = pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.heads],
    ids=[n for n in CASES if CASES[n].heads],
)


def heads_of(model: nn.Module, path: str) -> int:
    module, _, name = path.rpartition(".")
    return int(getattr(model.get_submodule(module), name))


@every_case
def test_every_file_of_a_pruned_network_does_what_it_claims(case: Case, tmp_path: Path) -> None:
    model = case.build()
    untouched = sum(weight.numel() for weight in model.parameters() if weight.ndim > 1)
    before = parameter_count(model)
    removed = prune(model, case.inputs[:2], 0.5, case.head(model))
    assert removed == pytest.approx(1 - parameter_count(model) / before)
    assert 0.5 < removed < 0.8

    save_network(model, tmp_path / "network.safetensors")
    stored = case.build(seed=1)
    load_network(stored, tmp_path / "network.safetensors")
    with torch.no_grad():
        assert torch.equal(stored(case.inputs), model(case.inputs))
    assert str(stored) == str(model)

    source, target = tmp_path / "32.onnx", tmp_path / "small.onnx"
    to_onnx(stored, case.inputs[:1], source)
    with torch.no_grad():
        spread = float(model(case.inputs).std())
    same = parity(model, open_artefact(source, threads=1), case.examples)
    assert same.max_error < 1e-4 * max(1.0, spread)
    assert unreal(Claim(Precision(), untouched), source, source, case.inputs[:1].numpy()) == ()
    for precision, tolerance in (
        (Precision(16), 0.05),
        (Precision(8), 1.0),
        (Precision(8, weight_only=True), 1.0),
        (Precision(4), 9.0),
        (Precision(2), 99.0),
    ):
        quantize(
            source,
            target,
            precision,
            case.recipe,
            case.inputs.numpy(),
            reduce_range=True,  # right on every CPU
        )
        assert weight_count(target) == weight_count(source)
        found = unreal(Claim(precision, untouched), source, target, case.inputs[:1].numpy())
        assert found == (), precision
        likeness = parity(model, open_artefact(target, threads=1), case.examples)
        assert likeness.max_error < tolerance * spread, precision


@attending
@pytest.mark.parametrize("ratio", [0.5, 0.75, 0.95])
def test_attention_keeps_whole_heads(case: Case, ratio: float) -> None:
    assert case.heads is not None
    path, before, halved = case.heads
    model = case.build()
    assert heads_of(model, path) == before
    prune(model, case.inputs[:2], ratio, case.head(model))
    assert heads_of(model, path) == (halved if ratio == 0.5 else 1)
    assert model(case.inputs).isfinite().all()


@every_case
@pytest.mark.parametrize(
    "pruning",
    [
        Pruning(0.4, scope="global"),
        Pruning(0.4, importance="taylor"),
        Pruning(0.4, importance="fpgm"),
    ],
    ids=str,
)
def test_other_ways_of_pruning_run(case: Case, pruning: Pruning) -> None:
    model = case.build()

    def loss(network: nn.Module, _: int) -> Tensor:
        return nn.functional.cross_entropy(network(case.inputs), torch.arange(8) % CLASSES)

    removed = prune(model, case.inputs[:2], pruning, case.head(model), loss=loss)
    assert 0.2 < removed < 0.8
    assert model(case.inputs).shape == (8, CLASSES)


@attending
def test_gradual_steps_end_where_a_single_one_does(case: Case) -> None:
    at_once, gradual = case.build(), case.build()
    prune(at_once, case.inputs[:2], 0.6, case.head(at_once))
    original = widths(gradual)
    for step in (1, 2, 3):
        now = Pruning(cumulative_ratio(0.6, step, 3))
        prune(gradual, case.inputs[:2], now, case.head(gradual), original=original)
    assert str(gradual) == str(at_once)


@every_case
@pytest.mark.parametrize("bits", [4, 2])
def test_packed_files_hold_the_weights_that_were_tuned(
    case: Case, bits: int, tmp_path: Path
) -> None:
    model = case.build()
    with fake_quantized(model, bits):
        pass
    to_onnx(model, case.inputs[:1], tmp_path / "32.onnx")
    quantize_weights(tmp_path / "32.onnx", tmp_path / "packed.onnx", bits)
    session = open_artefact(tmp_path / "packed.onnx", threads=1)
    with torch.no_grad():
        spread = float(model(case.inputs).std())
    assert parity(model, session, case.examples).max_error < 1e-4 * max(1.0, spread)
