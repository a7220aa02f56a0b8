"""The waterfall of where the accuracy went: in a picture, and in the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import run_command
from models_under_test import compiled
from reported_runs import Page, report_of

import pisnn_deploy as pd
from pisnn_deploy.report.accuracy_picture import figure_of_accuracy, waterfall_of

ACCURACY: dict[str, Any] = {
    "steps": 40,
    "time": 1.0,
    "stages": [
        {"name": "floats", "error": 1e-5, "note": ""},
        {"name": "rounded $weights$", "error": 4e-5, "note": "2^7"},
        {"name": "refused", "error": None, "note": "refused: why"},
        {"name": "states", "error": 2e-5, "note": ""},
    ],
    "one_more_bit": [{"name": "states", "error": 1e-5, "note": ""}],
    "problem": None,
}


def test_bars_go_from_the_error_before_to_the_error_after() -> None:
    figure = figure_of_accuracy("rod", ACCURACY)
    (axes,) = figure.axes
    bars: list[Any] = list(axes.patches)
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    expected = [(1e-5, 1e-5), (1e-5, 4e-5), (2e-5, 4e-5), (1e-5, 2e-5)]
    assert [pytest.approx(pair) for pair in expected] == ends
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "floats",
        "rounded $weights$",
        "refused",
        "states",
        "with one bit more in",
        "states",
    ]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["1.00e-05", "4.00e-05  x 4.00", "not measured", "2.00e-05  x 0.50", "1.00e-05  x 0.50"]
    colours = [bar.get_facecolor()[:3] for bar in bars]
    assert colours[1] != colours[2] == colours[3]


def test_what_was_not_measured_says_why() -> None:
    figure = figure_of_accuracy(
        "rod", {**ACCURACY, "stages": [], "one_more_bit": [], "problem": "there is no reference"}
    )
    assert [text.get_text() for text in figure.axes[0].texts] == ["there is no reference"]


@pytest.mark.parametrize(
    "changes",
    [
        {"stages": 3},
        {"stages": [{"name": "floats"}]},
        {"stages": [{"name": "floats", "error": "many", "note": ""}]},
        {"stages": [{"name": "floats", "error": -1.0, "note": ""}]},
        {"stages": [{"name": "floats", "error": float("inf"), "note": ""}]},
        {"stages": ACCURACY["stages"] * 20},
        {"one_more_bit": None},
        {"steps": "x"},
    ],
)
def test_content_of_a_damaged_file_has_no_waterfall(changes: dict[str, Any]) -> None:
    assert waterfall_of({**ACCURACY, **changes}) is None and waterfall_of([]) is None
    assert waterfall_of(ACCURACY) is not None


def test_the_artifact_keeps_what_the_report_shows(tmp_path: Path) -> None:
    command = ("compile", "heat1d", "--mesh", "16", "--explain", "--plot", "accuracy.png", "-o", "rod.pisnn", "-q")
    done = run_command(*command, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    artifact, plain = pd.load(tmp_path / "rod.pisnn"), pd.compile("heat1d", mesh=16)
    kept = artifact.provenance["accuracy"]
    assert kept == plain.explain().to_dict()
    assert {name: value for name, value in artifact.provenance.items() if name != "accuracy"} == plain.provenance


def test_a_report_has_a_section_where_the_artifact_has_errors(tmp_path: Path) -> None:
    graph = compiled()
    sections = []
    for accuracy in (ACCURACY, None, [1]):
        page = Page(report_of(graph, tmp_path, "--steps", 2, accuracy=accuracy).html)
        sections.append("accuracy" in page.texts)
        if sections[-1]:
            text = " ".join(page.texts["accuracy"].split())
            assert "rounded $weights$ 2^7 4.00e-05 4.00" in text and "refused refused: why not measured" in text
    assert sections == [True, False, False]
