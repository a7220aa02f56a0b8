"""Pass `prove`: issue the certificate, which holds for every run of the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np

from pisnn_deploy.compiler.analysis.changes import reservoirs_extend
from pisnn_deploy.compiler.analysis.channels import as_stored, certificate_of, wrong_route
from pisnn_deploy.compiler.analysis.energy import points_of_energy
from pisnn_deploy.compiler.analysis.equation import equation_claim
from pisnn_deploy.compiler.analysis.faces import (
    conductances_of,
    face_weights,
    full_exponent,
    has_unknown_programs,
    is_two_point,
    level_bits,
)
from pisnn_deploy.compiler.analysis.floors import taking
from pisnn_deploy.compiler.analysis.invariance import lattice_kernel, lattice_shape, rounding_drift
from pisnn_deploy.compiler.facts import BOUNDED, PROVED, Fact
from pisnn_deploy.compiler.passes.bound import LARGEST_LEDGER
from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.errors import CompileError, DoesNotFit
from pisnn_deploy.core.rows import added, diagonal
from pisnn_deploy.graph import Certificate, Claim, IntegerGraph
from pisnn_deploy.graph.claims import Figure, Method
from pisnn_deploy.graph.connections import Incidence, Stencil
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.kinds import face_of, known_face
from pisnn_deploy.graph.layout import route_matrix, window_matrix, window_stencil
from pisnn_deploy.graph.parts import Part, restricted
from pisnn_deploy.graph.shape import is_incidence
from pisnn_deploy.mesh import Boxes, structured_mesh, window_cells
from pisnn_deploy.mesh.window import QUADRATIC
from pisnn_deploy.physics.symbol import delayed_root, gain_on_grid, largest_root
from pisnn_deploy.programs.limiter import ASKED_BITS

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

ROUNDING_MARGIN = 1e-9
"""Tolerance for float64 rounding in the modulus of an amplification factor."""
MOST_CELLS_ALONG = 512
MOST_WAVES = 1 << 24
"""Most Fourier modes of a mesh whose factors are all computed."""
WAVES_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Prove:
    """Issue the certificate.

    1. *Conservation*: as the target stores the route (mixed-sign mantissas lose their lowest bit), it is exactly the
       incidence of the mesh, so each packet that leaves a cell or reservoir enters its neighbour: each column sums to
       zero. A route that is not is refused. Ledgers cannot wrap within the number of PDE steps that the claim names.
    2. *Overflow*: every width holds while the masses stay in the operating window, which every run checks. Where a
       discrete maximum principle holds, `pisnn_deploy.compiler.analysis.invariance` says how far rounding can lead
       from it, and no run that starts so far inside the window leaves it: the claim is proved.
    3. *Stability*: for a linear memoryless network, ``theta I + D W`` as integers: if no entry is negative and every
       row sums to theta, each new value is an average of old ones (discrete maximum principle), up to the packets'
       rounding. Otherwise the amplification factors of the integer stencil, if they all lie in the unit disc.
       Networks with hidden layers get no such claim. Factors of stock processes, whose fluxes are one step old, are
       those of their own recurrence.
    4. With a limiter, *positivity*: the low flux never overdraws a cell, and of what is asked beyond it a cell grants
       at most what it has above the floor (takes at most what it has room for): ``sum floor(A a / 2^8) <= m1 - floor``,
       because the reciprocals of its table are rounded down. The update is then no longer linear; stability rests on
       both limits, or on the floor and the constant sum where there are no reservoirs.
    5. *Equation*: the coefficients that the integers have in physical units, compared with those of the model
       (`pisnn_deploy.compiler.analysis.equation`).
    6. Stability and equation are not claimed if no theorem covers the programs of faces, or of neurons before them.
    7. For a graph without a flux network, *conservation* follows from its shape: each packet leaves one holder and
       enters another as the target stores the route, so the mass of each joined set of holders is constant.
       *Overflow* is assumed from the operating windows of all fields. *Equation*: at constant states the packets are
       the fluxes and rates of the law (`pisnn_deploy.compiler.analysis.constant_states`). Stability is not claimed.
       With a limiter, *positivity* of each positive field: its fluxes ask, as in 4 without a low flux, and its other
       channels have packets of one sign, which only give.
    """

    name: ClassVar[str] = "prove"
    requires: ClassVar[tuple[Fact, ...]] = (BOUNDED,)
    ensures: ClassVar[tuple[Fact, ...]] = (PROVED,)

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Prove | None:
        """Always run."""
        return cls()

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Prove `graph`.

        Raises
        ------
        CompileError
            The route of the packets does not conserve mass, or a channel takes from a positive field without asking.
        """
        self._require_sums(graph)
        if not graph.has_flux_network:
            self._require_law(graph)
            return replace(graph, certificate=certificate_of(graph, LARGEST_LEDGER))
        claims = (self._conservation(graph), _overflow(graph), stability_claim(graph), _positivity(graph))
        return replace(graph, certificate=Certificate(*claims, equation_claim(graph)))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        if graph.certificate is None:
            return "nothing"
        return ", ".join(f"{name} {claim.status}" for name, claim in graph.certificate.claims.items())

    def _conservation(self, graph: IntegerGraph) -> Claim:
        if not is_incidence(graph):
            self._compare_route(graph)
        figures: dict[str, Figure] = {"faces": graph.mesh.faces, "reservoirs": graph.mesh.reservoirs}
        if graph.mesh.reservoirs:
            (packet,) = (bound for bound in graph.bounds if (bound.population, bound.quantity) == (FLUX, "packet"))
            figures["ledger_steps"] = LARGEST_LEDGER // max(1, abs(packet.lower), abs(packet.upper))
        return Claim("proved", "incidence", figures)

    def _require_sums(self, graph: IntegerGraph) -> None:
        """Refuse sums of requests that are larger than what cells can answer."""
        asked = [b for b in graph.bounds if b.population in graph.order.answers and b.quantity in ("leaving", "coming")]
        widest = max((bound.upper for bound in asked), default=0)
        if widest > 1 << ASKED_BITS:
            raise DoesNotFit(
                self.name,
                f"faces may ask {widest} quanta of a cell; answers exist up to 2^{ASKED_BITS}",
                remedy="narrow the operating range, or compile without `limiter`",
            )

    def _require_law(self, graph: IntegerGraph) -> None:
        """Refuse routes that lose mass, and channels that take from a positive field without asking."""
        wrong = wrong_route(graph)
        if wrong:
            raise CompileError(self.name, wrong)
        for channels, field in taking(graph):
            raise CompileError(
                self.name,
                f"{channels} may take from {field} without asking; only fluxes ask",
                remedy="write a rate that gives alone, or compile without `limiter`",
            )

    def _compare_route(self, graph: IntegerGraph) -> None:
        expected = route_matrix(graph.mesh)
        wrong = added(map(as_stored, graph.between(FLUX, MEMBRANE)), expected.shape) - expected
        if wrong.entries:
            face = int(wrong.columns.min())
            raise CompileError(
                self.name,
                f"the route of face {face}, as the target stores it, does not carry its packets from "
                f"{_holder(graph, graph.mesh.source[face])} to {_holder(graph, graph.mesh.target[face])}",
            )


