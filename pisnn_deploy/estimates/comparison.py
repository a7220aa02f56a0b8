"""Compare the estimates with a dense-coded run and with a float solver of the same scheme.

Counts are compared exactly, because they belong to the same graph, and energies as ranges. Operations of the float
solver are counted without running it; its time must be measured by the user, while that of the target is an estimate.
"""

from __future__ import annotations

import itertools

import numpy as np

from pisnn_deploy.estimates.activity import Activity, every_neuron
from pisnn_deploy.estimates.compared import BINARY, NOT_COMPARABLE, Comparison, FloatSolver, Ratio, Side
from pisnn_deploy.estimates.estimate import Estimate
from pisnn_deploy.estimates.estimates import Uses, energy_range, energy_uses, operations, spikes
from pisnn_deploy.estimates.messages import highest, lowest
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.traits import BINARY as IS_BINARY
from pisnn_deploy.programs import facts
from pisnn_deploy.target import Profile
from pisnn_deploy.target.utilisation import Counts

BYTES_PER_FLOAT = 8
MICROSECONDS_PER_SECOND = 1e6


def compare(
    graph: IntegerGraph,
    profile: Profile,
    counts: Counts,
    time: Estimate,
    activity: Activity | None = None,
    seconds: float | None = None,
) -> Comparison:
    """Compare a graph's PDE step with dense coding and with a float solver.

    Parameters
    ----------
    time : Estimate
        Estimated time of a PDE step, in microseconds.
    activity : Activity, optional
        Activity of a run (default: every neuron sends once, which is dense coding).
    seconds : float, optional
        Measured time per PDE step of a float solver.
    """
    active, every = activity or every_neuron(graph), every_neuron(graph)
    period, codings = graph.period, (active, every)
    uses = [] if period is None else [energy_uses(graph, profile, counts, period, coding) for coding in codings]
    ranges = [energy_range(coding_uses) for coding_uses in uses] or [(None, None), (None, None)]
    here, dense = (
        Side(spikes(graph, coding), operations(graph, coding), *ends)
        for coding, ends in zip(codings, ranges, strict=True)
    )
    energies = _energy_ratio(uses[0], uses[1]) if uses else (None, None)
    ratio = Ratio(
        here.spikes / dense.spikes if dense.spikes else None,
        here.synaptic_operations / dense.synaptic_operations if dense.synaptic_operations else None,
        *energies,
    )
    is_requested = active.counted or seconds is not None
    sentences = (*NOT_COMPARABLE, BINARY) if IS_BINARY.is_of(graph) else NOT_COMPARABLE
    solver = float_solver(graph, seconds, time)
    return Comparison(is_requested, active.source, here, dense, ratio, solver, not_comparable=sentences)


def float_solver(graph: IntegerGraph, seconds: float | None, time: Estimate) -> FloatSolver:
    """Count the operations of an explicit float64 solver of the same scheme in a PDE step.

    Parameters
    ----------
    seconds : float or None
        Measured time per PDE step of the solver.
    time : Estimate
        Estimated time per PDE step of the target, in microseconds.
    """
    faces, cells = graph.mesh.faces, graph.mesh.cells
    multiplications = additions = comparisons = moved = 0
    if graph.operator:
        kernels = len(graph.model_spec.rates) or 1  # each face has one of them
        for number, layer in enumerate(graph.operator):
            weights, outputs = int(np.count_nonzero(layer.weight)) // kernels, layer.weight.shape[0] // kernels
            multiplications += faces * weights
            additions += faces * (weights - outputs + int(np.count_nonzero(layer.bias)))
            comparisons += faces * outputs * (number < len(graph.operator) - 1)
    elif graph.materials is None:
        multiplications, additions, comparisons = _program_operations(graph)
        moved += 2 * BYTES_PER_FLOAT * cells * (len(graph.fields) - 1)
    else:
        # A conductance times the difference of two values, each a mass divided by a volume.
        multiplications, additions = faces + cells, faces
        moved += BYTES_PER_FLOAT * (faces + cells)
    # A leaky current costs one product and one sum per step.
    leaks = graph.sole_channels.program if graph.has_flux_network else None
    products = 0 if leaks is None else faces * facts.operations(leaks)["mul_shr"]
    multiplications, additions = multiplications + products, additions + products
    moved += 2 * BYTES_PER_FLOAT * products
    at_cells = (np.count_nonzero(holders < cells) for c in graph.channels for _, holders, _ in c.ends)
    additions += int(sum(at_cells))
    moved += 2 * BYTES_PER_FLOAT * cells
    ends = [
        None if seconds is None or end is None else end / (seconds * MICROSECONDS_PER_SECOND)
        for end in (time.low, time.high)
    ]
    return FloatSolver(multiplications, additions, comparisons, moved, seconds, ends[0], ends[1])


def _program_operations(graph: IntegerGraph) -> tuple[int, int, int]:
    """Products, sums and comparisons of all programs but the holders', and of their weighted inputs."""
    multiplications = additions = comparisons = 0
    for population in graph.populations:
        if population.name not in graph.holders:
            counts = facts.operations(population.program)
            multiplications += population.size * counts["mul_shr"]
            additions += population.size * (counts["add"] + counts["sub"])
            comparisons += population.size * sum(counts[name] for name in ("min", "max", "lt", "ge", "eq", "select"))
    inputs = sum(synapse.entries for synapse in graph.synapses if synapse.target not in graph.holders)
    return multiplications + inputs, additions + inputs, comparisons


def _energy_ratio(here: Uses, dense: Uses) -> tuple[float | None, float | None]:
    """Range of the ratio of two energies; it is monotone in each figure, so its ends are at corners of the ranges."""
    ranges = [(lowest(figure) or 0.0, highest(figure)) for figure, _ in here]
    known = [(low, high) for low, high in ranges if high is not None]
    if len(known) < len(ranges):
        return None, None
    operation, busy, idle = known
    # An active update costs at least as much as an inactive one, which cuts off a corner of the two ranges.
    ends = {*busy, *idle}
    pairs = [
        (most, least)
        for most, least in itertools.product(ends, ends)
        if least <= most and busy[0] <= most <= busy[1] and idle[0] <= least <= idle[1]
    ]
    ratios = []
    for corner in ((end, *pair) for end in operation for pair in pairs):
        sums = [
            sum(figure * amount for figure, (_, amount) in zip(corner, uses, strict=True)) for uses in (here, dense)
        ]
        if sums[1] > 0:
            ratios.append(sums[0] / sums[1])
    return (min(ratios), max(ratios)) if ratios else (None, None)
