"""The problem that a graph was compiled for: initial conditions, final time and reference of its runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.cell_graph import has_own_materials
from pisnn_deploy.laws.parsing import CONSTANTS
from pisnn_deploy.mesh.boundary import AXES
from pisnn_deploy.physics.problems import Problem, problem_of_spec

MOST_STEPS = 1 << 40
"""Most PDE steps of a run."""
STEPS_IN_A_MEDIUM = 1000
MOST_SMOOTHINGS = 64
"""Most rounds of averaging; so many leave noise with waves of about 25 cells."""
USED_ROOM = 0.5
"""Part of the largest noise that the operating range admits; the rest is for what the run itself adds."""

Field = NDArray[np.float64]
Integers = NDArray[np.int64]


def problem_of(graph: IntegerGraph) -> Problem:
    """Problem of a graph's model, with the model's coefficients."""
    return problem_of_spec(graph.model_spec, () if graph.materials is None else graph.materials.along)


def steps_to_horizon(graph: IntegerGraph) -> int:
    """PDE steps to the problem's horizon, at most `STEPS_IN_A_MEDIUM` where cells differ.

    Materials set a time scale of their own, which the problem's horizon may be millions of steps away from.

    Raises
    ------
    UsageError
        There are too many for any run: the time step of a file is untrusted.
    """
    horizon = graph.spec.time if graph.spec.equation == "law" else problem_of(graph).horizon
    steps = horizon / graph.time_step
    if graph.spec.equation != "law" and has_own_materials(graph):
        steps = min(steps, STEPS_IN_A_MEDIUM)
    if not steps <= MOST_STEPS:
        raise UsageError(
            f"the problem's final time is {steps:.3g} PDE steps of {graph.time_step:g} away, more than {MOST_STEPS}; "
            "give a number of steps"
        )
    return round(steps)


def steps_to_time(graph: IntegerGraph, time: float) -> int:
    """PDE steps to the first one at or after a physical time.

    A time that is a multiple of the time step but for the rounding of float64 takes no step more.

    Parameters
    ----------
    time : float
        At least 0, in the unit of the model.

    Raises
    ------
    UsageError
        There are too many for any run.
    """
    steps = time / graph.time_step
    if not steps <= MOST_STEPS:
        raise UsageError(
            f"`time` {time:g}: is {steps:.3g} PDE steps of {graph.time_step:g} away, more than {MOST_STEPS}"
        )
    nearest = round(steps)
    return nearest if math.isclose(steps, nearest, rel_tol=1e-12) else math.ceil(steps)


def is_name(graph: IntegerGraph, text: str) -> bool:
    """Whether a text can only be the name of an initial condition, not an expression of the place."""
    known = {*AXES, *CONSTANTS}
    if graph.spec.equation == "law":
        law = graph.spec.parsed()
        known |= {*law.parameters, *law.given}
    return text not in known and re.fullmatch(r"[A-Za-z_][\w-]*", text) is not None


def named_start(graph: IntegerGraph, name: str) -> Field:
    """Cell averages of an initial condition of the problem, float64 [cells].

    Raises
    ------
    UsageError
        The problem has none of that name, the mesh is not a grid, or the graph is that of a law.
    """
    grid = graph.mesh.grid
    if graph.spec.equation == "law":
        raise UsageError(f"{name}: a law has no named initial conditions; give a field, such as a .npy file")
    if grid is None:
        raise UsageError(
            f"{name}: an unstructured mesh has no named initial conditions; give a field, such as a .npy file"
        )
    return problem_of(graph).initial(grid, graph.reservoir_values(), name)


def random_start(graph: IntegerGraph, seed: int) -> Field:
    """A random field within the operating range.

    Standard normal noise of numpy's default generator is averaged with its neighbours over the faces, up to
    `MOST_SMOOTHINGS` times, with 0 at the reservoirs. It is added to the mean of the problem's own start, or to that
    start where there are reservoirs, with half the largest amplitude that range and slope admit.

    Parameters
    ----------
    seed : int
        At least 0.

    Returns
    -------
    float64 array [cells]
        Cell averages.

    Raises
    ------
    UsageError
        The graph is that of a law.
    """
    if graph.spec.equation == "law":
        raise UsageError("random: a law has no random initial fields; give a field, such as a .npy file")
    mesh, window, scale = graph.mesh, graph.window, graph.value_per_quantum
    base = graph.values(graph.initial)
    if not mesh.reservoirs:
        base = np.full_like(base, base.mean())
    noise = _smooth_noise(graph, seed)
    room = np.minimum(window.upper * scale - base, base - window.lower * scale)
    largest = _admitted(room, np.abs(noise[: mesh.cells]))
    if window.difference is not None:
        values = np.concatenate([base, graph.reservoir_values()])
        limits = _largest_differences(graph, window.difference) * scale
        room = limits - np.abs(values[mesh.target] - values[mesh.source])
        largest = min(largest, _admitted(room, np.abs(noise[mesh.target] - noise[mesh.source])))
    return np.asarray(base + USED_ROOM * largest * noise[: mesh.cells], np.float64)


def _smooth_noise(graph: IntegerGraph, seed: int) -> Field:
    """Smooth noise, float64 [cells + reservoirs], 0 at the reservoirs; of mean 0 where there are none."""
    mesh = graph.mesh
    noise = np.zeros(mesh.holders)
    noise[: mesh.cells] = np.random.default_rng(seed).standard_normal(mesh.cells)
    ends = np.concatenate([mesh.source, mesh.target])
    others = np.concatenate([mesh.target, mesh.source])
    neighbours = np.maximum(np.bincount(ends, minlength=mesh.holders), 1)
    for _ in range(min(MOST_SMOOTHINGS, mesh.cells // 4)):
        around = np.bincount(ends, weights=noise[others], minlength=mesh.holders)
        noise = (noise + around / neighbours) / 2
        noise[mesh.cells :] = 0.0
    return noise if mesh.reservoirs else noise - noise.mean()


def _admitted(room: Field, size: Field) -> float:
    """Largest factor with which `size` stays within `room`; 0 if all sizes are 0."""
    moved = size > 0
    return max(0.0, float((room[moved] / size[moved]).min())) if moved.any() else 0.0


def _largest_differences(graph: IntegerGraph, difference: int) -> Integers:
    """Largest difference over each face in quanta, int64 [faces]: a reservoir is at half a cell's distance."""
    beside = np.maximum(graph.mesh.source, graph.mesh.target) >= graph.mesh.cells
    return np.where(beside, difference // 2, difference)


def admitted_mass(graph: IntegerGraph, values: Field, name: str) -> Integers:
    """Convert a field to masses, checked as the start of a run.

    Parameters
    ----------
    values : float64 array [cells]
        Finite cell averages, field by field.
    name : str
        Name of the values in messages.

    Returns
    -------
    int64 array [cells]
        In quanta, field by field.

    Raises
    ------
    UsageError
        A cell or a face is outside the operating range.
    """
    for field, part in zip(graph.fields, values.reshape(len(graph.fields), -1), strict=True):
        window, scale, weight = field.window, field.value_per_quantum, field.inverse_volume
        # In floats first: a value may be too large for an integer mass.
        rounded = np.rint(part / (scale * weight)) * weight
        outside = np.flatnonzero((rounded < window.lower) | (rounded > window.upper))
        if outside.size:
            cell = int(outside[0])
            of = f" of {field.name}" if len(graph.fields) > 1 else ""
            remedy = "change the range in the recipe" if graph.spec.equation == "law" else _WIDER_RANGE
            low, high = graph.range_of(field)
            raise UsageError(
                f"{name}: cell {cell}{of} has the value {part[cell]:g}, outside the operating range "
                f"{low:g} to {high:g}; {remedy} to widen it"
            )
    mass = graph.mass(values)
    difference = None if graph.spec.equation == "law" else graph.window.difference
    if difference is not None:
        levels = np.concatenate([mass, graph.sole_field.reservoirs])
        limits = _largest_differences(graph, difference)
        differences = np.abs(levels[graph.mesh.target] - levels[graph.mesh.source])
        steep = np.flatnonzero(differences > limits)
        if steep.size:
            needed = _needed_slope(graph, differences)
            remedy = "`slope`" if needed is None else f"`slope` {needed:g} or more"
            raise UsageError(
                f"{name}: face {int(steep[0])} is steeper than the operating range allows; compile with {remedy} to "
                "widen it"
            )
    return mass


def _needed_slope(graph: IntegerGraph, differences: Integers) -> float | None:
    """A slope that admits these differences over faces, rounded up to three digits; None unless on a grid."""
    if graph.mesh.grid is None:
        return None
    beside = np.maximum(graph.mesh.source, graph.mesh.target) >= graph.mesh.cells
    largest = int(np.where(beside, 2 * differences, differences).max())
    slope = largest * graph.value_per_quantum / max(graph.mesh.grid.spacing)
    unit = 10.0 ** (math.floor(math.log10(slope)) - 2)
    return math.ceil(slope / unit) * unit


_WIDER_RANGE = "compile with `value_range` LOWER,UPPER"


def reference_of(graph: IntegerGraph, step: int, name: str | None) -> Field | None:
    """Exact cell averages after a PDE step.

    Parameters
    ----------
    name : str or None
        Initial condition that the run started from; the problem's own start without.

    Returns
    -------
    float64 array [cells] or None
        None where no exact solution is known.
    """
    exact = exact_solution(graph, name)
    return None if exact is None else exact(step * graph.time_step)


def exact_solution(graph: IntegerGraph, name: str | None) -> Callable[[float], Field | None] | None:
    """Exact cell averages at a physical time, float64 [cells]; None with the user's own materials.

    Parameters
    ----------
    name : str or None
        As for `reference_of`.
    """
    if graph.spec.equation == "law" or has_own_materials(graph):
        return None
    return partial(problem_of(graph).reference, graph.grid, graph.reservoir_values(), name=name)


def relative_reference_error(graph: IntegerGraph, step: int, name: str | None, reference: Field) -> float:
    """Relative L2 error of the reference itself; smaller errors of a run cannot be measured.

    Parameters
    ----------
    name : str or None
        As for `reference_of`, which gave the reference.
    reference : float64 array [cells]
        Cell averages of the reference solution.

    Returns
    -------
    float
        Infinite where the reference is 0.
    """
    time = step * graph.time_step
    largest = problem_of(graph).reference_error(graph.grid, graph.reservoir_values(), time, name)
    size = float(np.linalg.norm(reference))
    return math.inf if largest is None or size == 0 else largest * math.sqrt(reference.size) / size


def measured_reference_error(graph: IntegerGraph) -> float | None:
    """Relative L2 error of the reference of pass ``measure``; None unless that was the problem's."""
    if graph.quantisation.relative_l2_integer is None or not graph.starts_inside:
        return None  # not measured, or from another start than the problem's own
    reference = reference_of(graph, graph.quantisation.steps, None)
    return None if reference is None else relative_reference_error(graph, graph.quantisation.steps, None, reference)
