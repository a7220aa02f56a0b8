"""Intervals of what cells hear from channels with a limiter, and of what they answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pisnn_deploy.compiler.analysis.rows import Ends, Integers
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.limiter import WHOLE


def answers_heard(channels: int) -> Ends:
    """Ends of what channels hear from cells: a part, whatever the cells hear, int64 [channels] each."""
    return np.zeros(channels, np.int64), np.full(channels, WHOLE, np.int64)


def asked_of_cells(
    graph: IntegerGraph, answers: Population, sent: Mapping[str, Mapping[str, Interval]], mass: Interval
) -> dict[str, Ends]:
    """Intervals over all cells of what a population that answers hears, and of its parameters.

    Parameters
    ----------
    sent : mapping of str to mapping of str to Interval
        Values of the programs of channels, by population and name.
    mass : Interval
        Masses of a cell.

    Returns
    -------
    dict of str to (int64 array [1], int64 array [1])
        By port and parameter.
    """
    sources = {synapse.source for synapse in graph.into(answers.name, "leaving")}
    (channels,) = (channels for channels in graph.channels if channels.population in sources)
    field, values = graph.field_of(channels.source_holder), sent[channels.population]
    leaving, entering = _channels_of_cells(channels, field)
    most = max(values["forward"].upper, values["backward"].upper)
    asked = 0, most * int((leaving + entering).max(initial=0))
    heard = {
        "mass": (mass.lower, mass.upper),
        "leaving": asked,
        "coming": asked,
        **{name: (int(limits.min()), int(limits.max())) for name, limits in answers.parameters.items()},
    }
    if "low" in values:
        low, high = values["low"].lower, values["low"].upper
        ends = entering * low - leaving * high, entering * high - leaving * low
        heard["balance"] = int(ends[0].min(initial=0)), int(ends[1].max(initial=0))
    program = answers.program
    return {
        name: (np.array([lower], np.int64), np.array([upper], np.int64))
        for name, (lower, upper) in heard.items()
        if name in (*program.ports, *program.parameters)
    }


def _channels_of_cells(channels: Channels, field: Field) -> tuple[Integers, Integers]:
    """Numbers of channels that leave and enter each cell, int64 [cells] each."""
    leaving, entering = (
        np.bincount(ends, minlength=field.size)[: field.cells] for ends in (channels.source, channels.target)
    )
    return leaving, entering
