"""Profiles of boards: their figures, what a graph needs of them, and what is said of files that are none."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from trace_setups import set_ups

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.c.writer import c_files
from pisnn_deploy.formats.verilog.serial import SERIAL
from pisnn_deploy.formats.verilog.writer import verilog_files
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import (
    Fpga,
    Microcontroller,
    board_names,
    load_board,
    load_profile,
    load_target,
    names,
    parents_of,
    source_of,
    validate_profile,
)
from pisnn_deploy.target.board_resources import Spread, demand, exactly
from pisnn_deploy.target.work import c_work, circuit_work

KINDS = {
    "cortex-m0": Microcontroller,
    "cortex-m4": Microcontroller,
    "ecp5-25f": Fpga,
    "ice40-up5k": Fpga,
    "rv32imc": Microcontroller,
}


def test_the_library_has_boards_beside_chips() -> None:
    assert board_names() == tuple(KINDS)
    assert not {*board_names()} & {*names()}
    for name, kind in KINDS.items():
        board = load_target(name)
        assert type(board) is kind and board.name == name and source_of(name) == "library"


def test_limits_of_parts() -> None:
    small, fpga = load_board("cortex-m0"), load_board("ice40-up5k")
    assert isinstance(small, Microcontroller) and isinstance(fpga, Fpga)
    assert (small.memory.flash_bytes.value, small.memory.ram_bytes.value) == (1 << 18, 1 << 14)
    assert (fpga.fabric.cells.value, fpga.fabric.multipliers.value) == (5280, 8)
    assert fpga.energy.dynamic_w.is_unpublished


def test_nothing_is_compiled_for_a_board() -> None:
    with pytest.raises(UsageError) as caught:
        load_profile("cortex-m0")
    assert str(caught.value) == (
        "profile 'cortex-m0' is a board, which runs exports: compile for a chip, such as generic-int, and check the "
        "artifact with --profile cortex-m0"
    )
    with pytest.raises(UsageError) as caught:
        load_board("loihi2")
    assert str(caught.value) == f"profile 'loihi2' is a chip, not a board; boards are {', '.join(KINDS)}"


def test_a_board_extends_another_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    source = 'confidence: documented, source: "Its label"'
    path.write_text(f"extends: cortex-m0\nname: mine\nmemory:\n  ram_bytes: {{value: 32768, {source}}}\n")
    board = load_board(str(path))
    assert isinstance(board, Microcontroller) and board.memory.ram_bytes.value == 32768
    assert parents_of(str(path)) == ("cortex-m0",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("target: toaster", "target: found \"toaster\"; expected 'microcontroller' or 'fpga'"),
        ("target: [1]", "target: found a list; expected 'microcontroller' or 'fpga'"),
        ("extends: cortex-m0\nmemry: 1", "memry: is not a field of a profile; expected 'memory'"),
        (
            "extends: cortex-m0\nclock: {hz: 1}",
            "clock.hz: found 1; expected a figure with value, confidence and source",
        ),
    ],
)
def test_what_is_wrong_with_a_board(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text + "\n")
    with pytest.raises(FileError) as caught:
        load_target(str(path))
    assert str(caught.value) == f"{path}: {sentence}"
    assert validate_profile(str(path))


GRAPHS = ("heat1d dirichlet=0,1", "heat1d conductivity and capacity", "heat1d limiter between reservoirs delta")


@pytest.fixture(params=GRAPHS)
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> IntegerGraph:
    return dict(set_ups())[request.param](tmp_path)


def test_tables_and_memory_are_those_of_the_source(graph: IntegerGraph) -> None:
    source, work = c_files(plan(graph))["pisnn.c"].decode(), c_work(graph)
    declared = re.findall(r"^(?:static |PISNN_STATIC )?(const )?int(\d+)_t (\w+)\[(\d+)\]( =)?", source, re.MULTILINE)
    tables = sum(int(bits) // 8 * int(size) for _, bits, _, size, filled in declared if filled)
    changing = sum(int(bits) // 8 * int(size) for constant, bits, _, size, _ in declared if not constant)
    assert work.table_bytes + work.repeated_bytes == tables
    assert 0 <= work.ram_bytes - changing <= 32


def test_every_neuron_and_synapse_is_counted(graph: IntegerGraph) -> None:
    work, circuit = c_work(graph), circuit_work(graph)
    assert work.neurons >= sum(population.size for population in graph.populations)  # those that ask run twice
    assert work.synapses <= circuit.memories[-1][0] < circuit.cycles


def test_ram_is_exact_and_includes_the_stack(graph: IntegerGraph) -> None:
    board = load_board("cortex-m0")
    _, ram = demand(graph, board).uses
    assert ram.amount == exactly(c_work(graph).ram_bytes + 1024)


def test_a_missing_figure_leaves_an_estimate_without_a_value() -> None:
    assert exactly(1) + Spread(None, 1, None) == Spread(None, 2, None)
    assert Spread(1, None, 3).times(2) == Spread(2, None, 6)


@pytest.mark.parametrize("name", GRAPHS[:2])
def test_a_circuit_takes_the_cycles_that_are_counted(name: str, tmp_path: Path) -> None:
    graph = dict(set_ups())[name](tmp_path)
    for file, content in verilog_files(plan(graph), architecture=SERIAL).items():
        (tmp_path / file).write_bytes(content)
    bench = (tmp_path / "bench.v").read_text()
    wait = "while (busy) @(negedge clk);"
    counting = 'n = 1; while (busy) begin n = n + 1; @(negedge clk); end $display("cycles %0d", n);'
    assert wait in bench
    (tmp_path / "bench.v").write_text(bench.replace(wait, counting))
    subprocess.run(["iverilog", "-g2005-sv", "-o", "bench", "pisnn.v", "bench.v"], cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "-n", "bench"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {*re.findall(r"cycles (\d+)", done.stdout)} == {str(circuit_work(graph).cycles)}
