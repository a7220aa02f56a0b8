"""``pisnn-deploy campaign``: the table, what is run again, exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from campaign_cases import in_process, planned, without_times
from click.testing import CliRunner, Result
from commands import COMMAND

from pisnn_deploy.campaign.case import Case
from pisnn_deploy.campaign.record import folder_of, record_of
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.table import read_table
from pisnn_deploy.campaign.work import WorkerOptions
from pisnn_deploy.cli.commands import campaign
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError, FileError, UsageError

PLAN = "models: heat1d\nmeshes: [16, 4x4]\ninitial: [own, random]\nseeds: [1, 2]\nsteps: 5\n"


def call(*words: object) -> Result:
    return CliRunner().invoke(group, ["campaign", *map(str, words)], standalone_mode=False)


class Ran:
    """Stands for the cluster: runs cases in this process, backwards, and notes which."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.interrupt_after: int | None = None
        self.verdict: str | None = None
        self.artifacts: list[str] = []

    def __call__(self, client: Any, cases: Sequence[Case], work: WorkerOptions) -> Iterator[list[Row]]:
        for number, case in enumerate(reversed(cases)):
            if number == self.interrupt_after:
                raise KeyboardInterrupt
            self.cases.append(case)
            (row,) = in_process([case])
            if self.artifacts:
                row = replace(row, artifact=self.artifacts[number])
            yield [row if self.verdict is None else ended(row, self.verdict)]


def ended(row: Row, verdict: str) -> Row:
    """A row that ended otherwise, with the figures of such an end."""
    figures: dict[str, Any] = {"verdict": verdict, "message": "as told", "relative_l2_error": None, "plausible": None}
    if verdict == "violated":
        return replace(row, **figures, violations_local=1)
    nothing = {field.name: None for field in fields(Row) if field.default is None}
    return replace(row, **nothing | figures)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    stand_in = Ran()
    monkeypatch.setattr(campaign, "cluster", lambda *words: nullcontext())
    monkeypatch.setattr(campaign, "require_workers", lambda client: None)
    monkeypatch.setattr(campaign, "run_cases", stand_in)
    return stand_in


def test_a_campaign_is_one_table_in_the_order_of_the_plan(ran: Ran, tmp_path: Path) -> None:
    cases = planned(tmp_path, PLAN)
    done = call(tmp_path / "plan.yaml", "--json")
    assert done.exception is None
    rows = read_table(tmp_path / "plan.parquet")
    assert [row.key for row in rows] == [case.key for case in cases]
    assert without_times(rows) == without_times(in_process(cases))
    assert not folder_of(tmp_path / "plan.parquet").exists()
    found = json.loads(done.stdout)
    assert found["verdicts"] == {"conserved": 3, "violated": 0, "refused": 3, "failed": 0}
    assert (found["cases"], found["ran"], found["artifacts"], found["further_messages"]) == (6, 6, 1, 0)
    assert found["groups"][0]["largest_drift"] == 0 and found["groups"][0]["model"] == "heat1d"
    assert [(one["verdict"], one["rows"]) for one in found["messages"]] == [("refused", 3)]


def test_what_is_done_is_not_run_again(ran: Ran, tmp_path: Path) -> None:
    cases = planned(tmp_path, PLAN)
    ran.interrupt_after = 4
    stopped = call(tmp_path / "plan.yaml", "-q")
    assert isinstance(stopped.exception, KeyboardInterrupt | SystemExit) or stopped.exit_code != 0
    table = tmp_path / "plan.parquet"
    kept = f"4 of 6 cases have a row in {folder_of(table)}; {table} is not written; go on with --resume"
    assert kept in stopped.stderr.splitlines() and not table.exists()
    ran.interrupt_after, ran.cases = None, []
    assert call(tmp_path / "plan.yaml", "-q", "--resume").exception is None
    assert [case.key for case in ran.cases] == [case.key for case in reversed(cases[:2])]
    assert without_times(read_table(tmp_path / "plan.parquet")) == without_times(in_process(cases))
    more = planned(tmp_path, PLAN.replace("[1, 2]", "[2, 3, 1]"))
    ran.cases = []
    assert call(tmp_path / "plan.yaml", "-q", "--resume").exception is None
    assert {case.seed for case in ran.cases} == {3} and len(ran.cases) == 2
    assert [row.key for row in read_table(tmp_path / "plan.parquet")] == [case.key for case in more]
    written = table.read_bytes()
    ran.interrupt_after, ran.cases = 1, []
    kept = f"1 of 8 cases have a row in {folder_of(table)}; {table} is left as it was; go on with --resume"
    assert kept in call(tmp_path / "plan.yaml", "-q").stderr.splitlines() and table.read_bytes() == written
    ran.interrupt_after, ran.cases = None, []
    assert call(tmp_path / "plan.yaml", "-q").exception is None
    assert len(ran.cases) == len(more)


