"""Sides whose values other Lava processes set while a graph runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.effects import Sides
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.graph.annotations import Bound
from pisnn_deploy.graph.columns import incidence_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.traits import BINARY, refuse
from pisnn_deploy.programs.interval import Interval, hull

SIDES = 6
"""Number of inputs for sides of a process: two for each axis."""
NO_SIDES = Sides()


def steered(graph: IntegerGraph, names: Sequence[str]) -> tuple[IntegerGraph, Sides]:
    """Return a graph with widths for any value of some sides.

    The artifact's widths hold for its own values. Those of the result follow from the operating window alone, for cells
    and sides anywhere in it, so neither its slope nor its largest flux is assumed.

    Parameters
    ----------
    names : sequence of str
        Sides.

    Returns
    -------
    graph : IntegerGraph
        The graph itself without names.
    sides : Sides
        The named sides, in the order of the names, and the range of their values.

    Raises
    ------
    UsageError
        A side cannot be set, or a value may exceed a word.
    """
    if not names:
        return graph, NO_SIDES
    # A payload has as many lines as the artifact's own values need.
    refuse(graph, f"sides {', '.join(names)}", (BINARY,), "compile it for a target with graded spikes")
    settable = plan(graph).sides
    if not settable.population:
        why = settable.why or "in Lava, their values must be in the biases of one population and in nothing else"
        raise UsageError(f"sides {', '.join(names)}: {graph.spec.name} has no sides that can be set: {why}")
    by_name = {side.name: side for side in settable.sides}
    for number, name in enumerate(names):
        if name not in by_name:
            close = get_close_matches(name, by_name, 1)
            hint = f"did you mean {close[0]}?" if close else f"the graph has {', '.join(by_name)}"
            raise UsageError(f"side {name!r}: cannot be set; {hint}")
        if name in names[:number]:
            raise UsageError(f"side {name!r}: is named twice")
    window = replace(graph.window, difference=None, current=None)
    bounds = tuple(_bounds(graph))
    return (
        replace(graph.with_field(window=window), bounds=bounds),
        replace(settable, sides=tuple(by_name[name] for name in names)),
    )


def _bounds(graph: IntegerGraph) -> Iterator[Bound]:
    """Bounds of the graph, widened to what holds for any values of the sides."""
    values = {neurons.population.name: neurons.widths.values for neurons in plan(graph).neurons}
    packet = values[graph.sole_channels.name]["packet"]
    for bound in graph.bounds:
        interval = None
        if bound.population in values:
            interval = _of_quantity(graph, bound, values[bound.population])
        elif bound.quantity == "payload" and graph.coding == "delta":
            faces = int(abs(incidence_of(graph)).sums().max(initial=0))
            most = faces * max(-packet.lower, packet.upper)
            interval = Interval(-most, most)
        if interval is None:
            yield bound
        else:
            yield replace(bound, lower=interval.lower, upper=interval.upper, bits=max(bound.bits, interval.bits))


def _of_quantity(graph: IntegerGraph, bound: Bound, values: Mapping[str, Interval]) -> Interval | None:
    """Interval of what a bound of a population is about."""
    population = graph.population(bound.population)
    if bound.quantity == "payload":
        sent = hull(end for value in population.program.sends for end in (values[value].lower, values[value].upper))
        span = sent.upper - sent.lower
        return Interval(-span, span) if graph.coding == "delta" else sent
    return next((values[name] for name in values if population.quantity(name) == bound.quantity), None)


class Steering:
    """Biases of the neurons that see sides with changing values.

    Attributes
    ----------
    bias : int64 array [neurons]
        Biases for the present values, changed in place.

    Parameters
    ----------
    sides : Sides
        The sides, and the range of their values.
    bias : int64 array [neurons]
        Biases for the values of the artifact.
    """

    def __init__(self, sides: Sides, bias: Integers) -> None:
        self._sides = sides
        self._levels = [side.value for side in sides.sides]
        self.bias = bias.astype(np.int64)

    @property
    def count(self) -> int:
        """Number of sides."""
        return len(self._levels)

    def name(self, number: int) -> str:
        """Name of a side."""
        return self._sides.sides[number].name

    def set(self, number: int, message: Integers, step: int, time_step: int) -> None:
        """Set the value of a side.

        Parameters
        ----------
        number : int
            Number of the side.
        message : array [1]
            Value in quanta.
        step, time_step : int
            PDE step that begins, and time step, for the message.

        Raises
        ------
        UsageError
            The value is not an integer, or outside its range.
        """
        side, values, value = self._sides.sides[number], self._sides.values, message[0].item()
        where = f"side {side.name}: the value {value} at PDE step {step} (time step {time_step})"
        if isinstance(value, float) and not value.is_integer():
            raise UsageError(f"{where} is not an integer; send quanta, see `quanta`")
        if not values.lower <= value <= values.upper:
            raise UsageError(
                f"{where} is outside its proved range, {values.lower} to {values.upper} quanta; send a value within "
                "it, or compile with a wider `range`"
            )
        (effect,), level = side.effects, self._sides.level(int(value))
        self.bias[effect.neurons] += effect.weights * (level - self._levels[number])
        self._levels[number] = level
