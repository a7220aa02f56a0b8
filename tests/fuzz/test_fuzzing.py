"""A short run of the fuzzing, and that its oracle sees what it looks for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from fuzz import oracle
from fuzz.artifacts import sealed
from fuzz.engine import Prepared, Tally, run_target
from fuzz.mutations import Archive, members_of, npy, npy_changed, plain_changed, yaml_changed, zipped
from fuzz.oracle import CANARY, Offence, require
from fuzz.page import findings, table
from fuzz.target import ROOT, SEEDS, Target, literal, load_target, target_names
from pisnn_deploy.core.errors import CheckError, SeveralErrors, UsageError
from pisnn_deploy.formats.onnx import evaluation, replica

FUZZERS = ROOT / ".venv-fuzz" / "bin" / "python"
"""With atheris; `make fuzzers` makes it where there is a Python that atheris runs on."""
SECONDS = 30
"""More than the inputs take: a number of them, not a time, gives every run the same inputs."""
INPUTS = 400
"""About 2 s of each target."""


@pytest.mark.timeout(900)
def test_no_reader_is_offended(tmp_path: Path) -> None:
    limits = ("--seconds", str(SECONDS), "--inputs", str(INPUTS), "--seed", "1")
    words = limits if FUZZERS.exists() else ("--seeds-only",)
    python = FUZZERS if FUZZERS.exists() else sys.executable
    command = [python, "-m", "fuzz", *words, "--folder", tmp_path]
    # A test in the same process may have shut out the current folder of later processes.
    surroundings = os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tallies = {name: Tally(**facts) for name, facts in json.loads((tmp_path / "tallies.json").read_text()).items()}
    assert set(tallies) == set(target_names())
    for name, tally in tallies.items():
        assert tally.offences == {}, name
        assert not FUZZERS.exists() or (tally.executions > 0 and tally.edges > 0 and tally.accepted > 0), name
    assert f"| all | {sum(tally.seconds for tally in tallies.values()) / 60:.1f} | " in done.stdout


def judged(read: Callable[[Path], object], folder: Path) -> str:
    """What the oracle says of a reader that accepts its seed and does something with another input."""

    def on_others(path: Path) -> object:
        return read(path) if path.read_bytes() == b"other" else None

    target = Target("input", on_others, literal(b"seed"))
    tally = run_target(Prepared("ours", target, (b"seed",), (b"other",)), 0, folder)
    return next(iter(tally.offences.values()), "")


def raising(error: BaseException) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        raise error

    return read


def unescaped(text: str) -> UsageError:
    """An error whose message was neither made printable nor shortened."""
    error = UsageError("")
    error.args = (text,)
    return error


def wait(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@pytest.mark.parametrize(
    ("read", "offence"),
    [
        (raising(ValueError("oh")), "ValueError in test_fuzzing.py:read: oh"),
        (raising(RecursionError()), "RecursionError in test_fuzzing.py:read: "),
        (raising(CheckError("no")), "exit code 1: no"),
        (raising(unescaped("a\nb")), "a message of several lines: "),
        (raising(unescaped("x" * 5000)), "a line of 5000 characters: "),
        (raising(SeveralErrors([UsageError("no")] * 101)), "a message of several lines: "),
        (raising(SystemExit(3)), "SystemExit in test_fuzzing.py:read: 3"),
        (lambda path: require(False, "accepted"), "Offence in oracle.py:require: accepted"),
        (lambda path: sys.stdout.write("heard"), "printed "),
        (lambda path: warnings.warn("w", UserWarning, stacklevel=1), "UserWarning in "),
        (lambda path: Path("/etc/hostname").read_bytes(), "opened /etc/hostname to read"),
        (lambda path: path.parent.with_name("outside").open("w").close(), "opened /"),
        (lambda path: Path("/nowhere").unlink(missing_ok=True), "os.remove "),
        (lambda path: subprocess.run(["true"], check=True), "subprocess.Popen "),
        (lambda path: path.with_name(CANARY).touch(), "a program of the input was run"),
        (lambda path: np.ones(9 << 22).sum(), "took 2"),
        (lambda path: wait(1.2), "took 1."),
        (lambda path: sum(range(1 << 40)), "ended the process (-26)"),
        (lambda path: wait(60), "TooSlow in "),
        (lambda path: os.kill(os.getpid(), signal.SIGKILL), "ended the process (-9)"),
    ],
)
def test_every_offence_is_seen(
    read: Callable[[Path], object], offence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oracle, "LARGEST_SECONDS", 1.0)
    assert judged(read, tmp_path).startswith(offence)


def test_what_is_accepted_or_refused_is_no_offence(tmp_path: Path) -> None:
    assert judged(lambda path: path.read_bytes(), tmp_path) == ""
    assert judged(raising(UsageError("no")), tmp_path) == ""


def test_the_input_that_ended_a_process_is_kept_unless_the_product_reads_it_apart(tmp_path: Path) -> None:
    def end(path: Path) -> object:
        os.kill(os.getpid(), signal.SIGKILL)
        return path

    assert judged(end, tmp_path) == "ended the process (-9)"
    assert (tmp_path / "offending" / "crash-1.input").read_bytes() == b"other"
    target = Target(
        "input", lambda path: end(path) if path.read_bytes() == b"other" else 0, literal(b"seed"), is_apart=True
    )
    tally = run_target(Prepared("ours", target, (b"seed",), (b"other",)), 0, tmp_path / "apart")
    assert tally.offences == {}


def test_an_offence_is_kept_with_its_input_and_judged_again(tmp_path: Path) -> None:
    assert judged(raising(ValueError("oh")), tmp_path) == "ValueError in test_fuzzing.py:read: oh"
    (kept,) = (tmp_path / "offending").glob("*.input")
    assert kept.read_bytes() == b"other"
    assert judged(lambda path: path.read_bytes(), tmp_path) == ""
    assert list((tmp_path / "offending").iterdir()) == []


def test_a_seed_that_is_refused_ends_the_run(tmp_path: Path) -> None:
    target = Target("input", raising(UsageError("no")), literal(b"seed"))
    with pytest.raises(SystemExit, match="ours: a seed is not accepted: UsageError: no"):
        run_target(Prepared("ours", target, (b"seed",), ()), 0, tmp_path)


def test_findings_name_committed_inputs() -> None:
    for entry in findings():
        assert (SEEDS / entry["target"] / entry["input"]).is_file() and entry["target"] in target_names()
    committed = {str(path.relative_to(SEEDS)) for path in SEEDS.glob("*/*") if not path.name.startswith("seed_")}
    assert committed == {f"{entry['target']}/{entry['input']}" for entry in findings()}


def test_the_table_adds_up() -> None:
    one = Tally(60.0, 30.0, 1000, 400, 599, 70, 90, 12, 0.5, 1 << 20, {"x": "oh"})
    shown = table({"b_c": Tally.none(), "a": one.added(one)}).splitlines()
    assert shown[0] == "| a | 2.0 | 1.0 | 2,000 | 800 | 1,198 | 70 | 12 | 0.50 s | 1 MiB | 1 |"
    assert shown[1] == "| b c | 0.0 | 0.0 | 0 | 0 | 0 | 0 | 0 | 0.00 s | 0 MiB | 0 |"
    assert shown[2] == "| all | 2.0 | 1.0 | 2,000 | 800 | 1,198 | | | | | 1 |"


def reversed_bytes(content: bytes, most: int) -> bytes:
    """Stands for libFuzzer's mutation."""
    return content[::-1][:most]


