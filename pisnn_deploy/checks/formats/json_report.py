"""JSON for programs: the object that the contract of the command line describes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pisnn_deploy.checks.outcome import Outcome


def json_report(outcomes: Sequence[Outcome]) -> str:
    """One report as it is, several under the key ``reports``.

    Parameters
    ----------
    outcomes : sequence of Outcome

    Returns
    -------
    str
    """
    plain = [outcome.to_dict() for outcome in outcomes]
    return json.dumps(plain[0] if len(plain) == 1 else {"reports": plain}, indent=2, allow_nan=False) + "\n"
