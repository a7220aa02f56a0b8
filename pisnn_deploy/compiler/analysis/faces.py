"""What the faces of a graph are, where an analysis rests on it."""

from __future__ import annotations

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.neurons import FaceConstants, face_constants, rectifier


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


def has_unknown_programs(graph: IntegerGraph) -> bool:
    """Whether faces, or neurons between them and the cells, run a program that no claim but bounds can rest on."""
    return face_of(graph) is None or not all(_is_rectifier(layer.program) for layer in graph.between_fields)


def _is_rectifier(program: Program) -> bool:
    shifts = [int(operation.operands[-1]) for operation in program.operations if operation.name == "asr"]
    return len(shifts) == 1 and program == rectifier(shifts[0])


def has_levels(graph: IntegerGraph) -> bool:
    """Whether faces take differences of levels, one a cell, because cells differ."""
    return graph.materials is not None and bool(graph.between_fields)
