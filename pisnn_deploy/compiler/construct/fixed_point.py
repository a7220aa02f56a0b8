"""Expressions in fixed point: every value is an integer times a power of two, with a proved interval.

Products keep as many fraction bits as fit a word. Functions of one value are tables with linear interpolation, clamped
to the range of their argument; a reciprocal whose table is coarse takes one step of Newton's method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pisnn_deploy.compiler.construct.circuit import Circuit, TooWide
from pisnn_deploy.compiler.construct.kinds_of_expressions import (
    factors,
    is_linear,
    is_polynomial,
    is_reciprocal,
    is_smooth,
    whole,
)
from pisnn_deploy.compiler.construct.tables import (
    SPLIT_BITS,
    Function,
    Undefined,
    coarse_end,
    interpolated,
    is_too_fast,
    most_fraction,
    piece_bits,
)
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.expression import Call, Expression, Number, Symbol, evaluate, free_names, to_text
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.language import Operand

_MOST_DIGITS = 8
"""Powers of two of which a constant is the sum where nothing multiplies."""
MOST_SPLITS = 3
"""Tables besides the first one for a function that bends sharply at an end of its range, such as a root at 0."""
_COARSE = 2.0**-18
"""Relative error of a reciprocal beyond which a step of Newton's method follows."""


@dataclass(frozen=True)
class Fixed:
    """A value ``operand * 2^-fraction`` of a circuit."""

    operand: Operand
    fraction: int


Real = Fixed | float
"""A value of a circuit, or a constant that is rounded where it meets one."""


