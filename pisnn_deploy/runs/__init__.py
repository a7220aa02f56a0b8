"""Backends: the same integers on Lava's CPU simulator, in numpy, and in torch."""

from pisnn_deploy.runs.registry import NAMES, run_graph, usual_backend
from pisnn_deploy.runs.run import Progress, Run, RunOptions, Trace

__all__ = ["NAMES", "Progress", "Run", "RunOptions", "Trace", "run_graph", "usual_backend"]
