"""Flux networks as the structured kernels can run them: effective weights, alike within boxes of faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pisnn_deploy.graph.connections import Incidence, Stencil
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.mesh import PERIODIC, Mesh


@dataclass(frozen=True)
class Kernel:
    """A linear flux network as effective weights, alike within boxes of faces.

    Attributes
    ----------
    axis : int64 array [boxes]
    lower, shape : int64 array [boxes, axes]
        See `pisnn_deploy.mesh.window.Boxes`.
    entries : tuple of dict of offsets to weight
        Of each box; offsets as in `Stencil`.
    """

    axis: Integers
    lower: Integers
    shape: Integers
    entries: tuple[dict[tuple[int, ...], int], ...]

    @property
    def largest(self) -> int:
        """Largest sum of the absolute weights of a face."""
        return max((sum(abs(w) for w in box.values()) for box in self.entries), default=0)


def kernel_of(graph: IntegerGraph) -> Kernel | None:
    """The flux network of a graph as the structured kernels can run it.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    Kernel or None
        None where the graph is of another form: unstructured, with hidden layers or a medium, with synapses spelled
        out, or with a route that is not the incidence of its mesh.
    """
    mesh = graph.mesh
    if (
        not isinstance(mesh, Mesh)
        or graph.between_fields
        or not graph.sole_field.holds_alike
        or not _is_incidence(graph, mesh)
    ):
        return None
    found: Kernel | None = None
    for synapse in graph.between(MEMBRANE, FLUX):
        stencil = synapse.connections
        if not isinstance(stencil, Stencil) or stencil.outputs_per_face != 1:
            return None
        weights = _effective(stencil.values, synapse.exponent)
        if weights is None:
            return None
        boxes = stencil.boxes
        if found is None:
            found = Kernel(boxes.axis, boxes.lower, boxes.shape, tuple({} for _ in boxes.axis))
        elif not all(
            np.array_equal(a, b)
            for a, b in ((found.axis, boxes.axis), (found.lower, boxes.lower), (found.shape, boxes.shape))
        ):
            return None
        for box, entries in enumerate(found.entries):
            for e in range(stencil.starts[box], stencil.starts[box + 1]):
                offset = tuple(
                    _nearest(int(o), count, sides == (PERIODIC, PERIODIC))
                    for o, count, sides in zip(stencil.offsets[e], mesh.shape, mesh.boundary, strict=True)
                )
                entries[offset] = entries.get(offset, 0) + int(weights[e])
    return found


def _is_incidence(graph: IntegerGraph, mesh: Mesh) -> bool:
    value = 0
    for synapse in graph.between(FLUX, MEMBRANE):
        route = synapse.connections
        if not isinstance(route, Incidence) or route.holders != mesh.holders:
            return False
        if not (np.array_equal(route.source, mesh.source) and np.array_equal(route.target, mesh.target)):
            return False
        weight = _effective(np.array([route.value]), synapse.exponent)
        if weight is None:
            return False
        value += int(weight[0])
    return value == 1


def _effective(mantissas: Integers, exponent: int) -> Integers | None:
    if exponent >= 0:
        return mantissas << exponent
    weights = mantissas >> -exponent
    return weights if np.array_equal(weights << -exponent, mantissas) else None


def _nearest(offset: int, count: int, periodic: bool) -> int:
    if not periodic:
        return offset
    offset %= count
    return offset - count if 2 * offset > count else offset
