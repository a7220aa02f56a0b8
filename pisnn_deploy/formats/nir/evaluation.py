"""Evaluate NIR graphs node by node, independently of the reader's forms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.affine import Floats


@dataclass(frozen=True)
class Evaluation:
    """Evaluation of a graph; an `pisnn_deploy.formats.network.Oracle`.

    Attributes
    ----------
    graph : nir.NIRGraph
        Graph with one input and one output.
    shape : tuple of int
        Shape of a window as input of the graph.
    place : int or None
        Index of the window's flux in the output; None if the graph has a single flux.
    """

    nir: Any
    graph: Any
    shape: tuple[int, ...]
    place: int | None
    rounding: float
    name: str = "the graph itself"
    dtype: str = "float64"
    covered: tuple[float, float] = (-np.inf, np.inf)

    def fluxes(self, path: Path, windows: Floats) -> Floats:
        """Fluxes for windows, float64 [n, 1]; see `pisnn_deploy.formats.network.Oracle`."""
        try:
            answers = [answered(self.nir, self.graph, window.reshape(self.shape)).reshape(-1) for window in windows]
            return np.stack([answer if self.place is None else answer[[self.place]] for answer in answers])
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            raise FileError(path, f"could not be compared: {self.name} cannot be evaluated ({error})") from error


def answered(nir: Any, graph: Any, value: Floats) -> Floats:
    """Output of an acyclic graph with one input and one output; inputs of a node are added."""
    arrived: dict[str, Floats] = dict.fromkeys(graph.inputs, value)
    waiting = list(graph.edges)
    while waiting:
        pending = {target for _, target in waiting}
        ready = [edge for edge in waiting if edge[0] in arrived and edge[0] not in pending]
        if not ready:
            break
        for source, target in ready:
            sent = _answer(nir, graph.nodes[source], arrived[source])
            arrived[target] = arrived[target] + sent if target in arrived else sent
            waiting.remove((source, target))
    (name,) = graph.outputs
    return arrived[name]


def _answer(nir: Any, node: Any, x: Floats) -> Floats:
    if isinstance(node, nir.NIRGraph):
        return answered(nir, node, x)
    if isinstance(node, nir.Affine):
        return np.asarray(node.weight @ x.reshape(-1) + node.bias)
    if isinstance(node, nir.Linear):
        return np.asarray(node.weight @ x.reshape(-1))
    if isinstance(node, nir.Scale):
        return np.asarray(x * np.asarray(node.scale, np.float64).reshape(x.shape if np.size(node.scale) > 1 else ()))
    if isinstance(node, nir.Flatten):
        return x.reshape(-1)
    if isinstance(node, nir.Conv1d):
        return _convolved(node, x)
    return x


def _convolved(node: Any, x: Floats) -> Floats:
    """Convolution at all places, with zero padding."""
    weight, dilation = np.asarray(node.weight, np.float64), int(np.asarray(node.dilation).reshape(-1)[0])
    span = (weight.shape[2] - 1) * dilation + 1
    if isinstance(node.padding, str):
        total = span - 1 if node.padding == "same" else 0
        before, behind = total // 2, total - total // 2
    else:
        before = behind = int(np.asarray(node.padding).reshape(-1)[0])
    line = np.concatenate([np.zeros((len(x), before)), x, np.zeros((len(x), behind))], axis=1)
    seen = sliding_window_view(line, span, axis=1)[:, :, ::dilation]
    return np.asarray(np.einsum("oik,ipk->op", weight, seen) + np.asarray(node.bias)[:, None])
