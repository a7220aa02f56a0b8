"""What a file says of the spec, as JSON text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.physics.model import ModelSpec

LARGEST_TEXT = 1 << 16
"""Characters; those of the zoo have 500."""


def said_of(path: Path, text: str, field: str) -> dict[str, Any]:
    """Fields of a spec from JSON text.

    Parameters
    ----------
    field : str
        Where the text stands in the file.

    Returns
    -------
    dict
        Some fields of `pisnn_deploy.physics.model.ModelSpec`, not validated.

    Raises
    ------
    FileError
        Something else.
    """
    try:
        said = json.loads(text) if len(text) <= LARGEST_TEXT else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise FileError(
            path, "must be a JSON object with fields of a spec", field=field, remedy="see docs/reference/formats.md"
        )
    for key in said:
        if key not in ModelSpec.model_fields:
            raise FileError(path, f"has no field {key!r}", field=field)
    return said
