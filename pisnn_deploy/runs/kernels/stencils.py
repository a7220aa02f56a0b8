"""Flux networks for the structured kernels: effective weights, equal within boxes of faces."""

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
    """A linear flux network as effective weights, equal within boxes of faces.

    Attributes
    ----------
    axis : int64 array [boxes]
        Axis of the faces of each box.
    lower, shape : int64 array [boxes, axes]
        First face and extent of each box, see `pisnn_deploy.mesh.window.Boxes`.
    entries : tuple of dict of offsets to weight
        Weights of each box by offset, as in `Stencil`.
    """

    axis: Integers
    lower: Integers
    shape: Integers
    entries: tuple[dict[tuple[int, ...], int], ...]

    @property
    def largest(self) -> int:
        """Largest sum of absolute weights of a face."""
        return max((sum(abs(w) for w in box.values()) for box in self.entries), default=0)


def kernel_of(graph: IntegerGraph) -> Kernel | None:
    """Return the flux network of a graph for the structured kernels.

    Returns
    -------
    Kernel or None
        None if the kernels do not support the graph: unstructured meshes, hidden layers, materials, explicit synapses,
        or a route that differs from the incidence of the mesh.
    """
    mesh = graph.mesh.grid
    if mesh is None or graph.between_fields or not graph.sole_field.holds_alike:
        return None
    if not is_incidence(graph, with_loops=True):
        return None
    kernel: Kernel | None = None
    for synapse in graph.between(MEMBRANE, FLUX):
        stencil = synapse.connections
        if not isinstance(stencil, Stencil) or stencil.outputs_per_face != 1:
            return None
        if not are_whole(stencil.values, synapse.exponent):
            return None
        weights = effective(stencil.values, synapse.exponent)
        boxes = stencil.boxes
        if kernel is None:
            kernel = Kernel(boxes.axis, boxes.lower, boxes.shape, tuple({} for _ in boxes.axis))
        elif not all(
            np.array_equal(a, b)
            for a, b in ((kernel.axis, boxes.axis), (kernel.lower, boxes.lower), (kernel.shape, boxes.shape))
        ):
            return None
        for box, entries in enumerate(kernel.entries):
            for e in range(stencil.starts[box], stencil.starts[box + 1]):
                offset = tuple(
                    _nearest(int(o), count, sides == (PERIODIC, PERIODIC))
                    for o, count, sides in zip(stencil.offsets[e], mesh.shape, mesh.boundary, strict=True)
                )
                entries[offset] = entries.get(offset, 0) + int(weights[e])
    return kernel


def _nearest(offset: int, count: int, periodic: bool) -> int:
    if not periodic:
        return offset
    offset %= count
    return offset - count if 2 * offset > count else offset
