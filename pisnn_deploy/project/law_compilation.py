"""From a request whose model is the recipe of a law to a compiled graph."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.compiler import CompileOptions, compile_law
from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.runner import Report, silent
from pisnn_deploy.compiler.warnings import warnings_of
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.limits import available_memory
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.flux_network import TrainedFluxes
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.mesh import parse_shape
from pisnn_deploy.project.keywords import leaves
from pisnn_deploy.project.law_file import LawRead
from pisnn_deploy.project.memory import require_memory
from pisnn_deploy.project.provenance import provenance_of
from pisnn_deploy.project.request import CompileRequest
from pisnn_deploy.target import load_profile


def compile_law_requested(
    request: CompileRequest, law: LawRead, report: Report = silent
) -> tuple[IntegerGraph, dict[str, Any]]:
    """Compile a request for a law.

    Parameters
    ----------
    law : LawRead
        What the model of the request is.
    report : callable
        Called with the name of each pass that has run and its seconds.

    Returns
    -------
    provenance : dict
        Its list ``warnings`` has a sentence for each warning; absent if there are none.

    Raises
    ------
    UsageError
        The recipe is wrong, or an option repeats what it says.
    """
    target, spec = load_profile(request.profile), law.spec
    shape = _shape(request, law.path, spec.mesh)
    _require_memory(spec, shape, law.fluxes)
    graph = compile_law(spec, shape, CompileOptions(None, target, request.graph), report, law.fluxes)
    coding = graph.coding or request.graph.first_coding
    options = {"mesh": "x".join(map(str, shape))}
    provenance = provenance_of(spec.name, law.sha256, target, request.graph, coding, options)
    warnings = [*warnings_of(graph, target)]
    if graph.coding == "dense" and request.graph.coding == "delta":
        warnings.append(
            f"coding: {graph.coding}, because changes of values need more bits than payloads of {target.name} have"
        )
    return graph, provenance | ({"warnings": warnings} if warnings else {})


def _shape(request: CompileRequest, path: Path, own: tuple[int, ...]) -> tuple[int, ...]:
    """Cells along each axis; refuses options that the recipe itself answers."""
    for part in (request.domain, request.limits, request.origin):
        for name, (value, default) in leaves(part).items():
            if name != "mesh" and value != default:
                raise UsageError(f"`{name}`: the recipe of a law says it itself; change {path} instead")
    if request.domain.on_mesh_file:
        raise UsageError(
            f"`mesh` {request.domain.mesh}: laws need a grid, expected cells along each axis, such as 64x64"
        )
    shape = own if request.domain.mesh is None else parse_shape(request.domain.mesh)
    if len(shape) != len(own):
        raise UsageError(f"`mesh` {request.domain.mesh}: the law has {len(own)} axes, the mesh {len(shape)}")
    return shape


BYTES_PER_SYNAPSE = 320
"""Most bytes that a synapse of the graph of a law takes to compile."""
BYTES_PER_CELL = 1 << 16
"""Most bytes of a cell in graphs of few fields; meshes that fit with this many are not examined further."""
SMALL = 16
"""Cells along an axis of a small mesh that shows how many synapses a cell has."""


def _require_memory(spec: LawSpec, shape: tuple[int, ...], fluxes: TrainedFluxes | None) -> None:
    """Refuse a mesh that needs more memory than is free."""
    available, cells = available_memory(), math.prod(shape)
    if available is None or (fluxes is None and cells * BYTES_PER_CELL <= available):
        return
    if fluxes is None:
        small = construct(spec, tuple(min(count, SMALL) for count in shape))
        synapses = sum(synapse.entries for synapse in small.synapses) / small.mesh.cells
    else:
        weights = [weight for network in fluxes.networks for weight in (network.weight, network.output)]
        synapses = float(sum(np.count_nonzero(weight) for weight in weights))
    require_memory(cells, cells * synapses * BYTES_PER_SYNAPSE, available)
