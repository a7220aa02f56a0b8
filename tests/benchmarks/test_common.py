"""What scripts share, and the index of which script writes which page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import (
    PAGES,
    ROOT,
    fill,
    in_turns,
    line,
    medians_in_turns,
    page_parser,
    publish,
    seconds,
    table,
    times,
)
from benchmarks.parts.zoo import compiled, drift, error, exact, horizon_steps
from pisnn_deploy.runs import RunOptions, run_graph

FOLDER = ROOT / "benchmarks"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
PROBLEMS = {"advection_diffusion1d", "burgers1d", "heat1d", "heat2d", "laplace2d"}
"""Pages of `results`, one a problem."""


def test_the_index_names_every_script() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", INDEX, re.MULTILINE)
    scripts = {path.stem for path in FOLDER.glob("*.py")} - {"common"} | {"baselines"}
    assert sorted(listed) == sorted(scripts)


def test_the_index_names_every_page_once_and_its_script_writes_it() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", INDEX, re.MULTILINE))
    written = [page for pages in rows.values() for page in re.findall(r"docs/results/(\w+\.md)", pages)]
    assert sorted([*written, *(f"{name}.md" for name in PROBLEMS), "fuzzing.md"]) == sorted(
        path.name for path in PAGES.glob("*.md")
    )
    for script, pages in rows.items():
        for page in re.findall(r"docs/results/(\w+\.md)", pages):
            assert f'PAGES / "{page}"' in (FOLDER / f"{script}.py").read_text(), script


def test_make_results_runs_what_the_index_says() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| `make (\w+)`", INDEX, re.MULTILINE)
    rules = dict(re.findall(r"^(\w+): setup ##.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for script, rule in rows:
        assert f"-m benchmarks.{script}" in rules[rule], script


def test_a_table_has_its_columns_a_rule_and_its_rows() -> None:
    assert table(("a", "b"), [line(1, "two")]) == ["| a | b |", "| --- | --- |", "| 1 | two |"]
    assert times((64, 32)) == "64x32"


def test_what_measures_a_command_is_small() -> None:
    """The largest memory of a child counts its parent's, so `scale` may load nothing that its commands might not."""
    code = "import sys, benchmarks.scale; print([name for name in sys.modules if name in ('numpy', 'pisnn_deploy')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_measures_are_taken_in_turns() -> None:
    order: list[str] = []

    def measure(name: str, value: float) -> float:
        order.append(name)
        return value + len(order)

    actions = {"a": lambda: measure("a", 0.0), "b": lambda: measure("b", 10.0)}
    assert in_turns(actions, 3) == {"a": [1.0, 3.0, 5.0], "b": [12.0, 14.0, 16.0]}
    assert order == ["a", "b"] * 3
    order.clear()
    assert medians_in_turns(actions, 3) == {"a": 3.0, "b": 14.0}


def test_seconds_are_those_of_the_clock() -> None:
    ticks = iter((1.5, 4.0))
    assert seconds(lambda: None, lambda: next(ticks)) == 2.5


def test_text_comes_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- zoo -->\nold\n<!-- /zoo -->\nafter\n")
    fill(path, "zoo", "new")
    assert path.read_text() == "before\n<!-- zoo -->\nnew\n<!-- /zoo -->\nafter\n"


@pytest.mark.parametrize(
    "text", ["no marks\n", "<!-- zoo -->\n", "<!-- /zoo -->\n<!-- zoo -->\n", "<!-- zoo --><!-- zoo --><!-- /zoo -->"]
)
def test_a_file_without_its_marks_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="must have <!-- zoo --> and <!-- /zoo --> once"):
        fill(path, "zoo", "new")
    assert path.read_text() == text


def test_a_dry_run_prints_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert page_parser("Measure.").parse_args([]).dry_run is False
    dry_run = page_parser("Measure.").parse_args(["--dry-run"]).dry_run
    publish(tmp_path / "page.md", "text\n", dry_run=dry_run)
    assert capsys.readouterr().out == "text\n" and not (tmp_path / "page.md").exists()
    publish(tmp_path / "page.md", "text\n", dry_run=False)
    assert (tmp_path / "page.md").read_text() == "text\n"


def test_errors_are_those_that_the_compiler_measured() -> None:
    graph = compiled("heat1d", (32,), "no-flux")
    steps = horizon_steps(graph)
    assert steps == graph.quantisation.steps and graph.mesh.shape == (32,)
    run = run_graph("fast", graph, graph.initial, RunOptions(steps, every=steps))
    assert drift(run) == 0
    # The artifact keeps four digits of it.
    assert error(graph, run.trace.mass[-1], steps) == pytest.approx(graph.quantisation.relative_l2_integer, rel=1e-3)
    assert np.allclose(exact(graph, 0.0), graph.values(graph.initial), atol=graph.value_per_quantum)
