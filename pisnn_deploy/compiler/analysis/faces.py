"""Properties of the faces of a graph that analyses rely on."""

from __future__ import annotations

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import face_of
from pisnn_deploy.programs.neurons import rectifier_shift


def has_unknown_programs(graph: IntegerGraph) -> bool:
    """Whether faces, or neurons before them, run a program about which only bounds can be proved."""
    return face_of(graph) is None or any(rectifier_shift(p.program) is None for p in graph.between_fields)


def has_levels(graph: IntegerGraph) -> bool:
    """Whether faces use differences of levels (one per cell), because cells differ."""
    return graph.materials is not None and bool(graph.between_fields)
