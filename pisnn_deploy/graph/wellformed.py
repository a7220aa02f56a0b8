"""Requirements on every integer graph, checked after each pass and when an artifact is read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.contract import contract_defects
from pisnn_deploy.graph.integer import UTILISATION, IntegerGraph, Placement, Synapse
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.shape import LARGEST_NUMBER, shape_defects
from pisnn_deploy.graph.stored import LARGEST_MANTISSA


def defects(graph: IntegerGraph) -> list[str]:
    """Defects of a graph, a sentence each; empty if it is well formed."""
    # Later checks need a mesh whose holders exist, and synapses with rows.
    return (
        [*_mesh(graph)]
        or [*shape_defects(graph)]
        or [*_sizes(graph), *_materials(graph), *_synapses(graph)]
        or [*contract_defects(graph)]
        or [*_annotations(graph)]
    )


def _mesh(graph: IntegerGraph) -> Iterator[str]:
    yield from graph.mesh.defects()
    if not (np.isfinite(graph.time_step) and graph.time_step > 0):
        yield f"time_step is {graph.time_step}, it must be positive"


def _sizes(graph: IntegerGraph) -> Iterator[str]:
    """Physical quantities must be small enough for products and squares (error norms, plots) to stay finite."""
    sizes = {"time_step": graph.time_step, **graph.mesh.lengths_by_name()}
    for field in graph.fields:
        sizes |= {"quantum": field.quantum, "unit_volume": field.unit_volume}
        sizes["the value of a quantum"] = field.value_per_quantum
    limits = f"{SMALLEST_SIZE:g} to {1 / SMALLEST_SIZE:g}"
    for name, size in sizes.items():
        if not SMALLEST_SIZE <= size <= 1 / SMALLEST_SIZE:
            yield f"{name} is {size:g}, beyond {limits}"


SMALLEST_SIZE = 1e-60
"""Smallest physical quantity, and inverse of the largest; its cube is a volume."""
LARGEST_WINDOW_OF_LAWS = 32
"""Most cells in the window of a face of a law's graph."""
FARTHEST = 2**31
"""Largest offset of a stencil in cells; a larger one could wrap when it is added to a cell's coordinates."""


def _materials(graph: IntegerGraph) -> Iterator[str]:
    if graph.materials is not None:
        along = graph.materials.along
        if along and (graph.mesh.grid is None or len(along) != len(graph.mesh.shape)):
            yield "materials have another number of factors along axes than the mesh has axes"
        for name, values in (
            ("conductivity", graph.materials.conductivity),
            ("capacity", graph.materials.capacity),
        ):
            if values.shape != (graph.mesh.cells,) or not (np.isfinite(values) & (values > 0)).all():
                yield f"materials {name} is not a positive number for each cell"
        return
    if graph.mesh.volume is None:
        yield "a graph on an unstructured mesh has no materials"
        return
    for field in graph.fields:
        if not field.holds_alike or field.unit_volume != graph.mesh.volume:
            yield f"field {field.name}: without materials, cells must have the mesh's volume, {graph.mesh.volume}"


def _synapses(graph: IntegerGraph) -> Iterator[str]:
    names = [synapse.name for synapse in graph.synapses]
    if len(set(names)) != len(names):
        yield "two synapses have the same name"
    for synapse in graph.synapses:
        yield from _one_synapse(graph, synapse)


def _one_synapse(graph: IntegerGraph, synapse: Synapse) -> Iterator[str]:
    where = f"synapse {synapse.name}"
    problem = synapse.connections.misfit(graph.mesh, _window(graph))
    if problem:
        yield f"{where}: {problem}"
        return
    mantissas = synapse.distinct_mantissas
    if not -8 <= synapse.exponent <= 7:
        yield f"{where}: exponent is {synapse.exponent}, it must be -8 to 7"
    elif _magnitude(mantissas) > LARGEST_MANTISSA:
        yield f"{where}: a mantissa is beyond {LARGEST_MANTISSA}"
    elif synapse.exponent < 0 and (mantissas % (1 << -synapse.exponent)).any():
        yield f"{where}: a mantissa is not a multiple of {1 << -synapse.exponent}, so its weight is no integer"


def _window(graph: IntegerGraph) -> int:
    """Cells in the window of a face."""
    if graph.spec.equation == "law":
        return LARGEST_WINDOW_OF_LAWS
    inputs: int = graph.model_spec.layer_shapes[0][1]
    return inputs


def _magnitude(numbers: NDArray[np.int64]) -> int:
    """Largest absolute value; numpy's ``abs`` would leave -2^63 negative."""
    return max(-int(numbers.min(initial=0)), int(numbers.max(initial=0)))


def _annotations(graph: IntegerGraph) -> Iterator[str]:
    yield from _period(graph)
    yield from _late(graph)
    bounds = [*_bounds(graph)]
    yield from bounds
    if any(population.lines for population in graph.populations) and not bounds:
        yield from _binary(graph)
    if graph.placement is not None:
        yield from _placement(graph, graph.placement)


