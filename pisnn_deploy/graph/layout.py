"""Laying the flux network out on a mesh: from one shared kernel to sparse matrices and synapses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.graph.connections import Connections, Stencil, Values
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Synapse
from pisnn_deploy.mesh import Boxes, FaceMesh, Mesh, Wall, Window, distinct_faces, face_boxes, window_cells

MIXED_SIGN_EXPONENT = -1
"""Exponent of synapses: targets drop the lowest bit of mixed-sign mantissas, so all mantissas are doubled."""
LARGEST_WEIGHT = 127
"""Largest effective weight of one synapse with that exponent: its mantissa is at most 254."""
DIGIT_BITS = 7
"""Bits that each synapse contributes to weights too large for two."""


def window_matrix(weight: Values, window: Window, holders: int) -> Rows:
    """First layer as a matrix from membranes to the layer's neurons.

    Neuron ``f * outputs + o`` is output ``o`` at face ``f``. Where a ghost cell is the image of a cell that the window
    also holds, their weights add up. Reservoirs have no entries: what they add is in `window_bias`.

    Parameters
    ----------
    weight : int64 or float64 array [outputs, inputs] or [axes, outputs, inputs]
        Weights of one face's window, or of one for each axis (`ModelSpec.by_axis`).
    window : Window
        With ``[faces, inputs]`` arrays.
    holders : int
        Cells and reservoirs.

    Returns
    -------
    Rows [faces * outputs, holders], of the type of the weights
        Weights of all faces.

    Raises
    ------
    ValueError
        A folded weight would not be an integer.
    """
    faces, inputs, terms = window.cell.shape
    outputs = weight.shape[-2]
    rows = np.repeat(np.arange(faces * outputs, dtype=np.int64), inputs * terms)
    columns = np.repeat(window.cell[:, None], outputs, axis=1).reshape(-1)
    of_faces = weight[window.axis] if weight.ndim > 2 else weight[None]
    data = (of_faces[..., None] * window.numerator[:, None]).reshape(-1)
    if window.denominator > 1:
        if weight.dtype == np.int64 and (data % window.denominator).any():
            raise ValueError(f"weights must be multiples of {window.denominator}, the denominator of the ghost cells")
        data = data // window.denominator if weight.dtype == np.int64 else data / window.denominator
    return from_triplets(rows, columns, data, (faces * outputs, holders))


def window_bias(weight: Values, bias: Values, window: Window) -> Values:
    """Bias of the first layer, with what odd reflections about reservoir values add.

    Parameters
    ----------
    weight : int64 or float64 array
        As for `window_matrix`.
    bias : int64 or float64 array [outputs] or [axes]
        Bias of one face's outputs, or of that of a face normal to each axis.
    window : Window
        With offsets in quanta, or in the unit of the cell value.

    Returns
    -------
    array [faces * outputs], of the type of the weights
        Bias of each output of each face.
    """
    if weight.ndim > 2:
        added = (weight[window.axis] @ window.offset[:, :, None])[:, :, 0] + bias[window.axis][:, None]
        return np.asarray(added.reshape(-1), weight.dtype)
    return np.asarray((window.offset @ weight.T + bias).reshape(-1), weight.dtype)


def window_stencil(weight: Values, mesh: Mesh, half_width: int, transverse: int, wall: Wall) -> Stencil:
    """First layer as connections that repeat over the mesh; equivalent to `window_matrix`.

    Parameters
    ----------
    weight : int64 or float64 array
        As for `window_matrix`.
    wall : str
        See `pisnn_deploy.mesh.window_cells`.
    """
    boxes = face_boxes(mesh, half_width, transverse)
    faces = np.array([boxes.faces(mesh, box)[0] for box in range(boxes.axis.size)], np.int64)
    order = np.argsort(faces)
    nothing = np.zeros(mesh.reservoirs, np.int64)
    window = window_cells(mesh, half_width, transverse, nothing, wall, faces[order])
    boxes = Boxes(boxes.axis[order], boxes.lower[order], boxes.shape[order])
    matrix = window_matrix(weight, window, mesh.holders)
    coordinates = np.stack(np.unravel_index(matrix.columns, mesh.shape), axis=1).astype(np.int64)
    outputs = weight.shape[-2]
    box = matrix.row_of // outputs
    return Stencil(mesh, boxes, matrix.starts, coordinates - boxes.lower[box], matrix.values, outputs)


def window_biases(
    weight: Values,
    bias: Values,
    mesh: Mesh,
    half_width: int,
    transverse: int,
    reservoirs: Values,
    wall: Wall,
) -> Values:
    """Bias of the first layer at every face, with what reservoirs add.

    Parameters
    ----------
    weight : int64 or float64 array
        As for `window_matrix`.
    bias : int64 or float64 array [outputs] or [axes]
        Bias of one face's outputs, or of that of a face normal to each axis.
    reservoirs : int64 or float64 array [reservoirs]
        Their values.
    wall : str
        See `pisnn_deploy.mesh.window_cells`.

    Returns
    -------
    array [faces * outputs], of the type of the weights
        Bias of each output of each face.
    """
    biases = (bias[mesh.axis] if weight.ndim > 2 else np.tile(bias, mesh.faces)).astype(weight.dtype)
    if mesh.reservoirs:
        faces = distinct_faces(mesh, half_width, transverse)
        window = window_cells(mesh, half_width, transverse, reservoirs, wall, faces)
        biases.reshape(mesh.faces, -1)[faces] = window_bias(weight, bias, window).reshape(faces.size, -1)
    return biases


def route_matrix(mesh: FaceMesh) -> Rows:
    """Incidence matrix ``D``: the route of packets from faces to cells and reservoirs.

    Returns
    -------
    Rows, int64 [holders, faces]
        -1 where a face takes mass, 1 where it brings mass.
    """
    face = np.arange(mesh.faces, dtype=np.int64)
    ones = np.ones(mesh.faces, np.int64)
    holder = np.concatenate([mesh.target, mesh.source])
    return from_triplets(holder, np.tile(face, 2), np.concatenate([ones, -ones]), (mesh.holders, mesh.faces))


def synapses(source: str, target: str, connections: Connections) -> tuple[Synapse, ...]:
    """Encode integer weights as synapses that the target hardware stores without loss.

    1. Mantissas are doubled and the exponent is -1, so that dropping the lowest bit loses nothing.
    2. Weights up to twice 127 are split over two synapses, the second of which holds what the first leaves over.
    3. Larger weights are split into digits of 7 bits, from low to high, each in a synapse with an exponent of its own.
    4. A part without any connection is left out.

    Parameters
    ----------
    source, target : str
        Populations.
    connections : Explicit, Stencil, Blocks or Incidence
        With integer weights as values.

    Returns
    -------
    tuple of Synapse
        At least one, even if there is no connection.
    """
    name = "route" if (source, target) == (FLUX, MEMBRANE) else f"{source}-to-{target}"
    whole = list(_parts(connections))
    parts = [part for part in whole if part[0].entries] or whole[:1]
    return tuple(
        Synapse(name if number == 0 else f"{name}-{number + 1}", source, target, part, exponent)
        for number, (part, exponent) in enumerate(parts)
    )


def _parts(connections: Connections) -> Iterator[tuple[Connections, int]]:
    largest = _largest(connections)
    if largest <= LARGEST_WEIGHT:
        yield connections.revalued(lambda weights: 2 * weights), MIXED_SIGN_EXPONENT
    elif largest <= 2 * LARGEST_WEIGHT:
        yield connections.revalued(lambda weights: 2 * _clipped(weights)), MIXED_SIGN_EXPONENT
        yield connections.revalued(lambda weights: 2 * (weights - _clipped(weights))), MIXED_SIGN_EXPONENT
    else:
        exponent = MIXED_SIGN_EXPONENT
        while _largest(connections) > LARGEST_WEIGHT:
            yield connections.revalued(lambda weights: 2 * _digit(weights)), exponent
            connections = connections.revalued(lambda weights: (weights - _digit(weights)) >> DIGIT_BITS)
            exponent += DIGIT_BITS
        yield connections.revalued(lambda weights: 2 * weights), exponent


def _largest(connections: Connections) -> int:
    return int(np.abs(connections.distinct[1]).max(initial=0))


def _clipped(weights: Values) -> Values:
    return np.clip(weights, -LARGEST_WEIGHT, LARGEST_WEIGHT)


def _digit(weights: Values) -> Values:
    """Lowest base-128 digit, -64 to 63."""
    half = 1 << (DIGIT_BITS - 1)
    return ((weights + half) & (2 * half - 1)) - half


def layers_of(graph: IntegerGraph) -> tuple[str, ...]:
    """Populations of a graph of one field from the holders to the channels, without those that answer channels."""
    return (graph.sole_field.holder, *(layer.name for layer in graph.between_fields), graph.sole_channels.name)
