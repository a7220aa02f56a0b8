"""Flux networks in the formats of others, read as untrusted files.

Each format has a reader of its own, which returns a `Network`: dense layers and what the file says of the spec.
`assemble` makes of it what a checkpoint holds, so that the compiler knows nothing of formats.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.reading import read_bytes
from pisnn_deploy.formats.assembly import Imported, assemble
from pisnn_deploy.formats.comparison import compared
from pisnn_deploy.formats.content import Format, format_of
from pisnn_deploy.formats.defaults import limits_of
from pisnn_deploy.formats.network import Network, Request

__all__ = ["Format", "Imported", "Network", "Request", "format_of", "import_model"]


def import_model(path: Path, request: Request) -> Imported:
    """Read a model that is no checkpoint.

    Parameters
    ----------
    path : Path
        An ONNX, netx or NIR file; its content decides which.
    request : Request
        What the file does not say.

    Raises
    ------
    FileError
        The file is none of these, or holds no flux network for the problem.
    UsageError
        A package that reads it is not installed.
    """
    # What overflows is not finite, and is refused.
    with np.errstate(all="ignore"):
        network = _network(path, request)
        imported = assemble(path, network, request)
        # The file says more of the range than the request does, and is valid by now.
        limits = limits_of(request, dict(network.said))
        notes = compared(path, network, limits) if limits is not None else []
        return replace(imported, notes=(*imported.notes, *notes))


def _network(path: Path, request: Request) -> Network:
    if format_of(path) == "onnx":
        require(f"{path}: reading ONNX", "onnx")
        from pisnn_deploy.formats.onnx import reader as onnx_network

        return onnx_network.read_onnx(path, read_bytes(path, onnx_network.LARGEST_FILE), request)
    from pisnn_deploy.formats.netx import hdf5_content

    data = read_bytes(path, hdf5_content.LARGEST_FILE)
    tree = hdf5_content.read_tree(path, data)
    if "layer" in tree:
        from pisnn_deploy.formats.netx import reader as netx

        return netx.read_netx(path, tree, request)
    if "node" in tree:
        from pisnn_deploy.formats.nir import reader as nir_network

        return nir_network.read_nir(path, tree, request)
    raise FileError(
        path, "is an HDF5 file of another kind", remedy="a netx file has the group layer, a NIR file the group node"
    )
