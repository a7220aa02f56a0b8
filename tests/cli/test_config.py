"""Options from pisnn.toml and setup.cfg, completion, and how much is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from commands import run_command
from models_under_test import compiled

from pisnn_deploy.cli.commands import doctor
from pisnn_deploy.cli.config import LISTS, READ
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph.artifact import write_artifact


def call(folder: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    done = run_command(*words, folder=folder, **environment)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def nothing_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, where the doctor looks at nothing: it is called for its options alone."""
    monkeypatch.chdir(tmp_path)
    for part in ("_machine", "_packages", "_abilities"):
        monkeypatch.setattr(doctor, part, list)
    return tmp_path


def output(*words: str) -> str:
    ended = CliRunner().invoke(group, words)
    assert ended.exception is None
    return ended.stdout


def test_defaults_from_toml_and_from_a_file_that_is_named(nothing_found: Path) -> None:
    (nothing_found / "pisnn.toml").write_text("[profiles]\n\n[doctor]\njson = true\n")
    assert json.loads(output("doctor"))["diagnoses"] == []
    (nothing_found / "other.toml").write_text("[doctor]\nquiet = true\n")
    assert output("--config", "other.toml", "doctor") == ""


def test_defaults_from_setup_cfg(nothing_found: Path) -> None:
    (nothing_found / "setup.cfg").write_text("[metadata]\nname = x\n\n[pisnn-deploy.doctor]\nquiet = true\n")
    assert output("doctor") == ""
    (nothing_found / "setup.cfg").write_text("[metadata]\nname = x\nthis is none of our business\n")
    assert "pisnn-deploy" in output("doctor")


