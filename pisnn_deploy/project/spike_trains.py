"""Spikes of a run by time step, for tools that replay them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import bit_lines
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.runs import Run, RunOptions, run_graph
from pisnn_deploy.runs.probes import outputs_of, probes_of


def spike_trains(graph: IntegerGraph, steps: int) -> tuple[dict[tuple[str, int], NDArray[np.bool_]], Run]:
    """Run a graph from its own start, and give its spikes.

    Parameters
    ----------
    steps : int
        PDE steps.

    Returns
    -------
    trains : dict of (str, int) to bool array [time steps, lines * neurons]
        Spikes of each output of each population that has synapses; of binary spikes line after line.
    run : Run
        The run; its `events` are the numbers of these spikes.

    Raises
    ------
    CheckError
        A violation stopped the run.
    """
    run = run_graph("fast", graph, graph.initial, RunOptions(steps, probes=probes_of(graph, graph.chain)))
    if not run.conserved:
        raise CheckError(run.verdict.reason)
    period, order = int(graph.period or 1), graph.order
    within = {channels.population for channels in graph.channels} | {*order.answers}
    trains: dict[tuple[str, int], NDArray[np.bool_]] = {}
    for probed in run.trace.probes:
        name = probed.probe.population
        lines = graph.population(name).lines
        for output, quantity in outputs_of(graph, name).items():
            rows = probed.values[quantity]
            spikes = np.stack([bit_lines(row, lines).reshape(-1) for row in rows]) if lines else rows
            asks = name in order.asking and output in order.asking[name].outputs
            phase = (order.asks_at[name] if asks else graph.depths[name]) % period
            train = np.zeros((steps * period + 1, spikes.shape[1]), np.bool_)
            # The row of the masses after a step has what channels sent in it, and what others send next.
            rows_sent = spikes[1:] if name in within else spikes
            times = np.arange(len(rows_sent)) * period + phase
            shown = times < len(train)
            train[times[shown]] = rows_sent[shown] != 0
            trains[name, output] = train
    return trains, run
