"""The checker of what the integers solve, in physical units.

Constant states and slopes are shown to the integer flux network, and its answers are compared with the law's: all in
exact rationals, because doubles of an artifact are rationals too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.claims import LARGEST_DEVIATION
from pisnn_deploy.verify.clock import cell_width, is_linear, moments, nearest_double

INTERVALS = 16
"""Between the constant states that are looked at, from end to end of the operating window."""
SHOWN = 1e-3
"""Relative: what four digits may be off."""

Figures = dict[str, float]


def equation(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """What is wrong with the claim on the equation of a graph without materials; nothing if it is right.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed and laid out as its operator says.
    claim : Claim

    Yields
    ------
    str
    """
    if not is_linear(graph) and graph.spec.equation == "laplace":
        figures: Figures | None = None
    else:
        figures = _of_a_kernel(graph) if is_linear(graph) else _of_states(graph)
    if figures is None:
        if (claim.status, claim.method, dict(claim.figures)) != ("none", "nonlinear", {}):
            yield "the claim is not what was proved"
        return
    for name, value in figures.items():
        given = claim.figures.get(name, math.nan)
        # The clock compares the leak with the damping; a logarithm is shown with four digits.
        if given != value and not (name == "damping" and abs(given - value) <= SHOWN * abs(value)):
            yield f"the {name.replace('_', ' ')} is {value}, the claim says {given}"
    if set(claim.figures) != set(figures):
        yield f"the claim has a figure {min(set(claim.figures) - set(figures))} that nothing proves"
    good = _deviation(figures) <= LARGEST_DEVIATION
    method = ("moments" if is_linear(graph) else "states") if good else "other-law"
    if (claim.status, claim.method) != ("proved" if good else "none", method):
        yield f"the integers are {_deviation(figures):.2%} off the law's coefficients, the claim says {claim.status}"


def _deviation(figures: Figures) -> float:
    """The largest relative deviation of a coefficient."""
    if figures.get("courant"):
        return math.inf
    found = [figures.get("flux_error", 0.0), figures.get("across", 0.0)]
    for name, ends in (
        ("velocity", ("velocity",)),
        ("wave_speed", ("wave_speed",)),
        ("diffusivity", ("diffusivity", "diffusivity_lower", "diffusivity_upper")),
    ):
        found += [abs(figures[end] / figures[f"wanted_{name}"] - 1) for end in ends if end in figures]
    return max(found)


def _of_a_kernel(graph: IntegerGraph) -> Figures:
    """Coefficients of ``u_t + velocity u_x = diffusivity u_xx`` that the kernel has to second order in the mesh."""
    spec, step, width = graph.spec, Fraction(graph.time_step), cell_width(graph)
    courant, number = moments(graph)
    if spec.equation == "laplace":
        speed = number * (width / step) ** 2
        figures = {"wave_speed": math.sqrt(nearest_double(speed)) if speed > 0 else 0.0, "wanted_wave_speed": 1.0}
        if spec.damping is not None and graph.flux.leak < MEMORYLESS:
            kept = 1 - graph.flux.leak / MEMORYLESS
            figures |= {"damping": -math.log(kept) / graph.time_step, "wanted_damping": spec.damping}
    elif spec.equation == "advection-diffusion":
        steps_late = 0 if graph.stock is None else 1
        numerical = courant**2 * (Fraction(1, 2) + steps_late)
        figures = {
            "velocity": nearest_double(courant * width / step),
            "wanted_velocity": spec.velocity,
            "diffusivity": nearest_double((number - numerical) * width**2 / step),
            "wanted_diffusivity": spec.diffusivity,
        }
    else:
        figures = {
            "diffusivity": nearest_double(number * MEMORYLESS / graph.flux.leak * width**2 / step),
            "wanted_diffusivity": spec.diffusivity,
        }
    if spec.equation != "advection-diffusion" and courant:
        figures |= {"courant": nearest_double(courant), "wanted_courant": 0.0}
    sideways = [
        sum(weight * round(place) for weight, place in zip(graph.operator[0].weight[0].tolist(), axis, strict=True))
        for axis in spec.positions[1:].tolist()
    ]
    if any(sideways) and number:
        largest = max(abs(moment) for moment in sideways)
        figures["across"] = nearest_double(Fraction(largest, 1 << graph.flux.threshold_exponent) / abs(number))
    return figures


def _of_states(graph: IntegerGraph) -> Figures | None:
    """Fluxes between constant states, and the diffusivity that slopes on top of them meet."""
    spec, window, width = graph.spec, graph.window, cell_width(graph)
    unit, step = Fraction(graph.value_per_quantum), Fraction(graph.time_step)
    # What a drive of 1 that stays carries through a face, in value times length per time.
    carried = unit * width / step * Fraction(MEMORYLESS, graph.flux.leak << graph.flux.threshold_exponent)
    span = window.upper - window.lower
    steep = max(1, span if window.difference is None else min(span, window.difference))
    places = [round(2 * place) for place in spec.positions[0].tolist()]
    widest = max(places)
    rise = max(1, min(steep // 8, span // (4 * widest)))
    errors, fluxes, diffusivities = [], [], []
    for number in range(INTERVALS + 1):
        mass = window.lower + span * number // INTERVALS
        value = mass * unit
        if spec.equation == "burgers":
            flux, speed = value * value / 2, value
        else:
            flux, speed = value * Fraction(spec.velocity), Fraction(spec.velocity)
        fluxes.append(flux)
        errors.append(carried * _answer(graph, [mass] * len(places)) - flux)
        if window.lower <= mass - rise * widest and mass + rise * widest <= window.upper:
            up = _answer(graph, [mass + rise * place for place in places])
            down = _answer(graph, [mass - rise * place for place in places])
            slope = 2 * rise * unit / width
            diffusivities.append(carried * (down - up) / (2 * slope) - speed**2 * step / 2)
    if not diffusivities:
        return None
    largest = max(fluxes) - min(fluxes) + Fraction(spec.diffusivity) * steep * unit / width
    return {
        "flux_error": nearest_double((max(errors) - min(errors)) / largest),
        "diffusivity_lower": nearest_double(min(diffusivities)),
        "diffusivity_upper": nearest_double(max(diffusivities)),
        "wanted_diffusivity": spec.diffusivity,
    }


def _answer(graph: IntegerGraph, seen: list[int]) -> int:
    """Drive of a face whose window shows these masses."""
    for number, layer in enumerate(graph.operator):
        seen = [
            sum(weight * value for weight, value in zip(row, seen, strict=True)) + bias
            for row, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        ]
        if number + 1 < len(graph.operator):
            seen = [max(0, value) >> layer.shift for value in seen]
    return seen[0]
