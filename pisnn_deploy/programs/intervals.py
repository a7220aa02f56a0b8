"""Interval analysis of programs: bounds of every value, from bounds of the inputs."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.programs.interval import Interval, Intervals, hull
from pisnn_deploy.programs.language import WORD_BITS, Operand, Operation, Program
from pisnn_deploy.programs.reading import run

PROBED_BITS = 256
"""Largest signed width while probing with values beyond a word, such as distant states."""


class Excluded(ValueError):
    """No value of an interval is within its limit."""


class Unbounded(ValueError):
    """A state that the analysis cannot bound, or a value that exceeds every word."""


class TooWide(Unbounded, UsageError):
    """A value, or a full product or sum behind it, that exceeds the words of the backends.

    Parameters
    ----------
    name : str
        Name of the value.
    bits : int
        Signed bits that it may need.
    """

    def __init__(self, name: str, bits: int) -> None:
        self.name, self.bits = name, bits
        super().__init__(f"{name} may take {bits} signed bits before it is rounded; {WORD_BITS} are possible")


@dataclass
class _Tightened(Intervals):
    """Interval arithmetic with theorems about combinations of operations, and limits of some values.

    Attributes
    ----------
    makers : mapping of str to Operation
        Operation of each result.
    known : dict of str to Interval
        Intervals of inputs, and of results so far.
    limits : mapping of str to Interval
        Further limits of values.
    most_bits : int
        Signed width beyond which a value is refused.
    """

    makers: Mapping[Operand, Operation] = field(default_factory=dict)
    known: dict[str, Interval] = field(default_factory=dict)
    limits: Mapping[str, Interval] = field(default_factory=dict)
    most_bits: int = WORD_BITS

    def result(self, name: str, value: Interval) -> Interval:
        for theorem in (_kept_below_a_threshold, _decayed):
            tighter = theorem(self.makers, self.makers[name], self.known)
            value = value if tighter is None else tighter
        # A limit stops a run only after the value was computed, so the value must fit a word without the limit.
        self.require(name, value.bits, self._whole(self.makers[name]).bits)
        self.known[name] = self.limited(name, value)
        return self.known[name]

    def require(self, name: str, *bits: int) -> None:
        """Refuse a value that is too wide."""
        if builtins.max(bits) > self.most_bits:
            raise TooWide(name, builtins.max(bits))

    def _whole(self, operation: Operation) -> Interval:
        """Interval of an intermediate result before a shift."""
        if operation.name == "mul_shr":
            return self.products[-1]
        if operation.name != "fire":
            return Interval(0, 0)
        operand = operation.operands[0]
        potential = self.known[operand] if isinstance(operand, str) else Interval(operand, operand)
        half = 1 << int(operation.operands[-1]) >> 1
        return Interval(builtins.min(potential.lower, 0) - half, builtins.max(potential.upper, 0) + half - 1)

    def limited(self, name: str, value: Interval) -> Interval:
        """Restrict an interval to the limit of a value."""
        limit = self.limits.get(name, value)
        lower, upper = builtins.max(value.lower, limit.lower), builtins.min(value.upper, limit.upper)
        if lower > upper:
            raise Excluded(
                f"{name} ranges from {value.lower} to {value.upper}, but must be {limit.lower} to {limit.upper}"
            )
        return Interval(lower, upper)


def _kept_below_a_threshold(
    makers: Mapping[Operand, Operation], operation: Operation, known: Mapping[str, Interval]
) -> Interval | None:
    """``p - select(|p| >= T, p, 0)`` is within ``T - 1`` of 0."""
    if operation.name != "sub":
        return None
    potential, sent = operation.operands
    chosen = makers.get(sent, _INPUT)
    compared = makers.get(chosen.operands[0], _INPUT) if chosen.name == "select" else _INPUT
    size = makers.get(compared.operands[0], _INPUT) if compared.name == "ge" else _INPUT
    threshold = compared.operands[-1] if compared.operands else 0
    if chosen.operands[1:] != (potential, 0) or (size.name, size.operands) != ("abs", (potential,)):
        return None
    if not isinstance(threshold, int) or threshold < 1:
        return None
    return Interval(1 - threshold, threshold - 1)


def _decayed(
    makers: Mapping[Operand, Operation], operation: Operation, known: Mapping[str, Interval]
) -> Interval | None:
    """``copysign((|x| k) >> n, x)`` increases with x and is odd."""
    if operation.name != "copysign":
        return None
    size, state = makers.get(operation.operands[0], _INPUT), operation.operands[1]
    if size.name != "mul_shr" or not isinstance(state, str):
        return None
    absolute, (factor, bits) = makers.get(size.operands[0], _INPUT), size.operands[1:]
    if (absolute.name, absolute.operands) != ("abs", (state,)) or not isinstance(factor, int) or factor < 0:
        return None
    ends = (known[state].lower, known[state].upper)
    return hull(end * factor >> int(bits) if end > 0 else -(-end * factor >> int(bits)) for end in ends)


def _makers(program: Program) -> dict[Operand, Operation]:
    return {result: operation for operation in program.operations for result in operation.results}


_INPUT = Operation((), "input", ())
"""Stands for the operation of inputs."""


def bounds(
    program: Program,
    inputs: Mapping[str, Interval],
    limits: Mapping[str, Interval] | None = None,
    most_bits: int = PROBED_BITS,
) -> dict[str, Interval]:
    """Compute bounds of every value of a program in one step.

    Parameters
    ----------
    program : Program
        What is bounded.
    inputs : mapping
        Bounds of each port, state and parameter.
    limits : mapping, optional
        Limits of values that are enforced elsewhere, by name.
    most_bits : int, optional
        Largest signed width of a value or full product.

    Returns
    -------
    dict
        Bounds of each named value, and of full products as ``name*`` with the name of their shifted result.

    Raises
    ------
    Excluded
        If a limit excludes every value.
    TooWide
        If a value or a full product needs more than `most_bits`.
    """
    reader = _Tightened(makers=_makers(program), limits=limits or {}, most_bits=most_bits)
    for name in program.inputs:
        reader.known[name] = reader.limited(name, inputs[name])
        reader.require(name, reader.known[name].bits)
    values = run(program, reader, dict(reader.known)).values
    multiplied = [operation.results[0] for operation in program.operations if operation.name == "mul_shr"]
    return {**values, **{f"{name}*": whole for name, whole in zip(multiplied, reader.products, strict=True)}}


_FAR = 1 << 62
"""Size of states that stands for infinity; divisible by every power of two up to 62."""


def invariant(
    program: Program,
    inputs: Mapping[str, Interval],
    limits: Mapping[str, Interval] | None = None,
    starts: Mapping[str, Interval] | None = None,
) -> dict[str, Interval]:
    """Compute bounds of every value of a program that hold in every step.

    The new value of a state is either bounded independently of the old one, or a contracting affine function of it,
    whose fixed point is the bound. The bounds are checked afterwards.

    Parameters
    ----------
    program : Program
        What is bounded.
    inputs : mapping
        Bounds of each port and parameter.
    limits : mapping, optional
        Limits of values that are enforced elsewhere, by name; those of states also apply to their new values.
    starts : mapping, optional
        Bounds of initial states (default: 0, or the value after the first inputs).

    Returns
    -------
    dict
        Bounds of each value, as from `bounds`.

    Raises
    ------
    Excluded
        If a limit excludes every value.
    Unbounded
        If a state grows without limit, or the analysis finds no bound.
    TooWide
        If a value or a full product needs more than 64 signed bits.
    """
    becomes = dict(zip(program.states, program.after, strict=True))
    limits = dict(limits or {})
    for state, value in becomes.items():
        if state in limits or value in limits:
            limits[state] = limits[value] = limits.get(state, limits.get(value, Interval(-_FAR, _FAR)))
    if not becomes:
        return bounds(program, inputs, limits, WORD_BITS)

    def after(states: Mapping[str, Interval], known_limits: Mapping[str, Interval]) -> dict[str, Interval]:
        values = bounds(program, {**inputs, **states}, known_limits)
        return {state: values[name] for state, name in becomes.items()}

    nowhere, half, far = (after(dict.fromkeys(becomes, Interval(-reach, reach)), {}) for reach in (0, _FAR // 2, _FAR))
    states = {}
    for state in becomes:
        if half[state] == far[state]:
            states[state] = far[state]
        else:
            lower = -_fixed_point(-nowhere[state].lower, -far[state].lower)
            states[state] = Interval(lower, _fixed_point(nowhere[state].upper, far[state].upper))
        if starts and state in starts:
            states[state] = hull((states[state].lower, states[state].upper, starts[state].lower, starts[state].upper))
        limit = limits.get(state, states[state])
        ends = builtins.max(states[state].lower, limit.lower), builtins.min(states[state].upper, limit.upper)
        states[state] = Interval(*ends) if ends[0] <= ends[1] else limit
    limits |= _other_terms(program, inputs, limits)
    values = bounds(program, {**inputs, **states}, limits)
    for state, name in becomes.items():
        if values[name].lower < states[state].lower or values[name].upper > states[state].upper:
            raise Unbounded(f"state {state} of {program.name} may grow without limit")
    return bounds(program, {**inputs, **states}, limits, WORD_BITS)


def _fixed_point(added: int, far: int) -> int:
    """Fixed point of ``s x + added`` with the slope s that maps `_FAR` to `far`, at least 0."""
    slope = far - added
    if slope >= _FAR:
        return _FAR
    return builtins.max(added, 0) * _FAR // (_FAR - slope)


def _other_terms(
    program: Program, inputs: Mapping[str, Interval], limits: Mapping[str, Interval]
) -> dict[str, Interval]:
    """Derive limits of the terms of a limited sum."""
    if not limits:
        return {}
    at_limit = {state: limits.get(state, Interval(-_FAR, _FAR)) for state in program.states}
    values = bounds(program, {**inputs, **at_limit}, limits)
    terms: dict[str, Interval] = {}
    makers = _makers(program)
    for name, limit in limits.items():
        operation = makers.get(name, _INPUT)
        for first, second in (operation.operands, operation.operands[::-1]) if operation.name == "add" else ():
            subtracted = values[second] if isinstance(second, str) else Interval(int(second), int(second))
            if isinstance(first, str) and first not in limits:
                terms[first] = Interval(limit.lower - subtracted.upper, limit.upper - subtracted.lower)
    return terms
