"""Graphs that no pass builds: several fields, sinks, exchange, populations of several ports, random programs.

`InPythonIntegers` is their meaning, neuron by neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from models_under_test import heat_spec
from numpy.typing import NDArray
from random_programs import Drawn, random_program

from pisnn_deploy.graph import IntegerGraph, OperatingWindow, Quantisation, Synapse, kinds
from pisnn_deploy.graph.annotations import Bound
from pisnn_deploy.graph.connections import Explicit
from pisnn_deploy.graph.fields import Channels, Field, Ledger, equal_volumes
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.shape import incidence
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.mesh import Mesh, structured_mesh
from pisnn_deploy.programs import Operation, Program, Result, parse, run
from pisnn_deploy.programs.neurons import LOW, FaceConstants, flux
from pisnn_deploy.programs.whole import Whole

Integers = NDArray[np.int64]
States = dict[str, list[dict[str, int]]]
"""Of each neuron of each population, its states by name."""
Sends = dict[str, list[tuple[int, ...]]]
LARGEST_SENT = 1 << 15
Named = TypeVar("Named", Population, Synapse, Field, Channels, Bound)


def of_a_law(graph: IntegerGraph, lower: int = -(2**40), upper: int = 2**40) -> IntegerGraph:
    """The graph with the recipe of a law of its fields and ledgers, and with operating windows of these quanta."""
    fields = [field.name for field in graph.fields]
    window = OperatingWindow(lower, upper, None)
    scales = {field.name: field.value_per_quantum for field in graph.fields}
    spec = LawSpec.model_validate(
        {
            "name": "by-hand",
            "law": {
                "fields": fields,
                "flux": {name: name for name in fields},
                "sources": {f.name: {ledger.name: "1" for ledger in f.ledgers} for f in graph.fields if f.ledgers},
            },
            "domain": {"lengths": [1.0], "boundary": "periodic"},
            "initial": dict.fromkeys(fields, "0"),
            "range": {name: [lower * scale, upper * scale] for name, scale in scales.items()},
            "time": 1.0,
            "mesh": [graph.mesh.cells],
        }
    )
    return replace(graph, spec=spec, fields=tuple(replace(field, window=window) for field in graph.fields))


def ring(cells: int) -> Mesh:
    return structured_mesh((cells,), (1.0,), (("periodic", "periodic"),))


def field_on(mesh: Mesh, name: str, reservoirs: int = 0) -> Field:
    window = OperatingWindow(-(2**40), 2**40, None)
    shown = np.zeros(reservoirs, np.int64)
    ledgers = (Ledger(f"outside-{name}", reservoirs),) if reservoirs else ()
    volumes, held = equal_volumes(mesh.cells), shown.astype(np.float64)
    return Field(name, name, mesh.volume, window, volumes, mesh.volume, shown, held, ledgers)


def connected(weights: Integers) -> Explicit:
    """Every weight of a dense matrix [target, source], doubled, as targets store them."""
    row, column = np.nonzero(weights)
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(weights)))]).astype(np.int64)
    return Explicit(starts, column.astype(np.int64), 2 * weights[row, column], weights.shape[1])


def synapse(source: str, target: str, weights: Integers, port: str = "arrival", output: int = 0) -> Synapse:
    name = f"{source}-{output}-to-{target}-{port}".replace("_", "-")
    return Synapse(name, source, target, connected(weights), -1, port, output)


def routed(graph: IntegerGraph) -> IntegerGraph:
    """The graph with the synapses that carry every packet to both its ends."""
    routes = [
        synapse(c.population, holder, incidence(graph, c, holder).toarray(), output=c.output)
        for c in graph.channels
        for holder in sorted({c.source_holder, c.target_holder})
    ]
    return replace(graph, synapses=(*graph.synapses, *routes))


def graph_of(
    mesh: Mesh,
    fields: Sequence[Field],
    populations: Sequence[Population],
    channels: Sequence[Channels],
    synapses: Sequence[Synapse],
) -> IntegerGraph:
    """A graph in the order of its populations' depth, its packets routed to their ends."""
    graph = IntegerGraph(
        spec=heat_spec(),
        mesh=mesh,
        time_step=1.0,
        populations=tuple(populations),
        synapses=tuple(synapses),
        fields=tuple(fields),
        channels=tuple(channels),
        quantisation=Quantisation(0, None, None),
    )
    return routed(replace(graph, populations=tuple(map(graph.population, graph.depths))))


