"""What the recipe of a law means: its equations, speeds, time step and graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.options import CompileOptions, GraphOptions
from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.compiler.passes.schedule import Schedule
from pisnn_deploy.compiler.pipeline import asked
from pisnn_deploy.compiler.runner import run_passes
from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.formats.reading import format_of
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.equations import equations, latex_equations
from pisnn_deploy.laws.flux_network import TrainedFluxes, TrainedLaw
from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.pace import COURANT, Pace, pace
from pisnn_deploy.laws.spec import LawSpec, is_law, law_from_mapping
from pisnn_deploy.laws.speeds import Speeds, characteristic_speeds
from pisnn_deploy.laws.states import States
from pisnn_deploy.laws.wellposed import Posedness, judge
from pisnn_deploy.mesh import parse_shape
from pisnn_deploy.physics.laws import law_of
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.project import zoo
from pisnn_deploy.project.conditions import is_yaml
from pisnn_deploy.project.model_file import CHECKPOINT
from pisnn_deploy.target import DEFAULT, load_profile


@dataclass(frozen=True)
class Steps:
    """The time step of a law on a mesh.

    Attributes
    ----------
    mesh : tuple of int
        Cells along each axis.
    spacing : tuple of float
        Cell width along each axis.
    pace : Pace
        What the law does per time on this mesh.
    time_step : float
        Physical time of a PDE step.
    count : int
        PDE steps to the final time.
    """

    mesh: tuple[int, ...]
    spacing: tuple[float, ...]
    pace: Pace
    time_step: float
    count: int

    @property
    def share(self) -> float:
        """Time step times the sum of the rates; the recipe bounds it."""
        return self.time_step * self.pace.total

    def diffusion_number(self, speeds: Speeds) -> float:
        """Time step times largest diffusivity times the sum over the axes of one over the squared cell width."""
        return self.time_step * speeds.diffusivity * sum(width**-2 for width in self.spacing)


@dataclass(frozen=True)
class PopulationSize:
    """A population of the graph.

    Attributes
    ----------
    operations : int
        Operations of each neuron in a step.
    bits : int or None
        Width of its widest state or payload; None if something in the graph does not fit the target.
    """

    name: str
    neurons: int
    operations: int
    bits: int | None


@dataclass(frozen=True)
class Understood:
    """A law, and what follows from it.

    Attributes
    ----------
    law : Law
        With names of parameters.
    states : States or None
        States within the operating range; None for an equation whose range is not known for all fields.
    spec : LawSpec or None
        Recipe; None for a trained model, whose equation is shown alone.
    ledgers : tuple of (str, str, int)
        Field, name, and number of reservoirs.
    problem : str
        Why there is no graph, or why it does not fit the target; empty if it does.
    fluxes : TrainedFluxes or None
        Of a checkpoint.
    """

    name: str
    law: Law
    equations: tuple[str, ...]
    latex: tuple[str, ...]
    states: States
    speeds: Speeds
    posedness: Posedness
    spec: LawSpec | None = None
    steps: Steps | None = None
    populations: tuple[PopulationSize, ...] = ()
    ledgers: tuple[tuple[str, str, int], ...] = ()
    problem: str = ""
    fluxes: TrainedFluxes | None = None


def understood(name: str, mesh: str | None = None) -> Understood:
    """Explain a law.

    Parameters
    ----------
    name : str
        Recipe with a section ``law`` or ``model``, checkpoint, or a name of the zoo. Of a trained model, the equation
        is shown.
    mesh : str, optional
        Cells along each axis, such as ``64x64``; the recipe's own without.

    Raises
    ------
    UsageError
        There is no such recipe or model, the recipe is invalid or ill-posed, or no graph can be made of it.
    """
    path = Path(name)
    if path.suffix or path.exists():
        return _of_file(path, mesh)
    with zoo.law_path(name) if name in zoo.laws() else zoo.recipe_path(name) as path:
        return _of_file(path, mesh)


def _of_file(path: Path, mesh: str | None) -> Understood:
    if not is_yaml(str(path)) and path.is_file() and format_of(path) == CHECKPOINT:
        return _of_checkpoint(path, mesh)
    document = read_mapping(path)
    if is_law(document):
        return _of_recipe(law_from_mapping(path, document), mesh)
    if mesh is not None:
        raise UsageError(f"{path}: only a recipe with a section law is shown on a `mesh`")
    if "model" not in document:
        raise UsageError(f"{path}: has no section law, and no section model either")
    from pisnn_deploy.training.recipe import read_recipe

    return _of_model(read_recipe(path).model)


def _of_checkpoint(path: Path, mesh: str | None) -> Understood:
    from pisnn_deploy.training.checkpoint import read_any_checkpoint

    content = read_any_checkpoint(path)
    if isinstance(content, TrainedLaw):
        return _of_recipe(content.spec, mesh, content.fluxes)
    if mesh is not None:
        raise UsageError(f"{path}: only a law is shown on a `mesh`")
    return _of_model(content.spec)


def _of_model(model: ModelSpec) -> Understood:
    law = law_of(model)
    limits = (model.operating_range.lower, model.operating_range.upper)
    box = {name: (0.0, length) for name, length in zip(law.coordinates, model.lengths, strict=True)}
    # Speeds do not depend on currents, so the range of these does not matter.
    states = States(law.numeric(), {**dict.fromkeys(law.fields, limits), **box})
    return _understood(model.name, law, states)


def _understood(name: str, law: Law, states: States) -> Understood:
    return Understood(
        name, law, equations(law), latex_equations(law), states, characteristic_speeds(states), judge(states)
    )


def _of_recipe(spec: LawSpec, mesh: str | None, fluxes: TrainedFluxes | None = None) -> Understood:
    law, shape = spec.parsed(), spec.mesh if mesh is None else parse_shape(mesh)
    plain = replace(_understood(spec.name, law, spec.states()), spec=spec, fluxes=fluxes)
    if len(shape) != spec.dimensions:
        raise UsageError(f"`mesh`: has {len(shape)} axes, but {spec.name} has {spec.dimensions}")
    spacing = tuple(length / cells for length, cells in zip(spec.lengths, shape, strict=True))
    rates = pace(plain.speeds, spacing, spec.side_coefficients)
    try:
        graph = construct(spec, shape, trained=fluxes)
    except UsageError as error:
        return replace(plain, problem=str(error))
    steps = Steps(shape, spacing, rates, graph.time_step, round(spec.time / graph.time_step))
    bounded, problem = _bounded(graph)
    ledgers = tuple((field.name, ledger.name, ledger.reservoirs) for field in graph.fields for ledger in field.ledgers)
    return replace(plain, steps=steps, populations=_populations(bounded), ledgers=ledgers, problem=problem)


def _bounded(graph: IntegerGraph) -> tuple[IntegerGraph, str]:
    """Graph with bounds for the default target, or without and why."""
    options = CompileOptions(None, load_profile(DEFAULT), GraphOptions(coding="dense", placement="none"))
    named = replace(graph, profile=options.profile.name)
    try:
        return run_passes(named, asked((Schedule, Bounds), options))[0], ""
    except CompileError as error:
        return graph, str(error)


def _populations(graph: IntegerGraph) -> tuple[PopulationSize, ...]:
    widths: dict[str, int] = {}
    for bound in graph.bounds:
        if bound.is_state_or_payload:
            widths[bound.population] = max(bound.bits, widths.get(bound.population, 0))
    return tuple(
        PopulationSize(each.name, graph.size(each.name), len(each.program.operations), widths.get(each.name))
        for each in graph.populations
    )


def reason_of_step(spec: LawSpec) -> str:
    """Why the time step of a law has its length."""
    if spec.method == "trained":
        return "the fluxes are trained for it"
    asked = f"{COURANT:g}, the default" if spec.courant is None else f"{spec.courant:g}, by the recipe"
    return f"it keeps step * (waves + diffusion + reactions) at {asked}"
