"""What to audit a trajectory by, and the equations that an option names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.conditions import Condition, Conditions, boundary_text
from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.nodes import Number
from pisnn_deploy.mesh.boundary import NO_FLUX, PERIODIC, SIDE_NAMES, Boundary, uniform_boundary
from pisnn_deploy.project.law_file import read_law_model

DIFFUSION = "diffusion="
ASSUMED = "closed (assumed, see --boundary)"
CLOSED = (PERIODIC, NO_FLUX)
ALONE = "u"
"""Field of a law that holds for each field on its own."""


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, and by what.

    Attributes
    ----------
    path : Path
        The trajectory.
    mesh : str or None
        Cells along each axis (default: the shape of the fields).
    fields : tuple of str
        Names of fields, or sums such as ``a+b`` (default: all).
    boundary : str or None
        Conditions of the sides (default: the law's, or closed).
    law : str or None
        A law by name or file, or ``diffusion=D`` for each field on its own.
    lengths : tuple of float or None
        Extent along each axis (default: the law's, the file's coordinates, or 1).
    time_step : float or None
        Time between rows of a file without times.
    reference : Path or None
        A trajectory to compare the totals with.
    substeps : int
        Solver steps between rows.
    tolerance : float or None
        Share of the mass at the start that may drift, in place of what rounding allows.
    """

    path: Path
    mesh: str | None = None
    fields: tuple[str, ...] = ()
    boundary: str | None = None
    law: str | None = None
    lengths: tuple[float, ...] | None = None
    time_step: float | None = None
    reference: Path | None = None
    substeps: int = 1
    tolerance: float | None = None


@dataclass(frozen=True)
class AuditLaw:
    """Equations to compare a trajectory with.

    Attributes
    ----------
    law : Law
        The equations.
    conditions : Conditions
        Of the sides.
    lengths : tuple of float or None
        Extent of the domain; None if the law has none.
    lower : tuple of float
        Its lower corner.
    is_for_each : bool
        Whether the law holds for each field of the file on its own.
    """

    law: Law
    conditions: Conditions
    lengths: tuple[float, ...] | None
    lower: tuple[float, ...]
    is_for_each: bool

    @property
    def boundary(self) -> str:
        """Conditions of the sides, for people."""
        return boundary_text(self.conditions)

    def opening(self, field: str) -> str:
        """Why the law lets mass of a field come or go; empty if it does not.

        Parameters
        ----------
        field : str
            Name of a field, or of several that are added.
        """
        parts = [ALONE] if self.is_for_each else field.split("+")
        reasons = [f"source {source.name}" for source in self.law.sources if source.field in parts]
        for exchange in self.law.exchange:
            if (exchange.source_field in parts) != (exchange.target_field in parts):
                reasons.append(f"exchange {exchange.name}")
        normal = {name for vector in self.law.vector for name in vector}
        for side, by_field in self.conditions.items():
            kinds = {by_field[part].kind for part in parts if part in by_field}
            if not kinds <= {"periodic", "wall"}:
                reasons.append(f"side {side}")
            elif "wall" in kinds and not normal.isdisjoint(parts):
                reasons.append(f"wall {side}, which reflects {field}")
        return ", ".join(reasons)


def law_fields(text: str | None) -> tuple[str, ...]:
    """Fields of a law of several or named fields; none for a law that holds for each field on its own."""
    read = None if text is None or text.startswith(DIFFUSION) else read_law_model(text)
    return () if read is None else read.spec.parsed().fields


def audit_law(text: str, boundary: Boundary | None, axes: int) -> AuditLaw:
    """Read the equations of an option.

    Parameters
    ----------
    text : str
        ``diffusion=D``, a law by name, a recipe or a checkpoint.
    boundary : Boundary or None
        Of the option for it; None if it is not given.
    axes : int
        Number of axes of the trajectory.

    Raises
    ------
    UsageError
        There is no such law, it has another number of axes, or the boundary is given twice.
    """
    if text.startswith(DIFFUSION):
        return _diffusion(text, uniform_boundary(PERIODIC, axes) if boundary is None else boundary, boundary is None)
    read = read_law_model(text)
    if read is None:
        raise UsageError(
            f"`law` {text!r}: is no law; write a recipe with a section law, a law of the zoo, or diffusion=0.1"
        )
    spec = read.spec
    if spec.dimensions != axes:
        raise UsageError(f"law {spec.name} has {spec.dimensions} axes, but the fields have {axes}; see --mesh")
    if boundary is not None:
        raise UsageError(f"`boundary`: the recipe of {spec.name} has its own; leave the option out")
    return AuditLaw(spec.parsed(), spec.conditions, spec.domain.lengths, spec.domain.lower, is_for_each=False)


def _diffusion(text: str, boundary: Boundary, is_assumed: bool) -> AuditLaw:
    if is_assumed:
        raise UsageError(f"`law` {text} needs a `boundary`: periodic, no-flux, dirichlet=0,1, ...")
    try:
        diffusivity = float(text.removeprefix(DIFFUSION))
    except ValueError:
        diffusivity = math.nan
    if not 0 < diffusivity < math.inf:
        raise UsageError(f"`law` {text!r}: expected a positive diffusivity, such as diffusion=0.1")
    axes = len(boundary.sides)
    law = Law((ALONE,), flux=({},) * axes, diffusion={ALONE: Number(diffusivity)})
    return AuditLaw(law, _conditions(boundary), None, (0.0,) * axes, is_for_each=True)


def _conditions(boundary: Boundary) -> Conditions:
    """Conditions of a law's only field."""
    conditions: Conditions = {}
    for names, sides, values in zip(SIDE_NAMES, boundary.sides, boundary.values, strict=False):
        for name, side, numbers in zip(names, sides, values, strict=True):
            if len(numbers) > 1:
                raise UsageError(f"`boundary`: the side {name} has {len(numbers)} values; `law` diffusion=D takes one")
            conditions[name] = {ALONE: _condition(side, numbers)}
    return conditions


def _condition(side: str, numbers: tuple[float, ...]) -> Condition:
    if side == PERIODIC:
        return Condition("periodic")
    return Condition("wall") if side == NO_FLUX else Condition("held", (Number(numbers[0]),))


def opening_of(boundary: Boundary | None) -> str:
    """Sides through which mass may leave, for people; empty if there are none."""
    if boundary is None:
        return ""
    return ", ".join(
        f"side {name}"
        for names, sides in zip(SIDE_NAMES, boundary.sides, strict=False)
        for name, side in zip(names, sides, strict=True)
        if side not in CLOSED
    )