def two_fields(cells: int = 6) -> IntegerGraph:
    """Depth and momentum on one ring: each flux hears both fields."""
    mesh, rng = ring(cells), np.random.default_rng(1)
    fields = [field_on(mesh, "h"), field_on(mesh, "q")]
    faces = [replace(kinds.faces(mesh, FaceConstants(5, 3000)), name=f"flux-{f.name}") for f in fields]
    return graph_of(
        mesh,
        fields,
        [*(kinds.holders(f, rng.integers(0, 1000, cells)) for f in fields), *faces],
        [kinds.face_channels(mesh, f.holder, p.name) for f, p in zip(fields, faces, strict=True)],
        [
            synapse(f.holder, p.name, rng.integers(-9, 10, (cells, cells)) * (rng.random((cells, cells)) < 0.4))
            for f in fields
            for p in faces
        ],
    )


def sink(cells: int = 5) -> IntegerGraph:
    """One field: faces between cells, and from each cell a channel to a reservoir of its own; nothing stays."""
    mesh = ring(cells)
    field = field_on(mesh, "u", reservoirs=cells)
    number = np.arange(cells, dtype=np.int64)
    decay = Population("decay", cells, flux(3), {"bias": np.full(cells, 2, np.int64)})
    heard = np.concatenate([np.eye(cells, dtype=np.int64), np.zeros((cells, cells), np.int64)], axis=1)
    differences = heard[mesh.source] - heard[mesh.target]
    return graph_of(
        mesh,
        [field],
        [kinds.holders(field, 100 * number), kinds.faces(mesh, FaceConstants(4)), decay],
        [kinds.face_channels(mesh, "u"), Channels("decay", "u", "u", number, cells + number)],
        [synapse("u", "flux", 3 * differences), synapse("u", "decay", heard)],
    )


def reaction(cells: int = 4) -> IntegerGraph:
    """Two species: a channel takes from one and gives to the other at the rate of a product of both their levels."""
    mesh = ring(cells)
    fields = [field_on(mesh, "a"), field_on(mesh, "b")]
    each = np.eye(cells, dtype=np.int64)
    level = parse("neuron level(arrival; ; )\nlevel = asr(arrival, 2)\nsend level")
    product = parse(
        "neuron product(first, second; ; scale)\nproduct = mul_shr(first, second, 4)\n"
        "scaled = mul_shr(product, scale, 3)\nsend scaled"
    )
    number = np.arange(cells, dtype=np.int64)
    return graph_of(
        mesh,
        fields,
        [
            *(kinds.holders(f, 400 + 31 * number) for f in fields),
            Population("level-a", cells, level),
            Population("level-b", cells, level),
            Population("product", cells, product, {"scale": 5 + number}),
            Population("rate", cells, flux(6), {"bias": 0 * number}),
        ],
        [Channels("rate", "a", "b", number, number)],
        [
            *(synapse(f.holder, f"level-{f.name}", each) for f in fields),
            synapse("level-a", "product", each, "first"),
            synapse("level-b", "product", each, "second"),
            synapse("product", "rate", each),
        ],
    )


def tamed(drawn: Drawn) -> Program:
    """A random program that takes any input: ports and states are clamped to what it was drawn for, and sends too."""
    program, operations = drawn.program, list[Operation]()
    for name in (*program.ports, *program.states):
        interval = drawn.bounds[name]
        operations.append(Operation((f"{name}_low",), "max", (f"{name}_in", interval.lower)))
        operations.append(Operation((name,), "min", (f"{name}_low", interval.upper)))
    operations += program.operations
    ends = {}
    for number, name in enumerate(dict.fromkeys((*program.after, *program.sends))):
        operations.append(Operation((f"end{number}_low",), "max", (name, -LARGEST_SENT)))
        operations.append(Operation((f"end{number}",), "min", (f"end{number}_low", LARGEST_SENT)))
        ends[name] = f"end{number}"
    return Program(
        "drawn",
        tuple(f"{port}_in" for port in program.ports),
        tuple(f"{state}_in" for state in program.states),
        program.parameters,
        tuple(operations),
        tuple(ends[name] for name in program.after),
        tuple(ends[name] for name in program.sends),
        program.tables,
    )


