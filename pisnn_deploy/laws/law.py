"""A conservation law: expressions for fluxes, diffusion, sources and exchange of its fields.

For each field ``u``::

    u_t + sum over axes of d(flux_axis)/d(axis) = div(diffusion grad u) + sources - what exchanges take + what they give

A field with a level ``A`` has ``div(mobility grad A)`` in place of ``div(diffusion grad u)``; the mobility is the
field's diffusion if it has one, else 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pisnn_deploy.laws.calculus import ONE, ZERO, derivative, simplified
from pisnn_deploy.laws.nodes import Expression, Number, Symbol, free_names, laplacian_of, substitute

COORDINATES = "xyz"


@dataclass(frozen=True)
class Source:
    """What a field gains per time, from a ledger of its own; negative for a sink.

    Attributes
    ----------
    name : str
        Name of the ledger.
    field : str
        Name of the field.
    rate : Expression
        In units of the field per time.
    """

    name: str
    field: str
    rate: Expression


@dataclass(frozen=True)
class Exchange:
    """What goes from one field to another in each place, per time.

    Attributes
    ----------
    name : str
        Name of the exchange.
    source_field, target_field : str
        Field that loses what the other gains where the rate is positive.
    rate : Expression
        In units of the fields per time.
    """

    name: str
    source_field: str
    target_field: str
    rate: Expression


@dataclass(frozen=True)
class Law:
    """A law in as many dimensions as it has fluxes.

    Attributes
    ----------
    fields : tuple of str
        Conserved fields.
    units : dict of str to str
        Unit of a field, parameter or function of place, as the user wrote it.
    parameters : dict of str to float
        Value of each parameter.
    flux : tuple of dict of str to Expression
        Flux of each field along each axis; a field without one has none.
    diffusion : dict of str to Expression
        Diffusivity of each field, or the mobility of its level.
    sources : tuple of Source
        Gains and losses through ledgers.
    exchange : tuple of Exchange
        Between fields of one place.
    along : dict of str to tuple of float
        Factors of the diffusion of a field along the axes, the largest 1, where they differ.
    level : dict of str to Expression
        What drives the diffusion of a field in its place. May have ``laplacian(u)`` linearly, see `split_level`.
    vector : tuple of tuple of str
        Fields that are the components of a vector, one per axis; a wall reflects the normal one.
    positive : tuple of str
        Fields whose range must not go below 0.
    given : dict of str to Expression
        Known functions of the coordinates ``x``, ``y``, ``z`` and the parameters.
    """

    fields: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, float] = field(default_factory=dict)
    flux: tuple[dict[str, Expression], ...] = ({},)
    diffusion: dict[str, Expression] = field(default_factory=dict)
    along: dict[str, tuple[float, ...]] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    exchange: tuple[Exchange, ...] = ()
    level: dict[str, Expression] = field(default_factory=dict)
    vector: tuple[tuple[str, ...], ...] = ()
    positive: tuple[str, ...] = ()
    given: dict[str, Expression] = field(default_factory=dict)

    @property
    def dimensions(self) -> int:
        """Number of axes."""
        return len(self.flux)

    @property
    def coordinates(self) -> str:
        """Names of the axes, such as ``xy``."""
        return COORDINATES[: self.dimensions]

    def terms(self) -> Iterator[tuple[str, Expression]]:
        """Every expression of the equations with its place in a recipe, such as ``law.flux.q``."""
        for axis, fluxes in enumerate(self.flux):
            section = "flux" if axis == 0 else f"flux_{COORDINATES[axis]}"
            yield from ((f"law.{section}.{name}", flux) for name, flux in fluxes.items())
        yield from ((f"law.diffusion.{name}", diffusivity) for name, diffusivity in self.diffusion.items())
        yield from ((f"law.level.{name}", level) for name, level in self.level.items())
        yield from ((f"law.sources.{source.field}.{source.name}", source.rate) for source in self.sources)
        yield from ((f"law.exchange.{exchange.name}", exchange.rate) for exchange in self.exchange)

    def numeric(self) -> Law:
        """The same law with the values of the parameters in place of their names, in all but `parameters`."""
        values: dict[str, Expression] = {name: Number(value) for name, value in self.parameters.items()}

        def bound(expressions: Mapping[str, Expression]) -> dict[str, Expression]:
            return {name: substitute(expression, values) for name, expression in expressions.items()}

        return replace(
            self,
            flux=tuple(bound(fluxes) for fluxes in self.flux),
            diffusion=bound(self.diffusion),
            level=bound(self.level),
            given=bound(self.given),
            sources=tuple(replace(source, rate=substitute(source.rate, values)) for source in self.sources),
            exchange=tuple(replace(entry, rate=substitute(entry.rate, values)) for entry in self.exchange),
        )


def split_level(level: Expression) -> tuple[Expression, dict[str, Expression]]:
    """Separate the Laplacians of a level.

    Returns
    -------
    Expression
        The level without its Laplacians.
    dict of str to Expression
        Factor of the Laplacian of each field that occurs.
    """
    names = sorted(name for name in free_names(level) if laplacian_of(name) is not None)
    factors = {str(laplacian_of(name)): derivative(level, name) for name in names}
    return simplified(substitute(level, dict.fromkeys(names, ZERO))), factors


def mobility(law: Law, name: str) -> Expression:
    """Factor of the gradient that drives the diffusion of a field: of the level if it has one, else of the field."""
    return law.diffusion.get(name, ONE if name in law.level else ZERO)


def factor_along(law: Law, name: str, axis: int) -> float:
    """Factor of the diffusion of a field along an axis."""
    return law.along[name][axis] if name in law.along else 1.0


def rotated_flux(
    flux: Mapping[str, Expression], vector: tuple[tuple[str, ...], ...], axis: int
) -> dict[str, Expression]:
    """Flux along another axis, by swapping the axes x and `axis`, and the vectors' components along them.

    Parameters
    ----------
    flux : mapping of str to Expression
        Flux of each field along x.
    vector : tuple of tuple of str
        Fields that are the components of a vector.
    axis : int
        From 1.
    """
    swapped: dict[str, str] = {}
    for components in vector:
        swapped[components[0]], swapped[components[axis]] = components[axis], components[0]
    symbols: dict[str, Expression] = {name: Symbol(other) for name, other in swapped.items()}
    return {swapped.get(name, name): substitute(expression, symbols) for name, expression in flux.items()}
