"""JSON output, as described in the reference of the command line."""

from __future__ import annotations

from collections.abc import Sequence

from pisnn_deploy.checks.outcome import Outcome
from pisnn_deploy.core.printable import json_text


def json_report(outcomes: Sequence[Outcome]) -> str:
    """Write a single report as an object, several as a list under ``reports``."""
    plain = [outcome.to_dict() for outcome in outcomes]
    return json_text(plain[0] if len(plain) == 1 else {"reports": plain}) + "\n"
