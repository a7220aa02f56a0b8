"""What probed neurons did between two states of a run, for backends whose states are those of the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pisnn_deploy.audit.facts import channel_facts
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.semantics import Results, Semantics, State
from pisnn_deploy.runs.probes import Integers, Probe, Probed, outputs_of
from pisnn_deploy.runs.run import RunState

_Values = dict[str, Integers]


class ProbedRows:
    """Fills the rows of probes from consecutive states.

    Masses, packets, currents and residues are the backend's own. What populations without states send follows from the
    masses by the reference.

    Parameters
    ----------
    probes : sequence of Probe
        What to record.
    steps : int
        Number of PDE steps of the whole run; after the last, only masses are sent.
    """

    def __init__(self, graph: IntegerGraph, probes: Sequence[Probe], steps: int) -> None:
        self._graph, self._steps = graph, steps
        self._semantics = Semantics(graph)
        self._columns = columns_of(graph)
        self._delta = graph.coding == "delta"
        between = {population.name for population in graph.between_fields}
        self._hears_between = any(probe.population in between for probe in probes)
        self._between: tuple[int, Results] = (-1, {})

    def fill(self, probed: Sequence[Probed], row: int, before: RunState | None, after: RunState) -> None:
        """Fill a row.

        Parameters
        ----------
        probed : sequence of Probed
            Rows of each probe.
        before : RunState or None
            State one PDE step before; None at the start of the run.
        """
        flux = None if before is None else flux_between(self._graph, before, after)
        sent = self._sent_between(before, after) if self._hears_between else {}
        asked = self._asked(before)
        for values in probed:
            name = values.probe.population
            if name in self._graph.holders:
                row_values = self._of_holders(name, before, after)
            elif name in sent:
                row_values = dict(zip(outputs_of(self._graph, name).values(), sent[name], strict=True))
            else:
                row_values = self._of_channels(name, before, after, flux)
            row_values |= asked.get(name, {})
            for quantity, rows in values.values.items():
                if quantity in row_values:
                    rows[row] = row_values[quantity][values.probe.neurons]

    def _of_holders(self, name: str, before: RunState | None, after: RunState) -> _Values:
        columns = next(field for field in self._columns.fields if field.holder == name)
        holders = slice(columns.held_cells.start, columns.held_reservoirs.stop)
        mass = after.mass[holders]
        last = mass if before is None else before.mass[holders]
        sent = mass - last if self._delta else mass.copy()
        sent[columns.field.cells :] = 0
        return {"mass": mass, **dict.fromkeys(outputs_of(self._graph, name).values(), sent)}

    def _of_channels(self, name: str, before: RunState | None, after: RunState, flux: Integers | None) -> _Values:
        """Packets, currents and residues; nothing of populations that only answer channels."""
        columns = next((channels for channels in self._columns.channels if channels.population == name), None)
        if columns is None or before is None or flux is None:
            return {}
        packets, current, residue = flux[:, columns.part]
        values = {"current": current, "residue": residue}
        for output, spikes in outputs_of(self._graph, name).items():
            again = (name, output) in self._graph.heard_again
            values[spikes] = residue - before.residue[columns.part] if again else packets
        return values

    def _asked(self, before: RunState | None) -> dict[str, _Values]:
        """What channels asked, what was answered and what they sent, where they ask before they fire."""
        if before is None or not self._graph.order.asking:
            return {}
        messages = self._semantics.step(_state_of(before), before.step).messages
        return {
            name: {spikes: sends[output] for output, spikes in outputs_of(self._graph, name).items()}
            for name, sends in messages.items()
        }

    def _sent_between(self, before: RunState | None, after: RunState) -> dict[str, list[Integers]]:
        results = self._results(after)
        last = results if before is None else self._results(before)
        self._between = after.step, results
        sent = {}
        for name, result in results.items():
            outputs = outputs_of(self._graph, name)
            new = [result.sends[output] for output in outputs]
            if after.step == self._steps:
                new = [np.zeros_like(values) for values in new]
            elif self._delta:
                old = [last[name].sends[output] for output in outputs]
                new = [values - sent_last for values, sent_last in zip(new, old, strict=True)]
            sent[name] = new
        return sent

    def _results(self, state: RunState) -> Results:
        step, results = self._between
        return results if step == state.step else self._semantics.between(state.mass, state.step)


def flux_between(graph: IntegerGraph, before: RunState, after: RunState) -> Integers:
    """Packets, currents and residues of a PDE step, int64 [3, channels].

    The current follows from the change of the residue.
    """
    rules = [facts.firing for facts in channel_facts(graph)]
    if any(rule is None or rule.withholding is not None for rule in rules):
        # Withheld packets are not in the state, so repeat the step.
        state = Semantics(graph).step(_state_of(before), before.step)
        return np.stack([state.packets, state.current, state.residue])
    packets = after.transported - before.transported
    exponents = np.array([0 if rule is None else rule.exponent for rule in rules], np.int64)
    sizes = [channels.size for channels in graph.channels]
    current = (packets << np.repeat(exponents, sizes)) + after.residue - before.residue
    return np.stack([packets, current, after.residue])


def _state_of(state: RunState) -> State:
    nothing = np.zeros_like(state.residue)
    return State(state.mass, nothing, state.residue, nothing, state.current)
