"""The language, its intervals and the limiter in the proofs are those of the package."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import pytest
from proved import answers
from random_programs import Drawn, random_program

from benchmarks.parts.plain_form import program_lines
from pisnn_deploy.programs import run
from pisnn_deploy.programs.interval import Interval, Intervals
from pisnn_deploy.programs.limiter import answer
from pisnn_deploy.programs.whole import Whole

NEURONS = 5


@cache
def drawn_programs() -> list[Drawn]:
    """Programs, drawn when the first test needs them."""
    return [random_program(seed) for seed in range(400)]


def lines(drawn: Drawn, values: Iterable[str]) -> list[str]:
    return ["program", *program_lines(drawn.program), *values]


def test_random_programs_compute_the_same() -> None:
    text, expected = [], []
    for seed, drawn in enumerate(drawn_programs()):
        inputs = drawn.inputs(np.random.default_rng(seed), NEURONS)
        asked = []
        for neuron in range(NEURONS):
            mine = {name: int(array[neuron]) for name, array in inputs.items()}
            asked.append(f"values {' '.join(str(mine[name]) for name in drawn.program.inputs)}")
            values = run(drawn.program, Whole(), mine).values
            expected.append([values[name] for name in drawn.program.names])
        text += lines(drawn, asked)
    given = [[*map(int, line.split())] for line in answers("run", "\n".join(text))]
    assert given == expected


def test_random_programs_have_the_same_intervals_or_narrower_ones() -> None:
    text, expected = [], []
    for drawn in drawn_programs():
        ends = [drawn.bounds[name] for name in drawn.program.inputs]
        text += lines(drawn, [f"ranges {' '.join(f'{end.lower} {end.upper}' for end in ends)}"])
        ranges = run(drawn.program, Intervals(), drawn.bounds).values
        expected.append([ranges[name] for name in drawn.program.names])
    same = total = 0
    for line, theirs in zip(answers("run", "\n".join(text)), expected, strict=True):
        numbers = [*map(int, line.split())]
        ours = [Interval(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
        assert all(b.lower <= a.lower <= a.upper <= b.upper for a, b in zip(ours, theirs, strict=True))
        same += sum(a == b for a, b in zip(ours, theirs, strict=True))
        total += len(ours)
    # The proofs know of equal values, so a few differences are narrower.
    assert same > 0.98 * total > 5000


def test_ranges_of_operations_that_are_not_allowed_are_refused() -> None:
    wide = "program\ndo mul_shr v0 v0 1\nranges 0 4294967296\n"
    narrow = "program\ndo mul_shr v0 v0 1\nranges 0 2147483648\n"
    unknown = "program\ndo add v0 v1\nranges 0 1\n"
    assert answers("run", wide + narrow + unknown) == ["none", f"0 {1 << 31} 0 {1 << 61}", "none"]


@pytest.mark.parametrize("name", ["short", "full"])
def test_cells_keep_back_what_the_proofs_say(name: str) -> None:
    random = np.random.default_rng(7)
    asked = np.concatenate([np.arange(40), random.integers(0, 1 << random.integers(1, 27, 400)), [1 << 26]])
    room = np.concatenate([np.arange(40) - 20, random.integers(-5, 1 << random.integers(3, 27, 400)), [1 << 25]])
    theirs = [*map(int, answers("run", "".join(f"kept {a} {r}\n" for a, r in zip(asked, room, strict=True))))]
    program, ours = answer(has_low=True, has_ceiling=True), []
    for a, r in zip(asked.tolist(), room.tolist(), strict=True):
        inputs = {"mass": 50, "balance": 3, "least": 53 - r, "most": 53 + r, "leaving": a, "coming": a}
        ours.append(run(program, Whole(), inputs).values[name])
    assert ours == theirs
