"""z3 proves claims on single programs for all integers: the firing rule of each threshold, and the limiter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import z3

from pisnn_deploy.programs import Program, run
from pisnn_deploy.programs.limiter import FaceLimiter, answer
from pisnn_deploy.programs.neurons import flux

LARGEST = 24
"""Largest exponent of a threshold of the zoo: weights have 24 bits."""
Term = Any
"""A term of z3, which has no types."""


class Terms:
    """Reader of programs that makes terms over all integers; shifts are divisions, rounded down."""

    def __init__(self) -> None:
        self.looked_up: list[tuple[Term, Term, tuple[int, ...]]] = []

    def constant(self, number: int) -> Term:
        return z3.IntVal(number)

    def result(self, name: str, value: Term) -> Term:
        return value

    def add(self, a: Term, b: Term) -> Term:
        return a + b

    def sub(self, a: Term, b: Term) -> Term:
        return a - b

    def neg(self, a: Term) -> Term:
        return -a

    def abs(self, a: Term) -> Term:
        return z3.If(a < 0, -a, a)

    def min(self, a: Term, b: Term) -> Term:
        return z3.If(a < b, a, b)

    def max(self, a: Term, b: Term) -> Term:
        return z3.If(a < b, b, a)

    def shl(self, a: Term, bits: int) -> Term:
        return a * (1 << bits)

    def asr(self, a: Term, bits: int) -> Term:
        return a / (1 << bits)

    def mul_shr(self, a: Term, b: Term, bits: int) -> Term:
        return a * b / (1 << bits)

    def copysign(self, a: Term, b: Term) -> Term:
        return z3.If(b > 0, a, z3.If(b < 0, -a, 0))

    def lt(self, a: Term, b: Term) -> Term:
        return z3.If(a < b, z3.IntVal(1), z3.IntVal(0))

    def ge(self, a: Term, b: Term) -> Term:
        return z3.If(a >= b, z3.IntVal(1), z3.IntVal(0))

    def eq(self, a: Term, b: Term) -> Term:
        return z3.If(a == b, z3.IntVal(1), z3.IntVal(0))

    def select(self, condition: Term, a: Term, b: Term) -> Term:
        return z3.If(condition != 0, a, b)

    def table(self, index: Term, entries: tuple[int, ...]) -> Term:
        entry = z3.FreshInt("entry")
        self.looked_up.append((index, entry, entries))
        return entry

    def fire(self, potential: Term, exponent: int) -> tuple[Term, Term]:
        size = (self.abs(potential) + (1 << exponent >> 1) - 1) / (1 << exponent)
        packet = self.copysign(size, potential)
        return packet, potential - packet * (1 << exponent)


def values(program: Program) -> tuple[dict[str, Term], Terms]:
    reader = Terms()
    return run(program, reader, {name: z3.Int(name) for name in program.inputs}).values, reader


def counterexample(*claims: Term, given: tuple[Term, ...] = ()) -> str:
    """Values for which some claim is false; empty where all are proved."""
    solver = z3.Solver()
    solver.set("timeout", 20_000)
    solver.add(*given, z3.Not(z3.And(*claims)))
    answered = solver.check()
    assert answered != z3.unknown, solver.reason_unknown()
    return str(solver.model()) if answered == z3.sat else ""


def rule(exponent: int) -> Iterator[Term]:
    """What the firing rule promises of a face, whatever arrives and whatever it has not fired."""
    found, _ = values(flux(exponent))
    packet, residue, potential = (found[name] for name in ("packet", "residue", "potential"))
    theta = 1 << exponent
    yield z3.And(2 * residue <= theta, -2 * residue <= theta)
    yield packet * theta + residue == found["residue_before"] + found["current"]
    yield z3.Implies(potential >= 0, packet >= 0)
    mirrored, _ = Terms().fire(-potential, exponent)
    yield mirrored == -packet


def test_the_firing_rule_holds_for_every_threshold_that_the_zoo_may_have() -> None:
    for exponent in range(1, LARGEST + 1):
        assert not counterexample(*rule(exponent)), exponent


def test_a_claim_that_is_false_has_a_counterexample() -> None:
    found, _ = values(flux(4))
    assert counterexample(2 * found["residue"] < 16)
    assert counterexample(found["packet"] >= 0)


@pytest.mark.parametrize(("room", "asked", "part"), [("above", "leaving", "short"), ("below", "coming", "full")])
def test_cells_scale_what_is_asked_of_them_to_the_table_and_never_keep_back_too_little(
    room: str, asked: str, part: str
) -> None:
    found, reader = values(answer(has_low=True, has_ceiling=True))
    ask, has = found[asked], z3.If(found[room] > 0, found[room], 0)
    (index, entry, entries), *_ = [each for each in reader.looked_up if each[0] is found[f"{part}_index1"]]
    left = found[f"{part}_left1"]
    # By how many bits both were shifted: one of sixteen cases each.
    shifted = z3.Int("shifted")
    halvings = [z3.If(found[f"{part}_big{bits}"] != 0, bits, 0) for bits in (8, 4, 2, 1)]
    given = (ask >= 1, ask <= 1 << 26, shifted == sum(halvings))
    for bits in range(16):
        here = (*given, shifted == bits)
        assert not counterexample(
            index >= 0, index < len(entries), (index + 1) * (1 << bits) >= ask, left * (1 << bits) <= has, given=here
        )
    # The share of each entry is at most what is left, in 256ths of index + 1: all pairs.
    indices, lefts = np.arange(len(entries))[:, None], np.arange(2049)
    shares = lefts * np.array(entries)[:, None] >> 15
    assert (shares * (indices + 1) <= 256 * lefts).all()
    share, kept = found[f"{part}_share"], found[part]
    limits = (entry >= 0, share >= 0)
    assert not counterexample(kept >= 0, kept <= 256, 256 - kept <= z3.If(ask > has, share, 256), given=limits)


@pytest.mark.parametrize("limiter", [FaceLimiter("none", 0, False), FaceLimiter("both", 12, True)])
def test_faces_pass_at_most_what_both_cells_allow(limiter: FaceLimiter) -> None:
    found, _ = values(flux(7, limiter=limiter))
    asked, kept, passed = found["asked"], found["kept_back"], found["passed"]
    size = z3.If(asked < 0, -asked, asked)
    sent = z3.If(asked < 0, -passed, passed)
    answers = [found[name] for name in limiter.ports if name.endswith(("_short", "_full"))]
    given = (*(z3.And(each >= 0, each <= 256) for each in answers),)
    for part in range(0, 257, 32):
        assert not counterexample(
            sent >= 0,
            256 * sent <= size * (256 - part),
            found["packet"] == passed + found.get("low", 0),
            given=(*given, kept == part, found["passed_size"] == size * (256 - part) / 256),
        )
    assert not counterexample(kept >= 0, kept <= 256, given=given)
