"""Pass `prove`: what can be said of every run of the graph, before any."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import sparse

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.compiler.bound import LARGEST_LEDGER
from pisnn_deploy.compiler.facts import BOUNDED, PROVED, Fact
from pisnn_deploy.errors import CompileError
from pisnn_deploy.graph import Certificate, Claim, IntegerGraph, Synapse
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.layout import route_matrix, window_matrix
from pisnn_deploy.mesh import structured_mesh, window_cells
from pisnn_deploy.mesh.window import QUADRATIC
from pisnn_deploy.symbol import amplification, largest_root

ROUNDING_MARGIN = 1e-9
"""Allowance for float64 rounding in the modulus of an amplification factor."""
MOST_CELLS_ALONG = 512
MOST_WAVES = 1 << 20
"""Most Fourier modes of a mesh whose factors are all computed."""


@dataclass(frozen=True)
class Prove:
    """Issue the certificate.

    1. *Conservation*: as the target stores the route (mixed-sign mantissas lose their lowest bit), it is exactly the
       incidence of the mesh, so each packet that leaves a cell or reservoir enters its neighbour: each column sums to
       zero. A route that is not is refused. Ledgers cannot wrap within the number of PDE steps that the claim names.
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
        stored = sparse.csr_matrix((graph.mesh.holders, graph.mesh.faces), dtype=np.int64)
        for synapse in graph.between(FLUX, MEMBRANE):
            stored = stored + as_stored(synapse)
        wrong = sparse.csc_matrix(stored - route_matrix(graph.mesh))
        wrong.eliminate_zeros()
        if wrong.nnz:
            face = int(np.flatnonzero(np.diff(wrong.indptr))[0])
            raise CompileError(
                self.name,
                f"the route of face {face}, as the target stores it, does not carry its packets from "
                f"{_holder(graph, graph.mesh.source[face])} to {_holder(graph, graph.mesh.target[face])}",
            )
        text = f"the stored route of each of the {graph.mesh.faces} faces is the mesh's incidence: -1 and +1, sum zero"
        if graph.mesh.reservoirs:
            (packet,) = (bound for bound in graph.bounds if (bound.population, bound.quantity) == (FLUX, "packet"))
            steps = LARGEST_LEDGER // max(1, abs(packet.lower), abs(packet.upper))
            text += f"; the ledgers of {graph.mesh.reservoirs} reservoirs cannot wrap within {steps} PDE steps"
        return Claim("proved", text)


def _holder(graph: IntegerGraph, number: np.int64) -> str:
    cells = graph.mesh.cells
    return f"cell {int(number)}" if number < cells else f"reservoir {int(number) - cells}"


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
    weights = mantissas << synapse.exponent if synapse.exponent >= 0 else mantissas >> -synapse.exponent
    return sparse.csr_matrix((weights, synapse.columns, synapse.row_starts), (synapse.outputs, synapse.inputs))


def _overflow(graph: IntegerGraph) -> Claim:
    window = graph.window
    text = f"all {len(graph.bounds)} widths hold while masses stay in {window.lower} to {window.upper}"
    if window.difference is not None:
        text += f", differ by at most {window.difference} across a face"
    if window.current is not None:
        text += f", and currents by no more than {window.current} from 0"
    return Claim("assumed", text + "; every run checks this at every PDE step and stops at the first value outside")


def _stability(graph: IntegerGraph) -> Claim:
    if graph.hidden or graph.operator[0].bias.any():
        return Claim("none", "the flux network is not linear")
    theta = 1 << graph.flux.threshold_exponent
    if graph.flux.leak == MEMORYLESS:
        cells = graph.mesh.cells
        update = (graph.matrix(FLUX, MEMBRANE) @ graph.matrix(MEMBRANE, FLUX))[:cells, :cells]
        update = update + theta * sparse.identity(cells, np.int64, format="csr")
        # What a cell takes from reservoirs is a bias, as much as its row lacks of theta.
        held = graph.membrane.reservoirs.size > 0
        sums = np.asarray(update.sum(axis=1)).reshape(-1)
        averages = (sums <= theta).all() if held else (sums == theta).all()
        if (update.nnz == 0 or int(update.data.min()) >= 0) and averages:
            return Claim(
                "proved",
                "discrete maximum principle: no entry of the integer update is negative and its rows sum to theta"
                + (", what reservoirs give included" if held else ""),
            )
    if graph.spec.wall == QUADRATIC and graph.mesh.reservoirs:
        return _stability_between_parabolas(graph)
    shape = graph.mesh.shape
    if math.prod(count + 1 for count in shape) > MOST_WAVES:
        return Claim("none", f"the mesh has more than {MOST_WAVES} waves")
    # Periodic axes have every other one of these waves, axes between walls or reservoirs all but the ends.
    turn = [np.arange(count + 1) * (np.pi / count) for count in shape]
    turn[1:] = [np.concatenate([-waves[:0:-1], waves]) for waves in turn[1:]]
    waves = np.stack([grid.reshape(-1) for grid in np.meshgrid(*turn, indexing="ij")])
    kernel = graph.operator[0].weight[0] / theta
    largest = float(np.abs(amplification(kernel, graph.spec.positions, waves, graph.flux.leak)).max())
    return _claim(largest)


def _stability_between_parabolas(graph: IntegerGraph) -> Claim:
    """Quadratic ghost cells have no Fourier modes; the operator is still a sum over the axes, and so are its gains."""
    mesh, spec = graph.mesh, graph.spec
    if max(mesh.shape) > MOST_CELLS_ALONG:
        return Claim("none", f"an axis has more than {MOST_CELLS_ALONG} cells, too many for its eigenvalues")
    gains = np.zeros(1, np.complex128)
    for count, sides in zip(mesh.shape, mesh.boundary, strict=True):
        line = structured_mesh((count,), (1.0,), (sides,))
        seen = window_cells(line, spec.half_width, 0, np.zeros(line.reservoirs, np.int64), spec.wall)
        update = route_matrix(line) @ window_matrix(graph.operator[0].weight, seen, line.holders)
        eigenvalues = np.linalg.eigvals(update[:count, :count].toarray() / (1 << graph.flux.threshold_exponent))
        gains = (gains[:, None] + eigenvalues).reshape(-1)
    return _claim(float(np.abs(largest_root(gains, graph.flux.leak)).max()))


def _claim(largest: float) -> Claim:
    if largest <= 1 + ROUNDING_MARGIN:
        return Claim("proved", f"all amplification factors lie in the unit disc, the largest is {largest:.12g}")
    return Claim("none", f"an amplification factor has modulus {largest:.6g}, so some modes grow")
