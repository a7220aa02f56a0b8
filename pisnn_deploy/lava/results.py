"""What a run on Lava did, from the files that its processes write."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.graph.currents import kept_current
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.lava import exchange
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.probing import probed_rows
from pisnn_deploy.runs.run import Run, RunOptions, RunState, trace_of


def run_of(
    graph: IntegerGraph,
    start: RunState,
    options: RunOptions,
    files: Exchange,
    *,
    failure: str = "",
    overflow: bool = False,
    seconds: float = 0.0,
) -> Run:
    """Read a run, also of which only a part is done.

    Parameters
    ----------
    start : RunState
        State at its start.
    failure : str
        Violation that stopped it.
    overflow : bool
        Whether that was an overflow, which the audit does not count.
    seconds : float
        Time of stepping.
    """
    status = files.array("status")
    steps, rows = int(status[exchange.STEPS]), int(status[exchange.ROWS])
    events = {name: count + start.events[name] for name, count in files.events(graph.chain).items()}
    packets_sent = start.packets_sent + int(status[exchange.PACKETS])
    quanta_sent = start.quanta_sent + int(status[exchange.QUANTA])
    trace = trace_of(
        graph,
        options.kept_steps()[:rows],
        np.array(files.array("mass")[:rows]),
        np.array(files.array("transported")[:rows]),
        np.array(files.array("in_flight")[:rows]),
        np.array(files.array("flux")[:rows]) if options.everything else None,
        probed_rows(files, graph, options.probes, rows),
    )
    end = None
    if steps == options.last_step and not failure:
        packets, current, residue = np.array(files.array("end_flux"))
        end = RunState(
            steps,
            np.array(files.array("end_mass")),
            kept_current(graph, current),
            residue,
            np.array(files.array("end_transported")),
            int(np.abs(packets).sum()),
            packets_sent,
            quanta_sent,
            events,
        )
    return Run(
        backend="cpu",
        steps=steps,
        time_steps=start.step * int(graph.period or 0) + int(status[exchange.TIME_STEPS]),
        trace=trace,
        violations=dict(_violations(status, overflow=overflow)),
        failure=failure,
        packets_sent=packets_sent,
        quanta_sent=quanta_sent,
        events=events,
        wall_seconds=seconds,
        end=end,
    )


def _violations(status: Integers, *, overflow: bool) -> Mapping[str, int]:
    counts = dict(zip(KINDS, status[exchange.VIOLATIONS].tolist(), strict=True))
    counts["overflow"] += int(overflow)
    return counts
