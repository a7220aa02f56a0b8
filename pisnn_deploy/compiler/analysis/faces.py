"""What the faces of a graph are, where an analysis rests on it."""

from __future__ import annotations

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import face_of
from pisnn_deploy.programs.neurons import rectifier_shift


def has_unknown_programs(graph: IntegerGraph) -> bool:
    """Whether faces, or neurons between them and the cells, run a program that no claim but bounds can rest on."""
    return face_of(graph) is None or any(rectifier_shift(p.program) is None for p in graph.between_fields)


def has_levels(graph: IntegerGraph) -> bool:
    """Whether faces take differences of levels, one a cell, because cells differ."""
    return graph.materials is not None and bool(graph.between_fields)
