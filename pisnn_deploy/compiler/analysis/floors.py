"""What keeps the positive fields of a law at 0 or more."""

from __future__ import annotations

from collections.abc import Iterator

from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.fields import Channels, Field


def limited_fields(graph: IntegerGraph) -> tuple[Field, ...]:
    """Fields of a law whose cells answer what channels ask."""
    holders = {s.source for name in graph.order.answers for s in graph.into(name, "mass")}
    return tuple(field for field in graph.fields if field.holder in holders)


def taking(graph: IntegerGraph) -> Iterator[tuple[str, str]]:
    """Yield channels that may take from the cells of a limited field without asking, and the field.

    Parameters
    ----------
    graph : IntegerGraph
        Bounded.
    """
    packets = {b.population: b for b in graph.bounds if b.quantity == "packet"}
    for field in limited_fields(graph):
        for channels in graph.channels:
            name = channels.population
            if name not in graph.order.asking and _reaches(channels, field):
                gives = all(
                    packets[name].lower >= 0 if sign > 0 else packets[name].upper <= 0
                    for holder, ends, sign in channels.ends
                    if holder == field.holder and (ends < field.cells).any()
                )
                if not gives:
                    yield name, field.name


def _reaches(channels: Channels, field: Field) -> bool:
    return field.holder in (channels.source_holder, channels.target_holder)


def floors_claim(graph: IntegerGraph) -> Claim | None:
    """Claim that no cell of the limited fields of a law falls below 0; None without a limiter."""
    fields = limited_fields(graph)
    return Claim("proved", "floors", {"fields": len(fields), "floor": 0}) if fields else None
