"""Hash of a run by the reference semantics, which the self-test of generated code compares."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Semantics

TRACED_STEPS = 32
"""Most PDE steps of the self-test."""
_OFFSET, _PRIME = 0xCBF29CE484222325, 0x100000001B3
_MASK = (1 << 64) - 1


def traced(graph: IntegerGraph) -> tuple[int, int]:
    """Run a graph from its initial masses by the reference semantics.

    Returns
    -------
    steps : int
        PDE steps; fewer than `TRACED_STEPS` if a value leaves its bounds, or a mass its window, in the next one.
    hash : int
        FNV-1a over the 64-bit integers of every PDE step: masses and ledgers, then states and packets of channels. Each
        integer is one round, ``hash = (hash ^ integer) * prime`` modulo ``2^64``.
    """
    semantics = Semantics(graph)
    states, hash_ = semantics.begin(), _OFFSET
    for step in range(TRACED_STEPS):
        try:
            states, results = semantics.advance(states, step)
        except OverflowViolation:
            return step, hash_
        if not all(_is_inside(field, next(iter(states[field.holder].values()))) for field in graph.fields):
            return step, hash_
        for field in graph.fields:
            hash_ = _hashed(hash_, *states[field.holder].values())
        for channels in graph.channels:
            hash_ = _hashed(hash_, *states[channels.population].values())
            packets = results[channels.population].sends[channels.output]
            hash_ = _hashed(hash_, np.broadcast_to(packets, channels.size))
    return TRACED_STEPS, hash_


def _is_inside(field: Field, mass: Integers) -> bool:
    levels = field.levels(mass[: field.cells])
    return bool((levels >= field.window.lower).all() and (levels <= field.window.upper).all())


def _hashed(hash_: int, *arrays: Integers) -> int:
    for array in arrays:
        for number in array.tolist():
            hash_ = ((hash_ ^ (number & _MASK)) * _PRIME) & _MASK
    return hash_
