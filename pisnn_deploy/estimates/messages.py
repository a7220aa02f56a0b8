"""Number and cost of messages between cores in one PDE step.

The tile of each core is not public, so the path of a message is unknown: from a neighbour within a tile to the opposite
corner of the grid of routers. The cost of messages between chips is not public at all.
"""

from __future__ import annotations

import numpy as np

from pisnn_deploy.estimates.activity import Activity
from pisnn_deploy.estimates.estimate import Estimate
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.target import Figure, Profile
from pisnn_deploy.target.utilisation import Counts

PICOJOULES_PER_NANOJOULE = 1000.0
_PATH = (
    "Paths range from within one tile to the longest one on the grid of routers, because tiles of cores are unknown."
)
_INTO = "The cost of a message to enter a core is not public, and not included in the upper end."
_CHIPS = "Some messages go to other chips, for which no energy or time is public."


def message_counts(graph: IntegerGraph, counts: Counts, active: Activity) -> dict[str, Estimate]:
    """Count messages between cores and between chips: each axon that leaves a core carries each spike of its neuron.

    Returns
    -------
    dict of str to Estimate
        ``messages_between_cores_per_pde_step`` and ``messages_between_chips_per_pde_step``.
    """
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
        leaving *= lines_of(graph, synapse.source)
        most += leaving
        value += leaving * active.fraction[synapse.source]
    return {
        f"messages_between_{what}_per_pde_step": Estimate(float(v), 0.0, float(m), "counted", (active.source,))
        for what, v, m in zip(("cores", "chips"), value, most, strict=True)
    }


def message_costs(profile: Profile, between_cores: Estimate, between_chips: Estimate) -> dict[str, Estimate]:
    """Energy and time of messages, always as ranges.

    Parameters
    ----------
    between_cores, between_chips : Estimate
        Results of `message_counts`.

    Returns
    -------
    dict of str to Estimate
        ``message_energy_per_pde_step_nj`` for all messages at the given activity, and ``message_time_ns`` for one
        message without contention.
    """
    energy, time = profile.energy, profile.time
    costs = {
        "message_energy_per_pde_step_nj": _path(
            profile,
            (energy.within_tile_pj, energy.message_out_pj, energy.message_in_pj),
            (energy.hop_east_west_pj, energy.hop_north_south_pj),
            between_chips,
        ),
        "message_time_ns": _path(
            profile,
            (time.within_tile_ns, time.message_out_ns, time.message_in_ns),
            (time.hop_east_west_ns, time.hop_north_south_ns),
            between_chips,
        ),
    }
    if between_cores.value is None:
        nothing = Estimate(None, None, None, "unpublished", between_cores.sources)
        return dict.fromkeys(costs, nothing)
    energy_pj = costs["message_energy_per_pde_step_nj"]
    times = between_cores.value / PICOJOULES_PER_NANOJOULE
    ends = [None if end is None else end * times for end in (energy_pj.low, energy_pj.high)]
    return costs | {
        "message_energy_per_pde_step_nj": Estimate(None, ends[0], ends[1], energy_pj.confidence, energy_pj.sources),
    }


def _path(
    profile: Profile,
    ends: tuple[Figure[float | None], Figure[float | None], Figure[float | None]],
    hops: tuple[Figure[float | None], Figure[float | None]],
    between_chips: Estimate,
) -> Estimate:
    """Cost of one message: at least within a tile, at most out of the core, along the longest path, and in."""
    within, out, into = ends
    shortest = lowest(within)
    chip = profile.chip
    sources = tuple(dict.fromkeys(figure.source for figure in (*ends, *hops)))
    if shortest is None:
        return Estimate(None, None, None, "unpublished", sources)
    longest: float | None = 0.0
    for figure, times in (
        (out, 1),
        (into, 1),
        (hops[0], None if chip.router_columns.value is None else chip.router_columns.value - 1),
        (hops[1], None if chip.router_rows.value is None else chip.router_rows.value - 1),
    ):
        most = 0.0 if figure is into and into.is_unpublished else highest(figure)
        longest = None if longest is None or most is None or times is None else longest + times * most
    sources = (*sources, _PATH, *((_INTO,) if into.is_unpublished else ()))
    if between_chips.high:
        longest, sources = None, (*sources, _CHIPS)
    return Estimate(None, shortest, longest, "inferred", sources)


def lowest(figure: Figure[float | None]) -> float | None:
    """Lowest public value of a figure; None if there is none."""
    return figure.value if figure.low is None else figure.low


def highest(figure: Figure[float | None]) -> float | None:
    """Highest public value of a figure; None if there is none."""
    return figure.value if figure.high is None else figure.high
