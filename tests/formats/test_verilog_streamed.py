"""Circuits that stream the rows of a grid: every integer of every PDE step, the cycles they take, and refusals."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from graphs_by_hand import runnable_graph
from models_under_test import compiled, compiled_box, heat_model
from trace_setups import set_ups

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.verilog.placement import factored, placed
from pisnn_deploy.formats.verilog.streamed import STREAMED, cycles
from pisnn_deploy.formats.verilog.units import hardware_of
from pisnn_deploy.formats.verilog.writer import verilog_files
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.annotations import Bound
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.target.work import circuit_work


def written(graph: IntegerGraph, folder: Path) -> dict[str, bytes]:
    files = verilog_files(plan(graph), architecture=STREAMED)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def icarus(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the testbench with Icarus Verilog and run it."""
    build = ["iverilog", "-g2005-sv", "-Wall", "-o", "bench", "pisnn.v", "bench.v"]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=True)
    assert not done.stderr, done.stderr
    return subprocess.run(["vvp", "-n", "bench"], cwd=folder, capture_output=True, text=True, check=False)


def assert_equal(graph: IntegerGraph, folder: Path) -> None:
    written(graph, folder)
    done = icarus(folder)
    assert done.returncode == 0 and done.stdout.startswith("equal after "), done.stdout


KINDS = (
    "heat1d dirichlet=0,1",
    "heat1d binary",
    "heat1d seen residues dense",
    "heat1d capacity with a limiter",
    "heat2d x=periodic y=dirichlet=0,1",
)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_grid_has_the_integers_of_the_reference(name: str, tmp_path: Path) -> None:
    assert_equal(dict(set_ups())[name](tmp_path), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, _ in set_ups() if name not in KINDS])
