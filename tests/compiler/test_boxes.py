"""Linear heat models in boxes of three dimensions, and reservoirs whose values differ along a side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from models_under_test import box, compiled_box, plane_model, space_model
from network_runs import assert_same
from reference_runs import reference_run

from pisnn_deploy.compiler import CompileOptions, Lower, LowerTwoPoint, Material, compile_model
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.mesh import Mesh, boundary_from_mapping, parse_boundary, reservoir_layers
from pisnn_deploy.physics.model import Model
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

LOIHI2 = load_profile("loihi2")
SHAPE = (6, 5, 7)


def wide_model() -> Model:
    """A model of four cells along the axis and three across: it sees neighbouring lines in space."""
    plain = space_model()
    kernel = np.zeros((4, 3, 3))
    kernel[:, 1, 1] = 1.0, 8.0, -8.0, -1.0
    for row, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
        kernel[1:3, row, column] = 1.0, -1.0
    changed = plain.spec.model_copy(update={"half_width": 2, "transverse": 1})
    return Model(changed, (kernel.reshape(1, -1) / 128,), plain.biases)


CASES = {
    "mixed": "x=periodic y-=no-flux y+=dirichlet=1 z=dirichlet=1,1",
    "one axis of reservoirs": "x=dirichlet=1,1 y=no-flux z=periodic",
    "unequal reservoirs": "x=dirichlet=0.5,1.5 y=periodic z-=dirichlet=1 z+=no-flux",
    "closed": "x=no-flux y=periodic z=no-flux",
}


@pytest.mark.parametrize("model", [space_model(), wide_model()], ids=["two cells", "neighbouring lines"])
@pytest.mark.parametrize("coding", ["delta", "dense"])
@pytest.mark.parametrize("sides", CASES)
def test_a_box_is_compiled_proved_and_conserved(sides: str, coding: Coding, model: Model) -> None:
    graph = compiled_box(model, SHAPE, CASES[sides], coding)
    assert defects(graph) == [] and graph.mesh.cells == 210
    assert all(finding.holds for finding in check_certificate(graph))
    assert graph.certificate is not None and graph.certificate.conservation.status == "proved"
    run = reference_run(graph, graph.initial, RunOptions(100))
    assert run.conserved and not any(run.violations.values()) and run.packets_sent > 0
    totals = [sum(row.tolist()) for row in np.concatenate([run.trace.mass, run.trace.ledger], axis=1)]
    assert totals == [sum(graph.initial.tolist())] * 101


@pytest.mark.parametrize("sides", ["mixed", "one axis of reservoirs"])
def test_a_box_gives_the_same_integers_on_lava(sides: str) -> None:
    graph = compiled_box(wide_model(), SHAPE, CASES[sides])
    expected = reference_run(graph, graph.initial, RunOptions(12))
    assert expected.conserved and expected.packets_sent > 0
    assert_same(cpu.run(graph, graph.initial, RunOptions(12)), expected)


@pytest.mark.parametrize("sides", ["mixed", "one axis of reservoirs", "closed"])
def test_a_box_follows_the_heat_equation(sides: str) -> None:
    """With cells half as wide the error is less than half: it is that of the scheme, not of the integers."""
    errors = []
    for refined, steps in ((1, 10), (2, 40)):
        shape = tuple(refined * count for count in SHAPE)
        graph = compiled_box(space_model(), shape, CASES[sides])
        mesh, time = graph.grid, steps * graph.time_step
        run = reference_run(graph, graph.initial, RunOptions(steps, every=steps))
        exact = problem("heat3d", 1.0).reference(mesh, graph.reservoir_values(), time)
        assert exact is not None and run.conserved
        start = problem("heat3d", 1.0).initial(mesh, graph.reservoir_values())
        moved = np.linalg.norm(exact - start)
        errors.append(float(np.linalg.norm(graph.values(run.trace.mass[-1]) - exact) / moved))
    assert errors[1] < errors[0] / 2 and errors[1] < 0.05, errors


def test_the_problem_has_a_default_of_its_own() -> None:
    heat = problem("heat3d")
    assert heat.default_shape == (16, 16, 16)
    assert heat.default_boundary(heat.default_shape).sides == (("periodic", "periodic"),) * 3
    mesh = box((4, 6, 5), "x=periodic y=no-flux z=dirichlet=0,1")
    assert heat.reference(mesh, np.repeat([0.0, 1.0], 24), 0.1) is None
    assert heat.initial(mesh, np.repeat([0.0, 1.0], 24)).shape == (120,)


# Reservoirs along a side ----------------------------------------------------------------------------------------------


def shown(mesh: Mesh, graph: IntegerGraph, axis: int, side: int) -> dict[int, float]:
    """Value of the reservoir beside each cell of a side, from the incidence alone."""
    values = graph.reservoir_values()
    beside = {}
    for source, target, along in zip(mesh.source.tolist(), mesh.target.tolist(), mesh.axis.tolist(), strict=True):
        ends = (target, source) if side else (source, target)  # the lower end of a face comes first
        reservoir = target if side else source
        cell = source if side else target
        if along == axis and reservoir >= mesh.cells:
            assert ends[1] == cell
            beside[cell] = float(values[reservoir - mesh.cells])
    return beside


def ramp(count: int) -> list[float]:
    return [0.5 + number / 64 for number in range(count)]


@pytest.mark.parametrize("differ", [False, True], ids=["alike", "two-point"])
@pytest.mark.parametrize(
    ("shape", "content"),
    [
        ((5, 6), {"x-": {"dirichlet": ramp(6)}, "x+": "no-flux", "y": "periodic"}),
        ((5, 6), {"x": "periodic", "y-": {"dirichlet": ramp(5)}, "y+": {"dirichlet": ramp(5)[::-1]}}),
        (SHAPE, {"x": "periodic", "y": "no-flux", "z-": {"dirichlet": 1}, "z+": {"dirichlet": ramp(30)}}),
        (SHAPE, {"x-": {"dirichlet": ramp(35)}, "x+": {"dirichlet": 0.75}, "y": "periodic", "z": "no-flux"}),
    ],
)
def test_reservoirs_hold_a_list_of_values_at_the_right_cells(
    shape: tuple[int, ...], content: Mapping[str, object], differ: bool
) -> None:
    boundary = boundary_from_mapping(content, len(shape))
    model = plane_model() if len(shape) == 2 else space_model()
    if differ:
        capacity = np.linspace(1.0, 1.5, int(np.prod(shape))).reshape(shape)
        lower = LowerTwoPoint(shape, boundary, {"default": Material(1.0)}, None, capacity)
        graph = compile_model(model, CompileOptions(lower, LOIHI2))
    else:
        graph = compile_model(model, CompileOptions(Lower(shape, boundary), LOIHI2))
    mesh = graph.grid
    cells = np.arange(mesh.cells).reshape(shape)
    found = 0
    for axis, letter in enumerate("xyz"[: len(shape)]):
        for side in (0, 1):
            said = content.get(letter, content.get(f"{letter}{'-+'[side]}"))
            held = shown(mesh, graph, axis, side)
            if not isinstance(said, dict):
                assert held == {}
                continue
            layer = np.take(cells, -side, axis).reshape(-1).tolist()
            values = said["dirichlet"] if isinstance(said["dirichlet"], list) else [said["dirichlet"]] * len(layer)
            assert held == dict(zip(layer, values, strict=True)), "in C order along the side"
            found += len(held)
    assert found == mesh.reservoirs == sum(part.size for pair in reservoir_layers(mesh) for part in pair)
    assert all(finding.holds for finding in check_certificate(graph))
    run = reference_run(graph, graph.mass(np.full(mesh.cells, 1.0)), RunOptions(30))
    assert run.conserved and run.trace.ledger[-1].any()


def test_the_text_and_the_mapping_of_one_value_are_the_same() -> None:
    text = parse_boundary("x=periodic y-=no-flux y+=dirichlet=1 z=dirichlet=1,1", 3)
    plain = {"x": "periodic", "y-": "no-flux", "y+": {"dirichlet": 1}, "z": {"dirichlet": 1}}
    assert boundary_from_mapping(plain, 3) == text
