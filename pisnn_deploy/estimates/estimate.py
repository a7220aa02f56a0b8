"""An estimate, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A quantity that the public record allows only a range for.

    Attributes
    ----------
    value, low, high : float or None
        None where the public record gives none.
    confidence : str
    sources : tuple of str
        What it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    confidence: str
    sources: tuple[str, ...]
