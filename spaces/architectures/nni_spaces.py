"""The spaces of NNI's hub as knobs, so that a search can be laid out without NNI or torch.

Knobs carry NNI's own labels ("/" written "_"), as in the papers. Those of a block are conditional
on the depth of its stage. The tests compare every knob with the installed NNI.

Baselines are the networks that their authors published as found by the search, or the nearest to
them that the space contains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from greenfront.spaces.knobs import Categorical, Integer, Knob, Real, Value, When

__all__ = ["SPACES", "HubSpace"]

MULTIPLIERS = (0.5, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0)
LARGEST_DEPTH = 4
"""Blocks of a stage, at most, in the spaces of mobile networks."""


@dataclass(frozen=True, slots=True)
class HubSpace:
    """One space of the hub.

    Attributes:
        class_name: In ``nni.nas.hub.pytorch``.
        knobs: What may be chosen.
        baseline: The published network.
        cannot_prune: See :class:`greenfront.spaces.architectures.architecture.Architecture`.
        square: Whether images must be as high as wide.
    """

    class_name: str
    knobs: tuple[Knob, ...]
    baseline: dict[str, Value]
    cannot_prune: str | None = None
    square: bool = False

    def sample(self, shape: dict[str, Value]) -> dict[str, Value]:
        """The shape under NNI's labels."""
        return {name.replace("cell_", "cell/"): value for name, value in shape.items()}


def _reached(stage: int, block: int) -> tuple[When, ...]:
    if block == 0:
        return ()
    return (When(f"s{stage}_depth", tuple(range(block + 1, LARGEST_DEPTH + 1))),)


def _mobilenetv3_knobs() -> Iterator[Knob]:
    for stage in range(8):
        yield Categorical(f"s{stage}_width_mult", MULTIPLIERS)
    yield Integer("stem_ks", 3, 5, step=2)
    yield Integer("s0_i0_ks", 3, 7, step=2)
    for stage in range(1, 6):
        yield Integer(f"s{stage}_depth", 1, LARGEST_DEPTH)
        for block in range(LARGEST_DEPTH):
            label, when = f"s{stage}_i{block}", _reached(stage, block)
            yield Integer(f"{label}_exp", 1, 6, when=when)
            yield Integer(f"{label}_ks", 3, 7, step=2, when=when)
            if stage in (2, 4, 5):
                yield Categorical(f"{label}_se", ("identity", "se"), when=when)


def _mobilenetv3_baseline() -> dict[str, Value]:
    # MobileNetV3-Large (arXiv 1905.02244), kernel and expansion of each block; the space has no
    # expansions of 2.3 and 2.5.
    stages = (
        ((3, 4), (3, 3)),
        ((5, 3), (5, 3), (5, 3)),
        ((3, 6), (3, 2), (3, 2), (3, 2)),
        ((3, 6), (3, 6)),
        ((5, 6), (5, 6), (5, 6)),
    )
    point: dict[str, Value] = {f"s{stage}_width_mult": 1.0 for stage in range(8)}
    point |= {"stem_ks": 3, "s0_i0_ks": 3}
    for stage, blocks in enumerate(stages, 1):
        point[f"s{stage}_depth"] = len(blocks)
        for block, (kernel, expansion) in enumerate(blocks):
            label = f"s{stage}_i{block}"
            point |= {f"{label}_exp": expansion, f"{label}_ks": kernel}
            if stage in (2, 4, 5):
                point[f"{label}_se"] = "se"
    return point


def _proxylessnas_knobs() -> Iterator[Knob]:
    choices = tuple(f"k{kernel}e{expansion}" for expansion in (3, 6) for kernel in (3, 5, 7))
    for stage in range(2, 7):
        yield Integer(f"s{stage}_depth", 1, LARGEST_DEPTH)
        for block in range(LARGEST_DEPTH):
            yield Categorical(f"s{stage}_i{block}", choices, when=_reached(stage, block))
    yield Categorical("s7_i0", choices)