def test_every_other_kind_has_them_or_is_refused_for_its_structure(name: str, tmp_path: Path) -> None:
    graph = dict(set_ups())[name](tmp_path)
    if STREAMED.refuses(hardware_of(plan(graph))):
        with pytest.raises(UsageError, match="cannot be streamed"):
            written(graph, tmp_path)
    else:
        assert_equal(graph, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_graph_has_the_integers_of_the_reference_or_is_refused(seed: int, tmp_path: Path) -> None:
    graph = runnable_graph(seed)
    ends = [(field.holder, quantity) for field in graph.fields for quantity in ("mass", "ledger")]
    graph = replace(graph, bounds=tuple(Bound(*key, -(1 << 40), 1 << 40, 41) for key in ends))
    if not STREAMED.refuses(hardware_of(plan(graph))):
        assert_equal(graph, tmp_path)


def test_between_walls_a_pde_step_takes_a_cycle_for_each_cell_and_the_reach_of_the_stencil(tmp_path: Path) -> None:
    line = compiled_box(heat_model(), (48,), "no-flux")
    for graph in (line, dict(set_ups())["heat2d no-flux"](tmp_path)):
        streamed, row = cycles(hardware_of(plan(graph))), graph.mesh.shape[-1] + 1
        assert graph.mesh.cells < streamed < graph.mesh.cells + 8 * row
        assert circuit_work(graph).cycles > 5 * streamed


def test_the_testbench_sees_one_wrong_tap(tmp_path: Path) -> None:
    source = written(compiled_box(heat_model(), (9,), "no-flux"), tmp_path)["pisnn.v"].decode()
    wrong = re.sub(r"(membrane_mass\$lane0\$arrival\d+ =) - ", r"\1 ", source, count=1)
    assert wrong != source
    (tmp_path / "pisnn.v").write_text(wrong)
    assert icarus(tmp_path).returncode == 1


def test_the_testbench_sees_a_wrong_delay(tmp_path: Path) -> None:
    source = written(compiled(heat_model(), cells=24), tmp_path)["pisnn.v"].decode()
    pointer = next(line for line in source.splitlines() if "$from = turn" in line)
    length = pointer.rsplit("'d", 1)[1].rstrip(";")
    (tmp_path / "pisnn.v").write_text(source.replace(pointer, pointer.replace(f"'d{length};", f"'d{int(length) - 1};")))
    assert icarus(tmp_path).returncode == 1


def test_the_testbench_sees_one_wrong_start(tmp_path: Path) -> None:
    files = written(compiled_box(heat_model(), (9,), "no-flux"), tmp_path)
    first, *rest = files["membrane_mass_0.hex"].decode().split()
    changed = f"{int(first, 16) ^ 1:0{len(first)}x}"
    (tmp_path / "membrane_mass_0.hex").write_text("\n".join([changed, *rest]) + "\n")
    assert icarus(tmp_path).returncode == 1


def test_verilator_agrees(tmp_path: Path) -> None:
    written(compiled_box(heat_model(), (8,), "no-flux"), tmp_path)
    quiet = ["-Wno-fatal", "-Wno-WIDTH", "--timing", "-CFLAGS", "-O0"]
    build = ["verilator", "--binary", *quiet, "--top", "bench", "bench.v", "pisnn.v"]
    subprocess.run(build, cwd=tmp_path, capture_output=True, check=True)
    done = subprocess.run([tmp_path / "obj_dir" / "Vbench"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("equal after 32 PDE steps\n")


def test_yosys_makes_a_circuit_of_it(tmp_path: Path) -> None:
    written(compiled_box(heat_model(), (9,), "no-flux"), tmp_path)
    script = "read_verilog pisnn.v chip.v; hierarchy -check -top chip; proc; check -assert; memory -nomap; stat"
    done = subprocess.run(["yosys", "-Q", "-p", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]


def test_faces_stand_beside_their_cells() -> None:
    hardware = hardware_of(plan(compiled_box(heat_model(), (6,), "no-flux")))
    places = placed(hardware)
    assert places["membrane_mass"].position.tolist() == [0, 1, 2, 3, 4, 5]
    assert places["flux_packet"].position.tolist() == [1, 2, 3, 4, 5]
    assert places["flux_packet"].lanes == 1


def test_codes_tell_indices_apart_only_where_classes_differ() -> None:
    classes = np.array([[1, 2, 2, 3], [1, 2, 2, 3], [4, 5, 5, 6]])
    (rows, row_codes), (columns, column_codes) = factored(classes)
    assert (rows.size, columns.size) == (2, 3)
    assert (classes[np.ix_(rows[row_codes], columns[column_codes])] == classes).all()


def test_a_graph_that_is_no_stream_is_refused_with_what_takes_it(tmp_path: Path) -> None:
    graph = dict(set_ups())["multi-point fluxes"](tmp_path)
    with pytest.raises(UsageError) as caught:
        verilog_files(plan(graph), architecture=STREAMED)
    assert str(caught.value).endswith(" cannot be streamed: a mesh of cells has no rows; use `parallel` or `serial`"), (
        str(caught.value)
    )
    with pytest.raises(UsageError, match="not streamed: a mesh of cells has no rows"):
        cycles(hardware_of(plan(graph)))


def test_the_command_streams(tmp_path: Path) -> None:
    artifact, folder = tmp_path / "heat.pisnn", tmp_path / "out"
    write_artifact(artifact, compiled(heat_model(), cells=6), {})
    line = ["export", str(artifact), "--to", "verilog", "--streamed", "-o", str(folder), "-q"]
    assert CliRunner().invoke(group, line).exit_code == 0
    assert {"pisnn.v", "membrane_mass_0.hex"} <= {path.name for path in folder.iterdir()}
    for wrong in (["--to", "c", "--streamed"], ["--to", "verilog", "--streamed", "--serial"]):
        result = CliRunner().invoke(group, ["export", str(artifact), *wrong])
        assert isinstance(result.exception, UsageError)
        assert str(result.exception) == "--streamed: needs --to verilog, without --serial"
