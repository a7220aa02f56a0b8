"""Build requests from keywords: every field of a group is a keyword of its own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from os import PathLike
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from pisnn_deploy.core.errors import UsageError

Request = TypeVar("Request")
FileName = str | PathLike[str]


def request_of(kind: type[Request], keywords: type, options: Mapping[str, Any], **own: Any) -> Request:
    """Build a request whose fields are groups from keywords for the fields of these groups.

    Parameters
    ----------
    kind : type
        A dataclass; the defaults of its fields say which of them are groups.
    keywords : type
        A `TypedDict` with the type of each keyword.
    options : mapping
        Values by keyword.
    **own
        Fields of the request itself.

    Raises
    ------
    UsageError
        A number, text or path was expected; the message names the keyword.
    TypeError
        No such keyword.
    """
    kinds = get_type_hints(keywords)
    rest = {name: plain_number(value) for name, value in options.items()}
    for name, value in rest.items():
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise TypeError(f"{name!r} is not an option; {hint}expected one of {', '.join(sorted(kinds))}")
        _require_kind(name, value, kinds[name])
    groups: dict[str, Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        if is_dataclass(entry.default) and not isinstance(entry.default, type):
            names = [each.name for each in fields(entry.default)]
            groups[entry.name] = type(entry.default)(**{name: rest.pop(name) for name in names if name in rest})
    return kind(**own, **rest, **groups)


def plain_number(value: Any) -> Any:
    """Convert a numpy number to Python's; return anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def leaves(group: Any) -> dict[str, tuple[Any, Any]]:
    """Value and default of each field of a request, and of the groups in it, by keyword."""
    entries: dict[str, tuple[Any, Any]] = {}
    for entry in fields(group):
        value = getattr(group, entry.name)
        entries |= leaves(value) if is_dataclass(value) else {entry.name: (value, entry.default)}
    return entries


def _require_kind(name: str, value: object, kind: Any) -> None:
    """Refuse a value of the wrong type (text, path or number); groups check choices themselves."""
    kinds = [get_origin(each) or each for each in get_args(kind)] or [kind]
    kind_names = {str: "a text or a path", float: "a number", int: "a whole number"}
    plain = next((each for each in kind_names if each in kinds), None)
    if plain is None or (bool in kinds and isinstance(value, bool)):
        return
    if isinstance(value, bool) or not isinstance(value, (*kinds, *((int,) if plain is float else ()))):
        raise UsageError(f"`{name}` {value!r}: expected {kind_names[plain]}")
