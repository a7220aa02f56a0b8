"""Limits for kernels, and proofs that narrow integers suffice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pisnn_deploy.graph.contract import RESIDUE
from pisnn_deploy.graph.integer import MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.limiter import FULL_PORTS, SHORT_PORTS
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh import PERIODIC
from pisnn_deploy.programs import Operation, run
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import bounds
from pisnn_deploy.programs.limiter import WHOLE
from pisnn_deploy.programs.neurons import LOW
from pisnn_deploy.programs.whole import Whole
from pisnn_deploy.runs.kernels import places as place
from pisnn_deploy.runs.kernels.faces import ARRIVAL, begins_with, fired
from pisnn_deploy.runs.kernels.places import TILE, UNLIMITED
from pisnn_deploy.runs.kernels.stencils import Kernel

WORD, SHORT = 2**31 - 1, 2**15 - 1


def largest_of(graph: IntegerGraph, population: str, quantity: str) -> int:
    """Largest value of a quantity's declared width; `UNLIMITED` without one."""
    for bound in graph.bounds:
        if (bound.population, bound.quantity) == (population, quantity):
            return min(UNLIMITED, (1 << (bound.bits - 1)) - 1)
    return UNLIMITED


def bounded_values(graph: IntegerGraph, population: Population) -> list[str]:
    """Values of a population's program that have a declared width."""
    quantities = {bound.quantity for bound in graph.bounds if bound.population == population.name}
    return [name for name in population.program.names if population.quantity(name) in quantities]


def limits_of(graph: IntegerGraph) -> Integers:
    """Limits and switches of the kernels, int64 [LIMITS], see `places`."""
    window, grid = graph.sole_field.window, graph.mesh.grid
    limits = np.zeros(place.LIMITS, np.int64)
    limits[place.LOWER], limits[place.UPPER] = window.lower, window.upper
    limits[place.MASS] = largest_of(graph, MEMBRANE, "mass")
    limits[place.PAYLOAD] = largest_of(graph, MEMBRANE, "payload") if graph.coding == "delta" else UNLIMITED
    limits[place.LEDGER] = largest_of(graph, MEMBRANE, "ledger")
    limits[place.LARGEST_CURRENT] = UNLIMITED if window.current is None else window.current
    limits[place.DIFFERENCE] = UNLIMITED if window.difference is None else window.difference
    limits[place.HALF_DIFFERENCE] = UNLIMITED if window.difference is None else window.difference // 2
    limits[place.CHANGES_COUNT] = int(graph.coding == "delta")
    limits[place.MEMBRANE_LINES] = place.lines_mask(graph.population(MEMBRANE).lines)
    limits[place.PERIODIC_FIRST_AXIS] = int(grid is not None and grid.boundary[0] == (PERIODIC, PERIODIC))
    limits[place.AUDITED] = 1
    return limits


def _reach(interval: Interval) -> int:
    return max(abs(interval.lower), abs(interval.upper))


def values_before_the_audit(
    graph: IntegerGraph, kernel: Kernel, limits: Integers, faces: Population, constant: Mapping[str, int]
) -> dict[str, Interval]:
    """Bounds of every value of the faces' program in a step, before the audit checks it.

    A step starts from an audited state: masses within the operating range, states of faces within their widths. All
    other values are bounded by interval analysis, independently of declared widths.

    Parameters
    ----------
    constant : mapping of str to int
        Parameters with the same value at every face.

    Returns
    -------
    dict
        Bounds by name; those of full products as ``name*``.
    """
    mass = largest_mass(graph, limits)
    bias = int(np.abs(begins_with(faces)).max(initial=0))
    program = faces.program
    inputs: dict[str, Interval] = {}
    for port in program.ports:
        reach = kernel.largest * mass + bias if port == ARRIVAL else mass
        if port == LOW:
            reach = kernel.largest * largest_limb(graph, faces)
        inputs[port] = Interval(0, WHOLE) if port in (*SHORT_PORTS, *FULL_PORTS) else Interval(-reach, reach)
    for state, after in zip(program.states, program.after, strict=True):
        reach = min(largest_of(graph, faces.name, faces.quantity(name)) for name in (state, after))
        inputs[state] = Interval(-reach, reach)
    for name in program.parameters:
        values = faces.parameters[name]
        inputs[name] = (
            Interval(constant[name], constant[name])
            if name in constant
            else Interval(int(values.min(initial=0)), int(values.max(initial=0)))
        )
    return bounds(program, inputs)


