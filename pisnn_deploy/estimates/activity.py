"""What a run really sent, as ``pisnn-deploy simulate --json`` counts it: input of the estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.reading import parse_plain_json, read_bytes
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import MEMBRANE
from pisnn_deploy.graph.lines import lines_of

LARGEST_RUN = 1 << 20
"""Bytes of a file that is read; a result of simulate has some hundreds."""
LARGEST_COUNT = 1 << 62
_REMEDY = "write it with: pisnn-deploy simulate ARTIFACT --json > FILE"


@dataclass(frozen=True)
class Activity:
    """Part of the neurons of each population that send something in a PDE step, on average.

    Attributes
    ----------
    fraction : mapping of str to float
        0 to 1, by population.
    source : str
        Where it comes from, for reports.
    counted : bool
        Whether a run was counted.
    """

    fraction: Mapping[str, float]
    source: str
    counted: bool = False


def senders(graph: IntegerGraph, population: str) -> int:
    """Spikes that a population sends in a PDE step if all its neurons send: ledgers of reservoirs never do.

    Parameters
    ----------
    graph : IntegerGraph
    population : str

    Returns
    -------
    int
        Neurons, or their lines where spikes are binary.
    """
    neurons = graph.sole_field.cells if population == MEMBRANE else graph.size(population)
    return int(neurons) * lines_of(graph, population)


def every_neuron(graph: IntegerGraph) -> Activity:
    """Every neuron sends once in a PDE step: the most that can happen."""
    return Activity(dict.fromkeys(graph.chain, 1.0), "Every neuron sends once in a PDE step.")


def nothing_sent(graph: IntegerGraph) -> Activity:
    """No neuron sends anything in a PDE step."""
    return Activity(dict.fromkeys(graph.chain, 0.0), "No neuron sends in a PDE step.")


def read_activity(path: Path, graph: IntegerGraph) -> Activity:
    """Read the events of a run.

    Parameters
    ----------
    path : Path
        What ``pisnn-deploy simulate --json`` printed.
    graph : IntegerGraph
        The graph that ran.

    Returns
    -------
    Activity

    Raises
    ------
    FileError
        Not such a file, of another graph, or of no PDE step.
    """
    try:
        content = parse_plain_json(read_bytes(path, LARGEST_RUN))
    except (ValueError, RecursionError) as error:
        raise FileError(path, "is not JSON", remedy=_REMEDY) from error
    steps: Any = content.get("steps") if isinstance(content, dict) else None
    events: Any = content.get("events") if isinstance(content, dict) else None
    if not _is_count(steps) or not isinstance(events, dict) or not all(map(_is_count, events.values())):
        raise FileError(path, "has no steps and events of a run", remedy=_REMEDY)
    if set(events) != set(graph.chain):
        raise FileError(path, f"counts events of other populations than {', '.join(graph.chain)}", field="events")
    if steps == 0:
        raise FileError(path, "is a run of no PDE step, which says nothing of events", field="steps")
    fraction = {name: min(1.0, events[name] / (steps * max(1, senders(graph, name)))) for name in graph.chain}
    return Activity(fraction, f"Events of {steps} PDE steps, counted by simulate.", True)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_COUNT
