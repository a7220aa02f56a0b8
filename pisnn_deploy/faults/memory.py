"""Bit flips in words, and the widths of words."""

from __future__ import annotations

from pisnn_deploy.faults.places import population_of_state
from pisnn_deploy.faults.spec import STATES
from pisnn_deploy.graph.integer import IntegerGraph

WORD_BITS = 24
"""Smallest word of a state (Loihi's); wider if more bits are declared."""
UNDECLARED_BITS = 32
"""Number of bits that can be flipped in a value without a declared width."""
WEIGHT_BITS = 8
"""Stored bits of a mantissa of mixed sign; it is even, and its lowest bit is not stored."""


def flipped(value: int, bit: int, width: int) -> int:
    """Flip a bit of a two's-complement word.

    Parameters
    ----------
    value : int
        Integer of at most `width` signed bits.
    bit : int
        Number of the bit: 0 for the lowest, ``width - 1`` for the sign.
    width : int
        Number of bits of the word.

    Returns
    -------
    int
        Integer of at most `width` signed bits.
    """
    word = (value ^ (1 << bit)) & ((1 << width) - 1)
    return word - ((word >> (width - 1)) << width)


def flipped_mantissa(mantissa: int, bit: int) -> int:
    """Flip one of the `WEIGHT_BITS` stored bits of an even mantissa.

    Parameters
    ----------
    mantissa : int
        Even, -256 to 254.
    bit : int
        Number of the stored bit; 0 is the lowest, with the value 2.

    Returns
    -------
    int
        Even, -256 to 254.
    """
    return 2 * flipped(mantissa >> 1, bit, WEIGHT_BITS)


def word_bits(graph: IntegerGraph, place: str, index: int, population: str = "") -> int:
    """Number of bits of a state's word.

    Parameters
    ----------
    place : str
        ``membrane``, ``current`` or ``residue``.
    index : int
        Number of the neuron.
    population : str
        Population of the state; empty where there is only one.

    Returns
    -------
    int
        At least `WORD_BITS`.
    """
    owner = population or population_of_state(graph, place)
    return value_bits(graph, owner, STATES[place], index) or WORD_BITS


def value_bits(graph: IntegerGraph, population: str, quantity: str, index: int) -> int | None:
    """Number of bits of a value's word.

    Parameters
    ----------
    population, quantity : str
        Names as in the bounds of the graph.
    index : int
        Number of the neuron.

    Returns
    -------
    int or None
        None if no width is declared.
    """
    if population in graph.holders and quantity == "mass" and index >= graph.field_of(population).cells:
        quantity = "ledger"
    declared = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    bits = declared.get((population, quantity))
    return None if bits is None else max(WORD_BITS, bits)
