"""Units of a law: products of powers, and a check that the units of each sum agree.

A number alone fits any unit; as a factor it has none. A name without a unit leaves what it occurs in without a check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.nodes import Call, Expression, Number, Symbol, laplacian_of, postorder
from pisnn_deploy.laws.text import to_text

Unit = Mapping[str, Fraction]
"""Exponent of each base unit; empty for a pure number."""
_FACTOR = re.compile(r"([A-Za-z]{1,8}|1)(?:\^(-?\d{1,2}))?", re.ASCII)
_LONGEST = 64
METRE: Unit = {"m": Fraction(1)}
SECOND: Unit = {"s": Fraction(1)}
_UNKNOWN, _ANY = "unknown", "any"

Known = Unit | str
"""A unit, `_UNKNOWN` (no check), or `_ANY` (a number, which fits every unit)."""


class UnitError(ValueError):
    """A text that is no unit, or units that do not add."""


def parse_unit(text: str) -> Unit:
    """Parse a unit such as ``m^2/s`` or ``1/(m s)``.

    Raises
    ------
    UnitError
        The text has another form.
    """
    problem = "is not a unit; write names, * and /, with whole powers, such as m^2/s"
    if len(text) > _LONGEST:
        raise UnitError(problem)
    above, *below = text.replace(" ", "*" if "*" not in text else "").strip("*").split("/")
    exponents: dict[str, Fraction] = {}
    for sign, part in ((1, above), *((-1, part.removeprefix("(").removesuffix(")")) for part in below)):
        for factor in part.split("*"):
            match = _FACTOR.fullmatch(factor)
            if match is None:
                raise UnitError(problem)
            if match[1] != "1":
                exponents[match[1]] = exponents.get(match[1], Fraction(0)) + sign * int(match[2] or 1)
    return _without_zeros(exponents)


def unit_text(unit: Unit) -> str:
    """Format a unit, such as ``m^2/s``."""

    def product(factors: Mapping[str, Fraction]) -> str:
        return " ".join(name if power == 1 else f"{name}^{power}" for name, power in sorted(factors.items()))

    above = {name: power for name, power in unit.items() if power > 0}
    below = {name: -power for name, power in unit.items() if power < 0}
    if not below:
        return product(above) or "1"
    return f"{product(above) or '1'}/{product(below) if len(below) == 1 else f'({product(below)})'}"


def unit_flaws(law: Law) -> Iterator[tuple[str, str]]:
    """Terms whose units do not add, with their place in the recipe; nothing if the law states no units."""
    if not law.units:
        return
    units: dict[str, Known] = {name: parse_unit(text) for name, text in law.units.items()}
    units.update(dict.fromkeys(law.coordinates, METRE))
    for name in law.given:
        for coordinate in law.coordinates:
            units.setdefault(f"{name}_{coordinate}", _over(units.get(name, _UNKNOWN), METRE))
    for place, expression, expected in _expected(law, units):
        try:
            actual = unit_of(expression, units)
        except UnitError as error:
            yield place, str(error)
            continue
        if not _agree(actual, expected):
            yield place, f"has the unit {_shown(actual)}, expected {_shown(expected)}"


def _expected(law: Law, units: Mapping[str, Known]) -> Iterator[tuple[str, Expression, Known]]:
    """Each term with the unit that its equation wants."""
    diffusive = _over(_product(METRE, METRE), SECOND)
    for axis, fluxes in enumerate(law.flux):
        section = "flux" if axis == 0 else f"flux_{'xyz'[axis]}"
        for name, flux in fluxes.items():
            yield f"law.{section}.{name}", flux, _product(units.get(name, _UNKNOWN), _over(METRE, SECOND))
    for name, level in law.level.items():
        yield f"law.level.{name}", level, _UNKNOWN
    for name, diffusivity in law.diffusion.items():
        driven = unit_or_unknown(law.level[name], units) if name in law.level else units.get(name, _UNKNOWN)
        expected_unit = _over(_product(units.get(name, _UNKNOWN), diffusive), driven)
        yield f"law.diffusion.{name}", diffusivity, diffusive if name not in law.level else expected_unit
    for source in law.sources:
        yield f"law.sources.{source.field}.{source.name}", source.rate, _over(units.get(source.field, _UNKNOWN), SECOND)
    for exchange in law.exchange:
        for name in (exchange.source_field, exchange.target_field):
            yield f"law.exchange.{exchange.name}", exchange.rate, _over(units.get(name, _UNKNOWN), SECOND)


def unit_or_unknown(expression: Expression, units: Mapping[str, Known]) -> Known:
    """Unit of an expression, unknown where its sums do not agree."""
    try:
        return unit_of(expression, units)
    except UnitError:
        return _UNKNOWN


def unit_of(expression: Expression, units: Mapping[str, Known]) -> Known:
    """Unit of an expression.

    Raises
    ------
    UnitError
        The units of a sum, or of both sides of a comparison, differ; or a function of a pure number has an argument
        with a unit.
    """
    results: dict[int, Known] = {}
    for node in postorder(expression):
        if isinstance(node, Number):
            results[id(node)] = _ANY
        elif isinstance(node, Symbol):
            results[id(node)] = _unit_of_symbol(node.name, units)
        else:
            results[id(node)] = _unit_of_call(node, [results[id(argument)] for argument in node.arguments])
    return results[id(expression)]


def _unit_of_symbol(name: str, units: Mapping[str, Known]) -> Known:
    field = laplacian_of(name)
    if field is None:
        return units.get(name, _UNKNOWN)
    return _over(units.get(field, _UNKNOWN), _product(METRE, METRE))


def _unit_of_call(node: Call, units: list[Known]) -> Known:
    if node.function in ("add", "sub", "min", "max"):
        return _common(node, (0, 1), units)
    if node.function == "where":
        _common(node, (0, 1), units)
        return _common(node, (2, 3), units)
    if node.function in ("neg", "abs"):
        return units[0]
    if node.function == "mul":
        return _product(*units)
    if node.function == "div":
        return _over(*units)
    if node.function == "sqrt":
        return _raised(units[0], Fraction(1, 2))
    if node.function == "pow":
        exponent = node.arguments[1]
        if isinstance(exponent, Number):
            return _raised(units[0], Fraction(exponent.value).limit_denominator(1000))
        return units[0] if units[0] in (_ANY, _UNKNOWN) or not units[0] else _UNKNOWN
    if isinstance(units[0], Mapping) and units[0]:
        raise UnitError(f"{to_text(node)} takes {node.function} of the unit {_shown(units[0])}; expected a pure number")
    return _UNKNOWN if units[0] == _UNKNOWN else {}


def _common(node: Call, pair: tuple[int, int], units: list[Known]) -> Known:
    first, second = (units[k] for k in pair)
    if not _agree(first, second):
        left, right = (to_text(node.arguments[k]) for k in pair)
        raise UnitError(f"{left} has the unit {_shown(first)}, but {right} has {_shown(second)}")
    if _UNKNOWN in (first, second):
        return first if second == _UNKNOWN and isinstance(first, Mapping) else second if first == _UNKNOWN else first
    return second if first == _ANY else first


def _agree(first: Known, second: Known) -> bool:
    return first in (_ANY, _UNKNOWN) or second in (_ANY, _UNKNOWN) or first == second


def _product(a: Known, b: Known) -> Known:
    if _UNKNOWN in (a, b):
        return _UNKNOWN
    if a == _ANY or b == _ANY:
        return b if a == _ANY else a
    assert isinstance(a, Mapping) and isinstance(b, Mapping)
    return _without_zeros({name: a.get(name, Fraction(0)) + b.get(name, Fraction(0)) for name in (*a, *b)})


def _over(a: Known, b: Known) -> Known:
    return _product(a, _raised(b, Fraction(-1)))


def _raised(unit: Known, power: Fraction) -> Known:
    if not isinstance(unit, Mapping):
        return unit
    return _without_zeros({name: exponent * power for name, exponent in unit.items()})


def _without_zeros(exponents: Mapping[str, Fraction]) -> Unit:
    return {name: power for name, power in exponents.items() if power}


def _shown(unit: Known) -> str:
    return unit_text(unit) if isinstance(unit, Mapping) else unit
