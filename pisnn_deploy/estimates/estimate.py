"""Estimates as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A quantity of which public sources only give a range.

    Attributes
    ----------
    value, low, high : float or None
        None if public sources give no figure.
    sources : tuple of str
        Sources of the figures.
    """

    value: float | None
    low: float | None
    high: float | None
    confidence: str
    sources: tuple[str, ...]
