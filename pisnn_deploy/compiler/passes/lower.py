"""Pass `lower`: a model and a mesh become a float graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.analysis.axis_kernels import SMALLEST_RATE, kernels_along
from pisnn_deploy.compiler.facts import LOWERED, Fact
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import FloatGraph, FloatLayer
from pisnn_deploy.mesh import (
    DIRICHLET,
    PERIODIC,
    Boundary,
    Mesh,
    reservoir_layers,
    reservoir_values,
    structured_mesh,
)
from pisnn_deploy.mesh.window import QUADRATIC
from pisnn_deploy.physics.model import ALIKE, Model, ModelSpec
from pisnn_deploy.physics.problems import EQUATIONS, problem, problem_of_spec

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating


def require_own_problem(pass_name: str, spec: ModelSpec) -> None:
    """Refuse a model whose problem has another equation, or a Laplace model with a diffusivity.

    Raises
    ------
    UsageError
        There is no problem of that name.
    """
    problem(spec.problem)
    if spec.equation != EQUATIONS[spec.problem]:
        raise CompileError(
            pass_name,
            f"the model {spec.name} solves {spec.equation}, but its problem {spec.problem} is one of "
            f"{EQUATIONS[spec.problem]}",
            remedy="name a problem of the model's own equation in its spec",
        )
    if spec.equation == "laplace" and spec.diffusivity != 1:
        raise CompileError(
            pass_name,
            f"the model {spec.name} has the diffusivity {spec.diffusivity:g}, but laplace has none",
            remedy="set it to 1",
        )


RECTANGULAR = ("diffusion", "laplace")
"""Equations whose linear models have a kernel for each axis where cells are not square."""


def _alike(rates: tuple[float, ...], others: tuple[float, ...]) -> bool:
    return len(rates) == len(others) and np.allclose(rates, others, rtol=ALIKE, atol=0.0)


def _of_other_rates(own: ModelSpec, spec: ModelSpec, layer: FloatLayer) -> FloatLayer:
    """Kernels for the rates of `spec`, from those that were trained for the rates of `own`."""
    trained = own.kernels(layer.weight)[own.clock_axis]
    if not spec.rates:
        return FloatLayer(trained[None], np.zeros(1))
    kernels = kernels_along(spec, trained)
    return FloatLayer(kernels, np.zeros(len(kernels)))


@dataclass(frozen=True)
class Lower:
    """Lay a model out on a mesh.

    1. The mesh has the model's dimensions. Where cells are not as wide along every axis, or the diffusivity differs,
       each axis gets a kernel of its own (`pisnn_deploy.compiler.analysis.axis_kernels`), unless the model was trained
       for these rates. Refused for hidden layers, and where rates differ by more than a factor of 256.
    2. A mesh without any face is refused: nothing could move.
    3. An equation with a length of its own is compiled for the cell width that the model was trained for, and for
       periodic axes: reflections are not what flows in from beyond a wall. Refused otherwise.
    4. A model of another equation than its problem's is refused: starts and references would not be its own.
    5. Ghost cells beyond a no-flux side are even reflections; beyond a Dirichlet side they are odd reflections about
       the reservoir's value, or parabolas through it, as the model says.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis.
    boundary : Boundary
        Conditions of each axis.
    """

    name: ClassVar[str] = "lower"
    requires: ClassVar[tuple[Fact, ...]] = ()
    ensures: ClassVar[tuple[Fact, ...]] = (LOWERED,)
    measured_against: ClassVar[str | None] = None
    digits: ClassVar[tuple[str, ...]] = ()

    shape: tuple[int, ...]
    boundary: Boundary

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Lower | None:
        """Run on meshes of equal cells."""
        return options.lower if isinstance(options.lower, cls) else None

    def __call__(self, model: Model) -> FloatGraph:
        """Lower `model`.

        Raises
        ------
        CompileError
            The mesh does not suit the model.
        """
        spec = model.spec
        require_own_problem(self.name, spec)
        if len(self.shape) != len(spec.lengths) or len(self.boundary.sides) != len(spec.lengths):
            raise CompileError(
                self.name,
                f"the model {spec.name} has {len(spec.lengths)} dimensions, the mesh {len(self.shape)} "
                f"and the boundary {len(self.boundary.sides)}",
                remedy="give `mesh` and `boundary` one entry per dimension",
            )
        mesh = structured_mesh(self.shape, spec.lengths, self.boundary.sides)
        if mesh.faces == 0:
            raise CompileError(
                self.name, "the mesh has no face, so nothing could move", remedy="use at least two cells"
            )
        self._require_own_length(spec, mesh.spacing[0])
        layers = tuple(FloatLayer(weight, bias) for weight, bias in zip(model.weights, model.biases, strict=True))
        own, spec = spec, spec.on_cells(mesh.spacing)
        if not _alike(spec.rates, own.rates):
            self._require_kernels(own, spec, mesh, is_linear=model.is_linear)
            layers = (_of_other_rates(own, spec, layers[0]),)
        reservoirs = np.array(reservoir_values(self.boundary, reservoir_layers(mesh)), np.float64)
        if spec.wall == QUADRATIC and any(
            count < 2 and DIRICHLET in sides for count, sides in zip(mesh.shape, mesh.boundary, strict=True)
        ):
            raise CompileError(
                self.name, "quadratic ghost cells need two cells beside a reservoir", remedy="use at least two cells"
            )
        initial = problem_of_spec(spec).initial(mesh, reservoirs).reshape(-1)
        return FloatGraph(spec, mesh, layers, reservoirs, initial)

    def _require_kernels(self, own: ModelSpec, spec: ModelSpec, mesh: Mesh, *, is_linear: bool) -> None:
        """Refuse cells for which a model has no kernels."""
        widths = " x ".join(f"{width:g}" for width in mesh.spacing)
        if own.equation not in RECTANGULAR or not is_linear:
            raise CompileError(
                self.name,
                f"cells are {widths}, they must be equally wide along every axis: only a linear flux of diffusion or "
                "laplace has a kernel for each",
                remedy="choose `mesh` in proportion to the domain",
            )
        if min(spec.rates, default=1.0) < SMALLEST_RATE:
            raise CompileError(
                self.name,
                f"cells are {widths}, and diffusion is {1 / min(spec.rates):.3g} times as fast along one axis as along "
                f"another, more than {1 / SMALLEST_RATE:g}",
                remedy="choose a mesh whose cells are nearer to squares",
            )

    def _require_own_length(self, spec: ModelSpec, width: float) -> None:
        if spec.cell_width is None:
            return
        if abs(width - spec.cell_width) > 1e-9 * spec.cell_width:
            cells = round(spec.lengths[0] / spec.cell_width)
            raise CompileError(
                self.name,
                f"the model {spec.name} was trained for cells {spec.cell_width:g} wide, these are {width:g}: "
                f"{spec.equation} has a length of its own, so its flux depends on the cell width",
                remedy=f"compile it for {cells} cells, or train it for this mesh",
            )
        if any(sides != (PERIODIC, PERIODIC) for sides in self.boundary.sides):
            raise CompileError(
                self.name,
                f"the model {spec.name} transports mass through the sides, but nothing lies upstream of a wall or "
                "reservoir",
                remedy="compile it with `boundary` periodic",
            )

    def summary(self, graph: FloatGraph) -> str:
        """One sentence that describes the result."""
        return f"{graph.mesh.cells} cells, {graph.mesh.faces} faces, windows of {graph.spec.layer_shapes[0][1]} cells"
