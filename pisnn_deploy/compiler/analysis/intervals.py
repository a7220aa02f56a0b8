"""Interval analysis of an integer graph over its operating window, for any programs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as defaulted
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.answers import answers_heard, asked_of_cells
from pisnn_deploy.compiler.analysis.rows import Ends, LinearRows, face_rows, holder_rows
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import IntegerGraph, IntegerLayer, OperatingWindow
from pisnn_deploy.graph.connections import Blocks
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.integer import ARRIVAL
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh import distinct_faces
from pisnn_deploy.programs import Operation, Program
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import Excluded, TooWide, Unbounded, bounds, invariant
from pisnn_deploy.programs.language import WORD_BITS
from pisnn_deploy.programs.neurons import undeclared

Integers = NDArray[np.int64]
FARTHEST = 1 << 62
"""Limit for sent values and their sums, beyond which integer arrays would wrap."""


def declared_names(program: Program) -> tuple[str, ...]:
    """Values of a program that have a declared width, in order of computation."""
    without = {*undeclared(program), *program.parameters}
    return tuple(name for name in program.names if name not in without)


class Heard(NamedTuple):
    """Weights from one population to a port of another.

    Attributes
    ----------
    output : int
        Index among the values that the source sends.
    weights : Rows, int64 [neurons, neurons of the source]
        Effective weights.
    """

    port: str
    source: str
    output: int
    weights: Rows


@dataclass(frozen=True)
class Stage:
    """Neurons of one program to analyse: a whole population, or one representative of each kind.

    Attributes
    ----------
    name : str
        Name of the population.
    parameters : mapping of str to int64 array [neurons]
        Parameters of the program, by name.
    from_holders : mapping of str to (int64 array [neurons], int64 array [neurons])
        By port: lower and upper end of the sum that holders add.
    heard : tuple of Heard
        Inputs from earlier stages.
    limits : mapping of str to Interval
        Intervals that hold for other reasons (such as the audit), by name of the value.
    starts : mapping of str to Interval
        Initial values of states, by name.
    size : int
        Number of neurons of a program without any input.
    """

    name: str
    program: Program
    parameters: Mapping[str, Integers]
    from_holders: Mapping[str, Ends] = defaulted(default_factory=dict)
    heard: tuple[Heard, ...] = ()
    limits: Mapping[str, Interval] = defaulted(default_factory=dict)
    starts: Mapping[str, Interval] = defaulted(default_factory=dict)
    size: int = 1


@dataclass(frozen=True)
class Ranges:
    """Intervals of the values of a stage.

    Attributes
    ----------
    values : dict of str to Interval
        Interval of every value of the program over all neurons.
    sent : tuple of (int64 array [neurons], int64 array [neurons])
        Lower and upper end of each value that each neuron sends.
    """

    values: dict[str, Interval]
    sent: tuple[Ends, ...]


def network_ranges(stages: Iterable[Stage]) -> dict[str, Ranges]:
    """Intervals that hold while masses and currents stay in the operating window.

    Parameters
    ----------
    stages : iterable of Stage
        In the order in which they run.

    Returns
    -------
    dict of str to Ranges
        By the name of the stage.

    Raises
    ------
    Excluded
        The window leaves a quantity without any value.
    Unbounded
        A state grows without limit, or a value fits no word; the message begins with the population.
    """
    ranges: dict[str, Ranges] = {}
    for stage in stages:
        inputs: dict[str, Ends] = {name: (values, values) for name, values in stage.parameters.items()}
        heard = ((part.port, _through(part, ranges[part.source].sent[part.output], stage.name)) for part in stage.heard)
        for port, ends in (*stage.from_holders.items(), *heard):
            _add(inputs, port, ends)
        try:
            ranges[stage.name] = _ranges(stage, inputs)
        except TooWide as error:
            raise TooWide(f"{stage.name} {error.name}", error.bits) from None
        except Unbounded as error:
            raise Unbounded(f"{stage.name}: {error}") from None
    return ranges


def _through(part: Heard, ends: Ends, target: str) -> Ends:
    weights = part.weights
    most = max((float(np.abs(end).max(initial=0)) for end in ends), default=0.0)
    if most * float(abs(weights).valued(lambda values: values.astype(np.float64)).sums().max()) >= FARTHEST:
        raise Unbounded(f"{target}: what arrives at {part.port} from {part.source} may be too large for any word")
    positive = weights.valued(lambda values: np.maximum(values, 0))
    negative = weights.valued(lambda values: np.minimum(values, 0))
    lower, upper = (np.asarray(positive @ a + negative @ b, np.int64) for a, b in (ends, ends[::-1]))
    return lower, upper


def _ranges(stage: Stage, inputs: Mapping[str, Ends]) -> Ranges:
    """Run a program on intervals: neuron by neuron up to its states and limits, then for all neurons at once."""
    program = stage.program
    first, rest = _divided(program, stage.limits)
    groups, member = _groups(inputs, program.parameters if rest.operations else first.ports, stage.size)
    values: dict[str, Interval] = {}
    of_groups: list[dict[str, Interval]] = []
    for group in groups:
        of_group = bounds(first, group, most_bits=WORD_BITS)
        values = {name: hull((values.get(name, interval), interval)) for name, interval in of_group.items()}
        of_groups.append(of_group)
    if rest.operations:
        values |= invariant(rest, {name: values[name] for name in rest.ports}, stage.limits, stage.starts)
        of_groups = [values] * len(groups)
    sent = []
    for name in program.sends:
        widest = max(max(-group[name].lower, group[name].upper) for group in of_groups)
        if widest >= FARTHEST:
            raise Unbounded(f"{name} of {program.name} may reach {widest}, too large for any word")
        lower, upper = np.array([(group[name].lower, group[name].upper) for group in of_groups], np.int64)[member].T
        sent.append((lower, upper))
    return Ranges(values, tuple(sent))


def hull(intervals: Iterable[Interval]) -> Interval:
    """The smallest interval that holds some others."""
    ends = [*intervals]
    return Interval(min(interval.lower for interval in ends), max(interval.upper for interval in ends))


def _divided(program: Program, limits: Mapping[str, Interval]) -> tuple[Program, Program]:
    """Split a program into the part before its states and limited values, and the rest.

    The rest takes values of the first part as ports.
    """
    inputs = (*program.ports, *program.parameters)
    known = {*inputs, *(table.name for table in program.tables)}
    first: list[Operation] = []
    rest: list[Operation] = []
    for operation in program.operations:
        independent = all(not isinstance(operand, str) or operand in known for operand in operation.operands)
        if independent and limits.keys().isdisjoint(operation.results):
            first.append(operation)
            known |= {*operation.results}
        else:
            rest.append(operation)
    made = [result for operation in first for result in operation.results]
    return (
        Program(program.name, inputs, (), (), tuple(first), (), (), program.tables),
        Program(program.name, (*inputs, *made), program.states, (), tuple(rest), program.after, (), program.tables),
    )


def _groups(
    inputs: Mapping[str, Ends], told_apart: Iterable[str], size: int
) -> tuple[list[dict[str, Interval]], Integers]:
    """Inputs of groups of neurons (all but the named ones as hulls over the group), and each neuron's group."""
    count, member = 1, np.zeros(next((lower.size for lower, _ in inputs.values()), size), np.int64)
    for values in (ends for name in told_apart for ends in inputs[name]):
        if (values != values[:1]).any():
            distinct, place = np.unique(values, return_inverse=True)
            pairs, member = np.unique(member * distinct.size + place.reshape(-1), return_inverse=True)
            count, member = pairs.size, member.reshape(-1)
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(count))
    hulls = {
        name: (np.minimum.reduceat(lower[order], starts), np.maximum.reduceat(upper[order], starts))
        for name, (lower, upper) in inputs.items()
    }
    ends = {name: (lower.tolist(), upper.tolist()) for name, (lower, upper) in hulls.items()}
    groups = [{name: Interval(low[at], high[at]) for name, (low, high) in ends.items()} for at in range(count)]
    return groups, member


