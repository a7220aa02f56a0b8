"""Clocks count PDE steps, whatever a program does with the count."""

from __future__ import annotations

import pytest

from pisnn_deploy.programs import parse, run
from pisnn_deploy.programs.clock import Clock, clock_of
from pisnn_deploy.programs.intervals import invariant
from pisnn_deploy.programs.whole import Whole
from pisnn_deploy.verify.programs import read
from pisnn_deploy.verify.spans import Spans

CLOCKS = [Clock(1, 7, False), Clock(3, 7, False), Clock(1, 5, True), Clock(3, 7, True), Clock(4, 4, True)]


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_count_of_a_step_is_known_without_the_steps_before(clock: Clock) -> None:
    count = 0
    for step in range(30):
        assert clock.at(step) == count <= clock.highest
        result = run(clock.program, Whole(), {"count": count})
        assert result.sends == (count,)
        count = result.states["count"]


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_program_shows_its_clock(clock: Clock) -> None:
    assert clock_of(clock.program) == clock
    longer = str(clock.program).replace("shown = add(count, 0)", "shown = mul_shr(count, 5, 1)")
    assert clock_of(parse(longer)) == clock


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("add(count, 3)", "add(count, -3)"),
        ("add(count, 3)", "add(count, 8)"),
        ("min(raised, 7)", "min(raised, 2)"),
        ("max(stopped, 0)", "max(stopped, 1)"),
        ("keep count = next", "keep count = stopped"),
        ("neuron clock(; count; )", "neuron clock(arrival; count; )"),
        ("raised = add(count, 3)", "raised = sub(count, 3)"),
    ],
)
def test_another_count_is_no_clock(before: str, after: str) -> None:
    text = str(Clock(3, 7, False).program)
    assert before in text
    assert clock_of(parse(text.replace(before, after))) is None


@pytest.mark.parametrize("clock", CLOCKS)
def test_compiler_and_checker_bound_the_count(clock: Clock) -> None:
    count = invariant(clock.program, {})["count"]
    reading = read(str(clock.program))
    assert (count.lower, count.upper) == Spans(reading, {}).of(reading.names["count"]) == (0, clock.highest)
