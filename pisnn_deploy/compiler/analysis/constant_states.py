"""What the channels of a law do at constant states, beside its fluxes and rates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.transport import are_right, transport_figures
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.claims import LARGEST_DEVIATION, Figure, Method
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.laws.calculus import ZERO
from pisnn_deploy.laws.expression import Expression, Symbol, evaluate, free_names
from pisnn_deploy.laws.law import factor_along, mobility, split_level
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.mesh import PERIODIC
from pisnn_deploy.programs.facts import threshold_exponent

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
MOST_STATES = 27
"""Most constant states."""
CELLS_TO_A_SIDE = 6
"""Faces and cells this near to a side that is not periodic are left out: what is beyond the side reaches them."""
COORDINATES = "xyz"


def equation_claim(graph: IntegerGraph) -> Claim:
    """Claim that packets at constant states are the fluxes and rates of the law.

    Parameters
    ----------
    graph : IntegerGraph
        Bounded; any graph that is not a law's has no claim.
    """
    spec = graph.spec
    nothing = Claim("none", "no-theorem")
    if spec.equation != "law" or graph.mesh.grid is None:
        return nothing
    inside = {c.population: _channels_inside(graph, c) for c in graph.channels}
    inside = {name: channels for name, channels in inside.items() if channels.size}
    if not inside:
        return nothing
    # Beside sides, masses may leave their widths in this one step.
    widths = tuple(bound for bound in graph.bounds if bound.quantity != "mass")
    semantics, states = Semantics(replace(graph, bounds=widths)), [*constant_states(graph)]
    apart, largest = dict.fromkeys(inside, 0.0), dict.fromkeys(inside, 0.0)
    for state in states:
        masses = {name: np.full(graph.field_of(name).cells, mass, np.int64) for name, mass in state.items()}
        _, results = semantics.advance(semantics.begin(masses))
        for channels in graph.channels:
            name = channels.population
            if name in inside:
                wanted = _expected(graph, spec, channels, inside[name], state)
                if wanted is None:
                    return nothing
                current = np.broadcast_to(results[name].values["current"], channels.size)[inside[name]]
                apart[name] = max(apart[name], float(np.abs(current - wanted).max()))
                sizes = float(np.abs(wanted).max()), float(_theta(graph, name)), _spread(graph, spec, channels, state)
                largest[name] = max(largest[name], *sizes)
    worst = max(apart[name] / largest[name] for name in inside)
    figures: dict[str, Figure] = {"states": len(states), "terms": len(inside), "flux_error": rounded_up(worst)}
    steep = [*_gradient_errors(graph, spec, semantics)]
    if steep:
        figures |= {"gradients": len(steep), "gradient_error": rounded_up(max(steep))}
    of_flux = inside.get(f"{graph.fields[0].name}-flux")
    if of_flux is not None and spec.method != "trained":
        figures |= transport_figures(graph, spec, semantics, of_flux)
    if graph.order.answers:
        figures["limited"] = 1
    is_law = max(worst, *steep, 0.0) <= LARGEST_DEVIATION and are_right(figures, graph.grid.spacing[0])
    method: Method = "trained-states" if spec.method == "trained" else "constant-states"
    return Claim("proved", method, figures) if is_law else Claim("none", "other-law", figures)


def _gradient_errors(graph: IntegerGraph, spec: LawSpec, semantics: Semantics) -> Iterator[float]:
    """Relative errors of diffusive fluxes at a constant gradient, for each field without another flux and each axis.

    The flux wanted is that of the differences of levels, with the mobility at the mean of both sides.
    """
    law, grid = spec.parsed(), graph.grid
    for field in graph.fields:
        channels = next((c for c in graph.channels if c.population == f"{field.name}-flux"), None)
        factor = mobility(law, field.name)
        terms = [factor, law.level.get(field.name, factor)]
        depends_on_place = any(free_names(term) & {*COORDINATES, *law.given} for term in terms)
        has_flux = any(field.name in fluxes for fluxes in law.flux)
        if channels is None or factor == ZERO or depends_on_place or has_flux:
            continue
        for axis, count in enumerate(grid.shape):
            along = np.unravel_index(np.arange(field.cells), grid.shape)[axis]
            extent = field.window.upper - field.window.lower
            steps = max(1, extent // (4 * count)) * along
            masses = {
                f.holder: np.full(f.cells, (f.window.lower + f.window.upper) // 2, np.int64) for f in graph.fields
            }
            masses[field.holder] = field.window.lower + 3 * extent // 8 + steps
            ends = channels.source, channels.target
            joins_cells = np.flatnonzero(np.maximum(*ends) < field.cells)
            places = [along[holders[joins_cells]] for holders in ends]
            is_far = (np.minimum(*places) >= CELLS_TO_A_SIDE) & (np.maximum(*places) < count - CELLS_TO_A_SIDE)
            far = joins_cells[is_far & (places[0] != places[1])]
            far = far[np.isin(far, _channels_inside(graph, channels))]
            if not far.size:
                continue
            level, _ = split_level(law.level.get(field.name, Symbol(field.name)))
            sides = []
            for holders in ends:
                values: dict[str, float | Floats] = {
                    f.name: masses[f.holder][holders[far]] * f.value_per_quantum for f in graph.fields
                }
                sides.append({**law.parameters, **values})
            middle = {name: (np.asarray(sides[0][name]) + np.asarray(sides[1][name])) / 2 for name in sides[0]}
            rise = evaluate(level, sides[1]) - evaluate(level, sides[0])
            theta = _theta(graph, channels.population)
            scale = graph.time_step / field.value_per_quantum * theta / grid.spacing[axis] ** 2
            scale *= factor_along(law, field.name, axis)
            wanted = np.broadcast_to(-evaluate(factor, middle) * rise * scale, far.size)
            _, results = semantics.advance(semantics.begin(masses))
            current = np.broadcast_to(results[channels.population].values["current"], channels.size)[far]
            yield float(np.abs(current - wanted).max()) / max(float(np.abs(wanted).max()), float(theta))


def _spread(graph: IntegerGraph, spec: LawSpec, channels: Channels, state: Mapping[str, int]) -> float:
    """Size of a trained flux that is diffusion alone: its current where neighbours differ by a quarter of the range."""
    law, field = spec.parsed(), graph.field_of(channels.source_holder)
    if spec.method != "trained" or channels.population != f"{field.name}-flux":
        return 0.0
    values: dict[str, float | Floats] = {f.name: state[f.holder] * f.value_per_quantum for f in graph.fields}
    diffusivity = float(np.max(evaluate(mobility(law, field.name), {**law.parameters, **values})))
    quarter = (field.window.upper - field.window.lower) / 4
    return diffusivity * quarter * graph.time_step * _theta(graph, channels.population) / min(graph.grid.spacing) ** 2


def constant_states(graph: IntegerGraph) -> Iterator[dict[str, int]]:
    """Constant states on a lattice over the operating windows, in quanta by population of holders."""
    count = max(2, math.floor(MOST_STATES ** (1 / len(graph.fields)) + 1e-9)) if len(graph.fields) < 5 else 1
    lattices = []
    for field in graph.fields:
        low, high = field.window.lower, field.window.upper
        lattices.append([low + (high - low) * (2 * number + 1) // (2 * count) for number in range(count)])
    for masses in itertools.product(*lattices):
        yield dict(zip(graph.holders, masses, strict=True))


def rounded_up(value: float) -> float:
    """A float rounded up to two digits; the last ones of transcendental functions differ between machines."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit * (1 - 1e-9)) * unit:.2g}")