def random_graph(seed: int) -> IntegerGraph:
    """One to three fields, with ledgers, and up to seven populations of random programs, some of them channels."""
    rng = np.random.default_rng(seed)
    mesh = ring(int(rng.integers(3, 6)))
    fields = [field_on(mesh, f"u{number}", int(rng.integers(0, 3))) for number in range(int(rng.integers(1, 4)))]
    populations = [kinds.holders(f, rng.integers(-1000, 1000, mesh.cells)) for f in fields]
    synapses, channels = [], []
    for number in range(int(rng.integers(1, 8))):
        drawn, size = random_program(int(rng.integers(1 << 40))), int(rng.integers(1, 6))
        program, inputs = tamed(drawn), drawn.inputs(rng, size)
        parameters = {name: inputs[name] for name in program.parameters}
        start = {name: rng.integers(-5, 6, size) for name in program.states if rng.random() < 0.7}
        population = Population(f"p{number}", size, program, parameters, start)
        for port in program.ports:
            for source in rng.choice(len(populations), min(len(populations), int(rng.integers(1, 3))), replace=False):
                sender = populations[source]
                weights = rng.integers(-3, 4, (size, sender.size))
                output = int(rng.integers(len(sender.program.sends)))
                synapses.append(synapse(sender.name, population.name, weights, port, output))
        populations.append(population)
        for output in range(len(program.sends)):
            if number == 0 or rng.random() < 0.5:
                ends = [fields[int(rng.integers(len(fields)))] for _ in range(2)]
                source, target = (rng.integers(0, f.size, size) for f in ends)
                channels.append(Channels(population.name, ends[0].holder, ends[1].holder, source, target, output))
    return graph_of(mesh, fields, populations, channels, synapses)


def runnable_graph(seed: int, cells: int | None = None) -> IntegerGraph:
    """One to three fields and what every backend runs: random stateless populations, and C-LIF channels behind them.

    Some channels see residues.
    """
    rng, seeing = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    drawn_cells = int(rng.integers(3, 6))
    mesh = ring(drawn_cells if cells is None else cells)
    fields = [field_on(mesh, f"u{number}", int(rng.integers(0, 3))) for number in range(int(rng.integers(1, 4)))]
    populations = [kinds.holders(f, rng.integers(-1000, 1000, mesh.cells)) for f in fields]
    synapses, channels = list[Synapse](), list[Channels]()

    def join(target: Population) -> None:
        for port in target.program.ports:
            if port == LOW:
                weights = seeing.integers(-3, 4, (target.size, target.size))
                synapses.append(synapse(target.name, target.name, weights, port, 1))
                continue
            for number in rng.choice(len(populations), min(len(populations), int(rng.integers(1, 3))), replace=False):
                source = populations[number]
                weights = rng.integers(-3, 4, (target.size, source.size))
                weights[:, mesh.cells if number < len(fields) else source.size :] = 0
                output = int(rng.integers(len(source.program.sends)))
                synapses.append(synapse(source.name, target.name, weights, port, output))

    for number in range(int(rng.integers(0, 5))):
        drawn, size = random_program(int(rng.integers(1 << 40)), stateless=True), int(rng.integers(1, 6))
        program, inputs = tamed(drawn), drawn.inputs(rng, size)
        parameters = {name: inputs[name] for name in program.parameters}
        population = Population(f"p{number}", size, program, parameters)
        join(population)
        populations.append(population)
    carriers = []
    for number in range(int(rng.integers(1, 4))):
        size = int(rng.integers(1, 6))
        exponent, leak = int(rng.integers(4, 10)), int(rng.choice([4096, 3000, 400]))
        program = flux(exponent, leak, sees_residues=bool(seeing.random() < 0.4))
        population = Population(f"c{number}", size, program, {"bias": rng.integers(-50, 50, size)})
        join(population)
        carriers.append(population)
        ends = [fields[int(rng.integers(len(fields)))] for _ in range(2)]
        source, target = (rng.integers(0, f.size, size) for f in ends)
        channels.append(Channels(population.name, ends[0].holder, ends[1].holder, source, target))
    heard = {s.source for s in synapses}
    idle = {p.name for p in populations[len(fields) :]} - heard
    while idle:  # a population that sends to none goes, and with it what sends to it alone
        synapses = [s for s in synapses if s.target not in idle]
        populations = [p for p in populations if p.name not in idle]
        heard = {s.source for s in synapses}
        idle = {p.name for p in populations[len(fields) :]} - heard
    return graph_of(mesh, fields, [*populations, *carriers], channels, synapses)


