"""Check of the limiter: no cell has more faces than shares, and faces receive the masses at their ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.verify.faces import face_of

ENDS = ("source_mass", "target_mass")
"""Ports at which a face receives the masses of its ends."""


def positivity(graph: IntegerGraph, claim: Claim | None, route: Rows) -> Iterator[str]:
    """Yield errors in the claim that no cell gives away more than it has.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    route : Rows [holders, faces]
        Stored effective weights of the packets.
    """
    shift = face_of(graph).share_bits
    if shift is None or claim is None:
        yield "the graph has a limiter, but no claim on it" if claim is None else "the claim needs a limiter"
        return
    mesh = graph.mesh
    parameters = graph.sole_channels.parameters
    for end, holder in (("source", mesh.source), ("target", mesh.target)):
        wrong = np.flatnonzero(parameters[f"{end}_open"] != (holder >= mesh.cells))
        if wrong.size:
            yield f"{end}_open of face {wrong[0]} must be 1 at a reservoir and 0 at a cell"
    mass_synapses = [synapse for synapse in graph.synapses if synapse.port in ENDS]
    for synapse in mass_synapses:
        port = synapse.port
        holder = mesh.source if port == "source_mass" else mesh.target
        face = np.flatnonzero(holder < mesh.cells)
        worth = np.full(face.size, 1 << -synapse.exponent if synapse.exponent < 0 else 0, np.int64)
        expected = from_triplets(face, holder[face], worth, (mesh.faces, mesh.holders))
        # A row has a single mantissa, so the target rounds it alone; mixed signs clear its lowest bit.
        mantissas = synapse.mantissa_matrix().valued(lambda values: values >> 1 << 1)
        if (mantissas - expected).entries:
            yield f"the synapses to the port {port} do not send each face the mass at that end"
    if len({synapse.port for synapse in mass_synapses}) != len(mass_synapses):
        yield "a mass port of the faces has several synapses"
    for port in sorted({*ENDS} - {synapse.port for synapse in mass_synapses}):
        yield f"the port {port} of the faces has no synapse"
    if graph.window.lower < 0:
        yield f"the operating window starts at {graph.window.lower}, below 0"
    # A face from a cell to itself counts as two sides, which cancel in the stored route.
    sides = np.bincount(np.concatenate([mesh.source, mesh.target]), minlength=mesh.holders)[: mesh.cells]
    most_sides = int(sides.max(initial=0))
    most = int(claim.figures.get("most_faces", 0))
    if most != most_sides or int(route.lengths[: mesh.cells].max(initial=0)) > most_sides or most_sides > 1 << shift:
        yield f"a cell has {most_sides} faces, but the claim says {most} and the limiter has {1 << shift} shares"
    needed = next(exponent for exponent in range(64) if 1 << exponent >= most_sides)
    if shift != needed:
        yield f"a face may take 2^-{shift} of a cell, but {most_sides} faces require 2^-{needed}"
    if (claim.status, claim.method, dict(claim.figures)) != ("proved", "shares", {"shift": shift, "most_faces": most}):
        yield "the claim differs from what the checker proved"


def where_it_cuts(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Yield errors in the limiter's figure of the equation claim.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    claim : Claim
        Claim on the equation.
    """
    claimed = claim.figures.get("share_shift")
    shift = face_of(graph).share_bits
    expected = shift if claim.figures else None
    if claimed != expected:
        yield f"the shift of the limiter is {shift}, but the claim says {claimed}"
