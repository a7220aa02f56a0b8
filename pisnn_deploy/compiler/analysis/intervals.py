"""Interval analysis of an integer graph over its operating window: one loop over programs, whatever they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.compiler.analysis.rows import Ends, LinearRows, face_rows, held_rows
from pisnn_deploy.graph import IntegerGraph, IntegerLayer, OperatingWindow
from pisnn_deploy.graph.integer import ARRIVAL
from pisnn_deploy.graph.populations import Population, faces, hidden_layers, membranes
from pisnn_deploy.mesh import distinct_faces
from pisnn_deploy.programs import Operation, Program
from pisnn_deploy.programs.intervals import Interval, bounds, invariant
from pisnn_deploy.programs.neurons import UNDECLARED

Integers = NDArray[np.int64]


def declared_names(program: Program) -> tuple[str, ...]:
    """Values of a program that have a declared width, in the order in which it gets them."""
    return tuple(name for name in program.names if name not in UNDECLARED and name not in program.parameters)


@dataclass(frozen=True)
class Stage:
    """Neurons of one program that are looked at: all of a population, or one for all that are alike.

    Attributes
    ----------
    name : str
        Of the population.
    program : Program
    parameters : mapping of str to int64 array [neurons]
    held : mapping of str to (int64 array [neurons], int64 array [neurons])
        By port: ends of what holders add to it.
    heard : tuple of (str, str, scipy.sparse.csr_matrix)
        Port, population of an earlier stage, and weights [neurons, neurons of that stage].
    """

    name: str
    program: Program
    parameters: Mapping[str, Integers]
    held: Mapping[str, Ends] = field(default_factory=dict)
    heard: tuple[tuple[str, str, sparse.csr_matrix], ...] = ()


@dataclass(frozen=True)
class Ranges:
    """What the neurons of a stage come to.

    Attributes
    ----------
    values : dict of str to Interval
        Every value of the program, whichever neuron it is of.
    sent : (int64 array [neurons], int64 array [neurons])
        Ends of what each neuron sends.
    """

    values: dict[str, Interval]
    sent: Ends


def network_ranges(stages: Iterable[Stage], window: OperatingWindow) -> dict[str, Ranges]:
    """Intervals that hold while masses and currents stay in the operating window.

    Parameters
    ----------
    stages : iterable of Stage
        In the order in which they answer.
    window : OperatingWindow

    Returns
    -------
    dict of str to Ranges
        By the name of the stage.

    Raises
    ------
    Excluded
        The window leaves no value to something.
    """
    limits = {} if window.current is None else {"current": Interval(-window.current, window.current)}
    found: dict[str, Ranges] = {}
    for stage in stages:
        inputs: dict[str, Ends] = {name: (values, values) for name, values in stage.parameters.items()}
        heard = ((port, _through(weights, found[source].sent)) for port, source, weights in stage.heard)
        for port, (lower, upper) in (*stage.held.items(), *heard):
            before = inputs.get(port, (np.zeros_like(lower), np.zeros_like(upper)))
            inputs[port] = before[0] + lower, before[1] + upper
        found[stage.name] = _ranges(stage.program, inputs, limits)
    return found


def _through(weights: sparse.csr_matrix, ends: Ends) -> Ends:
    positive, negative = weights.maximum(0), weights.minimum(0)
    return positive @ ends[0] + negative @ ends[1], positive @ ends[1] + negative @ ends[0]


def _ranges(program: Program, inputs: Mapping[str, Ends], limits: Mapping[str, Interval]) -> Ranges:
    """What a program makes of intervals: neuron by neuron up to its states and limits, then of all neurons at once."""
    first, rest = _divided(program, limits)
    groups, member = _groups(inputs, program.parameters if rest.operations else first.ports)
    values: dict[str, Interval] = {}
    sent: list[tuple[int, int]] = []
    for group in groups:
        of_group = bounds(first, group)
        values = {name: _hull((values.get(name, interval), interval)) for name, interval in of_group.items()}
        if not rest.operations:
            sent.append((of_group[program.sends[0]].lower, of_group[program.sends[0]].upper))
    if rest.operations:
        values |= invariant(rest, {name: values[name] for name in rest.ports}, limits)
        sent = [(values[program.sends[0]].lower, values[program.sends[0]].upper)] * len(groups)
    lower, upper = np.array(sent, np.int64)[member].T
    return Ranges(values, (lower, upper))


def _hull(intervals: Iterable[Interval]) -> Interval:
    ends = [*intervals]
    return Interval(min(interval.lower for interval in ends), max(interval.upper for interval in ends))


def _divided(program: Program, limits: Mapping[str, Interval]) -> tuple[Program, Program]:
    """What a program does before it comes to its states and to values that are limited; and the rest.

    The rest takes the values of the former as ports.
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


