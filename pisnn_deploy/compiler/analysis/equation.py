"""The equation that the integers solve, in physical units: the claim `equation` of the certificate.

The doubles of a graph are rationals, so the figures of linear and of hidden flux networks are exact but for one
rounding, and the checker's must be the same.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.faces import conductances_of, face_weights, has_unknown_programs, is_two_point
from pisnn_deploy.compiler.analysis.kinks import drives_along
from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.claims import LARGEST_DEVIATION, Figure
from pisnn_deploy.graph.integer import Materials
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.mesh import CellMesh, multi_point_fluxes
from pisnn_deploy.programs.neurons import FaceConstants

STATES = 16
"""Number of intervals between the constant states that are examined in the operating window."""
STEEPEST_PART = 8
"""Slopes are examined from a quarter of the steepest on; this divides the steepest to half a rise."""
ROUNDINGS_OF_SCALE = 1e-5
"""Relative tolerance of the scale of weights, a quotient of sums of rounded and of exact ones."""
HALF_OF_THE_DIGITS = 2.0**-26
"""Relative tolerance for geometry in float64, where differences may cancel half of the digits."""

Field = NDArray[np.float64]


def equation_claim(graph: IntegerGraph) -> Claim:
    """Claim on the equation that the integers of a graph solve.

    Returns
    -------
    Claim
        ``proved`` by `moments` of a linear kernel, `states` of a nonlinear flux network, or integer `conductances` of
        two-point fluxes; ``none`` where the law is another one than the spec's. With a limiter the figures say so,
        because the claim holds where nothing is withheld.
    """
    if has_unknown_programs(graph):
        return Claim("none", "unknown-program")
    face = known_face(graph)
    claim = _without_limiter(graph, face)
    if face.limiter is None or not claim.figures:
        return claim
    return replace(claim, figures={**claim.figures, "limited": 1})


def _without_limiter(graph: IntegerGraph, face: FaceConstants) -> Claim:
    if graph.materials is not None:
        return _conductances(graph, graph.materials)
    if not graph.between_fields and not graph.operator[0].bias.any():
        return _moments(graph, face)
    if graph.spec.equation == "laplace":
        return Claim("none", "nonlinear")
    return _states(graph, face)


def _claim(graph: IntegerGraph, figures: dict[str, Figure], linear: bool) -> Claim:
    """Claim of the given method if every coefficient is the model's, else `other-law`."""
    good = all(
        abs(value / of_model - 1) <= LARGEST_DEVIATION
        for name, of_model in figures.items()
        if name in ("wanted_velocity", "wanted_diffusivity", "wanted_wave_speed")
        for key, value in figures.items()
        if key in (name[7:], f"{name[7:]}_lower", f"{name[7:]}_upper")
    )
    good = good and figures.get("courant", 0.0) == 0.0
    good = good and all(
        figures.get(name, 0.0) <= LARGEST_DEVIATION for name in ("flux_error", "across", "drift", "axes_error")
    )
    good = good and (bool(graph.between_fields) or figures.get("drift", 0.0) == 0.0)
    if good:
        return Claim("proved", "moments" if linear else "states", figures)
    return Claim("none", "other-law", figures)


def _moments(graph: IntegerGraph, face: FaceConstants) -> Claim:
    spec, theta = graph.model_spec, 1 << face.exponent
    kernels = [kernel.astype(object) for kernel in spec.kernels(graph.operator[0].weight)]
    doubled = np.rint(2 * spec.positions[0]).astype(np.int64).astype(object)
    courant = max((Fraction(int(kernel.sum()), theta) for kernel in kernels), key=abs)
    numbers = [-Fraction(int((kernel * doubled).sum()), 2 * theta) for kernel in kernels]
    widths = [Fraction(length) / count for length, count in zip(graph.grid.lengths, graph.grid.shape, strict=True)]
    along = [Fraction(factor) for factor in spec.along or (1,) * len(kernels)]
    # Squared lengths that a PDE step spreads over, in units of the factors of the diffusivity.
    spread = [number * width**2 / part for number, width, part in zip(numbers, widths, along, strict=True)]
    clock, step = spec.clock_axis, Fraction(graph.time_step)
    number, width = numbers[clock], widths[clock]
    kept = Fraction(MEMORYLESS, face.leak)
    if spec.equation == "laplace":
        figures: dict[str, Figure] = {
            "wave_speed": math.sqrt(spread[clock] / step**2) if number > 0 else 0.0,
            "wanted_wave_speed": 1.0,
        }
        if spec.damping is not None and face.leak < MEMORYLESS:
            figures |= {
                "damping": _shown(-math.log1p(-face.leak / MEMORYLESS) / graph.time_step),
                "wanted_damping": spec.damping,
            }
    elif spec.equation == "advection-diffusion":
        # A flux that is one time step old moves a wave by one more step's worth (`compiler.passes.stock`).
        late = Fraction(3 if face.is_late else 1, 2) * courant**2
        figures = {
            "velocity": float(courant * width / step),
            "wanted_velocity": spec.velocity,
            "diffusivity": float((number - late) * width**2 / step),
            "wanted_diffusivity": spec.diffusivity,
        }
    else:
        figures = {
            "diffusivity": float(spread[clock] * kept / step),
            "wanted_diffusivity": spec.diffusivity,
        }
    if spec.rates and number:
        figures["axes_error"] = float(max(abs(each / spread[clock] - 1) for each in spread))
    if spec.equation != "advection-diffusion" and courant:
        figures |= {"courant": float(courant), "wanted_courant": 0.0}
    sideways = np.rint(spec.positions[1:]).astype(np.int64)
    across = max((abs(int(kernel @ place)) for kernel in kernels for place in sideways), default=0)
    if across and number:
        figures["across"] = float(Fraction(across, theta) / abs(number))
    return _claim(graph, figures, linear=True)


