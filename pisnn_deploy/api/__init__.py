"""The Python API: compile a model, run it, look at what came out."""

from pisnn_deploy.api.artifact import CompiledArtifact, compile, load
from pisnn_deploy.api.run import SimulationRun

__all__ = ["CompiledArtifact", "SimulationRun", "compile", "load"]
