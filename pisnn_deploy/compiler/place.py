"""Pass `place`: populations onto cores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pisnn_deploy.compiler.facts import PLACED, PROVED, Fact
from pisnn_deploy.errors import CompileError
from pisnn_deploy.graph import IntegerGraph, Placement


@dataclass(frozen=True)
class Place:
    """Cut the mesh into blocks of consecutive cells, one block a core.

    1. A face and its hidden neurons live on the core of the cell on their lower side, so most packets stay local.
    2. The fewest cores are used for which no core exceeds `neurons_per_core`.
    3. More cores than the target has are not refused here: the resource check reports it.

    Parameters
    ----------
    neurons_per_core : int or None
        None puts everything on one core.
    cores_per_chip : int or None
        None puts all cores on one chip.
    """

    name: ClassVar[str] = "place"
    requires: ClassVar[tuple[Fact, ...]] = (PROVED,)
    ensures: ClassVar[tuple[Fact, ...]] = (PLACED,)

    neurons_per_core: int | None = None
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
        cores = -(-graph.neurons // limit)
        while True:
            core = np.arange(mesh.cells, dtype=np.int64) * cores // mesh.cells
            if int(np.bincount(core, weights=weight).max()) <= limit:
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
