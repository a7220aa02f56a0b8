"""Suggestions for names that are nearly right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is most like another.

    Returns
    -------
    str
        Such as `` (did you mean 'heat1d'?)``; empty if no name is similar.
    """
    similar = difflib.get_close_matches(name.lower(), tuple(known), n=1)
    return f" (did you mean {similar[0]!r}?)" if similar else ""
