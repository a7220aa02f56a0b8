"""Check of the claim that packets at constant states are the fluxes and rates of the law.

The checker steps the graph once from each constant state, with its own reader of programs on arrays, and compares the
current of every channel that no side is near with the law's own expression.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.laws.calculus import ZERO
from pisnn_deploy.laws.expression import Expression, Symbol, evaluate, free_names
from pisnn_deploy.laws.law import split_level
from pisnn_deploy.mesh import PERIODIC
from pisnn_deploy.verify.laws import law_of, left_out
from pisnn_deploy.verify.programs import Node, Reading, read, shift_of
from pisnn_deploy.verify.stored import summed
from pisnn_deploy.verify.transport import is_transport_right, transport, transport_errors

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]
STATES_AT_MOST = 27
AT_ONCE = 1 << 16
"""Masses of states that are computed together."""
CELLS_TO_A_SIDE = 6
LARGEST_ERROR = 0.05
"""Largest error of a flux with which the integers still count as the law's."""
ROUNDING_UP = 1.11
"""Largest factor by which rounding up to two digits enlarges a figure."""


def consistency(claim: Claim | None, graph: IntegerGraph) -> Iterator[str]:
    """Yield errors in the claim on the equation of a graph of a law.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph of a law, whose values fit 64 bits.
    """
    step = Step(graph)
    compared = _compared(graph, step)
    if compared is None:
        yield from left_out(claim, graph)
        return
    states, terms, worst = compared
    expected: dict[str, float] = {"states": states, "terms": terms, "flux_error": worst}
    slopes = [*_diffusions(graph, step)]
    if slopes:
        expected |= {"gradients": len(slopes), "gradient_error": max(slopes)}
    moved = _transport(graph, step)
    expected |= moved | ({"limited": 1} if graph.order.answers else {})
    if claim is None or claim.figures.keys() != expected.keys():
        yield "the claim differs from what the checker proved"
        return
    yield from transport_errors(claim.figures, moved, graph.grid.spacing[0])
    counts = [name for name in expected if not name.endswith("_error") and name not in moved]
    is_law = max(claim.figures[name] for name in expected if name.endswith("_error")) <= LARGEST_ERROR
    is_law = is_law and is_transport_right(claim.figures, graph.grid.spacing[0])
    own = "trained-states" if law_of(graph).method == "trained" else "constant-states"
    method = ("proved", own) if is_law else ("none", "other-law")
    if (claim.status, claim.method) != method or any(claim.figures[name] != expected[name] for name in counts):
        yield "the claim differs from what the checker proved"
    for name, what in (("flux_error", "fluxes and rates of constant states"), ("gradient_error", "diffusive fluxes")):
        error, claimed = expected.get(name, 0.0), float(claim.figures.get(name, 0.0))
        if not error * (1 - 1e-6) <= claimed <= ROUNDING_UP * error + 1e-12:
            yield f"{what} are up to {error:.2g} off, but the claim says {claimed:.2g}"


def _transport(graph: IntegerGraph, step: Step) -> dict[str, float]:
    """Velocity and diffusivity of a linear law on a line."""
    field = graph.fields[0]
    own = [channels for channels in graph.channels if channels.population == f"{field.name}-flux"]
    if not own or law_of(graph).method == "trained":
        return {}
    name = own[0].population
    return transport(graph, own[0], away_from_sides(graph, own[0]), lambda m: step.currents({field.holder: m})[name])


def _diffusions(graph: IntegerGraph, step: Step) -> Iterator[float]:
    """Largest relative error of the diffusive fluxes at a constant gradient, for each field and axis.

    Fields with another flux, and terms that depend on place, are left out.
    """
    law = law_of(graph).parsed()
    for field in graph.fields:
        own = [channels for channels in graph.channels if channels.population == f"{field.name}-flux"]
        mobile, level = law.diffusion.get(field.name), law.level.get(field.name)
        if not own or (mobile is None and level is None) or mobile == ZERO:
            continue
        names = {name for term in (mobile, level) if term is not None for name in free_names(term)}
        if names & {"x", "y", "z", *law.given} or any(field.name in fluxes for fluxes in law.flux):
            continue
        driving = Symbol(field.name) if level is None else split_level(level)[0]
        for axis in range(len(graph.grid.shape)):
            error = _diffusion_error(graph, step, own[0], axis, (mobile, driving))
            if error is not None:
                yield error


