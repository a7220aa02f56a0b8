"""Plain forms of artifacts, programs and ranges, which the checker extracted from the proofs reads.

A plain form has each neuron by itself: what it hears, entry by entry, the ranges of its states, and its program with
remarks on how to analyse it. Remarks and ranges of states are hints; the checker proves what it makes of them.
docs/explanation/machine_checked.md describes the lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh import PERIODIC
from pisnn_deploy.programs import Operation, Program
from pisnn_deploy.verify.folding import Folding
from pisnn_deploy.verify.programs import read
from pisnn_deploy.verify.ranges import Spread, declared_quantities, intervals, mass_interval
from pisnn_deploy.verify.spans import Span, Unbounded

WORD = 1 << 63


def program_lines(program: Program) -> list[str]:
    """Operations of a program, one a line; tables come first, under their names.

    Values have numbers: ports, states, parameters, then results in order.
    """
    tables = [f"entries {table.name} {_joined(table.entries)}" for table in program.tables]
    numbers = {name: number for number, name in enumerate(program.names)}
    return [*tables, *(_operation(operation, numbers) for operation in program.operations)]


def _joined(numbers: object) -> str:
    return " ".join(map(str, numbers))  # type: ignore[call-overload]


def _operation(operation: Operation, numbers: dict[str, int]) -> str:
    values = [f"n{value}" if isinstance(value, int) else f"v{numbers[value]}" for value in operation.values]
    return _joined(["do", operation.name, *values, *operation.operands[len(values) :]])


def neuron_numbers(graph: IntegerGraph) -> dict[str, int]:
    """Number of the first neuron of each population in a plain form; those that ask end with a question mark."""
    return _PlainForm(graph).neurons


def plain_form(graph: IntegerGraph, name: str, masses: list[int] | None = None) -> str:
    """Write the plain form of a graph.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed, with bounds; meant for small meshes, because each neuron is written by itself.
    name : str
        A word that the checker's answer begins with.
    masses : list of int, optional
        Of all holders: the checker first prints what each neuron sends in a step from these masses, a neuron a line.

    Returns
    -------
    str
        Lines of text.
    """
    stepped = [] if masses is None else [f"step {_joined(masses)}"]
    return "\n".join([f"artifact {name}", *_PlainForm(graph).lines(), *stepped, "end", ""])


class _PlainForm:
    def __init__(self, graph: IntegerGraph) -> None:
        self._graph = graph
        self._holders = _firsts((name, graph.size(name)) for name in graph.holders)
        self._declared = {(b.population, b.quantity): b for b in graph.bounds}
        try:
            self._ranges: Spread = intervals(graph)
        except (Unbounded, PisnnError, ValueError, IndexError):  # no hints then
            self._ranges = {key: (b.lower, b.upper) for key, b in self._declared.items()}
        self._asks = {f"{name}?": asking for name, asking in graph.order.asking.items()}
        depths = {**graph.order.depths, **{f"{name}?": depth for name, depth in graph.order.asks_at.items()}}
        order = sorted(depths, key=lambda each: depths[each])
        self._order = [each for each in order if each not in graph.holders]
        self.neurons = _firsts((each, graph.size(each.removesuffix("?"))) for each in self._order)
        self._edges: dict[tuple[int, int], int] = {}

    def lines(self) -> Iterator[str]:
        """All lines but the first and the last."""
        for each in self._order:
            yield from self._code(each)
        for conserved in self._graph.fields:
            yield from self._masses(conserved)
        yield from self._edge_lines()
        for each in self._order:
            yield from self._of_population(each)
        yield from self._width_lines()
        yield from self._routes()

    # Programs ---------------------------------------------------------------------------------------------------------

    def _population(self, name: str) -> Population:
        return self._asks[name].part if name in self._asks else self._graph.population(name)

    def _code(self, name: str) -> Iterator[str]:
        population = self._population(name)
        program, numbers = population.program, {n: i for i, n in enumerate(population.program.names)}
        asks = name in self._asks
        yield from (f"entries {table.name} {_joined(table.entries)}" for table in program.tables)
        yield f"program {name}"
        limits = {} if asks else self._limits(population)
        for state in () if asks else program.states:
            if state in limits:
                yield f"limit {numbers[state]} {-limits[state]} {limits[state]}"
            if any(op.name == "copysign" and op.values[-1] == state for op in program.operations):
                yield from (f"cut {numbers[state]} {at}" for at in (0, 1))
        thresholds = _thresholds(program)
        for operation in program.operations:
            yield _operation(operation, numbers)
            for result in operation.results:
                if result in limits:
                    yield f"limit {numbers[result]} {-limits[result]} {limits[result]}"
                if result in thresholds:
                    yield from (f"cut {numbers[result]} {at}" for at in (1 - thresholds[result], thresholds[result]))
        yield f"sends {_joined(numbers[value] for value in program.sends)}"
        if asks:
            return
        yield f"after {_joined(numbers[value] for value in program.after)}"
        for state, value in zip(program.states, program.after, strict=True):
            yield "own {} {}".format(*self._own(population, state, value))
        reading = read(str(program))
        named = {number: text for text, number in reversed(reading.names.items())}
        for value, number in declared_quantities(reading).items():
            bound = self._declared.get((population.name, population.quantity(value)))
            if bound is not None:
                yield f"declared {numbers[named[number]]} {bound.lower} {bound.upper}"

    def _limits(self, population: Population) -> dict[str, int]:
        """Values whose absolute value an audit limits to the window's current, by name."""
        windows = [
            self._graph.field_of(c.source_holder).window
            for c in self._graph.channels
            if c.population == population.name
        ]
        if not windows or windows[0].current is None:
            return {}
        program = population.program
        names = {"current"} & {*program.names}
        for state, value in zip(program.states, program.after, strict=True):
            if value == "current" or state == "current":
                names |= {state, value}
        return dict.fromkeys(names, windows[0].current)

    def _own(self, population: Population, state: str, value: str) -> Span:
        """Range of a state, as a hint."""
        fire = next((op for op in population.program.operations if op.name == "fire" and value in op.results[1:]), None)
        if fire is not None:
            half = 1 << int(fire.operands[-1]) >> 1
            return -half, half
        for name in (value, state):
            key = population.name, population.quantity(name)
            if key in self._ranges:
                return self._ranges[key]
        return -WORD, WORD - 1

    # Neurons ----------------------------------------------------------------------------------------------------------

    def _masses(self, conserved: Field) -> Iterator[str]:
        window = conserved.window
        for volume in conserved.inverse_volume.tolist():
            yield f"mass {-(-window.lower // volume)} {window.upper // volume}"
        for _ in range(conserved.size - conserved.cells):
            yield f"mass {-WORD} {WORD - 1}"

    def _edge_lines(self) -> Iterator[str]:
        """Lines of the differences that an audit limits."""
        graph = self._graph
        if not graph.operator or graph.window.difference is None:
            return
        (channels,) = graph.channels
        cells, difference = graph.mesh.cells, graph.window.difference
        for source, target in zip(channels.source.tolist(), channels.target.tolist(), strict=True):
            self._edges.setdefault((source, target), len(self._edges))
            if max(source, target) < cells:
                yield f"edge between {source} {target} {difference}"
            else:
                shown = int(graph.sole_field.reservoirs[max(source, target) - cells])
                yield f"edge beside {min(source, target)} {shown} {difference}"

    def _of_population(self, name: str) -> Iterator[str]:
        population, graph = self._population(name), self._graph
        program, own = population.program, name.removesuffix("?")
        rows = {port: [(s, self._rows(s, name)) for s in graph.into(own, port)] for port in program.ports}
        parameters = [population.parameters[parameter].tolist() for parameter in program.parameters]
        asked = program.states if name in self._asks else ()
        starts = () if name in self._asks else self._starts(population)
        folding = Folding(graph) if self._edges else None
        for neuron in range(graph.size(own)):
            yield f"neuron {name}"
            for port in program.ports:
                yield "port"
                for synapse, lines in rows[port]:
                    if lines[neuron]:
                        yield lines[neuron]
                    if folding is not None and synapse.source in graph.holders:
                        yield from self._slopes(folding, neuron * graph.mesh.faces // graph.size(own), synapse, neuron)
            for state in asked:
                number = graph.population(own).program.states.index(state)
                yield from ("port", f"synapse 0 states {number} 1 {self.neurons[own] + neuron}")
            yield from (f"parameter {values[neuron]}" for values in parameters)
            yield from (f"start {values[neuron]}" for values in starts)

    def _starts(self, population: Population) -> list[list[int]]:
        """Starts of states; one that begins with what arrives first may be anything that can arrive."""
        late = population.hearing_states if population.is_late else ()
        starts = []
        pairs = zip(population.program.states, population.program.after, strict=True)
        for (state, value), (_, start) in zip(pairs, population.started().items(), strict=True):
            least = self._own(population, state, value)[0]
            starts.append([least] * population.size if state in late else start.tolist())
        return starts

    def _source(self, synapse: Synapse, target: str) -> tuple[str, int]:
        """Words of what a synapse weighs, and the number of its first source."""
        graph, source = self._graph, synapse.source
        if source in graph.holders:
            return "masses", self._holders[source]
        if source == target:
            state = graph.heard_again[source, synapse.output]
            return f"states {graph.population(source).program.states.index(state)}", self.neurons[source]
        asking = graph.order.asking.get(source)
        if asking is not None and synapse.output in asking.outputs and target in graph.order.answers:
            return f"sent {asking.outputs.index(synapse.output)}", self.neurons[f"{source}?"]
        return f"sent {synapse.output}", self.neurons[source]

    def _rows(self, synapse: Synapse, target: str) -> list[str]:
        """A line for each target neuron; empty for one without connections."""
        source, first = self._source(synapse, target)
        columns, mantissas = (synapse.columns + first).tolist(), synapse.mantissas.tolist()
        entries = [f"{mantissa} {column}" for mantissa, column in zip(mantissas, columns, strict=True)]
        head = f"synapse {synapse.exponent} {source}"
        return [_joined([head, *entries[a:b]]) if a < b else "" for a, b in pairwise(synapse.row_starts.tolist())]

    def _slopes(self, folding: Folding, face: int, synapse: Synapse, neuron: int) -> Iterator[str]:
        """Ways to see a row as a sum of differences along lines of cells that cross a face."""
        mesh, axis = folding.graph.grid, int(folding.graph.grid.axis[face])
        count, stride = mesh.shape[axis], int(np.prod(mesh.shape[axis + 1 :], dtype=np.int64))
        periodic = mesh.boundary[axis] == (PERIODIC, PERIODIC)
        into = self._graph.into(synapse.target, synapse.port)
        if next(into) is not synapse:
            return  # the row is the sum of all synapses, which the first stands for
        first = folding.lower(face)[axis] - count // 2 if periodic else 0
        lines: dict[int, dict[int, int]] = {}
        for part in self._graph.into(synapse.target, synapse.port):
            begin, end = part.row_starts[neuron : neuron + 2].tolist()
            shift = part.exponent
            for cell, mantissa in zip(
                part.columns[begin:end].tolist(), part.mantissas[begin:end].tolist(), strict=True
            ):
                along = cell // stride % count
                weight = mantissa << shift if shift >= 0 else mantissa >> -shift
                line = lines.setdefault(cell - along * stride, {})
                line[(along - first) % count] = line.get((along - first) % count, 0) + weight
        for upper in (0, 1):
            moves: list[int] = []
            for start, placed in lines.items():
                moves += self._line(start, placed, (first, count, stride), upper)
            if moves:
                yield f"slope {_joined(moves)}"

    def _line(self, line: int, placed: dict[int, int], layout: tuple[int, int, int], upper: int) -> list[int]:
        """Factors and edges whose differences add up to the weights on a line of cells and a reservoir at its end."""
        first, count, stride = layout
        cell = [line + (place + first) % count * stride for place in range(count)]
        lacking, moves = -sum(placed.values()), []
        partial = 0 if upper else lacking
        for place in range(min(placed) if upper or not lacking else 0, count - 1 if upper and lacking else max(placed)):
            partial += placed.get(place, 0)
            for ends, factor in (((cell[place], cell[place + 1]), partial), ((cell[place + 1], cell[place]), -partial)):
                if ends in self._edges and partial:
                    moves += [factor, self._edges[ends]]
                    break
        for ends, edge in self._edges.items() if lacking else ():
            if max(ends) >= self._graph.mesh.cells and min(ends) == cell[-1 if upper else 0]:
                is_upper = ends[1] >= self._graph.mesh.cells
                if is_upper == bool(upper) and int(self._graph.grid.axis[edge]) == self._axis_of(stride):
                    moves += [-lacking, edge]
        return moves

    def _axis_of(self, stride: int) -> int:
        shape = self._graph.grid.shape
        return next(a for a in range(len(shape)) if int(np.prod(shape[a + 1 :], dtype=np.int64)) == stride)

    # Widths and routes ------------------------------------------------------------------------------------------------

    def _width_lines(self) -> Iterator[str]:
        for bound in self._graph.bounds:
            yield f"width {bound.lower} {bound.upper} {bound.bits}"
        for conserved in self._graph.fields:
            masses = self._declared.get((conserved.holder, "mass"))
            if masses is not None:
                yield "covered {} {} {} {}".format(*mass_interval(conserved), masses.lower, masses.upper)

    def _routes(self) -> Iterator[str]:
        graph = self._graph
        packets = _firsts((f"{c.population} {c.output}", c.source.size) for c in graph.channels)
        for holder in graph.holders:
            program = graph.population(holder).program
            yield f"program {holder}"
            yield from (_operation(o, {n: i for i, n in enumerate(program.names)}) for o in program.operations)
            lines: list[list[str]] = [[] for _ in range(graph.size(holder))]
            for synapse in graph.synapses:
                if synapse.target == holder:
                    first = packets.get(
                        f"{synapse.source} {synapse.output}", sum(c.source.size for c in graph.channels)
                    )
                    for row, (a, b) in zip(lines, pairwise(synapse.row_starts.tolist()), strict=True):
                        entries = zip(
                            synapse.mantissas[a:b].tolist(), (synapse.columns[a:b] + first).tolist(), strict=True
                        )
                        row.append(f"route {synapse.exponent} {_joined(x for entry in entries for x in entry)}")
            for row in lines:
                yield from (f"holder {holder}", *row)
        ends: list[tuple[int, int]] = []
        for channels in graph.channels:
            source, target = (self._holders[name] for name in (channels.source_holder, channels.target_holder))
            ends += zip((channels.source + source).tolist(), (channels.target + target).tolist(), strict=True)
        yield from (f"packet {source} {target}" for source, target in ends)
        yield f"set {_joined(_joined_sets(ends, sum(graph.size(holder) for holder in graph.holders)))}"


def _firsts(sizes: Iterator[tuple[str, int]]) -> dict[str, int]:
    """Number of the first member of each of several groups."""
    firsts, count = {}, 0
    for name, size in sizes:
        firsts[name] = count
        count += size
    return firsts


def _thresholds(program: Program) -> dict[str, int]:
    """Values that are compared by size with a constant, and that constant."""
    sizes = {op.results[0]: op.values[0] for op in program.operations if op.name == "abs"}
    return {
        str(sizes[str(op.values[0])]): op.values[1]
        for op in program.operations
        if op.name == "ge" and op.values[0] in sizes and isinstance(op.values[1], int)
    }


def _joined_sets(ends: list[tuple[int, int]], count: int) -> list[int]:
    """Number of the joined set that each holder belongs to."""
    parents = [*range(count)]

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for source, target in ends:
        if 0 <= source < count and 0 <= target < count:
            parents[root(source)] = root(target)
    return [root(number) for number in range(count)]
