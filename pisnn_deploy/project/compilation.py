"""From a request to a compiled graph."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pisnn_deploy.compiler import (
    CompileOptions,
    Lower,
    LowerMultiPoint,
    LowerTwoPoint,
    Material,
    compile_model,
    plain_model,
)
from pisnn_deploy.compiler.analysis.axis_kernels import SMALLEST_RATE
from pisnn_deploy.compiler.explanation import Explanation, explain
from pisnn_deploy.compiler.options import PLAIN
from pisnn_deploy.compiler.passes.measure import MEASURED_CELLS
from pisnn_deploy.compiler.pipeline import LOWERING, asked
from pisnn_deploy.compiler.runner import Floating, Report, run_passes, silent
from pisnn_deploy.compiler.warnings import warnings_of
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.field_errors import problem_text
from pisnn_deploy.core.limits import available_memory
from pisnn_deploy.formats.reading import Request
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import MeshFile, Quality, parse_shape, read_mesh_file, two_point_quality
from pisnn_deploy.physics.model import Model, ModelSpec, OperatingRange, relative_rates
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project.clock_change import clock_change
from pisnn_deploy.project.conditions import read_boundary, read_cell_property, read_groups, read_materials
from pisnn_deploy.project.law_compilation import compile_law_requested
from pisnn_deploy.project.law_file import read_law_model
from pisnn_deploy.project.memory import require_memory
from pisnn_deploy.project.model_file import CHECKPOINT, ModelRead, read_model
from pisnn_deploy.project.provenance import provenance_of
from pisnn_deploy.project.request import FILES, CompileRequest, Domain, Limits
from pisnn_deploy.target import Profile, load_profile

MULTI_POINT = "multi-point"
"""Choice of fluxes, see `pisnn_deploy.project.request.Domain`."""
BYTES_PER_FACE = 450
"""Bytes needed to compile a face (docs/results/scale.md), with a margin."""
BYTES_PER_FACE_MEASURED = 230
"""Part of that needed for meshes that are measured but not placed."""
BYTES_PER_FACE_ALONE = 120
"""Part of that needed for meshes that are neither measured nor placed."""


def compile_requested(request: CompileRequest, report: Report = silent) -> tuple[IntegerGraph, dict[str, Any]]:
    """Compile a request.

    Parameters
    ----------
    report : callable
        Called with the name of each pass that has run and its seconds.

    Returns
    -------
    provenance : dict
        Its list ``warnings`` has a sentence for each warning; absent if there are none.

    Raises
    ------
    UsageError
        A field of the request cannot be used; the message names it.
    """
    law = read_law_model(request.model)
    if law is not None:
        return compile_law_requested(request, law, report)
    read, target, place, options = _prepared(request)
    graph = compile_model(place.model, options, report)
    provenance = _provenance(request, read, target, place)
    warnings = [*place.warnings]
    clock = clock_change(graph, read.model.spec)
    provenance |= {} if clock is None else {"clock": clock}
    if place.mesh_file is not None:
        provenance |= {} if place.quality is None else {"two_point": place.quality.to_dict()}
        provenance |= {"fluxes": MULTI_POINT} if isinstance(place.lower, LowerMultiPoint) else {}
        provenance |= {} if request.domain.weld is None else {"welded_points": place.mesh_file.welded}
        provenance |= {"split_cells": place.mesh_file.split} if place.mesh_file.split else {}
    warnings += warnings_of(graph, target)
    return graph, provenance | ({"warnings": warnings} if warnings else {})


def explained_model(request: CompileRequest, graph: IntegerGraph) -> Explanation:
    """Measure where the accuracy of a compiled model went.

    Parameters
    ----------
    request : CompileRequest
        Not for a law.
    graph : IntegerGraph
        What `compile_requested` returned for it.
    """
    _, _, place, options = _prepared(request)
    plain = replace(options, graph=replace(options.graph, processes=PLAIN.processes, send_threshold=None))
    trained, floating = (run_passes(place.model, asked(LOWERING, each))[0] for each in (plain, options))
    return explain(trained, floating, options, graph)


def lowered(request: CompileRequest) -> Floating:
    """The trained network on the mesh of a request, before any rounding.

    Parameters
    ----------
    request : CompileRequest
        Not for a law.

    Raises
    ------
    UsageError
        As for `compile_requested`.
    """
    _, _, place, options = _prepared(request)
    floating: Floating = run_passes(place.model, asked(LOWERING, options))[0]
    return floating


def _prepared(request: CompileRequest) -> tuple[ModelRead, Profile, _Place, CompileOptions]:
    """Model, target, mesh and options of a compilation."""
    target = load_profile(request.profile)
    domain, limits = request.domain, request.limits
    shape = None if domain.mesh is None or domain.on_mesh_file else parse_shape(domain.mesh)
    origin = Request(
        request.origin.problem,
        request.origin.diffusion_number,
        shape,
        limits.bounds,
        limits.slope,
        not domain.on_mesh_file,
    )
    read = read_model(request.model, origin)
    place = _on_mesh_file(request, read.model) if domain.on_mesh_file else _on_grid(request, read.model, shape)
    limited = _operating_range(place.model.spec.operating_range, limits)
    options = CompileOptions(place.lower, target, request.graph, limited, search=not read.is_integer)
    return read, target, place, options


@dataclass(frozen=True)
class _Place:
    """Model, mesh and boundary to compile for.

    Attributes
    ----------
    model : Model
        Model whose coefficients include the materials, where these are the same everywhere.
    mesh, boundary : str
        For the provenance.
    """

    model: Model
    lower: Lower | LowerTwoPoint
    mesh: str
    boundary: str
    mesh_file: MeshFile | None = None
    quality: Quality | None = None
    warnings: tuple[str, ...] = ()


def _on_mesh_file(request: CompileRequest, model: Model) -> _Place:
    domain = request.domain
    path = Path(domain.mesh or "")
    mesh = read_mesh_file(path, domain.weld)
    groups = read_groups(domain.boundary, mesh.group_names, mesh.elsewhere)
    warnings = (*mesh.warnings, *mesh.warnings_on(groups))
    quality = two_point_quality(mesh)
    several = domain.fluxes == MULTI_POINT or (domain.fluxes == "auto" and quality is not None and not quality.is_exact)
    if quality is not None and not several:
        warnings += quality.warnings
    if several and request.graph.digits == "one":
        raise UsageError("`digits` one: multi-point fluxes need many; choose `fluxes` two-point or other `digits`")
    lower = (LowerMultiPoint if several else LowerTwoPoint)(mesh, groups, read_materials(domain.materials))
    return _Place(model, lower, path.name, domain.boundary or "no-flux", mesh, quality, warnings)


def _on_grid(request: CompileRequest, model: Model, shape: tuple[int, ...] | None) -> _Place:
    domain, own = request.domain, problem(model.spec.problem)
    model = _on_own_domain(domain, model)
    shape = shape or own_shape(model.spec, own.default_shape)
    sides = own.default_boundary(shape) if domain.boundary is None else read_boundary(domain.boundary, len(shape))
    _require_memory(shape, is_placed=request.graph.placement != "none")
    lower: Lower | LowerTwoPoint = Lower(shape, sides)
    conductivity, capacity = (read_cell_property(path, shape) for path in (domain.conductivity, domain.capacity))
    is_given = conductivity is not None or capacity is not None
    uniform = plain_model(model, shape, conductivity, capacity) if is_given else model
    if uniform is None or (not is_given and _needs_two_points(model, shape)):
        materials = {"default": Material(1.0)} if domain.conductivity else {}
        lower = LowerTwoPoint(shape, sides, materials, conductivity, capacity, model.spec.along)
        model = replace(model, spec=model.spec.model_copy(update={"along": (), "rates": ()}))
    else:
        model = uniform
    return _Place(model, lower, "x".join(map(str, shape)), domain.boundary or sides.text)


def _needs_two_points(model: Model, shape: tuple[int, ...]) -> bool:
    """Whether axes differ by more than kernels can, so that only two-point fluxes solve a model's equation."""
    spec = model.spec
    if spec.equation != "diffusion" or not model.is_linear or len(shape) != len(spec.lengths):
        return False
    spacing = tuple(length / count for length, count in zip(spec.lengths, shape, strict=True))
    return min(relative_rates(spec.along, spacing), default=1.0) < SMALLEST_RATE


