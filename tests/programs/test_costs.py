"""What programs ask of a target, and what can be read off them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from random_programs import random_program

from pisnn_deploy.programs.costs import costs
from pisnn_deploy.programs.facts import decay_constants, threshold_exponent, thresholds, withholds
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.limiter import FaceLimiter
from pisnn_deploy.programs.neurons import flux, membrane, rectifier, sigma_delta


def test_a_face_with_a_leak() -> None:
    program = flux(7, leak=410)
    ranges = {"arrival": (-1000, 1000), "current_before": (-5000, 5000), "residue_before": (-64, 64), "bias": (0, 0)}
    asked = costs(program, {name: Interval(*ends) for name, ends in ranges.items()})
    assert (asked.multiplications, asked.states, asked.table_words) == (1, 2, 0)
    assert asked.operations["fire"] == 1 and sum(asked.operations.values()) == len(program.operations)
    assert asked.widest_product == (5000 * 3686).bit_length() + 1 and asked.widest_value == 14


@given(st.integers(0, 2**32 - 1))
def test_random_programs(seed: int) -> None:
    drawn = random_program(seed)
    asked = costs(drawn.program, drawn.bounds)
    assert sum(asked.operations.values()) == len(drawn.program.operations)
    assert asked.table_words == sum(len(table.entries) for table in drawn.program.tables)
    assert asked.multiplications == [operation.name for operation in drawn.program.operations].count("mul_shr")
    assert (asked.widest_product > 0) == (asked.multiplications > 0) and asked.widest_value <= 62


def test_facts_of_the_neurons_of_this_project() -> None:
    plain, leaky, limited, late = (
        flux(7),
        flux(7, leak=410),
        flux(7, limiter=FaceLimiter("none", 0, False)),
        sigma_delta(5, 9),
    )
    assert [threshold_exponent(program) for program in (plain, limited, late, membrane())] == [7, 7, None, None]
    assert [thresholds(program) for program in (plain, late, rectifier(3))] == [(128,), (5,), ()]
    assert [decay_constants(program) for program in (plain, leaky)] == [(), (410,)]
    assert [withholds(program) for program in (plain, limited, late)] == [False, True, False]
