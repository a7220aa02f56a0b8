"""Physical times as users write them: a number in the unit of the model, or with a unit where a law states units."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.fields.dataset import has_units
from pisnn_deploy.graph import IntegerGraph

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Units of time, in seconds; laws that state units have times in seconds."""
_DURATION = re.compile(r"\s*([-+.\w]*?[\d.])\s*([A-Za-z]*)\s*")


@dataclass(frozen=True)
class Duration:
    """A time.

    Attributes
    ----------
    unit : str
        A key of `SECONDS`; empty for the unit of the model.
    """

    value: float
    unit: str = ""

    def of(self, graph: IntegerGraph) -> float:
        """The time in the unit of a graph.

        Raises
        ------
        UsageError
            It has a unit, and the graph has none.
        """
        if not self.unit:
            return self.value
        if not has_units(graph):
            raise UsageError(
                f"`time` {self.value:g} {self.unit}: {graph.spec.name} states no units, so its time has none; "
                "give a number alone"
            )
        return self.value * SECONDS[self.unit]


def parse_duration(given: float | str) -> Duration:
    """Parse a time such as ``2.5`` or ``2.5s``.

    Raises
    ------
    UsageError
        It is no finite number of at least 0, or the unit is none of time.
    """
    match = _DURATION.fullmatch(given) if isinstance(given, str) else None
    number, unit = (match[1], match[2]) if match is not None else (given, "")
    try:
        value = float(number)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"`time` {given}: expected a finite number, at least 0, such as 2.5 or 2.5s")
    if unit and unit not in SECONDS:
        raise UsageError(f"`time` {given}: {unit} is no unit of time; use {', '.join(SECONDS)}")
    return Duration(value, unit)
