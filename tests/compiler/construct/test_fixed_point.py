from __future__ import annotations

import pytest

from pisnn_deploy.compiler.construct.accuracy import Computed, computed, lattice
from pisnn_deploy.compiler.construct.circuit import WORD, Circuit
from pisnn_deploy.compiler.construct.fixed_point import Fixed, FixedPoint
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.expression import parse
from pisnn_deploy.programs import parse as program_of
from pisnn_deploy.programs import run
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import bounds

BITS = 16
Ranges = dict[str, tuple[float, float]]


def of_text(text: str, ranges: Ranges, multiplies: bool = True) -> Computed:
    expression = parse(text, list(ranges), "case")
    return computed(expression, ranges, BITS, where="law.flux.q", multiplies=multiplies)


def largest_error(text: str, ranges: Ranges, multiplies: bool = True) -> float:
    """Error on the lattice, where every value must be within its proved interval and a word."""
    result = of_text(text, ranges, multiplies)
    circuit, known = result.circuit, lattice(result.circuit, ranges)
    for stage in result.stages:
        program = stage.program
        assert len(program.ports) <= 8 and len(program.sends) <= 4
        assert program_of(str(program)) == program
        values = run(program, Arrays(), {name: known[name] for name in program.inputs}).values
        known |= {name: values[name] for name in program.sends}
        proved = bounds(program, {name: circuit.interval(name) for name in program.inputs})
        for name, integers in values.items():
            assert proved[name].bits <= WORD
            assert proved[name].lower <= integers.min() and integers.max() <= proved[name].upper
    return result.error


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("q**2/h + 9.81*h**2/2", {"h": (0.9, 2.1), "q": (-0.2, 1.3)}),
        ("sqrt(9.81*h)", {"h": (0.9, 2.1)}),
        ("-2.5*u*(1 - u/1.5)", {"u": (0, 1.5)}),
        ("u**3 - u", {"u": (-1.6, 1.6)}),
        ("u*v**2", {"u": (0, 1), "v": (0, 0.5)}),
        ("max(u, 0)**2 + where(u < v, sin(u), cos(v))*abs(v) - min(u, v)", {"u": (-1, 1), "v": (-0.5, 0.5)}),
        ("u**1.5 + exp(-u) + log(u + 2) + tanh(u)", {"u": (0, 1)}),
        ("u**v", {"u": (0.5, 1), "v": (1, 2)}),
        ("u**2/(u**2 + (1 - u)**2)", {"u": (0, 1)}),
        ("(u + 3*v)/(v*v + 1)", {"u": (0, 1), "v": (-1, 1)}),
        ("sin(u)*exp(v) + cos(u)*sin(v) + exp(u) + tanh(3*v) + 1/(u + 2) + sqrt(v + 2)", {"u": (-1, 1), "v": (-1, 1)}),
    ],
)
def test_expressions_are_as_exact_as_their_words(text: str, ranges: Ranges) -> None:
    assert largest_error(text, ranges) < 4e-6


def test_a_coarse_reciprocal_takes_a_step_of_newton() -> None:
    assert largest_error("1/h", {"h": (0.01, 2.1)}) < 5e-5


def test_without_products_a_function_of_one_value_is_a_table() -> None:
    (stage,) = of_text("u**3 - u", {"u": (-1.6, 1.6)}, multiplies=False).stages
    assert "mul_shr" not in {operation.name for operation in stage.program.operations}
    assert largest_error("u**3 - u", {"u": (-1.6, 1.6)}, multiplies=False) < 5e-3


def test_equal_parts_are_computed_once() -> None:
    circuit = of_text("(q/h)*q + (q/h)**2", {"h": (1, 2), "q": (0, 1)}).circuit
    assert sum(operation.name == "table" for operation in circuit.operations) == 2  # value and slope of 1/h


def test_a_division_by_zero_is_refused_with_its_term() -> None:
    with pytest.raises(UsageError) as refusal:
        of_text("q/h", {"h": (-1, 1), "q": (0, 1)})
    assert str(refusal.value) == "law.flux.q: h may be 0 inside the range, and the law divides by it"


def test_an_undefined_function_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError) as refusal:
        of_text("sqrt(u)", {"u": (-0.5, 1)})
    assert str(refusal.value) == "law.flux.q: sqrt(u) has no finite value at -0.5, inside its range"


def test_a_constant_is_no_program() -> None:
    with pytest.raises(UsageError) as refusal:
        of_text("3", {"u": (0, 1)})
    assert str(refusal.value) == "law.flux.q: is constant"


def test_products_that_the_target_lacks_are_refused() -> None:
    with pytest.raises(UsageError) as refusal:
        of_text("u*v", {"u": (0, 1), "v": (0, 1)}, multiplies=False)
    assert str(refusal.value) == "law.flux.q: needs products of two values, which the target lacks"


def test_many_tables_are_cut_into_programs_that_can_be_read_again() -> None:
    names = "abcdef"
    text = " + ".join(f"exp({name})*sin({name})" for name in names)
    stages = of_text(text, dict.fromkeys(names, (-1.0, 1.0))).stages
    assert len(stages) > 1
    assert all(program_of(str(stage.program)) == stage.program for stage in stages)


def test_a_clamped_port_is_clamped_by_every_program_that_needs_it() -> None:
    circuit = Circuit("case")
    fixed = FixedPoint(circuit, "law.flux.u")
    for name in "abcdef":
        circuit.port(name, Interval(-(1 << 20), 1 << 20))
        fixed.name(name, fixed.clamped(Fixed(name, 16), -4, 4))
    sums = [" + ".join(f"{name}**{power}*{number}" for name in "abcdef") for number, power in ((3, 2), (5, 3), (7, 4))]
    outputs = [fixed.lower(parse(text, list("abcdef"), "case")) for text in sums]
    stages = circuit.stages([str(value.operand) for value in outputs if isinstance(value, Fixed)])
    assert len(stages) > 1
    received = {port for stage in stages for port in stage.program.ports} - set("abcdef")
    sent = {name for stage in stages for name in stage.program.sends}
    assert received <= sent


@pytest.mark.parametrize("text", ["sqrt(u)", "sqrt(2 - u)", "u**1.5 + sqrt(u + 1e-3)", "log(u + 0.001)"])
def test_an_end_where_a_function_bends_sharply_has_a_table_of_its_own(text: str) -> None:
    assert largest_error(text, {"u": (0, 2)}) < 2e-4
