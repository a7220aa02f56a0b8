"""Describe what is wrong with a profile, in one sentence per field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from pisnn_deploy.target.boards import KINDS, model_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LONGEST = 60
"""Maximum number of characters of an invalid value in a message."""
_EXPECTED = {
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "an integer",
    "string_type": "text",
    "tuple_type": "a list",
}
"""Kinds of errors for which pydantic's message mentions Python types."""
_MEMBERS = {
    "value": "a value, or null if there is none",
    "confidence": "'documented', 'quoted', 'inferred', 'contradictory' or 'unpublished'",
    "source": "a sentence that gives the source of the figure",
}


@dataclass(frozen=True)
class Problem:
    """One problem of a profile.

    Attributes
    ----------
    file : str
        The file, or the name if there is no such file.
    field : str
        Path of the field, such as ``core.neurons_max.value``; empty for the whole file.
    problem : str
        What is wrong.
    expected : str
        What is expected instead; empty if the problem says so.
    """

    file: str
    field: str
    problem: str
    expected: str

    @property
    def sentence(self) -> str:
        """The problem in one line."""
        where = f"{self.file}: {self.field}" if self.field else self.file
        return f"{where}: {self.problem}" + (f"; {self.remedy}" if self.expected else "")

    @property
    def remedy(self) -> str:
        """The expectation, as the end of a sentence."""
        return f"expected {self.expected}" if self.expected else ""


def problems_of(document: Mapping[str, Any], file: str) -> tuple[Problem, ...]:
    """Find all problems of a profile.

    Parameters
    ----------
    document : mapping of str to Any
        The profile, including inherited fields.
    file : str
        Name of its file, for messages.

    Returns
    -------
    tuple of Problem
        Empty if the profile is valid.
    """
    model = model_of(document)
    if "target" in document and model not in KINDS.values():
        return (Problem(file, "target", f"found {shown(document['target'])}", " or ".join(map(repr, KINDS))),)
    try:
        model.model_validate(document)
    except ValidationError as error:
        return tuple(_problem(details, file, model) for details in error.errors(include_url=False))
    return ()


def _problem(details: ErrorDetails, file: str, whole: type[BaseModel]) -> Problem:
    kind, place, message = details["type"], details["loc"], details["msg"]
    field = ".".join(map(str, place))
    if kind == "missing":
        return Problem(file, field, "is missing", _form(place))
    if kind == "extra_forbidden":
        siblings = _siblings(place, whole)
        close = get_close_matches(str(place[-1]), siblings, 1)
        expected = f"'{close[0]}'" if close else f"one of {', '.join(siblings)}"
        return Problem(file, field, "is not a field of a profile", expected)
    if kind == "value_error":
        return Problem(file, field, message.removeprefix("Value error, "), "")
    if kind == "model_type":
        expected = _form(place)
    elif kind == "greater_than_equal":
        expected = f"at least {details['ctx']['ge']}"
    elif kind == "string_pattern_mismatch":
        expected = "a letter followed by at most 63 lower-case letters, digits, - and _"
    elif kind == "string_too_short":
        expected = "text that is not empty"
    else:
        expected = _EXPECTED.get(kind, message.removeprefix("Input should be "))
    return Problem(file, field, f"found {shown(details['input'])}", expected)


def _form(place: Sequence[str | int]) -> str:
    if len(place) == 1:
        return "text" if place[0] in ("name", "description") else "a mapping of figures"
    return "a figure with value, confidence and source" if len(place) == 2 else _MEMBERS[str(place[-1])]


def _siblings(place: Sequence[str | int], whole: type[BaseModel]) -> list[str]:
    """Known fields in the place of an unknown one."""
    model = whole
    for part in place[:-1]:
        annotation = model.model_fields[str(part)].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return [*model.model_fields] if len(place) > 1 else ["extends", *model.model_fields]


def shown(value: object) -> str:
    """Format a value of a file, shortened for a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except ValueError:
        # Python refuses to format integers with thousands of digits, which hexadecimal YAML can contain.
        return "a huge integer"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
