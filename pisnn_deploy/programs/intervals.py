"""Programs in intervals: a bound of every value, from bounds of what goes in."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.programs.language import WORD_BITS, Operand, Operation, Program
from pisnn_deploy.programs.reading import run


@dataclass(frozen=True)
class Interval:
    """All integers from `lower` to `upper`, both included.

    Attributes
    ----------
    lower, upper : int
        In any order refused: ``lower <= upper``.
    """

    lower: int
    upper: int

    def __post_init__(self) -> None:
        if self.lower > self.upper:
            raise ValueError(f"no integer lies between {self.lower} and {self.upper}")

    @property
    def bits(self) -> int:
        """Signed width that holds every integer of the interval."""
        return signed_width(self.lower, self.upper)


def _hull(corners: Iterable[int]) -> Interval:
    values = list(corners)
    return Interval(builtins.min(values), builtins.max(values))


@dataclass
class Intervals:
    """Interval arithmetic with Python's integers: sound, and exact for each operation by itself.

    Attributes
    ----------
    products : list of Interval
        The whole product of each ``mul_shr``, before its shift: a word of the target must hold it, too.
    """

    products: list[Interval] = field(default_factory=list)

    def constant(self, number: int) -> Interval:
        return Interval(number, number)

    def result(self, name: str, value: Interval) -> Interval:
        return value

    def add(self, a: Interval, b: Interval) -> Interval:
        return Interval(a.lower + b.lower, a.upper + b.upper)

    def sub(self, a: Interval, b: Interval) -> Interval:
        return Interval(a.lower - b.upper, a.upper - b.lower)

    def neg(self, a: Interval) -> Interval:
        return Interval(-a.upper, -a.lower)

    def abs(self, a: Interval) -> Interval:
        ends = (builtins.abs(a.lower), builtins.abs(a.upper))
        return Interval(0 if a.lower <= 0 <= a.upper else builtins.min(ends), builtins.max(ends))

    def min(self, a: Interval, b: Interval) -> Interval:
        return Interval(builtins.min(a.lower, b.lower), builtins.min(a.upper, b.upper))

    def max(self, a: Interval, b: Interval) -> Interval:
        return Interval(builtins.max(a.lower, b.lower), builtins.max(a.upper, b.upper))

    def shl(self, a: Interval, bits: int) -> Interval:
        return Interval(a.lower << bits, a.upper << bits)

    def asr(self, a: Interval, bits: int) -> Interval:
        return Interval(a.lower >> bits, a.upper >> bits)

    def mul_shr(self, a: Interval, b: Interval, bits: int) -> Interval:
        product = _hull(x * y for x in (a.lower, a.upper) for y in (b.lower, b.upper))
        self.products.append(product)
        return self.asr(product, bits)

    def copysign(self, a: Interval, b: Interval) -> Interval:
        parts = []
        if b.upper > 0:
            parts += [a.lower, a.upper]
        if b.lower < 0:
            parts += [-a.upper, -a.lower]
        if b.lower <= 0 <= b.upper:
            parts.append(0)
        return _hull(parts)

    def lt(self, a: Interval, b: Interval) -> Interval:
        return Interval(int(a.upper < b.lower), int(a.lower < b.upper))

    def ge(self, a: Interval, b: Interval) -> Interval:
        less = self.lt(a, b)
        return Interval(1 - less.upper, 1 - less.lower)

    def eq(self, a: Interval, b: Interval) -> Interval:
        same = a.lower == a.upper == b.lower == b.upper
        return Interval(int(same), int(a.lower <= b.upper and b.lower <= a.upper))

    def select(self, condition: Interval, a: Interval, b: Interval) -> Interval:
        if condition.lower == condition.upper == 0:
            return b
        if condition.lower > 0 or condition.upper < 0:
            return a
        return Interval(builtins.min(a.lower, b.lower), builtins.max(a.upper, b.upper))

    def table(self, index: Interval, entries: tuple[int, ...]) -> Interval:
        first, last = (builtins.min(builtins.max(end, 0), len(entries) - 1) for end in (index.lower, index.upper))
        return _hull(entries[first : last + 1])

    def fire(self, potential: Interval, exponent: int) -> tuple[Interval, Interval]:
        # The packet rises with the potential. The rest of `v` is within half of theta of 0 whatever `v` is; where no
        # packet fires it is `v` itself.
        half = (1 << exponent) // 2

        def packet(v: int) -> int:
            fired = (builtins.abs(v) + half - 1) >> exponent
            return fired if v > 0 else -fired

        packets = Interval(packet(potential.lower), packet(potential.upper))
        rest = potential if packets.lower == packets.upper == 0 else Interval(-half, half)
        return packets, rest


PROBED_BITS = 256
"""Signed width of what values are tried with that are no word's, such as states from far away."""


