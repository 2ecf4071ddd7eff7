from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.fake_quant import fake_quantized
from greenfront.objectives.stages.prune import parameter_count, prune, widths
from greenfront.objectives.stages.structure import load_network, save_network
from greenfront.objectives.stages.ties import Place, tie_again, ties_of, together
from greenfront.spaces.techniques.pruning import Pruning

IMAGES = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randint(0, 20, (4, 7), generator=torch.Generator().manual_seed(0))


class TwoNames(nn.Module):
    """One weight in two convolutions that follow each other."""

    def __init__(self, *, tied: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, padding=1)
        self.first = nn.Conv2d(24, 24, 3, padding=1)
        self.again = nn.Conv2d(24, 24, 3, padding=1)
        if tied:
            self.again.weight = self.first.weight
        self.head = nn.Linear(24, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.again(self.first(self.stem(inputs).relu()).relu()).relu()
        return self.head(hidden.mean((2, 3)))  # type: ignore[no-any-return]


class Twins(nn.Module):
    """Two towers with the same weights and biases of their own, then another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(36, 16), nn.Linear(36, 16)
        self.right.weight = self.left.weight
        self.norm, self.other_norm = nn.LayerNorm(16), nn.LayerNorm(16)
        self.other_norm.weight = self.norm.weight
        self.mix = nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        flat = inputs.flatten(1)
        hidden = self.norm(self.left(flat)).relu() + self.other_norm(self.right(flat)).tanh()
        return self.head(self.mix(hidden).relu())  # type: ignore[no-any-return]


class TiedToInputs(nn.Module):
    """The weight's second axis is, at its first place, that of the inputs, which stay."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(36, 36), nn.Linear(36, 36)
        self.again.weight = self.first.weight
        self.wide, self.head = nn.Linear(36, 24), nn.Linear(24, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.again(self.first(inputs.flatten(1)).relu()).relu()
        return self.head(self.wide(hidden).relu())  # type: ignore[no-any-return]


class TiedEmbedding(nn.Module):
    """Classes are the vocabulary: the head's weight is the embedding's."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 16)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Linear(16, 20, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embedding(tokens).mean(1)
        return self.head(self.down(self.up(hidden).relu()))  # type: ignore[no-any-return]


def built(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return kind()


def tied_places(model: nn.Module) -> list[set[str]]:
    names = {module: name for name, module in model.named_modules()}
    return [{f"{names[p.module]}.{p.name}" for p in tie} for tie in ties_of(model)]


CASES = pytest.mark.parametrize(
    ("kind", "inputs"),
    [(TwoNames, IMAGES), (Twins, IMAGES), (TiedEmbedding, TOKENS), (TiedToInputs, IMAGES)],
)


@CASES
@pytest.mark.parametrize("scope", ["uniform", "global"])
@pytest.mark.parametrize("importance", ["magnitude", "taylor"])
def test_ties_survive_pruning_and_reload(
    kind: type[nn.Module], inputs: Tensor, scope: str, importance: str, tmp_path: Path
) -> None:
    model = built(kind)
    before, whole = tied_places(model), parameter_count(model)
    pruning = Pruning(0.5, scope=scope, importance=importance)
    head = model.get_submodule("head")
    prune(model, inputs, pruning, head, loss=lambda network, _: network(inputs).square().mean())
    assert tied_places(model) == before != []
    assert parameter_count(model) < whole
    wanted = model.eval()(inputs)
    save_network(model, tmp_path / "weights.safetensors")
    restored = built(kind, seed=1)
    load_network(restored, tmp_path / "weights.safetensors")
    assert torch.equal(restored.eval()(inputs), wanted)
    assert tied_places(restored) == before
    assert parameter_count(restored) == parameter_count(model)


def test_layers_that_share_a_weight_shrink_alike() -> None:
    model = TwoNames()
    prune(model, IMAGES, 0.5, model.head)
    shapes = [tuple(layer.weight.shape) for layer in (model.stem, model.first, model.again)]
    assert shapes == [(12, 1, 3, 3), (12, 12, 3, 3), (12, 12, 3, 3)]
    assert [len(layer.bias) for layer in (model.first, model.again)] == [12, 12]  # type: ignore[arg-type]


def test_what_is_cut_is_what_all_places_need_least() -> None:
    model = TwoNames()
    with torch.no_grad():
        for weight in (model.stem.weight, model.first.weight, model.head.weight):
            weight.fill_(1.0)
        for channel in (0, 5, 6, 7, 11, 13, 17, 23):
            model.stem.weight[channel] = 0.01
            model.first.weight[channel] = 0.01
            model.first.weight[:, channel] = 0.01
            model.head.weight[:, channel] = 0.01
    prune(model, IMAGES, 1 / 3, model.head)
    assert model.stem.weight.shape[0] == 16
    for weight in (model.stem.weight, model.first.weight, model.head.weight):
        assert torch.equal(weight, torch.ones_like(weight))


def test_a_tie_to_what_stays_keeps_its_shape() -> None:
    model = TiedToInputs()
    prune(model, IMAGES, 0.5, model.head)
    assert model.first.weight.shape == (36, 36)
    assert model.wide.weight.shape == (12, 36)


def test_a_weight_that_is_used_by_itself_as_well_cannot_be_narrowed() -> None:
    class Transposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.head = nn.Linear(36, 16), nn.Linear(36, 5)

        def forward(self, inputs: Tensor) -> Tensor:
            hidden = self.encode(inputs.flatten(1)).relu()
            return self.head(hidden @ self.encode.weight)  # type: ignore[no-any-return]

    model = Transposed()
    with pytest.raises(TrialFailed, match="cannot be narrowed together"):
        prune(model, IMAGES, 0.5, model.head)


def test_gradual_pruning_keeps_ties() -> None:
    model, at_once = built(TwoNames), built(TwoNames)
    original = widths(model)
    for ratio in (0.2, 0.4, 0.5):
        prune(model, IMAGES, ratio, model.get_submodule("head"), original=original)
        assert tied_places(model) == [{"first.weight", "again.weight"}]
    prune(at_once, IMAGES, 0.5, at_once.get_submodule("head"))
    assert widths(model) == widths(at_once)


def test_rounding_keeps_ties() -> None:
    model = built(TwoNames)
    with fake_quantized(model, 4):
        model(IMAGES).sum().backward()
    assert tied_places(model) == [{"first.weight", "again.weight"}]


def test_places_that_differ_are_not_tied_again() -> None:
    model = TwoNames()
    ties = ties_of(model)
    model.again.weight = nn.Parameter(model.first.weight.detach() + 1)
    with pytest.raises(ValueError, match="that layers share came out as"):
        tie_again(ties)


PLACES = [Place(nn.Linear(1, 1), "weight") for _ in range(5)]


def test_groups_meet_at_shared_axes() -> None:
    a, b, c, d, _ = PLACES
    groups = [{(a, 1): 0}, {(a, 0): 0, (b, 1): 0}, {(b, 0): 0}, {(c, 0): 0}, {(d, 0): 0}]
    assert together(groups, []) == [[0], [1], [2], [3], [4]]
    assert together(groups, [(a, b)]) == [[0, 1, 2], [3], [4]]
    assert together(groups, [(a, b), (c, d)]) == [[0, 1, 2], [3, 4]]
    # Nothing shortens the other axis of c.
    assert together([*groups, {(d, 1): 0}], [(c, d)]) == [[0], [1], [2], [3, 4]]
    # Channels stand in another order at the other place.
    assert together([{(c, 0): [0, 1]}, {(d, 0): [1, 0]}, {(a, 0): 0}], [(c, d)]) == [[2]]


@given(
    st.lists(
        st.dictionaries(st.tuples(st.sampled_from(PLACES), st.integers(0, 1)), st.just(0)),
        max_size=8,
    ),
    st.lists(st.lists(st.sampled_from(PLACES), min_size=2, unique=True).map(tuple), max_size=1),
)
def test_no_shared_axis_is_split(
    groups: list[dict[tuple[Place, int], int]], ties: list[tuple[Place, ...]]
) -> None:
    found = together(groups, ties)
    numbers = [number for each in found for number in each]
    assert sorted(numbers) == sorted(set(numbers))
    for tie in ties:
        for axis in (0, 1):
            holders = [{n for n, g in enumerate(groups) if (place, axis) in g} for place in tie]
            cut = [each for each in found if any(n in held for held in holders for n in each)]
            # Either nothing shortens this axis, or one move shortens it at every place.
            assert len(cut) <= 1
            assert all(held & set(each) == held and held for each in cut for held in holders)
