"""What the values of sides change in the parameters of neurons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.programs.interval import Interval, hull

NOTHING = Interval(0, 0)
BIAS = "bias"
"""Parameter of the neurons that see reservoirs."""


@dataclass(frozen=True)
class Digits:
    """Biases that hold the digits of a number, see `pisnn_deploy.graph.digits`.

    Attributes
    ----------
    populations : tuple of str
        Lowest digit first.
    bits : int
        Of each digit but the last.
    raised : tuple of int
        Bias of each population for the number 0.
    lowest : int
        Level for which the number is 0.
    """

    populations: tuple[str, ...]
    bits: int
    raised: tuple[int, ...]
    lowest: int


@dataclass(frozen=True)
class Effect:
    """What a level of a value adds to a parameter, or to the number whose digits some biases hold.

    Attributes
    ----------
    population, parameter : str
        The last ones where there are digits.
    neurons, weights : int64 array [neurons]
        Which neurons change, and by how much for each level.
    digits : Digits or None
        Without, the parameter itself changes.
    """

    population: str
    parameter: str
    neurons: Integers
    weights: Integers
    digits: Digits | None = None

    @staticmethod
    def of(population: str, parameter: str, added: Integers, digits: Digits | None = None) -> Effect:
        """Effect that adds an array [neurons] for each level."""
        neurons = np.flatnonzero(added)
        return Effect(population, parameter, neurons, added[neurons], digits)

    def ranges(self, levels: Interval, value: int) -> Iterator[tuple[str, str, Integers, Integers]]:
        """Population, parameter, and what is added at least and at most to each of the neurons.

        Parameters
        ----------
        levels : Interval
            Of the value.
        value : int
            Level of the artifact.
        """
        if self.digits is None:
            ends = [self.weights * (end - value) for end in (levels.lower, levels.upper)]
            yield self.population, self.parameter, np.minimum(*ends), np.maximum(*ends)
            return
        # Any digit may become any other; the last one has what is left.
        whole = (1 << self.digits.bits) * np.ones_like(self.weights)
        for population in self.digits.populations[:-1]:
            yield population, BIAS, -whole, whole
        most = np.abs(self.weights) * (levels.upper - levels.lower)
        most = (most >> self.digits.bits * (len(self.digits.populations) - 1)) + 2
        yield self.population, self.parameter, -most, most


@dataclass(frozen=True)
class Side:
    """A side with one value.

    Attributes
    ----------
    value : int
        Level of the artifact.
    effects : tuple of Effect
        What another level changes.
    """

    name: str
    value: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Signal:
    """A side whose value is a table over time, sent by one neuron.

    Attributes
    ----------
    population : str
        The neuron.
    sent : Interval
        What it sends: from the least to the largest value of the table.
    values : tuple of (float, float)
        These values, in physical units.
    """

    name: str
    population: str
    sent: Interval
    values: tuple[float, float]


@dataclass(frozen=True)
class Sides:
    """Sides of a graph that can be set.

    Attributes
    ----------
    values : Interval
        Range of the values of `sides`, in quanta: the operating window.
    shift : int
        A level is two to this power quanta; values are rounded to the nearest level.
    upstream : tuple of str
        Populations whose values do not depend on sides.
    why : str
        Why there are none; completes a sentence.
    """

    values: Interval = NOTHING
    sides: tuple[Side, ...] = ()
    shift: int = 0
    upstream: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()
    why: str = ""

    @property
    def levels(self) -> Interval:
        """Range of the values, in levels."""
        return Interval(self.level(self.values.lower), self.level(self.values.upper))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that can be set."""
        return (*(side.name for side in self.sides), *(signal.name for signal in self.signals))

    @property
    def population(self) -> str:
        """The only population whose only parameter that changes is the bias; empty where there is more or nothing."""
        changed = {(e.population, e.parameter, e.digits is None) for side in self.sides for e in side.effects}
        if len(changed) != 1 or self.signals:
            return ""
        ((population, parameter, is_whole),) = changed
        return population if parameter == BIAS and is_whole else ""

    def level(self, quanta: int) -> int:
        """Nearest level."""
        return (quanta + (1 << self.shift >> 1)) >> self.shift

    def changes(self, population: str, parameter: str) -> bool:
        """Whether the values of sides change a parameter."""
        return any(
            (name, own) == (population, parameter)
            for side in self.sides
            for effect in side.effects
            for name, own, _, _ in effect.ranges(self.levels, side.value)
        )

    def range_of(self, population: str, parameter: str, values: Integers) -> Interval:
        """Range of a parameter while the values of the sides stay in theirs."""
        low, high = values.copy(), values.copy()
        for side in self.sides:
            for effect in side.effects:
                for name, own, least, most in effect.ranges(self.levels, side.value):
                    if (name, own) == (population, parameter):
                        low[effect.neurons] += least
                        high[effect.neurons] += most
        return hull((int(low.min()), int(high.max()))) if low.size else Interval(0, 0)
