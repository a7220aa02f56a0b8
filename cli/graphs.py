"""Graphs that commands run: from an artifact, or compiled from a model of the zoo."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pisnn_deploy.cli.compilation import compile_file
from pisnn_deploy.cli.model_file import is_file_name
from pisnn_deploy.compiler.facts import BOUNDED, SCHEDULED
from pisnn_deploy.errors import UsageError
from pisnn_deploy.graph.artifact import Artifact, artifact_bytes, read_artifact


def read_graph(name: str) -> Artifact:
    """Read or compile a graph that can be run.

    Parameters
    ----------
    name : str
        A ``.pisnn`` file, or a model of the zoo.

    Returns
    -------
    Artifact
        Of a model of the zoo, the one that would be written.

    Raises
    ------
    UsageError
        It cannot be read, or was not compiled to the end.
    """
    if is_file_name(name):
        artifact = read_artifact(Path(name))
    else:
        graph, provenance = compile_file(name)
        artifact = Artifact(graph, provenance, hashlib.sha256(artifact_bytes(graph, provenance)).hexdigest())
    if not (SCHEDULED.holds(artifact.graph) and BOUNDED.holds(artifact.graph)):
        raise UsageError(f"{name}: the graph was not compiled to the end; compile the model again")
    return artifact
