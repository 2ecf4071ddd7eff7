"""What every model family promises; a family's tests subclass :class:`ArchitectureContract`."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx
from greenfront.objectives.stages.int8 import Int8Recipe, compute_int8
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.prune import parameter_count, prune
from greenfront.objectives.stages.quantize import quantize_weights
from greenfront.objectives.stages.structure import restructure, structure_of
from greenfront.objectives.stages.train import train
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.knobs import Value
from greenfront.spaces.space import PlainChoice, SearchSpace
from greenfront.spaces.techniques.training import Training

CLASSES = 5
EXAMPLES = 200
SEEDS = range(4)
RATIOS = (0.05, 0.5, 0.8, 0.95)

Shape = Mapping[str, Value]


def toy_data(input_shape: tuple[int, ...]) -> TrainingData:
    """Noisy copies of one pattern for each class: easy to learn, not trivial to round."""
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((CLASSES, *input_shape))

    def examples(count: int) -> Examples:
        labels = np.arange(count) % CLASSES
        noise = rng.standard_normal((count, *input_shape))
        inputs = (patterns[labels] + 0.5 * noise).astype(np.float32)
        return Examples(torch.from_numpy(inputs), torch.from_numpy(labels))

    return TrainingData(examples(EXAMPLES), examples(EXAMPLES))


def int8_recipe(model: nn.Module) -> Int8Recipe:
    """Convolutions are calibrated, linear layers are not."""
    convolves = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
    return "static" if convolves else "dynamic"


def operators(path: Path) -> set[str]:
    """Names of the operators in a file."""
    return {node.op_type for node in onnx.load(path).graph.node}


def executed_operators(path: Path, target: Path) -> set[str]:
    """Names of the operators that the runtime makes of a file."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return operators(target)


