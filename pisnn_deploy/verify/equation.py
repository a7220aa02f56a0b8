"""Check of the equation that the integers solve, in physical units.

The integer flux network is evaluated on constant states and slopes, and its fluxes are compared with the law's, in
exact rationals (the doubles of an artifact are rationals too).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.claims import LARGEST_DEVIATION
from pisnn_deploy.verify.clock import (
    cell_width,
    factor_along,
    fastest_axis,
    is_linear,
    kernel_of,
    moments,
    nearest_double,
)
from pisnn_deploy.verify.faces import face_of
from pisnn_deploy.verify.pieces import along

INTERVALS = 16
"""Number of intervals between the constant states that sample the operating window."""
SHOWN = 1e-3
"""Relative tolerance of a figure with four digits."""

Figures = dict[str, float]


def equation(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Yield errors in the equation claim of a graph without materials.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph whose layout follows its operator.
    """
    if not is_linear(graph) and graph.spec.equation == "laplace":
        figures: Figures | str = "nonlinear"
    else:
        figures = _kernel_figures(graph) if is_linear(graph) else _state_figures(graph)
    if isinstance(figures, str):
        if (claim.status, claim.method, dict(claim.figures)) != ("none", figures, {}):
            yield "the claim differs from what the checker proved"
        return
    for name, value in figures.items():
        claimed = claim.figures.get(name, math.nan)
        # The damping is a logarithm, stored with four digits; the clock claim checks the leak exactly.
        if claimed != value and not (name == "damping" and abs(claimed - value) <= SHOWN * abs(value)):
            yield f"the {name.replace('_', ' ')} is {value}, but the claim says {claimed}"
    if set(claim.figures) != set(figures):
        yield f"the claim has an unproved figure {min(set(claim.figures) - set(figures))}"
    # The bias of a linear kernel is a flux that no law has; biases of a hidden network may cancel up to rounding.
    good = _deviation(figures) <= LARGEST_DEVIATION and (len(graph.operator) > 1 or not figures.get("drift"))
    method = ("moments" if is_linear(graph) else "states") if good else "other-law"
    if (claim.status, claim.method) != ("proved" if good else "none", method):
        yield f"coefficients deviate {_deviation(figures):.2%} from the law, but the claim says {claim.status}"


def _deviation(figures: Figures) -> float:
    """Largest relative deviation of a coefficient from the law."""
    if figures.get("courant"):
        return math.inf
    deviations = [figures.get("flux_error", 0.0), figures.get("across", 0.0), figures.get("drift", 0.0)]
    deviations.append(figures.get("axes_error", 0.0))
    for name, ends in (
        ("velocity", ("velocity",)),
        ("wave_speed", ("wave_speed",)),
        ("diffusivity", ("diffusivity", "diffusivity_lower", "diffusivity_upper")),
    ):
        deviations += [abs(figures[end] / figures[f"wanted_{name}"] - 1) for end in ends if end in figures]
    return max(deviations)


def _kernel_figures(graph: IntegerGraph) -> Figures:
    """Coefficients of ``u_t + velocity u_x = diffusivity u_xx`` for the kernel, to second order in the mesh."""
    spec, step, axes = graph.model_spec, Fraction(graph.time_step), range(len(graph.model_spec.lengths))
    clock = fastest_axis(graph)
    width, (courant, number) = cell_width(graph, clock), moments(graph, clock)
    unequal = [moments(graph, axis)[0] for axis in axes]
    courant = next((each for each in unequal if abs(each) == max(map(abs, unequal))), courant)
    areas = [moments(graph, axis)[1] * cell_width(graph, axis) ** 2 / factor_along(graph, axis) for axis in axes]
    face = face_of(graph)
    if spec.equation == "laplace":
        speed = areas[clock] / step**2
        figures = {"wave_speed": math.sqrt(nearest_double(speed)) if speed > 0 else 0.0, "wanted_wave_speed": 1.0}
        if spec.damping is not None and face.leak < MEMORYLESS:
            remaining = 1 - face.leak / MEMORYLESS
            figures |= {"damping": -math.log(remaining) / graph.time_step, "wanted_damping": spec.damping}
    elif spec.equation == "advection-diffusion":
        numerical = courant**2 * (Fraction(1, 2) + face.steps_late)
        figures = {
            "velocity": nearest_double(courant * width / step),
            "wanted_velocity": spec.velocity,
            "diffusivity": nearest_double((number - numerical) * width**2 / step),
            "wanted_diffusivity": spec.diffusivity,
        }
    else:
        figures = {
            "diffusivity": nearest_double(areas[clock] * MEMORYLESS / face.leak / step),
            "wanted_diffusivity": spec.diffusivity,
        }
    if spec.rates and number:
        figures["axes_error"] = nearest_double(max(abs(area / areas[clock] - 1) for area in areas))
    if spec.equation != "advection-diffusion" and courant:
        figures |= {"courant": nearest_double(courant), "wanted_courant": 0.0}
    sideways = [
        sum(weight * round(place) for weight, place in zip(kernel_of(graph, axis), places, strict=True))
        for axis in axes
        for places in spec.positions[1:].tolist()
    ]
    if any(sideways) and number:
        largest = max(abs(moment) for moment in sideways)
        figures["across"] = nearest_double(Fraction(largest, 1 << face.exponent) / abs(number))
    return figures


