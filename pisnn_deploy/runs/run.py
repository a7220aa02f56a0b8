"""What a run is asked for and what it gives back, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.recovery import Detection
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.spec import Fault
from pisnn_deploy.graph.integer import FLUX, IntegerGraph
from pisnn_deploy.graph.semantics import first_kept_current
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.runs.verdict import Verdict, exact_sums, verdict_of

Integers = NDArray[np.int64]
Progress = Callable[[int], None]
"""Called with the number of PDE steps done so far."""


@dataclass(frozen=True)
class RunState:
    """A run between two PDE steps, all that is needed to go on with it.

    Attributes
    ----------
    step : int
        PDE steps done.
    mass : int64 array [cells + reservoirs]
        Masses of the cells, then ledgers.
    current, residue : int64 array [faces]
        State of the faces: what their program keeps of its current, 0 where it keeps nothing, and the residue.
    transported : int64 array [faces]
        Packets through each face, summed since the start.
    in_flight : int
        Sum of the absolute packets of the last PDE step.
    packets_sent, quanta_sent : int
        Faces that fired, and the sum of the absolute packets, since the start.
    events : mapping of str to int
        Spikes sent since the start, by population.
    """

    step: int
    mass: Integers
    current: Integers
    residue: Integers
    transported: Integers
    in_flight: int = 0
    packets_sent: int = 0
    quanta_sent: int = 0
    events: Mapping[str, int] = field(default_factory=dict)


def start_of(graph: IntegerGraph, mass: Integers) -> RunState:
    """State before the first PDE step.

    Parameters
    ----------
    graph : IntegerGraph
    mass : int64 array [cells]

    Returns
    -------
    RunState
    """
    residue, transported = np.zeros((2, graph.mesh.faces), np.int64)
    holders = graph.sole_field.holdings(mass)
    current = first_kept_current(graph, holders)
    events = dict.fromkeys(graph.chain, 0)
    return RunState(0, holders, current, residue, transported, events=events)


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
    start : RunState or None
        Go on from there, in a run of as many PDE steps: what comes after is what an undivided run gives.
    until : int or None
        Stop after this PDE step, to go on later.
    faults : tuple of Fault
        What hits the run; `cpu` and `fast` alone can be hit.
    recovers : bool
        Whether a faulty run puts memories right that the audit finds wrong, see `pisnn_deploy.audit.recovery`.
    """

    steps: int
    every: int = 1
    deadline_seconds: float = 3600.0
    everything: bool = False
    start: RunState | None = None
    until: int | None = None
    faults: tuple[Fault, ...] = ()
    recovers: bool = False

    @property
    def first_step(self) -> int:
        """PDE steps done before the run begins."""
        return 0 if self.start is None else self.start.step

    @property
    def last_step(self) -> int:
        """PDE steps done when the run stops."""
        return self.steps if self.until is None else self.until

    def kept_steps(self) -> Integers:
        """PDE steps that the trace keeps, int64, ascending; those that this part of the run does."""
        kept = np.arange(0, self.last_step + 1, self.every, dtype=np.int64)
        if self.last_step == self.steps and kept[-1] != self.steps:
            kept = np.append(kept, np.int64(self.steps))
        return kept if self.start is None else kept[kept > self.start.step]


def require_room(graph: IntegerGraph, options: RunOptions) -> None:
    """Make sure that no sum of packets leaves its 64 bits before the end of a run.

    It is the only sum of a run that no width is declared for, and that is kept in a machine's integers.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end, so that packets have a width.
    options : RunOptions

    Raises
    ------
    UsageError
        The packets of so many PDE steps might not fit.
    """
    bits = graph.bits(FLUX, "packet")
    sums = np.zeros(0, np.int64) if options.start is None else options.start.transported
    most = max(int(sums.max(initial=0)), -int(sums.min(initial=0)))
    room = max(0, LARGEST_SUM - most) >> (bits - 1)
    if options.steps - options.first_step > room:
        raise UsageError(
            f"{options.steps} PDE steps: packets of {bits} bits, summed in 64, may wrap after PDE step "
            f"{options.first_step + room}; run at most so many"
        )


LARGEST_SUM = (1 << 63) - 1


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

    def at(self, rows: Integers | slice) -> Trace:
        """Some rows of the trace.

        Parameters
        ----------
        rows : int64 array or slice
            Numbers of the rows; of a slice the arrays are views.

        Returns
        -------
        Trace
        """
        mass, ledger, transported, in_flight = (
            part[rows] for part in (self.mass, self.ledger, self.transported, self.in_flight)
        )
        flux = None if self.flux is None else self.flux[rows]
        return Trace(self.step[rows], mass, ledger, transported, in_flight, flux)

    def totals(self) -> list[int]:
        """Mass of all cells and ledgers in each row, as Python integers: the sum of many may not fit in 64 bits."""
        sums = zip(exact_sums(self.mass), exact_sums(self.ledger), strict=True)
        return [mass + ledger for mass, ledger in sums]


def empty_trace(mesh: FaceMesh, kept: Integers, *, everything: bool = False) -> Trace:
    """A trace to be filled in: zeros.

    Parameters
    ----------
    mesh : FaceMesh
    kept : int64 array [n]
        PDE steps of its rows.
    everything : bool
        Whether it holds the integers of the flux compartments, too.
    """
    rows = kept.size
    mass, ledger, transported = (np.zeros((rows, n), np.int64) for n in (mesh.cells, mesh.reservoirs, mesh.faces))
    flux = np.zeros((rows, 3, mesh.faces), np.int64) if everything else None
    return Trace(kept, mass, ledger, transported, np.zeros(rows, np.int64), flux)


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
        By kind, see `pisnn_deploy.audit.invariants.KINDS`.
    failure : str
        The sentence of the violation that stopped the run; empty if none.
    packets_sent, quanta_sent : int
    events : dict of str to int
        Nonzero payloads sent, by population.
    wall_seconds : float
        Stepping only, without set-up.
    end : RunState or None
        Where a run stands that was not stopped by a violation.
    detections : tuple of Detection
        Violations that were healed, and the one that stopped the run.
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
    end: RunState | None = None
    detections: tuple[Detection, ...] = ()

    @cached_property
    def verdict(self) -> Verdict:
        """What the figures of the run say."""
        trace = self.trace
        return verdict_of(trace.step, trace.mass, trace.ledger, self.violations, self.failure)

    @property
    def conserved(self) -> bool:
        """Whether the run was completed without any violation, and no kept row has gained or lost a quantum."""
        return self.verdict.conserved
