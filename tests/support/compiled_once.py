"""Graphs that many tests start from are compiled once a session, by whichever process comes first."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
from pathlib import Path

from pisnn_deploy.compiler import CompileOptions, compile_model
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.physics.model import Model
from pisnn_deploy.target import Profile

FOLDER = "PISNN_TESTS_COMPILED"
"""Environment variable that names the folder of the session; without it every process keeps its own graphs."""

_kept: dict[str, bytes] = {}


def compile_once(model: Model, options: CompileOptions) -> IntegerGraph:
    """Compile a model, or take what was compiled of the same model with the same options before.

    Parameters
    ----------
    model : Model
    options : CompileOptions

    Returns
    -------
    IntegerGraph
        A copy that shares nothing with others.
    """
    asked = io.BytesIO()
    _Asked(asked, pickle.HIGHEST_PROTOCOL).dump((model, options))
    name = hashlib.sha256(asked.getbuffer()).hexdigest()
    stored = _kept.get(name) or _read(name)
    if stored is None:
        stored = pickle.dumps(compile_model(model, options), pickle.HIGHEST_PROTOCOL)
        _write(name, stored)
    _kept[name] = stored
    graph: IntegerGraph = pickle.loads(stored)
    return graph


class _Asked(pickle.Pickler):
    """Writes what a graph is compiled from; profiles, whose classes cannot be pickled, by their content."""

    def persistent_id(self, value: object) -> str | None:
        """Content of a profile."""
        return value.model_dump_json() if isinstance(value, Profile) else None


def _read(name: str) -> bytes | None:
    folder = os.environ.get(FOLDER)
    try:
        return Path(folder, name).read_bytes() if folder else None
    except FileNotFoundError:
        return None


def _write(name: str, stored: bytes) -> None:
    folder = os.environ.get(FOLDER)
    if folder:
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(stored)
        Path(file.name).rename(Path(folder, name))
