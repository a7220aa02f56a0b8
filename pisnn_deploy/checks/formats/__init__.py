"""What a check found, as text: one module a format, each a pure function of the outcomes with deterministic bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pisnn_deploy.checks.formats.github import github
from pisnn_deploy.checks.formats.json_report import json_report
from pisnn_deploy.checks.formats.junit import junit
from pisnn_deploy.checks.formats.sarif import sarif
from pisnn_deploy.checks.formats.text import text
from pisnn_deploy.checks.outcome import Outcome

FORMATS: Mapping[str, Callable[[Sequence[Outcome]], str]] = {
    "text": text,
    "json": json_report,
    "junit": junit,
    "sarif": sarif,
    "github": github,
}
"""By the word after ``--format``; each text ends with a line break, or is empty."""

__all__ = ["FORMATS"]
