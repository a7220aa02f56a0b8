"""`check` against boards: rules, estimates, reports, baselines; nothing of chips fires."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from commands import run_command
from models_under_test import compiled, heat_model

from pisnn_deploy.checks import RULES, check_board, check_target
from pisnn_deploy.checks.example_graphs import with_figure, with_ledger_steps, with_start
from pisnn_deploy.checks.examples import examples
from pisnn_deploy.checks.rules import BOARD_RULES
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.target import Fpga, Microcontroller, board_names, load_board
from pisnn_deploy.target.board_resources import demand
from pisnn_deploy.target.boards import KINDS

LINE = compiled(heat_model(), cells=16)
SMALL, FPGA = load_board("cortex-m0"), load_board("ice40-up5k")


@pytest.mark.parametrize("name", board_names())
def test_a_line_fits_every_board(name: str) -> None:
    report = check_target(LINE, load_board(name))
    assert report.passed and report.comparison is None
    assert set(report.codes).isdisjoint({"PD001", "PD005", "PD102", "PD104"})
    assert all(0 < share < 1 for share in report.resources.utilisation.values())


def test_every_kind_of_board_has_rules() -> None:
    assert set(BOARD_RULES) == set(KINDS.values()) == {Microcontroller, Fpga}
    common = {rule.code for rule in RULES} & {rule.code for rules in BOARD_RULES.values() for rule in rules}
    assert common == {"PD003", *(f"PD20{number}" for number in range(1, 8))}


@pytest.mark.parametrize(
    ("key", "code", "board"),
    [
        ("memory.flash_bytes", "PD301", SMALL),
        ("memory.ram_bytes", "PD302", SMALL),
        ("fabric.cells", "PD311", FPGA),
        ("fabric.block_memory_bits", "PD312", FPGA),
        ("fabric.multipliers", "PD313", FPGA),
    ],
)
def test_a_limit_is_an_error_below_the_range_of_the_estimate_and_a_warning_within(
    key: str, code: str, board: Any
) -> None:
    uses = {use.limit: use.amount for use in demand(LINE, board).uses}
    section, figure = key.split(".")
    amount = uses[getattr(getattr(board, section), figure)]
    assert amount.low is not None and amount.high is not None
    least, most = math.ceil(amount.low), math.ceil(amount.high)
    for limit, severity, value in ((least - 1, "error", least), (most - 1, "warning", most), (most, None, None)):
        report = check_board(LINE, with_figure(board, key, limit))
        found = [(f.severity, f.value, f.limit) for f in report.findings if f.rule == code]
        if limit == most - 1 and least == most:
            severity = "error"
        assert found == ([] if severity is None else [(severity, value, limit)])
        assert report.passed == (severity != "error")


def test_an_unknown_limit_is_said_to_be_unchecked() -> None:
    report = check_board(LINE, with_figure(SMALL, "memory.flash_bytes", None, confidence="unpublished"))
    (finding,) = report.findings
    assert (finding.rule, finding.severity) == ("PD301", "info")
    assert finding.message == "not checked: no limit or estimate of bytes of flash is published for cortex-m0"


def test_rules_on_proofs_hold_for_boards() -> None:
    broken = [with_start(LINE, LINE.window.upper + 1), with_ledger_steps(LINE, 1)]
    for graph, code in zip(broken, ("PD206", "PD205"), strict=True):
        assert code in {finding.rule for finding in check_board(graph, SMALL).findings}


def test_time_is_cycles_over_the_clock() -> None:
    assert isinstance(SMALL, Microcontroller)
    costs = check_board(LINE, SMALL, seconds=1e-3).estimates
    cycles, time = costs["cycles_per_pde_step"], costs["time_per_pde_step_us"]
    assert cycles.low is not None and time.low is not None and time.value is not None
    assert time.low == pytest.approx(cycles.low / 16) and costs["energy_per_pde_step_nj"].value is None
    assert costs["time_over_float_solver"].value == pytest.approx(time.value / 1000)


def test_energy_of_a_cortex_m4_is_cycles_times_that_of_a_cycle() -> None:
    board = load_board("cortex-m4")
    assert isinstance(board, Microcontroller)
    costs = check_board(LINE, board).estimates
    cycles, energy = costs["cycles_per_pde_step"].high, costs["energy_per_pde_step_nj"].high
    assert cycles is not None and board.energy.cycle_nj.high is not None
    assert energy == pytest.approx(cycles * board.energy.cycle_nj.high)


def test_a_slow_clock_gives_the_upper_end() -> None:
    costs = check_board(LINE, FPGA).estimates
    cycles, time = costs["cycles_per_pde_step"].value, costs["time_per_pde_step_us"]
    assert isinstance(FPGA, Fpga) and cycles is not None
    low, high = FPGA.clock.mhz.low, FPGA.clock.mhz.high
    assert low is not None and high is not None
    assert time.low == pytest.approx(cycles / high) and time.high == pytest.approx(cycles / low)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "heat.pisnn"
    write_artifact(path, LINE, {})
    return path


def test_the_command_takes_chips_and_boards_at_once(artifact: Path) -> None:
    words = ["check", str(artifact), "--profile", "cortex-m0", "--profile", "loihi2", "--format", "json"]
    done = run_command(*words)
    board, chip = json.loads(done.stdout)["reports"]
    assert (board["profile"], chip["profile"]) == ("cortex-m0", "loihi2")
    assert set(board["resources"]["amounts"]) == {"flash", "ram"}
    assert "comparison" not in board and "comparison" in chip


def test_exit_codes(artifact: Path, tmp_path: Path) -> None:
    fits = run_command("check", str(artifact), "--profile", "ice40-up5k")
    tiny = tmp_path / "tiny.yaml"
    figure = '{value: 64, confidence: documented, source: "A test"}'
    tiny.write_text(f"extends: cortex-m0\nname: tiny\nmemory:\n  ram_bytes: {figure}\n")
    fails = run_command("check", str(artifact), "--profile", str(tiny))
    wrong = run_command("check", str(artifact), "--profile", "cortex-m0", "--select", "PD102")
    assert (fits.returncode, fails.returncode, wrong.returncode) == (0, 1, 2)
    assert "does not fit" in fails.stderr
    assert "none of these rules is for cortex-m0; its rules are PD003, " in wrong.stderr


def test_growth_of_a_board_against_a_baseline(artifact: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    words = ["check", str(artifact), "--profile", "cortex-m0"]
    run_command(*words, "--format", "json", "--output", str(old))
    assert run_command(*words, "--baseline", str(old)).returncode == 0
    plain = json.loads(old.read_text())
    plain["resources"]["amounts"]["ram"] -= 200
    old.write_text(json.dumps(plain))
    done = run_command(*words, "--baseline", str(old))
    assert done.returncode == 1 and "grew: ram went from" in done.stderr
    plain["resources"]["amounts"]["ram"] = "much"
    old.write_text(json.dumps(plain))
    done = run_command(*words, "--baseline", str(old))
    assert done.returncode == 2 and "resources.amounts.ram" in done.stderr


def test_profiles_lists_and_shows_boards() -> None:
    listed = json.loads(run_command("profiles", "list", "--json").stdout)
    assert [board["name"] for board in listed["boards"]] == list(board_names())
    shown = json.loads(run_command("profiles", "show", "cortex-m4", "--json").stdout)
    assert shown["target"] == "microcontroller" and shown["memory"]["ram_bytes"]["value"] == 131072
    assert "boards, which run exports" in run_command("profiles").stdout


def test_examples_of_boards_are_errors() -> None:
    assert {code for code in examples() if code > "PD300"} == {"PD301", "PD302", "PD311", "PD312", "PD313"}
