"""Pass `place`: populations onto cores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pisnn_deploy.compiler.facts import PLACED, PROVED, Fact
from pisnn_deploy.errors import CompileError
from pisnn_deploy.graph import IntegerGraph, Placement
from pisnn_deploy.graph.integer import MEMBRANE, Integers


@dataclass(frozen=True)
class Place:
    """Cut the mesh into blocks of consecutive cells, one block a core.

    1. A face and its hidden neurons live on the core of the cell on their lower side, so most packets stay local.
    2. The fewest cores are used for which no core exceeds `neurons_per_core` and `synapses_per_core`.
    3. More cores than the target has are not refused here: the resource check reports it.

    Parameters
    ----------
    neurons_per_core : int or None
        None puts everything on one core.
    synapses_per_core : int or None
        Stored connections into the neurons of a core; None sets no limit. The resource check counts exactly.
    cores_per_chip : int or None
        None puts all cores on one chip.
    """

    name: ClassVar[str] = "place"
    requires: ClassVar[tuple[Fact, ...]] = (PROVED,)
    ensures: ClassVar[tuple[Fact, ...]] = (PLACED,)

    neurons_per_core: int | None = None
    synapses_per_core: int | None = None
    cores_per_chip: int | None = None

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Place `graph`.

        Raises
        ------
        CompileError
            A single cell with its faces is too large for a core.
        """
        mesh = graph.mesh
        limit = self.neurons_per_core or graph.neurons
        neurons_per_face = sum(population.size for population in graph.hidden) // mesh.faces + 1
        owner = np.where(mesh.source < mesh.cells, mesh.source, mesh.target)
        beside = owner[np.maximum(mesh.source, mesh.target) >= mesh.cells]  # the cell that each reservoir serves
        weight = 1 + neurons_per_face * np.bincount(owner, minlength=mesh.cells)
        weight += np.bincount(beside, minlength=mesh.cells)
        if int(weight.max()) > limit:
            raise CompileError(
                self.name,
                f"a cell and its faces take {int(weight.max())} neurons, a core holds {limit}",
                remedy="use a smaller flux network or another target",
            )
        entries = _entries(graph, owner, beside)
        most = self.synapses_per_core or int(entries.sum())
        if int(entries.max()) > most:
            raise CompileError(
                self.name,
                f"a cell and its faces take {int(entries.max())} synapses, a core holds {most}",
                remedy="use a smaller flux network or another target",
            )
        cores = max(-(-graph.neurons // limit), -(-int(entries.sum()) // most))
        while True:
            core = np.arange(mesh.cells, dtype=np.int64) * cores // mesh.cells
            neurons, synapses = (np.bincount(core, weights=load) for load in (weight, entries))
            if int(neurons.max()) <= limit and int(synapses.max()) <= most:
                break
            cores += 1
        faces = core[owner]
        placed = {name: np.repeat(faces, graph.size(name) // mesh.faces) for name in graph.chain[1:]}
        placed[graph.chain[0]] = np.concatenate([core, core[beside]])
        chips = -(-cores // (self.cores_per_chip or cores))
        return replace(graph, placement=Placement(placed, cores, chips))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence on what the pass made."""
        placement = graph.placement
        return "nothing" if placement is None else f"{placement.cores} cores on {placement.chips} chips"


def _entries(graph: IntegerGraph, owner: Integers, beside: Integers) -> Integers:
    """Stored connections into the neurons of each cell, its faces and its reservoirs, int64 [cells]."""
    mesh = graph.mesh
    entries = np.zeros(mesh.cells, np.int64)
    holders = np.concatenate([np.arange(mesh.cells), beside])
    for synapse in graph.synapses:
        rows = np.diff(synapse.row_starts)
        homes = holders if synapse.target == MEMBRANE else np.repeat(owner, rows.size // mesh.faces)
        np.add.at(entries, homes, rows)
    return entries
