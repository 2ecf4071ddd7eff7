from __future__ import annotations

import itertools
import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from torch import nn

from contracts.architectures import CLASSES, ArchitectureContract, Shape
from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.architectures.bins import Bins
from greenfront.spaces.architectures.blocks import block
from greenfront.spaces.architectures.cnn import CNN
from greenfront.spaces.architectures.lenet import LeNet
from greenfront.spaces.architectures.mlp import MLP
from greenfront.spaces.architectures.registry import architecture, architecture_names
from greenfront.spaces.architectures.tabular import Tabular

IMAGES = (1, 8, 8)


class TestMlp(ArchitectureContract):
    family: ClassVar[Architecture] = MLP()
    input_shape: ClassVar[tuple[int, ...]] = (12,)

    def test_layers_are_as_wide_as_asked(self) -> None:
        shape = {"depth": 3, "width_1": 16, "width_2": 256, "width_3": 32}
        sizes = [tuple(weight.shape) for weight in self.build(shape).parameters()][::2]
        assert sizes == [(16, 12), (256, 16), (32, 256), (CLASSES, 32)]

    def test_the_baseline_is_64_32(self) -> None:
        sizes = [tuple(weight.shape) for weight in self.build().parameters()][::2]
        assert sizes == [(64, 12), (32, 64), (CLASSES, 32)]

    def test_there_is_a_nonlinearity_after_each_hidden_layer(self) -> None:
        layers = list(self.build())  # type: ignore[call-overload]
        kinds = [type(layer) for layer in layers]
        assert kinds == [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


class TestMlpOnImages(ArchitectureContract):
    family: ClassVar[Architecture] = MLP()
    input_shape: ClassVar[tuple[int, ...]] = IMAGES
    shape: ClassVar[Shape | None] = {"depth": 1, "width_1": 16}


class TestTabular(ArchitectureContract):
    family: ClassVar[Architecture] = Tabular()
    input_shape: ClassVar[tuple[int, ...]] = (12,)
    refused: ClassVar[tuple[tuple[int, ...], ...]] = ((), (8, 8), (1, 8, 8))
    shape: ClassVar[Shape | None] = {"bins": 4, "depth": 1, "width_1": 64, "dropout": 0.1}

    def test_numbers_are_split_between_quantiles(self) -> None:
        bins = Bins(2, 4)
        inputs = torch.stack([torch.arange(101.0), torch.arange(101.0) ** 2], dim=1)
        bins.fit(inputs)
        first, second = bins(torch.tensor([[60.0, 625.0]])).reshape(4, 2).T
        torch.testing.assert_close(first, torch.tensor([1.0, 1.0, 0.4, 0.0]))
        torch.testing.assert_close(second, torch.tensor([1.0, 0.0, 0.0, 0.0]))
        far = bins(torch.tensor([[-1e9, 1e9]])).reshape(4, 2).T
        torch.testing.assert_close(far, torch.tensor([[0.0] * 4, [1.0] * 4]))

    def test_few_values_have_a_bin_between_any_two_and_a_constant_none(self) -> None:
        bins = Bins(2, 8)
        few = torch.tensor([[0.0, 5.0], [1.0, 5.0], [3.0, 5.0]]).repeat(20, 1)
        bins.fit(few)
        coded = bins(few[:3]).reshape(3, 8, 2)
        assert coded[:, :2, 0].tolist() == [[0, 0], [1, 0], [1, 1]]
        assert not coded[:, 2:, 0].any()
        assert not coded[:, :, 1].any()

    def test_its_bins_are_set_from_the_training_inputs_alone(self) -> None:
        inputs = torch.randn(200, 12).exp()
        first, second = self.build(), self.build()
        self.family.adapt(first, inputs)
        changed = {
            name
            for name, tensor in first.state_dict().items()
            if not torch.equal(tensor, second.state_dict()[name])
        }
        assert changed == {"0.low", "0.slope"}
        self.family.adapt(second, inputs)
        assert torch.equal(first.eval()(inputs), second.eval()(inputs))


class CnnContract(ArchitectureContract):
    family: ClassVar[Architecture] = CNN()
    input_shape: ClassVar[tuple[int, ...]] = IMAGES
    refused: ClassVar[tuple[tuple[int, ...], ...]] = ((64,), (8, 8), (1, 3, 8), (1, 8, 3))


class TestStandardCnn(CnnContract):
    @pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 9), (3, 28, 28), (1, 64, 4)])
    def test_every_image_it_takes_can_be_built(self, shape: tuple[int, int, int]) -> None:
        assert self.family.objection(shape) is None
        deepest: Shape = {
            "block": "inverted",
            "depth": 4,
            "width": 0.25,
            "kernel": 5,
            "expansion": 2,
        }
        for kind in ("standard", "separable", "inverted"):
            model = self.family.build({**deepest, "block": kind}, shape, CLASSES)
            assert model(torch.randn(2, *shape)).shape == (2, CLASSES)

    def test_channels_double_from_the_width(self) -> None:
        shape: Shape = {"block": "standard", "depth": 4, "width": 0.5, "kernel": 5}
        weights = [tuple(w.shape) for w in self.build(shape).parameters() if w.ndim == 4]
        assert weights == [(16, 1, 5, 5), (32, 16, 5, 5), (64, 32, 5, 5), (128, 64, 5, 5)]

    def test_maps_never_shrink_below_four_pixels(self) -> None:
        edges: list[int] = []
        for edge in (8, 13, 28):
            model = self.family.build(
                {"block": "standard", "depth": 4, "width": 0.25, "kernel": 3}, (1, edge, edge), 2
            )
            features = nn.Sequential(*list(model.children())[:-3])
            edges.append(features(torch.zeros(2, 1, edge, edge)).shape[-1])
        # 8 → 4; 13 → 7 and 28 → 14 → 7, where another halving would give 3.5.
        assert edges == [4, 7, 7]


