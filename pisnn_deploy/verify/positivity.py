"""The checker of a limiter: no cell has more faces than shares, and faces hear of the masses at their ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.verify.faces import face_of

ENDS = ("source_mass", "target_mass")
"""Ports at which a face hears of the masses at its ends."""


def positivity(graph: IntegerGraph, claim: Claim | None, route: sparse.csr_matrix) -> Iterator[str]:
    """What is wrong with the claim that no cell gives more than it has; nothing if it is right.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed.
    route : scipy.sparse.csr_matrix [holders, faces]
        Effective weights of the packets, as they are stored.
    """
    shift = face_of(graph).share_bits
    if shift is None or claim is None:
        yield "a limiter without a claim" if claim is None else "the graph has no limiter"
        return
    mesh = graph.mesh
    parameters = graph.sole_channels.parameters
    for end, holder in (("source", mesh.source), ("target", mesh.target)):
        wrong = np.flatnonzero(parameters[f"{end}_open"] != (holder >= mesh.cells))
        if wrong.size:
            yield f"{end}_open of face {wrong[0]} is not 1 at a reservoir and 0 at a cell"
    told = [synapse for synapse in graph.synapses if synapse.port in ENDS]
    for synapse in told:
        port = synapse.port
        holder = mesh.source if port == "source_mass" else mesh.target
        face = np.flatnonzero(holder < mesh.cells)
        heard = sparse.csr_matrix((np.ones(face.size, np.int64), (face, holder[face])), (mesh.faces, mesh.holders))
        mantissas = synapse.mantissa_matrix()
        # One mantissa a row: the target floors it alone, and mixed signs cost the lowest bit.
        mantissas.data = mantissas.data >> 1 << 1
        if abs(mantissas - heard * (1 << -synapse.exponent if synapse.exponent < 0 else 0)).sum():
            yield f"the synapses to the port {port} do not tell each face the mass at that end"
    if len({synapse.port for synapse in told}) != len(told):
        yield "a port of the faces hears of masses from several synapses"
    for port in sorted({*ENDS} - {synapse.port for synapse in told}):
        yield f"no synapse tells the faces a mass at the port {port}"
    if graph.window.lower < 0:
        yield f"the operating window begins at {graph.window.lower}, below 0"
    # A face from a cell to itself is two of its sides, of which the stored route shows none.
    sides = np.bincount(np.concatenate([mesh.source, mesh.target]), minlength=mesh.holders)[: mesh.cells]
    most_sides = int(sides.max(initial=0))
    most = int(claim.figures.get("most_faces", 0))
    if (
        most != most_sides
        or int(np.diff(route.indptr)[: mesh.cells].max(initial=0)) > most_sides
        or most_sides > 1 << shift
    ):
        yield f"a cell has {most_sides} faces, the claim says {most}, and there are {1 << shift} shares"
    needed = next(exponent for exponent in range(64) if 1 << exponent >= most_sides)
    if shift != needed:
        yield f"a face may take 2^-{shift} of a cell, and 2^-{needed} is enough for {most_sides} faces"
    if (claim.status, claim.method, dict(claim.figures)) != ("proved", "shares", {"shift": shift, "most_faces": most}):
        yield "the claim is not what was proved"


def where_it_cuts(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """What is wrong with how the claim on the equation tells of the limiter; nothing if it is right.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed.
    claim : Claim
        On the equation.
    """
    given = claim.figures.get("share_shift")
    shift = face_of(graph).share_bits
    wanted = shift if claim.figures else None
    if given != wanted:
        yield f"the limiter's shift is {shift}, the claim says {given}"