SCALABLE = ("diffusion", "laplace")
"""Equations that are solved on domains of any lengths."""


def _on_own_domain(domain: Domain, model: Model) -> Model:
    """The model with the requested lengths and diffusivity."""
    spec = model.spec
    lengths, diffusivity = domain.numbers("lengths"), domain.numbers("diffusivity")
    axes = len(spec.lengths)
    changes: dict[str, Any] = {}
    if lengths is not None:
        if len(lengths) != axes:
            raise UsageError(f"`lengths` {domain.lengths}: expected {axes}, one for each axis of {spec.name}")
        if spec.equation not in SCALABLE:
            raise UsageError(f"`lengths`: the equation {spec.equation} of {spec.name} has a length of its own")
        changes["lengths"] = lengths
    if diffusivity is not None:
        if spec.equation != "diffusion" or not model.is_linear:
            raise UsageError(f"`diffusivity`: {spec.name} is no linear model of diffusion")
        if len(diffusivity) not in (1, axes):
            raise UsageError(f"`diffusivity` {domain.diffusivity}: expected one number, or {axes}")
        largest = max(diffusivity)
        changes["diffusivity"] = largest
        changes["along"] = tuple(value / largest for value in diffusivity) if min(diffusivity) < largest else ()
    return replace(model, spec=spec.model_copy(update=changes))


