from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from commands import run_command

import pisnn_deploy as pd
from pisnn_deploy.report.order_picture import figure_of_orders


def test_table_and_picture(tmp_path: Path) -> None:
    done = run_command("converge", "heat1d", "--meshes", "16,32", "--plot", "order.png", folder=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert "heat1d at time 1.007: relative L2 error, order" in done.stdout
    assert "│ no quantum      │ integer weights in float64 " in done.stdout
    assert (tmp_path / "order.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_what_the_api_returns() -> None:
    done = run_command("converge", "lwr", "--meshes", "16,32", "--norm", "l1", "--json")
    shown = json.loads(done.stdout)
    study = pd.converge("lwr", [32, 16], norm="l1")
    assert shown == study.to_dict() | {"min_order": None}
    assert shown["orders"]["rho"]["integers"] == study.order["rho"]
    assert "order: rho 1." in repr(study) or "order: rho 2." in repr(study)


def test_an_order_that_is_too_low_exits_with_1() -> None:
    done = run_command("converge", "lwr", "--meshes", "16,32", "--min-order", "5", "-q")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: order of rho: ") and "expected at least 5 (without quantum " in done.stderr


def test_wrong_meshes_exit_with_2() -> None:
    done = run_command("converge", "heat1d", "--meshes", "16")
    assert (done.returncode, done.stderr) == (2, "error: --meshes: expected at least two, such as 32,64,128\n")


def test_a_picture_has_a_panel_for_each_field() -> None:
    lines: dict[str, list[float | None]] = {"integers": [0.1, 0.02], "floats": [0.2, None]}
    figure = figure_of_orders("case", [(8, 8), (16, 16)], {"h": lines, "q": {"integers": [0.0, 0.0]}}, "error")
    left, right = figure.axes
    assert [line.get_label() for line in left.lines[:2]] == ["integers", "floats"] and len(left.lines) == 5
    assert np.array_equal(left.lines[0].get_xdata(), [8, 16]) and np.array_equal(left.lines[1].get_xdata(), [8])
    assert [text.get_text() for text in left.get_xticklabels()] == ["8x8", "16x16"] and len(right.lines) == 0
