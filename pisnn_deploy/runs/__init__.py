"""Backends, which all compute the same integers: Lava's CPU simulator, compiled kernels, onnxruntime and torch."""

from pisnn_deploy.runs.registry import NAMES, run_graph, usual_backend
from pisnn_deploy.runs.run import Progress, Run, RunOptions, Trace

__all__ = ["NAMES", "Progress", "Run", "RunOptions", "Trace", "run_graph", "usual_backend"]
