"""The integer graph: populations, synapses and what was proved of them.

This is what the artifact stores and every backend runs. docs/artifact.md specifies its meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.claims import Certificate
from pisnn_deploy.graph.connections import Connections, Explicit
from pisnn_deploy.mesh import CellMesh, Mesh
from pisnn_deploy.physics.model import ModelSpec

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Coding = Literal["delta", "dense"]
Port = Literal["", "source", "target"]

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
"""What a placement says of each core."""

MEMBRANE = "membrane"
FLUX = "flux"


@dataclass(frozen=True)
class Membrane:
    """One C-LIF membrane compartment per cell, followed by one per reservoir.

    A reservoir's compartment is its ledger: it absorbs packets like any other and starts at 0, but it never sends. What
    a reservoir shows to the flux network is its constant value, which is in the biases.

    Attributes
    ----------
    initial : int64 array [cells]
        Mass in quanta that a run starts from unless told otherwise.
    reservoirs : int64 array [reservoirs]
        Value that each reservoir shows, in quanta.
    held : float64 array [reservoirs]
        Value that each reservoir holds, in physical units; `reservoirs` are these values in quanta.
    """

    initial: Integers
    reservoirs: Integers
    held: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def size(self) -> int:
        """Number of cells and reservoirs."""
        return int(self.initial.size + self.reservoirs.size)

    def holdings(self, mass: Integers) -> Integers:
        """Masses of the cells followed by empty ledgers.

        Parameters
        ----------
        mass : int64 array [cells]

        Returns
        -------
        int64 array [cells + reservoirs]
        """
        return np.concatenate([mass.astype(np.int64), np.zeros_like(self.reservoirs)])


@dataclass(frozen=True)
class Medium:
    """Cells that differ: each has a volume of its own, as an integer says.

    Attributes
    ----------
    inverse_volume : int64 array [cells]
        Positive. ``inverse_volume * mass`` is proportional to the value of a cell. All 1 where cells hold alike: faces
        then take differences of masses, and there is no hidden population.
    unit_volume : float
        Volume (times heat capacity) of a cell whose inverse volume is 1.
    """

    inverse_volume: Integers
    unit_volume: float


@dataclass(frozen=True)
class Materials:
    """What the cells of a two-point graph are made of.

    Attributes
    ----------
    conductivity : float64 array [cells]
        Positive; it takes the place of the model's diffusivity.
    capacity : float64 array [cells]
        Positive: mass per volume of a cell whose value is 1.
    """

    conductivity: Floats
    capacity: Floats


@dataclass(frozen=True)
class Rectifier:
    """A hidden population: ``a = relu(drive + bias) >> shift``.

    Attributes
    ----------
    name : str
        ``hidden1``, ``hidden2``, ...
    bias : int64 array [size]
    shift : int
    """

    name: str
    bias: Integers
    shift: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.bias.size)


@dataclass(frozen=True)
class Flux:
    """One C-LIF flux compartment per face.

    Attributes
    ----------
    bias : int64 array [faces]
        Added to the drive, in flux units.
    threshold_exponent : int
        ``F``; the firing threshold theta is ``2^F`` flux units per quantum.
    leak : int
        Decay constant of the current, 1 to 4096 (memoryless).
    share_shift : int or None
        With a limiter, ``s``: a cell gives at most ``max(m, 0) >> s`` through each of its faces. None without.
    """

    bias: Integers
    threshold_exponent: int
    leak: int
    share_shift: int | None = None

    @property
    def size(self) -> int:
        """Number of faces."""
        return int(self.bias.size)


@dataclass(frozen=True)
class Stock:
    """What makes a graph one of Lava's own processes (`pisnn_deploy.graph.stock`).

    Attributes
    ----------
    send_threshold : int
        A face keeps what is smaller in its residue, in quanta; 1 sends everything.
    """

    send_threshold: int


@dataclass(frozen=True)
class Synapse:
    """A population of weighted connections as the chip stores it: mantissas and one shared exponent.

    The effective weight is ``mantissa * 2^exponent``. Mantissas are even, because targets drop the lowest bit of
    weights of mixed sign. Several synapses may join the same two populations; their contributions add up.

    Attributes
    ----------
    name, source, target : str
    connections : Explicit, Stencil, Blocks, Incidence or Ends
        With mantissas as values.
    exponent : int
    port : str
        Empty for what a neuron integrates. ``source`` and ``target`` tell flux compartments with a limiter the masses
        at their ends.
    """

    name: str
    source: str
    target: str
    connections: Connections
    exponent: int
    port: Port = ""

    @property
    def entries(self) -> int:
        """Number of stored connections."""
        return self.connections.entries

    @property
    def inputs(self) -> int:
        """Size of the source population."""
        return self.connections.inputs

    @property
    def outputs(self) -> int:
        """Size of the target population."""
        return self.connections.outputs

    @property
    def row_starts(self) -> Integers:
        """Where the connections of each target neuron start, int64 [outputs + 1]."""
        return self.connections.rows.starts

    @property
    def columns(self) -> Integers:
        """Source neuron of each connection, int64 [entries]."""
        return self.connections.rows.columns

    @property
    def mantissas(self) -> Integers:
        """Mantissa of each connection, int64 [entries]."""
        return self.connections.rows.values

    @property
    def distinct_mantissas(self) -> Integers:
        """Mantissas among which each of the synapse's is, int64."""
        return self.connections.distinct[1]

    def with_mantissas(self, mantissas: Integers) -> Synapse:
        """The synapse spelled out, with other mantissas.

        Parameters
        ----------
        mantissas : int64 array [entries]

        Returns
        -------
        Synapse
        """
        return replace(self, connections=Explicit(self.row_starts, self.columns, mantissas, self.inputs))

    def mantissa_matrix(self) -> sparse.csr_matrix:
        """Mantissas as a scipy matrix [outputs, inputs], int64."""
        return self.connections.rows.matrix(self.inputs)

    def matrix(self) -> sparse.csr_matrix:
        """Effective integer weights as a scipy matrix [outputs, inputs], int64.

        Raises
        ------
        ValueError
            A mantissa is not a multiple of ``2^-exponent``: `verify_graph` refuses such a graph before it comes here.
        """
        mantissas = self.mantissas
        if self.exponent >= 0:
            weights = mantissas << self.exponent
        else:
            weights = mantissas >> -self.exponent
            if (weights << -self.exponent != mantissas).any():
                raise ValueError(f"synapse {self.name}: weights are not integers")
        return sparse.csr_matrix((weights, self.columns, self.row_starts), (self.outputs, self.inputs))


