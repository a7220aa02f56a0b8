"""From a request whose model is the recipe of a law to a compiled graph."""

from __future__ import annotations

import hashlib
import platform
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy import __version__
from pisnn_deploy.compiler import CompileOptions, compile_law
from pisnn_deploy.compiler.runner import Report, silent
from pisnn_deploy.compiler.warnings import warnings_of
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.spec import is_law, law_from_mapping
from pisnn_deploy.mesh import parse_shape
from pisnn_deploy.project import zoo
from pisnn_deploy.project.conditions import is_yaml
from pisnn_deploy.project.keywords import leaves
from pisnn_deploy.project.model_file import is_file_name
from pisnn_deploy.project.request import CompileRequest
from pisnn_deploy.target import digest_of_profile, load_profile


def is_recipe_of_law(model: str) -> bool:
    """Whether a model is a YAML file with a section `law`, or a law of the zoo."""
    if not is_file_name(model):
        return model in zoo.laws()
    return is_yaml(model) and Path(model).is_file() and is_law(read_mapping(Path(model)))


def compile_law_requested(request: CompileRequest, report: Report = silent) -> tuple[IntegerGraph, dict[str, Any]]:
    """Compile a request for a law.

    Parameters
    ----------
    request : CompileRequest
        `is_recipe_of_law` holds for its model.
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
    with nullcontext(Path(request.model)) if is_file_name(request.model) else zoo.recipe_path(request.model) as path:
        content, digest = read_mapping(path), hashlib.sha256(path.read_bytes()).hexdigest()
    target, spec = load_profile(request.profile), law_from_mapping(path, content)
    if spec.method != "constructed":
        raise UsageError(f"{path}: method {spec.method}: only constructed laws can be compiled")
    shape = _shape(request, path, spec.mesh)
    graph = compile_law(spec, shape, CompileOptions(None, target, request.graph), report)
    provenance: dict[str, Any] = {
        "model": spec.name,
        "model_sha256": digest,
        "options": {
            "mesh": "x".join(map(str, shape)),
            "profile": target.name,
            "profile_sha256": digest_of_profile(target),
            "coding": graph.coding,
            "placement": request.graph.placement,
            "spikes": request.graph.spikes,
            "files": {},
        },
        "versions": {"pisnn-deploy": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }
    warnings = [*warnings_of(graph, target)]
    if graph.coding != request.graph.coding:
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
