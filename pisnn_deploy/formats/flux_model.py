"""Convert the flux network of a compiled graph back to a model."""

from __future__ import annotations

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.physics.model import Model


def model_of(graph: IntegerGraph) -> Model:
    """Model whose nearest integers are those of a graph.

    Integers divided by powers of two are exact in float64, so rounding recovers them; for biases, with the quantum of
    the graph.

    Raises
    ------
    UsageError
        The cells of the graph, or its axes, differ, so its faces do not share a network.
    """
    if not graph.operator:
        raise UsageError(f"{graph.spec.name}: faces do not share a flux network, because cells differ")
    if graph.model_spec.rates:
        raise UsageError(f"{graph.spec.name}: faces do not share a flux network: each axis has a kernel of its own")
    scales = [2.0**-exponent for exponent in graph.model_spec.weight_exponents]
    return Model(
        graph.model_spec,
        tuple(layer.weight * scale for layer, scale in zip(graph.operator, scales, strict=True)),
        tuple(
            layer.bias * (scale * graph.value_per_quantum) for layer, scale in zip(graph.operator, scales, strict=True)
        ),
    )
