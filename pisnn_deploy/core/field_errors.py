"""Turn pydantic's validation errors into plain sentences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LONGEST = 60
"""Maximum number of characters of an invalid value in a message."""
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dataclass_type": "a mapping",
    "dict_type": "a mapping",
    "finite_number": "finite",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_pattern_mismatch": "a letter followed by at most 63 lower-case letters, digits, - and _",
    "string_type": "text",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
    "tuple_type": "a list",
}


ALL_AXES, EACH_AXIS = "[all]", "[axes]"
"""Tags of the two forms of a value: one for all axes, or a list with one for each."""


def axes_form(value: object) -> str:
    """Tag of a value's form."""
    return EACH_AXIS if isinstance(value, list | tuple) else ALL_AXES


def place_of(location: Iterable[int | str]) -> tuple[int | str, ...]:
    """Place of an error in a file, without what pydantic adds in brackets."""
    return tuple(part for part in location if not (str(part).startswith("[") and str(part).endswith("]")))


def problem_text(details: ErrorDetails, siblings: Sequence[str] = ()) -> str:
    """Describe a validation error, as the end of a sentence that starts with the field.

    Parameters
    ----------
    details : dict
        An entry of ``ValidationError.errors()``.
    siblings : sequence of str
        Known fields, for suggestions when a field is unknown.

    Returns
    -------
    str
        For example ``must be at least 1, not 0``.
    """
    kind = details["type"]
    if kind == "missing":
        return "is missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        close = get_close_matches(str(details["loc"][-1]), siblings, 1)
        if close:
            return f"is unknown; did you mean {close[0]}?"
        return f"is unknown; known fields are {', '.join(siblings)}" if siblings else "is unknown"
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    expected = _EXPECTED.get(kind)
    if expected is None:
        return details["msg"]
    return f"must be {expected.format(**details.get('ctx', {}))}, not {shown(details['input'])}"


def shown(value: object) -> str:
    """Format a value of a file, shortened for a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except ValueError:
        return "a huge integer"  # Python refuses to write integers of thousands of digits
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