@dataclass(frozen=True)
class IntegerLayer:
    """One layer of the quantised flux network, as every face applies it to its window.

    Attributes
    ----------
    weight : int64 array [outputs, inputs]
    bias : int64 array [outputs]
    shift : int
        Right shift after rectification; 0 for the last layer, whose output is the drive.
    """

    weight: Integers
    bias: Integers
    shift: int


@dataclass(frozen=True)
class Bound:
    """Interval that a quantity cannot leave while the operating range holds, and the width declared for it.

    Attributes
    ----------
    population, quantity : str
        E.g. ``flux`` and ``current``.
    lower, upper : int
        The interval, both ends included.
    bits : int
        Declared signed width; every backend stops a run at the first value outside it.
    """

    population: str
    quantity: str
    lower: int
    upper: int
    bits: int

    @property
    def is_state_or_payload(self) -> bool:
        """Whether it is held in a neuron's word or sent as one; products, their sums and ledgers have wider ones."""
        return self.quantity not in ("accumulator", "product", "ledger")


@dataclass(frozen=True)
class OperatingWindow:
    """The operating range in quanta; the audit checks it at every PDE step.

    Attributes
    ----------
    lower, upper : int
        Limits of the mass of a cell.
    difference : int or None
        Largest absolute difference of the masses on both sides of a face; a reservoir's value counts at half a cell's
        distance.
    current : int or None
        Largest absolute current of a flux compartment, in flux units.
    """

    lower: int
    upper: int
    difference: int | None
    current: int | None = None


