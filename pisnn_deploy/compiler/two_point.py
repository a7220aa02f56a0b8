"""Passes `lower-two-point` and `quantise-two-point`: a linear model on cells and materials of any kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.arithmetic import MEMORYLESS, signed_width
from pisnn_deploy.compiler.facts import QUANTISED, TWO_POINT, Fact
from pisnn_deploy.compiler.lower import require_own_problem
from pisnn_deploy.errors import CompileError, UsageError
from pisnn_deploy.graph import Flux, IntegerGraph, Membrane, OperatingWindow, Quantisation, TwoPointGraph
from pisnn_deploy.graph.connections import Connections, Explicit, Incidence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Medium, Rectifier
from pisnn_deploy.graph.layout import synapses
from pisnn_deploy.mesh import (
    Boundary,
    CellMesh,
    Mesh,
    MeshFile,
    cell_mesh,
    reservoir_layers,
    reservoir_values,
    structured_mesh,
)
from pisnn_deploy.model import Model, ModelSpec, OperatingRange
from pisnn_deploy.problems import problem

Field = NDArray[np.float64]
LARGEST_EXPONENT = 14
"""Of the threshold."""
LARGEST_WEIGHT = 127 * 128 + 63
"""What two synapses hold."""
FEWEST_BITS = 4
"""Of an inverse volume, so that its rounding is felt but not seen."""
MOST_VOLUME_BITS = 13
"""Of an inverse volume, so that synapses hold it."""
ROOM = 16
"""Levels beyond the range on either side: the rounding of packets leads a cell a few levels from an average."""
LARGEST_SIZE, LARGEST_RATIO = 1e100, 1e30
"""Of capacities and conductances, and of their ratios, so that no product overflows; integers tell far less apart."""


@dataclass(frozen=True)
class Material:
    """What a cell is made of.

    Attributes
    ----------
    conductivity : float
        Takes the place of the model's diffusivity.
    capacity : float
        Mass per volume of a cell whose value is 1.
    """

    conductivity: float
    capacity: float = 1.0


@dataclass(frozen=True)
class LowerTwoPoint:
    """Lay a linear diffusive model out on a mesh whose cells differ.

    1. The model's kernel is condensed to two points: on cells that differ nothing wider is consistent. What is left of
       it is its equation; the conductance of a face follows from its geometry and the materials beside it.
    2. A face's conductance is ``area / (d_s / k_s + d_t / k_t)``: two resistances in series.
    3. Models with hidden layers, and other equations than diffusion, are refused.

    Parameters
    ----------
    mesh : MeshFile or tuple of int
        A mesh from a file, or cells along each axis of a box.
    boundary : mapping of str to float, or Boundary
        For a file the value of each group with reservoirs, else the conditions of each side.
    materials : mapping of str to Material
        By the mesh's names; for a box ``default``.
    conductivity, capacity : float64 array [cells] or None
        For a box, cell by cell; times those of the material.
    """

    name: ClassVar[str] = "lower-two-point"
    requires: ClassVar[tuple[Fact, ...]] = ()
    ensures: ClassVar[tuple[Fact, ...]] = (TWO_POINT,)

    mesh: MeshFile | tuple[int, ...]
    boundary: Mapping[str, float] | Boundary
    materials: Mapping[str, Material]
    conductivity: Field | None = None
    capacity: Field | None = None

    def __call__(self, model: Model) -> TwoPointGraph:
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
        with np.errstate(all="ignore"):  # what overflows is refused below
            graph = self._from_file(spec) if isinstance(self.mesh, MeshFile) else self._box(spec)
        if graph.mesh.faces == 0:
            raise CompileError(
                self.name, "the mesh has no face, so nothing could move", remedy="use at least two cells"
            )
        for what, values in (("capacities", graph.capacity), ("conductances", graph.conductance)):
            low, high = float(values.min()), float(values.max())
            if not 1 / LARGEST_SIZE < low <= high < LARGEST_SIZE or high > low * LARGEST_RATIO:
                raise UsageError(
                    f"{what} of the mesh's cells and materials go from {low:.3g} to {high:.3g}; use other units, or "
                    "materials that differ less"
                )
        return graph

    def summary(self, graph: TwoPointGraph) -> str:
        """One sentence on what the pass made."""
        ratio = graph.capacity.max() / graph.capacity.min()
        return f"{graph.mesh.cells} cells whose capacities differ by {ratio:.3g}, {graph.mesh.faces} two-point faces"

    def _from_file(self, spec: ModelSpec) -> TwoPointGraph:
        assert isinstance(self.mesh, MeshFile) and not isinstance(self.boundary, Boundary)
        mesh = self.mesh.with_reservoirs(self.boundary)
        materials = self._known_materials(spec, mesh.material_names, self.mesh.unread)
        conductivity = np.array([materials[name].conductivity for name in mesh.material_names])[mesh.material]
        capacity = np.array([materials[name].capacity for name in mesh.material_names])[mesh.material]
        inside = mesh.target < mesh.cells
        resistance = mesh.distance[:, 0] / conductivity[mesh.source]
        resistance[inside] += mesh.distance[inside, 1] / conductivity[mesh.target[inside]]
        reservoirs = np.array([self.boundary[name] for name in mesh.group_names])[mesh.group]
        capacity = capacity * mesh.volumes
        initial = np.full(mesh.cells, reservoirs.min()) if reservoirs.size else _bump(mesh.centres)
        return TwoPointGraph(spec, cell_mesh(mesh), capacity, mesh.area / resistance, np.asarray(reservoirs), initial)

    def _box(self, spec: ModelSpec) -> TwoPointGraph:
        assert isinstance(self.mesh, tuple) and isinstance(self.boundary, Boundary)
        if len(self.mesh) != len(spec.lengths):
            raise CompileError(
                self.name, f"the model {spec.name} has {len(spec.lengths)} dimensions, the mesh {len(self.mesh)}"
            )
        mesh = structured_mesh(self.mesh, spec.lengths, self.boundary.sides)
        material = self._known_materials(spec, ("default",))["default"]
        ones = np.ones(mesh.cells)
        conductivity = material.conductivity * (ones if self.conductivity is None else self.conductivity.reshape(-1))
        capacity = material.capacity * (ones if self.capacity is None else self.capacity.reshape(-1))
        for name, values in (("conductivity", conductivity), ("capacity", capacity)):
            if values.size != mesh.cells or not (np.isfinite(values).all() and values.min() > 0):
                raise UsageError(f"{name}: expected {mesh.cells} positive numbers, one for each cell")
        spacing = np.array(mesh.spacing)[mesh.axis]
        resistance = np.zeros(mesh.faces)
        for ends in (mesh.source, mesh.target):
            inside = ends < mesh.cells
            resistance[inside] += spacing[inside] / 2 / conductivity[ends[inside]]
        reservoirs = np.array(reservoir_values(self.boundary, reservoir_layers(mesh)), np.float64)
        initial = problem(spec.problem, spec.diffusivity, spec.velocity).initial(mesh, reservoirs).reshape(-1)
        area = mesh.volume / spacing
        return TwoPointGraph(spec, mesh, capacity * mesh.volume, area / resistance, reservoirs, initial)

    def _known_materials(self, spec: ModelSpec, names: tuple[str, ...], unread: str = "") -> Mapping[str, Material]:
        unknown = sorted(set(self.materials) - set(names))
        if unknown:
            known = ", ".join(map(repr, names)) + (unread and f"; {unread}")
            raise UsageError(f"materials: the mesh has no {unknown[0]!r}; it has {known}")
        return {name: Material(spec.diffusivity) for name in names} | dict(self.materials)


def _bump(centres: Field) -> Field:
    """A hill of half a unit around the middle of the mesh, on a plane of 1."""
    low, high = centres.min(axis=0), centres.max(axis=0)
    distance = ((centres - (low + high) / 2) / (high - low).max()) ** 2
    return np.asarray(1 + 0.5 * np.exp(-32 * distance.sum(axis=1)), np.float64)


@dataclass(frozen=True)
class QuantiseTwoPoint:
    """Choose the integers of a two-point graph.

    1. A population `hidden1` of one neuron a cell turns mass to *level*, ``(p m - L 2^s + 2^(s-1)) >> s`` with the
       cell's integer inverse volume p: the value of the cell, rounded to the nearest level. The physical volume of a
       cell is what p says. No p is above ``2^s``, so that a quantum is at most one level: every cell has a mass for
       each level, the one nearest to it, and a constant field on a level is exactly at rest whatever the volumes.
    2. The bits of a state are shared alike between levels and inverse volumes; where volumes differ much, inverse
       volumes get more.
    3. A flux compartment takes the difference of the levels beside it times an integer conductance. The threshold is as
       fine as drives allow; conductances are scaled so that no weight of the update is negative:
       ``p_i * sum_f c_f <= 2^(F + s)``, a discrete maximum principle of the integers.
    4. The time step follows from the sum of the integer conductances.

    Parameters
    ----------
    state_bits : int
    operating_range : OperatingRange or None
        Replaces the model's own; slopes and fluxes in it are not used.
    """

    name: ClassVar[str] = "quantise-two-point"
    requires: ClassVar[tuple[Fact, ...]] = (TWO_POINT,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    state_bits: int
    operating_range: OperatingRange | None = None

    def __call__(self, graph: TwoPointGraph) -> IntegerGraph:
        """Quantise `graph`.

        Raises
        ------
        CompileError
            Volumes or conductances differ by more than integers of these widths can tell.
        """
        mesh, limits = graph.mesh, self.operating_range or graph.spec.operating_range
        self._require_in_range(graph, limits)
        reference = float(graph.capacity.min())
        ratio = float(graph.capacity.max()) / reference
        shift = max(min((self.state_bits - 1) // 2, MOST_VOLUME_BITS), FEWEST_BITS + math.ceil(math.log2(ratio)))
        levels = 1 << max(0, self.state_bits - 1 - shift)
        usable = levels - 3 - 2 * ROOM
        if shift > MOST_VOLUME_BITS or usable < 1 << FEWEST_BITS:
            raise CompileError(
                self.name,
                f"cell {int(np.argmax(graph.capacity))} has {ratio:.3g} times the capacity of cell "
                f"{int(np.argmin(graph.capacity))}, too much for states of {self.state_bits} bits",
                remedy="use a mesh of more equal cells, or a target with wider states",
            )
        inverse_volume = np.rint(2.0**shift * reference / graph.capacity).astype(np.int64)
        margin = ROOM << shift
        unit = 2.0 ** math.ceil(math.log2((limits.upper - limits.lower) / usable))
        window = OperatingWindow(
            math.floor(limits.lower / unit * 2**shift) - margin,
            math.ceil(limits.upper / unit * 2**shift) + margin,
            None,
        )
        lowest, half = window.lower >> shift, 1 << (shift - 1)
        conductance, exponent = self._conductances(graph, inverse_volume, shift, levels, reference)
        reservoirs = np.rint(graph.reservoirs / unit).astype(np.int64)
        beside = mesh.target >= mesh.cells, mesh.source >= mesh.cells
        bias = np.zeros(mesh.faces, np.int64)
        for side, ends, sign in ((beside[0], mesh.target, -1), (beside[1], mesh.source, 1)):
            bias[side] = sign * conductance[side] * (reservoirs[ends[side] - mesh.cells] - lowest)
        # On whole levels, so that a constant start beside equal reservoirs is at rest.
        initial = np.rint(np.rint(graph.initial / unit) * 2.0**shift / inverse_volume).astype(np.int64)
        return IntegerGraph(
            spec=graph.spec,
            mesh=mesh,
            quantum=unit * reference,
            time_step=float(conductance.sum() / math.fsum(graph.conductance) * reference / 2.0**exponent),
            membrane=Membrane(initial, reservoirs << shift),
            hidden=(Rectifier("hidden1", np.full(mesh.cells, half - (lowest << shift), np.int64), shift),),
            flux=Flux(bias, exponent, MEMORYLESS),
            synapses=(
                *synapses(MEMBRANE, "hidden1", _diagonal(inverse_volume, mesh.holders)),
                *synapses("hidden1", FLUX, _differences(mesh, conductance)),
                *synapses(FLUX, MEMBRANE, Incidence(mesh.source, mesh.target, mesh.holders, 1)),
            ),
            window=window,
            quantisation=Quantisation(0, None, None),
            medium=Medium(inverse_volume, reference * 2.0**shift),
        )

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence on what the pass made."""
        assert graph.medium is not None
        volumes, shift = graph.medium.inverse_volume, graph.hidden[0].shift
        return (
            f"levels of {graph.value_per_quantum * 2**shift:g}, inverse volumes {int(volumes.min())} to "
            f"{int(volumes.max())}, threshold 2^{graph.flux.threshold_exponent}, time step {graph.time_step:.6g}"
        )

    def _require_in_range(self, graph: TwoPointGraph, limits: OperatingRange) -> None:
        outside = np.flatnonzero(~((graph.reservoirs >= limits.lower) & (graph.reservoirs <= limits.upper)))
        if outside.size:
            number = int(outside[0])
            raise CompileError(
                self.name,
                f"reservoir {number} holds the value {graph.reservoirs[number]:g}, outside the operating range "
                f"{limits.lower:g} to {limits.upper:g}",
                remedy="widen the range with --range LOWER,UPPER",
            )

    def _conductances(
        self, graph: TwoPointGraph, inverse_volume: NDArray[np.int64], shift: int, levels: int, reference: float
    ) -> tuple[NDArray[np.int64], int]:
        """Integer conductances and the threshold exponent, as fine as a drive of `levels` allows."""
        relative = graph.conductance / reference
        leaving = np.zeros(graph.mesh.holders)
        for ends in (graph.mesh.source, graph.mesh.target):
            np.add.at(leaving, ends, relative)
        steepest = float((inverse_volume * leaving[: graph.mesh.cells]).max())
        for exponent in range(LARGEST_EXPONENT, 0, -1):
            scale = SAFETY_OF_ROUNDING * 2.0 ** (exponent + shift) / steepest
            conductance = np.rint(scale * relative).astype(np.int64)
            largest = int(conductance.max())
            widest = signed_width(0, largest * levels) if largest <= LARGEST_WEIGHT else self.state_bits + 1
            total = np.zeros(graph.mesh.holders, np.int64)
            for ends in (graph.mesh.source, graph.mesh.target):
                np.add.at(total, ends, conductance)
            within = (inverse_volume * total[: graph.mesh.cells] <= 1 << (exponent + shift)).all()
            if widest <= self.state_bits and within:
                if int(conductance.min()) < 1:
                    break
                return conductance, exponent
        raise CompileError(
            self.name,
            f"conductances differ by a factor of {relative.max() / relative.min():.3g}, too much for the states",
            remedy="use a mesh of more equal cells, materials that differ less, or a target with wider states",
        )


SAFETY_OF_ROUNDING = 0.95
"""Rounding conductances up must not make a weight of the update negative."""


def _diagonal(values: NDArray[np.int64], inputs: int) -> Connections:
    numbers = np.arange(values.size, dtype=np.int64)
    return Explicit(np.arange(values.size + 1, dtype=np.int64), numbers, values, inputs)


def _differences(mesh: CellMesh | Mesh, conductance: NDArray[np.int64]) -> Connections:
    """From the levels of cells to faces: conductance times level of the source less that of the target."""
    ends = np.column_stack([mesh.source, mesh.target])
    values = np.column_stack([conductance, -conductance])
    order = np.argsort(ends, axis=1)
    ends, values = np.take_along_axis(ends, order, axis=1), np.take_along_axis(values, order, axis=1)
    inside = (ends < mesh.cells) & (ends[:, :1] != ends[:, 1:])
    starts = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    return Explicit(starts, ends[inside], values[inside], mesh.cells)
