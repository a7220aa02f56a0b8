"""From a model's name or file to a compiled graph, for the commands that need one."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from pisnn_deploy import __version__, zoo
from pisnn_deploy.cli.media import is_mesh_file, is_yaml, read_cell_property, read_groups, read_materials
from pisnn_deploy.compiler import CompileOptions, LowerTwoPoint, Material, TwoPointOptions, compile_model
from pisnn_deploy.compiler.limit import Limiter
from pisnn_deploy.compiler.measure import MEASURED_CELLS
from pisnn_deploy.compiler.pipeline import Report, SpikeKind
from pisnn_deploy.compiler.place import PlacementMethod
from pisnn_deploy.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.guests import guests
from pisnn_deploy.mesh import Boundary, boundary_from_mapping, parse_boundary, parse_shape, read_mesh_file
from pisnn_deploy.model import ModelSpec, OperatingRange
from pisnn_deploy.plain_yaml import read_mapping
from pisnn_deploy.problems import problem
from pisnn_deploy.profiles import load_profile


def is_file_name(name_or_path: str) -> bool:
    """Whether a user means a file: there is one, or it looks like one; a folder named like a model does not count."""
    path = Path(name_or_path)
    return path.is_file() or bool(path.suffix)


@contextmanager
def model_file(name_or_path: str) -> Iterator[Path]:
    """The checkpoint that a user named: a file if there is one, else a model of the zoo."""
    path = Path(name_or_path)
    if is_file_name(name_or_path):
        yield path
    else:
        with zoo.model_path(name_or_path) as found:
            yield found


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
    limiter: Limiter = "none",
    report: Report | None = None,
) -> tuple[IntegerGraph, dict[str, Any]]:
    """Compile a checkpoint.

    Parameters
    ----------
    name_or_path : str
        Model of the zoo, or a ``.pt`` file.
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
    limiter : str
        What limits the packets of a face.
    report : callable, optional
        Told the name of each pass that has run and its seconds.

    Returns
    -------
    graph : IntegerGraph
    provenance : dict

    Raises
    ------
    UsageError
        Something that was given cannot be used.
    """
    with guests(f"{name_or_path}: a checkpoint"):
        from pisnn_deploy.training.checkpoint import read_checkpoint

    target = load_profile(profile)
    with model_file(name_or_path) as path:
        model = read_checkpoint(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    limited = _operating_range(model.spec.operating_range, limits, slope, flux)
    if mesh is not None and is_mesh_file(mesh):
        read = read_mesh_file(Path(mesh))
        named, sides_text = Path(mesh).name, boundary or "no-flux"
        if conductivity is not None or capacity is not None:
            raise UsageError("--conductivity and --capacity are for grids; name the mesh's --materials instead")
        lower = LowerTwoPoint(read, read_groups(boundary, read.group_names), read_materials(materials))
        options: CompileOptions | TwoPointOptions = TwoPointOptions(
            lower, target, coding, limited, placement, spikes, limiter
        )
    else:
        if materials is not None:
            raise UsageError("--materials are for meshes from files; give a grid --conductivity and --capacity")
        own = problem(model.spec.problem)
        shape = parse_shape(mesh) if mesh else own_shape(model.spec, own.default_shape)
        sides = own.default_boundary(shape) if boundary is None else read_boundary(boundary, len(shape))
        _require_memory(math.prod(shape), placement)
        named, sides_text = "x".join(map(str, shape)), sides.text if boundary is None else boundary
        options = CompileOptions(
            shape, sides, target, coding, limited, placement=placement, spikes=spikes, limiter=limiter
        )
        if conductivity is not None or capacity is not None:
            fields = [read_cell_property(path, shape) for path in (conductivity, capacity)]
            lower = LowerTwoPoint(shape, sides, {"default": Material(1.0)} if conductivity else {}, *fields)
            options = TwoPointOptions(lower, target, coding, limited, placement, spikes, limiter)
    provenance = {
        "model": model.spec.name,
        "model_sha256": digest,
        "options": {
            "mesh": named,
            "boundary": sides_text,
            "profile": target.name,
            "coding": coding,
            "placement": placement,
            "spikes": spikes,
            **({} if limiter == "none" else {"limiter": limiter}),
            "range": limits,
            "slope": slope,
            "flux": flux,
            "files": {
                Path(name).name: hashlib.sha256(Path(name).read_bytes()).hexdigest()
                for name in (mesh if mesh and is_mesh_file(mesh) else None, materials, conductivity, capacity)
                if name is not None
            },
        },
        "versions": {"pisnn-deploy": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }
    return compile_model(model, options, report), provenance


BYTES_PER_CELL = 2200
"""What compiling takes for each cell of a plane (docs/results/scale.md); lines take less."""
BYTES_PER_CELL_UNPLACED = 800
"""What is left of it on meshes that are neither measured nor placed."""


def _require_memory(cells: int, placement: PlacementMethod) -> None:
    """Refuse a mesh that would have this process killed for want of memory."""
    try:
        known = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(known["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
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


def _operating_range(
    own: OperatingRange, limits: str | None, slope: float | None, flux: float | None
) -> OperatingRange | None:
    if limits is None and slope is None and flux is None:
        return None
    try:
        lower, upper = (own.lower, own.upper) if limits is None else map(float, limits.split(","))
        return OperatingRange(
            lower=lower,
            upper=upper,
            slope=own.slope if slope is None else slope,
            flux=own.flux if flux is None else flux,
        )
    except ValidationError as error:
        raise UsageError(f"operating range: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
    except ValueError as error:
        raise UsageError(f"--range {limits!r}: expected two numbers, such as 0,2") from error
