"""Estimate the cost of one PDE step from counts and public figures.

Spikes, synaptic operations and messages between cores and chips are counted: `low` is for a PDE step without spikes,
`high` for one in which every neuron sends once, and `value` for the given activity. Time and energy include only the
cores, without traffic between cores and without the host; `low` and `high` are for the same PDE steps with the lowest
and highest public figures. They do not bound what a real chip needs: neurons in microcode are slower than the figures,
by an unpublished factor.
"""

from __future__ import annotations

from pisnn_deploy.estimates.activity import Activity, every_neuron, nothing_sent, senders
from pisnn_deploy.estimates.estimate import Estimate
from pisnn_deploy.estimates.messages import highest, lowest, message_costs, message_counts
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.target import Figure, Profile
from pisnn_deploy.target.utilisation import Counts

PICOJOULES_PER_NANOJOULE = 1000.0
NANOSECONDS_PER_MICROSECOND = 1000.0

Uses = tuple[tuple[Figure[float | None], float], ...]
"""Figures per operation, each with the number of operations."""


def estimates(
    graph: IntegerGraph, profile: Profile, counts: Counts, activity: Activity | None = None
) -> dict[str, Estimate]:
    """Estimate the cost of one PDE step.

    Parameters
    ----------
    activity : Activity, optional
        Activity of a run (default: every neuron sends once).

    Returns
    -------
    dict of str to Estimate
        ``spikes_per_pde_step``, ``synaptic_operations_per_pde_step``, ``messages_between_cores_per_pde_step`` and
        ``messages_between_chips_per_pde_step`` (events), ``time_per_pde_step_us`` in microseconds and
        ``energy_per_pde_step_nj`` (dynamic energy) in nanojoules, ``message_energy_per_pde_step_nj`` in nanojoules and
        ``message_time_ns`` in nanoseconds.
    """
    active = activity or every_neuron(graph)
    costs = {
        "spikes_per_pde_step": _counted(spikes(graph, active), spikes(graph, every_neuron(graph)), active),
        "synaptic_operations_per_pde_step": _counted(
            operations(graph, active), operations(graph, every_neuron(graph)), active
        ),
        **message_counts(graph, counts, active),
    }
    crossing = [costs[f"messages_between_{what}_per_pde_step"] for what in ("cores", "chips")]
    if graph.period is None:
        nothing = Estimate(None, None, None, "unpublished", ("The graph is not scheduled, so its period is unknown.",))
        costs |= {"time_per_pde_step_us": nothing, "energy_per_pde_step_nj": nothing}
    else:
        costs["time_per_pde_step_us"] = _time(graph, profile, counts, graph.period, active)
        costs["energy_per_pde_step_nj"] = _energy(graph, profile, counts, graph.period, active)
    return costs | message_costs(profile, *crossing)


def spikes(graph: IntegerGraph, active: Activity) -> float:
    """Number of spikes in a PDE step."""
    return float(sum(senders(graph, name) * active.fraction[name] for name in graph.chain))


def operations(graph: IntegerGraph, active: Activity) -> float:
    """Number of synaptic operations in a PDE step: one per synapse and spike of its source neuron."""
    with_lines = ((synapse, lines_of(graph, synapse.source)) for synapse in graph.synapses)
    return float(sum(lines * synapse.entries * active.fraction[synapse.source] for synapse, lines in with_lines))


def energy_uses(graph: IntegerGraph, profile: Profile, counts: Counts, period: int, active: Activity) -> Uses:
    """Operations of cores in a PDE step: each neuron is updated in each time step, actively where it sends.

    Parameters
    ----------
    period : int
        Time steps per PDE step.

    Returns
    -------
    tuple of (Figure, float)
        Energy per operation in picojoules, and number of operations.
    """
    energy, sending = profile.energy, spikes(graph, active)
    return (
        (energy.synaptic_operation_pj, operations(graph, active)),
        (energy.neuron_update_active_pj, sending),
        (energy.neuron_update_inactive_pj, period * float(counts.neurons.sum()) - sending),
    )


def energy_range(uses: Uses) -> tuple[float | None, float | None]:
    """Lowest and highest energy from public figures, in nanojoules; None if figures are missing.

    Parameters
    ----------
    uses : tuple of (Figure, float)
        Result of `energy_uses`.

    Returns
    -------
    low, high : float or None
        Operations without a lowest figure count as 0 in `low`.
    """
    return _low(uses, PICOJOULES_PER_NANOJOULE), _high(uses, PICOJOULES_PER_NANOJOULE)


def _counted(value: float, most: float, active: Activity) -> Estimate:
    return Estimate(value, 0.0, most, "counted", (active.source,))


def _low(uses: Uses, unit: float) -> float | None:
    if all(lowest(figure) is None and highest(figure) is None for figure, _ in uses):
        return None
    return sum((lowest(figure) or 0.0) * amount for figure, amount in uses) / unit


def _high(uses: Uses, unit: float) -> float | None:
    total = 0.0
    for figure, amount in uses:
        most = highest(figure)
        if most is None:
            return None
        total += most * amount
    return total / unit


def _value(uses: Uses, unit: float) -> float | None:
    values = [None if figure.value is None else figure.value * amount for figure, amount in uses]
    known = [value for value in values if value is not None]
    return sum(known) / unit if len(known) == len(values) else None


def _time(graph: IntegerGraph, profile: Profile, counts: Counts, period: int, active: Activity) -> Estimate:
    """Time of the slowest core: neuron updates or the barrier in each time step, plus its synaptic operations."""
    synapse, neuron, barrier = (
        profile.time.synaptic_operation_ns,
        profile.time.neuron_update_ns,
        profile.time.barrier_ns,
    )
    most = operations(graph, every_neuron(graph))
    share = operations(graph, active) / most if most else 0.0
    neurons, synapses = float(counts.neurons.max()), float(counts.synapses.max())

    def steps(update: float | None, wait: float | None) -> float | None:
        return None if update is None or wait is None else period * max(neurons * update, wait)

    low, high = steps(lowest(neuron), lowest(barrier)), steps(highest(neuron), highest(barrier))
    value, slowest = steps(neuron.value, barrier.value), highest(synapse)
    value = None if value is None or synapse.value is None else value + synapses * share * synapse.value
    high = None if high is None or slowest is None else high + synapses * slowest
    ends = [None if end is None else end / NANOSECONDS_PER_MICROSECOND for end in (value, low, high)]
    return _estimate(ends[0], ends[1], ends[2], (neuron, barrier, synapse))


def _energy(graph: IntegerGraph, profile: Profile, counts: Counts, period: int, active: Activity) -> Estimate:
    uses, least, most = (
        energy_uses(graph, profile, counts, period, activity)
        for activity in (active, nothing_sent(graph), every_neuron(graph))
    )
    value = _value(uses, PICOJOULES_PER_NANOJOULE)
    return _estimate(value, energy_range(least)[0], energy_range(most)[1], tuple(figure for figure, _ in uses))


def _estimate(
    value: float | None, low: float | None, high: float | None, figures: tuple[Figure[float | None], ...]
) -> Estimate:
    sources = tuple(dict.fromkeys(figure.source for figure in figures))
    known = any(end is not None for end in (value, low, high))
    return Estimate(value, low, high, "inferred" if known else "unpublished", sources)
