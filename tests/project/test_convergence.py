"""Orders of convergence, and the parts of the error that quanta have."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rod_recipe import rod_recipe

from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project import convergence
from pisnn_deploy.project.converge_request import converge_request
from pisnn_deploy.project.convergence import Convergence, Errors, MeshErrors, converge
from pisnn_deploy.runs import Run, RunOptions, run_graph


@pytest.fixture(scope="module")
def heat() -> Convergence:
    return converge(converge_request("heat1d", "64,32"))


def test_errors_of_a_model_are_those_of_its_floats_and_its_quanta(heat: Convergence) -> None:
    assert [row.mesh for row in heat.meshes] == [(32,), (64,)] and heat.fields == ("u",)
    for row in heat.meshes:
        errors = row.errors["u"]
        parts = errors.integers, errors.without_quantum, errors.quantum, errors.floats
        integers, without, quantum, floats = (part or math.nan for part in parts)
        assert abs(integers - without) <= quantum <= integers + without
        assert errors.reference < without < floats
        assert row.drift == 0 and not row.reason
        assert abs(row.time - 1.0) < 0.1
    order = heat.fitted_order("u", "floats")
    assert order is not None and 1.9 < order < 2.1
    assert heat.orders("u", "floats") == [None, pytest.approx(order)]


def test_coarser_quanta_have_a_larger_share_and_no_order(tmp_path: Path) -> None:
    fine = converge(converge_request(rod_recipe(tmp_path), "16,32,64"))
    coarse = converge(converge_request(rod_recipe(tmp_path, quantum_bits={"u": 10}), "16,32,64"))
    order, share = fine.fitted_order("u"), fine.values("u", "quantum")
    assert order is not None and 1.8 < order < 2.2
    fine.require_order(1.8)
    for ours, theirs in zip(share, coarse.values("u", "quantum"), strict=True):
        assert ours is not None and theirs is not None and theirs > 100 * ours
    with pytest.raises(
        CheckError, match=r"^order of u: -?\d\.\d\d, expected at least 1\.8 \(without quantum \d\.\d\d, "
    ):
        coarse.require_order(1.8)


def test_a_float_scheme_stands_beside_a_law(tmp_path: Path) -> None:
    central, better = (
        converge(converge_request(rod_recipe(tmp_path), [16, 32], norm="largest", scheme=scheme)).values("u", "floats")
        for scheme in ("central", "weno5")
    )
    assert all(a is not None and b is not None and b < a for a, b in zip(central, better, strict=True))


def test_a_run_that_loses_mass_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(backend: str, graph: IntegerGraph, mass: Any, options: RunOptions, report: Any) -> Run:
        faults = (parse_fault("drop:packet[3]@1"),) if graph.mesh.cells == 32 else ()
        return run_graph(backend, graph, mass, replace(options, faults=faults), report)

    monkeypatch.setattr(convergence, "run_graph", faulty)
    result = converge(converge_request("heat1d", "16,32", time=0.5))
    assert result.to_dict()["verdict"] == "violated"
    assert [row["verdict"] for row in result.to_dict()["meshes"]] == ["conserved", "violated"]
    with pytest.raises(CheckError, match=r"^mesh 32: local invariant broken: "):
        result.require_conserved()


def _result(*errors: float | None) -> Convergence:
    rows = [MeshErrors((8 << n,), 1, 1.0, 0, {"u": Errors(error)}) for n, error in enumerate(errors)]
    return Convergence("case", "l2", "", "", "", tuple(rows))


def test_an_order_is_a_slope() -> None:
    assert _result(0.8, 0.2, 0.05).fitted_order("u") == pytest.approx(2)
    assert _result(0.8, 0.2, 0.1).orders("u") == [None, pytest.approx(2), pytest.approx(1)]
    square = replace(_result(0.8, 0.2), meshes=tuple(replace(r, mesh=(*r.mesh, 8)) for r in _result(0.8, 0.2).meshes))
    assert square.fitted_order("u") == pytest.approx(4)  # half as many cells of half the width


@pytest.mark.parametrize(
    ("errors", "passes"), [((0.8, 0.0), True), ((0.0, 0.0), True), ((0.0, 0.1), False), ((0.1, None), False)]
)
def test_orders_that_are_unknown_fail_unless_nothing_is_left(errors: tuple[float | None, ...], passes: bool) -> None:
    result = _result(*errors)
    if passes:
        return result.require_order(9)
    with pytest.raises(CheckError, match=r"^order of u: unknown, for an error is unknown or 0; expected at least 9$"):
        result.require_order(9)


@pytest.mark.parametrize(
    ("model", "meshes", "options", "message"),
    [
        ("heat1d", "64", {}, "`meshes`: expected at least two, such as 32,64,128"),
        ("heat1d", [], {}, "`meshes`: expected at least two, such as 32,64,128"),
        ("heat1d", "64,64", {}, "`meshes`: 64 and 64 have equally many cells"),
        ("heat1d", "64,8x8x8", {}, "`meshes`: all need the same number of axes"),
        ("heat1d", "64,plate.msh", {}, "`meshes` plate.msh: expected grids, such as 64 or 64x64"),
        ("heat1d", "16,32", {"time": -1}, "`time` -1: expected a number above 0"),
        ("heat1d", "16,32", {"norm": "l3"}, "`norm` 'l3': expected one of l1, l2, largest"),
        ("heat1d", "16,32", {"scheme": "muscl"}, "mesh 16: `scheme` is for laws; a model is compared with "),
        ("lwr", "16,32", {"scheme": "upwind"}, "mesh 16: `scheme` 'upwind': expected one of central, godunov, "),
        ("lwr", "16,32", {"time": 1e-9}, "mesh 16: `time` is 0 PDE steps of "),
        ("burgers1d", "16,256", {}, "mesh 16: lower: the model burgers1d was trained for cells "),
    ],
)
def test_what_cannot_be_measured_is_refused(model: str, meshes: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        converge(converge_request(model, meshes, **options))
    assert str(refused.value).startswith(message)


def test_a_law_without_a_reference_is_refused(tmp_path: Path) -> None:
    path = rod_recipe(tmp_path, reference=None)
    with pytest.raises(UsageError) as refused:
        converge(converge_request(path, "16,32"))
    assert str(refused.value) == f"{path}: the recipe of rod names no reference, so there is no error to measure"
