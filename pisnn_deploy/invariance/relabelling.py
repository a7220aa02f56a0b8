"""The same graph with other numbers for its neurons, and with channels in the other direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.graph.connections import Connections, Explicit, Incidence
from pisnn_deploy.graph.contract import is_of_one_field
from pisnn_deploy.graph.fields import Channels, Field, Ledger
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.limiter import LIMITER_PORTS, SHORT_PORTS, ChannelEnds, Joined, limiter_synapses
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.synapse import Synapse
from pisnn_deploy.invariance.meshes import RelabelledMesh
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.runs.run import Trace


@dataclass(frozen=True)
class Relabelling:
    """Numbers that the neurons of a graph get.

    Attributes
    ----------
    number : mapping of str to int64 array [neurons]
        Number in the original of each neuron of the other graph, by population; cells stay before reservoirs.
    sign : mapping of str to int64 array [channels]
        -1 for each channel of the other graph whose direction is reversed, else 1.
    """

    graph: IntegerGraph
    number: Mapping[str, Integers]
    sign: Mapping[str, Integers]

    @cached_property
    def place(self) -> dict[str, Integers]:
        """Number in the other graph of each neuron of the original, by population."""
        return {name: np.argsort(numbers) for name, numbers in self.number.items()}

    def relabelled(
        self, mesh: FaceMesh | None = None, connections: Mapping[str, Connections] | None = None
    ) -> IntegerGraph:
        """Return the other graph, without placement and certificate.

        Parameters
        ----------
        mesh : FaceMesh, optional
            A mesh whose faces are the relabelled channels (default: one without geometry).
        connections : mapping of str to Connections, optional
            Connections of some synapses in another form, by name.
        """
        graph = self.graph
        fields = tuple(self._field(field) for field in graph.fields)
        channels = tuple(self._channels(each) for each in graph.channels)
        if mesh is None and is_of_one_field(graph):
            mesh = RelabelledMesh(
                channels[0].source,
                channels[0].target,
                graph.mesh.cells,
                graph.mesh.reservoirs,
                {
                    name: self._reservoirs(graph.fields[0], numbers)
                    for name, numbers in graph.ledgers_of(graph.fields[0]).items()
                },
            )
        changed = replace(
            graph,
            mesh=mesh or graph.mesh,
            fields=fields,
            channels=channels,
            populations=tuple(self._population(population) for population in graph.populations),
            placement=None,
            certificate=None,
        )
        rebuilt = {synapse.name: synapse for synapse in _limiters(changed)}
        synapses = tuple(
            rebuilt.get(synapse.name)
            or replace(synapse, connections=self._connections(synapse, channels, connections or {}))
            for synapse in graph.synapses
        )
        return replace(changed, synapses=synapses)

    def restored(self, trace: Trace) -> Trace:
        """Return a trace of the other graph in the numbers of the original."""
        columns = trace.columns
        mass, ledger = np.empty_like(trace.mass), np.empty_like(trace.ledger)
        transported = np.empty_like(trace.transported)
        flux = None if trace.flux is None else np.empty_like(trace.flux)
        for field in columns.fields:
            numbers, cells = self.number[field.holder], field.field.cells
            mass[:, field.first_cell + numbers[:cells]] = trace.mass[:, field.cells]
            ledger[:, field.first_reservoir + numbers[cells:] - cells] = trace.ledger[:, field.reservoirs]
        for channels in columns.channels:
            numbers, sign = channels.first + self.number[channels.population], self.sign[channels.population]
            transported[:, numbers] = trace.transported[:, channels.part] * sign
            if flux is not None and trace.flux is not None:
                flux[:, :, numbers] = trace.flux[:, :, channels.part] * sign
        return Trace(trace.step, mass, ledger, transported, trace.in_flight, columns, flux)

    def _reservoirs(self, field: Field, numbers: Integers) -> Integers:
        return np.sort(self.place[field.holder][field.cells + numbers] - field.cells)

    def _field(self, field: Field) -> Field:
        numbers = self.number[field.holder]
        cells, reservoirs = numbers[: field.cells], numbers[field.cells :] - field.cells
        ledgers = (Ledger("all", reservoirs.size),) if field.ledgers else ()
        return replace(
            field,
            inverse_volume=field.inverse_volume[cells],
            reservoirs=field.reservoirs[reservoirs],
            held=field.held[reservoirs],
            ledgers=ledgers,
        )

    def _channels(self, channels: Channels) -> Channels:
        numbers, is_reversed = self.number[channels.population], self.sign[channels.population] < 0
        source = self.place[channels.source_holder][channels.source[numbers]]
        target = self.place[channels.target_holder][channels.target[numbers]]
        return replace(
            channels, source=np.where(is_reversed, target, source), target=np.where(is_reversed, source, target)
        )

    def _population(self, population: Population) -> Population:
        numbers, sign = self.number[population.name], self.sign.get(population.name, np.int64(1))
        return replace(
            population,
            parameters={name: values[numbers] * sign for name, values in population.parameters.items()},
            start={name: values[numbers] for name, values in population.start.items()},
        )

    def _connections(
        self, synapse: Synapse, channels: tuple[Channels, ...], others: Mapping[str, Connections]
    ) -> Connections:
        if synapse.name in others:
            return others[synapse.name]
        ends = {each.population: each for each in channels}.get(synapse.source)
        if isinstance(synapse.connections, Incidence) and ends is not None:
            return replace(synapse.connections, source=ends.source, target=ends.target)
        rows, unsigned = synapse.mantissa_matrix(), np.int64(1)
        target, source = self.place[synapse.target][rows.row_of], self.place[synapse.source][rows.columns]
        of_target = np.broadcast_to(self.sign.get(synapse.target, unsigned), synapse.outputs)
        of_source = np.broadcast_to(self.sign.get(synapse.source, unsigned), synapse.inputs)
        values = rows.values * of_target[target] * of_source[source]
        return explicit(from_triplets(target, source, values, (synapse.outputs, synapse.inputs)))


def explicit(rows: Rows) -> Explicit:
    """Return rows as connections that are spelled out."""
    return Explicit(rows.starts, rows.columns, rows.values, rows.width)


def _limiters(graph: IntegerGraph) -> Iterator[Synapse]:
    """Yield the synapses of limiters, which follow from the ends of the channels."""
    for channels in graph.channels:
        program = graph.population(channels.population).program
        answers = {s.source for port in SHORT_PORTS for s in graph.into(channels.population, port)}
        if answers and set(program.ports) & {*LIMITER_PORTS}:
            field = graph.field_of(channels.source_holder)
            ends = ChannelEnds(channels.source, channels.target, field.cells, field.size)
            yield from limiter_synapses(
                ends, program, Joined(channels.source_holder, channels.population, min(answers))
            )
