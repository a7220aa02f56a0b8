"""Read flux networks from untrusted files in other formats.

The reader of each format returns a `Network` of dense layers and spec fields. `assemble` turns it into the content of a
checkpoint, so that the compiler does not depend on formats.
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
    """Read a model from another format.

    Parameters
    ----------
    path : Path
        An ONNX, netx or NIR file, detected by content.
    request : Request
        Information that the file lacks.

    Raises
    ------
    FileError
        The file has another format, or no flux network for the problem.
    UsageError
        A package for reading the file is not installed.
    """
    # Overflow gives values that are not finite, which are refused later.
    with np.errstate(all="ignore"):
        network = _network(path, request)
        imported = assemble(path, network, request)
        # The file's spec fields, valid by now, may also limit the range.
        limits = limits_of(request, dict(network.spec_fields))
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
        path, "is neither a netx nor a NIR file", remedy="netx files have the group layer, NIR files the group node"
    )