class TestSeparableCnn(CnnContract):
    shape: ClassVar[Shape | None] = {"block": "separable", "depth": 3, "width": 0.5, "kernel": 3}

    def test_it_filters_each_channel_apart(self) -> None:
        convolutions = [m for m in self.build().modules() if isinstance(m, nn.Conv2d)]
        assert [m.groups for m in convolutions] == [1, 16, 1, 32, 1]
        assert [m.kernel_size[0] for m in convolutions] == [3, 3, 1, 3, 1]


class TestInvertedCnn(CnnContract):
    shape: ClassVar[Shape | None] = {
        "block": "inverted",
        "depth": 3,
        "width": 0.5,
        "kernel": 3,
        "expansion": 2,
    }

    def test_it_expands(self) -> None:
        convolutions = [m for m in self.build().modules() if isinstance(m, nn.Conv2d)]
        assert [m.out_channels for m in convolutions] == [16, 32, 32, 32, 64, 64, 64]
        assert [m.groups for m in convolutions] == [1, 1, 32, 1, 1, 64, 1]


class TestLeNet(ArchitectureContract):
    family: ClassVar[Architecture] = LeNet()
    input_shape: ClassVar[tuple[int, ...]] = IMAGES
    refused: ClassVar[tuple[tuple[int, ...], ...]] = ((64,), (8, 8), (1, 3, 8), (1, 8, 3))

    def test_on_mnist_it_has_the_shape_of_lenet_5(self) -> None:
        shape = {"channels": 6, "kernel": 5, "hidden": 84}
        sizes = [
            tuple(w.shape) for w in LeNet().build(shape, (1, 28, 28), 10).parameters() if w.ndim > 1
        ]
        assert sizes == [(6, 1, 5, 5), (12, 6, 5, 5), (84, 12 * 4 * 4), (10, 84)]

    def test_a_shape_of_before_there_was_a_stride_pools(self) -> None:
        old = {"channels": 6, "kernel": 5, "hidden": 84}
        now = {**old, "stride": 1}
        assert LeNet().extent(old, (1, 28, 28), 10) == LeNet().extent(now, (1, 28, 28), 10)
        assert any(isinstance(m, nn.MaxPool2d) for m in LeNet().build(old, IMAGES, 10).modules())

    @pytest.mark.parametrize(("stride", "maps"), [(2, [12, 4]), (3, [8])])
    def test_strided_convolutions_shrink_the_maps_alone(self, stride: int, maps: list[int]) -> None:
        shape = {"channels": 6, "kernel": 5, "hidden": 32, "stride": stride}
        model = LeNet().build(shape, (1, 28, 28), 10).eval()
        assert not any(isinstance(m, nn.MaxPool2d) for m in model.modules())
        seen, inputs = [], torch.randn(1, 1, 28, 28)
        for layer in model.children():
            inputs = layer(inputs)
            if isinstance(layer, nn.Conv2d):
                seen.append(inputs.shape[-1])
        assert seen == maps

    @pytest.mark.parametrize("edges", [(4, 4), (5, 9), (28, 28), (32, 20), (64, 4), (224, 224)])
    def test_the_hidden_layer_reads_small_maps_of_any_image(self, edges: tuple[int, int]) -> None:
        for kernel, stride in itertools.product((3, 5), (1, 2, 3)):
            shape = {"channels": 4, "kernel": kernel, "hidden": 32, "stride": stride}
            model = LeNet().build(shape, (3, *edges), CLASSES).eval()
            assert model(torch.randn(2, 3, *edges)).shape == (2, CLASSES)
            hidden = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
            assert hidden.in_features <= 16 * 8 * 8


def test_an_inverted_block_skips_where_shapes_agree() -> None:
    inputs = torch.randn(2, 8, 6, 6)
    same, narrower, strided = (
        block("inverted", 8, outputs, 3, stride, 2).eval()
        for outputs, stride in ((8, 1), (4, 1), (8, 2))
    )
    for module in (same, narrower, strided):
        for weight in module.parameters():
            nn.init.zeros_(weight)
    assert torch.equal(same(inputs), inputs)
    assert torch.equal(narrower(inputs), torch.zeros(2, 4, 6, 6))
    assert torch.equal(strided(inputs), torch.zeros(2, 8, 3, 3))


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(UsageError, match=r"block 'dense' is unknown: take 'standard'"):
        block("dense", 8, 8, 3, 1, 1)


def test_families_are_found_by_name() -> None:
    assert {"mlp", "cnn"} <= set(architecture_names())
    assert architecture_names(1) == ("mlp", "cnn", "distilbert", "bert")
    for name in (*architecture_names(), *architecture_names(1)):
        family = architecture(name)
        assert family.name == name


def test_an_unknown_family_is_refused_with_the_nearest_name() -> None:
    message = r"'cmn' is unknown \(did you mean 'cnn'\?\): .*mlp, tabular, cnn"
    with pytest.raises(UsageError, match=message):
        architecture("cmn")
    with pytest.raises(UsageError, match=r"'zzzzzz' is unknown: take one of"):
        architecture("zzzzzz")


def test_laying_out_a_space_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from greenfront.spaces.network_space import first_generation, network_space\n"
        "from greenfront.spaces.options import NetworkOptions\n"
        "from greenfront.spaces.techniques.technique import Scope\n"
        "options = NetworkOptions(Scope(('mlp', 'cnn')))\n"
        "first_generation(options, network_space(options), 0)\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
