"""Text of functions in LLVM's intermediate representation: typed values, loops over arrays, and reductions.

Integers wrap. A value has the width that its bounds need; an operation converts its operands, which is exact modulo the
width of the result. A loop declares that its accesses are independent, so that LLVM may run several turns at once;
reductions are in local variables, which LLVM keeps in registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

WORD, LONG = 32, 64
"""Widths of computed values."""


class Value(NamedTuple):
    """An integer in a function: a register or a number, and its width in bits."""

    text: str
    bits: int

    @property
    def kind(self) -> str:
        """Its type."""
        return f"i{self.bits}"

    @property
    def is_known(self) -> bool:
        """Whether it is a number."""
        return self.text.lstrip("-").isdigit()


def number(value: int, bits: int = LONG) -> Value:
    """Return a constant."""
    return Value(str(value), bits)


class Function:
    """Text of one function in the making.

    Attributes
    ----------
    opening : list of str
        Local variables and pointers, made once at the beginning.
    lines : list of str
        The body so far.
    group : int
        Number of the loop that is being written, whose accesses are independent; 0 outside of loops.
    """

    def __init__(self, name: str, arguments: str, result: str = "void", *, is_entry: bool = False) -> None:
        self._head = (
            f"define {'' if is_entry else 'internal '}{result} @{name}({arguments}) {'' if is_entry else 'noinline '}{{"
        )
        self.opening: list[str] = []
        self.lines: list[str] = []
        self.group = 0
        self.groups: list[int] = []
        self._count = 0
        self._pointers: dict[tuple[str, int], str] = {}

    def text(self) -> str:
        """Return the whole function; its last line must leave it."""
        return "\n".join([self._head, "entry:", *self.opening, "  br label %body", "body:", *self.lines, "}", ""])

    def name(self) -> str:
        """Return an unused number for registers and labels."""
        self._count += 1
        return str(self._count)

    def line(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(f"  {text}")

    def set(self, text: str) -> str:
        """Append an instruction and return its register."""
        register = f"%v{self.name()}"
        self.lines.append(f"  {register} = {text}")
        return register

    def label(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(f"{name}:")

    def jump(self, name: str) -> None:
        """Go on at a block."""
        self.line(f"br label %{name}")

    def branch(self, condition: Value, yes: str, no: str) -> None:
        """Go on at one of two blocks."""
        self.line(f"br i1 {condition.text}, label %{yes}, label %{no}")

    # Values.

    def cast(self, value: Value, bits: int) -> Value:
        """Return the value in another width: extended with its sign, or cut off."""
        if value.bits == bits:
            return value
        if value.is_known:
            return Value(str(_wrapped(int(value.text), bits)), bits)
        word = "sext" if bits > value.bits else "trunc"
        return Value(self.set(f"{word} {value.kind} {value.text} to i{bits}"), bits)

    def both(self, word: str, a: Value, b: Value, bits: int) -> Value:
        """Return the result of an instruction on two operands of some width."""
        first, second = self.cast(a, bits), self.cast(b, bits)
        return Value(self.set(f"{word} i{bits} {first.text}, {second.text}"), bits)

    def add(self, a: Value, b: Value, bits: int) -> Value:
        """Sum, in the given width."""
        if b.text == "0":
            return self.cast(a, bits)
        return self.cast(b, bits) if a.text == "0" else self.both("add", a, b, bits)

    def sub(self, a: Value, b: Value, bits: int) -> Value:
        """Difference, in the given width."""
        return self.cast(a, bits) if b.text == "0" else self.both("sub", a, b, bits)

    def times(self, a: Value, factor: int, bits: int) -> Value:
        """Product with a constant, in the given width."""
        return self.cast(a, bits) if factor == 1 else self.both("mul", a, number(factor, bits), bits)

    def compare(self, word: str, a: Value, b: Value) -> Value:
        """Return a comparison (`eq`, `ne`, `slt`, `sgt`, ...), one bit wide."""
        bits = max(a.bits, b.bits)
        return self.both(f"icmp {word}", a, b, bits)._replace(bits=1)

    def choose(self, condition: Value, a: Value, b: Value, bits: int) -> Value:
        """Return `a` where a condition holds, else `b`."""
        first, second = self.cast(a, bits), self.cast(b, bits)
        return Value(self.set(f"select i1 {condition.text}, i{bits} {first.text}, i{bits} {second.text}"), bits)

    def call(self, name: str, operands: list[Value], bits: int, *flags: str) -> Value:
        """Return the result of an LLVM intrinsic, such as `smax`, on operands of the given width."""
        arguments = [f"i{bits} {self.cast(value, bits).text}" for value in operands]
        return Value(self.set(f"call i{bits} @llvm.{name}.i{bits}({', '.join([*arguments, *flags])})"), bits)

    def truth(self, condition: Value, bits: int) -> Value:
        """Return 1 where a condition holds, else 0."""
        return Value(self.set(f"zext i1 {condition.text} to i{bits}"), bits)

    def magnitude(self, value: Value, bits: int) -> Value:
        """Absolute value, in the given width."""
        return self.call("abs", [value], bits, "i1 false")

    # Memory.

    def pointer(self, argument: str, index: int) -> str:
        """Return an entry of an array of pointers that is an argument; loaded once."""
        key = (argument, index)
        if key not in self._pointers:
            place, loaded = f"%p{self.name()}", f"%p{self.name()}"
            self.opening += [
                f"  {place} = getelementptr inbounds ptr, ptr {argument}, i64 {index}",
                f"  {loaded} = load ptr, ptr {place}",
            ]
            self._pointers[key] = loaded
        return self._pointers[key]

    def local(self, bits: int, count: int = 1) -> str:
        """Return the address of local memory."""
        register = f"%m{self.name()}"
        self.opening.append(f"  {register} = alloca i{bits}, i64 {count}, align 64")
        return register

    def at(self, base: str, bits: int, index: Value) -> str:
        """Return the address of an element of an array."""
        if index.text == "0":
            return base
        return self.set(f"getelementptr inbounds i{bits}, ptr {base}, i64 {self.cast(index, LONG).text}")

    def load(self, address: str, bits: int) -> Value:
        """Read memory."""
        return Value(self.set(f"load i{bits}, ptr {address}{self._independent}"), bits)

    def store(self, address: str, value: Value, bits: int) -> None:
        """Write memory."""
        self.line(f"store i{bits} {self.cast(value, bits).text}, ptr {address}{self._independent}")

    @property
    def _independent(self) -> str:
        return f", !llvm.access.group !{self.group}" if self.group else ""

    @contextmanager
    def loop(self, count: Value, group: int = 0) -> Iterator[Value]:
        """Run the lines written within the context for 0 to `count - 1`; `count` is at least 1.

        Parameters
        ----------
        group : int
            Number of the metadata of a loop whose turns are independent; 0 for others.
        """
        number_of = self.name()
        before, inside, after = (f"{word}{number_of}" for word in ("before", "loop", "after"))
        self.jump(before)
        self.label(before)
        self.jump(inside)
        self.label(inside)
        turn = Value(f"%i{number_of}", LONG)
        self.line(f"{turn.text} = phi i64 [0, %{before}], [%n{number_of}, %turned{number_of}]")
        outer, self.group = self.group, group
        yield turn
        self.group = outer
        self.jump(f"turned{number_of}")
        self.label(f"turned{number_of}")
        self.line(f"%n{number_of} = add nuw nsw i64 {turn.text}, 1")
        self.line(f"%c{number_of} = icmp slt i64 %n{number_of}, {count.text}")
        hint = f", !llvm.loop !{group + 1}" if group else ""
        self.line(f"br i1 %c{number_of}, label %{inside}, label %{after}{hint}")
        self.label(after)
        if group:
            self.groups.append(group)


def table_texts(tables: Mapping[tuple[int, ...], str]) -> list[str]:
    """Texts of global constants: the entries of tables, by name."""
    return [
        f"{name} = private constant [{len(entries)} x i{WORD}] [{', '.join(f'i{WORD} {entry}' for entry in entries)}]"
        for entries, name in tables.items()
    ]


def metadata(groups: list[int]) -> str:
    """Text of the metadata of independent loops; each has three numbers from its own on."""
    lines = []
    for group in groups:
        lines += [
            f"!{group} = distinct !{{}}",
            f"!{group + 1} = distinct !{{!{group + 1}, !{group + 2}}}",
            f'!{group + 2} = !{{!"llvm.loop.parallel_accesses", !{group}}}',
        ]
    return "\n".join(lines)


def _wrapped(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half
