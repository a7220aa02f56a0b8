"""Read flux networks from NIR graphs: chains of affine primitives, or files of `pisnn_deploy.formats.nir.writer`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.optional import require
from pisnn_deploy.formats.affine import AffineForm, FormError, Layer, form_of
from pisnn_deploy.formats.defaults import limits_of
from pisnn_deploy.formats.network import Network, Request, ended
from pisnn_deploy.formats.netx.hdf5_reader import Tree
from pisnn_deploy.formats.nir.evaluation import Evaluation
from pisnn_deploy.formats.nir.writer import SCHEMA
from pisnn_deploy.formats.padding import LARGEST_PADDING, padded
from pisnn_deploy.formats.spec_text import spec_fields_of
from pisnn_deploy.formats.windows import FLOAT64, Limits

LARGEST_CHAIN = 64
"""Maximum number of nodes of a network."""
SPEC = "pisnn_spec"
"""Metadata key of a graph for fields of the spec as JSON."""
KNOWN = "Affine, Conv1d, Flatten, Linear, Scale"


def read_nir(path: Path, tree: Tree, request: Request | None = None) -> Network:
    """Read a flux network.

    Parameters
    ----------
    path : Path
        File for error messages.
    tree : Tree
        Content of the file.
    request : Request, optional
        Information that the file lacks.

    Raises
    ------
    FileError
        The file is not a NIR graph, or has an unsupported primitive; the message names the node.
    UsageError
        nir is not installed.
    """
    require(f"{path}: reading NIR", "nir")
    import nir

    root = tree["node"]
    kind = root.get("type") if isinstance(root, dict) else None
    if not isinstance(kind, str) or kind != "NIRGraph":
        actual = f", but a {kind!r}" if isinstance(kind, str) else ""
        raise FileError(path, f"does not contain a NIR graph{actual}")
    try:
        graph = nir.dict2NIRNode({**_plain(root), "type_check": False})
    except Exception as error:
        raise FileError(path, f"is damaged, or not a NIR graph ({type(error).__name__})") from error
    metadata = graph.metadata if isinstance(graph.metadata, dict) else {}
    if isinstance(metadata.get("schema"), str) and metadata["schema"] == SCHEMA:
        return _own(path, metadata)
    spec_fields = spec_fields_of(path, metadata[SPEC], SPEC) if isinstance(metadata.get(SPEC), str) else {}
    return _chain(path, nir, graph, spec_fields, limits_of(request or Request(), spec_fields))


def _plain(value: Any, name: str = "") -> Any:
    """Convert a tree to what `nir.read` produces: numbers for zero-dimensional arrays, pairs of names for edges."""
    if isinstance(value, dict):
        return {key: _plain(inner, key) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value[()] if value.ndim == 0 else value
    return list(zip(value[::2], value[1::2], strict=True)) if name == "edges" else value


def _own(path: Path, metadata: Mapping[str, Any]) -> Network:
    """Read the network of a graph that this package wrote."""
    spec = metadata.get("spec")
    if not isinstance(spec, str):
        raise FileError(path, "is missing or not text", field="metadata/spec")
    layers: list[Layer] = []
    while f"weight_{len(layers)}" in metadata and len(layers) < LARGEST_CHAIN:
        names = [f"{kind}_{len(layers)}" for kind in ("weight", "bias")]
        weight, bias = (_numbers(path, metadata.get(name), f"metadata/{name}") for name in names)
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise FileError(path, f"has shape {weight.shape}, but its bias {bias.shape}", field=f"metadata/{names[0]}")
        layers.append(Layer(weight, bias))
    if not layers:
        raise FileError(path, "is missing", field="metadata/weight_0")
    spec_fields = spec_fields_of(path, spec, "metadata/spec")
    is_integer = bool(np.any(_numbers(path, metadata.get("integer"), "metadata/integer")))
    return Network("nir", tuple(layers), (layers[0].weight.shape[1],), spec_fields, is_integer=is_integer)


def _numbers(path: Path, value: Any, field: str) -> NDArray[np.float64]:
    array = np.asarray(value) if value is not None else np.array("")
    if array.dtype.kind not in "fiu":
        raise FileError(path, "is missing or not an array of numbers", field=field)
    with np.errstate(invalid="ignore"):
        return array.astype(np.float64)


def _chain(path: Path, nir: Any, graph: Any, spec_fields: dict[str, Any], limits: Limits | None) -> Network:
    """Read a chain of nodes from the input to the output."""
    inner, input_node = _unrolled(path, nir, graph, "")
    where = f"node {next(iter(graph.inputs))!r}"
    declared = input_node.input_type.get("input")
    try:
        shape = tuple(int(size) for size in np.asarray(declared).reshape(-1)) if declared is not None else ()
        window, slides = _window(nir, shape, inner)
        cells = (math.prod(window),)
        form = form_of(window, limits and limits.of_window(cells, FLOAT64))
        notes = []
        for name, node in inner:
            where = f"node {name!r}"
            if isinstance(node, nir.Conv1d) and any(_padding(node)):
                if slides:
                    notes.append(f"the padding of node {name!r} was omitted: --boundary sets the boundary conditions")
                else:
                    form = padded(form, [(0, 0), _padding(node)])
            form = _applied(nir, node, form)
        before = sum(_padding(node)[0] for _, node in inner if isinstance(node, nir.Conv1d)) if slides else None
        rounding = 0.0 if form.rounding is None else float(form.rounding.sum())
        oracle = Evaluation(nir, graph, window, before, rounding)
        return Network("nir", ended(form), cells, spec_fields, tuple(notes), oracle=oracle)
    except FormError as error:
        raise FileError(path, str(error), field=where) from error
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise FileError(path, "has invalid parameters", field=where) from error


def _unrolled(path: Path, nir: Any, graph: Any, prefix: str) -> tuple[list[tuple[str, Any]], Any]:
    """Nodes of a chain from input to output, with nested graphs unrolled, and the input node."""
    after: dict[str, list[str]] = {}
    for source, target in graph.edges:
        after.setdefault(source, []).append(target)
    inside = f" in node {prefix[:-1]!r}" if prefix else ""
    inputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(inputs) != 1:
        raise FileError(path, f"has {len(inputs)} inputs{inside}, expected one: the window of cell values")
    names: list[str] = []
    chain: list[tuple[str, Any]] = []
    name = inputs[0]
    while True:
        where = f"node {prefix + name!r}"
        if name in names:
            raise FileError(path, "is reached twice, but a flux network must be a chain", field=where)
        names.append(name)
        if name not in graph.nodes or len(names) > LARGEST_CHAIN or len(chain) > LARGEST_CHAIN:
            raise FileError(path, f"is part of a chain of more than {LARGEST_CHAIN} nodes", field=where)
        node = graph.nodes[name]
        following = after.pop(name, [])
        if isinstance(node, nir.NIRGraph):
            chain += _unrolled(path, nir, node, f"{prefix}{name}/")[0]
        elif len(names) > 1 and not isinstance(node, nir.Output):
            chain.append((prefix + name, node))
        if isinstance(node, nir.Output) and not following:
            break
        if len(following) != 1:
            raise FileError(path, f"leads to {len(following)} nodes, but a flux network must be a chain", field=where)
        name = following[0]
    for name in (*graph.nodes, *after):
        if name not in names:
            raise FileError(
                path,
                "is not between input and output, but a flux network must be a chain",
                field=f"node {prefix + name!r}",
            )
    return chain, graph.nodes[inputs[0]]


def _window(nir: Any, declared: tuple[int, ...], inner: list[tuple[str, Any]]) -> tuple[tuple[int, ...], bool]:
    """Shape of the window, and whether convolutions slide it over a line.

    A network of only convolutions has an output at each place of a line, and its window is their receptive field. Other
    networks have a window of the declared shape.
    """
    weighted = [node for _, node in inner if isinstance(node, nir.Affine | nir.Linear | nir.Conv1d)]
    if not weighted:
        raise FormError("does not lead to weights")
    first = weighted[0]
    convolutions = [node for node in weighted if isinstance(node, nir.Conv1d)]
    channels = int(np.shape(first.weight)[1])
    if len(convolutions) == len(weighted):
        reach = 1 + sum((np.shape(node.weight)[2] - 1) * _one(node.dilation) for node in convolutions)
        if declared and (len(declared) != 2 or declared[0] != channels or declared[1] < reach):
            raise FormError(f"has the shape {declared}, but its convolutions need {channels} channels of {reach} cells")
        return (channels, reach), True
    if convolutions:
        if not declared or any(size < 1 for size in declared):
            raise FormError("must declare the size of the window, because dense weights follow its convolutions")
        return declared, False
    inputs = np.shape(first.weight)[-1]
    if declared and math.prod(declared) != inputs:
        raise FormError(f"has the shape {declared}, but its weights are for {inputs} cells")
    return (inputs,), False


def _padding(node: Any) -> tuple[int, int]:
    """Number of zeros before and after a line; as in torch, the larger half of an odd number comes after."""
    if isinstance(node.padding, str):
        if node.padding == "valid":
            return 0, 0
        total = (np.shape(node.weight)[2] - 1) * _one(node.dilation)
        return total // 2, total - total // 2
    number = _one(node.padding)
    if not 0 <= number <= LARGEST_PADDING:
        raise FormError(f"has the padding {number}, expected 0 to {LARGEST_PADDING} elements")
    return number, number


def _one(value: Any) -> int:
    return int(np.asarray(value).reshape(-1)[0])


def _applied(nir: Any, node: Any, form: AffineForm) -> AffineForm:
    if isinstance(node, nir.Affine | nir.Linear):
        if sum(size > 1 for size in form.shape) > 1:
            raise FormError(f"needs a flat input, not a tensor of shape {form.shape}; put Flatten before it")
        flat = form.reshaped((form.bias.size,))
        bias = np.asarray(node.bias, np.float64) if isinstance(node, nir.Affine) else 0.0
        return flat.dense(np.asarray(node.weight, np.float64), bias)
    if isinstance(node, nir.Scale):
        scale = np.asarray(node.scale, np.float64).reshape(-1)
        if scale.size not in (1, form.bias.size):
            raise FormError(f"{scale.size} factors do not fit a tensor of shape {form.shape}")
        return form.reshaped((form.bias.size,)).scaled(scale).reshaped(form.shape)
    if isinstance(node, nir.Flatten):
        return form.reshaped((form.bias.size,))
    if isinstance(node, nir.Conv1d):
        if _one(node.groups) != 1 or _one(node.stride) != 1:
            raise FormError("must have one group and a stride of 1, because each face needs a flux")
        weight, bias = np.asarray(node.weight, np.float64), np.asarray(node.bias, np.float64)
        return form.convolved(weight, bias, (_one(node.dilation),))
    raise FormError(f"is a {type(node).__name__}, which is not supported; use {KNOWN}")
