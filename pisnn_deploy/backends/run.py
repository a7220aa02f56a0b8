"""What a run is asked for and what it gives back, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.integer import IntegerGraph

Integers = NDArray[np.int64]
Progress = Callable[[int], None]
"""Called with the number of PDE steps done so far."""


@dataclass(frozen=True)
class Snapshot:
    """Where a run stands after a PDE step: all that is needed to go on.

    Attributes
    ----------
    step : int
        PDE steps done.
    mass : int64 array [holders]
        Masses and ledgers.
    packets, current, residue : int64 array [faces]
        What fired last, and the state of the flux compartments.
    transported : int64 array [faces]
        Packets through each face, summed since the start.
    packets_sent, quanta_sent : int
    events : dict of str to int
        Spikes sent, by population.
    """

    step: int
    mass: Integers
    packets: Integers
    current: Integers
    residue: Integers
    transported: Integers
    packets_sent: int
    quanta_sent: int
    events: dict[str, int]


def first_snapshot(graph: IntegerGraph, mass: Integers) -> Snapshot:
    """Where a run stands before its first PDE step.

    Parameters
    ----------
    graph : IntegerGraph
    mass : int64 array [cells]

    Returns
    -------
    Snapshot
    """
    nothing = np.zeros(graph.mesh.faces, np.int64)
    holdings = graph.membrane.holdings(mass)
    return Snapshot(0, holdings, nothing, nothing, nothing, nothing, 0, 0, dict.fromkeys(graph.chain, 0))


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked for.

    Attributes
    ----------
    steps : int
        PDE steps from the very start of the run, at least 0.
    every : int
        Keep each ``every``-th PDE step in the trace; the first and the last are always kept.
    deadline_seconds : float
        A run of the `cpu` backend that takes longer is ended as a deadlock.
    everything : bool
        Keep the integers of the flux compartments in the trace too.
    start : Snapshot or None
        Go on from there: what comes after is what an undivided run gives.
    """

    steps: int
    every: int = 1
    deadline_seconds: float = 3600.0
    everything: bool = False
    start: Snapshot | None = None

    @property
    def first_step(self) -> int:
        """PDE steps done before the run begins."""
        return 0 if self.start is None else self.start.step

    def kept_steps(self) -> Integers:
        """PDE steps that the trace keeps, int64, ascending; of a run that goes on, those that are still to come."""
        kept = np.arange(0, self.steps + 1, self.every, dtype=np.int64)
        kept = kept if kept[-1] == self.steps else np.append(kept, np.int64(self.steps))
        return kept if self.start is None else kept[kept > self.start.step]


@dataclass(frozen=True)
class Trace:
    """Integers of the kept PDE steps.

    Attributes
    ----------
    step : int64 array [n]
    mass : int64 array [n, cells]
        Masses in quanta after each kept step.
    ledger : int64 array [n, reservoirs]
        What each reservoir has taken, less what it gave, since the start.
    transported : int64 array [n, faces]
        Packets through each face, summed since the start.
    in_flight : int64 array [n]
        Sum of the absolute packets that arrived in that step.
    flux : int64 array [n, 3, faces], or None
        Packets that arrived in that step, and the currents and residues after they fired; only if asked for.
    """

    step: Integers
    mass: Integers
    ledger: Integers
    transported: Integers
    in_flight: Integers
    flux: Integers | None = None

    def totals(self) -> list[int]:
        """Mass of all cells and ledgers in each row, as Python integers: the sum of many may not fit in 64 bits."""
        rows = zip(self.mass, self.ledger, strict=True)
        return [sum(mass.tolist()) + sum(ledger.tolist()) for mass, ledger in rows]


@dataclass(frozen=True)
class Run:
    """A finished or stopped run.

    Attributes
    ----------
    backend : str
    steps : int
        PDE steps that were completed.
    time_steps : int
        Time steps that were completed.
    trace : Trace
        Rows up to the last kept step; none if the run was stopped at its start.
    violations : dict of str to int
        By kind, see `pisnn_deploy.invariants.KINDS`.
    failure : str
        The sentence of the violation that stopped the run; empty if none.
    packets_sent, quanta_sent : int
    events : dict of str to int
        Nonzero payloads sent, by population.
    wall_seconds : float
        Stepping only, without set-up.
    end : Snapshot or None
        Where a run that was completed stands.
    """

    backend: str
    steps: int
    time_steps: int
    trace: Trace
    violations: dict[str, int]
    failure: str
    packets_sent: int
    quanta_sent: int
    events: dict[str, int]
    wall_seconds: float
    end: Snapshot | None = None

    @property
    def conserved(self) -> bool:
        """Whether the run was completed without any violation."""
        return not self.failure and not any(self.violations.values())
