"""Building a graph of ONNX operators, or a part of one before or behind a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = ["ML", "GraphBuilder"]

ML = "ai.onnx.ml"
"""Domain of the standard operators for classical machine learning."""


@dataclass(slots=True)
class GraphBuilder:
    """Nodes and constants of a graph, in the order in which they are computed.

    Attributes:
        prefix: Of all names that are made here.
        inputs: Of the graph, where this is its beginning.
        outputs: Of the graph, where this is its end.
        nodes: In their order.
        constants: By their names.
    """

    prefix: str
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Stores numbers; returns their name in the graph."""
        whole = f"{self.prefix}{name}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), whole))
        return whole

    def add(
        self, kind: str, *sources: str, named: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Adds an operator of some results and constants.

        Args:
            kind: Of the operator.
            sources: Names.
            named: Name of its result; by default one of its own.
            domain: Of the operator.
            attributes: Of the operator.

        Returns:
            The name of its result.
        """
        result = named or f"{self.prefix}{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(sources), [result], result, **attributes))
        self.nodes[-1].domain = domain
        return result

    def joined(self, parts: list[str], named: str = "") -> str:
        """Puts columns side by side; one alone stays what it is, unless it is to be renamed."""
        if len(parts) > 1:
            return self.add("Concat", *parts, named=named, axis=1)
        return self.add("Identity", *parts, named=named) if named else parts[0]

    def model(self, name: str) -> onnx.ModelProto:
        """The graph as a model of its own, of operators of the default domain."""
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
