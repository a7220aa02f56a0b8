"""Commands print through `console` and `messages` alone, which spell out what is not printable."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from rich.text import Text

from pisnn_deploy.cli.console import print_json, print_line, print_table, print_text, progress
from pisnn_deploy.cli.messages import PrintableFormatter, print_message, show_wrong_usage, with_options

CLI = Path(__file__).parents[2] / "cli"
WRITERS = {"console.py", "messages.py"}
HOSTILE = "a\n::error::b\x9b\u202e[red]"


def prints(source: str) -> Iterator[str]:
    """Calls that print, but for click's errors."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "print" or name.endswith((".echo", ".secho", ".print", "stdout.write", "stderr.write")):
                yield name


def test_nothing_else_prints() -> None:
    assert list(prints("click.echo(x); print(x); sys.stderr.write(x)")) == ["click.echo", "print", "sys.stderr.write"]
    found = {path.name: list(prints(path.read_text())) for path in CLI.glob("*.py") if path.name not in WRITERS}
    assert {name: calls for name, calls in found.items() if calls} == {}


def test_tables_and_lines_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HOSTILE, [(HOSTILE, Text(HOSTILE, "red"))], ("name", "value"))
    print_line(HOSTILE)
    print_text("::set-env::x\nsecond\x07")
    print_text("::error file=x\x9b::y", commands=True)
    text = capsys.readouterr().out
    assert r"a\n::error::b\x9b\u202e[red]" in text
    assert text.endswith("\\x3a:set-env::x\nsecond\\x07\n::error file=x\\x9b::y\n")
    assert not {"\x9b", "\u202e", "\x07", "\x1b"} & set(text)


def test_a_long_title_is_not_cut_into_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    for length in range(90):
        print_table(f"{'x' * length} ::error::planted", [("a", "b")])
    assert not any(line.lstrip().startswith("::") for line in capsys.readouterr().out.splitlines())


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "\x7f\x9bh\udce9"})
    assert capsys.readouterr().out == '{\n  "name": "\\u007f\\u009bh\\udce9"\n}\n'


def test_messages_and_progress_on_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pisnn_deploy.cli.console.SECONDS_BETWEEN_LINES", 0.0)
    print_message(HOSTILE)
    with progress(HOSTILE, 2, quiet=False) as report:
        report(1)
    first, second = capsys.readouterr().err.splitlines()
    assert first == r"a\n::error::b\x9b\u202e[red]"
    assert second == r"a\n::error::b\x9b\u202e[red]: 1 of 2"


def test_the_time_left_is_estimated_without_what_came_before_the_first_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 20.0, 22.0, 24.0])
    monkeypatch.setattr("pisnn_deploy.cli.console.time.monotonic", lambda: next(clock))
    with progress("a run", 400, quiet=False) as report:
        for done in (100, 200, 300):
            report(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["a run: 100 of 400", "a run: 200 of 400, 50/s, 4 s left", "a run: 300 of 400, 50/s, 2 s left"]


def test_wrong_words_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    show_wrong_usage(click.UsageError(HOSTILE))
    assert capsys.readouterr().err == "Error: a\\n::error::b\\x9b\\u202e[red]\n"
    command = click.Command("export", params=[click.Option(["--to"], type=click.Choice(["x", "y"]), required=True)])
    with pytest.raises(click.MissingParameter) as missing:
        command.main([], standalone_mode=False)
    show_wrong_usage(missing.value)
    assert capsys.readouterr().err.endswith("Error: Missing option '--to'. Choose from:\n\tx,\n\ty\n")


def test_log_lines_and_tracebacks_are_printable() -> None:
    record = logging.LogRecord("pisnn_deploy", logging.INFO, "", 0, "options from %s", (HOSTILE,), None)
    assert PrintableFormatter("%(levelname)s %(message)s").format(record) == (
        r"INFO options from a\n::error::b\x9b\u202e[red]"
    )
    try:
        raise ValueError("\x9b31m")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    text = PrintableFormatter("%(message)s").format(record)
    assert text.endswith("\nValueError: \\x9b31m") and "\x9b" not in text


def test_warnings_are_printable() -> None:
    main_warns = "import warnings; from pisnn_deploy.cli.messages import make_warnings_printable; "
    main_warns += "make_warnings_printable(); warnings.warn('a\\n::error::b\\x9b')"
    done = subprocess.run([sys.executable, "-c", main_warns], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: a\\n::error::b\\x9b\n"


def test_fields_are_named_as_options() -> None:
    assert with_options("`value_range` and `send_threshold`: see `mesh`") == "--range and --send-threshold: see --mesh"
    assert with_options("what `is no field` or `A` stays, `faults` are given one by one") == (
        "what `is no field` or `A` stays, --fault are given one by one"
    )
