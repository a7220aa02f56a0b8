"""Programs of neurons as text, read by the compiler's reader and by the checker's, which must agree."""

from pathlib import Path

from fuzz.mutations import lines_changed
from fuzz.oracle import require
from fuzz.target import Target, text_of
from pisnn_deploy.programs.language import SIGNATURES, WORD_BITS, Program, parse
from pisnn_deploy.programs.reading import run
from pisnn_deploy.programs.whole import Whole
from pisnn_deploy.verify import programs as checked

NUMBERS = (0, 1, -1, 5, -77, 1 << 20, -(1 << 30))
TEXT = """neuron flux(arrival, gate; c, r; bias)
table t = 3 -5 17
d = add(arrival, bias)
a = abs(c)
b = mul_shr(a, 3686, 12)
e = copysign(b, c)
c1 = add(e, d)
n = neg(c1)
s = select(gate, c1, n)
w = table(s, t)
x = shl(w, 2)
y = asr(x, 3)
g = ge(y, 4)
v = add(r, c1)
k, r1 = fire(v, 7)
keep c = c1, r = r1
send k, g
"""


def _read(path: Path) -> None:
    text = text_of(path)
    program = parse(text)
    require(parse(str(program)) == program, "a program reads differently once it is written")
    reading = checked.read(str(program))
    for shift in range(len(NUMBERS)):
        inputs = {name: NUMBERS[(at + shift) % len(NUMBERS)] for at, name in enumerate(program.inputs)}
        _require_agreement(program, reading, inputs)


class _BeyondWords(Exception):
    """A value that fits no word; repeated squares would grow without end."""


class _Words(Whole):
    def result(self, name: str, value: int) -> int:
        if value.bit_length() >= WORD_BITS:
            raise _BeyondWords
        return value


def _require_agreement(program: Program, reading: checked.Reading, inputs: dict[str, int]) -> None:
    try:
        values = run(program, _Words(), inputs).values
    except _BeyondWords:
        return
    others = checked.whole(reading, inputs)
    require(all(others[name] == value for name, value in values.items()), "the two readers compute different values")


TARGET = Target(
    "input.txt",
    _read,
    lambda folder: [TEXT.encode()],
    words=tuple(f"{name}(".encode() for name in SIGNATURES),
    mutate=lines_changed,
    size=2048,
)
