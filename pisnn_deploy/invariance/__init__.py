"""Transformations that leave the integers of an artifact as they are: partition, restart, numbers, coding, backend."""

from __future__ import annotations

from pisnn_deploy.invariance.rows import DIFFERS, EQUAL, INAPPLICABLE, Row
from pisnn_deploy.invariance.table import invariance_rows

__all__ = ["DIFFERS", "EQUAL", "INAPPLICABLE", "Row", "invariance_rows"]