class Excluded(ValueError):
    """An empty interval: no value lies within the limits."""


class Unbounded(ValueError):
    """A state that the analysis cannot bound, or a value beyond every word."""


class TooWide(Unbounded, UsageError):
    """A value, or a whole product or sum that makes it, which no word of the backends holds.

    Parameters
    ----------
    name : str
        The value.
    bits : int
        Signed bits that it may take.
    """

    def __init__(self, name: str, bits: int) -> None:
        self.name, self.bits = name, bits
        super().__init__(f"{name} may take {bits} signed bits before it is rounded; {WORD_BITS} are possible")


@dataclass
class _Tightened(Intervals):
    """Interval arithmetic that knows how values are made, and the limits of some.

    Attributes
    ----------
    makers : mapping of str to Operation
        What makes each result.
    known : dict of str to Interval
        Inputs, and results so far.
    limits : mapping of str to Interval
        Interval that each value is known to lie in besides.
    most_bits : int
        Beyond which a value is refused.
    """

    makers: Mapping[Operand, Operation] = field(default_factory=dict)
    known: dict[str, Interval] = field(default_factory=dict)
    limits: Mapping[str, Interval] = field(default_factory=dict)
    most_bits: int = WORD_BITS

    def result(self, name: str, value: Interval) -> Interval:
        for theorem in (_kept_below_a_threshold, _decayed):
            tighter = theorem(self.makers, self.makers[name], self.known)
            value = value if tighter is None else tighter
        # A limit stops a run after it has worked out the value, so that a word must hold it without the limit.
        self.require(name, value.bits, self._whole(self.makers[name]).bits)
        self.known[name] = self.limited(name, value)
        return self.known[name]

    def require(self, name: str, *bits: int) -> None:
        """Refuse a value that is too wide."""
        if builtins.max(bits) > self.most_bits:
            raise TooWide(name, builtins.max(bits))

    def _whole(self, operation: Operation) -> Interval:
        """What an operation works out before it shifts."""
        if operation.name == "mul_shr":
            return self.products[-1]
        if operation.name != "fire":
            return Interval(0, 0)
        operand = operation.operands[0]
        potential = self.known[operand] if isinstance(operand, str) else Interval(operand, operand)
        half = 1 << int(operation.operands[-1]) >> 1
        return Interval(builtins.min(potential.lower, 0) - half, builtins.max(potential.upper, 0) + half - 1)

    def limited(self, name: str, value: Interval) -> Interval:
        """What a limit leaves of the values of a name."""
        limit = self.limits.get(name, value)
        lower, upper = builtins.max(value.lower, limit.lower), builtins.min(value.upper, limit.upper)
        if lower > upper:
            raise Excluded(f"{name} is {value.lower} to {value.upper}, and must be {limit.lower} to {limit.upper}")
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
    """``copysign((|x| k) >> n, x)`` grows with x, and is odd."""
    if operation.name != "copysign":
        return None
    size, state = makers.get(operation.operands[0], _INPUT), operation.operands[1]
    if size.name != "mul_shr" or not isinstance(state, str):
        return None
    absolute, (kept, bits) = makers.get(size.operands[0], _INPUT), size.operands[1:]
    if (absolute.name, absolute.operands) != ("abs", (state,)) or not isinstance(kept, int) or kept < 0:
        return None
    ends = (known[state].lower, known[state].upper)
    return _hull(end * kept >> int(bits) if end > 0 else -(-end * kept >> int(bits)) for end in ends)


def _makers(program: Program) -> dict[Operand, Operation]:
    return {result: operation for operation in program.operations for result in operation.results}


_INPUT = Operation((), "input", ())
"""What makes a value that no operation makes."""


