"""The checker reads programs by itself: the same integers as every other reader, and bounds that its theorems give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import random_program

from pisnn_deploy.programs import Program, parse, run
from pisnn_deploy.programs.intervals import bounds
from pisnn_deploy.programs.limiter import FaceLimiter, answer
from pisnn_deploy.programs.neurons import flux, membrane, rectifier, sigma_delta
from pisnn_deploy.programs.whole import Whole
from pisnn_deploy.verify.faces import Face, face_in, shift_in
from pisnn_deploy.verify.limiting import answers, limiting
from pisnn_deploy.verify.programs import read, whole
from pisnn_deploy.verify.spans import Span, Spans, Unbounded


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=200)
def test_random_programs_have_the_integers_of_every_reader(seed: int) -> None:
    drawn = random_program(seed)
    reading = read(str(drawn.program))
    inputs = drawn.inputs(np.random.default_rng(seed), 4)
    for neuron in range(4):
        values = {name: int(array[neuron]) for name, array in inputs.items()}
        result = run(drawn.program, Whole(), values)
        mine = whole(reading, values)
        assert mine == result.values
        assert [mine[name] for name in drawn.program.after] == [*result.states.values()]
        assert {name: reading.names[kept] for name, kept in zip(reading.states, drawn.program.after, strict=True)} == (
            reading.after
        )
        assert tuple(reading.names[name] for name in drawn.program.sends) == reading.sends


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=200)
def test_random_programs_have_intervals_at_least_as_narrow_as_the_compilers_that_hold(seed: int) -> None:
    drawn = random_program(seed)
    reading = read(str(drawn.program))
    spans = Spans(reading, {name: (bound.lower, bound.upper) for name, bound in drawn.bounds.items()})
    inputs = drawn.inputs(np.random.default_rng(seed), 30)
    values = [whole(reading, {name: int(array[neuron]) for name, array in inputs.items()}) for neuron in range(30)]
    theirs = bounds(drawn.program, drawn.bounds)
    for name, number in reading.names.items():
        low, high = spans.of(number)
        assert theirs[name].lower <= low <= high <= theirs[name].upper
        assert all(low <= value[name] <= high for value in values)


def spans_of(program: Program, arrival: Span, **others: Span) -> dict[str, Span]:
    reading = read(str(program))
    spans = Spans(reading, {"arrival": arrival, "bias": (0, 0)} | others)
    return {name: spans.of(number) for name, number in reading.names.items()}


@given(st.integers(1, 12), st.integers(1, 4096), st.integers(-3000, 3000), st.integers(0, 3000), st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_no_run_of_a_face_leaves_its_intervals(exponent: int, leak: int, low: int, extent: int, seed: int) -> None:
    program = flux(exponent, leak)
    spans = spans_of(program, (low, low + extent))
    arrivals = np.random.default_rng(seed).integers(low, low + extent + 1, 60)
    arrivals[:40:2] = low + extent * (seed % 2)
    states = dict.fromkeys(program.states, 0)
    for arrival in arrivals.tolist():
        result = run(program, Whole(), {"arrival": arrival, "bias": 0, **states})
        states = result.states
        assert all(spans[name][0] <= value <= spans[name][1] for name, value in result.values.items())


def test_the_series_of_a_leak_is_reached_within_a_quantum_and_so_is_the_rest() -> None:
    spans = spans_of(flux(7, 1024), (-100, 40))
    assert (spans["current"], spans["residue"]) == ((-400, 160), (-64, 64))
    assert spans["potential"] == (-464, 224) and spans["packet"] == (-4, 2)


def test_what_is_kept_below_a_threshold_is_bounded_by_it() -> None:
    spans = spans_of(sigma_delta(5, 3), (-80, 88))
    assert spans["next_current"] == spans["current"] == (-10, 11)
    assert (spans["residue"], spans["potential"], spans["packet"]) == ((-4, 4), (-14, 15), (-14, 15))


def test_a_state_that_grows_by_itself_has_no_bound() -> None:
    with pytest.raises(Unbounded, match=r"^state mass_before grows by itself$"):
        spans_of(membrane(), (0, 1))


RENAMED = """neuron other(arrival; c, r; bias)
moved = add(bias, r)
twice = add(moved, 0)
size = abs(c)
left = mul_shr(size, 3686, 12)
kept = copysign(left, c)
heard = add(arrival, bias)
next = add(heard, kept)
sum = add(kept, arrival)
potential = add(twice, sum)
k, rest = fire(potential, 6)
keep c = next, r = rest
send k"""


LIMITERS = (
    FaceLimiter("none", 0, False),
    FaceLimiter("source", 31, False),
    FaceLimiter("target", 31, True),
    FaceLimiter("both", 12, True),
)


@pytest.mark.parametrize(
    ("program", "face"),
    [
        (flux(7), Face(7, 7, 4096, 0, None)),
        (flux(7, 410), Face(7, 7, 410, 0, None)),
        *(
            (flux(5, 300, limiter), Face(5, 5, 300, 0, limiting(read(str(flux(5, 300, limiter))))))
            for limiter in LIMITERS
        ),
        (sigma_delta(3, 9), Face(9, 0, 4096, 1, None)),
        (parse(RENAMED), Face(6, 6, 410, 0, None)),
        (membrane(), None),
        (rectifier(3), None),
    ],
)
def test_the_facts_of_a_face_are_read_off_what_it_does(program: Program, face: Face | None) -> None:
    assert face_in(read(str(program))) == face


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fire(potential, 6)", "fire(sum, 6)"),
        ("r = rest", "r = potential"),
        ("c = next", "c = heard"),
        ("3686, 12", "3686, 11"),
        ("add(heard, kept)", "sub(heard, kept)"),
        ("add(bias, r)", "add(bias, bias)"),
        ("send k", "send rest"),
        ("moved = add(bias, r)", "moved = add(r, 1)"),
        ("kept = copysign(left, c)", "kept = copysign(left, r)"),
    ],
)
def test_a_program_that_does_otherwise_has_no_facts_of_a_face(old: str, new: str) -> None:
    assert old in RENAMED
    assert face_in(read(RENAMED.replace(old, new))) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max(source_short, target_full)", "max(source_short, source_full)"),
        ("max(target_short, source_full)", "min(target_short, source_full)"),
        ("sub(source_mass, target_mass)", "sub(target_mass, source_mass)"),
        ("sub(fired, low)", "sub(low, fired)"),
        ("lt(asked, 0)", "lt(asked, 1)"),
        ("sub(256, kept_back)", "sub(257, kept_back)"),
        ("mul_shr(asked_size, passed_part, 8)", "mul_shr(asked_size, passed_part, 7)"),
        ("forward = max(asked, 0)", "forward = max(asked, 1)"),
        ("neg(asked)", "abs(asked)"),
        ("add(passed, low)", "add(passed, 0)"),
        ("send packet, low, forward, backward", "send packet, low, backward, forward"),
        ("send packet", "send fired"),
    ],
)
def test_a_limiter_that_does_otherwise_limits_nothing(old: str, new: str) -> None:
    text = str(flux(7, 4096, FaceLimiter("both", 12, True)))
    assert old in text
    assert face_in(read(text.replace(old, new))) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max(above, 0)", "max(above, 1)"),
        ("sub(held, least)", "sub(least, held)"),
        ("add(mass, balance)", "sub(mass, balance)"),
        ("lt(short_room, leaving)", "lt(short_room, coming)"),
        ("ge(short_less, 262144)", "ge(short_less, 524288)"),
        ("asr(short_room, 8)", "asr(short_room, 7)"),
        ("select(short_big8, short_less8, short_less)", "select(short_big8, short_less, short_less8)"),
        ("min(short_left1, 2048)", "max(short_left1, 2048)"),
        ("mul_shr(short_most, short_inverse, 15)", "mul_shr(short_most, short_inverse, 14)"),
        ("table reciprocal = 8388607 4194304", "table reciprocal = 8388607 4194305"),
        ("sub(256, short_share)", "sub(255, short_share)"),
        ("max(short_rest, 0)", "min(short_rest, 0)"),
        ("select(is_short, short_part, 0)", "select(is_full, short_part, 0)"),
        ("send short, full", "send full, short"),
    ],
)
def test_cells_that_answer_otherwise_are_not_known(old: str, new: str) -> None:
    limiter = limiting(read(str(flux(7, 4096, FaceLimiter("both", 12, True)))))
    text = str(answer(True, True))
    assert limiter is not None and answers(read(text), limiter) and old in text
    lines = [line.replace(old, new) for line in text.splitlines()]
    if "is_full" in new:  # a line may use it only after it is known
        at = next(number for number, line in enumerate(lines) if new in line)
        lines.insert(-1, lines.pop(at))
    changed = "\n".join(lines)
    assert not answers(read(changed), limiter)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ge(size, 3)", "lt(size, 3)"),
        ("select(is_sent, potential, 0)", "select(is_sent, potential, 1)"),
        ("sub(potential, packet)", "sub(packet, potential)"),
        ("add(arrival, 256)", "add(arrival, 255)"),
        ("send packet", "send potential"),
        ("add(residue_before, current)", "add(residue_before, arrival)"),
    ],
)
def test_a_late_face_that_does_otherwise_has_no_facts(old: str, new: str) -> None:
    text = str(sigma_delta(3, 9))
    assert old in text
    assert face_in(read(text.replace(old, new))) is None


def test_the_shift_of_a_rectifier_is_read_off_what_it_does() -> None:
    text = str(rectifier(5))
    assert shift_in(read(text)) == 5
    for old, new in (("max(drive, 0)", "max(drive, 1)"), ("max", "min"), ("send activation", "send positive")):
        assert shift_in(read(text.replace(old, new))) is None


def test_sums_of_sums_take_no_longer_than_the_program_is() -> None:
    names = ["arrival", *(f"d{number}" for number in range(60))]
    lines = [f"{name} = add({before}, {before})" for before, name in zip(names, names[1:], strict=False)]
    head, *rest = (
        "neuron doubled(arrival; r; bias)",
        "v = add(r, d59)",
        "k, left = fire(v, 62)",
        "keep r = left",
        "send k",
    )
    text = "\n".join([head, *lines, *rest])
    assert face_in(read(text)) is None