@dataclass(frozen=True)
class Quantisation:
    """What going to integers cost, as whoever compiled the graph measured it. Nothing proves these figures.

    Attributes
    ----------
    steps : int
        PDE steps over which both errors were measured.
    relative_l2_float, relative_l2_integer : float or None
        Relative L2 error of the float model and of the integer graph against the problem's reference at the same
        physical time each; None without a reference.
    relative_l2_rounded : float or None
        The error with the nearest integers instead of those that were searched for.
    kernel_rounded, kernel_chosen : tuple of int
        For a linear flux network: the nearest integers and those that were chosen.
    symbol_error_rounded, symbol_error_chosen : float or None
        Error of the amplification factors of both (linear flux networks only).
    """

    steps: int
    relative_l2_float: float | None
    relative_l2_integer: float | None
    kernel_rounded: tuple[int, ...] = ()
    kernel_chosen: tuple[int, ...] = ()
    symbol_error_rounded: float | None = None
    symbol_error_chosen: float | None = None
    relative_l2_rounded: float | None = None


@dataclass(frozen=True)
class Placement:
    """Populations on cores.

    Attributes
    ----------
    core : dict of str to int64 array
        Core number of each neuron, by population.
    cores, chips : int
        Cores are numbered through all chips.
    chip : int64 array [cores]
        Chip of each core.
    method : str
        How the cores were cut: ``blocks``, ``metis`` or ``index``.
    axons : dict of str to int64 array [runs, 3]
        The axon tables, by synapse name: first source neuron, number of consecutive source neurons, target core.
        Sorted by target core, then by first neuron. Axons that stay on their neuron's own core are not in it.
    utilisation : dict of str to int64 array [cores]
        What each core uses, by `UTILISATION`; fractions of words are rounded up.
    """

    core: dict[str, Integers]
    cores: int
    chips: int
    chip: Integers
    method: str
    axons: dict[str, Integers] = field(default_factory=dict)
    utilisation: dict[str, Integers] = field(default_factory=dict)


