"""Starts of laws that no recipe has: random smooth ones, and jumps for laws whose solutions form shocks."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.calculus import derivative
from pisnn_deploy.laws.expression import free_names
from pisnn_deploy.laws.problem import Solution, exact, solution
from pisnn_deploy.laws.solution_names import EXACT
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import initial

SHARES = (0.4, 0.2, 0.1, 0.05)
"""Parts of the room between the base of a start and the range that its waves take: the first with which the integers
stay in the range."""
WAVES = 4


@dataclass(frozen=True)
class HeldOut:
    """A start that no recipe has.

    Attributes
    ----------
    name : str
        ``smooth`` or ``jump``.
    spec : LawSpec
        The recipe with this start.
    """

    name: str
    spec: LawSpec


def held_out(spec: LawSpec, share: float) -> Iterator[HeldOut]:
    """Starts drawn for a law, the same ones each time.

    Parameters
    ----------
    share : float
        Part of the room between the base and the range that the waves take.
    """
    yield HeldOut("smooth", _with_start(spec, {name: _smooth(spec, name, share) for name in spec.law.fields}))
    if has_shocks(spec):
        first, *others = spec.law.fields
        bases = {name: f"{_base(spec, name):.17g}" for name in others}
        yield HeldOut("jump", _with_start(spec, {first: _jump(spec, first, share), **bases}))


def has_shocks(spec: LawSpec) -> bool:
    """Whether the speed of a field's waves depends on the fields."""
    law = spec.parsed()
    slopes = [derivative(flux, by) for fluxes in law.flux for flux in fluxes.values() for by in law.fields]
    return any(free_names(slope) & set(law.fields) for slope in slopes)


def truth_of(start: HeldOut, time: float) -> Solution:
    """Exact solution of any name that poses this problem, else the solver's."""
    for name in EXACT:
        try:
            known = exact(start.spec.model_copy(update={"reference": name}), start.spec.mesh, time)
        except (UsageError, ValueError):
            continue
        if known is not None and name != "rest":
            return known
    known = solution(start.spec, start.spec.mesh, time)
    assert known is not None
    return known


def _with_start(spec: LawSpec, start: dict[str, str]) -> LawSpec:
    content = spec.model_dump(mode="json", exclude_none=True)
    return LawSpec.model_validate({**content, "initial": start, "reference": "solver"})


def _base(spec: LawSpec, name: str) -> float:
    """Value that sides fit, that of the recipe's start in the first cell; the middle of the range without sides."""
    if all(_closed(spec, axis) for axis in range(spec.dimensions)):
        return sum(spec.range[name]) / 2
    return float(initial(spec, spec.mesh)[name].reshape(-1)[0])


def _extent(spec: LawSpec, name: str, share: float) -> tuple[float, float]:
    """Lowest and highest change from the base: to both sides where there is room, else to one."""
    base, (lower, upper) = _base(spec, name), spec.range[name]
    down, up = share * (lower - base), share * (upper - base)
    if -down < up / 3:
        return 0.0, up
    return (down, 0.0) if up < -down / 3 else (-min(-down, up), min(-down, up))


def _smooth(spec: LawSpec, name: str, share: float) -> str:
    rng = np.random.default_rng(zlib.crc32(f"{spec.name} {name}".encode()))
    along = _along(spec)
    sizes = rng.uniform(0.3, 1.0, WAVES)
    waves = []
    for size in sizes / sizes.sum():
        numbers = rng.integers(-2, 3, len(along))
        numbers[0] = numbers[0] or 1
        phase = " + ".join(f"{number}*{place}" for number, place in zip(numbers, along, strict=True))
        waves.append(f"{size:.4f}*sin(2*pi*({phase}) + {rng.uniform(0, 6.28):.4f})")
    low, high = _extent(spec, name, share)
    middle, half = (low + high) / 2, (high - low) / 2
    window = "".join(
        f"*sin(pi*{place})**2" for place, axis in zip(along, range(len(along)), strict=True) if not _closed(spec, axis)
    )
    return f"{_base(spec, name):.17g} + ({middle:.17g} + {half:.17g}*({' + '.join(waves)})){window}"


def _jump(spec: LawSpec, name: str, share: float) -> str:
    """The largest change in a box off the middle."""
    low, high = _extent(spec, name, share)
    apart = ", ".join(f"abs({place} - {centre})" for place, centre in zip(_along(spec), (0.4, 0.55, 0.5), strict=False))
    farthest = f"max({apart})" if len(spec.mesh) > 1 else apart
    return f"{_base(spec, name):.17g} + where({farthest} < 0.17, {max(low, high, key=abs):.17g}, 0)"


def _along(spec: LawSpec) -> list[str]:
    """Places along each axis from 0 to 1, as text."""
    return [
        f"(({name} - ({lower:.17g}))/{length:.17g})"
        for name, lower, length in zip("xyz", spec.domain.lower, spec.lengths, strict=False)
    ]


def _closed(spec: LawSpec, axis: int) -> bool:
    """Whether an axis is periodic."""
    side = ("left", "bottom", "back")[axis]
    return all(condition.kind == "periodic" for condition in spec.conditions[side].values())
