"""Annotations of an integer graph: bounds, placement, materials and the compiler's notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as defaulted
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pisnn_deploy.core.printable import counted
from pisnn_deploy.graph.stored import (
    LEFT_OUT_IF_EMPTY,
    Arrays,
    CellFloats,
    Floats,
    Integer32,
    Integer64,
    Integers,
    ListOf,
    ListsOf,
    Name,
    Plain,
    Shift,
    Stored,
    TableOf,
)
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.physics.model import FiniteFloat, PositiveFloat

UTILISATION = (
    "neurons",
    "synapses",
    "synaptic_words",
    "input_axons",
    "output_axons",
    "axon_map_words",
    "axon_memory_words",
    "total_words",
)
"""Resources whose use a placement records for each core."""


@dataclass(frozen=True)
class IntegerLayer(Stored):
    """One layer of the quantised flux network, as every face applies it to its window.

    Attributes
    ----------
    weight : int64 array [outputs, inputs]
        Mantissas of the weights; of a linear network with a kernel for each axis [axes, inputs].
    bias : int64 array [outputs]
        In units of the potential.
    shift : int
        Right shift after rectification; 0 for the last layer, whose output is the drive.
    """

    weight: Annotated[Integers, TableOf()]
    bias: Annotated[Integers, ListOf(lambda data, arrays: len(data["weight"]))]
    shift: Shift


@dataclass(frozen=True)
class Bound(Stored):
    """Interval and declared width of a quantity; the interval holds while the operating range does.

    Attributes
    ----------
    population, quantity : str
        E.g. ``flux`` and ``current``.
    lower, upper : int
        The interval, both ends included.
    bits : int
        Declared signed width; every backend stops a run at the first value outside it.
    """

    population: Name
    quantity: Name
    lower: Integer64
    upper: Integer64
    bits: Integer32

    @property
    def is_state_or_payload(self) -> bool:
        """Whether the quantity is a state or a payload; products, their sums and ledgers are wider."""
        return self.quantity not in ("accumulator", "product", "ledger")


@dataclass(frozen=True)
class Quantisation(Stored):
    """Accuracy lost by quantisation, as measured by the compiler. Nothing proves these figures.

    Attributes
    ----------
    steps : int
        PDE steps over which both errors were measured.
    relative_l2_float, relative_l2_integer : float or None
        Relative L2 error of the float model and of the integer graph against the problem's reference at the same
        physical time each; None without a reference.
    relative_l2_rounded : float or None
        The error with the nearest integers instead of those found by the search.
    kernel_rounded, kernel_chosen : tuple of int
        For a linear flux network: the nearest integers and those that were chosen.
    symbol_error_rounded, symbol_error_chosen : float or None
        Error of the amplification factors of both kernels (linear flux networks only).
    """

    steps: Annotated[int, Field(ge=0, le=2**62)]
    relative_l2_float: FiniteFloat | None
    relative_l2_integer: FiniteFloat | None
    kernel_rounded: Annotated[tuple[Integer64, ...], Field(max_length=4096)] = ()
    kernel_chosen: Annotated[tuple[Integer64, ...], Field(max_length=4096)] = ()
    symbol_error_rounded: FiniteFloat | None = None
    symbol_error_chosen: FiniteFloat | None = None
    relative_l2_rounded: FiniteFloat | None = None


def _cores(data: Plain, arrays: Arrays) -> int:
    neurons, cores, chips = sum(arrays.sizes.values()), int(data["cores"]), int(data["chips"])
    if not chips <= cores <= neurons:
        has = f"{counted(cores, 'core')} on {counted(chips, 'chip')}"
        raise ValueError(f"placement has {has}, and there are {counted(neurons, 'neuron')}")
    return cores


_ForCores = ListsOf(lambda name, data, arrays: _cores(data, arrays))
Method = Literal["blocks", "metis", "index"]


@dataclass(frozen=True)
class Placement(Stored):
    """Populations on cores.

    Attributes
    ----------
    core : dict of str to int64 array
        Core number of each neuron, by population.
    cores, chips : int
        Number of cores and of chips; core numbers are consecutive over all chips.
    chip : int64 array [cores]
        Chip of each core.
    method : str
        How the cores were cut: ``blocks``, ``metis`` or ``index``.
    axons : dict of str to int64 array [runs, 3]
        The axon tables, by synapse name: first source neuron, number of consecutive source neurons, target core.
        Sorted by target core, then by first neuron. Axons that stay on their neuron's own core are not in it.
    utilisation : dict of str to int64 array [cores]
        Use of each core for each resource in `UTILISATION`; fractions of words are rounded up.
    """

    core: Annotated[Mapping[str, Integers], ListsOf(lambda name, data, arrays: arrays.sizes[name])]
    cores: Annotated[int, Field(ge=1, le=1 << 24)]
    chips: Annotated[int, Field(ge=1, le=1 << 20)]
    chip: Annotated[Integers, ListOf(_cores)]
    method: Method
    axons: Annotated[Mapping[str, Integers], ListsOf()] = defaulted(default_factory=dict)
    utilisation: Annotated[Mapping[str, Integers], _ForCores] = defaulted(default_factory=dict)


@dataclass(frozen=True)
class PassRecord(Stored):
    """What one compiler pass did.

    Attributes
    ----------
    name : str
        Name of the pass.
    options : str
        Such as ``state-bits=24 search=True``; may be empty.
    summary : str
        A sentence.
    """

    name: str
    options: str
    summary: str

    @property
    def text(self) -> str:
        """Name and options, such as ``quantise{state-bits=24 search=True}``."""
        return f"{self.name}{{{self.options}}}" if self.options else self.name

    @classmethod
    def read(cls, text: str, summary: str) -> PassRecord:
        """Parse a record's `text`."""
        name, _, options = text.partition("{")
        return cls(name, options.removesuffix("}"), summary)


@dataclass(frozen=True)
class Materials(Stored):
    """Material properties of the cells of a two-point graph.

    Attributes
    ----------
    conductivity : float64 array [cells]
        Positive; replaces the model's diffusivity.
    capacity : float64 array [cells]
        Positive: mass per volume of a cell whose value is 1.
    along : tuple of float
        Factor of the conductivity along each axis of a grid; empty for one that is the same along all.
    """

    conductivity: CellFloats
    capacity: CellFloats
    along: Annotated[tuple[PositiveFloat, ...], Field(max_length=3)] = defaulted(default=(), metadata=LEFT_OUT_IF_EMPTY)

    def conductances(self, mesh: FaceMesh) -> Floats:
        """Conductance of each face of a mesh, float64 [faces], as `FaceMesh.conductances` has it without factors."""
        conductances = mesh.conductances(self.conductivity)
        return conductances * np.array(self.along)[mesh.grid.axis] if self.along and mesh.grid else conductances

    def are_those_of(self, diffusivity: float) -> bool:
        """Whether all cells have a diffusivity and the capacity 1."""
        return bool((self.conductivity == diffusivity).all() and (self.capacity == 1).all())
