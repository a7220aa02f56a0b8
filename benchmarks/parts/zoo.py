"""Models of the zoo, compiled, and their errors against exact solutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, compile_model
from pisnn_deploy.core import distance
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.mesh import Boundary, parse_boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.physics.problems import Problem, problem
from pisnn_deploy.project.zoo import model_path
from pisnn_deploy.runs import Run
from pisnn_deploy.target import Profile, load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pisnn_deploy.compiler.options import GraphKeywords

Field = NDArray[np.float64]


def zoo_model(name: str) -> Model:
    """Load a model of the zoo."""
    with model_path(name) as path:
        return read_checkpoint(path)


def compiled(
    model: str | Model,
    shape: tuple[int, ...] = (),
    boundary: str = "",
    profile: str | Profile = "loihi2",
    *,
    search: bool = True,
    limits: OperatingRange | None = None,
    **options: Unpack[GraphKeywords],
) -> IntegerGraph:
    """Compile a model.

    Parameters
    ----------
    model : str or Model
        A name is one of the zoo.
    shape : tuple of int, optional
        Cells along each axis; the problem's own unless given.
    boundary : str, optional
        As ``--boundary`` takes it; the problem's own unless given.
    profile : str or Profile
        A name is one of the library.
    search : bool
        Whether to search for better integers than the nearest.
    limits : OperatingRange, optional
        Replaces the model's own.
    **options
        Fields of `pisnn_deploy.compiler.GraphOptions`.
    """
    read = zoo_model(model) if isinstance(model, str) else model
    own = problem(read.spec.problem)
    cells = shape or own.default_shape
    sides: Boundary = parse_boundary(boundary, len(cells)) if boundary else own.default_boundary(cells)
    target = load_profile(profile) if isinstance(profile, str) else profile
    return compile_model(read, CompileOptions(Lower(cells, sides), target, GraphOptions(**options), limits, search))


def problem_of(graph: IntegerGraph) -> Problem:
    """Problem that a graph solves, with its model's coefficients."""
    return problem(graph.model_spec.problem, graph.model_spec.diffusivity, graph.model_spec.velocity)


def horizon_steps(graph: IntegerGraph) -> int:
    """PDE steps to the problem's horizon."""
    return round(problem_of(graph).horizon / graph.time_step)


def exact(graph: IntegerGraph, time_: float) -> Field:
    """Exact cell averages at a time, float64 [cells]."""
    solution = problem_of(graph).reference(graph.grid, graph.reservoir_values(), time_)
    assert solution is not None, f"{graph.spec.problem} has no reference"
    return solution


def relative_l2(values: Field, truth: Field) -> float:
    """Relative L2 distance of two fields."""
    away = distance.relative_l2(values, truth)
    assert away is not None
    return away


def error(graph: IntegerGraph, mass: Integers, steps: int) -> float:
    """Relative L2 error of masses after some PDE steps from the problem's own start."""
    return relative_l2(graph.values(mass), exact(graph, steps * graph.time_step))


def drift(run: Run) -> int:
    """Change of the sum of all masses and ledgers, in quanta."""
    totals = run.trace.totals()
    return totals[-1] - totals[0]
