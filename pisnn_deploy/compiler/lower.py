"""Pass `lower`: a model and a mesh become a float graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pisnn_deploy.compiler.facts import LOWERED, Fact
from pisnn_deploy.errors import CompileError
from pisnn_deploy.graph import FloatGraph, FloatLayer
from pisnn_deploy.mesh import Side, structured_mesh
from pisnn_deploy.mesh.structured import window_cells
from pisnn_deploy.model import Model
from pisnn_deploy.problems import problem


@dataclass(frozen=True)
class Lower:
    """Lay a model out on a mesh.

    1. The mesh has the model's dimensions; its cells are as wide along every axis, because the flux network is one
       and the same for all axes. Refused otherwise.
    2. A mesh without any face is refused: nothing could move.
    3. Ghost cells beyond a no-flux side are even reflections; their window positions name the mirrored cell.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis.
    boundary : tuple of str
        Condition of each axis.
    """

    name: ClassVar[str] = "lower"
    requires: ClassVar[tuple[Fact, ...]] = ()
    ensures: ClassVar[tuple[Fact, ...]] = (LOWERED,)

    shape: tuple[int, ...]
    boundary: tuple[Side, ...]

    def __call__(self, model: Model) -> FloatGraph:
        """Lower `model`.

        Raises
        ------
        CompileError
            The mesh does not suit the model.
        """
        spec = model.spec
        if len(self.shape) != len(spec.lengths) or len(self.boundary) != len(spec.lengths):
            raise CompileError(
                self.name,
                f"the model {spec.name} has {len(spec.lengths)} dimensions, the mesh {len(self.shape)} "
                f"and the boundary {len(self.boundary)}",
                remedy="give --mesh and --boundary one entry per dimension",
            )
        mesh = structured_mesh(self.shape, spec.lengths, self.boundary)
        if max(mesh.spacing) > min(mesh.spacing) * (1 + 1e-12):
            raise CompileError(
                self.name,
                f"cells are {' x '.join(f'{width:g}' for width in mesh.spacing)}, they must be as wide along each axis",
                remedy="choose --mesh in proportion to the domain",
            )
        if mesh.faces == 0:
            raise CompileError(
                self.name, "the mesh has no face, so nothing could move", remedy="use at least two cells"
            )
        layers = tuple(FloatLayer(weight, bias) for weight, bias in zip(model.weights, model.biases, strict=True))
        initial = problem(spec.problem).initial(mesh).reshape(-1)
        return FloatGraph(spec, mesh, layers, window_cells(mesh, spec.half_width), initial)

    def summary(self, graph: FloatGraph) -> str:
        """One sentence on what the pass made."""
        return f"{graph.mesh.cells} cells, {graph.mesh.faces} faces, windows of {graph.window.shape[1]} cells"
