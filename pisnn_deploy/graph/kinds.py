"""Build and recognise this project's populations on a mesh: cells, hidden layers, faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.programs.neurons import FaceConstants, face_constants, membrane, rectifier

Integers = NDArray[np.int64]


def holders(field: Field, initial: Integers) -> Population:
    """Population of the cells and reservoirs of a field, which hold its mass.

    Parameters
    ----------
    initial : int64 array [cells]
        Masses at the start of a run by default.
    """
    program = membrane()
    return Population(field.holder, field.size, program, start={program.states[0]: field.holdings(initial)})


def rectifiers(name: str, bias: Integers, shift: int) -> Population:
    """Population of hidden neurons.

    Parameters
    ----------
    bias : int64 array [neurons]
        Added to each neuron's potential at every step.
    """
    return Population(name, int(bias.size), rectifier(shift), {"bias": bias})


def faces(
    mesh: FaceMesh,
    constants: FaceConstants,
    bias: Integers | None = None,
    others: Mapping[str, Integers] | None = None,
) -> Population:
    """Population of the faces of a mesh.

    Parameters
    ----------
    bias : int64 array [faces], optional
        Added to the drive, in flux units, by faces that take one; 0 by default.
    others : mapping of str to int64 array [faces], optional
        Further parameters, of which the program takes its own; 0 by default.
    """
    program, values = constants.program, {**(others or {})}
    if bias is not None:
        values["bias"] = bias
    nothing = np.zeros(mesh.faces, np.int64)
    return Population(FLUX, mesh.faces, program, {name: values.get(name, nothing) for name in program.parameters})


def face_channels(mesh: FaceMesh, holder: str = MEMBRANE, population: str = FLUX) -> Channels:
    """Channels of the faces of a mesh.

    Parameters
    ----------
    holder : str
        Population of the cells and reservoirs on both sides.
    population : str
        Population of the faces.
    """
    return Channels(population, holder, holder, mesh.source, mesh.target)


def face_of(graph: IntegerGraph) -> FaceConstants | None:
    """Constants of the faces that are a graph's only channels; None where they run another program."""
    return face_constants(graph.sole_channels.program)


def known_face(graph: IntegerGraph) -> FaceConstants:
    """As `face_of`, for a graph that a pass of this package made.

    Raises
    ------
    TypeError
        The channels run another program.
    """
    face = face_of(graph)
    if face is None:
        raise TypeError(f"no analysis knows faces of the program {graph.sole_channels.program.name}")
    return face


def with_faces(graph: IntegerGraph, bias: Integers | None = None, **changes: Any) -> IntegerGraph:
    """Replace bias or constants of a graph's faces.

    Parameters
    ----------
    graph : IntegerGraph
        Whose channels are known faces.
    bias : int64 array [faces], optional
        Replaces their current bias.
    changes : mapping of str to object
        New values of their `FaceConstants`, by attribute.
    """
    channels = graph.sole_channels
    changed = faces(graph.mesh, replace(known_face(graph), **changes), bias, channels.parameters)
    return graph.with_populations(replace(changed, lines=channels.lines))


def starting_from(graph: IntegerGraph, mass: Integers) -> IntegerGraph:
    """Replace the masses from which runs of a graph start by default.

    Parameters
    ----------
    mass : int64 array [cells]
        Masses in quanta, field by field.
    """
    parts = mass.reshape(len(graph.fields), -1)
    starting = []
    for field, part in zip(graph.fields, parts, strict=True):
        holder = graph.population(field.holder)
        starting.append(replace(holder, start={holder.program.states[0]: field.holdings(part)}))
    return graph.with_populations(*starting)
