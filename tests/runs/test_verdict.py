"""A verdict is what its figures say: there is no way to build another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled

from pisnn_deploy.api.run import SimulationRun
from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.report.picture import figure_of_run
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.verdict import Balance, Verdict, exact_sums

CLEAN = dict.fromkeys(KINDS, 0)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict((Balance(final=77),), CLEAN), "the mass of all cells and ledgers changed by +77 quanta"),
        (Verdict((Balance(("u",), 9, 8),), CLEAN), "the mass of all cells and ledgers changed by -1 quanta"),
        (Verdict((Balance(ledger=-2),)), "the mass of all cells and ledgers changed by -2 quanta"),
        (Verdict(violations=CLEAN | {"local": 5, "flux": 1}), "the audit found violations: local 5, flux 1"),
        (Verdict(failure="stopped"), "stopped"),
        (
            Verdict((Balance(adrift=((7, -3), (9, 1))),)),
            "the rows of the run do not add up: -3 quanta at PDE step 7; wrong rows: 2",
        ),
    ],
)
def test_figures_that_say_otherwise_are_violated(verdict: Verdict, reason: str) -> None:
    assert not verdict.conserved and verdict.word == "violated" and verdict.reason == reason


def test_figures_that_add_up_are_conserved() -> None:
    verdict = Verdict((Balance(("u",), 9, 5, 4),), CLEAN)
    assert verdict.conserved and verdict.word == "conserved" and verdict.reason == "" and verdict.drift == 0


@pytest.mark.parametrize(("row", "drift"), [(0, -1), (2, 0), (-1, 1)])
def test_a_row_that_was_changed_makes_every_reader_say_violated(row: int, drift: int) -> None:
    graph = compiled()
    run = fast.run(graph, graph.initial, RunOptions(4))
    assert run.conserved
    mass = run.trace.mass.copy()
    mass[row, 3] += 1
    wrong = replace(run, trace=replace(run.trace, mass=mass))
    assert not wrong.conserved and wrong.verdict.drift == drift and not any(wrong.violations.values())
    read = SimulationRun(graph, wrong, None)
    assert read.verdict == "violated" and read.drift == drift
    assert read.failure.startswith("the rows of the run do not add up: ")
    assert "VIOLATED" in figure_of_run(graph, wrong, None).get_suptitle()


def test_sums_are_exact_beyond_64_bits() -> None:
    rows = np.array([[2**63 - 1] * 3, [-(2**63)] * 3, [5, -6, 2**40]], np.int64)
    assert exact_sums(rows) == [3 * (2**63 - 1), -3 * 2**63, 2**40 - 1]
    assert exact_sums(np.zeros((2, 0), np.int64)) == [0, 0]
