"""Flux networks as the structured kernels can run them: effective weights, alike within boxes of faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pisnn_deploy.graph.connections import Stencil
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.shape import is_incidence
from pisnn_deploy.graph.synapse import are_whole, effective
from pisnn_deploy.mesh import PERIODIC


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
    mesh = graph.mesh.grid
    if mesh is None or graph.between_fields or not graph.sole_field.holds_alike:
        return None
    if not is_incidence(graph, with_loops=True):
        return None
    found: Kernel | None = None
    for synapse in graph.between(MEMBRANE, FLUX):
        stencil = synapse.connections
        if not isinstance(stencil, Stencil) or stencil.outputs_per_face != 1:
            return None
        if not are_whole(stencil.values, synapse.exponent):
            return None
        weights = effective(stencil.values, synapse.exponent)
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


def _nearest(offset: int, count: int, periodic: bool) -> int:
    if not periodic:
        return offset
    offset %= count
    return offset - count if 2 * offset > count else offset
