"""What an integer graph says besides populations and synapses: bounds, placement, materials, the compiler's notes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

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
