"""Backends by name; each is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import cast

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.optional import guests
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, require_room
from pisnn_deploy.runs.states import require_fit

_MODULES: Mapping[str, str] = {
    "cpu": "pisnn_deploy.lava.backend",
    "fast": "pisnn_deploy.runs.fast",
    "onnx": "pisnn_deploy.runs.onnx",
    "torch": "pisnn_deploy.runs.torch",
}
NAMES = tuple(_MODULES)
"""Names of the backends."""
HIT = ("cpu", "fast")
"""Backends that faults can hit."""


def run_graph(
    backend: str, graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None
) -> Run:
    """Run a graph on a backend.

    Parameters
    ----------
    backend : str
        One of `NAMES`.
    graph : IntegerGraph
        Compiled to the end.
    mass : int64 array [cells]
        Masses in quanta at the start.
    options : RunOptions
    progress : callable, optional
        Called now and then with the number of PDE steps done.

    Returns
    -------
    Run
        Also when a violation stopped the run: see ``Run.failure``.

    Raises
    ------
    UsageError
        Unknown backend, or one that cannot run this graph, runs not on this interpreter, or has no faults; so many PDE
        steps that a sum of packets may wrap; a state to go on from that is outside the operating range or a width.
    CheckError
        The backend itself broke down.
    """
    if backend not in _MODULES:
        raise UsageError(f"backend {backend!r}: unknown; use {', '.join(NAMES)}")
    if options.faults and backend not in HIT:
        raise UsageError(f"backend {backend}: it has nothing to hit with faults; use {' or '.join(HIT)}")
    require_room(graph, options)
    if options.faults and (graph.stock is not None or graph.flux.share_shift is not None):
        raise UsageError("faults hit graphs of plain C-LIF alone; compile without --processes stock and --limiter")
    if options.start is not None:
        require_fit(graph, options.start)
    require_memory(f"backend {backend}")
    with guests(f"backend {backend}"):
        module = importlib.import_module(_MODULES[backend])
    return cast(Run, module.run(graph, mass, options, progress))
