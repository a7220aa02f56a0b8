"""The recipe of a law: the law, its domain, its start, and how to solve it, as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from pisnn_deploy.core.errors import FileError, SeveralErrors
from pisnn_deploy.core.field_errors import place_of, problem_text
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.laws.building import build_law, no_field
from pisnn_deploy.laws.conditions import Conditions, Flaw, read_conditions
from pisnn_deploy.laws.expression import Expression, ExpressionError, bounds, parse
from pisnn_deploy.laws.law import COORDINATES, Law
from pisnn_deploy.laws.law_text import FieldName, Finite, LawText, Terms
from pisnn_deploy.laws.seams import seam_flaws
from pisnn_deploy.laws.solution_names import EXACT, SOLVER, unknown_solution
from pisnn_deploy.laws.states import States
from pisnn_deploy.laws.time_table import with_files
from pisnn_deploy.laws.training_options import LawTraining
from pisnn_deploy.laws.wellposed import judge, values_outside
from pisnn_deploy.mesh.boundary import MAXIMUM_CELLS, SIDE_NAMES

MOST_FLAWS = 64
"""Errors shown for one recipe."""
SMALLEST, LARGEST = 1e-12, 1e12
"""Magnitude of the numbers of domain, range and time, so that their products stay far from overflow."""

Bounded = Annotated[Finite, Field(ge=-LARGEST, le=LARGEST)]
Positive = Annotated[Finite, Field(ge=SMALLEST, le=LARGEST)]
Cells = Annotated[int, Field(ge=1, le=MAXIMUM_CELLS, strict=True)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class LawFlaws(ValueError):
    """What is wrong in a recipe whose fields are valid one by one."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__("; ".join(f"{field} {problem}" for field, problem in flaws))
        self.flaws = tuple(flaws)


def _listed(value: object) -> object:
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value


class Domain(BaseModel):
    """A box with a condition on each side.

    Attributes
    ----------
    lengths : tuple of float
        Extent along each axis.
    origin : tuple of float
        Lower corner (default: 0).
    boundary : str or dict
        Conditions as `pisnn_deploy.laws.conditions.read_conditions` takes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    lengths: Annotated[tuple[Positive, ...], BeforeValidator(_listed), Field(min_length=1, max_length=3)]
    origin: Annotated[tuple[Bounded, ...], BeforeValidator(_listed), Field(max_length=3)] = ()
    boundary: Any

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower corner."""
        return self.origin or (0.0,) * len(self.lengths)

    @property
    def upper(self) -> tuple[float, ...]:
        """Upper corner."""
        return tuple(start + length for start, length in zip(self.lower, self.lengths, strict=True))


