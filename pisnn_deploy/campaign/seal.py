"""Hashes that detect damaged rows on disk. They do not prove origin: anyone can recompute them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

from pydantic import ValidationError

from pisnn_deploy.campaign.row import Row


def sealed_line(row: Row) -> bytes:
    """Format a row as one line of JSON that ends with its hash, without the line break."""
    facts = asdict(row)
    return _json(facts | {"sha256": hashlib.sha256(_json(facts)).hexdigest()})


def seal_of(rows: Iterable[Row]) -> str:
    """SHA-256 of a sequence of rows, hexadecimal."""
    whole = hashlib.sha256()
    for row in rows:
        whole.update(_json(asdict(row)))
    return whole.hexdigest()


def damage(error: ValidationError) -> str:
    """Describe a damaged row, as the end of a sentence."""
    first = error.errors()[0]
    reason = str(first["msg"]).removeprefix("Value error, ")
    return f"is damaged ({reason})" if first["type"] == "value_error" else "is damaged"


def _json(facts: object) -> bytes:
    return json.dumps(facts, allow_nan=False).encode()
