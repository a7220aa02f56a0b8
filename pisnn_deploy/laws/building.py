"""From the text of a law to a `Law`, with everything that is wrong in it."""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from pisnn_deploy.laws.calculus import ZERO
from pisnn_deploy.laws.conditions import Flaw, side_names
from pisnn_deploy.laws.expression import (
    RESERVED,
    Call,
    Expression,
    ExpressionError,
    ExpressionTooLarge,
    Number,
    constant_value,
    derivative,
    derivative_name,
    evaluate,
    free_names,
    parse,
    postorder,
    to_text,
)
from pisnn_deploy.laws.law import COORDINATES, Exchange, Law, Source, rotated_flux, split_level
from pisnn_deploy.laws.law_text import LawText
from pisnn_deploy.laws.nodes import LARGEST_EXPONENT, LARGEST_NUMBER, SMALLEST_NUMBER
from pisnn_deploy.laws.units import UnitError, parse_unit, unit_flaws

MOST_NODES = 3000
"""Nodes of all expressions of a law."""


def build_law(text: LawText, dimensions: int) -> tuple[Law, list[Flaw]]:
    """Parse a law.

    Parameters
    ----------
    dimensions : int
        Number of axes of the domain.

    Returns
    -------
    Law
        What could be understood; all of it if there are no flaws.
    list of (str, str)
        Places such as ``law.flux.q``, and what is wrong there.
    """
    flaws = [*_name_flaws(text, dimensions), *_unit_text_flaws(text)]
    if flaws:
        return Law(text.fields, flux=({},) * dimensions), flaws
    try:
        builder = _Builder(text, dimensions)
        law = builder.law()
        flaws = builder.flaws or [*_law_flaws(law), *unit_flaws(law)]
    except ExpressionTooLarge as error:
        return Law(text.fields, flux=({},) * dimensions), [("law", str(error))]
    return law, list(dict.fromkeys(flaws))


