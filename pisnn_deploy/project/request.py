"""The request to compile, filled by the command line, the Python API and campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pisnn_deploy.compiler.options import PLAIN, GraphKeywords, GraphOptions
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.project.conditions import is_mesh_file, is_yaml
from pisnn_deploy.project.keywords import FileName, leaves, plain_number, request_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

FluxKind = Literal["auto", "two-point", "multi-point"]
"""Choices of the fluxes on a mesh from a file."""
FILES = ("materials", "conductivity", "capacity")
"""Options that can only be files."""
SMALLEST, LARGEST = 1e-30, 1e30
"""Limits of lengths and diffusivities."""


class CompileKeywords(GraphKeywords, total=False):
    """Keywords of a compilation besides the model: the options of ``compile`` by name."""

    profile: FileName
    mesh: FileName | int | tuple[int, ...] | None
    boundary: FileName | None
    lengths: str | float | tuple[float, ...] | None
    diffusivity: str | float | tuple[float, ...] | None
    fluxes: FluxKind
    weld: float | None
    materials: FileName | None
    conductivity: FileName | None
    capacity: FileName | None
    value_range: str | tuple[float, float] | None
    slope: float | None
    flux: float | None
    problem: str | None
    diffusion_number: float | None


@dataclass(frozen=True)
class Domain:
    """Where the equation is solved.

    Attributes
    ----------
    mesh : str or None
        Cells along each axis, such as ``64x64``, or a mesh file (default: the problem's own).
    boundary : str or None
        Such as ``no-flux`` or ``dirichlet=0,1``, or a YAML file (default: the problem's own).
    lengths : str or None
        Length of a grid along each axis, such as ``2,1`` (default: the model's).
    diffusivity : str or None
        Diffusivity on a grid, or one along each axis, such as ``0.02,0.01`` (default: the model's).
    weld : float or None
        Points of a mesh file within this distance of each other are merged.
    fluxes : str
        On a mesh file: ``two-point``, ``multi-point``, or ``auto``: two-point where these are exact for linear fields.
    materials : Path or None
        YAML file of the materials of a mesh from a file.
    conductivity, capacity : Path or None
        Value of each cell of a grid (``.npy``).
    """

    mesh: str | None = None
    boundary: str | None = None
    lengths: str | None = None
    diffusivity: str | None = None
    weld: float | None = None
    materials: Path | None = None
    conductivity: Path | None = None
    capacity: Path | None = None
    fluxes: FluxKind = "auto"

    def __post_init__(self) -> None:
        if self.fluxes not in get_args(FluxKind):
            raise UsageError(f"`fluxes` {self.fluxes!r}: expected one of {', '.join(get_args(FluxKind))}")
        for name in ("lengths", "diffusivity"):
            if self.on_mesh_file and getattr(self, name) is not None:
                raise UsageError(f"`{name}`: a mesh from a file has its own lengths and materials")
            self.numbers(name)
        if self.diffusivity is not None and self.conductivity is not None:
            raise UsageError("`diffusivity`: `conductivity` replaces it")
        if self.on_mesh_file:
            if self.conductivity is not None or self.capacity is not None:
                raise UsageError("`conductivity` and `capacity` are for grids; name the mesh's `materials` instead")
        elif self.fluxes == "multi-point":
            raise UsageError("`fluxes` multi-point are for meshes from files; faces of grids are normal to their lines")
        elif self.weld is not None:
            raise UsageError("`weld` is for meshes from files")
        elif self.materials is not None:
            raise UsageError("`materials` are for meshes from files; give a grid `conductivity` and `capacity`")

    @property
    def on_mesh_file(self) -> bool:
        """Whether the mesh comes from a file."""
        return self.mesh is not None and is_mesh_file(self.mesh)

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """`lengths` or `diffusivity` as numbers.

        Raises
        ------
        UsageError
            It is anything but positive numbers.
        """
        text: str | None = getattr(self, name)
        if text is None:
            return None
        try:
            values = tuple(float(word) for word in text.split(","))
        except ValueError:
            values = ()
        if not values or not all(SMALLEST < value < LARGEST for value in values):
            raise UsageError(f"`{name}` {text!r}: expected a positive number for each axis, such as 2,1")
        return values

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of mesh and materials."""
        named = (Path(self.mesh) if self.mesh is not None and self.on_mesh_file else None, self.materials)
        return tuple(path for path in (*named, self.conductivity, self.capacity) if path is not None)


@dataclass(frozen=True)
class Limits:
    """Operating range, where it differs from the model's.

    Attributes
    ----------
    value_range : str or None
        Lowest and highest cell value, ``LOWER,UPPER``.
    slope : float or None
        Largest slope of the field.
    flux : float or None
        Largest flux through a face in one PDE step, in cell values.
    """

    value_range: str | None = None
    slope: float | None = None
    flux: float | None = None

    def __post_init__(self) -> None:
        _ = self.bounds

    @property
    def bounds(self) -> tuple[float, float] | None:
        """`value_range` as two numbers.

        Raises
        ------
        UsageError
            It is not two numbers.
        """
        if self.value_range is None:
            return None
        try:
            lower, upper = map(float, self.value_range.split(","))
        except ValueError as error:
            raise UsageError(f"`value_range` {self.value_range!r}: expected two numbers, such as 0,2") from error
        return lower, upper


@dataclass(frozen=True)
class Origin:
    """What a flux network in another format does not say itself.

    Attributes
    ----------
    problem : str or None
        Problem that it solves.
    diffusion_number : float or None
        ``diffusivity * dt / h^2`` that it was trained for, if it has hidden layers.
    """

    problem: str | None = None
    diffusion_number: float | None = None


@dataclass(frozen=True)
class CompileRequest:
    """A request to compile a model for a mesh and a target.

    Attributes
    ----------
    model : str
        Model of the zoo, a checkpoint, or a flux network in another format.
    profile : str
        Hardware profile: a name or a YAML file.
    domain : Domain
        Mesh, boundary conditions and materials.
    graph : GraphOptions
        Options of the graph.
    limits : Limits
        Operating range, where it differs from the model's.
    origin : Origin
        Problem of a network that does not name it.
    """

    model: str
    profile: str = "loihi2"
    domain: Domain = Domain()
    limits: Limits = Limits()
    origin: Origin = Origin()
    graph: GraphOptions = PLAIN

    @property
    def inputs(self) -> tuple[Path | str | None, ...]:
        """Names that may be files; names of the zoo or of profiles count where such a file exists."""
        conditions = self.domain.boundary if is_yaml(self.domain.boundary or "") else None
        return (self.model, self.profile, conditions, *self.domain.files)

    @property
    def given(self) -> dict[str, Any]:
        """Options that differ from their defaults, by keyword."""
        return {name: value for name, (value, default) in leaves(self).items() if value != default}


def compile_request(model: FileName, **options: Unpack[CompileKeywords]) -> CompileRequest:
    """Build a request from keywords, whichever group they belong to.

    Parameters
    ----------
    **options
        See `CompileKeywords`.

    Raises
    ------
    UsageError
        Options exclude each other, or a choice does not exist; the message names the option.
    TypeError
        No such option.
    """
    fields = {name: _plain(name, value) for name, value in options.items()}
    return request_of(CompileRequest, CompileKeywords, fields, model=fspath(model))


def _plain(name: str, value: Any) -> Any:
    """Normalise a value: numbers of a mesh or range become text, files of materials become paths."""
    value = plain_number(value)
    if name in FILES and isinstance(value, str | PathLike):
        return Path(value)
    if isinstance(value, PathLike):
        return fspath(value)
    if name == "mesh" and isinstance(value, int | tuple | list) and not isinstance(value, bool):
        return "x".join(str(plain_number(count)) for count in ((value,) if isinstance(value, int) else value))
    if name in ("lengths", "diffusivity") and not isinstance(value, str | None):
        numbers = value if isinstance(value, tuple | list) else (value,)
        return ",".join(repr(plain_number(number)) for number in numbers)
    if name == "value_range" and not isinstance(value, str | None):
        if not isinstance(value, tuple | list):
            raise UsageError(f"`value_range` {value!r}: expected two numbers, such as 0,2")
        return ",".join(repr(plain_number(limit)) for limit in value)
    return value
