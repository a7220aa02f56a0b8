"""Pass `bound`: declare a bit width for every state, payload and accumulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.analysis.intervals import (
    Interval,
    NetworkIntervals,
    face_rows,
    largest_change,
    medium_intervals,
    network_intervals,
    reservoirs_extend,
)
from pisnn_deploy.compiler.facts import BOUNDED, SCHEDULED, Fact
from pisnn_deploy.compiler.passes.limit import most_faces
from pisnn_deploy.core.arithmetic import MEMORYLESS, signed_width
from pisnn_deploy.core.errors import DoesNotFit
from pisnn_deploy.graph import Bound, IntegerGraph, Synapse
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.mesh.window import QUADRATIC

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

LEDGER_BITS = 48
LARGEST_LEDGER = (1 << (LEDGER_BITS - 1)) - 1


@dataclass(frozen=True)
class Bounds:
    """Bound every quantity by interval analysis over the operating window.

    1. States come from the intervals of the flux network; the current also from the geometric series of its leak.
    2. The payload of a population is its value (dense) or a difference of two values (delta). A membrane's change is
       at most the packets of its faces, and for a linear memoryless network what ``D W`` can give it, ``theta`` a face
       more for what residues hold back.
    3. The accumulator of a synapse holds any partial sum of the products of its mantissas and payloads. That between
       stock cells and faces holds the product of the neuron that rounds as well.
    4. With a limiter a flux compartment holds the masses at its ends, and the changes of a membrane are bounded by its
       packets alone: what some faces withhold no longer cancels what others carry.
    5. A ledger gets 48 bits, two words of state; the proof says how many PDE steps that lasts.
    6. Anything wider than the target offers is refused, with the quantity's name.

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

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Bounds | None:
        """Always."""
        widths = options.widths
        return cls(widths.state, widths.payload, widths.accumulator)

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Bound `graph`.

        Raises
        ------
        CompileError
            A quantity is wider than the target's.
        """
        window = graph.window
        if graph.medium is not None:
            found = medium_intervals(graph, graph.medium)
            thinnest = int(graph.medium.inverse_volume.min())
            mass: Interval = (-(-window.lower // thinnest) - 1, window.upper // thinnest + 1)
            mass = (min(mass[0], 0), max(mass[1], 0))
            if int(graph.medium.inverse_volume.max()) == 1:
                mass = (window.lower, window.upper)
            packet = max(-found.packet[0], found.packet[1])
            spare = int(int(graph.medium.inverse_volume.max()) > 1)
            change = min((window.upper - window.lower) // thinnest + spare, most_faces(graph) * packet)
        else:
            rows = face_rows(graph.grid, graph.spec, graph.operator[0], graph.membrane.reservoirs)
            flux = graph.flux
            found = network_intervals(rows, graph.operator, window, flux.threshold_exponent, flux.leak, graph.stock)
            mass = (window.lower, window.upper)
            change = _largest_change(graph, found) if graph.coding == "delta" else 0
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
        if graph.flux.share_shift is not None:
            bounds += [
                self._bound(FLUX, "source-mass", mass, self.state_bits),
                self._bound(FLUX, "target-mass", mass, self.state_bits),
                self._bound(FLUX, "share", (0, max(mass[1], 0) >> graph.flux.share_shift), self.state_bits),
            ]
        for synapse in graph.synapses:
            bounds += self._synapse(synapse, payloads[synapse.source], _rounding(graph, synapse))
        return replace(graph, bounds=tuple(bounds))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence on what the pass made."""
        widest = max(graph.bounds, key=lambda bound: bound.bits)
        states = max((b for b in graph.bounds if b.is_state_or_payload), key=lambda bound: bound.bits)
        return (
            f"{len(graph.bounds)} quantities; widest {widest.population} {widest.quantity} with {widest.bits} bits, "
            f"widest state or payload {states.population} {states.quantity} with {states.bits}"
        )

    def _synapse(self, synapse: Synapse, payload: Interval, rounding: int) -> Iterator[Bound]:
        starts, mantissas = synapse.connections.distinct
        low, high = payload
        sums = []
        for part in (np.maximum(mantissas, 0), np.minimum(mantissas, 0)):
            total = np.concatenate([[0], np.cumsum(part)])[starts]
            sums.append(np.diff(total))
        positive, negative = sums
        # Inputs arrive in any order, so each partial sum counts: one of all positive or of all negative products.
        least = int((positive * min(low, 0) - np.abs(negative) * max(high, 0)).min(initial=0))
        most = int((positive * max(high, 0) - np.abs(negative) * min(low, 0)).max(initial=0)) + rounding
        ends = [int(m) * p for m in (mantissas.min(initial=0), mantissas.max(initial=0)) for p in payload]
        # A positive exponent shifts the sum within the same register.
        bits = self.accumulator_bits - max(0, synapse.exponent)
        yield self._bound(synapse.name, "product", (min(ends), max(ends)), bits)
        yield self._bound(synapse.name, "accumulator", (least, most), bits)

    def _bound(self, population: str, quantity: str, interval: Interval, limit: int) -> Bound:
        low, high = interval
        bits = signed_width(low, high)
        if bits > limit:
            raise DoesNotFit(
                self.name,
                f"{population} {quantity} may reach {low if abs(low) > abs(high) else high}, which takes {bits} signed "
                f"bits; the target has {limit}",
                remedy="narrow the operating range, or choose another target",
            )
        return Bound(population, quantity, low, high, bits)


def _rounding(graph: IntegerGraph, synapse: Synapse) -> int:
    """What the neuron that rounds adds to a sum of mantissas times payloads."""
    if graph.stock is None or synapse.source != MEMBRANE:
        return 0
    return 1 << (graph.flux.threshold_exponent - synapse.exponent - 1)


def _largest_change(graph: IntegerGraph, found: NetworkIntervals) -> int:
    """Largest absolute change of a cell's mass in one PDE step."""
    window, theta = graph.window, 1 << graph.flux.threshold_exponent
    faces_per_cell = 2 * len(graph.grid.shape)
    change = min(window.upper - window.lower, faces_per_cell * max(abs(found.packet[0]), abs(found.packet[1])))
    weight, bias = graph.operator[0].weight, graph.operator[0].bias
    if graph.hidden or graph.flux.leak != MEMORYLESS or bias.any() or weight.sum() != 0:
        return change
    lines_go_on = graph.spec.wall == QUADRATIC or reservoirs_extend(graph.grid, graph.membrane.reservoirs)
    if graph.flux.share_shift is not None or not lines_go_on:
        return change
    # theta dm = D W m + D (r_old - r_new), and residues stay within theta / 2 of 0.
    reach = largest_change(graph.grid, graph.spec, weight[0], window)
    return min(change, reach // theta + faces_per_cell)
