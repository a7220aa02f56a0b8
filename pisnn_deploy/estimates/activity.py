"""Activity of a run as counted by ``pisnn-deploy simulate --json``, used by the estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.reading import parse_plain_json, read_bytes
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.lines import lines_of

LARGEST_RUN = 1 << 20
"""Maximum size of a file in bytes; results of simulate have a few hundred."""
LARGEST_COUNT = 1 << 62
_REMEDY = "write it with: pisnn-deploy simulate ARTIFACT --json > FILE"


@dataclass(frozen=True)
class Activity:
    """Average fraction of the neurons of each population that send a spike in a PDE step.

    Attributes
    ----------
    fraction : mapping of str to float
        0 to 1, by population.
    source : str
        Origin of the activity, for reports.
    counted : bool
        Whether it was counted in a run.
    """

    fraction: Mapping[str, float]
    source: str
    counted: bool = False


def senders(graph: IntegerGraph, population: str) -> int:
    """Number of spikes in a PDE step if all neurons of a population send; ledgers of reservoirs never do.

    Returns
    -------
    int
        Number of neurons, or of their lines if spikes are binary.
    """
    neurons = graph.field_of(population).cells if population in graph.holders else graph.size(population)
    return int(neurons) * lines_of(graph, population)


def every_neuron(graph: IntegerGraph) -> Activity:
    """Highest possible activity: every neuron sends once in a PDE step."""
    return Activity(dict.fromkeys(graph.chain, 1.0), "Every neuron sends once in a PDE step.")


def nothing_sent(graph: IntegerGraph) -> Activity:
    """Lowest possible activity: no neuron sends in a PDE step."""
    return Activity(dict.fromkeys(graph.chain, 0.0), "No neuron sends in a PDE step.")


def read_activity(path: Path, graph: IntegerGraph) -> Activity:
    """Read the events of a run.

    Parameters
    ----------
    path : Path
        File with the output of ``pisnn-deploy simulate --json``.
    graph : IntegerGraph
        Graph of the run.

    Raises
    ------
    FileError
        The file is invalid, of another graph, or of a run without PDE steps.
    """
    try:
        content = parse_plain_json(read_bytes(path, LARGEST_RUN))
    except (ValueError, RecursionError) as error:
        raise FileError(path, "is not JSON", remedy=_REMEDY) from error
    steps: Any = content.get("steps") if isinstance(content, dict) else None
    events: Any = content.get("events") if isinstance(content, dict) else None
    if not _is_count(steps) or not isinstance(events, dict) or not all(map(_is_count, events.values())):
        raise FileError(path, "lacks the steps and events of a run", remedy=_REMEDY)
    if set(events) != set(graph.chain):
        raise FileError(path, f"must have the populations {', '.join(graph.chain)}", field="events")
    if steps == 0:
        raise FileError(path, "must be at least 1 to estimate the activity", field="steps")
    fraction = {name: min(1.0, events[name] / (steps * max(1, senders(graph, name)))) for name in graph.chain}
    return Activity(fraction, f"Events of {steps} PDE steps, counted by simulate.", True)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_COUNT