def largest_limb(graph: IntegerGraph, faces: Population) -> int:
    """Largest absolute sum of the residues at the faces of a cell of a grid, in flux units."""
    residue = min(largest_of(graph, faces.name, faces.quantity(name)) for name in (faces.program.states[-1], RESIDUE))
    return 2 * len(graph.grid.shape) * residue


def largest_mass(graph: IntegerGraph, limits: Integers) -> int:
    """Largest absolute mass within the operating range, or of a reservoir, in quanta."""
    values = int(np.abs(graph.sole_field.reservoirs).max(initial=0))
    within = max(abs(int(limits[place.LOWER])), abs(int(limits[place.UPPER])))
    return max(min(within, int(limits[place.MASS]) + 1), values)


def fits_narrow(
    graph: IntegerGraph,
    kernel: Kernel,
    limits: Integers,
    faces: Population,
    values: Mapping[str, Interval],
    summed: int = TILE,
) -> bool:
    """Whether every value of a step fits into 32 bits, before the audit checks it.

    Partial sums of inputs may wrap, because the final sum modulo 2^32 is exact. Counts of a run of faces are used only
    if packets are within their width.

    Parameters
    ----------
    values : mapping
        See `values_before_the_audit`.
    summed : int
        Number of packets that are summed in the kernels' word.
    """
    program = faces.program
    fire = [operation for operation in program.operations if operation.name == "fire"]
    half = max((1 << int(operation.operands[-1]) >> 1 for operation in fire), default=0)
    potential = max((_reach(values[str(operation.operands[0])]) for operation in fire), default=0)
    unselected = _never_selected(program.operations, values)
    numbers = [w for entries in kernel.entries for w in entries.values()]
    numbers += [
        number
        for operation in program.operations
        for at, number in enumerate(operation.values)
        if isinstance(number, int) and (operation.results[0], at) not in unselected
    ]
    mass, packet = largest_mass(graph, limits), max(_reach(values[fired(program)]), _reach(values[program.sends[0]]))
    arriving = 2 * len(graph.grid.shape) * packet
    return (
        all(_reach(interval) <= WORD for name, interval in values.items() if not name.endswith("*"))
        and all(abs(number) <= WORD for number in numbers)
        and potential + half <= WORD
        and mass + arriving <= WORD
        and 2 * mass <= WORD
        and largest_of(graph, faces.name, faces.quantity(program.sends[0])) * summed <= WORD
    )


def _never_selected(operations: Sequence[Operation], values: Mapping[str, Interval]) -> set[tuple[str, int]]:
    """Operands of ``select`` that are never chosen: result and index of the operand."""
    places = set()
    for operation in operations:
        if operation.name == "select":
            condition = operation.operands[0]
            interval = values[condition] if isinstance(condition, str) else Interval(condition, condition)
            if interval.lower == interval.upper == 0:
                places.add((operation.results[0], 1))
            elif interval.lower > 0 or interval.upper < 0:
                places.add((operation.results[0], 2))
    return places


def short_states(faces: Population, values: Mapping[str, Interval]) -> tuple[bool, ...]:
    """Whether each state of the faces fits into 16 bits, before and after a step."""
    program = faces.program
    return tuple(
        _reach(values[state]) <= SHORT and _reach(values[after]) <= SHORT
        for state, after in zip(program.states, program.after, strict=True)
    )


def narrow_products(faces: Population, values: Mapping[str, Interval]) -> frozenset[str]:
    """Results of products that fit into 32 bits before the shift."""
    return frozenset(
        name.removesuffix("*") for name, interval in values.items() if name.endswith("*") and _reach(interval) <= WORD
    )


def rests(faces: Population, values: Mapping[str, Interval]) -> bool:
    """Whether a face with zero input and zero state keeps a zero state and sends nothing.

    Kernels also compute nonexistent faces between rows of a mesh, which must stay zero.

    Parameters
    ----------
    values : mapping
        Bounds of the masses at the ends of a face, by port.
    """
    program = faces.program
    if {*program.ports} <= {ARRIVAL, LOW}:
        result = run(program, Whole(), dict.fromkeys(program.inputs, 0))
        return not any((*result.states.values(), *result.sends))
    nothing = Interval(0, 0)
    inputs = {name: values[name] if name in program.ports and name != ARRIVAL else nothing for name in program.inputs}
    at_rest = bounds(program, inputs)
    return all(at_rest[name] == nothing for name in (*program.after, *program.sends))