def operator_stages(
    rows: LinearRows, operator: Sequence[IntegerLayer], window: OperatingWindow, programs: Sequence[tuple[str, Program]]
) -> Iterator[Stage]:
    """Stages of a flux network at the faces that differ.

    Parameters
    ----------
    rows : LinearRows
        Of the first layer, see `face_rows`.
    programs : sequence of (str, Program)
        Name and program of the population of each layer.

    Yields
    ------
    Stage
        Each has the port ``arrival``, and its bias, if any, as the parameter ``bias``.
    """
    count = rows.constant.size // operator[0].bias.size
    for number, (layer, (name, program)) in enumerate(zip(operator, programs, strict=True)):
        bias = np.tile(layer.bias, count) if number else rows.constant
        lower, upper = rows.intervals(window)
        repeated = Blocks(layer.weight, count).rows
        yield Stage(
            name,
            program,
            {"bias": bias} if "bias" in program.parameters else {},
            {} if number else {ARRIVAL: (lower - bias, upper - bias)},
            (Heard(ARRIVAL, programs[number - 1][0], 0, repeated),) if number else (),
            {} if number + 1 < len(operator) else limits_of(window),
        )


def mass_interval(field: Field) -> Interval:
    """Interval of a cell's mass; where volumes differ, one quantum wider on either side than for the thinnest cell."""
    window, thinnest = field.window, int(field.inverse_volume.min())
    if field.holds_alike:
        return Interval(window.lower, window.upper)
    return Interval(min(-(-window.lower // thinnest) - 1, 0), max(window.upper // thinnest + 1, 0))


def limits_of(window: OperatingWindow) -> dict[str, Interval]:
    """Limits at which the audit stops a run, by name of the value."""
    return {} if window.current is None else {"current": Interval(-window.current, window.current)}


def graph_ranges(graph: IntegerGraph) -> dict[str, Ranges]:
    """Intervals of every population of a graph except the holders of mass.

    Raises
    ------
    Excluded
        The window leaves a quantity without any value.
    Unbounded
        A state grows without limit, or a value fits no word; the message begins with the population.
    """
    ranges = network_ranges(_laid_out(graph) if graph.operator else _spelled_out(graph))
    for name in graph.order.answers:
        answers = graph.population(name)
        values = {channels: ranges[channels].values for channels in graph.order.asking}
        heard = asked_of_cells(graph, answers, values, mass_interval(_field_of(graph, answers)))
        ranges |= network_ranges([Stage(name, answers.program, {}, heard)])
    return ranges


def _laid_out(graph: IntegerGraph) -> Iterator[Stage]:
    """Stages of a flux network that repeats over a mesh, at the faces that differ."""
    mesh, spec, population = graph.grid, graph.model_spec, graph.sole_channels
    programs = [(layer.name, layer.program) for layer in (*graph.between_fields, population)]
    rows = face_rows(mesh, spec, graph.operator[0], graph.sole_field.reservoirs)
    *hidden, last = operator_stages(rows, graph.operator, graph.window, programs)
    yield from hidden
    alike = distinct_faces(mesh, spec.half_width, spec.transverse)
    others = {name: values[alike] for name, values in population.parameters.items() if name not in last.parameters}
    further = _into(graph, population, [port for port in population.program.ports if port != ARRIVAL])
    of_alike = [heard._replace(weights=heard.weights.rows(alike)) for heard in further]
    arrivals = {
        heard.port: answers_heard(alike.size)
        if heard.source in graph.order.answers
        else _of_residues(graph, heard)
        if heard.source == population.name
        else _from_holders(graph, heard)
        for heard in of_alike
    }
    yield replace(last, parameters={**last.parameters, **others}, from_holders={**last.from_holders, **arrivals})


def _spelled_out(graph: IntegerGraph) -> Iterator[Stage]:
    """Stages with every neuron of a graph."""
    fields = {channels.population: graph.field_of(channels.source_holder) for channels in graph.channels}
    for population in graph.populations:
        if population.name in graph.holders or population.name in graph.order.answers:
            continue
        into = [*_into(graph, population, population.program.ports)]
        arrivals: dict[str, Ends] = {}
        for heard in into:
            if heard.source in graph.holders:
                _add(arrivals, heard.port, _from_holders(graph, heard))
            elif heard.source == population.name:
                _add(arrivals, heard.port, _of_residues(graph, heard))
            elif heard.source in graph.order.answers:
                arrivals[heard.port] = answers_heard(population.size)
        yield Stage(
            population.name,
            population.program,
            population.parameters,
            arrivals,
            tuple(h for h in into if h.source not in (*graph.holders, population.name, *graph.order.answers)),
            limits_of(fields[population.name].window) if population.name in fields else {},
            _starts(population),
            population.size,
        )


def _field_of(graph: IntegerGraph, answers: Population) -> Field:
    """Field whose cells answer."""
    (holder,) = (synapse.source for synapse in graph.into(answers.name, "mass"))
    return graph.field_of(holder)


def _add(sums: dict[str, Ends], port: str, ends: Ends) -> None:
    """Add the ends of one source to those of a port."""
    before = sums.get(port)
    sums[port] = ends if before is None else (before[0] + ends[0], before[1] + ends[1])


def _starts(population: Population) -> dict[str, Interval]:
    """Initial values of states, except those that start with what arrives first."""
    first = population.hearing_states if population.is_late else ()
    return {
        state: Interval(int(values.min()), int(values.max()))
        for state, values in population.started().items()
        if state not in first and values.size
    }


def _from_holders(graph: IntegerGraph, heard: Heard) -> Ends:
    field, weights = graph.field_of(heard.source), heard.weights
    ledgers = weights.columns[weights.columns >= field.cells] - field.cells
    if ledgers.size:
        raise Excluded(f"ledger {int(ledgers[0])} of {field.holder} is sent to a neuron, but nothing bounds it")
    return holder_rows(weights, field.window, field.inverse_volume)


def _of_residues(graph: IntegerGraph, heard: Heard) -> Ends:
    """What residues after `fire` can add up to: they start at 0 and are within half of theta of it."""
    program = graph.population(heard.source).program
    sent = program.sends[heard.output]
    rests = [int(o.operands[-1]) for o in program.operations if o.name == "fire" and o.results[1] == sent]
    if not rests:
        raise Unbounded(f"{heard.source}: {sent} is heard by others, but no `fire` bounds it")
    half = np.full(heard.weights.shape[1], 1 << rests[0] >> 1, np.int64)
    return _through(heard, (-half, half), heard.source)


def _into(graph: IntegerGraph, population: Population, ports: Collection[str]) -> Iterator[Heard]:
    """Inputs of some ports of a population; effective weights of parallel synapses are added up."""
    sums: dict[tuple[str, str, int], Rows] = {}
    for synapse in graph.synapses:
        if synapse.target == population.name and synapse.port in ports:
            key = (synapse.port, synapse.source, synapse.output)
            sums[key] = synapse.matrix() if key not in sums else sums[key] + synapse.matrix()
    yield from (Heard(*key, weights) for key, weights in sums.items())
