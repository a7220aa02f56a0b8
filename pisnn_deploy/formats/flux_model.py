"""The flux network of a compiled graph as a model: its integers as the weights that they stand for."""

from __future__ import annotations

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.physics.model import Model


def model_of(graph: IntegerGraph) -> Model:
    """The model whose nearest integers are those of a graph.

    Integers over powers of two are exact in float64, so rounding gives them back; biases do so for the quantum of the
    graph.

    Raises
    ------
    UsageError
        The cells of the graph differ, so its faces have no network in common.
    """
    if not graph.operator:
        raise UsageError(f"{graph.spec.name}: cells differ, so there is no flux network that all faces share")
    scales = [2.0**-exponent for exponent in graph.spec.weight_exponents]
    return Model(
        graph.spec,
        tuple(layer.weight * scale for layer, scale in zip(graph.operator, scales, strict=True)),
        tuple(
            layer.bias * (scale * graph.value_per_quantum) for layer, scale in zip(graph.operator, scales, strict=True)
        ),
    )
