from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from contracts.architectures import ArchitectureContract, Shape
from greenfront.errors import UsageError
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.architectures.user_model import UserModel

SOURCE = """
import math
from torch import nn
from greenfront.spaces.knobs import Categorical, Integer, When

def plain(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), 16), nn.ReLU(),
                         nn.Linear(16, classes))

def small(input_shape, classes, width, depth, kernel=3):
    layers, channels = [], input_shape[0]
    for _ in range(depth):
        layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False),
                   nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(4 * width, classes))

small.knobs = (Categorical("width", (16, 32)), Integer("depth", 1, 3),
               Categorical("kernel", (3, 5), when=(When("depth", (2, 3)),)))
small.baseline = {"width": 32, "depth": 2, "kernel": 3}

class Named(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(8, classes))
        self.body = nn.Sequential(nn.Flatten(), nn.LazyLinear(8))
    def forward(self, inputs):
        return self.classifier(self.body(inputs))

def named(input_shape, classes):
    return Named(classes)

def told(input_shape, classes):
    return plain(input_shape, classes)
told.cannot_prune = "it is not mine to prune"

def images_only(input_shape, classes):
    channels, height, width = input_shape
    return nn.Sequential(nn.Conv2d(channels, classes, (height, width)), nn.Flatten())

def headless(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Softmax(dim=1))

def fails(input_shape, classes):
    return {}["missing"]

def no_module(input_shape, classes):
    return 3

def too_few(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes - 1))

def too_narrow(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3, classes))

class Pair(nn.Module):
    def forward(self, inputs):
        return inputs, inputs

def pair(input_shape, classes):
    return Pair()

class HeadFirst(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.answer = nn.Linear(8, classes)
        self.body = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.ReLU())
    def forward(self, inputs):
        return self.answer(self.body(inputs))

def head_first(input_shape, classes):
    return HeadFirst(classes)

def meddling(input_shape, classes):
    import torch
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    return plain(input_shape, classes)

class Answers(dict):
    pass

class Named2(nn.Module):
    def forward(self, inputs):
        return Answers(logits=inputs)

def answers(input_shape, classes):
    return Named2()

def bad_knobs(input_shape, classes):
    return plain(input_shape, classes)
bad_knobs.knobs = ("width",)

def no_baseline(input_shape, classes, width):
    return plain(input_shape, classes)
no_baseline.knobs = (Categorical("width", (16, 32)),)

def bad_baseline(input_shape, classes, width):
    return plain(input_shape, classes)
bad_baseline.knobs = no_baseline.knobs
bad_baseline.baseline = {"width": 17}

number = 3
"""

MODULE = "greenfront_test_networks"


@pytest.fixture(scope="module", autouse=True)
def working_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with modules of the user's in it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / f"{MODULE}.py").write_text(SOURCE)
    (folder / "greenfront_test_broken_networks.py").write_text("1 / 0")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder
    sys.modules.pop(MODULE, None)


def network(function: str) -> UserModel:
    return UserModel(f"{MODULE}:{function}")


class TestModuleWithKnobs(ArchitectureContract):
    family: ClassVar[Any] = network("small")
    input_shape: ClassVar[tuple[int, ...]] = (1, 8, 8)
    refused: ClassVar[tuple[tuple[int, ...], ...]] = ((),)
    shape: ClassVar[Shape | None] = {"width": 16, "depth": 2, "kernel": 3}

    def test_settings_reach_the_function(self) -> None:
        weights = [p.shape for p in self.build().parameters() if p.ndim == 4]
        assert weights == [(16, 1, 3, 3), (16, 16, 3, 3)]


def test_the_registry_finds_it() -> None:
    found = architecture(f"{MODULE}:plain")
    assert isinstance(found, UserModel)
    assert found.name == f"{MODULE}:plain"


def test_a_function_alone_is_enough() -> None:
    family = network("plain")
    assert family.objection((3, 4, 4)) is None
    assert family.knobs() == ()
    assert family.baseline() == {}
    assert family.cannot_prune is None
    model = family.build({}, (3, 4, 4), 5)
    assert model(torch.randn(7, 3, 4, 4)).shape == (7, 5)
    assert family.head(model) is model[-1]  # type: ignore[index]


def test_texts_are_refused() -> None:
    assert network("plain").objection(()) == "it needs images or tables, not texts"


def test_the_named_head_wins_over_the_last_layer() -> None:
    family = network("named")
    model = family.build({}, (6,), 4)
    assert family.head(model) is model.classifier[1]  # type: ignore[index, union-attr]


def test_the_head_is_the_layer_whose_output_is_returned() -> None:
    family = network("head_first")
    model = family.build({}, (6,), 4)
    assert family.head(model) is model.answer
    convolved = network("images_only").build({}, (1, 5, 5), 4)
    assert network("images_only").head(convolved) is convolved[0]  # type: ignore[index]


