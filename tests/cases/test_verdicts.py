"""State that was tampered with is refused by name, and no verdict disagrees with its own figures."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SIMULATE = ("simulate", "heat16.pisnn", "--backend", "fast", "--steps", "40000", "--every", "100", "--save", "r.npz")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_changed_word_of_a_row_is_damage(case: Callable[[str], Path], run: Run) -> None:
    case("resume_rows")
    ended = run(*SIMULATE, "--resume", "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: r.npz.partial: is damaged (the first row differs from the start: mass [0] of PDE step 0 is 131077, not "
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
        "error: plan.parquet.partial/rows.jsonl: line 1: is damaged (conserved, but the mass of all cells and ledgers "
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


def test_a_file_that_calls_itself_loihi2_is_not_taken_for_it(case: Callable[[str], Path], run: Run) -> None:
    case("check_profile_lie")
    for words in ((), ("--format", "json"), ("--format", "junit"), ("--format", "sarif"), ("--format", "github")):
        ended = run("check", "heat.pisnn", *words)
        assert ended.returncode == 2 and (not words or "was compiled for the profile 'big.yaml'" in ended.stdout)
        assert ended.stderr == (
            "error: heat.pisnn: was compiled for the profile 'big.yaml', which is not in the library; give the profile to "
            "check against with --profile\n"
        )
    assert run("check", "heat.pisnn", "--profile", "loihi2").returncode == 1
    own = json.loads(run("check", "heat.pisnn", "--profile", "big.yaml", "--format", "json").stdout)
    assert own["pass"] and own["profile"] == "big.yaml" and own["made_with"]["profile"]["source"] == "big.yaml"


def test_paths_of_findings_count_from_the_root_of_the_repository(
    case: Callable[[str], Path], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = case("sarif_subfolder")
    folder = root / "sub"
    folder.mkdir()
    (root / ".git").mkdir()
    shutil.copy(root.parent / "artifact_of_16_cells.pisnn", folder / "heat.pisnn")
    for workspace in (str(root), ""):
        monkeypatch.setenv("GITHUB_WORKSPACE", workspace)
        for place, name in ((folder, "heat.pisnn"), (root, "sub/heat.pisnn")):
            monkeypatch.chdir(place)
            said = run("check", name, "--profile", "loihi1", "--format", "sarif").stdout
            uris = {
                (location["physicalLocation"]["artifactLocation"]["uri"])
                for result in json.loads(said)["runs"][0]["results"]
                for location in result["locations"]
            }
            assert uris == {"sub/heat.pisnn"}
            lines = run("check", name, "--profile", "loihi1", "--format", "github").stdout.splitlines()
            commands = [line for line in lines if line.startswith("::")]
            assert commands and all(" file=sub/heat.pisnn,title=" in line for line in commands)
