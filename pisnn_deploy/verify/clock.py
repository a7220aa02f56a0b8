"""The checker of physical time and of names: what a PDE step lasts, and which law the artifact says that it steps.

The doubles of an artifact are rationals, so the time step is worked out exactly; what is stored may differ from it by
what the few roundings of its computation in float64 explain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.verify.faces import face_of, shifts

ROUNDINGS = Fraction(16, 2**53)
"""Relative allowance: a time step is the outcome of at most 16 operations in float64, each of which rounds once."""
CELL_WIDTHS = Fraction(1, 10**9)
"""Relative difference up to which the compiler takes two cell widths for the same; recipes write them as decimals."""
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
    """What is wrong with the problem and the equation that an artifact names; nothing if they go together.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed.
    """
    spec = graph.spec
    if spec.problem not in PROBLEMS:
        yield f"there is no problem {spec.problem}"
        return
    equation, axes = PROBLEMS[spec.problem]
    if spec.equation != equation:
        yield f"the problem {spec.problem} is one of {equation}, the model says {spec.equation}"
    if len(spec.lengths) != axes:
        yield f"the problem {spec.problem} has {axes} dimensions, the model {len(spec.lengths)}"
    if spec.equation == "laplace" and spec.diffusivity != 1:
        yield f"the diffusivity is {spec.diffusivity}, and laplace means 1"
    grid = graph.mesh.grid
    if grid is None:
        return
    if grid.lengths != spec.lengths:
        yield f"the mesh extends over {grid.lengths}, the model over {spec.lengths}"
    if spec.cell_width is not None:
        width, wanted = cell_width(graph), Fraction(spec.cell_width)
        if abs(width - wanted) > CELL_WIDTHS * wanted:
            yield f"cells are {nearest_double(width):g} wide, the model was trained for {spec.cell_width:g}"


def cell_width(graph: IntegerGraph) -> Fraction:
    """Extent of the domain along its first axis, divided by the number of cells: exact."""
    return Fraction(graph.grid.lengths[0]) / graph.grid.shape[0]


def moments(graph: IntegerGraph) -> tuple[Fraction, Fraction]:
    """Courant number and diffusion number of a linear kernel: sums of weights, and of weights times half-cells."""
    weights = graph.operator[0].weight[0].tolist()
    doubled = [round(2 * position) for position in graph.spec.positions[0].tolist()]
    theta = 1 << face_of(graph).exponent
    first = -sum(weight * place for weight, place in zip(weights, doubled, strict=True))
    return Fraction(sum(weights), theta), Fraction(first, 2 * theta)


def is_linear(graph: IntegerGraph) -> bool:
    """Whether the flux network has neither a hidden layer nor a bias."""
    return len(graph.operator) == 1 and not graph.operator[0].bias.any()


def nearest_double(exact: Fraction) -> float:
    """The double next to a rational; infinite beyond the largest."""
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def clock(graph: IntegerGraph) -> Iterator[str]:
    """What is wrong with time step, leak and exponents of a graph with an operator; nothing if they are right.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed, with the layers of its spec.
    """
    spec = graph.spec
    face = face_of(graph)
    exponents = (*shifts(graph), face.exponent)
    for name, exponent, wanted in zip(graph.chain[1:], exponents, spec.weight_exponents, strict=True):
        if exponent != wanted:
            what = "threshold exponent" if name == "flux" else f"shift of {name}"
            yield f"the {what} is {exponent}, the model's {wanted}"
    step, width = Fraction(graph.time_step), cell_width(graph)
    if not is_linear(graph):
        expected, power = Fraction(spec.diffusion_number) * width**2 / Fraction(spec.diffusivity), 1
    else:
        courant, number = moments(graph)
        if spec.equation == "laplace":
            expected, power = number * width**2, 2  # the square of a time
        elif spec.equation == "advection-diffusion":
            expected, power = courant * width / Fraction(spec.velocity), 1
        else:
            expected, power = number * width**2 / Fraction(spec.diffusivity) * Fraction(MEMORYLESS, spec.leak), 1
    if expected <= 0:
        yield "the weights do not run forwards in time"
    elif abs(step**power - expected) > power * ROUNDINGS * abs(expected):
        says = nearest_double(expected) if power == 1 else math.sqrt(nearest_double(expected))
        yield f"the time step is {graph.time_step}, the weights say {says}"
    leak = _leak(spec, graph.time_step)
    if face.leak != leak:
        yield f"the leak is {face.leak}, the damping says {leak}"


def _leak(spec: ModelSpec, step: float) -> int:
    """4096 times what a damping takes from a current in a step, as an integer of at least 1."""
    if spec.damping is None:
        return spec.leak
    return min(MEMORYLESS, max(1, round(MEMORYLESS * -math.expm1(-spec.damping * step))))
