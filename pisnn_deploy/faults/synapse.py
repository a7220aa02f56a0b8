"""A stored synapse population with faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.faults.memory import flipped_mantissa
from pisnn_deploy.faults.spec import PACKET_KINDS, Fault
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.lines import Line

Words = NDArray[np.int32]
_NOBODY: Integers = np.zeros(0, np.int64)


class _Entries(NamedTuple):
    """Target neuron, source neuron and mantissa of each connection."""

    rows: Integers
    columns: Integers
    values: Integers


class FaultySynapse:
    """Synapses with faults, in 32 bits that wrap like Lava's.

    Faults of weights are permanent. Faults of packets act on the copies that the route sends to holders.

    Parameters
    ----------
    faults : sequence of Fault
        Faults of the run, which name the populations of packets; those of other synapses are ignored.
    graph : IntegerGraph
        Graph of the synapses.
    period : int
        Number of time steps per PDE step.

    Attributes
    ----------
    line, inputs : int
        Number of its line of binary spikes, and number of source neurons.
    """

    def __init__(self, line: Line, faults: Sequence[Fault], graph: IntegerGraph, period: int) -> None:
        synapse = line.synapse
        self.line, self.inputs = line.number, synapse.inputs
        self._shape = synapse.outputs, synapse.inputs
        self._exponent = synapse.exponent
        self._phase = graph.depths[synapse.source] % period
        self._ends = {"source": _NOBODY, "target": _NOBODY}
        for channels in graph.channels:
            if (channels.population, channels.output) == (synapse.source, synapse.output):
                for end, (holder, neurons, _) in zip(self._ends, channels.ends, strict=True):
                    self._ends[end] = neurons if holder == synapse.target else _NOBODY
        counts = np.diff(synapse.row_starts)
        rows = np.repeat(np.arange(synapse.outputs, dtype=np.int64), counts)
        self._entries = _Entries(rows, synapse.columns, synapse.mantissas.copy())
        weights = [fault for fault in faults if fault.synapse == synapse.name]
        self._pending = sorted(weights, key=lambda fault: (fault.step, fault.phase))
        carries = any((c.population, c.output) == (synapse.source, synapse.output) for c in graph.channels)
        of_packets = [fault for fault in faults if fault.kind in PACKET_KINDS and fault.of == synapse.source]
        self._packets = of_packets if carries else []
        self._has_faults = bool(weights or self._packets)
        self._late: dict[int, Words] = {}
        self._matrix = self._stored(self._entries)

    @property
    def is_hit(self) -> bool:
        """Whether any fault of the run hits this synapse."""
        return self._has_faults

    def product(self, spikes: Integers, step: int, phase: int) -> Words:
        """Return the sums that spikes of a time step add to the target accumulators.

        Parameters
        ----------
        spikes : int array [inputs]
            Payloads, or 0 and 1 on a line of binary spikes.
        step, phase : int
            PDE step and its time step; calls must be in order.

        Returns
        -------
        int32 array [outputs]
            Sums, wrapped to 32 bits.
        """
        while self._pending and (self._pending[0].step, self._pending[0].phase) <= (step, phase):
            self._hit(self._pending.pop(0))
            self._matrix = self._stored(self._entries)
        firing = phase == self._phase
        packets = [fault for fault in self._packets if firing and fault.step == step]
        if not packets:
            arriving = self._sum(self._matrix, spikes)
        else:
            arriving = self._sum(self._stored(self._on_their_way(packets)), spikes)
            for fault in packets:
                if fault.kind == "delay":
                    copies = self._stored(self._copies(fault))
                    due = step + fault.delay
                    self._late[due] = self._late.get(due, np.int32(0)) + self._sum(copies, spikes)
        return arriving + self._late.pop(step) if firing and step in self._late else arriving

    def _hit(self, fault: Fault) -> None:
        values = self._entries.values
        if fault.kind == "flip":
            values[fault.index] = flipped_mantissa(int(values[fault.index]), fault.bit)
        else:
            # Mantissas are even, so the fault clears the bit above the lowest, as mixed mode clears the lowest.
            values[:] = (values >> 2) << 2

    def _on_their_way(self, faults: Sequence[Fault]) -> _Entries:
        """Connections for the packets of one PDE step."""
        rows, columns, values = (array.copy() for array in self._entries)
        for fault in faults:
            copies = self._of(fault)
            if fault.kind == "misroute":
                rows[copies] = fault.other
            else:
                values[copies] *= 2 if fault.kind == "duplicate" else 0
        return _Entries(rows, columns, values)

    def _copies(self, fault: Fault) -> _Entries:
        rows, columns, values = self._entries
        return _Entries(rows, columns, np.where(self._of(fault), values, 0))

    def _of(self, fault: Fault) -> NDArray[np.bool_]:
        """Mask of the connections that carry the copies hit by a fault, bool [connections]."""
        rows, columns, _ = self._entries
        hit = self._ends.values() if fault.end == "both" else (self._ends[fault.end],)
        holders = [int(neurons[fault.index]) for neurons in hit if neurons.size]
        connections: NDArray[np.bool_] = (columns == fault.index) & np.isin(rows, holders)
        return connections

    def _stored(self, entries: _Entries) -> Rows:
        rows, columns, values = entries
        return from_triplets(rows, columns, values, self._shape)

    def _sum(self, matrix: Rows, spikes: Integers) -> Words:
        accumulated: Words = (matrix @ spikes.astype(np.int32)).astype(np.int32)  # the exact sum wraps like Lava's
        if self._exponent > 0:
            return np.left_shift(accumulated, np.int32(self._exponent))
        return np.right_shift(accumulated, np.int32(-self._exponent))
