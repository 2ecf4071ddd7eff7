"""Graphs within graphs: what an operator such as ``If`` holds counts like what is around it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

__all__ = ["graphs_of"]


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all that its operators hold, the outermost first."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)
