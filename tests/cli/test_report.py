"""``simulate --report`` beside its other outputs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from matplotlib.image import imread
from models_under_test import compiled
from reported_runs import Page, report_of

from pisnn_deploy.cli.commands.simulate import command
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.project.run_result import versions


def test_a_report_stands_beside_trace_picture_and_json(tmp_path: Path) -> None:
    trace, picture = tmp_path / "a trace.npz", tmp_path / "a.png"
    graph = compiled(cells=16)
    report = report_of(graph, tmp_path, "--steps", 6, "--save", trace, "--plot", picture, "--every", 2)
    page = Page(report.html)
    assert json.loads(page.texts["run"]) == report.result
    assert json.loads(page.texts["frames"])["steps"] == [0, 2, 4, 6]
    with np.load(trace, allow_pickle=False) as saved:
        assert saved["step"].tolist() == [0, 2, 4, 6]
    assert imread(picture).size > 0
    assert not list(tmp_path.glob("*.partial"))
    assert f"--save '{trace}' --every 2 --plot {picture} --report {report.path} --json" in page.texts["provenance"]
    assert "Residues, and currents with a leak, are known only at the end of the run." in page.texts["widths"]


def test_a_report_without_a_trace_knows_all_fluxes(tmp_path: Path) -> None:
    report = report_of(compiled(cells=16), tmp_path, "--steps", 6)
    widths = Page(report.html).texts["widths"]
    assert "over 7 of 7 kept steps" in widths and "only at the end of the run" not in widths


def test_a_report_is_refused_before_the_run(tmp_path: Path) -> None:
    page = tmp_path / "no" / "a.html"
    ended = CliRunner().invoke(command, ["heat1d", "--report", str(page)])
    assert isinstance(ended.exception, UsageError)
    assert str(ended.exception) == f"{page}: cannot be written (No such file or directory)"
    same = tmp_path / "a.html"
    ended = CliRunner().invoke(command, ["heat1d", "--report", str(same), "--plot", str(same)])
    assert str(ended.exception) == f"{same}: is given for two outputs; write to two files"


def test_a_model_that_is_not_placed_has_a_report(tmp_path: Path) -> None:
    report = report_of(replace(compiled(cells=4), placement=None), tmp_path, "--steps", 0)
    assert report.result["steps"] == 0 and "not placed" in Page(report.html).texts["cores"]


def test_every_backend_names_what_it_rests_on() -> None:
    assert set(versions("fast")) == {"pisnn-deploy", "python", "numpy", "llvmlite"}
    assert set(versions("cpu")) == {"pisnn-deploy", "python", "numpy", "lava-nc"}
