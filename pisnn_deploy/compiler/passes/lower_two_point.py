"""Passes `lower-two-point` and `lower-multi-point`: a linear model on cells and materials of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.facts import MULTI_POINT, TWO_POINT, UNRECORDED, Fact
from pisnn_deploy.compiler.passes.lower import require_own_problem
from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.graph import CellGraph, MultiPointGraph, TwoPointGraph
from pisnn_deploy.graph.integer import Materials
from pisnn_deploy.mesh import (
    Boundary,
    CellMesh,
    FaceMesh,
    MeshFile,
    centroids,
    listed,
    multi_point_fluxes,
    reservoir_layers,
    reservoir_values,
    structured_mesh,
)
from pisnn_deploy.physics.model import Model, ModelSpec
from pisnn_deploy.physics.problems import problem_of_spec

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

Field = NDArray[np.float64]
LARGEST_SIZE, LARGEST_RATIO = 1e100, 1e30
"""Limit for capacities, conductances and their ratios, so that no product overflows; integers cover far less."""


@dataclass(frozen=True)
class Material:
    """Material of a cell.

    Attributes
    ----------
    conductivity : float
        Replaces the model's diffusivity.
    capacity : float
        Mass per volume of a cell whose value is 1.
    """

    conductivity: float
    capacity: float = 1.0


@dataclass(frozen=True)
class LowerTwoPoint:
    """Lay a linear diffusive model out on a mesh with unequal cells.

    1. The model's kernel is condensed to two points: on unequal cells nothing wider is consistent. Only its equation
       remains; the conductance of a face follows from its geometry and the materials on both sides.
    2. A face's conductance is ``area / (d_s / k_s + d_t / k_t)``: two resistances in series.
    3. On a grid, cells may have another width along each axis, and the diffusivity a factor along each.
    4. Models with hidden layers, and other equations than diffusion, are refused.

    Parameters
    ----------
    mesh : MeshFile or tuple of int
        A mesh file, or cells along each axis of a box.
    boundary : mapping of str to float, or Boundary
        For a file the value of each group with reservoirs, else the conditions of each side.
    materials : mapping of str to Material
        By the mesh's names; for a box ``default``.
    conductivity, capacity : float64 array [cells] or None
        For a box, cell by cell; times those of the material.
    along : tuple of float
        For a box, factor of the conductivity along each axis; empty where it is the same along all.
    """

    name: ClassVar[str] = "lower-two-point"
    requires: ClassVar[tuple[Fact, ...]] = ()
    ensures: ClassVar[tuple[Fact, ...]] = (TWO_POINT,)
    fluxes: ClassVar[str] = "two-point"
    digits: ClassVar[tuple[str, ...]] = ("one", "many")
    """Choices for the digits of the weights of faces."""

    mesh: MeshFile | tuple[int, ...] = field(metadata=UNRECORDED)
    boundary: Mapping[str, float] | Boundary = field(metadata=UNRECORDED)
    materials: Mapping[str, Material] = field(metadata=UNRECORDED)
    conductivity: Field | None = field(default=None, metadata=UNRECORDED)
    capacity: Field | None = field(default=None, metadata=UNRECORDED)
    along: tuple[float, ...] = field(default=(), metadata=UNRECORDED)

    @property
    def measured_against(self) -> str | None:
        """Reference of the pass `measure`, where it is not the problem's."""
        has_own = isinstance(self.mesh, MeshFile) or self.materials or self.conductivity is not None
        return f"the same {self.fluxes} fluxes exact in time" if has_own or self.capacity is not None else None

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> LowerTwoPoint | None:
        """Run where cells differ."""
        lower = options.lower
        return lower if isinstance(lower, cls) and lower.name == cls.name else None

    def __call__(self, model: Model) -> CellGraph:
        """Lower `model`.

        Raises
        ------
        CompileError
            The model is not linear and diffusive, or the mesh has no face.
        """
        spec = model.spec
        if spec.equation != "diffusion" or not model.is_linear:
            kind = "is not linear" if not model.is_linear else f"describes {spec.equation}"
            raise CompileError(
                self.name,
                f"the model {spec.name} {kind}; cells that differ need a linear model of diffusion",
                remedy="use a model such as heat1d or heat2d",
            )
        require_own_problem(self.name, spec)
        with np.errstate(all="ignore"):  # overflow is refused below
            graph = self._from_file(spec, self.mesh) if isinstance(self.mesh, MeshFile) else self._box(spec, self.mesh)
            largest = np.zeros(graph.mesh.faces)
            np.maximum.at(largest, graph.fluxes.row_of, abs(graph.fluxes.values))
        if (graph.mesh.source == graph.mesh.target).all():
            raise CompileError(
                self.name, "the mesh has no face, so nothing could move", remedy="use at least two cells"
            )
        joins = graph.mesh.source != graph.mesh.target  # a face from a cell to itself moves nothing
        for what, values in (("capacities", graph.capacity), ("conductances", largest[joins])):
            _require_computable(what, values)
        return graph

    def summary(self, graph: CellGraph) -> str:
        """One sentence that describes the result."""
        ratio = graph.capacity.max() / graph.capacity.min()
        return f"{graph.mesh.cells} cells whose capacities differ by {ratio:.3g}, {self._faces_text(graph)}"

    def _faces_text(self, graph: CellGraph) -> str:
        return f"{graph.mesh.faces} two-point faces"

    def _centres(self, mesh: CellMesh) -> Field:
        """Points at which cells have their values, float64 [cells, dims]."""
        return mesh.centres()

    def _graph(
        self, spec: ModelSpec, mesh: FaceMesh, materials: Materials, reservoirs: Field, initial: Field
    ) -> CellGraph:
        return TwoPointGraph(
            spec=spec,
            mesh=mesh,
            capacity=materials.capacity * mesh.geometry().volumes,
            conductance=materials.conductances(mesh),
            reservoirs=reservoirs,
            initial=initial,
            materials=materials,
        )

    def _from_file(self, spec: ModelSpec, file: MeshFile) -> CellGraph:
        assert not isinstance(self.boundary, Boundary)
        mesh = file.with_reservoirs(self.boundary)
        materials = self._known_materials(spec, mesh.material_names, file.unread)
        conductivity = np.array([materials[name].conductivity for name in mesh.material_names])[mesh.material]
        capacity = np.array([materials[name].capacity for name in mesh.material_names])[mesh.material]
        reservoirs = np.array([self.boundary[name] for name in mesh.group_names])[mesh.group]
        initial = np.full(mesh.cells, reservoirs.min()) if reservoirs.size else _bump(self._centres(mesh))
        return self._graph(spec, mesh, Materials(conductivity, capacity), np.asarray(reservoirs), initial)

    def _box(self, spec: ModelSpec, shape: tuple[int, ...]) -> CellGraph:
        assert isinstance(self.boundary, Boundary)
        if len(shape) != len(spec.lengths):
            raise CompileError(
                self.name, f"the model {spec.name} has {len(spec.lengths)} dimensions, the mesh {len(shape)}"
            )
        mesh = structured_mesh(shape, spec.lengths, self.boundary.sides)
        material = self._known_materials(spec, ("default",))["default"]
        ones = np.ones(mesh.cells)
        conductivity = material.conductivity * (ones if self.conductivity is None else self.conductivity.reshape(-1))
        capacity = material.capacity * (ones if self.capacity is None else self.capacity.reshape(-1))
        for name, values in (("conductivity", conductivity), ("capacity", capacity)):
            if values.size != mesh.cells or not (np.isfinite(values).all() and values.min() > 0):
                raise UsageError(f"{name}: expected {mesh.cells} positive numbers, one for each cell")
        reservoirs = np.array(reservoir_values(self.boundary, reservoir_layers(mesh)), np.float64)
        own = problem_of_spec(spec, self.along)
        initial = own.initial(mesh, reservoirs).reshape(-1)
        return self._graph(spec, mesh, Materials(conductivity, capacity, self.along), reservoirs, initial)

    def _known_materials(self, spec: ModelSpec, names: tuple[str, ...], unread: str = "") -> Mapping[str, Material]:
        unknown = sorted(set(self.materials) - set(names))
        if unknown:
            known = listed(names) + (unread and f"; {unread}")
            raise UsageError(f"materials: the mesh has no {unknown[0]!r}; it has {known}")
        return {name: Material(spec.diffusivity) for name in names} | dict(self.materials)


