"""Graphs that commands run: from an artifact, or compiled from a model of the zoo."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pisnn_deploy.cli.compilation import compile_file
from pisnn_deploy.cli.model_file import is_file_name
from pisnn_deploy.compiler.facts import BOUNDED, SCHEDULED
from pisnn_deploy.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact


def read_graph(name: str) -> tuple[IntegerGraph, str]:
    """Read or compile a graph that can be run.

    Parameters
    ----------
    name : str
        A ``.pisnn`` file, or a model of the zoo.

    Returns
    -------
    graph : IntegerGraph
    digest : str
        SHA-256 of the artifact.

    Raises
    ------
    UsageError
        It cannot be read, or was not compiled to the end.
    """
    if is_file_name(name):
        read = read_artifact(Path(name))
        graph, digest = read.graph, read.sha256
    else:
        graph, provenance = compile_file(name)
        digest = hashlib.sha256(artifact_bytes(graph, provenance)).hexdigest()
    if not (SCHEDULED.holds(graph) and BOUNDED.holds(graph)):
        raise UsageError(f"{name}: the graph was not compiled to the end; compile the model again")
    return graph, digest
