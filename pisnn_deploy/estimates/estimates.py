"""What one PDE step takes, as far as counts and public figures carry.

Spikes, synaptic operations and messages between cores and chips are counted: `low` is a PDE step in which nothing is
sent, `high` one in which every neuron sends once, `value` what the activity says. Time and energy are of the cores
alone, without traffic between cores and without the host: `low` and `high` are those same PDE steps with the lowest and
the highest figures that are public. No end is a bound of what a chip takes: neurons in microcode take longer than the
figures say, and nobody published by how much.
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
"""Figures of one operation, each with how many operations there are."""


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
        ``spikes_per_pde_step``, ``synaptic_operations_per_pde_step``, ``messages_between_cores_per_pde_step`` and
        ``messages_between_chips_per_pde_step`` (events), ``time_per_pde_step_us`` in microseconds and
        ``energy_per_pde_step_nj`` (dynamic energy) in nanojoules, ``message_energy_per_pde_step_nj`` in nanojoules and
        ``message_time_ns`` in nanoseconds.
    """
    active = activity or every_neuron(graph)
    found = {
        "spikes_per_pde_step": _counted(spikes(graph, active), spikes(graph, every_neuron(graph)), active),
        "synaptic_operations_per_pde_step": _counted(
            operations(graph, active), operations(graph, every_neuron(graph)), active
        ),
        **message_counts(graph, counts, active),
    }
    crossing = [found[f"messages_between_{what}_per_pde_step"] for what in ("cores", "chips")]
    if graph.period is None:
        nothing = Estimate(None, None, None, "unpublished", ("The graph is not scheduled, so its period is unknown.",))
        found |= {"time_per_pde_step_us": nothing, "energy_per_pde_step_nj": nothing}
    else:
        found["time_per_pde_step_us"] = _time(graph, profile, counts, graph.period, active)
        found["energy_per_pde_step_nj"] = _energy(graph, profile, counts, graph.period, active)
    return found | message_costs(profile, *crossing)


def spikes(graph: IntegerGraph, active: Activity) -> float:
    """Spikes of a PDE step."""
    return float(sum(senders(graph, name) * active.fraction[name] for name in graph.chain))


def operations(graph: IntegerGraph, active: Activity) -> float:
    """Synaptic operations of a PDE step: each synapse works once for each spike of its source, on average over them."""
    each = ((synapse, lines_of(graph, synapse.source)) for synapse in graph.synapses)
    return float(sum(lines * synapse.entries * active.fraction[synapse.source] for synapse, lines in each))


def energy_uses(graph: IntegerGraph, profile: Profile, counts: Counts, period: int, active: Activity) -> Uses:
    """What cores do in a PDE step: all neurons are updated in each time step, those that send in one of them actively.

    Parameters
    ----------
    graph : IntegerGraph
    profile : Profile
    counts : Counts
    period : int
        Time steps of a PDE step.
    active : Activity

    Returns
    -------
    tuple of (Figure, float)
        Figures in picojoules.
    """
    energy, sending = profile.energy, spikes(graph, active)
    return (
        (energy.synaptic_operation_pj, operations(graph, active)),
        (energy.neuron_update_active_pj, sending),
        (energy.neuron_update_inactive_pj, period * float(counts.neurons.sum()) - sending),
    )


def energy_range(uses: Uses) -> tuple[float | None, float | None]:
    """Lowest and highest energy that public figures give, in nanojoules; None where they give none.

    Parameters
    ----------
    uses : tuple of (Figure, float)
        From `energy_uses`.

    Returns
    -------
    low, high : float or None
        An operation without a lowest figure counts as nothing in `low`.
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
    given = [value for value in values if value is not None]
    return sum(given) / unit if len(given) == len(values) else None


def _time(graph: IntegerGraph, profile: Profile, counts: Counts, period: int, active: Activity) -> Estimate:
    """The slowest core sets the pace: neuron updates or the barrier in each time step, and its synaptic operations."""
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
    value, each = steps(neuron.value, barrier.value), highest(synapse)
    value = None if value is None or synapse.value is None else value + synapses * share * synapse.value
    high = None if high is None or each is None else high + synapses * each
    ends = [None if end is None else end / NANOSECONDS_PER_MICROSECOND for end in (value, low, high)]
    return _estimate(ends[0], ends[1], ends[2], (neuron, barrier, synapse))


def _energy(graph: IntegerGraph, profile: Profile, counts: Counts, period: int, active: Activity) -> Estimate:
    uses, least, most = (
        energy_uses(graph, profile, counts, period, one) for one in (active, nothing_sent(graph), every_neuron(graph))
    )
    value = _value(uses, PICOJOULES_PER_NANOJOULE)
    return _estimate(value, energy_range(least)[0], energy_range(most)[1], tuple(figure for figure, _ in uses))


def _estimate(
    value: float | None, low: float | None, high: float | None, figures: tuple[Figure[float | None], ...]
) -> Estimate:
    sources = tuple(dict.fromkeys(figure.source for figure in figures))
    known = any(end is not None for end in (value, low, high))
    return Estimate(value, low, high, "inferred" if known else "unpublished", sources)
