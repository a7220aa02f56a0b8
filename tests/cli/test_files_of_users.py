"""The command line and the files of its users: nothing is overwritten, misread or lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from commands import COMMAND
from models_under_test import compiled

from pisnn_deploy.cli.main import COMMANDS, group
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.fields.npy_file import read_field
from pisnn_deploy.graph.artifact import read_artifact, write_artifact


@pytest.fixture()
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an artifact of 16 cells in it."""
    monkeypatch.chdir(tmp_path)
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    return tmp_path


def sentence(*words: str) -> str:
    """What a command that cannot be run has to say."""
    ended = CliRunner().invoke(group, words)
    assert isinstance(ended.exception, UsageError) and ended.output == ""
    return str(ended.exception)


def test_no_command_overwrites_what_it_reads(folder: Path) -> None:
    for name in ("a.npy", "m.pt", "r.yaml"):
        (folder / name).write_text("precious")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for output, words in (
        ("a.pisnn", ("simulate", "a.pisnn", "--backend", "fast", "--save", "a.pisnn")),
        ("a.npy", ("simulate", "a.pisnn", "--backend", "fast", "--initial", "a.npy", "--plot", "a.npy")),
        ("m.pt", ("compile", "m.pt", "-o", "m.pt")),
        ("r.yaml", ("compile", "m.pt", "--profile", "r.yaml", "-o", "r.yaml")),
        ("r.yaml", ("train", "r.yaml", "-o", "r.yaml")),
        ("r.yaml", ("check", "a.pisnn", "--profile", "r.yaml", "--output", "r.yaml")),
        ("a.pisnn", ("inspect", "a.pisnn", "--format", "dot", "-o", "a.pisnn")),
    ):
        assert sentence(*words) == f"{output}: would overwrite a file that this command reads; write to another file"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_link_to_an_input_is_the_input(folder: Path) -> None:
    (folder / "link.npz").symlink_to("a.pisnn")
    expected = "link.npz: would overwrite a file that this command reads; write to another file"
    assert sentence("simulate", "a.pisnn", "--backend", "fast", "--save", "link.npz") == expected


def test_a_folder_named_like_a_model_is_in_nobodys_way(folder: Path) -> None:
    (folder / "heat1d").mkdir()
    assert CliRunner().invoke(group, ["compile", "heat1d", "--mesh", "16", "-q"]).exit_code == 0
    assert read_artifact(folder / "heat1d.pisnn").graph.mesh.shape == (16,)


def test_a_rule_that_does_not_exist_is_not_passed_in_silence(folder: Path) -> None:
    for option in ("--select", "--ignore"):
        said = sentence("check", "a.pisnn", option, "PD001,PD9")
        assert said.startswith(f"{option} 'PD9': no such rule; known are PD001, PD002, ")
    assert CliRunner().invoke(group, ["check", "a.pisnn", "--select", "pd001, PD101", "-q"]).exit_code == 0


def test_check_reports_every_profile(folder: Path) -> None:
    ended = CliRunner().invoke(
        group, ["check", "a.pisnn", "--profile", "loihi2", "--profile", "generic-int", "--format", "json"]
    )
    assert [report["profile"] for report in json.loads(ended.output)["reports"]] == ["loihi2", "generic-int"]


def npy(header: str, version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.ljust(117) + "\n"
    length = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + text.encode() + bytes(256)


GOOD = "{'descr': '<f8', 'fortran_order': False, 'shape': (32,), }"
NO_ARRAY = "is not a numpy array; write it with numpy.save"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", NO_ARRAY),
        (b"PK\x03\x04" + bytes(64), NO_ARRAY),
        (npy(GOOD, (9, 9)), NO_ARRAY),
        (npy("{'descr': '''<f8', ((("), NO_ARRAY),
        (npy("(" * 3000), NO_ARRAY),
        (npy(GOOD.replace("<f8", "|O")), "holds object, it must hold floats of at most 64 bits"),
        (npy(GOOD.replace("32", "1000000000")), "has shape (1000000000,), the mesh has (32,)"),
        (npy(GOOD)[:-1], "ends too early"),
    ],
)
def test_a_damaged_field_is_one_sentence(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "u.npy"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_field(path, (32,))
    assert str(caught.value) == f"{path}: {problem}"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "u.npy").write_bytes(npy(GOOD, version))
    assert np.array_equal(read_field(tmp_path / "u.npy", (32,)), np.zeros(32))


