"""Properties of the faces of a graph that analyses rely on."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.core.rows import Rows, nothing
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, FLUX_DIGITS, MEMBRANE, Integers
from pisnn_deploy.graph.kinds import face_of, known_face
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.programs.neurons import rectifier_shift


def has_unknown_programs(graph: IntegerGraph) -> bool:
    """Whether faces, or neurons before them, run a program about which only bounds can be proved."""
    return face_of(graph) is None or any(rectifier_shift(p.program) is None for p in graph.between_fields)


def level_populations(graph: IntegerGraph) -> tuple[str, ...]:
    """Populations that turn the masses of cells that differ into levels; the faces see the last one."""
    if graph.materials is None:
        return ()
    return tuple(population.name for population in graph.between_fields if population.name not in FLUX_DIGITS)


def level_bits(graph: IntegerGraph) -> int:
    """Bits between inverse volume times mass and level."""
    return sum(_bits(graph, name) for name in level_populations(graph))


def face_digits(graph: IntegerGraph) -> tuple[str, ...]:
    """Populations that add up the digits of what faces see, lowest first; the last is the faces' own."""
    return (*(name for name in FLUX_DIGITS if name in graph.chain), FLUX)


def face_weights(graph: IntegerGraph) -> Rows:
    """Integer weights of levels (or masses) at each face of a graph with materials, from all digits."""
    seen = (MEMBRANE, *level_populations(graph))[-1]
    total, bits = nothing((graph.size(FLUX), graph.size(seen))), 0
    for name in face_digits(graph):
        total = total + graph.matrix(seen, name).shifted(bits)
        bits += _bits(graph, name)
    return total


def full_exponent(graph: IntegerGraph) -> int:
    """Exponent of the threshold in units of the lowest digit of `face_weights`."""
    return known_face(graph).exponent + sum(_bits(graph, name) for name in face_digits(graph)[:-1])


def _bits(graph: IntegerGraph, name: str) -> int:
    """Bits by which a population shifts its sum."""
    return rectifier_shift(graph.population(name).program) or 0


def is_two_point(mesh: FaceMesh, weights: Rows) -> bool:
    """Whether each face sees the two cells beside it alone."""
    face = weights.row_of
    return bool(((weights.columns == mesh.source[face]) | (weights.columns == mesh.target[face])).all())


def conductances_of(weights: Rows) -> Integers:
    """Largest absolute weight of each face, int64 [faces]: its conductance if it sees two cells."""
    largest = np.zeros(weights.shape[0], np.int64)
    np.maximum.at(largest, weights.row_of, np.abs(weights.values))
    return largest
