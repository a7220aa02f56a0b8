"""The `onnx` backend: the graph as an ONNX model on onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.currents import kept_current
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics, State
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run

_ERRORS_ALONE = 3
"""Lowest severity of onnxruntime's messages."""


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.runs.run_graph`.

    Raises
    ------
    UsageError
        If onnxruntime is not installed, or the mesh is too large for a model.
    """
    start = options.start or start_of(graph, mass)
    stepper = ReferenceStepper(graph, start, options.steps, _states(graph, start, _session(graph)))
    return stepped_run("onnx", graph, stepper, options, progress)


def _session(graph: IntegerGraph) -> Any:
    try:
        import onnxruntime
    except ImportError as error:  # installed, but not for this machine
        raise UsageError(f"onnx backend: {error}; use `backend` fast") from error
    from pisnn_deploy.formats.onnx.writer import step_model

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ALONE
    content = step_model(graph).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _states(graph: IntegerGraph, start: RunState, session: Any) -> Iterator[State]:
    mass, current, residue = start.mass, start.current, start.residue
    late = np.concatenate(
        [np.full(channels.size, graph.population(channels.population).is_late) for channels in graph.channels]
    )
    # The model does not return what channels ask and cells answer, so that is computed for the counts of spikes.
    semantics = Semantics(graph) if graph.order.asking else None
    step, counts = np.array([start.step], np.int64), len(session.get_inputs()) > 3
    done = start.step
    while True:
        nothing = np.zeros_like(residue)
        messages = semantics.step(State(mass, nothing, residue, nothing, current), done).messages if semantics else {}
        inputs = {"mass": mass, "current": current, "residue": residue, **({"step": step} if counts else {})}
        mass, current, residue, *step_after, packets = session.run(None, inputs)
        step = step_after[0] if counts else step
        added = np.where(late, inputs["current"], current)
        yield State(mass, added, residue, packets, kept_current(graph, current), messages)
        done += 1
