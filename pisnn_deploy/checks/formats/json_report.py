"""JSON output, as described in the reference of the command line."""

from __future__ import annotations

from collections.abc import Sequence

from pisnn_deploy.checks.outcome import Outcome, Unread
from pisnn_deploy.core.printable import json_text


def json_report(outcomes: Sequence[Outcome], unread: Sequence[Unread] = ()) -> str:
    """Write a single report as an object, several as a list under ``reports``, with files not read under ``unread``."""
    plain = [outcome.to_dict() for outcome in outcomes]
    if unread:
        failed = [{"artifact": str(file.artifact), "error": file.message} for file in unread]
        return json_text({"reports": plain, "unread": failed}) + "\n"
    return json_text(plain[0] if len(plain) == 1 else {"reports": plain}) + "\n"
