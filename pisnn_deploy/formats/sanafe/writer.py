"""Write the spikes of a run, the synapses that they reach and the cores of a placement as files for SANA-FE.

SANA-FE cannot run our programs, and needs not: its input neurons replay the spikes that a run counted, at their time
steps. Each of our neurons is two of its neurons on the same core: one that replays what it sends, and one that receives
and never fires. Only the first costs energy for a spike, only the second for an update.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.annotations import Placement
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import lines_of, stored_synapses

ARCHITECTURE, NETWORK, COUNTS = "architecture.yaml", "network.yaml", "counts.json"
"""Names of the files."""
MOST_CONNECTIONS, MOST_BITS = 1 << 20, 1 << 25
"""Most connections, and most neurons times time steps, that are written as text."""
NEURONS_OF_UNIT = 1024
"""Most neurons of a unit of SANA-FE's models; a core may have several units."""
Trains = Mapping[tuple[str, int], NDArray[np.bool_]]
"""Spikes of each output of each population that has synapses, bool [time steps, lines * neurons]."""


@dataclass(frozen=True)
class Costs:
    """What an operation costs, in picojoules and nanoseconds.

    Attributes
    ----------
    update, spike : (float, float)
        Energy and time of the update of a neuron, and what a spike adds to it.
    synapse, sent, received : (float, float)
        Of a synaptic operation, and of a message that leaves and that enters a core.
    along_rows, along_columns : (float, float)
        Of a hop to a tile east or west, and north or south.
    barrier : float
        Time of the barrier at the end of a time step.
    """

    update: tuple[float, float]
    spike: tuple[float, float]
    synapse: tuple[float, float]
    sent: tuple[float, float]
    received: tuple[float, float]
    along_rows: tuple[float, float]
    along_columns: tuple[float, float]
    barrier: float


@dataclass(frozen=True)
class Layout:
    """Tiles of the chip.

    Attributes
    ----------
    cores : int
        Cores of a tile.
    columns : int
        Tiles of a row.
    """

    cores: int
    columns: int


def require_text(graph: IntegerGraph, steps: int) -> None:
    """Refuse what cannot be written, before its run.

    Parameters
    ----------
    steps : int
        PDE steps.

    Raises
    ------
    UsageError
        The graph has no placement, or is too large for text.
    """
    if graph.placement is None:
        raise UsageError(
            f"sanafe: {graph.spec.name} has no cores; compile it for a profile with cores, and with `placement`"
        )
    connections = sum(line.synapse.entries for line in stored_synapses(graph))
    outputs = {(synapse.source, synapse.output) for synapse in graph.synapses}
    sending = sum(graph.size(name) * lines_of(graph, name) for name, _ in outputs)
    bits = sending * (steps * int(graph.period or 0) + 1)
    if connections > MOST_CONNECTIONS or bits > MOST_BITS:
        raise UsageError(
            f"sanafe: {connections} connections, and {bits} time steps of neurons, are too many for text; at most "
            f"{MOST_CONNECTIONS} and {MOST_BITS} are written; use a coarser `mesh` or fewer `steps`"
        )


def sanafe_files(graph: IntegerGraph, trains: Trains, costs: Costs, layout: Layout) -> dict[str, bytes]:
    """Build architecture, network and the counts that SANA-FE must find.

    Parameters
    ----------
    trains : mapping
        Spikes of a run.

    Returns
    -------
    dict of str to bytes
        Content by file name, reproducible byte for byte.
    """
    assert graph.placement is not None, "see require_text"
    network = _Network(graph, graph.placement, trains, layout)
    text = "".join(f"{line}\n" for line in network.lines())
    return {
        ARCHITECTURE: "".join(f"{line}\n" for line in _architecture(graph.placement, network, costs, layout)).encode(),
        NETWORK: text.encode(),
        COUNTS: (json.dumps(network.counts(), indent=2, sort_keys=True) + "\n").encode(),
    }


