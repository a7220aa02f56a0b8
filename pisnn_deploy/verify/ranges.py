"""Interval analysis for the checker: row by row, in Python integers, from the definition of the walls."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerGraph, Stock, Synapse
from pisnn_deploy.graph.connections import Stencil
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.mesh import DIRICHLET, NO_FLUX, PERIODIC, Boxes, Sides
from pisnn_deploy.verify.folding import Folding, fold_line
from pisnn_deploy.verify.medium import medium_intervals

Interval = tuple[int, int]
Placed = dict[float, int]
"""Weights by place on a line of cells; reservoirs stand half a cell beyond its ends."""


def intervals(graph: IntegerGraph) -> dict[tuple[str, str], Interval]:
    """The interval of every quantity while the masses stay in the operating window."""
    window, half = graph.window, (1 << graph.flux.threshold_exponent) // 2
    found: dict[tuple[str, str], Interval] = {(MEMBRANE, "mass"): (window.lower, window.upper)}
    payloads: dict[str, Interval] = {}
    if graph.medium is not None:
        known, (low, high), widest = medium_intervals(graph, graph.medium)
        found |= known
        mass = known[MEMBRANE, "mass"]
        for population in graph.hidden:
            level = known[population.name, "activation"]
            spread = level[1] - level[0]
            payloads[population.name] = (-spread, spread) if graph.coding == "delta" else level
    else:
        low, high = _network(graph, found, payloads)
        mass, widest = (window.lower, window.upper), 0
    if graph.stock is not None:
        return found | _stock_faces(graph, graph.stock, (low, high))
    # Decay rounds towards zero, so the geometric series of the leak is never exceeded.
    current = (-(-min(low, 0) * MEMORYLESS // graph.flux.leak), max(high, 0) * MEMORYLESS // graph.flux.leak)
    if window.current is not None:
        # The audit stops a run whose current leaves this limit; the drive is a current less what the leak kept.
        kept = window.current * (MEMORYLESS - graph.flux.leak) // MEMORYLESS
        current = (max(current[0], -window.current), min(current[1], window.current))
        low, high = max(low, -window.current - kept), min(high, window.current + kept)
    potential = (current[0] - half, current[1] + half)
    packet = (-((half - 1 - potential[0]) >> graph.flux.threshold_exponent), (potential[1] + half - 1) // (2 * half))
    found |= {(FLUX, "drive"): (low, high), (FLUX, "current"): current, (FLUX, "potential"): potential}
    found |= {(FLUX, "residue"): (-half, half), (FLUX, "packet"): packet}
    largest = max(-packet[0], packet[1])
    change = min(widest, _most_faces(graph) * largest) if graph.medium else _largest_change(graph, largest)
    payloads |= {MEMBRANE: (-change, change) if graph.coding == "delta" else mass, FLUX: packet}
    found |= {(name, "payload"): payload for name, payload in payloads.items() if name != FLUX}
    if graph.mesh.reservoirs:
        ledger = (1 << (declared_bits(graph, MEMBRANE, "ledger") - 1)) - 1
        found[MEMBRANE, "ledger"] = (-ledger, ledger)
    if graph.flux.share_shift is not None:
        found |= {(FLUX, "source-mass"): mass, (FLUX, "target-mass"): mass}
        found[FLUX, "share"] = (0, max(mass[1], 0) >> graph.flux.share_shift)
    for synapse in graph.synapses:
        found |= _synapse_intervals(synapse, payloads[synapse.source])
    return found


def _stock_faces(graph: IntegerGraph, stock: Stock, total: Interval) -> dict[tuple[str, str], Interval]:
    """Intervals of a stock graph: a Sparse floors the weighted masses and half a unit, a SigmaDelta sends residues."""
    mass, shift = (graph.window.lower, graph.window.upper), graph.flux.threshold_exponent
    low, high = ((2 * end + (1 << shift)) // (2 << shift) for end in total)
    if graph.window.current is not None:
        low, high = max(low, -graph.window.current), min(high, graph.window.current)
    kept = stock.send_threshold - 1
    packet = (min(low - kept, 0), max(high + kept, 0))
    found: dict[tuple[str, str], Interval] = {(FLUX, name): (low, high) for name in ("drive", "current")}
    found |= {
        (FLUX, "potential"): (low - kept, high + kept),
        (FLUX, "residue"): (-kept, kept),
        (FLUX, "packet"): packet,
    }
    found[MEMBRANE, "payload"] = mass
    for synapse in graph.synapses:
        found |= _synapse_intervals(synapse, packet if synapse.source == FLUX else mass)
        if synapse.source == MEMBRANE:
            least, most = found[synapse.name, "accumulator"]
            found[synapse.name, "accumulator"] = (least, most + (1 << shift - synapse.exponent) // 2)
    return found


def _network(graph: IntegerGraph, found: dict[tuple[str, str], Interval], payloads: dict[str, Interval]) -> Interval:
    """Interval of the flux compartments' drive; those of hidden layers are added to what was found."""
    folding, operator = Folding(graph), graph.operator
    rows = [
        _row_interval(graph, folding, face, layer_row.tolist(), int(bias))
        for face in distinct_faces(graph).tolist()
        for layer_row, bias in zip(operator[0].weight, operator[0].bias, strict=True)
    ]
    for number, population in enumerate(graph.hidden):
        found[population.name, "drive"] = _hull(rows)
        ends = [(max(low, 0) >> population.shift, max(high, 0) >> population.shift) for low, high in rows]
        low, high = found[population.name, "activation"] = _hull(ends)
        payloads[population.name] = (low - high, high - low) if graph.coding == "delta" else (low, high)
        following, width = operator[number + 1], operator[number].weight.shape[0]
        rows = [
            _affine(weights, int(bias), ends[at : at + width])
            for at in range(0, len(ends), width)
            for weights, bias in zip(following.weight.tolist(), following.bias, strict=True)
        ]
    return _hull(rows)