def test_what_is_typed_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_artifact(Path("a.pisnn"), compiled(cells=16), {})
    Path("pisnn.toml").write_text('[inspect]\nformat = "json"\n')
    json.loads(output("inspect", "a.pisnn"))
    with pytest.raises(ValueError):
        json.loads(output("inspect", "a.pisnn", "--format", "text"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[doctor]\nspeed = 1\n", "doctor.speed: unknown option; expected one of json, quiet, run"),
        (
            "[doctor]\nquiet = {a = 1}\n",
            "doctor.quiet: must be a text, a number, true or false, or a list of these, not a table",
        ),
        ("quiet = true\n", "quiet: expected a table of a command's options, such as [compile]"),
        ("[doctor\n", "cannot be understood: Expected ']' at the end of a table declaration (at line 1, column 8)"),
        ("\udcff", "is not UTF-8 text"),
        pytest.param("x = " + "9" * 5000, "has a number of too many digits", id="digits"),
        pytest.param("#" * (1 << 20) + "\n", "is larger than 1048576 bytes", id="large"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pisnn.toml").write_text(text, errors="surrogateescape")
    assert call(tmp_path, "doctor", "-q") == (2, "", f"error: pisnn.toml: {message}\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("steps = [1, 2]", "steps: must be one value, not a list"),
        ("steps = 1.5", "steps: must be a whole number, not 1.5"),
        ("steps = true", "steps: must be a whole number, not True"),
        ("steps = 10:00:00", "steps: must be a text, a number, true or false, or a list of these, not a time"),
        ("every = 1979-05-27", "every: must be a text, a number, true or false, or a list of these, not a date"),
        ("timeout = 1" + "0" * 400, "timeout: must be a number, not 1000000000000000000000000000000000000000"),
        ("backend = 5", "backend: must be a text, not 5"),
        ("initial = true", "initial: must be a text or a number, not True"),
        ('initial = "a\\u0000b"', "initial: must not contain the character NUL"),
        ("quiet = 3", "quiet: must be true or false, not 3"),
        ('json = "yes"', "json: must be true or false, not 'yes'"),
        ('steps = "x"', "steps: must be a whole number, not 'x'"),
        ('steps = ""', "steps: must be a whole number, not ''"),
        ("every = 0", "every: 0 is not in the range 1<=x<=1099511627776"),
        ('every = "0"', "every: 0 is not in the range 1<=x<=1099511627776"),
        ('timeout = "soon"', "timeout: must be a number, not 'soon'"),
        ("timeout = -1.5", "timeout: -1.5 is not in the range x>0"),
        ('backend = "zz"', "backend: 'zz' is not one of 'cpu', 'fast', 'onnx', 'torch'"),
        ('fault = ["a", [1]]', "fault: must be a text, a number, true or false, or a list of these, not a list"),
    ],
)
def test_values_of_the_wrong_kind_are_one_line(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, before in (("pisnn.toml", []), ("named.toml", ["--config", "named.toml"])):
        Path(name).write_text(f"[simulate]\n{line}\n")
        refused = CliRunner().invoke(group, [*before, "simulate"])
        assert isinstance(refused.exception, FileError)
        assert str(refused.exception) == f"{name}: simulate.{message}"
        Path(name).unlink()


@pytest.mark.parametrize(
    ("command", "line", "message"),
    [
        ("check", "format = xx", "check.format: 'xx' is not one of "),
        ("compile", "diffusion-number = abc", "compile.diffusion-number: must be a number, not 'abc'"),
        ("simulate", "json = maybe", "simulate.json: must be true or false, not 'maybe'"),
        ("simulate", "steps = 1e3", "simulate.steps: must be a whole number, not '1e3'"),
    ],
)
def test_values_of_a_setup_cfg_are_read_like_typed_ones(
    command: str, line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("setup.cfg").write_text(f"[pisnn-deploy.{command}]\n{line}\n")
    refused = CliRunner().invoke(group, [command, "nothing.file"])
    assert isinstance(refused.exception, FileError) and refused.output == ""
    assert str(refused.exception).startswith(f"setup.cfg: {message}")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("inspect", "output"),
        ("simulate", "save"),
        ("simulate", "resume"),
        ("campaign", "scheduler"),
        ("train", "output"),
    ],
)
def test_a_file_that_was_only_found_names_no_place(
    command: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pisnn.toml").write_text(f'[{command}]\n{option} = "x"\n')
    refused = CliRunner().invoke(group, [command, "nothing.file"])
    assert str(refused.exception) == (
        f"pisnn.toml: {command}.{option}: is not taken from a file that was only found in the current folder; give "
        f"--{option}, or name the file: pisnn-deploy --config pisnn.toml {command} ..."
    )
    ended = CliRunner().invoke(group, ["--config", "pisnn.toml", command, "nothing.file"])
    assert ended.exit_code != 0 and "only found" not in f"{ended.exception}"


def test_every_option_that_takes_a_path_is_known_to_be_read_or_names_a_place() -> None:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        paths = {option.name for option in command.params if isinstance(option.type, click.Path)} & {
            option.name for option in command.params if isinstance(option, click.Option)
        }
        assert paths <= {*READ, "output", "save", "plot", "raster", "page", "checker"}


def test_what_a_file_that_was_found_changes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_artifact(Path("a.pisnn"), compiled(cells=16), {})
    Path("pisnn.toml").write_text('[check]\nprofile = ["loihi2", "generic-int"]\nignore = "PD102"\nquiet = true\n')
    told = "check takes from pisnn.toml: --profile loihi2 --profile generic-int{} --quiet\n"
    ended = CliRunner().invoke(group, ["check", "a.pisnn"])
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", told.format(" --ignore PD102"))
    ended = CliRunner().invoke(group, ["check", "a.pisnn", "--ignore", "PD105"])
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", told.format(""))
    for words in (["check", "a.pisnn", "-q"], ["--config", "pisnn.toml", "check", "a.pisnn"]):
        ended = CliRunner().invoke(group, words)
        assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")


def test_lists_are_joined_as_they_are_typed(tmp_path: Path) -> None:
    (tmp_path / "pisnn.toml").write_text(
        '[compile]\nmesh = [32, 64]\nrange = [0, 2.5]\nboundary = ["x=periodic", "y=no-flux"]\n'
    )
    code, shown, told = call(tmp_path, "compile", "heat2d", "-o", "a.pisnn", "--json")
    assert (code, json.loads(shown)["mesh"]) == (0, [32, 64])
    assert told.startswith(
        "compile takes from pisnn.toml: --mesh 32x64 --range 0,2.5 --boundary x=periodic y=no-flux\n"
    )
    (tmp_path / "pisnn.toml").write_text("[compile]\nmesh = [32, [64]]\n")
    kinds = "must be a text, a number, true or false, or a list of these, not a list"
    assert call(tmp_path, "compile", "heat2d") == (2, "", f"error: pisnn.toml: compile.mesh: {kinds}\n")


def test_every_option_that_joins_values_exists() -> None:
    context = click.Context(group)
    options = {option.name for name in group.list_commands(context) for option in params_of(context, name)}
    assert set(LISTS) <= options


def params_of(context: click.Context, name: str) -> list[click.Parameter]:
    command = group.get_command(context, name)
    assert command is not None
    return command.params


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "pisnn.toml").write_text("[dokter]\n")
    code, _, errors = call(tmp_path, "doctor")
    assert code == 2 and errors.startswith("error: pisnn.toml: dokter: unknown command; expected one of models, ")


def test_debug_says_where_an_error_arose(tmp_path: Path) -> None:
    (tmp_path / "pisnn.toml").write_text("[dokter]\n")
    _, _, errors = call(tmp_path, "--log-level", "debug", "doctor")
    assert "Traceback" in errors and "_set_defaults" in errors


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pisnn-deploy doc", ["doctor"]),
        ("pisnn-deploy doctor --r", ["--run"]),
        ("pisnn-deploy simulate --back", ["--backend"]),
    ],
)
def test_words_are_completed(tmp_path: Path, words: str, expected: list[str]) -> None:
    code, output, _ = call(
        tmp_path, COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1), _PISNN_DEPLOY_COMPLETE="bash_complete"
    )
    assert code == 0 and [line.partition(",")[2] for line in output.splitlines()] == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(tmp_path: Path, shell: str) -> None:
    code, output, _ = call(tmp_path, "completion", shell)
    assert code == 0 and "_PISNN_DEPLOY_COMPLETE" in output and "pisnn-deploy" in output


def test_bash_takes_the_script(tmp_path: Path) -> None:
    _, script, _ = call(tmp_path, "completion", "bash")
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
