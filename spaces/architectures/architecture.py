"""The one interface behind which every model family stands.

Life of an architecture: the search asks ``objection`` once a task, then ``knobs`` and
``baseline`` to lay out the space; all three are cheap and import no torch. An evaluator calls
``build`` for each trial, prunes what ``head`` does not protect, and picks the int8 recipe by
``int8_recipe``.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from greenfront.spaces.knobs import Knob, Value

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Architecture", "Int8Recipe"]

Int8Recipe = Literal["static", "dynamic"]
"""How int8 kernels get their activation ranges: calibrated once, or computed at each call."""


class Architecture(abc.ABC):
    """A family of networks.

    Attributes:
        name: As written in the study file.
        int8_recipe: ``"static"`` for convolutions, ``"dynamic"`` for linear layers: the other way
            round is slower than 32 bits on CPUs.
    """

    name: ClassVar[str]
    int8_recipe: ClassVar[Int8Recipe]

    @abc.abstractmethod
    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Why the family cannot take inputs of this shape (no batch axis); ``None`` if it can."""

    @abc.abstractmethod
    def knobs(self) -> tuple[Knob, ...]:
        """What may be chosen, in the order it is asked; names carry no prefix."""

    @abc.abstractmethod
    def baseline(self) -> Mapping[str, Value]:
        """The shape that one would take without a search: a point of :meth:`knobs`."""

    @abc.abstractmethod
    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """A fresh module with random weights from torch's global generator.

        Args:
            shape: Settings of the knobs.
            input_shape: Shape of one input, without the batch axis.
            classes: Number of outputs.

        Returns:
            A module from float32 ``[n, *input_shape]`` to logits ``[n, classes]``.
        """

    @abc.abstractmethod
    def head(self, module: nn.Module) -> nn.Module:
        """The layer that gives the logits: its outputs are never pruned."""
