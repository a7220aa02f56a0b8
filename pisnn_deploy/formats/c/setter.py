"""C of `pisnn_set_boundary`: values of sides that a program sets while it runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.formats.c.effects import BIAS, Digits, Effect, Side
from pisnn_deploy.formats.c.neurons import INDENT, array_of_values
from pisnn_deploy.formats.c.plan import Neurons, Plan
from pisnn_deploy.formats.c.types import WORD, identifiers, literal, type_of

CHANGED, SET, GIVEN = "pisnn_side_levels", "pisnn_signal_is_set", "pisnn_signals"
"""Arrays: level of each side, whether a value takes the place of a table, and that value."""


def declared_sides(parts: Plan) -> Iterator[str]:
    """Declarations of the sides that can be set, or why there are none."""
    sides = parts.sides
    yield ""
    if not sides.names:
        yield f"/* No side can be set while the program runs: {sides.why}. */"
        return
    if sides.sides:
        low, high = sides.values.lower, sides.values.upper
        yield f"/* Sides whose value may change while the program runs, from {low} to {high} quanta. */"
        yield f"#define PISNN_SMALLEST_BOUNDARY {literal(low)}"
        yield f"#define PISNN_LARGEST_BOUNDARY {literal(high)}"
        if sides.shift:
            yield f"/* Values are rounded to the nearest multiple of {1 << sides.shift} quanta. */"
    if sides.signals:
        yield "/* Sides whose table over time a value replaces; its smallest and largest one are those of the table: */"
    for signal in sides.signals:
        name = _side_name(signal.name)
        yield f"#define {name}_SMALLEST {literal(signal.sent.lower)} /* {signal.values[0]!r} */"
        yield f"#define {name}_LARGEST {literal(signal.sent.upper)} /* {signal.values[1]!r} */"
    yield f"enum pisnn_side {{ {', '.join(map(_side_name, sides.names))} }};"
    yield "/* Set the value of a side; returns 0, or 1 if it is out of range, which changes nothing. */"
    yield "int pisnn_set_boundary(unsigned side, int32_t quanta);"


def _side_name(name: str) -> str:
    return f"PISNN_{identifiers([name])[name].upper()}"


def values_of_sides(parts: Plan) -> Iterator[str]:
    """Arrays that hold what was set."""
    sides = parts.sides
    if sides.sides:
        yield from array_of_values(CHANGED, np.array([side.value for side in sides.sides], np.int64), "static int32_t")
    if sides.signals:
        nothing = np.zeros(len(sides.signals), np.int64)
        yield from array_of_values(SET, nothing, "static int8_t")
        yield from array_of_values(GIVEN, nothing, "static int32_t")


def in_place_of_sent(parts: Plan, neurons: Neurons) -> Iterator[str]:
    """Statements that replace what a neuron sent by a value that was set."""
    for number, signal in enumerate(parts.sides.signals):
        if signal.population == neurons.population.name:
            (array,) = neurons.sends.values()
            yield f"{INDENT}if ({SET}[{number}] != 0) {{"
            yield f"{INDENT * 2}{array.name}[0] = ({array.type}){GIVEN}[{number}];"
            yield f"{INDENT}}}"


def set_boundary(parts: Plan) -> Iterator[str]:
    """Function that sets the value of a side."""
    sides = parts.sides
    if not sides.names:
        return
    for number, side in enumerate(sides.sides):
        for place, effect in enumerate(side.effects):
            yield from array_of_values(f"{_prefix(number, place)}_neurons", effect.neurons)
            yield from array_of_values(f"{_prefix(number, place)}_weights", effect.weights)
    ranges = [sides.values] * len(sides.sides) + [signal.sent for signal in sides.signals]
    for name, ends in (
        ("pisnn_side_least", [interval.lower for interval in ranges]),
        ("pisnn_side_most", [interval.upper for interval in ranges]),
    ):
        yield from array_of_values(name, np.array(ends, np.int64), "static const int32_t")
    yield ""
    yield "int pisnn_set_boundary(unsigned side, int32_t quanta)"
    yield "{"
    if sides.sides:
        yield f"{INDENT}pisnn_index n;"
        yield f"{INDENT}int32_t level;"
        yield f"{INDENT}int32_t change;"
    yield f"{INDENT}if (side >= {len(ranges)} || quanta < pisnn_side_least[side] || quanta > pisnn_side_most[side]) {{"
    yield f"{INDENT * 2}return 1;"
    yield f"{INDENT}}}"
    count = len(sides.sides)
    if sides.signals:
        inner = INDENT * 2 if count else INDENT
        yield from [f"{INDENT}if (side >= {count}) {{"] if count else []
        yield f"{inner}{GIVEN}[side - {count}] = quanta;"
        yield f"{inner}{SET}[side - {count}] = 1;"
        yield f"{inner}return 0;"
        yield from [f"{INDENT}}}"] if count else []
    if sides.sides:
        yield from _changes(parts)
    yield "}"
    yield ""


def _changes(parts: Plan) -> Iterator[str]:
    """Statements that change the parameters of neurons that see a side."""
    shift = parts.sides.shift
    rounded = f"(quanta + {literal(1 << shift >> 1)}) >> {shift}" if shift else "quanta"
    yield f"{INDENT}level = {rounded};"
    yield f"{INDENT}change = level - {CHANGED}[side];"
    yield f"{INDENT}{CHANGED}[side] = level;"
    yield f"{INDENT}switch (side) {{"
    for number, side in enumerate(parts.sides.sides):
        yield f"{INDENT}case {_side_name(side.name)}:"
        yield from _side(parts, number, side)
        yield f"{INDENT * 2}break;"
    yield f"{INDENT}default:"
    yield f"{INDENT * 2}break;"
    yield f"{INDENT}}}"
    if all(effect.digits is not None for side in parts.sides.sides for effect in side.effects):
        yield f"{INDENT}(void)change;"
    yield f"{INDENT}return 0;"


def _side(parts: Plan, number: int, side: Side) -> Iterator[str]:
    for place, effect in enumerate(side.effects):
        prefix = _prefix(number, place)
        yield f"{INDENT * 2}for (n = 0; n < {effect.neurons.size}; n++) {{"
        if effect.digits is None:
            at = f"{_tables(parts, effect.population)}_{effect.parameter}[{prefix}_neurons[n]]"
            kind = _type(parts, effect.population, effect.parameter)
            wide = _computed(parts, effect)
            yield f"{INDENT * 3}{at} = ({kind})({at} + ({wide}){prefix}_weights[n] * change);"
        else:
            yield from _digits(parts, effect, effect.digits, prefix)
        yield f"{INDENT * 2}}}"


def _digits(parts: Plan, effect: Effect, digits: Digits, prefix: str) -> Iterator[str]:
    """Statements that write the digits of a number into biases."""
    indent, half = INDENT * 3, 1 << digits.bits >> 1
    levels = parts.sides.levels
    farthest = max(abs(end - digits.lowest) for end in (levels.lower, levels.upper))
    most = int(np.abs(effect.weights).max(initial=0)) * farthest
    kind = "int32_t" if most + half < 1 << WORD - 1 else "int64_t"
    yield f"{indent}{kind} rest = ({kind}){prefix}_weights[n] * (level - {literal(digits.lowest)});"
    yield f"{indent}const {kind} sign = rest < 0 ? -1 : 1;"
    yield f"{indent}{kind} digit;"
    yield f"{indent}rest = sign * rest;"
    for population, raised in zip(digits.populations[:-1], digits.raised, strict=False):
        cast = _type(parts, population, BIAS)
        yield f"{indent}digit = ((rest + {half}) & {2 * half - 1}) - {half};"
        at = f"{_tables(parts, population)}_{BIAS}[{prefix}_neurons[n]]"
        yield f"{indent}{at} = ({cast})({literal(raised)} + sign * digit);"
        yield f"{indent}rest = (rest - digit) >> {digits.bits};"
    cast = _type(parts, effect.population, BIAS)
    at = f"{_tables(parts, effect.population)}_{BIAS}[{prefix}_neurons[n]]"
    yield f"{indent}{at} = ({cast})({literal(digits.raised[-1])} + sign * rest);"


def _computed(parts: Plan, effect: Effect) -> str:
    """Type that holds any change of a parameter and any sum of a change and a value."""
    levels, values = parts.sides.levels, parts.graph.population(effect.population).parameters[effect.parameter]
    ends = parts.sides.range_of(effect.population, effect.parameter, values)
    most = int(np.abs(effect.weights).max(initial=0)) * (levels.upper - levels.lower)
    most += max(abs(ends.lower), abs(ends.upper))
    return "int32_t" if most < 1 << WORD - 1 else "int64_t"


def _prefix(side: int, effect: int) -> str:
    return f"pisnn_side_{side}_{effect}" if effect else f"pisnn_side_{side}"


def _tables(parts: Plan, population: str) -> str:
    """Prefix of the parameters of a population."""
    return next(neurons.tables for neurons in parts.neurons if neurons.population.name == population)


def _type(parts: Plan, population: str, parameter: str) -> str:
    values = parts.graph.population(population).parameters[parameter]
    return type_of(parts.sides.range_of(population, parameter, values))
