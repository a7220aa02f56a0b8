"""Write a graph of stock processes as a script and its data, which only need lava-nc and numpy."""

from __future__ import annotations

import io
import json
import zipfile
from importlib import resources
from typing import Any

import numpy as np

from pisnn_deploy.core.archive import zip_bytes
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.stock import is_stock, stock_network

SCRIPT, DATA = "run.py", "graph.npz"
"""File names of the script and its data."""
_NPY: Any = np.lib.format
"""numpy has no type hints for this module."""


def lava_files(graph: IntegerGraph, artifact_sha256: str = "") -> dict[str, bytes]:
    """Build script and data.

    Parameters
    ----------
    graph : IntegerGraph
        Fully compiled graph of stock processes.
    artifact_sha256 : str
        Hash for the metadata.

    Returns
    -------
    dict of str to bytes
        Content by file name, reproducible byte for byte.

    Raises
    ------
    UsageError
        The graph needs processes that Lava does not have.
    """
    if not is_stock(graph):
        # Only flux networks can be compiled for these processes.
        remedy = "compile it with `processes` stock" if graph.has_flux_network else "run it on `backend` cpu"
        raise UsageError(f"{graph.spec.name} uses C-LIF, which Lava itself does not have; {remedy}")
    script = resources.files("pisnn_deploy.lava.alone").joinpath(SCRIPT).read_bytes()
    return {SCRIPT: script, DATA: _data(graph, artifact_sha256)}


def _data(graph: IntegerGraph, artifact_sha256: str) -> bytes:
    network = stock_network(graph, graph.initial)
    about = {
        "model": graph.spec.name,
        "shape": list(graph.mesh.shape),
        "value_per_quantum": graph.value_per_quantum,
        "time_step": graph.time_step,
        "lowest_mass": graph.window.lower,
        "highest_mass": graph.window.upper,
        "artifact_sha256": artifact_sha256,
    }
    arrays: dict[str, Any] = {
        "mass": network.mass,
        "send_threshold": np.array([network.send_threshold]),
        "about": np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8),
    }
    for name, matrix, exponent in (
        ("weights", network.weights, network.weight_exponent),
        ("route", network.route, network.route_exponent),
    ):
        arrays |= {
            f"{name}_starts": matrix.starts,
            f"{name}_columns": matrix.columns,
            f"{name}_mantissas": matrix.values,
            f"{name}_exponent": np.array([exponent]),
        }
    members = {}
    for name, array in arrays.items():
        member = io.BytesIO()
        _NPY.write_array(member, array, version=(1, 0), allow_pickle=False)
        members[f"{name}.npy"] = member.getvalue()
    return zip_bytes(members, zipfile.ZIP_DEFLATED)
