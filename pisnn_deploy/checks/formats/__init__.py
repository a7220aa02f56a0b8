"""Output formats of checks: one module per format, each a pure function with deterministic output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pisnn_deploy.checks.formats.github import github
from pisnn_deploy.checks.formats.json_report import json_report
from pisnn_deploy.checks.formats.junit import junit
from pisnn_deploy.checks.formats.sarif import sarif
from pisnn_deploy.checks.formats.text import text
from pisnn_deploy.checks.outcome import Outcome, Unread


class Writer(Protocol):
    """Writes outcomes, and files that could not be read; the text is empty or ends with a line break."""

    def __call__(self, outcomes: Sequence[Outcome], unread: Sequence[Unread] = ()) -> str:
        """Write a report."""


FORMATS: Mapping[str, Writer] = {
    "text": text,
    "json": json_report,
    "junit": junit,
    "sarif": sarif,
    "github": github,
}
"""Writer by name for ``--format``."""

__all__ = ["FORMATS"]
