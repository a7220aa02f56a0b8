"""Probes: spikes and states of chosen neurons, recorded with each row of a trace.

Row `n` has what lies between the states after PDE steps `n - 1` and `n`: packets (and requests and answers) that led
to the masses of PDE step `n`, and what all other populations send for these masses. So the spikes of all rows add up to
the events that a run counts, if every PDE step is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph

Integers = NDArray[np.int64]

SPIKES = "spikes"
"""Name of the payloads that a population sends at its only output; with several outputs, the output's name follows."""
_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")


@dataclass(frozen=True)
class Probe:
    """Neurons to record.

    Attributes
    ----------
    population : str
        Their population.
    neurons : int64 array [n]
        Their numbers, ascending.
    """

    population: str
    neurons: Integers

    @property
    def text(self) -> str:
        """The probe as `probes_of` reads it."""
        ends = np.flatnonzero(np.diff(self.neurons) != 1)
        firsts = self.neurons[np.concatenate([[0], ends + 1])].tolist()
        lasts = self.neurons[np.concatenate([ends, [-1]])].tolist()
        runs = (str(first) if first == last else f"{first}-{last}" for first, last in zip(firsts, lasts, strict=True))
        return f"{self.population}:{','.join(runs)}"


@dataclass(frozen=True)
class Probed:
    """Recorded values of a probe.

    Attributes
    ----------
    values : mapping of str to int64 array [rows, neurons]
        By quantity, see `quantities`. Spikes are payloads: 0 sends nothing.
    """

    probe: Probe
    values: Mapping[str, Integers]

    @property
    def states(self) -> dict[str, Integers]:
        """Values that are not spikes."""
        return {name: rows for name, rows in self.values.items() if name.partition(".")[0] != SPIKES}

    def spikes(self, output: str | None = None) -> Integers:
        """Spikes of an output, int64 [rows, neurons].

        Parameters
        ----------
        output : str, optional
            Its name; may be left out if there is only one.

        Raises
        ------
        UsageError
            There is no such output, or none was named and there are several.
        """
        names = {name.partition(".")[2]: name for name in self.values if name.partition(".")[0] == SPIKES}
        if len(names) == 1 and output is None:
            return self.values[next(iter(names.values()))]
        if output not in names:
            known = ", ".join(filter(None, names))
            raise UsageError(
                f"{self.probe.population}: has the outputs {known}; name one of them"
                if known
                else f"{self.probe.population}: has a single output without a name"
            )
        return self.values[names[output]]

    def counts(self) -> dict[str, Any]:
        """Figures of the recorded rows, for reports: spikes by output, which is empty without a name, and states."""
        spikes = {name.partition(".")[2]: rows for name, rows in self.values.items() if name not in self.states}
        return {
            "population": self.probe.population,
            "neurons": int(self.probe.neurons.size),
            "rows": len(next(iter(self.values.values()), ())),
            "spikes": {
                output: {
                    "sent": int(np.count_nonzero(rows)),
                    "neurons": int((rows != 0).any(axis=0).sum()),
                    "least": int(rows.min(initial=0)),
                    "largest": int(rows.max(initial=0)),
                }
                for output, rows in spikes.items()
            },
            "states": {
                name: {"least": int(rows.min()), "largest": int(rows.max())}
                for name, rows in self.states.items()
                if rows.size
            },
        }

    def at(self, rows: Integers | slice) -> Probed:
        """Select rows.

        Parameters
        ----------
        rows : int64 array or slice
            Numbers of the rows; a slice gives views.
        """
        return Probed(self.probe, {name: values[rows] for name, values in self.values.items()})


def probed_of(probes: Sequence[Probed], population: str) -> Probed:
    """Return what was recorded of a population.

    Raises
    ------
    UsageError
        It was not probed.
    """
    by_name = {probed.probe.population: probed for probed in probes}
    if population not in by_name:
        close = get_close_matches(population, by_name, 1)
        known = f"did you mean {close[0]}?" if close else f"simulate with `probe` {population}"
        raise UsageError(f"{population!r} was not probed; {known}")
    return by_name[population]


def probes_of(graph: IntegerGraph, texts: Iterable[str]) -> tuple[Probe, ...]:
    """Read probes.

    Parameters
    ----------
    texts : iterable of str
        ``POPULATION`` or ``POPULATION:NEURONS`` each; neurons are numbers from 0 and ranges with both ends, such as
        ``flux:0-9,63``. Neurons of a population that is named again are added.

    Returns
    -------
    tuple of Probe
        One for each population, in the order of the graph.

    Raises
    ------
    UsageError
        There is no such population, or no such neuron.
    """
    chosen: dict[str, list[Integers]] = {}
    for text in texts:
        name, colon, numbers = text.partition(":")
        if name not in graph.chain:
            close = get_close_matches(name, graph.chain, 1)
            hint = f"did you mean {close[0]}?" if close else f"the graph has {', '.join(graph.chain)}"
            raise UsageError(f"`probe` {text}: no population has the name {name!r}; {hint}")
        size = graph.size(name)
        everything = np.arange(size, dtype=np.int64)
        chosen.setdefault(name, []).append(_numbers(text, numbers, size) if colon else everything)
    return tuple(Probe(name, np.unique(np.concatenate(chosen[name]))) for name in graph.chain if name in chosen)


def _numbers(text: str, numbers: str, size: int) -> Integers:
    parts = []
    for part in numbers.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                f"`probe` {text}: {part.strip()!r} is not a neuron; expected numbers from 0 and ranges, such as 0-9,63"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise UsageError(f"`probe` {text}: the range {part.strip()} ends before it starts; expected {last}-{first}")
        if last >= size:
            raise UsageError(f"`probe` {text}: there is no neuron {last}; the population has neurons 0 to {size - 1}")
        parts.append(np.arange(first, last + 1, dtype=np.int64))
    return np.concatenate(parts)


def outputs_of(graph: IntegerGraph, population: str) -> dict[int, str]:
    """Name of the spikes of each output of a population that has synapses."""
    sends = graph.population(population).program.sends
    used = sorted({synapse.output for synapse in graph.synapses if synapse.source == population})
    return {output: SPIKES if len(used) == 1 else f"{SPIKES}.{sends[output]}" for output in used}


def states_of(graph: IntegerGraph, population: str) -> tuple[str, ...]:
    """Names of the recorded states: the mass of holders, current and residue of channels."""
    if population in graph.holders:
        return ("mass",)
    return ("current", "residue") if any(each.population == population for each in graph.channels) else ()


def quantities(graph: IntegerGraph, population: str) -> tuple[str, ...]:
    """Names of what a probe of a population records.

    Parameters
    ----------
    population : str
        Its name.

    Returns
    -------
    tuple of str
        Spikes of each output, then states; reservoirs of holders never send, and their mass is their ledger.
    """
    return (*outputs_of(graph, population).values(), *states_of(graph, population))


def empty_probed(graph: IntegerGraph, probes: Sequence[Probe], rows: int) -> tuple[Probed, ...]:
    """Create rows of zeros, which is also what row 0 of a run has for channels."""
    return tuple(
        Probed(
            probe,
            {name: np.zeros((rows, probe.neurons.size), np.int64) for name in quantities(graph, probe.population)},
        )
        for probe in probes
    )


def bytes_of_probes(graph: IntegerGraph, probes: Sequence[Probe]) -> int:
    """Size of a row of all probes."""
    return sum(8 * probe.neurons.size * len(quantities(graph, probe.population)) for probe in probes)
