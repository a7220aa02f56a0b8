"""The audit sees every broken invariant, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from models_under_test import compiled, heat_model, oscillating_model
from unknown_programs import floors, with_program

from pisnn_deploy.audit.invariants import Audit
from pisnn_deploy.core.errors import InvariantViolation
from pisnn_deploy.graph.integer import IntegerGraph, OperatingWindow
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.semantics import Semantics, State
from pisnn_deploy.runs.run import RunState


def with_window(graph: IntegerGraph, lower: int, upper: int, difference: int | None = None) -> IntegerGraph:
    """A graph with another operating range, and no limit of its currents."""
    return graph.with_field(window=OperatingWindow(lower, upper, difference))


def wide(graph: IntegerGraph) -> IntegerGraph:
    """A graph whose operating range nothing leaves."""
    return with_window(graph, 0, 2**23)


def start(mass: list[int], faces: int) -> RunState:
    """A run that begins with these masses and ledgers."""
    return RunState(0, np.array(mass), *np.zeros((3, faces), np.int64))


def audit_and_states(steps: int = 3, boundary: str = "periodic") -> tuple[Audit, list[State]]:
    graph = compiled(boundary=boundary)
    semantics = Semantics(graph)
    states = [semantics.start(graph.initial)]
    for step in range(steps):
        states.append(semantics.step(states[-1], step))
    audit = Audit(wide(graph), RunState(0, states[0].mass, *np.zeros((3, graph.mesh.faces), np.int64)))
    return audit, states


def walk(audit: Audit, states: list[State]) -> None:
    audit.observe_membranes(0, states[0].mass, absorbing=True)
    for step, state in enumerate(states[1:]):
        audit.observe_flux(step, state.packets, state.current, state.residue, firing=True)
        audit.observe_membranes(step, states[step].mass, absorbing=False)
        audit.observe_flux(step, 0 * state.packets, state.current, state.residue, firing=False)
        audit.observe_membranes(step + 1, state.mass, absorbing=True)


def test_a_correct_run_passes_and_is_counted() -> None:
    audit, states = audit_and_states()
    walk(audit, states)
    assert not any(audit.counts.values())
    assert audit.quanta_sent == sum(int(np.abs(state.packets).sum()) for state in states)


def flip_mass(state: State) -> None:
    state.mass[5] ^= 1 << 6


def move_mass(state: State) -> None:
    state.mass[5] += 1
    state.mass[6] -= 1


def drop_packet(state: State) -> None:
    face = int(np.flatnonzero(state.packets)[0])
    state.packets[face] = 0


def lossy_reset(state: State) -> None:
    state.residue[:] = 0


@pytest.mark.parametrize(
    ("fault", "kind", "also"),
    [
        (flip_mass, "local", "global"),
        (move_mass, "local", "local"),
        (drop_packet, "flux", "flux"),
        (lossy_reset, "flux", "flux"),
    ],
)
def test_each_fault_is_seen_at_its_step(fault: Callable[[State], None], kind: str, also: str) -> None:
    audit, states = audit_and_states()
    fault(states[2])
    with pytest.raises(InvariantViolation) as caught:
        walk(audit, states)
    assert caught.value.kind == kind
    assert caught.value.step == (2 if kind == "local" else 1)
    assert audit.counts[kind] > 0 and audit.counts[also] > 0


def test_a_change_between_the_phases_is_seen() -> None:
    audit, states = audit_and_states()
    audit.observe_membranes(0, states[0].mass, absorbing=True)
    audit.observe_flux(0, states[1].packets, states[1].current, states[1].residue, firing=True)
    with pytest.raises(InvariantViolation, match="local invariant broken"):
        audit.observe_membranes(0, states[1].mass, absorbing=False)
    with pytest.raises(InvariantViolation, match="flux invariant broken"):
        audit.observe_flux(0, states[1].packets, states[1].current, states[1].residue, firing=False)


def test_leaving_the_operating_range_names_cell_limit_and_value() -> None:
    graph = with_window(compiled(cells=2), 0, 10, 3)
    audit = Audit(graph, start([11, 9], 2))
    with pytest.raises(InvariantViolation) as caught:
        audit.observe_membranes(0, np.array([11, 9]), absorbing=True)
    assert str(caught.value) == "operating range left: membrane [0] at PDE step 0: limit 10, found 11"
    audit = Audit(graph, start([1, 9], 2))
    with pytest.raises(InvariantViolation) as caught:
        audit.observe_membranes(0, np.array([1, 9]), absorbing=True)
    assert str(caught.value) == "operating range left: difference across face [0] at PDE step 0: limit 3, found 8"
    assert audit.counts["range"] == 2


def test_a_reservoir_counts_at_half_a_cell_and_has_no_range() -> None:
    # Two cells between reservoirs that show 100 and 0; the faces are x-, between, x+ or in another order.
    graph = with_window(compiled(cells=2, boundary="dirichlet=1,0"), 0, 100, 100)
    graph = graph.with_field(reservoirs=np.array([100, 0]))
    Audit(graph, start([50, 50, 0, 0], 3)).observe_membranes(0, np.array([50, 50, 0, 0]), absorbing=True)
    audit = Audit(graph, start([49, 50, 0, 0], 3))
    with pytest.raises(InvariantViolation, match=r"^operating range left: difference across face \[\d\] at") as caught:
        audit.observe_membranes(0, np.array([49, 50, 0, 0]), absorbing=True)
    assert (caught.value.expected, caught.value.found) == (50, 51)


def lost_ledger(state: State) -> None:
    state.mass[-1] += 1


def quiet_ledger(state: State) -> None:
    state.mass[-2:] = 0


@pytest.mark.parametrize("fault", [lost_ledger, quiet_ledger])
def test_a_ledger_that_is_wrong_is_seen(fault: Callable[[State], None]) -> None:
    audit, states = audit_and_states(boundary="dirichlet=0,1")
    fault(states[2])
    with pytest.raises(InvariantViolation) as caught:
        walk(audit, states)
    assert caught.value.kind == "local" and caught.value.index >= 16 and audit.counts["global"] > 0


def test_a_current_beyond_its_limit_is_seen() -> None:
    graph = compiled(cells=2).with_field(window=OperatingWindow(0, 10, None, 200))
    audit = Audit(graph, start([5, 5], 2))
    exponent = known_face(graph).exponent
    residue = np.array([201 - (2 << exponent), 0])
    with pytest.raises(InvariantViolation) as caught:
        audit.observe_flux(3, np.array([2, 0]), np.array([201, 0]), residue, firing=True)
    assert str(caught.value) == "operating range left: flux current [0] at PDE step 3: limit 200, found 201"


def test_the_current_of_faces_that_keep_nothing_back_is_limited_too() -> None:
    faces = with_program(compiled(heat_model((0.25,)), 2, "no-flux"), "flux", floors(7))
    audit = Audit(faces.with_field(window=OperatingWindow(0, 10, None, 200)), start([5, 5], 1))
    packets, residue = np.array([1]), np.array([3])
    audit.observe_flux(2, packets, np.array([200]), residue, firing=True)
    with pytest.raises(InvariantViolation) as caught:
        audit.observe_flux(3, packets, np.array([-201]), residue, firing=True)
    assert str(caught.value) == "operating range left: flux current [0] at PDE step 3: limit 200, found -201"
    assert [books[0] for books in (audit.books.current, audit.books.residue)] == [-201, 3]


# With a limiter -------------------------------------------------------------------------------------------------------


def limited_audit() -> tuple[Audit, State, State]:
    """An audit before the step in which some faces of the second state withhold packets."""
    graph = compiled(oscillating_model(), 12, "dirichlet=0,0", limiter="positivity")
    semantics = Semantics(graph)
    before = semantics.start(np.where(np.arange(12) == 5, graph.window.upper // 4, 0))
    after = semantics.step(before)
    audit = Audit(wide(graph), RunState(0, before.mass, *np.zeros((3, graph.mesh.faces), np.int64)))
    audit.observe_membranes(0, before.mass, absorbing=True)
    return audit, before, after


def test_packets_that_a_limiter_withheld_are_worked_out_by_the_audit() -> None:
    audit, _, after = limited_audit()
    fired = after.current - after.residue
    assert (fired != after.packets << 7).any(), "nothing is withheld"
    audit.observe_flux(0, after.packets, after.current, after.residue, firing=True)
    audit.observe_membranes(1, after.mass, absorbing=True)
    assert not any(audit.counts.values())


@pytest.mark.parametrize("change", [1, -1])
def test_a_packet_that_is_not_limited_as_it_must_be_is_caught(change: int) -> None:
    audit, _, after = limited_audit()
    fired = (after.current - after.residue) >> 7
    (face, *_) = np.flatnonzero(fired != after.packets)
    packets = after.packets.copy()
    packets[face] += change
    with pytest.raises(InvariantViolation) as raised:
        audit.observe_flux(0, packets, after.current, after.residue, firing=True)
    sentence = f"limited packet [{face}] at PDE step 0: expected {after.packets[face]}, found {packets[face]}"
    assert str(raised.value) == f"flux invariant broken: {sentence}"


def test_with_a_limiter_a_residue_that_lost_something_is_caught() -> None:
    audit, _, after = limited_audit()
    residue = after.residue.copy()
    residue[3] += 1
    with pytest.raises(InvariantViolation, match=r"^flux invariant broken: (flux|limited packet) \[3\] at PDE step 0"):
        audit.observe_flux(0, after.packets, after.current, residue, firing=True)