def _holder(graph: IntegerGraph, number: np.int64) -> str:
    cells = graph.mesh.cells
    return f"cell {int(number)}" if number < cells else f"reservoir {int(number) - cells}"


_WITHIN_LIMITS = {"bounds", "lower", "upper"}
"""Figures of a range without limits on slopes and fluxes, which floor and ceiling alone keep."""


def _overflow(graph: IntegerGraph) -> Claim:
    window = graph.window
    figures: dict[str, Figure] = {"bounds": len(graph.bounds), "lower": window.lower, "upper": window.upper}
    if window.difference is not None:
        figures["difference"] = window.difference
    if window.current is not None:
        figures["current"] = window.current
    face = face_of(graph)
    if face is not None and face.limiter is not None and face.limiter.has_ceiling and set(figures) == _WITHIN_LIMITS:
        return Claim("proved", "limited-range", figures)
    start = _invariant_start(graph)
    if start is None:
        return Claim("assumed", "operating-window", figures)
    return Claim("proved", "invariant-range", figures | start)


def _invariant_start(graph: IntegerGraph) -> dict[str, Figure] | None:
    """Starts from which a run never leaves the operating window; None if unknown.

    Values of cells average values of cells and reservoirs. Differences of neighbours obey the same kernel where the
    field extends to the whole lattice: all reservoirs are equal, or they lie along one axis and are equal on each side.
    """
    if graph.materials is not None or graph.window.current is not None or not _is_linear(graph) or not _averages(graph):
        return None
    window, mesh = graph.window, graph.grid
    if mesh.reservoirs and graph.model_spec.wall == QUADRATIC:
        return None
    spec = graph.model_spec
    kernel = lattice_kernel(spec.kernels(graph.operator[0].weight), spec.positions, lattice_shape(mesh))
    face = known_face(graph)
    drift = rounding_drift(kernel, 1 << face.exponent, sees_residues=face.sees_residues)
    if drift is None:
        return None
    start: dict[str, Figure] = {
        "drift": drift,
        "start_lower": window.lower + drift,
        "start_upper": window.upper - drift,
    }
    reservoirs = graph.sole_field.reservoirs
    if start["start_lower"] > start["start_upper"]:
        return None
    if reservoirs.size and (
        int(reservoirs.min()) < start["start_lower"] or int(reservoirs.max()) > start["start_upper"]
    ):
        return None
    if window.difference is not None:
        start["start_difference"] = window.difference - 2 * drift
        if start["start_difference"] < 0 or not reservoirs_extend(mesh, reservoirs):
            return None
    return start


