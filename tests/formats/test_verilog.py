"""Graphs as Verilog: circuits that give every integer of every PDE step, and proofs of their widths."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from drawn_laws import drawn_law
from faces_by_hand import random_graph_of_one_field
from graphs_by_hand import runnable_graph
from models_under_test import compiled, compiled_box, heat_model, oscillating_model
from pydantic import ValidationError
from trace_setups import set_ups

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.verilog.architecture import Architecture
from pisnn_deploy.formats.verilog.parallel import PARALLEL
from pisnn_deploy.formats.verilog.serial import SERIAL
from pisnn_deploy.formats.verilog.statements import literal, module, signed, times
from pisnn_deploy.formats.verilog.units import Unit, hardware_of
from pisnn_deploy.formats.verilog.writer import verilog_files
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.annotations import Bound
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.programs.interval import Interval

FAR, WORD = 1 << 40, Interval(-(1 << 63), (1 << 63) - 1)
RANDOM = int(os.environ.get("PISNN_CASES", "3"))
ARCHITECTURES = {"parallel": PARALLEL, "serial": SERIAL}
both = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())


def written(graph: IntegerGraph, folder: Path, architecture: Architecture) -> dict[str, bytes]:
    files = verilog_files(plan(graph), architecture=architecture)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def icarus(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the testbench with Icarus Verilog and run it."""
    build = ["iverilog", "-g2005-sv", "-Wall", "-o", "bench", "pisnn.v", "bench.v"]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=True)
    assert not done.stderr, done.stderr
    return subprocess.run(["vvp", "-n", "bench"], cwd=folder, capture_output=True, text=True, check=False)


def assert_equal(graph: IntegerGraph, folder: Path, architecture: Architecture) -> None:
    written(graph, folder, architecture)
    done = icarus(folder)
    assert done.returncode == 0 and re.match(r"equal after \d+ PDE steps\n", done.stdout), done.stdout


KINDS = (
    "heat1d dirichlet=0,1",
    "heat1d stock with a send threshold",
    "heat1d seen residues dense",
    "heat1d capacity with a limiter",
)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_graph_has_the_integers_of_the_reference(name: str, tmp_path: Path) -> None:
    graph = dict(set_ups())[name](tmp_path)
    for architecture in ARCHITECTURES.values():
        assert_equal(graph, tmp_path, architecture)


def test_neurons_without_synapses_send_from_the_first_step_on(tmp_path: Path) -> None:
    assert_equal(dict(set_ups())["multi-point fluxes"](tmp_path), tmp_path, SERIAL)


@both
def test_what_cells_keep_back_is_that_of_the_reference(architecture: Architecture, tmp_path: Path) -> None:
    graph = compiled_box(oscillating_model(), (9,), "no-flux", limiter="positivity")
    mass = np.zeros(9, np.int64)
    mass[3] = graph.window.upper // 8
    assert_equal(starting_from(graph, mass), tmp_path, architecture)


@both
@pytest.mark.parametrize("seed", range(RANDOM))
@pytest.mark.parametrize("draw", [runnable_graph, random_graph_of_one_field])
def test_a_random_graph_has_the_integers_of_the_reference(
    draw: Callable[[int], IntegerGraph], seed: int, architecture: Architecture, tmp_path: Path
) -> None:
    graph = draw(seed)
    ends = [(field.holder, quantity) for field in graph.fields for quantity in ("mass", "ledger")]
    bounds = tuple(Bound(*key, -FAR, FAR, 41) for key in ends)
    assert_equal(replace(graph, bounds=bounds), tmp_path, architecture)


LAWS = (5,) if RANDOM == 3 else tuple(range(RANDOM))
"""Seed 5 draws a small law."""


@both
@pytest.mark.parametrize("seed", LAWS)
def test_a_random_law_has_the_integers_of_the_reference(seed: int, architecture: Architecture, tmp_path: Path) -> None:
    try:
        graph = drawn_law(seed)
    except (ValidationError, UsageError):
        return
    assert_equal(graph, tmp_path, architecture)


def ring(cells: int = 6) -> IntegerGraph:
    return compiled(heat_model(), cells=cells)


def test_the_testbench_sees_one_wrong_weight(tmp_path: Path) -> None:
    source = written(ring(), tmp_path, PARALLEL)["pisnn.v"].decode()
    (tmp_path / "pisnn.v").write_text(source.replace("- flux_packet[0]", "+ flux_packet[0]", 1))
    done = icarus(tmp_path)
    assert done.returncode == 1 and "differs after 32 PDE steps" in done.stdout


def test_the_testbench_sees_one_wrong_synapse_in_memory(tmp_path: Path) -> None:
    first, *rest = written(ring(), tmp_path, SERIAL)["synapses.hex"].decode().split()
    changed = f"{int(first, 16) ^ 1:0{len(first)}x}"
    (tmp_path / "synapses.hex").write_text("\n".join([changed, *rest]) + "\n")
    assert icarus(tmp_path).returncode == 1


