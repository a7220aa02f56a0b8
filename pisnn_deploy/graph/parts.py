"""A graph on a part of its mesh: the neurons of some cells, reservoirs and faces, whatever their programs are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pisnn_deploy.graph import kinds
from pisnn_deploy.graph.fields import equal_volumes
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.synapse import Synapse
from pisnn_deploy.mesh import FaceMesh


@dataclass(frozen=True)
class Part:
    """Part of a mesh, with the numbers that its cells, reservoirs and faces have in the whole.

    Attributes
    ----------
    cells, reservoirs, faces : int64 array
        Cell, reservoir and face of the other mesh for each of its own; reservoirs counted from 0.
    """

    mesh: FaceMesh
    cells: Integers
    reservoirs: Integers
    faces: Integers


def restricted(graph: IntegerGraph, part: Part, synapses: tuple[Synapse, ...]) -> IntegerGraph:
    """Restrict a graph to a part of its mesh; the result is not placed.

    Parameters
    ----------
    graph : IntegerGraph
        Of one field. Each population between the field and the channels has as many neurons for every face, and each
        that answers channels has one for every cell.
    synapses : tuple of Synapse
        Those of the part.
    """
    field, cells = graph.sole_field, part.cells
    alike = equal_volumes(cells.size) if field.holds_alike else field.inverse_volume[cells]
    small = replace(
        field, inverse_volume=alike, reservoirs=field.reservoirs[part.reservoirs], held=field.held[part.reservoirs]
    )
    holders = replace(kinds.holders(small, graph.initial[cells]), lines=graph.population(field.holder).lines)
    return replace(
        graph,
        mesh=part.mesh,
        populations=tuple(
            holders if population.name == field.holder else _of_part(graph, population, part)
            for population in graph.populations
        ),
        fields=(small,),
        channels=(kinds.face_channels(part.mesh, field.holder, graph.channels[0].population),),
        synapses=synapses,
        placement=None,
    )


def _of_part(graph: IntegerGraph, population: Population, part: Part) -> Population:
    is_of_cells = population.name in graph.order.answers
    whole, numbers = (graph.mesh.cells, part.cells) if is_of_cells else (graph.mesh.faces, part.faces)

    def picked(arrays: Mapping[str, Integers]) -> dict[str, Integers]:
        return {name: values.reshape(whole, -1)[numbers].reshape(-1) for name, values in arrays.items()}

    size = population.size // whole * numbers.size
    return replace(population, size=size, parameters=picked(population.parameters), start=picked(population.start))
