"""Backends by name, imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.optional import is_installed, lack_of, lava_runs_here, require
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.traits import LATE, SEEING, Trait, refuse
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, require_room
from pisnn_deploy.runs.states import require_fit


@dataclass(frozen=True)
class Backend:
    """Description of a backend.

    Attributes
    ----------
    module : str
        Module with the function `run`, which `run_graph` calls.
    needs : tuple of str
        Required modules.
    has_faults : bool
        Whether it supports faults.
    without_faults : tuple of Trait
        Graphs that it supports only without faults.
    """

    module: str
    needs: tuple[str, ...] = ()
    has_faults: bool = False
    without_faults: tuple[Trait, ...] = ()


BACKENDS: Mapping[str, Backend] = {
    "cpu": Backend("pisnn_deploy.lava.backend", has_faults=True, without_faults=(LATE, SEEING)),
    "fast": Backend("pisnn_deploy.runs.fast", has_faults=True),
    "onnx": Backend("pisnn_deploy.runs.onnx", ("onnx", "onnxruntime")),
    "torch": Backend("pisnn_deploy.runs.torch", ("torch",)),
}
"""All backends by name; each runs every graph."""
NAMES = tuple(BACKENDS)
"""Names of the backends."""


def usual_backend() -> tuple[str, str]:
    """Return the default backend.

    Returns
    -------
    name : str
        ``cpu`` if Lava is available, else ``fast``.
    notice : str
        Reason for not using Lava, in one sentence, or an empty string.
    """
    if lava_runs_here():
        return "cpu", ""
    lava = f"cpu needs {lack_of('lava')}"
    if is_installed("numba"):
        return "fast", f"running on fast, which gives the same integers: {lava}"
    numba = f"fast needs {lack_of('numba')}"
    return "fast", f"running in plain numpy, which gives the same integers slowly: {lava}; {numba}"


def run_graph(
    backend: str, graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None
) -> Run:
    """Run a graph on a backend.

    Parameters
    ----------
    backend : str
        One of `NAMES`.
    graph : IntegerGraph
        A fully compiled graph.
    mass : int64 array [cells]
        Initial masses in quanta.
    progress : callable, optional
        Called regularly with the number of completed PDE steps.

    Returns
    -------
    Run
        The run, also if a violation stopped it (see ``Run.failure``).

    Raises
    ------
    UsageError
        For an unknown backend, or one that does not support the graph, this interpreter or faults; for so many PDE
        steps that sums of packets may wrap; and for a start outside the operating range or a width.
    CheckError
        If the backend itself failed.
    """
    if backend not in BACKENDS:
        raise UsageError(f"backend {backend!r}: unknown; use {', '.join(NAMES)}")
    chosen = BACKENDS[backend]
    if options.faults and not chosen.has_faults:
        others = " or ".join(name for name, other in BACKENDS.items() if other.has_faults)
        raise UsageError(f"backend {backend}: does not support faults; use {others}")
    require_room(graph, options)
    if options.faults:
        refuse(graph, f"backend {backend} with faults", chosen.without_faults, "use `backend` fast")
    if options.start is not None:
        require_fit(graph, options.start)
    require_memory(f"backend {backend}")
    require(f"backend {backend}", *chosen.needs)
    module = importlib.import_module(chosen.module)
    return cast(Run, module.run(graph, mass, options, progress))
