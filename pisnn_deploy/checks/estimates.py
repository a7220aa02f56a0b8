"""What one PDE step takes, as far as counts and public figures carry.

Synaptic operations and messages between cores and chips are counted: `low` is a PDE step in which nothing is sent,
`high` one in which every neuron sends once, `value` what the activity says. Time and energy are of the cores alone,
without traffic between cores and without the host; their `high` is null, because public figures bound neither
microcoded neurons nor traffic.
"""

from __future__ import annotations

import numpy as np

from pisnn_deploy.checks.activity import Activity, every_neuron
from pisnn_deploy.checks.report import Estimate
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.profiles import Figure, Profile
from pisnn_deploy.utilisation import Counts

PICOJOULES_PER_NANOJOULE = 1000.0
NANOSECONDS_PER_MICROSECOND = 1000.0


def estimates(
    graph: IntegerGraph, profile: Profile, counts: Counts, activity: Activity | None = None
) -> dict[str, Estimate]:
    """Estimates of one PDE step.

    Parameters
    ----------
    graph : IntegerGraph
    profile : Profile
    counts : Counts
    activity : Activity, optional
        What a run sent; every neuron once unless given.

    Returns
    -------
    dict of str to Estimate
        ``synaptic_operations_per_pde_step``, ``messages_between_cores_per_pde_step`` and
        ``messages_between_chips_per_pde_step`` (events), ``time_per_pde_step_us`` in microseconds and
        ``energy_per_pde_step_nj`` (dynamic energy) in nanojoules.
    """
    active = activity or every_neuron(graph)
    crossing = _messages(graph, counts, active)
    found = {"synaptic_operations_per_pde_step": _operations(graph, active), **crossing}
    period = graph.period
    if period is None:
        nothing = Estimate(None, None, None, "unpublished", ("The graph is not scheduled, so its period is unknown.",))
        return found | {"time_per_pde_step_us": nothing, "energy_per_pde_step_nj": nothing}
    working = found["synaptic_operations_per_pde_step"]
    share = (working.value or 0.0) / working.high if working.high else 0.0
    return found | {
        "time_per_pde_step_us": _time(profile, counts, period, share),
        "energy_per_pde_step_nj": _energy(graph, profile, counts, period, active, share),
    }


def _operations(graph: IntegerGraph, active: Activity) -> Estimate:
    """Each synapse works once for each event of its source, on average over the neurons of the source."""
    most = float(sum(synapse.entries for synapse in graph.synapses))
    value = sum(synapse.entries * active.fraction[synapse.source] for synapse in graph.synapses)
    return Estimate(float(value), 0.0, most, "counted", (active.source,))


def _messages(graph: IntegerGraph, counts: Counts, active: Activity) -> dict[str, Estimate]:
    """Each axon that leaves a core carries each event of its neuron."""
    placement = graph.placement
    most, value = np.zeros(2), np.zeros(2)
    if placement is None or not counts.placed:
        nothing = Estimate(None, None, None, "unpublished", ("The graph is not placed.",))
        return {f"messages_between_{what}_per_pde_step": nothing for what in ("cores", "chips")}
    for synapse in graph.synapses:
        runs = placement.axons.get(synapse.name, np.zeros((0, 3), np.int64))
        first, length = runs[:, 0], runs[:, 1]
        neuron = np.repeat(first - np.cumsum(length) + length, length) + np.arange(int(length.sum()))
        origin, goal = placement.core[synapse.source][neuron], np.repeat(runs[:, 2], length)
        leaving = np.array([neuron.size, int((placement.chip[origin] != placement.chip[goal]).sum())], np.float64)
        most += leaving
        value += leaving * active.fraction[synapse.source]
    return {
        f"messages_between_{what}_per_pde_step": Estimate(float(v), 0.0, float(m), "counted", (active.source,))
        for what, v, m in zip(("cores", "chips"), value, most, strict=True)
    }


def _time(profile: Profile, counts: Counts, period: int, share: float) -> Estimate:
    """The slowest core sets the pace: neuron updates or the barrier in each time step, and its synaptic operations."""
    synapse, neuron, barrier = (
        profile.time.synaptic_operation_ns,
        profile.time.neuron_update_ns,
        profile.time.barrier_ns,
    )
    neurons, synapses = float(counts.neurons.max()), float(counts.synapses.max()) * share
    low = value = None
    if neuron.low is not None and barrier.low is not None:
        low = period * max(neurons * neuron.low, barrier.low) / NANOSECONDS_PER_MICROSECOND
    if neuron.value is not None and barrier.value is not None and synapse.value is not None:
        steps = period * max(neurons * neuron.value, barrier.value)
        value = (steps + synapses * synapse.value) / NANOSECONDS_PER_MICROSECOND
    return _estimate(value, low, (neuron, barrier, synapse))


def _energy(
    graph: IntegerGraph, profile: Profile, counts: Counts, period: int, active: Activity, share: float
) -> Estimate:
    """All neurons are updated in each time step, those that send in one of them actively."""
    energy = profile.energy
    synapse, busy, idle = (
        energy.synaptic_operation_pj,
        energy.neuron_update_active_pj,
        energy.neuron_update_inactive_pj,
    )
    neurons, synapses = float(counts.neurons.sum()), float(counts.synapses.sum()) * share
    sending = sum(graph.size(name) * fraction for name, fraction in active.fraction.items())
    low = value = None
    if idle.value is not None and idle.low is not None:
        low = period * neurons * idle.low / PICOJOULES_PER_NANOJOULE
    if idle.value is not None and busy.value is not None and synapse.value is not None:
        updates = sending * busy.value + (period * neurons - sending) * idle.value
        value = (updates + synapses * synapse.value) / PICOJOULES_PER_NANOJOULE
    return _estimate(value, low, (synapse, busy, idle))


def _estimate(value: float | None, low: float | None, figures: tuple[Figure[float | None], ...]) -> Estimate:
    sources = tuple(dict.fromkeys(figure.source for figure in figures))
    return Estimate(value, low, None, "unpublished" if value is None else "inferred", sources)
