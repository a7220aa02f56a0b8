"""The command line: results, errors and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from commands import COMMAND, run_command, run_installed
from models_under_test import compiled

from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.project import zoo

SHARED_MEMORY = Path("/dev/shm")
CHECKPOINT = str(Path(__file__).parents[2] / "models" / "heat1d" / "model.pt")


@dataclass(frozen=True)
class Ended:
    code: int
    output: str
    errors: str


def ended(done: subprocess.CompletedProcess[str]) -> Ended:
    assert "Traceback" not in done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def call(*words: object, folder: Path | str = ".") -> Ended:
    return ended(run_command(*words, folder=folder))


def installed(*words: object, folder: Path | str = ".") -> Ended:
    """The same in a process that begins with nothing."""
    return ended(run_installed(*words, folder=folder))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "heat with spaces ü.pisnn"
    assert call("compile", "heat1d", "--mesh", 32, "-o", path, "-q") == Ended(0, "", "")
    return path


def test_the_main_job_from_model_to_verified_lava_run(tmp_path: Path) -> None:
    assert installed("compile", "heat1d", folder=tmp_path).code == 0
    ran = installed(
        "simulate", "heat1d.pisnn", "--backend", "cpu", "--plot", "a.png", "--save", "a.npz", "--json", folder=tmp_path
    )
    assert ran.code == 0
    found = json.loads(ran.output)
    assert found["verdict"] == "conserved" and found["mass"]["drift"] == 0
    assert not any(found["violations"].values())
    assert found["steps"] <= 200 and found["error"]["relative_l2"] <= 2e-6
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as trace:
        assert trace["mass"].dtype == np.int64 and trace["mass"].shape == (found["steps"] + 1, 128)
        assert (trace["mass"].sum(axis=1) == found["mass"]["initial"]).all()
        assert json.loads(trace["meta"].tobytes())["backend"] == "cpu"
    assert installed("check", "heat1d.pisnn", "--profile", "loihi2", folder=tmp_path).code == 0


def test_compile_says_what_it_made(tmp_path: Path) -> None:
    found = json.loads(call("compile", "heat1d", "--boundary", "no-flux", "--json", folder=tmp_path).output)
    assert found["artifact"] == "heat1d.pisnn" and found["faces"] == 127 and found["period"] == 2
    assert found["certificate"]["conservation"] == "proved"
    assert found["bits"]["membrane"] == 23 and max(found["bits"][key] for key in ("drive", "current", "residue")) == 24
    again = json.loads(call("compile", "heat1d", "--boundary", "no-flux", "--json", folder=tmp_path).output)
    assert found["sha256"] == again["sha256"]
    assert "quantise" in call("compile", "heat1d", "--explain", folder=tmp_path).output


@pytest.mark.parametrize("backend", ["fast", "torch", "cpu"])
def test_backends_agree_on_the_trace(backend: str, artifact: Path, tmp_path: Path) -> None:
    for name in ("fast", backend):
        assert call("simulate", artifact, "--backend", name, "--steps", 30, "--save", tmp_path / name, "-q").code == 0
    left, right = (np.load(tmp_path / name, allow_pickle=False) for name in ("fast", backend))
    for key in ("step", "mass", "transported", "in_flight", "ledger"):
        assert np.array_equal(left[key], right[key])


def test_a_violated_run_exits_with_1_and_still_reports(tmp_path: Path) -> None:
    graph = compiled(cells=16)
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    write_artifact(
        tmp_path / "bad.pisnn",
        replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas))),
        {},
    )
    for backend in ("fast", "cpu"):
        words = ("simulate", tmp_path / "bad.pisnn", "--backend", backend, "--every", 7, "--plot", tmp_path / "bad.png")
        done = call(*words, "--steps", 20, "--json")
        assert (tmp_path / "bad.png").exists()
        assert done.code == 1 and json.loads(done.output)["verdict"] == "violated"
        assert json.loads(done.output)["violations"]["local"] == 1
        assert done.errors.splitlines()[-1].startswith(
            "error: local invariant broken: membrane [2] at PDE step 1: expected "
        )


def test_a_graph_that_was_not_compiled_to_the_end_is_refused(tmp_path: Path) -> None:
    graph = compiled(cells=16)
    unfinished = replace(graph, bounds=tuple(bound for bound in graph.bounds if bound.quantity != "residue"))
    write_artifact(tmp_path / "a.pisnn", unfinished, {})
    path = tmp_path / "a.pisnn"
    assert call("simulate", path) == Ended(
        2, "", f"error: {path}: the graph was not compiled to the end; compile the model again\n"
    )


def test_initial_data_from_a_file(artifact: Path, tmp_path: Path) -> None:
    for dtype in ("<f4", ">f8", "<f2", "<i4"):
        np.save(tmp_path / "u.npy", np.ones(32).astype(dtype))
        found = json.loads(
            call("simulate", artifact, "--backend", "fast", "--initial", tmp_path / "u.npy", "--json").output
        )
        assert found["error"] is None and found["packets"]["sent"] == 0


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (np.ones(31), "{path}: has shape (31,), the mesh has (32,)"),
        (np.where(np.arange(32) == 7, np.nan, 1.0), "{path}: cell 7: value nan is not finite"),
        (
            np.where(np.arange(32) == 7, 9.0, 1.0),
            "{path}: cell 7 has the value 9, outside the operating range 0 to 2; "
            "compile with --range LOWER,UPPER to widen it",
        ),
        (np.array(["a"] * 32), "{path}: holds <U1, it must hold floats of at most 64 bits"),
        (np.ones(32) * 1j, "{path}: holds complex128, it must hold floats of at most 64 bits"),
        (
            np.arange(32) % 2 * 2.0,
            "{path}: face 0 is steeper than the operating range allows; compile with --slope 64 or more to widen it",
        ),
    ],
)
def test_wrong_initial_data(
    field: np.ndarray[tuple[int, ...], np.dtype[np.generic]], message: str, artifact: Path, tmp_path: Path
) -> None:
    path = tmp_path / "u.npy"
    np.save(path, field)
    done = call("simulate", artifact, "--backend", "fast", "--initial", path)
    assert done == Ended(2, "", f"error: {message.format(path=path)}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("compile", "nothing"),
            "error: model 'nothing': no such file, and the zoo has only "
            f"advection_diffusion1d, burgers1d, heat1d, heat2d, laplace2d; its laws are {', '.join(zoo.laws())}\n",
        ),
        (("compile", "nothing.pt"), "error: nothing.pt: cannot be read (No such file or directory)\n"),
        (("verify", CHECKPOINT), f"error: {CHECKPOINT}: is a checkpoint, not an artifact; compile it first\n"),
        (
            ("compile", "heat1d", "--mesh", "x"),
            "error: mesh 'x': expected cells along each axis, such as 128 or 64x64\n",
        ),
        (
            ("compile", "heat1d", "--mesh", "8x8"),
            "error: lower: the model heat1d has 1 dimensions, the mesh 2 and the "
            "boundary 2; give --mesh and --boundary one entry per dimension\n",
        ),
        (("compile", "heat1d", "--range", "2"), "error: --range '2': expected two numbers, such as 0,2\n"),
        (
            ("compile", "heat1d", "--range", "2,1"),
            "error: --range: lower 2.0 must be below upper 1.0\n",
        ),
        (
            ("compile", "heat1d", "-o", "no/x.pisnn"),
            "error: no/x.pisnn: cannot be written (No such file or directory)\n",
        ),
        (("simulate", "none.pisnn"), "error: none.pisnn: cannot be read (No such file or directory)\n"),
        (
            ("simulate", "--initial", "hat"),
            "error: initial condition 'hat': unknown for heat1d; use modes, bump\n",
        ),
        (("train", "none.yaml"), "error: none.yaml: cannot be read (No such file or directory)\n"),
        (
            ("simulate", "--timeout", "nan", "--backend", "fast"),
            "error: --timeout nan: expected a finite number of seconds\n",
        ),
        (
            ("simulate", "--backend", "fast", "--save", "a.npz", "--plot", "./a.npz"),
            "error: a.npz: is given for two outputs; write to two files\n",
        ),
        (
            ("simulate", "--backend", "fast", "--save", "no/x.npz"),
            "error: no/x.npz: cannot be written (No such file or directory)\n",
        ),
        (
            ("models", "show", ".."),
            "error: model '..': no such file, and the zoo has only "
            f"advection_diffusion1d, burgers1d, heat1d, heat2d, laplace2d; its laws are {', '.join(zoo.laws())}\n",
        ),
        (("check", "none.pisnn"), "error: none.pisnn: cannot be read (No such file or directory)\n"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(words: Sequence[str], message: str, tmp_path: Path) -> None:
    assert call(*words, folder=tmp_path) == Ended(2, "", message)
    assert list(tmp_path.iterdir()) == []


def test_options_that_click_refuses_exit_with_2() -> None:
    refused = installed("simulate", "--steps", "-1")
    assert refused.code == 2 and "Invalid value for '--steps'" in refused.errors
    assert refused == call("simulate", "--steps", "-1")
    assert call("nonsense").code == 2


def test_check_fails_for_a_target_without_graded_spikes(artifact: Path, tmp_path: Path) -> None:
    done = call("check", artifact, "--profile", "loihi1", "--format", "json", "--output", tmp_path / "report.json")
    assert done.code == 1
    found = json.loads(done.output)
    assert found["pass"] is False and "PD006" in {finding["rule"] for finding in found["findings"]}
    assert json.loads((tmp_path / "report.json").read_text()) == found
    assert call("check", artifact, "--profile", "loihi1", "--select", "PD101").code == 0


def test_an_unknown_rule_is_refused(artifact: Path) -> None:
    done = call("check", artifact, "--select", "PD999")
    assert done.code == 2 and done.errors.startswith("error: --select 'PD999': no such rule; known are PD001, ")


@pytest.mark.parametrize("header", [b"((((", b"{'descr': 3}", b"", b"{'descr': '<f8', 'fortran_order': False, 'shape'"])
def test_a_damaged_array_header_is_one_line(header: bytes, artifact: Path, tmp_path: Path) -> None:
    path = tmp_path / "u.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    done = call("simulate", artifact, "--backend", "fast", "--initial", path)
    assert done == Ended(2, "", f"error: {path}: is not a numpy array; write it with numpy.save\n")


def test_inspect_models_and_profiles(artifact: Path, tmp_path: Path) -> None:
    assert json.loads(call("inspect", artifact, "--format", "json").output)["graph"]["period"] == 2
    tables = call("inspect", artifact).output
    assert "membrane-to-flux" in tables and "packet, residue = fire(potential, 7)" in tables
    assert call("inspect", artifact, "--format", "dot").output.startswith("digraph")
    assert call("inspect", artifact, "--format", "png") == Ended(
        2, "", "error: --format png needs a file to write to: give -o FILE.png\n"
    )
    assert call("inspect", artifact, "--format", "png", "-o", tmp_path / "g.png").code == 0
    trained = ["advection_diffusion1d", "burgers1d", "heat1d", "heat2d", "laplace2d"]
    listed = call("models").output
    assert all(name in listed for name in trained) and "u_t = 0.01 laplacian(u)" in listed
    listing = json.loads(call("models", "list", "--json").output)
    assert listing["models"] == trained and {"lwr", "shallow_water2d"} <= set(listing["laws"])
    assert all(name in listed for name in listing["laws"]) and "h, qx, qy" in listed
    assert json.loads(call("models", "show", "lwr", "--json").output)["spec"]["law"]["fields"] == ["rho"]
    assert json.loads(call("models", "show", "heat1d", "--json").output)["spec"]["half_width"] == 4
    assert "loihi2" in call("profiles").output
    assert json.loads(call("profiles", "show", "loihi2", "--json").output)["state"]["bits"]["value"] == 24
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: loihi2\ndescription: Mine.\n")
    assert call("profiles", "validate", tmp_path / "mine.yaml").code == 0
    assert call("profiles", "validate", tmp_path / "none.yaml").code == 2


def test_help_is_quick_because_it_imports_little() -> None:
    program = (
        "import sys; from pisnn_deploy.cli.main import group; "
        "group.main(['--help'], standalone_mode=False); "
        "print(sorted({'torch', 'lava', 'numpy', 'matplotlib', 'pydantic', 'scipy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("verify", {"pisnn_deploy.compiler", "pisnn_deploy.target", "pisnn_deploy.invariance"}),
        ("check", {"pisnn_deploy.compiler", "pisnn_deploy.formats", "pisnn_deploy.runs"}),
    ],
)
def test_short_commands_load_no_parts_that_they_do_not_use(command: str, unneeded: set[str]) -> None:
    program = f"import sys, pisnn_deploy.cli.commands.{command}; print(sorted({unneeded!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["models", "train", "compile", "simulate", "check", "inspect", "profiles"])
def test_every_command_has_help_with_examples(command: str) -> None:
    for flag in ("-h", "--help"):
        done = call(command, flag)
        assert done.code == 0 and "Examples:" in done.output


def heed_interrupts() -> None:
    """A shell's background jobs, and what they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_exits_with_130_and_leaves_nothing_behind(artifact: Path, tmp_path: Path) -> None:
    outputs, temporary = tmp_path / "outputs", tmp_path / "temporary"
    outputs.mkdir()
    temporary.mkdir()
    words = ["--steps", "1000000", "--every", "1000", "--save", str(outputs / "x.npz")]
    process = subprocess.Popen(
        [COMMAND, "simulate", str(artifact), *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.stderr is not None
    process.stderr.readline()
    # Other runs of this machine have shared memory too: only what begins with this run's prefix is looked at.
    (request,) = temporary.glob("pisnn-run-*/request.json")
    prefix = json.loads(request.read_text())["shared_memory_prefix"]
    assert list(SHARED_MEMORY.glob(f"{prefix}*"))
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130 and errors.endswith("interrupted\n")
    assert time.monotonic() - started < 5
    assert not list(SHARED_MEMORY.glob(f"{prefix}*")) and not list(temporary.iterdir())
    kept = [entry.name for entry in outputs.iterdir()]
    assert kept == (["x.npz.partial"] if "go on with --resume" in errors else [])


def test_a_backend_is_compared_with_another(tmp_path: Path) -> None:
    words = ["simulate", "heat1d", "--backend", "fast", "--against", "torch", "--steps", "9", "--json", "-q"]
    run = call(*words, folder=tmp_path)
    assert run.code == 0, run.errors
    against = json.loads(run.output)["against"]
    equal = {"equal_integers": 10 * 4 * 128, "difference": None, "same_end": True}
    assert against == {"backend": "torch", "steps": 9, **equal}


def test_resuming_needs_to_know_what(tmp_path: Path) -> None:
    message = "error: --resume: name the run to continue with --save\n"
    assert call("simulate", "heat1d", "--backend", "fast", "--resume", folder=tmp_path) == Ended(2, "", message)


def test_names_that_are_nearly_right_get_a_suggestion() -> None:
    assert call("simulat").errors.endswith("Error: No such command 'simulat' (did you mean 'simulate'?).\n")
    assert call("frobnicate").errors.endswith("Error: No such command 'frobnicate'.\n")
    refused = call("compile", "heat1e")
    assert refused.code == 2
    assert refused.errors.startswith("error: model 'heat1e' (did you mean 'heat1d'?): no such file, and the zoo has")


@pytest.mark.parametrize(
    "words",
    [("compile", "{}"), ("simulate", "{}"), ("simulate", "--backend", "{}"), ("check", "{}"), ("{}",), ("law", "{}")],
    ids=" ".join,
)
def test_names_that_are_far_too_long_are_one_short_message(words: Sequence[str], tmp_path: Path) -> None:
    refused = call(*(word.format("x" * 6000) for word in words), folder=tmp_path)
    assert refused.code == 2 and len(refused.errors.splitlines()[-1]) <= 2100
    assert len(refused.errors) < 2500


def test_a_run_goes_to_a_physical_time(artifact: Path, tmp_path: Path) -> None:
    made = json.loads(call("compile", "heat1d", "--mesh", 32, "-o", tmp_path / "a.pisnn", "--json").output)
    step = made["time_step"]
    found = json.loads(call("simulate", artifact, "--backend", "fast", "--time", 2.5 * step, "--json").output)
    assert (found["steps"], found["time"], found["time_step"]) == (3, 3 * step, step) and step > 0
    shown = call("simulate", artifact, "--backend", "fast", "--steps", 2).output
    (row,) = (line for line in shown.splitlines() if line.startswith("│ time "))
    assert f"{2 * step:.6g}, in PDE steps of {step:.6g}" in row
    for words, message in (
        (("--time", 1, "--steps", 2), "--time: excludes --steps; give one of them"),
        (("--time", -1), "--time -1: expected a finite number, at least 0, such as 2.5 or 2.5s"),
        (("--time", "nan"), "--time nan: expected a finite number, at least 0, such as 2.5 or 2.5s"),
    ):
        assert call("simulate", artifact, *words) == Ended(2, "", f"error: {message}\n")


def test_the_table_of_a_run_names_the_files_it_wrote(artifact: Path, tmp_path: Path) -> None:
    files = ("--save", "a.npz", "--plot", "a.png", "--report", "a.html")
    done = call("simulate", artifact, "--backend", "fast", "--steps", 2, *files, folder=tmp_path)
    assert done.code == 0
    named = {words[1]: words[3] for line in done.output.splitlines() if len(words := line.split()) > 3}
    assert (named["trace"], named["picture"], named["report"]) == ("a.npz", "a.png", "a.html")


def test_the_slope_that_is_named_admits_the_start(artifact: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "rough.npy", 1 + 0.9 * (-1.0) ** np.arange(32))
    refused = call("simulate", artifact, "--initial", "rough.npy", "--steps", 1, folder=tmp_path)
    assert refused.code == 2
    slope = refused.errors.partition("--slope ")[2].split()[0]
    assert call("compile", "heat1d", "--mesh", 32, "--slope", slope, "-o", "a.pisnn", folder=tmp_path).code == 0
    words = ("--backend", "fast", "--initial", "rough.npy", "--steps", 1)
    assert call("simulate", "a.pisnn", *words, folder=tmp_path).code == 0
