"""The blocks of pretrained networks: rates that differ by them, and those that are held still."""

from __future__ import annotations

import copy
import importlib.util
import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from contracts.texts import saved_model
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.fake_quant import fake_quantized
from greenfront.objectives.stages.optimizer import rate_shares
from greenfront.objectives.stages.prune import prune
from greenfront.objectives.stages.structure import load_network, save_network
from greenfront.objectives.stages.train import FitOptions, train
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.architectures.cnn import CNN
from greenfront.spaces.architectures.timm import Timm
from greenfront.spaces.architectures.timm_catalogue import network, networks
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision
from greenfront.spaces.architectures.transformers import DistilBert, Transformer
from greenfront.spaces.techniques.training import Training

if importlib.util.find_spec("timm") is None:
    pytest.skip("timm is not installed", allow_module_level=True)

SHAPE = (3, 32, 32)
CLASSES = 3
NETWORKS = ("test_resnet", "test_vit", "test_convnext", "test_efficientnet")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that stand for pretrained weights, by the network's name."""
    allow_torchvision()
    import timm

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for name in NETWORKS:
        tensors = timm.create_model(name).state_dict()
        for tensor in tensors.values():
            if tensor.is_floating_point() and not tensor.any():
                tensor.normal_(std=0.1)  # blocks that begin as identities give no gradients
        save_file(tensors, folder / f"{name}.safetensors")
    return folder


@pytest.fixture(params=NETWORKS)
def family(request: pytest.FixtureRequest, weights: Path) -> Timm:
    return Timm(f"timm:{request.param}@{weights}/{request.param}.safetensors")


def build(family: Architecture, **changes: float) -> nn.Module:
    torch.manual_seed(0)
    shape = {**family.baseline(), "resolution": 32, **changes}
    return family.build(shape, SHAPE, CLASSES)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    examples = Examples(torch.randn(24, *SHAPE, generator=generator), torch.arange(24) % CLASSES)
    return TrainingData(examples, examples)


def owners(family: Architecture, model: nn.Module) -> dict[str, int]:
    """Number of the block of each weight; -1 for those outside of the blocks."""
    found = {w: i for i, block in enumerate(family.blocks(model)) for w in block.parameters()}
    return {name: found.get(weight, -1) for name, weight in model.named_parameters()}


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def unchanged(model: nn.Module, before: dict[str, Tensor]) -> set[str]:
    after = model.state_dict()
    return {name for name, tensor in before.items() if torch.equal(after[name], tensor)}


# --- which weights belong to which block ---------------------------------------------------------


def test_blocks_hold_all_weights_but_the_head_s_once(family: Timm) -> None:
    model = build(family)
    blocks = family.blocks(model)
    held = [weight for block in blocks for weight in block.parameters()]
    assert len(held) == len(set(held))
    head = set(family.head(model).parameters())
    assert head.isdisjoint(held)
    outside = {name for name, number in owners(family, model).items() if number == -1}
    assert {name for name, weight in model.named_parameters() if weight in head} <= outside
    assert all(
        name.startswith(("network.head", "network.fc", "network.classi")) for name in outside
    )
    assert len(blocks) > 3


def test_blocks_stand_in_the_order_of_the_network(family: Timm) -> None:
    model = build(family)
    numbers = [number for number in owners(family, model).values() if number >= 0]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(len(family.blocks(model))))


def test_single_weights_of_the_network_belong_to_the_stem(weights: Path) -> None:
    family = Timm(f"timm:test_vit@{weights}/test_vit.safetensors")
    found = owners(family, build(family))
    assert found["network.cls_token"] == found["network.pos_embed"] == 0
    assert found["network.blocks.0.attn.qkv.weight"] == 1
    assert found["network.norm.weight"] == found["network.blocks.5.mlp.fc2.bias"] == 6


def test_pruning_and_rounding_move_nothing_between_blocks(family: Timm, data: TrainingData) -> None:
    model = build(family)
    before = owners(family, model)
    prune(model, data.train.inputs[:2], 0.5, family.head(model))
    assert owners(family, model) == before
    with fake_quantized(model, 4):
        rounded = {
            name.replace(".parametrizations.weight.original", ".weight"): number
            for name, number in owners(family, model).items()
        }
    assert rounded == before


def test_encoders_begin_with_their_embeddings(tmp_path: Path) -> None:
    for kind, layers in (("bert", "encoder.layer"), ("distilbert", "transformer.layer")):
        encoder = Transformer(f"hf:{saved_model(tmp_path / kind, kind)}")
        model = encoder.build({**encoder.baseline(), "layers": 3}, (), CLASSES)
        found = owners(encoder, model)
        base = f"network.{kind}."
        assert {n for n, number in found.items() if number == 0} == {
            name for name in found if name.startswith(f"{base}embeddings.")
        }
        for layer in range(3):
            assert {n for n, number in found.items() if number == layer + 1} == {
                name for name in found if name.startswith(f"{base}{layers}.{layer}.")
            }
        assert any("classifier" in name for name, number in found.items() if number == -1)


def test_only_pretrained_networks_have_rates_by_block(weights: Path) -> None:
    assert not any(f.layered for f in (CNN(), DistilBert(), Timm("timm:test_resnet")))
    assert CNN().blocks(nn.Linear(1, 1)) == ()
    assert Timm(f"timm:test_resnet@{weights}/test_resnet.safetensors").layered
    assert Transformer.layered


