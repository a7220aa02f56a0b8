"""Pass `bound`: declare a bit width for every state, payload and accumulator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pisnn_deploy.arithmetic import signed_width
from pisnn_deploy.compiler.facts import BOUNDED, SCHEDULED, Fact
from pisnn_deploy.compiler.intervals import Interval, network_intervals, shown
from pisnn_deploy.errors import CompileError
from pisnn_deploy.graph import Bound, IntegerGraph, Synapse
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.mesh import window_cells

LEDGER_BITS = 48
LARGEST_LEDGER = (1 << (LEDGER_BITS - 1)) - 1


@dataclass(frozen=True)
class Bounds:
    """Bound every quantity by interval analysis over the operating window.

    1. States come from the intervals of the flux network; the current also from the geometric series of its leak.
    2. The payload of a population is its value (dense) or a difference of two values (delta); a membrane's change is
       also at most the packets of its faces.
    3. The accumulator of a synapse holds ``sum(|mantissa| * |payload|)`` at most, also for each partial sum.
    4. A ledger gets 48 bits, two words of state; the proof says how many PDE steps that lasts.
    5. Anything wider than the target offers is refused, with the quantity's name.

    Parameters
    ----------
    state_bits, payload_bits, accumulator_bits : int
        Signed widths of the target.
    """

    name: ClassVar[str] = "bound"
    requires: ClassVar[tuple[Fact, ...]] = (SCHEDULED,)
    ensures: ClassVar[tuple[Fact, ...]] = (BOUNDED,)

    state_bits: int
    payload_bits: int
    accumulator_bits: int

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Bound `graph`.

        Raises
        ------
        CompileError
            A quantity is wider than the target's.
        """
        window = graph.window
        spec, along = graph.spec, 2 * graph.spec.half_width
        seen = window_cells(graph.mesh, spec.half_width, spec.transverse, graph.membrane.reservoirs, spec.wall)
        found = network_intervals(
            graph.operator, shown(seen, window, along), graph.flux.threshold_exponent, graph.flux.leak, along
        )
        mass = (window.lower, window.upper)
        faces_per_cell = 2 * len(graph.mesh.shape)
        packet = max(abs(found.packet[0]), abs(found.packet[1]))
        change = min(window.upper - window.lower, faces_per_cell * packet)
        payloads: dict[str, Interval] = {
            MEMBRANE: (-change, change) if graph.coding == "delta" else mass,
            FLUX: found.packet,
        }
        bounds = [
            self._bound(MEMBRANE, "mass", mass, self.state_bits),
            self._bound(MEMBRANE, "payload", payloads[MEMBRANE], self.payload_bits),
        ]
        if graph.mesh.reservoirs:
            bounds.append(Bound(MEMBRANE, "ledger", -LARGEST_LEDGER, LARGEST_LEDGER, LEDGER_BITS))
        for population, drive, activation in zip(graph.hidden, found.drives, found.activations, strict=False):
            spread = activation[1] - activation[0]
            payloads[population.name] = (-spread, spread) if graph.coding == "delta" else activation
            bounds += [
                self._bound(population.name, "drive", drive, self.state_bits),
                self._bound(population.name, "activation", activation, self.state_bits),
                self._bound(population.name, "payload", payloads[population.name], self.payload_bits),
            ]
        bounds += [
            self._bound(FLUX, "drive", found.drives[-1], self.state_bits),
            self._bound(FLUX, "current", found.current, self.state_bits),
            self._bound(FLUX, "potential", found.potential, self.state_bits),
            self._bound(FLUX, "residue", found.residue, self.state_bits),
            self._bound(FLUX, "packet", found.packet, self.payload_bits),
        ]
        bounds += [self._accumulator(synapse, payloads[synapse.source]) for synapse in graph.synapses]
        return replace(graph, bounds=tuple(bounds))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence on what the pass made."""
        widest = max(graph.bounds, key=lambda bound: bound.bits)
        states = max(
            (b for b in graph.bounds if b.quantity not in ("accumulator", "ledger")), key=lambda bound: bound.bits
        )
        return (
            f"{len(graph.bounds)} quantities; widest {widest.population} {widest.quantity} with {widest.bits} bits, "
            f"widest state or payload {states.population} {states.quantity} with {states.bits}"
        )

    def _accumulator(self, synapse: Synapse, payload: Interval) -> Bound:
        sums = np.zeros(synapse.outputs, np.int64)
        filled = np.flatnonzero(np.diff(synapse.row_starts))
        if filled.size:
            sums[filled] = np.add.reduceat(np.abs(synapse.mantissas), synapse.row_starts[filled])
        reach = int(sums.max(initial=0)) * max(abs(payload[0]), abs(payload[1]))
        return self._bound(synapse.name, "accumulator", (-reach, reach), self.accumulator_bits)

    def _bound(self, population: str, quantity: str, interval: Interval, limit: int) -> Bound:
        low, high = interval
        bits = signed_width(low, high)
        if bits > limit:
            raise CompileError(
                self.name,
                f"{population} {quantity} may reach {low if abs(low) > abs(high) else high}, which takes {bits} signed "
                f"bits; the target has {limit}",
                remedy="narrow the operating range, or choose another target",
            )
        return Bound(population, quantity, low, high, bits)
