"""Options and results of a run, common to all backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.recovery import Detection
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.spec import Fault
from pisnn_deploy.graph.columns import Columns, FieldColumns, columns_of
from pisnn_deploy.graph.currents import first_kept_current
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.probes import Probe, Probed, bytes_of_probes, empty_probed
from pisnn_deploy.runs.verdict import Balance, Verdict, balance_of, exact_sums, totals_of

if TYPE_CHECKING:
    from pisnn_deploy.runs.domains.ranks import Ranks

Integers = NDArray[np.int64]
Progress = Callable[[int], None]
"""Called with the number of completed PDE steps."""


@dataclass(frozen=True)
class RunState:
    """State of a run between two PDE steps, sufficient to continue it.

    Attributes
    ----------
    step : int
        Number of completed PDE steps.
    mass : int64 array [holders]
        Masses of the cells, then ledgers, in quanta; field by field.
    current, residue : int64 array [channels]
        Current that the program of a channel keeps (0 if it keeps none) and residue, in flux units.
    transported : int64 array [channels]
        Sum of the packets through each channel since the start, in quanta.
    in_flight : int
        Sum of the absolute packets of the last PDE step.
    packets_sent, quanta_sent : int
        Number of packets, and sum of their absolute values, since the start.
    events : mapping of str to int
        Number of spikes since the start, by population.
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
    """Return the state before the first PDE step.

    Parameters
    ----------
    mass : int64 array [cells]
        Initial masses in quanta, field by field.
    """
    columns = columns_of(graph)
    residue, transported = np.zeros((2, columns.size), np.int64)
    current = first_kept_current(graph, mass)
    events = dict.fromkeys(graph.chain, 0)
    return RunState(0, columns.holdings(mass), current, residue, transported, events=events)


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Attributes
    ----------
    steps : int
        Number of PDE steps of the whole run, at least 0.
    every : int
        Interval of PDE steps in the trace; the first and the last are always included.
    deadline_seconds : float
        Time limit of the `cpu` backend.
    everything : bool
        Whether the trace includes flux compartments.
    start : RunState or None
        State to continue from; the result is the same as in an undivided run.
    until : int or None
        PDE step at which to pause.
    faults : tuple of Fault
        Faults to inject, on `cpu` or `fast`.
    recovers : bool
        Whether violations are repaired, see `pisnn_deploy.audit.recovery`.
    probes : tuple of Probe
        Neurons whose spikes and states the trace includes, on `cpu` or `fast`.
    ranks : Ranks or None
        MPI ranks that divide a run on `fast`.
    """

    steps: int
    every: int = 1
    deadline_seconds: float = 3600.0
    everything: bool = False
    start: RunState | None = None
    until: int | None = None
    faults: tuple[Fault, ...] = ()
    recovers: bool = False
    probes: tuple[Probe, ...] = ()
    ranks: Ranks | None = None

    @property
    def first_step(self) -> int:
        """Number of PDE steps before this part of the run."""
        return 0 if self.start is None else self.start.step

    @property
    def last_step(self) -> int:
        """Number of PDE steps at the end of this part of the run."""
        return self.steps if self.until is None else self.until

    def kept_steps(self) -> Integers:
        """PDE steps of the trace in this part of the run, int64 [n], ascending."""
        steps = np.arange(0, self.last_step + 1, self.every, dtype=np.int64)
        if self.last_step == self.steps and steps[-1] != self.steps:
            steps = np.append(steps, np.int64(self.steps))
        return steps if self.start is None else steps[steps > self.start.step]


def require_room(graph: IntegerGraph, options: RunOptions) -> None:
    """Refuse runs in which sums of packets may exceed 64 bits.

    They are the only machine integers of a run without a declared width.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.

    Raises
    ------
    UsageError
        If there are too many PDE steps.
    """
    bits = max((graph.bits(channels.population, "packet") for channels in graph.channels), default=1)
    sums = np.zeros(0, np.int64) if options.start is None else options.start.transported
    most = max(int(sums.max(initial=0)), -int(sums.min(initial=0)))
    room = max(0, LARGEST_SUM - most) >> (bits - 1)
    if options.steps - options.first_step > room:
        raise UsageError(
            f"{options.steps} PDE steps: sums of {bits}-bit packets may exceed 64 bits after PDE step "
            f"{options.first_step + room}; run at most that many"
        )


LARGEST_SUM = (1 << 63) - 1


class LedgerGain(NamedTuple):
    """What the reservoirs of a ledger have taken since the start, less what they gave.

    Attributes
    ----------
    quanta : int
        In quanta of the field.
    amount : float
        In physical units: value times volume.
    """

    quanta: int
    amount: float


@dataclass(frozen=True)
class Trace:
    """Recorded integers of a run.

    Arrays list the cells, the reservoirs and the channels of all fields, field by field.

    Attributes
    ----------
    step : int64 array [n]
        PDE step of each row.
    mass : int64 array [n, cells]
        Masses after the step, in quanta.
    ledger : int64 array [n, reservoirs]
        Net mass that each reservoir has taken since the start, in quanta.
    transported : int64 array [n, channels]
        Sum of the packets through each channel since the start, in quanta.
    in_flight : int64 array [n]
        Sum of the absolute packets of the step, in quanta.
    columns : Columns
        Positions of fields and channels in the arrays.
    flux : int64 array [n, 3, channels], or None
        Packets of the step (quanta), and currents and residues after firing (flux units); optional.
    probes : tuple of Probed
        Spikes and states of probed neurons.
    """

    step: Integers
    mass: Integers
    ledger: Integers
    transported: Integers
    in_flight: Integers
    columns: Columns
    flux: Integers | None = None
    probes: tuple[Probed, ...] = ()

    def at(self, rows: Integers | slice) -> Trace:
        """Select rows of the trace.

        Parameters
        ----------
        rows : int64 array or slice
            Numbers of the rows; a slice gives views.
        """
        mass, ledger, transported, in_flight = (
            part[rows] for part in (self.mass, self.ledger, self.transported, self.in_flight)
        )
        flux = None if self.flux is None else self.flux[rows]
        probes = tuple(probed.at(rows) for probed in self.probes)
        return Trace(self.step[rows], mass, ledger, transported, in_flight, self.columns, flux, probes)

    def ledgers(self) -> dict[str, dict[str, LedgerGain]]:
        """Return what each ledger has taken up to the last row, by field and name; fields without ledgers are left out.

        Names are sides, groups of the mesh, or sources of a law.
        """
        gains: dict[str, dict[str, LedgerGain]] = {}
        for columns in self.columns.fields if self.step.size else ():
            last = self.ledger[-1:, columns.reservoirs]
            for name, reservoirs in columns.ledgers.items():
                (quanta,) = exact_sums(last[:, reservoirs])
                gains.setdefault(columns.name, {})[name] = LedgerGain(quanta, quanta * columns.field.quantum)
        return gains

    def totals(self, fields: tuple[FieldColumns, ...] = ()) -> list[int]:
        """Total mass of cells and ledgers in each row.

        Parameters
        ----------
        fields : tuple of FieldColumns, optional
            Fields that channels join (default: all).

        Returns
        -------
        list of int
            Python integers, because they may exceed 64 bits.

        Raises
        ------
        TypeError
            Channels do not join all fields, so that quanta of one are not those of another.
        """
        if not fields:
            if len(self.columns.joined) != 1:
                raise TypeError("channels do not join all fields")
            return totals_of([self.mass, self.ledger])
        parts = [(self.mass[:, field.cells], self.ledger[:, field.reservoirs]) for field in fields]
        return totals_of([part for pair in parts for part in pair])

    def balances(self) -> tuple[Balance, ...]:
        """Mass balance of each set of fields that channels join."""
        return tuple(
            balance_of(
                tuple(columns.name for columns in fields),
                self.step,
                [self.mass[:, columns.cells] for columns in fields],
                [self.ledger[:, columns.reservoirs] for columns in fields],
            )
            for fields in self.columns.joined
        )


def trace_of(
    graph: IntegerGraph,
    steps: Integers,
    holdings: Integers,
    transported: Integers,
    in_flight: Integers,
    flux: Integers | None = None,
    probes: tuple[Probed, ...] = (),
) -> Trace:
    """Create a trace from masses and ledgers in one array.

    Parameters
    ----------
    steps : int64 array [n]
        PDE step of each row.
    holdings : int64 array [n, holders]
        Masses and ledgers, field by field.
    transported, in_flight, flux, probes
        See `Trace`.
    """
    columns = columns_of(graph)
    mass, ledger = columns.split(holdings)
    return Trace(steps, mass, ledger, transported, in_flight, columns, flux, probes)


def empty_trace(
    graph: IntegerGraph, steps: Integers, *, everything: bool = False, probes: tuple[Probe, ...] = ()
) -> Trace:
    """Create a trace of zeros.

    Parameters
    ----------
    steps : int64 array [n]
        PDE step of each row.
    everything : bool
        Whether it includes currents and residues of channels.
    probes : tuple of Probe
        Neurons whose spikes and states it includes.
    """
    rows, columns = steps.size, columns_of(graph)
    sizes = columns.cells, columns.reservoirs, columns.size
    mass, ledger, transported = (np.zeros((rows, n), np.int64) for n in sizes)
    flux = np.zeros((rows, 3, columns.size), np.int64) if everything else None
    probed = empty_probed(graph, probes, rows)
    return Trace(steps, mass, ledger, transported, np.zeros(rows, np.int64), columns, flux, probed)


def row_bytes(graph: IntegerGraph, *, everything: bool = False, probes: tuple[Probe, ...] = ()) -> int:
    """Size of a row of a trace in bytes.

    Parameters
    ----------
    everything : bool
        Whether it includes currents and residues of channels.
    probes : tuple of Probe
        Neurons whose spikes and states it includes.
    """
    columns = columns_of(graph)
    return 8 * (columns.holders + (4 if everything else 1) * columns.size) + bytes_of_probes(graph, probes)


@dataclass(frozen=True)
class Run:
    """Result of a finished or stopped run.

    Attributes
    ----------
    steps : int
        Number of completed PDE steps.
    time_steps : int
        Number of completed time steps.
    trace : Trace
        Recorded rows; empty if the run was stopped at its start.
    violations : dict of str to int
        Number of violations by kind, see `pisnn_deploy.audit.invariants.KINDS`.
    failure : str
        Violation that stopped the run, or an empty string.
    events : dict of str to int
        Number of nonzero payloads by population.
    wall_seconds : float
        Time of stepping, without set-up.
    end : RunState or None
        Final state; None if a violation stopped the run.
    detections : tuple of Detection
        Repaired violations, and the one that stopped the run.
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

    def ledgers(self) -> dict[str, dict[str, LedgerGain]]:
        """Return what each ledger has taken up to the last row, see `Trace.ledgers`."""
        return self.trace.ledgers()

    @cached_property
    def verdict(self) -> Verdict:
        """Verdict computed from the run's figures."""
        return Verdict(self.trace.balances(), self.violations, self.failure)

    @property
    def conserved(self) -> bool:
        """Whether the run had no violations, and every row has the same total mass of each set of fields."""
        return self.verdict.conserved