@dataclass(frozen=True)
class LowerMultiPoint(LowerTwoPoint):
    """Lay a linear diffusive model out on a mesh of simplices whose faces are not normal to the lines of centres.

    1. As `lower-two-point`, but the flux through a face is a sum over the cells and reservoirs around its points
       (`pisnn_deploy.mesh.multi_point`), exact for linear fields whatever the angles and the conductivities.
    2. The value of a cell is that at its centroid.
    """

    name: ClassVar[str] = "lower-multi-point"
    ensures: ClassVar[tuple[Fact, ...]] = (MULTI_POINT,)
    fluxes: ClassVar[str] = "multi-point"
    digits: ClassVar[tuple[str, ...]] = ("many",)

    def _faces_text(self, graph: CellGraph) -> str:
        longest = int(graph.fluxes.lengths.max(initial=0))
        return f"{graph.mesh.faces} multi-point faces of at most {longest} values"

    def _centres(self, mesh: CellMesh) -> Field:
        return centroids(mesh)

    def _graph(
        self, spec: ModelSpec, mesh: FaceMesh, materials: Materials, reservoirs: Field, initial: Field
    ) -> CellGraph:
        assert isinstance(mesh, CellMesh)
        _require_computable("conductivities", materials.conductivity)
        return MultiPointGraph(
            spec=spec,
            mesh=mesh,
            capacity=materials.capacity * mesh.geometry().volumes,
            coefficients=multi_point_fluxes(mesh, materials.conductivity),
            reservoirs=reservoirs,
            initial=initial,
            materials=materials,
        )


def _require_computable(what: str, values: Field) -> None:
    low, high = float(values.min()), float(values.max())
    if not 1 / LARGEST_SIZE < low <= high < LARGEST_SIZE or high > low * LARGEST_RATIO:
        raise UsageError(
            f"{what} of the mesh's cells and materials range from {low:.3g} to {high:.3g}; use other units, or "
            "materials that differ less"
        )


def _bump(centres: Field) -> Field:
    """A bump of height 0.5 in the middle of the mesh, on a background of 1."""
    low, high = centres.min(axis=0), centres.max(axis=0)
    distance = ((centres - (low + high) / 2) / (high - low).max()) ** 2
    return np.asarray(1 + 0.5 * np.exp(-32 * distance.sum(axis=1)), np.float64)
