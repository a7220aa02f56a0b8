"""Rows on other numbers: renumbered neurons, grids turned and mirrored, units scaled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from pisnn_deploy.graph.contract import is_of_one_field
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.stencil import Stencil
from pisnn_deploy.invariance.meshes import Move, moves
from pisnn_deploy.invariance.relabelling import Relabelling
from pisnn_deploy.invariance.reversal import irreversible
from pisnn_deploy.invariance.rows import DIFFERS, Row, Subject, inapplicable, row
from pisnn_deploy.mesh import Mesh
from pisnn_deploy.runs.registry import run_graph

POWERS = (-9, 12)
"""Exponents of the powers of two by which units are scaled."""


def renumbered_rows(subject: Subject) -> Iterator[Row]:
    """Compare runs with drawn numbers of all neurons, and with channels in drawn directions."""
    graph = subject.graph
    straight = drawn_relabelling(graph, reverses=False)
    yield _relabelled_row(subject, "renumbered cells, faces and neurons", straight, straight.relabelled())
    problem = next(filter(None, (irreversible(graph, channels) for channels in graph.channels)), "")
    if all(irreversible(graph, channels) for channels in graph.channels):
        yield inapplicable("channels in the other direction", problem)
        return
    reversed_too = drawn_relabelling(graph, reverses=True)
    yield _relabelled_row(subject, "channels in the other direction", reversed_too, reversed_too.relabelled())


def drawn_relabelling(graph: IntegerGraph, *, reverses: bool) -> Relabelling:
    """Draw numbers for all neurons; the same for the same graph.

    Parameters
    ----------
    reverses : bool
        Whether directions of the channels that can be reversed are drawn, too.
    """
    generator = np.random.default_rng(1)
    number = {population.name: generator.permutation(population.size) for population in graph.populations}
    for field in graph.fields:
        reservoirs = field.cells + generator.permutation(field.reservoirs.size)
        number[field.holder] = np.concatenate([generator.permutation(field.cells), reservoirs])
    sign = {}
    for channels in graph.channels:
        is_reversed = reverses and not irreversible(graph, channels)
        sign[channels.population] = 1 - 2 * generator.integers(0, 1 + is_reversed, channels.size)
    return Relabelling(graph, number, sign)


def moved_rows(subject: Subject) -> Iterator[Row]:
    """Compare runs on the grid turned and mirrored."""
    graph = subject.graph
    if graph.mesh.grid is None:
        yield inapplicable("mesh turned or mirrored", "the cells form no grid")
        return
    for move in moves(len(graph.grid.shape)):
        problem = _immovable(graph, move)
        if problem:
            yield inapplicable(move.text, problem)
            continue
        mesh, relabelling = move.mesh(graph.grid), moved_relabelling(graph, move)
        stencils = {
            synapse.name: moved
            for synapse in graph.synapses
            if isinstance(synapse.connections, Stencil) and is_of_one_field(graph)
            if synapse.connections.outputs_per_face == 1
            if (moved := move.stencil(synapse.connections, mesh)) is not None
        }
        yield _relabelled_row(subject, move.text, relabelling, relabelling.relabelled(mesh, stencils))


def _immovable(graph: IntegerGraph, move: Move) -> str:
    """Why a graph cannot be moved, or an empty string."""
    if not is_of_one_field(graph) or not any(move.backwards):
        return ""
    return irreversible(graph, graph.channels[0])


def moved_relabelling(graph: IntegerGraph, move: Move) -> Relabelling:
    """Numbers on the moved grid; channels between the cells of a reversed axis are reversed.

    Channels of a graph that is not of one field keep their numbers and directions.
    """
    old, new = graph.grid, move.mesh(graph.grid)
    cells, faces = move.cells(old), move.faces(old)
    number = {population.name: np.arange(population.size, dtype=np.int64) for population in graph.populations}
    sign = {channels.population: np.ones(channels.size, np.int64) for channels in graph.channels}
    for field in graph.fields:
        reservoirs = _moved_reservoirs(old, new, faces)
        if reservoirs.size != field.reservoirs.size:
            reservoirs = np.arange(field.reservoirs.size, dtype=np.int64)
        number[field.holder] = np.concatenate([cells, field.cells + reservoirs])
    if is_of_one_field(graph):
        (channels,) = graph.channels
        number[channels.population] = faces
        sign[channels.population] = np.where(np.array(move.backwards)[old.axis[faces]], -1, 1)
    return Relabelling(graph, number, sign)


def _moved_reservoirs(old: Mesh, new: Mesh, faces: Integers) -> Integers:
    """Number in the original of each reservoir of the moved mesh, by the faces that they are behind."""
    behind, behind_old = np.maximum(new.source, new.target), np.maximum(old.source, old.target)[faces]
    is_outer = behind >= new.cells
    reservoirs = np.zeros(new.reservoirs, np.int64)
    reservoirs[behind[is_outer] - new.cells] = behind_old[is_outer] - old.cells
    return reservoirs


def _relabelled_row(subject: Subject, text: str, relabelling: Relabelling, graph: IntegerGraph) -> Row:
    return row(subject, text, partial(run_graph, "fast", graph, graph.initial, subject.options), relabelling.restored)


def scaled_rows(subject: Subject) -> Iterator[Row]:
    """Compare runs with units of the values scaled, started from values and read as values."""
    graph = subject.graph
    values, held = graph.values(subject.mass), graph.reservoir_values()
    for power in POWERS:
        text, scale = f"units of values times 2^{power}", 2.0**power
        scaled = replace(
            graph,
            fields=tuple(
                replace(field, quantum=field.quantum / scale, held=field.held / scale) for field in graph.fields
            ),
        )
        mass = scaled.mass(values / scale)
        wrong = np.flatnonzero(mass != subject.mass)
        if wrong.size:
            cell = int(wrong[0])
            detail = f"cell {cell} starts with {mass[cell]} quanta, not {subject.mass[cell]}"
            yield Row(text, "quanta at the start", DIFFERS, detail)
            continue
        last = subject.reference.mass[-1]
        shown = (scaled.values(last) * scale, graph.values(last)), (scaled.reservoir_values() * scale, held)
        if not all(np.array_equal(*pair) for pair in shown):
            yield Row(text, "values at the end", DIFFERS, "values are not those of the artifact in the other unit")
            continue
        yield row(subject, text, partial(run_graph, "fast", scaled, mass, subject.options))
