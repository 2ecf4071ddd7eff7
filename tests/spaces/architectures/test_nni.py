from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from contracts.architectures import ArchitectureContract, Shape
from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx
from greenfront.objectives.stages.prune import parameter_count, prune
from greenfront.objectives.stages.structure import load_network, save_network
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.architectures.nni import NNI
from greenfront.spaces.architectures.nni_modules import patch_edge
from greenfront.spaces.architectures.nni_spaces import SPACES
from greenfront.spaces.knobs import Value
from greenfront.spaces.space import PlainChoice, SearchSpace

CLASSES = 7
SMALL = (1, 8, 8)
CUT_OFF = {f"cell_{s}_{t}": "none" if t == 3 else "conv_1x1" for t in range(1, 4) for s in range(t)}
"""A cell whose output no path reaches."""


@pytest.fixture(scope="session")
def hub() -> Any:
    if importlib.util.find_spec("nni") is None:
        if os.environ.get("GREENFRONT_REQUIRE_NNI") == "1":
            pytest.fail("GREENFRONT_REQUIRE_NNI=1, but nni is not installed")
        pytest.skip("nni is not installed")
    from greenfront.spaces.architectures.nni import _imported

    return _imported("nni:nasbench201")[0]


def point(short: str, seed: int | None) -> dict[str, Value]:
    """The baseline, or a point of this seed."""
    family = NNI(f"nni:{short}")
    if seed is None:
        return dict(family.baseline())
    space = SearchSpace(family.knobs(), decode=PlainChoice)
    return space.sample(np.random.default_rng(seed))


