"""Weights that several layers share: what is cut from one of them has to leave all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["Axis", "Place", "Tie", "narrowed_axes", "tie_again", "ties_of", "together"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module holds a parameter."""

    module: nn.Module
    name: str


Tie = tuple[Place, ...]
"""All places of one parameter that has several."""

Axis = tuple[Place, int]
"""One axis of a parameter, at one of its places."""


def ties_of(model: nn.Module) -> list[Tie]:
    """The parameters that several modules hold, or one under several names."""
    places: dict[nn.Parameter, list[Place]] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            places.setdefault(parameter, []).append(Place(module, name))
    return [tuple(found) for found in places.values() if len(found) > 1]


def tie_again(ties: Sequence[Tie]) -> None:
    """Makes each tie one parameter again, in place, after its places were narrowed one by one.

    Raises:
        ValueError: They do not hold the same numbers any more.
    """
    for first, *others in ties:
        shared = getattr(first.module, first.name)
        for place in others:
            given = getattr(place.module, place.name)
            if given.shape != shared.shape or not torch.equal(given, shared):
                raise ValueError(
                    f"a weight {list(shared.shape)} that layers share came out as "
                    f"{list(given.shape)} in one of them"
                )
            setattr(place.module, place.name, shared)


def narrowed_axes(layer: nn.Module, *, outputs: bool) -> Iterator[Axis]:
    """The axes of a layer's parameters that get shorter with its outputs, or with its inputs.

    Layers of other types than those below have none that could be told.
    """
    match layer:
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d() | nn.Linear():
            depthwise = getattr(layer, "groups", 1) > 1
            yield Place(layer, "weight"), 0 if outputs or depthwise else 1
            if outputs or depthwise:
                yield Place(layer, "bias"), 0
        case nn.ConvTranspose1d() | nn.ConvTranspose2d() | nn.ConvTranspose3d():
            yield Place(layer, "weight"), 1 if outputs else 0
            if outputs:
                yield Place(layer, "bias"), 0
        case nn.Embedding():
            yield Place(layer, "weight"), 1
        case _:
            yield Place(layer, "weight"), 0
            yield Place(layer, "bias"), 0


def together(groups: Sequence[Mapping[Axis, Any]], ties: Sequence[Tie]) -> list[list[int]]:
    """Which groups of channels have to shrink alike, because they hold axes of one shared weight.

    Args:
        groups: For each group, the axes that get shorter with it, and which of its channels stand
            where on each.
        ties: See :func:`ties_of`.

    Returns:
        Numbers of groups, each in one list; those are left out that cannot shrink, because an axis
        at another place of the same weight belongs to no group, or has its channels elsewhere.
    """
    parent = list(range(len(groups)))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    stuck = set()
    tie_of = {place: number for number, tie in enumerate(ties) for place in tie}
    holders: dict[tuple[int, int], dict[Place, list[int]]] = {}
    for number, group in enumerate(groups):
        for place, axis in group:
            if place in tie_of:
                places = holders.setdefault((tie_of[place], axis), {})
                places.setdefault(place, []).append(number)
    for (tie, axis), places in holders.items():
        numbers = [number for held in places.values() for number in held]
        for number in numbers[1:]:
            parent[root(number)] = root(numbers[0])
        orders = [groups[n][place, axis] for place, held in places.items() for n in held]
        alike = all(order == orders[0] for order in orders)
        if len(places) < len(ties[tie]) or not alike:
            stuck.add(numbers[0])
    joined: dict[int, list[int]] = {}
    for number in range(len(groups)):
        joined.setdefault(root(number), []).append(number)
    frozen = {root(number) for number in stuck}
    return [numbers for first, numbers in joined.items() if first not in frozen]
