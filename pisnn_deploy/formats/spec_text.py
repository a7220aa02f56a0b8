"""Spec fields as JSON text in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.physics.model import ModelSpec

LARGEST_TEXT = 1 << 16
"""Maximum number of characters; those of the zoo have about 500."""


def spec_fields_of(path: Path, text: str, field: str) -> dict[str, Any]:
    """Parse spec fields from JSON text.

    Parameters
    ----------
    field : str
        Name of the field in the file that has the text.

    Returns
    -------
    dict
        Some fields of `pisnn_deploy.physics.model.ModelSpec`, not validated.

    Raises
    ------
    FileError
        The text is not a JSON object with fields of a spec.
    """
    try:
        fields = json.loads(text) if len(text) <= LARGEST_TEXT else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise FileError(
            path, "must be a JSON object with fields of a spec", field=field, remedy="see docs/reference/formats.md"
        )
    for key in fields:
        if key not in ModelSpec.model_fields:
            raise FileError(path, f"has the unknown field {key!r}", field=field)
    return fields
