"""Structured pruning: channels, neurons and attention heads leave the tensors for good."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from greenfront.errors import TrialFailed, UsageError, first_line
from greenfront.objectives.stages.importance import Loss, importance_of
from greenfront.objectives.stages.nni_importance import BREAKAGES
from greenfront.objectives.stages.ties import (
    Axis,
    Tie,
    narrowed_axes,
    tie_again,
    ties_of,
    together,
)
from greenfront.spaces.techniques.pruning import Pruning

__all__ = ["cumulative_ratio", "parameter_count", "prune", "widths"]

ROUND_TO = 4
"""Channels are kept in multiples of this, so that kernels fill vector registers."""
MAX_RATIO = 0.95
"""A global ranking takes at most this share of one layer: it must never be emptied."""
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
"""Layers whose gates cannot be followed."""
PROJECTIONS = (("qkv",), ("query", "key", "value"), ("q_lin", "k_lin", "v_lin"))
"""What attention layers of timm and transformers call their projections into heads."""
HEADS = ("num_heads", "num_attention_heads", "n_heads")
HEAD_WIDTHS = ("attn_dim", "all_head_size")
"""What they call the number of heads, and the width of all heads together."""


def parameter_count(model: nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in model.parameters())


def cumulative_ratio(ratio: float, step: int, steps: int) -> float:
    """Ratio to have reached after ``step`` of ``steps`` on the way to ``ratio``.

    Cubic: fast while much is redundant, slow towards the end (Zhu and Gupta, arXiv 1710.01878).
    """
    return ratio * (1 - (1 - step / steps) ** 3)


def widths(model: nn.Module) -> dict[str, int]:
    """Channels and heads by layer, before any pruning: what ratios of gradual steps refer to."""
    found = {}
    attentions = {attention.projections[0]: attention for attention in _attentions(model)}
    for name, layer in model.named_modules():
        if layer in attentions:
            found[name] = attentions[layer].heads
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            found[name] = layer.weight.shape[0]
    return found


def prune(
    model: nn.Module,
    example: Tensor,
    pruning: Pruning | float,
    head: nn.Module,
    *,
    loss: Loss | None = None,
    original: Mapping[str, int] | None = None,
) -> float:
    """Removes the weakest channels and heads of each dependency group, in place.

    What has to leave together is found by a dependency graph (Fang et al., DepGraph,
    arXiv 2301.12900), and by weights that layers share, which stay shared. Heads keep their width;
    hidden width, heads and the inner width of feed-forward layers shrink by the same ratio.

    Gradual pruning calls this several times, with the ratio of :func:`cumulative_ratio` and always
    the same ``original``; the last call leaves the shapes that a single one would have left.

    Args:
        model: Its layers get smaller tensors; it is left in evaluation mode. Useless after a
            failure.
        example: One batch of inputs, to trace the dependencies.
        pruning: Ratio, scope and importance; a number is a ratio with the defaults of the others.
        head: Keeps its outputs.
        loss: Scalar loss of a module on the training batch of a number; for the importances that
            weigh by its gradient or train.
        original: :func:`widths` of the unpruned network, to which the ratio refers; ``None`` if
            this one is it.

    Returns:
        Share of the parameters removed by this call: what was achieved, which rounding and small
        layers move away from what was asked for. With ``original`` it may be 0.

    Raises:
        TrialFailed: The ratio removes nothing, or the layers depend on each other in a way that
            cannot be followed (cause ``"cannot prune"``).
        UsageError: An importance without the loss or the package that it needs, or an unknown
            scope or importance.
    """
    if not isinstance(pruning, Pruning):
        pruning = Pruning(ratio=pruning)
    if pruning.scope not in ("uniform", "global"):
        raise UsageError(f"pruning scope {pruning.scope!r} is unknown: take 'uniform' or 'global'")
    before = parameter_count(model)
    model.eval()
    with torch.enable_grad():
        model.zero_grad(set_to_none=True)
        importance = importance_of(pruning, model, head, loss)
        try:
            _prune(model, example, pruning, head, importance, original or widths(model))
        except BREAKAGES as failure:
            why = "the layers of this network cannot be narrowed together"
            why = _recurrent(model) or f"{why} ({first_line(failure)})"
            raise TrialFailed("cannot prune", why) from failure
    model.zero_grad(set_to_none=True)
    removed = 1 - parameter_count(model) / before
    if removed == 0 and original is None:
        why = f"a pruning ratio of {pruning.ratio:g} removes nothing from this network"
        raise TrialFailed("cannot prune", _recurrent(model) or why)
    return removed


def _recurrent(model: nn.Module) -> str | None:
    """Why a network with such layers cannot be pruned; ``None`` where it has none."""
    kinds = sorted({type(m).__name__ for m in model.modules() if isinstance(m, RECURRENT)})
    return (
        f"the gates of its recurrent layers ({', '.join(kinds)}) stay as they are"
        if kinds
        else None
    )


@dataclass(slots=True)
class _Attention:
    """An attention layer, its projections into heads, and how many there are."""

    module: nn.Module
    projections: tuple[nn.Linear, ...]
    heads: int

    def tell(self, heads: int) -> None:
        """Writes a new number of heads of the same width into the layer."""
        width = self.projections[0].out_features // (3 if len(self.projections) == 1 else 1)
        for name in HEADS:
            if hasattr(self.module, name):
                setattr(self.module, name, heads)
        for name in HEAD_WIDTHS:
            if hasattr(self.module, name):
                setattr(self.module, name, width)
        self.heads = heads


def _attentions(model: nn.Module) -> Iterator[_Attention]:
    for module in model.modules():
        heads = next((n for name in HEADS if isinstance(n := getattr(module, name, None), int)), 0)
        for names in PROJECTIONS:
            layers = [getattr(module, name, None) for name in names]
            linear = tuple(layer for layer in layers if isinstance(layer, nn.Linear))
            if heads and len(linear) == len(names):
                yield _Attention(module, linear, heads)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Channels of one dependency group, of which some are to leave.

    Attributes:
        groups: The group that the channel numbers refer to, and those that shrink with it, because
            they hold other axes of a weight that layers share.
        pieces: Channel numbers ``[pieces, channels]``: a row leaves as a whole.
        scores: How much each piece is worth, ``[pieces]``.
        whole: Pieces before any pruning.
        multiple: What number of pieces is kept is a multiple of this.
        attention: The layer whose heads the pieces are.
    """

    groups: tuple[Any, ...]
    pieces: Tensor
    scores: Tensor
    whole: int
    multiple: int
    attention: _Attention | None = None

    def left(self, count: float) -> int:
        """The number nearest to ``count`` that may be left."""
        # 100 × (1 − 0.8) is 19.999…; single pieces are coarse, so they are rounded both ways.
        whole = math.floor(count + (0.5 if self.multiple == 1 else 1e-9))
        kept = max(self.multiple, whole // self.multiple * self.multiple)
        return min(len(self.scores), kept)


def _prune(
    model: nn.Module,
    example: Tensor,
    pruning: Pruning,
    head: nn.Module,
    importance: Any,
    original: Mapping[str, int],
) -> None:
    wanted = model(example).shape
    graph = torch_pruning.DependencyGraph().build_dependency(model, [example], verbose=False)
    ties = ties_of(model)
    choices = _tied(list(_choices(model, graph, head, importance, original)), graph, ties)
    for choice, left in zip(choices, _left(choices, pruning), strict=True):
        gone = choice.scores.argsort(stable=True)[: len(choice.scores) - left]
        channels = choice.pieces[gone].flatten().sort().values.tolist()
        for group in choice.groups if channels else ():
            root = group[0][0]
            graph.get_pruning_group(root.target.module, root.handler, channels).prune()
            if choice.attention is not None:
                choice.attention.tell(left)
    tie_again(ties)
    with torch.no_grad():
        given = model(example).shape
    if given != wanted:
        raise ValueError(f"outputs of shape {tuple(wanted)} became {tuple(given)}")


def _choices(
    model: nn.Module, graph: Any, head: nn.Module, importance: Any, original: Mapping[str, int]
) -> Iterator[_Choice]:
    names = {module: name for name, module in model.named_modules()}
    attentions = {layer: a for a in _attentions(model) for layer in a.projections}
    for group in graph.get_all_groups(ignored_layers=list(head.modules())):
        members = [
            dep.target.module for dep, _ in group if graph.is_out_channel_pruning_fn(dep.handler)
        ]
        attention = next((attentions[m] for m in members if m in attentions), None)
        name = names[group[0][0].target.module]
        if attention is not None:
            # Counted where heads are joined again: channel numbers there are plain, while those
            # of a fused projection are those of queries, keys and values in a row.
            joined = _joined(graph, group)
            if joined is None or len({p.out_features for p in attention.projections}) > 1:
                continue  # fewer heads of keys than of queries
            group, blocks = joined, 1
        else:
            blocks = math.lcm(*(_blocks(dep) for dep, _ in group))
        scores = importance(group)
        if scores is None:
            continue
        scores = torch.nan_to_num(scores.detach().float().cpu())
        numbers = torch.arange(len(scores))
        if attention is not None:
            pieces = numbers.view(attention.heads, -1)
            whole, multiple = original[names[attention.projections[0]]], 1
        else:
            # The same place of each block of a grouped layer, so that blocks stay equal.
            pieces = numbers.view(blocks, -1).T
            whole, multiple = original[name] // blocks, ROUND_TO // math.gcd(ROUND_TO, blocks)
        yield _Choice((group,), pieces, scores[pieces].mean(1), whole, multiple, attention)


def _tied(choices: Sequence[_Choice], graph: Any, ties: Sequence[Tie]) -> list[_Choice]:
    """The choices, with one for all that has to shrink alike; those that cannot are left out."""
    if not ties:
        return list(choices)
    found = []
    for numbers in together([_axes(graph, choice.groups[0]) for choice in choices], ties):
        first, *others = (choices[number] for number in numbers)
        if others:
            if any(c.attention or not torch.equal(c.pieces, first.pieces) for c in others):
                continue
            worth = torch.stack([choice.scores for choice in (first, *others)]).mean(0)
            groups = tuple(choice.groups[0] for choice in (first, *others))
            first = replace(first, groups=groups, scores=worth)
        found.append(first)
    return found


def _axes(graph: Any, group: Any) -> dict[Axis, list[Any]]:
    """The axes of weights that get shorter with a group, and which channels stand where on them."""
    found: dict[Axis, list[Any]] = {}
    for item in group:
        layer, outputs = item.dep.target.module, graph.is_out_channel_pruning_fn(item.dep.handler)
        for axis in narrowed_axes(layer, outputs=outputs) if isinstance(layer, nn.Module) else ():
            found.setdefault(axis, []).append((list(item.idxs), list(item.root_idxs)))
    return found


def _joined(graph: Any, group: Any) -> Any:
    """The same group, seen from the inputs of the layer that follows attention."""
    found = None
    for dep, channels in group:
        layer = dep.target.module
        if isinstance(layer, nn.Linear) and graph.is_in_channel_pruning_fn(dep.handler):
            found = graph.get_pruning_group(layer, dep.handler, channels)
    return found


def _blocks(dep: Any) -> int:
    """Equal blocks that the channels of a layer fall into, all of which must shrink alike."""
    match dep.target.module:
        case nn.GroupNorm() as norm:
            return norm.num_groups
        case nn.Conv2d() as conv if conv.groups != conv.out_channels:
            return conv.groups
        case _:
            return 1


def _left(choices: Sequence[_Choice], pruning: Pruning) -> list[int]:
    """How many pieces each choice keeps."""
    if pruning.scope == "uniform":
        return [choice.left(choice.whole * (1 - pruning.ratio)) for choice in choices]
    kept = {id(c): 0 for c in choices}
    for heads in (False, True):  # a head and a channel are not worth the same
        ranked = [c for c in choices if (c.attention is not None) == heads]
        if ranked:
            scores = torch.cat([choice.scores for choice in ranked])
            total = sum(choice.whole for choice in ranked)
            best = min(len(scores), max(1, round(total * (1 - pruning.ratio))))
            threshold = scores.topk(best).values[-1]
            for c in ranked:
                above = int((c.scores >= threshold).sum())
                kept[id(c)] = c.left(max(above, c.whole * (1 - MAX_RATIO)))
    return [kept[id(choice)] for choice in choices]
