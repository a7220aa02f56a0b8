"""Bounds of what states come to: never left by a run, and reached where a run can reach them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pisnn_deploy.programs import Operation, Program, parse, run
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import Excluded, Unbounded, bounds, invariant
from pisnn_deploy.programs.limiter import FaceLimiter
from pisnn_deploy.programs.neurons import flux, membrane, rectifier, sigma_delta
from pisnn_deploy.programs.whole import Whole
from pisnn_deploy.verify.programs import read
from pisnn_deploy.verify.spans import Spans


def inputs_of(program: Program, lower: int, upper: int) -> dict[str, Interval]:
    """Every port and parameter from one bound to another."""
    return dict.fromkeys((*program.ports, *program.parameters), Interval(lower, upper))


programs = st.one_of(
    st.builds(
        flux,
        st.integers(1, 12),
        st.integers(1, 4096),
        st.one_of(st.none(), st.builds(FaceLimiter, st.just("both"), st.integers(1, 9), st.booleans())),
    ),
    st.builds(sigma_delta, st.integers(1, 9), st.integers(1, 12)),
)


@given(programs, st.integers(-3000, 3000), st.integers(0, 3000), st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_no_run_leaves_the_bounds(program: Program, lower: int, extent: int, seed: int) -> None:
    found = invariant(program, inputs_of(program, lower, lower + extent))
    rng = np.random.default_rng(seed)
    states = dict.fromkeys(program.states, 0)
    for step in range(60):
        ends = rng.integers(0, 2, 10) * extent if step < 40 else rng.integers(0, extent + 1, 10)
        given_in = dict(zip((*program.ports, *program.parameters), (lower + ends).tolist(), strict=False))
        result = run(program, Whole(), {**given_in, **states})
        states = result.states
        # A current that waits a step starts with the first arrival, not with nothing.
        if step:
            assert all(found[name].lower <= value <= found[name].upper for name, value in result.values.items())


@given(programs, st.integers(-3000, 3000), st.integers(0, 3000))
@settings(deadline=None, max_examples=100)
def test_the_checker_finds_the_same_bounds_by_its_theorems(program: Program, lower: int, extent: int) -> None:
    found = invariant(program, inputs_of(program, lower, lower + extent))
    reading = read(str(program))
    names = (*program.ports, *program.parameters)
    spans = Spans(reading, dict.fromkeys(names, (lower, lower + extent)))
    assert {name: spans.of(number) for name, number in reading.names.items()} == {
        name: (found[name].lower, found[name].upper) for name in reading.names
    }


def test_a_leak_is_a_geometric_series_and_a_limit_of_the_current_bounds_the_drive() -> None:
    program = flux(7, 1024)
    inputs = {"arrival": Interval(-100, 40), "bias": Interval(0, 0)}
    assert invariant(program, inputs)["current"] == Interval(-400, 160)
    limited = invariant(program, inputs, {"current": Interval(-40, 40)})
    assert (limited["current"], limited["drive"]) == (Interval(-40, 40), Interval(-70, 40))
    assert limited["residue"] == Interval(-64, 64)


def test_a_limit_that_leaves_nothing_is_refused() -> None:
    inputs = {"arrival": Interval(500, 600), "bias": Interval(0, 0)}
    with pytest.raises(Excluded, match=r"^current ranges from 500 to 600, but must be -40 to 40$"):
        invariant(flux(7), inputs, {"current": Interval(-40, 40)})


def test_what_grows_for_ever_is_refused() -> None:
    with pytest.raises(Unbounded, match=r"^state mass_before of membrane may grow without limit$"):
        invariant(membrane(), {"arrival": Interval(0, 1)})


def test_without_states_there_is_nothing_to_come_to() -> None:
    program = rectifier(2)
    inputs = inputs_of(program, -9, 17)
    assert invariant(program, inputs) == bounds(program, inputs)


KEEPS_LITTLE = parse("""neuron keeps(arrival; r; )
p = add(r, arrival)
s = abs(p)
c = ge(s, 5)
k = select(c, p, 0)
r1 = sub(p, k)
keep r = r1
send k""")


@pytest.mark.parametrize(
    ("number", "operation", "bound"),
    [
        (None, None, Interval(-4, 4)),
        (2, Operation(("c",), "lt", ("s", 5)), None),
        (1, Operation(("s",), "abs", ("arrival",)), None),
        (3, Operation(("k",), "select", ("c", "p", 1)), None),
        (4, Operation(("r1",), "sub", ("k", "p")), None),
    ],
)
def test_only_what_a_threshold_keeps_is_bounded_by_it(
    number: int | None, operation: Operation | None, bound: Interval | None
) -> None:
    operations = list(KEEPS_LITTLE.operations)
    if number is not None and operation is not None:
        operations[number] = operation
    program = replace(KEEPS_LITTLE, operations=tuple(operations))
    inputs = {"arrival": Interval(-100, 100)}
    if bound is None:
        with pytest.raises(Unbounded, match="may grow"):
            invariant(program, inputs)
    else:
        assert invariant(program, inputs)["r1"] == bound
