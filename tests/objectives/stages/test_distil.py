from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from greenfront.errors import UsageError
from greenfront.objectives.stages.distil import (
    Projection,
    TeacherOutputs,
    criterion,
    load_teacher_outputs,
    save_teacher_outputs,
    teach,
)
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.loss import PLAIN
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.prune import prune
from greenfront.objectives.stages.train import FitOptions, train
from greenfront.spaces.architectures.cnn import CNN
from greenfront.spaces.architectures.mlp import MLP
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.training import Training

CLASSES = 4
SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def examples() -> Examples:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % CLASSES
    patterns = torch.randn(CLASSES, *SHAPE, generator=generator)
    return Examples(patterns[labels] + 0.3 * torch.randn(200, *SHAPE, generator=generator), labels)


def mlp(width: int = 32) -> nn.Module:
    torch.manual_seed(0)
    return MLP().build({"depth": 1, "width_1": width}, SHAPE, CLASSES)


def cnn() -> nn.Module:
    torch.manual_seed(0)
    return CNN().build(CNN().baseline(), SHAPE, CLASSES)


def features_of(model: nn.Module, inputs: Tensor) -> Tensor:
    """All layers but the last."""
    with torch.no_grad():
        return model.eval()[:-1](inputs)  # type: ignore[index, no-any-return]


def head(model: nn.Module) -> nn.Module:
    return list(model.children())[-1]


# --- answers -------------------------------------------------------------------------------------


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


@pytest.fixture(scope="module")
def logits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return 3 * rng.standard_normal((7, 4)), 3 * rng.standard_normal((7, 4)), np.arange(7) % 4


