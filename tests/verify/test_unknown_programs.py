"""Of neurons whose programs no theorem knows, what is not known is not claimed, and the rest is proved again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from models_under_test import compiled, heat_model, hidden_model
from mutations import rejected
from unknown_programs import pairs, proved, with_program

from pisnn_deploy.checks.rules import check
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import Claim, IntegerGraph, Synapse
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.programs import parse
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.programs import read
from pisnn_deploy.verify.spans import Spans, Unbounded

LEFT_OUT = Claim("none", "unknown-program")
WHY = "no theorem knows the program pairs of flux"


@cache
def known(boundary: str = "dirichlet=0,1") -> IntegerGraph:
    return compiled(heat_model((0.25,)), 8, boundary)


@cache
def of_pairs() -> IntegerGraph:
    return proved(with_program(known(), "flux", pairs(known_face(known()).exponent)))


def test_what_is_not_known_of_faces_is_not_claimed_and_the_rest_holds() -> None:
    graph = of_pairs()
    assert graph.certificate is not None
    assert graph.certificate.stability == graph.certificate.equation == LEFT_OUT
    findings = check_certificate(graph)
    assert all(finding.holds for finding in findings)
    assert {finding.claim: finding.text for finding in findings if not finding.is_claimed} == {
        "clock": f"not claimed: time step, leak and exponents; {WHY}",
        "stability": f"not claimed: whether modes grow; {WHY}",
        "equation": f"not claimed: what the integers solve; {WHY}",
    }
    assert all(finding.is_claimed for finding in check_certificate(known()))


def test_a_largest_current_by_a_flux_is_not_claimed() -> None:
    limits = OperatingRange(lower=0.0, upper=1.0, flux=0.05)
    limited = compiled(heat_model((0.25,), operating_range=limits), 8, "no-flux")
    assert limited.window.current is not None
    graph = proved(with_program(limited, "flux", pairs(known_face(limited).exponent)))
    (units,) = (finding for finding in check_certificate(graph) if finding.claim == "units")
    assert units.holds and units.text == f"not claimed: the largest current; {WHY}"


def test_hidden_neurons_that_are_not_known_are_named() -> None:
    graph = compiled(hidden_model((3,)), 9, "no-flux")
    text = str(graph.population("hidden1").program)
    other = parse(text.replace("max(drive, 0)", "abs(drive)"))
    graph = proved(with_program(graph, "hidden1", other))
    assert not rejected(graph)
    (equation,) = (finding for finding in check_certificate(graph) if finding.claim == "equation")
    assert equation.text == "not claimed: what the integers solve; no theorem knows the program rectifier of hidden1"


@pytest.mark.parametrize("name", ["stability", "equation"])
def test_a_claim_on_known_programs_is_not_taken_back(name: str) -> None:
    graph = known()
    assert graph.certificate is not None and not rejected(graph)
    forged = replace(graph, certificate=replace(graph.certificate, **{name: LEFT_OUT}))
    assert rejected(forged) == [name]


@pytest.mark.parametrize("name", ["stability", "equation"])
@pytest.mark.parametrize(
    "claim",
    [
        Claim("none", "nonlinear"),
        Claim("proved", "unknown-program"),
        Claim("proved", "maximum-principle", {"reservoirs": 2}),
        Claim("none", "unknown-program", {"modulus": 1}),
    ],
)
def test_of_unknown_programs_no_more_is_claimed(name: str, claim: Claim) -> None:
    graph = of_pairs()
    assert graph.certificate is not None
    assert rejected(replace(graph, certificate=replace(graph.certificate, **{name: claim}))) == [name]


def test_another_program_under_the_old_certificate_is_rejected() -> None:
    graph = with_program(known(), "flux", pairs(known_face(known()).exponent))
    assert {"bounds", "stability", "equation"} <= set(rejected(graph))


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("bounds", lambda graph: replace(graph, bounds=tuple(replace(b, upper=b.upper - 1) for b in graph.bounds))),
        ("units", lambda graph: replace(graph, fields=(replace(graph.fields[0], quantum=graph.quantum * 2),))),
        ("clock", lambda graph: replace(graph, period=graph.period + 1)),
        ("conservation", lambda graph: replace(graph, synapses=(*graph.synapses[:-1], _off(graph.synapses[-1])))),
    ],
)
def test_what_is_claimed_of_unknown_programs_is_proved_again(
    claim: str, change: Callable[[IntegerGraph], IntegerGraph]
) -> None:
    assert claim in rejected(change(of_pairs()))


def _off(route: Synapse) -> Synapse:
    mantissas = route.mantissas.copy()
    mantissas[3] += 2
    return route.with_mantissas(mantissas)


def test_verify_and_check_take_an_artifact_of_a_program_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "pairs.pisnn"
    write_artifact(path, of_pairs(), {})
    result = CliRunner().invoke(group, ["verify", str(path)])
    assert result.exit_code == 0 and result.stdout.count("not claimed: ") == 3
    report = check(of_pairs(), load_profile("generic-int"))
    message = "not claimed, because no theorem knows what the neurons do: time step, stability, equation"
    found = [(finding.rule, finding.severity, finding.message) for finding in report.findings]
    assert ("PD207", "info", message) in found
    assert ("PD207", "info", message) not in [
        (finding.rule, finding.severity, finding.message)
        for finding in check(known(), load_profile("generic-int")).findings
    ]


SQUARES = [f"x{number + 1} = mul_shr(x{number}, x{number}, 0)" for number in range(1, 56)]


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (["x1 = abs(drive)", *SQUARES], "x"),
        (["kept = mul_shr(drive, 4611686018427387904, 62)"], "kept"),
        (["raised = shl(drive, 60)"], "raised"),
        (["kept = asr(drive, 0)", "size = shl(kept, 60)", "least = asr(size, 60)"], "size"),
        (["fired, kept = fire(9223372036854775807, 62)"], "fired"),
        (["lifted = neg(-9223372036854775808)"], "lifted"),
    ],
)
def test_a_value_that_no_word_holds_is_refused_by_compiler_and_checker_whatever_it_is_called(
    lines: list[str], value: str
) -> None:
    *before, keep, send = str(known().population("flux").program).splitlines()
    wide = with_program(known(), "flux", parse("\n".join([*before, *lines, keep, send])))
    message = rf"flux {value}\d* may take \d+ signed bits before it is rounded; 64 are possible"
    (bounds,) = (finding for finding in check_certificate(wide) if finding.claim == "bounds")
    assert not bounds.holds and re.fullmatch(message, bounds.text)
    with pytest.raises(CompileError, match=message):
        proved(wide, 63)


def test_a_state_that_squares_itself_grows_and_is_refused_at_once() -> None:
    lines = ["x1 = add(r, arrival)", *SQUARES, "keep r = x56", "send x56"]
    reading = read("\n".join(["neuron squares(arrival; r; )", *lines]))
    with pytest.raises(Unbounded, match=r"^state r grows by itself$"):
        Spans(reading, {"arrival": (0, 1)}).of(reading.sends[0])


def test_ledgers_that_leave_the_word_within_a_step_are_refused() -> None:
    graph = known()
    ledgers = [
        replace(b, lower=1 - 2**63, upper=2**63 - 1, bits=64) if b.quantity == "ledger" else b for b in graph.bounds
    ]
    (bounds,) = (f for f in check_certificate(replace(graph, bounds=tuple(ledgers))) if f.claim == "bounds")
    assert bounds.text == "membrane ledger may take 65 signed bits in a step; 64 are possible"
