"""Import of flux networks from other formats, and the checks of every accepted model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fuzz.mutations import Members, members_of, zipped
from fuzz.oracle import Offence, require
from fuzz.target import ROOT
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.assembly import Imported, assemble
from pisnn_deploy.formats.comparison import AnswersDiffer, compared
from pisnn_deploy.formats.content import format_of
from pisnn_deploy.formats.defaults import limits_of
from pisnn_deploy.formats.network import Network, Request
from pisnn_deploy.formats.netx import hdf5_reader
from pisnn_deploy.formats.netx.hdf5_reader import Tree, packed
from pisnn_deploy.formats.onnx import evaluation, replica
from pisnn_deploy.formats.reading import import_model
from pisnn_deploy.physics.model import Model
from pisnn_deploy.training.checkpoint import read_checkpoint

LINEAR = Request("heat1d", shape=(16,))
HIDDEN = Request("heat1d", diffusion_number=0.25, shape=(16,))


def import_file(path: Path) -> Imported:
    """Import a model as `import_model` does, but run onnxruntime in this process: a separate one takes a second."""
    if format_of(path) != "onnx":
        raise FileError(path, "is of another kind")
    vars(replica)["evaluated"] = _evaluated
    return _imported(lambda request: import_model(path, request))


def _evaluated(path: Path, model: bytes, fields: Any, seconds: float = 0.0) -> Any:
    try:
        return evaluation.run(model, fields)
    except Exception as error:  # the reader process would give a reason in one line
        raise FileError(path, "could not be compared") from error


def import_tree(path: Path, group: str, read: Callable[[Path, Tree, Request], Network]) -> Imported:
    """Import a packed tree as `import_model` would import an HDF5 file with that group."""
    tree = tree_in(path)
    if group not in tree:
        raise FileError(path, "is of another kind")

    def imported(request: Request) -> Imported:
        network = read(path, tree, request)
        model = assemble(path, network, request)
        limits = limits_of(request, dict(network.spec_fields))
        if limits is not None:
            compared(path, network, limits)
        return model

    with np.errstate(all="ignore"):
        return _imported(imported)


def _imported(read: Callable[[Request], Imported]) -> Imported:
    """Import a network; a difference from its own library's output is an offence."""
    try:
        try:
            return read(LINEAR)
        except FileError as error:
            if "diffusion_number" not in error.remedy:
                raise
            return read(HIDDEN)
    except AnswersDiffer as error:
        raise Offence(f"the network was read as another: {error.problem}") from error


def require_model(model: Model) -> None:
    """Fail if an accepted model has problems or weights that are not finite."""
    require(not list(model.problems()), "a model was accepted that has problems")
    for array in (*model.weights, *model.biases):
        require(bool(np.isfinite(array).all()), "weights were accepted that are no numbers")


def tree_in(path: Path) -> Tree:
    """Content of an HDF5 file, packed as the HDF5 reader process returns it; mutations change it in this form."""
    try:
        members = members_of(path.read_bytes())
        tree = _unpacked(json.loads(members["tree.json"]), members)
    except Exception as error:  # the reader process never returns such bytes
        raise FileError(path, "is no packed tree") from error
    if not isinstance(tree, dict):
        raise FileError(path, "is no packed tree")
    return tree


def _unpacked(value: Any, members: Members) -> Any:
    """Unpack a tree; it holds only types that `pisnn_deploy.formats.netx.hdf5_reader` returns."""
    if "group" in value:
        return {str(key): _unpacked(inner, members) for key, inner in value["group"].items()}
    if "array" in value:
        array = np.load(io.BytesIO(members[f"a{value['array']}.npy"]), allow_pickle=False)
        return array if array.dtype.kind in "fiub" else np.zeros(array.shape)
    texts = value["text"]
    return [str(text) for text in texts] if isinstance(texts, list) else str(texts)


def packed_tree(data: bytes) -> bytes:
    """Pack an HDF5 file for `tree_in`."""
    with h5py.File(io.BytesIO(data), "r") as file:
        members = members_of(packed(hdf5_reader._Reader(h5py).group(file, "", 0)))
    described = np.load(io.BytesIO(members.pop("tree.npy"))).tobytes()
    return zipped({"tree.json": described, **members})


def model_of_zoo(name: str) -> Model:
    """A model of the zoo."""
    return read_checkpoint(ROOT / "models" / name / "model.pt")