def silent_ledgers(graph: IntegerGraph) -> IntegerGraph:
    """The graph without synapses from reservoirs, which never send."""

    def of_cells(synapse: Synapse) -> Synapse:
        if synapse.source not in graph.holders:
            return synapse
        is_cell = synapse.columns < graph.field_of(synapse.source).cells
        return synapse.with_mantissas(np.where(is_cell, synapse.mantissas, 0))

    return replace(graph, synapses=tuple(map(of_cells, graph.synapses)))


def side_by_side(graphs: Sequence[IntegerGraph]) -> IntegerGraph:
    """One graph of several that share nothing, for one run of all; the names of the first begin with ``g0``."""
    first = graphs[0]
    parts = [_renamed(graph, f"g{number}") for number, graph in enumerate(graphs)]
    whole = replace(
        first,
        populations=tuple(population for part in parts for population in part.populations),
        synapses=tuple(synapse for part in parts for synapse in part.synapses),
        fields=tuple(field for part in parts for field in part.fields),
        channels=tuple(channels for part in parts for channels in part.channels),
        bounds=tuple(bound for part in parts for bound in part.bounds),
        certificate=None,
        placement=None,
    )
    period = None if first.period is None else 1 + max(whole.depths.values())
    return replace(whole, period=period, populations=tuple(map(whole.population, whole.depths)))


def _renamed(graph: IntegerGraph, prefix: str) -> IntegerGraph:
    def renamed(part: Named, *names: str) -> Named:
        changes: dict[str, Any] = {name: f"{prefix}-{getattr(part, name)}" for name in names}
        return replace(part, **changes)

    return replace(
        graph,
        populations=tuple(renamed(population, "name") for population in graph.populations),
        synapses=tuple(renamed(synapse, "name", "source", "target") for synapse in graph.synapses),
        fields=tuple(renamed(field, "name", "holder") for field in graph.fields),
        channels=tuple(renamed(c, "population", "source_holder", "target_holder") for c in graph.channels),
        bounds=tuple(renamed(bound, "population") for bound in graph.bounds),
    )


class InPythonIntegers:
    """The meaning of a graph, neuron by neuron."""

    def __init__(self, graph: IntegerGraph) -> None:
        self._graph = graph
        self._weights = [(synapse, synapse.matrix().toarray().tolist()) for synapse in graph.synapses]

    def start(self) -> States:
        """Every state before the first PDE step."""
        states: States = {
            population.name: [
                {state: int(values[neuron]) for state, values in population.started().items()}
                for neuron in range(population.size)
            ]
            for population in self._graph.populations
        }
        first, _ = self._answers(states)
        for population in self._graph.populations:
            if population.is_late:
                for neuron, after in zip(states[population.name], first[population.name], strict=True):
                    neuron.update({state: after[state] for state in population.hearing_states})
        return states

    def step(self, states: States) -> States:
        """Every state after a PDE step."""
        after, sends = self._answers(states)
        for holder in self._graph.holders:
            results = self._results(self._graph.population(holder), states, sends)
            after[holder] = [result.states for result in results]
        return after

    def _answers(self, states: States) -> tuple[States, Sends]:
        """New states and what is sent of all populations but holders."""
        sends: Sends = {holder: [tuple(neuron.values()) for neuron in states[holder]] for holder in self._graph.holders}
        after: States = {}
        for population in self._graph.populations:
            if population.name not in self._graph.holders:
                results = self._results(population, states, sends)
                sends[population.name] = [result.sends for result in results]
                after[population.name] = [result.states for result in results]
        return after, sends

    def _results(self, population: Population, states: States, sends: Sends) -> list[Result[int]]:
        arrived = [dict.fromkeys(population.program.ports, 0) for _ in range(population.size)]
        for synapse, weights in self._weights:
            if synapse.target == population.name:
                if synapse.source == population.name:  # arrives one PDE step later
                    becomes = dict(zip(population.program.after, population.program.states, strict=True))
                    state = becomes[population.program.sends[synapse.output]]
                    sent = [neuron[state] for neuron in states[population.name]]
                else:
                    sent = [values[synapse.output] for values in sends[synapse.source]]
                for neuron, row in zip(arrived, weights, strict=True):
                    neuron[synapse.port] += sum(w * a for w, a in zip(row, sent, strict=True))
        parameters = population.parameters.items()
        return [
            run(
                population.program,
                Whole(),
                {**ports, **states[population.name][n], **{name: int(values[n]) for name, values in parameters}},
            )
            for n, ports in enumerate(arrived)
        ]
