"""Python API: train, compile and run models, and inspect the results."""

from pisnn_deploy.api.artifact import CompiledArtifact, compile, load
from pisnn_deploy.api.convergence import ConvergenceStudy, converge
from pisnn_deploy.api.run import SimulationRun
from pisnn_deploy.api.training import train

__all__ = ["CompiledArtifact", "ConvergenceStudy", "SimulationRun", "compile", "converge", "load", "train"]