def build(short: str, input_shape: tuple[int, ...], seed: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    return NNI(f"nni:{short}").build(point(short, seed), input_shape, CLASSES)


def frozen(hub: Any, short: str, shape: dict[str, Value], **arguments: int) -> nn.Module:
    """NNI's own member of the space."""
    from nni.nas.space import model_context

    with model_context(SPACES[short].sample(shape)):
        member: nn.Module = getattr(hub, SPACES[short].class_name)(**arguments)
    return member


@pytest.mark.usefixtures("hub")
class TestNasBench201(ArchitectureContract):
    family: ClassVar[Architecture] = NNI("nni:nasbench201")
    input_shape: ClassVar[tuple[int, ...]] = SMALL
    refused: ClassVar[tuple[tuple[int, ...], ...]] = ((64,), (8, 8), (1, 3, 8), (1, 8, 3))
    shape: ClassVar[Shape | None] = {
        "cell_0_1": "conv_1x1",
        "cell_0_2": "none",
        "cell_1_2": "none",
        "cell_0_3": "skip_connect",
        "cell_1_3": "conv_1x1",
        "cell_2_3": "none",
    }


# --- the knobs ------------------------------------------------------------------------------


@pytest.mark.parametrize("short", SPACES)
def test_the_knobs_are_those_of_the_installed_nni(hub: Any, short: str) -> None:
    choices = getattr(hub, SPACES[short].class_name)().simplify()
    ours = {knob.name: set(knob.values()) for knob in NNI(f"nni:{short}").knobs()}
    sampled = {label: set(choice.values) for label, choice in choices.items()}
    assert SPACES[short].sample(dict.fromkeys(ours, 0)).keys() == sampled.keys()
    assert list(ours.values()) == [sampled[n] for n in SPACES[short].sample(dict.fromkeys(ours, 0))]


@pytest.mark.parametrize("short", SPACES)
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_nothing_is_asked_in_vain_and_nothing_is_missing(
    hub: Any, short: str, seed: int | None
) -> None:
    space = getattr(hub, SPACES[short].class_name)()
    sample = SPACES[short].sample(point(short, seed))
    assert space.check_contains(sample) is None
    for label in list(sample)[::5]:
        fewer = {other: value for other, value in sample.items() if other != label}
        assert space.check_contains(fewer) is not None, label


@pytest.mark.parametrize("short", SPACES)
def test_the_baseline_is_a_whole_point(short: str) -> None:
    baseline = point(short, None)
    space = SearchSpace(NNI(f"nni:{short}").knobs(), decode=PlainChoice)
    assert space.complete(baseline, np.random.default_rng(0)) == baseline


@pytest.mark.parametrize(
    ("short", "published"),
    [
        ("proxylessnas", "proxyless-mobile"),
        ("shufflenet", "spos"),
        ("autoformer", "autoformer-tiny"),
    ],
)
def test_the_baseline_is_the_published_network(hub: Any, short: str, published: str) -> None:
    network = getattr(hub, SPACES[short].class_name).load_searched_model(published)
    ours = NNI(f"nni:{short}").build(point(short, None), (3, 224, 224), 1000)
    assert [w.numel() for w in ours.parameters()] == [w.numel() for w in network.parameters()]


# --- the module -----------------------------------------------------------------------------


@pytest.mark.parametrize("short", SPACES)
def test_it_computes_what_nnis_own_member_computes(hub: Any, short: str) -> None:
    edge = 32 if short == "nasbench201" else 224
    shape = point(short, None)
    theirs = frozen(hub, short, shape, num_labels=CLASSES)
    ours = build(short, (3, edge, edge))
    with torch.no_grad():
        for weight, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
            weight.copy_(wanted.view_as(weight))
    inputs = torch.randn(2, 3, edge, edge)
    answers = []
    for model in (ours, theirs):
        torch.manual_seed(0)  # for what is dropped
        answers.append(model.train()(inputs))
    assert answers[1].std() > 0
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("short", "edges"),
    [
        # 4 → 4, 30 → 15 → 8 → 4, 28 → 14 → 7, 224 → 112 → 56 → 28 → 14 → 7
        ("mobilenetv3", {4: 4, 8: 4, 28: 7, 30: 4, 224: 7}),
        ("proxylessnas", {4: 4, 8: 4, 28: 7, 30: 4, 224: 7}),
        ("shufflenet", {4: 4, 8: 4, 28: 7, 30: 4, 224: 7}),
        ("nasbench201", {4: 4, 8: 4, 28: 7, 30: 8, 64: 16}),
    ],
)
def test_maps_never_shrink_below_four_pixels(short: str, edges: dict[int, int]) -> None:
    seen = {}
    for edge in edges:
        model = build(short, (2, edge, edge + 1), seed=1)
        pooling = next(m for m in model.modules() if isinstance(m, nn.AdaptiveAvgPool2d))

        def look(_: nn.Module, inputs: tuple[Tensor, ...], edge: int = edge) -> None:
            seen[edge] = inputs[0].shape[-2]

        pooling.register_forward_pre_hook(look)
        assert model(torch.randn(2, 2, edge, edge + 1)).shape == (2, CLASSES)
    assert seen == edges


@pytest.mark.parametrize(
    ("edge", "patch"), [(4, 1), (8, 1), (14, 2), (28, 4), (32, 4), (64, 8), (224, 16), (512, 16)]
)
def test_patches_shrink_with_the_image(edge: int, patch: int) -> None:
    assert patch_edge(edge) == patch


@pytest.mark.usefixtures("hub")
def test_no_pixel_is_cut_off() -> None:
    model = build("autoformer", (1, 31, 31)).eval()
    inputs = torch.zeros(1, 1, 31, 31)
    corner = inputs.clone()
    corner[..., -1, -1] = 100.0
    assert not torch.equal(model(inputs), model(corner))


@pytest.mark.usefixtures("hub")
def test_edges_of_a_cell_that_lead_nowhere_are_left_out() -> None:
    family = NNI("nni:nasbench201")
    whole = family.build({**CUT_OFF, "cell_0_3": "conv_1x1"}, SMALL, CLASSES)
    alone = dict.fromkeys(CUT_OFF, "none") | {"cell_0_3": "conv_1x1"}
    assert parameter_count(whole) == parameter_count(family.build(alone, SMALL, CLASSES))


