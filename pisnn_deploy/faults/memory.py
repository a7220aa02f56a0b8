"""Bits of words that are hit."""

from __future__ import annotations

from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph

WORD_BITS = 24
"""Smallest word of state of a chip (Loihi's); wider where more was declared."""
UNDECLARED_BITS = 32
"""Lowest bits of a value that can be flipped where no width is declared for it."""
WEIGHT_BITS = 8
"""Stored bits of a mantissa of mixed sign: mantissas are even, and their lowest bit is not stored."""


def flipped(value: int, bit: int, width: int) -> int:
    """A two's-complement word after one of its bits has changed.

    Parameters
    ----------
    value : int
        Fits `width` signed bits.
    bit : int
        0 is the lowest, ``width - 1`` the sign.
    width : int
        Bits of the word.

    Returns
    -------
    int
        Within `width` signed bits.
    """
    word = (value ^ (1 << bit)) & ((1 << width) - 1)
    return word - ((word >> (width - 1)) << width)


def flipped_mantissa(mantissa: int, bit: int) -> int:
    """An even mantissa after one of its `WEIGHT_BITS` stored bits has changed.

    Parameters
    ----------
    mantissa : int
        Even, -256 to 254.
    bit : int
        Of the stored bits, 0 for the lowest: it is worth 2.

    Returns
    -------
    int
        Even, -256 to 254.
    """
    return 2 * flipped(mantissa >> 1, bit, WEIGHT_BITS)


def word_bits(graph: IntegerGraph, place: str, index: int) -> int:
    """Bits of a word of state.

    Parameters
    ----------
    place : str
        ``membrane``, ``current`` or ``residue``.
    index : int
        Number of the neuron.

    Returns
    -------
    int
        At least `WORD_BITS`.
    """
    population, quantity = (MEMBRANE, "mass") if place == MEMBRANE else (FLUX, place)
    return value_bits(graph, population, quantity, index) or WORD_BITS


def value_bits(graph: IntegerGraph, population: str, quantity: str, index: int) -> int | None:
    """Bits of the word that holds a value.

    Parameters
    ----------
    population, quantity : str
        As bounds name them.
    index : int
        Number of the neuron.

    Returns
    -------
    int or None
        None where no width is declared.
    """
    if (population, quantity) == (MEMBRANE, "mass") and index >= graph.mesh.cells:
        quantity = "ledger"
    declared = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    bits = declared.get((population, quantity))
    return None if bits is None else max(WORD_BITS, bits)