class _Network:
    """Neurons, edges and cores."""

    def __init__(self, graph: IntegerGraph, placement: Placement, trains: Trains, layout: Layout) -> None:
        self._graph, self._placement, self._trains, self._layout = graph, placement, trains, layout
        self._names = {name: re.sub(r"\W", "_", name) for name in graph.chain}

    def _replaying(self, population: str, output: int) -> str:
        return f"{self._names[population]}_sends_{output}"

    def replaying_cores(self) -> dict[tuple[str, int], list[int]]:
        """Core of each neuron that replays."""
        return {
            key: np.resize(self._placement.core[key[0]], train.shape[1]).tolist() for key, train in self._trains.items()
        }

    def lines(self) -> Iterator[str]:
        """Lines of the file of the network."""
        yield "network:"
        yield f"  name: {re.sub(r'[^A-Za-z0-9_]', '_', self._graph.spec.name)}"
        yield "  groups:"
        for name in self._graph.chain:
            yield f"    - name: {self._names[name]}"
            yield "      attributes: []"
            yield "      neurons:"
            yield f"        - 0..{self._graph.size(name) - 1}: [soma: {{threshold: 1.0e+30}}]"
        for key, train in self._trains.items():
            yield f"    - name: {self._replaying(*key)}"
            yield "      attributes: []"
            yield "      neurons:"
            for number, spikes in enumerate(train.T):
                last = int(np.flatnonzero(spikes)[-1]) + 1 if spikes.any() else 1
                shown = ", ".join("1" if spike else "0" for spike in spikes[:last].tolist())
                yield f"        - {number}: [spikes: [{shown}]]"
        yield "  edges:"
        for line in stored_synapses(self._graph):
            synapse = line.synapse
            source, target = self._replaying(synapse.source, synapse.output), self._names[synapse.target]
            rows = synapse.connections.rows
            first = line.number * synapse.inputs
            ends = zip(rows.row_of.tolist(), rows.columns.tolist(), rows.values.tolist(), strict=True)
            for post, pre, mantissa in ends:
                yield f"    - {source}.{first + pre} -> {target}.{post}: [weight: {mantissa}]"
        yield "mappings:"
        received: dict[int, int] = {}
        for name in self._graph.chain:
            for number, core in enumerate(self._placement.core[name].tolist()):
                unit = received.get(core, 0) // NEURONS_OF_UNIT
                received[core] = received.get(core, 0) + 1
                place = f'core: {self._place(core)}, soma: "neuron[{unit}]", dendrite: "dendrite[{unit}]"'
                yield f"  - {self._names[name]}.{number}: [{place}]"
        used: dict[int, int] = {}
        for key, cores in self.replaying_cores().items():
            for number, core in enumerate(cores):
                unit = used.get(core, 0)
                used[core] = unit + 1
                yield f'  - {self._replaying(*key)}.{number}: [core: {self._place(core)}, soma: "replay[{unit}]"]'

    def _place(self, core: int) -> str:
        return f"{core // self._layout.cores}.{core % self._layout.cores}"

    def counts(self) -> dict[str, object]:
        """What SANA-FE counts for these files."""
        fan_out: dict[tuple[str, int], NDArray[np.int64]] = {
            key: np.zeros(train.shape[1], np.int64) for key, train in self._trains.items()
        }
        for line in stored_synapses(self._graph):
            synapse = line.synapse
            part = slice(line.number * synapse.inputs, (line.number + 1) * synapse.inputs)
            columns = np.bincount(synapse.connections.rows.columns, minlength=synapse.inputs)
            fan_out[synapse.source, synapse.output][part] += columns
        spikes: dict[str, int] = dict.fromkeys(self._graph.chain, 0)
        operations = 0
        for key, train in self._trains.items():
            sent = train.sum(axis=0, dtype=np.int64)
            spikes[key[0]] += int(sent.sum())
            operations += int((sent * fan_out[key]).sum())
        steps = max((len(train) for train in self._trains.values()), default=0)
        return {"time_steps": steps, "spikes": spikes, "synaptic_operations": operations}


def _architecture(placement: Placement, network: _Network, costs: Costs, layout: Layout) -> Iterator[str]:
    """Lines of the file of the architecture."""
    tiles = -(-placement.cores // layout.cores)
    columns = min(layout.columns, tiles)
    rows = -(-tiles // columns)
    replaying = np.zeros(placement.cores, np.int64)
    for cores in network.replaying_cores().values():
        replaying += np.bincount(cores, minlength=placement.cores)
    receiving = np.zeros(placement.cores, np.int64)
    for placed in placement.core.values():
        receiving += np.bincount(placed, minlength=placement.cores)
    most = int((replaying + receiving).max())
    hops = {"north": costs.along_columns, "east": costs.along_rows}
    hops |= {"south": hops["north"], "west": hops["east"]}
    yield "architecture:"
    yield "  name: placement"
    yield "  attributes:"
    yield "    topology: mesh"
    yield f"    width: {columns}"
    yield f"    height: {rows}"
    yield "    link_buffer_size: 16"
    yield "    sync_model: fixed"
    yield f"    latency_sync: {_seconds(costs.barrier)}"
    yield "  tile:"
    yield f"    - name: tile[0..{columns * rows - 1}]"
    yield "      attributes:"
    for side, (energy, time) in hops.items():
        yield f"        energy_{side}_hop: {_joules(energy)}"
        yield f"        latency_{side}_hop: {_seconds(time)}"
    yield "      core:"
    yield f"        - name: core[0..{layout.cores - 1}]"
    yield f"          attributes: {{buffer_position: soma, buffer_inside_unit: false, max_neurons_supported: {most}}}"
    yield "          axon_in:"
    yield from _unit("axon_in", "", {"message_in": costs.received})
    yield "          synapse:"
    yield from _unit("synapse", "current_based", {"process_spike": costs.synapse})
    yield "          dendrite:"
    units = -(-int(receiving.max()) // NEURONS_OF_UNIT)
    yield from _unit(f"dendrite[0..{units - 1}]", "accumulator", {"update": _FREE})
    yield "          soma:"
    soma = {"access_neuron": costs.update, "update_neuron": _FREE, "spike_out": _FREE}
    yield from _unit(f"neuron[0..{units - 1}]", "leaky_integrate_fire", soma)
    soma = {"access_neuron": _FREE, "update_neuron": _FREE, "spike_out": costs.spike}
    yield from _unit(f"replay[0..{max(1, int(replaying.max())) - 1}]", "input", soma)
    yield "          axon_out:"
    yield from _unit("axon_out", "", {"message_out": costs.sent})


_FREE = (0.0, 0.0)


def _unit(name: str, model: str, costs: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    """Lines of a hardware unit; energies in joules, times in seconds."""
    yield f"            - name: {name}"
    yield "              attributes:"
    if model:
        yield f"                model: {model}"
    for operation, (energy, time) in costs.items():
        yield f"                energy_{operation}: {_joules(energy)}"
        yield f"                latency_{operation}: {_seconds(time)}"


def _joules(picojoules: float) -> str:
    return f"{picojoules:.6g}e-12"


def _seconds(nanoseconds: float) -> str:
    return f"{nanoseconds:.6g}e-9"
