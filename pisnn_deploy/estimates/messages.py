"""Messages between cores in one PDE step: how many there are, and what they take as far as routers are public.

Which tile a core number stands on is not public, so how far a message goes is not known: from a neighbour within its
tile to the opposite corner of the routers' grid. What a message takes between chips is not public at all.
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
_PATH = "From within one tile to the longest path on the grid of routers: which tile a core is on is not public."
_INTO = "What a message takes to enter a core is not public, and not in the highest end."
_CHIPS = "Some messages go to other chips, and no energy or time of that is public."


def message_counts(graph: IntegerGraph, counts: Counts, active: Activity) -> dict[str, Estimate]:
    """Messages between cores and between chips: each axon that leaves a core carries each spike of its neuron.

    Parameters
    ----------
    graph : IntegerGraph
    counts : Counts
    active : Activity

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
    """What messages take on their way, as ranges; never a single figure.

    Parameters
    ----------
    profile : Profile
    between_cores, between_chips : Estimate
        From `message_counts`.

    Returns
    -------
    dict of str to Estimate
        ``message_energy_per_pde_step_nj``, of all messages of the given activity, and ``message_time_ns``, of one
        message that waits for no other.
    """
    energy, time = profile.energy, profile.time
    found = {
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
        return dict.fromkeys(found, nothing)
    one = found["message_energy_per_pde_step_nj"]
    times = between_cores.value / PICOJOULES_PER_NANOJOULE
    ends = [None if end is None else end * times for end in (one.low, one.high)]
    return found | {
        "message_energy_per_pde_step_nj": Estimate(None, ends[0], ends[1], one.confidence, one.sources),
    }


def _path(
    profile: Profile,
    ends: tuple[Figure[float | None], Figure[float | None], Figure[float | None]],
    hops: tuple[Figure[float | None], Figure[float | None]],
    between_chips: Estimate,
) -> Estimate:
    """What one message takes: within a tile at least; out, along the longest path and in at most."""
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
    """The lowest number that the public record gives for a figure, None if it gives none."""
    return figure.value if figure.low is None else figure.low


def highest(figure: Figure[float | None]) -> float | None:
    """The highest number that the public record gives for a figure, None if it gives none."""
    return figure.value if figure.high is None else figure.high
