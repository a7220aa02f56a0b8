"""State that was tampered with is refused by name, and no verdict disagrees with its own figures."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

SIMULATE = ("simulate", "heat16.pisnn", "--backend", "fast", "--steps", "40000", "--every", "100", "--save", "r.npz")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_changed_word_of_a_row_is_damage(case: Callable[[str], Path], run: Run) -> None:
    case("resume_rows")
    ended = run(*SIMULATE, "--resume", "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: r.npz.partial: is damaged (a first row that is not the start: mass [0] of PDE step 0 is 131077, not "
        "220634); start anew without --resume\n"
    )
    assert not Path("r.npz").exists()


def test_masses_beyond_the_window_are_refused_and_not_cut(case: Callable[[str], Path], run: Run) -> None:
    case("resume_beyond_the_window")
    ended = run(*SIMULATE, "--resume")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: r.npz.partial: is damaged (masses outside the operating range: overflow: membrane mass [0] is "
        "-1099511496704 at PDE step 1000, outside its 20 signed bits); start anew without --resume\n"
    )
    assert not Path("r.npz").exists()


def test_rows_that_contradict_themselves_are_damage(case: Callable[[str], Path], run: Run) -> None:
    case("campaign_rows")
    ended = run("campaign", "plan.yaml", "--resume", "--quiet")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: plan.parquet.partial/rows.jsonl: line 1: is damaged (conserved, and yet the mass of all cells and ledgers "
        "changed by +77 quanta); start anew without --resume\n"
    )


def test_rows_of_other_cases_are_damage(case: Callable[[str], Path], run: Run) -> None:
    folder = case("campaign_rows")
    path = folder / "plan.parquet.partial" / "rows.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for line, problem in ((lines[1], "local 2"), (lines[2], "conserved after 0 of 4 PDE steps")):
        path.write_bytes(line)
        ended = run("campaign", "plan.yaml", "--resume", "--quiet")
        assert ended.returncode == 2 and "line 1: is damaged (" in ended.stderr and problem in ended.stderr
