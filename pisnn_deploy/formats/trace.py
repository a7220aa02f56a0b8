"""First steps of a run by the reference semantics, which the self-test of generated code compares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Results, Semantics, States

TRACED_STEPS = 32
"""Most PDE steps of the self-test."""
_OFFSET, _PRIME = 0xCBF29CE484222325, 0x100000001B3
_MASK = (1 << 64) - 1


def first_steps(graph: IntegerGraph) -> Iterator[tuple[States, Results]]:
    """Run a graph from its initial masses by the reference semantics.

    It ends after `TRACED_STEPS`, or before a value leaves its bounds, or a mass its window.

    Yields
    ------
    states, results : dict
        States of the populations after each PDE step, and results of the programs of all but the holders.
    """
    semantics = Semantics(graph)
    states = semantics.begin()
    for step in range(TRACED_STEPS):
        try:
            states, results = semantics.advance(states, step)
        except OverflowViolation:
            return
        if not all(_is_inside(field, next(iter(states[field.holder].values()))) for field in graph.fields):
            return
        yield states, results


def traced(graph: IntegerGraph) -> tuple[int, int]:
    """Hash the first steps of a graph.

    Returns
    -------
    steps : int
        PDE steps, see `first_steps`.
    hash : int
        FNV-1a over the 64-bit integers of every PDE step: masses and ledgers, then states and packets of channels. Each
        integer is one round, ``hash = (hash ^ integer) * prime`` modulo ``2^64``.
    """
    steps, hash_ = 0, _OFFSET
    for states, results in first_steps(graph):
        for field in graph.fields:
            hash_ = _hashed(hash_, *states[field.holder].values())
        for channels in graph.channels:
            hash_ = _hashed(hash_, *states[channels.population].values())
            packets = results[channels.population].sends[channels.output]
            hash_ = _hashed(hash_, np.broadcast_to(packets, channels.size))
        steps += 1
    return steps, hash_


def _is_inside(field: Field, mass: Integers) -> bool:
    levels = field.levels(mass[: field.cells])
    return bool((levels >= field.window.lower).all() and (levels <= field.window.upper).all())


def _hashed(hash_: int, *arrays: Integers) -> int:
    for array in arrays:
        for number in array.tolist():
            hash_ = ((hash_ ^ (number & _MASK)) * _PRIME) & _MASK
    return hash_
