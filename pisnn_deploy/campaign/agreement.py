"""Compare recorded rows with new rows of the same artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pisnn_deploy.campaign.case import Case
from pisnn_deploy.campaign.record import shared_facts
from pisnn_deploy.campaign.row import Row


class Recorded:
    """Facts about artifacts in recorded rows.

    Parameters
    ----------
    cases : sequence of Case
        All cases of the campaign.
    rows : mapping of str to Row
        Recorded rows by the key of their case.
    """

    def __init__(self, cases: Sequence[Case], rows: Mapping[str, Row]) -> None:
        self._cases = {case.key: case for case in cases}
        self._refuted: set[str] = set()
        self._claims: dict[object, list[tuple[Case, tuple[object, ...]]]] = {}
        for case in cases:
            row = rows.get(case.key)
            for subject, facts in () if row is None else shared_facts(case, row):
                self._claims.setdefault(subject, []).append((case, facts))

    def refuted_by(self, rows: Sequence[Row]) -> list[Case]:
        """Cases whose recorded rows contradict new rows about an artifact; each case is returned once."""
        refuted: dict[str, Case] = {}
        for row in rows:
            for subject, facts in shared_facts(self._cases[row.key], row):
                refuted |= {case.key: case for case, claimed in self._claims.pop(subject, ()) if claimed != facts}
        cases = [case for key, case in refuted.items() if key not in self._refuted]
        self._refuted |= set(refuted)
        return cases