@pytest.mark.usefixtures("hub")
def test_a_cell_without_a_path_gives_the_same_for_all(tmp_path: Path) -> None:
    model = NNI("nni:nasbench201").build(CUT_OFF, SMALL, CLASSES).eval()
    inputs = torch.randn(3, *SMALL)
    logits = model(inputs)
    assert torch.equal(logits, logits[:1].expand(3, -1))
    to_onnx(model, SMALL, tmp_path / "file.onnx")
    (given,) = open_artefact(tmp_path / "file.onnx", 1).run([OUTPUT], {INPUT: inputs.numpy()})
    np.testing.assert_allclose(given, logits.detach().numpy(), atol=1e-5)


# --- pruned, stored and exported ------------------------------------------------------------


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("short", SPACES)
@pytest.mark.parametrize("input_shape", [(3, 15, 15), SMALL])
def test_members_are_trained_pruned_stored_and_exported(
    short: str, input_shape: tuple[int, ...], tmp_path: Path
) -> None:
    family = NNI(f"nni:{short}")
    model = build(short, input_shape, seed=2)
    inputs = torch.randn(3, *input_shape)
    nn.functional.cross_entropy(model(inputs), torch.tensor([0, 1, 2])).backward()
    assert all(weight.grad is not None for weight in model.parameters())
    if family.cannot_prune is None:
        assert 0.4 < prune(model, inputs[:1], 0.5, family.head(model)) < 0.9
    save_network(model, tmp_path / "weights.safetensors")
    again = build(short, input_shape, seed=2)
    load_network(again, tmp_path / "weights.safetensors")
    to_onnx(again, input_shape, tmp_path / "file.onnx")
    (given,) = open_artefact(tmp_path / "file.onnx", 1).run([OUTPUT], {INPUT: inputs.numpy()})
    wanted = model.eval()(inputs).detach().numpy()
    np.testing.assert_allclose(given, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.usefixtures("hub")
def test_what_is_said_not_to_be_pruned_cannot_be() -> None:
    refused = {short for short in SPACES if NNI(f"nni:{short}").cannot_prune}
    assert refused == {"shufflenet"}
    # The whole network fails like its first two blocks, but takes half a minute to do so.
    first, halving, shuffling = list(build("shufflenet", SMALL))[:3]  # type: ignore[call-overload]
    head = nn.Linear(shuffling.out_channels, CLASSES)
    model = nn.Sequential(first, halving, shuffling, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    with pytest.raises(TrialFailed, match="cannot prune"):
        prune(model, torch.randn(1, *SMALL), 0.5, head)


# --- what may go wrong ----------------------------------------------------------------------


@pytest.mark.usefixtures("hub")
def test_a_transformer_refuses_what_is_not_square() -> None:
    assert NNI("nni:autoformer").objection((1, 8, 9)) == "it needs images as high as wide"
    assert NNI("nni:proxylessnas").objection((1, 8, 9)) is None


def test_an_unknown_space_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"'nni:mobilenet' is unknown \(did you mean 'nni:mobil"):
        NNI("nni:mobilenet")
    with pytest.raises(UsageError, match=r"'nni:' is unknown: take one of nni:mobilenetv3, "):
        NNI("nni:")


@pytest.mark.parametrize("package", ["nni", "pytorch_lightning"])
def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    if importlib.util.find_spec("nni") is None:
        package = "nni"
    monkeypatch.setitem(sys.modules, package, None)
    family = NNI("nni:proxylessnas")
    with pytest.raises(UsageError, match=rf"needs the package '{package}'.*pip install"):
        family.objection((3, 32, 32))


def test_without_nni_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(UsageError, match=r"needs the package 'nni'.*pip install --no-deps nni"):
        build("nasbench201", SMALL)


@pytest.mark.usefixtures("hub")
def test_laying_out_a_space_imports_neither_torch_nor_nni() -> None:
    code = (
        "import sys\n"
        "from greenfront.spaces.architectures.nni import NNI\n"
        f"for short in {list(SPACES)}:\n"
        "    family = NNI(f'nni:{short}')\n"
        "    family.objection((3, 32, 32)), family.knobs(), family.baseline()\n"
        "sys.exit(bool({'torch', 'nni', 'pytorch_lightning'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("hub")
def test_nni_does_not_write_between_the_lines_of_a_study(
    capfd: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger("nni").info("a log of NNI's, which it would print")
    build("nasbench201", SMALL)
    assert capfd.readouterr() == ("", "")