@pytest.mark.parametrize("changes", [{"artifact": "0" * 64}, {"faces": 17}])
def test_recorded_rows_that_those_just_run_refute_are_run_again(
    changes: dict[str, Any], ran: Ran, tmp_path: Path
) -> None:
    cases = planned(tmp_path, PLAN)[:3]
    table = tmp_path / "plan.parquet"
    rows = in_process(cases)
    with record_of(table, resume=False) as record:
        record.append([replace(rows[1], **changes)])
    done = call(tmp_path / "plan.yaml", "-q", "--resume")
    assert done.exception is None
    assert done.stderr.splitlines() == [
        "warning: 1 recorded rows say other facts of their artifact than rows that were just run, the first that of "
        f"case {cases[1].key[:12]}; these cases are run again"
    ]
    assert len(ran.cases) == 6 and ran.cases[-1] == cases[1]
    assert without_times(read_table(table))[:3] == without_times(rows)
    assert call(tmp_path / "plan.yaml", "-q", "--resume").exception is None and len(ran.cases) == 6


def test_no_kill_leaves_rows_that_contradict_each_other(ran: Ran, tmp_path: Path) -> None:
    cases = planned(tmp_path, PLAN)[:3]
    table = tmp_path / "plan.parquet"
    with record_of(table, resume=False) as record:
        record.append([replace(in_process(cases)[1], artifact="0" * 64)])
    ran.interrupt_after = 4
    call(tmp_path / "plan.yaml", "-q", "--resume")
    with record_of(table, resume=True) as record:
        record.require(cases)
        assert record.rows[cases[1].key].verdict == "failed"


def test_workers_that_make_different_artifacts_of_one_model_write_no_table(ran: Ran, tmp_path: Path) -> None:
    cases = planned(tmp_path, "models: heat1d\nmeshes: 16\nsteps: [1, 2]\n")
    ran.artifacts = ["0" * 64, "1" * 64]
    done = call(tmp_path / "plan.yaml", "-q")
    table = tmp_path / "plan.parquet"
    assert isinstance(done.exception, FileError) and not table.exists()
    assert str(done.exception) == (
        f"{folder_of(table) / 'rows.jsonl'}: has rows that contradict each other (the row of case "
        f"{cases[1].key[:12]} has facts about its artifact that differ from those in another row); install the same "
        "packages on all workers and start anew without --resume"
    )


def test_violated_and_failed_cases_end_with_1(ran: Ran, tmp_path: Path) -> None:
    planned(tmp_path, "models: heat1d\ninitial: [own, bump]\nsteps: 1\n")
    for verdict, remedy, again in (("violated", "", 0), ("failed", "; --resume runs them again", 2)):
        ran.verdict, ran.cases = verdict, []
        done = call(tmp_path / "plan.yaml", "-q")
        assert isinstance(done.exception, CheckError)
        assert str(done.exception) == f"2 of 2 cases {verdict}, the first: as told{remedy}"
        assert [row.verdict for row in read_table(tmp_path / "plan.parquet")] == [verdict] * 2
        ran.cases = []
        call(tmp_path / "plan.yaml", "-q", "--resume")
        assert len(ran.cases) == again


def test_implausible_cases_are_counted_and_change_no_exit_code(ran: Ran, tmp_path: Path) -> None:
    cases = planned(tmp_path, "models: heat1d\nsteps: [1, 2, 3]\n")
    with record_of(tmp_path / "plan.parquet", resume=False) as record:
        record.append([replace(row, plausible=False) for row in in_process(cases[1:])])
    done = call(tmp_path / "plan.yaml", "--json", "--resume")
    assert done.exception is None
    assert done.stderr.splitlines()[-1] == (
        f"warning: 2 of 3 cases are implausible, the first is case {cases[1].key[:12]}; simulate says how"
    )
    result = json.loads(done.stdout)
    assert result["implausible"] == result["groups"][0]["implausible"] == 2
    assert [row.plausible for row in read_table(tmp_path / "plan.parquet")] == [True, False, False]


