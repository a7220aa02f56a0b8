"""Interval analysis of programs, with three theorems.

1. The rest of ``fire(v, F)`` is within ``2^(F-1)`` of 0.
2. ``p - select(|p| >= T, p, 0)`` is within ``T - 1`` of 0.
3. ``copysign((|x| k) >> n, x)`` is odd and increases with x, and its shift rounds towards 0. So a state that decays
   this way with ``k < 2^n`` and adds d in each step never exceeds the geometric series ``d 2^n / (2^n - k)``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pisnn_deploy.verify.programs import Node, Reading, packet_of, shift_of, value_of

Span = tuple[int, int]
"""Smallest and largest integer."""
WORD_BITS = 64
"""Signed width of every named value, and of intermediate results before a shift."""
PROBED_BITS = 256
"""Largest signed width while probing with unrestricted states."""
FAR = 1 << 64
"""Beyond every word; a state whose value can reach this is unbounded."""


class Unbounded(Exception):
    """No theorem bounds a state; the message names the state and the reason."""


class TooWide(Unbounded):
    """A value, or an intermediate result before a shift, exceeds a word; the message names the value."""


class Spans:
    """Intervals of the values of a program at every step.

    Parameters
    ----------
    inputs : mapping of str to (int, int)
        Intervals of ports, parameters and known states.
    starts : mapping of str to (int, int), optional
        Intervals of initial states (default: 0, or the value after the first inputs).
    limits : mapping of int to (int, int), optional
        Intervals of nodes that are enforced elsewhere.
    most_bits : int, optional
        Signed width beyond which a value is refused.
    """

    def __init__(
        self,
        reading: Reading,
        inputs: Mapping[str, Span],
        starts: Mapping[str, Span] | None = None,
        limits: Mapping[int, Span] | None = None,
        most_bits: int = WORD_BITS,
    ) -> None:
        self._most_bits = most_bits
        self._reading, self._inputs, self._limits = reading, inputs, dict(limits or {})
        self._starts = dict(starts or {})
        self._known: dict[int, Span] = {}
        self._asked: set[str] = set()

    def of(self, number: int) -> Span:
        """Interval of a node.

        Raises
        ------
        Unbounded
            If it depends on a state that no theorem bounds, or a limit excludes every value.
        TooWide
            If it needs too many bits before a limit applies: limits stop a run only after the value exists.
        """
        if number not in self._known:
            node = self._reading.nodes[number]
            low, high = self._made(node)
            if node.extra not in self._reading.states:
                self._require_word(number, low, high)
            least, most = self._limits.get(number, (low, high))
            self._known[number] = max(low, least), min(high, most)
            if max(low, least) > min(high, most):
                raise Unbounded(f"{low} to {high} is outside the limit {least} to {most}")
        return self._known[number]

    def _made(self, node: Node) -> Span:
        if node.name == "input":
            name = str(node.extra)
            if name in self._inputs:
                return self._inputs[name]
            # The theorems hold for any initial state once the interval includes it.
            low, high = self._state(name)
            start = self._starts.get(name, (low, high))
            return min(low, start[0]), max(high, start[1])
        rest = reset_limit(self._reading, node)
        if rest is not None:
            return -rest, rest
        decay = decayed(self._reading, node)
        if decay is not None:
            low, high = (_decay(end, *decay[1:]) for end in self.of(decay[0]))
            return low, high
        spans = [self.of(value) for value in node.values]
        self._require_word(self._reading.numbers[node], *_unshifted(node, spans))
        return _span(node, spans)

    def _require_word(self, number: int, low: int, high: int) -> None:
        bits = max((-low - 1 if low < 0 else low).bit_length(), (-high - 1 if high < 0 else high).bit_length()) + 1
        if bits > self._most_bits:
            name = next((name for name, named in self._reading.names.items() if named == number), "a constant")
            raise TooWide(f"{name} may take {bits} signed bits before it is rounded; {WORD_BITS} are possible")

    def _state(self, name: str) -> Span:
        """Interval of a state: from a geometric series, or from its new value for unrestricted states."""
        reading = self._reading
        if name in self._asked:
            raise Unbounded(f"state {name} grows by itself")
        self._asked.add(name)
        number = reading.after[name]
        series = _series(reading, reading.nodes[number], name)
        if series is not None:
            added, factor, bits = series
            low, high = self.of(added)
            whole, lost = 1 << bits, (1 << bits) - factor
            low, high = -(max(-low, 0) * whole // lost), max(high, 0) * whole // lost
            least, most = self._limits.get(number, (low, high))
            return max(low, least), min(high, most)
        anything = dict.fromkeys(reading.states, (-2 * FAR, 2 * FAR))
        probe = Spans(reading, {**self._inputs, **anything}, limits=self._limits, most_bits=PROBED_BITS)
        try:
            low, high = probe.of(number)
        except TooWide:
            raise Unbounded(f"state {name} grows by itself") from None
        if max(-low, high) >= FAR:
            raise Unbounded(f"state {name} grows by itself")
        return low, high


def decayed(reading: Reading, node: Node) -> tuple[int, int, int] | None:
    """Return x, k and n of ``copysign((|x| k) >> n, x)`` with ``k >= 0``, or None."""
    if node.name != "copysign":
        return None
    size = reading.nodes[node.values[0]]
    if size.name != "mul_shr":
        return None
    absolute, factor = (reading.nodes[value] for value in size.values)
    if (absolute.name, factor.name) != ("abs", "constant") or absolute.values != node.values[1:]:
        return None
    multiplier, bits = shift_of(factor.extra), shift_of(size.extra)
    return (node.values[1], multiplier, bits) if multiplier >= 0 else None


def _decay(number: int, multiplier: int, bits: int) -> int:
    """``copysign((|x| k) >> n, x)``."""
    return number * multiplier >> bits if number > 0 else -(-number * multiplier >> bits)


def reset_limit(reading: Reading, node: Node) -> int | None:
    """Return T - 1 of ``p - select(|p| >= T, p, 0)`` with ``T >= 1``, or None."""
    if node.name != "sub" or reading.nodes[node.values[1]].name != "select":
        return None
    potential, sent = node.values
    condition, yes, no = reading.nodes[sent].values
    compared, nothing = reading.nodes[condition], reading.nodes[no]
    if compared.name != "ge" or yes != potential or (nothing.name, nothing.extra) != ("constant", 0):
        return None
    size, threshold = (reading.nodes[value] for value in compared.values)
    if (size.name, size.values, threshold.name) != ("abs", (potential,), "constant"):
        return None
    least = shift_of(threshold.extra)
    return least - 1 if least >= 1 else None


def _series(reading: Reading, node: Node, state: str) -> tuple[int, int, int] | None:
    """Return d, k and n of a state set to ``d + copysign((|state| k) >> n, state)`` with ``k < 2^n``, or None."""
    if node.name != "add":
        return None
    for part, added in (node.values, node.values[::-1]):
        decay = decayed(reading, reading.nodes[part])
        if decay is not None and decay[0] == reading.names[state] and decay[1] < 1 << decay[2]:
            return added, *decay[1:]
    return None


def _unshifted(node: Node, spans: list[Span]) -> Span:
    """Interval of an intermediate result before a shift; (0, 0) where the result itself is at least as wide."""
    if node.name == "mul_shr":
        products = [x * y for x in spans[0] for y in spans[1]]
        return min(products), max(products)
    if node.name in ("fired", "rest"):
        half = 1 << shift_of(node.extra) - 1
        return min(spans[0][0], 0) - half, max(spans[0][1], 0) + half - 1
    return 0, 0


def _span(node: Node, spans: list[Span]) -> Span:
    """Interval of an operation from the intervals of its operands alone."""
    match node.name, spans:
        case "constant", []:
            return shift_of(node.extra), shift_of(node.extra)
        case "sub", [(a, b), (c, d)]:
            return a - d, b - c
        case "neg", [(a, b)]:
            return -b, -a
        case "abs", [(a, b)]:
            return max(a, -b, 0), max(-a, b)
        case "mul_shr", [(a, b), (c, d)]:
            products = [x * y >> shift_of(node.extra) for x in (a, b) for y in (c, d)]
            return min(products), max(products)
        case "copysign", [(a, b), (c, d)]:
            signed = [a, b] * (d > 0) + [-a, -b] * (c < 0) + [0] * (c <= 0 <= d)
            return min(signed), max(signed)
        case "lt" | "ge", [(a, b), (c, d)]:
            least, most = int(b < c), int(a < d)
            return (least, most) if node.name == "lt" else (1 - most, 1 - least)
        case "eq", [(a, b), (c, d)]:
            return int(a == b == c == d), int(a <= d and c <= b)
        case "select", [(c, d), yes, no]:
            if c <= 0 <= d:
                return no if c == d else (min(yes[0], no[0]), max(yes[1], no[1]))
            return yes
        case "table", [(a, b)] if isinstance(node.extra, tuple):
            last = len(node.extra) - 1
            entries = node.extra[max(0, min(a, last)) : max(0, min(b, last)) + 1]
            return min(entries), max(entries)
        case "rest", [(a, b)]:
            half = 1 << shift_of(node.extra) - 1
            fires = any(packet_of(end, shift_of(node.extra)) for end in (a, b))
            return (-half, half) if fires else (a, b)
    # All other operations increase with each operand.
    low, high = (value_of(node, [span[end] for span in spans], {}) for end in (0, 1))
    return low, high