class FixedPoint:
    """Lowers expressions to operations of one circuit.

    Parameters
    ----------
    circuit : Circuit
        Takes the operations.
    where : str
        Place of the expressions in the law, for messages.
    multiplies : bool
        Whether products of two values are possible; without them, functions of one value are tables alone.

    Attributes
    ----------
    is_unbiased : bool
        Whether products are rounded to the nearest rather than down, for one bit and two operations each. Fluxes need
        no such care: neighbouring faces round alike.
    """

    def __init__(self, circuit: Circuit, where: str, multiplies: bool = True) -> None:
        self.circuit, self.where, self.multiplies = circuit, where, multiplies
        self.is_unbiased = False
        self._known: dict[Expression, Real] = {}

    def name(self, symbol: str, value: Real) -> None:
        """Give the value of a symbol."""
        self._known[Symbol(symbol)] = value

    def lower(self, expression: Expression) -> Real:
        """Value of an expression of named symbols.

        Raises
        ------
        UsageError
            A part of it is not defined in the whole range, or leaves its word.
        """
        known = self._known.get(expression)
        if known is None:
            try:
                known = self._lowered(expression)
            except TooWide as error:
                text = to_text(expression)
                raise UsageError(f"{self.where}: {text} {error.reason}; narrow the range") from None
            self._known[expression] = known
        return known

    def _lowered(self, expression: Expression) -> Real:
        if isinstance(expression, Number):
            return float(expression.value)
        if isinstance(expression, Symbol):
            raise KeyError(expression.name)
        names = free_names(expression)
        if not names:
            return float(evaluate(expression, {}))
        if len(names) == 1:
            table = self._univariate(expression, next(iter(names)))
            if table is not None:
                return table
        function, arguments = expression.function, expression.arguments
        if function in ("mul", "div", "pow") and (function != "pow" or whole(arguments[1]) is not None):
            return self._product(expression)
        if function == "pow":
            return self.lower(Call("exp", (Call("mul", (arguments[1], Call("log", (arguments[0],)))),)))
        values = [self.lower(argument) for argument in arguments]
        return self._call(expression, function, values)

    def _call(self, expression: Call, function: str, values: list[Real]) -> Real:
        if function in ("sqrt", "exp", "log", "sin", "cos", "tanh"):
            (value,) = values
            assert isinstance(value, Fixed)
            return self.table(value, lambda x: evaluate(Call(function, (Symbol("x"),)), {"x": x}), to_text(expression))
        if function == "neg":
            return self.negated(values[0])
        if function == "abs":
            (value,) = values
            assert isinstance(value, Fixed)
            return Fixed(self.circuit.apply("abs", value.operand), value.fraction)
        if function == "where":
            low, high, then, other = values
            a, b = self.aligned(low, high)
            c, d = self.aligned(then, other)
            condition = self.circuit.apply("lt", a.operand, b.operand)
            return Fixed(self.circuit.apply("select", condition, c.operand, d.operand), c.fraction)
        if function == "add":
            return self.add(values[0], values[1])
        if function == "sub":
            return self.add(values[0], values[1], "sub")
        a, b = self.aligned(values[0], values[1])
        return Fixed(self.circuit.apply(function, a.operand, b.operand), a.fraction)

    # Arithmetic of values

    def interval(self, value: Fixed) -> Interval:
        """Interval of the integer of a value."""
        return self.circuit.interval(value.operand)

    def at_least_one_operation(self, value: Real) -> Fixed:
        """The value as the result of an operation.

        Raises
        ------
        UsageError
            It is constant.
        """
        if isinstance(value, float) or isinstance(value.operand, int):
            raise UsageError(f"{self.where}: is constant")
        if value.operand in (*self.circuit.ports, *self.circuit.parameters):
            return Fixed(self.circuit.named(value.operand), value.fraction)
        return value

    def negated(self, value: Real) -> Real:
        """Negative of a value."""
        if isinstance(value, float):
            return -value
        return Fixed(self.circuit.apply("neg", value.operand), value.fraction)

    def clamped(self, value: Fixed, lower: float, upper: float) -> Fixed:
        """The value within limits, which are rounded inwards."""
        low, high = (math.ceil(lower * 2.0**value.fraction), math.floor(upper * 2.0**value.fraction))
        raised = self.circuit.apply("max", value.operand, low)
        return Fixed(self.circuit.apply("min", raised, high), value.fraction)

    def at(self, value: Real, fraction: int, rounded: bool = True) -> Fixed:
        """The value with another number of fraction bits."""
        if isinstance(value, float):
            return Fixed(_nearest(value, fraction, self.where, self.circuit.word), fraction)
        shift = value.fraction - fraction
        if shift <= 0:
            return Fixed(self.circuit.apply("shl", value.operand, -shift), fraction)
        if shift > self.circuit.word:
            return Fixed(0, fraction)  # every word is less than half of a unit
        if rounded:
            return Fixed(self.circuit.rounded(value.operand, shift), fraction)
        return Fixed(self.circuit.apply("asr", value.operand, shift), fraction)

    def largest(self, value: Real) -> float:
        """Largest magnitude of a value."""
        if isinstance(value, float):
            return abs(value)
        interval = self.interval(value)
        return max(abs(interval.lower), abs(interval.upper)) * 2.0**-value.fraction

    def _aligned(self, first: Real, second: Real, largest: float) -> tuple[Fixed, Fixed]:
        """Both values with the same fraction bits, as many as one of them has and as fit a value up to `largest`."""
        fractions = [value.fraction for value in (first, second) if isinstance(value, Fixed)]
        most = most_fraction(largest, self.circuit.word)
        common = min(max(fractions, default=most), most)
        a, b = (self.at(value, common, rounded=self.is_unbiased) for value in (first, second))
        return a, b

    def aligned(self, first: Real, second: Real) -> tuple[Fixed, Fixed]:
        """Both values with the same fraction bits, as many as fit."""
        return self._aligned(first, second, max(self.largest(first), self.largest(second)))

    def add(self, first: Real, second: Real, operation: str = "add") -> Real:
        """Sum or difference of two values."""
        if isinstance(first, float) and isinstance(second, float):
            return first + second if operation == "add" else first - second
        if second == 0.0:
            return first
        if first == 0.0:
            return second if operation == "add" else self.negated(second)
        a, b = self._aligned(first, second, self.largest(first) + self.largest(second))
        return Fixed(self.circuit.apply(operation, a.operand, b.operand), a.fraction)

    def larger(self, first: Real, second: Real) -> Real:
        """The larger of two values."""
        if isinstance(first, float) and isinstance(second, float):
            return max(first, second)
        a, b = self.aligned(first, second)
        return Fixed(self.circuit.apply("max", a.operand, b.operand), a.fraction)

    def scaled(self, value: Real, factor: float) -> Real:
        """Product with a constant: a power of two costs nothing."""
        if isinstance(value, float):
            return value * factor
        if factor == 0.0:
            return 0.0
        mantissa, exponent = math.frexp(abs(factor))
        if mantissa == 0.5:
            scaled = Fixed(value.operand, value.fraction - (exponent - 1))
            return self.negated(scaled) if factor < 0 else scaled
        if not self.multiplies:
            return self._shifted(value, factor)
        # The largest value decides how many fraction bits fit; the constant has at most 22 bits.
        fraction = most_fraction(self.largest(value) * abs(factor), self.circuit.word)
        bits = 22 - exponent
        shift = value.fraction + bits - fraction
        if shift < 0:
            fraction, shift = fraction + shift, 0
        constant = round(factor * 2.0**bits)
        return self._rounded(Fixed(self.circuit.apply("mul_shr", value.operand, constant, shift), fraction), shift)

    def _shifted(self, value: Fixed, factor: float) -> Real:
        """Product with a constant as a sum of shifted values: the nearest powers of two, one after the other."""
        total: Real = 0.0
        rest = factor
        for _ in range(_MOST_DIGITS):
            mantissa, exponent = math.frexp(rest)
            power = math.copysign(2.0 ** (exponent - (abs(mantissa) < 0.75)), rest)
            total = self.add(total, self.scaled(value, power))
            rest -= power
            if abs(rest) < 2.0**-22 * abs(factor):
                break
        return total

    def multiplied(self, first: Real, second: Real) -> Real:
        """Product of two values."""
        if isinstance(first, float):
            return self.scaled(second, first)
        if isinstance(second, float):
            return self.scaled(first, second)
        if not self.multiplies:
            raise UsageError(f"{self.where}: needs products of two values, which the target lacks")
        a, b = self.interval(first), self.interval(second)
        largest = max(abs(x * y) for x in (a.lower, a.upper) for y in (b.lower, b.upper)) or 1
        both = first.fraction + second.fraction
        fraction = most_fraction(largest * 2.0**-both, self.circuit.word)
        shift = both - fraction
        if shift < 0:
            fraction, shift = both, 0
        product = self.circuit.apply("mul_shr", *sorted((str(first.operand), str(second.operand))), shift)
        if first.operand == second.operand:
            product = self.circuit.apply("max", product, 0)  # always true, but intervals alone do not show it
        return self._rounded(Fixed(product, fraction), shift)

    def _rounded(self, product: Fixed, shift: int) -> Fixed:
        """A product with one bit less, rounded to the nearest, where rounding must not have a bias."""
        return self.at(product, product.fraction - 1) if shift and self.is_unbiased else product

    # Products and powers

    def _product(self, expression: Expression) -> Real:
        """Product of factors with whole exponents; each divisor is paired with a factor, to keep sizes moderate."""
        constant, powers = factors(expression)
        values, divisors = [], []
        for factor, exponent in powers.items():
            if exponent > 0:
                values += [self.lower(factor)] * exponent
            elif exponent < 0:
                inverse = self._reciprocal(factor)
                divisors += [inverse] * -exponent
        paired: list[Real] = []
        for number, divisor in enumerate(divisors):
            paired.append(self.multiplied(values[number], divisor) if number < len(values) else divisor)
        paired += values[len(divisors) :]
        while len(paired) > 1:
            # Equal factors first: their products are shared.
            pairs = [
                self.multiplied(paired[n], paired[n + 1]) if n + 1 < len(paired) else paired[n]
                for n in range(0, len(paired), 2)
            ]
            paired = pairs
        product = paired[0] if paired else 1.0
        return self.scaled(product, constant)

    def _reciprocal(self, factor: Expression) -> Real:
        inverse = Call("div", (Number(1.0), factor))
        known = self._known.get(inverse)
        if known is not None:
            return known
        value = self.lower(factor)
        if isinstance(value, float):
            raise AssertionError("constants are folded")
        interval = self.interval(value)
        if interval.lower <= 0 <= interval.upper:
            raise UsageError(f"{self.where}: {to_text(factor)} may be 0 inside the range, and the law divides by it")
        made = self.table(value, lambda x: 1.0 / x, to_text(inverse))
        nearest = min(abs(interval.lower), abs(interval.upper))
        step = 1 << piece_bits(interval)
        error = (step / nearest) ** 2 / 4
        if error > _COARSE and self.multiplies:
            made = self._refined(value, made, min(1.0, 2 * error))
        self._known[inverse] = made
        return made

    def _refined(self, value: Fixed, inverse: Fixed, most: float) -> Fixed:
        """Step of Newton's method, ``y + y (1 - x y)``, whose bracket is at most `most` in size."""
        rest = self.add(1.0, self.multiplied(value, inverse), "sub")
        assert isinstance(rest, Fixed)
        correction = self.multiplied(inverse, self.clamped(rest, -most, most))
        total = self.add(inverse, correction)
        assert isinstance(total, Fixed)
        return total

    # Tables

    def _univariate(self, expression: Call, name: str) -> Real | None:
        """Value of a function of one symbol as one table, unless products are as good."""
        value = self._known.get(Symbol(name))
        if not isinstance(value, Fixed) or (self.multiplies and is_polynomial(expression)):
            return None
        if not self.multiplies and is_linear(expression):
            return None
        if self.multiplies and not is_smooth(expression):
            return None
        if self.multiplies and is_reciprocal(expression):
            return None
        return self.table(value, lambda x: evaluate(expression, {name: x}), to_text(expression))

    def table(self, value: Fixed, function: Function, text: str, splits: int = MOST_SPLITS) -> Fixed:
        """A function of one value as a table over its interval; an end where that is coarse has a table of its own.

        Parameters
        ----------
        function : callable
            Takes and returns float64 arrays.
        text : str
            The function, for messages.
        splits : int
            Most further tables.
        """
        interval = self.interval(value)
        end = coarse_end(interval, value.fraction, function) if splits and self.multiplies else None
        if end is not None:
            part = (interval.upper - interval.lower) >> SPLIT_BITS
            border = interval.lower + part if end == "lower" else interval.upper - part
            below = Fixed(self.circuit.apply("min", value.operand, border), value.fraction)
            above = Fixed(self.circuit.apply("max", value.operand, border), value.fraction)
            is_below = self.circuit.apply("lt", value.operand, border)
            tables = [
                self.table(side, function, text, splits - 1 if end == own else 0)
                for side, own in ((below, "lower"), (above, "upper"))
            ]
            low, high = self.aligned(*tables)
            return Fixed(self.circuit.apply("select", is_below, low.operand, high.operand), low.fraction)
        if is_too_fast(interval, value.fraction, function):
            raise UsageError(f"{self.where}: {text} changes too fast in its range for a table; narrow the range")
        try:
            operand, fraction = interpolated(self.circuit, value.operand, value.fraction, function, self.multiplies)
        except Undefined as error:
            raise UsageError(
                f"{self.where}: {text} has no finite value at {error.place:.6g}, inside its range"
            ) from None
        return Fixed(operand, fraction)


def _nearest(value: float, fraction: int, where: str, word: int) -> int:
    nearest = round(value * 2.0**fraction)
    if abs(nearest) >= 1 << (word - 1):
        raise TooWide(f"the constant {value:g} needs more than {word} bits with {fraction} fraction bits", where)
    return nearest
