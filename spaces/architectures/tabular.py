"""Multi-layer perceptrons for tables, with an embedding of their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from greenfront.spaces.architectures.architecture import Architecture, Extent
from greenfront.spaces.architectures.mlp import dense_extent
from greenfront.spaces.knobs import Categorical, Integer, Knob, Value, When

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Tabular"]

WIDTHS = (16, 32, 64, 128, 256)


class Tabular(Architecture):
    """Fully connected layers that read each number in pieces, with dropout between them.

    A plain network bends a feature only where hidden neurons happen to; here each number is split
    into bins between quantiles of the training examples, the piecewise-linear embedding of
    Gorishniy et al. (arXiv 2203.05556). Trees find steps in single features for the same reason.
    """

    name = "tabular"

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes rows of numbers."""
        return None if len(input_shape) == 1 else "it needs tables: one row of numbers an example"

    def knobs(self) -> tuple[Knob, ...]:
        """Bins a number, widths of one or two hidden layers, dropout."""
        return (
            Categorical("bins", (4, 8, 16, 32)),
            Integer("depth", 1, 2),
            Categorical("width_1", WIDTHS),
            Categorical("width_2", WIDTHS, when=(When("depth", (2,)),)),
            Categorical("dropout", (0.0, 0.1, 0.2, 0.4)),
        )

    def baseline(self) -> Mapping[str, Value]:
        """16 bins, two hidden layers of 128 and 64."""
        return {"bins": 16, "depth": 2, "width_1": 128, "width_2": 64, "dropout": 0.1}

    def smaller(self) -> Mapping[str, Value]:
        """Half of everything."""
        return {"bins": 8, "width_1": 64, "width_2": 32}

    def extent(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], outputs: int
    ) -> Extent:
        """See :meth:`ModelFamily.extent`."""
        return dense_extent(input_shape[0] * int(shape["bins"]), shape, outputs)

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from torch import nn

        from greenfront.spaces.architectures.bins import Bins

        bins = Bins(input_shape[0], int(shape["bins"]))
        layers: list[nn.Module] = [bins]
        inputs = bins.outputs
        for layer in range(1, int(shape["depth"]) + 1):
            width = int(shape[f"width_{layer}"])
            layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(float(shape["dropout"]))]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, classes))

    def adapt(self, module: nn.Module, inputs: Tensor) -> None:
        """Puts the edges of the bins at quantiles; see :meth:`Architecture.adapt`."""
        bins: Any = next(module.children())
        bins.fit(inputs)
