"""Populations and synapses of a graph under construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.circuit import WORD, Circuit, TooWide
from pisnn_deploy.compiler.construct.fixed_point import Fixed, FixedPoint, Real
from pisnn_deploy.compiler.construct.tables import most_fraction
from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph import Synapse
from pisnn_deploy.graph.connections import Explicit
from pisnn_deploy.graph.layout import synapses
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Program, run
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.programs.clock import COUNT, Clock
from pisnn_deploy.programs.interval import Interval

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Signal:
    """What an output of a population sends: integers times ``2^-fraction``.

    Attributes
    ----------
    constant : int64 array [size] or None
        The integers of an output that never changes; no population sends them, and those who need them keep them.
    """

    population: str
    size: int
    fraction: int
    interval: Interval
    output: int = 0
    constant: Integers | None = None


@dataclass(frozen=True)
class Tap:
    """Weighted connections from a signal to neurons.

    Attributes
    ----------
    row, column : int64 array [connections]
        Neuron that receives, and neuron of the signal.
    weight : int64 array [connections]
        Whole factors.
    """

    signal: Signal
    row: Integers
    column: Integers
    weight: Integers

    def scaled_by(self, factor: int | Integers) -> Tap:
        """The same connections with weights times a factor, or one for each."""
        return replace(self, weight=self.weight * factor)


def tap(signal: Signal, row: Integers, column: Integers, weight: int | Integers = 1) -> Tap:
    """Connections to those rows whose column is not -1 (outside the domain)."""
    inside = column >= 0
    weights = np.broadcast_to(np.asarray(weight, np.int64), row.shape)
    return Tap(signal, row[inside], column[inside], weights[inside])


def divided(taps: Sequence[Tap], size: int, fraction: int) -> tuple[list[Tap], Integers]:
    """Taps of what populations send, and the sum of the others, int64 [size] with `fraction` fraction bits."""
    sent, total = [], np.zeros(size, np.int64)
    for entry in taps:
        if entry.signal.constant is None:
            sent += [entry] if entry.weight.any() else []
        else:
            values = entry.weight * entry.signal.constant[entry.column]
            np.add.at(total, entry.row, values * (1 << (fraction - entry.signal.fraction)))
    return sent, total


def reach(taps: Sequence[Tap], size: int, fraction: int) -> tuple[Floats, Floats]:
    """Least and largest integer that can arrive at each neuron, exact below 2^53."""
    low, high = np.zeros(size), np.zeros(size)
    for entry in taps:
        weight = entry.weight * (1 << (fraction - entry.signal.fraction))
        ends = [weight * end for end in (entry.signal.interval.lower, entry.signal.interval.upper)]
        low += np.bincount(entry.row, np.minimum(*ends).astype(np.float64), size)
        high += np.bincount(entry.row, np.maximum(*ends).astype(np.float64), size)
    return low, high


class Assembly:
    """Populations and synapses made so far."""

    def __init__(self) -> None:
        self.populations: list[Population] = []
        self.synapses: list[Synapse] = []

    def connect(self, taps: Sequence[Tap], target: str, size: int, port: str, fraction: int) -> None:
        """Add the synapses that bring signals to a port, as integers with `fraction` fraction bits."""
        for population, output in dict.fromkeys((entry.signal.population, entry.signal.output) for entry in taps):
            ours = [e for e in taps if (e.signal.population, e.signal.output) == (population, output)]
            rows = from_triplets(
                np.concatenate([entry.row for entry in ours]),
                np.concatenate([entry.column for entry in ours]),
                np.concatenate([entry.weight * (1 << (fraction - entry.signal.fraction)) for entry in ours]),
                (size, ours[0].signal.size),
            ).without_zeros()
            connections = Explicit(rows.starts, rows.columns, rows.values, rows.width)
            suffix = port.replace("_", "-")
            for number, synapse in enumerate(synapses(population, target, connections)):
                name = f"{population}-{output}-to-{target}-{suffix}" + (f"-{number + 1}" if number else "")
                self.synapses.append(replace(synapse, name=name, port=port, output=output))


class Block:
    """Neurons that compute expressions of what arrives at them, one or several populations in the end.

    Parameters
    ----------
    assembly : Assembly
        Takes the populations and synapses.
    name : str
        Name of the population.
    size : int
        Number of neurons.
    where : str
        Place of its expressions in the law, for messages.
    multiplies : bool
        Whether products are possible.
    word : int
        Signed width of every value.
    """

    def __init__(
        self, assembly: Assembly, name: str, size: int, where: str, multiplies: bool = True, word: int = WORD
    ) -> None:
        self.assembly, self.name, self.size = assembly, name, size
        self.circuit = Circuit(name, where, word)
        self.fixed = FixedPoint(self.circuit, where, multiplies)
        self._taps: dict[str, tuple[Sequence[Tap], int]] = {}
        self._parameters: dict[str, Integers] = {}
        self._known: dict[tuple[str, bytes], Real] = {}
        self._outputs: list[Fixed] = []
        self._clock: Clock | None = None

    def count(self, clock: Clock) -> Fixed:
        """Count of a clock before the PDE step; each of its populations has the clock as its state."""
        self._clock = clock
        return Fixed(self.circuit.port(COUNT, Interval(0, clock.highest)), 0)

    def sum(self, taps: Sequence[Tap], constant: Floats | None = None) -> Fixed:
        """Weighted sum of signals, plus a constant for each neuron."""
        fraction = max(entry.signal.fraction for entry in taps)
        taps, always = divided(taps, self.size, fraction)
        if always.any():
            constant = always * 2.0**-fraction + (0.0 if constant is None else constant)
        if not taps:
            nothing = np.zeros(self.size)
            return self.fixed.at(self.array(nothing if constant is None else constant, fraction), fraction)
        low, high = reach(taps, self.size, fraction)
        interval = Interval(int(low.min()), int(high.max()))
        if interval.bits > self.circuit.word:
            most = self.circuit.word
            reason = f"a sum of what arrives at {self.name} needs {interval.bits} signed bits; {most} are possible"
            raise TooWide(reason, self.fixed.where)
        port = self.circuit.port(f"port{len(self._taps)}" if self._taps else "arrival", interval)
        self._taps[port] = taps, fraction
        total: Real = Fixed(port, fraction)
        if constant is not None and constant.any():
            total = self.fixed.add(total, self.array(constant, fraction))
        assert isinstance(total, Fixed)
        return total

    def array(self, values: Floats, fraction: int) -> Real:
        """A constant for each neuron; a plain number where all are equal."""
        if values.size and (values == values[0]).all():
            return float(values[0])
        whole = np.rint(values * 2.0**fraction).astype(np.int64)
        name = f"constant{len(self._parameters)}"
        self._parameters[name] = whole
        return Fixed(self.circuit.parameter(name, Interval(int(whole.min()), int(whole.max()))), fraction)

    def known(self, name: str, values: Floats) -> Real:
        """A known function of place: one parameter for equal values."""
        key = name, values.tobytes()
        if key not in self._known:
            largest = float(np.abs(values).max(initial=0.0))
            self._known[key] = self.array(values, most_fraction(largest, self.circuit.word))
        return self._known[key]

    def send(self, value: Real, fraction: int) -> int:
        """Send a value with some fraction bits, or as many as fit; returns its number among the block's signals."""
        sent = self.fixed.at(value, min(fraction, most_fraction(self.fixed.largest(value), self.circuit.word)))
        if not isinstance(sent.operand, str) or sent.operand in {*self.circuit.ports, *self.circuit.parameters}:
            sent = Fixed(self.circuit.named(sent.operand), sent.fraction)
        self._outputs.append(sent)
        return len(self._outputs) - 1

    @property
    def where(self) -> str:
        """Place of its expressions in the law."""
        return self.fixed.where

    def ends(self, value: Fixed) -> tuple[Floats, Floats]:
        """Least and largest integer of a value at each neuron."""
        interval = self.fixed.interval(value)
        return np.full(self.size, float(interval.lower)), np.full(self.size, float(interval.upper))

    def finish(self) -> list[Signal]:
        """Make the populations; the signals in the order of `send`."""
        names = list(dict.fromkeys(str(sent.operand) for sent in self._outputs))
        known: dict[str, Signal] = {}
        each = np.arange(self.size, dtype=np.int64)
        fractions = {str(sent.operand): sent.fraction for sent in self._outputs}
        for stage in self.circuit.stages(names):
            program = self._with_clock(self._with_constants(stage.program, known))
            if not program.ports and not program.states:
                known |= self._constants(stage.name, program, fractions)
                continue
            parameters = {name: self._parameters[name] for name in program.parameters}
            self.assembly.populations.append(Population(stage.name, self.size, program, parameters))
            for port in program.ports:
                if port in self._taps:
                    self.assembly.connect(self._taps[port][0], stage.name, self.size, port, self._taps[port][1])
                else:
                    inner = tap(known[port], each, each)
                    self.assembly.connect([inner], stage.name, self.size, port, known[port].fraction)
            for output, name in enumerate(program.sends):
                interval = self.circuit.interval(name)
                known[name] = Signal(stage.name, self.size, fractions.get(name, 0), interval, output)
        return [known[str(sent.operand)] for sent in self._outputs]

    def _with_constants(self, program: Program, known: Mapping[str, Signal]) -> Program:
        """The program with parameters in place of ports at which only constants would arrive."""
        constants = {name: known[name].constant for name in program.ports if name in known}
        values = {name: constant for name, constant in constants.items() if constant is not None}
        self._parameters |= values
        ports = tuple(name for name in program.ports if name not in values)
        return replace(program, ports=ports, parameters=(*program.parameters, *values))

    def _with_clock(self, program: Program) -> Program:
        """The program with the state of a clock in place of the port of its count."""
        if self._clock is None or COUNT not in program.ports:
            return program
        counting = self._clock.program
        return replace(
            program,
            ports=tuple(name for name in program.ports if name != COUNT),
            states=counting.states,
            operations=(*counting.operations[:-1], *program.operations),
            after=counting.after,
        )

    def _constants(self, name: str, program: Program, fractions: Mapping[str, int]) -> dict[str, Signal]:
        """What a program without ports computes."""
        result = run(program, Arrays(), {parameter: self._parameters[parameter] for parameter in program.parameters})
        signals = {}
        for output, (sent, value) in enumerate(zip(program.sends, result.sends, strict=True)):
            values = np.broadcast_to(np.asarray(value, np.int64), self.size)
            interval = Interval(int(values.min()), int(values.max()))
            signals[sent] = Signal(name, self.size, fractions.get(sent, 0), interval, output, values)
        return signals