def _groups(inputs: Mapping[str, Ends], told_apart: Iterable[str]) -> tuple[list[dict[str, Interval]], Integers]:
    """Inputs of groups of neurons, those of other names as hulls over the group; and the group of each neuron."""
    count, member = 1, np.zeros(next(iter(inputs.values()))[0].size, np.int64)
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
    """A flux network at the faces that differ.

    Parameters
    ----------
    rows : LinearRows
        Of the first layer, see `face_rows`.
    operator : sequence of IntegerLayer
    window : OperatingWindow
    programs : sequence of (str, Program)
        Name and program of the population of each layer.

    Yields
    ------
    Stage
        Each hears the network at the port ``arrival``, and has what it adds as the parameter ``bias`` if at all.
    """
    count = rows.constant.size // operator[0].bias.size
    for number, (layer, (name, program)) in enumerate(zip(operator, programs, strict=True)):
        bias = np.tile(layer.bias, count) if number else rows.constant
        lower, upper = rows.intervals(window)
        repeated = sparse.kron(sparse.identity(count, np.int64), layer.weight, format="csr")
        yield Stage(
            name,
            program,
            {"bias": bias} if "bias" in program.parameters else {},
            {} if number else {ARRIVAL: (lower - bias, upper - bias)},
            ((ARRIVAL, programs[number - 1][0], sparse.csr_matrix(repeated, dtype=np.int64)),) if number else (),
        )


def graph_ranges(graph: IntegerGraph) -> dict[str, Ranges]:
    """Intervals of every population of a graph but those that hold mass.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    dict of str to Ranges

    Raises
    ------
    Excluded
        The window leaves no value to something.
    """
    return network_ranges(_laid_out(graph) if graph.operator else _spelled_out(graph), graph.window)


def _laid_out(graph: IntegerGraph) -> Iterator[Stage]:
    """A flux network that repeats over a mesh, at the faces that differ."""
    mesh, spec, population = graph.grid, graph.spec, faces(graph)
    programs = [(layer.name, layer.program) for layer in (*hidden_layers(graph), population)]
    rows = face_rows(mesh, spec, graph.operator[0], graph.membrane.reservoirs)
    *hidden, last = operator_stages(rows, graph.operator, graph.window, programs)
    yield from hidden
    alike = distinct_faces(mesh, spec.half_width, spec.transverse)
    others = {name: values[alike] for name, values in population.parameters.items() if name not in last.parameters}
    held = {
        port: held_rows(sparse.csr_matrix(weights[alike, :]), graph.window, graph.sole_field.inverse_volume)
        for port, source, weights in _into(graph, population, further=True)
    }
    yield replace(last, parameters={**last.parameters, **others}, held={**last.held, **held})


def _spelled_out(graph: IntegerGraph) -> Iterator[Stage]:
    """Every neuron of a graph."""
    holder, volumes = membranes(graph).name, graph.sole_field.inverse_volume
    for population in (*hidden_layers(graph), faces(graph)):
        into = [*_into(graph, population)]
        yield Stage(
            population.name,
            population.program,
            population.parameters,
            {port: held_rows(weights, graph.window, volumes) for port, source, weights in into if source == holder},
            tuple(heard for heard in into if heard[1] != holder),
        )


def _into(
    graph: IntegerGraph, population: Population, *, further: bool = False
) -> Iterator[tuple[str, str, sparse.csr_matrix]]:
    """Port, source and effective weights of what leads to a population; to its further ports alone if asked so."""
    sums: dict[tuple[str, str], sparse.csr_matrix] = {}
    for synapse in graph.synapses:
        if synapse.target == population.name and not (further and synapse.port == ARRIVAL):
            known = sums.get((synapse.port, synapse.source))
            sums[synapse.port, synapse.source] = synapse.matrix() if known is None else known + synapse.matrix()
    yield from ((port, source, sparse.csr_matrix(weights)) for (port, source), weights in sums.items())