class LawSpec(BaseModel):
    """The recipe of a law.

    Attributes
    ----------
    equation : str
        ``law``.
    name : str
        Short name, such as ``shallow_water1d``.
    law : LawText
        Fields and equations as the user wrote them.
    domain : Domain
        Box and boundary conditions.
    initial : dict of str to str
        Start of each field as a function of the coordinates.
    range : dict of str to (float, float)
        Operating range of each field.
    time : float
        Final time.
    mesh : tuple of int
        Cells along each axis.
    method : str
        ``constructed`` from the law, or ``trained``.
    scheme : str
        ``auto``, or the name of a scheme of the constructed method.
    courant : float or None
        Courant number and diffusion number of a step (default: the scheme's).
    quantum_bits : dict of str to int
        Quantum ``2^-bits`` of a field (default: chosen from its range).
    reference : str or None
        ``solver``, the name of an exact solution, or none.
    training : LawTraining or None
        Options of the trained method; None for the defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    equation: Literal["law"] = "law"
    name: Name
    law: LawText
    domain: Domain
    initial: Terms
    range: dict[FieldName, tuple[Bounded, Bounded]]
    time: Positive
    mesh: Annotated[tuple[Cells, ...], BeforeValidator(_listed), Field(min_length=1, max_length=3)]
    method: Literal["constructed", "trained"] = "constructed"
    scheme: Name = "auto"
    courant: Annotated[Finite, Field(gt=0, le=1)] | None = None
    quantum_bits: dict[FieldName, Annotated[int, Field(ge=-64, le=64, strict=True)]] = {}
    reference: Name | None = "solver"
    training: LawTraining | None = None

    _law: Law = PrivateAttr()
    _conditions: Conditions = PrivateAttr()
    _initial: dict[str, Expression] = PrivateAttr()

    @model_validator(mode="after")
    def _understood(self) -> LawSpec:
        self._law, law_flaws = build_law(self.law, len(self.domain.lengths))
        names = (*self.law.parameters, *COORDINATES[: len(self.domain.lengths)])
        self._conditions, side_flaws = read_conditions(
            self.domain.boundary, self.law.fields, len(self.domain.lengths), names
        )
        self._initial, initial_flaws = self._parsed_initial((*names, *self._law.given))
        flaws = [*law_flaws, *side_flaws, *self._own_flaws(), *initial_flaws]
        if flaws:
            raise LawFlaws(flaws)
        return self

    @property
    def problem(self) -> str:
        """Name of the problem."""
        return self.name

    @property
    def lengths(self) -> tuple[float, ...]:
        """Extent of the domain along each axis."""
        return self.domain.lengths

    @property
    def dimensions(self) -> int:
        """Number of axes."""
        return len(self.domain.lengths)

    @property
    def conditions(self) -> Conditions:
        """Boundary condition by side (``left``), then by field."""
        return self._conditions

    @property
    def initial_expressions(self) -> dict[str, Expression]:
        """Start of each field; may use parameters and given functions."""
        return self._initial

    def states(self) -> States:
        """States within the operating range and the domain, of the law with numbers for its parameters."""
        return States(self._law.numeric(), {**self.range, **self.box})

    @property
    def box(self) -> dict[str, tuple[float, float]]:
        """Extent of the domain along each coordinate."""
        corners = zip(self.domain.lower, self.domain.upper, strict=True)
        return dict(zip(self._law.coordinates, corners, strict=True))

    @property
    def side_coefficients(self) -> tuple[float, ...]:
        """For each axis, a bound of the coefficients of its sides that give ``coefficient * (outside - u)``."""
        names = {**{name: (value, value) for name, value in self._law.parameters.items()}, **self.box}
        largest = [0.0] * self._law.dimensions
        for axis, pair in enumerate(SIDE_NAMES[: self._law.dimensions]):
            for condition in (condition for side in pair for condition in self._conditions[side].values()):
                if condition.kind == "robin":
                    largest[axis] = max(largest[axis], *map(abs, bounds(condition.values[0], names)))
        return tuple(largest)

    def parsed(self) -> Law:
        """Meaning of the section `law`."""
        return self._law

    def _parsed_initial(self, names: tuple[str, ...]) -> tuple[dict[str, Expression], list[Flaw]]:
        parsed: dict[str, Expression] = {}
        flaws: list[Flaw] = []
        for name, content in self.initial.items():
            try:
                parsed[name] = parse(content, names, f"initial.{name}")
            except ExpressionError as error:
                flaws.append((f"initial.{name}", error.problem))
        return parsed, flaws

    def _own_flaws(self) -> list[Flaw]:
        flaws: list[Flaw] = []
        fields = self.law.fields
        sections: dict[str, tuple[str, ...]] = {"initial": tuple(self.initial), "range": tuple(self.range)}
        for section, names in sections.items():
            flaws += [(section, f"has no entry for the field {name}") for name in fields if name not in names]
        for section, names in {**sections, "quantum_bits": tuple(self.quantum_bits)}.items():
            flaws += [(f"{section}.{name}", no_field(name, fields)) for name in names if name not in fields]
        for name, (lower, upper) in self.range.items():
            if not lower < upper:
                flaws.append((f"range.{name}", f"must have its lower limit {lower:g} below its upper limit {upper:g}"))
            if lower < 0 and name in self.law.positive:
                flaws.append((f"range.{name}", f"reaches down to {lower:g}, but the law has {name} as positive"))
        axes = len(self.domain.lengths)
        for section, entries in (("mesh", self.mesh), ("domain.origin", self.domain.origin or self.domain.lengths)):
            if len(entries) != axes:
                flaws.append((section, f"has {len(entries)} entries for {axes} axes"))
        cells = 1
        for count in self.mesh:
            cells *= count
        if cells > MAXIMUM_CELLS:
            flaws.append(("mesh", f"has {cells} cells, expected at most {MAXIMUM_CELLS}"))
        if self.reference not in (None, SOLVER, *EXACT):
            flaws.append(("reference", unknown_solution(self.reference or "")))
        return flaws


def is_law(document: dict[str, Any]) -> bool:
    """Whether the content of a YAML file is the recipe of a law."""
    return "law" in document


def read_law(path: Path) -> LawSpec:
    """Read the recipe of a law, and check that it is well-posed over its operating range.

    Raises
    ------
    FileError
        The file cannot be read.
    SeveralErrors
        Fields are invalid or contradict each other, or the law is ill-posed; one error per line, `MOST_FLAWS` at most.
    """
    return law_from_mapping(path, read_mapping(path))


def law_from_mapping(path: Path, document: dict[str, Any]) -> LawSpec:
    """Read the recipe of a law from the content of a file; see `read_law`.

    Tables of its boundary that are files are read, so that the recipe has their points.
    """
    domain = document.get("domain")
    if isinstance(domain, dict):
        document = {**document, "domain": {**domain, "boundary": with_files(path, domain.get("boundary"))}}
        if "boundary" not in domain:
            del document["domain"]["boundary"]
    flaws = law_flaws(document)
    if not flaws:
        spec = LawSpec.model_validate(document)
        flaws = posedness_flaws(spec)
        if not flaws:
            return spec
    errors = [FileError(path, problem, field=field) for field, problem in flaws[:MOST_FLAWS]]
    if len(flaws) > MOST_FLAWS:
        errors.append(FileError(path, f"has {len(flaws) - MOST_FLAWS} more flaws"))
    raise SeveralErrors(errors)


def posedness_flaws(spec: LawSpec) -> list[Flaw]:
    """What is ill-posed in a valid recipe: in the law, at seams, or initial and boundary values outside their range."""
    states = spec.states()
    outside = values_outside(states.law, spec.box, spec.range, spec.initial_expressions, spec.conditions)
    return [*judge(states).flaws, *outside, *seam_flaws(states, spec.conditions)]


def law_flaws(document: dict[str, Any]) -> list[Flaw]:
    """Find what is wrong in the recipe of a law.

    Returns
    -------
    list of (str, str)
        Place, such as ``law.flux.q``, and what is wrong there.
    """
    try:
        LawSpec.model_validate(document)
    except ValidationError as error:
        flaws: list[Flaw] = []
        for details in error.errors(include_url=False):
            cause = details.get("ctx", {}).get("error")
            if isinstance(cause, LawFlaws):
                flaws += cause.flaws
            else:
                place = place_of(details["loc"])
                flaws.append((".".join(map(str, place)), problem_text(details, _siblings(place))))
        return flaws
    return []


def _siblings(place: tuple[int | str, ...]) -> list[str]:
    """Known fields of the section that a field is in."""
    forms: dict[str, type[BaseModel]] = {"law": LawText, "domain": Domain, "training": LawTraining}
    if len(place) == 1:
        return [name for name in LawSpec.model_fields if name != "equation"]
    form = forms.get(str(place[0])) if len(place) == 2 else None
    return list(form.model_fields) if form else []
