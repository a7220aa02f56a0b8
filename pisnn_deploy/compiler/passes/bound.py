"""Pass `bound`: declare a bit width for every state, payload and accumulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.analysis.changes import largest_change, reservoirs_extend
from pisnn_deploy.compiler.analysis.intervals import Ranges, declared_names, graph_ranges, hull, mass_interval
from pisnn_deploy.compiler.facts import BOUNDED, SCHEDULED, Fact
from pisnn_deploy.core.arithmetic import MEMORYLESS, signed_width
from pisnn_deploy.core.errors import CompileError, DoesNotFit
from pisnn_deploy.graph import Bound, IntegerGraph, Synapse
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh.window import QUADRATIC
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import Excluded, Unbounded
from pisnn_deploy.programs.neurons import face_constants

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

LEDGER_BITS = 48
LARGEST_LEDGER = (1 << (LEDGER_BITS - 1)) - 1


@dataclass(frozen=True)
class Bounds:
    """Bound every quantity by interval analysis over the operating window.

    1. A neuron's values are bounded by running its program on intervals, population by population; its states by a
       fixed point of that, such as the geometric series of a leak.
    2. The payload of a population is its value (dense) or a difference of two values (delta). A membrane's change is
       at most the packets of its faces, and for a linear memoryless network what ``D W`` can give it, ``theta`` a face
       more for what residues hold back.
    3. The accumulator of a synapse holds any partial sum of the products of its mantissas and payloads,
       including what the target's program adds to that sum alone to round it.
    4. Where a face receives the masses at its ends and may withhold packets, changes of a membrane are bounded by its
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
        """Always run."""
        widths = options.widths
        return cls(widths.state, widths.payload, widths.accumulator)

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Bound `graph`.

        Raises
        ------
        CompileError
            A quantity is wider than the target's, grows without limit, or has no value inside the operating window.
        """
        try:
            ranges = graph_ranges(graph)
        except Excluded as error:
            raise CompileError(
                self.name,
                f"not every quantity has a bound: {error}",
                remedy="widen the operating range, its slope or its flux",
            ) from None
        except Unbounded as error:
            raise CompileError(
                self.name, str(error), remedy="let the program keep it in bounds: fire, min with max, or a leak"
            ) from None
        payloads, bounds = _payloads(graph, ranges), []
        for field in graph.fields:
            bounds += [
                self._bound(field.holder, "mass", mass_interval(field), self.state_bits),
                self._bound(field.holder, "payload", payloads[field.holder, 0], self.payload_bits),
            ]
            if field.reservoirs.size:
                bounds.append(Bound(field.holder, "ledger", -LARGEST_LEDGER, LARGEST_LEDGER, LEDGER_BITS))
        for population in (population for population in graph.populations if population.name in ranges):
            values = ranges[population.name].values
            packets = {population.program.sends[c.output] for c in graph.channels if c.population == population.name}
            for quantity, name in declared(population):
                bits = self.payload_bits if name in packets else self.state_bits
                bounds.append(self._bound(population.name, quantity, values[name], bits))
            others = {s.output for s in graph.synapses if s.source == population.name and s.target not in graph.holders}
            if others or not packets:
                payload = hull([payloads[population.name, output] for output in sorted(others or {0})])
                bounds.append(self._bound(population.name, "payload", payload, self.payload_bits))
        for synapse in graph.synapses:
            bounds += self._synapse(synapse, payloads[synapse.source, synapse.output], _rounding(graph, synapse))
        return replace(graph, bounds=tuple(bounds))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
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
    """Quantities of a population that have a declared width, each with its value in the program.

    For values that wait in a state, the width on arrival is declared too.
    """
    program, sends = population.program, population.program.sends
    if population.is_late:
        becomes = dict(zip(program.states, program.after, strict=True))
        yield from (("drive", becomes[state]) for state in population.hearing_states[:1])
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


def _payloads(graph: IntegerGraph, ranges: Mapping[str, Ranges]) -> dict[tuple[str, int], Interval]:
    """Largest payload of each output of each population."""
    packets = {(channels.population, channels.output) for channels in graph.channels}
    channels, values = {name for name, _ in packets}, {*graph.order.answers, *graph.order.asking}
    payloads: dict[tuple[str, int], Interval] = {}
    for name, intervals in ranges.items():
        for output, value in enumerate(graph.population(name).program.sends):
            sent = intervals.values[value]
            spread = sent.upper - sent.lower
            # Channels send changes of their residues with either coding, and requests as values.
            is_value = (name, output) in packets or name in values
            is_value = is_value or (graph.coding != "delta" and name not in channels)
            payloads[name, output] = sent if is_value else Interval(-spread, spread)
    for field in graph.fields:
        change = _largest_change(graph, field, payloads) if graph.coding == "delta" else 0
        payloads[field.holder, 0] = Interval(-change, change) if graph.coding == "delta" else mass_interval(field)
    return payloads


def _rounding(graph: IntegerGraph, synapse: Synapse) -> int:
    """Rounding constant that the target adds to a synapse's sum, in units of its mantissas."""
    program = graph.population(synapse.target).program
    for operation in program.operations:
        port, added = operation.operands[0], operation.operands[-1]
        if operation.name == "add" and port == synapse.port and isinstance(added, int):
            return added << -synapse.exponent if synapse.exponent < 0 else added >> synapse.exponent
    return 0


def _largest_change(graph: IntegerGraph, field: Field, payloads: Mapping[tuple[str, int], Interval]) -> int:
    """Largest absolute change of a cell's mass in one PDE step."""
    window = field.window
    span = (window.upper - window.lower) // int(field.inverse_volume.min()) + (not field.holds_alike)
    carried = np.zeros(
        field.size, np.object_
    )  # Python integers, because a packet may have any width before it is refused
    for channels in graph.channels:
        packet = payloads[channels.population, channels.output]
        for holder, ends, _ in channels.ends:
            if holder == field.holder:
                carried += np.bincount(ends, minlength=field.size).astype(np.object_) * max(-packet.lower, packet.upper)
    change = min(span, int(max(carried[: field.cells], default=0)))
    linear = _linear_change(graph)
    return change if linear is None else min(change, linear)


def _linear_change(graph: IntegerGraph) -> int | None:
    """Largest change of a cell's mass by ``D W``; None where that gives no bound."""
    if len(graph.operator) != 1 or graph.operator[0].bias.any() or graph.operator[0].weight.sum(axis=1).any():
        return None
    face = face_constants(graph.sole_channels.program)
    if face is None or (face.leak, face.limiter, face.is_late, face.sees_residues) != (
        MEMORYLESS,
        None,
        False,
        False,
    ):
        return None
    if not (graph.model_spec.wall == QUADRATIC or reservoirs_extend(graph.grid, graph.sole_field.reservoirs)):
        return None
    # theta dm = D W m + D (r_old - r_new), and residues stay within theta / 2 of 0.
    kernels = graph.model_spec.kernels(graph.operator[0].weight)
    reach = largest_change(graph.grid, graph.model_spec, kernels, graph.window)
    return (reach >> face.exponent) + 2 * len(graph.grid.shape)