def _states(graph: IntegerGraph, face: FaceConstants) -> Claim:
    """Compare fluxes of constant states, and of slopes on top of them, with the law's."""
    spec, window, grid = graph.model_spec, graph.window, graph.grid
    width, step = Fraction(grid.lengths[0]) / grid.shape[0], Fraction(graph.time_step)
    unit, kept = Fraction(graph.value_per_quantum), Fraction(MEMORYLESS, face.leak)
    per_drive = kept * unit * width / step / (1 << face.exponent)
    extent = window.upper - window.lower
    steepest = max(1, min(extent, extent if window.difference is None else window.difference))
    errors, slopes = _errors(graph, per_drive), _slopes(graph, steepest, per_drive / (4 * unit / width))
    if errors is None or slopes is None:
        return Claim("none", "too-many-kinks")
    if not slopes:
        return Claim("none", "nonlinear")
    law = [
        _law_flux(graph, mass * unit) for mass in (window.lower, min(max(0, window.lower), window.upper), window.upper)
    ]
    scale = max(law) - min(law) + Fraction(spec.diffusivity) * steepest * unit / width
    # A flux that is the same everywhere moves nothing around a ring; only walls and reservoirs reveal it.
    ring = all(side == "periodic" for sides in grid.boundary for side in sides)
    largest = max(map(abs, errors))
    figures: dict[str, Figure] = {"flux_error": float((max(errors) - min(errors) if ring else largest) / scale)}
    if not ring and (not graph.between_fields or spec.equation == "diffusion"):
        constant = largest if graph.between_fields else abs(int(graph.operator[0].bias[0])) * per_drive
        longest = max(map(Fraction, grid.lengths))
        figures["drift"] = float(constant * longest / (Fraction(spec.diffusivity) * extent * unit))
    gentlest = min(place for _, place, _ in slopes)
    figures |= {
        "states": len({mass for mass, *_ in slopes}),
        "gentlest_slope": float(2 * gentlest * unit / width),
        "steepest_slope": float(2 * max(place for _, place, _ in slopes) * unit / width),
        "diffusivity_lower": float(min(diffusivity for *_, diffusivity in slopes)),
        "diffusivity_upper": float(max(diffusivity for *_, diffusivity in slopes)),
        "wanted_diffusivity": spec.diffusivity,
    }
    return _claim(graph, figures, linear=False)


def _errors(graph: IntegerGraph, per_drive: Fraction) -> list[Fraction] | None:
    """Extreme errors of the fluxes of constant states; None if the network has too many kinks."""
    window, unit = graph.window, Fraction(graph.value_per_quantum)
    positions = graph.model_spec.positions.shape[1]
    line = drives_along(
        graph.operator,
        np.zeros(positions, object),
        np.ones(positions, object),
        window.lower,
        max(window.upper, window.lower + 1),
    )
    if line is None:
        return None
    places = list(line.places)
    if graph.spec.equation == "burgers":
        # Between two kinks the error is a parabola, whose vertex is where the line is as steep as the law.
        for (start, end), (left, right) in zip(pairwise(line.places), pairwise(line.drives), strict=True):
            vertex = (right - left) / (end - start) * per_drive / unit**2
            places += [vertex] if start < vertex < end else []
    errors = [line.at(place) * per_drive - _law_flux(graph, place * unit) for place in places]
    return [min(errors) + line.below * per_drive, max(errors) + line.above * per_drive]