def _state_figures(graph: IntegerGraph) -> Figures | str:
    """Flux errors of constant states and diffusivities of slopes around them; a method name without figures."""
    spec, window, width = graph.model_spec, graph.window, cell_width(graph)
    unit, step = Fraction(graph.value_per_quantum), Fraction(graph.time_step)
    # Flux of a constant drive of 1, in value times length per time.
    carried = unit * width / step * Fraction(MEMORYLESS, face_of(graph).leak << face_of(graph).exponent)
    span = window.upper - window.lower
    steep = max(1, span if window.difference is None else min(span, window.difference))
    constants = _constants(graph, carried)
    slopes = None if constants is None else _diffusivities(graph, carried, steep)
    if constants is None or slopes is None:
        return "too-many-kinks"
    if not slopes:
        return "nonlinear"
    (least, most), fluxes = constants
    largest = fluxes + Fraction(spec.diffusivity) * steep * unit / width
    open_ended = any("periodic" not in sides for sides in graph.grid.boundary)
    off = max(abs(least), abs(most))
    figures = {"flux_error": nearest_double((off if open_ended else most - least) / largest)}
    if open_ended and (spec.equation == "diffusion" or len(graph.operator) == 1):
        stays = off if len(graph.operator) > 1 else carried * abs(graph.operator[0].bias.tolist()[0])
        # Diffusion balances it with a slope over the longest axis.
        slope = stays / Fraction(spec.diffusivity)
        figures["drift"] = nearest_double(
            slope * max(Fraction(length) for length in graph.grid.lengths) / (span * unit)
        )
    rises = [rise for rise, *_ in slopes.values()]
    figures |= {
        "states": len(slopes),
        "gentlest_slope": nearest_double(2 * min(rises) * unit / width),
        "steepest_slope": nearest_double(2 * max(highest for _, highest, *_ in slopes.values()) * unit / width),
        "diffusivity_lower": nearest_double(min(low for *_, low, _ in slopes.values())),
        "diffusivity_upper": nearest_double(max(high for *_, high in slopes.values())),
        "wanted_diffusivity": spec.diffusivity,
    }
    return figures


def _law(graph: IntegerGraph, value: Fraction) -> tuple[Fraction, Fraction]:
    """Flux and characteristic speed of a constant field."""
    if graph.spec.equation == "burgers":
        return value * value / 2, value
    return value * Fraction(graph.model_spec.velocity), Fraction(graph.model_spec.velocity)


def _constants(graph: IntegerGraph, carried: Fraction) -> tuple[tuple[Fraction, Fraction], Fraction] | None:
    """Smallest and largest flux error of constant states, and the range of the law's fluxes."""
    window, unit = graph.window, Fraction(graph.value_per_quantum)
    count = len(graph.model_spec.positions[0])
    line = along(graph, [0] * count, [1] * count, window.lower, max(window.upper, window.lower + 1))
    if line is None:
        return None
    errors = []
    for (left, right), (offset, slope) in zip(pairwise(line.ends), line.drives, strict=True):
        masses = [left, right]
        if graph.spec.equation == "burgers":
            masses.append(min(right, max(left, slope * carried / unit**2)))
        errors += [carried * (offset + slope * mass) - _law(graph, mass * unit)[0] for mass in masses]
    turning = min(window.upper, max(window.lower, 0))
    fluxes = [_law(graph, mass * unit)[0] for mass in (window.lower, turning, window.upper)]
    return (min(errors) + carried * line.lost, max(errors) + carried * line.won), max(fluxes) - min(fluxes)


SlopeRange = tuple[Fraction, Fraction, Fraction, Fraction]
"""Gentlest and steepest slope (half the rise from cell to cell, in quanta), smallest and largest diffusivity."""


def _diffusivities(graph: IntegerGraph, carried: Fraction, steep: int) -> dict[int, SlopeRange] | None:
    """Slopes and diffusivities by constant state.

    Between kinks the diffusivity is ``a + b / slope``, which is monotone, so the ends of the pieces suffice.
    """
    window, width = graph.window, cell_width(graph)
    unit, step = Fraction(graph.value_per_quantum), Fraction(graph.time_step)
    places = [round(2 * place) for place in graph.model_spec.positions[0].tolist()]
    widest, span = max(places), window.upper - window.lower
    rise = max(1, min(steep // 8, span // (4 * widest)))
    slopes: dict[int, SlopeRange] = {}
    for number in range(INTERVALS + 1):
        mass = window.lower + span * number // INTERVALS
        room = min(mass - window.lower, window.upper - mass)
        if room < rise * widest:
            continue
        highest = max(rise, min(steep // 2, room // widest))
        line = along(graph, [mass] * len(places), places, -highest, highest)
        if line is None:
            return None
        off, speed = line.won - line.lost, _law(graph, mass * unit)[1]
        low, high = [], []
        for up in {Fraction(rise), *(abs(end) for end in line.ends)}:
            if up >= rise:
                falls, slope = line.at(-up) - line.at(up), 2 * up * unit / width
                low.append(carried * (falls - off) / (2 * slope) - speed**2 * step / 2)
                high.append(carried * (falls + off) / (2 * slope) - speed**2 * step / 2)
        slopes[mass] = Fraction(rise), Fraction(highest), min(low), max(high)
    return slopes