def bounds(
    program: Program,
    inputs: Mapping[str, Interval],
    limits: Mapping[str, Interval] | None = None,
    most_bits: int = PROBED_BITS,
) -> dict[str, Interval]:
    """Bounds of every value of a program.

    Parameters
    ----------
    program : Program
        What is bounded.
    inputs : mapping
        Bounds of each port, state and parameter.
    limits : mapping, optional
        What something else keeps values within, by name.
    most_bits : int, optional
        Signed bits of the widest value, or whole product, that is not refused. What leaves even the default is of no
        use to anybody, and would only grow until no memory holds it.

    Returns
    -------
    dict
        Bounds of each named value; those of whole products as ``name*``, ``name`` being their shifted result.

    Raises
    ------
    Excluded
        A limit leaves nothing of a value.
    TooWide
        A value, or a whole product, takes more bits.
    """
    reader = _Tightened(makers=_makers(program), limits=limits or {}, most_bits=most_bits)
    for name in program.inputs:
        reader.known[name] = reader.limited(name, inputs[name])
        reader.require(name, reader.known[name].bits)
    values = run(program, reader, dict(reader.known)).values
    multiplied = [operation.results[0] for operation in program.operations if operation.name == "mul_shr"]
    return {**values, **{f"{name}*": whole for name, whole in zip(multiplied, reader.products, strict=True)}}


_FAR = 1 << 62
"""States from here on are probed as if they were at infinity; a multiple of every power of two that shifts drop."""


def invariant(
    program: Program,
    inputs: Mapping[str, Interval],
    limits: Mapping[str, Interval] | None = None,
    starts: Mapping[str, Interval] | None = None,
) -> dict[str, Interval]:
    """Bounds of every value of a program that hold at every step.

    A state may stay, whatever it was before, within some bounds; or become an affine function of itself that shrinks,
    whose fixed point bounds it. That these bounds are kept is then checked.

    Parameters
    ----------
    program : Program
        What is bounded.
    inputs : mapping
        Bounds of each port and parameter.
    limits : mapping, optional
        What something else keeps values within, by name. What holds of a state holds of what it becomes.
    starts : mapping, optional
        Bounds of what states start at; of those that are not named it is 0, or what they become of the first inputs.

    Returns
    -------
    dict
        As `bounds`.

    Raises
    ------
    Excluded
        A limit leaves nothing of a value.
    Unbounded
        A state that grows for ever, or seems to: intervals see no bound that its operations keep.
    TooWide
        A value, or a whole product, takes more than 64 signed bits.
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
            states[state] = _hull((states[state].lower, states[state].upper, starts[state].lower, starts[state].upper))
        limit = limits.get(state, states[state])
        ends = builtins.max(states[state].lower, limit.lower), builtins.min(states[state].upper, limit.upper)
        states[state] = Interval(*ends) if ends[0] <= ends[1] else limit
    limits |= _other_terms(program, inputs, limits)
    values = bounds(program, {**inputs, **states}, limits)
    for state, name in becomes.items():
        if values[name].lower < states[state].lower or values[name].upper > states[state].upper:
            raise Unbounded(f"state {state} of {program.name} grows without limit, as far as intervals tell")
    return bounds(program, {**inputs, **states}, limits, WORD_BITS)


def _fixed_point(added: int, far: int) -> int:
    """Where ``s x + added`` is x, s being known from what becomes of `_FAR`; 0 where x shrinks to less than that."""
    slope = far - added
    if slope >= _FAR:
        return _FAR
    return builtins.max(added, 0) * _FAR // (_FAR - slope)


def _other_terms(
    program: Program, inputs: Mapping[str, Interval], limits: Mapping[str, Interval]
) -> dict[str, Interval]:
    """Limits of what is added to something else, where their sum has one."""
    if not limits:
        return {}
    at_limit = {state: limits.get(state, Interval(-_FAR, _FAR)) for state in program.states}
    values = bounds(program, {**inputs, **at_limit}, limits)
    terms: dict[str, Interval] = {}
    makers = _makers(program)
    for name, limit in limits.items():
        operation = makers.get(name, _INPUT)
        for part, other in (operation.operands, operation.operands[::-1]) if operation.name == "add" else ():
            taken = values[other] if isinstance(other, str) else Interval(int(other), int(other))
            if isinstance(part, str) and part not in limits:
                terms[part] = Interval(limit.lower - taken.upper, limit.upper - taken.lower)
    return terms