def _diffusion_error(
    graph: IntegerGraph, step: Step, channels: Channels, axis: int, terms: tuple[Expression | None, Expression]
) -> float | None:
    """Relative error of the fluxes at a constant gradient along an axis; None where no face is far from its ends."""
    field, shape = graph.field_of(channels.source_holder), graph.grid.shape
    place = np.unravel_index(np.arange(field.cells), shape)[axis]
    state: dict[str, Whole] = {}
    for other in graph.fields:
        low, high = other.window.lower, other.window.upper
        state[other.holder] = np.full(other.cells, (low + high) // 2, np.int64)
        if other is field:
            state[other.holder] = low + 3 * (high - low) // 8 + max(1, (high - low) // (4 * shape[axis])) * place
    numbers = away_from_sides(graph, channels)
    left, right = channels.source[numbers], channels.target[numbers]
    inner = [place[cells] >= CELLS_TO_A_SIDE for cells in (left, right)]
    inner += [place[cells] < shape[axis] - CELLS_TO_A_SIDE for cells in (left, right)]
    kept = np.logical_and.reduce([*inner, place[left] != place[right]])
    numbers, left, right = numbers[kept], left[kept], right[kept]
    if not numbers.size:
        return None

    def at(*cells: Whole) -> dict[str, Any]:
        values: dict[str, Any] = dict(law_of(graph).parsed().parameters)
        for each in graph.fields:
            total = np.sum([state[each.holder][of_cells] for of_cells in cells], axis=0)
            values[each.name] = total * (each.value_per_quantum / len(cells))
        return values

    mobile, level = terms
    expected = evaluate(level, at(left)) - evaluate(level, at(right))
    if mobile is not None:
        expected = expected * evaluate(mobile, at(left, right))
    width, theta = graph.grid.lengths[axis] / shape[axis], step.theta[channels.population]
    along = law_of(graph).parsed().along.get(field.name)
    expected = expected * (1.0 if along is None else along[axis])
    expected = np.broadcast_to(expected * (graph.time_step * theta / field.value_per_quantum / width**2), numbers.size)
    current = np.broadcast_to(step.currents(state)[channels.population], channels.source.size)[numbers]
    return float(np.abs(current - expected).max()) / max(float(np.abs(expected).max()), float(theta))


def _compared(graph: IntegerGraph, step: Step) -> tuple[int, int, float] | None:
    """Number of states and of compared terms, and the largest relative error; None where nothing can be compared."""
    if graph.mesh.grid is None:
        return None
    inner = [(channels, away_from_sides(graph, channels)) for channels in graph.channels]
    inner = [(channels, numbers) for channels, numbers in inner if numbers.size]
    if not inner:
        return None
    errors, sizes = [0.0] * len(inner), [0.0] * len(inner)
    states = [*_lattice(graph)]
    for state, currents in zip(states, _currents_of(step, states, graph.mesh.cells), strict=True):
        for place, (channels, numbers) in enumerate(inner):
            theta = step.theta[channels.population]
            expected = _law_says(graph, channels, numbers, state, theta)
            if expected is None:
                return None
            stored = np.broadcast_to(currents[channels.population], channels.source.size)[numbers]
            errors[place] = max(errors[place], float(np.abs(stored - expected).max()))
            own = float(np.abs(expected).max()), float(theta), theta * _diffusive_packet(graph, channels, state)
            sizes[place] = max(sizes[place], *own)
    return len(states), len(inner), max(error / size for error, size in zip(errors, sizes, strict=True))


def _currents_of(step: Step, states: list[dict[str, int]], cells: int) -> Iterator[dict[str, Whole]]:
    """Currents of constant states, of as many at once as memory caches hold."""
    count = max(1, AT_ONCE // cells)
    for first in range(0, len(states), count):
        part = states[first : first + count]
        currents = step.currents({name: np.array([[state[name] for state in part]], np.int64) for name in part[0]})
        for number in range(len(part)):
            yield {
                name: values[:, number] if values.ndim > 1 and values.shape[1] > 1 else values.reshape(-1)
                for name, values in currents.items()
            }


def _diffusive_packet(graph: IntegerGraph, channels: Channels, state: dict[str, int]) -> float:
    """Quanta that diffuse through a face over whose sides a field differs by a quarter of its window.

    It is the size of trained fluxes that are 0 at constant states; 0 for constructed ones.
    """
    spec, field = law_of(graph), graph.field_of(channels.source_holder)
    mobile = spec.parsed().diffusion.get(field.name)
    if spec.method == "constructed" or mobile is None or channels.population != f"{field.name}-flux":
        return 0.0
    values: dict[str, Any] = dict(spec.parsed().parameters)
    values |= {f.name: state[f.holder] * f.value_per_quantum for f in graph.fields}
    widths = [length / count for length, count in zip(graph.grid.lengths, graph.grid.shape, strict=True)]
    share = float(evaluate(mobile, values)) * graph.time_step / min(widths) ** 2
    return share * (field.window.upper - field.window.lower) / 4


def _lattice(graph: IntegerGraph) -> Iterator[dict[str, int]]:
    """Middles of the cells of a lattice over all operating windows."""
    fields = graph.fields
    count = next((n for n in range(STATES_AT_MOST, 1, -1) if n ** len(fields) <= STATES_AT_MOST), 2)
    count = 1 if len(fields) > 4 else count
    axes = []
    for field in fields:
        low, extent = field.window.lower, field.window.upper - field.window.lower
        axes.append([low + extent * odd // (2 * count) for odd in range(1, 2 * count, 2)])
    for place in itertools.product(*axes):
        yield {field.holder: mass for field, mass in zip(fields, place, strict=True)}


def away_from_sides(graph: IntegerGraph, channels: Channels) -> Whole:
    """Channels of cells that no open or closed side is near; channels of a flux join two of them."""
    cells, near = graph.mesh.cells, set[int]()
    numbers = np.arange(cells).reshape(graph.grid.shape)
    for axis, sides in enumerate(graph.grid.boundary):
        if PERIODIC not in sides:
            rows = np.arange(graph.grid.shape[axis])
            beside = rows[(rows < CELLS_TO_A_SIDE) | (rows >= rows.size - CELLS_TO_A_SIDE)]
            near.update(np.take(numbers, beside, axis).reshape(-1).tolist())
    is_near = np.zeros(cells, np.bool_)
    is_near[sorted(near)] = True
    of_cell = [numbers_ < cells for numbers_ in (channels.source, channels.target)]
    near_end = [
        is_cell & is_near[np.where(is_cell, numbers_, 0)]
        for is_cell, numbers_ in zip(of_cell, (channels.source, channels.target), strict=True)
    ]
    both = channels.source_holder == channels.target_holder and channels.population.endswith("-flux")
    joined = of_cell[0] & of_cell[1] if both else of_cell[0] | of_cell[1]
    return np.flatnonzero(joined & ~near_end[0] & ~near_end[1])


def _law_says(
    graph: IntegerGraph, channels: Channels, numbers: Whole, state: dict[str, int], theta: int
) -> Floats | None:
    """Currents that the law asks for; None for channels that are no term of it."""
    law, grid, spec = law_of(graph).parsed(), graph.grid, law_of(graph)
    field = graph.field_of(channels.source_holder)
    source, target = channels.source[numbers], channels.target[numbers]
    own = np.where(source < graph.mesh.cells, source, target)
    at = np.stack(np.unravel_index(own, grid.shape)).astype(np.float64) + 0.5
    parts: list[tuple[Expression | None, Any]]
    if channels.population == f"{field.name}-flux":
        moved = np.stack(np.unravel_index(target, grid.shape)) != np.stack(np.unravel_index(source, grid.shape))
        across = [moved[axis] & ~moved[:axis].any(axis=0) for axis in range(len(grid.shape))]
        at += 0.5 * np.stack(across)
        parts = [
            (flux.get(field.name), across[axis] * (grid.shape[axis] / grid.lengths[axis]))
            for axis, flux in enumerate(law.flux)
        ]
    else:
        name = channels.population
        named = [source.rate for source in law.sources if source.name == name]
        named += [exchange.rate for exchange in law.exchange if exchange.name == name]
        if len(named) != 1:
            return None
        parts = [(named[0], 1.0)]
    values: dict[str, Any] = dict(law.parameters)
    values |= {f.name: state[f.holder] * f.value_per_quantum for f in graph.fields}
    for axis, name in enumerate("xyz"[: len(grid.shape)]):
        values[name] = spec.domain.lower[axis] + at[axis] * (grid.lengths[axis] / grid.shape[axis])
    for name, expression in law.given.items():
        values[name] = evaluate(expression, values)
    scale = graph.time_step * theta / field.value_per_quantum
    total = np.zeros(numbers.size)
    for part, factor in parts:
        if part is not None:
            total = total + np.where(np.asarray(factor) != 0, evaluate(part, values) * factor * scale, 0.0)
    return total


def _exponent(reading: Reading) -> int:
    """Exponent of the first ``fire`` of a program; 0 without one."""
    return next((shift_of(node.extra) for node in reading.nodes if node.name == "fired"), 0)


class Step:
    """One PDE step of a graph with residues and currents of 0.

    What cells answer to a limiter does not reach currents (`pisnn_deploy.verify.floors`), and is left out.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        self._graph, self._answers = graph, graph.order.answers
        self._readings = {p.name: read(str(p.program)) for p in graph.populations if p.name not in graph.holders}
        self.theta = {name: 1 << _exponent(reading) for name, reading in self._readings.items()}
        self._inputs: dict[str, list[tuple[str, str, int, Rows]]] = {name: [] for name in self._readings}
        for name in self._readings:
            # What a population hears of itself are residues, which are 0.
            into = (s for s in graph.synapses if s.target == name != s.source and s.source not in self._answers)
            keys = dict.fromkeys((s.port, s.source, s.output) for s in into)
            for port, source, output in keys:
                parts = [s for s in graph.into(name, port) if (s.source, s.output) == (source, output)]
                self._inputs[name].append((port, source, output, summed(parts, (graph.size(name), graph.size(source)))))

    def currents(self, state: Mapping[str, int | Whole]) -> dict[str, Whole]:
        """Current of each population of channels, from the masses of the cells by population of holders.

        Masses of several states, [cells or 1, states], give currents [channels or 1, states or 1].
        """
        graph, several = self._graph, np.shape(next(iter(state.values())))[1:]
        sends: dict[str, list[Whole]] = {}
        for field in graph.fields:
            mass = np.zeros((field.size, *several), np.int64)
            mass[: field.cells] = state[field.holder]
            sends[field.holder] = [mass]
        carriers, currents = {channels.population for channels in graph.channels}, dict[str, Whole]()
        for population in graph.populations:
            name = population.name
            if name in graph.holders or name in self._answers:
                continue
            reading = self._readings[name]
            shape = population.size, *several
            inputs = {port: np.zeros(shape, np.int64) for port in (*reading.ports, *reading.states)}
            for parameter, numbers in population.parameters.items():
                inputs[parameter] = numbers.reshape(-1, *(1,) * len(several))
            for port, source, output, weights in self._inputs[name]:
                inputs[port] = inputs[port] + weights @ sends[source][output]
            values: list[Whole] = []
            for node in reading.nodes:
                values.append(_on_arrays(node, [values[number] for number in node.values], inputs))
            sends[name] = [np.broadcast_to(values[number], shape) for number in reading.sends]
            if name in carriers:
                currents[name] = values[reading.names["current"]]
        return currents


_OF_TWO: dict[str, Callable[[Whole, Whole], Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "min": np.minimum,
    "max": np.maximum,
    "lt": np.less,
    "ge": np.greater_equal,
    "eq": np.equal,
}


def _on_arrays(node: Node, values: list[Whole], inputs: dict[str, Whole]) -> Whole:
    """Evaluate a node for all neurons."""
    extra = node.extra
    match node.name, values:
        case "input", []:
            return inputs[str(extra)]
        case "constant", []:
            return np.asarray(extra, np.int64)
        case "add" | "sub" | "min" | "max" | "lt" | "ge" | "eq" as name, [a, b]:
            return np.asarray(_OF_TWO[name](a, b), np.int64)
        case "neg", [a]:
            return -a
        case "abs", [a]:
            return np.abs(a)
        case "shl", [a]:
            return a << shift_of(extra)
        case "asr", [a]:
            return a >> shift_of(extra)
        case "mul_shr", [a, b]:
            return np.asarray((a * b) >> shift_of(extra), np.int64)
        case "copysign", [a, b]:
            return np.asarray(a * np.sign(b), np.int64)
        case "select", [condition, a, b]:
            return np.asarray(np.where(condition != 0, a, b), np.int64)
        case "table", [a] if isinstance(extra, tuple):
            return np.take(np.asarray(extra, np.int64), a, mode="clip")
        case "fired" | "rest" as name, [v]:
            half = (1 << shift_of(extra)) // 2
            packet = np.sign(v) * ((np.abs(v) + half - 1) >> shift_of(extra))
            return np.asarray(packet if name == "fired" else v - (packet << shift_of(extra)), np.int64)
    raise ValueError(f"unknown operation {node.name} with {len(values)} operands")