def _theta(graph: IntegerGraph, population: str) -> int:
    return 1 << (threshold_exponent(graph.population(population).program) or 0)


def _channels_inside(graph: IntegerGraph, channels: Channels) -> Integers:
    """Channels that no side is near; those of fluxes join two cells."""
    grid, cells = graph.grid, graph.mesh.cells
    near = np.zeros(grid.shape, np.bool_)
    for axis, sides in enumerate(grid.boundary):
        if PERIODIC not in sides:
            along = np.moveaxis(near, axis, 0)
            along[:CELLS_TO_A_SIDE] = True
            along[-CELLS_TO_A_SIDE:] = True
    beside = np.concatenate([near.reshape(-1), np.zeros(1, np.bool_)])  # a reservoir is near nothing
    ends = [np.minimum(numbers, cells) for numbers in (channels.source, channels.target)]
    wanted = ~(beside[ends[0]] | beside[ends[1]]) & (np.minimum(*ends) < cells)
    if channels.population.endswith("-flux") and channels.source_holder == channels.target_holder:
        wanted &= np.maximum(*ends) < cells
    return np.flatnonzero(wanted)


def _expected(
    graph: IntegerGraph, spec: LawSpec, channels: Channels, numbers: Integers, state: Mapping[str, int]
) -> Floats | None:
    """Current of some channels that the law asks for; None if it has no such term."""
    law, grid, cells = spec.parsed(), graph.grid, graph.mesh.cells
    source_field = graph.field_of(channels.source_holder)
    values: dict[str, float | Floats] = {
        field.name: state[field.holder] * field.value_per_quantum for field in graph.fields
    }
    ends = channels.source[numbers], channels.target[numbers]
    terms: list[tuple[Expression, NDArray[np.bool_], float]] = []
    everywhere = np.ones(numbers.size, np.bool_)
    shift = np.zeros((len(grid.shape), numbers.size))
    if channels.population == f"{source_field.name}-flux":
        axes = _axes(graph, *ends)
        for axis, fluxes in enumerate(law.flux):
            shift[axis, axes == axis] = 0.5
            if source_field.name in fluxes:
                terms.append((fluxes[source_field.name], axes == axis, 1 / grid.spacing[axis]))
    else:
        rates = {source.name: source.rate for source in law.sources}
        rates |= {exchange.name: exchange.rate for exchange in law.exchange}
        if channels.population not in rates:
            return None
        terms.append((rates[channels.population], everywhere, 1.0))
    cell = np.where(ends[0] < cells, ends[0], ends[1])
    places = np.array(np.unravel_index(cell, grid.shape), np.float64) + 0.5 + shift
    for name, lower, width, along in zip(COORDINATES, spec.domain.lower, grid.spacing, places, strict=False):
        values[name] = lower + along * width
    values = {**law.parameters, **values}
    values |= {name: evaluate(expression, values) for name, expression in law.given.items()}
    wanted = np.zeros(numbers.size)
    factor = graph.time_step / source_field.value_per_quantum * _theta(graph, channels.population)
    for expression, where, scale in terms:
        wanted += np.where(where, evaluate(expression, values) * scale * factor, 0.0)
    return wanted


def _axes(graph: IntegerGraph, source: Integers, target: Integers) -> Integers:
    """Axis along which each pair of cells lies."""
    shape = graph.grid.shape
    here, there = (np.array(np.unravel_index(cells, shape)) for cells in (source, target))
    return np.asarray(np.argmax(here != there, axis=0), np.int64)
