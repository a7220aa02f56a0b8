"""The equations of a law, typeset as text and as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pisnn_deploy.laws.calculus import ONE, ZERO, mul
from pisnn_deploy.laws.law import Law, mobility
from pisnn_deploy.laws.nodes import Expression, Number
from pisnn_deploy.laws.text import symbol_latex, to_latex, to_text


@dataclass(frozen=True)
class _Style:
    """How the parts of an equation are written."""

    expression: Callable[[Expression], str]
    name: Callable[[str], str]
    change: str
    flux: str
    diffusion: str
    straight: str
    curved: str
    brackets: str


def _plain(expression: Expression) -> str:
    return to_text(expression).replace("**", "^")


_TEXT = _Style(_plain, str, "{0}_t", "({0})_{1}", "div({0} grad {1})", "{0} {1}_{2}{2}", "laplacian({0})", "({0})")
_LATEX = _Style(
    to_latex,
    symbol_latex,
    r"\partial_t {0}",
    r"\partial_{1} \left({0}\right)",
    r"\nabla \cdot \left({0} \, \nabla {1}\right)",
    r"{0} \, \partial_{2}^2 {1}",
    r"\nabla^2 \left({0}\right)",
    r"\left({0}\right)",
)


def equations(law: Law) -> tuple[str, ...]:
    """One equation per field, such as ``h_t + (q)_x = 0``."""
    return tuple(_equation(law, name, _TEXT) for name in law.fields)


def latex_equations(law: Law) -> tuple[str, ...]:
    """One equation per field in LaTeX's math mode."""
    return tuple(_equation(law, name, _LATEX) for name in law.fields)


def _equation(law: Law, name: str, style: _Style) -> str:
    left = [style.change.format(style.name(name))]
    for coordinate, fluxes in zip(law.coordinates, law.flux, strict=True):
        flux = fluxes.get(name, ZERO)
        if flux != ZERO:
            left.append(style.flux.format(style.expression(flux), coordinate))
    right = ""
    for sign, term in _right_side(law, name, style):
        if right:
            right += f" {sign} {term}"
        else:
            right = term if sign == "+" else f"-{term}"
    return f"{' + '.join(left)} = {right or '0'}"


def _right_side(law: Law, name: str, style: _Style) -> Iterator[tuple[str, str]]:
    """Signs and terms."""
    yield from _diffusion(law, name, style)
    for source in law.sources:
        if source.field == name and source.rate != ZERO:
            text = style.expression(source.rate)
            # A sum keeps its own signs: its first term takes the sign of the whole.
            yield ("-", text[1:]) if text.startswith("-") else ("+", text)
    for entry in law.exchange:
        if name in (entry.source_field, entry.target_field):
            yield "-" if name == entry.source_field else "+", _factor(entry.rate, style)


def _diffusion(law: Law, name: str, style: _Style) -> Iterator[tuple[str, str]]:
    factor, level = mobility(law, name), law.level.get(name)
    gradient = style.name(name) if level is None else style.brackets.format(style.expression(level))
    if name in law.along:
        for coordinate, part in zip(law.coordinates, law.along[name], strict=True):
            yield "+", style.straight.format(_factor(mul(Number(part), factor), style), gradient, coordinate)
    elif level is not None and factor == ONE:
        yield "+", style.curved.format(style.expression(level))
    elif factor != ZERO:
        yield "+", style.diffusion.format(_factor(factor, style), gradient)


def _factor(expression: Expression, style: _Style) -> str:
    """An expression in brackets where it is a sum."""
    text = style.expression(expression)
    function = getattr(expression, "function", "")
    return style.brackets.format(text) if function in ("add", "sub", "neg") else text
