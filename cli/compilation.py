"""From a model's name or file to a compiled graph, for the commands that need one."""

from __future__ import annotations

import hashlib
import math
import platform
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from pisnn_deploy import __version__
from pisnn_deploy.cli.media import is_mesh_file, is_yaml, read_cell_property, read_groups, read_materials
from pisnn_deploy.cli.model_file import CHECKPOINT, read_model
from pisnn_deploy.compiler import CompileOptions, LowerTwoPoint, Material, TwoPointOptions, compile_model, plain_model
from pisnn_deploy.compiler.passes.limit import Limiter
from pisnn_deploy.compiler.passes.measure import MEASURED_CELLS
from pisnn_deploy.compiler.passes.place import PlacementMethod
from pisnn_deploy.compiler.pipeline import ProcessKind, Report, SpikeKind
from pisnn_deploy.compiler.warnings import warnings_of
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.limits import available_memory
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.formats.reading import Request
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import (
    Boundary,
    MeshFile,
    boundary_from_mapping,
    parse_boundary,
    parse_shape,
    read_mesh_file,
    two_point_quality,
)
from pisnn_deploy.physics.model import ModelSpec, OperatingRange
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.target import digest_of_profile, load_profile


def compile_file(
    name_or_path: str,
    *,
    mesh: str | None = None,
    boundary: str | None = None,
    profile: str = "loihi2",
    coding: Literal["delta", "dense"] = "delta",
    limits: str | None = None,
    slope: float | None = None,
    flux: float | None = None,
    materials: Path | None = None,
    conductivity: Path | None = None,
    capacity: Path | None = None,
    placement: PlacementMethod = "auto",
    spikes: SpikeKind = "auto",
    processes: ProcessKind = "c-lif",
    send_threshold: int | None = None,
    problem_name: str | None = None,
    diffusion_number: float | None = None,
    limiter: Limiter = "none",
    weld: float | None = None,
    report: Report | None = None,
) -> tuple[IntegerGraph, dict[str, Any]]:
    """Compile a model.

    Parameters
    ----------
    name_or_path : str
        Model of the zoo, a checkpoint, or a flux network in the format of others.
    mesh, boundary, profile, coding : str
        As on the command line; mesh and boundary are the problem's own unless given.
    limits : str, optional
        ``LOWER,UPPER``: the range of cell values, instead of the model's.
    slope, flux : float, optional
        The largest slope, and the largest flux through a face in one PDE step, instead of the model's.
    materials : Path, optional
        YAML file of materials, for meshes from files.
    conductivity, capacity : Path, optional
        Of each cell of a grid, ``.npy``.
    placement : str
        How cells are cut onto cores.
    spikes : str
        What a spike carries.
    processes : str
        What the graph is made of.
    send_threshold : int, optional
        Of faces that are stock processes.
    problem_name : str, optional
        What a network in the format of others solves.
    diffusion_number : float, optional
        What such a network with hidden layers was trained for.
    limiter : str
        What limits the packets of a face.
    weld : float, optional
        Points of a mesh from a file that lie within this distance of each other are joined.
    report : callable, optional
        Told the name of each pass that has run and its seconds.

    Returns
    -------
    graph : IntegerGraph
    provenance : dict
        Its list ``warnings`` has a sentence for each thing that a user must hear of; left out where there is none.

    Raises
    ------
    UsageError
        Something that was given cannot be used.
    """
    warnings: list[str] = []
    mesh_read: MeshFile | None = None
    if send_threshold is not None and processes != "stock":
        raise UsageError("--send-threshold: goes with --processes stock")
    target = load_profile(profile)
    on_grid = parse_shape(mesh) if mesh and not is_mesh_file(mesh) else None
    is_grid = mesh is None or not is_mesh_file(mesh)
    asked = Request(problem_name, diffusion_number, on_grid, _range_of(limits), slope, is_grid)
    read = read_model(name_or_path, asked)
    model = read.model
    limited = _operating_range(model.spec.operating_range, limits, slope, flux)
    if mesh is not None and is_mesh_file(mesh):
        mesh_read = read_mesh_file(Path(mesh), weld)
        named, sides_text = Path(mesh).name, boundary or "no-flux"
        if conductivity is not None or capacity is not None:
            raise UsageError("--conductivity and --capacity are for grids; name the mesh's --materials instead")
        groups = read_groups(boundary, mesh_read.group_names, mesh_read.elsewhere)
        warnings += [*mesh_read.warnings, *mesh_read.warnings_on(groups)]
        lower = LowerTwoPoint(mesh_read, groups, read_materials(materials))
        options: CompileOptions | TwoPointOptions = TwoPointOptions(
            lower, target, coding, limited, placement, spikes, limiter
        )
    else:
        if weld is not None:
            raise UsageError("--weld is for meshes from files")
        if materials is not None:
            raise UsageError("--materials are for meshes from files; give a grid --conductivity and --capacity")
        own = problem(model.spec.problem)
        shape = on_grid or own_shape(model.spec, own.default_shape)
        sides = own.default_boundary(shape) if boundary is None else read_boundary(boundary, len(shape))
        _require_memory(math.prod(shape), placement)
        named, sides_text = "x".join(map(str, shape)), sides.text if boundary is None else boundary
        options = CompileOptions(
            shape,
            sides,
            target,
            coding,
            limited,
            search=not read.is_integer,
            placement=placement,
            spikes=spikes,
            processes=processes,
            send_threshold=send_threshold or 1,
            limiter=limiter,
        )
        if conductivity is not None or capacity is not None:
            fields = [read_cell_property(path, shape) for path in (conductivity, capacity)]
            uniform = plain_model(model, shape, *fields)
            if uniform is not None:
                model = uniform
            else:
                lower = LowerTwoPoint(shape, sides, {"default": Material(1.0)} if conductivity else {}, *fields)
                options = TwoPointOptions(lower, target, coding, limited, placement, spikes, limiter)
    if processes == "stock" and isinstance(options, TwoPointOptions):
        raise UsageError(
            "--processes stock: cells that differ need levels of their own, which Sigma has not; use c-lif"
        )
    if processes == "stock" and limiter != "none":
        raise UsageError("--processes stock: SigmaDelta cannot limit what it sends; use c-lif")
    provenance: dict[str, Any] = {
        "model": model.spec.name,
        "model_sha256": read.sha256,
        "options": {
            "mesh": named,
            "boundary": sides_text,
            "profile": target.name,
            "profile_sha256": digest_of_profile(target),
            "coding": coding,
            "placement": placement,
            "spikes": spikes,
            **({} if limiter == "none" else {"limiter": limiter}),
            **({} if weld is None else {"weld": weld}),
            "range": limits,
            "slope": slope,
            "flux": flux,
            **({"processes": processes, "send_threshold": send_threshold or 1} if processes == "stock" else {}),
            "files": {
                Path(name).name: hashlib.sha256(Path(name).read_bytes()).hexdigest()
                for name in (mesh if mesh and is_mesh_file(mesh) else None, materials, conductivity, capacity)
                if name is not None
            },
        },
        "versions": {"pisnn-deploy": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }
    if read.source != CHECKPOINT:
        provenance["imported"] = {
            "format": read.source,
            "problem": model.spec.problem,
            "diffusion_number": diffusion_number,
            "notes": list(read.notes),
        }
    graph = compile_model(model, options, report)
    if options.measured_against is not None:
        provenance["measured_against"] = options.measured_against
    if mesh_read is not None:
        quality = two_point_quality(mesh_read)
        warnings += () if quality is None else quality.warnings
        provenance |= {} if quality is None else {"two_point": quality.to_dict()}
        provenance |= {} if weld is None else {"welded_points": mesh_read.welded}
    warnings += warnings_of(graph, target)
    if warnings:
        provenance["warnings"] = warnings
    return graph, provenance


BYTES_PER_CELL = 2200
"""What compiling takes for each cell of a plane (docs/results/scale.md); lines take less."""
BYTES_PER_CELL_UNPLACED = 800
"""What is left of it on meshes that are neither measured nor placed."""


def _require_memory(cells: int, placement: PlacementMethod) -> None:
    """Refuse a mesh that would have this process killed for want of memory."""
    available = available_memory()
    if available is None:
        return
    unplaced = placement == "none" and cells > MEASURED_CELLS
    needed = cells * (BYTES_PER_CELL_UNPLACED if unplaced else BYTES_PER_CELL)
    if needed > available:
        remedy = "choose a coarser --mesh" if placement == "none" else "choose a coarser --mesh, or --placement none"
        raise UsageError(
            f"{cells} cells take about {needed / 1e9:.0f} GB to compile, {available / 1e9:.0f} GB are free; {remedy}"
        )


def own_shape(spec: ModelSpec, default: tuple[int, ...]) -> tuple[int, ...]:
    """Mesh of a model unless another is asked for: its own where its equation has a length, else the problem's."""
    if spec.cell_width is None:
        return default
    return tuple(round(length / spec.cell_width) for length in spec.lengths)


def read_boundary(text: str, dimensions: int) -> Boundary:
    """Boundary conditions as the command line names them: a YAML file, or the text itself.

    Raises
    ------
    UsageError
        The file or text cannot be understood.
    """
    if is_yaml(text):
        return boundary_from_mapping(read_mapping(Path(text)), dimensions)
    return parse_boundary(text, dimensions)


def _range_of(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        lower, upper = map(float, text.split(","))
    except ValueError as error:
        raise UsageError(f"--range {text!r}: expected two numbers, such as 0,2") from error
    return lower, upper


def _operating_range(
    own: OperatingRange, limits: str | None, slope: float | None, flux: float | None
) -> OperatingRange | None:
    if limits is None and slope is None and flux is None:
        return None
    try:
        lower, upper = _range_of(limits) or (own.lower, own.upper)
        return OperatingRange(
            lower=lower,
            upper=upper,
            slope=own.slope if slope is None else slope,
            flux=own.flux if flux is None else flux,
        )
    except ValidationError as error:
        raise UsageError(f"operating range: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
