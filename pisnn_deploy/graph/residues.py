"""Faces that see residues: what faces near them have not fired yet, as a second, low limb of the masses.

The residues of a cell's faces belong to it like its mass: ``value = quantum (m + D r / theta)``, with the incidence
``D``. A face that weights the masses by ``W`` weights these parts alike, and corrects its drive by whole flux units::

    d = W m + bias + ((W (D r) + theta/2) >> F)

So what has not fired moves on as well. Low limbs add up to zero over all holders, like the columns of ``D``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, added
from pisnn_deploy.graph.columns import divergence
from pisnn_deploy.graph.connections import Incidence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.kinds import face_of
from pisnn_deploy.graph.layout import synapses
from pisnn_deploy.graph.rows import Explicit
from pisnn_deploy.graph.synapse import Synapse
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.programs.neurons import LOW

RESIDUE_OUTPUT = 1
"""Output of a face that sends its residue."""


def sees_residues(graph: IntegerGraph) -> bool:
    """Whether the channels of a graph hear the residues of others."""
    return any(LOW in graph.population(channels.population).program.ports for channels in graph.channels)


def low_weights(weights: Rows, mesh: FaceMesh) -> Rows:
    """Weights of the residues that faces see.

    Parameters
    ----------
    weights : Rows, int64 [faces, holders]
        Weights ``W`` of the masses.

    Returns
    -------
    Rows, int64 [faces, faces]
        ``W D``; reservoirs show a constant value, so nothing is added to it.
    """
    incidence = Incidence(mesh.source, mesh.target, mesh.holders, 1).rows
    return (weights.between(0, mesh.cells) @ incidence.first_rows(mesh.cells)).without_zeros()


def residue_synapses(weights: Rows, mesh: FaceMesh) -> tuple[Synapse, ...]:
    """Synapses that bring faces the residues of others, weighted like the masses of the cells between them.

    Parameters
    ----------
    weights : Rows, int64 [faces, holders]
        Weights of the masses.
    """
    rows = low_weights(weights, mesh)
    parts = synapses(FLUX, FLUX, Explicit(rows.starts, rows.columns, rows.values, mesh.faces))
    return tuple(
        replace(part, name=part.name.replace(f"{FLUX}-to-{FLUX}", "residues"), port=LOW, output=RESIDUE_OUTPUT)
        for part in parts
    )


def hears_its_cells(graph: IntegerGraph) -> bool:
    """Whether faces weight residues like the masses of the cells that they belong to, in a linear flux network."""
    heard = added((synapse.matrix() for synapse in graph.into(FLUX, LOW)), (graph.mesh.faces, graph.mesh.faces))
    return not (heard - low_weights(graph.matrix(MEMBRANE, FLUX), graph.mesh)).without_zeros().entries


def values_with_residues(graph: IntegerGraph, mass: Integers, residue: Integers | None) -> NDArray[np.float64]:
    """Cell values of masses, and of what faces have not fired yet where they see it.

    Parameters
    ----------
    mass : int64 array [cells]
        Masses of the cells, field by field.
    residue : int64 array [channels] or None
        Residues of all channels, if known.

    Returns
    -------
    float64 array [cells]
        Cell averages.
    """
    face = face_of(graph) if sees_residues(graph) else None
    if face is None or residue is None or not residue.size:
        return graph.values(mass)
    limbs = divergence(graph, residue)[: graph.mesh.cells]
    theta = 1 << face.exponent
    return np.asarray((mass * theta + limbs) * (graph.value_per_quantum / theta), np.float64)