def test_the_catalogue_knows_who_names_its_blocks() -> None:
    import timm

    ours = {name for name in networks() if network(name).layered}
    for name in ("resnet18", "mobilenetv2_100", "convnext_atto", "vit_tiny_patch16_224"):
        assert name in ours
        assert hasattr(timm.create_model(name), "group_matcher")
    assert len(ours) > 0.8 * len(networks())


# --- rates that decay ----------------------------------------------------------------------------


def test_the_rate_of_each_block(family: Timm) -> None:
    model = build(family)
    count, shares = (
        len(family.blocks(model)),
        rate_shares(
            model,
            head=family.head(model),
            blocks=family.blocks(model),
            body_rate=family.body_rate,
            layer_decay=0.5,
        ),
    )
    head = set(family.head(model).parameters())
    for name, number in owners(family, model).items():
        weight = model.get_parameter(name)
        distance = 0 if number == -1 else count - number
        expected = 1.0 if weight in head else 0.1 * 0.5**distance
        assert shares[weight] == pytest.approx(expected), name


def test_what_is_near_the_input_moves_the_least(weights: Path, data: TrainingData) -> None:
    family = Timm(f"timm:test_vit@{weights}/test_vit.safetensors")
    model = build(family)
    prune(model, data.train.inputs[:2], 0.5, family.head(model))
    before = snapshot(model)
    train(
        model,
        data,
        Training(learning_rate=1e-2, batch_size=12, epochs=1, layer_decay=0.2),
        seed=0,
        options=FitOptions(
            head=family.head(model), blocks=family.blocks(model), body_rate=family.body_rate
        ),
    )
    # Adam's first steps are as long as the rate, whatever the gradient.
    moved = [
        float((model.state_dict()[name] - before[name]).abs().max())
        for name in [f"network.blocks.{block}.mlp.fc1.weight" for block in range(6)]
    ]
    for lower, upper in itertools.pairwise(moved):
        assert 0.1 < lower / upper < 0.4


# --- blocks that are held still ------------------------------------------------------------------


def test_the_lower_half_stays_as_it_is(family: Timm, data: TrainingData) -> None:
    model = build(family, frozen=0.5)
    number = owners(family, model)
    last = round((len(family.blocks(model)) - 1) / 2)
    still = {name for name, block in number.items() if 0 <= block <= last}
    assert 0 < len(still) < len(number)
    before = snapshot(model)
    train(
        model,
        data,
        Training(epochs=2, patience=0),
        seed=0,
        options=FitOptions(head=family.head(model)),
    )
    same = unchanged(model, before)
    assert same & number.keys() == still
    # Statistics of normalisation stand still with the weights beside them, and only there.
    for name in before.keys() - number.keys():
        beside = f"{name.rpartition('.')[0]}.weight"
        if name.endswith(("running_mean", "running_var")):
            assert (name in same) == (beside in still), name


def test_nothing_is_held_still_by_default(family: Timm, data: TrainingData) -> None:
    model = build(family)
    before = snapshot(model)
    train(model, data, Training(epochs=1), seed=0, options=FitOptions(head=family.head(model)))
    assert unchanged(model, before).isdisjoint(dict(model.named_parameters()))


def test_frozen_networks_are_pruned_stored_and_stay_frozen(
    family: Timm, data: TrainingData, tmp_path: Path
) -> None:
    model, plain = build(family, frozen=0.5), build(family)
    plain.load_state_dict(model.state_dict())
    for narrowed in (model, plain):
        prune(narrowed, data.train.inputs[:2], 0.5, family.head(narrowed))
    shapes = {name: weight.shape for name, weight in plain.named_parameters()}
    assert {name: weight.shape for name, weight in model.named_parameters()} == shapes
    save_network(model, tmp_path / "weights.safetensors")
    loaded = build(family, frozen=0.5)
    load_network(loaded, tmp_path / "weights.safetensors")
    before = snapshot(loaded)
    train(loaded, data, Training(epochs=1), seed=0)
    number = owners(family, loaded)
    last = round((len(family.blocks(loaded)) - 1) / 2)
    still = {name for name, block in number.items() if 0 <= block <= last}
    assert unchanged(loaded, before) & number.keys() == still


def test_a_frozen_network_answers_like_the_whole_one(family: Timm) -> None:
    frozen, whole = build(family, frozen=0.5).eval(), build(family).eval()
    images = torch.randn(2, *SHAPE)
    assert torch.equal(frozen(images), whole(images))
    assert frozen.state_dict().keys() == whole.state_dict().keys()
    assert all(weight.requires_grad for weight in frozen.parameters())
    twin = copy.deepcopy(frozen).train()
    assert not all(weight.requires_grad for weight in twin.parameters())
    assert all(weight.requires_grad for weight in frozen.parameters())


def test_only_pretrained_networks_ask_what_is_frozen(family: Timm) -> None:
    knobs = {knob.name: knob.values() for knob in family.knobs()}
    assert knobs["frozen"] == (0.0, 0.5)
    assert family.baseline()["frozen"] == 0.0
    assert "frozen" not in {knob.name for knob in Timm("timm:test_resnet").knobs()}