class ArchitectureContract:
    """Subclasses give the attributes without a value.

    Attributes:
        family: The family.
        input_shape: Inputs to test with.
        refused: Input shapes that it cannot take.
        shape: A member to train and export; ``None`` takes the baseline.
    """

    family: ClassVar[Architecture]
    input_shape: ClassVar[tuple[int, ...]]
    refused: ClassVar[tuple[tuple[int, ...], ...]] = ()
    shape: ClassVar[Shape | None] = None

    def space(self) -> SearchSpace[PlainChoice]:
        return SearchSpace(self.family.knobs(), decode=PlainChoice)

    def sampled(self, seed: int) -> dict[str, Value]:
        return self.space().sample(np.random.default_rng(seed))

    @classmethod
    def build(cls, shape: Shape | None = None, seed: int = 0) -> nn.Module:
        """The module of ``shape``, else of the class, with the weights of this seed."""
        torch.manual_seed(seed)
        return cls.family.build(
            shape or cls.shape or cls.family.baseline(), cls.input_shape, CLASSES
        )

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> TrainingData:
        return toy_data(cls.input_shape)

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, data: TrainingData) -> nn.Module:
        """A trained member; not to be changed."""
        model = cls.build()
        training = Training(learning_rate=5e-3, batch_size=32, epochs=8, patience=0)
        train(model, data, training, seed=0)
        return model.eval()

    @pytest.fixture(scope="class")
    @classmethod
    def files(
        cls, trained: nn.Module, data: TrainingData, tmp_path_factory: pytest.TempPathFactory
    ) -> dict[int, Path]:
        """The trained member at every bit-width."""
        folder = tmp_path_factory.mktemp("artefacts")
        return cls.exported(trained, data, folder)

    @classmethod
    def exported(cls, model: nn.Module, data: TrainingData, folder: Path) -> dict[int, Path]:
        paths = {bits: folder / f"{bits}.onnx" for bits in (32, 16, 8)}
        to_onnx(model, cls.input_shape, paths[32])
        quantize_weights(paths[32], paths[16], 16)
        compute_int8(
            paths[32],
            paths[8],
            int8_recipe(model),
            calibration=data.train.inputs[:64].numpy(),
            reduce_range=True,  # right on every CPU
        )
        return paths

    def answers(self, path: Path, inputs: Tensor) -> np.ndarray:
        (logits,) = open_artefact(path, threads=1).run([OUTPUT], {INPUT: inputs.numpy()})
        return np.asarray(logits)

    # --- what may be chosen ------------------------------------------------------------------

    def test_a_smaller_one_is_offered_and_is_cheaper(self) -> None:
        settings = dict(self.family.smaller())
        baseline = dict(self.family.baseline())
        for knob in self.family.knobs():
            assert knob.name not in settings or knob.contains(settings[knob.name])
        assert settings.keys() <= baseline.keys()
        if settings:
            inputs = torch.zeros(1, *self.input_shape)
            with FlopCounterMode(display=False) as usual, torch.no_grad():
                self.build(baseline).eval()(inputs)
            with FlopCounterMode(display=False) as less, torch.no_grad():
                self.build({**baseline, **settings}).eval()(inputs)
            # Operations fall further than joules, of which calling the runtime has its share.
            assert 0.05 < less.get_total_flops() / usual.get_total_flops() < 0.75

    def test_it_says_which_inputs_it_takes(self) -> None:
        assert self.family.objection(self.input_shape) is None
        for shape in self.refused:
            objection = self.family.objection(shape)
            assert objection, shape
            assert objection.startswith("it needs"), objection

    def test_knobs_form_a_space(self) -> None:
        knobs = self.family.knobs()
        assert self.space().knobs == knobs
        assert not any("." in knob.name for knob in knobs)

    def test_the_baseline_is_a_whole_point(self) -> None:
        baseline = dict(self.family.baseline())
        assert self.space().complete(baseline, np.random.default_rng(0)) == baseline

    # --- the module --------------------------------------------------------------------------

    @pytest.mark.parametrize("seed", SEEDS)
    def test_sampled_shapes_give_finite_logits(self, seed: int) -> None:
        model = self.build(self.sampled(seed))
        for count in (2, 3):
            logits = model(torch.randn(count, *self.input_shape))
            assert logits.shape == (count, CLASSES)
            assert logits.dtype == torch.float32
            assert logits.isfinite().all()

    def test_different_points_are_different_networks(self) -> None:
        points = {PlainChoice(p).key: p for p in map(self.sampled, range(8))}
        built = {str(self.build(point)) for point in points.values()}
        assert len(built) == len(points) > 1

    def test_the_seed_decides_the_weights(self) -> None:
        first, again, other = (self.build(seed=seed).state_dict() for seed in (3, 3, 4))
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    def test_the_head_gives_the_logits(self) -> None:
        model = self.build().eval()
        seen: list[Tensor] = []
        self.family.head(model).register_forward_hook(lambda _, __, output: seen.append(output))
        logits = model(torch.randn(2, *self.input_shape))
        assert len(seen) == 1
        assert torch.equal(seen[0], logits)

    def test_a_step_changes_every_weight_tensor(self, data: TrainingData) -> None:
        model = self.build()
        before = {name: weight.clone() for name, weight in model.named_parameters()}
        train(model, data, Training(epochs=1), seed=0)
        unchanged = [n for n, weight in model.named_parameters() if torch.equal(weight, before[n])]
        assert unchanged == []

    def test_it_learns(self, trained: nn.Module, data: TrainingData) -> None:
        right = predict(trained, data.validation.inputs).argmax(-1) == data.validation.labels
        assert float(right.float().mean()) > 0.8

    # --- pruning -----------------------------------------------------------------------------

    def test_pruning_shrinks_tensors(self) -> None:
        model = self.build()
        before = {name: weight.shape for name, weight in model.named_parameters()}
        weights = parameter_count(model)
        removed = prune(model, torch.randn(2, *self.input_shape), 0.5, head=self.family.head(model))
        after = {name: weight.shape for name, weight in model.named_parameters()}
        assert after.keys() == before.keys()
        for name, shape in after.items():
            assert all(map(int.__le__, shape, before[name])), name
        assert removed == pytest.approx(1 - parameter_count(model) / weights)
        assert 0.3 < removed < 0.9
        assert model(torch.randn(3, *self.input_shape)).shape == (3, CLASSES)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_higher_ratio_never_removes_less(self, seed: int) -> None:
        removed = []
        for ratio in RATIOS:
            model = self.build(self.sampled(seed))
            example = torch.randn(2, *self.input_shape)
            removed.append(prune(model, example, ratio, self.family.head(model)))
            assert model(example).shape == (2, CLASSES)
            assert all(math.prod(weight.shape) > 0 for weight in model.parameters())
        assert removed == sorted(removed)
        assert removed[0] > 0

    @pytest.mark.parametrize("seed", SEEDS)
    def test_stored_weights_bring_a_pruned_network_back(self, seed: int) -> None:
        shape = self.sampled(seed)
        model = self.build(shape)
        inputs = torch.randn(4, *self.input_shape)
        model.train()(inputs)  # moves the buffers
        prune(model, inputs[:2], 0.5, self.family.head(model))
        weights = {name: weight.clone() for name, weight in model.state_dict().items()}

        fresh = self.build(shape, seed=99)
        restructure(fresh, structure_of(model), weights)
        assert torch.equal(predict(fresh, inputs), predict(model, inputs))
        assert parameter_count(fresh) == parameter_count(model)
        assert str(fresh) == str(model)
        assert all(weight.requires_grad for weight in fresh.parameters())

    def test_a_pruned_network_learns_on(self, trained: nn.Module, data: TrainingData) -> None:
        model = copy.deepcopy(trained)
        prune(model, data.train.inputs[:2], 0.5, self.family.head(model))
        train(model, data, Training(batch_size=32, epochs=4), seed=0)
        right = predict(model, data.validation.inputs).argmax(-1) == data.validation.labels
        assert float(right.float().mean()) > 0.7

    # --- the exported file -------------------------------------------------------------------

    @pytest.mark.parametrize(("bits", "tolerance"), [(32, 1e-5), (16, 2e-3), (8, 0.05)])
    def test_the_file_answers_like_the_module(
        self,
        files: dict[int, Path],
        trained: nn.Module,
        data: TrainingData,
        bits: int,
        tolerance: float,
    ) -> None:
        inputs = data.validation.inputs
        wanted = predict(trained, inputs).numpy()
        given = self.answers(files[bits], inputs)
        assert given.shape == wanted.shape
        assert np.abs(given - wanted).mean() < tolerance * wanted.std()
        assert (given.argmax(-1) == wanted.argmax(-1)).mean() >= (0.9 if bits == 8 else 0.99)

    def test_full_precision_is_exact_to_four_digits(
        self, files: dict[int, Path], trained: nn.Module, data: TrainingData
    ) -> None:
        wanted = predict(trained, data.validation.inputs).numpy()
        assert np.abs(self.answers(files[32], data.validation.inputs) - wanted).max() < 1e-4

    @pytest.mark.parametrize("bits", [32, 16, 8])
    def test_the_batch_does_not_matter(
        self, files: dict[int, Path], data: TrainingData, bits: int
    ) -> None:
        inputs = data.validation.inputs[:6]
        together = self.answers(files[bits], inputs)
        assert together.shape == (6, CLASSES)
        if not (bits == 8 and int8_recipe(self.build()) == "dynamic"):  # ranges of the whole batch
            alone = np.concatenate([self.answers(files[bits], inputs[i : i + 1]) for i in range(6)])
            # Sums may run in another order, which moves a number over the edge of an int8 step.
            np.testing.assert_allclose(
                alone, together, atol=1e-4 if bits != 8 else 0.05 * np.abs(together).max()
            )

    def test_fewer_bits_are_fewer_bytes(self, data: TrainingData, tmp_path: Path) -> None:
        files = self.exported(self.build(self.family.baseline()), data, tmp_path)
        size = {bits: path.stat().st_size for bits, path in files.items()}
        assert size[16] < 0.65 * size[32]
        assert size[8] < size[16]

    def test_int8_runs_integer_kernels(self, files: dict[int, Path], tmp_path: Path) -> None:
        stored = operators(files[8])
        executed = executed_operators(files[8], tmp_path / "optimised.onnx")
        floating = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}
        assert not executed & floating
        assert operators(files[32]) & floating  # or there was nothing to make integer
        if int8_recipe(self.build()) == "static":
            assert {"QuantizeLinear", "DequantizeLinear"} <= stored
            assert executed & {"QLinearConv", "QLinearMatMul", "QGemm"}
        else:
            assert {"DynamicQuantizeLinear", "MatMulInteger"} <= stored
            assert not stored & floating
            assert executed & {"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}

    def test_int8_weights_are_stored_as_int8(self, files: dict[int, Path]) -> None:
        def large(path: Path, data_type: int) -> int:
            tensors = onnx.load(path).graph.initializer
            of_type = [t for t in tensors if t.data_type == data_type and len(t.dims) > 1]
            return sum(math.prod(t.dims) for t in of_type)

        everything = large(files[32], onnx.TensorProto.FLOAT)
        assert large(files[8], onnx.TensorProto.INT8) == everything > 0
        assert large(files[8], onnx.TensorProto.FLOAT) == 0
