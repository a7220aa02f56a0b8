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
    why_no_probes : str
        Why it cannot record probes; empty if it can.
    without_probes : tuple of Trait
        Graphs that it supports only without probes.
    """

    module: str
    needs: tuple[str, ...] = ()
    has_faults: bool = False
    without_faults: tuple[Trait, ...] = ()
    why_no_probes: str = ""
    without_probes: tuple[Trait, ...] = ()


_ONLY_STATES = "it returns masses, packets, currents and residues, and not what other neurons send"

BACKENDS: Mapping[str, Backend] = {
    # Lava's own processes, of late graphs, keep no words that a probe could read.
    "cpu": Backend("pisnn_deploy.lava.backend", has_faults=True, without_faults=(LATE, SEEING), without_probes=(LATE,)),
    "fast": Backend("pisnn_deploy.runs.fast", has_faults=True),
    "onnx": Backend("pisnn_deploy.runs.onnx", ("onnx", "onnxruntime"), why_no_probes=_ONLY_STATES),
    "torch": Backend("pisnn_deploy.runs.torch", ("torch",), why_no_probes=_ONLY_STATES),
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
    if is_installed("llvmlite"):
        return "fast", f"running on fast, which gives the same integers: {lava}"
    llvm = f"fast needs {lack_of('llvmlite')}"
    return "fast", f"running in plain numpy, which gives the same integers slowly: {lava}; {llvm}"


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
        For an unknown backend, or one that does not support the graph, this interpreter, faults or probes; for so many
        PDE steps that sums of packets may wrap; and for a start outside the operating range or a width.
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
    if options.probes:
        _require_probes(backend, chosen, graph)
    if options.start is not None:
        require_fit(graph, options.start)
    require_memory(f"backend {backend}")
    require(f"backend {backend}", *chosen.needs)
    module = importlib.import_module(chosen.module)
    return cast(Run, module.run(graph, mass, options, progress))


def _require_probes(name: str, backend: Backend, graph: IntegerGraph) -> None:
    """Refuse a backend that cannot record probes of a graph."""
    if backend.why_no_probes:
        others = " or ".join(other for other, each in BACKENDS.items() if not each.why_no_probes)
        raise UsageError(f"backend {name}: cannot record probes ({backend.why_no_probes}); use {others}")
    refuse(graph, f"backend {name} with probes", backend.without_probes, "use `backend` fast")
