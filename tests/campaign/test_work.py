"""What a worker makes of a case; whatever goes wrong is a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaign_cases import in_process, planned, without_times, worker_options
from laws_compiled import RECIPES

from pisnn_deploy.campaign.work import WorkerOptions, compile_case, run_case
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project import zoo
from pisnn_deploy.project.request import CompileRequest


def test_laws_of_the_zoo_and_recipes_have_an_error_beside_their_reference(tmp_path: Path) -> None:
    with zoo.recipe_path("lwr") as path:
        (tmp_path / "road.yaml").write_text(path.read_text().replace("reference: characteristics", "reference: null"))
    rows = in_process(planned(tmp_path, "models: [lwr, road.yaml]\nmeshes: 16\nsteps: 5\n"), WorkerOptions())
    assert [(row.verdict, row.plausible, row.compile_warnings) for row in rows] == [("conserved", True, 0)] * 2
    error = rows[0].relative_l2_error
    assert error is not None and 0 < error < 0.02 and rows[1].relative_l2_error is None


def test_rows_say_what_came_of_their_cases(tmp_path: Path) -> None:
    np.save(tmp_path / "u.npy", np.ones(16))
    cases = planned(
        tmp_path,
        "models: heat1d\nmeshes: 16\ninitial: [own, bump, random, u.npy]\nseeds: [1, 2]\nsteps: [horizon, 0]\n",
    )
    rows = in_process(cases)
    assert [row.key for row in rows] == [case.key for case in cases]
    assert len({row.artifact for row in rows}) == 1 and len(str(rows[0].artifact)) == 64
    for row in rows:
        assert row.verdict == "conserved" and row.message is None and row.drift == 0
        assert row.cells == row.faces == 16 and row.compile_warnings == 2 and row.steps == row.asked_steps
        assert (row.violations_global, row.violations_local, row.violations_flux) == (0, 0, 0)
        assert (row.violations_overflow, row.violations_range) == (0, 0)
        assert (row.relative_l2_error is not None) == (row.initial in ("own", "bump"))
    assert rows[0].steps and rows[1].steps == 0 and rows[1].time == 0.0
    assert rows[0].packets and rows[0].events
    assert {row.packets for row in rows if row.initial == "u.npy"} == {0}


def test_a_law_of_several_fields_has_rows_like_a_model(tmp_path: Path) -> None:
    np.save(tmp_path / "u.npy", np.stack([np.full(16, 1.5), np.zeros(16)]))
    recipe = RECIPES / "shallow_water1d" / "recipe.yaml"
    text = f"models: {recipe}\nmeshes: 16\nsteps: 4\ninitial: [own, u.npy, random, sine]\nseeds: 1\n"
    rows = in_process(planned(tmp_path, text), WorkerOptions())
    assert [row.verdict for row in rows] == ["conserved", "conserved", "refused", "refused"]
    assert all(row.cells == 16 and row.faces == 15 + 17 for row in rows)
    assert rows[0].drift == rows[1].drift == 0 and rows[0].packets and rows[0].packets > 16 * 4
    assert [row.message for row in rows[2:]] == [
        "random: a law has no random initial fields; give a field, such as a .npy file",
        "sine: a law has no named initial conditions; give a field, such as a .npy file",
    ]


def test_random_starts_stay_within_the_operating_range(tmp_path: Path) -> None:
    text = "models: heat1d\nmeshes: 64\nboundaries: [no-flux, 'dirichlet=0.5,1']\ninitial: random\nseeds: [1, 2, 3]\n"
    rows = in_process(planned(tmp_path, text))
    assert {row.verdict for row in rows} == {"conserved"}


def test_a_case_has_the_same_row_on_all_backends_and_each_time(tmp_path: Path) -> None:
    text = "models: heat1d\nboundaries: [periodic, 'dirichlet=0,1']\ninitial: random\nseeds: 7\nbackends: [fast, onnx]"
    cases = planned(tmp_path, text)
    rows = without_times(in_process(cases))
    assert rows == without_times(in_process(cases))
    one = [replace(row, backend="", key="") for row in rows]
    assert one[0] == one[1] and one[2] == one[3] and one[0] != one[2]


def test_what_cannot_be_compiled_or_run_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "u.npy", np.full(16, 9.0))
    np.save(tmp_path / "v.npy", np.ones(3))
    rows = in_process(planned(tmp_path, "models: heat1d\nmeshes: [16, 4x4]\ninitial: [u.npy, v.npy, sine]\nsteps: 1\n"))
    assert [(row.verdict, row.artifact is None, row.message) for row in rows[:3]] == [
        (
            "refused",
            False,
            "u.npy: cell 0 has the value 9, outside the operating range 0 to 2; compile with `value_range` LOWER,UPPER "
            "to widen it",
        ),
        ("refused", False, f"{tmp_path}/v.npy: has shape (3,), the mesh has (16,)"),
        ("refused", False, "initial condition 'sine': unknown for heat1d; use modes, bump"),
    ]
    refusal = (
        "lower: the model heat1d has 1 dimensions, the mesh 2 and the boundary 2; give `mesh` and `boundary` one entry "
        "per dimension"
    )
    assert [(row.verdict, row.artifact, row.message) for row in rows[3:]] == [("refused", None, refusal)] * 3


def wounded(request: CompileRequest) -> tuple[IntegerGraph, dict[str, Any]]:
    """A graph that does not conserve."""
    graph, provenance = worker_options().compile_graph(request)
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    return replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas))), provenance


def test_a_violation_is_a_row_without_a_drift_that_nobody_measured(tmp_path: Path) -> None:
    (row,) = in_process(
        planned(tmp_path, "models: heat1d\nsteps: 20\n"), replace(worker_options(), compile_graph=wounded)
    )
    assert row.verdict == "violated" and row.drift is row.plausible is None and row.relative_l2_error is None
    assert row.asked_steps == 20 and row.steps == 0 and row.violations_local == 1
    assert str(row.message).startswith("local invariant broken: membrane [2] at PDE step 1: expected ")


def unstable(request: CompileRequest) -> tuple[IntegerGraph, dict[str, Any]]:
    """A graph of which the certificate says that a mode grows."""
    graph, provenance = worker_options().compile_graph(request)
    assert graph.certificate is not None
    claim = replace(graph.certificate.stability, figures={"modulus": 1.25})
    return replace(graph, certificate=replace(graph.certificate, stability=claim)), provenance


def test_a_run_that_conserves_may_be_implausible(tmp_path: Path) -> None:
    cases = planned(tmp_path, "models: heat1d\nsteps: 2\n")
    (row,) = in_process(cases, replace(worker_options(), compile_graph=unstable))
    assert (row.verdict, row.plausible) == ("conserved", False)
    (row,) = in_process(cases)
    assert (row.verdict, row.plausible) == ("conserved", True)


def failing(error: Exception) -> Callable[[CompileRequest], tuple[IntegerGraph, dict[str, Any]]]:
    def compile_graph(request: CompileRequest) -> tuple[IntegerGraph, dict[str, Any]]:
        raise error

    return compile_graph


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("out of luck"), "RuntimeError: out of luck"),
        (MemoryError(), "MemoryError: "),
        (CheckError("the backend broke down"), "the backend broke down"),
    ],
)
def test_what_nobody_expected_is_no_result(error: Exception, message: str, tmp_path: Path) -> None:
    (row,) = in_process(planned(tmp_path, "models: heat1d\n"), replace(worker_options(), compile_graph=failing(error)))
    assert (row.verdict, row.message, row.artifact) == ("failed", message, None)


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "u.npy", np.ones(16))
    (case,) = planned(tmp_path, "models: heat1d\ninitial: u.npy\n")
    work: WorkerOptions = worker_options()
    np.save(tmp_path / "u.npy", np.full(16, 1.5))
    row = run_case(case, compile_case(case.target, work), work)
    assert (row.verdict, row.message) == ("refused", "u.npy: differs on this worker from the file in the plan")
    other = replace(case, target=replace(case.target, profile=replace(case.target.profile, digest="0")))
    row = run_case(other, compile_case(other.target, work), work)
    expected = "profile loihi2: differs on this worker from the one in the plan"
    assert (row.verdict, row.message) == ("refused", expected)


def test_faults_are_found_in_the_step_in_which_they_strike(tmp_path: Path) -> None:
    plan = "models: heat1d\nmeshes: 16\nsteps: 9\nbackends: [fast, onnx]\nfaults: [none, 'drop:packet[3]@4']\n"
    rows = in_process(planned(tmp_path, plan))
    assert [(row.backend, row.fault, row.verdict, row.fault_detected_step) for row in rows] == [
        ("fast", None, "conserved", None),
        ("fast", "drop:packet[3]@4", "violated", 5),
        ("onnx", None, "conserved", None),
        ("onnx", "drop:packet[3]@4", "refused", None),
    ]
    assert len({row.key for row in rows}) == 4