def test_people_see_a_table(ran: Ran, tmp_path: Path) -> None:
    planned(tmp_path, PLAN)
    first = call(tmp_path / "plan.yaml", "-o", tmp_path / "a.parquet", "--resume")
    warning = f"warning: --resume: nothing is recorded for {tmp_path / 'a.parquet'}; all cases are run"
    assert warning in first.stderr.splitlines()
    shown = first.stdout
    assert "6 cases of 1 artifacts" in " ".join(shown.split())
    assert re.search(r"heat1d +│ fast +│ 3 +│ 0 +│ 3 +│ 0 +│ 0 +│", shown)
    assert re.search(r"3 +│ refused │ lower: the model heat1d has 1 dimensions", shown)
    again = call(tmp_path / "plan.yaml", "-o", tmp_path / "a.parquet", "--resume")
    assert "0 run, the others had a row" in " ".join(again.stdout.split()) and "warning" not in again.stderr


def test_a_dry_run_lists_the_cases_and_writes_nothing(tmp_path: Path) -> None:
    planned(tmp_path, PLAN)
    lines = call(tmp_path / "plan.yaml", "--dry-run").stdout.splitlines()
    assert lines[0] == "6 cases of 2 artifacts" and len(lines) == 7
    start = "model=heat1d  mesh=16  boundary=own  profile=loihi2  coding=delta  residues=unseen"
    assert lines[1] == f"{start}  initial=own  backend=fast  fault=None  steps=5"
    assert lines[2] == f"{start}  initial=random  seed=1  backend=fast  fault=None  steps=5"
    found = json.loads(call(tmp_path / "plan.yaml", "--dry-run", "--json").stdout)
    assert found["artifacts"] == 2 and found["cases"][1]["seed"] == 1 and len(found["cases"][0]["key"]) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


def test_wrong_usage_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pisnn_deploy.runs.cluster.CONNECT_SECONDS", 0.5)
    path = tmp_path / "plan.yaml"
    planned(tmp_path, "models: heat1d\n")
    for words, message in (
        ((path, "--timeout", "inf"), "--timeout inf: expected a finite number of seconds"),
        (
            (path, "--scheduler", "tcp://a:1", "--workers", 2),
            "--workers: is for this machine, the cluster of --scheduler has workers of its own",
        ),
        ((path, "-o", path), f"{path}: would overwrite a file that this command reads; write to another file"),
        ((tmp_path / "nix.yaml",), f"{tmp_path}/nix.yaml: cannot be read (No such file or directory)"),
    ):
        done = call(*words)
        assert isinstance(done.exception, UsageError) and str(done.exception) == message
    done = call(path, "-q", "--scheduler", "tcp://127.0.0.1:9")
    assert isinstance(done.exception, UsageError) and not isinstance(done.exception, FileError)
    assert str(done.exception).startswith("--scheduler tcp://127.0.0.1:9: no scheduler answers")


def test_the_example_is_a_plan() -> None:
    plan = Path(__file__).parents[2] / "examples" / "campaign" / "plan.yaml"
    assert call(plan, "--dry-run").stdout.startswith("36 cases of 6 artifacts\n")


def test_a_killed_campaign_goes_on_and_loses_nothing_that_was_done(tmp_path: Path) -> None:
    """The real thing: zoo, torch and Dask in processes of their own, killed with SIGKILL."""
    cases = planned(tmp_path, "models: heat1d\nmeshes: 32\ninitial: random\nseeds: [1, 2, 3, 4]\nsteps: 10000\n")
    words = [COMMAND, "campaign", str(tmp_path / "plan.yaml"), "--workers", "1", "--json"]
    recorded = folder_of(tmp_path / "plan.parquet") / "rows.jsonl"
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as killed:
        while killed.poll() is None and (not recorded.exists() or not recorded.read_bytes()):
            time.sleep(0.02)
        os.kill(killed.pid, signal.SIGKILL)
    *lines, _ = recorded.read_bytes().split(b"\n")
    assert 0 < len(lines) < len(cases)
    done = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["ran"] == len(cases) - len(lines)
    rows = {row.key: row for row in read_table(tmp_path / "plan.parquet")}
    assert list(rows) == [case.key for case in cases]
    assert {row.verdict for row in rows.values()} == {"conserved"} and len({row.artifact for row in rows.values()}) == 1
    # With their seconds: what was done was not run again.
    for line in map(json.loads, lines):
        assert line.pop("sha256") and rows[line["key"]] == Row(**line)
