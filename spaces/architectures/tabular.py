"""Multi-layer perceptrons for tables, with an embedding of their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.knobs import Categorical, Integer, Knob, Value, When

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Tabular"]

WIDTHS = (16, 32, 64, 128, 256)


class Tabular(Architecture):
    """Fully connected layers that read each number in pieces, with dropout between them.

    A plain network bends a feature only where hidden neurons happen to; here each number comes with
    hinges at the quantiles of a normal distribution, which then move: the piecewise-linear
    embedding of Gorishniy et al. (arXiv 2203.05556), with learnt places. Trees find steps in single
    features for the same reason.
    """

    name = "tabular"

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes rows of numbers."""
        return None if len(input_shape) == 1 else "it needs tables: one row of numbers an example"

    def knobs(self) -> tuple[Knob, ...]:
        """Hinges a number, widths of one or two hidden layers, dropout."""
        return (
            Categorical("hinges", (2, 4, 8, 16)),
            Integer("depth", 1, 2),
            Categorical("width_1", WIDTHS),
            Categorical("width_2", WIDTHS, when=(When("depth", (2,)),)),
            Categorical("dropout", (0.0, 0.1, 0.2, 0.4)),
        )

    def baseline(self) -> Mapping[str, Value]:
        """8 hinges, two hidden layers of 64 and 32."""
        return {"hinges": 8, "depth": 2, "width_1": 64, "width_2": 32, "dropout": 0.1}

    def smaller(self) -> Mapping[str, Value]:
        """Half of everything."""
        return {"hinges": 4, "width_1": 32, "width_2": 16}

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from torch import nn

        from greenfront.spaces.architectures.hinges import Hinges

        hinges = Hinges(input_shape[0], int(shape["hinges"]))
        layers: list[nn.Module] = [hinges]
        inputs = hinges.outputs
        for layer in range(1, int(shape["depth"]) + 1):
            width = int(shape[f"width_{layer}"])
            layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(float(shape["dropout"]))]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, classes))