class _Builder:
    """Parser of all expressions of a law that collects flaws."""

    def __init__(self, text: LawText, dimensions: int) -> None:
        self.flaws: list[Flaw] = []
        self._text, self._dimensions = text, dimensions
        self._coordinates = COORDINATES[:dimensions]
        self._given = self._given_functions()
        self._slopes: dict[str, Expression] = {}
        places = {derivative_name(name, axis): (name, axis) for name in self._given for axis in self._coordinates}
        for name, (function, axis) in places.items():
            self._slopes[name] = derivative(self._given[function], axis)

    def law(self) -> Law:
        text = self._text
        diffusion, along = self._diffusion()
        level = self._of_fields("level", text.level, levels=True)
        flux = self._fluxes()
        sources = tuple(
            Source(name, field, rate)
            for field, rates in text.sources.items()
            for name, rate in self._several(f"law.sources.{field}", rates).items()
            if self._is_field(f"law.sources.{field}", field) and rate != ZERO
        )
        exchange = tuple(
            Exchange(entry.label, entry.source, entry.target, rate)
            for entry in text.exchange
            for rate in self._several("law.exchange", {entry.label: entry.rate}).values()
            if rate != ZERO
            and self._is_field(f"law.exchange.{entry.label}.from", entry.source)
            and self._is_field(f"law.exchange.{entry.label}.to", entry.target)
        )
        law = Law(
            text.fields,
            dict(text.units),
            dict(text.parameters),
            flux,
            diffusion,
            along,
            sources,
            exchange,
            level,
            text.vector,
            text.positive,
            dict(self._given),
        )
        used = {name for _, expression in law.terms() for name in free_names(expression)}
        law.given.update({name: slope for name, slope in self._slopes.items() if name in used})
        return law

    def _given_functions(self) -> dict[str, Expression]:
        names = (*self._text.parameters, *self._coordinates)
        return {
            name: expression
            for name, content in self._text.given.items()
            for expression in self._parsed(f"law.given.{name}", content, names)
        }

    def _parsed(
        self, place: str, content: str, names: Sequence[str], of_names: Mapping[str, Sequence[str]] | None = None
    ) -> Iterator[Expression]:
        """Parse one expression; nothing if it has a flaw."""
        try:
            yield parse(content, names, place, of_names)
        except ExpressionError as error:
            self.flaws.append((place, error.problem))

    def _several(self, place: str, contents: Mapping[str, str], levels: bool = False) -> dict[str, Expression]:
        names = (*self._text.fields, *self._text.parameters, *self._given, *self._coordinates)
        of_names: dict[str, Sequence[str]] = {f"d{axis}": tuple(self._given) for axis in self._coordinates}
        if levels:
            of_names["laplacian"] = self._text.fields
        return {
            name: expression
            for name, content in contents.items()
            for expression in self._parsed(f"{place}.{name}", content, names, of_names)
        }

    def _of_fields(self, section: str, contents: Mapping[str, str], levels: bool = False) -> dict[str, Expression]:
        place = f"law.{section}"
        known = {name: content for name, content in contents.items() if self._is_field(f"{place}.{name}", name)}
        return self._several(place, known, levels)

    def _diffusion(self) -> tuple[dict[str, Expression], dict[str, tuple[float, ...]]]:
        """Diffusion of each field, the largest where axes differ, and the factors of the axes."""
        contents = self._text.diffusion
        diffusion = self._of_fields("diffusion", {n: each for n, each in contents.items() if isinstance(each, str)})
        along: dict[str, tuple[float, ...]] = {}
        for name, texts in contents.items():
            if isinstance(texts, str) or not self._is_field(f"law.diffusion.{name}", name):
                continue
            place = f"law.diffusion.{name}"
            if len(texts) != self._dimensions:
                self.flaws.append((place, f"has {len(texts)} entries for {self._dimensions} axes"))
                continue
            parsed = self._several(place, {COORDINATES[axis]: each for axis, each in enumerate(texts)})
            numbers = {axis: _constant(each, self._text.parameters) for axis, each in parsed.items()}
            if len(parsed) < len(texts):
                continue
            values = [number for number in numbers.values() if number is not None and number > 0]
            if len(values) < len(texts):
                self.flaws.append((place, "must be a positive constant along each axis if axes differ"))
                continue
            fastest = max(numbers, key=lambda axis: numbers[axis] or 0.0)
            diffusion[name] = parsed[fastest]
            if min(values) < max(values):
                along[name] = tuple(value / max(values) for value in values)
        return diffusion, along

    def _is_field(self, place: str, name: str) -> bool:
        if name in self._text.fields:
            return True
        self.flaws.append((place, no_field(name, self._text.fields)))
        return False

    def _fluxes(self) -> tuple[dict[str, Expression], ...]:
        first = self._of_fields("flux", self._text.flux)
        fluxes = [first]
        for axis, content in ((1, self._text.flux_y), (2, self._text.flux_z)):
            section = f"flux_{COORDINATES[axis]}"
            if axis >= self._dimensions:
                if content is not None:
                    self.flaws.append((f"law.{section}", f"has no meaning in {self._dimensions}D"))
            elif content is not None:
                fluxes.append(self._of_fields(section, content))
            elif not first:
                fluxes.append({})
            else:
                fluxes.append(self._rotated(first, section, axis))
        return tuple({name: flux for name, flux in each.items() if flux != ZERO} for each in fluxes)

    def _rotated(self, first: Mapping[str, Expression], section: str, axis: int) -> dict[str, Expression]:
        if not self._text.vector:
            self.flaws.append(
                (
                    f"law.{section}",
                    "is missing: give the flux along this axis ({} for none), or name the fields that rotate in vector",
                )
            )
            return {}
        places = {*self._coordinates, *self._slopes}
        uses = sorted(name for flux in first.values() for name in free_names(flux) if name in places)
        if uses:
            self.flaws.append((f"law.{section}", f"is missing: a flux that depends on {uses[0]} does not rotate"))
            return {}
        try:
            return rotated_flux(first, self._text.vector, axis)
        except (IndexError, ExpressionTooLarge):
            return {}  # a vector of the wrong length is a flaw of its own


def no_field(name: str, fields: Sequence[str]) -> str:
    """Problem of a name that should be a field's."""
    close = get_close_matches(name, fields, 1)
    return f"is no field; did you mean {close[0]}?" if close else f"is no field; fields are {', '.join(fields)}"


def _name_flaws(text: LawText, dimensions: int) -> Iterator[Flaw]:
    for section, names in (("fields", text.fields), ("parameters", text.parameters), ("given", text.given)):
        for name in names:
            if name in RESERVED or keyword.iskeyword(name):
                yield f"law.{section}", f"{name} has a meaning in expressions; choose another name"
    slopes = [derivative_name(name, axis) for name in text.given for axis in COORDINATES]
    counts = Counter([*text.fields, *text.parameters, *text.given, *slopes])
    yield from (("law", f"the name {name} is given twice") for name, count in counts.items() if count > 1)
    for components in text.vector:
        for name in components:
            if name not in text.fields:
                yield "law.vector", f"{name} {no_field(name, text.fields)}"
        if len(components) != dimensions:
            yield "law.vector", f"has {len(components)} components for {dimensions} axes: {', '.join(components)}"
    repeated = [name for name, count in Counter(name for vector in text.vector for name in vector).items() if count > 1]
    yield from (("law.vector", f"names {name} twice") for name in repeated)
    for name in text.positive:
        if name not in text.fields:
            yield "law.positive", f"{name} {no_field(name, text.fields)}"
    known = (*text.fields, *text.parameters, *text.given)
    for name in text.units:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
            yield f"law.units.{name}", f"is no field, parameter or given function{hint}"
    yield from _term_name_flaws(text, dimensions)


