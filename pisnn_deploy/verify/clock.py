"""Check of the duration of a PDE step and of the named law.

The doubles of an artifact are rationals, so the time step is computed exactly. The stored one may differ by the few
float64 roundings of its computation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.layout import layers_of
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.verify.faces import face_of, shifts

ROUNDINGS = Fraction(16, 2**53)
"""Relative tolerance: computing a time step takes at most 16 float64 operations, each of which rounds once."""
CELL_WIDTHS = Fraction(1, 10**9)
"""Relative difference below which two cell widths are equal to the compiler; recipes write them as decimals."""
PROBLEMS = {
    "heat1d": ("diffusion", 1),
    "heat2d": ("diffusion", 2),
    "heat3d": ("diffusion", 3),
    "laplace2d": ("laplace", 2),
    "advection_diffusion1d": ("advection-diffusion", 1),
    "burgers1d": ("burgers", 1),
}
"""Equation and number of axes of each problem."""


def named_law(graph: IntegerGraph) -> Iterator[str]:
    """Yield errors in the problem, equation and mesh that an artifact names.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    """
    spec = graph.model_spec
    if spec.problem not in PROBLEMS:
        yield f"unknown problem {spec.problem}"
        return
    equation, axes = PROBLEMS[spec.problem]
    if spec.equation != equation:
        yield f"the problem {spec.problem} solves {equation}, but the model names {spec.equation}"
    if len(spec.lengths) != axes:
        yield f"the problem {spec.problem} has {axes} dimensions, but the model has {len(spec.lengths)}"
    if spec.equation == "laplace" and spec.diffusivity != 1:
        yield f"the diffusivity is {spec.diffusivity}, but laplace requires 1"
    grid = graph.mesh.grid
    if grid is None:
        return
    if grid.lengths != spec.lengths:
        yield f"the mesh has lengths {grid.lengths}, but the model has {spec.lengths}"
    if spec.cell_width is not None:
        width, trained_width = cell_width(graph), Fraction(spec.cell_width)
        if abs(width - trained_width) > CELL_WIDTHS * trained_width:
            yield f"cells are {nearest_double(width):g} wide, but the model was trained for {spec.cell_width:g}"


def cell_width(graph: IntegerGraph, axis: int = 0) -> Fraction:
    """Exact width of a cell along an axis."""
    return Fraction(graph.grid.lengths[axis]) / graph.grid.shape[axis]


def fastest_axis(graph: IntegerGraph) -> int:
    """Axis whose kernel is the clock: the first of the largest rate; 0 where axes share a kernel."""
    rates = graph.model_spec.rates
    return next((axis for axis, rate in enumerate(rates) if rate == max(rates)), 0)


def kernel_of(graph: IntegerGraph, axis: int) -> list[int]:
    """Weights of the faces normal to an axis, of a linear network."""
    rows: list[list[int]] = graph.operator[0].weight.tolist()
    return rows[axis] if graph.model_spec.rates else rows[0]


def moments(graph: IntegerGraph, axis: int = 0) -> tuple[Fraction, Fraction]:
    """Courant and diffusion number of the linear kernel of an axis: its zeroth and first moment."""
    weights = kernel_of(graph, axis)
    doubled = [round(2 * position) for position in graph.model_spec.positions[0].tolist()]
    theta = 1 << face_of(graph).exponent
    first = -sum(weight * place for weight, place in zip(weights, doubled, strict=True))
    return Fraction(sum(weights), theta), Fraction(first, 2 * theta)


def factor_along(graph: IntegerGraph, axis: int) -> Fraction:
    """Factor of the diffusivity along an axis."""
    along = graph.model_spec.along
    return Fraction(along[axis]) if along else Fraction(1)


def _rates(graph: IntegerGraph) -> Iterator[str]:
    """Yield an error if the rates are not those of the cells and of the diffusivity along the axes."""
    axes = range(len(graph.model_spec.lengths))
    numbers = [factor_along(graph, axis) / cell_width(graph, axis) ** 2 for axis in axes]
    exact = [number / max(numbers) for number in numbers]
    rates = graph.model_spec.rates or (1,) * len(numbers)
    if any(abs(Fraction(rate) - right) > CELL_WIDTHS * right for rate, right in zip(rates, exact, strict=True)):
        shown = ", ".join(f"{nearest_double(right):g}" for right in exact)
        yield f"the rates of the axes are {', '.join(f'{float(r):g}' for r in rates)}, but the cells give {shown}"


def is_linear(graph: IntegerGraph) -> bool:
    """Whether the flux network has neither a hidden layer nor a bias."""
    return len(graph.operator) == 1 and not graph.operator[0].bias.any()


def nearest_double(exact: Fraction) -> float:
    """The double nearest to a rational; infinite on overflow."""
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def clock(graph: IntegerGraph) -> Iterator[str]:
    """Yield errors in the time step, leak and exponents of a graph with an operator.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph with the layers of its spec.
    """
    spec = graph.model_spec
    face = face_of(graph)
    exponents = (*shifts(graph), face.exponent)
    for name, exponent, model_exponent in zip(layers_of(graph)[1:], exponents, spec.weight_exponents, strict=True):
        if exponent != model_exponent:
            what = "threshold exponent" if name == "flux" else f"shift of {name}"
            yield f"the {what} is {exponent}, but the model says {model_exponent}"
    clock = fastest_axis(graph)
    step, width = Fraction(graph.time_step), cell_width(graph, clock)
    yield from _rates(graph)
    if not is_linear(graph):
        expected, power = Fraction(spec.diffusion_number) * width**2 / Fraction(spec.diffusivity), 1
    else:
        courant, number = moments(graph, clock)
        if spec.equation == "laplace":
            expected, power = number * width**2, 2  # the square of a time
        elif spec.equation == "advection-diffusion":
            expected, power = courant * width / Fraction(spec.velocity), 1
        else:
            diffusivity = Fraction(spec.diffusivity) * factor_along(graph, clock)
            expected, power = number * width**2 / diffusivity * Fraction(MEMORYLESS, spec.leak), 1
    if expected <= 0:
        yield "the weights give a time step that is not positive"
    elif abs(step**power - expected) > power * ROUNDINGS * abs(expected):
        says = nearest_double(expected) if power == 1 else math.sqrt(nearest_double(expected))
        yield f"the time step is {graph.time_step}, but the weights give {says}"
    leak = _leak(spec, graph.time_step)
    if face.leak != leak:
        yield f"the leak is {face.leak}, but the damping gives {leak}"


def _leak(spec: ModelSpec, step: float) -> int:
    """Part of the current that damping removes in a step, in 4096ths, at least 1."""
    if spec.damping is None:
        return spec.leak
    return min(MEMORYLESS, max(1, round(MEMORYLESS * -math.expm1(-spec.damping * step))))
