"""What a report says, without a browser: numbers, escaping, size."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_under_test import compiled, compiled_box, space_model
from reported_runs import Page, Reported, report_of

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import CellMesh
from pisnn_deploy.report import web_page
from pisnn_deploy.report.web_page import LARGEST_PAGE, Report, page_bytes, write_report
from pisnn_deploy.runs import RunOptions, run_graph

SECTIONS = ("field", "balance", "error", "events", "widths", "cores", "certificate", "provenance")


def said(graph: IntegerGraph, steps: int, **changes: Any) -> Report:
    """A report of a run, made without the command line."""
    run = run_graph("fast", graph, graph.initial, RunOptions(steps))
    total = int(graph.initial.sum())
    result = {
        "verdict": "conserved",
        "backend": "fast",
        "artifact": "a.pisnn",
        "cells": graph.mesh.cells,
        "steps": steps,
        "time_steps": run.time_steps,
        "mass": {"initial": total, "final": total, "ledger": 0, "in_flight": 0, "drift": 0},
        "violations": run.violations,
        "packets": {"sent": run.packets_sent, "quanta": run.quanta_sent},
        "events": run.events,
        "error": None,
        "wall_seconds": 1.0,
        "steps_per_second": 1.0,
    }
    return Report(graph, run, result | changes)


def test_the_page_holds_the_result_of_the_command(line: Reported) -> None:
    page = Page(line.html)
    assert json.loads(page.texts["run"]) == line.result
    assert json.loads(page.texts["json"]) == line.result
    mass = line.result["mass"]
    balance = " ".join(page.texts["balance"].split())
    assert f"at the start {mass['initial']:,} at the end {mass['final']:,} in the ledgers {mass['ledger']:,}" in balance
    assert "drift 0 Violations" in balance
    assert mass["ledger"] != 0 and mass["initial"] == mass["final"] + mass["ledger"]
    events = " ".join(page.texts["events"].split())
    for population, count in line.result["events"].items():
        assert re.search(rf"{population} \d+ neurons {count:,} events", events)
    assert f"{line.result['error']['relative_l2']:.6e}" in page.texts["error"]
    assert all(section in page.texts for section in SECTIONS)


def test_the_page_names_where_it_comes_from(line: Reported) -> None:
    page = Page(line.html)
    digest = hashlib.sha256(line.path.with_suffix(".pisnn").read_bytes()).hexdigest()
    provenance = page.texts["provenance"]
    assert f"sha256 {digest}" in provenance
    assert f"pisnn-deploy simulate {line.path.with_suffix('.pisnn')} --backend fast --steps 40 " in provenance
    assert "llvmlite" in provenance and "quantise{" in provenance


def test_the_certificate_has_its_figures(line: Reported) -> None:
    words = " ".join(Page(line.html).texts["certificate"].split())
    assert "Conservation: proved" in words and "Overflow: " in words and "Stability: proved" in words
    assert "reservoirs 2" in words


def test_nothing_on_the_page_comes_from_elsewhere(line: Reported, plane: Reported, triangles: Reported) -> None:
    for report in (line, plane, triangles):
        page = Page(report.html)
        for tag, attributes in page.elements:
            for name in ("src", "href", "xlink:href", "action", "srcset", "data"):
                address = attributes.get(name)
                assert address is None or address.startswith(("#", "data:")), (tag, address)
            assert not any(name.startswith("on") for name in attributes), tag
        style = re.findall(r"<style.*?</style>", report.html, re.DOTALL)
        assert not any(word in part for part in style for word in ("@import", "http", "url(http"))
        assert "fetch(" not in report.html and "XMLHttpRequest" not in report.html


def test_the_policy_lets_this_script_run_and_no_other(line: Reported) -> None:
    html = line.html
    (policy,) = (
        attributes["content"]
        for tag, attributes in Page(html).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    script = html[html.rindex("<script>") + len("<script>") : html.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_a_violated_run_says_where_and_why_first(violated: Reported) -> None:
    page = Page(violated.html)
    assert violated.error.startswith("local invariant broken: membrane [")
    before = page.text[: page.text.index("Mass balance")]
    assert "Violated" in before and violated.error in before
    assert "The run stopped there: 0 PDE steps and 1 time step were completed." in before
    assert violated.result["verdict"] == "violated"


def test_names_from_files_are_text(violated: Reported) -> None:
    assert "<script>alert" not in violated.html
    assert "&lt;script&gt;alert(1)" in violated.html
    assert "&lt;b&gt;model&lt;/b&gt;" in violated.html and "<b>model" not in violated.html
    page = Page(violated.html)
    assert sum(tag == "script" for tag, _ in page.elements) == violated.html.count("</script>")
    assert "<script>alert(1)" in page.texts["run"] or "\\u003cscript\\u003ealert(1)" in page.texts["run"]


def test_hostile_text_can_neither_break_out_nor_swell_the_page(plate: IntegerGraph) -> None:
    assert isinstance(plate.mesh, CellMesh)
    evil = "</script><script>alert(1)</script>"
    mesh = replace(plate.mesh, group_names=(evil, "x" * 10_000_000))
    bounds = tuple(replace(plate.bounds[0], population=f"{evil}{number}") for number in range(1000))
    graph = replace(plate, mesh=mesh, bounds=bounds, history=plate.history * 1000)
    provenance = {"model": evil, "options": {str(n): evil for n in range(10_000)}, "versions": ["no mapping"]}
    html = page_bytes(replace(said(plate, 1), graph=graph, command=evil, provenance=provenance))
    assert len(html) < LARGEST_PAGE
    assert b"<script>alert" not in html and b"(10,000,0" in html


def test_totals_beyond_float64_keep_their_digits() -> None:
    graph = compiled(cells=8)
    large = 2**70 + 1
    mass = {"initial": large, "final": large - 3, "ledger": 3, "in_flight": 0, "drift": 0}
    page = Page(page_bytes(said(graph, 2, mass=mass)).decode())
    assert f"{large:,}" in page.texts["balance"] and f"{large - 3:,}" in page.texts["balance"]
    assert json.loads(page.texts["run"])["mass"]["initial"] == large


def test_the_page_says_whose_the_profile_is_and_what_the_compiler_warned_about() -> None:
    graph = compiled(cells=8)
    own = Page(page_bytes(said(graph, 2)).decode()).texts["provenance"]
    assert f"{graph.profile}, from the library" in " ".join(own.split()) and "Warning" not in own
    report = replace(said(graph, 2), graph=replace(graph, profile="big.yaml"), provenance={"warnings": ["too big"]})
    other = " ".join(Page(page_bytes(report).decode()).texts["provenance"].split())
    assert "big.yaml, not in the library" in other and "Compiler warning too big" in other


def test_a_run_stopped_at_its_start_has_a_page() -> None:
    graph = compiled(cells=8)
    report = said(graph, 2)
    run = run_graph("fast", graph, graph.initial + graph.window.upper, RunOptions(9))
    assert run.trace.step.size == 0 and run.failure
    stopped = replace(report, run=run, result={**report.result, "verdict": "violated", "steps": 0})
    page = Page(page_bytes(stopped).decode())
    assert run.failure in page.text and "No step was kept." in page.text
    assert "frames" not in page.texts


@pytest.mark.parametrize("steps", [0, 1])
def test_the_shortest_runs_have_a_page(steps: int) -> None:
    graph = compiled(cells=2)
    bare = replace(graph, placement=None, certificate=None, profile="a-target-of-the-user")
    words = Page(page_bytes(said(bare, steps)).decode()).text
    assert "The graph is not placed on cores." in words and "The artifact has no certificate." in words


def test_a_box_shows_its_middle_plane(tmp_path: Path) -> None:
    graph = compiled_box(space_model(), (6, 5, 7), "periodic")
    report = report_of(graph, tmp_path, "--steps", 4)
    page = Page(report.html)
    assert json.loads(page.texts["frames"])["shape"] == [5, 7]
    assert "The map shows the middle plane, number 3 of 6 normal to x." in page.texts["field"]


def test_the_same_report_gives_the_same_bytes() -> None:
    report = said(compiled(cells=8), 3)
    assert page_bytes(report) == page_bytes(report)


def test_a_long_run_of_a_large_mesh_stays_small() -> None:
    graph = compiled(cells=20_000)
    run = run_graph("fast", graph, graph.initial, RunOptions(1))
    rows = np.zeros(900, np.int64)
    trace = replace(run.trace.at(rows), step=np.arange(900))
    report = said(graph, 1)
    html = page_bytes(replace(report, run=replace(run, trace=trace, steps=899), reference=lambda _: np.ones(20_000)))
    assert 1_000_000 < len(html) < LARGEST_PAGE
    words = Page(html.decode()).texts["field"]
    assert "One of every 2 cells along each axis is drawn." in words
    assert re.search(r"\d+ of 900 kept steps are drawn\.", words)


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        write_report(tmp_path / "no" / "a.html", said(compiled(cells=2), 1))
    (tmp_path / "a.html").write_text("the old one")
    monkeypatch.setattr(web_page, "core_map", lambda graph: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(tmp_path / "a.html", said(compiled(cells=2), 1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "the old one"
