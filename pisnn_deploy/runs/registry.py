"""Backends by name; each is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.optional import is_installed, lack_of, lava_runs_here, require
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.traits import LATE, Trait, refuse
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, require_room
from pisnn_deploy.runs.states import require_fit


@dataclass(frozen=True)
class Backend:
    """What runs graphs.

    Attributes
    ----------
    module : str
        Imported when it is asked for; its `run` is that of `run_graph`.
    needs : tuple of str
        Modules that must be installed.
    has_faults : bool
        Whether faults can hit it.
    without_faults : tuple of Trait
        Graphs that it runs, but not with faults.
    """

    module: str
    needs: tuple[str, ...] = ()
    has_faults: bool = False
    without_faults: tuple[Trait, ...] = ()


BACKENDS: Mapping[str, Backend] = {
    "cpu": Backend("pisnn_deploy.lava.backend", has_faults=True, without_faults=(LATE,)),
    "fast": Backend("pisnn_deploy.runs.fast", has_faults=True),
    "onnx": Backend("pisnn_deploy.runs.onnx", ("onnx", "onnxruntime")),
    "torch": Backend("pisnn_deploy.runs.torch", ("torch",)),
}
"""By name; each runs every graph."""
NAMES = tuple(BACKENDS)
"""Names of the backends."""


def usual_backend() -> tuple[str, str]:
    """The backend of a run that names none.

    Returns
    -------
    name : str
        ``cpu`` where Lava is at hand, else ``fast``.
    notice : str
        Why it is not Lava, in a sentence; empty if it is.
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
    if backend not in BACKENDS:
        raise UsageError(f"backend {backend!r}: unknown; use {', '.join(NAMES)}")
    chosen = BACKENDS[backend]
    if options.faults and not chosen.has_faults:
        others = " or ".join(name for name, other in BACKENDS.items() if other.has_faults)
        raise UsageError(f"backend {backend}: it has nothing to hit with faults; use {others}")
    require_room(graph, options)
    if options.faults:
        refuse(graph, f"backend {backend} with faults", chosen.without_faults, "use `backend` fast")
    if options.start is not None:
        require_fit(graph, options.start)
    require_memory(f"backend {backend}")
    require(f"backend {backend}", *chosen.needs)
    module = importlib.import_module(chosen.module)
    return cast(Run, module.run(graph, mass, options, progress))
