"""Choice of the kernels for a graph."""

from __future__ import annotations

from pisnn_deploy.graph.contract import is_of_one_field
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.kernels.faces import UnservedError
from pisnn_deploy.runs.kernels.general_stepper import GeneralStepper
from pisnn_deploy.runs.kernels.limited_general_stepper import LimitedGeneralStepper
from pisnn_deploy.runs.kernels.limited_stepper import LimitedStepper, limited_plan_of
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.kernels.structured_stepper import StructuredStepper, plan_of
from pisnn_deploy.runs.kernels.threads import thread_count
from pisnn_deploy.runs.run import RunState


def kernel_stepper(graph: IntegerGraph, start: RunState, steps: int, threads: int | None = None) -> KernelStepper:
    """Return the stepper with the fastest kernels for a graph.

    Parameters
    ----------
    threads : int, optional
        Number of threads (default: by the size of the mesh).

    Raises
    ------
    UnservedError
        If kernels do not support the graph.
    """
    if not is_of_one_field(graph):
        raise UnservedError("kernels support graphs of one field and one population of channels")
    threads = threads or thread_count(graph.mesh.cells)
    if graph.order.asking:
        limited = limited_plan_of(graph)
        if limited is None:
            return LimitedGeneralStepper(graph, start, steps, threads)
        return LimitedStepper(graph, limited, start, steps, threads)
    plan = plan_of(graph)
    if plan is not None:
        return StructuredStepper(graph, plan, start, steps, threads)
    return GeneralStepper(graph, start, steps, threads)
