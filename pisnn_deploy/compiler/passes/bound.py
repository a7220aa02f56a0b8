"""Pass `bound`: declare a bit width for every state, payload and accumulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.analysis.changes import largest_change, reservoirs_extend
from pisnn_deploy.compiler.analysis.intervals import declared_names, graph_ranges
from pisnn_deploy.compiler.facts import BOUNDED, SCHEDULED, Fact
from pisnn_deploy.compiler.passes.limit import most_faces
from pisnn_deploy.core.arithmetic import MEMORYLESS, signed_width
from pisnn_deploy.core.errors import CompileError, DoesNotFit
from pisnn_deploy.graph import Bound, IntegerGraph, Synapse
from pisnn_deploy.graph.populations import Population, faces, hidden_layers, membranes
from pisnn_deploy.mesh.window import QUADRATIC
from pisnn_deploy.programs.intervals import Excluded, Interval
from pisnn_deploy.programs.neurons import UNDECLARED, face_constants

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

LEDGER_BITS = 48
LARGEST_LEDGER = (1 << (LEDGER_BITS - 1)) - 1


@dataclass(frozen=True)
class Bounds:
    """Bound every quantity by interval analysis over the operating window.

    1. What a neuron works out is bounded by running its program on intervals, population by population; what it keeps
       by a fixed point of that, such as the geometric series of a leak.
    2. The payload of a population is its value (dense) or a difference of two values (delta). A membrane's change is
       at most the packets of its faces, and for a linear memoryless network what ``D W`` can give it, ``theta`` a face
       more for what residues hold back.
    3. The accumulator of a synapse holds any partial sum of the products of its mantissas and payloads. What the
       target's program adds to the sum alone, to round it, counts among these.
    4. Where a face hears the masses at its ends and may withhold packets, the changes of a membrane are bounded by its
       packets alone: what some faces withhold does not cancel what others carry.
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
            A quantity is wider than the target's, or has no value inside the operating window.
        """
        try:
            ranges = graph_ranges(graph)
        except Excluded as error:
            raise CompileError(
                self.name,
                f"the operating range contradicts itself: {error}",
                remedy="widen it with --range, --slope or --flux",
            ) from None
        channels, holder, mass = faces(graph), membranes(graph).name, mass_interval(graph)
        packet = ranges[channels.name].values[channels.program.sends[0]]
        payloads = {channels.name: packet, holder: mass}
        if graph.coding == "delta":
            change = _largest_change(graph, max(-packet.lower, packet.upper))
            payloads[holder] = Interval(-change, change)
        bounds = [
            self._bound(holder, "mass", mass, self.state_bits),
            self._bound(holder, "payload", payloads[holder], self.payload_bits),
        ]
        if graph.mesh.reservoirs:
            bounds.append(Bound(holder, "ledger", -LARGEST_LEDGER, LARGEST_LEDGER, LEDGER_BITS))
        for population in (*hidden_layers(graph), channels):
            values = ranges[population.name].values
            for quantity, name in declared(population):
                is_packet = population is channels and name in population.program.sends
                bits = self.payload_bits if is_packet else self.state_bits
                bounds.append(self._bound(population.name, quantity, values[name], bits))
            if population is not channels:
                sent = values[population.program.sends[0]]
                spread = sent.upper - sent.lower
                payloads[population.name] = Interval(-spread, spread) if graph.coding == "delta" else sent
                bounds.append(self._bound(population.name, "payload", payloads[population.name], self.payload_bits))
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
        low, high = payload.lower, payload.upper
        sums = []
        for part in (np.maximum(mantissas, 0), np.minimum(mantissas, 0)):
            total = np.concatenate([[0], np.cumsum(part)])[starts]
            sums.append(np.diff(total))
        positive, negative = sums
        # Inputs arrive in any order, so each partial sum counts: one of all positive or of all negative products.
        least = int((positive * min(low, 0) - np.abs(negative) * max(high, 0)).min(initial=0))
        most = int((positive * max(high, 0) - np.abs(negative) * min(low, 0)).max(initial=0)) + rounding
        ends = [int(m) * p for m in (mantissas.min(initial=0), mantissas.max(initial=0)) for p in (low, high)]
        # A positive exponent shifts the sum within the same register.
        bits = self.accumulator_bits - max(0, synapse.exponent)
        yield self._bound(synapse.name, "product", Interval(min(ends), max(ends)), bits)
        yield self._bound(synapse.name, "accumulator", Interval(least, most), bits)

    def _bound(self, population: str, quantity: str, interval: Interval, limit: int) -> Bound:
        low, high = interval.lower, interval.upper
        bits = signed_width(low, high)
        if bits > limit:
            raise DoesNotFit(
                self.name,
                f"{population} {quantity} may reach {low if abs(low) > abs(high) else high}, which takes {bits} signed "
                f"bits; the target has {limit}",
                remedy="narrow the operating range, or choose another target",
            )
        return Bound(population, quantity, low, high, bits)


def declared(population: Population) -> Iterator[tuple[str, str]]:
    """Quantities of a population that have a declared width, and the values of its program that they are.

    Of what waits in a state before it counts, the width is declared as it arrives, too.
    """
    program, sends = population.program, population.program.sends
    waiting = [(state, after) for state, after in zip(program.states, program.after, strict=True) if population.is_late]
    yield from (("drive", after) for state, after in waiting if state not in UNDECLARED)
    further = {*program.ports[1:]}
    for operation in program.operations:
        inputs = {operand for operand in operation.values if isinstance(operand, str)}
        if inputs & further and inputs <= further | {*program.parameters}:
            further |= {*operation.results}
    names = declared_names(program)
    own = [name for name in names if name not in further and name not in sends]
    quantities: dict[str, str] = {}
    for name in (*own, *sends, *(name for name in names if name in further and name not in sends)):
        quantities.setdefault(population.quantity(name), name)
    yield from quantities.items()


def mass_interval(graph: IntegerGraph) -> Interval:
    """What a cell may hold: where volumes differ, a quantum more on either side of what the thinnest may."""
    window, volumes = graph.window, graph.sole_field.inverse_volume
    thinnest = int(volumes.min())
    if int(volumes.max()) == 1:
        return Interval(window.lower, window.upper)
    return Interval(min(-(-window.lower // thinnest) - 1, 0), max(window.upper // thinnest + 1, 0))


def _rounding(graph: IntegerGraph, synapse: Synapse) -> int:
    """What the target adds to the sum of a synapse alone before it counts, in units of its mantissas."""
    for population in (*hidden_layers(graph), faces(graph)):
        for operation in population.program.operations if population.name == synapse.target else ():
            port, added = operation.operands[0], operation.operands[-1]
            if operation.name == "add" and port in population.program.ports and isinstance(added, int):
                return added << -synapse.exponent if synapse.exponent < 0 else added >> synapse.exponent
    return 0


def _largest_change(graph: IntegerGraph, packet: int) -> int:
    """Largest absolute change of a cell's mass in one PDE step."""
    window, volumes, program = graph.window, graph.sole_field.inverse_volume, faces(graph).program
    spare = int(int(volumes.max()) > 1)
    change = min((window.upper - window.lower) // int(volumes.min()) + spare, most_faces(graph) * packet)
    face = face_constants(program)
    if face is None or (face.leak, face.share_bits, face.is_late) != (MEMORYLESS, None, False):
        return change
    if len(graph.operator) != 1 or graph.operator[0].bias.any() or graph.operator[0].weight.sum() != 0:
        return change
    if not (graph.spec.wall == QUADRATIC or reservoirs_extend(graph.grid, graph.membrane.reservoirs)):
        return change
    # theta dm = D W m + D (r_old - r_new), and residues stay within theta / 2 of 0.
    reach = largest_change(graph.grid, graph.spec, graph.operator[0].weight[0], window)
    return min(change, (reach >> face.exponent) + 2 * len(graph.grid.shape))
