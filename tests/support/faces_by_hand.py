"""Random graphs of one field, as runs and audits know them: hidden populations and faces of random programs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from graphs_by_hand import LARGEST_SENT, Integers, field_on, graph_of, synapse, tamed
from numpy.typing import NDArray
from random_programs import random_program

from pisnn_deploy.graph import IntegerGraph, Synapse, kinds
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.limiter import SOURCE_MASS, TARGET_MASS
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh import Mesh, Sides, structured_mesh
from pisnn_deploy.programs import Operand, Operation, Program, Table

SHORT = 12
"""Most operations of a random part of a face: two parts and what fires must fit a program."""
BOUNDARIES: tuple[Sides, ...] = (
    ("periodic", "periodic"),
    ("no-flux", "no-flux"),
    ("dirichlet", "no-flux"),
    ("dirichlet", "dirichlet"),
)


def stateless(rng: np.random.Generator, most: int = 64) -> Program:
    """A random program that takes any input and keeps nothing: what were states are parameters; it sends one value."""
    seeds = (int(seed) for _ in itertools.count() for seed in rng.integers(1 << 40, size=1))
    program = next(p for p in map(tamed, map(random_program, seeds)) if len(p.operations) <= most)
    parameters = (*program.parameters, *program.states)
    return replace(program, states=(), after=(), parameters=parameters, sends=program.sends[:1])


class _Parts:
    """Operations of several programs in one, each with names of its own."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.tables: list[Table] = []
        self.parameters: list[str] = []

    def add(self, result: str, name: str, *operands: Operand) -> None:
        self.operations.append(Operation(tuple(result.split()), name, operands))

    def take(self, program: Program, prefix: str, inputs: Mapping[str, str]) -> str:
        """Append a program that reads values of others at some of its inputs; the name of what it would send."""

        def renamed(operand: Operand) -> Operand:
            return inputs.get(operand, f"{prefix}{operand}") if isinstance(operand, str) else operand

        for operation in program.operations:
            results = tuple(str(renamed(result)) for result in operation.results)
            self.operations.append(Operation(results, operation.name, tuple(map(renamed, operation.operands))))
        self.tables += [Table(f"{prefix}{table.name}", table.entries) for table in program.tables]
        self.parameters += [f"{prefix}{name}" for name in program.inputs if name not in inputs]
        return f"{prefix}{program.sends[0]}"


def face_program(rng: np.random.Generator, *, keeps: bool, is_limited: bool) -> Program:
    """A face that fires a random function of what it hears, and may withhold some of it by the masses at its ends."""
    parts, program = _Parts(), stateless(rng, most=SHORT + 16)
    inputs = {program.ports[0]: "arrival", **({program.parameters[-1]: "current_before"} if keeps else {})}
    value = parts.take(program, "d_", inputs)
    parts.add("above", "max", "arrival", -LARGEST_SENT)
    parts.add("heard", "min", "above", LARGEST_SENT)
    parts.add("current", "add", "heard", value)
    parts.add("potential", "add", "residue_before", "current")
    parts.add(f"{'fired' if is_limited else 'packet'} residue", "fire", "potential", int(rng.integers(3, 11)))
    if is_limited:
        program = stateless(rng, most=SHORT + 16)
        free = (*program.ports[1:], *program.parameters)
        ends = dict(zip(free, (SOURCE_MASS, TARGET_MASS), strict=False))
        parts.add("packet", "min", "fired", parts.take(program, "w_", {program.ports[0]: "fired", **ends}))
    states = {"current_before": "current"} if keeps else {}
    states["residue_before"] = "residue"
    return Program(
        "face",
        ("arrival", SOURCE_MASS, TARGET_MASS) if is_limited else ("arrival",),
        tuple(states),
        tuple(parts.parameters),
        tuple(parts.operations),
        tuple(states.values()),
        ("packet",),
        tuple(parts.tables),
    )


def _population(rng: np.random.Generator, name: str, size: int, program: Program) -> Population:
    return Population(name, size, program, {p: rng.integers(-(1 << 20), 1 << 20, size) for p in program.parameters})


def _of_cells(weights: Integers, mesh: Mesh) -> Integers:
    """Weights from holders without those from reservoirs, which never send."""
    return np.where(np.arange(mesh.holders) < mesh.cells, weights, 0)


def _mass_at(holder: NDArray[np.int64], mesh: Mesh) -> Integers:
    return _of_cells((holder[:, None] == np.arange(mesh.holders)).astype(np.int64), mesh)


def random_graph_of_one_field(seed: int) -> IntegerGraph:
    """Up to three hidden populations in any order of depth, and faces with or without a kept current and a limiter."""
    rng = np.random.default_rng(seed)
    mesh = structured_mesh((int(rng.integers(3, 6)),), (1.0,), (BOUNDARIES[int(rng.integers(len(BOUNDARIES)))],))
    field = field_on(mesh, MEMBRANE, mesh.reservoirs)
    is_limited, keeps = (bool(rng.random() < 0.5) for _ in range(2))
    faces = _population(rng, FLUX, mesh.faces, face_program(rng, keeps=keeps, is_limited=is_limited))
    populations, synapses = [kinds.holders(field, rng.integers(-1000, 1000, mesh.cells))], list[Synapse]()
    hidden = [
        _population(rng, f"hidden{number + 1}", int(rng.integers(1, 6)), stateless(rng))
        for number in range(int(rng.integers(0, 4)))
    ]
    for population in (*hidden, faces):
        silent = {p.name for p in populations} - {s.source for s in synapses}
        for port in population.program.ports:
            if port in (SOURCE_MASS, TARGET_MASS):
                holder = mesh.source if port == SOURCE_MASS else mesh.target
                synapses.append(synapse(MEMBRANE, FLUX, _mass_at(holder, mesh), port))
                continue
            chosen = set(rng.choice([p.name for p in populations], int(rng.integers(1, 3))))
            for sender in populations:
                if sender.name in chosen or (population is faces and sender.name in silent):
                    weights = rng.integers(-3, 4, (population.size, sender.size))
                    weights = _of_cells(weights, mesh) if sender.name == MEMBRANE else weights
                    synapses.append(synapse(sender.name, population.name, weights, port))
        populations.append(population)
    return graph_of(mesh, [field], populations, [kinds.face_channels(mesh)], synapses)