def test_mutations_keep_what_bytes_at_random_would_break() -> None:
    members = {"a.json": b'{"a": [1, "x"]}', "b.npy": npy(np.arange(5)), "c": b"xyz"}
    readable = 0
    for seed in range(200):
        changed = Archive()(Random(seed), zipped(members), reversed_bytes)
        try:
            readable += members_of(changed) != members
        except Exception:
            continue
    assert readable > 120
    assert len({npy_changed(Random(seed), npy(np.arange(5)), reversed_bytes) for seed in range(99)}) > 40
    assert len({str(plain_changed(Random(seed), {"a": [1, "x"]}, reversed_bytes)) for seed in range(99)}) > 40
    made = set()
    for seed in range(99):
        with contextlib.suppress(UnicodeError):  # a surrogate, which YAML does not have
            made.add(yaml_changed(Random(seed), b"a: [1, x]\n", reversed_bytes))
    assert len(made) > 20


def test_sealing_puts_hashes_right() -> None:
    members = {"graph.json": b"{}", "arrays/a.npy": b"x", "certificate.json": b"{}"}
    members |= {"provenance.json": b"{}", "seal.json": b""}
    once = sealed(members)
    assert sealed(once) == once and sealed({**once, "arrays/a.npy": b"y"}) != once
    assert set(json.loads(once["certificate.json"])["members"]) == {"graph.json", "arrays/a.npy"}
    assert set(json.loads(once["seal.json"])) == {"certificate.json", "provenance.json"}


def test_a_network_that_is_read_as_another_is_an_offence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = load_target("network_onnx")
    monkeypatch.setattr(replica, "evaluated", evaluation.evaluated)  # the target changes it for its whole process
    path = tmp_path / target.file_name
    path.write_bytes(target.seeds(tmp_path)[0])
    target.read(path)
    monkeypatch.setattr(evaluation, "run", lambda model, fields: [field * 0 for field in fields])
    with pytest.raises(Offence, match="the network was read as another: "):
        target.read(path)