def _provenance(request: CompileRequest, read: ModelRead, target: Profile, place: _Place) -> dict[str, Any]:
    """Provenance as plain data; newer options are left out at their defaults, so that artifacts keep their bytes."""
    graph, limits, origin = request.graph, request.limits, request.origin
    elsewhere = {*FILES, "model", "value_range", "problem", "diffusion_number"}
    options = {name: value for name, value in request.given.items() if name not in elsewhere}
    options |= {
        "mesh": place.mesh,
        "boundary": place.boundary,
        "range": limits.value_range,
        "slope": limits.slope,
        "flux": limits.flux,
        **({"send_threshold": graph.send_threshold or 1} if graph.processes == "stock" else {}),
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in request.domain.files},
    }
    name, coding = read.model.spec.name, graph.first_coding
    provenance = provenance_of(name, read.sha256, target, graph, coding, options)
    if read.source != CHECKPOINT:
        provenance["imported"] = {
            "format": read.source,
            "problem": read.model.spec.problem,
            "diffusion_number": origin.diffusion_number,
            "notes": list(read.notes),
        }
    if place.lower.measured_against is not None:
        provenance["measured_against"] = place.lower.measured_against
    return provenance


def _require_memory(shape: tuple[int, ...], *, is_placed: bool) -> None:
    """Refuse a mesh that needs more memory than is free."""
    available = available_memory()
    if available is None:
        return
    cells = math.prod(shape)
    unplaced = BYTES_PER_FACE_MEASURED if cells <= MEASURED_CELLS else BYTES_PER_FACE_ALONE
    needed = cells * len(shape) * (BYTES_PER_FACE if is_placed else unplaced)
    remedy = "choose a coarser `mesh`, or `placement` none" if is_placed else "choose a coarser `mesh`"
    require_memory(cells, needed, available, remedy)


def own_shape(spec: ModelSpec, default: tuple[int, ...]) -> tuple[int, ...]:
    """Default mesh of a model: its own where its equation has a length scale, else the problem's."""
    if spec.cell_width is None:
        return default
    return tuple(round(length / spec.cell_width) for length in spec.lengths)


def _operating_range(own: OperatingRange, limits: Limits) -> OperatingRange | None:
    """The model's range with the requested changes; None without any."""
    if limits == Limits():
        return None
    try:
        lower, upper = limits.bounds or (own.lower, own.upper)
        return OperatingRange(
            lower=lower,
            upper=upper,
            slope=own.slope if limits.slope is None else limits.slope,
            flux=own.flux if limits.flux is None else limits.flux,
        )
    except ValidationError as error:
        details = error.errors()[0]
        if not details["loc"]:
            raise UsageError(f"`value_range`: {details['msg'].removeprefix('Value error, ')}") from error
        field = str(details["loc"][0])
        keyword = field if field in ("slope", "flux") else "value_range"
        raise UsageError(f"`{keyword}` {problem_text(details)}") from error
