"""Graphs of several fields as runs know them: populations without states between holders and channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from faces_by_hand import face_program
from graphs_by_hand import field_on, graph_of, ring, synapse, tamed
from random_programs import random_program

from pisnn_deploy.graph import IntegerGraph, Synapse, kinds
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Program, parse
from pisnn_deploy.programs.neurons import flux


def reaction_of_channels(cells: int = 4) -> IntegerGraph:
    """Two species that diffuse; a product of their levels takes from one and gives to the other."""
    mesh = ring(cells)
    fields = [field_on(mesh, "a"), field_on(mesh, "b", reservoirs=2)]
    each = np.eye(cells, dtype=np.int64)
    of_cells = {"a": each, "b": np.concatenate([each, np.zeros((cells, 2), np.int64)], axis=1)}
    rate = parse(
        "neuron rate(first, second; ; factor)\ntable bend = 0 3 5 6\nproduct = mul_shr(first, second, 4)\n"
        "index = asr(first, 7)\nbent = table(index, bend)\nscaled = mul_shr(bent, factor, 1)\n"
        "rate = add(product, scaled)\nsend rate, scaled"
    )
    number = np.arange(cells, dtype=np.int64)
    nothing = np.zeros(cells, np.int64)

    def faces(name: str) -> Population:
        return Population(f"{name}-flux", mesh.faces, flux(4), {"bias": np.zeros(mesh.faces, np.int64)})

    return graph_of(
        mesh,
        fields,
        [
            *(kinds.holders(field, 400 + 31 * number) for field in fields),
            Population("rate", cells, rate, {"factor": 3 + number}),
            *(faces(field.name) for field in fields),
            Population("reaction", cells, flux(9), {"bias": nothing}),
            Population("feed", cells, flux(6), {"bias": nothing + 5}),
        ],
        [
            *(kinds.face_channels(mesh, field.holder, f"{field.name}-flux") for field in fields),
            Channels("reaction", "a", "b", number, number),
            Channels("feed", "b", "b", cells + number % 2, number),
        ],
        [
            *(
                synapse(name, f"{name}-flux", matrix[mesh.source] - matrix[mesh.target])
                for name, matrix in of_cells.items()
            ),
            synapse("a", "rate", each, "first"),
            synapse("b", "rate", of_cells["b"], "second"),
            synapse("rate", "reaction", each),
            synapse("rate", "feed", each, output=1),
        ],
    )


def random_fields(seed: int) -> IntegerGraph:
    """One to three fields with ledgers, populations of several ports and outputs, and up to three of channels."""
    rng = np.random.default_rng(seed)
    mesh = ring(int(rng.integers(3, 6)))
    fields = [field_on(mesh, f"u{number}", int(rng.integers(0, 3))) for number in range(int(rng.integers(1, 4)))]
    senders = [kinds.holders(field, rng.integers(-1000, 1000, mesh.cells)) for field in fields]
    synapses, channels, firing = list[Synapse](), list[Channels](), list[Population]()
    between = int(rng.integers(0, 4))
    for number in range(between + int(rng.integers(1, 4))):
        is_channel = number >= between
        program = face_program(rng, keeps=bool(rng.random() < 0.5), is_limited=False) if is_channel else answering(rng)
        size = int(rng.integers(1, 6))
        parameters = {name: rng.integers(-(1 << 20), 1 << 20, size) for name in program.parameters}
        population = Population(f"p{number}", size, program, parameters)
        for port in program.ports:
            silent = {p.name for p in senders[len(fields) :]} - {s.source for s in synapses}
            chosen = {*rng.choice([p.name for p in senders], int(rng.integers(1, 3))), *silent}
            for sender in senders:
                for output in range(len(sender.program.sends)) if sender.name in chosen else ():
                    weights = rng.integers(-3, 4, (size, sender.size))
                    weights[:, mesh.cells if sender in senders[: len(fields)] else sender.size :] = 0
                    synapses.append(synapse(sender.name, population.name, weights, port, output))
        if is_channel:
            ends = [fields[int(rng.integers(len(fields)))] for _ in range(2)]
            source, target = (rng.integers(0, field.size, size) for field in ends)
            channels.append(Channels(population.name, ends[0].holder, ends[1].holder, source, target))
        (firing if is_channel else senders).append(population)
    return graph_of(mesh, fields, [*senders, *firing], channels, synapses)


def answering(rng: np.random.Generator) -> Program:
    """A random program that keeps nothing, with one or two ports and all its outputs."""
    program = tamed(random_program(int(rng.integers(1 << 40))))
    return replace(program, states=(), after=(), parameters=(*program.parameters, *program.states))


def first_masses(graph: IntegerGraph) -> Integers:
    """Masses of the cells of all fields at the start, field by field."""
    starts = [next(iter(graph.population(f.holder).started().values()))[: f.cells] for f in graph.fields]
    return np.concatenate(starts)