def _bounds(graph: IntegerGraph) -> Iterator[str]:
    known = {*graph.chain, *(synapse.name for synapse in graph.synapses)}
    bounded: set[tuple[str, str]] = set()
    for bound in graph.bounds:
        name = f"{bound.population} {bound.quantity}"
        if bound.population not in known:
            yield f"bound of {name}: the graph has no population or synapse of that name"
        elif (bound.population, bound.quantity) in bounded:
            yield f"bound of {name} is given twice"
        elif bound.lower > bound.upper:
            yield f"bound of {name} is empty"
        elif not 1 <= bound.bits <= 63:
            yield f"bound of {name} declares {bound.bits} bits, it must be 1 to 63"
        bounded.add((bound.population, bound.quantity))


def _period(graph: IntegerGraph) -> Iterator[str]:
    """The period must leave a time step for each depth; late populations all send in every time step."""
    answering = [population for population in graph.populations if population.name not in graph.holders]
    needed = 1 if all(population.is_late for population in answering) else 1 + max(graph.depths.values())
    if graph.period is not None and graph.period != needed:
        yield f"period is {graph.period}, {len(graph.populations)} populations need {needed}"


def _late(graph: IntegerGraph) -> Iterator[str]:
    """A late population must receive one synapse, round its sum and send states."""
    late = [population for population in graph.populations if population.is_late] if graph.period == 1 else []
    for population in late:
        if population.lines or any(field.reservoirs.size for field in graph.fields):
            yield f"{population.name} is one step late, but the graph has a reservoir or binary spikes"
        if graph.coding not in (None, "dense"):
            yield f"{population.name} is one step late, but spikes carry changes"
        for joining in ([*graph.into(population.name)], [s for s in graph.synapses if s.source == population.name]):
            if len(joining) != 1 or joining[0].exponent != -1:
                yield f"{population.name} is one step late: it needs one synapse of exponent -1 in each direction"


def _binary(graph: IntegerGraph) -> Iterator[str]:
    """Lines must hold every payload within its bound, and their mantissas must fit a target."""
    lines = {population.name: population.lines for population in graph.populations}
    if not all(lines.values()):
        binary = ", ".join(sorted(name for name, count in lines.items() if count))
        yield f"binary spikes are declared for {binary} but not for every population"
        return
    for bound in graph.bounds:
        count = lines.get(bound.population)
        if count is not None and bound.quantity in ("payload", "packet") and bound.bits != count:
            yield f"the {bound.quantity} of {bound.population} has {bound.bits} bits and {count} lines"
    for line in stored_synapses(graph):
        if _magnitude(line.synapse.distinct_mantissas) > LARGEST_MANTISSA:
            yield f"synapse {line.synapse.name}: a mantissa is beyond {LARGEST_MANTISSA}"


def _placement(graph: IntegerGraph, placement: Placement) -> Iterator[str]:
    for name in graph.chain:
        cores = placement.core.get(name)
        if cores is None or cores.size != graph.size(name):
            yield f"placement does not cover population {name}"
            return
        if cores.size and (cores.min() < 0 or cores.max() >= placement.cores):
            yield f"placement of {name} names a core outside 0 to {placement.cores - 1}"
    chip = placement.chip
    if chip.shape != (placement.cores,):
        yield f"placement has {placement.cores} cores and {chip.size} chip numbers"
    elif chip.min() < 0 or chip.max() >= placement.chips:
        yield f"placement names a chip outside 0 to {placement.chips - 1}"
    for use in UTILISATION:
        uses = placement.utilisation.get(use)
        if uses is None or uses.shape != (placement.cores,):
            yield f"placement does not give the {use} of each core"
        elif uses.min() < 0 or uses.max() > LARGEST_NUMBER:
            yield f"placement gives a {use} outside 0 to 2^53"
    for synapse in graph.synapses:
        yield from _axons(placement, synapse.name, synapse.inputs)


def _axons(placement: Placement, name: str, inputs: int) -> Iterator[str]:
    runs = placement.axons.get(name)
    if runs is None or runs.ndim != 2 or runs.shape[1] != 3:
        yield f"placement has no axon table of synapse {name}"
        return
    first, length, core = runs.T
    if (first < 0).any() or (length < 1).any() or (first > inputs - length).any():
        yield f"axon table of {name} names a neuron outside 0 to {inputs - 1}"
    elif (core < 0).any() or (core >= placement.cores).any():
        yield f"axon table of {name} names a core outside 0 to {placement.cores - 1}"
    elif ((np.diff(core) < 0) | ((np.diff(core) == 0) & (first[1:] < first[:-1] + length[:-1]))).any():
        yield f"axon table of {name} is not sorted by core and neuron, or names a neuron twice"