def _slopes(graph: IntegerGraph, steepest: int, scale: Fraction) -> list[tuple[int, Fraction, Fraction]] | None:
    """Constant states, half of a slope's rise per cell in quanta, and the resulting diffusivities.

    Between two kinks the diffusivity is monotone in the slope, so that the kinks and both ends have its extremes.
    """
    window, positions = graph.window, graph.model_spec.positions[0]
    doubled = np.rint(2 * positions).astype(np.int64).astype(object)
    extent, reach = window.upper - window.lower, 2 * graph.model_spec.half_width - 1
    least = max(1, min(steepest // STEEPEST_PART, extent // (4 * reach)))
    slopes = []
    for mass in (window.lower + extent * number // STATES for number in range(STATES + 1)):
        most = min(steepest // 2, min(mass - window.lower, window.upper - mass) // reach)
        if min(mass - window.lower, window.upper - mass) < least * reach:
            continue
        most = max(least, most)
        line = drives_along(graph.operator, np.full(positions.size, mass, object), doubled, -most, most)
        if line is None:
            return None
        late = _law_speed(graph, mass * Fraction(graph.value_per_quantum)) ** 2 * Fraction(graph.time_step) / 2
        for place in {Fraction(least), *(abs(place) for place in line.places if abs(place) >= least)}:
            fall, dropped = line.at(-place) - line.at(place), line.above - line.below
            slopes += [(mass, place, (fall + bits) * scale / place - late) for bits in (-dropped, dropped)]
    return slopes


def _law_flux(graph: IntegerGraph, value: Fraction) -> Fraction:
    """Flux of a constant field through a face, per unit of time."""
    if graph.spec.equation == "burgers":
        return value**2 / 2
    return Fraction(graph.model_spec.velocity) * value


def _law_speed(graph: IntegerGraph, value: Fraction) -> Fraction:
    """Derivative of `_law_flux`."""
    return value if graph.model_spec.equation == "burgers" else Fraction(graph.model_spec.velocity)


def _conductances(graph: IntegerGraph, materials: Materials) -> Claim:
    mesh, field = graph.mesh, graph.sole_field
    capacity = materials.capacity * mesh.geometry().volumes
    exact_volumes = field.unit_volume / capacity
    nearest = (abs(field.inverse_volume - exact_volumes) <= 0.5 + HALF_OF_THE_DIGITS * exact_volumes).all()
    weights = face_weights(graph)
    two_points = is_two_point(mesh, weights)
    figures, fits = _two_point(graph, materials, weights) if two_points else _multi_point(graph, materials, weights)
    figures["capacity_error"] = _shown(abs(field.inverse_volume / exact_volumes - 1).max())
    angles = mesh.angles()
    if angles is not None:
        mean, largest = (angles.mean(), angles.max()) if angles.size else (0.0, 0.0)
        figures |= {"mean_angle": _shown(mean), "largest_angle": _shown(largest)}
    if nearest and fits:
        return Claim("proved", "conductances" if two_points else "multi-point", figures)
    return Claim("none", "other-law", figures)


def _two_point(graph: IntegerGraph, materials: Materials, weights: Rows) -> tuple[dict[str, Figure], bool]:
    """Figures of two-point fluxes, and whether all conductances are rounded from exact ones on one scale."""
    mesh = graph.mesh
    joins = mesh.source != mesh.target  # a face from a cell to itself moves nothing, whatever it conducts
    stored, conductance = conductances_of(weights)[joins], materials.conductances(mesh)[joins]
    scale = int(stored.sum()) / math.fsum(conductance)
    # One scale must round each conductance to the nearest integer; without levels up or down, because there the
    # next face compensates the rounding of one.
    room = 0.5 if graph.between_fields else 1.0
    lowest, highest = ((stored - room) / conductance).max(), ((stored + room) / conductance).min()
    fits = bool(lowest <= highest * (1 + HALF_OF_THE_DIGITS))
    return {"conductance_error": _shown(abs(stored / (scale * conductance) - 1).max())}, fits


def _multi_point(graph: IntegerGraph, materials: Materials, weights: Rows) -> tuple[dict[str, Figure], bool]:
    """Figures of multi-point fluxes, and whether all weights are rounded from exact ones on one scale."""
    mesh = graph.mesh
    if not isinstance(mesh, CellMesh):
        return {}, False
    exact = multi_point_fluxes(mesh, materials.conductivity)
    of_reservoirs = exact.between(mesh.cells, mesh.holders)
    inside = exact.between(0, mesh.cells)
    # The weights of cells are in the synapses; reservoirs are in the biases, which the layout is checked for.
    scale = int(abs(weights.values).sum()) / math.fsum(abs(inside.values))
    difference = weights.valued(lambda values: values.astype(np.float64)) - inside.valued(lambda values: scale * values)
    largest = np.zeros(mesh.faces)
    np.maximum.at(largest, inside.row_of, abs(scale * inside.values))
    entries = inside.lengths + of_reservoirs.lengths
    room = 0.5 * entries[difference.row_of] + 1 + ROUNDINGS_OF_SCALE * largest[difference.row_of]
    figures: dict[str, Figure] = {
        "coefficient_error": _shown((abs(difference.values) / largest[difference.row_of]).max(initial=0.0)),
        "most_values": int(entries.max()),
    }
    return figures, bool((abs(difference.values) <= room).all())


def _shown(error: float) -> float:
    """Round to four digits, which do not depend on the machine."""
    return float(f"{error:.3e}")
