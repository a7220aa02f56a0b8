"""The request to measure an order of convergence, filled by the command line and the Python API."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypedDict

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import parse_shape
from pisnn_deploy.project.keywords import FileName
from pisnn_deploy.project.request import CompileRequest, compile_request

if TYPE_CHECKING:
    from typing_extensions import Unpack

Norm = Literal["l1", "l2", "largest"]
"""Norms of an error: of its absolute values or squares, relative to those of the reference, or its largest value."""
NORMS: Mapping[str, str] = MappingProxyType(
    {"l1": "relative L1 error", "l2": "relative L2 error", "largest": "largest error"}
)


@dataclass(frozen=True)
class ConvergeRequest:
    """A request to measure an order of convergence.

    Attributes
    ----------
    compiling : CompileRequest
        What is compiled for each mesh; its own mesh does not count.
    meshes : tuple of tuple of int
        Cells along each axis, coarsest mesh first.
    time : float or None
        Time at which errors are measured, to the nearest PDE step of each mesh (default: the problem's final time).
    norm : str
        ``l1``, ``l2`` or ``largest``.
    scheme : str or None
        Float scheme beside a law (default: by its equation).
    """

    compiling: CompileRequest
    meshes: tuple[tuple[int, ...], ...]
    time: float | None = None
    norm: Norm = "l2"
    scheme: str | None = None

    def __post_init__(self) -> None:
        if len(self.meshes) < 2:
            raise UsageError("`meshes`: expected at least two, such as 32,64,128")
        if len({len(shape) for shape in self.meshes}) > 1:
            raise UsageError("`meshes`: all need the same number of axes")
        for coarse, fine in zip(self.meshes, self.meshes[1:], strict=False):
            if math.prod(coarse) == math.prod(fine):
                raise UsageError(f"`meshes`: {mesh_text(coarse)} and {mesh_text(fine)} have equally many cells")
        if self.time is not None and not (math.isfinite(self.time) and self.time > 0):
            raise UsageError(f"`time` {self.time}: expected a number above 0")
        if self.norm not in NORMS:
            raise UsageError(f"`norm` {self.norm!r}: expected one of {', '.join(NORMS)}")


class ConvergeKeywords(TypedDict, total=False):
    """Profile and boundary conditions as for `compile_request`, and fields of `ConvergeRequest`, as keywords."""

    profile: FileName
    boundary: FileName | None
    time: float | None
    norm: Norm
    scheme: str | None


Meshes = str | Sequence[str | int | tuple[int, ...]]
"""Meshes in any order, such as ``32,64,128`` or ``[(32, 32), (64, 64)]``."""


def converge_request(model: FileName, meshes: Meshes, **options: Unpack[ConvergeKeywords]) -> ConvergeRequest:
    """Build a request from keywords.

    Parameters
    ----------
    model : str or path
        Model of the zoo, checkpoint, or law by name or file.

    Raises
    ------
    UsageError
        A mesh cannot be understood, there are fewer than two, or two are alike.
    """
    texts = meshes.split(",") if isinstance(meshes, str) else meshes
    profile, boundary = options.get("profile", "loihi2"), options.get("boundary")
    compiling = [
        compile_request(model, mesh=mesh, profile=profile, boundary=boundary, placement="none") for mesh in texts
    ]
    shapes = []
    for each in compiling:
        if each.domain.on_mesh_file:
            raise UsageError(f"`meshes` {each.domain.mesh}: expected grids, such as 64 or 64x64")
        shapes.append(parse_shape(each.domain.mesh or ""))
    if not compiling:
        raise UsageError("`meshes`: expected at least two, such as 32,64,128")
    time, norm, scheme = options.get("time"), options.get("norm", "l2"), options.get("scheme")
    return ConvergeRequest(compiling[0], tuple(sorted(shapes, key=math.prod)), time, norm, scheme)


def mesh_text(shape: tuple[int, ...]) -> str:
    """Cells along each axis, such as ``64x64``."""
    return "x".join(map(str, shape))
