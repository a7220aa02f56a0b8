"""The claim on the layout: synapses and biases are those of the flux network, with ghost cells folded in at sides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.connections import Blocks
from pisnn_deploy.graph.integer import MEMBRANE
from pisnn_deploy.graph.layout import layers_of
from pisnn_deploy.verify.faces import biases, shifts
from pisnn_deploy.verify.folding import Folding
from pisnn_deploy.verify.lines import distinct_faces
from pisnn_deploy.verify.medium import medium_layout
from pisnn_deploy.verify.residues import seen_residues
from pisnn_deploy.verify.stored import stored, stored_rows


def odd_mantissas(graph: IntegerGraph) -> Iterator[str]:
    """Yield the synapses whose mantissas a target would change."""
    for synapse in graph.synapses:
        mantissas = synapse.distinct_mantissas
        if mantissas.size and mantissas.min() < 0 < mantissas.max() and (mantissas % 2).any():
            yield f"synapse {synapse.name} mixes signs and has an odd mantissa, whose lowest bit the target would clear"


def layout(graph: IntegerGraph) -> Iterator[str]:
    """Yield where the synapses and biases of a model's graph are not those of its operator on its mesh."""
    yield from odd_mantissas(graph)
    yield from seen_residues(graph)
    if graph.materials is not None:
        yield from medium_layout(graph)
        return
    operator, faces, added, names = graph.operator, graph.mesh.faces, biases(graph), layers_of(graph)
    axes = len(graph.model_spec.rates) or 1
    shapes = [layer.weight.shape for layer in operator if layer.bias.shape == layer.weight.shape[:1]]
    widths = [outputs if axes == 1 else 1 for outputs, _ in shapes]
    if shapes != [*graph.model_spec.layer_shapes] or [b.size for b in added] != [faces * width for width in widths]:
        yield "the layers of the operator differ from the model's spec"
        return
    for number, (layer, bias, shift) in enumerate(zip(operator, added, [*shifts(graph), 0], strict=True)):
        if number and (bias != np.tile(layer.bias, faces)).any():
            yield f"a bias of {names[number + 1]} differs from the operator's"
        if shift not in (None, layer.shift):
            yield f"the shift of {names[number + 1]} differs from the operator's"
    for number, layer in enumerate(operator[1:], 1):
        laid = Blocks(layer.weight, faces).rows
        if (stored(graph, names[number], names[number + 1]) - laid).entries:
            yield f"the synapses from {names[number]} differ from the operator's weights"
    folding, rows = Folding(graph), (distinct_faces(graph)[:, None] * widths[0] + np.arange(widths[0])).reshape(-1)
    for row, weights in zip(rows.tolist(), stored_rows(graph.between(MEMBRANE, names[1]), rows), strict=True):
        face, output = divmod(row, widths[0])
        try:
            output = output if axes == 1 else int(graph.grid.axis[face])
            cells, constant = folding.row(face, operator[0].weight[output].tolist())
        except ValueError as error:
            yield str(error)
            continue
        if weights != cells:
            yield f"the stored weights of {names[1]} at face {face} differ from the operator's"
        if int(added[0][row]) != constant + int(operator[0].bias[output]):
            yield f"the bias of {names[1]} at face {face} differs from the operator's plus the reservoirs' part"
