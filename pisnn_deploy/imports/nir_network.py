"""Flux networks from NIR graphs: chains of affine primitives, and what `pisnn_deploy.exports.nir_graph` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import FileError, UsageError
from pisnn_deploy.exports.nir_graph import SCHEMA
from pisnn_deploy.imports.affine import AffineForm, FormError, Layer, form_of
from pisnn_deploy.imports.hdf5_reader import Tree
from pisnn_deploy.imports.network import Network, ended
from pisnn_deploy.imports.said import said_of

LARGEST_CHAIN = 64
"""Nodes of a network that comes from elsewhere."""
SPEC = "pisnn_spec"
"""Metadata of a graph that holds fields of the spec as JSON."""
KNOWN = "Affine, Conv1d, Flatten, Linear, Scale"


def read_nir(path: Path, tree: Tree) -> Network:
    """Read a flux network.

    Parameters
    ----------
    path : Path
        For messages.
    tree : Tree
        The file's content.

    Returns
    -------
    Network

    Raises
    ------
    FileError
        Not a NIR graph, or a primitive that a flux network does not have; the message names the node.
    UsageError
        nir is not installed.
    """
    try:
        import nir
    except ImportError as error:
        raise UsageError(f"{path}: reading NIR needs nir, which is not installed; pip install nir") from error
    root = tree["node"]
    kind = root.get("type") if isinstance(root, dict) else None
    if not isinstance(kind, str) or kind != "NIRGraph":
        held = f", but {kind!r}" if isinstance(kind, str) else ""
        raise FileError(path, f"holds no graph of NIR{held}")
    try:
        graph = nir.dict2NIRNode({**_plain(root), "type_check": False})
    except Exception as error:
        raise FileError(path, f"is damaged, or not a NIR graph ({type(error).__name__})") from error
    metadata = graph.metadata if isinstance(graph.metadata, dict) else {}
    if isinstance(metadata.get("schema"), str) and metadata["schema"] == SCHEMA:
        return _own(path, metadata)
    said = said_of(path, metadata[SPEC], SPEC) if isinstance(metadata.get(SPEC), str) else {}
    return _chain(path, nir, graph, said)


def _plain(value: Any, name: str = "") -> Any:
    """A tree as nir has it when it reads a file: numbers for arrays without axes, and pairs of names for edges."""
    if isinstance(value, dict):
        return {key: _plain(inner, key) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value[()] if value.ndim == 0 else value
    return list(zip(value[::2], value[1::2], strict=True)) if name == "edges" else value


def _own(path: Path, metadata: Mapping[str, Any]) -> Network:
    """The network of a graph that this package wrote."""
    spec = metadata.get("spec")
    if not isinstance(spec, str):
        raise FileError(path, "is missing or no text", field="metadata/spec")
    layers: list[Layer] = []
    while f"weight_{len(layers)}" in metadata and len(layers) < LARGEST_CHAIN:
        names = [f"{kind}_{len(layers)}" for kind in ("weight", "bias")]
        weight, bias = (_numbers(path, metadata.get(name), f"metadata/{name}") for name in names)
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise FileError(path, f"has shape {weight.shape}, its bias {bias.shape}", field=f"metadata/{names[0]}")
        layers.append(Layer(weight, bias))
    if not layers:
        raise FileError(path, "is missing", field="metadata/weight_0")
    said = said_of(path, spec, "metadata/spec")
    is_integer = bool(np.any(_numbers(path, metadata.get("integer"), "metadata/integer")))
    return Network("nir", tuple(layers), (layers[0].weight.shape[1],), said, is_integer=is_integer)


def _numbers(path: Path, value: Any, field: str) -> NDArray[np.float64]:
    found = np.asarray(value) if value is not None else np.array("")
    if found.dtype.kind not in "fiu":
        raise FileError(path, "is missing or not an array of numbers", field=field)
    with np.errstate(invalid="ignore"):
        return found.astype(np.float64)


def _chain(path: Path, nir: Any, graph: Any, said: dict[str, Any]) -> Network:
    """A network without branches, from the input to the output."""
    after: dict[str, list[str]] = {}
    for source, target in graph.edges:
        after.setdefault(source, []).append(target)
    inputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(inputs) != 1:
        raise FileError(path, f"has {len(inputs)} inputs, a flux network has one: the window of cell values")
    names = []
    name = inputs[0]
    while True:
        names.append(name)
        if name not in graph.nodes or len(names) > LARGEST_CHAIN:
            raise FileError(path, f"its chain of nodes does not end after {LARGEST_CHAIN}", field=f"node {name!r}")
        if isinstance(graph.nodes[name], nir.Output):
            break
        following = after.get(name, [])
        if len(following) != 1:
            raise FileError(path, f"leads to {len(following)} nodes, a flux network is a chain", field=f"node {name!r}")
        name = following[0]
    inner = [(name, graph.nodes[name]) for name in names[1:-1]]
    where = inputs[0]
    try:
        form = form_of(_window(path, nir, inner))
        window = tuple(size for size in form.shape if size > 1) or (1,)
        for name, node in inner:
            where = name
            form = _applied(nir, node, form)
        return Network("nir", ended(form), window, said)
    except FormError as error:
        raise FileError(path, str(error), field=f"node {where!r}") from error
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise FileError(path, "has parameters that do not fit", field=f"node {where!r}") from error


def _window(path: Path, nir: Any, inner: list[tuple[str, Any]]) -> tuple[int, ...]:
    """Shape of one window: what the convolutions see, else the inputs of the first layer."""
    weighted = [node for _, node in inner if isinstance(node, nir.Affine | nir.Linear | nir.Conv1d)]
    if not weighted:
        raise FileError(path, "holds no weights")
    first = np.shape(weighted[0].weight)
    if not isinstance(weighted[0], nir.Conv1d):
        return (int(first[-1]),)
    convolutions = [node for node in weighted if isinstance(node, nir.Conv1d)]
    reach = 1 + sum((np.shape(node.weight)[2] - 1) * _one(node.dilation) for node in convolutions)
    return (int(first[1]), int(reach))


def _one(value: Any) -> int:
    return int(np.asarray(value).reshape(-1)[0])


def _applied(nir: Any, node: Any, form: AffineForm) -> AffineForm:
    if isinstance(node, nir.Affine | nir.Linear):
        flat = form.reshaped((form.bias.size,))
        bias = np.asarray(node.bias, np.float64) if isinstance(node, nir.Affine) else 0.0
        return flat.dense(np.asarray(node.weight, np.float64), bias)
    if isinstance(node, nir.Scale):
        scale = np.asarray(node.scale, np.float64).reshape(-1)
        if scale.size not in (1, form.bias.size):
            raise FormError(f"{scale.size} factors do not fit a tensor of shape {form.shape}")
        return form.reshaped((form.bias.size,)).dense(np.diag(np.broadcast_to(scale, form.bias.shape).reshape(-1)))
    if isinstance(node, nir.Flatten):
        return form.reshaped((form.bias.size,))
    if isinstance(node, nir.Conv1d):
        if _one(node.groups) != 1 or _one(node.stride) != 1:
            raise FormError("must have one group and a stride of 1: a flux is wanted at every face")
        weight, bias = np.asarray(node.weight, np.float64), np.asarray(node.bias, np.float64)
        return form.convolved(weight, bias, (_one(node.dilation),))
    raise FormError(f"a {type(node).__name__} is no part of a flux network; known are {KNOWN}")
