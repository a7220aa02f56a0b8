"""Pass `prove`: what can be said of every run of the graph, before any."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import sparse

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.compiler.facts import BOUNDED, PROVED, Fact
from pisnn_deploy.compiler.symbol import amplification
from pisnn_deploy.errors import CompileError
from pisnn_deploy.graph import Certificate, Claim, IntegerGraph, Synapse
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.layout import route_matrix

ROUNDING_MARGIN = 1e-9
"""Allowance for float64 rounding in the modulus of an amplification factor."""


@dataclass(frozen=True)
class Prove:
    """Issue the certificate.

    1. *Conservation*: as the target stores the route (mixed-sign mantissas lose their lowest bit), it is exactly the
       incidence of the mesh, so each packet that leaves a cell enters its neighbour: each column sums to zero.
       A route that is not is refused.
    2. *Overflow*: every width holds while the masses stay in the operating window, which every run checks.
    3. *Stability*: for a linear memoryless network, ``theta I + D W`` as integers: if no entry is negative and every
       row sums to theta, each new value is an average of old ones (discrete maximum principle), up to the packets'
       rounding. Otherwise the amplification factors of the integer stencil, if they all lie in the unit disc.
       Networks with hidden layers get no such claim.
    """

    name: ClassVar[str] = "prove"
    requires: ClassVar[tuple[Fact, ...]] = (BOUNDED,)
    ensures: ClassVar[tuple[Fact, ...]] = (PROVED,)

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Prove `graph`.

        Raises
        ------
        CompileError
            The route of the packets does not conserve mass.
        """
        return replace(graph, certificate=Certificate(self._conservation(graph), _overflow(graph), _stability(graph)))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence on what the pass made."""
        if graph.certificate is None:
            return "nothing"
        return ", ".join(f"{name} {claim.status}" for name, claim in vars(graph.certificate).items())

    def _conservation(self, graph: IntegerGraph) -> Claim:
        stored = sparse.csr_matrix((graph.mesh.cells, graph.mesh.faces), dtype=np.int64)
        for synapse in graph.between(FLUX, MEMBRANE):
            stored = stored + as_stored(synapse)
        wrong = sparse.csc_matrix(stored - route_matrix(graph.mesh))
        wrong.eliminate_zeros()
        if wrong.nnz:
            face = int(np.flatnonzero(np.diff(wrong.indptr))[0])
            raise CompileError(
                self.name,
                f"the route of face {face}, as the target stores it, does not carry its packets from cell "
                f"{int(graph.mesh.source[face])} to cell {int(graph.mesh.target[face])}",
            )
        return Claim(
            "proved",
            f"the stored route of each of the {graph.mesh.faces} faces is the mesh's incidence: -1 and +1, sum zero",
        )


def as_stored(synapse: Synapse) -> sparse.csr_matrix:
    """Effective weights after the target's truncation: mixed-sign mantissas are floored to even numbers.

    Parameters
    ----------
    synapse : Synapse

    Returns
    -------
    scipy.sparse.csr_matrix, int64 [outputs, inputs]
        ``floor(mantissa) * 2^exponent``, floored as the target floors a sum that one input alone drives.
    """
    mantissas = synapse.mantissas
    if mantissas.size and mantissas.min() < 0 < mantissas.max():
        mantissas = (mantissas >> 1) << 1
    shape = (synapse.outputs, synapse.inputs)
    return sparse.csr_matrix((mantissas >> -synapse.exponent, synapse.columns, synapse.row_starts), shape)


def _overflow(graph: IntegerGraph) -> Claim:
    window = graph.window
    text = f"all {len(graph.bounds)} widths hold while masses stay in {window.lower} to {window.upper}"
    if window.difference is not None:
        text += f" and differ by at most {window.difference} across a face"
    return Claim("assumed", text + "; every run checks this at every PDE step and stops at the first value outside")


def _stability(graph: IntegerGraph) -> Claim:
    if graph.hidden or graph.flux.bias.any():
        return Claim("none", "the flux network is not linear")
    theta = 1 << graph.flux.threshold_exponent
    if graph.flux.leak == MEMORYLESS:
        identity = sparse.identity(graph.mesh.cells, np.int64, format="csr")
        update = theta * identity + graph.matrix(FLUX, MEMBRANE) @ graph.matrix(MEMBRANE, FLUX)
        sums = np.asarray(update.sum(axis=1)).reshape(-1)
        if (update.nnz == 0 or int(update.data.min()) >= 0) and (sums == theta).all():
            return Claim(
                "proved",
                "discrete maximum principle: no entry of the integer update is negative and its rows sum to theta",
            )
    if len(graph.mesh.shape) == 1:
        waves = np.linspace(0.0, np.pi, graph.mesh.cells + 1)
        kernel = graph.operator[0].weight[0] / theta
        largest = float(np.abs(amplification(kernel, waves, graph.flux.leak)).max())
        if largest <= 1 + ROUNDING_MARGIN:
            return Claim("proved", f"all amplification factors lie in the unit disc, the largest is {largest:.12g}")
        return Claim("none", f"an amplification factor has modulus {largest:.6g}, so some modes grow")
    return Claim("none", "amplification factors are only analysed in one dimension")