def _is_linear(graph: IntegerGraph) -> bool:
    """Whether a PDE step is a linear map of the masses alone, up to rounding."""
    face = face_of(graph)
    linear = len(graph.operator) == 1 and not graph.operator[0].bias.any()
    return linear and face is not None and (face.leak, face.limiter, face.is_late) == (MEMORYLESS, None, False)


def _stability_in_medium(graph: IntegerGraph) -> Claim:
    """Values are averages while ``p_i * sum_f c_f <= 2^(F + s)``, as integers; s is 0 without levels."""
    mesh, weights = graph.mesh, face_weights(graph)
    if not is_two_point(mesh, weights):
        points = points_of_energy(graph)
        return Claim("none", "several-values") if points is None else Claim("proved", "energy", {"points": points})
    conductance = np.zeros(mesh.holders, np.int64)
    largest = conductances_of(weights)
    np.add.at(conductance, mesh.source, largest)
    np.add.at(conductance, mesh.target, largest)
    limit = 1 << (full_exponent(graph) + level_bits(graph))
    if (graph.sole_field.inverse_volume * conductance[: mesh.cells] <= limit).all():
        return Claim("proved", "maximum-principle", {"reservoirs": mesh.reservoirs})
    return Claim("none", "nonlinear")


def _averages(graph: IntegerGraph) -> bool:
    """Whether each new value averages old ones and those of reservoirs, up to rounding."""
    graph = _shortened(graph)
    theta, cells = 1 << known_face(graph).exponent, graph.grid.cells
    route = graph.matrix(FLUX, MEMBRANE).first_rows(cells)
    moved = (route @ graph.matrix(MEMBRANE, FLUX)).between(0, cells)
    update = moved + diagonal(np.full(cells, theta, np.int64))
    if int(update.values.min(initial=0)) < 0:
        return False
    lacking = theta - update.sums()
    reservoirs = graph.sole_field.reservoirs
    if not reservoirs.size:
        return not lacking.any()
    # Inflow from reservoirs is a bias: the difference between theta and the row's sum.
    bias_sums = route @ graph.sole_channels.parameters["bias"]
    low, high = lacking * int(reservoirs.min()), lacking * int(reservoirs.max())
    return bool((lacking >= 0).all() and (low <= bias_sums).all() and (bias_sums <= high).all())


def _shortened(graph: IntegerGraph) -> IntegerGraph:
    """Shrink the mesh so that every row of the update still occurs; small graphs are returned unchanged.

    Where synapses repeat over boxes of faces, an axis that is much longer than the windows only repeats rows.
    """
    mesh, spec = graph.grid, graph.model_spec
    longest = 4 * (spec.half_width + spec.transverse) + 8
    shape = tuple(min(count, longest) for count in mesh.shape)
    repeated = [(s, s.connections) for s in graph.between(MEMBRANE, FLUX) if isinstance(s.connections, Stencil)]
    if shape == mesh.shape or mesh.reservoirs or len(repeated) + 1 != len(graph.synapses) or not is_incidence(graph):
        return graph
    lengths = tuple(length / count * few for length, count, few in zip(mesh.lengths, mesh.shape, shape, strict=True))
    small = structured_mesh(shape, lengths, mesh.boundary)
    weight = spec.by_axis(graph.operator[0].weight)
    laid_out = window_stencil(weight, small, spec.half_width, spec.transverse, spec.wall)
    boxes = laid_out.boxes
    if any(not _same_boxes(stencil.boxes, mesh.shape, boxes, shape) for _, stencil in repeated):
        return graph
    synapses = []
    for synapse, stencil in repeated:
        half = np.array(mesh.shape) // 2  # on a periodic axis an offset may be stored the long way round
        offsets = (stencil.offsets + half) % mesh.shape - half
        shorter = replace(stencil, mesh=small, boxes=boxes, offsets=offsets)
        synapses.append(replace(synapse, connections=shorter))
    (route,) = graph.between(FLUX, MEMBRANE)
    ends = Incidence(small.source, small.target, small.holders, int(cast(Incidence, route.connections).value))
    none = np.zeros(0, np.int64)
    part = Part(small, np.arange(small.cells), none, np.arange(small.faces))
    return restricted(graph, part, (*synapses, replace(route, connections=ends)))


