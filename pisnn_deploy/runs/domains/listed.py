"""Domains of any graph: the neurons that the owned ones depend on within some PDE steps, found along the synapses.

Every neuron that a domain needs exactly has all its inputs there. The channels at the outer end of a halo have no
neighbours there, so the masses of the outermost cells are wrong after a PDE step, until they are copied again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.connections import Explicit, Incidence
from pisnn_deploy.graph.fields import Channels, Field, equal_volumes
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.synapse import Synapse
from pisnn_deploy.runs.domains.layout import Domain, Layout, Mask

Masks = dict[str, Mask]
"""Some neurons of each population."""


class Wiring:
    """What each neuron of a graph depends on, and who owns it.

    Parameters
    ----------
    owner_of_cell : int64 array [cells of a field]
        Domain of each cell of the mesh.

    Attributes
    ----------
    owners : dict of str to int64 array
        Domain of each neuron, by population.
    """

    def __init__(self, graph: IntegerGraph, owner_of_cell: Integers) -> None:
        self.graph = graph
        self._channels = {channels.population: channels for channels in graph.channels}
        self._between = [population.name for population in graph.between_fields]
        self._patterns = [
            (synapse, *synapse.connections.pattern) for synapse in graph.synapses if synapse.target not in graph.holders
        ]
        self._asked = {(name, output) for name, asking in graph.order.asking.items() for output in asking.outputs}
        self.owners = self._all_owners(owner_of_cell)

    def _all_owners(self, owner_of_cell: Integers) -> dict[str, Integers]:
        graph = self.graph
        owners = {}
        for field in graph.fields:
            owners[field.holder] = np.full(field.size, -1, np.int64)
            owners[field.holder][: field.cells] = owner_of_cell
        for name, channels in self._channels.items():
            source, target = (owners[holder][ends] for holder, ends, _ in channels.ends)
            owner = owners[name] = np.maximum(np.where(source < 0, target, source), 0)
            for holder, ends, _ in reversed(channels.ends):
                without = np.flatnonzero(owners[holder][ends] < 0)
                owners[holder][ends[without[::-1]]] = owner[without[::-1]]
        for field in graph.fields:
            np.maximum(owners[field.holder], 0, out=owners[field.holder])  # reservoirs without a channel
        for name in graph.depths:
            if name not in owners:
                owners[name] = self._owner_of_input(name, owners)
        return owners

    def _owner_of_input(self, name: str, owners: Mapping[str, Integers]) -> Integers:
        """Owner of the first input of each neuron of a population; the first domain for neurons without any."""
        owner = np.full(self.graph.size(name), -1, np.int64)
        for synapse, starts, columns in self._patterns:
            if synapse.target == name and synapse.source in owners and columns.size:
                has = np.flatnonzero((starts[1:] > starts[:-1]) & (owner < 0))
                owner[has] = owners[synapse.source][columns[starts[has]]]
        return np.maximum(owner, 0)

    def present(self, number: int, rounds: int) -> tuple[Masks, Masks]:
        """Neurons that a domain has, and those that it owns.

        Parameters
        ----------
        rounds : int
            PDE steps after which all that the domain owns is exact.
        """
        owned = {name: owner == number for name, owner in self.owners.items()}
        wanted = {name: owned[name].copy() for name in (*self.graph.holders, *self._channels)}
        for name, channels in self._channels.items():  # the audit compares the masses at both ends
            for holder, ends, _ in channels.ends:
                wanted[holder][ends[owned[name]]] = True
        # Populations between holders and channels answer the masses at the end of the last step.
        needed = self._nothing()
        for name in self._between:
            needed[name] |= owned[name]
        self._follow(needed, wanted)
        for _ in range(rounds):
            needed = self._nothing()
            for name in (*self._between, *self.graph.order.answers):
                needed[name] |= owned[name]
            for name, channels in self._channels.items():
                needed[name] |= wanted[name]
                for holder, ends, _ in channels.ends:
                    needed[name] |= wanted[holder][ends]
            self._follow(needed, wanted)
            for name, mask in needed.items():
                if name not in self.graph.holders and not mask.any():
                    mask[:1] = True  # kernels run no population without neurons
            self._follow(needed, wanted)
        for name, channels in self._channels.items():
            needed[name] |= wanted[name]
            for holder, ends, _ in channels.ends:
                wanted[holder][ends[needed[name]]] = True
        return needed | {holder: wanted[holder] for holder in self.graph.holders}, owned

    def _nothing(self) -> Masks:
        return {population.name: np.zeros(population.size, np.bool_) for population in self.graph.populations}

    def _follow(self, needed: Masks, wanted: Masks) -> None:
        """Add all that some neurons need within a PDE step: other neurons, and states before the step."""
        asking = {name: np.zeros_like(needed[name]) for name in self.graph.order.asking}
        before = -1
        while (now := sum(int(mask.sum()) for mask in (*needed.values(), *asking.values()))) != before:
            before = now
            for synapse, starts, columns in self._patterns:
                rows = needed[synapse.target]
                part = self.graph.order.asking.get(synapse.target)
                if part is not None and synapse.port in part.part.program.ports:
                    rows = rows | asking[synapse.target]
                heard = columns[np.repeat(rows, np.diff(starts))]
                if synapse.source in self.graph.holders or synapse.source == synapse.target:
                    wanted[synapse.source][heard] = True
                elif (synapse.source, synapse.output) in self._asked:
                    asking[synapse.source][heard] = True
                else:
                    needed[synapse.source][heard] = True
        for name in self._channels:
            wanted[name] |= needed[name]
        for name, mask in asking.items():
            wanted[name] |= mask

    def domain(self, number: int, rounds: int) -> Domain:
        """Cut out a domain."""
        present, owned = self.present(number, rounds)
        kept = {name: np.flatnonzero(mask) for name, mask in present.items()}
        own = {name: owned[name][numbers] for name, numbers in kept.items()}
        columns = columns_of(self.graph)
        holders = [field.first_holder + kept[field.holder] for field in columns.fields]
        channels = [each.first + kept[each.population] for each in columns.channels]
        layout = Layout(
            np.concatenate(holders),
            np.concatenate(channels),
            np.concatenate([own[field.holder] for field in columns.fields]),
            np.concatenate([own[each.population] for each in columns.channels]),
        )
        return Domain(local_graph(self.graph, kept), layout, kept, own)


def local_graph(graph: IntegerGraph, kept: Mapping[str, Integers]) -> IntegerGraph:
    """Restrict a graph to some neurons; what others send is lost.

    The mesh stays that of the whole graph, because no backend asks for it.

    Parameters
    ----------
    kept : mapping of str to int64 array
        Neurons of each population, ascending, with both ends of each channel.
    """
    places = {}
    for name, numbers in kept.items():
        places[name] = np.full(graph.size(name), -1, np.int64)
        places[name][numbers] = np.arange(numbers.size)
    channels = tuple(_channels(each, kept, places) for each in graph.channels)
    return replace(
        graph,
        populations=tuple(_population(population, kept[population.name]) for population in graph.populations),
        fields=tuple(_field(field, kept[field.holder]) for field in graph.fields),
        channels=channels,
        synapses=tuple(_synapse(synapse, kept, places) for synapse in graph.synapses),
        certificate=None,
        placement=None,
    )


def _population(population: Population, numbers: Integers) -> Population:
    parameters = {name: values[numbers] for name, values in population.parameters.items()}
    start = {name: values[numbers] for name, values in population.start.items()}
    return replace(population, size=int(numbers.size), parameters=parameters, start=start)


def _field(field: Field, holders: Integers) -> Field:
    cells, reservoirs = holders[holders < field.cells], holders[holders >= field.cells] - field.cells
    volumes = equal_volumes(cells.size) if field.holds_alike else field.inverse_volume[cells]
    return replace(
        field, inverse_volume=volumes, reservoirs=field.reservoirs[reservoirs], held=field.held[reservoirs], ledgers=()
    )


def _channels(channels: Channels, kept: Mapping[str, Integers], places: Mapping[str, Integers]) -> Channels:
    numbers = kept[channels.population]
    source, target = (places[holder][ends[numbers]] for holder, ends, _ in channels.ends)
    return replace(channels, source=source, target=target)


def _synapse(synapse: Synapse, kept: Mapping[str, Integers], places: Mapping[str, Integers]) -> Synapse:
    connections, numbers = synapse.connections, kept[synapse.target]
    if isinstance(connections, Incidence):
        of_channels = kept[synapse.source]
        source, target = (
            places[synapse.target][ends[of_channels]] for ends in (connections.source, connections.target)
        )
        return replace(synapse, connections=Incidence(source, target, int(numbers.size), connections.value))
    rows = connections.rows.rows(numbers)
    columns = places[synapse.source][rows.columns]
    is_kept = columns >= 0
    starts = np.concatenate([[0], np.cumsum(is_kept)])[rows.starts].astype(np.int64)
    local = Explicit(starts, columns[is_kept], rows.values[is_kept], int(kept[synapse.source].size))
    return replace(synapse, connections=local)