@pytest.mark.parametrize("heat", [1.0, 2.5, 8.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_distillation_loss(
    logits: tuple[np.ndarray, np.ndarray, np.ndarray], heat: float, weight: float
) -> None:
    student, teacher, labels = logits
    hard = -np.log(softmax(student)[np.arange(7), labels]).mean()
    p, q = softmax(teacher / heat), softmax(student / heat)
    soft = (p * np.log(p / q)).sum(-1).mean()
    given = PLAIN.taught(
        torch.from_numpy(student),
        torch.from_numpy(teacher),
        torch.from_numpy(labels),
        Distillation(heat, weight),
    )
    assert float(given) == pytest.approx(weight * heat**2 * soft + (1 - weight) * hard, rel=1e-9)


def test_the_soft_gradient_does_not_fade_with_the_temperature(
    logits: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    # For high temperatures the gradient tends to that of matching centred logits: (s − t) / (n C).
    student, teacher, labels = (torch.from_numpy(part) for part in logits)
    student = student.clone().requires_grad_()
    PLAIN.taught(student, teacher, labels, Distillation(1e3, 1.0)).backward()  # type: ignore[no-untyped-call]
    centred = student - student.mean(-1, keepdim=True) - (teacher - teacher.mean(-1, keepdim=True))
    torch.testing.assert_close(student.grad, centred.detach() / (7 * 4), rtol=0.02, atol=1e-3)


# --- hidden states -------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [mlp, cnn])
def test_lessons_hold_what_the_head_read(build, examples: Examples) -> None:
    model = build()
    lessons = teach(model, examples, head(model))
    assert torch.equal(lessons.logits, predict(model, examples.inputs))
    wanted = features_of(model, examples.inputs).double()
    spread = wanted.std(0, correction=0)
    alive = spread > 1e-3
    assert alive.sum() > 10
    given = ((wanted - wanted.mean(0)) / spread)[:, alive]
    assert lessons.features is not None
    torch.testing.assert_close(lessons.features[:, alive].double(), given, rtol=1e-3, atol=1e-4)
    assert teach(model, examples).features is None
    assert not head(model)._forward_pre_hooks


def test_features_that_never_vary_are_zero(examples: Examples) -> None:
    model = mlp()
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
    nn.init.constant_(first.bias, -1e3)  # no neuron fires
    features = teach(model, examples, head(model)).features
    assert features is not None
    assert not features.any()


@pytest.mark.parametrize(
    ("layer", "shape", "pooled"),
    [
        (nn.Conv2d(6, CLASSES, 1), (3, 6, 2, 5), lambda maps: maps.mean((2, 3))),
        (nn.Linear(6, CLASSES), (3, 7, 6), lambda tokens: tokens.mean(1)),
    ],
    ids=["maps", "tokens"],
)
def test_places_are_averaged(layer: nn.Module, shape: tuple[int, ...], pooled) -> None:
    inputs = torch.randn(shape)
    lessons = teach(layer, Examples(inputs, torch.zeros(3)), layer)
    wanted = pooled(inputs)
    wanted = (wanted - wanted.mean(0)) / wanted.std(0, correction=0)
    assert lessons.features is not None
    torch.testing.assert_close(lessons.features, wanted, rtol=1e-4, atol=1e-5)


def test_lessons_can_be_kept(tmp_path: Path) -> None:
    for features in (None, torch.randn(5, 3)):
        lessons = TeacherOutputs(torch.randn(5, CLASSES), features)
        save_teacher_outputs(lessons, tmp_path / "lessons.safetensors")
        loaded = load_teacher_outputs(tmp_path / "lessons.safetensors", "cpu")
        assert torch.equal(loaded.logits, lessons.logits)
        assert (loaded.features is None) == (features is None)
        assert features is None or torch.equal(loaded.features, features)


def test_the_whole_loss_by_hand(examples: Examples) -> None:
    student, teacher = mlp(), cnn()
    lessons = teach(teacher, examples, head(teacher))
    how = Distillation(3.0, 0.6, 0.25)
    chosen = torch.tensor([7, 0, 191])
    with criterion(student, examples, head(student), how, lessons, seed=5) as loss_of:
        logits = student(examples.inputs[chosen])
        loss = float(loss_of(logits, chosen).detach())
        weight, bias = (w.detach().double().numpy() for w in loss_of.weights)
    features = features_of(student, examples.inputs[chosen]).double().numpy()
    assert lessons.features is not None
    difference = features @ weight.T + bias - lessons.features[chosen].double().numpy()
    with_labels = PLAIN.taught(logits, lessons.logits[chosen], examples.labels[chosen], how)
    assert loss == pytest.approx(
        float(with_labels.detach()) + 0.25 * np.mean(difference**2), rel=1e-5
    )
    assert not head(student)._forward_pre_hooks


def test_the_seed_decides_the_projection() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, again, other = (Projection(6, 4, seed).weight for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == (4, 6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_student_comes_to_read_what_its_teacher_reads(examples: Examples) -> None:
    # A teacher that reads the noise of two pixels, which tells nothing of the classes.
    pixels, classes = examples.inputs.flatten(1)[:, 20:22], examples.labels
    means = torch.stack([pixels[classes == number].mean(0) for number in range(CLASSES)])
    theirs = pixels - means[classes]
    theirs = theirs / theirs.std(0, correction=0)
    answers = 6 * functional.one_hot(classes, CLASSES).float()
    training = Training(learning_rate=1e-2, batch_size=32, epochs=20, patience=0)

    def unexplained(model: nn.Module) -> float:
        """Share of the teacher's features that no linear map of the student's gives."""
        ours = torch.cat([features_of(model, examples.inputs), torch.ones(200, 1)], 1)
        best = torch.linalg.lstsq(ours, theirs, driver="gelsd").solution
        return float((ours @ best - theirs).square().sum() / theirs.square().sum())

    left = []
    for weight in (0.0, 1.0):
        model = mlp(width=8)
        train(
            model,
            TrainingData(examples, examples),
            training,
            seed=0,
            options=FitOptions(
                head=head(model),
                distillation=Distillation(1.0, 0.5, weight),
                lessons=TeacherOutputs(answers, theirs),
            ),
        )
        left.append(unexplained(model))
    assert left[1] < 0.6 * left[0]


def test_a_pruned_student_of_another_width_goes_on_learning(examples: Examples) -> None:
    teacher, student = cnn(), mlp()
    lessons = teach(teacher, examples, head(teacher))
    prune(student, examples.inputs[:2], 0.5, head(student))
    assert head(student).in_features == 16
    names = list(student.state_dict())
    train(
        student,
        TrainingData(examples, examples),
        Training(learning_rate=1e-2, batch_size=32, epochs=6),
        seed=0,
        options=FitOptions(
            head=head(student), distillation=Distillation(2.0, 0.5, 0.5), lessons=lessons
        ),
    )
    assert list(student.state_dict()) == names  # the projection is gone
    right = predict(student, examples.inputs).argmax(-1) == examples.labels
    assert right.float().mean() > 0.9


def test_hidden_states_need_a_head_and_the_teacher_s_features(examples: Examples) -> None:
    model, how = mlp(), Distillation(2.0, 0.5, 0.5)
    lessons = teach(model, examples, head(model))
    for given, of_head in ((lessons, None), (TeacherOutputs(lessons.logits), head(model))):
        with (
            pytest.raises(UsageError, match=r"hidden states weigh 0\.5, so .* must be given"),
            criterion(model, examples, of_head, how, given, seed=0),
        ):
            pass


def test_without_a_weight_features_make_no_difference(examples: Examples) -> None:
    model, how = mlp(), Distillation(2.0, 0.5)
    lessons = teach(model, examples, head(model))
    chosen = torch.arange(10)
    logits = model(examples.inputs[chosen])
    with criterion(model, examples, None, how, lessons, seed=0) as loss_of:
        assert loss_of.weights == []
        plain = PLAIN.taught(logits, lessons.logits[chosen], examples.labels[chosen], how)
        assert torch.equal(loss_of(logits, chosen), plain)
    with criterion(model, examples, None, None, None, seed=0) as loss_of:
        hard = functional.cross_entropy(logits, examples.labels[chosen])
        assert torch.equal(loss_of(logits, chosen), hard)