@dataclass(frozen=True)
class PassRecord:
    """What one compiler pass did.

    Attributes
    ----------
    name : str
        Of the pass.
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
        """A record from its `text`."""
        name, _, options = text.partition("{")
        return cls(name, options.removesuffix("}"), summary)


@dataclass(frozen=True)
class IntegerGraph:
    """A PISNN as integers, ready to be bounded, proved, scheduled and run.

    Attributes
    ----------
    spec : ModelSpec
        Its operating range is the one that the graph was compiled for.
    mesh : Mesh or CellMesh
    quantum : float
        Physical mass of one unit: ``value = quantum * mass / volume``.
    time_step : float
        Physical time of one PDE step, derived from the integer weights.
    membrane : Membrane
    hidden : tuple of Rectifier
    flux : Flux
    synapses : tuple of Synapse
        Membrane to first hidden layer, ..., to flux; and flux to membrane (the route of the packets). With a limiter
        also membrane to the ports ``source`` and ``target`` of flux.
    window : OperatingWindow
    quantisation : Quantisation
    operator : tuple of IntegerLayer
        The quantised flux network that the synapses lay out on the mesh.
    coding : str or None
        ``delta`` or ``dense``, once scheduled.
    period : int or None
        Time steps per PDE step, once scheduled.
    bounds : tuple of Bound
    certificate : Certificate or None
    placement : Placement or None
    profile : str
        Hardware profile that the graph was compiled for; empty for none.
    medium : Medium or None
        Where cells differ in volume or capacity; masses in `window` are then times their inverse volumes.
    materials : Materials or None
        Of a graph of two-point fluxes.
    binary : dict of str to int
        Where spikes are binary: the number of lines of each population, one for each bit of its payload
        (`pisnn_deploy.graph.lines`). Empty where spikes carry integers.
    stock : Stock or None
        For a graph of Lava's own processes; None for C-LIF.
    history : tuple of PassRecord
    """

    spec: ModelSpec
    mesh: Mesh | CellMesh
    quantum: float
    time_step: float
    membrane: Membrane
    hidden: tuple[Rectifier, ...]
    flux: Flux
    synapses: tuple[Synapse, ...]
    window: OperatingWindow
    quantisation: Quantisation
    operator: tuple[IntegerLayer, ...] = ()
    coding: Coding | None = None
    period: int | None = None
    bounds: tuple[Bound, ...] = ()
    certificate: Certificate | None = None
    placement: Placement | None = None
    profile: str = ""
    medium: Medium | None = None
    materials: Materials | None = None
    binary: dict[str, int] = field(default_factory=dict)
    stock: Stock | None = None
    history: tuple[PassRecord, ...] = field(default=(), compare=False)

    @property
    def chain(self) -> tuple[str, ...]:
        """Names of the populations in the order in which they answer: membrane, hidden layers, flux."""
        return (MEMBRANE, *(population.name for population in self.hidden), FLUX)

    @property
    def grid(self) -> Mesh:
        """The mesh of a graph that is known to be structured.

        Raises
        ------
        TypeError
            It is not.
        """
        if not isinstance(self.mesh, Mesh):
            raise TypeError("the mesh is not structured")
        return self.mesh

    @property
    def value_per_quantum(self) -> float:
        """Change of a cell's value when it gains one quantum; with a medium, of a cell whose inverse volume is 1."""
        return self.quantum / (self.grid.volume if self.medium is None else self.medium.unit_volume)

    @property
    def resolution(self) -> float:
        """Smallest difference of cell values that fluxes answer to: a level where cells differ, else a quantum's."""
        return self.value_per_quantum * 2.0 ** (0 if self.medium is None or not self.hidden else self.hidden[0].shift)

    @property
    def packet_exponent(self) -> int:
        """Binary exponent of what a packet of one quantum takes from the residue: ``F``, and 0 for stock processes."""
        return self.flux.threshold_exponent if self.stock is None else 0

    def size(self, population: str) -> int:
        """Number of neurons of a population."""
        return {MEMBRANE: self.membrane.size, FLUX: self.flux.size, **{p.name: p.size for p in self.hidden}}[population]

    @property
    def neurons(self) -> int:
        """Number of neurons of all populations."""
        return sum(self.size(name) for name in self.chain)

    def between(self, source: str, target: str) -> Iterator[Synapse]:
        """Synapses that join two populations, apart from those to ports."""
        return (s for s in self.synapses if s.source == source and s.target == target and not s.port)

    def matrix(self, source: str, target: str) -> sparse.csr_matrix:
        """Sum of the effective weights of all synapses between two populations, int64 [target, source]."""
        total = sparse.csr_matrix((self.size(target), self.size(source)), dtype=np.int64)
        for synapse in self.between(source, target):
            total = total + synapse.matrix()
        return sparse.csr_matrix(total)

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
        """Masses in quanta of the given cell values, each rounded to the nearest integer.

        Parameters
        ----------
        values : float64 array [cells]

        Returns
        -------
        int64 array [cells]

        Raises
        ------
        UsageError
            A value that is not finite, or too large to be an exact integer mass.
        """
        flat = np.asarray(values, np.float64).reshape(-1)
        scaled = flat / self.value_per_quantum
        if self.medium is not None:
            scaled = scaled / self.medium.inverse_volume
        unusable = np.flatnonzero(~(np.abs(scaled) < 2.0**53))
        if unusable.size:
            cell = int(unusable[0])
            raise UsageError(f"cell {cell}: value {flat[cell]} is not a finite number of at most 2^53 quanta")
        return np.asarray(np.rint(scaled), np.int64)

    def values(self, mass: Integers) -> NDArray[np.float64]:
        """Cell values of the given masses.

        Parameters
        ----------
        mass : int64 array [..., cells]

        Returns
        -------
        float64 array [..., cells]
        """
        return np.asarray(self.levels(mass) * self.value_per_quantum, np.float64)

    def levels(self, mass: Integers) -> Integers:
        """Masses in the units of the operating window: times their inverse volumes where cells differ.

        Parameters
        ----------
        mass : int64 array [..., cells]

        Returns
        -------
        int64 array [..., cells]
        """
        return mass if self.medium is None else mass * self.medium.inverse_volume

    @property
    def starts_inside(self) -> bool:
        """Whether the initial masses lie within the operating window."""
        levels = self.levels(self.membrane.initial)
        return self.window.lower <= int(levels.min()) and int(levels.max()) <= self.window.upper

    def reservoir_values(self) -> NDArray[np.float64]:
        """Cell values that the reservoirs show, float64 [reservoirs]."""
        return np.asarray(self.membrane.reservoirs * self.value_per_quantum, np.float64)
