"""Check that the channels of a law compute alike away from sides: when a state moves by a cell, so do their currents.

Random states cannot prove it for all states, but a neuron with another input, weight or constant than its neighbours
answers differently to them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.laws.expression import free_names
from pisnn_deploy.verify.consistency import Step, away_from_sides
from pisnn_deploy.verify.laws import law_of

Whole = NDArray[np.int64]


def depends_on_place(graph: IntegerGraph) -> bool:
    """Whether a term of the law names a coordinate or a known function of place."""
    law = law_of(graph).parsed()
    terms = [*law.diffusion.values(), *law.level.values(), *(term for axis in law.flux for term in axis.values())]
    terms += [part.rate for part in law.sources]
    terms += [part.rate for part in law.exchange]
    return any(free_names(term) & {"x", "y", "z", *law.given} for term in terms)


def uniform(graph: IntegerGraph) -> Iterator[str]:
    """Yield the first channel of each population that does not compute what its neighbours do.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph of a law, whose values fit 64 bits.
    """
    if graph.mesh.grid is None or depends_on_place(graph):
        return
    shape, step = graph.grid.shape, Step(graph)
    for state in _states(graph):
        moved = [state] + [
            {name: np.roll(masses.reshape(shape), 1, axis).reshape(-1) for name, masses in state.items()}
            for axis in range(len(shape))
        ]
        currents = step.currents({name: np.stack([each[name] for each in moved], axis=1) for name in state})
        for axis in range(len(shape)):
            for channels in graph.channels:
                name, size = channels.population, channels.source.size
                first, second = _moved_pairs(graph, channels, axis)
                both = np.broadcast_to(currents[name], (size, len(moved)))
                wrong = np.flatnonzero(both[first, 0] != both[second, 1 + axis])
                if wrong.size:
                    yield f"{name} [{int(first[wrong[0]])}] and [{int(second[wrong[0]])}] do not compute alike"


def _states(graph: IntegerGraph) -> Iterator[dict[str, Whole]]:
    """States within the operating windows: one of any masses, one that rises along every axis, one that falls."""
    random, shape = np.random.default_rng(_seed(graph)), graph.grid.shape
    yield {f.holder: random.integers(f.window.lower, f.window.upper + 1, f.cells) for f in graph.fields}
    for rises in (True, False):
        state = {}
        for field in graph.fields:
            part = np.zeros(shape)
            for axis, count in enumerate(shape):
                along = np.cumsum(random.uniform(0.1, 1.0, count))
                along = (along if rises else along[::-1]) / along.max() / len(shape)
                part += along.reshape([-1 if other == axis else 1 for other in range(len(shape))])
            extent = field.window.upper - field.window.lower
            state[field.holder] = field.window.lower + np.asarray(np.rint(part * extent), np.int64).reshape(-1)
        yield state


def _seed(graph: IntegerGraph) -> int:
    """A number that depends on all synapses and parameters, so that no change knows the states it is tested with."""
    digest = hashlib.sha256()
    for synapse in graph.synapses:
        rows = synapse.mantissa_matrix()
        digest.update(rows.columns.tobytes() + rows.values.tobytes())
    for population in graph.populations:
        for values in population.parameters.values():
            digest.update(values.tobytes())
    return int.from_bytes(digest.digest()[:8], "big")


def _moved_pairs(graph: IntegerGraph, channels: Channels, axis: int) -> tuple[Whole, Whole]:
    """Channels away from sides, and for each the one a cell further along an axis."""
    cells, shape = graph.mesh.cells, graph.grid.shape
    numbers = away_from_sides(graph, channels)
    further = np.append(np.roll(np.arange(cells).reshape(shape), -1, axis).reshape(-1), cells)
    ends = [np.minimum(holders[numbers], cells) for holders in (channels.source, channels.target)]
    keys, moved = ends[0] * (cells + 1) + ends[1], further[ends[0]] * (cells + 1) + further[ends[1]]
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], moved), max(0, keys.size - 1))
    if not keys.size or np.unique(keys).size < keys.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    known = keys[order][place] == moved
    return numbers[known], numbers[order][place[known]]