def test_verilator_agrees(tmp_path: Path) -> None:
    written(ring(), tmp_path, SERIAL)
    quiet = ["-Wno-fatal", "-Wno-WIDTH", "--timing", "-CFLAGS", "-O0"]
    build = ["verilator", "--binary", *quiet, "--top", "bench", "bench.v", "pisnn.v"]
    subprocess.run(build, cwd=tmp_path, capture_output=True, check=True)
    done = subprocess.run([tmp_path / "obj_dir" / "Vbench"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("equal after 32 PDE steps\n")


def yosys(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["yosys", "-Q", "-p", script], cwd=folder, capture_output=True, text=True, check=False)


def proof(unit: Unit) -> str:
    """A circuit that compares a program with one whose values all have 64 bits, for all inputs within their bounds."""
    wide = replace(
        unit,
        name="wide",
        values=dict.fromkeys(unit.values, WORD),
        states={state: replace(array, bounds=WORD) for state, array in unit.states.items()},
        writes=tuple((replace(array, bounds=WORD), value) for array, value in unit.writes),
    )
    limits = {name: unit.states[name].bounds if name in unit.states else unit.values[name] for name in unit.inputs}
    ends = ", ".join(f"input wire {signed(bits)} v_{name}" for name, bits in unit.inputs.items())
    lines = [*module(unit), *module(wide), f"module prove ({ends});"]
    for part in (unit, wide):
        outputs = [f"out_{array.name}" for array, _ in part.writes]
        lines += [f"wire {signed(array.bounds.bits)} {part.name}_out_{array.name};" for array, _ in part.writes]
        joined = [f".v_{name}(v_{name})" for name in unit.inputs] + [f".{out}({part.name}_{out})" for out in outputs]
        lines.append(f"{part.name}_neuron {part.name} ({', '.join(joined)});")
    for name, limit in limits.items():
        lower, upper = literal(limit.lower), literal(limit.upper)
        lines.append(f"always @* assume (v_{name} >= {lower} && v_{name} <= {upper});")
    for array, _ in unit.writes:
        out, lower, upper = f"out_{array.name}", literal(array.bounds.lower), literal(array.bounds.upper)
        lines.append(f"always @* assert ({unit.name}_{out} == wide_{out});")
        lines.append(f"always @* assert (wide_{out} >= {lower} && wide_{out} <= {upper});")
    return "\n".join([*lines, "endmodule"])


PROVE = "read_verilog -formal p.v; prep -top prove -flatten; opt -full; sat -prove-asserts -set-assumes -verify prove"


@pytest.mark.parametrize("name", ["heat1d delta", "heat1d seen residues dense"])
def test_no_value_leaves_its_width_and_no_residue_its_bound(name: str, tmp_path: Path) -> None:
    flux = next(unit for unit in hardware_of(plan(dict(set_ups())[name](tmp_path))).units if unit.name == "flux")
    (residue,) = flux.states.values()
    fire = next(operation for operation in flux.operations if operation.name == "fire")
    half = 1 << int(fire.operands[-1]) >> 1
    assert (residue.bounds.lower, residue.bounds.upper) == (-half, half)
    (tmp_path / "p.v").write_text(proof(flux))
    done = yosys(tmp_path, PROVE)
    assert done.returncode == 0 and "no model found: SUCCESS!" in done.stdout, done.stdout[-500:]


def test_a_width_that_is_too_narrow_is_found(tmp_path: Path) -> None:
    flux = next(unit for unit in hardware_of(plan(ring())).units if unit.name == "flux")
    packet = flux.values["packet"]
    narrow = replace(flux, values={**flux.values, "packet": Interval(packet.lower // 2, packet.upper // 2)})
    (tmp_path / "p.v").write_text(proof(narrow))
    assert yosys(tmp_path, PROVE).returncode != 0


@both
def test_yosys_makes_circuits_of_it(architecture: Architecture, tmp_path: Path) -> None:
    written(ring(), tmp_path, architecture)
    done = yosys(
        tmp_path, "read_verilog pisnn.v chip.v; hierarchy -check -top chip; proc; check -assert; memory -nomap; stat"
    )
    assert done.returncode == 0, done.stdout[-500:]


def test_constants_are_shifts_and_sums() -> None:
    for weight in (1, -1, 2, 7, -7, 11, 127, 128, -340):
        text = times(weight, "x").replace("<<<", "<<")
        assert eval(text.removeprefix(" +"), {"x": 5}) == 5 * weight
    assert times(7, "x") == " - x + (x <<< 3)"


def test_the_command_and_the_files_are_the_same_each_time(tmp_path: Path) -> None:
    artifact, contents = tmp_path / "heat.pisnn", []
    write_artifact(artifact, ring(), {})
    for folder in (tmp_path / "one", tmp_path / "two"):
        result = CliRunner().invoke(
            group, ["export", str(artifact), "--to", "verilog", "--serial", "-o", str(folder), "-q"]
        )
        assert result.exit_code == 0, result.output
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1] and {"pisnn.v", "bench.v", "chip.v", "synapses.hex"} <= contents[0].keys()


def test_a_graph_with_too_many_neurons_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"heat1d cannot be parallel: 12 neurons, and it takes at most 11; use `streamed` or `serial`"
    ):
        verilog_files(plan(ring()), architecture=replace(PARALLEL, most_neurons=11))
    result = CliRunner().invoke(group, ["export", "heat1d", "--to", "c", "--serial"])
    assert isinstance(result.exception, UsageError)