def _hull(intervals: list[Interval]) -> Interval:
    return min(low for low, _ in intervals), max(high for _, high in intervals)


def _affine(weights: list[int], bias: int, inputs: list[Interval]) -> Interval:
    products = [(w * low, w * high) for w, (low, high) in zip(weights, inputs, strict=True)]
    return bias + sum(min(ends) for ends in products), bias + sum(max(ends) for ends in products)


def _synapse_intervals(synapse: Synapse, payload: Interval) -> dict[tuple[str, str], Interval]:
    """Intervals of each product, and of every partial sum of the products of a row, whatever their order."""
    starts, mantissas = synapse.connections.distinct
    totals = [
        np.diff(np.concatenate([[0], np.cumsum(part)])[starts])
        for part in (np.maximum(mantissas, 0), np.maximum(-mantissas, 0))
    ]
    rows = set(zip(*(total.reshape(-1).tolist() for total in totals), strict=True)) or {(0, 0)}
    least, most = min(*payload, 0), max(*payload, 0)
    low = min(up * least - down * most for up, down in rows)
    high = max(up * most - down * least for up, down in rows)
    ends = [m * p for m in (int(mantissas.min(initial=0)), int(mantissas.max(initial=0))) for p in payload]
    return {
        (synapse.name, "product"): (min(ends), max(ends)),
        (synapse.name, "accumulator"): (min(low, 0), max(high, 0)),
    }


