"""Boundary conditions of a law: what stands in a recipe, and one condition per side and field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from pisnn_deploy.core.field_errors import shown
from pisnn_deploy.laws.nodes import Expression, Number
from pisnn_deploy.laws.parsing import ExpressionError, parse
from pisnn_deploy.laws.text import to_text
from pisnn_deploy.laws.time_table import TableError, TimeTable, is_table, read_table
from pisnn_deploy.mesh.boundary import LARGEST_VALUE, SIDE_NAMES

Kind = Literal["periodic", "wall", "outflow", "held", "inflow", "flux", "robin"]
_PLAIN: tuple[Kind, ...] = ("periodic", "wall", "outflow")
_VALUED: Mapping[str, tuple[Kind, int]] = {
    "held": ("held", 1),
    "inflow": ("inflow", 1),
    "flux": ("flux", 1),
    "robin": ("robin", 2),
}
_EXPECTED = "periodic, wall, outflow, or a mapping with held, inflow, flux or robin"

Flaw = tuple[str, str]
"""Name of a field, and what is wrong with it."""


@dataclass(frozen=True)
class Condition:
    """Condition of one field at one side.

    Attributes
    ----------
    kind : str
        ``periodic``; ``wall``: no flux, and a vector's normal component is reflected; ``outflow``: continued from the
        inside; ``held``: a value; ``inflow``: a value where the flow comes in, continued where it goes out; ``flux``:
        into the domain, in units of the field times length per time; ``robin``: a flux into the domain of
        ``coefficient * (outside - u)``.
    values : tuple of Expression
        Functions of the coordinates: none, the value or flux, or the coefficient and the outside value.
    over_time : TimeTable or None
        Function of time in place of the last one of these values.
    """

    kind: Kind
    values: tuple[Expression, ...] = ()
    over_time: TimeTable | None = None


Conditions = dict[str, dict[str, Condition]]
"""By side (``left``, ``right``, ...), then by field."""


def condition_text(condition: Condition) -> str:
    """Format a boundary condition, such as ``held 1``."""
    values = [*map(to_text, condition.values), *([] if condition.over_time is None else [str(condition.over_time)])]
    return " ".join((condition.kind, ", ".join(values))).strip()


def side_texts(conditions: Conditions) -> dict[str, str]:
    """Text of the condition at each side, such as ``wall``, or ``h: outflow; q: held 0`` where fields differ."""
    texts = {}
    for side, by_field in conditions.items():
        each = {name: condition_text(condition) for name, condition in by_field.items()}
        is_common = len(set(each.values())) == 1
        texts[side] = next(iter(each.values())) if is_common else "; ".join(f"{k}: {v}" for k, v in each.items())
    return texts


def boundary_text(conditions: Conditions) -> str:
    """Conditions of all sides as one text, such as ``periodic`` or ``left inflow 0.03, right outflow``."""
    texts = side_texts(conditions)
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{side} {text}" for side, text in texts.items())


def side_names(dimensions: int) -> tuple[str, ...]:
    """Names of all sides."""
    return tuple(name for pair in SIDE_NAMES[:dimensions] for name in pair)


def read_conditions(
    content: object, fields: Sequence[str], dimensions: int, names: Sequence[str]
) -> tuple[Conditions, list[Flaw]]:
    """Read the boundary section of a recipe.

    Parameters
    ----------
    content : object
        A condition for all sides, or a mapping of sides (``left``) or axes (``x``) to conditions. A condition is
        ``periodic``, ``wall``, ``outflow``, a mapping such as ``{held: 1}``, or a mapping of fields to these.
    names : sequence of str
        Names that values may use: coordinates and parameters.

    Returns
    -------
    dict of str to dict of str to Condition
        Complete only if there are no flaws.
    list of (str, str)
        Places such as ``domain.boundary.left``, and what is wrong there.
    """
    place = "domain.boundary"
    known = side_names(dimensions)
    entries: dict[str, tuple[str, object]] = {}
    flaws: list[Flaw] = []
    if not isinstance(content, Mapping) or _is_condition(content):
        entries = dict.fromkeys(known, (place, content))
    else:
        for name, entry in content.items():
            sides = _sides_of(str(name), dimensions)
            if not sides:
                axes = ", ".join("xyz"[:dimensions])
                flaws.append(
                    (
                        f"{place}.{name}",
                        f"is no side{_near(str(name), known)}; sides are {', '.join(known)}, or {axes} for both",
                    )
                )
            for side in sides:
                if side in entries:
                    flaws.append((f"{place}.{name}", f"gives the side {side} again"))
                entries[side] = (f"{place}.{name}", entry)
        flaws += [(place, f"has no condition for the side {side}") for side in known if side not in entries]
    reader = _Reader(tuple(fields), tuple(names))
    conditions = {side: reader.of_side(*entries[side]) for side in known if side in entries}
    for first, second in SIDE_NAMES[:dimensions]:
        if first in conditions and second in conditions and not flaws:
            reader.flaws += _half_periodic(first, second, conditions)
    # Both sides of an axis may come from the same text.
    return conditions, [*flaws, *dict.fromkeys(reader.flaws)]


def _half_periodic(first: str, second: str, conditions: Conditions) -> Iterator[Flaw]:
    kinds = [{condition.kind for condition in conditions[side].values()} for side in (first, second)]
    if any("periodic" in side for side in kinds) and any(side != {"periodic"} for side in kinds):
        yield "domain.boundary", f"is periodic at only some fields or sides of {first} and {second}"


def _sides_of(name: str, dimensions: int) -> tuple[str, ...]:
    for axis, pair in enumerate(SIDE_NAMES[:dimensions]):
        if name == "xyz"[axis]:
            return pair
        if name in pair:
            return (name,)
    return ()


def _near(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


class _Reader:
    """Reader of conditions that collects flaws."""

    def __init__(self, fields: tuple[str, ...], names: tuple[str, ...]) -> None:
        self._fields, self._names = fields, names
        self.flaws: list[Flaw] = []

    def of_side(self, place: str, content: object) -> dict[str, Condition]:
        if not isinstance(content, Mapping) or _is_condition(content):
            condition = self._condition(place, content)
            return dict.fromkeys(self._fields, condition) if condition else {}
        result = {}
        for name, entry in content.items():
            if name not in self._fields:
                self.flaws.append(
                    (
                        f"{place}.{name}",
                        f"is no field{_near(str(name), self._fields)}; fields are {', '.join(self._fields)}",
                    )
                )
                continue
            condition = self._condition(f"{place}.{name}", entry)
            if condition:
                result[name] = condition
        missing = [name for name in self._fields if name not in content]
        if missing:
            self.flaws.append((place, f"has no condition for the field {missing[0]}"))
        return result

    def _condition(self, place: str, content: object) -> Condition | None:
        if isinstance(content, str) and content in _PLAIN:
            return Condition(next(kind for kind in _PLAIN if kind == content))
        if not isinstance(content, Mapping) or not _is_condition(content):
            near = _near(content, (*_PLAIN, *_VALUED)) if isinstance(content, str) else ""
            self.flaws.append(
                (
                    place,
                    f"must be {_EXPECTED}, not {shown(content)}{near}",
                )
            )
            return None
        ((name, entry),) = content.items()
        kind, count = _VALUED[name]
        values = list(entry) if isinstance(entry, list | tuple) else [entry]
        if len(values) != count:
            expected = "a value" if count == 1 else "a list [coefficient, outside value]"
            self.flaws.append((f"{place}.{name}", f"must be {expected}, not {shown(entry)}"))
            return None
        over_time = self._table(f"{place}.{name}", values.pop()) if is_table(values[-1]) else None
        parsed = [self._value(f"{place}.{name}", value) for value in values]
        if any(value is None for value in parsed) or len(parsed) + (over_time is not None) != count:
            return None
        return Condition(kind, tuple(value for value in parsed if value is not None), over_time)

    def _table(self, place: str, content: Mapping[str, object]) -> TimeTable | None:
        try:
            return read_table(content)
        except TableError as error:
            self.flaws.append((place, str(error)))
            return None

    def _value(self, place: str, value: object) -> Expression | None:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_VALUE:
            return Number(float(value))
        if not isinstance(value, str):
            self.flaws.append(
                (place, f"must be a number of at most 2^53, an expression or a table, not {shown(value)}")
            )
            return None
        try:
            return parse(value, self._names, place)
        except ExpressionError as error:
            self.flaws.append((place, error.problem))
            return None


def _is_condition(content: Mapping[object, object]) -> bool:
    return len(content) == 1 and next(iter(content)) in _VALUED