def _same_boxes(boxes: Boxes, shape: tuple[int, ...], others: Boxes, small: tuple[int, ...]) -> bool:
    """Whether boxes of two meshes correspond in order: same axes, same distance from the nearer walls."""
    if not np.array_equal(boxes.axis, others.axis):
        return False
    gone = np.array(shape) - np.array(small)
    middle = np.array(small) // 2
    grown = np.where(others.shape > 1, others.shape + gone, others.shape)
    moved = np.where((others.shape == 1) & (others.lower >= middle), others.lower + gone, others.lower)
    return bool(np.array_equal(boxes.shape, grown) and np.array_equal(boxes.lower, moved))


def _positivity(graph: IntegerGraph) -> Claim | None:
    face = face_of(graph)
    if face is None or face.limiter is None:
        return None
    figures: dict[str, Figure] = {"floor": graph.window.lower}
    if face.limiter.has_ceiling:
        return Claim("proved", "floor-and-ceiling", {**figures, "ceiling": graph.window.upper})
    return Claim("proved", "floor", figures)


def stability_claim(graph: IntegerGraph) -> Claim:
    """Claim on the growth of modes, or of masses where a limiter bounds them."""
    if has_unknown_programs(graph):
        return Claim("none", "unknown-program")
    face = known_face(graph)
    if face.limiter is not None:
        if face.limiter.has_ceiling:
            return Claim("proved", "between-limits")
        return Claim("none", "limited") if graph.mesh.reservoirs else Claim("proved", "constant-sum")
    if graph.materials is not None:
        return _stability_in_medium(graph)
    if graph.between_fields or graph.operator[0].bias.any():
        return Claim("none", "nonlinear")
    if _is_linear(graph) and _averages(graph):
        return Claim("proved", "maximum-principle", {"reservoirs": graph.mesh.reservoirs})
    if graph.model_spec.wall == QUADRATIC and graph.grid.reservoirs:
        return _stability_between_parabolas(graph)
    shape = graph.grid.shape
    if math.prod(count + 1 for count in shape) > MOST_WAVES:
        return Claim("none", "too-large")
    # Periodic axes have every other one of these waves, axes between walls or reservoirs all but the ends.
    turn = [np.arange(count + 1) * (np.pi / count) for count in shape]
    turn[1:] = [np.concatenate([-waves[:0:-1], waves]) for waves in turn[1:]]
    spec, largest = graph.model_spec, 0.0
    kernels = spec.kernels(graph.operator[0].weight / (1 << face.exponent))
    for first in np.array_split(turn[0], -(-math.prod(map(len, turn)) // WAVES_AT_ONCE)):
        gains = gain_on_grid(kernels, spec.positions, [first, *turn[1:]])
        factors = delayed_root(gains) if face.is_late else largest_root(gains, face.leak)
        largest = max(largest, float(np.abs(factors).max(initial=0.0)))
    return _claim(largest, "fourier")


def _stability_between_parabolas(graph: IntegerGraph) -> Claim:
    """Quadratic ghost cells have no Fourier modes; the operator is still a sum over the axes, and so are its gains."""
    mesh, spec = graph.grid, graph.model_spec
    if max(mesh.shape) > MOST_CELLS_ALONG:
        return Claim("none", "too-large")
    gains = np.zeros(1, np.complex128)
    kernels = spec.kernels(graph.operator[0].weight)
    for count, sides, kernel in zip(mesh.shape, mesh.boundary, kernels, strict=True):
        line = structured_mesh((count,), (1.0,), (sides,))
        seen = window_cells(line, spec.half_width, 0, np.zeros(line.reservoirs, np.int64), spec.wall)
        update = route_matrix(line) @ window_matrix(kernel[None], seen, line.holders)
        eigenvalues = np.linalg.eigvals(update.toarray()[:count, :count] / (1 << known_face(graph).exponent))
        gains = (gains[:, None] + eigenvalues).reshape(-1)
    return _claim(float(np.abs(largest_root(gains, known_face(graph).leak)).max()), "axis-eigenvalues")


def _claim(largest: float, method: Method) -> Claim:
    # Rounded, because the last digits of transcendental functions differ from machine to machine.
    modulus = float(f"{largest:.9g}")
    if largest <= 1 + ROUNDING_MARGIN:
        return Claim("proved", method, {"modulus": min(modulus, 1.0)})
    return Claim("none", "growth", {"modulus": modulus})
