"""Time and energy of one PDE step, as far as counts and public figures carry.

Both are of the cores alone, without spike traffic between cores and without the host. `low` counts what happens when no
neuron sends anything; `value` counts every neuron sending once, so that every synapse works once. `high` is null:
public figures bound neither microcoded neurons nor traffic.
"""

from __future__ import annotations

from pisnn_deploy.checks.report import Estimate
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.profiles import Figure, Profile
from pisnn_deploy.utilisation import Counts

PICOJOULES_PER_NANOJOULE = 1000.0
NANOSECONDS_PER_MICROSECOND = 1000.0


def estimates(graph: IntegerGraph, profile: Profile, counts: Counts) -> dict[str, Estimate]:
    """Estimates of one PDE step.

    Parameters
    ----------
    graph : IntegerGraph
    profile : Profile
    counts : Counts

    Returns
    -------
    dict of str to Estimate
        ``time_per_pde_step_us`` in microseconds and ``energy_per_pde_step_nj`` (dynamic energy) in nanojoules.
    """
    period = graph.period
    if period is None:
        nothing = Estimate(None, None, None, "unpublished", ("The graph is not scheduled, so its period is unknown.",))
        return {"time_per_pde_step_us": nothing, "energy_per_pde_step_nj": nothing}
    return {
        "time_per_pde_step_us": _time(profile, counts, period),
        "energy_per_pde_step_nj": _energy(profile, counts, period),
    }


def _time(profile: Profile, counts: Counts, period: int) -> Estimate:
    """The slowest core sets the pace: neuron updates or the barrier in each time step, and its synaptic operations."""
    synapse, neuron, barrier = (
        profile.time.synaptic_operation_ns,
        profile.time.neuron_update_ns,
        profile.time.barrier_ns,
    )
    neurons, synapses = float(counts.neurons.max()), float(counts.synapses.max())
    low = value = None
    if neuron.low is not None and barrier.low is not None:
        low = period * max(neurons * neuron.low, barrier.low) / NANOSECONDS_PER_MICROSECOND
    if neuron.value is not None and barrier.value is not None and synapse.value is not None:
        steps = period * max(neurons * neuron.value, barrier.value)
        value = (steps + synapses * synapse.value) / NANOSECONDS_PER_MICROSECOND
    return _estimate(value, low, (neuron, barrier, synapse))


def _energy(profile: Profile, counts: Counts, period: int) -> Estimate:
    """All neurons are updated in each time step, in one of them actively; each synapse works once."""
    energy = profile.energy
    synapse, active, inactive = (
        energy.synaptic_operation_pj,
        energy.neuron_update_active_pj,
        energy.neuron_update_inactive_pj,
    )
    neurons, synapses = float(counts.neurons.sum()), float(counts.synapses.sum())
    low = value = None
    if inactive.value is not None and inactive.low is not None:
        low = period * neurons * inactive.low / PICOJOULES_PER_NANOJOULE
    if inactive.value is not None and active.value is not None and synapse.value is not None:
        updates = neurons * (active.value + (period - 1) * inactive.value)
        value = (updates + synapses * synapse.value) / PICOJOULES_PER_NANOJOULE
    return _estimate(value, low, (synapse, active, inactive))


def _estimate(value: float | None, low: float | None, figures: tuple[Figure[float | None], ...]) -> Estimate:
    sources = tuple(dict.fromkeys(figure.source for figure in figures))
    return Estimate(value, low, None, "unpublished" if value is None else "inferred", sources)
