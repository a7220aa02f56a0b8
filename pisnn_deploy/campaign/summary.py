"""Summary of a campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from pisnn_deploy.campaign.row import Row, Verdict

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Group:
    """The rows of one model on one backend.

    Attributes
    ----------
    model, backend : str
        Model and backend of all rows.
    verdicts : dict of str to int
        Number of rows by verdict.
    implausible : int
        Number of implausible runs, with any verdict.
    largest_drift : int or None
        Largest absolute drift in quanta; None if no run was completed.
    largest_relative_l2_error : float or None
        None if no exact solution is known.
    """

    model: str
    backend: str
    verdicts: dict[str, int]
    implausible: int
    largest_drift: int | None
    largest_relative_l2_error: float | None


@dataclass(frozen=True)
class Message:
    """A message, and the number of rows with it.

    Attributes
    ----------
    verdict, text : str
        Verdict and message of the rows.
    rows : int
        Number of rows.
    """

    verdict: str
    text: str
    rows: int


def groups_of(rows: Sequence[Row]) -> tuple[Group, ...]:
    """Group rows by model and backend, in order of first occurrence."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.backend), []).append(row)
    return tuple(
        Group(
            model,
            backend,
            verdicts_of(members),
            implausible_of(members),
            max((abs(row.drift) for row in members if row.drift is not None), default=None),
            max((row.relative_l2_error for row in members if row.relative_l2_error is not None), default=None),
        )
        for (model, backend), members in groups.items()
    )


def verdicts_of(rows: Sequence[Row]) -> dict[str, int]:
    """Number of rows by verdict."""
    counts = Counter(row.verdict for row in rows)
    return {verdict: counts[verdict] for verdict in VERDICTS}


def implausible_of(rows: Sequence[Row]) -> int:
    """Number of implausible runs."""
    return sum(row.plausible is False for row in rows)


def messages_of(rows: Sequence[Row]) -> tuple[Message, ...]:
    """Messages of all rows that are not conserved, most frequent first."""
    counts = Counter((row.verdict, row.message or "") for row in rows if row.verdict != "conserved")
    return tuple(Message(verdict, text, count) for (verdict, text), count in counts.most_common())
