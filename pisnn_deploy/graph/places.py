"""Where the cells of a graph lie, in the coordinates of its recipe, whose domain need not begin at 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.integer import IntegerGraph


def origin_of(graph: IntegerGraph) -> tuple[float, ...]:
    """Lower corner of the domain of a law; 0 along each axis of any other graph."""
    return graph.spec.domain.lower if graph.spec.equation == "law" else (0.0,) * len(graph.mesh.axes)


def centres_of(graph: IntegerGraph) -> NDArray[np.float64]:
    """Centres of all cells, float64 [cells, dimensions]."""
    centres = graph.mesh.centres()
    # The points of a mesh from a file are where its file says.
    return centres if graph.mesh.grid is None else centres + np.array(origin_of(graph))
