"""Blocks of timm's networks, and freezing some of them. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

__all__ = ["PartlyFrozen", "blocks_of"]


def blocks_of(network: nn.Module) -> tuple[nn.Module, ...]:
    """Views of the network's parts from the stem to the last block, by timm's own grouping.

    Returns:
        Modules that hold the network's own layers and single parameters, under other names. The
        last group of timm's, which holds the head, is left out.
    """
    from timm.models import group_parameters

    body: Any = network
    groups: dict[str, int] = group_parameters(
        network, body.group_matcher(coarse=False), reverse=True
    )
    views = [nn.Module() for _ in range(max(groups.values()))]
    for group, part in _parts(network, "", groups):
        if group < len(views):
            view, name = views[group], str(len(list(views[group].named_children())))
            if isinstance(part, nn.Parameter):
                view.register_parameter(f"of_its_own_{len(view._parameters)}", part)
            else:
                view.add_module(name, part)
    return tuple(views)


class PartlyFrozen(nn.Sequential):
    """Layers around a ``network`` whose stem and lowest blocks are frozen in training.

    Their weights get no gradients then, and their normalisation keeps its statistics. In evaluation
    mode they require gradients: pruning needs these to trace how layers depend on each other.
    Blocks are looked up each time, because pruning may replace them.
    """

    def __init__(self, layers: Mapping[str, nn.Module], share: float) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.share = share

    def train(self, mode: bool = True) -> PartlyFrozen:
        """See :meth:`torch.nn.Module.train`."""
        super().train(mode)
        stem, *blocks = blocks_of(self.get_submodule("network"))
        for part in (stem, *blocks[: round(self.share * len(blocks))]):
            part.train(False)
            part.requires_grad_(not mode)
        return self

    def extra_repr(self) -> str:
        """The frozen share, which tells networks apart."""
        return f"share={self.share:g}"


def _parts(
    module: nn.Module, prefix: str, groups: Mapping[str, int]
) -> Iterator[tuple[int, nn.Module | nn.Parameter]]:
    """The largest layers, and else the single parameters, that lie in one group as a whole."""
    within = {group for name, group in groups.items() if name.startswith(prefix)}
    if len(within) == 1:
        yield within.pop(), module
        return
    for name, parameter in module.named_parameters(recurse=False):
        yield groups[prefix + name], parameter
    for name, child in module.named_children():
        yield from _parts(child, f"{prefix}{name}.", groups)
