"""What a campaign found, in a few lines."""

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
        What its rows have in common.
    verdicts : dict of str to int
        Rows with each verdict.
    implausible : int
        Rows of runs in which something implausible was seen, whatever their verdict.
    largest_drift : int or None
        In absolute value, in quanta; None if no run came to its end.
    largest_relative_l2_error : float or None
        None where no exact solution is known.
    """

    model: str
    backend: str
    verdicts: dict[str, int]
    implausible: int
    largest_drift: int | None
    largest_relative_l2_error: float | None


@dataclass(frozen=True)
class Message:
    """What several rows say.

    Attributes
    ----------
    verdict, text : str
        What its rows say.
    rows : int
        How many say it.
    """

    verdict: str
    text: str
    rows: int


def groups_of(rows: Sequence[Row]) -> tuple[Group, ...]:
    """Rows by model and backend, in the order of their first ones."""
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
    """Number of rows with each verdict."""
    counts = Counter(row.verdict for row in rows)
    return {verdict: counts[verdict] for verdict in VERDICTS}


def implausible_of(rows: Sequence[Row]) -> int:
    """Number of rows of runs in which something implausible was seen."""
    return sum(row.plausible is False for row in rows)


def messages_of(rows: Sequence[Row]) -> tuple[Message, ...]:
    """Messages of the rows that are not conserved, the most frequent first."""
    counts = Counter((row.verdict, row.message or "") for row in rows if row.verdict != "conserved")
    return tuple(Message(verdict, text, count) for (verdict, text), count in counts.most_common())
