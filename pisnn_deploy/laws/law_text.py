"""The section ``law`` of a recipe, as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_serializer

from pisnn_deploy.core.field_errors import ALL_AXES, EACH_AXIS, axes_form, shown

MOST_FIELDS, MOST_TERMS, MOST_NAMES = 8, 32, 64


def _text_of_number(value: object) -> object:
    """Text of an expression that YAML read as a number."""
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def _name(pattern: str, description: str) -> Callable[[object], object]:
    def check(value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be {description}, not {shown(value)}")
        return value

    return check


def _named_sources(value: object) -> object:
    """Name a field's only source after the field."""
    if not isinstance(value, dict):
        return value
    return {field: rate if isinstance(rate, dict) else {f"{field}-source": rate} for field, rate in value.items()}


def _several_vectors(value: object) -> object:
    """Allow the components of one vector without a list around them."""
    if isinstance(value, list | tuple) and value and all(isinstance(component, str) for component in value):
        return (tuple(value),)
    return value


Text = Annotated[str, BeforeValidator(_text_of_number)]
"""An expression, or a number."""
Finite = Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False)]
FieldName = Annotated[
    str,
    BeforeValidator(_name("[a-z][a-z0-9]{0,15}", "a letter followed by at most 15 lower-case letters and digits")),
]
ParameterName = Annotated[
    str,
    BeforeValidator(_name("[A-Za-z][A-Za-z0-9_]{0,31}", "a letter followed by at most 31 letters, digits and _")),
]
TermName = Annotated[
    str,
    BeforeValidator(_name("[a-z][a-z0-9-]{0,31}", "a letter followed by at most 31 lower-case letters, digits and -")),
]
Terms = Annotated[dict[FieldName, Text], Field(max_length=MOST_FIELDS)]
"""An expression for each of some fields."""


TextOfAxes = Annotated[
    Annotated[Text, Tag(ALL_AXES)] | Annotated[tuple[Text, ...], Tag(EACH_AXIS), Field(min_length=1, max_length=3)],
    Discriminator(axes_form),
]
"""An expression, or one for each axis."""


class ExchangeText(BaseModel):
    """An exchange between two fields.

    Attributes
    ----------
    source, target : str
        Fields; ``from`` and ``to`` in a recipe.
    rate : str
        What goes from one to the other per time.
    name : str or None
        Name of the exchange (default: ``SOURCE-to-TARGET``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    source: FieldName = Field(alias="from")
    target: FieldName = Field(alias="to")
    rate: Text
    name: TermName | None = None

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        names = {} if self.name is None else {"name": self.name}
        return {"from": self.source, "to": self.target, "rate": self.rate, **names}

    @property
    def label(self) -> str:
        """Name, or the default."""
        return self.name or f"{self.source}-to-{self.target}"


class LawText(BaseModel):
    """A law as it stands in a recipe; see `pisnn_deploy.laws.law.Law` for what it means.

    Attributes
    ----------
    fields : tuple of str
        Conserved fields.
    units : dict of str to str
        Units such as ``m^2/s`` of fields, parameters and functions of place.
    parameters : dict of str to float
        Numbers by name.
    flux, flux_y, flux_z : dict of str to str
        Flux of each field along an axis. Without ``flux_y``, the flux along y follows from `flux` by rotation if the
        law has a `vector`.
    diffusion : dict of str to str
        Diffusivity of each field.
    sources : dict of str to dict of str to str
        Rates by field and name; a rate alone is named ``FIELD-source``.
    exchange : tuple of ExchangeText
        Between two fields.
    level : dict of str to str
        What drives the diffusion of a field.
    vector : tuple of tuple of str
        Fields that are components of a vector, in the order of the axes.
    positive : tuple of str
        Fields that never go below 0.
    given : dict of str to str
        Known functions of place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=MOST_FIELDS)]
    units: Annotated[dict[ParameterName, Text], Field(max_length=MOST_NAMES)] = {}
    parameters: Annotated[dict[ParameterName, Finite], Field(max_length=MOST_NAMES)] = {}
    flux: Terms = {}
    flux_y: Terms | None = None
    flux_z: Terms | None = None
    diffusion: Annotated[dict[FieldName, TextOfAxes], Field(max_length=MOST_FIELDS)] = {}
    sources: Annotated[
        dict[FieldName, Annotated[dict[TermName, Text], Field(max_length=MOST_TERMS)]],
        BeforeValidator(_named_sources),
        Field(max_length=MOST_FIELDS),
    ] = {}
    exchange: Annotated[tuple[ExchangeText, ...], Field(max_length=MOST_TERMS)] = ()
    level: Terms = {}
    vector: Annotated[
        tuple[tuple[FieldName, ...], ...], BeforeValidator(_several_vectors), Field(max_length=MOST_FIELDS)
    ] = ()
    positive: Annotated[tuple[FieldName, ...], Field(max_length=MOST_FIELDS)] = ()
    given: Annotated[dict[ParameterName, Text], Field(max_length=MOST_NAMES)] = {}
