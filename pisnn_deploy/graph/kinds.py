"""Populations of the programs of this project, laid out on a mesh: cells, hidden layers, faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.programs.neurons import flux, membrane, rectifier, sigma_delta

Integers = NDArray[np.int64]


def holders(field: Field, initial: Integers) -> Population:
    """Cells and reservoirs of a field: everything that holds its mass.

    Parameters
    ----------
    field : Field
    initial : int64 array [cells]
        Masses that a run starts from unless told otherwise.

    Returns
    -------
    Population
    """
    program = membrane()
    return Population(field.holder, field.size, program, start={program.states[0]: field.holdings(initial)})


def rectifiers(name: str, bias: Integers, shift: int) -> Population:
    """Hidden neurons.

    Parameters
    ----------
    name : str
    bias : int64 array [neurons]
    shift : int

    Returns
    -------
    Population
    """
    return Population(name, int(bias.size), rectifier(shift), {"bias": bias})


def faces(
    mesh: FaceMesh, bias: Integers, threshold_exponent: int, leak: int, share_shift: int | None = None
) -> Population:
    """C-LIF compartments of the faces of a mesh.

    Parameters
    ----------
    mesh : FaceMesh
    bias : int64 array [faces]
        Added to the drive, in flux units.
    threshold_exponent, leak, share_shift : int
        See `pisnn_deploy.programs.neurons.flux`.

    Returns
    -------
    Population
    """
    parameters = {"bias": bias}
    if share_shift is not None:
        ends = (("source_open", mesh.source), ("target_open", mesh.target))
        parameters |= {name: (holder >= mesh.cells).astype(np.int64) for name, holder in ends}
    return Population(FLUX, int(bias.size), flux(threshold_exponent, leak, share_shift), parameters)


def late_faces(mesh: FaceMesh, send_threshold: int, shift: int) -> Population:
    """Faces that are Lava's `SigmaDelta`.

    Parameters
    ----------
    mesh : FaceMesh
    send_threshold, shift : int
        See `pisnn_deploy.programs.neurons.sigma_delta`.

    Returns
    -------
    Population
    """
    return Population(FLUX, mesh.faces, sigma_delta(send_threshold, shift))


def face_channels(mesh: FaceMesh, holder: str = MEMBRANE, population: str = FLUX) -> Channels:
    """Channels of the faces of a mesh.

    Parameters
    ----------
    mesh : FaceMesh
    holder : str
        Population of the cells and reservoirs on both sides.
    population : str
        Population of the faces.

    Returns
    -------
    Channels
    """
    return Channels(population, holder, holder, mesh.source, mesh.target)
