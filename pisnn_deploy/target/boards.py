"""Schema of profiles of boards: microcontrollers and FPGAs, on which exports of an artifact run.

A graph is compiled for a chip of neurons, or for `generic-int`; a board then runs what ``export`` writes. Names end
with the unit as in `pisnn_deploy.target.schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from pisnn_deploy.target.schema import Count, Limit, Profile, Quantity, Section, Sentence


class Memory(Section):
    """Memory of a microcontroller."""

    flash_bytes: Limit
    """Flash, for code and tables."""
    ram_bytes: Limit
    """RAM, for states and the stack."""
    stack_bytes: Count
    """RAM that is left for the stack."""


class Clock(Section):
    """Clock of a microcontroller."""

    hz: Count
    """Frequency in hertz."""


class Code(Section):
    """Size of compiled C, with its audit."""

    fixed_bytes: Quantity
    """Code that does not depend on the graph."""
    operation_bytes: Quantity
    """Code of an operation of a program whose values fit 32 bits."""
    wide_operation_bytes: Quantity
    """Code of an operation of a program that needs 64 bits."""
    loop_bytes: Quantity
    """Code of a loop over neurons, synapses or array elements."""


class Cycles(Section):
    """Cycles of compiled C in a PDE step, without its audit."""

    operation: Quantity
    """Cycles of an operation of a neuron whose values fit 32 bits."""
    wide_operation: Quantity
    """Cycles of an operation of a neuron that needs 64 bits."""
    synapse: Quantity
    """Cycles of a synapse."""
    neuron: Quantity
    """Cycles of a neuron besides its operations and synapses."""


class CycleEnergy(Section):
    """Energy of a microcontroller that runs code from flash."""

    cycle_nj: Quantity
    """Energy of one cycle in nanojoules."""


class Fabric(Section):
    """What an FPGA consists of."""

    cells: Limit
    """Lookup tables with four inputs, each with a register."""
    block_memory_bits: Limit
    """Memory in blocks."""
    block_bits: Count
    """Size of one block."""
    multipliers: Limit
    """Blocks that multiply two numbers of 16 or 18 bits."""


class Circuit(Section):
    """Size of the circuits of ``export --to verilog --serial`` after synthesis."""

    fixed_cells: Quantity
    """Cells that do not depend on the graph."""
    operation_bit_cells: Quantity
    """Cells of each bit of the result of an operation of a program."""
    array_bit_cells: Quantity
    """Cells of each bit of the width of an array of states or of a sum."""
    multiplier_bits: Count
    """Width of the factors of a multiplier."""


class CircuitClock(Section):
    """Clock of the circuits of ``export --to verilog --serial``."""

    mhz: Quantity
    """Frequency in megahertz that placed and routed circuits reach."""


class CircuitEnergy(Section):
    """Power of an FPGA."""

    dynamic_w: Quantity
    """Power of a running circuit."""


class Board(Section):
    """A board on which an export of an artifact runs."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    """Name of the profile: a letter followed by lower-case letters, digits, - and _."""
    description: Sentence
    """One sentence that lists show; it names the part."""
    target: str
    """Kind of the board."""


class Microcontroller(Board):
    """A microcontroller, which runs ``export --to c``."""

    target: Literal["microcontroller"]
    memory: Memory
    clock: Clock
    code: Code
    cycles: Cycles
    energy: CycleEnergy


class Fpga(Board):
    """An FPGA, which runs ``export --to verilog --serial``."""

    target: Literal["fpga"]
    fabric: Fabric
    circuit: Circuit
    clock: CircuitClock
    energy: CircuitEnergy


Target = Profile | Board
"""Anything that ``check`` takes."""
KINDS: Mapping[str, type[Board]] = {"microcontroller": Microcontroller, "fpga": Fpga}
"""Kinds of boards by their field ``target``, which profiles of chips do not have."""


def model_of(document: Mapping[str, Any]) -> type[Profile] | type[Board]:
    """Schema of a profile, by its field ``target``."""
    kind = document.get("target")
    if kind is None:
        return Profile
    return KINDS.get(kind, Board) if isinstance(kind, str) else Board
