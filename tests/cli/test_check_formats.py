"""``check`` in a CI: formats, files, colours, baselines."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from commands import COMMAND, run_command
from models_under_test import compiled

from pisnn_deploy.checks import ALL_RULES
from pisnn_deploy.checks.formats import FORMATS
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.graph.artifact import write_artifact

SUMMARIES: dict[str, Callable[[str], str]] = {
    "text": lambda text: text.splitlines()[0],
    "json": lambda text: json.loads(text)["profile"],
    "junit": lambda text: ElementTree.fromstring(text)[0].attrib["file"],
    "sarif": lambda text: json.loads(text)["version"],
    "github": lambda text: text.partition(" ")[0],
}
EXPECTED = {
    "text": "a.pisnn: fails loihi1",
    "json": "loihi1",
    "junit": "a.pisnn",
    "sarif": "2.1.0",
    "github": "::error",
}


@pytest.fixture()
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with artifacts of 16 and 24 cells in it and the report of the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    write_artifact(tmp_path / "b.pisnn", compiled(cells=24), {})
    assert called("a.pisnn", "--profile", "loihi2", "--format", "json", "--output", "a.json")[0] == 0
    return tmp_path


def called(*words: str) -> tuple[int, str]:
    ended = CliRunner().invoke(group, ["check", *words])
    if isinstance(ended.exception, CheckError | UsageError):
        return ended.exception.exit_code, ended.output
    return ended.exit_code, ended.output


def sentence(*words: str) -> str:
    ended = CliRunner().invoke(group, ["check", *words])
    assert isinstance(ended.exception, CheckError | UsageError)
    return str(ended.exception)


@pytest.mark.parametrize("form", list(FORMATS))
def test_output_is_in_the_chosen_format_and_the_terminal_has_the_text(form: str, folder: Path) -> None:
    code, said = called("a.pisnn", "--profile", "loihi1", "--format", form, "--output", "report")
    assert code == 1 and SUMMARIES[form]((folder / "report").read_text()) == EXPECTED[form]
    if form == "json":
        assert said == (folder / "report").read_text()
    else:
        assert said.startswith("loihi1: fails") and "PD006" in said
    assert called("a.pisnn", "--profile", "loihi1", "--format", form, "--output", "again", "-q")[0] == 1
    assert (folder / "again").read_bytes() == (folder / "report").read_bytes()
    if form != "text":
        assert called("a.pisnn", "--profile", "loihi1", "--format", form)[1] == (folder / "report").read_text()


def test_without_findings_there_are_no_annotations(folder: Path) -> None:
    code, said = called("a.pisnn", "--format", "github", "--ignore", "PD105")
    facts = [line for line in said.splitlines() if not line.startswith("::")]
    assert code == 0 and facts == [
        "checked a.pisnn; profile: loihi2 of the library, chosen by the artifact; rules left out: PD105"
    ]
    assert "::" not in called("a.pisnn", "--format", "github", "--select", "PD001")[1]


def test_paths_are_those_of_the_checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "build").mkdir()
    shutil.copy("a.pisnn", "build/a.pisnn")
    for words in (("build/a.pisnn",), (str(folder / "build" / "a.pisnn"),), ("build/../build/a.pisnn",)):
        assert json.loads(called(*words, "--format", "json")[1])["artifact"] == "build/a.pisnn"
    monkeypatch.chdir(folder / "build")
    assert json.loads(called("../a.pisnn", "--format", "json")[1])["artifact"] == str(folder / "a.pisnn")


def test_a_name_that_is_no_unicode_is_written(folder: Path) -> None:
    name = os.fsdecode(b"\xff\x1b%.pisnn")
    shutil.copy("a.pisnn", name)
    for form in FORMATS:
        done = run_command("check", name, "--format", form)
        assert (done.returncode, done.stderr) == (0, "")
        assert called(name, "--format", form, "--output", "report")[0] == 0
    assert called(name, "--format", "junit", "--output", "report")[0] == 0
    ElementTree.parse("report")


def test_several_artifacts_in_one_call(folder: Path) -> None:
    code, said = called("a.pisnn", "b.pisnn", "--profile", "loihi2", "--profile", "loihi1", "--format", "json")
    found = [(report["artifact"], report["profile"], report["pass"]) for report in json.loads(said)["reports"]]
    assert code == 1 and found == [
        ("a.pisnn", "loihi2", True),
        ("a.pisnn", "loihi1", False),
        ("b.pisnn", "loihi2", True),
        ("b.pisnn", "loihi1", False),
    ]
    assert sentence("a.pisnn", "b.pisnn", "--profile", "loihi1") == (
        "a.pisnn: does not fit loihi1; b.pisnn: does not fit loihi1"
    )
    assert "b.pisnn on loihi2: passes" in called("a.pisnn", "b.pisnn")[1]


UNREAD = "bad.pisnn: is not an artifact; expected a .pisnn file written by compile"


def test_all_files_are_checked_even_if_one_cannot_be_read(folder: Path) -> None:
    (folder / "bad.pisnn").write_text("no artifact")
    names = ("a.pisnn", "bad.pisnn", "b.pisnn")
    code, said = called(*names, "--format", "json")
    report = json.loads(said)
    assert code == 2 and [each["artifact"] for each in report["reports"]] == ["a.pisnn", "b.pisnn"]
    assert report["unread"] == [{"artifact": "bad.pisnn", "error": UNREAD}]
    assert called(*names, "--format", "github")[1].endswith(f"::error file=bad.pisnn,title=unreadable::{UNREAD}\n")
    suites = ElementTree.fromstring(called(*names, "--format", "junit")[1])
    assert suites.attrib["errors"] == "1" and suites[-1].attrib["file"] == "bad.pisnn"
    assert suites[-1][0][0].tag == "error" and suites[-1][0][0].text == UNREAD
    run = json.loads(called(*names, "--format", "sarif")[1])["runs"][-1]
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"] and run["results"] == []
    assert [each["message"]["text"] for each in invocation["toolExecutionNotifications"]] == [UNREAD]
    assert called(*names, "--format", "text", "--output", "report")[0] == 2
    assert (folder / "report").read_text().endswith(f"\nerror: {UNREAD}\n")
    assert sentence(*names, "--profile", "loihi1") == (
        f"{UNREAD} / a.pisnn: does not fit loihi1; b.pisnn: does not fit loihi1"
    )


def test_an_artifact_whose_profile_is_unknown_does_not_hide_the_others(folder: Path) -> None:
    write_artifact(folder / "odd.pisnn", replace(compiled(cells=16), profile="odd"), {})
    code, said = called("odd.pisnn", "a.pisnn", "--format", "json")
    assert code == 2 and [each["artifact"] for each in json.loads(said)["reports"]] == ["a.pisnn"]
    problem = json.loads(said)["unread"][0]["error"]
    assert problem.startswith("odd.pisnn: was compiled for the profile 'odd'") and problem.endswith("with --profile")
    assert called("odd.pisnn", "a.pisnn", "--profile", "loihi2", "-q")[0] == 0


def test_rules_are_selected_by_the_start_of_their_codes(folder: Path) -> None:
    left_out = json.loads(called("a.pisnn", "--select", "pd1,PD001", "--format", "json")[1])["rules_left_out"]
    assert left_out and not any(code.startswith("PD1") or code == "PD001" for code in left_out)
    left_out = json.loads(called("a.pisnn", "--ignore", "PD1", "--format", "json")[1])["rules_left_out"]
    assert left_out and all(code.startswith("PD1") for code in left_out)
    for unknown in ("PD9", "P", "", "PD1,,"):
        assert "no such rule; known are PD001, " in sentence("a.pisnn", "--select", unknown)


def test_warnings_fail_where_they_should(folder: Path) -> None:
    compiling = ["compile", "heat1d", "-o", "wide.pisnn", "-q"]
    assert CliRunner().invoke(group, compiling).exit_code == 0
    assert called("wide.pisnn", "-q")[0] == called("wide.pisnn", "--fail-on", "error", "-q")[0] == 0
    assert sentence("wide.pisnn", "--fail-on", "warning") == (
        "wide.pisnn: fits loihi2, with 1 warning (--fail-on warning)"
    )
    assert called("wide.pisnn", "--fail-on", "warning", "--ignore", "PD007", "-q")[0] == 0
    assert called("a.pisnn", "--profile", "loihi1", "--fail-on", "warning", "-q")[0] == 1


def test_a_rule_is_explained_without_an_artifact(folder: Path) -> None:
    code, said = called("--explain", "pd007")
    (rule,) = (rule for rule in ALL_RULES if rule.code == "PD007")
    assert code == 0 and said.startswith("PD007 accumulator-width\n\n")
    assert " ".join(said.split()).endswith(f"How to fix: {rule.fix}")
    assert max(map(len, said.splitlines())) <= 80
    assert called("--explain", "PD3")[1].count("How to fix: ") == 5
    assert sentence("--explain", "PD9").startswith("--explain 'PD9': no such rule; known are PD001, ")


def on_a_terminal(**environment: str) -> bytes:
    inherited = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "CI"}}
    reader, writer = pty.openpty()
    words = [COMMAND, "check", "a.pisnn", "--profile", "loihi1"]
    with subprocess.Popen(words, stdout=writer, env={**inherited, "TERM": "xterm-256color", **environment}) as process:
        os.close(writer)
        said = b""
        while True:
            try:
                part = os.read(reader, 1 << 16)
            except OSError:
                break
            if not part:
                break
            said += part
    os.close(reader)
    assert process.returncode == 1
    return said


def test_colours_on_a_terminal_only_and_never_with_no_color(folder: Path) -> None:
    coloured = on_a_terminal()
    assert b"\x1b[" in coloured and b"fails" in coloured
    plain = on_a_terminal(NO_COLOR="1")
    assert b"\x1b" not in plain and b"fails" in plain
    piped = subprocess.run([COMMAND, "check", "a.pisnn"], capture_output=True, check=True)
    assert b"\x1b" not in piped.stdout


def test_growth_fails_and_is_shown_everywhere(folder: Path) -> None:
    words = ("b.pisnn", "--profile", "loihi2", "--baseline", "a.json")
    code, said = called(*words)
    assert code == 1 and "compared with the baseline" in said and "+50.0%" in said
    assert sentence(*words).startswith(
        "b.pisnn: grew: neurons went from 32 to 48 (+50.0%), but at most 5% is allowed, and "
    )
    plain = json.loads(called(*words, "--format", "json")[1])
    assert plain["pass"] is True
    entries = {entry["resource"]: entry for entry in plain["baseline"]}
    assert entries["neurons"] == {"resource": "neurons", "old": 32, "new": 48, "change_percent": 50.0, "grew": True}
    assert entries["chips"]["grew"] is False
    assert "::error file=b.pisnn,title=resource-growth::neurons went" in called(*words, "--format", "github")[1]
    assert 'failure message="neurons went' in called(*words, "--format", "junit")[1]
    assert '"ruleId": "resource-growth"' in called(*words, "--format", "sarif")[1]


def test_growth_within_the_limit_passes(folder: Path) -> None:
    assert called("a.pisnn", "--profile", "loihi2", "--baseline", "a.json", "--max-growth", "0")[0] == 0
    assert called("b.pisnn", "--profile", "loihi2", "--baseline", "a.json", "--max-growth", "50")[0] == 0
    assert called("b.pisnn", "--profile", "loihi2", "--baseline", "a.json", "--max-growth", "49")[0] == 1
    assert called("b.pisnn", "--profile", "loihi2", "--format", "json", "--output", "b.json")[0] == 0
    assert called("a.pisnn", "--profile", "loihi2", "--baseline", "b.json", "--max-growth", "0")[0] == 0


def test_a_report_with_a_baseline_is_a_baseline(folder: Path) -> None:
    words = ("a.pisnn", "--profile", "loihi2", "--baseline", "a.json")
    assert called(*words, "--format", "json", "--output", "next.json")[0] == 0
    assert called("a.pisnn", "--profile", "loihi2", "--baseline", "next.json")[0] == 0


def test_wrong_use_of_baselines_is_one_line(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for words, said in (
        (("a.pisnn", "--max-growth", "5"), "--max-growth: nothing to compare with; add --baseline FILE"),
        (("a.pisnn", "--baseline", "none.json"), "none.json: cannot be read (No such file or directory)"),
        (("a.pisnn", "b.pisnn", "--baseline", "a.json"), "--baseline is of one artifact; check one at a time"),
        (
            ("a.pisnn", "--baseline", "a.json", "--max-growth", "nan"),
            "--max-growth nan: expected a finite number of percent",
        ),
        (
            ("a.pisnn", "--profile", "generic-int", "--baseline", "a.json"),
            "a.json: is a baseline for 'loihi2', not for 'generic-int'; "
            "write it with: pisnn-deploy check ARTIFACT --format json --output FILE",
        ),
        (
            ("a.pisnn", "--baseline", "a.json", "--output", "a.json"),
            "a.json: would overwrite a file that this command reads; write to another file",
        ),
    ):
        assert sentence(*words) == said and called(*words) == (2, "")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    done = run_command("check", "a.pisnn", "--baseline", "a.pisnn")
    assert done.returncode == 2 and done.stderr.startswith("error: a.pisnn: is not plain JSON (")
    assert done.stderr.count("\n") == 1 and done.stdout == ""