def _proxylessnas_baseline() -> dict[str, Value]:
    # Proxyless-Mobile (arXiv 1812.00332).
    stages = (
        "k5e3 k3e3",
        "k7e3 k3e3 k5e3 k5e3",
        "k7e6 k5e3 k5e3 k5e3",
        "k5e6 k5e3 k5e3 k5e3",
        "k7e6 k7e6 k7e3 k7e3",
    )
    point: dict[str, Value] = {"s7_i0": "k7e6"}
    for stage, blocks in enumerate(stages, 2):
        choices = blocks.split()
        point[f"s{stage}_depth"] = len(choices)
        point |= {f"s{stage}_i{block}": choice for block, choice in enumerate(choices)}
    return point


def _nasbench201_knobs() -> Iterator[Knob]:
    operations = ("none", "skip_connect", "conv_1x1", "conv_3x3", "avg_pool_3x3")
    for target in range(1, 4):
        for source in range(target):
            yield Categorical(f"cell_{source}_{target}", operations)


def _nasbench201_baseline() -> dict[str, Value]:
    # The residual cell that the benchmark's authors compare with (arXiv 2001.00326).
    return {
        "cell_0_1": "conv_3x3",
        "cell_0_2": "conv_3x3",
        "cell_1_2": "conv_3x3",
        "cell_0_3": "skip_connect",
        "cell_1_3": "conv_3x3",
        "cell_2_3": "conv_3x3",
    }


def _shufflenet_knobs() -> Iterator[Knob]:
    for layer in range(1, 21):
        yield Categorical(f"layer_{layer}", ("k3", "k5", "k7", "xcep"))


def _shufflenet_baseline() -> dict[str, Value]:
    # Single Path One-Shot (arXiv 1904.00420).
    layers = "k7 k5 k3 k5 k7 k3 k7 k3 k7 k3 k7 xcep k3 k3 k3 k3 xcep k7 xcep xcep"
    return {f"layer_{layer}": choice for layer, choice in enumerate(layers.split(), 1)}


def _autoformer_knobs() -> Iterator[Knob]:
    lowest, highest = 12, 14
    yield Integer("embed_dim", 192, 240, step=24)
    yield Integer("depth", lowest, highest)
    for layer in range(highest):
        reached = tuple(range(max(layer + 1, lowest), highest + 1))
        when = (When("depth", reached),) if layer >= lowest else ()
        yield Integer(f"num_head_{layer}", 3, 4, when=when)
        yield Real(f"mlp_ratio_{layer}", 3.0, 4.0, step=0.5, when=when)


def _autoformer_baseline() -> dict[str, Value]:
    # AutoFormer-Tiny (arXiv 2107.00651).
    ratios = (3.5, 3.5, 3.0, 3.5, 3.0, 3.0, 4.0, 4.0, 3.5, 4.0, 3.5, 4.0, 3.5)
    heads = (3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 3, 3)
    point: dict[str, Value] = {"embed_dim": 192, "depth": len(ratios)}
    for layer, (ratio, count) in enumerate(zip(ratios, heads, strict=True)):
        point |= {f"mlp_ratio_{layer}": ratio, f"num_head_{layer}": count}
    return point


SPACES = {
    "mobilenetv3": HubSpace(
        "MobileNetV3Space", tuple(_mobilenetv3_knobs()), _mobilenetv3_baseline()
    ),
    "proxylessnas": HubSpace(
        "ProxylessNAS", tuple(_proxylessnas_knobs()), _proxylessnas_baseline()
    ),
    "nasbench201": HubSpace("NasBench201", tuple(_nasbench201_knobs()), _nasbench201_baseline()),
    "shufflenet": HubSpace(
        "ShuffleNetSpace",
        tuple(_shufflenet_knobs()),
        _shufflenet_baseline(),
        cannot_prune="its blocks take every other channel, which fixes their number and order",
    ),
    "autoformer": HubSpace(
        "AutoFormer", tuple(_autoformer_knobs()), _autoformer_baseline(), square=True
    ),
}
"""The spaces by the name after ``nni:``."""
