"""Audit a trajectory from a file: how well it conserves, globally and in each cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.laws.equations import equations
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.mesh import parse_shape
from pisnn_deploy.mesh.boundary import Boundary
from pisnn_deploy.project.audit_request import ASSUMED, AuditLaw, AuditRequest, audit_law, law_fields, opening_of
from pisnn_deploy.project.conditions import read_boundary
from pisnn_deploy.trajectories.balance import Rounding, balance_of, unit_roundoff
from pisnn_deploy.trajectories.content import Array, Content, Trajectory, is_field_list, trajectory_of
from pisnn_deploy.trajectories.law_balance import LawBalance, law_balances
from pisnn_deploy.trajectories.own_trace import as_trajectory, axes_of, is_own_trace
from pisnn_deploy.trajectories.reading import read_content
from pisnn_deploy.trajectories.result import Audit, FieldAudit
from pisnn_deploy.trajectories.sums import Field, total_of
from pisnn_deploy.trajectories.transported import entered_of, local_balance, transported_of


@dataclass(frozen=True)
class _Setting:
    """What holds for all fields of an audit."""

    request: AuditRequest
    content: Content
    trajectory: Trajectory
    boundary: Boundary | None
    law: AuditLaw | None
    lengths: tuple[float, ...]
    reference: Trajectory | None

    @property
    def volumes(self) -> Field | float:
        """Volume of each cell, or of all."""
        trajectory = self.trajectory
        return math.prod(self.lengths) / trajectory.cells if trajectory.volumes is None else trajectory.volumes


def audit(request: AuditRequest) -> Audit:
    """Audit a trajectory.

    Raises
    ------
    UsageError, FileError
        An option or a file is invalid.
    """
    for name in request.fields:
        if not is_field_list(name):
            raise UsageError(f"`field` {name!r}: expected a name, or several to be added, such as a+b")
    for option, number in (("tolerance", request.tolerance), ("time_step", request.time_step)):
        if number is not None and not 0 <= number < math.inf:  # not a number is in no range
            raise UsageError(f"`{option}` {number}: expected a finite number that is not negative")
    content, trajectory = _read(request)
    axes = len(trajectory.shape)
    boundary = None if request.boundary is None else read_boundary(request.boundary, axes)
    law = None if request.law is None else audit_law(request.law, boundary, axes)
    lengths, lengths_from = _lengths(request, trajectory, law)
    times = _times(request, trajectory)
    setting = _Setting(request, content, trajectory, boundary, law, lengths, _reference(request, trajectory))
    by_law = {} if law is None else _law_balances(law, setting, times)
    return Audit(
        trajectory.path,
        trajectory.shape,
        trajectory.rows,
        times,
        boundary.text if boundary is not None else ASSUMED if law is None else law.boundary,
        lengths_from,
        "" if law is None else "; ".join(equations(law.law)),
        request.substeps,
        tuple(_audited(setting, name, by_law.get(name)) for name in trajectory.fields),
        trajectory.fields,
    )


def _read(request: AuditRequest) -> tuple[Content, Trajectory]:
    content = read_content(request.path)
    mesh = None if request.mesh is None else parse_shape(request.mesh)
    if is_own_trace(content):
        boundary = None if request.boundary is None else read_boundary(request.boundary, axes_of(content))
        content = as_trajectory(content, boundary)
    return content, trajectory_of(content, mesh, request.fields or law_fields(request.law))


def _lengths(request: AuditRequest, trajectory: Trajectory, law: AuditLaw | None) -> tuple[tuple[float, ...], str]:
    """Extent along each axis, and where it comes from."""
    axes = len(trajectory.shape)
    if request.lengths is not None:
        if len(request.lengths) != axes:
            raise UsageError(f"`lengths`: {len(request.lengths)} values for {axes} axes")
        return request.lengths, "--lengths"
    if law is not None and law.lengths is not None:
        return law.lengths, "the law"
    if trajectory.volumes is not None:
        return (1.0,) * axes, "volumes of the file"
    if trajectory.lengths is not None:
        return trajectory.lengths, "coordinates of the file"
    return (1.0,) * axes, "1 along each axis (assumed, see --lengths)"


def _times(request: AuditRequest, trajectory: Trajectory) -> Field | None:
    if request.time_step is None:
        return trajectory.times
    if trajectory.times is not None:
        raise UsageError(f"`time_step`: {request.path} has times; leave the option out")
    return request.time_step * np.arange(trajectory.rows)


def _reference(request: AuditRequest, trajectory: Trajectory) -> Trajectory | None:
    if request.reference is None:
        return None
    content = read_content(request.reference)
    reference = trajectory_of(content, trajectory.shape, tuple(trajectory.fields))
    if reference.rows != trajectory.rows:
        problem = f"has {reference.rows} rows, but {request.path} has {trajectory.rows}"
        raise FileError(request.reference, problem, remedy="save both at the same times")
    return reference


def _law_balances(law: AuditLaw, setting: _Setting, times: Field | None) -> dict[str, LawBalance]:
    """Balance of each field against the law."""
    trajectory, path = setting.trajectory, setting.request.path
    if trajectory.volumes is not None:
        raise FileError(path, "has volumes of its own", remedy="`law` needs equal cells of a grid")
    if times is None:
        raise FileError(path, "has no times", remedy="name an array time, or give --time-step")
    grid = Grid(trajectory.shape, setting.lengths, law.lower)
    if law.is_for_each:
        return {
            name: law_balances(law.law, grid, law.conditions, [field], times)[0]
            for name, field in trajectory.fields.items()
        }
    missing = [name for name in law.law.fields if name not in trajectory.fields]
    if missing:
        have = ", ".join(trajectory.fields)
        raise FileError(path, f"has no field {missing[0]!r} of the law", remedy=f"its fields are {have}")
    fields = [trajectory.fields[name] for name in law.law.fields]
    return dict(zip(law.law.fields, law_balances(law.law, grid, law.conditions, fields, times), strict=True))


def _audited(setting: _Setting, name: str, by_law: LawBalance | None) -> FieldAudit:
    field, request = setting.trajectory.fields[name], setting.request
    rounding = Rounding(unit_roundoff(field.dtype), request.substeps, request.tolerance)
    entered = entered_of(setting.content, setting.trajectory, name)
    faces = transported_of(setting.content, setting.trajectory, name)
    opening = opening_of(setting.boundary) if setting.law is None else setting.law.opening(name)
    if setting.boundary is None and setting.law is None and setting.content.has_ledgers:
        opening = "ledgers of the run"
    sides = opening or "closed"
    if entered is not None and (opening or entered.any()):
        sides = "the file has what came in"
    return FieldAudit(
        name,
        str(field.dtype) if field.dtype.kind != "O" else "int64",
        entered is not None or not opening,
        sides,
        balance_of(field, setting.volumes, entered, rounding),
        None if faces is None else local_balance(field, setting.volumes, faces, rounding),
        by_law,
        None if setting.reference is None else _crmse(field, setting.reference.fields[name]),
    )


def _crmse(field: Array, reference: Array) -> float:
    """Mean over the rows of the distance of the cells' mean values."""
    apart = [abs(total_of(row) - total_of(other)) for row, other in zip(field, reference, strict=True)]
    return float(sum(apart, Fraction(0)) / (len(field) * field[0].size))