def test_damaged_bytes_never_end_in_another_error(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    good, path = npy(GOOD), tmp_path / "u.npy"
    for _ in range(300):
        content = bytearray(good)
        for place in random.integers(0, 128, 3):
            content[place] = random.integers(0, 256)
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert read_field(path, (32,)).shape == (32,)
            except FileError as error:
                assert str(error).startswith(f"{path}: ")


def test_orders_widths_and_a_header_of_python_2_are_read_in_silence(tmp_path: Path) -> None:
    values, path = np.arange(6.0).reshape(2, 3), tmp_path / "u.npy"
    for kind in ("<f8", ">f8", "<f4", ">f2", "<i8", ">u2", "|u1"):
        for order in (np.ascontiguousarray, np.asfortranarray):
            np.save(path, order(values.astype(kind)))
            assert np.array_equal(read_field(path, (2, 3)), values)
    path.write_bytes(npy(GOOD.replace("(32,)", "(32L,)")))
    assert np.array_equal(read_field(path, (32,)), np.zeros(32))


def test_a_field_may_lie_in_a_file_of_any_name(folder: Path) -> None:
    with (folder / "field").open("wb") as stream:
        np.save(stream, np.ones(16))
    assert CliRunner().invoke(group, ["simulate", "a.pisnn", "--backend", "fast", "--initial", "field"]).exit_code == 0


def test_a_value_beyond_every_integer_names_cell_and_limits(folder: Path) -> None:
    np.save("u.npy", np.where(np.arange(16) == 3, 1e300, 1.0))
    assert sentence("simulate", "a.pisnn", "--backend", "fast", "--initial", "u.npy").startswith(
        "u.npy: cell 3 has the value 1e+300, outside the operating range "
    )


def test_a_trace_keeps_each_kth_step_and_the_last(folder: Path) -> None:
    words = ["simulate", "a.pisnn", "--backend", "fast", "--steps", "10", "--save", "t.npz", "--every", "4", "-q"]
    ended = CliRunner().invoke(group, words)
    assert (ended.exit_code, ended.output) == (0, "")
    with np.load("t.npz", allow_pickle=False) as trace:
        assert trace["step"].tolist() == [0, 4, 8, 10]
        assert {name: trace[name].dtype.name for name in trace.files} == {
            **dict.fromkeys(("step", "mass", "ledger", "transported", "in_flight"), "int64"),
            "time": "float64",
            "meta": "uint8",
        }


def test_brackets_in_names_are_no_markup(folder: Path) -> None:
    (folder / "[bold]x[").mkdir()
    shutil.copy("a.pisnn", "[bold]x[/a.pisnn")
    assert "[bold]x[/a.pisnn" in CliRunner().invoke(group, ["inspect", "[bold]x[/a.pisnn"]).output


def test_a_terminal_without_unicode_gets_its_result(folder: Path) -> None:
    shutil.copy("a.pisnn", "→.pisnn")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([COMMAND, "inspect", "→.pisnn"], capture_output=True, env=environment, check=True)
    assert done.stdout.startswith(b"\\u2192.pisnn") and done.stderr == b""


def into_a_closed_pipe(*words: str) -> tuple[int, str]:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run([COMMAND, *words], stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "inspect a.pisnn",
        "inspect a.pisnn --format json",
        "check a.pisnn --format json",
        "simulate a.pisnn --backend fast --steps 20 --json -q",
        "models list",
        "profiles list",
    ],
)
def test_a_reader_that_has_gone_is_no_error(words: str, folder: Path) -> None:
    assert into_a_closed_pipe(*words.split()) == (0, "")


def test_a_reader_that_has_gone_hides_no_violation(folder: Path) -> None:
    graph = compiled(cells=16)
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    wrong = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    write_artifact(folder / "bad.pisnn", wrong, {})
    code, said = into_a_closed_pipe("simulate", "bad.pisnn", "--backend", "fast", "--steps", "5", "--json", "-q")
    assert code == 1 and said.startswith("error: local invariant broken: ")


SUBCOMMANDS = (
    "law show",
    "models list",
    "models show",
    "profiles list",
    "profiles show",
    "profiles validate",
    "profiles schema",
)


@pytest.mark.parametrize(
    "words", [*(name for name in COMMANDS if name not in {"law", "models", "profiles"}), *SUBCOMMANDS]
)
def test_every_command_has_examples_and_quiet(words: str) -> None:
    for flag in ("-h", "--help"):
        ended = CliRunner().invoke(group, [*words.split(), flag])
        assert ended.exit_code == 0 and "Examples:" in ended.output and "--quiet" in ended.output


def test_lists_as_json() -> None:
    listed = json.loads(CliRunner().invoke(group, ["models", "list", "--json"]).output)
    assert listed["models"] == ["advection_diffusion1d", "burgers1d", "heat1d", "heat2d", "laplace2d"]
    assert {"lake1d", "lwr"} <= set(listed["laws"])
    found = json.loads(CliRunner().invoke(group, ["profiles", "list", "--json"]).output)["profiles"]
    assert "loihi2" in {profile["name"] for profile in found}
    assert CliRunner().invoke(group, ["models", "show", "heat1d", "-q"]).output == ""


def test_compile_explains_in_json(folder: Path) -> None:
    ended = CliRunner().invoke(group, ["compile", "heat1d", "--mesh", "16", "--explain", "--json"])
    explained = json.loads(ended.output)
    assert any(record["pass"].startswith("quantise") for record in explained["passes"])
    stages = explained["accuracy"]["stages"]
    assert stages[0]["name"] == "trained network in float64" and len(explained["accuracy"]["one_more_bit"]) == 3
    assert stages[-1]["error"] == pytest.approx(explained["quantisation"]["relative_l2_integer"], rel=1e-3)


def test_compile_explains_in_tables(folder: Path) -> None:
    ended = CliRunner().invoke(group, ["compile", "heat1d", "--mesh", "16", "--explain"])
    assert "relative L2 error after 2 PDE steps" in ended.output and "with one bit more" in ended.output
    assert "│ trained network " in ended.output and "│ threshold, " in ended.output
