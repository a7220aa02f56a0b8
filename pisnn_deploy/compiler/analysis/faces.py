"""What the faces of a graph are, where an analysis rests on it."""

from __future__ import annotations

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.programs.neurons import FaceConstants, face_constants


def face_of(graph: IntegerGraph) -> FaceConstants | None:
    """Constants of the faces of a graph; None where they run a program that no analysis knows."""
    return face_constants(graph.sole_channels.program)


def known_face(graph: IntegerGraph) -> FaceConstants:
    """As `face_of`, of a graph that a pass of this package made.

    Raises
    ------
    TypeError
        No analysis knows the program.
    """
    face = face_of(graph)
    if face is None:
        raise TypeError(f"no analysis knows faces of the program {graph.sole_channels.program.name}")
    return face


def has_levels(graph: IntegerGraph) -> bool:
    """Whether faces take differences of levels, one a cell, because cells differ."""
    return graph.materials is not None and bool(graph.between_fields)
