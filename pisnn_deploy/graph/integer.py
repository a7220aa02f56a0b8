"""The integer graph: populations, synapses, fields and channels, and what was proved about them.

This is what the artifact stores and every backend runs. docs/reference/artifact.md specifies its meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, added
from pisnn_deploy.graph.annotations import (
    UTILISATION,
    Bound,
    IntegerLayer,
    Materials,
    PassRecord,
    Placement,
    Quantisation,
)
from pisnn_deploy.graph.claims import Certificate
from pisnn_deploy.graph.fields import Channels, Field, OperatingWindow
from pisnn_deploy.graph.order import Order, order_of
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.synapse import ARRIVAL, Synapse
from pisnn_deploy.laws.conditions import boundary_text
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.mesh import FaceMesh, Mesh
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.programs.neurons import rectifier_shift

__all__ = [
    "ARRIVAL",
    "FIELD",
    "FLUX",
    "MEMBRANE",
    "UTILISATION",
    "Bound",
    "Channels",
    "Coding",
    "Field",
    "Floats",
    "IntegerGraph",
    "IntegerLayer",
    "Integers",
    "Materials",
    "OperatingWindow",
    "PassRecord",
    "Placement",
    "Population",
    "Quantisation",
    "Synapse",
]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Coding = Literal["delta", "dense"]

MEMBRANE = "membrane"
"""Holders of a graph of one field."""
FLUX = "flux"
"""Its channels."""
FIELD = "u"
"""Its field."""
LEVEL = "level"
"""Population, one neuron a cell: the value of a cell."""
LEVEL_DIGITS = ("level-digit-1", "level-digit-2", "level-digit-3")
"""Populations, one neuron a cell: lower digits of inverse volume times mass; the last ones, if fewer are needed."""
FLUX_DIGITS = ("flux-digit-1", "flux-digit-2", "flux-digit-3")
"""Populations, one neuron a face: lower digits of its sum; the last ones of these, if fewer are needed."""


@dataclass(frozen=True)
class IntegerGraph:
    """A PISNN as integers, ready to be bounded, proved, scheduled and run.

    Attributes
    ----------
    spec : ModelSpec or LawSpec
        Specification of the model, with the operating range that the graph was compiled for, or recipe of the law.
    time_step : float
        Physical time of one PDE step, derived from the integer weights.
    populations : tuple of Population
        In ascending order of depth: holders, populations that respond to them, channels.
    synapses : tuple of Synapse
        Those from channels to holders are the route of the packets.
    operator : tuple of IntegerLayer
        The quantised flux network that the synapses lay out on the mesh.
    coding : str or None
        ``delta`` or ``dense``, once scheduled.
    period : int or None
        Time steps per PDE step, once scheduled.
    profile : str
        Hardware profile that the graph was compiled for; empty for none.
    materials : Materials or None
        Only for a graph of two-point fluxes.
    """

    spec: ModelSpec | LawSpec
    mesh: FaceMesh
    time_step: float
    populations: tuple[Population, ...]
    synapses: tuple[Synapse, ...]
    fields: tuple[Field, ...]
    channels: tuple[Channels, ...]
    quantisation: Quantisation
    operator: tuple[IntegerLayer, ...] = ()
    coding: Coding | None = None
    period: int | None = None
    bounds: tuple[Bound, ...] = ()
    certificate: Certificate | None = None
    placement: Placement | None = None
    profile: str = ""
    materials: Materials | None = None
    history: tuple[PassRecord, ...] = field(default=(), compare=False)

    @property
    def model_spec(self) -> ModelSpec:
        """Specification of the model of a graph that is known to be compiled from one.

        Raises
        ------
        TypeError
            It was compiled from a law.
        """
        if self.spec.equation == "law":
            raise TypeError(f"the graph of the law {self.spec.name} has no model")
        return self.spec

    def range_of(self, field: Field) -> tuple[float, float]:
        """Operating range of the values of a field of equal cells; of a law without the room for rounding."""
        if self.spec.equation == "law":
            return self.spec.range[field.name]
        return field.window.lower * field.value_per_quantum, field.window.upper * field.value_per_quantum

    @property
    def boundary_text(self) -> str:
        """Boundary conditions as text: the law's, by side, or those of the mesh."""
        if self.spec.equation == "law":
            return boundary_text(self.spec.conditions)
        return self.mesh.boundary_text

    @property
    def has_flux_network(self) -> bool:
        """Whether all faces apply one flux network, or two-point fluxes, as in graphs that are lowered from a model."""
        return bool(self.operator) or self.materials is not None

    @property
    def chain(self) -> tuple[str, ...]:
        """Names of the populations in the order in which they run."""
        return tuple(population.name for population in self.populations)

    @cached_property
    def holders(self) -> tuple[str, ...]:
        """Names of the populations that hold mass, one for each field."""
        return tuple(field.holder for field in self.fields)

    @property
    def depths(self) -> dict[str, int]:
        """Phase in which each population runs."""
        return self.order.depths

    @cached_property
    def order(self) -> Order:
        """Order in which populations run and ask; `CycleError` where some form a cycle."""
        packets = {(each.population, each.output) for each in self.channels}
        return order_of(self.holders, self.populations, self.synapses, packets)

    @cached_property
    def heard_again(self) -> dict[tuple[str, int], str]:
        """State that each output becomes that a population sends to itself; it arrives in the next PDE step."""
        own = ((s.source, s.output, self.population(s.source)) for s in self.synapses if s.source == s.target)
        states = {(name, output): population.state_sent(output) for name, output, population in own}
        return {key: state for key, state in states.items() if state is not None}

    def population(self, name: str) -> Population:
        """The population of that name.

        Raises
        ------
        KeyError
            There is none.
        """
        for population in self.populations:
            if population.name == name:
                return population
        raise KeyError(name)

    def with_populations(self, *others: Population) -> IntegerGraph:
        """Replace populations by others of the same names."""
        by_name = {population.name: population for population in others}
        return replace(self, populations=tuple(by_name.get(p.name, p) for p in self.populations))

    def with_field(self, **changes: Any) -> IntegerGraph:
        """Replace attributes of the only field."""
        return replace(self, fields=(replace(self.sole_field, **changes),))

    def field_of(self, holder: str) -> Field:
        """The field whose mass a population holds.

        Raises
        ------
        KeyError
            It holds none.
        """
        for conserved in self.fields:
            if conserved.holder == holder:
                return conserved
        raise KeyError(holder)

    def ledgers_of(self, conserved: Field) -> dict[str, Integers]:
        """Reservoirs of each ledger of a field, by its name.

        Returns
        -------
        dict of str to int64 array
            Indices of reservoirs, from 0; those of the mesh's sides or groups where the field names none.
        """
        if not conserved.ledgers:
            return self.mesh.reservoirs_by_side if conserved.reservoirs.size else {}
        ends = np.cumsum([ledger.reservoirs for ledger in conserved.ledgers])
        return {
            ledger.name: np.arange(end - ledger.reservoirs, end, dtype=np.int64)
            for ledger, end in zip(conserved.ledgers, ends.tolist(), strict=True)
        }

    def into(self, target: str, port: str = ARRIVAL) -> Iterator[Synapse]:
        """Synapses that lead to a port of a population."""
        return (synapse for synapse in self.synapses if (synapse.target, synapse.port) == (target, port))

    @property
    def sole_field(self) -> Field:
        """The field of a graph that is known to have one.

        Raises
        ------
        TypeError
            It has several.
        """
        if len(self.fields) != 1:
            raise TypeError(f"the graph has {len(self.fields)} fields")
        return self.fields[0]

    @property
    def sole_channels(self) -> Population:
        """Population of the channels of a graph that is known to have one.

        Raises
        ------
        TypeError
            It has several.
        """
        if len(self.channels) != 1:
            raise TypeError(f"the graph has {len(self.channels)} populations of channels")
        return self.population(self.channels[0].population)

    @property
    def between_fields(self) -> tuple[Population, ...]:
        """Populations that respond to holders, and neither hold mass nor carry packets."""
        ends = {*self.holders, *(channels.population for channels in self.channels), *self.order.answers}
        return tuple(population for population in self.populations if population.name not in ends)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values of all fields: that of the mesh, with the number of fields before it if it is not one."""
        several = (len(self.fields),) if len(self.fields) > 1 else ()
        return (*several, *self.mesh.shape)

    @cached_property
    def initial(self) -> Integers:
        """Default masses of the cells at the start of a run, field by field, int64 [cells]."""
        parts = []
        for conserved in self.fields:
            (start,) = self.population(conserved.holder).started().values()
            parts.append(start[: conserved.cells])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def quantum(self) -> float:
        """Physical mass of one unit of the only field: ``value = quantum * mass / volume``."""
        return self.sole_field.quantum

    @property
    def window(self) -> OperatingWindow:
        """Operating window of the only field."""
        return self.sole_field.window

    @property
    def grid(self) -> Mesh:
        """The mesh of a graph that is known to be structured.

        Raises
        ------
        TypeError
            It is not.
        """
        if self.mesh.grid is None:
            raise TypeError("the mesh is not structured")
        return self.mesh.grid

    @property
    def value_per_quantum(self) -> float:
        """Change of the value of a cell of inverse volume 1 when it gains one quantum."""
        return self.sole_field.value_per_quantum

    @property
    def resolution(self) -> float:
        """Smallest difference of cell values that fluxes can resolve: a level where cells differ, else a quantum."""
        levels = [p for p in self.between_fields if p.name not in FLUX_DIGITS] if self.materials is not None else []
        return self.value_per_quantum * 2.0 ** sum(rectifier_shift(level.program) or 0 for level in levels)

    def size(self, population: str) -> int:
        """Number of neurons of a population."""
        return self.population(population).size

    @property
    def neurons(self) -> int:
        """Number of neurons of all populations."""
        return sum(population.size for population in self.populations)

    def between(self, source: str, target: str) -> Iterator[Synapse]:
        """Synapses from a population's first output to another's integrating port."""
        return (s for s in self.into(target) if s.source == source and s.output == 0)

    def matrix(self, source: str, target: str) -> Rows:
        """Sum of the effective weights of all synapses between two populations, int64 [target, source]."""
        return added((s.matrix() for s in self.between(source, target)), (self.size(target), self.size(source)))

    def bits(self, population: str, quantity: str) -> int:
        """Declared signed width of a quantity.

        Raises
        ------
        KeyError
            The graph has no bound for it.
        """
        for bound in self.bounds:
            if (bound.population, bound.quantity) == (population, quantity):
                return bound.bits
        raise KeyError(f"no bound for {population} {quantity}")

    def mass(self, values: NDArray[np.float64]) -> Integers:
        """Convert cell values to masses in quanta, each rounded to the nearest integer.

        Parameters
        ----------
        values : float64 array [cells]
            Cell averages, field by field.

        Returns
        -------
        int64 array [cells]
            Masses in quanta.

        Raises
        ------
        UsageError
            A value is not finite, or too large to be an exact integer mass.
        """
        flat = np.asarray(values, np.float64).reshape(-1)
        parts = flat.reshape(len(self.fields), -1)
        return np.concatenate([conserved.masses(part) for conserved, part in zip(self.fields, parts, strict=True)])

    def values(self, mass: Integers) -> NDArray[np.float64]:
        """Cell values of the given masses.

        Parameters
        ----------
        mass : int64 array [..., cells]
            Masses in quanta, field by field.

        Returns
        -------
        float64 array [..., cells]
            Cell averages.
        """
        if len(self.fields) == 1:
            return self.fields[0].values(mass)
        parts = mass.reshape(*mass.shape[:-1], len(self.fields), self.mesh.cells)
        values = [conserved.values(parts[..., number, :]) for number, conserved in enumerate(self.fields)]
        return np.concatenate(values, axis=-1)

    @property
    def starts_inside(self) -> bool:
        """Whether the initial masses lie within the operating windows."""
        parts = self.initial.reshape(len(self.fields), -1)
        levels = [conserved.levels(part) for conserved, part in zip(self.fields, parts, strict=True)]
        return all(
            conserved.window.lower <= int(level.min()) and int(level.max()) <= conserved.window.upper
            for conserved, level in zip(self.fields, levels, strict=True)
        )

    def reservoir_values(self) -> NDArray[np.float64]:
        """Cell values that the reservoirs show, field by field, float64 [reservoirs]."""
        return np.concatenate([conserved.reservoirs * conserved.value_per_quantum for conserved in self.fields])
