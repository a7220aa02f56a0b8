"""Schemes by name: which laws they compute, and which one `auto` takes."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.compiler.construct.kinds_of_expressions import is_smooth
from pisnn_deploy.compiler.construct.linear import is_linear_law
from pisnn_deploy.compiler.construct.trained import require_place_independent
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.expression import free_names
from pisnn_deploy.laws.flux_network import TrainedFluxes
from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import initial

SCHEMES = ("auto", "muscl", "linear", "taylor", "wide")
"""Schemes that a recipe may name."""
MOST_COURANT = 0.8
"""Above, short waves grow."""
MOST_AXES = 2
MOST_BEND = 1 / 16
"""Largest second difference of a start that `auto` takes for smooth, as a part of the range."""
LEAST_ROOM = 1 / 64
"""What such a start leaves free at both ends of the range: fronts overshoot by less."""


def scheme_of(spec: LawSpec, law: Law, trained: TrainedFluxes | None) -> str:
    """Scheme of a law: its trained fluxes, else stencils where it is linear, else MUSCL-Hancock.

    `wide` differences of levels are only on demand; in place of MUSCL-Hancock, `construct` tries `taylor`.
    """
    if (spec.method == "trained") != (trained is not None):
        raise UsageError(UNTRAINED if trained is None else "method constructed: the recipe asks for no trained fluxes")
    if trained is not None:
        return _trained_scheme(spec, law)
    if spec.scheme not in SCHEMES:
        raise UsageError(f"scheme: {spec.scheme} is unknown; constructed laws have {', '.join(SCHEMES)}")
    several = _side_of_several(spec, law)
    if spec.scheme == "auto":
        return "linear" if is_linear_law(law) and any(law.flux) and several is None else "muscl"
    if spec.scheme == "taylor":
        _require_taylor(spec, law)
    if spec.scheme == "linear":
        if not is_linear_law(law):
            raise UsageError("scheme: linear needs fluxes and diffusivities with constant coefficients")
        if several is not None:
            raise UsageError(
                f"scheme: linear cannot tell which waves enter at the side {several}, which gives values of several "
                "fields; use muscl"
            )
    return spec.scheme


UNTRAINED = "method trained: run `pisnn-deploy train` with the recipe, and compile the checkpoint that it writes"


def _trained_scheme(spec: LawSpec, law: Law) -> str:
    """Refuse what trained fluxes cannot do."""
    if spec.scheme != "auto":
        raise UsageError(f"scheme: {spec.scheme} is one of constructed laws, but the method is trained")
    require_place_independent(law)
    several = _side_of_several(spec, law)
    if several is not None:
        raise UsageError(
            f"domain.boundary.{several}: gives values of several fields, and trained fluxes cannot tell which waves "
            "enter; construct the law"
        )
    return "trained"


def _side_of_several(spec: LawSpec, law: Law) -> str | None:
    """First side that gives values of several fields with a flux."""
    for side, conditions in spec.conditions.items():
        moving = [name for name in law.fields if any(name in flux for flux in law.flux)]
        if sum(conditions[name].kind in ("held", "inflow") for name in moving) > 1:
            return side
    return None


def _require_taylor(spec: LawSpec, law: Law) -> None:
    """Refuse a law that the scheme does not compute.

    Raises
    ------
    UsageError
        Says what the scheme needs.
    """
    needs = lacking(law)
    if needs:
        raise UsageError(f"scheme: taylor needs {needs}; use muscl")
    if spec.courant is not None and spec.courant > MOST_COURANT:
        raise UsageError(f"courant: the scheme taylor is stable up to {MOST_COURANT:g}, not {spec.courant:g}")


def lacking(law: Law) -> str:
    """What the scheme needs and a law does not have; empty for nothing."""
    if len(law.fields) > 1 or law.dimensions > MOST_AXES:
        return "one field on a line or a plane"
    (name,) = law.fields
    fluxes = [flux[name] for flux in law.flux if name in flux]
    if is_linear_law(law):
        return "a flux that is not linear in the field"
    if not all(is_smooth(flux) and free_names(flux) <= {name} for flux in fluxes):
        return "fluxes without kinks that depend on nothing but the field"
    if law.level or any(free_names(entry) for entry in law.diffusion.values()):
        return "a constant diffusivity"
    return "a law without sources" if law.sources else ""


def is_resolved(spec: LawSpec, law: Law, shape: tuple[int, ...]) -> bool:
    """Whether `auto` takes the scheme: a line, and a start that is smooth on the mesh and leaves room in its range.

    On a plane it takes about four times as many neurons as MUSCL-Hancock, so only recipes that name it get it.
    """
    if law.dimensions > 1 or lacking(law) or (spec.courant or 0.0) > MOST_COURANT:
        return False
    (name,) = law.fields
    low, high = spec.range[name]
    start = initial(spec, shape)[name]
    room = min(float(start.min()) - low, high - float(start.max()))
    bends = (np.abs(np.diff(start, 2, axis)).max(initial=0.0) for axis in range(start.ndim))
    return room >= LEAST_ROOM * (high - low) and max(bends) <= MOST_BEND * (high - low)