def computed_names(fields: Sequence[str]) -> re.Pattern[str]:
    """Names that the construction may give to populations, so that no source and no exchange can have them."""
    return re.compile(rf"(?:rates|face|hidden|predictor)(?:-.*)?|(?:{'|'.join(fields)})-(?!source$|to-).*")


def _term_name_flaws(text: LawText, dimensions: int) -> Iterator[Flaw]:
    """Sources and exchanges name ledgers and populations, beside those of fields and sides."""
    uses = dict.fromkeys(text.fields, "a field") | dict.fromkeys(side_names(3), "a side")
    terms = [(f"law.sources.{field}", name) for field, rates in text.sources.items() for name in rates]
    terms += [("law.exchange", entry.label) for entry in text.exchange]
    for place, name in [*(("law.fields", name) for name in text.fields), *terms]:
        if computed_names(text.fields).fullmatch(name):
            yield place, f"the name {name} is for a computed population; give another name"
    for place, name in terms:
        if name in uses:
            yield place, f"the name {name} is that of {uses[name]}; give another name"
        uses[name] = "another term"
    for entry in text.exchange:
        if entry.source == entry.target:
            yield f"law.exchange.{entry.label}", "goes from a field to itself"


def _unit_text_flaws(text: LawText) -> Iterator[Flaw]:
    for name, unit in text.units.items():
        try:
            parse_unit(unit)
        except UnitError as error:
            yield f"law.units.{name}", str(error)


def _law_flaws(law: Law) -> Iterator[Flaw]:
    size = sum(expression.size for _, expression in law.terms()) + sum(given.size for given in law.given.values())
    if size > MOST_NODES:
        yield "law", f"has {size} numbers, names and functions in its expressions, expected at most {MOST_NODES}"
        return
    moved = {name for fluxes in law.flux for name in fluxes} | set(law.level)
    moved |= {name for name, diffusivity in law.diffusion.items() if diffusivity != ZERO}
    moved |= {source.field for source in law.sources}
    moved |= {name for entry in law.exchange for name in (entry.source_field, entry.target_field)}
    for name in law.fields:
        if name not in moved:
            yield "law.fields", f"the field {name} is never moved: it has no flux, diffusion, level, source or exchange"
    numeric = law.numeric()
    for place, expression in (
        *numeric.terms(),
        *((f"law.given.{name}", given) for name, given in numeric.given.items()),
    ):
        yield from ((place, problem) for problem in (*_number_flaws(expression), *_exponent_flaws(expression)))
    for name, level in numeric.level.items():
        yield from ((f"law.level.{name}", problem) for problem in _laplacian_flaws(level))


def _number_flaws(expression: Expression) -> Iterator[str]:
    for node in postorder(expression):
        if isinstance(node, Number) and node.value and not SMALLEST_NUMBER <= abs(node.value) <= LARGEST_NUMBER:
            yield f"has the number {node.value:g}, beyond {SMALLEST_NUMBER:g} to {LARGEST_NUMBER:g}; choose other units"
        elif isinstance(node, Call) and all(isinstance(argument, Number) for argument in node.arguments):
            yield f"{to_text(node)} has no finite value"


def _exponent_flaws(expression: Expression) -> Iterator[str]:
    for node in postorder(expression):
        if isinstance(node, Call) and node.function == "pow":
            exponent = constant_value(node.arguments[1])
            if exponent is None:
                yield "has an exponent that is not constant; write it with exp and log"
            elif not abs(exponent) <= LARGEST_EXPONENT:
                yield f"has the exponent {exponent:g}, larger than {LARGEST_EXPONENT}"


def _laplacian_flaws(level: Expression) -> Iterator[str]:
    _, factors = split_level(level)
    for field, factor in factors.items():
        if free_names(factor):
            yield f"is not linear in laplacian({field}) with a constant factor"


def _constant(expression: Expression, parameters: Mapping[str, float]) -> float | None:
    """Value of an expression of parameters alone; None for any other, or without a finite value."""
    if free_names(expression) - {*parameters}:
        return None
    value = float(evaluate(expression, {**parameters}))
    return value if math.isfinite(value) else None