def test_settings_of_all_torch_are_undone() -> None:
    model = network("meddling").build({}, (6,), 4)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_building_leaves_the_generator_alone() -> None:
    torch.manual_seed(0)
    network("named").build({}, (6,), 4)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    module = sys.modules[MODULE]
    module.named((6,), 4)(torch.zeros(2, 6))
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    network("named").build({}, (6,), 4)
    assert torch.equal(torch.rand(1), drawn)
    assert len(state) > 0


def test_the_function_may_say_that_it_cannot_be_pruned() -> None:
    assert network("told").cannot_prune == "it is not mine to prune"


def test_the_fingerprint_is_that_of_the_code_that_was_imported(working_directory: Path) -> None:
    family = network("plain")
    before = family.fingerprint()
    assert before == network("small").fingerprint() != ""
    file = working_directory / f"{MODULE}.py"
    file.write_text(SOURCE + "\n# changed\n")
    try:
        assert [network(name).fingerprint() for name in ("plain", "named")] == [before] * 2
        sys.modules.pop(MODULE)
        assert network("plain").fingerprint() not in (before, "")
    finally:
        file.write_text(SOURCE)
        sys.modules.pop(MODULE)
    assert family.fingerprint() == network("plain").fingerprint() == before


def test_a_function_from_elsewhere_has_the_fingerprint_of_its_file_too(
    working_directory: Path,
) -> None:
    file = working_directory / "greenfront_test_made.py"
    seen = []
    for elsewhere in ("greenfront_test_first", "greenfront_test_second"):
        (working_directory / f"{elsewhere}.py").write_text(
            f"def net(input_shape, classes): return {elsewhere!r}"
        )
        file.write_text(
            "import importlib\nfrom pathlib import Path\n"
            "net = importlib.import_module(Path(__file__).with_suffix('.txt').read_text()).net"
        )
        file.with_suffix(".txt").write_text(elsewhere)
        sys.modules.pop(file.stem, None)
        seen.append(UserModel(f"{file.stem}:net").fingerprint())
    assert len(set(seen)) == 2


def test_the_import_path_is_left_as_it_was() -> None:
    before = list(sys.path)
    network("plain").knobs()
    assert sys.path == before


def test_a_knob_that_cannot_be_is_told_with_its_module(working_directory: Path) -> None:
    (working_directory / "greenfront_test_bad_knob.py").write_text(
        "from greenfront import Integer\nWIDTH = Integer('width', 8, 4)\n"
    )
    with pytest.raises(
        UsageError, match=r"module 'greenfront_test_bad_knob' .*Integer 'width': low"
    ):
        UserModel("greenfront_test_bad_knob:build").knobs()


def test_naming_it_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from greenfront.spaces.architectures.registry import architecture\n"
        "architecture('somewhere:function')\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", [":", "a:", ":b", "my nets:small", "a:b:c"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="must read module:function, for example 'my_nets:small'"):
        UserModel(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("greenfront_no_such:net", "'greenfront_no_such' must be .*ModuleNotFoundError.*correct"),
        ("greenfront_test_broken_networks:net", "failed .ZeroDivisionError"),
        (f"{MODULE}:plian", r"networks.py\) must define 'plian', but .* did you mean 'plain'\?$"),
        (f"{MODULE}:number", "must be a function, but is of type int: name one that takes"),
        (f"{MODULE}:bad_knobs", r"knobs must be a tuple of Categorical.*, but are \('width',\)"),
        (f"{MODULE}:no_baseline", r"baseline must be .* but is {}: give 'width' one of"),
        (f"{MODULE}:bad_baseline", r"baseline must be .* but is {'width': 17}: give 'width'"),
    ],
)
def test_what_is_wrong_shows_before_the_search(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        UserModel(name).facts()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("fails", r"the call \(\(6,\), 4\) must return a network, but raised KeyError: 'missing'"),
        ("no_module", "must return a torch.nn.Module, but returned a int"),
        ("too_few", r"must give logits \[n, 4\], but gave \[2, 3\] for n = 2"),
        ("too_narrow", r"must take inputs \[n, 6\], but raised RuntimeError"),
        ("pair", r"must give logits \[n, 4\], but gave tuple: return the tensor of its logits"),
        ("answers", r"must give logits \[n, 4\], but gave Answers: return the tensor"),
        ("images_only", r"but raised ValueError: not enough values to unpack"),
    ],
)
def test_what_is_wrong_shows_when_it_is_built(function: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        network(function).build({}, (6,), 4)


def test_a_network_without_a_layer_for_its_logits_is_refused() -> None:
    family = network("headless")
    with pytest.raises(UsageError, match=r"must have an nn.Linear or nn.Conv2d that gives"):
        family.head(family.build({}, (4,), 4))


def test_modules_are_left_in_training_mode() -> None:
    assert isinstance(network("small").build(network("small").baseline(), (1, 8, 8), 2), nn.Module)
    assert network("small").build(network("small").baseline(), (1, 8, 8), 2).training
