"""Read the graphs that commands run from an artifact, or compile them from a model of the zoo."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pisnn_deploy.compiler.facts import BOUNDED, SCHEDULED
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import Artifact, artifact_bytes, read_sealed_artifact
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.model_file import is_file_name
from pisnn_deploy.project.request import CompileRequest


def read_graph(name: str) -> Artifact:
    """Read or compile a graph that can be run.

    Parameters
    ----------
    name : str
        A ``.pisnn`` file, or a model of the zoo.

    Returns
    -------
    Artifact
        For a model of the zoo, the artifact that ``compile`` would write.

    Raises
    ------
    UsageError
        It cannot be read, its seal is broken, or it was not compiled to the end.
    """
    if is_file_name(name):
        artifact = read_sealed_artifact(Path(name))
    else:
        graph, provenance = compile_requested(CompileRequest(name))
        artifact = Artifact(graph, provenance, hashlib.sha256(artifact_bytes(graph, provenance)).hexdigest())
    require_compiled(name, artifact.graph)
    return artifact


def require_compiled(name: str, graph: IntegerGraph) -> None:
    """Refuse a graph that was not compiled to the end.

    Parameters
    ----------
    name : str
        Source of the graph, for the message.

    Raises
    ------
    UsageError
        It was not compiled to the end.
    """
    if not (SCHEDULED.holds(graph) and BOUNDED.holds(graph)):
        raise UsageError(f"{name}: the graph was not compiled to the end; compile the model again")
