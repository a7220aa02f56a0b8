"""Sides whose value a program may set while it runs: what their values change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.formats.c.conduction import conduction
from pisnn_deploy.formats.c.effects import BIAS, Effect, Side, Sides, Signal
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.kinds import face_of
from pisnn_deploy.graph.layout import window_biases
from pisnn_deploy.programs.interval import Interval

LARGEST_VALUE = 1 << 30
"""Values of sides are smaller, so that differences of two fit 32 bits."""
BEYOND = "beyond"
"""Parameter of faces with a low flux: what reservoirs add to the masses that it depends on."""


@dataclass(frozen=True)
class _Refused:
    """Why no side can be set; completes a sentence."""

    why: str


def sides_of(graph: IntegerGraph) -> Sides:
    """Sides that can be set while a graph runs, or why there are none.

    1. Of a flux network on a grid: sides with one value, whose parts in biases and in low fluxes are linear in it.
       Ghost cells in corners of two such sides are not, so windows must not reach there.
    2. Of two-point fluxes, on grids and on meshes of cells: sides or groups with one value. Weights may have several
       digits.
    3. Of a law: sides whose value is a table over time, which the value replaces.
    """
    if graph.spec.equation == "law":
        return _of_law(graph)
    if not graph.mesh.reservoirs:
        return Sides(why="it has none with a value")
    made = _of_network(graph) if graph.materials is None else _of_materials(graph)
    return Sides(why=made.why) if isinstance(made, _Refused) else made


def _of_network(graph: IntegerGraph) -> Sides | _Refused:
    if not graph.operator or graph.mesh.grid is None:
        return _Refused("its fluxes are not those of a flux network")
    if graph.model_spec.transverse:
        return _Refused("its fluxes see ghost cells in corners, which are not linear in the values of the sides")
    spec, field, layer = graph.model_spec, graph.sole_field, graph.operator[0]
    population = graph.population(graph.chain[1])
    if population.name in graph.order.answers:
        population = graph.sole_channels

    def biases(reservoirs: Integers) -> Integers:
        weight, reach = spec.by_axis(layer.weight), (spec.half_width, spec.transverse)
        return np.asarray(window_biases(weight, layer.bias, graph.grid, *reach, reservoirs, spec.wall), np.int64)

    if BIAS not in population.parameters or (population.parameters[BIAS] != biases(field.reservoirs)).any():
        return _Refused("its biases are not those of its sides")
    faces, nothing = graph.sole_channels, biases(np.zeros_like(field.reservoirs))
    signs = _low_signs(graph)
    sides = []
    for name, numbers in _with_one_value(graph):
        unit = np.zeros_like(field.reservoirs)
        unit[numbers] = 1
        effects = [Effect.of(population.name, BIAS, biases(unit) - nothing)]
        if signs is not None:
            effects.append(Effect.of(faces.name, BEYOND, signs @ unit))
        sides.append(Side(name, int(field.reservoirs[numbers[0]]), tuple(effects)))
    if signs is not None and (faces.parameters[BEYOND] != signs @ field.reservoirs).any():
        return _Refused("its low fluxes are not those of its sides")
    return _with_window(graph, sides, 0)


def _low_signs(graph: IntegerGraph) -> Integers | None:
    """Sign with which each reservoir enters the low flux of each face, [faces, reservoirs]; None without one."""
    face, mesh = face_of(graph), graph.mesh
    if face is None or face.limiter is None or not face.limiter.has_low:
        return None
    signs = np.zeros((mesh.faces, mesh.reservoirs), np.int64)
    for end, holders, sign in (("source", mesh.source, 1), ("target", mesh.target, -1)):
        if face.limiter.upwind in (end, "both"):
            at = np.flatnonzero(holders >= mesh.cells)
            signs[at, holders[at] - mesh.cells] += sign
    return signs


def _of_materials(graph: IntegerGraph) -> Sides | _Refused:
    flow = conduction(graph)
    if isinstance(flow, str):
        return _Refused(flow)
    field = graph.sole_field
    sides = []
    for name, numbers in _with_one_value(graph):
        weights = flow.weights_of(graph.mesh, numbers)
        quanta = int(field.reservoirs[numbers[0]])
        effect = Effect.of(graph.sole_channels.name, BIAS, weights, flow.digits)
        sides.append(Side(name, quanta >> flow.shift, (effect,)))
    return _with_window(graph, sides, flow.shift, flow.upstream)


def _with_one_value(graph: IntegerGraph) -> list[tuple[str, Integers]]:
    """Name and reservoirs of each side that shows one value."""
    shown = graph.sole_field.reservoirs
    ledgers = graph.ledgers_of(graph.sole_field).items()
    return [
        (name, numbers) for name, numbers in ledgers if numbers.size and (shown[numbers] == shown[numbers[0]]).all()
    ]


def _with_window(
    graph: IntegerGraph, sides: list[Side], shift: int, upstream: tuple[str, ...] = ()
) -> Sides | _Refused:
    if not sides:
        return _Refused("each has several values")
    window = graph.sole_field.window
    values = Interval(-(-window.lower >> shift) << shift, window.upper >> shift << shift)
    if max(abs(values.lower), abs(values.upper)) >= LARGEST_VALUE:
        return _Refused(f"values of its sides may have more than {LARGEST_VALUE.bit_length() - 1} bits")
    return Sides(values, tuple(sides), shift, upstream)


def _of_law(graph: IntegerGraph) -> Sides:
    """Sides whose value is a table over time that enters by one neuron."""
    signals = tuple(_signals(graph))
    if signals:
        return Sides(signals=signals)
    return Sides(why="values of a law's sides are constants within products, except where they are a table over time")


def _signals(graph: IntegerGraph) -> Iterator[Signal]:
    assert graph.spec.equation == "law"
    known = {(bound.population, bound.quantity): Interval(bound.lower, bound.upper) for bound in graph.bounds}
    for side, conditions in graph.spec.conditions.items():
        for name, condition in conditions.items():
            clocks = re.compile(re.escape(f"{name}-{side}-time") + r"[0-9]+")
            populations = [population for population in graph.populations if clocks.fullmatch(population.name)]
            if condition.over_time is None or len(populations) != 1:
                continue
            (population,) = populations
            sends = population.program.sends
            sent = known.get((population.name, population.quantity(sends[0])))
            if population.size == len(sends) == 1 and sent is not None:
                label = side if len(graph.fields) == 1 else f"{name}-{side}"
                ends = min(condition.over_time.values), max(condition.over_time.values)
                yield Signal(label, population.name, sent, ends)