def _row_interval(graph: IntegerGraph, folding: Folding, face: int, weights: list[int], bias: int) -> Interval:
    """Interval of a row of the first layer, by the range of the masses and by differences of neighbours."""
    window, mesh, axis = graph.window, graph.grid, int(graph.grid.axis[face])
    cells, constant = folding.row(face, weights)
    low, high = _affine([*cells.values()], bias + constant, [(window.lower, window.upper)] * len(cells))
    if window.difference is None:
        return low, high
    origin, count, periodic = folding.lower(face)[axis], mesh.shape[axis], mesh.boundary[axis] == (PERIODIC, PERIODIC)
    stride = math.prod(mesh.shape[axis + 1 :])
    lines: dict[int, Placed] = {}
    for cell, weight in cells.items():
        along = cell // stride % count
        place = (along - origin + count // 2) % count if periodic else along
        lines.setdefault(cell - along * stride, {})[place] = weight
    for upper in (0, 1):
        reach, excess = 0, bias + constant
        for line, placed in lines.items():
            lacking = -sum(placed.values())
            beside = line + upper * (count - 1) * stride
            if lacking and (axis, upper, beside) not in folding.held:
                break
            if lacking:
                excess -= lacking * folding.held[axis, upper, beside]
                placed = {**placed, count - 0.5 if upper else -0.5: lacking}
            reach += _variation(placed)
        else:
            low = max(low, excess - reach * window.difference // 2)
            high = min(high, excess + reach * window.difference // 2)
    return low, high


def _variation(placed: Placed) -> int:
    """Twice the sum of the absolute partial sums of weights along a line, times the distances in cells."""
    places = sorted(placed)
    partial, total = 0, 0.0
    for here, there in zip(places, places[1:], strict=False):
        partial += placed[here]
        total += abs(partial) * 2 * (there - here)
    return int(total)


def _most_faces(graph: IntegerGraph) -> int:
    ends = np.concatenate([graph.mesh.source, graph.mesh.target])
    return int(np.bincount(ends, minlength=graph.mesh.holders)[: graph.mesh.cells].max())


def _largest_change(graph: IntegerGraph, packet: int) -> int:
    """Largest change of a cell in one PDE step: by its packets, or line by line from ``D W``."""
    window, spec, mesh = graph.window, graph.spec, graph.grid
    change = min(window.upper - window.lower, 2 * len(mesh.shape) * packet)
    if not is_memoryless(graph) or graph.operator[0].weight.sum():
        return change
    if not (Folding(graph).quadratic or Folding(graph).lines_go_on):
        return change
    kernel = graph.operator[0].weight[0].reshape(2 * spec.half_width, -1).T.tolist()
    quadratic = Folding(graph).quadratic
    ranges, variations = 0, 0
    for cells, sides in zip(mesh.shape, mesh.boundary, strict=True):
        count = min(cells, 4 * spec.half_width + 2)
        worst = [_line_change(kernel, x, count, sides, quadratic) for x in range(count)]
        ranges, variations = ranges + max(r for r, _ in worst), variations + max(v for _, v in worst)
    reach = ranges * (window.upper - window.lower)
    if window.difference is not None:
        reach = min(reach, variations * window.difference // 2)
    return min(change, reach // (1 << graph.flux.threshold_exponent) + 2 * len(mesh.shape))


def _line_change(kernel: list[list[int]], x: int, count: int, sides: Sides, quadratic: bool) -> Interval:
    """Positive weights, and variation, of what cell `x` of a line gains through its two faces, over all lines."""
    one, half = (2 if quadratic else 1), len(kernel[0]) // 2
    positive, variation = 0, 0
    for weights in kernel:
        placed: Placed = {}
        for face, sign in ((x - 1, 1), (x, -1)):  # a face is named by the cell below it
            if (face < 0 and sides[0] == NO_FLUX) or (face == count - 1 and sides[1] == NO_FLUX):
                continue
            for step, weight in enumerate(weights, 1 - half):
                for place, part in fold_line(face + step, count, sides, quadratic).items():
                    placed[place] = placed.get(place, 0) + sign * weight * part
        positive += sum(max(weight, 0) for weight in placed.values()) // one
        around = {(p - x + count // 2) % count: w for p, w in placed.items()} if sides[0] == PERIODIC else placed
        variation += _variation({min(max(p, -0.5), count - 0.5): w for p, w in around.items()}) // one
    return positive, variation


def is_memoryless(graph: IntegerGraph) -> bool:
    """Whether a PDE step is a linear map of the masses before it alone, up to rounding."""
    linear = not graph.hidden and not graph.operator[0].bias.any() and graph.flux.leak == MEMORYLESS
    return linear and graph.stock is None and graph.flux.share_shift is None


def distinct_faces(graph: IntegerGraph) -> NDArray[np.int64]:
    """Faces to look at one by one: one for all that have the same row by construction and the same bias."""
    first = [s.connections for s in graph.between(MEMBRANE, graph.chain[1])]
    boxes = first[0].boxes if isinstance(first[0], Stencil) else None
    everything = np.arange(graph.grid.faces, dtype=np.int64)
    for other in first:
        if boxes is None or not isinstance(other, Stencil):
            return everything
        for name in ("axis", "lower", "shape"):
            if not np.array_equal(getattr(boxes, name), getattr(other.boxes, name)):
                return everything
    assert boxes is not None
    biases = (graph.hidden[0] if graph.hidden else graph.flux).bias.reshape(graph.grid.faces, -1)
    kept = []
    for box in range(boxes.axis.size):
        numbers = boxes.faces(graph.grid, box)
        alike = _windows_are_alike(graph, boxes, box) and (biases[numbers] == biases[numbers[0]]).all()
        kept.append(numbers[:1] if alike else numbers)
    return np.sort(np.concatenate(kept))


def _windows_are_alike(graph: IntegerGraph, boxes: Boxes, box: int) -> bool:
    """Whether the windows of all faces of a box keep clear of each wall, or are equally far from it.

    Beside a reservoir they need not be: each reservoir has a value of its own.
    """
    spec, mesh = graph.spec, graph.grid
    for axis, (count, sides) in enumerate(zip(mesh.shape, mesh.boundary, strict=True)):
        if sides == (PERIODIC, PERIODIC):
            continue
        own = axis == boxes.axis[box]
        reach = spec.half_width if own else spec.transverse
        first, past = reach - own, count - reach
        lower, extent = int(boxes.lower[box, axis]), int(boxes.shape[box, axis])
        clear = first <= lower and lower + extent <= past
        if not clear and (extent > 1 or DIRICHLET in sides):
            return False
    return True


def declared_bits(graph: IntegerGraph, population: str, quantity: str) -> int:
    """Width that the graph declares for a quantity; 1 without any."""
    return next((b.bits for b in graph.bounds if (b.population, b.quantity) == (population, quantity)), 1)
